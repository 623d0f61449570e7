use std::fmt;

use crypto::{Rng, SecretBytes, constant_time_eq};

use crate::CredentialsError;

/// An ICE ufrag and password (RFC 8445 §5.3). The password is not printed.
#[derive(Clone)]
pub struct Credentials {
    ufrag: String,
    password: SecretBytes,
}

impl Credentials {
    /// Checks and takes a ufrag and password, as `a=ice-ufrag` and `a=ice-pwd` give them.
    ///
    /// # Errors
    ///
    /// One of them has the wrong length or characters.
    pub fn new(ufrag: &str, password: &str) -> Result<Self, CredentialsError> {
        if !(4..=MAX_LEN).contains(&ufrag.len()) || !is_ice_chars(ufrag) {
            return Err(CredentialsError::Ufrag);
        }
        if !(22..=MAX_LEN).contains(&password.len()) || !is_ice_chars(password) {
            return Err(CredentialsError::Password);
        }
        Ok(Self::from_valid(ufrag.to_owned(), password.as_bytes()))
    }

    /// Draws a ufrag of 8 characters behind `prefix` and a password of 24: 48 and 144 random bits,
    /// where RFC 8445 §5.3 asks for 24 and 128.
    pub(crate) fn draw(prefix: &str, rng: &mut Rng) -> Self {
        let mut ufrag: String = prefix.chars().filter(|c| is_ice_char(*c)).take(MAX_PREFIX).collect();
        ufrag.extend(rng.array::<8>().map(|byte| char::from(ice_char(byte))));
        let password = rng.array::<24>().map(ice_char);
        Self::from_valid(ufrag, &password)
    }

    /// The ufrag.
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// The password, for signalling and nothing else.
    pub fn password(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    /// Whether both are equal to `other`'s; in constant time.
    pub fn is_same(&self, other: &Self) -> bool {
        self.ufrag == other.ufrag && constant_time_eq(self.bytes(), other.bytes())
    }

    fn bytes(&self) -> &[u8] {
        self.password.expose()
    }

    fn from_valid(ufrag: String, password: &[u8]) -> Self {
        Self { ufrag, password: SecretBytes::new(password) }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:[redacted]", self.ufrag)
    }
}

pub(crate) fn is_ice_chars(text: &str) -> bool {
    text.chars().all(is_ice_char)
}

const fn is_ice_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '+' || c == '/'
}

/// Six bits of `byte` as an ice-char.
fn ice_char(byte: u8) -> u8 {
    const CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    CHARS.get(usize::from(byte & 63)).copied().unwrap_or(b'A')
}

const MAX_LEN: usize = 256;
const MAX_PREFIX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_characters_are_minded() {
        let password = "p".repeat(22);
        assert!(Credentials::new("abcd", &password).is_ok());
        assert!(Credentials::new(&"u".repeat(256), &"p".repeat(256)).is_ok());
        for ufrag in ["", "a", "abc", &"u".repeat(257), "ab:d", "ab d", "abcé"] {
            assert_eq!(Credentials::new(ufrag, &password).unwrap_err(), CredentialsError::Ufrag);
        }
        for password in [&password[1..], &"p".repeat(257), "0123456789012345678901234 "] {
            assert_eq!(Credentials::new("abcd", password).unwrap_err(), CredentialsError::Password);
        }
    }

    #[test]
    fn passwords_are_not_printed() {
        let credentials = Credentials::draw("w1=", &mut Rng::new([1; 32]));
        assert!(credentials.ufrag().starts_with("w1") && credentials.ufrag().len() == 10);
        assert!(!format!("{credentials:?}").contains(credentials.password()));
        assert!(Credentials::new(credentials.ufrag(), credentials.password()).unwrap().is_same(&credentials));
        assert!(!Credentials::draw("w1", &mut Rng::new([2; 32])).is_same(&credentials));
    }
}
