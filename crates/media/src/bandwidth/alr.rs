use proto::Instant;

use super::real;

/// Whether the application limits the rate: it sends much less than it may, so that nothing is learned of the path.
#[derive(Clone, Debug)]
pub(super) struct Alr {
    /// Bits that might have been sent at a share of the target and were not; below zero what was sent beyond.
    unused: f64,
    at: Instant,
    since: Option<Instant>,
    ended: Option<Instant>,
}

impl Alr {
    pub(super) const NEW: Self = Self { unused: 0.0, at: Instant::from_nanos(0), since: None, ended: None };

    /// So many bytes were sent.
    pub(super) fn sent(&mut self, now: Instant, bytes: usize, target: u64) {
        let rate = real(target) * SHARE;
        let most = (rate * WINDOW).max(1.0);
        let bits = real(u64::try_from(bytes).unwrap_or(0)) * 8.0;
        let earned = (now - self.at).as_secs_f64() * rate;
        self.at = self.at.max(now);
        self.unused = (self.unused.clamp(-most, most) + earned).min(most) - bits;
        let share = self.unused / most;
        if share > START && self.since.is_none() {
            self.since = Some(now);
        } else if share < STOP && self.since.is_some() {
            (self.since, self.ended) = (None, Some(now));
        }
    }

    /// Since when it does.
    pub(super) const fn since(&self) -> Option<Instant> {
        self.since
    }

    /// When it did last, until it does again.
    pub(super) const fn ended(&self) -> Option<Instant> {
        self.ended
    }
}

/// Less than 65 % of the target counts, over half a second; 80 % of that unused begin it, 50 % end it.
const SHARE: f64 = 0.65;
const WINDOW: f64 = 0.5;
const START: f64 = 0.8;
const STOP: f64 = 0.5;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_sends_a_third_of_what_he_may_is_limited_by_himself_and_who_sends_all_of_it_is_not() {
        let mut alr = Alr::NEW;
        let mut now = Instant::from_nanos(1_000_000_000);
        alr.sent(now, 100, 1_000_000);
        let mut run = |alr: &mut Alr, bytes: usize| {
            for _ in 0..200 {
                now += Duration::from_millis(10);
                alr.sent(now, bytes, 1_000_000);
            }
        };
        run(&mut alr, 400);
        assert!(alr.since().is_some());
        run(&mut alr, 1250);
        assert!(alr.since().is_none() && alr.ended().is_some());
    }
}
