//! Project Wycheproof's cases for AEAD, HMAC, ECDSA and RSA: every provider agrees with every case that our
//! interface can express. The numbers of cases are asserted, so that none goes missing silently. Those for
//! key exchange are in `src/wycheproof.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use crypto::{AeadAlgorithm, Forged, HashAlgorithm, InvalidSignature, Provider, SignatureAlgorithm};
use wycheproof::{TestResult, aead, ecdsa, mac, rsa_pkcs1_verify, rsa_pss_verify};

fn providers() -> Vec<&'static dyn Provider> {
    let accelerated = crypto::accelerated();
    if accelerated.is_none() {
        eprintln!("skipped: graviola, which this CPU or build does not have");
    }
    [Some(crypto::rust_crypto()), accelerated].into_iter().flatten().collect()
}

/// What came of the cases of one set.
#[derive(Debug, Default, Eq, PartialEq)]
struct Count {
    /// Right, and taken as such.
    valid: usize,
    /// Wrong, and refused.
    invalid: usize,
    /// Of a key size that we do not offer.
    other_key: usize,
    /// Of another nonce than one of 96 bits.
    other_nonce: usize,
}

fn aead(
    set: aead::TestName,
    algorithm: impl Fn(usize) -> Option<AeadAlgorithm>,
    provider: &dyn Provider,
) -> Count {
    let mut count = Count::default();
    for group in aead::TestSet::load(set).unwrap().test_groups {
        assert_eq!(group.tag_size, 128);
        let Some(algorithm) = algorithm(group.key_size) else {
            count.other_key += group.tests.len();
            continue;
        };
        if group.nonce_size != 96 {
            count.other_nonce += group.tests.len();
            continue;
        }
        for test in group.tests {
            let name = format!("{}, case {}: {}", provider.name(), test.tc_id, test.comment);
            let key = provider.aead(algorithm, &test.key).unwrap();
            let nonce = test.nonce.as_slice().try_into().unwrap();
            let tag = test.tag.as_slice().try_into().unwrap();
            let mut message = test.ct.to_vec();
            let opened = key.open(&nonce, &test.aad, &mut message, &tag);
            let mut sealed = test.pt.to_vec();
            let made = key.seal(&nonce, &test.aad, &mut sealed);
            if test.result == TestResult::Valid {
                assert_eq!((opened, message.as_slice()), (Ok(()), test.pt.as_slice()), "{name}");
                assert_eq!((made, sealed), (tag, test.ct.to_vec()), "{name}");
                count.valid += 1;
            } else {
                assert_eq!(opened, Err(Forged), "{name}");
                let blank = message.iter().all(|byte| *byte == 0);
                assert!(blank || message == test.ct.as_slice(), "no plaintext is left: {name}");
                assert_ne!((made, sealed), (tag, test.ct.to_vec()), "{name}");
                count.invalid += 1;
            }
        }
    }
    count
}

#[test]
fn aes_gcm_agrees_with_wycheproof() {
    let algorithm = |bits| match bits {
        128 => Some(AeadAlgorithm::Aes128Gcm),
        256 => Some(AeadAlgorithm::Aes256Gcm),
        _ => None,
    };
    for provider in providers() {
        let count = aead(aead::TestName::AesGcm, algorithm, provider);
        assert_eq!(
            count,
            Count { valid: 79, invalid: 54, other_key: 103, other_nonce: 80 },
            "{}",
            provider.name()
        );
    }
}

#[test]
fn chacha20_poly1305_agrees_with_wycheproof() {
    let algorithm = |bits| (bits == 256).then_some(AeadAlgorithm::ChaCha20Poly1305);
    for provider in providers() {
        let count = aead(aead::TestName::ChaCha20Poly1305, algorithm, provider);
        assert_eq!(
            count,
            Count { valid: 256, invalid: 60, other_key: 0, other_nonce: 9 },
            "{}",
            provider.name()
        );
    }
}

#[test]
fn hmac_agrees_with_wycheproof() {
    for (set, algorithm, expected) in [
        (mac::TestName::HmacSha1, HashAlgorithm::Sha1, (66, 104)),
        (mac::TestName::HmacSha256, HashAlgorithm::Sha256, (66, 108)),
        (mac::TestName::HmacSha384, HashAlgorithm::Sha384, (66, 108)),
        (mac::TestName::HmacSha512, HashAlgorithm::Sha512, (66, 108)),
    ] {
        for provider in providers() {
            let (mut valid, mut invalid) = (0, 0);
            for group in mac::TestSet::load(set).unwrap().test_groups {
                for test in group.tests {
                    let name = format!("{algorithm:?}, {}, case {}", provider.name(), test.tc_id);
                    // Half the cases have their code cut, as STUN may.
                    let digest = provider.hmac(algorithm, &test.key).sign(&[&test.msg]);
                    let digest = digest.as_bytes().get(..group.tag_size / 8).unwrap();
                    assert_eq!(digest == test.tag.as_slice(), test.result == TestResult::Valid, "{name}");
                    *(if test.result == TestResult::Valid { &mut valid } else { &mut invalid }) += 1;
                }
            }
            assert_eq!((valid, invalid), expected, "{algorithm:?}, {}", provider.name());
        }
    }
}

#[test]
fn ecdsa_p256_agrees_with_wycheproof() {
    for provider in providers() {
        let mut count = Count::default();
        for group in ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256).unwrap().test_groups {
            for test in group.tests {
                let name = format!("{}, case {}: {}", provider.name(), test.tc_id, test.comment);
                let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
                let verified = provider.verify(algorithm, &group.key.key, &test.msg, &test.sig);
                if test.result == TestResult::Valid {
                    assert_eq!(verified, Ok(()), "{name}");
                    count.valid += 1;
                } else {
                    assert_eq!(verified, Err(InvalidSignature), "{name}");
                    count.invalid += 1;
                }
            }
        }
        assert_eq!(count, Count { valid: 174, invalid: 310, ..Count::default() }, "{}", provider.name());
    }
}

/// Takes what Wycheproof calls acceptable either way: an algorithm identifier without its NULL.
fn check_rsa(
    algorithm: SignatureAlgorithm,
    name: &str,
    key: &[u8],
    cases: impl Iterator<Item = (String, Vec<u8>, Vec<u8>, TestResult)>,
    count: &mut Count,
) {
    let Some(provider) = crypto::accelerated() else { return };
    assert!(provider.verifies(algorithm));
    for (case, message, signature, result) in cases {
        let verified = provider.verify(algorithm, key, &message, &signature);
        match result {
            TestResult::Valid => {
                assert_eq!(verified, Ok(()), "{name}, {case}");
                count.valid += 1;
            }
            TestResult::Invalid => {
                assert_eq!(verified, Err(InvalidSignature), "{name}, {case}");
                count.invalid += 1;
            }
            TestResult::Acceptable => {}
        }
        // Without RSA nothing is taken.
        assert!(!crypto::rust_crypto().verifies(algorithm));
        assert!(crypto::rust_crypto().verify(algorithm, key, &message, &signature).is_err());
    }
}

#[test]
fn rsa_pkcs1_agrees_with_wycheproof() {
    use rsa_pkcs1_verify::TestName::{Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256, Rsa8192Sha256};
    let mut count = Count::default();
    for set in [Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256, Rsa8192Sha256] {
        for group in rsa_pkcs1_verify::TestSet::load(set).unwrap().test_groups {
            let cases = group.tests.iter().map(|test| {
                let name = format!("case {}: {}", test.tc_id, test.comment);
                (name, test.msg.to_vec(), test.sig.to_vec(), test.result)
            });
            let algorithm = SignatureAlgorithm::RsaPkcs1Sha256;
            check_rsa(algorithm, &format!("{set:?}"), &group.asn_key, cases, &mut count);
        }
    }
    let all = Count { valid: 31, invalid: 999, ..Count::default() };
    assert!(crypto::accelerated().is_none() || count == all, "{count:?}");
}

#[test]
fn rsa_pss_agrees_with_wycheproof() {
    use rsa_pss_verify::TestName::{
        RsaPss2048Sha256Mgf1SaltLen32, RsaPss3072Sha256Mgf1SaltLen32, RsaPss4096Sha256Mgf1SaltLen32,
    };
    let mut count = Count::default();
    for set in [RsaPss2048Sha256Mgf1SaltLen32, RsaPss3072Sha256Mgf1SaltLen32, RsaPss4096Sha256Mgf1SaltLen32] {
        for group in rsa_pss_verify::TestSet::load(set).unwrap().test_groups {
            let cases = group.tests.iter().map(|test| {
                let name = format!("case {}: {}", test.tc_id, test.comment);
                (name, test.msg.to_vec(), test.sig.to_vec(), test.result)
            });
            let algorithm = SignatureAlgorithm::RsaPssSha256;
            check_rsa(algorithm, &format!("{set:?}"), &group.asn_key, cases, &mut count);
        }
    }
    let all = Count { valid: 189, invalid: 135, ..Count::default() };
    assert!(crypto::accelerated().is_none() || count == all, "{count:?}");
}
