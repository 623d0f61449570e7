use std::collections::VecDeque;
use std::sync::LazyLock;

use proto::Instant;
use rtp::payload::{vp8, vp9};
use rtp::{PacketMut, RtpTimestamp, SequenceNumber};

use crate::later::Blank;
use crate::{Codec, clock};

/// Makes one stream of packets that come from several: numbers without gaps but those of losses, times that go on, pictures and frames
/// that are counted on.
///
/// Each source has an offset between its numbers and ours, from its first packet on; leaving packets out lowers it for those behind, as
/// long as none of those has got its number. Offsets are remembered by where they begin, so that packets that come late get the one of
/// their place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forward {
    source: Option<u32>,
    /// From which number of the source on, by how much ours is higher; the newest last. By how much each is lower than the one before,
    /// so many numbers in front of where it begins were left out.
    offsets: VecDeque<(u64, i64)>,
    /// The highest number of the source that has got one of ours.
    highest: u64,
    /// Those below it that an empty packet stands for, the newest last.
    filled: VecDeque<u64>,
    timestamp_offset: u32,
    last_timestamp: RtpTimestamp,
    last_at: Option<Instant>,
    picture_offset: u16,
    last_picture: Option<u16>,
    base_offset: u8,
    last_base: Option<u8>,
    frame_offset: u16,
    last_frame: Option<u16>,
}

impl Blank for Forward {
    fn blank() -> &'static Self {
        static NONE: LazyLock<Forward> = LazyLock::new(Forward::default);
        &NONE
    }
}

impl Forward {
    /// Where a packet of `source` with the number `number` goes: our number, which is `next` for the first of a new source. `None` if
    /// it has no place: it is older than the source's first, or was left out.
    pub(crate) fn place(&mut self, source: u32, number: u64, next: u64) -> Option<(u64, bool)> {
        let fresh = self.is_another(source, number);
        if fresh {
            let offset = i64::try_from(next).ok()?.checked_sub(i64::try_from(number).ok()?)?;
            self.source = Some(source);
            self.highest = number;
            self.offsets.clear();
            self.filled.clear();
            self.offsets.push_back((number, offset));
        }
        if self.filled.contains(&number) {
            return None;
        }
        let (_, offset) = self.offset(number)?;
        self.highest = self.highest.max(number);
        Some((number.checked_add_signed(offset)?, fresh))
    }

    /// A packet of the source is left out. Behind what has got its number already no gap can be closed: gives our number of the packet
    /// then, which is to be an empty one.
    pub(crate) fn omit(&mut self, source: u32, number: u64) -> Option<u64> {
        if self.is_another(source, number) {
            return None;
        }
        // What was left out already has no place.
        let (at, offset) = self.offset(number)?;
        if number <= self.highest {
            return number.checked_add_signed(offset);
        }
        let (behind, next) = (at.saturating_add(1), number.saturating_add(1));
        let begin = |(from, lower): &(u64, i64)| from.checked_add_signed(lower.checked_sub(offset)?);
        let lowered = if self.offsets.get(behind).and_then(begin) == Some(next) {
            // Neighbours that are left out share an offset.
            behind
        } else if let Some((from, lower)) = self.offsets.get_mut(at).filter(|(from, _)| *from == number) {
            (*from, *lower) = (next, lower.saturating_sub(1));
            behind
        } else {
            self.offsets.insert(behind, (next, offset.saturating_sub(1)));
            behind.saturating_add(1)
        };
        for (_, lower) in self.offsets.iter_mut().skip(lowered) {
            *lower = lower.saturating_sub(1);
        }
        if self.offsets.len() > MAX_OFFSETS {
            self.offsets.pop_front();
        }
        None
    }

    /// Whether it is another source, or the same one that has begun anew, or under another SSRC: with other numbers, times and pictures.
    fn is_another(&self, source: u32, number: u64) -> bool {
        self.source != Some(source) || number.saturating_sub(self.highest) >= LEAP
    }

    /// An empty packet stands for this one of the source, whose number nothing else may have.
    pub(crate) fn fill(&mut self, number: u64) {
        if self.filled.len() >= MAX_FILLED {
            self.filled.pop_front();
        }
        self.filled.push_back(number);
    }

    /// By how much our number of a packet is higher, and where that is kept; `None` if it has no place.
    fn offset(&self, number: u64) -> Option<(usize, i64)> {
        let (from, offset) = *self.offsets.back()?;
        // As a rule it is one of the newest.
        if from <= number { Some((self.offsets.len().checked_sub(1)?, offset)) } else { self.earlier(number) }
    }

    /// The same of one that is older than the last that was left out.
    #[cold]
    fn earlier(&self, number: u64) -> Option<(usize, i64)> {
        let mut behind: Option<(u64, i64)> = None;
        for (at, &(from, offset)) in self.offsets.iter().enumerate().rev() {
            if from <= number {
                let omitted =
                    behind.and_then(|(next, lower)| next.checked_add_signed(lower.checked_sub(offset)?));
                let is_omitted = omitted.is_some_and(|omitted| omitted <= number);
                return (!is_omitted).then_some((at, offset));
            }
            behind = Some((from, offset));
        }
        None
    }

    /// Changes time and picture of a packet. `fresh`: it is the first of its source; `descriptor`: the identifier of dependency
    /// descriptors, if they have one.
    pub(crate) fn rewrite(
        &mut self,
        now: Instant,
        packet: &mut PacketMut<'_>,
        codec: Codec,
        fresh: bool,
        descriptor: Option<u8>,
    ) {
        let theirs = packet.as_packet().header().timestamp;
        packet.set_timestamp(self.timestamp(now, theirs, codec, fresh));
        self.rewrite_payload(packet.payload_mut(), codec, fresh);
        self.rewrite_descriptor(packet, fresh, descriptor);
    }

    /// Changes the frame that a packet is of, where its dependency descriptor tells (AV1 RTP specification, appendix A.8.1). What it
    /// rests on is told by distances, which stay. libwebrtc drops key frames whose number is lower than the one before.
    pub(crate) fn rewrite_descriptor(
        &mut self,
        packet: &mut PacketMut<'_>,
        fresh: bool,
        descriptor: Option<u8>,
    ) {
        let value = descriptor.and_then(|id| packet.element_mut(id));
        let Some([_, high, low, ..]) = value else { return };
        let theirs = u16::from_be_bytes([*high, *low]);
        [*high, *low] = self.frame(theirs, fresh).to_be_bytes();
    }

    /// Our time of a packet.
    pub(crate) fn timestamp(
        &mut self,
        now: Instant,
        theirs: RtpTimestamp,
        codec: Codec,
        fresh: bool,
    ) -> RtpTimestamp {
        if fresh && let Some(last_at) = self.last_at {
            // Time goes on as it does here; at least by a tick, as two frames never share one.
            let elapsed = clock::ticks(now - last_at, codec.clock_rate()).max(1);
            let ours = self.last_timestamp.wrapping_add(elapsed);
            self.timestamp_offset = ours.0.wrapping_sub(theirs.0);
        }
        let ours = theirs.wrapping_add(self.timestamp_offset);
        if self.last_at.is_none() || ours.is_newer_than(self.last_timestamp) {
            self.last_timestamp = ours;
            self.last_at = Some(now);
        }
        ours
    }

    /// Changes the picture that a payload is of.
    pub(crate) fn rewrite_payload(&mut self, payload: &mut [u8], codec: Codec, fresh: bool) {
        if codec == Codec::Vp8 {
            self.rewrite_vp8(payload, fresh);
        } else if codec == Codec::Vp9 {
            self.rewrite_vp9(payload, fresh);
        }
    }

    fn rewrite_vp8(&mut self, payload: &mut [u8], fresh: bool) {
        // What cannot be read stays as it is: those who decode it will say so.
        let _ = vp8::rewrite_with(payload, |theirs| vp8::Rewrite {
            picture_id: theirs.picture_id.map(|picture| self.picture(picture.value(), fresh)),
            tl0_pic_idx: theirs.tl0_pic_idx.map(|base| self.base(base, fresh)),
            ..vp8::Rewrite::default()
        });
    }

    fn rewrite_vp9(&mut self, payload: &mut [u8], fresh: bool) {
        let _ = vp9::rewrite_with(payload, |theirs| vp9::Rewrite {
            picture_id: theirs.picture_id.map(|picture| self.picture(picture.value(), fresh)),
            tl0_pic_idx: theirs.tl0_pic_idx.map(|base| self.base(base, fresh)),
            ..vp9::Rewrite::default()
        });
    }

    /// Our number of a picture, of 15 bits.
    fn picture(&mut self, theirs: u16, fresh: bool) -> u16 {
        if fresh && let Some(last) = self.last_picture {
            self.picture_offset = last.wrapping_add(1).wrapping_sub(theirs);
        }
        let ours = theirs.wrapping_add(self.picture_offset) & 0x7fff;
        // By the shorter way in 15 bits.
        let ahead = ours.wrapping_sub(self.last_picture.unwrap_or(ours)) & 0x7fff;
        if self.last_picture.is_none() || ahead < 0x4000 {
            self.last_picture = Some(ours);
        }
        ours
    }

    /// Our number of a frame.
    fn frame(&mut self, theirs: u16, fresh: bool) -> u16 {
        if fresh && let Some(last) = self.last_frame {
            self.frame_offset = last.wrapping_add(1).wrapping_sub(theirs);
        }
        let ours = theirs.wrapping_add(self.frame_offset);
        if self.last_frame.is_none_or(|last| ours.wrapping_sub(last) < 0x8000) {
            self.last_frame = Some(ours);
        }
        ours
    }

    fn base(&mut self, theirs: u8, fresh: bool) -> u8 {
        if fresh && let Some(last) = self.last_base {
            self.base_offset = last.wrapping_add(1).wrapping_sub(theirs);
        }
        let ours = theirs.wrapping_add(self.base_offset);
        if self.last_base.is_none_or(|last| ours.wrapping_sub(last) < 0x80) {
            self.last_base = Some(ours);
        }
        ours
    }
}

/// The low 16 bits of our number.
pub(crate) fn wire(number: u64) -> SequenceNumber {
    SequenceNumber::from(number)
}

/// Numbers of a stream leap so far where its source begins anew (`receive/tracker.rs`), and nowhere else.
const LEAP: u64 = 1 << 15;
/// Places where something was left out, of which neighbours share one: as many as the frames of two seconds, with repair behind each.
const MAX_OFFSETS: usize = 128;
/// Empty packets that are remembered: none comes so late behind as many others.
const MAX_FILLED: usize = 128;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sources_follow_each_other_without_a_gap() {
        let mut forward = Forward::default();
        assert_eq!(forward.place(1, 500, 70_000), Some((70_000, true)));
        assert_eq!(forward.place(1, 503, 70_001), Some((70_003, false)), "a loss stays one");
        assert_eq!(forward.place(1, 499, 70_004), None);
        assert_eq!(forward.place(2, 9000, 70_004), Some((70_004, true)));
        assert_eq!(forward.place(2, 9001, 70_005), Some((70_005, false)));
        assert_eq!(forward.place(2, 8999, 70_006), None);
        // One that begins anew is another one, without a gap and with times of its own.
        assert_eq!(forward.place(2, 9001 + 0x7fff, 70_006), Some((70_005 + 0x7fff, false)));
        let next = 70_006 + 0x7fff;
        assert_eq!(forward.omit(2, 9001 + 0x7fff + 0x8000), None, "nobody knows it yet");
        assert_eq!(forward.place(2, 9001 + 0x7fff + 0x8000, next), Some((next, true)));
        assert_eq!(forward.place(2, 9001 + 0x7fff + 0x8001, next + 1), Some((next + 1, false)));
    }

    #[test]
    fn what_is_left_out_leaves_no_gap_and_late_packets_find_their_place() {
        let mut forward = Forward::default();
        assert_eq!(forward.omit(1, 499), None, "nothing was forwarded");
        forward.place(1, 500, 70_000);
        assert_eq!((forward.omit(1, 502), forward.omit(2, 501), forward.omit(1, 502)), (None, None, None));
        assert_eq!(forward.place(1, 503, 0), Some((70_002, false)));
        assert_eq!(forward.place(1, 501, 0), Some((70_001, false)), "it came late");
        assert_eq!(forward.place(1, 502, 0), None, "it was left out");
        forward.omit(1, 504);
        forward.omit(1, 505);
        assert_eq!(forward.place(1, 506, 0), Some((70_003, false)));
        assert_eq!((forward.place(1, 504, 0), forward.place(1, 505, 0)), (None, None));
    }

    #[test]
    fn of_what_is_left_out_too_late_the_gap_is_told() {
        let mut forward = Forward::default();
        forward.place(1, 500, 70_000);
        forward.omit(1, 501);
        assert_eq!(forward.place(1, 504, 0), Some((70_003, false)));
        assert_eq!((forward.omit(1, 502), forward.omit(1, 501)), (Some(70_001), None));
        assert_eq!(forward.place(1, 505, 0), Some((70_004, false)), "as if it had been sent");
        assert_eq!(forward.place(1, 503, 0), Some((70_002, false)));
        forward.fill(502);
        assert_eq!(forward.place(1, 502, 0), None, "an empty packet has its number");
        assert_eq!(forward.place(2, 502, 70_005), Some((70_005, true)), "it is another one's");
        assert_eq!(forward.place(2, 503, 0), Some((70_006, false)));
    }

    #[test]
    fn as_many_empty_packets_are_remembered_as_the_limit_and_not_one_more() {
        let mut forward = Forward::default();
        forward.place(1, 500, 70_000);
        (501..629).for_each(|number| forward.fill(number));
        assert_eq!((forward.place(1, 501, 0), forward.place(1, 628, 0)), (None, None));
        forward.fill(629);
        assert_eq!(forward.place(1, 501, 0), Some((70_001, false)));
        assert_eq!((forward.place(1, 502, 0), forward.place(1, 629, 0)), (None, None));
    }

    #[test]
    fn as_many_offsets_are_remembered_as_the_limit_and_not_one_more() {
        let mut forward = Forward::default();
        forward.place(1, 500, 70_000);
        (0..127).for_each(|step| assert_eq!(forward.omit(1, 510 + step * 10), None));
        assert_eq!(forward.place(1, 501, 0), Some((70_001, false)));
        // What lies beside another that is left out needs none of its own.
        forward.omit(1, 1771);
        assert_eq!(forward.place(1, 502, 0), Some((70_002, false)));
        forward.omit(1, 1780);
        assert_eq!(forward.place(1, 503, 0), None, "it is too late for that");
        assert_eq!(forward.place(1, 511, 0), Some((70_010, false)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Packets and what is left out, in any order: our numbers follow theirs, each is used once, and none is missing.
        #[test]
        fn our_numbers_are_those_of_a_simple_model(
            kinds in prop::collection::vec(any::<bool>(), 1..80),
            keys in prop::collection::vec(0_u64..12, 80),
        ) {
            let mut forward = Forward::default();
            forward.place(1, 1000, 70_000);
            let mut ours = BTreeMap::from([(1000, 70_000)]);
            let mut order: Vec<(u64, bool)> = (1001..).zip(kinds).collect();
            // Some are overtaken by a few others.
            order.sort_by_key(|(number, _)| number + keys[usize::try_from(number - 1001).unwrap()]);
            for (number, is_omitted) in order {
                let highest = *ours.last_key_value().unwrap().0;
                let placed = if is_omitted {
                    let gap = forward.omit(1, number);
                    prop_assert_eq!(gap.is_some(), number < highest);
                    gap
                } else {
                    Some(forward.place(1, number, 0).unwrap().0)
                };
                if let Some(placed) = placed {
                    prop_assert!(ours.insert(number, placed).is_none());
                }
            }
            let numbers: Vec<u64> = ours.values().copied().collect();
            let all: Vec<u64> = (70_000..).take(numbers.len()).collect();
            prop_assert_eq!(numbers, all);
        }
    }

    #[test]
    fn pictures_are_counted_on() {
        let mut forward = Forward::default();
        assert_eq!(forward.picture(100, true), 100);
        assert_eq!(forward.picture(102, false), 102);
        assert_eq!(forward.picture(0x7ff0, true), 103);
        assert_eq!(forward.picture(0x7fff, false), 118);
        assert_eq!(forward.picture(0, false), 119, "15 bits wrap");
        assert_eq!(forward.picture(0x7ff0, false), 103, "a late one");
        assert_eq!((forward.base(5, true), forward.base(6, false)), (5, 6));
        assert_eq!(forward.base(200, true), 7);
    }
}
