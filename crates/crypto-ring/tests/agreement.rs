//! ring behind our traits: Project Wycheproof's cases, and the same bytes as the other providers make.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use crypto::{AeadAlgorithm, Forged, Rng};
use srtp::{Config, Inbound, MasterKeys, Outbound, Profile};
use wycheproof::aead::{TestName, TestSet};

const ALGORITHMS: [AeadAlgorithm; 3] =
    [AeadAlgorithm::Aes128Gcm, AeadAlgorithm::Aes256Gcm, AeadAlgorithm::ChaCha20Poly1305];

#[test]
fn wycheproof_is_agreed_with() {
    let by_size =
        |size| if size == 128 { Some(ALGORITHMS[0]) } else { (size == 256).then_some(ALGORITHMS[1]) };
    let (mut valid, mut invalid) = (0, 0);
    for (set, is_chacha) in [(TestName::AesGcm, false), (TestName::ChaCha20Poly1305, true)] {
        for group in
            TestSet::load(set).unwrap().test_groups.into_iter().filter(|group| group.nonce_size == 96)
        {
            let algorithm = if is_chacha { Some(ALGORITHMS[2]) } else { by_size(group.key_size) };
            for test in group.tests {
                let Some(algorithm) = algorithm else { continue };
                let key = crypto_ring::provider().aead(algorithm, &test.key).unwrap();
                let nonce = test.nonce.as_slice().try_into().unwrap();
                let tag = test.tag.as_slice().try_into().unwrap();
                let mut message = test.ct.to_vec();
                let opened = key.open(&nonce, &test.aad, &mut message, &tag);
                let mut sealed = test.pt.to_vec();
                let made = key.seal(&nonce, &test.aad, &mut sealed);
                if test.result.must_fail() {
                    assert_eq!(opened, Err(Forged), "{}", test.tc_id);
                    assert!(message.iter().all(|byte| *byte == 0), "{}", test.tc_id);
                    invalid += 1;
                } else {
                    assert_eq!((opened, message), (Ok(()), test.pt.to_vec()), "{}", test.tc_id);
                    assert_eq!((made, sealed), (tag, test.ct.to_vec()), "{}", test.tc_id);
                    valid += 1;
                }
            }
        }
    }
    assert_eq!((valid, invalid), (335, 114));
}

#[test]
fn all_lengths_are_the_other_providers_bytes() {
    let mut rng = Rng::new([5; 32]);
    for algorithm in ALGORITHMS {
        let key: [u8; 32] = rng.array();
        let key = &key[..algorithm.key_len()];
        let [ours, theirs] =
            [crypto_ring::provider(), crypto::rust_crypto()].map(|it| it.aead(algorithm, key).unwrap());
        for len in (0..300).chain([1171, 1172, 1200, 1500, 16_384]) {
            let (nonce, header): ([u8; 12], [u8; 20]) = (rng.array(), rng.array());
            let plain: Vec<u8> = (0..len).map(|_| rng.array::<1>()[0]).collect();
            let (mut sealed, mut expected) = (plain.clone(), plain.clone());
            let header = &header[..len % 20];
            let tag = ours.seal(&nonce, header, &mut sealed);
            assert_eq!(tag, theirs.seal(&nonce, header, &mut expected), "{algorithm:?} of {len}");
            assert_eq!(sealed, expected, "{algorithm:?} of {len}");
            let mut forged = sealed.clone();
            let mut wrong = tag;
            wrong[len % 16] ^= 1;
            assert_eq!(ours.open(&nonce, header, &mut forged, &wrong), Err(Forged));
            assert!(forged.iter().all(|byte| *byte == 0), "nothing of what is forged is left");
            assert_eq!(ours.open(&nonce, header, &mut sealed, &tag), Ok(()));
            assert_eq!(sealed, plain);
        }
    }
}

#[test]
fn keys_of_another_length_are_none() {
    for algorithm in ALGORITHMS {
        for len in [0, 15, 17, 31, 33] {
            assert!(crypto_ring::provider().aead(algorithm, &vec![1; len]).is_err(), "{algorithm:?}, {len}");
        }
    }
}

#[test]
fn what_ring_does_not_have_is_the_default_providers() {
    let (ours, theirs) = (crypto_ring::provider(), crypto::default_provider());
    let sign = |it: &dyn crypto::Provider| {
        it.hmac(crypto::HashAlgorithm::Sha1, b"key").sign(&[b"text"]).as_bytes().to_vec()
    };
    assert_eq!(sign(ours), sign(theirs));
    for algorithm in [crypto::SignatureAlgorithm::EcdsaP256Sha256, crypto::SignatureAlgorithm::RsaPssSha256] {
        assert_eq!(ours.verifies(algorithm), theirs.verifies(algorithm));
    }
    for profile in [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmHmacSha1_80] {
        let keys =
            MasterKeys::new(profile, &vec![7; profile.key_len()], &vec![9; profile.salt_len()]).unwrap();
        let mut outbound = Outbound::new(&Config::new(ours), &keys).unwrap();
        let mut inbound = Inbound::new(&Config::new(theirs), &keys).unwrap();
        let plain = [&[0x80, 96, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4][..], b"payload"].concat();
        let mut packet = plain.clone();
        packet.resize(plain.len() + outbound.rtp_overhead(), 0);
        let len = outbound.protect_rtp(&mut packet, plain.len()).unwrap();
        assert_eq!(inbound.unprotect_rtp(&mut packet[..len]).unwrap().bytes(), plain);
    }
}
