use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crypto::Rng;
use proto::{Carrier, Instant};

/// What a mapping or a filter depends on (RFC 4787 §4.1 and §5).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Dependence {
    /// Nothing of the far end: one mapping for all; whoever knows it may send.
    EndpointIndependent,
    /// The address of the far end.
    Address,
    /// The address and the port of the far end.
    AddressAndPort,
}

/// Which outside port a new mapping gets (RFC 4787 §4.2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ports {
    /// Any.
    Random,
    /// That of the inside where it is free, and any other where it is not.
    Preserved,
    /// That of the inside, also where another mapping of the same inside has it already: what tells the two apart
    /// is the far end. Linux masquerades so.
    Overloaded,
}

/// What a firewall lets out, and the answers in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Passage {
    /// All.
    Everything,
    /// What is not UDP.
    NoUdp,
    /// TCP to port 443, and nothing else.
    Tcp443,
}

/// How a NAT behaves, in the words of RFC 4787, and what it lets pass at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Nat {
    /// When a new mapping is made (§4.1).
    pub mapping: Dependence,
    /// From whom datagrams are let in (§5).
    pub filtering: Dependence,
    /// Whether hosts inside reach each other by their outside addresses (§6).
    pub hairpin: bool,
    /// Which port a mapping gets (§4.2.1).
    pub ports: Ports,
    /// How long a mapping lives after the last datagram out (§4.3).
    pub lifetime: Duration,
    /// What is let out.
    pub passage: Passage,
}

impl Nat {
    /// The NAT of most homes: one mapping for all, filtered by address and port.
    pub const fn cone() -> Self {
        Self {
            mapping: Dependence::EndpointIndependent,
            filtering: Dependence::AddressAndPort,
            hairpin: false,
            ports: Ports::Preserved,
            lifetime: Duration::from_secs(120),
            passage: Passage::Everything,
        }
    }

    /// A mapping of its own for every destination: the one that defeats STUN.
    pub const fn symmetric() -> Self {
        Self { mapping: Dependence::AddressAndPort, ports: Ports::Random, ..Self::cone() }
    }
}

/// The tables of one NAT.
#[derive(Debug)]
pub(crate) struct Translator {
    behaviour: Nat,
    outside: IpAddr,
    mappings: BTreeMap<Key, Mapping>,
    rng: Rng,
}

/// What has a mapping of its own. UDP and TCP have separate ports (RFC 5382 §4).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Key {
    is_udp: bool,
    inside: SocketAddr,
    address: Option<IpAddr>,
    port: Option<u16>,
}

#[derive(Debug)]
struct Mapping {
    port: u16,
    permitted: Vec<SocketAddr>,
    last_out: Instant,
}

impl Translator {
    pub(crate) fn new(behaviour: Nat, outside: IpAddr, seed: [u8; 32]) -> Self {
        Self { behaviour, outside, mappings: BTreeMap::new(), rng: Rng::new(seed) }
    }

    pub(crate) const fn outside(&self) -> IpAddr {
        self.outside
    }

    pub(crate) const fn hairpin(&self) -> bool {
        self.behaviour.hairpin
    }

    /// Forgets every mapping, as a restart does.
    pub(crate) fn forget(&mut self) {
        self.mappings.clear();
    }

    /// Forgets every mapping, and gives other ports from now on.
    pub(crate) fn rebind(&mut self) {
        self.forget();
        self.behaviour.ports = Ports::Random;
    }

    /// The source that a datagram from `inside` to `remote` gets; `None` if it is not let out.
    pub(crate) fn outbound(
        &mut self,
        now: Instant,
        carrier: Carrier,
        inside: SocketAddr,
        remote: SocketAddr,
    ) -> Option<SocketAddr> {
        self.expire(now);
        let is_udp = carrier == Carrier::Udp;
        let is_let_out = match self.behaviour.passage {
            Passage::Everything => true,
            Passage::NoUdp => !is_udp,
            Passage::Tcp443 => !is_udp && remote.port() == 443,
        };
        if !is_let_out {
            return None;
        }
        let (address, port) = match self.behaviour.mapping {
            Dependence::EndpointIndependent => (None, None),
            Dependence::Address => (Some(remote.ip()), None),
            Dependence::AddressAndPort => (Some(remote.ip()), Some(remote.port())),
        };
        let key = Key { is_udp, inside, address, port };
        let known = self.mappings.get(&key).map(|mapping| mapping.port);
        let port = known.unwrap_or_else(|| self.free_port(is_udp, inside));
        let fresh = Mapping { port, permitted: Vec::new(), last_out: now };
        let mapping = self.mappings.entry(key).or_insert(fresh);
        mapping.last_out = now;
        if !mapping.permitted.contains(&remote) {
            mapping.permitted.push(remote);
        }
        Some(SocketAddr::new(self.outside, port))
    }

    /// The destination inside of a datagram from `remote` to our `port`, if it is let in.
    pub(crate) fn inbound(
        &mut self,
        now: Instant,
        carrier: Carrier,
        port: u16,
        remote: SocketAddr,
    ) -> Option<SocketAddr> {
        self.expire(now);
        let is_udp = carrier == Carrier::Udp;
        let filtering = self.behaviour.filtering;
        let permits = |mapping: &Mapping| match filtering {
            Dependence::EndpointIndependent => true,
            Dependence::Address => mapping.permitted.iter().any(|to| to.ip() == remote.ip()),
            Dependence::AddressAndPort => mapping.permitted.contains(&remote),
        };
        let mut open = self.mappings.iter().filter(|(key, it)| key.is_udp == is_udp && it.port == port);
        open.find(|(_, mapping)| permits(mapping)).map(|(key, _)| key.inside)
    }

    fn expire(&mut self, now: Instant) {
        let lifetime = self.behaviour.lifetime;
        self.mappings.retain(|_, mapping| now - mapping.last_out <= lifetime);
    }

    fn free_port(&mut self, is_udp: bool, inside: SocketAddr) -> u16 {
        let ports = self.behaviour.ports;
        let is_free = |mappings: &BTreeMap<Key, Mapping>, port: u16| {
            let mut users = mappings.iter().filter(|(key, it)| key.is_udp == is_udp && it.port == port);
            users.all(|(key, _)| ports == Ports::Overloaded && key.inside == inside)
        };
        let mut port = inside.port();
        while ports == Ports::Random && port == inside.port() || !is_free(&self.mappings, port) {
            port = 1024 + u16::try_from(self.rng.below(64_000)).unwrap_or(0);
        }
        port
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn translator(behaviour: Nat) -> Translator {
        Translator::new(behaviour, "203.0.113.1".parse().unwrap(), [1; 32])
    }

    #[test]
    fn mappings_depend_on_what_they_should() {
        let inside = at("10.0.0.2:4000");
        for (mapping, equal) in [
            (Dependence::EndpointIndependent, [true, true]),
            (Dependence::Address, [true, false]),
            (Dependence::AddressAndPort, [false, false]),
        ] {
            let mut nat = translator(Nat { mapping, ..Nat::symmetric() });
            let first = nat.outbound(epoch(), Carrier::Udp, inside, at("192.0.2.1:1"));
            assert_eq!(first, nat.outbound(epoch(), Carrier::Udp, inside, at("192.0.2.1:1")));
            assert_eq!(first == nat.outbound(epoch(), Carrier::Udp, inside, at("192.0.2.1:2")), equal[0]);
            assert_eq!(first == nat.outbound(epoch(), Carrier::Udp, inside, at("192.0.2.9:1")), equal[1]);
        }
    }

    #[test]
    fn filters_depend_on_what_they_should() {
        for (filtering, let_in) in [
            (Dependence::EndpointIndependent, [true, true, true]),
            (Dependence::Address, [true, true, false]),
            (Dependence::AddressAndPort, [true, false, false]),
        ] {
            let mut nat = translator(Nat { filtering, ..Nat::cone() });
            let port =
                nat.outbound(epoch(), Carrier::Udp, at("10.0.0.2:4000"), at("192.0.2.1:1")).unwrap().port();
            assert_eq!(port, 4000, "preserved");
            let seen = ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.9:1"]
                .map(|from| nat.inbound(epoch(), Carrier::Udp, port, at(from)).is_some());
            assert_eq!(seen, let_in);
        }
    }

    #[test]
    fn mappings_end_when_nothing_goes_out() {
        let mut nat = translator(Nat::cone());
        let (inside, remote) = (at("10.0.0.2:4000"), at("192.0.2.1:1"));
        let port = nat.outbound(epoch(), Carrier::Udp, inside, remote).unwrap().port();
        let later = epoch() + Duration::from_secs(120);
        assert_eq!(nat.inbound(later, Carrier::Udp, port, remote), Some(inside));
        assert_eq!(nat.inbound(later + Duration::from_nanos(1), Carrier::Udp, port, remote), None);
    }

    #[test]
    fn an_overloaded_port_is_that_of_one_inside_alone() {
        let mut nat = translator(Nat { ports: Ports::Overloaded, ..Nat::symmetric() });
        let mut out =
            |inside, remote| nat.outbound(epoch(), Carrier::Udp, at(inside), at(remote)).unwrap().port();
        assert_eq!(out("10.0.0.2:4000", "192.0.2.1:1"), 4000);
        assert_eq!(out("10.0.0.2:4000", "192.0.2.1:2"), 4000);
        assert_ne!(out("10.0.0.3:4000", "192.0.2.1:1"), 4000);
        // The filter of each mapping is its own, and any of them lets in.
        for (from, inside) in [("192.0.2.1:1", true), ("192.0.2.1:2", true), ("192.0.2.1:3", false)] {
            let seen = nat.inbound(epoch(), Carrier::Udp, 4000, at(from));
            assert_eq!(seen, inside.then(|| at("10.0.0.2:4000")), "{from}");
        }
    }

    #[test]
    fn a_preserved_port_that_is_taken_becomes_another() {
        let mut nat = translator(Nat { ports: Ports::Preserved, ..Nat::symmetric() });
        let mut out =
            |remote| nat.outbound(epoch(), Carrier::Udp, at("10.0.0.2:4000"), at(remote)).unwrap().port();
        assert_eq!(out("192.0.2.1:1"), 4000);
        assert_ne!(out("192.0.2.1:2"), 4000);
    }

    #[test]
    fn a_firewall_lets_out_what_it_says() {
        for (passage, let_out) in [
            (Passage::Everything, [true, true, true]),
            (Passage::NoUdp, [false, true, true]),
            (Passage::Tcp443, [false, true, false]),
        ] {
            let mut nat = translator(Nat { passage, ..Nat::cone() });
            let seen = [(Carrier::Udp, 443), (Carrier::Stream, 443), (Carrier::Stream, 3478)].map(
                |(carrier, port)| {
                    let remote = SocketAddr::new("192.0.2.1".parse().unwrap(), port);
                    nat.outbound(epoch(), carrier, at("10.0.0.2:4000"), remote).is_some()
                },
            );
            assert_eq!(seen, let_out, "{passage:?}");
        }
    }

    #[test]
    fn ports_of_udp_and_tcp_are_not_the_same() {
        let mut nat = translator(Nat { filtering: Dependence::EndpointIndependent, ..Nat::cone() });
        let (inside, remote) = (at("10.0.0.2:4000"), at("192.0.2.1:1"));
        let port = nat.outbound(epoch(), Carrier::Udp, inside, remote).unwrap().port();
        assert_eq!(nat.inbound(epoch(), Carrier::Udp, port, remote), Some(inside));
        assert_eq!(nat.inbound(epoch(), Carrier::Stream, port, remote), None);
    }
}
