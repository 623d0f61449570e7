use std::error::Error;
use std::fmt;

/// Why bytes are not a message of the establishment protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A field runs past the end.
    Truncated,
    /// Something follows the last field.
    TrailingBytes,
    /// The message type is neither OPEN nor ACK.
    UnknownType(u8),
    /// The channel type is not one of RFC 8832 §5.1.
    UnknownChannelType(u8),
    /// The label or the protocol is not UTF-8.
    NotText,
}

/// Why a channel could not be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum OpenError {
    /// [`Config::max_channels`](crate::Config::max_channels) are open.
    TooMany,
    /// The negotiated stream is in use, or not yet reset by both sides.
    InUse,
    /// The negotiated stream number is 65,535 or beyond what the peer takes.
    OutOfRange,
    /// The label or the protocol is longer than 65,535 bytes.
    TooLong,
    /// The association is closed.
    Closed,
}

/// Why a message, or the rest of it, was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// There is no room. What was not taken is still in the message; wait for
    /// [`Event::Writable`](crate::Event::Writable). Also the answer while another message of the channel is
    /// half taken.
    Blocked,
    /// The message is larger than the peer accepts; nothing was taken.
    TooLarge {
        /// The peer's limit, in bytes.
        limit: u64,
    },
    /// There is no such channel any more.
    UnknownChannel,
    /// The channel has no stream yet: the DTLS role is not known.
    NotOpen,
    /// The channel is closing, or the association is closed.
    Closed,
}

impl OpenError {
    /// The name of the exception that W3C WebRTC 1.0 §6.1 has for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TooMany | Self::InUse => "OperationError",
            Self::OutOfRange | Self::TooLong => "TypeError",
            Self::Closed => "InvalidStateError",
        }
    }
}

impl SendError {
    /// The name of the exception that W3C WebRTC 1.0 §6.2 has for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Blocked => "OperationError",
            Self::TooLarge { .. } => "TypeError",
            Self::UnknownChannel | Self::NotOpen | Self::Closed => "InvalidStateError",
        }
    }
}

impl From<proto::Truncated> for DecodeError {
    fn from(_: proto::Truncated) -> Self {
        Self::Truncated
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("a field runs past the end"),
            Self::TrailingBytes => f.write_str("something follows the last field"),
            Self::UnknownType(kind) => write!(f, "message type {kind} is unknown"),
            Self::UnknownChannelType(kind) => write!(f, "channel type {kind} is unknown"),
            Self::NotText => f.write_str("the label or protocol is not UTF-8"),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooMany => "too many channels are open",
            Self::InUse => "the stream is in use",
            Self::OutOfRange => "the stream number is out of range",
            Self::TooLong => "the label or protocol is too long",
            Self::Closed => "the association is closed",
        })
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocked => "there is no room",
            Self::TooLarge { limit } => return write!(f, "the peer takes messages of {limit} bytes at most"),
            Self::UnknownChannel => "the channel does not exist",
            Self::NotOpen => "the channel is not open yet",
            Self::Closed => "the channel is closed",
        })
    }
}

impl Error for DecodeError {}
impl Error for OpenError {}
impl Error for SendError {}

impl From<sctp::OpenError> for OpenError {
    fn from(error: sctp::OpenError) -> Self {
        match error {
            sctp::OpenError::InUse => Self::InUse,
            sctp::OpenError::OutOfRange => Self::OutOfRange,
            sctp::OpenError::TooMany => Self::TooMany,
            sctp::OpenError::Closed | _ => Self::Closed,
        }
    }
}
