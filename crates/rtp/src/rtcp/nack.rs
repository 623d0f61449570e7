use proto::{NoSpace, Writer};

use super::{Encoder, Feedback, FeedbackClass, NACK};
use crate::{DecodeError, SequenceNumber, Ssrc};

/// Packets are missing (RFC 4585 §6.2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Nack<'a> {
    /// Who misses them.
    pub sender: Ssrc,
    /// Whose they are.
    pub media: Ssrc,
    entries: &'a [[u8; 4]],
}

/// A packet that is missing, and which of the sixteen behind it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NackEntry {
    /// The first.
    pub first: SequenceNumber,
    /// The next one in bit 0, and so on.
    pub following: u16,
}

impl NackEntry {
    /// All that are missing, in their order.
    pub fn lost(self) -> impl Iterator<Item = SequenceNumber> + Clone {
        let following = (0..16_u16).filter(move |bit| self.following.wrapping_shr((*bit).into()) & 1 != 0);
        let following = following.map(move |bit| self.first.wrapping_add(bit).next());
        std::iter::once(self.first).chain(following)
    }
}

impl<'a> Nack<'a> {
    pub(super) fn decode(it: &Feedback<'a>) -> Result<Self, DecodeError> {
        Ok(Self { sender: it.sender, media: it.media, entries: it.entries()? })
    }

    /// The entries as they stand.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = NackEntry> + Clone + use<'a> {
        self.entries.iter().map(|[a, b, c, d]| NackEntry {
            first: SequenceNumber(u16::from_be_bytes([*a, *b])),
            following: u16::from_be_bytes([*c, *d]),
        })
    }

    /// The numbers of all that are missing: at most 17 for each four bytes.
    pub fn lost(&self) -> impl Iterator<Item = SequenceNumber> + Clone + use<'a> {
        self.entries().flat_map(NackEntry::lost)
    }
}

impl Encoder<'_, '_> {
    /// Says which packets are missing, in as few entries as their order allows: the numbers rise. Gives how
    /// many of them went in: all, or as many as there was room for.
    ///
    /// # Errors
    ///
    /// There is no room for any.
    pub fn nack(
        &mut self,
        sender: Ssrc,
        media: Ssrc,
        lost: impl IntoIterator<Item = SequenceNumber>,
    ) -> Result<usize, NoSpace> {
        self.feedback_with(FeedbackClass::Transport, NACK, sender, media, |out| {
            let mut count = 0_usize;
            let mut open: Option<NackEntry> = None;
            for number in lost {
                match open.as_mut().and_then(|entry| entry.add(number)) {
                    Some(()) => {}
                    // Room for this one, beside the one that is still open.
                    None if out.room() < if open.is_some() { 8 } else { 4 } => break,
                    None => {
                        if let Some(entry) = open.replace(NackEntry { first: number, following: 0 }) {
                            entry.write(out)?;
                        }
                    }
                }
                count = count.saturating_add(1);
            }
            open.ok_or(NoSpace)?.write(out)?;
            Ok(count)
        })
    }

    /// Says which packets are missing, by entries that were made already.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub fn nack_entries(
        &mut self,
        sender: Ssrc,
        media: Ssrc,
        entries: impl IntoIterator<Item = NackEntry>,
    ) -> Result<(), NoSpace> {
        self.feedback_with(FeedbackClass::Transport, NACK, sender, media, |out| {
            entries.into_iter().try_for_each(|entry| entry.write(out))
        })
    }
}

impl NackEntry {
    /// `None` if the number is not among those that the entry can say.
    fn add(&mut self, number: SequenceNumber) -> Option<()> {
        let Some(bit) = number.since(self.first).checked_sub(1) else { return Some(()) };
        self.following |= 1_u16.checked_shl(bit.into())?;
        Some(())
    }

    fn write(self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u16(self.first.0)?;
        out.put_u16(self.following)
    }
}
