//! Whatever comes, a receiver of SRTP and SRTCP refuses it and stays as it is, and what a sender makes of it comes back.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use srtp::{
    Config, Cryptex, ExtensionIds, Inbound, MasterKeys, Outbound, Profile, ProtectError, UnprotectError,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    profile: u8,
    cryptex: u8,
    unencrypted: bool,
    /// Encryption that does nothing, so that all that comes behind the tag is reached too.
    null: bool,
    extensions: [u8; 3],
    packet: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let profile = Profile::ALL[usize::from(input.profile) % Profile::ALL.len()];
    let provider = if input.null { testkit::null_provider() } else { crypto::rust_crypto() };
    let mut config = Config::new(provider);
    config.cryptex = [Cryptex::Off, Cryptex::On, Cryptex::Required][usize::from(input.cryptex) % 3];
    config.accept_unencrypted_rtcp = input.unencrypted;
    config.encrypted_extensions = input.extensions.into_iter().fold(ExtensionIds::NONE, ExtensionIds::with);
    let keys =
        MasterKeys::new(profile, &vec![1; profile.key_len()], &vec![2; profile.salt_len()]).expect("lengths");
    let mut outbound = Outbound::new(&config, &keys).expect("keys");
    let mut inbound = Inbound::new(&config, &keys).expect("keys");

    let mut media = input.packet.to_vec();
    let is_media = inbound.unprotect_rtp(&mut media).is_ok();
    let mut control = input.packet.to_vec();
    let is_control = inbound.unprotect_rtcp(&mut control).is_ok();
    // The null provider takes every tag of AES-GCM; nobody forges one of the others.
    assert!(!is_media && !is_control || input.null && profile.salt_len() == 12);
    assert_eq!(inbound.streams(), (usize::from(is_media), usize::from(is_control)));

    let len = input.packet.len();
    let mut inbound = Inbound::new(&config, &keys).expect("keys");
    let mut memory = [input.packet, &[0; 40]].concat();
    match outbound.protect_rtp(&mut memory, len) {
        Ok(protected) => match inbound.unprotect_rtp(&mut memory[..protected]) {
            Ok(packet) if packet.bytes().len() == len => assert_eq!(packet.bytes(), input.packet),
            // Cryptex has added an empty extension.
            Ok(packet) => assert_eq!((packet.bytes().len(), packet.bytes()[0] & 0x10), (len + 4, 0x10)),
            // The mark of Cryptex was there without it.
            Err(error) => assert_eq!(error, UnprotectError::UnexpectedCryptex),
        },
        Err(ProtectError::Malformed | ProtectError::UnfitExtension | ProtectError::TooLong) => {}
        Err(error) => panic!("{error}"),
    }
    let mut memory = [input.packet, &[0; 40]].concat();
    match outbound.protect_rtcp(&mut memory, len) {
        Ok(protected) => {
            let packet = inbound.unprotect_rtcp(&mut memory[..protected]).expect("its own");
            assert_eq!(packet.bytes(), input.packet);
        }
        Err(ProtectError::Malformed | ProtectError::TooLong) => {}
        Err(error) => panic!("{error}"),
    }
});
