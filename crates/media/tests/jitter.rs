//! The jitter buffer against what was sent, whatever becomes of it on its way.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use media::{Codec, Content, Format, Receiver, ReceiverConfig, StreamId};
use proptest::prelude::*;
use proto::{Instant, Writer};
use rtp::payload::{PictureId, vp8 as format};
use rtp::{Encoder, Header, PacketMut, RtpTimestamp, SequenceNumber, Ssrc};
use support::{pt, video_receiver, vp8};
use testkit::epoch;

/// Packets of frames, each with the frame that it belongs to; the first is a key frame, and every `keys`th.
fn packets(first: u16, sizes: &[usize], keys: usize) -> Vec<(usize, Vec<u8>)> {
    let mut packetizer = format::Packetizer::new(PictureId::Long(5));
    let mut number = SequenceNumber(first);
    let mut all = Vec::new();
    for (at, size) in sizes.iter().enumerate() {
        let bytes = frame(at, *size, keys);
        let mut payloads = packetizer.frame(&bytes, format::Layer::default(), 200).unwrap();
        loop {
            let mut memory = [0; 300];
            let mut payload = Writer::new(&mut memory);
            let Some(written) = payloads.write(&mut payload).unwrap() else { break };
            let header = Header {
                marker: written.marker,
                payload_type: pt(96),
                sequence_number: number,
                timestamp: RtpTimestamp(u32::MAX - 9000).wrapping_add(u32::try_from(at).unwrap() * 3000),
                ssrc: Ssrc(7),
            };
            let mut memory = [0; 400];
            let mut out = Writer::new(&mut memory);
            Encoder::new(&mut out, header, &[]).unwrap().finish(payload.written(), 0).unwrap();
            all.push((at, out.written().to_vec()));
            number = number.next();
        }
    }
    all
}

fn frame(at: usize, size: usize, keys: usize) -> Vec<u8> {
    vp8(u32::try_from(at).unwrap(), at.is_multiple_of(keys), size)
}

fn receiver(nack: bool) -> Receiver {
    let mut config: ReceiverConfig = video_receiver();
    (config.probation, config.nack) = (0, nack);
    Receiver::new(config)
}

fn give(receiver: &mut Receiver, now: Instant, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    let len = bytes.len();
    // Duplicates are refused.
    let _ = receiver.handle_rtp(now, PacketMut::decode(&mut bytes, len).unwrap());
}

/// The frames that come out: which, and what.
fn drain(receiver: &mut Receiver, now: Instant, out: &mut Vec<(usize, Vec<u8>)>) {
    receiver.handle_timeout(now);
    while let Some(frame) = receiver.poll_frame(now) {
        let Content::Media { bytes, .. } = frame.content else { panic!("video is not concealed") };
        let at = u32::from_be_bytes(bytes[10..14].try_into().unwrap());
        out.push((usize::try_from(at).unwrap(), bytes.to_vec()));
    }
}

/// Carries packets over, one a millisecond. Gives how often a key frame was asked for, and of the frames that came which they are and
/// whether they follow loss.
fn asked(packets: &[(usize, Vec<u8>)]) -> (u64, Vec<(usize, bool)>) {
    let mut bob = support::rtp("bob", 3);
    let mut config = video_receiver();
    config.probation = 0;
    let id = bob.add_receiver(config).unwrap();
    let (mut now, mut frames) = (epoch(), Vec::new());
    for (_, bytes) in packets {
        now += Duration::from_millis(1);
        support::deliver(&mut bob, now, &mut bytes.clone());
        bob.handle_timeout(now);
        while let Some(frame) = bob.receiver(id).unwrap().poll_frame(now) {
            let Content::Media { bytes, after_loss, .. } = frame.content else { panic!("it is video") };
            frames.push((u32::from_be_bytes(bytes[10..14].try_into().unwrap()) as usize, after_loss));
        }
        while bob.poll_rtcp(now, &mut Writer::new(&mut [0; 1500])) {}
    }
    (bob.receiver(id).unwrap().stats(StreamId(0)).unwrap().key_frame_requests, frames)
}

/// RFC 4585 §6.3.1: a PLI tells of loss.
#[test]
fn a_stream_that_begins_with_a_key_frame_is_asked_for_none() {
    let all = packets(9, &[3000, 400, 400], 10);
    assert!(all.len() > 15);
    assert_eq!(asked(&all), (0, vec![(0, false), (1, false), (2, false)]));
    // Its begin was missed.
    assert_eq!(asked(&all[1..]), (1, vec![]));
    // It had begun.
    let later = packets(9, &[400; 6], 10).split_off(3);
    assert_eq!(asked(&later), (1, vec![]));
}

/// 20 ms of audio in the format with this payload type and clock.
fn sound(payload_type: u8, ticks: u32, number: u16) -> Vec<u8> {
    let header = Header {
        marker: false,
        payload_type: pt(payload_type),
        sequence_number: SequenceNumber(number),
        timestamp: RtpTimestamp(u32::from(number) * ticks),
        ssrc: Ssrc(7),
    };
    let mut memory = [0; 400];
    let mut out = Writer::new(&mut memory);
    Encoder::new(&mut out, header, &[]).unwrap().finish(&[0xf8; 80], 0).unwrap();
    out.written().to_vec()
}

/// Gives such packets, each when it is due. Gives how late each frame came out.
fn play(
    receiver: &mut Receiver,
    payload_type: u8,
    ticks: u32,
    numbers: std::ops::Range<u16>,
) -> Vec<Duration> {
    let mut late = Vec::new();
    for number in numbers {
        let begin = epoch() + Duration::from_millis(20) * u32::from(number);
        give(receiver, begin, &sound(payload_type, ticks, number));
        for step in 0..20 {
            let now = begin + Duration::from_millis(step);
            receiver.handle_timeout(now);
            while let Some(frame) = receiver.poll_frame(now) {
                assert_eq!(frame.payload_type, pt(payload_type));
                late.push(now - frame.playout);
            }
        }
    }
    late
}

/// RFC 7160: an answer with two codecs lets the peer send either, each with its own clock.
#[test]
fn each_codec_has_its_own_clock() {
    let mut config = support::audio_receiver();
    (config.probation, config.nack) = (0, false);
    config.formats.push((pt(0), Format::Media(Codec::G711)));
    let mut receiver = Receiver::new(config);
    let mut expect = |payload_type, ticks, numbers: std::ops::Range<u16>| {
        let count = numbers.len();
        let late = play(&mut receiver, payload_type, ticks, numbers);
        // What waits when the clock changes has no time any more.
        assert!(late.len() >= count - 1, "{} of {count}", late.len());
        assert!(late.iter().all(|late| *late < Duration::from_millis(2)), "{late:?}");
        let stats = receiver.stats(StreamId(0)).unwrap();
        assert!(stats.jitter <= ticks / 20 && stats.delay <= Duration::from_millis(20), "{stats:?}");
    };
    expect(0, 160, 0..500);
    expect(111, 960, 500..1000);
    expect(0, 160, 1000..1500);
    // One of the codec before that was overtaken changes nothing.
    play(&mut receiver, 0, 160, 1501..1502);
    let late = receiver.stats(StreamId(0)).unwrap().track.late;
    give(&mut receiver, epoch() + Duration::from_millis(20) * 1502, &sound(111, 960, 1500));
    assert_eq!(receiver.stats(StreamId(0)).unwrap().track.late, late + 1);
    let on_time = play(&mut receiver, 0, 160, 1502..1600);
    assert!(
        on_time.len() >= 97 && on_time.iter().all(|late| *late < Duration::from_millis(2)),
        "{on_time:?}"
    );
}

#[test]
fn more_than_the_limit_that_waits_is_dropped_and_a_key_frame_asked_for() {
    let mut receiver = receiver(true);
    let sizes = vec![100; 2200];
    let packets = packets(60_000, &sizes, 5000);
    let mut out = Vec::new();
    give(&mut receiver, epoch(), &packets[0].1);
    drain(&mut receiver, epoch(), &mut out);
    assert_eq!(out.len(), 1);
    // The second is missing; of those behind it, 2,047 are kept with its place.
    let stream = receiver.streams().next().unwrap();
    for (at, packet) in packets.iter().enumerate().skip(2) {
        give(&mut receiver, epoch(), &packet.1);
        drain(&mut receiver, epoch(), &mut out);
        let overflows = receiver.stats(stream).unwrap().track.overflows;
        assert_eq!(overflows, u64::from(at > 2048), "{at}");
    }
    assert_eq!(out.len(), 1, "nothing more can be decoded");
    assert!(receiver.poll_timeout().is_some_and(|due| due <= epoch()), "a key frame is asked for");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn without_loss_every_frame_comes_out_once_and_in_order_whatever_the_order(
        first in any::<u16>(),
        sizes in proptest::collection::vec(14_usize..900, 1..40),
        swaps in proptest::collection::vec((0_usize..200, 0_usize..12), 0..60),
        copies in proptest::collection::vec(0_usize..200, 0..20),
        nack in any::<bool>(),
    ) {
        let mut sent = packets(first, &sizes, 10);
        // The first one leads: who comes later starts the stream there.
        let count = sent.len();
        for (at, by) in swaps {
            let (at, to) = (1 + at % count, 1 + (at + by) % count);
            if at < count && to < count && to > at {
                let packet = sent.remove(to);
                sent.insert(at, packet);
            }
        }
        for at in copies {
            let packet = sent[at % count].clone();
            sent.push(packet);
        }
        let (mut receiver, mut out, mut now) = (receiver(nack), Vec::new(), epoch());
        for (_, packet) in &sent {
            now += Duration::from_micros(500);
            give(&mut receiver, now, packet);
            drain(&mut receiver, now, &mut out);
        }
        let expected: Vec<(usize, Vec<u8>)> =
            sizes.iter().enumerate().map(|(at, size)| (at, frame(at, *size, 10))).collect();
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn with_loss_what_comes_out_is_whole_in_order_and_rests_on_what_came_out(
        first in any::<u16>(),
        sizes in proptest::collection::vec(14_usize..900, 1..60),
        lost in proptest::collection::vec(0_usize..300, 0..12),
        nack in any::<bool>(),
    ) {
        let sent = packets(first, &sizes, 7);
        let broken: Vec<usize> = lost.iter().filter_map(|at| sent.get(*at)).map(|(frame, _)| *frame).collect();
        let (mut receiver, mut out, mut now) = (receiver(nack), Vec::new(), epoch());
        for (at, (_, packet)) in sent.iter().enumerate() {
            now += Duration::from_millis(5);
            if !lost.contains(&at) {
                give(&mut receiver, now, packet);
            }
            drain(&mut receiver, now, &mut out);
        }
        // Nothing is waited for longer than this.
        for _ in 0..200 {
            now += Duration::from_millis(10);
            drain(&mut receiver, now, &mut out);
        }
        let mut last = None;
        for (at, bytes) in &out {
            prop_assert_eq!(bytes, &frame(*at, sizes[*at], 7));
            prop_assert!(!broken.contains(at));
            let follows = last.is_some_and(|last: usize| last + 1 == *at);
            prop_assert!(follows || at.is_multiple_of(7), "{at} after {last:?}");
            prop_assert!(last.is_none_or(|last| last < *at));
            last = Some(*at);
        }
        // And all that can be decoded comes out, but where the end of a frame before is not known to be one.
        let decodable = (0..sizes.len()).filter(|at| (at / 7 * 7..=*at).all(|at| !broken.contains(&at)));
        let decodable = decodable.filter(|at| sent.iter().any(|(frame, _)| frame == at));
        prop_assert_eq!(out.iter().map(|(at, _)| *at).collect::<Vec<_>>(), decodable.collect::<Vec<_>>());
    }
}

#[test]
fn key_frames_of_a_camera_that_tells_its_parameter_sets_beside_the_stream_have_them() {
    let sets = [0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0xd9, 0, 0, 0, 1, 0x68, 0xcb, 0x83];
    for (beside, known) in [(sets.to_vec(), true), (vec![], false), (vec![1, 2], false)] {
        let mut config = video_receiver();
        (config.probation, config.formats) = (0, vec![(pt(96), Format::Media(Codec::H264))]);
        config.parameter_sets = vec![(pt(96), beside)];
        let mut receiver = Receiver::new(config);
        let mut memory = [0; 40];
        let mut out = Writer::new(&mut memory);
        let header = Header { marker: true, payload_type: pt(96), ssrc: Ssrc(7), ..Header::default() };
        Encoder::new(&mut out, header, &[]).unwrap().finish(&[0x65, 0x88, 1], 0).unwrap();
        give(&mut receiver, epoch(), out.written());
        let frame = receiver.poll_frame(epoch()).unwrap();
        let Content::Media { bytes, .. } = frame.content else { panic!("video is not concealed") };
        let picture = [0, 0, 0, 1, 0x65, 0x88, 1];
        assert_eq!(bytes, [if known { &sets[..] } else { &[] }, &picture].concat());
    }
}

/// RFC 6184 §5.1 does not let one rely on the marker, and some cameras never set it.
#[test]
fn video_without_markers_is_played_by_its_times_too() {
    let mut config = video_receiver();
    (config.probation, config.formats) = (0, vec![(pt(96), Format::Media(Codec::H264))]);
    let mut receiver = Receiver::new(config);
    let mut playouts = Vec::new();
    for frame in 0..100_u32 {
        // Two slices of a picture, 3 ms apart; every fourth frame is 30 ms late.
        for slice in 0..2_u32 {
            let late = if frame % 4 == 3 { 30 } else { 0 };
            let now = epoch() + Duration::from_millis((frame * 40 + slice * 3 + late).into());
            let header = Header {
                payload_type: pt(96),
                sequence_number: SequenceNumber(u16::try_from(2 * frame + slice).unwrap()),
                timestamp: RtpTimestamp(frame * 3600),
                ssrc: Ssrc(7),
                ..Header::default()
            };
            let payload = [if frame == 0 { 0x65 } else { 0x41 }, if slice == 0 { 0x88 } else { 0x48 }, 1];
            let mut memory = [0; 40];
            let mut out = Writer::new(&mut memory);
            Encoder::new(&mut out, header, &[]).unwrap().finish(&payload, 0).unwrap();
            let bytes = out.written().to_vec();
            give(&mut receiver, now, &bytes);
            while let Some(frame) = receiver.poll_frame(now) {
                playouts.push((frame.timestamp.0 / 3600, frame.playout));
            }
        }
    }
    assert_eq!(playouts.len(), 99, "the last one has not ended");
    for (frame, playout) in &playouts[50..] {
        let captured = epoch() + Duration::from_millis(u64::from(*frame) * 40);
        let held = *playout - captured;
        assert!((30..60).contains(&held.as_millis()), "{frame}: {held:?}");
    }
    let stats = receiver.stats(StreamId(0)).unwrap();
    assert_eq!((stats.track.frames, stats.track.broken), (99, 0));
}
