use std::ops::Range;

use crypto::{Aead, AeadAlgorithm, Nonce, Tag};
use proto::Writer;

use crate::replay::ReplayWindow;
use crate::wire::{ContentType, MAX_PLAINTEXT, MAX_SEQUENCE, RECORD_HEADER_LEN, RecordHeader, version};
use crate::{Discard, SealError};

/// Writes protected records of one epoch. Its counter can neither be copied nor set back, so that a
/// nonce is never used twice.
#[derive(Debug)]
pub(crate) struct Sealer {
    key: Box<dyn Aead>,
    nonces: Nonces,
    epoch: u16,
    sequence: u64,
}

impl Sealer {
    pub(super) fn new(key: Box<dyn Aead>, iv: &[u8], epoch: u16) -> Self {
        Self { key, nonces: Nonces::new(iv), epoch, sequence: 0 }
    }

    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, sequence: u64) {
        self.sequence = self.sequence.max(sequence);
    }

    /// Bytes that a record adds to its plaintext.
    pub(crate) const fn overhead(&self) -> usize {
        RECORD_HEADER_LEN + self.nonces.explicit_len() + TAG_LEN
    }

    /// Writes the header and keeps room for the tag. Whatever is then written to `out` is the plaintext,
    /// until [`seal`](Self::seal) or [`abandon`]. The number is taken only by `seal`.
    pub(crate) fn begin(&self, content: ContentType, out: &mut Writer<'_>) -> Result<Started, SealError> {
        // The last number is never used: closing before it leaves nothing to wrap around.
        if self.sequence >= MAX_SEQUENCE {
            return Err(SealError::Exhausted);
        }
        let room = out.room().checked_sub(self.overhead()).ok_or(SealError::NoSpace)?;
        let start = out.len();
        let reserved = TAG_LEN.saturating_add(room.saturating_sub(MAX_PLAINTEXT));
        let header = RecordHeader {
            content,
            version: version::DTLS_1_2,
            epoch: self.epoch,
            sequence: self.sequence,
            len: 0,
        };
        header.encode(out)?;
        if self.nonces.explicit_len() > 0 {
            out.put_u64(full_sequence(self.epoch, self.sequence))?;
        }
        let body = out.len();
        out.reserve_tail(reserved)?;
        Ok(Started { content, start, body, reserved })
    }

    /// Encrypts what was written since `started` and appends the tag.
    pub(crate) fn seal(&mut self, started: Started, out: &mut Writer<'_>) {
        out.release_tail(started.reserved);
        let len = out.len().saturating_sub(started.body);
        let full = full_sequence(self.epoch, self.sequence);
        let additional = additional_data(full, started.content, version::DTLS_1_2, len);
        let tag = self.key.seal(&self.nonces.of(full), &additional, out.written_mut(started.body));
        let record_len = self.nonces.explicit_len().saturating_add(len).saturating_add(TAG_LEN);
        // The room was kept in `begin`; only a writer that was cut below the header gets here otherwise.
        let written = u16::try_from(record_len)
            .map_err(|_| proto::NoSpace)
            .and_then(|len| out.patch_u16(started.start.saturating_add(LENGTH_AT), len))
            .and_then(|()| out.put(&tag));
        // A number that met a key once is gone, whether or not the record leaves.
        self.sequence = self.sequence.saturating_add(1);
        if written.is_err() {
            out.truncate(started.start);
        }
    }
}

/// A record that was begun.
#[derive(Debug)]
pub(crate) struct Started {
    content: ContentType,
    start: usize,
    body: usize,
    reserved: usize,
}

/// Takes a record back that was begun.
pub(crate) fn abandon(started: &Started, out: &mut Writer<'_>) {
    out.release_tail(started.reserved);
    out.truncate(started.start);
}

/// Opens the protected records of one epoch, each once.
#[derive(Debug)]
pub(crate) struct Opener {
    key: Box<dyn Aead>,
    nonces: Nonces,
    window: ReplayWindow,
}

impl Opener {
    pub(super) fn new(key: Box<dyn Aead>, iv: &[u8]) -> Self {
        Self { key, nonces: Nonces::new(iv), window: ReplayWindow::default() }
    }

    #[cfg(test)]
    pub(crate) const fn window(&self) -> ReplayWindow {
        self.window
    }

    /// Decrypts `record`, header included, in place and says where in it the plaintext stands.
    pub(crate) fn open(&mut self, header: &RecordHeader, record: &mut [u8]) -> Result<Range<usize>, Discard> {
        if !self.window.is_new(header.sequence) {
            return Err(Discard::Replayed);
        }
        let explicit_len = self.nonces.explicit_len();
        let len = header.len.checked_sub(explicit_len.saturating_add(TAG_LEN)).ok_or(Discard::TooShort)?;
        if len > MAX_PLAINTEXT {
            return Err(Discard::TooLong);
        }
        let (_, body) = record.split_at_mut_checked(RECORD_HEADER_LEN).ok_or(Discard::TooShort)?;
        let (explicit, body) = body.split_at_mut_checked(explicit_len).ok_or(Discard::TooShort)?;
        let (message, tag) = body.split_at_mut_checked(len).ok_or(Discard::TooShort)?;
        let tag: Tag = (&*tag).try_into().map_err(|_| Discard::TooShort)?;
        let full = full_sequence(header.epoch, header.sequence);
        // RFC 5288 §3: the explicit part is the sender's choice.
        let nonce = match <[u8; 8]>::try_from(&*explicit) {
            Ok(explicit) => self.nonces.of(u64::from_be_bytes(explicit)),
            Err(_) => self.nonces.of(full),
        };
        let additional = additional_data(full, header.content, header.version, len);
        self.key.open(&nonce, &additional, message, &tag).map_err(|_| Discard::Forged)?;
        self.window.accept(header.sequence);
        let start = RECORD_HEADER_LEN.saturating_add(explicit_len);
        Ok(start..start.saturating_add(len))
    }
}

/// How a nonce is made.
#[derive(Debug)]
enum Nonces {
    /// RFC 5288 §3: four fixed bytes, then eight that stand in the record; ours are epoch and sequence
    /// number, never random.
    Explicit(crypto::Secret<4>),
    /// RFC 7905 §2: twelve fixed bytes, XORed with epoch and sequence number.
    Mixed(crypto::Secret<12>),
}

impl Nonces {
    fn new(iv: &[u8]) -> Self {
        match <[u8; 4]>::try_from(iv) {
            Ok(fixed) => Self::Explicit(crypto::Secret::new(fixed)),
            Err(_) => {
                let mut fixed = crypto::Secret::new([0; 12]);
                fixed.expose_mut().iter_mut().zip(iv).for_each(|(to, from)| *to = *from);
                Self::Mixed(fixed)
            }
        }
    }

    const fn explicit_len(&self) -> usize {
        match self {
            Self::Explicit(_) => 8,
            Self::Mixed(_) => 0,
        }
    }

    fn of(&self, variable: u64) -> Nonce {
        let [a, b, c, d, e, f, g, h] = variable.to_be_bytes();
        let mut nonce = [0, 0, 0, 0, a, b, c, d, e, f, g, h];
        match self {
            Self::Explicit(fixed) => nonce.iter_mut().zip(fixed.expose()).for_each(|(to, from)| *to = *from),
            Self::Mixed(fixed) => nonce.iter_mut().zip(fixed.expose()).for_each(|(to, from)| *to ^= from),
        }
        nonce
    }
}

/// Bytes of a nonce that come from the key block.
pub(super) const fn fixed_iv_len(algorithm: AeadAlgorithm) -> usize {
    if matches!(algorithm, AeadAlgorithm::ChaCha20Poly1305) { 12 } else { 4 }
}

const fn full_sequence(epoch: u16, sequence: u64) -> u64 {
    (epoch as u64) << 48 | sequence & MAX_SEQUENCE
}

/// RFC 5246 §6.2.3.3: what the tag covers beside the text.
fn additional_data(full_sequence: u64, content: ContentType, version: u16, len: usize) -> [u8; 13] {
    let [a, b, c, d, e, f, g, h] = full_sequence.to_be_bytes();
    let [v0, v1] = version.to_be_bytes();
    // At most 2¹⁴: checked by the caller.
    let [l0, l1] = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
    [a, b, c, d, e, f, g, h, content as u8, v0, v1, l0, l1]
}

const TAG_LEN: usize = 16;
const LENGTH_AT: usize = 11;
