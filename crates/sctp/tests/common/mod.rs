//! Two associations and the links between them, in virtual time.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

pub(crate) mod victim;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crypto::Rng;
use proto::{Instant, Writer};
use sctp::{Association, Config, Event, Ppid, StreamId};

/// What a link does to a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) delay: Duration,
    /// Added at random up to this.
    pub(crate) jitter: Duration,
    /// Packets lost, of a thousand.
    pub(crate) loss: u32,
    /// Packets doubled, of a thousand.
    pub(crate) duplicate: u32,
    /// Bits per second; 0 is without limit.
    pub(crate) rate: u64,
}

impl Default for Link {
    fn default() -> Self {
        Self { delay: Duration::from_millis(10), jitter: Duration::ZERO, loss: 0, duplicate: 0, rate: 0 }
    }
}

pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) ends: [Association; 2],
    pub(crate) links: [Link; 2],
    pub(crate) events: [Vec<Event>; 2],
    /// Packets on their way to each end.
    wire: [BTreeMap<(Instant, u64), Vec<u8>>; 2],
    free: [Instant; 2],
    count: u64,
    rng: Rng,
    pub(crate) sent: [u64; 2],
    /// Nothing gets through while set.
    pub(crate) outage: bool,
    /// Sees and may change or drop each packet before the link does: (from, packet).
    pub(crate) tap: Option<Tap>,
}

pub(crate) type Tap = Box<dyn FnMut(usize, &mut Vec<u8>) -> bool>;

impl Pair {
    pub(crate) fn new(config: Config, link: Link, seed: u8) -> Self {
        Self::with(config.clone(), config, link, seed)
    }

    pub(crate) fn with(a: Config, b: Config, link: Link, seed: u8) -> Self {
        let now = testkit::epoch();
        let ends = [
            Association::client(now, Arc::new(a), [seed; 32]),
            Association::client(now, Arc::new(b), [seed ^ 0xff; 32]),
        ];
        Self::of(ends, link, seed)
    }

    pub(crate) fn of(ends: [Association; 2], link: Link, seed: u8) -> Self {
        let now = testkit::epoch();
        Self {
            now,
            ends,
            links: [link; 2],
            events: [Vec::new(), Vec::new()],
            wire: [BTreeMap::new(), BTreeMap::new()],
            free: [now; 2],
            count: 0,
            rng: Rng::new([seed; 32]),
            sent: [0; 2],
            outage: false,
            tap: None,
        }
    }

    /// Two ends that are connected, with their events taken.
    pub(crate) fn connected(config: Config, link: Link, seed: u8) -> Self {
        let mut pair = Self::new(config, link, seed);
        assert!(pair.run(Duration::from_secs(60), |pair| pair.ends.iter().all(Association::is_connected)));
        pair.events = [Vec::new(), Vec::new()];
        pair
    }

    /// Sends all that can be sent now, and takes the events.
    pub(crate) fn drain(&mut self) {
        for from in 0..2 {
            let mut memory = [0; 70_000];
            let mut out = Writer::new(&mut memory);
            while self.ends[from].poll_packet(self.now, &mut out) {
                let packet = out.written().to_vec();
                out.truncate(0);
                self.transmit(from, packet);
            }
            while let Some(event) = self.ends[from].poll_event() {
                self.events[from].push(event);
            }
        }
    }

    pub(crate) fn transmit(&mut self, from: usize, mut packet: Vec<u8>) {
        self.sent[from] += 1;
        if self.tap.as_mut().is_some_and(|tap| !tap(from, &mut packet)) {
            return;
        }
        let link = self.links[from];
        let copies = 1 + u32::from(self.rng.below(1000) < link.duplicate);
        for _ in 0..copies {
            if self.outage || self.rng.below(1000) < link.loss {
                continue;
            }
            let mut at = self.now;
            if let Some(rate) = std::num::NonZeroU64::new(link.rate) {
                let bits = (packet.len() as u64 + 60) * 8;
                self.free[from] =
                    self.free[from].max(self.now) + Duration::from_nanos(bits * 1_000_000_000 / rate);
                at = self.free[from];
            }
            let jitter = Duration::from_micros(self.rng.below(link.jitter.as_micros() as u32).into());
            self.count += 1;
            self.wire[1 - from].insert((at + link.delay + jitter, self.count), packet.clone());
        }
    }

    /// One step in time. `false` if nothing is going to happen before `until`.
    pub(crate) fn step(&mut self, until: Instant) -> bool {
        self.drain();
        let timers = self.ends.iter().filter_map(Association::poll_timeout);
        let packets = self.wire.iter().filter_map(|wire| wire.first_key_value().map(|((at, _), _)| *at));
        let Some(next) = timers.chain(packets).min().filter(|next| *next <= until) else {
            self.now = until;
            return false;
        };
        assert!(
            next > self.now
                || self.wire.iter().any(|w| w.first_key_value().is_some_and(|((at, _), _)| *at <= self.now)),
            "a busy loop"
        );
        self.now = self.now.max(next);
        for to in 0..2 {
            while let Some(entry) = self.wire[to].first_entry().filter(|entry| entry.key().0 <= self.now) {
                let packet = entry.remove();
                let _ = self.ends[to].handle_packet(self.now, &packet);
            }
            self.ends[to].handle_timeout(self.now);
        }
        true
    }

    /// Runs until `done` or for `limit`; says whether `done` held.
    pub(crate) fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let until = self.now + limit;
        loop {
            self.drain();
            if done(self) {
                return true;
            }
            if !self.step(until) {
                return done(self);
            }
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run(time, |_| false);
    }

    pub(crate) fn send(&mut self, from: usize, stream: u16, bytes: impl Into<Bytes>) {
        let mut bytes = bytes.into();
        self.ends[from].send(self.now, StreamId(stream), Ppid(53), &mut bytes, true).unwrap();
    }

    /// Whole messages that lie ready.
    pub(crate) fn receive(&mut self, to: usize, stream: u16) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        let mut message = Vec::new();
        while let Some(chunk) = self.ends[to].recv(self.now, StreamId(stream)) {
            message.extend_from_slice(&chunk.data);
            if chunk.abandoned {
                message.clear();
            } else if chunk.end {
                messages.push(std::mem::take(&mut message));
            }
        }
        assert!(message.is_empty(), "part of a message: use recv");
        messages
    }
}
