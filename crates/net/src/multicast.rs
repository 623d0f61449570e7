use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};

use socket2::{Domain, Protocol, Socket, Type};

/// Opens a socket of `group` on the link of `interface`, and tells the local end of its paths.
pub(crate) fn open(
    group: SocketAddr,
    interface: SocketAddr,
) -> io::Result<(std::net::UdpSocket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
    // RFC 6762 §15: the port belongs to all programs of the machine.
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    let mut local = interface;
    local.set_port(group.port());
    match (group, interface) {
        (SocketAddr::V4(group), SocketAddr::V4(interface)) => {
            bind(&socket, group.into(), (Ipv4Addr::UNSPECIFIED, group.port()).into())?;
            socket.join_multicast_v4(group.ip(), interface.ip())?;
            socket.set_multicast_if_v4(interface.ip())?;
            socket.set_multicast_loop_v4(true)?;
            socket.set_multicast_ttl_v4(HOPS)?;
            #[cfg(any(target_os = "android", target_os = "linux"))]
            socket.set_multicast_all_v4(false)?;
        }
        (SocketAddr::V6(group), SocketAddr::V6(interface)) => {
            let scope = interface.scope_id();
            socket.set_only_v6(true)?;
            let any = SocketAddrV6::new(std::net::Ipv6Addr::UNSPECIFIED, group.port(), 0, 0);
            let group = SocketAddrV6::new(*group.ip(), group.port(), 0, scope);
            bind(&socket, group.into(), any.into())?;
            socket.join_multicast_v6(group.ip(), scope)?;
            socket.set_multicast_if_v6(scope)?;
            socket.set_multicast_loop_v6(true)?;
            socket.set_multicast_hops_v6(HOPS)?;
            #[cfg(any(target_os = "android", target_os = "linux"))]
            socket.set_multicast_all_v6(false)?;
        }
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    }
    Ok((socket.into(), local))
}

/// Bound to the group itself a socket hears nothing that was sent to the machine alone. Windows refuses
/// that, and binds to all addresses.
fn bind(socket: &Socket, group: SocketAddr, any: SocketAddr) -> io::Result<()> {
    socket.bind(&if cfg!(unix) { group } else { any }.into())
}

/// RFC 6762 §11: so that a datagram shows that it has not crossed a router.
const HOPS: u32 = 255;
