use super::{Framing, Units};
use crate::payload::{Discard, Outline};

/// What the two codecs do differently.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Syntax {
    /// RFC 6184: a header of one byte.
    H264,
    /// RFC 7798: a header of two bytes.
    H265,
}

/// What a payload consists of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Content<'a> {
    /// A unit: its header, in the first bytes, and what is behind it.
    Unit { header: [u8; 2], data: &'a [u8] },
    /// Several units.
    Aggregate { units: Aggregated<'a> },
    /// A piece of a unit, with the unit's header.
    Fragment { start: bool, end: bool, header: [u8; 2], data: &'a [u8] },
}

/// Units that stand behind each other. Each was looked at, so that walking them cannot fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Aggregated<'a> {
    /// Each with two bytes of length before it.
    Lengths(&'a [u8]),
    /// Each with a start code before it.
    Codes(&'a [u8]),
}

impl Syntax {
    pub(crate) const fn header_len(self) -> usize {
        match self {
            Self::H264 => 1,
            Self::H265 => 2,
        }
    }

    /// The type of a unit, by the first byte of its header.
    pub(crate) const fn kind(self, header: u8) -> u8 {
        match self {
            Self::H264 => header & 0x1f,
            Self::H265 => header >> 1 & 0x3f,
        }
    }

    /// Whether a codec's unit, no payload structure, can have this type.
    pub(crate) const fn is_unit(self, kind: u8) -> bool {
        match self {
            Self::H264 => kind >= 1 && kind < STAP_A,
            Self::H265 => kind < AP,
        }
    }

    pub(crate) const fn is_picture(self, kind: u8) -> bool {
        match self {
            Self::H264 => kind >= 1 && kind <= IDR,
            Self::H265 => kind < VPS,
        }
    }

    /// Whether it is a part of a picture that needs no other: IDR, or of H.265 any IRAP picture.
    pub(crate) const fn is_key(self, kind: u8) -> bool {
        match self {
            Self::H264 => kind == IDR,
            Self::H265 => kind >= 16 && kind <= 23,
        }
    }

    pub(crate) const fn is_parameter_set(self, kind: u8) -> bool {
        match self {
            Self::H264 => kind == SPS || kind == PPS,
            Self::H265 => kind >= VPS && kind <= VPS + 2,
        }
    }

    pub(crate) const fn is_delimiter(self, kind: u8) -> bool {
        match self {
            Self::H264 => kind == AUD,
            Self::H265 => kind == AUD_H265,
        }
    }

    /// Whether such a unit is the first of its frame for all one can see: of slices those that begin their picture. A picture
    /// parameter set is not, as another set is sent before it.
    pub(crate) fn begins_frame(self, kind: u8, data: &[u8]) -> bool {
        // first_mb_in_slice is 0, or first_slice_segment_in_pic_flag is set: either way, the first bit.
        let first_slice = data.first().is_some_and(|byte| byte & 0x80 != 0);
        match self {
            Self::H264 => matches!(kind, SEI | SPS | AUD) || (matches!(kind, 1 | 2 | IDR) && first_slice),
            Self::H265 => {
                matches!(kind, VPS | SPS_H265 | AUD_H265 | PREFIX_SEI_H265) || (kind < VPS && first_slice)
            }
        }
    }

    /// Takes a payload apart.
    pub(crate) fn decode(self, payload: &[u8]) -> Result<Content<'_>, Discard> {
        if payload.is_empty() {
            return Err(Discard::Empty);
        }
        if let [0, 0, 1, ..] | [0, 0, 0, 1, ..] = payload {
            return with_codes(self, payload);
        }
        match self {
            Self::H264 => h264(payload),
            Self::H265 => h265(payload, true),
        }
    }

    /// The header of a payload with several units, of which `headers` are the headers, and its length.
    pub(crate) fn aggregate_header(self, headers: impl Iterator<Item = [u8; 2]>) -> [u8; 2] {
        match self {
            // RFC 6184 §5.7: the F bit if any has it, and the highest NRI.
            Self::H264 => {
                let (f, nri) = headers
                    .fold((0, 0), |(f, nri), [header, _]| (f | header & FORBIDDEN, nri.max(header & NRI)));
                [f | nri | STAP_A, 0]
            }
            // RFC 7798 §4.4.2: the F bit if any has it, the lowest layer and the lowest temporal layer.
            Self::H265 => {
                let (f, layer, tid) =
                    headers.fold((0, u16::MAX, u8::MAX), |(f, layer, tid), [first, second]| {
                        let own = u16::from_be_bytes([first & 1, second]) >> 3;
                        (f | first & FORBIDDEN, layer.min(own), tid.min(second & 7))
                    });
                let [high, low] = ((layer & 0x3f) << 3).to_be_bytes();
                [f | AP << 1 | high, low | tid & 7]
            }
        }
    }

    /// The header of a fragment of a unit, in the first bytes, and how many there are.
    pub(crate) const fn fragment_header(self, header: [u8; 2], start: bool, end: bool) -> ([u8; 3], usize) {
        let [first, second] = header;
        let ends = (if start { 0x80 } else { 0 }) | (if end { 0x40 } else { 0 });
        match self {
            Self::H264 => ([first & (FORBIDDEN | NRI) | FU_A, ends | first & 0x1f, 0], 2),
            Self::H265 => ([first & 0x81 | FU << 1, second, ends | first >> 1 & 0x3f], 3),
        }
    }

    /// What a unit shows.
    pub(crate) fn outline(self, header: [u8; 2], data: &[u8]) -> Outline {
        let [first, second] = header;
        let kind = self.kind(first);
        let outline = Outline {
            starts_frame: self.begins_frame(kind, data),
            key_frame: self.is_key(kind),
            ..Outline::default()
        };
        match self {
            Self::H264 => Outline { discardable: self.is_picture(kind) && first & NRI == 0, ..outline },
            Self::H265 => Outline {
                temporal: Some((second & 7).saturating_sub(1)),
                spatial: Some((first & 1) << 5 | second >> 3),
                // TSA and STSA pictures (H.265 table 7-1).
                switching_point: (2..=5).contains(&kind),
                ..outline
            },
        }
    }
}

fn h264(payload: &[u8]) -> Result<Content<'_>, Discard> {
    let [first, data @ ..] = payload else { return Err(Discard::Empty) };
    let (first, kind) = (*first, first & 0x1f);
    if first & FORBIDDEN != 0 {
        return Err(Discard::Malformed);
    }
    match kind {
        STAP_A => aggregate(Syntax::H264, data),
        FU_A => {
            let [fu, data @ ..] = data else { return Err(Discard::Truncated) };
            let header = [first & NRI | fu & 0x1f, 0];
            // RFC 6184 §5.8: the third bit is ignored, and there may be nothing behind the header.
            fragment(Syntax::H264, *fu, header, data)
        }
        1..STAP_A if data.is_empty() && !matches!(kind, 10 | 11) => Err(Discard::EmptyPart),
        1..STAP_A => Ok(Content::Unit { header: [first, 0], data }),
        _ => Err(Discard::Unsupported),
    }
}

fn h265(payload: &[u8], outermost: bool) -> Result<Content<'_>, Discard> {
    let [first, second, data @ ..] = payload else { return Err(Discard::Truncated) };
    let header = [*first, *second];
    // The highest bit is forbidden, and so is a temporal layer of -1 (H.265 §7.4.2.2).
    if first & FORBIDDEN != 0 || second & 7 == 0 {
        return Err(Discard::Malformed);
    }
    h265_behind(Syntax::H265.kind(*first), header, data, outermost)
}

fn h265_behind(kind: u8, header: [u8; 2], data: &[u8], outermost: bool) -> Result<Content<'_>, Discard> {
    let [first, second] = header;
    match kind {
        AP => aggregate(Syntax::H265, data),
        FU => {
            let [fu, data @ ..] = data else { return Err(Discard::Truncated) };
            if data.is_empty() {
                return Err(Discard::EmptyPart);
            }
            fragment(Syntax::H265, *fu, [first & 0x81 | (fu & 0x3f) << 1, second], data)
        }
        // RFC 7798 §4.4.4: extensions stand before what would else be the payload, and may be skipped.
        PACI if outermost => {
            let [a, b, data @ ..] = data else { return Err(Discard::Truncated) };
            let inner = a >> 1 & 0x3f;
            let skipped = usize::from((a & 1) << 4 | b >> 4);
            let data = data.get(skipped..).ok_or(Discard::Truncated)?;
            if inner == PACI {
                return Err(Discard::Malformed);
            }
            h265_behind(inner, [a & FORBIDDEN | inner << 1 | first & 1, second], data, false)
        }
        _ if kind < AP && !data.is_empty() => Ok(Content::Unit { header, data }),
        // Ends of sequence and of bitstream are headers alone.
        36 | 37 => Ok(Content::Unit { header, data }),
        _ if kind < AP => Err(Discard::EmptyPart),
        _ => Err(Discard::Unsupported),
    }
}

/// Units with their lengths.
fn aggregate(syntax: Syntax, units: &[u8]) -> Result<Content<'_>, Discard> {
    let mut rest = units;
    if rest.is_empty() {
        return Err(Discard::EmptyPart);
    }
    while let [high, low, behind @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (unit, behind) = behind.split_at_checked(len).ok_or(Discard::Truncated)?;
        check_unit(syntax, unit)?;
        rest = behind;
    }
    if !rest.is_empty() {
        return Err(Discard::Truncated);
    }
    Ok(Content::Aggregate { units: Aggregated::Lengths(units) })
}

/// Units with the start codes of an encoder: neither format has them, and nothing else begins so.
fn with_codes(syntax: Syntax, units: &[u8]) -> Result<Content<'_>, Discard> {
    let mut all = Units::new(units, Framing::AnnexB).peekable();
    all.peek().ok_or(Discard::EmptyPart)?;
    all.try_for_each(|unit| check_unit(syntax, unit))?;
    Ok(Content::Aggregate { units: Aggregated::Codes(units) })
}

/// RFC 6184 §5.7, RFC 7798 §4.4.2: several units contain no other structure of the payload format.
fn check_unit(syntax: Syntax, unit: &[u8]) -> Result<(), Discard> {
    let first = *unit.first().ok_or(Discard::EmptyPart)?;
    if unit.len() < syntax.header_len() {
        return Err(Discard::EmptyPart);
    }
    let is_unit = first & FORBIDDEN == 0 && syntax.is_unit(syntax.kind(first));
    if is_unit { Ok(()) } else { Err(Discard::Malformed) }
}

/// The units of [`Content::Aggregate`].
pub(crate) fn aggregated(units: Aggregated<'_>) -> impl Iterator<Item = &[u8]> {
    let (mut lengths, codes) = match units {
        Aggregated::Lengths(units) => (units, &[][..]),
        Aggregated::Codes(units) => (&[][..], units),
    };
    let with_lengths = std::iter::from_fn(move || {
        let [high, low, behind @ ..] = lengths else { return None };
        let (unit, rest) = behind.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
        lengths = rest;
        Some(unit)
    });
    with_lengths.chain(Units::new(codes, Framing::AnnexB))
}

fn fragment(syntax: Syntax, fu: u8, header: [u8; 2], data: &[u8]) -> Result<Content<'_>, Discard> {
    let (start, end) = (fu & 0x80 != 0, fu & 0x40 != 0);
    let [first, _] = header;
    if !syntax.is_unit(syntax.kind(first)) {
        return Err(Discard::Malformed);
    }
    if !(start && end) {
        return Ok(Content::Fragment { start, end, header, data });
    }
    // RFC 6184 §5.8 and RFC 7798 §4.4.3 forbid it, and some cameras send it.
    if data.is_empty() { Err(Discard::EmptyPart) } else { Ok(Content::Unit { header, data }) }
}

const FORBIDDEN: u8 = 0x80;
const NRI: u8 = 0x60;
// H.264 table 7-1, RFC 6184 table 1.
const IDR: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
const AUD: u8 = 9;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
// H.265 table 7-1, RFC 7798 §4.4.
const VPS: u8 = 32;
const SPS_H265: u8 = 33;
const AUD_H265: u8 = 35;
const PREFIX_SEI_H265: u8 = 39;
const AP: u8 = 48;
const FU: u8 = 49;
const PACI: u8 = 50;
