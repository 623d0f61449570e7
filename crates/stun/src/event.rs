use std::fmt;
use std::net::SocketAddr;

/// What the client found out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// The server sees us at this address, which is new.
    Mapped(SocketAddr),
    /// No address is known any more, and nothing is asked until the next `start`.
    Failed(Failure),
}

/// Why the client gave up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// No request was answered (RFC 8489 §6.2.1).
    TimedOut,
    /// The server refused with this error code.
    Rejected(u16),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("no answer"),
            Self::Rejected(code) => write!(f, "refused with error {code}"),
        }
    }
}

/// What the client counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests written, retransmissions included.
    pub sent: u64,
    /// Responses taken.
    pub received: u64,
    /// Datagrams refused with a [`Discard`](crate::Discard).
    pub discarded: u64,
}
