//! The sending side of a media section.

mod config;
mod encoding;
mod forward;
mod history;
mod key_frame;
mod limits;
mod log;
mod packetizer;
mod shared;
mod stats;
mod template;
mod tones;

pub use config::{EncodingConfig, FecConfig, Numbering, RedConfig, SenderConfig};
pub(crate) use encoding::Class;
pub use encoding::OutgoingFrame;
pub use history::HistoryLimits;
pub use log::{PacketKind, SentLog, SentPacket, Told};
pub use packetizer::Layering;
pub use shared::{SharedPacket, SharedPackets};
pub(crate) use stats::Losses;
pub use stats::{EncodingStats, RemoteReport};
pub use tones::{ToneError, ToneFormat};

use std::fmt;
use std::time::Duration;

use crypto::Rng;
use proto::{Instant, Writer};
use rtp::extension::ExtensionMap;
use rtp::payload::FrameError;
use rtp::rtcp::{Encoder, MaxBitrate, Packet as Rtcp, Remb, ReportBlock, SenderInfo};
use rtp::{EditError, NtpTime, PacketMut, PayloadType, Rid, RtpTimestamp, Ssrc};

use self::encoding::Encoding;
use self::limits::Limits;
use self::tones::Tones;
use crate::breaker::{Breaker, Circumstances, Stop};
use crate::later::Later;
use crate::transform::Outgoing;
use crate::transport::turns;
use crate::{EncodedFrame, EncodedTransform, clock};

/// Why something was not sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// As much waits as may; try again when packets have gone.
    Blocked,
    /// There is no such stream.
    UnknownEncoding,
    /// The stream is switched off, or its circuit breaker has stopped it.
    Inactive,
    /// The payload is longer than a packet.
    TooLong,
    /// The packet is older than what is forwarded of its source.
    Late,
    /// The transform has left the frame out.
    Refused,
    /// The frame cannot be divided.
    Frame(FrameError),
    /// The packet cannot be written or changed.
    Edit(EditError),
}

impl From<FrameError> for SendError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<EditError> for SendError {
    fn from(error: EditError) -> Self {
        Self::Edit(error)
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocked => "too much waits to be sent",
            Self::UnknownEncoding => "there is no such stream",
            Self::Inactive => "the stream is not active",
            Self::TooLong => "the payload is longer than a packet",
            Self::Late => "the packet is older than what is forwarded of its source",
            Self::Refused => "the transform has left the frame out",
            Self::Frame(error) => return error.fmt(f),
            Self::Edit(error) => return error.fmt(f),
        })
    }
}

impl std::error::Error for SendError {}

/// News of a sender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SenderEvent {
    /// A peer cannot go on without a key frame.
    KeyFrameWanted {
        /// Of which stream.
        encoding: usize,
    },
    /// Peers want the bitrate of all streams together to stay below this, by REMB or TMMBR; it is the highest once they are gone who
    /// wanted less.
    BitrateLimit(u64),
    /// The circuit breaker has stopped a stream (RFC 8083): see [`Sender::resume`].
    Stopped {
        /// Which stream.
        encoding: usize,
        /// Why.
        reason: Stop,
    },
    /// A tone of [`Sender::insert_tones`] begins, or a pause; `None`: all were played. Only the last is kept.
    Tone(Option<char>),
}

/// Sends the streams of a media section: one, or with simulcast several.
///
/// Frames and packets of others wait in the history of their stream, where they stay for whoever asks for them again, until
/// [`Rtp`](crate::Rtp) takes them one by one. What peers say of the streams comes in by [`Rtp`](crate::Rtp), too.
#[derive(Debug)]
pub struct Sender {
    config: SenderConfig,
    rng: Rng,
    encodings: Vec<Encoding>,
    /// Whose packet goes next.
    turn: usize,
    limits: Later<Limits>,
    stops: Vec<(usize, Stop)>,
    transform: Option<Outgoing>,
    tones: Option<Box<Tones>>,
    urgency: u8,
    last_now: Instant,
}

impl Sender {
    /// One that has sent nothing. Sources that were not chosen, numbers and times begin as the seed says.
    pub fn new(config: SenderConfig, seed: [u8; 32]) -> Self {
        let mut rng = Rng::new(seed);
        let make = |it: &EncodingConfig| {
            let ssrcs = [it.ssrc, it.rtx_ssrc, it.fec_ssrc];
            let fresh = Encoding::new(&mut rng, &config, it.rid, ssrcs);
            match it.numbering {
                Some(left) => fresh.resume(left),
                None => fresh,
            }
        };
        let encodings = config.encodings.iter().map(make).collect();
        Self {
            config,
            rng,
            encodings,
            turn: 0,
            limits: Later::NEW,
            stops: Vec::new(),
            transform: None,
            tones: None,
            urgency: USUAL_URGENCY,
            last_now: Instant::default(),
        }
    }

    /// How the section is sent.
    pub const fn config(&self) -> &SenderConfig {
        &self.config
    }

    /// Sources of the streams, in their order: of media, of retransmissions, of repair.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = (Option<Rid>, Ssrc, Ssrc, Ssrc)> + '_ {
        self.encodings.iter().map(|it| (it.rid, it.ssrc, it.rtx_ssrc, it.fec_ssrc))
    }

    /// How far the numbers of a stream have come, for a sender that takes its place with the same sources.
    pub fn numbering(&self, encoding: usize) -> Option<Numbering> {
        self.encodings.get(encoding).map(Encoding::numbering)
    }

    /// The section was negotiated anew, or its track changed: frames are of another codec or have another payload type.
    pub fn set_codec(&mut self, payload_type: PayloadType, codec: crate::Codec, rtx: Option<PayloadType>) {
        let changed = self.config.codec != codec;
        (self.config.payload_type, self.config.codec, self.config.rtx) = (payload_type, codec, rtx);
        for encoding in self.encodings.iter_mut().filter(|_| changed) {
            encoding.set_codec(&mut self.rng, &self.config);
        }
    }

    /// The section was negotiated anew, or frames are of another codec: how what is sent from now on is repaired. What was sent
    /// in other RED, or in none, is not sent again.
    pub fn set_repair(&mut self, fec: Option<FecConfig>, red: Option<RedConfig>) {
        let before = self.config.red().map(|red| red.payload_type);
        (self.config.fec, self.config.red) = (fec, red);
        if self.config.red().map(|red| red.payload_type) != before {
            self.encodings.iter_mut().for_each(|encoding| encoding.history.forget_sent());
        }
    }

    /// The header extensions were negotiated anew.
    pub fn set_extensions(&mut self, mid: Option<rtp::Mid>, extensions: ExtensionMap) {
        (self.config.mid, self.config.extensions) = (mid, extensions);
        self.encodings.iter_mut().for_each(|encoding| encoding.set_extensions(&self.config));
    }

    /// The longest packet, without what SRTP adds: what the path carries.
    pub const fn set_max_packet(&mut self, bytes: usize) {
        self.config.max_packet = bytes;
    }

    /// The longest packet that is forwarded or sent again, without what SRTP adds.
    pub const fn set_max_forwarded(&mut self, bytes: usize) {
        self.config.max_forwarded = bytes;
    }

    /// Switches a stream on or off. What waits still goes.
    pub fn set_active(&mut self, encoding: usize, active: bool) {
        if let Some(encoding) = self.encodings.get_mut(encoding) {
            encoding.active = active;
        }
    }

    /// Says how urgent it is against other senders of video: packets of higher ones leave first. 1 by default; audio never waits.
    pub const fn set_urgency(&mut self, urgency: u8) {
        self.urgency = urgency;
    }

    /// How urgent it is.
    pub const fn urgency(&self) -> u8 {
        self.urgency
    }

    /// Whether a stream is switched on, and its circuit breaker has not stopped it.
    pub fn is_active(&self, encoding: usize) -> bool {
        self.encodings.get(encoding).is_some_and(|encoding| encoding.active && !encoding.breaker.is_open())
    }

    /// Lets a stream that its circuit breaker has stopped go on: RFC 8083 §4.5 leaves that to the user, or to a program that knows
    /// that the path is another.
    pub fn resume(&mut self, encoding: usize) {
        let breaker = self.encodings.get_mut(encoding).and_then(|encoding| encoding.breaker.made());
        if let Some(breaker) = breaker {
            breaker.close();
        }
    }

    /// Lets a transform see each frame before it is divided, or none any more. Packets of [`send_payload`](Self::send_payload) and
    /// forwarded ones are no frames.
    pub fn set_transform(&mut self, transform: Option<Box<dyn EncodedTransform>>) {
        self.transform = transform.map(Outgoing::new);
    }

    /// Divides a frame into packets, which wait.
    ///
    /// # Errors
    ///
    /// Why nothing of it will be sent.
    pub fn send_frame(
        &mut self,
        now: Instant,
        encoding: usize,
        frame: &OutgoingFrame<'_>,
    ) -> Result<(), SendError> {
        let now = self.advance(now);
        let is_muted = self.is_playing() && encoding == 0;
        let Self { config, encodings, transform, .. } = self;
        let stream = u32::try_from(encoding).map_err(|_| SendError::UnknownEncoding)?;
        let encoding = active(encodings, encoding)?;
        if is_muted {
            encoding.stats.muted = encoding.stats.muted.saturating_add(1);
            return Ok(());
        }
        let Some(transform) = transform else { return encoding.send_frame(now, config, frame) };
        let SenderConfig { payload_type, codec, .. } = *config;
        let about = EncodedFrame { stream, payload_type, codec, timestamp: RtpTimestamp(frame.timestamp) };
        let bytes = transform.apply(&about, frame.bytes).ok_or(SendError::Refused)?;
        encoding.send_frame(now, config, &OutgoingFrame { bytes, ..*frame })
    }

    /// A packet with a payload that is complete, of any payload type: a telephone event, comfort noise. Of `frame` the layers do not
    /// count.
    ///
    /// # Errors
    ///
    /// Why it will not be sent.
    pub fn send_payload(
        &mut self,
        now: Instant,
        encoding: usize,
        payload_type: PayloadType,
        marker: bool,
        frame: &OutgoingFrame<'_>,
    ) -> Result<(), SendError> {
        let now = self.advance(now);
        let (config, encoding) = self.active(encoding)?;
        encoding.send_payload(now, config, payload_type, marker, frame)
    }

    /// Forwards a packet of somebody else: it becomes one of this stream, and waits. Its payload stays where it is, and is there for
    /// others, too. `source` tells streams apart that take turns, as the layers of simulcast do, and has the packet's number in its
    /// stream, as a receiver gives it. To send it at once, see [`Rtp::forward`](crate::Rtp::forward).
    ///
    /// # Errors
    ///
    /// Why it will not be sent.
    pub fn write_rtp(
        &mut self,
        now: Instant,
        encoding: usize,
        source: (u32, u64),
        packet: &SharedPacket,
    ) -> Result<(), SendError> {
        let now = self.advance(now);
        let (config, encoding) = self.active(encoding)?;
        if !encoding.history.has_room(1, packet.payload().len()) {
            return Err(SendError::Blocked);
        }
        encoding.adopt_shared(now, config, source, packet)
    }

    /// A forwarder leaves a packet out, as of a layer that is too much for a receiver, or one that holds no media
    /// ([`Receiver::poll_omitted`](crate::Receiver::poll_omitted)): no gap shall tell of it. `source` is that of
    /// [`write_rtp`](Self::write_rtp). Where packets behind it were forwarded already, an empty packet is sent in its place, as
    /// long as what was sent around it is remembered.
    pub fn omit_rtp(&mut self, now: Instant, encoding: usize, source: (u32, u64)) {
        let now = self.advance(now);
        let Self { config, encodings, .. } = self;
        if let Some(encoding) = encodings.get_mut(encoding) {
            encoding.omit(now, config, source);
        }
    }

    /// What was sent of a stream.
    pub fn stats(&self, encoding: usize) -> Option<EncodingStats> {
        self.encodings.get(encoding).map(|encoding| *encoding.stats)
    }

    /// What a receiver said last of a stream.
    pub fn remote(&self, encoding: usize) -> Option<RemoteReport> {
        self.encodings.get(encoding).map(|encoding| *encoding.remote)
    }

    /// What peers want the bitrate to stay below, if they want that.
    pub fn bitrate_limit(&self) -> Option<u64> {
        Some(self.limits.lowest()?.clamp(self.config.min_bitrate, self.config.max_bitrate))
    }

    /// News.
    pub fn poll_event(&mut self, now: Instant) -> Option<SenderEvent> {
        let now = self.advance(now);
        if let Some((encoding, reason)) = self.stops.pop() {
            return Some(SenderEvent::Stopped { encoding, reason });
        }
        if let Some(tone) = self.poll_tone() {
            return Some(tone);
        }
        let limit = self.bitrate_limit();
        if self.limits.told() != limit {
            self.limits.tell(limit);
            return Some(SenderEvent::BitrateLimit(limit.unwrap_or(self.config.max_bitrate)));
        }
        let interval = self.config.key_frame_interval;
        let encoding =
            self.encodings.iter_mut().position(|encoding| encoding.key_frame.take(now, interval))?;
        Some(SenderEvent::KeyFrameWanted { encoding })
    }

    /// When there is news.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let interval = self.config.key_frame_interval;
        let wishes = self.encodings.iter().filter_map(|encoding| encoding.key_frame.due(interval));
        let breakers = self.encodings.iter().filter_map(|encoding| encoding.breaker.due());
        wishes.chain(breakers.filter(|_| self.config.circuit_breaker)).chain(self.tones_due()).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        for at in 0..self.encodings.len() {
            let Some(encoding) = self.encodings.get_mut(at) else { continue };
            encoding.history.forget_old(now);
            if self.config.circuit_breaker
                && let Some(reason) = encoding.breaker.made().and_then(|it| it.handle_timeout(now))
            {
                self.stop(at, reason);
            }
        }
        self.limits.made().into_iter().for_each(|limits| limits.forget_silent(now));
        self.play_tones(now);
    }

    /// Takes what a peer says of the streams.
    #[expect(clippy::wildcard_enum_match_arm, reason = "of many packets it is about some")]
    pub(crate) fn handle_rtcp(
        &mut self,
        now: Instant,
        ntp: NtpTime,
        interval: Duration,
        packet: &Rtcp<'_>,
    ) -> Losses {
        let mut losses = Losses::default();
        let now = self.advance(now);
        if matches!(packet, Rtcp::SenderReport(_) | Rtcp::ReceiverReport(_)) {
            self.breakers().for_each(|breaker| breaker.heard(now));
        }
        match packet {
            Rtcp::SenderReport(report) => {
                self.limits.made().into_iter().for_each(|limits| limits.heard(now, report.ssrc));
                for block in report.reports() {
                    losses.add(self.handle_report(now, ntp, interval, block));
                }
            }
            Rtcp::ReceiverReport(report) => {
                self.limits.made().into_iter().for_each(|limits| limits.heard(now, report.ssrc));
                for block in report.reports() {
                    losses.add(self.handle_report(now, ntp, interval, block));
                }
            }
            Rtcp::Nack(nack) => self.handle_nack(now, nack),
            Rtcp::Pli(pli) => {
                if let Some(encoding) = self.encoding_of(pli.media) {
                    encoding.stats.plis = encoding.stats.plis.saturating_add(1);
                    encoding.key_frame.want();
                }
            }
            Rtcp::Fir(fir) => {
                for entry in fir.entries() {
                    if let Some(encoding) = self.encoding_of(entry.ssrc) {
                        encoding.stats.firs = encoding.stats.firs.saturating_add(1);
                        encoding.key_frame.want_by_fir(fir.sender, entry.sequence);
                    }
                }
            }
            Rtcp::Remb(remb) if is_about(remb, |ssrc| self.encoding_of(ssrc).is_some()) => {
                self.limits.set_remb(remb.sender, remb.bitrate);
            }
            Rtcp::Goodbye(goodbye) => {
                if let Some(limits) = self.limits.made() {
                    goodbye.sources().for_each(|peer| limits.forget(peer));
                }
            }
            Rtcp::Tmmbr(request) => {
                for entry in request.entries() {
                    if self.encoding_of(entry.ssrc).is_some() {
                        let limit = MaxBitrate { ssrc: request.sender, ..entry };
                        self.limits.want(now, limit, self.config.max_limits);
                    }
                }
            }
            _ => {}
        }
        losses
    }

    /// Somebody gives feedback on the path, which is about no stream.
    pub(crate) fn handle_path_feedback(&mut self, now: Instant) {
        let now = self.advance(now);
        self.breakers().for_each(|breaker| breaker.fed(now));
    }

    /// Gives what was lost since the report before.
    fn handle_report(
        &mut self,
        now: Instant,
        ntp: NtpTime,
        interval: Duration,
        block: ReportBlock,
    ) -> Losses {
        for encoding in self.encodings.iter_mut().filter(|encoding| encoding.rtx_ssrc == block.ssrc) {
            encoding.rtx_is_known = true;
        }
        let at = self.encodings.iter().position(|encoding| encoding.ssrc == block.ssrc);
        let Some((at, encoding)) = at.and_then(|at| Some((at, self.encodings.get_mut(at)?))) else {
            return Losses::default();
        };
        let round_trip = clock::round_trip(ntp, block.last_sr, block.delay_since_last_sr);
        let remote = &mut *encoding.remote;
        let before = (remote.count > 0).then_some(remote.block);
        remote.block = block;
        remote.round_trip = round_trip.or(remote.round_trip);
        if let Some(trip) = round_trip {
            remote.round_trips = remote.round_trips.saturating_add(1);
            remote.total_round_trip = remote.total_round_trip.saturating_add(trip);
        }
        // RFC 3550 A.3, from the other side; numbers there begin in the cycle of the first.
        let first = encoding.first & 0xffff;
        let expected = i64::from(block.highest_sequence) - first.cast_signed() + 1;
        let losses = Losses::since(before, &block, expected);
        remote.received = u64::try_from(expected - i64::from(block.cumulative_lost)).unwrap_or(0);
        remote.count = remote.count.saturating_add(1);
        let circumstances = Circumstances {
            interval,
            round_trip: remote.round_trip,
            packets: encoding.stats.packets,
            bytes: encoding.stats.bytes,
        };
        if self.config.circuit_breaker
            && let Some(reason) = encoding.breaker.handle_report(now, &block, &circumstances)
        {
            self.stop(at, reason);
        }
        losses
    }

    fn handle_nack(&mut self, now: Instant, nack: &rtp::rtcp::Nack<'_>) {
        if !self.config.nack {
            return;
        }
        let Some(encoding) = self.encoding_of(nack.media) else { return };
        encoding.stats.nacks = encoding.stats.nacks.saturating_add(1);
        let round_trip = encoding.remote.round_trip.unwrap_or(INITIAL_ROUND_TRIP);
        for sequence in nack.lost() {
            let number = encoding.number(sequence);
            if !encoding.history.ask(now, number, round_trip) {
                encoding.stats.refused = encoding.stats.refused.saturating_add(1);
            }
        }
    }

    fn stop(&mut self, at: usize, reason: Stop) {
        if let Some(encoding) = self.encodings.get_mut(at) {
            encoding.history.clear();
        }
        if self.stops.len() < self.encodings.len() {
            self.stops.push((at, reason));
        }
    }

    /// Whether anything waits to be sent.
    pub fn is_waiting(&self) -> bool {
        self.encodings.iter().any(|encoding| encoding.is_waiting(&self.config))
    }

    /// Whether nothing is to be sent or told before it is changed, or [something is due](Self::poll_timeout).
    pub(crate) fn is_at_rest(&self) -> bool {
        !self.has_notification() && self.waiting_bytes() == 0 && !self.is_waiting()
    }

    /// Whether packets wait that were asked for again.
    pub(crate) fn is_asked(&self) -> bool {
        self.encodings.iter().any(|encoding| encoding.history.is_asked())
    }

    /// Whether what is sent is video, which waits for its turn; audio goes at once.
    pub(crate) const fn is_video(&self) -> bool {
        self.config.codec.is_video()
    }

    /// Bytes that wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.encodings.iter().map(|encoding| encoding.history.waiting_bytes()).sum()
    }

    /// Whether there is something to pad with.
    pub(crate) fn can_pad(&self) -> bool {
        self.encodings.iter().any(|encoding| encoding.can_pad(&self.config))
    }

    /// Writes the next packet: the streams take turns.
    pub(crate) fn poll_packet(
        &mut self,
        now: Instant,
        class: Class,
        log: &mut SentLog,
        out: &mut Writer<'_>,
    ) -> bool {
        let now = self.advance(now);
        for at in turns(self.turn, self.encodings.len()) {
            let Some(encoding) = self.encodings.get_mut(at) else { continue };
            if encoding.poll_packet(now, &self.config, class, log, out) {
                encoding.breaker.sent(now);
                self.turn = at.saturating_add(1);
                return true;
            }
        }
        false
    }

    /// Changes a packet of somebody else for sending it at once.
    pub(crate) fn forward(
        &mut self,
        now: Instant,
        encoding: usize,
        source: (u32, u64),
        packet: &mut PacketMut<'_>,
        theirs: &ExtensionMap,
        log: &mut SentLog,
    ) -> Result<(), SendError> {
        let now = self.advance(now);
        let (config, encoding) = self.active(encoding)?;
        let number = encoding.adopt(now, config, source.0, source.1, packet, theirs)?;
        encoding.record(now, config, number, packet, log);
        encoding.breaker.sent(now);
        Ok(())
    }

    /// What sender reports say, of streams that were used since the last ones: of each once it is asked.
    pub(crate) fn reports(
        &mut self,
        now: Instant,
        ntp: NtpTime,
    ) -> impl Iterator<Item = impl FnOnce() -> Option<(Ssrc, SenderInfo)>> {
        let rate = self.config.codec.clock_rate();
        self.encodings.iter_mut().map(move |encoding| {
            move || {
                let info = encoding.info(now, ntp, rate)?;
                let left = encoding.reports_to_go.checked_sub(1)?;
                encoding.reports_to_go = left;
                Some((encoding.ssrc, info))
            }
        })
    }

    /// Whether anything was sent since the last reports.
    pub(crate) fn has_sent(&self) -> bool {
        self.encodings.iter().any(|encoding| encoding.reports_to_go > 0)
    }

    /// Tells who asked for limits which one holds. Gives whether there was somebody to tell.
    pub(crate) fn write_notification(&mut self, sender: Ssrc, out: &mut Encoder<'_, '_>) -> bool {
        self.has_notification() && self.limits.write_notification(sender, out)
    }

    pub(crate) fn has_notification(&self) -> bool {
        self.limits.has_notification()
    }

    /// A peer uses one of our sources: it is changed. Gives the one that takes its place.
    pub(crate) fn resolve_collision(&mut self, ssrc: Ssrc) -> Option<Ssrc> {
        let chosen = Ssrc(self.rng.u32());
        for encoding in &mut self.encodings {
            if encoding.ssrc == ssrc {
                encoding.change_ssrc(chosen);
                return Some(chosen);
            }
            encoding.rtx_is_known &= encoding.rtx_ssrc != ssrc;
            for own in [&mut encoding.rtx_ssrc, &mut encoding.fec_ssrc] {
                if *own == ssrc {
                    *own = chosen;
                    return Some(chosen);
                }
            }
        }
        None
    }

    pub(crate) fn owns(&self, ssrc: Ssrc) -> bool {
        self.encodings.iter().any(|it| [it.ssrc, it.rtx_ssrc, it.fec_ssrc].contains(&ssrc))
    }

    /// The smallest round trip that receivers tell of.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.encodings.iter().filter_map(|encoding| encoding.remote.round_trip).min()
    }

    fn encoding_of(&mut self, ssrc: Ssrc) -> Option<&mut Encoding> {
        self.encodings.iter_mut().find(|encoding| encoding.ssrc == ssrc)
    }

    fn active(&mut self, encoding: usize) -> Result<(&SenderConfig, &mut Encoding), SendError> {
        Ok((&self.config, active(&mut self.encodings, encoding)?))
    }

    /// Those of streams that have sent.
    fn breakers(&mut self) -> impl Iterator<Item = &mut Breaker> {
        self.encodings.iter_mut().filter_map(|encoding| encoding.breaker.made())
    }

    fn advance(&mut self, now: Instant) -> Instant {
        self.last_now = self.last_now.max(now);
        self.last_now
    }
}

/// Whether what the path carries is told of one of these streams, or of none by its name: then it is about all.
pub(crate) fn is_about(remb: &Remb<'_>, is_ours: impl FnMut(Ssrc) -> bool) -> bool {
    remb.sources().len() == 0 || remb.sources().any(is_ours)
}

/// The stream with this number, if it may send.
fn active(encodings: &mut [Encoding], at: usize) -> Result<&mut Encoding, SendError> {
    let encoding = encodings.get_mut(at).ok_or(SendError::UnknownEncoding)?;
    if encoding.active && !encoding.breaker.is_open() { Ok(encoding) } else { Err(SendError::Inactive) }
}

/// Of whom nothing was said.
const USUAL_URGENCY: u8 = 1;
const INITIAL_ROUND_TRIP: Duration = Duration::from_millis(100);
