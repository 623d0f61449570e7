use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crypto::{HashAlgorithm, Hmac, Provider};
use proto::Instant;

use super::shared::nanoseconds;

/// Bounds the answers that strangers can ask for, by network (/24, /56): a table of fixed size, in which
/// networks that fall together share what there is.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Which networks fall together nobody outside can tell.
    hmac: Box<dyn Hmac>,
    per_second: u32,
}

/// The table: in each slot a second, and how many answers there were in it.
#[derive(Debug)]
pub(super) struct Slots(Box<[AtomicU64]>);

impl Slots {
    pub(super) fn new() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Limiter {
    pub(super) fn new(provider: &dyn Provider, per_second: u32, seed: &[u8; 32]) -> Self {
        let key = crypto::derive_seed(seed, "turn limiter");
        Self { hmac: provider.hmac(HashAlgorithm::Sha256, &key), per_second }
    }

    /// Whether one more answer may go to `ip`, which is then counted.
    pub(super) fn admits(&self, slots: &Slots, now: Instant, ip: IpAddr) -> bool {
        let network = match ip {
            IpAddr::V4(ip) => u128::from(ip.to_bits() >> 8),
            IpAddr::V6(ip) => ip.to_bits() >> 72 << 72,
        };
        let digest = self.hmac.sign(&[&network.to_be_bytes()]);
        let place =
            digest.as_bytes().iter().take(4).fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
        let second = now.since_epoch().as_secs() << COUNT_BITS;
        let Some(slot) = slots.0.get(place % SLOTS) else { return false };
        let one_more = |slot: u64| {
            let count = if slot & !MAX_COUNT == second { slot & MAX_COUNT } else { 0 };
            Some(second | count.saturating_add(1).min(MAX_COUNT))
        };
        // It always has a value.
        let before = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).unwrap_or(MAX_COUNT);
        let count = if before & !MAX_COUNT == second { before & MAX_COUNT } else { 0 };
        count < u64::from(self.per_second)
    }
}

/// How fast all allocations of all servers may send together: a bucket that holds a second's worth, without a lock.
#[derive(Debug)]
pub(super) struct Total {
    /// Bytes a second; none is no bound.
    rate: Option<u64>,
    /// When it would be empty: by how much that lies ahead says how full it is.
    empty: AtomicU64,
}

impl Total {
    pub(super) const fn new(rate: Option<u64>) -> Self {
        Self { rate, empty: AtomicU64::new(0) }
    }

    /// Whether `bytes` more may go through, which are then counted.
    pub(super) fn admits(&self, now: Instant, bytes: u64) -> bool {
        self.fill(now, bytes, true)
    }

    /// How many bytes may go through.
    pub(super) fn room(&self, now: Instant) -> u64 {
        let Some(rate) = self.rate else { return u64::MAX };
        let ahead = self.empty.load(Ordering::Relaxed).saturating_sub(nanoseconds(now));
        let free = SECOND.as_nanos().saturating_sub(u128::from(ahead));
        u64::try_from(free.saturating_mul(u128::from(rate)) / SECOND.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Counts bytes that went through, whether they might or not: between `room` and this others count too.
    pub(super) fn take(&self, now: Instant, bytes: u64) {
        self.fill(now, bytes, false);
    }

    fn fill(&self, now: Instant, bytes: u64, is_bounded: bool) -> bool {
        let Some(rate) = self.rate else { return true };
        let now = nanoseconds(now);
        let cost = u128::from(bytes).saturating_mul(SECOND.as_nanos()).div_ceil(u128::from(rate.max(1)));
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        let fill = |empty: u64| {
            let after = empty.max(now).saturating_add(cost);
            (!is_bounded || u128::from(after.saturating_sub(now)) <= SECOND.as_nanos()).then_some(after)
        };
        self.empty.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fill).is_ok()
    }
}

/// What counts as one source: an IPv4 address, and of IPv6 the /64 that its owner has (RFC 4291 §2.5.4).
pub fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

/// How fast an allocation may send: a bucket that holds a second's worth.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Bytes a second; none is no bound.
    rate: Option<u64>,
    /// Never falls without a rate, and bounds nothing then.
    filled: u64,
    at: Instant,
    /// Bytes that ever went through.
    passed: u64,
}

impl Bucket {
    pub(super) const fn new(now: Instant, rate: Option<u64>) -> Self {
        Self { rate, filled: 0, at: now, passed: 0 }
    }

    /// Whether `bytes` more may go through.
    pub(super) fn has_room(&mut self, now: Instant, bytes: u64) -> bool {
        self.room(now) >= bytes
    }

    /// How many bytes may go through.
    pub(super) fn room(&mut self, now: Instant) -> u64 {
        let Some(rate) = self.rate else { return u64::MAX };
        let elapsed = now - self.at;
        let drained = elapsed.as_nanos().saturating_mul(u128::from(rate)) / SECOND.as_nanos();
        let drained = u64::try_from(drained).unwrap_or(u64::MAX);
        if drained > 0 {
            self.filled = self.filled.saturating_sub(drained);
            // Not up to now: parts of a byte count too.
            let whole = u128::from(drained).saturating_mul(SECOND.as_nanos()) / u128::from(rate);
            let whole = Duration::from_nanos(u64::try_from(whole).unwrap_or(u64::MAX));
            self.at = (self.at + whole).min(now);
        }
        rate.saturating_sub(self.filled)
    }

    /// Counts bytes that went through.
    pub(super) const fn take(&mut self, bytes: u64) {
        self.filled = self.filled.saturating_add(bytes);
        self.passed = self.passed.saturating_add(bytes);
    }

    /// Bytes that ever went through.
    pub(super) const fn passed(&self) -> u64 {
        self.passed
    }
}

/// 32 KiB of memory.
const SLOTS: usize = 4096;
/// Of a slot those that count; the second is above them.
const COUNT_BITS: u32 = 24;
const MAX_COUNT: u64 = (1 << COUNT_BITS) - 1;
const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// THREATS T6.
    #[test]
    fn a_network_gets_so_many_answers_a_second() {
        let (limiter, slots) = (Limiter::new(crypto::default_provider(), 20, &[1; 32]), Slots::new());
        let asked = |now: Instant, ip: &str| limiter.admits(&slots, now, ip.parse().unwrap());
        let now = testkit::epoch();
        for (one, other) in [("192.0.2.1", "192.0.2.255"), ("2001:db8::1", "2001:db8:0:ff::1")] {
            let admitted = (0..100).filter(|n| asked(now, if n % 2 == 0 { one } else { other })).count();
            assert_eq!(admitted, 20);
            assert!(asked(now + SECOND, one));
        }
        assert!(asked(now, "198.51.100.1"), "another network");
    }

    #[test]
    fn a_bucket_lets_its_rate_through_and_no_more() {
        let mut now = testkit::epoch();
        let mut bucket = Bucket::new(now, Some(100_000));
        for _ in 0..10_000 {
            if bucket.has_room(now, 1000) {
                bucket.take(1000);
            }
            now += Duration::from_millis(1);
        }
        let mut slow = Bucket::new(now, Some(15_000));
        for _ in 0..100_000 {
            if slow.has_room(now, 10) {
                slow.take(10);
            }
            now += Duration::from_micros(100);
        }
        let slowly = slow.passed();
        assert!((150_000..=165_000).contains(&slowly), "{slowly} in ten seconds, looked at often");
        let passed = bucket.passed();
        assert!((1_000_000..=1_100_000).contains(&passed), "{passed} in ten seconds, one of them at once");
        assert!(Bucket::new(now, None).has_room(now, u64::MAX));
    }

    /// The same, however many look at it at once.
    #[test]
    fn all_together_have_one_bucket() {
        let (mut now, total) = (testkit::epoch(), Total::new(Some(100_000)));
        let mut passed = 0_u64;
        for _ in 0..10_000 {
            passed += if total.admits(now, 1000) { 1000 } else { 0 };
            now += Duration::from_millis(1);
        }
        assert!((1_000_000..=1_100_000).contains(&passed), "{passed} in ten seconds, one of them at once");
        assert!(Total::new(None).admits(now, u64::MAX) && !Total::new(Some(0)).admits(now, 2));
        now += SECOND;
        let at_once: usize = std::thread::scope(|scope| {
            let count = || (0..1000).filter(|_| total.admits(now, 1000)).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(at_once, 100);
    }

    #[test]
    fn all_together_refuse_so_many_times() {
        let slots = Slots::new();
        let now = testkit::epoch();
        let admitted: usize = std::thread::scope(|scope| {
            let count = || {
                let limiter = Limiter::new(crypto::default_provider(), 20, &[1; 32]);
                (0..100).filter(|_| limiter.admits(&slots, now, [192, 0, 2, 1].into())).count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 20);
    }
}
