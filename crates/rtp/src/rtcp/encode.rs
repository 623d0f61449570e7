use proto::{NoSpace, Writer};

use super::{Packet, Raw};
use crate::packet::{PADDING, VERSION};

/// Writes a datagram of RTCP, packet by packet. A packet that does not fit leaves those before it as they are.
///
/// A datagram of full size begins with a report, and has a description of its source (RFC 3550 §6.1).
#[derive(Debug)]
pub struct Encoder<'w, 'm> {
    out: &'w mut Writer<'m>,
    /// Where the last packet begins.
    last: Option<usize>,
}

impl<'w, 'm> Encoder<'w, 'm> {
    /// Begins a datagram behind what `out` holds.
    pub const fn new(out: &'w mut Writer<'m>) -> Self {
        Self { out, last: None }
    }

    /// How many bytes can still be written.
    pub const fn room(&self) -> usize {
        self.out.room()
    }

    /// Adds a packet as it was read.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub fn packet(&mut self, packet: &Packet<'_>) -> Result<(), NoSpace> {
        match packet {
            Packet::SenderReport(it) => self.sender_report(it.ssrc, it.info, it.reports(), it.extension),
            Packet::ReceiverReport(it) => self.receiver_report(it.ssrc, it.reports(), it.extension),
            Packet::SourceDescription(it) => {
                self.source_description(it.chunks().map(|chunk| (chunk.ssrc, chunk.items())))
            }
            Packet::Goodbye(it) => self.goodbye(it.sources(), it.reason),
            Packet::App(it) => self.app(it),
            Packet::Nack(it) => self.nack_entries(it.sender, it.media, it.entries()),
            Packet::Tmmbr(it) => self.tmmbr(it.sender, it.entries()),
            Packet::Tmmbn(it) => self.tmmbn(it.sender, it.entries()),
            Packet::TransportCc(it) => self.transport_cc_as_is(it),
            Packet::CongestionControl(it) => {
                let streams = it.streams().map(|stream| (stream.ssrc, stream.begin, stream.statuses()));
                self.congestion_control(it.sender, it.timestamp, streams)
            }
            Packet::Pli(it) => self.pli(it.sender, it.media),
            Packet::Fir(it) => self.fir(it.sender, it.entries()),
            Packet::Remb(it) => self.remb(it.sender, it.bitrate, it.sources()),
            Packet::ExtendedReport(it) => {
                self.extended_report(it.ssrc, |xr| it.blocks().try_for_each(|block| xr.block(&block)))
            }
            Packet::SliceLoss(it) | Packet::ReferencePicture(it) | Packet::Feedback(it) => self.feedback(it),
            Packet::Other(it) => self.raw(it),
        }
    }

    /// Adds a packet by its header. Padding is not repeated; what lacks to a whole word is.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub fn raw(&mut self, raw: &Raw<'_>) -> Result<(), NoSpace> {
        self.write(raw.kind, raw.count, |out| out.put(raw.body))
    }

    /// Puts `count` bytes of padding, a multiple of four, at the end of the last packet (RFC 3550 §6.4.1).
    ///
    /// # Errors
    ///
    /// There is no room, no packet, or padding already, or the number is none that can be.
    pub fn pad(&mut self, count: u8) -> Result<(), NoSpace> {
        let last = self.last.filter(|_| count.is_multiple_of(4)).ok_or(NoSpace)?;
        let first = self.out.written_mut(last).first().copied().filter(|first| first & PADDING == 0);
        let first = first.ok_or(NoSpace)?;
        if usize::from(count) > self.out.room() {
            return Err(NoSpace);
        }
        if let Some(zeros) = count.checked_sub(1) {
            let words =
                words_behind_header(self.out.len().saturating_sub(last).saturating_add(count.into()))?;
            self.out.put_zeros(zeros.into())?;
            self.out.put_u8(count)?;
            self.out.patch(last, &[first | PADDING])?;
            self.out.patch_u16(last.saturating_add(2), words)?;
        }
        Ok(())
    }

    /// A packet whose body `write` writes. What lacks to a whole word is put behind it as padding.
    pub(super) fn write<T>(
        &mut self,
        kind: u8,
        count: u8,
        write: impl FnOnce(&mut Writer<'m>) -> Result<T, NoSpace>,
    ) -> Result<T, NoSpace> {
        let start = self.out.len();
        let written = Self::try_write(self.out, kind, count, write);
        match written {
            Ok(_) => self.last = Some(start),
            Err(NoSpace) => self.out.truncate(start),
        }
        written
    }

    fn try_write<T>(
        out: &mut Writer<'m>,
        kind: u8,
        count: u8,
        write: impl FnOnce(&mut Writer<'m>) -> Result<T, NoSpace>,
    ) -> Result<T, NoSpace> {
        if count > MAX_COUNT {
            return Err(NoSpace);
        }
        let start = out.len();
        out.put(&[VERSION << 6 | count, kind, 0, 0])?;
        let result = write(out)?;
        let len = out.len().saturating_sub(start);
        let lacking = len.div_ceil(4).saturating_mul(4).saturating_sub(len);
        if let Some(zeros) = lacking.checked_sub(1) {
            out.put_zeros(zeros)?;
            out.put_u8(u8::try_from(lacking).map_err(|_| NoSpace)?)?;
            out.patch(start, &[VERSION << 6 | PADDING | count])?;
        }
        let words = words_behind_header(out.len().saturating_sub(start))?;
        out.patch_u16(start.saturating_add(2), words)?;
        Ok(result)
    }

    /// A packet whose header counts what `write` gives the number of.
    pub(super) fn write_counted(
        &mut self,
        kind: u8,
        write: impl FnOnce(&mut Writer<'m>) -> Result<usize, NoSpace>,
    ) -> Result<(), NoSpace> {
        let start = self.out.len();
        let last = self.last;
        let items = self.write(kind, 0, write)?;
        let Some(count) = u8::try_from(items).ok().filter(|count| *count <= MAX_COUNT) else {
            self.out.truncate(start);
            self.last = last;
            return Err(NoSpace);
        };
        let first = self.out.written_mut(start).first().copied().unwrap_or_default();
        self.out.patch(start, &[first | count])
    }
}

/// The length that a header has: words of four bytes, without the first.
fn words_behind_header(len: usize) -> Result<u16, NoSpace> {
    u16::try_from((len / 4).saturating_sub(1)).map_err(|_| NoSpace)
}

/// What five bits count.
const MAX_COUNT: u8 = 31;
