use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crypto::Rng;
use proto::{Instant, Path};
use slab::Slab;
use stun::Authenticated;
use stun::wire::{AddressFamily, Method, TransactionId};

use super::allocation::{Allocation, Relay};
use super::config::Config;
use super::connections::Connections;
use super::event::{Event, Usage};
use super::limiter::Bucket;
use super::mobility::Ticket;
use super::ports::Parity;
use super::reply::{Allocated, Content, Reply};
use super::shared::{Ledger, Shared, Transport};

/// The allocations, how they are found, and when they end; what they use up is counted in what is shared.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) allocations: Slab<Allocation>,
    by_client: BTreeMap<Path, usize>,
    by_relay: BTreeMap<SocketAddr, usize>,
    expiries: BTreeSet<(Instant, usize)>,
    /// Ports that were kept by allocations of this table, while nobody has shown their tokens.
    reservations: VecDeque<(Instant, [u8; 8])>,
    max_reservations: usize,
    pub(super) connections: Connections,
    pub(super) shared: Shared,
    /// Bounded by the allocations and their connections: each opens and closes its sockets once, begins and ends.
    pub(super) events: VecDeque<Event>,
}

/// An allocation that is asked for.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) client: Path,
    pub(super) user: Arc<Authenticated>,
    pub(super) transaction: TransactionId,
    pub(super) expires: Instant,
    pub(super) credentials_end: Option<Instant>,
    pub(super) transport: Transport,
    pub(super) family: AddressFamily,
    pub(super) additional: bool,
    pub(super) parity: Parity,
    pub(super) token: Option<[u8; 8]>,
    pub(super) bandwidth: Option<u64>,
    pub(super) fingerprint: bool,
    pub(super) mobile: bool,
}

impl Table {
    pub(super) fn new(config: &Config, shared: Shared) -> Self {
        Self {
            allocations: Slab::new(),
            by_client: BTreeMap::new(),
            by_relay: BTreeMap::new(),
            expiries: BTreeSet::new(),
            reservations: VecDeque::new(),
            max_reservations: config.max_reservations,
            connections: Connections::new(shared.enrol()),
            shared,
            events: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.allocations.len()
    }

    pub(super) fn of_client(&mut self, path: Path) -> Option<&mut Allocation> {
        self.allocations.get_mut(*self.by_client.get(&path)?)
    }

    /// The allocation of this client goes on under these credentials.
    pub(super) fn renew_user(
        &mut self,
        client: Path,
        user: &Arc<Authenticated>,
        end: Option<Instant>,
    ) -> Result<(), u16> {
        let shared = self.shared.clone();
        let Some(allocation) = self.of_client(client) else { return Ok(()) };
        let (from, to) = (allocation.user.username(), user.username());
        shared.ledger().rename(from, to, allocation.connections.len())?;
        allocation.user = Arc::clone(user);
        allocation.credentials_end = end;
        allocation.is_stale = false;
        Ok(())
    }

    pub(super) fn of_relay(&mut self, relay: SocketAddr) -> Option<&mut Allocation> {
        self.allocations.get_mut(*self.by_relay.get(&relay)?)
    }

    /// The allocation of a client, and its place.
    pub(super) fn entry_of_client(&mut self, path: Path) -> Option<(usize, &mut Allocation)> {
        let key = *self.by_client.get(&path)?;
        Some((key, self.allocations.get_mut(key)?))
    }

    /// The allocation of a relay, and its place.
    pub(super) fn entry_of_relay(&mut self, relay: SocketAddr) -> Option<(usize, &mut Allocation)> {
        let key = *self.by_relay.get(&relay)?;
        Some((key, self.allocations.get_mut(key)?))
    }

    pub(super) fn is_relay(&self, local: SocketAddr) -> bool {
        self.by_relay.contains_key(&local)
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let reservation = self.reservations.front().map(|(expires, _)| *expires);
        let allocation = self.expiries.first().map(|(expires, _)| *expires);
        [reservation, allocation, self.connections.next_deadline()].into_iter().flatten().min()
    }

    /// Ends what has come to its end.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((_, key)) = self.expiries.first().copied().filter(|(expires, _)| *expires <= now) {
            self.remove(key);
        }
        while let Some((_, token)) = self.reservations.pop_front_if(|(expires, _)| *expires <= now) {
            self.shared.ledger().forget(token);
        }
    }

    /// Makes an allocation whose sockets are yet to be opened, or says which error the client gets.
    pub(super) fn allocate(&mut self, now: Instant, rng: &mut Rng, wish: Wish) -> Result<(), u16> {
        let bucket = || Bucket::new(now, wish.bandwidth);
        let (user, source) = (Arc::clone(&wish.user), wish.client.remote.ip());
        let buckets = [bucket(), bucket()];
        let mut allocation =
            Allocation::new(wish.client, Arc::clone(&user), wish.transaction, wish.expires, buckets);
        allocation.credentials_end = wish.credentials_end;
        allocation.fingerprint = wish.fingerprint;
        allocation.transport = wish.transport;
        let shared = self.shared.clone();
        let mut ledger = shared.ledger();
        ledger.count(user.username(), source)?;
        if let Err(code) = self.take_ports(&mut ledger, now, rng, &wish, &mut allocation) {
            ledger.discount(user.username(), source);
            return Err(code);
        }
        drop(ledger);
        let key = self.insert(allocation);
        if let Some(allocation) = self.allocations.get_mut(key).filter(|_| wish.mobile) {
            allocation.ticket = Some(Ticket::new(key, rng));
        }
        Ok(())
    }

    /// The ports of an allocation, and the one that is kept behind them.
    fn take_ports(
        &mut self,
        ledger: &mut Ledger,
        now: Instant,
        rng: &mut Rng,
        wish: &Wish,
        allocation: &mut Allocation,
    ) -> Result<(), u16> {
        let first = match wish.token {
            Some(token) => ledger.redeem(token).ok_or(508_u16)?,
            None => ledger.take(rng, wish.family, wish.parity)?,
        };
        if wish.parity == Parity::EvenAndNext {
            allocation.token = Some(self.reserve(ledger, now, rng, first, wish.user.username())?);
        }
        allocation.parity = wish.token.is_none().then_some(wish.parity);
        let second = match wish.additional.then(|| ledger.take(rng, AddressFamily::V6, Parity::Any)) {
            None => None,
            Some(Ok(relay)) => Some(relay),
            Some(Err(code)) => {
                allocation.refused_family = Some((AddressFamily::V6, code));
                None
            }
        };
        allocation.relays = [Some(first), second];
        Ok(())
    }

    /// Keeps the port behind `relay`, which was taken with it, for whoever shows what this gives.
    fn reserve(
        &mut self,
        ledger: &mut Ledger,
        now: Instant,
        rng: &mut Rng,
        relay: Relay,
        user: &str,
    ) -> Result<[u8; 8], u16> {
        let token = ledger.reserve(rng, relay, user)?;
        if self.reservations.len() >= self.max_reservations {
            self.reservations.retain(|(_, token)| ledger.is_reserved(*token));
        }
        self.reservations.push_back((now + RESERVATION_LIFETIME, token));
        Ok(token)
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
        self.begin(now, key)
    }

    /// The beginning, and the answer to the client, when all its sockets are there.
    fn begin(&mut self, now: Instant, key: usize) -> Option<Reply> {
        let is_ready = |allocation: &&mut Allocation| allocation.is_open() && !allocation.has_begun;
        let allocation = self.allocations.get_mut(key).filter(is_ready)?;
        allocation.has_begun = true;
        self.events.push_back(Event::Began(allocation.usage()));
        Some(allocation.reply(Content::Allocated(allocation.describe(now))))
    }

    /// A relay's socket cannot be had: the port stays taken while others are tried.
    pub(super) fn failed(&mut self, now: Instant, rng: &mut Rng, local: SocketAddr) -> Option<Reply> {
        let key = *self.by_relay.get(&local)?;
        let allocation = self.allocations.get(key)?;
        let mut relays = allocation.relays.iter().flatten();
        let failed = relays.find(|relay| relay.local == local && !relay.is_open)?;
        let (transport, user) = (allocation.transport, Arc::clone(&allocation.user));
        // Before somebody else has the port.
        self.shared.set_external(failed.external, transport, false);
        // Another one first, so that it is another one.
        let family = AddressFamily::of(local.ip());
        let tried = allocation.tried.saturating_add(1);
        let is_first = allocation.relays.first().copied().flatten().is_some_and(|relay| relay.local == local);
        let parity = if is_first { allocation.parity } else { Some(Parity::Any) };
        let parity = parity.filter(|_| tried < MAX_TRIES);
        let kept = allocation.token;
        let shared = self.shared.clone();
        let mut ledger = shared.ledger();
        let mut other = parity.and_then(|parity| ledger.take(rng, family, parity).ok());
        ledger.give(local);
        // Of the next port's token nobody has heard.
        if let Some(token) = kept {
            ledger.forget(token);
        }
        let mut token = None;
        if parity == Some(Parity::EvenAndNext) {
            token = other.and_then(|relay| self.reserve(&mut ledger, now, rng, relay, user.username()).ok());
            other = other.filter(|_| token.is_some());
        }
        drop(ledger);
        self.by_relay.remove(&local);
        let Some(other) = other else { return self.do_without(now, key, local, is_first) };
        let allocation = self.allocations.get_mut(key)?;
        (allocation.tried, allocation.token) = (tried, token);
        for relay in allocation.relays.iter_mut().flatten().filter(|relay| relay.local == local) {
            *relay = other;
        }
        self.by_relay.insert(other.local, key);
        self.shared.set_external(other.external, transport, true);
        self.events.push_back(transport.open(other.local));
        None
    }

    /// There is none in place of a relay: the end of the allocation, but not for want of a second family.
    fn do_without(&mut self, now: Instant, key: usize, local: SocketAddr, is_first: bool) -> Option<Reply> {
        let allocation = self.allocations.get_mut(key)?;
        // It was given back already, and may be another's.
        for relay in &mut allocation.relays {
            relay.take_if(|relay| relay.local == local);
        }
        if !is_first {
            allocation.refused_family = Some((AddressFamily::of(local.ip()), 508));
            return self.begin(now, key);
        }
        let reply = allocation.reply(Content::Error(508));
        self.remove(key);
        Some(reply)
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

    /// One family of an allocation is over, with all that belongs to it (RFC 8656 §8.1); without another one the allocation is.
    pub(super) fn remove_family(&mut self, path: Path, family: AddressFamily) {
        let Some((key, allocation)) = self.entry_of_client(path) else { return };
        let is_its = |relay: &Relay| AddressFamily::of(relay.local.ip()) == family;
        if !allocation.has_begun || allocation.relays.iter().flatten().all(is_its) {
            return self.remove(key);
        }
        let transport = allocation.transport;
        let relay = allocation.relays.iter_mut().find_map(|relay| relay.take_if(|relay| is_its(relay)));
        allocation.forget_peers(family);
        self.disconnect_family(key, family);
        if let Some(relay) = relay {
            self.close(transport, relay);
        }
    }

    /// The client's connection is gone: so is what it had, but for what may still go along to another one.
    pub(super) fn part_with(&mut self, path: Path) {
        let key = self.by_client.get(&path).copied();
        match key.and_then(|key| self.allocations.get_mut(key)) {
            // Of one that is not open yet nobody has the ticket.
            Some(allocation) if allocation.ticket.is_some() && allocation.is_open() => {
                allocation.is_parted = true;
                self.by_client.remove(&path);
            }
            Some(_) => self.remove_client(path),
            None => {}
        }
    }

    /// The server has other users.
    pub(super) fn mark_stale(&mut self) {
        self.allocations.iter_mut().for_each(|(_, allocation)| allocation.is_stale = true);
    }

    /// The allocation that a ticket is of.
    pub(super) fn of_ticket(&mut self, key: usize, shown: &[u8]) -> Option<&mut Allocation> {
        let is_right = |allocation: &&mut Allocation| {
            allocation.is_open() && allocation.ticket.is_some_and(|ticket| ticket.is(shown))
        };
        self.allocations.get_mut(key).filter(is_right)
    }

    /// Gives an allocation a path that has none, and counts it for that source.
    pub(super) fn replace_client(&mut self, now: Instant, key: usize, path: Path) -> Result<(), u16> {
        let allocation =
            self.allocations.get_mut(key).filter(|allocation| allocation.expires > now).ok_or(437_u16)?;
        let old = allocation.client;
        self.shared.ledger().recount(old.remote.ip(), path.remote.ip())?;
        allocation.client = path;
        // The path may be another's since.
        if !std::mem::take(&mut allocation.is_parted) {
            self.by_client.remove(&old);
        }
        self.by_client.insert(path, key);
        Ok(())
    }

    fn insert(&mut self, allocation: Allocation) -> usize {
        let (client, expires) = (allocation.client, allocation.expires);
        let (relays, transport) = (allocation.relays, allocation.transport);
        let key = self.allocations.insert(allocation);
        self.by_client.insert(client, key);
        self.expiries.insert((expires, key));
        for relay in relays.into_iter().flatten() {
            self.by_relay.insert(relay.local, key);
            self.shared.set_external(relay.external, transport, true);
            self.events.push_back(transport.open(relay.local));
        }
        key
    }

    fn remove(&mut self, key: usize) {
        let connections = self.allocations.get(key).map(|allocation| allocation.connections.clone());
        for connection in connections.into_iter().flatten() {
            // Who waits for an answer to a Connect has no allocation any more.
            self.disconnect(connection);
        }
        let Some(allocation) = self.allocations.try_remove(key) else { return };
        let transport = allocation.transport;
        if !allocation.is_parted {
            self.by_client.remove(&allocation.client);
        }
        self.expiries.remove(&(allocation.expires, key));
        self.shared.ledger().discount(allocation.user.username(), allocation.client.remote.ip());
        if allocation.has_begun {
            self.events.push_back(Event::Ended(allocation.usage()));
        }
        for relay in allocation.relays.into_iter().flatten() {
            self.close(transport, relay);
        }
    }

    fn close(&mut self, transport: Transport, relay: Relay) {
        self.by_relay.remove(&relay.local);
        self.shared.set_external(relay.external, transport, false);
        self.shared.ledger().give(relay.local);
        self.events.push_back(transport.close(relay.local));
    }
}

impl Transport {
    const fn open(self, local: SocketAddr) -> Event {
        match self {
            Self::Udp => Event::Open(local),
            Self::Tcp => Event::Listen(local),
        }
    }

    const fn close(self, local: SocketAddr) -> Event {
        match self {
            Self::Udp => Event::Close(local),
            Self::Tcp => Event::Unlisten(local),
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
            ticket: self.ticket,
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

/// RFC 8656 §7.2: at least 30 seconds.
const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);
/// Ports that are tried for an allocation.
const MAX_TRIES: u32 = 8;
