use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use proto::{Instant, Writer};
use sctp::{Association, Chunk, Discard, Priority, Reliability, StreamId, StreamOptions};

use crate::by_stream::ByStream;
use crate::event::Events;
use crate::slab::Slab;
use crate::{ChannelError, ChannelId, Config, Event, Incoming, Outgoing, SendError};

mod close;
mod open;
mod read;

use read::Early;

/// The data channels of a connection, and the SCTP association that carries them.
///
/// ```text
///   open            role known         association up           reset by either side
///  ─────▶ Waiting ────────────▶ Opening ─────────────▶ Open ─────────────────────────▶ Closing ──▶ gone
///                                                       ▲
///  OPEN from the peer ──────────────────────────────────┘
/// ```
///
/// Call the inputs (`handle_*` and the verbs) whenever something happens, then drain the outputs:
/// `poll_packet` until `false`, `poll_event` until `None`, and sleep until `poll_timeout`.
#[derive(Debug)]
pub struct Channels {
    config: Config,
    association: Association,
    role: Option<Role>,
    /// The peer's largest message (RFC 8841 §6.1).
    peer_max_message: u64,
    channels: Slab<Channel>,
    by_stream: ByStream,
    /// What came on streams that belong to no channel yet.
    early: Early,
    /// Streams that the peer was refused, until it has reset them.
    refused: std::collections::BTreeSet<StreamId>,
    next_stream: u16,
    /// Something of the establishment protocol waits for room in the send buffer.
    control_waits: bool,
    events: Events,
    totals: Totals,
}

/// The DTLS role, which decides whose stream numbers are even (RFC 8832 §6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// DTLS client: even streams.
    Client,
    /// DTLS server: odd streams.
    Server,
}

/// What a channel is to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Init {
    /// Its label; need not be unique.
    pub label: String,
    /// The name of the protocol on it.
    pub protocol: String,
    /// Whether messages arrive in the order they were sent.
    pub ordered: bool,
    /// How hard the sender tries.
    pub reliability: Reliability,
    /// The stream, if both sides have agreed on it elsewhere; `None` opens the channel in band.
    pub negotiated: Option<StreamId>,
    /// Its share of the capacity.
    pub priority: Priority,
}

impl Default for Init {
    fn default() -> Self {
        Self {
            label: String::new(),
            protocol: String::new(),
            ordered: true,
            reliability: Reliability::Reliable,
            negotiated: None,
            priority: Priority::NORMAL,
        }
    }
}

/// Counters of a channel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ChannelStats {
    /// Messages taken for sending.
    pub messages_sent: u64,
    /// Payload bytes taken for sending.
    pub bytes_sent: u64,
    /// Messages handed out.
    pub messages_received: u64,
    /// Payload bytes handed out.
    pub bytes_received: u64,
    /// Messages with a PPID that is not WebRTC's.
    pub unknown_messages: u64,
}

/// How many channels there have been.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Totals {
    /// Channels that became open, whoever opened them.
    pub opened: u64,
    /// Those of them that are not open any more.
    pub closed: u64,
}

#[derive(Debug)]
struct Channel {
    init: Init,
    stream: Option<StreamId>,
    state: State,
    /// The peer has seen our OPEN, or we have answered its: order is as asked from now on.
    acknowledged: bool,
    /// The peer has opened it.
    incoming: bool,
    /// A message of the establishment protocol that the send buffer had no room for.
    control: Bytes,
    /// What was pulled and not handed out.
    front: VecDeque<Chunk>,
    /// Bytes so far of the message that is being handed out.
    message: u64,
    /// The part of a control message that came.
    partial_control: Vec<u8>,
    /// An `Outgoing` was taken in part.
    unfinished: bool,
    blocked: bool,
    /// The peer has reset the stream; ours follows when everything was read.
    draining: bool,
    incoming_reset: bool,
    outgoing_reset: bool,
    error: Option<ChannelError>,
    stats: ChannelStats,
}

/// How far a channel is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It has no stream yet: the DTLS role is not known.
    Waiting,
    /// It has its stream; the association is not up yet.
    Opening,
    /// Messages flow.
    Open,
    /// It is being closed; what was taken for sending still arrives.
    Closing,
    /// Ended, with something left to read.
    Ended,
}

impl Channels {
    /// No channels, on an association that begins when packets are first polled.
    #[must_use]
    pub fn new(now: Instant, config: Config, seed: [u8; 32]) -> Self {
        Self {
            association: Association::client(now, config.sctp.clone(), seed),
            config,
            role: None,
            peer_max_message: DEFAULT_MAX_MESSAGE,
            channels: Slab::new(),
            by_stream: ByStream::default(),
            early: Early::default(),
            refused: std::collections::BTreeSet::new(),
            next_stream: 0,
            control_waits: false,
            events: Events::default(),
            totals: Totals::default(),
        }
    }

    /// Whether [`set_role`](Self::set_role) was called.
    pub const fn has_role(&self) -> bool {
        self.role.is_some()
    }

    /// The DTLS role is known: channels that wait get their streams. Later calls change nothing.
    pub fn set_role(&mut self, now: Instant, role: Role) {
        if self.role.is_some() {
            return;
        }
        self.role = Some(role);
        self.next_stream = match role {
            Role::Client => 0,
            Role::Server => 1,
        };
        self.assign_streams(now);
    }

    /// What the peer's `a=max-message-size` says: `None` if it says nothing, which means 64 KiB; zero means
    /// no limit (RFC 8841 §6.1).
    pub fn set_peer_max_message(&mut self, bytes: Option<u64>) {
        self.peer_max_message = match bytes {
            None => DEFAULT_MAX_MESSAGE,
            Some(0) => u64::MAX,
            Some(bytes) => bytes,
        };
    }

    /// The largest message that the peer takes, in bytes; `u64::MAX` is no limit.
    #[must_use]
    pub const fn peer_max_message(&self) -> u64 {
        self.peer_max_message
    }

    /// Takes an SCTP packet. An error says why it was ignored.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) -> Result<(), Discard> {
        let result = self.association.handle_packet(now, packet);
        self.pump(now);
        result
    }

    /// Writes one SCTP packet behind what `out` holds; `false` if there is nothing to send or no room.
    pub fn poll_packet(&mut self, now: Instant, out: &mut Writer<'_>) -> bool {
        let written = self.association.poll_packet(now, out);
        if !written {
            self.pump(now);
        }
        written
    }

    /// Advances to `now`. Early and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.association.handle_timeout(now);
        self.pump(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.association.poll_timeout()
    }

    /// The next news.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// See [`Association::set_max_packet`].
    pub fn set_max_packet(&mut self, bytes: usize) {
        self.association.set_max_packet(bytes);
    }

    /// See [`Association::set_remote_port`].
    pub fn set_remote_port(&mut self, port: u16) {
        self.association.set_remote_port(port);
    }

    /// See [`Association::probe_packet`].
    pub fn probe_packet(&mut self, bytes: usize) {
        self.association.probe_packet(bytes);
    }

    /// See [`Association::oversized`].
    #[must_use]
    pub fn oversized(&mut self) -> Option<usize> {
        self.association.oversized()
    }

    /// See [`Association::path_revived`].
    pub fn path_revived(&mut self, now: Instant) {
        self.association.path_revived(now);
    }

    /// See [`Association::set_round_trip`].
    pub fn set_round_trip(&mut self, rtt: Duration) {
        self.association.set_round_trip(rtt);
    }

    /// Ends the association when all that is queued was sent and acknowledged.
    pub fn shutdown(&mut self, now: Instant) {
        self.association.shutdown(now);
        self.pump(now);
    }

    /// Ends the association at once.
    pub fn abort(&mut self, now: Instant) {
        self.association.abort(now);
        self.pump(now);
    }

    /// Has a new association in place of one that was ended, with no role yet. What the channels of that one have received can
    /// still be read.
    pub fn begin_anew(&mut self, now: Instant, seed: [u8; 32]) {
        self.abort(now);
        self.keep_unread(now);
        self.association = Association::client(now, self.config.sctp.clone(), seed);
        (self.role, self.next_stream) = (None, 0);
        self.by_stream = ByStream::default();
        self.peer_max_message = DEFAULT_MAX_MESSAGE;
    }

    /// Whether the association is up.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.association.is_connected()
    }

    /// How many channels there can be at a time, by the streams that the peer takes and by
    /// [`Config::max_channels`], once the association is up.
    #[must_use]
    pub fn max_channels(&self) -> Option<usize> {
        Some(usize::from(self.association.peer_streams()?).min(self.config.max_channels))
    }

    /// The association's counters.
    #[must_use]
    pub fn association_stats(&self) -> sctp::Stats {
        self.association.stats()
    }

    /// Takes what fits of `message`, and leaves the rest in it with [`SendError::Blocked`]: call again with
    /// the same value after [`Event::Writable`].
    pub fn send(
        &mut self,
        now: Instant,
        channel: ChannelId,
        message: &mut Outgoing,
    ) -> Result<(), SendError> {
        let limit = self.peer_max_message;
        let state = self.channels.get_mut(channel).ok_or(SendError::UnknownChannel)?;
        match state.state {
            State::Opening | State::Open => {}
            State::Waiting => return Err(SendError::NotOpen),
            State::Closing | State::Ended => return Err(SendError::Closed),
        }
        let stream = state.stream.ok_or(SendError::NotOpen)?;
        let len = u64::try_from(message.data.len()).unwrap_or(u64::MAX);
        if !message.begun && len > limit {
            return Err(SendError::TooLarge { limit });
        }
        if !state.control.is_empty() || (state.unfinished && !message.begun) {
            state.blocked = true;
            return Err(SendError::Blocked);
        }
        // RFC 8831 §6.6: an empty message is a byte that does not count.
        let empty = message.data.is_empty() && !message.begun;
        let ppid = crate::message::ppid(message.kind, empty);
        let mut zero = Bytes::from_static(&[0]);
        let payload = if empty { &mut zero } else { &mut message.data };
        let before = payload.len();
        let result = self.association.send(now, stream, ppid, payload, true);
        let taken = before.saturating_sub(payload.len());
        if !empty {
            state.stats.bytes_sent =
                state.stats.bytes_sent.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
        }
        match result {
            Ok(()) => {
                message.begun = false;
                state.unfinished = false;
                state.stats.messages_sent = state.stats.messages_sent.saturating_add(1);
                Ok(())
            }
            Err(sctp::SendError::Blocked) => {
                message.begun |= taken > 0;
                state.unfinished = message.begun;
                state.blocked = true;
                Err(SendError::Blocked)
            }
            Err(sctp::SendError::TooLarge { limit }) => Err(SendError::TooLarge { limit }),
            Err(_) => Err(SendError::Closed),
        }
    }

    /// The next message of `channel`, or the next part of one. What is taken makes room for the peer.
    pub fn recv(&mut self, now: Instant, channel: ChannelId) -> Option<Incoming> {
        let incoming = self.next_incoming(now, channel);
        if incoming.is_none() {
            self.read_to_the_end(now, channel);
        }
        incoming
    }

    /// Bytes that wait to be sent for the first time (the W3C's `bufferedAmount`).
    #[must_use]
    pub fn buffered(&self, channel: ChannelId) -> usize {
        let stream = self.channels.get(channel).and_then(|channel| channel.stream);
        stream.map_or(0, |stream| self.association.buffered(stream))
    }

    /// Whether the peer has acknowledged everything that was taken for sending, but for messages that were given up; also
    /// true of a channel that is gone.
    #[must_use]
    pub fn is_delivered(&self, channel: ChannelId) -> bool {
        let Some(state) = self.channels.get(channel) else { return true };
        let is_sent = state.stream.is_none_or(|stream| self.association.is_delivered(stream));
        state.control.is_empty() && is_sent
    }

    /// The channel's stream, once it has one.
    #[must_use]
    pub fn stream(&self, channel: ChannelId) -> Option<StreamId> {
        self.channels.get(channel)?.stream
    }

    /// The channel on a stream.
    #[must_use]
    pub fn channel(&self, stream: StreamId) -> Option<ChannelId> {
        self.by_stream.get(stream)
    }

    /// The channel's label.
    #[must_use]
    pub fn label(&self, channel: ChannelId) -> Option<&str> {
        Some(&self.channels.get(channel)?.init.label)
    }

    /// The name of the protocol on the channel.
    #[must_use]
    pub fn protocol(&self, channel: ChannelId) -> Option<&str> {
        Some(&self.channels.get(channel)?.init.protocol)
    }

    /// All that was asked for when the channel was opened, by whichever side.
    #[must_use]
    pub fn init(&self, channel: ChannelId) -> Option<&Init> {
        Some(&self.channels.get(channel)?.init)
    }

    /// How far the channel is; `None` once it has ended and was read to its end.
    #[must_use]
    pub fn state(&self, channel: ChannelId) -> Option<State> {
        Some(self.channels.get(channel)?.state)
    }

    /// Changes the channel's share of the capacity.
    pub fn set_priority(&mut self, channel: ChannelId, priority: Priority) {
        let Some(state) = self.channels.get_mut(channel) else { return };
        state.init.priority = priority;
        if let Some(stream) = state.stream {
            self.association.set_priority(stream, priority);
        }
    }

    /// The channel's counters.
    #[must_use]
    pub fn stats(&self, channel: ChannelId) -> Option<ChannelStats> {
        Some(self.channels.get(channel)?.stats)
    }

    /// The channels, in no order, those that are closing included.
    pub fn ids(&self) -> impl Iterator<Item = ChannelId> + '_ {
        self.channels.ids()
    }

    /// How many channels there have been so far.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// How many channels there are, those that are closing included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Whether there is no channel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is a channel that has not ended.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.ids().any(|id| self.state(id).is_some_and(|state| state != State::Ended))
    }

    /// Acts on what the association reports.
    fn pump(&mut self, now: Instant) {
        while let Some(event) = self.association.poll_event() {
            match event {
                sctp::Event::Connected => self.association_is_up(now),
                sctp::Event::Readable(stream) => self.stream_is_readable(now, stream),
                sctp::Event::Writable(stream) => self.stream_is_writable(stream),
                sctp::Event::Reset { stream, direction } => self.stream_was_reset(now, stream, direction),
                sctp::Event::Restarted => self.start_over(),
                sctp::Event::Closed(reason) => {
                    self.end_all();
                    self.events.disconnected(reason);
                }
                _ => {}
            }
        }
        if self.control_waits {
            self.send_controls(now);
        }
    }

    fn stream_is_writable(&mut self, stream: StreamId) {
        let Some(id) = self.channel(stream) else { return };
        let Some(state) = self.channels.get_mut(id) else { return };
        if std::mem::take(&mut state.blocked) && matches!(state.state, State::Opening | State::Open) {
            self.events.writable(id);
        }
    }
}

impl Channel {
    fn new(init: Init, state: State) -> Self {
        Self {
            init,
            stream: None,
            state,
            acknowledged: false,
            incoming: false,
            control: Bytes::new(),
            front: VecDeque::new(),
            message: 0,
            partial_control: Vec::new(),
            unfinished: false,
            blocked: false,
            draining: false,
            incoming_reset: false,
            outgoing_reset: false,
            error: None,
            stats: ChannelStats::default(),
        }
    }

    /// Is in another state from now on. Gives whether it was open, and is not any more.
    fn leave(&mut self, state: State) -> bool {
        std::mem::replace(&mut self.state, state) == State::Open && state != State::Open
    }

    /// How its stream is to be sent now. RFC 8832 §6: in order until the peer is known to have the OPEN.
    fn options(&self) -> StreamOptions {
        StreamOptions::new(!self.init.ordered && self.acknowledged, self.init.reliability, self.init.priority)
    }
}

/// RFC 8841 §6.1: without the attribute.
const DEFAULT_MAX_MESSAGE: u64 = 64 << 10;
