//! The rules that every machine obeys (`docs/architecture.md`, "The contract"), checked on a pair.
//!
//! A test makes the pair, twice alike, and says how long it runs:
//!
//! ```text
//! testkit::conformance::check(Duration::from_secs(30), |seed| Pair::new(client(seed), server(seed), link(), seed));
//! ```

use std::time::Duration;

use crypto::{Rng, derive_seed};
use proto::{Arrival, Instant};

use crate::{Machine, Pair, epoch, path};

/// Runs pairs from `make` for `time` each and checks what `docs/architecture.md` promises of machines:
///
/// * equal seeds and inputs give equal outputs (rule 1);
/// * an earlier time, and a time-out handled early or twice, change nothing (rules 1 and 3);
/// * after it was drained a machine has no timer in the past (rule 3);
/// * a batch without room changes nothing (rule 4);
/// * what is refused changes nothing: random datagrams are refused, and do not show in what follows (rule 5).
///
/// # Panics
///
/// If one of them does not hold.
pub fn check<A: Machine, B: Machine>(time: Duration, make: impl Fn([u8; 32]) -> Pair<A, B>) {
    let seed = [0x5a; 32];
    let plain = fingerprint(make(seed), time, |_| {});
    assert_eq!(plain, fingerprint(make(seed), time, |_| {}), "equal seeds, different runs");

    let nudged = fingerprint(make(seed), time, |pair| {
        let now = pair.now();
        for at in [now, Instant::from_nanos(now.as_nanos() - 1_000_000), epoch(), now] {
            pair.a.handle_timeout(at);
            pair.b.handle_timeout(at);
        }
    });
    assert_eq!(plain, nudged, "early, late or repeated handle_timeout shows");

    let cramped = fingerprint(make(seed), time, Pair::offer_no_room);
    assert_eq!(plain, cramped, "a batch without room shows");

    let mut rng = Rng::new(derive_seed(&seed, "rubbish"));
    let bothered = fingerprint(make(seed), time, |pair| {
        let arrival = Arrival { path: path("198.51.100.1:1", "198.51.100.2:2"), ecn: None, at: pair.now() };
        for _ in 0..4 {
            let mut rubbish = [0; 100];
            rng.fill(&mut rubbish);
            let len = rng.below(100) as usize;
            let rubbish = rubbish.get_mut(..len).unwrap_or_default();
            let mut copy = rubbish.to_vec();
            assert!(!pair.a.handle_datagram(arrival, rubbish), "a takes rubbish: {copy:02x?}");
            assert!(!pair.b.handle_datagram(arrival, &mut copy), "b takes rubbish");
        }
    });
    assert_eq!(plain, bothered, "datagrams that were refused show");
}

fn fingerprint<A: Machine, B: Machine>(
    mut pair: Pair<A, B>,
    time: Duration,
    mut disturb: impl FnMut(&mut Pair<A, B>),
) -> (u64, String) {
    disturb(&mut pair);
    pair.run(time, |pair| {
        disturb(pair);
        false
    });
    (pair.trace.count(), pair.trace.fingerprint())
}
