use std::time::{Duration, Instant as SystemInstant, SystemTime};

/// The machine's monotonic clock as [`proto::Instant`]: nanoseconds since this clock was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: SystemInstant,
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: SystemInstant::now() }
    }

    /// The time.
    pub fn now(&self) -> proto::Instant {
        proto::Instant::default() + self.start.elapsed()
    }

    /// The system's instant that is `instant` on this clock, for tokio's timers; the clock's start where
    /// the system cannot tell.
    pub fn system(&self, instant: proto::Instant) -> SystemInstant {
        self.start.checked_add(instant.since_epoch()).unwrap_or(self.start)
    }

    /// Seconds since 1970 by the wall clock, which may jump: only for the validity of certificates.
    pub fn unix_seconds() -> u64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_goes_on_and_back_again() {
        let clock = Clock::start();
        let first = clock.now();
        std::thread::sleep(Duration::from_millis(2));
        let second = clock.now();
        assert!(second - first >= Duration::from_millis(2));
        assert_eq!(clock.system(second).duration_since(clock.system(first)), second - first);
        assert!(Clock::unix_seconds() > 1_700_000_000);
    }
}
