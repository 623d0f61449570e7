//! Nothing is allocated for a payload once things have warmed up, in either direction.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use proto::{NoSpace, Writer};
use rtp::payload::{
    Framing, Limits, Payload, PictureId, Written, av1, g711, h264, h265, opus, red, vp8, vp9,
};

/// Sends `frames` with `send` through `receive`, and says how many allocations the second half of them took.
fn allocations(mut turn: impl FnMut(u32)) -> u64 {
    (0..20).for_each(&mut turn);
    allocation_counter::measure(|| (20..40).for_each(&mut turn)).count_total
}

/// Hands over every payload that `write` makes, in the same memory.
fn each(
    memory: &mut [u8],
    mut write: impl FnMut(&mut Writer<'_>) -> Result<Option<Written>, NoSpace>,
    mut take: impl FnMut(&[u8], bool),
) {
    loop {
        let mut out = Writer::new(memory);
        let Some(written) = write(&mut out).unwrap() else { return };
        take(out.written(), written.marker);
    }
}

macro_rules! assert_steady {
    ($packetizer:ident, $depacketizer:expr, |$timestamp:ident| $start:expr) => {{
        let mut depacketizer = $depacketizer;
        let mut memory = [0; 1200];
        let count = allocations(|$timestamp| {
            let mut payloads = $start.unwrap();
            let mut frames = 0;
            each(
                &mut memory,
                |out| payloads.write(out),
                |bytes, marker| {
                    let payload = Payload { bytes, timestamp: $timestamp, marker, after_loss: false };
                    depacketizer.handle_payload(payload).unwrap();
                    while let Some(frame) = depacketizer.poll_frame() {
                        frames += usize::from(frame.is_ok());
                    }
                },
            );
            assert_eq!(frames, 1);
        });
        assert_eq!(count, 0, stringify!($packetizer));
    }};
}

#[test]
fn payloads_of_video_allocate_nothing() {
    let limits = Limits::default();
    let frame = [0x91; 5000];
    let mut vp8 = vp8::Packetizer::new(PictureId::Long(0));
    let layer = vp8::Layer::default();
    assert_steady!(vp8, vp8::Depacketizer::new(limits), |_timestamp| vp8.frame(&frame, layer, 1200));
    let mut vp9 = vp9::Packetizer::new(PictureId::Long(0), false);
    vp9.set_structure(1, Some(&[vp9::Resolution { width: 16, height: 16 }]), None).unwrap();
    let about = vp9::LayerFrame::of(&frame);
    assert_steady!(vp9, vp9::Depacketizer::new(limits), |_timestamp| vp9.frame(&frame, about, 1200));
    let mut unit = vec![0x0a, 1, 0, 0x32, 0x88, 0x27];
    unit.extend_from_slice(&frame);
    let mut av1 = av1::Packetizer::new();
    assert_steady!(av1, av1::Depacketizer::new(limits), |_timestamp| av1.frame(&unit, 1200));

    let mut access_unit = vec![0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 1, 0, 0, 0, 1, 0x65];
    access_unit.extend_from_slice(&frame);
    let mut h264 = h264::Packetizer::new(h264::Mode::NonInterleaved, Framing::AnnexB);
    let receiver = h264::Depacketizer::new(Framing::AnnexB, limits);
    assert_steady!(h264, receiver, |_timestamp| h264.frame(&access_unit, 1200));
    let mut access_unit = vec![0, 0, 0, 1, 0x42, 1, 1, 0, 0, 0, 1, 0x26, 1];
    access_unit.extend_from_slice(&frame);
    let mut h265 = h265::Packetizer::new(Framing::AnnexB);
    let receiver = h265::Depacketizer::new(Framing::AnnexB, limits);
    assert_steady!(h265, receiver, |_timestamp| h265.frame(&access_unit, 1200));
}

#[test]
fn payloads_of_audio_allocate_nothing() {
    let limits = Limits::default();
    let packet = [8; 100];
    let mut opus = opus::Packetizer::new();
    assert_steady!(opus, opus::Depacketizer::new(limits), |timestamp| opus.frame(&packet, timestamp, 1200));
    let mut g711 = g711::Packetizer::new();
    assert_steady!(g711, g711::Depacketizer::new(limits), |timestamp| g711.frame(&packet, timestamp, 1200));
    let mut red = red::Packetizer::new(111, 2).unwrap();
    let receiver = red::Depacketizer::new(111, limits);
    assert_steady!(red, receiver, |timestamp| red.frame(&packet, timestamp, false, 1200));
}
