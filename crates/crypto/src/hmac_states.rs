//! HMAC (RFC 2104) by SHA-1 and SHA-256, over the libraries' compression functions.
//!
//! A connectivity check, a nonce or a cookie is two or three blocks long, of which the `hmac` crate's buffer costs
//! nearly as much as hashing does where the processor hashes: a key here is the two states behind its padded blocks
//! and nothing else, and whole blocks are hashed where they lie.

use std::fmt;
use std::marker::PhantomData;
use std::slice;

use zeroize::Zeroizing;

use crate::{Digest, Hmac};

/// A hash function of blocks of 64 bytes and of big-endian words of 32 bits (FIPS 180-4).
pub(crate) trait BlockHash<const WORDS: usize>: Send + Sync + 'static {
    /// The state before the first block (§5.3).
    const START: [u32; WORDS];
    /// Hashes `blocks` into `state` (§6.1.2, §6.2.2).
    fn compress(state: &mut [u32; WORDS], blocks: &[[u8; BLOCK_LEN]]);
}

/// SHA-1.
pub(crate) enum Sha1 {}

impl BlockHash<5> for Sha1 {
    const START: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

    #[inline]
    fn compress(state: &mut [u32; 5], blocks: &[[u8; BLOCK_LEN]]) {
        sha1::block_api::compress(state, blocks);
    }
}

/// SHA-256.
pub(crate) enum Sha256 {}

impl BlockHash<8> for Sha256 {
    const START: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];

    #[inline]
    fn compress(state: &mut [u32; 8], blocks: &[[u8; BLOCK_LEN]]) {
        sha2::block_api::compress256(state, blocks);
    }
}

/// An HMAC key: the states behind the key's inner and outer block.
pub(crate) struct HmacStates<H, const WORDS: usize> {
    inner: Zeroizing<[u32; WORDS]>,
    outer: Zeroizing<[u32; WORDS]>,
    hash: PhantomData<H>,
}

impl<H: BlockHash<WORDS>, const WORDS: usize> HmacStates<H, WORDS> {
    /// RFC 2104 §2: a key longer than a block is hashed first.
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut block = Zeroizing::new([0; BLOCK_LEN]);
        match block.get_mut(..key.len()) {
            Some(room) => room.copy_from_slice(key),
            None => put_words(&mut block, &*Zeroizing::new(finish::<H, WORDS>(H::START, 0, &[key]))),
        }
        let padded = |pad: u8| {
            let block = Zeroizing::new(block.map(|byte| byte ^ pad));
            let mut state = Zeroizing::new(H::START);
            H::compress(&mut state, slice::from_ref(&*block));
            state
        };
        Self { inner: padded(0x36), outer: padded(0x5c), hash: PhantomData }
    }
}

impl<H: BlockHash<WORDS>, const WORDS: usize> Hmac for HmacStates<H, WORDS> {
    fn sign(&self, parts: &[&[u8]]) -> Digest {
        let inner = finish::<H, WORDS>(*self.inner, BLOCK_LEN, parts);
        let mut block = [0; BLOCK_LEN];
        put_words(&mut block, &inner);
        let mut outer = *self.outer;
        pad(&mut block, 4 * WORDS);
        put_bit_len(&mut block, BLOCK_LEN + 4 * WORDS);
        H::compress(&mut outer, slice::from_ref(&block));
        put_words(&mut block, &outer);
        Digest::new(block.get(..4 * WORDS).unwrap_or_default())
    }
}

impl<H, const WORDS: usize> fmt::Debug for HmacStates<H, WORDS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacStates([redacted])")
    }
}

/// Hashes `parts` and the padding behind them (FIPS 180-4 §5.1.1) into `state`, into which `before` bytes, whole
/// blocks, went already.
fn finish<H: BlockHash<WORDS>, const WORDS: usize>(
    mut state: [u32; WORDS],
    before: usize,
    parts: &[&[u8]],
) -> [u32; WORDS] {
    let (mut block, mut filled, mut total) = ([0; BLOCK_LEN], 0, before);
    for part in parts {
        total = total.wrapping_add(part.len());
        let mut rest = *part;
        if filled > 0 {
            let room = block.get_mut(filled..).unwrap_or_default();
            let (head, behind) = rest.split_at(rest.len().min(room.len()));
            room.iter_mut().zip(head).for_each(|(to, from)| *to = *from);
            filled += head.len();
            rest = behind;
            if filled < BLOCK_LEN {
                continue;
            }
            H::compress(&mut state, slice::from_ref(&block));
        }
        let (blocks, tail) = rest.as_chunks();
        if !blocks.is_empty() {
            H::compress(&mut state, blocks);
        }
        filled = tail.len();
        block.get_mut(..filled).unwrap_or_default().copy_from_slice(tail);
    }
    pad(&mut block, filled);
    if filled >= BIT_LEN_AT {
        H::compress(&mut state, slice::from_ref(&block));
        block = [0; BLOCK_LEN];
    }
    put_bit_len(&mut block, total);
    H::compress(&mut state, slice::from_ref(&block));
    state
}

/// A one bit behind the first `filled` bytes, and zeros.
fn pad(block: &mut [u8; BLOCK_LEN], filled: usize) {
    if let Some((first, rest)) = block.get_mut(filled..).unwrap_or_default().split_first_mut() {
        *first = 0x80;
        rest.fill(0);
    }
}

/// The number of bits of all that is hashed, at the end of the last block.
fn put_bit_len(block: &mut [u8; BLOCK_LEN], bytes: usize) {
    if let Some((_, end)) = block.split_last_chunk_mut() {
        *end = (bytes as u64).wrapping_mul(8).to_be_bytes();
    }
}

fn put_words(block: &mut [u8; BLOCK_LEN], words: &[u32]) {
    let (places, _) = block.as_chunks_mut();
    places.iter_mut().zip(words).for_each(|(place, word)| *place = word.to_be_bytes());
}

const BLOCK_LEN: usize = 64;
const BIT_LEN_AT: usize = BLOCK_LEN - 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_library<M: hmac::Mac + hmac::KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
        let mut mac = <M as hmac::KeyInit>::new_from_slice(key).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    }

    fn check(key: &[u8], message: &[u8], parts: &[&[u8]]) {
        let sha1 = HmacStates::<Sha1, 5>::new(key).sign(parts);
        assert_eq!(sha1.as_bytes(), by_library::<hmac::Hmac<sha1::Sha1>>(key, message));
        let sha256 = HmacStates::<Sha256, 8>::new(key).sign(parts);
        assert_eq!(sha256.as_bytes(), by_library::<hmac::Hmac<sha2::Sha256>>(key, message));
    }

    #[test]
    fn codes_of_all_short_lengths_are_the_library_s() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in 0..200 {
            check(b"key", &bytes[..len], &[&bytes[..len]]);
            check(&bytes[..len], b"message", &[b"message"]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn codes_of_parts_are_the_library_s(
            key in prop::collection::vec(any::<u8>(), 0..150),
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..150), 0..6),
        ) {
            let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            check(&key, &parts.concat(), &slices);
        }
    }
}
