//! Published vectors, and each provider against the other.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use crypto::{
    AeadAlgorithm, CipherAlgorithm, Forged, Group, HashAlgorithm, InvalidKey, InvalidSignature, Provider,
    Rng, SignatureAlgorithm,
};

fn providers() -> Vec<&'static dyn Provider> {
    let accelerated = crypto::accelerated();
    if accelerated.is_none() {
        eprintln!("only RustCrypto is tested: this CPU or build has no accelerated provider");
    }
    [Some(crypto::rust_crypto()), accelerated].into_iter().flatten().collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn aead_agrees_with_the_published_vectors() {
    // McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 1, 2, 13, 14; RFC 8439 §2.8.2.
    let sunscreen = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    let sealed = "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116";
    let cases = [
        (
            AeadAlgorithm::Aes128Gcm,
            "00".repeat(16),
            "00".repeat(12),
            "",
            "",
            "",
            "58e2fccefa7e3061367f1d57a4e7455a",
        ),
        (
            AeadAlgorithm::Aes128Gcm,
            "00".repeat(16),
            "00".repeat(12),
            "",
            "00000000000000000000000000000000",
            "0388dace60b6a392f328c2b971b2fe78",
            "ab6e47d42cec13bdf53a67b21257bddf",
        ),
        (
            AeadAlgorithm::Aes256Gcm,
            "00".repeat(32),
            "00".repeat(12),
            "",
            "",
            "",
            "530f8afbc74536b9a963b4f1c4cb738b",
        ),
        (
            AeadAlgorithm::Aes256Gcm,
            "00".repeat(32),
            "00".repeat(12),
            "",
            "00000000000000000000000000000000",
            "cea7403d4d606b6e074ec5d3baf39d18",
            "d0d1c8a799996bf0265b98b5d48ab919",
        ),
        (
            AeadAlgorithm::ChaCha20Poly1305,
            (0x80..0xa0).map(|b| format!("{b:02x}")).collect(),
            "070000004041424344454647".into(),
            "50515253c0c1c2c3c4c5c6c7",
            &hex(sunscreen),
            sealed,
            "1ae10b594f09e26a7e902ecbd0600691",
        ),
    ];
    for provider in providers() {
        for (algorithm, key, nonce, aad, plain, cipher, tag) in &cases {
            let key = provider.aead(*algorithm, &unhex(key)).unwrap();
            let nonce = unhex(nonce).try_into().unwrap();
            let mut message = unhex(plain);
            let made = key.seal(&nonce, &unhex(aad), &mut message);
            assert_eq!(
                (hex(&message).as_str(), hex(made).as_str()),
                (*cipher, *tag),
                "{provider:?} {algorithm:?}"
            );
            key.open(&nonce, &unhex(aad), &mut message, &made).unwrap();
            assert_eq!(hex(message), *plain);
        }
    }
}

#[test]
fn a_forged_message_is_refused_and_leaves_no_plaintext() {
    for provider in providers() {
        for algorithm in [AeadAlgorithm::Aes128Gcm, AeadAlgorithm::Aes256Gcm, AeadAlgorithm::ChaCha20Poly1305]
        {
            let key = provider.aead(algorithm, &vec![1; algorithm.key_len()]).unwrap();
            for len in [0, 1, 15, 16, 17, 1200] {
                let plain = vec![0x77; len];
                let mut message = plain.clone();
                let tag = key.seal(&[0; 12], b"header", &mut message);
                for bit in 0..128 {
                    let mut wrong = tag;
                    wrong[bit / 8] ^= 1 << (bit % 8);
                    let mut copy = message.clone();
                    assert_eq!(key.open(&[0; 12], b"header", &mut copy, &wrong), Err(Forged));
                    assert!(copy == message || copy.iter().all(|byte| *byte == 0), "plaintext is left");
                }
                assert_eq!(key.open(&[0; 12], b"HEADER", &mut message.clone(), &tag), Err(Forged));
                assert_eq!(key.open(&[1; 12], b"header", &mut message.clone(), &tag), Err(Forged));
                key.open(&[0; 12], b"header", &mut message, &tag).unwrap();
                assert_eq!(message, plain);
            }
        }
    }
}

#[test]
fn keys_of_another_length_are_refused() {
    for provider in providers() {
        for len in 0..40 {
            let taken = |algorithm| provider.aead(algorithm, &vec![0; len]).is_ok();
            assert_eq!(taken(AeadAlgorithm::Aes128Gcm), len == 16);
            assert_eq!(taken(AeadAlgorithm::Aes256Gcm), len == 32);
            assert_eq!(taken(AeadAlgorithm::ChaCha20Poly1305), len == 32);
        }
    }
}

#[test]
fn hashes_agree_with_the_published_vectors() {
    // RFC 1321 §A.5 and FIPS 180-4's examples, of "abc".
    let cases = [
        (HashAlgorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
        (HashAlgorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (HashAlgorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            HashAlgorithm::Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            HashAlgorithm::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ];
    for provider in providers() {
        for (algorithm, expected) in cases {
            let mut hash = provider.hash(algorithm);
            hash.update(b"a");
            let fork = hash.fork();
            hash.update(b"bc");
            assert_eq!(hex(hash.digest()), expected);
            assert_eq!(hash.digest().as_bytes().len(), algorithm.digest_len());
            assert_ne!(hex(fork.digest()), expected, "a fork goes on by itself");
        }
    }
}

#[test]
fn hmac_agrees_with_the_published_vectors() {
    // RFC 2202 §2 and §3, RFC 4231 §4.3: key "Jefe".
    let cases = [
        (HashAlgorithm::Md5, "750c783e6ab0b503eaa86e310a5db738"),
        (HashAlgorithm::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (HashAlgorithm::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            HashAlgorithm::Sha384,
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        ),
        (
            HashAlgorithm::Sha512,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ];
    for provider in providers() {
        for (algorithm, expected) in cases {
            let key = provider.hmac(algorithm, b"Jefe");
            assert_eq!(hex(key.sign(&[b"what do ya want for nothing?"])), expected);
            assert_eq!(hex(key.sign(&[b"what do ya ", b"", b"want for nothing?"])), expected, "in parts");
            // A key longer than the block is hashed first (RFC 2104 §2).
            let long = provider.hmac(algorithm, &[0xaa; 200]).sign(&[b"x"]);
            let other = crypto::rust_crypto().hmac(algorithm, &[0xaa; 200]).sign(&[b"x"]);
            assert_eq!(hex(long), hex(other));
        }
    }
}

#[test]
fn providers_agree_on_key_exchange() {
    for group in [Group::X25519, Group::P256] {
        let mut secrets = Vec::new();
        for ours in providers() {
            for theirs in providers() {
                let a = ours.key_exchange(group, &mut Rng::new([1; 32]));
                let b = theirs.key_exchange(group, &mut Rng::new([2; 32]));
                let (a_share, b_share) = (a.public_key().to_vec(), b.public_key().to_vec());
                let (a, b) = (a.complete(&b_share).unwrap(), b.complete(&a_share).unwrap());
                assert_eq!(a.expose(), b.expose());
                secrets.push(a.expose().to_vec());
            }
        }
        assert!(secrets.windows(2).all(|pair| pair[0] == pair[1]), "equal seeds, equal secrets");
    }
}

#[test]
fn bad_shares_are_refused() {
    for provider in providers() {
        let complete = |group, share: &[u8]| {
            provider.key_exchange(group, &mut Rng::new([1; 32])).complete(share).map(drop)
        };
        // Points of small order give an all-zero secret (RFC 7748 §6.1).
        for share in [[0; 32], std::array::from_fn(|i| u8::from(i == 0))] {
            assert_eq!(complete(Group::X25519, &share), Err(InvalidKey));
        }
        for len in [0, 31, 33] {
            assert_eq!(complete(Group::X25519, &vec![9; len]), Err(InvalidKey));
        }
        let good = provider.key_exchange(Group::P256, &mut Rng::new([2; 32])).public_key().to_vec();
        let mut off_curve = good.clone();
        off_curve[40] ^= 1;
        let mut compressed = good[..33].to_vec();
        compressed[0] = 2;
        for share in [off_curve.as_slice(), &compressed, &good[..64], &[0], &[], &[4; 65]] {
            assert_eq!(complete(Group::P256, share), Err(InvalidKey), "{provider:?} {share:02x?}");
        }
    }
}

#[test]
fn signatures_are_understood_by_the_other_provider() {
    let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
    for signer in providers() {
        let key = signer.signing_key(algorithm, &[7; 32]).unwrap();
        let signature = key.sign(b"message");
        for verifier in providers() {
            let verify = |public: &[u8], message: &[u8], signature: &[u8]| {
                verifier.verify(algorithm, public, message, signature)
            };
            assert_eq!(verify(key.public_key(), b"message", &signature), Ok(()));
            assert_eq!(verify(key.public_key(), b"massage", &signature), Err(InvalidSignature));
            let other = signer.signing_key(algorithm, &[8; 32]).unwrap();
            assert_eq!(verify(other.public_key(), b"message", &signature), Err(InvalidSignature));
            for cut in 0..signature.len() {
                assert_eq!(verify(key.public_key(), b"message", &signature[..cut]), Err(InvalidSignature));
            }
            for bit in 0..signature.len() * 8 {
                let mut wrong = signature.clone();
                wrong[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(verify(key.public_key(), b"message", &wrong), Err(InvalidSignature));
            }
        }
    }
}

#[test]
fn ecdsa_agrees_with_the_published_vector() {
    // RFC 6979 §A.2.5: P-256, SHA-256, message "sample". Only the portable provider is deterministic.
    let secret =
        unhex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721").try_into().unwrap();
    let signature = "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
    let key = crypto::rust_crypto().signing_key(SignatureAlgorithm::EcdsaP256Sha256, &secret).unwrap();
    assert_eq!(hex(key.sign(b"sample")), signature);
    for provider in providers() {
        let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
        assert_eq!(provider.verify(algorithm, key.public_key(), b"sample", &unhex(signature)), Ok(()));
        for scalar in [[0; 32], [0xff; 32]] {
            assert!(provider.signing_key(algorithm, &scalar).is_err(), "not in 1..n");
        }
    }
}

#[test]
fn nothing_secret_is_printed() {
    for provider in providers() {
        let key = provider.aead(AeadAlgorithm::Aes128Gcm, &[0xab; 16]).unwrap();
        let hmac = provider.hmac(HashAlgorithm::Sha256, &[0xab; 16]);
        let signing = provider.signing_key(SignatureAlgorithm::EcdsaP256Sha256, &[0x3b; 32]).unwrap();
        let exchange = provider.key_exchange(Group::X25519, &mut Rng::new([1; 32]));
        let printed = format!("{key:?} {hmac:?} {signing:?} {exchange:?} {:?}", Rng::new([0xab; 32]));
        assert!(
            !printed.contains("171") && !printed.contains("ab, ab") && printed.contains("[redacted]"),
            "{printed}"
        );
    }
}

#[test]
fn ciphers_agree_with_the_published_vectors() {
    // FIPS 197 appendix C.1 and C.3.
    let plain = "00112233445566778899aabbccddeeff";
    let blocks = [
        (CipherAlgorithm::Aes128, 16, "69c4e0d86a7b0430d8cdb78070b4c55a"),
        (CipherAlgorithm::Aes256, 32, "8ea2b7ca516745bfeafc49904b496089"),
    ];
    // SP 800-38A §F.5.1 and §F.5.5.
    let message = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    let streams = [
        (
            CipherAlgorithm::Aes128,
            "2b7e151628aed2a6abf7158809cf4f3c",
            "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
        ),
        (
            CipherAlgorithm::Aes256,
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c52b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
        ),
    ];
    for provider in providers() {
        for (algorithm, key_len, expected) in blocks {
            let key: Vec<u8> = (0..key_len).collect();
            let mut block = unhex(plain).try_into().unwrap();
            provider.cipher(algorithm, &key).unwrap().encrypt_block(&mut block);
            assert_eq!(hex(block), expected);
            assert_eq!(provider.cipher(algorithm, &key[1..]).err(), Some(InvalidKey));
        }
        for (algorithm, key, expected) in streams {
            let key = provider.cipher(algorithm, &unhex(key)).unwrap();
            let counter = unhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff").try_into().unwrap();
            // Every length, since the last block may be a part of one.
            for len in 0..=64 {
                let mut bytes = unhex(message)[..len].to_vec();
                key.apply_keystream(&counter, &mut bytes);
                assert_eq!(hex(&bytes), expected[..2 * len]);
                key.apply_keystream(&counter, &mut bytes);
                assert_eq!(hex(&bytes), message[..2 * len]);
            }
        }
    }
}
