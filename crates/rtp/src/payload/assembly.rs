use std::collections::VecDeque;

use super::{Broken, Discard, Frame, Outline, Payload, Reason};

/// What a depacketizer keeps at most.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Packets of a frame. 2,048 by default: at 1,200 bytes each, more than half of what `max_bytes` allows.
    pub max_packets: usize,
    /// Bytes of a frame; also of the frames that wait, the last of them excepted. 4 MiB by default.
    pub max_bytes: usize,
    /// Frames, whole and broken ones, that wait to be polled before payloads are refused. 64 by default.
    pub max_waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_packets: 2048, max_bytes: 4 << 20, max_waiting: 64 }
    }
}

/// What became of payloads and frames.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Payloads that were handed over, but for [`Discard::Unread`].
    pub payloads: u64,
    /// Those of them that were not used.
    pub discarded: u64,
    /// Frames that were whole.
    pub frames: u64,
    /// Frames that were broken.
    pub broken: u64,
}

/// Frames that are put together from payloads, in one buffer that is used again and again.
///
/// ```text
///             arrive                    append            finish
///   Nothing ──────────▶ Open ─────────────────────▶ Open ─────────▶ Nothing (a frame waits)
///                        │ loss, a limit, unreadable  │
///                        ▼                            ▼
///                      Skipping (a broken frame waits) ───── finish, next ────▶ Nothing
/// ```
#[derive(Debug)]
pub(super) struct Assembly {
    limits: Limits,
    /// Frames that were read, those that wait, the open one.
    bytes: Vec<u8>,
    /// How many bytes were read.
    read: usize,
    /// Where the open frame begins.
    begin: usize,
    open: Option<Open>,
    waiting: VecDeque<Waiting>,
    stats: Stats,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    timestamp: u32,
    packets: usize,
    outline: Outline,
    /// A broken one: what belongs to it is skipped.
    skipping: bool,
}

#[derive(Clone, Copy, Debug)]
enum Waiting {
    Frame { end: usize, open: Open, marker: bool },
    Broken(Broken),
}

/// What ends a frame if its marker does not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    /// Nothing: without its last packet it is broken.
    Marker,
    /// The next timestamp, if nothing is missing.
    Timestamp,
}

impl Assembly {
    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            bytes: Vec::new(),
            read: 0,
            begin: 0,
            open: None,
            waiting: VecDeque::new(),
            stats: Stats { payloads: 0, discarded: 0, frames: 0, broken: 0 },
        }
    }

    pub(super) const fn stats(&self) -> Stats {
        self.stats
    }

    /// Makes room and counts a payload, or refuses it because too much waits.
    pub(super) fn admit(&mut self) -> Result<(), Discard> {
        let waits = self.begin.saturating_sub(self.read);
        if self.waiting.len() >= self.limits.max_waiting || waits >= self.limits.max_bytes {
            return Err(Discard::Unread);
        }
        if self.read > 0 {
            let read = self.read;
            self.bytes.drain(..read.min(self.bytes.len()));
            self.begin = self.begin.saturating_sub(read);
            for waiting in &mut self.waiting {
                if let Waiting::Frame { end, .. } = waiting {
                    *end = end.saturating_sub(read);
                }
            }
            self.read = 0;
        }
        self.stats.payloads = self.stats.payloads.saturating_add(1);
        Ok(())
    }

    /// Finds the frame that the payload belongs to: the open one, or, if it `starts` one or has another timestamp, a new one,
    /// which ends the open one.
    pub(super) fn arrive(
        &mut self,
        payload: &Payload<'_>,
        starts: bool,
        ending: Ending,
    ) -> Result<(), Discard> {
        if payload.after_loss {
            self.lose();
        }
        let goes_on = self.open.is_some_and(|open| open.timestamp == payload.timestamp);
        if !goes_on || (starts && ending == Ending::Marker) {
            if ending == Ending::Timestamp {
                self.finish(false);
            } else {
                self.break_open(Reason::Unfinished);
            }
            self.open = Some(Open {
                timestamp: payload.timestamp,
                packets: 0,
                outline: Outline { starts_frame: true, ..Outline::default() },
                skipping: false,
            });
            if !starts {
                self.break_open(Reason::Lost);
                return Err(self.discard(Discard::NoStart));
            }
        }
        let Some(open) = &mut self.open else { return Err(self.discard(Discard::NoStart)) };
        if open.skipping {
            return Err(self.discard(Discard::BrokenFrame));
        }
        open.packets = open.packets.saturating_add(1);
        if open.packets > self.limits.max_packets {
            self.break_open(Reason::TooManyPackets);
            return Err(self.discard(Discard::TooManyPackets));
        }
        Ok(())
    }

    /// Packets are missing: the open frame is broken.
    pub(super) fn lose(&mut self) {
        self.break_open(Reason::Lost);
    }

    /// A payload that cannot be read counts as lost.
    pub(super) fn refuse(&mut self, payload: &Payload<'_>, discard: Discard) -> Discard {
        let reason = if payload.after_loss { Reason::Lost } else { Reason::Unreadable(discard) };
        self.break_open(reason);
        if self.open.is_none_or(|open| open.timestamp != payload.timestamp) {
            self.open = Some(Open {
                timestamp: payload.timestamp,
                packets: 0,
                outline: Outline::default(),
                skipping: false,
            });
            self.break_open(Reason::Unreadable(discard));
        }
        if payload.marker {
            self.open = None;
        }
        self.discard(discard)
    }

    /// The payload is of no use, and nothing else suffers from it.
    pub(super) fn discard(&mut self, discard: Discard) -> Discard {
        self.stats.discarded = self.stats.discarded.saturating_add(1);
        discard
    }

    /// Puts `bytes` behind the open frame.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Discard> {
        if self.open.is_none_or(|open| open.skipping) {
            return Err(self.discard(Discard::BrokenFrame));
        }
        if self.len().saturating_add(bytes.len()) > self.limits.max_bytes {
            self.break_open(Reason::TooManyBytes);
            return Err(self.discard(Discard::TooManyBytes));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether the open frame is one of another timestamp.
    pub(super) fn is_other(&self, timestamp: u32) -> bool {
        self.open.is_some_and(|open| open.timestamp != timestamp)
    }

    /// Whether there is an open frame with something in it, of which nothing is missing.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some_and(|open| !open.skipping) && self.len() > 0
    }

    /// The open frame has another timestamp.
    pub(super) fn go_on_at(&mut self, timestamp: u32) {
        if let Some(open) = &mut self.open {
            open.timestamp = timestamp;
        }
    }

    /// How long the open frame is so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.begin)
    }

    /// What the open frame has from `at` on.
    pub(super) fn open_mut(&mut self, at: usize) -> &mut [u8] {
        self.bytes.get_mut(self.begin.saturating_add(at)..).unwrap_or_default()
    }

    /// How many packets the open frame has so far.
    pub(super) fn packets(&self) -> usize {
        self.open.map_or(0, |open| open.packets)
    }

    /// Takes away what the open frame has from `at` on.
    pub(super) fn shorten(&mut self, at: usize) {
        self.bytes.truncate(self.begin.saturating_add(at));
    }

    /// Puts `bytes` before what the open frame has from `at` on.
    pub(super) fn insert(&mut self, at: usize, bytes: &[u8]) -> Result<(), Discard> {
        let end = self.len();
        self.append(bytes)?;
        if let Some(tail) = self.open_mut(at).get_mut(..end.saturating_sub(at).saturating_add(bytes.len())) {
            tail.rotate_right(bytes.len().min(tail.len()));
        }
        Ok(())
    }

    /// What is known of the open frame.
    pub(super) fn outline(&mut self, describe: impl FnOnce(&mut Outline)) {
        if let Some(open) = &mut self.open {
            describe(&mut open.outline);
        }
    }

    /// The open frame is whole. One that is broken was told of before, and one without a byte is none.
    pub(super) fn finish(&mut self, marker: bool) {
        if self.len() == 0 {
            self.break_open(Reason::Unfinished);
        }
        let Some(open) = self.open.take().filter(|open| !open.skipping) else { return };
        self.stats.frames = self.stats.frames.saturating_add(1);
        self.begin = self.bytes.len();
        self.waiting.push_back(Waiting::Frame { end: self.begin, open, marker });
    }

    /// The open frame, if any, will not be whole: the rest of it is skipped.
    pub(super) fn break_open(&mut self, reason: Reason) {
        let Some(open) = self.open.as_mut().filter(|open| !open.skipping) else { return };
        open.skipping = true;
        let timestamp = open.timestamp;
        self.bytes.truncate(self.begin);
        self.stats.broken = self.stats.broken.saturating_add(1);
        self.waiting.push_back(Waiting::Broken(Broken { timestamp, reason }));
    }

    /// The oldest frame that waits.
    pub(super) fn poll(&mut self) -> Option<Result<Frame<'_>, Broken>> {
        match self.waiting.pop_front()? {
            Waiting::Broken(broken) => Some(Err(broken)),
            Waiting::Frame { end, open, marker } => {
                let bytes = self.bytes.get(self.read..end).unwrap_or_default();
                self.read = end;
                let Open { timestamp, packets, outline, .. } = open;
                Some(Ok(Frame { bytes, timestamp, packets, marker, outline }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(timestamp: u32, marker: bool, after_loss: bool) -> Payload<'static> {
        Payload { bytes: &[], timestamp, marker, after_loss }
    }

    fn give(assembly: &mut Assembly, timestamp: u32, starts: bool, bytes: &[u8]) -> Result<(), Discard> {
        assembly.admit()?;
        assembly.arrive(&payload(timestamp, false, false), starts, Ending::Marker)?;
        assembly.append(bytes)
    }

    #[test]
    fn a_frame_has_as_many_packets_as_the_limit_and_not_one_more() {
        let limits = Limits { max_packets: 3, ..Limits::default() };
        for (packets, whole) in [(3, true), (4, false)] {
            let mut assembly = Assembly::new(limits);
            for packet in 0..packets {
                let expected = if packet < 3 { Ok(()) } else { Err(Discard::TooManyPackets) };
                assert_eq!(give(&mut assembly, 1, packet == 0, &[7]), expected);
            }
            assembly.finish(true);
            match assembly.poll().unwrap() {
                Ok(frame) => assert!(whole && frame.packets == 3 && frame.bytes == [7; 3]),
                Err(broken) => {
                    assert!(!whole);
                    assert_eq!(broken, Broken { timestamp: 1, reason: Reason::TooManyPackets });
                }
            }
            assert!(assembly.poll().is_none());
        }
    }

    #[test]
    fn a_frame_is_as_long_as_the_limit_and_not_a_byte_longer() {
        let limits = Limits { max_bytes: 10, ..Limits::default() };
        let mut assembly = Assembly::new(limits);
        assert_eq!(give(&mut assembly, 1, true, &[7; 10]), Ok(()));
        assembly.finish(true);
        assert_eq!(assembly.poll().unwrap().unwrap().bytes, [7; 10]);
        assert_eq!(give(&mut assembly, 2, true, &[7; 10]), Ok(()));
        assert_eq!(give(&mut assembly, 2, false, &[7]), Err(Discard::TooManyBytes));
        assert!(assembly.bytes.is_empty());
        assert_eq!(give(&mut assembly, 2, false, &[7]), Err(Discard::BrokenFrame));
        assembly.finish(true);
        assert_eq!(assembly.poll().unwrap().unwrap_err().reason, Reason::TooManyBytes);
        assert!(assembly.poll().is_none());
        let stats = Stats { payloads: 4, discarded: 2, frames: 1, broken: 1 };
        assert_eq!(assembly.stats(), stats);
    }

    #[test]
    fn as_many_frames_wait_as_the_limit_and_nothing_is_lost_by_it() {
        let mut assembly = Assembly::new(Limits { max_waiting: 2, ..Limits::default() });
        for timestamp in 1..=2_u8 {
            assert_eq!(give(&mut assembly, timestamp.into(), true, &[timestamp]), Ok(()));
            assembly.finish(true);
        }
        assert_eq!(give(&mut assembly, 3, true, &[3]), Err(Discard::Unread));
        assert_eq!(assembly.poll().unwrap().unwrap().bytes, [1]);
        assert_eq!(give(&mut assembly, 3, true, &[3]), Ok(()));
        assembly.finish(true);
        assert_eq!(assembly.poll().unwrap().unwrap().bytes, [2]);
        assert_eq!(assembly.poll().unwrap().unwrap().bytes, [3]);
        assert_eq!(assembly.stats().payloads, 3);
    }

    #[test]
    fn what_waits_has_as_many_bytes_as_the_limit() {
        let mut assembly = Assembly::new(Limits { max_bytes: 10, ..Limits::default() });
        for timestamp in [1, 2] {
            assert_eq!(give(&mut assembly, timestamp, true, &[7; 9]), Ok(()));
            assembly.finish(true);
        }
        assert_eq!(give(&mut assembly, 3, true, &[7]), Err(Discard::Unread));
        assert!(assembly.bytes.len() <= 20);
        assert!(assembly.poll().is_some());
        assert_eq!(give(&mut assembly, 3, true, &[7]), Ok(()));
    }

    #[test]
    fn a_frame_without_begin_or_end_is_broken_once() {
        let mut assembly = Assembly::new(Limits::default());
        assert_eq!(give(&mut assembly, 1, false, &[1]), Err(Discard::NoStart));
        assert_eq!(give(&mut assembly, 1, false, &[1]), Err(Discard::BrokenFrame));
        assert_eq!(assembly.poll().unwrap().unwrap_err(), Broken { timestamp: 1, reason: Reason::Lost });
        assert_eq!(give(&mut assembly, 2, true, &[1]), Ok(()));
        assert_eq!(give(&mut assembly, 3, true, &[1]), Ok(()));
        assert_eq!(
            assembly.poll().unwrap().unwrap_err(),
            Broken { timestamp: 2, reason: Reason::Unfinished }
        );
        assert!(assembly.poll().is_none());
    }
}
