use std::fmt;

use proto::Truncated;

/// Why bytes are not a STUN message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The two leading bits, the cookie or the length rule out STUN.
    NotStun,
    /// A field or attribute runs past the end.
    Truncated,
    /// An attribute of this type has an impossible value.
    Attribute(u16),
    /// More attributes than are allowed: [`MAX_ATTRIBUTES`](crate::wire::MAX_ATTRIBUTES), or a configured number.
    TooManyAttributes,
    /// FINGERPRINT does not fit the bytes before it, or is not the last attribute.
    Fingerprint,
}

impl From<Truncated> for DecodeError {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStun => f.write_str("not a STUN message"),
            Self::Truncated => f.write_str("a field or attribute runs past the end"),
            Self::Attribute(kind) => write!(f, "attribute {kind:#06x} has an impossible value"),
            Self::TooManyAttributes => f.write_str("too many attributes"),
            Self::Fingerprint => f.write_str("the fingerprint does not fit"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Why a message is not authentic.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum IntegrityError {
    /// It carries neither MESSAGE-INTEGRITY nor MESSAGE-INTEGRITY-SHA256.
    Missing,
    /// The code it carries was not made with this key.
    Forged,
}

impl fmt::Display for IntegrityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the message carries no integrity code",
            Self::Forged => "the integrity code was not made with this key",
        })
    }
}

impl std::error::Error for IntegrityError {}

/// Why a datagram was ignored. Never fatal: anyone on the path can send these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Discard {
    /// It does not decode.
    Malformed(DecodeError),
    /// It came from elsewhere, or to elsewhere, than the request's path.
    WrongPath,
    /// It answers no request that is in flight.
    UnknownTransaction,
    /// It carries an attribute that must be understood and is not (RFC 8489 §6.3.3).
    UnknownAttribute(u16),
    /// It is a response without the attribute it must carry.
    Incomplete,
}

impl From<DecodeError> for Discard {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::WrongPath => f.write_str("not on the path of the request"),
            Self::UnknownTransaction => f.write_str("answers no request in flight"),
            Self::UnknownAttribute(kind) => write!(f, "attribute {kind:#06x} is not understood"),
            Self::Incomplete => f.write_str("a response without the attribute it must carry"),
        }
    }
}

impl std::error::Error for Discard {}
