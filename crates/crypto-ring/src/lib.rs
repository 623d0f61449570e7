//! [`provider`]: AES-GCM and ChaCha20-Poly1305 by [ring](https://docs.rs/ring), and all else by
//! [`crypto::default_provider`]. ring is written in C and assembly in part, so that building it takes a C compiler: whoever
//! accepts that seals packets faster on most processors (`docs/performance.md`, SRTP).
//!
//! It is given to whatever takes a provider, as any other:
//!
//! ```
//! use srtp::{Config, MasterKeys, Outbound, Profile};
//!
//! let keys = MasterKeys::new(Profile::AeadAes128Gcm, &[7; 16], &[9; 12])?;
//! let mut outbound = Outbound::new(&Config::new(crypto_ring::provider()), &keys)?;
//!
//! let mut packet = vec![0x80, 96, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4, b'h', b'i'];
//! let len = packet.len();
//! packet.resize(len + outbound.rtp_overhead(), 0);
//! assert_eq!(outbound.protect_rtp(&mut packet, len)?, len + 16);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

use crypto::{
    Aead, AeadAlgorithm, Cipher, CipherAlgorithm, Forged, Group, Hash, HashAlgorithm, Hmac, InvalidKey,
    InvalidSignature, KeyExchange, Nonce, Provider, Rng, SignatureAlgorithm, SigningKey, Tag,
};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, UnboundKey};

/// The provider.
pub fn provider() -> &'static dyn Provider {
    &Ring
}

#[derive(Debug)]
struct Ring;

impl Provider for Ring {
    fn name(&self) -> &'static str {
        "ring"
    }

    fn aead(&self, algorithm: AeadAlgorithm, key: &[u8]) -> Result<Box<dyn Aead>, InvalidKey> {
        let algorithm = match algorithm {
            AeadAlgorithm::Aes128Gcm => &AES_128_GCM,
            AeadAlgorithm::Aes256Gcm => &AES_256_GCM,
            AeadAlgorithm::ChaCha20Poly1305 => &CHACHA20_POLY1305,
            other => return crypto::default_provider().aead(other, key),
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| InvalidKey)?;
        Ok(Box::new(Key(LessSafeKey::new(key))))
    }

    fn cipher(&self, algorithm: CipherAlgorithm, key: &[u8]) -> Result<Box<dyn Cipher>, InvalidKey> {
        crypto::default_provider().cipher(algorithm, key)
    }

    fn hash(&self, algorithm: HashAlgorithm) -> Box<dyn Hash> {
        crypto::default_provider().hash(algorithm)
    }

    fn hmac(&self, algorithm: HashAlgorithm, key: &[u8]) -> Box<dyn Hmac> {
        crypto::default_provider().hmac(algorithm, key)
    }

    fn key_exchange(&self, group: Group, rng: &mut Rng) -> Box<dyn KeyExchange> {
        crypto::default_provider().key_exchange(group, rng)
    }

    fn signing_key(
        &self,
        algorithm: SignatureAlgorithm,
        secret: &[u8; 32],
    ) -> Result<Box<dyn SigningKey>, InvalidKey> {
        crypto::default_provider().signing_key(algorithm, secret)
    }

    fn rsa_signing_key(&self, der: &[u8]) -> Result<Box<dyn SigningKey>, InvalidKey> {
        crypto::default_provider().rsa_signing_key(der)
    }

    fn verifies(&self, algorithm: SignatureAlgorithm) -> bool {
        crypto::default_provider().verifies(algorithm)
    }

    fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        crypto::default_provider().verify(algorithm, public_key, message, signature)
    }
}

/// Its `Debug` is ring's, which names the algorithm alone.
#[derive(Debug)]
struct Key(LessSafeKey);

impl Aead for Key {
    fn seal(&self, nonce: &Nonce, associated_data: &[u8], message: &mut [u8]) -> Tag {
        let nonce = ring::aead::Nonce::assume_unique_for_key(*nonce);
        match self.0.seal_in_place_separate_tag(nonce, Aad::from(associated_data), message) {
            Ok(tag) => tag.as_ref().try_into().unwrap_or_default(),
            Err(_) => {
                // Longer than 64 GiB: what stays of it says nothing, and nobody takes it.
                message.fill(0);
                Tag::default()
            }
        }
    }

    fn open(
        &self,
        nonce: &Nonce,
        associated_data: &[u8],
        message: &mut [u8],
        tag: &Tag,
    ) -> Result<(), Forged> {
        let nonce = ring::aead::Nonce::assume_unique_for_key(*nonce);
        let (associated_data, tag) = (Aad::from(associated_data), ring::aead::Tag::from(*tag));
        match self.0.open_in_place_separate_tag(nonce, associated_data, tag, message, 0..) {
            Ok(_) => Ok(()),
            Err(_) => {
                // ring does not say what is left.
                message.fill(0);
                Err(Forged)
            }
        }
    }
}
