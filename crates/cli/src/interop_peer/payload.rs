//! The protocol's test payload.

use bytes::Bytes;
use peerline::Message;

/// What kind of message is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Text,
    Binary,
}

/// The bytes that messages are cut from: 65,536 of them, by a xorshift generator.
pub(crate) fn pattern(seed: u32, kind: Kind) -> Vec<u8> {
    let mut state = seed.max(1);
    let mut bytes = Vec::with_capacity(LEN);
    while bytes.len() < LEN {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    if kind == Kind::Text {
        bytes.iter_mut().for_each(|byte| *byte = 0x20 + *byte % 95);
    }
    bytes
}

/// Message number `number` of `size` bytes.
pub(crate) fn message(pattern: &[u8], kind: Kind, number: usize, size: usize) -> Message {
    let start = number.wrapping_mul(STEP) % LEN;
    let bytes: Vec<u8> = pattern.iter().copied().cycle().skip(start).take(size).collect();
    match kind {
        // The pattern of texts is ASCII.
        Kind::Text => Message::Text(String::from_utf8_lossy(&bytes).into_owned()),
        Kind::Binary => Message::Binary(Bytes::from(bytes)),
    }
}

const LEN: usize = 65_536;
const STEP: usize = 997;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Tally;

    #[test]
    fn payload_and_digests_are_those_of_the_protocol() {
        let bytes = pattern(1, Kind::Binary);
        assert_eq!(bytes[..8], [0x21, 0x20, 0x04, 0x00, 0x01, 0x06, 0x08, 0x04]);
        let text = pattern(1, Kind::Text);
        let mut tally = Tally::default();
        for number in 0..2 {
            let message = message(&text, Kind::Text, number, 5);
            assert_eq!(message.as_bytes(), [b"A@$ !", b"\"44^I"][number]);
            tally.add(&message);
        }
        let report = tally.report();
        assert_eq!(report["chain"], "22739910d6b71798786d3c0601e9fca31ef2df2ad76802af63979271c1307c8f");
        assert_eq!(report["set"], "9a6f81ad731649449c55353e6ed7844226fa3c7634b98682d8b66df6676a1251");
    }
}
