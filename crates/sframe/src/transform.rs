use crypto::{Aead, Cipher, CipherAlgorithm, Hmac, Nonce, Provider, SecretBytes, constant_time_eq};

use crate::derivation::{SALT_LEN, key_and_salt};
use crate::suite::COUNTER_MODE_KEY_LEN;
use crate::{CipherSuite, KeyError};

/// One key, scheduled, and what is done with it in place (RFC 9605 §4.4.3, §4.4.4).
#[derive(Debug)]
pub(crate) struct Transform {
    algorithm: Algorithm,
    salt: SecretBytes,
    tag_len: usize,
}

#[derive(Debug)]
enum Algorithm {
    Aead(Box<dyn Aead>),
    /// RFC 9605 §4.5.1.
    CounterMode {
        cipher: Box<dyn Cipher>,
        hmac: Box<dyn Hmac>,
    },
}

/// The tag is wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WrongTag;

impl Transform {
    pub(crate) fn new(
        provider: &dyn Provider,
        suite: CipherSuite,
        key_id: u64,
        base_key: &[u8],
    ) -> Result<Self, KeyError> {
        let (key, salt) = key_and_salt(provider, suite, key_id, base_key);
        Self::from_key(provider, suite, key.expose(), salt)
    }

    fn from_key(
        provider: &dyn Provider,
        suite: CipherSuite,
        key: &[u8],
        salt: SecretBytes,
    ) -> Result<Self, KeyError> {
        let algorithm = match suite.aead() {
            Some(aead) => Algorithm::Aead(provider.aead(aead, key).map_err(|_| KeyError::Unsupported)?),
            None => {
                let (cipher, hmac) =
                    key.split_at_checked(COUNTER_MODE_KEY_LEN).ok_or(KeyError::Unsupported)?;
                let cipher = provider.cipher(CipherAlgorithm::Aes128, cipher);
                let hmac = provider.hmac(suite.hash(), hmac);
                Algorithm::CounterMode { cipher: cipher.map_err(|_| KeyError::Unsupported)?, hmac }
            }
        };
        Ok(Self { algorithm, salt, tag_len: suite.tag_len() })
    }

    /// Encrypts `text` and writes its tag. `associated` is header and metadata.
    pub(crate) fn seal(&self, counter: u64, associated: &[u8], text: &mut [u8], tag: &mut [u8]) {
        let nonce = self.nonce(counter);
        match &self.algorithm {
            Algorithm::Aead(key) => write_tag(tag, &key.seal(&nonce, associated, text)),
            Algorithm::CounterMode { cipher, hmac } => {
                cipher.apply_keystream(&first_block(nonce), text);
                write_tag(tag, self.code(&**hmac, nonce, associated, text).as_bytes());
            }
        }
    }

    /// Checks the tag, then decrypts `text`.
    pub(crate) fn open(
        &self,
        counter: u64,
        associated: &[u8],
        text: &mut [u8],
        tag: &[u8],
    ) -> Result<(), WrongTag> {
        let nonce = self.nonce(counter);
        match &self.algorithm {
            Algorithm::Aead(key) => {
                let tag = tag.try_into().map_err(|_| WrongTag)?;
                key.open(&nonce, associated, text, tag).map_err(|_| WrongTag)
            }
            Algorithm::CounterMode { cipher, hmac } => {
                let code = self.code(&**hmac, nonce, associated, text);
                let expected = code.as_bytes().get(..self.tag_len).ok_or(WrongTag)?;
                if !constant_time_eq(tag, expected) {
                    return Err(WrongTag);
                }
                cipher.apply_keystream(&first_block(nonce), text);
                Ok(())
            }
        }
    }

    /// RFC 9605 §4.5.1: all lengths are in front, so that nothing can move from one part into another.
    fn code(&self, hmac: &dyn Hmac, nonce: Nonce, associated: &[u8], text: &[u8]) -> crypto::Digest {
        let len = |len: usize| (len as u64).to_be_bytes();
        hmac.sign(&[&len(associated.len()), &len(text.len()), &len(self.tag_len), &nonce, associated, text])
    }

    /// The salt with the counter added to its end.
    fn nonce(&self, counter: u64) -> Nonce {
        let mut nonce = [0; SALT_LEN];
        nonce.iter_mut().zip(self.salt.expose()).for_each(|(to, from)| *to = *from);
        let (_, end) = nonce.split_at_mut(SALT_LEN - 8);
        end.iter_mut().zip(counter.to_be_bytes()).for_each(|(to, from)| *to ^= from);
        nonce
    }
}

/// The nonce, and 32 bits that count blocks.
fn first_block(nonce: Nonce) -> crypto::Block {
    let mut block = [0; 16];
    block.iter_mut().zip(nonce).for_each(|(to, from)| *to = from);
    block
}

/// Writes as much of `whole` as `tag` has room for.
fn write_tag(tag: &mut [u8], whole: &[u8]) {
    tag.iter_mut().zip(whole).for_each(|(to, from)| *to = *from);
}

#[cfg(test)]
mod tests;
