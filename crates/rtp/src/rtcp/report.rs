use proto::{NoSpace, Reader, Writer};

use super::{Encoder, RECEIVER_REPORT, Raw, SENDER_REPORT};
use crate::{DecodeError, NtpTime, RtpTimestamp, Ssrc};

/// What a sender says of its own stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SenderInfo {
    /// Now.
    pub ntp: NtpTime,
    /// Now, by the clock of the stream.
    pub rtp: RtpTimestamp,
    /// Packets that were sent.
    pub packet_count: u32,
    /// Bytes of payload that were sent.
    pub octet_count: u32,
}

/// How a stream is received (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReportBlock {
    /// Which stream.
    pub ssrc: Ssrc,
    /// What part was lost since the last report, in units of 1/256.
    pub fraction_lost: u8,
    /// How many packets were lost since the beginning; negative with duplicates. 24 bits.
    pub cumulative_lost: i32,
    /// The highest sequence number, with the number of times that it wrapped above it.
    pub highest_sequence: u32,
    /// How arrival times vary, in ticks of the stream's clock.
    pub jitter: u32,
    /// The middle of the time in the last sender report; zero if there was none.
    pub last_sr: u32,
    /// How long ago that was, in units of 2⁻¹⁶ s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    fn of(bytes: &[u8; LEN]) -> Self {
        Self::read(&mut Reader::new(bytes)).unwrap_or_default()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            ssrc: Ssrc(reader.u32()?),
            fraction_lost: reader.u8()?,
            cumulative_lost: reader.u24()?.wrapping_shl(8).cast_signed() >> 8,
            highest_sequence: reader.u32()?,
            jitter: reader.u32()?,
            last_sr: reader.u32()?,
            delay_since_last_sr: reader.u32()?,
        })
    }

    /// What does not go into 24 bits is the nearest that does (RFC 3550 A.3).
    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u32(self.ssrc.0)?;
        out.put_u8(self.fraction_lost)?;
        out.put_u24(self.cumulative_lost.clamp(-(1 << 23), (1 << 23) - 1).cast_unsigned())?;
        out.put_u32(self.highest_sequence)?;
        out.put_u32(self.jitter)?;
        out.put_u32(self.last_sr)?;
        out.put_u32(self.delay_since_last_sr)
    }
}

/// A report of who sends: on its own stream and on those that it receives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SenderReport<'a> {
    /// Who reports.
    pub ssrc: Ssrc,
    /// On its own stream.
    pub info: SenderInfo,
    blocks: &'a [[u8; LEN]],
    /// What a profile adds, in whole words.
    pub extension: &'a [u8],
}

impl<'a> SenderReport<'a> {
    pub(super) fn decode(raw: &Raw<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(raw.body);
        let ssrc = Ssrc(reader.u32()?);
        let info = SenderInfo {
            ntp: NtpTime(reader.u64()?),
            rtp: RtpTimestamp(reader.u32()?),
            packet_count: reader.u32()?,
            octet_count: reader.u32()?,
        };
        let blocks = blocks(&mut reader, raw.count)?;
        Ok(Self { ssrc, info, blocks, extension: reader.rest() })
    }

    /// On streams that it receives, at most 31.
    pub fn reports(&self) -> impl ExactSizeIterator<Item = ReportBlock> + Clone + use<'a> {
        self.blocks.iter().map(ReportBlock::of)
    }
}

/// A report of who only receives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReceiverReport<'a> {
    /// Who reports.
    pub ssrc: Ssrc,
    blocks: &'a [[u8; LEN]],
    /// What a profile adds, in whole words.
    pub extension: &'a [u8],
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn decode(raw: &Raw<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(raw.body);
        let ssrc = Ssrc(reader.u32()?);
        let blocks = blocks(&mut reader, raw.count)?;
        Ok(Self { ssrc, blocks, extension: reader.rest() })
    }

    /// On streams that it receives, at most 31.
    pub fn reports(&self) -> impl ExactSizeIterator<Item = ReportBlock> + Clone + use<'a> {
        self.blocks.iter().map(ReportBlock::of)
    }
}

impl Encoder<'_, '_> {
    /// Adds a sender report, with at most 31 blocks. `extension` is what a profile adds, in whole words.
    ///
    /// # Errors
    ///
    /// There is no room, or there are too many blocks.
    pub fn sender_report(
        &mut self,
        ssrc: Ssrc,
        info: SenderInfo,
        reports: impl IntoIterator<Item = ReportBlock>,
        extension: &[u8],
    ) -> Result<(), NoSpace> {
        self.write_counted(SENDER_REPORT, |out| {
            out.put_u32(ssrc.0)?;
            out.put_u64(info.ntp.0)?;
            out.put_u32(info.rtp.0)?;
            out.put_u32(info.packet_count)?;
            out.put_u32(info.octet_count)?;
            put_blocks(out, reports, extension)
        })
    }

    /// Adds a receiver report, with at most 31 blocks. `extension` is what a profile adds, in whole words.
    ///
    /// # Errors
    ///
    /// There is no room, or there are too many blocks.
    pub fn receiver_report(
        &mut self,
        ssrc: Ssrc,
        reports: impl IntoIterator<Item = ReportBlock>,
        extension: &[u8],
    ) -> Result<(), NoSpace> {
        self.write_counted(RECEIVER_REPORT, |out| {
            out.put_u32(ssrc.0)?;
            put_blocks(out, reports, extension)
        })
    }
}

fn blocks<'a>(reader: &mut Reader<'a>, count: u8) -> Result<&'a [[u8; LEN]], DecodeError> {
    let (blocks, _) = reader.take(usize::from(count).saturating_mul(LEN))?.as_chunks();
    Ok(blocks)
}

fn put_blocks(
    out: &mut Writer<'_>,
    reports: impl IntoIterator<Item = ReportBlock>,
    extension: &[u8],
) -> Result<usize, NoSpace> {
    let mut count = 0_usize;
    for report in reports {
        report.write(out)?;
        count = count.saturating_add(1);
    }
    out.put(extension)?;
    Ok(count)
}

const LEN: usize = 24;
