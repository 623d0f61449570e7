//! The rules that all machines obey.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::config;
use dtls::{Connection, Delivery, Endpoint, Event};
use proto::{Arrival, Batch, Instant, Path, Transmit};
use testkit::{Machine, Pair};

struct End(Connection, Path);

impl Machine for End {
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool {
        let mut records = self.0.handle_datagram(arrival.at, datagram);
        let mut taken = false;
        while let Some(record) = records.next_record() {
            if record.is_err() {
                return false;
            }
            taken = true;
        }
        drop(records);
        taken || !datagram.is_empty()
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        testkit::transmit_packet(batch, self.1, |out| self.0.poll_packet(now, out))
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }
    fn poll_event(&mut self) -> Option<String> {
        let event = self.0.poll_event()?;
        if event == Event::PeerCertificate {
            self.0.accept_peer(Instant::default());
        }
        Some(format!("{event:?}"))
    }
}

#[test]
fn the_rules_of_machines_hold() {
    let to_server = testkit::path("192.0.2.1:1", "192.0.2.2:2");
    let to_client = Path { local: to_server.remote, remote: to_server.local, ..to_server };
    for provider in [crypto::rust_crypto(), testkit::null_provider()] {
        testkit::conformance::check(Duration::from_secs(70), |seed| {
            let now = testkit::epoch();
            let client = Connection::client(now, Arc::new(config(provider, 1)), seed);
            let server = Connection::server(now, Arc::new(config(provider, 2)), seed);
            let link =
                testkit::Link { delay: Duration::from_millis(20), loss: 0.2, ..testkit::Link::default() };
            Pair::new(End(client, to_server), End(server, to_client), link, seed)
        });
    }
}

/// An endpoint that accepts every peer.
struct Host(Endpoint);

impl Machine for Host {
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool {
        match self.0.handle_datagram(arrival, datagram) {
            Err(_) => false,
            Ok(Delivery::Consumed) => true,
            Ok(Delivery::Records(_, mut records)) => {
                let mut taken = true;
                while let Some(record) = records.next_record() {
                    taken &= record.is_ok();
                }
                taken
            }
        }
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
        let (id, event) = self.0.poll_event()?;
        if event == Event::PeerCertificate
            && let Some(connection) = self.0.connection_mut(id)
        {
            connection.accept_peer(Instant::default());
        }
        Some(format!("{id:?} {event:?}"))
    }
}

#[test]
fn the_rules_of_machines_hold_for_endpoints_too() {
    let to_server = testkit::path("192.0.2.1:1", "192.0.2.2:2");
    for provider in [crypto::rust_crypto(), testkit::null_provider()] {
        testkit::conformance::check(Duration::from_secs(70), |seed| {
            let mut client = Endpoint::new(Arc::new(config(provider, 1)), seed);
            client.connect(testkit::epoch(), to_server).unwrap();
            let server = Endpoint::new(Arc::new(config(provider, 2)), seed);
            let link =
                testkit::Link { delay: Duration::from_millis(20), loss: 0.2, ..testkit::Link::default() };
            Pair::new(Host(client), Host(server), link, seed)
        });
    }
}
