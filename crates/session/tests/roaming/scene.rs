//! Two whole sessions with traffic between them, on a network of the seed's.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crypto::derive_seed;
use proto::Instant;
use session::{ChannelInit, Config, Credentials, Event, Relaying, Session, TurnServer};
use testkit::{HostId, Lan, Link, Nat, Network, World, null_provider};

use crate::draw::{Draw, seed_bytes};
use crate::harness::{self, CLOCK, Node, Peer, Two};
use crate::traffic::Traffic;

/// Where a side is, and what it uses.
pub struct Place {
    pub nat: Option<Nat>,
    pub link: Link,
    /// How many addresses it has.
    pub addresses: u8,
    /// Nothing but a TURN server is used.
    pub is_relayed: bool,
}

impl Place {
    /// With one public address.
    pub fn public(draw: &mut Draw) -> Self {
        Self { nat: None, link: draw.link(), addresses: 1, is_relayed: false }
    }

    /// Behind a NAT; a STUN server is asked.
    pub fn behind(nat: Nat, draw: &mut Draw) -> Self {
        Self { nat: Some(nat), ..Self::public(draw) }
    }
}

pub struct Scene {
    pub two: Two,
    pub draw: Draw,
    pub traffic: Option<Traffic>,
    /// Who offers first, and so controls.
    pub offerer: usize,
    /// The networks that the sides are on.
    pub lans: [Lan; 2],
    pub links: [Link; 2],
    /// Of the TURN server.
    pub relay: HostId,
    seed: u64,
}

impl Scene {
    pub fn new(seed: u64, label: &str, places: impl FnOnce(&mut Draw) -> [Place; 2]) -> Self {
        Self::with_server(seed, label, harness::relay(TURN, 9), places)
    }

    /// With this TURN server.
    pub fn with_server(
        seed: u64,
        label: &str,
        server: Node,
        places: impl FnOnce(&mut Draw) -> [Place; 2],
    ) -> Self {
        let bytes = seed_bytes(seed);
        let mut draw = Draw::of(seed, label);
        let places = places(&mut draw);
        let mut network = Network::new(derive_seed(&bytes, "network"));
        let links = places.each_ref().map(|place| place.link.clone());
        let lans = [0_u8, 1].map(|side| match places[usize::from(side)].nat {
            Some(nat) => network.add_nat(Lan::Public, [203, 0, 113, side + 1].into(), nat),
            None => Lan::Public,
        });
        let hosts = [0, 1].map(|side| {
            let addresses: Vec<IpAddr> =
                (0..places[side].addresses).map(|number| address(lans[side], side, number)).collect();
            let host = network.add_host(lans[side], &addresses, Link::default());
            network.set_links(host, links[side].clone(), Link::default());
            host
        });
        let clock = network.add_host(Lan::Public, &[], Link::default());
        let stun = network.add_host(Lan::Public, &[STUN.ip()], Link::default());
        let relay = network.add_host(Lan::Public, &[TURN.ip()], Link::default());
        let mut world = World::new(network);
        // What a relay puts around a datagram comes on top.
        world.max_datagram = 1300;
        world.machines.insert(clock, Node::Clock(None));
        world.machines.insert(stun, Node::Server(VecDeque::new()));
        world.machines.insert(relay, server);
        for (side, place) in places.iter().enumerate() {
            let mut config = Config::new(null_provider());
            config.local_addresses =
                (0..place.addresses).map(|number| (address(lans[side], side, number), PORT).into()).collect();
            if place.nat.is_some() {
                config.stun_servers = vec![STUN];
            }
            if place.is_relayed {
                let mut relaying = Relaying::default();
                relaying
                    .servers
                    .push(TurnServer::new(TURN, Credentials::new("alice", "wonderland").unwrap()));
                relaying.sockets.push((address(lans[side], side, 0), RELAY_PORT).into());
                relaying.only = true;
                config.relaying = Some(Box::new(relaying));
            }
            let seed = derive_seed(&bytes, &format!("session {side}"));
            let session = Session::new(world.now(), CLOCK, config, seed).unwrap();
            world.machines.insert(hosts[side], Node::Peer(Box::new(Peer::new(session))));
        }
        let offerer = draw.side();
        let two = Two::of(world, hosts, clock);
        Self { two, draw, traffic: None, offerer, lans, links, relay, seed }
    }

    /// Connects, and has traffic begin; says how long that took, if it came about.
    pub fn connect(&mut self, limit: Duration) -> Option<Duration> {
        let (start, offerer) = (self.two.now(), self.offerer);
        let ours = self.two.session(offerer).open_channel(start, ChannelInit::labelled("chat")).unwrap();
        self.two.negotiate(offerer);
        let mut theirs = None;
        self.two.run(limit, |two| {
            theirs = two.seen[1 - offerer].iter().find_map(|event| match event {
                Event::ChannelOpened(id) => Some(*id),
                _ => None,
            });
            two.is_connected() && theirs.is_some()
        });
        let mut channels = [ours, theirs?];
        if offerer == 1 {
            channels.swap(0, 1);
        }
        let now = self.two.now();
        self.traffic = Some(Traffic::new(Draw::of(self.seed, "traffic"), channels, now));
        Some(now - start)
    }

    /// Connected on a good network, and then up to `most` later.
    pub fn settle(&mut self, most: u32) {
        let connected = self.connect(Duration::from_secs(15));
        assert!(connected.is_some(), "{}", self.two.reports());
        let wait = self.draw.millis(500, most);
        self.wait(wait);
        self.two.seen.iter_mut().for_each(Vec::clear);
    }

    /// Runs with traffic until `done`, for at most `limit`.
    pub fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut Two, &Traffic) -> bool) -> bool {
        let Self { two, traffic, .. } = self;
        let traffic = traffic.as_mut().expect("connected");
        two.run(limit, |two| {
            traffic.step(two);
            done(two, traffic)
        })
    }

    /// Has fewer messages sent from now on.
    pub fn slow_down(&mut self, millis: u64) {
        self.traffic.as_mut().expect("connected").pause = Duration::from_millis(millis);
    }

    pub fn wait(&mut self, time: Duration) {
        self.run(time, |_, _| false);
    }

    /// Waits until what was sent after `then` comes through on both ways; how long that took.
    pub fn passes_again(&mut self, then: Instant, limit: Duration) -> Duration {
        let passed = self.run(limit, |_, traffic| traffic.has_passed(then));
        assert!(passed, "not within {limit:?}\n{}", self.two.reports());
        self.two.now() - then
    }

    /// Once a session asks for an offer, as its peer's answer to what was lost, both exchange descriptions, which takes
    /// signalling a while. Says when they had, if so within `limit`.
    pub fn renegotiate(&mut self, limit: Duration) -> Option<Instant> {
        let mut asked = None;
        self.run(limit, |two, _| {
            asked = (0..2).find(|side| asks_for_an_offer(two, *side));
            asked.is_some()
        });
        let offerer = asked?;
        let wait = self.draw.millis(20, 300);
        self.wait(wait);
        self.two.negotiate(offerer);
        self.two.seen.iter_mut().for_each(Vec::clear);
        Some(self.two.now())
    }

    /// Stops sending; what has not come after a while is lost.
    pub fn lost(&mut self) -> u64 {
        self.traffic.as_mut().expect("connected").is_on = false;
        let done =
            self.run(Duration::from_secs(30), |two, traffic| traffic.missing() == 0 && two.is_connected());
        assert!(done, "{}", self.two.reports());
        self.traffic.as_ref().expect("connected").missing()
    }

    /// Of data from one side to the other and back, without jitter.
    pub fn round_trip(&self) -> Duration {
        self.links.iter().map(|link| link.delay + link.jitter).sum()
    }

    pub fn cut(&mut self, sides: &[usize]) {
        self.two.cut(sides);
    }

    pub fn mend(&mut self) {
        for side in 0..2 {
            self.two.world.network.set_links(self.two.hosts[side], self.links[side].clone(), Link::default());
        }
    }
}

pub fn asks_for_an_offer(two: &Two, side: usize) -> bool {
    two.seen[side].iter().any(|event| matches!(event, Event::NegotiationNeeded))
}

/// The address with this number of a side that is on `lan`.
pub fn address(lan: Lan, side: usize, number: u8) -> IpAddr {
    let side = u8::try_from(side).unwrap();
    match lan {
        Lan::Public => [192, 0, 2, side + 1 + 100 * number].into(),
        Lan::Behind(_) => [192, 168, side + 1, 2 + number].into(),
    }
}

pub const STUN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 2)), 3478);
pub const TURN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1)), 3478);
pub const PORT: u16 = 4000;
pub const RELAY_PORT: u16 = 5000;
