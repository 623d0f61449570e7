//! A server whose clients have names and passwords, in any order of requests, data and time: it relays nothing
//! without a permission, keeps within its limits, and has nothing left when everything has ended.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use proto::{Arrival, Batch, Carrier, Instant, Path, Writer};
use stun::wire::{Attribute, Class, Encoder, Message, Method, TransactionId};
use stun::{Credentials, LongTerm};
use turn::server::{Config, Direction, Event, Received, RelayAddress, Server};
use turn::wire::ConnectionId;
use turn::{Users, wire::ChannelData};

#[derive(Arbitrary, Debug)]
enum Step {
    /// A signed request of a client, with attributes of any type and content.
    Request {
        client: u8,
        method: u8,
        attributes: Vec<(u16, Vec<u8>)>,
    },
    /// The requests that lead somewhere.
    Allocate {
        client: u8,
        pair: bool,
        both: bool,
    },
    Permit {
        client: u8,
        peer: u8,
    },
    Bind {
        client: u8,
        number: u16,
        peer: u8,
    },
    Refresh {
        client: u8,
        lifetime: u16,
    },
    Send {
        client: u8,
        peer: u8,
        data: Vec<u8>,
    },
    Channel {
        client: u8,
        number: u16,
        data: Vec<u8>,
    },
    Peer {
        relay: u8,
        peer: u8,
        data: Vec<u8>,
    },
    Bytes {
        client: u8,
        bytes: Vec<u8>,
    },
    Failed {
        relay: u8,
    },
    /// TCP allocations (RFC 6062): client 3 comes over TCP, as do those that come for connections.
    AllocateTcp,
    Connect {
        peer: u8,
    },
    /// The socket of a connection that is wanted is open, or cannot be.
    Opened {
        which: u8,
        is_open: bool,
    },
    Arrive {
        relay: u8,
        peer: u8,
    },
    /// A connection of number `port` comes for one of the server's, perhaps with other bits in its number.
    Join {
        port: u8,
        which: u8,
        change: u32,
    },
    Carry {
        which: u8,
        to_peer: bool,
        len: u16,
    },
    PeerGone {
        which: u8,
    },
    DataGone {
        port: u8,
    },
    Sleep {
        seconds: u8,
    },
    Gone {
        client: u8,
    },
    /// A client shows the latest ticket, perhaps with another byte in it, as if it were its own.
    Move {
        client: u8,
        change: Option<(u8, u8)>,
    },
}

struct Side {
    path: Path,
    login: LongTerm,
}

struct World {
    server: Server,
    sides: Vec<Side>,
    sockets: BTreeSet<SocketAddr>,
    now: Instant,
    count: u32,
    ticket: Vec<u8>,
    listeners: BTreeSet<SocketAddr>,
    /// Connections of the server's that are not over, and to which connection of a client each is joined.
    connections: BTreeMap<ConnectionId, Option<Path>>,
}

fuzz_target!(|steps: Vec<Step>| {
    let mut world = World::new();
    for step in steps.into_iter().take(200) {
        world.take(step);
        world.drain();
        assert!(world.server.stats().allocations <= 3);
        assert_eq!(world.server.stats().connections, world.connections.len());
        assert!(world.connections.len() <= 4);
    }
    world.now = world.now + Duration::from_secs(4000);
    world.drain();
    let stats = world.server.stats();
    assert_eq!((stats.allocations, stats.free_ports, world.sockets.len()), (0, 16, 0));
    assert_eq!((stats.connections, world.connections.len(), world.listeners.len()), (0, 0, 0));
});

impl World {
    fn new() -> Self {
        let provider = testkit::null_provider();
        let mut config = Config::new(provider);
        config.listeners.push(([192, 0, 2, 1], 3478).into());
        for local in [[192, 0, 2, 1].into(), "2001:db8::1".parse().expect("an address")] {
            config.relays.push(RelayAddress { local, external: local });
        }
        (config.ports, config.max_allocations) = (50_000..=50_007, 3);
        (config.max_permissions, config.max_channels) = (4, 3);
        (config.tcp_relays, config.max_connections_per_allocation) = (true, 3);
        (config.max_connections, config.max_connections_per_user) = (4, 4);
        let mut users = Users::default();
        users.add(provider, &config.realm, "alice", "wonderland").expect("a name");
        let side = |n: u8| Side {
            path: Path {
                carrier: if n == 3 { Carrier::Stream } else { Carrier::Udp },
                local: ([192, 0, 2, 1], 3478).into(),
                remote: ([198, 51, 100, n], 4000).into(),
            },
            login: LongTerm::new(provider, Credentials::new("alice", "wonderland").expect("a name")),
        };
        let now = testkit::epoch();
        let server = Server::new(now, config, users, [1; 32]);
        Self {
            server,
            sides: (0..4).map(side).collect(),
            sockets: BTreeSet::new(),
            now,
            count: 0,
            ticket: Vec::new(),
            listeners: BTreeSet::new(),
            connections: BTreeMap::new(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Request { client, method, attributes } => {
                let method = Method::new(u16::from(method % 16)).expect("less than 4096");
                let unknown =
                    |(kind, value): &(u16, Vec<u8>)| (*kind, value[..value.len().min(100)].to_vec());
                let attributes: Vec<_> = attributes.iter().take(8).map(unknown).collect();
                let attributes: Vec<_> = attributes
                    .iter()
                    .map(|(kind, value)| Attribute::Unknown { kind: *kind, value })
                    .collect();
                self.request(client, method, &attributes);
            }
            Step::Allocate { client, pair, both } => {
                let mut attributes = vec![Attribute::RequestedTransport(17), Attribute::MobilityTicket(&[])];
                attributes.extend(pair.then_some(Attribute::EvenPort { reserve: true }));
                attributes.extend(
                    both.then_some(Attribute::AdditionalAddressFamily(stun::wire::AddressFamily::V6)),
                );
                self.request(client, Method::ALLOCATE, &attributes);
            }
            Step::Permit { client, peer } => {
                self.request(client, Method::CREATE_PERMISSION, &[Attribute::XorPeerAddress(address(peer))]);
            }
            Step::Bind { client, number, peer } => {
                let peer = Attribute::XorPeerAddress(address(peer));
                let number = Attribute::ChannelNumber(0x4000 | number % 8);
                self.request(client, Method::CHANNEL_BIND, &[number, peer]);
            }
            Step::Refresh { client, lifetime } => {
                self.request(client, Method::REFRESH, &[Attribute::Lifetime(lifetime.into())]);
            }
            Step::Send { client, peer, data } => self.send(client, peer, &data),
            Step::Channel { client, number, data } => {
                let channel = turn::wire::ChannelNumber::new(0x4000 | number % 8).expect("in range");
                let mut memory = vec![0; data.len() + 8];
                let mut out = Writer::new(&mut memory);
                ChannelData { channel, payload: &data }.encode(&mut out, true).expect("room");
                self.receive(self.side(client).path, out.written());
            }
            Step::Peer { relay, peer, data } => {
                let Some(local) = self.sockets.iter().nth(usize::from(relay) % 8).copied() else { return };
                self.receive(Path { carrier: Carrier::Udp, local, remote: address(peer) }, &data);
            }
            Step::Bytes { client, bytes } => self.receive(self.side(client).path, &bytes),
            Step::Failed { relay } => {
                let Some(local) = self.sockets.iter().nth(usize::from(relay) % 8).copied() else { return };
                // An open one does not fail any more.
                self.server.relay_failed(self.now, local);
            }
            Step::AllocateTcp => {
                self.request(3, Method::ALLOCATE, &[Attribute::RequestedTransport(6)]);
            }
            Step::Connect { peer } => {
                self.request(3, Method::CONNECT, &[Attribute::XorPeerAddress(address(peer))]);
            }
            Step::Opened { which, is_open } => {
                let Some(id) = self.connection(which) else { return };
                if is_open {
                    self.server.peer_connected(self.now, id);
                } else if self.connections.get(&id).is_some_and(Option::is_none) {
                    let before = self.server.stats().connections;
                    self.server.peer_failed(self.now, id);
                    // Only one that was not open yet.
                    if self.server.stats().connections < before {
                        self.connections.remove(&id);
                    }
                }
            }
            Step::Arrive { relay, peer } => {
                let Some(relay) = self.listeners.iter().nth(usize::from(relay) % 4).copied() else { return };
                if let Ok(id) = self.server.peer_arrived(self.now, relay, address(peer)) {
                    assert!(!address(peer).ip().is_loopback());
                    assert!(self.connections.insert(id, None).is_none());
                }
            }
            Step::Join { port, which, change } => {
                let Some(id) = self.connection(which) else { return };
                let number = id.number() ^ change;
                let path = data_path(port);
                if self.server.is_joined(path) {
                    return;
                }
                let before = self.server.stats().joined;
                self.request_along(3, path, Method::CONNECTION_BIND, &[Attribute::ConnectionId(number)]);
                let known = self.connections.contains_key(&ConnectionId::new(number));
                assert!(known || self.server.stats().joined == before, "nobody makes a number");
            }
            Step::Carry { which, to_peer, len } => {
                let Some(id) = self.connection(which) else { return };
                let direction = if to_peer { Direction::ToPeer } else { Direction::ToClient };
                let room = self.server.stream_room(self.now, id, direction, len.into());
                assert!(room == 0 || self.connections.get(&id).is_some_and(Option::is_some));
                self.server.stream_relayed(self.now, id, direction, room);
            }
            Step::PeerGone { which } => {
                let Some(id) = self.connection(which) else { return };
                self.server.peer_gone(self.now, id);
                self.connections.remove(&id);
            }
            Step::DataGone { port } => self.server.client_gone(self.now, data_path(port)),
            Step::Sleep { seconds } => self.now = self.now + Duration::from_secs(seconds.into()),
            Step::Move { client, change } => {
                let mut ticket = self.ticket.clone();
                if let Some((at, bits)) = change
                    && let Some(byte) = ticket.get_mut(usize::from(at) % 28)
                {
                    *byte ^= bits;
                }
                let was_changed = ticket != self.ticket;
                let before = self.server.stats().moved;
                self.request(client, Method::REFRESH, &[Attribute::MobilityTicket(&ticket)]);
                assert!(!was_changed || self.server.stats().moved == before, "nobody makes a ticket");
            }
            Step::Gone { client } => self.server.client_gone(self.now, self.side(client).path),
        }
    }

    fn side(&self, client: u8) -> &Side {
        &self.sides[usize::from(client) % self.sides.len()]
    }

    fn connection(&self, which: u8) -> Option<ConnectionId> {
        self.connections.keys().nth(usize::from(which) % 4).copied()
    }

    fn request(&mut self, client: u8, method: Method, attributes: &[Attribute<'_>]) {
        self.request_along(client, self.side(client).path, method, attributes);
    }

    /// With what a client knows, along another connection.
    fn request_along(&mut self, client: u8, path: Path, method: Method, attributes: &[Attribute<'_>]) {
        self.count += 1;
        let mut id = [7; 12];
        id[..4].copy_from_slice(&self.count.to_be_bytes());
        let side = self.side(client);
        let mut memory = [0; 2000];
        let mut out = Writer::new(&mut memory);
        let mut request = Encoder::new(&mut out, Class::Request, method, TransactionId(id)).expect("room");
        for attribute in attributes {
            request.attribute(*attribute).expect("room");
        }
        side.login.write(&mut request).expect("room");
        request.finish_without_fingerprint(side.login.key()).expect("room");
        self.receive(path, out.written());
    }

    fn send(&mut self, client: u8, peer: u8, data: &[u8]) {
        let mut memory = vec![0; data.len() + 100];
        let mut out = Writer::new(&mut memory);
        let mut message =
            Encoder::new(&mut out, Class::Indication, Method::SEND, TransactionId([9; 12])).expect("room");
        message.attribute(Attribute::XorPeerAddress(address(peer))).expect("room");
        message.attribute(Attribute::Data(data)).expect("room");
        message.finish_without_fingerprint(None).expect("room");
        self.receive(self.side(client).path, out.written());
    }

    fn receive(&mut self, path: Path, datagram: &[u8]) {
        let arrival = Arrival { path, ecn: None, at: self.now };
        if let Ok(Received::Relay(relay)) = self.server.handle_datagram(arrival, datagram) {
            let to_client = self.sides.iter().any(|side| side.path == relay.path);
            assert!(to_client || self.sockets.contains(&relay.path.local));
            let peer = if to_client { path.remote } else { relay.path.remote };
            assert!(!peer.ip().is_loopback(), "a special address was reached");
            let mut memory = vec![0; relay.len()];
            let mut out = Writer::new(&mut memory);
            relay.write(&mut out).expect("as long as it says");
            assert_eq!(out.len(), relay.len());
        }
    }

    fn drain(&mut self) {
        self.server.handle_timeout(self.now);
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::Open(address) => {
                    assert!(self.sockets.insert(address));
                    self.server.relay_opened(self.now, address);
                }
                Event::Close(address) => assert!(self.sockets.remove(&address)),
                Event::Listen(address) => {
                    assert!(self.listeners.insert(address));
                    self.server.relay_opened(self.now, address);
                }
                Event::Unlisten(address) => assert!(self.listeners.remove(&address)),
                Event::Connect { connection, relay, peer } => {
                    assert!(self.listeners.contains(&relay));
                    assert!(!peer.ip().is_loopback() && peer != ([192, 0, 2, 1], 3478).into());
                    assert!(self.connections.insert(connection, None).is_none());
                }
                Event::Join { connection, client } => {
                    // One that was over in the same turn is told of next.
                    self.connections.entry(connection).and_modify(|joined| *joined = Some(client));
                }
                Event::Disconnect { connection, .. } => _ = self.connections.remove(&connection),
                _ => {}
            }
        }
        let mut memory = [0; 1500];
        loop {
            let mut batch = Batch::new(&mut memory, 1, 1500);
            let Some(transmit) = self.server.poll_transmit(self.now, &mut batch) else { break };
            let message = Message::decode(batch.bytes()).expect("a server writes what can be read");
            let ticket = message.attributes().find_map(|attribute| match attribute {
                Attribute::MobilityTicket(ticket) => Some(ticket.to_vec()),
                _ => None,
            });
            self.ticket = ticket.unwrap_or_else(|| std::mem::take(&mut self.ticket));
            let Some(side) = self.sides.iter_mut().find(|side| side.path == transmit.path) else {
                assert_eq!(transmit.path.remote.ip(), self.sides[3].path.remote.ip(), "to a client");
                continue;
            };
            if message.error_code().is_some_and(|error| [401, 438].contains(&error.code)) {
                let _ = side.login.handle_challenge(&message);
            }
        }
        assert!(self.server.poll_timeout().is_none_or(|due| due > self.now));
    }
}

/// Of a connection that comes for another, from where client 3 is.
fn data_path(port: u8) -> Path {
    Path {
        carrier: Carrier::Stream,
        local: ([192, 0, 2, 1], 3478).into(),
        remote: ([198, 51, 100, 3], 5000 + u16::from(port % 4)).into(),
    }
}

/// Some that are permitted, some that never are.
fn address(peer: u8) -> SocketAddr {
    match peer % 8 {
        0..=3 => ([8, 8, 8, peer % 4], 1000 + u16::from(peer)).into(),
        4 => ([127, 0, 0, 1], 80).into(),
        5 => ([192, 0, 2, 1], 3478).into(),
        6 => "[2600::1]:9".parse().expect("an address"),
        _ => "[::ffff:127.0.0.1]:9".parse().expect("an address"),
    }
}
