use proto::{NoSpace, Reader, Writer};

use super::{DecodeError, Extension, Extensions, List16, encode_extensions, finish, vector8};

/// What a client offers (RFC 6347 §4.2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientHello<'a> {
    /// The best version of a client that knows no `supported_versions`.
    pub version: u16,
    /// 32 random bytes.
    pub random: [u8; 32],
    /// A session to resume; up to 32 bytes.
    pub session_id: &'a [u8],
    /// The server's cookie, empty at first.
    pub cookie: &'a [u8],
    /// Cipher suites, best first.
    pub suites: List16<'a>,
    /// Compression methods; zero stands for none.
    pub compressions: &'a [u8],
    /// The extensions.
    pub extensions: Extensions<'a>,
}

impl<'a> ClientHello<'a> {
    /// Bytes of what [`decode_head`](Self::decode_head) reads, if neither a session nor a cookie is named.
    pub(crate) const LEAST_HEAD_LEN: usize = 2 + 32 + 1 + 1;

    /// Decodes the body of a ClientHello.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let (version, random, session_id, cookie) = Self::decode_head(&mut reader)?;
        let suites = List16::decode(&mut reader)?;
        let len = usize::from(reader.u8()?);
        let compressions = reader.take(len)?;
        let extensions = Extensions::decode(&mut reader)?;
        Ok(Self { version, random, session_id, cookie, suites, compressions, extensions })
    }

    /// Decodes what a cookie covers, and the cookie: version, random, session id, cookie. They stand in
    /// the first fragment of a ClientHello, however many fragments it has.
    #[expect(clippy::type_complexity, reason = "four fields of one message, used at once")]
    pub fn decode_head(reader: &mut Reader<'a>) -> Result<(u16, [u8; 32], &'a [u8], &'a [u8]), DecodeError> {
        let version = reader.u16()?;
        let random = reader.array()?;
        let len = usize::from(reader.u8()?);
        if len > MAX_SESSION_ID {
            return Err(DecodeError::Illegal);
        }
        let session_id = reader.take(len)?;
        let len = usize::from(reader.u8()?);
        Ok((version, random, session_id, reader.take(len)?))
    }

    /// Appends the body of a ClientHello with `extensions` to `out`; `self.extensions` is not looked at.
    pub fn encode(&self, extensions: &[Extension<'_>], out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u16(self.version)?;
        out.put(&self.random)?;
        vector8(out, |out| out.put(self.session_id))?;
        vector8(out, |out| out.put(self.cookie))?;
        self.suites.encode(out)?;
        vector8(out, |out| out.put(self.compressions))?;
        encode_extensions(out, extensions)
    }
}

/// What a server chose (RFC 5246 §7.4.1.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServerHello<'a> {
    /// The version.
    pub version: u16,
    /// 32 random bytes.
    pub random: [u8; 32],
    /// The session's name, if the server would resume it.
    pub session_id: &'a [u8],
    /// The cipher suite.
    pub suite: u16,
    /// The compression method.
    pub compression: u8,
    /// The extensions.
    pub extensions: Extensions<'a>,
}

impl<'a> ServerHello<'a> {
    /// Decodes the body of a ServerHello.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let version = reader.u16()?;
        let random = reader.array()?;
        let len = usize::from(reader.u8()?);
        if len > MAX_SESSION_ID {
            return Err(DecodeError::Illegal);
        }
        let session_id = reader.take(len)?;
        let suite = reader.u16()?;
        let compression = reader.u8()?;
        let extensions = Extensions::decode(&mut reader)?;
        Ok(Self { version, random, session_id, suite, compression, extensions })
    }

    /// Appends the body of a ServerHello with `extensions` to `out`; `self.extensions` is not looked at.
    pub fn encode(&self, extensions: &[Extension<'_>], out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u16(self.version)?;
        out.put(&self.random)?;
        vector8(out, |out| out.put(self.session_id))?;
        out.put_u16(self.suite)?;
        out.put_u8(self.compression)?;
        encode_extensions(out, extensions)
    }
}

/// A server's demand that the client prove its address (RFC 6347 §4.2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HelloVerifyRequest<'a> {
    /// A version that says nothing about the one that will be chosen.
    pub version: u16,
    /// What the client must send back; up to 255 bytes.
    pub cookie: &'a [u8],
}

impl<'a> HelloVerifyRequest<'a> {
    /// Decodes the body of a HelloVerifyRequest.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let version = reader.u16()?;
        let len = usize::from(reader.u8()?);
        let cookie = reader.take(len)?;
        finish(&reader)?;
        Ok(Self { version, cookie })
    }

    /// Appends the body of a HelloVerifyRequest to `out`.
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u16(self.version)?;
        vector8(out, |out| out.put(self.cookie))
    }
}

const MAX_SESSION_ID: usize = 32;
