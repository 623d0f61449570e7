//! DTLS 1.2 ([RFC 6347]) without I/O: both sides of the handshake with certificates on both ends, the
//! record layer, `use_srtp` and keying material export.
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

pub use config::Config;
pub use connection::{Connection, Role};
pub use endpoint::{ConnectionId, Delivery, Endpoint};
pub use error::{ConnectError, Discard, ExportError, IdentityError, SealError};
pub use event::{CloseReason, Event};
pub use identity::{Identity, fingerprint};
pub use records::{Record, Records};
pub use stats::Stats;
pub use wire::{AlertDescription, CipherSuite, DecodeError, NamedGroup, SrtpProfile, Version};
