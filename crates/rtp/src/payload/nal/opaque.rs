//! Pictures that hold bytes which nobody has to understand, as they would hold slices.

use super::{Framing, Syntax, Units};
use crate::payload::opaque::Visible;

/// Of the first picture's first unit the header, and the four bytes behind it: where in the picture it begins, which kind of slice
/// it is, and the number of its parameter set (H.264 §7.3.3, H.265 §7.3.6.1).
pub(in crate::payload) fn visible(syntax: Syntax, frame: &[u8]) -> Option<Visible> {
    first_picture(syntax, frame).map(|unit| begin(syntax, unit))
}

/// Appends the parameter sets of `frame`, and a unit of `visible` and `content`.
pub(in crate::payload) fn wrap(
    syntax: Syntax,
    frame: &[u8],
    visible: Visible,
    content: &[u8],
    out: &mut Vec<u8>,
) {
    let units = Units::new(frame, Framing::AnnexB);
    for set in units.filter(|unit| kind(syntax, unit).is_some_and(|kind| syntax.is_parameter_set(kind))) {
        out.extend(START_CODE);
        out.extend_from_slice(set);
    }
    out.extend(START_CODE);
    let mut escape = Escape::default();
    for byte in visible.bytes() {
        escape.follow(*byte);
        out.push(*byte);
    }
    for byte in content {
        if escape.is_wanted(*byte) {
            escape.follow(ESCAPE);
            out.push(ESCAPE);
        }
        escape.follow(*byte);
        out.push(*byte);
    }
    // As zeros at the end of a unit are padding.
    out.push(END);
}

/// Appends the content of a unit that [`wrap`] has made.
pub(in crate::payload) fn unwrap(syntax: Syntax, frame: &[u8], out: &mut Vec<u8>) -> Option<Visible> {
    let unit = first_picture(syntax, frame)?;
    let visible = begin(syntax, unit);
    let [content @ .., END] = unit.get(visible.bytes().len()..)? else { return None };
    let mut escape = Escape::default();
    visible.bytes().iter().for_each(|byte| escape.follow(*byte));
    for byte in content {
        if !(*byte == ESCAPE && escape.is_wanted(*byte)) {
            out.push(*byte);
        }
        escape.follow(*byte);
    }
    Some(visible)
}

fn first_picture(syntax: Syntax, frame: &[u8]) -> Option<&[u8]> {
    let mut units = Units::new(frame, Framing::AnnexB);
    units.find(|unit| kind(syntax, unit).is_some_and(|kind| syntax.is_picture(kind)))
}

/// `None`: there is not even a header.
fn kind(syntax: Syntax, unit: &[u8]) -> Option<u8> {
    let first = unit.first().filter(|_| unit.len() >= syntax.header_len())?;
    Some(syntax.kind(*first))
}

/// A shorter unit has others in place of bytes that it lacks.
fn begin(syntax: Syntax, unit: &[u8]) -> Visible {
    let len = syntax.header_len().saturating_add(SLICE_BEGIN);
    let begin = unit.get(..len.min(unit.len())).unwrap_or_default();
    let lacking = len.saturating_sub(begin.len());
    Visible::new([begin, [END; SLICE_BEGIN].get(..lacking).unwrap_or_default(), &[]])
}

/// Where a byte has to come between two zeros and a third that would make a start code of them (H.264 §7.4.1, H.265 §7.4.2).
#[derive(Default)]
struct Escape {
    zeros: u8,
}

impl Escape {
    const fn is_wanted(&self, next: u8) -> bool {
        self.zeros >= 2 && next <= ESCAPE
    }

    fn follow(&mut self, byte: u8) {
        self.zeros = if byte == 0 { self.zeros.saturating_add(1) } else { 0 };
    }
}

const START_CODE: [u8; 4] = [0, 0, 0, 1];
const ESCAPE: u8 = 3;
/// The one bit and the zeros with which a unit ends (H.264 §7.3.2.11).
const END: u8 = 0x80;
/// Of a slice, in bytes.
const SLICE_BEGIN: usize = 4;
