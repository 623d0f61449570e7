//! Cost of messages on a data channel between two ends in one thread, without a link.
#![allow(missing_docs, reason = "criterion_group! generates undocumented items")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a bench fails"
)]

use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datachannel::{ChannelId, Channels, Config, Event, Init, Kind, Outgoing, Role, SendError};
use proto::{Instant, Writer};

struct Pair {
    now: Instant,
    ends: [Channels; 2],
    memory: Vec<u8>,
    incoming: Vec<ChannelId>,
}

impl Pair {
    fn new() -> Self {
        let now = Instant::from_nanos(1);
        let mut ends = [[1; 32], [2; 32]].map(|seed| Channels::new(now, Config::default(), seed));
        ends[0].set_role(now, Role::Client);
        ends[1].set_role(now, Role::Server);
        let mut pair = Self { now, ends, memory: vec![0; 2048], incoming: Vec::new() };
        (0..4).for_each(|_| pair.exchange());
        pair
    }

    fn exchange(&mut self) {
        self.now += Duration::from_micros(100);
        self.ends.iter_mut().for_each(|end| end.handle_timeout(self.now));
        for from in [0, 1] {
            let mut out = Writer::new(&mut self.memory);
            while self.ends[from].poll_packet(self.now, &mut out) {
                self.ends[1 - from].handle_packet(self.now, out.written()).unwrap();
                out.truncate(0);
            }
        }
        for end in &mut self.ends {
            while let Some(event) = end.poll_event() {
                if let Event::Incoming(id) = event {
                    self.incoming.push(id);
                }
            }
        }
    }
}

fn messages(c: &mut Criterion) {
    let mut group = c.benchmark_group("datachannel/messages");
    for size in [64, 1024, 16_384, 65_536] {
        let mut pair = Pair::new();
        let ours = pair.ends[0].open(pair.now, Init::default()).unwrap();
        (0..4).for_each(|_| pair.exchange());
        let theirs = pair.incoming[0];
        let data = Bytes::from(vec![1; size]);
        let total = 1 << 20;
        group.throughput(Throughput::Bytes(total as u64));
        group.bench_function(size.to_string(), |b| {
            b.iter(|| {
                let (mut read, mut sent) = (0, 0);
                let mut message = Outgoing::new(Kind::Binary, data.clone());
                while read < total {
                    while sent < total {
                        match pair.ends[0].send(pair.now, ours, &mut message) {
                            Ok(()) => message = Outgoing::new(Kind::Binary, data.clone()),
                            Err(SendError::Blocked) => break,
                            Err(error) => panic!("{error}"),
                        }
                        sent += size;
                    }
                    pair.exchange();
                    while let Some(part) = pair.ends[1].recv(pair.now, theirs) {
                        read += part.data.len();
                    }
                }
            });
        });
    }
    group.finish();
}

fn open_and_close(c: &mut Criterion) {
    let mut group = c.benchmark_group("datachannel/open_and_close");
    group.throughput(Throughput::Elements(1));
    let mut pair = Pair::new();
    group.bench_function("1", |b| {
        b.iter(|| {
            let id = pair.ends[0].open(pair.now, Init::default()).unwrap();
            pair.exchange();
            pair.ends[0].close(pair.now, id);
            while !pair.ends.iter().all(Channels::is_empty) {
                pair.exchange();
            }
            pair.incoming.clear();
        });
    });
    group.finish();
}

criterion_group!(benches, messages, open_and_close);
criterion_main!(benches);
