use proto::{NoSpace, Reader, Writer};

use super::DecodeError;

/// A piece of a handshake message (RFC 6347 §4.2.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fragment<'a> {
    /// What the message is.
    pub kind: HandshakeType,
    /// Bytes of the whole message without its header; 24 bits.
    pub total: u32,
    /// Counts the messages of the sender.
    pub sequence: u16,
    /// Where in the message this piece begins.
    pub offset: u32,
    /// The piece.
    pub data: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// Decodes the next fragment of a handshake record. A piece that runs past its message is refused.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let kind = HandshakeType(reader.u8()?);
        let total = reader.u24()?;
        let sequence = reader.u16()?;
        let offset = reader.u24()?;
        let len = reader.u24()?;
        let data = reader.take(usize::try_from(len).map_err(|_| DecodeError::Illegal)?)?;
        if offset.checked_add(len).is_none_or(|end| end > total) {
            return Err(DecodeError::Illegal);
        }
        Ok(Self { kind, total, sequence, offset, data })
    }

    /// Whether this is the whole message.
    pub fn is_whole(&self) -> bool {
        self.offset == 0 && usize::try_from(self.total) == Ok(self.data.len())
    }

    /// Appends the fragment to `out`.
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let len = u32::try_from(self.data.len()).map_err(|_| NoSpace)?;
        if out.room() < HANDSHAKE_HEADER_LEN.saturating_add(self.data.len()) {
            return Err(NoSpace);
        }
        out.put(&encode_fragment_header(self.kind, self.total, self.sequence, self.offset, len))?;
        out.put(self.data)
    }
}

/// The header of a fragment: what the whole message is, and which `len` bytes from `offset` follow.
/// Lengths are taken modulo 2²⁴.
pub const fn encode_fragment_header(
    kind: HandshakeType,
    total: u32,
    sequence: u16,
    offset: u32,
    len: u32,
) -> [u8; HANDSHAKE_HEADER_LEN] {
    let [_, t0, t1, t2] = total.to_be_bytes();
    let [s0, s1] = sequence.to_be_bytes();
    let [_, o0, o1, o2] = offset.to_be_bytes();
    let [_, l0, l1, l2] = len.to_be_bytes();
    [kind.0, t0, t1, t2, s0, s1, o0, o1, o2, l0, l1, l2]
}

/// What a handshake message is (RFC 5246 §7.4, RFC 6347 §4.3.2); any number can be carried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HandshakeType(pub u8);

impl HandshakeType {
    /// A server asks for a renegotiation.
    pub const HELLO_REQUEST: Self = Self(0);
    /// The client's offer.
    pub const CLIENT_HELLO: Self = Self(1);
    /// The server's choice.
    pub const SERVER_HELLO: Self = Self(2);
    /// The server asks the client to prove its address.
    pub const HELLO_VERIFY_REQUEST: Self = Self(3);
    /// A certificate chain.
    pub const CERTIFICATE: Self = Self(11);
    /// The server's signed key share.
    pub const SERVER_KEY_EXCHANGE: Self = Self(12);
    /// The server asks for a certificate.
    pub const CERTIFICATE_REQUEST: Self = Self(13);
    /// The end of the server's flight.
    pub const SERVER_HELLO_DONE: Self = Self(14);
    /// The client's proof that it owns its certificate's key.
    pub const CERTIFICATE_VERIFY: Self = Self(15);
    /// The client's key share.
    pub const CLIENT_KEY_EXCHANGE: Self = Self(16);
    /// The proof that both saw the same handshake.
    pub const FINISHED: Self = Self(20);
}

/// Bytes of a fragment's header.
pub const HANDSHAKE_HEADER_LEN: usize = 12;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow is how a test fails")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn decodes_what_it_encodes(
            kind: u8, sequence: u16, offset in 0u32..1 << 23, more in 0u32..1000, data: Vec<u8>,
        ) {
            let total = offset + u32::try_from(data.len()).unwrap() + more;
            let fragment = Fragment { kind: HandshakeType(kind), total, sequence, offset, data: &data };
            let mut memory = vec![0; 12 + data.len()];
            fragment.encode(&mut Writer::new(&mut memory)).unwrap();
            prop_assert_eq!(Fragment::decode(&mut Reader::new(&memory)), Ok(fragment));
            for cut in 0..memory.len() {
                prop_assert_eq!(Fragment::decode(&mut Reader::new(&memory[..cut])), Err(DecodeError::Truncated));
                prop_assert_eq!(fragment.encode(&mut Writer::new(&mut vec![0; cut])), Err(NoSpace));
            }
        }
    }

    #[test]
    fn a_piece_past_the_end_of_its_message_is_refused() {
        let bytes = [1, 0, 0, 4, 0, 0, 0, 0, 3, 0, 0, 2, 9, 9];
        assert_eq!(Fragment::decode(&mut Reader::new(&bytes)), Err(DecodeError::Illegal));
    }
}
