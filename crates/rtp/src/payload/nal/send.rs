use proto::{NoSpace, Writer};

use super::{Framing, Syntax, Units};
use crate::payload::pieces::Pieces;
use crate::payload::{FrameError, Written, whole};

/// The parameter sets that were last seen, to be sent before key frames that come without.
#[derive(Clone, Debug, Default)]
pub(crate) struct ParameterSets {
    /// Units with their lengths.
    bytes: Vec<u8>,
    /// What becomes of `bytes`.
    next: Vec<u8>,
}

impl ParameterSets {
    pub(crate) const NONE: Self = Self { bytes: Vec::new(), next: Vec::new() };

    /// Takes over the sets of a frame; of the kinds that it does not have, those before it stay.
    pub(crate) fn learn(&mut self, syntax: Syntax, units: &Units<'_>) {
        let kind = |unit: &[u8]| syntax.kind(unit.first().copied().unwrap_or_default());
        let is_set = |unit: &&[u8]| syntax.is_parameter_set(kind(unit));
        if !units.clone().any(|unit| is_set(&unit)) {
            return;
        }
        let Self { bytes, next } = self;
        next.clear();
        let known = Units::new(bytes, Framing::Length);
        let kept = known.filter(|old| !units.clone().any(|new| kind(new) == kind(old)));
        let mut len = 0_usize;
        for set in kept.chain(units.clone().filter(is_set)) {
            len = len.saturating_add(set.len()).saturating_add(4);
            if len > MAX_PARAMETER_SETS {
                break;
            }
            next.extend(u32::try_from(set.len()).unwrap_or_default().to_be_bytes());
            next.extend_from_slice(set);
        }
        if len > MAX_PARAMETER_SETS {
            next.clear();
        }
        std::mem::swap(bytes, next);
    }

    pub(crate) fn units(&self) -> Units<'_> {
        Units::new(&self.bytes, Framing::Length)
    }
}

/// The payloads of an access unit.
#[derive(Clone, Debug)]
pub struct Payloads<'a> {
    syntax: Syntax,
    /// Whether units may be joined and divided.
    non_interleaved: bool,
    max_payload: usize,
    cursor: Cursor<'a>,
    /// The unit that is next.
    next: Option<&'a [u8]>,
    /// What is left of a unit that is being divided, and whether its first piece is.
    fragments: Option<([u8; 2], Pieces<'a>, bool)>,
}

impl<'a> Payloads<'a> {
    /// `sets` go before a key frame that has none of its own.
    pub(crate) fn new(
        syntax: Syntax,
        units: Units<'a>,
        sets: &'a ParameterSets,
        non_interleaved: bool,
        max_payload: usize,
    ) -> Result<Self, FrameError> {
        units.clone().check()?;
        let kind = |unit: &[u8]| syntax.kind(unit.first().copied().unwrap_or_default());
        let mut key = false;
        let mut has_sets = false;
        let mut longest = 0;
        for unit in units.clone() {
            if unit.len() < syntax.header_len() || !syntax.is_unit(kind(unit)) {
                return Err(FrameError::NotAFrame);
            }
            key |= syntax.is_key(kind(unit));
            has_sets |= syntax.is_parameter_set(kind(unit));
            longest = longest.max(unit.len());
        }
        let sets = if key && !has_sets { sets.units() } else { Units::new(&[], Framing::Length) };
        longest = sets.clone().map(<[u8]>::len).fold(longest, usize::max);
        if max_payload < syntax.fragment_header([0; 2], false, false).1.saturating_add(1) {
            return Err(FrameError::PayloadTooSmall);
        }
        if longest > max_payload && !non_interleaved {
            return Err(FrameError::Indivisible);
        }
        let mut cursor = Cursor { syntax, sets, units };
        let next = cursor.next();
        Ok(Self { syntax, non_interleaved, max_payload, cursor, next, fragments: None })
    }

    /// Appends the next payload; `None` behind the last. If it does not fit, nothing is written and it stays the next.
    pub fn write(&mut self, out: &mut Writer<'_>) -> Result<Option<Written>, NoSpace> {
        if let Some((header, pieces, start)) = &mut self.fragments {
            let (head, len) = self.syntax.fragment_header(*header, *start, pieces.is_last());
            let marker = pieces.is_last() && self.next.is_none();
            let written = whole(out, marker, |out| {
                out.put(head.get(..len).unwrap_or_default())?;
                out.put(pieces.peek())
            })?;
            pieces.advance();
            *start = false;
            if pieces.is_empty() {
                self.fragments = None;
            }
            return Ok(Some(written));
        }
        let Some(unit) = self.next else { return Ok(None) };
        if unit.len() > self.max_payload {
            let header_len = self.syntax.header_len();
            let overhead = self.syntax.fragment_header([0; 2], false, false).1;
            let data = unit.get(header_len..).unwrap_or_default();
            if let Some(pieces) = Pieces::new(data, self.max_payload.saturating_sub(overhead)) {
                self.fragments = Some((header(unit), pieces, true));
                self.next = self.cursor.next();
                return self.write(out);
            }
        }
        self.write_units(unit, out).map(Some)
    }

    /// As many units as there is room for, or one as it is.
    fn write_units(&mut self, unit: &[u8], out: &mut Writer<'_>) -> Result<Written, NoSpace> {
        let mut ahead = self.cursor.clone();
        let mut next = ahead.next();
        let mut count = 1_usize;
        let mut len = self.syntax.header_len().saturating_add(2).saturating_add(unit.len());
        while let Some(unit) = next.filter(|_| self.non_interleaved) {
            len = len.saturating_add(2).saturating_add(unit.len());
            if len > self.max_payload || unit.len() > usize::from(u16::MAX) {
                break;
            }
            count = count.saturating_add(1);
            next = ahead.next();
        }
        let first = std::iter::once(unit);
        let written = whole(out, next.is_none(), |out| {
            if count == 1 {
                return out.put(unit);
            }
            let units = || first.clone().chain(self.cursor.clone()).take(count);
            let head = self.syntax.aggregate_header(units().map(header));
            out.put(head.get(..self.syntax.header_len()).unwrap_or_default())?;
            for unit in units() {
                out.put_u16(u16::try_from(unit.len()).map_err(|_| NoSpace)?)?;
                out.put(unit)?;
            }
            Ok(())
        })?;
        self.cursor = ahead;
        self.next = next;
        Ok(written)
    }
}

/// The units in the order in which they are sent: parameter sets behind the delimiter, if there is one.
#[derive(Clone, Debug)]
struct Cursor<'a> {
    syntax: Syntax,
    sets: Units<'a>,
    units: Units<'a>,
}

impl<'a> Iterator for Cursor<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut sets = self.sets.clone();
        let Some(set) = sets.next() else { return self.units.next() };
        let mut units = self.units.clone();
        let delimiter = units.next().filter(|unit| {
            unit.first().is_some_and(|header| self.syntax.is_delimiter(self.syntax.kind(*header)))
        });
        if delimiter.is_some() {
            self.units = units;
            return delimiter;
        }
        self.sets = sets;
        Some(set)
    }
}

fn header(unit: &[u8]) -> [u8; 2] {
    [unit.first().copied().unwrap_or_default(), unit.get(1).copied().unwrap_or_default()]
}

/// Parameter sets that are kept, in bytes. Encoders make some hundred.
const MAX_PARAMETER_SETS: usize = 8192;
