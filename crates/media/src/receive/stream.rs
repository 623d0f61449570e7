use std::time::Duration;

use proto::Instant;
use rtp::rtcp::{Encoder, FirEntry, ReportBlock};
use rtp::{Packet, PayloadType, Rid, RtpTimestamp, SequenceNumber, Ssrc};

use super::hollows::Hollows;
use super::nack::{Missing, NackStats};
use super::part::Holds;
use super::recovery::{Recovery, RepairCounts};
use super::track::{Track, TrackStats, Way};
use super::tracker::{Place, Tracker};
use super::{ReceiverConfig, StreamId};
use crate::clock::SenderClock;
use crate::{Discard, EncodedTransform};

/// A stream of a media section: one source of media with those that repair it.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) rid: Option<Rid>,
    pub(crate) ssrc: Option<Ssrc>,
    /// Made with the first packet: many streams that are announced never come.
    live: Option<Box<Live>>,
    pub(crate) clock: SenderClock,
    pub(crate) key_frame: KeyFrameRequest,
    /// News that the program has not heard yet.
    pub(crate) started: bool,
    pub(crate) ended: bool,
    pub(crate) last: Option<Instant>,
}

/// What a stream has of which packets come.
#[derive(Debug)]
pub(crate) struct Live {
    tracker: Tracker,
    missing: Missing,
    pub(crate) recovery: Option<Recovery>,
    pub(crate) track: Option<Track>,
    /// Where repair is in the stream, and that is forwarded.
    hollows: Option<Box<Hollows>>,
    /// Whether a packet came since the last report.
    heard: bool,
    /// The sources before, of media, retransmissions and repair, and when another took their place.
    replaced: ([Option<Ssrc>; 3], Instant),
    stats: StreamStats,
}

/// How a stream is received.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct StreamStats {
    /// Packets of media that came, repaired ones among them.
    pub packets: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Bytes of their headers and padding.
    pub header_bytes: u64,
    /// Packets lost on the path; negative with duplicates (RFC 3550 §6.4.1).
    pub lost: i64,
    /// How arrival times vary, in ticks of the stream's clock (RFC 3550 §6.4.1).
    pub jitter: u32,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that came out of order.
    pub reordered: u64,
    /// Packets that came as retransmissions.
    pub retransmitted: u64,
    /// Bytes of their payloads.
    pub retransmitted_bytes: u64,
    /// Of the packets those that did not come, as they were recovered; bytes of their payloads, and of their headers.
    pub rebuilt: [u64; 3],
    /// Packets that came with the marks ECT(1) and CE.
    pub marked: [u64; 2],
    /// When the last packet came that was no retransmission.
    pub last_received: Option<Instant>,
    /// What the last packet was of.
    pub payload_type: Option<PayloadType>,
    /// Packets recovered from packets of repair, and those received.
    pub recovered: u64,
    /// Recovered packets that no forwarder got, as too many waited for it.
    pub unfetched: u64,
    /// Packets of repair that came.
    pub repairs: u64,
    /// Bytes of their payloads.
    pub repair_bytes: u64,
    /// Those that were of no use: what they are about was there, or too many waited.
    pub repairs_discarded: u64,
    /// Requests for key frames.
    pub key_frame_requests: u64,
    /// Those of them that were FIRs; the others were PLIs.
    pub firs: u64,
    /// Reports of the sender that came.
    pub sender_reports: u64,
    /// Packets asked for again.
    pub nack: NackStats,
    /// Frames.
    pub track: TrackStats,
    /// How long frames are held back that met no queue.
    pub delay: Duration,
}

/// Asks for key frames, no more often than is allowed, until one comes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyFrameRequest {
    wanted: bool,
    asked: Option<Instant>,
    sequence: u8,
    count: u64,
    firs: u64,
}

impl KeyFrameRequest {
    pub(crate) const fn want(&mut self) {
        self.wanted = true;
    }

    pub(crate) const fn satisfy(&mut self) {
        self.wanted = false;
    }

    pub(crate) fn due(&self, interval: Duration) -> Option<Instant> {
        self.wanted.then(|| self.asked.map_or_else(Instant::default, |asked| asked + interval))
    }

    /// Asks if it is time. Gives whether it did.
    fn write(
        &mut self,
        now: Instant,
        interval: Duration,
        fir: bool,
        sender: Ssrc,
        media: Ssrc,
        out: &mut Encoder<'_, '_>,
    ) -> bool {
        if self.due(interval).is_none_or(|due| due > now) {
            return false;
        }
        let written = if fir {
            let entry = FirEntry { ssrc: media, sequence: self.sequence };
            // RFC 5104 §4.3.1.1: each request has a number of its own.
            self.sequence = self.sequence.wrapping_add(1);
            out.fir(sender, [entry])
        } else {
            out.pli(sender, media)
        };
        if written.is_err() {
            return false;
        }
        self.asked = Some(now);
        self.count = self.count.saturating_add(1);
        self.firs = self.firs.saturating_add(u64::from(fir));
        true
    }
}

impl Live {
    fn new(id: StreamId, probation: u16, config: &ReceiverConfig) -> Self {
        let track = config.output.has_frames().then(|| {
            Track::new(
                id,
                config
                    .codecs()
                    .map(|(payload_type, codec)| (payload_type, codec, config.sets_of(payload_type).into())),
                config.buffer,
                config.delay,
                config.wait_for_key_frame,
                config.nack,
            )
        });
        Self {
            tracker: Tracker::new(probation),
            missing: Missing::new(config.nack_limits),
            recovery: config.has_fec().then(|| Recovery::new(config.recovery)),
            track,
            hollows: config.forwards_around_repair().then(Box::default),
            heard: false,
            replaced: ([None; 3], Instant::default()),
            stats: StreamStats::default(),
        }
    }

    /// Whether anything goes by which part of a picture a packet is.
    pub(crate) const fn tells_parts(&self) -> bool {
        self.track.is_some() || self.hollows.is_some()
    }

    /// A number holds media, or none. `tell` hears of numbers that forwarders leave out; nobody asks for those any more.
    pub(crate) fn note_held(&mut self, number: u64, holds: Holds, mut tell: impl FnMut(u64)) {
        let Self { hollows, missing, .. } = self;
        match (holds, hollows) {
            (Holds::Media(part), Some(hollows)) => hollows.media(number, part, |number| {
                missing.give_up(number);
                tell(number);
            }),
            (Holds::Media(_), None) => {}
            (Holds::Nothing, hollows) => {
                if hollows.as_mut().is_none_or(|hollows| hollows.hollow(number)) {
                    tell(number);
                }
            }
        }
    }

    /// A retransmission came, with so much payload.
    pub(crate) fn count_retransmission(&mut self, bytes: usize) {
        let stats = &mut self.stats;
        stats.retransmitted = stats.retransmitted.saturating_add(1);
        stats.retransmitted_bytes = stats.retransmitted_bytes.saturating_add(bytes.try_into().unwrap_or(0));
    }

    /// A packet was recovered, and has its place.
    pub(crate) fn count_rebuilt(&mut self, packet: &Packet<'_>) {
        let (all, payload) = (packet.bytes().len(), packet.payload().len());
        for (count, more) in self.stats.rebuilt.iter_mut().zip([1, payload, all.saturating_sub(payload)]) {
            *count = count.saturating_add(more.try_into().unwrap_or(0));
        }
    }

    /// A packet was recovered that nobody fetches.
    pub(crate) const fn count_unfetched(&mut self) {
        self.stats.unfetched = self.stats.unfetched.saturating_add(1);
    }

    /// A packet came with a mark of the path's.
    pub(crate) const fn count_mark(&mut self, mark: proto::Ecn) {
        let [ect1, ce] = &mut self.stats.marked;
        match mark {
            proto::Ecn::Ect0 => {}
            proto::Ecn::Ect1 => *ect1 = ect1.saturating_add(1),
            proto::Ecn::Ce => *ce = ce.saturating_add(1),
        }
    }

    fn stats(&self) -> StreamStats {
        let counts = self.recovery.as_ref().map(Recovery::counts).unwrap_or_default();
        let RepairCounts { recovered, received: repairs, bytes: repair_bytes, discarded: repairs_discarded } =
            counts;
        StreamStats {
            repair_bytes,
            repairs_discarded,
            lost: self.tracker.lost(),
            jitter: self.tracker.jitter(),
            duplicates: self.tracker.duplicates(),
            recovered,
            repairs,
            nack: self.missing.stats(),
            track: self.track.as_ref().map(Track::stats).unwrap_or_default(),
            delay: self.track.as_ref().map(|track| track.delay().target()).unwrap_or_default(),
            ..self.stats
        }
    }
}

impl Stream {
    /// One of which nothing has come yet.
    pub(crate) fn new(id: StreamId, rid: Option<Rid>) -> Self {
        Self {
            id,
            rid,
            ssrc: None,
            live: None,
            clock: SenderClock::default(),
            key_frame: KeyFrameRequest::default(),
            started: false,
            ended: false,
            last: None,
        }
    }

    /// What there is of it since its first packet.
    pub(crate) fn live(&mut self, config: &ReceiverConfig) -> &mut Live {
        self.live.get_or_insert_with(|| Box::new(Live::new(self.id, 0, config)))
    }

    /// The same, if there is any yet.
    pub(crate) fn live_mut(&mut self) -> Option<&mut Live> {
        self.live.as_deref_mut()
    }

    /// Its jitter buffer, if there is one yet.
    pub(crate) fn track(&self) -> Option<&Track> {
        self.live.as_ref()?.track.as_ref()
    }

    fn track_mut(&mut self) -> Option<&mut Track> {
        self.live.as_deref_mut()?.track.as_mut()
    }

    /// Whether its source has proved itself.
    pub(crate) fn is_proved(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.tracker.is_started())
    }

    /// Whether a source was of this stream until just now.
    pub(crate) fn has_replaced(&self, ssrc: Ssrc, now: Instant, takeover: Duration) -> bool {
        self.live.as_ref().is_some_and(|live| {
            let (sources, since) = &live.replaced;
            sources.contains(&Some(ssrc)) && now - *since < takeover
        })
    }

    /// What is missing is not asked for any more.
    pub(crate) fn forget_missing(&mut self) {
        if let Some(live) = &mut self.live {
            live.missing.clear();
        }
    }

    /// Belongs to another source from now on, in place of those that are `replaced`. What came of the one before goes on being counted.
    pub(crate) fn adopt(
        &mut self,
        ssrc: Ssrc,
        probation: u16,
        replaced: ([Option<Ssrc>; 3], Instant),
        config: &ReceiverConfig,
    ) {
        let mut live = Box::new(Live { replaced, ..Live::new(self.id, probation, config) });
        if let Some(before) = &self.live {
            live.stats = before.stats;
            // Forwarders know streams and not their sources.
            live.tracker = Tracker::following(probation, &before.tracker);
        }
        *self = Self { ssrc: Some(ssrc), started: true, live: Some(live), ..Self::new(self.id, self.rid) };
    }

    /// Finds the place of a packet, and asks for those before it. Gives its extended number.
    pub(crate) fn arrive(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        on_path: bool,
        config: &ReceiverConfig,
    ) -> Result<u64, Discard> {
        let header = packet.header();
        let live = self.live.get_or_insert_with(|| Box::new(Live::new(self.id, 0, config)));
        let place = if on_path {
            self.last = Some(now);
            live.stats.last_received = Some(now);
            live.heard = true;
            live.tracker.arrive(header.sequence_number)
        } else {
            live.tracker.recover(header.sequence_number)
        };
        let number = match place {
            Place::Probation => return Err(Discard::Probation),
            Place::Jump => return Err(Discard::Jump),
            Place::Duplicate => return Err(Discard::Duplicate),
            Place::First(number) => {
                live.missing.clear();
                if let Some(track) = &mut live.track {
                    track.restart(number);
                }
                number
            }
            Place::Next { number, skipped } => {
                if config.nack && skipped > 0 && !live.missing.add(now, number, skipped) && config.is_video()
                {
                    self.key_frame.want();
                }
                number
            }
            Place::Late(number) => {
                live.missing.remove(number);
                live.stats.reordered = live.stats.reordered.saturating_add(u64::from(on_path));
                number
            }
        };
        if on_path {
            live.tracker.time(now, header.timestamp, config.clock_rate_of(header.payload_type));
        }
        let stats = &mut live.stats;
        stats.payload_type = Some(header.payload_type);
        stats.packets = stats.packets.saturating_add(1);
        let (all, payload) = (packet.bytes().len(), packet.payload().len());
        stats.bytes = stats.bytes.saturating_add(payload.try_into().unwrap_or(0));
        let headers = all.saturating_sub(payload);
        stats.header_bytes = stats.header_bytes.saturating_add(headers.try_into().unwrap_or(0));
        Ok(number)
    }

    /// The next frame, if it is its turn.
    pub(crate) fn prepare(&mut self, now: Instant) -> bool {
        let Some(Live { track: Some(track), missing, .. }) = self.live.as_deref_mut() else { return false };
        let ready = track.prepare(now, Way { missing });
        if track.take_wish() {
            self.key_frame.want();
        }
        missing.forget_below(track.next());
        ready
    }

    /// Has the frame that is ready transformed. `false`: it is left out.
    pub(crate) fn transform(&mut self, transform: &mut dyn EncodedTransform) -> bool {
        self.track_mut().is_none_or(|track| track.transform(transform))
    }

    pub(crate) fn take(&mut self, now: Instant) -> Option<super::Frame<'_>> {
        let clock = self.clock;
        let track = self.live.as_deref_mut()?.track.as_mut()?;
        let frame = track.take(now, |timestamp, rate| clock.ntp(timestamp, rate))?;
        if let super::Content::Media { outline, .. } = frame.content
            && outline.key_frame
        {
            self.key_frame.satisfy();
        }
        Some(frame)
    }

    /// Gives up what is too old to come.
    pub(crate) fn expire(&mut self, now: Instant, round_trip: Duration, config: &ReceiverConfig) {
        let Some(live) = &mut self.live else { return };
        let given_up = live.missing.expire(now, round_trip);
        // A track asks by itself, if a frame needs what is lost.
        if given_up && live.track.is_none() && config.is_video() {
            self.key_frame.want();
        }
    }

    /// Asks for what is missing. Gives whether it did.
    pub(crate) fn write_feedback(
        &mut self,
        now: Instant,
        round_trip: Duration,
        sender: Ssrc,
        config: &ReceiverConfig,
        out: &mut Encoder<'_, '_>,
    ) -> bool {
        let live = self.live.as_deref_mut().filter(|live| live.tracker.is_started());
        let Some((media, live)) = self.ssrc.zip(live) else { return false };
        let asked = config.nack
            && live.missing.is_due(now)
            && live.missing.write(now, round_trip, sender, media, out);
        let fir = !config.pli && config.fir;
        let interval = key_frame_interval(config, round_trip);
        let key = (config.pli || fir) && self.key_frame.write(now, interval, fir, sender, media, out);
        asked || key
    }

    /// When there is something to ask for.
    pub(crate) fn feedback_due(&self, round_trip: Duration, config: &ReceiverConfig) -> Option<Instant> {
        let live = self.live.as_deref().filter(|live| live.tracker.is_started() && self.ssrc.is_some())?;
        let nack = live.missing.due().filter(|_| config.nack);
        let asks = config.pli || config.fir;
        let key = self.key_frame.due(key_frame_interval(config, round_trip)).filter(|_| asks);
        [nack, key].into_iter().flatten().min()
    }

    /// When a frame is due.
    pub(crate) fn frame_due(&self) -> Option<Instant> {
        let live = self.live.as_deref()?;
        live.track.as_ref()?.due(Way { missing: &live.missing })
    }

    /// How the stream was received since the last report; `None` if nothing was (RFC 3550 §6.4.1).
    pub(crate) fn report(&mut self, now: Instant) -> Option<ReportBlock> {
        let live = self.live.as_deref_mut().filter(|live| live.tracker.is_started());
        let (ssrc, live) = self.ssrc.zip(live)?;
        std::mem::replace(&mut live.heard, false).then_some(())?;
        let (last_sr, delay_since_last_sr) = self.clock.echo(now);
        Some(ReportBlock { last_sr, delay_since_last_sr, ..live.tracker.report(ssrc) })
    }

    pub(crate) fn stats(&self, config: &ReceiverConfig) -> StreamStats {
        let delay = if config.output.has_frames() { config.delay.initial() } else { Duration::ZERO };
        let untouched = || StreamStats { delay, ..StreamStats::default() };
        StreamStats {
            firs: self.key_frame.firs,
            sender_reports: self.clock.count(),
            key_frame_requests: self.key_frame.count,
            ..self.live.as_deref().map_or_else(untouched, Live::stats)
        }
    }

    /// The delay from capture to playout, by the sender's time of day, in nanoseconds.
    pub(crate) fn capture_to_playout(&self) -> Option<i128> {
        let clock = self.clock;
        self.track()?.capture_to_playout(|timestamp: RtpTimestamp, rate| clock.ntp(timestamp, rate))
    }

    /// Whether a retransmission of this number would be of use.
    pub(crate) fn misses(&self, number: SequenceNumber) -> bool {
        let live = self.live.as_deref().filter(|live| live.tracker.is_started());
        live.is_some_and(|live| live.missing.contains(number.extend(live.tracker.highest())))
    }
}

/// A key frame takes a round trip to come, and some time to be made.
fn key_frame_interval(config: &ReceiverConfig, round_trip: Duration) -> Duration {
    config.key_frame_interval.max(round_trip * 2)
}
