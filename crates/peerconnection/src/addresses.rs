//! Which addresses and ports of the machine an endpoint has.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use net::{Interface, Listener, Transport, UdpSocket};

use crate::Error;

/// Which addresses of the machine are used and shown (RFC 8828 §5.2, modes 1 to 3). Mode 4, nothing but a proxy, is
/// [`IceTransportPolicy::Relay`](crate::IceTransportPolicy::Relay) with a server over TCP or TLS.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum IpHandling {
    /// Those of all interfaces (mode 1).
    #[default]
    All,
    /// The one of each family by which the machine reaches the outside (mode 2).
    DefaultRoute,
    /// The same, and the peer does not learn it, but only what servers see of it (mode 3).
    DefaultPublic,
}

/// How connections that come to a TCP port are borne with before it is known whose they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TcpLimits {
    /// Connections of which nothing was heard yet; of more the oldest is closed. Default: 128.
    pub max_waiting: usize,
    /// The same from one address, or one IPv6 network of 64 bits; more are closed at once. Default: 8.
    pub max_waiting_per_source: usize,
    /// How long the first message may take. Default: 10 s.
    pub first_message: Duration,
    /// TCP connections that one peer connection has to its peer, beyond which no more are accepted. Default: 8.
    pub max_per_connection: usize,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            max_waiting: 128,
            max_waiting_per_source: 8,
            first_message: Duration::from_secs(10),
            max_per_connection: 8,
        }
    }
}

/// Says which addresses of the machine an endpoint may use.
pub(crate) type Filter = dyn Fn(&Interface) -> bool + Send + Sync;

/// What is wanted of the machine.
#[derive(Clone, Default)]
pub(crate) struct Wishes {
    pub addresses: Vec<IpAddr>,
    pub ports: Option<RangeInclusive<u16>>,
    pub loopback: bool,
    pub handling: IpHandling,
    pub filter: Option<Arc<Filter>>,
}

impl Wishes {
    /// The addresses to bind to.
    pub(crate) fn addresses(&self) -> Result<Vec<IpAddr>, Error> {
        if !self.addresses.is_empty() {
            return Ok(self.addresses.clone());
        }
        let found = net::interfaces();
        let found =
            found.map_err(|source| Error::Io { what: "the system does not tell its addresses", source })?;
        let defaults = [true, false].map(net::default_address);
        let addresses: Vec<IpAddr> = found
            .iter()
            .filter(|interface| {
                let is_default = defaults.contains(&Some(interface.address));
                let by_handling = self.handling == IpHandling::All || is_default || interface.is_loopback;
                let by_filter = self.filter.as_ref().is_none_or(|filter| filter(interface));
                (self.loopback || !interface.is_loopback) && by_handling && by_filter
            })
            .map(|interface| interface.address)
            .collect();
        if addresses.is_empty() { Err(Error::NoAddress) } else { Ok(addresses) }
    }

    /// UDP sockets at `addresses`, for so many workers: each one's at the same ports.
    pub(crate) fn sockets(
        &self,
        addresses: &[IpAddr],
        workers: usize,
    ) -> Result<Vec<Vec<Arc<dyn Transport>>>, Error> {
        let at = all(addresses, |address| self.sockets_at(address, workers), "no socket can be bound")?;
        let mut sockets: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
        for at in at {
            sockets.iter_mut().zip(at).for_each(|(own, socket)| own.push(socket));
        }
        Ok(sockets)
    }

    /// UDP sockets at one address and port, for so many workers.
    pub(crate) fn sockets_at(&self, address: IpAddr, workers: usize) -> io::Result<Vec<Arc<dyn Transport>>> {
        if workers <= 1 {
            return Ok(vec![self.socket(SocketAddr::new(address, 0))?]);
        }
        let first = bind(address, self.ports.as_ref(), UdpSocket::bind_for_sharing)?;
        let local = first.local_address();
        let mut sockets = vec![for_all_paths(first)?];
        for _ in 1..workers {
            sockets.push(for_all_paths(UdpSocket::bind_shared(local)?)?);
        }
        Ok(sockets)
    }

    /// A socket for relaying, at an address whose port may be chosen.
    pub(crate) fn socket(&self, address: SocketAddr) -> io::Result<Arc<dyn Transport>> {
        for_all_paths(bind(address.ip(), self.ports.as_ref(), UdpSocket::bind)?)
    }
}

/// A path that is, or becomes, narrower than our datagrams has them cut: an SCTP chunk keeps its size once it has been sent,
/// so that IP alone can still get it through (RFC 9260 §6.9).
fn for_all_paths(socket: UdpSocket) -> io::Result<Arc<dyn Transport>> {
    socket.allow_fragmentation()?;
    Ok(Arc::new(socket))
}

/// TCP listeners at `addresses`, all at one port, for so many workers: each one's at the same ports.
pub(crate) fn listeners(
    addresses: &[IpAddr],
    port: u16,
    workers: usize,
) -> Result<Vec<Vec<Listener>>, Error> {
    let open = |address| {
        let address = SocketAddr::new(address, port);
        if workers <= 1 {
            return Ok(vec![Listener::bind(address).map_err(|error| refused_at(address, error))?]);
        }
        let first = Listener::bind_for_both(address).map_err(|error| refused_at(address, error))?;
        let local = first.local_address();
        let others = (1..workers).map(|_| Listener::bind_shared(local));
        std::iter::once(Ok(first)).chain(others).collect::<io::Result<Vec<_>>>()
    };
    let at = all(addresses, open, "no TCP port can be bound")?;
    let mut listeners: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
    for at in at {
        listeners.iter_mut().zip(at).for_each(|(own, listener)| own.push(listener));
    }
    Ok(listeners)
}

/// What `open` opens at each address. An interface may have gone meanwhile; the others do.
fn all<T>(
    addresses: &[IpAddr],
    open: impl Fn(IpAddr) -> io::Result<T>,
    what: &'static str,
) -> Result<Vec<T>, Error> {
    let mut opened = Vec::new();
    let mut refused = None;
    for address in addresses {
        match open(*address) {
            Ok(one) => opened.push(one),
            Err(source) => refused = Some(source),
        }
    }
    match (opened.is_empty(), refused) {
        (false, _) => Ok(opened),
        (true, Some(source)) => Err(Error::Io { what, source }),
        (true, None) => Err(Error::NoAddress),
    }
}

/// What was refused, and where.
pub(crate) fn refused_at(what: impl fmt::Display, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Binds to a port of the range, the first that is free.
fn bind<T>(
    address: IpAddr,
    ports: Option<&RangeInclusive<u16>>,
    open: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut refused = io::Error::new(io::ErrorKind::InvalidInput, "the range of ports is empty");
    for port in ports.cloned().unwrap_or(0..=0) {
        match open(SocketAddr::new(address, port)) {
            Ok(bound) => return Ok(bound),
            Err(error) => {
                let is_taken = error.kind() == io::ErrorKind::AddrInUse;
                refused = refused_at(SocketAddr::new(address, port), error);
                if !is_taken {
                    break;
                }
            }
        }
    }
    Err(refused)
}

impl fmt::Debug for Wishes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { addresses, ports, loopback, handling, filter: _ } = self;
        f.debug_struct("Wishes")
            .field("addresses", addresses)
            .field("ports", ports)
            .field("loopback", loopback)
            .field("handling", handling)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn real_ports_are_those_of_the_range_until_it_is_used_up() {
        let own = IpAddr::from([127, 0, 83, 1]);
        let wishes = Wishes { ports: Some(41_000..=41_002), ..Wishes::default() };
        let sockets: Vec<_> = (0..3).map(|_| wishes.sockets(&[own], 1).unwrap()).collect();
        let ports: Vec<u16> = sockets.iter().map(|sockets| sockets[0][0].local_address().port()).collect();
        assert_eq!(ports, [41_000, 41_001, 41_002]);
        let refused = wishes.sockets(&[own], 1).unwrap_err().to_string();
        assert!(refused.starts_with("no socket can be bound: 127.0.83.1:41002: "), "{refused}");
        let none = Wishes { ports: Some(RangeInclusive::new(2, 1)), ..Wishes::default() };
        let refused = none.sockets(&[own], 1).unwrap_err().to_string();
        assert_eq!(refused, "no socket can be bound: the range of ports is empty");
        assert!(wishes.sockets(&[own], 2).is_err(), "those that share a port do so among themselves");
        assert!(wishes.socket(SocketAddr::new(own, 0)).is_err());
        drop(sockets);
        assert_eq!(wishes.socket(SocketAddr::new(own, 0)).unwrap().local_address().port(), 41_000);
    }

    #[test]
    fn only_what_the_filter_and_the_mode_leave_is_used() {
        let with = |change: fn(&mut Wishes)| {
            let mut wishes = Wishes { loopback: true, ..Wishes::default() };
            change(&mut wishes);
            wishes.addresses()
        };
        let all = with(|_| {}).unwrap();
        let loopback = with(|wishes| wishes.filter = Some(Arc::new(|it| it.is_loopback))).unwrap();
        assert!(!loopback.is_empty() && loopback.iter().all(IpAddr::is_loopback));
        assert!(matches!(with(|wishes| wishes.filter = Some(Arc::new(|_| false))), Err(Error::NoAddress)));
        let by_route = with(|wishes| wishes.handling = IpHandling::DefaultRoute).unwrap();
        let defaults = [true, false].map(net::default_address);
        for address in by_route {
            assert!(all.contains(&address) && (address.is_loopback() || defaults.contains(&Some(address))));
        }
        let named = with(|wishes| wishes.addresses = vec![[10, 9, 8, 7].into()]).unwrap();
        assert_eq!(named, [IpAddr::from([10, 9, 8, 7])], "who names addresses knows them");
    }
}
