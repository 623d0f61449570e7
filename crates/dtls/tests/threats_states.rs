//! Every input at every point of the handshake: D19, D23 of the threats.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test fails"
)]

mod common;

use common::bytes::{fragment, handshake, record, records};
use common::{Pair, config, state};
use crypto::Provider;
use dtls::{CloseReason, Config, Discard, Event};
use std::time::Duration;

/// The two sides, whose keys are made once.
struct Sides(Config, Config);

impl Sides {
    fn new(provider: &'static dyn Provider) -> Self {
        Self(config(provider, 1), config(provider, 2))
    }
}

/// A pair after `steps` records of its handshake were delivered; `None` if it has fewer.
fn after(sides: &Sides, steps: usize) -> Option<Pair> {
    let mut pair = Pair::new(sides.0.clone(), sides.1.clone());
    let mut left = steps;
    for by_client in [true, false, true, false] {
        for datagram in pair.end(by_client).datagrams(testkit::epoch()) {
            for (header, body) in records(&datagram) {
                if left == 0 {
                    return Some(pair);
                }
                left -= 1;
                let mut one = record(header.content as u8, header.epoch, header.sequence, body);
                one[1..3].copy_from_slice(&header.version.to_be_bytes());
                pair.end(!by_client).receive(testkit::epoch(), &mut one);
            }
        }
    }
    (left == 0).then_some(pair)
}

/// Every alert, every kind of record and every handshake message, in `epoch`.
fn inputs(epoch: u16) -> Vec<Vec<u8>> {
    let seal = |body: Vec<u8>| if epoch == 0 { body } else { [&[0; 8][..], &body, &[0; 16]].concat() };
    let mut all = Vec::new();
    for level in 0..=3 {
        for description in 0..=255 {
            all.push(record(21, epoch, 900, &seal(vec![level, description])));
        }
    }
    for content in 0..=255 {
        for body in [vec![], vec![1], vec![2], vec![1, 0], vec![0; 40]] {
            all.push(record(content, epoch, 901, &seal(body)));
        }
    }
    for kind in 0..=255 {
        for sequence in [0, 1, 2, 3, 4, 5, 6, 7, 65_535] {
            for len in [0, 1, 40] {
                let body = fragment(kind, len, sequence, 0, &vec![1; len as usize]);
                all.push(record(22, epoch, 902, &seal(body)));
            }
        }
    }
    all
}

/// D19, D23: what has no right tag never ends a handshake or a connection, at any point, and costs at most a
/// repetition of a flight.
#[test]
fn whatever_anyone_can_send_leaves_every_state_alive() {
    let sides = Sides::new(crypto::rust_crypto());
    let mut points = 0;
    while let Some(mut pair) = after(&sides, points) {
        points += 1;
        for is_client in [true, false] {
            let now = pair.now;
            let end = pair.end(is_client);
            end.datagrams(now);
            let connected = end.events.contains(&Event::Connected);
            let sent = end.connection.stats().handshake_datagrams_sent;
            for mut input in inputs(0).into_iter().chain(inputs(1)).chain(inputs(2)) {
                // An empty ServerHelloDone has nothing in it that could be checked: in place of a
                // CertificateRequest it leads a client of DTLS 1.2 astray. Behind ICE only the peer can send it.
                if input[0] == 22 && input.len() == 25 && input[13] == 14 {
                    continue;
                }
                end.receive(now, &mut input);
                end.datagrams(now);
            }
            assert_eq!(end.connection.closed(), None, "point {points}");
            assert_eq!(end.events.contains(&Event::Connected), connected, "point {points}");
            let answered = end.connection.stats().handshake_datagrams_sent - sent;
            assert!(answered <= 12, "point {points}: {answered} datagrams in one instant");
        }
        assert!(pair.connect(Duration::from_secs(40)), "point {points}: {:?}", pair.server.discards.last());
        let data = pair.client.seal(b"data");
        pair.server.receive(pair.now, &mut data.clone());
        assert_eq!(pair.server.received, [b"data"]);
    }
    // Before and behind each of 13 records: nine messages whole, two changes of keys, two Finished.
    assert_eq!(points, 14);
}

/// D23: with the keys of the connection every alert has its meaning, and everything else ends in a state that
/// is defined. The null provider takes any tag.
#[test]
fn whatever_the_peer_can_send_leads_to_a_defined_state() {
    let sides = Sides::new(testkit::null_provider());
    let mut points = 0;
    while after(&sides, points).is_some() {
        for is_client in [true, false] {
            let mut fresh = after(&sides, points).unwrap();
            let untouched = state(&fresh.end(is_client).connection);
            let inputs = inputs(1);
            let count = inputs.len() as u64;
            // In CI one of fifteen, others at each point.
            let part = usize::try_from(count / testkit::scaled_at_least(count, count / 15)).unwrap();
            for input in inputs.into_iter().skip(points % part).step_by(part) {
                let now = fresh.now;
                let end = fresh.end(is_client);
                end.receive(now, &mut input.clone());
                if state(&end.connection) == untouched {
                    continue; // refused without a trace: the same pair serves for the next
                }
                let defined = match end.connection.closed() {
                    None => true,
                    Some(CloseReason::Remote) => input[13 + 8 + 1] == 0,
                    Some(CloseReason::Alert(alert)) => input[13 + 8] == 2 && input[13 + 8 + 1] == alert.0,
                    // Under the keys of the connection a wrong message is the peer's own.
                    Some(CloseReason::BadFinished) => input[0] == 22,
                    Some(_) => false,
                };
                assert!(defined, "point {points}: {:?} by {input:02x?}", end.connection.closed());
                assert!(end.datagrams(now).len() <= 12);
                if end.connection.closed().is_some() {
                    assert_eq!(end.connection.poll_timeout(), None);
                    let ended = state(&end.connection);
                    end.receive(now, &mut record(21, 1, 950, &[0; 26]));
                    assert_eq!(end.discards.last(), Some(&Discard::Closed));
                    assert_eq!(state(&end.connection), ended);
                }
                fresh = after(&sides, points).unwrap();
            }
        }
        points += 1;
    }
    assert_eq!(points, 14);
}

/// RFC 5246 §7.2.1, §7.2.2: `close_notify` and fatal alerts end a connection, warnings do not.
#[test]
fn authentic_alerts_end_the_connection_if_they_are_fatal() {
    let sides = Sides::new(testkit::null_provider());
    for level in [1, 2] {
        for description in 0..=255 {
            let mut pair = after(&sides, 13).unwrap();
            let now = pair.now;
            let body = [&[0; 8][..], &[level, description], &[0; 16]].concat();
            pair.client.receive(now, &mut record(21, 1, 900, &body));
            let closed = pair.client.events.iter().find_map(|event| match event {
                Event::Closed(reason) => Some(*reason),
                _ => None,
            });
            let expected = match (level, description) {
                (_, 0) => Some(CloseReason::Remote),
                (2, _) => Some(CloseReason::Alert(dtls::AlertDescription(description))),
                _ => None,
            };
            assert_eq!(closed, expected);
            // RFC 5246 §7.2.1: a `close_notify` is answered by one.
            let answer = pair.client.datagrams(now);
            assert_eq!(answer.len(), usize::from(description == 0));
        }
    }
}

/// D19: HelloRequest and messages that nobody knows are ignored, wherever they come.
#[test]
fn hello_requests_and_unknown_messages_are_ignored() {
    let sides = Sides::new(crypto::default_provider());
    for points in 0..14 {
        let mut pair = after(&sides, points).unwrap();
        for is_client in [true, false] {
            let now = pair.now;
            let end = pair.end(is_client);
            let before = state(&end.connection);
            for sequence in [0, 3, 65_535] {
                end.receive(now, &mut handshake(0, 0, sequence, 0, &[]));
            }
            assert_eq!(state(&end.connection), before, "point {points}");
            for kind in [5, 8, 21, 25, 99, 254] {
                for sequence in 0..6 {
                    end.receive(now, &mut handshake(kind, 3, sequence, 0, &[1, 2, 3]));
                }
            }
            assert_eq!(end.connection.closed(), None, "point {points}");
        }
        assert!(pair.connect(Duration::from_secs(40)), "point {points}");
    }
}

/// RFC 6347 §4.2.4: data that comes before the Finished is dropped, whether or not there are keys for it.
#[test]
fn data_before_the_finished_is_dropped() {
    let sides = Sides::new(testkit::null_provider());
    for (points, expected) in [(11, Discard::FutureEpoch), (12, Discard::NotConnected)] {
        let mut pair = after(&sides, points).unwrap();
        let sealed = [&[0; 8][..], b"too early", &[0; 16]].concat();
        pair.client.receive(pair.now, &mut record(23, 1, 40, &sealed));
        assert_eq!(pair.client.discards.last(), Some(&expected), "point {points}");
        assert!(pair.connect(Duration::from_secs(5)));
        assert!(pair.client.received.is_empty());
    }
}
