//! What H.264 (RFC 6184) and H.265 (RFC 7798) have in common: frames of NAL units, which go alone, several in a payload, or one
//! in several payloads.

mod opaque;
mod receive;
mod send;
mod syntax;
mod units;

pub(super) use opaque::{unwrap, visible, wrap};
pub(super) use receive::{Assembler, content_begins_frame};
pub(super) use send::ParameterSets;
pub use send::Payloads;
pub(super) use syntax::{Content, Syntax, aggregated};
pub use units::Framing;
pub(super) use units::Units;
