//! Comfort noise ([RFC 3389]): what silence sounds like.
//!
//! [RFC 3389]: https://www.rfc-editor.org/rfc/rfc3389

use proto::{NoSpace, Writer};

use super::{Discard, Written, whole};

/// A description of noise (RFC 3389 §3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ComfortNoise<'a> {
    level: u8,
    coefficients: &'a [u8],
}

impl<'a> ComfortNoise<'a> {
    /// Noise of `level`, from 0, the loudest, to 127, in dB below overload, whose spectrum is white if there are no `coefficients`;
    /// `None` if the level is higher.
    pub fn new(level: u8, coefficients: &'a [u8]) -> Option<Self> {
        (level <= 127).then_some(Self { level, coefficients })
    }

    /// Reads a payload. The highest bit of the level, which is to be zero, is ignored.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Discard> {
        let [level, coefficients @ ..] = payload else { return Err(Discard::Empty) };
        Ok(Self { level: level & 0x7f, coefficients })
    }

    /// Appends the payload. The marker belongs to the first packet with sound after it (RFC 3389 §4).
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<Written, NoSpace> {
        whole(out, false, |out| {
            out.put_u8(self.level)?;
            out.put(self.coefficients)
        })
    }

    /// The level, in dB below overload: higher is quieter.
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// The reflection coefficients of the all-pole filter that shapes the noise, between -1 and 1, in 1/32,768. A receiver may leave out
    /// the last ones.
    pub fn reflections(&self) -> impl Iterator<Item = i16> + use<'a> {
        // RFC 3389 §3.2: k = 258 (N - 127) / 32768 for N from 0 to 254; 255 is not used.
        self.coefficients.iter().map(|value| (i16::from((*value).min(254)) - 127).saturating_mul(258))
    }

    /// The byte for a reflection coefficient in 1/32,768, the closest there is.
    pub fn quantize(reflection: i16) -> u8 {
        let step = i32::from(reflection).saturating_add(127 * 258 + 129) / 258;
        u8::try_from(step.clamp(0, 254)).unwrap_or_default()
    }
}
