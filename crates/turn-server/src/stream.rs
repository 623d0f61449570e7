use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use net::ByteStream;
use proto::{Instant, NoSpace, Path, Writer};

use crate::data::Half;
use crate::frames::Inbound;

/// A client's connection, over TCP or TLS.
#[derive(Debug)]
pub(crate) struct Stream {
    io: ByteStream,
    pub(crate) path: Path,
    pub(crate) inbound: Inbound,
    outbound: Vec<u8>,
    /// How much of `outbound` is gone already.
    sent: usize,
    opened: Instant,
    /// When a message was whole, the last time.
    pub(crate) heard: Option<Instant>,
    /// When it is looked at next.
    pub(crate) timer: Instant,
    /// If it carries no messages, but what a peer and a client say to each other.
    pub(crate) half: Option<Half>,
}

impl Stream {
    pub(crate) fn new(io: ByteStream, path: Path, opened: Instant) -> Self {
        Self {
            io,
            path,
            inbound: Inbound::default(),
            outbound: Vec::new(),
            sent: 0,
            opened,
            heard: None,
            timer: opened,
            half: None,
        }
    }

    /// When it has been silent for too long, if it stays so.
    pub(crate) fn deadline(&self, first_message: Duration, idle: Duration) -> Instant {
        if let Some(half) = &self.half {
            return half.alive + half.patience;
        }
        self.heard.map_or_else(|| self.opened + first_message, |heard| heard + idle)
    }

    /// Whether it is open.
    ///
    /// # Errors
    ///
    /// It does not open.
    pub(crate) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_open(cx)
    }

    /// Says that nothing more is sent, after everything that was is gone.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_shutdown(cx)
    }

    /// Whether nothing waits.
    pub(crate) fn is_flushed(&self) -> bool {
        self.outbound.is_empty()
    }

    /// Reads into `buffer`; 0 at the end of the stream.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.io.poll_read(cx, buffer)
    }

    /// Takes a whole message of `len` bytes to be sent, or nothing of it if more than `limit` would wait.
    pub(crate) fn push(
        &mut self,
        len: usize,
        limit: usize,
        write: impl FnOnce(&mut Writer<'_>) -> Result<(), NoSpace>,
    ) -> bool {
        let waiting = self.outbound.len().saturating_sub(self.sent);
        if waiting.saturating_add(len) > limit {
            return false;
        }
        self.outbound.drain(..self.sent);
        self.sent = 0;
        self.outbound.resize(waiting.saturating_add(len), 0);
        let memory = self.outbound.get_mut(waiting..).unwrap_or_default();
        let mut out = Writer::new(memory);
        let is_whole = write(&mut out).is_ok() && out.len() == len;
        if !is_whole {
            self.outbound.truncate(waiting);
        }
        is_whole
    }

    /// Sends bytes, of which those wait that the system does not take: only where nothing waits.
    ///
    /// # Errors
    ///
    /// Those of the system: the connection is gone.
    pub(crate) fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() && self.is_flushed() {
            match self.io.poll_write(cx, rest)? {
                Poll::Pending => self.keep(rest),
                Poll::Ready(count) => rest = rest.get(count..).unwrap_or_default(),
            }
        }
        self.flush(cx)
    }

    /// Has bytes wait behind those that do.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        self.outbound.extend_from_slice(bytes);
    }

    /// Sends what the system takes; the rest when it wakes.
    ///
    /// # Errors
    ///
    /// Those of the system: the connection is gone.
    pub(crate) fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while let Some(unsent) = self.outbound.get(self.sent..).filter(|unsent| !unsent.is_empty()) {
            match self.io.poll_write(cx, unsent)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(count) => self.sent = self.sent.saturating_add(count),
            }
        }
        self.outbound.clear();
        self.sent = 0;
        // What waits below is sent when the connection wakes.
        match self.io.poll_flush(cx) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }
}
