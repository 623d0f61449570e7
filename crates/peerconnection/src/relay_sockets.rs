//! Sockets that belong to one session each: a TURN server knows its clients by their addresses, a TCP connection leads to
//! one peer, and where sections are not bundled each transport beyond the first has its own.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use net::ready::{Kind, Ready, Signal};
use net::{Train, Transport};
use proto::{Carrier, Path, Transmit};
use session::TransportId;

use crate::ice_server::Server;

/// Opens a socket at an address, of whose port the system may choose.
pub(crate) type Open = dyn Fn(SocketAddr) -> io::Result<Arc<dyn Transport>> + Send + Sync;

/// The sockets for relaying of all sessions of a worker. Silent ones cost nothing: each has a waker of its own.
pub(crate) struct RelaySockets {
    open: Option<Arc<Open>>,
    /// Addresses at which they are opened.
    addresses: Vec<IpAddr>,
    /// Whether servers over TCP, TLS and DTLS may be connected to: not past a virtual network.
    connects: bool,
    sockets: BTreeMap<usize, RelaySocket>,
    next_key: usize,
    ready: Ready,
}

struct RelaySocket {
    session: usize,
    /// Of a connection: where it leads.
    stream: Option<Path>,
    /// And to which server, if not to a peer.
    server: Option<Server>,
    /// The transport whose it is, if it is not for relaying.
    owner: Option<TransportId>,
    transport: Arc<dyn Transport>,
    signal: Arc<Signal>,
    waker: Waker,
    /// What the socket had no room for.
    kept: Option<(Transmit, Vec<u8>)>,
}

impl RelaySocket {
    const fn carrier(&self) -> Carrier {
        match self.stream {
            Some(path) => path.carrier,
            None => Carrier::Udp,
        }
    }
}

/// What became of a send.
pub(crate) enum Sent {
    Done(io::Result<()>),
    /// There is no room: the bytes are kept, and the session has its turn again when they are gone.
    Kept,
}

/// What came, and on which path.
pub(crate) struct Received {
    pub path: Path,
    pub train: Train,
}

impl RelaySockets {
    /// At `addresses`, opened by `open`; without it none can be.
    pub(crate) fn new(open: Option<Arc<Open>>, addresses: Vec<IpAddr>, connects: bool) -> Self {
        Self { open, addresses, connects, sockets: BTreeMap::new(), next_key: 0, ready: Ready::new() }
    }

    /// Opens what `session` lacks to reach `server`: a socket at each address of its family, as long as it has fewer
    /// than `limit`; their keys are added to its `keys`. Says where the new ones are, and whether there is one at all
    /// that reaches the server.
    pub(crate) fn open(
        &mut self,
        session: usize,
        keys: &mut Vec<usize>,
        server: IpAddr,
        limit: usize,
    ) -> (Vec<SocketAddr>, bool) {
        let reaches =
            |ip: IpAddr| ip.is_ipv4() == server.is_ipv4() && ip.is_loopback() == server.is_loopback();
        let own = keys.iter().filter_map(|key| self.sockets.get(key));
        let own = own.filter(|socket| socket.stream.is_none() && socket.owner.is_none());
        let mut own: Vec<IpAddr> = own.map(|socket| socket.transport.local_address().ip()).collect();
        let mut opened = Vec::new();
        let Some(open) = self.open.clone() else { return (opened, false) };
        for address in self.addresses.clone().into_iter().filter(|address| reaches(*address)) {
            if own.len() >= limit || own.contains(&address) {
                continue;
            }
            match open(SocketAddr::new(address, 0)) {
                Ok(transport) => {
                    own.push(address);
                    opened.push(transport.local_address());
                    keys.push(self.add(session, None, None, None, transport));
                }
                // There may be others, and the report says so if there are none.
                Err(error) => tracing::debug!(%error, "no socket for relaying"),
            }
        }
        (opened, own.into_iter().any(reaches))
    }

    /// Opens what a transport of `session` lacks that has sockets of its own: one at each address, as long as it has fewer than
    /// `limit`; their keys are added to the session's `keys`. Says where the new ones are.
    pub(crate) fn open_for(
        &mut self,
        session: usize,
        keys: &mut Vec<usize>,
        owner: TransportId,
        limit: usize,
    ) -> Vec<SocketAddr> {
        let own = keys.iter().filter_map(|key| self.sockets.get(key));
        let own = own.filter(|socket| socket.owner == Some(owner));
        let own: Vec<IpAddr> = own.map(|socket| socket.transport.local_address().ip()).collect();
        let mut opened = Vec::new();
        let Some(open) = self.open.clone() else { return opened };
        for address in self.addresses.clone().into_iter().filter(|address| !own.contains(address)) {
            if own.len() + opened.len() >= limit {
                break;
            }
            match open(SocketAddr::new(address, 0)) {
                Ok(transport) => {
                    opened.push(transport.local_address());
                    keys.push(self.add(session, None, None, Some(owner), transport));
                }
                // There may be others; a transport without any finds no path, and the report says why.
                Err(error) => tracing::debug!(%error, "no socket for a transport"),
            }
        }
        opened
    }

    /// Closes the socket of a transport of the session's that is bound to this address.
    pub(crate) fn close_at(&mut self, keys: &mut Vec<usize>, address: SocketAddr) {
        let is_there = |key: &&usize| {
            let socket = self.sockets.get(*key);
            socket.is_some_and(|it| it.owner.is_some() && it.transport.local_address() == address)
        };
        if let Some(key) = keys.iter().find(is_there).copied() {
            self.sockets.remove(&key);
            keys.retain(|other| *other != key);
        }
    }

    /// Whether servers over TCP, TLS and DTLS may be connected to.
    pub(crate) const fn connects(&self) -> bool {
        self.connects
    }

    /// Takes a connection to a server in, for a session.
    pub(crate) fn add_stream(
        &mut self,
        session: usize,
        keys: &mut Vec<usize>,
        path: Path,
        stream: Arc<dyn Transport>,
        server: Server,
    ) {
        keys.push(self.add(session, Some(path), Some(server), None, stream));
    }

    /// Takes a connection to a peer in, for a session.
    pub(crate) fn add_peer(
        &mut self,
        session: usize,
        keys: &mut Vec<usize>,
        path: Path,
        stream: Arc<dyn Transport>,
    ) {
        keys.push(self.add(session, Some(path), None, None, stream));
    }

    /// Closes a session's connection to its peer, if it has it.
    pub(crate) fn remove_peer(&mut self, keys: &mut Vec<usize>, path: Path) {
        let leads_there = |key: &&usize| self.sockets.get(*key).is_some_and(|it| it.stream == Some(path));
        if let Some(key) = keys.iter().find(leads_there).copied() {
            self.sockets.remove(&key);
            keys.retain(|other| *other != key);
        }
    }

    /// How many of a session's sockets are connections to its peer.
    pub(crate) fn count_streams(&self, keys: &[usize]) -> usize {
        let sockets = keys.iter().filter_map(|key| self.sockets.get(key));
        sockets.filter(|socket| socket.carrier() == Carrier::Framed).count()
    }

    /// Closes the socket if it is a connection, of which an error is the end; says where it led, and to which server,
    /// if not to a peer.
    pub(crate) fn remove_stream(&mut self, key: usize) -> Option<(Path, Option<Server>)> {
        let path = self.sockets.get(&key)?.stream?;
        Some((path, self.sockets.remove(&key)?.server))
    }

    /// They are opened at these addresses from now on. Closes those at others, and says which, and whose they were.
    pub(crate) fn set_addresses(&mut self, addresses: Vec<IpAddr>) -> Vec<(usize, usize, SocketAddr)> {
        let is_gone = |socket: &RelaySocket| {
            socket.stream.is_none() && !addresses.contains(&socket.transport.local_address().ip())
        };
        let gone = self.sockets.extract_if(.., |_, socket| is_gone(socket));
        let gone =
            gone.map(|(key, socket)| (key, socket.session, socket.transport.local_address())).collect();
        self.addresses = addresses;
        gone
    }

    /// Closes the sockets of a session that is over.
    pub(crate) fn close(&mut self, keys: &[usize]) {
        for key in keys {
            self.sockets.remove(key);
        }
    }

    /// Takes over what was woken; the task is woken for what comes later.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) {
        self.ready.poll(cx);
    }

    /// The next socket that may have something, and whose it is; its turn begins.
    pub(crate) fn next(&mut self) -> Option<(usize, usize)> {
        loop {
            let key = self.ready.pop()?;
            // It may have been closed meanwhile.
            if let Some(socket) = self.sockets.get(&key) {
                socket.signal.begin_turn();
                return Some((key, socket.session));
            }
        }
    }

    /// Whether nobody's turn it is.
    pub(crate) fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }

    /// Gives a socket another turn.
    pub(crate) fn requeue(&self, key: usize) {
        if let Some(socket) = self.sockets.get(&key) {
            socket.waker.wake_by_ref();
        }
    }

    /// Receives a train at a socket.
    pub(crate) fn receive(&self, key: usize, buffer: &mut [u8]) -> Poll<io::Result<Received>> {
        let Some(socket) = self.sockets.get(&key) else { return Poll::Pending };
        let local = socket.transport.local_address();
        let train = socket.transport.poll_receive(&mut Context::from_waker(&socket.waker), buffer);
        train.map_ok(|train| {
            let path = Path { carrier: socket.carrier(), local, remote: train.remote };
            Received { path, train }
        })
    }

    /// Sends what the socket had no room for, if there is such; what became of it.
    pub(crate) fn flush(&mut self, key: usize) -> Option<io::Result<()>> {
        let socket = self.sockets.get_mut(&key)?;
        let (transmit, bytes) = socket.kept.as_ref()?;
        match socket.transport.poll_send(&mut Context::from_waker(&socket.waker), transmit, bytes) {
            Poll::Pending => None,
            Poll::Ready(sent) => {
                socket.kept = None;
                Some(sent)
            }
        }
    }

    /// Whether a socket of the session has something that must be sent before anything else.
    pub(crate) fn is_blocked(&self, keys: &[usize]) -> bool {
        keys.iter().any(|key| self.sockets.get(key).is_some_and(|socket| socket.kept.is_some()))
    }

    /// How many datagrams one send may carry on each of the session's sockets.
    pub(crate) fn max_segments(&self, keys: &[usize]) -> Option<usize> {
        keys.iter().filter_map(|key| Some(self.sockets.get(key)?.transport.max_segments())).min()
    }

    /// Sends on that of the session's sockets that is bound to the local address; `None` if none is.
    pub(crate) fn send(&mut self, keys: &[usize], transmit: &Transmit, bytes: &[u8]) -> Option<Sent> {
        let Path { carrier, local, .. } = transmit.path;
        let is_it = |socket: &RelaySocket| match socket.stream {
            Some(path) => path == transmit.path,
            None => carrier == Carrier::Udp && socket.transport.local_address() == local,
        };
        let key = keys.iter().find(|key| self.sockets.get(*key).is_some_and(is_it))?;
        let socket = self.sockets.get_mut(key)?;
        Some(match socket.transport.poll_send(&mut Context::from_waker(&socket.waker), transmit, bytes) {
            Poll::Ready(sent) => Sent::Done(sent),
            Poll::Pending => {
                socket.kept = Some((*transmit, bytes.to_vec()));
                Sent::Kept
            }
        })
    }

    fn add(
        &mut self,
        session: usize,
        stream: Option<Path>,
        server: Option<Server>,
        owner: Option<TransportId>,
        transport: Arc<dyn Transport>,
    ) -> usize {
        let key = self.next_key;
        self.next_key = self.next_key.wrapping_add(1);
        let signal = self.ready.signal(Kind::Relay, key);
        let waker = signal.waker();
        let socket = RelaySocket { session, stream, server, owner, transport, signal, waker, kept: None };
        self.sockets.insert(key, socket);
        key
    }
}
