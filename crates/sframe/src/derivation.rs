//! The key schedule (RFC 9605 §4.4.2).

use crypto::{Digest, HashAlgorithm, Provider, SecretBytes};

use crate::CipherSuite;

/// The key and the salt of a base key under one identifier.
pub(crate) fn key_and_salt(
    provider: &dyn Provider,
    suite: CipherSuite,
    key_id: u64,
    base_key: &[u8],
) -> (SecretBytes, SecretBytes) {
    let secret = extract(provider, suite.hash(), base_key);
    let (key_id, number) = (key_id.to_be_bytes(), suite.number().to_be_bytes());
    let derive = |label: &[u8], len| expand(provider, suite.hash(), &secret, &[label, &key_id, &number], len);
    (derive(b"SFrame 1.0 Secret key ", suite.key_len()), derive(b"SFrame 1.0 Secret salt ", SALT_LEN))
}

/// The base key that follows `base_key` in the scheme of RFC 9605 §5.1: who has it cannot tell the one before.
///
/// ```
/// use sframe::{CipherSuite, ratchet};
///
/// let next = ratchet(crypto::default_provider(), CipherSuite::Aes128GcmSha256_128, b"a base key");
/// assert_eq!(next.expose().len(), 32);
/// ```
pub fn ratchet(provider: &dyn Provider, suite: CipherSuite, base_key: &[u8]) -> SecretBytes {
    let secret = extract(provider, suite.hash(), base_key);
    expand(provider, suite.hash(), &secret, &[b"SFrame 1.0 Ratchet"], suite.hash().digest_len())
}

/// HKDF-Extract with an empty salt (RFC 5869 §2.2).
fn extract(provider: &dyn Provider, hash: HashAlgorithm, base_key: &[u8]) -> Digest {
    provider.hmac(hash, &[]).sign(&[base_key])
}

/// HKDF-Expand (RFC 5869 §2.3), of a few blocks.
fn expand(
    provider: &dyn Provider,
    hash: HashAlgorithm,
    secret: &Digest,
    info: &[&[u8]],
    len: usize,
) -> SecretBytes {
    let hmac = provider.hmac(hash, secret.as_bytes());
    let mut out = Vec::with_capacity(len.next_multiple_of(hash.digest_len()));
    let mut block: Option<Digest> = None;
    for number in 1..=u8::MAX {
        if out.len() >= len {
            break;
        }
        let before: &[u8] = block.as_ref().map_or(&[], Digest::as_bytes);
        let number = [number];
        let parts: Vec<&[u8]> =
            [before].into_iter().chain(info.iter().copied()).chain([&number[..]]).collect();
        let made = hmac.sign(&parts);
        out.extend_from_slice(made.as_bytes());
        block = Some(made);
    }
    out.truncate(len);
    SecretBytes::from(out)
}

/// `AEAD.Nn` of every suite.
pub(crate) const SALT_LEN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// RFC 5869 §A.3: no salt, no info, two blocks.
    #[test]
    fn keys_are_extracted_and_expanded_as_by_rfc_5869() {
        let provider = crypto::rust_crypto();
        let secret = extract(provider, HashAlgorithm::Sha256, &[0x0b; 22]);
        let expected = "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04";
        assert_eq!(secret.as_bytes(), bytes(expected));
        let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d\
                        9d201395faa4b61a96c8";
        let key = expand(provider, HashAlgorithm::Sha256, &secret, &[], 42);
        assert_eq!(key.expose(), bytes(expected));
    }
}
