//! Lossy, reordering, narrow paths; the clocks of RFC 6347 and of a path that ICE has checked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod common;

use std::time::Duration;

use common::{Link, Pair, config};
use crypto::Rng;
use dtls::{CloseReason, Event};

/// Loses, doubles and delays by the seed.
fn faulty(seed: u8, loss: u32) -> Link {
    let mut rng = Rng::new([seed; 32]);
    Box::new(move |_, _| {
        let copies = if rng.below(100) < loss { 0 } else { 1 + u32::from(rng.below(10) == 0) };
        (0..copies).map(|_| Duration::from_millis(5 + u64::from(rng.below(60)))).collect()
    })
}

#[test]
fn loss_duplication_and_reordering_only_cost_time() {
    for seed in 0..60 {
        for (mtu, loss) in [(1500, 20), (600, 20), (228, 10)] {
            let null = testkit::null_provider();
            let mut pair = Pair::seeded(config(null, 1), config(null, 2), seed);
            for end in [&mut pair.client, &mut pair.server] {
                end.connection.set_round_trip(Duration::from_millis(60));
                end.connection.set_max_datagram(mtu);
            }
            (pair.to_client, pair.to_server) = (faulty(seed, loss), faulty(seed + 100, loss));
            let connected = pair.connect(Duration::from_secs(30));
            assert!(connected, "seed {seed}, {mtu} bytes: {:?}", pair.client.connection.stats());
            assert!(pair.trace.iter().all(|(_, _, datagram)| datagram.len() <= mtu));
        }
    }
}

/// Behind ICE a path may be lost at any moment, and found again after hours.
#[test]
fn a_handshake_goes_on_at_once_when_its_path_is_found_again() {
    let null = testkit::null_provider();
    for kept in [0, 1] {
        let mut pair = Pair::new(config(null, 1), config(null, 2));
        let ends = |pair: &mut Pair, act: fn(&mut dtls::Connection, proto::Instant)| {
            let now = pair.now;
            [&mut pair.client, &mut pair.server].into_iter().for_each(|end| act(&mut end.connection, now));
        };
        ends(&mut pair, |connection, _| connection.set_round_trip(Duration::from_millis(20)));
        let dies = || -> Link {
            Box::new(move |n, _| if n < kept { vec![Duration::from_millis(10)] } else { Vec::new() })
        };
        (pair.to_client, pair.to_server) = (dies(), dies());
        assert!(!pair.connect(Duration::from_secs(29)), "{kept}");
        // Nobody asks for the time as long as there is no path.
        pair.now += Duration::from_secs(3600);
        (pair.to_client, pair.to_server) = (common::clean(), common::clean());
        ends(&mut pair, dtls::Connection::path_revived);
        assert!(pair.connect(Duration::from_millis(200)), "{kept}");
        // It is of no consequence then.
        ends(&mut pair, dtls::Connection::path_revived);
        assert_eq!(pair.client.connection.poll_timeout(), None);
    }
    // One that still goes nowhere ends in its time.
    let mut pair = Pair::new(config(null, 1), config(null, 2));
    pair.to_server = Box::new(|_, _| Vec::new());
    pair.client.connection.set_round_trip(Duration::from_millis(20));
    pair.now += Duration::from_secs(3600);
    let revived = pair.now;
    pair.client.connection.path_revived(revived);
    assert!(!pair.connect(Duration::from_secs(29)));
    assert_eq!(pair.client.connection.closed(), None);
    pair.connect(Duration::from_secs(2));
    assert_eq!(pair.client.connection.closed(), Some(CloseReason::TimedOut));
    pair.client.connection.path_revived(pair.now);
    assert_eq!(pair.client.connection.poll_timeout(), None);
}

/// A peer can have its path fall silent and come back for as long as it likes, by what it answers of ICE.
#[test]
fn a_path_that_is_found_again_and_again_keeps_no_handshake_for_ever() {
    let null = testkit::null_provider();
    let mut pair = Pair::new(config(null, 1), config(null, 2));
    let client = &mut pair.client.connection;
    client.set_round_trip(Duration::from_millis(20));
    let mut revivals = 0;
    while client.closed().is_none() && revivals < 100 {
        pair.now += Duration::from_secs(29);
        client.path_revived(pair.now);
        client.handle_timeout(pair.now);
        revivals += 1;
    }
    assert_eq!((client.closed(), revivals), (Some(CloseReason::TimedOut), 18));
}

#[test]
fn equal_seeds_give_equal_bytes() {
    let run = |seed| {
        let provider = crypto::rust_crypto();
        let mut pair = Pair::seeded(config(provider, 1), config(provider, 2), seed);
        (pair.to_client, pair.to_server) = (faulty(seed, 20), faulty(seed + 100, 20));
        assert!(pair.connect(Duration::from_secs(60)));
        pair.trace
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn a_flight_keeps_its_content_when_the_path_narrows() {
    let null = testkit::null_provider();
    let mut pair = Pair::new(config(null, 1), config(null, 2));
    let mut contents = Vec::new();
    let mut numbers = std::collections::BTreeSet::new();
    for mtu in [1500, 600, 228, 100] {
        pair.client.connection.set_max_datagram(mtu);
        let mut content = Vec::new();
        for datagram in pair.client.datagrams(pair.now) {
            assert!(datagram.len() <= mtu);
            let mut rest = &datagram[..];
            while !rest.is_empty() {
                assert!(numbers.insert(rest[5..11].to_vec()), "a record number is used once");
                let len = usize::from(u16::from_be_bytes([rest[11], rest[12]]));
                content.extend_from_slice(&rest[13 + 12..13 + len]);
                rest = &rest[13 + len..];
            }
        }
        contents.push(content);
        pair.now = pair.client.connection.poll_timeout().unwrap();
        pair.client.connection.handle_timeout(pair.now);
    }
    assert!(contents.iter().all(|content| *content == contents[0] && content.len() > 80));
}

#[test]
fn an_unanswered_client_follows_the_schedule_and_gives_up() {
    for (rtt, expected, end) in [
        (None, vec![0, 1000, 3000, 7000, 15_000, 31_000], 60),
        (Some(40), vec![0, 80, 240, 560, 1060, 1560, 2060], 30),
        (Some(1), vec![0, 50, 150, 350, 750, 1250, 1750], 30),
        (Some(9000), vec![0, 2000, 4000, 6000], 30),
    ] {
        let null = testkit::null_provider();
        let mut pair = Pair::new(config(null, 1), config(null, 2));
        if let Some(rtt) = rtt {
            pair.client.connection.set_round_trip(Duration::from_millis(rtt));
        }
        pair.to_server = Box::new(|_, _| Vec::new());
        let closed = Event::Closed(CloseReason::TimedOut);
        assert!(pair.run_until(Duration::from_secs(100), |pair| pair.client.events == [closed]));
        let sent: Vec<_> = pair.trace.iter().map(|(at, ..)| (*at - testkit::epoch()).as_millis()).collect();
        assert_eq!(sent[..expected.len()], expected);
        assert_eq!(pair.now - testkit::epoch(), Duration::from_secs(end));
        assert_eq!(pair.client.connection.poll_timeout(), None);
    }
}

#[test]
fn each_lost_datagram_costs_one_wait() {
    let null = testkit::null_provider();
    for lost in 0..2 {
        for by_client in [true, false] {
            let mut pair = Pair::new(config(null, 1), config(null, 2));
            for end in [&mut pair.client, &mut pair.server] {
                end.connection.set_round_trip(Duration::from_millis(20));
            }
            let link: Link =
                Box::new(move |n, _| if n == lost { Vec::new() } else { vec![Duration::from_millis(10)] });
            *(if by_client { &mut pair.to_server } else { &mut pair.to_client }) = link;
            assert!(pair.connect(Duration::from_secs(1)), "datagram {lost}, by the client: {by_client}");
            assert!(pair.now - testkit::epoch() <= Duration::from_millis(40 + 50));
            // The server, which finished last, repeats its last flight when the client does.
            assert!(
                pair.client.events.contains(&Event::Connected)
                    && pair.server.events.contains(&Event::Connected)
            );
        }
    }
}

#[test]
fn a_late_acceptance_is_awaited_and_a_rejection_ends_all() {
    let provider = crypto::default_provider();
    let mut pair = Pair::new(config(provider, 1), config(provider, 2));
    (pair.client.accepts, pair.server.accepts) = (false, false);
    assert!(!pair.connect(Duration::from_secs(300)));
    assert_eq!(
        (&*pair.client.events, &*pair.server.events),
        (&[Event::PeerCertificate][..], &[Event::PeerCertificate][..])
    );
    let mut keys = [0; 8];
    assert!(pair.client.connection.export_keying_material(b"label", None, &mut keys).is_err());
    assert_eq!(keys, [0; 8]);
    assert_eq!(pair.client.connection.srtp_profile(), None);

    pair.client.connection.accept_peer(pair.now);
    pair.flush();
    assert!(pair.client.connection.is_connected());
    let mut early = pair.client.seal(b"early");
    pair.server.receive(pair.now, &mut early);
    assert!(pair.server.received.is_empty() && pair.server.discards.contains(&dtls::Discard::NotConnected));

    pair.server.connection.reject_peer(pair.now);
    let bad = Event::Closed(CloseReason::Alert(dtls::AlertDescription::BAD_CERTIFICATE));
    assert!(pair.run_until(Duration::from_millis(100), |pair| pair.client.events.last() == Some(&bad)));
    assert_eq!(pair.server.events.last(), Some(&Event::Closed(CloseReason::PeerRejected)));
    pair.server.connection.accept_peer(pair.now);
    assert!(!pair.server.connection.is_connected());
}

/// A peer that is rejected hears why: from a server under the keys, whether or not its Finished has left; from
/// a client as anyone could say it, since it rejects before there are keys at the other side.
#[test]
fn a_rejection_is_told_in_the_form_that_the_peer_can_read() {
    let bad = dtls::AlertDescription::BAD_CERTIFICATE;
    let provider = crypto::default_provider();
    let pair = || Pair::new(config(provider, 1), config(provider, 2));
    let (mut late, mut early) = (pair(), pair());
    late.server.accepts = false;
    assert!(late.run_until(Duration::from_secs(1), |pair| pair.server.events == [Event::PeerCertificate]));
    late.run_until(Duration::from_millis(100), |_| false);
    // Its Finished was sent by now; a server that rejects at once has not sent it.
    early.server.accepts = false;
    let mut rejected = false;
    for _ in 0..2 {
        for mut datagram in early.client.datagrams(early.now) {
            early.server.receive(early.now, &mut datagram);
        }
        if early.server.events == [Event::PeerCertificate] {
            early.server.connection.reject_peer(early.now);
            rejected = true;
        }
        for mut datagram in early.server.datagrams(early.now) {
            early.client.receive(early.now, &mut datagram);
        }
    }
    assert!(rejected);
    late.server.connection.reject_peer(late.now);
    for pair in [&mut late, &mut early] {
        pair.run_until(Duration::from_secs(1), |_| false);
        assert_eq!(pair.server.events.last(), Some(&Event::Closed(CloseReason::PeerRejected)));
        assert_eq!(pair.client.events.last(), Some(&Event::Closed(CloseReason::Alert(bad))));
    }

    let mut pair = pair();
    pair.client.accepts = false;
    let flight = {
        let hello = pair.client.datagrams(pair.now).remove(0);
        pair.server.receive(pair.now, &mut hello.clone());
        pair.server.datagrams(pair.now)
    };
    for mut datagram in flight {
        pair.client.receive(pair.now, &mut datagram);
    }
    pair.client.connection.reject_peer(pair.now);
    let alert = pair.client.datagrams(pair.now);
    assert_eq!(alert.len(), 1);
    assert_eq!(alert[0][13..], [2, 42], "a plain alert, as RFC 5246 §7.2.2 has it");
    pair.server.receive(pair.now, &mut alert[0].clone());
    assert_eq!(pair.server.connection.stats().last_unauthenticated_alert, Some(bad));
}

#[test]
fn closing_is_told_once_and_for_all() {
    let provider = crypto::default_provider();
    let mut pair = Pair::connected(config(provider, 1), config(provider, 2));
    pair.client.connection.close(pair.now);
    pair.client.connection.close(pair.now);
    let gone = Event::Closed(CloseReason::Remote);
    assert!(pair.run_until(Duration::from_secs(1), |pair| pair.server.events.last() == Some(&gone)));
    assert!(!pair.run_until(Duration::from_secs(100), |_| false));
    assert_eq!(pair.client.events.iter().filter(|event| matches!(event, Event::Closed(_))).count(), 1);
    let mut memory = [0; 100];
    let sealed = pair.client.connection.begin_record(&mut proto::Writer::new(&mut memory)).map(drop);
    assert_eq!(sealed, Err(dtls::SealError::NotConnected));
}
