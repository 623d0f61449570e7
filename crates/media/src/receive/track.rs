use std::time::Duration;

use proto::Instant;
use rtp::payload::{Limits, Outline, Payload, red};
use rtp::{Header, NtpTime, Packet, PayloadType, RtpTimestamp};

use super::StreamId;
use super::buffer::{Buffer, Refused, Slot};
use super::delay::{Delay, DelayLimits};
use super::nack::Missing;
use super::part::{Holds, Part};
use crate::codec::{Codec, Depacketizer};
use crate::{EncodedFrame, EncodedTransform, clock};

/// The jitter buffer of a stream: packets go in as they come, frames come out in decoding order.
///
/// ```text
///            the packet whose turn it is came: it is read
///   In order ───────────────────────────────────────────▶ In order
///      │  another came in its place: the gap is waited for
///      ▼
///    Gap ── repaired ──▶ In order
///      │  nobody asks for it any more, or it took too long
///      ▼
///    Lost ── audio: told as concealed ─────────────────▶ In order
///         └─ video: frames are left out up to a key frame, which is asked for
/// ```
///
/// *Video* comes out as soon as a frame is whole, with the instant at which it is to be shown, since a decoder may take its time. A
/// gap is waited for as long as its packets are asked for; where nothing is asked for, as long as the delay of playout. One between
/// two pictures that follow each other by their own numbers is none.
///
/// *Audio* comes out when it is to be played. What is missing then is told as [`Content::Concealed`], for as long as it lasts.
#[derive(Debug)]
pub(crate) struct Track {
    stream: StreamId,
    limits: Limits,
    buffer: Buffer,
    delay: Delay,
    formats: Vec<Format>,
    wait_for_key_frame: bool,
    repairs: bool,
    started: bool,
    /// Packets are missing before the one whose turn it is, and before the next frame.
    lost: bool,
    lost_before_frame: bool,
    /// Nothing can be decoded before a key frame.
    needs_key_frame: bool,
    wants_key_frame: bool,
    /// Of the last packet that was read its extended timestamp, and by how much those that follow each other are higher, but for
    /// pauses.
    last: u64,
    step: u64,
    newest: u64,
    /// The number of the packet that came last, if it is of video and no frame ends with it for all that it says.
    unmarked: Option<u64>,
    /// The time of the packet that was read last.
    last_read: Option<RtpTimestamp>,
    /// The part of a picture that was read last.
    last_part: Option<Part>,
    concealed: Option<Gap>,
    /// The frame that was put together, and what is known of it.
    bytes: Vec<u8>,
    ready: Option<Ready>,
    /// The packets that were read last: of the frame that is being put together, and of the one before.
    parts: [Parts; 2],
    stats: TrackStats,
}

/// What became of frames.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TrackStats {
    /// Frames that came out.
    pub frames: u64,
    /// Key frames among them.
    pub key_frames: u64,
    /// Frames that were broken.
    pub broken: u64,
    /// Whole frames that were left out because what they rest on is lost.
    pub undecodable: u64,
    /// Whole frames that a transform has left out.
    pub refused: u64,
    /// Gaps in audio that were told.
    pub concealed: u64,
    /// Ticks of audio in them.
    pub concealed_ticks: u64,
    /// Frames that were put together whole, those that were left out among them.
    pub complete: u64,
    /// Those of more than one packet.
    pub assembled: u64,
    /// How long those took from their first packet to their last, together.
    pub assembly: Duration,
    /// What [`held`](Self::held) is counted by: frames of video, and of audio ticks in those that came out.
    pub emitted: u64,
    /// For how long frames of video, or each tick of audio, waited from their first packet until they came out, together.
    pub held: Duration,
    /// For how long they were meant to, by all that delays them.
    pub held_target: Duration,
    /// And by the path alone.
    pub held_least: Duration,
    /// Packets that came after their turn.
    pub late: u64,
    /// Packets that were dropped because too much waited.
    pub overflowed: u64,
    /// Frames among those that came out that were [given up](super::Receiver::drop_frames).
    pub unread: u64,
    /// Times that too much waited, so that all of it was dropped.
    pub overflows: u64,
}

/// A frame, or what stands in for one.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Whose it is.
    pub stream: StreamId,
    /// What it is.
    pub payload_type: PayloadType,
    /// The frame, or that it is missing.
    pub content: Content<'a>,
    /// When its first sample was taken, by the stream's clock.
    pub timestamp: RtpTimestamp,
    /// When it is to be played or shown.
    pub playout: Instant,
    /// When it was captured, by the sender's time of day, which all of its streams share; `None` before its first report.
    pub captured: Option<NtpTime>,
}

/// What a frame holds.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// It came.
    Media {
        /// As a decoder takes it.
        bytes: &'a [u8],
        /// What it is.
        outline: Outline,
        /// The marker of its last packet: for audio the begin of a talkspurt.
        marker: bool,
        /// Something before it is missing.
        after_loss: bool,
    },
    /// It did not come: so many ticks of audio are to be made up.
    Concealed {
        /// In ticks of the stream's clock.
        duration: u32,
    },
}

#[derive(Debug)]
struct Format {
    payload_type: PayloadType,
    codec: Codec,
    /// What a stream in this format may leave out.
    sets: Box<[u8]>,
    /// Made when the format is first met.
    depacketizer: Option<Depacketizer>,
}

#[derive(Clone, Copy, Debug)]
struct Ready {
    payload_type: PayloadType,
    timestamp: RtpTimestamp,
    outline: Outline,
    marker: bool,
    after_loss: bool,
    arrived: Option<Instant>,
}

/// Packets with one timestamp.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    timestamp: RtpTimestamp,
    count: u32,
    first: Instant,
    last: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Gap {
    payload_type: PayloadType,
    timestamp: u64,
    duration: u64,
}

/// What a track is told of packets that were announced and of the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way<'m> {
    pub(crate) missing: &'m Missing,
}

impl Track {
    pub(crate) fn new(
        stream: StreamId,
        formats: impl Iterator<Item = (PayloadType, Codec, Box<[u8]>)>,
        limits: Limits,
        delay: DelayLimits,
        wait_for_key_frame: bool,
        repairs: bool,
    ) -> Self {
        let formats: Vec<Format> = formats
            .map(|(payload_type, codec, sets)| Format { payload_type, codec, sets, depacketizer: None })
            .collect();
        let first = formats.first().map(|format| format.codec);
        let waits = wait_for_key_frame && first.is_some_and(Codec::is_video);
        Self {
            stream,
            limits,
            buffer: Buffer::new(limits),
            delay: Delay::new(delay, first.map_or(1, Codec::clock_rate)),
            formats,
            wait_for_key_frame: waits,
            repairs,
            started: false,
            lost: false,
            lost_before_frame: false,
            needs_key_frame: waits,
            wants_key_frame: false,
            last: 0,
            step: 0,
            newest: FIRST_TIMESTAMP,
            unmarked: None,
            last_read: None,
            last_part: None,
            concealed: None,
            bytes: Vec::new(),
            ready: None,
            parts: [Parts::default(); 2],
            stats: TrackStats::default(),
        }
    }

    /// Takes a packet by its extended number. `on_path`: it came by itself rather than by repair, so that its time tells of the path.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        number: u64,
        packet: &Packet<'_>,
        on_path: bool,
        holds: Holds,
    ) {
        let filler = holds.is_nothing();
        let header = packet.header();
        let codec = self.codec(header.payload_type);
        if codec.is_none() && !filler {
            return;
        }
        if let Some(rate) = codec.map(Codec::clock_rate).filter(|rate| *rate != self.delay.clock_rate()) {
            if number < self.buffer.end() {
                self.stats.late = self.stats.late.saturating_add(1);
                return;
            }
            self.change_clock(number, rate);
        }
        let timestamp = self.extend(header.timestamp);
        let is_video = codec.is_some_and(Codec::is_video);
        // Of a telephone event all packets have the time of its begin (RFC 4733 §2.5.1.2): the first tells of the path.
        let is_update = self.started && !is_video && timestamp == self.newest;
        if on_path && !filler {
            // Where frames have no marker, the first packet of the next one tells.
            let is_next = self.unmarked == number.checked_sub(1) && timestamp > self.newest;
            let tells = if is_video { header.marker || is_next } else { !is_update };
            if tells {
                self.delay.observe(now, timestamp);
            }
            self.unmarked = Some(number).filter(|_| is_video && !header.marker);
        }
        match self.buffer.insert(now, number, header, packet.payload(), holds) {
            Ok(()) => {
                if !self.started {
                    (self.started, self.last) = (true, timestamp);
                }
                self.newest = self.newest.max(timestamp);
            }
            Err(Refused::Late) => self.stats.late = self.stats.late.saturating_add((!filler).into()),
            Err(Refused::Duplicate) => {}
            Err(Refused::Full) => {
                self.stats.overflows = self.stats.overflows.saturating_add(1);
                let waiting = u64::try_from(self.buffer.len()).unwrap_or(0);
                self.stats.overflowed = self.stats.overflowed.saturating_add(waiting);
                self.buffer.restart(number);
                self.lose();
                // It is empty now.
                let _ = self.buffer.insert(now, number, header, packet.payload(), holds);
            }
        }
    }

    /// Times are counted by another clock from `number` on, as that of another codec (RFC 7160). What waits has no time by it.
    fn change_clock(&mut self, number: u64, rate: u32) {
        let waiting = u64::try_from(self.buffer.len()).unwrap_or(0);
        self.stats.late = self.stats.late.saturating_add(waiting);
        self.buffer.restart(number);
        self.delay.set_clock_rate(rate);
        (self.started, self.step, self.newest, self.last_read) = (false, 0, FIRST_TIMESTAMP, None);
    }

    /// The source began anew with `number`: nothing before it is of use.
    pub(crate) fn restart(&mut self, number: u64) {
        self.buffer.restart(number);
        if self.started {
            self.lose();
        } else {
            // What came before it is not known, and may be no loss: its first frame may be a key frame, as it should.
            self.lost = true;
        }
    }

    /// Puts the next frame together, if it is its turn.
    pub(crate) fn prepare(&mut self, now: Instant, way: Way<'_>) -> bool {
        while self.ready.is_none() && self.concealed.is_none() {
            if self.collect() {
                continue;
            }
            if !self.step(now, way) {
                return false;
            }
        }
        true
    }

    /// Has the frame that was put together transformed. `false`: it is left out, which is as if it were lost.
    pub(crate) fn transform(&mut self, transform: &mut dyn EncodedTransform) -> bool {
        let Some(Ready { payload_type, timestamp, .. }) = self.ready else { return true };
        let Some(codec) = self.codec(payload_type) else { return true };
        let about = EncodedFrame { stream: self.stream.0, payload_type, codec, timestamp };
        if transform.transform(&about, &mut self.bytes) {
            return true;
        }
        self.ready = None;
        self.stats.refused = self.stats.refused.saturating_add(1);
        self.lost_before_frame = true;
        if self.wait_for_key_frame {
            self.needs_key_frame = true;
            self.wants_key_frame = true;
        }
        if self.is_audio() && self.step > 0 {
            let timestamp = self.extend(timestamp);
            self.concealed = Some(Gap { payload_type, timestamp, duration: self.step });
        }
        false
    }

    /// The frame that was put together.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        captured: impl Fn(RtpTimestamp, u32) -> Option<NtpTime>,
    ) -> Option<Frame<'_>> {
        let rate = self.delay.clock_rate();
        if let Some(gap) = self.concealed.take() {
            self.stats.concealed = self.stats.concealed.saturating_add(1);
            self.stats.concealed_ticks = self.stats.concealed_ticks.saturating_add(gap.duration);
            let timestamp = wire(gap.timestamp);
            return Some(Frame {
                stream: self.stream,
                payload_type: gap.payload_type,
                content: Content::Concealed { duration: u32::try_from(gap.duration).unwrap_or(u32::MAX) },
                timestamp,
                playout: self.delay.playout(gap.timestamp).unwrap_or_default(),
                captured: captured(timestamp, rate),
            });
        }
        let Ready { payload_type, timestamp, outline, marker, after_loss, arrived } = self.ready.take()?;
        if let Some(arrived) = arrived {
            self.count_emitted(now - arrived);
        }
        self.stats.frames = self.stats.frames.saturating_add(1);
        self.stats.key_frames = self.stats.key_frames.saturating_add(u64::from(outline.key_frame));
        Some(Frame {
            stream: self.stream,
            payload_type,
            content: Content::Media { bytes: &self.bytes, outline, marker, after_loss },
            timestamp,
            playout: self.delay.playout(self.extend(timestamp)).unwrap_or_default(),
            captured: captured(timestamp, rate),
        })
    }

    /// When [`prepare`](Self::prepare) may have something that it has not now.
    pub(crate) fn due(&self, way: Way<'_>) -> Option<Instant> {
        if self.ready.is_some() || self.concealed.is_some() {
            return Some(Instant::default());
        }
        let head = self.buffer.head()?;
        if self.is_audio() {
            return Some(self.turn(head.number, head.header));
        }
        if head.number == self.buffer.next() || self.goes_on() {
            return Some(Instant::default());
        }
        // While packets are asked for, that timer leads on.
        (!way.missing.contains(self.buffer.next())).then(|| head.arrived + self.patience())
    }

    /// Whether a key frame is wanted, once.
    pub(crate) const fn take_wish(&mut self) -> bool {
        std::mem::replace(&mut self.wants_key_frame, false)
    }

    /// The number that is waited for.
    pub(crate) const fn next(&self) -> u64 {
        self.buffer.next()
    }

    pub(crate) const fn delay(&self) -> &Delay {
        &self.delay
    }

    pub(crate) const fn delay_mut(&mut self) -> &mut Delay {
        &mut self.delay
    }

    /// Nobody has fetched the last frame.
    pub(crate) const fn count_unread(&mut self) {
        self.stats.unread = self.stats.unread.saturating_add(1);
    }

    pub(crate) const fn stats(&self) -> TrackStats {
        self.stats
    }

    /// The delay between capture and playout that a frame has, by the sender's time of day: what lip-sync compares. In nanoseconds,
    /// by clocks that differ by the same for all streams of a sender.
    pub(crate) fn capture_to_playout(
        &self,
        captured: impl Fn(RtpTimestamp, u32) -> Option<NtpTime>,
    ) -> Option<i128> {
        let at = self.delay.playout(self.newest)?;
        let ntp = captured(wire(self.newest), self.delay.clock_rate())?;
        let captured = (i128::from(ntp.0) * 1_000_000_000) >> 32;
        Some(i128::from(at.as_nanos()).saturating_sub(captured))
    }

    /// Takes what a depacketizer has made. Gives whether there was anything.
    fn collect(&mut self) -> bool {
        for format in &mut self.formats {
            let Some(made) = format.depacketizer.as_mut().and_then(Depacketizer::poll_frame) else {
                continue;
            };
            match made {
                Ok(frame) => {
                    let parts = self
                        .parts
                        .iter()
                        .find(|parts| parts.timestamp.0 == frame.timestamp && parts.count > 0);
                    let stats = &mut self.stats;
                    stats.complete = stats.complete.saturating_add(1);
                    if let Some(parts) = parts.filter(|parts| parts.count > 1) {
                        stats.assembled = stats.assembled.saturating_add(1);
                        stats.assembly = stats.assembly.saturating_add(parts.last - parts.first);
                    }
                    let decodable = frame.outline.key_frame || !self.needs_key_frame;
                    if decodable {
                        self.needs_key_frame = false;
                        self.bytes.clear();
                        self.bytes.extend_from_slice(frame.bytes);
                        self.ready = Some(Ready {
                            payload_type: format.payload_type,
                            timestamp: RtpTimestamp(frame.timestamp),
                            outline: frame.outline,
                            marker: frame.marker,
                            after_loss: std::mem::take(&mut self.lost_before_frame),
                            arrived: parts.map(|parts| parts.first),
                        });
                    } else {
                        self.stats.undecodable = self.stats.undecodable.saturating_add(1);
                        self.wants_key_frame = true;
                    }
                }
                Err(_) => {
                    self.stats.broken = self.stats.broken.saturating_add(1);
                    self.lost_before_frame = true;
                    if self.wait_for_key_frame {
                        self.needs_key_frame = true;
                        self.wants_key_frame = true;
                    }
                }
            }
            return true;
        }
        false
    }

    /// Reads a packet, or passes one that will not come. `false` if neither.
    fn step(&mut self, now: Instant, way: Way<'_>) -> bool {
        let Some(head) = self.buffer.head() else { return false };
        let (number, header, arrived) = (head.number, head.header, head.arrived);
        let gap = number > self.buffer.next();
        if self.is_audio() {
            if now < self.turn(number, header) {
                return false;
            }
            if gap {
                self.bridge(number, header);
                return true;
            }
        } else if gap && self.goes_on() {
            while self.buffer.next() < number {
                self.buffer.skip();
            }
            return true;
        } else if gap {
            let asked = way.missing.contains(self.buffer.next());
            if asked || (now < arrived + self.patience()) {
                return false;
            }
            self.buffer.skip();
            self.lose();
            return true;
        }
        self.read();
        true
    }

    fn read(&mut self) {
        let Some(slot) = self.buffer.take() else { return };
        let Holds::Media(part) = slot.holds else {
            self.buffer.give_back(slot.bytes);
            return;
        };
        let Header { marker, payload_type, timestamp, .. } = slot.header;
        let before = self.last_read.replace(timestamp);
        self.note_part(timestamp, slot.arrived);
        self.note_time(timestamp);
        let limits = self.limits;
        if let Some(format) = self.formats.iter_mut().find(|format| format.payload_type == payload_type) {
            self.last_part = part;
            let Format { codec, sets, depacketizer, .. } = format;
            let depacketizer =
                depacketizer.get_or_insert_with(|| Depacketizer::with_sets(*codec, limits, sets));
            if let Some(before) = before {
                depacketizer.skip_to(before.0);
            }
            let after_loss = std::mem::take(&mut self.lost);
            let payload = Payload { bytes: &slot.bytes, timestamp: timestamp.0, marker, after_loss };
            // What is refused is counted there, and the frame that it belongs to comes out as broken.
            let _ = depacketizer.handle_payload(payload);
        }
        self.buffer.give_back(slot.bytes);
    }

    /// A packet of this time is read.
    fn note_time(&mut self, timestamp: RtpTimestamp) {
        let extended = self.extend(timestamp);
        if self.last.saturating_sub(extended) > self.ticks(LEAP) {
            // Times that begin anew, as of another source behind a gateway.
            (self.last, self.newest) = (extended, extended);
        } else if extended > self.last {
            let step = extended.saturating_sub(self.last);
            // What is longer is a pause and no frame.
            if step <= self.ticks(LONGEST_FRAME) {
                self.step = step;
            }
            self.last = extended;
        }
    }

    /// A packet of the frame of `timestamp` is read.
    fn note_part(&mut self, timestamp: RtpTimestamp, arrived: Instant) {
        let [current, before] = &mut self.parts;
        if current.count == 0 || current.timestamp != timestamp {
            *before = *current;
            *current = Parts { timestamp, count: 0, first: arrived, last: arrived };
        }
        current.count = current.count.saturating_add(1);
        (current.first, current.last) = (current.first.min(arrived), current.last.max(arrived));
    }

    /// A frame that has waited for so long comes out.
    fn count_emitted(&mut self, held: Duration) {
        let units = if self.is_audio() { self.step } else { 1 };
        let (target, least) = (self.delay.target(), self.delay.least());
        let times = u32::try_from(units).unwrap_or(u32::MAX);
        let stats = &mut self.stats;
        stats.emitted = stats.emitted.saturating_add(units);
        for (sum, each) in
            [(&mut stats.held, held), (&mut stats.held_target, target), (&mut stats.held_least, least)]
        {
            *sum = sum.saturating_add(each.saturating_mul(times));
        }
    }

    /// Whether nothing of frames is missing before the oldest packet of video, whatever its number is.
    fn goes_on(&self) -> bool {
        let next = self.buffer.oldest_media().map(|oldest| oldest.holds);
        match (self.last_part, next) {
            (Some(last), Some(Holds::Media(Some(next)))) => next.follows(last),
            _ => false,
        }
    }

    /// Packets are missing for good.
    fn lose(&mut self) {
        (self.lost, self.lost_before_frame) = (true, true);
        if self.wait_for_key_frame {
            self.needs_key_frame = true;
            self.wants_key_frame = true;
        }
    }

    /// Packets of audio are missing in front of that of `header`. It may bring what was in them; the rest is concealed.
    fn bridge(&mut self, number: u64, header: Header) {
        let own = self.extend(header.timestamp);
        let oldest = self.buffer.head().and_then(|head| self.oldest_repeated(head)).unwrap_or(own);
        let begin = self.begin_of_gap(number, own);
        let duration = oldest.saturating_sub(begin);
        if self.step > 0 && duration > 0 {
            self.concealed = Some(Gap { payload_type: header.payload_type, timestamp: begin, duration });
        }
        if duration > 0 || oldest == own {
            (self.lost, self.lost_before_frame) = (true, true);
        }
        while self.buffer.next() < number {
            self.buffer.skip();
        }
        if self.step > 0 {
            // What was missing makes no frame longer.
            self.last = self.last.max(own.saturating_sub(self.step));
        }
        if oldest < own {
            // It is the turn of the oldest.
            self.read();
        }
    }

    /// The time of the oldest frame that a packet repeats (RFC 2198) and that has not been read yet.
    fn oldest_repeated(&self, slot: &Slot) -> Option<u64> {
        let Codec::RedundantAudio { primary, .. } = self.codec(slot.header.payload_type)? else {
            return None;
        };
        let own = self.extend(slot.header.timestamp);
        let blocks = red::blocks(&slot.bytes).ok()?;
        let repeated = blocks.filter(|block| block.payload_type == primary.get() && !block.data.is_empty());
        let times = repeated.map(|block| own.saturating_sub(block.timestamp_offset.into()));
        times.filter(|time| *time > self.last).min()
    }

    /// When it is the turn of the oldest packet, or of what is missing before it.
    fn turn(&self, number: u64, header: Header) -> Instant {
        let own = self.extend(header.timestamp);
        let is_behind_gap = number > self.buffer.next() && self.step > 0;
        let at = if is_behind_gap { self.begin_of_gap(number, own) } else { own };
        self.delay.playout(at).unwrap_or_default()
    }

    /// The time of what is missing before the packet with `number`, which is of the time `behind`.
    fn begin_of_gap(&self, number: u64, behind: u64) -> u64 {
        let expected = self.last.saturating_add(self.step);
        let packets = number.saturating_sub(self.buffer.next());
        let is_pause = behind.saturating_sub(expected) > packets.saturating_mul(self.ticks(LONGEST_FRAME));
        if is_pause || expected.saturating_sub(behind) > self.ticks(LEAP) {
            // So few packets do not last so long: they belong to what comes after a pause.
            behind.saturating_sub(packets.saturating_mul(self.step))
        } else {
            expected.min(behind)
        }
    }

    fn ticks(&self, span: Duration) -> u64 {
        clock::ticks(span, self.delay.clock_rate()).into()
    }

    /// How long a gap is waited for that nobody asks for.
    fn patience(&self) -> Duration {
        if self.repairs { Duration::ZERO } else { self.delay.target().max(MIN_PATIENCE) }
    }

    fn is_audio(&self) -> bool {
        self.formats.first().is_none_or(|format| !format.codec.is_video())
    }

    fn codec(&self, payload_type: PayloadType) -> Option<Codec> {
        self.formats.iter().find(|format| format.payload_type == payload_type).map(|format| format.codec)
    }

    fn extend(&self, timestamp: RtpTimestamp) -> u64 {
        timestamp.extend(self.newest)
    }
}

/// The low 32 bits.
const fn wire(timestamp: u64) -> RtpTimestamp {
    let [.., a, b, c, d] = timestamp.to_be_bytes();
    RtpTimestamp(u32::from_be_bytes([a, b, c, d]))
}

const FIRST_TIMESTAMP: u64 = 1 << 32;
const MIN_PATIENCE: Duration = Duration::from_millis(20);
/// RFC 3551 §4.2: what a packet of audio has at most.
const LONGEST_FRAME: Duration = Duration::from_millis(200);
/// Times that are lower by more are no telephone event's, which has that of its begin.
const LEAP: Duration = Duration::from_secs(10);
