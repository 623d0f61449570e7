use proto::{NoSpace, Reader, Writer};

use super::{Causes, Parameters, padding};
use crate::{DecodeError, Ppid, Ssn, StreamId, Tsn};

/// A chunk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Chunk<'a> {
    /// DATA (RFC 9260 §3.3.1).
    Data(Data<'a>),
    /// INIT (RFC 9260 §3.3.2).
    Init(Init<'a>),
    /// INIT ACK (RFC 9260 §3.3.3).
    InitAck(Init<'a>),
    /// SACK (RFC 9260 §3.3.4).
    Sack(Sack<'a>),
    /// HEARTBEAT: its parameters, to be sent back as they are (RFC 9260 §3.3.5).
    Heartbeat(&'a [u8]),
    /// HEARTBEAT ACK (RFC 9260 §3.3.6).
    HeartbeatAck(&'a [u8]),
    /// ABORT (RFC 9260 §3.3.7).
    Abort {
        /// The T bit: the verification tag is the receiver's own, sent back.
        reflected: bool,
        /// Error causes.
        causes: Causes<'a>,
    },
    /// SHUTDOWN (RFC 9260 §3.3.8).
    Shutdown {
        /// Cumulative TSN ack.
        cumulative: Tsn,
    },
    /// SHUTDOWN ACK (RFC 9260 §3.3.9).
    ShutdownAck,
    /// ERROR (RFC 9260 §3.3.10).
    Error {
        /// Error causes.
        causes: Causes<'a>,
    },
    /// COOKIE ECHO (RFC 9260 §3.3.11).
    CookieEcho(&'a [u8]),
    /// COOKIE ACK (RFC 9260 §3.3.12).
    CookieAck,
    /// SHUTDOWN COMPLETE (RFC 9260 §3.3.13).
    ShutdownComplete {
        /// The T bit.
        reflected: bool,
    },
    /// RE-CONFIG (RFC 6525 §3.1).
    Reconfig(Parameters<'a>),
    /// FORWARD TSN (RFC 3758 §3.2).
    ForwardTsn(ForwardTsn<'a>),
    /// Any other.
    Unknown {
        /// The type.
        kind: u8,
        /// The flags.
        flags: u8,
        /// The value.
        value: &'a [u8],
    },
}

/// A DATA chunk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Data<'a> {
    /// The I bit: acknowledge without delay.
    pub immediate: bool,
    /// The U bit.
    pub unordered: bool,
    /// The B bit: first fragment of a message.
    pub begin: bool,
    /// The E bit: last fragment of a message.
    pub end: bool,
    /// Its transmission sequence number.
    pub tsn: Tsn,
    /// The stream.
    pub stream: StreamId,
    /// The message's number in the stream; without meaning if unordered.
    pub ssn: Ssn,
    /// The payload's protocol.
    pub ppid: Ppid,
    /// The payload.
    pub payload: &'a [u8],
}

/// An INIT or INIT ACK chunk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Init<'a> {
    /// The tag that packets to its sender must carry.
    pub tag: u32,
    /// Advertised receiver window credit, in bytes.
    pub window: u32,
    /// Outbound streams that the sender wants.
    pub outbound: u16,
    /// Inbound streams that the sender takes.
    pub inbound: u16,
    /// The sender's first TSN.
    pub tsn: Tsn,
    /// Optional and variable-length parameters.
    pub parameters: Parameters<'a>,
}

/// A SACK chunk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sack<'a> {
    /// Everything up to here has arrived.
    pub cumulative: Tsn,
    /// Advertised receiver window credit, in bytes.
    pub window: u32,
    gaps: &'a [u8],
    duplicates: &'a [u8],
}

impl<'a> Sack<'a> {
    /// First and last offset from `cumulative` of each run that has arrived beyond it.
    pub fn gaps(&self) -> impl Iterator<Item = (u16, u16)> + use<'a> {
        let mut reader = Reader::new(self.gaps);
        std::iter::from_fn(move || Some((reader.u16().ok()?, reader.u16().ok()?)))
    }

    /// TSNs that arrived more than once.
    pub fn duplicates(&self) -> impl Iterator<Item = Tsn> + use<'a> {
        let mut reader = Reader::new(self.duplicates);
        std::iter::from_fn(move || reader.u32().ok().map(Tsn))
    }
}

/// A FORWARD TSN chunk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ForwardTsn<'a> {
    /// The receiver is to act as if everything up to here had arrived.
    pub cumulative: Tsn,
    /// Stream and sequence number pairs, four bytes each.
    pub skipped: &'a [u8],
}

impl<'a> ForwardTsn<'a> {
    /// The last message of each ordered stream that is skipped.
    pub fn skipped(&self) -> impl Iterator<Item = (StreamId, Ssn)> + use<'a> {
        let mut reader = Reader::new(self.skipped);
        std::iter::from_fn(move || Some((StreamId(reader.u16().ok()?), Ssn(reader.u16().ok()?))))
    }
}

impl<'a> Chunk<'a> {
    pub(super) fn decode(kind: u8, flags: u8, value: &'a [u8]) -> Result<Self, DecodeError> {
        let wrong = DecodeError::ChunkLength(kind);
        let mut reader = Reader::new(value);
        let chunk = match kind {
            DATA => Self::Data(Data {
                immediate: flags & FLAG_IMMEDIATE != 0,
                unordered: flags & FLAG_UNORDERED != 0,
                begin: flags & FLAG_BEGIN != 0,
                end: flags & FLAG_END != 0,
                tsn: Tsn(reader.u32().map_err(|_| wrong)?),
                stream: StreamId(reader.u16().map_err(|_| wrong)?),
                ssn: Ssn(reader.u16().map_err(|_| wrong)?),
                ppid: Ppid(reader.u32().map_err(|_| wrong)?),
                payload: reader.rest(),
            }),
            INIT => Self::Init(read_init(&mut reader, wrong)?),
            INIT_ACK => Self::InitAck(read_init(&mut reader, wrong)?),
            SACK => Self::Sack(read_sack(&mut reader).ok_or(wrong)?),
            HEARTBEAT => Self::Heartbeat(reader.rest()),
            HEARTBEAT_ACK => Self::HeartbeatAck(reader.rest()),
            ABORT => {
                Self::Abort { reflected: flags & FLAG_REFLECTED != 0, causes: Causes::decode(reader.rest())? }
            }
            SHUTDOWN => Self::Shutdown { cumulative: Tsn(reader.u32().map_err(|_| wrong)?) },
            SHUTDOWN_ACK => Self::ShutdownAck,
            ERROR => Self::Error { causes: Causes::decode(reader.rest())? },
            COOKIE_ECHO => Self::CookieEcho(reader.rest()),
            COOKIE_ACK => Self::CookieAck,
            SHUTDOWN_COMPLETE => Self::ShutdownComplete { reflected: flags & FLAG_REFLECTED != 0 },
            RECONFIG => Self::Reconfig(Parameters::decode(reader.rest())?),
            FORWARD_TSN => {
                let cumulative = Tsn(reader.u32().map_err(|_| wrong)?);
                let skipped = reader.rest();
                if !skipped.len().is_multiple_of(4) {
                    return Err(wrong);
                }
                Self::ForwardTsn(ForwardTsn { cumulative, skipped })
            }
            _ => Self::Unknown { kind, flags, value: reader.rest() },
        };
        if reader.is_empty() { Ok(chunk) } else { Err(wrong) }
    }

    /// Appends the chunk and its padding, or nothing if it does not fit.
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
        if let Self::Data(data) = self {
            return data.put(out);
        }
        out.put_u8(self.kind())?;
        out.put_u8(self.flags())?;
        out.put_u16(0)?;
        match self {
            Self::Data(_) | Self::ShutdownAck | Self::CookieAck | Self::ShutdownComplete { .. } => {}
            Self::Init(init) | Self::InitAck(init) => {
                out.put_u32(init.tag)?;
                out.put_u32(init.window)?;
                out.put_u16(init.outbound)?;
                out.put_u16(init.inbound)?;
                out.put_u32(init.tsn.0)?;
                out.put(init.parameters.as_bytes())?;
            }
            Self::Sack(sack) => {
                out.put_u32(sack.cumulative.0)?;
                out.put_u32(sack.window)?;
                out.put_u16(u16::try_from(sack.gaps.len() >> 2).map_err(|_| NoSpace)?)?;
                out.put_u16(u16::try_from(sack.duplicates.len() >> 2).map_err(|_| NoSpace)?)?;
                out.put(sack.gaps)?;
                out.put(sack.duplicates)?;
            }
            Self::Heartbeat(bytes) | Self::HeartbeatAck(bytes) | Self::CookieEcho(bytes) => out.put(bytes)?,
            Self::Abort { causes, .. } | Self::Error { causes } => out.put(causes.as_bytes())?,
            Self::Shutdown { cumulative } => out.put_u32(cumulative.0)?,
            Self::Reconfig(parameters) => out.put(parameters.as_bytes())?,
            Self::ForwardTsn(forward) => {
                out.put_u32(forward.cumulative.0)?;
                out.put(forward.skipped)?;
            }
            Self::Unknown { value, .. } => out.put(value)?,
        }
        let len = u16::try_from(out.len().saturating_sub(start)).map_err(|_| NoSpace)?;
        out.patch_u16(start.saturating_add(2), len)
    }

    /// The type on the wire.
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Data(_) => DATA,
            Self::Init(_) => INIT,
            Self::InitAck(_) => INIT_ACK,
            Self::Sack(_) => SACK,
            Self::Heartbeat(_) => HEARTBEAT,
            Self::HeartbeatAck(_) => HEARTBEAT_ACK,
            Self::Abort { .. } => ABORT,
            Self::Shutdown { .. } => SHUTDOWN,
            Self::ShutdownAck => SHUTDOWN_ACK,
            Self::Error { .. } => ERROR,
            Self::CookieEcho(_) => COOKIE_ECHO,
            Self::CookieAck => COOKIE_ACK,
            Self::ShutdownComplete { .. } => SHUTDOWN_COMPLETE,
            Self::Reconfig(_) => RECONFIG,
            Self::ForwardTsn(_) => FORWARD_TSN,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    const fn flags(&self) -> u8 {
        match self {
            Self::Abort { reflected: true, .. } | Self::ShutdownComplete { reflected: true } => {
                FLAG_REFLECTED
            }
            Self::Unknown { flags, .. } => *flags,
            Self::Data(_)
            | Self::Init(_)
            | Self::InitAck(_)
            | Self::Sack(_)
            | Self::Heartbeat(_)
            | Self::HeartbeatAck(_)
            | Self::Abort { .. }
            | Self::Shutdown { .. }
            | Self::ShutdownAck
            | Self::Error { .. }
            | Self::CookieEcho(_)
            | Self::CookieAck
            | Self::ShutdownComplete { .. }
            | Self::Reconfig(_)
            | Self::ForwardTsn(_) => 0,
        }
    }
}

impl Data<'_> {
    /// Appends the chunk without padding.
    fn put(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let len = self.payload.len().checked_add(super::DATA_HEADER_LEN).ok_or(NoSpace)?;
        let [l0, l1] = u16::try_from(len).map_err(|_| NoSpace)?.to_be_bytes();
        let flags = (if self.immediate { FLAG_IMMEDIATE } else { 0 })
            | (if self.unordered { FLAG_UNORDERED } else { 0 })
            | (if self.begin { FLAG_BEGIN } else { 0 })
            | (if self.end { FLAG_END } else { 0 });
        let [t0, t1, t2, t3] = self.tsn.0.to_be_bytes();
        let [s0, s1] = self.stream.0.to_be_bytes();
        let [n0, n1] = self.ssn.0.to_be_bytes();
        let [p0, p1, p2, p3] = self.ppid.0.to_be_bytes();
        out.put(&[DATA, flags, l0, l1, t0, t1, t2, t3, s0, s1, n0, n1, p0, p1, p2, p3])?;
        out.put(self.payload)
    }
}

/// Appends a SACK chunk with at most `max_gaps` of `gaps` and at most `max_duplicates` of
/// `duplicates`; fewer if there is no room. Nothing is written if not even an empty one fits.
pub fn put_sack(
    out: &mut Writer<'_>,
    cumulative: Tsn,
    window: u32,
    gaps: impl Iterator<Item = (u16, u16)>,
    duplicates: &[Tsn],
) -> Result<(), NoSpace> {
    let start = out.len();
    if out.room() < SACK_LEN {
        return Err(NoSpace);
    }
    let [c0, c1, c2, c3] = cumulative.0.to_be_bytes();
    let [w0, w1, w2, w3] = window.to_be_bytes();
    out.put(&[SACK, 0, 0, 0, c0, c1, c2, c3, w0, w1, w2, w3, 0, 0, 0, 0])?;
    let mut gap_count: u16 = 0;
    for (first, last) in gaps {
        if out.room() < 4 || gap_count == u16::MAX {
            break;
        }
        out.put_u16(first)?;
        out.put_u16(last)?;
        gap_count = gap_count.saturating_add(1);
    }
    let mut duplicate_count: u16 = 0;
    for tsn in duplicates {
        if out.put_u32(tsn.0).is_err() {
            break;
        }
        duplicate_count = duplicate_count.saturating_add(1);
    }
    let len = u16::try_from(out.len().saturating_sub(start)).map_err(|_| NoSpace)?;
    out.patch_u16(start.saturating_add(2), len)?;
    out.patch_u16(start.saturating_add(12), gap_count)?;
    out.patch_u16(start.saturating_add(14), duplicate_count)
}

fn read_init<'a>(reader: &mut Reader<'a>, wrong: DecodeError) -> Result<Init<'a>, DecodeError> {
    Ok(Init {
        tag: reader.u32().map_err(|_| wrong)?,
        window: reader.u32().map_err(|_| wrong)?,
        outbound: reader.u16().map_err(|_| wrong)?,
        inbound: reader.u16().map_err(|_| wrong)?,
        tsn: Tsn(reader.u32().map_err(|_| wrong)?),
        parameters: Parameters::decode(reader.rest())?,
    })
}

fn read_sack<'a>(reader: &mut Reader<'a>) -> Option<Sack<'a>> {
    let cumulative = Tsn(reader.u32().ok()?);
    let window = reader.u32().ok()?;
    let gap_count = usize::from(reader.u16().ok()?);
    let duplicate_count = usize::from(reader.u16().ok()?);
    let gaps = reader.take(gap_count.saturating_mul(4)).ok()?;
    let duplicates = reader.take(duplicate_count.saturating_mul(4)).ok()?;
    Some(Sack { cumulative, window, gaps, duplicates })
}

const SACK_LEN: usize = 16;
const FLAG_END: u8 = 1;
const FLAG_BEGIN: u8 = 2;
const FLAG_UNORDERED: u8 = 4;
const FLAG_IMMEDIATE: u8 = 8;
const FLAG_REFLECTED: u8 = 1;
const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const SACK: u8 = 3;
const HEARTBEAT: u8 = 4;
const HEARTBEAT_ACK: u8 = 5;
const ABORT: u8 = 6;
const SHUTDOWN: u8 = 7;
const SHUTDOWN_ACK: u8 = 8;
const ERROR: u8 = 9;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
const SHUTDOWN_COMPLETE: u8 = 14;
const RECONFIG: u8 = 130;
const FORWARD_TSN: u8 = 192;
