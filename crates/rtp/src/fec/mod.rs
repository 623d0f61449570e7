//! Packets of repair: from packets of media as parity over them, and back again for one of them that is lost.
//!
//! Three formats tell which packets are protected in their own ways: ULPFEC ([`Format::Ulp`], RFC 5109),
//! FlexFEC as browsers speak it ([`Format::Flex03`], draft-ietf-payload-flexible-fec-scheme-03), and FlexFEC as
//! it became a standard ([`Format::Flex`], RFC 8627). What they carry is the same.
//!
//! ```
//! # use rtp::fec::{Format, Repair, protect};
//! # use rtp::{SequenceNumber, Ssrc};
//! # use proto::Writer;
//! let packets = [b"\x80\x60\x00\x07\x00\x00\x03\xc0\x11\x22\x33\x44one", b"\x80\x60\x00\x08\x00\x00\x03\xc0\x11\x22\x33\x44two"];
//! let mut memory = [0; 200];
//! let mut out = Writer::new(&mut memory);
//! protect(Format::Flex03, packets.iter().map(|packet| &packet[..]), &mut out)?;
//!
//! let repair = Repair::decode(Format::Flex03, out.written())?;
//! let mut memory = [0; 200];
//! let mut out = Writer::new(&mut memory);
//! repair.recover(Ssrc(0x1122_3344), SequenceNumber(8), [&packets[0][..]], &mut out)?;
//! assert_eq!(out.written(), packets[1]);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
#![deny(clippy::arithmetic_side_effects)]

mod mask;
mod parity;
mod repair;

pub use mask::{Mask, MaskNumbers};
pub use repair::{Protected, Repair, protect};

use std::fmt;

use proto::NoSpace;

use crate::DecodeError;

/// How a packet of repair tells what it protects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// RFC 5109, at most 48 packets. Packets are protected whole, at one level. It goes inside of redundant
    /// payloads (RFC 2198) of the same stream.
    Ulp,
    /// draft-ietf-payload-flexible-fec-scheme-03, at most 109 packets of one stream, which is named.
    Flex03,
    /// RFC 8627, at most 110 packets by a mask, or 255 by rows and columns, of one stream, which is the one
    /// contributing source of the packet of repair. A packet of repair that has several is not to be read.
    Flex,
}

impl Format {
    /// From the first packet to the last there are at most so many, if a mask tells which are protected.
    pub const fn max_span(self) -> u16 {
        match self {
            Self::Ulp => 48,
            Self::Flex03 => 109,
            Self::Flex => 110,
        }
    }
}

/// Why packets were not protected, or none was recovered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FecError {
    /// The memory is too small.
    NoRoom,
    /// A packet is none, or the repair is malformed.
    Malformed(DecodeError),
    /// There is no packet to protect.
    Nothing,
    /// Packets of several streams, or not in the order of their numbers.
    Order,
    /// The packets are further apart than the format can tell: [`Format::max_span`].
    Span,
    /// The packet is not among those that the repair protects.
    NotProtected,
    /// Not all other packets are there, or there are others.
    Incomplete,
    /// What comes out is no packet: the repair or one of the packets is of something else.
    Inconsistent,
}

impl From<NoSpace> for FecError {
    fn from(_: NoSpace) -> Self {
        Self::NoRoom
    }
}

impl From<DecodeError> for FecError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for FecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "there is no room",
            Self::Malformed(error) => return error.fmt(f),
            Self::Nothing => "there is nothing to protect",
            Self::Order => "packets of several streams, or out of order",
            Self::Span => "the packets are too far apart",
            Self::NotProtected => "the packet is not protected",
            Self::Incomplete => "not all other packets are there",
            Self::Inconsistent => "what comes out is no packet",
        })
    }
}

impl std::error::Error for FecError {}
