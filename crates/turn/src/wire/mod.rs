//! ChannelData, and how messages are cut from a stream. STUN messages themselves are [`stun::wire`]'s.
#![deny(clippy::arithmetic_side_effects)]

mod channel_data;
mod frame;

pub use channel_data::{ChannelData, ChannelNumber, DecodeError};
pub use frame::{FrameError, frame_len};
