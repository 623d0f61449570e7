//! Frames of every codec, sent and received.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use media::{Codec, Content, Format, OutgoingFrame, ReceiverConfig, ReceiverId, Rtp, SenderConfig};
use media::{FrameCipherSuite, FrameDecryptor, FrameDecryptorConfig, FrameEncryptor};
use proto::Writer;
use rtp::PacketMut;
use support::{opus, pt, rtp, vp8};
use testkit::epoch;

/// Sends frames over a link that loses nothing, and gives those that come out; with a key nobody else could have read them.
fn pass(codec: Codec, frames: &[Vec<u8>], step: u32, key: Option<&[u8]>) -> Vec<Vec<u8>> {
    let (mut alice, mut bob): (Rtp, Rtp) = (rtp("alice", 1), rtp("bob", 2));
    let mut config = SenderConfig::default();
    (config.codec, config.payload_type, config.max_packet) = (codec, pt(96), 400);
    let sender = alice.add_sender(config).unwrap();
    let mut config = ReceiverConfig::default();
    (config.formats, config.probation) = (vec![(pt(96), Format::Media(codec))], 0);
    bob.add_receiver(config).unwrap();
    if let Some(key) = key {
        let (suite, provider) = (FrameCipherSuite::Aes128GcmSha256_128, crypto::rust_crypto());
        let encryptor = FrameEncryptor::with_provider(provider, suite, 0, key).unwrap();
        alice.sender(sender).unwrap().set_transform(Some(Box::new(encryptor)));
        let decryptor = FrameDecryptor::with_provider(provider, suite, FrameDecryptorConfig::default());
        decryptor.add_key(0, key).unwrap();
        bob.receiver(ReceiverId(0)).unwrap().set_transform(Some(Box::new(decryptor)));
    }
    let (mut now, mut out) = (epoch(), Vec::new());
    for number in 0..frames.len() + 10 {
        if let Some(bytes) = frames.get(number) {
            let timestamp = u32::try_from(number).unwrap() * step;
            let frame = OutgoingFrame { bytes, timestamp, ..OutgoingFrame::default() };
            alice.sender(sender).unwrap().send_frame(now, 0, &frame).unwrap();
        }
        let mut memory = [0; 1500];
        loop {
            let mut writer = Writer::new(&mut memory);
            if !alice.poll_rtp(now, &mut writer) {
                break;
            }
            let len = writer.len();
            assert!(len <= 400);
            bob.handle_rtp(now, None, PacketMut::decode(&mut memory, len).unwrap()).unwrap();
        }
        while let Some(frame) = bob.receiver(ReceiverId(0)).unwrap().poll_frame(now) {
            let Content::Media { bytes, .. } = frame.content else { panic!("nothing is missing") };
            out.push(bytes.to_vec());
        }
        now += Duration::from_millis(20);
    }
    out
}

#[test]
fn frames_of_every_codec_come_out_as_they_went_in() {
    let rtp_clock = |codec: Codec| codec.clock_rate() / 50;
    let sounds: Vec<Vec<u8>> = (0..20).map(opus).collect();
    let samples: Vec<Vec<u8>> = (0..20).map(|number| vec![number; 160]).collect();
    for (codec, frames) in [
        (Codec::Opus, &sounds),
        (Codec::G711, &samples),
        (Codec::G722, &samples),
        (Codec::OtherAudio { clock_rate: 16_000 }, &samples),
        (Codec::RedundantAudio { primary: pt(111), clock_rate: 48_000 }, &sounds),
    ] {
        for key in [None, Some(&b"of both ends"[..])] {
            assert_eq!(&pass(codec, frames, rtp_clock(codec), key), frames, "{codec:?} {key:?}");
        }
        assert!(!codec.is_video());
    }
    let pictures: Vec<Vec<u8>> = (0..20).map(|number| vp8(number, number == 0, 1500)).collect();
    // VP9: a marker, profile 0, and whether the frame is shown and a key frame.
    let vp9: Vec<Vec<u8>> = (0..20_u8)
        .map(|number| [vec![if number == 0 { 0x82 } else { 0x86 }], vec![number; 1200]].concat())
        .collect();
    // H.264: parameter sets and a picture, then pictures.
    let h264: Vec<Vec<u8>> = (0..20_u8)
        .map(|number| {
            let slice = |kind: u8| [&[0, 0, 0, 1, kind][..], &vec![number | 0x80; 1200]].concat();
            if number == 0 {
                let sets =
                    [&[0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 9][..], &[0, 0, 0, 1, 0x68, 0xce, 9]].concat();
                [sets, slice(0x65)].concat()
            } else {
                slice(0x41)
            }
        })
        .collect();
    // H.265: parameter sets and a picture, then pictures.
    let h265: Vec<Vec<u8>> = (0..20_u8)
        .map(|number| {
            let unit =
                |kind: u8, len: usize| [&[0, 0, 0, 1, kind << 1, 1][..], &vec![number | 0x80; len]].concat();
            if number == 0 {
                [unit(32, 10), unit(33, 10), unit(34, 10), unit(19, 1200)].concat()
            } else {
                unit(1, 1200)
            }
        })
        .collect();
    // AV1: a sequence header and a frame with its header, then frames.
    let av1: Vec<Vec<u8>> = (0..20_u8)
        .map(|number| {
            let obu = |first: u8, len: u8| {
                [&[0x32, 0x81 + len, 9, first][..], &vec![number; 1152 + usize::from(len)]].concat()
            };
            if number == 0 { [vec![0x0a, 2, 7, 7], obu(0x10, 60)].concat() } else { obu(0x30, 90) }
        })
        .collect();
    for (codec, frames) in [
        (Codec::Vp8, &pictures),
        (Codec::Vp9, &vp9),
        (Codec::H264, &h264),
        (Codec::H265, &h265),
        (Codec::Av1, &av1),
        (Codec::OtherVideo { clock_rate: 90_000 }, &samples),
    ] {
        for key in [None, Some(&b"of both ends"[..])] {
            assert_eq!(&pass(codec, frames, rtp_clock(codec), key), frames, "{codec:?} {key:?}");
        }
        assert!(codec.is_video());
    }
}
