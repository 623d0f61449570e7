//! An endpoint as its owner drives it.

use std::sync::Arc;

use dtls::{Config, ConnectionId, Delivery, Discard, Endpoint, Event};
use proto::{Arrival, Batch, Instant, Path};

use super::config;

/// An endpoint, what it told and what it received.
pub struct Host {
    pub endpoint: Endpoint,
    pub events: Vec<(ConnectionId, Event)>,
    pub received: Vec<Vec<u8>>,
}

impl Host {
    pub fn new(seed: u8) -> Self {
        Self::with(config(crypto::default_provider(), seed), seed)
    }

    pub fn with(config: Config, seed: u8) -> Self {
        Self {
            endpoint: Endpoint::new(Arc::new(config), [seed; 32]),
            events: Vec::new(),
            received: Vec::new(),
        }
    }

    pub fn receive(&mut self, now: Instant, path: Path, datagram: &mut [u8]) -> Result<(), Discard> {
        let arrival = Arrival { path, ecn: None, at: now };
        if let Delivery::Records(_, mut records) = self.endpoint.handle_datagram(arrival, datagram)? {
            while let Some(record) = records.next_record() {
                if let Ok(data) = record {
                    self.received.push(data.to_vec());
                }
            }
        }
        while let Some((id, event)) = self.endpoint.poll_event() {
            if event == Event::PeerCertificate {
                self.endpoint.connection_mut(id).unwrap().accept_peer(now);
            }
            self.events.push((id, event));
        }
        Ok(())
    }

    pub fn transmits(&mut self, now: Instant) -> Vec<(Path, Vec<u8>)> {
        let mut all = Vec::new();
        let mut memory = [0; 2000];
        let mut batch = Batch::new(&mut memory, 1, 1200);
        while let Some(transmit) = self.endpoint.poll_transmit(now, &mut batch) {
            all.push((transmit.path, batch.bytes().to_vec()));
            batch.clear();
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.events.push(event);
        }
        assert!(self.endpoint.poll_timeout().is_none_or(|due| due > now));
        all
    }
}

pub fn reverse(path: Path) -> Path {
    Path { local: path.remote, remote: path.local, ..path }
}

pub fn exchange(now: Instant, a: &mut Host, b: &mut Host) {
    loop {
        let (to_b, to_a) = (a.transmits(now), b.transmits(now));
        if to_b.is_empty() && to_a.is_empty() {
            return;
        }
        for (path, mut datagram) in to_b {
            let _ = b.receive(now, reverse(path), &mut datagram); // a farewell may come after the end
        }
        for (path, mut datagram) in to_a {
            let _ = a.receive(now, reverse(path), &mut datagram);
        }
    }
}
