//! The only driver of sessions: one task that owns the sockets, the timers and the buffers of an endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use net::{Clock, InterfaceWatch, Listener, RECEIVE_BUFFER, SEND_BUFFER, Train, Transport};
use proto::{Arrival, Batch, Carrier, Instant, Path, Transmit};
use session::{Demux, LocalName, Route, Target};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Sleep;
use tracing::debug;

use crate::TcpLimits;
use crate::addresses::Wishes;
use crate::connection::{Connection, Core};
use crate::ice_server::Server;
use crate::log::Lines;
use crate::names::Names;
use crate::relay_sockets::{self, RelaySockets};
use crate::strangers::WaitingRoom;
use tcp::Tcp;

mod networks;
mod servers;
mod tcp;

/// How the rest of the process reaches a worker.
#[derive(Default)]
pub(crate) struct Inbox {
    letters: Mutex<Letters>,
}

#[derive(Default)]
struct Letters {
    added: Vec<(usize, Arc<Connection>, Vec<Server>)>,
    touched: BTreeSet<usize>,
    /// Nobody can add connections any more.
    last: bool,
    /// The worker has ended.
    ended: bool,
    next_key: usize,
    waker: Option<Waker>,
}

impl Inbox {
    /// Hands a connection to the worker, and the servers that are to be looked up for it; its key, or `None` if the
    /// worker has ended.
    pub(crate) fn add(&self, connection: Arc<Connection>, servers: Vec<Server>) -> Option<usize> {
        let mut letters = self.lock();
        if letters.ended || letters.last {
            return None;
        }
        let key = letters.next_key;
        letters.next_key += 1;
        letters.added.push((key, connection, servers));
        wake(letters);
        Some(key)
    }

    /// Says that a session has something to do.
    pub(crate) fn touch(&self, key: usize) {
        let mut letters = self.lock();
        if !letters.ended && letters.touched.insert(key) {
            wake(letters);
        }
    }

    /// Says that no connection will be added any more: the worker ends with the last one.
    pub(crate) fn no_more(&self) {
        let mut letters = self.lock();
        letters.last = true;
        wake(letters);
    }

    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(mut letters: MutexGuard<'_, Letters>) {
    let waker = letters.waker.take();
    drop(letters);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The addresses of an endpoint, and names that stand for them where they are hidden.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    pub(crate) local: Vec<SocketAddr>,
    pub(crate) names: Vec<(IpAddr, LocalName)>,
    /// Reports say which interfaces there are: not where addresses are hidden, nor past a virtual network.
    pub(crate) tells_interfaces: bool,
}

/// How an endpoint follows the addresses of the machine.
pub(crate) struct Follow {
    pub(crate) watch: InterfaceWatch,
    pub(crate) wishes: Wishes,
}

/// The task's state; the task is this future.
pub(crate) struct Worker {
    inbox: Arc<Inbox>,
    clock: Clock,
    sockets: Vec<Socket>,
    relays: RelaySockets,
    /// Multicast DNS.
    names: Names,
    /// What connections to come are told of.
    networks: Arc<Mutex<Networks>>,
    /// None where the addresses are what they are.
    follow: Option<Follow>,
    tcp: Tcp,
    /// Names of servers that are being looked up, for a connection each.
    lookups: JoinSet<(usize, servers::Step)>,
    demux: Demux,
    sessions: BTreeMap<usize, Driven>,
    /// When each session has to be looked at next.
    timers: BTreeSet<(Instant, usize)>,
    /// Sessions that may have something to send or to tell.
    dirty: BTreeSet<usize>,
    sleep: Pin<Box<Sleep>>,
    receive_buffer: Vec<u8>,
    send_buffer: Vec<u8>,
    /// Who asks for somebody who is not there.
    strangers: Arc<WaitingRoom>,
    /// Told what nobody's datagrams are: their number.
    strays: u64,
    /// What is logged of errors, either way.
    receive_lines: Lines,
    send_lines: Lines,
}

struct Socket {
    transport: Arc<dyn Transport>,
    /// What the socket had no room for: sent before anything else.
    kept: Option<(Transmit, Vec<u8>)>,
}

struct Driven {
    connection: Arc<Connection>,
    timer: Option<Instant>,
    /// Its own sockets, and the names that are looked up for it.
    relays: Vec<usize>,
    /// The TURN servers over UDP that it uses.
    turn_servers: Vec<IpAddr>,
    lookups: usize,
    /// Servers over TCP and TLS, which are connected to once gathering begins.
    streams: Vec<Server>,
    /// Those of them that let others go first, and those that others went before.
    waiting: Vec<Server>,
    spare: Vec<Server>,
    /// Where the TURN servers are that were found, each with its [`Server::group`].
    asked: Vec<(usize, SocketAddr)>,
    /// The tasks that connect to such servers.
    connecting: Vec<AbortHandle>,
}

impl Worker {
    /// To be made within a tokio runtime.
    pub(crate) fn new(
        inbox: Arc<Inbox>,
        clock: Clock,
        transports: Vec<Arc<dyn Transport>>,
        relays: RelaySockets,
        (names, networks, follow): (Names, Arc<Mutex<Networks>>, Option<Follow>),
        (listeners, limits): (Vec<Listener>, TcpLimits),
        strangers: Arc<WaitingRoom>,
    ) -> Self {
        Self {
            strangers,
            inbox,
            clock,
            sockets: transports.into_iter().map(|transport| Socket { transport, kept: None }).collect(),
            relays,
            names,
            networks,
            follow,
            tcp: Tcp::new(listeners, limits),
            lookups: JoinSet::new(),
            demux: Demux::default(),
            sessions: BTreeMap::new(),
            timers: BTreeSet::new(),
            dirty: BTreeSet::new(),
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            receive_buffer: vec![0; RECEIVE_BUFFER],
            send_buffer: vec![0; SEND_BUFFER],
            strays: 0,
            receive_lines: Lines::default(),
            send_lines: Lines::default(),
        }
    }

    /// Takes what the rest of the process has for us; says whether more can come.
    fn read_letters(&mut self, cx: &Context<'_>) -> bool {
        let mut letters = self.inbox.lock();
        let added = std::mem::take(&mut letters.added);
        self.dirty.append(&mut letters.touched);
        letters.waker = Some(cx.waker().clone());
        let open = !letters.last;
        drop(letters);
        for (key, connection, servers) in added {
            let driven = Driven {
                connection,
                timer: None,
                relays: Vec::new(),
                turn_servers: Vec::new(),
                lookups: 0,
                streams: Vec::new(),
                waiting: Vec::new(),
                spare: Vec::new(),
                asked: Vec::new(),
                connecting: Vec::new(),
            };
            self.sessions.insert(key, driven);
            self.dirty.insert(key);
            if !servers.is_empty() {
                self.look_up(key, servers);
            }
        }
        open
    }

    /// Receives what has arrived, up to a budget; says whether there may be more.
    fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        let mut more = false;
        for number in 0..self.sockets.len() {
            // Each socket has its own: what floods one must not keep the others waiting.
            let mut budget = TRAINS_PER_TURN;
            while let Some(socket) = self.sockets.get(number) {
                if budget == 0 {
                    more = true;
                    break;
                }
                match socket.transport.poll_receive(cx, &mut self.receive_buffer) {
                    Poll::Pending => break,
                    Poll::Ready(Err(error)) => {
                        // ICMP errors of earlier sends come back here; the next call goes on.
                        if self.receive_lines.allow(self.clock.now()) {
                            debug!(%error, "receive");
                        }
                        budget -= 1;
                    }
                    Poll::Ready(Ok(train)) => {
                        let local = socket.transport.local_address();
                        self.deliver(local, train);
                        budget -= 1;
                    }
                }
            }
        }
        more |= self.receive_tcp(cx);
        more |= self.receive_relayed(cx);
        more
    }

    /// What sockets for relaying have, each within a budget; says whether there may be more.
    fn receive_relayed(&mut self, cx: &mut Context<'_>) -> bool {
        self.relays.poll(cx);
        for _ in 0..RELAYS_PER_TURN {
            let Some((socket, session)) = self.relays.next() else { break };
            if let Some(sent) = self.relays.flush(socket) {
                note_failure(&mut self.send_lines, self.clock.now(), sent);
                // What waited behind it has its turn.
                self.dirty.insert(session);
            }
            let mut budget = TRAINS_PER_TURN;
            while let Poll::Ready(received) = self.relays.receive(socket, &mut self.receive_buffer) {
                match received {
                    Ok(received) => self.deliver_relayed(session, &received),
                    Err(error) => {
                        if self.receive_lines.allow(self.clock.now()) {
                            debug!(%error, "receive");
                        }
                        if self.lose_stream(socket, session) {
                            break;
                        }
                    }
                }
                budget -= 1;
                if budget == 0 {
                    self.relays.requeue(socket);
                    break;
                }
            }
        }
        !self.relays.is_idle()
    }

    /// What comes to a socket of one session is for nobody else.
    fn deliver_relayed(&mut self, session: usize, received: &relay_sockets::Received) {
        let relay_sockets::Received { path, train } = *received;
        let Some(driven) = self.sessions.get(&session) else { return };
        let arrival = Arrival { path, ecn: train.ecn, at: self.clock.now() };
        let datagrams = self.receive_buffer.get_mut(..train.len).unwrap_or_default();
        let mut core = driven.connection.lock();
        for datagram in datagrams.chunks_mut(train.stride) {
            // What is refused is counted by the session itself.
            let _ = core.session.handle_datagram(arrival, datagram);
        }
        drop(core);
        self.dirty.insert(session);
    }

    fn deliver(&mut self, local: SocketAddr, train: Train) {
        let now = self.clock.now();
        let path = Path { carrier: Carrier::Udp, local, remote: train.remote };
        let arrival = Arrival { path, ecn: train.ecn, at: now };
        let Self { receive_buffer, demux, sessions, dirty, strays, strangers, .. } = self;
        let datagrams = receive_buffer.get_mut(..train.len).unwrap_or_default().chunks_mut(train.stride);
        // The datagrams of a train nearly always belong to one session: it is locked once.
        let mut open: Option<(usize, MutexGuard<'_, Core>)> = None;
        for datagram in datagrams {
            let key = match demux.route(path, datagram) {
                Target::Session(key) => key,
                Target::Unknown { ufrag, remote_ufrag } => {
                    *strays += 1;
                    strangers.enter(path, ufrag, remote_ufrag, datagram);
                    continue;
                }
                Target::Nobody => {
                    *strays += 1;
                    continue;
                }
            };
            if open.as_ref().is_none_or(|(locked, _)| *locked != key) {
                // The old lock is given back before the next is taken.
                drop(open.take());
                let Some(driven) = sessions.get(&key) else { continue };
                open = Some((key, driven.connection.lock()));
                dirty.insert(key);
            }
            if let Some((_, core)) = &mut open {
                // What is refused is counted by the session itself.
                let _ = core.session.handle_datagram(arrival, datagram);
            }
        }
    }

    /// Wakes the sessions whose time has come.
    fn expire(&mut self, now: Instant) {
        while let Some((due, key)) = self.timers.first().copied().filter(|(due, _)| *due <= now) {
            self.timers.remove(&(due, key));
            if let Some(driven) = self.sessions.get_mut(&key) {
                driven.timer = None;
                driven.connection.lock().session.handle_timeout(now);
                self.dirty.insert(key);
            }
        }
    }

    /// Sends what sockets had no room for; says whether all of it is gone.
    fn flush(&mut self, cx: &mut Context<'_>) -> bool {
        let mut gone = true;
        for socket in &mut self.sockets {
            if let Some((transmit, bytes)) = &socket.kept {
                match socket.transport.poll_send(cx, transmit, bytes) {
                    Poll::Pending => gone = false,
                    Poll::Ready(sent) => {
                        note_failure(&mut self.send_lines, self.clock.now(), sent);
                        socket.kept = None;
                    }
                }
            }
        }
        gone
    }

    /// Has the sessions that were touched send and tell, each within a budget; says whether one has more.
    fn pump(&mut self, cx: &mut Context<'_>) -> bool {
        let mut more = false;
        for key in std::mem::take(&mut self.dirty) {
            let Some(driven) = self.sessions.get(&key) else { continue };
            let (connection, has_streams) = (driven.connection.clone(), !driven.streams.is_empty());
            let mut core = connection.lock();
            // The clock is read after the lock is taken, so that time never goes back for a session.
            let now = self.clock.now();
            self.follow_routes(&mut core, key);
            let mut is_blocked = false;
            for left in (0..BATCHES_PER_TURN).rev() {
                match self.send_one(cx, &mut core, key, now) {
                    Sent::Nothing => break,
                    // It may have more, and nothing else need wake us for it.
                    Sent::Batch if left == 0 => _ = self.dirty.insert(key),
                    Sent::Batch => {}
                    Sent::Blocked => {
                        self.dirty.insert(key);
                        break;
                    }
                    Sent::RelayBlocked => {
                        is_blocked = true;
                        break;
                    }
                }
            }
            self.follow_routes(&mut core, key);
            while let Some(name) = core.session.poll_name() {
                self.names.resolve(now, key, name);
            }
            core.spread_news(now);
            let timer = core.session.poll_timeout();
            // What is due cannot leave before the socket says so.
            let timer = timer.map(|due| if is_blocked { due.max(now + BLOCKED_WAIT) } else { due });
            let over = core.is_over();
            let gathers = has_streams && core.session.gathers();
            let is_decided = self.sessions.get(&key).is_some_and(|driven| driven.is_decided(&core.session));
            let mut requests = Vec::new();
            requests.extend(std::iter::from_fn(|| core.session.poll_tcp()));
            drop(core);
            // Tasks that connect are heard of from the next turn on.
            more |= !requests.is_empty();
            requests.into_iter().for_each(|request| self.carry_out(key, request));
            if gathers {
                more |= self.open_streams(key);
            }
            if is_decided {
                self.settle_race(key);
                more = true;
            }
            if over {
                self.remove(key);
            } else {
                self.set_timer(key, timer);
            }
        }
        more || !self.dirty.is_empty()
    }

    fn send_one(&mut self, cx: &mut Context<'_>, core: &mut Core, key: usize, now: Instant) -> Sent {
        if self.sockets.iter().any(|socket| socket.kept.is_some()) {
            return Sent::Blocked;
        }
        let own = self.sessions.get(&key).map_or(&[][..], |driven| &driven.relays);
        if self.relays.is_blocked(own) {
            return Sent::RelayBlocked;
        }
        let shared = self.sockets.iter().map(|socket| socket.transport.max_segments()).min();
        let max_segments = shared.into_iter().chain(self.relays.max_segments(own)).min().unwrap_or(1);
        let mut batch = Batch::new(&mut self.send_buffer, max_segments, MAX_DATAGRAM);
        let Some(transmit) = core.session.poll_transmit(now, &mut batch) else { return Sent::Nothing };
        let bytes = batch.bytes();
        match self.relays.send(own, &transmit, bytes) {
            Some(relay_sockets::Sent::Done(sent)) => {
                note_failure(&mut self.send_lines, now, sent);
                return Sent::Batch;
            }
            Some(relay_sockets::Sent::Kept) => return Sent::RelayBlocked,
            None => {}
        }
        let Path { carrier, local, .. } = transmit.path;
        let is_it =
            |socket: &&mut Socket| carrier == Carrier::Udp && socket.transport.local_address() == local;
        let Some(socket) = self.sockets.iter_mut().find(is_it) else {
            if self.send_lines.allow(now) {
                debug!("no socket for a transmit");
            }
            return Sent::Batch;
        };
        self.demux.note_sent(bytes, key);
        match socket.transport.poll_send(cx, &transmit, bytes) {
            Poll::Ready(sent) => note_failure(&mut self.send_lines, now, sent),
            Poll::Pending => socket.kept = Some((transmit, bytes.to_vec())),
        }
        Sent::Batch
    }

    fn follow_routes(&mut self, core: &mut Core, key: usize) {
        while let Some(route) = core.session.poll_route() {
            match route {
                Route::UfragAdded(ufrag) => self.demux.add_ufrag(&ufrag, key),
                Route::UfragRemoved(ufrag) => self.demux.remove_ufrag(&ufrag, key),
                Route::PathClaimed(path) => self.demux.claim_path(path, key),
                Route::PathAdded(path) => self.demux.add_path(path, key),
                Route::PathRemoved(path) => self.demux.remove_path(path, key),
            }
        }
    }

    fn set_timer(&mut self, key: usize, timer: Option<Instant>) {
        let Some(driven) = self.sessions.get_mut(&key) else { return };
        if driven.timer != timer {
            if let Some(old) = driven.timer {
                self.timers.remove(&(old, key));
            }
            if let Some(new) = timer {
                self.timers.insert((new, key));
            }
            driven.timer = timer;
        }
    }

    fn remove(&mut self, key: usize) {
        self.set_timer(key, None);
        if let Some(driven) = self.sessions.remove(&key) {
            self.relays.close(&driven.relays);
            driven.connecting.iter().for_each(AbortHandle::abort);
        }
        self.names.forget(key);
        self.demux.remove_session(key);
    }
}

enum Sent {
    Nothing,
    Batch,
    Blocked,
    /// A socket of its own has no room, and says when it has.
    RelayBlocked,
}

impl Future for Worker {
    type Output = ();

    /// A turn: letters, arrivals, timers, then the sessions that any of them touched.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let open = this.read_letters(cx);
        this.follow_networks(cx);
        this.take_found(cx);
        let mut more = this.receive(cx);
        more |= this.poll_names(cx);
        this.expire(this.clock.now());
        if this.flush(cx) {
            more |= this.pump(cx) && this.sockets.iter().all(|socket| socket.kept.is_none());
        }
        if !open && this.sessions.is_empty() {
            this.names.close(cx, this.clock.now());
            this.inbox.lock().ended = true;
            return Poll::Ready(());
        }
        let timer = this.timers.first().map(|(due, _)| *due);
        let others = [this.tcp.deadline(), this.names.poll_timeout()];
        if let Some(due) = timer.into_iter().chain(others.into_iter().flatten()).min() {
            this.sleep.as_mut().reset(this.clock.system(due).into());
            // Polled so that the task is woken; if the time has come already, the next turn sees to it.
            more |= this.sleep.as_mut().poll(cx).is_ready();
        }
        if more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Worker {
    /// The runtime may end a worker before its time: then its connections are over too.
    fn drop(&mut self) {
        self.strangers.close();
        let mut letters = self.inbox.lock();
        letters.ended = true;
        let added = std::mem::take(&mut letters.added);
        drop(letters);
        let known = std::mem::take(&mut self.sessions).into_values().map(|driven| driven.connection);
        let now = self.clock.now();
        for connection in known.chain(added.into_iter().map(|(_, connection, _)| connection)) {
            connection.lock().abandon(now);
        }
    }
}

fn note_failure(lines: &mut Lines, now: Instant, sent: std::io::Result<()>) {
    if let Err(error) = sent
        && lines.allow(now)
    {
        // The datagram is lost, as any may be; the protocols above see to it.
        debug!(%error, "send");
    }
}

/// After a socket had no room, before what is due is looked at again.
const BLOCKED_WAIT: Duration = Duration::from_millis(10);
/// Sockets for relaying that have a turn before sessions get to send.
const RELAYS_PER_TURN: usize = 64;
/// Trains received on a socket in a turn before sessions get to send.
const TRAINS_PER_TURN: usize = 64;
/// Batches that one session sends in a turn before the next gets to.
const BATCHES_PER_TURN: usize = 32;
/// The largest datagram that a session may write; paths allow less, and the session knows.
const MAX_DATAGRAM: usize = 1500;
