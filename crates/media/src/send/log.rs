use std::collections::VecDeque;

use proto::Instant;
use rtp::rtcp::PacketStatus;
use rtp::{SequenceNumber, Ssrc};

/// What was sent on a transport, and when: what an estimate of bandwidth compares feedback with.
///
/// Every packet of RTP has a place among all of the transport, which it carries where the peers have agreed to
/// (`transport-wide-cc`), and which is counted where they have not.
#[derive(Clone, Debug)]
pub struct SentLog {
    limit: usize,
    /// Places that follow each other.
    packets: VecDeque<SentPacket>,
    next: u64,
    bytes: u64,
    /// The probe that is being sent.
    probe: Option<u32>,
}

/// A packet that was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SentPacket {
    /// Its place among all of the transport, which does not wrap.
    pub transport: u64,
    /// Whose it is.
    pub ssrc: Ssrc,
    /// Its number in its stream.
    pub sequence: SequenceNumber,
    /// Its length, without what SRTP and the path add.
    pub bytes: usize,
    /// When it left.
    pub at: Instant,
    /// What it is.
    pub kind: PacketKind,
    /// The probe of bandwidth that it belongs to.
    pub probe: Option<u32>,
    /// What its peer had told of it before.
    pub told: Told,
}

/// What a peer has told of a packet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Told {
    /// Nothing.
    #[default]
    Nothing,
    /// It was missing. It may come late.
    Lost,
    /// It has come, or nothing can be learned from it any more.
    Arrived,
}

/// What a packet is sent for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PacketKind {
    /// Audio.
    Audio,
    /// Video.
    Video,
    /// It was sent before.
    Retransmission,
    /// It repairs others.
    Repair,
    /// It is nothing but padding.
    Padding,
}

impl SentPacket {
    /// Its peer tells of it. Gives it as it was, if that is news: what was missing may have come late, and what has come stays so
    /// (RFC 8888 §3.1).
    fn tell(&mut self, told: Told) -> Option<Self> {
        let before = *self;
        let is_news = before.told == Told::Nothing || (before.told, told) == (Told::Lost, Told::Arrived);
        if !is_news {
            return None;
        }
        self.told = told;
        Some(before)
    }
}

impl SentLog {
    pub(crate) const fn new(limit: usize, first: u16) -> Self {
        Self { limit, packets: VecDeque::new(), next: first as u64 + (1 << 16), bytes: 0, probe: None }
    }

    /// The place of the next packet.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Packets belong to a probe from now on, or to none.
    pub(crate) const fn set_probe(&mut self, probe: Option<u32>) {
        self.probe = probe;
    }

    /// The packet that was sent last.
    pub(crate) fn last(&self) -> Option<&SentPacket> {
        self.packets.back()
    }

    /// A peer tells of packets that transport-wide feedback means and that follow each other. Gives each that is remembered and of
    /// which that is news. No others are looked at, however many it claims.
    pub(crate) fn tell_transport(
        &mut self,
        begin: SequenceNumber,
        count: u16,
        told: Told,
        mut each: impl FnMut(SentPacket),
    ) {
        let Some(first) = self.packets.front().map(|packet| packet.transport) else { return };
        // Of older ones the numbers have come again.
        let oldest = first.max(self.next.saturating_sub(HALF));
        let ahead = u64::from(begin.since(SequenceNumber::from(oldest)));
        let end = ahead.saturating_add(count.into());
        // It begins among them, or before them.
        let is_among = ahead < self.next.saturating_sub(oldest);
        let (begin, end) = if is_among { (ahead, end) } else { (0, end.saturating_sub(ROUND)) };
        let place =
            |at: u64| usize::try_from(at.saturating_add(oldest).saturating_sub(first)).unwrap_or(usize::MAX);
        let packets = self.packets.iter_mut().skip(place(begin));
        for packet in packets.take(place(end).saturating_sub(place(begin))) {
            packet.tell(told).into_iter().for_each(&mut each);
        }
    }

    /// A peer tells of packets of a stream that follow each other. Gives each that is remembered and of which that is news. The log is
    /// walked once, from its end, to where the stream's packets are older, by as many steps as are left.
    pub(crate) fn tell_stream(
        &mut self,
        ssrc: Ssrc,
        begin: SequenceNumber,
        statuses: &[PacketStatus],
        steps: &mut usize,
        mut each: impl FnMut(SentPacket, PacketStatus),
    ) {
        let (mut left, mut older) = (statuses.len(), 0_usize);
        for packet in self.packets.iter_mut().rev() {
            let Some(rest) = steps.checked_sub(1).filter(|_| left > 0) else { break };
            *steps = rest;
            if packet.ssrc != ssrc {
                continue;
            }
            let place = packet.sequence.since(begin);
            let Some(status) = statuses.get(usize::from(place)) else {
                older = older.saturating_add(usize::from(begin.is_newer_than(packet.sequence)));
                if older > MAX_DISORDER {
                    break;
                }
                continue;
            };
            left = left.saturating_sub(1);
            let told = if *status == PacketStatus::Lost { Told::Lost } else { Told::Arrived };
            if let Some(packet) = packet.tell(told) {
                each(packet, *status);
            }
        }
    }

    /// How many steps may be taken for one report on streams: a stream's newest packets are near the end of the log.
    pub(crate) fn steps(&self) -> usize {
        self.packets.len().saturating_mul(MAX_WALKS)
    }

    /// A packet is sent again as it was: nobody can tell any more when the first of the two has arrived, so that it says nothing.
    pub(crate) fn give_up(&mut self, ssrc: Ssrc, sequence: SequenceNumber) {
        let mut packets = self.packets.iter_mut().rev();
        if let Some(packet) = packets.find(|packet| packet.ssrc == ssrc && packet.sequence == sequence) {
            packet.told = Told::Arrived;
        }
    }

    /// All bytes that were sent.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A packet was sent.
    pub(crate) fn push(
        &mut self,
        at: Instant,
        ssrc: Ssrc,
        sequence: SequenceNumber,
        bytes: usize,
        kind: PacketKind,
    ) -> SentPacket {
        let packet = SentPacket {
            transport: self.next,
            ssrc,
            sequence,
            bytes,
            at,
            kind,
            probe: self.probe,
            told: Told::Nothing,
        };
        self.next = self.next.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(0));
        if self.packets.len() >= self.limit {
            self.packets.pop_front();
        }
        self.packets.push_back(packet);
        packet
    }

    /// The packet of a place.
    pub fn get(&self, transport: u64) -> Option<&SentPacket> {
        let first = self.packets.front()?.transport;
        self.packets.get(usize::try_from(transport.checked_sub(first)?).ok()?)
    }

    /// The packet that transport-wide feedback means.
    pub fn by_transport(&self, sequence: SequenceNumber) -> Option<&SentPacket> {
        self.get(sequence.extend(self.next))
    }

    /// The packet that feedback on streams (RFC 8888) means: the newest of that number.
    pub fn by_stream(&self, ssrc: Ssrc, sequence: SequenceNumber) -> Option<&SentPacket> {
        // Feedback is about what was sent last.
        self.packets.iter().rev().find(|packet| packet.ssrc == ssrc && packet.sequence == sequence)
    }

    /// All that are remembered, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &SentPacket> + '_ {
        self.packets.iter()
    }
}

/// All numbers on the wire, and half of them.
const ROUND: u64 = 1 << 16;
const HALF: u64 = 1 << 15;
/// Before so many older ones of a stream no packet is sent out of its turn.
const MAX_DISORDER: usize = 64;
/// The log is walked so often at most for one report.
const MAX_WALKS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of packets that are told of.
    fn tell(log: &mut SentLog, begin: u16, count: u16) -> Vec<u64> {
        let mut told = Vec::new();
        log.tell_transport(SequenceNumber(begin), count, Told::Arrived, |packet| told.push(packet.transport));
        told
    }

    #[test]
    fn what_was_lost_may_have_come_late_and_what_has_come_stays_so() {
        let mut log = SentLog::new(10, 0);
        for number in 0..3 {
            log.push(Instant::default(), Ssrc(1), SequenceNumber(number), 100, PacketKind::Audio);
        }
        let mut tell = |told| {
            let mut before = Vec::new();
            log.tell_transport(SequenceNumber(1), 1, told, |packet| before.push(packet.told));
            before
        };
        assert_eq!((tell(Told::Lost), tell(Told::Lost)), (vec![Told::Nothing], vec![]));
        assert_eq!((tell(Told::Arrived), tell(Told::Lost)), (vec![Told::Lost], vec![]));
        let mut told = |status| {
            let mut before = Vec::new();
            log.tell_stream(Ssrc(1), SequenceNumber(2), &[status], &mut { 10 }, |packet, _| {
                before.push(packet.told)
            });
            before
        };
        let received = PacketStatus::Received { ecn: None, offset: None };
        assert_eq!((told(PacketStatus::Lost), told(received)), (vec![Told::Nothing], vec![Told::Lost]));
        assert_eq!((told(received), told(PacketStatus::Lost)), (vec![], vec![]));
    }

    #[test]
    fn r5_of_what_feedback_claims_the_log_alone_is_looked_at() {
        let filled = |packets: u16| {
            let mut log = SentLog::new(40_000, 65_000);
            for number in 0..packets {
                log.push(Instant::default(), Ssrc(1), SequenceNumber(number), 100, PacketKind::Audio);
            }
            log
        };
        // Places 130,536 to 131,535, which are 65,000 to 463 on the wire.
        let all: Vec<u64> = (130_536..131_536).collect();
        for (begin, count, from, until) in [
            (64_999, 1, 0, 0),
            (65_000, 1, 0, 1),
            (65_535, 2, 535, 537),
            (463, u16::MAX, 999, 1000),
            (464, u16::MAX, 0, 999),
            (464, 64_536, 0, 0),
            (464, 64_537, 0, 1),
            (64_000, 8191, 0, 1000),
            (30_000, 8191, 0, 0),
        ] {
            assert_eq!(tell(&mut filled(1000), begin, count), all[from..until], "{begin} {count}");
        }
        assert_eq!(tell(&mut SentLog::new(10, 0), 0, u16::MAX), []);
        // Of numbers that came twice the newest.
        let mut log = filled(40_000);
        let [first, middle] = [0, 40_000 - 32_768].map(|at| 130_536 + at);
        assert_eq!(tell(&mut log, SequenceNumber::from(first).0, 1), []);
        assert_eq!(tell(&mut log, SequenceNumber::from(middle).0, 1), [middle]);
    }

    #[test]
    fn r5_a_stream_is_looked_for_down_to_where_its_packets_are_older() {
        let mut log = SentLog::new(5000, 0);
        // 3999 goes early, 5000 far too early, and 3900 late.
        let last = [5000, 3999].into_iter().chain(3936..3999).chain([3900]);
        for number in (0..3900_u16).chain(3901..3936).chain(last) {
            log.push(Instant::default(), Ssrc(1), SequenceNumber(number), 100, PacketKind::Video);
        }
        let mut told = |begin, statuses: &[PacketStatus]| {
            let mut told = Vec::new();
            log.tell_stream(Ssrc(1), SequenceNumber(begin), statuses, &mut { usize::MAX }, |packet, _| {
                told.push(packet.sequence.0)
            });
            told
        };
        assert_eq!(told(3998, &[PacketStatus::Lost; 4]), [3998, 3999]);
        assert_eq!(told(5000, &[PacketStatus::Lost; 2]), []);
        assert_eq!(told(3899, &[PacketStatus::Lost; 3]), [3900, 3901, 3899]);
        assert_eq!(told(10, &[PacketStatus::Lost; 2]), [11, 10]);
        // Streams that are not there take steps, until none is left.
        let mut steps = log.steps();
        let mut tell = |ssrc, begin| {
            let mut told = 0;
            let each = |_, _| told += 1;
            log.tell_stream(Ssrc(ssrc), SequenceNumber(begin), &[PacketStatus::Lost], &mut steps, each);
            told
        };
        assert_eq!((2..9).map(|ssrc| tell(ssrc, 0)).sum::<u32>(), 0);
        assert_eq!((tell(1, 3990), tell(2, 0), tell(1, 3991)), (1, 0, 0));
    }

    #[test]
    fn as_many_packets_are_remembered_as_the_limit_and_found_across_the_wrap() {
        let mut log = SentLog::new(10, 65_530);
        for number in 0..11_u16 {
            let sent = log.push(Instant::default(), Ssrc(1), SequenceNumber(number), 100, PacketKind::Audio);
            assert_eq!(sent.transport, 131_066 + u64::from(number));
        }
        assert_eq!((log.iter().count(), log.bytes()), (10, 1100));
        assert!(log.by_transport(SequenceNumber(65_530)).is_none());
        assert_eq!(log.by_transport(SequenceNumber(65_531)).unwrap().sequence, SequenceNumber(1));
        assert_eq!(log.by_transport(SequenceNumber(3)).unwrap().sequence, SequenceNumber(9));
        assert!(log.by_transport(SequenceNumber(5)).is_none());
        assert_eq!(log.by_stream(Ssrc(1), SequenceNumber(9)).unwrap().transport, 131_075);
        assert!(log.by_stream(Ssrc(2), SequenceNumber(9)).is_none());
        log.give_up(Ssrc(1), SequenceNumber(9));
        assert_eq!((tell(&mut log, 3, 1), tell(&mut log, 2, 1)), (vec![], vec![131_074]));
    }
}
