//! A lite agent: it answers, and the peer chooses (RFC 8445 §2.4, RFC 7675 §5.1).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use ice::{Discard, Event, Failure, Role, State};
use proto::{Instant, Path};
use stun::IntegrityKey;
use stun::wire::{Attribute, Class, Message, TransactionId};
use support::{A, B, Peer, both_connected, introduce, message, receive, seconds, send, signal};
use testkit::{Link, Pair, epoch, path};

fn lite(role: Role, seed: [u8; 32]) -> Peer {
    Peer::with(|config| (config.lite, config.role) = (true, role), seed)
}

fn near() -> Link {
    Link { delay: Duration::from_millis(10), ..Link::default() }
}

/// A full agent and a lite one that know of each other, and of which is which.
fn full_and_lite(role: Role) -> (Peer, Peer) {
    let mut full = Peer::new(role, [1; 32]).host(A);
    let mut lite = lite(role.opposite(), [2; 32]).host(B);
    full.agent.set_remote_lite(epoch());
    introduce(&mut full, &mut lite, epoch());
    signal(&full, &mut lite, epoch());
    signal(&lite, &mut full, epoch());
    (full, lite)
}

#[test]
fn a_lite_agent_asks_nothing_and_is_controlled_whoever_offered() {
    for role in [Role::Controlling, Role::Controlled] {
        let (full, lite) = full_and_lite(role);
        let mut pair = Pair::new(full, lite, near(), [3; 32]);
        assert!(pair.run(seconds(5), both_connected));
        pair.run(seconds(120), |_| false);
        let (full, lite) = (&pair.a.agent, &pair.b.agent);
        assert_eq!((full.state(), lite.state()), (State::Completed, State::Completed));
        assert_eq!((full.role(), lite.role()), (Role::Controlling, Role::Controlled));
        let counters = lite.stats().counters;
        assert_eq!((counters.checks_sent, counters.consent_sent, counters.keepalives_sent), (0, 0, 0));
        assert!(counters.replies_sent > 20, "a consent check every 5 s");
        let ours = full.selected_path().unwrap();
        let theirs = Path { carrier: ours.carrier, local: ours.remote, remote: ours.local };
        assert_eq!(lite.selected_path(), Some(theirs));
    }
}

/// The lite agent alone, with a key for requests to it and their username.
fn alone() -> (Peer, IntegrityKey, String) {
    let mut peer = Peer::new(Role::Controlling, [1; 32]).host(A);
    let mut agent = lite(Role::Controlled, [2; 32]).host(B).host("10.0.0.2:2001");
    introduce(&mut peer, &mut agent, epoch());
    let password = agent.agent.local_credentials().password();
    let key = IntegrityKey::short_term(crypto::rust_crypto(), password);
    let username =
        format!("{}:{}", agent.agent.local_credentials().ufrag(), peer.agent.local_credentials().ufrag());
    (agent, key, username)
}

fn check(id: u8, username: &str, key: &IntegrityKey, more: &[Attribute<'_>]) -> Vec<u8> {
    let mut attributes =
        vec![Attribute::Username(username), Attribute::Priority(1), Attribute::IceControlling(7)];
    attributes.extend(more);
    message(Class::Request, TransactionId([id; 12]), &attributes, Some(key))
}

#[test]
fn the_path_is_what_the_peer_nominates_and_nothing_before_that() {
    let (mut agent, key, username) = alone();
    let (first, second) = (path(B, A), path("10.0.0.2:2001", A));
    receive(&mut agent, first, epoch(), &check(1, &username, &key, &[])).unwrap();
    assert_eq!((agent.agent.selected_path(), agent.agent.state()), (None, State::Checking));
    assert!(!agent.agent.is_confirmed(first));
    receive(&mut agent, first, epoch(), &check(2, &username, &key, &[Attribute::UseCandidate])).unwrap();
    assert_eq!((agent.agent.selected_path(), agent.agent.state()), (Some(first), State::Connected));
    assert!(agent.agent.is_confirmed(first) && !agent.agent.is_confirmed(second));
    // Chromium names the path that it uses in each check: the latest counts.
    receive(&mut agent, second, epoch(), &check(3, &username, &key, &[Attribute::UseCandidate])).unwrap();
    assert_eq!(agent.agent.selected_path(), Some(second));
    // Of numbered ones the largest does.
    receive(&mut agent, first, epoch(), &check(4, &username, &key, &[Attribute::Nomination(9)])).unwrap();
    assert_eq!(agent.agent.selected_path(), Some(first));
    receive(&mut agent, second, epoch(), &check(5, &username, &key, &[Attribute::Nomination(8)])).unwrap();
    assert_eq!(agent.agent.selected_path(), Some(first));
    // All were answered.
    let mut answers = 0;
    while let Some((_, bytes)) = send(&mut agent, epoch()) {
        assert_eq!(Message::decode(&bytes).unwrap().class(), Class::Success);
        answers += 1;
    }
    assert_eq!(answers, 5);
}

/// Nobody is asked back, so it must not be enough to repeat what somebody else has sent.
#[test]
fn a_nomination_that_is_repeated_from_elsewhere_moves_nothing() {
    let (mut agent, key, username) = alone();
    let nomination = check(2, &username, &key, &[Attribute::UseCandidate]);
    let (own, other) = (path(B, A), path(B, "198.51.100.66:666"));
    receive(&mut agent, own, epoch(), &nomination).unwrap();
    receive(&mut agent, other, epoch(), &nomination).unwrap();
    receive(&mut agent, own, epoch(), &nomination).unwrap();
    receive(&mut agent, other, epoch(), &nomination).unwrap();
    assert_eq!(agent.agent.selected_path(), Some(own));
    assert!(!agent.agent.is_confirmed(other));
    // Nor may what nobody has signed.
    let forged = check(
        3,
        &username,
        &IntegrityKey::short_term(crypto::rust_crypto(), "wrong"),
        &[Attribute::UseCandidate],
    );
    assert_eq!(receive(&mut agent, other, epoch(), &forged), Err(Discard::Forged));
    assert_eq!(agent.agent.selected_path(), Some(own));
}

#[test]
fn a_peer_that_asks_no_more_is_silent_and_then_gone() {
    let (full, lite) = full_and_lite(Role::Controlling);
    let mut pair = Pair::new(full, lite, near(), [3; 32]);
    assert!(pair.run(seconds(5), both_connected));
    pair.run(seconds(10), |_| false);
    let mut now = pair.now();
    let mut lite = pair.b;
    let start = now;
    let mut states = Vec::new();
    while let Some(due) = lite.agent.poll_timeout().filter(|due| *due <= start + seconds(60)) {
        now = now.max(due);
        lite.agent.handle_timeout(now);
        while send(&mut lite, now).is_some() {}
        while let Some(event) = lite.agent.poll_event() {
            if let Event::StateChanged(state) = event {
                states.push((state, now - start));
            }
        }
    }
    let names: Vec<State> = states.iter().map(|(state, _)| *state).collect();
    assert_eq!(names, [State::Disconnected, State::Failed(Failure::ConsentExpired)]);
    assert!(states[0].1 <= seconds(7) && states[1].1 <= seconds(30), "{states:?}");
    assert_eq!(lite.agent.selected_path(), None);
}

/// It cannot be the other way round, so the other side must see it (RFC 8445 §6.1.1).
#[test]
fn a_peer_that_would_be_controlled_is_told_of_the_conflict() {
    let (mut agent, key, username) = alone();
    for tie_break in [0, u64::MAX] {
        let attributes =
            [Attribute::Username(&username), Attribute::Priority(1), Attribute::IceControlled(tie_break)];
        let request = message(Class::Request, TransactionId([9; 12]), &attributes, Some(&key));
        assert_eq!(receive(&mut agent, path(B, A), epoch(), &request), Err(Discard::RoleConflict));
        let (_, answer) = send(&mut agent, epoch()).unwrap();
        assert_eq!(Message::decode(&answer).unwrap().error_code().unwrap().code, 487);
    }
    assert_eq!(agent.agent.role(), Role::Controlled);
}

/// RFC 8445 §6.1.1 and §8.2.2: whoever offered controls, and both choose the same pair.
#[test]
fn two_lite_agents_choose_the_best_pair_and_keep_it_open() {
    let mut a = lite(Role::Controlling, [1; 32]).host(A).host("[2001:db8::1]:1000");
    let mut b = lite(Role::Controlled, [2; 32]).host("[2001:db8::2]:2000").host(B);
    for peer in [&mut a, &mut b] {
        peer.agent.set_remote_lite(epoch());
    }
    introduce(&mut a, &mut b, epoch());
    signal(&a, &mut b, epoch());
    signal(&b, &mut a, epoch());
    assert_eq!((a.agent.role(), b.agent.role()), (Role::Controlling, Role::Controlled));
    assert_eq!((a.agent.state(), b.agent.state()), (State::Completed, State::Completed));
    let chosen = a.agent.selected_path().unwrap();
    assert_eq!(
        b.agent.selected_path().map(|path| (path.remote, path.local)),
        Some((chosen.local, chosen.remote))
    );
    assert!(chosen.local.is_ipv6());
    let mut pair = Pair::new(a, b, near(), [3; 32]);
    pair.run(seconds(100), |_| false);
    for peer in [&pair.a, &pair.b] {
        let counters = peer.agent.stats().counters;
        assert_eq!((counters.checks_sent, counters.consent_sent, counters.replies_sent), (0, 0, 0));
        // RFC 8445 §11: every 15 s.
        assert_eq!(counters.keepalives_sent, 6);
        assert_eq!(peer.agent.state(), State::Completed);
    }
}

#[test]
fn two_lite_agents_of_different_families_have_no_pair() {
    let mut a = lite(Role::Controlling, [1; 32]).host(A);
    let mut b = lite(Role::Controlled, [2; 32]).host("[2001:db8::2]:2000");
    a.agent.set_remote_lite(epoch());
    introduce(&mut a, &mut b, epoch());
    signal(&b, &mut a, epoch());
    let end: Instant = epoch() + seconds(60);
    while let Some(due) = a.agent.poll_timeout().filter(|due| *due <= end) {
        a.agent.handle_timeout(due);
    }
    assert_eq!(a.agent.state(), State::Failed(Failure::NoPairs));
}

#[test]
fn a_restart_keeps_the_path_until_the_peer_nominates_again() {
    let (full, lite) = full_and_lite(Role::Controlling);
    let mut pair = Pair::new(full, lite, near(), [3; 32]);
    assert!(pair.run(seconds(5), both_connected));
    let now = pair.now();
    let before = pair.b.agent.selected_path();
    pair.b.agent.restart(now);
    pair.a.agent.restart(now);
    assert_eq!(pair.b.agent.selected_path(), before);
    introduce(&mut pair.a, &mut pair.b, now);
    signal(&pair.a, &mut pair.b, now);
    signal(&pair.b, &mut pair.a, now);
    pair.run(seconds(40), |_| false);
    assert_eq!((pair.a.agent.state(), pair.b.agent.state()), (State::Completed, State::Completed));
    assert_eq!(pair.b.agent.selected_path(), before);
    assert_eq!(pair.b.agent.stats().counters.checks_sent, 0);
}
