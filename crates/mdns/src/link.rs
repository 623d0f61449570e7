use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use proto::{Carrier, Path};

use crate::{CommandError, Discard};

/// One socket of multicast DNS: an interface and a family, and the networks of the interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    local: SocketAddr,
    networks: Vec<(IpAddr, u8)>,
}

impl Link {
    /// The link that datagrams arrive on with `local` as the local end of their path: the address of the
    /// interface, port 5353, and, for IPv6, the number of the interface as the scope.
    pub const fn new(local: SocketAddr) -> Self {
        Self { local, networks: Vec::new() }
    }

    /// Adds an address of the interface, of either family, with the bits that all its neighbours share.
    #[must_use]
    pub fn with_network(mut self, address: IpAddr, prefix: u8) -> Self {
        self.networks.push((address, prefix));
        self
    }

    /// The local end of its paths.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// The path to all hosts of the link (RFC 6762 §3).
    pub fn path(&self) -> Path {
        let remote = match self.local {
            SocketAddr::V4(_) => (GROUP_V4, PORT).into(),
            SocketAddr::V6(local) => SocketAddrV6::new(GROUP_V6, PORT, 0, local.scope_id()).into(),
        };
        Path { carrier: Carrier::Udp, local: self.local, remote }
    }

    /// Whether `address` belongs to the link: of one of its networks, or valid on links alone
    /// (RFC 6762 §11).
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let link_local = match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        link_local
            || address == self.local.ip()
            || self.networks.iter().any(|network| shares(*network, address))
    }
}

/// Whether `address` is in the network of `own` with so many bits in common.
fn shares((own, prefix): (IpAddr, u8), address: IpAddr) -> bool {
    match (own, address) {
        (IpAddr::V4(own), IpAddr::V4(address)) => {
            let differ = own.to_bits() ^ address.to_bits();
            differ.leading_zeros() >= u32::from(prefix.min(32))
        }
        (IpAddr::V6(own), IpAddr::V6(address)) => {
            let differ = own.to_bits() ^ address.to_bits();
            differ.leading_zeros() >= u32::from(prefix.min(128))
        }
        _ => false,
    }
}

/// The links of a machine.
#[derive(Debug, Default)]
pub(crate) struct Links(Vec<Link>);

impl Links {
    /// Adds a link, in place of one with the same local end. Says where it stands, and whether it is new.
    pub(crate) fn add(&mut self, link: Link, max: usize) -> Result<bool, CommandError> {
        if let Some(known) = self.0.iter_mut().find(|known| known.local == link.local) {
            *known = link;
            return Ok(false);
        }
        if self.0.len() >= max {
            return Err(CommandError::TooManyLinks);
        }
        self.0.push(link);
        Ok(true)
    }

    /// Removes a link, and says where it stood.
    pub(crate) fn remove(&mut self, local: SocketAddr) -> Option<usize> {
        let place = self.0.iter().position(|link| link.local == local)?;
        self.0.remove(place);
        Some(place)
    }

    pub(crate) fn get(&self, place: usize) -> Option<&Link> {
        self.0.get(place)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.0.iter()
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The link that a datagram came on, if it can have come from a neighbour.
    ///
    /// RFC 6762 §11: what was sent to the group is sure to come from the link, and what was sent to us
    /// alone must be checked. A path does not tell which it was, so everything is checked.
    pub(crate) fn find(&self, path: Path) -> Result<(usize, &Link), Discard> {
        let mut links = self.0.iter().enumerate();
        let (place, link) = links.find(|(_, link)| link.local == path.local).ok_or(Discard::UnknownLink)?;
        if link.has(path.remote.ip()) { Ok((place, link)) } else { Err(Discard::OffLink) }
    }
}

/// The port of multicast DNS (RFC 6762 §3).
pub const PORT: u16 = 5353;
/// The group of multicast DNS over IPv4 (RFC 6762 §3).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
/// The group of multicast DNS over IPv6 (RFC 6762 §3).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_told_by_the_networks() {
        let link = Link::new("192.0.2.10:5353".parse().unwrap())
            .with_network("192.0.2.10".parse().unwrap(), 25)
            .with_network("2001:db8::a".parse().unwrap(), 64);
        let inside =
            ["192.0.2.0", "192.0.2.127", "169.254.7.7", "2001:db8::ffff", "fe80::1", "::ffff:192.0.2.1"];
        let outside = ["192.0.2.128", "192.0.3.10", "127.0.0.1", "2001:db8:0:1::a", "::1", "::ffff:8.8.8.8"];
        assert!(inside.iter().all(|address| link.has(address.parse().unwrap())));
        assert!(outside.iter().all(|address| !link.has(address.parse().unwrap())));
        let whole = Link::new(link.local).with_network("10.0.0.1".parse().unwrap(), 0);
        assert!(whole.has("8.8.8.8".parse().unwrap()));
        let single = Link::new(link.local).with_network("10.0.0.1".parse().unwrap(), 200);
        assert!(single.has("10.0.0.1".parse().unwrap()) && !single.has("10.0.0.0".parse().unwrap()));
    }

    #[test]
    fn the_group_has_the_scope_of_the_link() {
        let path = Link::new("[fe80::1%3]:5353".parse().unwrap()).path();
        assert_eq!(path.remote, "[ff02::fb%3]:5353".parse().unwrap());
        let path = Link::new("127.0.0.1:5353".parse().unwrap()).path();
        assert_eq!(path.remote, "224.0.0.251:5353".parse().unwrap());
    }
}
