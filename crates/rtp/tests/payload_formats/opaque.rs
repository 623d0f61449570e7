//! Frames that hold what nobody on the way has to understand.

use proptest::prelude::*;
use rtp::payload::opaque::Structure;
use rtp::payload::{Framing, Limits, av1, h264, h265};

use crate::support::{Kept, intact, receive, send};

const STRUCTURES: [Structure; 3] = [Structure::H264, Structure::H265, Structure::Av1];

/// A key frame with parameter sets, two slices or layers, and what is no picture.
fn key_frame(structure: Structure) -> Vec<u8> {
    match structure {
        Structure::H264 => [
            &[0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x67, 66, 0xc0, 0x1f, 0, 0, 1, 0x68, 0xcb, 0x83][..],
            &[0, 0, 1, 6, 5, 1, 0x80, 0, 0, 1, 0x65, 0x88, 0x84, 0, 0, 0x12, 0, 0, 1, 0x65, 0x44, 9],
        ]
        .concat(),
        Structure::H265 => [
            &[0, 0, 0, 1, 0x40, 1, 2, 0, 0, 0, 1, 0x42, 1, 3, 0, 0, 0, 1, 0x44, 1, 4][..],
            &[0, 0, 0, 1, 0x26, 1, 0xaf, 0, 0, 3, 1, 9],
        ]
        .concat(),
        Structure::Av1 => {
            vec![0x12, 0, 0x0a, 2, 7, 7, 0x36, 0x08, 3, 0x10, 5, 6, 0x36, 0x00, 2, 0x30, 9]
        }
    }
}

/// What comes out of a depacketizer, of what a packetizer makes of it.
fn over_the_wire(structure: Structure, frame: &[u8], max: usize) -> Kept {
    let (limits, framing) = (Limits::default(), Framing::AnnexB);
    macro_rules! over {
        ($packetizer:expr, $depacketizer:expr) => {{
            let mut packetizer = $packetizer;
            let mut payloads = packetizer.frame(frame, max).unwrap();
            let sent = send(max, |out| payloads.write(out));
            let (taken, mut frames) = receive!($depacketizer, intact(&sent, 7));
            assert!(taken.iter().all(Result::is_ok) && frames.len() == 1, "{taken:?}");
            frames.remove(0).expect("a whole one")
        }};
    }
    match structure {
        Structure::H264 => over!(
            h264::Packetizer::new(h264::Mode::NonInterleaved, framing),
            h264::Depacketizer::new(framing, limits)
        ),
        Structure::H265 => {
            over!(h265::Packetizer::new(framing), h265::Depacketizer::new(framing, limits))
        }
        Structure::Av1 => over!(av1::Packetizer::new(), av1::Depacketizer::new(limits)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_content_comes_back_in_a_frame_of_the_same_kind(
        // Many zeros, and what is escaped between them.
        content in prop_oneof![
            prop::collection::vec(0_u8..5, 0..400),
            prop::collection::vec(any::<u8>(), 0..4000),
        ],
        max in 40_usize..1500,
        at in 0_usize..3,
    ) {
        let structure = STRUCTURES[at];
        let frame = key_frame(structure);
        let (mut wrapped, mut out) = (vec![1], vec![2]);
        let visible = structure.wrap(&frame, &content, &mut wrapped).unwrap();
        let kept = over_the_wire(structure, &wrapped, max);
        prop_assert!(kept.key);
        prop_assert_eq!(structure.unwrap(&kept.bytes, &mut out), Some(visible));
        prop_assert_eq!(&out, &content);
        prop_assert_eq!(structure.visible(&frame), Some(visible));
        prop_assert_eq!(structure.visible(&wrapped), Some(visible));
    }

    #[test]
    fn nothing_is_read_but_what_was_written(bytes in prop::collection::vec(0_u8..8, 0..60), at in 0_usize..3) {
        let structure = STRUCTURES[at];
        let (mut content, mut wrapped, mut again) = (vec![1], vec![2], vec![3]);
        let visible = structure.unwrap(&bytes, &mut content);
        if let Some(visible) = visible {
            prop_assert_eq!(structure.wrap(&bytes, &content, &mut wrapped), Some(visible));
            prop_assert_eq!(structure.unwrap(&wrapped, &mut again), Some(visible));
            prop_assert_eq!(again, content);
        } else {
            prop_assert!(content.is_empty());
        }
    }
}

#[test]
fn parameter_sets_and_the_begin_of_the_picture_stay_and_nothing_else() {
    let wrapped = STRUCTURES.map(|structure| {
        let mut wrapped = Vec::new();
        structure.wrap(&key_frame(structure), &[0, 0, 2, 0], &mut wrapped).unwrap();
        wrapped
    });
    let h264 = [
        &[0, 0, 0, 1, 0x67, 66, 0xc0, 0x1f, 0, 0, 0, 1, 0x68, 0xcb, 0x83][..],
        // What stays ends with two zeros.
        &[0, 0, 0, 1, 0x65, 0x88, 0x84, 0, 0, 3, 0, 0, 3, 2, 0, 0x80],
    ];
    let h265 = [
        &[0, 0, 0, 1, 0x40, 1, 2, 0, 0, 0, 1, 0x42, 1, 3, 0, 0, 0, 1, 0x44, 1, 4][..],
        // What stays ends with two zeros and an escape.
        &[0, 0, 0, 1, 0x26, 1, 0xaf, 0, 0, 3, 0, 0, 3, 2, 0, 0x80],
    ];
    assert_eq!(wrapped[0], h264.concat());
    assert_eq!(wrapped[1], h265.concat());
    assert_eq!(wrapped[2], [0x0a, 2, 7, 7, 0x36, 0x08, 5, 0x10, 0, 0, 2, 0]);
}

#[test]
fn a_frame_without_a_picture_holds_nothing() {
    let (mut out, sets) = (vec![1], [0, 0, 0, 1, 0x67, 66, 0xc0]);
    for structure in STRUCTURES {
        for nothing in [&[][..], &sets, &[0x12, 0], &[0, 0, 1, 0x65], &[0, 0, 1]] {
            let is_picture = structure == Structure::H264 && nothing.ends_with(&[0x65]);
            assert_eq!(structure.wrap(nothing, b"content", &mut out).is_some(), is_picture, "{nothing:?}");
            assert_eq!(out.is_empty(), !is_picture);
            assert_eq!(structure.unwrap(nothing, &mut out), None);
            assert!(out.is_empty());
        }
    }
}
