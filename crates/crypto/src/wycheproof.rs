//! Project Wycheproof's cases for key exchange. They name the private key, which no public call takes; the
//! cases for everything else are in `tests/wycheproof.rs`.

use ::wycheproof::TestResult;
use ::wycheproof::{ecdh, xdh};

use crate::{InvalidKey, KeyExchange, SharedSecret};

/// A key that is made from its secret bytes, and whose it is.
type Maker = (&'static str, fn(&[u8; 32]) -> Option<Box<dyn KeyExchange>>);

fn x25519_makers() -> Vec<Maker> {
    let mut makers: Vec<Maker> =
        vec![("RustCrypto", |secret| Some(Box::new(crate::rust_crypto::X25519::new(*secret))))];
    #[cfg(all(feature = "accelerated", any(target_arch = "x86_64", target_arch = "aarch64")))]
    if crate::accelerated().is_some() {
        makers.push(("graviola", |secret| Some(Box::new(crate::accelerated::X25519::new(*secret)))));
    }
    makers
}

fn p256_makers() -> Vec<Maker> {
    let mut makers: Vec<Maker> =
        vec![("RustCrypto", |secret| Some(Box::new(crate::rust_crypto::P256::new(secret).ok()?)))];
    #[cfg(all(feature = "accelerated", any(target_arch = "x86_64", target_arch = "aarch64")))]
    if crate::accelerated().is_some() {
        makers.push(("graviola", |secret| Some(Box::new(crate::accelerated::P256::new(secret).ok()?))));
    }
    makers
}

fn agreed(maker: &Maker, secret: &[u8; 32], share: &[u8]) -> Result<SharedSecret, InvalidKey> {
    maker.1(secret).expect("the secret is a key").complete(share)
}

#[test]
fn x25519_agrees_with_wycheproof() {
    for maker in x25519_makers() {
        let (mut agreeing, mut refused) = (0, 0);
        for group in xdh::TestSet::load(xdh::TestName::X25519).unwrap().test_groups {
            for test in group.tests {
                let secret = test.private_key.as_slice().try_into().unwrap();
                let shared = agreed(&maker, &secret, &test.public_key);
                // RFC 7748 §6.1 leaves it open whether an all-zero result is refused; here it is.
                if test.shared_secret.iter().all(|byte| *byte == 0) || test.result.must_fail() {
                    assert_eq!(shared.err(), Some(InvalidKey), "{}: {}", maker.0, test.tc_id);
                    refused += 1;
                } else {
                    let shared = shared.expect("a legal share");
                    assert_eq!(shared.expose(), test.shared_secret.as_slice(), "{}: {}", maker.0, test.tc_id);
                    agreeing += 1;
                }
            }
        }
        assert_eq!((agreeing, refused), (487, 31), "{}", maker.0);
    }
}

#[test]
fn p256_agrees_with_wycheproof() {
    for maker in p256_makers() {
        let (mut agreeing, mut refused, mut compressed) = (0, 0, 0);
        for group in ecdh::TestSet::load(ecdh::TestName::EcdhSecp256r1Ecpoint).unwrap().test_groups {
            for test in group.tests {
                // The scalar's bytes come without leading zeros, or with one too many.
                let bytes = test.private_key.as_slice();
                let mut secret = [0; 32];
                let bytes = bytes.get(bytes.len().saturating_sub(32)..).unwrap();
                secret[32 - bytes.len()..].copy_from_slice(bytes);
                let shared = agreed(&maker, &secret, &test.public_key);
                let is_compressed = matches!(test.public_key.first(), Some(2 | 3));
                if test.result == TestResult::Valid && !is_compressed {
                    let shared = shared.expect("a legal share");
                    assert_eq!(shared.expose(), test.shared_secret.as_slice(), "{}: {}", maker.0, test.tc_id);
                    agreeing += 1;
                } else {
                    // RFC 8422 §5.4.1 leaves uncompressed points alone.
                    assert_eq!(shared.err(), Some(InvalidKey), "{}: {}", maker.0, test.tc_id);
                    *(if is_compressed { &mut compressed } else { &mut refused }) += 1;
                }
            }
        }
        assert_eq!((agreeing, refused, compressed), (330, 17, 8), "{}", maker.0);
    }
}
