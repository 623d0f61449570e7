//! SFrame ([RFC 9605]): media frames encrypted from end to end, so that servers which forward them cannot read them.
//!
//! The crate performs no I/O, reads no clock and draws no randomness. Keys come from the application; a frame is
//! encrypted and decrypted where it lies:
//!
//! ```
//! use sframe::{CipherSuite, HEADER_ROOM, Receiver, ReceiverConfig, Sender};
//!
//! let provider = crypto::default_provider();
//! let suite = CipherSuite::Aes128GcmSha256_128;
//! let base_key = b"agreed on by MLS";
//! let mut alice = Sender::new(provider, suite, 7, base_key)?;
//! let mut bob = Receiver::new(provider, suite, ReceiverConfig::default());
//! bob.add_key(7, base_key)?;
//!
//! // The frame stands behind room for the header, and has room for the tag behind it.
//! let frame = b"a frame of video";
//! let mut memory = [0; 128];
//! let text = HEADER_ROOM..HEADER_ROOM + frame.len();
//! memory[text.clone()].copy_from_slice(frame);
//! let ciphertext = alice.encrypt(b"metadata", &mut memory, text)?;
//! assert_eq!(ciphertext.len(), 1 + frame.len() + 16);
//!
//! assert_eq!(bob.decrypt(b"metadata", ciphertext)?.plaintext, frame);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | [`wire`] | the header as bytes; usable alone |
//! | `suite` | [`CipherSuite`] |
//! | `derivation` | the key schedule; [`ratchet`] |
//! | `transform` | a frame's encryption and decryption under one key |
//! | `sender` | [`Sender`]: one key and its counter |
//! | `receiver` | [`Receiver`]: a bounded set of keys |
//! | `error` | what can go wrong |
//!
//! # Scope
//!
//! Implemented: all of RFC 9605 §4 with the five cipher suites of §4.5, and the ratchet of §5.1. Left to the
//! application, as §9 says: which keys there are and who has them, the identifiers of keys (by §5.1 or §5.2), metadata,
//! and whether a frame may come twice: over SRTP the path cannot repeat one, but a server on the way can, who sees the
//! counter of each frame in [`Decrypted`].
//!
//! [RFC 9605]: https://www.rfc-editor.org/rfc/rfc9605

mod derivation;
mod error;
mod receiver;
mod sender;
mod suite;
mod transform;
pub mod wire;

pub use derivation::ratchet;
pub use error::{DecryptError, EncryptError, KeyError};
pub use receiver::{Decrypted, Receiver, ReceiverConfig, ReceiverStats};
pub use sender::Sender;
pub use suite::CipherSuite;
pub use wire::HEADER_ROOM;
