//! G.722 ([RFC 3551] §4.5.2).
//!
//! The codec samples 16,000 times a second, two samples a byte at 64 kbit/s. Its RTP clock has 8,000 ticks a second all the same,
//! by an old mistake that RFC 3551 keeps: a byte is a tick.
//!
//! [RFC 3551]: https://www.rfc-editor.org/rfc/rfc3551

use super::{FrameError, Single, g711};

pub use super::g711::{Depacketizer, outline};

/// Ticks of the RTP clock a second, also in descriptions (`G722/8000`).
pub const CLOCK_RATE: u32 = 8000;
/// Samples a second.
pub const SAMPLE_RATE: u32 = 16_000;

/// By how much the timestamp goes on over `samples`.
pub const fn ticks(samples: u32) -> u32 {
    samples / 2
}

/// How many samples a payload of `bytes` stands for.
pub const fn samples(bytes: usize) -> usize {
    bytes.saturating_mul(2)
}

/// Sends what the encoder makes, and marks where talkspurts begin (RFC 3551 §4.1).
#[derive(Clone, Debug, Default)]
pub struct Packetizer {
    // A byte is a tick, as it is of G.711.
    bytes: g711::Packetizer,
}

impl Packetizer {
    /// One that has sent nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes of one packet, mostly 160, that is 20 ms; `timestamp` is of the first, in 1/8,000 s.
    pub fn frame<'a>(
        &mut self,
        bytes: &'a [u8],
        timestamp: u32,
        max_payload: usize,
    ) -> Result<Single<'a>, FrameError> {
        self.bytes.frame(bytes, timestamp, max_payload)
    }
}
