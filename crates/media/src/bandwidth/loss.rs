use std::time::Duration;

use proto::Instant;

use super::{PacketResult, real, whole};
use crate::later::Blank;

/// The rate that losses allow: what the path carries is judged by how losses go with the rate, as the second loss-based estimator of
/// libwebrtc does.
///
/// A path is thought to lose a share of everything, whatever is sent (its own losses), and all that is beyond what it carries:
///
/// ```text
///   loss at a rate = own + (1 - own) * (rate - carries) / rate     where more is sent than it carries
///                  = own                                          elsewhere
/// ```
///
/// Of a few candidates for what it carries that one is taken with which the losses of the last seconds are the likeliest, the path's
/// own losses chosen to suit each. Losses that are the same at any rate so hold nothing. But a path that loses very much of its own
/// is not worth a high rate, so the more is lost the less is allowed, whatever the reason.
#[derive(Clone, Debug)]
pub(super) struct LossBased {
    /// What is being counted, in place of `place`.
    open: Observation,
    /// When the first and the last packet of it left.
    sent: Option<(Instant, Instant)>,
    past: [Observation; WINDOW],
    count: usize,
    limit: Option<f64>,
    decreased: Option<Instant>,
}

/// What became of the packets of a quarter of a second.
#[derive(Clone, Copy, Debug)]
struct Observation {
    lost: u32,
    all: u32,
    /// In bits, and in bit/s when it is complete.
    sent: f64,
}

impl Observation {
    const NONE: Self = Self { lost: 0, all: 0, sent: 0.0 };

    /// The share that is beyond what the path carries.
    fn excess(&self, carries: f64) -> f64 {
        if self.sent > carries { (self.sent - carries) / self.sent } else { 0.0 }
    }

    fn counts(&self) -> (f64, f64) {
        (f64::from(self.lost), f64::from(self.all.saturating_sub(self.lost)))
    }
}

impl Blank for LossBased {
    fn blank() -> &'static Self {
        static NEW: LossBased = LossBased::NEW;
        &NEW
    }
}

impl LossBased {
    pub(super) const NEW: Self = Self {
        open: Observation::NONE,
        sent: None,
        past: [Observation::NONE; WINDOW],
        count: 0,
        limit: None,
        decreased: None,
    };

    /// The peer told of a packet.
    pub(super) fn add(&mut self, result: &PacketResult) {
        let at = result.packet.at;
        let (first, last) = self.sent.unwrap_or((at, at));
        self.sent = Some((first, last.max(at)));
        self.open.all = self.open.all.saturating_add(1);
        self.open.lost = self.open.lost.saturating_add(result.arrival.is_none().into());
        self.open.sent += real(u64::try_from(result.packet.bytes).unwrap_or(0)) * 8.0;
    }

    /// A packet that was told of as lost has come.
    pub(super) fn take_back(&mut self) {
        let place = self.count.wrapping_sub(1).checked_rem(WINDOW).unwrap_or(0);
        let newest = self.past.get_mut(place).filter(|_| self.open.lost == 0);
        let observation = newest.unwrap_or(&mut self.open);
        observation.lost = observation.lost.saturating_sub(1);
    }

    /// Judges what was added. `delays` is the rate that delays allow, `arriving` how much arrives, in bit/s.
    pub(super) fn update(&mut self, now: Instant, delays: u64, arriving: Option<u64>) {
        let Some((first, last)) = self.sent else { return };
        let span = (last - first).as_secs_f64();
        if self.open.all < MIN_PACKETS || span < SPAN {
            return;
        }
        let place = self.count.checked_rem(WINDOW).unwrap_or(0);
        if let Some(past) = self.past.get_mut(place) {
            *past = Observation { sent: self.open.sent / span, ..self.open };
        }
        self.count = self.count.saturating_add(1);
        (self.open, self.sent) = (Observation::NONE, Some((last, last)));
        if self.count >= ENOUGH {
            self.judge(now, real(delays), arriving.map(real));
        }
    }

    fn judge(&mut self, now: Instant, delays: f64, arriving: Option<f64>) {
        let share = self.share();
        if share <= 0.0 && self.limit.is_none() {
            // Then the candidate that allows the most is the likeliest, and it is what delays allow.
            return;
        }
        let before = self.limit.unwrap_or(delays).min(delays);
        // What has just been cut has not shown its effect.
        let rests = self.decreased.is_some_and(|at| now - at < PAUSE);
        let ceiling = if self.limit.is_some() { arriving.map_or(delays, |rate| rate * RAMP) } else { delays };
        let candidates = [Some(before), Some(before * MORE), Some(before * LESS), arriving, Some(delays)];
        let (mut best, mut likeliest) = (before, f64::NEG_INFINITY);
        for candidate in candidates.into_iter().flatten() {
            let candidate = candidate.min(ceiling.max(before));
            if candidate < 1.0 || candidate < before && rests {
                continue;
            }
            let likelihood = self.likelihood(candidate, share);
            if likelihood > likeliest {
                (best, likeliest) = (candidate, likelihood);
            }
        }
        let most = if share > OWN { BALANCE / (share - OWN) } else { f64::MAX };
        let best = best.min(most.max(1.0));
        if best < before {
            self.decreased = Some(now);
        }
        self.limit = (best < delays).then_some(best);
    }

    /// The newest first, each with its weight.
    fn weighed(&self) -> impl Iterator<Item = (f64, &Observation)> {
        let (newer, older) = self.past.split_at(self.count.checked_rem(WINDOW).unwrap_or(0));
        let mut weight = 1.0;
        newer.iter().rev().chain(older.iter().rev()).map(move |past| {
            weight *= FADING;
            (weight, past)
        })
    }

    /// The share that was lost lately.
    fn share(&self) -> f64 {
        let (lost, all) = self.weighed().fold((0.0, 0.0), |sum, (weight, past)| {
            (sum.0 + weight * f64::from(past.lost), sum.1 + weight * f64::from(past.all))
        });
        if all > 0.0 { lost / all } else { 0.0 }
    }

    /// The logarithm of how likely what was lost is on a path that carries so much, and a preference for more where little is lost.
    fn likelihood(&self, carries: f64, share: f64) -> f64 {
        let own = self.own(carries);
        let kilobits = carries / 1000.0;
        let room = (MUCH - share).max(0.0);
        let bias = (BIAS * kilobits + LOG_BIAS * kilobits.ln_1p()) * room / (room + SOFT);
        self.weighed().fold(0.0, |sum, (weight, past)| {
            let excess = past.excess(carries);
            let loss = (excess + own * (1.0 - excess)).clamp(LEAST, 1.0 - LEAST);
            let (lost, arrived) = past.counts();
            sum + weight * (lost * loss.ln() + arrived * (1.0 - loss).ln() + bias * (lost + arrived))
        })
    }

    /// The path's own losses that suit best, if it carries so much: where the likelihood, which is concave in them, has its top.
    fn own(&self, carries: f64) -> f64 {
        let (mut low, mut high) = (LEAST, (OWN + BALANCE / carries).min(1.0 - LEAST));
        for _ in 0..STEPS {
            let own = f64::midpoint(low, high);
            let slope = self.weighed().fold(0.0, |sum, (weight, past)| {
                let kept = 1.0 - past.excess(carries);
                let (lost, arrived) = past.counts();
                let loss = (1.0 - kept + own * kept).max(LEAST);
                sum + weight * (lost * kept / loss - arrived / (1.0 - own))
            });
            if slope > 0.0 { low = own } else { high = own }
        }
        f64::midpoint(low, high)
    }

    /// No more than this, if losses have a say, and no less than `min`.
    pub(super) fn limit(&self, min: u64) -> Option<u64> {
        self.limit.map(|limit| whole(limit).max(min))
    }
}

/// The last twenty observations count, the newest most: five seconds of 80 packets a second and more, or as long as 400 packets take.
const WINDOW: usize = 20;
const FADING: f64 = 0.9;
/// Seconds and packets of an observation, and how many of those make a judgement.
const SPAN: f64 = 0.25;
const MIN_PACKETS: u32 = 20;
const ENOUGH: usize = 3;
/// Candidates beside what there is.
const MORE: f64 = 1.02;
const LESS: f64 = 0.95;
/// While losses limit the rate it is at most so much of what arrives.
const RAMP: f64 = 1.5;
const PAUSE: Duration = Duration::from_millis(300);
/// A path's own losses: a twentieth at any rate, and the more the lower the rate, so that 10 % allow 1.5 Mbit/s and 20 % 500 kbit/s.
const OWN: f64 = 0.05;
const BALANCE: f64 = 75_000.0;
/// By how much more is preferred, for each packet, until so much is lost.
const BIAS: f64 = 0.0002;
const LOG_BIAS: f64 = 0.02;
const MUCH: f64 = 0.15;
const SOFT: f64 = 0.002;
/// Bisections of the path's own losses.
const STEPS: usize = 14;
/// No share is nothing or all.
const LEAST: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use rtp::{SequenceNumber, Ssrc};

    use super::*;
    use crate::{PacketKind, SentPacket};

    /// A path that carries `carries` without a queue, and loses a share of the rest in hundredths.
    struct Path {
        loss: LossBased,
        now: Instant,
        number: u64,
        /// Bits that it can carry now.
        credit: f64,
    }

    impl Path {
        const fn new() -> Self {
            Self { loss: LossBased::NEW, now: Instant::from_nanos(1_000_000_000), number: 0, credit: 0.0 }
        }

        /// Sends as delays and losses allow for so many seconds. Gives the rate, and the share that was lost, at last.
        fn run(&mut self, seconds: u64, carries: f64, own: u64, delays: u64) -> (u64, f64) {
            let end = self.now + Duration::from_secs(seconds);
            let rate = |loss: &LossBased| loss.limit(30_000).unwrap_or(u64::MAX).min(delays);
            while self.now < end {
                let sent = rate(&self.loss);
                let span = 8_000.0 / real(sent);
                self.now += Duration::from_secs_f64(span);
                self.number += 1;
                self.credit = (self.credit + carries * span).min(8_000.0 * 3.0);
                let is_carried = self.credit >= 8_000.0;
                self.credit -= if is_carried { 8_000.0 } else { 0.0 };
                let random = (self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 100;
                let packet = SentPacket {
                    transport: self.number,
                    ssrc: Ssrc(1),
                    sequence: SequenceNumber::from(self.number),
                    bytes: 1000,
                    at: self.now,
                    kind: PacketKind::Video,
                    probe: None,
                    told: crate::Told::Nothing,
                };
                let arrival = (is_carried && random >= own).then_some(0);
                self.loss.add(&PacketResult { packet, arrival, congestion: false });
                let arriving = whole(real(sent).min(carries) * (1.0 - self.loss.share()));
                self.loss.update(self.now, delays, Some(arriving));
            }
            (rate(&self.loss), self.loss.share())
        }
    }

    #[test]
    fn losses_that_do_not_go_with_the_rate_do_not_hold_it() {
        let mut path = Path::new();
        for delays in [300_000, 600_000, 1_000_000, 2_000_000, 1_000_000] {
            let (rate, share) = path.run(5, f64::MAX, 5, delays);
            assert!((0.03..0.07).contains(&share), "{share}");
            assert_eq!(rate, delays);
        }
    }

    #[test]
    fn losses_of_what_is_beyond_the_path_bring_the_rate_to_what_it_carries() {
        let mut path = Path::new();
        assert_eq!(path.run(5, 500_000.0, 0, 300_000), (300_000, 0.0));
        for own in [0, 3] {
            let (rate, share) = path.run(20, 500_000.0, own, 2_000_000);
            assert!((400_000..650_000).contains(&rate), "{rate} {share} {own}");
            assert!(share < 0.15, "{share} {own}");
        }
        let (rate, _) = path.run(20, f64::MAX, 0, 2_000_000);
        assert_eq!(rate, 2_000_000, "and it is free again once nothing is lost");
    }

    #[test]
    fn what_has_come_late_was_no_loss() {
        let mut path = Path::new();
        path.run(2, f64::MAX, 0, 500_000);
        // Of what is being counted, and of what was counted last.
        for counted in [false, true] {
            let (open, past) = (path.loss.open.lost, path.loss.past.map(|past| past.lost));
            path.loss.open.lost += u32::from(!counted);
            let place = (path.loss.count - 1) % WINDOW;
            path.loss.past[place].lost += u32::from(counted);
            path.loss.take_back();
            assert_eq!((path.loss.open.lost, path.loss.past.map(|past| past.lost)), (open, past));
        }
        path.loss.take_back();
        assert_eq!(path.loss.share(), 0.0);
    }

    #[test]
    fn the_more_is_lost_the_less_is_allowed() {
        let allowed = [10, 15, 25, 50].map(|own| Path::new().run(20, f64::MAX, own, 5_000_000).0);
        // 75 kbit/s divided by what is beyond a twentieth.
        let expected = [1_500_000.0, 750_000.0, 375_000.0, 167_000.0];
        for (allowed, expected) in allowed.into_iter().zip(expected) {
            assert!((0.5..1.6).contains(&(real(allowed) / expected)), "{allowed} {expected}");
        }
    }

    #[test]
    fn little_is_no_ground_to_judge() {
        let mut loss = LossBased::NEW;
        assert_eq!(loss.limit(0), None);
        loss.update(Instant::from_nanos(1), 1_000_000, None);
        assert_eq!((loss.count, loss.limit(0)), (0, None));
    }
}
