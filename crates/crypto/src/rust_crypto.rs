use std::fmt;

use aes::cipher::consts::{U12, U16};
use aes::cipher::{BlockCipherEncrypt, InnerIvInit as _, StreamCipherCore as _};
use aes_gcm::aead::array::Array;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use sha2::Digest as _;
use zeroize::Zeroize as _;

use crate::hmac_states::{HmacStates, Sha1, Sha256};
use crate::{
    Aead, AeadAlgorithm, Block, Cipher, CipherAlgorithm, Digest, Forged, Group, Hash, HashAlgorithm, Hmac,
    InvalidKey, InvalidSignature, KeyExchange, Nonce, Provider, Rng, SharedSecret, SignatureAlgorithm,
    SigningKey, Tag,
};

/// RustCrypto's crates behind our API.
#[derive(Debug)]
pub(crate) struct RustCrypto;

impl Provider for RustCrypto {
    fn name(&self) -> &'static str {
        "RustCrypto"
    }

    fn aead(&self, algorithm: AeadAlgorithm, key: &[u8]) -> Result<Box<dyn Aead>, InvalidKey> {
        Ok(match algorithm {
            AeadAlgorithm::Aes128Gcm => {
                Box::new(AeadKey(Aes128Gcm::new_from_slice(key).map_err(|_| InvalidKey)?))
            }
            AeadAlgorithm::Aes256Gcm => {
                Box::new(AeadKey(Aes256Gcm::new_from_slice(key).map_err(|_| InvalidKey)?))
            }
            AeadAlgorithm::ChaCha20Poly1305 => {
                Box::new(AeadKey(ChaCha20Poly1305::new_from_slice(key).map_err(|_| InvalidKey)?))
            }
        })
    }

    fn cipher(&self, algorithm: CipherAlgorithm, key: &[u8]) -> Result<Box<dyn Cipher>, InvalidKey> {
        Ok(match algorithm {
            CipherAlgorithm::Aes128 => {
                Box::new(CipherKey(aes::Aes128::new_from_slice(key).map_err(|_| InvalidKey)?))
            }
            CipherAlgorithm::Aes256 => {
                Box::new(CipherKey(aes::Aes256::new_from_slice(key).map_err(|_| InvalidKey)?))
            }
        })
    }

    fn hash(&self, algorithm: HashAlgorithm) -> Box<dyn Hash> {
        match algorithm {
            HashAlgorithm::Md5 => Box::new(Hashing(md5::Md5::new())),
            HashAlgorithm::Sha1 => Box::new(Hashing(sha1::Sha1::new())),
            HashAlgorithm::Sha256 => Box::new(Hashing(sha2::Sha256::new())),
            HashAlgorithm::Sha384 => Box::new(Hashing(sha2::Sha384::new())),
            HashAlgorithm::Sha512 => Box::new(Hashing(sha2::Sha512::new())),
        }
    }

    fn hmac(&self, algorithm: HashAlgorithm, key: &[u8]) -> Box<dyn Hmac> {
        match algorithm {
            HashAlgorithm::Md5 => hmac_key::<hmac::Hmac<md5::Md5>>(key),
            HashAlgorithm::Sha1 => Box::new(HmacStates::<Sha1, 5>::new(key)),
            HashAlgorithm::Sha256 => Box::new(HmacStates::<Sha256, 8>::new(key)),
            HashAlgorithm::Sha384 => hmac_key::<hmac::Hmac<sha2::Sha384>>(key),
            HashAlgorithm::Sha512 => hmac_key::<hmac::Hmac<sha2::Sha512>>(key),
        }
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
                let private = p256::ecdsa::SigningKey::from_slice(secret).map_err(|_| InvalidKey)?;
                let public = private.verifying_key().to_sec1_point(false).as_bytes().to_vec();
                Ok(Box::new(EcdsaP256 { private, public }))
            }
            SignatureAlgorithm::RsaPkcs1Sha256 | SignatureAlgorithm::RsaPssSha256 => Err(InvalidKey),
        }
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
                let key =
                    p256::ecdsa::VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
                let signature =
                    p256::ecdsa::DerSignature::from_bytes(signature).map_err(|_| InvalidSignature)?;
                key.verify(message, &signature).map_err(|_| InvalidSignature)
            }
            // The crate that would do it has an advisory (RUSTSEC-2023-0071).
            SignatureAlgorithm::RsaPkcs1Sha256 | SignatureAlgorithm::RsaPssSha256 => Err(InvalidSignature),
        }
    }
}

/// Draws 32 bytes until they are a scalar in 1..n, which nearly always is the first time.
pub(crate) fn p256_scalar<T, E>(rng: &mut Rng, make: impl Fn(&[u8]) -> Result<T, E>) -> T {
    loop {
        let mut bytes: [u8; 32] = rng.array();
        let made = make(&bytes);
        bytes.zeroize();
        if let Ok(key) = made {
            return key;
        }
    }
}

struct AeadKey<C>(C);

impl<C> Aead for AeadKey<C>
where
    C: AeadInOut<NonceSize = U12, TagSize = U16> + Send + Sync,
{
    fn seal(&self, nonce: &Nonce, associated_data: &[u8], message: &mut [u8]) -> Tag {
        match self.0.encrypt_inout_detached(&Array(*nonce), associated_data, (&mut *message).into()) {
            Ok(tag) => tag.into(),
            // Only a message of 2³⁶ bytes or more cannot be sealed; then nothing of it may leave.
            Err(_) => {
                message.zeroize();
                [0; 16]
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
        self.0
            .decrypt_inout_detached(&Array(*nonce), associated_data, message.into(), &Array(*tag))
            .map_err(|_| Forged)
    }
}

impl<C> fmt::Debug for AeadKey<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey([redacted])")
    }
}

struct CipherKey<C>(C);

impl<C: BlockCipherEncrypt<BlockSize = U16> + Send + Sync> Cipher for CipherKey<C> {
    fn encrypt_block(&self, block: &mut Block) {
        self.0.encrypt_block(block.into());
    }

    fn apply_keystream(&self, counter: &Block, message: &mut [u8]) {
        let stream = CtrCore::<&C, Ctr128BE>::inner_iv_init(&self.0, counter.into());
        // Only a message of 2¹³² bytes would be too long.
        let _ = stream.try_apply_keystream_partial(message.into());
    }
}

impl<C> fmt::Debug for CipherKey<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CipherKey([redacted])")
    }
}

#[derive(Clone)]
pub(crate) struct Hashing<D>(pub(crate) D);

impl<D: sha2::Digest + Clone + Send + Sync + 'static> Hash for Hashing<D> {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn digest(&self) -> Digest {
        Digest::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn Hash> {
        Box::new(self.clone())
    }
}

impl<D> fmt::Debug for Hashing<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashing")
    }
}

fn hmac_key<M: hmac::Mac + KeyInit + Clone + Send + Sync + 'static>(key: &[u8]) -> Box<dyn Hmac> {
    match <M as KeyInit>::new_from_slice(key) {
        Ok(mac) => Box::new(HmacKey(mac)),
        // HMAC takes keys of every length (RFC 2104 §2).
        Err(_) => Box::new(HmacKey(<M as KeyInit>::new(&Array::default()))),
    }
}

struct HmacKey<M>(M);

impl<M: hmac::Mac + Clone + Send + Sync> Hmac for HmacKey<M> {
    fn sign(&self, parts: &[&[u8]]) -> Digest {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        Digest::new(&mac.finalize().into_bytes())
    }
}

impl<M> fmt::Debug for HmacKey<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey([redacted])")
    }
}

pub(crate) struct X25519 {
    private: x25519_dalek::StaticSecret,
    public: [u8; 32],
}

impl X25519 {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        let private = x25519_dalek::StaticSecret::from(secret);
        let public = x25519_dalek::PublicKey::from(&private).to_bytes();
        Self { private, public }
    }
}

impl KeyExchange for X25519 {
    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, InvalidKey> {
        let peer: [u8; 32] = peer.try_into().map_err(|_| InvalidKey)?;
        let shared = self.private.diffie_hellman(&peer.into());
        if shared.was_contributory() { Ok(SharedSecret::new(shared.as_bytes())) } else { Err(InvalidKey) }
    }
}

impl fmt::Debug for X25519 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("X25519([redacted])")
    }
}

pub(crate) struct P256 {
    private: p256::SecretKey,
    public: Vec<u8>,
}

impl P256 {
    pub(crate) fn new(secret: &[u8]) -> Result<Self, InvalidKey> {
        let private = p256::SecretKey::from_slice(secret).map_err(|_| InvalidKey)?;
        let public = private.public_key().to_sec1_point(false).as_bytes().to_vec();
        Ok(Self { private, public })
    }
}

impl KeyExchange for P256 {
    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, InvalidKey> {
        // RFC 8422 §5.4.1: uncompressed points only.
        if peer.len() != P256_POINT_LEN {
            return Err(InvalidKey);
        }
        let peer = p256::PublicKey::from_sec1_bytes(peer).map_err(|_| InvalidKey)?;
        let shared = p256::ecdh::diffie_hellman(self.private.to_nonzero_scalar(), peer.as_affine());
        Ok(SharedSecret::new(shared.raw_secret_bytes()))
    }
}

impl fmt::Debug for P256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P256([redacted])")
    }
}

struct EcdsaP256 {
    private: p256::ecdsa::SigningKey,
    public: Vec<u8>,
}

impl SigningKey for EcdsaP256 {
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::EcdsaP256Sha256
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: p256::ecdsa::DerSignature = self.private.sign(message);
        signature.as_bytes().to_vec()
    }
}

impl fmt::Debug for EcdsaP256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EcdsaP256([redacted])")
    }
}

/// SEC 1 §2.3.3: a prefix byte and two coordinates.
const P256_POINT_LEN: usize = 65;
