//! The receiving side of a media section.

mod arrivals;
mod buffer;
mod config;
mod congestion;
mod contributors;
mod delay;
mod hollows;
mod nack;
mod part;
mod recovery;
mod sources;
mod stream;
mod track;
mod tracker;
mod unwrap;
mod window;

pub(crate) use arrivals::{Arrivals, interval as transport_feedback_interval};
pub use config::{Format, Output, ReceiverConfig};
pub(crate) use congestion::{INTERVAL as STREAM_FEEDBACK_INTERVAL, StreamArrivalLimits, StreamArrivals};
pub use contributors::Contribution;
pub use delay::DelayLimits;
pub use nack::{NackLimits, NackStats};
pub use recovery::RecoveryLimits;
pub use stream::StreamStats;
pub use track::{Content, Frame, TrackStats};

use std::collections::VecDeque;
use std::time::Duration;

use proto::Instant;
use rtp::extension::{PlayoutDelay, RepairedRid};
use rtp::rtcp::{Encoder, Packet as Rtcp, SenderInfo};
use rtp::{Packet, PacketMut, PayloadType, Rid, SequenceNumber, Ssrc, fec};

use self::contributors::Contributors;
use self::part::{Holds, Part};
use self::sources::{Reported, Role, Sources};
use self::stream::Stream;
use crate::{Discard, EncodedTransform};

/// A stream of a media section. Simulcast has several; each keeps its number when its source changes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub u32);

/// What became of a packet that was taken.
#[derive(Debug)]
pub enum Received<'p> {
    /// It was used: a frame may have come of it, or a repair.
    Consumed,
    /// It is for a forwarder ([`Output::Packets`], [`Output::Both`]): as its sender sent it, also if it was retransmitted or came inside
    /// of RED.
    Packet {
        /// Whose it is.
        stream: StreamId,
        /// Its number, which does not wrap.
        number: u64,
        /// It.
        packet: PacketMut<'p>,
    },
}

/// News of a receiver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReceiverEvent {
    /// A stream has begun, or has a new source.
    Started {
        /// Which.
        stream: StreamId,
        /// Its source.
        ssrc: Ssrc,
        /// Its name, if it has one.
        rid: Option<Rid>,
    },
    /// The source of a stream said goodbye (RFC 3550 §6.6).
    Ended {
        /// Which.
        stream: StreamId,
    },
}

/// Receives the streams of a media section.
///
/// Packets go in by [`handle_rtp`](Self::handle_rtp), after they were authenticated. A stream is found by its source, and a source
/// that is new is bound by what its first packets say, in this order: that it was announced ([`announce`](Self::announce)), its
/// name in a header extension (RFC 8852), and its payload type. A source that was announced has its name from its first packet. A
/// stream's source may change; a source is never of two streams.
///
/// Frames come out by [`poll_frame`](Self::poll_frame), or packets at once where the configuration says so, those that were
/// recovered by [`poll_recovered`](Self::poll_recovered), and numbers without media by [`poll_omitted`](Self::poll_omitted). What is to
/// be told the sender is written by [`Rtp`](crate::Rtp), which
/// knows when it may be.
#[derive(Debug)]
pub struct Receiver {
    config: ReceiverConfig,
    streams: Vec<Stream>,
    sources: Sources,
    next_stream: u32,
    round_trip: Duration,
    recovered: VecDeque<(StreamId, u64, Vec<u8>)>,
    omitted: VecDeque<(StreamId, u64)>,
    scratch: Vec<u8>,
    transform: Option<Box<dyn EncodedTransform>>,
    contributors: Contributors,
    last_now: Instant,
}

impl Receiver {
    /// One that has received nothing.
    pub fn new(config: ReceiverConfig) -> Self {
        let contributors = Contributors::new(config.max_streams, config.max_contributors);
        Self {
            config,
            contributors,
            streams: Vec::new(),
            sources: Sources::default(),
            next_stream: 0,
            round_trip: INITIAL_ROUND_TRIP,
            recovered: VecDeque::new(),
            omitted: VecDeque::new(),
            scratch: Vec::new(),
            transform: None,
            last_now: Instant::default(),
        }
    }

    /// Descriptions name a source of media, and those that repair it (`a=ssrc`, `a=ssrc-group`). `None` if there are as many
    /// streams as the limit.
    pub fn announce(&mut self, media: Ssrc, rtx: Option<Ssrc>, fec: Option<Ssrc>) -> Option<StreamId> {
        let stream = match self.sources.find(media) {
            Some(source) => source.stream,
            None => {
                let at = self.open(None)?;
                let stream = self.streams.get_mut(at)?;
                stream.ssrc = Some(media);
                stream.started = true;
                stream.id
            }
        };
        self.sources.bind(media, stream, Role::Media);
        rtx.into_iter().for_each(|rtx| self.sources.bind(rtx, stream, Role::Rtx));
        fec.into_iter().for_each(|fec| self.sources.bind(fec, stream, Role::Fec));
        Some(stream)
    }

    /// Descriptions name these sources, and no others any more: a stream that was [announced](Self::announce) and has not begun by
    /// now is forgotten with its source.
    pub fn forget_unnamed(&mut self, is_named: impl Fn(Ssrc) -> bool) {
        let is_gone = |stream: &mut Stream| {
            let has_begun = stream.is_proved() || stream.last.is_some() || stream.rid.is_some();
            !has_begun && stream.ssrc.is_some_and(|ssrc| !is_named(ssrc))
        };
        for gone in self.streams.extract_if(.., is_gone) {
            self.sources.unbind_stream(gone.id);
        }
    }

    /// Whether a source is of this section.
    pub fn has_source(&self, ssrc: Ssrc) -> bool {
        self.sources.contains(ssrc)
    }

    /// All sources that are bound.
    pub fn sources(&self) -> impl Iterator<Item = Ssrc> + '_ {
        self.sources.iter()
    }

    /// How the section is received.
    pub const fn config(&self) -> &ReceiverConfig {
        &self.config
    }

    /// The section was negotiated anew: what payload types stand for, and header extensions. Streams that are there go on, with the
    /// formats that they know.
    pub fn set_formats(
        &mut self,
        formats: Vec<(PayloadType, Format)>,
        extensions: rtp::extension::ExtensionMap,
    ) {
        self.config.formats = formats;
        self.config.extensions = extensions;
    }

    /// Takes a packet. The memory behind it is not touched.
    ///
    /// # Errors
    ///
    /// Why it is of no use.
    pub fn handle_rtp<'p>(&mut self, now: Instant, packet: PacketMut<'p>) -> Result<Received<'p>, Discard> {
        let now = self.advance(now);
        let view = packet.as_packet();
        let payload_type = view.header().payload_type;
        let format = self.config.format(payload_type).ok_or(Discard::UnknownPayloadType)?;
        let (stream, role) = self.source(now, &view, format)?;
        match (format, role) {
            (Format::Media(_), Role::Media) => self.media(now, stream, packet, true),
            (Format::Rtx { of }, Role::Rtx) => self.retransmission(now, stream, of, packet),
            (Format::Fec(format), Role::Fec) => self.repair(now, stream, format, &view),
            (Format::Red, Role::Media) => self.red(now, stream, packet, true),
            _ => Err(Discard::UnknownPayloadType),
        }
    }

    /// Takes what the sender says of its streams.
    #[expect(clippy::wildcard_enum_match_arm, reason = "of many packets it is about two")]
    pub fn handle_rtcp(&mut self, now: Instant, packet: &Rtcp<'_>) {
        let now = self.advance(now);
        match packet {
            Rtcp::SenderReport(report) => {
                if let Some(stream) = self.media_stream(report.ssrc) {
                    stream.clock.set(now, report.info);
                }
            }
            Rtcp::Goodbye(goodbye) => {
                for ssrc in goodbye.sources() {
                    if let Some(stream) = self.media_stream(ssrc) {
                        stream.ended = true;
                        stream.forget_missing();
                        // Another source may take its place at once.
                        stream.last = None;
                    }
                }
            }
            _ => {}
        }
    }

    /// The next frame whose turn it is, of any stream.
    pub fn poll_frame(&mut self, now: Instant) -> Option<Frame<'_>> {
        let now = self.advance(now);
        loop {
            let at = self.streams.iter_mut().position(|stream| stream.prepare(now))?;
            if let Some(transform) = &mut self.transform
                && !self.streams.get_mut(at)?.transform(&mut **transform)
            {
                continue;
            }
            return self.streams.get_mut(at)?.take(now);
        }
    }

    /// Gives up the frames whose turn it is, of all streams, where nobody fetches them. They are counted.
    pub fn drop_frames(&mut self, now: Instant) {
        while let Some(frame) = self.poll_frame(now) {
            let (id, is_media) = (frame.stream, matches!(frame.content, Content::Media { .. }));
            let stream = self.streams.iter_mut().find(|stream| stream.id == id);
            if let Some(track) =
                stream.filter(|_| is_media).and_then(Stream::live_mut).and_then(|it| it.track.as_mut())
            {
                track.count_unread();
            }
        }
    }

    /// Lets a transform see each frame that is whole, or none any more. Where packets are forwarded ([`Output::Packets`]) there are
    /// no frames.
    pub fn set_transform(&mut self, transform: Option<Box<dyn EncodedTransform>>) {
        self.transform = transform;
    }

    /// What the delay of playout may be from now on, of every stream.
    pub fn set_delay(&mut self, limits: DelayLimits) {
        self.config.delay = limits;
        let lives = self.streams.iter_mut().filter_map(Stream::live_mut);
        for track in lives.filter_map(|live| live.track.as_mut()) {
            track.delay_mut().set_limits(limits);
        }
    }

    /// Whether [`poll_frame`](Self::poll_frame) would give a frame now.
    pub fn has_frame(&mut self, now: Instant) -> bool {
        let now = self.advance(now);
        self.streams.iter_mut().any(|stream| stream.prepare(now))
    }

    /// A packet that was recovered, for forwarders: whose it is, its number, and its bytes.
    pub fn poll_recovered(&mut self) -> Option<(StreamId, u64, Vec<u8>)> {
        self.recovered.pop_front()
    }

    /// A number of a stream that forwarders leave out ([`Sender::omit_rtp`](crate::Sender::omit_rtp)), as it holds nothing for those to
    /// whom they forward: repair inside of RED (RFC 5109 §14), or an empty packet. To be drained after each packet, before that goes
    /// on. Repair that was lost is told, too, where numbers of pictures show that nothing else is missing; a number below others that
    /// went on already may come, when that is known late.
    pub fn poll_omitted(&mut self) -> Option<(StreamId, u64)> {
        self.omitted.pop_front()
    }

    /// Whether [`poll_recovered`](Self::poll_recovered) or [`poll_omitted`](Self::poll_omitted) would give anything.
    pub fn has_asides(&self) -> bool {
        !self.recovered.is_empty() || !self.omitted.is_empty()
    }

    /// News.
    pub fn poll_event(&mut self) -> Option<ReceiverEvent> {
        self.streams.iter_mut().find_map(|stream| {
            let proved = stream.is_proved();
            if let Some(ssrc) = stream.ssrc.filter(|_| stream.started && proved) {
                stream.started = false;
                return Some(ReceiverEvent::Started { stream: stream.id, ssrc, rid: stream.rid });
            }
            std::mem::take(&mut stream.ended).then_some(ReceiverEvent::Ended { stream: stream.id })
        })
    }

    /// Advances to `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        for stream in &mut self.streams {
            stream.expire(now, self.round_trip, &self.config);
        }
    }

    /// When a frame is due, or something is to be asked for.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.frame_due(), self.feedback_due()].into_iter().flatten().min()
    }

    /// When [`poll_frame`](Self::poll_frame) may give something.
    pub fn frame_due(&self) -> Option<Instant> {
        self.streams.iter().filter_map(Stream::frame_due).min()
    }

    /// A key frame of a stream is wanted: asked for as soon as it may be, until one comes.
    pub fn request_key_frame(&mut self, stream: StreamId) {
        if let Some(stream) = self.streams.iter_mut().find(|other| other.id == stream) {
            stream.key_frame.want();
        }
    }

    /// The streams in the order in which they began.
    pub fn streams(&self) -> impl Iterator<Item = StreamId> + '_ {
        self.streams.iter().map(|stream| stream.id)
    }

    /// How a stream is received.
    pub fn stats(&self, stream: StreamId) -> Option<StreamStats> {
        self.streams.iter().find(|other| other.id == stream).map(|it| it.stats(&self.config))
    }

    /// The source and the name of a stream.
    pub fn source_of(&self, stream: StreamId) -> Option<(Ssrc, Option<Rid>)> {
        let stream = self.streams.iter().find(|other| other.id == stream)?;
        Some((stream.ssrc?, stream.rid))
    }

    /// The sources that repair a stream: of retransmissions, and of packets of repair.
    pub fn repairs_of(&self, stream: StreamId) -> [Option<Ssrc>; 2] {
        [Role::Rtx, Role::Fec].map(|role| self.sources.of(stream, role))
    }

    /// A packet of this source came with a mark of the path's.
    pub(crate) fn count_mark(&mut self, ssrc: Ssrc, mark: proto::Ecn) {
        if let Some(live) = self.media_stream(ssrc).and_then(Stream::live_mut) {
            live.count_mark(mark);
        }
    }

    /// What the sender of a stream said last of it, and when that came.
    pub fn sender_info(&self, stream: StreamId) -> Option<(SenderInfo, Instant)> {
        self.streams.iter().find(|other| other.id == stream)?.clock.last()
    }

    /// The sources that packets of media came from in the last ten seconds, the latest first (W3C WebRTC 1.0 §5.3,
    /// `getSynchronizationSources`). They count as they come, also where they are forwarded.
    pub fn synchronization_sources(&self, now: Instant) -> Vec<Contribution> {
        self.contributors.senders(now)
    }

    /// The sources that a mixer has named in the packets of the last ten seconds, the latest first (`getContributingSources`).
    pub fn contributing_sources(&self, now: Instant) -> Vec<Contribution> {
        self.contributors.mixed(now)
    }

    /// Removes a stream.
    pub fn remove(&mut self, stream: StreamId) {
        self.streams.retain(|other| other.id != stream);
        self.sources.unbind_stream(stream);
    }

    /// The round trip to the sender, which says how soon to ask again. 100 ms until it is known.
    pub const fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// Lets this section and another of the same sender play together: the one that would be earlier waits for the other (lip-sync).
    /// Nothing is done before both have reports of their sender. Call it about once a second.
    pub fn synchronize(&mut self, other: &mut Self) {
        let own = self.streams.iter().find_map(Stream::capture_to_playout);
        let theirs = other.streams.iter().find_map(Stream::capture_to_playout);
        let (Some(own), Some(theirs)) = (own, theirs) else { return };
        let behind = Duration::from_nanos(u64::try_from(own.abs_diff(theirs)).unwrap_or(u64::MAX));
        if !(MIN_SKEW..=MAX_SKEW).contains(&behind) {
            return;
        }
        let (early, late) = if own < theirs { (self, other) } else { (other, self) };
        // What the late one waits for the early one is taken back first.
        let spare = late.streams.iter().map(|stream| stream.track().map(|it| it.delay().alignment_excess()));
        let spare = spare.map(Option::unwrap_or_default).min().unwrap_or_default();
        let back = spare.min(behind);
        late.shift(|delay| delay.saturating_sub(back));
        early.shift(|delay| (delay + (behind - back)).min(MAX_ALIGNMENT));
    }

    fn shift(&mut self, change: impl Fn(Duration) -> Duration) {
        let lives = self.streams.iter_mut().filter_map(Stream::live_mut);
        for track in lives.filter_map(|live| live.track.as_mut()) {
            let delay = track.delay_mut();
            delay.align(change(delay.target()));
        }
    }

    /// Writes what is to be asked for now. Gives whether there was anything.
    pub(crate) fn write_feedback(&mut self, now: Instant, sender: Ssrc, out: &mut Encoder<'_, '_>) -> bool {
        let (round_trip, config) = (self.round_trip, &self.config);
        let mut any = false;
        for stream in &mut self.streams {
            any |= stream.write_feedback(now, round_trip, sender, config, out);
        }
        any
    }

    pub(crate) fn feedback_due(&self) -> Option<Instant> {
        let due = |stream: &Stream| stream.feedback_due(self.round_trip, &self.config);
        self.streams.iter().filter_map(due).min()
    }

    /// What there is to report on.
    pub(crate) fn reported(&mut self) -> impl Iterator<Item = Reported<'_>> {
        self.streams.iter_mut().map(Reported::Stream).chain(self.sources.iter_mut().map(Reported::Source))
    }

    /// The source of a stream that is being received, for feedback that has to name one.
    pub(crate) fn any_source(&self) -> Option<Ssrc> {
        self.streams.iter().find_map(|stream| stream.ssrc)
    }

    fn advance(&mut self, now: Instant) -> Instant {
        self.last_now = self.last_now.max(now);
        self.last_now
    }

    /// Finds the stream of a packet, or binds its source to one. Gives where the stream is.
    fn source(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        format: Format,
    ) -> Result<(usize, Role), Discard> {
        let header = packet.header();
        let clock_rate = self.config.clock_rate();
        if let Some(source) = self.sources.find(header.ssrc) {
            source.count(now, packet, clock_rate);
            let (id, role) = (source.stream, source.role);
            if let Some(at) = self.streams.iter().position(|stream| stream.id == id) {
                if role == Role::Media {
                    self.learn_name(at, packet);
                }
                return Ok((at, role));
            }
        }
        let takeover = self.config.takeover;
        let replaced = self.streams.iter().find(|stream| stream.has_replaced(header.ssrc, now, takeover));
        // It comes late, unless it repairs what has taken the place of the other.
        let goes_on = |stream: &Stream| match format {
            Format::Media(_) | Format::Red => false,
            Format::Rtx { .. } => stream.misses(original(packet)),
            Format::Fec(_) => stream.ssrc.is_some() && stream.ssrc == protected(packet, format),
        };
        if replaced.is_some_and(|stream| !goes_on(stream)) {
            return Err(Discard::UnknownStream);
        }
        let role = match format {
            Format::Media(_) | Format::Red => Role::Media,
            Format::Rtx { .. } => Role::Rtx,
            Format::Fec(_) => Role::Fec,
        };
        let at = match role {
            Role::Media => self.bind_media(now, packet)?,
            Role::Rtx => self.repaired_by(packet, |stream| stream.misses(original(packet)))?,
            Role::Fec => {
                let protected = protected(packet, format);
                self.repaired_by(packet, |stream| stream.ssrc.is_some() && stream.ssrc == protected)?
            }
        };
        let id = self.streams.get(at).map(|stream| stream.id).ok_or(Discard::UnknownStream)?;
        self.sources.bind(header.ssrc, id, role);
        if let Some(source) = self.sources.find(header.ssrc) {
            source.count(now, packet, clock_rate);
        }
        Ok((at, role))
    }

    /// Descriptions that announce sources do not say which layers of simulcast they are: the first packet does.
    fn learn_name(&mut self, at: usize, packet: &Packet<'_>) {
        let begins = |stream: &Stream| stream.last.is_none() && stream.rid.is_none();
        if !self.streams.get(at).is_some_and(begins) {
            return;
        }
        let name: Option<Rid> = self.config.extensions.read(packet);
        let is_taken = name.is_some() && self.streams.iter().any(|stream| stream.rid == name);
        if let Some(stream) = self.streams.get_mut(at).filter(|_| !is_taken) {
            stream.rid = name;
        }
    }

    /// A stream for a source of media that is new.
    fn bind_media(&mut self, now: Instant, packet: &Packet<'_>) -> Result<usize, Discard> {
        let rid: Option<Rid> = self.config.extensions.read(packet);
        let named = self.config.extensions.read::<rtp::Mid>(packet).is_some();
        let takeover = self.config.takeover;
        let is_free =
            |stream: &Stream| stream.ssrc.is_none() || stream.last.is_none_or(|last| now - last >= takeover);
        // A name says that it is the same stream; without one the old source must have fallen silent.
        let found = self.streams.iter().position(|stream| {
            stream.rid == rid && (rid.is_some() || (is_free(stream) && stream.is_proved()))
        });
        let at = match found {
            Some(at) => at,
            None => self.open(rid).ok_or(Discard::TooManyStreams)?,
        };
        let probation = if rid.is_some() || named { 0 } else { self.config.probation };
        let stream = self.streams.get_mut(at).ok_or(Discard::UnknownStream)?;
        let id = stream.id;
        let replaced = [Role::Media, Role::Rtx, Role::Fec].map(|role| self.sources.of(id, role));
        stream.adopt(packet.header().ssrc, probation, (replaced, now), &self.config);
        // Those that repaired the old source have nothing to do with the new one.
        self.sources.unbind_stream(id);
        Ok(at)
    }

    /// The stream that a source of repair belongs to: by name, by what `fits`, or because no other lacks one.
    fn repaired_by(&self, packet: &Packet<'_>, fits: impl Fn(&Stream) -> bool) -> Result<usize, Discard> {
        let name = self.config.extensions.read::<RepairedRid>(packet).map(|rid| rid.0);
        // RFC 8852 §3.2: an older way names the stream by its own name, as what is repaired.
        let name = name.or_else(|| self.config.extensions.read(packet));
        let found = if name.is_some() {
            self.streams.iter().position(|stream| stream.rid == name)
        } else {
            self.streams.iter().position(fits).or(if self.streams.len() == 1 { Some(0) } else { None })
        };
        found.ok_or(Discard::UnknownStream)
    }

    /// A new stream, in the place of one that is of no use any more if there are as many as the limit.
    fn open(&mut self, rid: Option<Rid>) -> Option<usize> {
        if self.streams.len() >= self.config.max_streams {
            // One that has ended or fallen silent; not one that was announced and has not begun.
            let (now, takeover) = (self.last_now, self.config.takeover);
            let ended = self.streams.iter().position(|stream| match stream.last {
                Some(last) => now - last >= takeover,
                None => stream.is_proved(),
            })?;
            let id = self.streams.remove(ended).id;
            self.sources.unbind_stream(id);
        }
        let id = StreamId(self.next_stream);
        self.next_stream = self.next_stream.wrapping_add(1);
        self.streams.reserve_exact(1);
        self.streams.push(Stream::new(id, rid));
        self.streams.len().checked_sub(1)
    }

    fn media_stream(&mut self, ssrc: Ssrc) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.ssrc == Some(ssrc))
    }

    /// A packet of media, as it came or after it was unwrapped.
    fn media<'p>(
        &mut self,
        now: Instant,
        at: usize,
        packet: PacketMut<'p>,
        on_path: bool,
    ) -> Result<Received<'p>, Discard> {
        let view = packet.as_packet();
        let (id, number) = self.place(now, at, &view, on_path, false)?;
        // Of an empty one forwarders hear as of repair.
        let is_forwarded = self.config.output.has_packets() && !view.payload().is_empty();
        self.recover(now, at);
        Ok(if is_forwarded { Received::Packet { stream: id, number, packet } } else { Received::Consumed })
    }

    /// Finds the place of a packet in its stream, and puts it into the jitter buffer and where packets are kept for recovery.
    /// `filler`: only its place counts.
    fn place(
        &mut self,
        now: Instant,
        at: usize,
        view: &Packet<'_>,
        on_path: bool,
        filler: bool,
    ) -> Result<(StreamId, u64), Discard> {
        let stream = self.streams.get_mut(at).ok_or(Discard::UnknownStream)?;
        let number = stream.arrive(now, view, on_path, &self.config)?;
        let filler = filler || view.payload().is_empty();
        if !filler {
            let is_audio = !self.config.is_video();
            self.contributors.note(now, view, &self.config.extensions, is_audio);
        }
        let id = stream.id;
        let live = stream.live(&self.config);
        if !filler && let Some(recovery) = &mut live.recovery {
            recovery.add_packet(view, on_path);
        }
        let part = || if live.tells_parts() { Part::read(view, &self.config) } else { None };
        let holds = if filler { Holds::Nothing } else { Holds::Media(part()) };
        if self.config.output.has_packets() {
            let omitted = &mut self.omitted;
            live.note_held(number, holds, |number| {
                if omitted.len() < MAX_OMITTED {
                    omitted.push_back((id, number));
                }
            });
        }
        if let Some(track) = &mut live.track {
            if let Some(bounds) = self.config.extensions.read::<PlayoutDelay>(view) {
                track.delay_mut().set_bounds(bounds.min(), bounds.max());
            }
            track.insert(now, number, view, on_path, holds);
        } else if self.config.is_video()
            && let Some(Format::Media(codec)) = self.config.format(view.header().payload_type)
            && codec.outline(view.payload()).is_some_and(|outline| outline.key_frame)
        {
            stream.key_frame.satisfy();
        }
        Ok((id, number))
    }
}

/// The number of the packet that a retransmission holds.
fn original(packet: &Packet<'_>) -> SequenceNumber {
    let number = packet.payload().first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
    SequenceNumber(number)
}

/// The stream that a packet of repair names.
fn protected(packet: &Packet<'_>, format: Format) -> Option<Ssrc> {
    let Format::Fec(format) = format else { return None };
    let repair = fec::Repair::decode(format, packet.payload()).ok()?;
    repair.protected().ssrc.or_else(|| packet.csrcs().next())
}

const INITIAL_ROUND_TRIP: Duration = Duration::from_millis(100);
/// Numbers to be left out that wait for a forwarder; more are gaps for those behind it.
const MAX_OMITTED: usize = 64;
/// ITU-R BT.1359: less is not noticed.
const MIN_SKEW: Duration = Duration::from_millis(20);
/// Streams that are further apart are told of by two clocks.
const MAX_SKEW: Duration = Duration::from_secs(10);
const MAX_ALIGNMENT: Duration = Duration::from_secs(2);
