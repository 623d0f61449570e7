use std::fmt;

use crate::wire::DecodeError;

/// Why a record or a datagram was ignored. Never fatal: anyone on the path can send these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Discard {
    /// A header, fragment, message or extension does not decode.
    Malformed(DecodeError),
    /// The record has another version than the connection.
    Version,
    /// The record is longer than a record may be.
    TooLong,
    /// The record is shorter than its nonce and tag.
    TooShort,
    /// The record belongs to keys that are no longer used, or was sent without any.
    OldEpoch,
    /// The record belongs to keys that do not exist yet, and is not worth keeping.
    FutureEpoch,
    /// The tag is wrong.
    Forged,
    /// The record came before, or is too old to tell.
    Replayed,
    /// Application data before the peer was accepted.
    NotConnected,
    /// An alert that anyone could have sent.
    UnauthenticatedAlert,
    /// A message that was processed before.
    Repeated,
    /// A message that does not come at this point of the handshake.
    Unexpected,
    /// A message too far ahead of the one that comes next.
    TooFarAhead,
    /// A fragment without content, of a message that has some.
    EmptyFragment,
    /// A fragment that contradicts another one of its message.
    Contradiction,
    /// A message longer than [`Config::max_message`](crate::Config::max_message), or a fragment for
    /// which [`Config::max_reassembly`](crate::Config::max_reassembly) leaves no room.
    NoRoom,
    /// The signature is wrong.
    Signature,
    /// A field has a value that cannot be meant, such as a suite that was not offered.
    IllegalParameter,
    /// The peer asks for a renegotiation, which is not done.
    Renegotiation,
    /// The connection is closed.
    Closed,
    /// [`Endpoint`](crate::Endpoint): nobody knows the sender, and this is not the start of a ClientHello.
    UnknownPeer,
    /// [`Endpoint`](crate::Endpoint): there are [`Config::max_connections`](crate::Config::max_connections) already.
    TooManyConnections,
}

impl From<DecodeError> for Discard {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(error) => return error.fmt(f),
            Self::Version => "the record has another version",
            Self::TooLong => "the record is too long",
            Self::TooShort => "the record is shorter than its nonce and tag",
            Self::OldEpoch => "the record belongs to an old epoch",
            Self::FutureEpoch => "the record belongs to a future epoch",
            Self::Forged => "the tag is wrong",
            Self::Replayed => "the record came before",
            Self::NotConnected => "application data before the peer was accepted",
            Self::UnauthenticatedAlert => "an alert that anyone could have sent",
            Self::Repeated => "the message was processed before",
            Self::Unexpected => "the message does not come at this point",
            Self::TooFarAhead => "the message is too far ahead",
            Self::EmptyFragment => "the fragment is empty",
            Self::Contradiction => "the fragment contradicts another one",
            Self::NoRoom => "the message is too long to be kept",
            Self::Signature => "the signature is wrong",
            Self::IllegalParameter => "a parameter cannot be meant",
            Self::Renegotiation => "renegotiation is not done",
            Self::Closed => "the connection is closed",
            Self::UnknownPeer => "nobody knows the sender",
            Self::TooManyConnections => "there are too many connections",
        })
    }
}

impl std::error::Error for Discard {}

/// Why no record was begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SealError {
    /// The peer was not accepted yet, or the connection is closed.
    NotConnected,
    /// A handshake datagram of ours must leave first: call `poll_packet`.
    HandshakePending,
    /// The memory has no room for an empty record.
    NoSpace,
    /// All sequence numbers are used up; the connection is closed.
    Exhausted,
    /// For the caller's own use: it had nothing to put into the record.
    Nothing,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "not connected",
            Self::HandshakePending => "a handshake datagram must leave first",
            Self::NoSpace => "no room for a record",
            Self::Exhausted => "all sequence numbers are used up",
            Self::Nothing => "nothing to send",
        })
    }
}

impl std::error::Error for SealError {}

impl From<proto::NoSpace> for SealError {
    fn from(proto::NoSpace: proto::NoSpace) -> Self {
        Self::NoSpace
    }
}

/// Why no keying material was exported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ExportError {
    /// The peer was not accepted yet, or the connection is closed.
    NotConnected,
    /// The context is longer than 65,535 bytes (RFC 5705 §4).
    ContextTooLong,
    /// The label is one of those that the handshake itself uses (RFC 5705 §4).
    ReservedLabel,
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "not connected",
            Self::ContextTooLong => "the context is too long",
            Self::ReservedLabel => "the label is reserved",
        })
    }
}

impl std::error::Error for ExportError {}

/// Why no identity was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The validity does not lie within the years 1970 to 9999.
    Validity,
    /// The certificate, or all of its chain, is longer than 16 KiB.
    TooLong,
    /// The certificate is not a DER certificate of an ECDSA P-256 key, or an issuer's is none at all.
    Certificate,
    /// The certificate belongs to another key.
    OtherKey,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Validity => "the validity is out of range",
            Self::TooLong => "the certificate is too long",
            Self::Certificate => "not a certificate of an ECDSA P-256 key",
            Self::OtherKey => "the certificate belongs to another key",
        })
    }
}

impl std::error::Error for IdentityError {}

/// Why an [`Endpoint`](crate::Endpoint) did not connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnectError {
    /// There are [`Config::max_connections`](crate::Config::max_connections) already.
    TooManyConnections,
    /// There is a connection on this path already.
    PathInUse,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyConnections => "there are too many connections",
            Self::PathInUse => "there is a connection on this path already",
        })
    }
}

impl std::error::Error for ConnectError {}
