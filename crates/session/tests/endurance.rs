//! A call that lasts for days, in virtual time: everything that counts wraps, and clocks drift.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::sync::Arc;
use std::time::Duration;

use harness::{Two, config};
use session::{ChannelInit, Content, FrameConfig, MediaKind, OutgoingFrame, TransceiverId};
use testkit::{Link, scaled_at_least};

/// Frames as they come.
#[derive(Debug, Default)]
struct Heard {
    frames: u64,
    /// The longest time from a frame's making to its playing, and between two frames.
    delay: Duration,
    silence: Duration,
    last: Option<proto::Instant>,
}

/// Two sessions, each of which sends audio and video to the other, and what comes of it.
struct Call {
    two: Two,
    ids: [[TransceiverId; 2]; 2],
    begin: proto::Instant,
    heard: [[Heard; 2]; 2],
    frames: u64,
    /// By which parts of ten thousand the clocks of the sources are wrong, of one too fast and of the other too slow.
    skew: u64,
}

impl Call {
    fn connected(skew: u64) -> Self {
        let (delay, jitter) = (Duration::from_millis(30), Duration::from_millis(10));
        let link = Link { delay, jitter, loss: 0.01, ..Link::default() };
        let configs = [0, 1].map(|side| {
            let mut config = config(side);
            config.frames = Some(Arc::new(FrameConfig::default()));
            config
        });
        let mut two = Two::with(configs, link);
        let now = two.now();
        let kinds = [MediaKind::Audio, MediaKind::Video];
        let ids =
            [0, 1].map(|side| kinds.map(|kind| two.session(side).add_track(now, kind, vec![]).unwrap()));
        two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
        two.negotiate(0);
        assert!(two.run(Duration::from_secs(20), Two::is_connected), "{}", two.reports());
        Self { begin: two.now(), two, ids, heard: Default::default(), frames: 0, skew }
    }

    /// Sends and reads for a second: ten frames of audio each way, and two of video.
    fn second(&mut self) {
        for tenth in 0..10 {
            let now = self.two.now();
            let elapsed = u64::try_from((now - self.begin).as_millis()).unwrap();
            for side in [0, 1] {
                let time = |rate: u64| {
                    let (right, off) = (elapsed * rate, elapsed * rate * self.skew / 10_000);
                    let ticks = if side == 0 { right + off } else { right - off };
                    u32::try_from(ticks & u64::from(u32::MAX)).unwrap()
                };
                let [audio, video] = self.ids[side];
                let bytes = [&[0xf8][..], &elapsed.to_be_bytes()].concat();
                let frame = OutgoingFrame { bytes: &bytes, timestamp: time(48), ..OutgoingFrame::default() };
                self.two.session(side).write_frame(now, audio, 0, &frame).unwrap();
                if tenth % 5 == 0 {
                    let number = u32::try_from(self.frames & 0xffff_ffff).unwrap();
                    let bytes = [harness::vp8(number, 300, 7), elapsed.to_be_bytes().to_vec()].concat();
                    let frame =
                        OutgoingFrame { bytes: &bytes, timestamp: time(90), ..OutgoingFrame::default() };
                    self.two.session(side).write_frame(now, video, 0, &frame).unwrap();
                }
            }
            self.frames += u64::from(tenth % 5 == 0);
            for _ in 0..2 {
                self.two.run(Duration::from_millis(50), |_| false);
                self.read();
            }
        }
    }

    /// Nearly all of what so many seconds had was heard, in time. Frames of audio that are lost stay so.
    fn check(&self, seconds: u64, minute: u64) {
        for (side, [audio, video]) in self.heard.iter().enumerate() {
            let what = || format!("minute {minute}, side {side}: {audio:?}, {video:?}");
            assert!(audio.frames * 100 >= seconds * 10 * 94, "{}", what());
            assert!(video.frames * 100 >= seconds * 2 * 94, "{}", what());
            for heard in [audio, video] {
                assert!(heard.delay < Duration::from_millis(120), "{}", what());
                assert!(heard.silence < Duration::from_millis(2500), "{}", what());
            }
        }
    }

    fn read(&mut self) {
        let now = self.two.now();
        for (ids, heard) in [0, 1].map(|side| (self.ids[side], side)) {
            for (kind, id) in ids.into_iter().enumerate() {
                while let Some(frame) = self.two.session(heard).poll_frame(now, id) {
                    let Content::Media { bytes, .. } = frame.content else { continue };
                    let made = u64::from_be_bytes(bytes[bytes.len() - 8..].try_into().unwrap());
                    let it = &mut self.heard[heard][kind];
                    it.frames += 1;
                    it.delay = it.delay.max(frame.playout - (self.begin + Duration::from_millis(made)));
                    it.silence = it.silence.max(it.last.map_or(Duration::ZERO, |last| now - last));
                    it.last = Some(now);
                }
            }
        }
    }
}

#[test]
fn a_call_of_days_goes_on_as_it_began() {
    // Clocks that are wrong by 0.01 % are apart by half a minute after two days.
    let mut call = Call::connected(1);
    let minutes = scaled_at_least(60 * 55, 10);
    for minute in 0..minutes {
        call.heard = Default::default();
        (0..60).for_each(|_| call.second());
        call.check(60, minute);
    }
}

/// Half a round of the times of video is over after 6.6 hours, one of audio's after 24.9.
#[test]
fn a_call_goes_on_after_hours_without_media() {
    let pauses = [61, 60 * 7, 60 * 13 + 20, 60 * 25];
    let few = usize::try_from(scaled_at_least(4, 1)).unwrap();
    for minutes in &pauses[..few] {
        let mut call = Call::connected(0);
        (0..5).for_each(|_| call.second());
        for _ in 0..*minutes {
            call.two.run(Duration::from_secs(60), |_| false);
            call.read();
        }
        (0..3).for_each(|_| call.second());
        call.heard = Default::default();
        (0..10).for_each(|_| call.second());
        call.check(10, *minutes);
    }
}
