//! A frame's OBU that holds bytes which nobody has to understand.

use proto::Writer;

use super::obu::{HAS_SIZE, Obu, Obus, SEQUENCE_HEADER, leb128};
use crate::payload::opaque::Visible;

/// Of the first frame the header, without the flag for a size, and the byte behind it, which tells its kind (AV1 §5.9.2).
pub(in crate::payload) fn visible(unit: &[u8]) -> Option<Visible> {
    let frame = first_frame(unit)?;
    Some(Visible::new([frame.header(), frame.data.get(..1)?, &[]]))
}

/// Appends the sequence headers of `unit`, and an OBU of `visible` and `content`.
pub(in crate::payload) fn wrap(unit: &[u8], visible: Visible, content: &[u8], out: &mut Vec<u8>) {
    let obus = Obus::new(unit).map_while(Result::ok);
    for sequence in obus.filter(|obu| obu.kind() == SEQUENCE_HEADER) {
        append(sequence.header(), [sequence.data, &[]], out);
    }
    let Some((kind, header)) = visible.bytes().split_last() else { return };
    append(header, [&[*kind], content], out);
}

/// Appends the content of an OBU that [`wrap`] has made.
pub(in crate::payload) fn unwrap(unit: &[u8], out: &mut Vec<u8>) -> Option<Visible> {
    let (_, content) = first_frame(unit)?.data.split_first()?;
    out.extend_from_slice(content);
    visible(unit)
}

fn first_frame(unit: &[u8]) -> Option<Obu<'_>> {
    Obus::new(unit).map_while(Result::ok).find(Obu::is_frame)
}

fn append(header: &[u8], data: [&[u8]; 2], out: &mut Vec<u8>) {
    let mut header = header.iter();
    out.extend(header.next().map(|first| first | HAS_SIZE));
    out.extend(header);
    let mut memory = [0; 10];
    let mut size = Writer::new(&mut memory);
    let len = data.iter().fold(0, |len: usize, part| len.saturating_add(part.len()));
    if leb128(len, &mut size).is_ok() {
        out.extend_from_slice(size.written());
    }
    data.iter().for_each(|part| out.extend_from_slice(part));
}
