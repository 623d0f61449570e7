//! Rules of RFC 8445 that no scenario shows by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test fails"
)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use ice::{Candidate, Kind, LocalCandidate, PairState, Role};
use proto::{Instant, Path};
use stun::IntegrityKey;
use stun::wire::{Attribute, Class, ErrorCode, Message};
use support::{
    A, B, Peer, both_connected, introduce, message, ready, receive, request, seconds, send, signal,
};
use testkit::{Link, Pair, epoch, path};

fn key_of(peer: &Peer) -> IntegrityKey {
    IntegrityKey::short_term(crypto::rust_crypto(), peer.agent.local_credentials().password())
}

fn near() -> Link {
    Link { delay: Duration::from_millis(10), ..Link::default() }
}

/// Everything that `peer` asks from `now` on, for `limit`, unanswered.
fn asked(peer: &mut Peer, limit: Duration) -> Vec<(Instant, Path, Vec<u8>)> {
    let (mut all, mut now) = (Vec::new(), epoch());
    loop {
        peer.agent.handle_timeout(now);
        while let Some((to, bytes)) = send(peer, now) {
            all.push((now, to, bytes));
        }
        match peer.agent.poll_timeout() {
            Some(next) if next <= epoch() + limit => now = now.max(next),
            _ => return all,
        }
    }
}

fn succeed(peer: &mut Peer, with: &IntegrityKey, now: Instant, to: Path, bytes: &[u8]) {
    let id = Message::decode(bytes).unwrap().transaction();
    let mapped = [Attribute::XorMappedAddress(to.local)];
    receive(peer, to, now, &message(Class::Success, id, &mapped, Some(with))).unwrap();
}

#[test]
fn every_check_carries_what_it_must() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut a = Peer::with(|config| (config.role, config.tie_break) = (role, Some(77)), [1; 32]).host(A);
        let mut b = Peer::new(role.opposite(), [2; 32]).host(B);
        introduce(&mut a, &mut b, epoch());
        signal(&b, &mut a, epoch());
        let username =
            format!("{}:{}", b.agent.local_credentials().ufrag(), a.agent.local_credentials().ufrag());
        let checks = asked(&mut a, seconds(5));
        assert!(checks.len() > 2);
        for (_, _, bytes) in &checks {
            let check = Message::decode(bytes).unwrap();
            check.verify(&key_of(&b)).expect("signed with the peer's password");
            assert_eq!(check.username(), Some(username.as_str()));
            assert_eq!(bytes[bytes.len() - 8..bytes.len() - 4], [0x80, 0x28, 0, 4], "FINGERPRINT at the end");
            let attributes: Vec<_> = check.attributes().collect();
            // Type preference 110, the local preference of the only IPv4 address, component 1.
            let priority = (110 << 24) | (0xfffe << 8) | 255;
            assert!(attributes.contains(&Attribute::Priority(priority)), "{attributes:?}");
            let claims = match role {
                Role::Controlling => Attribute::IceControlling(77),
                Role::Controlled => Attribute::IceControlled(77),
            };
            assert!(attributes.contains(&claims));
            assert!(!attributes.contains(&Attribute::UseCandidate), "before anything is valid");
        }
    }
}

#[test]
fn only_the_controlling_side_nominates_and_only_one_pair() {
    for seed in 0..30 {
        let mut a = Peer::new(Role::Controlling, [seed; 32]).host(A).host("10.0.0.1:1001");
        let mut b = Peer::new(Role::Controlled, [seed + 100; 32]).host(B).host("10.0.0.2:2001");
        introduce(&mut a, &mut b, epoch());
        signal(&a, &mut b, epoch());
        signal(&b, &mut a, epoch());
        let jitter = Duration::from_millis(200);
        let mut pair = Pair::new(a, b, Link { jitter, loss: 0.2, ..near() }, [seed; 32]);
        assert!(pair.run(seconds(20), both_connected));
        pair.run(seconds(20), |_| false);
        let nominated = |peer: &Peer| {
            let pairs = peer.agent.stats().pairs;
            pairs.iter().filter(|pair| pair.is_nominated).map(|pair| pair.path).collect::<Vec<_>>()
        };
        let (ours, theirs) = (nominated(&pair.a), nominated(&pair.b));
        assert_eq!((ours.len(), theirs.len()), (1, 1), "{seed}");
        assert_eq!((ours[0].local, ours[0].remote), (theirs[0].remote, theirs[0].local));
        assert_eq!(pair.a.agent.selected_path(), Some(ours[0]));
        assert_eq!(pair.b.agent.selected_path(), Some(theirs[0]));
    }
    // The controlled side's checks, all of them.
    let (_, mut b) = ready();
    for (_, _, bytes) in asked(&mut b, seconds(40)) {
        assert!(Message::decode(&bytes).unwrap().attributes().all(|it| it != Attribute::UseCandidate));
    }
}

fn gathered() -> Vec<Candidate> {
    let mut a = Peer::new(Role::Controlling, [1; 32]);
    let server = |last: u8| std::net::IpAddr::from([198, 51, 100, last]);
    for candidate in [
        LocalCandidate::host(A.parse().unwrap()),
        LocalCandidate::host("10.0.0.1:1001".parse().unwrap()),
        LocalCandidate::host("10.0.0.3:1000".parse().unwrap()),
        LocalCandidate::host("[2001:db8::1]:1000".parse().unwrap()),
        LocalCandidate::server_reflexive("203.0.113.1:1000".parse().unwrap(), A.parse().unwrap(), server(1)),
        LocalCandidate::server_reflexive("203.0.113.1:2000".parse().unwrap(), A.parse().unwrap(), server(2)),
        LocalCandidate::relayed("198.51.100.1:5000".parse().unwrap(), server(1)),
        LocalCandidate::relayed("198.51.100.1:5001".parse().unwrap(), server(1)),
    ] {
        a.agent.add_local_candidate(epoch(), candidate).unwrap();
    }
    a.agent.local_candidates().collect()
}

#[test]
fn foundations_are_equal_exactly_where_kind_base_and_server_are() {
    let found: Vec<String> = gathered().into_iter().map(|candidate| candidate.foundation).collect();
    // Two ports of one address; two servers; two addresses of one relay.
    assert_eq!(found[0], found[1]);
    assert_eq!(found[6], found[7]);
    let distinct: BTreeSet<&String> = found.iter().collect();
    assert_eq!(distinct.len(), 6, "{found:?}");
}

#[test]
fn priorities_follow_the_formula_and_differ() {
    let all = gathered();
    let priorities: BTreeSet<u32> = all.iter().map(|candidate| candidate.priority).collect();
    assert!(priorities.iter().all(|priority| (1..1 << 31).contains(priority)));
    for candidate in &all {
        let preference = match candidate.kind {
            Kind::Host => 126,
            Kind::PeerReflexive => 110,
            Kind::ServerReflexive => 100,
            Kind::Relayed => 0,
        };
        assert_eq!((candidate.priority >> 24, candidate.priority & 0xff), (preference, 255));
    }
    // Host candidates of an address each differ in local preference.
    let hosts: BTreeSet<u32> = all[..4].iter().map(|candidate| candidate.priority).collect();
    assert_eq!(hosts.len(), 4);
}

#[test]
fn link_local_addresses_pair_among_themselves_and_families_do_not_mix() {
    let mut a = Peer::new(Role::Controlling, [1; 32]).host("[fe80::1]:1").host("[2001:db8::1]:1").host(A);
    let b = Peer::new(Role::Controlled, [2; 32]);
    a.agent.set_remote_credentials(epoch(), b.agent.local_credentials().clone());
    for remote in ["fe80::2", "2001:db8::2", "10.0.0.2"] {
        let line = format!("candidate:1 1 udp 100 {remote} 2 typ host");
        a.agent.add_remote_candidate(epoch(), line.parse().unwrap()).unwrap();
    }
    let paths: BTreeSet<Path> = a.agent.stats().pairs.iter().map(|pair| pair.path).collect();
    let expected = [
        path("[fe80::1]:1", "[fe80::2]:2"),
        path("[2001:db8::1]:1", "[2001:db8::2]:2"),
        path(A, "10.0.0.2:2"),
    ];
    assert_eq!(paths, expected.into());
}

/// RFC 8421 §4: where one family leads nowhere, the other does not wait until all of it has been tried.
#[test]
fn the_families_are_checked_in_turns() {
    let with_hosts = |mut peer: Peer, side: u8| {
        // In the order in which a machine may have them: one family behind the other.
        for host in 1..=4 {
            peer = peer.host(&format!("[2001:db8:{side}::{host}]:1"));
        }
        for host in 1..=4 {
            peer = peer.host(&format!("10.0.{side}.{host}:1"));
        }
        peer
    };
    let mut a = with_hosts(Peer::new(Role::Controlling, [1; 32]), 1);
    let mut b = with_hosts(Peer::new(Role::Controlled, [2; 32]), 2);
    introduce(&mut a, &mut b, epoch());
    signal(&b, &mut a, epoch());
    let mut families = Vec::new();
    let mut known = BTreeSet::new();
    for (_, to, _) in asked(&mut a, seconds(3)) {
        if known.insert(to) {
            families.push(to.remote.is_ipv4());
        }
    }
    assert_eq!(families.len(), 32, "each address of ours to each of the peer's of its family");
    for best in [1_usize, 2, 3, 4] {
        let checked = &families[..2 * best * best];
        let v4 = checked.iter().filter(|is_v4| **is_v4).count();
        assert_eq!(v4, best * best, "of the {best} best addresses of each family: {checked:?}");
    }
}

#[test]
fn a_reflexive_candidate_is_checked_from_its_base_and_once() {
    let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
    let reflexive = LocalCandidate::server_reflexive(
        "203.0.113.1:1".parse().unwrap(),
        A.parse().unwrap(),
        [9, 9, 9, 9].into(),
    );
    a.agent.add_local_candidate(epoch(), reflexive).unwrap();
    let b = Peer::new(Role::Controlled, [2; 32]).host(B);
    a.agent.set_remote_credentials(epoch(), b.agent.local_credentials().clone());
    signal(&b, &mut a, epoch());
    let pairs = a.agent.stats().pairs;
    assert_eq!(pairs.iter().map(|pair| pair.path).collect::<Vec<_>>(), [path(A, B)]);
    assert_eq!(pairs[0].priority >> 32, u64::from((126_u32 << 24) | (0xfffe << 8) | 255));
}

#[test]
fn of_one_foundation_one_pair_waits_and_success_frees_the_others() {
    let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
    let b = Peer::new(Role::Controlled, [2; 32]).host(B).host("10.0.0.2:2001").host("10.0.0.2:2002");
    a.agent.set_remote_credentials(epoch(), b.agent.local_credentials().clone());
    signal(&b, &mut a, epoch());
    let states = |a: &Peer| a.agent.stats().pairs.iter().map(|pair| pair.state).collect::<Vec<_>>();
    assert_eq!(states(&a).iter().filter(|state| **state == PairState::Waiting).count(), 1);
    assert_eq!(states(&a).iter().filter(|state| **state == PairState::Frozen).count(), 2);
    let (to, bytes) = send(&mut a, epoch()).unwrap();
    succeed(&mut a, &key_of(&b), epoch(), to, &bytes);
    assert!(!states(&a).contains(&PairState::Frozen), "{:?}", states(&a));
    assert!(states(&a).contains(&PairState::Succeeded));
}

#[test]
fn a_switched_role_turns_the_priorities_of_pairs() {
    let (a, mut b) = ready();
    let low = "candidate:9 1 udp 5 10.0.0.9 9 typ host".parse().unwrap();
    b.agent.add_remote_candidate(epoch(), low).unwrap();
    let of =
        |b: &Peer| b.agent.stats().pairs.iter().find(|pair| pair.path.remote.port() == 9).unwrap().priority;
    // RFC 8445 §6.1.2.3: the last bit says whether the controlling side's is the larger one.
    assert_eq!(of(&b) & 1, 0);
    let right = format!("{}:{}", b.agent.local_credentials().ufrag(), a.agent.local_credentials().ufrag());
    let conflict = [Attribute::Priority(1), Attribute::IceControlled(0)];
    let key = key_of(&b);
    receive(&mut b, path(B, A), epoch(), &request(Some(&right), &conflict, Some(&key))).unwrap();
    assert_eq!(b.agent.role(), Role::Controlling);
    assert_eq!(of(&b) & 1, 1);
}

#[test]
fn addresses_that_only_checks_show_become_candidates() {
    let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
    let mut b = Peer::new(Role::Controlled, [2; 32]).host(B);
    introduce(&mut a, &mut b, epoch());
    signal(&b, &mut a, epoch());
    // The peer sees us elsewhere.
    let (to, bytes) = send(&mut a, epoch()).unwrap();
    let id = Message::decode(&bytes).unwrap().transaction();
    let mapped = [Attribute::XorMappedAddress("203.0.113.5:5".parse().unwrap())];
    receive(&mut a, to, epoch(), &message(Class::Success, id, &mapped, Some(&key_of(&b)))).unwrap();
    assert_eq!(a.agent.stats().local_candidates, 2);
    assert_eq!(a.agent.local_candidates().count(), 1, "it is not signalled");
    // And we see the peer elsewhere: with the priority that it says.
    let username = format!("{}:{}", a.agent.local_credentials().ufrag(), b.agent.local_credentials().ufrag());
    let says = [Attribute::Priority(12345), Attribute::IceControlled(1)];
    let check = request(Some(&username), &says, Some(&key_of(&a)));
    receive(&mut a, path(A, "203.0.113.9:9"), epoch(), &check).unwrap();
    let known: Vec<_> = a.agent.remote_candidates().collect();
    assert!(known.contains(&("203.0.113.9:9".parse().unwrap(), Kind::PeerReflexive)));
    let stats = a.agent.stats();
    let pair = stats.pairs.iter().find(|pair| pair.path.remote.port() == 9).unwrap();
    assert_eq!(pair.priority >> 32, 12345);
}

#[test]
fn an_error_or_silence_fails_a_pair_and_a_role_conflict_does_not() {
    for (code, state, role) in [
        (400, PairState::Failed, Role::Controlling),
        (500, PairState::Failed, Role::Controlling),
        (487, PairState::Waiting, Role::Controlled),
    ] {
        let (mut a, b) = ready();
        let (to, bytes) = send(&mut a, epoch()).unwrap();
        let id = Message::decode(&bytes).unwrap().transaction();
        let error = [Attribute::ErrorCode(ErrorCode { code, reason: "" })];
        receive(&mut a, to, epoch(), &message(Class::Error, id, &error, Some(&key_of(&b)))).unwrap();
        assert_eq!((a.agent.stats().pairs[0].state, a.agent.role()), (state, role), "{code}");
        if code == 487 {
            let (_, again) = send(&mut a, epoch() + Duration::from_millis(50)).expect("it is asked again");
            let again = Message::decode(&again).unwrap();
            assert_ne!(again.transaction(), id);
            // RFC 8445 §7.2.5.1: under another number, lest both go on changing.
            let number = |message: &Message<'_>| {
                message.attributes().find_map(|attribute| match attribute {
                    Attribute::IceControlling(number) | Attribute::IceControlled(number) => Some(number),
                    _ => None,
                })
            };
            assert!(number(&again).is_some());
            assert_ne!(number(&again), number(&Message::decode(&bytes).unwrap()));
        }
    }
    let (mut a, _) = ready();
    asked(&mut a, seconds(60));
    assert_eq!(a.agent.stats().pairs[0].state, PairState::Failed);
}

/// RFC 8445 §7.2.5.3.4: the pair was valid, and is not any more.
#[test]
fn a_nomination_that_fails_leaves_no_path() {
    let (mut a, b) = ready();
    let key = key_of(&b);
    let (mut now, mut nominated) = (epoch(), false);
    while !nominated {
        a.agent.handle_timeout(now);
        while let Some((to, bytes)) = send(&mut a, now) {
            let check = Message::decode(&bytes).unwrap();
            nominated |= check.attributes().any(|attribute| attribute == Attribute::UseCandidate);
            if nominated {
                let error = [Attribute::ErrorCode(ErrorCode { code: 400, reason: "" })];
                let refusal = message(Class::Error, check.transaction(), &error, Some(&key));
                receive(&mut a, to, now, &refusal).unwrap();
            } else {
                succeed(&mut a, &key, now, to, &bytes);
                assert!(a.agent.selected_path().is_some());
            }
        }
        now += Duration::from_millis(50);
        assert!(now < epoch() + seconds(5));
    }
    assert_eq!(a.agent.stats().pairs[0].state, PairState::Failed);
    assert_eq!(a.agent.selected_path(), None);
}

#[test]
fn a_check_in_flight_is_sent_again_when_the_peer_asks_on_the_same_pair() {
    let (mut a, b) = ready();
    let (_, first) = send(&mut a, epoch()).unwrap();
    let username = format!("{}:{}", a.agent.local_credentials().ufrag(), b.agent.local_credentials().ufrag());
    let check =
        request(Some(&username), &[Attribute::Priority(1), Attribute::IceControlled(1)], Some(&key_of(&a)));
    let now = epoch() + Duration::from_millis(20);
    receive(&mut a, path(A, B), now, &check).unwrap();
    let (_, answer) = send(&mut a, now).unwrap();
    assert_eq!(Message::decode(&answer).unwrap().class(), Class::Success);
    // Long before the 500 ms of the first wait are over.
    let soon = epoch() + Duration::from_millis(100);
    a.agent.handle_timeout(soon);
    let (to, again) = send(&mut a, soon).expect("a triggered check");
    assert_eq!((to, Message::decode(&again).unwrap().class()), (path(A, B), Class::Request));
    assert_eq!(first, again);
}

#[test]
fn checks_are_answered_after_the_pair_was_chosen() {
    let (a, b) = ready();
    let mut pair = Pair::new(a, b, near(), [1; 32]);
    assert!(pair.run(seconds(10), |pair| pair.elapsed() > seconds(8)) && both_connected(&mut pair));
    let now = pair.now();
    let mut b = pair.b;
    let username =
        format!("{}:{}", b.agent.local_credentials().ufrag(), pair.a.agent.local_credentials().ufrag());
    let check =
        request(Some(&username), &[Attribute::Priority(1), Attribute::IceControlling(1)], Some(&key_of(&b)));
    let from = path(B, "10.0.0.1:1111");
    receive(&mut b, from, now, &check).unwrap();
    let (to, answer) = send(&mut b, now).unwrap();
    let answer = Message::decode(&answer).unwrap();
    assert_eq!((to, answer.class(), answer.mapped_address()), (from, Class::Success, Some(from.remote)));
    assert_eq!(b.agent.selected_path(), Some(path(B, A)));
}

/// RFC 7675 §5.1: whatever is configured, at least 4 s lie between consent checks.
#[test]
fn consent_is_never_asked_for_more_often_than_every_four_seconds() {
    let peer = |role, seed| {
        Peer::with(
            |config| (config.role, config.consent_interval) = (role, Duration::from_millis(1)),
            [seed; 32],
        )
    };
    let (mut a, mut b) = (peer(Role::Controlling, 1).host(A), peer(Role::Controlled, 2).host(B));
    introduce(&mut a, &mut b, epoch());
    signal(&a, &mut b, epoch());
    signal(&b, &mut a, epoch());
    let mut pair = Pair::new(a, b, near(), [1; 32]);
    pair.run(seconds(81), |_| false);
    let sent = pair.a.agent.stats().counters.consent_sent;
    assert!((18..=20).contains(&sent), "{sent}");
}

#[test]
fn an_idle_path_is_kept_open() {
    let (a, b) = ready();
    let mut pair = Pair::new(a, b, near(), [1; 32]);
    let mut sent = vec![epoch()];
    let mut count = 0;
    pair.run(seconds(300), |pair| {
        let now_sent = pair.a.agent.stats().counters.consent_sent;
        if now_sent > count {
            count = now_sent;
            sent.push(pair.now());
        }
        false
    });
    // RFC 8445 §11: at the latest every 15 s.
    assert!(sent.windows(2).all(|two| two[1] - two[0] < seconds(15)) && sent.len() > 45);
}

#[test]
fn a_restart_changes_ufrag_and_password_and_they_cannot_be_guessed() {
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let mut a = Peer::new(Role::Controlling, [seed; 32]);
        for _ in 0..3 {
            let credentials = a.agent.local_credentials();
            // 6 bits each: at least 24 and 128.
            assert!(credentials.ufrag().len() * 6 >= 24 && credentials.password().len() * 6 >= 128);
            assert!(seen.insert(credentials.ufrag().to_owned()));
            assert!(seen.insert(credentials.password().to_owned()));
            a.agent.restart(epoch());
        }
    }
}

/// RFC 8445 §14.2: whatever is configured, at least 5 ms lie between new checks.
#[test]
fn checks_are_never_paced_below_five_milliseconds() {
    for (pace, least) in [(0, 5), (1, 5), (5, 5), (20, 20), (50, 50)] {
        let mut a = Peer::with(|config| config.pace = Duration::from_millis(pace), [1; 32]).host(A);
        let b = Peer::new(Role::Controlled, [2; 32]);
        a.agent.set_remote_credentials(epoch(), b.agent.local_credentials().clone());
        for last in 10..40 {
            let line = format!("candidate:{last} 1 udp {last} 10.0.1.{last} 9 typ host");
            a.agent.add_remote_candidate(epoch(), line.parse().unwrap()).unwrap();
        }
        let times: Vec<Instant> = asked(&mut a, seconds(2)).into_iter().map(|(at, ..)| at).collect();
        let gaps: Vec<Duration> = times.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(gaps.len() >= 29, "{pace}: {gaps:?}");
        assert!(gaps.iter().all(|gap| *gap >= Duration::from_millis(least)), "{pace}: {gaps:?}");
    }
}

/// RFC 8445 §14.3: the first wait grows with the number of checks under way, from 500 ms on.
#[test]
fn many_checks_wait_longer_before_they_are_repeated() {
    for (count, least) in [(1_u8, 500), (30, 1000)] {
        let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
        let b = Peer::new(Role::Controlled, [2; 32]);
        a.agent.set_remote_credentials(epoch(), b.agent.local_credentials().clone());
        for last in 0..count {
            let line = format!("candidate:{last} 1 udp {} 10.0.1.{last} 9 typ host", 1000 - u32::from(last));
            a.agent.add_remote_candidate(epoch(), line.parse().unwrap()).unwrap();
        }
        let all = asked(&mut a, seconds(4));
        let first = all[0].1;
        let times: Vec<Instant> = all.iter().filter(|(_, to, _)| *to == first).map(|(at, ..)| *at).collect();
        assert!(times[1] - times[0] >= Duration::from_millis(least), "{count}: {:?}", times[1] - times[0]);
    }
}
