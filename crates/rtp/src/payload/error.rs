use core::fmt;

use proto::Truncated;

/// Why a payload was not used.
///
/// But for [`Unread`](Self::Unread), it counts as lost, and so does the frame that it belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Discard {
    /// There is nothing in it.
    Empty,
    /// A field goes on behind its end.
    Truncated,
    /// A part of it has no bytes where it must have some.
    EmptyPart,
    /// It contradicts its format: a forbidden bit, or flags that exclude each other.
    Malformed,
    /// A kind of payload that this implementation, or the agreed mode, does not have.
    Unsupported,
    /// It goes on with something whose begin is not there.
    NoStart,
    /// It belongs to a frame that is broken already.
    BrokenFrame,
    /// Its frame has [`Limits::max_packets`](super::Limits::max_packets) already.
    TooManyPackets,
    /// Its frame would be longer than [`Limits::max_bytes`](super::Limits::max_bytes).
    TooManyBytes,
    /// It repeats what was delivered.
    Repeated,
    /// Frames wait to be polled. Nothing was changed: poll them, and hand the payload over again.
    Unread,
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the payload is empty",
            Self::Truncated => "a field goes on behind the payload's end",
            Self::EmptyPart => "a part of the payload is empty",
            Self::Malformed => "the payload contradicts its format",
            Self::Unsupported => "a kind of payload that is not supported",
            Self::NoStart => "the payload goes on with what was not begun",
            Self::BrokenFrame => "the payload belongs to a broken frame",
            Self::TooManyPackets => "the frame has too many packets",
            Self::TooManyBytes => "the frame is too long",
            Self::Repeated => "the payload repeats what was delivered",
            Self::Unread => "frames wait to be polled",
        })
    }
}

impl core::error::Error for Discard {}

impl From<Truncated> for Discard {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}

/// A frame that will not be delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Broken {
    /// The timestamp of its packets.
    pub timestamp: u32,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the frame of timestamp {} is broken: {}", self.timestamp, self.reason)
    }
}

impl core::error::Error for Broken {}

/// Why a frame is broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// Packets of it are missing.
    Lost,
    /// Another one began before it ended.
    Unfinished,
    /// One of its payloads could not be read.
    Unreadable(Discard),
    /// It has more packets than [`Limits::max_packets`](super::Limits::max_packets).
    TooManyPackets,
    /// It is longer than [`Limits::max_bytes`](super::Limits::max_bytes).
    TooManyBytes,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("packets are missing"),
            Self::Unfinished => f.write_str("another frame began before it ended"),
            Self::Unreadable(discard) => write!(f, "{discard}"),
            Self::TooManyPackets => f.write_str("it has too many packets"),
            Self::TooManyBytes => f.write_str("it is too long"),
        }
    }
}

/// Why a frame cannot be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FrameError {
    /// There is nothing in it.
    Empty,
    /// It is not what the codec produces.
    NotAFrame,
    /// The payloads may not even be as long as the format's headers with a byte behind them.
    PayloadTooSmall,
    /// A part of it is longer than a payload, and the format or the agreed mode cannot divide it.
    Indivisible,
    /// A field of what was said about it is out of its range.
    OutOfRange,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the frame is empty",
            Self::NotAFrame => "the bytes are no frame of the codec",
            Self::PayloadTooSmall => "payloads of that length cannot hold the format's headers",
            Self::Indivisible => "a part of the frame is longer than a payload and cannot be divided",
            Self::OutOfRange => "a field is out of its range",
        })
    }
}

impl core::error::Error for FrameError {}
