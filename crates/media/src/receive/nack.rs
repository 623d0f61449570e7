use std::collections::VecDeque;
use std::time::Duration;

use proto::Instant;
use rtp::rtcp::Encoder;
use rtp::{SequenceNumber, Ssrc};

/// Packets that are missing, and when they are asked for (RFC 4585 §6.2.1).
///
/// One is asked for when it has been missing for a little while, in which it may only have been overtaken; then again after each
/// round trip; and no more when it has been asked for often enough or is too old to be of use. Then it is lost.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    limits: NackLimits,
    /// In the order of their numbers.
    entries: VecDeque<Entry>,
    due: Option<Instant>,
    stats: NackStats,
}

/// How long, how often and for how many packets retransmissions are asked for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NackLimits {
    /// Packets that are missing at a time; with more, all count as lost and a key frame is wanted. 512 by default: more are lost only
    /// when the path has failed, and repair then costs more than a key frame.
    pub max_missing: usize,
    /// How often a packet is asked for. 10 by default.
    pub max_tries: u8,
    /// After so long a packet is given up. 1 s by default.
    pub max_age: Duration,
    /// How long a packet may be overtaken by others before it is asked for. 5 ms by default.
    pub reordering: Duration,
}

impl Default for NackLimits {
    fn default() -> Self {
        Self {
            max_missing: 512,
            max_tries: 10,
            max_age: Duration::from_secs(1),
            reordering: Duration::from_millis(5),
        }
    }
}

/// What became of packets that were missing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct NackStats {
    /// Packets that were found missing.
    pub missing: u64,
    /// Requests for packets, each time counted.
    pub requests: u64,
    /// Packets of feedback that asked.
    pub nacks: u64,
    /// Packets that came after they had been asked for.
    pub repaired: u64,
    /// Packets that were given up.
    pub abandoned: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    number: u64,
    since: Instant,
    asked: Option<Instant>,
    tries: u8,
}

impl Entry {
    fn due(&self, limits: &NackLimits, round_trip: Duration) -> Instant {
        self.asked.map_or(self.since + limits.reordering, |asked| asked + interval(round_trip))
    }

    fn is_over(&self, now: Instant, limits: &NackLimits) -> bool {
        now - self.since >= limits.max_age
    }
}

impl Missing {
    pub(crate) const fn new(limits: NackLimits) -> Self {
        let stats = NackStats { missing: 0, requests: 0, nacks: 0, repaired: 0, abandoned: 0 };
        Self { limits, entries: VecDeque::new(), due: None, stats }
    }

    /// The `count` packets before `number` are missing. `false` if that is too many: all count as lost.
    pub(crate) fn add(&mut self, now: Instant, number: u64, count: u16) -> bool {
        self.stats.missing = self.stats.missing.saturating_add(count.into());
        if self.entries.len().saturating_add(count.into()) > self.limits.max_missing {
            self.clear();
            self.stats.abandoned = self.stats.abandoned.saturating_add(count.into());
            return false;
        }
        for missing in number.saturating_sub(count.into())..number {
            self.entries.push_back(Entry { number: missing, since: now, asked: None, tries: 0 });
        }
        let due = now + self.limits.reordering;
        self.due = Some(self.due.map_or(due, |other| other.min(due)));
        true
    }

    /// A packet that was missing has come.
    pub(crate) fn remove(&mut self, number: u64) {
        if let Ok(at) = self.entries.binary_search_by_key(&number, |entry| entry.number)
            && let Some(entry) = self.entries.remove(at)
        {
            self.stats.repaired = self.stats.repaired.saturating_add(u64::from(entry.tries > 0));
            if self.entries.is_empty() {
                self.due = None;
            }
        }
    }

    /// A packet that was missing is of no use.
    pub(crate) fn give_up(&mut self, number: u64) {
        if let Ok(at) = self.entries.binary_search_by_key(&number, |entry| entry.number) {
            self.entries.remove(at);
            self.stats.abandoned = self.stats.abandoned.saturating_add(1);
            if self.entries.is_empty() {
                self.due = None;
            }
        }
    }

    /// Whether there is hope that this packet still comes.
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.entries.binary_search_by_key(&number, |entry| entry.number).is_ok()
    }

    /// Nothing below `number` is of use any more.
    pub(crate) fn forget_below(&mut self, number: u64) {
        while self.entries.front().is_some_and(|entry| entry.number < number) {
            self.entries.pop_front();
            self.stats.abandoned = self.stats.abandoned.saturating_add(1);
        }
        if self.entries.is_empty() {
            self.due = None;
        }
    }

    /// Gives all up.
    pub(crate) fn clear(&mut self) {
        let count = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        self.stats.abandoned = self.stats.abandoned.saturating_add(count);
        self.entries.clear();
        self.due = None;
    }

    /// Gives up what is too old or was asked for too often. Gives whether there was any.
    pub(crate) fn expire(&mut self, now: Instant, round_trip: Duration) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        let before = self.entries.len();
        let limits = self.limits;
        self.entries.retain(|entry| {
            let tried = entry.tries >= limits.max_tries && entry.due(&limits, round_trip) <= now;
            !tried && !entry.is_over(now, &limits)
        });
        let lost = before.saturating_sub(self.entries.len());
        self.stats.abandoned = self.stats.abandoned.saturating_add(u64::try_from(lost).unwrap_or(0));
        self.schedule(round_trip);
        lost > 0
    }

    /// When something is to be asked for, or given up.
    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether something is to be asked for.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Asks for what is due, and what will be soon: requests that share a packet cost less. Gives whether it did; without room
    /// nothing changes.
    pub(crate) fn write(
        &mut self,
        now: Instant,
        round_trip: Duration,
        sender: Ssrc,
        media: Ssrc,
        out: &mut Encoder<'_, '_>,
    ) -> bool {
        let limits = self.limits;
        let asks = |entry: &Entry| entry.tries < limits.max_tries && entry.due(&limits, round_trip) <= now;
        if !self.entries.iter().any(asks) {
            self.schedule(round_trip);
            return false;
        }
        let numbers = self.entries.iter().filter(|entry| asks(entry));
        let numbers = numbers.map(|entry| SequenceNumber::from(entry.number));
        let Ok(mut written) = out.nack(sender, media, numbers) else { return false };
        let count = u64::try_from(written).unwrap_or(0);
        for entry in &mut self.entries {
            if written > 0 && asks(entry) {
                written = written.saturating_sub(1);
                entry.asked = Some(now);
                entry.tries = entry.tries.saturating_add(1);
            }
        }
        self.stats.requests = self.stats.requests.saturating_add(count);
        self.stats.nacks = self.stats.nacks.saturating_add(1);
        self.schedule(round_trip);
        true
    }

    pub(crate) const fn stats(&self) -> NackStats {
        self.stats
    }

    fn schedule(&mut self, round_trip: Duration) {
        let limits = self.limits;
        let due = |entry: &Entry| entry.due(&limits, round_trip).min(entry.since + limits.max_age);
        self.due = self.entries.iter().map(due).min();
    }
}

/// How long a retransmission is waited for: the round trip, with something for its jitter.
fn interval(round_trip: Duration) -> Duration {
    (round_trip + round_trip / 4).clamp(MIN_INTERVAL, MAX_INTERVAL)
}

const MIN_INTERVAL: Duration = Duration::from_millis(10);
const MAX_INTERVAL: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use proto::Writer;
    use rtp::rtcp::{Compound, Packet};

    use super::*;

    fn ask(missing: &mut Missing, now: Instant, round_trip: Duration) -> Vec<u16> {
        let mut memory = [0; 1200];
        let mut out = Writer::new(&mut memory);
        missing.write(now, round_trip, Ssrc(1), Ssrc(2), &mut Encoder::new(&mut out));
        let Ok(compound) = Compound::decode(out.written()) else { return Vec::new() };
        compound
            .packets()
            .flat_map(|packet| match packet {
                Ok(Packet::Nack(nack)) => nack.lost().map(|number| number.0).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    const fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_packet_is_asked_for_at_once_after_reordering_and_then_once_a_round_trip() {
        let mut missing = Missing::new(NackLimits::default());
        let trip = Duration::from_millis(80);
        assert!(missing.add(at(0), 70_000, 2));
        assert_eq!(ask(&mut missing, at(4), trip), []);
        assert_eq!(missing.due(), Some(at(5)));
        assert_eq!(
            ask(&mut missing, at(5), trip),
            [69_998, 69_999].map(|number| SequenceNumber::from(number).0)
        );
        assert_eq!(missing.due(), Some(at(105)));
        missing.remove(69_998);
        assert_eq!(ask(&mut missing, at(105), trip), [SequenceNumber::from(69_999).0]);
        missing.remove(69_999);
        assert_eq!((missing.due(), missing.stats().repaired), (None, 2));
    }

    #[test]
    fn a_packet_is_asked_for_as_often_as_the_limit_and_not_once_more() {
        for (max_tries, age) in [(3, 10_000), (100, 1000)] {
            let limits =
                NackLimits { max_tries, max_age: Duration::from_millis(age), ..NackLimits::default() };
            let mut missing = Missing::new(limits);
            let trip = Duration::from_millis(100);
            missing.add(at(0), 70_000, 1);
            let mut asked = 0;
            let mut now = at(0);
            while let Some(due) = missing.due() {
                assert!(due >= now, "time does not stand still");
                now = due;
                missing.expire(now, trip);
                asked += ask(&mut missing, now, trip).len();
            }
            assert_eq!(asked, if max_tries == 3 { 3 } else { 8 });
            assert_eq!((missing.stats().abandoned, missing.contains(69_999)), (1, false));
            assert!(now <= at(age));
        }
    }

    #[test]
    fn as_many_are_missing_as_the_limit_and_with_one_more_all_are_lost() {
        let limits = NackLimits { max_missing: 10, ..NackLimits::default() };
        let mut missing = Missing::new(limits);
        assert!(missing.add(at(0), 70_000, 10));
        assert!(!missing.add(at(0), 70_002, 1));
        assert_eq!((missing.due(), missing.stats().abandoned), (None, 11));
        assert!(missing.add(at(0), 70_010, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn requests_are_those_of_a_simple_model(
            steps in proptest::collection::vec((0_u8..4, 0_u64..60), 1..120)
        ) {
            let limits = NackLimits { max_missing: 40, max_tries: 4, ..NackLimits::default() };
            let trip = Duration::from_millis(50);
            let mut missing = Missing::new(limits);
            // By number: since, last asked, tries.
            let mut model: BTreeMap<u64, (u64, Option<u64>, u8)> = BTreeMap::new();
            let (mut now, mut next) = (0, 70_000);
            for (what, much) in steps {
                match what {
                    0 => {
                        let count = much % 9;
                        next += count + 1;
                        let fits = model.len() as u64 + count <= 40;
                        prop_assert_eq!(missing.add(at(now), next, u16::try_from(count).unwrap()), fits);
                        if fits {
                            model.extend((next - count..next).map(|number| (number, (now, None, 0))));
                        } else {
                            model.clear();
                        }
                    }
                    1 => {
                        if let Some(number) = model.keys().cycle().nth(usize::try_from(much).unwrap()).copied() {
                            model.remove(&number);
                            missing.remove(number);
                        }
                    }
                    _ => {
                        now += much;
                        let due = |since: u64, asked: Option<u64>| {
                            // 50 ms and a quarter of it, in whole milliseconds.
                            asked.map_or(since + 5, |asked| asked + 63)
                        };
                        missing.expire(at(now), trip);
                        model.retain(|_, (since, asked, tries)| {
                            !(*tries >= 4 && due(*since, *asked) <= now) && now - *since < 1000
                        });
                        let mut expected = Vec::new();
                        for (number, (since, asked, tries)) in &mut model {
                            if *tries < 4 && due(*since, *asked) <= now {
                                *asked = Some(now);
                                *tries += 1;
                                expected.push(SequenceNumber::from(*number).0);
                            }
                        }
                        prop_assert_eq!(ask(&mut missing, at(now), trip), expected);
                    }
                }
                for number in next - 50..next {
                    prop_assert_eq!(missing.contains(number), model.contains_key(&number));
                }
            }
        }
    }
}
