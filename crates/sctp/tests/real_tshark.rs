//! What we send, as somebody else's dissector sees it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::Writer;
use sctp::{Association, Config, Ppid, StreamId, StreamOptions};
use testkit::{Capture, epoch};

#[test]
fn real_tshark_finds_nothing_malformed_in_an_association() {
    let config = Arc::new(Config::default());
    let mut now = epoch();
    let mut ends =
        [Association::client(now, config.clone(), [1; 32]), Association::server(now, config, [2; 32])];
    let mut capture = Capture::of_sctp();
    let mut count = 0;
    let mut exchange = |ends: &mut [Association; 2], now| {
        for round in 0..40_usize {
            let (from, to) = (round % 2, 1 - round % 2);
            let mut memory = [0; 1200];
            loop {
                let mut out = Writer::new(&mut memory);
                if !ends[from].poll_packet(now, &mut out) {
                    break;
                }
                count += 1;
                let packet = out.written();
                capture.packet(now, packet);
                // Some are lost, so that gaps and repetitions show.
                if count % 17 != 5 {
                    let _ = ends[to].handle_packet(now, packet);
                }
            }
            while ends[to].poll_event().is_some() {}
        }
    };
    exchange(&mut ends, now);
    assert!(ends[0].is_connected());
    for stream in 0..3 {
        ends[0].open(StreamId(stream), StreamOptions::default()).unwrap();
        let mut message = Bytes::from(vec![7; 60_000]);
        ends[0].send(now, StreamId(stream), Ppid(53), &mut message, true).unwrap();
    }
    for step in 0..2000 {
        now += Duration::from_millis(20);
        ends.iter_mut().for_each(|end| end.handle_timeout(now));
        exchange(&mut ends, now);
        for stream in 0..3 {
            while ends[1].recv(now, StreamId(stream)).is_some() {}
        }
        match step {
            1000 => ends[0].reset(now, StreamId(1)),
            1500 => ends[0].shutdown(now),
            _ => {}
        }
    }
    assert!(ends[0].is_closed() && ends[1].is_closed());
    let Some(seen) = capture.dissect("sctp") else {
        println!("skipped: tshark is not installed");
        return;
    };
    assert_eq!(seen.len(), count);
    assert!(count > 150);
    for (protocols, malformed) in seen {
        assert!(protocols.contains("sctp") && malformed.is_empty(), "{protocols}: {malformed}");
    }
}
