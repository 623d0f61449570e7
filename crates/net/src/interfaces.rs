use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

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
/// leaves out what needs a scope), each once. Where the system tells, none that is still being tried or about to go, and of
/// the IPv6 addresses of one network the temporary ones alone, if there are any: the others tell which machine it is
/// (RFC 8981).
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
    #[cfg(target_os = "linux")]
    if let Ok(states) = crate::address_states::address_states() {
        choose(&mut found, &states);
    }
    Ok(found)
}

/// Leaves out what is not to be used by its state.
#[cfg(target_os = "linux")]
fn choose(found: &mut Vec<Interface>, states: &BTreeMap<IpAddr, crate::address_states::AddressState>) {
    found.retain(|interface| states.get(&interface.address).is_none_or(|state| state.is_usable));
    let network = |address: IpAddr| match address {
        IpAddr::V6(v6) => v6.to_bits() >> 64,
        IpAddr::V4(_) => 0,
    };
    let temporary: Vec<(u32, u128)> = found
        .iter()
        .filter_map(|interface| Some((interface.address, states.get(&interface.address)?)))
        .filter(|(_, state)| state.is_temporary)
        .map(|(address, state)| (state.interface, network(address)))
        .collect();
    found.retain(|interface| {
        let address = interface.address;
        let state = states.get(&address).filter(|_| address.is_ipv6());
        state.is_none_or(|state| {
            state.is_temporary || !temporary.contains(&(state.interface, network(address)))
        })
    });
}

/// The address that the system would send from to the outside, of each family that leads there. Nothing is sent.
pub fn default_address(is_ipv4: bool) -> Option<IpAddr> {
    // Addresses for documentation (RFC 5737, RFC 3849) go where everything goes that is not nearer. The port is the
    // one that discards.
    let (any, outside): (SocketAddr, SocketAddr) = if is_ipv4 {
        (([0, 0, 0, 0], 0).into(), ([192, 0, 2, 1], 9).into())
    } else {
        ((Ipv6Addr::UNSPECIFIED, 0).into(), (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into())
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(outside).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified() && !address.is_loopback()).then_some(address)
}

/// The address that the system would send from to `remote`. Nothing is sent.
///
/// # Errors
///
/// No way leads there.
pub fn source_address(remote: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr =
        if remote.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(remote)?;
    Ok(socket.local_addr()?.ip())
}

/// An interface with all of its addresses, for multicast on its link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// The interface's name: `eth0`, for example.
    pub name: String,
    /// The addresses, link-local ones included, each with the number of bits that all neighbours share.
    /// The scope of a link-local IPv6 address is the number of the interface.
    pub networks: Vec<(SocketAddr, u8)>,
}

/// The interfaces that lead somewhere, in the order of their names, each with its addresses.
///
/// # Errors
///
/// If the system does not tell.
pub fn links() -> io::Result<Vec<Link>> {
    let mut found: BTreeMap<String, Vec<(SocketAddr, u8)>> = BTreeMap::new();
    for interface in webrtc_util::ifaces::ifaces()? {
        let (Some(address), Some(mask)) = (interface.addr, interface.mask) else { continue };
        if !address.ip().is_loopback() && !address.ip().is_unspecified() {
            found.entry(interface.name).or_default().push((address, prefix(mask.ip())));
        }
    }
    Ok(found.into_iter().map(|(name, networks)| Link { name, networks }).collect())
}

/// The ones that a mask begins with.
fn prefix(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(v4) => v4.to_bits().leading_ones(),
        IpAddr::V6(v6) => v6.to_bits().leading_ones(),
    };
    u8::try_from(ones).unwrap_or(u8::MAX)
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
    fn real_every_address_of_a_link_is_one_that_others_can_be_neighbours_of() {
        let found = links().unwrap();
        for (address, prefix) in found.iter().flat_map(|link| &link.networks) {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            assert!(*prefix <= bits && !address.ip().is_loopback(), "{address}/{prefix}");
        }
        // All but the loopback addresses that can be candidates are among them.
        for interface in interfaces().unwrap().into_iter().filter(|interface| !interface.is_loopback) {
            let link = found.iter().find(|link| link.name == interface.name).unwrap();
            assert!(link.networks.iter().any(|(address, _)| address.ip() == interface.address));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn temporary_addresses_stand_for_their_network() {
        use crate::address_states::AddressState;
        let state = |interface, is_temporary, is_usable| AddressState { interface, is_temporary, is_usable };
        let all = [
            ("10.0.0.1", state(1, false, true)),
            ("2001:db8:0:1::1", state(1, false, true)),
            ("2001:db8:0:1::2", state(1, true, true)),
            ("2001:db8:0:1::3", state(1, true, false)),
            ("2001:db8:0:2::1", state(1, false, true)),
            ("2001:db8:0:1::4", state(2, false, true)),
        ];
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        let states = all.iter().map(|(text, state)| (parse(text), *state)).collect();
        let interface =
            |text: &str| Interface { name: "eth0".to_owned(), address: parse(text), is_loopback: false };
        let mut found: Vec<Interface> = all.iter().map(|(text, _)| interface(text)).collect();
        choose(&mut found, &states);
        let left: Vec<String> = found.iter().map(|interface| interface.address.to_string()).collect();
        assert_eq!(left, ["10.0.0.1", "2001:db8:0:1::2", "2001:db8:0:2::1", "2001:db8:0:1::4"]);
    }

    #[test]
    fn a_mask_is_as_many_bits_as_it_begins_with() {
        for (mask, bits) in
            [("0.0.0.0", 0), ("255.255.254.0", 23), ("ffff:ffff:ffff:ffff::", 64), ("255.255.255.255", 32)]
        {
            assert_eq!(prefix(mask.parse().unwrap()), bits, "{mask}");
        }
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
