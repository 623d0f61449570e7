//! How many streams there may be, and what becomes of those that are used no longer.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod common;

use common::{config, pair, protect_rtcp, protect_rtp, rtcp, rtp};
use srtp::{Cryptex, ExtensionIds, Profile, ProtectError, RolloverError, Ssrc, UnprotectError};

#[test]
fn streams_are_as_many_as_the_limit_and_not_one_more() {
    let mut config = config();
    (config.max_streams, config.max_retired_streams) = (4, 0);
    let (mut outbound, mut inbound) = pair(&config, Profile::AeadAes128Gcm);
    let (mut more, _) = pair(&common::config(), Profile::AeadAes128Gcm);
    for ssrc in 0..4 {
        inbound.unprotect_rtp(&mut protect_rtp(&mut outbound, &rtp(ssrc, 1, b"x"))).unwrap();
        inbound.unprotect_rtcp(&mut protect_rtcp(&mut outbound, &rtcp(ssrc, b""))).unwrap();
    }
    let mut memory = rtp(4, 1, &[0; 40]);
    assert_eq!(outbound.protect_rtp(&mut memory, 20), Err(ProtectError::TooManyStreams));
    assert_eq!(outbound.protect_rtcp(&mut rtcp(4, &[0; 40]), 20), Err(ProtectError::TooManyStreams));
    assert_eq!(outbound.set_rollover_counter(Ssrc(4), 1), Err(RolloverError::TooManyStreams));
    assert_eq!(inbound.set_rollover_counter(Ssrc(4), 1), Err(RolloverError::TooManyStreams));
    let mut packet = protect_rtp(&mut more, &rtp(4, 1, b"x"));
    let before = packet.clone();
    assert_eq!(inbound.unprotect_rtp(&mut packet).err(), Some(UnprotectError::TooManyStreams));
    assert_eq!(packet, before);
    let mut packet = protect_rtcp(&mut more, &rtcp(4, b""));
    assert_eq!(inbound.unprotect_rtcp(&mut packet).err(), Some(UnprotectError::TooManyStreams));
    assert_eq!((inbound.streams(), inbound.stats().beyond_streams), ((4, 4), 2));
    // Those that are known go on.
    inbound.unprotect_rtp(&mut protect_rtp(&mut outbound, &rtp(0, 2, b"x"))).unwrap();
}

/// RFC 3711 §3.3.2 and §9.1: a stream that has made room for others is not forgotten: nothing of it comes twice, and no index of it
/// encrypts two packets.
#[test]
fn streams_that_were_used_longest_ago_make_room_and_are_not_forgotten() {
    for profile in Profile::ALL {
        let mut config = config();
        (config.max_streams, config.max_retired_streams) = (4, 8);
        let (mut outbound, mut inbound) = pair(&config, profile);
        let mut recorded = Vec::new();
        // The first one has wrapped once, so that its packets are of the second round.
        for number in [65_535, 0, 5] {
            let mut packet = protect_rtp(&mut outbound, &rtp(0, number, b"x"));
            recorded.push(packet.clone());
            inbound.unprotect_rtp(&mut packet).unwrap();
        }
        let mut report = protect_rtcp(&mut outbound, &rtcp(0, b""));
        let recorded_report = report.clone();
        inbound.unprotect_rtcp(&mut report).unwrap();
        for ssrc in 1..12 {
            inbound.unprotect_rtp(&mut protect_rtp(&mut outbound, &rtp(ssrc, 1, b"x"))).unwrap();
            inbound.unprotect_rtcp(&mut protect_rtcp(&mut outbound, &rtcp(ssrc, b""))).unwrap();
            assert!(inbound.streams().0 <= 4 && inbound.streams().1 <= 4);
        }
        for packet in &recorded {
            let refused = inbound.unprotect_rtp(&mut packet.clone()).err();
            assert!(matches!(refused, Some(UnprotectError::TooOld | UnprotectError::Forged)), "{refused:?}");
        }
        assert_eq!(inbound.unprotect_rtcp(&mut recorded_report.clone()).err(), Some(UnprotectError::TooOld));
        // An index that was used is not used again, whatever is written.
        let mut twin = rtp(0, 5, b"y");
        twin.resize(60, 0);
        assert_eq!(outbound.protect_rtp(&mut twin, 13), Err(ProtectError::TooOld));
        assert_eq!(outbound.set_rollover_counter(Ssrc(0), 0), Err(RolloverError::Behind));
        assert_eq!(inbound.set_rollover_counter(Ssrc(0), 0), Err(RolloverError::Behind));
        // It goes on where it was, with its rollover counter.
        let mut next = protect_rtp(&mut outbound, &rtp(0, 6, b"x"));
        inbound.unprotect_rtp(&mut next.clone()).unwrap();
        assert_eq!(outbound.highest(Ssrc(0)).map(|index| index.rollover_counter()), Some(1));
        assert_eq!(inbound.highest(Ssrc(0)), outbound.highest(Ssrc(0)));
        assert_eq!(inbound.unprotect_rtp(&mut next).err(), Some(UnprotectError::Replayed));
        // What its window knew before is taken for used.
        for packet in &recorded {
            assert_eq!(inbound.unprotect_rtp(&mut packet.clone()).err(), Some(UnprotectError::TooOld));
        }
        let mut twin = rtp(0, 0, b"y");
        twin.resize(60, 0);
        assert_eq!(outbound.protect_rtp(&mut twin, 13), Err(ProtectError::TooOld));
        inbound.unprotect_rtcp(&mut protect_rtcp(&mut outbound, &rtcp(0, b""))).unwrap();
        // As many are remembered as may be; those that are go on.
        let mut memory = rtp(99, 1, &[0; 40]);
        assert_eq!(outbound.protect_rtp(&mut memory, 20), Err(ProtectError::TooManyStreams));
        inbound.unprotect_rtp(&mut protect_rtp(&mut outbound, &rtp(1, 2, b"x"))).unwrap();
    }
}

/// RFC 3550 §5.1 has numbers begin anywhere, so that some wrap soon, and what is sent first is lost more easily than what follows.
#[test]
fn a_stream_of_which_all_before_the_wrap_is_lost_is_taken() {
    for (profile, cryptex) in Profile::ALL.into_iter().zip([Cryptex::Off, Cryptex::On].into_iter().cycle()) {
        let mut config = config();
        (config.cryptex, config.encrypted_extensions) = (cryptex, ExtensionIds::NONE.with(3));
        let (mut outbound, mut inbound) = pair(&config, profile);
        let packet = |number| {
            let mut packet = rtp(7, number, &[0xbe, 0xde, 0, 1, 0x30, 9, 0, 0]);
            packet[0] |= 0x10;
            packet.extend([1; 1100]);
            packet
        };
        let mut sent = [65_535, 0, 1, 0x7fff].map(|number| protect_rtp(&mut outbound, &packet(number)));
        let replayed = sent.clone();
        let mut forged = sent[1].clone();
        forged[20] ^= 1;
        assert_eq!(inbound.unprotect_rtp(&mut forged).err(), Some(UnprotectError::Forged));
        assert_eq!(inbound.streams(), (0, 0));
        for (at, number) in [(1, 0), (2, 1), (0, 65_535), (3, 0x7fff)] {
            let taken = inbound.unprotect_rtp(&mut sent[at]).unwrap();
            assert_eq!(taken.bytes(), packet(number));
            assert_eq!(taken.index().rollover_counter(), u32::from(at > 0));
        }
        for mut packet in replayed {
            assert!(inbound.unprotect_rtp(&mut packet).is_err());
        }
    }
}

/// S2: what is forged makes no room for itself.
#[test]
fn no_stream_makes_room_for_a_forged_one() {
    let mut config = config();
    (config.max_streams, config.max_retired_streams) = (4, 8);
    let (mut outbound, mut inbound) = pair(&config, Profile::AeadAes128Gcm);
    for ssrc in 0..4 {
        inbound.unprotect_rtp(&mut protect_rtp(&mut outbound, &rtp(ssrc, 1, b"x"))).unwrap();
    }
    for ssrc in 4..1000 {
        let mut packet = protect_rtp(&mut outbound, &rtp(0, 2, b"x"));
        packet[8..12].copy_from_slice(&u32::to_be_bytes(ssrc));
        assert_eq!(inbound.unprotect_rtp(&mut packet).err(), Some(UnprotectError::Forged));
    }
    // Each still has its window: none has been away.
    for ssrc in 0..4 {
        let mut packet = protect_rtp(&mut outbound, &rtp(ssrc, 3, b"x"));
        let mut late = protect_rtp(&mut outbound, &rtp(ssrc, 2, b"x"));
        inbound.unprotect_rtp(&mut packet).unwrap();
        inbound.unprotect_rtp(&mut late).unwrap();
    }
}
