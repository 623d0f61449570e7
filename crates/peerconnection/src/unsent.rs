use std::io;
use std::task::{Context, Poll};

use net::ByteStream;

/// What a stream has not taken yet, up to a limit.
#[derive(Default)]
pub(crate) struct Unsent {
    bytes: Vec<u8>,
    sent: usize,
}

impl Unsent {
    /// Whether `more` bytes find room. One who reads slowly, or not any more, must not hold up what goes elsewhere: as on
    /// a link that is full, more than that gets lost, and those above slow down.
    pub(crate) const fn has_room(&self, more: usize) -> bool {
        self.len().saturating_add(more) <= MAX_UNSENT
    }

    pub(crate) const fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.sent)
    }

    /// Puts bytes behind what waits.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let sent = std::mem::take(&mut self.sent);
        self.bytes.drain(..sent);
        self.bytes.extend_from_slice(bytes);
    }

    /// Sends what the stream takes; the rest when it wakes.
    pub(crate) fn flush(&mut self, stream: &mut ByteStream, cx: &mut Context<'_>) -> io::Result<()> {
        while let Some(unsent) = self.bytes.get(self.sent..).filter(|unsent| !unsent.is_empty()) {
            match stream.poll_write(cx, unsent)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(count) => self.sent = self.sent.saturating_add(count),
            }
        }
        self.bytes.clear();
        self.sent = 0;
        match stream.poll_flush(cx) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }
}

/// Bytes that wait for a stream.
pub(crate) const MAX_UNSENT: usize = 256 * 1024;
