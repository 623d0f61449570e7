//! ChannelData, and how messages are cut from a stream. STUN messages themselves are [`stun::wire`]'s.
#![deny(clippy::arithmetic_side_effects)]

mod channel_data;
mod connection_id;
mod frame;

pub use channel_data::{ChannelData, ChannelNumber, DecodeError};
pub use connection_id::ConnectionId;
pub use frame::{FrameError, frame_len};
