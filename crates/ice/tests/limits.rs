//! Every limit of a configuration, at the limit and one past it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use ice::{CandidateError, Config, Discard, LocalCandidate, Role};
use proto::{Instant, Path};
use stun::IntegrityKey;
use stun::wire::{Attribute, Class, Message};
use support::{A, B, Peer, receive, request, seconds, send};
use testkit::{epoch, path};

fn agent(change: impl FnOnce(&mut Config)) -> Peer {
    Peer::with(change, [1; 32]).host(A)
}

/// An agent that knows the credentials of a peer, and they of the agent.
fn acquainted(change: impl FnOnce(&mut Config)) -> (Peer, Peer) {
    let (mut a, b) = (agent(change), Peer::new(Role::Controlled, [2; 32]));
    a.agent.set_remote_credentials(epoch(), b.agent.local_credentials().clone());
    (a, b)
}

fn add_remote(peer: &mut Peer, number: usize, priority: usize) -> Result<(), CandidateError> {
    let (high, low) = (number / 250, number % 250 + 1);
    let line = format!("candidate:{number} 1 udp {priority} 10.1.{high}.{low} 9 typ host");
    peer.agent.add_remote_candidate(epoch(), line.parse().unwrap())
}

/// A check of `b`'s to `a`, as it has to be but for `more`.
fn check(a: &Peer, b: &Peer, more: &[Attribute<'_>]) -> Vec<u8> {
    let (ours, theirs) = (a.agent.local_credentials(), b.agent.local_credentials());
    let key = IntegrityKey::short_term(crypto::rust_crypto(), ours.password());
    let all = [&[Attribute::Priority(1), Attribute::IceControlled(1)], more].concat();
    request(Some(&format!("{}:{}", ours.ufrag(), theirs.ufrag())), &all, Some(&key))
}

/// Has a check of `b`'s arrive at `a`, from the address of this number.
fn ask(a: &mut Peer, b: &Peer, number: usize, more: &[Attribute<'_>]) -> Result<(), Discard> {
    let datagram = check(a, b, more);
    receive(a, from(number), epoch(), &datagram)
}

fn from(number: usize) -> Path {
    path(A, &format!("10.9.0.1:{}", 1000 + number))
}

/// What is sent until `end`, with nothing answered.
fn sent(peer: &mut Peer, end: Instant) -> Vec<(Instant, Path)> {
    let (mut all, mut now) = (Vec::new(), epoch());
    loop {
        peer.agent.handle_timeout(now);
        while let Some((to, _)) = send(peer, now) {
            all.push((now, to));
        }
        match peer.agent.poll_timeout() {
            Some(next) if next <= end => now = now.max(next),
            _ => return all,
        }
    }
}

#[test]
fn the_defaults_are_those_that_are_promised() {
    let config = Config::default();
    assert_eq!((config.max_candidates, config.max_pairs, config.max_learned), (100, 100, 10));
    assert_eq!((config.pace, config.max_unanswered), (Duration::from_millis(50), 9));
    assert_eq!((config.max_early_checks, config.max_replies, config.max_refusals), (4, 16, 5));
    assert_eq!(config.max_attributes, 64);
}

#[test]
fn each_side_has_as_many_candidates_as_the_limit_and_not_one_more() {
    for limit in [2, 100] {
        let (mut a, b) = acquainted(|config| config.max_candidates = limit);
        for number in 0..=limit {
            // The first stands there already.
            let local = LocalCandidate::host(([10, 0, 0, 9], 1 + u16::try_from(number).unwrap()).into());
            let added = a.agent.add_local_candidate(epoch(), local).map(drop);
            assert_eq!(added, if number < limit - 1 { Ok(()) } else { Err(CandidateError::TooMany) });
        }
        for number in 0..=limit {
            let added = add_remote(&mut a, number, 1000);
            assert_eq!(added, if number < limit { Ok(()) } else { Err(CandidateError::TooMany) }, "{number}");
        }
        // Nor does a check make one more.
        ask(&mut a, &b, 0, &[]).unwrap();
        let stats = a.agent.stats();
        assert_eq!((stats.local_candidates, stats.remote_candidates), (limit, limit));
    }
}

#[test]
fn a_check_makes_the_last_candidate_that_there_may_be() {
    let (mut a, b) = acquainted(|config| config.max_candidates = 2);
    for number in 0..3 {
        ask(&mut a, &b, number, &[]).unwrap();
        assert_eq!(a.agent.stats().remote_candidates, (number + 1).min(2));
        assert_eq!(a.agent.stats().pairs.len(), (number + 1).min(2));
    }
}

/// Two sides behind NATs that map each destination anew show each other address after address, none of which answers.
#[test]
fn checks_show_as_many_unanswered_addresses_as_the_limit_and_not_one_more() {
    let role = |config: &mut Config| config.role = Role::Controlled;
    let remotes = |a: &Peer| a.agent.remote_candidates().map(|(at, _)| at.port()).collect::<Vec<_>>();
    for limit in [1, 10] {
        let (mut a, b) = acquainted(|config| {
            role(config);
            config.max_learned = u32::try_from(limit).unwrap();
        });
        let controlling = Attribute::IceControlling(1);
        let ask = |a: &mut Peer, number: usize, to: &str, more: &[Attribute<'_>]| {
            let (ours, theirs) = (a.agent.local_credentials(), b.agent.local_credentials());
            let key = IntegrityKey::short_term(crypto::rust_crypto(), ours.password());
            let all = [&[Attribute::Priority(1), controlling], more].concat();
            let datagram = request(Some(&format!("{}:{}", ours.ufrag(), theirs.ufrag())), &all, Some(&key));
            receive(a, Path { local: to.parse().unwrap(), ..from(number) }, epoch(), &datagram).unwrap();
        };
        for number in 0..=limit {
            ask(&mut a, number, A, &[]);
        }
        let first: Vec<u16> = (1000..).take(limit).collect();
        assert_eq!(remotes(&a), first, "each check is answered all the same");
        // What came to another address of ours is counted apart: nobody there has shown anything yet.
        let other = "10.0.0.77:1";
        a.agent.add_local_candidate(epoch(), LocalCandidate::host(other.parse().unwrap())).unwrap();
        ask(&mut a, 500, other, &[]);
        assert_eq!(remotes(&a).len(), limit + 1);
        // And what the peer nominates has room, in place of the oldest.
        ask(&mut a, 600, A, &[Attribute::UseCandidate]);
        let now = remotes(&a);
        assert_eq!((now.len(), now.contains(&1000), now.last()), (limit + 1, false, Some(&1600)));
    }
}

#[test]
fn there_are_as_many_pairs_as_the_limit_and_the_best_of_them() {
    for limit in [3, 50] {
        let (mut a, _) = acquainted(|config| config.max_pairs = limit);
        for number in 0..limit {
            add_remote(&mut a, number, 1000 + number).unwrap();
        }
        let before = a.agent.stats().pairs;
        assert_eq!(before.len(), limit);
        add_remote(&mut a, limit, 1).unwrap();
        assert_eq!(a.agent.stats().pairs, before, "a worse one has no place");
        add_remote(&mut a, limit + 1, 9000).unwrap();
        let after = a.agent.stats().pairs;
        assert_eq!(after.len(), limit);
        assert_eq!(after[1..], before[..limit - 1], "a better one has that of the worst");
    }
}

#[test]
fn twenty_checks_a_second_are_sent_and_not_one_more() {
    let (mut a, _) = acquainted(|_| {});
    for number in 0..100 {
        add_remote(&mut a, number, 1000).unwrap();
    }
    let times: Vec<Instant> = sent(&mut a, epoch() + seconds(30)).into_iter().map(|(at, _)| at).collect();
    let within = |start: Instant| times.iter().filter(|at| (start..start + seconds(1)).contains(at)).count();
    let most = times.iter().map(|at| within(*at)).max();
    assert_eq!(most, Some(20));
}

#[test]
fn who_never_answers_gets_as_many_packets_as_the_limit() {
    for limit in [1, 4, 9] {
        let (mut a, b) = acquainted(|config| {
            (config.max_unanswered, config.max_requests) = (limit, 12);
            (config.rto, config.pace) = (Duration::from_millis(5), Duration::from_millis(5));
        });
        add_remote(&mut a, 0, 1000).unwrap();
        let limit = usize::try_from(limit).unwrap();
        assert_eq!(sent(&mut a, epoch() + seconds(38)).len(), limit);
        // A check of its own allows one more, beside the answer.
        let now = epoch() + seconds(38);
        let datagram = check(&a, &b, &[]);
        receive(&mut a, path(A, "10.1.0.1:9"), now, &datagram).unwrap();
        let mut classes = Vec::new();
        for _ in 0..5 {
            while let Some((_, bytes)) = send(&mut a, now) {
                classes.push(Message::decode(&bytes).unwrap().class());
            }
            a.agent.handle_timeout(now);
        }
        assert_eq!(classes, [Class::Success, Class::Request]);
    }
}

#[test]
fn checks_that_come_before_the_credentials_are_remembered_up_to_their_number() {
    for limit in [0, 1, 4] {
        let (mut a, b) =
            (agent(|config| config.max_early_checks = limit), Peer::new(Role::Controlled, [2; 32]));
        for number in 0..=limit {
            ask(&mut a, &b, number, &[]).unwrap();
            // The same one again takes no other place.
            ask(&mut a, &b, number, &[]).unwrap();
        }
        assert_eq!(a.agent.stats().pairs, []);
        a.agent.set_remote_credentials(epoch(), b.agent.local_credentials().clone());
        assert_eq!(a.agent.stats().pairs.len(), limit);
    }
}

#[test]
fn answers_wait_up_to_their_number_and_the_next_is_counted() {
    for limit in [1, 16] {
        let (mut a, b) = acquainted(|config| config.max_replies = limit);
        for number in 0..limit {
            ask(&mut a, &b, number, &[]).unwrap();
        }
        assert_eq!(a.agent.stats().counters.replies_dropped, 0);
        ask(&mut a, &b, limit, &[]).unwrap();
        assert_eq!(a.agent.stats().counters.replies_dropped, 1);
        let mut answers = 0;
        while let Some((_, bytes)) = send(&mut a, epoch()) {
            answers += usize::from(Message::decode(&bytes).unwrap().class() == Class::Success);
        }
        assert_eq!(answers, limit);
    }
}

#[test]
fn the_unauthenticated_are_refused_as_often_a_second_as_the_limit() {
    for limit in [0, 1, 5] {
        let mut a = agent(|config| config.max_refusals = limit);
        let refused = |a: &mut Peer, at: Instant| {
            let datagram = request(None, &[], None);
            assert_eq!(receive(a, path(A, B), at, &datagram), Err(Discard::Unsigned));
            send(a, at).is_some()
        };
        for at in [epoch() + seconds(10), epoch() + seconds(11)] {
            for _ in 0..limit {
                assert!(refused(&mut a, at), "{limit}");
            }
            assert!(!refused(&mut a, at), "{limit}");
            assert!(!refused(&mut a, at + Duration::from_millis(999)), "{limit}");
        }
    }
}

#[test]
fn a_check_may_have_as_many_attributes_as_the_limit() {
    // USERNAME, PRIORITY, the role, MESSAGE-INTEGRITY and FINGERPRINT are five.
    for limit in [5, 9, 64] {
        let (mut a, b) = acquainted(|config| config.max_attributes = limit);
        // Comprehension-optional, so that more of them are no offence.
        let more = vec![Attribute::Software("s"); limit - 5];
        ask(&mut a, &b, 0, &more).unwrap();
        let more = vec![Attribute::Software("s"); limit - 4];
        let refused = Err(Discard::Malformed(stun::DecodeError::TooManyAttributes));
        assert_eq!(ask(&mut a, &b, 1, &more), refused);
        assert_eq!(a.agent.stats().pairs.len(), 1);
    }
}
