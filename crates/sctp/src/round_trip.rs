use std::time::Duration;

use crate::Config;

/// Round-trip time and the retransmission time-out that follows from it (RFC 9260 §6.3).
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundTrip {
    smoothed: Option<Duration>,
    variation: Duration,
    least: Duration,
    latest: Duration,
    doublings: u32,
}

impl RoundTrip {
    pub(crate) const fn new() -> Self {
        Self {
            smoothed: None,
            variation: Duration::ZERO,
            least: Duration::MAX,
            latest: Duration::ZERO,
            doublings: 0,
        }
    }

    /// Takes a round trip that something below us measured, unless there are measurements already.
    pub(crate) fn seed(&mut self, rtt: Duration) {
        if self.smoothed.is_none() {
            self.smoothed = Some(rtt);
            self.variation = rtt / 2;
            self.latest = rtt;
        }
    }

    /// RFC 9260 §6.3.1, rules C2, C3 and C7.
    pub(crate) fn measured(&mut self, rtt: Duration) {
        self.least = self.least.min(rtt);
        self.latest = rtt;
        self.doublings = 0;
        let Some(smoothed) = self.smoothed else {
            self.smoothed = Some(rtt);
            self.variation = rtt / 2;
            return;
        };
        self.variation = self.variation * 3 / 4 + smoothed.abs_diff(rtt) / 4;
        self.smoothed = Some(smoothed * 7 / 8 + rtt / 8);
    }

    /// RFC 9260 §6.3.3, rule E2.
    pub(crate) fn back_off(&mut self) {
        self.doublings = self.doublings.saturating_add(1);
    }

    /// The peer answered: the time-out is no longer backed off.
    pub(crate) fn answered(&mut self) {
        self.doublings = 0;
    }

    pub(crate) fn rto(&self, config: &Config) -> Duration {
        // On a steady path the variation vanishes, and without a floor of its own under it the time-out would
        // meet every answer that is a moment late.
        let margin = (self.variation * 4).max(config.rto_min);
        let base = self.smoothed.map_or(config.rto_initial, |smoothed| smoothed + margin).min(config.rto_max);
        base.saturating_mul(1 << self.doublings.min(16)).min(config.rto_max)
    }

    /// How long the last packet of a flight stays unacknowledged before it is probed for (RFC 8985 §7.2).
    pub(crate) fn probe_delay(&self, config: &Config) -> Duration {
        let Some(smoothed) = self.smoothed else { return config.rto_initial };
        (smoothed + self.variation * 4 + GRANULARITY).max(smoothed * 3 / 2).min(self.rto(config))
    }

    /// How long after its sending a packet that was overtaken counts as lost (RFC 9002 §6.1.2).
    pub(crate) fn reordering(&self, config: &Config) -> Duration {
        let rtt = self.smoothed.unwrap_or(config.rto_initial).max(self.latest);
        rtt + (rtt / 8).max(GRANULARITY)
    }

    pub(crate) fn least(&self) -> Duration {
        if self.least == Duration::MAX { Duration::ZERO } else { self.least }
    }

    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }
}

const GRANULARITY: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_out_follows_the_rules() {
        let mut config = Config { rto_min: Duration::from_millis(1), ..Config::default() };
        let mut rtt = RoundTrip::new();
        assert_eq!(rtt.rto(&config), Duration::from_secs(1));
        rtt.measured(Duration::from_millis(100));
        assert_eq!(rtt.rto(&config), Duration::from_millis(300), "C2: SRTT + 4 * (R / 2)");
        rtt.measured(Duration::from_millis(100));
        assert_eq!(rtt.rto(&config), Duration::from_millis(250), "C3: the variation falls by a quarter");
        rtt.back_off();
        assert_eq!(rtt.rto(&config), Duration::from_millis(500));
        for _ in 0..100 {
            rtt.back_off();
        }
        assert_eq!(rtt.rto(&config), config.rto_max);
        rtt.measured(Duration::from_millis(100));
        config.rto_min = Duration::from_secs(1);
        assert_eq!(rtt.rto(&config), Duration::from_millis(1100), "C6, above the round trip");
    }

    #[test]
    fn losses_and_tails_are_judged_a_little_after_a_round_trip() {
        let config = Config::default();
        let mut rtt = RoundTrip::new();
        assert_eq!(rtt.probe_delay(&config), config.rto_initial);
        assert_eq!(rtt.reordering(&config), config.rto_initial * 9 / 8, "before anything was measured");
        // The path is steady, so that no variation remains.
        (0..100).for_each(|_| rtt.measured(Duration::from_millis(80)));
        assert_eq!(rtt.probe_delay(&config), Duration::from_millis(120), "one and a half");
        assert_eq!(rtt.reordering(&config), Duration::from_millis(90), "nine eighths");
        // The latest counts if it was longer, and no granularity is finer than that of timers.
        rtt.measured(Duration::from_millis(160));
        assert_eq!(rtt.reordering(&config), Duration::from_millis(180));
        let mut rtt = RoundTrip::new();
        (0..100).for_each(|_| rtt.measured(Duration::from_millis(2)));
        assert_eq!(rtt.reordering(&config), Duration::from_millis(7));
        assert_eq!(rtt.probe_delay(&config).as_millis(), 7);
    }

    #[test]
    fn a_seed_counts_only_until_something_is_measured() {
        let config = Config::default();
        let mut rtt = RoundTrip::new();
        rtt.seed(Duration::from_millis(100));
        assert_eq!(rtt.rto(&config), Duration::from_millis(300));
        rtt.measured(Duration::from_millis(100));
        let before = rtt.rto(&config);
        rtt.seed(Duration::from_secs(9));
        assert_eq!(rtt.rto(&config), before);
    }
}
