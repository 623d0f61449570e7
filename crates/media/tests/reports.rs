//! What reports are about where there are more sources than one datagram has room for.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "of many kinds of packet a test is about few")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use media::{OutgoingFrame, Rtp, SharedPackets};
use proto::{Instant, Writer};
use rtp::extension::ExtensionMap;
use rtp::rtcp::{Compound, Packet as Rtcp};
use rtp::{Encoder, Header, PacketMut, RtpTimestamp, SequenceNumber, Ssrc};
use support::{audio_receiver, audio_sender, opus, pt, rtp};
use testkit::epoch;

/// How often each source was reported on, reported, and was named, and how many datagrams there were.
#[derive(Debug, Default)]
struct Reports {
    received: BTreeMap<u32, u32>,
    sent: BTreeMap<u32, u32>,
    named: BTreeMap<u32, u32>,
    datagrams: usize,
}

impl Reports {
    fn read(&mut self, datagram: &[u8]) {
        let add = |counts: &mut BTreeMap<u32, u32>, ssrc: Ssrc| *counts.entry(ssrc.0).or_default() += 1;
        self.datagrams += 1;
        for packet in Compound::decode(datagram).unwrap().packets() {
            match packet.unwrap() {
                Rtcp::SenderReport(it) => {
                    add(&mut self.sent, it.ssrc);
                    it.reports().for_each(|block| add(&mut self.received, block.ssrc));
                }
                Rtcp::ReceiverReport(it) => {
                    it.reports().for_each(|block| add(&mut self.received, block.ssrc));
                }
                Rtcp::SourceDescription(it) => it.chunks().for_each(|it| add(&mut self.named, it.ssrc)),
                _ => {}
            }
        }
    }
}

fn packet(ssrc: u32, number: u16) -> Vec<u8> {
    let mut memory = [0; 60];
    let mut out = Writer::new(&mut memory);
    let header = Header {
        payload_type: pt(111),
        sequence_number: SequenceNumber(number),
        timestamp: RtpTimestamp(u32::from(number) * 960),
        ssrc: Ssrc(ssrc),
        ..Header::default()
    };
    Encoder::new(&mut out, header, &[]).unwrap().finish(&[1; 20], 0).unwrap();
    out.written().to_vec()
}

/// A minute of so many streams each way.
fn minute(received: u32, sent: u32) -> Reports {
    let mut alice = rtp("alice", 1);
    alice.set_bandwidth(1_000_000);
    let mut config = audio_receiver();
    (config.max_streams, config.probation, config.nack) = (64, 0, false);
    let receiver = alice.add_receiver(config).unwrap();
    for ssrc in 1000..1000 + received {
        alice.receiver(receiver).unwrap().announce(Ssrc(ssrc), None, None).unwrap();
    }
    let senders: Vec<_> = (5000..5000 + sent)
        .map(|ssrc| {
            let mut config = audio_sender();
            config.circuit_breaker = false;
            config.encodings[0].ssrc = Some(Ssrc(ssrc));
            alice.add_sender(config).unwrap()
        })
        .collect();
    let (mut reports, mut memory) = (Reports::default(), [0; 1500]);
    for step in 0..600_u16 {
        let now: Instant = epoch() + Duration::from_millis(100) * step.into();
        for ssrc in 1000..1000 + received {
            let mut bytes = packet(ssrc, step);
            let len = bytes.len();
            let _ = alice.handle_rtp(now, None, PacketMut::decode(&mut bytes, len).unwrap());
        }
        for id in &senders {
            let timestamp = u32::from(step) * 4800;
            let frame = OutgoingFrame { bytes: &opus(1), timestamp, ..OutgoingFrame::default() };
            alice.sender(*id).unwrap().send_frame(now, 0, &frame).unwrap();
        }
        while alice.poll_rtp(now, &mut Writer::new(&mut memory)) {}
        while alice.receiver(receiver).unwrap().poll_frame(now).is_some() {}
        alice.handle_timeout(now);
        loop {
            let mut out = Writer::new(&mut memory);
            if !alice.poll_rtcp(now, &mut out) {
                break;
            }
            reports.read(out.written());
        }
    }
    reports
}

/// RFC 3550 §6.4.1: the time on the stream's clock is that of the report, however late some packets are.
#[test]
fn packets_that_are_forwarded_late_leave_the_time_in_reports_as_it_was() {
    for goes_at_once in [true, false] {
        let (mut middle, mut packets) = (rtp("middle", 3), SharedPackets::default());
        let mut config = audio_sender();
        config.circuit_breaker = false;
        let id = middle.add_sender(config).unwrap();
        let (theirs, mut memory, mut reports) = (ExtensionMap::default(), [0; 1500], 0);
        let mut forward = |middle: &mut Rtp, now: Instant, number: u16| {
            let (mut bytes, source) = (packet(7, number), (7, u64::from(number) + (1 << 16)));
            let len = bytes.len();
            if goes_at_once {
                bytes.resize(len + 80, 0);
                let mut packet = PacketMut::decode(&mut bytes, len).unwrap();
                middle.forward(now, id, 0, source, &mut packet, &theirs).unwrap();
            } else {
                let packet = packets.share(&bytes, &theirs).unwrap();
                middle.sender(id).unwrap().write_rtp(now, 0, source, &packet).unwrap();
            }
        };
        for number in 0..1000_u16 {
            let now = epoch() + Duration::from_millis(20) * number.into();
            if number % 10 != 5 {
                forward(&mut middle, now, number);
            }
            // Each tenth comes 400 ms late, as the last before a report may be.
            if number > 30 && number % 10 == 5 {
                forward(&mut middle, now, number - 20);
            }
            while middle.poll_rtp(now, &mut Writer::new(&mut memory)) {}
            middle.handle_timeout(now);
            let mut out = Writer::new(&mut memory);
            if middle.poll_rtcp(now, &mut out) {
                let Ok(Rtcp::SenderReport(report)) =
                    Compound::decode(out.written()).unwrap().packets().next().unwrap()
                else {
                    continue;
                };
                let off = report.info.rtp.distance(RtpTimestamp(u32::from(number) * 960));
                assert!(off.abs() <= 960, "{goes_at_once}: {off} ticks at {number}");
                reports += 1;
            }
        }
        assert!(reports > 10);
    }
}

/// RFC 3550 §6.1, §6.5: where not all have room they take turns, and each source has a name.
#[test]
fn sources_take_turns_where_not_all_have_room() {
    let reports = minute(40, 45);
    for (what, counts, sources) in
        [("received", &reports.received, 40), ("sent", &reports.sent, 45), ("named", &reports.named, 45)]
    {
        let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
        assert_eq!(counts.len(), sources, "{what}");
        assert!(*least >= 2 && most - least <= 1, "{what}: {counts:?}");
    }
    assert_eq!(reports.sent, reports.named);
}

/// RFC 8108 §5.3: who speaks for many does not wait as long as if each of them had spoken for itself.
#[test]
fn many_sources_that_report_together_do_so_often() {
    let few = minute(1, 1);
    assert!(few.received[&1000] >= 40 && few.sent[&5000] >= 40, "{few:?}");
    let many = minute(10, 10);
    assert!(many.datagrams >= 40, "{}", many.datagrams);
    assert!(many.received.values().chain(many.sent.values()).all(|count| *count >= 35), "{many:?}");
}
