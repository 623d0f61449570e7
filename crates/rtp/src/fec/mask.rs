use proto::{NoSpace, Reader, Writer};

use super::Format;
use crate::{DecodeError, SequenceNumber};

/// Which packets are protected, from a first number on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mask {
    base: SequenceNumber,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// One bit each, the first at the top.
    Bits(u128),
    /// So many, so far apart.
    Steps { count: u8, step: u8 },
}

impl Mask {
    /// Nothing yet, from `base` on.
    pub(super) const fn new(base: SequenceNumber) -> Self {
        Self { base, kind: Kind::Bits(0) }
    }

    /// `None` if the number is too far from the first.
    pub(super) fn add(&mut self, format: Format, number: SequenceNumber) -> Option<()> {
        let place = number.since(self.base);
        let Kind::Bits(bits) = &mut self.kind else { return None };
        if place >= format.max_span() {
            return None;
        }
        *bits |= TOP.checked_shr(place.into())?;
        Some(())
    }

    /// The first number that can be protected.
    pub const fn base(&self) -> SequenceNumber {
        self.base
    }

    /// How many packets are protected.
    pub fn count(&self) -> usize {
        match self.kind {
            Kind::Bits(bits) => usize::try_from(bits.count_ones()).unwrap_or_default(),
            Kind::Steps { count, .. } => count.into(),
        }
    }

    /// Whether a packet is protected.
    pub fn contains(&self, number: SequenceNumber) -> bool {
        let place = number.since(self.base);
        match self.kind {
            Kind::Bits(bits) => TOP.checked_shr(place.into()).is_some_and(|bit| bits & bit != 0),
            Kind::Steps { count, step } => {
                let count = u16::from(count);
                let at = place.checked_div(step.into());
                at.is_some_and(|at| at < count && at.wrapping_mul(step.into()) == place)
            }
        }
    }

    /// The numbers of all that are protected, at most 255.
    pub const fn numbers(&self) -> MaskNumbers {
        MaskNumbers { mask: *self, place: 0 }
    }

    /// RFC 5109 §7.4: 16 bits, or 48.
    pub(super) fn read_ulp(reader: &mut Reader<'_>, base: u16, long: bool) -> Result<Self, DecodeError> {
        let bits = if long { u128::from(reader.u48()?) << 80 } else { u128::from(reader.u16()?) << 112 };
        Self { base: SequenceNumber(base), kind: Kind::Bits(bits) }.filled()
    }

    pub(super) fn needs_long(&self) -> bool {
        matches!(self.kind, Kind::Bits(bits) if bits << 16 != 0)
    }

    pub(super) fn write_ulp(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let Kind::Bits(bits) = self.kind else { return Err(NoSpace) };
        let [a, b, c, d, e, f, ..] = bits.to_be_bytes();
        if self.needs_long() { out.put(&[a, b, c, d, e, f]) } else { out.put(&[a, b]) }
    }

    /// The parts of a mask of FlexFEC have 15, 31 and 63 or 64 bits, with one in front of each that says whether
    /// it is the last. In the draft that is 1, and the third has one too; in RFC 8627 §4.2.2.1 it is 0.
    pub(super) fn read_flex(reader: &mut Reader<'_>, format: Format) -> Result<Self, DecodeError> {
        let base = SequenceNumber(reader.u16()?);
        let last = format == Format::Flex03;
        let first = reader.u16()?;
        let mut bits = u128::from(first & 0x7fff) << 113;
        if (first & 0x8000 != 0) != last {
            let second = reader.u32()?;
            bits |= u128::from(second & 0x7fff_ffff) << 82;
            if (second & 0x8000_0000 != 0) != last {
                let third = reader.u64()?;
                bits |= if !last {
                    u128::from(third) << 18
                } else if third & 1 << 63 != 0 {
                    u128::from(third & !(1 << 63)) << 19
                } else {
                    return Err(DecodeError::Value);
                };
            }
        }
        Self { base, kind: Kind::Bits(bits) }.filled()
    }

    pub(super) fn write_flex(&self, format: Format, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let Kind::Bits(bits) = self.kind else { return Err(NoSpace) };
        let parts = match bits {
            _ if bits << 15 == 0 => 1,
            _ if bits << 46 == 0 => 2,
            _ => 3,
        };
        let draft = format == Format::Flex03;
        let flag = |part: u8| (part == parts) == draft;
        let [.., a, b] = (bits >> 113).to_be_bytes();
        out.put_u16(self.base.0)?;
        out.put_u16(u16::from_be_bytes([a, b]) | if flag(1) { 0x8000 } else { 0 })?;
        if parts >= 2 {
            let [.., a, b, c, d] = (bits >> 82 & 0x7fff_ffff).to_be_bytes();
            out.put_u32(u32::from_be_bytes([a, b, c, d]) | if flag(2) { 0x8000_0000 } else { 0 })?;
        }
        if parts == 3 {
            let shift = if draft { 19 } else { 18 };
            let [_, _, _, _, _, _, _, _, low @ ..] = (bits >> shift).to_be_bytes();
            let low = u64::from_be_bytes(low);
            out.put_u64(if draft { low | 1 << 63 } else { low })?;
        }
        Ok(())
    }

    /// RFC 8627 §4.2.2.2: `columns` packets that follow each other, or with several rows that many packets as
    /// far apart as there are columns.
    pub(super) fn read_fixed(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let base = SequenceNumber(reader.u16()?);
        let [columns, rows] = reader.array()?;
        let kind = match rows {
            _ if columns == 0 => return Err(DecodeError::Value),
            0 | 1 => Kind::Steps { count: columns, step: 1 },
            _ => Kind::Steps { count: rows, step: columns },
        };
        Ok(Self { base, kind })
    }

    fn filled(self) -> Result<Self, DecodeError> {
        if self.count() > 0 { Ok(self) } else { Err(DecodeError::Value) }
    }
}

/// The numbers of packets that are protected.
#[derive(Clone, Debug)]
pub struct MaskNumbers {
    mask: Mask,
    place: u32,
}

impl Iterator for MaskNumbers {
    type Item = SequenceNumber;

    fn next(&mut self) -> Option<SequenceNumber> {
        let place = match self.mask.kind {
            Kind::Bits(bits) => {
                let rest = bits.checked_shl(self.place).filter(|rest| *rest != 0)?;
                let place = self.place.saturating_add(rest.leading_zeros());
                self.place = place.saturating_add(1);
                place
            }
            Kind::Steps { count, step } => {
                let at = Some(self.place).filter(|at| *at < count.into())?;
                self.place = at.saturating_add(1);
                at.saturating_mul(step.into())
            }
        };
        Some(self.mask.base.wrapping_add(u16::try_from(place).ok()?))
    }
}

const TOP: u128 = 1 << 127;
