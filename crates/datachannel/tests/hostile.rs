//! A peer that writes what it likes on its streams (row C11 of the threat list).
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
use datachannel::{ChannelError, Config, Event, Init, Kind, OpenError, Outgoing, StreamId};

#[test]
fn c11_an_open_on_a_stream_that_is_not_the_peers_is_refused_with_a_reset() {
    let mut victim = Victim::new(Config::default());
    victim.write(1, DCEP, &open(1, 0, b"x"));
    victim.run(200);
    assert!(victim.was_reset(1) && victim.channels.is_empty() && victim.events.is_empty());
    // The right parity is taken, on the last stream there is too.
    for stream in [0, 65_534] {
        victim.write(stream, DCEP, &open(1, 0, b"x"));
        victim.run(200);
        assert!(victim.channels.channel(StreamId(stream)).is_some(), "{stream}");
    }
}

#[test]
fn c11_a_second_open_on_a_stream_closes_its_channel() {
    let mut victim = Victim::new(Config::default());
    victim.write(0, DCEP, &open(1, 0, b"x"));
    victim.write(2, DCEP, &open(1, 0, b"y"));
    victim.run(200);
    assert_eq!(victim.channels.len(), 2);
    let id = victim.channels.channel(StreamId(0)).unwrap();
    victim.write(0, DCEP, &open(1, 0, b"x"));
    victim.run(200);
    assert!(victim.was_reset(0) && !victim.was_reset(2));
    victim.peer.reset(victim.now, StreamId(0));
    victim.run(200);
    let closed = Event::Closed { channel: id, error: Some(ChannelError::Protocol) };
    assert!(victim.events.contains(&closed), "{:?}", victim.events);
    assert_eq!(victim.channels.len(), 1);
}

#[test]
fn c11_texts_beyond_the_chunk_and_other_nonsense_are_refused() {
    let whole = open(2, 1, b"abc");
    let mut cases: Vec<Vec<u8>> = (1..whole.len()).map(|len| whole[..len].to_vec()).collect();
    cases.extend([
        open(65_535, 65_535, b"abc"),
        open(4, 0, b"abc"),
        open(0, 4, b"abc"),
        open(1, 0, b"abc"),
        open(1, 0, b"\xff"),
        vec![3, 0x7f, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        vec![1],
        vec![2],
        vec![0xff; 300],
        vec![3; 140_000],
    ]);
    let mut victim = Victim::new(Config::default());
    for (nth, case) in cases.iter().enumerate() {
        let stream = u16::try_from(nth * 2).unwrap();
        victim.write(stream, DCEP, case);
        victim.run(400);
        assert!(victim.was_reset(stream), "{case:?}");
        assert!(victim.channels.is_empty() && victim.events.is_empty(), "{case:?}");
    }
    // The longest texts that there are.
    let mut config = Config::default();
    config.max_channels = 4;
    let mut victim = Victim::new(config);
    victim.write(0, DCEP, &open(65_535, 65_535, &vec![b'a'; 131_070]));
    victim.run(1000);
    let id = victim.channels.channel(StreamId(0)).unwrap();
    assert_eq!(victim.channels.label(id).unwrap().len(), 65_535);
}

#[test]
fn c11_payload_identifiers_mean_what_the_registry_says() {
    let mut victim = Victim::new(Config::default());
    victim.write(0, DCEP, &open(0, 0, b""));
    victim.run(100);
    let id = victim.channels.channel(StreamId(0)).unwrap();
    // RFC 8831 §8: 52 and 54 are parts of messages that the next 53 or 51 ends. 56 and 57 are empty whatever
    // they hold. Others are no message at all.
    for (ppid, bytes) in [
        (51, &b"text"[..]),
        (53, b"bytes"),
        (56, b"\0"),
        (57, b"ignored"),
        (52, b"one "),
        (52, b"two "),
        (53, b"three"),
        (54, b"a"),
        (51, b"b"),
        (0, b"unknown"),
        (55, b"unknown"),
        (58, b"unknown"),
        (u32::MAX, b"unknown"),
        (53, b"last"),
    ] {
        victim.write(0, ppid, bytes);
    }
    victim.run(200);
    let (mut messages, mut message) = (Vec::new(), Vec::new());
    while let Some(part) = victim.channels.recv(victim.now, id) {
        message.extend_from_slice(&part.data);
        if part.end {
            messages.push((part.kind, String::from_utf8(std::mem::take(&mut message)).unwrap()));
        }
    }
    let expected = [
        (Kind::Text, "text"),
        (Kind::Binary, "bytes"),
        (Kind::Text, ""),
        (Kind::Binary, ""),
        (Kind::Binary, "one two three"),
        (Kind::Text, "ab"),
        (Kind::Binary, "last"),
    ];
    assert_eq!(messages, expected.map(|(kind, text)| (kind, text.to_owned())));
    let stats = victim.channels.stats(id).unwrap();
    assert_eq!((stats.unknown_messages, stats.messages_received), (4, 7));
}

#[test]
fn c11_channels_past_the_limit_are_reset_and_the_rest_works() {
    let mut config = Config::default();
    config.max_channels = 50;
    let mut victim = Victim::new(config);
    for nth in 0..51 {
        victim.write(nth * 2, DCEP, &open(0, 0, b""));
    }
    victim.run(500);
    assert_eq!(victim.channels.len(), 50);
    assert!(victim.was_reset(100) && victim.resets.len() == 1, "{:?}", victim.resets);
    assert!(victim.channels.channel(StreamId(98)).is_some());

    // A flood of them is answered within bounds, and leaves the channels that there are alone.
    for nth in 51..3000 {
        victim.write(nth * 2, DCEP, &open(0, 0, b""));
        if nth % 100 == 0 {
            victim.run(20);
        }
    }
    victim.run(2000);
    assert_eq!(victim.channels.len(), 50);
    victim.write(0, 53, b"still here");
    victim.run(100);
    let id = victim.channels.channel(StreamId(0)).unwrap();
    assert_eq!(victim.channels.recv(victim.now, id).unwrap().data, &b"still here"[..]);
    let sent = victim.channels.send(victim.now, id, &mut Outgoing::text("and back"));
    assert_eq!(sent, Ok(()));
    victim.run(100);
    let chunks: Vec<_> = std::iter::from_fn(|| victim.peer.recv(victim.now, StreamId(0))).collect();
    assert!(chunks.iter().any(|chunk| chunk.data == b"and back"[..]));

    // One goes, one comes.
    victim.peer.reset(victim.now, StreamId(98));
    victim.run(200);
    assert_eq!(victim.channels.len(), 49);
    let ours = victim.channels.open(victim.now, Init::default());
    assert!(ours.is_ok());
}

#[test]
fn c11_messages_for_no_channel_are_kept_within_their_limit() {
    let mut config = Config::default();
    config.max_early = 10_000;
    let mut victim = Victim::new(config);
    victim.write(0, 53, &[1; 8_000]);
    victim.run(200);
    assert!(!victim.was_reset(0));
    victim.write(2, 53, &[1; 2_000]);
    victim.run(200);
    assert!(victim.was_reset(2) && !victim.was_reset(0) && victim.channels.is_empty());
    // The one within the limit is there when its channel is.
    victim.write(0, DCEP, &open(1, 0, b"x"));
    victim.run(200);
    let id = victim.channels.channel(StreamId(0)).unwrap();
    let read: usize =
        std::iter::from_fn(|| victim.channels.recv(victim.now, id)).map(|part| part.data.len()).sum();
    assert_eq!(read, 8_000);
}

/// Every stream that the peer may open on, all at once: the limit holds, and each further one is reset.
#[test]
fn c11_a_channel_on_every_stream_there_is_leaves_as_many_as_are_allowed() {
    let streams = (testkit::scaled_at_least(65_536, 8_192) / 2) as u16;
    let mut victim = Victim::new(Config::default());
    victim.answers = true;
    for nth in 0..streams {
        victim.write(nth * 2, DCEP, &open(0, 0, b""));
        if nth % 256 == 255 {
            victim.run(100);
            victim.events.clear();
        }
    }
    victim.run(3000);
    assert_eq!(victim.channels.len(), 1024);
    for nth in 0..streams {
        let kept = victim.channels.channel(StreamId(nth * 2)).is_some();
        assert_eq!((kept, victim.was_reset(nth * 2)), (nth < 1024, nth >= 1024), "stream {}", nth * 2);
    }
    // Ours are over the limit, too, until one has gone.
    assert_eq!(victim.channels.open(victim.now, Init::default()), Err(OpenError::TooMany));
    victim.peer.reset(victim.now, StreamId(0));
    victim.run(200);
    assert!(victim.channels.open(victim.now, Init::default()).is_ok());
}
