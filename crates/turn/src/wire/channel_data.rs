use std::fmt;

use proto::{NoSpace, Reader, Truncated, Writer};

/// The number of a channel: 0x4000 to 0x4FFF (RFC 8656 §12).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChannelNumber(u16);

impl ChannelNumber {
    /// The first one.
    pub const FIRST: Self = Self(FIRST);

    /// The channel of this number, if it has one.
    pub const fn new(number: u16) -> Option<Self> {
        if FIRST <= number && number <= LAST { Some(Self(number)) } else { None }
    }

    /// Likewise by the older RFC 5766 §11, whose clients may choose up to 0x7FFF.
    pub const fn rfc5766(number: u16) -> Option<Self> {
        if FIRST <= number && number <= LAST_RFC5766 { Some(Self(number)) } else { None }
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The next one; none behind the last.
    pub const fn next(self) -> Option<Self> {
        Self::new(self.0.saturating_add(1))
    }
}

/// Four bytes before the payload of a datagram (RFC 8656 §12.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChannelData<'a> {
    /// Which channel.
    pub channel: ChannelNumber,
    /// What the datagram carries.
    pub payload: &'a [u8],
}

impl<'a> ChannelData<'a> {
    /// Bytes before the payload.
    pub const HEADER_LEN: usize = 4;

    /// Reads one message. Up to three bytes may follow, the padding that streams need and datagrams may
    /// have (RFC 8656 §12.5).
    ///
    /// # Errors
    ///
    /// It is cut short, or not ChannelData.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode_with(datagram, ChannelNumber::new)
    }

    /// Likewise, with a number that RFC 5766 permits.
    ///
    /// # Errors
    ///
    /// It is cut short, or not ChannelData.
    pub fn decode_rfc5766(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode_with(datagram, ChannelNumber::rfc5766)
    }

    fn decode_with(
        datagram: &'a [u8],
        channel: impl FnOnce(u16) -> Option<ChannelNumber>,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(datagram);
        let channel = channel(reader.u16()?).ok_or(DecodeError::Channel)?;
        let len = usize::from(reader.u16()?);
        let payload = reader.take(len)?;
        if reader.remaining() > 3 {
            return Err(DecodeError::Trailing);
        }
        Ok(Self { channel, payload })
    }

    /// Writes header and payload, and where `padded`, for a stream, the zeros up to the next multiple of four.
    ///
    /// # Errors
    ///
    /// It does not fit, or the payload has more than 65,535 bytes.
    pub fn encode(&self, out: &mut Writer<'_>, padded: bool) -> Result<(), NoSpace> {
        out.put_u16(self.channel.number())?;
        out.put_u16(u16::try_from(self.payload.len()).map_err(|_| NoSpace)?)?;
        out.put(self.payload)?;
        if padded { out.put_zeros(self.payload.len().wrapping_neg() & 3) } else { Ok(()) }
    }
}

/// Why bytes are not ChannelData.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The length runs past the end.
    Truncated,
    /// The number is not a channel's.
    Channel,
    /// More follows than padding can be.
    Trailing,
}

impl From<Truncated> for DecodeError {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the length runs past the end",
            Self::Channel => "not a channel number",
            Self::Trailing => "bytes follow the message",
        })
    }
}

impl std::error::Error for DecodeError {}

const FIRST: u16 = 0x4000;
const LAST: u16 = 0x4fff;
const LAST_RFC5766: u16 = 0x7fff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for len in 0..40 {
            for padded in [false, true] {
                let payload = vec![7; len];
                let data = ChannelData { channel: ChannelNumber::new(0x4fff).unwrap(), payload: &payload };
                let mut memory = [0xff; 64];
                let mut out = Writer::new(&mut memory);
                data.encode(&mut out, padded).unwrap();
                assert_eq!(ChannelData::decode(out.written()), Ok(data));
                assert_eq!(out.len(), if padded { (4 + len).next_multiple_of(4) } else { 4 + len });
                assert!(out.written()[4 + len..].iter().all(|byte| *byte == 0), "padding is zero");
                for cut in 0..4 + len {
                    assert_eq!(ChannelData::decode(&out.written()[..cut]), Err(DecodeError::Truncated));
                }
            }
        }
    }

    #[test]
    fn numbers_outside_the_range_are_refused() {
        for number in 0..=u16::MAX {
            let [high, low] = number.to_be_bytes();
            let bytes = [high, low, 0, 0];
            assert_eq!(
                ChannelData::decode(&bytes).is_ok(),
                (0x4000..=0x4fff).contains(&number),
                "{number:#x}"
            );
        }
        assert_eq!(ChannelData::decode(&[0x40, 0, 0, 0, 1, 2, 3, 4]), Err(DecodeError::Trailing));
        assert_eq!(ChannelNumber::new(0x4fff).and_then(ChannelNumber::next), None);
    }
}
