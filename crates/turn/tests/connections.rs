//! The client's TCP allocations (RFC 6062), against our own server in virtual time, and against servers that lie.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test fails"
)]

#[expect(dead_code, reason = "the server's tests use the rest")]
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use stun::Credentials;
use stun::wire::{Attribute, Class, Encoder, Message, Method, TransactionId};
use support::{Bench, LISTENER, PEER, config};
use turn::client::{self, CommandError, DataConnection, DataEvent, Discard, Event, Failure, SendError};
use turn::server::Event as Wish;
use turn::wire::ConnectionId;
use turn::{Arrival, Batch, Carrier, Client, Path, Transmit, Writer};

struct World {
    bench: Bench,
    client: Client,
}

/// To the server from one of our ports.
fn path(port: u16) -> Path {
    Path {
        carrier: Carrier::Stream,
        local: ([198, 51, 100, 7], port).into(),
        remote: LISTENER.parse().unwrap(),
    }
}

fn reversed(path: Path) -> Path {
    Path { carrier: path.carrier, local: path.remote, remote: path.local }
}

fn poll(poll: impl FnOnce(&mut Batch<'_>) -> Option<Transmit>) -> Option<Vec<u8>> {
    let mut memory = [0; 1500];
    let mut batch = Batch::new(&mut memory, 1, 1500);
    poll(&mut batch)?;
    Some(batch.bytes().to_vec())
}

fn peer() -> SocketAddr {
    PEER.parse().unwrap()
}

impl World {
    fn new(change: impl FnOnce(&mut turn::server::Config, &mut client::Config)) -> Self {
        let mut server = config();
        server.tcp_relays = true;
        let mut ours = client::Config::new(crypto::default_provider());
        ours.tcp = true;
        change(&mut server, &mut ours);
        let credentials = Credentials::new("alice", "wonderland").unwrap();
        let client = Client::new(ours, credentials, path(4000), [3; 32]);
        let mut world = Self { bench: Bench::new(server), client };
        world.client.allocate(world.bench.now);
        world.settle();
        world
    }

    /// Everything that is said is heard.
    fn settle(&mut self) {
        let now = self.bench.now;
        loop {
            let asked = poll(|batch| self.client.poll_transmit(now, batch));
            if let Some(bytes) = &asked {
                let _ = self.bench.receive(reversed(path(4000)), bytes);
            }
            let answer = self.bench.poll();
            if let Some(answer) = &answer {
                assert_eq!(answer.path, reversed(path(4000)));
                let arrival = Arrival { path: path(4000), ecn: None, at: now };
                let _ = self.client.handle_datagram(arrival, &mut answer.bytes.clone());
            }
            if asked.is_none() && answer.is_none() {
                return;
            }
        }
    }

    fn sleep(&mut self, duration: Duration) {
        self.bench.sleep(duration);
        self.client.handle_timeout(self.bench.now);
        self.settle();
    }

    /// The server is told whether it has connected.
    fn opened(&mut self, is_open: bool) {
        for wish in std::mem::take(&mut self.bench.wishes) {
            let Wish::Connect { connection, .. } = wish else { continue };
            if is_open {
                self.bench.server.peer_connected(self.bench.now, connection);
            } else {
                self.bench.server.peer_failed(self.bench.now, connection);
            }
        }
        self.settle();
    }

    fn connected(&mut self, to: SocketAddr) -> ConnectionId {
        self.client.connect(self.bench.now, to).unwrap();
        self.settle();
        self.opened(true);
        let Some(Event::Connected { connection, peer }) = self.events().pop() else { panic!() };
        assert_eq!(peer, to);
        connection
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }

    /// What becomes of a connection of ours that comes for the peer's.
    fn bind(&mut self, connection: ConnectionId, port: u16) -> (DataConnection, Option<DataEvent>, usize) {
        let now = self.bench.now;
        let mut data = self.client.bind_connection(now, connection, path(port)).unwrap();
        let mut asked = 0;
        while let Some(bytes) = poll(|batch| data.poll_transmit(now, batch)) {
            asked += 1;
            let answer = self.bench.ask(reversed(path(port)), &bytes).unwrap();
            data.handle_datagram(Arrival { path: path(port), ecn: None, at: now }, &answer.bytes).unwrap();
        }
        let event = data.poll_event();
        (data, event, asked)
    }
}

#[test]
fn a_client_connects_and_is_connected_to() {
    let mut world = World::new(|_, _| {});
    assert!(matches!(world.events()[..], [Event::Allocated { .. }]));
    let id = world.connected(peer());
    let (data, event, asked) = world.bind(id, 5000);
    assert_eq!((event, asked, data.poll_timeout()), (Some(DataEvent::Bound), 1, None), "at once");
    assert_eq!(world.bind(id, 5001).1, Some(DataEvent::Failed(Failure::Rejected(400))), "once");
    // A peer that comes.
    world.client.permit(world.bench.now, [8, 8, 8, 8].into()).unwrap();
    world.settle();
    assert_eq!(world.events(), [Event::Permitted([8, 8, 8, 8].into())]);
    let (relay, from) = (world.client.relayed().next().unwrap(), ([8, 8, 8, 8], 9).into());
    let id = world.bench.server.peer_arrived(world.bench.now, relay, from).unwrap();
    world.settle();
    assert_eq!(world.events(), [Event::Attempted { connection: id, peer: from }]);
    assert_eq!(world.bind(id, 5002).1, Some(DataEvent::Bound));
    assert_eq!(world.bench.server.stats().joined, 2);
    world.client.release(world.bench.now);
    world.settle();
    assert_eq!((world.events(), world.bench.server.stats().connections), (vec![Event::Released], 0));
}

#[test]
fn what_does_not_come_about_is_said() {
    let mut world = World::new(|_, _| {});
    world.events();
    let now = world.bench.now;
    world.client.connect(now, peer()).unwrap();
    world.settle();
    world.opened(false);
    assert_eq!(world.events(), [Event::NotConnected(peer(), Some(447))]);
    let forbidden = ([127, 0, 0, 1], 80).into();
    world.client.connect(now, forbidden).unwrap();
    world.settle();
    assert_eq!(world.events(), [Event::NotConnected(forbidden, Some(403))]);
    // The server has thirty seconds for it, and says so before the client gives up.
    world.client.connect(now, peer()).unwrap();
    world.settle();
    world.sleep(Duration::from_secs(30));
    assert_eq!(world.events(), [Event::NotConnected(peer(), Some(447))]);
    // Datagrams there are none.
    assert_eq!(world.client.bind_channel(now, peer()), Err(CommandError::WrongTransport));
    let mut memory = [0; 100];
    let mut batch = Batch::new(&mut memory, 1, 100);
    let sent = world.client.send_with(peer(), &mut batch, |out| out.put(b"x").map_err(SendError::from));
    assert_eq!(sent, Err(SendError::NoAllocation));
    // Nobody answers any more.
    let id = world.connected(peer());
    let mut data = world.client.bind_connection(world.bench.now, id, path(5000)).unwrap();
    assert!(poll(|batch| data.poll_transmit(world.bench.now, batch)).is_some());
    let due = data.poll_timeout().unwrap();
    data.handle_timeout(due);
    assert_eq!(data.poll_event(), Some(DataEvent::Failed(Failure::TimedOut)));
    assert_eq!((data.poll_timeout(), data.poll_event()), (None, None));
    let mut data = world.client.bind_connection(world.bench.now, id, path(5000)).unwrap();
    data.connection_lost(world.bench.now);
    assert_eq!(data.poll_event(), Some(DataEvent::Failed(Failure::Disconnected)));
    // Nor is there an allocation when the connection to the server is over.
    world.client.connection_lost(world.bench.now);
    assert_eq!(world.events(), [Event::Failed(Failure::Disconnected)]);
    assert_eq!(world.client.connect(world.bench.now, peer()), Err(CommandError::Closed));
}

#[test]
fn what_is_of_the_other_kind_is_refused() {
    let mut world = World::new(|server, _| server.tcp_relays = false);
    assert_eq!(world.events(), [Event::Failed(Failure::Rejected(442))]);
    let mut world = World::new(|_, ours| ours.tcp = false);
    let now = world.bench.now;
    assert_eq!(world.client.connect(now, peer()), Err(CommandError::WrongTransport));
    let id = ConnectionId::new(1);
    let bound = world.client.bind_connection(now, id, path(5000)).map(|_| ());
    assert_eq!(bound, Err(CommandError::WrongTransport));
    let credentials = Credentials::new("alice", "wonderland").unwrap();
    let mut ours = client::Config::new(crypto::default_provider());
    ours.tcp = true;
    let mut early = Client::new(ours, credentials, path(4000), [3; 32]);
    assert_eq!(early.connect(now, peer()), Err(CommandError::NoAllocation));
    let over_udp = Path { carrier: Carrier::Udp, ..path(5000) };
    assert!(early.bind_connection(now, id, over_udp).is_err());
}

/// As many as may be, and one more.
#[test]
fn connections_that_nobody_has_heard_of_have_their_limit() {
    let mut world = World::new(|_, ours| ours.max_connections = 3);
    world.events();
    let now = world.bench.now;
    for port in 1..=3 {
        world.client.connect(now, ([8, 8, 4, 4], port).into()).unwrap();
    }
    assert_eq!(world.client.connect(now, ([8, 8, 4, 4], 4).into()), Err(CommandError::Full));
    world.settle();
    world.opened(true);
    assert_eq!(world.client.connect(now, ([8, 8, 4, 4], 4).into()), Err(CommandError::Full));
    world.client.permit(now, [8, 8, 4, 4].into()).unwrap();
    world.settle();
    let attempt = attempt(([8, 8, 4, 4], 9).into(), Some(7));
    let arrive = |world: &mut World| {
        let arrival = Arrival { path: path(4000), ecn: None, at: now };
        world.client.handle_datagram(arrival, &mut attempt.clone()).map(|_| ())
    };
    assert_eq!(arrive(&mut world), Err(Discard::Full));
    assert_eq!(world.events().len(), 4);
    assert_eq!(arrive(&mut world), Ok(()));
    assert_eq!(world.events().len(), 1);
}

/// A ConnectionAttempt indication.
fn attempt(from: SocketAddr, number: Option<u32>) -> Vec<u8> {
    let mut memory = [0; 200];
    let mut out = Writer::new(&mut memory);
    let id = TransactionId([9; 12]);
    let mut message = Encoder::new(&mut out, Class::Indication, Method::CONNECTION_ATTEMPT, id).unwrap();
    message.attribute(Attribute::XorPeerAddress(from)).unwrap();
    if let Some(number) = number {
        message.attribute(Attribute::ConnectionId(number)).unwrap();
    }
    message.finish_without_fingerprint(None).unwrap();
    out.written().to_vec()
}

/// THREATS T12.
#[test]
fn a_server_that_lies_of_connections_is_not_believed() {
    let mut world = World::new(|_, _| {});
    world.events();
    let now = world.bench.now;
    let says = |world: &mut World, mut bytes: Vec<u8>| {
        let arrival = Arrival { path: path(4000), ecn: None, at: now };
        world.client.handle_datagram(arrival, &mut bytes).map(|_| ())
    };
    // Of somebody who has no permission, or without a number.
    assert_eq!(says(&mut world, attempt(peer(), Some(1))), Err(Discard::NoPermission));
    assert_eq!(says(&mut world, attempt(peer(), None)), Err(Discard::Incomplete));
    // Answers to what was not asked, and with a wrong signature.
    world.client.connect(now, peer()).unwrap();
    let asked = poll(|batch| world.client.poll_transmit(now, batch)).unwrap();
    let transaction = Message::decode(&asked).unwrap().transaction();
    let answer = |method, transaction| {
        let mut memory = [0; 200];
        let mut out = Writer::new(&mut memory);
        let mut message = Encoder::new(&mut out, Class::Success, method, transaction).unwrap();
        message.attribute(Attribute::ConnectionId(5)).unwrap();
        message.finish_without_fingerprint(None).unwrap();
        out.written().to_vec()
    };
    assert_eq!(says(&mut world, answer(Method::CONNECT, transaction)), Err(Discard::Forged));
    let other = answer(Method::CONNECTION_BIND, transaction);
    assert_eq!(says(&mut world, other.clone()), Err(Discard::UnknownTransaction));
    assert!(world.events().is_empty());
    // Nor is a connection of ours bound by one.
    let mut data = world.client.bind_connection(now, ConnectionId::new(5), path(5000)).unwrap();
    let asked = poll(|batch| data.poll_transmit(now, batch)).unwrap();
    let transaction = Message::decode(&asked).unwrap().transaction();
    let arrival = Arrival { path: path(5000), ecn: None, at: now };
    let forged = answer(Method::CONNECTION_BIND, transaction);
    assert_eq!(data.handle_datagram(arrival, &forged), Err(Discard::Forged));
    assert_eq!(data.handle_datagram(arrival, &other), Err(Discard::UnknownTransaction));
    assert_eq!(data.handle_datagram(arrival, &[0; 3]), Err(Discard::Malformed));
    let elsewhere = Arrival { path: path(5001), ecn: None, at: now };
    assert_eq!(data.handle_datagram(elsewhere, &forged), Err(Discard::WrongPath));
    assert_eq!(data.poll_event(), None);
}
