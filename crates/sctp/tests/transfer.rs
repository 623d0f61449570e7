//! Data from end to end over links that lose, double and reorder.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Link, Pair};
use sctp::{Config, Event, Ppid, Priority, Reliability, SendError, StreamId, StreamOptions, Tsn};

#[test]
fn messages_of_all_sizes_arrive_whole_and_in_order() {
    let mut pair = Pair::connected(Config::default(), Link::default(), 1);
    pair.ends[0].open(StreamId(3), StreamOptions::default()).unwrap();
    let sizes = [1, 2, 3, 4, 5, 1000, 1159, 1160, 1161, 2320, 5000, 70_000, 300_000];
    for (i, size) in sizes.iter().enumerate() {
        pair.send(0, 3, vec![i as u8; *size]);
    }
    let mut got = Vec::new();
    pair.run(Duration::from_secs(10), |pair| {
        got.extend(pair.receive(1, 3));
        got.len() == sizes.len()
    });
    assert_eq!(got.len(), sizes.len());
    for (i, (message, size)) in got.iter().zip(sizes).enumerate() {
        assert_eq!((message.len(), message.iter().all(|byte| *byte == i as u8)), (size, true));
    }
}

/// Transfers `total` bytes in messages of 16 KiB, checks them, and says how long it took.
fn bulk(config: Config, link: Link, seed: u8, total: usize) -> Duration {
    let mut pair = Pair::connected(config, link, seed);
    pair.ends[0].open(StreamId(0), StreamOptions::default()).unwrap();
    let start = pair.now;
    let count = total / 16_384;
    let mut sent = 0;
    let mut rest = Bytes::new();
    let mut received = 0;
    let done = pair.run(Duration::from_secs(600), |pair| {
        while sent < count {
            if rest.is_empty() {
                rest = Bytes::from(vec![sent as u8; 16_384]);
            }
            match pair.ends[0].send(pair.now, StreamId(0), Ppid(53), &mut rest, true) {
                Ok(()) => sent += 1,
                Err(SendError::Blocked) => break,
                Err(error) => panic!("{error}"),
            }
        }
        for message in pair.receive(1, 0) {
            assert_eq!(message.len(), 16_384);
            assert!(message.iter().all(|byte| *byte == received as u8));
            received += 1;
        }
        received == count
    });
    assert!(done, "{received} of {count}: {:?}", pair.ends[0].stats());
    pair.now - start
}

#[test]
fn bulk_fills_the_link() {
    let link = Link { rate: 100_000_000, ..Link::default() };
    let took = bulk(Config::default(), link, 1, 32 << 20);
    let ideal = Duration::from_secs_f64((32u64 << 20) as f64 * 8.0 / 100e6);
    assert!(took < ideal.mul_f64(1.25), "{took:?} where {ideal:?} is the limit");
}

#[test]
fn loss_is_survived_steadily() {
    for (loss, limit) in [(10, 20), (50, 40), (200, 60)] {
        for seed in 1..4 {
            let link = Link { loss, ..Link::default() };
            let took = bulk(Config::default(), link, seed, 4 << 20);
            assert!(took < Duration::from_secs(limit), "{took:?} at {loss} in a thousand");
        }
    }
}

#[test]
fn everything_at_once_and_across_the_wrap() {
    for seed in 0..20 {
        let link = Link {
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(30),
            loss: 50,
            duplicate: 50,
            rate: 0,
        };
        let mut config = Config::default();
        config.initial_tsn = Some(Tsn(u32::MAX - 20));
        bulk(config, link, seed, 256 << 10);
    }
}

/// A message whose first part is acknowledged and whose rest expires: nothing but the FORWARD TSN can tell
/// the peer not to wait, and no acknowledgement is awaited that would call for it.
#[test]
fn the_rest_of_an_acknowledged_message_can_be_given_up() {
    let mut pair = Pair::connected(Config::default(), Link::default(), 1);
    let lifetime = Reliability::MaxLifetime(Duration::from_millis(500));
    pair.ends[0].open(StreamId(3), StreamOptions::new(false, lifetime, Priority::NORMAL)).unwrap();
    let mut part = Bytes::from(vec![1; 5000]);
    pair.ends[0].send(pair.now, StreamId(3), Ppid(53), &mut part, false).unwrap();
    pair.run_for(Duration::from_millis(600));
    // Expired; the next message makes the association look.
    let mut part = Bytes::from(vec![1; 5000]);
    pair.ends[0].send(pair.now, StreamId(3), Ppid(53), &mut part, true).unwrap();
    pair.ends[0].reset(pair.now, StreamId(3));
    let done = pair.run(Duration::from_secs(5), |pair| {
        pair.events[0].iter().any(|event| matches!(event, Event::Reset { stream: StreamId(3), .. }))
    });
    assert!(done, "the reset waits for what was given up: {:?}", pair.ends[0].stats());
    assert_eq!(pair.ends[0].stats().abandoned, 1);
}
