//! Figure 29 of the threat list: channels that are opened and closed, a million times.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test fails"
)]

use std::time::Duration;

use datachannel::{Channels, Config, Event, Init, Outgoing, Role};
use proto::{Instant, Writer};

struct Ends {
    now: Instant,
    ends: [Channels; 2],
    opened: u64,
    closed: [u64; 2],
    messages: u64,
}

impl Ends {
    fn new() -> Self {
        let now = testkit::epoch();
        let mut ends = [[1; 32], [2; 32]].map(|seed| Channels::new(now, Config::default(), seed));
        ends[0].set_role(now, Role::Client);
        ends[1].set_role(now, Role::Server);
        Self { now, ends, opened: 0, closed: [0; 2], messages: 0 }
    }

    fn exchange(&mut self, memory: &mut [u8]) {
        self.now += Duration::from_millis(1);
        for from in [0, 1, 0, 1, 0, 1] {
            let mut out = Writer::new(memory);
            while self.ends[from].poll_packet(self.now, &mut out) {
                self.ends[1 - from].handle_packet(self.now, out.written()).unwrap();
                out.truncate(0);
            }
            for at in 0..2 {
                while let Some(event) = self.ends[at].poll_event() {
                    match event {
                        Event::Readable(id) => {
                            while let Some(part) = self.ends[at].recv(self.now, id) {
                                assert_eq!(part.data, b"hello"[..]);
                                self.messages += 1;
                            }
                        }
                        Event::Closed { error, .. } => {
                            assert_eq!(error, None);
                            self.closed[at] += 1;
                        }
                        _ => {}
                    }
                }
            }
        }
        self.ends.iter_mut().for_each(|end| end.handle_timeout(self.now));
    }

    /// Opens as many channels at both ends, says something on each, and closes them from either side.
    fn round(&mut self, count: usize, memory: &mut [u8]) {
        let mut ours = [Vec::new(), Vec::new()];
        for (at, ours) in ours.iter_mut().enumerate() {
            for _ in 0..count {
                let id = self.ends[at].open(self.now, Init { label: "x".into(), ..Init::default() }).unwrap();
                self.ends[at].send(self.now, id, &mut Outgoing::text("hello")).unwrap();
                self.opened += 1;
                ours.push(id);
            }
        }
        self.exchange(memory);
        for (at, ours) in ours.into_iter().enumerate() {
            for (nth, id) in ours.into_iter().enumerate() {
                let stream = self.ends[at].stream(id).unwrap();
                let by = if nth % 2 == 0 { at } else { 1 - at };
                let id = self.ends[by].channel(stream).unwrap();
                self.ends[by].close(self.now, id);
            }
        }
        for _ in 0..20 {
            self.exchange(memory);
            if self.ends.iter().all(Channels::is_empty) {
                return;
            }
        }
        panic!("not closed: {:?}", self.ends.each_ref().map(Channels::len));
    }
}

#[test]
fn a_million_channels_opened_and_closed_leave_nothing_behind() {
    let count = testkit::scaled(1_000_000);
    let mut memory = [0; 2000];
    let mut ends = Ends::new();
    for _ in 0..10 {
        ends.exchange(&mut memory);
    }
    assert!(ends.ends.iter().all(Channels::is_connected));
    let info = allocation_counter::measure(|| {
        while ends.opened < count {
            ends.round(16, &mut memory);
        }
        // Idle memory is given back.
        ends.now += Duration::from_secs(10);
        ends.ends.iter_mut().for_each(|end| end.handle_timeout(ends.now));
    });
    assert_eq!((ends.closed, ends.messages), ([ends.opened; 2], ends.opened));
    assert!(info.bytes_current < 64 << 10, "{} bytes after {} channels", info.bytes_current, ends.opened);
}
