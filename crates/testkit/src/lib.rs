//! What the tests of all crates share.
mod machine;
mod null;

pub use machine::{Machine, epoch, path, transmit_packet};
pub use null::null_provider;
