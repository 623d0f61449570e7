use std::time::Duration;

use proto::{NoSpace, Reader, Writer};

use super::{Kind, Value};
use crate::NtpTime;

/// When a packet left its sender: 24 bits, seconds in units of 2⁻¹⁸ s; wraps after 64 s.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AbsSendTime(u32);

impl AbsSendTime {
    /// From any clock that counts steadily.
    pub fn from_duration(since_epoch: Duration) -> Self {
        let seconds = since_epoch.as_secs() & 0x3f;
        let fraction = u64::from(since_epoch.subsec_nanos()).wrapping_shl(18) / 1_000_000_000;
        Self(u32::try_from(seconds << 18 | fraction).unwrap_or_default())
    }

    /// The low 24 bits of `units` of 2⁻¹⁸ s.
    pub const fn from_units(units: u32) -> Self {
        Self(units & 0x00ff_ffff)
    }

    /// Units of 2⁻¹⁸ s.
    pub const fn units(self) -> u32 {
        self.0
    }

    /// How long after `earlier` this is, by the shorter way, in units of 2⁻¹⁸ s; negative if before it.
    pub const fn distance(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).wrapping_shl(8).cast_signed() >> 8
    }
}

impl Value<'_> for AbsSendTime {
    const KIND: Kind = Kind::AbsSendTime;

    fn read(bytes: &[u8]) -> Option<Self> {
        Reader::new(bytes).u24().ok().map(Self)
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u24(self.0)
    }
}

/// When the first sample of a frame was captured, by the clock of who captured it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AbsCaptureTime {
    /// By the capturer's clock.
    pub captured: NtpTime,
    /// What to add to come to the clock of who sends it, in units of 2⁻³² s, if it is known.
    pub clock_offset: Option<i64>,
}

impl Value<'_> for AbsCaptureTime {
    const KIND: Kind = Kind::AbsCaptureTime;

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let captured = NtpTime(reader.u64().ok()?);
        Some(Self { captured, clock_offset: reader.u64().ok().map(u64::cast_signed) })
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u64(self.captured.0)?;
        self.clock_offset.map_or(Ok(()), |offset| out.put_u64(offset.cast_unsigned()))
    }
}

/// How long the receiver should wait between capture and showing, in steps of 10 ms up to 40.95 s.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PlayoutDelay {
    min: u16,
    max: u16,
}

impl PlayoutDelay {
    /// Delays are rounded down to steps of 10 ms. `None` if one is longer than 40.95 s, or the first longer
    /// than the second.
    pub fn new(min: Duration, max: Duration) -> Option<Self> {
        let steps =
            |delay: Duration| u16::try_from(delay.as_millis() / 10).ok().filter(|steps| *steps < 1 << 12);
        Self::of_steps(steps(min)?, steps(max)?)
    }

    fn of_steps(min: u16, max: u16) -> Option<Self> {
        (min <= max).then_some(Self { min, max })
    }

    /// The shortest.
    pub fn min(self) -> Duration {
        Duration::from_millis(u64::from(self.min).saturating_mul(10))
    }

    /// The longest.
    pub fn max(self) -> Duration {
        Duration::from_millis(u64::from(self.max).saturating_mul(10))
    }
}

impl Value<'_> for PlayoutDelay {
    const KIND: Kind = Kind::PlayoutDelay;

    fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c] = Reader::new(bytes).array().ok()?;
        Self::of_steps(u16::from_be_bytes([a, b]) >> 4, u16::from_be_bytes([b & 0x0f, c]))
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u24(u32::from(self.min) << 12 | u32::from(self.max))
    }
}
