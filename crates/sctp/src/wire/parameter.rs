use proto::{NoSpace, Reader, Writer};

use super::padding;
use crate::{DecodeError, StreamId, Tsn};

/// Error causes, one behind the other (RFC 9260 §3.3.10): codes and values. They look like parameters, but
/// their codes mean other things.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Causes<'a>(&'a [u8]);

impl<'a> Causes<'a> {
    /// Checks the boundaries in `bytes`. The last cause's padding may be missing, and is left out.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        without_last_padding(bytes).map(Self)
    }

    /// Code and value of each.
    pub fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut reader = Reader::new(self.0);
        std::iter::from_fn(move || if reader.is_empty() { None } else { read_value(&mut reader).ok() })
    }

    /// All of them as bytes.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// Parameters, one behind the other (RFC 9260 §3.2.1).
/// The boundaries were checked when the chunk was decoded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Parameters<'a>(&'a [u8]);

impl<'a> Parameters<'a> {
    /// Checks the boundaries in `bytes`. The last parameter's padding may be missing, and is left out, as it
    /// lies outside of the chunk's length (RFC 9260 §3.2).
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            read_parameter(&mut reader)?;
        }
        without_last_padding(bytes).map(Self)
    }

    /// The parameters in wire order.
    pub fn iter(self) -> impl Iterator<Item = Parameter<'a>> {
        let mut reader = Reader::new(self.0);
        std::iter::from_fn(move || if reader.is_empty() { None } else { read_parameter(&mut reader).ok() })
    }

    /// All of them as bytes.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// A parameter of INIT, INIT ACK or RE-CONFIG.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Parameter<'a> {
    /// State Cookie (RFC 9260 §3.3.3.1).
    StateCookie(&'a [u8]),
    /// Forward-TSN-Supported (RFC 3758 §3.1).
    ForwardTsnSupported,
    /// Supported Extensions: chunk types (RFC 5061 §4.2.7).
    SupportedExtensions(&'a [u8]),
    /// Outgoing SSN Reset Request (RFC 6525 §4.1).
    OutgoingReset {
        /// Number of this request.
        request: u32,
        /// Number of the peer's request that it answers, or the one before the next expected.
        response: u32,
        /// The last TSN that the sender has used.
        last: Tsn,
        /// Stream numbers, two bytes each; none for all.
        streams: &'a [u8],
    },
    /// Incoming SSN Reset Request (RFC 6525 §4.2).
    IncomingReset {
        /// Number of this request.
        request: u32,
        /// Stream numbers, two bytes each; none for all.
        streams: &'a [u8],
    },
    /// SSN/TSN Reset Request (RFC 6525 §4.3).
    AssociationReset {
        /// Number of this request.
        request: u32,
    },
    /// Add Outgoing Streams Request or Add Incoming Streams Request (RFC 6525 §4.5, §4.6).
    AddStreams {
        /// Number of this request.
        request: u32,
        /// How many.
        count: u16,
        /// Whether the sender of the request asks for streams towards itself.
        incoming: bool,
    },
    /// Re-configuration Response (RFC 6525 §4.4), without the TSNs that answer an SSN/TSN reset.
    ReconfigResponse {
        /// Number of the request.
        request: u32,
        /// What became of it.
        result: ReconfigResult,
    },
    /// Any other.
    Unknown {
        /// The type.
        kind: u16,
        /// The value.
        value: &'a [u8],
    },
}

impl<'a> Parameter<'a> {
    fn decode(kind: u16, value: &'a [u8]) -> Result<Self, DecodeError> {
        let wrong = DecodeError::ParameterLength(kind);
        let mut reader = Reader::new(value);
        let parameter = match kind {
            STATE_COOKIE => Self::StateCookie(reader.rest()),
            FORWARD_TSN_SUPPORTED => Self::ForwardTsnSupported,
            SUPPORTED_EXTENSIONS => Self::SupportedExtensions(reader.rest()),
            OUTGOING_RESET => Self::OutgoingReset {
                request: reader.u32().map_err(|_| wrong)?,
                response: reader.u32().map_err(|_| wrong)?,
                last: Tsn(reader.u32().map_err(|_| wrong)?),
                streams: streams(&mut reader).ok_or(wrong)?,
            },
            INCOMING_RESET => Self::IncomingReset {
                request: reader.u32().map_err(|_| wrong)?,
                streams: streams(&mut reader).ok_or(wrong)?,
            },
            ASSOCIATION_RESET => Self::AssociationReset { request: reader.u32().map_err(|_| wrong)? },
            ADD_OUTGOING | ADD_INCOMING => {
                let request = reader.u32().map_err(|_| wrong)?;
                let count = reader.u16().map_err(|_| wrong)?;
                reader.u16().map_err(|_| wrong)?;
                Self::AddStreams { request, count, incoming: kind == ADD_INCOMING }
            }
            RECONFIG_RESPONSE => {
                let request = reader.u32().map_err(|_| wrong)?;
                let result = ReconfigResult::from_code(reader.u32().map_err(|_| wrong)?);
                reader.rest(); // the sender's and receiver's next TSN, if any
                Self::ReconfigResponse { request, result }
            }
            _ => Self::Unknown { kind, value: reader.rest() },
        };
        if reader.is_empty() { Ok(parameter) } else { Err(wrong) }
    }

    /// Appends the parameter and its padding.
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let start = out.len();
        let written = self.encode_unpadded(out, start);
        let padded = written.and_then(|()| out.put_zeros(padding(out.len().wrapping_sub(start))));
        if padded.is_err() {
            out.truncate(start);
        }
        padded
    }

    fn encode_unpadded(&self, out: &mut Writer<'_>, start: usize) -> Result<(), NoSpace> {
        out.put_u16(self.kind())?;
        out.put_u16(0)?;
        match *self {
            Self::StateCookie(bytes) | Self::SupportedExtensions(bytes) => out.put(bytes)?,
            Self::ForwardTsnSupported => {}
            Self::OutgoingReset { request, response, last, streams } => {
                out.put_u32(request)?;
                out.put_u32(response)?;
                out.put_u32(last.0)?;
                out.put(streams)?;
            }
            Self::IncomingReset { request, streams } => {
                out.put_u32(request)?;
                out.put(streams)?;
            }
            Self::AssociationReset { request } => out.put_u32(request)?,
            Self::AddStreams { request, count, .. } => {
                out.put_u32(request)?;
                out.put_u16(count)?;
                out.put_u16(0)?;
            }
            Self::ReconfigResponse { request, result } => {
                out.put_u32(request)?;
                out.put_u32(result.code())?;
            }
            Self::Unknown { value, .. } => out.put(value)?,
        }
        let len = u16::try_from(out.len().saturating_sub(start)).map_err(|_| NoSpace)?;
        out.patch_u16(start.saturating_add(2), len)
    }

    /// The type on the wire.
    pub const fn kind(&self) -> u16 {
        match self {
            Self::StateCookie(_) => STATE_COOKIE,
            Self::ForwardTsnSupported => FORWARD_TSN_SUPPORTED,
            Self::SupportedExtensions(_) => SUPPORTED_EXTENSIONS,
            Self::OutgoingReset { .. } => OUTGOING_RESET,
            Self::IncomingReset { .. } => INCOMING_RESET,
            Self::AssociationReset { .. } => ASSOCIATION_RESET,
            Self::AddStreams { incoming: false, .. } => ADD_OUTGOING,
            Self::AddStreams { incoming: true, .. } => ADD_INCOMING,
            Self::ReconfigResponse { .. } => RECONFIG_RESPONSE,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    /// The streams that a reset names; empty for every other parameter.
    pub fn streams(&self) -> impl Iterator<Item = StreamId> + use<'a> {
        let mut reader = Reader::new(match *self {
            Self::OutgoingReset { streams, .. } | Self::IncomingReset { streams, .. } => streams,
            Self::StateCookie(_)
            | Self::ForwardTsnSupported
            | Self::SupportedExtensions(_)
            | Self::AssociationReset { .. }
            | Self::AddStreams { .. }
            | Self::ReconfigResponse { .. }
            | Self::Unknown { .. } => &[],
        });
        std::iter::from_fn(move || reader.u16().ok().map(StreamId))
    }
}

/// What became of a re-configuration request (RFC 6525 §4.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReconfigResult {
    /// There was nothing to do.
    NothingToDo,
    /// Done.
    Performed,
    /// Refused.
    Denied,
    /// Another request is being carried out.
    Busy,
    /// The number is not the next.
    BadNumber,
    /// Not yet: ask again.
    InProgress,
    /// Any other code.
    Other(u32),
}

impl ReconfigResult {
    const fn from_code(code: u32) -> Self {
        match code {
            0 => Self::NothingToDo,
            1 => Self::Performed,
            2 => Self::Denied,
            4 => Self::Busy,
            5 => Self::BadNumber,
            6 => Self::InProgress,
            _ => Self::Other(code),
        }
    }

    const fn code(self) -> u32 {
        match self {
            Self::NothingToDo => 0,
            Self::Performed => 1,
            Self::Denied => 2,
            Self::Busy => 4,
            Self::BadNumber => 5,
            Self::InProgress => 6,
            Self::Other(code) => code,
        }
    }
}

fn streams<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let bytes = reader.rest();
    bytes.len().is_multiple_of(2).then_some(bytes)
}

fn read_parameter<'a>(reader: &mut Reader<'a>) -> Result<Parameter<'a>, DecodeError> {
    let (kind, value) = read_value(reader)?;
    Parameter::decode(kind, value)
}

fn read_value<'a>(reader: &mut Reader<'a>) -> Result<(u16, &'a [u8]), DecodeError> {
    let kind = reader.u16()?;
    let len = usize::from(reader.u16()?);
    let value = reader.take(len.checked_sub(4).ok_or(DecodeError::ParameterLength(kind))?)?;
    if !reader.is_empty() {
        reader.take(padding(len))?;
    }
    Ok((kind, value))
}

/// Values one behind the other, up to the end of the last one.
fn without_last_padding(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let mut reader = Reader::new(bytes);
    let (mut begin, mut end) = (0_usize, 0);
    while !reader.is_empty() {
        let (_, value) = read_value(&mut reader)?;
        end = begin.saturating_add(4).saturating_add(value.len());
        begin = end.saturating_add(padding(end));
    }
    Ok(bytes.get(..end).unwrap_or_default())
}

const STATE_COOKIE: u16 = 7;
const OUTGOING_RESET: u16 = 13;
const INCOMING_RESET: u16 = 14;
const ASSOCIATION_RESET: u16 = 15;
const RECONFIG_RESPONSE: u16 = 16;
const ADD_OUTGOING: u16 = 17;
const ADD_INCOMING: u16 = 18;
const SUPPORTED_EXTENSIONS: u16 = 0x8008;
const FORWARD_TSN_SUPPORTED: u16 = 0xc000;
