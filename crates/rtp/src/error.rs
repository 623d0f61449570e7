use std::fmt;

use proto::{NoSpace, Truncated};

/// Why bytes are not what they were taken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A field runs past the end.
    Truncated,
    /// The version is not 2 (RFC 3550 §5.1, §6.4.1).
    Version,
    /// The last byte counts no padding, or more than there is (RFC 3550 §5.1, §6.4.1).
    Padding,
    /// A packet of RTCP has another type or format than the one it was read as.
    Kind,
    /// What a packet of RTCP holds does not fill its length, or runs past it.
    Length,
    /// A value is outside of what its specification allows.
    Value,
    /// More packets than [`MAX_PACKETS`](crate::rtcp::MAX_PACKETS) in one datagram of RTCP.
    TooManyPackets,
    /// The value needs a template structure that is not there, or names a template that is not in it
    /// (dependency descriptor).
    NoTemplate,
}

impl From<Truncated> for DecodeError {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "a field runs past the end",
            Self::Version => "another version than 2",
            Self::Padding => "impossible padding",
            Self::Kind => "another type of packet",
            Self::Length => "a length that does not fit what is there",
            Self::Value => "a value outside of what is allowed",
            Self::TooManyPackets => "too many packets in one datagram",
            Self::NoTemplate => "no template that the value could be read by",
        })
    }
}

impl std::error::Error for DecodeError {}

/// Why a packet was not written or changed. It is as it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EditError {
    /// The memory behind the packet is too small, or a length field too narrow.
    NoRoom,
    /// An extension element does not go into the form that the packet has: one-byte elements have
    /// identifiers 1 to 14 and 1 to 16 bytes, two-byte elements 1 to 255 and up to 255 (RFC 8285 §4).
    Form,
    /// The header extension of the packet is none of RFC 8285.
    NotElements,
    /// More contributing sources than 15 (RFC 3550 §5.1).
    TooManySources,
    /// A retransmission that holds no original packet: less than two bytes (RFC 4588 §4).
    NoOriginal,
    /// A value that its field cannot hold, or a list longer than what it may be.
    Value,
}

impl From<NoSpace> for EditError {
    fn from(_: NoSpace) -> Self {
        Self::NoRoom
    }
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "there is no room",
            Self::Form => "the element does not go into the form that the packet has",
            Self::NotElements => "the header extension is none of RFC 8285",
            Self::TooManySources => "more than 15 contributing sources",
            Self::NoOriginal => "the retransmission holds no packet",
            Self::Value => "a value that its field cannot hold",
        })
    }
}

impl std::error::Error for EditError {}
