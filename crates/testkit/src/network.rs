use std::net::{IpAddr, SocketAddr};

use crypto::derive_seed;
use proto::{Arrival, Carrier, Ecn, Instant, Path};

use crate::nat::Translator;
use crate::{Link, Nat, Pipe};

/// Hosts with addresses, each with an access link, on networks behind NATs; in virtual time.
///
/// A datagram goes up its sender's link, through the NATs that it meets, and down the receiver's link.
/// What no host and no mapping waits for is lost.
#[derive(Debug)]
pub struct Network {
    seed: [u8; 32],
    hosts: Vec<Host>,
    nats: Vec<Router>,
}

/// A host of a [`Network`]; also the index of its machine in a [`World`](crate::World).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct HostId(pub usize);

/// A network that hosts and NATs are attached to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lan {
    /// The public Internet.
    Public,
    /// The inside of a NAT.
    Behind(usize),
}

#[derive(Debug)]
struct Host {
    addresses: Vec<IpAddr>,
    lan: Lan,
    up: Pipe<Packet>,
    down: Pipe<Packet>,
}

#[derive(Debug)]
struct Router {
    translator: Translator,
    lan: Lan,
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    source: SocketAddr,
    destination: SocketAddr,
    carrier: Carrier,
    ecn: Option<Ecn>,
}

impl Network {
    /// A network without hosts.
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, hosts: Vec::new(), nats: Vec::new() }
    }

    /// Adds a NAT with the address `outside` on `lan` and returns its inside.
    pub fn add_nat(&mut self, lan: Lan, outside: IpAddr, behaviour: Nat) -> Lan {
        let number = self.nats.len();
        let seed = derive_seed(&self.seed, &format!("nat {number}"));
        self.nats.push(Router { translator: Translator::new(behaviour, outside, seed), lan });
        Lan::Behind(number)
    }

    /// Adds a host; `link` holds in both directions.
    pub fn add_host(&mut self, lan: Lan, addresses: &[IpAddr], link: Link) -> HostId {
        let number = self.hosts.len();
        let seed = |way| derive_seed(&self.seed, &format!("host {number} {way}"));
        self.hosts.push(Host {
            addresses: addresses.to_vec(),
            lan,
            up: Pipe::new(link.clone(), seed("up")),
            down: Pipe::new(link, seed("down")),
        });
        HostId(number)
    }

    /// Changes the link of a host, `up` and `down`; what is under way arrives as it would have.
    pub fn set_links(&mut self, host: HostId, up: Link, down: Link) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.up.set_link(up);
            host.down.set_link(down);
        }
    }

    /// Gives a host other addresses, as a change of network does.
    pub fn set_addresses(&mut self, host: HostId, addresses: &[IpAddr]) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.addresses = addresses.to_vec();
        }
    }

    /// Makes the NAT whose inside is `lan` forget its mappings.
    pub fn forget_mappings(&mut self, lan: Lan) {
        if let Lan::Behind(number) = lan
            && let Some(router) = self.nats.get_mut(number)
        {
            router.translator.forget();
        }
    }

    /// Makes the NAT whose inside is `lan` forget its mappings, and map to other ports from now on.
    pub fn rebind(&mut self, lan: Lan) {
        if let Lan::Behind(number) = lan
            && let Some(router) = self.nats.get_mut(number)
        {
            router.translator.rebind();
        }
    }

    /// The links of a host, up and down.
    pub fn links(&self, host: HostId) -> Option<(&Link, &Link)> {
        self.hosts.get(host.0).map(|host| (host.up.link(), host.down.link()))
    }

    /// Somebody sends a datagram in the name of `path.remote`: it goes down the link of `host` as if it had
    /// come that way.
    pub fn forge(&mut self, now: Instant, host: HostId, path: Path, datagram: &[u8]) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            let Path { carrier, local, remote } = path;
            host.down.send(now, Packet { source: remote, destination: local, carrier, ecn: None }, datagram);
        }
    }

    /// `host` sends a datagram along `path`, which is as the sender sees it. One with a source address
    /// that the host does not have is lost.
    pub fn send(&mut self, now: Instant, host: HostId, path: Path, ecn: Option<Ecn>, datagram: &[u8]) {
        let Some(host) = self.hosts.get_mut(host.0) else { return };
        if host.addresses.contains(&path.local.ip()) {
            let packet = Packet { source: path.local, destination: path.remote, carrier: path.carrier, ecn };
            host.up.send(now, packet, datagram);
        }
    }

    /// When something happens next.
    pub fn due(&self) -> Option<Instant> {
        self.hosts.iter().flat_map(|host| [host.up.due(), host.down.due()]).flatten().min()
    }

    /// The next datagram that has arrived by `now`.
    pub fn receive(&mut self, now: Instant) -> Option<(HostId, Arrival, Vec<u8>)> {
        for number in 0..self.hosts.len() {
            while let Some((packet, datagram)) =
                self.hosts.get_mut(number).and_then(|host| host.up.receive(now))
            {
                let lan = self.hosts.get(number).map_or(Lan::Public, |host| host.lan);
                self.route(now, lan, packet, &datagram);
            }
        }
        for (number, host) in self.hosts.iter_mut().enumerate() {
            if let Some((packet, datagram)) = host.down.receive(now) {
                let path = Path { carrier: packet.carrier, local: packet.destination, remote: packet.source };
                return Some((HostId(number), Arrival { path, ecn: packet.ecn, at: now }, datagram));
            }
        }
        None
    }

    /// Carries a datagram that is on `lan` to where it goes from there.
    fn route(&mut self, now: Instant, lan: Lan, mut packet: Packet, datagram: &[u8]) {
        let to = packet.destination.ip();
        if let Some(host) = self.hosts.iter_mut().find(|host| host.lan == lan && host.addresses.contains(&to))
        {
            host.down.send(now, packet, datagram);
            return;
        }
        // A NAT that stands on this network lets it in, or not.
        if let Some(inside) =
            self.nats.iter().position(|nat| nat.lan == lan && nat.translator.outside() == to)
        {
            self.enter(now, inside, packet, datagram);
            return;
        }
        // Otherwise it leaves by the NAT that this network is behind.
        let Lan::Behind(number) = lan else { return };
        let Some(router) = self.nats.get_mut(number) else { return };
        let Packet { source, destination, carrier, .. } = packet;
        let Some(seen) = router.translator.outbound(now, carrier, source, destination) else { return };
        packet.source = seen;
        if router.translator.outside() == to {
            if router.translator.hairpin() {
                self.enter(now, number, packet, datagram);
            }
            return;
        }
        let lan = router.lan;
        self.route(now, lan, packet, datagram);
    }

    fn enter(&mut self, now: Instant, nat: usize, mut packet: Packet, datagram: &[u8]) {
        let Some(router) = self.nats.get_mut(nat) else { return };
        let Packet { source, destination, carrier, .. } = packet;
        if let Some(inside) = router.translator.inbound(now, carrier, destination.port(), source) {
            packet.destination = inside;
            self.route(now, Lan::Behind(nat), packet, datagram);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dependence, epoch};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn send(
        network: &mut Network,
        from: HostId,
        local: &str,
        remote: &str,
    ) -> Option<(HostId, String, String)> {
        network.send(epoch(), from, crate::path(local, remote), None, b"hello");
        let (host, arrival, datagram) = network.receive(epoch())?;
        assert_eq!(datagram, b"hello");
        Some((host, arrival.path.local.to_string(), arrival.path.remote.to_string()))
    }

    #[test]
    fn a_nat_rewrites_the_source_and_lets_the_answer_in() {
        let mut network = Network::new([1; 32]);
        let lan = network.add_nat(Lan::Public, ip("203.0.113.1"), Nat::cone());
        let inside = network.add_host(lan, &[ip("10.0.0.2")], Link::default());
        let server = network.add_host(Lan::Public, &[ip("192.0.2.1")], Link::default());
        assert_eq!(send(&mut network, server, "192.0.2.1:1", "203.0.113.1:4000"), None, "nobody asked");
        let seen = send(&mut network, inside, "10.0.0.2:4000", "192.0.2.1:1").unwrap();
        assert_eq!(seen, (server, "192.0.2.1:1".into(), "203.0.113.1:4000".into()));
        let seen = send(&mut network, server, "192.0.2.1:1", "203.0.113.1:4000").unwrap();
        assert_eq!(seen, (inside, "10.0.0.2:4000".into(), "192.0.2.1:1".into()));
        assert_eq!(send(&mut network, server, "192.0.2.1:2", "203.0.113.1:4000"), None, "another port");
        assert_eq!(send(&mut network, server, "192.0.2.9:1", "203.0.113.1:4000"), None, "a forged source");
        network.forget_mappings(lan);
        assert_eq!(send(&mut network, server, "192.0.2.1:1", "203.0.113.1:4000"), None, "forgotten");
    }

    #[test]
    fn hosts_behind_one_nat_meet_directly_or_by_hairpin() {
        for hairpin in [false, true] {
            let mut network = Network::new([1; 32]);
            let behaviour = Nat { hairpin, filtering: Dependence::EndpointIndependent, ..Nat::cone() };
            let lan = network.add_nat(Lan::Public, ip("203.0.113.1"), behaviour);
            let a = network.add_host(lan, &[ip("10.0.0.2")], Link::default());
            let b = network.add_host(lan, &[ip("10.0.0.3")], Link::default());
            let direct = send(&mut network, a, "10.0.0.2:1", "10.0.0.3:2").unwrap();
            assert_eq!(direct, (b, "10.0.0.3:2".into(), "10.0.0.2:1".into()));
            send(&mut network, b, "10.0.0.3:2", "192.0.2.1:1");
            let seen = send(&mut network, a, "10.0.0.2:1", "203.0.113.1:2");
            assert_eq!(seen.is_some(), hairpin);
        }
    }

    #[test]
    fn two_nats_in_a_row_translate_twice() {
        let mut network = Network::new([1; 32]);
        let carrier = network.add_nat(Lan::Public, ip("203.0.113.1"), Nat::symmetric());
        let home = network.add_nat(carrier, ip("100.64.0.7"), Nat::cone());
        let inside = network.add_host(home, &[ip("10.0.0.2")], Link::default());
        let server = network.add_host(Lan::Public, &[ip("192.0.2.1")], Link::default());
        let (host, _, source) = send(&mut network, inside, "10.0.0.2:4000", "192.0.2.1:1").unwrap();
        assert_eq!(host, server);
        assert!(source.starts_with("203.0.113.1:") && source != "203.0.113.1:4000", "{source}");
        let (host, local, _) = send(&mut network, server, "192.0.2.1:1", &source).unwrap();
        assert_eq!((host, local.as_str()), (inside, "10.0.0.2:4000"));
    }
}
