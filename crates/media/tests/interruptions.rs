//! Sources of audio that pause, begin anew, or whose times leap: nothing of that lasts longer than it takes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use media::{Codec, Content, Format, Receiver, StreamId};
use proto::{Instant, Writer};
use rtp::payload::red;
use rtp::{Encoder, Header, PacketMut, PayloadType, RtpTimestamp, SequenceNumber, Ssrc};
use support::{audio_receiver, opus, pt};
use testkit::epoch;

const TICKS: u32 = 960;
const FRAME: Duration = Duration::from_millis(20);

/// What came out: a frame, or for how many ticks none did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Came {
    Frame(u32),
    Concealed(u32),
}

/// A receiver, and the source of what it gets: a packet each 20 ms.
struct Source {
    receiver: Receiver,
    redundant: Option<red::Packetizer>,
    now: Instant,
    frame: u32,
    number: u16,
    timestamp: u32,
    came: Vec<Came>,
}

impl Source {
    fn new(is_redundant: bool) -> Self {
        let mut config = audio_receiver();
        config.probation = 0;
        let redundant = Codec::RedundantAudio { primary: pt(111), clock_rate: 48_000 };
        config.formats.push((pt(63), Format::Media(redundant)));
        Self {
            receiver: Receiver::new(config),
            redundant: is_redundant.then(|| red::Packetizer::new(111, 1).unwrap()),
            now: epoch(),
            frame: 0,
            number: 65_500,
            timestamp: 0xf000_0000,
            came: Vec::new(),
        }
    }

    /// Nothing is sent for so long, and no number is used.
    fn pause(&mut self, pause: Duration) {
        let ticks = u32::try_from(pause.as_millis() * 48 % (1 << 32)).unwrap();
        self.timestamp = self.timestamp.wrapping_add(ticks);
        self.wait(pause);
    }

    fn wait(&mut self, time: Duration) {
        for _ in 0..(time.as_millis() / 5).min(200) {
            self.now += Duration::from_millis(5);
            self.drain();
        }
        self.now += time.saturating_sub(Duration::from_secs(1));
    }

    /// So many packets are sent, of which those that `lost` names do not come.
    fn send(&mut self, packets: u32, lost: impl Fn(u32) -> bool) {
        for packet in 0..packets {
            let (payload_type, payload) = self.payload();
            if !lost(packet) {
                self.deliver(payload_type, &payload);
            }
            self.frame += 1;
            self.number = self.number.wrapping_add(1);
            self.timestamp = self.timestamp.wrapping_add(TICKS);
            self.wait(FRAME);
        }
    }

    fn payload(&mut self) -> (PayloadType, Vec<u8>) {
        let frame = opus(self.frame);
        let Some(packetizer) = &mut self.redundant else { return (pt(111), frame) };
        let mut memory = [0; 1500];
        let mut out = Writer::new(&mut memory);
        packetizer.frame(&frame, self.timestamp, false, 1200).unwrap().write(&mut out).unwrap();
        (pt(63), out.written().to_vec())
    }

    fn deliver(&mut self, payload_type: PayloadType, payload: &[u8]) {
        let header = Header {
            marker: false,
            payload_type,
            sequence_number: SequenceNumber(self.number),
            timestamp: RtpTimestamp(self.timestamp),
            ssrc: Ssrc(7),
        };
        let mut memory = [0; 1500];
        let mut out = Writer::new(&mut memory);
        Encoder::new(&mut out, header, &[]).unwrap().finish(payload, 0).unwrap();
        let len = out.len();
        // The first of one that begins anew is refused (RFC 3550 A.1).
        let _ = self.receiver.handle_rtp(self.now, PacketMut::decode(&mut memory, len).unwrap());
        self.drain();
    }

    fn drain(&mut self) {
        self.receiver.handle_timeout(self.now);
        while let Some(frame) = self.receiver.poll_frame(self.now) {
            self.came.push(match frame.content {
                Content::Media { bytes, .. } => {
                    Came::Frame(u32::from_be_bytes(bytes[1..5].try_into().unwrap()))
                }
                Content::Concealed { duration } => Came::Concealed(duration),
            });
        }
    }

    /// What came out since it was asked last.
    fn came(&mut self) -> Vec<Came> {
        self.wait(Duration::from_millis(200));
        std::mem::take(&mut self.came)
    }

    fn concealed_ticks(&self) -> u64 {
        self.receiver.stats(StreamId(0)).unwrap().track.concealed_ticks
    }
}

fn frames(from: u32, until: u32) -> Vec<Came> {
    (from..until).map(Came::Frame).collect()
}

#[test]
fn what_is_lost_after_a_pause_is_concealed_and_the_pause_is_not() {
    for pause in [400, 5000, 3_600_000, 80_000_000] {
        let mut source = Source::new(false);
        source.send(50, |_| false);
        assert_eq!(source.came(), frames(0, 50));
        source.pause(Duration::from_millis(pause));
        // The first after the pause is lost, and one more.
        source.send(50, |packet| packet == 0 || packet == 20);
        let came = source.came();
        let mut expected = vec![Came::Concealed(TICKS)];
        expected.extend(frames(51, 70));
        expected.push(Came::Concealed(TICKS));
        expected.extend(frames(71, 100));
        assert_eq!(came, expected, "{pause} ms");
        assert_eq!(source.concealed_ticks(), u64::from(2 * TICKS));
    }
}

/// RFC 2198: nothing is missing of what the next packet repeats.
#[test]
fn what_is_lost_after_a_pause_and_repeated_is_not_concealed() {
    for pause in [400, 5000, 3_600_000] {
        let mut source = Source::new(true);
        source.send(50, |_| false);
        assert_eq!(source.came(), frames(0, 50));
        source.pause(Duration::from_millis(pause));
        source.send(50, |packet| packet == 0);
        assert_eq!(source.came(), frames(50, 100), "{pause} ms");
        source.pause(Duration::from_millis(pause));
        source.send(50, |packet| packet < 2);
        assert_eq!(source.came(), [vec![Came::Concealed(TICKS)], frames(101, 150)].concat(), "{pause} ms");
        assert_eq!(source.concealed_ticks(), u64::from(TICKS));
    }
}

/// RFC 3551 §4.2: packets have up to 200 ms.
#[test]
fn longer_frames_are_concealed_at_their_length() {
    let mut source = Source::new(false);
    source.send(20, |_| false);
    // Two frames in which there would have been ten, of which one is lost.
    source.send(1, |_| true);
    source.timestamp = source.timestamp.wrapping_add(4 * TICKS);
    source.send(10, |_| false);
    assert_eq!(source.came()[20], Came::Concealed(5 * TICKS));
}

#[test]
fn times_that_leap_leave_concealment_and_figures_as_they_were() {
    for is_redundant in [false, true] {
        // Ten minutes and eleven hours, back and forth.
        for leap in [-28_800_000_i32, 28_800_000, -1_900_800_000, 1_900_800_000, -60_000 * 48] {
            let mut source = Source::new(is_redundant);
            source.send(50, |_| false);
            assert_eq!(source.came(), frames(0, 50));
            let before = source.receiver.stats(StreamId(0)).unwrap().track;
            source.timestamp = source.timestamp.wrapping_add_signed(leap);
            source.send(50, |packet| packet == 30 || packet == 31);
            let came = source.came();
            let lost = if is_redundant {
                [frames(50, 80), vec![Came::Concealed(TICKS)], frames(81, 100)].concat()
            } else {
                [frames(50, 80), vec![Came::Concealed(2 * TICKS)], frames(82, 100)].concat()
            };
            assert_eq!(came, lost, "{leap} {is_redundant}");
            let after = source.receiver.stats(StreamId(0)).unwrap().track;
            assert!(after.emitted - before.emitted <= u64::from(50 * TICKS), "{leap} {after:?}");
        }
    }
}

#[test]
fn a_source_that_begins_anew_is_heard_at_once() {
    for is_redundant in [false, true] {
        let mut source = Source::new(is_redundant);
        source.send(50, |_| false);
        source.came();
        source.number = source.number.wrapping_add(20_000);
        source.timestamp = source.timestamp.wrapping_sub(48_000 * 60);
        source.send(50, |packet| packet == 30 || packet == 31);
        let came = source.came();
        let first = came[0];
        assert!(matches!(first, Came::Frame(50 | 51)), "{came:?}");
        assert!(came.iter().any(|came| matches!(came, Came::Concealed(_))), "{came:?}");
        assert_eq!(came.last(), Some(&Came::Frame(99)));
    }
}
