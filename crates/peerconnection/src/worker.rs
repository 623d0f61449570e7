//! The only driver of sessions: a task that owns sockets, timers and buffers. An endpoint has one, or several that each
//! have sessions and sockets of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use net::{Clock, InterfaceWatch, Listener, RECEIVE_BUFFER, SEND_BUFFER, Transport};
use proto::{Batch, Carrier, Instant, Path, Transmit};
use session::uri::Uri;
use session::{Demux, LocalName, Route};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Sleep;
use tracing::debug;

use crate::TcpLimits;
use crate::addresses::Wishes;
use crate::connection::{Connection, Core};
use crate::forwarding::{Errand, Passing};
use crate::ice_server::{Alternates, Server};
use crate::log::Lines;
use crate::names::Names;
use crate::relay_sockets::{self, RelaySockets};
use crate::strangers::WaitingRoom;
use inbox::{Letter, Mail};
use tcp::Tcp;

pub(crate) use inbox::Inbox;
pub(crate) use neighbours::{MAX_WORKERS, Neighbours, prefix};

mod asked;
mod chute;
mod inbox;
mod neighbours;
mod networks;
mod receive;
mod servers;
mod tcp;

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

/// What a worker is made of.
pub(crate) struct Parts {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) clock: Clock,
    pub(crate) transports: Vec<Arc<dyn Transport>>,
    pub(crate) relays: RelaySockets,
    pub(crate) names: Names,
    pub(crate) networks: Arc<Mutex<Networks>>,
    pub(crate) follow: Option<Follow>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) tcp_limits: TcpLimits,
    pub(crate) strangers: Arc<WaitingRoom>,
    /// Its number among several, and what it knows of the others.
    pub(crate) number: usize,
    pub(crate) neighbours: Option<Box<Neighbours>>,
}

/// The task's state; the task is this future.
pub(crate) struct Worker {
    inbox: Arc<Inbox>,
    number: usize,
    /// The other workers, if there are any.
    neighbours: Option<Box<Neighbours>>,
    /// No connection will be added any more.
    is_last: bool,
    clock: Clock,
    sockets: Vec<Socket>,
    relays: RelaySockets,
    /// Multicast DNS.
    names: Names,
    /// What connections to come are told of.
    networks: Arc<Mutex<Networks>>,
    /// None where the addresses are what they are, and where another worker follows them.
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
    /// Where the next turn begins: with the first that had none when a socket was full.
    next: usize,
    sleep: Pin<Box<Sleep>>,
    receive_buffer: Vec<u8>,
    send_buffer: Vec<u8>,
    /// Packets that came in this turn and go out by other transceivers.
    passing: Passing,
    /// Who asks for somebody who is not there.
    strangers: Arc<WaitingRoom>,
    /// What is logged of errors, either way.
    receive_lines: Lines,
    send_lines: Lines,
}

struct Socket {
    transport: Arc<dyn Transport>,
    /// What the socket had no room for: sent before anything else.
    kept: Option<(Transmit, Vec<u8>)>,
    /// Since when it has taken nothing.
    full_since: Option<Instant>,
}

impl Socket {
    fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, kept: None, full_since: None }
    }

    /// Until when others wait for it to have room. One that has none for longer is like a link that is full: what is to go there
    /// gets lost, and what goes elsewhere goes on.
    fn awaited_until(&self) -> Option<Instant> {
        Some(self.full_since? + FULL_WAIT).filter(|_| self.kept.is_some())
    }

    fn is_awaited(&self, now: Instant) -> bool {
        self.awaited_until().is_some_and(|until| now < until)
    }

    /// Sends a batch, and keeps it where there is no room for it.
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        transmit: Transmit,
        bytes: &[u8],
    ) -> std::io::Result<()> {
        if self.kept.is_some() {
            return Err(std::io::ErrorKind::WouldBlock.into());
        }
        match self.transport.poll_send(cx, &transmit, bytes) {
            Poll::Ready(sent) => {
                self.full_since = None;
                sent
            }
            Poll::Pending => {
                self.full_since.get_or_insert(now);
                self.kept = Some((transmit, bytes.to_vec()));
                Ok(())
            }
        }
    }
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
    /// Every server that it was told of, with the latest credentials.
    servers: Vec<Server>,
    /// Those that are for the next gathering.
    upcoming: Vec<Server>,
    /// Servers over UDP that are at further addresses as well.
    alternates: Vec<Alternates>,
    /// Where the TURN servers are that were found.
    asked: Vec<Asked>,
    /// The tasks that connect to such servers.
    connecting: Vec<AbortHandle>,
    /// Servers whose connection was lost or could not be had, each with the task that will try again, or none where there was
    /// enough of that.
    lost: Vec<(Server, Option<AbortHandle>)>,
}

/// Where a TURN server is.
struct Asked {
    /// Its [`Server::group`].
    group: usize,
    uri: Uri,
    address: SocketAddr,
}

impl Worker {
    /// To be made within a tokio runtime.
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            strangers: parts.strangers,
            inbox: parts.inbox,
            number: parts.number,
            neighbours: parts.neighbours,
            is_last: false,
            clock: parts.clock,
            sockets: parts.transports.into_iter().map(Socket::new).collect(),
            relays: parts.relays,
            names: parts.names,
            networks: parts.networks,
            follow: parts.follow,
            tcp: Tcp::new(parts.listeners, parts.tcp_limits),
            lookups: JoinSet::new(),
            demux: Demux::default(),
            sessions: BTreeMap::new(),
            timers: BTreeSet::new(),
            dirty: BTreeSet::new(),
            next: 0,
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            receive_buffer: vec![0; RECEIVE_BUFFER],
            send_buffer: vec![0; SEND_BUFFER],
            passing: Passing::default(),
            receive_lines: Lines::default(),
            send_lines: Lines::default(),
        }
    }

    /// Takes what the rest of the process has for us.
    fn read_letters(&mut self) {
        if !self.inbox.has_mail() {
            return;
        }
        let Mail { letters, mut touched, is_open } = self.inbox.take();
        self.dirty.append(&mut touched);
        self.is_last |= !is_open;
        for letter in letters {
            self.read(letter);
        }
    }

    fn read(&mut self, letter: Letter) {
        match (letter, &mut self.neighbours) {
            (Letter::Connection(key, connection, servers), _) => self.begin(key, connection, servers),
            (Letter::Servers(key, servers, at_once), _) => self.set_servers(key, servers, at_once),
            (Letter::Path(path, owner), Some(neighbours)) => {
                neighbours.add_path(&mut self.demux, path, owner);
            }
            (Letter::PathGone(path, key), Some(neighbours)) => neighbours.remove_path(path, key),
            (Letter::Ufrag(ufrag, key), Some(neighbours)) => neighbours.add_ufrag(ufrag, key),
            (Letter::UfragGone(ufrag, key), Some(neighbours)) => neighbours.remove_ufrag(&ufrag, key),
            (Letter::Name(key, name), _) => self.names.resolve(self.clock.now(), key, name),
            (Letter::Forget(key), _) => self.names.forget(key),
            (Letter::Found(found), _) => self.tell_found(&found),
            (Letter::Networks(change), _) => self.change_sockets(change),
            // Not now: something may lie in the buffer.
            (Letter::Stream(stream, first), _) => self.tcp.handed_over.push((stream, first)),
            // A lone worker is told nothing of others.
            (_, None) => {}
        }
    }

    fn begin(&mut self, key: usize, connection: Arc<Connection>, servers: Vec<Server>) {
        let driven = Driven {
            connection,
            timer: None,
            relays: Vec::new(),
            turn_servers: Vec::new(),
            lookups: 0,
            streams: Vec::new(),
            waiting: Vec::new(),
            spare: Vec::new(),
            servers: servers.clone(),
            upcoming: Vec::new(),
            alternates: Vec::new(),
            asked: Vec::new(),
            connecting: Vec::new(),
            lost: Vec::new(),
        };
        self.sessions.insert(key, driven);
        self.dirty.insert(key);
        if !servers.is_empty() {
            self.look_up(key, servers);
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

    /// Sends what sockets had no room for; says whether there is nothing more to wait for.
    fn flush(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.clock.now();
        let mut gone = true;
        for socket in &mut self.sockets {
            if let Some((transmit, bytes)) = &socket.kept {
                match socket.transport.poll_send(cx, transmit, bytes) {
                    Poll::Pending => gone &= !socket.is_awaited(now),
                    Poll::Ready(sent) => {
                        note_failure(&mut self.send_lines, now, sent);
                        (socket.kept, socket.full_since) = (None, None);
                    }
                }
            }
        }
        gone
    }

    /// Has the sessions that were touched send and tell, each within a budget; says whether one has more.
    fn pump(&mut self, cx: &mut Context<'_>) -> bool {
        let mut more = false;
        let mut first = std::mem::take(&mut self.dirty);
        let rest = first.split_off(&self.next);
        let mut is_full = false;
        for key in rest.into_iter().chain(first) {
            let Some(driven) = self.sessions.get(&key) else { continue };
            let connection = driven.connection.clone();
            let waits = !driven.streams.is_empty() || !driven.alternates.is_empty();
            let mut core = connection.lock();
            // The clock is read after the lock is taken, so that time never goes back for a session.
            let now = self.clock.now();
            let mut is_anew = self.follow_routes(&mut core, key);
            let mut is_blocked = false;
            for left in (0..BATCHES_PER_TURN).rev() {
                match self.send_one(cx, &mut core, key, now) {
                    Sent::Nothing => break,
                    // Whoever filled it has had a turn; whoever comes behind has the next.
                    Sent::Blocked
                        if left == BATCHES_PER_TURN - 1 && !std::mem::replace(&mut is_full, true) =>
                    {
                        self.next = key;
                        self.dirty.insert(key);
                        break;
                    }
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
            is_anew |= self.follow_routes(&mut core, key);
            while let Some(name) = core.session.poll_name() {
                self.resolve(now, key, name);
            }
            core.spread_news(now);
            let timer = core.session.poll_timeout();
            // What is due cannot leave before the socket says so.
            let timer = timer.map(|due| if is_blocked { due.max(now + BLOCKED_WAIT) } else { due });
            let over = core.is_over();
            let gathers = waits && core.session.gathers();
            let is_decided = self.sessions.get(&key).is_some_and(|driven| driven.is_decided(&core.session));
            let mut requests = Vec::new();
            requests.extend(std::iter::from_fn(|| core.session.poll_tcp()));
            let mut sockets = Vec::new();
            sockets.extend(std::iter::from_fn(|| core.session.poll_sockets()));
            let errands = core.take_errands();
            drop(core);
            errands.into_iter().for_each(Errand::run);
            more |= !sockets.is_empty();
            sockets.into_iter().for_each(|request| self.change_own_sockets(key, request));
            // Tasks that connect are heard of from the next turn on.
            more |= !requests.is_empty();
            requests.into_iter().for_each(|request| self.carry_out(key, request));
            if is_anew {
                self.look_up_upcoming(key);
                more = true;
            }
            if gathers {
                self.watch_for_silence(key);
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
        if self.sockets.iter().any(|socket| socket.is_awaited(now)) {
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
        let asked = self.demux.note_sent(bytes, key);
        if let (Some(transaction), Some(neighbours)) = (asked, &self.neighbours) {
            // Before it leaves: the answer may come to another worker.
            neighbours.note_asked(transaction);
        }
        let sent = socket.send(cx, now, transmit, bytes);
        note_failure(&mut self.send_lines, now, sent);
        Sent::Batch
    }

    /// Says whether candidates are gathered anew.
    fn follow_routes(&mut self, core: &mut Core, key: usize) -> bool {
        let mut is_anew = false;
        while let Some(route) = core.session.poll_route() {
            is_anew |= matches!(route, Route::UfragAdded(_));
            match (route, &mut self.neighbours) {
                (route, Some(neighbours)) => neighbours.follow(&mut self.demux, route, key),
                (Route::UfragAdded(ufrag), None) => self.demux.add_ufrag(&ufrag, key),
                (Route::UfragRemoved(ufrag), None) => self.demux.remove_ufrag(&ufrag, key),
                (Route::PathClaimed(path), None) => _ = self.demux.claim_path(path, key),
                (Route::PathAdded(path), None) => self.demux.add_path(path, key),
                (Route::PathRemoved(path), None) => self.demux.remove_path(path, key),
            }
        }
        is_anew
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
            self.inbox.counters.connections.fetch_sub(1, Ordering::AcqRel);
        }
        self.forget_names(key);
        self.demux.remove_session(key);
        if let Some(neighbours) = &mut self.neighbours {
            neighbours.forget(key);
            if neighbours.are_idle() {
                // They may have waited for that.
                neighbours.others().for_each(Inbox::ring);
            }
        }
    }

    /// Whether there is nothing left to do, and never will be. All workers go on until there is nothing for any of
    /// them: what one of them asks another one must hear, and the system would give to others what comes to a socket.
    fn has_ended(&self) -> bool {
        let are_idle = || self.neighbours.as_ref().is_none_or(|neighbours| neighbours.are_idle());
        self.is_last && self.sessions.is_empty() && are_idle()
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
        this.inbox.look(cx);
        this.read_letters();
        this.follow_networks(cx);
        this.take_found(cx);
        let mut more = this.receive(cx);
        more |= this.poll_names(cx);
        this.expire(this.clock.now());
        if this.flush(cx) {
            let now = this.clock.now();
            more |= this.pump(cx) && !this.sockets.iter().any(|socket| socket.is_awaited(now));
        }
        if this.has_ended() {
            this.names.close(cx, this.clock.now());
            this.inbox.end();
            return Poll::Ready(());
        }
        let timer = this.timers.first().map(|(due, _)| *due);
        let now = this.clock.now();
        let awaited =
            this.sockets.iter().filter_map(Socket::awaited_until).filter(|until| *until > now).min();
        let others = [this.tcp.deadline(), this.names.poll_timeout(), awaited];
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
        let unread = self.inbox.end().into_iter().filter_map(|letter| {
            if let Letter::Connection(_, connection, _) = letter { Some(connection) } else { None }
        });
        let known = std::mem::take(&mut self.sessions).into_values().map(|driven| driven.connection);
        let now = self.clock.now();
        for connection in known.chain(unread) {
            let errands = connection.lock().abandon(now);
            errands.into_iter().for_each(Errand::run);
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
/// How long a socket that takes nothing is waited for: a driver that is busy needs less, and one whose link is gone seconds.
const FULL_WAIT: Duration = Duration::from_millis(50);
/// Batches that one session sends in a turn before the next gets to.
const BATCHES_PER_TURN: usize = 32;
/// The largest datagram that a session may write; paths allow less, and the session knows.
const MAX_DATAGRAM: usize = 1500;
