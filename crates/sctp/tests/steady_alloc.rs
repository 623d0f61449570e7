//! Nothing is allocated for a packet once things have warmed up.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::{Instant, Writer};
use sctp::{Association, Config, Ppid, StreamId, StreamOptions};

fn exchange(now: Instant, ends: &mut [Association; 2], memory: &mut [u8]) -> usize {
    let mut read = 0;
    let mut out = Writer::new(memory);
    for from in 0..2 {
        let [a, b] = &mut *ends;
        let (from, to) = if from == 0 { (a, b) } else { (b, a) };
        while from.poll_packet(now, &mut out) {
            to.handle_packet(now, out.written()).unwrap();
            out.truncate(0);
            while to.poll_event().is_some() {}
        }
    }
    while let Some(chunk) = ends[1].recv(now, StreamId(0)) {
        read += chunk.data.len();
    }
    read
}

#[test]
fn a_transfer_allocates_nothing_when_the_reader_keeps_up() {
    let config = Arc::new(Config::default());
    let mut now = testkit::epoch();
    let mut ends = [[1; 32], [2; 32]].map(|seed| Association::client(now, config.clone(), seed));
    let mut memory = [0; 2000];
    for _ in 0..8 {
        exchange(now, &mut ends, &mut memory);
    }
    for size in [64, 1000, 16_384] {
        ends[0].open(StreamId(0), StreamOptions::default()).ok();
        let message = Bytes::from(vec![1; size]);
        let mut round = |ends: &mut [Association; 2]| {
            now += Duration::from_micros(100);
            let mut sent = 0;
            while sent < 64 << 10 && ends[0].buffered(StreamId(0)) < 128 << 10 {
                ends[0].send(now, StreamId(0), Ppid(53), &mut message.clone(), true).unwrap();
                sent += size;
            }
            exchange(now, ends, &mut memory)
        };
        // Until the window, and with it the table of what is in flight, grows no more.
        for _ in 0..800 {
            round(&mut ends);
        }
        let mut read = 0;
        let info = allocation_counter::measure(|| {
            for _ in 0..100 {
                read += round(&mut ends);
            }
        });
        assert!(read > 5 << 20, "{read}");
        assert_eq!(info.count_total, 0, "{size}: for {read} bytes");
    }
}

/// What is sent is held by reference until it was acknowledged, and written once: into the packet. What arrives is
/// copied once: into a block, where payloads stand side by side.
#[test]
fn payload_is_copied_once_on_its_way_out_and_once_on_its_way_in() {
    let config = Arc::new(Config::default());
    let now = testkit::epoch();
    let mut ends = [[1; 32], [2; 32]].map(|seed| Association::client(now, config.clone(), seed));
    let mut memory = [0; 2000];
    for _ in 0..8 {
        exchange(now, &mut ends, &mut memory);
    }
    ends[0].open(StreamId(0), StreamOptions::default()).unwrap();
    // As much as a packet holds.
    let message = Bytes::from(vec![7; 1160]);
    for _ in 0..8 {
        ends[0].send(now, StreamId(0), Ppid(53), &mut message.clone(), true).unwrap();
    }
    assert!(!message.is_unique(), "the queue refers to the message");
    let mut out = Writer::new(&mut memory);
    let [a, b] = &mut ends;
    while a.poll_packet(now, &mut out) {
        b.handle_packet(now, out.written()).unwrap();
        out.truncate(0);
    }
    assert!(!message.is_unique(), "so does what is in flight");
    let chunks: Vec<_> = std::iter::from_fn(|| b.recv(now, StreamId(0))).collect();
    assert_eq!(chunks.len(), 8);
    let neighbours = |pair: &[sctp::Chunk]| {
        std::ptr::eq(pair[0].data.as_ptr_range().end, pair[1].data.as_ptr_range().start)
    };
    // Blocks double as they are needed: of 1,024 bytes, 2,048, 4,096 and so on.
    assert!(chunks.windows(2).filter(|pair| neighbours(pair)).count() >= 4, "each has memory of its own");
    exchange(now, &mut ends, &mut memory);
    assert!(message.is_unique(), "what is acknowledged is let go of");
}

#[test]
fn an_idle_association_holds_little_and_a_closed_one_nothing_to_speak_of() {
    let config = Arc::new(Config::default());
    let mut now = testkit::epoch();
    let mut memory = [0; 2000];
    let info = allocation_counter::measure(|| {
        let mut ends = [[1; 32], [2; 32]].map(|seed| Association::client(now, config.clone(), seed));
        for _ in 0..8 {
            exchange(now, &mut ends, &mut memory);
        }
        ends[0].open(StreamId(0), StreamOptions::default()).unwrap();
        ends[0].send(now, StreamId(0), Ppid(53), &mut Bytes::from(vec![0; 1 << 20]), true).unwrap();
        let mut read = 0;
        for _ in 0..2000 {
            now += Duration::from_millis(1);
            read += exchange(now, &mut ends, &mut memory);
        }
        assert_eq!(read, 1 << 20);
        now += Duration::from_secs(10);
        ends.iter_mut().for_each(|end| end.handle_timeout(now));
        std::mem::forget(ends);
    });
    assert!(info.bytes_current < 16 << 10, "{} bytes for two idle ends", info.bytes_current);
}
