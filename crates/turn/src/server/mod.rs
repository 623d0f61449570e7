//! The server: many clients on a few addresses, a relayed address for each.
#![expect(clippy::wildcard_enum_match_arm, reason = "most readers look for one attribute among many")]

mod allocation;
mod config;
mod connect;
mod connections;
mod discovery;
mod event;
mod limiter;
mod mobility;
mod ports;
mod relay;
mod reply;
mod request;
mod shared;
mod table;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crypto::{Rng, derive_seed};
use proto::{Arrival, Batch, Carrier, Instant, Path, Transmit};
use stun::wire::{Attribute, Class, Message, Method, TransactionId};
use stun::{Authenticator, Refusal};

use self::allocation::Allocation;
use self::limiter::{Bucket, Limiter};
use self::relay::Framing;
use self::reply::{Content, Reply};
use self::shared::Transport;
use self::table::Table;
use crate::Users;
use crate::policy::embedded;
use crate::wire::ChannelData;

pub use self::config::{Config, Discovery, RelayAddress};
pub use self::connect::{Direction, connection_of};
pub use self::event::{Discard, Event, Stats, Usage};
pub use self::limiter::network;
pub use self::relay::{Received, Relay};
pub use self::shared::Shared;

/// A TURN server (RFC 8656) over UDP relays, and TCP ones (RFC 6062), without I/O.
///
/// The caller binds sockets when it is told to, hands in every datagram with the path it came by, sends
/// what is to be relayed at once, and what [`poll_transmit`](Self::poll_transmit) writes. A datagram of a
/// TCP or TLS connection is one message ([`frame_len`](crate::wire::frame_len)), its path has the carrier
/// [`Carrier::Stream`].
///
/// ```text
///  client ──▶ handle_datagram ──▶ Received::Relay ──▶ peer          data: nothing is kept, nothing copied
///    ▲              │
///    │              ▼
///    └── poll_transmit ◀── replies ◀── requests ──▶ Event::Open ──▶ relay_opened      control
/// ```
///
/// Nothing is kept of anybody who has not shown who he is: nonces tell by themselves when and for whom
/// they were made.
#[derive(Debug)]
pub struct Server {
    config: Config,
    users: Arc<Users>,
    authenticator: Authenticator,
    now: Instant,
    table: Table,
    replies: VecDeque<Reply>,
    refusals: Limiter,
    shared: Shared,
    relayed_bytes: u64,
    stats: Stats,
    rng: Rng,
    is_draining: bool,
}

impl Server {
    /// A server for `users`. Equal seeds and inputs give equal bytes.
    pub fn new(now: Instant, config: Config, users: impl Into<Arc<Users>>, seed: [u8; 32]) -> Self {
        let shared = Shared::new(&config, seed);
        Self::one_of_several(now, config, users, shared, seed)
    }

    /// A server that is one with all others of the same `shared`, which have the same configuration: a worker for
    /// those clients and relays whose sockets it is given. The seed is its own; time is the same for all.
    pub fn one_of_several(
        now: Instant,
        config: Config,
        users: impl Into<Arc<Users>>,
        shared: Shared,
        seed: [u8; 32],
    ) -> Self {
        let authenticator = Authenticator::new(
            config.provider,
            &config.realm,
            config.nonce_lifetime,
            config.anonymity,
            derive_seed(shared.seed(), "turn nonces"),
        );
        Self {
            authenticator,
            now,
            table: Table::new(&config, shared.clone()),
            replies: VecDeque::with_capacity(config.max_replies),
            refusals: Limiter::new(config.provider, config.max_refusals_per_second, shared.seed()),
            shared,
            relayed_bytes: 0,
            stats: Stats::default(),
            rng: Rng::new(derive_seed(&seed, "turn server")),
            users: users.into(),
            config,
            is_draining: false,
        }
    }

    /// No allocation is made from now on, an Allocate is told that there is no capacity (508); those that
    /// live go on, and may be refreshed.
    pub const fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Who may use the server from now on. What somebody has who is no longer among them he can renew no more,
    /// and loses at its end.
    pub fn set_users(&mut self, users: impl Into<Arc<Users>>) {
        self.users = users.into();
        self.table.mark_stale();
    }

    /// Takes a datagram of a client or of a peer.
    ///
    /// # Errors
    ///
    /// Why it was dropped; but for what was counted nothing has changed.
    pub fn handle_datagram<'b>(
        &mut self,
        arrival: Arrival,
        datagram: &'b [u8],
    ) -> Result<Received<'b>, Discard> {
        let now = self.advance(arrival.at);
        let path = arrival.path;
        let result = if self.table.is_relay(path.local) && path.carrier == Carrier::Udp {
            self.relay_to_client(now, path, datagram)
        } else {
            match datagram.first() {
                Some(0x40..=0x4f) => self.relay_channel_data(now, path, datagram),
                Some(0x50..=0x7f) if self.config.rfc5766_channels => {
                    self.relay_channel_data(now, path, datagram)
                }
                Some(0..=3) => self.handle_message(now, path, datagram),
                _ => Err(Discard::NotTurn),
            }
        };
        if result.is_err() {
            self.stats.discarded = self.stats.discarded.wrapping_add(1);
        }
        result
    }

    /// The socket of [`Event::Open`] is bound: peers may send to it, and the client gets its answer.
    pub fn relay_opened(&mut self, now: Instant, relay: SocketAddr) {
        let now = self.advance(now);
        let reply = self.table.opened(now, relay);
        self.answer_allocate(reply);
    }

    /// The socket of [`Event::Open`] cannot be bound: another port is tried, a few times.
    pub fn relay_failed(&mut self, now: Instant, relay: SocketAddr) {
        let now = self.advance(now);
        let reply = self.table.failed(now, &mut self.rng, relay);
        self.answer_allocate(reply);
    }

    fn answer_allocate(&mut self, reply: Option<Reply>) {
        let Some(reply) = reply else { return };
        if matches!(reply.content, Content::Allocated(_)) {
            self.stats.allocated = self.stats.allocated.wrapping_add(1);
        }
        self.push(reply);
    }

    /// A client's TCP or TLS connection, or its DTLS association, is gone, and its allocation with it (RFC 8656 §5),
    /// unless the client has a ticket for it (RFC 8016): then nothing is relayed until it has come along, or its time is over.
    /// Likewise of one that was joined to a peer's, which ends too.
    pub fn client_gone(&mut self, now: Instant, path: Path) {
        self.advance(now);
        if self.table.data_client_gone(path) {
            return;
        }
        self.table.part_with(path);
    }

    /// Advances to `now`. Early and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        self.table.expire(now);
        while let Some(late) = self.table.expire_connection(now) {
            if let Some(reply) = late {
                self.stats.refused = self.stats.refused.wrapping_add(1);
                self.push(reply);
            }
        }
    }

    /// Appends the answer that waits longest.
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.handle_timeout(now);
        let reply = self.replies.front()?;
        batch.append(|out| reply.write(self.now, &self.authenticator, out)).ok()?;
        let transmit = batch.finish(reply.path, None);
        self.replies.pop_front();
        transmit
    }

    /// When the next allocation ends.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.replies.is_empty() { self.table.next_expiry() } else { Some(self.now) }
    }

    /// A socket to open or to close.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.table.poll_event()
    }

    /// What was counted.
    pub fn stats(&self) -> Stats {
        Stats {
            allocations: self.table.len(),
            free_ports: self.shared.free_ports(),
            relayed_bytes: self.relayed_bytes,
            connections: self.table.connections.len(),
            ..self.stats
        }
    }

    fn handle_message<'b>(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &'b [u8],
    ) -> Result<Received<'b>, Discard> {
        let message =
            Message::decode_within(datagram, self.config.max_attributes).map_err(|_| Discard::Malformed)?;
        match (message.class(), message.method()) {
            (Class::Indication, Method::SEND) => self.relay_indication(now, path, &message),
            // Keeps a binding of a NAT alive (RFC 8489 §13), and wants nothing.
            (Class::Indication, Method::BINDING) => Ok(Received::Consumed),
            (Class::Request, _) => {
                self.handle_request(now, path, &message, datagram.len()).map(|()| Received::Consumed)
            }
            (Class::Success | Class::Error | Class::Indication, _) => Err(Discard::Unexpected),
        }
    }

    fn relay_channel_data<'b>(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &'b [u8],
    ) -> Result<Received<'b>, Discard> {
        let decode =
            if self.config.rfc5766_channels { ChannelData::decode_rfc5766 } else { ChannelData::decode };
        let data = decode(datagram).map_err(|_| Discard::Malformed)?;
        let allocation = self.table.of_client(path).ok_or(Discard::NoAllocation)?;
        let peer = allocation.peer_of(now, data.channel).ok_or(Discard::NoChannel)?;
        self.relay_to_peer(now, path, peer, data.payload)
    }

    /// A Send indication (RFC 8656 §11.2).
    fn relay_indication<'b>(
        &mut self,
        now: Instant,
        path: Path,
        message: &Message<'b>,
    ) -> Result<Received<'b>, Discard> {
        let (mut peer, mut payload, mut may_fragment) = (None, None, true);
        for attribute in message.attributes() {
            match attribute {
                Attribute::XorPeerAddress(address) => peer = peer.or(Some(address)),
                Attribute::Data(data) => payload = payload.or(Some(data)),
                Attribute::DontFragment => may_fragment = self.config.dont_fragment,
                _ => {}
            }
        }
        // RFC 8656 §11.2: unknown attributes that must be understood make the indication void.
        if message.unknown_required().next().is_some() || !may_fragment {
            return Err(Discard::Malformed);
        }
        let (Some(peer), Some(payload)) = (peer, payload) else { return Err(Discard::Incomplete) };
        self.relay_to_peer(now, path, peer, payload)
    }

    fn relay_to_peer<'b>(
        &mut self,
        now: Instant,
        path: Path,
        peer: SocketAddr,
        payload: &'b [u8],
    ) -> Result<Received<'b>, Discard> {
        if !self.may_reach(peer, Transport::Udp) {
            return Err(Discard::NoPermission);
        }
        let is_udp = |allocation: &&mut Allocation| allocation.transport == Transport::Udp;
        let allocation = self.table.of_client(path).filter(is_udp).ok_or(Discard::NoAllocation)?;
        if !allocation.may_relay(now, peer.ip()) {
            return Err(Discard::NoPermission);
        }
        let relay = allocation.relay_to(peer.ip()).ok_or(Discard::NoPermission)?;
        let path = Path { carrier: Carrier::Udp, local: relay.local, remote: peer };
        let bytes = u64::try_from(payload.len()).unwrap_or(u64::MAX);
        pass(now, bytes, &mut allocation.from_client, &self.shared)?;
        self.relayed_bytes = self.relayed_bytes.saturating_add(bytes);
        self.stats.to_peers = self.stats.to_peers.wrapping_add(1);
        Ok(Received::Relay(Relay { path, payload, framing: Framing::Bare }))
    }

    /// A datagram of a peer (RFC 8656 §11.3, §12.7).
    fn relay_to_client<'b>(
        &mut self,
        now: Instant,
        path: Path,
        payload: &'b [u8],
    ) -> Result<Received<'b>, Discard> {
        let peer = path.remote;
        let allocation = self.table.of_relay(path.local).ok_or(Discard::NoAllocation)?;
        if allocation.is_parted || allocation.transport != Transport::Udp {
            return Err(Discard::NoAllocation);
        }
        if !allocation.may_relay(now, peer.ip()) {
            return Err(Discard::NoPermission);
        }
        let bytes = u64::try_from(payload.len()).unwrap_or(u64::MAX);
        pass(now, bytes, &mut allocation.from_peers, &self.shared)?;
        self.relayed_bytes = self.relayed_bytes.saturating_add(bytes);
        let framing = match allocation.channel_to(now, peer) {
            Some(channel) => Framing::Channel(channel),
            None => Framing::Indication(peer, TransactionId(self.rng.array())),
        };
        let path = allocation.client;
        self.stats.to_clients = self.stats.to_clients.wrapping_add(1);
        Ok(Received::Relay(Relay { path, payload, framing }))
    }

    /// Whether a relay may send to `peer` at all: never to where the server listens, so that nobody becomes
    /// its client through it, and at its own addresses to relays only, as two clients of one server need.
    fn may_reach(&self, peer: SocketAddr, transport: Transport) -> bool {
        !self.config.listeners.contains(&peer)
            && (!self.is_own(peer.ip()) || self.shared.is_external(peer, transport))
            && self.may_permit(peer.ip())
    }

    /// Whether anything at this address may be reached. None of the server's own is, in disguise.
    fn may_permit(&self, peer: IpAddr) -> bool {
        let mut disguised = embedded(peer).into_iter().flatten();
        !disguised.any(|ip| self.is_own(ip)) && self.config.peers.permits(peer)
    }

    fn is_own(&self, ip: IpAddr) -> bool {
        let relays = self.config.relays.iter().flat_map(|relay| [relay.local, relay.external]);
        relays.chain(self.config.listeners.iter().map(SocketAddr::ip)).any(|own| own == ip)
    }

    /// Answers a stranger, unless strangers of this network had answers enough.
    fn refuse(&mut self, now: Instant, reply: Reply) -> Result<(), Discard> {
        if !self.refusals.admits(self.shared.refusals(), now, reply.path.remote.ip()) {
            self.stats.unanswered = self.stats.unanswered.wrapping_add(1);
            return Err(Discard::Unanswered);
        }
        self.answer(reply)
    }

    fn answer(&mut self, reply: Reply) -> Result<(), Discard> {
        if matches!(reply.content, Content::Error(_) | Content::Challenge(_) | Content::Unknown(..)) {
            self.stats.refused = self.stats.refused.wrapping_add(1);
        }
        if self.push(reply) { Ok(()) } else { Err(Discard::Unanswered) }
    }

    fn push(&mut self, reply: Reply) -> bool {
        let has_room = self.replies.len() < self.config.max_replies;
        if has_room {
            self.replies.push_back(reply);
        } else {
            self.stats.unanswered = self.stats.unanswered.wrapping_add(1);
        }
        has_room
    }

    /// What a refusal is answered with. One that is shorter than the smallest Allocate gets no challenge,
    /// which would be more than three times as long.
    fn content_of(refusal: Refusal, request_len: usize) -> Content {
        let wants_challenge = matches!(refusal, Refusal::Unauthenticated | Refusal::StaleNonce);
        if !wants_challenge {
            Content::Error(refusal.code())
        } else if request_len >= SMALLEST_ALLOCATE {
            Content::Challenge(refusal.code())
        } else {
            Content::Error(400)
        }
    }

    fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }
}

/// Counts what goes through, if both let it.
fn pass(now: Instant, bytes: u64, own: &mut Bucket, shared: &Shared) -> Result<(), Discard> {
    if !(own.has_room(now, bytes) && shared.total().admits(now, bytes)) {
        return Err(Discard::Bandwidth);
    }
    own.take(bytes);
    Ok(())
}

/// A header and REQUESTED-TRANSPORT.
const SMALLEST_ALLOCATE: usize = 28;
