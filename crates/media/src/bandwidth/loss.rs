use std::time::Duration;

use proto::Instant;

use super::{real, whole};
use crate::later::Blank;

/// The rate that losses allow (draft-ietf-rmcat-gcc-02 §6): more than a tenth lost cuts it, less than a fiftieth lets it grow.
#[derive(Clone, Debug)]
pub(super) struct LossBased {
    lost: u32,
    all: u32,
    /// The share that was lost of the last packets that were judged.
    share: f64,
    limit: Option<f64>,
    updated: Option<Instant>,
    decreased: Option<Instant>,
}

impl Blank for LossBased {
    fn blank() -> &'static Self {
        static NEW: LossBased = LossBased::NEW;
        &NEW
    }
}

impl LossBased {
    pub(super) const NEW: Self =
        Self { lost: 0, all: 0, share: 0.0, limit: None, updated: None, decreased: None };

    pub(super) const fn add(&mut self, lost: bool) {
        self.all = self.all.saturating_add(1);
        self.lost = self.lost.saturating_add(lost as u32);
    }

    /// Judges what was added. `target` is the rate now.
    pub(super) fn update(&mut self, now: Instant, target: u64, round_trip: Duration) {
        let elapsed = self.updated.map_or(Duration::ZERO, |updated| now - updated);
        if self.all >= MIN_PACKETS {
            self.share = f64::from(self.lost) / f64::from(self.all);
            (self.lost, self.all) = (0, 0);
            let pause = PAUSE + round_trip;
            if self.share > HIGH && self.decreased.is_none_or(|at| now - at >= pause) {
                let limit = self.limit.unwrap_or(f64::MAX).min(real(target));
                self.limit = Some(limit * (1.0 - self.share / 2.0));
                self.decreased = Some(now);
            }
        }
        self.updated = Some(now);
        if self.share < LOW
            && let Some(limit) = &mut self.limit
        {
            *limit *= 1.0 + INCREASE * elapsed.as_secs_f64().min(1.0);
            // Far above what delays allow it has nothing to say.
            if *limit > real(target) * 2.0 {
                self.limit = None;
            }
        }
    }

    /// No more than this, if losses have a say, and no less than `min`, from where it could not grow.
    pub(super) fn limit(&self, min: u64) -> Option<u64> {
        self.limit.map(|limit| whole(limit).max(min))
    }
}

const MIN_PACKETS: u32 = 20;
const HIGH: f64 = 0.1;
const LOW: f64 = 0.02;
const INCREASE: f64 = 0.08;
const PAUSE: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    fn run(loss: &mut LossBased, from: u64, lost: usize, target: u64) {
        for step in 0..10 {
            (0..20).for_each(|number| loss.add(number < lost));
            loss.update(Instant::from_nanos((from + step * 100) * 1_000_000), target, Duration::ZERO);
        }
    }

    #[test]
    fn a_fifth_lost_cuts_the_rate_by_a_tenth_and_a_twentieth_leaves_it() {
        let mut loss = LossBased::NEW;
        run(&mut loss, 0, 1, 1_000_000);
        assert_eq!(loss.limit(0), None);
        run(&mut loss, 1000, 4, 1_000_000);
        // Once in 300 ms: four times in a second.
        assert_eq!(loss.limit(0), Some(656_100));
        run(&mut loss, 2000, 1, 656_100);
        assert_eq!(loss.limit(0), Some(656_100));
        run(&mut loss, 3000, 0, 656_100);
        assert!((700_000..712_000).contains(&loss.limit(0).unwrap()), "{:?}", loss.limit(0));
    }
}
