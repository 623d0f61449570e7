use std::time::Duration;

use proto::Instant;
use rtp::extension::AbsSendTime;

use super::BandwidthConfig;
use super::acknowledged::Acknowledged;
use super::delay::DelayBased;
use super::groups::Groups;
use super::trend::{Trend, Usage};

/// What the path carries, as the end sees it where packets arrive: for peers that cannot estimate it themselves, and are told by REMB
/// (draft-ietf-rmcat-gcc-02 §2, draft-alvestrand-rmcat-remb-03). When packets left is known by `abs-send-time`.
///
/// ```text
///   arrivals ─┬▶ groups ─▶ trend ─▶ delays ─▶ what the peer is told
///             └▶ how much arrives ────▲
/// ```
///
/// It keeps as many numbers as are written here, however much arrives.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedRate {
    groups: Groups,
    trend: Trend,
    arriving: Acknowledged,
    delays: DelayBased,
    /// When the last packet left by its sender's clock, as it stands in packets and without wrapping.
    sent: Option<(u32, u64)>,
    began: Option<Instant>,
    last: Instant,
    is_known: bool,
    /// What the peer was told last and when, and whether anything has come since.
    told: Option<(Instant, u64)>,
    is_new: bool,
}

impl ReceivedRate {
    pub(crate) fn new(config: BandwidthConfig) -> Self {
        Self {
            groups: Groups::NEW,
            trend: Trend::new(),
            arriving: Acknowledged::NEW,
            delays: DelayBased::new(config.min, config.start.clamp(config.min, config.max), config.max),
            sent: None,
            began: None,
            last: Instant::default(),
            is_known: false,
            told: None,
            is_new: false,
        }
    }

    /// A packet came that left at this time.
    pub(crate) fn add(&mut self, now: Instant, sent: AbsSendTime, bytes: usize, round_trip: Duration) {
        let arrival = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        self.last = now;
        self.is_new = true;
        let began = *self.began.get_or_insert(now);
        self.arriving.add(arrival, bytes, false);
        let sent = self.unwrap(sent.units());
        let delta = self.groups.add(sent, arrival);
        if let Some(delta) = delta {
            self.trend.add(delta);
            let (usage, arriving) = (self.trend.usage(), self.arriving.bitrate());
            let cut = self.delays.update(now, (usage, self.trend.queue()), arriving, round_trip, false);
            self.is_known |= cut && usage == Usage::Over;
        }
        if !self.is_known
            && now - began >= LEARNING
            && let Some(arriving) = self.arriving.bitrate()
        {
            // Nothing has piled up: as much as has come can come.
            self.delays.set(now, arriving);
            self.is_known = true;
        }
    }

    /// What the peer should stay below, in bit/s.
    pub(crate) const fn rate(&self) -> u64 {
        self.delays.rate()
    }

    /// When the peer is to be told: at once of less, and of the rest each second, as long as something comes.
    pub(crate) fn due(&self) -> Option<Instant> {
        if !self.is_known || !self.is_new {
            return None;
        }
        let Some((at, rate)) = self.told else { return Some(self.last) };
        let is_less = u128::from(self.rate()).saturating_mul(100) < u128::from(rate).saturating_mul(LESS);
        Some(if is_less { self.last } else { at + INTERVAL })
    }

    /// It was.
    pub(crate) const fn told(&mut self, now: Instant) {
        self.told = Some((now, self.delays.rate()));
        self.is_new = false;
    }

    /// The sender's time, which wraps in packets after 64 s, on a clock that only begins elsewhere.
    fn unwrap(&mut self, units: u32) -> Instant {
        let (before, sent) = self.sent.unwrap_or((units, FIRST));
        let ahead = units.wrapping_sub(before) & 0x00ff_ffff;
        let behind = before.wrapping_sub(units) & 0x00ff_ffff;
        let sent = if ahead < LEAP {
            sent.saturating_add(ahead.into())
        } else if behind < LEAP {
            sent.saturating_sub(behind.into())
        } else {
            // Another clock, or it was set: what is before says nothing of what follows.
            self.groups = Groups::NEW;
            sent
        };
        self.sent = Some((units, sent));
        // 2^18 units are a second.
        let nanos = u128::from(sent).saturating_mul(1_000_000_000) >> 18;
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// For so long nothing is told unless something piles up: what comes is what the peer begins with.
const LEARNING: Duration = Duration::from_secs(5);
/// How often the peer is told of what is not less.
const INTERVAL: Duration = Duration::from_secs(1);
/// Of less than so many hundredths the peer is told at once.
const LESS: u128 = 97;
/// The sender's clock was set: 8 s.
const LEAP: u32 = 8 << 18;
/// As late as no packet is.
const FIRST: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that sends as much as it is told through a link of `capacity`, by a clock of its own. Gives what it is told at last.
    struct Path {
        received: ReceivedRate,
        now: Instant,
        busy: Instant,
        rate: u64,
        told: Vec<(Instant, u64)>,
        longest: Duration,
    }

    impl Path {
        fn new(rate: u64) -> Self {
            let now = Instant::from_nanos(1_000_000_000);
            let received = ReceivedRate::new(BandwidthConfig::default());
            Self { received, now, busy: now, rate, told: Vec::new(), longest: Duration::ZERO }
        }

        fn run(&mut self, seconds: u64, capacity: u64) -> u64 {
            let end = self.now + Duration::from_secs(seconds);
            while self.now < end {
                self.busy = self.busy.max(self.now) + Duration::from_nanos(8_000_000_000_000 / capacity);
                self.longest = self.longest.max(self.busy - self.now);
                let sent = AbsSendTime::from_duration(self.now.since_epoch() + Duration::from_secs(12_345));
                let arrived = self.busy + Duration::from_millis(20);
                self.received.add(arrived, sent, 1000, Duration::from_millis(40));
                if self.received.due().is_some_and(|due| due <= arrived) {
                    self.received.told(arrived);
                    self.rate = self.received.rate();
                    self.told.push((arrived, self.rate));
                }
                self.now += Duration::from_nanos(8_000_000_000_000 / self.rate);
            }
            self.rate
        }
    }

    #[test]
    fn who_sends_too_much_is_told_at_once_and_settles_below_what_the_link_carries() {
        let mut path = Path::new(2_000_000);
        let found = path.run(30, 1_000_000);
        let first = path.told.first().unwrap().0 - Instant::from_nanos(1_000_000_000);
        assert!(first < Duration::from_secs(2), "{first:?}");
        assert!((600_000..1_050_000).contains(&found), "{found}");
        path.longest = Duration::ZERO;
        let found = path.run(60, 500_000);
        assert!((300_000..525_000).contains(&found), "{found}");
        let found = path.run(90, 2_000_000);
        assert!(found > 1_000_000, "it climbs again: {found}");
    }

    #[test]
    fn who_sends_little_is_told_once_a_second_and_of_no_more_than_half_as_much_again() {
        let mut path = Path::new(300_000);
        path.run(4, 10_000_000);
        assert!(path.told.is_empty(), "nothing piles up, and nothing is known");
        path.run(2, 10_000_000);
        assert!((250_000..400_000).contains(&path.told[0].1), "{:?}", path.told);
        let gaps = path.told.windows(2).map(|pair| pair[1].0 - pair[0].0);
        assert!(gaps.into_iter().all(|gap| gap >= INTERVAL));
    }

    #[test]
    fn nothing_is_due_while_nothing_comes() {
        let mut path = Path::new(300_000);
        path.run(8, 10_000_000);
        path.received.told(path.now);
        assert_eq!(path.received.due(), None);
    }

    #[test]
    fn times_go_on_where_they_wrap_and_begin_anew_where_the_clock_was_set() {
        let mut received = ReceivedRate::new(BandwidthConfig::default());
        let first = received.unwrap(0x00ff_fff0);
        let millis = |at: Instant| (at - first).as_millis();
        assert_eq!(millis(received.unwrap(0x0003_fff0)), 1000, "over the end");
        assert_eq!(millis(received.unwrap(0x0001_fff0)), 500, "a late one");
        assert_eq!(millis(received.unwrap(0x0080_0000)), 500, "another clock");
        assert_eq!(millis(received.unwrap(0x0080_0000 + (1 << 18))), 1500);
    }
}
