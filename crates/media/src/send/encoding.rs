mod adopt;

use crypto::Rng;
use proto::{Instant, Writer};
use rtp::extension::{AudioLevel, Form, Kind, RepairedRid};
use rtp::rtcp::SenderInfo;
use rtp::{EditError, Encoder, Header, NtpTime, PacketMut, PayloadType, Rid, RtpTimestamp, Ssrc, fec, rtx};

use super::forward::{Forward, wire};
use super::history::{Budget, History};
use super::key_frame::KeyFrameWish;
use super::log::{PacketKind, SentLog};
use super::packetizer::{Layering, Packetizer, Write};
use super::stats::{EncodingStats, RemoteReport};
use super::template::{Template, stamp, stamps};
use super::{Numbering, SendError, SenderConfig};
use crate::breaker::Breaker;
use crate::clock;
use crate::later::Later;

/// A frame that is to be sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutgoingFrame<'a> {
    /// As the encoder makes it; of H.264 and H.265 with start codes.
    pub bytes: &'a [u8],
    /// When its first sample was taken, in ticks of the codec's clock since any begin.
    pub timestamp: u32,
    /// Its layers.
    pub layering: Layering,
    /// When it was captured, for `abs-capture-time` (§ 1 of its description has it from the program's clock).
    pub captured: Option<NtpTime>,
    /// How loud it is (RFC 6464).
    pub audio_level: Option<AudioLevel>,
    /// Values of other header extensions, as they stand in packets; those that were not agreed on are left out.
    pub extensions: &'a [(Kind, &'a [u8])],
}

/// A stream that is sent, and what repairs it.
#[derive(Debug)]
pub(crate) struct Encoding {
    pub(crate) rid: Option<Rid>,
    pub(crate) ssrc: Ssrc,
    pub(crate) rtx_ssrc: Ssrc,
    pub(crate) fec_ssrc: Ssrc,
    pub(crate) active: bool,
    packetizer: Packetizer,
    /// Of the next packet, without wrapping.
    next: u64,
    /// Of the first packet of this source.
    pub(crate) first: u64,
    timestamp_offset: u32,
    /// A timestamp and the instant to which it belongs.
    time: Option<(RtpTimestamp, Instant)>,
    pub(crate) history: History,
    budget: Budget,
    next_rtx: u64,
    next_fec: u64,
    /// Packets that the next repair is about, and whether it is due before there are as many as may be.
    group: Vec<u64>,
    group_ends: bool,
    /// A packet whose header does not take what is added where it is sent again.
    cannot_pad: Option<u64>,
    forward: Later<Forward>,
    pub(crate) remote: Later<RemoteReport>,
    /// Whether a receiver has reported on the retransmissions: then it knows what they repair.
    pub(crate) rtx_is_known: bool,
    pub(crate) breaker: Later<Breaker>,
    pub(crate) key_frame: KeyFrameWish,
    pub(crate) stats: Later<EncodingStats>,
    /// For how many reports more this counts as sending: two after the last packet (RFC 3550 §6.4).
    pub(crate) reports_to_go: u8,
}

/// What of a stream is to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    /// What was asked for again, then what waits.
    Any,
    /// What was asked for again.
    Again,
    /// What waits, and repair.
    Fresh,
    /// Something that was sent already.
    Padding,
}

impl Encoding {
    pub(crate) fn new(
        rng: &mut Rng,
        config: &SenderConfig,
        rid: Option<Rid>,
        ssrcs: [Option<Ssrc>; 3],
    ) -> Self {
        let [ssrc, rtx_ssrc, fec_ssrc] = ssrcs.map(|ssrc| ssrc.unwrap_or_else(|| Ssrc(rng.u32())));
        // RFC 3550 §5.1 wants numbers at random; below 2¹⁵ a loss of the first packets is not taken for a wrap (RFC 3711 §3.3.1).
        let mut number = || FIRST_CYCLE + u64::from(rng.below(1 << 15));
        let (next, next_rtx, next_fec) = (number(), number(), number());
        let picture = rng.u32().to_be_bytes();
        Self {
            rid,
            ssrc,
            rtx_ssrc,
            fec_ssrc,
            active: true,
            packetizer: Packetizer::new(config.codec, u16::from_be_bytes([picture[0], picture[1]])),
            next,
            first: next,
            timestamp_offset: rng.u32(),
            time: None,
            history: History::new(config.history),
            budget: Budget::new(config.retransmission_percent, config.retransmission_burst),
            next_rtx,
            next_fec,
            group: Vec::new(),
            group_ends: false,
            cannot_pad: None,
            forward: Later::NEW,
            remote: Later::NEW,
            rtx_is_known: false,
            breaker: Later::NEW,
            key_frame: KeyFrameWish::default(),
            stats: Later::NEW,
            reports_to_go: 0,
        }
    }

    /// How far its numbers have come.
    pub(crate) const fn numbering(&self) -> Numbering {
        Numbering {
            next: self.next,
            next_rtx: self.next_rtx,
            next_fec: self.next_fec,
            timestamp_offset: self.timestamp_offset,
        }
    }

    /// Goes on where another with the same sources has left off.
    pub(crate) fn resume(mut self, left: Numbering) -> Self {
        (self.next, self.first) = (left.next, left.next);
        (self.next_rtx, self.next_fec) = (left.next_rtx, left.next_fec);
        Self { timestamp_offset: left.timestamp_offset, ..self }
    }

    /// Frames are of another codec from now on.
    pub(crate) fn set_codec(&mut self, rng: &mut Rng, config: &SenderConfig) {
        let picture = rng.u32().to_be_bytes();
        self.packetizer = Packetizer::new(config.codec, u16::from_be_bytes([picture[0], picture[1]]));
    }

    /// The stream goes on under another source (RFC 3550 §8.2).
    pub(crate) fn change_ssrc(&mut self, ssrc: Ssrc) {
        self.ssrc = ssrc;
        self.first = self.next;
        self.history.clear();
        self.group.clear();
        self.remote = Later::NEW;
        self.stats.media = (0, 0);
    }

    /// Divides a frame into packets that wait.
    pub(crate) fn send_frame(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        frame: &OutgoingFrame<'_>,
    ) -> Result<(), SendError> {
        let timestamp = RtpTimestamp(frame.timestamp.wrapping_add(self.timestamp_offset));
        let template = Template {
            now,
            ssrc: self.ssrc,
            rid: self.rid,
            timestamp,
            payload_type: config.payload_type,
            // Until the first report nobody need know which stream this is (RFC 8852 §3.1, RFC 9143 §15).
            named: self.is_named(),
        };
        let overhead = template.header_len(config, frame)?;
        // What becomes of it as a retransmission must fit, too, with its name.
        let reserve = self.wrapping(config).max(self.repair_reserve(config));
        let max = config.max_packet.saturating_sub(overhead).saturating_sub(reserve);
        let packets = frame.bytes.len() / (max / 2).max(1) + 2;
        if !self.history.has_room(packets, frame.bytes.len()) {
            return Err(SendError::Blocked);
        }
        let (history, next) = (&mut self.history, &mut self.next);
        let mut first = true;
        let mut failed = None;
        let mut take = |write: Write<'_>| match template.write(config, frame, first, *next, history, write) {
            Ok(true) => {
                *next = next.saturating_add(1);
                first = false;
                true
            }
            Ok(false) => false,
            Err(error) => {
                failed = Some(error);
                false
            }
        };
        self.packetizer.frame(frame.bytes, timestamp.0, frame.layering, max, &mut take)?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        self.count_frame(frame.bytes.len());
        self.time = Some((timestamp, now));
        Ok(())
    }

    /// A packet with a payload that is complete: telephone events, comfort noise.
    pub(crate) fn send_payload(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        payload_type: PayloadType,
        marker: bool,
        frame: &OutgoingFrame<'_>,
    ) -> Result<(), SendError> {
        let template = Template {
            now,
            ssrc: self.ssrc,
            rid: self.rid,
            timestamp: RtpTimestamp(frame.timestamp.wrapping_add(self.timestamp_offset)),
            payload_type,
            named: self.is_named(),
        };
        let overhead = template.header_len(config, frame)?;
        if overhead.saturating_add(frame.bytes.len()) > config.max_packet {
            return Err(SendError::TooLong);
        }
        if !self.history.has_room(1, frame.bytes.len()) {
            return Err(SendError::Blocked);
        }
        let mut write = |out: &mut Writer<'_>| {
            out.put(frame.bytes)?;
            Ok(Some(rtp::payload::Written { len: frame.bytes.len(), marker }))
        };
        template.write(config, frame, true, self.next, &mut self.history, &mut write)?;
        self.next = self.next.saturating_add(1);
        Ok(())
    }

    /// The time on the stream's clock, as frames have it. It begins with the first tone where there was no frame yet.
    pub(crate) fn media_time(&mut self, now: Instant, rate: u32) -> u32 {
        let (last, at) = *self.time.get_or_insert((RtpTimestamp(self.timestamp_offset), now));
        last.wrapping_add(clock::ticks(now - at, rate)).0.wrapping_sub(self.timestamp_offset)
    }

    pub(crate) fn omit(&mut self, source: u32, number: u64) {
        if let Some(forward) = self.forward.made() {
            forward.omit(source, number);
        }
    }

    /// A packet that was sent at once.
    pub(crate) fn record(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        number: u64,
        packet: &mut PacketMut<'_>,
        log: &mut SentLog,
    ) {
        stamp(packet, &config.extensions, now, log.next());
        let bytes = packet.bytes();
        let mut memory = self.history.memory(0);
        memory.extend_from_slice(bytes);
        let payload = packet.as_packet().payload().len();
        log.push(now, self.ssrc, wire(number), bytes.len(), kind_of(config));
        self.history.add(now, number, memory, Some(now));
        self.count_media(bytes.len(), payload);
        self.extend_group(config, number, packet.as_packet().header().marker);
    }

    /// Whether anything waits to be sent.
    pub(crate) fn is_waiting(&mut self, config: &SenderConfig) -> bool {
        self.history.is_waiting() || self.history.asked().is_some() || self.group_is_full(config)
    }

    /// Writes the next packet behind what `out` holds. Gives whether there was one, and room for it.
    pub(crate) fn poll_packet(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        class: Class,
        log: &mut SentLog,
        out: &mut Writer<'_>,
    ) -> bool {
        match class {
            Class::Any => self.poll_again(now, config, log, out) || self.poll_fresh(now, config, log, out),
            Class::Again => self.poll_again(now, config, log, out),
            Class::Fresh => self.poll_fresh(now, config, log, out),
            Class::Padding => self.poll_padding(now, config, log, out),
        }
    }

    /// Whether there is something to pad with: retransmissions that nobody asked for.
    pub(crate) fn can_pad(&self, config: &SenderConfig) -> bool {
        self.active && !self.breaker.is_open() && config.rtx.is_some() && self.padding(config).is_some()
    }

    /// What is sent again where nobody has asked for anything: the newest that the path carries with what is added to it.
    fn padding(&self, config: &SenderConfig) -> Option<u64> {
        let longest = config.max_forwarded.saturating_sub(self.wrapping(config));
        let newest = self.history.newest_sent(longest).map(|stored| stored.number);
        newest.filter(|number| self.cannot_pad != Some(*number))
    }

    fn poll_padding(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        log: &mut SentLog,
        out: &mut Writer<'_>,
    ) -> bool {
        if !self.can_pad(config) {
            return false;
        }
        let Some(number) = self.padding(config) else { return false };
        let has_room = out.room() >= config.max_forwarded;
        let written = self.write_again(now, config, number, PacketKind::Padding, log, out);
        if !written && has_room {
            self.cannot_pad = Some(number);
        }
        written
    }

    fn poll_again(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        log: &mut SentLog,
        out: &mut Writer<'_>,
    ) -> bool {
        while let Some(stored) = self.history.asked() {
            let (number, len) = (stored.number, stored.bytes.len());
            let cost = len.saturating_add(self.wrapping(config));
            // One that was as long as the path carried then, and is too long now, goes nowhere.
            if cost > config.max_forwarded || !self.budget.spend(cost) {
                self.history.answered(now, false);
                self.stats.refused = self.stats.refused.saturating_add(1);
                continue;
            }
            let has_room = out.room() >= cost;
            if self.write_again(now, config, number, PacketKind::Retransmission, log, out) {
                self.history.answered(now, true);
                return true;
            }
            if has_room {
                // Its header does not take what is added: it goes nowhere.
                self.history.answered(now, false);
                self.stats.refused = self.stats.refused.saturating_add(1);
                continue;
            }
            // There is no room: it keeps its turn.
            self.budget.earn(cost.saturating_mul(100).div_ceil(config.retransmission_percent.max(1)));
            return false;
        }
        false
    }

    fn poll_fresh(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        log: &mut SentLog,
        out: &mut Writer<'_>,
    ) -> bool {
        if self.group_is_full(config) {
            let written = self.write_repair(now, config, log, out);
            if written != Some(false) {
                self.group.clear();
                self.group_ends = false;
            }
            if let Some(written) = written {
                return written;
            }
        }
        self.write_next(now, config, log, out)
    }

    fn write_next(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        log: &mut SentLog,
        out: &mut Writer<'_>,
    ) -> bool {
        let transport = log.next();
        let Some(stored) = self.history.front() else { return false };
        let (number, len, waited) = (stored.number, stored.bytes.len(), now - stored.added);
        if out.room() < len {
            return false;
        }
        let Ok(mut packet) = PacketMut::decode(&mut stored.bytes, len) else { return false };
        stamp(&mut packet, &config.extensions, now, transport);
        let view = packet.as_packet();
        let (payload, marker) = (view.payload().len(), view.header().marker);
        if out.put(&stored.bytes).is_err() {
            return false;
        }
        log.push(now, self.ssrc, wire(number), len, kind_of(config));
        self.history.sent(now);
        self.stats.waited = self.stats.waited.saturating_add(waited);
        self.count_media(len, payload);
        self.extend_group(config, number, marker);
        true
    }

    fn write_again(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        number: u64,
        kind: PacketKind,
        log: &mut SentLog,
        out: &mut Writer<'_>,
    ) -> bool {
        let Some(stored) = self.history.get(number) else { return false };
        let start = out.len();
        let len = stored.bytes.len();
        // Its own number, and its name if it has one.
        if out.room() < len.saturating_add(self.wrapping(config)) || out.put(&stored.bytes).is_err() {
            out.truncate(start);
            return false;
        }
        let spare = out.room().min(MAX_WRAPPING);
        if out.put_zeros(spare).is_err() {
            out.truncate(start);
            return false;
        }
        let wrapped = PacketMut::decode(out.written_mut(start), len).ok().and_then(|mut packet| {
            let mut sequence = wire(number);
            let mut ssrc = self.ssrc;
            if let Some(payload_type) = config.rtx {
                (sequence, ssrc) = (wire(self.next_rtx), self.rtx_ssrc);
                // What was sent with its stream's name is no packet of that stream any more.
                if let Some(id) = config.extensions.id(Kind::Rid) {
                    packet.remove_element(id);
                }
                if !self.rtx_is_known {
                    self.name_retransmission(config, &mut packet).ok()?;
                }
                rtx::wrap(&mut packet, rtx::Stream { ssrc, payload_type }, sequence).ok()?;
            }
            stamp(&mut packet, &config.extensions, now, log.next());
            Some((packet.len(), packet.as_packet().payload().len(), sequence, ssrc))
        });
        let Some((len, payload, sequence, ssrc)) = wrapped else {
            out.truncate(start);
            return false;
        };
        out.truncate(start.saturating_add(len));
        self.next_rtx = self.next_rtx.saturating_add(u64::from(config.rtx.is_some()));
        log.push(now, ssrc, sequence, len, kind);
        self.count_headers(len, payload);
        let stats = &mut self.stats;
        stats.packets = stats.packets.saturating_add(1);
        let payload = u64::try_from(payload).unwrap_or(0);
        stats.bytes = stats.bytes.saturating_add(payload);
        if kind == PacketKind::Padding {
            stats.padding_packets = stats.padding_packets.saturating_add(1);
            stats.padding_bytes = stats.padding_bytes.saturating_add(payload);
            return true;
        }
        stats.retransmitted_packets = stats.retransmitted_packets.saturating_add(1);
        stats.retransmitted_bytes = stats.retransmitted_bytes.saturating_add(payload);
        true
    }

    /// RFC 8852 §3.2: a stream of retransmissions is named by what it repairs.
    fn name_retransmission(
        &self,
        config: &SenderConfig,
        packet: &mut PacketMut<'_>,
    ) -> Result<(), EditError> {
        if let Some(mid) = &config.mid {
            config.extensions.write(packet, mid)?;
        }
        let Some(rid) = self.rid else { return Ok(()) };
        config.extensions.write(packet, &RepairedRid(rid)).map(drop)
    }

    /// By how much a packet grows at most when it is sent again: its own number, and its names as long as they are needed.
    fn wrapping(&self, config: &SenderConfig) -> usize {
        let name = |name: Option<usize>| name.map_or(0, |len| len.saturating_add(ELEMENT));
        match config.rtx {
            None => 0,
            Some(_) if self.rtx_is_known => rtx::OVERHEAD,
            Some(_) => {
                let names = name(self.rid.map(|rid| rid.as_bytes().len()))
                    .saturating_add(name(config.mid.map(|mid| mid.as_bytes().len())));
                rtx::OVERHEAD.saturating_add(names).saturating_add(ELEMENT)
            }
        }
    }

    /// A packet of repair over the group; `None` if there is none to be had.
    fn write_repair(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        log: &mut SentLog,
        out: &mut Writer<'_>,
    ) -> Option<bool> {
        let fec = config.fec?;
        let stored = || self.group.iter().filter_map(|number| self.history.get(*number));
        let longest = stored().map(|stored| stored.bytes.len()).max()?;
        let most = longest.saturating_add(self.repair_overhead(config));
        if most > config.max_forwarded {
            // What it protects is of others, or was divided for a path that carried more.
            self.stats.unrepaired = self.stats.unrepaired.saturating_add(1);
            return None;
        }
        if out.room() < most {
            return Some(false);
        }
        let header = Header {
            marker: false,
            payload_type: fec.payload_type,
            sequence_number: wire(self.next_fec),
            timestamp: self.time?.0,
            ssrc: self.fec_ssrc,
        };
        let protected = [self.ssrc];
        // RFC 8627 §4.2.1: the contributing source is the stream that is protected.
        let csrcs: &[Ssrc] = if fec.format == fec::Format::Flex { &protected } else { &[] };
        let start = out.len();
        let mut encoder = Encoder::new(out, header, csrcs).ok()?;
        let extensions = &config.extensions;
        if let Some(mid) = config.mid.filter(|_| self.remote.count == 0) {
            extensions.encode(&mut encoder, Form::OneByte, &mid).ok()?;
        }
        for (id, zeros) in stamps(extensions) {
            encoder.element(Form::OneByte, id, zeros).ok()?;
        }
        let packets = stored().map(|stored| stored.bytes.as_slice());
        let written = encoder.finish_with(0, |out| fec::protect(fec.format, packets, out).map(drop)).ok()?;
        let mut payload = 0;
        if let Ok(mut packet) = PacketMut::decode(out.written_mut(start), written) {
            stamp(&mut packet, extensions, now, log.next());
            payload = packet.as_packet().payload().len();
        }
        self.next_fec = self.next_fec.saturating_add(1);
        log.push(now, self.fec_ssrc, header.sequence_number, written, PacketKind::Repair);
        self.stats.packets = self.stats.packets.saturating_add(1);
        self.stats.repairs = self.stats.repairs.saturating_add(1);
        self.count_headers(written, payload);
        self.stats.bytes = self.stats.bytes.saturating_add(u64::try_from(payload).unwrap_or(0));
        Some(true)
    }

    /// By how much a packet of repair is longer at most than the longest that it protects.
    fn repair_overhead(&self, config: &SenderConfig) -> usize {
        let Some(fec) = config.fec else { return 0 };
        let mid = config.mid.filter(|_| self.is_named()).map(|mid| mid.as_bytes().len());
        let elements = stamps(&config.extensions).map(|(_, zeros)| zeros.len()).chain(mid);
        let elements = elements.fold(0, |sum, len| len.saturating_add(1).saturating_add(sum));
        let extensions = if elements == 0 { 0 } else { elements.saturating_add(EXTENSION) };
        let header = match fec.format {
            fec::Format::Ulp => 18,
            fec::Format::Flex03 => 32,
            // With the one contributing source.
            fec::Format::Flex => 28,
        };
        extensions.saturating_add(header)
    }

    /// What packets leave free so that the path carries their repair.
    fn repair_reserve(&self, config: &SenderConfig) -> usize {
        let spare = config.max_forwarded.saturating_sub(config.max_packet);
        self.repair_overhead(config).saturating_sub(spare)
    }

    fn extend_group(&mut self, config: &SenderConfig, number: u64, end: bool) {
        let Some(fec) = config.fec else { return };
        let most = fec.group.clamp(2, MAX_GROUP);
        if self.group.len() < most {
            self.group.push(number);
        }
        // A frame that is too short for a repair of its own leaves its packets to the next.
        self.group_ends = end && self.group.len() >= most.div_ceil(2);
    }

    fn group_is_full(&self, config: &SenderConfig) -> bool {
        let full = |fec: super::FecConfig| self.group.len() >= fec.group.clamp(2, MAX_GROUP);
        config.fec.is_some_and(|fec| full(fec) || self.group_ends)
    }

    fn count_frame(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(0);
        let stats = &mut self.stats;
        let is_huge = stats.frames > 0
            && bytes.saturating_mul(2).saturating_mul(stats.frames) >= stats.frame_bytes.saturating_mul(5);
        stats.huge_frames = stats.huge_frames.saturating_add(is_huge.into());
        stats.frame_bytes = stats.frame_bytes.saturating_add(bytes);
        stats.frames = stats.frames.saturating_add(1);
    }

    fn count_headers(&mut self, len: usize, payload: usize) {
        let headers = u64::try_from(len.saturating_sub(payload)).unwrap_or(0);
        self.stats.header_bytes = self.stats.header_bytes.saturating_add(headers);
    }

    fn count_media(&mut self, len: usize, payload: usize) {
        self.count_headers(len, payload);
        self.budget.earn(len);
        self.reports_to_go = 2;
        let stats = &mut self.stats;
        stats.packets = stats.packets.saturating_add(1);
        stats.bytes = stats.bytes.saturating_add(u64::try_from(payload).unwrap_or(0));
        let (packets, octets) = &mut stats.media;
        *packets = packets.wrapping_add(1);
        *octets = octets.wrapping_add(u32::try_from(payload).unwrap_or(0));
    }

    /// What a sender report says of the stream (RFC 3550 §6.4.1); `None` before anything was sent.
    pub(crate) fn info(&self, now: Instant, ntp: NtpTime, clock_rate: u32) -> Option<SenderInfo> {
        let (timestamp, at) = self.time?;
        let (packet_count, octet_count) = self.stats.media;
        let rtp = timestamp.wrapping_add(clock::ticks(now - at, clock_rate));
        (packet_count > 0).then_some(SenderInfo { ntp, rtp, packet_count, octet_count })
    }

    /// The extended number of a packet by what a peer names it.
    pub(crate) fn number(&self, sequence: rtp::SequenceNumber) -> u64 {
        sequence.extend(self.next)
    }
}

const fn kind_of(config: &SenderConfig) -> PacketKind {
    if config.codec.is_video() { PacketKind::Video } else { PacketKind::Audio }
}

/// Where extended numbers begin, so that some lie before the first.
const FIRST_CYCLE: u64 = 1 << 16;
/// What a retransmission is longer by: its number, and two names in two-byte form with what fills a word.
const MAX_WRAPPING: usize = 96;
/// What an element has beside its value: two bytes in front of it, and its part of what fills a word, or of a new header extension.
const ELEMENT: usize = 4;
/// The header of header extensions, and what fills the last word.
const EXTENSION: usize = 7;
/// RFC 5109 §7.3 spans 48 packets.
const MAX_GROUP: usize = 48;
