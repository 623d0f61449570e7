//! Requests of TCP allocations, and what the caller tells of their connections (RFC 6062).
#![expect(clippy::wildcard_enum_match_arm, reason = "most readers look for one attribute among many")]

use std::net::SocketAddr;
use std::sync::Arc;

use proto::{Carrier, Instant, Path};
use stun::Authenticated;
use stun::wire::{Attribute, Message, Method, TransactionId};

use super::Server;
use super::connections::Wanted;
use super::event::Discard;
use super::reply::{Content, Reply};
use super::shared::Transport;
use crate::wire::ConnectionId;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From the client.
    ToPeer,
    /// From the peer.
    ToClient,
}

impl Server {
    /// The connection of [`Event::Connect`](super::Event::Connect) is open. Nothing of it is to be read until it is joined:
    /// what the peer sends waits in the system's buffers, and in the peer's own.
    pub fn peer_connected(&mut self, now: Instant, connection: ConnectionId) {
        let now = self.advance(now);
        let Some(reply) = self.table.connection_opened(connection, now + self.config.bind_timeout) else {
            return;
        };
        if !self.push(reply) {
            self.table.disconnect(connection);
        }
    }

    /// The connection of [`Event::Connect`](super::Event::Connect) does not open.
    pub fn peer_failed(&mut self, now: Instant, connection: ConnectionId) {
        self.advance(now);
        if let Some(reply) = self.table.connection_failed(connection) {
            self.stats.refused = self.stats.refused.wrapping_add(1);
            self.push(reply);
        }
    }

    /// A peer has opened a connection to a relayed address: the client is told, and has half a minute to come for it. Nothing
    /// of it is to be read until it is joined.
    ///
    /// # Errors
    ///
    /// The connection is to be closed: nobody wants it, or there are too many.
    pub fn peer_arrived(
        &mut self,
        now: Instant,
        relay: SocketAddr,
        peer: SocketAddr,
    ) -> Result<ConnectionId, Discard> {
        let now = self.advance(now);
        let admitted = self.admit(now, relay, peer);
        if admitted.is_err() {
            self.stats.discarded = self.stats.discarded.wrapping_add(1);
        }
        admitted
    }

    /// RFC 6062 §5.3.
    fn admit(&mut self, now: Instant, relay: SocketAddr, peer: SocketAddr) -> Result<ConnectionId, Discard> {
        let may_reach = self.may_reach(peer, Transport::Tcp);
        let (key, allocation) = self.table.entry_of_relay(relay).ok_or(Discard::NoAllocation)?;
        if allocation.transport != Transport::Tcp || !allocation.is_open() {
            return Err(Discard::NoAllocation);
        }
        if !(may_reach && allocation.may_relay(now, peer.ip())) {
            return Err(Discard::NoPermission);
        }
        let (path, fingerprint) = (allocation.client, allocation.fingerprint);
        let deadline = now + self.config.bind_timeout;
        let wanted =
            Wanted { allocation: key, peer, deadline, limit: self.config.max_connections_per_allocation };
        let id = self.table.admit_connection(&mut self.rng, &wanted).map_err(|_| Discard::Full)?;
        let attempt = Reply {
            path,
            method: Method::CONNECTION_ATTEMPT,
            transaction: TransactionId(self.rng.array()),
            user: None,
            fingerprint,
            content: Content::Attempt(id, peer),
        };
        if !self.push(attempt) {
            self.table.peer_gone(id);
            return Err(Discard::Unanswered);
        }
        Ok(id)
    }

    /// The peer's side of a connection is over. If it was joined, [`Event::Disconnect`](super::Event::Disconnect) says
    /// which connection of the client is to be closed. For the client's side there is [`client_gone`](Self::client_gone).
    pub fn peer_gone(&mut self, now: Instant, connection: ConnectionId) {
        self.advance(now);
        self.table.peer_gone(connection);
    }

    /// Whether a client's connection was joined to a peer's, so that it has no messages any more.
    pub fn is_joined(&self, path: Path) -> bool {
        self.table.is_joined(path)
    }

    /// How many bytes of one side of a joined connection may be taken now, `limit` at most. None where the allocation, or
    /// all together, have relayed as many as they may for the moment: whoever sends has to wait.
    pub fn stream_room(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        direction: Direction,
        limit: usize,
    ) -> usize {
        let now = self.advance(now);
        let Some(allocation) = self.table.of_joined(connection) else { return 0 };
        let own = match direction {
            Direction::ToPeer => &mut allocation.from_client,
            Direction::ToClient => &mut allocation.from_peers,
        };
        let room = own.room(now).min(self.shared.total().room(now));
        usize::try_from(room).unwrap_or(usize::MAX).min(limit)
    }

    /// Counts bytes that were taken of one side of a joined connection.
    pub fn stream_relayed(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        direction: Direction,
        bytes: usize,
    ) {
        let now = self.advance(now);
        let Some(allocation) = self.table.of_joined(connection) else { return };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        match direction {
            Direction::ToPeer => allocation.from_client.take(bytes),
            Direction::ToClient => allocation.from_peers.take(bytes),
        }
        self.shared.total().take(now, bytes);
        self.relayed_bytes = self.relayed_bytes.saturating_add(bytes);
    }

    /// A Connect request (RFC 6062 §5.2), in its order. Its answer comes with the connection.
    pub(super) fn connect(
        &mut self,
        now: Instant,
        path: Path,
        message: &Message<'_>,
        user: &Arc<Authenticated>,
        fingerprint: bool,
    ) -> Result<(), u16> {
        let (key, allocation) = self.table.entry_of_client(path).ok_or(437_u16)?;
        if allocation.transport != Transport::Tcp || !allocation.is_open() {
            return Err(437);
        }
        let own = allocation.relays.map(|relay| relay.map(|relay| relay.external));
        let peer = peer_of(message).filter(|peer| peer.port() != 0).ok_or(400_u16)?;
        if let Some(code) = self.objection(path, peer.ip()) {
            return Err(code);
        }
        // One that connects to itself would be a circle.
        if !self.may_reach(peer, Transport::Tcp) || own.contains(&Some(peer)) {
            return Err(403);
        }
        let allocation = self.table.of_client(path).ok_or(437_u16)?;
        let relay = allocation.relay_to(peer.ip()).ok_or(443_u16)?.local;
        let answer = Reply {
            path,
            method: Method::CONNECT,
            transaction: message.transaction(),
            user: Some(Arc::clone(user)),
            fingerprint,
            content: Content::Done,
        };
        let deadline = now + self.config.connect_timeout;
        let limit = self.config.max_connections_per_allocation;
        let wanted = Wanted { allocation: key, peer, deadline, limit };
        self.table.open_connection(&mut self.rng, &wanted, relay, answer)
    }

    /// Whose ConnectionBind it is, if it is signed with what the client was given along its control connection, from the same
    /// address: the number of a connection is taken once, so that a request that others repeat is worth nothing.
    pub(super) fn identify_by_connection(
        &self,
        now: Instant,
        path: Path,
        message: &Message<'_>,
    ) -> Option<Arc<Authenticated>> {
        if message.method() != Method::CONNECTION_BIND {
            return None;
        }
        let allocation = self.table.of_waiting(id_of(message)?)?;
        let ended = allocation.credentials_end.is_some_and(|end| end <= now);
        let control = allocation.client.remote;
        if control.ip() != path.remote.ip() || allocation.is_stale || ended {
            return None;
        }
        let user = &allocation.user;
        self.authenticator.authenticate_again(now, control, message, user).ok()?;
        Some(Arc::clone(user))
    }

    /// A ConnectionBind request (RFC 6062 §5.4), along a connection that has nothing to do with an allocation yet.
    pub(super) fn bind_connection(
        &mut self,
        path: Path,
        message: &Message<'_>,
        user: &Arc<Authenticated>,
    ) -> Result<Content, u16> {
        let id = id_of(message).ok_or(400_u16)?;
        if path.carrier == Carrier::Udp || self.table.of_client(path).is_some() {
            return Err(400);
        }
        self.table.join_connection(id, path, user)?;
        self.stats.joined = self.stats.joined.wrapping_add(1);
        Ok(Content::Done)
    }
}

/// Which connection a ConnectionBind is about, if it is one: for whoever hands it to the server that has it. Says nothing on
/// its worth.
pub fn connection_of(datagram: &[u8]) -> Option<ConnectionId> {
    let message = Message::decode(datagram).ok()?;
    if message.method() == Method::CONNECTION_BIND { id_of(&message) } else { None }
}

/// Which connection a message is about.
fn id_of(message: &Message<'_>) -> Option<ConnectionId> {
    message.attributes().find_map(|attribute| match attribute {
        Attribute::ConnectionId(number) => Some(ConnectionId::new(number)),
        _ => None,
    })
}

fn peer_of(message: &Message<'_>) -> Option<SocketAddr> {
    message.attributes().find_map(|attribute| match attribute {
        Attribute::XorPeerAddress(peer) => Some(peer),
        _ => None,
    })
}
