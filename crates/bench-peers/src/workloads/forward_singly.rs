//! Forwarding a packet at a time: one each millisecond, and every receiver in turn is given it, is asked for its timers and
//! for what it sends, and is measured by itself, what reading the clock costs included. The receivers' own ends run in between, and
//! take the caches. A server that never has two packets at once works so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::Batch;
use session::{Received, SharedPackets};
use str0m::media::Pt;

use super::forward::{End, Line, arrival, exchange_measured, keep, lines, pairs};
use crate::measure::{Effort, Figure, OURS, Side, in_turn, messages, thread_cpu};
use crate::nodes::ours::time;

pub(super) fn to_10(effort: Effort) -> Vec<Figure> {
    to(effort, 10)
}

pub(super) fn to_100(effort: Effort) -> Vec<Figure> {
    to(effort, 100)
}

fn to(effort: Effort, receivers: usize) -> Vec<Figure> {
    let side = |name, package, mut turn: Box<dyn FnMut(&mut u64)>| {
        Side::new(name, package, move |effort| sample(effort, receivers, &mut turn))
    };
    let (mut ours, mut ours_kept) = (Ours::new(receivers, false), Ours::new(receivers, true));
    let (mut plain, mut kept) = (Str0m::new(receivers, false), Str0m::new(receivers, true));
    in_turn(
        effort,
        vec![
            side("Peerline", OURS, Box::new(move |spent| ours.turn(spent))),
            side("Peerline (kept for NACK)", OURS, Box::new(move |spent| ours_kept.turn_kept(spent))),
            side("str0m", "str0m", Box::new(move |spent| plain.turn(spent))),
            side("str0m (kept for NACK)", "str0m", Box::new(move |spent| kept.turn(spent))),
        ],
    )
}

/// Microseconds a forwarded packet.
fn sample(effort: Effort, receivers: usize, turn: &mut dyn FnMut(&mut u64)) -> f64 {
    let (mut spent, mut packets, wall) = (0, 0, Instant::now());
    while spent < effort.sample_ms * 1_000_000 && wall.elapsed().as_millis() as u64 <= effort.sample_ms * 20 {
        turn(&mut spent);
        packets += receivers;
    }
    spent as f64 / packets as f64 / 1e3
}

/// What makes datagrams of nearly 1,200 bytes with anybody's header extensions.
const PAYLOAD: usize = 1200 - 12 - 16 - 8;
/// Between packets.
const INTERVAL: Duration = Duration::from_millis(1);
/// What one call may give, and how often it is called at most.
const TRAIN: usize = 8;
const MOST_TRAINS: usize = 4;
/// Each packet has one of so many.
const PAYLOADS: usize = 7;

fn timed<T>(spent: &mut u64, work: impl FnOnce() -> T) -> T {
    let start = thread_cpu();
    let result = work();
    *spent += thread_cpu() - start;
    result
}

struct Ours {
    sender: Line,
    receivers: Vec<Line>,
    epoch: Instant,
    now: Instant,
    number: u16,
    memory: Vec<u8>,
    out: Vec<u8>,
    shared: SharedPackets,
    payloads: Vec<bytes::Bytes>,
    /// By the receivers that keep packets, and of how many.
    arrived: usize,
    forwarded: usize,
}

impl Ours {
    fn new(receivers: usize, kept: bool) -> Self {
        let (sender, receivers, epoch, now) = lines(receivers, kept);
        Self {
            sender,
            receivers,
            epoch,
            now,
            number: 0,
            memory: vec![0; 1500],
            out: vec![0; MOST_TRAINS * TRAIN * 1500],
            shared: SharedPackets::default(),
            payloads: messages(PAYLOAD),
            arrived: 0,
            forwarded: 0,
        }
    }

    /// The next packet as its datagram, in `memory`: unmeasured.
    fn next(&mut self) -> (proto::Instant, usize) {
        self.now += INTERVAL;
        let now = time(self.epoch, self.now);
        self.number = self.number.wrapping_add(1);
        let mut packet = vec![0x80, self.sender.payload_type];
        packet.extend(self.number.to_be_bytes());
        packet.extend(u32::from(self.number).wrapping_mul(90).to_be_bytes());
        packet.extend(self.sender.ssrc);
        packet.extend_from_slice(&self.payloads[usize::from(self.number) % PAYLOADS]);
        let mut batch = Batch::new(&mut self.memory, 1, 1500);
        self.sender.a.write_rtp(now, self.sender.transceiver, &packet, &mut batch).expect("room");
        (now, self.sender.a.finish_rtp(&batch).expect("a packet").len)
    }

    fn turn(&mut self, spent: &mut u64) {
        let (now, len) = self.next();
        let Self { sender, receivers, memory, out, payloads, .. } = self;
        let payload = &payloads[usize::from(self.number) % PAYLOADS];
        let len = timed(spent, || {
            let received = sender.b.handle_datagram(arrival(false, now), &mut memory[..len]);
            let Ok(Received::Rtp { packet, .. }) = received else { panic!("{received:?}") };
            packet.bytes().len()
        });
        for line in receivers {
            let sent = timed(spent, || {
                let packet = &mut memory[..len];
                packet[1] = packet[1] & 0x80 | line.payload_type;
                packet[8..12].copy_from_slice(&line.ssrc);
                let mut batch = Batch::new(out, 1, 1500);
                line.a.write_rtp(now, line.transceiver, packet, &mut batch).expect("room");
                let len = line.a.finish_rtp(&batch).expect("a packet").len;
                if line.a.poll_timeout().is_some_and(|due| due <= now) {
                    line.a.handle_timeout(now);
                }
                len
            });
            let received = line.b.handle_datagram(arrival(false, now), &mut out[..sent]).expect("its packet");
            let Received::Rtp { packet, .. } = received else { panic!("{received:?}") };
            assert_eq!(packet.payload(), payload);
            keep(now, spent, &mut line.a, &mut line.b, true, out);
        }
        keep(now, spent, &mut sender.b, &mut sender.a, false, out);
    }

    /// The same through the machines of media: what was sent is kept for whoever asks for it again, and leaves at the path's pace.
    fn turn_kept(&mut self, spent: &mut u64) {
        let (now, len) = self.next();
        let Self { sender, receivers, memory, out, payloads, shared, .. } = self;
        let (packet, number) = timed(spent, || {
            let info = sender.b.transceiver(sender.at_b).expect("it is there");
            let theirs = info.negotiated.expect("agreed").clone();
            let received = sender.b.handle_datagram(arrival(false, now), &mut memory[..len]);
            let Ok(Received::Packet { number, packet, .. }) = received else { panic!("{received:?}") };
            let packet = shared.share(packet.as_packet().bytes(), &theirs.extensions);
            (packet.expect("it is one"), number)
        });
        let mut sent = Vec::with_capacity(MOST_TRAINS);
        for line in receivers {
            timed(spent, || {
                line.a.forward_rtp(now, line.transceiver, 0, (0, number), &packet).expect("room");
                for memory in out.chunks_mut(TRAIN * 1500) {
                    let mut batch = Batch::new(memory, TRAIN, 1500);
                    let Some(transmit) = line.a.poll_transmit(now, &mut batch) else { break };
                    sent.push(transmit);
                }
                if line.a.poll_timeout().is_some_and(|due| due <= now) {
                    line.a.handle_timeout(now);
                }
            });
            self.forwarded += 1;
            for (transmit, memory) in sent.drain(..).zip(out.chunks_mut(TRAIN * 1500)) {
                let size = transmit.segment_size.unwrap_or(transmit.len);
                for datagram in memory[..transmit.len].chunks_mut(size) {
                    let received = line.b.handle_datagram(arrival(false, now), datagram);
                    if let Ok(Received::Packet { packet, .. }) = received {
                        self.arrived +=
                            usize::from(payloads.iter().any(|it| packet.as_packet().payload() == it));
                    }
                }
            }
            keep(now, spent, &mut line.a, &mut line.b, true, out);
        }
        keep(now, spent, &mut sender.b, &mut sender.a, false, out);
        // What is behind waits for its turn.
        assert!(
            self.arrived * 10 >= self.forwarded * 9 || self.forwarded < 20_000,
            "{} of {}",
            self.arrived,
            self.forwarded
        );
    }
}

struct Str0m {
    /// `a` sends to `b`.
    sender: [End; 2],
    receivers: Vec<[End; 2]>,
    now: Instant,
    payload_type: Pt,
    number: u64,
    kept: bool,
    payloads: Vec<bytes::Bytes>,
}

impl Str0m {
    fn new(receivers: usize, kept: bool) -> Self {
        let (sender, receivers, now) = pairs(receivers);
        let payload_type = sender[0].payload_type();
        Self { sender, receivers, now, payload_type, number: 1000, kept, payloads: messages(PAYLOAD) }
    }

    fn turn(&mut self, spent: &mut u64) {
        self.now += INTERVAL;
        let now = self.now;
        self.number += 1;
        let payload = &self.payloads[self.number as usize % PAYLOADS];
        let [remote, worker] = &mut self.sender;
        let header = (self.payload_type, self.number, self.number as u32 * 90);
        remote.write(now, header, Arc::from(&payload[..]), self.kept);
        remote.timeout(now);
        let datagrams: Vec<_> = remote.waiting.drain(..).collect();
        timed(spent, || datagrams.iter().for_each(|datagram| worker.handle(now, datagram)));
        let packet = worker.packets.pop().expect("its packet");
        exchange_measured(now, spent, worker, remote);
        for [worker, remote] in &mut self.receivers {
            timed(spent, || {
                let header = (packet.header.payload_type, *packet.seq_no, packet.header.timestamp);
                worker.write(now, header, packet.payload.clone(), self.kept);
                worker.timeout(now);
            });
            exchange_measured(now, spent, worker, remote);
            let arrived = remote.packets.pop().expect("its packet");
            assert_eq!(arrived.payload[..], payload[..]);
        }
    }
}
