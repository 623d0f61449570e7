use std::fmt;

use rtp::{DecodeError, EditError};

/// Why a received packet was not used. It is counted, and nothing else has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Discard {
    /// It is no packet.
    Malformed(DecodeError),
    /// It cannot be turned into the packet that it carries.
    Unusable(EditError),
    /// Nobody has agreed on its payload type.
    UnknownPayloadType,
    /// It belongs to no media section.
    UnknownSection,
    /// It repairs a stream that is not known.
    UnknownStream,
    /// There are as many streams as the limit.
    TooManyStreams,
    /// Its source is one of ours (RFC 3550 §8.2).
    Collision,
    /// Its source has not proved itself yet (RFC 3550 A.1).
    Probation,
    /// Its number is too far from all others (RFC 3550 A.1).
    Jump,
    /// It came before.
    Duplicate,
    /// Its payload is malformed.
    Payload,
    /// A [`Tap`](crate::Tap) dropped it.
    Tap,
}

impl From<DecodeError> for Discard {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<EditError> for Discard {
    fn from(error: EditError) -> Self {
        Self::Unusable(error)
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(error) => return error.fmt(f),
            Self::Unusable(error) => return error.fmt(f),
            Self::UnknownPayloadType => "a payload type that nobody has agreed on",
            Self::UnknownSection => "the packet belongs to no media section",
            Self::UnknownStream => "the packet repairs a stream that is not known",
            Self::TooManyStreams => "there are too many streams",
            Self::Collision => "the packet's source is one of ours",
            Self::Probation => "the packet's source has not proved itself",
            Self::Jump => "the packet's number is too far from all others",
            Self::Duplicate => "the packet came before",
            Self::Payload => "the payload is malformed",
            Self::Tap => "a tap dropped the packet",
        })
    }
}

impl std::error::Error for Discard {}
