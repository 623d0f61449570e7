use proto::{NoSpace, Reader, Writer};

use super::{APPLICATION_LAYER, Encoder, FIR, PAYLOAD_FEEDBACK, PLI, Raw, TMMBN, TMMBR, TRANSPORT_FEEDBACK};
use crate::{DecodeError, Ssrc};

/// Which of the two kinds feedback is of (RFC 4585 §6.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FeedbackClass {
    /// On the transport (RTPFB).
    Transport,
    /// On the payload (PSFB).
    Payload,
}

/// Feedback by its header (RFC 4585 §6.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Feedback<'a> {
    /// On what.
    pub class: FeedbackClass,
    /// What it says, 0 to 31.
    pub format: u8,
    /// Who says it.
    pub sender: Ssrc,
    /// Of whose stream; zero if what follows names streams.
    pub media: Ssrc,
    /// What follows.
    pub information: &'a [u8],
}

impl<'a> Feedback<'a> {
    pub(super) fn decode(raw: &Raw<'a>) -> Result<Self, DecodeError> {
        let class = match raw.kind {
            TRANSPORT_FEEDBACK => FeedbackClass::Transport,
            PAYLOAD_FEEDBACK => FeedbackClass::Payload,
            _ => return Err(DecodeError::Kind),
        };
        let mut reader = Reader::new(raw.body);
        let (sender, media) = (Ssrc(reader.u32()?), Ssrc(reader.u32()?));
        Ok(Self { class, format: raw.count, sender, media, information: reader.rest() })
    }

    /// What follows as entries of one size; there may be none.
    pub(super) fn entries<const N: usize>(&self) -> Result<&'a [[u8; N]], DecodeError> {
        let (entries, rest) = self.information.as_chunks();
        if rest.is_empty() { Ok(entries) } else { Err(DecodeError::Length) }
    }
}

/// A picture is lost: the sender should repair that, as by a key frame (RFC 4585 §6.3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pli {
    /// Who says it.
    pub sender: Ssrc,
    /// Of whose stream.
    pub media: Ssrc,
}

/// Key frames are needed (RFC 5104 §4.3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fir<'a> {
    /// Who says it.
    pub sender: Ssrc,
    entries: &'a [[u8; 8]],
}

/// A stream that a key frame is needed of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FirEntry {
    /// Which stream.
    pub ssrc: Ssrc,
    /// Goes up by one with each request, and not when it is repeated.
    pub sequence: u8,
}

impl<'a> Fir<'a> {
    pub(super) fn decode(it: &Feedback<'a>) -> Result<Self, DecodeError> {
        Ok(Self { sender: it.sender, entries: it.entries()? })
    }

    /// Which streams.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = FirEntry> + Clone + use<'a> {
        self.entries.iter().map(|[a, b, c, d, sequence, ..]| FirEntry {
            ssrc: Ssrc(u32::from_be_bytes([*a, *b, *c, *d])),
            sequence: *sequence,
        })
    }
}

/// Limits of bitrates that are wanted or in force (RFC 5104 §4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MaxBitrates<'a> {
    /// Who says it.
    pub sender: Ssrc,
    entries: &'a [[u8; 8]],
}

/// The limit of a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MaxBitrate {
    /// Which stream's, or in a notification who wanted it.
    pub ssrc: Ssrc,
    /// In bit/s. 17 significant bits are written, rounded down; what does not go into 64 bits is read as the
    /// largest that does.
    pub bitrate: u64,
    /// How many bytes of headers are counted in with each packet, up to 511.
    pub overhead: u16,
}

impl<'a> MaxBitrates<'a> {
    pub(super) fn decode(it: &Feedback<'a>) -> Result<Self, DecodeError> {
        Ok(Self { sender: it.sender, entries: it.entries()? })
    }

    /// The limits.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = MaxBitrate> + Clone + use<'a> {
        self.entries.iter().map(|[a, b, c, d, e, f, g, h]| {
            let value = u32::from_be_bytes([*e, *f, *g, *h]);
            MaxBitrate {
                ssrc: Ssrc(u32::from_be_bytes([*a, *b, *c, *d])),
                bitrate: scaled((value >> 9) & 0x1_ffff, value >> 26),
                overhead: u16::from_be_bytes([*g & 1, *h]),
            }
        })
    }
}

/// The receiver's estimate of what the path carries (draft-alvestrand-rmcat-remb).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Remb<'a> {
    /// Who says it.
    pub sender: Ssrc,
    /// In bit/s. 18 significant bits are written, rounded down; what does not go into 64 bits is read as the
    /// largest that does.
    pub bitrate: u64,
    sources: &'a [[u8; 4]],
}

impl<'a> Remb<'a> {
    pub(super) fn is(it: &Feedback<'_>) -> bool {
        it.information.starts_with(REMB)
    }

    pub(super) fn decode(it: &Feedback<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(it.information);
        reader.take(REMB.len())?;
        let count = usize::from(reader.u8()?);
        let value = reader.u24()?;
        let (sources, rest) = reader.rest().as_chunks();
        if sources.len() != count || !rest.is_empty() {
            return Err(DecodeError::Length);
        }
        Ok(Self { sender: it.sender, bitrate: scaled(value & 0x3_ffff, value >> 18), sources })
    }

    /// The streams that it is about together.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = Ssrc> + Clone + use<'a> {
        self.sources.iter().map(|bytes| Ssrc(u32::from_be_bytes(*bytes)))
    }
}

impl Encoder<'_, '_> {
    /// Adds feedback by its header.
    ///
    /// # Errors
    ///
    /// There is no room, or the format is above 31.
    pub fn feedback(&mut self, it: &Feedback<'_>) -> Result<(), NoSpace> {
        self.feedback_with(it.class, it.format, it.sender, it.media, |out| out.put(it.information))
    }

    pub(super) fn feedback_with<T>(
        &mut self,
        class: FeedbackClass,
        format: u8,
        sender: Ssrc,
        media: Ssrc,
        write: impl FnOnce(&mut Writer<'_>) -> Result<T, NoSpace>,
    ) -> Result<T, NoSpace> {
        let kind = match class {
            FeedbackClass::Transport => TRANSPORT_FEEDBACK,
            FeedbackClass::Payload => PAYLOAD_FEEDBACK,
        };
        self.write(kind, format, |out| {
            out.put_u32(sender.0)?;
            out.put_u32(media.0)?;
            write(out)
        })
    }

    /// Says that a picture is lost.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub fn pli(&mut self, sender: Ssrc, media: Ssrc) -> Result<(), NoSpace> {
        self.feedback_with(FeedbackClass::Payload, PLI, sender, media, |_| Ok(()))
    }

    /// Asks for key frames.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub fn fir(&mut self, sender: Ssrc, entries: impl IntoIterator<Item = FirEntry>) -> Result<(), NoSpace> {
        self.feedback_with(FeedbackClass::Payload, FIR, sender, Ssrc(0), |out| {
            entries.into_iter().try_for_each(|entry| {
                out.put_u32(entry.ssrc.0)?;
                out.put(&[entry.sequence, 0, 0, 0])
            })
        })
    }

    /// Asks for limits of bitrates.
    ///
    /// # Errors
    ///
    /// There is no room, or an overhead is above 511.
    pub fn tmmbr(
        &mut self,
        sender: Ssrc,
        entries: impl IntoIterator<Item = MaxBitrate>,
    ) -> Result<(), NoSpace> {
        self.max_bitrates(TMMBR, sender, entries)
    }

    /// Says which limits of bitrates are in force.
    ///
    /// # Errors
    ///
    /// There is no room, or an overhead is above 511.
    pub fn tmmbn(
        &mut self,
        sender: Ssrc,
        entries: impl IntoIterator<Item = MaxBitrate>,
    ) -> Result<(), NoSpace> {
        self.max_bitrates(TMMBN, sender, entries)
    }

    fn max_bitrates(
        &mut self,
        format: u8,
        sender: Ssrc,
        entries: impl IntoIterator<Item = MaxBitrate>,
    ) -> Result<(), NoSpace> {
        self.feedback_with(FeedbackClass::Transport, format, sender, Ssrc(0), |out| {
            entries.into_iter().try_for_each(|entry| {
                if entry.overhead > 0x1ff {
                    return Err(NoSpace);
                }
                let (mantissa, exponent) = scale(entry.bitrate, 17);
                out.put_u32(entry.ssrc.0)?;
                out.put_u32(exponent << 26 | mantissa << 9 | u32::from(entry.overhead))
            })
        })
    }

    /// Says what the path carries, of at most 255 streams together.
    ///
    /// # Errors
    ///
    /// There is no room, or there are too many streams.
    pub fn remb(
        &mut self,
        sender: Ssrc,
        bitrate: u64,
        sources: impl IntoIterator<Item = Ssrc>,
    ) -> Result<(), NoSpace> {
        self.feedback_with(FeedbackClass::Payload, APPLICATION_LAYER, sender, Ssrc(0), |out| {
            let (mantissa, exponent) = scale(bitrate, 18);
            out.put(REMB)?;
            let count_at = out.len();
            out.put_u32(exponent << 18 | mantissa)?;
            let mut count = 0_u8;
            for source in sources {
                out.put_u32(source.0)?;
                count = count.checked_add(1).ok_or(NoSpace)?;
            }
            out.patch(count_at, &[count])
        })
    }
}

/// A mantissa by its exponent.
fn scaled(mantissa: u32, exponent: u32) -> u64 {
    let wide = u128::from(mantissa).checked_shl(exponent).unwrap_or(u128::MAX);
    u64::try_from(wide).unwrap_or(u64::MAX)
}

/// The largest mantissa of `bits` with its exponent that is not above `value`.
fn scale(value: u64, bits: u32) -> (u32, u32) {
    let exponent = u64::BITS.saturating_sub(value.leading_zeros()).saturating_sub(bits);
    (u32::try_from(value.checked_shr(exponent).unwrap_or(0)).unwrap_or(u32::MAX), exponent)
}

const REMB: &[u8] = b"REMB";
