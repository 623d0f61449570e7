use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A point in time: nanoseconds since an epoch that the caller chooses.
///
/// All arithmetic saturates, so no duration can make it panic: adding past the end gives the end
/// (584 years after the epoch), and the difference to a later instant is zero.
///
/// ```
/// # use std::time::Duration;
/// let start = proto::Instant::from_nanos(5_000);
/// let later = start + Duration::from_micros(2);
/// assert_eq!(later - start, Duration::from_micros(2));
/// assert_eq!(start - later, Duration::ZERO);
/// ```
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Instant(u64);

impl Instant {
    /// The instant `nanos` nanoseconds after the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time since the epoch.
    pub const fn since_epoch(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = self.add(duration);
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.since_epoch(), f)
    }
}

/// The earlier of two instants at which something is due; `None` if nothing is.
///
/// ```
/// # use proto::{Instant, sooner};
/// let [one, other] = [1, 2].map(|nanos| Some(Instant::from_nanos(nanos)));
/// assert_eq!((sooner(other, one), sooner(None, other), sooner(None, None)), (one, other, None));
/// ```
#[inline]
pub const fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(first), Some(second)) if second.as_nanos() < first.as_nanos() => other,
        (Some(_), _) => one,
        (None, _) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let end = Instant::from_nanos(u64::MAX);
        assert_eq!(end + Duration::from_nanos(1), end);
        assert_eq!(Instant::default() + Duration::MAX, end);
        assert_eq!(Instant::default() - end, Duration::ZERO);
    }
}
