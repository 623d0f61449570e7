//! The cryptography that Peerline's protocol crates need, behind one small [`Provider`] trait: AEAD
//! (in place, detached tag), block cipher, hash, HMAC, key exchange, signature. No other crate of the workspace
//! names a cryptographic crate.
//!
//! Two providers ship: [`rust_crypto`], portable and always there, and [`accelerated`] (graviola),
//! several times faster where the CPU has what it needs. [`default_provider`] takes the faster one.
//! A provider is passed as `&'static dyn Provider` to whatever makes keys; nothing is global.
//!
//! ```
//! use crypto::{AeadAlgorithm, Group, Rng};
//!
//! let provider = crypto::default_provider();
//! let key = provider.aead(AeadAlgorithm::Aes128Gcm, &[7; 16])?;
//! let mut message = *b"attack at dawn";
//! let tag = key.seal(&[0; 12], b"header", &mut message);
//! assert_ne!(&message, b"attack at dawn");
//! key.open(&[0; 12], b"header", &mut message, &tag)?;
//! assert_eq!(&message, b"attack at dawn");
//!
//! let mut rng = Rng::new([1; 32]);
//! let (ours, theirs) = (provider.key_exchange(Group::X25519, &mut rng), provider.key_exchange(Group::X25519, &mut rng));
//! let their_share = theirs.public_key().to_vec();
//! let secret = ours.complete(&their_share)?;
//! assert_eq!(secret.expose().len(), 32);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | `provider` | the traits, the algorithms' names, and the errors |
//! | `rust_crypto`, `accelerated` | the two providers |
//! | `hmac_states` | HMAC keys by SHA-1 and SHA-256 as what is hashed of them, without a buffer |
//! | `private_key` | [`p256_secret`]: a private key out of a file |
//! | `rng` | [`Rng`], a ChaCha20 stream from a seed, and [`derive_seed`] |
//! | `secret` | [`Secret`], [`SecretBytes`], [`SharedSecret`], [`Digest`], [`constant_time_eq`] |
//!
//! # Scope
//!
//! What DTLS 1.2, SRTP, STUN and SCTP cookies need. Entropy is the caller's: every key is made from bytes of
//! an [`Rng`]. With equal seeds the RustCrypto provider gives equal bytes; graviola mixes entropy of
//! its own into ECDSA nonces, so its signatures differ from run to run.

#[cfg(all(feature = "accelerated", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod accelerated;
mod hmac_states;
mod private_key;
mod provider;
mod rng;
mod rust_crypto;
mod secret;
#[cfg(test)]
mod wycheproof;

pub use private_key::p256_secret;
pub use provider::{
    Aead, AeadAlgorithm, Block, Cipher, CipherAlgorithm, Forged, Group, Hash, HashAlgorithm, Hmac,
    InvalidKey, InvalidSignature, KeyExchange, Nonce, Provider, SignatureAlgorithm, SigningKey, Tag,
    accelerated, default_provider, rust_crypto,
};
pub use rng::{Rng, derive_seed};
pub use secret::{Digest, Secret, SecretBytes, SharedSecret, constant_time_eq};
