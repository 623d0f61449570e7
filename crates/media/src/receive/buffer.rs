use proto::Instant;
use rtp::Header;
use rtp::payload::Limits;

use super::part::Holds;

/// Packets that came, by their extended numbers, until they are taken in order.
///
/// It holds [`Limits::max_packets`] numbers from the next one on and [`Limits::max_bytes`] of payload. Memory is used again.
#[derive(Debug)]
pub(crate) struct Buffer {
    limits: Limits,
    /// By the number modulo the length, which is a power of two.
    slots: Vec<Option<Slot>>,
    next: u64,
    /// Behind the newest.
    end: u64,
    count: usize,
    bytes: usize,
    spare: Vec<Vec<u8>>,
}

/// A packet that waits.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) number: u64,
    pub(crate) header: Header,
    pub(crate) arrived: Instant,
    pub(crate) bytes: Vec<u8>,
    pub(crate) holds: Holds,
}

/// Why a packet was not kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// Its place has been passed.
    Late,
    /// It is there.
    Duplicate,
    /// It is too far ahead, or there is too much.
    Full,
}

impl Buffer {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self { limits, slots: Vec::new(), next: 0, end: 0, count: 0, bytes: 0, spare: Vec::new() }
    }

    /// Keeps a packet.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        number: u64,
        header: Header,
        payload: &[u8],
        holds: Holds,
    ) -> Result<(), Refused> {
        if self.end == 0 {
            (self.next, self.end) = (number, number);
        }
        let ahead = number.checked_sub(self.next).ok_or(Refused::Late)?;
        let ahead = usize::try_from(ahead).unwrap_or(usize::MAX);
        if ahead >= self.limits.max_packets
            || self.bytes.saturating_add(payload.len()) > self.limits.max_bytes
        {
            return Err(Refused::Full);
        }
        self.grow(ahead.saturating_add(1));
        let at = self.index(number);
        let Some(place) = self.slots.get_mut(at) else { return Err(Refused::Full) };
        if place.is_some() {
            return Err(Refused::Duplicate);
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(payload);
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.count = self.count.saturating_add(1);
        self.end = self.end.max(number.saturating_add(1));
        *place = Some(Slot { number, header, arrived: now, bytes, holds });
        Ok(())
    }

    /// The number that is taken next.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// The number behind the newest.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// How many packets wait.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    #[cfg(test)]
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The oldest packet.
    pub(crate) fn head(&self) -> Option<&Slot> {
        if self.count == 0 {
            return None;
        }
        (self.next..self.end).find_map(|number| self.slots.get(self.index(number))?.as_ref())
    }

    /// The oldest packet with something in it.
    pub(crate) fn oldest_media(&self) -> Option<&Slot> {
        let slots = (self.next..self.end).filter_map(|number| self.slots.get(self.index(number))?.as_ref());
        slots.into_iter().find(|slot| !slot.holds.is_nothing())
    }

    /// The packet whose turn it is, if it is there.
    pub(crate) fn take(&mut self) -> Option<Slot> {
        let at = self.index(self.next);
        let slot = self.slots.get_mut(at)?.take()?;
        self.next = self.next.saturating_add(1);
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(slot.bytes.len());
        Some(slot)
    }

    /// The memory of a packet that was taken.
    pub(crate) fn give_back(&mut self, bytes: Vec<u8>) {
        if self.spare.len() < MAX_SPARE && is_worth_keeping(&bytes) {
            self.spare.push(bytes);
        }
    }

    /// The packet whose turn it is will not come.
    pub(crate) fn skip(&mut self) {
        if self.next < self.end {
            self.next = self.next.saturating_add(1);
        }
    }

    /// Drops all, and goes on with `number`.
    pub(crate) fn restart(&mut self, number: u64) {
        let spare = MAX_SPARE.saturating_sub(self.spare.len());
        let dropped = self.slots.iter_mut().filter_map(Option::take).map(|slot| slot.bytes);
        self.spare.extend(dropped.filter(is_worth_keeping).take(spare));
        self.slots.iter_mut().for_each(|slot| *slot = None);
        (self.count, self.bytes) = (0, 0);
        (self.next, self.end) = (number, number);
    }

    fn index(&self, number: u64) -> usize {
        let mask = self.slots.len().saturating_sub(1);
        usize::try_from(number).unwrap_or(usize::MAX) & mask
    }

    fn grow(&mut self, needed: usize) {
        if needed <= self.slots.len() {
            return;
        }
        let len = needed.next_power_of_two().max(SMALLEST);
        let old = std::mem::take(&mut self.slots);
        self.slots.resize_with(len, || None);
        for slot in old.into_iter().flatten() {
            let at = self.index(slot.number);
            if let Some(place) = self.slots.get_mut(at) {
                *place = Some(slot);
            }
        }
    }
}

/// Longer packets than networks carry leave nothing behind.
fn is_worth_keeping(memory: &Vec<u8>) -> bool {
    memory.capacity() <= MAX_SPARE_BYTES
}

const SMALLEST: usize = 64;
const MAX_SPARE: usize = 256;
const MAX_SPARE_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::collections::btree_map::Entry;

    use proptest::prelude::*;

    use super::*;

    fn limits(packets: usize, bytes: usize) -> Limits {
        let mut limits = Limits::default();
        (limits.max_packets, limits.max_bytes) = (packets, bytes);
        limits
    }

    fn insert(buffer: &mut Buffer, number: u64, len: usize) -> Result<(), Refused> {
        buffer.insert(Instant::default(), number, Header::default(), &vec![7; len], Holds::Media(None))
    }

    #[test]
    fn it_holds_as_many_packets_as_the_limit_and_not_one_more() {
        let mut buffer = Buffer::new(limits(2048, 4 << 20));
        for number in 70_000..72_048 {
            assert_eq!(insert(&mut buffer, number, 1), Ok(()));
        }
        assert_eq!(insert(&mut buffer, 72_048, 1), Err(Refused::Full));
        assert!(buffer.take().is_some());
        assert_eq!(insert(&mut buffer, 72_048, 1), Ok(()));
    }

    #[test]
    fn memory_of_packets_that_no_network_carries_is_not_kept() {
        for (len, kept) in [(1200, true), (60_000, false)] {
            for restarts in [true, false] {
                let mut buffer = Buffer::new(limits(2048, 4 << 20));
                (70_000..70_060).for_each(|number| insert(&mut buffer, number, len).unwrap());
                if restarts {
                    buffer.restart(80_000);
                }
                while let Some(slot) = buffer.take() {
                    buffer.give_back(slot.bytes);
                }
                assert_eq!(buffer.spare.len(), if kept { 60 } else { 0 }, "{len}");
            }
        }
    }

    #[test]
    fn it_holds_as_many_bytes_as_the_limit_and_not_one_more() {
        let mut buffer = Buffer::new(limits(2048, 4 << 20));
        for number in 0..64 {
            assert_eq!(insert(&mut buffer, 70_000 + number, 65_536), Ok(()));
        }
        assert_eq!(insert(&mut buffer, 70_064, 1), Err(Refused::Full));
        assert_eq!(insert(&mut buffer, 70_064, 0), Ok(()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn it_is_a_map_that_is_read_in_order(
            steps in proptest::collection::vec((0_u8..4, 0_u64..90, 0_usize..50), 1..300)
        ) {
            let mut buffer = Buffer::new(limits(100, 1000));
            let mut model: BTreeMap<u64, usize> = BTreeMap::new();
            let mut next = None;
            for (what, number, len) in steps {
                let from = *next.get_or_insert(70_000 + number);
                match what {
                    0 | 1 => {
                        let number = (from + number).saturating_sub(20);
                        let bytes: usize = model.values().sum();
                        let expected = if number < from && buffer.end > 0 {
                            Err(Refused::Late)
                        } else if bytes + len > 1000 || number - from.min(number) >= 100 {
                            Err(Refused::Full)
                        } else if let Entry::Vacant(place) = model.entry(number) {
                            place.insert(len);
                            Ok(())
                        } else {
                            Err(Refused::Duplicate)
                        };
                        if buffer.end == 0 {
                            next = Some(number);
                        }
                        prop_assert_eq!(insert(&mut buffer, number, len), expected);
                    }
                    2 => {
                        let taken = buffer.take().map(|slot| (slot.number, slot.bytes.len()));
                        prop_assert_eq!(taken, model.remove_entry(&from));
                        if taken.is_some() {
                            next = Some(from + 1);
                        }
                    }
                    _ => {
                        if buffer.next() < buffer.end {
                            next = Some(from + 1);
                            // Only what is not there is skipped.
                            if model.contains_key(&from) {
                                buffer.take();
                                model.remove(&from);
                            } else {
                                buffer.skip();
                            }
                        }
                    }
                }
                prop_assert_eq!(buffer.head().map(|slot| slot.number), model.keys().next().copied());
                prop_assert_eq!(buffer.bytes(), model.values().sum::<usize>());
            }
        }
    }
}
