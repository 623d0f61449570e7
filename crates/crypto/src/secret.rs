use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

/// Whether `a` and `b` are equal, in time that depends on their lengths alone.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// `N` secret bytes: zeroed when dropped, never printed, never compared with `==`.
#[derive(Clone)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes the bytes over; the caller's copy is its own to erase.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// The bytes themselves.
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes themselves, to be written in place.
    pub const fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
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
    bytes: [u8; 64],
    len: usize,
}

impl SharedSecret {
    /// Copies `bytes`, at most 64 of them.
    pub fn new(bytes: &[u8]) -> Self {
        let mut secret = Self { bytes: [0; 64], len: bytes.len().min(64) };
        secret.bytes.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        secret
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
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
    bytes: [u8; 64],
    len: usize,
}

impl Digest {
    /// Copies `bytes`, at most 64 of them.
    pub fn new(bytes: &[u8]) -> Self {
        let mut digest = Self { bytes: [0; 64], len: bytes.len().min(64) };
        digest.bytes.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        digest
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
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
    }
}
