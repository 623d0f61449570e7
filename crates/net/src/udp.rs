use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use proto::{Ecn, Transmit};
use quinn_udp::{EcnCodepoint, RecvMeta, UdpSocketState};
use tokio::io::Interest;

use crate::multicast;
use crate::{RECEIVE_BUFFER, RECEIVE_TRAINS, Train, Transport};

/// A UDP socket that sends and receives trains of datagrams.
#[derive(Debug)]
pub struct UdpSocket {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
}

impl UdpSocket {
    /// A socket bound to `address`; port 0 lets the system choose. To be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Those of the system: the port is taken, the address is not this machine's.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        let local = socket.local_addr()?;
        Self::of_system(socket, local)
    }

    /// A socket bound to `address`, which nobody has, that [`bind_shared`](Self::bind_shared) may add others to. To be
    /// called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Those of the system: the port is taken, also by one that would share it; and
    /// [`Unsupported`](io::ErrorKind::Unsupported) where ports cannot be shared.
    pub fn bind_for_sharing(address: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        // Afterwards: before, it would let it in where somebody else shares.
        share_port(&socket)?;
        let local = socket.local_addr()?;
        Self::of_system(socket, local)
    }

    /// A socket bound to `address` that others of this program may be bound to as well (SO_REUSEPORT): the system
    /// gives what comes of one sender to one of them, as long as none comes or goes. To be called within a tokio
    /// runtime.
    ///
    /// # Errors
    ///
    /// Those of the system, and [`Unsupported`](io::ErrorKind::Unsupported) where it does not have that.
    pub fn bind_shared(address: SocketAddr) -> io::Result<Self> {
        let socket = shared(address)?;
        let local = socket.local_addr()?;
        Self::of_system(socket, local)
    }

    /// A socket for the datagrams of a multicast `group`, on the link of `interface` alone, which it has for
    /// the local end of its paths: an address of the interface, and for IPv6 the number of the interface
    /// as the scope. Other programs may have the group and its port too; what is sent to the group comes
    /// back to this machine, so that they hear it. To be called within a tokio runtime.
    ///
    /// Where the system can, nothing but what was sent to the group arrives: no stranger from beyond the
    /// link reaches this socket.
    ///
    /// # Errors
    ///
    /// Those of the system, and [`InvalidInput`](io::ErrorKind::InvalidInput) if the families differ.
    pub fn bind_multicast(group: SocketAddr, interface: SocketAddr) -> io::Result<Self> {
        let (socket, local) = multicast::open(group, interface)?;
        Self::of_system(socket, local)
    }

    /// Lets IPv4 cut what this socket sends where a link is narrower than a datagram, instead of losing it there: for who
    /// keeps datagrams small and does not look for the largest that a path takes. Without this, and wherever else than on
    /// Linux, datagrams carry the don't-fragment bit, and one that is longer than a link takes is lost on it. IPv6 has links of
    /// 1,280 bytes at least (RFC 8200 §5).
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn allow_fragmentation(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if self.local.is_ipv4() {
            use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
            // What routers say of a path's MTU is not looked at, since anybody can say it.
            set_ip_mtu_discover(&self.io, Ipv4PathMtuDiscovery::OMIT)?;
        }
        Ok(())
    }

    fn of_system(socket: std::net::UdpSocket, local: SocketAddr) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new((&socket).into())?;
        // A burst of a whole send window should not be lost here; the system may grant less.
        let _ = state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER);
        let _ = state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER);
        let io = tokio::net::UdpSocket::from_std(socket)?;
        Ok(Self { io, state, local })
    }

    /// Receives up to [`RECEIVE_TRAINS`] trains, of as many senders as there are, in one system call.
    ///
    /// Each has its piece of `buffer`, which is cut into pieces of [`RECEIVE_BUFFER`] bytes; `trains` is
    /// emptied first and then says, in their order, what lies in them.
    ///
    /// # Errors
    ///
    /// Those of the system; the socket can be asked again.
    pub fn poll_receive_trains(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        trains: &mut Vec<Train>,
    ) -> Poll<io::Result<()>> {
        trains.clear();
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let mut meta = [RecvMeta::default(); RECEIVE_TRAINS];
            let mut received = None;
            let outcome = self.io.try_io(Interest::READABLE, || {
                let count = (buffer.len() / RECEIVE_BUFFER).min(RECEIVE_TRAINS);
                let mut pieces = buffer.chunks_exact_mut(RECEIVE_BUFFER);
                let mut slices: [IoSliceMut<'_>; RECEIVE_TRAINS] =
                    std::array::from_fn(|_| IoSliceMut::new(pieces.next().unwrap_or_default()));
                let slices = slices.get_mut(..count).unwrap_or_default();
                let got = self.state.recv((&self.io).into(), slices, &mut meta)?;
                received = Some(got);
                // With fewer than there was room for, the socket was empty: another call would only say so.
                if got < count { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match (received, outcome) {
                (Some(count), _) => {
                    trains.extend(meta.iter().take(count).map(train));
                    return Poll::Ready(Ok(()));
                }
                (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Poll::Ready(Err(error));
                }
                (None, _) => {}
            }
        }
    }
}

impl Transport for UdpSocket {
    fn local_address(&self) -> SocketAddr {
        self.local
    }

    fn max_segments(&self) -> usize {
        self.state.max_gso_segments().max(1)
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit, bytes: &[u8]) -> Poll<io::Result<()>> {
        let contents = bytes.get(..transmit.len).unwrap_or(bytes);
        let out = quinn_udp::Transmit {
            destination: transmit.path.remote,
            ecn: transmit.ecn.map(codepoint),
            contents,
            segment_size: transmit.segment_size,
            src_ip: None,
        };
        loop {
            ready!(self.io.poll_send_ready(cx))?;
            let sent = self.io.try_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), &out));
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Train>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let mut meta = [RecvMeta::default()];
            let received = self.io.try_io(Interest::READABLE, || {
                self.state.recv((&self.io).into(), &mut [IoSliceMut::new(buffer)], &mut meta)
            });
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(_) => {
                    let [meta] = &meta;
                    return Poll::Ready(Ok(train(meta)));
                }
            }
        }
    }
}

#[cfg(unix)]
fn shared(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(not(unix))]
fn shared(_: SocketAddr) -> io::Result<std::net::UdpSocket> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
fn share_port(socket: &std::net::UdpSocket) -> io::Result<()> {
    socket2::SockRef::from(socket).set_reuse_port(true)
}

#[cfg(not(unix))]
fn share_port(_: &std::net::UdpSocket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn train(meta: &RecvMeta) -> Train {
    let ecn = meta.ecn.map(|mark| match mark {
        EcnCodepoint::Ect0 => Ecn::Ect0,
        EcnCodepoint::Ect1 => Ecn::Ect1,
        EcnCodepoint::Ce => Ecn::Ce,
    });
    Train { remote: meta.addr, len: meta.len, stride: meta.stride.max(1), ecn }
}

const fn codepoint(mark: Ecn) -> EcnCodepoint {
    match mark {
        Ecn::Ect0 => EcnCodepoint::Ect0,
        Ecn::Ect1 => EcnCodepoint::Ect1,
        Ecn::Ce => EcnCodepoint::Ce,
    }
}

/// Bytes asked of the system for each direction of a socket.
const SOCKET_BUFFER: usize = 2 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use proto::{Carrier, Path};

    use super::*;

    #[tokio::test]
    async fn real_trains_arrive_whole_and_in_order_on_both_families() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let bind = || UdpSocket::bind(address.parse().unwrap());
            let (Ok(a), Ok(b)) = (bind(), bind()) else {
                eprintln!("{address} is not tested: this machine does not have it");
                continue;
            };
            let path = Path { carrier: Carrier::Udp, local: a.local_address(), remote: b.local_address() };
            let count = a.max_segments().min(10);
            let bytes: Vec<u8> = (0..count * 1000 - 300).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let segment_size = (count > 1).then_some(1000);
            let transmit = Transmit { path, ecn: Some(Ecn::Ect0), len: bytes.len(), segment_size };
            poll_fn(|cx| a.poll_send(cx, &transmit, &bytes)).await.unwrap();

            let mut seen = Vec::new();
            let mut buffer = vec![0; RECEIVE_BUFFER];
            while seen.len() < bytes.len() {
                let train = poll_fn(|cx| b.poll_receive(cx, &mut buffer)).await.unwrap();
                assert_eq!(train.remote, a.local_address());
                // Not every kernel tells the mark on loopback; none may tell a wrong one.
                assert!(train.ecn.is_none_or(|mark| mark == Ecn::Ect0));
                assert!(train.stride <= 1000);
                seen.extend_from_slice(&buffer[..train.len]);
            }
            assert_eq!(seen, bytes);
        }
    }

    #[tokio::test]
    async fn real_many_trains_of_many_senders_come_at_once() {
        let bind = || UdpSocket::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let (to, senders) = (bind(), [bind(), bind(), bind()]);
        let total = 3 * RECEIVE_TRAINS;
        let mut sent = Vec::new();
        for number in 0..total {
            let from = &senders[number % senders.len()];
            let bytes = vec![u8::try_from(number).unwrap(); number];
            let path = Path { carrier: Carrier::Udp, local: from.local, remote: to.local };
            let transmit = Transmit { path, ecn: None, len: bytes.len(), segment_size: None };
            poll_fn(|cx| from.poll_send(cx, &transmit, &bytes)).await.unwrap();
            sent.push((from.local, bytes));
        }
        let mut seen = Vec::new();
        let (mut buffer, mut trains) = (vec![0; 2 * RECEIVE_TRAINS * RECEIVE_BUFFER], Vec::new());
        let mut calls = 0;
        while seen.len() < total {
            poll_fn(|cx| to.poll_receive_trains(cx, &mut buffer, &mut trains)).await.unwrap();
            assert!(!trains.is_empty() && trains.len() <= RECEIVE_TRAINS);
            calls += 1;
            for (train, piece) in trains.iter().zip(buffer.chunks(RECEIVE_BUFFER)) {
                seen.push((train.remote, piece[..train.len].to_vec()));
            }
        }
        assert!(calls < total, "{calls} calls");
        assert_eq!(seen, sent);
    }

    /// Each of them hears some of many senders, and each sender is heard by one.
    #[cfg(unix)]
    #[tokio::test]
    async fn real_sockets_of_one_address_share_its_senders() {
        let here = ([127, 0, 0, 1], 0).into();
        share_senders(UdpSocket::bind_shared(here).unwrap()).await;
        share_senders(UdpSocket::bind_for_sharing(here).unwrap()).await;
    }

    #[cfg(unix)]
    async fn share_senders(first: UdpSocket) {
        let at = first.local_address();
        let second = UdpSocket::bind_shared(at).unwrap();
        assert!(UdpSocket::bind(at).is_err(), "one that does not share is kept out");
        assert!(UdpSocket::bind_for_sharing(at).is_err(), "and one that wants to be the first");
        let mut heard = [Vec::new(), Vec::new()];
        for _ in 0..64 {
            let from = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let _ = from.send_to(b"x", at).unwrap();
            let _ = from.send_to(b"y", at).unwrap();
            let port = from.local_addr().unwrap().port();
            for _ in 0..2 {
                let (mut one, mut other) = (vec![0; RECEIVE_BUFFER], vec![0; RECEIVE_BUFFER]);
                let (place, train) = tokio::select! {
                    train = poll_fn(|cx| first.poll_receive(cx, &mut one)) => (0, train.unwrap()),
                    train = poll_fn(|cx| second.poll_receive(cx, &mut other)) => (1, train.unwrap()),
                };
                assert_eq!(train.remote.port(), port);
                heard[place].push(port);
                // Both may have come as one train.
                if train.len > train.stride {
                    break;
                }
            }
        }
        let [first, second] = heard;
        assert!(!first.is_empty() && !second.is_empty());
        assert!(first.iter().all(|port| !second.contains(port)));
    }

    #[tokio::test]
    async fn real_taken_ports_are_an_error() {
        let a = UdpSocket::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let error = UdpSocket::bind(a.local_address()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
