//! Connections of TCP allocations (RFC 6062): listening for peers, connecting to them, and carrying bytes between a peer and
//! a client, as fast as the slower one reads.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use net::ready::Kind;
use net::{ByteStream, Listener};
use proto::{Carrier, Instant, Path};
use tokio::sync::mpsc;
use tracing::debug;
use turn::server::{Direction, Event, Shared};
use turn::wire::ConnectionId;

use crate::outbox::{Slot, Socket};
use crate::stream::Stream;
use crate::worker::{Common, Worker};

/// What a worker knows of them besides the streams themselves.
#[derive(Debug)]
pub(crate) struct Data {
    /// Whether there are any.
    pub(crate) is_allowed: bool,
    /// Connections to peers.
    by_connection: HashMap<ConnectionId, usize>,
    by_relay: HashMap<SocketAddr, usize>,
    /// Those that have to wait for their allocation's bandwidth, and until when.
    throttled: Option<(Instant, BTreeSet<usize>)>,
    max_unsent: usize,
    patience: Duration,
    shared: Shared,
    /// To each worker, and which of them this one is.
    handovers: Vec<mpsc::Sender<Box<Stream>>>,
    place: usize,
    handed: mpsc::Receiver<Box<Stream>>,
}

/// One side of what a peer and a client say to each other.
#[derive(Debug)]
pub(crate) struct Half {
    pub(crate) connection: ConnectionId,
    /// Which way its bytes go.
    direction: Direction,
    /// The other side, once there is one.
    other: Option<usize>,
    /// To a peer: it is still to be opened.
    is_opening: bool,
    /// Nothing more comes of it.
    has_ended: bool,
    /// Nothing more is sent to it.
    is_shut: bool,
    /// When something came, or it ended, the last time; and how long it may be silent if the other side has ended.
    pub(crate) alive: Instant,
    pub(crate) patience: Duration,
}

/// How far a turn came in one direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Carried {
    /// There may be more.
    Some,
    /// Nothing comes, or nothing is taken: the system wakes.
    Blocked,
    /// As much as may be is relayed for the moment.
    Throttled,
    /// Nothing more comes, and the other side knows.
    Over,
}

impl Data {
    pub(crate) fn new(common: &Common, place: usize, handed: mpsc::Receiver<Box<Stream>>) -> Self {
        let config = &common.config;
        Self {
            is_allowed: config.turn.tcp_relays,
            by_connection: HashMap::new(),
            by_relay: HashMap::new(),
            throttled: None,
            max_unsent: config.max_unsent_data,
            patience: config.half_closed_timeout,
            shared: common.shared.clone(),
            handovers: common.handovers.clone(),
            place,
            handed,
        }
    }

    /// Which other worker has the connection that a ConnectionBind is about.
    pub(crate) fn other_owner(&self, frame: &[u8]) -> Option<usize> {
        if !(self.is_allowed && self.handovers.len() > 1 && is_bind(frame)) {
            return None;
        }
        let owner = self.shared.owner_of(turn::server::connection_of(frame)?);
        (owner != self.place && owner < self.handovers.len()).then_some(owner)
    }

    pub(crate) fn throttled_until(&self) -> Option<Instant> {
        self.throttled.as_ref().map(|(until, _)| *until)
    }
}

impl Half {
    fn new(connection: ConnectionId, direction: Direction, now: Instant, patience: Duration) -> Self {
        Self {
            connection,
            direction,
            other: None,
            is_opening: false,
            has_ended: false,
            is_shut: false,
            alive: now,
            patience,
        }
    }
}

impl Worker {
    /// Does what the machine wants of a connection.
    pub(crate) fn follow_data(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Listen(address) => match Listener::bind_for_both(*address) {
                Ok(listener) => {
                    let key = self.add(Socket::Relay(listener), Kind::Relay);
                    self.data.by_relay.insert(*address, key);
                    self.server.relay_opened(now, *address);
                }
                Err(error) => {
                    debug!(%address, %error, "nobody can listen there");
                    self.server.relay_failed(now, *address);
                }
            },
            Event::Unlisten(address) => {
                if let Some(key) = self.data.by_relay.remove(address) {
                    self.sockets.slots.try_remove(key);
                }
            }
            &Event::Connect { connection, relay, peer } => {
                let io = ByteStream::connect_beside(relay, peer);
                self.add_peer(
                    now,
                    io,
                    connection,
                    Path { carrier: Carrier::Stream, local: relay, remote: peer },
                    true,
                );
            }
            &Event::Join { connection, client } => self.join(now, connection, client),
            &Event::Disconnect { connection, client } => {
                if let Some(key) = self.data.by_connection.remove(&connection) {
                    self.sockets.slots.try_remove(key);
                }
                if let Some(key) = client.and_then(|path| self.sockets.by_path.get(&path).copied()) {
                    self.close_stream(key);
                }
            }
            Event::Open(_) | Event::Close(_) | Event::Began(_) | Event::Ended(_) => {}
            other => debug!(?other, "no event of a connection"),
        }
    }

    fn add_peer(
        &mut self,
        now: Instant,
        io: ByteStream,
        connection: ConnectionId,
        path: Path,
        is_opening: bool,
    ) {
        let mut stream = Stream::new(io, path, now);
        let half = Half::new(connection, Direction::ToClient, now, self.data.patience);
        stream.half = Some(Half { is_opening, ..half });
        let key = self.add(Socket::Stream(Box::new(stream)), Kind::Relay);
        self.data.by_connection.insert(connection, key);
    }

    /// Accepts connections of peers.
    pub(crate) fn serve_relay(&mut self, key: usize) -> bool {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(Slot { socket: Socket::Relay(listener), waker, .. }) = self.sockets.slots.get(key)
            else {
                return false;
            };
            let relay = listener.local_address();
            let (io, peer) = match listener.poll_accept(&mut Context::from_waker(waker)) {
                Poll::Pending => return false,
                Poll::Ready(Ok(accepted)) => accepted,
                Poll::Ready(Err(error)) => {
                    debug!(%error, "accept");
                    self.pause(key);
                    return false;
                }
            };
            let now = self.clock.now();
            match self.server.peer_arrived(now, relay, peer) {
                Ok(connection) => {
                    let path = Path { carrier: Carrier::Stream, local: relay, remote: peer };
                    self.add_peer(now, io, connection, path, false);
                }
                Err(discard) => debug!(%peer, %discard, "a peer that is turned away"),
            }
        }
        true
    }

    /// A client has come for a connection: the streams know each other, and what came behind the request goes on.
    fn join(&mut self, now: Instant, connection: ConnectionId, client: Path) {
        let peer = self.data.by_connection.get(&connection).copied();
        let (Some(client), Some(peer)) = (self.sockets.by_path.get(&client).copied(), peer) else { return };
        let Some((
            Slot { socket: Socket::Stream(near), waker: near_waker, .. },
            Slot { socket: Socket::Stream(far), .. },
        )) = self.sockets.slots.get2_mut(client, peer)
        else {
            return;
        };
        let half = Half::new(connection, Direction::ToPeer, now, self.data.patience);
        near.half = Some(Half { other: Some(peer), ..half });
        if let Some(half) = &mut far.half {
            half.other = Some(client);
        }
        self.timers.remove(&(near.timer, client));
        let early = near.inbound.take_rest();
        far.keep(&early);
        self.server.stream_relayed(now, connection, Direction::ToPeer, early.len());
        near_waker.wake_by_ref();
    }

    /// A turn of a connection that carries bytes, or is to do so.
    pub(crate) fn serve_half(&mut self, key: usize) -> bool {
        let now = self.clock.now();
        let Some((stream, waker)) = self.sockets.stream(key) else { return false };
        let Some(half) = &mut stream.half else { return false };
        let (connection, other) = (half.connection, half.other);
        if half.is_opening {
            half.is_opening = false;
            match stream.poll_open(&mut Context::from_waker(waker)) {
                Poll::Pending => stream.half.iter_mut().for_each(|half| half.is_opening = true),
                Poll::Ready(Ok(())) => self.server.peer_connected(now, connection),
                Poll::Ready(Err(error)) => {
                    debug!(%error, "a peer that is not connected to");
                    self.data.by_connection.remove(&connection);
                    self.sockets.slots.try_remove(key);
                    self.server.peer_failed(now, connection);
                }
            }
            return false;
        }
        // Until the client comes nothing is read.
        let Some(other) = other else { return false };
        match self.carry_both(now, key, other) {
            Ok([Carried::Over, Carried::Over]) | Err(_) => {
                self.server.peer_gone(now, connection);
                if let Some(key) = self.data.by_connection.remove(&connection) {
                    self.sockets.slots.try_remove(key);
                }
                false
            }
            Ok(carried) => {
                if carried.contains(&Carried::Throttled) {
                    self.data
                        .throttled
                        .get_or_insert_with(|| (now + THROTTLE, BTreeSet::new()))
                        .1
                        .insert(key);
                }
                if carried.contains(&Carried::Over) {
                    self.await_end(key, other);
                }
                carried.contains(&Carried::Some)
            }
        }
    }

    /// As much as there is, for a few rounds, both ways.
    fn carry_both(&mut self, now: Instant, key: usize, other: usize) -> io::Result<[Carried; 2]> {
        let Self { sockets, receive_buffer, server, data, .. } = self;
        let limit = data.max_unsent.min(receive_buffer.len());
        let Some((
            Slot { socket: Socket::Stream(one), waker: one_waker, .. },
            Slot { socket: Socket::Stream(two), waker: two_waker, .. },
        )) = sockets.slots.get2_mut(key, other)
        else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let mut carried = [Carried::Some; 2];
        for _ in 0..ROUNDS {
            let mut turn = |from: &mut Stream, from_waker: &Waker, to: &mut Stream, to_waker: &Waker| {
                let Some(half) = &from.half else { return Ok(Carried::Over) };
                let room = server.stream_room(now, half.connection, half.direction, limit);
                let buffer = receive_buffer.get_mut(..room).unwrap_or_default();
                let (carried, len) = carry(now, (from, from_waker), (to, to_waker), buffer)?;
                if let Some(half) = &from.half {
                    server.stream_relayed(now, half.connection, half.direction, len);
                }
                io::Result::Ok(carried)
            };
            carried = [turn(one, one_waker, two, two_waker)?, turn(two, two_waker, one, one_waker)?];
            if !carried.contains(&Carried::Some) {
                break;
            }
        }
        Ok(carried)
    }

    /// One side has ended: the other one may not be silent for long.
    fn await_end(&mut self, key: usize, other: usize) {
        let alive = [key, other].into_iter().filter_map(|key| {
            let half = self.sockets.stream(key)?.0.half.as_ref()?;
            Some((key, half.alive, half.direction))
        });
        let both: Vec<_> = alive.collect();
        let latest = both.iter().map(|(_, alive, _)| *alive).max();
        let client = both.iter().find(|(_, _, direction)| *direction == Direction::ToPeer);
        let (Some(latest), Some((client, ..))) = (latest, client) else { return };
        let Some((stream, _)) = self.sockets.stream(*client) else { return };
        stream.half.iter_mut().for_each(|half| half.alive = latest);
        let timer = stream.timer;
        self.timers.remove(&(timer, *client));
        self.set_timer(*client);
    }

    /// The time has come for those that waited for bandwidth.
    pub(crate) fn unthrottle(&mut self, now: Instant) {
        let Some((_, keys)) = self.data.throttled.take_if(|(until, _)| *until <= now) else { return };
        for slot in keys.into_iter().filter_map(|key| self.sockets.slots.get(key)) {
            slot.waker.wake_by_ref();
        }
    }

    /// Gives a client's connection to the worker that has the peer's; it is this one's no more, so that it goes on here never.
    pub(crate) fn hand_over(&mut self, key: usize, owner: usize) -> bool {
        let Some((stream, _)) = self.sockets.stream(key) else { return false };
        let (path, timer) = (stream.path, stream.timer);
        self.timers.remove(&(timer, key));
        self.sockets.by_path.remove(&path);
        let Some(Slot { socket: Socket::Stream(stream), .. }) = self.sockets.slots.try_remove(key) else {
            return false;
        };
        let taken = self.data.handovers.get(owner).is_some_and(|worker| worker.try_send(stream).is_ok());
        if !taken {
            self.connections.close(path.remote.ip());
            self.refused_connections = self.refused_connections.wrapping_add(1);
        }
        false
    }

    /// Takes connections of clients that other workers have accepted.
    pub(crate) fn take_over(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(stream)) = self.data.handed.poll_recv(cx) {
            let path = stream.path;
            let key = self.add(Socket::Stream(stream), Kind::Listener);
            self.sockets.by_path.insert(path, key);
            self.set_timer(key);
            self.take_messages(key, 0);
            self.follow();
        }
    }
}

/// Reads once of `from`, into `buffer`, and gives it to `to`, if that has taken everything before; how many bytes.
///
/// # Errors
///
/// One of the two is over.
fn carry(
    now: Instant,
    (from, from_waker): (&mut Stream, &Waker),
    (to, to_waker): (&mut Stream, &Waker),
    buffer: &mut [u8],
) -> io::Result<(Carried, usize)> {
    let mut to_cx = Context::from_waker(to_waker);
    to.flush(&mut to_cx)?;
    let (Some(half), Some(other)) = (&mut from.half, &mut to.half) else { return Ok((Carried::Over, 0)) };
    if half.has_ended && other.is_shut {
        return Ok((Carried::Over, 0));
    }
    if !to.is_flushed() {
        return Ok((Carried::Blocked, 0));
    }
    if half.has_ended {
        return match to.poll_shutdown(&mut to_cx) {
            Poll::Pending => Ok((Carried::Blocked, 0)),
            Poll::Ready(shut) => {
                shut?;
                to.half.iter_mut().for_each(|half| half.is_shut = true);
                Ok((Carried::Over, 0))
            }
        };
    }
    if buffer.is_empty() {
        return Ok((Carried::Throttled, 0));
    }
    let read = match from.poll_read(&mut Context::from_waker(from_waker), buffer) {
        Poll::Pending => return Ok((Carried::Blocked, 0)),
        Poll::Ready(read) => read?,
    };
    if let Some(half) = &mut from.half {
        half.alive = now;
        half.has_ended = read == 0;
    }
    let fresh = buffer.get(..read).unwrap_or_default();
    to.write(&mut to_cx, fresh)?;
    Ok((Carried::Some, read))
}

/// Whether a message is a ConnectionBind request.
pub(crate) fn is_bind(frame: &[u8]) -> bool {
    frame.starts_with(&CONNECTION_BIND)
}

/// RFC 6062 §6.1: method 11, of the class request.
const CONNECTION_BIND: [u8; 2] = [0, 11];
/// Reads of each side in a turn.
const ROUNDS: usize = 4;
/// Connections of peers that are accepted in a turn.
const ACCEPTS_PER_TURN: usize = 16;
/// Between two looks at the bandwidth.
const THROTTLE: Duration = Duration::from_millis(10);
