//! What the protocol crates leave out: sockets, the clock, entropy, the machine's addresses. From here up
//! the workspace knows tokio.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! use std::future::poll_fn;
//! use net::{Transport, UdpSocket};
//! use proto::{Carrier, Path, Transmit};
//!
//! let (a, b) = (UdpSocket::bind(([127, 0, 0, 1], 0).into())?, UdpSocket::bind(([127, 0, 0, 1], 0).into())?);
//! let path = Path { carrier: Carrier::Udp, local: a.local_address(), remote: b.local_address() };
//! // Two datagrams in one system call.
//! let transmit = Transmit { path, ecn: None, len: 8, segment_size: Some(4) };
//! poll_fn(|cx| a.poll_send(cx, &transmit, b"pingpong")).await?;
//!
//! let mut buffer = vec![0; net::RECEIVE_BUFFER];
//! let train = poll_fn(|cx| b.poll_receive(cx, &mut buffer)).await?;
//! assert_eq!((&buffer[..4], train.remote), (&b"ping"[..], a.local_address()));
//! # Ok(()) }
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | `transport` | [`Transport`], what an endpoint sends and receives through; tests put a virtual network there |
//! | `udp` | [`UdpSocket`], through quinn-udp: segmentation offload (GSO, GRO), congestion marks |
//! | `stream` | [`ByteStream`]: TCP, plain or under TLS, for clients and servers |
//! | `listener` | [`Listener`]: a TCP port that connections come to |
//! | `tls` | [`TlsServer`], [`TlsClient`], [`KeyAndChain`]: certificates, and whom to believe, through rustls |
//! | [`ready`] | which of many sockets have something to do |
//! | `watch`, `address_states` | changes of the machine's addresses, and which of them are temporary |
//! | `multicast` | sockets of a group on one link, for [`UdpSocket::bind_multicast`] |
//! | `interfaces` | [`interfaces`], the addresses of this machine; [`links`], where they are neighbours of others |
//! | `names` | [`Resolver`], from the names of servers and services to addresses |
//! | `clock` | [`Clock`], from the system's time to [`proto::Instant`] |
//! | `entropy` | [`random_seed`] |

#[cfg(target_os = "linux")]
mod address_states;
mod clock;
mod entropy;
mod interfaces;
mod listener;
mod multicast;
mod names;
pub mod ready;
mod stream;
mod tls;
mod transport;
mod udp;
mod watch;

pub use clock::Clock;
pub use entropy::random_seed;
pub use interfaces::{Interface, Link, default_address, interfaces, links, source_address};
pub use listener::Listener;
pub use names::Resolver;
pub use stream::ByteStream;
pub use tls::{KeyAndChain, TlsClient, TlsError, TlsServer};
pub use transport::{RECEIVE_BUFFER, RECEIVE_TRAINS, SEND_BUFFER, Train, Transport};
pub use udp::UdpSocket;
pub use watch::InterfaceWatch;
