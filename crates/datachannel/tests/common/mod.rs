//! Two ends of channels in virtual time, and one whose peer is played by hand.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

pub(crate) mod victim;

use std::collections::VecDeque;
use std::time::Duration;

use datachannel::{ChannelId, Channels, Config, Event, Init, Kind, Outgoing, Role};
use proto::{Instant, Writer};

/// Both ends, and a link of 10 ms between them.
pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) ends: [Channels; 2],
    pub(crate) events: [Vec<Event>; 2],
    pub(crate) wire: VecDeque<(Instant, usize, Vec<u8>)>,
    /// Says whether the nth packet gets through.
    pub(crate) link: Box<dyn FnMut(u64) -> bool>,
    pub(crate) count: u64,
    /// Changes packets on their way: (from, packet).
    pub(crate) change: Option<Change>,
}

pub(crate) type Change = Box<dyn FnMut(usize, &mut Vec<u8>)>;

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let now = testkit::epoch();
        let mut ends = [[1; 32], [2; 32]].map(|seed| Channels::new(now, config.clone(), seed));
        ends[0].set_role(now, Role::Client);
        ends[1].set_role(now, Role::Server);
        Self {
            now,
            ends,
            events: [Vec::new(), Vec::new()],
            wire: VecDeque::new(),
            link: Box::new(|_| true),
            count: 0,
            change: None,
        }
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            for from in 0..2 {
                let mut memory = [0; 2000];
                let mut out = Writer::new(&mut memory);
                while self.ends[from].poll_packet(self.now, &mut out) {
                    self.count += 1;
                    if (self.link)(self.count) {
                        let mut packet = out.written().to_vec();
                        if let Some(change) = &mut self.change {
                            change(from, &mut packet);
                        }
                        self.wire.push_back((self.now + Duration::from_millis(10), 1 - from, packet));
                    }
                    out.truncate(0);
                }
                while let Some(event) = self.ends[from].poll_event() {
                    self.events[from].push(event);
                }
            }
            let timers = self.ends.iter().filter_map(Channels::poll_timeout);
            let Some(next) =
                timers.chain(self.wire.front().map(|(at, ..)| *at)).min().filter(|at| *at <= until)
            else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            while self.wire.front().is_some_and(|(at, ..)| *at <= self.now) {
                let (_, to, packet) = self.wire.pop_front().unwrap();
                let _ = self.ends[to].handle_packet(self.now, &packet);
            }
            self.ends.iter_mut().for_each(|end| end.handle_timeout(self.now));
        }
    }

    pub(crate) fn seconds(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    pub(crate) fn open(&mut self, from: usize, init: Init) -> (ChannelId, ChannelId) {
        let ours = self.ends[from].open(self.now, init).unwrap();
        self.seconds(2);
        let theirs = self.incoming(1 - from).expect("the peer sees the channel");
        assert!(self.take(from, Event::Open(ours)));
        (ours, theirs)
    }

    pub(crate) fn incoming(&mut self, at: usize) -> Option<ChannelId> {
        let found = self.events[at].iter().position(|event| matches!(event, Event::Incoming(_)))?;
        let Event::Incoming(id) = self.events[at].remove(found) else { unreachable!() };
        Some(id)
    }

    pub(crate) fn take(&mut self, at: usize, event: Event) -> bool {
        let found = self.events[at].iter().position(|seen| *seen == event);
        found.map(|found| self.events[at].remove(found)).is_some()
    }

    pub(crate) fn send(&mut self, from: usize, channel: ChannelId, mut message: Outgoing) {
        self.ends[from].send(self.now, channel, &mut message).unwrap();
    }

    pub(crate) fn messages(&mut self, at: usize, channel: ChannelId) -> Vec<(Kind, Vec<u8>)> {
        let (mut messages, mut message) = (Vec::new(), Vec::new());
        while let Some(part) = self.ends[at].recv(self.now, channel) {
            message.extend_from_slice(&part.data);
            if part.end {
                messages.push((part.kind, std::mem::take(&mut message)));
            }
        }
        messages
    }
}

pub(crate) fn named(label: &str) -> Init {
    Init { label: label.into(), ..Init::default() }
}
