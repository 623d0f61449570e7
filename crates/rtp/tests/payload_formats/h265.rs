use proptest::prelude::*;
use rtp::payload::h265::{Depacketizer, Packetizer, outline};
use rtp::payload::{Discard, FrameError, Framing, Limits, Reason};

use crate::support::{Kept, Sent, broken, intact, noise, payload, receive, send};

const AUD: &[u8] = &[0x46, 0x01, 0x50];
const VPS: &[u8] = &[0x40, 0x01, 0x0c, 0x01];
const SPS: &[u8] = &[0x42, 0x01, 0x01, 0x01, 0x60];
const PPS: &[u8] = &[0x44, 0x01, 0xc1];

/// A slice that begins its picture, without start codes within.
fn slice(kind: u8, tid: u8, len: usize) -> Vec<u8> {
    let mut unit = noise(len, len as u32);
    unit.iter_mut().for_each(|byte| *byte |= 1);
    (unit[0], unit[1], unit[2]) = (kind << 1, tid + 1, 0xaf);
    unit
}

fn annex_b(units: &[&[u8]]) -> Vec<u8> {
    units.iter().flat_map(|unit| [&[0, 0, 0, 1], *unit].concat()).collect()
}

fn sent(packetizer: &mut Packetizer, frame: &[u8], max: usize) -> Vec<Sent> {
    let mut payloads = packetizer.frame(frame, max).unwrap();
    send(max, |out| payloads.write(out))
}

fn depacketizer() -> Depacketizer {
    Depacketizer::new(Framing::AnnexB, Limits::default())
}

#[test]
fn small_units_go_together_and_large_ones_in_pieces() {
    let idr = slice(19, 0, 26);
    let frame = annex_b(&[VPS, SPS, PPS, &idr]);
    let all = sent(&mut Packetizer::new(Framing::AnnexB), &frame, 20);
    let ap = [&[0x60, 0x01, 0, 4][..], VPS, &[0, 5], SPS, &[0, 3], PPS].concat();
    let first = [&[0x62, 0x01, 0x93][..], &idr[2..14]].concat();
    let last = [&[0x62, 0x01, 0x53][..], &idr[14..]].concat();
    assert_eq!(all, [(ap, false), (first, false), (last, true)]);
}

#[test]
fn an_aggregate_has_the_lowest_layers_of_its_units() {
    let units: [&[u8]; 2] = [&[0x03, 0x13, 1], &[0x02, 0x0a, 1]];
    let all = sent(&mut Packetizer::new(Framing::AnnexB), &annex_b(&units), 50);
    assert_eq!(all[0].0, [0x60, 0x0a, 0, 3, 0x03, 0x13, 1, 0, 3, 0x02, 0x0a, 1]);
    let shown = outline(&all[0].0).unwrap();
    assert_eq!((shown.temporal, shown.spatial), (Some(1), Some(1)));
}

#[test]
fn an_access_unit_comes_out_as_it_went_in_at_every_length_of_payloads() {
    let units =
        [AUD.to_vec(), VPS.to_vec(), SPS.to_vec(), PPS.to_vec(), slice(19, 0, 3000), slice(19, 0, 150)];
    let units: Vec<&[u8]> = units.iter().map(|unit| &unit[..]).collect();
    let frame = annex_b(&units);
    for max in 200..=1500 {
        let mut packetizer = Packetizer::new(Framing::AnnexB);
        let mut depacketizer = depacketizer();
        let all = sent(&mut packetizer, &frame, max);
        let (_, frames) = receive!(depacketizer, intact(&all, 7));
        assert_eq!(frames, [Ok(Kept { bytes: frame.clone(), timestamp: 7, packets: all.len(), key: true })]);
    }
}

#[test]
fn an_irap_picture_without_parameter_sets_gets_those_that_were_seen_last() {
    let mut packetizer = Packetizer::new(Framing::AnnexB);
    packetizer.learn_parameter_sets(&annex_b(&[VPS, SPS, PPS])).unwrap();
    let cra = slice(21, 0, 30);
    let all = sent(&mut packetizer, &annex_b(&[AUD, &cra]), 1000);
    let mut depacketizer = depacketizer();
    let (_, frames) = receive!(depacketizer, intact(&all, 1));
    assert_eq!(frames[0].as_ref().unwrap().bytes, annex_b(&[AUD, VPS, SPS, PPS, &cra]));
    let trail = slice(1, 0, 30);
    assert_eq!(sent(&mut packetizer, &annex_b(&[&trail]), 1000), [(trail, true)]);
    assert_eq!(packetizer.frame(&annex_b(&[&[0x60, 1, 1]]), 100).unwrap_err(), FrameError::NotAFrame);
    assert_eq!(packetizer.frame(&annex_b(&[&[0x26]]), 100).unwrap_err(), FrameError::NotAFrame);
    assert_eq!(packetizer.frame(&annex_b(&[AUD]), 3).unwrap_err(), FrameError::PayloadTooSmall);
}

/// Some cameras leave the start codes of their encoders in payloads, or send a unit as one fragment.
#[test]
fn start_codes_that_were_left_and_fragments_of_whole_units_are_taken() {
    let idr = slice(19, 0, 30);
    let all = annex_b(&[VPS, SPS, PPS, &idr]);
    assert!(outline(&all).unwrap().key_frame);
    let fragment = [&[0x62, 0x01, 0xd3][..], &idr[2..]].concat();
    let (_, frames) = receive!(depacketizer(), [(&all, 1, true, true), (&fragment, 2, true, false)]);
    assert_eq!(frames[0], Ok(Kept { bytes: all, timestamp: 1, packets: 1, key: true }));
    assert_eq!(frames[1].as_ref().unwrap().bytes, annex_b(&[&idr]));
}

/// H.265 §7.4.2.4.4.
#[test]
fn what_stands_before_a_picture_goes_with_it_however_it_is_sent() {
    let idr = slice(19, 0, 30);
    for (timestamp, marker) in [(2, true), (1, false), (1, true)] {
        let mut depacketizer = depacketizer();
        let sets = [VPS, SPS, PPS].map(|set| (set, timestamp, marker, false));
        let packets = sets.into_iter().chain([(&idr[..], 2, true, false)]);
        let (_, frames) = receive!(depacketizer, packets);
        let bytes = annex_b(&[VPS, SPS, PPS, &idr]);
        assert_eq!(frames, [Ok(Kept { bytes, timestamp: 2, packets: 4, key: true })]);
    }
}

#[test]
fn extensions_of_paci_packets_are_skipped() {
    // A unit, and an aggregate, behind three bytes of extensions.
    let packets = [
        (&[0x64, 0x01, 0x26, 0x30, 1, 2, 3, 0xaf, 9][..], 1, true, false),
        (&[0x64, 0x01, 0x60, 0x30, 1, 2, 3, 0, 3, 0x46, 1, 0x50, 0, 3, 2, 1, 0x80], 2, true, false),
        // A PACI in a PACI; extensions past the end.
        (&[0x64, 0x01, 0x64, 0x00, 1], 3, true, false),
        (&[0x64, 0x01, 0x26, 0x30, 1], 4, true, false),
        (&[0x64, 0x01, 0x26], 5, true, false),
    ];
    let mut depacketizer = depacketizer();
    let (results, frames) = receive!(depacketizer, packets);
    assert_eq!(results[2..], [Err(Discard::Malformed), Err(Discard::Truncated), Err(Discard::Truncated)]);
    assert_eq!(frames[0].as_ref().unwrap().bytes, annex_b(&[&[0x26, 0x01, 0xaf, 9]]));
    assert_eq!(frames[1].as_ref().unwrap().bytes, annex_b(&[AUD, &[2, 1, 0x80]]));
}

#[test]
fn r3_fragments_without_start_and_empty_units_are_refused() {
    let mut depacketizer = depacketizer();
    let packets = [
        (&[0x02, 0x01, 0x80][..], 0, true, false),
        (&[0x62, 0x01, 0x13, 1], 1, true, false),
        (AUD, 2, false, false),
        (&[0x62, 0x01, 0x53, 1], 2, true, false),
        (&[0x62, 0x01, 0x93, 0xaf], 3, false, false),
        (AUD, 3, true, false),
        (&[0x62, 0x01, 0x93, 0xaf], 4, true, false),
    ];
    let (_, out) = receive!(depacketizer, packets);
    assert_eq!(out[1], broken(1, Reason::Lost));
    assert_eq!(out[2..4], [2, 3].map(|at| broken(at, Reason::Unreadable(Discard::NoStart))));
    assert_eq!(out[4], broken(4, Reason::Unfinished));
    for (bytes, discard) in [
        (&[][..], Discard::Empty),
        (&[0x26], Discard::Truncated),
        (&[0x26, 0x01], Discard::EmptyPart),
        (&[0x26, 0x00, 1], Discard::Malformed),
        (&[0xa6, 0x01, 1], Discard::Malformed),
        (&[0x66, 0x01, 1], Discard::Unsupported),
        (&[0x60, 0x01], Discard::EmptyPart),
        (&[0x60, 0x01, 0, 0], Discard::EmptyPart),
        (&[0x60, 0x01, 0, 1, 0x46], Discard::EmptyPart),
        (&[0x60, 0x01, 0, 4, 0x46, 1, 0x50], Discard::Truncated),
        (&[0x60, 0x01, 0, 3, 0x60, 1, 0x50], Discard::Malformed),
        (&[0x62, 0x01], Discard::Truncated),
        (&[0x62, 0x01, 0x93], Discard::EmptyPart),
        (&[0x00, 0x00, 0x01], Discard::EmptyPart),
        (&[0x00, 0x00, 0x01, 0x60, 0x01, 1], Discard::Malformed),
        (&[0x62, 0x01, 0xb0, 1], Discard::Malformed),
    ] {
        let mut depacketizer = self::depacketizer();
        let result = depacketizer.handle_payload(payload(bytes, 1, true, false));
        assert_eq!((result, outline(bytes)), (Err(discard), Err(discard)), "{bytes:?}");
    }
}

#[test]
fn a_payload_shows_key_frames_and_layers() {
    let shown = outline(&[0x62, 0x02, 0x93, 0xaf]).unwrap();
    assert!(shown.starts_frame && shown.key_frame);
    assert_eq!((shown.temporal, shown.spatial), (Some(1), Some(0)));
    let shown = outline(&[0x62, 0x02, 0x13, 0xaf]).unwrap();
    assert!(!shown.starts_frame && shown.key_frame);
    assert!(outline(SPS).unwrap().key_frame);
    // TSA: the temporal layer can be joined.
    let shown = outline(&[0x04, 0x03, 0x80]).unwrap();
    assert!(shown.switching_point && !shown.key_frame && shown.starts_frame);
    assert!(!outline(&[0x04, 0x03, 0x70]).unwrap().starts_frame);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_payload_is_taken_or_refused(payloads: Vec<(u8, Vec<u8>, u8, bool, bool)>) {
        let mut depacketizer = depacketizer();
        for (kind, rest, timestamp, marker, after_loss) in payloads {
            let head = [[0x60, 1], [0x62, 1], [0x64, 1], [kind, 1]][usize::from(kind & 3)];
            let bytes = [&head[..], &rest].concat();
            let _ = outline(&bytes);
            let _ = depacketizer.handle_payload(payload(&bytes, (timestamp / 64).into(), marker, after_loss));
            while depacketizer.poll_frame().is_some() {}
        }
    }
}
