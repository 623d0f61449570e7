use std::fmt;

use crate::{Digest, Rng, SharedSecret};

/// The portable provider: RustCrypto. Equal seeds give equal bytes.
pub fn rust_crypto() -> &'static dyn Provider {
    &crate::rust_crypto::RustCrypto
}

/// The fast provider: graviola, if it was built in and this CPU has what it needs.
pub fn accelerated() -> Option<&'static dyn Provider> {
    #[cfg(all(feature = "accelerated", any(target_arch = "x86_64", target_arch = "aarch64")))]
    if graviola::util::is_cpu_supported() {
        return Some(&crate::accelerated::Graviola);
    }
    None
}

/// [`accelerated`] where there is one, else [`rust_crypto`].
pub fn default_provider() -> &'static dyn Provider {
    accelerated().unwrap_or_else(rust_crypto)
}

/// A source of cryptographic operations. Implementations hold no state.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Its name, for statistics and reports.
    fn name(&self) -> &'static str;
    /// Schedules an AEAD key, whose length must be [`AeadAlgorithm::key_len`].
    fn aead(&self, algorithm: AeadAlgorithm, key: &[u8]) -> Result<Box<dyn Aead>, InvalidKey>;
    /// Schedules a block cipher's key, whose length must be [`CipherAlgorithm::key_len`].
    fn cipher(&self, algorithm: CipherAlgorithm, key: &[u8]) -> Result<Box<dyn Cipher>, InvalidKey>;
    /// A hash computation over nothing yet.
    fn hash(&self, algorithm: HashAlgorithm) -> Box<dyn Hash>;
    /// An HMAC key (RFC 2104) of any length, with both padded states computed once.
    fn hmac(&self, algorithm: HashAlgorithm, key: &[u8]) -> Box<dyn Hmac>;
    /// An ephemeral private key in `group`, made from bytes of `rng`.
    fn key_exchange(&self, group: Group, rng: &mut Rng) -> Box<dyn KeyExchange>;
    /// A signing key from its 32 secret bytes: for P-256 the big-endian scalar, in 1..n.
    fn signing_key(
        &self,
        algorithm: SignatureAlgorithm,
        secret: &[u8; 32],
    ) -> Result<Box<dyn SigningKey>, InvalidKey>;
    /// The RSA key of 2,048 to 8,192 bits that stands in `der`: PKCS #8 (RFC 5958) or PKCS #1 (RFC 8017 §A.1.2).
    /// It makes [`SignatureAlgorithm::RsaPssSha256`]. A provider without RSA has none.
    ///
    /// # Errors
    ///
    /// It is no such key, or the provider has no RSA.
    fn rsa_signing_key(&self, _der: &[u8]) -> Result<Box<dyn SigningKey>, InvalidKey> {
        Err(InvalidKey)
    }
    /// Whether [`verify`](Self::verify) knows signatures of this kind.
    fn verifies(&self, algorithm: SignatureAlgorithm) -> bool {
        algorithm == SignatureAlgorithm::EcdsaP256Sha256
    }
    /// Checks `signature` of `message` under `public_key`: for ECDSA an uncompressed SEC 1 point and
    /// an ASN.1 DER signature (RFC 3279 §2.2.3), for RSA the DER of modulus and exponent (RFC 8017 §A.1.1).
    fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature>;
}

/// A scheduled AEAD key. Nonces must never repeat: the caller counts them.
pub trait Aead: fmt::Debug + Send + Sync {
    /// Encrypts `message` in place and returns its tag.
    fn seal(&self, nonce: &Nonce, associated_data: &[u8], message: &mut [u8]) -> Tag;
    /// Checks `tag` and decrypts `message` in place. After a failure `message` holds the ciphertext
    /// or zeros, never plaintext.
    fn open(
        &self,
        nonce: &Nonce,
        associated_data: &[u8],
        message: &mut [u8],
        tag: &Tag,
    ) -> Result<(), Forged>;
}

/// A scheduled key of a block cipher. It hides and proves nothing alone: whoever uses it has to authenticate.
pub trait Cipher: fmt::Debug + Send + Sync {
    /// Encrypts one block in place.
    fn encrypt_block(&self, block: &mut Block);
    /// Adds to `message` the key stream of counter mode (SP 800-38A §6.5), whose first block is `counter`
    /// encrypted, and each further one the next number, of 128 bits and big-endian. The same again undoes it.
    /// No counter must ever come twice under one key.
    fn apply_keystream(&self, counter: &Block, message: &mut [u8]);
}

/// A block of a block cipher (128 bits in every algorithm here).
pub type Block = [u8; 16];
/// An AEAD nonce (96 bits in every algorithm here).
pub type Nonce = [u8; 12];
/// An AEAD tag (128 bits in every algorithm here).
pub type Tag = [u8; 16];

/// A hash computation.
pub trait Hash: fmt::Debug + Send + Sync {
    /// Adds `bytes`.
    fn update(&mut self, bytes: &[u8]);
    /// The hash of everything added so far; more can be added afterwards.
    fn digest(&self) -> Digest;
    /// A copy that goes on by itself.
    fn fork(&self) -> Box<dyn Hash>;
}

/// An HMAC key.
pub trait Hmac: fmt::Debug + Send + Sync {
    /// The code of `parts`, one behind the other.
    fn sign(&self, parts: &[&[u8]]) -> Digest;
}

/// An ephemeral private key.
pub trait KeyExchange: fmt::Debug + Send + Sync {
    /// Our share as it is sent: 32 bytes for X25519, an uncompressed point for P-256.
    fn public_key(&self) -> &[u8];
    /// The secret shared with the owner of `peer`'s share. A point off the curve or of small order, and an
    /// all-zero result, are refused (RFC 7748 §6.1, SP 800-56A §5.6.2.3).
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, InvalidKey>;
}

/// A private key that signs.
pub trait SigningKey: fmt::Debug + Send + Sync {
    /// Which signatures it makes.
    fn algorithm(&self) -> SignatureAlgorithm;
    /// The public key that goes with it: for P-256 an uncompressed SEC 1 point, for RSA the DER of modulus and
    /// exponent.
    fn public_key(&self) -> &[u8];
    /// Signs `message`, in the form that [`Provider::verify`] takes.
    fn sign(&self, message: &[u8]) -> Vec<u8>;
}

/// Authenticated encryption with associated data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AeadAlgorithm {
    /// AES-128 in Galois/counter mode (SP 800-38D).
    Aes128Gcm,
    /// AES-256 in Galois/counter mode (SP 800-38D).
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 8439).
    ChaCha20Poly1305,
}

impl AeadAlgorithm {
    /// Bytes of a key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }
}

/// Block ciphers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CipherAlgorithm {
    /// AES with keys of 128 bits (FIPS 197).
    Aes128,
    /// AES with keys of 256 bits (FIPS 197).
    Aes256,
}

impl CipherAlgorithm {
    /// Bytes of a key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes256 => 32,
        }
    }
}

/// Hash functions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HashAlgorithm {
    /// MD5 (RFC 1321): only for STUN long-term keys, where RFC 8489 demands it.
    Md5,
    /// SHA-1: only inside HMAC, where STUN and SRTP demand it.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    /// Bytes of a hash.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// Groups for key exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Group {
    /// X25519 (RFC 7748).
    X25519,
    /// P-256, also called secp256r1 (FIPS 186-5).
    P256,
}

/// Signature schemes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2): is only ever checked.
    RsaPkcs1Sha256,
    /// RSASSA-PSS with SHA-256, a mask of SHA-256, and a salt of 32 bytes (RFC 8017 §8.1).
    RsaPssSha256,
}

/// The tag does not belong to the message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Forged;

/// A key has the wrong length or value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidKey;

/// The signature does not belong to the message and key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidSignature;

impl fmt::Display for Forged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the tag does not belong to the message")
    }
}

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key has the wrong length or value")
    }
}

impl fmt::Display for InvalidSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature does not belong to the message and key")
    }
}

impl std::error::Error for Forged {}
impl std::error::Error for InvalidKey {}
impl std::error::Error for InvalidSignature {}
