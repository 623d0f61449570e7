//! Fields that are no whole bytes.

use proto::{NoSpace, Writer};

use crate::DecodeError;

/// Reads bits, the most significant of a byte first.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn flag(&mut self) -> Result<bool, DecodeError> {
        let byte = self.bytes.get(self.at / 8).ok_or(DecodeError::Truncated)?;
        let mask = 0x80_u8.wrapping_shr(u32::try_from(self.at % 8).unwrap_or_default());
        self.at = self.at.saturating_add(1);
        Ok(byte & mask != 0)
    }

    /// At most 32 bits.
    pub(super) fn bits(&mut self, count: u32) -> Result<u32, DecodeError> {
        (0..count).try_fold(0, |value: u32, _| Ok(value << 1 | u32::from(self.flag()?)))
    }

    /// At most 8 bits.
    pub(super) fn byte(&mut self, count: u32) -> Result<u8, DecodeError> {
        u8::try_from(self.bits(count)?).map_err(|_| DecodeError::Value)
    }

    /// A value below `below`, in as few bits as that takes (AV1 §4.10.7, `ns(n)`). Of one value alone no
    /// bit is read.
    pub(super) fn below(&mut self, below: u32) -> Result<u32, DecodeError> {
        let Some((width, short)) = widths(below) else { return Ok(0) };
        let value = self.bits(width.saturating_sub(1))?;
        if value < short {
            return Ok(value);
        }
        let low = u32::from(self.flag()?);
        Ok((value << 1 | low).saturating_sub(short))
    }
}

/// Writes bits, the most significant of a byte first; what is left of the last byte is zero.
#[derive(Debug)]
pub(super) struct BitWriter<'w, 'm> {
    out: &'w mut Writer<'m>,
    byte: u8,
    used: u32,
}

impl<'w, 'm> BitWriter<'w, 'm> {
    pub(super) const fn new(out: &'w mut Writer<'m>) -> Self {
        Self { out, byte: 0, used: 0 }
    }

    pub(super) fn flag(&mut self, value: bool) -> Result<(), NoSpace> {
        self.byte = self.byte << 1 | u8::from(value);
        self.used = self.used.wrapping_add(1);
        if self.used == 8 {
            self.out.put_u8(self.byte)?;
            (self.byte, self.used) = (0, 0);
        }
        Ok(())
    }

    /// The low `count` bits, at most 32.
    pub(super) fn bits(&mut self, value: u32, count: u32) -> Result<(), NoSpace> {
        (0..count).rev().try_for_each(|bit| self.flag(value.wrapping_shr(bit) & 1 != 0))
    }

    /// As [`BitReader::below`] reads it.
    pub(super) fn below(&mut self, value: u32, below: u32) -> Result<(), NoSpace> {
        let Some((width, short)) = widths(below) else { return Ok(()) };
        if value < short {
            return self.bits(value, width.saturating_sub(1));
        }
        self.bits(value.saturating_add(short), width)
    }

    pub(super) fn finish(self) -> Result<(), NoSpace> {
        if self.used == 0 {
            return Ok(());
        }
        self.out.put_u8(self.byte.wrapping_shl(8_u32.saturating_sub(self.used)))
    }
}

/// How many bits the values below `below` have, and how many of them have one less.
fn widths(below: u32) -> Option<(u32, u32)> {
    let width = below.checked_ilog2()?.saturating_add(1);
    Some((width, 1_u32.checked_shl(width)?.saturating_sub(below)))
}
