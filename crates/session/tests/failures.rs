//! What cannot work fails in time and says why; each beside the same pair without the fault.
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

use harness::{Two, peer};
use session::{
    ChannelInit, ConnectionState, Event, Failure, IceFailure, NegotiationError, Outgoing, SdpType,
    SessionDescription,
};

/// What a fault does to a description on its way.
type Change = fn(&str) -> String;

/// Negotiates with descriptions changed on their way: the offer, and the answer.
fn negotiate(two: &mut Two, changes: [Option<Change>; 2]) {
    let now = two.now();
    two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    let carried = |description: &SessionDescription, change: Option<Change>| {
        let text = description.to_string();
        SessionDescription::parse(&change.map_or_else(|| text.clone(), |change| change(&text))).unwrap()
    };
    let offer = two.session(0).create_offer(now).unwrap();
    two.session(0).set_local(now, SdpType::Offer, offer.clone()).unwrap();
    two.session(1).set_remote(now, SdpType::Offer, carried(&offer, changes[0])).unwrap();
    let answer = two.session(1).create_answer(now).unwrap();
    two.session(1).set_local(now, SdpType::Answer, answer.clone()).unwrap();
    two.session(0).set_remote(now, SdpType::Answer, carried(&answer, changes[1])).unwrap();
}

fn state(two: &mut Two, side: usize) -> ConnectionState {
    two.session(side).connection_state()
}

/// Replaces the value of an attribute by what `change` makes of it.
fn change_value(text: &str, name: &str, change: impl Fn(&str) -> String) -> String {
    text.lines()
        .map(|line| match line.strip_prefix(name) {
            Some(value) => format!("{name}{}\r\n", change(value)),
            None => format!("{line}\r\n"),
        })
        .collect()
}

fn wrong_fingerprint(text: &str) -> String {
    change_value(text, "a=fingerprint:sha-256 ", |value| {
        let first = if value.starts_with("00") { "11" } else { "00" };
        format!("{first}{}", &value[2..])
    })
}

fn wrong_password(text: &str) -> String {
    change_value(text, "a=ice-pwd:", |value| value.chars().rev().collect())
}

#[test]
fn without_a_fault_the_pair_connects() {
    let mut two = Two::new();
    negotiate(&mut two, [None, None]);
    assert!(two.run(Duration::from_secs(3), Two::is_connected), "{}", two.reports());
}

#[test]
fn a_wrong_fingerprint_fails_fast_and_delivers_nothing() {
    for victim in [0, 1] {
        let mut two = Two::new();
        let mut changes: [Option<Change>; 2] = [None, None];
        // The victim is who reads the changed description.
        changes[1 - victim] = Some(wrong_fingerprint);
        negotiate(&mut two, changes);
        let failed = ConnectionState::Failed(Failure::Fingerprint);
        let seen = two.run(Duration::from_secs(3), |two| state(two, victim) == failed);
        assert!(seen, "{}", two.reports());
        two.run(Duration::from_secs(60), |_| false);
        for side in [0, 1] {
            let opened = |event: &Event| matches!(event, Event::ChannelOpen(_) | Event::ChannelOpened(_));
            assert!(side == 1 - victim || !two.seen[side].iter().any(opened), "{:?}", two.seen[side]);
            assert_eq!(two.session(side).stats(testkit::epoch()).sctp.bytes_received, 0);
        }
        assert!(matches!(state(&mut two, 1 - victim), ConnectionState::Failed(_) | ConnectionState::Closed));
    }
}

#[test]
fn a_wrong_password_or_no_network_fails_within_45_seconds() {
    for fault in ["password", "network"] {
        let mut two = Two::new();
        if fault == "network" {
            two.cut(&[0, 1]);
        }
        negotiate(&mut two, [None, (fault == "password").then_some(wrong_password as Change)]);
        let failed = two.run(Duration::from_secs(45), |two| {
            // The checks of the side with the right password are answered; what fails there is what follows.
            let ice = matches!(state(two, 0), ConnectionState::Failed(Failure::Ice(_)));
            ice && matches!(state(two, 1), ConnectionState::Failed(_))
        });
        assert!(failed, "{fault}\n{}", two.reports());
        let now = two.now();
        let report = two.session(0).report(now).to_string();
        assert!(report.contains("try: "), "{report}");
    }
}

#[test]
fn a_search_for_a_path_is_given_up_when_patience_ends() {
    for seconds in [5, 20] {
        let configs = [0, 1].map(|side| {
            let mut config = harness::config(side);
            config.limits.ice_patience = Duration::from_secs(seconds);
            config
        });
        let mut two = Two::with(configs, harness::near());
        two.cut(&[0, 1]);
        negotiate(&mut two, [None, None]);
        let failed = ConnectionState::Failed(Failure::Ice(IceFailure::NoAnswer));
        let seen = |two: &mut Two| (0..2).any(|side| state(two, side) == failed);
        assert!(!two.run(Duration::from_secs(seconds) - Duration::from_millis(1), seen), "{seconds} s");
        // RFC 8863 §4: while checks are in flight nothing is lost yet, but that ends too.
        let both = |two: &mut Two| (0..2).all(|side| state(two, side) == failed);
        assert!(two.run(Duration::from_millis(4502), both), "{seconds} s: {}", two.reports());
    }
}

#[test]
fn a_peer_that_vanishes_is_missed_then_given_up() {
    let mut two = Two::new();
    two.connect();
    two.cut(&[0, 1]);
    let start = two.now();
    let missed = two.run(Duration::from_secs(15), |two| state(two, 0) == ConnectionState::Disconnected);
    assert!(missed, "{}", two.reports());
    let consent = ConnectionState::Failed(Failure::Ice(ice::Failure::ConsentExpired));
    let failed = two.run(Duration::from_secs(40), |two| (0..2).all(|side| state(two, side) == consent));
    assert!(failed && two.now() - start <= Duration::from_secs(40), "{}", two.reports());
}

/// THREATS figure 12: data of the peer's show that it is there, and are no consent (RFC 7675 §5.1).
#[test]
fn a_peer_whose_data_arrive_is_not_missed_though_its_checks_do_not() {
    let mut two = Two::new();
    let ours = two.connect();
    let theirs = two.incoming(1);
    let host = two.hosts[0];
    peer(&mut two.world, host).misses_stun = true;
    let start = two.now();
    let mut arrived = 0;
    two.seen[0].clear();
    let consent = ConnectionState::Failed(Failure::Ice(ice::Failure::ConsentExpired));
    while state(&mut two, 0) != consent {
        assert!(two.now() - start < Duration::from_secs(40), "{}", two.reports());
        two.send(1, theirs, b"here".to_vec());
        two.run(Duration::from_millis(500), |_| false);
        arrived += two.messages(0, ours).len();
    }
    assert!(arrived >= 40 && two.now() - start >= Duration::from_secs(23), "{arrived}");
    let missed = Event::ConnectionState(ConnectionState::Disconnected);
    assert!(!two.seen[0].contains(&missed), "{:?}", two.seen[0]);
}

#[test]
fn an_outage_of_20_seconds_loses_nothing() {
    let mut two = Two::new();
    let ours = two.connect();
    let theirs = two.incoming(1);
    for number in 0..50_u8 {
        two.send(0, ours, vec![number; 10_000]);
        two.send(1, theirs, vec![number; 10_000]);
    }
    two.run(Duration::from_millis(40), |_| false);
    two.cut(&[0, 1]);
    two.run(Duration::from_secs(20), |_| false);
    two.mend();
    let mut got = [Vec::new(), Vec::new()];
    let arrived = two.run(Duration::from_secs(60), |two| {
        got[0].extend(two.messages(0, ours));
        got[1].extend(two.messages(1, theirs));
        got.iter().all(|messages| messages.len() == 50)
    });
    assert!(arrived, "{} and {}\n{}", got[0].len(), got[1].len(), two.reports());
    for messages in got {
        assert!(messages.iter().zip(0..).all(|(message, number)| *message == vec![number; 10_000]));
    }
    assert!(two.is_connected());
}

#[test]
fn weak_fingerprints_are_refused() {
    let mut two = Two::new();
    let now = two.now();
    two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    let offer = two.session(0).create_offer(now).unwrap();
    let weak = offer.to_string().lines().fold(String::new(), |text, line| {
        let line = if line.starts_with("a=fingerprint:") {
            "a=fingerprint:sha-1 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33"
        } else {
            line
        };
        text + line + "\r\n"
    });
    let weak = SessionDescription::parse(&weak).unwrap();
    let refused = two.session(1).set_remote(now, SdpType::Offer, weak);
    assert_eq!(refused, Err(NegotiationError::WeakFingerprints));
    two.session(1).set_remote(now, SdpType::Offer, offer).unwrap();
}

#[test]
fn what_was_sent_before_the_failure_can_still_be_read() {
    let mut two = Two::new();
    let ours = two.connect();
    let theirs = two.incoming(1);
    let now = two.now();
    two.session(0).send(now, ours, &mut Outgoing::text("last words")).unwrap();
    two.run(Duration::from_millis(200), |_| false);
    let now = two.now();
    two.session(0).close(now);
    assert!(two.run(Duration::from_secs(2), |two| state(two, 1) == ConnectionState::Closed));
    assert_eq!(two.messages(1, theirs), [b"last words"]);
}
