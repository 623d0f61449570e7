//! Datagrams in a byte stream (RFC 4571): whatever the pieces, what comes out is what a reader of the whole stream
//! finds, up to the first that is too long.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use session::{Deframer, frame_header};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    limit: u16,
    pieces: Vec<u8>,
    stream: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let limit = usize::from(input.limit);
    let mut wanted = Vec::new();
    let mut rest = input.stream;
    let mut is_broken = false;
    while let [high, low, body @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        is_broken = len > limit;
        if is_broken || body.len() < len {
            break;
        }
        wanted.extend((len > 0).then(|| &body[..len]));
        rest = &body[len..];
    }

    let mut deframer = Deframer::new(limit);
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut sizes = input.pieces.iter().map(|size| usize::from(*size)).chain(std::iter::repeat(usize::MAX));
    let mut stream = input.stream;
    let mut is_refused = false;
    'stream: while !stream.is_empty() {
        let (mut piece, rest) = stream.split_at(sizes.next().unwrap_or(1).clamp(1, stream.len()));
        stream = rest;
        loop {
            match deframer.next_frame(&mut piece) {
                Ok(Some(frame)) => found.push(frame.to_vec()),
                Ok(None) => break,
                Err(_) => {
                    is_refused = true;
                    break 'stream;
                }
            }
        }
        assert!(piece.is_empty(), "all that came was taken");
    }
    assert_eq!(found, wanted);
    assert_eq!(is_refused, is_broken);
    // And back.
    for frame in &found {
        let mut again = frame_header(frame.len()).expect("it came in one").to_vec();
        again.extend_from_slice(frame);
        let mut rest = &again[..];
        assert_eq!(Deframer::new(limit).next_frame(&mut rest), Ok(Some(&mut frame.clone()[..])));
    }
});
