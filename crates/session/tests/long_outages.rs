//! Outages that last longer than anybody's patience, and come at any moment: what ICE finds again goes on where it was.
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
use session::{ChannelInit, ConnectionState, Event, Failure};

const MINUTE: Duration = Duration::from_secs(60);

fn has_failed(two: &mut Two) -> bool {
    (0..2)
        .all(|side| matches!(two.session(side).connection_state(), ConnectionState::Failed(Failure::Ice(_))))
}

/// A train in a tunnel, a laptop that nobody opens before lunch: RFC 8842 §3 and RFC 8831 know of no time after which what
/// stands above a path would be over.
#[test]
fn however_long_an_outage_is_data_go_on_once_ice_has_begun_anew() {
    for (minutes, is_idle) in [(3, false), (120, false), (3, true), (120, true)] {
        let mut two = Two::new();
        two.tick = Duration::from_millis(100);
        let ours = two.connect();
        let theirs = two.incoming(1);
        two.cut(&[0, 1]);
        if !is_idle {
            two.send(0, ours, vec![1; 50_000]);
            two.send(1, theirs, vec![2; 50_000]);
        }
        two.run(minutes * MINUTE, |_| false);
        assert!(has_failed(&mut two), "{minutes} {is_idle}: {}", two.reports());
        two.mend();
        two.session(0).restart_ice();
        two.negotiate(0);
        let is_up = two.run(Duration::from_secs(5), Two::is_connected);
        assert!(is_up, "{minutes} {is_idle}: {}", two.reports());
        if !is_idle {
            let mut came = [Vec::new(), Vec::new()];
            let done = two.run(Duration::from_secs(5), |two| {
                came[0].extend(two.messages(0, ours));
                came[1].extend(two.messages(1, theirs));
                came.iter().all(|came| !came.is_empty())
            });
            assert!(done, "{minutes}: {}", two.reports());
            assert_eq!(came, [vec![vec![2; 50_000]], vec![vec![1; 50_000]]], "{minutes}");
        }
        two.echo(ours, theirs);
    }
}

/// RFC 8842 §3.1: that ICE begins anew is no reason for DTLS to do so; a handshake goes on over the path that is found then.
#[test]
fn a_path_that_is_lost_in_the_middle_of_the_handshake_may_be_found_again() {
    for millis in (0..200).step_by(20) {
        for minutes in [1, 60] {
            let mut two = Two::new();
            let now = two.now();
            let ours = two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
            two.negotiate(0);
            two.tick = Duration::from_millis(5);
            two.run(Duration::from_millis(millis), |_| false);
            two.cut(&[0, 1]);
            let asked = |two: &Two| {
                [0, 1].map(|side| {
                    let is_asked = |event: &&Event| matches!(event, Event::NegotiationNeeded);
                    two.seen[side].iter().filter(is_asked).count()
                })
            };
            let before = asked(&two);
            two.tick = Duration::from_secs(1);
            two.run(minutes * MINUTE, |_| false);
            let states = [0, 1].map(|side| two.session(side).connection_state());
            for (side, state) in states.iter().enumerate() {
                let is_lost =
                    matches!(state, ConnectionState::Failed(Failure::Ice(ice::Failure::ConsentExpired)));
                let calls = asked(&two)[side] - before[side];
                assert_eq!(calls, usize::from(is_lost), "{millis} ms, {minutes} min, side {side}: {state:?}");
            }
            let is_of_ice =
                |state: &ConnectionState| matches!(state, ConnectionState::Failed(Failure::Ice(_)));
            assert!(states.iter().all(is_of_ice), "{millis} ms: {states:?}");
            two.mend();
            two.tick = Duration::from_millis(20);
            two.session(1).restart_ice();
            two.negotiate(1);
            let is_up = two.run(Duration::from_secs(10), Two::is_connected);
            assert!(is_up, "{millis} ms, {minutes} min: {}", two.reports());
            let is_opened = |event: &Event| matches!(event, Event::ChannelOpened(_));
            assert!(two.run(Duration::from_secs(2), |two| two.seen[1].iter().any(is_opened)), "{millis} ms");
            let theirs = two.incoming(1);
            two.echo(ours, theirs);
        }
    }
}
