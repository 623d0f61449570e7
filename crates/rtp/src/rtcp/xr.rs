use proto::{NoSpace, Reader, Writer};

use super::{EXTENDED_REPORT, Encoder, Raw};
use crate::{DecodeError, NtpTime, Ssrc};

/// More of how reception goes, in blocks (RFC 3611 §2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExtendedReport<'a> {
    /// Who reports.
    pub ssrc: Ssrc,
    blocks: &'a [u8],
}

/// A block of an extended report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum XrBlock<'a> {
    /// Now, by the clock of who only receives (RFC 3611 §4.4).
    ReferenceTime(NtpTime),
    /// What tells receivers how far they are (RFC 3611 §4.5).
    Delays(ReceiverDelays<'a>),
    /// Another block, as bytes.
    Other {
        /// The block type.
        kind: u8,
        /// What the type says of the second byte.
        specific: u8,
        /// What follows the first four bytes, in whole words.
        data: &'a [u8],
    },
}

/// The entries of a block of delays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReceiverDelays<'a>(&'a [[u8; 12]]);

impl<'a> ReceiverDelays<'a> {
    /// Of each receiver.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = ReceiverDelay> + Clone + use<'a> {
        self.0.iter().map(|bytes| {
            let ([a, b, c], _) = bytes.as_chunks() else { return ReceiverDelay::default() };
            let [ssrc, last_rr, delay_since_last_rr] = [a, b, c].map(|word| u32::from_be_bytes(*word));
            ReceiverDelay { ssrc: Ssrc(ssrc), last_rr, delay_since_last_rr }
        })
    }
}

/// What tells a receiver how far it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReceiverDelay {
    /// Which receiver.
    pub ssrc: Ssrc,
    /// The middle of the time in its last block of reference time; zero if there was none.
    pub last_rr: u32,
    /// How long ago that was, in units of 2⁻¹⁶ s.
    pub delay_since_last_rr: u32,
}

impl<'a> ExtendedReport<'a> {
    pub(super) fn decode(raw: &Raw<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(raw.body);
        let ssrc = Ssrc(reader.u32()?);
        let blocks = reader.peek();
        while !reader.is_empty() {
            XrBlock::read(&mut reader)?;
        }
        Ok(Self { ssrc, blocks })
    }

    /// The blocks in their order.
    pub fn blocks(&self) -> impl Iterator<Item = XrBlock<'a>> + Clone + use<'a> {
        let mut reader = Reader::new(self.blocks);
        std::iter::from_fn(move || XrBlock::read(&mut reader).ok())
    }
}

impl<'a> XrBlock<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let [kind, specific] = reader.array()?;
        let words = usize::from(reader.u16()?);
        let data = reader.take(words.saturating_mul(4))?;
        match kind {
            REFERENCE_TIME => {
                let time = <[u8; 8]>::try_from(data).map_err(|_| DecodeError::Length)?;
                Ok(Self::ReferenceTime(NtpTime(u64::from_be_bytes(time))))
            }
            DELAYS => {
                let (entries, rest) = data.as_chunks();
                if rest.is_empty() {
                    Ok(Self::Delays(ReceiverDelays(entries)))
                } else {
                    Err(DecodeError::Length)
                }
            }
            _ => Ok(Self::Other { kind, specific, data }),
        }
    }
}

/// Writes the blocks of an extended report.
#[derive(Debug)]
pub struct XrEncoder<'w, 'm> {
    out: &'w mut Writer<'m>,
}

impl XrEncoder<'_, '_> {
    /// Adds the time now, by our clock.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub fn reference_time(&mut self, now: NtpTime) -> Result<(), NoSpace> {
        self.other(REFERENCE_TIME, 0, &now.0.to_be_bytes())
    }

    /// Tells receivers how far they are.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub fn delays(&mut self, delays: impl IntoIterator<Item = ReceiverDelay>) -> Result<(), NoSpace> {
        let start = self.out.len();
        self.out.put(&[DELAYS, 0, 0, 0])?;
        for delay in delays {
            self.out.put_u32(delay.ssrc.0)?;
            self.out.put_u32(delay.last_rr)?;
            self.out.put_u32(delay.delay_since_last_rr)?;
        }
        let words = (self.out.len().saturating_sub(start) / 4).saturating_sub(1);
        self.out.patch_u16(start.saturating_add(2), u16::try_from(words).map_err(|_| NoSpace)?)
    }

    /// Adds a block of any type.
    ///
    /// # Errors
    ///
    /// There is no room, or the data are no whole words.
    pub fn other(&mut self, kind: u8, specific: u8, data: &[u8]) -> Result<(), NoSpace> {
        if !data.len().is_multiple_of(4) {
            return Err(NoSpace);
        }
        self.out.put(&[kind, specific])?;
        self.out.put_u16(u16::try_from(data.len() / 4).map_err(|_| NoSpace)?)?;
        self.out.put(data)
    }

    /// Adds a block as it was read.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub fn block(&mut self, block: &XrBlock<'_>) -> Result<(), NoSpace> {
        match block {
            XrBlock::ReferenceTime(time) => self.reference_time(*time),
            XrBlock::Delays(delays) => self.delays(delays.entries()),
            XrBlock::Other { kind, specific, data } => self.other(*kind, *specific, data),
        }
    }
}

impl Encoder<'_, '_> {
    /// Adds an extended report with the blocks that `write` writes.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub fn extended_report(
        &mut self,
        ssrc: Ssrc,
        write: impl FnOnce(&mut XrEncoder<'_, '_>) -> Result<(), NoSpace>,
    ) -> Result<(), NoSpace> {
        self.write(EXTENDED_REPORT, 0, |out| {
            out.put_u32(ssrc.0)?;
            write(&mut XrEncoder { out })
        })
    }
}

const REFERENCE_TIME: u8 = 4;
const DELAYS: u8 = 5;
