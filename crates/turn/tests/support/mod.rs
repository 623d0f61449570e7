//! A server in virtual time whose sockets always open, and somebody who asks it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use stun::wire::{Attribute, Class, Encoder, Message, Method, TransactionId};
use stun::{Credentials, LongTerm};
use turn::server::{self, Discard, Event, Received, RelayAddress, Usage};
use turn::{Arrival, Batch, Carrier, Instant, Path, Server, Users, Writer};

pub(crate) const LISTENER: &str = "192.0.2.1:3478";
pub(crate) const RELAY: &str = "192.0.2.1";
pub(crate) const PEER: &str = "8.8.4.4:5000";

pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) now: Instant,
    /// Sockets that the server has now.
    pub(crate) sockets: BTreeSet<SocketAddr>,
    /// Listeners for TCP connections of peers that the server has now.
    pub(crate) listeners: BTreeSet<SocketAddr>,
    /// What it wants of connections, until a test looks.
    pub(crate) wishes: Vec<Event>,
    /// What it says of allocations, and whether they are over.
    pub(crate) usages: Vec<(Usage, bool)>,
}

/// An answer, and what it was an answer to.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) path: Path,
}

impl Answer {
    pub(crate) fn message(&self) -> Message<'_> {
        Message::decode(&self.bytes).unwrap()
    }

    /// 0 for a success.
    pub(crate) fn code(&self) -> u16 {
        let message = self.message();
        if message.class() == Class::Success { 0 } else { message.error_code().unwrap().code }
    }

    pub(crate) fn find<T>(&self, pick: impl Fn(Attribute<'_>) -> Option<T>) -> Option<T> {
        self.message().attributes().find_map(pick)
    }

    pub(crate) fn relayed(&self) -> SocketAddr {
        let pick = |attribute: Attribute<'_>| match attribute {
            Attribute::XorRelayedAddress(address) => Some(address),
            _ => None,
        };
        self.find(pick).unwrap()
    }

    pub(crate) fn lifetime(&self) -> u32 {
        let pick = |attribute: Attribute<'_>| match attribute {
            Attribute::Lifetime(seconds) => Some(seconds),
            _ => None,
        };
        self.find(pick).unwrap()
    }
}

pub(crate) fn config() -> server::Config {
    let mut config = server::Config::new(crypto::default_provider());
    config.listeners.push(LISTENER.parse().unwrap());
    for ip in [RELAY, "2001:db8::1"] {
        let ip = ip.parse().unwrap();
        config.relays.push(RelayAddress { local: ip, external: ip });
    }
    config
}

impl Bench {
    pub(crate) fn new(config: server::Config) -> Self {
        let mut users = Users::default();
        for name in ["alice", "bob"] {
            users.add(config.provider, &config.realm, name, "wonderland").unwrap();
        }
        users.add_secret(config.provider, b"north");
        let now = testkit::epoch();
        let server = Server::new(now, config, users, [1; 32]);
        let (sockets, listeners) = (BTreeSet::new(), BTreeSet::new());
        Self { server, now, sockets, listeners, wishes: Vec::new(), usages: Vec::new() }
    }

    pub(crate) fn sleep(&mut self, duration: Duration) {
        self.now += duration;
        self.server.handle_timeout(self.now);
        self.follow();
    }

    /// Opens and closes what it is told to.
    pub(crate) fn follow(&mut self) {
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::Open(address) => {
                    assert!(self.sockets.insert(address), "{address} is open already");
                    self.server.relay_opened(self.now, address);
                }
                Event::Close(address) => {
                    assert!(self.sockets.remove(&address), "{address} is not open")
                }
                Event::Began(usage) => self.usages.push((usage, false)),
                Event::Ended(usage) => self.usages.push((usage, true)),
                Event::Listen(address) => {
                    assert!(self.listeners.insert(address), "{address} is listened at already");
                    self.server.relay_opened(self.now, address);
                }
                Event::Unlisten(address) => {
                    assert!(self.listeners.remove(&address), "nobody listens at {address}")
                }
                wish @ (Event::Connect { .. } | Event::Join { .. } | Event::Disconnect { .. }) => {
                    self.wishes.push(wish);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Hands a datagram in; what is to be relayed comes back as it leaves.
    pub(crate) fn receive(&mut self, path: Path, datagram: &[u8]) -> Result<Option<Answer>, Discard> {
        let received = self.server.handle_datagram(Arrival { path, ecn: None, at: self.now }, datagram)?;
        let Received::Relay(relay) = received else {
            self.follow();
            return Ok(None);
        };
        let mut memory = vec![0; 70_000];
        let mut out = Writer::new(&mut memory);
        relay.write(&mut out).unwrap();
        assert_eq!(out.len(), relay.len());
        Ok(Some(Answer { bytes: out.written().to_vec(), path: relay.path }))
    }

    pub(crate) fn poll(&mut self) -> Option<Answer> {
        let mut memory = [0; 1500];
        let mut batch = Batch::new(&mut memory, 1, 1500);
        let transmit = self.server.poll_transmit(self.now, &mut batch)?;
        Some(Answer { bytes: batch.bytes().to_vec(), path: transmit.path })
    }

    pub(crate) fn ask(&mut self, path: Path, request: &[u8]) -> Option<Answer> {
        let _ = self.receive(path, request);
        let answer = self.poll()?;
        assert_eq!(answer.path, path);
        Some(answer)
    }
}

/// Somebody with a name and a password.
pub(crate) struct Asker {
    pub(crate) path: Path,
    pub(crate) long_term: LongTerm,
    transactions: u32,
}

impl Asker {
    pub(crate) fn new(from: &str, username: &str, password: &str) -> Self {
        let path =
            Path { carrier: Carrier::Udp, local: LISTENER.parse().unwrap(), remote: from.parse().unwrap() };
        let credentials = Credentials::new(username, password).unwrap();
        let long_term = LongTerm::new(crypto::default_provider(), credentials);
        Self { path, long_term, transactions: 0 }
    }

    pub(crate) fn alice() -> Self {
        Self::new("198.51.100.7:4000", "alice", "wonderland")
    }

    pub(crate) fn request(&mut self, method: Method, attributes: &[Attribute<'_>]) -> Vec<u8> {
        self.transactions += 1;
        let mut id = [7; 12];
        id[..4].copy_from_slice(&self.transactions.to_be_bytes());
        let mut memory = [0; 2000];
        let mut out = Writer::new(&mut memory);
        let mut request = Encoder::new(&mut out, Class::Request, method, TransactionId(id)).unwrap();
        for attribute in attributes {
            request.attribute(*attribute).unwrap();
        }
        self.long_term.write(&mut request).unwrap();
        request.finish_without_fingerprint(self.long_term.key()).unwrap();
        out.written().to_vec()
    }

    /// Asks, and asks again when it is challenged; what is signed must be signed well.
    pub(crate) fn call(&mut self, bench: &mut Bench, method: Method, attributes: &[Attribute<'_>]) -> Answer {
        for _ in 0..2 {
            let request = self.request(method, attributes);
            let answer = bench.ask(self.path, &request).expect("an answer");
            if ![401, 438].contains(&answer.code())
                || self.long_term.handle_challenge(&answer.message()).is_err()
            {
                if answer.message().is_signed() {
                    self.long_term.verify(&answer.message()).unwrap();
                }
                return answer;
            }
        }
        panic!("challenged twice")
    }

    /// Only so far that the server's challenge is known.
    pub(crate) fn meet(&mut self, bench: &mut Bench) {
        let request = self.request(Method::ALLOCATE, &[Attribute::RequestedTransport(17)]);
        let answer = bench.ask(self.path, &request).expect("an answer");
        self.long_term.handle_challenge(&answer.message()).unwrap();
    }

    pub(crate) fn allocate(&mut self, bench: &mut Bench, attributes: &[Attribute<'_>]) -> Answer {
        let all = [&[Attribute::RequestedTransport(17)], attributes].concat();
        self.call(bench, Method::ALLOCATE, &all)
    }

    pub(crate) fn permit(&mut self, bench: &mut Bench, peer: &str) -> u16 {
        let peer = Attribute::XorPeerAddress(peer.parse().unwrap());
        self.call(bench, Method::CREATE_PERMISSION, &[peer]).code()
    }

    pub(crate) fn bind(&mut self, bench: &mut Bench, number: u16, peer: &str) -> u16 {
        let peer = Attribute::XorPeerAddress(peer.parse().unwrap());
        self.call(bench, Method::CHANNEL_BIND, &[Attribute::ChannelNumber(number), peer]).code()
    }

    /// A Send indication.
    pub(crate) fn send(&self, bench: &mut Bench, peer: &str, data: &[u8]) -> Result<Option<Answer>, Discard> {
        let mut memory = [0; 2000];
        let mut out = Writer::new(&mut memory);
        let id = TransactionId([9; 12]);
        let mut message = Encoder::new(&mut out, Class::Indication, Method::SEND, id).unwrap();
        message.attribute(Attribute::XorPeerAddress(peer.parse().unwrap())).unwrap();
        message.attribute(Attribute::Data(data)).unwrap();
        message.finish_without_fingerprint(None).unwrap();
        bench.receive(self.path, out.written())
    }
}

/// From a peer to a relay.
pub(crate) fn inbound(relay: SocketAddr, peer: &str) -> Path {
    Path { carrier: Carrier::Udp, local: relay, remote: peer.parse().unwrap() }
}
