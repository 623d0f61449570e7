//! When an agent gives up (RFC 8863), and that it always does or is connected (THREATS I11).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use crypto::Rng;
use ice::{Failure, Role, State};
use proto::{Instant, Path};
use support::{A, B, Peer, introduce, receive, seconds, send, signal};
use testkit::{Link, Pair, epoch};

/// Runs an agent alone until `end`; the time at which it failed.
fn fails(peer: &mut Peer, end: Instant) -> Option<(Instant, Failure)> {
    let mut now = epoch();
    loop {
        peer.agent.handle_timeout(now);
        while send(peer, now).is_some() {}
        if let State::Failed(failure) = peer.agent.state() {
            return Some((now, failure));
        }
        now = peer.agent.poll_timeout().filter(|due| *due <= end)?.max(now);
    }
}

/// What one sends comes to the other at once.
fn deliver(from: &mut Peer, to: &mut Peer, now: Instant) {
    from.agent.handle_timeout(now);
    while let Some((Path { carrier, local, remote }, bytes)) = send(from, now) {
        let _ = receive(to, Path { carrier, local: remote, remote: local }, now, &bytes);
    }
}

const PATIENCE: Duration = Duration::from_millis(39_500);

/// RFC 8863 §4: nothing to check, and nothing more to come, is no failure before its time.
#[test]
fn an_agent_without_a_pair_waits_for_the_peers_checks() {
    for ends in [false, true] {
        let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
        let mut b = Peer::new(Role::Controlled, [2; 32]).host(B);
        introduce(&mut a, &mut b, epoch());
        if ends {
            a.agent.end_of_remote_candidates(epoch());
        }
        let (at, failure) = fails(&mut a, epoch() + seconds(100)).unwrap();
        assert_eq!((at - epoch(), failure), (PATIENCE, Failure::NoRemoteCandidates));
    }
    // A check that comes at the last moment is in time.
    let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
    let mut b = Peer::new(Role::Controlled, [2; 32]).host(B);
    introduce(&mut a, &mut b, epoch());
    a.agent.end_of_remote_candidates(epoch());
    let end = epoch() + (PATIENCE - Duration::from_millis(100));
    assert_eq!(fails(&mut a, end), None);
    a.agent.handle_timeout(end);
    assert_eq!(a.agent.state(), State::Checking);
    signal(&a, &mut b, end);
    for step in 0..20 {
        let now = end + Duration::from_millis(step * 10);
        deliver(&mut b, &mut a, now);
        deliver(&mut a, &mut b, now);
    }
    assert!(a.is_connected() && b.is_connected(), "{:?}", a.agent.stats());
}

/// Each side has heard a check of the other's, and then nothing gets through for a while.
#[test]
fn checks_go_on_through_an_outage_that_begins_with_the_first_of_them() {
    for outage in [1, 4, 7, 8, 9, 11, 13, 15].map(seconds) {
        let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
        let mut b = Peer::new(Role::Controlled, [2; 32]).host(B);
        introduce(&mut a, &mut b, epoch());
        signal(&a, &mut b, epoch());
        signal(&b, &mut a, epoch());
        let checks = [send(&mut a, epoch()).unwrap(), send(&mut b, epoch()).unwrap()];
        for (to, (Path { carrier, local, remote }, bytes)) in [&mut b, &mut a].into_iter().zip(checks) {
            receive(to, Path { carrier, local: remote, remote: local }, epoch(), &bytes).unwrap();
        }
        for step in 0..750 {
            let now = epoch() + Duration::from_millis(step * 50);
            if now < epoch() + outage {
                for peer in [&mut a, &mut b] {
                    peer.agent.handle_timeout(now);
                    while send(peer, now).is_some() {}
                }
            } else {
                deliver(&mut a, &mut b, now);
                deliver(&mut b, &mut a, now);
            }
        }
        assert!(a.is_connected() && b.is_connected(), "{outage:?}: {:?}", a.agent.stats());
    }
}

/// RFC 8863 §4: that every check was refused is no failure before its time.
#[test]
fn an_agent_whose_pairs_have_all_failed_waits_for_the_peers_checks() {
    let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
    let mut b = Peer::new(Role::Controlled, [2; 32]).host(B);
    introduce(&mut a, &mut b, epoch());
    signal(&b, &mut a, epoch());
    let key = stun::IntegrityKey::short_term(crypto::rust_crypto(), b.agent.local_credentials().password());
    let (path, check) = send(&mut a, epoch()).unwrap();
    let id = stun::wire::Message::decode(&check).unwrap().transaction();
    let error = stun::wire::ErrorCode { code: 400, reason: "Bad Request" };
    let refusal = [stun::wire::Attribute::ErrorCode(error)];
    let refusal = support::message(stun::wire::Class::Error, id, &refusal, Some(&key));
    receive(&mut a, path, epoch(), &refusal).unwrap();
    assert_eq!(a.agent.stats().pairs[0].state, ice::PairState::Failed);
    let (at, failure) = fails(&mut a, epoch() + seconds(100)).unwrap();
    assert_eq!((at - epoch(), failure), (PATIENCE, Failure::NoAnswer));
}

/// RFC 8863 §4: the time begins with the peer's description, and anew with a restart.
#[test]
fn patience_begins_with_the_peers_credentials_and_anew_with_a_restart() {
    let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
    let mut b = Peer::new(Role::Controlled, [2; 32]).host(B);
    assert_eq!(fails(&mut a, epoch() + seconds(100)), None, "nobody was heard of yet");
    let later = epoch() + seconds(100);
    introduce(&mut a, &mut b, later);
    a.agent.restart(later + seconds(30));
    b.agent.restart(later + seconds(30));
    introduce(&mut a, &mut b, later + seconds(30));
    let (at, _) = fails(&mut a, later + seconds(200)).unwrap();
    assert_eq!(at - later, seconds(30) + PATIENCE);
}

/// Checks that cross a restart are refused, as of somebody else; what fails hours later has its own reason.
#[test]
fn what_was_refused_before_a_restart_is_no_reason_after_it() {
    let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
    let mut b = Peer::new(Role::Controlled, [2; 32]).host(B);
    let refuse = |a: &mut Peer, now| {
        let (path, check) = send(a, now).unwrap();
        let id = stun::wire::Message::decode(&check).unwrap().transaction();
        let error = stun::wire::ErrorCode { code: 401, reason: "Unauthenticated" };
        let refusal = [stun::wire::Attribute::ErrorCode(error)];
        let _ = receive(a, path, now, &support::message(stun::wire::Class::Error, id, &refusal, None));
    };
    introduce(&mut a, &mut b, epoch());
    signal(&b, &mut a, epoch());
    refuse(&mut a, epoch());
    let later = epoch() + seconds(1);
    for peer in [&mut a, &mut b] {
        peer.agent.restart(later);
    }
    introduce(&mut a, &mut b, later);
    signal(&b, &mut a, later);
    assert_eq!(fails(&mut a, later + seconds(100)).unwrap().1, Failure::NoAnswer);
    // One of the same time is.
    let last = later + seconds(200);
    for peer in [&mut a, &mut b] {
        peer.agent.restart(last);
    }
    introduce(&mut a, &mut b, last);
    signal(&b, &mut a, last);
    refuse(&mut a, last);
    assert_eq!(fails(&mut a, last + seconds(100)).unwrap().1, Failure::WrongCredentials);
}

/// THREATS I11.
#[test]
fn whatever_the_order_and_losses_of_signalling_an_agent_is_connected_or_has_failed() {
    let (mut connected, mut failed) = (0, 0);
    for seed in 0..testkit::scaled_at_least(100_000, 1000) {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let mut rng = Rng::new(bytes);
        let a = Peer::new(Role::Controlling, rng.array()).host(A).host("10.0.0.1:1001");
        let b = Peer::new(if rng.below(8) == 0 { Role::Controlling } else { Role::Controlled }, rng.array())
            .host(B);
        let lost = if rng.below(4) == 0 { 1.0 } else { f64::from(rng.below(4)) / 10.0 };
        let link =
            Link { loss: lost, delay: Duration::from_millis(u64::from(rng.below(200))), ..Link::default() };
        let mut pair = Pair::new(a, b, link, rng.array());
        // Each side hears of the other's credentials, candidates and their end, in any order; the last two perhaps never.
        let mut news: Vec<(u64, u32)> = (0..6).map(|what| (u64::from(rng.below(5000)), what)).collect();
        news.retain(|(_, what)| *what < 2 || rng.below(4) > 0);
        news.sort_unstable();
        let told = |pair: &mut Pair<Peer, Peer>, what: u32| {
            let now = pair.now();
            let (from, to) =
                if what.is_multiple_of(2) { (&pair.a, &mut pair.b) } else { (&pair.b, &mut pair.a) };
            match what / 2 {
                0 => to.agent.set_remote_credentials(now, from.agent.local_credentials().clone()),
                1 => {
                    for candidate in from.agent.local_candidates() {
                        to.agent.add_remote_candidate(now, candidate).unwrap();
                    }
                }
                _ => to.agent.end_of_remote_candidates(now),
            }
        };
        let mut passed = 0;
        for (at, what) in news {
            pair.run(Duration::from_millis(at - passed), |_| false);
            passed = at;
            told(&mut pair, what);
        }
        // Both know the other's credentials; 44 s later it is clear, and stays so while nothing changes.
        pair.run(seconds(80), |pair| [&pair.a, &pair.b].iter().all(|peer| is_settled(peer)));
        for peer in [&pair.a, &pair.b] {
            assert!(is_settled(peer), "seed {seed}: {:?}", peer.agent.stats());
        }
        if pair.a.is_connected() {
            connected += 1
        } else {
            failed += 1
        }
        assert!(pair.elapsed() <= seconds(5 + 44 + 31), "seed {seed}");
    }
    assert!(connected > 0 && failed > 0, "{connected} {failed}");
}

fn is_settled(peer: &Peer) -> bool {
    matches!(peer.agent.state(), State::Completed | State::Connected | State::Failed(_))
}
