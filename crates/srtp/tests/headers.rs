//! Encrypted headers: Cryptex (RFC 9335) and single extensions (RFC 6904).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod common;

use common::{config, pair, protect_rtp, rtp, unhex};
use srtp::{Cryptex, ExtensionIds, Inbound, MasterKeys, Outbound, Profile, ProtectError, UnprotectError};

/// RFC 9335 appendix A: plain packets, what AES-CM and what AES-GCM make of them.
const CRYPTEX: [(&str, &str, &str); 6] = [
    (
        "900f1235decafbadcafebabebede000151000200abababababababababababababababab",
        "900f1235decafbadcafebabec0de0001eb92365251c3e036f8de27e9c27ee3e0b4651d9fbc4218a70244522f34a5",
        "900f1235decafbadcafebabec0de000139972dc9572c4d99e8fc355de743fb2e94f9d8ff54e72f4193bbc5c74ffab0fa9fa0fbeb",
    ),
    (
        "900f1236decafbadcafebabe1000000105020002abababababababababababababababab",
        "900f1236decafbadcafebabec2de00014ed9cc4e6a712b3096c5ca77339d4204ce0d77396cab69585fbce38194a5",
        "900f1236decafbadcafebabec2de0001bb75a4c545cd1f413bdb7daa2b1e3263de313667c963249081b35a65f5cb6c88b394235f",
    ),
    (
        "920f1238decafbadcafebabe0001e2400000b26ebede000151000200abababababababababababababababab",
        "920f1238decafbadcafebabe8bb6e12b5cff16ddc0de000192838c8c09e58393e1de3a9a74734d6745671338c3acf11da2df8423bee0",
        "920f1238decafbadcafebabe63bbccc4a7f695c4c0de00018ad7c71fac70a80c92866b4c6ba98546ef913586e95ffaaffe956885bb0647a8bc094ac8",
    ),
    (
        "920f1239decafbadcafebabe0001e2400000b26e1000000105020002abababababababababababababababab",
        "920f1239decafbadcafebabef70e513eb90b9b25c2de0001bbed4848faa644665f3d7f34125914e9f4d0ae923c6f479b95a0f7b53133",
        "920f1239decafbadcafebabe3680524f8d312b00c2de0001c78d120038422bc111a7187a18246f980c059cc6bc9df8b626394eca344e4b05d80fea83",
    ),
    (
        "920f123adecafbadcafebabe0001e2400000b26ebede0000abababababababababababababababab",
        "920f123adecafbadcafebabe7130b6abfe2ab0e3c0de0000e3d9f64b25c9e74cb4cf8e43fb92e3781c2c0ceab6b3a499a14c",
        "920f123adecafbadcafebabe15b6bb4337906fffc0de0000b7b964537a2b03ab7ba5389ce93317126b5d974df30c6884dcb651c5e120c1da",
    ),
    (
        "920f123bdecafbadcafebabe0001e2400000b26e10000000abababababababababababababababab",
        "920f123bdecafbadcafebabecbf24c124330e1c8c2de0000599dd45bc9d687b603e8b59d771fd38e88b170e0cd31e125eabe",
        "920f123bdecafbadcafebabedcb38c9e48bf95f4c2de000061ee432cf920317076613258d3ce4236c06ac429681ad08413512dc98b5207d8",
    ),
];

fn cryptex_keys(profile: Profile) -> MasterKeys {
    let both = if profile == Profile::AeadAes128Gcm {
        "000102030405060708090a0b0c0d0e0fa0a1a2a3a4a5a6a7a8a9aaab"
    } else {
        "e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6"
    };
    MasterKeys::from_key_and_salt(profile, &unhex(both)).unwrap()
}

#[test]
fn cryptex_agrees_with_rfc_9335() {
    for mode in [Cryptex::On, Cryptex::Required] {
        for profile in [Profile::Aes128CmHmacSha1_80, Profile::AeadAes128Gcm] {
            let mut config = config();
            config.cryptex = mode;
            let keys = cryptex_keys(profile);
            let mut outbound = Outbound::new(&config, &keys).unwrap();
            let mut inbound = Inbound::new(&config, &keys).unwrap();
            for (plain, counter_mode, gcm) in CRYPTEX {
                let expected = if profile == Profile::AeadAes128Gcm { gcm } else { counter_mode };
                let mut packet = protect_rtp(&mut outbound, &unhex(plain));
                assert_eq!(packet, unhex(expected), "{}: {plain}", profile.name());
                let forged = {
                    let mut forged = packet.clone();
                    forged[14] ^= 1;
                    forged
                };
                assert!(inbound.unprotect_rtp(&mut forged.clone()).is_err());
                assert_eq!(inbound.unprotect_rtp(&mut packet).unwrap().bytes(), unhex(plain));
            }
        }
    }
}

#[test]
fn csrcs_without_an_extension_get_an_empty_one() {
    let mut config = config();
    config.cryptex = Cryptex::On;
    let (plain, counter_mode, gcm) = CRYPTEX[4];
    for (profile, expected) in [(Profile::Aes128CmHmacSha1_80, counter_mode), (Profile::AeadAes128Gcm, gcm)] {
        let keys = cryptex_keys(profile);
        let mut outbound = Outbound::new(&config, &keys).unwrap();
        let mut bare = unhex(plain);
        bare[0] &= !0x10;
        bare.drain(20..24);
        assert_eq!(protect_rtp(&mut outbound, &bare), unhex(expected));
        // Again, the same.
        assert_eq!(protect_rtp(&mut outbound, &bare), unhex(expected));
        assert_eq!(outbound.stats().rtp_repeated, 1);
        let mut short = bare.clone();
        short.resize(bare.len() + profile.rtp_tag_len(), 0);
        let needed = short.len() + 4;
        assert_eq!(outbound.protect_rtp(&mut short, bare.len()), Err(ProtectError::NoRoom { needed }));
    }
}

#[test]
fn cryptex_is_used_where_it_was_agreed_alone() {
    let plain = unhex(CRYPTEX[2].0);
    for profile in Profile::ALL {
        let with = |mode| {
            let mut config = config();
            config.cryptex = mode;
            pair(&config, profile)
        };
        let hidden = protect_rtp(&mut with(Cryptex::On).0, &plain);
        let open = protect_rtp(&mut with(Cryptex::Off).0, &plain);
        let received = |mode, packet: &[u8]| {
            let mut packet = packet.to_vec();
            with(mode).1.unprotect_rtp(&mut packet).map(|packet| packet.bytes().to_vec())
        };
        assert_eq!(received(Cryptex::Off, &hidden), Err(UnprotectError::UnexpectedCryptex));
        assert_eq!(received(Cryptex::Off, &open), Ok(plain.clone()));
        assert_eq!(received(Cryptex::On, &hidden), Ok(plain.clone()));
        assert_eq!(received(Cryptex::On, &open), Ok(plain.clone()));
        assert_eq!(received(Cryptex::Required, &hidden), Ok(plain.clone()));
        assert_eq!(received(Cryptex::Required, &open), Err(UnprotectError::Unencrypted));
        // What has nothing to hide is as it always was.
        let bare = rtp(7, 1, b"hello");
        let packet = protect_rtp(&mut with(Cryptex::On).0, &bare);
        assert_eq!(packet, protect_rtp(&mut with(Cryptex::Off).0, &bare));
        assert_eq!(received(Cryptex::Required, &packet), Ok(bare));
    }
}

#[test]
fn cryptex_refuses_extensions_of_another_kind() {
    let mut config = config();
    config.cryptex = Cryptex::On;
    let (mut outbound, _) = pair(&config, Profile::AeadAes128Gcm);
    for profile in [0x1001_u16, 0x100f, 0x0001, 0xc0de, 0xc2de] {
        let mut packet = unhex(CRYPTEX[0].0);
        packet[12..14].copy_from_slice(&profile.to_be_bytes());
        let len = packet.len();
        packet.resize(len + 20, 0);
        assert_eq!(outbound.protect_rtp(&mut packet, len), Err(ProtectError::UnfitExtension));
    }
    assert_eq!(outbound.stats().refused, 5);
}

#[test]
fn single_extensions_agree_with_rfc_6904() {
    // RFC 6904 appendix A, as a whole packet; the tag and the form for GCM are those of libsrtp.
    let plain = "900f1234decafbadcafebabebede000617414273a475262748220000c8308e4655996386b395fb00abababababababababababababababab";
    let both = "e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6";
    let cases = [
        (
            Profile::Aes128CmHmacSha1_80,
            "900f1234decafbadcafebabebede000617588a9270f4e15e1c220000c8309546a994f0bc547897004e55dc4ce79978d88ca4d215949d24025a46b3ca35c535a891c7",
        ),
        (
            Profile::AeadAes128Gcm,
            "900f1234decafbadcafebabebede00061712e0205bfa949b1c220000c830bb46732778d9929aab000eca0cf95ee955b26cd3d288b49f6ca9f4b1b759719eb5bc",
        ),
    ];
    for (profile, expected) in cases {
        let mut config = config();
        config.encrypted_extensions = ExtensionIds::NONE.with(1).with(3).with(4).with(0);
        assert!(!config.encrypted_extensions.contains(0) && !config.encrypted_extensions.contains(2));
        let keys = unhex(both);
        let keys =
            MasterKeys::from_key_and_salt(profile, &keys[..profile.key_len() + profile.salt_len()]).unwrap();
        let mut packet = protect_rtp(&mut Outbound::new(&config, &keys).unwrap(), &unhex(plain));
        // libsrtp's vector has half of the tag.
        assert_eq!(packet[..expected.len() / 2], unhex(expected), "{}", profile.name());
        let mut inbound = Inbound::new(&config, &keys).unwrap();
        assert_eq!(inbound.unprotect_rtp(&mut packet).unwrap().bytes(), unhex(plain));
    }
}

#[test]
fn only_the_values_of_chosen_extensions_are_encrypted() {
    // Two bytes, with bits of the application, padding, an element of no bytes, and one that ends too late.
    let two = "1003 0005 01020aff 00000200 0301bb00 0204dddddddd 0105ee";
    // One byte, with padding, and with an identifier behind which nothing is read.
    let one = "bede 0003 10aa0021 bbbb00f0 11cccc00";
    for (extension, changed) in [(two, &[2_usize, 3, 10][..]), (one, &[1])] {
        let extension: String = extension.split_whitespace().collect();
        let mut packet = rtp(9, 1, &unhex(&extension));
        packet[0] |= 0x10;
        packet.resize(12 + 4 + 4 * usize::from(packet[15]), 0);
        packet.extend(b"payload");
        for profile in Profile::ALL {
            let mut config = config();
            config.encrypted_extensions = ExtensionIds::NONE.with(1).with(3);
            let (mut outbound, mut inbound) = pair(&config, profile);
            let mut protected = protect_rtp(&mut outbound, &packet);
            let from = 16;
            let to = packet.len() - 7;
            let differ: Vec<usize> =
                (from..to).filter(|at| protected[*at] != packet[*at]).map(|at| at - from).collect();
            // A byte may stay the same by chance, but none changes that should not.
            assert!(differ.iter().all(|at| changed.contains(at)), "{differ:?}");
            assert!(!differ.is_empty());
            assert_eq!(inbound.unprotect_rtp(&mut protected).unwrap().bytes(), packet);
        }
    }
}

#[test]
fn a_packet_has_one_kind_of_header_encryption() {
    let mut both = config();
    both.cryptex = Cryptex::On;
    both.encrypted_extensions = ExtensionIds::NONE.with(5);
    let mut cryptex = config();
    cryptex.cryptex = Cryptex::On;
    let plain = unhex(CRYPTEX[0].0);
    let with_both = protect_rtp(&mut pair(&both, Profile::AeadAes128Gcm).0, &plain);
    assert_eq!(with_both, protect_rtp(&mut pair(&cryptex, Profile::AeadAes128Gcm).0, &plain));
    let mut packet = with_both;
    let (_, mut inbound) = pair(&both, Profile::AeadAes128Gcm);
    assert_eq!(inbound.unprotect_rtp(&mut packet).unwrap().bytes(), plain);
}
