use std::fmt;

use graviola::aead::{AesGcm, ChaCha20Poly1305};
use graviola::hashing;
use graviola::key_agreement::{p256, x25519};
use graviola::signing::{ecdsa, rsa};

use crate::rust_crypto::{RustCrypto, p256_scalar};
use crate::{
    Aead, AeadAlgorithm, Cipher, CipherAlgorithm, Forged, Group, Hash, HashAlgorithm, Hmac, InvalidKey,
    InvalidSignature, KeyExchange, Nonce, Provider, Rng, SharedSecret, SignatureAlgorithm, SigningKey, Tag,
};

/// graviola behind our API. What it lacks (AES alone, SHA-1) comes from RustCrypto, and the hashes too: they are as
/// fast there, and a code over a message allocates nothing.
#[derive(Debug)]
pub(crate) struct Graviola;

impl Provider for Graviola {
    fn name(&self) -> &'static str {
        "graviola"
    }

    fn aead(&self, algorithm: AeadAlgorithm, key: &[u8]) -> Result<Box<dyn Aead>, InvalidKey> {
        if key.len() != algorithm.key_len() {
            return Err(InvalidKey);
        }
        Ok(match algorithm {
            AeadAlgorithm::Aes128Gcm | AeadAlgorithm::Aes256Gcm => Box::new(Gcm(AesGcm::new(key))),
            AeadAlgorithm::ChaCha20Poly1305 => {
                Box::new(ChaCha(ChaCha20Poly1305::new(key.try_into().map_err(|_| InvalidKey)?)))
            }
        })
    }

    fn cipher(&self, algorithm: CipherAlgorithm, key: &[u8]) -> Result<Box<dyn Cipher>, InvalidKey> {
        RustCrypto.cipher(algorithm, key)
    }

    fn hash(&self, algorithm: HashAlgorithm) -> Box<dyn Hash> {
        RustCrypto.hash(algorithm)
    }

    fn hmac(&self, algorithm: HashAlgorithm, key: &[u8]) -> Box<dyn Hmac> {
        RustCrypto.hmac(algorithm, key)
    }

    fn key_exchange(&self, group: Group, rng: &mut Rng) -> Box<dyn KeyExchange> {
        match group {
            Group::X25519 => Box::new(X25519::new(rng.array())),
            Group::P256 => Box::new(p256_scalar(rng, P256::new)),
        }
    }

    fn signing_key(
        &self,
        algorithm: SignatureAlgorithm,
        secret: &[u8; 32],
    ) -> Result<Box<dyn SigningKey>, InvalidKey> {
        match algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => {
                let private_key = p256::StaticPrivateKey::from_bytes(secret).map_err(|_| InvalidKey)?;
                let public = private_key.public_key_uncompressed();
                Ok(Box::new(EcdsaP256 { private: ecdsa::SigningKey { private_key }, public }))
            }
            // Its keys are longer.
            SignatureAlgorithm::RsaPkcs1Sha256 | SignatureAlgorithm::RsaPssSha256 => Err(InvalidKey),
        }
    }

    fn rsa_signing_key(&self, der: &[u8]) -> Result<Box<dyn SigningKey>, InvalidKey> {
        let private = rsa::SigningKey::from_pkcs8_der(der).or_else(|_| rsa::SigningKey::from_pkcs1_der(der));
        let private = private.map_err(|_| InvalidKey)?;
        let mut public = [0; MAX_RSA_PUBLIC_LEN];
        let public = private.public_key().to_pkcs1_der(&mut public).map_err(|_| InvalidKey)?.to_vec();
        Ok(Box::new(Rsa { private, public }))
    }

    fn verifies(&self, _: SignatureAlgorithm) -> bool {
        true
    }

    fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        match algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => {
                ecdsa::VerifyingKey::<ecdsa::P256>::from_x962_uncompressed(public_key)
                    .and_then(|key| key.verify_asn1::<hashing::Sha256>(&[message], signature))
                    .map_err(|_| InvalidSignature)
            }
            SignatureAlgorithm::RsaPkcs1Sha256 => rsa::VerifyingKey::from_pkcs1_der(public_key)
                .and_then(|key| key.verify_pkcs1_sha256(signature, message))
                .map_err(|_| InvalidSignature),
            SignatureAlgorithm::RsaPssSha256 => rsa::VerifyingKey::from_pkcs1_der(public_key)
                .and_then(|key| key.verify_pss_sha256(signature, message))
                .map_err(|_| InvalidSignature),
        }
    }
}

struct Gcm(AesGcm);

impl Aead for Gcm {
    fn seal(&self, nonce: &Nonce, associated_data: &[u8], message: &mut [u8]) -> Tag {
        let mut tag = [0; 16];
        self.0.encrypt(nonce, associated_data, message, &mut tag);
        tag
    }

    fn open(
        &self,
        nonce: &Nonce,
        associated_data: &[u8],
        message: &mut [u8],
        tag: &Tag,
    ) -> Result<(), Forged> {
        self.0.decrypt(nonce, associated_data, message, tag).map_err(|_| Forged)
    }
}

impl fmt::Debug for Gcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gcm([redacted])")
    }
}

struct ChaCha(ChaCha20Poly1305);

impl Aead for ChaCha {
    fn seal(&self, nonce: &Nonce, associated_data: &[u8], message: &mut [u8]) -> Tag {
        let mut tag = [0; 16];
        self.0.encrypt(nonce, associated_data, message, &mut tag);
        tag
    }

    fn open(
        &self,
        nonce: &Nonce,
        associated_data: &[u8],
        message: &mut [u8],
        tag: &Tag,
    ) -> Result<(), Forged> {
        self.0.decrypt(nonce, associated_data, message, tag).map_err(|_| Forged)
    }
}

impl fmt::Debug for ChaCha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChaCha([redacted])")
    }
}

pub(crate) struct X25519 {
    private: x25519::StaticPrivateKey,
    public: [u8; 32],
}

impl X25519 {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        let private = x25519::StaticPrivateKey::from_array(&secret);
        let public = private.public_key().as_bytes();
        Self { private, public }
    }
}

impl KeyExchange for X25519 {
    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, InvalidKey> {
        let peer = x25519::PublicKey::try_from_slice(peer).map_err(|_| InvalidKey)?;
        // graviola refuses an all-zero result itself (RFC 7748 §6.1).
        let shared = self.private.diffie_hellman(&peer).map_err(|_| InvalidKey)?;
        Ok(SharedSecret::new(&shared.0))
    }
}

impl fmt::Debug for X25519 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("X25519([redacted])")
    }
}

pub(crate) struct P256 {
    private: p256::StaticPrivateKey,
    public: [u8; 65],
}

impl P256 {
    pub(crate) fn new(secret: &[u8]) -> Result<Self, InvalidKey> {
        let private = p256::StaticPrivateKey::from_bytes(secret).map_err(|_| InvalidKey)?;
        let public = private.public_key_uncompressed();
        Ok(Self { private, public })
    }
}

impl KeyExchange for P256 {
    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, InvalidKey> {
        let peer = p256::PublicKey::from_x962_uncompressed(peer).map_err(|_| InvalidKey)?;
        let shared = self.private.diffie_hellman(&peer).map_err(|_| InvalidKey)?;
        Ok(SharedSecret::new(&shared.0))
    }
}

impl fmt::Debug for P256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P256([redacted])")
    }
}

struct EcdsaP256 {
    private: ecdsa::SigningKey<ecdsa::P256>,
    public: [u8; 65],
}

impl SigningKey for EcdsaP256 {
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::EcdsaP256Sha256
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = [0; MAX_SIGNATURE_LEN];
        // It fails only where the system has no entropy; an empty signature is refused by every peer.
        self.private
            .sign_asn1::<hashing::Sha256>(&[message], &mut signature)
            .map(<[u8]>::to_vec)
            .unwrap_or_default()
    }
}

struct Rsa {
    private: rsa::SigningKey,
    public: Vec<u8>,
}

impl SigningKey for Rsa {
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RsaPssSha256
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.private.modulus_len_bytes()];
        // It fails only where the system has no entropy; an empty signature is refused by every peer.
        self.private.sign_pss_sha256(&mut signature, message).map(<[u8]>::to_vec).unwrap_or_default()
    }
}

impl fmt::Debug for Rsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rsa([redacted])")
    }
}

impl fmt::Debug for EcdsaP256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EcdsaP256([redacted])")
    }
}

/// Two DER integers of at most 33 bytes in a sequence.
const MAX_SIGNATURE_LEN: usize = 72;
/// A modulus of 8,192 bits and an exponent of 32 in a DER sequence, and some bytes.
const MAX_RSA_PUBLIC_LEN: usize = 1024 + 64;
