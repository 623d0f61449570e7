use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crypto::Rng;
use proto::{Instant, Path};
use slab::Slab;
use stun::Authenticated;
use stun::wire::{AddressFamily, Method, TransactionId};

use super::allocation::{Allocation, Relay};
use super::config::{Config, RelayAddress};
use super::event::{Event, Usage};
use super::limiter::{Bucket, network};
use super::ports::{Parity, Ports};
use super::reply::{Allocated, Content, Reply};

/// The allocations, how they are found, what they use up, and when they end.
#[derive(Debug)]
pub(super) struct Table {
    allocations: Slab<Allocation>,
    by_client: BTreeMap<Path, usize>,
    by_relay: BTreeMap<SocketAddr, usize>,
    by_external: BTreeMap<SocketAddr, usize>,
    expiries: BTreeSet<(Instant, usize)>,
    per_user: BTreeMap<Box<str>, usize>,
    per_source: BTreeMap<IpAddr, usize>,
    addresses: Vec<(RelayAddress, Ports)>,
    reservations: Vec<Reservation>,
    /// Bounded by the allocations: each opens and closes its sockets once, begins and ends.
    events: VecDeque<Event>,
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
    expires: Instant,
}

/// An allocation that is asked for.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) client: Path,
    pub(super) user: Arc<Authenticated>,
    pub(super) transaction: TransactionId,
    pub(super) expires: Instant,
    pub(super) credentials_end: Option<Instant>,
    pub(super) family: AddressFamily,
    pub(super) additional: bool,
    pub(super) parity: Parity,
    pub(super) token: Option<[u8; 8]>,
    pub(super) bandwidth: Option<u64>,
    pub(super) fingerprint: bool,
}

impl Table {
    pub(super) fn new(config: &Config) -> Self {
        let addresses = config.relays.iter().map(|address| (*address, Ports::new(&config.ports)));
        Self {
            allocations: Slab::new(),
            by_client: BTreeMap::new(),
            by_relay: BTreeMap::new(),
            by_external: BTreeMap::new(),
            expiries: BTreeSet::new(),
            per_user: BTreeMap::new(),
            per_source: BTreeMap::new(),
            addresses: addresses.collect(),
            reservations: Vec::new(),
            events: VecDeque::new(),
            limits: Limits {
                allocations: config.max_allocations,
                per_user: config.max_allocations_per_user,
                per_source: config.max_allocations_per_source,
                reservations: config.max_reservations,
            },
        }
    }

    pub(super) fn len(&self) -> usize {
        self.allocations.len()
    }

    pub(super) fn free_ports(&self) -> usize {
        self.addresses.iter().map(|(_, ports)| ports.free()).sum()
    }

    pub(super) fn of_client(&mut self, path: Path) -> Option<&mut Allocation> {
        self.allocations.get_mut(*self.by_client.get(&path)?)
    }

    pub(super) fn of_relay(&mut self, relay: SocketAddr) -> Option<&mut Allocation> {
        self.allocations.get_mut(*self.by_relay.get(&relay)?)
    }

    pub(super) fn is_relay(&self, local: SocketAddr) -> bool {
        self.by_relay.contains_key(&local)
    }

    /// Whether peers know a live relay by this address.
    pub(super) fn is_external(&self, address: SocketAddr) -> bool {
        self.by_external.contains_key(&address)
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let reservation = self.reservations.iter().map(|reservation| reservation.expires).min();
        let allocation = self.expiries.first().map(|(expires, _)| *expires);
        [reservation, allocation].into_iter().flatten().min()
    }

    /// Ends what has come to its end.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((_, key)) = self.expiries.first().copied().filter(|(expires, _)| *expires <= now) {
            self.remove(key);
        }
        if self.reservations.iter().any(|reservation| reservation.expires <= now) {
            let (ended, kept) = std::mem::take(&mut self.reservations)
                .into_iter()
                .partition(|reservation| reservation.expires <= now);
            self.reservations = kept;
            let ended: Vec<Reservation> = ended;
            for reservation in ended {
                self.give(reservation.relay);
            }
        }
    }

    /// Makes an allocation whose sockets are yet to be opened, or says which error the client gets.
    pub(super) fn allocate(&mut self, now: Instant, rng: &mut Rng, wish: Wish) -> Result<(), u16> {
        let count = |counts: Option<&usize>| counts.copied().unwrap_or(0);
        if count(self.per_user.get(wish.user.username())) >= self.limits.per_user
            || count(self.per_source.get(&network(wish.client.remote.ip()))) >= self.limits.per_source
        {
            return Err(486);
        }
        if self.allocations.len() >= self.limits.allocations {
            return Err(508);
        }
        let bucket = || Bucket::new(now, wish.bandwidth);
        let user = Arc::clone(&wish.user);
        let buckets = [bucket(), bucket()];
        let mut allocation = Allocation::new(wish.client, user, wish.transaction, wish.expires, buckets);
        allocation.credentials_end = wish.credentials_end;
        allocation.fingerprint = wish.fingerprint;
        let first = match wish.token {
            Some(token) => self.redeem(token).ok_or(508_u16)?,
            None => self.take(rng, wish.family, wish.parity)?,
        };
        if wish.parity == Parity::EvenAndNext {
            allocation.token = Some(self.reserve(now, rng, first)?);
        } else if wish.token.is_none() {
            allocation.parity = Some(wish.parity);
        }
        let second = match wish.additional.then(|| self.take(rng, AddressFamily::V6, Parity::Any)) {
            None => None,
            Some(Ok(relay)) => Some(relay),
            Some(Err(code)) => {
                allocation.refused_family = Some((AddressFamily::V6, code));
                None
            }
        };
        allocation.relays = [Some(first), second];
        self.insert(allocation);
        Ok(())
    }

    /// A relay's socket is there; the answer to the client when it was the last one.
    pub(super) fn opened(&mut self, now: Instant, local: SocketAddr) -> Option<Reply> {
        let key = *self.by_relay.get(&local)?;
        let allocation = self.allocations.get_mut(key)?;
        if allocation.is_open() {
            return None;
        }
        for relay in allocation.relays.iter_mut().flatten().filter(|relay| relay.local == local) {
            relay.is_open = true;
        }
        let allocation = self.allocations.get(key).filter(|allocation| allocation.is_open())?;
        self.events.push_back(Event::Began(allocation.usage()));
        Some(allocation.reply(Content::Allocated(allocation.describe(now))))
    }

    /// A relay's socket cannot be had: the port stays taken while others are tried.
    pub(super) fn failed(&mut self, rng: &mut Rng, local: SocketAddr) -> Option<Reply> {
        let key = *self.by_relay.get(&local)?;
        let allocation = self.allocations.get(key)?;
        if allocation.relays.iter().flatten().any(|relay| relay.local == local && relay.is_open) {
            return None;
        }
        // Another one first, so that it is another one.
        let family = AddressFamily::of(local.ip());
        let tried = allocation.tried.saturating_add(1);
        let is_first = allocation.relays.first().copied().flatten().is_some_and(|relay| relay.local == local);
        let parity = if is_first { allocation.parity } else { Some(Parity::Any) };
        let parity = parity.filter(|_| tried < MAX_TRIES);
        let other = parity.and_then(|parity| self.take(rng, family, parity).ok());
        self.give(local);
        self.by_relay.remove(&local);
        let Some(other) = other else {
            let allocation = self.allocations.get(key)?;
            let (reply, token) = (allocation.reply(Content::Error(508)), allocation.token);
            self.remove(key);
            // Of the next port's token nobody has heard.
            if let Some(next) = token.and_then(|token| self.redeem(token)) {
                self.give(next.local);
            }
            return Some(reply);
        };
        let allocation = self.allocations.get_mut(key)?;
        allocation.tried = tried;
        for relay in allocation.relays.iter_mut().flatten().filter(|relay| relay.local == local) {
            self.by_external.remove(&relay.external);
            *relay = other;
        }
        self.by_relay.insert(other.local, key);
        self.by_external.insert(other.external, key);
        self.events.push_back(Event::Open(other.local));
        None
    }

    pub(super) fn extend(&mut self, path: Path, expires: Instant) {
        let Some(key) = self.by_client.get(&path).copied() else { return };
        let Some(allocation) = self.allocations.get_mut(key) else { return };
        self.expiries.remove(&(allocation.expires, key));
        allocation.expires = expires;
        self.expiries.insert((expires, key));
    }

    pub(super) fn remove_client(&mut self, path: Path) {
        if let Some(key) = self.by_client.get(&path).copied() {
            self.remove(key);
        }
    }

    /// The server has other users.
    pub(super) fn mark_stale(&mut self) {
        self.allocations.iter_mut().for_each(|(_, allocation)| allocation.is_stale = true);
    }

    fn insert(&mut self, allocation: Allocation) {
        let (client, expires) = (allocation.client, allocation.expires);
        let (user, relays) = (allocation.user.username().into(), allocation.relays);
        let key = self.allocations.insert(allocation);
        self.by_client.insert(client, key);
        self.expiries.insert((expires, key));
        for count in [
            self.per_user.entry(user).or_default(),
            self.per_source.entry(network(client.remote.ip())).or_default(),
        ] {
            *count = count.saturating_add(1);
        }
        for relay in relays.into_iter().flatten() {
            self.by_relay.insert(relay.local, key);
            self.by_external.insert(relay.external, key);
            self.events.push_back(Event::Open(relay.local));
        }
    }

    fn remove(&mut self, key: usize) {
        let Some(allocation) = self.allocations.try_remove(key) else { return };
        self.by_client.remove(&allocation.client);
        self.expiries.remove(&(allocation.expires, key));
        release(&mut self.per_user, allocation.user.username());
        release(&mut self.per_source, &network(allocation.client.remote.ip()));
        if allocation.is_open() {
            self.events.push_back(Event::Ended(allocation.usage()));
        }
        for relay in allocation.relays.into_iter().flatten() {
            self.by_relay.remove(&relay.local);
            self.by_external.remove(&relay.external);
            self.give(relay.local);
            self.events.push_back(Event::Close(relay.local));
        }
    }

    /// A free port at the address of a family.
    fn take(&mut self, rng: &mut Rng, family: AddressFamily, parity: Parity) -> Result<Relay, u16> {
        let of_family =
            |(address, _): &&mut (RelayAddress, Ports)| AddressFamily::of(address.local) == family;
        let (address, ports) = self.addresses.iter_mut().find(of_family).ok_or(440_u16)?;
        let port = ports.take(rng, parity).ok_or(508_u16)?;
        Ok(Relay::new(*address, port))
    }

    fn give(&mut self, local: SocketAddr) {
        for (_, ports) in self.addresses.iter_mut().filter(|(address, _)| address.local == local.ip()) {
            ports.give(local.port());
        }
    }

    /// Keeps the port behind `relay`, which was taken with it, for half a minute.
    fn reserve(&mut self, now: Instant, rng: &mut Rng, relay: Relay) -> Result<[u8; 8], u16> {
        let next = SocketAddr::new(relay.local.ip(), relay.local.port().saturating_add(1));
        if self.reservations.len() >= self.limits.reservations {
            self.give(next);
            self.give(relay.local);
            return Err(508);
        }
        let token = rng.array();
        self.reservations.push(Reservation { token, relay: next, expires: now + RESERVATION_LIFETIME });
        Ok(token)
    }

    fn redeem(&mut self, token: [u8; 8]) -> Option<Relay> {
        let same = |reservation: &Reservation| crypto::constant_time_eq(&reservation.token, &token);
        let place = self.reservations.iter().position(same)?;
        let local = self.reservations.swap_remove(place).relay;
        let (address, _) = self.addresses.iter().find(|(address, _)| address.local == local.ip())?;
        Some(Relay::new(*address, local.port()))
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

impl Allocation {
    /// What the client is told of it.
    pub(super) fn describe(&self, now: Instant) -> Allocated {
        Allocated {
            relayed: self.relays.map(|relay| relay.map(|relay| relay.external)),
            refused: self.refused_family,
            lifetime: u32::try_from((self.expires - now).as_secs()).unwrap_or(u32::MAX),
            token: self.token,
        }
    }

    fn usage(&self) -> Usage {
        Usage {
            client: self.client,
            relayed: self.relays.map(|relay| relay.map(|relay| relay.external)),
            to_peers: self.from_client.passed(),
            to_client: self.from_peers.passed(),
            user: Arc::clone(&self.user),
        }
    }

    /// The answer to the Allocate.
    fn reply(&self, content: Content) -> Reply {
        Reply {
            path: self.client,
            method: Method::ALLOCATE,
            transaction: self.transaction,
            user: Some(Arc::clone(&self.user)),
            fingerprint: self.fingerprint,
            content,
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

/// RFC 8656 §7.2: at least 30 seconds.
const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);
/// Ports that are tried for an allocation.
const MAX_TRIES: u32 = 8;
