//! What is packetized and depacketized is what it was, whatever the length of the payloads.

use proto::{NoSpace, Writer};
use rtp::payload::opaque::Structure;
use rtp::payload::{
    Broken, Discard, Frame, Framing, Limits, Payload, PictureId, Written, av1, g711, g722, h264, h265, opus,
    red, vp8, vp9,
};

use crate::clips::{Codec, clip};

type Send<'a> = &'a mut dyn FnMut(&[u8], u32, usize) -> Vec<(Vec<u8>, bool)>;

/// The payloads that `write` makes.
pub(crate) fn payloads(
    max: usize,
    mut write: impl FnMut(&mut Writer<'_>) -> Result<Option<Written>, NoSpace>,
) -> Vec<(Vec<u8>, bool)> {
    let mut memory = vec![0; max];
    let mut all = Vec::new();
    loop {
        let mut out = Writer::new(&mut memory);
        let Some(written) = write(&mut out).expect("room for the length that was asked for") else {
            return all;
        };
        all.push((out.written().to_vec(), written.marker));
    }
}

trait Depacketizer {
    fn take(&mut self, payload: Payload<'_>) -> Result<(), Discard>;
    fn frame(&mut self) -> Option<Result<Frame<'_>, Broken>>;
}

macro_rules! depacketizers {
    ($($kind:ty),*) => {$(
        impl Depacketizer for $kind {
            fn take(&mut self, payload: Payload<'_>) -> Result<(), Discard> {
                self.handle_payload(payload)
            }

            fn frame(&mut self) -> Option<Result<Frame<'_>, Broken>> {
                self.poll_frame()
            }
        }
    )*};
}

depacketizers!(
    vp8::Depacketizer,
    vp9::Depacketizer,
    av1::Depacketizer,
    h264::Depacketizer,
    h265::Depacketizer,
    opus::Depacketizer,
    g711::Depacketizer,
    red::Depacketizer
);

/// Sends all frames at all lengths, and says how many of them are key frames.
fn check(frames: &[Vec<u8>], send: Send<'_>, depacketizer: &mut dyn Depacketizer) -> usize {
    let mut timestamp = 0_u32;
    let mut keys = 0;
    for max in 200..=1500 {
        for frame in frames {
            timestamp = timestamp.wrapping_add(960);
            let sent = send(frame, timestamp, max);
            for (bytes, marker) in &sent {
                let payload = Payload { bytes, timestamp, marker: *marker, after_loss: false };
                depacketizer.take(payload).unwrap();
            }
            let out = depacketizer.frame().expect("a frame").expect("a whole one");
            assert!(out.bytes == frame, "{} bytes, at most {max} in a payload", frame.len());
            assert_eq!((out.timestamp, out.packets), (timestamp, sent.len()));
            keys += usize::from(out.outline.key_frame && max == 200);
            assert!(depacketizer.frame().is_none());
        }
    }
    keys
}

/// Frames that hold these frames, as encryption from end to end makes them.
fn wrapped(structure: Structure, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut content = Vec::new();
    let wrap = |frame: &Vec<u8>| {
        let mut wrapped = Vec::new();
        let visible = structure.wrap(frame, frame, &mut wrapped).expect("a picture");
        assert_eq!(structure.unwrap(&wrapped, &mut content), Some(visible));
        assert_eq!(content, *frame);
        wrapped
    };
    frames.iter().map(wrap).collect()
}

#[test]
fn real_vp8_survives_every_length_of_payloads() {
    let Some(frames) = clip(Codec::Vp8) else { return };
    let mut packetizer = vp8::Packetizer::new(PictureId::Long(1));
    let mut send = |frame: &[u8], _, max| {
        let mut all = packetizer.frame(frame, vp8::Layer::default(), max).unwrap();
        payloads(max, |out| all.write(out))
    };
    assert_eq!(check(&frames, &mut send, &mut vp8::Depacketizer::new(Limits::default())), 2);
    assert_eq!(vp8::dimensions(&frames[0]), Some((480, 270)));
}

#[test]
fn real_vp9_survives_every_length_of_payloads() {
    let Some(frames) = clip(Codec::Vp9) else { return };
    let mut packetizer = vp9::Packetizer::new(PictureId::Long(1), false);
    let mut send = |frame: &[u8], _, max| {
        let mut all = packetizer.frame(frame, vp9::LayerFrame::of(frame), max).unwrap();
        payloads(max, |out| all.write(out))
    };
    assert_eq!(check(&frames, &mut send, &mut vp9::Depacketizer::new(Limits::default())), 2);
}

#[test]
fn real_av1_survives_every_length_of_payloads() {
    let Some(frames) = clip(Codec::Av1) else { return };
    let mut packetizer = av1::Packetizer::new();
    let mut send = |frame: &[u8], _, max| {
        let mut all = packetizer.frame(frame, max).unwrap();
        payloads(max, |out| all.write(out))
    };
    let mut depacketizer = av1::Depacketizer::new(Limits::default());
    assert_eq!(check(&frames, &mut send, &mut depacketizer), 2);
    assert_eq!(check(&wrapped(Structure::Av1, &frames), &mut send, &mut depacketizer), 2);
}

#[test]
fn real_h264_survives_every_length_of_payloads() {
    let Some(frames) = clip(Codec::H264) else { return };
    let mut packetizer = h264::Packetizer::new(h264::Mode::NonInterleaved, Framing::AnnexB);
    let mut send = |frame: &[u8], _, max| {
        let mut all = packetizer.frame(frame, max).unwrap();
        payloads(max, |out| all.write(out))
    };
    let mut depacketizer = h264::Depacketizer::new(Framing::AnnexB, Limits::default());
    assert_eq!(check(&frames, &mut send, &mut depacketizer), 2);
    assert_eq!(check(&wrapped(Structure::H264, &frames), &mut send, &mut depacketizer), 2);
}

#[test]
fn real_h265_survives_every_length_of_payloads() {
    let Some(frames) = clip(Codec::H265) else { return };
    let mut packetizer = h265::Packetizer::new(Framing::AnnexB);
    let mut send = |frame: &[u8], _, max| {
        let mut all = packetizer.frame(frame, max).unwrap();
        payloads(max, |out| all.write(out))
    };
    let mut depacketizer = h265::Depacketizer::new(Framing::AnnexB, Limits::default());
    let keys = check(&frames, &mut send, &mut depacketizer);
    assert!(keys >= 2);
    assert_eq!(check(&wrapped(Structure::H265, &frames), &mut send, &mut depacketizer), keys);
}

#[test]
fn real_audio_survives_every_length_of_payloads() {
    if let Some(frames) = clip(Codec::Opus) {
        let durations: Vec<u32> =
            frames.iter().map(|packet| opus::Toc::decode(packet).unwrap().duration()).collect();
        assert!(durations.iter().all(|ticks| *ticks == 960), "{durations:?}");
        let mut packetizer = opus::Packetizer::new();
        let mut send = |frame: &[u8], timestamp, max: usize| {
            let mut all = packetizer.frame(frame, timestamp, max.max(frame.len())).unwrap();
            payloads(max.max(frame.len()), |out| all.write(out))
        };
        check(&frames, &mut send, &mut opus::Depacketizer::new(Limits::default()));
        let mut packetizer = red::Packetizer::new(111, 2).unwrap();
        let mut send = |frame: &[u8], timestamp, max: usize| {
            let max = max.max(frame.len() + 1);
            let mut all = packetizer.frame(frame, timestamp, false, max).unwrap();
            payloads(max, |out| all.write(out))
        };
        check(&frames, &mut send, &mut red::Depacketizer::new(111, Limits::default()));
    }
    if let Some(frames) = clip(Codec::G722) {
        let mut packetizer = g722::Packetizer::new();
        let mut send = |frame: &[u8], timestamp, max| {
            let mut all = packetizer.frame(frame, timestamp, max).unwrap();
            payloads(max, |out| all.write(out))
        };
        check(&frames, &mut send, &mut g722::Depacketizer::new(Limits::default()));
    }
}
