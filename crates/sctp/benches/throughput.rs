//! Cost of a transfer between two associations in one thread: both ends, no link.
#![allow(missing_docs, reason = "criterion_group! generates undocumented items")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a bench fails"
)]

use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proto::{Instant, Writer};
use sctp::{Association, Config, Ppid, SendError, StreamId, StreamOptions};

struct Pair {
    now: Instant,
    ends: [Association; 2],
    memory: Vec<u8>,
}

impl Pair {
    fn new() -> Self {
        let config = Arc::new(Config::default());
        let now = Instant::from_nanos(1);
        let ends = [[1; 32], [2; 32]].map(|seed| Association::client(now, config.clone(), seed));
        let mut pair = Self { now, ends, memory: vec![0; 2048] };
        for _ in 0..8 {
            pair.exchange();
        }
        pair.ends[0].open(StreamId(0), StreamOptions::default()).unwrap();
        pair
    }

    /// Each end's packets to the other, and what is ready read.
    fn exchange(&mut self) -> usize {
        self.now = Instant::from_nanos(self.now.as_nanos() + 10_000);
        let mut read = 0;
        let mut out = Writer::new(&mut self.memory);
        for from in 0..2 {
            let [a, b] = &mut self.ends;
            let (from, to) = if from == 0 { (a, b) } else { (b, a) };
            let mut count = 0;
            while count < 40 && from.poll_packet(self.now, &mut out) {
                to.handle_packet(self.now, out.written()).unwrap();
                out.truncate(0);
                count += 1;
            }
        }
        let [a, b] = &mut self.ends;
        while a.poll_event().is_some() || b.poll_event().is_some() {}
        while let Some(chunk) = b.recv(self.now, StreamId(0)) {
            read += chunk.data.len();
        }
        read
    }

    /// Sends and reads `total` bytes with up to `queued` waiting.
    fn transfer(&mut self, message: &Bytes, total: usize, queued: usize) {
        let (mut sent, mut read) = (0, 0);
        while read < total {
            while sent < total && self.ends[0].buffered(StreamId(0)) < queued {
                match self.ends[0].send(self.now, StreamId(0), Ppid(53), &mut message.clone(), true) {
                    Ok(()) => sent += message.len(),
                    Err(SendError::Blocked) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            read += self.exchange();
        }
    }
}

fn throughput(c: &mut Criterion) {
    let mut group = c.benchmark_group("sctp/throughput");
    group.sample_size(20);
    for (size, queued) in [(64, 128 << 10), (1024, 128 << 10), (16_384, 128 << 10), (16_384, 4 << 20)] {
        let mut pair = Pair::new();
        let message = Bytes::from(vec![7; size]);
        let count = (8 << 20) / size / if size == 64 { 8 } else { 1 };
        group.throughput(if size == 64 {
            Throughput::Elements(count as u64)
        } else {
            Throughput::Bytes((count * size) as u64)
        });
        group.bench_function(format!("{size}/queued_{}k", queued >> 10), |b| {
            b.iter(|| pair.transfer(&message, count * size, queued));
        });
    }
    group.finish();
}

criterion_group!(benches, throughput);
criterion_main!(benches);
