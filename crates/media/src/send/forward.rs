use std::collections::VecDeque;
use std::sync::LazyLock;

use proto::Instant;
use rtp::payload::{vp8, vp9};
use rtp::{PacketMut, RtpTimestamp, SequenceNumber};

use crate::later::Blank;
use crate::{Codec, clock};

/// Makes one stream of packets that come from several: numbers without gaps but those of losses, times that go on, pictures that are
/// counted on.
///
/// Each source has an offset between its numbers and ours, from its first packet on; leaving packets out lowers it for those behind.
/// Offsets are remembered by where they begin, so that packets that come late get the one of their place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forward {
    source: Option<u32>,
    /// From which number of the source on, by how much ours is higher; the newest last.
    offsets: VecDeque<(u64, i64)>,
    /// What is lower than this belongs to the time before the source was chosen.
    first: u64,
    timestamp_offset: u32,
    last_timestamp: RtpTimestamp,
    last_at: Option<Instant>,
    picture_offset: u16,
    last_picture: Option<u16>,
    base_offset: u8,
    last_base: Option<u8>,
}

impl Blank for Forward {
    fn blank() -> &'static Self {
        static NONE: LazyLock<Forward> = LazyLock::new(Forward::default);
        &NONE
    }
}

impl Forward {
    /// Where a packet of `source` with the number `number` goes: our number, which is `next` for the first of a new source. `None` if
    /// it has no place: it is older than the source's first.
    pub(crate) fn place(&mut self, source: u32, number: u64, next: u64) -> Option<(u64, bool)> {
        let fresh = self.source != Some(source);
        if fresh {
            self.source = Some(source);
            self.first = number;
            self.offsets.clear();
            let offset = i64::try_from(next).ok()?.checked_sub(i64::try_from(number).ok()?)?;
            self.offsets.push_back((number, offset));
        }
        if number < self.first {
            return None;
        }
        let offset = self.offsets.iter().rev().find(|(from, _)| *from <= number)?.1;
        Some((number.checked_add_signed(offset)?, fresh))
    }

    /// A packet of the source is left out.
    pub(crate) fn omit(&mut self, source: u32, number: u64) {
        let Some((from, offset)) = self.offsets.back().copied() else { return };
        if self.source != Some(source) || number < from {
            return;
        }
        let next = number.saturating_add(1);
        if from == next {
            return;
        }
        if self.offsets.len() >= MAX_OFFSETS {
            self.offsets.pop_front();
        }
        self.offsets.push_back((next, offset.saturating_sub(1)));
    }

    /// Changes time and picture of a packet. `fresh`: it is the first of its source.
    pub(crate) fn rewrite(&mut self, now: Instant, packet: &mut PacketMut<'_>, codec: Codec, fresh: bool) {
        let theirs = packet.as_packet().header().timestamp;
        packet.set_timestamp(self.timestamp(now, theirs, codec, fresh));
        self.rewrite_payload(packet.payload_mut(), codec, fresh);
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

const MAX_OFFSETS: usize = 64;

#[cfg(test)]
mod tests {
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
    }

    #[test]
    fn what_is_left_out_leaves_no_gap_and_late_packets_find_their_place() {
        let mut forward = Forward::default();
        forward.place(1, 500, 70_000);
        forward.omit(1, 502);
        assert_eq!(forward.place(1, 503, 0), Some((70_002, false)));
        assert_eq!(forward.place(1, 501, 0), Some((70_001, false)), "it came late");
        forward.omit(1, 504);
        forward.omit(1, 505);
        assert_eq!(forward.place(1, 506, 0), Some((70_003, false)));
    }

    #[test]
    fn as_many_offsets_are_remembered_as_the_limit_and_not_one_more() {
        let mut forward = Forward::default();
        forward.place(1, 500, 70_000);
        (0..63).for_each(|step| forward.omit(1, 510 + step * 10));
        assert_eq!(forward.place(1, 501, 0), Some((70_001, false)));
        forward.omit(1, 1140);
        assert_eq!(forward.place(1, 501, 0), None, "it is too late for that");
        assert_eq!(forward.place(1, 511, 0), Some((70_010, false)));
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
