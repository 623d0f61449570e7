//! Random packets: whatever they are, nothing panics, and what is protected comes back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod common;

use common::{config, pair};
use proptest::prelude::*;
use srtp::{Cryptex, ExtensionIds, Profile};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_protected_comes_back_and_the_rest_is_refused(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        first in 0_u8..64,
        extension in prop_oneof![Just(0xbede_u16), Just(0x1000), Just(0x1004), Just(0xc0de), any::<u16>()],
        words in 0_u16..20,
        profile in 0_usize..6,
        mode in 0_usize..3,
        damage in any::<(u16, u8)>(),
    ) {
        let mut config = config();
        config.cryptex = [Cryptex::Off, Cryptex::On, Cryptex::Required][mode];
        config.accept_unencrypted_rtcp = damage.1 & 1 == 1;
        config.encrypted_extensions = ExtensionIds::NONE.with(damage.1).with(1).with(4);
        let profile = Profile::ALL[profile];
        let (mut outbound, mut inbound) = pair(&config, profile);
        let _ = inbound.unprotect_rtp(&mut bytes.clone());
        let _ = inbound.unprotect_rtcp(&mut bytes.clone());
        if let Some(byte) = bytes.first_mut() {
            *byte = 0x80 | first;
        }
        let at = 12 + 4 * usize::from(first & 15);
        if let Some(field) = bytes.get_mut(at..at + 4) {
            field[..2].copy_from_slice(&extension.to_be_bytes());
            field[2..].copy_from_slice(&words.to_be_bytes());
        }
        let _ = inbound.unprotect_rtp(&mut bytes.clone());
        prop_assert_eq!(inbound.streams().0, 0);

        let mut memory = bytes.clone();
        memory.resize(bytes.len() + outbound.rtp_overhead(), 0);
        if let Ok(len) = outbound.protect_rtp(&mut memory, bytes.len()) {
            memory.truncate(len);
            let mut damaged = memory.clone();
            let place = usize::from(damage.0) % len;
            damaged[place] ^= damage.1 | 1;
            prop_assert!(inbound.unprotect_rtp(&mut damaged).is_err());
            let hidden = config.cryptex != Cryptex::Off && first & 0x1f != 0;
            match inbound.unprotect_rtp(&mut memory) {
                Ok(packet) if hidden && first & 0x10 == 0 => {
                    // An empty extension was added.
                    let mut bare = packet.bytes().to_vec();
                    bare[0] &= !0x10;
                    prop_assert_eq!(bare.drain(at..at + 4).collect::<Vec<_>>(), [0xbe, 0xde, 0, 0]);
                    prop_assert_eq!(bare, bytes.clone());
                }
                Ok(packet) => prop_assert_eq!(packet.bytes(), &bytes[..]),
                // Without Cryptex its mark cannot be sent.
                Err(error) => prop_assert!(
                    error == srtp::UnprotectError::UnexpectedCryptex && matches!(extension, 0xc0de | 0xc2de),
                    "{}", error
                ),
            }
        }
        let mut memory = bytes.clone();
        memory.resize(bytes.len() + outbound.rtcp_overhead(), 0);
        if let Ok(len) = outbound.protect_rtcp(&mut memory, bytes.len()) {
            memory.truncate(len);
            let mut damaged = memory.clone();
            let place = usize::from(damage.0) % len;
            damaged[place] ^= damage.1 | 1;
            prop_assert!(inbound.unprotect_rtcp(&mut damaged).is_err());
            let packet = inbound.unprotect_rtcp(&mut memory).unwrap();
            prop_assert_eq!(packet.bytes(), &bytes[..]);
        }
    }
}
