//! Two transports with a link each way, in virtual time.
#![allow(unreachable_pub, reason = "a module of tests")]
#![allow(dead_code, reason = "each test file uses what it needs")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

pub mod red;

use std::time::Duration;

use media::{
    Codec, Content, Event, Format, NtpClock, OutgoingFrame, ReceiverConfig, ReceiverId, Rtp, RtpConfig,
    SenderConfig, SenderId, TransportFeedback,
};
use proto::{Instant, Writer};
use rtp::extension::{ExtensionMap, Kind};
use rtp::{Mid, PacketMut, PayloadType, is_rtcp};
use testkit::{Link, Pipe, epoch};

pub const fn pt(value: u8) -> PayloadType {
    PayloadType::new(value).unwrap()
}

pub fn extensions() -> ExtensionMap {
    let mut map = ExtensionMap::default();
    let kinds = [
        Kind::Mid,
        Kind::Rid,
        Kind::RepairedRid,
        Kind::AbsSendTime,
        Kind::TransportSequence,
        Kind::AbsCaptureTime,
        Kind::AudioLevel,
    ];
    (1..).zip(kinds).for_each(|(id, kind)| map.set(id, kind).unwrap());
    map
}

pub fn clock() -> NtpClock {
    NtpClock::new(epoch(), Duration::from_secs(1_800_000_000))
}

/// A transport with the usual features.
pub fn rtp(name: &str, seed: u8) -> Rtp {
    let mut config = RtpConfig::new(clock(), name);
    config.reduced_size = true;
    config.feedback = TransportFeedback::TransportWide;
    config.bandwidth = 3_000_000;
    Rtp::new(config, [seed; 32])
}

pub fn video_sender() -> SenderConfig {
    let mut config = SenderConfig::default();
    config.mid = Mid::new(b"1");
    config.extensions = extensions();
    (config.payload_type, config.codec, config.rtx) = (pt(96), Codec::Vp8, Some(pt(97)));
    config
}

pub fn video_receiver() -> ReceiverConfig {
    let mut config = ReceiverConfig::default();
    config.mid = Mid::new(b"1");
    config.extensions = extensions();
    config.formats = vec![(pt(96), Format::Media(Codec::Vp8)), (pt(97), Format::Rtx { of: pt(96) })];
    config
}

pub fn audio_sender() -> SenderConfig {
    let mut config = SenderConfig::default();
    config.mid = Mid::new(b"0");
    config.extensions = extensions();
    (config.payload_type, config.codec) = (pt(111), Codec::Opus);
    config
}

pub fn audio_receiver() -> ReceiverConfig {
    let mut config = ReceiverConfig::default();
    config.mid = Mid::new(b"0");
    config.extensions = extensions();
    config.formats = vec![(pt(111), Format::Media(Codec::Opus))];
    (config.nack, config.pli) = (false, false);
    config
}

/// A frame of VP8 that says which it is.
pub fn vp8(number: u32, key: bool, len: usize) -> Vec<u8> {
    let mut frame = vec![0x55; len.max(14)];
    frame[0] = u8::from(!key);
    frame[3..6].copy_from_slice(&[0x9d, 0x01, 0x2a]);
    frame[10..14].copy_from_slice(&number.to_be_bytes());
    frame
}

pub fn opus(number: u32) -> Vec<u8> {
    // 20 ms of CELT.
    let mut frame = vec![0xf8; 80];
    frame[1..5].copy_from_slice(&number.to_be_bytes());
    frame
}

/// What came out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Out {
    pub at: Instant,
    pub playout: Instant,
    /// The number in the frame; `None` if it is concealed.
    pub number: Option<u32>,
    pub concealed: u32,
    pub key: bool,
    pub captured: Option<u64>,
}

pub struct Call {
    pub now: Instant,
    pub alice: Rtp,
    pub bob: Rtp,
    pub there: Pipe<()>,
    pub back: Pipe<()>,
    /// What came out of Bob's receivers, by their place.
    pub out: Vec<Vec<Out>>,
    pub alice_events: Vec<Event>,
    pub bob_events: Vec<Event>,
    pub rtp_bytes: usize,
    pub rtcp: Vec<(Instant, bool, Vec<u8>)>,
}

impl Call {
    pub fn new(link: &Link, seed: u8) -> Self {
        Self {
            now: epoch(),
            alice: rtp("alice", seed),
            bob: rtp("bob", seed + 1),
            there: Pipe::new(link.clone(), [seed; 32]),
            back: Pipe::new(link.clone(), [seed + 1; 32]),
            out: vec![Vec::new(); 4],
            alice_events: Vec::new(),
            bob_events: Vec::new(),
            rtp_bytes: 0,
            rtcp: Vec::new(),
        }
    }

    /// Moves what is to be moved at this instant.
    pub fn exchange(&mut self) {
        let now = self.now;
        let mut memory = [0; 1500];
        while let Some((_, mut bytes)) = self.there.receive(now) {
            deliver(&mut self.bob, now, &mut bytes);
        }
        while let Some((_, mut bytes)) = self.back.receive(now) {
            deliver(&mut self.alice, now, &mut bytes);
        }
        self.alice.handle_timeout(now);
        self.bob.handle_timeout(now);
        for at in 0..self.out.len() {
            let Some(receiver) = self.bob.receiver(ReceiverId(at)) else { continue };
            while let Some(frame) = receiver.poll_frame(now) {
                let (number, concealed, key) = match frame.content {
                    Content::Media { bytes, outline, .. } => {
                        let at = if bytes.len() == 80 { 1 } else { 10 };
                        let number = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
                        (Some(number), 0, outline.key_frame)
                    }
                    Content::Concealed { duration } => (None, duration, false),
                };
                let captured = frame.captured.map(|ntp| ntp.0);
                let playout = frame.playout;
                self.out[at].push(Out { at: now, playout, number, concealed, key, captured });
            }
        }
        // What comes out of Alice's receivers nobody looks at.
        for at in 0..4 {
            let Some(receiver) = self.alice.receiver(ReceiverId(at)) else { continue };
            while receiver.poll_frame(now).is_some() {}
        }
        for is_alice in [true, false] {
            let (from, pipe) =
                if is_alice { (&mut self.alice, &mut self.there) } else { (&mut self.bob, &mut self.back) };
            loop {
                let mut out = Writer::new(&mut memory);
                if !from.poll_rtp(now, &mut out) {
                    break;
                }
                self.rtp_bytes += out.len();
                pipe.send(now, (), out.written());
            }
            loop {
                let mut out = Writer::new(&mut memory);
                if !from.poll_rtcp(now, &mut out) {
                    break;
                }
                self.rtcp.push((now, is_alice, out.written().to_vec()));
                pipe.send(now, (), out.written());
            }
        }
        while let Some(event) = self.alice.poll_event(now) {
            self.alice_events.push(event);
        }
        while let Some(event) = self.bob.poll_event(now) {
            self.bob_events.push(event);
        }
    }

    /// Goes on until `end`.
    pub fn run(&mut self, end: Instant) {
        loop {
            self.exchange();
            let due = [self.there.due(), self.back.due(), self.alice.poll_timeout(), self.bob.poll_timeout()];
            let next = due.into_iter().flatten().min().unwrap_or(end);
            assert!(next > self.now, "time stands still: {:?} {due:?}", self.now);
            if next >= end {
                self.now = end;
                return;
            }
            self.now = next;
        }
    }

    /// Sends video of 30 frames a second, with a key frame where one is asked for and at the begin, of `len` bytes each.
    pub fn video(&mut self, sender: SenderId, from: u32, frames: u32, len: usize) {
        for number in from..from + frames {
            let wanted = self.alice_events.iter().any(|event| {
                matches!(event, Event::Sender(id, media::SenderEvent::KeyFrameWanted { .. }) if *id == sender)
            });
            self.alice_events.retain(|event| !matches!(event, Event::Sender(id, _) if *id == sender));
            let key = wanted || number == 0;
            let bytes = vp8(number, key, if key { len * 3 } else { len });
            let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..OutgoingFrame::default() };
            let now = self.now;
            self.alice.sender(sender).unwrap().send_frame(now, 0, &frame).unwrap();
            self.run(now + Duration::from_nanos(33_333_333));
        }
    }

    /// Sends audio of 50 frames a second.
    pub fn audio(&mut self, sender: SenderId, from: u32, frames: u32) {
        for number in from..from + frames {
            let bytes = opus(number);
            let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 960, ..OutgoingFrame::default() };
            let now = self.now;
            self.alice.sender(sender).unwrap().send_frame(now, 0, &frame).unwrap();
            self.run(now + Duration::from_millis(20));
        }
    }
}

pub fn deliver(to: &mut Rtp, now: Instant, bytes: &mut [u8]) {
    if is_rtcp(bytes) {
        to.handle_rtcp(now, bytes).unwrap();
    } else {
        let len = bytes.len();
        // What is refused is counted.
        let _ = to.handle_rtp(now, None, PacketMut::decode(bytes, len).unwrap());
    }
}
