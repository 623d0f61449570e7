//! Vectors that begin with session keys.

use super::*;

fn unhex(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn salt(text: &str) -> Secret<16> {
    let mut salt = Secret::new([0; 16]);
    salt.expose_mut().iter_mut().zip(unhex(text)).for_each(|(to, from)| *to = from);
    salt
}

fn providers() -> impl Iterator<Item = &'static dyn Provider> {
    [Some(crypto::rust_crypto()), crypto::accelerated()].into_iter().flatten()
}

#[test]
fn gcm_agrees_with_rfc_7714() {
    // RFC 7714 §16 and §17.
    let rtp = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573";
    let rtcp = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef";
    let cases = [
        (
            Profile::AeadAes128Gcm,
            "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
            "63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
            "841dd968 3dd78ec9 2ae58790 125f62b3 000005d4",
        ),
        (
            Profile::AeadAes256Gcm,
            "32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
            "d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
            "91db4afb feee5a97 8fab4393 ed2615fe 000005d4",
        ),
    ];
    let key: Vec<u8> = (0..32).collect();
    for provider in providers() {
        for (profile, sealed_rtp, sealed_rtcp, authenticated_rtcp) in cases {
            let salt = salt("517569642070726f2071756f");
            let transform = Transform::from_session_keys(provider, profile, &key, &[], salt, 16).unwrap();
            let (ssrc, index, division) = (Ssrc(0x5501_a0b2), 0xf17b, Division { clear: 12, moved: 0 });
            let mut packet = unhex(rtp);
            packet.extend([0; 16]);
            transform.seal_rtp(&mut packet, division, ssrc, index).unwrap();
            assert_eq!(packet[12..], unhex(sealed_rtp), "{}", profile.name());
            let len = transform.open_rtp(&mut packet, division, ssrc, index).unwrap().unwrap();
            assert_eq!(packet[..len], unhex(rtp));

            let (ssrc, index) = (Ssrc(0x4d61_7273), 0x5d4);
            let mut packet = unhex(rtcp);
            packet.extend([0; 20]);
            transform.seal_rtcp(&mut packet, ssrc, index).unwrap();
            assert_eq!(packet[8..], unhex(sealed_rtcp), "{}", profile.name());
            let known = transform.rtcp_index(&packet).unwrap();
            assert_eq!(known, (index, true));
            let len = transform.open_rtcp(&mut packet, ssrc, known).unwrap().unwrap();
            assert_eq!(packet[..len], unhex(rtcp));

            // RFC 7714 §17.3: authenticated alone.
            let mut packet = [unhex(rtcp), unhex(authenticated_rtcp)].concat();
            let before = packet.clone();
            assert_eq!(transform.rtcp_index(&packet), Some((index, false)));
            assert!(transform.open_rtcp(&mut packet, ssrc, (index, true)).unwrap().is_err());
            packet.clone_from(&before);
            let len = transform.open_rtcp(&mut packet, ssrc, (index, false)).unwrap().unwrap();
            assert_eq!((packet[..len].to_vec(), packet), (unhex(rtcp), before));
        }
    }
}

#[test]
fn counter_mode_agrees_with_rfc_3711_and_rfc_6188() {
    // RFC 3711 appendix B.2, RFC 6188 §7.1.
    let cases = [
        (
            Profile::Aes128CmHmacSha1_80,
            "2b7e151628aed2a6abf7158809cf4f3c",
            "e03ead0935c95e80e166b16dd92b4eb4 d23513162b02d0f72a43a2fe4a5f97ab 41e95b3bb0a2e8dd477901e4fca894c0",
        ),
        (
            Profile::Aes256CmHmacSha1_80,
            "57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98",
            "92bdd28a93c3f52511c677d08b5515a4 9da71b2378a854f67050756ded165bac 63c4868b7096d88421b563b8c94c9a31",
        ),
    ];
    for provider in providers() {
        for (profile, key, stream) in cases {
            let salt = salt("f0f1f2f3f4f5f6f7f8f9fafbfcfd");
            let transform =
                Transform::from_session_keys(provider, profile, &unhex(key), &[1; 20], salt, 10).unwrap();
            let mut packet = [0; 12 + 48 + 10];
            transform.seal_rtp(&mut packet, Division { clear: 12, moved: 0 }, Ssrc(0), 0).unwrap();
            assert_eq!(packet[12..60], unhex(stream), "{}", profile.name());
        }
        // The end of the 16 bits that count blocks.
        let cipher = provider.cipher(Profile::Aes128CmHmacSha1_80.cipher(), &unhex(cases[0].1)).unwrap();
        let mut stream = vec![0; 0xff02 * 16];
        let first = counter(&salt("f0f1f2f3f4f5f6f7f8f9fafbfcfd"), Ssrc(0), 0);
        cipher.apply_keystream(&first, &mut stream);
        let end = "ec8cdf7398607cb0f2d21675ea9ea1e4 362b7c3c6773516318a077d7fc5073ae 6a2cc3787889374fbeb4c81b17ba6c44";
        assert_eq!(stream[0xfeff * 16..], unhex(end));
    }
}
