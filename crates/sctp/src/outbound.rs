use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use proto::Instant;

use crate::{Ppid, Priority, SendError, StreamId};

/// How a stream is sent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct StreamOptions {
    /// Whether messages may overtake each other (the U bit).
    pub unordered: bool,
    /// How hard the sender tries.
    pub reliability: Reliability,
    /// Its share of the capacity.
    pub priority: Priority,
}

impl StreamOptions {
    /// Options from their parts.
    pub const fn new(unordered: bool, reliability: Reliability, priority: Priority) -> Self {
        Self { unordered, reliability, priority }
    }
}

/// When the sender gives a message up. Without the peer's support for FORWARD TSN (RFC 3758) every message
/// whose sending has begun is delivered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reliability {
    /// Never.
    #[default]
    Reliable,
    /// When it would have to be retransmitted more often than this (RFC 7496 §3.2).
    MaxRetransmits(u16),
    /// When it is older than this (RFC 3758 §4.1).
    MaxLifetime(Duration),
}

/// What waits to be sent, per stream, and whose turn it is: streams share in proportion to their
/// priority, message by message, as fragments of messages cannot be mixed (RFC 9260 §6.9).
#[derive(Debug)]
pub(crate) struct Outbound {
    /// Boxed, since a node of the tree has room for eleven, and most associations have one or two.
    streams: BTreeMap<StreamId, Box<Stream>>,
    turns: BinaryHeap<Reverse<(u64, StreamId)>>,
    /// The stream whose message was begun.
    current: Option<StreamId>,
    time: u64,
    /// Bytes queued or in flight, overhead included.
    used: usize,
    limit: usize,
    any_blocked: bool,
    /// Streams that are closing: most of the time none, and then none is searched for.
    closing: usize,
}

#[derive(Debug)]
struct Stream {
    options: StreamOptions,
    ssn: u16,
    queue: VecDeque<Piece>,
    queued: usize,
    /// Messages of which the end is queued.
    complete: usize,
    /// Bytes queued of the message whose end is not there yet.
    open_bytes: usize,
    /// Length so far of the message whose end is not there yet, and when it expires.
    open: Option<Open>,
    /// The first fragment of the message in front was sent.
    begun: bool,
    begun_unordered: bool,
    /// The rest of the open message is thrown away as it comes.
    discarding: bool,
    blocked: bool,
    scheduled: bool,
    time: u64,
    in_flight: usize,
    closing: bool,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    length: u64,
    sort: Sort,
}

/// What all parts of a message have in common.
#[derive(Clone, Copy, Debug)]
struct Sort {
    ppid: Ppid,
    unordered: bool,
    expires: Option<Instant>,
    max_retransmits: Option<u16>,
}

#[derive(Debug)]
struct Piece {
    data: Bytes,
    sort: Sort,
    end: bool,
}

/// A fragment that was taken from its queue to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) stream: StreamId,
    pub(crate) ssn: u16,
    pub(crate) ppid: Ppid,
    pub(crate) unordered: bool,
    pub(crate) begin: bool,
    pub(crate) end: bool,
    pub(crate) data: Bytes,
    pub(crate) expires: Option<Instant>,
    pub(crate) max_retransmits: Option<u16>,
}

/// What the scheduler found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// Nothing can be sent.
    Nothing,
    /// A stream's next fragment.
    Stream(StreamId),
    /// The message that was begun on this stream has expired: what was sent of it is to be abandoned.
    Expired(StreamId),
}

impl Outbound {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            streams: BTreeMap::new(),
            turns: BinaryHeap::new(),
            current: None,
            time: 0,
            used: 0,
            limit,
            any_blocked: false,
            closing: 0,
        }
    }

    pub(crate) fn open(&mut self, stream: StreamId, options: StreamOptions) {
        self.streams.insert(
            stream,
            Box::new(Stream {
                options,
                ssn: 0,
                queue: VecDeque::new(),
                queued: 0,
                complete: 0,
                open_bytes: 0,
                open: None,
                begun: false,
                begun_unordered: false,
                discarding: false,
                blocked: false,
                scheduled: false,
                time: 0,
                in_flight: 0,
                closing: false,
            }),
        );
    }

    pub(crate) fn set_options(&mut self, stream: StreamId, change: impl FnOnce(&mut StreamOptions)) {
        if let Some(state) = self.streams.get_mut(&stream) {
            change(&mut state.options);
        }
    }

    pub(crate) fn buffered(&self, stream: StreamId) -> usize {
        self.streams.get(&stream).map_or(0, |state| state.queued)
    }

    pub(crate) fn is_delivered(&self, stream: StreamId) -> bool {
        self.streams.get(&stream).is_none_or(|state| state.is_drained())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.streams.values().all(|state| state.queue.is_empty())
    }

    /// Nothing more is sent on `stream`; what is complete still goes out.
    pub(crate) fn close(&mut self, stream: StreamId) -> bool {
        let Some(state) = self.streams.get_mut(&stream) else { return false };
        if std::mem::replace(&mut state.closing, true) {
            return false;
        }
        self.closing = self.closing.saturating_add(1);
        true
    }

    /// The stream has an open message that was begun and can never end.
    pub(crate) fn is_cut_off(&self, stream: StreamId) -> bool {
        self.streams.get(&stream).is_some_and(|state| state.closing && state.begun && state.complete == 0)
    }

    /// Drops an open message of which nothing was sent.
    pub(crate) fn drop_open(&mut self, stream: StreamId) {
        let Some(state) = self.streams.get_mut(&stream) else { return };
        while state.queue.back().is_some_and(|piece| !piece.end) && !(state.begun && state.complete == 0) {
            if let Some(piece) = state.queue.pop_back() {
                state.queued = state.queued.saturating_sub(piece.data.len());
                self.used = self.used.saturating_sub(cost(piece.data.len()));
            }
        }
        state.open_bytes = 0;
        state.open = None;
    }

    /// Closing streams of which everything was sent and acknowledged.
    pub(crate) fn drained(&self) -> impl Iterator<Item = StreamId> + '_ {
        let streams = (self.closing > 0).then_some(&self.streams);
        streams
            .into_iter()
            .flatten()
            .filter(|(_, state)| state.closing && state.is_drained())
            .map(|(stream, _)| *stream)
    }

    pub(crate) fn remove(&mut self, stream: StreamId) {
        if let Some(state) = self.streams.remove(&stream) {
            let queued: usize = state.queue.iter().map(|piece| cost(piece.data.len())).sum();
            self.used = self.used.saturating_sub(queued);
            self.closing = self.closing.saturating_sub(usize::from(state.closing));
        }
        if self.current == Some(stream) {
            self.current = None;
        }
    }

    /// All streams are as if just opened, with nothing queued (restart).
    pub(crate) fn restart(&mut self) {
        let streams = std::mem::take(&mut self.streams);
        *self = Self::new(self.limit);
        for (stream, state) in streams {
            self.open(stream, state.options);
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.limit);
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = StreamId> + '_ {
        self.streams.keys().copied()
    }

    /// Takes what fits of `payload`; see `Association::send`.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        stream: StreamId,
        ppid: Ppid,
        payload: &mut Bytes,
        end: bool,
        max_message: u64,
    ) -> Result<(), SendError> {
        let in_turn = self.current == Some(stream);
        let state =
            self.streams.get_mut(&stream).filter(|state| !state.closing).ok_or(SendError::UnknownStream)?;
        if state.discarding {
            payload.clear();
            state.discarding = !end;
            return Ok(());
        }
        let so_far = state.open.map_or(0, |open| open.length);
        if payload.is_empty() && (state.open.is_none() || !end) {
            return if state.open.is_none() { Err(SendError::Empty) } else { Ok(()) };
        }
        let length = so_far.saturating_add(u64::try_from(payload.len()).unwrap_or(u64::MAX));
        if length > max_message {
            return Err(SendError::TooLarge { limit: max_message });
        }
        // A message that was begun holds up all others, so it always has room for a little.
        let reserve = if in_turn && state.holds_up() { RESERVE.saturating_sub(state.queued) } else { 0 };
        let room = self.limit.saturating_sub(self.used).max(reserve).saturating_sub(PIECE_OVERHEAD);
        let taken = room.min(payload.len());
        if taken == 0 && !payload.is_empty() {
            state.blocked = true;
            self.any_blocked = true;
            return Err(SendError::Blocked);
        }
        let whole = taken == payload.len();
        let sort = state.open.map_or_else(|| Sort::new(state.options, ppid, now), |open| open.sort);
        let data = if whole { std::mem::take(payload) } else { payload.split_to(taken) };
        let ends = whole && end;
        self.used = self.used.saturating_add(cost(data.len()));
        state.queued = state.queued.saturating_add(data.len());
        if ends {
            state.open = None;
            state.open_bytes = 0;
            state.complete = state.complete.saturating_add(1);
        } else {
            let so_far = so_far.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
            state.open = Some(Open { length: so_far, sort });
            state.open_bytes = state.open_bytes.saturating_add(data.len());
        }
        state.add(Piece { data, sort, end: ends });
        if !state.scheduled && !in_turn {
            state.scheduled = true;
            state.time = state.time.max(self.time);
            self.turns.push(Reverse((state.time, stream)));
        }
        if whole {
            return Ok(());
        }
        state.blocked = true;
        self.any_blocked = true;
        Err(SendError::Blocked)
    }

    /// Whose fragment is next. Messages that expired before anything of them was sent are dropped.
    pub(crate) fn turn(&mut self, now: Instant, fragment: usize) -> Turn {
        if let Some(stream) = self.current {
            let Some(state) = self.streams.get(&stream) else {
                self.current = None;
                return self.turn(now, fragment);
            };
            if state.queue.front().is_some_and(|piece| piece.sort.expires.is_some_and(|at| at <= now)) {
                return Turn::Expired(stream);
            }
            return if state.is_sendable(fragment) { Turn::Stream(stream) } else { Turn::Nothing };
        }
        loop {
            let Some(Reverse((_time, stream))) = self.turns.peek().copied() else { return Turn::Nothing };
            let Some(state) = self.streams.get_mut(&stream) else {
                self.turns.pop();
                continue;
            };
            state.drop_expired(now, &mut self.used);
            if state.queue.is_empty() {
                state.scheduled = false;
                self.turns.pop();
                continue;
            }
            if state.is_sendable(fragment) {
                return Turn::Stream(stream);
            }
            // Only the beginning of a message, too short to fill a packet: what is added brings it back.
            self.turns.pop();
            state.scheduled = false;
        }
    }

    /// Bytes of `stream`'s next fragment when `space` are free and a packet of its own would hold `full`;
    /// `None` if it is to wait for the next packet. What is left of a message that may be lost is not divided where one
    /// packet holds it.
    pub(crate) fn fragment_len(&self, stream: StreamId, space: usize, full: usize) -> Option<usize> {
        let state = self.streams.get(&stream)?;
        let piece = state.queue.front()?;
        // The last byte of a message without an end stays back, as the end must be sent with something.
        let open_tail = !piece.end && state.queue.len() == 1;
        let available = piece.data.len().saturating_sub(usize::from(open_tail));
        if available <= space {
            return (!open_tail).then_some(available);
        }
        let may_be_lost = piece.sort.expires.is_some() || piece.sort.max_retransmits.is_some();
        if may_be_lost && piece.end && available <= full {
            return None;
        }
        (space >= full.min(LEAST_FRAGMENT)).then_some(space)
    }

    /// Takes `len` bytes of `stream`'s next fragment, as [`Outbound::fragment_len`] said.
    pub(crate) fn take(&mut self, stream: StreamId, len: usize) -> Option<Outgoing> {
        let state = self.streams.get_mut(&stream)?;
        let piece = state.queue.front_mut()?;
        let whole = len >= piece.data.len();
        let Sort { ppid, unordered, expires, max_retransmits } = piece.sort;
        let end = whole && piece.end;
        let data = if whole { std::mem::take(&mut piece.data) } else { piece.data.split_to(len) };
        if whole {
            state.queue.pop_front();
        } else {
            // The rest keeps its own place, and the fragment in flight takes another.
            self.used = self.used.saturating_add(PIECE_OVERHEAD);
        }
        let begin = !std::mem::replace(&mut state.begun, !end);
        state.begun_unordered = unordered;
        let ssn = state.ssn;
        state.queued = state.queued.saturating_sub(data.len());
        state.in_flight = state.in_flight.saturating_add(1);
        if state.complete == 0 {
            state.open_bytes = state.open_bytes.saturating_sub(data.len());
        }
        if end {
            state.complete = state.complete.saturating_sub(1);
            if !unordered {
                state.ssn = state.ssn.wrapping_add(1);
            }
        }
        let weight = u64::from(state.options.priority.0.max(1));
        let charge = u64::try_from(data.len().saturating_add(16)).unwrap_or(u64::MAX);
        state.time = state.time.saturating_add(charge.saturating_mul(1 << 16) / weight);
        self.pass_turn(stream, begin, end);
        Some(Outgoing { stream, ssn, ppid, unordered, begin, end, data, expires, max_retransmits })
    }

    /// A fragment left the flight for good.
    pub(crate) fn release(&mut self, stream: StreamId, len: usize) {
        self.used = self.used.saturating_sub(cost(len));
        let Some(state) = self.streams.get_mut(&stream) else { return };
        let was_full = state.in_flight >= MAX_IN_FLIGHT;
        state.in_flight = state.in_flight.saturating_sub(1);
        if was_full && !state.scheduled && self.current != Some(stream) && !state.queue.is_empty() {
            state.scheduled = true;
            self.turns.push(Reverse((state.time, stream)));
        }
    }

    /// Gives back the memory of empty queues.
    pub(crate) fn release_memory(&mut self) {
        for state in self.streams.values_mut().filter(|state| state.queue.is_empty()) {
            state.queue = VecDeque::new();
        }
    }

    /// Drops what is still queued of the message that was begun on `stream`. Says its number and
    /// whether there was anything left of it.
    pub(crate) fn abandon_begun(&mut self, stream: StreamId) -> Option<(u16, bool)> {
        let state = self.streams.get_mut(&stream)?;
        if !std::mem::take(&mut state.begun) {
            return None;
        }
        let ssn = state.ssn;
        let unordered = state.begun_unordered;
        let mut ended = false;
        while let Some(piece) = state.queue.pop_front() {
            state.queued = state.queued.saturating_sub(piece.data.len());
            self.used = self.used.saturating_sub(cost(piece.data.len()));
            if piece.end {
                state.complete = state.complete.saturating_sub(1);
                ended = true;
                break;
            }
        }
        if !ended {
            state.discarding = state.open.take().is_some();
            state.open_bytes = 0;
        }
        if !unordered {
            state.ssn = state.ssn.wrapping_add(1);
        }
        self.pass_turn(stream, false, true);
        Some((ssn, unordered))
    }

    /// Streams that were refused room and now have some.
    pub(crate) fn unblock(&mut self, mut writable: impl FnMut(StreamId)) {
        let current = self.current;
        let roomy = self.used <= self.limit / 4 * 3;
        if !self.any_blocked || !(roomy || current.is_some()) {
            return;
        }
        let mut still = false;
        for (stream, state) in self.streams.iter_mut().filter(|(_, state)| state.blocked) {
            let in_turn = current == Some(*stream) && state.holds_up();
            if roomy || (in_turn && state.queued < RESERVE / 2) {
                state.blocked = false;
                writable(*stream);
            } else {
                still = true;
            }
        }
        self.any_blocked = still;
    }

    fn pass_turn(&mut self, stream: StreamId, begin: bool, end: bool) {
        if begin && self.turns.peek().is_some_and(|Reverse((_, first))| *first == stream) {
            self.turns.pop();
        }
        if !end {
            self.current = Some(stream);
            if let Some(state) = self.streams.get_mut(&stream) {
                state.scheduled = false;
            }
            return;
        }
        self.current = None;
        let Some(state) = self.streams.get_mut(&stream) else { return };
        self.time = self.time.max(state.time.saturating_sub(1 << 20));
        state.scheduled = !state.queue.is_empty();
        if state.scheduled {
            self.turns.push(Reverse((state.time, stream)));
        }
    }
}

impl Stream {
    fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.in_flight == 0
    }

    fn is_sendable(&self, fragment: usize) -> bool {
        self.in_flight < MAX_IN_FLIGHT && (self.complete > 0 || self.open_bytes > fragment)
    }

    /// The message that is being sent is one whose end was not given: until it comes, nothing else is sent.
    const fn holds_up(&self) -> bool {
        self.begun && self.complete == 0 && self.open.is_some()
    }

    fn add(&mut self, piece: Piece) {
        // An end without bytes goes to the piece before it, which was kept back for this.
        if let Some(last) = self.queue.back_mut().filter(|last| piece.data.is_empty() && !last.end) {
            last.end = piece.end;
            return;
        }
        self.queue.push_back(piece);
    }

    fn drop_expired(&mut self, now: Instant, used: &mut usize) {
        while !self.begun
            && self.queue.front().is_some_and(|piece| piece.sort.expires.is_some_and(|at| at <= now))
        {
            let mut ended = false;
            while let Some(piece) = self.queue.pop_front() {
                self.queued = self.queued.saturating_sub(piece.data.len());
                *used = used.saturating_sub(cost(piece.data.len()));
                if piece.end {
                    self.complete = self.complete.saturating_sub(1);
                    ended = true;
                    break;
                }
            }
            if !ended {
                self.discarding = self.open.take().is_some();
                self.open_bytes = 0;
            }
        }
    }
}

impl Sort {
    fn new(options: StreamOptions, ppid: Ppid, now: Instant) -> Self {
        let (expires, max_retransmits) = match options.reliability {
            Reliability::Reliable => (None, None),
            Reliability::MaxLifetime(life) => (Some(now + life), None),
            Reliability::MaxRetransmits(count) => (None, Some(count)),
        };
        Self { ppid, unordered: options.unordered, expires, max_retransmits }
    }
}

const fn cost(len: usize) -> usize {
    len.saturating_add(PIECE_OVERHEAD)
}

/// What a queued piece or a fragment in flight costs beside its payload.
const PIECE_OVERHEAD: usize = 96;
/// Fragments of a stream that are sent and not acknowledged cumulatively: so it never has more messages than
/// there are sequence numbers (RFC 9260 §6.1).
const MAX_IN_FLIGHT: usize = 65_535;
/// A message is not split to fill less than this.
const LEAST_FRAGMENT: usize = 128;
const RESERVE: usize = 64 << 10;
