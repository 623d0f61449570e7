use std::net::SocketAddr;

use proto::{NoSpace, Reader, Writer};

use super::{TransactionId, address};
use crate::DecodeError;

/// One attribute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Attribute<'a> {
    /// MAPPED-ADDRESS (RFC 8489 §14.1).
    MappedAddress(SocketAddr),
    /// XOR-MAPPED-ADDRESS, already un-XORed (RFC 8489 §14.2).
    XorMappedAddress(SocketAddr),
    /// USERNAME (RFC 8489 §14.3), at most 763 bytes; one that is written has at most 508.
    Username(&'a str),
    /// MESSAGE-INTEGRITY (RFC 8489 §14.5): the code, not yet verified. To write one, give
    /// [`Encoder::finish`](super::Encoder::finish) the key.
    MessageIntegrity(&'a [u8; 20]),
    /// MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.6): 16 to 32 bytes of the code, not yet verified.
    MessageIntegritySha256(&'a [u8]),
    /// FINGERPRINT (RFC 8489 §14.7), which decoding has checked.
    Fingerprint(u32),
    /// ERROR-CODE (RFC 8489 §14.8).
    ErrorCode(ErrorCode<'a>),
    /// UNKNOWN-ATTRIBUTES (RFC 8489 §14.13).
    UnknownAttributes(UnknownAttributes<'a>),
    /// REALM (RFC 8489 §14.9), at most 763 bytes; one that is written has at most 127 characters.
    Realm(&'a str),
    /// NONCE (RFC 8489 §14.10), at most 763 bytes; one that is written has at most 127 characters.
    Nonce(&'a str),
    /// SOFTWARE (RFC 8489 §14.14), at most 763 bytes; one that is written has at most 127 characters.
    Software(&'a str),
    /// ALTERNATE-SERVER (RFC 8489 §14.15).
    AlternateServer(SocketAddr),
    /// PRIORITY (RFC 8445 §16.1).
    Priority(u32),
    /// USE-CANDIDATE (RFC 8445 §16.1).
    UseCandidate,
    /// ICE-CONTROLLED with its tie-breaker (RFC 8445 §16.1).
    IceControlled(u64),
    /// ICE-CONTROLLING with its tie-breaker (RFC 8445 §16.1).
    IceControlling(u64),
    /// An attribute this crate does not interpret.
    Unknown {
        /// The attribute type. Below 0x8000 it must be understood (RFC 8489 §14).
        kind: u16,
        /// The value without padding.
        value: &'a [u8],
    },
}

impl<'a> Attribute<'a> {
    /// The attribute type.
    pub const fn kind(&self) -> u16 {
        match self {
            Self::MappedAddress(_) => MAPPED_ADDRESS,
            Self::XorMappedAddress(_) => XOR_MAPPED_ADDRESS,
            Self::Username(_) => USERNAME,
            Self::MessageIntegrity(_) => MESSAGE_INTEGRITY,
            Self::MessageIntegritySha256(_) => MESSAGE_INTEGRITY_SHA256,
            Self::Fingerprint(_) => FINGERPRINT,
            Self::ErrorCode(_) => ERROR_CODE,
            Self::UnknownAttributes(_) => UNKNOWN_ATTRIBUTES,
            Self::Realm(_) => REALM,
            Self::Nonce(_) => NONCE,
            Self::Software(_) => SOFTWARE,
            Self::AlternateServer(_) => ALTERNATE_SERVER,
            Self::Priority(_) => PRIORITY,
            Self::UseCandidate => USE_CANDIDATE,
            Self::IceControlled(_) => ICE_CONTROLLED,
            Self::IceControlling(_) => ICE_CONTROLLING,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    pub(super) fn decode(kind: u16, value: &'a [u8], id: TransactionId) -> Result<Self, DecodeError> {
        Self::decode_value(kind, value, id).ok_or(DecodeError::Attribute(kind))
    }

    fn decode_value(kind: u16, value: &'a [u8], id: TransactionId) -> Option<Self> {
        Some(match kind {
            MAPPED_ADDRESS => Self::MappedAddress(address::decode(value)?),
            XOR_MAPPED_ADDRESS => Self::XorMappedAddress(address::xor(address::decode(value)?, id)),
            ALTERNATE_SERVER => Self::AlternateServer(address::decode(value)?),
            USERNAME => Self::Username(text(value, MAX_TEXT)?),
            REALM => Self::Realm(text(value, MAX_TEXT)?),
            NONCE => Self::Nonce(text(value, MAX_TEXT)?),
            // Optional, and of no consequence: one that is not text is carried along as it is.
            SOFTWARE => text(value, MAX_TEXT).map_or(Self::Unknown { kind, value }, Self::Software),
            MESSAGE_INTEGRITY => Self::MessageIntegrity(value.try_into().ok()?),
            MESSAGE_INTEGRITY_SHA256 => {
                let len = value.len();
                Self::MessageIntegritySha256(
                    ((16..=32).contains(&len) && len.is_multiple_of(4)).then_some(value)?,
                )
            }
            FINGERPRINT => Self::Fingerprint(u32::from_be_bytes(value.try_into().ok()?)),
            ERROR_CODE => Self::ErrorCode(ErrorCode::decode(value)?),
            UNKNOWN_ATTRIBUTES => Self::UnknownAttributes(UnknownAttributes::decode(value)?),
            PRIORITY => Self::Priority(u32::from_be_bytes(value.try_into().ok()?)),
            USE_CANDIDATE => value.is_empty().then_some(Self::UseCandidate)?,
            ICE_CONTROLLED => Self::IceControlled(u64::from_be_bytes(value.try_into().ok()?)),
            ICE_CONTROLLING => Self::IceControlling(u64::from_be_bytes(value.try_into().ok()?)),
            _ => Self::Unknown { kind, value },
        })
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>, id: TransactionId) -> Result<(), NoSpace> {
        let head = out.len();
        out.put_u16(self.kind())?;
        out.put_u16(0)?;
        match self {
            Self::MappedAddress(address) | Self::AlternateServer(address) => address::encode(out, *address)?,
            Self::XorMappedAddress(address) => address::encode(out, address::xor(*address, id))?,
            Self::Username(name) if name.len() > MAX_USERNAME => return Err(NoSpace),
            Self::Username(name) => out.put(name.as_bytes())?,
            Self::Realm(text) | Self::Nonce(text) | Self::Software(text) => put_text(out, text)?,
            Self::MessageIntegrity(code) => out.put(*code)?,
            Self::MessageIntegritySha256(value) | Self::Unknown { value, .. } => out.put(value)?,
            Self::Fingerprint(value) | Self::Priority(value) => out.put_u32(*value)?,
            Self::ErrorCode(error) => error.encode(out)?,
            Self::UnknownAttributes(list) => list.encode(out)?,
            Self::UseCandidate => {}
            Self::IceControlled(tie_breaker) | Self::IceControlling(tie_breaker) => {
                out.put_u64(*tie_breaker)?;
            }
        }
        let len = out.len().saturating_sub(head).saturating_sub(4);
        let (Some(at), Ok(field)) = (head.checked_add(2), u16::try_from(len)) else { return Err(NoSpace) };
        out.patch_u16(at, field)?;
        out.put_zeros(padding(len))
    }
}

/// The content of ERROR-CODE.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ErrorCode<'a> {
    /// 300 to 699.
    pub code: u16,
    /// Words for people.
    pub reason: &'a str,
}

impl<'a> ErrorCode<'a> {
    fn decode(value: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        reader.u16().ok()?;
        let class = reader.u8().ok()? & 7;
        let number = reader.u8().ok()?;
        let valid = (3..=6).contains(&class) && number < 100;
        let code = u16::from(class).checked_mul(100)?.checked_add(u16::from(number))?;
        let reason = text(reader.rest(), MAX_TEXT)?;
        valid.then_some(Self { code, reason })
    }

    fn encode(self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let class = u8::try_from(self.code / 100).map_err(|_| NoSpace)?;
        let number = u8::try_from(self.code % 100).map_err(|_| NoSpace)?;
        out.put(&[0, 0, class & 7, number])?;
        put_text(out, self.reason)
    }
}

/// The attribute types that a server did not understand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnknownAttributes<'a>(List<'a>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum List<'a> {
    Bytes(&'a [u8]),
    Types(&'a [u16]),
}

impl<'a> UnknownAttributes<'a> {
    /// A list to be written.
    pub const fn new(types: &'a [u16]) -> Self {
        Self(List::Types(types))
    }

    /// The attribute types.
    pub fn types(&self) -> impl Iterator<Item = u16> + use<'a> {
        let (mut reader, types) = match self.0 {
            List::Bytes(bytes) => (Reader::new(bytes), [].as_slice()),
            List::Types(types) => (Reader::new(&[]), types),
        };
        std::iter::from_fn(move || reader.u16().ok()).chain(types.iter().copied())
    }

    fn decode(value: &'a [u8]) -> Option<Self> {
        value.len().is_multiple_of(2).then_some(Self(List::Bytes(value)))
    }

    fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        self.types().try_for_each(|kind| out.put_u16(kind))
    }
}

/// Bytes from a value of `len` bytes to the next multiple of four.
pub(super) const fn padding(len: usize) -> usize {
    len.wrapping_neg() & 3
}

/// Writes a text that must be short (RFC 8489 §14.8 to §14.10, §14.14).
fn put_text(out: &mut Writer<'_>, text: &str) -> Result<(), NoSpace> {
    if text.chars().nth(MAX_CHARACTERS).is_some() { Err(NoSpace) } else { out.put(text.as_bytes()) }
}

fn text(value: &[u8], max: usize) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| text.len() <= max)
}

const MAPPED_ADDRESS: u16 = 0x0001;
const USERNAME: u16 = 0x0006;
pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
pub(super) const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const SOFTWARE: u16 = 0x8022;
const ALTERNATE_SERVER: u16 = 0x8023;
pub(super) const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802a;
/// RFC 8489 §14.3: fewer than 509 bytes are written; more are read, as older peers may write them.
const MAX_USERNAME: usize = 508;
/// RFC 8489 §14.8 to §14.10, §14.14: fewer than 128 characters are written.
const MAX_CHARACTERS: usize = 127;
/// The same sections, and §14.3: texts of as many bytes must be read.
const MAX_TEXT: usize = 763;

#[cfg(test)]
mod tests;
