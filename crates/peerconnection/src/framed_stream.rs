use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use net::{ByteStream, RECEIVE_BUFFER, SEND_BUFFER, Train, Transport};
use proto::{Carrier, Path, Transmit};
use session::{Deframer, frame_header};

use crate::unsent::Unsent;

/// A TCP connection to a peer, which carries datagrams (RFC 4571). An error of
/// [`poll_receive`](Transport::poll_receive) is its end.
pub(crate) struct FramedStream {
    local: SocketAddr,
    remote: SocketAddr,
    /// The worker's task is the only one that asks.
    inner: Mutex<Inner>,
}

struct Inner {
    stream: ByteStream,
    deframer: Deframer,
    /// What one read has brought, and how much of it the deframer has taken.
    read: Vec<u8>,
    taken: usize,
    unsent: Unsent,
}

impl FramedStream {
    /// Of a connection that is open, of whose first datagram no more than `first` bytes are kept.
    pub(crate) fn new(stream: ByteStream, local: SocketAddr, remote: SocketAddr, first: usize) -> Self {
        let deframer = Deframer::new(first);
        let inner = Inner { stream, deframer, read: Vec::new(), taken: 0, unsent: Unsent::default() };
        Self { local, remote, inner: Mutex::new(inner) }
    }

    /// From here to the peer.
    pub(crate) const fn path(&self) -> Path {
        Path { carrier: Carrier::Framed, local: self.local, remote: self.remote }
    }

    /// It is a peer's: its datagrams may be as long as there are.
    pub(crate) fn admit(&self) {
        self.lock().deframer.set_limit(MAX_FRAME);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for FramedStream {
    fn local_address(&self) -> SocketAddr {
        self.local
    }

    fn max_segments(&self) -> usize {
        MAX_SEGMENTS
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit, bytes: &[u8]) -> Poll<io::Result<()>> {
        let Inner { stream, unsent, .. } = &mut *self.lock();
        // Its end is told by receiving.
        if unsent.flush(stream, cx).is_err() {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        let segment = transmit.segment_size.unwrap_or(bytes.len()).max(1);
        for datagram in bytes.chunks(segment) {
            let header = frame_header(datagram.len()).map_err(io::Error::other)?;
            if !unsent.has_room(datagram.len().saturating_add(header.len())) {
                return Poll::Ready(Err(io::ErrorKind::WouldBlock.into()));
            }
            unsent.push(&header);
            unsent.push(datagram);
        }
        Poll::Ready(unsent.flush(stream, cx))
    }

    fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Train>> {
        let Inner { stream, deframer, read, taken, unsent } = &mut *self.lock();
        unsent.flush(stream, cx)?;
        loop {
            let mut rest = read.get(*taken..).unwrap_or_default();
            let before = rest.len();
            let frame = deframer.next_frame(&mut rest).map_err(io::Error::other)?;
            *taken = taken.saturating_add(before.saturating_sub(rest.len()));
            if let Some(frame) = frame {
                let len = frame.len();
                let out = buffer.get_mut(..len).ok_or(io::ErrorKind::InvalidData)?;
                out.copy_from_slice(frame);
                return Poll::Ready(Ok(Train { remote: self.remote, len, stride: len, ecn: None }));
            }
            read.clear();
            *taken = 0;
            // Into the caller's buffer first: one that has nothing to say has no memory here.
            let space = buffer.get_mut(..READ.min(RECEIVE_BUFFER)).ok_or(io::ErrorKind::InvalidInput)?;
            match stream.poll_read(cx, space) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Poll::Ready(Ok(count)) => read.extend_from_slice(space.get(..count).unwrap_or_default()),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl fmt::Debug for FramedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { local, remote, .. } = self;
        f.debug_struct("FramedStream").field("local", local).field("remote", remote).finish_non_exhaustive()
    }
}

/// What RFC 4571 can say.
const MAX_FRAME: usize = 65_535;
/// Bytes of one read.
const READ: usize = 16 * 1024;
/// Datagrams of one send.
const MAX_SEGMENTS: usize = SEND_BUFFER / 1500;
