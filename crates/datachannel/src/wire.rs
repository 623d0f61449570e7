//! The messages of the Data Channel Establishment Protocol as bytes (RFC 8832 §5). Usable alone.
#![deny(clippy::arithmetic_side_effects)]

use std::time::Duration;

use proto::{NoSpace, Reader, Writer};
use sctp::{Priority, Reliability};

use crate::DecodeError;

/// A message of the establishment protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Message<'a> {
    /// DATA_CHANNEL_OPEN.
    Open(Open<'a>),
    /// DATA_CHANNEL_ACK.
    Ack,
}

/// What a DATA_CHANNEL_OPEN says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Open<'a> {
    /// Whether messages may overtake each other.
    pub unordered: bool,
    /// How hard the senders try. A lifetime is a whole number of milliseconds, a count below 65,536.
    pub reliability: Reliability,
    /// The channel's priority.
    pub priority: Priority,
    /// Its label.
    pub label: &'a str,
    /// The name of the protocol on it.
    pub protocol: &'a str,
}

impl<'a> Message<'a> {
    /// Decodes `bytes`, which must hold exactly one message.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8()? {
            ACK => Self::Ack,
            OPEN => Self::Open(read_open(&mut reader)?),
            kind => return Err(DecodeError::UnknownType(kind)),
        };
        if reader.is_empty() { Ok(message) } else { Err(DecodeError::TrailingBytes) }
    }

    /// Appends the message, or nothing if it does not fit or a text is longer than 65,535 bytes.
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let start = out.len();
        let written = match self {
            Self::Ack => out.put_u8(ACK),
            Self::Open(open) => open.encode(out),
        };
        if written.is_err() {
            out.truncate(start);
        }
        written
    }
}

impl Open<'_> {
    /// Bytes of the message.
    pub const fn encoded_len(&self) -> usize {
        OPEN_LEN.saturating_add(self.label.len()).saturating_add(self.protocol.len())
    }

    fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let (kind, parameter) = match self.reliability {
            Reliability::Reliable => (RELIABLE, 0),
            Reliability::MaxRetransmits(count) => (MAX_RETRANSMITS, u32::from(count)),
            Reliability::MaxLifetime(life) => {
                (MAX_LIFETIME, u32::try_from(life.as_millis()).unwrap_or(u32::MAX))
            }
        };
        out.put_u8(OPEN)?;
        out.put_u8(kind | if self.unordered { UNORDERED } else { 0 })?;
        out.put_u16(self.priority.0)?;
        out.put_u32(parameter)?;
        out.put_u16(u16::try_from(self.label.len()).map_err(|_| NoSpace)?)?;
        out.put_u16(u16::try_from(self.protocol.len()).map_err(|_| NoSpace)?)?;
        out.put(self.label.as_bytes())?;
        out.put(self.protocol.as_bytes())
    }
}

fn read_open<'a>(reader: &mut Reader<'a>) -> Result<Open<'a>, DecodeError> {
    let kind = reader.u8()?;
    let priority = Priority(reader.u16()?);
    let parameter = reader.u32()?;
    let label = usize::from(reader.u16()?);
    let protocol = usize::from(reader.u16()?);
    let reliability = match kind & !UNORDERED {
        // RFC 8832 §5.1: the parameter of a reliable channel is ignored.
        RELIABLE => Reliability::Reliable,
        // More than 65,535 is as good as that (the API has 16 bits).
        MAX_RETRANSMITS => Reliability::MaxRetransmits(u16::try_from(parameter).unwrap_or(u16::MAX)),
        MAX_LIFETIME => Reliability::MaxLifetime(Duration::from_millis(parameter.into())),
        _ => return Err(DecodeError::UnknownChannelType(kind)),
    };
    let label = text(reader.take(label)?)?;
    let protocol = text(reader.take(protocol)?)?;
    Ok(Open { unordered: kind & UNORDERED != 0, reliability, priority, label, protocol })
}

fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::NotText)
}

const OPEN: u8 = 3;
const ACK: u8 = 2;
const OPEN_LEN: usize = 12;
const RELIABLE: u8 = 0;
const MAX_RETRANSMITS: u8 = 1;
const MAX_LIFETIME: u8 = 2;
const UNORDERED: u8 = 0x80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_open_looks_as_the_rfc_draws_it() {
        let open = Open {
            unordered: true,
            reliability: Reliability::MaxRetransmits(3),
            priority: Priority::NORMAL,
            label: "ab",
            protocol: "c",
        };
        let mut memory = [0; 32];
        let mut out = Writer::new(&mut memory);
        Message::Open(open).encode(&mut out).unwrap();
        assert_eq!(out.written(), b"\x03\x81\x01\x00\x00\x00\x00\x03\x00\x02\x00\x01abc");
        assert_eq!(Message::decode(out.written()), Ok(Message::Open(open)));
        for cut in 0..out.len() {
            assert!(Message::decode(&out.written()[..cut]).is_err(), "{cut}");
        }
        assert_eq!(Message::decode(&[2, 0]), Err(DecodeError::TrailingBytes));
        assert_eq!(Message::decode(&[1]), Err(DecodeError::UnknownType(1)));
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(unordered: bool, kind in 0..3u8, n: u16, priority: u16, label: String, protocol: String) {
            let reliability = match kind {
                0 => Reliability::Reliable,
                1 => Reliability::MaxRetransmits(n),
                _ => Reliability::MaxLifetime(Duration::from_millis(n.into())),
            };
            let open = Open { unordered, reliability, priority: Priority(priority), label: &label, protocol: &protocol };
            let mut memory = vec![0; open.encoded_len()];
            let mut out = Writer::new(&mut memory);
            Message::Open(open).encode(&mut out).unwrap();
            prop_assert_eq!(Message::decode(out.written()), Ok(Message::Open(open)));
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = Message::decode(&bytes);
        }
    }
}
