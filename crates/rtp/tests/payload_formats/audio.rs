//! G.711, G.722, comfort noise.

use proptest::prelude::*;
use proto::Writer;
use rtp::payload::comfort_noise::ComfortNoise;
use rtp::payload::g711::{self, Law};
use rtp::payload::{Discard, FrameError, Limits, g722};

use crate::support::{intact, noise, payload, receive, send};

#[test]
fn samples_are_those_of_g_711() {
    for (byte, sample) in
        [(0x00, -32124), (0x80, 32124), (0xff, 0), (0x7f, 0), (0xfe, 8), (0x7e, -8), (0x8f, 16764)]
    {
        assert_eq!(Law::Mu.expand(byte), sample, "{byte:02x}");
    }
    for (byte, sample) in [(0xd5, 8), (0x55, -8), (0xaa, 32256), (0x2a, -32256), (0xd4, 24), (0xc5, 264)] {
        assert_eq!(Law::A.expand(byte), sample, "{byte:02x}");
    }
    assert_eq!((Law::Mu.compress(0), Law::A.compress(0), Law::A.compress(-1)), (0xff, 0xd5, 0x55));
    assert_eq!((Law::Mu.compress(i16::MIN), Law::Mu.compress(i16::MAX)), (0x00, 0x80));
    assert_eq!((Law::A.compress(i16::MIN), Law::A.compress(i16::MAX)), (0x2a, 0xaa));
}

#[test]
fn every_sample_gets_a_byte_of_which_it_is_half_a_step_away_at_most() {
    for law in [Law::Mu, Law::A] {
        for byte in 0..=255 {
            let again = law.compress(law.expand(byte));
            // µ-law has two zeros.
            assert!(again == byte || (law == Law::Mu && (again, byte) == (0xff, 0x7f)), "{byte:02x}");
        }
        let mut last = i16::MIN;
        for sample in i16::MIN..=i16::MAX {
            let byte = law.compress(sample);
            let value = law.expand(byte);
            assert!(value >= last, "{law:?} {sample}");
            last = value;
            let (segment, clipped) = match law {
                Law::Mu => (!byte >> 4 & 7, sample.unsigned_abs() > 32_635),
                Law::A => ((byte ^ 0x55) >> 4 & 7, false),
            };
            let half = match law {
                Law::Mu => 4 << segment,
                Law::A => 8 << segment.saturating_sub(1),
            };
            let away = (i32::from(value) - i32::from(sample)).abs();
            assert!(away <= half || clipped, "{law:?} {sample}: {away}");
        }
    }
}

#[test]
fn the_first_packet_and_those_after_a_gap_have_the_marker() {
    let mut packetizer = g711::Packetizer::new();
    let samples = noise(160, 1);
    let mut depacketizer = g711::Depacketizer::new(Limits::default());
    for (timestamp, marker) in
        [(u32::MAX - 159, true), (0, false), (160, false), (480, true), (640, false), (640, true)]
    {
        let mut single = packetizer.frame(&samples, timestamp, 160).unwrap();
        let sent = send(160, |out| single.write(out));
        assert_eq!(sent, [(samples.clone(), marker)], "{timestamp}");
        let (_, frames) = receive!(depacketizer, intact(&sent, timestamp));
        let frame = frames[0].as_ref().unwrap();
        assert_eq!((&frame.bytes, frame.timestamp), (&samples, timestamp));
    }
    assert_eq!(packetizer.frame(&samples, 0, 159).unwrap_err(), FrameError::Indivisible);
    assert_eq!(packetizer.frame(&[], 0, 159).unwrap_err(), FrameError::Empty);
    assert_eq!(depacketizer.handle_payload(payload(&[], 0, false, false)), Err(Discard::Empty));
    assert_eq!(g711::outline(&[]), Err(Discard::Empty));
}

#[test]
fn g_722_counts_a_byte_as_a_tick() {
    // 20 ms: 320 samples, 160 bytes, 160 ticks.
    assert_eq!((g722::ticks(320), g722::samples(160)), (160, 320));
    assert_eq!((g722::CLOCK_RATE, g722::SAMPLE_RATE), (8000, 16_000));
    let mut packetizer = g722::Packetizer::new();
    for (timestamp, marker) in [(7, true), (167, false), (327, false), (647, true)] {
        let mut single = packetizer.frame(&[1; 160], timestamp, 200).unwrap();
        assert_eq!(send(200, |out| single.write(out)), [(vec![1; 160], marker)]);
    }
}

#[test]
fn comfort_noise_is_a_level_and_reflections() {
    let decoded = ComfortNoise::decode(&[0xc0, 127, 254, 0, 128, 255]).unwrap();
    assert_eq!(decoded.level(), 0x40);
    let reflections: Vec<i16> = decoded.reflections().collect();
    assert_eq!(reflections, [0, 127 * 258, -127 * 258, 258, 127 * 258]);
    let mut memory = [0; 8];
    let mut out = Writer::new(&mut memory);
    let noise = ComfortNoise::new(0x40, &[127, 254]).unwrap();
    let written = noise.encode(&mut out).unwrap();
    assert_eq!((out.written(), written.len, written.marker), (&[0x40, 127, 254][..], 3, false));
    assert_eq!(ComfortNoise::decode(out.written()), Ok(noise));
    assert_eq!(ComfortNoise::new(128, &[]), None);
    assert_eq!(ComfortNoise::decode(&[]), Err(Discard::Empty));
    assert!(noise.encode(&mut Writer::new(&mut [0; 2])).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn reflections_get_the_closest_byte(reflection: i16) {
        let byte = ComfortNoise::quantize(reflection);
        let noise = [byte];
        let back = ComfortNoise::new(0, &noise).unwrap().reflections().next().unwrap();
        let reachable = i32::from(reflection).clamp(-127 * 258, 127 * 258);
        prop_assert!((i32::from(back) - reachable).abs() <= 129);
    }
}
