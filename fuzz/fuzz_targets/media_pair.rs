//! Any order of calls on two ends of a media transport, over a link that loses, changes and makes up packets, leaves them without
//! panic, and never spinning.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use media::{
    Claim, Claimant, Codec, ControlConfig, EncodingConfig, FecConfig, Format, NtpClock, OutgoingFrame,
    Output, Received, ReceiverConfig, ReceiverId, RedConfig, Rtp, RtpConfig, SenderConfig, SenderId,
    TransportFeedback,
};
use proto::{Ecn, Instant, Writer};
use rtp::extension::{ExtensionMap, Kind};
use rtp::{Mid, PacketMut, PayloadType, Rid, fec, is_rtcp};

#[derive(Arbitrary, Debug)]
enum Step {
    Frame { sender: u8, encoding: u8, len: u16, timestamp: u16, key: bool },
    Payload { sender: u8, len: u8, timestamp: u16 },
    Exchange { end: bool, lose: u16, change: Option<(u8, u8)>, ecn: bool },
    Inject { end: bool, bytes: Vec<u8> },
    Wait { millis: u16 },
    Active { sender: u8, encoding: u8, active: bool },
    Remove { sender: u8 },
    KeyFrame { receiver: u8 },
    Bandwidth { kilobits: u16 },
    Feedback { end: bool, reduced: bool, kind: u8 },
    Synchronize,
    Claim { claimant: u8, claim: Option<(u32, u32, u32, u16, bool)> },
    Padding { kilobits: u16 },
}

const CODECS: [(u8, Codec); 4] = [(96, Codec::Vp8), (111, Codec::Opus), (98, Codec::Vp9), (102, Codec::H264)];

fuzz_target!(|input: (u8, Vec<Step>)| {
    let (shape, steps) = input;
    let mut now = Instant::from_nanos(1_000_000_000);
    let clock = NtpClock::new(now, Duration::from_secs(1_800_000_000));
    let mut ends = [1, 2].map(|seed| {
        let mut config = RtpConfig::new(clock, "fuzz");
        config.feedback = TransportFeedback::TransportWide;
        config.reduced_size = shape & 1 == 0;
        config.control = (shape & 128 == 0).then(ControlConfig::default);
        Rtp::new(config, [seed; 32])
    });
    for (section, (payload_type, codec)) in CODECS.into_iter().enumerate() {
        ends[0].add_sender(sender(section, payload_type, codec, shape)).expect("a place");
        ends[1].add_receiver(receiver(section, payload_type, codec, shape)).expect("a place");
    }
    let mut memory = vec![0; 1500];
    for step in steps.into_iter().take(150) {
        match step {
            Step::Frame { sender, encoding, len, timestamp, key } => {
                let mut bytes = vec![0x55; usize::from(len % 6000) + 1];
                bytes[0] = u8::from(!key);
                let frame =
                    OutgoingFrame { bytes: &bytes, timestamp: timestamp.into(), ..OutgoingFrame::default() };
                if let Some(sender) = ends[0].sender(SenderId(usize::from(sender % 4))) {
                    let _ = sender.send_frame(now, usize::from(encoding % 3), &frame);
                }
            }
            Step::Payload { sender, len, timestamp } => {
                let bytes = vec![7; len.into()];
                let frame =
                    OutgoingFrame { bytes: &bytes, timestamp: timestamp.into(), ..OutgoingFrame::default() };
                if let Some(sender) = ends[0].sender(SenderId(usize::from(sender % 4))) {
                    let _ = sender.send_payload(now, 0, pt(101), false, &frame);
                }
            }
            Step::Exchange { end, lose, change, ecn } => {
                let from = usize::from(end);
                for nth in 0..16 {
                    let mut out = Writer::new(&mut memory);
                    if !ends[from].poll_rtp(now, &mut out) && !ends[from].poll_rtcp(now, &mut out) {
                        break;
                    }
                    let mut bytes = out.written().to_vec();
                    if lose >> nth & 1 == 1 {
                        continue;
                    }
                    if let Some((at, value)) = change
                        && let Some(byte) = bytes.get_mut(usize::from(at))
                    {
                        *byte = value;
                    }
                    deliver(&mut ends[1 - from], now, ecn, &mut bytes);
                }
            }
            Step::Inject { end, mut bytes } => deliver(&mut ends[usize::from(end)], now, false, &mut bytes),
            Step::Wait { millis } => now += Duration::from_millis(millis.into()),
            Step::Active { sender, encoding, active } => {
                if let Some(sender) = ends[0].sender(SenderId(usize::from(sender % 4))) {
                    sender.set_active(usize::from(encoding % 3), active);
                    sender.resume(usize::from(encoding % 3));
                }
            }
            Step::Remove { sender } => ends[0].remove_sender(SenderId(usize::from(sender % 4))),
            Step::KeyFrame { receiver } => {
                if let Some(receiver) = ends[1].receiver(ReceiverId(usize::from(receiver % 4))) {
                    let stream = receiver.streams().next();
                    stream.into_iter().for_each(|stream| receiver.request_key_frame(stream));
                }
            }
            Step::Bandwidth { kilobits } => ends[1].set_bandwidth(u64::from(kilobits) * 1000),
            Step::Feedback { end, reduced, kind } => {
                let kinds = [
                    TransportFeedback::None,
                    TransportFeedback::TransportWide,
                    TransportFeedback::Streams,
                    TransportFeedback::Remb,
                ];
                ends[usize::from(end)].set_feedback(reduced, kinds[usize::from(kind % 4)]);
            }
            Step::Claim { claimant, claim } => {
                let claim = claim.map(|(min, desired, max, priority, required)| {
                    let (min, desired, max) = (min.into(), desired.into(), max.into());
                    Claim { min, desired, max, priority, required }
                });
                let claimant = match claimant % 9 {
                    8 => Claimant::Data,
                    place => Claimant::Stream(SenderId(usize::from(place / 2)), usize::from(place % 2)),
                };
                ends[0].set_claim(claimant, claim);
            }
            Step::Padding { kilobits } => ends[0].set_padding(u64::from(kilobits) * 1000),
            Step::Synchronize => ends[1].synchronize(ReceiverId(0), ReceiverId(1)),
        }
        for end in &mut ends {
            drain(end, now);
        }
    }
    for end in &mut ends {
        let mut sent = 0;
        loop {
            let mut out = Writer::new(&mut memory);
            if !end.poll_rtp(now, &mut out) && !end.poll_rtcp(now, &mut out) {
                break;
            }
            sent += 1;
            assert!(sent < 10_000, "it never ends");
        }
        drain(end, now);
        assert!(end.poll_timeout().is_none_or(|due| due > now), "{now:?} {:?}", end.poll_timeout());
    }
});

fn drain(end: &mut Rtp, now: Instant) {
    end.handle_timeout(now);
    for at in 0..CODECS.len() {
        let Some(receiver) = end.receiver(ReceiverId(at)) else { continue };
        while receiver.poll_frame(now).is_some() {}
        while receiver.poll_omitted().is_some() {}
        while receiver.poll_recovered().is_some() {}
        assert!(!receiver.has_asides());
    }
    while end.poll_event(now).is_some() {}
}

fn deliver(end: &mut Rtp, now: Instant, ecn: bool, bytes: &mut [u8]) {
    if is_rtcp(bytes) {
        let _ = end.handle_rtcp(now, bytes);
        return;
    }
    let len = bytes.len();
    let Ok(packet) = PacketMut::decode(bytes, len) else { return };
    if let Ok((_, Received::Packet { packet, .. })) = end.handle_rtp(now, ecn.then_some(Ecn::Ce), packet) {
        assert!(!packet.is_empty());
    }
}

fn extensions() -> ExtensionMap {
    let mut map = ExtensionMap::default();
    let kinds = [Kind::Mid, Kind::Rid, Kind::RepairedRid, Kind::AbsSendTime, Kind::TransportSequence];
    (1..).zip(kinds).for_each(|(id, kind)| map.set(id, kind).expect("free"));
    map
}

fn sender(section: usize, payload_type: u8, codec: Codec, shape: u8) -> SenderConfig {
    let mut config = SenderConfig::default();
    config.mid = Mid::new(&[b'0' + section as u8]);
    config.extensions = extensions();
    (config.payload_type, config.codec) = (pt(payload_type), codec);
    config.rtx = (shape & 2 == 0).then(|| pt(payload_type + 1));
    if shape & 4 == 0 {
        let (format, number) =
            if shape & 1 == 0 { (fec::Format::Flex03, 118) } else { (fec::Format::Ulp, 117) };
        config.fec = Some(FecConfig { format, payload_type: pt(number), group: 4 });
    }
    if shape & 1 != 0 {
        config.red = Some(RedConfig { payload_type: pt(116), rtx: (shape & 16 == 0).then(|| pt(115)) });
    }
    config.encodings = if shape & 8 == 0 {
        [b"a", b"b"].iter().map(|name| EncodingConfig::named(Rid::new(*name).expect("a name"))).collect()
    } else {
        vec![EncodingConfig::default()]
    };
    config
}

fn receiver(section: usize, payload_type: u8, codec: Codec, shape: u8) -> ReceiverConfig {
    let mut config = ReceiverConfig::default();
    config.mid = Mid::new(&[b'0' + section as u8]);
    config.extensions = extensions();
    config.formats = vec![
        (pt(payload_type), Format::Media(codec)),
        (pt(payload_type + 1), Format::Rtx { of: pt(payload_type) }),
        (pt(115), Format::Rtx { of: pt(116) }),
        (pt(116), Format::Red),
        (pt(117), Format::Fec(fec::Format::Ulp)),
        (pt(118), Format::Fec(fec::Format::Flex03)),
        (pt(101), Format::Media(Codec::OtherAudio { clock_rate: 8000 })),
    ];
    config.output = if shape & 16 == 0 { Output::Frames } else { Output::Packets };
    config.nack = shape & 32 == 0;
    (config.pli, config.fir) = (shape & 64 == 0, true);
    config
}

fn pt(value: u8) -> PayloadType {
    PayloadType::new(value).expect("below 128")
}
