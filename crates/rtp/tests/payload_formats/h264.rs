use proptest::prelude::*;
use rtp::payload::h264::{Depacketizer, Mode, Packetizer, outline};
use rtp::payload::{Discard, FrameError, Framing, Limits, Reason};

use crate::support::{Kept, Sent, broken, intact, noise, payload, receive, send};

const AUD: &[u8] = &[0x09, 0xf0];
const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f, 0xd9];
const PPS: &[u8] = &[0x68, 0xcb, 0x83];

/// A slice that begins its picture, without start codes within.
fn slice(header: u8, len: usize) -> Vec<u8> {
    let mut unit = noise(len, len as u32);
    unit.iter_mut().for_each(|byte| *byte |= 1);
    (unit[0], unit[1]) = (header, 0x88);
    unit
}

fn annex_b(units: &[&[u8]]) -> Vec<u8> {
    units.iter().flat_map(|unit| [&[0, 0, 0, 1], *unit].concat()).collect()
}

fn with_lengths(units: &[&[u8]]) -> Vec<u8> {
    units.iter().flat_map(|unit| [&(unit.len() as u32).to_be_bytes(), *unit].concat()).collect()
}

fn sent(packetizer: &mut Packetizer, frame: &[u8], max: usize) -> Vec<Sent> {
    let mut payloads = packetizer.frame(frame, max).unwrap();
    send(max, |out| payloads.write(out))
}

fn packetizer() -> Packetizer {
    Packetizer::new(Mode::NonInterleaved, Framing::AnnexB)
}

fn depacketizer() -> Depacketizer {
    Depacketizer::new(Framing::AnnexB, Limits::default())
}

#[test]
fn small_units_go_together_and_large_ones_in_pieces() {
    let idr = slice(0x65, 25);
    let frame = annex_b(&[AUD, SPS, PPS, &idr]);
    let sent = sent(&mut packetizer(), &frame, 20);
    // STAP-A with the highest NRI, then FU-A: 24 bytes behind the header in pieces of 12.
    let stap = [&[0x78, 0, 2][..], AUD, &[0, 5], SPS, &[0, 3], PPS].concat();
    let first = [&[0x7c, 0x85][..], &idr[1..13]].concat();
    let last = [&[0x7c, 0x45][..], &idr[13..]].concat();
    assert_eq!(sent, [(stap, false), (first, false), (last, true)]);
}

#[test]
fn a_unit_that_just_fits_goes_alone_and_one_byte_more_in_two() {
    let unit = slice(0x41, 20);
    assert_eq!(sent(&mut packetizer(), &annex_b(&[&unit]), 20), [(unit.clone(), true)]);
    let pieces = sent(&mut packetizer(), &annex_b(&[&unit]), 19);
    assert_eq!(pieces.len(), 2);
    assert_eq!((pieces[0].0[0], pieces[0].0[1], pieces[1].0[1]), (0x5c, 0x81, 0x41));
    // Two units that fill a STAP-A to the byte, and not.
    let two = annex_b(&[&unit[..5], &unit[..6]]);
    assert_eq!(sent(&mut packetizer(), &two, 16).len(), 1);
    assert_eq!(sent(&mut packetizer(), &two, 15), [(unit[..5].to_vec(), false), (unit[..6].to_vec(), true)]);
}

#[test]
fn mode_0_sends_units_as_they_are_or_not_at_all() {
    let mut packetizer = Packetizer::new(Mode::SingleNalUnit, Framing::AnnexB);
    let unit = slice(0x41, 20);
    let frame = annex_b(&[AUD, &unit]);
    assert_eq!(sent(&mut packetizer, &frame, 20), [(AUD.to_vec(), false), (unit, true)]);
    assert_eq!(packetizer.frame(&frame, 19).unwrap_err(), FrameError::Indivisible);
    assert_eq!(Mode::from_parameter(0), Some(Mode::SingleNalUnit));
    assert_eq!(Mode::from_parameter(1), Some(Mode::NonInterleaved));
    assert_eq!(Mode::from_parameter(2), None);
}

#[test]
fn what_is_no_access_unit_is_refused() {
    let mut packetizer = packetizer();
    assert_eq!(packetizer.frame(&[], 100).unwrap_err(), FrameError::Empty);
    assert_eq!(packetizer.frame(&[1, 2, 3, 4], 100).unwrap_err(), FrameError::NotAFrame);
    // A type that only the payload format has.
    assert_eq!(packetizer.frame(&annex_b(&[&[0x78, 1]]), 100).unwrap_err(), FrameError::NotAFrame);
    assert_eq!(packetizer.frame(&annex_b(&[AUD]), 2).unwrap_err(), FrameError::PayloadTooSmall);
}

#[test]
fn an_idr_picture_without_parameter_sets_gets_those_that_were_seen_last() {
    let mut packetizer = packetizer();
    let idr = slice(0x65, 30);
    let plain = [(idr.clone(), true)];
    assert_eq!(sent(&mut packetizer, &annex_b(&[&idr]), 100), plain);
    let _ = sent(&mut packetizer, &annex_b(&[SPS, PPS, &idr]), 100);
    let other = slice(0x41, 10);
    assert_eq!(sent(&mut packetizer, &annex_b(&[&other]), 100), [(other, true)]);
    let mut depacketizer = depacketizer();
    let delimited = sent(&mut packetizer, &annex_b(&[AUD, &idr]), 100);
    let (_, frames) = receive!(depacketizer, intact(&delimited, 1));
    assert_eq!(frames[0].as_ref().unwrap().bytes, annex_b(&[AUD, SPS, PPS, &idr]));
    // A new PPS replaces the old one alone.
    let new: &[u8] = &[0x68, 1, 2, 3];
    let _ = sent(&mut packetizer, &annex_b(&[new, &slice(0x41, 10)]), 100);
    let bare = sent(&mut packetizer, &annex_b(&[&idr]), 100);
    let (_, frames) = receive!(depacketizer, intact(&bare, 2));
    assert_eq!(frames[0].as_ref().unwrap().bytes, annex_b(&[SPS, new, &idr]));
}

#[test]
fn parameter_sets_from_elsewhere_are_learned_up_to_a_length() {
    for (len, kept) in [(8188, true), (8189, false)] {
        let mut packetizer = packetizer();
        let set = slice(0x67, len);
        packetizer.learn_parameter_sets(&annex_b(&[&set])).unwrap();
        let idr = slice(0x65, 30);
        let count = sent(&mut packetizer, &annex_b(&[&idr]), 1000).len();
        assert_eq!(count > 1, kept, "{len}");
    }
    assert_eq!(packetizer().learn_parameter_sets(&[1]), Err(FrameError::NotAFrame));
}

#[test]
fn an_access_unit_comes_out_as_it_went_in_at_every_length_of_payloads() {
    let units =
        [AUD.to_vec(), SPS.to_vec(), PPS.to_vec(), slice(0x65, 3000), slice(0x65, 150), slice(0x65, 160)];
    let units: Vec<&[u8]> = units.iter().map(|unit| &unit[..]).collect();
    for max in 200..=1500 {
        for (framing, frame) in [(Framing::AnnexB, annex_b(&units)), (Framing::Length, with_lengths(&units))]
        {
            let mut packetizer = Packetizer::new(Mode::NonInterleaved, framing);
            let mut depacketizer = Depacketizer::new(framing, Limits::default());
            let sent = sent(&mut packetizer, &frame, max);
            let (_, frames) = receive!(depacketizer, intact(&sent, 7));
            assert_eq!(frames, [Ok(Kept { bytes: frame, timestamp: 7, packets: sent.len(), key: true })]);
        }
    }
}

#[test]
fn an_access_unit_without_marker_ends_with_the_next_timestamp() {
    let (first, second) = (slice(0x41, 10), slice(0x01, 12));
    let mut depacketizer = depacketizer();
    let packets = [
        (AUD, 1, false, false),
        (&first, 1, false, false),
        (&second, 2, false, false),
        (AUD, 3, false, false),
    ];
    let (_, frames) = receive!(depacketizer, packets);
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0].as_ref().unwrap().bytes, annex_b(&[AUD, &first]));
    assert_eq!(frames[1].as_ref().unwrap().bytes, annex_b(&[&second]));
}

/// H.264 §7.4.1.2.3: it belongs to the access unit of the picture behind it. Cameras send it with a marker, or a time of its own.
#[test]
fn what_stands_before_a_picture_goes_with_it_however_it_is_sent() {
    let idr = slice(0x65, 30);
    let whole = annex_b(&[SPS, PPS, &idr]);
    for (sets, picture) in [((1, true), 1), ((1, false), 2), ((1, true), 2)] {
        let (timestamp, marker) = sets;
        let mut depacketizer = depacketizer();
        let packets = [
            (SPS, timestamp, marker, false),
            (PPS, timestamp, marker, false),
            (&idr, picture, true, false),
            (&idr, 9, true, false),
        ];
        let (_, frames) = receive!(depacketizer, packets);
        let first = Kept { bytes: whole.clone(), timestamp: picture, packets: 3, key: true };
        assert_eq!(frames[0], Ok(first), "{sets:?}");
        assert_eq!((frames.len(), &frames[1].as_ref().unwrap().bytes), (2, &annex_b(&[&idr])));
    }
    // What is lost between them may be of it.
    let mut depacketizer = depacketizer();
    let (_, frames) = receive!(depacketizer, [(SPS, 1, true, false), (&idr, 1, true, true)]);
    assert_eq!(frames, [broken(1, Reason::Lost)]);
    let (_, frames) = receive!(depacketizer, [(SPS, 2, true, false), (&idr, 3, true, true)]);
    assert_eq!(frames[0], broken(2, Reason::Lost));
    assert_eq!(frames[1].as_ref().unwrap().bytes, annex_b(&[&idr]));
    // Without a picture there is a limit.
    let packets = (4..3000).map(|at| (AUD, at, true, false));
    let (_, frames) = receive!(depacketizer, packets);
    assert_eq!(frames, [broken(2052, Reason::TooManyPackets)]);
}

#[test]
fn a_missing_packet_breaks_its_frame_alone() {
    let units: Vec<Vec<u8>> = (0..3).map(|at| slice(if at == 0 { 0x65 } else { 0x41 }, 500 + at)).collect();
    let mut packetizer = packetizer();
    let all: Vec<_> = units.iter().map(|unit| sent(&mut packetizer, &annex_b(&[unit]), 200)).collect();
    for missing in 0..3 {
        let mut packets = Vec::new();
        for (at, sent) in all.iter().enumerate() {
            packets.extend(intact(sent, at as u32));
        }
        packets.remove(3 + missing);
        packets[3 + missing].3 = true;
        let mut depacketizer = depacketizer();
        let (_, frames) = receive!(depacketizer, packets);
        assert_eq!(frames.len(), 3, "{missing}: {frames:?}");
        assert_eq!(frames[0].as_ref().unwrap().bytes, annex_b(&[&units[0]]));
        assert_eq!(frames[1], broken(1, Reason::Lost));
        assert_eq!(frames[2].as_ref().unwrap().bytes, annex_b(&[&units[2]]));
    }
}

#[test]
fn after_loss_a_frame_counts_only_if_it_shows_its_begin() {
    let later = [0x41, 0x7f, 1, 2];
    for (unit, whole) in [(AUD, true), (SPS, true), (PPS, false), (&slice(0x41, 9), true), (&later, false)] {
        let mut depacketizer = depacketizer();
        let packets = [(unit, 1, false, true), (&slice(0x41, 9), 1, true, false)];
        let (results, frames) = receive!(depacketizer, packets);
        assert_eq!((results[0].is_ok(), frames[0].is_ok()), (whole, whole), "{unit:?}");
    }
}

#[test]
fn r3_a_fragment_without_its_start_breaks_the_frame() {
    let mut depacketizer = depacketizer();
    let packets = [
        // The middle and the end of nothing; the end of nothing behind a whole unit; a start where one is open; a whole
        // unit, an aggregate, and the marker before the end has come.
        (&[0x7c, 0x05, 1][..], 1, false, false),
        (&[0x7c, 0x45, 1], 1, true, false),
        (AUD, 2, false, false),
        (&[0x7c, 0x45, 1], 2, true, false),
        (&[0x7c, 0x85, 0x88], 3, false, false),
        (&[0x7c, 0x85, 0x88], 3, true, false),
        (&[0x7c, 0x85, 0x88], 4, false, false),
        (AUD, 4, true, false),
        (&[0x7c, 0x85, 0x88], 5, false, false),
        (&[0x78, 0, 2, 9, 0xf0], 5, true, false),
        (&[0x7c, 0x85, 0x88], 6, true, false),
        (&[0x7c, 0x85, 0x88], 7, false, false),
        (&[0x41, 0x9a], 8, true, false),
    ];
    let (results, frames) = receive!(depacketizer, packets);
    let good: Vec<usize> = (0..results.len()).filter(|at| results[*at].is_ok()).collect();
    assert_eq!(good, [2, 4, 6, 8, 10, 11, 12]);
    let no_start = Reason::Unreadable(Discard::NoStart);
    assert_eq!(frames[0], broken(1, Reason::Lost));
    assert_eq!(frames[1..5], [2, 3, 4, 5].map(|at| broken(at, no_start)));
    assert_eq!(frames[5..7], [6, 7].map(|at| broken(at, Reason::Unfinished)));
    assert_eq!(frames[7].as_ref().unwrap().bytes, annex_b(&[&[0x41, 0x9a]]));
}

#[test]
fn r3_aggregated_units_of_length_0_and_past_the_end_are_refused() {
    let cases: [(&[u8], Discard); 12] = [
        (&[], Discard::Empty),
        (&[0x78], Discard::EmptyPart),
        (&[0x78, 0], Discard::Truncated),
        (&[0x78, 0, 0], Discard::EmptyPart),
        (&[0x78, 0, 2, 9, 0xf0, 0, 0], Discard::EmptyPart),
        (&[0x78, 0, 3, 9, 0xf0], Discard::Truncated),
        (&[0x78, 0xff, 0xff, 9, 0xf0], Discard::Truncated),
        (&[0x78, 0, 2, 9, 0xf0, 0], Discard::Truncated),
        // A structure within a structure, and the forbidden bit.
        (&[0x78, 0, 2, 0x78, 0xf0], Discard::Malformed),
        (&[0x78, 0, 2, 0x89, 0xf0], Discard::Malformed),
        (&[0xe5, 0x88], Discard::Malformed),
        (&[0x65], Discard::EmptyPart),
    ];
    let mut depacketizer = depacketizer();
    for (at, (bytes, discard)) in cases.iter().enumerate() {
        let (results, frames) = receive!(depacketizer, [(*bytes, at as u32, true, false)]);
        assert_eq!(results, [Err(*discard)], "{bytes:?}");
        assert_eq!(frames, [broken(at as u32, Reason::Unreadable(*discard))]);
        assert_eq!(outline(bytes), Err(*discard));
    }
}

/// RFC 6184 §8.1: `sprop-parameter-sets` may be all that there is of them.
#[test]
fn key_frames_without_parameter_sets_have_those_of_the_description() {
    let (idr, other) = (slice(0x65, 30), slice(0x41, 9));
    for framing in [Framing::AnnexB, Framing::Length] {
        let join =
            |units: &[&[u8]]| if framing == Framing::AnnexB { annex_b(units) } else { with_lengths(units) };
        let mut depacketizer = Depacketizer::new(framing, Limits::default());
        assert_eq!(depacketizer.learn_parameter_sets(&[1]), Err(FrameError::NotAFrame));
        depacketizer.learn_parameter_sets(&join(&[SPS, PPS])).unwrap();
        let sei: &[u8] = &[0x06, 1, 2];
        let mut of = |units: &[&[u8]], timestamp| {
            let last = units.len() - 1;
            let packets = units.iter().enumerate().map(|(at, unit)| (*unit, timestamp, at == last, false));
            let (_, frames) = receive!(depacketizer, packets);
            frames[0].as_ref().unwrap().bytes.clone()
        };
        assert_eq!(of(&[&idr, &idr], 1), join(&[SPS, PPS, &idr, &idr]));
        assert_eq!(of(&[&other], 2), join(&[&other]));
        assert_eq!(of(&[AUD, sei, &idr], 3), join(&[AUD, SPS, PPS, sei, &idr]));
        let pieces: [&[u8]; 2] = [&[0x7c, 0x85, 0x88], &[0x7c, 0x45, 2]];
        assert_eq!(of(&pieces, 4), join(&[SPS, PPS, &[0x65, 0x88, 2]]));
        // From here on the stream has its own.
        assert_eq!(of(&[PPS, &idr], 5), join(&[PPS, &idr]));
        assert_eq!(of(&[&idr], 6), join(&[&idr]));
    }
}

/// Some cameras leave the start codes of their encoders in payloads.
#[test]
fn start_codes_that_were_left_tell_units_apart() {
    let idr = slice(0x65, 30);
    let all = annex_b(&[SPS, PPS, &idr]);
    let short = [&[0, 0, 1][..], SPS, &[0, 0, 0, 1], PPS, &[0, 0, 1], &idr].concat();
    for payload in [&all, &short] {
        let shown = outline(payload).unwrap();
        assert!(shown.starts_frame && shown.key_frame);
        let (_, frames) = receive!(depacketizer(), [(payload, 1, true, true)]);
        let whole = Kept { bytes: all.clone(), timestamp: 1, packets: 1, key: true };
        assert_eq!(frames, [Ok(whole)]);
    }
    let lengths = with_lengths(&[SPS, PPS, &idr]);
    let (_, frames) =
        receive!(Depacketizer::new(Framing::Length, Limits::default()), [(&all, 1, true, false)]);
    assert_eq!(frames[0].as_ref().unwrap().bytes, lengths);
    for (bytes, discard) in [
        (&[0, 0, 1][..], Discard::EmptyPart),
        (&[0, 0, 0, 1, 0, 0], Discard::EmptyPart),
        (&[0, 0, 1, 0x78, 0, 1, 9], Discard::Malformed),
        (&[0, 0, 1, 0xe5, 1], Discard::Malformed),
        (&[0, 0, 2, 0x65, 1], Discard::Unsupported),
    ] {
        assert_eq!(outline(bytes), Err(discard), "{bytes:?}");
    }
}

/// RFC 6184 §5.8 forbids it, and FFmpeg and browsers take it.
#[test]
fn a_fragment_that_is_the_first_and_the_last_is_a_unit() {
    let (_, frames) = receive!(depacketizer(), [(&[0x7c, 0xc5, 0x88, 1], 1, true, false)]);
    assert_eq!(frames[0].as_ref().unwrap().bytes, annex_b(&[&[0x65, 0x88, 1]]));
}

#[test]
fn fragments_that_contradict_themselves_are_refused() {
    for (bytes, discard) in [
        (&[0x7c][..], Discard::Truncated),
        (&[0x7c, 0xc5], Discard::EmptyPart),
        (&[0x7c, 0x98, 1], Discard::Malformed),
        (&[0x7c, 0x80, 1], Discard::Malformed),
        // STAP-B, MTAP16, MTAP24, FU-B, and what is undefined.
        (&[0x79, 0, 0, 1, 1], Discard::Unsupported),
        (&[0x7a, 0, 0, 1, 1], Discard::Unsupported),
        (&[0x7b, 0, 0, 1, 1], Discard::Unsupported),
        (&[0x7d, 0x85, 0, 0, 1], Discard::Unsupported),
        (&[0x60, 1], Discard::Unsupported),
        (&[0x7e, 1], Discard::Unsupported),
        (&[0x7f, 1], Discard::Unsupported),
    ] {
        let mut depacketizer = depacketizer();
        assert_eq!(depacketizer.handle_payload(payload(bytes, 1, true, false)), Err(discard), "{bytes:?}");
    }
    // The reserved bit is ignored, and a fragment may be empty.
    let mut depacketizer = depacketizer();
    let packets = [
        (&[0x7c, 0xa5, 0x88][..], 1, false, false),
        (&[0x7c, 0x05], 1, false, false),
        (&[0x7c, 0x45, 2], 1, true, false),
    ];
    let (_, frames) = receive!(depacketizer, packets);
    assert_eq!(frames[0].as_ref().unwrap().bytes, annex_b(&[&[0x65, 0x88, 2]]));
}

#[test]
fn r3_65_536_fragments_are_kept_within_the_limits() {
    let mut depacketizer = depacketizer();
    let mut broken = Vec::new();
    let mut used = 0;
    for at in 0..65_536 {
        let fu = if at == 0 { 0x85 } else { 0x05 };
        used += usize::from(depacketizer.handle_payload(payload(&[0x7c, fu, 0x88], 1, false, false)).is_ok());
        while let Some(frame) = depacketizer.poll_frame() {
            broken.push(frame.map(drop).unwrap_err().reason);
        }
    }
    assert_eq!((used, &broken[..]), (2048, &[Reason::TooManyPackets][..]));
    let long = [&[0x7c, 0x05][..], &[1; 65_000]].concat();
    let mut depacketizer = self::depacketizer();
    let mut used = 0;
    for at in 0..100 {
        let bytes = if at == 0 { &[0x7c, 0x85, 0x88][..] } else { &long };
        used += usize::from(depacketizer.handle_payload(payload(bytes, 1, false, false)).is_ok());
    }
    assert_eq!(used, 1 + (4 << 20) / 65_000);
    assert_eq!(depacketizer.poll_frame().unwrap().unwrap_err().reason, Reason::TooManyBytes);
}

#[test]
fn a_payload_shows_key_frames() {
    let key = |bytes: &[u8]| {
        let shown = outline(bytes).unwrap();
        (shown.starts_frame, shown.key_frame, shown.discardable)
    };
    assert_eq!(key(&[0x65, 0x88]), (true, true, false));
    assert_eq!(key(&[0x7c, 0x85, 0x88]), (true, true, false));
    assert_eq!(key(&[0x7c, 0x05, 0x88]), (false, true, false));
    assert_eq!(key(&[0x41, 0x9a]), (true, false, false));
    assert_eq!(key(&[0x01, 0x9a]), (true, false, true));
    assert_eq!(key(&[0x01, 0x1a]), (false, false, true));
    assert_eq!(key(SPS), (true, true, false));
    assert_eq!(key(&[&[0x78, 0, 5][..], SPS, &[0, 3], PPS].concat()), (true, true, false));
    assert_eq!(key(&[&[0x78, 0, 2][..], AUD, &[0, 2, 0x01, 0x9a]].concat()), (true, false, false));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_payload_is_taken_or_refused(payloads: Vec<(u8, Vec<u8>, u8, bool, bool)>, lengths: bool) {
        let framing = if lengths { Framing::Length } else { Framing::AnnexB };
        let mut depacketizer = Depacketizer::new(framing, Limits::default());
        for (kind, rest, timestamp, marker, after_loss) in payloads {
            let bytes = [&[[0x78, 0x7c, 0x65, kind][usize::from(kind & 3)]][..], &rest].concat();
            let _ = outline(&bytes);
            let _ = depacketizer.handle_payload(payload(&bytes, (timestamp / 64).into(), marker, after_loss));
            while depacketizer.poll_frame().is_some() {}
        }
    }

    #[test]
    fn any_units_survive(units in prop::collection::vec((1..24_u8, 0..4_u8, 1..400_usize), 1..12), max in 6..500_usize) {
        let mut units: Vec<Vec<u8>> = units
            .into_iter()
            .map(|(kind, nri, len)| slice(nri << 5 | kind, len + 1))
            .collect();
        units.push(slice(0x41, 9));
        let units: Vec<&[u8]> = units.iter().map(|unit| &unit[..]).collect();
        let frame = with_lengths(&units);
        let mut packetizer = Packetizer::new(Mode::NonInterleaved, Framing::Length);
        let mut depacketizer = Depacketizer::new(Framing::Length, Limits::default());
        let sent = sent(&mut packetizer, &frame, max);
        let (_, frames) = receive!(depacketizer, [(&slice(0x41, 9), 1, true, false)]);
        prop_assert!(frames[0].is_ok());
        let (results, frames) = receive!(depacketizer, intact(&sent, 7));
        prop_assert!(results.iter().all(Result::is_ok), "{:?}", results);
        prop_assert_eq!(&frames[0].as_ref().unwrap().bytes, &frame);
    }
}
