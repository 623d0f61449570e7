use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use proto::{Ecn, Transmit};

/// What an endpoint sends and receives datagrams through: a [`UdpSocket`](crate::UdpSocket), or a virtual
/// network in tests.
pub trait Transport: fmt::Debug + Send + Sync {
    /// The local end of every path through it.
    fn local_address(&self) -> SocketAddr;
    /// How many datagrams of equal size one send may carry.
    fn max_segments(&self) -> usize;
    /// Sends `bytes`, cut as `transmit` says. Pending when the socket has no room: nothing was sent then.
    ///
    /// # Errors
    ///
    /// Those of the system; what was to be sent is lost.
    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit, bytes: &[u8]) -> Poll<io::Result<()>>;
    /// Receives a train of datagrams from one sender into `buffer`, of [`RECEIVE_BUFFER`] bytes.
    ///
    /// # Errors
    ///
    /// Those of the system; the transport can be asked again.
    fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Train>>;
}

/// Datagrams from one sender, one behind the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Train {
    /// Who sent them.
    pub remote: SocketAddr,
    /// Bytes in total.
    pub len: usize,
    /// Bytes of each but the last, which may be shorter.
    pub stride: usize,
    /// Their congestion mark.
    pub ecn: Option<Ecn>,
}

/// Bytes that a train may have: the most that IP can carry.
pub const RECEIVE_BUFFER: usize = 65_535;
/// Bytes that one send may have: what a GSO send takes, headers left aside.
pub const SEND_BUFFER: usize = 65_000;
/// Trains that one system call may receive.
pub const RECEIVE_TRAINS: usize = 32;
