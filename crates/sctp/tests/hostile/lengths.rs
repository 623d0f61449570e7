//! C1: lengths that lie.

use crate::common::victim::{Victim, kinds, raw};
use sctp::wire::{Causes, Packet, Parameters};
use sctp::{Config, DecodeError, Discard};

/// A type-length-value with this length and so many bytes of `fill` behind its head.
fn chunk(kind: u8, len: u16, have: usize, fill: u8) -> Vec<u8> {
    let [a, b] = len.to_be_bytes();
    let mut bytes = vec![kind, fill, a, b];
    bytes.resize(4 + have, fill);
    bytes
}

fn parameter(kind: u16, len: u16, have: usize, fill: u8) -> Vec<u8> {
    let mut bytes = [kind.to_be_bytes(), len.to_be_bytes()].concat();
    bytes.resize(4 + have, fill);
    bytes
}

/// Lengths that are tried: all small ones, and those around the largest.
fn lengths() -> impl Iterator<Item = u16> + Clone {
    (0..=48).chain([255, 256, 1500, 0x7fff, 0xfffc, 0xfffd, 0xfffe, 0xffff])
}

#[test]
fn c1_every_length_of_every_chunk_type_is_refused_or_ends_where_it_says() {
    for kind in 0..=255u8 {
        for len in lengths() {
            for have in 0..=48usize {
                for fill in [0, 0xff] {
                    let bytes = raw(1, &chunk(kind, len, have, fill));
                    let decoded = Packet::decode(&bytes);
                    let padded = usize::from(len).next_multiple_of(4);
                    let context = format!("type {kind}, length {len} of {}, {fill:x}", 4 + have);
                    if len < 4 {
                        assert_eq!(decoded.unwrap_err(), DecodeError::ChunkLength(kind), "{context}");
                    } else if padded > 4 + have {
                        assert_eq!(decoded.unwrap_err(), DecodeError::Truncated, "{context}");
                    } else if let Ok(packet) = decoded {
                        // What follows begins at the padded end of the first: no chunk is skipped or read twice.
                        let count = packet.chunks().count();
                        assert!(count >= 1 && count <= 1 + (4 + have - padded) / 4, "{context}: {count}");
                        assert_eq!(packet.chunks().next().unwrap().kind(), kind, "{context}");
                    }
                }
            }
        }
    }
}

#[test]
fn c1_every_length_of_every_parameter_and_cause_is_refused_or_ends_where_it_says() {
    let step = 65_536 / testkit::scaled_at_least(65_536, 2_048);
    let kinds = (0..65_536u64).filter(|kind| kind % step == 0 || kind & 0x3fff < 0x20);
    for kind in kinds.map(|kind| kind as u16) {
        for len in lengths().filter(|len| *len < 32 || *len > 0xfff0) {
            for have in [0, 1, 3, 4, 7, 8, 12, 15, 16, 27, 28] {
                let bytes = parameter(kind, len, have, 0);
                let fits = len >= 4 && usize::from(len) <= 4 + have;
                // The padding of the last may lie outside of the chunk's length (RFC 9260 §3.2).
                let padded = usize::from(len).next_multiple_of(4).min(4 + have);
                let whole = fits && (padded.is_multiple_of(4) || padded == usize::from(len));
                let context = format!("type {kind:x}, length {len} of {}", 4 + have);
                for (cause, count) in [
                    (false, Parameters::decode(&bytes).map(|them| them.iter().count())),
                    (true, Causes::decode(&bytes).map(|them| them.iter().count())),
                ] {
                    let Ok(count) = count else { continue };
                    assert!(whole, "{context}, a cause: {cause}");
                    assert!(count >= 1 && count <= 1 + (4 + have - padded) / 4, "{context}: {count}");
                }
                // A cause has no fields that it could lack: its boundaries alone decide.
                let rest = bytes.get(padded..).unwrap_or_default();
                assert!(!whole || !rest.is_empty() || Causes::decode(&bytes).is_ok(), "{context}");
            }
        }
    }
}

/// The same at an association that stands: what is refused is refused whole, and nothing breaks.
#[test]
fn c1_a_standing_association_drops_every_chunk_that_lies_about_its_length() {
    let mut victim = Victim::new(Config::default());
    let tag = victim.tag;
    for kind in 0..=255u8 {
        for len in lengths() {
            let bytes = raw(tag, &chunk(kind, len, 20, 0));
            if usize::from(len).next_multiple_of(4) <= 24 && len >= 4 {
                continue;
            }
            let taken = victim.give_bytes(&bytes);
            assert!(matches!(taken, Err(Discard::Malformed(_))), "type {kind}, length {len}: {taken:?}");
        }
    }
    assert!(victim.end.is_connected() && victim.events.is_empty());
    assert_eq!(kinds(&victim.sent()), [0u8; 0]);
}

/// CVE-2019-20503: the last parameter of an INIT is cut short, for every parameter type that is known anywhere.
#[test]
fn c1_an_init_whose_last_parameter_is_partial_is_dropped() {
    for kind in (0..32u16).chain(0x7ff0..0x8010).chain(0xbff0..0xc010).chain([0xffff]) {
        for len in (0..4).chain(9..64) {
            let mut init = vec![1, 0, 0, 28, 0, 0, 0, 7, 0, 16, 0, 0, 255, 255, 255, 255, 0, 0, 0, 1];
            init.extend(parameter(kind, len, 4, 1));
            let mut victim = Victim::listening(Config::default());
            let taken = victim.give_bytes(&raw(0, &init));
            assert!(matches!(taken, Err(Discard::Malformed(_))), "parameter {kind:x}, {len}: {taken:?}");
            assert_eq!(kinds(&victim.sent()), [0u8; 0]);
        }
    }
}
