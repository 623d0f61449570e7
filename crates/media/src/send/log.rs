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
    /// Whether its peer has told what became of it.
    pub told: bool,
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

    /// A peer tells of the packet that transport-wide feedback means. Gives it the first time.
    pub(crate) fn tell_transport(&mut self, sequence: SequenceNumber) -> Option<SentPacket> {
        let first = self.packets.front()?.transport;
        let at = usize::try_from(sequence.extend(self.next).checked_sub(first)?).ok()?;
        let packet = self.packets.get_mut(at)?;
        (!std::mem::replace(&mut packet.told, true)).then_some(*packet)
    }

    /// A peer tells of packets of a stream that follow each other. Gives each that is remembered and was not told of before. The log
    /// is walked once, from its end.
    pub(crate) fn tell_stream(
        &mut self,
        ssrc: Ssrc,
        begin: SequenceNumber,
        statuses: &[PacketStatus],
        mut each: impl FnMut(SentPacket, PacketStatus),
    ) {
        let mut left = statuses.len();
        for packet in self.packets.iter_mut().rev().filter(|packet| packet.ssrc == ssrc) {
            if left == 0 {
                break;
            }
            let place = packet.sequence.0.wrapping_sub(begin.0);
            let Some(status) = statuses.get(usize::from(place)) else { continue };
            left = left.saturating_sub(1);
            if !std::mem::replace(&mut packet.told, true) {
                each(*packet, *status);
            }
        }
    }

    /// A packet is sent again as it was: nobody can tell any more when the first of the two has arrived, so that it says nothing.
    pub(crate) fn give_up(&mut self, ssrc: Ssrc, sequence: SequenceNumber) {
        let mut packets = self.packets.iter_mut().rev();
        if let Some(packet) = packets.find(|packet| packet.ssrc == ssrc && packet.sequence == sequence) {
            packet.told = true;
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
            told: false,
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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(
            log.tell_transport(SequenceNumber(3)).is_none()
                && log.tell_transport(SequenceNumber(2)).is_some()
        );
    }
}
