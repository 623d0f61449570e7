//! Networks that change under a session: addresses that come and go, and outages longer than the peer's consent lasts.
//! Each is run with several seeds, which draw when it happens and how long signalling takes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::net::SocketAddr;
use std::time::Duration;

use crypto::Rng;
use harness::{Two, config};
use session::{ChannelId, ConnectionState, Event, Failure, IceFailure};

/// What a seed draws.
struct Draw(Rng);

impl Draw {
    fn of(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        Self(Rng::new(bytes))
    }

    fn millis(&mut self, least: u32, most: u32) -> Duration {
        Duration::from_millis((least + self.0.below(most - least + 1)).into())
    }

    fn side(&mut self) -> usize {
        self.0.below(2) as usize
    }
}

fn other_address(side: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 101 + u8::try_from(side).unwrap()], 4000))
}

/// Hands a message over each way, and says how long it takes until both have come.
fn resumes(two: &mut Two, ours: ChannelId, theirs: ChannelId, limit: Duration) -> Duration {
    let start = two.now();
    two.send(0, ours, &b"are you there?"[..]);
    two.send(1, theirs, &b"are you there?"[..]);
    let mut came = [0, 0];
    let done = two.run(limit, |two| {
        came[1] += two.messages(1, theirs).len();
        came[0] += two.messages(0, ours).len();
        came == [1, 1]
    });
    assert!(done, "{came:?} {}", two.reports());
    two.now() - start
}

fn asks_for_an_offer(two: &mut Two, side: usize) -> bool {
    two.seen[side].iter().any(|event| matches!(event, Event::NegotiationNeeded))
}

/// THREATS §3.2 figure 13: the old address is dead and the new one known; data goes on within a second of the exchange of
/// descriptions that the session itself has asked for.
#[test]
fn after_a_change_of_address_with_notice_data_goes_on_at_once() {
    let mut took = Vec::new();
    for seed in 0..testkit::scaled_at_least(1000, 200) {
        let mut draw = Draw::of(seed);
        let mut two = Two::new();
        let ours = two.connect();
        let theirs = two.incoming(1);
        two.run(draw.millis(0, 8000), |_| false);
        let mover = draw.side();
        two.seen[mover].clear();
        let (old, new, now) = (
            two.session(mover).stats(testkit::epoch()).selected_path.unwrap().local,
            other_address(mover),
            two.now(),
        );
        let host = two.hosts[mover];
        two.world.network.set_addresses(host, &[new.ip()]);
        two.session(mover).remove_local_address(now, old);
        two.session(mover).add_local_address(now, new);
        // Signalling takes its time, and candidates travel with it.
        let wait = draw.millis(20, 300);
        two.run(wait, |_| false);
        assert!(asks_for_an_offer(&mut two, mover), "seed {seed}");
        two.negotiate(mover);
        took.push(resumes(&mut two, ours, theirs, Duration::from_secs(3)));
        let now = two.now();
        assert_eq!(two.session(mover).stats(now).selected_path.unwrap().local, new, "seed {seed}");
    }
    took.sort_unstable();
    let (median, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("address change with notice: median {median:?}, p99 {p99:?}, of {}", took.len());
    assert!(median <= Duration::from_secs(1) && p99 <= Duration::from_secs(3), "{median:?} {p99:?}");
}

/// The one in use goes, and another is there: no restart.
#[test]
fn with_another_address_at_hand_no_restart_is_needed() {
    for seed in 0..testkit::scaled_at_least(1000, 50) {
        let mut draw = Draw::of(seed);
        // The controlling side chooses, or is moved.
        let mover = draw.side();
        let mut configs = [config(0), config(1)];
        configs[mover].local_addresses.push(other_address(mover));
        let mut two = Two::with(configs, harness::near());
        let (host, both) = (
            two.hosts[mover],
            [config(u8::try_from(mover).unwrap()).local_addresses[0], other_address(mover)],
        );
        two.world.network.set_addresses(host, &both.map(|address| address.ip()));
        let ours = two.connect();
        let theirs = two.incoming(1);
        two.run(draw.millis(2000, 8000), |_| false);
        let now = two.now();
        let old = two.session(mover).stats(now).selected_path.unwrap().local;
        let left = both.into_iter().find(|address| *address != old).unwrap();
        two.seen[mover].clear();
        two.world.network.set_addresses(host, &[left.ip()]);
        two.session(mover).remove_local_address(now, old);
        // Who moves sends from the other one at once; the other side follows when it has asked for the old path in vain.
        resumes(&mut two, ours, theirs, Duration::from_secs(5));
        let now = two.now();
        assert_eq!(two.session(mover).stats(now).selected_path.unwrap().local, left, "seed {seed}");
        assert!(two.is_connected());
        assert!((0..2).all(|side| !asks_for_an_offer(&mut two, side)), "seed {seed}");
    }
}

/// THREATS §3.2 figure 12: consent is lost; the session asks for an offer by itself, and after its answer reliable data
/// goes on within two seconds, all of it.
#[test]
fn after_an_outage_longer_than_consent_the_session_asks_for_a_restart_and_loses_nothing() {
    let mut took = Vec::new();
    for seed in 0..testkit::scaled_at_least(1000, 200) {
        let mut draw = Draw::of(seed);
        let mut two = Two::new();
        let ours = two.connect();
        let theirs = two.incoming(1);
        two.run(draw.millis(0, 8000), |_| false);
        (0..2).for_each(|side| two.seen[side].clear());
        two.cut(&[0, 1]);
        // What is handed over meanwhile is kept.
        two.send(0, ours, vec![1; 5000]);
        two.send(1, theirs, vec![2; 5000]);
        let outage = draw.millis(36_000, 60_000);
        two.run(outage, |_| false);
        for side in 0..2 {
            let state = two.session(side).connection_state();
            assert_eq!(
                state,
                ConnectionState::Failed(Failure::Ice(IceFailure::ConsentExpired)),
                "seed {seed}"
            );
            assert!(asks_for_an_offer(&mut two, side), "seed {seed}: {:?}", two.seen[side]);
        }
        two.mend();
        let offerer = draw.side();
        two.negotiate(offerer);
        let start = two.now();
        let mut came = [Vec::new(), Vec::new()];
        let done = two.run(Duration::from_secs(60), |two| {
            came[0].extend(two.messages(0, ours));
            came[1].extend(two.messages(1, theirs));
            came.iter().all(|came| !came.is_empty())
        });
        assert!(done, "seed {seed}: {}", two.reports());
        assert_eq!(came, [vec![vec![2; 5000]], vec![vec![1; 5000]]], "seed {seed}");
        took.push(two.now() - start);
        two.echo(ours, theirs);
    }
    took.sort_unstable();
    let (median, last) = (took[took.len() / 2], took[took.len() - 1]);
    println!("outage of 36 to 60 s: median {median:?}, longest {last:?}, of {}", took.len());
    assert!(last <= Duration::from_secs(2), "{median:?} {last:?}");
}
