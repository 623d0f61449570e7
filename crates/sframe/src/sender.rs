use std::fmt;
use std::ops::Range;

use crypto::Provider;

use crate::transform::Transform;
use crate::wire::Header;
use crate::{CipherSuite, EncryptError, KeyError};

/// Encrypts frames under one key, each with a counter of its own, which never comes twice (RFC 9605 §4.4.3, §9.1).
///
/// A base key must be used by one sender only, and for encryption only (§4.4.1).
pub struct Sender {
    suite: CipherSuite,
    key_id: u64,
    key: Transform,
    /// `None`: all were used.
    next: Option<u64>,
    associated: Vec<u8>,
}

impl Sender {
    /// The most bytes of metadata that a frame may have.
    pub const MAX_METADATA: usize = 1024;

    /// One that encrypts under `base_key`, which receivers know as `key_id`. It counts from zero.
    ///
    /// # Errors
    ///
    /// The provider does not know the suite's algorithms.
    pub fn new(
        provider: &dyn Provider,
        suite: CipherSuite,
        key_id: u64,
        base_key: &[u8],
    ) -> Result<Self, KeyError> {
        let key = Transform::new(provider, suite, key_id, base_key)?;
        Ok(Self { suite, key_id, key, next: Some(0), associated: Vec::new() })
    }

    /// Another key: the counter begins at zero again.
    ///
    /// # Errors
    ///
    /// The provider does not know the suite's algorithms.
    pub fn set_key(&mut self, provider: &dyn Provider, key_id: u64, base_key: &[u8]) -> Result<(), KeyError> {
        self.key = Transform::new(provider, self.suite, key_id, base_key)?;
        (self.key_id, self.next) = (key_id, Some(0));
        Ok(())
    }

    /// Goes on with this counter, as a program does that kept key and counter in storage (§9.1).
    ///
    /// # Errors
    ///
    /// It may have been used before, and is refused: two frames with one counter would reveal each other (§7.4).
    pub fn skip_to(&mut self, counter: u64) -> Result<(), KeyError> {
        if self.next.is_none_or(|next| counter < next) {
            return Err(KeyError::Reused);
        }
        self.next = Some(counter);
        Ok(())
    }

    /// The identifier of the key.
    pub const fn key_id(&self) -> u64 {
        self.key_id
    }

    /// The counter of the next frame; `None` when all were used.
    pub const fn next_counter(&self) -> Option<u64> {
        self.next
    }

    /// Bytes by which the next frame grows: its header and its tag.
    pub fn overhead(&self) -> usize {
        let header = Header { key_id: self.key_id, counter: self.next.unwrap_or(u64::MAX) };
        header.encoded_len().saturating_add(self.suite.tag_len())
    }

    /// Encrypts the frame that lies at `text` of `memory`, where it lies, and gives it with its header before and its
    /// tag behind. [`HEADER_ROOM`](crate::HEADER_ROOM) bytes before it are enough, and the suite's
    /// [`tag_len`](CipherSuite::tag_len) behind it. `metadata` is not sent: the receiver has to have it too.
    ///
    /// # Errors
    ///
    /// Why nothing was encrypted; `memory` is as it was.
    pub fn encrypt<'m>(
        &mut self,
        metadata: &[u8],
        memory: &'m mut [u8],
        text: Range<usize>,
    ) -> Result<&'m mut [u8], EncryptError> {
        let counter = self.next.ok_or(EncryptError::KeyExpired)?;
        if metadata.len() > Self::MAX_METADATA {
            return Err(EncryptError::MetadataTooLong);
        }
        let header = Header { key_id: self.key_id, counter }.encode();
        let header = header.as_bytes();
        let start = text.start.checked_sub(header.len()).ok_or(EncryptError::NoRoom)?;
        let end = text.end.checked_add(self.suite.tag_len()).ok_or(EncryptError::NoRoom)?;
        let len = text.end.checked_sub(text.start).ok_or(EncryptError::NoRoom)?;
        let frame = memory.get_mut(start..end).ok_or(EncryptError::NoRoom)?;
        let (head, rest) = frame.split_at_mut_checked(header.len()).ok_or(EncryptError::NoRoom)?;
        let (text, tag) = rest.split_at_mut_checked(len).ok_or(EncryptError::NoRoom)?;
        head.copy_from_slice(header);
        self.key.seal(counter, join(&mut self.associated, header, metadata), text, tag);
        self.next = counter.checked_add(1);
        Ok(frame)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("suite", &self.suite)
            .field("key_id", &self.key_id)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// The header and the metadata in one piece, which is what is authenticated with a frame (§4.4.3). `memory` is used
/// again and again.
pub(crate) fn join<'a>(memory: &'a mut Vec<u8>, header: &[u8], metadata: &[u8]) -> &'a [u8] {
    memory.clear();
    memory.extend_from_slice(header);
    memory.extend_from_slice(metadata);
    memory
}
