//! G.711 ([RFC 3551] §4.5.14): PCMU and PCMA, and the samples that they stand for (ITU-T G.711).
//!
//! [RFC 3551]: https://www.rfc-editor.org/rfc/rfc3551

use super::single::{Frames, Single, Talkspurts, outline_of_audio};
use super::{Broken, Discard, Frame, FrameError, Limits, Outline, Payload, Stats};

/// Ticks of the RTP clock a second; each is a sample of one byte.
pub const CLOCK_RATE: u32 = 8000;

/// How samples are compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Law {
    /// µ-law, PCMU, payload type 0.
    Mu,
    /// A-law, PCMA, payload type 8.
    A,
}

impl Law {
    /// The linear sample of a byte.
    pub fn expand(self, byte: u8) -> i16 {
        match self {
            Self::Mu => {
                let byte = !byte;
                let magnitude = (i16::from(byte & 0x0f) << 3 | BIAS) << (byte >> 4 & 7);
                sign(magnitude.saturating_sub(BIAS), byte & SIGN != 0)
            }
            Self::A => {
                let byte = byte ^ EVEN_BITS;
                let mantissa = i16::from(byte & 0x0f) << 4 | 8;
                let magnitude = match byte >> 4 & 7 {
                    0 => mantissa,
                    segment => (mantissa | 0x100) << (segment - 1),
                };
                sign(magnitude, byte & SIGN == 0)
            }
        }
    }

    /// The byte in whose interval `sample` is, by the decision values of the standard.
    pub fn compress(self, sample: i16) -> u8 {
        let negative = sample < 0;
        match self {
            Self::Mu => {
                let magnitude = sample.unsigned_abs().min(CLIP).saturating_add(BIAS.unsigned_abs());
                // The highest bit is one of 7 to 14.
                let segment = magnitude.leading_zeros().abs_diff(8);
                let byte = code(segment, magnitude >> segment.saturating_add(3));
                !(byte | if negative { SIGN } else { 0 })
            }
            Self::A => {
                // Negative samples are counted from -1 down (ITU-T G.711 table 1a).
                let magnitude = if negative { !sample } else { sample }.unsigned_abs() >> 4;
                let segment = 12_u32.saturating_sub(magnitude.leading_zeros());
                let byte = code(segment, magnitude >> segment.saturating_sub(1));
                (byte | if negative { 0 } else { SIGN }) ^ EVEN_BITS
            }
        }
    }
}

/// Segment and the low four bits of the mantissa.
fn code(segment: u32, mantissa: u16) -> u8 {
    let [_, _, _, segment] = segment.to_be_bytes();
    let [_, mantissa] = mantissa.to_be_bytes();
    segment << 4 | mantissa & 0x0f
}

const fn sign(magnitude: i16, negative: bool) -> i16 {
    if negative { magnitude.wrapping_neg() } else { magnitude }
}

/// What a payload shows to a forwarder.
pub fn outline(payload: &[u8]) -> Result<Outline, Discard> {
    if payload.is_empty() { Err(Discard::Empty) } else { Ok(outline_of_audio()) }
}

/// Sends compressed samples, and marks where talkspurts begin (RFC 3551 §4.1).
#[derive(Clone, Debug, Default)]
pub struct Packetizer {
    talkspurts: Talkspurts,
}

impl Packetizer {
    /// One that has sent nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The samples of one packet, of which `timestamp` is the number of the first: mostly 160, that is 20 ms.
    pub fn frame<'a>(
        &mut self,
        samples: &'a [u8],
        timestamp: u32,
        max_payload: usize,
    ) -> Result<Single<'a>, FrameError> {
        let mut single = Single::new(samples, false, max_payload)?;
        let duration = u32::try_from(samples.len()).map_err(|_| FrameError::Indivisible)?;
        single.mark(self.talkspurts.begins(timestamp, duration));
        Ok(single)
    }
}

/// Takes samples out of payloads.
#[derive(Debug)]
pub struct Depacketizer {
    frames: Frames,
}

impl Depacketizer {
    /// One that keeps as much as `limits` says.
    pub const fn new(limits: Limits) -> Self {
        Self { frames: Frames::new(limits) }
    }

    /// Takes the next payload. Drain [`poll_frame`](Self::poll_frame) afterwards.
    pub fn handle_payload(&mut self, payload: Payload<'_>) -> Result<(), Discard> {
        self.frames.handle_payload(payload, |_| Ok(()))
    }

    /// The oldest samples that wait, or that they are missing.
    pub fn poll_frame(&mut self) -> Option<Result<Frame<'_>, Broken>> {
        self.frames.poll_frame()
    }

    /// Figures so far.
    pub const fn stats(&self) -> Stats {
        self.frames.stats()
    }
}

const SIGN: u8 = 0x80;
/// µ-law: what is added so that every magnitude has its highest bit in a segment.
const BIAS: i16 = 0x84;
/// µ-law: the highest magnitude that the bias leaves within 15 bits.
const CLIP: u16 = 32_635;
/// A-law: every second bit is inverted.
const EVEN_BITS: u8 = 0x55;
