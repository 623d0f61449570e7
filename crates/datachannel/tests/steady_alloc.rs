//! Nothing is allocated for a message once things have warmed up.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::time::Duration;

use bytes::Bytes;
use datachannel::{ChannelId, Channels, Config, Event, Init, Kind, Outgoing, Role};
use proto::{Instant, Writer};

/// Each end's packets to the other; gives the channels that the peer opened.
fn exchange(now: Instant, ends: &mut [Channels; 2], memory: &mut [u8]) -> Option<ChannelId> {
    let mut incoming = None;
    for from in [0, 1, 0, 1] {
        let mut out = Writer::new(memory);
        while ends[from].poll_packet(now, &mut out) {
            ends[1 - from].handle_packet(now, out.written()).unwrap();
            out.truncate(0);
            for end in &mut *ends {
                while let Some(event) = end.poll_event() {
                    if let Event::Incoming(id) = event {
                        incoming = Some(id);
                    }
                }
            }
        }
    }
    incoming
}

#[test]
fn messages_allocate_nothing_when_the_reader_keeps_up() {
    let mut now = testkit::epoch();
    let mut memory = [0; 2000];
    let mut ends = [[1; 32], [2; 32]].map(|seed| Channels::new(now, Config::default(), seed));
    ends[0].set_role(now, Role::Client);
    ends[1].set_role(now, Role::Server);
    for _ in 0..4 {
        exchange(now, &mut ends, &mut memory);
    }
    let ours = ends[0].open(now, Init::default()).unwrap();
    let theirs = exchange(now, &mut ends, &mut memory).unwrap();
    for size in [16, 1000, 16_384, 65_536] {
        let data = Bytes::from(vec![1; size]);
        let mut round = |ends: &mut [Channels; 2]| {
            now += Duration::from_micros(100);
            for _ in 0..(64 << 10) / size {
                ends[0].send(now, ours, &mut Outgoing::new(Kind::Binary, data.clone())).unwrap();
            }
            exchange(now, ends, &mut memory);
            let mut read = 0;
            while let Some(part) = ends[1].recv(now, theirs) {
                read += part.data.len();
            }
            read
        };
        for _ in 0..200 {
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
