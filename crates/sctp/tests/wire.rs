//! The codec: what is written is read, and nothing else is taken for it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

use proptest::prelude::*;
use proto::Writer;
use sctp::wire::{
    Chunk, Data, Packet, Parameter, Parameters, ReconfigResult, begin_packet, finish_packet, put_sack,
};
use sctp::{DecodeError, Ppid, Ssn, StreamId, Tsn};

fn write(chunks: &[Chunk<'_>]) -> Vec<u8> {
    let mut memory = vec![0; 70_000];
    let mut out = Writer::new(&mut memory);
    begin_packet(&mut out, 5000, 5001, 0x0102_0304).unwrap();
    for chunk in chunks {
        chunk.encode(&mut out).unwrap();
    }
    finish_packet(&mut out, 0).unwrap();
    out.written().to_vec()
}

#[test]
fn a_data_chunk_looks_as_the_rfc_draws_it() {
    let data = Data {
        immediate: true,
        unordered: false,
        begin: true,
        end: false,
        tsn: Tsn(0x1122_3344),
        stream: StreamId(0x5566),
        ssn: Ssn(0x7788),
        ppid: Ppid(53),
        payload: b"abc",
    };
    let bytes = write(&[Chunk::Data(data)]);
    assert_eq!(bytes[..8], [0x13, 0x88, 0x13, 0x89, 1, 2, 3, 4]);
    let expected = b"\x00\x0a\x00\x13\x11\x22\x33\x44\x55\x66\x77\x88\x00\x00\x00\x35abc\x00";
    assert_eq!(bytes[12..], expected[..]);
    // RFC 9260 appendix A: CRC-32c, least significant byte first, over the packet with a sum of zero.
    let mut zeroed = bytes.clone();
    zeroed[8..12].fill(0);
    let mut sum = u32::MAX;
    for byte in &zeroed {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg());
        }
    }
    assert_eq!(bytes[8..12], (!sum).to_le_bytes());
}

#[test]
fn every_declared_length_is_checked_for_every_type() {
    for kind in 0..=255u8 {
        for len in 0..40u16 {
            for have in 0..40usize {
                let mut bytes = vec![0; 12];
                bytes.extend([kind, 0]);
                bytes.extend(len.to_be_bytes());
                bytes.resize(16 + have, 0);
                let result = Packet::decode(&bytes);
                let padded = usize::from(len).next_multiple_of(4);
                if len < 4 || padded > 4 + have {
                    assert!(result.is_err(), "{kind} {len} {have}");
                }
                if let Ok(packet) = result {
                    assert!(packet.chunks().count() >= 1);
                }
            }
        }
    }
    assert!(matches!(Packet::decode(&[0; 12]), Err(DecodeError::NoChunks)));
}

#[test]
fn a_sack_keeps_to_its_room() {
    let gaps = || (1..50u16).map(|i| (i * 3, i * 3 + 1));
    for room in 0..230 {
        let mut memory = vec![0; room];
        let mut out = Writer::new(&mut memory);
        let result = put_sack(&mut out, Tsn(9), 77, gaps(), &[Tsn(1), Tsn(2)]);
        assert_eq!(result.is_ok(), room >= 16);
        assert!(result.is_ok() || out.is_empty());
        if let Ok(()) = result {
            // Runs first, then duplicates, to the last word that there is room for.
            let words = (room - 16) / 4;
            let (runs, duplicates) = (words.min(49), words.saturating_sub(49).min(2));
            let written = out.written();
            assert_eq!(written.len(), 16 + (runs + duplicates) * 4, "{room}");
            assert_eq!(written[12..16], [0, runs as u8, 0, duplicates as u8], "{room}");
        }
    }
}

/// RFC 6525 §4: types and codes mean what the RFC says they do, in both directions.
#[test]
fn parameters_of_a_reconfiguration_are_those_of_the_rfc() {
    let word = |number: u32| number.to_be_bytes();
    let reset = [word(1), word(2), word(3), [0, 4, 0, 5]].concat();
    let (count, streams) = ([word(1), [0, 9, 0, 0]].concat(), [StreamId(4), StreamId(5)]);
    let cases: [(u16, &[u8], Parameter<'_>, &[StreamId]); 6] = [
        (
            13,
            &reset,
            Parameter::OutgoingReset { request: 1, response: 2, last: Tsn(3), streams: &[0, 4, 0, 5] },
            &streams,
        ),
        (14, &reset[8..], Parameter::IncomingReset { request: 3, streams: &[0, 4, 0, 5] }, &streams),
        (15, &reset[..4], Parameter::AssociationReset { request: 1 }, &[]),
        (17, &count, Parameter::AddStreams { request: 1, count: 9, incoming: false }, &[]),
        (18, &count, Parameter::AddStreams { request: 1, count: 9, incoming: true }, &[]),
        (99, b"abcd", Parameter::Unknown { kind: 99, value: b"abcd" }, &[]),
    ];
    let check = |kind: u16, value: &[u8], expected: Parameter<'_>| {
        let bytes = [&kind.to_be_bytes()[..], &[0, value.len() as u8 + 4], value].concat();
        let parameters = Parameters::decode(&bytes).unwrap();
        assert!(parameters.iter().eq([expected]), "{kind}");
        let mut memory = [0; 100];
        let mut out = Writer::new(&mut memory);
        expected.encode(&mut out).unwrap();
        assert_eq!((out.written(), expected.kind()), (&bytes[..], kind));
    };
    for (kind, value, expected, streams) in cases {
        check(kind, value, expected);
        assert!(expected.streams().eq(streams.iter().copied()), "{kind}");
    }
    for (code, result) in [
        (0, ReconfigResult::NothingToDo),
        (1, ReconfigResult::Performed),
        (2, ReconfigResult::Denied),
        (3, ReconfigResult::Other(3)),
        (4, ReconfigResult::Busy),
        (5, ReconfigResult::BadNumber),
        (6, ReconfigResult::InProgress),
        (7, ReconfigResult::Other(7)),
    ] {
        check(16, &[word(8), word(code)].concat(), Parameter::ReconfigResponse { request: 8, result });
    }
}

proptest! {
    #[test]
    fn what_decodes_encodes_to_what_decodes_alike(kind: u8, flags: u8, value in proptest::collection::vec(any::<u8>(), 0..100)) {
        let bytes = write(&[Chunk::Unknown { kind: 0xfe, flags, value: &value }]);
        let mut bytes = bytes;
        bytes[12] = kind;
        if let Ok(packet) = Packet::decode(&bytes) {
            let chunks: Vec<Chunk<'_>> = packet.chunks().collect();
            let again = write(&chunks);
            let packet = Packet::decode(&again).unwrap();
            prop_assert!(packet.checksum_is_right());
            prop_assert!(packet.chunks().eq(chunks));
        }
    }

    #[test]
    fn random_bytes_and_prefixes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for cut in 0..=bytes.len() {
            if let Ok(packet) = Packet::decode(&bytes[..cut]) {
                packet.chunks().for_each(drop);
            }
        }
    }
}
