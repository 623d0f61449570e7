//! The index of an RTP packet, 48 bits of which the packet has 16 (RFC 3711 §3.3.1).

use crate::replay::{Known, Window};
use crate::{PacketIndex, RolloverError};

/// How far a stream of RTP has come.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The rollover counter of the next packet, as long as nothing is in the window.
    start: u32,
    /// Below this index everything may have come: the window that knew was left behind.
    floor: u64,
    window: Window,
}

impl Progress {
    /// A stream whose first packet has the rollover counter `start`; so many of its packets are remembered.
    pub(crate) fn new(start: u32, packets: usize) -> Self {
        Self { start, floor: 0, window: Window::new(packets) }
    }

    /// A stream that goes on behind the index `last`; so many of its packets are remembered.
    pub(crate) fn after(last: u64, packets: usize) -> Self {
        let mut window = Window::new(packets);
        window.accept(last);
        Self { start: 0, floor: last.saturating_add(1), window }
    }

    /// One whose next packet has this rollover counter, behind the index `last` if there was one.
    pub(crate) fn resumed(last: Option<u64>, counter: u32, packets: usize) -> Result<Self, RolloverError> {
        let Some(last) = last else { return Ok(Self::new(counter, packets)) };
        let mut resumed = Self::after(last, packets);
        resumed.set_rollover_counter(counter)?;
        Ok(resumed)
    }

    /// The index that a packet with `sequence` most likely has. `None` beyond the last index.
    pub(crate) fn estimate(&self, sequence: u16) -> Option<u64> {
        match self.window.highest() {
            None => Some(u64::from(self.start) << 16 | u64::from(sequence)),
            Some(highest) => nearest(highest, sequence),
        }
    }

    pub(crate) fn check(&self, index: u64) -> Known {
        if index < self.floor { Known::TooOld } else { self.window.check(index) }
    }

    pub(crate) fn accept(&mut self, index: u64) {
        self.window.accept(index);
    }

    /// Where `index` stands in a ring of as many elements as packets are remembered.
    pub(crate) fn position(&self, index: u64) -> usize {
        self.window.position(index)
    }

    /// How many packets are remembered.
    pub(crate) const fn size(&self) -> usize {
        self.window.size()
    }

    pub(crate) fn highest(&self) -> Option<PacketIndex> {
        self.window.highest().map(PacketIndex)
    }

    /// The index up to which nothing may come that lies before the window, if anything came.
    pub(crate) fn last(&self) -> Option<u64> {
        self.window.highest().or_else(|| self.floor.checked_sub(1))
    }

    /// Says that the next packet has this rollover counter. An index that came before must not come again, so it
    /// goes forward alone, and what was remembered of earlier rounds is needed no more.
    pub(crate) fn set_rollover_counter(&mut self, counter: u32) -> Result<(), RolloverError> {
        let now = self.highest().map(PacketIndex::rollover_counter);
        if now == Some(counter) {
            return Ok(());
        }
        if u64::from(counter) < self.floor >> 16 || now.is_some_and(|now| counter < now) {
            return Err(RolloverError::Behind);
        }
        let floor = now.map_or(self.floor, |now| (u64::from(now) + 1) << 16);
        *self = Self { start: counter, floor, window: Window::new(self.window.size()) };
        Ok(())
    }
}

/// The index with `sequence` that lies nearest to `highest`. `None` beyond the last index.
pub(crate) fn nearest(highest: u64, sequence: u16) -> Option<u64> {
    let (rollover, last, sequence) = (highest >> 16, highest & 0xffff, u64::from(sequence));
    let rollover = if last < HALF {
        // Nothing comes before the first round, so there a step back cannot be meant.
        if sequence > last + HALF { rollover.saturating_sub(1) } else { rollover }
    } else if last - HALF > sequence {
        rollover + 1
    } else {
        rollover
    };
    Some(rollover << 16 | sequence).filter(|index| *index < INDICES)
}

/// Half of the sequence numbers.
pub(crate) const HALF: u64 = 1 << 15;
/// RFC 3711 §3.3.1: an index has 48 bits.
const INDICES: u64 = 1 << 48;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3711 §3.3.1 in words: of the three candidates the one that is nearest.
    fn model(highest: u64, sequence: u16) -> u64 {
        let round = highest >> 16;
        let candidates = [round.checked_sub(1), Some(round), Some(round + 1)];
        let indices = candidates.into_iter().flatten().map(|round| round << 16 | u64::from(sequence));
        indices.min_by_key(|index| index.abs_diff(highest)).unwrap()
    }

    #[test]
    fn the_estimate_is_the_nearest_index() {
        // S4: reordering up to 2¹⁴, loss of up to 30 %, a start just before the wrap.
        let mut rng = crypto::Rng::new([4; 32]);
        let (mut sent, mut highest) = (65_500_u64, 65_500_u64);
        for _ in 0..2_000_000 {
            sent += 1 + u64::from(rng.below(10) < 3);
            let index = sent - rng.below(1 << 14) as u64;
            let sequence = (index & 0xffff) as u16;
            let estimate = nearest(highest, sequence);
            assert_eq!(estimate, Some(index));
            assert_eq!(estimate, Some(model(highest, sequence)));
            highest = highest.max(index);
        }
        assert!(highest >> 16 > 30);
    }

    #[test]
    fn the_edges_are_those_of_the_rfc() {
        let at = |rollover: u64, last: u64| rollover << 16 | last;
        // Half a round ahead and behind; what is exactly half away stays in the round.
        assert_eq!(nearest(at(5, 0), 0x8000), Some(at(5, 0x8000)));
        assert_eq!(nearest(at(5, 0), 0x8001), Some(at(4, 0x8001)));
        assert_eq!(nearest(at(5, 0x8000), 0), Some(at(5, 0)));
        assert_eq!(nearest(at(5, 0x8001), 0), Some(at(6, 0)));
        assert_eq!(nearest(at(5, 0xffff), 0), Some(at(6, 0)));
        assert_eq!(nearest(at(5, 0xffff), 0x7fff), Some(at(5, 0x7fff)));
        assert_eq!(nearest(at(5, 0xffff), 0x7ffe), Some(at(6, 0x7ffe)));
        // Nothing comes before the first round, and nothing after the last.
        assert_eq!(nearest(at(0, 5), 0xffff), Some(at(0, 0xffff)));
        assert_eq!(nearest(at(0xffff_ffff, 0xffff), 0xfffe), Some(at(0xffff_ffff, 0xfffe)));
        assert_eq!(nearest(at(0xffff_ffff, 0xffff), 0), None);
        // A stream of which nothing came.
        assert_eq!(Progress::new(7, 64).estimate(3), Some(at(7, 3)));
    }

    /// The window begins anew with a rollover counter that was set, so it does not know what came before.
    #[test]
    fn what_came_before_a_rollover_counter_was_set_does_not_come_again() {
        let mut progress = Progress::new(0, 64);
        let last = 4 << 16 | 0xffff;
        progress.accept(last);
        assert_eq!(progress.set_rollover_counter(5), Ok(()));
        progress.accept(5 << 16 | 1);
        assert_eq!(progress.estimate(0xffff), Some(last), "it is the nearest one");
        assert_eq!(progress.check(last), Known::TooOld);
        assert_eq!(progress.check(5 << 16), Known::New);
    }

    #[test]
    fn a_rollover_counter_never_goes_back_behind_what_came() {
        let mut progress = Progress::new(0, 64);
        // Nothing came: whatever is said is taken, also what is less than before.
        assert_eq!(progress.set_rollover_counter(9), Ok(()));
        assert_eq!(progress.set_rollover_counter(4), Ok(()));
        assert_eq!(progress.estimate(1), Some(4 << 16 | 1));
        progress.accept(4 << 16 | 1);
        assert_eq!(progress.set_rollover_counter(3), Err(RolloverError::Behind));
        assert_eq!(progress.set_rollover_counter(4), Ok(()));
        assert_eq!(progress.check(4 << 16 | 1), Known::Seen);
        assert_eq!(progress.set_rollover_counter(6), Ok(()));
        assert_eq!((progress.highest(), progress.estimate(1)), (None, Some(6 << 16 | 1)));
        // Nothing came in the sixth round, but the fourth is over.
        assert_eq!(progress.set_rollover_counter(4), Err(RolloverError::Behind));
        assert_eq!(progress.set_rollover_counter(5), Ok(()));
        assert_eq!(progress.estimate(0xffff), Some(5 << 16 | 0xffff));
    }
}
