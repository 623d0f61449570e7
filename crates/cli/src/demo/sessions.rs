use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerline::{Description, IceCandidate, PeerConnection};
use serde_json::Value;
use tokio::sync::mpsc;

/// The browsers that are connected or about to be. Each has a place here as long as its [`Place`] lives.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    table: Arc<Mutex<BTreeMap<String, Session>>>,
}

#[derive(Debug)]
struct Session {
    /// `None` between the reservation of the place and the answer.
    peer: Option<PeerConnection>,
    /// What a WebSocket of the browser's is joined with; `None` once one has taken it.
    wires: Option<Wires>,
}

/// What goes through the WebSocket of a session.
#[derive(Debug)]
pub(crate) struct Wires {
    /// What the browser is to be told.
    pub signals: mpsc::Receiver<Signal>,
    /// What the browser wants.
    pub commands: mpsc::Sender<Command>,
}

/// What the browser is told over its WebSocket.
#[derive(Debug)]
pub(crate) enum Signal {
    /// A candidate of ours was found.
    Candidate(IceCandidate),
    /// An offer of ours, which is to be answered.
    Offer(Description),
    /// What the page shows.
    News(Value),
    /// There will be no connection.
    Failed {
        /// In one line.
        reason: String,
        /// All that is known.
        report: String,
    },
}

/// What a browser wants of its session.
#[derive(Debug)]
pub(crate) enum Command {
    /// It answers an offer.
    Answer(Description),
    /// It wants its call to be recorded, or not any more.
    Record(bool),
    /// Of what others in the room send it wants no more than this, in bit/s.
    Limit(Option<u64>),
}

/// Why a WebSocket has nothing to do with a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unavailable {
    /// There is none of that name, or it has ended.
    Unknown,
    /// Another WebSocket serves it.
    Taken,
}

impl Sessions {
    /// Reserves a place under the name `id`; `None` if all are taken.
    pub(crate) fn reserve(&self, id: String) -> Option<Place> {
        let mut table = self.lock();
        if table.len() >= MAX_SESSIONS || table.contains_key(&id) {
            return None;
        }
        table.insert(id.clone(), Session { peer: None, wires: None });
        drop(table);
        Some(Place { table: self.table.clone(), id })
    }

    /// The connection of that name, and what its browser is joined with.
    pub(crate) fn attach(&self, id: &str) -> Result<(PeerConnection, Wires), Unavailable> {
        let mut table = self.lock();
        let session = table.get_mut(id).ok_or(Unavailable::Unknown)?;
        let peer = session.peer.clone().ok_or(Unavailable::Unknown)?;
        let wires = session.wires.take().ok_or(Unavailable::Taken)?;
        Ok((peer, wires))
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Closes every connection and waits until the browsers know.
    pub(crate) async fn close_all(&self) {
        let peers: Vec<PeerConnection> =
            self.lock().values().filter_map(|session| session.peer.clone()).collect();
        peers.iter().for_each(PeerConnection::close);
        for peer in peers {
            peer.closed().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Session>> {
        lock(&self.table)
    }
}

/// A place in the table; dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Place {
    table: Arc<Mutex<BTreeMap<String, Session>>>,
    id: String,
}

impl Place {
    /// The name of the session.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Puts the connection there, so that a WebSocket finds it.
    pub(crate) fn fill(&self, peer: PeerConnection, wires: Wires) {
        if let Some(session) = lock(&self.table).get_mut(&self.id) {
            *session = Session { peer: Some(peer), wires: Some(wires) };
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The connection closes where its last handle is dropped: not under the lock.
        let session = lock(&self.table).remove(&self.id);
        drop(session);
    }
}

fn lock(table: &Mutex<BTreeMap<String, Session>>) -> MutexGuard<'_, BTreeMap<String, Session>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Browsers at a time.
pub(crate) const MAX_SESSIONS: usize = 64;
