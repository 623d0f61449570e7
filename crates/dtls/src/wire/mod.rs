//! DTLS as bytes: records, handshake fragments, messages and extensions, borrowed from the datagram.
//!
//! What is the same in DTLS 1.2 and 1.3 stands here once. Decoding checks every length; what a value
//! means is for the state machine to judge, so identifiers that are not known are kept or skipped.
#![deny(clippy::arithmetic_side_effects)]

mod alert;
mod extension;
mod handshake;
mod hello;
mod message;
mod record;
mod suite;

pub use alert::{Alert, AlertDescription};
pub use extension::{Extension, Extensions, List16, UseSrtp, encode_extensions};
pub use handshake::{Fragment, HANDSHAKE_HEADER_LEN, HandshakeType, encode_fragment_header};
pub use hello::{ClientHello, HelloVerifyRequest, ServerHello};
pub use message::{Certificate, CertificateRequest, CertificateVerify, ClientKeyExchange, ServerKeyExchange};
pub use record::{ContentType, MAX_PLAINTEXT, MAX_SEQUENCE, RECORD_HEADER_LEN, RecordHeader};
pub use suite::{CipherSuite, KeyAlgorithm, NamedGroup, SignatureScheme, SrtpProfile, Version, version};

use proto::{NoSpace, Truncated, Writer};

/// Why bytes are not what they claim to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A field runs past the end.
    Truncated,
    /// Bytes are left after the last field.
    Trailing,
    /// A length or a fixed field has a value that the format does not allow.
    Illegal,
}

impl From<Truncated> for DecodeError {
    fn from(Truncated: Truncated) -> Self {
        Self::Truncated
    }
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Truncated => "a field runs past the end",
            Self::Trailing => "bytes are left after the last field",
            Self::Illegal => "a field has a value that the format does not allow",
        })
    }
}

impl std::error::Error for DecodeError {}

fn finish(reader: &proto::Reader<'_>) -> Result<(), DecodeError> {
    if reader.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
}

/// Writes what `body` writes behind its length in one byte.
fn vector8(
    out: &mut Writer<'_>,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), NoSpace>,
) -> Result<(), NoSpace> {
    let at = out.len();
    out.put_u8(0)?;
    body(out)?;
    let len = out.len().saturating_sub(at).saturating_sub(1);
    out.patch(at, &[u8::try_from(len).map_err(|_| NoSpace)?])
}

/// Writes what `body` writes behind its length in two bytes.
fn vector16(
    out: &mut Writer<'_>,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), NoSpace>,
) -> Result<(), NoSpace> {
    let at = out.len();
    out.put_u16(0)?;
    body(out)?;
    let len = out.len().saturating_sub(at).saturating_sub(2);
    out.patch_u16(at, u16::try_from(len).map_err(|_| NoSpace)?)
}

/// Writes what `body` writes behind its length in three bytes.
fn vector24(
    out: &mut Writer<'_>,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), NoSpace>,
) -> Result<(), NoSpace> {
    let at = out.len();
    out.put_u24(0)?;
    body(out)?;
    let len = u32::try_from(out.len().saturating_sub(at).saturating_sub(3)).map_err(|_| NoSpace)?;
    let [top, low @ ..] = len.to_be_bytes();
    if top == 0 { out.patch(at, &low) } else { Err(NoSpace) }
}
