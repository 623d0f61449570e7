/// Which of the last packets of a stream came, or were sent (RFC 3711 §3.3.2). Moved only by
/// [`accept`](Self::accept), which is called for what has been authenticated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Window {
    /// A ring of bits: index `i` has bit `i` modulo their number.
    seen: Box<[u64]>,
    /// One past the highest index that came.
    next: u64,
}

/// What is known of an index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Known {
    /// It did not come.
    New,
    /// It came.
    Seen,
    /// It is too old to tell.
    TooOld,
}

impl Window {
    /// Remembers `packets`, rounded up to a power of two within the limits.
    pub(crate) fn new(packets: usize) -> Self {
        let packets = packets.clamp(SMALLEST, LARGEST).next_power_of_two();
        Self { seen: vec![0; packets / WORD].into(), next: 0 }
    }

    /// One that takes nothing up to the index `last`.
    pub(crate) fn after(last: u64, packets: usize) -> Self {
        let mut window = Self::new(packets);
        window.seen.fill(u64::MAX);
        window.next = last.saturating_add(1);
        window
    }

    /// How many packets are remembered.
    pub(crate) const fn size(&self) -> usize {
        self.seen.len() * WORD
    }

    /// The highest index that came.
    pub(crate) const fn highest(&self) -> Option<u64> {
        self.next.checked_sub(1)
    }

    /// Where `index` stands in a ring of [`size`](Self::size) elements.
    pub(crate) fn position(&self, index: u64) -> usize {
        let size = self.size() as u64;
        usize::try_from(index & (size - 1)).unwrap_or_default()
    }

    pub(crate) fn check(&self, index: u64) -> Known {
        if index >= self.next {
            return Known::New;
        }
        if self.next - index > self.size() as u64 {
            return Known::TooOld;
        }
        let position = self.position(index);
        let word = self.seen.get(position / WORD).copied().unwrap_or_default();
        if word >> (position % WORD) & 1 == 1 { Known::Seen } else { Known::New }
    }

    /// Remembers `index`, unless it is too old.
    pub(crate) fn accept(&mut self, index: u64) {
        if self.check(index) == Known::TooOld {
            return;
        }
        if index >= self.next {
            // What stood where the indices in between stand now is older than the window.
            if index - self.next >= self.size() as u64 {
                self.seen.fill(0);
            } else {
                (self.next..index).for_each(|skipped| self.set(skipped, false));
            }
            self.next = index + 1;
        }
        self.set(index, true);
    }

    fn set(&mut self, index: u64, seen: bool) {
        let position = self.position(index);
        if let Some(word) = self.seen.get_mut(position / WORD) {
            let bit = 1 << (position % WORD);
            *word = if seen { *word | bit } else { *word & !bit };
        }
    }
}

/// RFC 3711 §3.3.2: at least 64.
const SMALLEST: usize = 64;
/// Beyond half of the sequence numbers an index is not estimated (RFC 3711 §3.3.1).
const LARGEST: usize = 1 << 15;
const WORD: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_window_is_as_wide_as_it_should_be_and_not_one_more() {
        for (asked, size) in [(0, 64), (64, 64), (65, 128), (128, 128), (1000, 1024), (100_000, 32_768)] {
            let mut window = Window::new(asked);
            assert_eq!((window.size(), window.highest()), (size, None));
            assert_eq!(window.check(0), Known::New);
            let size = size as u64;
            window.accept(100_000);
            assert_eq!(window.check(100_000), Known::Seen);
            assert_eq!(window.check(100_000 - size + 1), Known::New);
            assert_eq!(window.check(100_000 - size), Known::TooOld);
            window.accept(100_000 - size + 1);
            assert_eq!(window.check(100_000 - size + 1), Known::Seen);
            let before = window.clone();
            window.accept(100_000 - size);
            assert_eq!(window, before);
            window.accept(100_001);
            assert_eq!(window.check(100_000 - size + 1), Known::TooOld);
            window.accept((1 << 48) - 1);
            assert_eq!(window.check((1 << 48) - 2), Known::New);
            assert_eq!(window.check(100_001), Known::TooOld);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn nothing_is_accepted_twice(steps in proptest::collection::vec(-200_i64..200, 0..300)) {
            let (mut window, mut model) = (Window::new(128), BTreeSet::new());
            for step in steps {
                let highest = model.last().copied().unwrap_or(1000_u64);
                let index = highest.saturating_add_signed(step);
                let expected = match model.last() {
                    Some(last) if last.saturating_sub(index) >= 128 => Known::TooOld,
                    _ if model.contains(&index) => Known::Seen,
                    _ => Known::New,
                };
                prop_assert_eq!(window.check(index), expected);
                window.accept(index);
                if expected != Known::TooOld {
                    model.insert(index);
                }
            }
        }
    }
}
