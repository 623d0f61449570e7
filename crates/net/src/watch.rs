use std::fmt;
use std::future::Future;
#[cfg(target_os = "linux")]
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Tells when the addresses of this machine may have changed: to be read anew by [`interfaces`](crate::interfaces).
/// Linux says so by itself; elsewhere they are to be looked at every few seconds.
pub struct InterfaceWatch {
    #[cfg(target_os = "linux")]
    changes: Option<linux::Changes>,
    /// When it is told next; far away while nothing has happened.
    due: Pin<Box<Sleep>>,
    is_due: bool,
}

impl InterfaceWatch {
    /// Begins to watch. To be called within a tokio runtime.
    pub fn start() -> Self {
        Self {
            // Where the system does not let us, we look.
            #[cfg(target_os = "linux")]
            changes: linux::Changes::open().ok(),
            due: Box::pin(sleep(POLL_INTERVAL)),
            is_due: false,
        }
    }

    /// Ready when something may have changed since the last time that it was: a moment after the first sign, as one
    /// change is told in several parts.
    pub fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (mut is_told, mut has_news) = (false, false);
        #[cfg(target_os = "linux")]
        if let Some(changes) = &mut self.changes {
            match changes.poll(cx) {
                Ok(news) => (is_told, has_news) = (true, news),
                Err(_) => self.changes = None,
            }
        }
        if has_news && !std::mem::replace(&mut self.is_due, true) {
            self.due.as_mut().reset(Instant::now() + SETTLING);
        }
        if is_told && !self.is_due {
            return Poll::Pending;
        }
        if self.due.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.is_due = false;
        self.due.as_mut().reset(Instant::now() + POLL_INTERVAL);
        Poll::Ready(())
    }
}

impl fmt::Debug for InterfaceWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterfaceWatch").field("is_due", &self.is_due).finish_non_exhaustive()
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use netlink_sys::protocols::NETLINK_ROUTE;
    use netlink_sys::{AsyncSocket, SocketAddr, TokioSocket};

    use super::{Context, Poll, io};

    /// What the kernel tells of links and addresses (rtnetlink(7)).
    pub(super) struct Changes {
        socket: TokioSocket,
        buffer: Vec<u8>,
    }

    impl Changes {
        pub(super) fn open() -> io::Result<Self> {
            let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
            socket.socket_mut().bind(&SocketAddr::new(0, LINK | ADDRESS_V4 | ADDRESS_V6))?;
            Ok(Self { socket, buffer: Vec::with_capacity(MESSAGE) })
        }

        /// Takes all there is; says whether there was anything. What it says exactly is read from the lists.
        pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
            let mut has_news = false;
            loop {
                self.buffer.clear();
                match self.socket.poll_recv(cx, &mut self.buffer) {
                    Poll::Pending => return Ok(has_news),
                    Poll::Ready(Ok(())) => has_news = true,
                    // More than fits has happened: that is news, too.
                    Poll::Ready(Err(error)) if error.raw_os_error() == Some(ENOBUFS) => has_news = true,
                    Poll::Ready(Err(error)) => return Err(error),
                }
            }
        }
    }

    /// Bytes of a message; of longer ones the rest is not needed.
    const MESSAGE: usize = 8192;
    /// RTMGRP_LINK, RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR.
    const LINK: u32 = 0x1;
    const ADDRESS_V4: u32 = 0x10;
    const ADDRESS_V6: u32 = 0x100;
    const ENOBUFS: i32 = 105;
}

/// How long the parts of one change take.
const SETTLING: Duration = Duration::from_millis(100);
/// How often is looked where the system does not tell.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
