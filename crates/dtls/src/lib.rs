//! DTLS 1.2 ([RFC 6347]) without I/O: both sides of the handshake with certificates on both ends or of the
//! server alone, the record layer, keying material for SRTP ([RFC 5764]) and others ([RFC 5705]).
//!
//! A [`Connection`] knows no addresses, reads no clock and owns no thread. The caller moves bytes and
//! time, and decides whether the peer's certificate is the right one:
//!
//! ```
//! use std::sync::Arc;
//! use dtls::{Config, Connection, Event, Identity, Instant, Writer};
//!
//! let provider = crypto::default_provider();
//! let now = Instant::default();
//! let config = |seed| -> Result<_, dtls::IdentityError> {
//!     Ok(Arc::new(Config::new(provider, Arc::new(Identity::generate(provider, 1_790_000_000, seed)?))))
//! };
//! let mut client = Connection::client(now, config([1; 32])?, [3; 32]);
//! let mut server = Connection::server(now, config([2; 32])?, [4; 32]);
//!
//! // What the network and a timer do otherwise: carry datagrams, then look at the news.
//! let carry = |from: &mut Connection, to: &mut Connection| {
//!     let mut memory = [0; 1500];
//!     let mut out = Writer::new(&mut memory);
//!     while from.poll_packet(now, &mut out) {
//!         drop(to.handle_datagram(now, out.written_mut(0)));
//!         out.truncate(0);
//!     }
//!     while let Some(event) = to.poll_event() {
//!         if event == Event::PeerCertificate {
//!             // Here belongs the comparison with the fingerprint that was signalled.
//!             to.accept_peer(now);
//!         }
//!     }
//! };
//! for _ in 0..2 {
//!     carry(&mut client, &mut server);
//!     carry(&mut server, &mut client);
//! }
//! assert!(client.is_connected() && server.is_connected());
//!
//! // A record is written, encrypted and decrypted in place.
//! let mut memory = [0; 1500];
//! let mut out = Writer::new(&mut memory);
//! let mut record = client.begin_record(&mut out)?;
//! record.plaintext().put(b"hello")?;
//! record.seal();
//! let mut records = server.handle_datagram(now, out.written_mut(0));
//! assert_eq!(records.next_record(), Some(Ok(&mut b"hello".to_vec()[..])));
//! # drop(records);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | [`wire`] | records, handshake fragments, messages and extensions as bytes; usable alone |
//! | `connection` | [`Connection`]: routes records, drives the handshake, ends things |
//! | `v12` | what is DTLS 1.2 alone: both sides of its handshake, its key derivation, its record protection |
//! | `flight`, `timing` | our messages until they are answered: cut to datagrams, sent again |
//! | `reassembly`, `replay` | the peer's messages in pieces, and which records came |
//! | `records` | [`Records`] and [`Record`], lent in place |
//! | `identity` | [`Identity`], a certificate of ours; [`fingerprint`] and [`leaf_key`] of any |
//! | `endpoint` | [`Endpoint`]: many connections on a socket, cookies for strangers |
//! | `config`, `error`, `event`, `stats` | what goes in, what can go wrong, what comes out |
//!
//! # Scope
//!
//! Implemented: ECDHE with certificates of ECDSA P-256 keys, and of RSA keys where the provider has RSA (AES-GCM,
//! ChaCha20-Poly1305; X25519, P-256),
//! extended master secret ([RFC 7627], demanded of every peer), `use_srtp`, cookies, fragmentation,
//! retransmission of whole flights, replay protection.
//!
//! Left to the caller: who the peer is. A certificate is looked at for its key alone; names, dates and
//! signatures on it prove nothing when it is self-signed, and its fingerprint does. Where a name and an
//! authority prove it instead, as of a TURN server, [`Config::max_issuers`] keeps the chain for the caller's
//! check, [`Config::server_name`] says whom is asked for, and [`ClientCertificate::NotRequested`] makes a server
//! that asks nobody for a certificate.
//!
//! Not implemented: DTLS 1.3 ([RFC 9147]), resumption, renegotiation (refused), compression, key
//! exchange by RSA, CBC,
//! connection ids.
//!
//! Where it departs from RFC 6347: before the keys, alerts and messages that are wrong are ignored
//! rather than fatal, since anyone can send them; behind ICE, told by [`Connection::set_round_trip`],
//! lost flights are sent again sooner than after a second. A client that lost its state and begins anew
//! from the same address (§4.2.8) is not heard until its old connection is closed.
//!
//! [RFC 5705]: https://www.rfc-editor.org/rfc/rfc5705
//! [RFC 5764]: https://www.rfc-editor.org/rfc/rfc5764
//! [RFC 6347]: https://www.rfc-editor.org/rfc/rfc6347
//! [RFC 7627]: https://www.rfc-editor.org/rfc/rfc7627
//! [RFC 9147]: https://www.rfc-editor.org/rfc/rfc9147

mod config;
mod connection;
mod endpoint;
mod error;
mod event;
mod flight;
mod identity;
mod reassembly;
mod records;
mod replay;
mod stats;
mod timing;
mod v12;
pub mod wire;

pub use config::{ClientCertificate, Config};
pub use connection::{Connection, Role};
pub use endpoint::{ConnectionId, Delivery, Endpoint};
pub use error::{ConnectError, Discard, ExportError, IdentityError, SealError};
pub use event::{CloseReason, Event};
pub use identity::{Identity, LeafError, LeafKey, fingerprint, leaf_key};
pub use proto::{Arrival, Batch, Carrier, Instant, Path, Transmit, Writer};
pub use records::{Record, Records};
pub use stats::Stats;
pub use wire::{AlertDescription, CipherSuite, DecodeError, KeyAlgorithm, NamedGroup, SrtpProfile, Version};
