use std::fmt;

use crypto::{Digest, HashAlgorithm, Hmac, Provider, constant_time_eq};

/// The key of MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.5, §14.6).
///
/// It holds the padded HMAC states, so that a message costs only its own length. The password itself
/// is not kept.
pub struct IntegrityKey {
    sha1: Box<dyn Hmac>,
    sha256: Box<dyn Hmac>,
    signs_with: Algorithm,
}

impl IntegrityKey {
    /// The key of a short-term credential: the password (RFC 8489 §9.1.1). A password with characters
    /// outside ASCII must have been prepared with OpaqueString (RFC 8265) by the caller.
    pub fn short_term(provider: &dyn Provider, password: &str) -> Self {
        Self::from_bytes(provider, password.as_bytes())
    }

    /// A key of any bytes.
    pub fn from_bytes(provider: &dyn Provider, key: &[u8]) -> Self {
        Self {
            sha1: provider.hmac(HashAlgorithm::Sha1, key),
            sha256: provider.hmac(HashAlgorithm::Sha256, key),
            signs_with: Algorithm::Sha1,
        }
    }

    /// Makes what this key signs carry MESSAGE-INTEGRITY-SHA256 in place of MESSAGE-INTEGRITY. Only for
    /// peers known to understand it. What is verified may carry either in any case.
    #[must_use]
    pub fn with_sha256(self) -> Self {
        Self { signs_with: Algorithm::Sha256, ..self }
    }

    pub(crate) const fn signs_with(&self) -> Algorithm {
        self.signs_with
    }

    /// The code of a message, whose length field must end behind the integrity attribute itself
    /// (RFC 8489 §14.5).
    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[&[u8]]) -> Digest {
        match algorithm {
            Algorithm::Sha1 => &self.sha1,
            Algorithm::Sha256 => &self.sha256,
        }
        .sign(message)
    }

    /// Whether `code`, which may be truncated, belongs to `message` as if its length field were `len`; in
    /// constant time.
    pub(crate) fn fits(&self, algorithm: Algorithm, message: &[u8], len: u16, code: &[u8]) -> bool {
        let Some(([high, low, ..], rest)) = message.split_first_chunk::<4>() else { return false };
        let [len_high, len_low] = len.to_be_bytes();
        let digest = self.sign(algorithm, &[&[*high, *low, len_high, len_low], rest]);
        digest.as_bytes().get(..code.len()).is_some_and(|head| constant_time_eq(head, code))
    }
}

impl fmt::Debug for IntegrityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntegrityKey([redacted])")
    }
}

/// The hash of an integrity code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Algorithm {
    Sha1,
    Sha256,
}
