//! TURN's framing of streams (RFC 8656 §12.5, RFC 8489 §6.2.2): in whatever pieces the bytes come, the messages are
//! the same, each is as long as it says, and what cannot be read on is found at the same place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use turn::wire::{ChannelData, FrameError, frame_len};

fuzz_target!(|input: (u16, Vec<u8>, Vec<u8>)| {
    let (limit, pieces, bytes) = input;
    let limit = usize::from(limit);
    let whole = split(&bytes, limit, &[bytes.len()]);
    let lengths: Vec<usize> = pieces.iter().map(|piece| usize::from(*piece)).collect();
    assert_eq!(split(&bytes, limit, &lengths), whole);
    assert_eq!(split(&bytes, limit, &[1]), whole);
    for frame in &whole.0 {
        assert!(frame.len() <= limit && frame.len().is_multiple_of(4));
        match frame.first() {
            Some(0x40..=0x4f) => {
                let data = ChannelData::decode(frame).expect("a frame of its length");
                assert_eq!((data.payload.len() + 4).next_multiple_of(4), frame.len());
            }
            _ => {
                // STUN or not: whoever decodes it says so.
                let _ = stun::wire::Message::decode(frame);
            }
        }
    }
});

/// The messages of a stream that comes in pieces of these lengths, over and over, and why it ends.
fn split(bytes: &[u8], limit: usize, lengths: &[usize]) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let (mut frames, mut kept, mut rest) = (Vec::new(), Vec::new(), bytes);
    let mut lengths =
        lengths.iter().copied().filter(|length| *length > 0).collect::<Vec<_>>().into_iter().cycle();
    while !rest.is_empty() {
        let length = lengths.next().unwrap_or(rest.len()).min(rest.len());
        let (piece, after) = rest.split_at(length);
        kept.extend_from_slice(piece);
        rest = after;
        loop {
            match frame_len(&kept, limit) {
                Ok(Some(len)) if len <= kept.len() => {
                    let after = kept.split_off(len);
                    frames.push(std::mem::replace(&mut kept, after));
                }
                Ok(_) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}
