//! A client whose server lies, with the client's own credentials at hand: grants, challenges, refusals, redirections
//! and data of any kind, in any order and at any time. It asks no faster than it should, hands out nothing of a peer
//! that was not permitted, and falls silent when it is released.
#![no_main]

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use proto::{Arrival, Batch, Carrier, Instant, Path, Writer};
use stun::wire::{
    Attribute, Class, Encoder, ErrorCode, Message, Method, PasswordAlgorithm, PasswordAlgorithms,
    TransactionId,
};
use stun::{Credentials, IntegrityKey};
use turn::client::{Client, Config, Event, Received, SendError};
use turn::wire::{ChannelData, ChannelNumber, ConnectionId};

#[derive(Arbitrary, Debug)]
enum Step {
    Allocate,
    Permit {
        peer: u8,
    },
    Bind {
        peer: u8,
    },
    Release,
    Disconnected,
    /// As a server that means well answers the request that was sent so many before the last one.
    Grant {
        back: u8,
        lifetime: u32,
        additional: bool,
    },
    Challenge {
        back: u8,
        stale: bool,
        realm: u8,
        nonce: u8,
        algorithms: u8,
    },
    Refuse {
        back: u8,
        code: u16,
        alternate: Option<u8>,
        is_signed: bool,
    },
    /// Anything, signed or not.
    Answer {
        back: u8,
        class: u8,
        attributes: Vec<(u16, Vec<u8>)>,
        is_signed: bool,
    },
    Data {
        peer: u8,
        data: Vec<u8>,
    },
    Channel {
        number: u8,
        data: Vec<u8>,
    },
    Bytes {
        bytes: Vec<u8>,
        elsewhere: bool,
    },
    Send {
        peer: u8,
        len: u8,
    },
    /// Of an allocation of connections (RFC 6062).
    Connect {
        peer: u8,
    },
    /// The server says that a peer has come.
    Attempt {
        peer: u8,
        number: Option<u32>,
    },
    /// A connection that comes for a peer's, and an answer to it of any kind.
    Come {
        number: u32,
        code: u16,
        is_signed: bool,
    },
    Sleep {
        milliseconds: u32,
    },
    /// Another address of ours.
    Move {
        port: u8,
    },
}

struct World {
    client: Client,
    path: Path,
    now: Instant,
    /// What the server was asked: the transaction, the method and the peer.
    asked: Vec<(TransactionId, Method, Option<IpAddr>)>,
    /// Whom the server has ever granted.
    granted: BTreeSet<IpAddr>,
    realm: String,
    with_sha256: bool,
    is_released: bool,
    sent: u32,
    answered: u32,
    moved: u32,
}

fuzz_target!(|input: (bool, bool, bool, Vec<Step>)| {
    let (is_stream, additional, tcp, steps) = input;
    let mut world = World::new(is_stream, additional, tcp);
    for step in steps.into_iter().take(200) {
        world.take(step);
        world.drain();
    }
    world.client.release(world.now);
    world.is_released = true;
    world.drain();
    world.now = world.now + Duration::from_secs(2);
    world.drain();
    assert_eq!(world.client.poll_timeout(), None, "nothing is left to do");
    assert_eq!(world.client.relayed().count(), 0);
    // Each answer leads to no more requests than peers are asked for, and time to the retransmissions.
    assert!(world.sent <= 400 + (world.answered + world.moved) * 20, "{} for {}", world.sent, world.answered);
});

impl World {
    fn new(is_stream: bool, additional: bool, tcp: bool) -> Self {
        let mut config = Config::new(testkit::null_provider());
        (config.max_permissions, config.max_channels, config.additional) = (4, 3, additional);
        config.mobility = true;
        (config.tcp, config.max_connections) = (tcp, 4);
        let path = Path {
            carrier: if is_stream { Carrier::Stream } else { Carrier::Udp },
            local: ([198, 51, 100, 1], 4000).into(),
            remote: ([192, 0, 2, 1], 3478).into(),
        };
        Self {
            client: Client::new(config, credentials(), path, [1; 32]),
            path,
            now: testkit::epoch(),
            asked: Vec::new(),
            granted: BTreeSet::new(),
            realm: String::new(),
            with_sha256: false,
            is_released: false,
            sent: 0,
            answered: 0,
            moved: 0,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Allocate => self.client.allocate(self.now),
            Step::Permit { peer } => {
                // Refused when there are four.
                let _ = self.client.permit(self.now, address(peer).ip());
            }
            Step::Bind { peer } => {
                let _ = self.client.bind_channel(self.now, address(peer));
            }
            Step::Release => {
                self.client.release(self.now);
                self.is_released = true;
            }
            Step::Disconnected => self.client.connection_lost(self.now),
            Step::Grant { back, lifetime, additional } => self.grant(back, lifetime, additional),
            Step::Challenge { back, stale, realm, nonce, algorithms } => {
                self.challenge(back, stale, realm, nonce, algorithms);
            }
            Step::Refuse { back, code, alternate, is_signed } => {
                let Some(asked) = self.asked(back) else { return };
                let code = 300 + code % 400;
                let mut attributes = vec![Attribute::ErrorCode(ErrorCode { code, reason: "" })];
                attributes.extend(alternate.map(|at| Attribute::AlternateServer(address(at))));
                self.answer(asked, Class::Error, &attributes, is_signed);
            }
            Step::Answer { back, class, attributes, is_signed } => {
                let Some(asked) = self.asked(back) else { return };
                let all = [Class::Success, Class::Error, Class::Request, Class::Indication];
                let attributes: Vec<_> = attributes
                    .iter()
                    .take(8)
                    .map(|(kind, value)| Attribute::Unknown {
                        kind: *kind,
                        value: &value[..value.len().min(100)],
                    })
                    .collect();
                if class % 4 == 0 {
                    self.note(asked);
                }
                self.answer(asked, all[usize::from(class % 4)], &attributes, is_signed);
            }
            Step::Data { peer, data } => {
                let attributes = [Attribute::XorPeerAddress(address(peer)), Attribute::Data(&data)];
                let bytes = write(Class::Indication, Method::DATA, TransactionId([9; 12]), &attributes, None);
                self.receive(self.path, &bytes);
            }
            Step::Channel { number, data } => {
                let channel = ChannelNumber::new(0x4000 | u16::from(number % 8)).expect("in range");
                let mut memory = vec![0; data.len() + 8];
                let mut out = Writer::new(&mut memory);
                ChannelData { channel, payload: &data }.encode(&mut out, true).expect("room");
                self.receive(self.path, out.written());
            }
            Step::Bytes { bytes, elsewhere } => {
                let remote = if elsewhere { address(1) } else { self.path.remote };
                self.receive(Path { remote, ..self.path }, &bytes);
            }
            Step::Move { port } => {
                let path = Path { local: ([198, 51, 100, 1], 4000 + u16::from(port)).into(), ..self.path };
                if self.client.move_to(self.now, path).is_ok() {
                    (self.path, self.moved) = (path, self.moved + 1);
                }
            }
            Step::Send { peer, len } => self.send(peer, len),
            Step::Connect { peer } => _ = self.client.connect(self.now, address(peer)),
            Step::Attempt { peer, number } => {
                let mut attributes = vec![Attribute::XorPeerAddress(address(peer))];
                attributes.extend(number.map(Attribute::ConnectionId));
                let id = TransactionId([9; 12]);
                let bytes = write(Class::Indication, Method::CONNECTION_ATTEMPT, id, &attributes, None);
                self.receive(self.path, &bytes);
            }
            Step::Come { number, code, is_signed } => self.come(number, code, is_signed),
            Step::Sleep { milliseconds } => {
                self.now = self.now + Duration::from_millis(u64::from(milliseconds % 4_000_000));
            }
        }
    }

    fn asked(&self, back: u8) -> Option<(TransactionId, Method, Option<IpAddr>)> {
        let place = self.asked.len().checked_sub(1 + usize::from(back % 8))?;
        self.asked.get(place).copied()
    }

    fn note(&mut self, (_, method, peer): (TransactionId, Method, Option<IpAddr>)) {
        // A connection to a peer lets nobody in.
        self.granted.extend(peer.filter(|_| method != Method::CONNECT));
    }

    fn grant(&mut self, back: u8, lifetime: u32, additional: bool) {
        let Some(asked) = self.asked(back) else { return };
        let ticket = lifetime.to_be_bytes();
        let mut attributes = vec![Attribute::Lifetime(lifetime)];
        attributes.extend((lifetime % 3 > 0).then_some(Attribute::MobilityTicket(&ticket)));
        if asked.1 == Method::ALLOCATE {
            attributes.push(Attribute::XorRelayedAddress(address(4)));
            attributes.extend(additional.then_some(Attribute::XorRelayedAddress(address(6))));
            attributes.push(Attribute::XorMappedAddress(self.path.local));
        }
        if asked.1 == Method::CONNECT {
            attributes.push(Attribute::ConnectionId(lifetime));
        }
        self.note(asked);
        self.answer(asked, Class::Success, &attributes, true);
    }

    /// A connection of ours asks, and is answered once.
    fn come(&mut self, number: u32, code: u16, is_signed: bool) {
        let path = Path { local: ([198, 51, 100, 1], 3999).into(), ..self.path };
        let id = ConnectionId::new(number);
        let Ok(mut data) = self.client.bind_connection(self.now, id, path) else { return };
        assert!(!self.is_released);
        let mut memory = [0; 2000];
        let mut batch = Batch::new(&mut memory, 1, 2000);
        assert!(data.poll_transmit(self.now, &mut batch).is_some_and(|transmit| transmit.path == path));
        let asked = Message::decode(batch.bytes()).expect("a client writes what can be read");
        let kind = if self.with_sha256 { PasswordAlgorithm::Sha256 } else { PasswordAlgorithm::Md5 };
        let key = credentials().key(testkit::null_provider(), &self.realm, kind).expect("a known algorithm");
        let key = if self.with_sha256 { key.with_sha256() } else { key };
        let (class, attributes) = match code % 1000 {
            0 => (Class::Success, vec![]),
            code => (
                Class::Error,
                vec![
                    Attribute::ErrorCode(ErrorCode { code: code.max(300), reason: "" }),
                    Attribute::Realm("r"),
                    Attribute::Nonce("n"),
                ],
            ),
        };
        let key = is_signed.then_some(&key);
        let answer = write(class, Method::CONNECTION_BIND, asked.transaction(), &attributes, key);
        let _ = data.handle_datagram(Arrival { path, ecn: None, at: self.now }, &answer);
        let mut batch = Batch::new(&mut memory, 1, 2000);
        let _ = data.poll_transmit(self.now, &mut batch);
        while let Some(due) = data.poll_timeout() {
            data.handle_timeout(due);
        }
        // It is told once what has become of it.
        assert!(data.poll_event().is_some() && data.poll_event().is_none());
    }

    fn challenge(&mut self, back: u8, stale: bool, realm: u8, nonce: u8, algorithms: u8) {
        let Some(asked) = self.asked(back) else { return };
        let realm = "r".repeat(usize::from(realm % 130));
        // With and without the cookie that says that algorithms are offered.
        let nonce = format!("{}{}", ["", "obMatJos2gAAA", "obMatJos2wAAA"][usize::from(nonce % 3)], nonce);
        let offered = [PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5, PasswordAlgorithm::Other(9)];
        let offered = &offered[..usize::from(algorithms % 4)];
        let code = if stale { 438 } else { 401 };
        let mut attributes = vec![
            Attribute::ErrorCode(ErrorCode { code, reason: "" }),
            Attribute::Realm(&realm),
            Attribute::Nonce(&nonce),
        ];
        attributes.extend(
            (!offered.is_empty()).then_some(Attribute::PasswordAlgorithms(PasswordAlgorithms::new(offered))),
        );
        let taken = write(Class::Error, asked.1, asked.0, &attributes, None);
        if self.receive(self.path, &taken) {
            (self.with_sha256, self.realm) = (!offered.is_empty(), realm.clone());
        }
    }

    fn answer(
        &mut self,
        (id, method, _): (TransactionId, Method, Option<IpAddr>),
        class: Class,
        attributes: &[Attribute<'_>],
        is_signed: bool,
    ) {
        let kind = if self.with_sha256 { PasswordAlgorithm::Sha256 } else { PasswordAlgorithm::Md5 };
        let key = credentials().key(testkit::null_provider(), &self.realm, kind).expect("a known algorithm");
        let key = if self.with_sha256 { key.with_sha256() } else { key };
        let bytes = write(class, method, id, attributes, is_signed.then_some(&key));
        self.receive(self.path, &bytes);
    }

    /// Whether it was taken.
    fn receive(&mut self, path: Path, datagram: &[u8]) -> bool {
        let mut memory = datagram.to_vec();
        let arrival = Arrival { path, ecn: None, at: self.now };
        match self.client.handle_datagram(arrival, &mut memory) {
            Ok(Received::Data { peer, payload }) => {
                assert_eq!(path, self.path, "from elsewhere");
                assert!(self.granted.contains(&peer.ip()), "{peer} was never granted");
                assert!(payload.len() <= datagram.len());
                assert!(!self.is_released, "nothing comes any more");
                false
            }
            Ok(Received::Consumed) => {
                self.answered += 1;
                true
            }
            Err(_) => false,
        }
    }

    fn send(&mut self, peer: u8, len: u8) {
        let (peer, payload) = (address(peer), vec![7; usize::from(len)]);
        let overhead = self.client.overhead(peer);
        let mut memory = [0; 400];
        let mut batch = Batch::new(&mut memory, 1, 400);
        let put = |out: &mut Writer<'_>| out.put(&payload).map_err(SendError::from);
        if self.client.send_with(peer, &mut batch, put).is_ok() {
            assert!(self.granted.contains(&peer.ip()) && !self.is_released);
            let written = batch.finish(self.path, None).expect("a datagram").len;
            assert!(written <= payload.len() + overhead, "{written} for {len} and {overhead}");
        }
    }

    fn drain(&mut self) {
        let mut memory = [0; 2000];
        loop {
            let mut batch = Batch::new(&mut memory, 1, 2000);
            let Some(transmit) = self.client.poll_transmit(self.now, &mut batch) else { break };
            assert_eq!(transmit.path, self.path);
            self.sent += 1;
            let message = Message::decode(batch.bytes()).expect("a client writes what can be read");
            assert_eq!(message.class(), Class::Request);
            let peer = message.attributes().find_map(|attribute| match attribute {
                Attribute::XorPeerAddress(peer) => Some(peer.ip()),
                _ => None,
            });
            if self.is_released {
                let is_release = message.attributes().any(|attribute| attribute == Attribute::Lifetime(0));
                assert!(is_release, "only the release is asked for");
            }
            self.asked.push((message.transaction(), message.method(), peer));
        }
        while let Some(event) = self.client.poll_event() {
            if let Event::Allocated { relayed, mapped, .. } = event {
                assert!(!relayed.ip().is_unspecified() && relayed.port() != 0 && mapped.port() != 0);
            }
            if let Event::Attempted { peer, .. } = event {
                assert!(self.granted.contains(&peer.ip()), "{peer} was never granted");
            }
        }
        assert!(self.client.poll_timeout().is_none_or(|due| due > self.now));
    }
}

fn write(
    class: Class,
    method: Method,
    id: TransactionId,
    attributes: &[Attribute<'_>],
    key: Option<&IntegrityKey>,
) -> Vec<u8> {
    let mut memory = vec![0; 70_000];
    let mut out = Writer::new(&mut memory);
    let mut message = Encoder::new(&mut out, class, method, id).expect("room");
    for attribute in attributes {
        // A realm of 128 characters is not written.
        let _ = message.attribute(*attribute);
    }
    message.finish_without_fingerprint(key).expect("room");
    out.written().to_vec()
}

fn credentials() -> Credentials {
    Credentials::new("alice", "wonderland").expect("a name")
}

fn address(peer: u8) -> SocketAddr {
    match peer % 8 {
        0..=5 => ([8, 8, 8, peer % 8], 1000 + u16::from(peer)).into(),
        6 => "[2600::1]:9".parse().expect("an address"),
        _ => ([0, 0, 0, 0], 0).into(),
    }
}
