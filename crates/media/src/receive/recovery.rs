use std::collections::VecDeque;

use proto::Writer;
use rtp::fec::{Format, Repair};
use rtp::{Packet, SequenceNumber, Ssrc};

/// Recovers packets of a stream from packets of repair (RFC 5109, RFC 8627).
///
/// It keeps the last packets of the stream and the repairs that are of no use yet. With each packet that comes, repairs whose packets
/// are all there but one give that one, which may help the next.
#[derive(Debug)]
pub(crate) struct Recovery {
    limits: RecoveryLimits,
    /// By the number modulo the length, which is a power of two.
    packets: Vec<Option<Kept>>,
    repairs: VecDeque<Pending>,
    spare: Vec<Vec<u8>>,
    counts: RepairCounts,
}

/// What came of packets of repair.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct RepairCounts {
    pub(crate) recovered: u64,
    pub(crate) received: u64,
    pub(crate) bytes: u64,
    pub(crate) discarded: u64,
}

/// What is kept for recovery.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RecoveryLimits {
    /// Packets of the stream, rounded up to a power of two: 256 by default, more than the 110 that a repair spans.
    pub max_packets: usize,
    /// Packets of repair that wait: 32 by default.
    pub max_repairs: usize,
}

impl Default for RecoveryLimits {
    fn default() -> Self {
        Self { max_packets: 256, max_repairs: 32 }
    }
}

#[derive(Debug)]
struct Kept {
    number: SequenceNumber,
    /// Empty where it came with another header than it was sent with first, or is too long.
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Pending {
    format: Format,
    payload: Vec<u8>,
}

impl Recovery {
    pub(crate) const fn new(limits: RecoveryLimits) -> Self {
        Self {
            limits,
            packets: Vec::new(),
            repairs: VecDeque::new(),
            spare: Vec::new(),
            counts: RepairCounts { recovered: 0, received: 0, bytes: 0, discarded: 0 },
        }
    }

    /// Keeps a packet of the stream. One that did not come by itself is a retransmission, unless it was recovered here: it is there,
    /// but its header is another than the one that is protected, so that nothing can be recovered from it.
    pub(crate) fn add_packet(&mut self, packet: &Packet<'_>, on_path: bool) {
        let number = packet.header().sequence_number;
        if on_path {
            self.add(number, packet.bytes());
        } else if !self.has(number) {
            self.add(number, &[]);
        }
    }

    fn add(&mut self, number: SequenceNumber, packet: &[u8]) {
        if self.packets.is_empty() {
            let len = self.limits.max_packets.clamp(1, MAX_PACKETS).next_power_of_two();
            self.packets.resize_with(len, || None);
        }
        let at = self.index(number);
        let Some(place) = self.packets.get_mut(at) else { return };
        // One that comes late takes no newer one's place; one from before by far more is no late one: numbers have begun anew.
        let ahead = place.as_ref().map_or(0, |kept| kept.number.distance(number));
        if ahead > 0 && usize::from(ahead.unsigned_abs()) <= MAX_PACKETS {
            return;
        }
        let mut bytes = place.take().map(|kept| kept.bytes).unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(Some(packet).filter(|packet| packet.len() <= LONGEST).unwrap_or_default());
        *place = Some(Kept { number, bytes });
    }

    /// Keeps the payload of a packet of repair. Gives whether it is one.
    pub(crate) fn add_repair(&mut self, format: Format, payload: &[u8]) -> bool {
        if Repair::decode(format, payload).is_err() {
            return false;
        }
        let counts = &mut self.counts;
        counts.received = counts.received.saturating_add(1);
        counts.bytes = counts.bytes.saturating_add(payload.len().try_into().unwrap_or(0));
        if payload.len() > LONGEST {
            counts.discarded = counts.discarded.saturating_add(1);
            return true;
        }
        let mut memory = if self.repairs.len() >= self.limits.max_repairs {
            counts.discarded = counts.discarded.saturating_add(1);
            self.repairs.pop_front().map(|pending| pending.payload).unwrap_or_default()
        } else {
            self.spare.pop().unwrap_or_default()
        };
        memory.clear();
        memory.extend_from_slice(payload);
        self.repairs.push_back(Pending { format, payload: memory });
        true
    }

    /// Writes a packet that can be recovered now, and gives its length.
    pub(crate) fn recover(&mut self, ssrc: Ssrc, out: &mut [u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(pending) = self.repairs.get(at) {
            let Ok(repair) = Repair::decode(pending.format, &pending.payload) else {
                self.drop_repair(at);
                continue;
            };
            let mask = repair.protected().mask;
            let mut missing = mask.numbers().filter(|number| !self.has(*number));
            let (first, second) = (missing.next(), missing.next());
            match (first, second) {
                (Some(_), Some(_)) => at = at.saturating_add(1),
                (Some(lost), None) => {
                    let others = mask.numbers().filter(|number| *number != lost);
                    let others =
                        others.filter_map(|number| self.packet(number)).filter(|bytes| !bytes.is_empty());
                    let mut writer = Writer::new(out);
                    let written = repair.recover(ssrc, lost, others, &mut writer);
                    self.drop_repair(at);
                    if let Ok(len) = written {
                        self.counts.recovered = self.counts.recovered.saturating_add(1);
                        self.add(lost, out.get(..len).unwrap_or_default());
                        return Some(len);
                    }
                    self.counts.discarded = self.counts.discarded.saturating_add(1);
                }
                (None, _) => {
                    self.counts.discarded = self.counts.discarded.saturating_add(1);
                    self.drop_repair(at);
                }
            }
        }
        None
    }

    pub(crate) const fn counts(&self) -> RepairCounts {
        self.counts
    }

    fn has(&self, number: SequenceNumber) -> bool {
        self.packet(number).is_some()
    }

    fn packet(&self, number: SequenceNumber) -> Option<&[u8]> {
        let kept = self.packets.get(self.index(number))?.as_ref()?;
        (kept.number == number).then_some(kept.bytes.as_slice())
    }

    fn index(&self, number: SequenceNumber) -> usize {
        usize::from(number.0) & self.packets.len().saturating_sub(1)
    }

    fn drop_repair(&mut self, at: usize) {
        if let Some(pending) = self.repairs.remove(at) {
            self.spare.push(pending.payload);
            self.spare.truncate(self.limits.max_repairs);
        }
    }
}

const MAX_PACKETS: usize = 4096;
/// Longer packets than networks carry are not kept for others, and repair of them is of no use.
const LONGEST: usize = 2048;

#[cfg(test)]
mod tests {
    use rtp::{Encoder, Header};

    use super::*;

    fn packet(number: u16) -> Vec<u8> {
        let mut memory = [0; 100];
        let mut out = Writer::new(&mut memory);
        let header = Header { ssrc: Ssrc(7), sequence_number: SequenceNumber(number), ..Header::default() };
        Encoder::new(&mut out, header, &[]).unwrap().finish(&number.to_be_bytes(), 0).unwrap();
        out.written().to_vec()
    }

    fn repair(numbers: &[u16]) -> Vec<u8> {
        let packets: Vec<Vec<u8>> = numbers.iter().map(|number| packet(*number)).collect();
        let mut memory = [0; 200];
        let mut out = Writer::new(&mut memory);
        rtp::fec::protect(Format::Flex03, packets.iter().map(Vec::as_slice), &mut out).unwrap();
        out.written().to_vec()
    }

    fn add(recovery: &mut Recovery, number: u16) {
        recovery.add_packet(&Packet::decode(&packet(number)).unwrap(), true);
    }

    fn recover(recovery: &mut Recovery) -> Option<Vec<u8>> {
        let mut memory = [0; 200];
        let len = recovery.recover(Ssrc(7), &mut memory)?;
        Some(memory[..len].to_vec())
    }

    #[test]
    fn one_repair_helps_the_next() {
        let mut recovery = Recovery::new(RecoveryLimits::default());
        add(&mut recovery, 1);
        assert!(recovery.add_repair(Format::Flex03, &repair(&[1, 2, 3])));
        assert_eq!(recover(&mut recovery), None);
        assert!(recovery.add_repair(Format::Flex03, &repair(&[1, 2])));
        assert_eq!(recover(&mut recovery), Some(packet(2)));
        recovery.add_packet(&Packet::decode(&packet(2)).unwrap(), false);
        assert_eq!(recover(&mut recovery), Some(packet(3)));
        let counts = recovery.counts();
        assert_eq!((counts.recovered, counts.received, counts.discarded), (2, 2, 0));
        assert!(counts.bytes > 0 && recovery.repairs.is_empty());
        assert!(!recovery.add_repair(Format::Flex03, b"no repair"));
    }

    #[test]
    fn nothing_is_recovered_from_retransmissions() {
        let mut recovery = Recovery::new(RecoveryLimits::default());
        add(&mut recovery, 1);
        recovery.add_packet(&Packet::decode(&packet(2)).unwrap(), false);
        assert!(recovery.add_repair(Format::Flex03, &repair(&[1, 2, 3])));
        assert_eq!(recover(&mut recovery), None);
        assert!(recovery.add_repair(Format::Flex03, &repair(&[1, 2])));
        assert_eq!(recover(&mut recovery), None);
        let counts = recovery.counts();
        assert_eq!((counts.recovered, counts.discarded, recovery.repairs.len()), (0, 2, 0));
        // What it is about is in its place, and another may be kept there.
        add(&mut recovery, 2);
        assert!(recovery.add_repair(Format::Flex03, &repair(&[1, 2, 3])));
        assert_eq!(recover(&mut recovery), Some(packet(3)));
    }

    #[test]
    fn packets_are_kept_as_long_as_networks_carry_them() {
        for (len, is_recovered) in [(LONGEST - 40, true), (LONGEST + 1, false)] {
            let long = |number: u16| [packet(number), vec![7; len - 14]].concat();
            let (first, second) = (long(1), long(2));
            let mut memory = vec![0; len + 100];
            let mut out = Writer::new(&mut memory);
            rtp::fec::protect(Format::Flex03, [&first[..], &second].into_iter(), &mut out).unwrap();
            let mut recovery = Recovery::new(RecoveryLimits::default());
            assert!(recovery.add_repair(Format::Flex03, out.written()));
            recovery.add_packet(&Packet::decode(&first).unwrap(), true);
            assert_eq!(recovery.recover(Ssrc(7), &mut vec![0; len + 100]).is_some(), is_recovered);
            let kept: usize = recovery.packets.iter().flatten().map(|kept| kept.bytes.capacity()).sum();
            assert!(kept <= 2 * LONGEST && recovery.has(SequenceNumber(1)), "{kept}");
            assert_eq!(recovery.counts().discarded, u64::from(!is_recovered));
        }
    }

    #[test]
    fn as_many_packets_and_repairs_are_kept_as_the_limits_and_not_one_more() {
        let mut recovery = Recovery::new(RecoveryLimits { max_packets: 4, max_repairs: 3 });
        (0..3).for_each(|_| assert!(recovery.add_repair(Format::Flex03, &repair(&[1, 2]))));
        assert!(recovery.add_repair(Format::Flex03, &repair(&[8, 9])));
        let counts = recovery.counts();
        assert_eq!((recovery.repairs.len(), counts.received, counts.discarded), (3, 4, 1));
        // The fifth packet takes the place of the first.
        (8..13).for_each(|number| add(&mut recovery, number));
        assert!(recovery.packet(SequenceNumber(8)).is_none() && recovery.packet(SequenceNumber(9)).is_some());
        assert_eq!(recover(&mut recovery), Some(packet(8)));
    }

    #[test]
    fn a_late_packet_takes_no_newer_ones_place() {
        let mut recovery = Recovery::new(RecoveryLimits { max_packets: 4, max_repairs: 3 });
        // 2 and 6 have one place, and so have 3 and 7, which is recovered.
        [6, 2].into_iter().for_each(|number| add(&mut recovery, number));
        assert!(recovery.add_repair(Format::Flex03, &repair(&[6, 7])));
        assert_eq!(recover(&mut recovery), Some(packet(7)));
        recovery.add_packet(&Packet::decode(&packet(3)).unwrap(), false);
        assert!(recovery.has(SequenceNumber(7)) && !recovery.has(SequenceNumber(3)));
        // Numbers that begin anew.
        add(&mut recovery, 20_000);
        add(&mut recovery, 8);
        assert!(recovery.has(SequenceNumber(8)) && !recovery.has(SequenceNumber(20_000)));
    }
}
