use proto::{NoSpace, Reader, Writer};

use super::Discard;

/// The number of a picture in VP8 (RFC 7741 §4.2) and VP9 (RFC 9628 §4.2), with its width on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PictureId {
    /// Of 7 bits.
    Short(u8),
    /// Of 15 bits.
    Long(u16),
}

impl PictureId {
    /// The number.
    pub fn value(self) -> u16 {
        match self {
            Self::Short(value) => u16::from(value & 0x7f),
            Self::Long(value) => value & 0x7fff,
        }
    }

    /// The one after it, of the same width: after the highest comes 0.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Short(value) => Self::Short(value.wrapping_add(1) & 0x7f),
            Self::Long(value) => Self::Long(value.wrapping_add(1) & 0x7fff),
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Discard> {
        let first = reader.u8()?;
        if first & LONG == 0 {
            return Ok(Self::Short(first));
        }
        Ok(Self::Long(u16::from_be_bytes([first & !LONG, reader.u8()?])))
    }

    pub(super) fn encode(self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        match self {
            Self::Short(_) => out.put(&self.value().to_be_bytes()[1..]),
            Self::Long(_) => out.put_u16(self.value() | u16::from(LONG) << 8),
        }
    }

    /// Writes the number over the one at the start of `field`, whose width stays: into a short one go the low 7 bits.
    pub(super) fn overwrite(field: &mut [u8], value: u16) {
        let [high, low] = value.to_be_bytes();
        match field {
            [first, second, ..] if *first & LONG != 0 => {
                *first = high | LONG;
                *second = low;
            }
            [first, ..] => *first = low & !LONG,
            [] => {}
        }
    }
}

/// The M bit: the number has 15 bits.
const LONG: u8 = 0x80;
