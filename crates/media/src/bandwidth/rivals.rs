use std::time::Duration;

use proto::Instant;

use super::delay::Course;
use super::millis;
use crate::later::Blank;

/// Whose queue it is: told from what becomes of it after a cut of the rate, and when.
///
/// ```text
///   cut ───────────────▶ can act ──────────────────────────▶ judgement
///    │ shorter already: it was not ours, and has passed │ shorter by what is no longer sent: ours
///    └──────────────────────────────────────────────────┴ as long as before: somebody else fills it
/// ```
///
/// What is sent tells which packets a cut could act on, so that no round trip has to be known. Where a capacity fell or an encoder does
/// not follow, the queue grows on or packets are lost: then nothing is said. A longer way looks like a queue that stays, but only once:
/// what is expected to go is what has come since the last judgement. After two cuts in vain there are rivals, such as TCP, which fills
/// queues until something is lost.
///
/// They have gone when the queue is short for longer than TCP leaves it so: nothing grows in that time. Cuts are judged meanwhile, too:
/// one for a loss, or a small one now and then to see, lasts as long as the queue shrinks as if nobody else sent.
#[derive(Clone, Debug)]
pub(super) struct Rivals {
    /// What is being judged.
    cut: Option<Cut>,
    /// Cuts in vain, in a row.
    vain: u8,
    are_there: bool,
    /// When they went, lately.
    went: Option<Instant>,
    /// When a cut was made last to see whether they are there still.
    checked: Instant,
    is_short: bool,
    /// When the queue was not short last.
    long: Instant,
    /// When it was short last, before there were rivals, and at which rate.
    short: Instant,
    rate: f64,
    /// The least queue since the last judgement.
    floor: f64,
    falls: Falls,
    sent: Sent,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    at: Instant,
    before: Course,
    /// The share of what arrived that may be sent since.
    kept: f64,
    /// In bit/s, what was sent until it could act, once that is known.
    sent: Option<f64>,
    /// In milliseconds: the queue at the cut, the longest until it could act, and the least since then.
    queue: f64,
    most: f64,
    least: f64,
    is_seen: bool,
    has_losses: bool,
    /// Whether it was made to see, and how often it was found to shorten the queue.
    is_check: bool,
    rounds: u32,
}

/// What feedback tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// When the newest packet that came was sent, and how many milliseconds of queue it met.
    pub(super) sent: Instant,
    pub(super) queue: f64,
    /// How many bits it tells of, and whether some are lost.
    pub(super) bits: f64,
    pub(super) is_lost: bool,
    /// At what rate may be sent, in bit/s.
    pub(super) rate: f64,
}

/// What follows for the rate.
#[derive(Clone, Copy, Debug)]
pub(super) enum Finding {
    /// The queue went by itself: it is as if there had been no cut.
    Passed(Course),
    /// There are rivals. This was the rate before they came.
    Come(f64),
    /// They are there still: what was cut to see that is given back.
    Stay(Course),
}

impl Blank for Rivals {
    fn blank() -> &'static Self {
        static NEW: Rivals = Rivals::NEW;
        &NEW
    }
}

impl Rivals {
    pub(super) const NEW: Self = Self {
        cut: None,
        vain: 0,
        are_there: false,
        went: None,
        checked: Instant::from_nanos(0),
        is_short: false,
        long: Instant::from_nanos(0),
        short: Instant::from_nanos(0),
        rate: 0.0,
        floor: f64::INFINITY,
        falls: Falls { top: 0.0, at: Instant::from_nanos(0), last: None },
        sent: Sent { bits: 0.0, since: None },
    };

    pub(super) const fn are_there(&self) -> bool {
        self.are_there
    }

    /// Whether the rate must not grow, so that it can be seen what the queue does by itself.
    pub(super) const fn is_watching(&self) -> bool {
        self.cut.is_some() || self.is_short
    }

    /// Whether a cut is due, to see whether they are there still.
    pub(super) fn wants_cut(&self, now: Instant) -> bool {
        self.are_there && !self.is_watching() && now - self.checked > INTERVAL
    }

    /// The rate was cut with so many milliseconds of `queue`, to a share `kept` of what arrived.
    pub(super) fn handle_cut(&mut self, now: Instant, queue: f64, kept: f64, before: Course) {
        match &mut self.cut {
            // A loss is answered, whatever is found.
            Some(cut) => cut.is_check = false,
            None => self.cut = Some(Cut::new(now, queue, kept, before)),
        }
    }

    /// It was cut because [`wants_cut`](Self::wants_cut) said so.
    pub(super) fn handle_check(&mut self, now: Instant, queue: f64, kept: f64, before: Course) {
        self.checked = now;
        self.cut = Some(Cut { is_check: true, ..Cut::new(now, queue, kept, before) });
    }

    /// Feedback came. Rivals are looked for if `competes`.
    pub(super) fn update(&mut self, now: Instant, seen: Seen, competes: bool) -> Option<Finding> {
        self.sent.add(seen.sent, seen.bits);
        self.falls.add(now, seen.queue);
        self.is_short = seen.queue < SHORT;
        if self.cut.is_none() {
            self.floor = self.floor.min(seen.queue);
        }
        if !self.is_short {
            self.long = now;
        } else if self.are_there {
            let is_ours = self.cut.take().is_some_and(|cut| cut.is_check && cut.rounds > 0);
            if is_ours || now - self.long > GONE {
                (self.are_there, self.vain, self.went) = (false, 0, Some(now));
            }
        } else {
            (self.short, self.rate) = (now, seen.rate);
        }
        let are_there = self.are_there;
        let cut = self.cut.as_mut()?;
        let acts = cut.at + REACTION;
        if !are_there && !cut.is_seen && seen.sent - cut.at > TOO_SOON {
            cut.is_seen = true;
            if seen.sent < acts && seen.queue < cut.queue * PASSED {
                return Some(Finding::Passed(self.cut.take()?.before));
            }
        }
        // Beside rivals a loss counts from the cut on: it is a reason for that.
        cut.has_losses |= seen.is_lost && (are_there || seen.sent >= acts);
        if seen.sent < acts {
            cut.most = cut.most.max(seen.queue);
            cut.least = cut.most;
            return None;
        }
        if cut.sent.is_none() {
            cut.sent = Some(self.sent.rate(seen.sent));
        }
        cut.least = cut.least.min(seen.queue);
        if seen.sent - acts < SPAN {
            return None;
        }
        let cut = self.cut.take()?;
        self.judge(now, seen, cut, competes)
    }

    fn judge(&mut self, now: Instant, seen: Seen, cut: Cut, competes: bool) -> Option<Finding> {
        let span = millis(seen.sent - (cut.at + REACTION));
        let is_followed = self.sent.rate(seen.sent) < cut.sent.unwrap_or(0.0) * FOLLOWED;
        let fell = cut.most - cut.least;
        let expected = (1.0 - cut.kept) * span;
        if self.are_there {
            // A cut of which hardly anything is expected shows nothing.
            if expected > MIN_EXPECTED && fell > expected.min(cut.most) * OURS {
                let next = Cut::new(now, seen.queue, cut.kept, cut.before);
                let (is_check, has_losses) = (cut.is_check, cut.has_losses);
                self.cut = Some(Cut { is_check, has_losses, rounds: cut.rounds.saturating_add(1), ..next });
                return None;
            }
            return (cut.is_check && !cut.has_losses).then_some(Finding::Stay(cut.before));
        }
        let expected = expected.min(cut.most - self.floor);
        self.floor = seen.queue;
        let lately = self.went.is_some_and(|went| now - went < MEMORY);
        let (least, enough) = if lately { (LATELY, 1) } else { (LITTLE, ENOUGH) };
        if fell > expected * least {
            self.vain = 0;
            return None;
        }
        let stands = seen.queue - cut.most < span * STEEP && !cut.has_losses && expected > MIN_EXPECTED;
        // An encoder at its least follows no cut. Then more is asked for.
        let is_sure = is_followed || expected > MUCH || self.falls.were_there(now);
        if !stands || !is_sure || !competes {
            return None;
        }
        self.vain = self.vain.saturating_add(1);
        self.are_there = self.vain >= enough;
        self.checked = now;
        // What the path has carried long ago it need not carry now.
        let rate = if now - self.short < RATE_MEMORY { self.rate } else { seen.rate };
        self.are_there.then_some(Finding::Come(rate))
    }
}

impl Cut {
    const fn new(at: Instant, queue: f64, kept: f64, before: Course) -> Self {
        Self {
            at,
            before,
            kept,
            sent: None,
            queue,
            most: queue,
            least: queue,
            is_seen: false,
            has_losses: false,
            is_check: false,
            rounds: 0,
        }
    }
}

/// Queues that shrank faster than one of ours may: somebody else went, or halved a window.
#[derive(Clone, Debug)]
struct Falls {
    /// The queue, or what is left of a longer one that shrinks as fast as one of ours.
    top: f64,
    at: Instant,
    last: Option<Instant>,
}

impl Falls {
    fn add(&mut self, now: Instant, queue: f64) {
        let elapsed = millis(now - self.at).min(MAX_STEP);
        self.at = now;
        self.top = queue.max(self.top - FASTEST * elapsed);
        if self.top - queue > DEEP {
            self.last = Some(now);
        }
    }

    fn were_there(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now - last < FALL_MEMORY)
    }
}

/// What was sent since the last judgement or effect of a cut, by when it was sent.
#[derive(Clone, Debug)]
struct Sent {
    bits: f64,
    since: Option<Instant>,
}

impl Sent {
    fn add(&mut self, sent: Instant, bits: f64) {
        self.bits += bits;
        self.since.get_or_insert(sent);
    }

    /// In bit/s, 0 over too short a time; begins anew.
    fn rate(&mut self, sent: Instant) -> f64 {
        let span = self.since.map_or(Duration::ZERO, |since| sent - since);
        let rate = if span < MIN_SPAN { 0.0 } else { self.bits / span.as_secs_f64() };
        (self.bits, self.since) = (0.0, Some(sent));
        rate
    }
}

/// Milliseconds of queue that are none: what jitter makes.
const SHORT: f64 = 20.0;
/// A queue that is shorter than this share of what it was, as soon as that, has passed: an encoder has just begun to follow.
const PASSED: f64 = 0.6;
const TOO_SOON: Duration = Duration::from_millis(100);
/// From then on a cut can be seen in the queue, which is smoothed, and for so long it is looked at.
const REACTION: Duration = Duration::from_millis(200);
const SPAN: Duration = Duration::from_millis(500);
/// A cut is in vain if the queue shrank by less than this share of what it should, and where rivals were there lately, who may take
/// time to fill what was left. Our own queue shrinks by four tenths of it at least, with five flows, and mostly by seven.
const LITTLE: f64 = 0.25;
const LATELY: f64 = 0.5;
const OURS: f64 = 0.7;
/// So many in a row say that there are rivals, and one does for so long after some were there.
const ENOUGH: u8 = 2;
const MEMORY: Duration = Duration::from_secs(30);
/// For so long it is taken for what the path carries at which rate the queue was short.
const RATE_MEMORY: Duration = Duration::from_secs(60);
/// Fewer milliseconds cannot be told from jitter. What is not followed is nevertheless in vain where so many are expected.
const MIN_EXPECTED: f64 = 15.0;
const MUCH: f64 = 60.0;
/// A queue that grows by more than this a millisecond does not stand: less is carried than before.
const STEEP: f64 = 0.1;
/// An encoder has followed if it sends less than this share.
const FOLLOWED: f64 = 0.93;
const MIN_SPAN: Duration = Duration::from_millis(200);
/// The queue is short for so long only when they are gone, and so often it is looked whether they are.
const GONE: Duration = Duration::from_millis(1500);
const INTERVAL: Duration = Duration::from_secs(8);
/// In milliseconds of queue a millisecond, and of queue: what the usual cut makes of a queue of ours, and how much more is a fall.
const FASTEST: f64 = 0.15;
const DEEP: f64 = 50.0;
const MAX_STEP: f64 = 100.0;
const FALL_MEMORY: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bandwidth::delay::DelayBased;

    /// A sender whose packets take 100 ms and are told of every 50 ms.
    struct Run {
        rivals: Rivals,
        now: Instant,
        queue: f64,
        /// In bit/s.
        sent: f64,
        is_lost: bool,
        competes: bool,
    }

    impl Run {
        fn new() -> Self {
            let now = Instant::from_nanos(100_000_000_000);
            Self { rivals: Rivals::NEW, now, queue: 0.0, sent: 1e6, is_lost: false, competes: true }
        }

        /// A while in which the queue becomes so many milliseconds longer each second. Gives what was found.
        fn pass(&mut self, millis: u64, slope: f64) -> Vec<Finding> {
            let mut found = Vec::new();
            for _ in 0..millis / 50 {
                self.now += Duration::from_millis(50);
                self.queue = (self.queue + slope * 0.05).max(0.0);
                let sent = Instant::from_nanos(self.now.as_nanos() - 100_000_000);
                let (queue, bits, is_lost) = (self.queue, self.sent * 0.05, self.is_lost);
                let seen = Seen { sent, queue, bits, is_lost, rate: self.sent };
                found.extend(self.rivals.update(self.now, seen, self.competes));
            }
            found
        }

        /// What is sent is cut to a share, which is also told.
        fn cut(&mut self, kept: f64) {
            let course = DelayBased::new(1, 500_000, 1_000_000).course();
            self.rivals.handle_cut(self.now, self.queue, kept, course);
            self.sent *= kept;
        }

        /// A queue grows by somebody else's packets, we answer, and it stays or grows on. Gives what is found.
        fn cut_in_vain(&mut self) -> Vec<Finding> {
            let mut found = self.pass(1000, 40.0);
            self.cut(0.8);
            found.extend(self.pass(900, 20.0));
            found
        }

        fn with_rivals() -> Self {
            let mut run = Self::new();
            run.pass(1000, 0.0);
            run.cut_in_vain();
            run.cut_in_vain();
            assert!(run.rivals.are_there());
            run
        }
    }

    #[test]
    fn a_queue_that_two_cuts_do_not_shorten_is_somebody_elses() {
        let mut run = Run::new();
        run.pass(1000, 0.0);
        assert!(run.cut_in_vain().is_empty() && !run.rivals.are_there());
        let found = run.cut_in_vain();
        assert!(matches!(found[..], [Finding::Come(1e6)]), "with the rate before: {found:?}");
        assert!(run.rivals.are_there());
    }

    #[test]
    fn a_queue_that_shrinks_by_what_is_no_longer_sent_is_ours() {
        let mut run = Run::new();
        for _ in 0..5 {
            run.sent = 1e6;
            run.pass(1000, 60.0);
            run.cut(0.8);
            // Until that is seen it grows on; and one of two flows is enough.
            let mut found = run.pass(300, 60.0);
            found.extend(run.pass(1500, -100.0));
            assert!(found.is_empty() && run.rivals.vain == 0, "{found:?}");
        }
    }

    #[test]
    fn a_way_that_has_become_longer_is_not_mistaken_for_rivals() {
        let mut run = Run::new();
        run.pass(1000, 0.0);
        run.queue = 120.0;
        run.pass(50, 0.0);
        run.cut(0.8);
        assert!(run.pass(900, 0.0).is_empty());
        assert_eq!(run.rivals.vain, 1, "once");
        for _ in 0..3 {
            run.sent = 1e6;
            run.pass(600, 40.0);
            run.cut(0.8);
            // No further than to what is the least now.
            run.pass(400, -60.0);
            run.pass(900, 0.0);
            assert!(!run.rivals.are_there());
        }
        assert_eq!(run.rivals.vain, 0);
    }

    #[test]
    fn a_queue_that_is_gone_before_a_cut_can_act_has_passed() {
        let mut run = Run::new();
        run.pass(1000, 40.0);
        run.cut(0.8);
        let found = run.pass(400, -100.0);
        assert!(matches!(found[..], [Finding::Passed(course)] if course.rate() > 499_999.0), "{found:?}");
    }

    #[test]
    fn what_has_become_shorter_since_a_cut_could_act_has_not_passed_by_itself() {
        let mut run = Run::new();
        run.pass(1000, 40.0);
        run.cut(0.8);
        // Nothing was sent for a while, or nothing was told of it.
        run.now += Duration::from_millis(450);
        run.queue = 20.0;
        let found = run.pass(50, 0.0);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn the_rate_of_long_ago_is_not_taken_up_again() {
        let mut run = Run::new();
        run.sent = 1e7;
        run.pass(1000, 0.0);
        // Less is carried since, and the queue was never short.
        (run.sent, run.queue) = (300_000.0, 100.0);
        run.pass(60_000, 0.0);
        run.cut_in_vain();
        let found = run.cut_in_vain();
        assert!(matches!(found[..], [Finding::Come(rate)] if rate <= 300_000.0), "{found:?}");
    }

    #[test]
    fn a_cut_that_cannot_be_seen_in_the_queue_holds_nothing_for_long() {
        let mut run = Run::with_rivals();
        run.cut(1.0);
        for _ in 0..10 {
            run.pass(50, 40.0);
            run.pass(50, -40.0);
        }
        assert!(
            !run.rivals.is_watching(),
            "what arrived was no more than may be sent since, and the queue trembles"
        );
    }

    #[test]
    fn what_a_small_cut_has_taken_is_not_given_back_where_something_is_lost() {
        let mut run = Run::with_rivals();
        run.rivals.handle_check(run.now, run.queue, 0.85, DelayBased::new(1, 2, 3).course());
        // It left before, so that nothing else answers it.
        run.is_lost = true;
        run.pass(100, 0.0);
        run.is_lost = false;
        assert!(run.pass(900, 0.0).is_empty() && run.rivals.are_there());
    }

    #[test]
    fn nothing_is_said_where_less_is_carried_than_before_or_packets_are_lost() {
        for (slope, is_lost) in [(300.0, false), (20.0, true)] {
            let mut run = Run::new();
            run.pass(1000, 0.0);
            for _ in 0..3 {
                run.is_lost = false;
                run.pass(1000, 40.0);
                run.cut(0.8);
                run.is_lost = is_lost;
                run.pass(900, slope);
            }
            assert_eq!(run.rivals.vain, 0, "{slope} {is_lost}");
        }
    }

    #[test]
    fn an_encoder_that_does_not_follow_proves_nothing_unless_the_queue_falls_by_itself() {
        let are_found = |falls: bool| {
            let mut run = Run::new();
            run.queue = if falls { 150.0 } else { 0.0 };
            run.pass(100, 0.0);
            run.queue = 0.0;
            run.pass(1000, 0.0);
            for _ in 0..3 {
                run.pass(1000, 40.0);
                run.cut(0.8);
                run.sent = 1e6;
                run.pass(900, 20.0);
            }
            run.rivals.are_there()
        };
        assert!(!are_found(false) && are_found(true));
    }

    #[test]
    fn they_are_gone_when_the_queue_stays_short_and_are_known_again_at_once() {
        let mut run = Run::with_rivals();
        run.queue = 10.0;
        run.pass(1500, 0.0);
        assert!(run.rivals.are_there() && run.rivals.is_watching(), "TCP has halved its window");
        run.pass(100, 0.0);
        assert!(!run.rivals.are_there());
        run.cut_in_vain();
        assert!(run.rivals.are_there(), "one cut is enough");
    }

    #[test]
    fn a_small_cut_now_and_then_shows_whether_they_are_there() {
        let check = |run: &mut Run| {
            let course = DelayBased::new(1, 500_000, 1_000_000).course();
            run.rivals.handle_check(run.now, run.queue, 0.85, course);
        };
        let mut run = Run::with_rivals();
        run.pass(7000, 5.0);
        assert!(!run.rivals.wants_cut(run.now));
        run.pass(1500, 5.0);
        assert!(run.rivals.wants_cut(run.now));
        check(&mut run);
        let found = run.pass(900, -20.0);
        assert!(matches!(found[..], [Finding::Stay(_)]) && run.rivals.are_there(), "{found:?}");
        // Alone: it shrinks until it is gone, and that is how they are found to be, too.
        check(&mut run);
        run.pass(300, 0.0);
        assert!(run.pass(900, -120.0).is_empty());
        assert!(run.queue > 0.0 && run.rivals.is_watching());
        while run.queue > 0.0 {
            run.pass(50, -120.0);
        }
        assert!(!run.rivals.are_there());
    }

    #[test]
    fn a_loss_is_answered_though_it_was_being_looked_for_them() {
        let mut run = Run::with_rivals();
        run.rivals.handle_check(run.now, run.queue, 0.85, DelayBased::new(1, 2, 3).course());
        run.cut(0.7);
        assert!(run.pass(900, 0.0).is_empty(), "nothing is given back");
    }

    #[test]
    fn who_does_not_compete_looks_for_no_rivals() {
        let mut run = Run { competes: false, ..Run::new() };
        run.pass(1000, 0.0);
        (0..3).for_each(|_| assert!(run.cut_in_vain().is_empty()));
        assert!(!run.rivals.are_there());
    }
}
