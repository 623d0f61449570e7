//! What is agreed upon anew while packets wait, or can be asked for again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use media::{
    BandwidthEstimator, ControlConfig, FecConfig, OutgoingFrame, PacketResult, Probe, Rtp, RtpConfig,
    SenderConfig, SenderId, SentPacket, SharedPackets,
};
use proto::{Instant, Writer};
use rtp::extension::{ExtensionMap, Kind};
use rtp::rtcp::{Encoder, ReportBlock};
use rtp::{Packet, SequenceNumber, Ssrc};
use support::{clock, pt, video_sender};
use testkit::epoch;

/// A transport with one sender.
struct Middle {
    rtp: Rtp,
    id: SenderId,
    packets: SharedPackets,
    number: u8,
}

impl Middle {
    fn new(config: SenderConfig) -> Self {
        Self::of(support::rtp("middle", 2), config)
    }

    fn of(mut rtp: Rtp, config: SenderConfig) -> Self {
        let id = rtp.add_sender(config).unwrap();
        Self { rtp, id, packets: SharedPackets::default(), number: 0 }
    }

    /// Has a packet of somebody else wait. Gives where it is.
    fn forward(&mut self, payload: &[u8]) -> usize {
        self.number += 1;
        let mut packet = vec![0x80, 0x60, 0, self.number, 0, 0, 0, 0, 1, 2, 3, 4];
        packet.extend(payload);
        let packet = self.packets.share(&packet, &ExtensionMap::default()).unwrap();
        let source = (7, self.number.into());
        self.rtp.sender(self.id).unwrap().write_rtp(epoch(), 0, source, &packet).unwrap();
        packet.bytes().as_ptr().addr()
    }

    /// What leaves.
    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        let mut memory = [0; 1500];
        loop {
            let mut out = Writer::new(&mut memory);
            if !self.rtp.poll_rtp(epoch(), &mut out) {
                return sent;
            }
            sent.push(out.written().to_vec());
        }
    }

    fn hear(&mut self, tell: impl FnOnce(&mut Encoder<'_, '_>)) {
        let mut memory = [0; 500];
        let mut out = Writer::new(&mut memory);
        tell(&mut Encoder::new(&mut out));
        self.rtp.handle_rtcp(epoch(), out.written()).unwrap();
    }

    /// The peer reports, so that it need not be told any more whose the stream is.
    fn is_known(&mut self) {
        let ssrc = self.rtp.sender(self.id).unwrap().sources().next().unwrap().1;
        let block = ReportBlock { ssrc, ..ReportBlock::default() };
        self.hear(|out| out.receiver_report(Ssrc(9), [block], &[]).unwrap());
    }

    fn set_extensions(&mut self, entries: &[(u8, Kind)]) {
        let mut map = ExtensionMap::default();
        entries.iter().for_each(|(id, kind)| map.set(*id, *kind).unwrap());
        self.rtp.sender(self.id).unwrap().set_extensions(None, map);
    }
}

/// VP8 without numbers of pictures.
const PAYLOAD: [u8; 20] = [0x10, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9];

#[test]
fn packets_have_the_header_extensions_that_hold_when_they_begin_to_wait() {
    let mut middle = Middle::new(video_sender());
    middle.is_known();
    middle.forward(&PAYLOAD);
    let place = SequenceNumber::from(middle.rtp.sent().next()).0;
    let sent = middle.drain();
    let sent = Packet::decode(&sent[0]).unwrap();
    assert_eq!(sent.element(5), Some(&place.to_be_bytes()[..]));
    assert_ne!(sent.element(4), Some(&[0; 3][..]), "when it left");
    middle.forward(&PAYLOAD);
    middle.set_extensions(&[(9, Kind::AbsSendTime)]);
    middle.forward(&PAYLOAD);
    let sent = middle.drain();
    let [before, after] = [0, 1].map(|at| Packet::decode(&sent[at]).unwrap());
    assert_eq!((before.element(5), before.element(4)), (Some(&[0; 2][..]), Some(&[0; 3][..])), "nobody's");
    assert_eq!((after.element(5), after.element(4)), (None, None));
    assert!(after.element(9).is_some_and(|time| time != [0; 3]), "when it left");
    assert!([before, after].iter().all(|packet| packet.payload() == PAYLOAD));
}

/// AV1 RTP specification, appendix A.8.1.
#[test]
fn a_dependency_descriptor_says_of_each_packet_which_part_of_its_frame_it_is() {
    let mut config = video_sender();
    config.extensions.set(14, Kind::DependencyDescriptor).unwrap();
    let mut middle = Middle::new(config);
    let mut flags_of = |len, flags| {
        let descriptor = [flags, 1, 2, 3];
        let bytes = support::vp8(1, true, len);
        let frame = OutgoingFrame {
            bytes: &bytes,
            extensions: &[(Kind::DependencyDescriptor, &descriptor)],
            ..OutgoingFrame::default()
        };
        middle.rtp.sender(middle.id).unwrap().send_frame(epoch(), 0, &frame).unwrap();
        let sent = middle.drain();
        let values = sent.iter().map(|bytes| Packet::decode(bytes).unwrap().element(14).unwrap());
        values.map(|value| (value[0], value[1..] == descriptor[1..])).collect::<Vec<_>>()
    };
    assert_eq!(flags_of(500, 0x25), [(0xe5, true)]);
    assert_eq!(flags_of(3000, 0xe5), [(0xa5, true), (0x25, true), (0x65, true)]);
    assert_eq!(flags_of(2000, 0), [(0x80, true), (0x40, true)]);
}

#[test]
fn a_payload_is_not_taken_for_header_extensions() {
    let mut config = video_sender();
    (config.extensions, config.mid) = (ExtensionMap::default(), None);
    let mut middle = Middle::new(config);
    // It looks like an extension with one element of three bytes.
    let payload = [0xbe, 0xde, 0, 1, 0x92, 7, 7, 7, 1, 2, 3, 4];
    middle.forward(&payload);
    middle.set_extensions(&[(9, Kind::AbsSendTime)]);
    let sent = middle.drain();
    assert_eq!(Packet::decode(&sent[0]).unwrap().payload(), payload);
}

#[test]
fn packets_that_waited_without_repair_get_none_later() {
    let mut middle = Middle::new(video_sender());
    (0..4).for_each(|_| _ = middle.forward(&PAYLOAD));
    let fec = FecConfig { format: rtp::fec::Format::Flex03, payload_type: pt(98), group: 4 };
    middle.rtp.sender(middle.id).unwrap().set_repair(Some(fec), None);
    assert_eq!(middle.drain().len(), 4);
    let stats = middle.rtp.sender(middle.id).unwrap().stats(0).unwrap();
    assert_eq!((stats.repairs, stats.unrepaired), (0, 1));
    (0..4).for_each(|_| _ = middle.forward(&PAYLOAD));
    assert_eq!(middle.drain().len(), 5);
}

#[test]
fn what_nobody_asks_for_any_more_is_given_up_though_nothing_else_is_sent() {
    let mut middle = Middle::new(video_sender());
    let sent = middle.forward(&PAYLOAD);
    middle.drain();
    let mut is_used_again_after = |millis| {
        middle.rtp.handle_timeout(epoch() + Duration::from_millis(millis));
        let packet = middle.packets.share(&[0x80; 12], &ExtensionMap::default()).unwrap();
        packet.bytes().as_ptr().addr() == sent
    };
    assert!(!is_used_again_after(1900) && is_used_again_after(2100), "memory of the packet that was sent");
}

/// Counts what it is told was sent.
#[derive(Debug, Default)]
struct Counting(Arc<AtomicU32>);

impl BandwidthEstimator for Counting {
    fn handle_sent(&mut self, _now: Instant, _packet: &SentPacket) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn handle_feedback(&mut self, _now: Instant, _results: &[PacketResult]) {}

    fn set_remote_limit(&mut self, _limit: Option<u64>) {}

    fn set_wanted(&mut self, _bitrate: u64) {}

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn poll_probe(&mut self, _now: Instant) -> Option<Probe> {
        None
    }

    fn target(&self) -> u64 {
        1_000_000_000
    }
}

fn config_of(rtx: Option<rtp::PayloadType>) -> SenderConfig {
    let mut config = video_sender();
    config.rtx = rtx;
    config
}

#[test]
fn an_estimate_hears_of_each_place_on_the_transport_once() {
    for (rtx, told) in [(None, 4), (Some(pt(97)), 5)] {
        let mut config = RtpConfig::new(clock(), "middle");
        config.control = Some(ControlConfig::default());
        let mut middle = Middle::of(Rtp::new(config, [2; 32]), config_of(rtx));
        let counting = Counting::default();
        let count = counting.0.clone();
        middle.rtp.set_estimator(Box::new(counting));
        (0..4).for_each(|_| _ = middle.forward(&PAYLOAD));
        let sent = middle.drain();
        let first = Packet::decode(&sent[0]).unwrap().header();
        middle.hear(|out| _ = out.nack(Ssrc(9), first.ssrc, [first.sequence_number]).unwrap());
        assert_eq!(middle.drain().len(), 1, "it goes again");
        assert_eq!(count.load(Ordering::Relaxed), told);
    }
}
