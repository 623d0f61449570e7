use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crypto::{Hmac, Rng, derive_seed};
use proto::{Instant, Writer};

use crate::congestion::{CongestionControl, control};
use crate::event::Events;
use crate::flight::Flight;
use crate::inbound::Inbound;
use crate::outbound::Outbound;
use crate::round_trip::RoundTrip;
use crate::{
    Chunk, CloseReason, Config, Direction, Event, OpenError, Ppid, Priority, SendError, Stats, StreamId,
    StreamOptions, Tsn, Violation, cookie,
};

mod handshake;
mod receive;
mod reset;
mod size_probe;
mod timers;
mod transmit;

use reset::Resets;
use timers::Timers;
use transmit::Replies;

/// An SCTP association: one end of it.
///
/// ```text
///   client             INIT ACK                  COOKIE ACK
///  ───────▶ CookieWait ────────▶ CookieEchoed ──────────────┐
///              │  COOKIE ECHO         │  COOKIE ECHO        ▼
///              └──────────────────────┴───────────────▶ Established
///  server             COOKIE ECHO                           ▲  │
///  ───────▶ Listening ──────────────────────────────────────┘  │
///                                                              │
///      shutdown ┌──────────────────────────────────────────────┤ SHUTDOWN
///               ▼                                              ▼
///        ShutdownPending ──▶ ShutdownSent ──┐  ┌── ShutdownReceived
///                all acknowledged           │  │       │ all acknowledged
///                              SHUTDOWN ACK ▼  ▼       ▼
///                                         Closed ◀── ShutdownAckSent
/// ```
///
/// Call the inputs (`handle_*` and the verbs) whenever something happens, then drain the outputs:
/// `poll_packet` until `false`, `poll_event` until `None`, and sleep until `poll_timeout`.
#[derive(Debug)]
pub struct Association {
    config: Arc<Config>,
    now: Instant,
    state: State,
    rng: Rng,
    cookie_key: Box<dyn Hmac>,
    /// Name this association in State Cookies made while it stands, without telling its tags (RFC 9260 §5.2.2).
    tie_tags: [u32; 2],
    max_packet: usize,
    local: Local,
    peer: Peer,
    inbound: Inbound,
    outbound: Outbound,
    flight: Flight,
    congestion: Box<dyn CongestionControl>,
    round_trip: RoundTrip,
    timers: Timers,
    resets: Resets,
    replies: Replies,
    ack: Ack,
    sender: Sender,
    /// Transmissions in vain since the peer last answered.
    errors: u32,
    /// State Cookies that the peer found too old since the association was last up.
    stale: u32,
    heartbeat_nonce: Option<u64>,
    size_probe: Option<Box<size_probe::SizeProbe>>,
    events: Events,
    stats: Stats,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum State {
    Listening,
    CookieWait,
    CookieEchoed(Box<[u8]>),
    Established,
    ShutdownPending,
    ShutdownSent,
    ShutdownReceived,
    ShutdownAckSent,
    Closed,
}

/// What we told the peer in our INIT or INIT ACK.
#[derive(Clone, Copy, Debug)]
struct Local {
    tag: u32,
    first: Tsn,
}

/// What the peer told us.
#[derive(Clone, Copy, Debug)]
struct Peer {
    tag: u32,
    first: Tsn,
    window: u32,
    /// Streams that it takes.
    inbound: u16,
    forward_tsn: bool,
    reconfig: bool,
    /// Whether anything of the above is known yet.
    known: bool,
    /// The window that it announced last holds less than a packet.
    closed: bool,
}

/// What is owed to the peer in acknowledgements (RFC 9260 §6.2).
#[derive(Clone, Copy, Debug, Default)]
struct Ack {
    /// Something is to be acknowledged.
    pending: bool,
    /// At once.
    due: bool,
    /// DATA packets since the last SACK.
    packets: u32,
    /// The window as it was last announced.
    announced: u32,
}

/// What holds the sender back.
#[derive(Clone, Copy, Debug, Default)]
struct Sender {
    /// Packets of new data left until something comes in.
    burst: usize,
    /// The congestion window was the limit when something was last sent.
    limited: bool,
    /// A packet may be sent regardless of the congestion window.
    probe: bool,
    /// A loss was found: what is lost may fill one packet regardless of the congestion window (RFC 9260 §7.2.4).
    fast: bool,
    /// Probes since the peer last acknowledged something.
    probes: u32,
    /// T3-rtx has expired: one packet may be in flight until something is acknowledged (RFC 9260 §7.2.3).
    timed_out: bool,
    /// A FORWARD TSN is to be sent.
    forward: bool,
    /// Packets from this one on are of the flight that no loss was answered in.
    recovery: u64,
    /// A round trip is measured with packets from this one on (RFC 9260 §6.3.1, rule C4).
    measure: u64,
}

impl Association {
    /// An end that begins: an INIT is due at once. Both ends may.
    #[must_use]
    pub fn client(now: Instant, config: Arc<Config>, seed: [u8; 32]) -> Self {
        let mut association = Self::new(now, config, seed, State::CookieWait);
        association.replies.init = true;
        association
    }

    /// An end that waits for an INIT, and keeps no state until a valid State Cookie comes back.
    #[must_use]
    pub fn server(now: Instant, config: Arc<Config>, seed: [u8; 32]) -> Self {
        Self::new(now, config, seed, State::Listening)
    }

    fn new(now: Instant, config: Arc<Config>, seed: [u8; 32], state: State) -> Self {
        let mut rng = Rng::new(derive_seed(&seed, "sctp"));
        let first = config.initial_tsn.unwrap_or_else(|| Tsn(rng.u32()));
        let local = Local { tag: rng.u32().max(1), first };
        let tie_tags = [rng.u32().max(1), rng.u32().max(1)];
        let peer = Peer {
            tag: 0,
            first: Tsn(0),
            window: 0,
            inbound: u16::MAX,
            forward_tsn: true,
            reconfig: true,
            known: false,
            closed: false,
        };
        Self {
            now,
            state,
            rng,
            cookie_key: cookie::key(&derive_seed(&seed, "sctp cookie")),
            tie_tags,
            max_packet: largest_packet(config.max_packet),
            local,
            peer,
            inbound: Inbound::new(&config, peer.first),
            outbound: Outbound::new(config.send_buffer),
            flight: Flight::new(first),
            congestion: control(&config),
            round_trip: RoundTrip::new(),
            timers: Timers::default(),
            resets: Resets::new(first, peer.first),
            replies: Replies::default(),
            ack: Ack::default(),
            sender: Sender { burst: config.max_burst, ..Sender::default() },
            errors: 0,
            stale: 0,
            heartbeat_nonce: None,
            size_probe: None,
            events: Events::default(),
            stats: Stats::default(),
            config,
        }
    }

    /// The largest packet to write from now on, in bytes. Fragments that were sent before keep their size:
    /// see [`oversized`](Self::oversized). At least 128; rounded down to a multiple of four.
    pub fn set_max_packet(&mut self, bytes: usize) {
        self.max_packet = largest_packet(bytes);
        self.congestion.set_packet(self.max_packet);
    }

    /// The peer's port, where it is not known before signalling says it (RFC 8841 §5): for the time before the
    /// first packet.
    pub fn set_remote_port(&mut self, port: u16) {
        if self.config.remote_port != port {
            Arc::make_mut(&mut self.config).remote_port = port;
        }
    }

    /// What is below has seen that the path, which had carried nothing for a while, does so again, or that another one has
    /// taken its place: what was sent in vain is sent again now, and not only when the time-out that has grown meanwhile
    /// is over (RFC 9260 §6.3.3 lets it). No more than the window of that time-out is sent.
    pub fn path_revived(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.errors == 0 || self.flight.is_empty() || self.state == State::Closed {
            return;
        }
        self.flight.all_lost();
        self.sender.recovery = self.flight.packet();
        self.timers.retransmit = Some(self.now + self.round_trip.rto(&self.config));
    }

    /// A round-trip time that was measured below, for the time before there are measurements here.
    pub fn set_round_trip(&mut self, rtt: Duration) {
        self.round_trip.seed(rtt);
    }

    /// Bytes of the packet that must be written next, if that is more than the largest: it carries a fragment
    /// of an earlier, larger path, whose TSN is fixed. Such a packet is written when there is room for it, and
    /// is left to fragmentation by IP (RFC 9260 §6.9).
    #[must_use]
    pub fn oversized(&mut self) -> Option<usize> {
        let (_, data) = self.flight.next_lost()?;
        let len =
            crate::wire::HEADER_LEN + crate::wire::DATA_HEADER_LEN + data.payload.len().next_multiple_of(4);
        (len > self.max_packet).then_some(len)
    }

    /// Whether data can flow.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(
            self.state,
            State::Established
                | State::ShutdownPending
                | State::ShutdownSent
                | State::ShutdownReceived
                | State::ShutdownAckSent
        )
    }

    /// Whether the association has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// How many streams the peer takes, once data can flow.
    #[must_use]
    pub fn peer_streams(&self) -> Option<u16> {
        self.is_connected().then_some(self.peer.inbound)
    }

    /// Counters, and the state of the moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            congestion_window: self.congestion.window(),
            in_flight: self.flight.bytes(),
            peer_window: self.peer.window,
            round_trip: self.round_trip.smoothed(),
            ..self.stats
        }
    }

    /// Opens `stream` for sending, before the handshake or later. A stream that was in use can be opened
    /// again when both of its directions were reset.
    pub fn open(&mut self, stream: StreamId, options: StreamOptions) -> Result<(), OpenError> {
        if self.state == State::Closed {
            return Err(OpenError::Closed);
        }
        if stream.0 >= self.peer.inbound {
            return Err(OpenError::OutOfRange);
        }
        if self.resets.awaits(stream) {
            return Err(OpenError::InUse);
        }
        if self.outbound.ids().count().saturating_add(self.resets.awaiting()) >= self.config.max_streams {
            return Err(OpenError::TooMany);
        }
        self.outbound.open(stream, options);
        self.resets.opened(stream);
        Ok(())
    }

    /// Changes whether later messages of `stream` are sent unordered, and how hard the sender tries.
    pub fn set_options(&mut self, stream: StreamId, options: StreamOptions) {
        self.outbound.set_options(stream, |current| *current = options);
    }

    /// Changes `stream`'s share of the capacity.
    pub fn set_priority(&mut self, stream: StreamId, priority: Priority) {
        self.outbound.set_options(stream, |options| options.priority = priority);
    }

    /// Takes what fits of `payload` as a message of `stream` or a part of one; `end` closes the message, so
    /// that one larger than memory streams through. On [`SendError::Blocked`] the rest stays in `payload`:
    /// call again with it after [`Event::Writable`].
    ///
    /// A message whose end is not given holds up all other streams once its sending has begun, as fragments of
    /// messages cannot be mixed (RFC 9260 §6.9).
    pub fn send(
        &mut self,
        now: Instant,
        stream: StreamId,
        ppid: Ppid,
        payload: &mut Bytes,
        end: bool,
    ) -> Result<(), SendError> {
        self.now = self.now.max(now);
        match self.state {
            State::Listening | State::CookieWait | State::CookieEchoed(_) | State::Established => {}
            State::ShutdownPending
            | State::ShutdownSent
            | State::ShutdownReceived
            | State::ShutdownAckSent
            | State::Closed => return Err(SendError::Closed),
        }
        self.outbound.push(self.now, stream, ppid, payload, end, self.config.max_message)
    }

    /// The next message of `stream`, or the next part of one. What is taken makes room for the peer.
    pub fn recv(&mut self, now: Instant, stream: StreamId) -> Option<Chunk> {
        self.now = self.now.max(now);
        let chunk = self.inbound.recv(stream)?;
        // RFC 9260 §6.2: tell the peer when the window opens by two packets or more, not in smaller steps.
        let opened = self.inbound.window().saturating_sub(self.ack.announced);
        let step = u32::try_from(self.max_packet.saturating_mul(2)).unwrap_or(u32::MAX);
        let small =
            usize::try_from(self.ack.announced).unwrap_or(usize::MAX) < self.config.receive_window / 2;
        if small && opened >= step && self.is_connected() {
            self.ack.pending = true;
            self.ack.due = true;
        }
        Some(chunk)
    }

    /// Bytes of `stream` that wait to be sent for the first time.
    #[must_use]
    pub fn buffered(&self, stream: StreamId) -> usize {
        self.outbound.buffered(stream)
    }

    /// Whether the peer has acknowledged everything that `stream` was given, but for messages that were given up; also true
    /// of a stream that is not open.
    #[must_use]
    pub fn is_delivered(&self, stream: StreamId) -> bool {
        self.outbound.is_delivered(stream)
    }

    /// Resets our direction of `stream` when all that is queued was sent and acknowledged; a message without
    /// its end is cut off. [`Event::Reset`] says when it is done (RFC 6525 §5.1).
    pub fn reset(&mut self, now: Instant, stream: StreamId) {
        self.now = self.now.max(now);
        if !self.outbound.close(stream) {
            return;
        }
        self.outbound.drop_open(stream);
        self.cut_off_if_open(stream);
    }

    /// Answers the peer's reset of a stream that is not open here with one of our direction, as RFC 8831 §6.7 asks,
    /// so that the peer can use its number again.
    pub fn answer_reset(&mut self, now: Instant, stream: StreamId) {
        if self.open(stream, StreamOptions::default()).is_ok() {
            self.resets.done(stream, Direction::Incoming);
            self.reset(now, stream);
        }
    }

    /// Forgets `stream` without a word to the peer, which does not know it: after
    /// [`Event::Restarted`](crate::Event::Restarted) its number is free at once.
    pub fn forget(&mut self, stream: StreamId) {
        self.outbound.remove(stream);
        self.resets.forget(stream);
    }

    /// Ends the association when all that is queued was sent and acknowledged (RFC 9260 §9.2).
    pub fn shutdown(&mut self, now: Instant) {
        self.now = self.now.max(now);
        match self.state {
            State::Listening | State::CookieWait | State::CookieEchoed(_) => self.abort(now),
            State::Established => {
                self.state = State::ShutdownPending;
                self.timers.guard = Some(self.now + self.config.shutdown_limit);
                let streams: Vec<StreamId> = self.outbound.ids().collect();
                for stream in streams {
                    self.outbound.drop_open(stream);
                }
                self.progress_shutdown();
            }
            State::ShutdownPending
            | State::ShutdownSent
            | State::ShutdownReceived
            | State::ShutdownAckSent
            | State::Closed => {}
        }
    }

    /// Ends the association at once; an ABORT tells the peer (RFC 9260 §9.1).
    pub fn abort(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.state == State::Closed {
            return;
        }
        if self.peer.known {
            self.replies.abort = Some(transmit::Abort::new(self.peer.tag, transmit::CAUSE_USER_ABORT));
        }
        self.close(CloseReason::Aborted);
    }

    /// Advances to `now`. Early and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.expire();
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        proto::sooner(self.timers.next(), self.size_probe_again())
    }

    /// The next news.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// Writes one packet behind what `out` holds. `false` if there is nothing to send or no room for it:
    /// then nothing was written and nothing changed.
    pub fn poll_packet(&mut self, now: Instant, out: &mut Writer<'_>) -> bool {
        self.now = self.now.max(now);
        if self.poll_timeout().is_some_and(|due| due <= self.now) {
            self.expire();
        }
        self.write_packet(out)
    }

    fn violate(&mut self, violation: Violation, cause: u16) {
        self.replies.abort = Some(transmit::Abort::new(self.peer.tag, cause));
        self.close(CloseReason::Violation(violation));
    }

    /// The end. What can still be read after an orderly shutdown stays; all other memory is given back.
    fn close(&mut self, reason: CloseReason) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        self.timers = Timers::default();
        self.size_probe = None;
        self.outbound.clear();
        self.flight = Flight::new(self.local.first);
        self.resets = Resets::new(self.local.first, self.peer.first);
        self.replies.only_last_words();
        self.ack = Ack::default();
        // What was acknowledged can still be read.
        self.inbound.drop_unfinished();
        self.inbound.release_memory();
        self.events.closed(reason);
    }

    fn report_reset(&mut self, stream: StreamId, direction: Direction) {
        self.events.reset(stream, direction);
    }

    /// The rest of an unfinished message on a closing stream can never come.
    fn cut_off_if_open(&mut self, stream: StreamId) {
        if !self.outbound.is_cut_off(stream) {
            return;
        }
        self.stats.abandoned = self.stats.abandoned.saturating_add(1);
        if self.peer.forward_tsn {
            match self.flight.last_of(stream) {
                Some(serial) => self.flight.abandon(self.now, serial, &mut self.outbound),
                None => self.flight.cut_off(self.now, stream, &mut self.outbound),
            }
            self.sender.forward = true;
        } else {
            // The peer drops its part of the message with the reset.
            self.outbound.abandon_begun(stream);
        }
    }
}

/// What all packets can be as large as: chunks are padded.
fn largest_packet(bytes: usize) -> usize {
    bytes.clamp(MIN_PACKET, MAX_PACKET) & !3
}

const MIN_PACKET: usize = 128;
const MAX_PACKET: usize = 65_528;
