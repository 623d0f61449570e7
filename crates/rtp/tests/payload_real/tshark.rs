//! What we send, as Wireshark's dissectors see it.

use proto::Writer;
use rtp::payload::telephone_event::{self, Event};
use rtp::payload::{Framing, PictureId, h264, h265, red, vp8};
use testkit::{Capture, epoch};

use crate::clips::{Codec, clip};
use crate::identity::payloads;

/// A capture of RTP packets with these payloads.
fn capture(packets: &[(Vec<u8>, bool)]) -> Capture {
    let mut capture = Capture::of_ip();
    let (from, to) = (([127, 0, 0, 1], 5004).into(), ([127, 0, 0, 1], 5006).into());
    for (at, (payload, marker)) in packets.iter().enumerate() {
        let mut packet = vec![0x80, 96 | u8::from(*marker) << 7];
        packet.extend((at as u16).to_be_bytes());
        packet.extend([0; 8]);
        packet.extend(payload);
        capture.datagram(epoch(), from, to, &packet);
    }
    capture
}

/// Fields of each packet, by the dissector of that name: its protocols, what is malformed, and those asked for.
fn dissect<const N: usize>(
    packets: &[(Vec<u8>, bool)],
    dissector: &str,
    fields: [&str; N],
) -> Option<Vec<[String; N]>> {
    let kind = format!("rtp.pt==96,{dissector}");
    fields_of(packets, dissector, &["-d", "udp.port==5004,rtp", "-d", &kind], fields)
}

fn fields_of<const N: usize>(
    packets: &[(Vec<u8>, bool)],
    name: &str,
    options: &[&str],
    fields: [&str; N],
) -> Option<Vec<[String; N]>> {
    let asked = fields.iter().skip(2).flat_map(|field| ["-e", *field]);
    let arguments: Vec<&str> = options.iter().copied().chain(asked).collect();
    let Some(seen) = capture(packets).dissect_with(name, &arguments) else {
        println!("skipped: tshark is not installed");
        return None;
    };
    let split = |(protocols, rest): (String, String)| {
        let mut values = std::iter::once(protocols).chain(rest.split('|').map(str::to_owned));
        std::array::from_fn(|_| values.next().unwrap_or_default())
    };
    Some(seen.into_iter().map(split).collect())
}

/// No packet is malformed, and each belongs to the protocol.
fn is_well<const N: usize>(seen: &[[String; N]], dissector: &str) {
    for packet in seen {
        // Wireshark 4.0 finds faults of its own with H.265 slices whose parameter sets it has not kept.
        let is_well = packet[1].is_empty() || packet[1].starts_with("[Dissector bug");
        assert!(packet[0].contains(dissector) && is_well, "{packet:?}");
    }
}

#[test]
fn real_tshark_reads_our_vp8() {
    let Some(frames) = clip(Codec::Vp8) else { return };
    let mut packetizer = vp8::Packetizer::new(PictureId::Long(0x7ffe));
    let mut packets = Vec::new();
    let mut numbers = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        let layer = (at % 4) as u8;
        let temporal = vp8::Temporal { layer: [0, 2, 1, 2][usize::from(layer)], sync: layer == 2 };
        let layer = vp8::Layer { temporal: Some(temporal), non_reference: layer % 2 == 1 };
        let mut all = packetizer.frame(frame, layer, 1200).unwrap();
        let all = payloads(1200, |out| all.write(out));
        numbers.extend(vec![(at as u32 + 0x7ffe) % 0x8000; all.len()]);
        packets.extend(all);
    }
    let fields =
        ["frame.protocols", "_ws.malformed", "vp8.pld.pictureid", "vp8.pld.tid", "vp8.pld.tl0picidx"];
    let Some(seen) = dissect(&packets, "vp8", fields) else { return };
    assert_eq!(seen.len(), packets.len());
    is_well(&seen, "vp8");
    for ([_, _, number, tid, index], (expected, (bytes, _))) in seen.iter().zip(numbers.iter().zip(&packets))
    {
        let (descriptor, _) = vp8::Descriptor::decode(bytes).unwrap();
        assert_eq!(number.parse::<u32>().unwrap() & 0x7fff, *expected);
        assert_eq!(tid.parse().ok(), descriptor.temporal.map(|temporal| temporal.layer));
        assert_eq!(index.parse().ok(), descriptor.tl0_pic_idx);
    }
}

#[test]
fn real_tshark_reads_our_h264() {
    let Some(frames) = clip(Codec::H264) else { return };
    let mut packetizer = h264::Packetizer::new(h264::Mode::NonInterleaved, Framing::AnnexB);
    let mut packets = Vec::new();
    for frame in &frames {
        let mut all = packetizer.frame(frame, 1200).unwrap();
        packets.extend(payloads(1200, |out| all.write(out)));
    }
    let fields = ["frame.protocols", "_ws.malformed", "h264.nal_unit_hdr", "h264.start.bit", "h264.end.bit"];
    let Some(seen) = dissect(&packets, "h264", fields) else { return };
    assert_eq!(seen.len(), packets.len());
    is_well(&seen, "h264");
    let kinds: Vec<&str> = seen.iter().map(|packet| packet[2].split(',').next().unwrap()).collect();
    // STAP-A, FU-A, and units alone; every FU-A that starts has an end.
    assert!(["24", "28"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    let count = |at: usize| seen.iter().filter(|packet| packet[at] == "1" || packet[at] == "True").count();
    assert!(count(3) > 0 && count(3) == count(4));
}

#[test]
fn real_tshark_reads_our_h265() {
    let Some(frames) = clip(Codec::H265) else { return };
    let mut packetizer = h265::Packetizer::new(Framing::AnnexB);
    let mut packets = Vec::new();
    for frame in &frames {
        let mut all = packetizer.frame(frame, 1200).unwrap();
        packets.extend(payloads(1200, |out| all.write(out)));
    }
    let Some(seen) = dissect(&packets, "h265", ["frame.protocols", "_ws.malformed"]) else { return };
    assert_eq!(seen.len(), packets.len());
    is_well(&seen, "h265");
}

#[test]
fn real_tshark_reads_our_telephone_events() {
    let mut packetizer = telephone_event::Packetizer::new(Event(11), 10, 0).unwrap();
    let mut packets = Vec::new();
    let mut memory = [0; 4];
    for timestamp in (0..4000).step_by(400) {
        if timestamp == 2000 {
            packetizer.end(1900);
        }
        let mut out = Writer::new(&mut memory);
        let Some(written) = packetizer.write(timestamp, &mut out).unwrap() else { break };
        packets.push((out.written().to_vec(), written.marker));
    }
    let fields = [
        "frame.protocols",
        "_ws.malformed",
        "rtpevent.event_id",
        "rtpevent.volume",
        "rtpevent.duration",
        "rtpevent.end_of_event",
    ];
    let Some(seen) = dissect(&packets, "rtpevent", fields) else { return };
    is_well(&seen, "rtpevent");
    let durations: Vec<u32> = seen.iter().map(|packet| packet[4].parse().unwrap()).collect();
    assert_eq!(durations, [1, 400, 800, 1200, 1600, 1900, 1900, 1900]);
    assert!(seen.iter().all(|packet| packet[2] == "11" && packet[3] == "10"));
    assert!(seen[5..].iter().all(|packet| packet[5] == "1" || packet[5] == "True"));
}

#[test]
fn real_tshark_reads_our_redundant_audio() {
    let mut packetizer = red::Packetizer::new(111, 2).unwrap();
    let mut packets = Vec::new();
    for at in 0..6_u8 {
        let frame = vec![at; 20 + usize::from(at)];
        let mut all = packetizer.frame(&frame, u32::from(at) * 960, false, 1200).unwrap();
        packets.extend(payloads(1200, |out| all.write(out)));
    }
    let fields = ["frame.protocols", "_ws.malformed", "rtp.timestamp-offset", "rtp.block-length"];
    let options = ["-d", "udp.port==5004,rtp", "-o", "rtp.rfc2198_payload_type:96"];
    let Some(seen) = fields_of(&packets, "red", &options, fields) else { return };
    is_well(&seen, "rtp");
    assert_eq!(seen[0][2..], ["", ""]);
    assert_eq!(seen[1][2..], ["960", "20"]);
    assert_eq!(seen[5][2..], ["1920,960", "23,24"]);
}
