use std::time::Duration;

use proto::Instant;

use super::trend::Usage;
use super::{real, whole};
use crate::later::{Blank, Later};

/// The rate that delays allow: a cut below what arrives when delays grow (draft-ietf-rmcat-gcc-02 §5.5), and a climb that goes by the
/// time since then (RFC 9438 §4.2), in place of the draft's two increases.
///
/// ```text
///            Over                 Over
///   Hold ────────────▶ Decrease ◀──────── Increase ──┐ Normal
///    ▲ ◀──── Under, and after each cut ──── ▲ ▲ ─────┘
///    └────────────── Normal ────────────────┘
/// ```
#[derive(Clone, Debug)]
pub(super) struct DelayBased {
    min: f64,
    max: f64,
    rate: f64,
    increasing: bool,
    changed: Option<Instant>,
    decreased: Option<Instant>,
    link: Later<LinkCapacity>,
    /// Whether less was carried at the last cut than before, so that others are to have room (fast convergence, RFC 9438 §4.7).
    gives_way: bool,
    /// Since the last cut, once it has begun.
    climb: Option<Climb>,
}

/// What a cut changes, so that it can be taken back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    rate: f64,
    gives_way: bool,
    climb: Option<Climb>,
    link: LinkCapacity,
}

impl Course {
    pub(super) const fn rate(&self) -> f64 {
        self.rate
    }
}

/// What the link carried when it was full, in kbit/s: average and deviation.
#[derive(Clone, Copy, Debug)]
struct LinkCapacity {
    estimate: Option<f64>,
    deviation: f64,
}

impl Blank for LinkCapacity {
    fn blank() -> &'static Self {
        static NEW: LinkCapacity = LinkCapacity::NONE;
        &NEW
    }
}

impl LinkCapacity {
    const NONE: Self = Self { estimate: None, deviation: LEAST_DEVIATION };

    /// So much arrived, in bit/s, while a queue was filling. What is far from what was thought before is another link.
    fn add(&mut self, rate: f64) {
        let sample = rate / 1000.0;
        let is_near = |known: &f64| (sample - known).abs() <= 3.0 * (self.deviation * known).sqrt();
        let estimate =
            self.estimate.filter(is_near).map_or(sample, |known| known + WEIGHT * (sample - known));
        let error = estimate - sample;
        let deviation = (1.0 - WEIGHT) * self.deviation + WEIGHT * error * error / estimate.max(1.0);
        self.deviation = deviation.clamp(LEAST_DEVIATION, MOST_DEVIATION);
        self.estimate = Some(estimate);
    }

    /// In bit/s.
    fn rate(&self) -> Option<f64> {
        self.estimate.map(|kilobits| kilobits * 1000.0)
    }
}

/// How the rate comes back after a cut and goes beyond, as CUBIC's window does (RFC 9438 §4.2): quickly towards what the link carried,
/// slowly there, and faster and faster once that is passed. Nothing of it follows from the round trip, so that flows of long and
/// short ones come to equal shares, but where TCP is met, of which it does.
#[derive(Clone, Copy, Debug)]
struct Climb {
    /// The rate around which it is slow.
    origin: f64,
    /// Seconds until that is reached (K, RFC 9438 §4.2).
    plateau: f64,
    /// Seconds in which the rate was allowed to grow.
    elapsed: f64,
    /// In bit/s a second cubed (C).
    pace: f64,
}

impl Climb {
    fn new(from: f64, origin: f64, pace: f64) -> Self {
        Self { origin, plateau: ((origin - from).max(0.0) / pace).cbrt(), elapsed: 0.0, pace }
    }

    fn advance(&mut self, seconds: f64) -> f64 {
        self.elapsed += seconds;
        self.origin + self.pace * (self.elapsed - self.plateau).powi(3)
    }
}

/// How fast TCP's CUBIC climbs: by 0.4 packets a second cubed in each round trip.
fn pace(round_trip: Duration) -> f64 {
    CUBIC * 0.1 / least(round_trip)
}

/// In seconds; feedback and encoders take as long as the shortest that counts.
fn least(round_trip: Duration) -> f64 {
    round_trip.as_secs_f64().max(0.1)
}

impl DelayBased {
    pub(super) const fn new(min: u64, start: u64, max: u64) -> Self {
        Self {
            min: real(min),
            max: real(max),
            rate: real(start),
            increasing: false,
            changed: None,
            decreased: None,
            link: Later::NEW,
            gives_way: false,
            climb: None,
        }
    }

    pub(super) const fn rate(&self) -> u64 {
        whole(self.rate)
    }

    /// Another source knows better, as a probe does.
    pub(super) fn set(&mut self, now: Instant, rate: u64) {
        self.rate = real(rate).clamp(self.min, self.max);
        self.climb = None;
        self.changed = Some(now);
    }

    /// Packets were marked: the path was full at the rate until now, `target`, and the rate is to be so much of it.
    pub(super) fn answer_marks(&mut self, now: Instant, target: u64, factor: f64) {
        let full = real(target).min(self.rate);
        self.cut(now, full, full * factor);
    }

    /// The rate is to be no more than this either.
    pub(super) fn limit(&mut self, rate: u64) {
        self.rate = self.rate.min(real(rate)).clamp(self.min, self.max);
    }

    /// Feedback says how full the path is, how much arrives in bit/s, and how many milliseconds of `queue` stand there. Gives whether
    /// the rate was cut. `quiet` is whether the application sends less than it may.
    pub(super) fn update(
        &mut self,
        now: Instant,
        (usage, queue): (Usage, f64),
        arriving: Option<u64>,
        round_trip: Duration,
        quiet: bool,
    ) -> bool {
        let elapsed = self.changed.map_or(Duration::ZERO, |changed| now - changed);
        let arriving = arriving.map(real);
        match usage {
            Usage::Over => return self.decrease(now, arriving, round_trip, queue),
            Usage::Under => self.increasing = false,
            Usage::Normal if self.increasing && !quiet => self.increase(elapsed, arriving, queue),
            Usage::Normal => self.increasing = true,
        }
        self.changed = Some(now);
        false
    }

    fn increase(&mut self, elapsed: Duration, arriving: Option<f64>, queue: f64) {
        // The longer the queue, the less time counts.
        let seconds = elapsed.as_secs_f64().min(1.0) * (1.0 - queue / LONG).clamp(SLOWEST, 1.0);
        let rate = self.rate;
        if self.climb.is_none() {
            let share = if self.gives_way { (1.0 + BACKOFF) / 2.0 } else { 1.0 };
            self.climb = self.link.rate().map(|full| Climb::new(rate, (full * share).max(rate), CUBIC));
        }
        let fastest = rate * (1.0 + FASTEST * seconds);
        let next = self.climb.as_mut().map_or(fastest, |climb| climb.advance(seconds).min(fastest));
        // What is not sent proves nothing.
        let most = arriving.map_or(self.max, |arriving| arriving * BEYOND + LITTLE);
        self.rate = next.min(most).max(rate).clamp(self.min, self.max);
    }

    fn decrease(&mut self, now: Instant, arriving: Option<f64>, round_trip: Duration, queue: f64) -> bool {
        let pause = round_trip.clamp(Duration::from_millis(10), Duration::from_millis(200));
        let recent = self.decreased.is_some_and(|decreased| now - decreased < pause);
        let before = self.rate;
        let Some(arriving) = arriving else {
            if !recent {
                self.cut(now, before, before / 2.0);
            }
            return !recent;
        };
        if recent && arriving >= before / 2.0 {
            self.link.add(arriving);
            return false;
        }
        // The link carries what arrives: with so much less the queue is gone after `DRAIN`.
        let factor = (1.0 - queue / DRAIN).clamp(DEEPEST, BACKOFF);
        self.cut(now, arriving.min(before), (arriving * factor).min(before));
        true
    }

    /// What a cut may be followed by.
    pub(super) fn course(&self) -> Course {
        Course { rate: self.rate, gives_way: self.gives_way, climb: self.climb, link: *self.link }
    }

    /// There was no reason for the cuts since then.
    pub(super) fn restore(&mut self, now: Instant, course: Course) {
        self.rate = self.rate.max(course.rate).clamp(self.min, self.max);
        (self.gives_way, self.climb) = (course.gives_way, course.climb);
        *self.link = course.link;
        self.changed = Some(now);
    }

    /// Somebody else fills the queue: half of the `rate` that there was before is what two share.
    pub(super) fn begin_sharing(&mut self, now: Instant, rate: f64, round_trip: Duration) {
        let share = rate / 2.0;
        self.rate = self.rate.max(share).clamp(self.min, self.max);
        self.climb = Some(Climb::new(self.rate, share, pace(round_trip)));
        self.changed = Some(now);
    }

    /// As [`update`](Self::update) where somebody else fills the queue: losses hold the rate, as they hold TCP's, and it grows as TCP's
    /// does, if nothing `holds` it. `lost` is when the newest packet that is lost was sent.
    pub(super) fn share(
        &mut self,
        now: Instant,
        lost: Option<Instant>,
        arriving: Option<u64>,
        round_trip: Duration,
        holds: bool,
    ) -> bool {
        let elapsed = self.changed.map_or(Duration::ZERO, |changed| now - changed);
        let (before, arriving) = (self.rate, arriving.map(real));
        // What had left before the last cut could act says nothing new.
        let is_new = |lost: Instant| self.decreased.is_none_or(|decreased| lost > decreased + RESPONSE);
        if lost.is_some_and(is_new) {
            self.cut(now, arriving.map_or(before, |arriving| arriving.min(before)), before * LOSS_BACKOFF);
            self.climb = Some(Climb::new(self.rate, before, pace(round_trip)));
            return true;
        }
        self.changed = Some(now);
        if !holds {
            let seconds = elapsed.as_secs_f64().min(1.0);
            let climb = self.climb.get_or_insert_with(|| Climb::new(before, before, pace(round_trip)));
            let cubic = climb.advance(seconds).min(before * (1.0 + FASTEST * seconds));
            let reno = before + RENO * seconds / least(round_trip).powi(2);
            let most = arriving.map_or(self.max, |arriving| arriving * BEYOND_SHARED + LITTLE);
            self.rate = cubic.max(reno).min(most).max(before).clamp(self.min, self.max);
        }
        false
    }

    /// Lowers the rate a little, to see what that does. Gives the share that is left.
    pub(super) fn lower(&mut self, now: Instant) -> f64 {
        self.rate = (self.rate * BACKOFF).clamp(self.min, self.max);
        (self.changed, self.decreased) = (Some(now), Some(now));
        BACKOFF
    }

    /// Sets the rate where the link was full and carried so much.
    fn cut(&mut self, now: Instant, full: f64, rate: f64) {
        self.rate = rate.clamp(self.min, self.max);
        self.gives_way = self.link.rate().is_some_and(|known| full < known);
        self.link.add(full);
        (self.climb, self.increasing) = (None, false);
        (self.changed, self.decreased) = (Some(now), Some(now));
    }
}

/// draft-ietf-rmcat-gcc-02 §5.5.
const BACKOFF: f64 = 0.85;
/// In which time, in milliseconds, what stands in the queue is to drain, and the deepest cut for that.
const DRAIN: f64 = 500.0;
const DEEPEST: f64 = 0.6;
/// The rate grows by no more than a quarter a second, and to no more than a fifth above what arrives, which is known half a second
/// late, and a little in bit/s.
const FASTEST: f64 = 0.25;
const BEYOND: f64 = 1.2;
const LITTLE: f64 = 10_000.0;
/// With a queue of so many milliseconds it grows at so much of the usual pace, and in between by proportion, as SCReAMv2 has it
/// (draft-johansson-ccwg-rfc8298bis-screamv2, whose target this is too): what is on its way is not seen in the queue yet.
const LONG: f64 = 60.0;
const SLOWEST: f64 = 0.3;
/// 0.4 packets of 1,200 bytes a second cubed (C, RFC 9438 §5) in each round trip of 100 ms, in bit/s.
const CUBIC: f64 = 38_400.0;
/// Beside TCP: to what share a loss cuts the rate, and by how much it grows at least, in bits each round trip in each round trip, to
/// have as much as Reno (RFC 9438 §4.6, §4.3: 3 (1 - 0.7) / (1 + 0.7) packets of 1,200 bytes). What arrives is known later there.
const LOSS_BACKOFF: f64 = 0.7;
const RENO: f64 = 5082.0;
const BEYOND_SHARED: f64 = 1.5;
/// Until an encoder follows (draft-ietf-rmcat-gcc-02 §5.5).
const RESPONSE: Duration = Duration::from_millis(100);
/// Of a sample of what the link carries; and of deviations, which are shares of the estimate in kbit/s.
const WEIGHT: f64 = 0.2;
const LEAST_DEVIATION: f64 = 0.4;
const MOST_DEVIATION: f64 = 2.5;

#[cfg(test)]
mod tests {
    use super::*;

    struct Run {
        delays: DelayBased,
        now: Instant,
    }

    impl Run {
        fn new(start: u64) -> Self {
            Self { delays: DelayBased::new(30_000, start, 10_000_000), now: Instant::default() }
        }

        /// Feedback after 50 ms.
        fn step(&mut self, usage: Usage, queue: f64, arriving: Option<u64>) -> bool {
            self.now += Duration::from_millis(50);
            self.delays.update(self.now, (usage, queue), arriving, Duration::from_millis(100), false)
        }

        /// Grows for so many steps, with everything arriving.
        fn grow(&mut self, steps: usize) -> u64 {
            for _ in 0..steps {
                assert!(!self.step(Usage::Normal, 0.0, Some(self.delays.rate())));
            }
            self.delays.rate()
        }
    }

    #[test]
    fn it_grows_by_a_quarter_a_second_and_falls_below_what_arrives() {
        let mut run = Run::new(300_000);
        (0..22).for_each(|_| assert!(!run.step(Usage::Normal, 0.0, None)));
        let grown = real(run.delays.rate()) / 300_000.0;
        assert!((1.25..1.31).contains(&grown), "{grown}");
        assert!(run.step(Usage::Over, 20.0, Some(350_000)));
        assert_eq!(run.delays.rate(), 297_500);
        assert!(!run.step(Usage::Over, 20.0, Some(350_000)), "not twice in a round trip");
        // A fifth more than arrives is the most.
        (0..2000).for_each(|_| assert!(!run.step(Usage::Normal, 0.0, Some(310_000))));
        assert_eq!(run.delays.rate(), 382_000);
    }

    #[test]
    fn after_a_cut_it_is_slow_where_the_link_was_full_and_fast_before_and_beyond() {
        let mut run = Run::new(1_100_000);
        assert!(run.step(Usage::Over, 20.0, Some(1_000_000)));
        assert_eq!(run.delays.rate(), 850_000);
        let rates: Vec<u64> = (0..8).map(|_| run.grow(10)).collect();
        let steps: Vec<u64> = rates.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // K is 1.6 s.
        assert!(rates[2].abs_diff(1_000_000) < 10_000, "{rates:?}");
        assert!(steps[2] < 5_000 && steps[0] > 5 * steps[2] && steps[6] > 20 * steps[2], "{rates:?}");
        assert!(rates[7] > 1_300_000, "{rates:?}");
    }

    #[test]
    fn the_longer_the_queue_the_deeper_the_cut() {
        let cut = |queue| {
            let mut run = Run::new(1_000_000);
            assert!(run.step(Usage::Over, queue, Some(1_000_000)));
            run.delays.rate()
        };
        assert_eq!([20.0, 75.0, 150.0, 1000.0].map(cut), [850_000, 850_000, 700_000, 600_000]);
    }

    #[test]
    fn who_has_less_than_before_is_slow_from_lower_on() {
        let grown = |second| {
            let mut run = Run::new(1_100_000);
            assert!(run.step(Usage::Over, 20.0, Some(1_000_000)));
            run.grow(60);
            assert!(run.step(Usage::Over, 20.0, Some(second)));
            run.grow(14)
        };
        let (less, more) = (grown(990_000), grown(1_010_000));
        assert!((910_000..940_000).contains(&less) && more > 960_000, "{less} {more}");
    }

    #[test]
    fn with_a_queue_it_grows_more_slowly() {
        let grown = |queue| {
            let mut run = Run::new(1_000_000);
            (0..21).for_each(|_| assert!(!run.step(Usage::Normal, queue, None)));
            run.delays.rate() - 1_000_000
        };
        let [none, half, long] = [0.0, 30.0, 500.0].map(grown);
        assert!(half * 2 < none && long * 3 < none && long > 60_000, "{none} {half} {long}");
    }

    #[test]
    fn after_marks_it_comes_back_to_where_they_began() {
        let mut run = Run::new(1_000_000);
        run.delays.answer_marks(run.now, 2_000_000, 0.85);
        assert_eq!(run.delays.rate(), 850_000);
        assert!(run.grow(34).abs_diff(1_000_000) < 5_000, "{}", run.delays.rate());
    }

    /// Beside TCP, for so many steps of 50 ms.
    fn share(run: &mut Run, steps: usize, round_trip: u64, lost: Option<Instant>) -> bool {
        let round_trip = Duration::from_millis(round_trip);
        (0..steps).fold(false, |is_cut, _| {
            run.now += Duration::from_millis(50);
            let arriving = Some(run.delays.rate());
            run.delays.share(run.now, lost, arriving, round_trip, false) || is_cut
        })
    }

    #[test]
    fn beside_tcp_the_rate_begins_with_half_and_losses_hold_it_once_for_each_cut() {
        let mut run = Run::new(100_000);
        run.delays.begin_sharing(run.now, 1_000_000.0, Duration::from_millis(400));
        assert_eq!(run.delays.rate(), 500_000);
        let lost = run.now + Duration::from_millis(50);
        assert!(share(&mut run, 1, 400, Some(lost)));
        assert_eq!(run.delays.rate(), 350_000);
        assert!(
            !share(&mut run, 1, 400, Some(lost + Duration::from_millis(60))),
            "it left before the cut could act"
        );
        let lost = run.now + Duration::from_millis(100);
        assert!(share(&mut run, 1, 400, Some(lost)));
    }

    #[test]
    fn beside_tcp_it_grows_as_renos_window_and_on_long_ways_as_cubics() {
        let grown = |seconds: usize, round_trip| {
            let mut run = Run::new(1_000_000);
            share(&mut run, seconds * 20, round_trip, None);
            run.delays.rate() - 1_000_000
        };
        // 0.53 packets of 1,200 bytes in each of five round trips, each in a fifth of a second.
        assert!(grown(1, 200).abs_diff(127_000) < 10_000, "{}", grown(1, 200));
        // 0.4 packets a second cubed, of 1,200 bytes in a second.
        assert!(grown(5, 1000).abs_diff(480_000) < 30_000, "{}", grown(5, 1000));
    }

    #[test]
    fn a_cut_that_is_taken_back_leaves_no_trace() {
        let mut run = Run::new(1_100_000);
        assert!(run.step(Usage::Over, 20.0, Some(1_000_000)));
        run.grow(20);
        let before = run.delays.course();
        assert!(run.step(Usage::Over, 20.0, Some(400_000)));
        run.delays.restore(run.now, before);
        let after = run.delays.course();
        assert_eq!(format!("{before:?}"), format!("{after:?}"));
    }

    #[test]
    fn a_link_that_carries_something_else_is_known_at_once() {
        let mut link = LinkCapacity::NONE;
        [1_000_000.0, 1_040_000.0, 960_000.0].into_iter().for_each(|rate| link.add(rate));
        assert!((990_000.0..1_010_000.0).contains(&link.rate().unwrap()), "{link:?}");
        link.add(500_000.0);
        assert_eq!(link.rate(), Some(500_000.0));
    }
}
