/// Which of the last 64 records of an epoch came (RFC 6347 §4.1.2.6). Moved only by [`accept`](Self::accept),
/// which is called when a record's tag was right.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct ReplayWindow {
    /// One past the highest sequence number that came.
    next: u64,
    /// Bit `i` stands for the sequence number `next - 1 - i`.
    seen: u64,
}

impl ReplayWindow {
    /// Whether a record with this number may be new.
    pub(crate) const fn is_new(&self, sequence: u64) -> bool {
        if sequence >= self.next {
            return true;
        }
        let age = self.next - 1 - sequence;
        age < u64::BITS as u64 && self.seen >> age & 1 == 0
    }

    /// Remembers the record with this number.
    pub(crate) const fn accept(&mut self, sequence: u64) {
        if sequence >= self.next {
            let ahead = sequence - self.next + 1;
            self.seen = if ahead >= u64::BITS as u64 { 1 } else { self.seen << ahead | 1 };
            self.next = sequence + 1;
        } else {
            let age = self.next - 1 - sequence;
            if age < u64::BITS as u64 {
                self.seen |= 1 << age;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_window_is_64_records_wide() {
        let mut window = ReplayWindow::default();
        assert!(window.is_new(0));
        window.accept(100);
        assert!(!window.is_new(100));
        assert!(window.is_new(37) && !window.is_new(36));
        window.accept(37);
        assert!(!window.is_new(37) && window.is_new(38));
        window.accept((1 << 48) - 1);
        assert!(!window.is_new(100) && window.is_new((1 << 48) - 2));
    }

    #[test]
    fn a_record_from_before_the_window_leaves_it_as_it_is() {
        let mut window = ReplayWindow::default();
        window.accept(100);
        let before = window;
        for sequence in [0, 35, 36] {
            window.accept(sequence);
            assert_eq!(window, before, "{sequence}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_accepted_twice(sequences in proptest::collection::vec(0u64..300, 0..300)) {
            let (mut window, mut model) = (ReplayWindow::default(), BTreeSet::new());
            for sequence in sequences {
                let recent = model.last().is_none_or(|last: &u64| last.saturating_sub(sequence) < 64);
                prop_assert_eq!(window.is_new(sequence), recent && !model.contains(&sequence));
                if window.is_new(sequence) {
                    window.accept(sequence);
                    model.insert(sequence);
                }
            }
        }
    }
}
