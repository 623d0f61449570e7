//! Two agents over good and bad links.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use ice::{Event, Failure, Kind, Role, State};
use proto::Instant;
use support::{A, B, Peer, both_connected, introduce, seconds, signal};
use testkit::{Link, Pair, epoch, path};

fn good() -> Link {
    Link { delay: Duration::from_millis(10), ..Link::default() }
}

fn ready(seed: u8) -> (Peer, Peer) {
    let mut a = Peer::new(Role::Controlling, [seed; 32]).host(A);
    let mut b = Peer::new(Role::Controlled, [seed.wrapping_add(100); 32]).host(B);
    introduce(&mut a, &mut b, epoch());
    signal(&a, &mut b, epoch());
    signal(&b, &mut a, epoch());
    (a, b)
}

#[test]
fn two_agents_connect_in_two_round_trips() {
    let (a, b) = ready(1);
    let mut pair = Pair::new(a, b, good(), [1; 32]);
    assert!(pair.run(seconds(5), both_connected));
    assert!(pair.elapsed() <= Duration::from_millis(45), "{:?}", pair.elapsed());
    assert!(pair.run(seconds(5), |pair| {
        [&pair.a, &pair.b].iter().all(|peer| peer.agent.state() == State::Completed)
    }));
    assert!(pair.elapsed() <= Duration::from_millis(130), "{:?}", pair.elapsed());
    assert_eq!(pair.a.agent.selected_path(), Some(path(A, B)));
    assert_eq!(pair.b.agent.selected_path(), Some(path(B, A)));
    assert_eq!(pair.a.agent.round_trip(), Some(Duration::from_millis(20)));
    let states = [State::Checking, State::Connected, State::Completed].map(Event::StateChanged);
    let seen: Vec<_> =
        pair.a.events.iter().filter(|e| matches!(e, Event::StateChanged(_))).copied().collect();
    assert_eq!(seen, states);
    assert!(pair.a.agent.stats().pairs[0].is_nominated && pair.b.agent.stats().pairs[0].is_nominated);
}

#[test]
fn lossy_and_reordering_links_end_connected_or_failed() {
    let mut connected = 0;
    for seed in 0..100 {
        let (a, b) = ready(seed);
        let loss = f64::from(seed % 6) / 10.0;
        let jitter = Duration::from_millis(u64::from(seed) * 5);
        let link = Link { loss, jitter, duplicate: 0.1, ..good() };
        let mut pair = Pair::new(a, b, link, [seed; 32]);
        let settled = |peer: &Peer| !matches!(peer.agent.state(), State::New | State::Checking);
        assert!(pair.run(seconds(45), |pair| settled(&pair.a) && settled(&pair.b)), "seed {seed}");
        connected += u32::from(pair.a.is_connected() && pair.b.is_connected());
    }
    assert!(connected >= 97, "{connected} of 100");
}

#[test]
fn a_link_that_loses_all_fails_with_the_reason_within_45_seconds() {
    let (a, b) = ready(1);
    let mut pair = Pair::new(a, b, Link { loss: 1.0, ..good() }, [1; 32]);
    let failed = State::Failed(Failure::NoAnswer);
    assert!(pair.run(seconds(45), |pair| pair.a.agent.state() == failed && pair.b.agent.state() == failed));
    assert!(pair.elapsed() >= Duration::from_millis(39_500), "patience: RFC 8863");
    // THREATS I10: no more than Rc packets to an address that never answers.
    assert!(pair.a.agent.stats().counters.checks_sent <= 9);
    assert_eq!(pair.a.agent.poll_timeout(), None);
}

#[test]
fn a_wrong_password_fails_with_the_reason_and_the_right_one_connects() {
    for is_wrong in [true, false] {
        let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
        let mut b = Peer::new(Role::Controlled, [2; 32]).host(B);
        introduce(&mut a, &mut b, epoch());
        if is_wrong {
            let ufrag = b.agent.local_credentials().ufrag().to_owned();
            let wrong = ice::Credentials::new(&ufrag, "this is not its password".replace(' ', "+").as_str());
            a.agent.set_remote_credentials(epoch(), wrong.unwrap());
            let ufrag = a.agent.local_credentials().ufrag().to_owned();
            let wrong = ice::Credentials::new(&ufrag, "neither+is+this+its+password");
            b.agent.set_remote_credentials(epoch(), wrong.unwrap());
        }
        signal(&a, &mut b, epoch());
        signal(&b, &mut a, epoch());
        let mut pair = Pair::new(a, b, good(), [1; 32]);
        let done = pair.run(seconds(45), both_connected);
        assert_eq!(done, !is_wrong);
        if is_wrong {
            let failed = State::Failed(Failure::WrongCredentials);
            assert_eq!((pair.a.agent.state(), pair.b.agent.state()), (failed, failed));
            assert_eq!(pair.a.agent.stats().pairs[0].error, Some(401));
        }
    }
}

#[test]
fn equal_roles_are_settled_by_the_tie_breaker() {
    for role in [Role::Controlling, Role::Controlled] {
        for (tie_a, tie_b) in [(1, 2), (2, 1), (7, 7), (0, u64::MAX)] {
            let peer = |tie, seed| {
                Peer::with(|config| (config.role, config.tie_break) = (role, Some(tie)), [seed; 32])
            };
            let (mut a, mut b) = (peer(tie_a, 1).host(A), peer(tie_b, 2).host(B));
            introduce(&mut a, &mut b, epoch());
            signal(&a, &mut b, epoch());
            signal(&b, &mut a, epoch());
            let mut pair = Pair::new(a, b, good(), [1; 32]);
            assert!(pair.run(seconds(10), |pair| {
                [&pair.a, &pair.b].iter().all(|peer| peer.agent.state() == State::Completed)
            }));
            assert_eq!(pair.a.agent.role(), pair.b.agent.role().opposite());
            if tie_a != tie_b {
                let winner = if tie_a > tie_b { Role::Controlling } else { Role::Controlled };
                assert_eq!(pair.a.agent.role(), winner, "{role:?} {tie_a} {tie_b}");
            }
        }
    }
}

#[test]
fn candidates_that_are_never_signalled_are_learned_from_checks() {
    let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
    let mut b = Peer::new(Role::Controlled, [2; 32]).host(B);
    introduce(&mut a, &mut b, epoch());
    signal(&b, &mut a, epoch());
    let mut pair = Pair::new(a, b, good(), [1; 32]);
    assert!(pair.run(seconds(5), both_connected));
    let (address, kind) = pair.b.agent.remote_candidates().next().unwrap();
    assert_eq!((address, kind), (A.parse().unwrap(), Kind::PeerReflexive));
    // It is signalled after all: now it is what it is.
    let candidate = pair.a.agent.local_candidates().next().unwrap();
    pair.b.agent.add_remote_candidate(pair.now(), candidate).unwrap();
    assert!(pair.b.agent.remote_candidates().eq([(address, Kind::Host)]));
}

#[test]
fn checks_that_come_before_the_remote_credentials_are_remembered() {
    let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
    let b = Peer::new(Role::Controlled, [2; 32]).host(B);
    a.agent.set_remote_credentials(epoch(), b.agent.local_credentials().clone());
    signal(&b, &mut a, epoch());
    let mut pair = Pair::new(a, b, good(), [1; 32]);
    assert!(pair.run(seconds(5), |pair| pair.a.is_connected()), "answers need our credentials alone");
    assert_eq!(pair.b.agent.state(), State::New);
    let remote = pair.a.agent.local_credentials().clone();
    let now = pair.now();
    pair.b.agent.set_remote_credentials(now, remote);
    assert!(pair.run(seconds(5), |pair| pair.b.is_connected()));
    assert!(pair.now() - now <= Duration::from_millis(25), "the triggered check waits for nothing else");
}

#[test]
fn candidates_may_trickle_late() {
    let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
    let mut b = Peer::new(Role::Controlled, [2; 32]).host(B);
    introduce(&mut a, &mut b, epoch());
    let mut pair = Pair::new(a, b, good(), [1; 32]);
    assert!(!pair.run(seconds(30), both_connected));
    let now = epoch() + seconds(35);
    signal(&pair.a, &mut pair.b, now);
    signal(&pair.b, &mut pair.a, now);
    assert!(pair.run(seconds(40), both_connected));
}

#[test]
fn a_short_outage_is_survived_and_a_long_one_ends_consent() {
    for (outage, survives) in [(20, true), (40, false)] {
        let (a, b) = ready(1);
        let mut pair = Pair::new(a, b, good(), [1; 32]);
        pair.run(seconds(20), |pair| pair.elapsed() >= seconds(15));
        let down = pair.now();
        for pipe in [&mut pair.to_a, &mut pair.to_b] {
            pipe.set_link(Link { loss: 1.0, ..good() });
        }
        let silent = |peer: &Peer| peer.agent.state() == State::Disconnected;
        assert!(pair.run(seconds(60), |pair| silent(&pair.a) && silent(&pair.b)));
        assert!(pair.now() - down <= seconds(8));
        assert_eq!(pair.a.agent.selected_path(), Some(path(A, B)), "only advice");
        let left = seconds(outage) - (pair.now() - down);
        pair.run(left, |_| false);
        if survives {
            for pipe in [&mut pair.to_a, &mut pair.to_b] {
                pipe.set_link(good());
            }
            assert!(pair.run(seconds(60), both_connected));
            assert!(pair.now() - down <= seconds(outage + 2));
        } else {
            let failed = State::Failed(Failure::ConsentExpired);
            assert_eq!((pair.a.agent.state(), pair.b.agent.state()), (failed, failed));
            assert_eq!(pair.a.agent.selected_path(), None);
            assert_eq!(pair.a.agent.poll_timeout(), None, "nothing is sent any more");
        }
    }
}

/// RFC 7675 §5.1: what was asked before consent expired is not waited for any more.
#[test]
fn an_answer_that_comes_after_consent_has_expired_renews_nothing() {
    let (a, b) = ready(1);
    let mut pair = Pair::new(a, b, good(), [1; 32]);
    pair.run(seconds(20), |pair| pair.elapsed() >= seconds(15));
    pair.to_a.set_link(Link { delay: seconds(40), ..good() });
    let failed = State::Failed(Failure::ConsentExpired);
    assert!(pair.run(seconds(40), |pair| pair.a.agent.state() == failed));
    let taken = pair.a.agent.stats().counters;
    pair.run(seconds(60), |_| false);
    assert_eq!((pair.a.agent.state(), pair.a.agent.selected_path()), (failed, None));
    assert_ne!(pair.a.agent.stats().counters, taken, "they came, and were counted");
}

#[test]
fn consent_checks_leave_every_four_to_six_seconds() {
    let (a, b) = ready(1);
    let mut pair = Pair::new(a, b, good(), [1; 32]);
    let mut sent: Vec<Instant> = Vec::new();
    pair.run(seconds(300), |pair| {
        if pair.a.agent.stats().counters.consent_sent > sent.len() as u64 {
            sent.push(pair.now());
        }
        false
    });
    assert!(sent.len() >= 45, "{}", sent.len());
    let gaps: Vec<Duration> = sent.windows(2).map(|times| times[1] - times[0]).collect();
    assert!(gaps.iter().all(|gap| (seconds(4)..=seconds(6)).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap < Duration::from_millis(4500)));
    assert!(gaps.iter().any(|gap| *gap > Duration::from_millis(5500)));
    assert!(pair.a.is_connected() && pair.b.is_connected());
    assert!(!pair.a.events.contains(&Event::StateChanged(State::Disconnected)));
}

#[test]
fn a_restart_keeps_the_path_until_the_new_one_is_there() {
    let (a, b) = ready(1);
    let mut pair = Pair::new(a, b, good(), [1; 32]);
    assert!(pair.run(seconds(10), |pair| pair.elapsed() >= seconds(9) && both_connected(pair)));
    let old = pair.a.agent.local_credentials().clone();
    let now = pair.now();
    pair.a.agent.restart(now);
    assert!(!pair.a.agent.local_credentials().is_same(&old));
    assert_eq!(pair.a.agent.selected_path(), Some(path(A, B)));
    // The signalling takes its time: the old consent goes on both ways.
    assert!(!pair.run(seconds(60), |pair| !both_connected(pair)));
    let now = pair.now();
    pair.b.agent.restart(now);
    introduce(&mut pair.a, &mut pair.b, now);
    let (a, b) = (&pair.a, &mut pair.b);
    signal(a, b, now);
    let candidates: Vec<_> = pair.b.agent.local_candidates().collect();
    for candidate in candidates {
        pair.a.agent.add_remote_candidate(now, candidate).unwrap();
    }
    assert_eq!(pair.a.agent.state(), State::Checking);
    let mut always = true;
    assert!(pair.run(seconds(90), |pair| {
        always &= pair.a.agent.selected_path().is_some() && pair.b.agent.selected_path().is_some();
        both_connected(pair)
    }));
    assert!(always);
    assert!(pair.now() - now < Duration::from_millis(500));
    let stale = "candidate:1 1 udp 1 10.0.0.9 9 typ host ufrag old1".parse().unwrap();
    assert_eq!(pair.a.agent.add_remote_candidate(now, stale), Err(ice::CandidateError::OtherGeneration));
}

/// With a path, and while it is still looked for.
#[test]
fn a_restart_that_is_taken_back_leaves_everything_as_it_was() {
    for first in [0, 10] {
        let (a, b) = ready(1);
        let mut pair = Pair::new(a, b, good(), [1; 32]);
        pair.run(seconds(first), |pair| pair.elapsed() >= seconds(9) && both_connected(pair));
        let (now, agent) = (pair.now(), &mut pair.a.agent);
        let (before, path) = (agent.local_credentials().clone(), agent.selected_path());
        let drawn = agent.draw_credentials();
        assert!(agent.local_credentials().is_same(&before) && !drawn.is_same(&before));
        agent.restart_with(now, drawn.clone());
        assert!(agent.local_credentials().is_same(&drawn));
        agent.restart(now);
        // The peer trickles on.
        let late = "candidate:1 1 udp 1 10.0.0.9 9 typ host".parse().unwrap();
        agent.add_remote_candidate(now, late).unwrap();
        let agent = &mut pair.a.agent;
        agent.take_restart_back(now);
        assert!(agent.local_credentials().is_same(&before) && agent.selected_path() == path);
        assert_eq!(agent.remote_candidates().count(), 2);
        assert!(pair.run(seconds(5), both_connected), "{first}");
        assert!(!pair.run(seconds(60), |pair| !both_connected(pair)), "{first}");
        // What the peer has answered cannot be taken back.
        let now = pair.now();
        let agents = [&mut pair.a.agent, &mut pair.b.agent];
        agents.into_iter().for_each(|agent| agent.restart(now));
        introduce(&mut pair.a, &mut pair.b, now);
        let after = pair.a.agent.local_credentials().clone();
        pair.a.agent.take_restart_back(now);
        assert!(pair.a.agent.local_credentials().is_same(&after) && !after.is_same(&before));
    }
}

/// From the moment at which both know each other, on a way of 100 ms there and back.
#[test]
fn a_pair_is_nominated_within_three_round_trips() {
    for count in [1, 3] {
        let mut a = Peer::new(Role::Controlling, [1; 32]);
        let mut b = Peer::new(Role::Controlled, [2; 32]);
        for number in 0..count {
            a = a.host(&format!("10.0.0.1:{}", 1000 + number));
            b = b.host(&format!("10.0.0.2:{}", 2000 + number));
        }
        introduce(&mut a, &mut b, epoch());
        signal(&a, &mut b, epoch());
        signal(&b, &mut a, epoch());
        let link = Link { delay: Duration::from_millis(50), ..Link::default() };
        let mut pair = Pair::new(a, b, link, [1; 32]);
        let is_nominated = |peer: &Peer| peer.agent.stats().pairs.iter().any(|pair| pair.is_nominated);
        assert!(pair.run(seconds(5), |pair| is_nominated(&pair.a) && is_nominated(&pair.b)));
        println!("{count} candidates a side: {:?}", pair.elapsed());
        assert!(pair.elapsed() <= Duration::from_millis(300), "{count}: {:?}", pair.elapsed());
    }
}
