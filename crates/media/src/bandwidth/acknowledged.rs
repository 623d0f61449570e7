use std::time::Duration;

use super::{real, whole};
use crate::later::Blank;

/// How much arrives: bits over short windows by the peer's clock, each weighed by how far it is from what was thought before
/// (a Bayesian update, so that single bursts do not count for much and lasting changes do).
#[derive(Clone, Debug)]
pub(super) struct Acknowledged {
    /// Of the window that is being filled.
    begin: Option<i64>,
    last: i64,
    bits: u64,
    /// In kbit/s.
    estimate: Option<f64>,
    variance: f64,
}

impl Blank for Acknowledged {
    fn blank() -> &'static Self {
        static NEW: Acknowledged = Acknowledged::NEW;
        &NEW
    }
}

impl Acknowledged {
    pub(super) const NEW: Self = Self { begin: None, last: 0, bits: 0, estimate: None, variance: 0.0 };

    /// A packet arrived; `quiet` is whether less is sent than may be, so that little may be meant to be little.
    pub(super) fn add(&mut self, arrival: i64, bytes: usize, quiet: bool) {
        let bits = u64::try_from(bytes).unwrap_or(0).saturating_mul(8);
        let span = if self.estimate.is_none() { FIRST_WINDOW } else { WINDOW };
        let begin = match self.begin {
            Some(begin) if arrival.saturating_sub(self.last).saturating_abs() <= PAUSE => begin,
            // Time went far back, or nothing came for long: a window over that says nothing.
            _ => {
                (self.begin, self.bits, self.last) = (Some(arrival), 0, arrival);
                arrival
            }
        };
        self.last = self.last.max(arrival);
        let elapsed = u64::try_from(arrival.saturating_sub(begin)).unwrap_or(0);
        if elapsed >= nanos(span) {
            self.update(real(self.bits) * 1e6 / real(elapsed), quiet);
            (self.begin, self.bits) = (Some(arrival), 0);
        }
        self.bits = self.bits.saturating_add(bits);
    }

    fn update(&mut self, sample: f64, quiet: bool) {
        let Some(estimate) = self.estimate else {
            (self.estimate, self.variance) = (Some(sample), INITIAL_VARIANCE);
            return;
        };
        let scale = if quiet && sample < estimate { QUIET_SCALE } else { SCALE };
        let deviation = scale * (estimate - sample).abs() / (estimate + sample.min(25.0)).max(1.0);
        let (sampled, before) = (deviation * deviation, self.variance + DRIFT);
        let sum = (sampled + before).max(f64::MIN_POSITIVE);
        self.estimate = Some((sampled * estimate + before * sample) / sum);
        self.variance = sampled * before / sum;
    }

    /// The rate is about to change.
    pub(super) const fn expect_change(&mut self) {
        self.variance += CHANGE;
    }

    /// In bit/s.
    pub(super) fn bitrate(&self) -> Option<u64> {
        self.estimate.map(|kilobits| whole(kilobits * 1000.0))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

const FIRST_WINDOW: Duration = Duration::from_millis(500);
const WINDOW: Duration = Duration::from_millis(150);
const PAUSE: i64 = 1_000_000_000;
const INITIAL_VARIANCE: f64 = 50.0;
const DRIFT: f64 = 5.0;
const CHANGE: f64 = 200.0;
const SCALE: f64 = 10.0;
const QUIET_SCALE: f64 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn run(acknowledged: &mut Acknowledged, from: i64, to: i64, bytes: usize) {
        (from..to).for_each(|at| acknowledged.add(at * 10_000_000, bytes, false));
    }

    #[test]
    fn it_follows_what_arrives_and_forgets_pauses() {
        let mut acknowledged = Acknowledged::NEW;
        run(&mut acknowledged, 0, 40, 1250);
        assert_eq!(acknowledged.bitrate(), None);
        run(&mut acknowledged, 40, 100, 1250);
        assert_eq!(acknowledged.bitrate(), Some(1_000_000));
        run(&mut acknowledged, 100, 400, 625);
        let after = acknowledged.bitrate().unwrap();
        assert!((500_000..540_000).contains(&after), "{after}");
        run(&mut acknowledged, 1000, 1100, 625);
        assert!(acknowledged.bitrate().unwrap().abs_diff(after) < 30_000);
    }
}
