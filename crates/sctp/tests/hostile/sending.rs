//! C12, and what a sender does when the path or the reader is slow.

use std::time::Duration;

use bytes::Bytes;
use sctp::{Association, Config, Ppid, Reliability, SendError, StreamId, StreamOptions};

use crate::common::{Link, Pair};

#[test]
fn a_paused_reader_stops_the_sender_and_goes_on() {
    let mut pair = Pair::connected(Config::default(), Link::default(), 1);
    pair.ends[0].open(StreamId(0), StreamOptions::default()).unwrap();
    pair.send(0, 0, vec![3; 5 << 20]);
    pair.run_for(Duration::from_secs(120));
    let mut got = 0;
    assert!(
        pair.run(Duration::from_secs(30), |pair| {
            while let Some(chunk) = pair.ends[1].recv(pair.now, StreamId(0)) {
                got += chunk.data.len();
            }
            got == 5 << 20
        }),
        "{got}"
    );
}

#[test]
fn c12_the_send_buffer_is_bounded_whatever_the_message_size() {
    for size in [1, 100, 16_384] {
        let mut config = Config::default();
        config.send_buffer = 1 << 20;
        let mut pair = Pair::new(config, Link::default(), 1);
        pair.ends[0].open(StreamId(0), StreamOptions::default()).unwrap();
        let payload = Bytes::from(vec![0; size]);
        let mut count = 0u32;
        let info = allocation_counter::measure(|| {
            while pair.ends[0].send(pair.now, StreamId(0), Ppid(53), &mut payload.clone(), true) == Ok(()) {
                count += 1;
                assert!(count < 100_000);
            }
        });
        assert!(info.bytes_current < 2 << 20, "{size}: {}", info.bytes_current);
        assert!(pair.ends[0].buffered(StreamId(0)) <= 1 << 20);
        assert_eq!(
            pair.ends[0].send(pair.now, StreamId(0), Ppid(53), &mut payload.clone(), true),
            Err(SendError::Blocked)
        );
    }
}

#[test]
fn what_is_not_worth_resending_is_skipped_and_the_rest_arrives_in_order() {
    for (reliability, unordered) in [
        (Reliability::MaxRetransmits(0), false),
        (Reliability::MaxRetransmits(1), true),
        (Reliability::MaxLifetime(Duration::from_millis(30)), false),
    ] {
        let mut pair = Pair::connected(Config::default(), Link { loss: 150, ..Link::default() }, 5);
        pair.ends[0]
            .open(StreamId(0), StreamOptions::new(unordered, reliability, Default::default()))
            .unwrap();
        pair.ends[0].open(StreamId(2), StreamOptions::default()).unwrap();
        let (mut got, mut reliable) = (Vec::new(), 0);
        for i in 0..1000u32 {
            let mut message = i.to_be_bytes().to_vec();
            message.resize(if i % 10 == 0 { 5000 } else { 50 }, 0);
            pair.send(0, 0, message);
            pair.send(0, 2, vec![1; 10]);
            pair.run_for(Duration::from_millis(5));
            assert!(
                pair.ends.iter().all(Association::is_connected),
                "{:?}",
                pair.events.iter().map(|e| e.last()).collect::<Vec<_>>()
            );
            got.extend(pair.receive(1, 0));
            reliable += pair.receive(1, 2).len();
        }
        pair.run_for(Duration::from_secs(20));
        got.extend(pair.receive(1, 0));
        reliable += pair.receive(1, 2).len();
        assert_eq!(reliable, 1000);
        let numbers: Vec<u32> =
            got.iter().map(|message| u32::from_be_bytes(message[..4].try_into().unwrap())).collect();
        assert!(numbers.len() > 500 && numbers.len() < 1000, "{reliability:?}: {}", numbers.len());
        assert!(got.iter().zip(&numbers).all(|(m, n)| m.len() == if n % 10 == 0 { 5000 } else { 50 }));
        if !unordered {
            assert!(numbers.is_sorted(), "{reliability:?}");
        }
        assert!(pair.ends[0].stats().abandoned > 0);
        assert_eq!(pair.ends[0].stats().in_flight, 0);
    }
}

#[test]
fn an_outage_is_survived_and_ends_quickly() {
    for seconds in [5, 20, 30] {
        let mut pair = Pair::connected(Config::default(), Link::default(), 1);
        pair.ends[0].open(StreamId(0), StreamOptions::default()).unwrap();
        pair.run_for(Duration::from_secs(1));
        pair.outage = true;
        pair.send(0, 0, vec![1; 30_000]);
        pair.run_for(Duration::from_secs(seconds));
        pair.outage = false;
        pair.run_for(Duration::from_millis(2500));
        assert_eq!(pair.receive(1, 0).len(), 1, "{seconds}");
    }
}
