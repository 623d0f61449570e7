//! The connections of TCP allocations to their peers (RFC 6062).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use crypto::Rng;
use proto::{Instant, Path};
use stun::Authenticated;
use stun::wire::AddressFamily;

use super::allocation::Allocation;
use super::event::Event;
use super::reply::{Content, Reply};
use super::table::Table;
use crate::wire::ConnectionId;

/// All of them, how they are found, and until when something has to happen to them.
#[derive(Debug)]
pub(super) struct Connections {
    live: BTreeMap<ConnectionId, Connection>,
    by_client: BTreeMap<Path, ConnectionId>,
    deadlines: BTreeSet<(Instant, ConnectionId)>,
    /// Which of several servers it is, in the place of a [`ConnectionId`] that says so.
    owner: u32,
}

/// One, whose allocation counts it.
#[derive(Debug)]
struct Connection {
    /// Where its allocation is in the table.
    allocation: usize,
    peer: SocketAddr,
    phase: Phase,
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    /// The caller opens it, and the client waits for this answer.
    Opening(Box<Reply>),
    /// It is open, and the client has not come for it.
    Waiting,
    /// The client's connection of this path goes on in it.
    Joined(Path),
}

/// A connection that is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Where its allocation is in the table.
    pub(super) allocation: usize,
    pub(super) peer: SocketAddr,
    pub(super) deadline: Instant,
    /// Those that the allocation may have.
    pub(super) limit: usize,
}

impl Connections {
    pub(super) const fn new(owner: u32) -> Self {
        Self { live: BTreeMap::new(), by_client: BTreeMap::new(), deadlines: BTreeSet::new(), owner }
    }

    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// A number that no other one has, and that cannot be guessed.
    fn number(&self, rng: &mut Rng) -> Option<ConnectionId> {
        let mut numbers = (0..MAX_TRIES).map(|_| {
            ConnectionId::new(self.owner << OWNER_SHIFT | u32::from_be_bytes(rng.array()) & MAX_NUMBER)
        });
        numbers.find(|id| !self.live.contains_key(id))
    }

    fn set_deadline(&mut self, id: ConnectionId, deadline: Option<Instant>) {
        let Some(connection) = self.live.get_mut(&id) else { return };
        if let Some(before) = std::mem::replace(&mut connection.deadline, deadline) {
            self.deadlines.remove(&(before, id));
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, id));
        }
    }

    fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        self.set_deadline(id, None);
        let connection = self.live.remove(&id)?;
        if let Phase::Joined(client) = connection.phase {
            self.by_client.remove(&client);
        }
        Some(connection)
    }
}

impl Table {
    /// Counts a connection that is open already, or for whose opening `answer` waits; which error the client gets if there
    /// may be none.
    fn add_connection(
        &mut self,
        rng: &mut Rng,
        wanted: &Wanted,
        answer: impl FnOnce(ConnectionId) -> Option<Reply>,
    ) -> Result<ConnectionId, u16> {
        let allocation = self.allocations.get_mut(wanted.allocation).ok_or(437_u16)?;
        let known = |id: &ConnectionId| self.connections.live.get(id).map(|connection| connection.peer);
        // RFC 6062 §5.2: no second one to a peer, under way or open.
        if allocation.connections.iter().any(|id| known(id) == Some(wanted.peer)) {
            return Err(446);
        }
        if allocation.connections.len() >= wanted.limit {
            return Err(508);
        }
        let id = self.connections.number(rng).ok_or(508_u16)?;
        self.shared.ledger().count_connection(allocation.user.username())?;
        allocation.connections.push(id);
        let phase = answer(id).map_or(Phase::Waiting, |reply| Phase::Opening(Box::new(reply)));
        let (allocation, peer) = (wanted.allocation, wanted.peer);
        self.connections.live.insert(id, Connection { allocation, peer, phase, deadline: None });
        self.connections.set_deadline(id, Some(wanted.deadline));
        Ok(id)
    }

    /// One that the client wants and the caller opens; `answer` waits for that.
    pub(super) fn open_connection(
        &mut self,
        rng: &mut Rng,
        wanted: &Wanted,
        relay: SocketAddr,
        answer: Reply,
    ) -> Result<(), u16> {
        let with_number = |id| Some(Reply { content: Content::Connected(id), ..answer });
        let connection = self.add_connection(rng, wanted, with_number)?;
        self.events.push_back(Event::Connect { connection, relay, peer: wanted.peer });
        Ok(())
    }

    /// One that a peer has opened.
    pub(super) fn admit_connection(&mut self, rng: &mut Rng, wanted: &Wanted) -> Result<ConnectionId, u16> {
        self.add_connection(rng, wanted, |_| None)
    }

    /// It is open: the answer to the client, who has until `deadline` to come for it.
    pub(super) fn connection_opened(&mut self, id: ConnectionId, deadline: Instant) -> Option<Reply> {
        let connection = self.connections.live.get_mut(&id)?;
        if !matches!(connection.phase, Phase::Opening(_)) {
            return None;
        }
        let Phase::Opening(reply) = std::mem::replace(&mut connection.phase, Phase::Waiting) else {
            return None;
        };
        self.connections.set_deadline(id, Some(deadline));
        Some(*reply)
    }

    /// It cannot be opened: the answer to the client.
    pub(super) fn connection_failed(&mut self, id: ConnectionId) -> Option<Reply> {
        let is_opening = |connection: &&Connection| matches!(connection.phase, Phase::Opening(_));
        self.connections.live.get(&id).filter(is_opening)?;
        let Phase::Opening(reply) = self.remove_connection(id)?.phase else { return None };
        Some(Reply { content: Content::Error(447), ..*reply })
    }

    /// The client has come for it, along `path`: whether it is there and his.
    pub(super) fn join_connection(
        &mut self,
        id: ConnectionId,
        path: Path,
        user: &Arc<Authenticated>,
    ) -> Result<(), u16> {
        let connection = self.connections.live.get_mut(&id).ok_or(400_u16)?;
        if !matches!(connection.phase, Phase::Waiting) || self.connections.by_client.contains_key(&path) {
            return Err(400);
        }
        let owner = self.allocations.get(connection.allocation).ok_or(400_u16)?;
        if owner.user.username() != user.username() {
            return Err(441);
        }
        connection.phase = Phase::Joined(path);
        self.connections.by_client.insert(path, id);
        self.connections.set_deadline(id, None);
        self.events.push_back(Event::Join { connection: id, client: path });
        Ok(())
    }

    /// The peer's side is over, and with it the client's.
    pub(super) fn peer_gone(&mut self, id: ConnectionId) {
        let Some(connection) = self.remove_connection(id) else { return };
        if let Phase::Joined(client) = connection.phase {
            self.events.push_back(Event::Disconnect { connection: id, client: Some(client) });
        }
    }

    /// The client's side is over, and with it the peer's; whether it is one of these.
    pub(super) fn data_client_gone(&mut self, path: Path) -> bool {
        let Some(id) = self.connections.by_client.get(&path).copied() else { return false };
        self.remove_connection(id);
        self.events.push_back(Event::Disconnect { connection: id, client: None });
        true
    }

    /// Ends those of an allocation to peers of a family.
    pub(super) fn disconnect_family(&mut self, allocation: usize, family: AddressFamily) {
        let its = self.allocations.get(allocation).map(|allocation| allocation.connections.clone());
        for id in its.into_iter().flatten() {
            let peer = self.connections.live.get(&id).map(|connection| connection.peer);
            if peer.is_some_and(|peer| AddressFamily::of(peer.ip()) == family) {
                // Who waits for an answer to a Connect has no such address any more.
                self.disconnect(id);
            }
        }
    }

    /// Ends one, however far it is.
    pub(super) fn disconnect(&mut self, id: ConnectionId) -> Option<Reply> {
        let (client, reply) = match self.remove_connection(id)?.phase {
            Phase::Opening(reply) => (None, Some(Reply { content: Content::Error(447), ..*reply })),
            Phase::Waiting => (None, None),
            Phase::Joined(client) => (Some(client), None),
        };
        self.events.push_back(Event::Disconnect { connection: id, client });
        reply
    }

    /// Ends one that has taken too long; the answer to a client that waits for it. None is left when it says `None`.
    pub(super) fn expire_connection(&mut self, now: Instant) -> Option<Option<Reply>> {
        let (_, id) = self.connections.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now)?;
        Some(self.disconnect(id))
    }

    /// The allocation of one that the client has not come for.
    pub(super) fn of_waiting(&self, id: ConnectionId) -> Option<&Allocation> {
        let connection = self.connections.live.get(&id)?;
        let is_waiting = matches!(connection.phase, Phase::Waiting);
        self.allocations.get(connection.allocation).filter(|_| is_waiting)
    }

    pub(super) fn is_joined(&self, path: Path) -> bool {
        self.connections.by_client.contains_key(&path)
    }

    /// Where the allocation of one that is joined is in the table.
    pub(super) fn of_joined(&mut self, id: ConnectionId) -> Option<&mut Allocation> {
        let connection = self.connections.live.get(&id)?;
        let is_joined = matches!(connection.phase, Phase::Joined(_));
        self.allocations.get_mut(connection.allocation).filter(|_| is_joined)
    }

    fn remove_connection(&mut self, id: ConnectionId) -> Option<Connection> {
        let connection = self.connections.remove(id)?;
        if let Some(allocation) = self.allocations.get_mut(connection.allocation) {
            allocation.connections.retain(|other| *other != id);
            self.shared.ledger().discount_connection(allocation.user.username());
        }
        Some(connection)
    }
}

/// Which of several servers, in the order in which they were made, has a connection of this number.
pub(super) fn owner_of(id: ConnectionId) -> usize {
    usize::try_from(id.number() >> OWNER_SHIFT).unwrap_or(usize::MAX)
}

/// Servers that can be told apart: bits above those of the number.
pub(super) const MAX_OWNERS: u32 = 1 << (u32::BITS - OWNER_SHIFT);
const OWNER_SHIFT: u32 = 22;
const MAX_NUMBER: u32 = (1 << OWNER_SHIFT) - 1;
/// Of numbers, until a free one is found.
const MAX_TRIES: u32 = 16;
