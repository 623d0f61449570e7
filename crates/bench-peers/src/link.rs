//! A simulated link between two ends: rate, delay, a queue that drops what does not fit.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::measure::{Digest, Random, messages};
use crate::pair::{Datagram, Node, Pair};

/// What the link is like, the same both ways.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub mbit: f64,
    pub round_trip: Duration,
    /// Of 1.
    pub loss: f64,
}

struct Direction {
    free_at: Instant,
    random: Random,
}

/// Sends over the link for 25 s of virtual time, of which the first 5 do not count; Mbit/s of messages of
/// 16 KiB that arrived, in order and whole. The queue holds one round trip.
pub fn goodput<N: Node>(pair: &mut Pair<N>, link: Link, seed: u64) -> f64 {
    let messages = messages(16 << 10);
    let (begin, mut now) = (pair.now, pair.now);
    let (count_from, end) = (begin + Duration::from_secs(5), begin + Duration::from_secs(25));
    let mut directions =
        [2 * seed + 1, 2 * seed + 7_777_777].map(|seed| Direction { free_at: begin, random: Random(seed) });
    let mut flying: BinaryHeap<Reverse<(Instant, u64, bool, Bytes)>> = BinaryHeap::new();
    let (mut serial, mut counted, mut sent) = (0, 0_u64, 0_usize);
    let mut arrived = Digest::default();
    while now < end {
        while pair.a.send(now, &messages[sent % 7]) {
            sent += 1;
        }
        let mut next = end;
        for (to_b, direction) in [true, false].into_iter().zip(&mut directions) {
            let from = if to_b { &mut pair.a } else { &mut pair.b };
            let mut launch = |datagram: Datagram<'_>| {
                let start = direction.free_at.max(now);
                if start - now > link.round_trip {
                    return;
                }
                let bits = (datagram.len() + N::OVERHEAD) as f64 * 8.0;
                direction.free_at = start + Duration::from_secs_f64(bits / (link.mbit * 1e6));
                let chance = (direction.random.next() >> 11) as f64 / (1_u64 << 53) as f64;
                if chance >= link.loss {
                    let at = direction.free_at + link.round_trip / 2;
                    flying.push(Reverse((at, serial, to_b, datagram.into_bytes())));
                    serial += 1;
                }
            };
            while from.carry(now, 64, &mut launch) > 0 {}
            if let Some(due) = from.deadline() {
                next = next.min(due.max(now + Duration::from_micros(10)));
            }
        }
        if let Some(Reverse((at, ..))) = flying.peek() {
            next = next.min(*at);
        }
        now = next.max(now);
        let mut delivered = false;
        while flying.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((_, _, to_b, datagram))) = flying.pop() else { break };
            let to = if to_b { &mut pair.b } else { &mut pair.a };
            to.handle(now, Datagram::Owned(datagram));
            delivered = true;
        }
        if delivered {
            pair.b.receive(now, &mut |message| {
                assert_eq!(message, messages[arrived.messages as usize % 7], "damaged or out of order");
                arrived.add(message);
                if now >= count_from {
                    counted += message.len() as u64;
                }
            });
            pair.a.receive(now, &mut |_| {});
        } else {
            pair.a.timeout(now);
            pair.b.timeout(now);
        }
    }
    pair.now = now;
    counted as f64 * 8.0 / 1e6 / (end - count_from).as_secs_f64()
}
