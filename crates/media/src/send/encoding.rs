mod adopt;
mod descriptor;
mod red;
mod repair;

use crypto::Rng;
use proto::{Instant, Writer};
use rtp::extension::{AudioLevel, Kind, RepairedRid};
use rtp::payload::red::PRIMARY_HEADER;
use rtp::rtcp::SenderInfo;
use rtp::{EditError, NtpTime, PacketMut, PayloadType, Rid, RtpTimestamp, Ssrc, rtx};

use super::forward::{Forward, wire};
use super::history::{Budget, History};
use super::key_frame::KeyFrameWish;
use super::log::{PacketKind, SentLog};
use super::packetizer::{Layering, Packetizer, Write};
use super::stats::{EncodingStats, RemoteReport};
use super::template::{Stamps, Template, stamp};
use super::{Numbering, SendError, SenderConfig};
use crate::breaker::Breaker;
use crate::clock;
use crate::later::Later;
pub(crate) use red::Encapsulation;
use red::OpenGroup;
use repair::Group;

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
    /// Values of other header extensions, as they stand in each packet of the frame; those that were not agreed on are left out. Of a
    /// dependency descriptor the two bits that say which part of the frame a packet is are set for each.
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
    /// Packets that the next repair is about.
    group: Later<Group>,
    /// The same of repair in the stream itself.
    ulpfec: OpenGroup,
    /// A packet whose header does not take what is added where it is sent again.
    cannot_pad: Option<u64>,
    forward: Later<Forward>,
    /// The header of packets of others that have nothing but their payload, with stamps alone; empty until there was one.
    bare_header: Vec<u8>,
    stamps: Stamps,
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
            group: Later::NEW,
            ulpfec: OpenGroup::default(),
            cannot_pad: None,
            forward: Later::NEW,
            bare_header: Vec::new(),
            stamps: Stamps::of(&config.extensions),
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
        self.group = Later::NEW;
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
        let mut in_red = self.ulpfec.frame(config, &template, frame)?;
        let reserve = self.wrapping(config, Encapsulation::Red).max(self.repair_reserve(config));
        let max =
            config.max_packet.saturating_sub(overhead).saturating_sub(reserve.max(in_red.reserved_bytes()));
        let packets = frame.bytes.len() / (max / 2).max(1) + 2;
        if !self.history.has_room(packets.saturating_add(in_red.repairs(packets)), frame.bytes.len()) {
            return Err(SendError::Blocked);
        }
        let begin = self.next;
        let (history, next) = (&mut self.history, &mut self.next);
        let mut first = true;
        let mut failed = None;
        let mut take = |write: Write<'_>| match template.write(config, frame, first, *next, history, write) {
            Ok(true) => {
                *next = next.saturating_add(1);
                first = false;
                in_red.extend(*next, history);
                true
            }
            Ok(false) => false,
            Err(error) => {
                failed = Some(error);
                false
            }
        };
        let divided = self.packetizer.frame(frame.bytes, timestamp.0, frame.layering, max, &mut take);
        descriptor::tell_parts(history, config, frame, begin..*next);
        in_red.end(next, history);
        self.ulpfec = in_red.group;
        self.stats.unrepaired = self.stats.unrepaired.saturating_add(in_red.unrepaired);
        divided?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        self.count_frame(frame.bytes.len());
        self.note_time(now, timestamp, config);
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

    /// A packet of this time goes. What is late, as what was asked for again, says nothing of the clock.
    fn note_time(&mut self, now: Instant, timestamp: RtpTimestamp, config: &SenderConfig) {
        let latest = config.codec.clock_rate().saturating_mul(MAX_LATE);
        let is_late = |(last, _): (RtpTimestamp, Instant)| last.0.wrapping_sub(timestamp.0) <= latest;
        if !self.time.is_some_and(is_late) {
            self.time = Some((timestamp, now));
        }
    }

    /// The time on the stream's clock, as frames have it. It begins with the first tone where there was no frame yet.
    pub(crate) fn media_time(&mut self, now: Instant, rate: u32) -> u32 {
        let (last, at) = *self.time.get_or_insert((RtpTimestamp(self.timestamp_offset), now));
        last.wrapping_add(clock::ticks(now - at, rate)).0.wrapping_sub(self.timestamp_offset)
    }

    /// Header extensions are others from now on.
    pub(crate) fn set_extensions(&mut self, config: &SenderConfig) {
        (self.bare_header, self.stamps) = (Vec::new(), Stamps::of(&config.extensions));
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
        self.extend_group(now, config, number, packet.as_packet().header().marker);
    }

    /// Whether anything waits to be sent.
    pub(crate) fn is_waiting(&self, config: &SenderConfig) -> bool {
        self.history.is_waiting() || self.history.is_asked() || self.group_is_due(config)
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
        let longest = config.max_forwarded.saturating_sub(self.wrapping(config, Encapsulation::Red));
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
            let (number, len, encapsulation) = (stored.number, stored.len(), stored.encapsulation);
            let cost = len.saturating_add(self.wrapping(config, encapsulation));
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
        if self.group_is_due(config) {
            let written = self.write_repair(now, config, log, out);
            if written != Some(false) {
                self.group.clear();
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
        if let Encapsulation::Ulpfec { protected, distance } = stored.encapsulation {
            return self.write_ulpfec(now, config, (protected, distance), log, out);
        }
        let (number, len, waited) = (stored.number, stored.len(), now - stored.added);
        let red = config.red().filter(|_| stored.encapsulation == Encapsulation::Red);
        let (start, more) = (out.len(), red.map_or(0, |_| PRIMARY_HEADER));
        if out.room() < len.saturating_add(more) {
            return false;
        }
        let (head, tail) = (stored.head.len(), stored.tail().len());
        let is_stamped = self.stamps.write(&mut stored.head, now, transport);
        let Ok(mut packet) = PacketMut::decode(&mut stored.head, head) else { return false };
        if !is_stamped {
            stamp(&mut packet, &config.extensions, now, transport);
        }
        let (payload, marker) = (packet.payload_len().saturating_add(tail), packet.marker());
        if !stored.write(out) {
            return false;
        }
        if let Some(red) = red
            && red::encapsulate(out, start, red.payload_type).is_err()
        {
            out.truncate(start);
            return false;
        }
        let (len, payload) = (len.saturating_add(more), payload.saturating_add(more));
        log.push(now, self.ssrc, wire(number), len, kind_of(config));
        self.history.sent(now);
        self.stats.waited = self.stats.waited.saturating_add(waited);
        self.count_media(len, payload);
        self.extend_group(now, config, number, marker);
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
        let len = stored.len();
        // Its own number, and its name if it has one.
        let (rtx, red) = config.again(stored.encapsulation);
        let most = len.saturating_add(self.wrapping(config, stored.encapsulation));
        if out.room() < most || !stored.write(out) {
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
            if let Some(payload_type) = red {
                rtp::payload::red::encapsulate(&mut packet, payload_type).ok()?;
            }
            if let Some(payload_type) = rtx {
                (sequence, ssrc) = (wire(self.next_rtx), self.rtx_ssrc);
                // What was sent with its stream's name is no packet of that stream any more.
                if let Some(id) = config.extensions.id(Kind::Rid) {
                    packet.remove_element(id);
                }
                if !self.rtx_is_known {
                    self.name_retransmission(config, &mut packet).ok()?;
                }
                rtx::wrap(&mut packet, rtx::Stream { ssrc, payload_type }, sequence).ok()?;
                stamp(&mut packet, &config.extensions, now, log.next());
            }
            Some((packet.len(), packet.as_packet().payload().len(), sequence, ssrc))
        });
        let Some((len, payload, sequence, ssrc)) = wrapped else {
            out.truncate(start);
            return false;
        };
        out.truncate(start.saturating_add(len));
        // Under a number of its own; otherwise it is what it was, to the last bit: SRTP protects no other under its number.
        if rtx.is_some() {
            self.next_rtx = self.next_rtx.saturating_add(1);
            log.push(now, ssrc, sequence, len, kind);
        } else {
            log.give_up(ssrc, sequence);
        }
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

    /// By how much a packet grows at most when it is sent again: what it goes in, its own number, and its names as long as they are
    /// needed.
    fn wrapping(&self, config: &SenderConfig, encapsulation: Encapsulation) -> usize {
        let (rtx, red) = config.again(encapsulation);
        self.rtx_wrapping(config, rtx).saturating_add(red.map_or(0, |_| PRIMARY_HEADER))
    }

    fn rtx_wrapping(&self, config: &SenderConfig, rtx: Option<PayloadType>) -> usize {
        let name = |name: Option<usize>| name.map_or(0, |len| len.saturating_add(ELEMENT));
        match rtx {
            None => 0,
            Some(_) if self.rtx_is_known => rtx::OVERHEAD,
            Some(_) => {
                let names = name(self.rid.map(|rid| rid.as_bytes().len()))
                    .saturating_add(name(config.mid.map(|mid| mid.as_bytes().len())));
                rtx::OVERHEAD.saturating_add(names).saturating_add(ELEMENT)
            }
        }
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
        self.count_of_source(payload);
    }

    /// A packet under the stream's own source: sender reports count it (RFC 3550 §6.4.1).
    fn count_of_source(&mut self, payload: usize) {
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
/// What is earlier by more seconds is of a source that began anew.
const MAX_LATE: u32 = 5;
/// What an element has beside its value: two bytes in front of it, and its part of what fills a word, or of a new header extension.
const ELEMENT: usize = 4;
