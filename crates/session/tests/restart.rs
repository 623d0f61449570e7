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

use harness::Two;
use session::{ConnectionState, Event, IceState, Outgoing, SendError};

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
    two.session(0).create_offer(now).unwrap();
    assert_eq!(two.session(0).ice_state(), IceState::New);
    assert_eq!(two.session(0).connection_state(), ConnectionState::Connecting);
}
