//! Messages of DNS as bytes, as far as multicast DNS needs them. Decoding checks everything once and
//! borrows; encoding goes straight into the caller's memory.
#![deny(clippy::arithmetic_side_effects)]

mod encoder;
mod message;
mod name;
mod record;

pub use encoder::Encoder;
pub use message::{Header, MAX_RECORDS, Message, is_response};
pub use name::{Labels, MAX_JUMPS, Name};
pub use record::{Class, Data, Kind, Nsec, Question, Record, Section};
