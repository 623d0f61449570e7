//! Cost of the whole stack in memory: both ends, in one thread, no sockets.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "criterion_group! generates undocumented items; a bench may panic and has to read the clock"
)]

use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use proto::{Arrival, Batch, Instant, Path};
use session::{
    ChannelId, ChannelInit, Config, ConnectionState, Event, MessageKind, Outgoing, SdpType, SendError,
    Session, WallClock,
};

/// Two sessions, and the time that both live in.
struct Ends {
    a: Session,
    b: Session,
    now: Instant,
    memory: Vec<u8>,
}

impl Ends {
    /// Both ends before anything was exchanged.
    fn new() -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let end = |number: u8| {
            let mut config = Config::new(crypto::default_provider());
            config.local_addresses = vec![([192, 0, 2, number], 4000).into()];
            let clock = WallClock { unix_seconds: 1_800_000_000 };
            Session::new(now, clock, config, [number; 32]).expect("a certificate")
        };
        Self { a: end(1), b: end(2), now, memory: vec![0; 65_000] }
    }

    /// Negotiates and connects; the channel at either end.
    fn connect(&mut self) -> (ChannelId, ChannelId) {
        let Self { a, b, now, .. } = self;
        let channel = a.open_channel(*now, ChannelInit::labelled("bench")).expect("a channel");
        let offer = a.create_offer(*now).expect("an offer");
        a.set_local(*now, SdpType::Offer, offer.clone()).expect("as created");
        b.set_remote(*now, SdpType::Offer, offer).expect("an offer of ours");
        let answer = b.create_answer(*now).expect("an answer");
        b.set_local(*now, SdpType::Answer, answer.clone()).expect("as created");
        a.set_remote(*now, SdpType::Answer, answer).expect("an answer of ours");
        loop {
            self.turn();
            while let Some(event) = self.a.poll_event() {
                if let Event::Candidate(found) = event {
                    self.b
                        .add_remote_candidate(self.now, &found.candidate, None, None, None)
                        .expect("a candidate");
                }
            }
            while let Some(event) = self.b.poll_event() {
                if let Event::Candidate(found) = event {
                    self.a
                        .add_remote_candidate(self.now, &found.candidate, None, None, None)
                        .expect("a candidate");
                } else if let Event::ChannelOpened(id) = event {
                    assert_eq!(self.a.connection_state(), ConnectionState::Connected);
                    return (channel, id);
                }
            }
            self.pass(Duration::from_millis(1));
        }
    }

    /// Carries what each end has to send to the other, once.
    fn turn(&mut self) {
        let Self { a, b, now, memory } = self;
        carry(a, b, *now, memory);
        carry(b, a, *now, memory);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.a.handle_timeout(self.now);
        self.b.handle_timeout(self.now);
    }

    /// Sends messages one way, with `queued` bytes waiting at most; says how long it took.
    fn transfer(
        &mut self,
        ids: (ChannelId, ChannelId),
        payload: &Bytes,
        queued: usize,
        messages: u64,
    ) -> Duration {
        let start = std::time::Instant::now();
        let (mut sent, mut received) = (0, 0);
        while received < messages {
            while sent < messages && self.a.buffered(ids.0) < queued {
                let mut message = Outgoing::new(MessageKind::Binary, payload.clone());
                match self.a.send(self.now, ids.0, &mut message) {
                    Ok(()) => sent += 1,
                    Err(SendError::Blocked) => break,
                    Err(error) => unreachable!("{error}"),
                }
            }
            self.turn();
            while let Some(piece) = self.b.recv(self.now, ids.1) {
                received += u64::from(piece.end);
            }
            while self.a.poll_event().is_some() || self.b.poll_event().is_some() {}
            self.pass(Duration::from_micros(20));
        }
        start.elapsed()
    }
}

fn carry(from: &mut Session, to: &mut Session, now: Instant, memory: &mut [u8]) {
    for _ in 0..4 {
        let mut batch = Batch::new(memory, 16, 1500);
        let Some(transmit) = from.poll_transmit(now, &mut batch) else { return };
        let Path { carrier, local, remote } = transmit.path;
        let arrival = Arrival { path: Path { carrier, local: remote, remote: local }, ecn: None, at: now };
        let sent = memory.get_mut(..transmit.len).expect("what was written");
        for datagram in sent.chunks_mut(transmit.segment_size.unwrap_or(transmit.len)) {
            // A check that comes before its credentials is refused, and comes again.
            let _ = to.handle_datagram(arrival, datagram);
        }
    }
}

fn stack(c: &mut Criterion) {
    let mut group = c.benchmark_group("session/throughput");
    for (size, queued) in [(64, 128 << 10), (1024, 128 << 10), (16_384, 128 << 10), (16_384, 4 << 20)] {
        let mut ends = Ends::new();
        let ids = ends.connect();
        let payload = Bytes::from(vec![7; size]);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("{size}/queued {}K", queued >> 10), |bench| {
            bench.iter_custom(|messages| ends.transfer(ids, &payload, queued, messages));
        });
    }
    group.finish();
    c.bench_function("session/connect/both ends", |bench| {
        bench.iter_batched(|| (), |()| Ends::new().connect(), BatchSize::PerIteration);
    });
}

criterion_group!(benches, stack);
criterion_main!(benches);
