use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dtls::{Connection, ConnectionId, Delivery, Endpoint, Event};
use proto::{Arrival, Batch, Instant, Path, Transmit};

use crate::DtlsServer;
use crate::connections::Connections;

/// The DTLS associations of one listener: each carries the datagrams of one client (RFC 8656 §3.1).
///
/// A stranger gets a cookie and leaves nothing behind. Whoever sends it back is counted as a connection is, and as a
/// handshake until that is complete.
#[derive(Debug)]
pub(crate) struct Associations {
    endpoint: Endpoint,
    config: Arc<dtls::Config>,
    clients: BTreeMap<ConnectionId, Client>,
    /// When clients have to be looked at.
    timers: BTreeSet<(Instant, ConnectionId)>,
    /// Clients that are gone, and may have had an allocation.
    gone: Vec<Path>,
    connections: Arc<Connections>,
    first_message: Duration,
    idle: Duration,
    /// Strangers are not answered any more.
    is_closing: bool,
    pub(crate) counts: DtlsCounts,
}

#[derive(Debug)]
struct Client {
    path: Path,
    opened: Instant,
    /// When it said something, the last time.
    heard: Option<Instant>,
    is_handshaking: bool,
}

/// What is counted of DTLS.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DtlsCounts {
    /// Handshakes that were completed.
    pub(crate) completed: u64,
    /// Datagrams of strangers for whom there was no room.
    pub(crate) refused: u64,
    /// Datagrams and records that meant nothing: forged, repeated, or no DTLS at all.
    pub(crate) discarded: u64,
}

impl Associations {
    pub(crate) fn new(
        config: Arc<dtls::Config>,
        connections: Arc<Connections>,
        first_message: Duration,
        idle: Duration,
        seed: [u8; 32],
    ) -> Self {
        Self {
            endpoint: Endpoint::new(config.clone(), seed),
            config,
            clients: BTreeMap::new(),
            timers: BTreeSet::new(),
            gone: Vec::new(),
            connections,
            first_message,
            idle,
            is_closing: false,
            counts: DtlsCounts::default(),
        }
    }

    /// How many there are, those included whose handshake is not complete.
    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Shows this from now on to those who come.
    pub(crate) fn show(&mut self, shown: &DtlsServer) {
        Arc::make_mut(&mut self.config).identity = Some(shown.identity());
        self.endpoint.set_config(self.config.clone());
    }

    /// Strangers are not answered from now on.
    pub(crate) const fn refuse_strangers(&mut self) {
        self.is_closing = true;
    }

    /// Takes a datagram, and has `each` take the messages that were in it. Says whether something may have to be sent
    /// before the next one is taken.
    pub(crate) fn receive(
        &mut self,
        arrival: Arrival,
        datagram: &mut [u8],
        mut each: impl FnMut(&[u8]),
    ) -> bool {
        let (path, now) = (arrival.path, arrival.at);
        let is_stranger = self.endpoint.connection_at(&path).is_none();
        if is_stranger && (self.is_closing || !self.connections.may_shake_hands(path.remote.ip())) {
            count(&mut self.counts.refused);
            return false;
        }
        let (id, mut records) = match self.endpoint.handle_datagram(arrival, datagram) {
            Ok(Delivery::Records(id, records)) => (id, records),
            Ok(Delivery::Consumed) => return true,
            Err(_) => {
                count(&mut self.counts.discarded);
                return false;
            }
        };
        let mut is_too_many = false;
        let client = self.clients.entry(id).or_insert_with(|| {
            is_too_many = !self.connections.shake_hands(path.remote.ip());
            self.timers.insert((now + self.first_message, id));
            Client { path, opened: now, heard: None, is_handshaking: true }
        });
        while let Some(record) = records.next_record() {
            match record {
                Ok(message) => {
                    client.heard = Some(now);
                    each(message);
                }
                Err(_) => count(&mut self.counts.discarded),
            }
        }
        drop(records);
        let is_handshaking = client.is_handshaking;
        if is_too_many {
            // Another worker was faster.
            count(&mut self.counts.refused);
            self.clients.remove(&id);
            if let Some(connection) = self.endpoint.connection_mut(id) {
                connection.close(now);
            }
        }
        is_handshaking
    }

    /// The association on this path, to which something is to be said.
    pub(crate) fn at(&mut self, path: &Path) -> Option<&mut Connection> {
        let id = self.endpoint.connection_at(path)?;
        self.endpoint.connection_mut(id).filter(|connection| connection.is_connected())
    }

    /// Sends what the handshakes want to be sent, and takes note of what became of them.
    pub(crate) fn drain(&mut self, now: Instant, mut send: impl FnMut(&Transmit, &[u8])) {
        let mut memory = [0; LONGEST];
        loop {
            let mut batch = Batch::new(&mut memory, 1, LONGEST);
            let Some(transmit) = self.endpoint.poll_transmit(now, &mut batch) else { break };
            send(&transmit, batch.bytes());
        }
        while let Some((id, event)) = self.endpoint.poll_event() {
            match event {
                Event::Connected => {
                    if let Some(client) = self.clients.get_mut(&id)
                        && std::mem::take(&mut client.is_handshaking)
                    {
                        count(&mut self.counts.completed);
                        self.connections.handshake_over();
                    }
                }
                Event::Closed(_) => self.forget(id),
                // Nobody is asked for one.
                Event::PeerCertificate | _ => {}
            }
        }
    }

    fn forget(&mut self, id: ConnectionId) {
        let Some(client) = self.clients.remove(&id) else { return };
        if client.is_handshaking {
            self.connections.handshake_over();
        }
        self.connections.close(client.path.remote.ip());
        self.gone.push(client.path);
    }

    /// A client that is gone since, once.
    pub(crate) fn take_gone(&mut self) -> Option<Path> {
        self.gone.pop()
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let client = self.timers.first().map(|(at, _)| *at);
        [client, self.endpoint.poll_timeout()].into_iter().flatten().min()
    }

    /// Repeats what was not answered, and closes those that were silent for too long.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        while let Some((due, id)) = self.timers.first().copied().filter(|(due, _)| *due <= now) {
            self.timers.remove(&(due, id));
            let Some(client) = self.clients.get(&id) else { continue };
            let first = client.opened + self.first_message;
            let deadline = client.heard.map_or(first, |heard| heard + self.idle);
            if deadline > now {
                self.timers.insert((deadline, id));
            } else if let Some(connection) = self.endpoint.connection_mut(id) {
                connection.close(now);
            }
        }
    }

    /// Tells all clients that it is over.
    pub(crate) fn close_all(&mut self, now: Instant) {
        self.is_closing = true;
        for id in self.clients.keys() {
            if let Some(connection) = self.endpoint.connection_mut(*id) {
                connection.close(now);
            }
        }
    }
}

impl Drop for Associations {
    fn drop(&mut self) {
        // The count is that of all workers.
        for client in self.clients.values() {
            self.connections.close(client.path.remote.ip());
            if client.is_handshaking {
                self.connections.handshake_over();
            }
        }
    }
}

const fn count(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}

/// Bytes of the longest datagram of a handshake: `dtls::Config::max_datagram` is less.
const LONGEST: usize = 1500;
