//! What the tests of a session share: hosts of a simulated network, one of which carries a session each.
#![allow(dead_code, reason = "every test uses a part of it")]

pub mod exchange;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crypto::Rng;
use proto::{Arrival, Batch, Instant, Path, Transmit};
use session::{
    ChannelId, Config, ConnectionState, Discard, Event, Incoming, Outgoing, Received, Rid, SdpType, Session,
    SocketRequest, TransceiverId, WallClock,
};
use stun::wire::{Attribute, Class, Encoder, Message, Method, TransactionId};
use testkit::{HostId, Lan, Link, Machine, Nat, Network, World};

/// When the tests take place, for certificates.
pub const CLOCK: WallClock = WallClock { unix_seconds: 1_800_000_000 };

/// What a host of the network runs.
#[derive(Debug)]
pub enum Node {
    /// A session and what it has told.
    Peer(Box<Peer>),
    /// A STUN server, with the request that it answers next.
    Server(VecDeque<(Path, TransactionId)>),
    /// A TURN server, and what it relays next.
    Relay(Box<turn::Server>, VecDeque<(Path, Vec<u8>)>),
    /// Nothing but a timer, by which the test wakes.
    Clock(Option<Instant>),
}

/// A session, its untaken events, and what was refused.
#[derive(Debug)]
pub struct Peer {
    pub session: Session,
    pub events: VecDeque<Event>,
    pub discards: Vec<Discard>,
    /// Flips bits inside of records, where only SCTP's checksum can tell: for the null provider, whose
    /// records prove nothing.
    pub flip: Option<(Rng, f64)>,
    /// Datagrams that the session has written.
    pub sent: u64,
    /// What it has sent, and when, if `logs` is set.
    pub log: Vec<(Instant, Path, Vec<u8>)>,
    pub logs: bool,
    /// STUN that comes is lost.
    pub misses_stun: bool,
    /// The last few that it was given, for those who send in the name of others.
    pub captured: VecDeque<(Path, Vec<u8>)>,
    /// Packets of RTP that came, and datagrams of RTCP.
    pub media: Vec<Media>,
    pub reports: Vec<Vec<u8>>,
    /// Packets that machines gave out: whose, their numbers, and they.
    pub packets: Vec<(TransceiverId, u64, Vec<u8>)>,
    /// Numbers that are left out where they are forwarded: whose, which, and how many packets came before.
    pub omitted: Vec<(TransceiverId, u64, usize)>,
}

/// A packet of RTP that came.
#[derive(Clone, Debug)]
pub struct Media {
    pub transceiver: TransceiverId,
    pub rid: Option<Rid>,
    pub is_repair: bool,
    pub packet: Vec<u8>,
}

impl Peer {
    pub fn new(session: Session) -> Self {
        Self {
            session,
            events: VecDeque::new(),
            discards: Vec::new(),
            flip: None,
            sent: 0,
            log: Vec::new(),
            logs: false,
            misses_stun: false,
            captured: VecDeque::new(),
            media: Vec::new(),
            reports: Vec::new(),
            packets: Vec::new(),
            omitted: Vec::new(),
        }
    }

    fn flip_inside(&mut self, datagram: &mut [u8]) {
        let Some((rng, share)) = &mut self.flip else { return };
        // Application data of epoch 1: header and explicit nonce before, the tag behind (RFC 6347 §4.1, RFC 5288 §3).
        let (head, tail) = (21, 16);
        if datagram.first() == Some(&23)
            && datagram.len() > head + tail
            && f64::from(rng.u32()) < *share * f64::from(u32::MAX)
        {
            let inside = datagram.len() - head - tail;
            let at = head + rng.below(u32::try_from(inside).unwrap()) as usize;
            datagram[at] ^= 1 << rng.below(8);
        }
    }
}

impl Machine for Node {
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool {
        match self {
            Self::Peer(peer) => {
                if peer.misses_stun && stun::wire::is_stun(datagram) {
                    return false;
                }
                peer.flip_inside(datagram);
                if peer.captured.len() == CAPTURED {
                    peer.captured.pop_front();
                }
                if !datagram.is_empty() {
                    peer.captured.push_back((arrival.path, datagram.to_vec()));
                }
                let before = peer.packets.len();
                let taken = match peer.session.handle_datagram(arrival, datagram) {
                    Ok(Received::Consumed) => true,
                    Ok(Received::Rtp { transceiver, rid, is_repair, packet }) => {
                        let media = Media { transceiver, rid, is_repair, packet: packet.bytes().to_vec() };
                        peer.media.push(media);
                        true
                    }
                    Ok(Received::Packet { transceiver, number, packet, .. }) => {
                        let bytes = packet.as_packet().bytes().to_vec();
                        peer.packets.push((transceiver, number, bytes));
                        true
                    }
                    Ok(Received::Rtcp { compound }) => {
                        peer.reports.push(compound.bytes().to_vec());
                        true
                    }
                    Ok(_) => true,
                    Err(discard) => {
                        if peer.discards.len() < 1000 {
                            peer.discards.push(discard);
                        }
                        false
                    }
                };
                while let Some(omitted) = peer.session.poll_omitted() {
                    peer.omitted.push((omitted.transceiver, omitted.number, before));
                }
                while let Some(recovered) = peer.session.poll_recovered() {
                    peer.packets.push((recovered.transceiver, recovered.number, recovered.bytes));
                }
                taken
            }
            Self::Server(requests) => {
                let Ok(request) = Message::decode(datagram) else { return false };
                requests.push_back((arrival.path, request.transaction()));
                true
            }
            Self::Relay(server, relayed) => {
                let taken = server.handle_datagram(arrival, datagram);
                if let Ok(turn::server::Received::Relay(relay)) = &taken {
                    let mut memory = [0; 2000];
                    let mut out = proto::Writer::new(&mut memory);
                    relay.write(&mut out).unwrap();
                    relayed.push_back((relay.path, out.written().to_vec()));
                }
                let is_taken = taken.is_ok();
                while let Some(event) = server.poll_event() {
                    if let turn::server::Event::Open(address) = event {
                        server.relay_opened(arrival.at, address);
                    }
                }
                is_taken
            }
            Self::Clock(_) => false,
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Peer(peer) => peer.session.handle_timeout(now),
            Self::Server(_) => {}
            Self::Relay(server, _) => server.handle_timeout(now),
            Self::Clock(due) => *due = due.filter(|due| *due > now),
        }
    }

    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        match self {
            Self::Peer(peer) => {
                let transmit = peer.session.poll_transmit(now, batch)?;
                peer.sent += 1;
                if peer.logs {
                    let segment = transmit.segment_size.unwrap_or(transmit.len).max(1);
                    let datagrams = batch.bytes().chunks(segment);
                    peer.log.extend(datagrams.map(|datagram| (now, transmit.path, datagram.to_vec())));
                }
                Some(transmit)
            }
            Self::Server(requests) => {
                let (path, id) = requests.pop_front()?;
                let answered = batch.append(|out| {
                    let mut answer = Encoder::new(out, Class::Success, Method::BINDING, id)?;
                    answer.attribute(Attribute::XorMappedAddress(path.remote))?;
                    answer.finish(None)
                });
                answered.unwrap();
                batch.finish(path, None)
            }
            Self::Relay(server, relayed) => match relayed.pop_front() {
                Some((path, datagram)) => {
                    batch.append(|out| out.put(&datagram)).unwrap();
                    batch.finish(path, None)
                }
                None => server.poll_transmit(now, batch),
            },
            Self::Clock(_) => None,
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Peer(peer) => peer.session.poll_timeout(),
            Self::Server(_) => None,
            Self::Relay(server, _) => server.poll_timeout(),
            Self::Clock(due) => *due,
        }
    }

    fn poll_event(&mut self) -> Option<String> {
        let Self::Peer(peer) = self else { return None };
        let event = peer.session.poll_event()?;
        while peer.session.poll_route().is_some() {}
        let text = format!("{event:?}");
        peer.events.push_back(event);
        Some(text)
    }
}

/// The peer on a host.
pub fn peer(world: &mut World<Node>, host: HostId) -> &mut Peer {
    match world.machines.get_mut(&host) {
        Some(Node::Peer(peer)) => peer,
        _ => panic!("{host:?} is no peer"),
    }
}

/// The session on a host.
pub fn session(world: &mut World<Node>, host: HostId) -> &mut Session {
    &mut peer(world, host).session
}

/// Two peers on the public network, 10 ms apart, with the signalling between them at hand.
pub struct Two {
    pub world: World<Node>,
    pub hosts: [HostId; 2],
    pub clock: HostId,
    /// Candidates that wait for a remote description at the other side.
    early: [Vec<(String, String)>; 2],
    /// Everything told, of each side.
    pub seen: [Vec<Event>; 2],
    /// Candidates are carried to the other side.
    pub trickles: bool,
    /// How often [`run`](Self::run) looks.
    pub tick: Duration,
    /// Where sockets of transports of their own are bound, and those that are.
    pub ips: [Option<std::net::IpAddr>; 2],
    pub sockets: [Vec<SocketAddr>; 2],
    next_port: u16,
}

impl Two {
    /// With a TURN server in the public network, which knows `alice` by the password `wonderland`.
    pub fn with_relay(configs: [Config; 2], address: SocketAddr) -> Self {
        Self::behind([&[], &[]], configs, address)
    }

    /// The same, each side behind NATs, from the inside to the outside.
    pub fn behind(nats: [&[Nat]; 2], configs: [Config; 2], address: SocketAddr) -> Self {
        let mut two = Self::placed(nats, configs, near());
        let host = two.world.network.add_host(Lan::Public, &[address.ip()], Link::default());
        two.world.machines.insert(host, relay(address, 9));
        // What a relay puts around a datagram comes on top.
        two.world.max_datagram = 1300;
        two
    }

    /// Both with [`config`].
    pub fn new() -> Self {
        Self::with([config(0), config(1)], near())
    }

    pub fn with(configs: [Config; 2], link: Link) -> Self {
        Self::placed([&[], &[]], configs, link)
    }

    fn placed(nats: [&[Nat]; 2], configs: [Config; 2], link: Link) -> Self {
        let mut network = Network::new([7; 32]);
        let addresses = configs.each_ref().map(|config| config.local_addresses[0]);
        let hosts = [0, 1].map(|side| {
            let mut lan = Lan::Public;
            for (depth, nat) in nats[side].iter().rev().enumerate() {
                let octet = u8::try_from(side).unwrap() + 1;
                let outside = if depth == 0 { [203, 0, 113, octet] } else { [100, 64, octet, octet] };
                lan = network.add_nat(lan, outside.into(), *nat);
            }
            let host = network.add_host(lan, &[addresses[side].ip()], Link::default());
            network.set_links(host, link.clone(), Link::default());
            host
        });
        let clock = network.add_host(Lan::Public, &[], Link::default());
        let mut world = World::new(network);
        world.machines.insert(clock, Node::Clock(None));
        for (number, config) in configs.into_iter().enumerate() {
            let seed = [u8::try_from(number + 1).unwrap(); 32];
            let session = Session::new(world.now(), CLOCK, config, seed).unwrap();
            world.machines.insert(hosts[number], Node::Peer(Box::new(Peer::new(session))));
        }
        Self { ips: addresses.map(|address| Some(address.ip())), ..Self::of(world, hosts, clock) }
    }

    /// Of a world that is there already, with these two peers and this clock.
    pub fn of(world: World<Node>, hosts: [HostId; 2], clock: HostId) -> Self {
        Self {
            world,
            hosts,
            clock,
            early: [Vec::new(), Vec::new()],
            seen: [Vec::new(), Vec::new()],
            trickles: true,
            tick: Duration::from_millis(20),
            ips: [None, None],
            sockets: [Vec::new(), Vec::new()],
            next_port: 5000,
        }
    }

    pub fn now(&self) -> Instant {
        self.world.now()
    }

    pub fn session(&mut self, side: usize) -> &mut Session {
        session(&mut self.world, self.hosts[side])
    }

    pub fn peer(&mut self, side: usize) -> &mut Peer {
        peer(&mut self.world, self.hosts[side])
    }

    /// A whole exchange of descriptions, at once.
    pub fn negotiate(&mut self, offerer: usize) {
        let now = self.now();
        let answerer = 1 - offerer;
        let offer = self.session(offerer).create_offer(now).unwrap();
        self.session(offerer).set_local(now, SdpType::Offer, offer.clone()).unwrap();
        self.session(answerer).set_remote(now, SdpType::Offer, offer).unwrap();
        let answer = self.session(answerer).create_answer(now).unwrap();
        self.session(answerer).set_local(now, SdpType::Answer, answer.clone()).unwrap();
        self.session(offerer).set_remote(now, SdpType::Answer, answer).unwrap();
    }

    /// Binds the sockets that transports want, and closes those that are not needed any more.
    pub fn bind(&mut self) {
        let now = self.now();
        for side in 0..2 {
            while let Some(request) = self.session(side).poll_sockets() {
                match request {
                    SocketRequest::Open(id) => {
                        self.next_port += 1;
                        let port = self.next_port;
                        let address = SocketAddr::new(self.ips[side].unwrap(), port);
                        self.sockets[side].push(address);
                        self.session(side).add_transport_socket(now, id, address);
                        self.session(side).end_of_transport_sockets(now, id);
                    }
                    SocketRequest::Close(address) => {
                        let place = self.sockets[side].iter().position(|known| *known == address);
                        self.sockets[side].remove(place.unwrap());
                    }
                    _ => {}
                }
            }
        }
    }

    /// Takes what was told, and carries candidates over.
    pub fn carry(&mut self) {
        self.bind();
        for side in 0..2 {
            let host = self.hosts[side];
            while let Some(event) = peer(&mut self.world, host).events.pop_front() {
                if let Event::Candidate(found) = &event {
                    self.early[1 - side].push((found.candidate.clone(), found.mid.clone()));
                }
                self.seen[side].push(event);
            }
        }
        let now = self.now();
        for side in 0..2 {
            if self.trickles && self.session(side).remote_description().is_some() {
                for (candidate, mid) in std::mem::take(&mut self.early[side]) {
                    self.session(side).add_remote_candidate(now, &candidate, Some(&mid), None, None).unwrap();
                }
            }
        }
    }

    /// Candidates for `side` that no description was set for are of an offer that was taken back.
    pub fn forget_candidates(&mut self, side: usize) {
        self.early[side].clear();
    }

    /// Runs until `done`, for at most `limit`; says whether it held.
    pub fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now() + limit;
        loop {
            let now = self.now();
            if let Some(Node::Clock(due)) = self.world.machines.get_mut(&self.clock) {
                *due = Some(end.min(now + self.tick));
            }
            self.world.run(self.tick.min(end - now), |_| false);
            self.carry();
            if done(self) {
                return true;
            }
            if self.now() >= end {
                return false;
            }
        }
    }

    pub fn is_connected(&mut self) -> bool {
        (0..2).all(|side| self.session(side).connection_state() == ConnectionState::Connected)
    }

    /// Opens a channel, negotiates and connects.
    pub fn connect(&mut self) -> ChannelId {
        let now = self.now();
        let channel = self.session(0).open_channel(now, session::ChannelInit::labelled("chat")).unwrap();
        self.negotiate(0);
        assert!(self.run(Duration::from_secs(10), Self::is_connected), "{}", self.reports());
        channel
    }

    /// The channel that the other side opened first.
    pub fn incoming(&mut self, side: usize) -> ChannelId {
        let opened = |two: &Self| {
            two.seen[side].iter().find_map(|event| match event {
                Event::ChannelOpened(id) => Some(*id),
                _ => None,
            })
        };
        assert!(self.run(Duration::from_secs(10), |two| opened(two).is_some()), "no channel was opened");
        opened(self).unwrap()
    }

    /// Hands a whole message over.
    pub fn send(&mut self, side: usize, channel: ChannelId, data: impl Into<bytes::Bytes>) {
        let now = self.now();
        self.session(side).send(now, channel, &mut Outgoing::binary(data)).unwrap();
    }

    /// What has arrived by now, joined to messages.
    pub fn messages(&mut self, side: usize, channel: ChannelId) -> Vec<Vec<u8>> {
        let now = self.now();
        let (mut messages, mut message) = (Vec::new(), Vec::new());
        while let Some(Incoming { data, end, .. }) = self.session(side).recv(now, channel) {
            message.extend_from_slice(&data);
            if end {
                messages.push(std::mem::take(&mut message));
            }
        }
        messages
    }

    /// One message each way on an open channel gets through.
    pub fn echo(&mut self, ours: ChannelId, theirs: ChannelId) {
        for (from, channel, other) in [(0, ours, theirs), (1, theirs, ours)] {
            self.send(from, channel, &b"are you there?"[..]);
            let arrived = self.run(Duration::from_secs(5), |two| two.messages(1 - from, other).len() == 1);
            assert!(arrived, "{}", self.reports());
        }
    }

    /// Loses everything that one side, or each, sends.
    pub fn cut(&mut self, sides: &[usize]) {
        for side in sides {
            let dead = Link { loss: 1.0, ..Link::default() };
            self.world.network.set_links(self.hosts[*side], dead.clone(), Link::default());
        }
    }

    /// Undoes [`cut`](Self::cut).
    pub fn mend(&mut self) {
        for side in self.hosts {
            self.world.network.set_links(side, near(), Link::default());
        }
    }

    pub fn reports(&mut self) -> String {
        let now = self.now();
        let trace = self.world.trace.to_string();
        let reports = [0, 1].map(|side| self.session(side).report(now).to_string());
        format!("{}\n{}\n{trace}", reports[0], reports[1])
    }
}

/// A TURN server, which knows `alice` by the password `wonderland`.
pub fn relay(address: SocketAddr, seed: u8) -> Node {
    let mut config = turn::server::Config::new(crypto::rust_crypto());
    config.listeners.push(address);
    config.relays.push(turn::server::RelayAddress { local: address.ip(), external: address.ip() });
    config.peers.allow.push("0.0.0.0/0".parse().unwrap());
    let mut users = turn::Users::default();
    users.add(config.provider, &config.realm, "alice", "wonderland").unwrap();
    let server = turn::Server::new(testkit::epoch(), config, users, [seed; 32]);
    Node::Relay(Box::new(server), VecDeque::new())
}

/// 10 ms, nothing lost.
pub fn near() -> Link {
    Link { delay: Duration::from_millis(10), ..Link::default() }
}

/// Of side 0 or 1, with cryptography that is real.
pub fn config(side: u8) -> Config {
    let mut config = Config::new(crypto::rust_crypto());
    config.local_addresses = vec![SocketAddr::from(([192, 0, 2, side + 1], 4000))];
    config
}

/// Datagrams that a [`Peer`] remembers.
const CAPTURED: usize = 32;

/// A frame of VP8 of `len` bytes that says which it is, filled with `fill`; every 30th is a key frame.
pub fn vp8(number: u32, len: usize, fill: u8) -> Vec<u8> {
    let is_key = number.is_multiple_of(30);
    let mut frame = vec![u8::from(!is_key), 0, 0];
    if is_key {
        frame.extend_from_slice(&[0x9d, 0x01, 0x2a, 64, 1, 180, 0]);
    }
    frame.extend_from_slice(&number.to_be_bytes());
    frame.resize(len, fill);
    frame
}
