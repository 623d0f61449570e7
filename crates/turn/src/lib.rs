//! TURN ([RFC 8656]): client and server as machines without I/O.
//!
//! The crate performs no I/O, reads no clock and owns no thread. A server for one user on one address:
//!
//! ```
//! use turn::server::{Config, Received, RelayAddress};
//! use turn::{Arrival, Batch, Carrier, Instant, Path, Server, Users};
//!
//! let provider = crypto::default_provider();
//! let mut config = Config::new(provider);
//! config.listeners.push(([192, 0, 2, 1], 3478).into());
//! config.relays.push(RelayAddress { local: [192, 0, 2, 1].into(), external: [192, 0, 2, 1].into() });
//! let mut users = Users::default();
//! users.add(provider, &config.realm, "alice", "a password")?;
//! let now = Instant::from_nanos(0);
//! let mut server = Server::new(now, config, users, [7; 32]);
//!
//! // A datagram came: whatever is to be relayed is sent at once, answers are polled for.
//! let path = Path {
//!     carrier: Carrier::Udp,
//!     local: ([192, 0, 2, 1], 3478).into(),
//!     remote: ([198, 51, 100, 7], 4000).into(),
//! };
//! let allocate = [0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0x19, 0, 4, 17, 0, 0, 0];
//! let received = server.handle_datagram(Arrival { path, ecn: None, at: now }, &allocate)?;
//! assert!(matches!(received, Received::Consumed));
//! let mut buf = [0; 1500];
//! let transmit = server.poll_transmit(now, &mut Batch::new(&mut buf, 1, 1500)).ok_or("an answer")?;
//! // Nobody has said who asks: 401, not more than three times as long as the question.
//! assert_eq!(transmit.len, 3 * allocate.len());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | [`wire`] | ChannelData, and messages in streams; the rest is [`stun::wire`]'s |
//! | [`client`] | [`Client`]: one allocation, its permissions and channels, kept alive |
//! | [`server`] | [`Server`]: requests, allocations, what is relayed, limits |
//! | `users` | [`Users`]: names and passwords, and names that end |
//! | `policy` | [`PeerPolicy`]: whom a relay reaches |
//!
//! # Scope
//!
//! Implemented: allocations over UDP for clients over UDP, TCP, TLS and DTLS, both address families and both at
//! once, permissions, channels, Send and Data, redirection, mobility (RFC 8016), TCP allocations (RFC 6062); in the server
//! even and reserved ports, quotas, bandwidth and time-limited names. Left to the caller: sockets, TLS, cutting streams into
//! messages, carrying the bytes of connections, reading configuration. Not implemented: ICMP errors to clients.
//!
//! [RFC 8656]: https://www.rfc-editor.org/rfc/rfc8656

pub mod client;
mod policy;
pub mod server;
mod users;
pub mod wire;

pub use client::Client;
pub use policy::{Network, NetworkError, PeerPolicy};
pub use proto::{Arrival, Batch, Carrier, Instant, NoSpace, Path, Transmit, Writer};
pub use server::Server;
pub use stun::{Credentials, CredentialsError};
pub use users::Users;
