use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerline::{IceCandidate, PeerConnection};
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
    /// What the browser's WebSocket is to be told; `None` once a WebSocket has taken it.
    signals: Option<mpsc::Receiver<Signal>>,
}

/// What the browser is told over its WebSocket.
#[derive(Debug)]
pub(crate) enum Signal {
    /// A candidate of ours was found.
    Candidate(IceCandidate),
    /// There will be no connection.
    Failed {
        /// In one line.
        reason: String,
        /// All that is known.
        report: String,
    },
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
        table.insert(id.clone(), Session { peer: None, signals: None });
        drop(table);
        Some(Place { table: self.table.clone(), id })
    }

    /// The connection of that name and what its browser is to be told.
    pub(crate) fn attach(&self, id: &str) -> Result<(PeerConnection, mpsc::Receiver<Signal>), Unavailable> {
        let mut table = self.lock();
        let session = table.get_mut(id).ok_or(Unavailable::Unknown)?;
        let peer = session.peer.clone().ok_or(Unavailable::Unknown)?;
        let signals = session.signals.take().ok_or(Unavailable::Taken)?;
        Ok((peer, signals))
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
    pub(crate) fn fill(&self, peer: PeerConnection, signals: mpsc::Receiver<Signal>) {
        if let Some(session) = lock(&self.table).get_mut(&self.id) {
            *session = Session { peer: Some(peer), signals: Some(signals) };
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
