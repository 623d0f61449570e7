//! The task: it owns the machine, the sockets, the timers and the buffers.

mod dtls;
mod pause;

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use net::ready::{Kind, Ready};
use net::{ByteStream, Clock, RECEIVE_BUFFER, RECEIVE_TRAINS, TlsServer, Train, Transport, UdpSocket};
use proto::{Arrival, Batch, Carrier, Instant, Path};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Sleep;
use tracing::{debug, field, info, trace};
use turn::Users;
use turn::server::{Event, Received, Shared, Usage};

use self::pause::Pause;
use crate::bound::Bound;
use crate::connections::Connections;
use crate::data::{Data, is_bind};
use crate::frames::Next;
use crate::outbox::{Carries, Outbox, Slot, Socket, Sockets};
use crate::stream::Stream;
use crate::{Config, DtlsServer, Stats};

/// What the handle wants.
#[derive(Debug)]
pub(crate) enum Command {
    Stats(oneshot::Sender<Stats>),
    Users(Arc<Users>),
    Tls(TlsServer),
    Dtls(DtlsServer),
    /// Answers when its last allocation has ended; it goes on listening.
    Drain(Duration, oneshot::Sender<Stats>),
    /// Ends; what is sent along is dropped last.
    Stop(oneshot::Sender<()>),
}

/// What all workers of a server have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    pub(crate) users: Arc<Users>,
    pub(crate) shared: Shared,
    pub(crate) connections: Arc<Connections>,
    /// To each worker, for connections that are its.
    pub(crate) handovers: Vec<mpsc::Sender<Box<Stream>>>,
}

/// The task's state; the task is this future.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) server: turn::Server,
    pub(crate) clock: Clock,
    limits: Limits,
    /// What clients are shown over TLS.
    tls: Option<TlsServer>,
    pub(crate) sockets: Sockets,
    pub(crate) data: Data,
    ready: Ready,
    commands: mpsc::Receiver<Command>,
    pub(crate) connections: Arc<Connections>,
    /// When connections have to be looked at.
    pub(crate) timers: BTreeSet<(Instant, usize)>,
    /// Acceptors that had no luck, and when they try again.
    paused: Option<(Instant, Vec<usize>)>,
    draining: Option<(Instant, oneshot::Sender<Stats>)>,
    sleep: Pin<Box<Sleep>>,
    pub(crate) receive_buffer: Vec<u8>,
    trains: Vec<Train>,
    send_buffer: Vec<u8>,
    pub(crate) refused_connections: u64,
    pause: Pause,
    /// Last, so that whoever waits for it finds nothing of the rest.
    stopping: Option<oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Limits {
    frame: usize,
    first_message: Duration,
    idle: Duration,
}

impl Worker {
    pub(crate) fn new(
        common: &Common,
        bound: Bound,
        commands: mpsc::Receiver<Command>,
        (place, handed): (usize, mpsc::Receiver<Box<Stream>>),
        seed: [u8; 32],
    ) -> Self {
        let Common { clock, config, users, shared, connections, .. } = common;
        let limits = Limits {
            frame: config.max_frame.min(RECEIVE_TRAINS * RECEIVE_BUFFER),
            first_message: config.first_message_timeout,
            idle: config.idle_timeout,
        };
        let mut worker = Self {
            server: turn::Server::one_of_several(
                clock.now(),
                config.turn.clone(),
                users.clone(),
                shared.clone(),
                seed,
            ),
            clock: *clock,
            limits,
            tls: config.certificate.clone(),
            sockets: Sockets { max_unsent: config.max_unsent, ..Sockets::default() },
            data: Data::new(common, place, handed),
            ready: Ready::new(),
            commands,
            connections: connections.clone(),
            timers: BTreeSet::new(),
            paused: None,
            draining: None,
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            receive_buffer: vec![0; RECEIVE_TRAINS * RECEIVE_BUFFER],
            trains: Vec::with_capacity(RECEIVE_TRAINS),
            send_buffer: vec![0; SEND_BUFFER],
            refused_connections: 0,
            pause: Pause::new(config.coalesce),
            stopping: None,
        };
        for socket in bound.udp {
            worker.add_udp(socket, Kind::Listener);
        }
        for (_, listener) in bound.tcp {
            worker.add(Socket::Acceptor(listener, Carries::Messages), Kind::Listener);
        }
        for (_, listener) in bound.tls {
            worker.add(Socket::Acceptor(listener, Carries::Tls), Kind::Listener);
        }
        worker.add_dtls(config, bound.dtls, &seed);
        worker
    }

    pub(crate) fn add(&mut self, socket: Socket, kind: Kind) -> usize {
        let entry = self.sockets.slots.vacant_entry();
        let key = entry.key();
        let signal = self.ready.signal(kind, key);
        entry.insert(Slot { waker: signal.waker(), signal, socket });
        key
    }

    fn add_udp(&mut self, socket: UdpSocket, kind: Kind) {
        let local = socket.local_address();
        let key = self.add(Socket::Udp(socket), kind);
        self.sockets.by_address.insert(local, key);
    }

    /// What a socket has for one turn.
    fn serve(&mut self, key: usize) {
        let Some(slot) = self.sockets.slots.get(key) else { return };
        slot.signal.begin_turn();
        let may_have_more = match &slot.socket {
            Socket::Udp(_) => self.serve_udp(key),
            Socket::Dtls(..) => self.serve_dtls(key),
            Socket::Acceptor(..) => self.serve_acceptor(key),
            Socket::Relay(_) => self.serve_relay(key),
            Socket::Stream(stream) if stream.half.is_some() => self.serve_half(key),
            Socket::Stream(_) => self.serve_stream(key),
        };
        self.follow();
        if may_have_more && let Some(slot) = self.sockets.slots.get(key) {
            slot.waker.wake_by_ref();
        }
    }

    /// One receive call, and what is to be relayed of it.
    fn serve_udp(&mut self, key: usize) -> bool {
        let Self { server, clock, sockets, receive_buffer, trains, send_buffer, pause, .. } = self;
        let Some(Slot { socket: Socket::Udp(socket), waker, .. }) = sockets.slots.get(key) else {
            return false;
        };
        match socket.poll_receive_trains(&mut Context::from_waker(waker), receive_buffer, trains) {
            Poll::Pending => return false,
            Poll::Ready(Err(error)) => {
                // ICMP errors of earlier sends come back here; the next call goes on.
                debug!(%error, "receive");
                return true;
            }
            Poll::Ready(Ok(())) => {}
        }
        let (local, at) = (socket.local_address(), clock.now());
        let mut outbox = Outbox::new(sockets, send_buffer);
        for (train, piece) in trains.iter().zip(receive_buffer.chunks_exact(RECEIVE_BUFFER)) {
            let path = Path { carrier: Carrier::Udp, local, remote: train.remote };
            let arrival = Arrival { path, ecn: train.ecn, at };
            let bytes = piece.get(..train.len).unwrap_or_default();
            // One without a byte is a datagram too.
            let empty = bytes.is_empty().then_some(bytes);
            for datagram in bytes.chunks(train.stride).chain(empty) {
                match server.handle_datagram(arrival, datagram) {
                    Ok(Received::Relay(relay)) => {
                        pause.note_data();
                        outbox.push(&relay, train.ecn);
                    }
                    Ok(Received::Consumed) => {}
                    Err(discard) => trace!(from = %train.remote, %discard, "dropped"),
                }
            }
        }
        outbox.finish();
        true
    }

    fn serve_acceptor(&mut self, key: usize) -> bool {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(Slot { socket: Socket::Acceptor(listener, carries), waker, .. }) =
                self.sockets.slots.get(key)
            else {
                return false;
            };
            let carries = *carries;
            match listener.poll_accept(&mut Context::from_waker(waker)) {
                Poll::Pending => return false,
                Poll::Ready(Ok((stream, remote))) => self.accept(stream, remote, carries),
                Poll::Ready(Err(error)) => {
                    // Without a pause one without file descriptors would spin here.
                    debug!(%error, "accept");
                    self.pause(key);
                    return false;
                }
            }
        }
        true
    }

    /// Asks an acceptor again a little later.
    pub(crate) fn pause(&mut self, key: usize) {
        let until = self.clock.now() + ACCEPT_PAUSE;
        self.paused.get_or_insert((until, Vec::new())).1.push(key);
    }

    fn accept(&mut self, io: TcpStream, remote: SocketAddr, carries: Carries) {
        let Ok(local) = io.local_addr() else { return };
        let path = Path { carrier: Carrier::Stream, local, remote };
        // One from the same port, of whose end we have not heard yet.
        if let Some(old) = self.sockets.by_path.get(&path).copied() {
            self.close_stream(old);
        }
        let io = match (carries, &self.tls) {
            (Carries::Messages, _) => ByteStream::plain(io),
            (Carries::Tls, Some(tls)) => ByteStream::accept_tls(io, tls),
            (Carries::Tls, None) => return,
        };
        if !self.connections.open(remote.ip()) {
            self.refused_connections = self.refused_connections.wrapping_add(1);
            return;
        }
        let stream = Stream::new(io, path, self.clock.now());
        let key = self.add(Socket::Stream(Box::new(stream)), Kind::Listener);
        self.sockets.by_path.insert(path, key);
        self.set_timer(key);
    }

    /// One read, and what it completes.
    fn serve_stream(&mut self, key: usize) -> bool {
        let Self { limits, sockets, receive_buffer, .. } = self;
        let Some((stream, waker)) = sockets.stream(key) else { return false };
        let cx = &mut Context::from_waker(waker);
        let room = stream.inbound.room(limits.frame);
        let memory = receive_buffer.get_mut(..room).unwrap_or_default();
        let read = match (stream.flush(cx), stream.poll_read(cx, memory)) {
            (Ok(()), Poll::Pending) => return false,
            (Ok(()), Poll::Ready(Ok(read))) if read > 0 => read,
            _ => {
                self.close_stream(key);
                return false;
            }
        };
        self.take_messages(key, read)
    }

    /// Takes the messages that are whole with as many bytes of the buffer; whether the stream goes on.
    pub(crate) fn take_messages(&mut self, key: usize, fresh: usize) -> bool {
        let Self { server, clock, limits, sockets, data, receive_buffer, send_buffer, .. } = self;
        let Some((stream, _)) = sockets.stream(key) else { return false };
        let (path, at, is_new) = (stream.path, clock.now(), stream.heard.is_none());
        let mut inbound = std::mem::take(&mut stream.inbound);
        let fresh = receive_buffer.get(..fresh).unwrap_or_default();
        let (mut outbox, mut is_first, mut owner) = (Outbox::new(sockets, send_buffer), is_new, None);
        let fed = inbound.feed(fresh, limits.frame, |frame| {
            // Only before anything was said to it.
            owner = data.other_owner(frame).filter(|_| std::mem::take(&mut is_first));
            if owner.is_some() {
                return Next::Leave;
            }
            match server.handle_datagram(Arrival { path, ecn: None, at }, frame) {
                Ok(Received::Relay(relay)) => outbox.push(&relay, None),
                Ok(Received::Consumed) if is_bind(frame) && server.is_joined(path) => return Next::Pause,
                Ok(Received::Consumed) => {}
                Err(discard) => trace!(from = %path.remote, %discard, "dropped"),
            }
            Next::Continue
        });
        outbox.finish();
        match (fed, self.sockets.stream(key)) {
            (Ok(count), Some((stream, _))) => {
                stream.inbound = inbound;
                if count > 0 {
                    stream.heard = Some(at);
                }
                owner.is_none_or(|owner| self.hand_over(key, owner))
            }
            (Err(error), _) => {
                debug!(from = %path.remote, %error, "a stream that cannot be read on");
                self.close_stream(key);
                false
            }
            (Ok(_), None) => false,
        }
    }

    pub(crate) fn close_stream(&mut self, key: usize) {
        let Some((stream, _)) = self.sockets.stream(key) else { return };
        let (path, timer) = (stream.path, stream.timer);
        self.sockets.slots.try_remove(key);
        self.sockets.by_path.remove(&path);
        self.timers.remove(&(timer, key));
        self.connections.close(path.remote.ip());
        self.server.client_gone(self.clock.now(), path);
    }

    pub(crate) fn set_timer(&mut self, key: usize) {
        let Some((stream, _)) = self.sockets.stream(key) else { return };
        stream.timer = stream.deadline(self.limits.first_message, self.limits.idle);
        let timer = stream.timer;
        self.timers.insert((timer, key));
    }

    /// Opens, closes, answers and flushes until the machine wants nothing more.
    pub(crate) fn follow(&mut self) {
        let now = self.clock.now();
        while self.open_and_close(now) | self.reply(now) {}
        while let Some(key) = self.sockets.unflushed.pop() {
            let Some((stream, waker)) = self.sockets.stream(key) else { continue };
            if stream.flush(&mut Context::from_waker(waker)).is_err() {
                self.close_stream(key);
                self.open_and_close(now);
            }
        }
        self.follow_dtls(now);
    }

    fn open_and_close(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(event) = self.server.poll_event() {
            any = true;
            match &event {
                Event::Open(address) => match UdpSocket::bind(*address) {
                    Ok(socket) => {
                        self.add_udp(socket, Kind::Relay);
                        self.server.relay_opened(now, *address);
                    }
                    Err(error) => {
                        debug!(%address, %error, "a relay cannot be bound");
                        self.server.relay_failed(now, *address);
                    }
                },
                Event::Close(address) => {
                    if let Some(key) = self.sockets.by_address.remove(address) {
                        self.sockets.slots.try_remove(key);
                    }
                }
                Event::Listen(_)
                | Event::Unlisten(_)
                | Event::Connect { .. }
                | Event::Join { .. }
                | Event::Disconnect { .. } => self.follow_data(now, &event),
                Event::Began(usage) => write_down(usage, "allocation began"),
                Event::Ended(usage) => write_down(usage, "allocation ended"),
                other => debug!(?other, "an event nobody knows"),
            }
        }
        any
    }

    fn reply(&mut self, now: Instant) -> bool {
        let mut any = false;
        loop {
            let mut batch = Batch::new(&mut self.send_buffer, 1, SEND_BUFFER);
            let Some(transmit) = self.server.poll_transmit(now, &mut batch) else { return any };
            self.sockets.send(&transmit, batch.bytes());
            any = true;
        }
    }

    /// Does what the handle wants; says whether it is still there.
    fn obey(&mut self, cx: &mut Context<'_>) -> bool {
        while let Poll::Ready(command) = self.commands.poll_recv(cx) {
            match command {
                None => return false,
                // Who does not wait for the answer does not get it.
                Some(Command::Stats(reply)) => _ = reply.send(self.stats()),
                Some(Command::Users(users)) => self.server.set_users(users),
                Some(Command::Stop(gone)) => {
                    self.end_dtls();
                    self.stopping = Some(gone);
                    return false;
                }
                Some(Command::Tls(tls)) => self.tls = Some(tls),
                Some(Command::Dtls(dtls)) => self.renew_dtls(&dtls),
                Some(Command::Drain(grace, reply)) => {
                    self.server.drain();
                    self.refuse_dtls();
                    // Clients of TCP allocations still come for connections of peers.
                    if !self.data.is_allowed {
                        self.sockets.slots.retain(|_, slot| !matches!(slot.socket, Socket::Acceptor(..)));
                    }
                    self.draining = Some((self.clock.now() + grace, reply));
                }
            }
        }
        true
    }

    /// Takes note of the time; whether it is set for the next one.
    fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        let paused = self.paused.as_ref().map(|(until, _)| *until);
        let draining = self.draining.as_ref().map(|(until, _)| *until);
        let connection = self.timers.first().map(|(at, _)| *at);
        let others = [draining, connection, self.data.throttled_until(), self.next_dtls()];
        let next = [self.server.poll_timeout(), paused].into_iter().chain(others).flatten().min();
        let Some(next) = next else { return true };
        let at = tokio::time::Instant::from_std(self.clock.system(next));
        if self.sleep.deadline() != at {
            self.sleep.as_mut().reset(at);
        }
        if self.sleep.as_mut().poll(cx).is_pending() {
            return true;
        }
        self.expire(self.clock.now().max(next));
        false
    }

    fn expire(&mut self, now: Instant) {
        self.server.handle_timeout(now);
        self.expire_dtls(now);
        while let Some((due, key)) = self.timers.first().copied().filter(|(due, _)| *due <= now) {
            self.timers.remove(&(due, key));
            let (first_message, idle) = (self.limits.first_message, self.limits.idle);
            let Some((stream, _)) = self.sockets.stream(key) else { continue };
            if stream.deadline(first_message, idle) > now {
                self.set_timer(key)
            } else {
                self.close_stream(key)
            }
        }
        if let Some((_, keys)) = self.paused.take_if(|(until, _)| *until <= now) {
            for slot in keys.into_iter().filter_map(|key| self.sockets.slots.get(key)) {
                slot.waker.wake_by_ref();
            }
        }
        self.unthrottle(now);
        self.follow();
    }

    /// Whether the last allocation has ended, or the grace, since the end was asked for.
    fn is_drained(&self) -> bool {
        let is_idle = self.server.stats().allocations == 0;
        self.draining.as_ref().is_some_and(|(until, _)| is_idle || *until <= self.clock.now())
    }

    fn stats(&self) -> Stats {
        let counts = self.sockets.counts;
        let mut stats = Stats {
            turn: self.server.stats(),
            udp_sockets: self.sockets.by_address.len(),
            connections: self.sockets.by_path.len(),
            refused_connections: self.refused_connections,
            dropped: counts.dropped,
            failed: counts.failed,
            ..Stats::default()
        };
        self.count_dtls(&mut stats);
        stats
    }
}

impl Future for Worker {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let worker = &mut *self;
        if !worker.obey(cx) {
            return Poll::Ready(());
        }
        worker.take_over(cx);
        for _ in 0..TURNS {
            worker.ready.poll(cx);
            let Some(key) = worker.ready.pop() else { break };
            worker.serve(key);
        }
        // A timer that is due may make another one due; the turn ends all the same.
        let is_set = worker.wait(cx);
        if worker.is_drained()
            && let Some((_, reply)) = worker.draining.take()
        {
            // Who does not wait for the answer does not get it.
            let _ = reply.send(worker.stats());
        }
        worker.ready.poll(cx);
        if !(is_set && worker.ready.is_empty()) {
            cx.waker().wake_by_ref();
        } else {
            worker.pause.take();
        }
        Poll::Pending
    }
}

fn write_down(usage: &Usage, what: &'static str) {
    let [first, second] = usage.relayed;
    info!(
        user = usage.username(),
        client = %usage.client.remote,
        carrier = ?usage.client.carrier,
        relayed = first.map(field::display),
        relayed_too = second.map(field::display),
        to_peers = usage.to_peers,
        to_client = usage.to_client,
        "{what}"
    );
}

/// Turns of sockets before the rest of the runtime has its own.
const TURNS: usize = 64;
/// Connections that an acceptor accepts in its turn.
const ACCEPTS_PER_TURN: usize = 16;
/// After a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// What UDP over IPv4 carries at most.
const SEND_BUFFER: usize = 65_507;
