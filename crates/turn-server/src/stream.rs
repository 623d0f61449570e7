use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use proto::{Instant, NoSpace, Path, Writer};
use tokio::net::TcpStream;

use crate::frames::Inbound;

/// A client's TCP connection.
#[derive(Debug)]
pub(crate) struct Stream {
    io: TcpStream,
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
}

impl Stream {
    pub(crate) fn new(io: TcpStream, path: Path, opened: Instant) -> Self {
        // Without it small messages wait for acknowledgements; with a failure they merely do.
        let _ = io.set_nodelay(true);
        Self {
            io,
            path,
            inbound: Inbound::default(),
            outbound: Vec::new(),
            sent: 0,
            opened,
            heard: None,
            timer: opened,
        }
    }

    /// When it has been silent for too long, if it stays so.
    pub(crate) fn deadline(&self, first_message: Duration, idle: Duration) -> Instant {
        self.heard.map_or_else(|| self.opened + first_message, |heard| heard + idle)
    }

    /// Reads into `buffer`; 0 at the end of the stream.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_read_ready(cx))?;
            match self.io.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
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

    /// Sends what the system takes; the rest when it wakes.
    ///
    /// # Errors
    ///
    /// Those of the system: the connection is gone.
    pub(crate) fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while let Some(unsent) = self.outbound.get(self.sent..).filter(|unsent| !unsent.is_empty()) {
            match self.io.poll_write_ready(cx)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(()) => {}
            }
            match self.io.try_write(unsent) {
                Ok(count) => self.sent = self.sent.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        self.outbound.clear();
        self.sent = 0;
        Ok(())
    }
}
