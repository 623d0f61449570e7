//! Packets of repair of each format.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use proptest::prelude::*;
use proto::Writer;
use rtp::fec::{FecError, Format, Repair, protect};
use rtp::{DecodeError, Encoder, Header, PayloadType, RtpTimestamp, SequenceNumber, Ssrc};
use support::{Parts, hex, parts, plain, written};

const FORMATS: [Format; 3] = [Format::Ulp, Format::Flex03, Format::Flex];
const STREAM: Ssrc = Ssrc(0x1122_3344);

fn repair_of(format: Format, packets: &[Vec<u8>]) -> Result<Vec<u8>, FecError> {
    let mut memory = vec![0; 4000];
    let mut out = Writer::new(&mut memory);
    let len = protect(format, packets.iter().map(Vec::as_slice), &mut out)?;
    assert_eq!(len, out.len());
    Ok(out.written().to_vec())
}

/// A packet of this number.
fn numbered(number: u16, payload: &[u8]) -> Vec<u8> {
    let mut parts = plain(payload);
    parts.header.sequence_number = SequenceNumber(number);
    parts.encode()
}

fn recover(format: Format, repair: &[u8], missing: u16, others: &[Vec<u8>]) -> Result<Vec<u8>, FecError> {
    let mut memory = vec![0; 4000];
    let mut out = Writer::new(&mut memory);
    let repair = Repair::decode(format, repair)?;
    let done = repair.recover(STREAM, SequenceNumber(missing), others.iter().map(Vec::as_slice), &mut out);
    assert_eq!(done.unwrap_or(0), out.len());
    done.map(|_| out.written().to_vec())
}

#[test]
fn the_example_of_rfc_5109_comes_out_as_it_says() {
    // §10.1: four packets, of 200, 140, 100 and 340 bytes behind their headers.
    let packets: Vec<Vec<u8>> =
        [(8, 11, false, 3, 200), (9, 18, true, 5, 140), (10, 11, true, 7, 100), (11, 18, false, 9, 340)]
            .map(|(number, payload_type, marker, timestamp, len)| {
                let header = Header {
                    marker,
                    payload_type: PayloadType::new(payload_type).unwrap(),
                    sequence_number: SequenceNumber(number),
                    timestamp: RtpTimestamp(timestamp),
                    ssrc: Ssrc(2),
                };
                written(|out| _ = Encoder::new(out, header, &[]).unwrap().finish(&vec![7; len], 0).unwrap())
            })
            .to_vec();
    let repair = repair_of(Format::Ulp, &packets).unwrap();
    // Nothing in the flags, base 8, time 8, length 372; 340 bytes at one level, the first four packets.
    assert_eq!(repair[..14], hex("00 00 0008 00000008 0174 0154 f000"));
    assert_eq!(repair.len(), 14 + 340);
    let numbers: Vec<u16> =
        Repair::decode(Format::Ulp, &repair).unwrap().protected().mask.numbers().map(|it| it.0).collect();
    assert_eq!(numbers, [8, 9, 10, 11]);
}

#[test]
fn masks_are_as_long_as_they_must_be() {
    // The last packet that each size can tell of, and the bytes of base and mask.
    for (format, at, last, mask) in [
        (Format::Ulp, 12, 15, "8001"),
        (Format::Ulp, 12, 16, "8000 80000000"),
        (Format::Ulp, 12, 47, "8000 00000001"),
        // The draft: 1 says that a part is the last one.
        (Format::Flex03, 18, 14, "c001"),
        (Format::Flex03, 18, 15, "4000 c0000000"),
        (Format::Flex03, 18, 45, "4000 80000001"),
        (Format::Flex03, 18, 46, "4000 00000000 c000000000000000"),
        (Format::Flex03, 18, 108, "4000 00000000 8000000000000001"),
        // RFC 8627: 1 says that another part follows, and the third has 64 bits.
        (Format::Flex, 10, 14, "4001"),
        (Format::Flex, 10, 15, "c000 40000000"),
        (Format::Flex, 10, 45, "c000 00000001"),
        (Format::Flex, 10, 46, "c000 80000000 8000000000000000"),
        (Format::Flex, 10, 109, "c000 80000000 0000000000000001"),
    ] {
        let packets = [numbered(65_530, b"one"), numbered(65_530_u16.wrapping_add(last), b"two")];
        let repair = repair_of(format, &packets).unwrap();
        let mask = hex(mask);
        assert_eq!(repair[at..at + mask.len()], mask, "{format:?} {last}");
        let base = [&repair[at - 2..at], &repair[2..4]][usize::from(format == Format::Ulp)];
        assert_eq!(base, 65_530_u16.to_be_bytes());
        let protected = Repair::decode(format, &repair).unwrap().protected();
        assert_eq!(protected.ssrc, (format == Format::Flex03).then_some(STREAM));
        let numbers: Vec<u16> = protected.mask.numbers().map(|it| it.0).collect();
        assert_eq!(numbers, [65_530, 65_530_u16.wrapping_add(last)]);
        assert_eq!((protected.mask.base(), protected.mask.count()), (SequenceNumber(65_530), 2));
        assert!(
            !protected.mask.contains(SequenceNumber(65_531))
                && !protected.mask.contains(SequenceNumber(65_529))
        );
    }
}

#[test]
fn packets_are_as_far_apart_as_the_limit_and_not_one_further() {
    for format in FORMATS {
        let ends = |last| repair_of(format, &[numbered(5, b"one"), numbered(5 + last, b"two")]);
        assert!(ends(format.max_span() - 1).is_ok());
        assert_eq!(ends(format.max_span()), Err(FecError::Span));
        // And as many as that.
        let all: Vec<_> = (0..format.max_span()).map(|at| numbered(at, &at.to_be_bytes())).collect();
        let repair = repair_of(format, &all).unwrap();
        let others: Vec<_> = all.iter().enumerate().filter(|it| it.0 != 30).map(|it| it.1.clone()).collect();
        assert_eq!(recover(format, &repair, 30, &others), Ok(all[30].clone()));
    }
}

#[test]
fn fixed_blocks_are_rows_or_columns() {
    // RFC 8627 §4.2.2.2.
    let numbers = |columns: u8, rows: u8| -> Result<Vec<u16>, DecodeError> {
        let mut repair = hex("40 00 0000 00000000 fffe 0000");
        repair[10..12].copy_from_slice(&[columns, rows]);
        Ok(Repair::decode(Format::Flex, &repair)?.protected().mask.numbers().map(|it| it.0).collect())
    };
    assert_eq!(numbers(4, 0), Ok(vec![65_534, 65_535, 0, 1]));
    assert_eq!(numbers(4, 1), numbers(4, 0));
    assert_eq!(numbers(4, 3), Ok(vec![65_534, 2, 6]));
    assert_eq!(numbers(0, 3), Err(DecodeError::Value));
    assert_eq!(numbers(255, 255).map(|all| all.len()), Ok(255));
    // A column of two, by hand from packets of the same length.
    let packets = [numbered(10, b"first"), numbered(14, b"other")];
    let mut repair = repair_of(Format::Flex, &packets).unwrap();
    repair[0] |= 0x40;
    repair[10..12].copy_from_slice(&[4, 2]);
    assert_eq!(recover(Format::Flex, &repair, 14, &packets[..1]), Ok(packets[1].clone()));
    let mask = Repair::decode(Format::Flex, &repair).unwrap().protected().mask;
    let inside: Vec<u16> = (0..30).filter(|at| mask.contains(SequenceNumber(*at))).collect();
    assert_eq!((inside, mask.count()), (vec![10, 14], 2));
}

#[test]
fn what_cannot_be_protected_is_refused() {
    for format in FORMATS {
        assert_eq!(repair_of(format, &[]), Err(FecError::Nothing));
        assert_eq!(repair_of(format, &[numbered(2, b""), numbered(1, b"")]), Err(FecError::Order));
        assert_eq!(repair_of(format, &[numbered(2, b""), numbered(2, b"")]), Err(FecError::Order));
        let mut other = numbered(3, b"");
        other[8] ^= 1;
        assert_eq!(repair_of(format, &[numbered(2, b""), other]), Err(FecError::Order));
        assert_eq!(repair_of(format, &[vec![0; 20]]), Err(FecError::Malformed(DecodeError::Version)));
        let packets = [numbered(2, b"payload"), numbered(3, b"longer payload")];
        let len = repair_of(format, &packets).unwrap().len();
        for room in 0..len {
            let mut memory = vec![0; room];
            let mut out = Writer::new(&mut memory);
            assert_eq!(protect(format, packets.iter().map(Vec::as_slice), &mut out), Err(FecError::NoRoom));
            assert!(out.is_empty());
        }
    }
}

#[test]
fn what_cannot_be_recovered_is_refused() {
    for format in FORMATS {
        let packets: Vec<_> = [(1, "one"), (2, "longer"), (4, "")]
            .iter()
            .map(|(at, it)| numbered(*at, it.as_bytes()))
            .collect();
        let repair = repair_of(format, &packets).unwrap();
        let [one, two, four] = [0, 1, 2].map(|at| packets[at].clone());
        assert_eq!(recover(format, &repair, 2, &[one.clone(), four.clone()]), Ok(two.clone()));
        assert_eq!(
            recover(format, &repair, 2, &[four.clone(), one.clone()]),
            Ok(two.clone()),
            "in any order"
        );
        assert_eq!(
            recover(format, &repair, 3, &[one.clone(), two.clone(), four.clone()]),
            Err(FecError::NotProtected)
        );
        for others in [
            vec![one.clone()],
            vec![one.clone(), one.clone()],
            vec![one.clone(), two.clone()],
            vec![one.clone(), numbered(3, b"")],
            vec![one.clone(), four.clone(), four.clone()],
        ] {
            assert_eq!(recover(format, &repair, 2, &others), Err(FecError::Incomplete));
        }
        let mut stranger = four.clone();
        stranger[8] ^= 1;
        assert_eq!(recover(format, &repair, 2, &[one.clone(), stranger]), Err(FecError::Incomplete));
        assert_eq!(
            recover(format, &repair, 2, &[one.clone(), numbered(4, &[0; 90])]),
            Err(FecError::Inconsistent)
        );
        // A length that the repair does not have.
        let mut longer = repair.clone();
        longer[if format == Format::Ulp { 8 } else { 2 }] ^= 1;
        assert_eq!(recover(format, &longer, 2, &[one.clone(), four.clone()]), Err(FecError::Inconsistent));
        let read = Repair::decode(format, &repair).unwrap();
        let mut memory = [0; 100];
        let other =
            read.recover(Ssrc(9), SequenceNumber(2), [&one[..], &four[..]], &mut Writer::new(&mut memory));
        assert!(matches!(other, Err(FecError::NotProtected | FecError::Incomplete)));
        for room in 0..two.len() {
            let mut out = Writer::new(&mut memory[..room]);
            let done = read.recover(STREAM, SequenceNumber(2), [&one[..], &four[..]], &mut out);
            assert_eq!((done, out.len()), (Err(FecError::NoRoom), 0));
        }
    }
}

#[test]
fn headers_that_are_not_read_are_refused() {
    let refused = |format, digits: &str| Repair::decode(format, &hex(digits)).map(|_| ());
    let value = Err(DecodeError::Value);
    assert_eq!(
        refused(Format::Ulp, "80 00 0000 00000000 0000 0000 8000"),
        value,
        "an extension of the header"
    );
    assert_eq!(refused(Format::Ulp, "00 00 0000 00000000 0000 0000 0000"), value, "nothing is protected");
    assert_eq!(refused(Format::Ulp, "00 00 0000 00000000 0000 0001 8000"), Err(DecodeError::Truncated));
    assert_eq!(refused(Format::Flex, "80 00 0000 00000000 0000 4000"), value, "a retransmission");
    assert_eq!(refused(Format::Flex, "00 00 0000 00000000 0000 c000"), Err(DecodeError::Truncated));
    assert_eq!(
        refused(Format::Flex03, "40 00 0000 00000000 01000000 00000001 0000 c000"),
        value,
        "a fixed block"
    );
    assert_eq!(
        refused(Format::Flex03, "00 00 0000 00000000 02000000 00000001 0000 c000"),
        value,
        "two streams"
    );
    let third = "00 00 0000 00000000 01000000 00000001 0000 4000 00000000 0000000000000000";
    assert_eq!(refused(Format::Flex03, third), value, "a fourth part of the mask");
    for format in FORMATS {
        let repair = repair_of(format, &[numbered(1, b"")]).unwrap();
        for len in 0..repair.len() {
            assert_eq!(
                Repair::decode(format, &repair[..len]),
                Err(DecodeError::Truncated),
                "{format:?} {len}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_one_of_the_packets_is_recovered(
        mut packets in prop::collection::vec((parts(), 1..6_u16), 1..12), first: u16, pick in any::<prop::sample::Index>(),
    ) {
        let mut number = SequenceNumber(first);
        for (packet, gap) in &mut packets {
            packet.header.ssrc = STREAM;
            packet.header.sequence_number = number;
            number = number.wrapping_add(*gap);
        }
        let packets: Vec<Vec<u8>> = packets.iter().map(|it| Parts::encode(&it.0)).collect();
        let at = pick.index(packets.len());
        let others: Vec<_> = packets.iter().enumerate().filter(|it| it.0 != at).map(|it| it.1.clone()).collect();
        let missing = u16::from_be_bytes([packets[at][2], packets[at][3]]);
        for format in FORMATS {
            match repair_of(format, &packets) {
                Ok(repair) => prop_assert_eq!(recover(format, &repair, missing, &others), Ok(packets[at].clone())),
                Err(error) => prop_assert_eq!((error, format), (FecError::Span, Format::Ulp)),
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_protect_something(bytes in prop::collection::vec(any::<u8>(), 0..60), number: u16) {
        for format in FORMATS {
            if let Ok(repair) = Repair::decode(format, &bytes) {
                let mask = repair.protected().mask;
                prop_assert!((1..=255).contains(&mask.count()) && mask.numbers().count() == mask.count());
                prop_assert!(mask.numbers().all(|it| mask.contains(it)));
                let mut memory = [0; 100];
                let mut out = Writer::new(&mut memory);
                let done = repair.recover(STREAM, SequenceNumber(number), [], &mut out);
                prop_assert!(done.is_ok() || out.is_empty());
            }
        }
    }
}
