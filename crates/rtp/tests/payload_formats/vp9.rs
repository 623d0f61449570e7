use proptest::prelude::*;
use proto::Writer;
use rtp::payload::vp9::{
    Depacketizer, Descriptor, GroupPicture, Layer, LayerFrame, Packetizer, References, Resolution, Rewrite,
    is_key_frame, outline, rewrite,
};
use rtp::payload::{Discard, FrameError, Limits, PictureId, Reason};

use crate::support::{Sent, broken, intact, noise, payload, receive, send};

fn encoded(descriptor: &Descriptor<'_>) -> Vec<u8> {
    let mut memory = [0; 1200];
    let mut out = Writer::new(&mut memory);
    descriptor.encode(&mut out).unwrap();
    assert_eq!(out.len(), descriptor.encoded_len());
    out.written().to_vec()
}

fn sent(packetizer: &mut Packetizer, frame: &[u8], about: LayerFrame, max: usize) -> Vec<Sent> {
    let mut payloads = packetizer.frame(frame, about, max).unwrap();
    send(max, |out| payloads.write(out))
}

fn depacketizer() -> Depacketizer {
    Depacketizer::new(Limits::default())
}

#[test]
fn descriptors_have_the_octets_of_the_rfc() {
    let plain = Descriptor { start: true, ..Descriptor::default() };
    let layer = Layer { temporal: 2, switching_up: true, spatial: 1, inter_layer: true };
    let cases: [(Descriptor<'_>, &[u8]); 6] = [
        (plain, &[0x08]),
        (Descriptor { end: true, start: false, not_for_higher: true, inter_picture: true, ..plain }, &[0x45]),
        (Descriptor { picture_id: Some(PictureId::Short(0x11)), ..plain }, &[0x88, 0x11]),
        (Descriptor { picture_id: Some(PictureId::Long(0x1234)), ..plain }, &[0x88, 0x92, 0x34]),
        (Descriptor { layer: Some(layer), tl0_pic_idx: Some(9), ..plain }, &[0x28, 0x53, 9]),
        (
            Descriptor {
                picture_id: Some(PictureId::Short(1)),
                layer: Some(layer),
                flexible: true,
                inter_picture: true,
                references: References::new(&[1, 2, 127]).unwrap(),
                ..plain
            },
            &[0xf8, 1, 0x53, 3, 5, 0xfe],
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
    // A picture that refers to itself; a fourth reference.
    for bad in [&[0xd8, 1, 0, 9][..], &[0xd8, 1, 3, 3, 3, 2, 9]] {
        assert_eq!(Descriptor::decode(bad).unwrap_err(), Discard::Malformed);
    }
}

#[test]
fn the_flag_of_the_flexible_mode_is_ignored_without_a_number() {
    let (descriptor, data) = Descriptor::decode(&[0x78, 0x20, 9, 0xaa]).unwrap();
    assert!(!descriptor.flexible && descriptor.references.is_empty());
    assert_eq!((descriptor.tl0_pic_idx, data), (Some(9), &[0xaa][..]));
    assert_eq!(Descriptor::decode(&[0x58, 3, 0xaa]).unwrap().1, [3, 0xaa]);
}

#[test]
fn a_structure_tells_resolutions_and_references() {
    let resolutions = [Resolution { width: 320, height: 180 }, Resolution { width: 640, height: 360 }];
    let group = [
        GroupPicture { temporal: 0, switching_up: false, references: References::new(&[4]).unwrap() },
        GroupPicture { temporal: 2, switching_up: true, references: References::new(&[1, 2, 3]).unwrap() },
    ];
    let mut packetizer = Packetizer::new(PictureId::Long(0), false);
    packetizer.set_structure(2, Some(&resolutions), Some(&group)).unwrap();
    let layer = Layer::default();
    let key = LayerFrame { layer: Some(layer), more: true, ..LayerFrame::default() };
    let first = sent(&mut packetizer, &[0x80; 40], key, 40);
    let structure: &[u8] = &[0x38, 1, 64, 0, 180, 2, 128, 1, 104, 2, 0x04, 4, 0x5c, 1, 2, 3];
    assert_eq!(first[0].0[..21], [&[0xaa, 0x80, 0, 0, 1], structure].concat());
    let (descriptor, _) = Descriptor::decode(&first[0].0).unwrap();
    let seen = descriptor.structure.unwrap();
    assert_eq!(seen.layers(), 2);
    assert!(seen.resolutions().eq(resolutions));
    assert!(seen.group().unwrap().eq(group));
    for len in 1..first[0].0.len() - 19 {
        assert_eq!(Descriptor::decode(&first[0].0[..len]).unwrap_err(), Discard::Truncated);
    }
    // It comes with the first packet of a key picture's lowest layer alone.
    let upper = Layer { spatial: 1, inter_layer: true, ..layer };
    let second = sent(&mut packetizer, &[0x80; 40], LayerFrame { layer: Some(upper), ..key }, 40);
    for (bytes, _) in first[1..].iter().chain(&second) {
        assert_eq!(Descriptor::decode(bytes).unwrap().0.structure, None);
    }
    let group = vec![group[1]; 256];
    assert_eq!(packetizer.set_structure(1, None, Some(&group[..255])), Ok(()));
    assert_eq!(packetizer.set_structure(8, None, None), Ok(()));
    for (layers, resolutions, group) in
        [(1, None, Some(&group[..])), (0, None, None), (9, None, None), (1, Some(&resolutions[..]), None)]
    {
        assert_eq!(packetizer.set_structure(layers, resolutions, group), Err(FrameError::OutOfRange));
    }
}

#[test]
fn a_frame_comes_out_as_it_went_in_at_every_length_of_payloads() {
    let mut packetizer = Packetizer::new(PictureId::Long(0x7ffe), false);
    let mut depacketizer = depacketizer();
    let mut frame = noise(4000, 1);
    frame[0] = 0x82;
    for max in 200..=1500 {
        let sent = sent(&mut packetizer, &frame, LayerFrame::of(&frame), max);
        assert_eq!(sent.len(), 4000_usize.div_ceil(max - 3));
        let (_, frames) = receive!(depacketizer, intact(&sent, max as u32));
        let out = frames[0].as_ref().unwrap();
        assert_eq!((frames.len(), &out.bytes, out.packets, out.key), (1, &frame, sent.len(), true));
        let ends = sent.iter().map(|(bytes, marker)| {
            let (descriptor, _) = Descriptor::decode(bytes).unwrap();
            (descriptor.start, descriptor.end, *marker)
        });
        let last = sent.len() - 1;
        assert!(ends.eq((0..=last).map(|at| (at == 0, at == last, at == last))));
    }
}

#[test]
fn layers_of_a_picture_share_its_number_and_come_out_one_by_one() {
    for flexible in [false, true] {
        let mut packetizer = Packetizer::new(PictureId::Short(127), flexible);
        let mut depacketizer = depacketizer();
        let frames: Vec<Vec<u8>> = (0..6).map(|seed| noise(500, seed)).collect();
        let mut packets = Vec::new();
        for (at, frame) in frames.iter().enumerate() {
            let (picture, spatial) = (at / 3, (at % 3) as u8);
            let layer =
                Layer { temporal: picture as u8, switching_up: false, spatial, inter_layer: spatial > 0 };
            let references = if flexible && picture > 0 { &[1][..] } else { &[] };
            let about = LayerFrame {
                inter_picture: picture > 0,
                layer: Some(layer),
                not_for_higher: spatial == 2,
                references: References::new(references).unwrap(),
                more: spatial < 2,
            };
            let all = sent(&mut packetizer, frame, about, 200);
            for (bytes, marker) in &all {
                let (descriptor, _) = Descriptor::decode(bytes).unwrap();
                assert_eq!(descriptor.picture_id.unwrap().value(), [127, 0][picture]);
                assert_eq!(descriptor.tl0_pic_idx, (!flexible).then_some(1));
                assert_eq!((descriptor.layer, *marker), (Some(layer), spatial == 2 && descriptor.end));
            }
            packets.push(all);
        }
        let all = packets.iter().enumerate().flat_map(|(at, sent)| intact(sent, at as u32 / 3));
        let (_, out) = receive!(depacketizer, all);
        let out: Vec<_> = out.into_iter().map(Result::unwrap).collect();
        assert!(out.iter().map(|frame| &frame.bytes).eq(&frames));
        let keys: Vec<bool> = out.iter().map(|frame| frame.key).collect();
        assert_eq!(keys, [true, false, false, false, false, false]);
    }
}

#[test]
fn frames_that_cannot_be_sent_are_refused_and_not_counted() {
    let mut flexible = Packetizer::new(PictureId::Short(1), true);
    let mut packetizer = Packetizer::new(PictureId::Short(1), false);
    let plain = LayerFrame::default();
    let one = References::new(&[1]).unwrap();
    assert_eq!(packetizer.frame(&[], plain, 100).unwrap_err(), FrameError::Empty);
    assert_eq!(packetizer.frame(&[1], plain, 2).unwrap_err(), FrameError::PayloadTooSmall);
    let layer = Layer { temporal: 8, ..Layer::default() };
    let bad = [
        LayerFrame { layer: Some(layer), ..plain },
        LayerFrame { references: one, inter_picture: true, ..plain },
    ];
    for about in bad {
        assert_eq!(packetizer.frame(&[1], about, 100).unwrap_err(), FrameError::OutOfRange);
    }
    for references in
        [References::default(), References::new(&[128]).unwrap(), References::new(&[0]).unwrap()]
    {
        let about = LayerFrame { inter_picture: true, references, ..plain };
        assert_eq!(flexible.frame(&[1], about, 100).unwrap_err(), FrameError::OutOfRange);
    }
    assert_eq!(References::new(&[1, 2, 3, 4]), None);
    assert_eq!(sent(&mut packetizer, &[7], plain, 3), [(vec![0x8c, 1, 7], true)]);
    let about = LayerFrame { inter_picture: true, references: one, ..plain };
    assert_eq!(sent(&mut flexible, &[7], about, 4), [(vec![0xdc, 1, 2, 7], true)]);
}

#[test]
fn a_layer_frame_of_which_a_packet_is_missing_is_broken_alone() {
    let mut depacketizer = depacketizer();
    let packets = [
        (&[0x88, 1, 1][..], 1, false, false),
        // The end of the first layer is missing; the second is whole.
        (&[0x8c, 1, 2], 1, true, true),
        // The begin is missing.
        (&[0x84, 2, 3], 2, true, true),
        (&[0x88, 3, 4], 3, false, false),
        (&[0x8c, 4, 5], 4, true, false),
    ];
    let (_, out) = receive!(depacketizer, packets);
    assert_eq!(out[0], broken(1, Reason::Lost));
    assert_eq!(out[1].as_ref().unwrap().bytes, [2]);
    assert_eq!(out[2], broken(2, Reason::Lost));
    assert_eq!(out[3], broken(3, Reason::Unfinished));
    assert_eq!(out[4].as_ref().unwrap().bytes, [5]);
}

#[test]
fn a_payload_shows_key_frames_and_layers() {
    let shown = outline(&[0xa8, 1, 0x53, 9, 0]).unwrap();
    assert_eq!((shown.temporal, shown.spatial), (Some(2), Some(1)));
    assert!(shown.starts_frame && shown.switching_point && !shown.key_frame);
    assert!(outline(&[0xa8, 1, 0x00, 9, 0]).unwrap().key_frame);
    assert!(!outline(&[0xe8, 1, 0x00, 9, 0]).unwrap().key_frame);
    // Profile 0 and 3, key; an inter frame; a frame shown again; another marker.
    for (first, key) in
        [(0x82, true), (0xb1, true), (0x86, false), (0x88, false), (0xb4, false), (0x42, false)]
    {
        assert_eq!(is_key_frame(&[first]), key, "{first:02x}");
    }
    assert!(!is_key_frame(&[]));
}

#[test]
fn forwarders_write_fields_over_in_place() {
    let new =
        Rewrite { picture_id: Some(0x1234), tl0_pic_idx: Some(7), end: Some(true), switching_up: Some(true) };
    let mut long = [0xa8, 0x80, 1, 0x42, 9, 0xaa];
    rewrite(&mut long, new).unwrap();
    assert_eq!(long, [0xac, 0x92, 0x34, 0x52, 7, 0xaa]);
    let mut flexible = [0xb8, 0x11, 0x42, 0xaa];
    rewrite(&mut flexible, new).unwrap();
    assert_eq!(flexible, [0xbc, 0x34, 0x52, 0xaa]);
    let mut bare = [0x0c, 0xaa];
    rewrite(&mut bare, Rewrite { end: Some(false), ..new }).unwrap();
    assert_eq!(bare, [0x08, 0xaa]);
    assert_eq!(rewrite(&mut [0x80], new), Err(Discard::Truncated));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_payload_is_taken_or_refused(payloads: Vec<(Vec<u8>, u8, bool, bool)>) {
        let mut depacketizer = depacketizer();
        for (mut bytes, timestamp, marker, after_loss) in payloads {
            let _ = outline(&bytes);
            let before = bytes.clone();
            let _ = rewrite(&mut bytes, Rewrite::default());
            prop_assert_eq!(&bytes, &before);
            if let Ok((descriptor, data)) = Descriptor::decode(&bytes) {
                let again = [&encoded(&descriptor)[..], data].concat();
                let (second, rest) = Descriptor::decode(&again).unwrap();
                prop_assert_eq!((second, rest), (descriptor, data));
                if let Some(structure) = descriptor.structure {
                    prop_assert!(structure.resolutions().count() <= 8);
                    prop_assert!(structure.group().map_or(0, Iterator::count) <= 255);
                }
            }
            let _ = depacketizer.handle_payload(payload(&bytes, (timestamp / 64).into(), marker, after_loss));
            while depacketizer.poll_frame().is_some() {}
        }
    }
}
