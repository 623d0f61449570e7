//! What Linux knows of its addresses beyond their being there (rtnetlink(7), `RTM_GETADDR`).

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// The state of an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct AddressState {
    /// The number of its interface.
    pub(crate) interface: u32,
    /// One that is replaced from time to time, so that it does not tell one machine from the others (RFC 8981).
    pub(crate) is_temporary: bool,
    /// Whether new conversations may begin from it: not a duplicate, not still being tried, not about to go.
    pub(crate) is_usable: bool,
}

/// The states of all addresses. Asks the kernel, which answers at once.
pub(crate) fn address_states() -> io::Result<BTreeMap<IpAddr, AddressState>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_DUMP | NLM_F_REQUEST;
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let mut request = NetlinkMessage::new(header, NetlinkPayload::from(request));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut found = BTreeMap::new();
    for _ in 0..MAX_DATAGRAMS {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest);
            let message =
                message.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            if let NetlinkPayload::Done(_) = &message.payload {
                return Ok(found);
            } else if let NetlinkPayload::Error(error) = &message.payload {
                return Err(error.to_io());
            } else if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(address)) =
                &message.payload
            {
                found.extend(state(address));
            }
            // Messages begin at multiples of four bytes.
            let len = usize::try_from(message.header.length).unwrap_or(usize::MAX).max(1).next_multiple_of(4);
            rest = rest.get(len..).unwrap_or_default();
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

fn state(message: &AddressMessage) -> Option<(IpAddr, AddressState)> {
    let (mut address, mut local) = (None, None);
    let mut flags = AddressFlags::from_bits_retain(message.header.flags.bits().into());
    for attribute in &message.attributes {
        // Of a link between two the other end is the address, and the local one ours.
        if let AddressAttribute::Address(it) = attribute {
            address = Some(*it);
        } else if let AddressAttribute::Local(it) = attribute {
            local = Some(*it);
        } else if let AddressAttribute::Flags(it) = attribute {
            flags = *it;
        }
    }
    let address = local.or(address)?;
    let unusable = AddressFlags::Dadfailed | AddressFlags::Tentative | AddressFlags::Deprecated;
    Some((
        address,
        AddressState {
            interface: message.header.index,
            // Of IPv4 the flag says that there is another address of the same network.
            is_temporary: address.is_ipv6() && flags.contains(AddressFlags::Secondary),
            is_usable: !flags.intersects(unusable) || flags.contains(AddressFlags::Optimistic),
        },
    ))
}

/// More than any machine's addresses take.
const MAX_DATAGRAMS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_the_loopback_address_is_usable_and_not_temporary() {
        let found = address_states().unwrap();
        let state = found.get(&IpAddr::from([127, 0, 0, 1])).expect("it is up");
        assert!(state.is_usable && !state.is_temporary && state.interface > 0, "{found:?}");
    }

    #[test]
    fn flags_say_what_can_be_used() {
        let state_of = |address: &str, flags| {
            let mut message = AddressMessage::default();
            message.header.index = 7;
            message.attributes.push(AddressAttribute::Address(address.parse().unwrap()));
            message.attributes.push(AddressAttribute::Flags(flags));
            let (found, state) = state(&message).unwrap();
            assert_eq!((found, state.interface), (address.parse().unwrap(), 7));
            (state.is_temporary, state.is_usable)
        };
        assert_eq!(state_of("2001:db8::1", AddressFlags::Permanent), (false, true));
        assert_eq!(state_of("2001:db8::1", AddressFlags::Secondary), (true, true));
        assert_eq!(state_of("10.0.0.1", AddressFlags::Secondary), (false, true));
        assert_eq!(state_of("2001:db8::1", AddressFlags::Tentative), (false, false));
        assert_eq!(
            state_of("2001:db8::1", AddressFlags::Tentative | AddressFlags::Optimistic),
            (false, true)
        );
        assert_eq!(state_of("2001:db8::1", AddressFlags::Dadfailed), (false, false));
        assert_eq!(state_of("2001:db8::1", AddressFlags::Deprecated), (false, false));
    }
}
