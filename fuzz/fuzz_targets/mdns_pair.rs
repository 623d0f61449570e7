//! A querier and a responder on one link, with anything that a neighbour can say in between: any order of
//! inputs leaves both consistent, and nobody is answered more often than the limits say.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use mdns::wire::is_response;
use mdns::{Arrival, Batch, Config, Instant, Link, LocalName, Path, Querier, QueryId, Responder};

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// Asks for one of the names that were made, or for one that nobody has.
    Resolve(u8),
    Cancel(u8),
    Announce(bool),
    Withdraw(u8),
    Wait(u16),
    /// Bytes of a neighbour's, to both.
    Receive {
        bytes: &'a [u8],
        plain: bool,
    },
    /// What was sent last, changed at a place, to both.
    Spoilt {
        at: u8,
        value: u8,
        plain: bool,
    },
    /// Sends with so much room.
    Send {
        room: u8,
        deliver: bool,
    },
    RemoveLink,
    AddLink,
    Close,
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let mut world = World::new();
    for step in steps {
        world.step(step);
    }
    world.finish();
});

struct World {
    now: Instant,
    querier: Querier,
    responder: Responder,
    names: Vec<LocalName>,
    queries: Vec<QueryId>,
    last: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let now = Instant::from_nanos(1);
        let mut world = Self {
            now,
            querier: Querier::new(now, Config::default()),
            responder: Responder::new(now, Config::default(), [0; 32]),
            names: vec!["nobody.local".parse().expect("a name")],
            queries: Vec::new(),
            last: Vec::new(),
        };
        world.step(Step::AddLink);
        world
    }

    fn step(&mut self, step: Step<'_>) {
        let pick = |len: usize, at: u8| usize::from(at) % len.max(1);
        match step {
            Step::Resolve(at) => {
                let name = self.names[pick(self.names.len(), at)];
                self.queries.extend(self.querier.resolve(self.now, name));
            }
            Step::Cancel(at) => {
                if let Some(query) = self.queries.get(pick(self.queries.len(), at)) {
                    self.querier.cancel(*query);
                }
            }
            Step::Announce(v6) => {
                let address = if v6 {
                    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1].into()
                } else {
                    [192, 0, 2, 1].into()
                };
                self.names.extend(self.responder.announce(self.now, address));
            }
            Step::Withdraw(at) => {
                self.responder.withdraw(self.now, &self.names[pick(self.names.len(), at)]);
            }
            Step::Wait(millis) => self.now += Duration::from_millis(millis.into()),
            Step::Receive { bytes, plain } => self.receive(bytes, plain),
            Step::Spoilt { at, value, plain } => {
                let mut bytes = self.last.clone();
                let place = pick(bytes.len(), at);
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = value;
                }
                self.receive(&bytes, plain);
            }
            Step::Send { room, deliver } => self.send(room.into(), deliver),
            Step::RemoveLink => {
                self.querier.remove_link(link().local());
                self.responder.remove_link(link().local());
            }
            Step::AddLink => {
                self.querier.add_link(link()).expect("one link");
                self.responder.add_link(link()).expect("one link");
            }
            Step::Close => self.responder.close(self.now),
        }
    }

    fn receive(&mut self, bytes: &[u8], plain: bool) {
        let port = if plain { 4000 } else { mdns::PORT };
        let path = Path { remote: ([192, 0, 2, 2], port).into(), ..link().path() };
        let arrival = Arrival { path, ecn: None, at: self.now };
        let _ = self.querier.handle_datagram(arrival, bytes);
        let _ = self.responder.handle_datagram(arrival, bytes);
    }

    fn send(&mut self, room: usize, deliver: bool) {
        let mut memory = [0; 255];
        for turn in 0..2 {
            let mut batch = Batch::new(&mut memory[..room], 1, 1200);
            let sent = if turn == 0 {
                self.querier.poll_transmit(self.now, &mut batch)
            } else {
                self.responder.poll_transmit(self.now, &mut batch)
            };
            if sent.is_some() {
                assert_eq!(is_response(batch.bytes()), turn == 1);
                self.last = batch.bytes().to_vec();
                if deliver {
                    self.receive(&self.last.clone(), false);
                }
            }
        }
        while self.querier.poll_event().is_some() {}
    }

    fn finish(mut self) {
        self.querier.handle_timeout(self.now);
        self.responder.handle_timeout(self.now);
        let mut memory = [0; 300];
        let mut count = 0;
        while self.querier.poll_transmit(self.now, &mut Batch::new(&mut memory, 1, 1200)).is_some() {
            count += 1;
        }
        assert!(count <= 64, "each name is asked for once");
        count = 0;
        while self.responder.poll_transmit(self.now, &mut Batch::new(&mut memory, 1, 1200)).is_some() {
            count += 1;
        }
        assert!(count <= 64 + 64 + 16, "each name is told once, or revoked, and few are told alone");
        for due in [self.querier.poll_timeout(), self.responder.poll_timeout()] {
            assert!(due.is_none_or(|due| due > self.now));
        }
    }
}

fn link() -> Link {
    Link::new(([192, 0, 2, 1], mdns::PORT).into())
        .with_network([192, 0, 2, 1].into(), 24)
        .with_network([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1].into(), 64)
}
