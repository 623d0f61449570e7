use std::time::Duration;

use proto::Instant;

use super::findings::Lifetime;

/// How long a mapping lives: by doubling until it has gone, then by halving (RFC 5780 §4.6).
#[derive(Debug)]
pub(super) struct Search {
    longest: Duration,
    resolution: Duration,
    /// After how long is asked now; the first time at once, to see whether it can be asked at all.
    silence: Duration,
    at_least: Option<Duration>,
    below: Option<Duration>,
    pub(super) step: Step,
}

/// What is done now.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The first socket sends, so that its mapping lives.
    Refresh,
    /// It is silent; its port outside is this.
    Wait { until: Instant, port: u16 },
    /// The second asks the server to send to that port.
    Ask,
}

impl Search {
    pub(super) fn new(longest: Duration, resolution: Duration) -> Self {
        let resolution = resolution.max(MIN_RESOLUTION);
        let silence = Duration::ZERO;
        Self { longest, resolution, silence, at_least: None, below: None, step: Step::Refresh }
    }

    pub(super) fn wait(&mut self, now: Instant, port: u16) {
        self.step = Step::Wait { until: now + self.silence, port };
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        if let Step::Wait { until, .. } = self.step { Some(until) } else { None }
    }

    /// Takes note of whether the mapping was there; whether there is more to ask.
    pub(super) fn learn(&mut self, is_alive: bool) -> bool {
        match (is_alive, self.at_least) {
            (true, _) => self.at_least = Some(self.silence),
            (false, Some(_)) => self.below = Some(self.silence),
            // Not even at once: it cannot be asked.
            (false, None) => return false,
        }
        let at_least = self.at_least.unwrap_or_default();
        self.silence = match self.below {
            None if at_least >= self.longest => return false,
            None => at_least.saturating_mul(2).max(SHORTEST).min(self.longest),
            Some(below) if below.saturating_sub(at_least) <= self.resolution => return false,
            Some(below) => at_least.saturating_add(below.saturating_sub(at_least) / 2),
        };
        self.step = Step::Refresh;
        true
    }

    pub(super) fn found(&self) -> Option<Lifetime> {
        self.at_least.map(|at_least| Lifetime { at_least, below: self.below })
    }
}

/// The first silence: there are NATs that forget so soon.
const SHORTEST: Duration = Duration::from_secs(30);
const MIN_RESOLUTION: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// The silences that are tried for a NAT whose mappings live so many seconds, and what is found.
    fn search(lives: u64, longest: u64) -> (Vec<u64>, Option<Lifetime>) {
        let lives = Duration::from_secs(lives);
        let mut search = Search::new(Duration::from_secs(longest), Duration::from_secs(10));
        let mut tried = Vec::new();
        loop {
            tried.push(search.silence.as_secs());
            if !search.learn(search.silence < lives) {
                return (tried, search.found());
            }
        }
    }

    #[test]
    fn a_lifetime_is_found_by_doubling_and_halving() {
        let found = |at_least, below: Option<f64>| {
            Some(Lifetime {
                at_least: Duration::from_secs_f64(at_least),
                below: below.map(Duration::from_secs_f64),
            })
        };
        assert_eq!(search(0, 300), (vec![0], None), "nothing comes back at all");
        assert_eq!(search(100, 300), (vec![0, 30, 60, 120, 90, 105, 97], found(97.5, Some(105.0))));
        assert_eq!(search(1000, 300), (vec![0, 30, 60, 120, 240, 300], found(300.0, None)));
        assert_eq!(search(20, 300), (vec![0, 30, 15, 22], found(15.0, Some(22.5))));
        assert_eq!(search(1000, 0), (vec![0], found(0.0, None)));
    }

    #[test]
    fn no_resolution_makes_it_endless() {
        let mut search = Search::new(Duration::from_secs(300), Duration::ZERO);
        let count = (0..).take_while(|_| search.learn(search.silence < Duration::from_secs(100))).count();
        assert!(count < 12, "{count}");
    }
}
