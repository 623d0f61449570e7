use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use net::{ByteStream, RECEIVE_BUFFER, SEND_BUFFER, Train, Transport};
use proto::{Carrier, Path, Transmit};
use session::frame_len;

use crate::unsent::Unsent;

/// A TCP or TLS connection to a TURN server, whose messages are datagrams here. An error of
/// [`poll_receive`](Transport::poll_receive) is its end.
pub(crate) struct RelayStream {
    local: SocketAddr,
    remote: SocketAddr,
    /// The worker's task is the only one that asks.
    inner: Mutex<Inner>,
}

struct Inner {
    stream: ByteStream,
    /// What has come and is not handed out yet, at most a whole message and what one read brought besides.
    inbound: Vec<u8>,
    /// How much of that is handed out.
    taken: usize,
    unsent: Unsent,
}

impl RelayStream {
    /// Of a connection to `remote` that is open.
    ///
    /// # Errors
    ///
    /// It is not any more.
    pub(crate) fn new(stream: ByteStream, remote: SocketAddr) -> io::Result<Self> {
        let local = stream.local_address().ok_or(io::ErrorKind::NotConnected)?;
        let inner = Inner { stream, inbound: Vec::new(), taken: 0, unsent: Unsent::default() };
        Ok(Self { local, remote, inner: Mutex::new(inner) })
    }

    /// From here to the server.
    pub(crate) const fn path(&self) -> Path {
        Path { carrier: Carrier::Stream, local: self.local, remote: self.remote }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for RelayStream {
    fn local_address(&self) -> SocketAddr {
        self.local
    }

    fn max_segments(&self) -> usize {
        MAX_SEGMENTS
    }

    fn poll_send(&self, cx: &mut Context<'_>, _: &Transmit, bytes: &[u8]) -> Poll<io::Result<()>> {
        let Inner { stream, unsent, .. } = &mut *self.lock();
        // Its end is told by receiving.
        if unsent.flush(stream, cx).is_err() {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        if !unsent.has_room(bytes.len()) {
            return Poll::Ready(Err(io::ErrorKind::WouldBlock.into()));
        }
        unsent.push(bytes);
        Poll::Ready(unsent.flush(stream, cx))
    }

    fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Train>> {
        let mut inner = self.lock();
        let Inner { stream, unsent, .. } = &mut *inner;
        unsent.flush(stream, cx)?;
        loop {
            if let Some(len) = inner.take(buffer)? {
                return Poll::Ready(Ok(Train { remote: self.remote, len, stride: len, ecn: None }));
            }
            match inner.stream.poll_read(cx, buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Poll::Ready(Ok(read)) => {
                    let taken = std::mem::take(&mut inner.taken);
                    inner.inbound.drain(..taken);
                    inner.inbound.extend_from_slice(buffer.get(..read).unwrap_or_default());
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Inner {
    /// Moves the next message to `buffer`, if it is whole; its length.
    fn take(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let limit = buffer.len().min(RECEIVE_BUFFER);
        let rest = self.inbound.get(self.taken..).unwrap_or_default();
        let Some(len) = frame_len(rest, limit).map_err(io::Error::other)? else { return Ok(None) };
        let (Some(message), Some(out)) = (rest.get(..len), buffer.get_mut(..len)) else { return Ok(None) };
        out.copy_from_slice(message);
        self.taken = self.taken.saturating_add(len);
        Ok(Some(len))
    }
}

impl fmt::Debug for RelayStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { local, remote, .. } = self;
        f.debug_struct("RelayStream").field("local", local).field("remote", remote).finish_non_exhaustive()
    }
}

/// Messages of one send.
const MAX_SEGMENTS: usize = SEND_BUFFER / 1500;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::unsent::MAX_UNSENT;

    /// A stream, and the server's end of it.
    async fn joined() -> (RelayStream, tokio::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let mut stream = ByteStream::connect(server);
        let (opened, accepted) = tokio::join!(poll_fn(|cx| stream.poll_open(cx)), listener.accept());
        opened.unwrap();
        (RelayStream::new(stream, server).unwrap(), accepted.unwrap().0)
    }

    /// ChannelData of `len` bytes.
    fn message(len: u8) -> Vec<u8> {
        let mut bytes = vec![0x40, 1, 0, len];
        bytes.resize(4 + usize::from(len).next_multiple_of(4), len);
        bytes
    }

    #[tokio::test]
    async fn real_messages_come_as_datagrams_in_whatever_pieces_they_arrive() {
        let (stream, mut server) = joined().await;
        let messages: Vec<Vec<u8>> = (0..40).map(message).collect();
        for (number, pieces) in messages.concat().chunks(7).enumerate() {
            server.write_all(pieces).await.unwrap();
            if number % 5 == 0 {
                tokio::task::yield_now().await;
            }
        }
        let mut buffer = vec![0; RECEIVE_BUFFER];
        for message in &messages {
            let train = poll_fn(|cx| stream.poll_receive(cx, &mut buffer)).await.unwrap();
            assert_eq!((&buffer[..train.len], train.stride), (message.as_slice(), message.len()));
            assert_eq!(train.remote, stream.path().remote);
        }
        server.write_all(&[0xff; 20]).await.unwrap();
        assert!(poll_fn(|cx| stream.poll_receive(cx, &mut buffer)).await.is_err(), "no message at all");
        drop(server);
        let (ended, server) = joined().await;
        drop(server);
        assert!(poll_fn(|cx| ended.poll_receive(cx, &mut buffer)).await.is_err(), "its end");
    }

    /// Whoever does not read costs so much memory, and holds up nobody.
    #[tokio::test]
    async fn real_a_server_that_does_not_read_gets_no_more_than_waits_and_whole_messages() {
        let (stream, mut server) = joined().await;
        let sent = message(200);
        let path = stream.path();
        let transmit = Transmit { path, ecn: None, len: sent.len(), segment_size: None };
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        let (mut taken, mut refused) = (0_usize, 0);
        while refused < 100 {
            match stream.poll_send(cx, &transmit, &sent) {
                Poll::Ready(Ok(())) => taken += 1,
                Poll::Ready(Err(error)) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    refused += 1;
                }
                Poll::Pending => panic!("it would hold up what goes elsewhere"),
            }
            assert!(taken < 1_000_000, "nothing is refused");
            let inner = stream.lock();
            assert!(inner.unsent.len() <= MAX_UNSENT);
        }
        // All that was taken arrives, in order and whole.
        let mut buffer = vec![0; RECEIVE_BUFFER];
        let mut bytes = vec![0; sent.len()];
        for _ in 0..taken {
            tokio::select! {
                biased;
                read = server.read_exact(&mut bytes) => assert_eq!((read.unwrap(), &bytes), (sent.len(), &sent)),
                _ = poll_fn(|cx| stream.poll_receive(cx, &mut buffer)) => panic!("nothing was sent"),
            }
        }
        assert_eq!(stream.lock().unsent.len(), 0);
    }
}
