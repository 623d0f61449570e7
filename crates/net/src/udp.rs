use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use proto::{Ecn, Transmit};
use quinn_udp::{EcnCodepoint, RecvMeta, UdpSocketState};
use tokio::io::Interest;

use crate::{Train, Transport};

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
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new((&socket).into())?;
        // A burst of a whole send window should not be lost here; the system may grant less.
        let _ = state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER);
        let _ = state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER);
        let io = tokio::net::UdpSocket::from_std(socket)?;
        let local = io.local_addr()?;
        Ok(Self { io, state, local })
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
                    let [RecvMeta { addr, len, stride, ecn, .. }] = meta;
                    let ecn = ecn.map(|mark| match mark {
                        EcnCodepoint::Ect0 => Ecn::Ect0,
                        EcnCodepoint::Ect1 => Ecn::Ect1,
                        EcnCodepoint::Ce => Ecn::Ce,
                    });
                    return Poll::Ready(Ok(Train { remote: addr, len, stride: stride.max(1), ecn }));
                }
            }
        }
    }
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
    use crate::RECEIVE_BUFFER;

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
    async fn real_taken_ports_are_an_error() {
        let a = UdpSocket::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let error = UdpSocket::bind(a.local_address()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
