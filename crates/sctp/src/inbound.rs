use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::arena::Arena;
use crate::event::Events;
use crate::ids::Serial;
use crate::wire::Data;
use crate::{Config, Ppid, Ssn, StreamId, Tsn};

/// A message, or a part of one, for the reader. Parts of a message come one behind the other, and
/// nothing else of the stream between them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chunk {
    /// The payload's protocol.
    pub ppid: Ppid,
    /// The bytes.
    pub data: Bytes,
    /// Whether the message ends here.
    pub end: bool,
    /// Whether the sender gave the message up after parts of it had been read: `end` is true, `data` is
    /// empty, and what was read of the message is to be thrown away (RFC 3758 §3.6).
    pub abandoned: bool,
}

/// Everything received: which TSNs, their reassembly, and what is ready for the reader.
///
/// What lies at or below the cumulative TSN is processed in TSN order, so at most one message is in the
/// making there. What lies above a gap waits in `pending`; whole messages among it whose turn in their
/// stream has come are handed out early.
#[derive(Debug)]
pub(crate) struct Inbound {
    cumulative: Serial,
    gaps: VecDeque<(Serial, Serial)>,
    duplicates: Vec<Tsn>,
    pending: BTreeMap<Serial, Fragment>,
    assembly: VecDeque<Fragment>,
    making: Option<Making>,
    /// A FORWARD TSN may have cut a message in two, so its rest is no offence.
    after_forward: bool,
    /// Boxed, since a node of the tree has room for eleven, and most associations have one or two.
    streams: BTreeMap<StreamId, Box<Stream>>,
    held: usize,
    arena: Arena,
    window: usize,
    partial_delivery: usize,
    max_gaps: usize,
    max_streams: usize,
    /// A message on a stream that we have no room for was thrown away.
    pub(crate) invalid_stream: Option<StreamId>,
}

#[derive(Debug, Default)]
struct Stream {
    ready: VecDeque<Chunk>,
    next_ssn: u16,
    /// A message was handed out in part: nothing may come before its end.
    locked: bool,
    /// The peer has reset it: forgotten when the reader has taken the rest.
    finished: bool,
}

#[derive(Debug)]
struct Fragment {
    stream: StreamId,
    ssn: Ssn,
    ppid: Ppid,
    unordered: bool,
    begin: bool,
    end: bool,
    data: Bytes,
}

#[derive(Clone, Copy, Debug)]
struct Making {
    stream: StreamId,
    ssn: Ssn,
    unordered: bool,
    next: Serial,
    bytes: usize,
    partial: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Inserted {
    /// The next in turn.
    InOrder,
    /// Something before it is missing, or was until now.
    Gap,
    Duplicate,
    NoRoom,
    Violation,
}

impl Inbound {
    pub(crate) fn new(config: &Config, peer_first: Tsn) -> Self {
        Self {
            cumulative: Serial::first(peer_first).minus(1),
            gaps: VecDeque::new(),
            duplicates: Vec::new(),
            pending: BTreeMap::new(),
            assembly: VecDeque::new(),
            making: None,
            after_forward: false,
            streams: BTreeMap::new(),
            held: 0,
            arena: Arena::new(config.receive_window),
            window: config.receive_window,
            partial_delivery: config.partial_delivery.min(config.receive_window / 2),
            max_gaps: config.max_gaps,
            max_streams: config.max_streams,
            invalid_stream: None,
        }
    }

    pub(crate) fn cumulative(&self) -> Tsn {
        self.cumulative.tsn()
    }

    pub(crate) fn has_gaps(&self) -> bool {
        !self.gaps.is_empty()
    }

    /// How many runs lie beyond the cumulative TSN.
    pub(crate) fn gap_count(&self) -> usize {
        self.gaps.len()
    }

    /// Offsets from the cumulative TSN of the runs beyond it.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        self.gaps.iter().map_while(|(first, last)| {
            let offset = |serial: &Serial| u16::try_from(serial.since(self.cumulative)).ok();
            Some((offset(first)?, offset(last)?))
        })
    }

    pub(crate) fn duplicates(&self) -> &[Tsn] {
        &self.duplicates
    }

    pub(crate) fn forget_duplicates(&mut self) {
        self.duplicates.clear();
    }

    /// What is announced to the peer.
    pub(crate) fn window(&self) -> u32 {
        u32::try_from(self.window.saturating_sub(self.held)).unwrap_or(u32::MAX)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.held == 0
    }

    pub(crate) fn release_memory(&mut self) {
        self.arena.release();
        self.duplicates = Vec::new();
        if self.assembly.is_empty() {
            self.assembly = VecDeque::new();
        }
        self.streams.values_mut().filter(|stream| stream.ready.is_empty()).for_each(|stream| {
            stream.ready = VecDeque::new();
        });
    }

    /// Forgets what can never be read any more.
    pub(crate) fn drop_unfinished(&mut self) {
        let lost: usize = self.pending.values().chain(&self.assembly).map(Fragment::cost).sum();
        self.held = self.held.saturating_sub(lost);
        self.pending = BTreeMap::new();
        self.assembly = VecDeque::new();
        self.making = None;
        self.gaps = VecDeque::new();
    }

    pub(crate) fn insert(&mut self, data: &Data<'_>, events: &mut Events) -> Inserted {
        let serial = self.cumulative.near(data.tsn);
        if serial <= self.cumulative || self.is_received(serial) {
            if self.duplicates.len() < MAX_DUPLICATES {
                self.duplicates.push(data.tsn);
            }
            return Inserted::Duplicate;
        }
        let in_order = serial == self.cumulative.plus(1);
        // What is in order can always be read, so a quarter more is kept free for it: no gap can lock the door.
        // RFC 9260 §6.2: with a window of zero only what lies before something that has come is taken.
        let open = self.held < self.window || self.has_gaps();
        let limit = if in_order && open { self.window.saturating_add(self.window / 4) } else { self.window };
        if self.held.saturating_add(data.payload.len()).saturating_add(OVERHEAD) > limit {
            return Inserted::NoRoom;
        }
        if !in_order && !self.note_gap(serial) {
            return Inserted::NoRoom;
        }
        // What has to wait gets memory of its own, so that it pins no more than it is counted with.
        let copy =
            if in_order { self.arena.store(data.payload) } else { Bytes::copy_from_slice(data.payload) };
        let fragment = Fragment {
            stream: data.stream,
            ssn: data.ssn,
            ppid: data.ppid,
            unordered: data.unordered,
            begin: data.begin,
            end: data.end,
            data: copy,
        };
        self.held = self.held.saturating_add(fragment.cost());
        if !in_order {
            self.pending.insert(serial, fragment);
            self.deliver_early(serial, events);
            return Inserted::Gap;
        }
        self.cumulative = serial;
        let had_gaps = self.has_gaps();
        if !self.deliver(serial, fragment, events) || !self.catch_up(events) {
            return Inserted::Violation;
        }
        if had_gaps { Inserted::Gap } else { Inserted::InOrder }
    }

    /// Acts as if everything up to `cumulative` had arrived (RFC 3758 §3.6). Says whether that was news.
    pub(crate) fn forward(
        &mut self,
        cumulative: Tsn,
        skipped: impl Iterator<Item = (StreamId, Ssn)>,
        events: &mut Events,
    ) -> bool {
        let to = self.cumulative.near(cumulative);
        if to <= self.cumulative {
            return false;
        }
        self.after_forward = true;
        while let Some(entry) = self.pending.first_entry().filter(|entry| *entry.key() <= to) {
            let (serial, fragment) = entry.remove_entry();
            self.deliver(serial, fragment, events);
            self.after_forward = true;
        }
        if self.making.is_some_and(|making| making.next <= to) {
            self.abandon_making(events);
        }
        for (stream, ssn) in skipped {
            if self.making.is_some_and(|making| {
                !making.unordered && making.stream == stream && !later(making.ssn.0, ssn.0)
            }) {
                self.abandon_making(events);
            }
            // A stream that nothing came on takes no memory.
            let Some(state) = self.streams.get_mut(&stream) else { continue };
            if !later(state.next_ssn, ssn.0) {
                state.next_ssn = ssn.0.wrapping_add(1);
            }
        }
        self.cumulative = to;
        while let Some((first, last)) = self.gaps.front().copied().filter(|(first, _)| *first <= to.plus(1)) {
            debug_assert!(first <= last, "runs are not empty");
            self.cumulative = self.cumulative.max(last);
            self.gaps.pop_front();
        }
        self.catch_up(events);
        true
    }

    /// The peer has reset its side of `stream`: numbering begins anew.
    pub(crate) fn reset(&mut self, stream: StreamId, events: &mut Events) {
        if self.making.is_some_and(|making| making.stream == stream) {
            self.abandon_making(events);
        }
        if let Some(state) = self.streams.get_mut(&stream) {
            state.next_ssn = 0;
            state.finished = true;
            if state.ready.is_empty() {
                self.streams.remove(&stream);
            }
        }
    }

    pub(crate) fn has_arrived(&self, tsn: Tsn) -> bool {
        self.cumulative.near(tsn) <= self.cumulative
    }

    pub(crate) fn streams(&self) -> impl Iterator<Item = StreamId> + '_ {
        self.streams.keys().copied()
    }

    pub(crate) fn knows(&self, stream: StreamId) -> bool {
        self.streams.contains_key(&stream)
    }

    pub(crate) fn recv(&mut self, stream: StreamId) -> Option<Chunk> {
        let state = self.streams.get_mut(&stream)?;
        let chunk = state.ready.pop_front()?;
        self.held = self.held.saturating_sub(chunk.data.len().saturating_add(OVERHEAD));
        if state.finished && state.ready.is_empty() {
            self.streams.remove(&stream);
        }
        Some(chunk)
    }

    fn is_received(&self, serial: Serial) -> bool {
        let at = self.gaps.partition_point(|(_, last)| *last < serial);
        self.gaps.get(at).is_some_and(|(first, _)| *first <= serial)
    }

    /// Records `serial`, which is not the next. `false` if there is no place for it.
    fn note_gap(&mut self, serial: Serial) -> bool {
        if serial.since(self.cumulative) > u64::from(u16::MAX) {
            return false;
        }
        let at = self.gaps.partition_point(|(_, last)| *last < serial);
        let joins_next = self.gaps.get(at).is_some_and(|(first, _)| *first == serial.plus(1));
        let before = at.checked_sub(1);
        let joins_previous =
            before.and_then(|at| self.gaps.get(at)).is_some_and(|(_, last)| last.plus(1) == serial);
        match (joins_previous, joins_next) {
            (true, true) => {
                let end = self.gaps.remove(at).map_or(serial, |(_, last)| last);
                if let Some(run) = before.and_then(|at| self.gaps.get_mut(at)) {
                    run.1 = end;
                }
            }
            (true, false) => {
                if let Some(run) = before.and_then(|at| self.gaps.get_mut(at)) {
                    run.1 = serial;
                }
            }
            (false, true) => {
                if let Some(run) = self.gaps.get_mut(at) {
                    run.0 = serial;
                }
            }
            (false, false) if self.gaps.len() < self.max_gaps => self.gaps.insert(at, (serial, serial)),
            (false, false) => return false,
        }
        true
    }

    /// Moves the cumulative TSN over a run that it touches, and delivers what was waiting there.
    fn catch_up(&mut self, events: &mut Events) -> bool {
        while let Some((_, last)) =
            self.gaps.front().copied().filter(|(first, _)| *first == self.cumulative.plus(1))
        {
            self.cumulative = last;
            self.gaps.pop_front();
        }
        while let Some(entry) = self.pending.first_entry().filter(|entry| *entry.key() <= self.cumulative) {
            let (serial, fragment) = entry.remove_entry();
            if !self.deliver(serial, fragment, events) {
                return false;
            }
        }
        true
    }

    /// Takes a fragment whose predecessors have all been taken. `false` if it cannot follow them.
    fn deliver(&mut self, serial: Serial, fragment: Fragment, events: &mut Events) -> bool {
        if let Some(making) = self.making {
            let follows = making.next == serial
                && !fragment.begin
                && fragment.stream == making.stream
                && fragment.unordered == making.unordered
                && (making.unordered || fragment.ssn == making.ssn);
            if follows {
                self.extend(making, fragment, events);
                return true;
            }
            if !self.after_forward {
                self.held = self.held.saturating_sub(fragment.cost());
                return false;
            }
            self.abandon_making(events);
        }
        if !fragment.begin {
            self.held = self.held.saturating_sub(fragment.cost());
            return self.after_forward;
        }
        if fragment.end {
            self.after_forward = false;
            let Fragment { stream, ssn, unordered, .. } = fragment;
            self.push(fragment, events);
            self.finish(stream, ssn, unordered);
            return true;
        }
        let making = Making {
            stream: fragment.stream,
            ssn: fragment.ssn,
            unordered: fragment.unordered,
            next: serial,
            bytes: 0,
            partial: false,
        };
        self.extend(making, fragment, events);
        true
    }

    /// Adds `fragment` to the message in the making.
    fn extend(&mut self, mut making: Making, fragment: Fragment, events: &mut Events) {
        making.next = making.next.plus(1);
        making.bytes = making.bytes.saturating_add(fragment.data.len());
        let end = fragment.end;
        if making.partial {
            self.push(fragment, events);
        } else {
            self.assembly.push_back(fragment);
            if end || making.bytes >= self.partial_delivery {
                while let Some(fragment) = self.assembly.pop_front() {
                    self.push(fragment, events);
                }
                making.partial = true;
                if let Some(state) = self.streams.get_mut(&making.stream) {
                    state.locked = true;
                }
            }
        }
        self.making = Some(making);
        if end {
            self.making = None;
            self.after_forward = false;
            self.finish(making.stream, making.ssn, making.unordered);
        }
    }

    /// A message of `stream` is complete.
    fn finish(&mut self, stream: StreamId, ssn: Ssn, unordered: bool) {
        if let Some(state) = self.streams.get_mut(&stream) {
            state.locked = false;
            if !unordered {
                state.next_ssn = ssn.0.wrapping_add(1);
            }
        }
    }

    fn push(&mut self, fragment: Fragment, events: &mut Events) {
        let Fragment { stream, ppid, data, end, .. } = fragment;
        let Some(state) = self.stream_mut(stream) else {
            self.held = self.held.saturating_sub(data.len().saturating_add(OVERHEAD));
            self.invalid_stream = Some(stream);
            return;
        };
        if state.ready.is_empty() {
            events.readable(stream);
        }
        state.finished = false;
        state.ready.push_back(Chunk { ppid, data, end, abandoned: false });
    }

    fn stream_mut(&mut self, stream: StreamId) -> Option<&mut Stream> {
        let full = self.streams.len() >= self.max_streams && !self.streams.contains_key(&stream);
        // 65,535 streams are announced, so that is the first number that there is not.
        if full || stream.0 == u16::MAX {
            return None;
        }
        Some(self.streams.entry(stream).or_default())
    }

    fn abandon_making(&mut self, events: &mut Events) {
        let Some(making) = self.making.take() else { return };
        let lost: usize = self.assembly.drain(..).map(|fragment| fragment.cost()).sum();
        self.held = self.held.saturating_sub(lost);
        let Some(state) = self.streams.get_mut(&making.stream).filter(|_| making.partial) else { return };
        if state.ready.is_empty() {
            events.readable(making.stream);
        }
        state.locked = false;
        self.held = self.held.saturating_add(OVERHEAD);
        state.ready.push_back(Chunk { ppid: Ppid(0), data: Bytes::new(), end: true, abandoned: true });
    }

    /// Hands out the message that `serial` belongs to if it is complete and its turn has come, though
    /// something before it is missing. The search is short: what is longer waits until the gap closes.
    fn deliver_early(&mut self, serial: Serial, events: &mut Events) {
        let mut first = serial;
        let mut steps = 0;
        while self.pending.get(&first).is_some_and(|fragment| !fragment.begin) {
            first = first.minus(1);
            steps += 1;
            if steps > MAX_EARLY {
                return;
            }
        }
        let Some(begin) = self.pending.get(&first) else { return };
        let (stream, ssn, unordered) = (begin.stream, begin.ssn, begin.unordered);
        let in_turn = match self.streams.get(&stream) {
            Some(state) => !state.locked && (unordered || state.next_ssn == ssn.0),
            None => unordered || ssn.0 == 0,
        };
        let mut last = first;
        loop {
            match self.pending.get(&last) {
                Some(fragment)
                    if fragment.stream == stream
                        && fragment.unordered == unordered
                        && fragment.ssn == ssn
                        && fragment.begin == (last == first) =>
                {
                    if fragment.end {
                        break;
                    }
                }
                Some(_) | None => return,
            }
            last = last.plus(1);
            steps += 1;
            if steps > MAX_EARLY {
                return;
            }
        }
        let mut at = first;
        while in_turn && at <= last {
            if let Some(fragment) = self.pending.remove(&at) {
                self.push(fragment, events);
            }
            at = at.plus(1);
        }
        if in_turn {
            self.finish(stream, ssn, unordered);
        }
    }
}

impl Fragment {
    fn cost(&self) -> usize {
        self.data.len().saturating_add(OVERHEAD)
    }
}

/// Whether `a` comes after `b`, or is `b` plus one or more, in serial number arithmetic.
const fn later(a: u16, b: u16) -> bool {
    let ahead = a.wrapping_sub(b);
    ahead != 0 && ahead < 1 << 15
}

/// What a fragment costs beside its payload: its place in a tree or queue and the head of its memory.
const OVERHEAD: usize = 160;
const MAX_DUPLICATES: usize = 16;
/// Fragments that are looked at for each one that arrives above a gap.
const MAX_EARLY: usize = 64;
