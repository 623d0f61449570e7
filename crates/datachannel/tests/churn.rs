//! Channels of all kinds that come and go while messages flow, over a link that loses, doubles and reorders:
//! what arrives is what was sent, once, and in order where that was asked for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use crypto::Rng;
use datachannel::{
    ChannelId, Channels, Config, Event, Init, Outgoing, Reliability, Role, SendError, StreamId,
};
use proto::{Instant, Writer};

/// What is known of a channel outside of the machines, by its label.
#[derive(Debug)]
struct Record {
    opener: usize,
    ordered: bool,
    reliable: bool,
    /// Messages that `send` took, and the numbers of those that came, for each direction (by the sender).
    sent: [u32; 2],
    came: [Vec<u32>; 2],
    /// Who has closed it: what comes to that end after is thrown away.
    closed_by: [bool; 2],
}

struct Churn {
    seed: u8,
    now: Instant,
    rng: Rng,
    ends: [Channels; 2],
    wire: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    count: u64,
    faults: bool,
    records: BTreeMap<String, Record>,
    /// Channels as each end sees them.
    live: [BTreeMap<ChannelId, String>; 2],
    /// Streams in use at each end.
    streams: [BTreeMap<StreamId, ChannelId>; 2],
    /// A message taken in part.
    halves: [BTreeMap<ChannelId, Outgoing>; 2],
    parts: [BTreeMap<ChannelId, Vec<u8>>; 2],
}

impl Churn {
    fn new(seed: u8) -> Self {
        let now = testkit::epoch();
        let mut sctp = sctp::Config::default();
        sctp.send_buffer = 60_000;
        let mut config = Config::default();
        config.sctp = std::sync::Arc::new(sctp);
        let mut ends = [[seed; 32], [!seed; 32]].map(|seed| Channels::new(now, config.clone(), seed));
        ends[0].set_role(now, Role::Client);
        ends[1].set_role(now, Role::Server);
        Self {
            seed,
            now,
            rng: Rng::new([seed; 32]),
            ends,
            wire: BTreeMap::new(),
            count: 0,
            faults: true,
            records: BTreeMap::new(),
            live: Default::default(),
            streams: Default::default(),
            halves: Default::default(),
            parts: Default::default(),
        }
    }

    fn act(&mut self) {
        let at = self.rng.below(2) as usize;
        match self.rng.below(10) {
            0 if self.live[at].len() < 12 => self.open(at),
            1 => {
                if let Some((id, label)) = self.pick(at) {
                    self.halves[at].remove(&id);
                    self.records.get_mut(&label).unwrap().closed_by[at] = true;
                    self.ends[at].close(self.now, id);
                }
            }
            _ => self.send(at),
        }
    }

    fn pick(&mut self, at: usize) -> Option<(ChannelId, String)> {
        let len = u32::try_from(self.live[at].len()).unwrap();
        if len == 0 {
            return None;
        }
        let nth = self.rng.below(len) as usize;
        self.live[at].iter().nth(nth).map(|(id, label)| (*id, label.clone()))
    }

    fn open(&mut self, at: usize) {
        let label = format!("{at}-{}", self.records.len());
        let reliability = match self.rng.below(4) {
            0 => Reliability::MaxRetransmits(self.rng.below(2) as u16),
            1 => Reliability::MaxLifetime(Duration::from_millis(80)),
            _ => Reliability::Reliable,
        };
        let ordered = self.rng.below(2) == 0;
        let init = Init { label: label.clone(), ordered, reliability, ..Init::default() };
        let id = self.ends[at].open(self.now, init).unwrap();
        let record = Record {
            opener: at,
            ordered,
            reliable: reliability == Reliability::Reliable,
            sent: [0; 2],
            came: Default::default(),
            closed_by: [false; 2],
        };
        self.records.insert(label.clone(), record);
        self.appears(at, id, label);
    }

    /// RFC 8831 §6.4: a number is used again only when its last channel is gone in both directions.
    fn appears(&mut self, at: usize, id: ChannelId, label: String) {
        let stream = self.ends[at].stream(id).unwrap();
        let before = self.streams[at].insert(stream, id);
        assert_eq!(before, None, "seed {}: stream {stream:?} is in use at {at}", self.seed);
        self.live[at].insert(id, label);
    }

    fn send(&mut self, at: usize) {
        let Some((id, label)) = self.pick(at) else { return };
        let record = self.records.get_mut(&label).unwrap();
        let half = self.halves[at].remove(&id);
        let begun = half.is_some();
        let mut message = half.unwrap_or_else(|| {
            let mut bytes = label.clone().into_bytes();
            bytes.push(b' ');
            bytes.extend(record.sent[at].to_string().into_bytes());
            bytes.push(b' ');
            let size = if self.rng.below(8) == 0 { 20_000 } else { 1500 };
            bytes.resize(bytes.len() + self.rng.below(size) as usize, b'.');
            Outgoing::binary(bytes)
        });
        let before = message.remaining().len();
        match self.ends[at].send(self.now, id, &mut message) {
            Ok(()) => record.sent[at] += 1,
            Err(SendError::Blocked) => {
                if begun || message.remaining().len() < before {
                    self.halves[at].insert(id, message);
                }
            }
            Err(SendError::Closed | SendError::UnknownChannel) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// A message that was begun holds up all others until it is handed over whole.
    fn finish_halves(&mut self) {
        for at in 0..2 {
            for (id, mut message) in std::mem::take(&mut self.halves[at]) {
                match self.ends[at].send(self.now, id, &mut message) {
                    Ok(()) => self.records.get_mut(&self.live[at][&id]).unwrap().sent[at] += 1,
                    Err(SendError::Blocked) => _ = self.halves[at].insert(id, message),
                    Err(error) => assert_eq!(error, SendError::Closed),
                }
            }
        }
    }

    fn read(&mut self, at: usize, id: ChannelId) {
        let Some(label) = self.live[at].get(&id).cloned() else { return };
        while let Some(part) = self.ends[at].recv(self.now, id) {
            let message = self.parts[at].entry(id).or_default();
            if part.abandoned {
                message.clear();
                continue;
            }
            message.extend_from_slice(&part.data);
            if !part.end {
                continue;
            }
            let message = String::from_utf8(std::mem::take(message)).unwrap();
            let mut words = message.split(' ');
            assert_eq!(
                words.next(),
                Some(label.as_str()),
                "seed {}: a message of another channel",
                self.seed
            );
            let number: u32 = words.next().unwrap().parse().unwrap();
            assert!(words.next().unwrap().bytes().all(|byte| byte == b'.'));
            self.records.get_mut(&label).unwrap().came[1 - at].push(number);
        }
    }

    fn carry(&mut self) {
        for from in 0..2 {
            let mut memory = [0; 2000];
            let mut out = Writer::new(&mut memory);
            while self.ends[from].poll_packet(self.now, &mut out) {
                let copies = match self.rng.below(20) {
                    0 | 1 if self.faults => 0,
                    2 if self.faults => 2,
                    _ => 1,
                };
                for _ in 0..copies {
                    let jitter = if self.faults { self.rng.below(30) } else { 0 };
                    let at = self.now + Duration::from_millis(10 + u64::from(jitter));
                    self.count += 1;
                    self.wire.insert((at, self.count), (1 - from, out.written().to_vec()));
                }
                out.truncate(0);
            }
            while let Some(event) = self.ends[from].poll_event() {
                match event {
                    Event::Incoming(id) => {
                        let label = self.ends[from].label(id).unwrap().to_owned();
                        assert_eq!(self.records[&label].opener, 1 - from);
                        self.appears(from, id, label);
                    }
                    Event::Readable(id) => self.read(from, id),
                    Event::Closed { channel, error } => {
                        assert_eq!(error, None, "seed {}", self.seed);
                        self.live[from].remove(&channel);
                        self.streams[from].retain(|_, id| *id != channel);
                        self.halves[from].remove(&channel);
                    }
                    _ => {}
                }
            }
        }
        while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (to, packet) = entry.remove();
            let _ = self.ends[to].handle_packet(self.now, &packet);
        }
        self.ends.iter_mut().for_each(|end| end.handle_timeout(self.now));
    }

    fn run(&mut self, steps: u32, act: bool) {
        for _ in 0..steps {
            if act {
                self.act();
            } else {
                self.finish_halves();
            }
            self.carry();
            for at in 0..2 {
                for id in self.live[at].keys().copied().collect::<Vec<_>>() {
                    self.read(at, id);
                }
            }
            self.now += Duration::from_millis(5);
        }
    }

    fn check(&self) {
        let seed = self.seed;
        for (label, record) in &self.records {
            for from in 0..2 {
                let came = &record.came[from];
                let context = || format!("seed {seed}, {label} from {from}: {record:?}");
                if record.ordered {
                    assert!(came.windows(2).all(|pair| pair[0] < pair[1]), "order: {}", context());
                }
                let mut sorted = came.clone();
                sorted.sort_unstable();
                sorted.dedup();
                assert_eq!(sorted.len(), came.len(), "twice: {}", context());
                assert!(sorted.iter().all(|number| *number <= record.sent[from]), "{}", context());
                // What was taken from the one who did not close arrives, unless the other closed in between.
                if record.reliable && !record.closed_by[1 - from] {
                    let wanted: Vec<u32> = (0..record.sent[from]).collect();
                    assert_eq!(sorted.get(..wanted.len()), Some(&wanted[..]), "lost: {}", context());
                } else if record.reliable && record.ordered {
                    assert!(came.iter().copied().eq(0..came.len() as u32), "a gap: {}", context());
                }
            }
        }
    }
}

#[test]
fn what_arrives_is_what_was_sent_while_channels_come_and_go() {
    let (mut channels, mut messages) = (0, 0);
    for seed in 0..100 {
        let mut churn = Churn::new(seed);
        churn.run(400, true);
        churn.faults = false;
        churn.run(1200, false);
        churn.check();
        channels += churn.records.len();
        messages += churn.records.values().map(|record| record.came.iter().flatten().count()).sum::<usize>();

        // All are closed, and nothing is left of them.
        for at in 0..2 {
            for id in churn.live[at].keys().copied().collect::<Vec<_>>() {
                churn.ends[at].close(churn.now, id);
            }
        }
        churn.run(1200, false);
        assert!(churn.ends.iter().all(Channels::is_empty), "seed {seed}: {:?}", churn.live);
        assert!(churn.streams.iter().all(BTreeMap::is_empty), "seed {seed}");
    }
    assert!(channels > 1000 && messages > 5_000, "{channels} channels, {messages} messages");
}
