//! Datagrams that are not the peer's, and a signalling that is not honest.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use ice::{CandidateError, Discard, Role, State};
use proto::{Instant, Path};
use stun::IntegrityKey;
use stun::wire::{Attribute, Class, Message};
use support::{
    A, B, Peer, both_connected, introduce, message, ready, receive, request, seconds, send, signal,
};
use testkit::{Link, Pair, epoch, path};

fn link() -> Link {
    Link { delay: Duration::from_millis(10), ..Link::default() }
}

#[test]
fn the_machine_keeps_its_contract() {
    testkit::conformance::check(seconds(30), |seed| {
        let mut a = Peer::new(Role::Controlling, seed).host(A);
        let mut b = Peer::new(Role::Controlled, seed.map(|byte| !byte)).host(B);
        introduce(&mut a, &mut b, epoch());
        signal(&a, &mut b, epoch());
        signal(&b, &mut a, epoch());
        Pair::new(a, b, link(), seed)
    });
}

/// THREATS I1, I6: none of these makes a pair, nominates, or changes the role.
#[test]
fn requests_that_are_not_the_peers_change_nothing() {
    let (a, mut b) = ready();
    let (ours, theirs) = (b.agent.local_credentials().clone(), a.agent.local_credentials().clone());
    let right = format!("{}:{}", ours.ufrag(), theirs.ufrag());
    let key = IntegrityKey::short_term(crypto::rust_crypto(), ours.password());
    let other = IntegrityKey::short_term(crypto::rust_crypto(), theirs.password());
    let stranger = path(B, "10.0.0.66:6");
    let nominate =
        [Attribute::Priority(u32::MAX), Attribute::UseCandidate, Attribute::IceControlled(u64::MAX)];
    for (username, key, expected) in [
        (Some(right.as_str()), None, Discard::Unsigned),
        (None, Some(&key), Discard::Unsigned),
        (Some(&right), Some(&other), Discard::Forged),
        (Some(&format!("{}x:{}", ours.ufrag(), theirs.ufrag())), Some(&key), Discard::WrongUsername),
        (Some(&format!("{}:{}x", ours.ufrag(), theirs.ufrag())), Some(&key), Discard::WrongUsername),
        (Some(&format!("{}:{}:", ours.ufrag(), theirs.ufrag())), Some(&key), Discard::WrongUsername),
        (Some(&format!(":{right}")), Some(&key), Discard::WrongUsername),
        (Some(ours.ufrag()), Some(&key), Discard::WrongUsername),
        (Some(""), Some(&key), Discard::WrongUsername),
    ] {
        let datagram = request(username, &nominate, key);
        assert_eq!(receive(&mut b, stranger, epoch(), &datagram), Err(expected), "{username:?}");
        let answer = send(&mut b, epoch());
        if let Some((to, bytes)) = answer.filter(|(to, _)| *to == stranger) {
            let answer = Message::decode(&bytes).unwrap();
            let code = if expected == Discard::Unsigned { 400 } else { 401 };
            assert_eq!((to, answer.class()), (stranger, Class::Error));
            assert_eq!(answer.error_code().unwrap().code, code);
            assert!(bytes.len() <= datagram.len(), "no amplification");
        }
    }
    let demanding = request(Some(&right), &[Attribute::Unknown { kind: 0x77, value: &[] }], Some(&key));
    assert_eq!(receive(&mut b, stranger, epoch(), &demanding), Err(Discard::UnknownAttribute(0x77)));
    let incomplete = request(Some(&right), &[], Some(&key));
    assert_eq!(receive(&mut b, stranger, epoch(), &incomplete), Err(Discard::Incomplete));
    assert_eq!(b.agent.role(), Role::Controlled);
    assert_eq!(b.agent.remote_candidates().count(), 1);
    assert!(!b.agent.is_authenticated(stranger) && b.agent.selected_path().is_none());
    assert_eq!(b.agent.stats().pairs.len(), 1);
    assert_eq!(b.agent.stats().pairs[0].requests_received, 0);
}

/// THREATS I12: an address that the peer is not to learn answers nobody, whatever he knows.
#[test]
fn where_no_candidate_of_ours_is_nobody_answers() {
    let (a, mut b) = ready();
    let (ours, theirs) = (b.agent.local_credentials().clone(), a.agent.local_credentials().clone());
    let right = format!("{}:{}", ours.ufrag(), theirs.ufrag());
    let key = IntegrityKey::short_term(crypto::rust_crypto(), ours.password());
    let other = IntegrityKey::short_term(crypto::rust_crypto(), theirs.password());
    let hidden = path("10.0.0.77:7", A);
    let priority = [Attribute::Priority(1)];
    let unknown = [Attribute::Unknown { kind: 0x77, value: &[] }];
    for (more, key) in [
        (&priority[..], Some(&key)),
        (&[], Some(&key)),
        (&unknown, Some(&key)),
        (&priority, Some(&other)),
        (&priority, None),
    ] {
        let datagram = request(Some(&right), more, key);
        assert_eq!(receive(&mut b, hidden, epoch(), &datagram), Err(Discard::UnknownLocal));
    }
    while let Some((to, _)) = send(&mut b, epoch()) {
        assert_ne!(to, hidden);
    }
}

/// THREATS I5, I9: nothing but the peer's own answer renews consent.
#[test]
fn forged_answers_renew_no_consent() {
    let (a, b) = ready();
    let mut pair = Pair::new(a, b, link(), [1; 32]);
    assert!(pair.run(seconds(5), both_connected));
    pair.run(seconds(3), |_| false);
    let mut now = pair.now();
    let mut a = pair.a;
    let end = now + seconds(31);
    let wrong = IntegrityKey::short_term(crypto::rust_crypto(), "another password of 30 characters");
    let mut asked = 0;
    while now < end && a.agent.state() != State::Failed(ice::Failure::ConsentExpired) {
        a.agent.handle_timeout(now);
        while let Some((to, bytes)) = send(&mut a, now) {
            asked += 1;
            let id = Message::decode(&bytes).unwrap().transaction();
            for (from, key) in [(to, Some(&wrong)), (to, None), (path(A, "10.0.0.66:6"), Some(&wrong))] {
                let forged = message(Class::Success, id, &[Attribute::XorMappedAddress(to.local)], key);
                assert!(receive(&mut a, from, now, &forged).is_err());
            }
        }
        let Some(next) = a.agent.poll_timeout() else { break };
        now = next;
    }
    assert!(asked >= 5);
    assert_eq!(a.agent.state(), State::Failed(ice::Failure::ConsentExpired));
    assert_eq!(a.agent.selected_path(), None);
    assert!(send(&mut a, now + seconds(1)).is_none());
}

/// THREATS I10: a page that names a victim many times gets few packets there.
#[test]
fn a_silent_address_gets_nine_packets_and_an_agent_sends_twenty_a_second() {
    let mut a = Peer::new(Role::Controlling, [1; 32]).host(A).host("10.0.0.1:1001").host("10.0.0.1:1002");
    let b = Peer::new(Role::Controlled, [2; 32]);
    a.agent.set_remote_credentials(epoch(), b.agent.local_credentials().clone());
    for host in 2..120_u8 {
        let line = format!("candidate:1 1 udp {host} 10.0.1.{host} 9 typ host");
        let added = a.agent.add_remote_candidate(epoch(), line.parse().unwrap());
        assert_eq!(added, if host < 102 { Ok(()) } else { Err(CandidateError::TooMany) });
    }
    assert_eq!(a.agent.stats().pairs.len(), 100);
    let mut sent: Vec<(Instant, Path)> = Vec::new();
    let mut now = epoch();
    while let Some(next) = a.agent.poll_timeout() {
        now = now.max(next);
        a.agent.handle_timeout(now);
        while let Some((to, _)) = send(&mut a, now) {
            sent.push((now, to));
        }
    }
    assert!(now - epoch() <= seconds(45));
    assert!(sent.windows(2).all(|two| two[1].0 - two[0].0 >= Duration::from_millis(50)));
    for host in 2..102_u8 {
        let victim = format!("10.0.1.{host}:9").parse().unwrap();
        assert!(sent.iter().filter(|(_, to)| to.remote == victim).count() <= 9);
    }
    assert!(matches!(a.agent.state(), State::Failed(_)));
}

#[test]
fn candidates_that_cannot_be_used_are_refused() {
    let mut a = Peer::new(Role::Controlling, [1; 32]);
    for (line, error) in [
        ("1 2 udp 1 10.0.0.2 9 typ host", CandidateError::Component),
        ("1 1 tcp 1 10.0.0.2 9 typ host tcptype so", CandidateError::Transport),
        ("1 1 udp 1 name.local 9 typ host", CandidateError::Hostname),
        ("1 1 udp 1 10.0.0.2 0 typ host", CandidateError::Address),
        ("1 1 udp 1 0.0.0.0 9 typ host", CandidateError::Address),
        ("1 1 udp 1 255.255.255.255 9 typ host", CandidateError::Address),
        ("1 1 udp 1 ff02::1 9 typ host", CandidateError::Address),
    ] {
        assert_eq!(a.agent.add_remote_candidate(epoch(), line.parse().unwrap()), Err(error), "{line}");
    }
}

/// THREATS I7: forged checks move nothing.
#[test]
fn a_flood_of_forgeries_leaves_the_selected_pair_alone() {
    let (a, b) = ready();
    let mut pair = Pair::new(a, b, link(), [1; 32]);
    assert!(pair.run(seconds(5), both_connected));
    let right = {
        let (a, b) = (pair.a.agent.local_credentials(), pair.b.agent.local_credentials());
        format!("{}:{}", b.ufrag(), a.ufrag())
    };
    let wrong = IntegrityKey::short_term(crypto::rust_crypto(), "another password of 30 characters");
    let datagram =
        request(Some(&right), &[Attribute::Priority(u32::MAX), Attribute::UseCandidate], Some(&wrong));
    let (now, selected) = (pair.now(), pair.b.agent.selected_path());
    for number in 0..testkit::scaled_at_least(100_000, 10_000) {
        let from = path(B, &format!("10.0.0.{}:{}", 66 + number / 60_000, 1 + number % 60_000));
        assert_eq!(receive(&mut pair.b, from, now, &datagram), Err(Discard::Forged));
    }
    assert_eq!(pair.b.agent.selected_path(), selected);
    assert_eq!(pair.b.agent.stats().remote_candidates, 1);
    let mut refusals = 0;
    while send(&mut pair.b, now).is_some() {
        refusals += 1;
    }
    assert!(refusals <= 6, "{refusals}");
    assert!(pair.run(seconds(20), |pair| pair.elapsed() > seconds(15)) && both_connected(&mut pair));
}

/// A peer that nominates aggressively, as Chromium does: of the pairs that it asked for the best one
/// stays, whatever the order.
#[test]
fn of_several_nominations_the_best_pair_wins() {
    for order in [[0, 1], [1, 0]] {
        let bases = [A, "10.0.0.1:1001"];
        let mut b = Peer::new(Role::Controlled, [2; 32]).host(B);
        let a = Peer::new(Role::Controlling, [1; 32]).host(bases[0]).host(bases[1]);
        b.agent.set_remote_credentials(epoch(), a.agent.local_credentials().clone());
        signal(&a, &mut b, epoch());
        let (ours, theirs) = (b.agent.local_credentials(), a.agent.local_credentials());
        let username = format!("{}:{}", ours.ufrag(), theirs.ufrag());
        let key = IntegrityKey::short_term(crypto::rust_crypto(), ours.password());
        let their_key = IntegrityKey::short_term(crypto::rust_crypto(), theirs.password());
        let mut now = epoch();
        for at in order {
            let from = path(B, bases[at]);
            let nominate = [Attribute::Priority(1), Attribute::UseCandidate, Attribute::IceControlling(1)];
            receive(&mut b, from, now, &request(Some(&username), &nominate, Some(&key))).unwrap();
            for _ in 0..4 {
                while let Some((to, bytes)) = send(&mut b, now) {
                    let message_in = Message::decode(&bytes).unwrap();
                    if message_in.class() == Class::Request && to == from {
                        let mapped = [Attribute::XorMappedAddress(to.local)];
                        let id = message_in.transaction();
                        let answer = message(Class::Success, id, &mapped, Some(&their_key));
                        let _ = receive(&mut b, from, now, &answer);
                    }
                }
                now += Duration::from_millis(50);
            }
        }
        assert_eq!(b.agent.selected_path(), Some(path(B, bases[0])), "{order:?}");
    }
}
