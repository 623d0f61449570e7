use proptest::prelude::*;
use rtp::payload::opus::{Bandwidth, Depacketizer, Mode, Packetizer, Toc, outline};
use rtp::payload::{Discard, FrameError, Limits, Reason};

use crate::support::{broken, intact, payload, receive, send};

#[test]
fn every_configuration_of_rfc_6716_table_2_is_known() {
    use Bandwidth::{Full, Medium, Narrow, SuperWide, Wide};
    let mut all = Vec::new();
    for bandwidth in [Narrow, Medium, Wide] {
        all.extend([480, 960, 1920, 2880].map(|ticks| (Mode::Silk, bandwidth, ticks)));
    }
    for bandwidth in [SuperWide, Full] {
        all.extend([480, 960].map(|ticks| (Mode::Hybrid, bandwidth, ticks)));
    }
    for bandwidth in [Narrow, Wide, SuperWide, Full] {
        all.extend([120, 240, 480, 960].map(|ticks| (Mode::Celt, bandwidth, ticks)));
    }
    assert_eq!(all.len(), 32);
    for (config, expected) in all.into_iter().enumerate() {
        for stereo in [false, true] {
            let toc = Toc::decode(&[(config as u8) << 3 | u8::from(stereo) << 2, 0, 0]).unwrap();
            assert_eq!((toc.mode, toc.bandwidth, toc.frame_duration), expected);
            assert_eq!((toc.stereo, toc.frames, toc.duration()), (stereo, 1, expected.2));
        }
    }
}

#[test]
fn packets_of_every_code_are_counted_and_measured() {
    let code = |packet: &[u8]| Toc::decode(packet).map(|toc| (toc.frames, toc.duration()));
    // CELT, 20 ms.
    let toc = 31 << 3;
    assert_eq!(code(&[toc]), Ok((1, 960)));
    assert_eq!(code(&[toc | 1, 1, 2, 3, 4]), Ok((2, 1920)));
    assert_eq!(code(&[toc | 1, 1, 2, 3]), Err(Discard::Malformed));
    assert_eq!(code(&[toc | 2, 1, 9, 8, 7]), Ok((2, 1920)));
    assert_eq!(code(&[toc | 2, 4, 9, 8, 7]), Err(Discard::Truncated));
    assert_eq!(code(&[toc | 2]), Err(Discard::Truncated));
    assert_eq!(code(&[toc | 2, 252]), Err(Discard::Truncated));
    assert_eq!(code(&[&[toc | 2, 252, 0][..], &[0; 252]].concat()), Ok((2, 1920)));
    // Code 3: constant, variable, padded.
    assert_eq!(code(&[toc | 3, 3, 1, 2, 3]), Ok((3, 2880)));
    assert_eq!(code(&[toc | 3, 3, 1, 2]), Err(Discard::Malformed));
    assert_eq!(code(&[toc | 3, 0x83, 1, 0, 5, 6, 7]), Ok((3, 2880)));
    assert_eq!(code(&[toc | 3, 0x83, 1, 2, 5, 6]), Err(Discard::Truncated));
    assert_eq!(code(&[toc | 3, 0x42, 2, 1, 2, 0, 0]), Ok((2, 1920)));
    assert_eq!(code(&[toc | 3, 0x42, 5, 1, 2, 0, 0]), Err(Discard::Truncated));
    assert_eq!(code(&[toc | 3, 0x41, 255]), Err(Discard::Truncated));
    assert_eq!(code(&[&[toc | 3, 0x41, 255, 1, 9][..], &[0; 255]].concat()), Ok((1, 960)));
    assert_eq!(code(&[toc | 3, 0]), Err(Discard::Malformed));
    assert_eq!(code(&[toc | 3]), Err(Discard::Truncated));
    // 120 ms at most, and 1,275 bytes a frame.
    assert_eq!(code(&[toc | 3, 6]), Ok((6, 5760)));
    assert_eq!(code(&[toc | 3, 7]), Err(Discard::Malformed));
    assert_eq!(code(&[16 << 3 | 3, 48]), Ok((48, 5760)));
    assert_eq!(code(&[16 << 3 | 3, 49]), Err(Discard::Malformed));
    assert_eq!(code(&[&[toc][..], &[0; 1275]].concat()), Ok((1, 960)));
    assert_eq!(code(&[&[toc][..], &[0; 1276]].concat()), Err(Discard::Malformed));
    assert_eq!(code(&[]), Err(Discard::Empty));
}

#[test]
fn in_band_fec_shows_behind_the_flags_of_activity() {
    let fec = |config: u8, stereo: bool, first: u8| {
        Toc::decode(&[config << 3 | u8::from(stereo) << 2, first, 0, 0]).unwrap().has_fec
    };
    // 20 ms: a flag of activity, then LBRR; 60 ms: three flags before it.
    assert!(fec(1, false, 0x40) && !fec(1, false, 0x80));
    assert!(fec(3, false, 0x10) && !fec(3, false, 0xe0));
    // The side channel's follows the mid channel's.
    assert!(fec(1, true, 0x10) && !fec(1, false, 0x10));
    assert!(fec(13, false, 0x40));
    assert!(!fec(20, false, 0xff));
    assert!(!Toc::decode(&[1 << 3]).unwrap().has_fec);
}

#[test]
fn the_first_packet_with_sound_after_silence_has_the_marker() {
    let (sound, silence) = ([8, 1, 2, 3], [8, 0]);
    let mut packetizer = Packetizer::new();
    let mut depacketizer = Depacketizer::new(Limits::default());
    let cases: [(&[u8], u32, bool); 8] = [
        (&sound, 0, true),
        (&sound, 960, false),
        // 400 ms of DTX, of which one packet is sent.
        (&silence, 1920, false),
        (&silence, 1920 + 19_200, false),
        (&sound, 1920 + 19_200 + 960, true),
        (&sound, 1920 + 19_200 + 1920, false),
        // A gap that nothing told of.
        (&sound, 100_000, true),
        (&sound, 100_960, false),
    ];
    for (packet, timestamp, marker) in cases {
        let mut single = packetizer.frame(packet, timestamp, 1200).unwrap();
        let sent = send(1200, |out| single.write(out));
        assert_eq!(sent, [(packet.to_vec(), marker)], "{timestamp}");
        let (_, frames) = receive!(depacketizer, intact(&sent, timestamp));
        assert_eq!(frames[0].as_ref().unwrap().bytes, packet);
    }
    assert!(Toc::decode(&silence).unwrap().silent && !Toc::decode(&sound).unwrap().silent);
}

#[test]
fn packets_that_are_none_are_neither_sent_nor_taken() {
    let mut packetizer = Packetizer::new();
    assert_eq!(packetizer.frame(&[], 0, 10).unwrap_err(), FrameError::Empty);
    assert_eq!(packetizer.frame(&[3, 0], 0, 10).unwrap_err(), FrameError::NotAFrame);
    assert_eq!(packetizer.frame(&[8; 11], 0, 10).unwrap_err(), FrameError::Indivisible);
    let mut depacketizer = Depacketizer::new(Limits::default());
    let (results, frames) =
        receive!(depacketizer, [(&[3, 0][..], 5, false, false), (&[8, 1], 6, false, true)]);
    assert_eq!(results, [Err(Discard::Malformed), Ok(())]);
    assert_eq!(frames[0], broken(5, Reason::Unreadable(Discard::Malformed)));
    assert!(frames[1].is_ok());
    assert!(outline(&[8, 1]).unwrap().starts_frame);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_packet_is_taken_or_refused(packet: Vec<u8>, code: u8) {
        let packet = [&[code][..], &packet].concat();
        let mut depacketizer = Depacketizer::new(Limits::default());
        let taken = depacketizer.handle_payload(payload(&packet, 0, false, false)).is_ok();
        prop_assert_eq!(taken, Toc::decode(&packet).is_ok());
        if let Ok(toc) = Toc::decode(&packet) {
            prop_assert!((120..=5760).contains(&toc.duration()));
            prop_assert_eq!(depacketizer.poll_frame().unwrap().unwrap().bytes, &packet[..]);
        }
    }
}
