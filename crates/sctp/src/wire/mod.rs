//! Packets, chunks and parameters as bytes (RFC 9260 §3, RFC 3758 §3, RFC 6525 §3, §4). Usable alone.
//!
//! [`Packet::decode`] checks every boundary once; what it gives is borrowed, and walking it cannot fail.
#![deny(clippy::arithmetic_side_effects)]

mod chunk;
mod packet;
mod parameter;

pub use chunk::{Chunk, Data, ForwardTsn, Init, Sack, put_sack};
pub use packet::{Packet, begin_packet, finish_packet};
pub use parameter::{Causes, Parameter, Parameters, ReconfigResult};

/// Bytes of the common header (RFC 9260 §3.1).
pub const HEADER_LEN: usize = 12;
/// Bytes of a DATA chunk before its payload (RFC 9260 §3.3.1).
pub const DATA_HEADER_LEN: usize = 16;

/// Bytes of a chunk before its value (RFC 9260 §3.2).
pub(crate) const CHUNK_HEADER_LEN: usize = 4;

/// Zero bytes that bring `len` to a multiple of four.
pub(crate) const fn padding(len: usize) -> usize {
    len.wrapping_neg() & 3
}
