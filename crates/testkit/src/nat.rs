use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crypto::Rng;
use proto::Instant;

/// What a mapping or a filter depends on (RFC 4787 §4.1 and §5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dependence {
    /// Nothing of the far end: one mapping for all; whoever knows it may send.
    EndpointIndependent,
    /// The address of the far end.
    Address,
    /// The address and the port of the far end.
    AddressAndPort,
}

/// How a NAT behaves, in the words of RFC 4787.
#[derive(Clone, Copy, Debug)]
pub struct Nat {
    /// When a new mapping is made (§4.1).
    pub mapping: Dependence,
    /// From whom datagrams are let in (§5).
    pub filtering: Dependence,
    /// Whether hosts inside reach each other by their outside addresses (§6).
    pub hairpin: bool,
    /// Whether the outside port is the inside one where that is free (§4.2.1).
    pub preserve_port: bool,
    /// How long a mapping lives after the last datagram out (§4.3).
    pub lifetime: Duration,
}

impl Nat {
    /// The NAT of most homes: one mapping for all, filtered by address and port.
    pub const fn cone() -> Self {
        Self {
            mapping: Dependence::EndpointIndependent,
            filtering: Dependence::AddressAndPort,
            hairpin: false,
            preserve_port: true,
            lifetime: Duration::from_secs(120),
        }
    }

    /// A mapping of its own for every destination: the one that defeats STUN.
    pub const fn symmetric() -> Self {
        Self { mapping: Dependence::AddressAndPort, preserve_port: false, ..Self::cone() }
    }
}

/// The tables of one NAT.
#[derive(Debug)]
pub(crate) struct Translator {
    behaviour: Nat,
    outside: IpAddr,
    mappings: BTreeMap<(SocketAddr, Option<IpAddr>, Option<u16>), u16>,
    ports: BTreeMap<u16, Mapping>,
    rng: Rng,
}

#[derive(Debug)]
struct Mapping {
    inside: SocketAddr,
    permitted: Vec<SocketAddr>,
    last_out: Instant,
}

impl Translator {
    pub(crate) fn new(behaviour: Nat, outside: IpAddr, seed: [u8; 32]) -> Self {
        Self { behaviour, outside, mappings: BTreeMap::new(), ports: BTreeMap::new(), rng: Rng::new(seed) }
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
        self.ports.clear();
    }

    /// Forgets every mapping, and gives other ports from now on.
    pub(crate) fn rebind(&mut self) {
        self.forget();
        self.behaviour.preserve_port = false;
    }

    /// The source that a datagram from `inside` to `remote` gets.
    pub(crate) fn outbound(&mut self, now: Instant, inside: SocketAddr, remote: SocketAddr) -> SocketAddr {
        self.expire(now);
        let key = match self.behaviour.mapping {
            Dependence::EndpointIndependent => (inside, None, None),
            Dependence::Address => (inside, Some(remote.ip()), None),
            Dependence::AddressAndPort => (inside, Some(remote.ip()), Some(remote.port())),
        };
        let known = self.mappings.get(&key).copied();
        let port = known.unwrap_or_else(|| self.free_port(inside.port()));
        self.mappings.insert(key, port);
        let mapping =
            self.ports.entry(port).or_insert(Mapping { inside, permitted: Vec::new(), last_out: now });
        mapping.last_out = now;
        if !mapping.permitted.contains(&remote) {
            mapping.permitted.push(remote);
        }
        SocketAddr::new(self.outside, port)
    }

    /// The destination inside of a datagram from `remote` to our `port`, if it is let in.
    pub(crate) fn inbound(&mut self, now: Instant, port: u16, remote: SocketAddr) -> Option<SocketAddr> {
        self.expire(now);
        let mapping = self.ports.get(&port)?;
        let permitted = match self.behaviour.filtering {
            Dependence::EndpointIndependent => true,
            Dependence::Address => mapping.permitted.iter().any(|to| to.ip() == remote.ip()),
            Dependence::AddressAndPort => mapping.permitted.contains(&remote),
        };
        permitted.then_some(mapping.inside)
    }

    fn expire(&mut self, now: Instant) {
        let lifetime = self.behaviour.lifetime;
        self.ports.retain(|_, mapping| now - mapping.last_out <= lifetime);
        self.mappings.retain(|_, port| self.ports.contains_key(port));
    }

    fn free_port(&mut self, wanted: u16) -> u16 {
        let mut port = wanted;
        while !self.behaviour.preserve_port && port == wanted || self.ports.contains_key(&port) {
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
            let first = nat.outbound(epoch(), inside, at("192.0.2.1:1"));
            assert_eq!(first, nat.outbound(epoch(), inside, at("192.0.2.1:1")));
            assert_eq!(first == nat.outbound(epoch(), inside, at("192.0.2.1:2")), equal[0]);
            assert_eq!(first == nat.outbound(epoch(), inside, at("192.0.2.9:1")), equal[1]);
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
            let port = nat.outbound(epoch(), at("10.0.0.2:4000"), at("192.0.2.1:1")).port();
            assert_eq!(port, 4000, "preserved");
            let seen = ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.9:1"]
                .map(|from| nat.inbound(epoch(), port, at(from)).is_some());
            assert_eq!(seen, let_in);
        }
    }

    #[test]
    fn mappings_end_when_nothing_goes_out() {
        let mut nat = translator(Nat::cone());
        let (inside, remote) = (at("10.0.0.2:4000"), at("192.0.2.1:1"));
        let port = nat.outbound(epoch(), inside, remote).port();
        let later = epoch() + Duration::from_secs(120);
        assert_eq!(nat.inbound(later, port, remote), Some(inside));
        assert_eq!(nat.inbound(later + Duration::from_nanos(1), port, remote), None);
    }
}
