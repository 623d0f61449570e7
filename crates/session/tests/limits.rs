//! Every limit of a configuration, at the limit and one past it.
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

use std::net::SocketAddr;
use std::time::Duration;

use harness::{CLOCK, Two, config, near, peer};
use proto::Arrival;
use session::{
    ChannelInit, ConnectionState, Discard, Event, Limits, OpenError, Outgoing, SdpType, SendError, Session,
};
use testkit::epoch;

/// Two sessions of which the first has these limits.
fn limited(change: impl FnOnce(&mut Limits)) -> Two {
    let mut configs = [config(0), config(1)];
    change(&mut configs[0].limits);
    Two::with(configs, near())
}

#[test]
fn the_defaults_are_those_that_are_promised() {
    let limits = Limits::default();
    assert_eq!((limits.max_message_size, limits.send_buffer), (256 << 10, 16 << 20));
    assert_eq!((limits.max_channels, limits.max_untold_candidates), (1024, 100));
    assert_eq!(limits.max_early_dtls, 4096);
    assert_eq!(
        (limits.ice_patience, limits.close_wait),
        (Duration::from_millis(39_500), Duration::from_secs(1))
    );
}

#[test]
fn candidates_wait_to_be_told_up_to_their_number_and_not_one_more() {
    for limit in [0, 3, 50] {
        for found in [limit, limit + 1] {
            let mut config = config(0);
            config.limits.max_untold_candidates = limit;
            config.local_addresses = (0..found)
                .map(|at| SocketAddr::from(([192, 0, 2, 1], 4000 + u16::try_from(at).unwrap())))
                .collect();
            let mut session = Session::new(epoch(), CLOCK, config, [1; 32]).unwrap();
            session.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap();
            let offer = session.create_offer(epoch()).unwrap();
            session.set_local(epoch(), SdpType::Offer, offer).unwrap();
            let mut told = 0;
            while let Some(event) = session.poll_event() {
                told += usize::from(matches!(event, Event::Candidate(_)));
            }
            assert_eq!(told, limit, "{found} found");
        }
    }
}

#[test]
fn dtls_waits_for_its_path_to_be_confirmed_up_to_its_limit_and_not_a_byte_more() {
    // Each of 200 bytes costs 100 more.
    for (limit, fits) in [(0, 0), (299, 0), (300, 1), (899, 2), (900, 3)] {
        let mut two = limited(|limits| limits.max_early_dtls = limit);
        let now = two.now();
        two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
        two.negotiate(0);
        let heard = |two: &mut Two| !peer(&mut two.world, two.hosts[0]).captured.is_empty();
        assert!(two.run(Duration::from_secs(1), heard));
        let now = two.now();
        // The peer's check, from where nobody will answer ours.
        let elsewhere =
            Arrival { path: testkit::path("192.0.2.1:4000", "192.0.2.66:666"), ecn: None, at: now };
        let captured = &peer(&mut two.world, two.hosts[0]).captured;
        let checks: Vec<_> = captured.iter().map(|(_, bytes)| bytes.clone()).collect();
        let repeated = checks
            .into_iter()
            .filter_map(|mut check| two.session(0).handle_datagram(elsewhere, &mut check).map(drop).ok());
        assert!(repeated.count() > 0);
        let taken = [(); 4].map(|()| two.session(0).handle_datagram(elsewhere, &mut [22; 200]).map(drop));
        assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), fits, "{limit}");
        assert_eq!(taken[3], Err(Discard::Unconfirmed), "{limit}");
    }
}

#[test]
fn channels_are_opened_up_to_their_number_and_not_one_more() {
    for limit in [1, 7, 1024] {
        let mut two = limited(|limits| limits.max_channels = limit);
        let now = two.now();
        for _ in 0..limit {
            two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
        }
        let more = two.session(0).open_channel(now, ChannelInit::labelled("chat"));
        assert_eq!(more.map(drop), Err(OpenError::TooMany), "{limit}");
    }
}

#[test]
fn messages_are_received_up_to_the_largest_that_was_announced_and_not_a_byte_more() {
    for limit in [1, 1000, 256 << 10] {
        let mut two = limited(|limits| limits.max_message_size = limit);
        let ours = two.connect();
        let theirs = two.incoming(1);
        let largest = vec![7; usize::try_from(limit).unwrap()];
        two.send(1, theirs, largest.clone());
        let mut got = Vec::new();
        let arrived = two.run(Duration::from_secs(5), |two| {
            got.extend(two.messages(0, ours));
            !got.is_empty()
        });
        assert!(arrived && got == [largest], "{limit}");
        let now = two.now();
        let mut larger = Outgoing::binary(vec![7; usize::try_from(limit).unwrap() + 1]);
        assert_eq!(two.session(1).send(now, theirs, &mut larger), Err(SendError::TooLarge { limit }));
    }
}

#[test]
fn the_send_buffer_takes_up_to_its_limit_and_not_a_byte_more() {
    // A queued piece costs 96 bytes beside its payload.
    let fits = 5000 - 96;
    for (size, result) in [(fits, Ok(())), (fits + 1, Err(SendError::Blocked))] {
        let mut two = limited(|limits| limits.send_buffer = 5000);
        let ours = two.connect();
        two.incoming(1);
        // The channel's own OPEN is acknowledged by then.
        two.run(Duration::from_millis(500), |_| false);
        let now = two.now();
        let mut message = Outgoing::binary(vec![7; size]);
        assert_eq!(two.session(0).send(now, ours, &mut message), result);
        assert_eq!((two.session(0).buffered(ours), message.remaining().len()), (fits, size - fits));
    }
}

#[test]
fn a_session_whose_socket_takes_nothing_is_over_after_as_long_as_configured() {
    for wait in [Duration::from_millis(200), Duration::from_secs(1)] {
        let mut two = limited(|limits| limits.close_wait = wait);
        two.connect();
        let now = two.now();
        let session = two.session(0);
        session.close(now);
        assert_eq!(session.connection_state(), ConnectionState::Closed);
        session.handle_timeout(now + (wait - Duration::from_nanos(1)));
        assert!(!session.is_over(), "{wait:?}");
        session.handle_timeout(now + wait);
        assert!(session.is_over() && session.poll_timeout().is_none(), "{wait:?}");
    }
}
