use core::fmt;

/// Reads big-endian fields from borrowed bytes. A read that fails consumes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(u8::from_be_bytes)
    }

    /// Two bytes, most significant first.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    /// Three bytes, most significant first.
    #[inline]
    pub fn u24(&mut self) -> Result<u32, Truncated> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// Four bytes, most significant first.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    /// Six bytes, most significant first.
    #[inline]
    pub fn u48(&mut self) -> Result<u64, Truncated> {
        self.array().map(|[a, b, c, d, e, f]| u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// Eight bytes, most significant first.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_be_bytes)
    }

    /// The next `N` bytes, copied.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    /// The next `len` bytes, borrowed.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Truncated> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// Everything that is left, consumed.
    #[inline]
    pub const fn rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }

    /// Everything that is left, not consumed.
    #[inline]
    pub const fn peek(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes are left.
    #[inline]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// The bytes end before the field does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Truncated;

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes end before the field does")
    }
}

impl core::error::Error for Truncated {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_fails_consumes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u32(), Err(Truncated));
        assert_eq!(reader.take(4), Err(Truncated));
        assert_eq!(reader.u24(), Ok(0x0001_0203));
        assert_eq!(reader.u8(), Err(Truncated));
        assert!(reader.is_empty());
    }

    #[test]
    fn fields_are_big_endian() {
        let bytes: [u8; 23] = core::array::from_fn(|i| u8::try_from(i).unwrap());
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(0));
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.u48(), Ok(0x0304_0506_0708));
        assert_eq!(reader.u64(), Ok(0x090a_0b0c_0d0e_0f10));
        assert_eq!(reader.remaining(), 6);
        assert_eq!(reader.peek().len(), 6);
        assert_eq!(reader.rest(), [17, 18, 19, 20, 21, 22]);
        assert!(reader.is_empty());
    }
}
