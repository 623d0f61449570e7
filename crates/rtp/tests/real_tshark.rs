//! RTP and RTCP as we write them, read by someone else's dissector.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]
#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::panic,
    reason = "of many kinds of packet a test is about few"
)]

mod support;

use std::net::SocketAddr;

use proto::Ecn;
use rtp::extension::Form;
use rtp::rtcp::{
    App, Arrived, Encoder, FirEntry, MaxBitrate, PacketStatus, ReceiverDelay, ReportBlock, SdesItem,
    SdesKind, SenderInfo, TransportFeedback,
};
use rtp::{NtpTime, PacketMut, PayloadType, RtpTimestamp, SequenceNumber, Ssrc, rtx};
use support::{Parts, plain, written};
use testkit::{Capture, epoch};

const RTP: u16 = 5004;
const RTCP: u16 = 5005;

/// What tshark sees of each datagram: its protocols, and then fields, of which the first is what is malformed.
fn dissect(
    port: u16,
    protocol: &str,
    datagrams: &[Vec<u8>],
    fields: &[&str],
) -> Option<Vec<(String, Vec<String>)>> {
    let mut capture = Capture::of_ip();
    let address = |host| SocketAddr::from(([192, 0, 2, host], port));
    datagrams.iter().for_each(|bytes| capture.datagram(epoch(), address(1), address(2), bytes));
    let decode_as = format!("udp.port=={port},{protocol}");
    let mut arguments = vec!["-d", &decode_as];
    fields.iter().for_each(|field| arguments.extend(["-e", field]));
    let seen = capture.dissect_with(&format!("rtp-{protocol}"), &arguments);
    if seen.is_none() {
        eprintln!("skipped: no tshark");
    }
    let split = |fields: String| fields.split('|').map(str::to_owned).collect();
    Some(seen?.into_iter().map(|(protocols, rest)| (protocols, split(rest))).collect())
}

fn packets() -> Vec<Parts> {
    let mut all = Vec::new();
    for (at, padding) in (0..40_u16).zip([0, 1, 4, 255].into_iter().cycle()) {
        let mut parts = plain(&vec![at.to_be_bytes()[1]; usize::from(at)]);
        parts.header.marker = at % 3 == 0;
        parts.header.sequence_number = SequenceNumber(65_520_u16.wrapping_add(at));
        parts.header.timestamp = RtpTimestamp((u32::MAX - 20).wrapping_add(at.into()));
        parts.header.payload_type = PayloadType::new(40 + (at % 20).to_be_bytes()[1]).unwrap();
        parts.csrcs = (0..u32::from(at) % 16).map(Ssrc).collect();
        parts.padding = padding;
        if at % 2 == 1 {
            parts.form = Form::OneByte;
            parts.elements = vec![(1, vec![1]), (14, vec![2; 16])];
        } else if at % 4 == 2 {
            parts.form = Form::TwoByte;
            parts.elements = vec![(1, vec![]), (200, vec![2; 30])];
        }
        all.push(parts);
    }
    all
}

#[test]
fn real_tshark_reads_packets_as_we_wrote_and_rewrote_them() {
    let mut datagrams: Vec<Vec<u8>> = packets().iter().map(Parts::encode).collect();
    // The same, as a forwarder sends them.
    for parts in packets() {
        let bytes = parts.encode();
        let mut memory = [bytes.clone(), vec![0; 100]].concat();
        let mut packet = PacketMut::decode(&mut memory, bytes.len()).unwrap();
        packet.set_element(5, &[9; 7]).unwrap();
        packet.widen_elements().unwrap();
        packet.set_element(201, &[7; 40]).unwrap();
        let stream = rtx::Stream { ssrc: Ssrc(77), payload_type: PayloadType::new(120).unwrap() };
        rtx::wrap(&mut packet, stream, SequenceNumber(3)).unwrap();
        datagrams.push(packet.bytes().to_vec());
    }
    let fields =
        ["rtp.seq", "rtp.timestamp", "rtp.ssrc", "rtp.p_type", "rtp.marker", "rtp.cc", "rtp.padding.count"];
    let Some(seen) = dissect(RTP, "rtp", &datagrams, &fields) else { return };
    assert_eq!(seen.len(), datagrams.len());
    for ((protocols, fields), parts) in seen.iter().zip(packets().iter().chain(&packets())) {
        let rewritten = fields[3] == "0x0000004d";
        let header = parts.header;
        let ours = [
            String::new(),
            if rewritten { 3 } else { header.sequence_number.0 }.to_string(),
            header.timestamp.to_string(),
            format!("0x{:08x}", if rewritten { 77 } else { header.ssrc.0 }),
            if rewritten { 120 } else { header.payload_type.get() }.to_string(),
            u8::from(header.marker).to_string(),
            parts.csrcs.len().to_string(),
            if rewritten || parts.padding == 0 { String::new() } else { parts.padding.to_string() },
        ];
        assert!(protocols.contains(":rtp"), "{protocols}");
        assert_eq!(fields[..], ours);
    }
    assert_eq!(seen.iter().filter(|(_, fields)| fields[3] == "0x0000004d").count(), 40);
}

type Write = fn(&mut Encoder<'_, '_>) -> Result<(), proto::NoSpace>;

const BLOCK: ReportBlock = ReportBlock {
    ssrc: Ssrc(2),
    fraction_lost: 9,
    cumulative_lost: 100,
    highest_sequence: 70_000,
    jitter: 6,
    last_sr: 7,
    delay_since_last_sr: 8,
};

/// What tshark says of a datagram in some fields.
type Fields = &'static [(&'static str, &'static str)];

fn reports() -> Vec<(Write, Fields)> {
    vec![
        (
            |out| {
                let info = SenderInfo {
                    ntp: NtpTime(1 << 33),
                    rtp: RtpTimestamp(3),
                    packet_count: 4,
                    octet_count: 5,
                };
                out.sender_report(Ssrc(1), info, [BLOCK, ReportBlock { ssrc: Ssrc(3), ..BLOCK }], &[])
            },
            &[
                ("rtcp.sender.packetcount", "4"),
                ("rtcp.ssrc.fraction", "9,9"),
                ("rtcp.ssrc.ext_high", "70000,70000"),
            ],
        ),
        (
            |out| out.receiver_report(Ssrc(1), [BLOCK], &[]),
            &[("rtcp.ssrc.identifier", "0x00000002"), ("rtcp.ssrc.jitter", "6"), ("rtcp.ssrc.dlsr", "8")],
        ),
        (
            |out| {
                let item = |kind, text| SdesItem { kind, text };
                out.receiver_report(Ssrc(1), [], &[])?;
                out.source_description([
                    (Ssrc(1), vec![item(SdesKind::CNAME, &b"someone"[..]), item(SdesKind::NOTE, b"note")]),
                    (Ssrc(2), vec![item(SdesKind::CNAME, b"x")]),
                ])
            },
            &[("rtcp.sdes.text", "someone,note,x")],
        ),
        (
            |out| out.goodbye([Ssrc(1), Ssrc(2)], Some(b"gone")),
            &[("rtcp.bye_reason_not_padded", ""), ("rtcp.length", "4")],
        ),
        (
            |out| out.app(&App { subtype: 3, ssrc: Ssrc(1), name: *b"peer", data: b"data" }),
            &[("rtcp.app.name", "peer"), ("rtcp.app.subtype", "3")],
        ),
    ]
}

fn feedback() -> Vec<(Write, Fields)> {
    vec![
        (
            |out| out.nack(Ssrc(1), Ssrc(2), [7, 8, 20, 30].map(SequenceNumber)).map(drop),
            &[("rtcp.rtpfb.nack_pid", "7,8,20,30")],
        ),
        (
            |out| out.tmmbr(Ssrc(1), [MaxBitrate { ssrc: Ssrc(2), bitrate: 1_000_000, overhead: 40 }]),
            &[
                ("rtcp.rtpfb.tmmbr.fci.exp", "3"),
                ("rtcp.rtpfb.tmmbr.fci.mantissa", "125000"),
                ("rtcp.rtpfb.tmmbr.fci.measuredoverhead", "40"),
            ],
        ),
        (|out| out.pli(Ssrc(1), Ssrc(2)), &[("rtcp.psfb.fmt", "1")]),
        (
            |out| out.fir(Ssrc(1), [FirEntry { ssrc: Ssrc(2), sequence: 200 }]),
            &[("rtcp.psfb.fir.fci.csn", "200"), ("rtcp.psfb.fir.fci.ssrc", "0x00000002")],
        ),
        (
            |out| out.remb(Ssrc(1), 1_000_000, [Ssrc(2), Ssrc(3)]),
            &[("rtcp.psfb.remb.fci.number_ssrcs", "2"), ("rtcp.psfb.remb.fci.br_exp", "2")],
        ),
        (
            |out| {
                out.extended_report(Ssrc(1), |xr| {
                    xr.reference_time(NtpTime(1 << 33))?;
                    xr.delays([ReceiverDelay { ssrc: Ssrc(2), last_rr: 3, delay_since_last_rr: 4 }])
                })
            },
            &[("rtcp.xr.bt", "4,5"), ("rtcp.xr.lrr", "3"), ("rtcp.xr.dlrr", "4")],
        ),
        (
            |out| {
                let it = TransportFeedback { sender: Ssrc(1), media: Ssrc(2), feedback_count: 5, base: None };
                let arrived = [(10, 256), (11, 260), (15, 258), (16, 1000)];
                let arrived =
                    arrived.map(|(number, ticks)| Arrived { sequence: SequenceNumber(number), ticks });
                out.transport_cc(it, arrived.into_iter()).map(drop)
            },
            &[
                ("rtcp.rtpfb.transportcc.baseseq", "10"),
                ("rtcp.rtpfb.transportcc.statuscount", "7"),
                ("rtcp.rtpfb.transportcc_bad", ""),
            ],
        ),
        (
            |out| {
                let status = PacketStatus::Received { ecn: Some(Ecn::Ect1), offset: Some(6) };
                out.congestion_control(
                    Ssrc(1),
                    9,
                    [(Ssrc(2), SequenceNumber(10), [status, PacketStatus::Lost])],
                )
            },
            &[("rtcp.rtpfb.fmt", "11")],
        ),
    ]
}

#[test]
fn real_tshark_reads_every_type_of_rtcp_as_we_wrote_it() {
    let cases: Vec<(Write, Fields)> = reports().into_iter().chain(feedback()).collect();
    let datagrams: Vec<_> =
        cases.iter().map(|(write, _)| written(|out| write(&mut Encoder::new(out)).unwrap())).collect();
    let fields: Vec<&str> = cases.iter().flat_map(|(_, fields)| fields.iter().map(|field| field.0)).collect();
    let Some(seen) = dissect(RTCP, "rtcp", &datagrams, &fields) else { return };
    assert_eq!(seen.len(), cases.len());
    for ((protocols, values), (_, expected)) in seen.iter().zip(cases) {
        assert!(protocols.contains(":rtcp") && values[0].is_empty(), "{protocols} {values:?} {expected:?}");
        for (name, value) in expected {
            let at = fields.iter().position(|field| field == name).unwrap();
            assert_eq!(values[at + 1], *value, "{name}");
        }
    }
}
