//! ICE restarts in the middle of a transfer.
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

use std::time::Duration;

use harness::{CLOCK, Two, config};
use proto::Instant;
use session::{
    ChannelInit, ConnectionState, Event, IceState, Outgoing, Route, SdpType, SendError, Session,
    SessionDescription,
};

#[test]
fn either_side_restarts_ice_in_mid_transfer_and_nothing_is_lost() {
    for restarter in [0, 1] {
        let mut two = Two::new();
        let ours = two.connect();
        let theirs = two.incoming(1);
        let payload: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        let mut sent = 0;
        let mut message: Option<Outgoing> = None;
        let mut received = Vec::new();
        let mut restarted = false;
        let before = [0, 1].map(|side| credentials(&mut two, side));
        let done = two.run(Duration::from_secs(30), |two| {
            let now = two.now();
            while sent < 20 || message.is_some() {
                let mut next = message.take().unwrap_or_else(|| {
                    sent += 1;
                    Outgoing::binary(payload.clone())
                });
                match two.session(0).send(now, ours, &mut next) {
                    Ok(()) => {}
                    Err(SendError::Blocked) => {
                        message = Some(next);
                        break;
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
            received.extend(two.messages(1, theirs));
            if !restarted && received.len() >= 3 {
                restarted = true;
                two.session(restarter).restart_ice();
                two.negotiate(restarter);
            }
            received.len() == 20
        });
        assert!(done, "{} of 20\n{}", received.len(), two.reports());
        assert!(restarted && received.iter().all(|message| *message == payload));
        two.run(Duration::from_secs(3), |_| false);
        for side in [0, 1] {
            let after = credentials(&mut two, side);
            assert!(after[0] != before[side][0] && after[1] != before[side][1], "new credentials of {side}");
            assert_eq!(after[2], before[side][2], "the fingerprint stays");
            let states: Vec<_> = two.seen[side]
                .iter()
                .filter(|event| matches!(event, Event::ConnectionState(ConnectionState::Failed(_))))
                .collect();
            assert!(states.is_empty(), "{states:?}");
        }
        assert!(two.is_connected(), "{}", two.reports());
        two.echo(ours, theirs);
    }
}

#[test]
fn a_restart_brings_a_failed_connection_back() {
    let mut two = Two::new();
    let ours = two.connect();
    let theirs = two.incoming(1);
    two.cut(&[0, 1]);
    let failed = |two: &mut Two| {
        (0..2).all(|side| matches!(two.session(side).connection_state(), ConnectionState::Failed(_)))
    };
    assert!(two.run(Duration::from_secs(41), failed), "{}", two.reports());
    two.mend();
    two.session(0).restart_ice();
    two.negotiate(0);
    assert!(two.run(Duration::from_secs(10), Two::is_connected), "{}", two.reports());
    two.echo(ours, theirs);
}

/// The ufrag, the password and the fingerprint of the local description.
fn credentials(two: &mut Two, side: usize) -> [String; 3] {
    let (_, description) = two.session(side).local_description().unwrap();
    let text = description.to_string();
    ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:"]
        .map(|name| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned())
}

/// W3C WebRTC 1.0 §4.3.3: a connection whose DTLS is up is not new, though ICE be.
#[test]
fn a_connection_that_has_failed_is_connecting_once_it_restarts() {
    let mut two = Two::new();
    two.connect();
    two.cut(&[0, 1]);
    let failed = |two: &mut Two| matches!(two.session(0).connection_state(), ConnectionState::Failed(_));
    assert!(two.run(Duration::from_secs(90), failed), "{}", two.reports());
    let now = two.now();
    two.session(0).restart_ice();
    let offer = two.session(0).create_offer(now).unwrap();
    assert_eq!(two.session(0).ice_state(), IceState::Failed);
    two.session(0).set_local(now, SdpType::Offer, offer).unwrap();
    assert_eq!(two.session(0).ice_state(), IceState::New);
    assert_eq!(two.session(0).connection_state(), ConnectionState::Connecting);
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event()).collect()
}

fn offer(two: &mut Two, side: usize) -> SessionDescription {
    let now = two.now();
    let offer = two.session(side).create_offer(now).unwrap();
    two.session(side).set_local(now, SdpType::Offer, offer.clone()).unwrap();
    offer
}

fn ufrag(description: &SessionDescription) -> String {
    description.media().next().unwrap().ice_ufrag().unwrap().to_owned()
}

fn told_candidates(events: &[Event]) -> Vec<&session::LocalCandidate> {
    events
        .iter()
        .filter_map(|event| if let Event::Candidate(told) = event { Some(told) } else { None })
        .collect()
}

/// RFC 9429 §4.1.8 and §4.1.9: a description that is made changes nothing before it is set.
#[test]
fn a_restart_begins_when_its_description_is_set() {
    let mut two = Two::new();
    let ours = two.connect();
    let theirs = two.incoming(1);
    two.run(Duration::from_millis(500), |_| false);
    let now = two.now();
    two.session(0).restart_ice();
    for side in [0, 1] {
        events(two.session(side));
    }
    let before = [0, 1].map(|side| two.session(side).local_description().unwrap().1);
    let drawn = two.session(0).create_offer(now).unwrap();
    assert_eq!(events(two.session(0)), []);
    let unchanged = two.session(0).local_description().unwrap().1;
    assert_eq!(unchanged.to_string(), before[0].to_string());
    assert!(drawn.media().all(|media| media.candidates().next().is_none()), "{drawn}");
    // One that is made again may be another, and is the one that counts.
    let set = offer(&mut two, 0);
    assert!([ufrag(&drawn), ufrag(&before[0])].iter().all(|former| *former != ufrag(&set)));
    let told = events(two.session(0));
    let told = told_candidates(&told);
    assert!(!told.is_empty() && told.iter().all(|candidate| candidate.ufrag == ufrag(&set)), "{told:?}");
    // The answering side.
    let b = two.session(1);
    b.set_remote(now, SdpType::Offer, set).unwrap();
    b.create_answer(now).unwrap();
    let answer = b.create_answer(now).unwrap();
    assert_ne!(ufrag(&answer), ufrag(&before[1]));
    assert!(told_candidates(&events(b)).is_empty());
    b.set_local(now, SdpType::Answer, answer.clone()).unwrap();
    let early = events(b);
    let early = told_candidates(&early);
    assert!(!early.is_empty());
    let a = two.session(0);
    a.set_remote(now, SdpType::Answer, answer.clone()).unwrap();
    for told in early {
        assert_eq!(told.ufrag, ufrag(&answer));
        let section = Some(told.section);
        a.add_remote_candidate(now, &told.candidate, Some(&told.mid), section, Some(&told.ufrag)).unwrap();
    }
    two.run(Duration::from_secs(60), |_| false);
    assert!(two.is_connected(), "{}", two.reports());
    two.echo(ours, theirs);
}

/// Candidates that come after a restarting offer and before its answer are those of the restart.
#[test]
fn candidates_that_follow_an_offer_wait_for_its_answer() {
    let mut two = Two::new();
    let ours = two.connect();
    let theirs = two.incoming(1);
    let now = two.now();
    two.session(0).restart_ice();
    events(two.session(0));
    let offer = offer(&mut two, 0);
    let told = events(two.session(0));
    let b = two.session(1);
    b.set_remote(now, SdpType::Offer, offer.clone()).unwrap();
    let ufrag = ufrag(&offer);
    for told in told_candidates(&told) {
        // As browsers of old write them, which name no ufrag.
        let text = told.candidate.split(" generation").next().unwrap();
        b.add_remote_candidate(now, text, Some("0"), Some(0), Some(&ufrag)).unwrap();
    }
    assert!(b.add_remote_candidate(now, "candidate:what", Some("0"), Some(0), Some(&ufrag)).is_err());
    for number in 0..300 {
        let text = format!("candidate:{number} 1 udp 1 192.0.2.9 {} typ host", number + 1);
        b.add_remote_candidate(now, &text, Some("0"), Some(0), Some(&ufrag)).unwrap();
    }
    b.add_remote_candidate(now, "", None, None, None).unwrap();
    let answer = b.create_answer(now).unwrap();
    b.set_local(now, SdpType::Answer, answer.clone()).unwrap();
    // Those that are kept, and that of the path in use.
    assert_eq!(remote_candidates(b, now), 101);
    let refused = usize::try_from(b.report(now).connectivity.unwrap().refused_candidates).unwrap();
    assert_eq!(refused, told_candidates(&told).len() + 300 - 100, "the others are counted");
    two.session(0).set_remote(now, SdpType::Answer, answer).unwrap();
    two.run(Duration::from_secs(60), |_| false);
    assert!(two.is_connected(), "{}", two.reports());
    two.echo(ours, theirs);
}

fn remote_candidates(session: &Session, now: Instant) -> usize {
    session.statistics(now).iter().filter(|(_, entry)| entry.kind() == "remote-candidate").count()
}

/// Also where there is no path yet that would stay in use.
#[test]
fn a_restart_that_is_not_offered_or_taken_back_disturbs_no_checks() {
    for ways in 0..4 {
        let mut two = Two::new();
        let now = two.now();
        two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
        two.negotiate(0);
        let first = two.session(0).local_description().unwrap().1;
        two.session(0).restart_ice();
        for _ in 0..ways {
            offer(&mut two, 0);
            two.session(0).restart_ice();
        }
        if ways == 0 {
            two.session(0).create_offer(now).unwrap();
        } else {
            two.run(Duration::from_millis(20 * ways), |_| false);
            let now = two.now();
            two.session(0).rollback(now).unwrap();
        }
        assert_eq!(ufrag(&two.session(0).local_description().unwrap().1), ufrag(&first));
        assert!(two.run(Duration::from_secs(10), Two::is_connected), "{ways} {}", two.reports());
        two.run(Duration::from_secs(60), |_| false);
        assert!(two.is_connected(), "{ways} {}", two.reports());
        two.negotiate(0);
        let now = ufrag(&two.session(0).local_description().unwrap().1);
        assert_ne!(now, ufrag(&first), "it is still wanted");
        two.run(Duration::from_secs(60), |_| false);
        assert!(two.is_connected(), "{ways} {}", two.reports());
    }
}

/// RFC 9429 §5.3.1: credentials in an answer are new if ICE restarts, and only then.
#[test]
fn the_answer_to_an_offer_that_crossed_a_restart_has_the_credentials_from_before() {
    let mut two = Two::new();
    let ours = two.connect();
    let theirs = two.incoming(1);
    two.run(Duration::from_millis(500), |_| false);
    let before = credentials(&mut two, 0);
    two.session(0).restart_ice();
    offer(&mut two, 0);
    let crossing = offer(&mut two, 1);
    let now = two.now();
    two.session(0).set_remote(now, SdpType::Offer, crossing).unwrap();
    let answer = two.session(0).create_answer(now).unwrap();
    two.session(0).set_local(now, SdpType::Answer, answer.clone()).unwrap();
    two.session(1).set_remote(now, SdpType::Answer, answer).unwrap();
    assert_eq!(credentials(&mut two, 0), before);
    assert!(events(two.session(0)).contains(&Event::NegotiationNeeded));
    two.run(Duration::from_secs(60), |_| false);
    assert!(two.is_connected(), "{}", two.reports());
    two.echo(ours, theirs);
}

/// W3C WebRTC 1.0 §4.4.1.5: an offer of the peer's may have done what was wanted.
#[test]
fn a_restart_that_the_peer_has_begun_is_not_asked_for_again() {
    let mut two = Two::new();
    two.connect();
    two.run(Duration::from_millis(500), |_| false);
    for side in [0, 1] {
        two.session(side).restart_ice();
        events(two.session(side));
    }
    two.seen.iter_mut().for_each(Vec::clear);
    two.negotiate(1);
    two.run(Duration::from_secs(60), |_| false);
    assert!(two.seen.iter().all(|seen| !seen.contains(&Event::NegotiationNeeded)), "{:?}", two.seen);
    assert!(two.is_connected(), "{}", two.reports());
    // Nor is one where there is nothing yet to begin anew.
    let mut two = Two::new();
    two.session(0).restart_ice();
    assert_eq!(events(two.session(0)), []);
}

/// Two sessions that know nothing of each other, the first with a channel, and what its demultiplexer knows of ufrags after each step.
fn strangers() -> (Instant, [Session; 2], impl FnMut(&mut Session) -> Vec<String>) {
    let now = testkit::epoch();
    let mut sides = [0, 1].map(|side| Session::new(now, CLOCK, config(side), [side + 1; 32]).unwrap());
    sides[0].open_channel(now, ChannelInit::labelled("chat")).unwrap();
    let mut known: Vec<String> = Vec::new();
    let follow = move |session: &mut Session| {
        while let Some(route) = session.poll_route() {
            match route {
                Route::UfragAdded(ufrag) => known.push(ufrag),
                Route::UfragRemoved(ufrag) => known.retain(|known| *known != ufrag),
                _ => {}
            }
        }
        known.clone()
    };
    (now, sides, follow)
}

/// Signalling may be lost again and again: the peer, which knows nothing of that, may come from elsewhere meanwhile.
#[test]
fn the_ufrag_that_the_peer_uses_stays_known_through_restarts_that_nobody_answers() {
    let (now, [mut a, mut b], mut follow) = strangers();
    let offer = |a: &mut Session| {
        let offer = a.create_offer(now).unwrap();
        a.set_local(now, SdpType::Offer, offer.clone()).unwrap();
        offer
    };
    let first = offer(&mut a);
    b.set_remote(now, SdpType::Offer, first.clone()).unwrap();
    let (_, answer) = b.make_local(now).unwrap();
    a.set_remote(now, SdpType::Answer, answer).unwrap();
    let used = ufrag(&first);
    for _ in 0..4 {
        a.restart_ice();
        let last = offer(&mut a);
        assert_eq!(follow(&mut a), [used.clone(), ufrag(&last)]);
    }
    a.rollback(now).unwrap();
    let after = follow(&mut a);
    assert!(after.contains(&used) && after.len() <= 2, "{after:?}");
    for round in 0..3 {
        a.restart_ice();
        let last = offer(&mut a);
        b.set_remote(now, SdpType::Offer, last.clone()).unwrap();
        let (_, answer) = b.make_local(now).unwrap();
        a.set_remote(now, SdpType::Answer, answer).unwrap();
        let after = follow(&mut a);
        assert!(after.contains(&ufrag(&last)) && after.len() <= 2, "{round} {after:?}");
    }
}

/// A table that many sessions share does not grow with each restart.
#[test]
fn of_the_ufrags_from_before_only_the_last_stays_known() {
    let (now, [mut a, mut b], mut follow) = strangers();
    let mut used = Vec::new();
    for round in 0..5 {
        let offer = a.create_offer(now).unwrap();
        a.set_local(now, SdpType::Offer, offer.clone()).unwrap();
        used.push(ufrag(&offer));
        assert_eq!(follow(&mut a), used.iter().rev().take(2).rev().cloned().collect::<Vec<_>>());
        b.set_remote(now, SdpType::Offer, offer).unwrap();
        let answer = b.create_answer(now).unwrap();
        b.set_local(now, SdpType::Answer, answer.clone()).unwrap();
        a.set_remote(now, SdpType::Answer, answer).unwrap();
        a.restart_ice();
        if round == 2 {
            let offer = a.create_offer(now).unwrap();
            a.set_local(now, SdpType::Offer, offer.clone()).unwrap();
            a.rollback(now).unwrap();
            // What is taken back is known for a while, as what was before it is again.
            assert_eq!(follow(&mut a), [used[2].clone(), ufrag(&offer)]);
        }
    }
    // The transport goes with its last section.
    let offer = a.create_offer(now).unwrap().to_string().replace("m=application 9", "m=application 0");
    b.set_remote(now, SdpType::Offer, SessionDescription::parse(&offer).unwrap()).unwrap();
    let answer = b.create_answer(now).unwrap();
    b.set_local(now, SdpType::Answer, answer).unwrap();
    let mut left = 0;
    while let Some(route) = b.poll_route() {
        left += match route {
            Route::UfragAdded(_) => 1,
            Route::UfragRemoved(_) => -1,
            _ => 0,
        };
    }
    assert_eq!(left, 0);
}
