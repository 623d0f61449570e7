//! A packet costs no allocation, in either direction, whatever its profile.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod common;

use common::{config, keys, rtcp, rtp};
use srtp::{Cryptex, ExtensionIds, Inbound, Outbound, Profile, protect_for_each};

#[test]
fn packets_are_protected_and_unprotected_without_allocation() {
    // In debug builds graviola asks the environment, at each call, which CPU features to leave alone.
    let accelerated = crypto::accelerated().filter(|_| !cfg!(debug_assertions));
    for provider in [crypto::rust_crypto()].into_iter().chain(accelerated) {
        for (profile, cryptex) in
            Profile::ALL.into_iter().zip([Cryptex::Off, Cryptex::On].into_iter().cycle())
        {
            let mut config = config();
            config.provider = provider;
            config.cryptex = cryptex;
            config.encrypted_extensions = ExtensionIds::NONE.with(1);
            let mut outbound = Outbound::new(&config, &keys(profile, 1)).unwrap();
            let mut inbound = Inbound::new(&config, &keys(profile, 1)).unwrap();
            let mut media = rtp(7, 0, &[0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]);
            media[0] |= 0x10;
            media.resize(1200, 9);
            let control = rtcp(7, &[1; 24]);
            let mut memory = [0; 1300];
            let mut taken = 0;
            let mut turn = |sequence: u16| {
                media[2..4].copy_from_slice(&sequence.to_be_bytes());
                memory[..media.len()].copy_from_slice(&media);
                let len = outbound.protect_rtp(&mut memory, media.len()).unwrap();
                taken += inbound.unprotect_rtp(&mut memory[..len]).unwrap().payload().len();
                memory[..control.len()].copy_from_slice(&control);
                let len = outbound.protect_rtcp(&mut memory, control.len()).unwrap();
                taken += inbound.unprotect_rtcp(&mut memory[..len]).unwrap().bytes().len();
                assert!(inbound.unprotect_rtcp(&mut memory[..len]).is_err());
            };
            turn(0);
            let counted = allocation_counter::measure(|| (1..1000).for_each(&mut turn));
            assert_eq!((counted.count_total, taken), (0, 1000 * (1180 + 32)), "{}", profile.name());
        }
    }
}

#[test]
fn one_packet_goes_to_many_receivers_without_allocation() {
    let mut config = config();
    config.provider = crypto::rust_crypto();
    let profile = Profile::AeadAes128Gcm;
    let keys: Vec<_> = (0..10).map(|seed| keys(profile, seed)).collect();
    let mut receivers: Vec<_> = keys
        .iter()
        .map(|keys| {
            (Outbound::new(&config, keys).unwrap(), Inbound::new(&config, keys).unwrap(), vec![0; 1300])
        })
        .collect();
    let mut packet = rtp(7, 0, &[5; 1000]);
    let mut delivered = 0;
    let mut turn = |sequence: u16| {
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        let mut failed = 0;
        let outbounds = receivers.iter_mut().map(|(outbound, _, memory)| (outbound, &mut memory[..]));
        protect_for_each(
            &packet,
            outbounds,
            |number, copy| copy[8..12].copy_from_slice(&u32::try_from(number + 100).unwrap().to_be_bytes()),
            |_, sent| failed += usize::from(sent.map(|packet| packet.len()) != Ok(1012 + 16)),
        );
        assert_eq!(failed, 0);
        for (number, (_, inbound, memory)) in receivers.iter_mut().enumerate() {
            let packet = inbound.unprotect_rtp(&mut memory[..1028]).unwrap();
            assert_eq!((packet.ssrc().0 as usize, packet.payload()), (number + 100, &[5; 1000][..]));
            delivered += 1;
        }
    };
    turn(0);
    let counted = allocation_counter::measure(|| (1..100).for_each(&mut turn));
    assert_eq!((counted.count_total, delivered), (0, 1000));
}

#[test]
fn a_receiver_without_room_is_told_and_the_others_are_served() {
    let config = config();
    let keys = keys(Profile::Aes128CmHmacSha1_80, 1);
    let mut outbounds: Vec<_> = (0..3).map(|_| Outbound::new(&config, &keys).unwrap()).collect();
    let mut memories = [vec![0; 100], vec![0; 5], vec![0; 25]];
    let packet = rtp(7, 1, b"hello, all");
    let mut outcomes = Vec::new();
    protect_for_each(
        &packet,
        outbounds.iter_mut().zip(memories.iter_mut().map(|memory| &mut memory[..])),
        |_, _| (),
        |number, sent| outcomes.push((number, sent.map(|packet| packet.len()))),
    );
    let no_room = Err(srtp::ProtectError::NoRoom { needed: 32 });
    assert_eq!(outcomes, [(0, Ok(32)), (1, no_room), (2, no_room)]);
}
