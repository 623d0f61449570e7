use std::collections::BTreeMap;

use crate::Ssrc;
use crate::index::Progress;
use crate::replay::Window;

/// State by SSRC. Most packets belong to the stream of the packet before, so that one is tried first.
///
/// Where there are as many as the limit, the one that was used longest ago makes room. Its last index stays as long as the keys:
/// to forget that would let its packets in again, or encrypt two packets alike.
#[derive(Debug)]
pub(crate) struct Streams<T> {
    slots: Vec<Slot<T>>,
    by_ssrc: BTreeMap<Ssrc, usize>,
    latest: usize,
    limit: usize,
    /// How often any was used.
    uses: u64,
    /// The last indices of those that have made room, sorted by SSRC.
    retired: Vec<(Ssrc, LastIndex)>,
    max_retired: usize,
}

#[derive(Debug)]
struct Slot<T> {
    ssrc: Ssrc,
    state: T,
    /// When it was used last, as a number of uses.
    used: u64,
}

/// What of a stream's state can stand in a few bytes.
pub(crate) trait Retire {
    /// The last index that has been used; nothing up to it may be used again. `None` if none has.
    fn last(&self) -> Option<u64>;
}

/// An index of 48 bits, in as many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct LastIndex {
    rollover: u32,
    sequence: u16,
}

impl<T: Retire> Streams<T> {
    /// For `limit` streams, beside `max_retired` that were used before.
    pub(crate) const fn new(limit: usize, max_retired: usize) -> Self {
        Self {
            slots: Vec::new(),
            by_ssrc: BTreeMap::new(),
            latest: 0,
            limit,
            uses: 0,
            retired: Vec::new(),
            max_retired,
        }
    }

    /// Where the state of `ssrc` is.
    pub(crate) fn find(&self, ssrc: Ssrc) -> Option<usize> {
        match self.slots.get(self.latest) {
            Some(latest) if latest.ssrc == ssrc => Some(self.latest),
            _ => self.by_ssrc.get(&ssrc).copied(),
        }
    }

    /// The state at a place that [`find`](Self::find) gave.
    pub(crate) fn get(&self, slot: usize) -> Option<&T> {
        self.slots.get(slot).map(|slot| &slot.state)
    }

    /// The same, to be changed; it is the one that is tried first from now on.
    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut T> {
        self.latest = slot;
        self.uses = self.uses.wrapping_add(1);
        let slot = self.slots.get_mut(slot)?;
        slot.used = self.uses;
        Some(&mut slot.state)
    }

    /// The last index of an SSRC whose state has made room for another's.
    pub(crate) fn retired(&self, ssrc: Ssrc) -> Option<u64> {
        let place = self.retired.binary_search_by_key(&ssrc, |(known, _)| *known).ok()?;
        self.retired.get(place).map(|(_, last)| last.index())
    }

    /// Whether there is room for the state of `ssrc`, which has none.
    pub(crate) fn has_room(&self, ssrc: Ssrc) -> bool {
        // One that comes back leaves its place among the retired to the one that makes room for it.
        self.slots.len() < self.limit
            || (self.retired.len() < self.max_retired || self.retired(ssrc).is_some())
                && self.slots.iter().any(|slot| slot.state.last().is_some())
    }

    /// Adds the state of an SSRC that has none, and says where it is; [there was room](Self::has_room).
    pub(crate) fn insert(&mut self, ssrc: Ssrc, state: T) -> usize {
        if let Ok(place) = self.retired.binary_search_by_key(&ssrc, |(known, _)| *known) {
            self.retired.remove(place);
        }
        let slot = Slot { ssrc, state, used: self.uses };
        let free = if self.slots.len() < self.limit { None } else { self.retire() };
        let place = free.unwrap_or(self.slots.len());
        match self.slots.get_mut(place) {
            Some(old) => *old = slot,
            None => self.slots.push(slot),
        }
        self.by_ssrc.insert(ssrc, place);
        place
    }

    /// Retires the one that was used longest ago, and gives its place.
    fn retire(&mut self) -> Option<usize> {
        let used = |slot: &Slot<T>| Some((slot.used, slot.ssrc, slot.state.last()?));
        let known = self.slots.iter().enumerate().filter_map(|(place, slot)| Some((used(slot)?, place)));
        let ((_, ssrc, last), place) = known.min()?;
        self.by_ssrc.remove(&ssrc);
        if let Err(at) = self.retired.binary_search_by_key(&ssrc, |(known, _)| *known) {
            self.retired.insert(at, (ssrc, LastIndex::of(last)));
        }
        Some(place)
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.slots.len()
    }
}

impl LastIndex {
    const fn of(index: u64) -> Self {
        let [_, _, a, b, c, d, e, f] = index.to_be_bytes();
        Self { rollover: u32::from_be_bytes([a, b, c, d]), sequence: u16::from_be_bytes([e, f]) }
    }

    fn index(self) -> u64 {
        u64::from(self.rollover) << 16 | u64::from(self.sequence)
    }
}

impl Retire for Progress {
    fn last(&self) -> Option<u64> {
        Self::last(self)
    }
}

impl Retire for Window {
    fn last(&self) -> Option<u64> {
        self.highest()
    }
}

/// The next index of SRTCP.
impl Retire for u32 {
    fn last(&self) -> Option<u64> {
        self.checked_sub(1).map(u64::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_was_used_longest_ago_makes_room_and_its_last_index_stays() {
        let mut streams: Streams<u32> = Streams::new(3, 2);
        for ssrc in 1..=3 {
            assert!(streams.has_room(Ssrc(ssrc)));
            let slot = streams.insert(Ssrc(ssrc), 0);
            *streams.get_mut(slot).unwrap() = ssrc * 10;
        }
        let first = streams.find(Ssrc(1)).unwrap();
        *streams.get_mut(first).unwrap() += 1;
        assert!(streams.has_room(Ssrc(4)));
        let fourth = streams.insert(Ssrc(4), 1);
        assert_eq!((streams.find(Ssrc(2)), streams.retired(Ssrc(2))), (None, Some(19)));
        assert_eq!((streams.find(Ssrc(4)), streams.len()), (Some(fourth), 3));
        streams.insert(Ssrc(5), 1);
        assert_eq!(streams.retired(Ssrc(3)), Some(29));
        // No more are remembered; one that is remembered comes back in the place of another.
        assert!(!streams.has_room(Ssrc(6)));
        assert!(streams.has_room(Ssrc(2)));
        streams.insert(Ssrc(2), 20);
        assert_eq!((streams.retired(Ssrc(2)), streams.retired(Ssrc(1))), (None, Some(10)));
        assert_eq!((streams.len(), streams.by_ssrc.len(), streams.retired.len()), (3, 3, 2));
    }

    #[test]
    fn one_of_which_nothing_came_makes_no_room() {
        let mut streams: Streams<u32> = Streams::new(2, 8);
        streams.insert(Ssrc(1), 0);
        streams.insert(Ssrc(2), 5);
        streams.insert(Ssrc(3), 0);
        assert!(streams.find(Ssrc(1)).is_some() && streams.find(Ssrc(2)).is_none());
        assert!(!streams.has_room(Ssrc(4)));
    }

    #[test]
    fn an_index_of_48_bits_is_kept_whole() {
        for index in [0, 1, 0xffff, 0x1_0000, (1 << 48) - 1, 0x1234_5678_9abc] {
            assert_eq!(LastIndex::of(index).index(), index);
        }
    }
}
