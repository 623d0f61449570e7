use proto::{NoSpace, Reader, Writer};

use super::{DecodeError, finish, vector8, vector16};

/// A block of hello extensions, whose boundaries were checked, and in which no type stands twice
/// (RFC 5246 §7.4.1.4).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Extensions<'a> {
    bytes: &'a [u8],
}

impl<'a> Extensions<'a> {
    /// Decodes the rest of a hello: nothing at all, or a length and that many bytes.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        if reader.is_empty() {
            return Ok(Self::default());
        }
        let len = usize::from(reader.u16()?);
        let bytes = reader.take(len)?;
        finish(reader)?;
        let mut rest = Reader::new(bytes);
        let mut count = 0_usize;
        while !rest.is_empty() {
            let kind = rest.u16()?;
            let len = usize::from(rest.u16()?);
            let value = rest.take(len)?;
            Extension::decode(kind, value)?;
            // Bounds the search for duplicates, which is quadratic.
            count = count.saturating_add(1);
            if count > MAX_EXTENSIONS || (Self { bytes: rest.peek() }).raw().any(|(other, _)| other == kind) {
                return Err(DecodeError::Illegal);
            }
        }
        Ok(Self { bytes })
    }

    /// The extensions in wire order.
    pub fn iter(&self) -> impl Iterator<Item = Extension<'a>> + use<'a> {
        self.raw().filter_map(|(kind, value)| Extension::decode(kind, value).ok())
    }

    fn raw(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut rest = Reader::new(self.bytes);
        std::iter::from_fn(move || {
            let kind = rest.u16().ok()?;
            let len = rest.u16().ok()?;
            Some((kind, rest.take(len.into()).ok()?))
        })
    }
}

/// Appends a block of extensions with its length to `out`.
pub fn encode_extensions(out: &mut Writer<'_>, extensions: &[Extension<'_>]) -> Result<(), NoSpace> {
    vector16(out, |out| extensions.iter().try_for_each(|extension| extension.encode(out)))
}

/// One hello extension.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Extension<'a> {
    /// The DNS name of the server that a client asks for (RFC 6066 §3); empty in the server's answer. One of
    /// another shape than a single host name is [`Unknown`](Self::Unknown).
    ServerName(&'a [u8]),
    /// Groups for key exchange, best first (RFC 8422 §5.1.1).
    SupportedGroups(List16<'a>),
    /// Point formats (RFC 8422 §5.1.2).
    EcPointFormats(&'a [u8]),
    /// Signature algorithms, best first (RFC 5246 §7.4.1.4.1).
    SignatureAlgorithms(List16<'a>),
    /// Protection profiles for SRTP (RFC 5764 §4.1.1).
    UseSrtp(UseSrtp<'a>),
    /// The master secret is bound to the handshake (RFC 7627).
    ExtendedMasterSecret,
    /// The versions of a client that can do more than DTLS 1.2 (RFC 8446 §4.2.1); in that client's
    /// hello only.
    SupportedVersions(List16<'a>),
    /// The verify data of an earlier handshake; empty in a first one (RFC 5746 §3.2).
    RenegotiationInfo(&'a [u8]),
    /// An extension that this crate does not interpret.
    Unknown {
        /// Its type.
        kind: u16,
        /// Its value.
        value: &'a [u8],
    },
}

impl<'a> Extension<'a> {
    /// Decodes the value of an extension of type `kind`.
    pub fn decode(kind: u16, value: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(value);
        let extension = match kind {
            SERVER_NAME => match server_name(value) {
                Some(name) => return Ok(Self::ServerName(name)),
                None => return Ok(Self::Unknown { kind, value }),
            },
            SUPPORTED_GROUPS => Self::SupportedGroups(List16::decode(&mut reader)?),
            EC_POINT_FORMATS => {
                let len = usize::from(reader.u8()?);
                Self::EcPointFormats(reader.take(len)?)
            }
            SIGNATURE_ALGORITHMS => Self::SignatureAlgorithms(List16::decode(&mut reader)?),
            USE_SRTP => {
                let profiles = List16::decode(&mut reader)?;
                let len = usize::from(reader.u8()?);
                Self::UseSrtp(UseSrtp { profiles, mki: reader.take(len)? })
            }
            EXTENDED_MASTER_SECRET => Self::ExtendedMasterSecret,
            SUPPORTED_VERSIONS => {
                let len = usize::from(reader.u8()?);
                Self::SupportedVersions(List16::checked(reader.take(len)?)?)
            }
            RENEGOTIATION_INFO => {
                let len = usize::from(reader.u8()?);
                Self::RenegotiationInfo(reader.take(len)?)
            }
            _ => return Ok(Self::Unknown { kind, value }),
        };
        finish(&reader)?;
        Ok(extension)
    }

    /// Appends the extension with its type and length to `out`.
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u16(match self {
            Self::ServerName(_) => SERVER_NAME,
            Self::SupportedGroups(_) => SUPPORTED_GROUPS,
            Self::EcPointFormats(_) => EC_POINT_FORMATS,
            Self::SignatureAlgorithms(_) => SIGNATURE_ALGORITHMS,
            Self::UseSrtp(_) => USE_SRTP,
            Self::ExtendedMasterSecret => EXTENDED_MASTER_SECRET,
            Self::SupportedVersions(_) => SUPPORTED_VERSIONS,
            Self::RenegotiationInfo(_) => RENEGOTIATION_INFO,
            Self::Unknown { kind, .. } => *kind,
        })?;
        vector16(out, |out| match self {
            Self::ServerName([]) => Ok(()),
            Self::ServerName(name) => vector16(out, |out| {
                out.put_u8(HOST_NAME)?;
                vector16(out, |out| out.put(name))
            }),
            Self::SupportedGroups(list) | Self::SignatureAlgorithms(list) => list.encode(out),
            Self::EcPointFormats(formats) => vector8(out, |out| out.put(formats)),
            Self::UseSrtp(UseSrtp { profiles, mki }) => {
                profiles.encode(out)?;
                vector8(out, |out| out.put(mki))
            }
            Self::ExtendedMasterSecret => Ok(()),
            Self::SupportedVersions(list) => vector8(out, |out| out.put(list.bytes)),
            Self::RenegotiationInfo(data) => vector8(out, |out| out.put(data)),
            Self::Unknown { value, .. } => out.put(value),
        })
    }
}

/// The one name in the value of `server_name`; an empty value has an empty one.
fn server_name(value: &[u8]) -> Option<&[u8]> {
    if value.is_empty() {
        return Some(value);
    }
    let mut reader = Reader::new(value);
    let is_whole = usize::from(reader.u16().ok()?) == reader.remaining();
    let is_host = reader.u8().ok()? == HOST_NAME;
    let len = usize::from(reader.u16().ok()?);
    let name = reader.take(len).ok()?;
    (is_whole && is_host && !name.is_empty() && reader.is_empty()).then_some(name)
}

/// What `use_srtp` says: the client offers profiles, the server names one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UseSrtp<'a> {
    /// Profiles, best first.
    pub profiles: List16<'a>,
    /// The master key identifier; empty for none.
    pub mki: &'a [u8],
}

/// A list of two-byte numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct List16<'a> {
    bytes: &'a [u8],
}

impl<'a> List16<'a> {
    /// A list of the numbers whose big-endian bytes are `bytes`; `Illegal` if their count is odd or zero.
    pub fn checked(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(2) {
            Err(DecodeError::Illegal)
        } else {
            Ok(Self { bytes })
        }
    }

    /// Decodes a length in two bytes and that many bytes of numbers.
    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let len = usize::from(reader.u16()?);
        Self::checked(reader.take(len)?)
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        vector16(out, |out| out.put(self.bytes))
    }

    /// The numbers.
    pub fn iter(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_be_bytes))
    }

    /// Whether `value` is among them.
    pub fn contains(&self, value: u16) -> bool {
        self.iter().any(|other| other == value)
    }
}

const MAX_EXTENSIONS: usize = 128;
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const EC_POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const USE_SRTP: u16 = 14;
const EXTENDED_MASTER_SECRET: u16 = 23;
const SUPPORTED_VERSIONS: u16 = 43;
const RENEGOTIATION_INFO: u16 = 0xff01;
