use super::groups::{Delta, fraction};
use crate::later::Blank;

/// Which way delays go: a line through the last groups' smoothed delays, against a threshold that follows how much it usually rises
/// (draft-ietf-rmcat-gcc-02 §5.3 to §5.5, with a line in place of the Kalman filter, as its successors have it).
#[derive(Clone, Debug)]
pub(super) struct Trend {
    /// When a group arrived, and its smoothed delay, both in milliseconds since the first; the oldest is written over.
    points: [(f64, f64); WINDOW],
    count: usize,
    first: Option<i64>,
    delay: f64,
    smoothed: f64,
    slope: f64,
    threshold: f64,
    updated: f64,
    /// For how long, in milliseconds, and how often in a row it has been too steep.
    above: Option<(f64, u32)>,
    usage: Usage,
    /// The smoothed delays that were the least of this span and of the one before, and when this one began.
    least: [f64; 2],
    least_since: f64,
}

/// How full the path is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Usage {
    /// Delays stay.
    #[default]
    Normal,
    /// Delays grow: a queue fills.
    Over,
    /// Delays shrink: a queue drains.
    Under,
}

impl Blank for Trend {
    fn blank() -> &'static Self {
        static NEW: Trend = Trend::new();
        &NEW
    }
}

impl Trend {
    pub(super) const fn new() -> Self {
        Self {
            points: [(0.0, 0.0); WINDOW],
            count: 0,
            first: None,
            delay: 0.0,
            smoothed: 0.0,
            slope: 0.0,
            threshold: INITIAL_THRESHOLD,
            updated: 0.0,
            above: None,
            usage: Usage::Normal,
            least: [f64::INFINITY; 2],
            least_since: 0.0,
        }
    }

    /// By how many milliseconds delays lie above the least of late: what stands in the queue.
    pub(super) fn queue(&self) -> f64 {
        let least = self.least.iter().copied().fold(self.smoothed, f64::min);
        self.smoothed - least
    }

    fn keep_least(&mut self, at: f64) {
        let [now, before] = self.least;
        if at - self.least_since > LEAST_SPAN {
            (self.least, self.least_since) = ([self.smoothed, now], at);
        } else {
            self.least = [now.min(self.smoothed), before];
        }
    }

    pub(super) const fn usage(&self) -> Usage {
        self.usage
    }

    pub(super) fn add(&mut self, delta: Delta) {
        let first = *self.first.get_or_insert(delta.at);
        let at = fraction(delta.at.saturating_sub(first));
        self.delay += delta.arrived - delta.sent;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.delay;
        if self.count >= WINDOW {
            self.keep_least(at);
        }
        let place = self.count.checked_rem(WINDOW).unwrap_or(0);
        if let Some(point) = self.points.get_mut(place) {
            *point = (at, self.smoothed);
        }
        self.count = self.count.saturating_add(1);
        let before = self.slope;
        if self.count >= WINDOW {
            self.slope = self.line().unwrap_or(self.slope);
        }
        self.judge(delta.sent, at, before);
    }

    /// The slope by least squares.
    fn line(&self) -> Option<f64> {
        let count = WINDOW as f64;
        let (x, y) = self.points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        let (x, y) = (x / count, y / count);
        let (mut above, mut below) = (0.0, 0.0);
        for point in &self.points {
            above += (point.0 - x) * (point.1 - y);
            below += (point.0 - x) * (point.0 - x);
        }
        (below > 0.0).then(|| above / below)
    }

    fn judge(&mut self, span: f64, at: f64, before: f64) {
        if self.count < 2 {
            return;
        }
        let weight = self.count.min(MAX_WEIGHT) as f64;
        let trend = weight * self.slope * GAIN;
        if trend > self.threshold {
            let (time, count) =
                self.above.map_or((span / 2.0, 1), |(time, count)| (time + span, count.saturating_add(1)));
            self.above = Some((time, count));
            if time > OVERUSE_TIME && count > 1 && self.slope >= before {
                self.above = Some((0.0, 0));
                self.usage = Usage::Over;
            }
        } else {
            self.above = None;
            self.usage = if trend < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.adapt(trend.abs(), at);
    }

    fn adapt(&mut self, trend: f64, at: f64) {
        let elapsed = (at - self.updated).clamp(0.0, MAX_STEP);
        self.updated = at;
        // A single leap, as of a path that changed, is no reason to be deaf afterwards.
        if trend > self.threshold + MAX_LEAP {
            return;
        }
        let gain = if trend < self.threshold { DOWN } else { UP };
        self.threshold = (self.threshold + gain * (trend - self.threshold) * elapsed).clamp(6.0, 600.0);
    }
}

const WINDOW: usize = 20;
/// So many milliseconds, twice, a least delay is remembered: routes change, and clocks drift apart.
const LEAST_SPAN: f64 = 10_000.0;
const SMOOTHING: f64 = 0.9;
const GAIN: f64 = 4.0;
const MAX_WEIGHT: usize = 60;
const INITIAL_THRESHOLD: f64 = 12.5;
const OVERUSE_TIME: f64 = 10.0;
const MAX_LEAP: f64 = 15.0;
const MAX_STEP: f64 = 100.0;
/// How fast the threshold follows what is above and below it, a millisecond.
const UP: f64 = 0.0087;
const DOWN: f64 = 0.039;

#[cfg(test)]
mod tests {
    use super::*;

    fn run(trend: &mut Trend, from: i64, groups: i64, growth: f64) -> usize {
        (from..from + groups)
            .filter(|number| {
                trend.add(Delta { sent: 10.0, arrived: 10.0 + growth, at: number * 10_000_000 });
                trend.usage() == Usage::Over
            })
            .count()
    }

    #[test]
    fn a_queue_that_fills_is_seen_and_one_that_stays_is_not() {
        let mut trend = Trend::new();
        assert_eq!(run(&mut trend, 0, 100, 0.0), 0);
        // 10 % too much: a millisecond more of delay every 10.
        assert!(run(&mut trend, 100, 30, 1.0) > 5);
        run(&mut trend, 130, 60, 0.0);
        assert_eq!(trend.usage(), Usage::Normal);
        run(&mut trend, 190, 30, -1.0);
        assert_eq!(trend.usage(), Usage::Under);
    }

    #[test]
    fn what_stands_in_the_queue_is_what_lies_above_the_least_delay_of_late() {
        let mut trend = Trend::new();
        run(&mut trend, 0, 100, 0.0);
        assert!(trend.queue() < 0.1);
        run(&mut trend, 100, 60, 1.0);
        run(&mut trend, 160, 100, 0.0);
        assert!((59.0..61.0).contains(&trend.queue()), "{}", trend.queue());
        // A longer way looks the same, until the shorter one is forgotten.
        run(&mut trend, 260, 2500, 0.0);
        assert!(trend.queue() < 1.0, "{}", trend.queue());
    }
}
