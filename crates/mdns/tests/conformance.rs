//! The rules that all machines obey: a querier, and a responder that has the name.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use mdns::{Arrival, Batch, Config, Instant, Link, LocalName, Path, Querier, Responder, Transmit};
use support::{ip, link};
use testkit::{Link as Wire, Machine, Pair, epoch};

/// Asks for the same names again whenever it has heard of one.
struct Asking {
    querier: Querier,
    names: Vec<LocalName>,
    now: Instant,
}

/// The neighbour that answers; the network between them carries what is sent to the group.
struct Answering(Responder);

fn to_group(transmit: Transmit, from: &Link, to: &Link) -> Transmit {
    let remote = if transmit.path.remote == from.path().remote { to.local() } else { transmit.path.remote };
    Transmit { path: Path { remote, ..transmit.path }, ..transmit }
}

impl Machine for Asking {
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool {
        self.querier.handle_datagram(arrival, datagram).is_ok()
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.querier.handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.now = now;
        self.querier.poll_transmit(now, batch).map(|transmit| to_group(transmit, &link(1), &link(2)))
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.querier.poll_timeout()
    }
    fn poll_event(&mut self) -> Option<String> {
        let event = self.querier.poll_event()?;
        if let mdns::Event::Failed(_) = event {
            self.names.iter().for_each(|name| _ = self.querier.resolve(self.now, *name).unwrap());
        }
        Some(format!("{event:?}"))
    }
}

impl Machine for Answering {
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool {
        self.0.handle_datagram(arrival, datagram).is_ok()
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.0.poll_transmit(now, batch).map(|transmit| to_group(transmit, &link(2), &link(1)))
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }
    fn poll_event(&mut self) -> Option<String> {
        None
    }
}

#[test]
fn the_rules_of_machines_hold() {
    for loss in [0.0, 0.3, 1.0] {
        testkit::conformance::check(Duration::from_secs(300), |seed| {
            let mut responder = Responder::new(epoch(), Config::default(), seed);
            responder.add_link(link(2)).unwrap();
            let mut querier = Querier::new(epoch(), Config::default());
            querier.add_link(link(1)).unwrap();
            // One that exists, and one that does not and is asked for again and again.
            let real = responder.announce(epoch(), ip("192.0.2.2")).unwrap();
            let names = vec![real, support::name()];
            names.iter().for_each(|name| _ = querier.resolve(epoch(), *name).unwrap());
            let wire = Wire { delay: Duration::from_millis(2), loss, ..Wire::default() };
            Pair::new(Asking { querier, names, now: epoch() }, Answering(responder), wire, seed)
        });
    }
}
