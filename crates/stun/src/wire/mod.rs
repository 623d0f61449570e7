//! Messages and attributes as bytes. Decoding checks everything once and borrows; encoding goes
//! straight into the caller's memory.
#![deny(clippy::arithmetic_side_effects)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most readers look for one attribute among many, and more will come"
)]

mod address;
mod attribute;
mod encoder;
mod message;
mod value;

pub use attribute::Attribute;
pub use encoder::Encoder;
pub use message::{Class, MAX_ATTRIBUTES, Message, Method, TransactionId, is_stun};
pub use value::{
    AddressError, AddressFamily, ErrorCode, Icmp, PasswordAlgorithm, PasswordAlgorithms, UnknownAttributes,
};
