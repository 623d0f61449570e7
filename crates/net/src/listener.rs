use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpSocket};

use crate::ByteStream;

/// A TCP port that connections come to.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens at `address`; the system chooses the port if it is 0. To be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The address is not ours, or the port is taken.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Likewise, at a port from which [`ByteStream::connect_beside`] opens connections too. No listener of anybody else is
    /// there, nor will be.
    ///
    /// # Errors
    ///
    /// The address is not ours, the port is taken, or the system has no such ports.
    pub fn bind_for_both(address: SocketAddr) -> io::Result<Self> {
        let listener = Self::bind(address)?;
        // Afterwards: before, it would let it listen where somebody else does.
        share_port(&listener.listener)?;
        Ok(listener)
    }

    /// Listens where one that was [bound for both](Self::bind_for_both) does; each connection comes to one of them.
    ///
    /// # Errors
    ///
    /// Those of the system, and [`Unsupported`](io::ErrorKind::Unsupported) where it does not have that.
    pub fn bind_shared(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        share_listening(&socket)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub const fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection, and who made it.
    ///
    /// # Errors
    ///
    /// Those of the system, as where too many files are open; it can be asked again.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(ByteStream, SocketAddr)>> {
        self.listener.poll_accept(cx).map_ok(|(stream, remote)| (ByteStream::plain(stream), remote))
    }
}

#[cfg(unix)]
fn share_port(listener: &TcpListener) -> io::Result<()> {
    socket2::SockRef::from(listener).set_reuse_port(true)
}

#[cfg(unix)]
fn share_listening(socket: &TcpSocket) -> io::Result<()> {
    // As the system's own listeners: connections that are closing keep nobody out.
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)
}

#[cfg(not(unix))]
fn share_listening(_: &TcpSocket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
fn share_port(_: &TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Connections that wait to be accepted, as tokio has it.
const BACKLOG: u32 = 1024;

#[cfg(all(test, unix))]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    const HERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

    #[tokio::test]
    async fn real_connections_come_to_and_leave_from_one_port() {
        let (both, other) =
            (Listener::bind_for_both(HERE.into()).unwrap(), Listener::bind(HERE.into()).unwrap());
        let mut out = ByteStream::connect_beside(both.local_address(), other.local_address());
        poll_fn(|cx| out.poll_open(cx)).await.unwrap();
        let (_, from) = poll_fn(|cx| other.poll_accept(cx)).await.unwrap();
        assert_eq!(from, both.local_address());
        let mut come = ByteStream::connect(both.local_address());
        poll_fn(|cx| come.poll_open(cx)).await.unwrap();
        let accepted = tokio::time::timeout(Duration::from_secs(5), poll_fn(|cx| both.poll_accept(cx))).await;
        assert_eq!(accepted.unwrap().unwrap().1, come.local_address().unwrap());
    }

    #[tokio::test]
    async fn real_listeners_of_one_port_share_its_connections() {
        let first = Listener::bind_for_both(HERE.into()).unwrap();
        let second = Listener::bind_shared(first.local_address()).unwrap();
        let mut come = [0, 0];
        for _ in 0..64 {
            let _stream = std::net::TcpStream::connect(second.local_address()).unwrap();
            let accepted = tokio::time::timeout(Duration::from_secs(5), async {
                tokio::select! {
                    _ = poll_fn(|cx| first.poll_accept(cx)) => 0,
                    _ = poll_fn(|cx| second.poll_accept(cx)) => 1,
                }
            });
            come[accepted.await.unwrap()] += 1;
        }
        assert!(come[0] > 0 && come[1] > 0, "{come:?}");
    }

    #[tokio::test]
    async fn real_such_a_port_is_nobody_elses() {
        let both = Listener::bind_for_both(HERE.into()).unwrap();
        assert!(Listener::bind_for_both(both.local_address()).is_err());
        assert!(Listener::bind(both.local_address()).is_err());
    }
}
