#![expect(clippy::wildcard_enum_match_arm, reason = "most readers look for one attribute among many")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use proto::{Carrier, Instant, Path};
use stun::wire::{AddressFamily, Attribute, Message, Method};
use stun::{Authenticated, Refusal};

use super::allocation::BindError;
use super::event::Discard;
use super::ports::Parity;
use super::reply::{Content, MAX_UNKNOWN, Reply};
use super::shared::Transport;
use super::table::Wish;
use super::{Config, Server};
use crate::Users;
use crate::wire::ChannelNumber;

impl Server {
    /// Takes a request and puts its answer into the queue.
    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        path: Path,
        message: &Message<'_>,
        len: usize,
    ) -> Result<(), Discard> {
        let fingerprint = has_fingerprint(message);
        let reply = |user, content| Reply {
            path,
            method: message.method(),
            transaction: message.transaction(),
            user,
            fingerprint,
            content,
        };
        if message.method() == Method::BINDING {
            let (from, content) = match unknown(message) {
                Some(content) => (path, content),
                None => self.config.answer_binding(path, message, len),
            };
            let reply = Reply { path: from, ..reply(None, content) };
            return match reply.content {
                Content::Mapped | Content::Discovered(_) => self.answer(reply),
                _ => self.refuse(now, reply),
            };
        }
        let is_of_connections = CONNECTION_METHODS.contains(&message.method()) && self.config.tcp_relays;
        if !(METHODS.contains(&message.method()) || is_of_connections) {
            return Err(Discard::Unexpected);
        }
        // What one of these leads to cannot be told later.
        if is_of_connections && self.replies.len() >= self.config.max_replies {
            self.stats.unanswered = self.stats.unanswered.wrapping_add(1);
            return Err(Discard::Unanswered);
        }
        let user = match self.identify(now, path, message) {
            Ok(user) => user,
            Err(refusal) => return self.refuse(now, reply(None, Self::content_of(refusal, len))),
        };
        let content = match unknown(message) {
            Some(content) => Some(content),
            None => self.carry_out(now, path, message, &user),
        };
        match content {
            Some(content) => self.answer(reply(Some(user), content)),
            None => Ok(()),
        }
    }

    /// Whose request it is: of the user whose allocation it is, if there is one (RFC 8656 §5).
    fn identify(
        &mut self,
        now: Instant,
        path: Path,
        message: &Message<'_>,
    ) -> Result<Arc<Authenticated>, Refusal> {
        let unix = self.config.unix_time.saturating_add(now.since_epoch().as_secs());
        if let Some(user) = self.identify_by_connection(now, path, message) {
            return Ok(user);
        }
        let allocation = self.table.of_client(path);
        if let Some(allocation) = allocation.as_ref().filter(|allocation| !allocation.is_stale) {
            let ended = allocation.credentials_end.is_some_and(|end| end <= now);
            match self.authenticator.authenticate_again(now, path.remote, message, &allocation.user) {
                Ok(()) if ended => return Err(Refusal::Unauthenticated),
                Ok(()) => return Ok(Arc::clone(&allocation.user)),
                Err(Refusal::OtherUser) => {}
                Err(other) => return Err(other),
            }
        }
        let find = |name: stun::Name<'_>| self.users.find(unix, name);
        let user = Arc::new(self.authenticator.authenticate(now, path.remote, message, find)?);
        if let Some(allocation) = allocation {
            if !self.users.is_same(allocation.user.username(), user.username()) {
                return Err(Refusal::OtherUser);
            }
            // Under the password, the secret, the time or the algorithm of now.
            let end = ends(&self.users, &self.config, &user);
            self.table.renew_user(path, &user, end).map_err(|_| Refusal::OtherUser)?;
        }
        Ok(user)
    }

    /// What an authentic request is answered with, if it is answered now.
    fn carry_out(
        &mut self,
        now: Instant,
        path: Path,
        message: &Message<'_>,
        user: &Arc<Authenticated>,
    ) -> Option<Content> {
        let content = match message.method() {
            Method::ALLOCATE => return self.allocate(now, path, message, user),
            Method::REFRESH => self.refresh(now, path, message, user),
            Method::CREATE_PERMISSION => self.create_permission(now, path, message),
            Method::CONNECT => {
                let asked = self.connect(now, path, message, user, has_fingerprint(message));
                return asked.err().map(Content::Error);
            }
            Method::CONNECTION_BIND => self.bind_connection(path, message, user),
            _ => self.bind_channel(now, path, message),
        };
        Some(content.unwrap_or_else(Content::Error))
    }

    /// RFC 8656 §7.2, in its order.
    fn allocate(
        &mut self,
        now: Instant,
        path: Path,
        message: &Message<'_>,
        user: &Arc<Authenticated>,
    ) -> Option<Content> {
        if let Some(allocation) = self.table.of_client(path) {
            if allocation.transaction != message.transaction() {
                return Some(Content::Error(437));
            }
            // The answer was lost, or is not there yet.
            return allocation.is_open().then(|| Content::Allocated(allocation.describe(now)));
        }
        if self.is_draining {
            return Some(Content::Error(508));
        }
        let ask = match Ask::read(message, &self.config, path.carrier) {
            Ok(ask) => ask,
            Err(content) => return Some(content),
        };
        let wish = Wish {
            client: path,
            user: Arc::clone(user),
            transaction: message.transaction(),
            expires: now + self.lifetime(ask.lifetime),
            credentials_end: ends(&self.users, &self.config, user),
            transport: ask.transport,
            family: ask.family,
            additional: ask.additional,
            parity: ask.parity,
            token: ask.token,
            bandwidth: self.config.max_bandwidth,
            fingerprint: has_fingerprint(message),
            // Its connections would stay behind.
            mobile: ask.mobile && self.config.mobility && ask.transport == Transport::Udp,
        };
        match self.table.allocate(now, &mut self.rng, wish) {
            // The answer comes with the socket.
            Ok(()) => None,
            Err(code) => Some(Content::Error(code)),
        }
    }

    /// RFC 8656 §8.2; from another address, with a ticket, RFC 8016 §3.2.2.
    fn refresh(
        &mut self,
        now: Instant,
        path: Path,
        message: &Message<'_>,
        user: &Arc<Authenticated>,
    ) -> Result<Content, u16> {
        let (mut lifetime, mut family, mut ticket) = (None, None, None);
        for attribute in message.attributes() {
            match attribute {
                Attribute::MobilityTicket(shown) => ticket = Some(shown),
                Attribute::Lifetime(seconds) => lifetime = Some(seconds),
                Attribute::RequestedAddressFamily(asked) => family = Some(asked),
                _ => {}
            }
        }
        let granted = self.lifetime(lifetime);
        // One that is here already has come, and the answer was lost.
        if let Some(ticket) = ticket.filter(|_| self.table.of_client(path).is_none()) {
            self.take_along(now, path, ticket, user)?;
        }
        let allocation = self.table.of_client(path).ok_or(437_u16)?;
        let ticket = allocation.ticket.filter(|_| ticket.is_some());
        let relays = allocation.relays.iter().flatten();
        let has = |family| relays.clone().any(|relay| AddressFamily::of(relay.local.ip()) == family);
        if family.is_some_and(|family| !has(family)) {
            return Err(443);
        }
        if lifetime == Some(0) {
            match family {
                Some(family) => self.table.remove_family(path, family),
                None => self.table.remove_client(path),
            }
            return Ok(Content::Refreshed(0, None));
        }
        self.table.extend(path, now + granted);
        Ok(Content::Refreshed(u32::try_from(granted.as_secs()).unwrap_or(u32::MAX), ticket))
    }

    /// RFC 8656 §10.2: all of its peers or none.
    fn create_permission(&mut self, now: Instant, path: Path, message: &Message<'_>) -> Result<Content, u16> {
        let peer =
            |attribute| if let Attribute::XorPeerAddress(peer) = attribute { Some(peer.ip()) } else { None };
        let mut peers: Vec<IpAddr> = message.attributes().filter_map(peer).collect();
        peers.sort_unstable();
        peers.dedup();
        if self.table.of_client(path).is_none() {
            return Err(437);
        }
        if peers.is_empty() {
            return Err(400);
        }
        if let Some(code) = peers.iter().find_map(|peer| self.objection(path, *peer)) {
            return Err(code);
        }
        let limit = self.config.max_permissions;
        let allocation = self.table.of_client(path).ok_or(437_u16)?;
        if !allocation.has_room(now, &peers, limit) {
            return Err(508);
        }
        for peer in peers {
            allocation.permit(now, peer);
        }
        Ok(Content::Done)
    }

    /// RFC 8656 §12.2.
    fn bind_channel(&mut self, now: Instant, path: Path, message: &Message<'_>) -> Result<Content, u16> {
        let (mut number, mut peer) = (None, None);
        for attribute in message.attributes() {
            match attribute {
                Attribute::ChannelNumber(asked) => number = number.or(Some(asked)),
                Attribute::XorPeerAddress(address) => peer = peer.or(Some(address)),
                _ => {}
            }
        }
        let allocation = self.table.of_client(path).ok_or(437_u16)?;
        if allocation.transport != Transport::Udp {
            return Err(403);
        }
        let channel = if self.config.rfc5766_channels { ChannelNumber::rfc5766 } else { ChannelNumber::new };
        let (Some(number), Some(peer)) = (number.and_then(channel), peer) else { return Err(400) };
        if let Some(code) = self.objection(path, peer.ip()) {
            return Err(code);
        }
        if !self.may_reach(peer, Transport::Udp) {
            return Err(403);
        }
        let (max_channels, max_permissions) = (self.config.max_channels, self.config.max_permissions);
        let allocation = self.table.of_client(path).ok_or(437_u16)?;
        if !allocation.has_room(now, &[peer.ip()], max_permissions) {
            return Err(508);
        }
        match allocation.bind(now, number, peer, max_channels) {
            Ok(()) => Ok(Content::Done),
            Err(BindError::Bound) => Err(400),
            Err(BindError::Full) => Err(508),
        }
    }

    /// Why a peer's address is none for this client.
    pub(super) fn objection(&mut self, path: Path, peer: IpAddr) -> Option<u16> {
        // Ports are looked at when something is sent: here there may be none.
        if !self.may_permit(peer) {
            return Some(403);
        }
        let allocation = self.table.of_client(path)?;
        allocation.relay_to(peer).is_none().then_some(443)
    }

    /// RFC 8656 §7.2: what is asked for, within bounds.
    fn lifetime(&self, asked: Option<u32>) -> Duration {
        let asked = asked.map_or(self.config.default_lifetime, |seconds| Duration::from_secs(seconds.into()));
        asked.min(self.config.max_lifetime).max(self.config.default_lifetime)
    }
}

/// What an Allocate asks for.
struct Ask {
    transport: Transport,
    lifetime: Option<u32>,
    family: AddressFamily,
    additional: bool,
    parity: Parity,
    token: Option<[u8; 8]>,
    mobile: bool,
}

impl Ask {
    fn read(message: &Message<'_>, config: &Config, carrier: Carrier) -> Result<Self, Content> {
        let (mut transport, mut family, mut additional, mut parity) = (None, None, None, None);
        let (mut lifetime, mut token, mut fragment, mut ticket) = (None, None, false, None);
        for attribute in message.attributes() {
            match attribute {
                Attribute::RequestedTransport(protocol) => transport = Some(protocol),
                Attribute::RequestedAddressFamily(asked) => family = Some(asked),
                Attribute::AdditionalAddressFamily(asked) => additional = Some(asked),
                Attribute::EvenPort { reserve } => {
                    parity = Some(if reserve { Parity::EvenAndNext } else { Parity::Even });
                }
                Attribute::Lifetime(seconds) => lifetime = Some(seconds),
                Attribute::ReservationToken(shown) => token = Some(shown),
                Attribute::DontFragment => fragment = true,
                Attribute::MobilityTicket(shown) => ticket = Some(shown),
                _ => {}
            }
        }
        let error = |code| Err(Content::Error(code));
        let transport = match transport {
            None => return error(400),
            Some(UDP) => Transport::Udp,
            Some(TCP) if config.tcp_relays => Transport::Tcp,
            Some(_) => return error(442),
        };
        // RFC 6062 §5.1.
        let is_of_datagrams = fragment || token.is_some() || parity.is_some() || carrier == Carrier::Udp;
        if transport == Transport::Tcp && is_of_datagrams {
            return error(400);
        }
        if fragment && !config.dont_fragment {
            let mut types = [0; MAX_UNKNOWN];
            types.iter_mut().take(1).for_each(|kind| *kind = Attribute::DontFragment.kind());
            return Err(Content::Unknown(types, 1));
        }
        // RFC 8016 §3.1.2: whoever wants one has none.
        if ticket.is_some_and(|ticket| !ticket.is_empty()) {
            return error(400);
        }
        // RFC 8656 §7.2: a kept port has its family, and is not kept in pairs.
        let exclusive = token.is_some() && (parity.is_some() || family.is_some() || additional.is_some());
        let both = additional.is_some() && (family.is_some() || parity == Some(Parity::EvenAndNext));
        if exclusive || both || additional.is_some_and(|family| family != AddressFamily::V6) {
            return error(400);
        }
        let family = family.unwrap_or(AddressFamily::V4);
        if matches!(family, AddressFamily::Other(_)) {
            return error(440);
        }
        Ok(Self {
            transport,
            lifetime,
            family,
            additional: additional.is_some(),
            parity: parity.unwrap_or(Parity::Any),
            token,
            mobile: ticket.is_some(),
        })
    }
}

/// When a user's name ends, if it does.
pub(super) fn ends(users: &Users, config: &Config, user: &Authenticated) -> Option<Instant> {
    let seconds = users.ends(user.username())?.saturating_sub(config.unix_time);
    Some(Instant::from_nanos(0) + Duration::from_secs(seconds))
}

fn has_fingerprint(message: &Message<'_>) -> bool {
    message.attributes().last().is_some_and(|last| matches!(last, Attribute::Fingerprint(_)))
}

/// The types that must be understood and are not.
fn unknown(message: &Message<'_>) -> Option<Content> {
    let (mut types, mut count) = ([0; MAX_UNKNOWN], 0_usize);
    for (entry, kind) in types.iter_mut().zip(message.unknown_required()) {
        *entry = kind;
        count = count.saturating_add(1);
    }
    (count > 0).then_some(Content::Unknown(types, count))
}

const METHODS: [Method; 4] =
    [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND];
const CONNECTION_METHODS: [Method; 2] = [Method::CONNECT, Method::CONNECTION_BIND];
/// The protocol numbers of RFC 8656 and RFC 6062.
const UDP: u8 = 17;
const TCP: u8 = 6;
