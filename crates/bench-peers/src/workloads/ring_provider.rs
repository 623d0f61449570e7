//! ring's AES-GCM behind our own traits, as any program can bring its own cryptography: so that SRTP is compared with a peer
//! that uses ring, and not ring with graviola. All else is the default provider's.

use crypto::{
    Aead, AeadAlgorithm, Cipher, CipherAlgorithm, Forged, Group, Hash, HashAlgorithm, Hmac, InvalidKey,
    InvalidSignature, KeyExchange, Nonce, Provider, Rng, SignatureAlgorithm, SigningKey, Tag,
};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce as RingNonce, UnboundKey};

#[derive(Debug)]
pub(super) struct Ring;

impl Provider for Ring {
    fn name(&self) -> &'static str {
        "ring"
    }

    fn aead(&self, algorithm: AeadAlgorithm, key: &[u8]) -> Result<Box<dyn Aead>, InvalidKey> {
        let algorithm = match algorithm {
            AeadAlgorithm::Aes128Gcm => &AES_128_GCM,
            AeadAlgorithm::Aes256Gcm => &AES_256_GCM,
            other => return crypto::default_provider().aead(other, key),
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| InvalidKey)?;
        Ok(Box::new(Gcm(LessSafeKey::new(key))))
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

#[derive(Debug)]
struct Gcm(LessSafeKey);

impl Aead for Gcm {
    fn seal(&self, nonce: &Nonce, associated_data: &[u8], message: &mut [u8]) -> Tag {
        let nonce = RingNonce::assume_unique_for_key(*nonce);
        let sealed = self.0.seal_in_place_separate_tag(nonce, Aad::from(associated_data), message);
        let tag = sealed.expect("no packet is too long for GCM");
        tag.as_ref().try_into().expect("16 bytes")
    }

    fn open(
        &self,
        nonce: &Nonce,
        associated_data: &[u8],
        message: &mut [u8],
        tag: &Tag,
    ) -> Result<(), Forged> {
        let nonce = RingNonce::assume_unique_for_key(*nonce);
        let tag = ring::aead::Tag::from(*tag);
        let opened = self.0.open_in_place_separate_tag(nonce, Aad::from(associated_data), tag, message, 0..);
        opened.map(|_| ()).map_err(|_| Forged)
    }
}
