//! SRTP and SRTCP ([RFC 3711]) from raw keys, without I/O: AES-GCM ([RFC 7714]), AES in counter mode with HMAC-SHA-1
//! and keys of 128 or 256 bits ([RFC 6188]), encrypted headers ([RFC 9335], [RFC 6904]).
//!
//! An [`Outbound`] protects what is sent and an [`Inbound`] checks and decrypts what comes, each with the keys of one
//! direction and for all its SSRCs. Both work in the caller's buffer and allocate nothing for a packet; an SSRC costs
//! a few hundred bytes the first time. What an [`Inbound`] gives is a value that nothing else makes, so that what
//! takes it can be sure of it:
//!
//! ```
//! use srtp::{AuthenticatedRtp, Config, DtlsRole, Inbound, MasterKeys, Outbound, Profile, UnprotectError};
//!
//! let config = Config::new(crypto::default_provider());
//! let profile = Profile::AeadAes128Gcm;
//! // What DTLS exports under "EXTRACTOR-dtls_srtp" on both sides.
//! let exported = vec![7; profile.keying_material_len()];
//! let (client_sends, _) = MasterKeys::from_keying_material(profile, &exported, DtlsRole::Client)?;
//! let (_, client_sent) = MasterKeys::from_keying_material(profile, &exported, DtlsRole::Server)?;
//! let mut client = Outbound::new(&config, &client_sends)?;
//! let mut server = Inbound::new(&config, &client_sent)?;
//!
//! let rtp = [0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, b'h', b'e', b'l', b'l', b'o'];
//! let mut memory = [0; 1500];
//! memory[..rtp.len()].copy_from_slice(&rtp);
//! let len = client.protect_rtp(&mut memory, rtp.len())?;
//!
//! let mut again = memory;
//! let packet: AuthenticatedRtp<'_> = server.unprotect_rtp(&mut memory[..len])?;
//! assert_eq!((packet.bytes(), packet.payload()), (&rtp[..], &b"hello"[..]));
//! assert_eq!(server.unprotect_rtp(&mut again[..len]).err(), Some(UnprotectError::Replayed));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | `profile`, `keys` | [`Profile`] and its lengths, [`MasterKeys`], how session keys are made of them |
//! | `outbound`, `inbound` | the two machines |
//! | `forward` | [`protect_for_each`]: one packet for many receivers |
//! | `transform` | one packet and its keys: encryption and tags |
//! | `cryptex`, `extensions` | the two ways to encrypt headers |
//! | `index`, `replay`, `streams` | what is known of a stream: its index, what came, where it is kept |
//! | `wire` | where things stand in a packet |
//! | `packet` | [`PacketIndex`], and what has been authenticated |
//!
//! # Scope
//!
//! One master key a direction, from which the session keys are made once (a key derivation rate of zero), without a
//! master key identifier. Left to the caller: where keys come from, what RTP and RTCP mean, and that two senders do
//! not share keys. Not implemented: NULL encryption and NULL authentication, AES-192, AES in f8 mode, double
//! encryption (RFC 8723). An SSRC is remembered as long as its keys, and rekeying is a new pair of values.
//!
//! [RFC 3711]: https://www.rfc-editor.org/rfc/rfc3711
//! [RFC 6188]: https://www.rfc-editor.org/rfc/rfc6188
//! [RFC 6904]: https://www.rfc-editor.org/rfc/rfc6904
//! [RFC 7714]: https://www.rfc-editor.org/rfc/rfc7714
//! [RFC 9335]: https://www.rfc-editor.org/rfc/rfc9335

mod config;
mod cryptex;
mod error;
mod extensions;
mod forward;
mod inbound;
mod index;
mod keys;
mod outbound;
mod packet;
mod profile;
mod replay;
mod stats;
mod streams;
mod transform;
mod wire;

pub use config::{Config, Cryptex, ExtensionIds};
pub use error::{KeyError, ProtectError, RolloverError, UnprotectError};
pub use forward::protect_for_each;
pub use inbound::Inbound;
pub use keys::{DtlsRole, MasterKeys};
pub use outbound::Outbound;
pub use packet::{AuthenticatedRtcp, AuthenticatedRtp, PacketIndex};
pub use profile::Profile;
pub use proto::Ssrc;
pub use stats::{InboundStats, OutboundStats};
