//! RTCP: datagrams, and every packet by hand and by chance.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]
#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::panic,
    reason = "of many kinds of packet a test is about few"
)]

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use proto::{Ecn, NoSpace, Writer};
use rtp::rtcp::{
    App, Compound, Encoder, Feedback, FeedbackClass, FirEntry, MAX_METRICS, MAX_PACKETS, MaxBitrate,
    NackEntry, Packet, PacketStatus, Pli, Raw, ReceiverDelay, ReportBlock, SdesItem, SdesKind, SenderInfo,
    XrBlock,
};
use rtp::{DecodeError, NtpTime, RtpTimestamp, SequenceNumber, Ssrc};
use support::{hex, sequence, ssrc, written};

fn encode(write: impl FnOnce(&mut Encoder<'_, '_>) -> Result<(), NoSpace>) -> Vec<u8> {
    written(|out| write(&mut Encoder::new(out)).unwrap())
}

/// The one packet of a datagram.
fn only(bytes: &[u8]) -> Packet<'_> {
    let packets: Vec<_> = Compound::decode(bytes).unwrap().packets().collect();
    assert_eq!(packets.len(), 1);
    packets[0].unwrap()
}

/// What is read is written to the same bytes.
fn as_it_was(bytes: &[u8]) -> bool {
    encode(|out| {
        Compound::decode(bytes).unwrap().packets().try_for_each(|packet| out.packet(&packet.unwrap()))
    }) == bytes
}

const BLOCK: ReportBlock = ReportBlock {
    ssrc: Ssrc(0x0a0b_0c0d),
    fraction_lost: 0x40,
    cumulative_lost: -3,
    highest_sequence: 0x0001_ffff,
    jitter: 5,
    last_sr: 0x1122_3344,
    delay_since_last_sr: 0x0001_0000,
};
const BLOCK_HEX: &str = "0a0b0c0d 40 fffffd 0001ffff 00000005 11223344 00010000";

#[test]
fn reports_are_the_bytes_of_the_rfc() {
    // RFC 3550 §6.4.
    let info = SenderInfo {
        ntp: NtpTime(0x0102_0304_0506_0708),
        rtp: RtpTimestamp(9),
        packet_count: 10,
        octet_count: 11,
    };
    let bytes =
        hex(&format!("81 c8 000d 00000001 0102030405060708 00000009 0000000a 0000000b {BLOCK_HEX} aabbccdd"));
    assert_eq!(encode(|out| out.sender_report(Ssrc(1), info, [BLOCK], &hex("aabbccdd"))), bytes);
    let Packet::SenderReport(it) = only(&bytes) else { panic!() };
    assert_eq!(
        (it.ssrc, it.info, it.reports().collect::<Vec<_>>(), it.extension),
        (Ssrc(1), info, vec![BLOCK], &hex("aabbccdd")[..])
    );
    let bytes = hex(&format!("81 c9 0007 00000001 {BLOCK_HEX}"));
    assert_eq!(encode(|out| out.receiver_report(Ssrc(1), [BLOCK], &[])), bytes);
    let Packet::ReceiverReport(it) = only(&bytes) else { panic!() };
    assert_eq!((it.ssrc, it.reports().collect::<Vec<_>>(), it.extension), (Ssrc(1), vec![BLOCK], &[][..]));
}

#[test]
fn losses_that_do_not_fit_are_the_nearest_that_do() {
    // RFC 3550 A.3.
    for (lost, told) in [
        (1 << 23, (1 << 23) - 1),
        (i32::MAX, (1 << 23) - 1),
        (-(1 << 23), -(1 << 23)),
        (i32::MIN, -(1 << 23)),
    ] {
        let bytes =
            encode(|out| out.receiver_report(Ssrc(1), [ReportBlock { cumulative_lost: lost, ..BLOCK }], &[]));
        let Packet::ReceiverReport(it) = only(&bytes) else { panic!() };
        assert_eq!(it.reports().next().unwrap().cumulative_lost, told);
    }
}

#[test]
fn descriptions_are_the_bytes_of_the_rfc() {
    // RFC 3550 §6.5: items end with a zero, chunks with whole words; here of lengths that need 1 to 4 zeros.
    for (text, tail) in
        [("a", "0000000000"), ("ab", "00000000"), ("abc", "000000"), ("abcd", "0000"), ("abcde", "00")]
    {
        let item = SdesItem { kind: SdesKind::CNAME, text: text.as_bytes() };
        let mut body = format!("00000001 01 {:02x}", text.len());
        text.bytes().for_each(|byte| body += &format!("{byte:02x}"));
        let mut chunk = hex(&body);
        chunk.push(0);
        chunk.resize(chunk.len().next_multiple_of(4), 0);
        let bytes = [&[0x81, 202, 0, u8::try_from(chunk.len() / 4).unwrap()], &chunk[..]].concat();
        assert_eq!(encode(|out| out.source_description([(Ssrc(1), [item])])), bytes, "{tail}");
        let Packet::SourceDescription(it) = only(&bytes) else { panic!() };
        assert_eq!((it.cname(Ssrc(1)), it.cname(Ssrc(2))), (Some(text.as_bytes()), None));
    }
    let private = SdesItem { kind: SdesKind::PRIV, text: b"\x02abvalue" };
    assert_eq!(private.private(), Some((&b"ab"[..], &b"value"[..])));
    assert_eq!(SdesItem { kind: SdesKind::PRIV, text: b"\x09ab" }.private(), None);
    assert_eq!(SdesItem { kind: SdesKind::NOTE, ..private }.private(), None);
    // A chunk without items is a word of zeros.
    assert_eq!(encode(|out| out.source_description([(Ssrc(1), [])])), hex("81 ca 0002 00000001 00000000"));
    let refused = |item: SdesItem<'_>| {
        let mut memory = [0; 600];
        let mut out = Writer::new(&mut memory);
        Encoder::new(&mut out).source_description([(Ssrc(1), [item])]).is_err() && out.is_empty()
    };
    assert!(refused(SdesItem { kind: SdesKind(0), text: b"a" }));
    assert!(refused(SdesItem { kind: SdesKind::NOTE, text: &[b'a'; 256] }));
    assert!(!refused(SdesItem { kind: SdesKind::NOTE, text: &[b'a'; 255] }));
}

#[test]
fn goodbyes_and_application_packets_are_the_bytes_of_the_rfc() {
    // RFC 3550 §6.6, §6.7.
    let bytes = hex("82 cb 0004 00000001 00000002 05 6c65617665 0000");
    assert_eq!(encode(|out| out.goodbye([Ssrc(1), Ssrc(2)], Some(b"leave"))), bytes);
    let Packet::Goodbye(it) = only(&bytes) else { panic!() };
    assert_eq!((it.sources().collect::<Vec<_>>(), it.reason), (vec![Ssrc(1), Ssrc(2)], Some(&b"leave"[..])));
    assert_eq!(encode(|out| out.goodbye([], None)), hex("80 cb 0000"));
    assert!(as_it_was(&hex("80 cb 0000")));
    let app = App { subtype: 7, ssrc: Ssrc(1), name: *b"peer", data: b"wordword" };
    let bytes = hex("87 cc 0004 00000001 70656572 776f7264776f7264");
    assert_eq!((encode(|out| out.app(&app)), only(&bytes)), (bytes.clone(), Packet::App(app)));
}

#[test]
fn missing_packets_are_said_in_as_few_entries_as_can_be() {
    // RFC 4585 §6.2.1.
    let lost = [10, 11, 26, 27, 43, 65_535, 0, 15].map(SequenceNumber);
    let bytes = encode(|out| out.nack(Ssrc(1), Ssrc(2), lost).map(|taken| assert_eq!(taken, 8)));
    let expected = hex("81 cd 0005 00000001 00000002 000a 8001 001b 8000 ffff 8001");
    assert_eq!(bytes, expected);
    let Packet::Nack(it) = only(&bytes) else { panic!() };
    assert!(it.lost().eq(lost) && (it.sender, it.media) == (Ssrc(1), Ssrc(2)));
    assert_eq!(it.entries().next(), Some(NackEntry { first: SequenceNumber(10), following: 0x8001 }));
    // The same number twice is said once.
    let bytes = encode(|out| out.nack(Ssrc(1), Ssrc(2), [3, 3, 4, 4].map(SequenceNumber)).map(drop));
    let Packet::Nack(it) = only(&bytes) else { panic!() };
    assert!(it.lost().eq([3, 4].map(SequenceNumber)));
}

#[test]
fn missing_packets_are_said_as_far_as_there_is_room() {
    let lost = || (0..100_u16).map(|at| SequenceNumber(at * 20));
    for room in 0..100 {
        let mut memory = vec![0; room];
        let mut out = Writer::new(&mut memory);
        let taken = Encoder::new(&mut out).nack(Ssrc(1), Ssrc(2), lost());
        let expected = room.saturating_sub(12) / 4;
        assert_eq!(taken, if expected > 0 { Ok(expected) } else { Err(NoSpace) }, "{room}");
        if expected > 0 {
            let Packet::Nack(it) = only(out.written()) else { panic!() };
            assert!(it.lost().eq(lost().take(expected)));
        } else {
            assert!(out.is_empty());
        }
    }
}

#[test]
fn payload_feedback_is_the_bytes_of_its_specifications() {
    // RFC 4585 §6.3.1, RFC 5104 §4.3.1, draft-alvestrand-rmcat-remb §2.2.
    let bytes = hex("81 ce 0002 00000001 00000002");
    assert_eq!(encode(|out| out.pli(Ssrc(1), Ssrc(2))), bytes);
    assert_eq!(only(&bytes), Packet::Pli(Pli { sender: Ssrc(1), media: Ssrc(2) }));
    let entries = [FirEntry { ssrc: Ssrc(3), sequence: 9 }, FirEntry { ssrc: Ssrc(4), sequence: 255 }];
    let bytes = hex("84 ce 0006 00000001 00000000 00000003 09000000 00000004 ff000000");
    assert_eq!(encode(|out| out.fir(Ssrc(1), entries)), bytes);
    let Packet::Fir(it) = only(&bytes) else { panic!() };
    assert!(it.entries().eq(entries));
    let bytes = hex("8f ce 0006 00000001 00000000 52454d42 02 0bd090 00000003 00000004");
    // 0x3d090 << 2 is 1,000,000.
    assert_eq!(encode(|out| out.remb(Ssrc(1), 1_000_000, [Ssrc(3), Ssrc(4)])), bytes);
    let Packet::Remb(it) = only(&bytes) else { panic!() };
    assert_eq!((it.bitrate, it.sources().collect::<Vec<_>>()), (1_000_000, vec![Ssrc(3), Ssrc(4)]));
    // Feedback of an application's that is not this.
    let bytes = hex("8f ce 0003 00000001 00000000 52454d43");
    assert!(matches!(only(&bytes), Packet::Feedback(_)) && as_it_was(&bytes));
    for (format, matches) in [(2, "SliceLoss"), (3, "ReferencePicture"), (9, "Feedback")] {
        let bytes = [&[0x80 | format, 206, 0, 3][..], &hex("00000001 00000002 01020304")].concat();
        assert!(format!("{:?}", only(&bytes)).starts_with(matches) && as_it_was(&bytes));
    }
}

#[test]
fn bitrates_that_no_number_holds_are_the_largest_that_one_does() {
    // Exponent and mantissa of REMB (6 and 18 bits), and of TMMBR (6, 17, and 9 of overhead).
    for (remb, bitrate) in
        [(0xff_ffff_u32, u64::MAX), (63 << 18 | 1, 1 << 63), (63 << 18 | 2, u64::MAX), (63 << 18, 0), (0, 0)]
    {
        let bytes = [&hex("8f ce 0004 00000001 00000000 52454d42")[..], &remb.to_be_bytes()].concat();
        let Packet::Remb(it) = only(&bytes) else { panic!() };
        assert_eq!(it.bitrate, bitrate, "{remb:x}");
    }
    for (tmmbr, bitrate) in
        [(u32::MAX, u64::MAX), (63 << 26 | 1 << 9, 1 << 63), (63 << 26, 0), (2 << 26 | 5 << 9, 20)]
    {
        let bytes = [&hex("83 cd 0004 00000001 00000000 00000003")[..], &tmmbr.to_be_bytes()].concat();
        let Packet::Tmmbr(it) = only(&bytes) else { panic!() };
        assert_eq!(it.entries().next().unwrap().bitrate, bitrate, "{tmmbr:x}");
    }
    for bitrate in [0, 1, (1 << 17) - 1, 1 << 17, (1 << 18) - 1, 1 << 18, 123_456_789_012, 1 << 63, u64::MAX]
    {
        let bytes = encode(|out| out.remb(Ssrc(1), bitrate, []));
        let Packet::Remb(it) = only(&bytes) else { panic!() };
        assert!(it.bitrate <= bitrate && it.bitrate >= bitrate - (bitrate >> 17), "{bitrate}");
        let entry = MaxBitrate { ssrc: Ssrc(3), bitrate, overhead: 511 };
        let bytes = encode(|out| out.tmmbn(Ssrc(1), [entry]));
        let Packet::Tmmbn(it) = only(&bytes) else { panic!() };
        let told = it.entries().next().unwrap();
        assert!(
            told.bitrate <= bitrate && told.bitrate >= bitrate - (bitrate >> 16) && told.overhead == 511,
            "{bitrate}"
        );
    }
    let mut memory = [0; 100];
    let mut out = Writer::new(&mut memory);
    assert!(
        Encoder::new(&mut out)
            .tmmbr(Ssrc(1), [MaxBitrate { ssrc: Ssrc(3), bitrate: 1, overhead: 512 }])
            .is_err()
    );
}

#[test]
fn congestion_control_feedback_is_the_bytes_of_the_rfc() {
    // RFC 8888 §3.1: two streams, one of an odd number of packets.
    let received = |ecn, offset| PacketStatus::Received { ecn, offset };
    let first = vec![received(None, Some(1)), PacketStatus::Lost, received(Some(Ecn::Ce), None)];
    let second = vec![received(Some(Ecn::Ect0), Some(0x1ffe)), received(Some(Ecn::Ect1), Some(0))];
    let streams =
        [(Ssrc(2), SequenceNumber(65_535), first.clone()), (Ssrc(3), SequenceNumber(5), second.clone())];
    let bytes = hex(
        "8b cd 0009 00000001 00000002 ffff 0003 8001 0000 ffff 0000 00000003 0005 0002 dffe a000 01020304",
    );
    assert_eq!(encode(|out| out.congestion_control(Ssrc(1), 0x0102_0304, streams)), bytes[..].to_vec());
    let Packet::CongestionControl(it) = only(&bytes) else { panic!() };
    assert_eq!((it.sender, it.timestamp), (Ssrc(1), 0x0102_0304));
    let read: Vec<_> =
        it.streams().map(|stream| (stream.ssrc, stream.packets().collect::<Vec<_>>())).collect();
    let numbered = |begin: u16, all: Vec<PacketStatus>| -> Vec<_> {
        (0..).zip(all).map(|(at, status)| (SequenceNumber(begin.wrapping_add(at)), status)).collect()
    };
    assert_eq!(read, [(Ssrc(2), numbered(65_535, first)), (Ssrc(3), numbered(5, second))]);
    // What was too long ago is told so.
    let bytes = encode(|out| {
        out.congestion_control(Ssrc(1), 0, [(Ssrc(2), SequenceNumber(0), [received(None, Some(9000))])])
    });
    let Packet::CongestionControl(it) = only(&bytes) else { panic!() };
    assert_eq!(it.streams().next().unwrap().statuses().next(), Some(received(None, Some(0x1ffe))));
}

#[test]
fn congestion_control_feedback_has_as_many_packets_as_the_limit_and_not_one_more() {
    let report = |count| vec![(Ssrc(2), SequenceNumber(0), vec![PacketStatus::Lost; count])];
    let bytes = encode(|out| out.congestion_control(Ssrc(1), 0, report(MAX_METRICS)));
    assert!(as_it_was(&bytes));
    let mut memory = vec![0; 70_000];
    let mut out = Writer::new(&mut memory);
    assert_eq!(Encoder::new(&mut out).congestion_control(Ssrc(1), 0, report(MAX_METRICS + 1)), Err(NoSpace));
    // The same by hand: one more, which would stand in the word that fills up.
    let mut bytes = encode(|out| out.congestion_control(Ssrc(1), 0, report(MAX_METRICS - 1)));
    bytes[14..16].copy_from_slice(&(u16::try_from(MAX_METRICS).unwrap()).to_be_bytes());
    assert!(Compound::decode(&bytes).unwrap().packets().all(|it| it.is_ok()));
    bytes[14..16].copy_from_slice(&(u16::try_from(MAX_METRICS).unwrap() + 1).to_be_bytes());
    assert!(Compound::decode(&bytes).unwrap().packets().all(|it| it == Err(DecodeError::Value)));
}

#[test]
fn extended_reports_are_the_bytes_of_the_rfc() {
    // RFC 3611 §2, §4.4, §4.5, and a block that is not read.
    let delays = [
        ReceiverDelay { ssrc: Ssrc(3), last_rr: 4, delay_since_last_rr: 5 },
        ReceiverDelay { ssrc: Ssrc(6), last_rr: 7, delay_since_last_rr: 8 },
    ];
    let bytes = hex(
        "80 cf 000d 00000001 04 00 0002 0102030405060708 05 00 0006 00000003 00000004 00000005 00000006 00000007 00000008 \
         07 aa 0001 01020304",
    );
    let written = encode(|out| {
        out.extended_report(Ssrc(1), |xr| {
            xr.reference_time(NtpTime(0x0102_0304_0506_0708))?;
            xr.delays(delays)?;
            xr.other(7, 0xaa, &[1, 2, 3, 4])
        })
    });
    assert_eq!(written, bytes);
    let Packet::ExtendedReport(it) = only(&bytes) else { panic!() };
    let blocks: Vec<_> = it.blocks().collect();
    assert_eq!(blocks[0], XrBlock::ReferenceTime(NtpTime(0x0102_0304_0506_0708)));
    let XrBlock::Delays(read) = blocks[1] else { panic!() };
    assert!(read.entries().eq(delays));
    assert_eq!(blocks[2], XrBlock::Other { kind: 7, specific: 0xaa, data: &[1, 2, 3, 4] });
    for bad in ["04 00 0001 00000000", "05 00 0001 00000000", "07 00 0002 00000000", "07 00"] {
        let mut bytes = hex(&format!("80 cf 0000 00000001 {bad}"));
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes[3] = u8::try_from(bytes.len() / 4 - 1).unwrap();
        let read: Vec<_> = Compound::decode(&bytes).unwrap().packets().collect();
        assert!(read[0].is_err() || bad == "07 00", "{bad}");
    }
    let mut memory = [0; 100];
    let mut out = Writer::new(&mut memory);
    assert!(Encoder::new(&mut out).extended_report(Ssrc(1), |xr| xr.other(9, 0, &[1, 2, 3])).is_err());
    assert!(out.is_empty());
}

#[test]
fn a_datagram_may_be_of_reduced_size() {
    let pli = encode(|out| out.pli(Ssrc(1), Ssrc(2)));
    assert!(Compound::decode(&pli).unwrap().is_reduced_size());
    for whole in [
        encode(|out| out.receiver_report(Ssrc(1), [], &[]).and_then(|()| out.pli(Ssrc(1), Ssrc(2)))),
        encode(|out| out.sender_report(Ssrc(1), SenderInfo::default(), [], &[])),
    ] {
        assert!(!Compound::decode(&whole).unwrap().is_reduced_size());
    }
}

#[test]
fn a_malformed_packet_spoils_no_other() {
    let mut bytes = encode(|out| {
        out.receiver_report(Ssrc(1), [], &[])?;
        out.raw(&Raw { kind: 200, count: 5, body: &[0; 24], padding: 0 })?;
        out.raw(&Raw { kind: 250, count: 5, body: &[7; 4], padding: 0 })?;
        out.pli(Ssrc(1), Ssrc(2))
    });
    let read: Vec<_> = Compound::decode(&bytes).unwrap().packets().collect();
    assert!(matches!(read[0], Ok(Packet::ReceiverReport(_))));
    assert_eq!(read[1], Err(DecodeError::Truncated));
    assert_eq!(read[2], Ok(Packet::Other(Raw { kind: 250, count: 5, body: &[7; 4], padding: 0 })));
    assert!(matches!(read[3], Ok(Packet::Pli(_))));
    // But where it begins and ends must be known.
    let last = bytes.len() - 9;
    bytes[last] += 1;
    assert_eq!(Compound::decode(&bytes).map(|_| ()), Err(DecodeError::Truncated));
}

#[test]
fn headers_that_cannot_be_are_refused() {
    let decode = |digits: &str| Compound::decode(&hex(digits)).map(|it| it.packets().count());
    assert_eq!(decode(""), Err(DecodeError::Truncated));
    assert_eq!(decode("80 c9 00"), Err(DecodeError::Truncated));
    assert_eq!(decode("80 c9 0001"), Err(DecodeError::Truncated));
    assert_eq!(decode("40 c9 0001 00000001"), Err(DecodeError::Version));
    assert_eq!(decode("80 c9 0001 00000001 00"), Err(DecodeError::Truncated));
    assert_eq!(decode("a0 c9 0002 00000001 00000000"), Err(DecodeError::Padding));
    assert_eq!(decode("a0 c9 0002 00000001 00000009"), Err(DecodeError::Padding));
    assert_eq!(decode("a0 cb 0000"), Err(DecodeError::Padding));
    assert_eq!(decode("a0 c9 0002 00000001 00000004"), Ok(1));
    assert_eq!(decode("80 cb 0000 80 cb 0000"), Ok(2));
}

#[test]
fn a_datagram_has_as_many_packets_as_the_limit_and_not_one_more() {
    let bytes = hex("80cb0000").repeat(MAX_PACKETS);
    assert_eq!(Compound::decode(&bytes).unwrap().packets().count(), MAX_PACKETS);
    let bytes = hex("80cb0000").repeat(MAX_PACKETS + 1);
    assert_eq!(Compound::decode(&bytes).map(|_| ()), Err(DecodeError::TooManyPackets));
}

#[test]
fn counts_have_five_bits() {
    let mut memory = vec![0; 2000];
    let mut out = Writer::new(&mut memory);
    let mut datagram = Encoder::new(&mut out);
    assert_eq!(datagram.receiver_report(Ssrc(1), [BLOCK; 32], &[]), Err(NoSpace));
    assert_eq!(datagram.goodbye([Ssrc(1); 32], None), Err(NoSpace));
    assert_eq!(datagram.app(&App { subtype: 32, ssrc: Ssrc(1), name: *b"name", data: &[] }), Err(NoSpace));
    datagram.receiver_report(Ssrc(1), [BLOCK; 31], &[]).unwrap();
    datagram.goodbye([Ssrc(1); 31], None).unwrap();
    assert_eq!(datagram.goodbye([], Some(&[0; 256])), Err(NoSpace));
    assert!(as_it_was(out.written()));
}

#[test]
fn padding_goes_behind_the_last_packet() {
    // RFC 3550 §6.4.1.
    let mut memory = [0; 60];
    let mut out = Writer::new(&mut memory);
    let mut datagram = Encoder::new(&mut out);
    assert_eq!(datagram.pad(4), Err(NoSpace), "there is no packet");
    datagram.receiver_report(Ssrc(1), [], &[]).unwrap();
    datagram.pli(Ssrc(1), Ssrc(2)).unwrap();
    assert_eq!((datagram.pad(3), datagram.pad(44)), (Err(NoSpace), Err(NoSpace)));
    datagram.pad(0).unwrap();
    datagram.pad(8).unwrap();
    assert_eq!(datagram.pad(4), Err(NoSpace), "there is some already");
    assert_eq!(out.written(), hex("80 c9 0001 00000001 a1 ce 0004 00000001 00000002 00000000 00000008"));
    let raw: Vec<_> =
        Compound::decode(out.written()).unwrap().raw().map(|it| (it.kind, it.padding)).collect();
    assert_eq!(raw, [(201, 0), (206, 8)]);
}

#[test]
fn a_packet_that_does_not_fit_leaves_those_before_it() {
    let write = |room: usize| {
        let mut memory = vec![0; room];
        let mut out = Writer::new(&mut memory);
        let mut datagram = Encoder::new(&mut out);
        let _ = datagram.receiver_report(Ssrc(1), [BLOCK], &[]);
        let _ = datagram.source_description([(Ssrc(1), [SdesItem { kind: SdesKind::CNAME, text: b"name" }])]);
        let _ = datagram.remb(Ssrc(1), 1000, [Ssrc(2)]);
        let _ = datagram.congestion_control(Ssrc(1), 1, [(Ssrc(2), SequenceNumber(1), [PacketStatus::Lost])]);
        out.written().to_vec()
    };
    for room in 0..200 {
        let bytes = write(room);
        assert!(
            bytes.is_empty() || Compound::decode(&bytes).unwrap().packets().all(|it| it.is_ok()),
            "{room}"
        );
    }
    assert_eq!(Compound::decode(&write(200)).unwrap().packets().count(), 4);
}

fn block() -> impl Strategy<Value = ReportBlock> {
    (ssrc(), any::<u8>(), -(1 << 23)..1 << 23, any::<[u32; 4]>()).prop_map(
        |(ssrc, fraction_lost, cumulative_lost, [highest_sequence, jitter, last_sr, delay_since_last_sr])| {
            ReportBlock {
                ssrc,
                fraction_lost,
                cumulative_lost,
                highest_sequence,
                jitter,
                last_sr,
                delay_since_last_sr,
            }
        },
    )
}

fn status() -> impl Strategy<Value = PacketStatus> {
    let ecn = prop::sample::select(vec![None, Some(Ecn::Ect0), Some(Ecn::Ect1), Some(Ecn::Ce)]);
    prop_oneof![
        Just(PacketStatus::Lost),
        (ecn, prop::option::of(0..0x1fff_u16))
            .prop_map(|(ecn, offset)| PacketStatus::Received { ecn, offset }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn reports_come_back_as_they_were(
        from in ssrc(), ntp: u64, counts: [u32; 3], blocks in vec(block(), 0..=31), words in vec(any::<u32>(), 0..4),
    ) {
        let extension: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let info = SenderInfo { ntp: NtpTime(ntp), rtp: RtpTimestamp(counts[0]), packet_count: counts[1], octet_count: counts[2] };
        let bytes = encode(|out| {
            out.sender_report(from, info, blocks.iter().copied(), &extension)?;
            out.receiver_report(from, blocks.iter().copied(), &extension)
        });
        let packets: Vec<_> = Compound::decode(&bytes).unwrap().packets().collect::<Result<_, _>>().unwrap();
        let (Packet::SenderReport(sr), Packet::ReceiverReport(rr)) = (packets[0], packets[1]) else { panic!() };
        prop_assert_eq!((sr.ssrc, sr.info, sr.extension, rr.ssrc, rr.extension), (from, info, &extension[..], from, &extension[..]));
        prop_assert!(sr.reports().eq(blocks.iter().copied()) && rr.reports().eq(blocks.iter().copied()));
        prop_assert!(as_it_was(&bytes));
    }

    #[test]
    fn descriptions_and_goodbyes_come_back_as_they_were(
        chunks in vec((ssrc(), vec((1..=255_u8, vec(any::<u8>(), 0..=255)), 0..4)), 0..=31),
        reason in prop::option::of(vec(any::<u8>(), 0..=255)), subtype in 0..32_u8, words in vec(any::<u32>(), 0..9),
    ) {
        let data: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let items = |items: &[(u8, Vec<u8>)]| -> Vec<(SdesKind, Vec<u8>)> { items.iter().map(|(kind, text)| (SdesKind(*kind), text.clone())).collect() };
        let bytes = encode(|out| {
            out.source_description(chunks.iter().map(|(from, items)| (*from, items.iter().map(|(kind, text)| SdesItem { kind: SdesKind(*kind), text }))))?;
            out.goodbye(chunks.iter().map(|chunk| chunk.0), reason.as_deref())?;
            out.app(&App { subtype, ssrc: Ssrc(1), name: *b"test", data: &data })
        });
        let packets: Vec<_> = Compound::decode(&bytes).unwrap().packets().collect::<Result<_, _>>().unwrap();
        let (Packet::SourceDescription(sdes), Packet::Goodbye(bye)) = (packets[0], packets[1]) else { panic!() };
        let read: Vec<_> = sdes.chunks().map(|chunk| (chunk.ssrc, chunk.items().map(|item| (item.kind, item.text.to_vec())).collect::<Vec<_>>())).collect();
        let expected: Vec<_> = chunks.iter().map(|(from, all)| (*from, items(all))).collect();
        prop_assert_eq!(read, expected);
        prop_assert!(bye.sources().eq(chunks.iter().map(|chunk| chunk.0)));
        prop_assert_eq!(bye.reason, reason.as_deref());
        prop_assert_eq!(packets[2], Packet::App(App { subtype, ssrc: Ssrc(1), name: *b"test", data: &data }));
        prop_assert!(as_it_was(&bytes));
    }

    #[test]
    fn missing_packets_come_back_as_they_were(first: u16, gaps in vec(1..40_u16, 0..200)) {
        let mut lost = vec![SequenceNumber(first)];
        gaps.iter().for_each(|gap| lost.push(lost[lost.len() - 1].wrapping_add(*gap)));
        let bytes = encode(|out| out.nack(Ssrc(1), Ssrc(2), lost.iter().copied()).map(|taken| assert_eq!(taken, lost.len())));
        let Packet::Nack(it) = only(&bytes) else { panic!() };
        prop_assert!(it.lost().eq(lost.iter().copied()));
        // No two entries could have been one.
        let entries: Vec<_> = it.entries().collect();
        prop_assert!(entries.windows(2).all(|pair| pair[1].first.since(pair[0].first) > 16));
        prop_assert!(as_it_was(&bytes));
    }

    #[test]
    fn feedback_comes_back_as_it_was(
        from in ssrc(), media in ssrc(), keys in vec((ssrc(), any::<u8>()), 0..9), sources in vec(ssrc(), 0..=255),
        limits in vec((ssrc(), 0..1_u64 << 17, 0..47_u32, 0..512_u16), 0..9), mantissa in 0..1_u64 << 18, exponent in 0..46_u32,
        format in 5..15_u8, words in vec(any::<u32>(), 0..9), entries in vec((sequence(), any::<u16>()), 0..9),
    ) {
        let information: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let keys: Vec<_> = keys.into_iter().map(|(ssrc, sequence)| FirEntry { ssrc, sequence }).collect();
        let limits: Vec<_> = limits.into_iter().map(|(ssrc, mantissa, exponent, overhead)| MaxBitrate { ssrc, bitrate: mantissa << exponent, overhead }).collect();
        let entries: Vec<_> = entries.into_iter().map(|(first, following)| NackEntry { first, following }).collect();
        let raw = Feedback { class: FeedbackClass::Payload, format, sender: from, media, information: &information };
        let bytes = encode(|out| {
            out.pli(from, media)?;
            out.fir(from, keys.iter().copied())?;
            out.tmmbr(from, limits.iter().copied())?;
            out.tmmbn(from, limits.iter().copied())?;
            out.remb(from, mantissa << exponent, sources.iter().copied())?;
            out.nack_entries(from, media, entries.iter().copied())?;
            out.feedback(&raw)
        });
        let packets: Vec<_> = Compound::decode(&bytes).unwrap().packets().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(packets[0], Packet::Pli(Pli { sender: from, media }));
        let (Packet::Fir(fir), Packet::Tmmbr(tmmbr), Packet::Tmmbn(tmmbn)) = (packets[1], packets[2], packets[3]) else { panic!() };
        prop_assert!(fir.entries().eq(keys.iter().copied()));
        prop_assert!(tmmbr.entries().eq(limits.iter().copied()) && tmmbn.entries().eq(limits.iter().copied()));
        let (Packet::Remb(remb), Packet::Nack(nack)) = (packets[4], packets[5]) else { panic!() };
        prop_assert_eq!((remb.sender, remb.bitrate), (from, mantissa << exponent));
        prop_assert!(remb.sources().eq(sources.iter().copied()) && nack.entries().eq(entries.iter().copied()));
        prop_assert_eq!(packets[6], Packet::Feedback(raw));
        prop_assert!(as_it_was(&bytes));
    }

    #[test]
    fn congestion_control_feedback_comes_back_as_it_was(
        from in ssrc(), timestamp: u32, streams in vec((ssrc(), sequence(), vec(status(), 0..40)), 0..5),
    ) {
        let bytes = encode(|out| out.congestion_control(from, timestamp, streams.clone()));
        let Packet::CongestionControl(it) = only(&bytes) else { panic!() };
        prop_assert_eq!((it.sender, it.timestamp), (from, timestamp));
        let read: Vec<_> = it.streams().map(|it| (it.ssrc, it.begin, it.statuses().collect::<Vec<_>>())).collect();
        prop_assert_eq!(read, streams);
        prop_assert!(as_it_was(&bytes));
    }

    #[test]
    fn extended_reports_come_back_as_they_were(
        from in ssrc(), time: u64, delays in vec((ssrc(), any::<u32>(), any::<u32>()), 0..9), kind in 6..=255_u8, specific: u8,
        words in vec(any::<u32>(), 0..9),
    ) {
        let data: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let delays: Vec<_> = delays.into_iter().map(|(ssrc, last_rr, delay_since_last_rr)| ReceiverDelay { ssrc, last_rr, delay_since_last_rr }).collect();
        let bytes = encode(|out| out.extended_report(from, |xr| {
            xr.other(kind, specific, &data)?;
            xr.delays(delays.iter().copied())?;
            xr.reference_time(NtpTime(time))
        }));
        let Packet::ExtendedReport(it) = only(&bytes) else { panic!() };
        let blocks: Vec<_> = it.blocks().collect();
        prop_assert_eq!((it.ssrc, blocks[0], blocks[2]), (from, XrBlock::Other { kind, specific, data: &data }, XrBlock::ReferenceTime(NtpTime(time))));
        let XrBlock::Delays(read) = blocks[1] else { panic!() };
        prop_assert!(read.entries().eq(delays));
        prop_assert!(as_it_was(&bytes));
    }

    /// What reads is written as something that reads alike.
    #[test]
    fn any_bytes_are_refused_or_come_back(kind in 198..=209_u8, first in 0x80..=0xbf_u8, mut body in vec(any::<u8>(), 0..80)) {
        body.resize(body.len().next_multiple_of(4), 0);
        let bytes = [&[first, kind, 0, u8::try_from(body.len() / 4).unwrap()], &body[..]].concat();
        if let Ok(compound) = Compound::decode(&bytes) {
            for packet in compound.packets().flatten() {
                let mut memory = vec![0; 400];
                let mut out = Writer::new(&mut memory);
                Encoder::new(&mut out).packet(&packet).unwrap();
                let again = format!("{:?}", only(out.written()));
                // Numbers that are read as the nearest one are written as that, and reserved bits of FIR as zeros.
                if !matches!(packet, Packet::Fir(_) | Packet::Remb(_) | Packet::Tmmbr(_) | Packet::Tmmbn(_) | Packet::CongestionControl(_)) && bytes[0] & 0x20 == 0 {
                    prop_assert_eq!(again.len(), format!("{packet:?}").len());
                }
            }
        }
    }
}
