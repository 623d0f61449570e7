//! The rules that all machines obey: the client, and a server that answers what it can read.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use proto::{Arrival, Batch, Instant, Path, Transmit};
use stun::wire::{Attribute, Class, Encoder, Message, Method, TransactionId};
use stun::{Client, Config};
use testkit::{Link, Machine, Pair};

struct End(Client);

impl Machine for End {
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool {
        self.0.handle_datagram(arrival, datagram).is_ok()
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.0.poll_transmit(now, batch)
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }
    fn poll_event(&mut self) -> Option<String> {
        self.0.poll_event().map(|event| format!("{event:?}"))
    }
}

/// Answers the last request, and says that the client is at an address that changes with every tenth.
#[derive(Default)]
struct Server {
    asked: Option<(Path, TransactionId)>,
    count: u16,
}

impl Machine for Server {
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool {
        let Ok(message) = Message::decode(datagram) else { return false };
        if message.class() != Class::Request {
            return false;
        }
        self.asked = Some((arrival.path, message.transaction()));
        true
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_transmit(&mut self, _: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        let (path, id) = self.asked?;
        let mapped = ([203, 0, 113, 1], 4000 + self.count / 10).into();
        let answered = batch.append(|out| {
            let mut answer = Encoder::new(out, Class::Success, Method::BINDING, id)?;
            answer.attribute(Attribute::XorMappedAddress(mapped))?;
            answer.finish(None)
        });
        answered.ok()?;
        self.asked = None;
        self.count += 1;
        batch.finish(path, None)
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn poll_event(&mut self) -> Option<String> {
        None
    }
}

#[test]
fn the_rules_of_machines_hold() {
    // A loss of all leads through the whole schedule of retransmissions to the failure.
    for loss in [0.0, 0.3, 1.0] {
        testkit::conformance::check(Duration::from_secs(300), |seed| {
            let path = testkit::path("198.51.100.7:4000", "192.0.2.1:3478");
            let mut client = Client::new(Config::default(), path, seed);
            client.start(testkit::epoch());
            let link = Link { delay: Duration::from_millis(20), loss, ..Link::default() };
            Pair::new(End(client), Server::default(), link, seed)
        });
    }
}
