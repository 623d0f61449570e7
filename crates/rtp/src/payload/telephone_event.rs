//! Telephone events ([RFC 4733]): keys that are pressed, as packets of the audio stream.
//!
//! [RFC 4733]: https://www.rfc-editor.org/rfc/rfc4733

use std::collections::VecDeque;

use proto::{NoSpace, Reader, Writer};

use super::{Discard, FrameError, Payload};

/// An event, by its number of IANA's registry: 0 to 15 are the keys (RFC 4733 §3.2).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Event(pub u8);

impl Event {
    /// The event of a key: `0` to `9`, `*`, `#`, `A` to `D`.
    pub fn from_key(key: char) -> Option<Self> {
        let at = KEYS.iter().position(|known| *known == key.to_ascii_uppercase())?;
        u8::try_from(at).ok().map(Self)
    }

    /// The key of an event, if it is one.
    pub fn key(self) -> Option<char> {
        KEYS.get(usize::from(self.0)).copied()
    }
}

/// What one payload says (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Report {
    /// Which event.
    pub event: Event,
    /// E: it is over.
    pub end: bool,
    /// The power of the tone, in dB below 0 dBm0, 0 to 63.
    pub volume: u8,
    /// How long it has lasted, in ticks, since the packet's timestamp.
    pub duration: u16,
}

impl Report {
    /// Reads a payload. The reserved bit is ignored, and so are bytes behind the report.
    pub fn decode(payload: &[u8]) -> Result<Self, Discard> {
        let mut reader = Reader::new(payload);
        let event = Event(reader.u8().map_err(|_| Discard::Empty)?);
        let flags = reader.u8()?;
        let duration = reader.u16()?;
        Ok(Self { event, end: flags & END != 0, volume: flags & VOLUME, duration })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let [high, low] = self.duration.to_be_bytes();
        let end = if self.end { END } else { 0 };
        out.put(&[self.event.0, end | self.volume & VOLUME, high, low])
    }
}

/// A packet of an event, as [`Packetizer::write`] has appended it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Written {
    /// Bytes of the payload.
    pub len: usize,
    /// The packet's marker: set on the first one.
    pub marker: bool,
    /// The packet's timestamp: when the event, or a later segment of a long one, began.
    pub timestamp: u32,
}

/// Sends one event from its begin to its end.
///
/// The caller asks for a packet when the event begins, every 50 ms or so while it lasts, and after [`end`](Self::end) until there is
/// none any more: the last report is sent three times (RFC 4733 §2.5.1.4).
#[derive(Clone, Debug)]
pub struct Packetizer {
    event: Event,
    volume: u8,
    /// Begin of the event, or of its present segment.
    begin: u32,
    sent: bool,
    end: Option<(u32, u8)>,
}

impl Packetizer {
    /// An event that begins at `timestamp`. `volume` is in dB below 0 dBm0, at most 63.
    pub const fn new(event: Event, volume: u8, timestamp: u32) -> Result<Self, FrameError> {
        if volume > VOLUME {
            return Err(FrameError::OutOfRange);
        }
        Ok(Self { event, volume, begin: timestamp, sent: false, end: None })
    }

    /// The event is over at `timestamp`.
    pub fn end(&mut self, timestamp: u32) {
        self.end.get_or_insert((timestamp, LAST_REPORTS));
    }

    /// Appends the report that is due at `timestamp`; `None` when the event is over and told of often enough.
    ///
    /// Of an event that is longer than 65,535 ticks, each such time is a segment with a timestamp of its own (§2.5.1.3): if one call finds
    /// it past, it reports the segment's end, and the next call goes on.
    pub fn write(&mut self, timestamp: u32, out: &mut Writer<'_>) -> Result<Option<Written>, NoSpace> {
        let (until, left) = match self.end {
            Some((_, 0)) => return Ok(None),
            Some((end, left)) => (end, Some(left)),
            None => (timestamp, None),
        };
        // RFC 4733 §2.3.5: what lasts no time yet is not said to, as that would stand for a state without end.
        let lasted = until.wrapping_sub(self.begin).max(1);
        let lasted = if lasted > u32::MAX / 2 { 1 } else { lasted };
        let segment = u16::try_from(lasted);
        let report = Report {
            event: self.event,
            end: left.is_some() && segment.is_ok(),
            volume: self.volume,
            duration: segment.unwrap_or(u16::MAX),
        };
        let at = out.len();
        report.encode(out)?;
        let marker = !std::mem::replace(&mut self.sent, true);
        let written = Written { len: out.len().saturating_sub(at), marker, timestamp: self.begin };
        if segment.is_err() {
            self.begin = self.begin.wrapping_add(u32::from(u16::MAX));
        } else if let Some((_, left)) = &mut self.end {
            *left = left.saturating_sub(1);
        }
        Ok(Some(written))
    }
}

/// What happens to an event that is received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It begins, at `timestamp`.
    Began {
        /// Which.
        event: Event,
        /// dB below 0 dBm0.
        volume: u8,
        /// When, in ticks of the stream's clock.
        timestamp: u32,
    },
    /// It is over.
    Ended {
        /// Which.
        event: Event,
        /// How long it lasted, in ticks, all segments together.
        duration: u32,
        /// Whether the peer said so; otherwise another one began, and the duration is what was last heard of.
        told: bool,
    },
}

/// Tells events apart, each of which comes in many packets.
#[derive(Clone, Debug, Default)]
pub struct Depacketizer {
    current: Option<Current>,
    changes: VecDeque<Change>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    event: Event,
    /// Timestamp of its segment.
    timestamp: u32,
    /// What the segments before it lasted.
    before: u32,
    duration: u16,
    over: bool,
}

impl Depacketizer {
    /// One that has heard nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next payload. Drain [`poll_change`](Self::poll_change) afterwards: at most 64 changes wait. Reports of no duration, which
    /// are for states alone, are ignored (§2.3.5).
    pub fn handle_payload(&mut self, payload: Payload<'_>) -> Result<(), Discard> {
        if self.changes.len() >= MAX_CHANGES {
            return Err(Discard::Unread);
        }
        let report = Report::decode(payload.bytes)?;
        if report.duration == 0 {
            return Err(Discard::Malformed);
        }
        let same = self
            .current
            .filter(|current| current.event == report.event && current.timestamp == payload.timestamp);
        if let Some(current) = same {
            if current.over {
                return Err(Discard::Repeated);
            }
            return self
                .go_on(Current { duration: report.duration.max(current.duration), ..current }, report.end);
        }
        if let Some(current) = self.current {
            let elapsed = payload.timestamp.wrapping_sub(current.timestamp);
            if (1..=MAX_LATE).contains(&current.timestamp.wrapping_sub(payload.timestamp)) {
                // Of an event before it, late.
                return Err(Discard::Repeated);
            }
            let continues = !current.over
                && !payload.marker
                && current.event == report.event
                && elapsed == u32::from(u16::MAX);
            if continues {
                let before = current.before.saturating_add(elapsed);
                let next =
                    Current { timestamp: payload.timestamp, before, duration: report.duration, ..current };
                return self.go_on(next, report.end);
            }
            if !current.over {
                self.tell_end(current, false);
            }
        }
        let Report { event, volume, duration, end } = report;
        self.changes.push_back(Change::Began { event, volume, timestamp: payload.timestamp });
        self.go_on(Current { event, timestamp: payload.timestamp, before: 0, duration, over: false }, end)
    }

    /// What has happened, oldest first.
    pub fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// Nothing was heard of the event for so long that it counts as over (§2.5.2.2); no change if there is none.
    pub fn give_up(&mut self) {
        if let Some(current) = self.current.filter(|current| !current.over) {
            self.tell_end(current, false);
            self.current = Some(Current { over: true, ..current });
        }
    }

    fn go_on(&mut self, current: Current, end: bool) -> Result<(), Discard> {
        if end {
            self.tell_end(current, true);
        }
        self.current = Some(Current { over: end, ..current });
        Ok(())
    }

    fn tell_end(&mut self, current: Current, told: bool) {
        let duration = current.before.saturating_add(current.duration.into());
        self.changes.push_back(Change::Ended { event: current.event, duration, told });
    }
}

const END: u8 = 0x80;
const VOLUME: u8 = 0x3f;
/// Ticks: 20 s and more. What is older is of a source that counts time from another begin.
const MAX_LATE: u32 = 1 << 20;
/// RFC 4733 §2.5.1.4.
const LAST_REPORTS: u8 = 3;
/// Changes that wait to be polled, but for the last payload's.
const MAX_CHANGES: usize = 62;
/// RFC 4733 table 3.
const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];
