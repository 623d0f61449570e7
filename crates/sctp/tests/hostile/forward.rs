//! C8: FORWARD TSNs, and the arithmetic of numbers that wrap.

use std::time::Duration;

use sctp::wire::{Chunk, ForwardTsn};
use sctp::{Config, Discard, Event, Ssn, StreamId, StreamOptions, Tsn};

use crate::common::victim::{SACK, Victim, kinds};
use crate::common::{Link, Pair};

/// First TSNs from which everything is tried: around zero, the half of the range, and its end.
const STARTS: [u32; 9] =
    [0, 1, 1000, (1 << 31) - 2, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, u32::MAX - 1, u32::MAX];

#[test]
fn c8_forward_tsns_move_forward_alone_wherever_the_numbers_begin() {
    for start in STARTS {
        for (ahead, moves) in [
            (0, true),
            (1, true),
            (2, true),
            (70_000, true),
            ((1 << 31) - 2, true),
            // From here on it is behind us: the cumulative TSN is one below the first.
            ((1 << 31) - 1, false),
            (1 << 31, false),
            (u32::MAX - 70_000, false),
            (u32::MAX - 1, false),
            (u32::MAX, false),
        ] {
            let mut victim = Victim::with_init(Config::default(), |init| init.tsn = Tsn(start));
            let cumulative = Tsn(start).plus(ahead);
            // With streams that were never heard of, and one that there cannot be.
            let skipped = [0, 9, 0, 5, 255, 255, 0, 0];
            let taken = victim.give(&Chunk::ForwardTsn(ForwardTsn { cumulative, skipped: &skipped }));
            assert_eq!(taken, if moves { Ok(()) } else { Err(Discard::UnexpectedChunk) }, "{start} {ahead}");
            let told = victim.acknowledged().unwrap().cumulative;
            assert_eq!(told, if moves { cumulative } else { Tsn(start).plus(u32::MAX) }, "{start} {ahead}");
            assert!(victim.end.is_connected() && victim.events.is_empty(), "{start} {ahead}");
            // What follows is taken up there.
            let next = told.plus(1);
            victim.next = next;
            victim.give(&victim.message(0, 3, 0, b"next")).unwrap();
            assert_eq!(victim.read(3), [b"next"], "{start} {ahead}");
        }
    }
}

#[test]
fn c8_data_and_acknowledgements_are_judged_by_serial_numbers() {
    for start in STARTS {
        let mut victim = Victim::with_init(Config::default(), |init| init.tsn = Tsn(start));
        // Behind us, or beyond what a gap can be told of: never taken for something new.
        for behind in [1, 2, 1000, (1 << 31) - 1] {
            let data = victim.data(0u32.wrapping_sub(behind), true, true, b"old");
            victim.give(&Chunk::Data(data)).unwrap();
            assert_eq!(victim.acknowledged().unwrap().duplicates, [data.tsn], "{start} {behind}");
        }
        for ahead in [65_536, 1 << 20, (1 << 31) - 2] {
            let data = victim.data(ahead, true, true, b"far");
            assert_eq!(victim.give(&Chunk::Data(data)), Err(Discard::NoRoom), "{start} {ahead}");
            assert_eq!(kinds(&victim.sent()), [SACK]);
        }
        assert!(victim.events.is_empty());
        for ahead in [2, 0, 1] {
            victim.give(&victim.message(ahead, 0, ahead as u16, &[ahead as u8])).unwrap();
        }
        assert_eq!(victim.read(0), [[0], [1], [2]], "{start}");
        assert_eq!(victim.acknowledged().unwrap().cumulative, Tsn(start).plus(2), "{start}");
        // The same for its own numbers.
        let mut config = Config::default();
        config.initial_tsn = Some(Tsn(start));
        let mut victim = Victim::new(config);
        assert_eq!(victim.theirs, Tsn(start));
        victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
        victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; 5000].into(), true).unwrap();
        victim.sent();
        for old in [2, 3, 1 << 30] {
            let taken = victim.acknowledge(0u32.wrapping_sub(old), 1 << 20, &[]);
            assert_eq!(taken, Err(Discard::UnexpectedChunk), "{start} {old}");
        }
        victim.acknowledge(1, 1 << 20, &[]).unwrap();
        victim.acknowledge(4, 1 << 20, &[]).unwrap();
        assert_eq!(victim.end.stats().in_flight, 0, "{start}");
    }
}

/// A FORWARD TSN ends what it skips, and nothing else.
#[test]
fn c8_a_message_that_is_skipped_in_its_middle_is_given_up_and_the_next_is_not() {
    for cut in 0..4u32 {
        let mut victim = Victim::new(Config::default());
        for fragment in 0..3 {
            let payload = [fragment as u8; 10];
            let mut data = victim.data(fragment, fragment == 0, false, &payload);
            data.unordered = false;
            victim.give(&Chunk::Data(data)).unwrap();
        }
        let cumulative = victim.next.plus(cut);
        let skipped = [0; 4];
        let taken = victim.give(&Chunk::ForwardTsn(ForwardTsn { cumulative, skipped: &skipped }));
        // Up to the third fragment it says nothing new.
        assert_eq!(taken.is_ok(), cut == 3, "{cut}");
        victim.next = victim.next.plus(cut.max(2) + 1);
        let _ = victim.give(&victim.message(0, 0, 1, b"next"));
        if cut == 3 {
            assert_eq!(victim.read(0), [b"next"]);
            assert!(victim.end.is_connected());
        } else {
            // Without it, a new beginning inside of a message breaks the protocol.
            assert!(matches!(victim.events.last(), Some(Event::Closed(_))), "{cut}");
        }
    }
}

/// RFC 3758 §3.5: more streams than a chunk names are told by several of them.
#[test]
fn c8_skipped_messages_of_many_streams_are_all_told() {
    let mut pair = Pair::connected(Config::default(), Link::default(), 1);
    let options = StreamOptions::new(false, sctp::Reliability::MaxRetransmits(0), sctp::Priority::NORMAL);
    for stream in 0..100 {
        pair.ends[0].open(StreamId(stream), options).unwrap();
        pair.send(0, stream, vec![0; 20]);
    }
    pair.outage = true;
    pair.drain();
    pair.run_for(Duration::from_secs(1));
    pair.outage = false;
    // The second message of each stream waits for nothing.
    pair.run_for(Duration::from_secs(10));
    for stream in 0..100 {
        pair.send(0, stream, vec![1; 20]);
    }
    pair.run_for(Duration::from_secs(10));
    for stream in 0..100 {
        assert_eq!(pair.receive(1, stream), [vec![1; 20]], "{stream}");
    }
    // What the peer was told, by itself: 24 streams at a time, each once, with their numbers.
    let mut victim = Victim::answered(Config::default());
    for stream in 0..100 {
        victim.end.open(StreamId(stream), options).unwrap();
        victim.end.send(victim.now, StreamId(stream), sctp::Ppid(53), &mut vec![0; 20].into(), true).unwrap();
    }
    victim.sent();
    let mut told = Vec::new();
    for _ in 0..20 {
        let sent: Vec<Vec<u8>> =
            victim.run(Duration::from_secs(3)).into_iter().map(|(_, sent)| sent).collect();
        let Some(Chunk::ForwardTsn(forward)) = crate::common::victim::find(&sent, 192) else { break };
        told.extend(forward.skipped());
        let ahead = forward.cumulative.0.wrapping_sub(victim.theirs.0);
        assert_eq!(told.len(), ahead as usize + 1, "the streams up to there, one TSN each");
        victim.acknowledge(ahead, 1 << 20, &[]).unwrap();
    }
    assert!(told.into_iter().eq((0..100).map(|stream| (StreamId(stream), Ssn(0)))));
}

/// Figure 30: first TSNs a thousand before the wrap, and more messages on a stream than it has numbers.
#[test]
fn numbers_of_chunks_and_of_messages_wrap_without_an_error() {
    let mut config = Config::default();
    config.initial_tsn = Some(Tsn(u32::MAX - 999));
    let link = Link { loss: 20, duplicate: 20, jitter: Duration::from_millis(5), ..Link::default() };
    let mut pair = Pair::connected(config, link, 7);
    pair.ends[0].open(StreamId(5), StreamOptions::default()).unwrap();
    let count = 140_000u32;
    let (mut sent, mut came) = (0u32, 0u32);
    let done = pair.run(Duration::from_secs(600), |pair| {
        while sent < count && pair.ends[0].buffered(StreamId(5)) < 64 << 10 {
            pair.send(0, 5, sent.to_be_bytes().to_vec());
            sent += 1;
        }
        for message in pair.receive(1, 5) {
            assert_eq!(message, came.to_be_bytes());
            came += 1;
        }
        came == count
    });
    assert!(done, "{came} of {sent}: {:?}", pair.ends[0].stats());
    assert!(pair.ends[0].stats().retransmissions > 0);
}
