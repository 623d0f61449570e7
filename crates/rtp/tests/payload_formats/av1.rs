use proptest::prelude::*;
use rtp::payload::av1::{AggregationHeader, Depacketizer, Packetizer, is_key_frame, outline};
use rtp::payload::{Discard, FrameError, Limits, Reason};

use crate::support::{Sent, broken, intact, noise, payload, receive, send};

const DELIMITER: &[u8] = &[0x12, 0];

fn leb128(mut value: usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let more = value > 0x7f;
        all.push((value & 0x7f) as u8 | u8::from(more) << 7);
        value >>= 7;
        if !more {
            return all;
        }
    }
}

/// An OBU with its size.
fn obu(kind: u8, layer: Option<(u8, u8)>, data: &[u8]) -> Vec<u8> {
    let mut all = vec![kind << 3 | 2];
    if let Some((temporal, spatial)) = layer {
        all[0] |= 4;
        all.push(temporal << 5 | spatial << 3);
    }
    all.extend(leb128(data.len()));
    all.extend_from_slice(data);
    all
}

fn sent(unit: &[u8], max: usize) -> Vec<Sent> {
    let mut packetizer = Packetizer::new();
    let mut payloads = packetizer.frame(unit, max).unwrap();
    send(max, |out| payloads.write(out))
}

fn depacketizer() -> Depacketizer {
    Depacketizer::new(Limits::default())
}

/// A unit whose first frame has `first` as its first byte.
fn unit(first: u8, len: usize) -> Vec<u8> {
    let mut data = noise(len, 3);
    data[0] = first;
    [obu(1, None, &[0, 1]), obu(6, None, &data)].concat()
}

#[test]
fn sizes_and_delimiters_are_left_out_on_the_way() {
    let unit = [DELIMITER, &[0x0a, 2, 0, 1, 0x32, 3, 0x10, 0x20, 0x30]].concat();
    assert!(is_key_frame(&unit));
    // W = 2, N = 1: a length, the sequence header, the frame.
    let expected = vec![0x28, 3, 0x08, 0, 1, 0x30, 0x10, 0x20, 0x30];
    assert_eq!(sent(&unit, 100), [(expected, true)]);
    let mut depacketizer = depacketizer();
    let (_, frames) = receive!(depacketizer, intact(&sent(&unit, 100), 1));
    let frame = frames[0].as_ref().unwrap();
    assert_eq!((&frame.bytes[..], frame.key), (&unit[2..], true));
}

#[test]
fn an_obu_that_does_not_fit_goes_on_in_the_next_packets() {
    let frame = [&[0x32, 9, 0x30][..], &[1, 2, 3, 4, 5, 6, 7, 8]].concat();
    assert_eq!(
        sent(&frame, 5),
        [(vec![0x50, 0x30, 0x30, 1, 2], false), (vec![0xd0, 3, 4, 5, 6], false), (vec![0x90, 7, 8], true)]
    );
    // The smallest payload there is: a byte each.
    let mut depacketizer = depacketizer();
    let small = sent(&frame, 2);
    assert_eq!(small.len(), 10);
    let (_, frames) = receive!(depacketizer, intact(&small, 1));
    assert_eq!(frames[0].as_ref().unwrap().bytes, frame);
}

#[test]
fn obus_of_several_layers_do_not_share_a_packet() {
    let layers: Vec<Vec<u8>> = (0..3).map(|spatial| obu(6, Some((1, spatial)), &[0x30; 20])).collect();
    let unit = [obu(1, None, &[0, 1]), layers.concat()].concat();
    let all = sent(&unit, 1000);
    assert_eq!(all.len(), 3);
    for (at, (bytes, _)) in all.iter().enumerate() {
        let shown = outline(bytes).unwrap();
        if at > 0 {
            assert_eq!((shown.temporal, shown.spatial), (Some(1), Some(at as u8)));
        }
        assert_eq!(shown.starts_frame, at == 0);
    }
    let mut depacketizer = depacketizer();
    let (_, frames) = receive!(depacketizer, intact(&all, 1));
    assert_eq!(frames[0].as_ref().unwrap().bytes, unit);
}

#[test]
fn a_unit_comes_out_as_it_went_in_at_every_length_of_payloads() {
    let mut frame = unit(0x10, 3000);
    for len in [1, 40, 127, 128, 500, 9] {
        frame.extend(obu(5, None, &noise(len, len as u32)));
    }
    let delimited = [DELIMITER, &frame].concat();
    for max in 200..=1500 {
        let all = sent(&delimited, max);
        let mut depacketizer = depacketizer();
        let (results, frames) = receive!(depacketizer, intact(&all, 9));
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        let out = frames[0].as_ref().unwrap();
        assert_eq!((frames.len(), out.bytes == frame, out.key), (1, true, true), "{max}");
        let news: Vec<bool> =
            all.iter().map(|(bytes, _)| AggregationHeader::decode(bytes).unwrap().0.new_sequence).collect();
        assert!(news[0] && news[1..].iter().all(|new| !new));
    }
}

#[test]
fn a_sequence_begins_with_its_header_and_a_key_frame() {
    for (first, key) in [(0x10, true), (0x1f, true), (0x30, false), (0x50, false), (0x90, false)] {
        let frame = unit(first, 20);
        assert_eq!(is_key_frame(&frame), key, "{first:02x}");
        assert_eq!(outline(&sent(&frame, 100)[0].0).unwrap().key_frame, key);
    }
    assert!(!is_key_frame(&obu(6, None, &[0x10])));
    assert!(!is_key_frame(&[]));
}

#[test]
fn what_is_no_temporal_unit_is_refused() {
    let refused = |unit: &[u8], max| Packetizer::new().frame(unit, max).map(drop).unwrap_err();
    assert_eq!(refused(&[], 100), FrameError::Empty);
    assert_eq!(refused(DELIMITER, 100), FrameError::NotAFrame);
    assert_eq!(refused(&[0x32, 4, 1], 100), FrameError::NotAFrame);
    assert_eq!(refused(&[0xb2, 1, 1], 100), FrameError::NotAFrame);
    assert_eq!(refused(&[0x36], 100), FrameError::NotAFrame);
    assert_eq!(refused(&[0x32, 0x80], 100), FrameError::NotAFrame);
    assert_eq!(refused(&[0x32, 1, 1], 1), FrameError::PayloadTooSmall);
    // The last may be without a size.
    assert_eq!(sent(&[0x30, 1, 2], 100), [(vec![0x10, 0x30, 1, 2], true)]);
}

#[test]
fn elements_with_lengths_and_sizes_are_taken_and_delimiters_ignored() {
    let mut depacketizer = depacketizer();
    let packets = [
        // W = 0: each with its length; the delimiter is dropped, the size of the last one kept.
        (&[0x08, 1, 0x10, 3, 0x08, 0, 1, 4, 0x32, 2, 0x10, 7][..], 1, false, false),
        // A tile list is dropped; the size is written in as few bytes as can be.
        (&[0x20, 2, 0x40, 9, 0x30, 0x30], 1, true, false),
    ];
    let (results, frames) = receive!(depacketizer, packets);
    assert_eq!(results, [Ok(()), Ok(())]);
    let frame = frames[0].as_ref().unwrap();
    assert_eq!(frame.bytes, [0x0a, 2, 0, 1, 0x32, 2, 0x10, 7, 0x32, 1, 0x30]);
}

#[test]
fn r3_elements_of_length_0_and_past_the_end_are_refused() {
    let cases: [(&[u8], Discard); 13] = [
        (&[], Discard::Empty),
        (&[0x10], Discard::EmptyPart),
        (&[0x00], Discard::EmptyPart),
        (&[0x00, 0], Discard::EmptyPart),
        (&[0x20, 0, 0x30], Discard::EmptyPart),
        (&[0x20, 1, 0x30], Discard::EmptyPart),
        (&[0x30, 1, 0x30], Discard::Truncated),
        (&[0x00, 5, 0x30], Discard::Truncated),
        (&[0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Discard::Truncated),
        // N and Z exclude each other; a forbidden bit; an extension that is not there; a size that is wrong.
        (&[0x98, 0x30], Discard::Malformed),
        (&[0x10, 0xb0, 1], Discard::Malformed),
        (&[0x10, 0x34], Discard::Malformed),
        (&[0x18, 0x32, 2, 1], Discard::Malformed),
    ];
    let mut depacketizer = depacketizer();
    for (at, (bytes, discard)) in cases.iter().enumerate() {
        let begin = (&[0x18, 0x30, 0x10][..], 100 + at as u32, true, false);
        let (results, frames) = receive!(depacketizer, [begin, (*bytes, at as u32, true, false)]);
        assert_eq!(results, [Ok(()), Err(*discard)], "{bytes:?}");
        assert_eq!(frames[1..], [broken(at as u32, Reason::Unreadable(*discard))]);
    }
}

#[test]
fn r3_fragments_without_start_or_end_break_the_unit() {
    let mut depacketizer = depacketizer();
    let packets = [
        (&[0x18, 0x30, 0x10][..], 0, true, false),
        // A continuation of nothing, at the begin and behind something.
        (&[0x90, 1, 2], 1, true, false),
        (&[0x18, 0x30, 0x10], 2, false, false),
        (&[0x90, 1, 2], 2, true, false),
        // No continuation where one must be; the marker, and another timestamp, before the end.
        (&[0x58, 0x30, 0x10], 3, false, false),
        (&[0x10, 0x30, 0x10], 3, true, false),
        (&[0x58, 0x30, 0x10], 4, true, false),
        (&[0x58, 0x30, 0x10], 5, false, false),
        (&[0x18, 0x30, 0x10], 6, true, false),
        // Loss in the middle.
        (&[0x58, 0x30, 0x10], 7, false, false),
        (&[0x90, 0x10], 7, true, true),
        (&[0x18, 0x30, 0x10], 8, true, false),
    ];
    let (_, out) = receive!(depacketizer, packets);
    assert_eq!(out.len(), 9);
    assert_eq!(out[1], broken(1, Reason::Lost));
    assert_eq!(out[2], broken(2, Reason::Unreadable(Discard::NoStart)));
    assert_eq!(out[3], broken(3, Reason::Unreadable(Discard::NoStart)));
    assert_eq!(out[4..6], [4, 5].map(|at| broken(at, Reason::Unfinished)));
    assert_eq!(out[7], broken(7, Reason::Lost));
    for at in [0, 6, 8] {
        assert_eq!(out[at].as_ref().unwrap().bytes, [0x32, 1, 0x10]);
    }
}

#[test]
fn a_unit_of_nothing_but_delimiters_is_none() {
    for marker in [false, true] {
        let mut depacketizer = depacketizer();
        let packets = [(&[0x10, 0x10][..], 1, marker, false), (&[0x18, 0x30, 0x10], 2, true, false)];
        let packets = [(&[0x18, 0x30, 0x10][..], 0, true, false)].into_iter().chain(packets);
        let (_, out) = receive!(depacketizer, packets);
        assert_eq!(out[1], broken(1, Reason::Unfinished));
        assert_eq!(out[2].as_ref().unwrap().bytes, [0x32, 1, 0x10]);
    }
}

#[test]
fn r3_65_536_fragments_are_kept_within_the_limits() {
    let mut depacketizer = depacketizer();
    let mut reasons = Vec::new();
    let mut used = 0;
    for at in 0..65_536 {
        let bytes: &[u8] = if at == 0 { &[0x58, 0x30] } else { &[0xd0, 1] };
        used += usize::from(depacketizer.handle_payload(payload(bytes, 1, false, false)).is_ok());
        while let Some(frame) = depacketizer.poll_frame() {
            reasons.push(frame.map(drop).unwrap_err().reason);
        }
    }
    assert_eq!((used, &reasons[..]), (2048, &[Reason::TooManyPackets][..]));
}

#[test]
fn after_loss_a_unit_counts_only_if_it_shows_its_begin() {
    for (bytes, whole) in [
        (&[0x10, 0x30, 0x30][..], true),
        (&[0x10, 0x18, 0x30], true),
        (&[0x10, 0x34, 0x00, 0x30], true),
        (&[0x10, 0x34, 0x08, 0x30], false),
        (&[0x10, 0x20, 0x30], false),
        (&[0x90, 0x30, 0x30], false),
    ] {
        let mut depacketizer = depacketizer();
        let (results, _) = receive!(depacketizer, [(bytes, 1, true, true)]);
        assert_eq!(results[0].is_ok(), whole, "{bytes:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_payload_is_taken_or_refused(payloads: Vec<(Vec<u8>, u8, bool, bool)>) {
        let mut depacketizer = depacketizer();
        for (bytes, timestamp, marker, after_loss) in payloads {
            let _ = (outline(&bytes), is_key_frame(&bytes));
            let _ = depacketizer.handle_payload(payload(&bytes, (timestamp / 64).into(), marker, after_loss));
            while let Some(frame) = depacketizer.poll_frame() {
                if let Ok(frame) = frame {
                    // What comes out can be sent again.
                    prop_assert!(Packetizer::new().frame(frame.bytes, 100).is_ok());
                }
            }
        }
    }

    #[test]
    fn any_obus_survive(
        obus in prop::collection::vec((0..16_u8, prop::option::of((0..8_u8, 0..4_u8)), 0..300_usize), 1..12),
        max in 2..400_usize,
    ) {
        let sent_kind = |kind: u8| kind != 2 && kind != 8;
        let all = |filter: bool| -> Vec<u8> {
            let kept = obus.iter().filter(|(kind, ..)| !filter || sent_kind(*kind));
            kept.flat_map(|(kind, layer, len)| obu(*kind, *layer, &noise(*len, *len as u32))).collect()
        };
        prop_assume!(!all(true).is_empty());
        let mut depacketizer = depacketizer();
        let (_, first) = receive!(depacketizer, [(&[0x18, 0x30, 0x10][..], 1, true, false)]);
        prop_assert!(first[0].is_ok());
        let (results, frames) = receive!(depacketizer, intact(&sent(&all(false), max), 2));
        prop_assert!(results.iter().all(Result::is_ok), "{:?}", results);
        prop_assert_eq!(&frames[0].as_ref().unwrap().bytes, &all(true));
    }
}
