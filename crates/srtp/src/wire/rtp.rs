use proto::Reader;

use crate::Ssrc;

/// What SRTP has to know of an RTP header (RFC 3550 §5.1), all of it within the packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RtpHeader {
    pub(crate) ssrc: Ssrc,
    pub(crate) sequence: u16,
    /// Bytes of the CSRCs, which stand behind the fixed header.
    pub(crate) csrcs: usize,
    /// The "defined by profile" field of the header extension, if there is one.
    pub(crate) extension: Option<u16>,
    /// Bytes of it all, extension included: the payload comes next.
    pub(crate) len: usize,
}

impl RtpHeader {
    /// Decodes the header of `packet`; `None` if it is of another version, or ends within the header.
    pub(crate) fn decode(packet: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(packet);
        let first = reader.u8().ok()?;
        if first & VERSION != VERSION_2 {
            return None;
        }
        reader.u8().ok()?;
        let sequence = reader.u16().ok()?;
        reader.u32().ok()?;
        let ssrc = Ssrc(reader.u32().ok()?);
        let csrcs = usize::from(first & CSRC_COUNT).checked_mul(4)?;
        reader.take(csrcs).ok()?;
        let extension = if first & EXTENSION == 0 {
            None
        } else {
            let profile = reader.u16().ok()?;
            let words = usize::from(reader.u16().ok()?);
            reader.take(words.checked_mul(4)?).ok()?;
            Some(profile)
        };
        let len = packet.len().checked_sub(reader.peek().len())?;
        Some(Self { ssrc, sequence, csrcs, extension, len })
    }

    /// Where the header extension begins, if there is one.
    pub(crate) const fn extension_at(&self) -> usize {
        FIXED_HEADER_LEN.saturating_add(self.csrcs)
    }
}

/// RFC 3550 §5.1: the header without CSRCs and extension.
pub(crate) const FIXED_HEADER_LEN: usize = 12;
/// RFC 3550 §5.3.1: the field "defined by profile" and the length.
pub(crate) const EXTENSION_HEADER_LEN: usize = 4;
/// RFC 8285 §4.2.
pub(crate) const ONE_BYTE: u16 = 0xbede;
/// RFC 8285 §4.3; the last four bits are the application's.
pub(crate) const TWO_BYTE: u16 = 0x1000;

// RFC 3550 §5.1: the first byte.
const VERSION: u8 = 0b1100_0000;
const VERSION_2: u8 = 0b1000_0000;
const EXTENSION: u8 = 0b0001_0000;
const CSRC_COUNT: u8 = 0b0000_1111;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_as_long_as_it_says() {
        for csrc_count in 0..16_u8 {
            for words in [None, Some(0_u16), Some(3)] {
                let mut packet = vec![0x80 | csrc_count, 96, 0x12, 0x34, 0, 0, 0, 1, 0xca, 0xfe, 0xba, 0xbe];
                packet.extend(vec![7; usize::from(csrc_count) * 4]);
                if let Some(words) = words {
                    packet[0] |= 0x10;
                    packet.extend([0xbe, 0xde]);
                    packet.extend(words.to_be_bytes());
                    packet.extend(vec![8; usize::from(words) * 4]);
                }
                let header = RtpHeader {
                    ssrc: Ssrc(0xcafe_babe),
                    sequence: 0x1234,
                    csrcs: usize::from(csrc_count) * 4,
                    extension: words.map(|_| ONE_BYTE),
                    len: packet.len(),
                };
                assert_eq!(RtpHeader::decode(&packet), Some(header));
                for len in 0..packet.len() {
                    assert_eq!(RtpHeader::decode(&packet[..len]), None, "{len}");
                }
                packet.extend([9; 20]);
                assert_eq!(RtpHeader::decode(&packet), Some(header));
                for version in [0, 1, 3] {
                    packet[0] = packet[0] & 0x3f | version << 6;
                    assert_eq!(RtpHeader::decode(&packet), None);
                }
            }
        }
    }
}
