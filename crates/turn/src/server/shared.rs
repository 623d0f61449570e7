//! What several servers have in common that are one for their clients: quotas, ports, reservations.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crypto::Rng;
use proto::Instant;
use stun::wire::AddressFamily;

use super::allocation::Relay;
use super::config::{Config, RelayAddress};
use super::limiter::{Slots, Total, network};
use super::ports::{Parity, Ports};

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
    /// Which ports of an address, as peers see it, are live relays.
    live: Vec<(IpAddr, Box<[AtomicU64]>)>,
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
    limits: Limits,
}

#[derive(Debug)]
struct Limits {
    allocations: usize,
    per_user: usize,
    per_source: usize,
    reservations: usize,
}

/// A port that waits for the one who shows the token (RFC 8656 §7.2).
#[derive(Debug)]
struct Reservation {
    token: [u8; 8],
    relay: SocketAddr,
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
            limits: Limits {
                allocations: config.max_allocations,
                per_user: config.max_allocations_per_user,
                per_source: config.max_allocations_per_source,
                reservations: config.max_reservations,
            },
        };
        Self(Arc::new(Inner {
            seed,
            ledger: Mutex::new(ledger),
            live: config.relays.iter().map(|relay| (relay.external, words())).collect(),
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
    pub(super) fn is_external(&self, address: SocketAddr) -> bool {
        self.word(address).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Takes note of whether it is one.
    pub(super) fn set_external(&self, address: SocketAddr, is_live: bool) {
        match self.word(address) {
            Some((word, bit)) if is_live => _ = word.fetch_or(bit, Ordering::Relaxed),
            Some((word, bit)) => _ = word.fetch_and(!bit, Ordering::Relaxed),
            None => {}
        }
    }

    fn word(&self, address: SocketAddr) -> Option<(&AtomicU64, u64)> {
        let (_, words) = self.0.live.iter().find(|(ip, _)| *ip == address.ip())?;
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

    /// One of a user goes on under another name, if that may have one more.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<(), u16> {
        if from == to {
            return Ok(());
        }
        let count = self.per_user.get(to).copied().unwrap_or(0);
        if count >= self.limits.per_user {
            return Err(486);
        }
        self.per_user.insert(to.into(), count.saturating_add(1));
        release(&mut self.per_user, from);
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

    /// Keeps the port behind `relay`, which was taken with it. Both are given back where there is no room.
    pub(super) fn reserve(&mut self, rng: &mut Rng, relay: Relay) -> Result<[u8; 8], u16> {
        let next = SocketAddr::new(relay.local.ip(), relay.local.port().saturating_add(1));
        if self.reservations.len() >= self.limits.reservations {
            self.give(next);
            self.give(relay.local);
            return Err(508);
        }
        let token = rng.array();
        self.reservations.push(Reservation { token, relay: next });
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
