//! The handshake: collision in every interleaving, lost and repeated chunks, cookies, restart.
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

use common::{Link, Pair};
use proto::{Instant, Writer};
use sctp::wire::{Chunk, Packet};
use sctp::{Association, CloseReason, Config, Discard, Event, StreamId, StreamOptions};

fn client(seed: u8) -> Association {
    Association::client(testkit::epoch(), Arc::new(Config::default()), [seed; 32])
}

fn packets(from: &mut Association, now: Instant) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut memory = [0; 2000];
    let mut out = Writer::new(&mut memory);
    while from.poll_packet(now, &mut out) {
        packets.push(out.written().to_vec());
        out.truncate(0);
    }
    packets
}

fn works(pair: &mut Pair) {
    for from in 0..2 {
        pair.ends[from].open(StreamId(1), StreamOptions::default()).unwrap();
        pair.send(from, 1, vec![from as u8; 5000]);
    }
    pair.run_for(Duration::from_secs(5));
    for to in 0..2 {
        assert_eq!(pair.receive(to, 1), [vec![1 - to as u8; 5000]]);
    }
}

#[test]
fn both_ends_may_begin_in_every_interleaving() {
    // Each bit says whose turn it is to have its next packet delivered.
    for order in 0..1u32 << 12 {
        let now = testkit::epoch();
        let mut ends = [client(1), client(2)];
        let mut wire: [Vec<Vec<u8>>; 2] = [Vec::new(), Vec::new()];
        for step in 0..12 {
            for (end, wire) in ends.iter_mut().zip(&mut wire) {
                wire.extend(packets(end, now));
            }
            let from = (order >> step & 1) as usize;
            if !wire[from].is_empty() {
                let packet = wire[from].remove(0);
                let _ = ends[1 - from].handle_packet(now, &packet);
            }
        }
        let mut pair = Pair::of(ends, Link::default(), 1);
        for (from, wire) in wire.iter_mut().enumerate() {
            for packet in std::mem::take(wire) {
                pair.transmit(from, packet);
            }
        }
        assert!(
            pair.run(Duration::from_secs(5), |pair| pair.ends.iter().all(Association::is_connected)),
            "{order:b}"
        );
        assert!(pair.ends.iter().all(|end| !end.is_closed()));
        if order % 64 == 0 {
            works(&mut pair);
        }
    }
}

#[test]
fn a_client_and_a_server_meet() {
    let now = testkit::epoch();
    let server = Association::server(now, Arc::new(Config::default()), [9; 32]);
    assert_eq!(server.poll_timeout(), None, "no state before a cookie");
    let mut pair = Pair::of([client(1), server], Link::default(), 1);
    assert!(pair.run(Duration::from_secs(1), |pair| pair.ends.iter().all(Association::is_connected)));
    assert_eq!(pair.now - now, Duration::from_millis(40), "four ways");
    works(&mut pair);
}

#[test]
fn the_handshake_survives_loss() {
    let mut slow = 0;
    for seed in 0..200 {
        let link = Link { loss: 200, ..Link::default() };
        let mut pair = Pair::new(Config::default(), link, seed);
        for end in &mut pair.ends {
            end.set_round_trip(Duration::from_millis(20));
        }
        assert!(
            pair.run(Duration::from_secs(30), |pair| pair.ends.iter().all(Association::is_connected)),
            "{seed}"
        );
        slow += u32::from(pair.now - testkit::epoch() > Duration::from_secs(10));
    }
    assert_eq!(slow, 0);
}

#[test]
fn nobody_there_ends_in_a_typed_failure() {
    let mut pair = Pair::new(Config::default(), Link { loss: 1000, ..Link::default() }, 1);
    pair.run_for(Duration::from_secs(300));
    assert_eq!(pair.events[0], [Event::Closed(CloseReason::HandshakeTimedOut)]);
    assert_eq!(pair.ends[0].poll_timeout(), None);
}

#[test]
fn a_flood_of_inits_disturbs_nothing_and_gets_one_answer_each() {
    let mut pair = Pair::connected(Config::default(), Link::default(), 1);
    let init = packets(&mut client(77), pair.now).remove(0);
    let before = pair.ends[1].stats();
    for i in 0..100_000u32 {
        pair.ends[1].handle_packet(pair.now, &init).unwrap();
        if i % 1000 == 0 {
            let answers = packets(&mut pair.ends[1], pair.now);
            assert_eq!(answers.len(), 1);
            let packet = Packet::decode(&answers[0]).unwrap();
            assert!(matches!(packet.chunks().next(), Some(Chunk::InitAck(_))));
        }
    }
    assert_eq!(pair.ends[1].stats().in_flight, before.in_flight);
    works(&mut pair);
}

#[test]
fn a_cookie_counts_only_if_it_is_ours_and_fresh() {
    let now = testkit::epoch();
    let config = Arc::new(Config::default());
    let mut server = Association::server(now, config.clone(), [9; 32]);
    let mut peer = client(1);
    server.handle_packet(now, &packets(&mut peer, now)[0]).unwrap();
    peer.handle_packet(now, &packets(&mut server, now)[0]).unwrap();
    let echo = packets(&mut peer, now).remove(0);

    let mut other = Association::server(now, config, [8; 32]);
    assert_eq!(other.handle_packet(now, &echo), Err(Discard::ForgedCookie));
    let later = now + Duration::from_secs(61);
    assert_eq!(server.handle_packet(later, &echo), Err(Discard::StaleCookie));
    assert!(!server.is_connected());
    let answer = packets(&mut server, later);
    assert!(matches!(Packet::decode(&answer[0]).unwrap().chunks().next(), Some(Chunk::Error { .. })));
    // The peer asks for a new one and gets through.
    peer.handle_packet(later, &answer[0]).unwrap();
    let mut pair = Pair::of([peer, server], Link::default(), 1);
    pair.now = later;
    assert!(pair.run(Duration::from_secs(5), |pair| pair.ends.iter().all(Association::is_connected)));
}

#[test]
fn a_peer_that_begins_anew_is_taken_back() {
    let mut pair = Pair::connected(Config::default(), Link::default(), 1);
    pair.ends[0].open(StreamId(1), StreamOptions::default()).unwrap();
    pair.send(0, 1, vec![1; 100]);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.receive(1, 1).len(), 1);
    pair.ends[0] = Association::client(pair.now, Arc::new(Config::default()), [55; 32]);
    assert!(pair.run(Duration::from_secs(5), |pair| pair.ends[0].is_connected()));
    assert!(pair.events[1].contains(&Event::Restarted), "{:?}", pair.events[1]);
    works(&mut pair);
}

#[test]
fn ends_are_orderly_and_aborts_are_told() {
    let mut pair = Pair::connected(Config::default(), Link { loss: 100, ..Link::default() }, 3);
    pair.ends[0].open(StreamId(1), StreamOptions::default()).unwrap();
    pair.send(0, 1, vec![1; 100_000]);
    pair.ends[0].shutdown(pair.now);
    pair.run_for(Duration::from_secs(30));
    assert_eq!(pair.receive(1, 1), [vec![1; 100_000]], "all that was queued arrives before the end");
    for events in &pair.events {
        assert!(events.contains(&Event::Closed(CloseReason::Shutdown)), "{:?}", pair.events);
    }
    assert!(pair.ends.iter().all(|end| end.poll_timeout().is_none()));

    let mut pair = Pair::connected(Config::default(), Link::default(), 3);
    pair.ends[1].abort(pair.now);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.events[0], [Event::Closed(CloseReason::PeerAborted { cause: 12 })]);
    assert_eq!(pair.events[1], [Event::Closed(CloseReason::Aborted)]);
}

/// The sender was told that it has arrived.
#[test]
fn what_was_acknowledged_can_be_read_after_an_abort_by_either_side() {
    for aborter in [0, 1] {
        let mut pair = Pair::connected(Config::default(), Link::default(), 3);
        pair.ends[0].open(StreamId(1), StreamOptions::default()).unwrap();
        for number in 0..10 {
            pair.send(0, 1, vec![number; 10_000]);
        }
        pair.run_for(Duration::from_secs(5));
        assert!(pair.ends[0].is_delivered(StreamId(1)));
        pair.ends[aborter].abort(pair.now);
        pair.run_for(Duration::from_secs(1));
        let expected: Vec<Vec<u8>> = (0..10).map(|number| vec![number; 10_000]).collect();
        assert!(pair.receive(1, 1) == expected, "{aborter}");
        assert_eq!(pair.ends[1].recv(pair.now, StreamId(1)), None);
    }
}

#[test]
fn wrong_tags_ports_and_sums_are_dropped() {
    let mut pair = Pair::connected(Config::default(), Link::default(), 1);
    pair.ends[0].open(StreamId(1), StreamOptions::default()).unwrap();
    pair.send(0, 1, vec![1; 100]);
    let packet = packets(&mut pair.ends[0], pair.now).remove(0);
    let twin = format!("{:?}", pair.ends[1].stats());
    for bit in 0..packet.len() * 8 {
        let mut flipped = packet.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(pair.ends[1].handle_packet(pair.now, &flipped).is_err(), "bit {bit}");
    }
    assert_eq!(pair.ends[1].stats().bytes_received, 0, "{twin}");
    assert_eq!(packets(&mut pair.ends[1], pair.now), Vec::<Vec<u8>>::new());
    pair.ends[1].handle_packet(pair.now, &packet).unwrap();
    assert_eq!(pair.receive(1, 1).len(), 1);
}
