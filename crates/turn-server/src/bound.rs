use std::net::SocketAddr;

use net::{Transport, UdpSocket};
use tokio::net::{TcpListener, TcpSocket};
use turn::server::Discovery;

use crate::{Config, Error};

/// Where the clients of one worker are heard.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    pub(crate) udp: Vec<UdpSocket>,
    pub(crate) tcp: Vec<(SocketAddr, TcpListener)>,
    pub(crate) tls: Vec<(SocketAddr, TcpListener)>,
    pub(crate) dtls: Vec<UdpSocket>,
}

impl Bound {
    /// Binds the first worker's sockets, which choose the ports, and those of behaviour discovery.
    pub(crate) fn first(config: &Config) -> Result<(Self, Vec<Discovery>), Error> {
        let (mut bound, is_shared) = (Self::default(), config.workers > 1);
        for address in expand(&config.udp)? {
            bound.udp.push(listen_udp(address, is_shared)?);
        }
        let alternates = config.alternates.iter();
        let discovery = alternates
            .map(|alternate| alternate.bind(&mut bound.udp, is_shared))
            .collect::<Result<_, _>>()?;
        for mut address in expand(&config.tcp)? {
            let beside = bound.udp.iter().map(UdpSocket::local_address);
            if let (0, Some(udp)) = (address.port(), beside.clone().find(|udp| udp.ip() == address.ip())) {
                address.set_port(udp.port());
            }
            bound.tcp.push(listen_tcp(address, is_shared)?);
        }
        for address in expand(&config.tls)? {
            if config.certificate.is_none() {
                return Err(Error::NoCertificate);
            }
            bound.tls.push(listen_tcp(address, is_shared)?);
        }
        for address in expand(&config.dtls)? {
            if config.dtls_certificate.is_none() {
                return Err(Error::NoCertificate);
            }
            bound.dtls.push(listen_udp(address, is_shared)?);
        }
        Ok((bound, discovery))
    }

    /// Another worker's, at the same addresses.
    pub(crate) fn another(&self) -> Result<Self, Error> {
        let again = |listeners: &[(SocketAddr, TcpListener)]| {
            listeners.iter().map(|(address, _)| listen_tcp(*address, true)).collect::<Result<_, _>>()
        };
        let again_udp = |sockets: &[UdpSocket]| {
            sockets.iter().map(|socket| listen_udp(socket.local_address(), true)).collect::<Result<_, _>>()
        };
        Ok(Self {
            udp: again_udp(&self.udp)?,
            tcp: again(&self.tcp)?,
            tls: again(&self.tls)?,
            dtls: again_udp(&self.dtls)?,
        })
    }
}

/// One for each address of this machine where an unspecified one stands for all of them.
fn expand(addresses: &[SocketAddr]) -> Result<Vec<SocketAddr>, Error> {
    let mut expanded = Vec::new();
    for address in addresses {
        if !address.ip().is_unspecified() {
            expanded.push(*address);
            continue;
        }
        for interface in net::interfaces().map_err(Error::Interfaces)? {
            if !interface.is_loopback && interface.address.is_ipv4() == address.is_ipv4() {
                expanded.push(SocketAddr::new(interface.address, address.port()));
            }
        }
    }
    Ok(expanded)
}

/// One that other workers share, if there are any.
pub(crate) fn listen_udp(address: SocketAddr, is_shared: bool) -> Result<UdpSocket, Error> {
    let bound = if is_shared { UdpSocket::bind_shared(address) } else { UdpSocket::bind(address) };
    bound.map_err(|source| Error::Bind { address, source })
}

fn listen_tcp(address: SocketAddr, is_shared: bool) -> Result<(SocketAddr, TcpListener), Error> {
    let fail = |source| Error::Bind { address, source };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(fail)?;
    // As tokio's own listener: a server that starts again takes over from connections that are closing.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true).map_err(fail)?;
    #[cfg(unix)]
    socket.set_reuseport(is_shared).map_err(fail)?;
    #[cfg(not(unix))]
    if is_shared {
        return Err(fail(std::io::ErrorKind::Unsupported.into()));
    }
    socket.bind(address).map_err(fail)?;
    let listener = socket.listen(BACKLOG).map_err(fail)?;
    Ok((listener.local_addr().map_err(fail)?, listener))
}

/// Connections that wait to be accepted, as tokio has it.
const BACKLOG: u32 = 1024;
