use proto::{NoSpace, Reader, Writer};

use super::{DecodeError, List16, SignatureScheme, finish, vector8, vector16, vector24};

/// A certificate chain (RFC 5246 §7.4.2): the sender's own, and those of its issuers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Certificate<'a> {
    /// All of them with their lengths, whose boundaries were checked.
    list: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Decodes the body of a Certificate.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let len = length24(&mut reader)?;
        let mut list = Reader::new(reader.take(len)?);
        finish(&reader)?;
        let all = list.peek();
        while !list.is_empty() {
            let len = length24(&mut list)?;
            if list.take(len)?.is_empty() {
                return Err(DecodeError::Illegal);
            }
        }
        Ok(Self { list: all })
    }

    /// The certificates, DER: first the sender's own; none at all if it has none.
    pub fn chain(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut list = Reader::new(self.list);
        std::iter::from_fn(move || {
            let len = length24(&mut list).ok()?;
            list.take(len).ok()
        })
    }

    /// Appends the body of a Certificate with `chain`, the sender's own first, to `out`.
    pub fn encode<'c>(
        chain: impl IntoIterator<Item = &'c [u8]>,
        out: &mut Writer<'_>,
    ) -> Result<(), NoSpace> {
        vector24(out, |out| chain.into_iter().try_for_each(|der| vector24(out, |out| out.put(der))))
    }
}

/// The server's signed ephemeral share (RFC 8422 §5.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServerKeyExchange<'a> {
    /// The group's number.
    pub group: u16,
    /// The share.
    pub share: &'a [u8],
    /// How it is signed.
    pub scheme: SignatureScheme,
    /// The signature over both randoms and [`parameters`](Self::parameters).
    pub signature: &'a [u8],
    /// Group and share as they stand on the wire.
    pub parameters: &'a [u8],
}

impl<'a> ServerKeyExchange<'a> {
    /// Decodes the body of a ServerKeyExchange of an ECDHE suite.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        if reader.u8()? != NAMED_CURVE {
            return Err(DecodeError::Illegal);
        }
        let group = reader.u16()?;
        let len = usize::from(reader.u8()?);
        let share = reader.take(len)?;
        let parameters = body.get(..body.len().saturating_sub(reader.remaining())).unwrap_or_default();
        let scheme = SignatureScheme(reader.u16()?);
        let len = usize::from(reader.u16()?);
        let signature = reader.take(len)?;
        finish(&reader)?;
        Ok(Self { group, share, scheme, signature, parameters })
    }

    /// Appends the signed part, group and share, to `out`.
    pub fn encode_parameters(group: u16, share: &[u8], out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u8(NAMED_CURVE)?;
        out.put_u16(group)?;
        vector8(out, |out| out.put(share))
    }

    /// Appends the body of a ServerKeyExchange to `out`; `parameters` is not looked at.
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        Self::encode_parameters(self.group, self.share, out)?;
        CertificateVerify { scheme: self.scheme, signature: self.signature }.encode(out)
    }
}

/// The server's demand for a certificate (RFC 5246 §7.4.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CertificateRequest<'a> {
    /// Kinds of certificates.
    pub kinds: &'a [u8],
    /// Signature algorithms.
    pub schemes: List16<'a>,
    /// Names of certificate authorities, not interpreted.
    pub authorities: &'a [u8],
}

impl<'a> CertificateRequest<'a> {
    /// The kind that stands for ECDSA keys (RFC 8422 §5.5).
    pub const ECDSA_SIGN: u8 = 64;
    /// The kind that stands for RSA keys (RFC 5246 §7.4.4).
    pub const RSA_SIGN: u8 = 1;

    /// Decodes the body of a CertificateRequest.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let len = usize::from(reader.u8()?);
        let kinds = reader.take(len)?;
        let schemes = List16::decode(&mut reader)?;
        let len = usize::from(reader.u16()?);
        let authorities = reader.take(len)?;
        finish(&reader)?;
        Ok(Self { kinds, schemes, authorities })
    }

    /// Appends the body of a CertificateRequest to `out`.
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        vector8(out, |out| out.put(self.kinds))?;
        self.schemes.encode(out)?;
        vector16(out, |out| out.put(self.authorities))
    }
}

/// The client's ephemeral share (RFC 8422 §5.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientKeyExchange<'a> {
    /// The share, in the group that the server chose.
    pub share: &'a [u8],
}

impl<'a> ClientKeyExchange<'a> {
    /// Decodes the body of a ClientKeyExchange of an ECDHE suite.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let len = usize::from(reader.u8()?);
        let share = reader.take(len)?;
        finish(&reader)?;
        Ok(Self { share })
    }

    /// Appends the body of a ClientKeyExchange to `out`.
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        vector8(out, |out| out.put(self.share))
    }
}

/// A signature over the handshake so far (RFC 5246 §7.4.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CertificateVerify<'a> {
    /// How it is signed.
    pub scheme: SignatureScheme,
    /// The signature.
    pub signature: &'a [u8],
}

impl<'a> CertificateVerify<'a> {
    /// Decodes the body of a CertificateVerify.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let scheme = SignatureScheme(reader.u16()?);
        let len = usize::from(reader.u16()?);
        let signature = reader.take(len)?;
        finish(&reader)?;
        Ok(Self { scheme, signature })
    }

    /// Appends the body of a CertificateVerify to `out`.
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u16(self.scheme.0)?;
        vector16(out, |out| out.put(self.signature))
    }
}

fn length24(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    usize::try_from(reader.u24()?).map_err(|_| DecodeError::Illegal)
}

const NAMED_CURVE: u8 = 3;
