use std::ops::RangeInclusive;

use crypto::Rng;

/// The ports of one relay address: which are in use.
#[derive(Debug)]
pub(super) struct Ports {
    first: u16,
    /// One entry a port.
    taken: Vec<bool>,
    free: usize,
}

impl Ports {
    pub(super) fn new(range: &RangeInclusive<u16>) -> Self {
        let count = usize::from(range.end().saturating_sub(*range.start())).saturating_add(1);
        let count = if range.is_empty() { 0 } else { count };
        Self { first: *range.start(), taken: vec![false; count], free: count }
    }

    /// How many are not in use.
    pub(super) const fn free(&self) -> usize {
        self.free
    }

    /// A free one, none that could be guessed (RFC 8656 §7.2), an even one or one whose next is free too if
    /// that is asked for. The next one is then taken as well.
    pub(super) fn take(&mut self, rng: &mut Rng, parity: Parity) -> Option<u16> {
        let count = u32::try_from(self.taken.len()).ok().filter(|count| *count > 0)?;
        let start = usize::try_from(rng.below(count)).ok()?;
        let places = (start..self.taken.len()).chain(0..start);
        let is_free = |place: usize| self.taken.get(place) == Some(&false);
        let place = places.into_iter().find(|place| {
            let port = self.port(*place);
            is_free(*place)
                && match parity {
                    Parity::Any => true,
                    Parity::Even => port.is_some_and(|port| port % 2 == 0),
                    Parity::EvenAndNext => {
                        port.is_some_and(|port| port % 2 == 0) && is_free(place.saturating_add(1))
                    }
                }
        })?;
        self.set(place, true);
        if parity == Parity::EvenAndNext {
            self.set(place.saturating_add(1), true);
        }
        self.port(place)
    }

    /// Takes it back.
    pub(super) fn give(&mut self, port: u16) {
        if let Some(place) = port.checked_sub(self.first) {
            self.set(place.into(), false);
        }
    }

    fn port(&self, place: usize) -> Option<u16> {
        self.first.checked_add(u16::try_from(place).ok()?)
    }

    fn set(&mut self, place: usize, taken: bool) {
        let Some(entry) = self.taken.get_mut(place) else { return };
        if std::mem::replace(entry, taken) != taken {
            self.free = if taken { self.free.saturating_sub(1) } else { self.free.saturating_add(1) };
        }
    }
}

/// What a port must be (RFC 8656 §18.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Parity {
    Any,
    Even,
    /// The next higher one is kept for a second allocation.
    EvenAndNext,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ports_are_given_once_and_come_back() {
        let (mut ports, mut rng) = (Ports::new(&(1000..=1009)), Rng::new([1; 32]));
        for _ in 0..3 {
            let mut taken: Vec<u16> = (0..10).map(|_| ports.take(&mut rng, Parity::Any).unwrap()).collect();
            assert_eq!((ports.take(&mut rng, Parity::Any), ports.free()), (None, 0));
            taken.sort_unstable();
            assert!(taken.iter().copied().eq(1000..=1009));
            for port in taken {
                ports.give(port);
                ports.give(port);
            }
            ports.give(999);
            ports.give(1010);
            assert_eq!(ports.free(), 10);
        }
    }

    #[test]
    fn even_ports_and_pairs_are_found_as_long_as_there_are_any() {
        let (mut ports, mut rng) = (Ports::new(&(1001..=1008)), Rng::new([1; 32]));
        let mut pairs: Vec<u16> = std::iter::from_fn(|| ports.take(&mut rng, Parity::EvenAndNext)).collect();
        pairs.sort_unstable();
        assert_eq!((pairs, ports.free()), (vec![1002, 1004, 1006], 2));
        assert_eq!(ports.take(&mut rng, Parity::Even), Some(1008));
        assert_eq!(ports.take(&mut rng, Parity::Even), None);
        assert_eq!(ports.take(&mut rng, Parity::Any), Some(1001));
    }

    #[test]
    fn the_highest_port_and_an_empty_range_are_no_trouble() {
        let mut rng = Rng::new([1; 32]);
        let mut ports = Ports::new(&(65535..=65535));
        assert_eq!(ports.take(&mut rng, Parity::EvenAndNext), None);
        assert_eq!(ports.take(&mut rng, Parity::Any), Some(65535));
        #[expect(clippy::reversed_empty_ranges, reason = "from a configuration")]
        let mut none = Ports::new(&(9..=8));
        assert_eq!((none.take(&mut rng, Parity::Any), none.free()), (None, 0));
    }
}
