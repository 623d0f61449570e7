use std::net::{IpAddr, SocketAddr};

use net::{Transport, UdpSocket};
use turn::server::{Discovery, RelayAddress};

use crate::Error;
use crate::bound::listen_udp;

/// The second address and port over which clients find out what their NAT does (RFC 5780): the server listens
/// there, at this port of its first address, and at its first port of this address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Alternate {
    /// Another address of this machine and another port than those of the first UDP listener of its family.
    /// Port 0 lets the system choose.
    pub address: SocketAddr,
    /// How clients see the address: another one behind a 1:1 NAT.
    pub external: IpAddr,
}

impl Alternate {
    /// One that clients see as it is.
    pub const fn at(address: SocketAddr) -> Self {
        Self { address, external: address.ip() }
    }

    /// Binds the three ends that are not bound yet. What comes of it has the first address as it is bound, for
    /// whoever knows how clients see that.
    pub(crate) fn bind(&self, udp: &mut Vec<UdpSocket>, is_shared: bool) -> Result<Discovery, Error> {
        let (address, wrong) = (self.address, Error::Alternate(self.address));
        let is_first = |local: &SocketAddr| local.is_ipv4() == address.is_ipv4();
        let Some(first) = udp.iter().map(UdpSocket::local_address).find(is_first) else { return Err(wrong) };
        if first.ip() == address.ip() || first.port() == address.port() || address.ip().is_unspecified() {
            return Err(wrong);
        }
        let mut bind = |address: SocketAddr| {
            if udp.iter().any(|socket| socket.local_address() == address) {
                return Ok(address);
            }
            let socket = listen_udp(address, is_shared)?;
            let bound = socket.local_address();
            udp.push(socket);
            Ok(bound)
        };
        let port = bind(SocketAddr::new(first.ip(), address.port()))?.port();
        bind(SocketAddr::new(address.ip(), first.port()))?;
        bind(SocketAddr::new(address.ip(), port))?;
        let seen = |local, external| RelayAddress { local, external };
        let addresses = [seen(first.ip(), first.ip()), seen(address.ip(), self.external)];
        Ok(Discovery { addresses, ports: [first.port(), port] })
    }
}
