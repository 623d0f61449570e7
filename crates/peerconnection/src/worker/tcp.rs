//! TCP connections of peers: those that come to the endpoint's port, and those that sessions want (RFC 6544).

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use net::{ByteStream, Listener, Transport};
use proto::{Arrival, Instant, Path};
use session::{Question, Target, TcpId, TcpRequest};
use tokio::task::JoinSet;
use tracing::debug;

use super::Worker;
use crate::TcpLimits;
use crate::framed_stream::FramedStream;

/// The endpoint's TCP ports, and connections that are nobody's yet.
pub(super) struct Tcp {
    listeners: Vec<Listener>,
    limits: TcpLimits,
    /// Accepted, and silent so far; in the order in which they came.
    waiting: VecDeque<Waiting>,
    by_source: BTreeMap<IpAddr, usize>,
    /// Accepted by other workers, with what they have said.
    pub(super) handed_over: Vec<(FramedStream, Vec<u8>)>,
    dials: JoinSet<Dialled>,
}

struct Waiting {
    stream: FramedStream,
    source: IpAddr,
    until: Instant,
}

/// Whose a connection is, by its first datagram.
enum First {
    Session(usize),
    /// Another worker's, who is given the datagram as well.
    Elsewhere(usize, Vec<u8>),
}

/// What became of a connection that a session wanted.
struct Dialled {
    session: usize,
    id: TcpId,
    stream: io::Result<FramedStream>,
}

impl Tcp {
    pub(super) fn new(listeners: Vec<Listener>, limits: TcpLimits) -> Self {
        Self {
            listeners,
            limits,
            waiting: VecDeque::new(),
            by_source: BTreeMap::new(),
            handed_over: Vec::new(),
            dials: JoinSet::new(),
        }
    }

    /// When the next connection has been silent for too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.until)
    }

    fn admit(&mut self, now: Instant, stream: ByteStream, local: SocketAddr, remote: SocketAddr) {
        let source = source_of(remote.ip());
        let count = self.by_source.get(&source).copied().unwrap_or_default();
        if count >= self.limits.max_waiting_per_source || self.limits.max_waiting == 0 {
            debug!(%remote, "too many silent connections from one source");
            return;
        }
        // Who has been silent for longest is the least likely to say anything.
        while self.waiting.len() >= self.limits.max_waiting {
            self.forget(0);
        }
        *self.by_source.entry(source).or_default() += 1;
        let stream = FramedStream::new(stream, local, remote, MAX_FIRST);
        self.waiting.push_back(Waiting { stream, source, until: now + self.limits.first_message });
    }

    fn forget(&mut self, place: usize) -> Option<FramedStream> {
        let Waiting { stream, source, .. } = self.waiting.remove(place)?;
        if let Some(count) = self.by_source.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
        Some(stream)
    }

    fn expire(&mut self, now: Instant) {
        while self.waiting.front().is_some_and(|waiting| waiting.until <= now) {
            self.forget(0);
        }
    }
}

impl Worker {
    /// Accepts connections, and hears whose they are; says whether there may be more.
    pub(super) fn receive_tcp(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.clock.now();
        self.tcp.expire(now);
        let mut more = false;
        for number in 0..self.tcp.listeners.len() {
            let mut budget = ACCEPTS_PER_TURN;
            while let Some(listener) = self.tcp.listeners.get(number) {
                if budget == 0 {
                    more = true;
                    break;
                }
                budget -= 1;
                match listener.poll_accept(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok((stream, remote))) => {
                        let local = listener.local_address();
                        self.tcp.admit(now, stream, local, remote);
                    }
                    Poll::Ready(Err(error)) => {
                        if self.receive_lines.allow(now) {
                            debug!(%error, "accept");
                        }
                        // As where too many files are open: others have to end first.
                        more = false;
                        break;
                    }
                }
            }
        }
        for (stream, first) in std::mem::take(&mut self.tcp.handed_over) {
            self.take_over(stream, &first);
        }
        self.hear_first(cx);
        self.take_dialled(cx);
        more
    }

    /// The first datagram of a connection says whose it is.
    fn hear_first(&mut self, cx: &mut Context<'_>) {
        let mut place = 0;
        while let Some(waiting) = self.tcp.waiting.get(place) {
            match waiting.stream.poll_receive(cx, &mut self.receive_buffer) {
                Poll::Pending => place += 1,
                Poll::Ready(received) => {
                    let Some(stream) = self.tcp.forget(place) else { break };
                    let path = stream.path();
                    match received.ok().and_then(|train| self.hand_over_first(path, train.len)) {
                        Some(First::Session(session)) => _ = self.adopt(session, stream),
                        Some(First::Elsewhere(worker, first)) => self.pass_on_stream(worker, stream, first),
                        None => self.inbox.count_stray(),
                    }
                }
            }
        }
    }

    /// Hands a connection to the worker that has the session, as long as few wait there.
    fn pass_on_stream(&self, worker: usize, stream: FramedStream, first: Vec<u8>) {
        let inbox = self.neighbours.as_ref().and_then(|neighbours| neighbours.inbox(worker));
        let is_taken = inbox.is_some_and(|inbox| inbox.hand_over(stream, first, self.tcp.limits.max_waiting));
        let counters = &self.inbox.counters;
        let counter = if is_taken { &counters.passed_on } else { &counters.not_passed_on };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a connection over that has come to another worker, with what it has said.
    fn take_over(&mut self, stream: FramedStream, first: &[u8]) {
        let path = stream.path();
        if let Some(place) = self.receive_buffer.get_mut(..first.len()) {
            place.copy_from_slice(first);
        }
        match self.hand_over_first(path, first.len()) {
            Some(First::Session(session)) => _ = self.adopt(session, stream),
            // It has come as far as it can.
            Some(First::Elsewhere(..)) | None => self.inbox.count_stray(),
        }
    }

    /// Gives the first datagram to the session that it names. The session whose check it is, with the right code, has
    /// the connection; what proves nothing ends it.
    fn hand_over_first(&mut self, path: Path, len: usize) -> Option<First> {
        let datagram = self.receive_buffer.get_mut(..len)?;
        if !datagram.starts_with(&BINDING_REQUEST) {
            return None;
        }
        let neighbours = &self.neighbours;
        let others = |question: Question<'_>| neighbours.as_ref()?.find(question);
        let key = match self.demux.route_among(path, datagram, others) {
            Target::Session(key) => key,
            Target::Elsewhere(worker) => return Some(First::Elsewhere(worker, datagram.to_vec())),
            Target::Unknown { .. } | Target::Nobody => return None,
        };
        let driven = self.sessions.get(&key)?;
        if self.relays.count_streams(&driven.relays) >= self.tcp.limits.max_per_connection {
            return None;
        }
        let arrival = Arrival { path, ecn: None, at: self.clock.now() };
        driven.connection.lock().session.handle_datagram(arrival, datagram).ok()?;
        Some(First::Session(key))
    }

    fn adopt(&mut self, session: usize, stream: FramedStream) -> Option<Path> {
        let driven = self.sessions.get_mut(&session)?;
        let path = stream.path();
        stream.admit();
        self.relays.add_peer(session, &mut driven.relays, path, Arc::new(stream));
        self.dirty.insert(session);
        Some(path)
    }

    /// Opens and closes what a session wants to have opened and closed.
    pub(super) fn carry_out(&mut self, session: usize, request: TcpRequest) {
        let Some(driven) = self.sessions.get_mut(&session) else { return };
        match request {
            TcpRequest::Close(path) => {
                self.relays.remove_peer(&mut driven.relays, path);
            }
            TcpRequest::Open { id, .. } if !self.relays.connects() => {
                let now = self.clock.now();
                driven.connection.lock().session.tcp_failed(now, id);
                self.dirty.insert(session);
            }
            TcpRequest::Open { id, local, remote } => {
                let task = self
                    .tcp
                    .dials
                    .spawn(async move { Dialled { session, id, stream: dial(local, remote).await } });
                driven.connecting.retain(|task| !task.is_finished());
                driven.connecting.push(task);
            }
            _ => {}
        }
    }

    /// Tells the sessions what became of the connections that they wanted.
    fn take_dialled(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(dialled)) = self.tcp.dials.poll_join_next(cx) {
            // They do not panic, and who ends them wants nothing of them.
            let Ok(Dialled { session, id, stream }) = dialled else { continue };
            let path = match stream {
                Ok(stream) => self.adopt(session, stream),
                Err(error) => {
                    debug!(%error, "no TCP connection to a peer");
                    None
                }
            };
            let Some(driven) = self.sessions.get(&session) else { continue };
            let now = self.clock.now();
            let mut core = driven.connection.lock();
            match path {
                Some(path) => core.session.tcp_opened(now, id, path),
                None => core.session.tcp_failed(now, id),
            }
            drop(core);
            self.dirty.insert(session);
        }
    }
}

async fn dial(local: SocketAddr, remote: SocketAddr) -> io::Result<FramedStream> {
    let mut stream = ByteStream::connect_from(local, remote);
    tokio::time::timeout(DIAL, poll_fn(|cx| stream.poll_open(cx))).await??;
    let local = stream.local_address().ok_or(io::ErrorKind::NotConnected)?;
    Ok(FramedStream::new(stream, local, remote, MAX_FIRST))
}

/// Of IPv6 the network: its addresses are one customer's (RFC 6177 §2).
fn source_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// RFC 8489 §5: the type of a Binding request.
const BINDING_REQUEST: [u8; 2] = [0, 1];
/// Bytes of the first datagram: a check has a few hundred.
const MAX_FIRST: usize = 1500;
/// Connections accepted at a port in a turn.
const ACCEPTS_PER_TURN: usize = 32;
/// For a connection to a peer: the system's own patience may be minutes.
const DIAL: Duration = Duration::from_secs(10);
