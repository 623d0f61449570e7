use std::io;
use std::net::{IpAddr, Ipv6Addr};

/// An address of this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interface {
    /// The interface's name: `eth0`, for example.
    pub name: String,
    /// One of its addresses.
    pub address: IpAddr,
    /// Whether it leads nowhere but back.
    pub is_loopback: bool,
}

/// The addresses that can be candidates: no unspecified, multicast or link-local ones (RFC 8445 §5.1.1.1
/// leaves out what needs a scope), each once.
///
/// # Errors
///
/// If the system does not tell.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut found: Vec<Interface> = Vec::new();
    for interface in webrtc_util::ifaces::ifaces()? {
        let Some(address) = interface.addr.map(|address| address.ip()) else { continue };
        let usable = !address.is_unspecified() && !address.is_multicast() && !is_link_local(address);
        if usable && found.iter().all(|known| known.address != address) {
            found.push(Interface { name: interface.name, address, is_loopback: address.is_loopback() });
        }
    }
    Ok(found)
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || is_site_local(v6) || v6.to_ipv4_mapped().is_some(),
    }
}

/// RFC 3879 did away with these; RFC 8445 §5.1.1.1 leaves them out.
fn is_site_local(address: Ipv6Addr) -> bool {
    let [first, ..] = address.segments();
    first & 0xffc0 == 0xfec0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_loopback_is_among_the_addresses() {
        let found = interfaces().unwrap();
        assert!(found.iter().any(|interface| interface.is_loopback && interface.address.is_ipv4()));
        assert!(found.iter().all(|interface| !is_link_local(interface.address)));
    }

    #[test]
    fn addresses_that_need_a_scope_are_left_out() {
        for text in ["fe80::1", "fec0::1", "169.254.1.1", "::ffff:10.0.0.1"] {
            assert!(is_link_local(text.parse().unwrap()), "{text}");
        }
        for text in ["fd00::1", "2001:db8::1", "10.0.0.1", "::1"] {
            assert!(!is_link_local(text.parse().unwrap()), "{text}");
        }
    }
}
