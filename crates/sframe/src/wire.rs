//! The SFrame header as bytes (RFC 9605 §4.3).

use crate::DecryptError;

/// What stands before every encrypted frame: which key, and which frame under it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Header {
    /// KID: the identifier of the key.
    pub key_id: u64,
    /// CTR: the number of the frame.
    pub counter: u64,
}

impl Header {
    /// Bytes that [`encode`](Self::encode) needs.
    pub const fn encoded_len(self) -> usize {
        1 + extra(self.key_id) + extra(self.counter)
    }

    /// The header as it is sent.
    pub fn encode(self) -> EncodedHeader {
        let config = (field(self.key_id) << 4) | field(self.counter);
        let mut memory = [0; HEADER_ROOM];
        let mut places = memory.iter_mut();
        let mut put = |byte: u8| places.next().into_iter().for_each(|place| *place = byte);
        put(config);
        for value in [self.key_id, self.counter] {
            value.to_be_bytes().into_iter().skip(8 - extra(value)).for_each(&mut put);
        }
        EncodedHeader { memory, len: self.encoded_len() }
    }

    /// Reads the header that `ciphertext` begins with, and gives how many bytes it has.
    ///
    /// # Errors
    ///
    /// There is none, or a number has more bytes than it needs, which §4.3 forbids.
    pub fn decode(ciphertext: &[u8]) -> Result<(Self, usize), DecryptError> {
        let (config, rest) = ciphertext.split_first().ok_or(DecryptError::Malformed)?;
        let (key_id, rest) = read(config >> 4, rest)?;
        let (counter, rest) = read(config & 0x0f, rest)?;
        Ok((Self { key_id, counter }, ciphertext.len().saturating_sub(rest.len())))
    }
}

/// A header's bytes.
#[derive(Clone, Copy, Debug)]
pub struct EncodedHeader {
    memory: [u8; HEADER_ROOM],
    len: usize,
}

impl EncodedHeader {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.memory.get(..self.len).unwrap_or_default()
    }
}

/// Bytes of a value behind the config byte.
const fn extra(value: u64) -> usize {
    if value < EXTENDED { 0 } else { (u64::BITS - value.leading_zeros()).div_ceil(8) as usize }
}

/// The four bits of a value in the config byte: itself, or a flag and its length less one.
fn field(value: u64) -> u8 {
    let bits = if value < EXTENDED { value } else { EXTENDED | (extra(value) as u64).saturating_sub(1) };
    bits.to_be_bytes()[7]
}

/// The value that four bits of the config byte stand for.
fn read(field: u8, rest: &[u8]) -> Result<(u64, &[u8]), DecryptError> {
    let field = u64::from(field);
    if field < EXTENDED {
        return Ok((field, rest));
    }
    let len = usize::from(field.to_be_bytes()[7] & 7).saturating_add(1);
    let (bytes, rest) = rest.split_at_checked(len).ok_or(DecryptError::Malformed)?;
    let value = bytes.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte));
    if extra(value) == len { Ok((value, rest)) } else { Err(DecryptError::Malformed) }
}

/// Bytes that the longest header has: room for every one.
pub const HEADER_ROOM: usize = 17;
/// The flags X and Y; values below it stand in the config byte.
const EXTENDED: u64 = 8;
