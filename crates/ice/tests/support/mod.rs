//! Two agents in virtual time.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

use std::time::Duration;

use ice::{Agent, Config, Discard, Event, LocalCandidate, Role, State};
use proto::{Arrival, Batch, Instant, Path, Transmit, Writer};
use stun::IntegrityKey;
use stun::wire::{Attribute, Class, Encoder, Method, TransactionId};
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

/// Two agents that know of each other.
pub fn ready() -> (Peer, Peer) {
    let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
    let mut b = Peer::new(Role::Controlled, [2; 32]).host(B);
    introduce(&mut a, &mut b, epoch());
    signal(&a, &mut b, epoch());
    signal(&b, &mut a, epoch());
    (a, b)
}

/// A Binding request.
pub fn request(username: Option<&str>, more: &[Attribute<'_>], key: Option<&IntegrityKey>) -> Vec<u8> {
    let attributes: Vec<_> =
        username.map(Attribute::Username).into_iter().chain(more.iter().copied()).collect();
    message(Class::Request, TransactionId([9; 12]), &attributes, key)
}

/// A Binding message, signed if there is a key.
pub fn message(
    class: Class,
    id: TransactionId,
    attributes: &[Attribute<'_>],
    key: Option<&IntegrityKey>,
) -> Vec<u8> {
    let mut memory = [0; 1000];
    let mut out = Writer::new(&mut memory);
    let mut encoder = Encoder::new(&mut out, class, Method::BINDING, id).unwrap();
    for attribute in attributes {
        encoder.attribute(*attribute).unwrap();
    }
    encoder.finish(key).unwrap();
    out.written().to_vec()
}

/// Hands a datagram over.
pub fn receive(peer: &mut Peer, path: Path, at: Instant, datagram: &[u8]) -> Result<(), Discard> {
    peer.agent.handle_datagram(Arrival { path, ecn: None, at }, datagram)
}

/// The next datagram that an agent sends.
pub fn send(peer: &mut Peer, now: Instant) -> Option<(Path, Vec<u8>)> {
    let mut memory = [0; 1500];
    let mut batch = Batch::new(&mut memory, 1, 1200);
    let transmit = peer.poll_transmit(now, &mut batch)?;
    Some((transmit.path, batch.bytes().to_vec()))
}
