use core::fmt;

/// Writes big-endian fields into borrowed memory. A write that does not fit changes nothing.
///
/// ```
/// # use proto::{NoSpace, Writer};
/// let mut memory = [0; 8];
/// let mut out = Writer::new(&mut memory);
/// out.put_u16(0)?; // a length, known later
/// out.put(b"abc")?;
/// out.patch_u16(0, 3)?;
/// assert_eq!(out.written(), b"\x00\x03abc");
/// # Ok::<_, NoSpace>(())
/// ```
#[derive(Debug)]
pub struct Writer<'a> {
    buf: &'a mut [u8],
    len: usize,
    reserved: usize,
}

impl<'a> Writer<'a> {
    /// A writer at the start of `buf`.
    #[inline]
    pub const fn new(buf: &'a mut [u8]) -> Self {
        Self { buf, len: 0, reserved: 0 }
    }

    /// Appends `bytes`.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), NoSpace> {
        let at = self.len;
        self.grow(bytes.len())?;
        self.buf.get_mut(at..self.len).ok_or(NoSpace)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Appends one byte.
    #[inline]
    pub fn put_u8(&mut self, value: u8) -> Result<(), NoSpace> {
        self.put(&[value])
    }

    /// Appends two bytes, most significant first.
    #[inline]
    pub fn put_u16(&mut self, value: u16) -> Result<(), NoSpace> {
        self.put(&value.to_be_bytes())
    }

    /// Appends the low three bytes of `value`, most significant first.
    #[inline]
    pub fn put_u24(&mut self, value: u32) -> Result<(), NoSpace> {
        let [_, low @ ..] = value.to_be_bytes();
        self.put(&low)
    }

    /// Appends four bytes, most significant first.
    #[inline]
    pub fn put_u32(&mut self, value: u32) -> Result<(), NoSpace> {
        self.put(&value.to_be_bytes())
    }

    /// Appends the low six bytes of `value`, most significant first.
    #[inline]
    pub fn put_u48(&mut self, value: u64) -> Result<(), NoSpace> {
        let [_, _, low @ ..] = value.to_be_bytes();
        self.put(&low)
    }

    /// Appends eight bytes, most significant first.
    #[inline]
    pub fn put_u64(&mut self, value: u64) -> Result<(), NoSpace> {
        self.put(&value.to_be_bytes())
    }

    /// Appends `count` zero bytes.
    #[inline]
    pub fn put_zeros(&mut self, count: usize) -> Result<(), NoSpace> {
        let at = self.len;
        self.grow(count)?;
        self.buf.get_mut(at..self.len).ok_or(NoSpace)?.fill(0);
        Ok(())
    }

    /// Overwrites the two bytes at `at`, which must have been written before.
    #[inline]
    pub fn patch_u16(&mut self, at: usize, value: u16) -> Result<(), NoSpace> {
        self.patch(at, &value.to_be_bytes())
    }

    /// Overwrites the bytes at `at`, which must have been written before.
    #[inline]
    pub fn patch(&mut self, at: usize, bytes: &[u8]) -> Result<(), NoSpace> {
        let end = at.checked_add(bytes.len()).filter(|end| *end <= self.len).ok_or(NoSpace)?;
        self.buf.get_mut(at..end).ok_or(NoSpace)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Keeps the last `count` bytes of the room free until [`release_tail`](Self::release_tail), so
    /// that an authentication tag is sure to fit behind whatever is written in between.
    #[inline]
    pub fn reserve_tail(&mut self, count: usize) -> Result<(), NoSpace> {
        if count > self.room() {
            return Err(NoSpace);
        }
        self.reserved = self.reserved.saturating_add(count);
        Ok(())
    }

    /// Gives back `count` bytes of what was reserved.
    #[inline]
    pub const fn release_tail(&mut self, count: usize) {
        self.reserved = self.reserved.saturating_sub(count);
    }

    /// Takes back what was written after the first `len` bytes; longer than what is written is no change.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// How many bytes were written.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes can still be written.
    #[inline]
    pub const fn room(&self) -> usize {
        self.buf.len().saturating_sub(self.len).saturating_sub(self.reserved)
    }

    /// What was written.
    #[inline]
    pub fn written(&self) -> &[u8] {
        self.buf.get(..self.len).unwrap_or_default()
    }

    /// What was written from offset `from` on, for encryption in place; empty if `from` is past the end.
    #[inline]
    pub fn written_mut(&mut self, from: usize) -> &mut [u8] {
        self.buf.get_mut(from..self.len).unwrap_or_default()
    }

    #[inline]
    fn grow(&mut self, count: usize) -> Result<(), NoSpace> {
        if count > self.room() {
            return Err(NoSpace);
        }
        self.len = self.len.saturating_add(count);
        Ok(())
    }
}

/// The memory ends before the field does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoSpace;

impl fmt::Display for NoSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the memory ends before the field does")
    }
}

impl core::error::Error for NoSpace {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Reader;

    #[test]
    fn a_write_that_does_not_fit_changes_nothing() {
        let mut memory = [0; 3];
        let mut out = Writer::new(&mut memory);
        out.put_u16(0x0102).unwrap();
        assert_eq!(out.put_u16(9), Err(NoSpace));
        assert_eq!(out.put_zeros(2), Err(NoSpace));
        assert_eq!((out.len(), out.room()), (2, 1));
        assert_eq!(out.patch_u16(1, 9), Err(NoSpace));
        assert_eq!(out.patch(usize::MAX, &[1]), Err(NoSpace));
        assert_eq!(out.written(), [1, 2]);
    }

    #[test]
    fn a_reserved_tail_is_free_when_it_is_released() {
        let mut memory = [0; 10];
        let mut out = Writer::new(&mut memory);
        out.reserve_tail(4).unwrap();
        assert_eq!(out.reserve_tail(7), Err(NoSpace));
        assert_eq!(out.room(), 6);
        assert_eq!(out.put(&[1; 7]), Err(NoSpace));
        out.put(&[1; 6]).unwrap();
        out.release_tail(4);
        out.put(&[2; 4]).unwrap();
        assert_eq!(out.written(), [1, 1, 1, 1, 1, 1, 2, 2, 2, 2]);
    }

    #[test]
    fn what_is_truncated_is_written_again() {
        let mut memory = [0; 4];
        let mut out = Writer::new(&mut memory);
        out.put(&[1, 2, 3]).unwrap();
        out.truncate(1);
        out.truncate(2);
        out.put_u8(9).unwrap();
        assert_eq!(out.written(), [1, 9]);
        assert_eq!(out.written_mut(1), [9]);
        assert!(out.written_mut(3).is_empty());
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(a: u8, b: u16, c in 0u32..1 << 24, d: u32, e in 0u64..1 << 48, f: u64) {
            let mut memory = [0; 24];
            let mut out = Writer::new(&mut memory);
            out.put_u8(a).unwrap();
            out.put_u16(b).unwrap();
            out.put_u24(c).unwrap();
            out.put_u32(d).unwrap();
            out.put_u48(e).unwrap();
            out.put_u64(f).unwrap();
            prop_assert_eq!(out.room(), 0);
            let mut reader = Reader::new(&memory);
            prop_assert_eq!(reader.u8(), Ok(a));
            prop_assert_eq!(reader.u16(), Ok(b));
            prop_assert_eq!(reader.u24(), Ok(c));
            prop_assert_eq!(reader.u32(), Ok(d));
            prop_assert_eq!(reader.u48(), Ok(e));
            prop_assert_eq!(reader.u64(), Ok(f));
        }
    }
}
