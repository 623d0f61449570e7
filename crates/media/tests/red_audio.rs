//! Audio that repeats what went before (RFC 2198): what is lost comes with the next packet.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use media::{Codec, Content, Format, Receiver};
use proto::{Instant, Writer};
use rtp::payload::red;
use rtp::{Encoder, Header, PacketMut, RtpTimestamp, SequenceNumber, Ssrc};
use support::{audio_receiver, opus, pt};
use testkit::epoch;

const FRAMES: u32 = 100;
const TICKS: u32 = 960;
const FRAME: Duration = Duration::from_millis(20);

/// What comes out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Came {
    /// Which frame it is; `None` if it is concealed.
    number: Option<u32>,
    /// How long after its playout it came out.
    late: Duration,
    concealed: u32,
    after_loss: bool,
}

fn receiver() -> Receiver {
    let mut config = audio_receiver();
    config.probation = 0;
    let redundant = Codec::RedundantAudio { primary: pt(111), clock_rate: 48_000 };
    config.formats.push((pt(63), Format::Media(redundant)));
    Receiver::new(config)
}

/// Sends frames, of which those from `plain` on repeat `depth` others. `lost` do not arrive.
fn receive(depth: usize, plain: u32, lost: impl Fn(u32) -> bool) -> Vec<Came> {
    let mut receiver = receiver();
    let mut packetizer = red::Packetizer::new(111, depth).unwrap();
    let mut came = Vec::new();
    for frame in 0..FRAMES {
        let timestamp = RtpTimestamp(u32::MAX - 20 * TICKS).wrapping_add(frame * TICKS);
        let mut memory = [0; 1500];
        let mut payload = Writer::new(&mut memory);
        let mut payloads = packetizer.frame(&opus(frame), timestamp.0, false, 1200).unwrap();
        payloads.write(&mut payload).unwrap();
        let is_plain = frame < plain;
        let opus = opus(frame);
        let bytes = if is_plain { &opus } else { payload.written() };
        let header = Header {
            marker: false,
            payload_type: pt(if is_plain { 111 } else { 63 }),
            sequence_number: SequenceNumber(u16::MAX - 30).wrapping_add(u16::try_from(frame).unwrap()),
            timestamp,
            ssrc: Ssrc(7),
        };
        let mut memory = [0; 1500];
        let mut out = Writer::new(&mut memory);
        Encoder::new(&mut out, header, &[]).unwrap().finish(bytes, 0).unwrap();
        let len = out.len();
        let begin = epoch() + FRAME * frame;
        if !lost(frame) {
            receiver.handle_rtp(begin, PacketMut::decode(&mut memory, len).unwrap()).unwrap();
        }
        (0..20).for_each(|step| drain(&mut receiver, begin + Duration::from_millis(step), &mut came));
    }
    (0..200).for_each(|step| {
        drain(&mut receiver, epoch() + FRAME * FRAMES + Duration::from_millis(step), &mut came)
    });
    came
}

fn drain(receiver: &mut Receiver, now: Instant, came: &mut Vec<Came>) {
    receiver.handle_timeout(now);
    while let Some(frame) = receiver.poll_frame(now) {
        let late = now - frame.playout;
        came.push(match frame.content {
            Content::Media { bytes, after_loss, .. } => {
                let number = u32::from_be_bytes(bytes[1..5].try_into().unwrap());
                Came { number: Some(number), late, concealed: 0, after_loss }
            }
            Content::Concealed { duration } => {
                Came { number: None, late, concealed: duration, after_loss: false }
            }
        });
    }
}

/// Each frame once and in order, `None` for one that is concealed.
fn numbers(came: &[Came]) -> Vec<Option<u32>> {
    came.iter().map(|came| came.number).collect()
}

fn all() -> Vec<Option<u32>> {
    (0..FRAMES).map(Some).collect()
}

#[test]
fn a_frame_that_the_next_packet_repeats_is_not_concealed() {
    let came = receive(1, 0, |frame| frame % 7 == 5);
    assert_eq!(numbers(&came), all());
    assert!(came.iter().all(|it| it.late < FRAME && !it.after_loss), "{came:?}");
}

#[test]
fn what_nobody_repeats_is_concealed_and_no_more() {
    let came = receive(1, 0, |frame| frame % 10 == 5 || frame % 10 == 6);
    let missing = |frame: u32| if frame % 10 == 5 { None } else { Some(frame) };
    assert_eq!(numbers(&came), (0..FRAMES).map(missing).collect::<Vec<_>>());
    assert!(came.iter().all(|it| it.late < FRAME * 2), "{came:?}");
    assert!(came.iter().filter(|it| it.number.is_none()).all(|it| it.concealed == TICKS), "{came:?}");
    // The first that follows says so.
    assert!(
        came.iter().all(|it| it.after_loss == it.number.is_some_and(|number| number % 10 == 6)),
        "{came:?}"
    );
    // Who repeats two loses nothing.
    assert_eq!(numbers(&receive(2, 0, |frame| frame % 10 == 5 || frame % 10 == 6)), all());
}

#[test]
fn without_repetition_all_that_is_lost_is_concealed_at_its_length() {
    let came = receive(0, FRAMES, |frame| frame % 10 == 5 || frame % 10 == 7);
    let missing = |frame: u32| if frame % 10 == 5 || frame % 10 == 7 { None } else { Some(frame) };
    assert_eq!(numbers(&came), (0..FRAMES).map(missing).collect::<Vec<_>>());
    assert!(came.iter().filter(|it| it.number.is_none()).all(|it| it.concealed == TICKS), "{came:?}");
}

#[test]
fn what_came_plain_is_not_taken_from_a_repetition_again() {
    for depth in 1..3 {
        assert_eq!(numbers(&receive(depth, 40, |_| false)), all());
        assert_eq!(numbers(&receive(depth, 40, |frame| frame == 39)), all(), "it was lost");
    }
}
