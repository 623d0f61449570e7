//! Reading, writing and changing packets allocates nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]
#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::panic,
    reason = "of many kinds of packet a test is about few"
)]

mod support;

use allocation_counter::measure;
use proto::{Ecn, Writer};
use rtp::extension::{
    AbsSendTime, AudioLevel, DependencyDescriptor, ExtensionMap, Form, Kind, Structure, TransportSequence,
};
use rtp::rtcp::{
    Arrived, Compound, Encoder as RtcpEncoder, Packet as Rtcp, PacketStatus, ReportBlock, SdesItem, SdesKind,
    SenderInfo, TransportFeedback,
};
use rtp::{Encoder, Header, Mid, Packet, PacketMut, PayloadType, SequenceNumber, Ssrc, rtx};

fn map(ids: [u8; 4]) -> ExtensionMap {
    let mut map = ExtensionMap::default();
    let kinds = [Kind::Mid, Kind::AudioLevel, Kind::AbsSendTime, Kind::TransportSequence];
    ids.into_iter().zip(kinds).for_each(|(id, kind)| map.set(id, kind).unwrap());
    map
}

#[test]
fn packets_are_written_forwarded_and_read_without_allocation() {
    let (ours, theirs) = (map([1, 2, 3, 4]), map([4, 3, 2, 1]));
    let mut memory = [0; 1500];
    let mut read = 0;
    let stream = rtx::Stream { ssrc: Ssrc(9), payload_type: PayloadType::new(97).unwrap() };
    let original = rtx::Stream { ssrc: Ssrc(1), payload_type: PayloadType::new(96).unwrap() };
    let info = measure(|| {
        for number in 0..1000_u16 {
            let mut out = Writer::new(&mut memory);
            let header = Header { sequence_number: SequenceNumber(number), ..Header::default() };
            let mut packet = Encoder::new(&mut out, header, &[Ssrc(1)]).unwrap();
            ours.encode(&mut packet, Form::OneByte, &Mid::new(b"0").unwrap()).unwrap();
            ours.encode(&mut packet, Form::OneByte, &AudioLevel { voice: true, level: 3 }).unwrap();
            ours.encode(&mut packet, Form::OneByte, &TransportSequence(SequenceNumber(number))).unwrap();
            let len = packet.finish(&[7; 1000], 0).unwrap();
            let mut packet = PacketMut::decode(&mut memory, len).unwrap();
            packet.map_elements(ours.translation(&theirs)).unwrap();
            theirs.write(&mut packet, &AbsSendTime::from_units(number.into())).unwrap();
            theirs.write(&mut packet, &Mid::new(b"longer").unwrap()).unwrap();
            packet.set_ssrc(Ssrc(2));
            rtx::wrap(&mut packet, stream, SequenceNumber(5)).unwrap();
            rtx::unwrap(&mut packet, original).unwrap();
            packet.widen_elements().unwrap();
            packet.trim_elements();
            let packet = Packet::decode(packet.into_bytes()).unwrap();
            let sequence: TransportSequence = theirs.read(&packet).unwrap();
            read += usize::from(sequence.0 == header.sequence_number) * packet.payload().len();
        }
    });
    assert_eq!((info.count_total, read), (0, 1_000_000));
}

#[test]
fn rtcp_is_written_and_read_without_allocation() {
    let mut memory = [0; 1500];
    let mut read = 0;
    let info = measure(|| {
        for number in 0..1000_u16 {
            let mut out = Writer::new(&mut memory);
            let mut datagram = RtcpEncoder::new(&mut out);
            datagram.sender_report(Ssrc(1), SenderInfo::default(), [ReportBlock::default(); 3], &[]).unwrap();
            datagram
                .source_description([(Ssrc(1), [SdesItem { kind: SdesKind::CNAME, text: b"name" }])])
                .unwrap();
            datagram.nack(Ssrc(1), Ssrc(2), (0..20).map(|at| SequenceNumber(number + 5 * at))).unwrap();
            let feedback =
                TransportFeedback { sender: Ssrc(1), media: Ssrc(2), feedback_count: 0, base: None };
            let arrived =
                (0..100).map(|at| Arrived { sequence: SequenceNumber(at * 2), ticks: u64::from(at) * 9 });
            datagram.transport_cc(feedback, arrived).unwrap();
            let statuses = [PacketStatus::Received { ecn: Some(Ecn::Ect1), offset: Some(5) }; 50];
            datagram.congestion_control(Ssrc(1), 5, [(Ssrc(2), SequenceNumber(number), statuses)]).unwrap();
            for packet in Compound::decode(out.written()).unwrap().packets() {
                read += match packet.unwrap() {
                    Rtcp::SenderReport(it) => it.reports().count(),
                    Rtcp::SourceDescription(it) => it.chunks().flat_map(|chunk| chunk.items()).count(),
                    Rtcp::Nack(it) => it.lost().count(),
                    Rtcp::TransportCc(it) => it.received().count(),
                    Rtcp::CongestionControl(it) => it.streams().flat_map(|stream| stream.packets()).count(),
                    other => panic!("{other:?}"),
                };
            }
        }
    });
    assert_eq!((info.count_total, read), (0, 1000 * (3 + 1 + 20 + 100 + 50)));
}

#[test]
fn dependency_descriptors_are_read_without_allocation() {
    let bytes = support::hex(
        "c1017280081485214eafffaaaa863cf0430c10c302afc0aaa0063c00430010c002a000a80006000040001d954926e082b04a\
         0941b820ac1282503157f974000ca864330e222222eca8655304224230eca877530077004200ef008601df010d",
    );
    let mut structure = Structure::default();
    let info = measure(|| {
        for _ in 0..100 {
            DependencyDescriptor::read(&bytes, &mut structure).unwrap();
            DependencyDescriptor::read(&[0x86, 1, 0x73, 0x40, 0xfc], &mut structure).unwrap();
        }
    });
    assert_eq!((info.count_total, structure.decode_targets()), (0, 9));
}
