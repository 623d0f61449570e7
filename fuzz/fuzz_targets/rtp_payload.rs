//! Payload formats. The first byte says which one; the rest is payloads, each behind a byte of its length and one of its packet.
//! Nothing panics, what is kept stays within its limits, what is rewritten keeps its length and its meaning, and frames that came out
//! can be sent again and come out alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::{NoSpace, Writer};
use rtp::payload::opaque::Structure;
use rtp::payload::{
    Broken, Discard, Frame, Framing, Limits, Payload, PictureId, Written, av1, comfort_noise, g711, h264,
    h265, opus, red, telephone_event, vp8, vp9,
};

fuzz_target!(|input: &[u8]| {
    let Some((format, rest)) = input.split_first() else { return };
    let mut limits = Limits::default();
    limits.max_packets = 64;
    limits.max_bytes = 4096;
    limits.max_waiting = 4;
    let framing = if format & 0x80 == 0 { Framing::AnnexB } else { Framing::Length };
    match format & 0x0f {
        0 => vp8(rest, limits),
        1 => vp9(rest, limits),
        2 => av1(rest, limits),
        3 => h264(rest, limits, framing),
        4 => h265(rest, limits, framing),
        5 => audio(rest, limits),
        6 => red(rest, limits),
        7 => events(rest),
        _ => frames(rest, framing, *format >> 4 & 7),
    }
});

/// The payloads of a sequence: of each a length, and a byte with its marker, loss before it, and the step of its timestamp.
fn sequence(mut bytes: &[u8]) -> impl Iterator<Item = Payload<'_>> {
    let mut timestamp = 0_u32;
    std::iter::from_fn(move || {
        let [len, packet, rest @ ..] = bytes else { return None };
        let (payload, rest) = rest.split_at(rest.len().min((*len).into()));
        bytes = rest;
        timestamp = timestamp.wrapping_add((packet >> 2 & 3).into());
        Some(Payload { bytes: payload, timestamp, marker: packet & 1 != 0, after_loss: packet & 2 != 0 })
    })
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

/// Hands all payloads over, polls now and then, and gives the frames that come out.
fn run(bytes: &[u8], depacketizer: &mut dyn Depacketizer) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for (at, payload) in sequence(bytes).enumerate() {
        let waits = depacketizer.take(payload) == Err(Discard::Unread);
        if waits || at % 3 == 0 {
            while let Some(frame) = depacketizer.frame() {
                frames.extend(frame.map(|frame| frame.bytes.to_vec()));
            }
        }
        if waits {
            assert_ne!(depacketizer.take(payload), Err(Discard::Unread), "it was drained");
        }
    }
    while let Some(frame) = depacketizer.frame() {
        frames.extend(frame.map(|frame| frame.bytes.to_vec()));
    }
    assert!(frames.iter().all(|frame| !frame.is_empty() && frame.len() <= 4096));
    frames
}

/// Sends a frame, and takes it again.
fn again(
    depacketizer: &mut dyn Depacketizer,
    max: usize,
    mut write: impl FnMut(&mut Writer<'_>) -> Result<Option<Written>, NoSpace>,
) -> Vec<u8> {
    let mut memory = vec![0; max];
    loop {
        let mut out = Writer::new(&mut memory);
        let written = write(&mut out).expect("room").expect("a last one with the marker");
        let payload =
            Payload { bytes: out.written(), timestamp: 7, marker: written.marker, after_loss: false };
        depacketizer.take(payload).expect("our own");
        if written.marker {
            assert!(write(&mut Writer::new(&mut [0; 100])).expect("nothing").is_none());
            return depacketizer.frame().expect("a frame").expect("a whole one").bytes.to_vec();
        }
    }
}

fn vp8(bytes: &[u8], limits: Limits) {
    for payload in sequence(bytes) {
        let _ = vp8::outline(payload.bytes);
        let mut copy = payload.bytes.to_vec();
        let new = vp8::Rewrite { picture_id: Some(0x1234), tl0_pic_idx: Some(7), key_idx: Some(3) };
        let changed = vp8::rewrite(&mut copy, new);
        let before = vp8::Descriptor::decode(payload.bytes);
        assert_eq!(changed.is_ok(), before.is_ok());
        if let Ok((descriptor, data)) = before {
            let (after, rest) = vp8::Descriptor::decode(&copy).expect("still one");
            assert_eq!(data, rest);
            assert_eq!(after.temporal, descriptor.temporal);
            assert_eq!(after.key_idx, descriptor.key_idx.map(|_| 3));
        }
    }
    for frame in run(bytes, &mut vp8::Depacketizer::new(limits)) {
        let mut packetizer = vp8::Packetizer::new(PictureId::Long(1));
        let mut payloads = packetizer.frame(&frame, vp8::Layer::default(), 100).expect("a frame");
        let mut depacketizer = vp8::Depacketizer::new(Limits::default());
        assert_eq!(again(&mut depacketizer, 100, |out| payloads.write(out)), frame);
    }
}

fn vp9(bytes: &[u8], limits: Limits) {
    for payload in sequence(bytes) {
        let _ = vp9::outline(payload.bytes);
        let mut copy = payload.bytes.to_vec();
        let new = vp9::Rewrite { picture_id: Some(0x1234), tl0_pic_idx: Some(7), ..vp9::Rewrite::default() };
        let _ = vp9::rewrite(&mut copy, new);
        if let Ok((descriptor, data)) = vp9::Descriptor::decode(payload.bytes) {
            let mut memory = [0; 1200];
            let mut out = Writer::new(&mut memory);
            descriptor.encode(&mut out).expect("as long as it was");
            assert_eq!(out.len(), descriptor.encoded_len());
            out.put(data).expect("room");
            assert_eq!(vp9::Descriptor::decode(out.written()), Ok((descriptor, data)));
            assert_eq!(vp9::Descriptor::decode(&copy).expect("still one").1, data);
        }
    }
    for frame in run(bytes, &mut vp9::Depacketizer::new(limits)) {
        let mut packetizer = vp9::Packetizer::new(PictureId::Long(1), false);
        let mut payloads = packetizer.frame(&frame, vp9::LayerFrame::of(&frame), 100).expect("a frame");
        let mut depacketizer = vp9::Depacketizer::new(Limits::default());
        assert_eq!(again(&mut depacketizer, 100, |out| payloads.write(out)), frame);
    }
}

/// What a frame holds comes back out of one that holds the same, and holds all of that frame.
fn opaque(structure: Structure, frame: &[u8]) {
    let (mut content, mut wrapped, mut again) = (Vec::new(), Vec::new(), Vec::new());
    let seen = structure.unwrap(frame, &mut content);
    for content in [&content[..], frame] {
        let visible = structure.wrap(frame, content, &mut wrapped);
        assert!(seen.is_none() || seen == visible);
        assert_eq!(structure.unwrap(&wrapped, &mut again), visible);
        assert!(visible.is_none() || again == content);
    }
}

fn av1(bytes: &[u8], limits: Limits) {
    opaque(Structure::Av1, bytes);
    sequence(bytes).for_each(|payload| _ = av1::outline(payload.bytes));
    for frame in run(bytes, &mut av1::Depacketizer::new(limits)) {
        let mut packetizer = av1::Packetizer::new();
        let mut payloads = packetizer.frame(&frame, 50).expect("a temporal unit");
        let mut depacketizer = primed(av1::Depacketizer::new(Limits::default()), &[0x18, 0x30, 0x10]);
        let once = again(&mut depacketizer, 50, |out| payloads.write(out));
        // Sizes that were longer than need be stay so, as they came with their OBUs, but not on the way.
        let mut payloads = packetizer.frame(&once, 70).expect("a temporal unit");
        let mut depacketizer = primed(av1::Depacketizer::new(Limits::default()), &[0x18, 0x30, 0x10]);
        assert_eq!(again(&mut depacketizer, 70, |out| payloads.write(out)), once);
    }
}

/// One that has had a frame before, so that what follows without loss is known to be whole.
fn primed<D: Depacketizer>(mut depacketizer: D, first: &[u8]) -> D {
    let payload = Payload { bytes: first, timestamp: 1, marker: true, after_loss: false };
    depacketizer.take(payload).expect("a whole frame");
    assert!(depacketizer.frame().is_some_and(|frame| frame.is_ok()));
    depacketizer
}

fn h264(bytes: &[u8], limits: Limits, framing: Framing) {
    opaque(Structure::H264, bytes);
    sequence(bytes).for_each(|payload| _ = h264::outline(payload.bytes));
    for frame in run(bytes, &mut h264::Depacketizer::new(framing, limits)) {
        send_h264(&frame, framing, 50, framing == Framing::Length);
    }
}

/// What came from a peer may have start codes within units, which annex B then shows as more units.
fn send_h264(frame: &[u8], framing: Framing, max: usize, same: bool) {
    let mut packetizer = h264::Packetizer::new(h264::Mode::NonInterleaved, framing);
    let Ok(mut payloads) = packetizer.frame(frame, max) else { return };
    let mut depacketizer = primed(h264::Depacketizer::new(framing, Limits::default()), &[0x41, 0x9a]);
    let mut memory = vec![0; max];
    loop {
        let mut out = Writer::new(&mut memory);
        let Some(written) = payloads.write(&mut out).expect("room") else { break };
        let payload =
            Payload { bytes: out.written(), timestamp: 7, marker: written.marker, after_loss: false };
        let taken = depacketizer.take(payload);
        if taken.is_err() {
            return;
        }
    }
    if let (Some(Ok(out)), true) = (depacketizer.frame(), same) {
        assert_eq!(out.bytes, frame);
    }
}

fn h265(bytes: &[u8], limits: Limits, framing: Framing) {
    opaque(Structure::H265, bytes);
    sequence(bytes).for_each(|payload| _ = h265::outline(payload.bytes));
    for frame in run(bytes, &mut h265::Depacketizer::new(framing, limits)) {
        send_h265(&frame, framing, 50);
    }
}

fn send_h265(frame: &[u8], framing: Framing, max: usize) {
    let mut packetizer = h265::Packetizer::new(framing);
    let Ok(mut payloads) = packetizer.frame(frame, max) else { return };
    let mut memory = vec![0; max];
    let mut out = Writer::new(&mut memory);
    while payloads.write(&mut out).expect("room").is_some() {
        let _ = h265::outline(out.written());
        out.truncate(0);
    }
}

fn audio(bytes: &[u8], limits: Limits) {
    for payload in sequence(bytes) {
        let _ = (opus::outline(payload.bytes), g711::outline(payload.bytes));
        if let Ok(toc) = opus::Toc::decode(payload.bytes) {
            assert!((120..=5760).contains(&toc.duration()));
        }
        if let Ok(noise) = comfort_noise::ComfortNoise::decode(payload.bytes) {
            assert_eq!(noise.reflections().count() + 1, payload.bytes.len());
        }
    }
    run(bytes, &mut opus::Depacketizer::new(limits));
    run(bytes, &mut g711::Depacketizer::new(limits));
}

fn red(bytes: &[u8], limits: Limits) {
    for payload in sequence(bytes) {
        let mut copy = payload.bytes.to_vec();
        let mapped = red::map_payload_types(&mut copy, |old| Some(old ^ 1));
        if let Ok(blocks) = red::blocks(payload.bytes) {
            mapped.expect("all have a new one");
            let after = red::blocks(&copy).expect("still one");
            assert!(
                blocks.eq(after.map(|block| red::Block { payload_type: block.payload_type ^ 1, ..block }))
            );
        }
    }
    run(bytes, &mut red::Depacketizer::new(111, limits));
}

fn events(bytes: &[u8]) {
    let mut depacketizer = telephone_event::Depacketizer::new();
    let mut open = false;
    for payload in sequence(bytes) {
        let _ = depacketizer.handle_payload(payload);
        while let Some(change) = depacketizer.poll_change() {
            let begins = matches!(change, telephone_event::Change::Began { .. });
            assert_ne!(begins, open, "begins and ends take turns");
            open = begins;
        }
    }
}

/// Any bytes as frames.
fn frames(bytes: &[u8], framing: Framing, max: u8) {
    let max = usize::from(max) * 20 + 2;
    send_h264(bytes, framing, max, false);
    send_h265(bytes, framing, max);
    if let Ok(mut payloads) = av1::Packetizer::new().frame(bytes, max) {
        let mut memory = vec![0; max];
        let mut out = Writer::new(&mut memory);
        while payloads.write(&mut out).expect("room").is_some() {
            av1::outline(out.written()).expect("our own");
            out.truncate(0);
        }
    }
}
