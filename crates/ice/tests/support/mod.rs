//! Two agents in virtual time.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

use std::time::Duration;

use ice::{Agent, Config, Event, LocalCandidate, Role, State};
use proto::{Arrival, Batch, Instant, Transmit};
use testkit::{Machine, Pair, epoch};

/// An agent with its events kept.
#[derive(Debug)]
pub struct Peer {
    pub agent: Agent,
    pub events: Vec<Event>,
}

impl Peer {
    pub fn new(role: Role, seed: [u8; 32]) -> Self {
        Self::with(|config| config.role = role, seed)
    }

    pub fn with(change: impl FnOnce(&mut Config), seed: [u8; 32]) -> Self {
        let mut config = Config::default();
        config.provider = crypto::rust_crypto();
        change(&mut config);
        Self { agent: Agent::new(epoch(), config, seed), events: Vec::new() }
    }

    pub fn host(mut self, address: &str) -> Self {
        self.agent.add_local_candidate(epoch(), LocalCandidate::host(address.parse().unwrap())).unwrap();
        self
    }

    pub fn is_connected(&self) -> bool {
        matches!(self.agent.state(), State::Connected | State::Completed)
    }
}

impl Machine for Peer {
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool {
        self.agent.handle_datagram(arrival, datagram).is_ok()
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        let announced = self.agent.next_path(now);
        let transmit = self.agent.poll_transmit(now, batch);
        if let Some(transmit) = &transmit {
            assert_eq!(announced, Some(transmit.path));
        }
        transmit
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.agent.poll_timeout()
    }
    fn poll_event(&mut self) -> Option<String> {
        let event = self.agent.poll_event()?;
        self.events.push(event);
        Some(format!("{event:?}"))
    }
}

/// Tells each of the other's credentials.
pub fn introduce(a: &mut Peer, b: &mut Peer, now: Instant) {
    a.agent.set_remote_credentials(now, b.agent.local_credentials().clone());
    b.agent.set_remote_credentials(now, a.agent.local_credentials().clone());
}

/// Tells `to` of the candidates of `from`.
pub fn signal(from: &Peer, to: &mut Peer, now: Instant) {
    for candidate in from.agent.local_candidates() {
        to.agent.add_remote_candidate(now, candidate.to_string().parse().unwrap()).unwrap();
    }
    to.agent.end_of_remote_candidates(now);
}

pub fn both_connected(pair: &mut Pair<Peer, Peer>) -> bool {
    pair.a.is_connected() && pair.b.is_connected()
}

pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub const A: &str = "10.0.0.1:1000";
pub const B: &str = "10.0.0.2:2000";
