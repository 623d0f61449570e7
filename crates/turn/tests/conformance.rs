//! The rules that all machines obey: the client, and the server that it asks.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use stun::Credentials;
use testkit::{Link, Machine, Pair};
use turn::server::{self, Event, RelayAddress};
use turn::{Arrival, Batch, Client, Instant, Server, Transmit, Users, client};

struct Asking(Client);

impl Machine for Asking {
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

/// Its sockets open as soon as they are wanted.
struct Serving {
    server: Server,
    now: Instant,
}

impl Machine for Serving {
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool {
        self.now = arrival.at;
        self.server.handle_datagram(arrival, datagram).is_ok()
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.server.handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.server.poll_transmit(now, batch)
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.server.poll_timeout()
    }
    fn poll_event(&mut self) -> Option<String> {
        let event = self.server.poll_event()?;
        if let Event::Open(address) = event {
            self.server.relay_opened(self.now, address);
        }
        Some(format!("{event:?}"))
    }
}

#[test]
fn the_rules_of_machines_hold() {
    for (loss, password) in [(0.0, "wonderland"), (0.3, "wonderland"), (1.0, "wonderland"), (0.1, "wrong")] {
        testkit::conformance::check(Duration::from_secs(3600), |seed| {
            let now = testkit::epoch();
            let path = testkit::path("198.51.100.7:4000", "192.0.2.1:3478");
            let credentials = Credentials::new("alice", password).unwrap();
            let mut client =
                Client::new(client::Config::new(crypto::default_provider()), credentials, path, seed);
            client.allocate(now);
            client.permit(now, [8, 8, 4, 4].into()).unwrap();
            client.bind_channel(now, ([8, 8, 8, 8], 1).into()).unwrap();
            let mut config = server::Config::new(crypto::default_provider());
            config.listeners.push(path.remote);
            let relay = [192, 0, 2, 1].into();
            config.relays.push(RelayAddress { local: relay, external: relay });
            let mut users = Users::default();
            users.add(config.provider, &config.realm, "alice", "wonderland").unwrap();
            let server = Server::new(now, config, users, seed);
            let link = Link { delay: Duration::from_millis(20), loss, ..Link::default() };
            Pair::new(Asking(client), Serving { server, now }, link, seed)
        });
    }
}
