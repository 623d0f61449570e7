use proto::{Ecn, NoSpace, Reader};

use super::{CONGESTION_CONTROL, Encoder, TRANSPORT_FEEDBACK};
use crate::{DecodeError, SequenceNumber, Ssrc};

/// When packets of each stream have arrived, and with what marks (RFC 8888 §3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CongestionControl<'a> {
    /// Who says it.
    pub sender: Ssrc,
    /// When it was said: the middle of an NTP time, in units of 2⁻¹⁶ s.
    pub timestamp: u32,
    streams: &'a [u8],
}

/// The packets of one stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StreamReport<'a> {
    /// Which stream.
    pub ssrc: Ssrc,
    /// The first packet.
    pub begin: SequenceNumber,
    metrics: &'a [[u8; 2]],
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PacketStatus {
    /// It has not come.
    Lost,
    /// It has come.
    Received {
        /// With what mark.
        ecn: Option<Ecn>,
        /// How long before the report, in units of 1/1,024 s; 8,190 for anything longer than 8,189. `None`
        /// if that is not known.
        offset: Option<u16>,
    },
}

impl PacketStatus {
    fn of(metric: u16) -> Self {
        if metric & RECEIVED == 0 {
            return Self::Lost;
        }
        let ecn = match (metric >> 13) & 3 {
            0 => None,
            1 => Some(Ecn::Ect1),
            2 => Some(Ecn::Ect0),
            _ => Some(Ecn::Ce),
        };
        Self::Received { ecn, offset: Some(metric & UNKNOWN).filter(|offset| *offset != UNKNOWN) }
    }

    fn metric(self) -> u16 {
        let Self::Received { ecn, offset } = self else { return 0 };
        let ecn = match ecn {
            None => 0,
            Some(Ecn::Ect1) => 1,
            Some(Ecn::Ect0) => 2,
            Some(Ecn::Ce) => 3,
        };
        RECEIVED | ecn << 13 | offset.map_or(UNKNOWN, |offset| offset.min(UNKNOWN - 1))
    }
}

impl<'a> CongestionControl<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let sender = Ssrc(reader.u32()?);
        let len = reader.remaining().checked_sub(4).ok_or(DecodeError::Truncated)?;
        let streams = reader.take(len)?;
        let mut rest = Reader::new(streams);
        while !rest.is_empty() {
            StreamReport::read(&mut rest)?;
        }
        Ok(Self { sender, timestamp: reader.u32()?, streams })
    }

    /// The streams in their order.
    pub fn streams(&self) -> impl Iterator<Item = StreamReport<'a>> + Clone + use<'a> {
        let mut reader = Reader::new(self.streams);
        std::iter::from_fn(move || StreamReport::read(&mut reader).ok())
    }
}

impl<'a> StreamReport<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (ssrc, begin) = (Ssrc(reader.u32()?), SequenceNumber(reader.u16()?));
        let count = usize::from(reader.u16()?);
        if count > MAX_METRICS {
            return Err(DecodeError::Value);
        }
        let (metrics, _) = reader.take(count.saturating_mul(2))?.as_chunks();
        if count % 2 == 1 {
            reader.u16()?;
        }
        Ok(Self { ssrc, begin, metrics })
    }

    /// What became of each packet, from [`begin`](Self::begin) on.
    pub fn statuses(&self) -> impl ExactSizeIterator<Item = PacketStatus> + Clone + use<'a> {
        self.metrics.iter().map(|metric| PacketStatus::of(u16::from_be_bytes(*metric)))
    }

    /// The same with their numbers.
    pub fn packets(&self) -> impl Iterator<Item = (SequenceNumber, PacketStatus)> + Clone + use<'a> {
        let begin = self.begin;
        (0..).zip(self.statuses()).map(move |(at, status)| (begin.wrapping_add(at), status))
    }
}

impl Encoder<'_, '_> {
    /// Says when packets of streams have arrived: of each its first packet, and what became of that and
    /// those behind it, at most [`MAX_METRICS`].
    ///
    /// # Errors
    ///
    /// There is no room, or a stream has too many packets.
    pub fn congestion_control<S>(
        &mut self,
        sender: Ssrc,
        timestamp: u32,
        streams: impl IntoIterator<Item = (Ssrc, SequenceNumber, S)>,
    ) -> Result<(), NoSpace>
    where
        S: IntoIterator<Item = PacketStatus>,
    {
        self.write(TRANSPORT_FEEDBACK, CONGESTION_CONTROL, |out| {
            out.put_u32(sender.0)?;
            for (ssrc, begin, statuses) in streams {
                out.put_u32(ssrc.0)?;
                out.put_u16(begin.0)?;
                let count_at = out.len();
                out.put_u16(0)?;
                let mut count = 0_usize;
                for status in statuses {
                    out.put_u16(status.metric())?;
                    count = count.saturating_add(1);
                }
                if count > MAX_METRICS {
                    return Err(NoSpace);
                }
                out.put_zeros((count % 2).saturating_mul(2))?;
                out.patch_u16(count_at, u16::try_from(count).map_err(|_| NoSpace)?)?;
            }
            out.put_u32(timestamp)
        })
    }
}

/// How many packets of a stream a report tells of (RFC 8888 §3.1).
pub const MAX_METRICS: usize = 16_384;

const RECEIVED: u16 = 0x8000;
/// The offset of what has come at a time that is not known.
const UNKNOWN: u16 = 0x1fff;
