use proto::Instant;
use rtp::rtcp::ReportBlock;
use rtp::{RtpTimestamp, SequenceNumber, Ssrc};

use crate::clock;

/// What the packets of a source say about those that are missing (RFC 3550 §6.4.1, A.1, A.3, A.8). Numbers are extended: they do
/// not wrap, and begin above 65,536.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracker {
    started: bool,
    /// How many packets in a row are still wanted before the source is believed, and the number that the next must have.
    probation: u16,
    expected: SequenceNumber,
    base: u64,
    highest: u64,
    seen: Seen,
    /// The number after one that was too far off: two in a row mean that the source has begun anew.
    bad: Option<SequenceNumber>,
    received: u64,
    duplicates: u64,
    expected_prior: u64,
    received_prior: u64,
    /// In sixteenths of a tick (A.8).
    jitter: u32,
    transit: Option<u32>,
    clock_rate: u32,
}

/// What a packet is to its source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// The first of the source, or of a source that began anew.
    First(u64),
    /// Newer than all before it, with so many missing between.
    Next { number: u64, skipped: u16 },
    /// Older than the newest, and not seen yet.
    Late(u64),
    /// Seen already, or so old that nobody knows.
    Duplicate,
    /// The source has not proved itself yet.
    Probation,
    /// Too far from all others.
    Jump,
}

impl Tracker {
    /// A source that is believed after `probation` packets in a row more than the first.
    pub(crate) fn new(probation: u16) -> Self {
        Self { probation, ..Self::default() }
    }

    /// The same of a source in place of `before`, whose numbers it counts on.
    pub(crate) fn following(probation: u16, before: &Self) -> Self {
        Self { probation, highest: before.highest, ..Self::default() }
    }

    /// Takes the number of a packet that came on the source's own path.
    pub(crate) fn arrive(&mut self, number: SequenceNumber) -> Place {
        if !self.started {
            return self.start(number);
        }
        let ahead = number.since(SequenceNumber::from(self.highest));
        if ahead == 0 {
            self.count_duplicate();
            return Place::Duplicate;
        }
        if ahead < MAX_DROPOUT {
            self.bad = None;
            self.received = self.received.saturating_add(1);
            return self.advance(ahead);
        }
        let behind = ahead.wrapping_neg();
        if behind > MAX_MISORDER {
            if self.bad == Some(number) {
                self.begin(number);
                return Place::First(self.highest);
            }
            self.bad = Some(number.next());
            return Place::Jump;
        }
        self.received = self.received.saturating_add(1);
        let extended = self.highest.saturating_sub(behind.into());
        if extended < self.base || !self.seen.insert(self.highest, extended) {
            self.duplicates = self.duplicates.saturating_add(1);
            return Place::Duplicate;
        }
        Place::Late(extended)
    }

    /// Takes the number of a packet that came as a retransmission or was recovered: it does not count for reports, which are about
    /// the path (RFC 3550 §6.4.1).
    pub(crate) fn recover(&mut self, number: SequenceNumber) -> Place {
        if !self.started {
            return Place::Probation;
        }
        let ahead = number.since(SequenceNumber::from(self.highest));
        let behind = ahead.wrapping_neg();
        if ahead != 0 && ahead < MAX_DROPOUT {
            return self.advance(ahead);
        }
        let extended = self.highest.saturating_sub(behind.into());
        if behind > MAX_MISORDER || extended < self.base || !self.seen.insert(self.highest, extended) {
            return Place::Duplicate;
        }
        Place::Late(extended)
    }

    /// Takes the time of a packet for the jitter. Packets that were repaired have none of their own (RFC 3550 A.8).
    pub(crate) fn time(&mut self, now: Instant, timestamp: RtpTimestamp, clock_rate: u32) {
        if self.clock_rate != clock_rate {
            // RFC 7160 §4.1: times by two clocks have nothing to do with each other.
            (self.clock_rate, self.transit, self.jitter) = (clock_rate, None, 0);
        }
        let arrival = clock::ticks(now.since_epoch(), clock_rate);
        let transit = arrival.wrapping_sub(timestamp.0);
        if let Some(last) = self.transit.replace(transit) {
            let difference = transit.wrapping_sub(last).cast_signed().unsigned_abs();
            // More than this is a jump of the sender's clock.
            if difference < clock_rate.saturating_mul(MAX_TRANSIT_STEP) {
                self.jitter =
                    self.jitter.saturating_add(difference).saturating_sub(self.jitter.saturating_add(8) >> 4);
            }
        }
    }

    /// Whether the source has proved itself.
    pub(crate) const fn is_started(&self) -> bool {
        self.started
    }

    /// The newest number.
    pub(crate) const fn highest(&self) -> u64 {
        self.highest
    }

    /// Jitter in ticks.
    pub(crate) const fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    #[cfg(test)]
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    pub(crate) const fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Packets lost, less those that came twice.
    pub(crate) fn lost(&self) -> i64 {
        let expected = i64::try_from(self.count()).unwrap_or(i64::MAX);
        expected.saturating_sub(i64::try_from(self.received).unwrap_or(i64::MAX))
    }

    /// Begins a new interval, and says how the last one went (A.3).
    pub(crate) fn report(&mut self, ssrc: Ssrc) -> ReportBlock {
        let expected = self.count();
        let interval = expected.saturating_sub(self.expected_prior);
        let arrived = self.received.saturating_sub(self.received_prior);
        (self.expected_prior, self.received_prior) = (expected, self.received);
        let lost = interval.saturating_sub(arrived);
        let fraction = lost.saturating_mul(256).checked_div(interval).unwrap_or(0);
        let cumulative = self.lost().clamp(i64::from(i32::MIN), i64::from(i32::MAX));
        // The source's own cycles, not those of another before it.
        let cycle = self.base & !0xffff;
        let [.., a, b, c, d] = self.highest.wrapping_sub(cycle).to_be_bytes();
        ReportBlock {
            ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            cumulative_lost: i32::try_from(cumulative).unwrap_or(i32::MAX),
            highest_sequence: u32::from_be_bytes([a, b, c, d]),
            jitter: self.jitter(),
            ..ReportBlock::default()
        }
    }

    /// How many packets there must have been.
    fn count(&self) -> u64 {
        if self.started { self.highest.saturating_sub(self.base).saturating_add(1) } else { 0 }
    }

    fn count_duplicate(&mut self) {
        // A.3: those that come twice count as received, so that losses may be negative.
        self.received = self.received.saturating_add(1);
        self.duplicates = self.duplicates.saturating_add(1);
    }

    fn start(&mut self, number: SequenceNumber) -> Place {
        if self.probation > 0 {
            // A.1: MIN_SEQUENTIAL packets in a row. The first one has nothing to follow.
            let follows = self.bad.is_some() && number == self.expected;
            self.bad = Some(number);
            self.expected = number.next();
            self.probation = if follows { self.probation.saturating_sub(1) } else { self.probation };
            if !follows || self.probation > 0 {
                return Place::Probation;
            }
        }
        self.begin(number);
        Place::First(self.highest)
    }

    fn begin(&mut self, number: SequenceNumber) {
        // One that begins anew, or in place of another, is counted on from where that was, so that numbers only rise.
        let first = match self.highest {
            0 => FIRST_CYCLE.saturating_add(number.0.into()),
            highest => number.extend(highest.saturating_add(0x1_0000)),
        };
        *self = Self {
            started: true,
            base: first,
            highest: first,
            received: 1,
            duplicates: self.duplicates,
            jitter: self.jitter,
            ..Self::default()
        };
        self.seen.reset(first);
    }

    fn advance(&mut self, by: u16) -> Place {
        let number = self.highest.saturating_add(by.into());
        self.seen.advance(self.highest, number);
        self.highest = number;
        Place::Next { number, skipped: by.saturating_sub(1) }
    }
}

/// Which of the last 2,048 numbers were seen.
#[derive(Clone, Debug)]
struct Seen {
    words: [u64; WORDS],
}

impl Default for Seen {
    fn default() -> Self {
        Self { words: [0; WORDS] }
    }
}

impl Seen {
    fn reset(&mut self, first: u64) {
        self.words = [0; WORDS];
        self.set(first);
    }

    /// Forgets what was in the places of the numbers up to `to`, and sees that one.
    fn advance(&mut self, from: u64, to: u64) {
        let first = from.saturating_add(1).max(to.saturating_sub(SPAN.saturating_sub(1)));
        for number in first..to {
            if let Some((word, bit)) = self.place(number) {
                *word &= !bit;
            }
        }
        self.set(to);
    }

    /// Whether a number up to `highest` is new.
    fn insert(&mut self, highest: u64, number: u64) -> bool {
        if highest.saturating_sub(number) >= SPAN {
            return false;
        }
        let Some((word, bit)) = self.place(number) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn set(&mut self, number: u64) {
        if let Some((word, bit)) = self.place(number) {
            *word |= bit;
        }
    }

    fn place(&mut self, number: u64) -> Option<(&mut u64, u64)> {
        let at = usize::try_from((number / 64) % (SPAN / 64)).ok()?;
        Some((self.words.get_mut(at)?, 1 << (number % 64)))
    }
}

const WORDS: usize = 32;
const SPAN: u64 = 2048;
/// Where extended numbers begin, so that some lie before the first.
const FIRST_CYCLE: u64 = 1 << 16;
/// RFC 3550 A.1: as many may be missing before the source counts as one that began anew.
const MAX_DROPOUT: u16 = 3000;
/// A.1 has 100; retransmissions by the same source (without RFC 4588) come later than that.
const MAX_MISORDER: u16 = 2000;
/// Seconds.
const MAX_TRANSIT_STEP: u32 = 10;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn jitter_by_another_clock_begins_anew() {
        let mut tracker = Tracker::new(0);
        for number in 0..100_u32 {
            let late = Duration::from_millis(u64::from(number % 2) * 10);
            let now = Instant::default() + Duration::from_millis(20) * number + late;
            tracker.time(now, RtpTimestamp(number * 960), 48_000);
        }
        assert!((400..500).contains(&tracker.jitter()), "{}", tracker.jitter());
        tracker.time(Instant::default() + Duration::from_secs(2), RtpTimestamp(7), 8000);
        assert_eq!(tracker.jitter(), 0);
    }

    #[test]
    fn a_source_on_probation_is_believed_after_packets_in_a_row() {
        let mut tracker = Tracker::new(1);
        let places = [5, 7, 8, 9].map(|number| tracker.arrive(SequenceNumber(number)));
        let first = (1 << 16) + 8;
        assert_eq!(
            places,
            [
                Place::Probation,
                Place::Probation,
                Place::First(first),
                Place::Next { number: first + 1, skipped: 0 }
            ]
        );
        assert_eq!((tracker.received(), tracker.lost()), (2, 0));
    }

    #[test]
    fn a_source_that_begins_anew_shows_it_by_two_packets_in_a_row() {
        let mut tracker = Tracker::new(0);
        tracker.arrive(SequenceNumber(10));
        let bad = tracker.clone();
        assert_eq!(tracker.arrive(SequenceNumber(40_000)), Place::Jump);
        assert_eq!(tracker.highest(), bad.highest());
        assert!(
            matches!(tracker.arrive(SequenceNumber(40_001)), Place::First(number) if number > bad.highest())
        );
        assert_eq!((tracker.received(), tracker.lost()), (1, 0));
    }

    #[test]
    fn a_source_in_place_of_another_counts_on_and_reports_what_is_its_own() {
        let mut before = Tracker::new(0);
        before.arrive(SequenceNumber(60_000));
        let mut tracker = Tracker::following(1, &before);
        assert_eq!(tracker.arrive(SequenceNumber(100)), Place::Probation);
        assert_eq!(tracker.recover(SequenceNumber(101)), Place::Probation);
        assert!(!tracker.is_started());
        assert!(
            matches!(tracker.arrive(SequenceNumber(101)), Place::First(number) if number > before.highest() && number % 65_536 == 101)
        );
        assert_eq!(
            tracker.arrive(SequenceNumber(103)),
            Place::Next { number: tracker.highest(), skipped: 1 }
        );
        let report = tracker.report(Ssrc(1));
        assert_eq!((report.highest_sequence, report.cumulative_lost), (103, 1));
        // And so does one in place of that one, before it has proved itself.
        let unproved = Tracker::following(1, &tracker);
        let mut third = Tracker::following(0, &unproved);
        assert!(
            matches!(third.arrive(SequenceNumber(1)), Place::First(number) if number > tracker.highest())
        );
    }

    #[test]
    fn the_number_wraps_and_is_counted_on() {
        let mut tracker = Tracker::new(0);
        for number in 0..3_u64 << 17 {
            tracker.arrive(SequenceNumber::from(number + 65_000));
        }
        let report = tracker.report(Ssrc(1));
        assert_eq!(u64::from(report.highest_sequence), (3 << 17) + 64_999);
        assert_eq!((report.fraction_lost, report.cumulative_lost), (0, 0));
    }

    #[test]
    fn a_report_is_the_arithmetic_of_a3() {
        let mut tracker = Tracker::new(0);
        (0..100).filter(|number| number % 4 != 3).for_each(|number| {
            tracker.arrive(SequenceNumber(number));
        });
        // The last one that came is 98: 99 were expected, 75 came.
        let report = tracker.report(Ssrc(1));
        assert_eq!((report.fraction_lost, report.cumulative_lost), (62, 24));
        assert_eq!(tracker.report(Ssrc(1)).fraction_lost, 0, "nothing was expected since");
        for _ in 0..3 {
            tracker.arrive(SequenceNumber(98));
        }
        let report = tracker.report(Ssrc(1));
        assert_eq!((report.fraction_lost, report.cumulative_lost), (0, 21));
    }

    #[test]
    fn jitter_is_the_mean_deviation_of_a8() {
        let mut tracker = Tracker::new(0);
        let mut model = 0.0_f64;
        let mut last = None;
        for packet in 0..200_u32 {
            let late = [0, 7, 3, 12][usize::try_from(packet).unwrap() % 4];
            let arrival = 1000 + 20 * packet + late;
            let now = Instant::from_nanos(u64::from(arrival) * 1_000_000);
            tracker.time(now, RtpTimestamp(packet.wrapping_mul(160).wrapping_sub(9)), 8000);
            let transit = f64::from(late * 8);
            if let Some(last) = last.replace(transit) {
                model += ((transit - last).abs() - model) / 16.0;
            }
        }
        assert!((f64::from(tracker.jitter()) - model).abs() < 2.0, "{} {model}", tracker.jitter());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn every_number_is_new_once(
            start in any::<u16>(),
            steps in proptest::collection::vec((-300_i32..400, any::<bool>()), 1..300),
        ) {
            let mut tracker = Tracker::new(0);
            let mut model = BTreeSet::from([i64::from(start)]);
            let (mut highest, base) = (i64::from(start), i64::from(start));
            tracker.arrive(SequenceNumber(start));
            for (step, recovered) in steps {
                let number = highest + i64::from(step);
                let wire = SequenceNumber(u16::try_from(number.rem_euclid(65_536)).unwrap());
                let place = if recovered { tracker.recover(wire) } else { tracker.arrive(wire) };
                let is_new = number >= base && model.insert(number);
                match place {
                    Place::Next { skipped, .. } => {
                        prop_assert!(is_new && number - highest == i64::from(skipped) + 1);
                        highest = number;
                    }
                    Place::Late(_) => prop_assert!(is_new && number < highest),
                    Place::Duplicate => prop_assert!(!is_new),
                    Place::First(_) | Place::Probation | Place::Jump => prop_assert!(false, "{place:?}"),
                }
                prop_assert_eq!(i64::try_from(tracker.highest()).unwrap() - 65_536, highest);
            }
        }
    }
}
