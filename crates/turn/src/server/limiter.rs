use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crypto::{HashAlgorithm, Hmac, Provider};
use proto::Instant;

/// Bounds the answers that strangers can ask for, by network (/24, /56): a table of fixed size, in which
/// networks that fall together share what there is.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Which networks fall together nobody outside can tell.
    hmac: Box<dyn Hmac>,
    per_second: u32,
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    second: u64,
    count: u32,
}

impl Limiter {
    pub(super) fn new(provider: &dyn Provider, per_second: u32, seed: &[u8; 32]) -> Self {
        let key = crypto::derive_seed(seed, "turn limiter");
        Self {
            hmac: provider.hmac(HashAlgorithm::Sha256, &key),
            per_second,
            slots: vec![Slot::default(); SLOTS],
        }
    }

    /// Whether one more answer may go to `ip`, which is then counted.
    pub(super) fn admits(&mut self, now: Instant, ip: IpAddr) -> bool {
        let network = match ip {
            IpAddr::V4(ip) => u128::from(ip.to_bits() >> 8),
            IpAddr::V6(ip) => ip.to_bits() >> 72 << 72,
        };
        let digest = self.hmac.sign(&[&network.to_be_bytes()]);
        let place =
            digest.as_bytes().iter().take(4).fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
        let second = now.since_epoch().as_secs();
        let Some(slot) = self.slots.get_mut(place % SLOTS) else { return false };
        if slot.second != second {
            *slot = Slot { second, count: 0 };
        }
        slot.count = slot.count.saturating_add(1);
        slot.count <= self.per_second
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
        let Some(rate) = self.rate else { return true };
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
        self.filled.saturating_add(bytes) <= rate
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

/// 64 KiB of memory.
const SLOTS: usize = 4096;
const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// THREATS T6.
    #[test]
    fn a_network_gets_so_many_answers_a_second() {
        let mut limiter = Limiter::new(crypto::default_provider(), 20, &[1; 32]);
        let mut asked = |now: Instant, ip: &str| limiter.admits(now, ip.parse().unwrap());
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
}
