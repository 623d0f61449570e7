//! The codec: what is written is read, and nothing else is taken for it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use proptest::prelude::*;
use proto::Writer;
use sctp::wire::{Chunk, Data, Packet, begin_packet, finish_packet, put_sack};
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
    for room in 0..200 {
        let mut memory = vec![0; room];
        let mut out = Writer::new(&mut memory);
        let result = put_sack(&mut out, Tsn(9), 77, gaps(), &[Tsn(1), Tsn(2)]);
        assert_eq!(result.is_ok(), room >= 16);
        assert!(result.is_ok() || out.is_empty());
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
