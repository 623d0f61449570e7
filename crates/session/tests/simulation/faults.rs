//! What goes wrong in the middle of a session, beyond what its links do all the time.

use std::time::Duration;

use proto::Instant;
use testkit::{HostId, Lan, Link, World};

use crate::harness::{Node, peer};
use crate::plan::{Draw, Plan, seed_bytes};

#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// What these sides send is lost; for one of them alone, a partition in one direction.
    Outage { from: [bool; 2] },
    /// What a side sends and is larger than this vanishes from now on.
    BlackHole { side: usize, mtu: usize },
    /// A side's NAT forgets its mappings and gives other ports.
    Rebinding { side: usize },
    /// A side's process is stopped, or the whole machine, with its clock.
    Sleep { side: usize, clock_stops: bool },
    /// Somebody sends datagrams in the name of the other side, so many every millisecond.
    Flood { side: usize, rate: u32 },
}

/// A fault and its time.
#[derive(Clone, Copy, Debug)]
pub struct FaultPlan {
    pub fault: Fault,
    /// After the start.
    pub at: Duration,
    pub length: Duration,
}

impl FaultPlan {
    pub fn draw(draw: &mut Draw, nats: [bool; 2], real_crypto: bool) -> Self {
        let (side, at) = (draw.side(), draw.millis(6000));
        let (fault, length) = match draw.between(0, 20) {
            0..6 => {
                let from = [[true, true], [true, false], [false, true]][draw.between(0, 3) as usize];
                let most = if draw.chance(30) { 60_000 } else { 14_000 };
                (Fault::Outage { from }, Duration::from_secs(1) + draw.millis(most))
            }
            6..10 => {
                let clock_stops = draw.chance(50);
                let most = if clock_stops && draw.chance(20) { 30_000 } else { 5000 };
                (Fault::Sleep { side, clock_stops }, draw.millis(most))
            }
            10 => (Fault::BlackHole { side, mtu: draw.between(576, 1200) as usize }, Duration::ZERO),
            11..13 if nats[side] => (Fault::Rebinding { side }, Duration::ZERO),
            // Without real cryptography a forged record would be a good one.
            13..20 if real_crypto => {
                (Fault::Flood { side, rate: draw.between(1, 11) }, Duration::from_millis(300))
            }
            _ => (Fault::Outage { from: [true; 2] }, draw.millis(3000)),
        };
        Self { fault, at, length }
    }

    /// Whether it may cost the connection.
    pub fn is_grave(&self) -> bool {
        match self.fault {
            Fault::Outage { .. } | Fault::Sleep { .. } => self.length > SURVIVED,
            Fault::BlackHole { .. } | Fault::Rebinding { .. } => true,
            Fault::Flood { .. } => false,
        }
    }
}

/// The faults of a session and how far they are.
#[derive(Debug)]
pub struct Faults {
    /// Each with whether it has begun, and ended.
    all: Vec<(FaultPlan, [bool; 2])>,
    draw: Draw,
    next_flood: Instant,
    start: Option<Instant>,
}

impl Faults {
    pub fn new(plan: &Plan) -> Self {
        Self {
            all: plan.faults.iter().map(|fault| (*fault, [false; 2])).collect(),
            draw: Draw::new(&seed_bytes(plan.seed), "flood"),
            next_flood: Instant::default(),
            start: None,
        }
    }

    pub fn are_over(&self) -> bool {
        self.all.iter().all(|(_, [_, ended])| *ended)
    }

    /// When something begins or ends next.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let start = self.start?;
        let turns = self.all.iter().flat_map(|(it, _)| [start + it.at, start + it.at + it.length]);
        turns.chain([self.next_flood]).filter(|turn| *turn > now).min()
    }

    /// Begins and ends what is due.
    pub fn step(&mut self, plan: &Plan, hosts: [HostId; 2], connected: bool, world: &mut World<Node>) {
        let now = world.now();
        let start = *self.start.get_or_insert(now);
        let mut changed = false;
        for (FaultPlan { fault, at, length }, [begun, ended]) in &mut self.all {
            let (begins, ends) = (start + *at, start + *at + *length);
            if !*begun && now >= begins {
                (*begun, changed) = (true, true);
                match *fault {
                    Fault::Rebinding { side } => world.network.rebind(Lan::Behind(nat_of(plan, side))),
                    Fault::Sleep { side, .. } if world.is_asleep(hosts[side]) => {}
                    Fault::Sleep { side, clock_stops: true } => world.suspend(hosts[side], *length),
                    Fault::Sleep { side, clock_stops: false } => world.pause(hosts[side], *length),
                    Fault::Outage { .. } | Fault::BlackHole { .. } | Fault::Flood { .. } => {}
                }
            }
            if *begun && !*ended && now >= ends {
                (*ended, changed) = (true, true);
            }
        }
        if changed {
            self.set_links(plan, hosts, world);
        }
        self.flood(hosts, connected, world);
    }

    /// Ends everything, for the end of the session.
    pub fn end(&mut self, plan: &Plan, hosts: [HostId; 2], world: &mut World<Node>) {
        self.all.clear();
        self.set_links(plan, hosts, world);
        world.run(Duration::from_secs(61), |world| !hosts.iter().any(|host| world.is_asleep(*host)));
    }

    fn set_links(&self, plan: &Plan, hosts: [HostId; 2], world: &mut World<Node>) {
        let mut links = plan.links.clone();
        for (FaultPlan { fault, .. }, [begun, ended]) in &self.all {
            match fault {
                Fault::Outage { from } if *begun && !*ended => {
                    let lost = links.iter_mut().zip(from).filter(|(_, lost)| **lost);
                    lost.for_each(|(link, _)| link.loss = 1.0);
                }
                Fault::BlackHole { side, mtu } if *begun => links[*side].mtu = links[*side].mtu.min(*mtu),
                _ => {}
            }
        }
        for (host, link) in hosts.into_iter().zip(links) {
            world.network.set_links(host, link, Link::default());
        }
    }

    fn flood(&mut self, hosts: [HostId; 2], connected: bool, world: &mut World<Node>) {
        let now = world.now();
        if now < self.next_flood {
            return;
        }
        let running: Vec<(usize, u32)> = self
            .all
            .iter()
            .filter_map(|(it, state)| match it.fault {
                Fault::Flood { side, rate } if *state == [true, false] => Some((side, rate)),
                _ => None,
            })
            .collect();
        for (side, rate) in running {
            self.next_flood = now + Duration::from_millis(1);
            for _ in 0..rate {
                let captured = &peer(world, hosts[side]).captured;
                let Some((path, bytes)) = captured.get(self.draw.below(captured.len())) else { continue };
                let (mut path, bytes) = (*path, bytes.clone());
                // Before there are keys nothing tells a forged handshake from a real one on the same path. What was
                // captured may be of this flood, and from elsewhere already.
                if !connected || self.draw.chance(50) {
                    path.remote.set_port(ELSEWHERE);
                }
                let datagram = self.forged(bytes);
                world.network.forge(now, hosts[side], path, &datagram);
            }
        }
    }

    /// A datagram that is not the peer's, made from one that was.
    fn forged(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let draw = &mut self.draw;
        match draw.between(0, 7) {
            // As it was, once more.
            0 => {}
            1 => {
                let at = draw.below(bytes.len());
                bytes[at] ^= 1 << draw.below(8);
            }
            2 => bytes.truncate(draw.below(bytes.len())),
            3 => bytes = (0..draw.below(1200)).map(|_| draw.byte()).collect(),
            // Records of the epoch that counts, with any number, of any kind.
            4 => {
                bytes = vec![20 + draw.byte() % 4, 254, 253, 0, 1];
                bytes.extend((0..6).map(|_| draw.byte()));
                let len = draw.between(0, 200);
                bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
                bytes.extend((0..len).map(|_| draw.byte()));
            }
            // An alert that nobody has encrypted.
            5 => bytes = [&[21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 2][..], &[draw.byte()]].concat(),
            // The first byte of another protocol.
            _ => bytes[0] = draw.byte(),
        }
        bytes
    }
}

/// The number of the NAT that a side is behind.
fn nat_of(plan: &Plan, side: usize) -> usize {
    if side == 1 && plan.nats[0] { 1 } else { 0 }
}

/// A port of the other side's address that is not its own.
const ELSEWHERE: u16 = 9;

/// Interruptions that no session may be lost to: consent holds for 30 s (RFC 7675 §5.1).
const SURVIVED: Duration = Duration::from_secs(15);
