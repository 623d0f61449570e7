//! Streams under faults: order, numbers that are used again, and what a full queue costs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use common::{Link, Pair};
use crypto::Rng;
use proto::{Instant, Writer};
use sctp::{
    Association, Config, Direction, Event, OpenError, Ppid, Priority, Reliability, StreamId, StreamOptions,
};

/// What a stream is by the rules of RFC 6525 and RFC 8831 §6.7, beside what the association says.
#[derive(Clone, Copy, Default)]
struct Model {
    outgoing: bool,
    incoming: bool,
    /// How often it was opened.
    generation: u32,
    sent: u32,
    reliable: bool,
    ordered: bool,
}

/// One end opens, sends and resets as chance has it; the other follows. A number can be opened again exactly
/// when both directions were reset, and no message of an earlier use shows in a later one.
#[test]
fn c6_a_stream_is_used_again_only_when_both_directions_are_reset() {
    let (mut reused, mut refused, mut read) = (0, 0, 0);
    for seed in 0..100 {
        let link = Link { jitter: Duration::from_millis(25), loss: 100, duplicate: 100, ..Link::default() };
        let mut pair = Pair::connected(Config::default(), link, seed);
        let mut rng = Rng::new([seed; 32]);
        let mut model = [Model::default(); 4];
        // By stream and generation: the numbers of the messages that came.
        let mut came: BTreeMap<(u16, u32), Vec<u32>> = BTreeMap::new();
        let mut sent: BTreeMap<(u16, u32), Model> = BTreeMap::new();
        for _ in 0..300 {
            let stream = rng.below(4) as u16;
            let state = &mut model[usize::from(stream)];
            match rng.below(6) {
                0 | 1 => {
                    let (ordered, reliable) = (rng.below(2) == 0, rng.below(3) > 0);
                    let reliability =
                        if reliable { Reliability::Reliable } else { Reliability::MaxRetransmits(0) };
                    let options = StreamOptions::new(!ordered, reliability, Priority::NORMAL);
                    let opened = pair.ends[0].open(StreamId(stream), options);
                    if state.outgoing || state.incoming {
                        assert_eq!(opened, Err(OpenError::InUse), "seed {seed}");
                        refused += 1;
                    } else {
                        assert_eq!(opened, Ok(()), "seed {seed}");
                        let generation = state.generation + 1;
                        reused += u32::from(generation > 1);
                        *state =
                            Model { outgoing: true, incoming: true, generation, sent: 0, reliable, ordered };
                    }
                }
                2 if state.outgoing && state.sent > 0 => pair.ends[0].reset(pair.now, StreamId(stream)),
                _ => {
                    let mut message = vec![0; 8 + rng.below(3000) as usize];
                    message[..4].copy_from_slice(&state.generation.to_be_bytes());
                    message[4..8].copy_from_slice(&state.sent.to_be_bytes());
                    let mut bytes = Bytes::from(message);
                    if pair.ends[0].send(pair.now, StreamId(stream), Ppid(53), &mut bytes, true).is_ok() {
                        state.sent += 1;
                        sent.insert((stream, state.generation), *state);
                    }
                }
            }
            pair.run_for(Duration::from_millis(u64::from(rng.below(30))));
            follow(&mut pair, &mut model, &mut came);
        }
        pair.links = [Link::default(); 2];
        for _ in 0..50 {
            pair.run_for(Duration::from_millis(200));
            follow(&mut pair, &mut model, &mut came);
        }
        for ((stream, generation), state) in sent {
            let got = came.remove(&(stream, generation)).unwrap_or_default();
            let context =
                format!("seed {seed}, stream {stream}, use {generation}: {got:?} of {}", state.sent);
            let mut sorted = got.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), got.len(), "{context}");
            assert!(!state.ordered || sorted == got, "{context}");
            assert!(!state.reliable || sorted.len() == state.sent as usize, "{context}");
            read += got.len();
        }
        assert!(came.is_empty(), "seed {seed}: messages of no use: {came:?}");
    }
    assert!(reused > 500 && refused > 500 && read > 5000, "{reused} {refused} {read}");
}

/// The peer's part: it reads, opens what it hears of, and answers a reset with its own.
fn follow(pair: &mut Pair, model: &mut [Model; 4], came: &mut BTreeMap<(u16, u32), Vec<u32>>) {
    for stream in 0..4 {
        for message in pair.receive(1, stream) {
            let number = |at: usize| u32::from_be_bytes(message[at..at + 4].try_into().unwrap());
            came.entry((stream, number(0))).or_default().push(number(4));
        }
    }
    for event in std::mem::take(&mut pair.events[1]) {
        match event {
            Event::Readable(stream) => _ = pair.ends[1].open(stream, StreamOptions::default()),
            Event::Reset { stream, direction: Direction::Incoming } => {
                let _ = pair.ends[1].open(stream, StreamOptions::default());
                pair.ends[1].reset(pair.now, stream);
            }
            _ => {}
        }
    }
    for event in std::mem::take(&mut pair.events[0]) {
        if let Event::Reset { stream, direction } = event {
            let state = &mut model[usize::from(stream.0)];
            match direction {
                Direction::Incoming => state.incoming = false,
                Direction::Outgoing => state.outgoing = false,
            }
        }
    }
}

/// C12: a queue 32 times as long costs 32 times as much, and not the square. What is counted is time, of each
/// the best so far, and the bound is four times the proportional cost; a busy machine gets several tries.
#[test]
fn c12_a_long_queue_costs_in_proportion() {
    let (mut short, mut long) = (Duration::MAX, Duration::MAX);
    let holds = (0..30).any(|_| {
        (short, long) = (short.min(drain_queue(128 << 10)), long.min(drain_queue(4 << 20)));
        long < short * 32 * 4
    });
    assert!(holds, "{short:?} for 128 KiB, {long:?} for 4 MiB");
}

/// Real time to queue `bytes` in small messages, send them all and have them acknowledged.
#[expect(clippy::disallowed_methods, reason = "the cost is what is measured")]
fn drain_queue(bytes: usize) -> Duration {
    let mut now = Instant::from_nanos(1);
    let config = std::sync::Arc::new(Config::default());
    let mut ends = [[1; 32], [2; 32]].map(|seed| Association::client(now, config.clone(), seed));
    let mut memory = [0; 2000];
    let mut exchange = |ends: &mut [Association; 2]| {
        now += Duration::from_millis(1);
        let mut read = 0;
        for from in 0..2 {
            ends[from].handle_timeout(now);
            let mut out = Writer::new(&mut memory);
            while ends[from].poll_packet(now, &mut out) {
                ends[1 - from].handle_packet(now, out.written()).unwrap();
                out.truncate(0);
            }
            while ends[1].poll_event().is_some() {}
            while let Some(chunk) = ends[1].recv(now, StreamId(0)) {
                read += chunk.data.len();
            }
        }
        read
    };
    for _ in 0..4 {
        exchange(&mut ends);
    }
    ends[0].open(StreamId(0), StreamOptions::default()).unwrap();
    let message = Bytes::from(vec![1; 256]);
    let began = std::time::Instant::now();
    for _ in 0..bytes / 256 {
        let at = Instant::from_nanos(1);
        ends[0].send(at, StreamId(0), Ppid(53), &mut message.clone(), true).unwrap();
    }
    let mut read = 0;
    while read < bytes || ends[0].stats().in_flight > 0 {
        read += exchange(&mut ends);
    }
    began.elapsed()
}
