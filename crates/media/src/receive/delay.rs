use std::time::Duration;

use proto::Instant;

use crate::clock;

/// How long what arrives is held back, so that what comes a little later is there in time.
///
/// A frame's *transit* is its arrival less its timestamp, two clocks that differ by a constant and drift slowly. The smallest transit
/// of the last ten to twenty seconds belongs to frames that met no queue: it is the base. What others have on top of it is counted in
/// a histogram that forgets, in steps of 10 ms; the target is the step below which 97 of 100 frames stay. It rises at once and falls
/// by a 64th of the difference with each frame, so that one quiet moment does not undo what a burst has taught. A frame is due when
/// its timestamp, the base and the target have passed.
///
/// The histogram with a forgetting factor is how NetEQ of WebRTC finds its target, and the smallest transit of a window how
/// RFC 3550-style players find their offset; to put them together for video too, and the rates, are ours.
#[derive(Clone, Debug)]
pub(crate) struct Delay {
    limits: DelayLimits,
    /// What the sender asks for.
    floor: Duration,
    /// What another stream does that this one goes along with.
    alignment: Duration,
    ceiling: Duration,
    clock_rate: u32,
    /// The smallest transits, in nanoseconds, of this window and the last.
    smallest: Option<[i64; 2]>,
    window_ends: Instant,
    weights: [u32; BINS],
    observed: u32,
    target: Duration,
}

/// What the delay of playout may be.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DelayLimits {
    /// The shortest: 0 by default.
    pub min: Duration,
    /// The longest: 1 s by default. A packet that comes later is not waited for.
    pub max: Duration,
}

impl DelayLimits {
    /// The defaults, but no shorter than `least`, which may be longer than the longest of those.
    pub fn at_least(least: Duration) -> Self {
        let Self { min, max } = Self::default();
        Self { min: min.max(least), max: max.max(least) }
    }

    /// How long frames are held back before anything is known.
    pub(crate) fn initial(self) -> Duration {
        INITIAL.max(self.min).min(self.max)
    }
}

impl Default for DelayLimits {
    fn default() -> Self {
        Self { min: Duration::ZERO, max: Duration::from_secs(1) }
    }
}

impl Delay {
    pub(crate) fn new(limits: DelayLimits, clock_rate: u32) -> Self {
        Self {
            limits,
            floor: Duration::ZERO,
            alignment: Duration::ZERO,
            ceiling: Duration::MAX,
            clock_rate,
            smallest: None,
            window_ends: Instant::default(),
            weights: [0; BINS],
            observed: 0,
            target: INITIAL.min(limits.max),
        }
    }

    /// The ticks of a second, as they are counted in timestamps.
    pub(crate) const fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    /// Begins anew with another clock.
    pub(crate) fn set_clock_rate(&mut self, clock_rate: u32) {
        let (floor, alignment, ceiling) = (self.floor, self.alignment, self.ceiling);
        *self = Self { floor, alignment, ceiling, ..Self::new(self.limits, clock_rate) };
    }

    /// A frame of the extended `timestamp` came at `now`, by the path alone.
    pub(crate) fn observe(&mut self, now: Instant, timestamp: u64) {
        let transit = self.transit(now, timestamp);
        let base = self.base().unwrap_or(transit);
        if transit.saturating_sub(base).unsigned_abs() > RESET {
            self.set_clock_rate(self.clock_rate);
        }
        let [current, last] = self.smallest.unwrap_or([transit; 2]);
        if self.smallest.is_none() {
            self.window_ends = now + WINDOW;
        }
        self.smallest = Some(if now >= self.window_ends {
            self.window_ends = now + WINDOW;
            [transit, current]
        } else {
            [current.min(transit), last]
        });
        let excess = transit.saturating_sub(self.base().unwrap_or(transit)).max(0);
        self.count(usize::try_from(excess / BIN_NANOS).unwrap_or(usize::MAX));
        self.adapt();
    }

    /// When a frame of the extended `timestamp` is due. `None` before anything was observed.
    pub(crate) fn playout(&self, timestamp: u64) -> Option<Instant> {
        let at = clock::nanos(timestamp.cast_signed(), self.clock_rate).saturating_add(self.base()?);
        let due = at.saturating_add(i64::try_from(self.target().as_nanos()).unwrap_or(i64::MAX));
        Some(Instant::from_nanos(u64::try_from(due).unwrap_or(0)))
    }

    /// How long frames are held back that met no queue.
    pub(crate) fn target(&self) -> Duration {
        let floor = self.floor.max(self.alignment).max(self.limits.min);
        self.target.max(floor).min(self.ceiling).min(self.limits.max)
    }

    /// What it would be by what the path does alone.
    pub(crate) fn least(&self) -> Duration {
        self.target.min(self.limits.max)
    }

    /// What the delay may be from now on.
    pub(crate) const fn set_limits(&mut self, limits: DelayLimits) {
        self.limits = limits;
    }

    /// The least and the most that the sender wants.
    pub(crate) const fn set_bounds(&mut self, floor: Duration, ceiling: Duration) {
        self.floor = floor;
        self.ceiling = ceiling;
    }

    /// The least that is wanted so that another stream goes along.
    pub(crate) const fn align(&mut self, delay: Duration) {
        self.alignment = delay;
    }

    /// By how much less it could be without what another stream wants.
    pub(crate) fn alignment_excess(&self) -> Duration {
        let own = Self { alignment: Duration::ZERO, ..self.clone() }.target();
        self.target().saturating_sub(own)
    }

    fn transit(&self, now: Instant, timestamp: u64) -> i64 {
        let sent = clock::nanos(timestamp.cast_signed(), self.clock_rate);
        i64::try_from(now.as_nanos()).unwrap_or(i64::MAX).saturating_sub(sent)
    }

    fn base(&self) -> Option<i64> {
        self.smallest.map(|[current, last]| current.min(last))
    }

    fn count(&mut self, bin: usize) {
        // Fast at first, so that ten frames already say something.
        let shift = (self.observed / 8).saturating_add(2).min(SLOWEST);
        self.observed = self.observed.saturating_add(1);
        for weight in &mut self.weights {
            *weight = weight.saturating_sub(*weight >> shift);
        }
        if let Some(weight) = self.weights.get_mut(bin.min(BINS.saturating_sub(1))) {
            *weight = weight.saturating_add(WHOLE >> shift);
        }
    }

    fn adapt(&mut self) {
        let all: u64 = self.weights.iter().map(|weight| u64::from(*weight)).sum();
        let mut below = 0_u64;
        let bins = self.weights.iter().take_while(|weight| {
            below = below.saturating_add(u64::from(**weight));
            below.saturating_mul(100) < all.saturating_mul(QUANTILE)
        });
        let bins = u32::try_from(bins.count()).unwrap_or(0).saturating_add(1);
        let wanted = Duration::from_millis(BIN_MILLIS) * bins;
        let wanted = wanted.min(self.limits.max);
        let above = self.target.saturating_sub(wanted);
        let fall = (above / FALL).max(LEAST_FALL).min(above);
        self.target = wanted.max(self.target.saturating_sub(fall));
    }
}

const BINS: usize = 100;
const BIN_MILLIS: u64 = 10;
const BIN_NANOS: i64 = 10_000_000;
const QUANTILE: u64 = 97;
const WHOLE: u32 = 1 << 30;
/// A frame counts for a 64th of all.
const SLOWEST: u32 = 6;
const FALL: u32 = 64;
const WINDOW: Duration = Duration::from_secs(10);
const LEAST_FALL: Duration = Duration::from_micros(100);
/// Before anything is known.
const INITIAL: Duration = Duration::from_millis(40);
/// Nanoseconds: a transit that differs by more is of a sender that began anew.
const RESET: u64 = 10_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of 20 ms that come as late as `late` says, in milliseconds.
    fn run(delay: &mut Delay, from: u64, late: impl Fn(u64) -> u64, frames: u64) {
        for frame in from..from + frames {
            let now = Instant::from_nanos((5_000 + frame * 20 + late(frame)) * 1_000_000);
            delay.observe(now, (1 << 32) + frame * 960);
        }
    }

    #[test]
    fn the_target_follows_what_most_frames_are_late_by() {
        let mut delay = Delay::new(DelayLimits::default(), 48_000);
        run(&mut delay, 0, |_| 30, 500);
        assert_eq!(delay.target(), Duration::from_millis(10), "a constant is no jitter");
        run(&mut delay, 500, |frame| 30 + (frame * 7) % 80, 500);
        let jittery = delay.target();
        assert!((70..=90).contains(&jittery.as_millis()), "{jittery:?}");
        run(&mut delay, 1000, |_| 30, 2000);
        assert!(delay.target() < Duration::from_millis(12), "{:?}", delay.target());
    }

    #[test]
    fn a_frame_is_due_when_base_and_target_have_passed() {
        let mut delay = Delay::new(DelayLimits::default(), 48_000);
        assert_eq!(delay.playout(0), None);
        run(&mut delay, 0, |_| 30, 500);
        let due = Instant::from_nanos((5_000 + 600 * 20 + 30 + 10) * 1_000_000);
        assert_eq!(delay.playout((1 << 32) + 600 * 960), Some(due));
        delay.align(Duration::from_millis(200));
        assert_eq!(delay.playout((1 << 32) + 600 * 960), Some(due + Duration::from_millis(190)));
        delay.set_bounds(Duration::from_millis(20), Duration::from_millis(50));
        assert_eq!(delay.target(), Duration::from_millis(50));
    }

    #[test]
    fn the_target_has_its_limits() {
        let limits = DelayLimits { min: Duration::from_millis(30), max: Duration::from_millis(60) };
        let mut delay = Delay::new(limits, 48_000);
        run(&mut delay, 0, |_| 0, 1000);
        assert_eq!(delay.target(), limits.min);
        run(&mut delay, 1000, |frame| frame % 500, 1000);
        assert_eq!(delay.target(), limits.max);
    }

    #[test]
    fn a_slow_clock_is_followed_and_a_new_one_begins_anew() {
        let mut delay = Delay::new(DelayLimits::default(), 48_000);
        // 200 ppm slower: after a minute 12 ms.
        run(&mut delay, 0, |frame| frame / 250, 3000);
        assert!(delay.target() <= Duration::from_millis(20), "{:?}", delay.target());
        let now = Instant::from_nanos(90_000_000_000);
        delay.observe(now, 1 << 33);
        assert!(delay.playout(1 << 33).unwrap() - now <= Duration::from_millis(100));
    }
}
