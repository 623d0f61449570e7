use crypto::Provider;

use crate::sender::join;
use crate::transform::Transform;
use crate::wire::Header;
use crate::{CipherSuite, DecryptError, KeyError, Sender};

/// How frames are received.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ReceiverConfig {
    /// Keys that are held at once: 256, for a call of a hundred with an old and a new key of each. RFC 9605 knows no
    /// limit.
    pub max_keys: usize,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self { max_keys: 256 }
    }
}

/// Decrypts frames under the keys that it was given (RFC 9605 §4.4.4).
#[derive(Debug)]
pub struct Receiver {
    provider: &'static dyn Provider,
    suite: CipherSuite,
    config: ReceiverConfig,
    /// Sorted by their identifiers.
    keys: Vec<(u64, Transform)>,
    associated: Vec<u8>,
    stats: ReceiverStats,
}

/// A frame that was decrypted. All of it is authentic, and so is the metadata that was given.
#[derive(Debug, Eq, PartialEq)]
pub struct Decrypted<'m> {
    /// Under which key, which says who the sender is where each has keys of his own.
    pub key_id: u64,
    /// Which frame under that key: an application that minds repetition looks at it (§9.3).
    pub counter: u64,
    /// The frame.
    pub plaintext: &'m mut [u8],
}

/// What became of frames.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReceiverStats {
    /// Decrypted.
    pub decrypted: u64,
    /// No header, no tag, or metadata that is too long.
    pub malformed: u64,
    /// Under a key that is not there.
    pub unknown_key: u64,
    /// With a wrong tag. Many of them with a suite of short tags are an attack (§7.5).
    pub forged: u64,
}

impl Receiver {
    /// One without keys.
    pub const fn new(provider: &'static dyn Provider, suite: CipherSuite, config: ReceiverConfig) -> Self {
        let stats = ReceiverStats { decrypted: 0, malformed: 0, unknown_key: 0, forged: 0 };
        Self { provider, suite, config, keys: Vec::new(), associated: Vec::new(), stats }
    }

    /// Takes a key. One with the same identifier is replaced, as RFC 9605 §5.2 asks for when identifiers begin anew.
    ///
    /// # Errors
    ///
    /// There are as many as may be, or the provider does not know the suite's algorithms.
    pub fn add_key(&mut self, key_id: u64, base_key: &[u8]) -> Result<(), KeyError> {
        let place = self.find(key_id);
        if place.is_err() && self.keys.len() >= self.config.max_keys {
            return Err(KeyError::TooMany);
        }
        let key = Transform::new(self.provider, self.suite, key_id, base_key)?;
        match place.map(|at| self.keys.get_mut(at)) {
            Ok(Some(place)) => place.1 = key,
            Ok(None) => {}
            Err(at) => self.keys.insert(at, (key_id, key)),
        }
        Ok(())
    }

    /// Forgets a key, and says whether it was there.
    pub fn remove_key(&mut self, key_id: u64) -> bool {
        let place = self.find(key_id);
        place.is_ok_and(|at| {
            self.keys.remove(at);
            true
        })
    }

    /// The identifiers of the keys that are there, in order.
    pub fn key_ids(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.keys.iter().map(|(key_id, _)| *key_id)
    }

    /// What became of frames.
    pub const fn stats(&self) -> ReceiverStats {
        self.stats
    }

    /// Decrypts a frame where it lies. `metadata` is what the sender gave.
    ///
    /// # Errors
    ///
    /// Why it is of no use. After [`DecryptError::Forged`] `ciphertext` may have been erased; nothing decrypted is left
    /// in it.
    pub fn decrypt<'m>(
        &mut self,
        metadata: &[u8],
        ciphertext: &'m mut [u8],
    ) -> Result<Decrypted<'m>, DecryptError> {
        let result = self.open(metadata, ciphertext);
        let counter = match &result {
            Ok(_) => &mut self.stats.decrypted,
            Err(DecryptError::Forged) => &mut self.stats.forged,
            Err(DecryptError::UnknownKey(_)) => &mut self.stats.unknown_key,
            Err(DecryptError::Malformed | DecryptError::MetadataTooLong) => &mut self.stats.malformed,
        };
        *counter = counter.wrapping_add(1);
        result
    }

    fn open<'m>(&mut self, metadata: &[u8], ciphertext: &'m mut [u8]) -> Result<Decrypted<'m>, DecryptError> {
        let (header, len) = Header::decode(ciphertext)?;
        let (head, rest) = ciphertext.split_at_mut_checked(len).ok_or(DecryptError::Malformed)?;
        let text_len = rest.len().checked_sub(self.suite.tag_len()).ok_or(DecryptError::Malformed)?;
        if metadata.len() > Sender::MAX_METADATA {
            return Err(DecryptError::MetadataTooLong);
        }
        let Header { key_id, counter } = header;
        let key = self.find(key_id).ok().and_then(|at| self.keys.get(at));
        let (_, key) = key.ok_or(DecryptError::UnknownKey(key_id))?;
        let (plaintext, tag) = rest.split_at_mut_checked(text_len).ok_or(DecryptError::Malformed)?;
        key.open(counter, join(&mut self.associated, head, metadata), plaintext, tag)
            .map_err(|_| DecryptError::Forged)?;
        Ok(Decrypted { key_id, counter, plaintext })
    }

    fn find(&self, key_id: u64) -> Result<usize, usize> {
        self.keys.binary_search_by_key(&key_id, |(known, _)| *known)
    }
}
