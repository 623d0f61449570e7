use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{DataChannel, Message, SendError};

/// A data channel as a stream of bytes: `AsyncRead` and `AsyncWrite`. Only an ordered and reliable channel
/// makes a faithful one.
#[derive(Debug)]
pub struct ChannelIo {
    channel: DataChannel,
    /// What was received and not yet read.
    unread: Bytes,
}

impl ChannelIo {
    pub(crate) const fn new(channel: DataChannel) -> Self {
        Self { channel, unread: Bytes::new() }
    }

    /// The channel itself; what was received and not read is lost.
    pub fn into_channel(self) -> DataChannel {
        self.channel
    }
}

impl AsyncRead for ChannelIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.channel.poll_recv(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Message::Binary(bytes)) => self.unread = bytes,
                Some(Message::Text(text)) => self.unread = text.into(),
            }
        }
        let len = self.unread.len().min(out.remaining());
        out.put_slice(self.unread.get(..len).unwrap_or_default());
        self.unread.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ChannelIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let len = bytes.len().min(WRITE_LEN);
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        let message = Message::Binary(Bytes::copy_from_slice(bytes.get(..len).unwrap_or_default()));
        self.channel.poll_send(cx, &message).map_ok(|()| len).map_err(error)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.channel.poll_flushed(cx).map_err(error)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.channel.poll_flushed(cx)).map_err(error)?;
        self.channel.close();
        Poll::Ready(Ok(()))
    }
}

fn error(error: SendError) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}

/// The largest message that a write makes: every peer takes it (RFC 8831 §6.6).
const WRITE_LEN: usize = 16 * 1024;
