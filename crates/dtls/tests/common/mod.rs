//! Two ends and a link between them, on virtual time.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test fails; each test uses a part of this; real peers live in real time"
)]

pub mod bytes;
pub mod host;
pub mod real;
pub mod spy;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crypto::Provider;
use dtls::{Config, Connection, Discard, Event, Identity};
use proto::{Instant, Writer};

/// A configuration with an identity of its own.
pub fn config(provider: &'static dyn Provider, seed: u8) -> Config {
    let identity = Identity::generate(provider, 1_790_000_000, [seed; 32]).unwrap();
    Config::new(provider, Arc::new(identity))
}

/// The whole state of a connection as text, but for what it counts.
pub fn state(connection: &Connection) -> String {
    let text = format!("{connection:?}");
    let (before, rest) = text.split_once("stats: Stats {").unwrap();
    let (_, after) = rest.split_once('}').unwrap();
    format!("{before}{after}")
}

/// What the link does to the `n`th datagram: when, after its sending, copies of it arrive.
pub type Link = Box<dyn FnMut(usize, &mut Vec<u8>) -> Vec<Duration>>;

/// A link that takes 10 ms.
pub fn clean() -> Link {
    Box::new(|_, _| vec![Duration::from_millis(10)])
}

pub struct End {
    pub connection: Connection,
    pub events: Vec<Event>,
    pub received: Vec<Vec<u8>>,
    pub discards: Vec<Discard>,
    /// Whether the peer is accepted as soon as it is known.
    pub accepts: bool,
}

impl End {
    pub fn new(connection: Connection) -> Self {
        Self { connection, events: Vec::new(), received: Vec::new(), discards: Vec::new(), accepts: true }
    }

    pub fn receive(&mut self, now: Instant, datagram: &mut [u8]) {
        let mut records = self.connection.handle_datagram(now, datagram);
        while let Some(record) = records.next_record() {
            match record {
                Ok(data) => self.received.push(data.to_vec()),
                Err(discard) => self.discards.push(discard),
            }
        }
        drop(records);
        self.drain_events(now);
    }

    pub fn drain_events(&mut self, now: Instant) {
        while let Some(event) = self.connection.poll_event() {
            if event == Event::PeerCertificate && self.accepts {
                self.connection.accept_peer(now);
            }
            self.events.push(event);
        }
    }

    /// All datagrams that are due.
    pub fn datagrams(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        loop {
            let mut memory = vec![0; 2000];
            let mut out = Writer::new(&mut memory);
            if !self.connection.poll_packet(now, &mut out) {
                return datagrams;
            }
            let len = out.len();
            memory.truncate(len);
            datagrams.push(memory);
        }
    }

    /// One datagram with `data`.
    pub fn seal(&mut self, data: &[u8]) -> Vec<u8> {
        let mut memory = vec![0; 20_000];
        let mut out = Writer::new(&mut memory);
        let mut record = self.connection.begin_record(&mut out).unwrap();
        record.plaintext().put(data).unwrap();
        record.seal();
        let len = out.len();
        memory.truncate(len);
        memory
    }
}

pub struct Pair {
    pub now: Instant,
    pub client: End,
    pub server: End,
    pub to_client: Link,
    pub to_server: Link,
    /// What was sent: when, by the client or not, the datagram.
    pub trace: Vec<(Instant, bool, Vec<u8>)>,
    sent: [usize; 2],
    in_flight: BTreeMap<(Instant, usize), (bool, Vec<u8>)>,
    order: usize,
}

impl Pair {
    pub fn new(client: Config, server: Config) -> Self {
        Self::seeded(client, server, 1)
    }

    pub fn seeded(client: Config, server: Config, seed: u8) -> Self {
        let now = testkit::epoch();
        let client = Connection::client(now, Arc::new(client), [seed; 32]);
        let server = Connection::server(now, Arc::new(server), [seed ^ 0xff; 32]);
        Self {
            now,
            client: End::new(client),
            server: End::new(server),
            to_client: clean(),
            to_server: clean(),
            trace: Vec::new(),
            sent: [0; 2],
            in_flight: BTreeMap::new(),
            order: 0,
        }
    }

    pub fn send(&mut self, by_client: bool, datagram: Vec<u8>) {
        self.trace.push((self.now, by_client, datagram.clone()));
        let link = if by_client { &mut self.to_server } else { &mut self.to_client };
        let n = &mut self.sent[usize::from(by_client)];
        let mut altered = datagram;
        for delay in link(*n, &mut altered) {
            self.order += 1;
            self.in_flight.insert((self.now + delay, self.order), (by_client, altered.clone()));
        }
        *n += 1;
    }

    pub fn end(&mut self, is_client: bool) -> &mut End {
        if is_client { &mut self.client } else { &mut self.server }
    }

    pub fn flush(&mut self) {
        for by_client in [true, false] {
            let end = if by_client { &mut self.client } else { &mut self.server };
            end.drain_events(self.now);
            for datagram in end.datagrams(self.now) {
                self.send(by_client, datagram);
            }
        }
    }

    /// Runs until `done`, or until nothing is left to happen within `limit`; says whether it was done.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            self.flush();
            if done(self) {
                return true;
            }
            let arrival = self.in_flight.keys().next().map(|(at, _)| *at);
            let next =
                [arrival, self.client.connection.poll_timeout(), self.server.connection.poll_timeout()];
            match next.into_iter().flatten().min() {
                Some(at) if at <= end => self.now = self.now.max(at),
                _ => return false,
            }
            while let Some(entry) = self.in_flight.first_entry()
                && entry.key().0 <= self.now
            {
                let (by_client, mut datagram) = entry.remove();
                let end = if by_client { &mut self.server } else { &mut self.client };
                end.receive(self.now, &mut datagram);
                self.flush();
            }
            self.client.connection.handle_timeout(self.now);
            self.server.connection.handle_timeout(self.now);
            self.flush();
            for end in [&self.client, &self.server] {
                assert!(end.connection.poll_timeout().is_none_or(|due| due > self.now), "a busy loop");
            }
        }
    }

    pub fn connect(&mut self, limit: Duration) -> bool {
        self.run_until(limit, |pair| {
            pair.client.connection.is_connected() && pair.server.connection.is_connected()
        })
    }

    pub fn connected(client: Config, server: Config) -> Self {
        let mut pair = Self::new(client, server);
        assert!(
            pair.connect(Duration::from_secs(5)),
            "{:?} {:?}",
            pair.client.discards,
            pair.server.discards
        );
        pair.flush();
        pair
    }
}
