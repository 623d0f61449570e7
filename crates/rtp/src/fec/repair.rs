use proto::{Reader, Writer};

use super::parity::{self, Fields};
use super::{FecError, Format, Mask};
use crate::{DecodeError, Packet, SequenceNumber, Ssrc};

/// What a packet of repair is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Protected {
    /// Which stream, if the format names it ([`Format::Flex03`]).
    pub ssrc: Option<Ssrc>,
    /// Which of its packets.
    pub mask: Mask,
}

/// A packet of repair, by its payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Repair<'a> {
    protected: Protected,
    fields: Fields,
    body: &'a [u8],
}

impl<'a> Repair<'a> {
    /// Decodes the payload of a packet of repair.
    ///
    /// # Errors
    ///
    /// It is malformed, protects nothing, or is of a kind that is not read: retransmissions by FlexFEC (RFC 8627
    /// §4.2.2.3), fixed blocks and several streams by its draft.
    pub fn decode(format: Format, payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        match format {
            Format::Ulp => Self::decode_ulp(&mut reader),
            Format::Flex03 | Format::Flex => Self::decode_flex(format, &mut reader),
        }
    }

    /// RFC 5109 §7.3, §7.4. Levels behind the first are not read.
    fn decode_ulp(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let [first, second] = reader.array()?;
        // The first bit is kept for extensions that there are none of.
        if first & RETRANSMISSION != 0 {
            return Err(DecodeError::Value);
        }
        let base = reader.u16()?;
        let (timestamp, len) = (reader.u32()?, reader.u16()?);
        let protection = usize::from(reader.u16()?);
        let mask = Mask::read_ulp(reader, base, first & LONG != 0)?;
        let body = reader.take(protection)?;
        let fields = Fields { flags: [first & 0x3f, second], timestamp, len };
        Ok(Self { protected: Protected { ssrc: None, mask }, fields, body })
    }

    fn decode_flex(format: Format, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let [first, second] = reader.array()?;
        let fixed = first & FIXED_BLOCK != 0;
        if first & RETRANSMISSION != 0 || (fixed && format == Format::Flex03) {
            return Err(DecodeError::Value);
        }
        let (len, timestamp) = (reader.u16()?, reader.u32()?);
        let mut ssrc = None;
        if format == Format::Flex03 {
            if reader.u8()? != 1 {
                return Err(DecodeError::Value);
            }
            reader.u24()?;
            ssrc = Some(Ssrc(reader.u32()?));
        }
        let mask = if fixed { Mask::read_fixed(reader)? } else { Mask::read_flex(reader, format)? };
        let fields = Fields { flags: [first & 0x3f, second], timestamp, len };
        Ok(Self { protected: Protected { ssrc, mask }, fields, body: reader.rest() })
    }

    /// What it is about.
    pub const fn protected(&self) -> Protected {
        self.protected
    }

    /// Recovers the packet `missing` of the stream `ssrc` from this and all `others` that are protected with it,
    /// in any order, and writes it behind what `out` holds. Gives its length.
    ///
    /// # Errors
    ///
    /// The packet or its stream is not protected, not all others are there, or what comes out is no packet, does
    /// not fit, or is longer than what the repair holds. Then nothing is written.
    pub fn recover<'p>(
        &self,
        ssrc: Ssrc,
        missing: SequenceNumber,
        others: impl IntoIterator<Item = &'p [u8]>,
        out: &mut Writer<'_>,
    ) -> Result<usize, FecError> {
        let start = out.len();
        let recovered = self.try_recover(ssrc, missing, others, out);
        if recovered.is_err() {
            out.truncate(start);
        }
        recovered
    }

    fn try_recover<'p>(
        &self,
        ssrc: Ssrc,
        missing: SequenceNumber,
        others: impl IntoIterator<Item = &'p [u8]>,
        out: &mut Writer<'_>,
    ) -> Result<usize, FecError> {
        let Protected { ssrc: named, mask } = self.protected;
        if !mask.contains(missing) || named.is_some_and(|named| named != ssrc) {
            return Err(FecError::NotProtected);
        }
        let start = out.len();
        let mut fields = self.fields;
        out.put_zeros(crate::packet::FIXED)?;
        let body_at = out.len();
        out.put(self.body)?;
        let mut seen = Seen::default();
        for packet in others {
            let header = Packet::decode(packet)?.header();
            let number = header.sequence_number;
            let is_new =
                header.ssrc == ssrc && number != missing && mask.contains(number) && seen.add(mask, number);
            if !is_new {
                return Err(FecError::Incomplete);
            }
            fields.add(Fields::of(packet)?);
            // Nothing that is protected is longer than the parity of all.
            let sum = out.written_mut(body_at);
            if parity::body(packet).len() > sum.len() {
                return Err(FecError::Inconsistent);
            }
            sum.iter_mut().zip(parity::body(packet)).for_each(|(sum, byte)| *sum ^= byte);
        }
        if seen.count.saturating_add(1) != mask.count() {
            return Err(FecError::Incomplete);
        }
        let len = usize::from(fields.len);
        if len > self.body.len() {
            return Err(FecError::Inconsistent);
        }
        out.truncate(body_at.saturating_add(len));
        out.patch(start, &fields.header(missing, ssrc))?;
        Packet::decode(out.written_mut(start)).map_err(|_| FecError::Inconsistent)?;
        Ok(out.len().saturating_sub(start))
    }
}

/// Which of the packets that a mask has were seen: at most 255.
#[derive(Default)]
struct Seen {
    places: [u128; 2],
    count: usize,
}

impl Seen {
    /// Whether the number is new.
    fn add(&mut self, mask: Mask, number: SequenceNumber) -> bool {
        let Some(place) = mask.numbers().position(|other| other == number) else { return false };
        let Some(word) = self.places.get_mut(place / 128) else { return false };
        let bit = 1_u128.wrapping_shl(u32::try_from(place % 128).unwrap_or_default());
        let is_new = *word & bit == 0;
        *word |= bit;
        self.count = self.count.saturating_add(usize::from(is_new));
        is_new
    }
}

/// Writes the payload of a packet of repair over `packets`, which are of one stream, in the order of their
/// numbers, and at most [`Format::max_span`] apart. With one packet alone it is a copy. Gives the payload's length.
///
/// # Errors
///
/// A packet is none, they are not of one stream or in order or too far apart, or there is no room: then nothing is
/// written.
pub fn protect<'p>(
    format: Format,
    packets: impl Iterator<Item = &'p [u8]> + Clone,
    out: &mut Writer<'_>,
) -> Result<usize, FecError> {
    let start = out.len();
    let written = try_protect(format, packets, out);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn try_protect<'p>(
    format: Format,
    packets: impl Iterator<Item = &'p [u8]> + Clone,
    out: &mut Writer<'_>,
) -> Result<usize, FecError> {
    let start = out.len();
    let first = Packet::decode(packets.clone().next().ok_or(FecError::Nothing)?)?.header();
    let mut mask = Mask::new(first.sequence_number);
    let (mut fields, mut longest) = (Fields::default(), 0);
    let mut last = None;
    for packet in packets.clone() {
        let header = Packet::decode(packet)?.header();
        let number = header.sequence_number;
        if header.ssrc != first.ssrc || last.is_some_and(|last| !number.is_newer_than(last)) {
            return Err(FecError::Order);
        }
        last = Some(number);
        mask.add(format, number).ok_or(FecError::Span)?;
        let these = Fields::of(packet)?;
        fields.add(these);
        longest = these.len.max(longest);
    }
    let [flags, second] = fields.flags;
    match format {
        Format::Ulp => {
            out.put(&[flags | if mask.needs_long() { LONG } else { 0 }, second])?;
            out.put_u16(mask.base().0)?;
            out.put_u32(fields.timestamp)?;
            out.put_u16(fields.len)?;
            out.put_u16(longest)?;
            mask.write_ulp(out)?;
        }
        Format::Flex03 | Format::Flex => {
            out.put(&[flags, second])?;
            out.put_u16(fields.len)?;
            out.put_u32(fields.timestamp)?;
            if format == Format::Flex03 {
                out.put(&[1, 0, 0, 0])?;
                out.put_u32(first.ssrc.0)?;
            }
            mask.write_flex(format, out)?;
        }
    }
    let body_at = out.len();
    packets.into_iter().try_for_each(|packet| parity::add(out, body_at, parity::body(packet)))?;
    Ok(out.len().saturating_sub(start))
}

/// The first bit: reserved in RFC 5109, a retransmission in FlexFEC.
const RETRANSMISSION: u8 = 0x80;
/// The second bit: in RFC 5109 a mask of 48 bits.
const LONG: u8 = 0x40;
/// In FlexFEC rows and columns in place of a mask.
const FIXED_BLOCK: u8 = 0x40;
