//! What a call puts on the wire, read by someone else's dissector.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "of many kinds of packet a test is about few")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use media::TransportFeedback;
use rtp::rtcp::{Compound, Packet};
use support::{Call, audio_receiver, audio_sender, video_receiver, video_sender};
use testkit::{Capture, Link, epoch};

#[test]
fn real_tshark_reads_the_rtcp_of_a_call_as_we_do() {
    let mut capture = Capture::of_ip();
    let mut ours = Vec::new();
    for (seed, feedback) in [(1, TransportFeedback::TransportWide), (2, TransportFeedback::Streams)] {
        let link = Link { delay: Duration::from_millis(30), loss: 0.05, ..Link::default() };
        let mut call = Call::new(&link, seed);
        call.bob.set_feedback(seed == 1, feedback);
        let audio = call.alice.add_sender(audio_sender()).unwrap();
        let video = call.alice.add_sender(video_sender()).unwrap();
        call.bob.add_receiver(audio_receiver()).unwrap();
        call.bob.add_receiver(video_receiver()).unwrap();
        for part in 0..15 {
            call.video(video, part * 10, 10, 4000);
            call.audio(audio, part * 10, 10);
        }
        call.alice.close();
        call.exchange();
        for (at, is_alice, datagram) in &call.rtcp {
            let address = |host| SocketAddr::from(([192, 0, 2, host], 5005));
            let (from, to) = if *is_alice { (1, 2) } else { (2, 1) };
            capture.datagram(*at, address(from), address(to), datagram);
            ours.push(fields(datagram));
        }
    }
    let wanted =
        ["rtcp.pt", "rtcp.ssrc.ext_high", "rtcp.ssrc.fraction", "rtcp.rtpfb.nack_pid", "rtcp.sdes.text"];
    let mut arguments = vec!["-d", "udp.port==5005,rtcp"];
    wanted.iter().for_each(|field| arguments.extend(["-e", field]));
    let Some(seen) = capture.dissect_with("media-rtcp", &arguments) else {
        eprintln!("skipped: no tshark");
        return;
    };
    assert_eq!(seen.len(), ours.len());
    let mut nacks = 0;
    for ((protocols, rest), ours) in seen.iter().zip(&ours) {
        assert!(protocols.contains("rtcp"), "{protocols}");
        let fields: Vec<&str> = rest.split('|').collect();
        assert_eq!(fields[0], "", "malformed: {rest}");
        assert_eq!(fields[1..], ours.iter().map(String::as_str).collect::<Vec<_>>()[..]);
        nacks += usize::from(!fields[4].is_empty());
    }
    assert!(nacks > 10 && seen.len() > 100 && epoch() > proto::Instant::default());
}

/// The same as tshark says it.
fn fields(datagram: &[u8]) -> Vec<String> {
    let compound = Compound::decode(datagram).unwrap();
    let join = |parts: Vec<String>| parts.join(",");
    let (mut highest, mut fraction, mut nacks, mut names) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for packet in compound.packets() {
        let blocks: Vec<_> = match packet.unwrap() {
            Packet::SenderReport(it) => it.reports().collect(),
            Packet::ReceiverReport(it) => it.reports().collect(),
            Packet::Nack(it) => {
                nacks.extend(it.lost().map(|number| number.0.to_string()));
                continue;
            }
            Packet::SourceDescription(it) => {
                let chunks = it.chunks().flat_map(|chunk| chunk.items());
                names.extend(chunks.map(|item| String::from_utf8(item.text.to_vec()).unwrap()));
                continue;
            }
            _ => continue,
        };
        highest.extend(blocks.iter().map(|block| block.highest_sequence.to_string()));
        fraction.extend(blocks.iter().map(|block| block.fraction_lost.to_string()));
    }
    let kinds = compound.raw().map(|raw| raw.kind.to_string()).collect();
    vec![join(kinds), join(highest), join(fraction), join(nacks), join(names)]
}
