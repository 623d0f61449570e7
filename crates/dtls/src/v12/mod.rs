//! What is DTLS 1.2 alone: its key derivation, its record protection, its handshake.

mod client;
mod handshake;
mod prf;
mod protection;
mod server;

pub(crate) use handshake::{Fault, Handshake, Progress};
pub(crate) use prf::Session;
pub(crate) use protection::{Opener, Sealer, Started, abandon};
