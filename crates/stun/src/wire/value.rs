//! What attributes hold when it is more than a number or an address.

use std::net::IpAddr;

use proto::{NoSpace, Reader, Writer};

use super::attribute::padding;

/// The content of ERROR-CODE.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ErrorCode<'a> {
    /// 300 to 699.
    pub code: u16,
    /// Words for people.
    pub reason: &'a str,
}

impl<'a> ErrorCode<'a> {
    pub(super) fn decode(value: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        reader.u16().ok()?;
        let class = reader.u8().ok()? & 7;
        let number = reader.u8().ok()?;
        let valid = (3..=6).contains(&class) && number < 100;
        let code = u16::from(class).checked_mul(100)?.checked_add(u16::from(number))?;
        let reason = text(reader.rest(), MAX_TEXT)?;
        valid.then_some(Self { code, reason })
    }

    pub(super) fn encode(self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let class = u8::try_from(self.code / 100).map_err(|_| NoSpace)?;
        let number = u8::try_from(self.code % 100).map_err(|_| NoSpace)?;
        out.put(&[0, 0, class & 7, number])?;
        put_text(out, self.reason)
    }
}

/// The address family of a relayed address (RFC 8656 §18.6).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum AddressFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// A number that stands for neither: a server answers it with error 440.
    Other(u8),
}

impl AddressFamily {
    /// The family of an address.
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    pub(super) const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::V4,
            2 => Self::V6,
            other => Self::Other(other),
        }
    }

    pub(super) const fn number(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
            Self::Other(number) => number,
        }
    }
}

/// The content of ADDRESS-ERROR-CODE: why there is no relayed address of one of two families.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AddressError<'a> {
    /// The family that there is no address of.
    pub family: AddressFamily,
    /// 440 or 508, mostly.
    pub code: u16,
    /// Words for people.
    pub reason: &'a str,
}

impl<'a> AddressError<'a> {
    pub(super) fn decode(value: &'a [u8]) -> Option<Self> {
        let family = AddressFamily::from_number(*value.first()?);
        let ErrorCode { code, reason } = ErrorCode::decode(value)?;
        Some(Self { family, code, reason })
    }

    pub(super) fn encode(self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let start = out.len();
        ErrorCode { code: self.code, reason: self.reason }.encode(out)?;
        out.patch(start, &[self.family.number()])
    }
}

/// The content of ICMP: an error that a peer's network answered with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Icmp {
    /// The type, 7 bits: 3 says destination unreachable in IPv4, 1 in IPv6.
    pub kind: u8,
    /// The code, 9 bits.
    pub code: u16,
    /// The rest of the header: the MTU where a packet was too big.
    pub data: u32,
}

impl Icmp {
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        reader.u16().ok()?;
        let both = reader.u16().ok()?;
        let data = reader.u32().ok()?;
        let [high, _] = both.to_be_bytes();
        reader.is_empty().then_some(Self { kind: high >> 1, code: both & 0x1ff, data })
    }

    pub(super) fn encode(self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u16(0)?;
        out.put_u16((u16::from(self.kind) << 9) | (self.code & 0x1ff))?;
        out.put_u32(self.data)
    }
}

/// How the key of a long-term credential is made from the password (RFC 8489 §18.5).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum PasswordAlgorithm {
    /// MD5, which everyone knows.
    Md5,
    /// SHA-256.
    Sha256,
    /// One that this crate does not know. Its parameters are not kept, and it is written without.
    Other(u16),
}

impl PasswordAlgorithm {
    /// Exactly one, with its parameters.
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        let algorithm = Self::read(&mut reader)?;
        reader.is_empty().then_some(algorithm)
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let number = reader.u16().ok()?;
        let len = usize::from(reader.u16().ok()?);
        reader.take(len).ok()?;
        // The last one's padding may be the attribute's own.
        if !reader.is_empty() {
            reader.take(padding(len)).ok()?;
        }
        Some(match (number, len) {
            (1, 0) => Self::Md5,
            (2, 0) => Self::Sha256,
            _ => Self::Other(number),
        })
    }

    pub(super) fn encode(self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let number = match self {
            Self::Md5 => 1,
            Self::Sha256 => 2,
            Self::Other(number) => number,
        };
        out.put_u32(u32::from(number) << 16)
    }
}

/// The algorithms that a server takes, the preferred one first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PasswordAlgorithms<'a>(AlgorithmList<'a>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum AlgorithmList<'a> {
    Bytes(&'a [u8]),
    Known(&'a [PasswordAlgorithm]),
}

impl<'a> PasswordAlgorithms<'a> {
    /// A list to be written.
    pub const fn new(algorithms: &'a [PasswordAlgorithm]) -> Self {
        Self(AlgorithmList::Known(algorithms))
    }

    /// A list to be written as it was read, which [`as_bytes`](Self::as_bytes) gave: an echo must not differ.
    pub const fn echo(bytes: &'a [u8]) -> Self {
        Self(AlgorithmList::Bytes(bytes))
    }

    /// The algorithms.
    pub fn algorithms(&self) -> impl Iterator<Item = PasswordAlgorithm> + use<'a> {
        let (mut reader, known) = match self.0 {
            AlgorithmList::Bytes(bytes) => (Reader::new(bytes), [].as_slice()),
            AlgorithmList::Known(known) => (Reader::new(&[]), known),
        };
        let read =
            std::iter::from_fn(
                move || {
                    if reader.is_empty() { None } else { PasswordAlgorithm::read(&mut reader) }
                },
            );
        read.chain(known.iter().copied())
    }

    /// The list as it was read; empty for one to be written.
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self.0 {
            AlgorithmList::Bytes(bytes) => bytes,
            AlgorithmList::Known(_) => &[],
        }
    }

    pub(super) fn decode(value: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        while !reader.is_empty() {
            PasswordAlgorithm::read(&mut reader)?;
        }
        Some(Self::echo(value))
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        match self.0 {
            AlgorithmList::Bytes(bytes) => out.put(bytes),
            AlgorithmList::Known(known) => known.iter().try_for_each(|algorithm| algorithm.encode(out)),
        }
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

    pub(super) fn decode(value: &'a [u8]) -> Option<Self> {
        value.len().is_multiple_of(2).then_some(Self(List::Bytes(value)))
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        self.types().try_for_each(|kind| out.put_u16(kind))
    }
}

/// Writes a text that must be short (RFC 8489 §14.8 to §14.10, §14.14).
pub(super) fn put_text(out: &mut Writer<'_>, text: &str) -> Result<(), NoSpace> {
    if text.chars().nth(MAX_CHARACTERS).is_some() { Err(NoSpace) } else { out.put(text.as_bytes()) }
}

pub(super) fn text(value: &[u8], max: usize) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| text.len() <= max)
}

/// RFC 8489 §14.8 to §14.10, §14.14: fewer than 128 characters are written.
const MAX_CHARACTERS: usize = 127;
/// The same sections, and §14.3: texts of as many bytes must be read.
pub(super) const MAX_TEXT: usize = 763;
