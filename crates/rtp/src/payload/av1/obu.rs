//! Open bitstream units (AV1 §5.3), as far as their headers tell.

use proto::{NoSpace, Reader, Writer};

use crate::payload::{Discard, FrameError};

/// An OBU without its size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Obu<'a> {
    /// Header and extension, the size flag cleared.
    header: [u8; 2],
    pub(super) header_len: usize,
    /// Whether a size stood behind the header.
    pub(super) has_size: bool,
    pub(super) data: &'a [u8],
}

impl<'a> Obu<'a> {
    /// Reads a whole element of a payload. If it has a size, that has to be right.
    pub(super) fn of_element(element: &'a [u8]) -> Result<Self, Discard> {
        let mut reader = Reader::new(element);
        let obu = Self::read(&mut reader).ok_or(Discard::Malformed)?;
        if reader.is_empty() { Ok(obu) } else { Err(Discard::Malformed) }
    }

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let first = reader.u8().ok()?;
        if first & FORBIDDEN != 0 {
            return None;
        }
        let has_extension = first & EXTENSION != 0;
        let extension = if has_extension { reader.u8().ok()? } else { 0 };
        let has_size = first & HAS_SIZE != 0;
        let len = if has_size { read_leb128(reader)? } else { reader.remaining() };
        let header_len = 1 + usize::from(has_extension);
        Some(Self {
            header: [first & !HAS_SIZE, extension],
            header_len,
            has_size,
            data: reader.take(len).ok()?,
        })
    }

    pub(super) const fn kind(&self) -> u8 {
        self.header[0] >> 3 & 0x0f
    }

    /// Temporal and spatial layer, if they are told.
    pub(super) fn layer(&self) -> Option<(u8, u8)> {
        let [first, extension] = self.header;
        (first & EXTENSION != 0).then_some((extension >> 5, extension >> 3 & 3))
    }

    /// Whether it is sent: temporal delimiters and tile lists are not, and are ignored if they come.
    pub(super) const fn is_sent(&self) -> bool {
        self.kind() != TEMPORAL_DELIMITER && self.kind() != TILE_LIST
    }

    /// A frame, or the header of one.
    pub(super) const fn is_frame(&self) -> bool {
        matches!(self.kind(), FRAME_HEADER | FRAME)
    }

    /// Of a frame or its header, whether it is a key frame (AV1 §5.9.2): neither one that was decoded before, nor of another type.
    pub(super) fn starts_key_frame(&self) -> Option<bool> {
        self.is_frame().then(|| self.data.first().is_some_and(|first| first & 0xe0 == 0))
    }

    /// The header, with the extension if there is one, as if no size were behind it.
    pub(super) fn header(&self) -> &[u8] {
        self.header.get(..self.header_len).unwrap_or_default()
    }

    /// Bytes without the size.
    pub(super) const fn len(&self) -> usize {
        self.header_len.saturating_add(self.data.len())
    }

    /// Appends `len` bytes from `from` on, the header included.
    pub(super) fn write(&self, from: usize, len: usize, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let end = from.saturating_add(len);
        let header = self.header().get(from.min(self.header_len)..end.min(self.header_len));
        out.put(header.unwrap_or_default())?;
        let data = self.data.get(from.saturating_sub(self.header_len)..end.saturating_sub(self.header_len));
        out.put(data.unwrap_or_default())
    }
}

/// The OBUs of a temporal unit in the low-overhead format; the last may be without a size.
#[derive(Clone, Debug)]
pub(super) struct Obus<'a> {
    reader: Reader<'a>,
}

impl<'a> Obus<'a> {
    pub(super) const fn new(unit: &'a [u8]) -> Self {
        Self { reader: Reader::new(unit) }
    }
}

impl<'a> Iterator for Obus<'a> {
    type Item = Result<Obu<'a>, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let obu = Obu::read(&mut self.reader).ok_or(FrameError::NotAFrame);
        if obu.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(obu)
    }
}

/// The elements of a payload, `count` of them with the last one's length left out, or, if that is 0, all with theirs. All lengths are
/// checked at once; none is 0.
pub(super) fn elements(count: u8, rest: &[u8]) -> Result<impl Iterator<Item = &[u8]> + Clone, Discard> {
    let walk = Elements { reader: Reader::new(rest), left: (count > 0).then_some(count) };
    let mut check = walk.clone();
    let mut seen = 0_usize;
    loop {
        match check.step() {
            Ok(Some([])) => return Err(Discard::EmptyPart),
            Ok(Some(_)) => seen = seen.saturating_add(1),
            Ok(None) => break,
            Err(discard) => return Err(discard),
        }
    }
    if seen == 0 { Err(Discard::EmptyPart) } else { Ok(walk) }
}

#[derive(Clone)]
struct Elements<'a> {
    reader: Reader<'a>,
    /// How many are left, if they are counted.
    left: Option<u8>,
}

impl<'a> Elements<'a> {
    fn step(&mut self) -> Result<Option<&'a [u8]>, Discard> {
        match &mut self.left {
            Some(0) => return Ok(None),
            None if self.reader.is_empty() => return Ok(None),
            Some(left) => {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    return Ok(Some(self.reader.rest()));
                }
            }
            None => {}
        }
        let len = read_leb128(&mut self.reader).ok_or(Discard::Truncated)?;
        Ok(Some(self.reader.take(len)?))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.step().ok().flatten()
    }
}

/// Reads a number in groups of 7 bits, the lowest first (AV1 §4.10.5).
fn read_leb128(reader: &mut Reader<'_>) -> Option<usize> {
    let mut value = 0_u64;
    for at in 0..8_u32 {
        let octet = reader.u8().ok()?;
        value |= u64::from(octet & 0x7f) << (7 * at);
        if octet & 0x80 == 0 {
            return usize::try_from(u32::try_from(value).ok()?).ok();
        }
    }
    None
}

/// Appends a number in as few groups as there can be.
pub(super) fn leb128(mut value: usize, out: &mut Writer<'_>) -> Result<(), NoSpace> {
    loop {
        let [.., low] = value.to_be_bytes();
        value >>= 7;
        out.put_u8(low & 0x7f | if value > 0 { 0x80 } else { 0 })?;
        if value == 0 {
            return Ok(());
        }
    }
}

/// How many bytes [`leb128`] appends.
pub(super) const fn leb128_len(value: usize) -> usize {
    let bits = usize::BITS.saturating_sub(value.leading_zeros());
    if bits == 0 { 1 } else { bits.div_ceil(7) as usize }
}

const FORBIDDEN: u8 = 0x80;
/// Layers are told behind the header.
pub(super) const EXTENSION: u8 = 0x04;
/// A size stands behind the header.
pub(super) const HAS_SIZE: u8 = 0x02;
// AV1 §6.2.2.
pub(super) const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_written_and_as_long_as_foretold() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, 4 << 20, u32::MAX as usize] {
            let mut memory = [0; 8];
            let mut out = Writer::new(&mut memory);
            leb128(value, &mut out).unwrap();
            assert_eq!(out.len(), leb128_len(value));
            assert_eq!(read_leb128(&mut Reader::new(out.written())), Some(value));
        }
        // Longer than needed, longer than allowed, too large, and cut short.
        assert_eq!(read_leb128(&mut Reader::new(&[0x81, 0x80, 0])), Some(1));
        assert_eq!(read_leb128(&mut Reader::new(&[0x80; 8])), None);
        assert_eq!(read_leb128(&mut Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x10])), None);
        assert_eq!(read_leb128(&mut Reader::new(&[0x80])), None);
    }
}
