use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::{DefaultIsZeroes, Zeroize as _};

/// Whether `a` and `b` are equal, in time that depends on their lengths alone.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // What differs is gathered from all words and looked at once: a byte at a time costs many times more.
    let ((a_words, a_rest), (b_words, b_rest)) = (a.as_chunks(), b.as_chunks());
    let words = a_words.iter().zip(b_words).map(|(a, b)| u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b));
    let bytes = a_rest.iter().zip(b_rest).map(|(a, b)| u64::from(*a ^ *b));
    words.chain(bytes).fold(0, |all, differs| all | differs).ct_eq(&0).into()
}

/// Bytes that are zeroed as one, where byte after byte takes `N` writes.
#[derive(Clone, Copy)]
struct Wide<const N: usize>([u8; N]);

impl<const N: usize> Default for Wide<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> DefaultIsZeroes for Wide<N> {}

/// `N` secret bytes: zeroed when dropped, never printed, never compared with `==`.
#[derive(Clone)]
pub struct Secret<const N: usize>(Wide<N>);

impl<const N: usize> Secret<N> {
    /// Takes the bytes over; the caller's copy is its own to erase.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(Wide(bytes))
    }

    /// The bytes themselves.
    pub const fn expose(&self) -> &[u8; N] {
        &self.0.0
    }

    /// The bytes themselves, to be written in place.
    pub const fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0.0
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Secret bytes of any number, on the heap: zeroed when dropped, never printed, never compared with `==`.
#[derive(Clone)]
pub struct SecretBytes(Box<[u8]>);

impl SecretBytes {
    /// Copies `bytes`; the caller's copy is its own to erase.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes themselves.
    pub const fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for SecretBytes {
    /// Takes the bytes, and leaves no copy of them behind.
    fn from(mut bytes: Vec<u8>) -> Self {
        let secret = Self::new(&bytes);
        bytes.zeroize();
        secret
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What two sides of a key exchange share: up to 64 bytes, zeroed when dropped.
pub struct SharedSecret {
    bytes: Wide<64>,
    len: usize,
}

impl SharedSecret {
    /// Copies `bytes`, at most 64 of them.
    pub fn new(bytes: &[u8]) -> Self {
        let mut secret = Self { bytes: Wide::default(), len: bytes.len().min(64) };
        secret.bytes.0.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        secret
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        self.bytes.0.get(..self.len).unwrap_or_default()
    }
}

impl Drop for SharedSecret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The result of a hash or an HMAC: up to 64 bytes. It may be key material, so it is zeroed when
/// dropped, not printed, and compared with [`constant_time_eq`].
#[derive(Clone)]
pub struct Digest {
    bytes: Wide<64>,
    len: usize,
}

impl Digest {
    /// Copies `bytes`, at most 64 of them.
    #[inline]
    pub fn new(bytes: &[u8]) -> Self {
        let mut digest = Self { bytes: Wide::default(), len: bytes.len().min(64) };
        let taken = bytes.split_at(digest.len).0;
        if let Some(room) = digest.bytes.0.get_mut(..digest.len) {
            room.copy_from_slice(taken);
        }
        digest
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.0.get(..self.len).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Drop for Digest {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", Secret::new([0xab; 32])), "[redacted]");
        assert_eq!(format!("{:?}", SharedSecret::new(&[0xab; 32])), "[redacted]");
        assert_eq!(format!("{:?}", Digest::new(&[0xab; 20])), "[20 bytes]");
    }

    #[test]
    fn comparison_minds_length_and_content() {
        assert!(constant_time_eq(b"abc", b"abc"));
        assert!(!constant_time_eq(b"abc", b"abd"));
        assert!(!constant_time_eq(b"abc", b"ab"));
        assert!(constant_time_eq(b"", b""));
    }

    #[test]
    fn each_bit_counts_in_a_comparison() {
        for len in 1..40 {
            let bytes = vec![0x5a; len];
            assert!(constant_time_eq(&bytes, &bytes.clone()));
            for bit in 0..8 * len {
                let mut other = bytes.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(!constant_time_eq(&bytes, &other), "bit {bit} of {len} bytes");
            }
        }
    }

    #[test]
    fn a_digest_has_64_bytes_at_most() {
        assert_eq!(Digest::new(&[7; 64]).as_bytes(), [7; 64]);
        assert_eq!(Digest::new(&[7; 65]).as_bytes(), [7; 64]);
        assert_eq!(SharedSecret::new(&[7; 65]).expose(), [7; 64]);
        assert!(Digest::new(&[]).as_bytes().is_empty());
    }

    #[test]
    fn what_is_wide_is_zeroed() {
        let mut wide = Wide([0xab; 33]);
        wide.zeroize();
        assert_eq!(wide.0, [0; 33]);
    }
}
