use std::collections::VecDeque;

use rtp::SequenceNumber;

/// When packets of one numbering have arrived, for feedback on them: those of which nothing was told, and the last of which something
/// was, so that feedback on one that comes late says of its neighbours what was said before.
#[derive(Clone, Debug)]
pub(crate) struct Window<T> {
    /// By number.
    arrivals: VecDeque<Arrival<T>>,
    highest: Option<u64>,
    /// Behind the last packet that was told of, be it as missing.
    told: Option<u64>,
    untold: usize,
    /// Packets that came too late, with none between them that did not.
    late: u64,
}

#[derive(Clone, Copy, Debug)]
struct Arrival<T> {
    number: u64,
    told: bool,
    what: T,
}

impl<T> Window<T> {
    pub(crate) const fn new() -> Self {
        Self { arrivals: VecDeque::new(), highest: None, told: None, untold: 0, late: 0 }
    }

    /// A packet came; where it had come before, `again` changes what was noted of it. At most `limit` are kept. Gives of how many
    /// nothing will be told: as they are too many, came too late, or belong to a numbering that was given up.
    pub(crate) fn add(
        &mut self,
        limit: usize,
        sequence: SequenceNumber,
        what: T,
        again: impl FnOnce(&mut T),
    ) -> usize {
        let highest = self.highest.unwrap_or_else(|| FIRST.saturating_add(sequence.0.into()));
        let (mut number, mut dropped) = (sequence.extend(highest), 0);
        if self.told.is_some_and(|told| number.saturating_add(KEPT) < told) {
            self.late = self.late.saturating_add(1);
            if highest.saturating_sub(number) < MAX_STEP_BACK && self.late < KEPT {
                return 1;
            }
            // Whoever sends has begun anew.
            number = number.saturating_add(FIRST);
            dropped = self.untold;
            self.arrivals.clear();
            (self.told, self.untold) = (None, 0);
        }
        self.late = 0;
        self.highest = Some(highest.max(number));
        let behind = self.arrivals.iter().rev().take_while(|other| other.number > number).count();
        let mut at = self.arrivals.len().saturating_sub(behind);
        if let Some(same) = at.checked_sub(1).and_then(|at| self.arrivals.get_mut(at))
            && same.number == number
        {
            again(&mut same.what);
            return dropped;
        }
        if self.arrivals.len() >= limit {
            let Some(before) = at.checked_sub(1) else { return dropped.saturating_add(1) };
            at = before;
            dropped = dropped.saturating_add(self.drop_oldest());
        }
        self.arrivals.insert(at, Arrival { number, told: false, what });
        self.untold = self.untold.saturating_add(1);
        dropped
    }

    /// Whether nothing is to be told.
    pub(crate) const fn is_told(&self) -> bool {
        self.untold == 0
    }

    /// Where feedback begins: with what is missing behind the last, or with a packet that came late.
    pub(crate) fn begin(&self) -> Option<u64> {
        let first = self.arrivals.iter().find(|arrival| !arrival.told)?.number;
        Some(self.told.map_or(first, |told| told.min(first)))
    }

    /// Behind the newest packet.
    pub(crate) fn end(&self) -> u64 {
        self.highest.map_or(0, |highest| highest.saturating_add(1))
    }

    /// What is known from a number on.
    pub(crate) fn since(&self, begin: u64) -> impl Iterator<Item = (u64, &T)> + Clone {
        let arrivals = self.arrivals.iter().skip_while(move |arrival| arrival.number < begin);
        arrivals.map(|arrival| (arrival.number, &arrival.what))
    }

    /// All before `end` was told.
    pub(crate) fn tell(&mut self, end: u64) {
        for arrival in self.arrivals.iter_mut().take_while(|arrival| arrival.number < end) {
            self.untold = self.untold.saturating_sub(usize::from(!arrival.told));
            arrival.told = true;
        }
        let told = self.told.map_or(end, |told| told.max(end));
        self.told = Some(told);
        let is_old = |arrival: &Arrival<T>| arrival.told && arrival.number.saturating_add(KEPT) < told;
        while self.arrivals.front().is_some_and(is_old) {
            self.arrivals.pop_front();
        }
    }

    /// Makes room. Gives of how many nothing will be told: they are not told as missing, either.
    fn drop_oldest(&mut self) -> usize {
        let Some(oldest) = self.arrivals.pop_front().filter(|oldest| !oldest.told) else { return 0 };
        self.untold = self.untold.saturating_sub(1);
        let behind = oldest.number.saturating_add(1);
        self.told = Some(self.told.map_or(behind, |told| told.max(behind)));
        1
    }
}

/// One round of the numbers on the wire, so that there is something before the first.
const FIRST: u64 = 1 << 16;
/// So far behind the last packet that was told of one may come and still be told of.
const KEPT: u64 = 64;
/// Nothing comes later by so much: numbers begin anew.
const MAX_STEP_BACK: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds packets. Gives how many were dropped.
    fn add(window: &mut Window<u16>, numbers: impl IntoIterator<Item = u16>) -> usize {
        let add = |number| window.add(100, SequenceNumber(number), number, |_| ());
        numbers.into_iter().map(add).sum()
    }

    /// Tells of all. Gives where that began, and what had come.
    fn tell(window: &mut Window<u16>) -> Option<(u16, Vec<u16>)> {
        let begin = window.begin()?;
        let known = window.since(begin).map(|(_, number)| *number).collect();
        window.tell(window.end());
        Some((SequenceNumber::from(begin).0, known))
    }

    #[test]
    fn what_is_missing_behind_the_last_is_told_with_the_next() {
        let mut window = Window::new();
        assert_eq!((add(&mut window, [65_534, 0]), tell(&mut window)), (0, Some((65_534, vec![65_534, 0]))));
        assert!(window.is_told() && tell(&mut window).is_none());
        assert_eq!((add(&mut window, [4]), tell(&mut window)), (0, Some((1, vec![4]))));
    }

    #[test]
    fn what_was_told_is_said_again_with_what_comes_late() {
        let mut window = Window::new();
        add(&mut window, (1..100).filter(|number| *number != 50));
        tell(&mut window);
        add(&mut window, [50, 101]);
        let (begin, known) = tell(&mut window).unwrap();
        assert_eq!((begin, known), (50, (50..100).chain([101]).collect()));
    }

    #[test]
    fn nothing_is_told_of_what_comes_too_late() {
        let mut window = Window::new();
        add(&mut window, [1, 100]);
        tell(&mut window);
        // The last that was told of is 100.
        assert_eq!((add(&mut window, [36]), window.is_told()), (1, true));
        assert_eq!((add(&mut window, [37]), tell(&mut window)), (0, Some((37, vec![37, 100]))));
        assert!((0..200).all(|_| tell(&mut window).is_none()));
    }

    #[test]
    fn numbers_may_begin_anew() {
        // Far back at once, and not so far once nothing else comes.
        for (last, from, dropped) in [(20_000, 100, 0), (1000, 100, 63)] {
            let mut window = Window::new();
            add(&mut window, [last]);
            tell(&mut window);
            assert_eq!(add(&mut window, from..from + 70), dropped);
            let begin = from + u16::try_from(dropped).unwrap();
            assert_eq!(tell(&mut window), Some((begin, (begin..from + 70).collect())));
        }
    }

    #[test]
    fn the_oldest_make_room_and_are_not_told_as_missing() {
        let mut window = Window::new();
        add(&mut window, 0..30);
        tell(&mut window);
        // Those that were told of go first.
        assert_eq!(add(&mut window, 30..130), 0);
        assert_eq!(add(&mut window, 130..132), 2);
        assert_eq!(tell(&mut window), Some((32, (32..132).collect())));
    }
}
