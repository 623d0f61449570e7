//! RTP, RTCP, header extensions and payload formats.

mod encode;
mod error;
pub mod extension;
mod number;
mod packet;
pub mod payload;
mod rewrite;
pub mod rtcp;
pub mod rtx;

pub use encode::Encoder;
pub use error::{DecodeError, EditError};
pub use number::{Mid, NtpTime, PayloadType, Rid, RtpTimestamp, SequenceNumber, Ssrc};
pub use packet::{Header, Packet, header_len, is_rtcp};
pub use rewrite::PacketMut;
