//! STUN ([RFC 8489]): message codec, message integrity, both credential mechanisms, and a client that
//! learns and keeps a server-reflexive address.
//!
//! The crate performs no I/O, reads no clock and owns no thread. The caller moves bytes and time:
//!
//! ```
//! # use proto::{Batch, Carrier, Instant, Path};
//! # use stun::{Client, Config};
//! let path = Path {
//!     carrier: Carrier::Udp,
//!     local: ([10, 0, 0, 2], 4000).into(),
//!     remote: ([192, 0, 2, 1], 3478).into(),
//! };
//! let mut now = Instant::from_nanos(0);
//! let mut client = Client::new(Config::default(), path, [7; 32]);
//! client.start(now);
//!
//! let mut buf = [0; 1500];
//! while let Some(transmit) = client.poll_transmit(now, &mut Batch::new(&mut buf, 1, 1200)) {
//!     // send `buf[..transmit.len]` to `transmit.path.remote`
//!     assert_eq!(transmit.len, 28);
//! }
//! // sleep until `poll_timeout`, or until a datagram arrives for `handle_datagram`
//! now = client.poll_timeout().ok_or("a request is in flight")?;
//! client.handle_timeout(now);
//! assert_eq!(client.poll_event(), None);
//! # Ok::<_, &str>(())
//! ```
//!
//! A server's or an ICE agent's side of an authenticated request:
//!
//! ```
//! # use proto::Writer;
//! # use stun::wire::{Attribute, Class, Encoder, Message, Method, TransactionId};
//! # use stun::IntegrityKey;
//! let key = IntegrityKey::short_term(crypto::default_provider(), "a password of the session");
//! # let mut memory = [0; 128];
//! # let mut out = Writer::new(&mut memory);
//! # let mut request = Encoder::new(&mut out, Class::Request, Method::BINDING, TransactionId([1; 12]))?;
//! # request.attribute(Attribute::Username("alice:bob"))?;
//! # request.finish(Some(&key))?;
//! # let datagram = out.written();
//! let message = Message::decode(datagram)?;
//! message.verify(&key)?;
//! assert_eq!(message.username(), Some("alice:bob"));
//!
//! let mut memory = [0; 128];
//! let mut out = Writer::new(&mut memory);
//! let mut response = Encoder::new(&mut out, Class::Success, message.method(), message.transaction())?;
//! response.attribute(Attribute::XorMappedAddress(([192, 0, 2, 7], 4000).into()))?;
//! response.finish(Some(&key))?;
//! assert!(Message::decode(out.written())?.verify(&key).is_ok());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | [`wire`] | messages and attributes as bytes; usable alone |
//! | `integrity` | [`IntegrityKey`]: MESSAGE-INTEGRITY in both forms |
//! | `transaction` | [`Transaction`]: one request until it is answered |
//! | `client` | [`Client`]: asks for its own address, and keeps it |
//! | `credentials` | [`Credentials`]: a name and a password, prepared |
//! | `long_term` | [`LongTerm`]: a client's answer to a challenge |
//! | `authenticator`, `nonce` | [`Authenticator`]: a server's challenge, without keeping state |
//! | [`discovery`] | [`Discovery`](discovery::Discovery): what the NAT before us does |
//! | [`uri`] | `stun:` and `turn:` URIs, where servers are said to be |
//! | `config`, `error`, `event` | what goes in, what can go wrong, what comes out |
//!
//! # Scope
//!
//! Implemented: all classes, methods and attributes of RFC 8489, and those of ICE (RFC 8445), TURN
//! (RFC 8656, RFC 6062, RFC 8016) and behaviour discovery (RFC 5780); short-term credentials, and
//! long-term ones with MD5 and SHA-256, hashed names and protection against bid-down; binding requests
//! with retransmission and refresh; behaviour discovery (RFC 5780): mapping, filtering, hairpin and the life
//! of mappings, not the handling of fragments; URIs (RFC 7064, RFC 7065). Left to the caller: choosing servers, DNS, sockets, TLS, framing.
//! Not implemented: the RFC 3489 fallback.
//!
//! [RFC 8489]: https://www.rfc-editor.org/rfc/rfc8489

mod authenticator;
mod client;
mod config;
mod credentials;
pub mod discovery;
mod error;
mod event;
mod integrity;
mod long_term;
mod nonce;
mod transaction;
pub mod uri;
pub mod wire;

pub use authenticator::{Authenticated, Authenticator, Name, Refusal};
pub use client::Client;
pub use config::{Config, Schedule};
pub use credentials::{Credentials, CredentialsError, userhash};
pub use error::{DecodeError, Discard, IntegrityError};
pub use event::{Event, Failure, Stats};
pub use integrity::IntegrityKey;
pub use long_term::{ChallengeError, LongTerm};
pub use nonce::{Nonce, Nonces, SecurityFeatures};
pub use proto::{Arrival, Batch, Carrier, Instant, NoSpace, Path, Transmit, Writer};
pub use transaction::Transaction;
