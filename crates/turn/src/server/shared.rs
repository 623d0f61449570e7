//! What several servers have in common that are one for their clients: quotas, ports, reservations.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crypto::Rng;
use proto::Instant;
use stun::wire::AddressFamily;

use super::allocation::Relay;
use super::config::{Config, RelayAddress};
use super::connections::{MAX_OWNERS, owner_of};
use super::limiter::{Slots, Total, network};
use super::ports::{Parity, Ports};
use crate::wire::ConnectionId;

/// What several [`Server`](super::Server)s share, each with sockets and clients of its own, that listen at the same
/// addresses: quotas, ports and reservations hold for all of them together, a nonce of one is a nonce of each.
///
/// A lock is taken when an allocation begins and when it ends, and by nothing that is relayed.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    seed: [u8; 32],
    ledger: Mutex<Ledger>,
    /// Which ports of an address, as peers see it, are live relays, over UDP and over TCP.
    live: Vec<(IpAddr, [Box<[AtomicU64]>; 2])>,
    /// How many servers there are.
    servers: AtomicU32,
    total: Total,
    refusals: Slots,
}

/// What is used up.
#[derive(Debug)]
pub(super) struct Ledger {
    allocations: usize,
    per_user: BTreeMap<Box<str>, usize>,
    per_source: BTreeMap<IpAddr, usize>,
    addresses: Vec<(RelayAddress, Ports)>,
    reservations: Vec<Reservation>,
    connections: usize,
    connections_per_user: BTreeMap<Box<str>, usize>,
    limits: Limits,
}

#[derive(Debug)]
struct Limits {
    allocations: usize,
    per_user: usize,
    per_source: usize,
    reservations: usize,
    connections: usize,
    connections_per_user: usize,
}

/// What is relayed by an allocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Transport {
    /// Datagrams (RFC 8656).
    Udp,
    /// Connections (RFC 6062).
    Tcp,
}

/// A port that waits for the one who shows the token (RFC 8656 §7.2).
#[derive(Debug)]
struct Reservation {
    token: [u8; 8],
    relay: SocketAddr,
    /// For whom it is kept.
    user: Box<str>,
}

impl Shared {
    /// Nothing is used up. The configuration has to be that of each server. Equal seeds give equal nonces.
    pub fn new(config: &Config, seed: [u8; 32]) -> Self {
        let addresses = config.relays.iter().map(|address| (*address, Ports::new(&config.ports)));
        let words = || (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        let ledger = Ledger {
            allocations: 0,
            per_user: BTreeMap::new(),
            per_source: BTreeMap::new(),
            addresses: addresses.collect(),
            reservations: Vec::new(),
            connections: 0,
            connections_per_user: BTreeMap::new(),
            limits: Limits {
                allocations: config.max_allocations,
                per_user: config.max_allocations_per_user,
                per_source: config.max_allocations_per_source,
                reservations: config.max_reservations,
                connections: config.max_connections,
                connections_per_user: config.max_connections_per_user,
            },
        };
        Self(Arc::new(Inner {
            seed,
            ledger: Mutex::new(ledger),
            live: config.relays.iter().map(|relay| (relay.external, [words(), words()])).collect(),
            servers: AtomicU32::new(0),
            total: Total::new(config.max_total_bandwidth),
            refusals: Slots::new(),
        }))
    }

    /// Allocations of all servers.
    pub fn allocations(&self) -> usize {
        self.ledger().allocations
    }

    /// Ports that are free for all servers.
    pub fn free_ports(&self) -> usize {
        self.ledger().addresses.iter().map(|(_, ports)| ports.free()).sum()
    }

    /// Which of the servers, in the order in which they were made, has a connection of this number: of those that hear a
    /// ConnectionBind (RFC 6062 §4.3) only that can carry it out.
    pub fn owner_of(&self, connection: ConnectionId) -> usize {
        owner_of(connection)
    }

    /// Counts one more server: its place among them.
    pub(super) fn enrol(&self) -> u32 {
        self.0.servers.fetch_add(1, Ordering::Relaxed) % MAX_OWNERS
    }

    pub(super) fn seed(&self) -> &[u8; 32] {
        &self.0.seed
    }

    pub(super) fn total(&self) -> &Total {
        &self.0.total
    }

    pub(super) fn refusals(&self) -> &Slots {
        &self.0.refusals
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Nothing panics while it is held; and what is in it is whole at any time.
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether peers know a live relay by this address.
    pub(super) fn is_external(&self, address: SocketAddr, transport: Transport) -> bool {
        self.word(address, transport).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Takes note of whether it is one.
    pub(super) fn set_external(&self, address: SocketAddr, transport: Transport, is_live: bool) {
        match self.word(address, transport) {
            Some((word, bit)) if is_live => _ = word.fetch_or(bit, Ordering::Relaxed),
            Some((word, bit)) => _ = word.fetch_and(!bit, Ordering::Relaxed),
            None => {}
        }
    }

    fn word(&self, address: SocketAddr, transport: Transport) -> Option<(&AtomicU64, u64)> {
        let (_, [udp, tcp]) = self.0.live.iter().find(|(ip, _)| *ip == address.ip())?;
        let words = if transport == Transport::Udp { udp } else { tcp };
        Some((words.get(usize::from(address.port() / 64))?, 1 << (address.port() % 64)))
    }
}

impl Ledger {
    /// Counts an allocation of a user and a source, unless one of the three has as many as it may have (RFC 8656 §7.2).
    pub(super) fn count(&mut self, user: &str, source: IpAddr) -> Result<(), u16> {
        let count = |counts: Option<&usize>| counts.copied().unwrap_or(0);
        let source = network(source);
        if count(self.per_user.get(user)) >= self.limits.per_user
            || count(self.per_source.get(&source)) >= self.limits.per_source
        {
            return Err(486);
        }
        if self.allocations >= self.limits.allocations {
            return Err(508);
        }
        self.allocations = self.allocations.saturating_add(1);
        for count in
            [self.per_user.entry(user.into()).or_default(), self.per_source.entry(source).or_default()]
        {
            *count = count.saturating_add(1);
        }
        Ok(())
    }

    /// It is over.
    pub(super) fn discount(&mut self, user: &str, source: IpAddr) {
        self.allocations = self.allocations.saturating_sub(1);
        release(&mut self.per_user, user);
        release(&mut self.per_source, &network(source));
    }

    /// One of a source is another's from now on, if that may have one more.
    pub(super) fn recount(&mut self, from: IpAddr, to: IpAddr) -> Result<(), u16> {
        let (from, to) = (network(from), network(to));
        if from == to {
            return Ok(());
        }
        let count = self.per_source.get(&to).copied().unwrap_or(0);
        if count >= self.limits.per_source {
            return Err(486);
        }
        self.per_source.insert(to, count.saturating_add(1));
        release(&mut self.per_source, &from);
        Ok(())
    }

    /// Counts a connection to a peer of a user, unless he, or all together, have as many as may be.
    pub(super) fn count_connection(&mut self, user: &str) -> Result<(), u16> {
        let of_user = self.connections_per_user.get(user).copied().unwrap_or(0);
        if of_user >= self.limits.connections_per_user {
            return Err(486);
        }
        if self.connections >= self.limits.connections {
            return Err(508);
        }
        self.connections = self.connections.saturating_add(1);
        self.connections_per_user.insert(user.into(), of_user.saturating_add(1));
        Ok(())
    }

    /// It is over.
    pub(super) fn discount_connection(&mut self, user: &str) {
        self.connections = self.connections.saturating_sub(1);
        release(&mut self.connections_per_user, user);
    }

    /// One of a user goes on under another name with so many connections, if that may have one more, and those.
    pub(super) fn rename(&mut self, from: &str, to: &str, connections: usize) -> Result<(), u16> {
        if from == to {
            return Ok(());
        }
        let count = self.per_user.get(to).copied().unwrap_or(0);
        let connected = self.connections_per_user.get(to).copied().unwrap_or(0).saturating_add(connections);
        if count >= self.limits.per_user || connected > self.limits.connections_per_user {
            return Err(486);
        }
        self.per_user.insert(to.into(), count.saturating_add(1));
        release(&mut self.per_user, from);
        if connections > 0 {
            self.connections_per_user.insert(to.into(), connected);
            (0..connections).for_each(|_| release(&mut self.connections_per_user, from));
        }
        Ok(())
    }

    /// A free port at the address of a family.
    pub(super) fn take(
        &mut self,
        rng: &mut Rng,
        family: AddressFamily,
        parity: Parity,
    ) -> Result<Relay, u16> {
        let of_family =
            |(address, _): &&mut (RelayAddress, Ports)| AddressFamily::of(address.local) == family;
        let (address, ports) = self.addresses.iter_mut().find(of_family).ok_or(440_u16)?;
        let port = ports.take(rng, parity).ok_or(508_u16)?;
        Ok(Relay::new(*address, port))
    }

    pub(super) fn give(&mut self, local: SocketAddr) {
        for (_, ports) in self.addresses.iter_mut().filter(|(address, _)| address.local == local.ip()) {
            ports.give(local.port());
        }
    }

    /// Keeps the port behind `relay`, which was taken with it. Both are given back where there is no room, or where as many
    /// are kept for the user as he may have allocations: they outlive those that they were kept by.
    pub(super) fn reserve(&mut self, rng: &mut Rng, relay: Relay, user: &str) -> Result<[u8; 8], u16> {
        let next = SocketAddr::new(relay.local.ip(), relay.local.port().saturating_add(1));
        let of_user = self.reservations.iter().filter(|reservation| *reservation.user == *user).count();
        let is_greedy = of_user >= self.limits.per_user;
        if is_greedy || self.reservations.len() >= self.limits.reservations {
            self.give(next);
            self.give(relay.local);
            return Err(if is_greedy { 486 } else { 508 });
        }
        let token = rng.array();
        self.reservations.push(Reservation { token, relay: next, user: user.into() });
        Ok(token)
    }

    pub(super) fn redeem(&mut self, token: [u8; 8]) -> Option<Relay> {
        let same = |reservation: &Reservation| crypto::constant_time_eq(&reservation.token, &token);
        let place = self.reservations.iter().position(same)?;
        let local = self.reservations.swap_remove(place).relay;
        let (address, _) = self.addresses.iter().find(|(address, _)| address.local == local.ip())?;
        Some(Relay::new(*address, local.port()))
    }

    /// Whether a port is still kept for whoever shows this.
    pub(super) fn is_reserved(&self, token: [u8; 8]) -> bool {
        self.reservations.iter().any(|reservation| reservation.token == token)
    }

    /// Nobody has shown it in time.
    pub(super) fn forget(&mut self, token: [u8; 8]) {
        if let Some(relay) = self.redeem(token) {
            self.give(relay.local);
        }
    }
}

impl Relay {
    fn new(address: RelayAddress, port: u16) -> Self {
        Self {
            local: SocketAddr::new(address.local, port),
            external: SocketAddr::new(address.external, port),
            is_open: false,
        }
    }
}

/// Counts one less, and forgets who has none.
fn release<K, Q>(counts: &mut BTreeMap<K, usize>, key: &Q)
where
    K: std::borrow::Borrow<Q> + Ord,
    Q: Ord + ?Sized,
{
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// A bit for each port.
const WORDS: usize = 65_536 / 64;

/// Of `now`, for those that are compared without a lock.
pub(super) fn nanoseconds(now: Instant) -> u64 {
    u64::try_from(now.since_epoch().as_nanos()).unwrap_or(u64::MAX)
}
