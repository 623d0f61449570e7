use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::net::TcpListener;

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
