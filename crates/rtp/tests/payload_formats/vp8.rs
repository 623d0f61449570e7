use proptest::prelude::*;
use proto::Writer;
use rtp::payload::vp8::{
    Depacketizer, Descriptor, Layer, Packetizer, Rewrite, Temporal, dimensions, outline, rewrite,
};
use rtp::payload::{Discard, FrameError, Limits, PictureId, Reason};

use crate::support::{Kept, broken, intact, noise, payload, receive, send};

fn depacketizer() -> Depacketizer {
    Depacketizer::new(Limits::default())
}

fn encoded(descriptor: &Descriptor) -> Vec<u8> {
    let mut memory = [0; 8];
    let mut out = Writer::new(&mut memory);
    descriptor.encode(&mut out).unwrap();
    out.written().to_vec()
}

#[test]
fn descriptors_have_the_octets_of_the_rfc() {
    let plain = Descriptor { partition_start: true, ..Descriptor::default() };
    let cases: [(Descriptor, &[u8]); 8] = [
        (plain, &[0x10]),
        (Descriptor { non_reference: true, partition: 5, partition_start: false, ..plain }, &[0x25]),
        (Descriptor { picture_id: Some(PictureId::Short(0x11)), ..plain }, &[0x90, 0x80, 0x11]),
        (Descriptor { picture_id: Some(PictureId::Long(0x1234)), ..plain }, &[0x90, 0x80, 0x92, 0x34]),
        // RFC 7741 §4.2: TL0PICIDX comes with TID.
        (
            Descriptor { tl0_pic_idx: Some(7), temporal: Some(Temporal::default()), ..plain },
            &[0x90, 0x60, 7, 0],
        ),
        (Descriptor { temporal: Some(Temporal { layer: 2, sync: true }), ..plain }, &[0x90, 0x20, 0xa0]),
        (Descriptor { key_idx: Some(0x1f), ..plain }, &[0x90, 0x10, 0x1f]),
        (
            Descriptor {
                picture_id: Some(PictureId::Long(1)),
                tl0_pic_idx: Some(2),
                temporal: Some(Temporal { layer: 1, sync: false }),
                key_idx: Some(3),
                ..plain
            },
            &[0x90, 0xf0, 0x80, 1, 2, 0x43],
        ),
    ];
    for (descriptor, octets) in cases {
        assert_eq!(encoded(&descriptor), octets);
        let whole = [octets, &[0xaa]].concat();
        assert_eq!(Descriptor::decode(&whole), Ok((descriptor, &[0xaa][..])));
        for len in 1..octets.len() {
            assert_eq!(Descriptor::decode(&octets[..len]).unwrap_err(), Discard::Truncated);
        }
        assert_eq!(Descriptor::decode(octets).unwrap_err(), Discard::Empty);
    }
    assert_eq!(Descriptor::decode(&[]).unwrap_err(), Discard::Empty);
    let lonely = Descriptor { tl0_pic_idx: Some(7), ..plain };
    assert_eq!(encoded(&lonely), [0x90, 0x60, 7, 0]);
}

#[test]
fn reserved_bits_and_the_layer_without_its_flag_are_ignored() {
    // R of both octets, the bit of the extension that is reserved, and TID and Y where T is not set.
    let (descriptor, data) = Descriptor::decode(&[0xd8, 0x1f, 0xe3, 1]).unwrap();
    assert_eq!(descriptor.temporal, None);
    assert_eq!(descriptor.key_idx, Some(3));
    assert_eq!((descriptor.partition, data), (0, &[1][..]));
}

#[test]
fn a_frame_comes_out_as_it_went_in_at_every_length_of_payloads() {
    let mut packetizer = Packetizer::new(PictureId::Long(0x7ffe));
    let mut depacketizer = depacketizer();
    let frame = noise(4000, 1);
    for max in 200..=1500 {
        let sent = send(max, {
            let mut payloads = packetizer.frame(&frame, Layer::default(), max).unwrap();
            move |out| payloads.write(out)
        });
        assert_eq!(sent.len(), 4000_usize.div_ceil(max - 4));
        let (_, frames) = receive!(depacketizer, intact(&sent, max as u32));
        let expected =
            Kept { bytes: frame.clone(), timestamp: max as u32, packets: sent.len(), key: frame[0] & 1 == 0 };
        assert_eq!(frames, [Ok(expected)]);
        for (at, (bytes, marker)) in sent.iter().enumerate() {
            let (descriptor, _) = Descriptor::decode(bytes).unwrap();
            assert_eq!(descriptor.starts_frame(), at == 0);
            assert_eq!(*marker, at == sent.len() - 1);
        }
    }
}

#[test]
fn pictures_are_numbered_by_one_and_wrap() {
    for (first, then) in
        [(PictureId::Short(0x7f), PictureId::Short(0)), (PictureId::Long(0x7fff), PictureId::Long(0))]
    {
        let mut packetizer = Packetizer::new(first);
        for id in [first, then, then.next()] {
            let mut payloads = packetizer.frame(&[0; 100], Layer::default(), 50).unwrap();
            for (bytes, _) in send(50, |out| payloads.write(out)) {
                assert_eq!(Descriptor::decode(&bytes).unwrap().0.picture_id, Some(id));
            }
        }
    }
}

#[test]
fn the_lowest_layer_counts_tl0picidx_on() {
    let mut packetizer = Packetizer::new(PictureId::Short(0));
    let mut indices = Vec::new();
    for layer in [0, 2, 1, 2, 0, 1] {
        let layer = Layer { temporal: Some(Temporal { layer, sync: false }), non_reference: layer == 2 };
        let mut payloads = packetizer.frame(&[0; 10], layer, 100).unwrap();
        for (bytes, _) in send(100, |out| payloads.write(out)) {
            let (descriptor, _) = Descriptor::decode(&bytes).unwrap();
            assert_eq!(
                (descriptor.temporal, descriptor.non_reference),
                (layer.temporal, layer.non_reference)
            );
            indices.push(descriptor.tl0_pic_idx.unwrap());
        }
    }
    assert_eq!(indices, [1, 1, 1, 1, 2, 2]);
}

#[test]
fn frames_that_cannot_be_sent_are_refused_and_not_counted() {
    let mut packetizer = Packetizer::new(PictureId::Long(5));
    assert_eq!(packetizer.frame(&[], Layer::default(), 100).unwrap_err(), FrameError::Empty);
    assert_eq!(packetizer.frame(&[1], Layer::default(), 4).unwrap_err(), FrameError::PayloadTooSmall);
    let layer = Layer { temporal: Some(Temporal { layer: 4, sync: false }), non_reference: false };
    assert_eq!(packetizer.frame(&[1], layer, 100).unwrap_err(), FrameError::OutOfRange);
    let mut payloads = packetizer.frame(&[1, 2], Layer::default(), 5).unwrap();
    let sent = send(5, |out| payloads.write(out));
    assert_eq!(sent, [(vec![0x90, 0x80, 0x80, 5, 1], false), (vec![0x80, 0x80, 0x80, 5, 2], true)]);
}

#[test]
fn a_frame_of_which_a_packet_is_missing_is_broken_and_the_next_is_whole() {
    let mut packetizer = Packetizer::new(PictureId::Long(0));
    let frames: Vec<Vec<u8>> = (0..3).map(|seed| noise(1000, seed)).collect();
    let sent: Vec<Vec<_>> = frames
        .iter()
        .map(|frame| {
            let mut payloads = packetizer.frame(frame, Layer::default(), 300).unwrap();
            send(300, |out| payloads.write(out))
        })
        .collect();
    for missing in 0..4 {
        let mut packets = Vec::new();
        for (at, sent) in sent.iter().enumerate() {
            packets.extend(intact(sent, at as u32));
        }
        packets.remove(4 + missing);
        packets[4 + missing].3 = true;
        let mut depacketizer = depacketizer();
        let (_, out) = receive!(depacketizer, packets);
        assert_eq!(out.len(), 3, "{out:?}");
        assert_eq!(out[0].as_ref().unwrap().bytes, frames[0]);
        assert_eq!(out[1], broken(1, Reason::Lost));
        assert_eq!(out[2].as_ref().unwrap().bytes, frames[2]);
        assert_eq!(depacketizer.stats().broken, 1);
    }
}

#[test]
fn a_frame_that_does_not_end_is_broken_when_the_next_begins() {
    let mut depacketizer = depacketizer();
    let packets = [
        (&[0x10, 0, 1][..], 1, false, false),
        (&[0x10, 0, 2], 2, true, false),
        (&[], 3, true, false),
        (&[0x00, 7], 4, false, false),
        (&[0x00, 7], 4, true, false),
        (&[0x10, 0, 3], 5, true, false),
    ];
    let (results, out) = receive!(depacketizer, packets);
    assert_eq!(
        results,
        [Ok(()), Ok(()), Err(Discard::Empty), Err(Discard::NoStart), Err(Discard::BrokenFrame), Ok(())]
    );
    assert_eq!(out[0], broken(1, Reason::Unfinished));
    assert_eq!(out[1].as_ref().unwrap().bytes, [0, 2]);
    assert_eq!(out[2], broken(3, Reason::Unreadable(Discard::Empty)));
    assert_eq!(out[3], broken(4, Reason::Lost));
    assert_eq!(out[4].as_ref().unwrap().bytes, [0, 3]);
}

#[test]
fn loss_that_nothing_follows_is_told_at_once() {
    let mut depacketizer = depacketizer();
    depacketizer.handle_payload(payload(&[0x10, 0], 1, false, false)).unwrap();
    depacketizer.handle_loss();
    assert_eq!(depacketizer.poll_frame().unwrap().unwrap_err().reason, Reason::Lost);
    assert!(depacketizer.poll_frame().is_none());
}

#[test]
fn a_payload_shows_key_frames_and_layers() {
    let key = [0x90, 0xe0, 0x80, 1, 2, 0x40, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x41];
    let shown = outline(&key).unwrap();
    assert!(shown.starts_frame && shown.key_frame && !shown.switching_point && !shown.discardable);
    assert_eq!((shown.temporal, shown.spatial), (Some(1), None));
    assert_eq!(dimensions(&key[6..]), Some((640, 480)));
    assert_eq!(dimensions(&key[6..15]), None);
    // Another frame; the middle of a key frame; a later partition.
    assert!(!outline(&[0x10, 0x11]).unwrap().key_frame);
    assert!(!outline(&[0x00, 0x10]).unwrap().key_frame);
    assert!(!outline(&[0x31, 0x10]).unwrap().key_frame);
    let shown = outline(&[0xa0, 0x20, 0xe0, 1]).unwrap();
    assert!(shown.discardable && shown.switching_point && !shown.starts_frame);
}

#[test]
fn forwarders_write_numbers_over_in_place() {
    let new = Rewrite { picture_id: Some(0x1234), tl0_pic_idx: Some(9), key_idx: Some(0x15) };
    let mut long = [0x90, 0xf0, 0x80, 1, 2, 0x63, 0xaa];
    rewrite(&mut long, new).unwrap();
    assert_eq!(long, [0x90, 0xf0, 0x92, 0x34, 9, 0x75, 0xaa]);
    let mut short = [0x90, 0x80, 0x11, 0xaa];
    rewrite(&mut short, new).unwrap();
    assert_eq!(short, [0x90, 0x80, 0x34, 0xaa]);
    for untouched in [vec![0x10, 0xaa], vec![0x90, 0x20, 0xc0, 0xaa]] {
        let mut bytes = untouched.clone();
        rewrite(&mut bytes, new).unwrap();
        assert_eq!(bytes, untouched);
    }
    assert_eq!(rewrite(&mut [0x90, 0x80, 0x80], new), Err(Discard::Truncated));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_payload_is_taken_or_refused(payloads: Vec<(Vec<u8>, u8, bool, bool)>) {
        let mut depacketizer = depacketizer();
        for (mut bytes, timestamp, marker, after_loss) in payloads {
            let _ = outline(&bytes);
            let len = bytes.len();
            let before = Descriptor::decode(&bytes).map(|(descriptor, _)| descriptor);
            let _ = rewrite(&mut bytes, Rewrite::default());
            prop_assert_eq!(bytes.len(), len);
            prop_assert_eq!(Descriptor::decode(&bytes).map(|(descriptor, _)| descriptor), before);
            let _ = depacketizer.handle_payload(payload(&bytes, (timestamp / 64).into(), marker, after_loss));
            while depacketizer.poll_frame().is_some() {}
        }
    }

    #[test]
    fn descriptors_survive(first: u8, extension: u8, octets: [u8; 4]) {
        let bytes = [&[first, extension][..], &octets, &[1]].concat();
        let (descriptor, _) = Descriptor::decode(&bytes).unwrap();
        let again = [encoded(&descriptor), vec![1]].concat();
        let (decoded, _) = Descriptor::decode(&again).unwrap();
        // A TL0PICIDX without TID, which the RFC forbids, gets one.
        let temporal = descriptor.temporal.or_else(|| descriptor.tl0_pic_idx.map(|_| Temporal::default()));
        prop_assert_eq!(decoded, Descriptor { temporal, ..descriptor });
    }
}
