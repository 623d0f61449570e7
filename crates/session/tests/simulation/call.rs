//! Audio and video beside the data: both sides send frames of both for a while, and what comes out is judged.

use std::time::Duration;

use proto::Instant;
use session::{Content, MediaKind, OutgoingFrame, SendMediaError, Session, TransceiverId};
use testkit::{HostId, World};

use crate::harness::{Node, session};
use crate::plan::Plan;

/// What came of the frames of a session.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Figures {
    /// Frames that were handed over, and that came out, of audio and of video.
    pub sent: [u64; 2],
    pub came: [u64; 2],
    /// From the camera to the screen, in milliseconds, of each frame of video.
    pub delays: Vec<u32>,
    /// Times that no picture came for more than three fifths of a second.
    pub freezes: u64,
}

impl Figures {
    /// Adds those of another session.
    pub fn add(&mut self, other: &Self) {
        for kind in [0, 1] {
            self.sent[kind] += other.sent[kind];
            self.came[kind] += other.came[kind];
        }
        self.delays.extend_from_slice(&other.delays);
        self.freezes += other.freezes;
    }

    /// In a line.
    pub fn summary(&mut self) -> String {
        self.delays.sort_unstable();
        let at = |share: usize| self.delays.get(self.delays.len() * share / 100).copied().unwrap_or_default();
        format!(
            "of {:?} frames of audio and video {:?} came; from camera to screen {} ms in the median, {} ms at the 95th percentile; \
             {} freezes",
            self.sent,
            self.came,
            at(50),
            at(95),
            self.freezes
        )
    }
}

/// The media of both sides.
pub struct Call {
    length: Duration,
    /// Whether what comes must be as it was sent.
    is_sound: bool,
    tracks: [[TransceiverId; 2]; 2],
    begun: [Option<Instant>; 2],
    /// The next frame of audio; every third is beside one of video.
    number: [u32; 2],
    last_picture: [Option<Instant>; 2],
    pub figures: Figures,
}

impl Call {
    /// Adds what is to be sent; `None` where the plan has no media.
    pub fn begin(plan: &Plan, hosts: [HostId; 2], world: &mut World<Node>) -> Option<Self> {
        let length = plan.call?;
        let now = world.now();
        let tracks = hosts.map(|host| {
            let session = session(world, host);
            [MediaKind::Audio, MediaKind::Video].map(|kind| session.add_track(now, kind, vec![]).unwrap())
        });
        let is_whole = |link: &testkit::Link| link.corrupt == 0.0 && link.truncate == 0.0;
        let is_sound = plan.real_crypto || plan.links.iter().all(is_whole);
        Some(Self {
            length,
            is_sound,
            tracks,
            begun: [None; 2],
            number: [0; 2],
            last_picture: [None; 2],
            figures: Figures::default(),
        })
    }

    /// Sends what is due on a side that is connected, and reads what has come there.
    pub fn step(&mut self, world: &mut World<Node>, hosts: [HostId; 2], side: usize) {
        let (now, clock) = (world.now(), world.clock(hosts[side]));
        let session = session(world, hosts[side]);
        self.read(session, now, clock, side);
        let Some(begun) = self.begun[side] else {
            let is_connected = session.connection_state() == session::ConnectionState::Connected;
            self.begun[side] = is_connected.then_some(now);
            return;
        };
        while now < begun + self.length && begun + INTERVAL * self.number[side] <= now {
            let number = self.number[side];
            self.number[side] += 1;
            self.send(session, clock, now, side, 0, number);
            if number.is_multiple_of(3) {
                self.send(session, clock, now, side, 1, number);
            }
        }
    }

    /// When a frame is to be sent next.
    pub fn next(&self) -> impl Iterator<Item = Instant> + '_ {
        self.begun.iter().zip(&self.number).filter_map(|(begun, number)| {
            let due = INTERVAL * *number;
            begun.filter(|_| due < self.length).map(|begun| begun + due)
        })
    }

    /// Whether everything was sent.
    pub fn is_over(&self, now: Instant) -> bool {
        self.begun.iter().all(|begun| begun.is_some_and(|begun| begun + self.length <= now))
    }

    /// Every packet that was authenticated was delivered, or is counted.
    pub fn check(&self, world: &mut World<Node>, hosts: [HostId; 2]) -> Result<(), String> {
        for host in hosts {
            let clock = world.clock(host);
            let session = session(world, host);
            let stats = session.stats(clock);
            let (Some((_, received)), Some((rtp, _))) = (stats.srtp, session.rtp_stats()) else { continue };
            // What is no packet is stray, be it of RTP or of RTCP.
            let counted = rtp.packets + rtp.discarded + rtp.rtcp + stats.ignored.stray;
            if received.rtp_packets + received.rtcp_packets != counted {
                return Err(format!("{received:?}, {rtp:?}, {:?}", stats.ignored));
            }
        }
        Ok(())
    }

    fn send(
        &mut self,
        session: &mut Session,
        clock: Instant,
        now: Instant,
        side: usize,
        kind: usize,
        number: u32,
    ) {
        let bytes = frame(kind, number, now);
        let timestamp = number * if kind == 0 { 960 } else { 1800 };
        let frame = OutgoingFrame { bytes: &bytes, timestamp, ..OutgoingFrame::default() };
        match session.write_frame(clock, self.tracks[side][kind], 0, &frame) {
            Ok(()) => self.figures.sent[kind] += 1,
            // The path carries less, or is away; or descriptions are on their way, or the circuit breaker has opened.
            Err(
                SendMediaError::Blocked
                | SendMediaError::NotConnected
                | SendMediaError::NotSending
                | SendMediaError::Inactive,
            ) => {}
            Err(error) => panic!("cannot send: {error:?}"),
        }
    }

    fn read(&mut self, session: &mut Session, now: Instant, clock: Instant, side: usize) {
        for kind in [0, 1] {
            while let Some(came) = session.poll_frame(clock, self.tracks[side][kind]) {
                let Content::Media { bytes, .. } = came.content else { continue };
                self.figures.came[kind] += 1;
                if !self.is_sound {
                    continue;
                }
                let head = if kind == 0 { 1 } else { VIDEO_HEAD };
                let stamp = bytes.get(head..head + 12).and_then(|stamp| stamp.split_first_chunk::<4>());
                let (number, sent) = stamp.expect("a frame of ours is longer");
                let number = u32::from_be_bytes(*number);
                let sent = Instant::from_nanos(u64::from_be_bytes(sent.try_into().unwrap()));
                assert!(frame(kind, number, sent) == bytes, "a frame came altered");
                if kind == 1 {
                    self.figures.delays.push(u32::try_from((now - sent).as_millis()).unwrap_or(u32::MAX));
                    let before = self.last_picture[side].replace(now);
                    let froze = before.is_some_and(|before| now - before > FREEZE);
                    self.figures.freezes += u64::from(froze);
                }
            }
        }
    }
}

/// A frame that says which it is, and when it was made. Every tenth of video is a key frame of VP8.
fn frame(kind: usize, number: u32, made: Instant) -> Vec<u8> {
    let is_key = number.is_multiple_of(30);
    let mut frame = if kind == 0 {
        vec![0xf8]
    } else {
        let dimensions = if is_key { [0x9d, 0x01, 0x2a, 64, 1, 180, 0] } else { [0; 7] };
        [&[u8::from(!is_key), 0, 0][..], &dimensions].concat()
    };
    frame.extend_from_slice(&number.to_be_bytes());
    frame.extend_from_slice(&made.as_nanos().to_be_bytes());
    let len = if kind == 0 {
        80
    } else if is_key {
        4000
    } else {
        900
    };
    let fill = u8::try_from(number % 251).unwrap();
    frame.resize(len, fill);
    frame
}

/// Frame tag and dimensions.
const VIDEO_HEAD: usize = 10;
const INTERVAL: Duration = Duration::from_millis(20);
/// Ten frames.
const FREEZE: Duration = Duration::from_millis(600);
