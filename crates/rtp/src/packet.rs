#![deny(clippy::arithmetic_side_effects)]

use proto::Reader;

use crate::extension::HeaderExtension;
use crate::{DecodeError, PayloadType, RtpTimestamp, SequenceNumber, Ssrc};

/// The fixed part of a packet (RFC 3550 §5.1), without what only tells where the rest stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Header {
    /// What it means is the payload format's: the end of a frame of video, the start of a talkspurt.
    pub marker: bool,
    /// What the payload is.
    pub payload_type: PayloadType,
    /// The place in the stream.
    pub sequence_number: SequenceNumber,
    /// When the first sample was taken.
    pub timestamp: RtpTimestamp,
    /// Whose stream it is.
    pub ssrc: Ssrc,
}

impl Header {
    /// Writes it over the header of the packet in `memory`, but for what tells where the rest stands. What is shorter is no
    /// packet, and stays as it is.
    pub fn patch(self, memory: &mut [u8]) {
        let [_, second, rest @ ..] = memory else { return };
        let Some(rest) = rest.first_chunk_mut::<10>() else { return };
        *second = if self.marker { MARKER } else { 0 } | self.payload_type.get();
        let [n0, n1] = self.sequence_number.0.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.0.to_be_bytes();
        let [s0, s1, s2, s3] = self.ssrc.0.to_be_bytes();
        *rest = [n0, n1, t0, t1, t2, t3, s0, s1, s2, s3];
    }
}

/// A received packet of RTP. Decoding checks every boundary once and copies no payload, so that nothing
/// can fail afterwards.
///
/// ```
/// # use rtp::{Packet, SequenceNumber};
/// let packet = Packet::decode(b"\x80\x6f\x00\x07\x00\x00\x03\xc0\x11\x22\x33\x44opus")?;
/// assert_eq!(packet.header().sequence_number, SequenceNumber(7));
/// assert_eq!(packet.payload(), b"opus");
/// # Ok::<_, rtp::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    header: Header,
    csrcs: &'a [u8],
    extension: Option<HeaderExtension<'a>>,
    payload: &'a [u8],
    padding: u8,
}

impl<'a> Packet<'a> {
    /// Decodes a packet, which fills `bytes`.
    ///
    /// # Errors
    ///
    /// What is wrong with it. A header extension whose elements are malformed is no error: reading them
    /// stops there (RFC 8285 §4).
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::with_layout(bytes, &Layout::of(bytes)?).ok_or(DecodeError::Truncated)
    }

    /// The packet whose parts stand there.
    pub(crate) fn with_layout(bytes: &'a [u8], layout: &Layout) -> Option<Self> {
        let [_, second, n0, n1, t0, t1, t2, t3, s0, s1, s2, s3] = *bytes.first_chunk::<FIXED>()?;
        let header = Header {
            marker: second & MARKER != 0,
            payload_type: PayloadType::of_low_bits(second),
            sequence_number: SequenceNumber(u16::from_be_bytes([n0, n1])),
            timestamp: RtpTimestamp(u32::from_be_bytes([t0, t1, t2, t3])),
            ssrc: Ssrc(u32::from_be_bytes([s0, s1, s2, s3])),
        };
        let csrcs = bytes.get(FIXED..layout.csrcs_end)?;
        let extension = if layout.has_extension() {
            let profile = *bytes.get(layout.csrcs_end..)?.first_chunk()?;
            let elements = bytes.get(layout.elements_at()..layout.payload_at)?;
            Some(HeaderExtension::new(u16::from_be_bytes(profile), elements))
        } else {
            None
        };
        let payload = bytes.get(layout.payload_at..layout.payload_end)?;
        // One byte says how much padding there is.
        let padding = u8::try_from(layout.end.saturating_sub(layout.payload_end)).ok()?;
        Some(Self { bytes, header, csrcs, extension, payload, padding })
    }

    /// A packet of nothing.
    pub(crate) const fn empty() -> Self {
        let header = Header {
            marker: false,
            payload_type: PayloadType::of_low_bits(0),
            sequence_number: SequenceNumber(0),
            timestamp: RtpTimestamp(0),
            ssrc: Ssrc(0),
        };
        Self { bytes: &[], header, csrcs: &[], extension: None, payload: &[], padding: 0 }
    }

    /// The fixed part.
    pub const fn header(&self) -> Header {
        self.header
    }

    /// Who contributed, at most 15.
    pub fn csrcs(&self) -> impl ExactSizeIterator<Item = Ssrc> + Clone + use<'a> {
        let (chunks, _) = self.csrcs.as_chunks::<4>();
        chunks.iter().map(|bytes| Ssrc(u32::from_be_bytes(*bytes)))
    }

    /// The header extension, if there is one.
    pub const fn extension(&self) -> Option<HeaderExtension<'a>> {
        self.extension
    }

    /// The value of the element of this identifier, if there is one (RFC 8285).
    pub fn element(&self, id: u8) -> Option<&'a [u8]> {
        self.extension?.element(id)
    }

    /// What is carried, without padding.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// How many bytes of padding follow the payload, the one that counts them among them.
    pub const fn padding(&self) -> u8 {
        self.padding
    }

    /// How many bytes stand in front of the payload.
    pub const fn header_len(&self) -> usize {
        self.bytes.len().saturating_sub(self.payload.len()).saturating_sub(self.padding as usize)
    }

    /// The whole packet.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Whether a datagram that is RTP or RTCP is RTCP: packet types 192 to 223 (RFC 5761 §4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.get(1).is_some_and(|kind| matches!(kind, 192..=223))
}

/// How long the header of a packet is, extension included. Unlike [`Packet::decode`] this does not look
/// at the padding, which is not readable while the packet is encrypted.
///
/// # Errors
///
/// It is no header of RTP, or not whole.
pub fn header_len(bytes: &[u8]) -> Result<usize, DecodeError> {
    Ok(Layout::of_header(bytes)?.payload_at)
}

/// Where the parts of a packet begin and end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) csrcs_end: usize,
    pub(crate) payload_at: usize,
    pub(crate) payload_end: usize,
    pub(crate) end: usize,
}

impl Layout {
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, DecodeError> {
        let layout = Self::of_header(bytes)?;
        if bytes.first().is_some_and(|first| first & PADDING == 0) {
            return Ok(layout);
        }
        let body = bytes.get(layout.payload_at..).ok_or(DecodeError::Truncated)?;
        let count = body.last().copied().map(usize::from).ok_or(DecodeError::Padding)?;
        if count == 0 || count > body.len() {
            return Err(DecodeError::Padding);
        }
        Ok(Self { payload_end: layout.end.saturating_sub(count), ..layout })
    }

    fn of_header(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let first = reader.u8()?;
        if first >> 6 != VERSION {
            return Err(DecodeError::Version);
        }
        reader.take(FIXED.saturating_sub(1))?;
        reader.take(usize::from(first & 0x0f).saturating_mul(4))?;
        let csrcs_end = bytes.len().saturating_sub(reader.remaining());
        if first & EXTENSION != 0 {
            reader.u16()?;
            let words = usize::from(reader.u16()?);
            reader.take(words.saturating_mul(4))?;
        }
        let payload_at = bytes.len().saturating_sub(reader.remaining());
        Ok(Self { csrcs_end, payload_at, payload_end: bytes.len(), end: bytes.len() })
    }

    /// An extension is at least its own four bytes.
    pub(crate) const fn has_extension(&self) -> bool {
        self.payload_at > self.csrcs_end
    }

    /// Where the elements begin, if there is an extension.
    pub(crate) const fn elements_at(&self) -> usize {
        self.csrcs_end.saturating_add(EXTENSION_HEADER)
    }
}

pub(crate) const VERSION: u8 = 2;
pub(crate) const PADDING: u8 = 0x20;
pub(crate) const EXTENSION: u8 = 0x10;
pub(crate) const MARKER: u8 = 0x80;
/// The part that every packet has.
pub(crate) const FIXED: usize = 12;
/// Profile and length of an extension.
pub(crate) const EXTENSION_HEADER: usize = 4;
