use std::fmt;
use std::net::SocketAddr;

use proto::{Reader, Truncated};

use super::attribute::{Attribute, FINGERPRINT, padding};
use super::value::{ErrorCode, PasswordAlgorithms};
use crate::integrity::{Algorithm, IntegrityKey};
use crate::{DecodeError, IntegrityError};

/// A received message. Decoding checks the header, every attribute's boundary and value, and the
/// FINGERPRINT if there is one, once; so the accessors cannot fail and nothing is copied.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    class: Class,
    method: Method,
    transaction: TransactionId,
    datagram: &'a [u8],
    /// Where MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 begin, from the start of the message.
    integrity: Option<usize>,
    integrity_sha256: Option<usize>,
    username: Option<&'a str>,
    /// Whether an attribute that must be understood is not.
    has_unknown_required: bool,
}

impl<'a> Message<'a> {
    /// Decodes `datagram`, which must hold exactly one message with at most [`MAX_ATTRIBUTES`].
    ///
    /// # Errors
    ///
    /// What is wrong with it; on a wrong FINGERPRINT too.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode_within(datagram, MAX_ATTRIBUTES)
    }

    /// The same with another limit on the number of attributes.
    ///
    /// # Errors
    ///
    /// What is wrong with it; on a wrong FINGERPRINT too.
    pub fn decode_within(datagram: &'a [u8], max_attributes: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(datagram);
        let kind = reader.u16()?;
        let len = usize::from(reader.u16()?);
        // RFC 8489 §5: two leading zero bits, fixed cookie, length a multiple of four.
        if kind >= 0x4000 || reader.u32()? != MAGIC_COOKIE || len % 4 != 0 {
            return Err(DecodeError::NotStun);
        }
        let transaction = TransactionId(reader.array()?);
        let body = reader.take(len)?;
        if !reader.is_empty() {
            return Err(DecodeError::NotStun);
        }
        let (class, method) = split_type(kind);
        let mut message = Self {
            class,
            method,
            transaction,
            datagram,
            integrity: None,
            integrity_sha256: None,
            username: None,
            has_unknown_required: false,
        };
        message.check(body, max_attributes)?;
        Ok(message)
    }

    /// Whether this asks, tells or answers.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// What it is about.
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The identifier that pairs a response with its request.
    pub const fn transaction(&self) -> TransactionId {
        self.transaction
    }

    /// The attributes in wire order, without those that RFC 8489 §14.5 says to ignore: behind
    /// MESSAGE-INTEGRITY all but MESSAGE-INTEGRITY-SHA256 and FINGERPRINT.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        let mut signed = false;
        self.all().flatten().filter(move |attribute| match attribute {
            Attribute::MessageIntegrity(_) => !std::mem::replace(&mut signed, true),
            Attribute::MessageIntegritySha256(_) => {
                signed = true;
                true
            }
            Attribute::Fingerprint(_) => true,
            _ => !signed,
        })
    }

    /// Checks the integrity code: MESSAGE-INTEGRITY-SHA256 if there is one, else MESSAGE-INTEGRITY
    /// (RFC 8489 §9.1.3). In constant time.
    ///
    /// # Errors
    ///
    /// There is none, or `key` did not make it.
    pub fn verify(&self, key: &IntegrityKey) -> Result<(), IntegrityError> {
        let (at, algorithm) = match (self.integrity_sha256, self.integrity) {
            (Some(at), _) => (at, Algorithm::Sha256),
            (None, Some(at)) => (at, Algorithm::Sha1),
            (None, None) => return Err(IntegrityError::Missing),
        };
        let (before, attribute) = self.datagram.split_at_checked(at).ok_or(IntegrityError::Missing)?;
        let mut reader = Reader::new(attribute);
        let code = reader
            .u16()
            .and_then(|_| reader.u16())
            .and_then(|len| reader.take(len.into()))
            .map_err(|_| IntegrityError::Missing)?;
        let end = at.saturating_add(4).saturating_add(code.len()).saturating_sub(HEADER_LEN);
        let len = u16::try_from(end).map_err(|_| IntegrityError::Forged)?;
        if key.fits(algorithm, before, len, code) { Ok(()) } else { Err(IntegrityError::Forged) }
    }

    /// Whether an integrity code is there, verified or not.
    pub const fn is_signed(&self) -> bool {
        self.integrity.is_some() || self.integrity_sha256.is_some()
    }

    /// Whether [`verify`](Self::verify) looks at MESSAGE-INTEGRITY-SHA256.
    pub const fn is_signed_with_sha256(&self) -> bool {
        self.integrity_sha256.is_some()
    }

    /// The types of the attributes that must be understood and that this crate does not know: a request
    /// with one gets error 420 with this list (RFC 8489 §6.3.1).
    pub fn unknown_required(&self) -> impl Iterator<Item = u16> + use<'a> {
        let attributes = self.has_unknown_required.then(|| self.attributes());
        attributes.into_iter().flatten().filter_map(|attribute| match attribute {
            Attribute::Unknown { kind, .. } => (kind < OPTIONAL).then_some(kind),
            _ => None,
        })
    }

    /// The address that the request came from, as its receiver saw it: XOR-MAPPED-ADDRESS, or from an
    /// old server MAPPED-ADDRESS.
    pub fn mapped_address(&self) -> Option<SocketAddr> {
        let mut mapped = None;
        for attribute in self.attributes() {
            match attribute {
                Attribute::XorMappedAddress(address) => return Some(address),
                Attribute::MappedAddress(address) => mapped = mapped.or(Some(address)),
                _ => {}
            }
        }
        mapped
    }

    /// USERNAME.
    pub const fn username(&self) -> Option<&'a str> {
        self.username
    }

    /// REALM.
    pub fn realm(&self) -> Option<&'a str> {
        self.attributes().find_map(|attribute| match attribute {
            Attribute::Realm(realm) => Some(realm),
            _ => None,
        })
    }

    /// NONCE.
    pub fn nonce(&self) -> Option<&'a str> {
        self.attributes().find_map(|attribute| match attribute {
            Attribute::Nonce(nonce) => Some(nonce),
            _ => None,
        })
    }

    /// PASSWORD-ALGORITHMS.
    pub fn password_algorithms(&self) -> Option<PasswordAlgorithms<'a>> {
        self.attributes().find_map(|attribute| match attribute {
            Attribute::PasswordAlgorithms(list) => Some(list),
            _ => None,
        })
    }

    /// ERROR-CODE.
    pub fn error_code(&self) -> Option<ErrorCode<'a>> {
        self.attributes().find_map(|attribute| match attribute {
            Attribute::ErrorCode(error) => Some(error),
            _ => None,
        })
    }

    fn all(&self) -> Attributes<'a> {
        let body = self.datagram.get(HEADER_LEN..).unwrap_or_default();
        Attributes { reader: Reader::new(body), transaction: self.transaction }
    }

    /// Walks all attributes once, checks the fingerprint, and notes what nearly everyone asks for.
    fn check(&mut self, body: &'a [u8], max_attributes: usize) -> Result<(), DecodeError> {
        let mut reader = Reader::new(body);
        let mut count = 0_usize;
        while !reader.is_empty() {
            if count >= max_attributes {
                return Err(DecodeError::TooManyAttributes);
            }
            count = count.saturating_add(1);
            let at = self.datagram.len().saturating_sub(reader.remaining());
            let (kind, value) = read_attribute(&mut reader)?;
            match Attribute::decode(kind, value, self.transaction)? {
                // Behind an integrity code only another one's is minded, and the first of each counts.
                Attribute::MessageIntegrity(_) if !self.is_signed() => self.integrity = Some(at),
                Attribute::MessageIntegritySha256(_) if self.integrity_sha256.is_none() => {
                    self.integrity_sha256 = Some(at);
                }
                Attribute::Fingerprint(value) => {
                    let before = self.datagram.get(..at).unwrap_or_default();
                    if !reader.is_empty() || value != fingerprint(before) {
                        return Err(DecodeError::Fingerprint);
                    }
                }
                Attribute::Username(name) if !self.is_signed() => {
                    self.username.get_or_insert(name);
                }
                Attribute::Unknown { kind, .. } if kind < OPTIONAL && !self.is_signed() => {
                    self.has_unknown_required = true;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether `datagram` looks like STUN: two leading zero bits and the cookie. Says nothing on what
/// follows (RFC 8489 §6.3, RFC 7983).
pub fn is_stun(datagram: &[u8]) -> bool {
    let cookie = datagram.get(4..8) == Some(MAGIC_COOKIE.to_be_bytes().as_slice());
    cookie && datagram.first().is_some_and(|first| *first < 0x40) && datagram.len() >= HEADER_LEN
}

/// The FINGERPRINT of a message whose bytes before that attribute are `before`; its header already
/// counts the attribute (RFC 8489 §14.7).
pub(super) fn fingerprint(before: &[u8]) -> u32 {
    crc32fast::hash(before) ^ FINGERPRINT_MASK
}

/// The type and the value of the attribute that comes next.
fn read_attribute<'a>(reader: &mut Reader<'a>) -> Result<(u16, &'a [u8]), Truncated> {
    let [a, b, c, d] = reader.array()?;
    let len = u16::from_be_bytes([c, d]).into();
    let value = reader.take(len)?;
    reader.take(padding(len))?;
    Ok((u16::from_be_bytes([a, b]), value))
}

/// Walks attributes that may still be malformed; stops after the first that is.
struct Attributes<'a> {
    reader: Reader<'a>,
    transaction: TransactionId,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let item = read_attribute(&mut self.reader)
            .map_err(DecodeError::from)
            .and_then(|(kind, value)| Attribute::decode(kind, value, self.transaction));
        if item.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(item)
    }
}

/// Whether a message asks, tells or answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// A request.
    Request,
    /// A message that wants no answer.
    Indication,
    /// A response that granted a request.
    Success,
    /// A response that refused one.
    Error,
}

/// What a message is about: 12 bits.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Method(u16);

impl Method {
    /// Binding (RFC 8489 §18.2), the only method of STUN itself.
    pub const BINDING: Self = Self(1);

    /// Allocate (RFC 8656 §17).
    pub const ALLOCATE: Self = Self(3);
    /// Refresh (RFC 8656 §17).
    pub const REFRESH: Self = Self(4);
    /// Send, an indication (RFC 8656 §17).
    pub const SEND: Self = Self(6);
    /// Data, an indication (RFC 8656 §17).
    pub const DATA: Self = Self(7);
    /// CreatePermission (RFC 8656 §17).
    pub const CREATE_PERMISSION: Self = Self(8);
    /// ChannelBind (RFC 8656 §17).
    pub const CHANNEL_BIND: Self = Self(9);
    /// Connect (RFC 6062 §6.1).
    pub const CONNECT: Self = Self(10);
    /// ConnectionBind (RFC 6062 §6.1).
    pub const CONNECTION_BIND: Self = Self(11);
    /// ConnectionAttempt, an indication (RFC 6062 §6.1).
    pub const CONNECTION_ATTEMPT: Self = Self(12);

    /// The method with this number, if it has at most 12 bits.
    pub const fn new(number: u16) -> Option<Self> {
        if number < 0x1000 { Some(Self(number)) } else { None }
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// 96 random bits that pair a response with its request.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TransactionId(pub [u8; 12]);

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// RFC 8489 §5: the class's two bits stand at places 4 and 8, between the method's.
const fn split_type(kind: u16) -> (Class, Method) {
    let class = match kind & 0x0110 {
        0x0000 => Class::Request,
        0x0010 => Class::Indication,
        0x0100 => Class::Success,
        _ => Class::Error,
    };
    (class, Method((kind & 0x000f) | ((kind & 0x00e0) >> 1) | ((kind & 0x3e00) >> 2)))
}

pub(super) const fn join_type(class: Class, method: Method) -> u16 {
    let class = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    let Method(method) = method;
    class | (method & 0x000f) | ((method & 0x0070) << 1) | ((method & 0x0f80) << 2)
}

/// How many attributes a message may have by default; one with more is refused.
pub const MAX_ATTRIBUTES: usize = 64;
pub(super) const MAGIC_COOKIE: u32 = 0x2112_a442;
pub(super) const HEADER_LEN: usize = 20;
/// RFC 8489 §14: attributes of this type and above may be passed over.
const OPTIONAL: u16 = 0x8000;
/// RFC 8489 §14.7: "STUN" in ASCII.
const FINGERPRINT_MASK: u32 = 0x5354_554e;
pub(super) const FINGERPRINT_LEN: usize = 8;
const _: () = assert!(FINGERPRINT == 0x8028);

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow is how a test fails")]
mod tests;
