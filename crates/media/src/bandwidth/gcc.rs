use std::time::Duration;

use proto::{Instant, sooner};

use super::acknowledged::Acknowledged;
use super::alr::Alr;
use super::delay::DelayBased;
use super::groups::Groups;
use super::loss::LossBased;
use super::marks::Marks;
use super::probe::{ProbeResults, Prober};
use super::rivals::{Finding, Rivals, Seen};
use super::trend::{Trend, Usage};
use super::{BandwidthConfig, BandwidthEstimator, FeedbackReader, Marking, PacketResult, Probe, real, whole};
use crate::later::Later;
use crate::{SentPacket, Told};

/// Google congestion control: draft-ietf-rmcat-gcc-02 and what has become usual since.
///
/// ```text
///             ┌▶ groups ─▶ trend ─▶ delays ┐
///   feedback ─┼▶ acknowledged ────▲ ▲ ▲   ├─ least ─▶ target
///             ├▶ probes, marks ─────┘ └─ rivals
///             └▶ losses ──────────────────┤
///                              REMB ──────┘
/// ```
///
/// Where it goes beyond the draft: the rate comes back after a cut as a CUBIC window does (RFC 9438), the cut is the deeper the longer
/// the queue is, a cut is judged by what becomes of the queue, so that a part of the path is kept where others fill it, losses are
/// judged by whether they go with the rate, as the second loss-based estimator of libwebrtc does, and marks of L4S are answered in
/// proportion (RFC 8257, RFC 9331).
///
/// It keeps as many numbers as are written here, however much is sent, and allocates nothing once there was feedback, and a first cut of the rate.
#[derive(Clone, Debug)]
pub struct Gcc {
    config: BandwidthConfig,
    acknowledged: Later<Acknowledged>,
    alr: Alr,
    alr_ended: Option<Instant>,
    groups: Later<Groups>,
    trend: Later<Trend>,
    delays: DelayBased,
    loss: Later<LossBased>,
    prober: Prober,
    probes: Later<ProbeResults>,
    remote: Option<u64>,
    /// What the losses in reports allow, where they are all that the peer tells.
    reported: Option<u64>,
    wanted: Option<u64>,
    target: u64,
    round_trip: Duration,
    /// Since when something is sent that nothing was told of.
    unheard: Option<Instant>,
    /// Whether anything was told of packets, and when one was sent last.
    has_feedback: bool,
    last_sent: Instant,
    marks: Later<Marks>,
    rivals: Later<Rivals>,
}

impl Gcc {
    /// One that knows nothing of the path.
    pub const fn new(config: BandwidthConfig) -> Self {
        let max = if config.max < config.min { config.min } else { config.max };
        let start = if config.start < config.min { config.min } else { config.start };
        let start = if start > max { max } else { start };
        Self {
            acknowledged: Later::NEW,
            alr: Alr::NEW,
            alr_ended: None,
            groups: Later::NEW,
            trend: Later::NEW,
            delays: DelayBased::new(config.min, start, max),
            loss: Later::NEW,
            prober: Prober::new(max),
            probes: Later::NEW,
            remote: None,
            reported: None,
            wanted: None,
            target: start,
            round_trip: INITIAL_ROUND_TRIP,
            unheard: None,
            has_feedback: false,
            last_sent: Instant::from_nanos(0),
            marks: Later::NEW,
            rivals: Later::NEW,
            config: BandwidthConfig { max, start, ..config },
        }
    }

    /// How long it takes until the peer's feedback on a packet is there, smoothed.
    pub const fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// How much arrives, in bit/s, once that is known.
    pub fn acknowledged(&self) -> Option<u64> {
        self.acknowledged.bitrate()
    }

    /// Whether the application sends much less than it may.
    pub const fn is_application_limited(&self) -> bool {
        self.alr.since().is_some()
    }

    fn set_target(&mut self, now: Instant) {
        let before = self.target;
        let limits = [self.loss.limit(self.config.min), self.remote, self.reported];
        let least = limits.into_iter().flatten().min();
        let target = least.map_or_else(|| self.delays.rate(), |least| least.min(self.delays.rate()));
        self.target = target.clamp(self.config.min, self.config.max);
        self.prober.dropped(now, before, self.target);
    }

    /// Delays hold the rate, or losses beside those who fill the queue. Gives whether it was cut.
    fn answer_queue(
        &mut self,
        now: Instant,
        usage: Usage,
        arriving: Option<u64>,
        results: &[PacketResult],
    ) -> bool {
        let (queue, quiet) = (self.trend.queue(), self.alr.since().is_some());
        let newest = |is_lost: bool| {
            let is_one = |result: &&PacketResult| {
                result.packet.told == Told::Nothing && result.arrival.is_none() == is_lost
            };
            results.iter().rev().find(is_one).map(|result| result.packet.at)
        };
        let (came, lost) = (newest(false), newest(true));
        let before = self.delays.course();
        let is_cut = if self.rivals.are_there() {
            let holds = quiet || self.rivals.is_watching();
            self.delays.share(now, lost, arriving, self.round_trip, holds)
        } else {
            let is_slight = usage == Usage::Over && queue < LEAST_QUEUE;
            let usage = if is_slight { Usage::Under } else { usage };
            self.delays.update(now, (usage, queue), arriving, self.round_trip, quiet)
        };
        if is_cut {
            let kept = arriving.map_or(1.0, |arriving| real(self.delays.rate()) / real(arriving.max(1)));
            self.rivals.handle_cut(now, queue, kept.min(1.0), before);
        } else if self.rivals.wants_cut(now) {
            let kept = self.delays.lower(now);
            self.rivals.handle_check(now, queue, kept, before);
        }
        let Some(sent) = came else { return is_cut };
        let bits = results.iter().map(|result| real(u64::try_from(result.packet.bytes).unwrap_or(0)) * 8.0);
        let seen = Seen { sent, queue, bits: bits.sum(), is_lost: lost.is_some(), rate: before.rate() };
        match self.rivals.update(now, seen, self.config.competes) {
            Some(Finding::Passed(course)) if usage != Usage::Over => self.delays.restore(now, course),
            Some(Finding::Stay(course)) => self.delays.restore(now, course),
            Some(Finding::Come(rate)) => self.delays.begin_sharing(now, rate, self.round_trip),
            Some(Finding::Passed(_)) | None => {}
        }
        is_cut
    }

    fn silence_ends(&self) -> Option<Instant> {
        let silence = if self.has_feedback { SILENCE } else { OLD_SILENCE };
        // Of a peer that has never told anything nothing is missed.
        let tells = self.has_feedback || self.remote.is_some();
        Some(self.unheard.filter(|_| tells)? + silence + self.round_trip * 2)
    }
}

impl BandwidthEstimator for Gcc {
    fn handle_sent(&mut self, now: Instant, packet: &SentPacket) {
        self.alr.sent(now, packet.bytes, self.target);
        self.prober.begin(now, self.config.start, self.wanted);
        self.unheard.get_or_insert(now);
        self.last_sent = now;
    }

    fn handle_feedback(&mut self, now: Instant, results: &[PacketResult]) {
        if results.is_empty() {
            return;
        }
        (self.unheard, self.has_feedback, self.reported) = (None, true, None);
        if let Some(sample) = FeedbackReader::round_trip(now, results) {
            self.round_trip = (self.round_trip * 7 + sample.min(MAX_ROUND_TRIP)) / 8;
        }
        let quiet = self.alr.since().is_some();
        if self.alr.ended() != self.alr_ended {
            self.alr_ended = self.alr.ended();
            self.acknowledged.expect_change();
        }
        let mut probed = None;
        for result in results {
            if result.packet.told == Told::Lost {
                // It has come late, and tells of nothing else.
                self.loss.take_back();
                continue;
            }
            self.loss.add(result);
            let Some(arrival) = result.arrival else { continue };
            self.acknowledged.add(arrival, result.packet.bytes, quiet);
            if let Some(delta) = self.groups.add(result.packet.at, arrival) {
                self.trend.add(delta);
            }
            probed = self.probes.add(result).or(probed);
            self.marks.add(result);
        }
        let (usage, arriving) = (self.trend.usage(), self.acknowledged.bitrate());
        let before = self.delays.rate().min(self.target);
        let is_cut = self.answer_queue(now, usage, arriving, results);
        if let Some(probed) = probed {
            if usage != Usage::Over && probed > self.delays.rate() {
                self.delays.set(now, probed);
            }
            self.prober.found(now, probed, self.wanted);
        }
        let answer = self.marks.answer(now, self.round_trip, self.config.marking);
        if is_cut {
            // Delays and marks speak of one queue: the deeper cut is the answer to both.
            self.marks.has_answer(now);
            if let Some(factor) = answer {
                self.delays.limit(whole(real(before) * factor));
            }
        } else if let Some(factor) = answer {
            self.delays.answer_marks(now, self.target, factor);
        }
        self.loss.update(now, self.delays.rate(), arriving);
        self.set_target(now);
    }

    /// draft-ietf-rmcat-gcc-02 §6.
    fn handle_report(&mut self, now: Instant, lost: u64, expected: u64) {
        if self.has_feedback || expected == 0 {
            return;
        }
        let share = real(lost.min(expected)) / real(expected);
        let (target, rate) = (real(self.target), self.delays.rate());
        if share > MUCH_LOSS {
            self.reported = Some(whole(target * (1.0 - share / 2.0)));
        } else if share < LITTLE_LOSS {
            let more = whole(target * REPORTED_GROWTH);
            self.reported = self.reported.map(|_| more).filter(|more| *more < rate);
            // A peer that estimates for us says itself when there is more; and what is not used shows nothing.
            if self.reported.is_none() && self.remote.is_none() && self.alr.since().is_none() {
                self.delays.set(now, more.max(rate));
            }
        }
        self.set_target(now);
    }

    fn set_remote_limit(&mut self, limit: Option<u64>) {
        self.remote = limit;
        if let Some(limit) = limit
            && !self.has_feedback
        {
            // A peer that tells nothing else estimates for us. From what has come nobody can tell of more than twice as much.
            self.unheard = None;
            self.delays.set(self.last_sent, limit.min(self.target.saturating_mul(2)));
            let rate = self.delays.rate();
            self.target = self.reported.map_or(rate, |reported| reported.min(rate));
        }
        self.target = limit.map_or(self.target, |limit| self.target.min(limit).max(self.config.min));
    }

    fn set_wanted(&mut self, bitrate: u64) {
        self.wanted = (bitrate > 0).then_some(bitrate);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.silence_ends().is_some_and(|ends| ends <= now) {
            // Nobody says that anything arrives: what was known of the path is less and less true, with each packet that leaves.
            self.unheard = None;
            self.delays.set(now, whole(real(self.delays.rate()) * SILENT));
            self.set_target(now);
        }
        self.prober.update(now, self.target, self.alr.since(), self.alr.ended(), self.wanted);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        // Who sends nothing need not look for more.
        let probe = self.prober.due(self.alr.since()).filter(|_| self.unheard.is_some());
        sooner(self.silence_ends(), probe)
    }

    fn poll_probe(&mut self, _now: Instant) -> Option<Probe> {
        self.prober.poll()
    }

    fn target(&self) -> u64 {
        self.target
    }

    fn pacing(&self) -> Option<u64> {
        match self.config.marking {
            Marking::Scalable => Some(SCALABLE_PACING),
            Marking::Classic => self.marks.are_there().then_some(CLASSIC_PACING),
        }
    }
}

const INITIAL_ROUND_TRIP: Duration = Duration::from_millis(200);
const MAX_ROUND_TRIP: Duration = Duration::from_secs(3);
/// After so long and two round trips without feedback the rate falls, and again each time.
const SILENCE: Duration = Duration::from_millis(500);
/// The same where the peer tells once a second what it thinks (REMB).
const OLD_SILENCE: Duration = Duration::from_secs(3);
/// Where short queues are marked a frame must not make one by itself: marks of L4S begin at a millisecond or a few, and RFC 9331 §4.3
/// has bursts limited. The other is what SCReAMv2 has (draft-johansson-ccwg-rfc8298bis-screamv2).
const SCALABLE_PACING: u64 = 110;
const CLASSIC_PACING: u64 = 150;
const SILENT: f64 = 0.8;
/// A queue of fewer milliseconds is no reason for a cut: jitter makes it, and others' bursts, which pass.
const LEAST_QUEUE: f64 = 15.0;
/// draft-ietf-rmcat-gcc-02 §6: shares of loss above which the rate falls, and below which it grows with each report.
const MUCH_LOSS: f64 = 0.1;
const LITTLE_LOSS: f64 = 0.02;
const REPORTED_GROWTH: f64 = 1.05;

#[cfg(test)]
mod tests {
    use proto::Instant;
    use rtp::{SequenceNumber, Ssrc};

    use super::*;
    use crate::PacketKind;

    /// A path of `capacity` with 20 ms each way: sends as much as the estimate, tells every 50 ms; gives the estimate after `seconds`.
    struct Path {
        gcc: Gcc,
        now: Instant,
        busy: Instant,
        number: u64,
        waiting: Vec<PacketResult>,
        /// In thousandths.
        loss: u64,
        /// With marks above so long a queue.
        mark: Option<Duration>,
        queued: Duration,
    }

    impl Path {
        fn new(config: BandwidthConfig) -> Self {
            let now = Instant::from_nanos(1_000_000_000);
            Self {
                gcc: Gcc::new(config),
                now,
                busy: now,
                number: 0,
                waiting: Vec::new(),
                loss: 0,
                mark: None,
                queued: Duration::ZERO,
            }
        }

        fn send(&mut self, capacity: u64, probe: Option<u32>) {
            self.number += 1;
            let packet = SentPacket {
                transport: self.number,
                ssrc: Ssrc(1),
                sequence: SequenceNumber::from(self.number),
                bytes: 1000,
                at: self.now,
                kind: PacketKind::Video,
                probe,
                told: Told::Nothing,
            };
            self.gcc.handle_sent(self.now, &packet);
            let lost = self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let lost = lost % 1000 < self.loss;
            let queue = self.busy - self.now;
            self.queued = self.queued.max(queue);
            self.busy = self.busy.max(self.now) + Duration::from_nanos(8_000_000_000_000 / capacity);
            let arrival = (!lost).then(|| i64::try_from(self.busy.as_nanos()).unwrap() + 20_000_000);
            let congestion = self.mark.is_some_and(|mark| queue > mark);
            self.waiting.push(PacketResult { packet, arrival, congestion });
        }

        fn run(&mut self, seconds: u64, capacity: u64, most: u64) -> u64 {
            let end = self.now + Duration::from_secs(seconds);
            let mut told = self.now;
            let mut next = self.now;
            while self.now < end {
                while let Some(probe) = self.gcc.poll_probe(self.now) {
                    for _ in 0..probe.min_packets.max(u32::try_from(probe.min_bytes / 1000).unwrap()) {
                        self.send(capacity, Some(probe.id));
                        self.now += Duration::from_nanos(8_000_000_000_000 / probe.bitrate);
                    }
                }
                while next <= self.now {
                    self.send(capacity, None);
                    next += Duration::from_nanos(8_000_000_000_000 / self.gcc.target().min(most));
                }
                if self.now - told >= Duration::from_millis(50) {
                    told = self.now;
                    let seen = i64::try_from(self.now.as_nanos()).unwrap() - 20_000_000;
                    let there = |result: &PacketResult| {
                        result.arrival.map_or_else(
                            || self.now - result.packet.at > Duration::from_millis(60),
                            |arrival| arrival <= seen,
                        )
                    };
                    let results: Vec<_> = self.waiting.iter().copied().filter(there).collect();
                    self.waiting.retain(|result| !results.contains(result));
                    self.gcc.handle_feedback(self.now, &results);
                }
                self.gcc.handle_timeout(self.now);
                self.now += Duration::from_millis(1);
            }
            self.gcc.target()
        }
    }

    #[test]
    fn the_first_probes_find_what_the_path_carries_within_a_second() {
        let mut path = Path::new(BandwidthConfig::default());
        let found = path.run(1, 2_000_000, u64::MAX);
        assert!((1_500_000..2_300_000).contains(&found), "{found}");
    }

    /// A queue shows both in delays and in marks: one answer is enough, and what had left before it says nothing new.
    #[test]
    fn delays_and_marks_of_one_queue_have_one_answer() {
        let mut path = Path::new(BandwidthConfig::default());
        path.mark = Some(Duration::from_millis(20));
        path.run(20, 2_000_000, u64::MAX);
        // What the deepest cut leaves, once.
        let cut = path.run(1, 900_000, u64::MAX);
        assert!((540_000..900_000).contains(&cut), "{cut}");
    }

    #[test]
    fn it_follows_the_capacity_down_and_up() {
        let mut path = Path::new(BandwidthConfig::default());
        path.run(20, 2_000_000, u64::MAX);
        let down = path.run(20, 800_000, u64::MAX);
        assert!((550_000..900_000).contains(&down), "{down}");
        path.queued = Duration::ZERO;
        let up = path.run(40, 2_500_000, u64::MAX);
        assert!((1_300_000..2_800_000).contains(&up), "{up}");
        assert!(path.queued < Duration::from_millis(700), "{:?}", path.queued);
    }

    #[test]
    fn an_application_that_sends_little_does_not_raise_the_estimate_without_a_probe() {
        let config = BandwidthConfig { start: 1_000_000, ..BandwidthConfig::default() };
        let mut path = Path::new(config);
        path.gcc.set_wanted(200_000);
        let found = path.run(30, 5_000_000, 200_000);
        assert!(path.gcc.is_application_limited() && found <= 1_300_000, "{found}");
        path.gcc.set_wanted(3_000_000);
        let found = path.run(10, 5_000_000, 200_000);
        assert!(found > 1_800_000, "probes in between: {found}");
    }

    #[test]
    fn losses_of_a_twentieth_do_not_matter_and_of_a_quarter_do() {
        let mut path = Path::new(BandwidthConfig::default());
        path.loss = 50;
        let lowest = (0..30).map(|_| path.run(1, 2_000_000, u64::MAX)).skip(5).min().unwrap();
        assert!(lowest > 1_400_000, "{lowest}");
        path.loss = 250;
        // What is beyond a twentieth allows 375 kbit/s.
        assert!(path.run(10, 2_000_000, u64::MAX) < 400_000, "{}", path.gcc.target());
    }

    #[test]
    fn frames_are_spread_where_the_path_marks() {
        let of = |marking, mark| {
            let mut path = Path::new(BandwidthConfig { marking, ..BandwidthConfig::default() });
            path.mark = mark;
            path.run(20, 2_000_000, u64::MAX);
            path.gcc.pacing()
        };
        let mark = Some(Duration::from_millis(5));
        assert_eq!(of(Marking::Classic, None), None);
        assert_eq!(of(Marking::Classic, mark), Some(150));
        assert_eq!(of(Marking::Scalable, None), Some(110), "before the first mark, too");
    }

    #[test]
    fn marks_hold_the_queue_shorter_than_delays_do_and_leave_little_unused() {
        for marking in [Marking::Classic, Marking::Scalable] {
            let mut path = Path::new(BandwidthConfig { marking, ..BandwidthConfig::default() });
            path.mark = Some(Duration::from_millis(5));
            path.run(20, 2_000_000, u64::MAX);
            path.queued = Duration::ZERO;
            let mean = (0..60).map(|_| path.run(1, 2_000_000, u64::MAX)).sum::<u64>() / 60;
            assert!((1_650_000..2_100_000).contains(&mean), "{marking:?} {mean}");
            assert!(path.queued < Duration::from_millis(60), "{marking:?} {:?}", path.queued);
        }
    }

    #[test]
    fn what_has_become_free_is_found_within_seven_seconds() {
        let mut path = Path::new(BandwidthConfig::default());
        path.run(30, 1_000_000, u64::MAX);
        let found = path.run(7, 2_500_000, u64::MAX);
        assert!(found > 2_000_000, "{found}");
    }

    #[test]
    fn while_packets_leave_and_nobody_tells_of_them_any_more_the_rate_falls_to_the_least() {
        let mut path = Path::new(BandwidthConfig::default());
        let found = path.run(10, 2_000_000, u64::MAX);
        path.waiting.clear();
        for _ in 0..40 {
            path.send(2_000_000, None);
            path.now = path.gcc.poll_timeout().unwrap();
            path.gcc.handle_timeout(path.now);
        }
        assert!(found > 1_000_000 && path.gcc.target() == 30_000, "{found} {}", path.gcc.target());
    }

    #[test]
    fn while_nothing_leaves_nothing_is_missed() {
        let mut path = Path::new(BandwidthConfig::default());
        let found = path.run(10, 2_000_000, u64::MAX);
        // Feedback on the last packet is lost: that is once too little.
        path.send(2_000_000, None);
        while let Some(due) = path.gcc.poll_timeout().filter(|due| *due < path.now + Duration::from_secs(60))
        {
            path.gcc.handle_timeout(due);
        }
        assert!(path.gcc.target() >= found * 79 / 100, "{found} {}", path.gcc.target());
        assert_eq!(path.gcc.poll_timeout(), None);
    }

    /// What is left of 300 kbit/s after so many seconds of reports each second, where nothing else is told.
    fn by_reports(gcc: &mut Gcc, seconds: u64, used: u64, lost: u64) -> u64 {
        let mut path = Path::new(BandwidthConfig::default());
        std::mem::swap(&mut path.gcc, gcc);
        for _ in 0..seconds {
            for _ in 0..20 {
                (0..used).for_each(|_| path.send(10_000_000, None));
                path.now += Duration::from_millis(50);
                path.gcc.handle_timeout(path.now);
            }
            path.gcc.handle_report(path.now, lost, 100);
        }
        std::mem::swap(&mut path.gcc, gcc);
        gcc.target()
    }

    #[test]
    fn reports_are_gone_by_where_nothing_else_is_told() {
        let gcc = || Gcc::new(BandwidthConfig::default());
        assert_eq!(by_reports(&mut gcc(), 30, 10, 5), 300_000, "2 to 10 % are no reason for anything");
        assert_eq!(by_reports(&mut gcc(), 1, 10, 20), 270_000);
        assert_eq!(by_reports(&mut gcc(), 40, 10, 50), 30_000);
        let grown = by_reports(&mut gcc(), 10, 10, 0);
        assert!((480_000..490_000).contains(&grown), "5 % each time: {grown}");
        assert_eq!(by_reports(&mut gcc(), 30, 1, 0), 300_000, "what is not used shows nothing");
        let mut recovers = gcc();
        by_reports(&mut recovers, 2, 10, 20);
        let recovered = by_reports(&mut recovers, 20, 10, 0);
        assert!(recovered > 300_000, "{recovered}");
        // Who is told of single packets goes by those.
        let mut path = Path::new(BandwidthConfig::default());
        let found = path.run(5, 2_000_000, u64::MAX);
        path.gcc.handle_report(path.now, 50, 100);
        assert_eq!(path.gcc.target(), found);
    }

    #[test]
    fn losses_in_reports_count_beside_the_limit_of_an_old_peer() {
        let mut path = Path::new(BandwidthConfig::default());
        path.send(10_000_000, None);
        path.gcc.set_remote_limit(Some(250_000));
        path.gcc.handle_report(path.now, 20, 100);
        assert_eq!(path.gcc.target(), 225_000);
        path.gcc.set_remote_limit(Some(250_000));
        assert_eq!(path.gcc.target(), 225_000);
        (0..3).for_each(|_| path.gcc.handle_report(path.now, 0, 100));
        assert_eq!(path.gcc.target(), 250_000, "and no more than it says");
    }

    /// As where packets overtake each other over the end of what a datagram tells of.
    #[test]
    fn losses_that_come_late_hold_nothing() {
        let mut path = Path::new(BandwidthConfig::default());
        path.run(5, 2_000_000, u64::MAX);
        let before = (path.gcc.round_trip(), path.gcc.target());
        for _ in 0..40 {
            (0..5).for_each(|_| path.send(2_000_000, None));
            path.now += Duration::from_millis(25);
            let results: Vec<_> = path.waiting.drain(..).collect();
            let lost = |result: &PacketResult| PacketResult { arrival: None, ..*result };
            path.gcc.handle_feedback(path.now, &results.iter().map(lost).collect::<Vec<_>>());
            let come = |result: &PacketResult| PacketResult {
                packet: SentPacket { told: Told::Lost, ..result.packet },
                ..*result
            };
            path.gcc.handle_feedback(
                path.now + Duration::from_secs(1),
                &results.iter().map(come).collect::<Vec<_>>(),
            );
        }
        assert_eq!((path.gcc.round_trip(), path.gcc.loss.limit(30_000)), (before.0, None));
        assert!(path.gcc.target() >= before.1, "{before:?} {}", path.gcc.target());
    }

    #[test]
    fn who_tells_nothing_else_is_believed_and_silence_counts_after_longer() {
        let mut path = Path::new(BandwidthConfig::default());
        path.send(10_000_000, None);
        path.gcc.set_remote_limit(Some(900_000));
        assert_eq!(path.gcc.target(), 600_000, "no more than twice as much");
        path.gcc.set_remote_limit(Some(900_000));
        assert_eq!(path.gcc.target(), 900_000, "as it is the peer's estimate");
        path.now += Duration::from_secs(1);
        path.send(10_000_000, None);
        path.gcc.handle_timeout(path.now + Duration::from_secs(1));
        assert_eq!(path.gcc.target(), 900_000);
        path.gcc.handle_timeout(path.now + Duration::from_secs(5));
        assert_eq!(path.gcc.target(), 720_000);
    }

    #[test]
    fn a_remote_limit_holds_at_once() {
        let mut gcc = Gcc::new(BandwidthConfig::default());
        gcc.set_remote_limit(Some(100_000));
        assert_eq!(gcc.target(), 100_000);
        gcc.set_remote_limit(Some(1));
        assert_eq!(gcc.target(), 30_000);
    }
}
