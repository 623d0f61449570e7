use std::time::Duration;

use proto::{NoSpace, Reader};

use super::{Encoder, Feedback, FeedbackClass, TRANSPORT_CC};
use crate::{DecodeError, SequenceNumber, Ssrc};

/// When packets of the transport have arrived (draft-holmer-rmcat-transport-wide-cc-extensions §3.1).
///
/// Few bytes can claim many packets. So [`statuses`](Self::statuses) gives those that are missing as runs, and
/// what it takes is in proportion to the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TransportCc<'a> {
    /// Who says it.
    pub sender: Ssrc,
    /// A stream of the transport.
    pub media: Ssrc,
    /// The first packet.
    pub base: SequenceNumber,
    /// How many packets it is about.
    pub count: u16,
    /// From when times are counted: 24 bits with a sign, in units of 64 ms; wraps.
    pub reference: i32,
    /// Which feedback it is; wraps.
    pub feedback_count: u8,
    chunks: &'a [[u8; 2]],
    deltas: Option<&'a [u8]>,
}

/// Packets that follow each other and of which the same is to be said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TransportRun {
    /// The first.
    pub first: SequenceNumber,
    /// How many: one, if a time is told.
    pub count: u16,
    /// What became of them.
    pub status: TransportStatus,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TransportStatus {
    /// It has not come.
    Lost,
    /// It has come.
    Received {
        /// When, by the clock of who says it, in [`TICK`]s. `None` in feedback without times.
        ticks: Option<i64>,
    },
}

impl<'a> TransportCc<'a> {
    pub(super) fn decode(it: &Feedback<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(it.information);
        let (base, count) = (SequenceNumber(reader.u16()?), reader.u16()?);
        let reference = reader.u24()?.wrapping_shl(8).cast_signed() >> 8;
        let feedback_count = reader.u8()?;
        let rest = reader.rest();
        let (words, _) = rest.as_chunks();
        let (mut left, mut used, mut needed) = (usize::from(count), 0_usize, 0_usize);
        while left > 0 {
            let chunk = Symbols::of(words.get(used).ok_or(DecodeError::Truncated)?);
            used = used.saturating_add(1);
            let (symbols, len) = chunk.delta_len(left).ok_or(DecodeError::Value)?;
            left = left.saturating_sub(symbols);
            needed = needed.saturating_add(len);
        }
        let chunks = words.get(..used).unwrap_or_default();
        let deltas = rest.get(used.saturating_mul(2)..).unwrap_or_default();
        let deltas = match deltas.get(..needed) {
            Some(deltas) => Some(deltas),
            // Without times nothing stands here but what fills the last word.
            None if deltas.len() < 4 => None,
            None => return Err(DecodeError::Truncated),
        };
        Ok(Self {
            sender: it.sender,
            media: it.media,
            base,
            count,
            reference,
            feedback_count,
            chunks,
            deltas,
        })
    }

    /// What became of the packets, in the order of their numbers.
    pub fn statuses(&self) -> Statuses<'a> {
        Statuses {
            chunks: self.chunks.iter(),
            symbols: Symbols::Run(LOST, 0),
            left: self.count,
            next: self.base,
            deltas: self.deltas.map(Reader::new),
            ticks: i64::from(self.reference).saturating_mul(TICKS_PER_REFERENCE),
        }
    }

    /// The packets that have come and when, in [`TICK`]s, in the order of their numbers; none in feedback
    /// without times.
    pub fn received(&self) -> impl Iterator<Item = (SequenceNumber, i64)> + Clone + use<'a> {
        self.statuses().filter_map(|run| match run.status {
            TransportStatus::Received { ticks } => Some((run.first, ticks?)),
            TransportStatus::Lost => None,
        })
    }
}

/// What became of packets, in the order of their numbers.
#[derive(Clone, Debug)]
pub struct Statuses<'a> {
    chunks: std::slice::Iter<'a, [u8; 2]>,
    symbols: Symbols,
    left: u16,
    next: SequenceNumber,
    deltas: Option<Reader<'a>>,
    ticks: i64,
}

impl Iterator for Statuses<'_> {
    type Item = TransportRun;

    fn next(&mut self) -> Option<TransportRun> {
        if self.left == 0 {
            return None;
        }
        if self.symbols.is_empty() {
            self.symbols = Symbols::of(self.chunks.next()?);
        }
        let (symbol, same) = self.symbols.first();
        let (count, status) = match (symbol, &mut self.deltas) {
            (LOST, _) => (same.min(self.left), TransportStatus::Lost),
            (_, None) => (same.min(self.left), TransportStatus::Received { ticks: None }),
            (_, Some(deltas)) => {
                let delta = match symbol {
                    SMALL => deltas.u8().ok()?.into(),
                    _ => i64::from(deltas.u16().ok()?.cast_signed()),
                };
                self.ticks = self.ticks.saturating_add(delta);
                (1, TransportStatus::Received { ticks: Some(self.ticks) })
            }
        };
        let first = self.next;
        self.symbols.skip(count);
        self.left = self.left.saturating_sub(count);
        self.next = first.wrapping_add(count);
        Some(TransportRun { first, count, status })
    }
}

/// What is left of a chunk.
#[derive(Clone, Copy, Debug)]
enum Symbols {
    /// One symbol so many times.
    Run(u16, u16),
    /// Symbols of one bit from the top, and how many.
    One(u16, u16),
    /// Symbols of two bits from the top, and how many.
    Two(u16, u16),
}

impl Symbols {
    fn of(chunk: &[u8; 2]) -> Self {
        let chunk = u16::from_be_bytes(*chunk);
        match chunk >> 14 {
            0 | 1 => Self::Run((chunk >> 13) & 3, chunk & 0x1fff),
            2 => Self::One(chunk << 2, VECTOR_ONE),
            _ => Self::Two(chunk << 2, VECTOR_TWO),
        }
    }

    const fn is_empty(&self) -> bool {
        let (Self::Run(_, count) | Self::One(_, count) | Self::Two(_, count)) = self;
        *count == 0
    }

    /// The first symbol, and how many like it follow, itself among them.
    fn first(&self) -> (u16, u16) {
        match *self {
            Self::Run(symbol, count) => (symbol, count),
            Self::One(bits, count) => {
                let same = if bits & TOP == 0 { bits.leading_zeros() } else { bits.leading_ones() };
                (bits >> 15, u16::try_from(same).unwrap_or(count).min(count))
            }
            Self::Two(bits, count) => {
                let symbol = bits >> 14;
                // The same symbol in all places: where they differ, the run ends.
                let same = (bits ^ symbol.wrapping_mul(0x5555)).leading_zeros() / 2;
                (symbol, u16::try_from(same).unwrap_or(count).min(count))
            }
        }
    }

    fn skip(&mut self, symbols: u16) {
        *self = match *self {
            Self::Run(symbol, count) => Self::Run(symbol, count.saturating_sub(symbols)),
            Self::One(bits, count) => {
                Self::One(bits.checked_shl(symbols.into()).unwrap_or(0), count.saturating_sub(symbols))
            }
            Self::Two(bits, count) => {
                let shift = u32::from(symbols).saturating_mul(2);
                Self::Two(bits.checked_shl(shift).unwrap_or(0), count.saturating_sub(symbols))
            }
        };
    }

    /// How many of at most `left` symbols there are, and how many bytes of time they have. `None` if one has
    /// no meaning, or a run has no length and so leads nowhere.
    fn delta_len(self, left: usize) -> Option<(usize, usize)> {
        let (Self::Run(_, count) | Self::One(_, count) | Self::Two(_, count)) = self;
        let symbols = usize::from(count).min(left);
        // From the top, what is not behind the last symbol.
        let upto = |width: usize| {
            let unused = 16_u32.saturating_sub(u32::try_from(symbols.saturating_mul(width)).unwrap_or(16));
            u16::MAX.checked_shl(unused).unwrap_or(0)
        };
        let len = match self {
            Self::Run(_, 0) | Self::Run(RESERVED.., _) => return None,
            Self::Run(symbol, _) => symbols.saturating_mul(symbol.into()),
            Self::One(bits, _) => ones(bits & upto(1)),
            Self::Two(bits, _) => {
                let (large, small) = (bits & upto(2) & 0xaaaa, bits & upto(2) & 0x5555);
                if large >> 1 & small != 0 {
                    return None;
                }
                ones(large).saturating_mul(2).saturating_add(ones(small))
            }
        };
        Some((symbols, len))
    }
}

fn ones(bits: u16) -> usize {
    usize::try_from(bits.count_ones()).unwrap_or_default()
}

impl Encoder<'_, '_> {
    /// Adds feedback on the transport as it was read.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub(super) fn transport_cc_as_is(&mut self, it: &TransportCc<'_>) -> Result<(), NoSpace> {
        self.feedback_with(FeedbackClass::Transport, TRANSPORT_CC, it.sender, it.media, |out| {
            out.put_u16(it.base.0)?;
            out.put_u16(it.count)?;
            out.put_u24(it.reference.cast_unsigned())?;
            out.put_u8(it.feedback_count)?;
            out.put(it.chunks.as_flattened())?;
            out.put(it.deltas.unwrap_or_default())
        })
    }
}

/// In what times of arrival are told.
pub const TICK: Duration = Duration::from_micros(250);
/// How many of them are one of [`TransportCc::reference`].
pub const TICKS_PER_REFERENCE: i64 = 256;

pub(super) const LOST: u16 = 0;
pub(super) const SMALL: u16 = 1;
pub(super) const LARGE: u16 = 2;
const RESERVED: u16 = 3;
pub(super) const VECTOR_ONE: u16 = 14;
pub(super) const VECTOR_TWO: u16 = 7;

const TOP: u16 = 0x8000;
