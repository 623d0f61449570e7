//! Every limit of a configuration, at the limit and one past it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::bytes::{handshake, messages, record};
use common::{End, Pair, config};
use dtls::{CloseReason, Config, Connection, Discard, Event};

fn limited(limit: impl Fn(&mut Config)) -> Config {
    let mut config = config(testkit::null_provider(), 2);
    limit(&mut config);
    config
}

/// A client that waits for the server's hello.
fn client(limit: impl Fn(&mut Config)) -> End {
    let mut end = End::new(Connection::client(testkit::epoch(), Arc::new(limited(limit)), [1; 32]));
    end.datagrams(testkit::epoch());
    end
}

#[test]
fn the_defaults_are_those_that_are_promised() {
    let config = limited(|_| {});
    assert_eq!(
        (config.max_message, config.max_certificate, config.max_reassembly),
        (32 << 10, 16 << 10, 64 << 10)
    );
    assert_eq!((config.max_future_records, config.max_future_bytes), (8, 16 << 10));
    assert_eq!((config.max_datagram, config.max_retransmissions, config.max_connections), (1200, 64, 1024));
    assert_eq!(config.max_forged, 1 << 36);
}

#[test]
fn a_message_may_be_as_long_as_the_limit() {
    for limit in [100, 32 << 10] {
        let mut client = client(|config| config.max_message = limit as usize);
        client.receive(testkit::epoch(), &mut handshake(2, limit, 0, 0, &[1; 50]));
        assert_eq!(client.discards, []);
        client.receive(testkit::epoch(), &mut handshake(11, limit + 1, 1, 0, &[1; 50]));
        assert_eq!(client.discards, [Discard::NoRoom]);
    }
    // In one piece too, which need not be kept.
    let mut client = client(|config| config.max_message = 100);
    client.receive(testkit::epoch(), &mut handshake(2, 100, 0, 0, &[0; 100]));
    assert!(matches!(client.discards[..], [Discard::Malformed(_)]), "it is looked at");
    client.receive(testkit::epoch(), &mut handshake(2, 101, 0, 0, &[0; 101]));
    assert_eq!(client.discards[1..], [Discard::NoRoom]);
}

#[test]
fn pieces_are_kept_up_to_the_limit_of_reassembly() {
    // What a message in pieces costs beside its bytes is counted too.
    const OVERHEAD: usize = 576;
    for (limit, fits) in [(2 * (1000 + OVERHEAD), true), (2 * (1000 + OVERHEAD) - 1, false)] {
        let mut client = client(|config| config.max_reassembly = limit);
        for sequence in [1, 2] {
            client.receive(testkit::epoch(), &mut handshake(11, 1000, sequence, 0, &[1]));
        }
        assert_eq!(client.discards, if fits { vec![] } else { vec![Discard::NoRoom] });
        // The message that is due displaces a later one, so that it is never kept out.
        client.receive(testkit::epoch(), &mut handshake(2, 1000, 0, 0, &[1]));
        assert_eq!(client.discards.len(), usize::from(!fits));
    }
}

#[test]
fn messages_too_far_ahead_are_not_kept() {
    let mut client = client(|_| {});
    client.receive(testkit::epoch(), &mut handshake(11, 100, 7, 0, &[1]));
    assert_eq!(client.discards, []);
    client.receive(testkit::epoch(), &mut handshake(11, 100, 8, 0, &[1]));
    assert_eq!(client.discards, [Discard::TooFarAhead]);
}

#[test]
fn records_of_the_future_are_kept_up_to_their_number_and_bytes() {
    let mut by_number = client(|config| config.max_future_records = 3);
    for n in 0..4 {
        assert_eq!(by_number.discards, []);
        by_number.receive(testkit::epoch(), &mut record(22, 1, n, &[0; 40]));
    }
    assert_eq!(by_number.discards, [Discard::FutureEpoch]);

    for (last, fits) in [(87, true), (88, false)] {
        let mut by_bytes = client(|config| config.max_future_bytes = 200);
        by_bytes.receive(testkit::epoch(), &mut record(22, 1, 0, &[0; 87])); // 100 with its header
        by_bytes.receive(testkit::epoch(), &mut record(22, 1, 1, &vec![0; last]));
        assert_eq!(by_bytes.discards.is_empty(), fits);
    }
    // Other kinds of records are not worth keeping.
    for content in [20, 21, 23] {
        let mut end = client(|_| {});
        end.receive(testkit::epoch(), &mut record(content, 1, 0, &[0; 40]));
        assert_eq!(end.discards, [Discard::FutureEpoch]);
    }
}

/// RFC 6347 §4.1, RFC 5246 §6.2.1: 2^14 bytes, of which the header of a fragment takes twelve.
#[test]
fn a_record_without_keys_has_16_kib_and_no_byte_more() {
    let mut client = client(|_| {});
    let longest = vec![1; (1 << 14) - 12];
    client.receive(testkit::epoch(), &mut handshake(11, longest.len() as u32, 1, 0, &longest));
    assert_eq!(client.discards, []);
    let longer = vec![1; longest.len() + 1];
    client.receive(testkit::epoch(), &mut handshake(11, longer.len() as u32, 2, 0, &longer));
    assert_eq!(client.discards, [Discard::TooLong]);
}

#[test]
fn a_flight_is_sent_again_as_often_as_the_limit() {
    for (limit, round_trip) in [(0, None), (3, None), (3, Some(20)), (64, Some(20))] {
        let null = testkit::null_provider();
        let mut pair = Pair::new(limited(|config| config.max_retransmissions = limit), config(null, 1));
        if let Some(millis) = round_trip {
            pair.client.connection.set_round_trip(Duration::from_millis(millis));
        }
        pair.to_server = Box::new(|_, _| Vec::new());
        let closed = [Event::Closed(CloseReason::TimedOut)];
        assert!(pair.run_until(Duration::from_secs(70), |pair| pair.client.events == closed));
        let sent = u32::try_from(pair.trace.len()).unwrap() - 1;
        assert_eq!(u64::from(sent), pair.client.connection.stats().retransmissions);
        // The default is more than the clock asks for.
        assert!(if limit < 64 { sent == limit } else { sent < limit }, "{sent} of {limit}");
        let end = if round_trip.is_some() { 30 } else { 60 };
        assert_eq!(pair.now - testkit::epoch(), Duration::from_secs(end), "the end does not come sooner");
    }
}

/// A peer that repeats its flight is answered by ours, not more often than the limit says, nor more often than
/// every 25 ms.
#[test]
fn a_peer_that_repeats_itself_is_answered_as_often_as_the_limit() {
    let null = testkit::null_provider();
    let mut pair = Pair::new(config(null, 1), limited(|config| config.max_retransmissions = 5));
    let hello = pair.client.datagrams(pair.now).remove(0);
    let mut answers = 0;
    for at in 0..1000 {
        let now = testkit::epoch() + Duration::from_millis(at);
        pair.server.receive(now, &mut hello.clone());
        answers += usize::from(!pair.server.datagrams(now).is_empty());
    }
    assert_eq!(answers, 1 + 5);
    let mut pair = Pair::new(config(null, 1), limited(|config| config.max_retransmissions = 1000));
    let hello = pair.client.datagrams(pair.now).remove(0);
    let mut answers = 0;
    for at in 0..=1000 {
        let now = testkit::epoch() + Duration::from_millis(at);
        pair.server.receive(now, &mut hello.clone());
        answers += usize::from(!pair.server.datagrams(now).is_empty());
    }
    assert_eq!(answers, 1 + 1000 / 25);
}

#[test]
fn a_flight_is_cut_to_the_limit_of_a_datagram() {
    for limit in [100, 101, 300, 1200] {
        let null = testkit::null_provider();
        let mut server = Pair::new(config(null, 1), limited(|config| config.max_datagram = limit));
        let hello = server.client.datagrams(server.now).remove(0);
        server.server.receive(server.now, &mut hello.clone());
        let flight = server.server.datagrams(server.now);
        let longest = flight.iter().map(Vec::len).max().unwrap();
        let whole = flight.iter().map(Vec::len).sum::<usize>();
        assert!(longest <= limit && (longest == limit || whole < limit), "{longest} of {limit}");
        assert_eq!(messages(&flight).len(), 5);
    }
    // Less than a header and a piece of a message is not possible.
    let mut least = client(|config| config.max_datagram = 1);
    least.connection.handle_timeout(testkit::epoch() + Duration::from_secs(1));
    let flight = least.datagrams(testkit::epoch() + Duration::from_secs(1));
    assert!(
        flight.len() == 2 && flight[0].len() == 100,
        "{:?}",
        flight.iter().map(Vec::len).collect::<Vec<_>>()
    );
}

/// RFC 6347 §4.1.1.1: what was sent twice in vain may be too large for the path.
#[test]
fn a_flight_that_was_sent_twice_in_vain_is_cut_into_small_datagrams() {
    for (limit, longest) in [(100, 100), (101, 101), (1, 100)] {
        let mut client = client(|config| config.small_datagram = limit);
        for (second, is_small) in [(1, false), (3, true), (7, true)] {
            let now = testkit::epoch() + Duration::from_secs(second);
            client.connection.handle_timeout(now);
            let flight = client.datagrams(now);
            assert_eq!(client.connection.has_backed_off(), is_small, "{limit} {second}");
            assert_eq!(flight.len() > 1, is_small, "{limit} {second}");
            assert_eq!(flight[0].len() == longest, is_small, "{limit} {second}");
        }
    }
    assert_eq!(limited(|_| {}).small_datagram, 548);
}
