//! Limits, each met exactly and passed by one: sizes of messages, the send buffer, channels, what comes early. Rows C10
//! and C12 of the threat list.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

mod common;

use common::victim::{DCEP, Victim, open};
use common::{Pair, named};
use datachannel::{
    ChannelError, Channels, Config, Event, Init, Kind, OpenError, Outgoing, SendError, StreamId,
};

#[test]
fn the_defaults_are_those_that_are_promised() {
    let config = Config::default();
    assert_eq!((config.max_message, config.max_channels, config.max_early), (256 << 10, 1024, 128 << 10));
    assert_eq!(config.max_texts, 1 << 20);
    assert_eq!((config.sctp.send_buffer, config.sctp.receive_window), (16 << 20, 1 << 20));
}

/// Messages go as far as the peer says, to the byte; without a word, as far as 64 KiB.
#[test]
fn c10_no_message_larger_than_the_peer_takes_is_begun() {
    for (announced, limit) in [
        (None, 65_536),
        (Some(1), 1),
        (Some(65_535), 65_535),
        (Some(262_144), 262_144),
        (Some(0), u64::MAX),
        (Some(u64::MAX), u64::MAX),
    ] {
        let mut pair = Pair::new();
        let (ours, _) = pair.open(0, named("x"));
        pair.ends[0].set_peer_max_message(announced);
        assert_eq!(pair.ends[0].peer_max_message(), limit);
        let most = usize::try_from(limit.min(1 << 20)).unwrap();
        assert_eq!(pair.ends[0].send(pair.now, ours, &mut Outgoing::binary(vec![0; most])), Ok(()));
        let buffered = pair.ends[0].buffered(ours);
        if limit < 1 << 20 {
            let mut message = Outgoing::binary(vec![0; most + 1]);
            let refused = pair.ends[0].send(pair.now, ours, &mut message);
            assert_eq!(refused, Err(SendError::TooLarge { limit }));
            assert_eq!((message.remaining().len(), pair.ends[0].buffered(ours)), (most + 1, buffered));
        }
    }
}

/// What is larger than our own limit closes its channel, with an error; its memory is free, and others go on.
#[test]
fn c10_a_message_larger_than_we_take_closes_its_channel_alone() {
    let limit = 256 << 10;
    for (size, taken) in [(limit, true), (limit + 1, false), (3 << 20, false)] {
        let mut victim = Victim::new(Config::default());
        for stream in [0, 2] {
            victim.write(stream, DCEP, &open(0, 0, b""));
        }
        victim.run(100);
        let [big, other] = [0, 2].map(|stream| victim.channels.channel(StreamId(stream)).unwrap());
        let info = allocation_counter::measure(|| {
            victim.write(0, 53, &vec![7; size]);
            let mut got = 0;
            for _ in 0..100 {
                victim.run(20);
                while let Some(part) = victim.channels.recv(victim.now, big) {
                    got += part.data.len();
                    assert!(!part.end || taken, "no such message ends");
                }
            }
            assert!(got <= limit && (!taken || got == limit), "{got}");
            victim.peer.reset(victim.now, StreamId(0));
            victim.run(6_000);
            victim.events.retain(|event| matches!(event, Event::Closed { .. }));
        });
        let error = (!taken).then_some(ChannelError::MessageTooLarge);
        assert_eq!(victim.events, [Event::Closed { channel: big, error }], "{size}");
        assert!(victim.was_reset(0));
        assert!(info.bytes_current < 16 << 10, "{size}: {} bytes are left", info.bytes_current);
        victim.write(2, 51, b"alive");
        victim.run(100);
        let message = victim.channels.recv(victim.now, other).unwrap();
        assert_eq!((message.kind, &message.data[..]), (Kind::Text, &b"alive"[..]));
    }
}

/// Small parts that add up to more than the limit are no way around it.
#[test]
fn c10_parts_by_the_deprecated_identifiers_count_together() {
    let mut config = Config::default();
    config.max_message = 1000;
    for (last, taken) in [(100, true), (101, false)] {
        let mut victim = Victim::new(config.clone());
        victim.write(0, DCEP, &open(0, 0, b""));
        for _ in 0..9 {
            victim.write(0, 52, &[1; 100]);
        }
        victim.write(0, 53, &vec![1; last]);
        victim.run(200);
        let channel = victim.channels.channel(StreamId(0)).unwrap();
        let mut ended = false;
        while let Some(part) = victim.channels.recv(victim.now, channel) {
            ended |= part.end;
        }
        assert_eq!(ended, taken);
        victim.run(200);
        assert_eq!(victim.was_reset(0), !taken);
    }
}

/// An application that is faster than the network is told to wait, before memory says so.
#[test]
fn c12_what_waits_to_be_sent_stays_within_sixteen_mebibytes_over_all_channels() {
    const LIMIT: usize = 16 << 20;
    for size in [1, 1000, 65_536] {
        let mut pair = Pair::new();
        let channels: Vec<_> = (0..4).map(|nth| pair.open(0, named(&nth.to_string())).0).collect();
        let info = allocation_counter::measure(|| {
            let mut blocked = 0;
            for nth in 0.. {
                let channel = channels[nth % 4];
                match pair.ends[0].send(pair.now, channel, &mut Outgoing::binary(vec![0; size])) {
                    Ok(()) => {}
                    Err(SendError::Blocked) => blocked += 1,
                    Err(error) => panic!("{error}"),
                }
                if blocked == 4 {
                    break;
                }
                assert!(nth < 400_000);
            }
        });
        let buffered: usize = channels.iter().map(|channel| pair.ends[0].buffered(*channel)).sum();
        assert!(buffered <= LIMIT && (size == 1 || buffered > LIMIT / 10 * 8), "{size}: {buffered}");
        assert!(info.bytes_current < (LIMIT + LIMIT / 4) as i64, "{size}: {}", info.bytes_current);
    }
}

/// The limit of the send buffer, to the byte: what fits is taken, and the rest stays in the message.
#[test]
fn the_send_buffer_takes_up_to_its_limit_and_not_a_byte_more() {
    let mut sctp = sctp::Config::default();
    sctp.send_buffer = 50_000;
    let mut config = Config::default();
    config.sctp = std::sync::Arc::new(sctp);
    // A queued piece costs 96 bytes beside its payload.
    let fits = 50_000 - 96;
    for (size, result) in [(fits, Ok(())), (fits + 1, Err(SendError::Blocked))] {
        let mut pair = Pair::with(config.clone());
        let (ours, _) = pair.open(0, named("x"));
        pair.seconds(1);
        let mut message = Outgoing::binary(vec![0; size]);
        assert_eq!(pair.ends[0].send(pair.now, ours, &mut message), result);
        assert_eq!((pair.ends[0].buffered(ours), message.remaining().len()), (fits, size - fits));
    }
}

#[test]
fn channels_are_opened_up_to_their_limit_and_not_one_more() {
    let mut pair = Pair::new();
    pair.seconds(1);
    let opened: Vec<_> = (0..1024).map(|_| pair.ends[0].open(pair.now, named("x")).unwrap()).collect();
    assert_eq!(pair.ends[0].open(pair.now, named("x")), Err(OpenError::TooMany));
    pair.seconds(10);
    assert_eq!(pair.ends.each_ref().map(Channels::len), [1024, 1024]);
    pair.ends[0].close(pair.now, opened[0]);
    pair.seconds(2);
    assert!(pair.ends[0].open(pair.now, named("x")).is_ok());
    // Texts: 65,535 bytes, and one more.
    let mut pair = Pair::new();
    for (label, protocol, result) in [(65_535, 65_535, true), (65_536, 0, false), (0, 65_536, false)] {
        let init = Init { label: "l".repeat(label), protocol: "p".repeat(protocol), ..Init::default() };
        let opened = pair.ends[0].open(pair.now, init);
        assert_eq!(opened.map(drop), if result { Ok(()) } else { Err(OpenError::TooLong) });
    }
}

#[test]
fn what_comes_before_its_channel_is_kept_up_to_the_limit_and_not_a_byte_more() {
    let mut config = Config::default();
    config.max_early = 1000;
    // A message that is kept costs 128 bytes beside its payload.
    for (size, kept) in [(1000 - 128, true), (1000 - 127, false)] {
        let mut victim = Victim::new(config.clone());
        victim.write(0, 53, &vec![1; size]);
        victim.run(100);
        assert_eq!(victim.was_reset(0), !kept, "{size}");
        victim.write(2, DCEP, &open(0, 0, b""));
        victim.run(100);
        assert!(victim.channels.channel(StreamId(2)).is_some());
    }
}

/// Labels and protocols are outside of the receive window as soon as their channel is there, so they have a limit of their own.
#[test]
fn c11_texts_of_channels_that_the_peer_opens_are_kept_up_to_the_limit_and_not_a_byte_more() {
    const LIMIT: usize = 256 << 10;
    let texts = vec![b'a'; 131_070];
    let mut config = Config::default();
    config.max_texts = LIMIT;
    let mut victim = Victim::new(config);
    // 131,070 bytes, as many, and then what is left; one more byte is too much.
    for (stream, label, taken) in
        [(0, 65_535, true), (2, 65_535, true), (4, 5, false), (6, 4, true), (8, 1, false), (10, 0, true)]
    {
        let protocol = if label == 65_535 { 65_535 } else { 0 };
        let size = usize::from(label) + usize::from(protocol);
        victim.write(stream, DCEP, &open(label, protocol, &texts[..size]));
        victim.run(1000);
        assert_eq!(victim.channels.channel(StreamId(stream)).is_some(), taken, "{stream}");
        assert_eq!(victim.was_reset(stream), !taken, "{stream}");
    }
    let kept: usize = (0..=10)
        .filter_map(|stream| victim.channels.channel(StreamId(stream)))
        .map(|id| victim.channels.label(id).unwrap().len() + victim.channels.protocol(id).unwrap().len())
        .sum();
    assert_eq!(kept, LIMIT);
    // A channel that is closed makes room.
    victim.peer.reset(victim.now, StreamId(0));
    victim.run(1000);
    victim.write(12, DCEP, &open(65_535, 65_535, &texts));
    victim.run(1000);
    assert!(victim.channels.channel(StreamId(12)).is_some());
    // Our own texts are our own affair.
    let init = Init { label: "l".repeat(65_535), ..Init::default() };
    assert!(victim.channels.open(victim.now, init).is_ok());
}
