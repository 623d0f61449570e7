//! A TURN server ([RFC 8656]) on tokio: sockets, timers and connections around [`turn::Server`].
//!
//! A server inside a program is one line:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use turn_server::{Config, Server};
//!
//! let server = Server::bind(Config::at("127.0.0.1:0".parse()?).user("alice", "a password")?).await?;
//! println!("turn:{} over UDP and TCP", server.local_addr());
//! assert_eq!(server.stats().await?.turn.allocations, 0);
//! # Ok(()) }
//! ```
//!
//! Nobody is relayed to loopback, private or other special addresses unless `config.turn.peers` allows it, and at the server's
//! own addresses to nothing but its relays: a test on one machine takes another address of it for the peer (127.0.0.2).
//!
//! # How it works
//!
//! A task, the worker, owns its sockets, a protocol machine and all buffers, so that nothing on the way of a packet
//! is locked. With several workers each has sockets of its own at the same addresses, between which the system divides
//! the clients; quotas, ports and reservations are one for all ([`turn::server::Shared`]). It receives many datagrams with one system call, and sends those that go the same way and are
//! equally long with one as well (GSO).
//!
//! A server may have a relay socket for each of sixteen thousand allocations. Asking each of them whether
//! something has come would cost more than relaying, and a task for each would mean a switch and a channel
//! for each packet. So each socket has a waker of its own ([`net::ready`]), which puts the number of the socket into a
//! queue, once, when the system says that it is readable; the task is woken by the queue, and looks only at the
//! sockets that are in it. A socket with more than one call receives goes to the end of the queue. What
//! clients send comes through few sockets and what peers send through many, so listeners and relays have a
//! queue each and take turns.
//!
//! A relay is a queue between two networks, not a store: a datagram for which a socket or a connection has no
//! room is dropped and counted.
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | `config` | [`Config`]: where to listen, for whom, within which limits |
//! | `alternate` | [`Alternate`]: the second address of behaviour discovery |
//! | `server` | [`Server`], the handle; [`Stats`] |
//! | `worker` | a task: turns, timers, opening and closing |
//! | `bound`, `connections` | the listeners of each worker; how many connections all of them have |
//! | `data` | connections of TCP allocations: listening, connecting, carrying bytes |
//! | `outbox` | what is relayed, joined to few sends |
//! | `stream` | a client's connection over TCP or TLS |
//! | `associations`, `dtls_server` | a listener's clients over DTLS; [`DtlsServer`], what they are shown |
//! | `frames` | messages out of a stream |
//!
//! # Scope
//!
//! Implemented: clients over UDP, TCP, TLS and DTLS 1.2, UDP relays, TCP relays (RFC 6062, not on Windows), both address
//! families, behaviour discovery (RFC 5780), with one worker mobility (RFC 8016).
//!
//! [RFC 8656]: https://www.rfc-editor.org/rfc/rfc8656

mod alternate;
mod associations;
mod bound;
mod config;
mod connections;
mod data;
mod dtls_server;
mod frames;
mod outbox;
mod server;
mod stream;
mod worker;

pub use alternate::Alternate;
pub use config::Config;
pub use dtls_server::{DtlsError, DtlsServer};
pub use net::{TlsError, TlsServer};
pub use server::{Error, Server, Stats, Stopped};
pub use turn;
