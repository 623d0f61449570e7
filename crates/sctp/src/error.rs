use std::error::Error;
use std::fmt;

/// Why bytes are not an SCTP packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A field, chunk, parameter or its padding runs past the end.
    Truncated,
    /// A chunk of this type declares a length that its fields do not have.
    ChunkLength(u8),
    /// A parameter of this type declares a length that its fields do not have.
    ParameterLength(u16),
    /// There is no chunk behind the header.
    NoChunks,
}

/// Why a packet was ignored, in whole or from some chunk on. Never fatal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Discard {
    /// It does not decode.
    Malformed(DecodeError),
    /// Its CRC-32c is wrong (RFC 9260 §6.8).
    Checksum,
    /// Its ports are not ours.
    Ports,
    /// Its verification tag is not the one that the rules of RFC 9260 §8.5 demand.
    Tag,
    /// An INIT, INIT ACK or SHUTDOWN COMPLETE was bundled with something (RFC 9260 §6.10), or a HEARTBEAT whose answer
    /// fills a packet (§12.5).
    Bundled,
    /// A State Cookie was not made by us.
    ForgedCookie,
    /// A State Cookie has outlived its time (RFC 9260 §5.2.6).
    StaleCookie,
    /// A State Cookie fits no row of the table of RFC 9260 §5.2.4.
    UnexpectedCookie,
    /// The chunk has no meaning in the association's state.
    UnexpectedChunk,
    /// A chunk of an unknown type ended the processing, as its upper bits ask (RFC 9260 §3.2).
    UnknownChunk,
    /// The receive buffer is full, or the TSN lies beyond what it can hold, or no packet holds the answer to a HEARTBEAT.
    NoRoom,
    /// The association is closed.
    Closed,
}

/// Why a stream could not be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum OpenError {
    /// It is open, or one of its directions was not reset yet.
    InUse,
    /// The peer takes no stream of that number, or it is 65,535.
    OutOfRange,
    /// [`Config::max_streams`](crate::Config::max_streams) streams are in use.
    TooMany,
    /// The association is closed.
    Closed,
}

/// Why a message, or the rest of it, was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// The send buffer is full. What fitted was taken, the rest is still in the payload; wait for
    /// [`Event::Writable`](crate::Event::Writable).
    Blocked,
    /// The message is larger than allowed; nothing of this call was taken.
    TooLarge {
        /// The largest message, in bytes.
        limit: u64,
    },
    /// A message cannot be empty (RFC 9260 §3.3.1: DATA carries at least one byte).
    Empty,
    /// The stream is not open for sending.
    UnknownStream,
    /// The association is closed or shutting down.
    Closed,
}

impl From<proto::Truncated> for DecodeError {
    fn from(_: proto::Truncated) -> Self {
        Self::Truncated
    }
}

impl From<DecodeError> for Discard {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("a field, chunk or parameter runs past the end"),
            Self::ChunkLength(kind) => write!(f, "a chunk of type {kind} has an impossible length"),
            Self::ParameterLength(kind) => write!(f, "a parameter of type {kind} has an impossible length"),
            Self::NoChunks => f.write_str("no chunk follows the header"),
        }
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(error) => return write!(f, "the packet does not decode: {error}"),
            Self::Checksum => "the checksum is wrong",
            Self::Ports => "the ports are not ours",
            Self::Tag => "the verification tag is wrong",
            Self::Bundled => "a chunk that must travel alone was bundled",
            Self::ForgedCookie => "the state cookie is not ours",
            Self::StaleCookie => "the state cookie is too old",
            Self::UnexpectedCookie => "the state cookie belongs to no association",
            Self::UnexpectedChunk => "the chunk has no meaning in this state",
            Self::UnknownChunk => "a chunk of unknown type asks to stop",
            Self::NoRoom => "the receive buffer is full",
            Self::Closed => "the association is closed",
        })
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InUse => "the stream is in use",
            Self::OutOfRange => "the stream number is out of range",
            Self::TooMany => "too many streams are in use",
            Self::Closed => "the association is closed",
        })
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocked => "the send buffer is full",
            Self::TooLarge { limit } => return write!(f, "the message is larger than {limit} bytes"),
            Self::Empty => "a message cannot be empty",
            Self::UnknownStream => "the stream is not open",
            Self::Closed => "the association is closed",
        })
    }
}

impl Error for DecodeError {}
impl Error for Discard {}
impl Error for OpenError {}
impl Error for SendError {}
