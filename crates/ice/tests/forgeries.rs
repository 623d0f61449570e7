//! Messages that are almost right: each part of what makes a message the peer's is taken away in turn.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use crypto::HashAlgorithm;
use ice::{Credentials, Discard, Role, Route};
use proto::Instant;
use stun::DecodeError;
use stun::IntegrityKey;
use stun::wire::{Attribute, Class, Message, TransactionId};
use support::{
    A, B, Peer, both_connected, introduce, message, ready, receive, request, seconds, send, signal,
};
use testkit::{Link, Pair, epoch, path};

fn key(credentials: &Credentials) -> IntegrityKey {
    IntegrityKey::short_term(crypto::rust_crypto(), credentials.password())
}

/// A message without any code, in bytes, as `parts` of type and value.
fn raw(kind: u16, id: [u8; 12], parts: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = [&kind.to_be_bytes()[..], &[0, 0, 0x21, 0x12, 0xa4, 0x42], &id].concat();
    for (attribute, value) in parts {
        append(&mut bytes, *attribute, value);
    }
    bytes
}

fn append(bytes: &mut Vec<u8>, attribute: u16, value: &[u8]) {
    bytes.extend(attribute.to_be_bytes());
    bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let len = u16::try_from(bytes.len() - 20).unwrap();
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
}

/// Appends MESSAGE-INTEGRITY, made as if the message were `off` bytes longer than it is (RFC 8489 §14.5).
fn sign(bytes: &mut Vec<u8>, password: &str, off: u16) {
    let right = u16::try_from(bytes.len() - 20 + 24).unwrap();
    let mut covered = bytes.clone();
    covered[2..4].copy_from_slice(&right.wrapping_add(off).to_be_bytes());
    let code = crypto::rust_crypto().hmac(HashAlgorithm::Sha1, password.as_bytes()).sign(&[&covered]);
    append(bytes, 0x0008, code.as_bytes());
}

fn fingerprint(bytes: &mut Vec<u8>) {
    append(bytes, 0x8028, &[0; 4]);
    let covered = bytes.len() - 8;
    let mut crc = u32::MAX;
    for byte in &bytes[..covered] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let value = !crc ^ 0x5354_554e;
    bytes[covered + 4..].copy_from_slice(&value.to_be_bytes());
}

/// What a check of the peer's consists of, less its codes.
fn check(username: &str, nominates: bool) -> Vec<(u16, Vec<u8>)> {
    let mut parts = vec![
        (0x0006, username.as_bytes().to_vec()),
        (0x0024, 0x6e00_1eff_u32.to_be_bytes().to_vec()),
        (0x802a, 7_u64.to_be_bytes().to_vec()),
    ];
    parts.extend(nominates.then(|| (0x0025, Vec::new())));
    parts
}

const REQUEST: u16 = 0x0001;
const INDICATION: u16 = 0x0011;
const SUCCESS: u16 = 0x0101;

/// Everything about an agent that a message may change.
fn state_of(peer: &Peer) -> String {
    let agent = &peer.agent;
    let stats = agent.stats();
    format!(
        "{:?} {:?} {:?} {:?} {:?}",
        agent.state(),
        agent.role(),
        agent.selected_path(),
        agent.remote_candidates().collect::<Vec<_>>(),
        stats.pairs
    )
}

/// THREATS I1: the requests and indications.
#[test]
fn a_check_that_lacks_any_part_makes_no_pair_and_gets_no_answer_but_an_error() {
    let (a, mut b) = ready();
    let (ours, theirs) = (b.agent.local_credentials().clone(), a.agent.local_credentials().clone());
    let right = format!("{}:{}", ours.ufrag(), theirs.ufrag());
    let from = path(B, "10.0.0.66:6");
    let signed = |username: &str, password: &str, off| {
        let mut bytes = raw(REQUEST, [9; 12], &check(username, true));
        sign(&mut bytes, password, off);
        fingerprint(&mut bytes);
        bytes
    };
    let unsigned = |after_fingerprint: bool| {
        let mut bytes = raw(REQUEST, [9; 12], &check(&right, true));
        fingerprint(&mut bytes);
        if after_fingerprint {
            sign(&mut bytes, ours.password(), 0);
        }
        bytes
    };
    let (left, last) = (format!("{}x:{}", ours.ufrag(), theirs.ufrag()), format!("{right}x"));
    for (what, bytes, expected) in [
        ("no code", unsigned(false), Discard::Unsigned),
        ("the code behind the fingerprint", unsigned(true), Discard::Malformed(DecodeError::Fingerprint)),
        ("another password", signed(&right, theirs.password(), 0), Discard::Forged),
        ("a length that is too long", signed(&right, ours.password(), 4), Discard::Forged),
        (
            "a length that leaves the code out",
            signed(&right, ours.password(), 0_u16.wrapping_sub(24)),
            Discard::Forged,
        ),
        ("another ufrag of ours", signed(&left, ours.password(), 0), Discard::WrongUsername),
        ("another ufrag of theirs", signed(&last, ours.password(), 0), Discard::WrongUsername),
        (
            "the ufrags changed round",
            signed(&format!("{}:{}", theirs.ufrag(), ours.ufrag()), ours.password(), 0),
            Discard::WrongUsername,
        ),
        ("no colon", signed(&right.replace(':', ""), ours.password(), 0), Discard::WrongUsername),
        ("two colons", signed(&right.replace(':', "::"), ours.password(), 0), Discard::WrongUsername),
    ] {
        let before = state_of(&b);
        assert_eq!(receive(&mut b, from, epoch(), &bytes), Err(expected), "{what}");
        assert_eq!(state_of(&b), before, "{what}");
        let answer = send(&mut b, epoch()).filter(|(to, _)| *to == from);
        if let Some((_, answer)) = answer {
            assert_eq!(Message::decode(&answer).unwrap().class(), Class::Error, "{what}");
            assert!(answer.len() <= bytes.len(), "{what}");
        }
        // The same as an indication, which never means anything.
        let mut indication = bytes;
        indication[..2].copy_from_slice(&INDICATION.to_be_bytes());
        let _ = receive(&mut b, from, epoch(), &indication);
        assert_eq!(state_of(&b), before, "{what}");
        assert!(send(&mut b, epoch()).is_none_or(|(to, _)| to != from), "{what}");
    }
    // And with all of its parts.
    assert_eq!(receive(&mut b, from, epoch(), &signed(&right, ours.password(), 0)), Ok(()));
    assert_eq!(b.agent.stats().pairs.len(), 2);
}

/// THREATS I1: what stands behind the code was not signed.
#[test]
fn a_request_claims_a_path_and_only_an_answer_confirms_it() {
    let (a, mut b) = ready();
    let (ours, theirs) = (b.agent.local_credentials().clone(), a.agent.local_credentials().clone());
    let mut bytes = raw(REQUEST, [9; 12], &check(&format!("{}:{}", ours.ufrag(), theirs.ufrag()), false));
    sign(&mut bytes, ours.password(), 0);
    fingerprint(&mut bytes);
    for _ in 0..3 {
        receive(&mut b, path(B, A), epoch(), &bytes).unwrap();
    }
    assert_eq!((b.agent.poll_route(), b.agent.poll_route()), (Some(Route::Added(path(B, A))), None));
    answer_checks(&mut b, &theirs, epoch());
    assert_eq!((b.agent.poll_route(), b.agent.poll_route()), (Some(Route::Confirmed(path(B, A))), None));
    b.agent.close(epoch());
    assert_eq!((b.agent.poll_route(), b.agent.poll_route()), (Some(Route::Removed(path(B, A))), None));
}

#[test]
fn a_nomination_behind_the_code_does_not_count() {
    for behind in [false, true] {
        let (a, mut b) = ready();
        let (ours, theirs) = (b.agent.local_credentials().clone(), a.agent.local_credentials().clone());
        let right = format!("{}:{}", ours.ufrag(), theirs.ufrag());
        let mut bytes = raw(REQUEST, [9; 12], &check(&right, !behind));
        sign(&mut bytes, ours.password(), 0);
        if behind {
            append(&mut bytes, 0x0025, &[]);
        }
        fingerprint(&mut bytes);
        assert_eq!(receive(&mut b, path(B, A), epoch(), &bytes), Ok(()));
        // Its own check of the same way succeeds: then the nomination counts, if it was one.
        let now = answer_checks(&mut b, &theirs, epoch());
        assert_eq!(b.agent.stats().pairs[0].is_nominated, !behind, "{now:?}");
    }
}

/// Answers what `peer` asks for a second; returns the time.
fn answer_checks(peer: &mut Peer, with: &Credentials, mut now: Instant) -> Instant {
    for _ in 0..20 {
        while let Some((to, bytes)) = send(peer, now) {
            let asked = Message::decode(&bytes).unwrap();
            if asked.class() == Class::Request {
                let mapped = [Attribute::XorMappedAddress(to.local)];
                let answer = message(Class::Success, asked.transaction(), &mapped, Some(&key(with)));
                let _ = receive(peer, to, now, &answer);
            }
        }
        now += Duration::from_millis(50);
        peer.agent.handle_timeout(now);
    }
    now
}

/// THREATS I1, I5: the responses.
#[test]
fn an_answer_that_lacks_any_part_makes_no_pair_valid() {
    let (mut a, b) = ready();
    let theirs = b.agent.local_credentials().clone();
    a.agent.handle_timeout(epoch());
    let (to, bytes) = send(&mut a, epoch()).unwrap();
    let id = Message::decode(&bytes).unwrap().transaction().0;
    let mapped = vec![(0x0001, [&[0, 1, 3, 232][..], &[10, 0, 0, 1]].concat())];
    let answer = |id: [u8; 12], password: Option<&str>, off: u16| {
        let mut bytes = raw(SUCCESS, id, &mapped);
        if let Some(password) = password {
            sign(&mut bytes, password, off);
        }
        fingerprint(&mut bytes);
        bytes
    };
    let password = Some(theirs.password());
    let ours = a.agent.local_credentials().clone();
    let mut late = answer(id, None, 0);
    sign(&mut late, theirs.password(), 0);
    for (what, from, bytes, expected) in [
        ("no code", to, answer(id, None, 0), Discard::Forged),
        ("our password", to, answer(id, Some(ours.password()), 0), Discard::Forged),
        ("a wrong length", to, answer(id, password, 4), Discard::Forged),
        ("the code behind the fingerprint", to, late, Discard::Malformed(DecodeError::Fingerprint)),
        ("another transaction", to, answer([7; 12], password, 0), Discard::UnknownTransaction),
        ("another address", path(A, "10.0.0.66:2000"), answer(id, password, 0), Discard::Asymmetric),
        ("another port", path(A, "10.0.0.2:2001"), answer(id, password, 0), Discard::Asymmetric),
        ("at another address", path("10.0.0.9:1000", B), answer(id, password, 0), Discard::Asymmetric),
    ] {
        let before = state_of(&a);
        assert_eq!(receive(&mut a, from, epoch(), &bytes), Err(expected), "{what}");
        assert_eq!(state_of(&a), before, "{what}");
    }
    assert_eq!(receive(&mut a, to, epoch(), &answer(id, password, 0)), Ok(()));
    let before = state_of(&a);
    let repeated = receive(&mut a, to, epoch(), &answer(id, password, 0));
    assert_eq!((repeated, state_of(&a)), (Err(Discard::UnknownTransaction), before));
}

/// THREATS I1: the credentials of before a restart open nothing new.
#[test]
fn the_credentials_of_before_a_restart_make_no_pair() {
    let (a, b) = ready();
    let mut pair = Pair::new(a, b, Link::default(), [1; 32]);
    assert!(pair.run(seconds(5), both_connected));
    let now = pair.now();
    let (mut b, old) = (pair.b, pair.a.agent.local_credentials().clone());
    let (ours, selected) = (b.agent.local_credentials().clone(), b.agent.selected_path());
    b.agent.restart(now);
    let mut a = pair.a;
    a.agent.restart(now);
    introduce(&mut a, &mut b, now);
    let username = format!("{}:{}", ours.ufrag(), old.ufrag());
    let stranger = path(B, "10.0.0.66:6");
    let nominate = [Attribute::Priority(1), Attribute::UseCandidate, Attribute::IceControlling(1)];
    let before = b.agent.remote_candidates().count();
    let _ = receive(&mut b, stranger, now, &request(Some(&username), &nominate, Some(&key(&ours))));
    assert_eq!(b.agent.remote_candidates().count(), before);
    assert_eq!(b.agent.selected_path(), selected);
    assert!(b.agent.stats().pairs.iter().all(|pair| pair.path != stranger));
    assert!(!b.agent.is_authenticated(stranger));
}

/// THREATS I5: ids are drawn, not counted.
#[test]
fn transaction_ids_do_not_repeat_and_follow_the_seed_alone() {
    let ids = |seed: u8| {
        let mut a = Peer::new(Role::Controlling, [seed; 32]).host(A);
        let b = Peer::new(Role::Controlled, [9; 32]).host(B);
        a.agent.set_remote_credentials(epoch(), b.agent.local_credentials().clone());
        signal(&b, &mut a, epoch());
        let (mut ids, mut now) = (Vec::<TransactionId>::new(), epoch());
        while let Some(next) = a.agent.poll_timeout() {
            now = now.max(next);
            a.agent.handle_timeout(now);
            while let Some((to, bytes)) = send(&mut a, now) {
                let id = Message::decode(&bytes).unwrap().transaction();
                // Two retransmissions and then an answer: the next check has its own.
                if !ids.contains(&id) {
                    ids.push(id);
                }
                let mapped = [Attribute::XorMappedAddress(to.local)];
                let answer = message(Class::Success, id, &mapped, Some(&key(b.agent.local_credentials())));
                let _ = receive(&mut a, to, now, &answer);
            }
            if ids.len() > 200 {
                break;
            }
        }
        ids
    };
    let (first, second) = (ids(1), ids(2));
    assert!(first.len() > 200 && first.iter().all(|id| !second.contains(id)));
    assert_eq!(first, ids(1));
    // Each bit is set about half of the time.
    for bit in 0..96 {
        let set = first.iter().filter(|id| id.0[bit / 8] >> (bit % 8) & 1 == 1).count();
        assert!((60..=140).contains(&set), "bit {bit}: {set} of {}", first.len());
    }
}

/// THREATS I6: who gives in, for every order of the two numbers.
#[test]
fn the_tie_breaker_decides_who_gives_in() {
    for role in [Role::Controlling, Role::Controlled] {
        for (ours, theirs) in [(5, 4), (4, 5), (0, u64::MAX), (u64::MAX, 0)] {
            let mut b =
                Peer::with(|config| (config.role, config.tie_break) = (role, Some(ours)), [2; 32]).host(B);
            let a = Peer::new(role, [1; 32]).host(A);
            b.agent.set_remote_credentials(epoch(), a.agent.local_credentials().clone());
            let (mine, other) = (b.agent.local_credentials().clone(), a.agent.local_credentials().clone());
            let username = format!("{}:{}", mine.ufrag(), other.ufrag());
            let claim = match role {
                Role::Controlling => Attribute::IceControlling(theirs),
                Role::Controlled => Attribute::IceControlled(theirs),
            };
            let datagram = request(Some(&username), &[Attribute::Priority(1), claim], Some(&key(&mine)));
            let taken = receive(&mut b, path(B, A), epoch(), &datagram);
            // RFC 8445 §7.3.1.1: the larger number controls.
            let keeps = (role == Role::Controlling) == (ours > theirs);
            assert_eq!(b.agent.role() == role, keeps, "{role:?} {ours} {theirs}");
            assert_eq!(taken, if keeps { Err(Discard::RoleConflict) } else { Ok(()) });
            let (_, answer) = send(&mut b, epoch()).unwrap();
            let answer = Message::decode(&answer).unwrap();
            let code = answer.error_code().map(|error| error.code);
            assert_eq!(code, keeps.then_some(487), "{role:?} {ours} {theirs}");
            answer.verify(&key(&mine)).unwrap();
        }
    }
}

/// THREATS I6: with equal numbers one of them is drawn anew, so that the two do not change together for ever.
#[test]
fn equal_tie_breakers_are_settled() {
    for role in [Role::Controlling, Role::Controlled] {
        for seed in 0..20 {
            let peer = |seed, address| {
                Peer::with(|config| (config.role, config.tie_break) = (role, Some(7)), [seed; 32])
                    .host(address)
            };
            let (mut a, mut b) = (peer(seed, A), peer(seed + 100, B));
            introduce(&mut a, &mut b, epoch());
            signal(&a, &mut b, epoch());
            signal(&b, &mut a, epoch());
            let link = Link { delay: Duration::from_millis(10), ..Link::default() };
            let mut pair = Pair::new(a, b, link, [seed; 32]);
            let settled = |pair: &mut Pair<Peer, Peer>| {
                both_connected(pair) && pair.a.agent.role() != pair.b.agent.role()
            };
            assert!(pair.run(seconds(10), settled), "{role:?} {seed}");
        }
    }
}

/// RFC 8489 §9.1.3, §6.3.1: what a request is answered that lacks something. Before it is authentic nothing in the
/// answer is made with a key.
#[test]
fn a_request_is_refused_with_the_code_of_what_it_lacks() {
    let types = |answer: &[u8]| {
        let message = Message::decode(answer).unwrap();
        assert_eq!(message.class(), Class::Error);
        let types: Vec<_> = message.attributes().map(|attribute| attribute.kind()).collect();
        (message.error_code().unwrap().code, types)
    };
    let (error, unknown, integrity, print) = (0x0009, 0x000a, 0x0008, 0x8028);
    for (what, expected) in [
        ("no code", (400, vec![error, print])),
        ("no name", (400, vec![error, print])),
        ("another name", (401, vec![error, print])),
        ("another password", (401, vec![error, print])),
        ("no priority", (400, vec![error, integrity, print])),
        ("an unknown attribute", (420, vec![error, unknown, integrity, print])),
    ] {
        let (a, mut b) = ready();
        let (ours, theirs) = (b.agent.local_credentials().clone(), a.agent.local_credentials().clone());
        let name = match what {
            "another name" => format!("{}x:{}", ours.ufrag(), theirs.ufrag()),
            _ => format!("{}:{}", ours.ufrag(), theirs.ufrag()),
        };
        let mut parts = check(&name, false);
        match what {
            "no name" => parts.retain(|(kind, _)| *kind != 0x0006),
            "no priority" => parts.retain(|(kind, _)| *kind != 0x0024),
            "an unknown attribute" => parts.push((0x0077, vec![])),
            _ => {}
        }
        let mut bytes = raw(REQUEST, [9; 12], &parts);
        if what != "no code" {
            sign(&mut bytes, if what == "another password" { theirs.password() } else { ours.password() }, 0);
        }
        fingerprint(&mut bytes);
        let from = path(B, "10.0.0.66:6");
        assert!(receive(&mut b, from, epoch(), &bytes).is_err(), "{what}");
        let (_, answer) = send(&mut b, epoch()).filter(|(to, _)| *to == from).unwrap();
        assert_eq!(types(&answer), expected, "{what}");
        let message = Message::decode(&answer).unwrap();
        assert_eq!(message.transaction().0, [9; 12]);
        assert_eq!(message.verify(&key(&ours)).is_ok(), expected.1.contains(&integrity), "{what}");
    }
}

/// RFC 8489 §6.3.1: a request that comes again is answered the same, and nothing has changed in between.
#[test]
fn a_request_that_is_sent_again_gets_the_same_answer() {
    let (a, mut b) = ready();
    let (ours, theirs) = (b.agent.local_credentials().clone(), a.agent.local_credentials().clone());
    let mut bytes = raw(REQUEST, [9; 12], &check(&format!("{}:{}", ours.ufrag(), theirs.ufrag()), false));
    sign(&mut bytes, ours.password(), 0);
    fingerprint(&mut bytes);
    let from = path(B, "10.0.0.66:6");
    let mut answers = Vec::new();
    let mut pairs = Vec::new();
    for _ in 0..3 {
        receive(&mut b, from, epoch(), &bytes).unwrap();
        while let Some((to, sent)) = send(&mut b, epoch()) {
            if to == from && Message::decode(&sent).unwrap().class() != Class::Request {
                answers.push(sent);
            }
        }
        pairs.push(b.agent.stats().pairs.len());
    }
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(pairs, [2, 2, 2]);
    let message = Message::decode(&answers[0]).unwrap();
    let types: Vec<_> = message.attributes().map(|attribute| attribute.kind()).collect();
    assert_eq!((message.class(), types), (Class::Success, vec![0x0020, 0x0008, 0x8028]));
    assert_eq!(message.mapped_address(), Some(from.remote));
}

/// RFC 8489 §9.1.3: who asks with the longer code is answered with it.
#[test]
fn the_kind_of_code_of_a_request_is_that_of_its_answer() {
    for (long, kind) in [(false, 0x0008), (true, 0x001c)] {
        let (a, mut b) = ready();
        let (ours, theirs) = (b.agent.local_credentials().clone(), a.agent.local_credentials().clone());
        let key = if long { key(&ours).with_sha256() } else { key(&ours) };
        let name = format!("{}:{}", ours.ufrag(), theirs.ufrag());
        let attributes = [Attribute::Priority(1), Attribute::IceControlling(1)];
        let from = path(B, "10.0.0.66:6");
        receive(&mut b, from, epoch(), &request(Some(&name), &attributes, Some(&key))).unwrap();
        let (to, answer) = send(&mut b, epoch()).unwrap();
        assert_eq!(to, from);
        let answer = Message::decode(&answer).unwrap();
        assert_eq!((answer.class(), answer.verify(&key)), (Class::Success, Ok(())));
        let types: Vec<_> = answer.attributes().map(|attribute| attribute.kind()).collect();
        assert_eq!(types, [0x0020, kind, 0x8028]);
    }
}

/// RFC 8489 §9.1.4: a check has the shorter code, and what answers it too.
#[test]
fn an_answer_with_another_kind_of_code_is_dropped() {
    let (mut a, b) = ready();
    let key = key(b.agent.local_credentials());
    a.agent.handle_timeout(epoch());
    let (to, bytes) = send(&mut a, epoch()).unwrap();
    let check = Message::decode(&bytes).unwrap();
    assert!(!check.is_signed_with_sha256());
    let mapped = [Attribute::XorMappedAddress(to.local)];
    let id = check.transaction();
    let before = state_of(&a);
    let longer = message(Class::Success, id, &mapped, Some(&key.with_sha256()));
    assert_eq!(receive(&mut a, to, epoch(), &longer), Err(Discard::Forged));
    assert_eq!(state_of(&a), before);
    let key = self::key(b.agent.local_credentials());
    assert_eq!(receive(&mut a, to, epoch(), &message(Class::Success, id, &mapped, Some(&key))), Ok(()));
}
