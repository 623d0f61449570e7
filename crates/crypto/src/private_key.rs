use zeroize::Zeroize as _;

use crate::{InvalidKey, Secret};

/// The private key of P-256 that stands in `der`, as tools write it into files: PKCS #8 (RFC 5958) or
/// SEC 1 (RFC 5915). It is what [`Provider::signing_key`](crate::Provider::signing_key) takes.
///
/// # Errors
///
/// It is neither, or of another curve or algorithm.
pub fn p256_secret(der: &[u8]) -> Result<Secret<32>, InvalidKey> {
    let key = p256::SecretKey::from_der(der).map_err(|_| InvalidKey)?;
    let mut bytes = key.to_bytes();
    let secret = Secret::new(bytes.into());
    bytes.zeroize();
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SignatureAlgorithm;

    /// The key of RFC 6979 §A.2.5, as OpenSSL 3.0 writes it: `openssl ec -no_public` and `openssl pkcs8 -topk8`.
    const SECRET: &str = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
    const SEC1: &str = "30310201010420c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721a00a06082a8648ce3d030107";
    const PKCS8: &str = "304102\
        0100301306072a8648ce3d020106082a8648ce3d030107042730250201010420c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
    /// `openssl genpkey -algorithm ed25519`.
    const ED25519: &str =
        "302e020100300506032b657004220420feb35b19a646cd9bb814a91e44a06ad32890937d17e6103c0642202a25fd9146";

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn keys_are_read_of_both_forms() {
        for form in [SEC1, PKCS8] {
            let secret = p256_secret(&bytes(form)).unwrap();
            assert_eq!(secret.expose()[..], bytes(SECRET));
            let key = crate::rust_crypto().signing_key(SignatureAlgorithm::EcdsaP256Sha256, secret.expose());
            // RFC 6979 §A.2.5.
            let x = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6";
            assert_eq!(key.unwrap().public_key()[1..33], bytes(x));
        }
    }

    #[test]
    fn what_is_no_key_of_the_curve_is_refused() {
        assert!(p256_secret(&bytes(ED25519)).is_err());
        for form in [SEC1, PKCS8] {
            let form = bytes(form);
            for cut in 0..form.len() {
                assert!(p256_secret(&form[..cut]).is_err(), "{cut}");
            }
            // Nought is no key.
            let at = form.windows(2).position(|window| window == [4, 32]).unwrap() + 2;
            let mut zero = form.clone();
            zero[at..at + 32].fill(0);
            assert!(p256_secret(&zero).is_err());
        }
    }
}
