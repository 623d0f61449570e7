use std::time::Duration;

use proto::Instant;

use super::trend::Usage;
use super::{real, whole};

/// The rate that delays allow (draft-ietf-rmcat-gcc-02 §5.5): multiplicative increase far from what the link is known to carry,
/// additive increase close to that, and a cut below what arrives when delays grow.
///
/// ```text
///            Over                 Over
///   Hold ────────────▶ Decrease ◀──────── Increase ──┐ Normal
///    ▲ ◀──── Under, and after each cut ──── ▲ ▲ ─────┘
///    └────────────── Normal ────────────────┘
/// ```
#[derive(Clone, Debug)]
pub(super) struct Aimd {
    min: f64,
    max: f64,
    rate: f64,
    increasing: bool,
    changed: Option<Instant>,
    decreased: Option<Instant>,
    link: LinkCapacity,
}

/// What the link carried when it was full, in kbit/s: average and deviation.
#[derive(Clone, Debug, Default)]
struct LinkCapacity {
    estimate: Option<f64>,
    deviation: f64,
}

impl LinkCapacity {
    fn add(&mut self, sample: f64) {
        let estimate = self.estimate.unwrap_or(sample);
        let estimate = estimate + WEIGHT * (sample - estimate);
        let error = estimate - sample;
        let deviation = (1.0 - WEIGHT) * self.deviation + WEIGHT * error * error / estimate.max(1.0);
        self.deviation = deviation.clamp(0.4, 2.5);
        self.estimate = Some(estimate);
    }

    fn bounds(&self) -> Option<(f64, f64)> {
        let estimate = self.estimate?;
        let reach = 3.0 * (self.deviation.max(0.4) * estimate).sqrt();
        Some((estimate - reach, estimate + reach))
    }
}

impl Aimd {
    pub(super) const fn new(min: u64, start: u64, max: u64) -> Self {
        Self {
            min: real(min),
            max: real(max),
            rate: real(start),
            increasing: false,
            changed: None,
            decreased: None,
            link: LinkCapacity { estimate: None, deviation: 0.4 },
        }
    }

    pub(super) const fn rate(&self) -> u64 {
        whole(self.rate)
    }

    /// Another source knows better: a probe, or marks.
    pub(super) const fn set(&mut self, now: Instant, rate: u64) {
        self.rate = real(rate).clamp(self.min, self.max);
        self.changed = Some(now);
    }

    /// Feedback says how full the path is and how much arrives. Gives whether the rate was cut.
    pub(super) fn update(
        &mut self,
        now: Instant,
        usage: Usage,
        arriving: Option<u64>,
        round_trip: Duration,
        quiet: bool,
    ) -> bool {
        let elapsed = self.changed.map_or(Duration::ZERO, |changed| now - changed);
        match usage {
            Usage::Over => return self.decrease(now, arriving, round_trip),
            Usage::Under => self.increasing = false,
            Usage::Normal if self.increasing => self.increase(elapsed, arriving, round_trip, quiet),
            Usage::Normal => self.increasing = true,
        }
        self.changed = Some(now);
        false
    }

    fn increase(&mut self, elapsed: Duration, arriving: Option<u64>, round_trip: Duration, quiet: bool) {
        let seconds = elapsed.as_secs_f64().min(1.0);
        let kilobits = arriving.map(|rate| real(rate) / 1000.0);
        if let (Some(rate), Some((_, upper))) = (kilobits, self.link.bounds())
            && rate > upper
        {
            self.link.estimate = None;
        }
        let more = if self.link.estimate.is_some() {
            // About a packet in each response time.
            let frame = self.rate / 30.0;
            let packet = frame / (frame / PACKET_BITS).ceil().max(1.0);
            (packet / (round_trip.as_secs_f64() + RESPONSE)).max(MIN_INCREASE) * seconds
        } else {
            self.rate * INCREASE * seconds
        };
        // What is not sent proves nothing.
        let most = match arriving {
            Some(_) if quiet => self.rate,
            Some(rate) => 1.5 * real(rate) + 10_000.0,
            None => self.max,
        };
        self.rate = (self.rate + more).min(most.max(self.rate)).clamp(self.min, self.max);
    }

    fn decrease(&mut self, now: Instant, arriving: Option<u64>, round_trip: Duration) -> bool {
        let pause = round_trip.clamp(Duration::from_millis(10), Duration::from_millis(200));
        let recent = self.decreased.is_some_and(|decreased| now - decreased < pause);
        let arriving = arriving.map(real);
        if recent && arriving.is_none_or(|rate| rate >= self.rate / 2.0) {
            return false;
        }
        let rate = match arriving {
            None => self.rate / 2.0,
            Some(arriving) => {
                let cut = arriving * BACKOFF;
                let known = self.link.estimate.map(|kilobits| kilobits * 1000.0 * BACKOFF);
                if cut > self.rate { known.unwrap_or(cut) } else { cut }
            }
        };
        if let Some(kilobits) = arriving.map(|rate| rate / 1000.0) {
            if self.link.bounds().is_some_and(|(lower, _)| kilobits < lower) {
                self.link.estimate = None;
            }
            self.link.add(kilobits);
        }
        self.rate = rate.min(self.rate).clamp(self.min, self.max);
        self.increasing = false;
        (self.changed, self.decreased) = (Some(now), Some(now));
        true
    }
}

const BACKOFF: f64 = 0.85;
/// 8 % a second.
const INCREASE: f64 = 0.08;
const MIN_INCREASE: f64 = 4000.0;
const PACKET_BITS: f64 = 9600.0;
const RESPONSE: f64 = 0.1;
const WEIGHT: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_by_a_twelfth_a_second_falls_below_what_arrives_and_grows_slowly_then() {
        let trip = Duration::from_millis(100);
        let mut aimd = Aimd::new(30_000, 300_000, 10_000_000);
        let mut now = Instant::default();
        let mut run = |aimd: &mut Aimd, usage, arriving: Option<u64>| {
            now += Duration::from_millis(50);
            aimd.update(now, usage, arriving, trip, false)
        };
        (0..202).for_each(|_| assert!(!run(&mut aimd, Usage::Normal, None)));
        let grown = real(aimd.rate()) / 300_000.0;
        assert!((2.1..2.25).contains(&grown), "{grown}");
        assert!(run(&mut aimd, Usage::Over, Some(500_000)));
        assert_eq!(aimd.rate(), 425_000);
        assert!(!run(&mut aimd, Usage::Over, Some(500_000)), "not twice in a round trip");
        (0..22).for_each(|_| assert!(!run(&mut aimd, Usage::Normal, Some(450_000))));
        assert!((440_000..490_000).contains(&aimd.rate()), "{}", aimd.rate());
        // Half again of what arrives is the most.
        (0..2000).for_each(|_| assert!(!run(&mut aimd, Usage::Normal, Some(450_000))));
        assert_eq!(aimd.rate(), 685_000);
    }
}
