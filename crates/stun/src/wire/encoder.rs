use proto::{NoSpace, Writer};

use super::attribute::{DATA, FINGERPRINT, MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256, padding};
use super::message::{FINGERPRINT_LEN, HEADER_LEN, MAGIC_COOKIE, fingerprint, join_type};
use super::{Attribute, Class, Method, TransactionId};
use crate::integrity::{Algorithm, IntegrityKey};

/// Writes one message behind whatever its writer holds. When a step fails the writer holds half a
/// message: the caller takes it back ([`proto::Batch::append`] does so by itself).
#[derive(Debug)]
#[must_use = "a message is complete after `finish`"]
pub struct Encoder<'w, 'a> {
    out: &'w mut Writer<'a>,
    start: usize,
    transaction: TransactionId,
}

impl<'w, 'a> Encoder<'w, 'a> {
    /// Begins a message.
    ///
    /// # Errors
    ///
    /// The header does not fit.
    pub fn new(
        out: &'w mut Writer<'a>,
        class: Class,
        method: Method,
        transaction: TransactionId,
    ) -> Result<Self, NoSpace> {
        let start = out.len();
        // Type, a length that is known later, and the cookie.
        out.put_u64((u64::from(join_type(class, method)) << 48) | u64::from(MAGIC_COOKIE))?;
        out.put(&transaction.0)?;
        Ok(Self { out, start, transaction })
    }

    /// Appends an attribute.
    ///
    /// # Errors
    ///
    /// It does not fit.
    pub fn attribute(&mut self, attribute: Attribute<'_>) -> Result<(), NoSpace> {
        attribute.encode(self.out, self.transaction)
    }

    /// Appends DATA (RFC 8656 §18.4) with what `write` writes, so that the payload needs no memory of its own.
    ///
    /// # Errors
    ///
    /// It does not fit, or what `write` says.
    pub fn data<E: From<NoSpace>>(
        &mut self,
        write: impl FnOnce(&mut Writer<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.out.put_u16(DATA)?;
        let len_at = self.out.len();
        self.out.put_u16(0)?;
        let start = self.out.len();
        write(self.out)?;
        let len = self.out.len().saturating_sub(start);
        self.out.patch_u16(len_at, u16::try_from(len).map_err(|_| NoSpace)?)?;
        Ok(self.out.put_zeros(padding(len))?)
    }

    /// Appends the integrity code, if there is a key, and FINGERPRINT, and completes the message.
    ///
    /// # Errors
    ///
    /// They do not fit, or the message is longer than 65,535 bytes.
    pub fn finish(mut self, key: Option<&IntegrityKey>) -> Result<(), NoSpace> {
        if let Some(key) = key {
            self.sign(key)?;
        }
        self.set_len(FINGERPRINT_LEN)?;
        let value = fingerprint(self.message());
        self.out.put_u64((u64::from(head(FINGERPRINT, 4)) << 32) | u64::from(value))
    }

    /// The same with the longer integrity code, for the answer to a request that has it (RFC 8489 §9.1.3).
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn finish_with_sha256(mut self, key: &IntegrityKey) -> Result<(), NoSpace> {
        self.sign_with(key, Algorithm::Sha256)?;
        self.finish(None)
    }

    /// Completes the message without FINGERPRINT, for protocols that do not demultiplex.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn finish_without_fingerprint(mut self, key: Option<&IntegrityKey>) -> Result<(), NoSpace> {
        if let Some(key) = key {
            self.sign(key)?;
        }
        self.set_len(0)
    }

    fn sign(&mut self, key: &IntegrityKey) -> Result<(), NoSpace> {
        self.sign_with(key, key.signs_with())
    }

    fn sign_with(&mut self, key: &IntegrityKey, algorithm: Algorithm) -> Result<(), NoSpace> {
        let (kind, code_len) = match algorithm {
            Algorithm::Sha1 => (MESSAGE_INTEGRITY, 20),
            Algorithm::Sha256 => (MESSAGE_INTEGRITY_SHA256, 32),
        };
        // RFC 8489 §14.5: the length that is signed ends behind this attribute.
        self.set_len(usize::from(code_len).saturating_add(4))?;
        let code = key.sign(algorithm, &[self.message()]);
        self.out.put_u32(head(kind, code_len))?;
        self.out.put(code.as_bytes())
    }

    /// Sets the header's length to what is written and `more` bytes.
    fn set_len(&mut self, more: usize) -> Result<(), NoSpace> {
        let body = self.message().len().saturating_sub(HEADER_LEN).saturating_add(more);
        let len = u16::try_from(body).map_err(|_| NoSpace)?;
        self.out.patch_u16(self.start.saturating_add(2), len)
    }

    fn message(&self) -> &[u8] {
        self.out.written().get(self.start..).unwrap_or_default()
    }
}

/// The first word of an attribute: its type, and the length of its value.
fn head(kind: u16, len: u16) -> u32 {
    (u32::from(kind) << 16) | u32::from(len)
}
