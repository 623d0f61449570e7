use std::time::Duration;

use crypto::Rng;
use proto::Instant;

/// When RTCP may be sent (RFC 3550 §6.2, §6.3; RFC 4585 §3).
///
/// *Regular* datagrams come at intervals drawn at random around one that follows from the share of bandwidth, from how long datagrams
/// are, and from who takes part; after the first, none comes sooner than the least interval that was set (RFC 4585 §3.5.3,
/// `trr-int`). *Feedback* goes at once as long as what it takes stays within the share of bandwidth (RFC 4585 §3.3, immediate
/// feedback), and beyond that once between two regular datagrams (§3.5.2, early feedback).
#[derive(Debug)]
pub(crate) struct Schedule {
    rng: Rng,
    /// Bytes a second for RTCP.
    bandwidth: u64,
    least: Duration,
    members: u32,
    senders: u32,
    we_send: bool,
    /// In sixteenths of a byte, UDP and IP with them (RFC 3550 §6.3.3).
    average: u64,
    initial: bool,
    last: Instant,
    next: Option<Instant>,
    allow_early: bool,
    /// In billionths of a byte.
    credit: u128,
    credited: Instant,
}

impl Schedule {
    /// `bandwidth` is the session's, in bit/s, of which RTCP has 5 % (RFC 3550 §6.2).
    pub(crate) const fn new(rng: Rng, bandwidth: u64, least: Duration) -> Self {
        Self {
            rng,
            bandwidth: share(bandwidth),
            least,
            members: 2,
            senders: 0,
            we_send: false,
            average: INITIAL_SIZE * 16,
            initial: true,
            last: Instant::from_nanos(0),
            next: None,
            allow_early: true,
            credit: 0,
            credited: Instant::from_nanos(0),
        }
    }

    /// Begins to count, with the first thing there is to report.
    pub(crate) fn start(&mut self, now: Instant) {
        if self.next.is_none() {
            (self.last, self.credited) = (now, now);
            self.credit = self.full();
            self.next = Some(now + self.draw());
        }
    }

    pub(crate) const fn set_bandwidth(&mut self, bandwidth: u64) {
        self.bandwidth = share(bandwidth);
    }

    /// Who takes part: sources that are heard or ours, and of them those that send. When there are fewer, the next datagram comes
    /// sooner (RFC 3550 §6.3.4).
    pub(crate) fn set_members(&mut self, now: Instant, members: u32, senders: u32, we_send: bool) {
        let before = self.members;
        (self.members, self.senders, self.we_send) = (members.max(2), senders, we_send);
        if self.members < before
            && let Some(next) = self.next
        {
            let part = |span: Duration| span * self.members / before.max(1);
            self.next = Some(now + part(next - now));
            let last = now - self.last;
            self.last = Instant::from_nanos(now.as_nanos().saturating_sub(nanos(part(last))));
        }
    }

    /// A datagram of so many bytes was sent or came (RFC 3550 §6.3.3): for each source that reports in it its part (RFC 8108 §5.3).
    pub(crate) fn count(&mut self, bytes: usize, sources: usize) {
        let size = bytes.saturating_add(OVERHEAD).checked_div(sources.max(1)).unwrap_or(bytes);
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        self.average = self.average.saturating_sub(self.average / 16).saturating_add(size);
    }

    /// When the next regular datagram is due.
    pub(crate) const fn due(&self) -> Option<Instant> {
        self.next
    }

    /// Whether it is time for a regular datagram: the interval is drawn again, as RFC 3550 §6.3.6 has it, so that a crowd that
    /// comes at once does not speak at once.
    pub(crate) fn is_regular(&mut self, now: Instant) -> bool {
        let Some(next) = self.next.filter(|next| *next <= now) else { return false };
        let interval = self.draw();
        // The least interval was kept when this was drawn before.
        if self.last + interval <= now || self.members == 2 {
            return true;
        }
        self.next = Some((self.last + interval).max(next));
        false
    }

    /// Whether feedback may go now, in a datagram of its own.
    pub(crate) fn allows_feedback(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.credit >= u128::from(self.average / 16) * BILLION || self.allow_early
    }

    /// When feedback may go that may not now.
    pub(crate) fn feedback_due(&self) -> Option<Instant> {
        let missing = (u128::from(self.average / 16) * BILLION).saturating_sub(self.credit);
        if missing == 0 || self.allow_early {
            return Some(Instant::default());
        }
        let wait = missing.checked_div(self.bandwidth.into()).unwrap_or(u128::MAX).saturating_add(1);
        let credited = self.credited + Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX));
        Some(self.next.map_or(credited, |next| next.min(credited)))
    }

    /// A datagram was sent: a regular one, or one of feedback.
    pub(crate) fn sent(&mut self, now: Instant, bytes: usize, sources: usize, regular: bool) {
        self.refill(now);
        self.count(bytes, sources);
        let cost = u128::try_from(bytes.saturating_add(OVERHEAD)).unwrap_or(0) * BILLION;
        if regular {
            self.credit = self.credit.saturating_sub(cost);
            self.initial = false;
            self.allow_early = true;
            self.last = now;
            self.next = Some(now + self.draw());
            return;
        }
        if let Some(rest) = self.credit.checked_sub(cost) {
            self.credit = rest;
        } else {
            // RFC 4585 §3.5.2: the next regular datagram is put off by an interval, and no feedback goes before it.
            self.credit = 0;
            self.allow_early = false;
            let interval = self.draw();
            self.next = self.next.map(|next| next.max(self.last + interval * 2));
        }
    }

    /// The deterministic interval, Td (RFC 3550 §6.3.1), but for the least.
    pub(crate) fn interval(&self) -> Duration {
        let (members, senders) = (u64::from(self.members), u64::from(self.senders));
        let average = self.average / 16;
        // A quarter of the bandwidth is the senders', if they are no more than a quarter of all.
        let (count, quarters) = if senders.saturating_mul(4) <= members {
            if self.we_send { (senders, 1) } else { (members.saturating_sub(senders), 3) }
        } else {
            (members, 4)
        };
        let bytes = average.saturating_mul(count).saturating_mul(4);
        let nanos = u128::from(bytes).saturating_mul(BILLION)
            / u128::from(self.bandwidth.saturating_mul(quarters).max(1));
        let computed = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        // RFC 4585 §3.4: one second before the first, and none after it but what was set.
        computed.max(if self.initial { self.least.min(INITIAL_INTERVAL) / 2 } else { self.least })
    }

    /// The interval at random: half to one and a half, less what reconsideration adds (RFC 3550 §6.3.1).
    fn draw(&mut self) -> Duration {
        let share = 500_000 + self.rng.below(1_000_001);
        let interval = self.interval().min(MAX_INTERVAL);
        let nanos = u128::from(nanos(interval)) * u128::from(share) / 1_218_282;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now - self.credited;
        self.credited = self.credited.max(now);
        let earned = elapsed.as_nanos().saturating_mul(self.bandwidth.into());
        self.credit = self.credit.saturating_add(earned).min(self.full());
    }

    /// What a second earns, and two datagrams at least.
    fn full(&self) -> u128 {
        u128::from(self.bandwidth.max(2 * MAX_SIZE)) * BILLION
    }
}

/// 5 % in bytes.
const fn share(bandwidth: u64) -> u64 {
    let share = bandwidth / 160;
    if share == 0 { 1 } else { share }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

const BILLION: u128 = 1_000_000_000;
/// A report with a block and a name.
const INITIAL_SIZE: u64 = 100;
const MAX_SIZE: u64 = 1500;
/// UDP and IPv4.
const OVERHEAD: usize = 28;
const INITIAL_INTERVAL: Duration = Duration::from_secs(1);
/// However little bandwidth there is: beyond this a peer takes us for gone.
const MAX_INTERVAL: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(bandwidth: u64) -> Schedule {
        Schedule::new(Rng::new([7; 32]), bandwidth, Duration::from_secs(1))
    }

    /// How many bytes, datagrams of 100 bytes, go in a minute, and how far apart regular ones are.
    fn run(schedule: &mut Schedule, feedback: Option<Duration>) -> (u64, Vec<Duration>) {
        let (mut now, end) = (Instant::default(), Instant::default() + Duration::from_secs(60));
        let (mut bytes, mut apart, mut last) = (0, Vec::new(), None);
        schedule.start(now);
        let mut wanted = now;
        while now < end {
            if schedule.is_regular(now) {
                schedule.sent(now, 100, 1, true);
                bytes += 128;
                apart.extend(last.replace(now).map(|last| now - last));
            } else if feedback.is_some() && wanted <= now && schedule.allows_feedback(now) {
                schedule.sent(now, 100, 1, false);
                bytes += 128;
                wanted = now + feedback.unwrap();
            }
            now += Duration::from_millis(1);
        }
        (bytes, apart)
    }

    #[test]
    fn regular_datagrams_are_half_to_one_and_a_half_intervals_apart() {
        let (_, apart) = run(&mut schedule(10_000_000), None);
        let (low, high) = (Duration::from_millis(410), Duration::from_millis(1232));
        assert!(apart.iter().all(|apart| (low..=high).contains(apart)), "{apart:?}");
        assert!(apart.iter().max() > apart.iter().min().map(|min| *min * 3 / 2).as_ref());
        // 128 bytes of two who only receive at 8,000 bit/s, of which they have three quarters of 50 bytes a second.
        let mut slow = schedule(8000);
        (0..200).for_each(|_| slow.count(100, 1));
        assert!((slow.interval().as_secs_f64() - 6.83).abs() < 0.1, "{:?}", slow.interval());
        // The same bytes a source, of sources that speak together.
        let mut many = schedule(8000);
        (0..200).for_each(|_| many.count(8 * 128 - 28, 8));
        assert!(
            many.interval().abs_diff(slow.interval()) < Duration::from_millis(100),
            "{:?}",
            many.interval()
        );
    }

    #[test]
    fn feedback_goes_at_once_within_its_share_and_no_faster_beyond() {
        // Every 20 ms at 5 % of 2 Mbit/s: 12,500 bytes a second are more than the 6,400 that it takes.
        let (bytes, _) = run(&mut schedule(2_000_000), Some(Duration::from_millis(20)));
        assert!(bytes > 60 * 6000, "{bytes}");
        // Of 200 kbit/s RTCP has 1,250 bytes a second.
        let (bytes, apart) = run(&mut schedule(200_000), Some(Duration::from_millis(20)));
        assert!(bytes < 60 * 1250 * 12 / 10 + 3000, "{bytes}");
        assert!(!apart.is_empty());
    }

    #[test]
    fn when_others_leave_the_next_datagram_comes_sooner() {
        let mut schedule = schedule(8000);
        schedule.set_members(Instant::default(), 100, 0, false);
        schedule.start(Instant::default());
        let before = schedule.due().unwrap();
        schedule.set_members(Instant::default(), 10, 0, false);
        let after = schedule.due().unwrap();
        assert_eq!(after.as_nanos(), before.as_nanos() / 10);
    }
}
