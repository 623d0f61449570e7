use std::time::Duration;

use proto::Instant;
use rtp::rtcp::SenderInfo;
use rtp::{NtpTime, RtpTimestamp};

/// The time of day that belongs to instants, as RTCP tells it.
#[derive(Clone, Copy, Debug)]
pub struct NtpClock {
    at: Instant,
    ntp: NtpTime,
}

impl NtpClock {
    /// A clock that shows `since_1970` at the instant `at`. All media of a program should share one: receivers align streams by it.
    pub fn new(at: Instant, since_1970: Duration) -> Self {
        Self { at, ntp: NtpTime::from_unix(since_1970) }
    }

    /// What it shows at `now`.
    pub fn ntp(&self, now: Instant) -> NtpTime {
        let ahead = units(now - self.at);
        let behind = units(self.at - now);
        NtpTime(self.ntp.0.wrapping_add(ahead).wrapping_sub(behind))
    }
}

/// A duration in units of 2⁻³² s.
pub(crate) fn units(duration: Duration) -> u64 {
    let fraction = (u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000;
    (duration.as_secs() << 32) | fraction
}

/// A duration in units of 2⁻¹⁶ s, as reports have it; the longest that fits if it does not.
pub(crate) fn short_units(duration: Duration) -> u32 {
    u32::try_from(units(duration) >> 16).unwrap_or(u32::MAX)
}

/// Units of 2⁻¹⁶ s as a duration.
pub(crate) fn from_short_units(units: u32) -> Duration {
    Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16)
}

/// Ticks of a clock of `rate` in a duration; wraps.
pub(crate) fn ticks(duration: Duration, rate: u32) -> u32 {
    let ticks = duration.as_nanos() * u128::from(rate) / 1_000_000_000;
    let [.., a, b, c, d] = ticks.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// A number of ticks of a clock of `rate` in nanoseconds.
pub(crate) fn nanos(ticks: i64, rate: u32) -> i64 {
    let nanos = i128::from(ticks) * 1_000_000_000 / i128::from(rate.max(1));
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

/// The round trip that a repeated time of ours tells: what was repeated, how long it lay there, and now (RFC 3550 §6.4.1, RFC 3611
/// §4.5). `None` if the peer has none to repeat, or what it says cannot be.
pub(crate) fn round_trip(now: NtpTime, repeated: u32, lay: u32) -> Option<Duration> {
    if repeated == 0 {
        return None;
    }
    let elapsed = now.middle().wrapping_sub(repeated).wrapping_sub(lay);
    // Clocks of two machines run at slightly different speeds: a little below zero is zero.
    let elapsed = if elapsed.cast_signed() < 0 { 0 } else { elapsed };
    let plausible = elapsed < MAX_ROUND_TRIP || now.middle().wrapping_sub(repeated) >= lay;
    (plausible && elapsed < MAX_ROUND_TRIP).then(|| from_short_units(elapsed.max(1)))
}

/// What a peer's last sender report on a stream said, and when it came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SenderClock {
    last: Option<(SenderInfo, Instant)>,
    count: u64,
}

impl SenderClock {
    pub(crate) fn set(&mut self, now: Instant, info: SenderInfo) {
        self.last = Some((info, now));
        self.count = self.count.saturating_add(1);
    }

    /// The sender's time of day of a timestamp, if it knows that (RFC 3550 §6.4.1).
    pub(crate) fn ntp(&self, timestamp: RtpTimestamp, rate: u32) -> Option<NtpTime> {
        let (info, _) = self.last.filter(|(info, _)| info.ntp != NtpTime::default())?;
        let ticks = i64::from(timestamp.distance(info.rtp));
        let offset = (i128::from(ticks) << 32) / i128::from(rate.max(1));
        let offset = i64::try_from(offset).ok()?;
        Some(NtpTime(info.ntp.0.wrapping_add_signed(offset)))
    }

    /// How many reports there were.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// What it said, and when.
    pub(crate) const fn last(&self) -> Option<(SenderInfo, Instant)> {
        self.last
    }

    /// LSR and DLSR (RFC 3550 §6.4.1).
    pub(crate) fn echo(&self, now: Instant) -> (u32, u32) {
        self.last.map_or((0, 0), |(info, at)| (info.ntp.middle(), short_units(now - at)))
    }
}

/// Above a minute nobody waits for repairs.
const MAX_ROUND_TRIP: u32 = 60 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on_with_instants() {
        let start = Instant::from_nanos(5_000_000_000);
        let clock = NtpClock::new(start, Duration::from_secs(10));
        let zero = NtpTime::from_unix(Duration::from_secs(10));
        assert_eq!(clock.ntp(start), zero);
        assert_eq!(clock.ntp(start + Duration::from_millis(1500)).0, zero.0 + (3 << 31));
        assert_eq!(clock.ntp(Instant::from_nanos(4_000_000_000)).0, zero.0 - (1 << 32));
    }

    #[test]
    fn a_round_trip_is_what_is_left_of_the_time_between() {
        let now = NtpTime(100 << 32);
        let at = |seconds: u32| NtpTime(u64::from(seconds) << 32).middle();
        assert_eq!(round_trip(now, at(97), 2 << 16), Some(Duration::from_secs(1)));
        assert_eq!(round_trip(now, 0, 0), None);
        // Lay there longer than it is old: clocks drift.
        assert!(round_trip(now, at(99), (1 << 16) + 3).unwrap() < Duration::from_millis(1));
        assert_eq!(round_trip(now, at(10), 0), None, "nobody is as far away as that");
    }

    #[test]
    fn timestamps_have_the_senders_time_of_day() {
        let mut clock = SenderClock::default();
        assert_eq!(clock.ntp(RtpTimestamp(5), 90_000), None);
        let info = SenderInfo { ntp: NtpTime(50 << 32), rtp: RtpTimestamp(45_000), ..SenderInfo::default() };
        clock.set(Instant::default(), info);
        assert_eq!(clock.ntp(RtpTimestamp(0), 90_000), Some(NtpTime(99 << 31)));
        assert_eq!(clock.ntp(RtpTimestamp(135_000), 90_000), Some(NtpTime(51 << 32)));
        assert_eq!(clock.echo(Instant::default() + Duration::from_secs(2)), (50 << 16, 2 << 16));
    }
}
