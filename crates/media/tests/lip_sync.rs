//! What senders say of the time of day, and what they do not know of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use media::{Receiver, StreamId};
use proto::{Instant, Writer};
use rtp::rtcp::{Compound, SenderInfo};
use rtp::{Encoder, Header, NtpTime, PacketMut, PayloadType, RtpTimestamp, SequenceNumber, Ssrc};
use support::{audio_receiver, opus, pt, video_receiver, vp8};
use testkit::epoch;

const FRAME: Duration = Duration::from_millis(20);

/// A source with a frame each 20 ms, and who receives it.
struct Side {
    receiver: Receiver,
    ssrc: Ssrc,
    payload_type: PayloadType,
    step: u32,
    captured: usize,
}

impl Side {
    fn audio() -> Self {
        let mut config = audio_receiver();
        config.probation = 0;
        let (receiver, payload_type) = (Receiver::new(config), pt(111));
        Self { receiver, ssrc: Ssrc(1), payload_type, step: 960, captured: 0 }
    }

    fn video() -> Self {
        let mut config = video_receiver();
        config.probation = 0;
        let (receiver, payload_type) = (Receiver::new(config), pt(96));
        Self { receiver, ssrc: Ssrc(2), payload_type, step: 1800, captured: 0 }
    }

    fn frame(&mut self, now: Instant, number: u16) {
        let payload = if self.step == 960 {
            opus(number.into())
        } else {
            [vec![0x10], vp8(number.into(), number == 0, 100)].concat()
        };
        let header = Header {
            marker: self.step != 960,
            payload_type: self.payload_type,
            sequence_number: SequenceNumber(number),
            timestamp: RtpTimestamp(self.step * u32::from(number)),
            ssrc: self.ssrc,
        };
        let mut memory = [0; 400];
        let mut out = Writer::new(&mut memory);
        Encoder::new(&mut out, header, &[]).unwrap().finish(&payload, 0).unwrap();
        let len = out.len();
        self.receiver.handle_rtp(now, PacketMut::decode(&mut memory, len).unwrap()).unwrap();
        while let Some(frame) = self.receiver.poll_frame(now) {
            self.captured += usize::from(frame.captured.is_some());
        }
    }

    fn report(&mut self, now: Instant, number: u32, ntp: NtpTime) {
        let info = SenderInfo { ntp, rtp: RtpTimestamp(self.step * number), ..SenderInfo::default() };
        let mut memory = [0; 100];
        let mut out = Writer::new(&mut memory);
        rtp::rtcp::Encoder::new(&mut out).sender_report(self.ssrc, info, [], &[]).unwrap();
        for packet in Compound::decode(out.written()).unwrap().packets() {
            self.receiver.handle_rtcp(now, &packet.unwrap());
        }
    }

    fn delay(&self) -> Duration {
        self.receiver.stats(StreamId(0)).unwrap().delay
    }
}

/// Ten seconds of audio and video, which report at different times. Gives how long either is held back, and how many frames have the
/// sender's time of day.
fn play(ntp: impl Fn(Duration) -> [NtpTime; 2]) -> ([Duration; 2], [usize; 2]) {
    let (mut audio, mut video) = (Side::audio(), Side::video());
    for step in 0..500_u32 {
        let now = epoch() + FRAME * step;
        let number = u16::try_from(step).unwrap();
        audio.frame(now, number);
        video.frame(now, number);
        let [of_audio, of_video] = ntp(FRAME * step);
        if step % 250 == 10 {
            audio.report(now, step, of_audio);
        }
        if step % 250 == 170 {
            video.report(now, step, of_video);
        }
        if step % 50 == 0 {
            audio.receiver.synchronize(&mut video.receiver);
        }
    }
    ([audio.delay(), video.delay()], [audio.captured, video.captured])
}

fn ntp(time: Duration) -> NtpTime {
    NtpTime::from_unix(Duration::from_secs(1_800_000_000) + time)
}

#[test]
fn the_earlier_of_two_that_were_captured_together_waits_for_the_other() {
    // Video comes 300 ms after it was captured.
    let ([audio, video], captured) =
        play(|time| [ntp(time), ntp(time.saturating_sub(Duration::from_millis(300)))]);
    assert!(
        audio.abs_diff(video + Duration::from_millis(300)) < Duration::from_millis(30),
        "{audio:?} {video:?}"
    );
    assert!(captured.iter().all(|frames| *frames > 300), "{captured:?}");
}

/// RFC 3550 §6.4.1: a sender that has no clock of the day says zero.
#[test]
fn who_does_not_know_the_time_of_day_is_not_aligned_by_it() {
    for which in [[true, true], [true, false], [false, true]] {
        let zero = |time| which.map(|is_zero| if is_zero { NtpTime(0) } else { ntp(time) });
        let (delays, captured) = play(zero);
        assert!(delays.iter().all(|delay| *delay < Duration::from_millis(50)), "{delays:?}");
        assert_eq!(captured.map(|frames| frames > 0), which.map(|is_zero| !is_zero));
    }
}

#[test]
fn what_two_clocks_say_is_not_compared() {
    for apart in [11, 3600, 100_000_000] {
        let ([audio, video], _) = play(|time| [ntp(time), ntp(time + Duration::from_secs(apart))]);
        assert!(audio.max(video) < Duration::from_millis(50), "{apart} s: {audio:?} {video:?}");
    }
}
