use std::io;

/// Why an operation of a connection failed. Names of W3C WebRTC 1.0 stand in the documentation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The exchange of descriptions was refused (`InvalidStateError`, `InvalidAccessError`).
    #[error(transparent)]
    Negotiation(#[from] session::NegotiationError),
    /// The text is no session description (`RTCError` with `sdp-syntax-error`).
    #[error("no session description: {0}")]
    Sdp(#[from] session::ParseError),
    /// A candidate was refused (`OperationError`).
    #[error(transparent)]
    Candidate(#[from] session::CandidateError),
    /// A channel could not be made (`TypeError`, `OperationError`).
    #[error("the channel cannot be made: {0}")]
    Open(#[from] session::OpenError),
    /// A server's URL is none that is understood (`SyntaxError`).
    #[error("not a server's URL: {0}")]
    Url(String),
    /// The machine has no address to gather candidates from.
    #[error("this machine has no address that can be used; loopback is left out unless it is asked for")]
    NoAddress,
    /// The system refused: a port is taken, there is no entropy.
    #[error("{what}: {source}")]
    Io {
        /// What was refused.
        what: &'static str,
        /// By the system.
        source: io::Error,
    },
    /// The endpoint was shut down.
    #[error("the endpoint was shut down")]
    EndpointClosed,
    /// The identity could not be made.
    #[error("no certificate can be made")]
    Identity,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no room now. Only `try_send` says so.
    #[error("the channel has no room now")]
    WouldBlock,
    /// The channel is not open yet.
    #[error("the channel is not open yet")]
    NotOpen,
    /// The channel is closed.
    #[error("the channel is closed")]
    Closed,
    /// The message is larger than the peer takes (RFC 8841 §6).
    #[error("the message is larger than the {limit} bytes that the peer takes")]
    TooLarge {
        /// What the peer takes, in bytes.
        limit: u64,
    },
}
