use std::net::{Ipv4Addr, Ipv6Addr};

use proto::Reader;

use super::Name;
use crate::DecodeError;

/// The type of a record (RFC 1035 §3.2.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Kind(pub u16);

impl Kind {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// An IPv6 address (RFC 3596).
    pub const AAAA: Self = Self(28);
    /// Which types there are of a name, and thereby which are not (RFC 4034 §4, RFC 6762 §6.1).
    pub const NSEC: Self = Self(47);
    /// In questions: all there are.
    pub const ANY: Self = Self(255);
}

/// The class of a record, without the bit that multicast DNS puts above it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Class(pub u16);

impl Class {
    /// The Internet.
    pub const IN: Self = Self(1);
    /// In questions: all there are.
    pub const ANY: Self = Self(255);
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Question<'a> {
    /// The name.
    pub name: Name<'a>,
    /// The type wanted.
    pub kind: Kind,
    /// The class wanted.
    pub class: Class,
    /// Whether the answer may come by unicast: the top bit of the class (RFC 6762 §5.4).
    pub unicast: bool,
}

impl<'a> Question<'a> {
    pub(super) fn decode(message: &'a [u8], reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let name = name(message, reader)?;
        let kind = Kind(reader.u16()?);
        let (class, unicast) = class(reader.u16()?);
        Ok(Self { name, kind, class, unicast })
    }
}

/// Which part of a message a record stands in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Section {
    /// What was asked for; in a query, what the asker knows.
    Answer,
    /// In a query, what the asker wants to be his.
    Authority,
    /// What is likely to be asked for next.
    Additional,
}

/// A record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record<'a> {
    /// Where it stands.
    pub section: Section,
    /// Whose it is.
    pub name: Name<'a>,
    /// Its type.
    pub kind: Kind,
    /// Its class.
    pub class: Class,
    /// Whether older records of this name and type are void: the top bit of the class (RFC 6762 §10.2).
    pub flush: bool,
    /// For how many seconds it holds; 0 says that it holds no more (RFC 6762 §10.1).
    pub ttl: u32,
    /// What it says.
    pub data: Data<'a>,
}

impl<'a> Record<'a> {
    pub(super) fn decode(
        message: &'a [u8],
        reader: &mut Reader<'a>,
        section: Section,
    ) -> Result<Self, DecodeError> {
        let name = name(message, reader)?;
        let kind = Kind(reader.u16()?);
        let (class, flush) = class(reader.u16()?);
        let ttl = reader.u32()?;
        let len = usize::from(reader.u16()?);
        let at = place(message, reader);
        let data = Data::decode(message, at, reader.take(len)?, kind)?;
        Ok(Self { section, name, kind, class, flush, ttl, data })
    }
}

/// What a record says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Data<'a> {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Which types there are.
    Nsec(Nsec<'a>),
    /// Of another type: the bytes, whose names may be compressed.
    Other(&'a [u8]),
}

impl<'a> Data<'a> {
    fn decode(message: &'a [u8], at: usize, bytes: &'a [u8], kind: Kind) -> Result<Self, DecodeError> {
        let wrong = DecodeError::Record(kind.0);
        match kind {
            Kind::A => {
                let octets: [u8; 4] = bytes.try_into().map_err(|_| wrong)?;
                Ok(Self::A(octets.into()))
            }
            Kind::AAAA => {
                let octets: [u8; 16] = bytes.try_into().map_err(|_| wrong)?;
                Ok(Self::Aaaa(octets.into()))
            }
            Kind::NSEC => {
                let (next, end) = Name::decode(message, at)?;
                let taken = end.saturating_sub(at);
                let types = bytes.get(taken..).ok_or(wrong)?;
                if !are_types(types) {
                    return Err(wrong);
                }
                Ok(Self::Nsec(Nsec { next, types }))
            }
            _ => Ok(Self::Other(bytes)),
        }
    }
}

/// Which types of records a name has (RFC 4034 §4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Nsec<'a> {
    /// In multicast DNS the name itself (RFC 6762 §6.1).
    pub next: Name<'a>,
    pub(super) types: &'a [u8],
}

impl<'a> Nsec<'a> {
    /// Of a name that has A records alone.
    pub const fn of_a(name: Name<'a>) -> Self {
        Self { next: name, types: &[0, 1, 0x40] }
    }

    /// Of a name that has AAAA records alone.
    pub const fn of_aaaa(name: Name<'a>) -> Self {
        Self { next: name, types: &[0, 4, 0, 0, 0, 0x08] }
    }

    /// Whether there are records of this type.
    pub fn has(&self, kind: Kind) -> bool {
        let [window, low] = kind.0.to_be_bytes();
        let mut blocks = Reader::new(self.types);
        while let Some((of, bits)) = block(&mut blocks) {
            if of == window {
                let byte = bits.get(usize::from(low >> 3)).copied().unwrap_or(0);
                return byte & (0x80 >> (low & 7)) != 0;
            }
        }
        false
    }
}

fn block<'a>(reader: &mut Reader<'a>) -> Option<(u8, &'a [u8])> {
    let window = reader.u8().ok()?;
    let len = reader.u8().ok().filter(|len| (1..=32).contains(len))?;
    Some((window, reader.take(len.into()).ok()?))
}

/// RFC 4034 §4.1.2: blocks of 1 to 32 bytes, their numbers rising.
fn are_types(types: &[u8]) -> bool {
    let mut reader = Reader::new(types);
    let mut last = None;
    while !reader.is_empty() {
        match block(&mut reader) {
            Some((window, _)) if last.is_none_or(|last| last < window) => last = Some(window),
            _ => return false,
        }
    }
    true
}

/// How far `reader` has come in `message`, whose end is its own.
fn place(message: &[u8], reader: &Reader<'_>) -> usize {
    message.len().saturating_sub(reader.remaining())
}

fn name<'a>(message: &'a [u8], reader: &mut Reader<'a>) -> Result<Name<'a>, DecodeError> {
    let at = place(message, reader);
    let (name, end) = Name::decode(message, at)?;
    reader.take(end.saturating_sub(at))?;
    Ok(name)
}

const fn class(field: u16) -> (Class, bool) {
    (Class(field & !TOP_BIT), field & TOP_BIT != 0)
}

/// RFC 6762 §18.12, §18.13: above the class, what multicast DNS adds.
pub(super) const TOP_BIT: u16 = 0x8000;
