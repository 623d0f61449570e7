//! Peerline's DTLS and SCTP behind the traits of `webrtc-util`, so that a program on webrtc-rs 0.17 can swap a single
//! layer: [`DtlsConnection`] is a `Conn` on top of any `Conn` and a `KeyingMaterialExporter`; [`SctpAssociation`]
//! carries streams over any `Conn`, such as the former.
//!
//! The package stands outside of the workspace: what it is tested against brings a second generation of crates.
//! `cargo xtask compat` runs its tests.
//!
//! ```
//! use std::sync::Arc;
//! use webrtc_util::conn::conn_pipe::pipe;
//! use peerline_webrtc_util_compat::DtlsConnection;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! let provider = crypto::default_provider();
//! let identity = |seed| Arc::new(dtls::Identity::generate(provider, 1_800_000_000, [seed; 32]).unwrap());
//! let config = |seed| Arc::new(dtls::Config::new(provider, identity(seed)));
//! let (here, there) = pipe();
//! // A program compares the certificate with the fingerprint that signalling has told.
//! let (client, server) = tokio::join!(
//!     DtlsConnection::client(Arc::new(here), config(1), |_certificate| true),
//!     DtlsConnection::server(Arc::new(there), config(2), |_certificate| true),
//! );
//! use webrtc_util::Conn as _;
//! client.unwrap().send(b"hello").await.unwrap();
//! let mut buffer = [0; 100];
//! assert_eq!(server.unwrap().recv(&mut buffer).await.unwrap(), 5);
//! # });
//! ```

mod dtls_connection;
mod sctp_association;
mod wire;

pub use dtls_connection::DtlsConnection;
pub use sctp_association::{Received, SctpAssociation};
