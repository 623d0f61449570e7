use std::borrow::Cow;
use std::fmt;

use crypto::{HashAlgorithm, Provider, SecretBytes, constant_time_eq};
use precis_profiles::OpaqueString;
use precis_profiles::precis_core::profile::PrecisFastInvocation as _;

use crate::IntegrityKey;
use crate::wire::PasswordAlgorithm;

/// A name and its password, prepared by OpaqueString ([RFC 8265] §4.2) as RFC 8489 §14.3 and §9.2.2 ask.
///
/// ```
/// let credentials = stun::Credentials::new("alice", "a password")?;
/// assert_eq!(credentials.username(), "alice");
/// assert_eq!(format!("{credentials:?}"), r#"Credentials { username: "alice", .. }"#);
/// assert!(stun::Credentials::new("", "a password").is_err());
/// # Ok::<_, stun::CredentialsError>(())
/// ```
///
/// [RFC 8265]: https://www.rfc-editor.org/rfc/rfc8265
#[derive(Clone)]
pub struct Credentials {
    username: String,
    password: SecretBytes,
}

impl Credentials {
    /// Prepares both.
    ///
    /// # Errors
    ///
    /// Which of the two cannot be used: it is empty, has a control character or another one that the
    /// profile forbids, or the name is longer than 508 bytes.
    pub fn new(username: &str, password: &str) -> Result<Self, CredentialsError> {
        let username = opaque(username).ok_or(CredentialsError::Username)?;
        if username.len() > MAX_USERNAME {
            return Err(CredentialsError::Username);
        }
        let password = match opaque(password).ok_or(CredentialsError::Password)? {
            Cow::Borrowed(password) => SecretBytes::new(password.as_bytes()),
            Cow::Owned(prepared) => SecretBytes::from(prepared.into_bytes()),
        };
        Ok(Self { username: username.into_owned(), password })
    }

    /// The name.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Whether both are the same; the passwords are compared in constant time.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.username == other.username && constant_time_eq(self.password.expose(), other.password.expose())
    }

    /// The key of a long-term credential in `realm` (RFC 8489 §9.2.2, §18.5.1), if the algorithm is known.
    pub fn key(
        &self,
        provider: &dyn Provider,
        realm: &str,
        algorithm: PasswordAlgorithm,
    ) -> Option<IntegrityKey> {
        let algorithm = match algorithm {
            PasswordAlgorithm::Md5 => HashAlgorithm::Md5,
            PasswordAlgorithm::Sha256 => HashAlgorithm::Sha256,
            PasswordAlgorithm::Other(_) => return None,
        };
        let mut hash = provider.hash(algorithm);
        for part in [self.username.as_bytes(), b":", realm.as_bytes(), b":", self.password.expose()] {
            hash.update(part);
        }
        Some(IntegrityKey::from_bytes(provider, hash.digest().as_bytes()))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// USERHASH of a name in a realm (RFC 8489 §14.4).
pub fn userhash(provider: &dyn Provider, username: &str, realm: &str) -> [u8; 32] {
    let mut hash = provider.hash(HashAlgorithm::Sha256);
    for part in [username, ":", realm] {
        hash.update(part.as_bytes());
    }
    let mut bytes = [0; 32];
    for (byte, digest) in bytes.iter_mut().zip(hash.digest().as_bytes()) {
        *byte = *digest;
    }
    bytes
}

/// The text as the OpaqueString profile has it, which leaves printable ASCII alone.
fn opaque(text: &str) -> Option<Cow<'_, str>> {
    if !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Some(Cow::Borrowed(text));
    }
    OpaqueString::enforce(text).ok()
}

/// Which half of a credential cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The name is empty, too long, or has a character that names cannot have.
    Username,
    /// The password is empty or has a character that passwords cannot have.
    Password,
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Username => "the user name is empty, too long, or has a forbidden character",
            Self::Password => "the password is empty or has a forbidden character",
        })
    }
}

impl std::error::Error for CredentialsError {}

/// RFC 8489 §14.3: fewer than 509 bytes.
const MAX_USERNAME: usize = 508;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8265 §4.2.2: spaces of other scripts become ours, and composed letters are one.
    #[test]
    fn other_scripts_are_prepared() {
        let same = |a: &str, b: &str| {
            let [a, b] = [a, b].map(|password| Credentials::new("\u{e9}", password).unwrap());
            assert_eq!(a.is_same_as(&b), a.password.expose() == b.password.expose());
            a.is_same_as(&b)
        };
        assert!(same("a\u{3000}b", "a b") && same("e\u{301}", "\u{e9}") && !same("A", "a"));
        let [alice, bob] = ["alice", "bob"].map(|name| Credentials::new(name, "a").unwrap());
        assert!(alice.is_same_as(&alice.clone()) && !alice.is_same_as(&bob));
        for bad in ["", "\t", "a\u{0}", "\u{200b}"] {
            assert_eq!(Credentials::new("a", bad).err(), Some(CredentialsError::Password), "{bad:?}");
            assert_eq!(Credentials::new(bad, "a").err(), Some(CredentialsError::Username), "{bad:?}");
        }
        assert!(Credentials::new(&"a".repeat(508), "a").is_ok());
        assert_eq!(Credentials::new(&"a".repeat(509), "a").err(), Some(CredentialsError::Username));
    }

    #[test]
    fn an_unknown_algorithm_has_no_key() {
        let credentials = Credentials::new("user", "pass").unwrap();
        let provider = testkit::null_provider();
        assert!(credentials.key(provider, "realm", PasswordAlgorithm::Other(9)).is_none());
        assert!(credentials.key(provider, "realm", PasswordAlgorithm::Sha256).is_some());
    }
}
