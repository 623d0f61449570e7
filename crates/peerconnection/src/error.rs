use std::io;

use session::{CandidateError, NegotiationError, ParametersError, SignalingState, TransceiverError};

/// Why an operation of a connection failed. Names of W3C WebRTC 1.0 stand in the documentation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The exchange of descriptions was refused (`InvalidStateError`, `InvalidAccessError`).
    #[error(transparent)]
    Negotiation(NegotiationError),
    /// The text is no session description (`RTCError` with `sdp-syntax-error`).
    #[error("no session description: {0}")]
    Sdp(#[from] session::ParseError),
    /// A connection cannot be begun from such parameters (`InvalidStateError`, `InvalidAccessError`).
    #[error(transparent)]
    Parameters(ParametersError),
    /// A candidate was refused (`OperationError`).
    #[error(transparent)]
    Candidate(CandidateError),
    /// A channel could not be made (`TypeError`, `OperationError`).
    #[error("the channel cannot be made: {0}")]
    Open(#[from] session::OpenError),
    /// A transceiver cannot be made or changed so (`InvalidStateError`, `TypeError`).
    #[error(transparent)]
    Transceiver(TransceiverError),
    /// Tones were not taken (`InvalidStateError`, `InvalidCharacterError`).
    #[error(transparent)]
    Dtmf(#[from] session::DtmfError),
    /// Nothing is forwarded so.
    #[error("it is not forwarded: {0}")]
    Forwarding(&'static str),
    /// A server's URL is none that is understood (`SyntaxError`).
    #[error("{url} is no server's URL: {reason}")]
    Url {
        /// The URL; what stands before an `@` is left out.
        url: String,
        /// What is wrong with it.
        reason: session::uri::ParseError,
    },
    /// A TURN server has no name and password, or one that cannot be (`InvalidAccessError`).
    #[error("the credentials for {url} cannot be used: {reason}")]
    Credentials {
        /// The server.
        url: String,
        /// What is wrong.
        reason: session::CredentialsError,
    },
    /// This cannot be another than it was when the connection was made (`InvalidModificationError`).
    #[error("{what} of a connection cannot be changed")]
    Modification {
        /// What was different.
        what: &'static str,
    },
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
    /// There is no path to the peer, or nobody there whom signalling has named; an ICE restart may help
    /// (`OperationError`).
    #[error("the connection has failed: {0}")]
    Failed(session::Failure),
    /// The connection is closed, whatever was asked of it (`InvalidStateError`).
    #[error("the connection is closed")]
    ConnectionClosed,
    /// The endpoint was shut down.
    #[error("the endpoint was shut down")]
    EndpointClosed,
    /// The certificate could not be made, or the one that was given cannot be used (`InvalidAccessError`).
    #[error("no certificate can be made of it")]
    Identity,
    /// The certificate is valid no more (`InvalidAccessError`).
    #[error("the certificate has expired")]
    Expired,
}

impl Error {
    /// The name of the exception that W3C WebRTC 1.0 has for it, or that of the nearest.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Negotiation(error) => error.name(),
            Self::Parameters(error) => error.name(),
            Self::Candidate(error) => error.name(),
            Self::Open(error) => error.name(),
            Self::Transceiver(error) => error.name(),
            Self::Dtmf(error) => error.name(),
            Self::Url { .. } => "SyntaxError",
            Self::Credentials { .. } | Self::Identity | Self::Expired => "InvalidAccessError",
            Self::Modification { .. } => "InvalidModificationError",
            Self::ConnectionClosed | Self::EndpointClosed => "InvalidStateError",
            Self::Sdp(_) | Self::Forwarding(_) | Self::NoAddress | Self::Io { .. } | Self::Failed(_) => {
                "OperationError"
            }
        }
    }
}

impl From<NegotiationError> for Error {
    fn from(error: NegotiationError) -> Self {
        if error == NegotiationError::WrongState(SignalingState::Closed) {
            Self::ConnectionClosed
        } else {
            Self::Negotiation(error)
        }
    }
}

impl From<ParametersError> for Error {
    fn from(error: ParametersError) -> Self {
        if error == ParametersError::Closed { Self::ConnectionClosed } else { Self::Parameters(error) }
    }
}

impl From<CandidateError> for Error {
    fn from(error: CandidateError) -> Self {
        if error == CandidateError::Closed { Self::ConnectionClosed } else { Self::Candidate(error) }
    }
}

impl From<TransceiverError> for Error {
    fn from(error: TransceiverError) -> Self {
        if error == TransceiverError::Closed { Self::ConnectionClosed } else { Self::Transceiver(error) }
    }
}

impl SendError {
    /// The name of the exception that W3C WebRTC 1.0 §6.2 has for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::WouldBlock => "OperationError",
            Self::NotOpen | Self::Closed => "InvalidStateError",
            Self::TooLarge { .. } => "TypeError",
        }
    }
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
