//! Reliable messages both ways, each with the hash of all before it: whatever is lost, repeated, altered or out of place shows.

use std::collections::VecDeque;
use std::time::Duration;

use crypto::HashAlgorithm;
use proto::Instant;
use session::{ChannelId, Outgoing, SendError};

use crate::draw::Draw;
use crate::harness::Two;

pub struct Traffic {
    draw: Draw,
    /// Between two messages of a side.
    pub pause: Duration,
    /// Bytes of a message, at most, beyond what it must carry.
    pub most: u32,
    /// False once nothing more is to be sent.
    pub is_on: bool,
    ways: [Way; 2],
}

/// What one side sends to the other.
struct Way {
    from: ChannelId,
    to: ChannelId,
    next: Instant,
    waiting: VecDeque<Outgoing>,
    /// When each message was handed over.
    sent: Vec<Instant>,
    sent_bytes: u64,
    sent_chain: Vec<u8>,
    /// When the latest one came, and how many have.
    came: Option<Instant>,
    count: usize,
    came_bytes: u64,
    came_chain: Vec<u8>,
}

impl Traffic {
    /// On a channel that each side knows by its own name.
    pub fn new(draw: Draw, channels: [ChannelId; 2], now: Instant) -> Self {
        let way = |side: usize| Way {
            from: channels[side],
            to: channels[1 - side],
            next: now,
            waiting: VecDeque::new(),
            sent: Vec::new(),
            sent_bytes: 0,
            sent_chain: Vec::new(),
            came: None,
            count: 0,
            came_bytes: 0,
            came_chain: Vec::new(),
        };
        Self { draw, pause: Duration::from_millis(60), most: 700, is_on: true, ways: [way(0), way(1)] }
    }

    /// Sends what is due, and checks what came.
    pub fn step(&mut self, two: &mut Two) {
        let now = two.now();
        for side in 0..2 {
            let way = &mut self.ways[side];
            if self.is_on && way.next <= now {
                way.next = now + self.draw.millis(10, u32::try_from(self.pause.as_millis()).unwrap() * 2);
                let len = self.draw.between(0, self.most) as usize;
                let payload = self.draw.bytes(len);
                way.sent_chain = chain(&way.sent_chain, &payload);
                let message = [&way.sent_chain[..], &payload].concat();
                way.sent.push(now);
                way.sent_bytes += message.len() as u64;
                way.waiting.push_back(Outgoing::binary(message));
            }
            while let Some(message) = way.waiting.front_mut() {
                match two.session(side).send(now, way.from, message) {
                    Ok(()) => drop(way.waiting.pop_front()),
                    Err(SendError::Blocked) => break,
                    Err(error) => panic!("{error:?} at {now:?}\n{}", two.reports()),
                }
            }
            for message in two.messages(1 - side, way.to) {
                let (hash, payload) = message.split_at(HASH);
                way.came_chain = chain(&way.came_chain, payload);
                assert_eq!(
                    way.came_chain, hash,
                    "message {} from side {side} is not the next one",
                    way.count
                );
                way.count += 1;
                way.came_bytes += message.len() as u64;
                way.came = Some(now);
            }
        }
    }

    /// Whether something has come on both ways since `then`.
    pub fn flows_since(&self, then: Instant) -> bool {
        self.ways.iter().all(|way| way.came.is_some_and(|came| came > then))
    }

    /// Whether something that was sent at `then` or later has come on both ways.
    pub fn has_passed(&self, then: Instant) -> bool {
        self.ways.iter().all(|way| way.count > 0 && way.sent[way.count - 1] >= then)
    }

    /// Bytes that were handed over and have not come.
    pub fn missing(&self) -> u64 {
        self.ways.iter().map(|way| way.sent_bytes - way.came_bytes).sum()
    }
}

fn chain(before: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut hash = crypto::rust_crypto().hash(HashAlgorithm::Sha256);
    hash.update(before);
    hash.update(payload);
    hash.digest().as_bytes().to_vec()
}

const HASH: usize = 32;
