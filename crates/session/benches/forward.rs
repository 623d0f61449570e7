//! Cost of a forwarded packet in memory: video of one session goes out by others, without sockets. The forwarding side alone
//! is measured, feedback and timers included.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "criterion_group! generates undocumented items; a bench may panic and has to read the clock"
)]

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proto::{Arrival, Batch, Carrier, Instant, Path};
use session::{
    Config, Event, FrameConfig, MediaKind, Output, Received, SdpType, Session, TransceiverId, WallClock,
};

/// Packets of a frame, which come together.
const TRAIN: usize = 8;
/// Of a packet, so that datagrams have nearly 1,200 bytes.
const PAYLOAD: usize = 1140;
/// Between frames.
const INTERVAL: Duration = Duration::from_millis(10);

/// Two sessions, of which `a` sends video to `b`.
struct Line {
    a: Session,
    b: Session,
    at_a: TransceiverId,
    at_b: TransceiverId,
}

/// How packets are forwarded.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Manner {
    /// Written into the train at once; whoever does so answers NACKs.
    AtOnce,
    /// Kept for retransmission, and sent at the pace of the path.
    Kept,
}

impl Line {
    fn connected(now: &mut Instant, number: u8, manner: Manner) -> Self {
        let session = |is_a: bool| {
            let mut config = Config::new(crypto::default_provider());
            config.local_addresses = vec![address(is_a)];
            if manner == Manner::Kept {
                let mut frames = FrameConfig::default();
                frames.output = Output::Packets;
                frames.bandwidth.start = 50_000_000;
                config.frames = Some(Arc::new(frames));
            }
            let seed = [number.wrapping_mul(2).wrapping_add(u8::from(is_a)); 32];
            Session::new(*now, WallClock { unix_seconds: 1_800_000_000 }, config, seed)
                .expect("a certificate")
        };
        let (mut a, mut b) = (session(true), session(false));
        let at_a = a.add_track(*now, MediaKind::Video, vec![]).expect("room");
        let offer = a.create_offer(*now).expect("an offer");
        a.set_local(*now, SdpType::Offer, offer.clone()).expect("as created");
        b.set_remote(*now, SdpType::Offer, offer).expect("an offer of ours");
        let answer = b.create_answer(*now).expect("an answer");
        b.set_local(*now, SdpType::Answer, answer.clone()).expect("as created");
        a.set_remote(*now, SdpType::Answer, answer).expect("an answer of ours");
        let at_b = b.transceivers().next().expect("one").0;
        let mut memory = vec![0; 65_000];
        for _ in 0..5000 {
            introduce(*now, &mut a, &mut b);
            introduce(*now, &mut b, &mut a);
            carry(*now, &mut a, &mut b, false, &mut memory);
            carry(*now, &mut b, &mut a, true, &mut memory);
            *now += Duration::from_millis(1);
            a.handle_timeout(*now);
            b.handle_timeout(*now);
            if a.max_media_packet().is_some() && b.max_media_packet().is_some() {
                return Self { a, b, at_a, at_b };
            }
        }
        panic!("no connection");
    }
}

fn address(is_a: bool) -> std::net::SocketAddr {
    if is_a { ([10, 0, 0, 1], 1000).into() } else { ([10, 0, 0, 2], 2000).into() }
}

fn arrival(at_a: bool, at: Instant) -> Arrival {
    let path = Path { carrier: Carrier::Udp, local: address(at_a), remote: address(!at_a) };
    Arrival { path, ecn: None, at }
}

fn introduce(now: Instant, from: &mut Session, to: &mut Session) {
    while from.poll_route().is_some() {}
    while let Some(event) = from.poll_event() {
        if let Event::Candidate(found) = event {
            to.add_remote_candidate(now, &found.candidate, None, None, None).expect("a candidate");
        }
    }
}

fn carry(now: Instant, from: &mut Session, to: &mut Session, to_a: bool, memory: &mut [u8]) {
    loop {
        let mut batch = Batch::new(memory, 40, 1500);
        let Some(transmit) = from.poll_transmit(now, &mut batch) else { return };
        let size = transmit.segment_size.unwrap_or(transmit.len);
        for datagram in memory[..transmit.len].chunks_mut(size) {
            let _ = to.handle_datagram(arrival(to_a, now), datagram);
        }
    }
}

struct Room {
    manner: Manner,
    sender: Line,
    receivers: Vec<Line>,
    now: Instant,
    number: u16,
    memory: Vec<u8>,
    out: Vec<u8>,
    forwarded: u64,
    arrived: u64,
}

impl Room {
    fn new(receivers: u8, manner: Manner) -> Self {
        let start = Instant::from_nanos(1_000_000_000);
        let mut now = start;
        let sender = Line::connected(&mut now, 0, manner);
        let receivers = (1..=receivers).map(|number| {
            let mut since = start;
            let line = Line::connected(&mut since, number, manner);
            now = now.max(since);
            line
        });
        let receivers = receivers.collect();
        let (memory, out) = (vec![0; 65_000], vec![0; 65_000]);
        Self { manner, sender, receivers, now, number: 0, memory, out, forwarded: 0, arrived: 0 }
    }

    /// One frame to everybody. Gives the time that the forwarding side took.
    fn frame(&mut self) -> Duration {
        self.now += INTERVAL;
        let len = self.write_frame();
        let start = std::time::Instant::now();
        let packets = self.forward(len);
        let mut spent = start.elapsed();
        self.forwarded += packets;
        for at in 0..self.receivers.len() {
            spent += self.keep(Some(at));
        }
        spent + self.keep(None)
    }

    /// What the sender's own end sends, in a train; gives the length of each datagram.
    fn write_frame(&mut self) -> usize {
        let Self { sender, now, memory, number, .. } = self;
        let info = sender.a.transceiver(sender.at_a).expect("it is there");
        let ssrc = info.encodings[0].ssrc.0.to_be_bytes();
        let payload_type = info.negotiated.expect("agreed").send[0].payload_type.get();
        let mut batch = Batch::new(memory, TRAIN, 1500);
        for at in 0..TRAIN {
            *number = number.wrapping_add(1);
            let marker = if at + 1 == TRAIN { 0x80 } else { 0 };
            let mut packet = vec![0x80, payload_type | marker];
            packet.extend(number.to_be_bytes());
            packet.extend((now.as_nanos() / 1_000_000 * 90).to_be_bytes()[4..].iter());
            packet.extend(ssrc);
            // VP8: a part of a key frame.
            packet.extend([if at == 0 { 0x10 } else { 0 }, 0x10, 0, 0, 0x9d, 1, 0x2a]);
            packet.resize(12 + PAYLOAD, 7);
            sender.a.write_rtp(*now, sender.at_a, &packet, &mut batch).expect("room");
        }
        sender.a.finish_rtp(&batch).expect("packets").segment_size.expect("of one size")
    }

    /// What a worker does with a train that came.
    fn forward(&mut self, size: usize) -> u64 {
        let Self { manner, sender, receivers, now, memory, out, .. } = self;
        let now = *now;
        let mut taken = [(0, 0); TRAIN];
        for (datagram, taken) in memory.chunks_mut(size).zip(&mut taken) {
            match sender.b.handle_datagram(arrival(false, now), datagram).expect("its packet") {
                Received::Rtp { packet, .. } => *taken = (packet.bytes().len(), 0),
                Received::Packet { number, packet, .. } => {
                    *taken = (packet.as_packet().bytes().len(), number)
                }
                other => panic!("{other:?}"),
            }
        }
        let theirs = sender.b.transceiver(sender.at_b).and_then(|info| info.negotiated.cloned());
        let theirs = &theirs.as_ref().expect("agreed").extensions;
        let mut packets = 0;
        for line in receivers {
            let mut batch = Batch::new(out, TRAIN, 1500);
            if *manner == Manner::AtOnce {
                let info = line.a.transceiver(line.at_a).expect("it is there");
                let ssrc = info.encodings[0].ssrc.0.to_be_bytes();
                for (packet, (len, _)) in memory.chunks_mut(size).zip(taken) {
                    let packet = &mut packet[..len];
                    packet[8..12].copy_from_slice(&ssrc);
                    line.a.write_rtp(now, line.at_a, packet, &mut batch).expect("room");
                    packets += 1;
                }
                let transmit = line.a.finish_rtp(&batch).expect("packets");
                arrive(line, now, &mut out[..transmit.len], transmit.segment_size);
                continue;
            }
            for (packet, (len, number)) in memory.chunks(size).zip(taken) {
                line.a.forward_rtp(now, line.at_a, 0, (0, number), &packet[..len], theirs).expect("room");
                packets += 1;
            }
        }
        packets
    }

    /// Timers, and what is to be sent because of them; gives the forwarding side's time.
    fn keep(&mut self, receiver: Option<usize>) -> Duration {
        let (line, worker_is_a) = match receiver {
            Some(at) => (&mut self.receivers[at], true),
            None => (&mut self.sender, false),
        };
        let (worker, remote) =
            if worker_is_a { (&mut line.a, &mut line.b) } else { (&mut line.b, &mut line.a) };
        let mut spent = Duration::ZERO;
        if remote.poll_timeout().is_some_and(|due| due <= self.now) {
            remote.handle_timeout(self.now);
        }
        // In steps, since packets leave at the pace of the path.
        for step in 0..10 {
            let now = self.now + INTERVAL / 10 * step;
            for _ in 0..64 {
                let start = std::time::Instant::now();
                if worker.poll_timeout().is_some_and(|due| due <= now) {
                    worker.handle_timeout(now);
                }
                let mut batch = Batch::new(&mut self.out, 40, 1500);
                let sent = worker.poll_transmit(now, &mut batch);
                spent += start.elapsed();
                if let Some(transmit) = sent {
                    let size = transmit.segment_size.unwrap_or(transmit.len);
                    for datagram in self.out[..transmit.len].chunks_mut(size) {
                        self.arrived += u64::from(datagram.len() > 1100);
                        let _ = remote.handle_datagram(arrival(!worker_is_a, now), datagram);
                    }
                    continue;
                }
                let Some(transmit) = remote.poll_transmit(now, &mut Batch::new(&mut self.out, 40, 1500))
                else {
                    break;
                };
                let size = transmit.segment_size.unwrap_or(transmit.len);
                let start = std::time::Instant::now();
                for datagram in self.out[..transmit.len].chunks_mut(size) {
                    let _ = worker.handle_datagram(arrival(worker_is_a, now), datagram);
                }
                spent += start.elapsed();
            }
        }
        for session in [worker, remote] {
            while session.poll_event().is_some() {}
            while session.poll_route().is_some() {}
        }
        spent
    }
}

/// The receiver's own end; it is not measured apart from the little that this takes.
fn arrive(line: &mut Line, now: Instant, bytes: &mut [u8], size: Option<usize>) {
    let first = bytes.get_mut(..size.unwrap_or(0)).expect("a packet");
    let received = line.b.handle_datagram(arrival(false, now), first).expect("its packet");
    assert!(matches!(received, Received::Rtp { .. }));
}

fn forward(c: &mut Criterion) {
    let mut group = c.benchmark_group("session/forward");
    for (name, manner) in [("at once", Manner::AtOnce), ("kept", Manner::Kept)] {
        for receivers in [10, 100] {
            let mut room = Room::new(receivers, manner);
            group.throughput(Throughput::Elements(u64::from(receivers) * TRAIN as u64));
            group.bench_function(format!("{name}/{receivers}"), |bench| {
                bench.iter_custom(|frames| (0..frames).map(|_| room.frame()).sum());
            });
            if manner == Manner::Kept {
                let share = room.arrived as f64 / room.forwarded as f64;
                assert!(share > 0.9, "{share} of {} packets", room.forwarded);
            }
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = forward
}
criterion_main!(benches);
