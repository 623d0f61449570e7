//! Statistics and feedback against aiortc's, which were written from the same documents by others.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "of many kinds of packet a test is about few")]

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use media::ReceiverId;
use proto::Writer;
use rtp::rtcp::{Compound, Packet};
use rtp::{Encoder, Header, PacketMut, RtpTimestamp, SequenceNumber, Ssrc};
use support::{Call, audio_receiver, pt, rtp, video_receiver, video_sender};
use testkit::{Link, epoch};

/// What a program of Python's prints for lines.
fn ask(needs: &str, program: &str, lines: &str) -> Option<Vec<String>> {
    let python = testkit::python(needs)?;
    let mut child = Command::new(python)
        .args(["-W", "ignore", "-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = lines.to_owned();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

const STATISTICS: &str = "
import sys, time
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtpPacket
stats, now = StreamStatistics(48000), 0.0
time.time = lambda: now
for line in sys.stdin:
    if line.startswith('report'):
        print(stats.fraction_lost, stats.packets_lost, stats.cycles + stats.max_seq, stats.jitter)
        continue
    sequence, timestamp, arrival = map(int, line.split())
    now = (arrival + 1) / 1e9
    stats.add(RtpPacket(sequence_number=sequence, timestamp=timestamp))
";

#[test]
fn real_aiortc_reports_the_same_losses_and_jitter() {
    let mut rng = crypto::Rng::new([9; 32]);
    let mut bob = rtp("bob", 1);
    bob.add_receiver(audio_receiver()).unwrap();
    let (mut lines, mut ours) = (String::new(), Vec::new());
    let mut now = epoch();
    let mut memory = [0; 1500];
    for number in 0..40_000_u64 {
        let sequence = SequenceNumber::from(number + 60_000);
        let timestamp = 960 * u32::try_from(number).unwrap();
        // Twenty milliseconds and up to eight more; one of twenty is lost, one of fifty comes twice.
        now += Duration::from_micros(20_000 + u64::from(rng.below(8000)) - 4000);
        let copies = if rng.below(20) == 0 { 0 } else { 1 + u32::from(rng.below(50) == 0) };
        for _ in 0..copies {
            lines += &format!("{} {timestamp} {}\n", sequence.0, now.as_nanos());
            let mut out = Writer::new(&mut memory);
            let header = Header {
                payload_type: pt(111),
                sequence_number: sequence,
                timestamp: RtpTimestamp(timestamp),
                ssrc: Ssrc(7),
                marker: false,
            };
            let mut packet = Encoder::new(&mut out, header, &[]).unwrap();
            support::extensions()
                .encode(&mut packet, rtp::extension::Form::OneByte, &rtp::Mid::new(b"0").unwrap())
                .unwrap();
            let len = packet.finish(&support::opus(1), 0).unwrap();
            // The second copy is refused.
            let _ = bob.handle_rtp(now, None, PacketMut::decode(&mut memory, len).unwrap());
        }
        bob.handle_timeout(now);
        while bob.receiver(ReceiverId(0)).unwrap().poll_frame(now).is_some() {}
        let mut out = Writer::new(&mut memory);
        while bob.poll_rtcp(now, &mut out) {
            for packet in Compound::decode(out.written()).unwrap().packets() {
                let Ok(Packet::ReceiverReport(report)) = packet else { continue };
                for block in report.reports() {
                    lines += "report\n";
                    ours.push([
                        i64::from(block.fraction_lost),
                        block.cumulative_lost.into(),
                        block.highest_sequence.into(),
                        block.jitter.into(),
                    ]);
                }
            }
            out.truncate(0);
        }
    }
    let Some(theirs) = ask("import aiortc", STATISTICS, &lines) else { return };
    assert_eq!(theirs.len(), ours.len());
    assert!(ours.len() > 500 && ours.last().unwrap()[1] > 500);
    for (theirs, ours) in theirs.iter().zip(&ours) {
        let theirs: Vec<i64> = theirs.split(' ').map(|number| number.parse().unwrap()).collect();
        assert_eq!(theirs[..3], ours[..3]);
        assert!((theirs[3] - ours[3]).abs() <= 1, "jitter {theirs:?} {ours:?}");
    }
}

const FEEDBACK: &str = "
import sys
from aiortc.rtp import *
for line in sys.stdin:
    said = []
    for it in RtcpPacket.parse(bytes.fromhex(line.strip())):
        if isinstance(it, RtcpRtpfbPacket) and it.fmt == RTCP_RTPFB_NACK:
            said.append('nack ' + ' '.join(map(str, it.lost)))
        elif isinstance(it, RtcpPsfbPacket) and it.fmt == RTCP_PSFB_PLI:
            said.append('pli %d' % it.media_ssrc)
        elif isinstance(it, RtcpSrPacket):
            said.append('sr %d %d %d' % (it.ssrc, it.sender_info.packet_count, it.sender_info.rtp_timestamp))
        elif isinstance(it, RtcpRrPacket):
            said.append('rr ' + ' '.join('%d %d' % (r.ssrc, r.highest_sequence) for r in it.reports))
        elif isinstance(it, RtcpSdesPacket):
            said.append('sdes ' + ' '.join(c.items[0][1].decode() for c in it.chunks))
        elif isinstance(it, RtcpByePacket):
            said.append('bye ' + ' '.join(map(str, it.sources)))
    print(';'.join(said))
";

#[test]
fn real_aiortc_reads_what_a_call_says() {
    let link = Link { delay: Duration::from_millis(40), loss: 0.08, ..Link::default() };
    let mut call = Call::new(&link, 90);
    // aiortc has no transport-wide feedback, and refuses what is not in whole words without padding.
    call.bob.set_feedback(true, media::TransportFeedback::None);
    let video = call.alice.add_sender(video_sender()).unwrap();
    call.bob.add_receiver(video_receiver()).unwrap();
    call.video(video, 0, 200, 4000);
    call.bob.receiver(ReceiverId(0)).unwrap().request_key_frame(media::StreamId(0));
    call.video(video, 200, 20, 4000);
    call.alice.close();
    call.exchange();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    let lines: String = call.rtcp.iter().map(|(_, _, bytes)| hex(bytes)).collect();
    let Some(theirs) = ask("import aiortc", FEEDBACK, &lines) else { return };
    let ours: Vec<String> = call.rtcp.iter().map(|(_, _, bytes)| said(bytes)).collect();
    assert_eq!(theirs, ours);
    let all = ours.join(";");
    for kind in ["nack ", "pli ", "sr ", "rr ", "sdes ", "bye "] {
        assert!(all.contains(kind), "{kind}");
    }
}

fn said(datagram: &[u8]) -> String {
    let join = |kind: &str, parts: Vec<String>| Some(format!("{kind} {}", parts.join(" ")));
    let said = Compound::decode(datagram).unwrap().packets().filter_map(|packet| match packet.unwrap() {
        Packet::Nack(it) => join("nack", it.lost().map(|number| number.0.to_string()).collect()),
        Packet::Pli(it) => join("pli", vec![it.media.to_string()]),
        Packet::SenderReport(it) => Some(format!("sr {} {} {}", it.ssrc, it.info.packet_count, it.info.rtp)),
        Packet::ReceiverReport(it) => join(
            "rr",
            it.reports().map(|block| format!("{} {}", block.ssrc, block.highest_sequence)).collect(),
        ),
        Packet::SourceDescription(it) => {
            let text = |chunk: rtp::rtcp::Chunk<'_>| {
                String::from_utf8(chunk.items().next().unwrap().text.to_vec()).unwrap()
            };
            join("sdes", it.chunks().map(text).collect())
        }
        Packet::Goodbye(it) => join("bye", it.sources().map(|ssrc| ssrc.to_string()).collect()),
        _ => None,
    });
    said.collect::<Vec<_>>().join(";")
}
