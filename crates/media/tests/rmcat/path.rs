//! A bottleneck, and a sender of TCP behind it.

use std::collections::{BTreeMap, VecDeque};

use crypto::Rng;

/// What is on its way, with bytes of headers.
pub struct Item {
    pub flow: usize,
    pub kind: Kind,
    pub len: usize,
    /// Milliseconds at which it was put in.
    pub since: u64,
    /// After the bottleneck.
    pub delay: u64,
    pub is_marked: bool,
}

pub enum Kind {
    Media(Vec<u8>),
    Tcp(u64),
}

/// One direction: a tail-drop queue of 300 ms, then a delay of each flow's own, and jitter that reorders nothing.
pub struct Path {
    /// bit/s.
    pub capacity: u64,
    /// Milliseconds that the queue holds.
    pub limit: u64,
    /// Above so many milliseconds of queue packets are marked.
    pub mark: Option<u64>,
    /// Thousandths that are lost at random behind the queue.
    pub loss: u32,
    pub jitter: bool,
    rng: Rng,
    queue: VecDeque<Item>,
    bytes: usize,
    credit: u64,
    under_way: BTreeMap<(u64, u64), Item>,
    last: BTreeMap<usize, u64>,
    count: u64,
}

impl Path {
    pub fn new(capacity: u64, seed: [u8; 32]) -> Self {
        Self {
            capacity,
            limit: 300,
            mark: None,
            loss: 0,
            jitter: true,
            rng: Rng::new(seed),
            queue: VecDeque::new(),
            bytes: 0,
            credit: 0,
            under_way: BTreeMap::new(),
            last: BTreeMap::new(),
            count: 0,
        }
    }

    /// Milliseconds that what is put in now waits: what has gone of a packet that is being sent does not count.
    pub fn waits(&self) -> u64 {
        (self.bytes as u64 * 8000).saturating_sub(self.credit) / self.capacity
    }

    /// Puts something in. Gives whether there was room.
    pub fn send(&mut self, mut item: Item) -> bool {
        if self.waits() >= self.limit {
            return false;
        }
        // What is no longer than one packet is no queue, however slow the link is (RFC 9332 Appendix A.1 has a least length, too).
        let is_queue = self.bytes + item.len > MTU;
        item.is_marked = is_queue && self.mark.is_some_and(|mark| self.waits() > mark);
        self.bytes += item.len;
        self.queue.push_back(item);
        true
    }

    /// A millisecond passes: gives what has come out of the queue by `leave`, and what has arrived.
    pub fn step(&mut self, now: u64, mut leave: impl FnMut(&Item)) -> Vec<Item> {
        self.credit = if self.queue.is_empty() { 0 } else { self.credit + self.capacity };
        while let Some(item) = self.queue.front() {
            let cost = item.len as u64 * 8000;
            if cost > self.credit {
                break;
            }
            self.credit -= cost;
            let item = self.queue.pop_front().unwrap();
            self.bytes -= item.len;
            leave(&item);
            if self.rng.below(1000) < self.loss {
                continue;
            }
            // RFC 8868 §4.5: a normal distribution (of twelve uniform ones) of 5 ms around 15 ms, cut at three deviations.
            let noise = (0..12).map(|_| self.rng.below(1000)).sum::<u32>();
            let jitter = if self.jitter { (f64::from(noise) / 1000.0 - 6.0) * 5.0 } else { -15.0 };
            let due = now + item.delay + (jitter + 15.0).clamp(0.0, 30.0) as u64;
            let last = self.last.entry(item.flow).or_default();
            *last = due.max(*last);
            self.count += 1;
            self.under_way.insert((*last, self.count), item);
        }
        let mut arrived = Vec::new();
        while let Some(entry) = self.under_way.first_entry()
            && entry.key().0 <= now
        {
            arrived.push(entry.remove());
        }
        arrived
    }
}

/// TCP as RFC 5681 has it, with an acknowledgement for each packet (RFC 2018 tells of each, so losses are known from later ones).
pub struct Tcp {
    window: f64,
    threshold: f64,
    next: u64,
    outstanding: BTreeMap<u64, u64>,
    /// Before this was sent the window was not cut yet.
    recovered: u64,
    last_ack: u64,
    /// Bytes that are left to send; `None` without end.
    pub left: Option<u64>,
}

impl Tcp {
    pub fn new(left: Option<u64>) -> Self {
        Self {
            window: 3.0,
            threshold: f64::MAX,
            next: 0,
            outstanding: BTreeMap::new(),
            recovered: 0,
            last_ack: 0,
            left,
        }
    }

    pub fn is_done(&self) -> bool {
        self.left == Some(0) && self.outstanding.is_empty()
    }

    /// The number of a packet that may go.
    pub fn poll(&mut self, now: u64) -> Option<u64> {
        if self.outstanding.is_empty() {
            self.last_ack = now;
        } else if now - self.last_ack > 1000 {
            // The retransmission timer.
            self.threshold = (self.window / 2.0).max(2.0);
            self.window = 1.0;
            self.outstanding.clear();
            self.last_ack = now;
        }
        if self.outstanding.len() as f64 >= self.window.floor() || self.left == Some(0) {
            return None;
        }
        self.left = self.left.map(|left| left.saturating_sub(TCP_PAYLOAD));
        self.next += 1;
        self.outstanding.insert(self.next, now);
        Some(self.next)
    }

    pub fn acknowledge(&mut self, now: u64, number: u64) {
        self.last_ack = now;
        if self.outstanding.remove(&number).is_none() {
            return;
        }
        if self.window < self.threshold {
            self.window += 1.0;
        } else {
            self.window += 1.0 / self.window;
        }
        let lost: Vec<u64> =
            self.outstanding.range(..number.saturating_sub(3)).map(|(lost, _)| *lost).collect();
        for lost in lost {
            self.outstanding.remove(&lost);
            self.left = self.left.map(|left| left + TCP_PAYLOAD);
            if lost > self.recovered {
                self.threshold = (self.window / 2.0).max(2.0);
                self.window = self.threshold;
                self.recovered = self.next;
            }
        }
    }
}

pub const TCP_PACKET: usize = MTU;
const MTU: usize = 1500;
const TCP_PAYLOAD: u64 = 1448;
