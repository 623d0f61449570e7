use std::fmt;

use crate::DecodeError;

/// A domain name inside a message, compressed or not. It was checked when the message was decoded, so
/// that walking it cannot fail. Compared without regard to the case of ASCII letters (RFC 6762 §16).
#[derive(Clone, Copy)]
pub struct Name<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Name<'a> {
    /// The name at offset `at`, and the offset of what follows it.
    pub(crate) fn decode(message: &'a [u8], at: usize) -> Result<(Self, usize), DecodeError> {
        let end = end_of_name(message, at)?;
        Ok((Self { message, at }, end))
    }

    /// A name that is known to be sound.
    pub(crate) const fn trusted(message: &'a [u8], at: usize) -> Self {
        Self { message, at }
    }

    /// Its labels, the root left out.
    pub const fn labels(&self) -> Labels<'a> {
        Labels { message: self.message, at: self.at }
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.labels(), other.labels());
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => {}
                _ => return false,
            }
        }
    }
}

impl Eq for Name<'_> {}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, label) in self.labels().enumerate() {
            let dot = if place == 0 { "" } else { "." };
            write!(f, "{dot}{}", label.escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// The labels of a [`Name`], the most specific first.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            match step(self.message, self.at).ok()? {
                Step::End => return None,
                Step::Pointer(target) if target < self.at => self.at = target,
                Step::Pointer(_) => return None,
                Step::Label(label) => {
                    self.at = self.at.saturating_add(label.len()).saturating_add(1);
                    return Some(label);
                }
            }
        }
    }
}

/// What stands at one place of a name (RFC 1035 §4.1.4).
enum Step<'a> {
    End,
    Label(&'a [u8]),
    Pointer(usize),
}

fn step(message: &[u8], at: usize) -> Result<Step<'_>, DecodeError> {
    let rest = message.get(at..).ok_or(DecodeError::Truncated)?;
    let (first, rest) = rest.split_first().ok_or(DecodeError::Truncated)?;
    match first >> 6 {
        0 if *first == 0 => Ok(Step::End),
        0 => rest.get(..usize::from(*first)).map(Step::Label).ok_or(DecodeError::Truncated),
        3 => {
            let low = rest.first().ok_or(DecodeError::Truncated)?;
            Ok(Step::Pointer(usize::from(u16::from_be_bytes([first & 0x3f, *low]))))
        }
        _ => Err(DecodeError::Label),
    }
}

/// Checks the name at `start` and tells where it ends. A pointer leads before the labels that it
/// stands behind, and no further than to the end of the header: so each name ends, after at most
/// [`MAX_JUMPS`] pointers and 255 bytes, and a message takes time in proportion to its records.
fn end_of_name(message: &[u8], start: usize) -> Result<usize, DecodeError> {
    let (mut at, mut run) = (start, start);
    let (mut len, mut jumps) = (1_usize, 0);
    let mut end = None;
    loop {
        match step(message, at)? {
            Step::End => return Ok(end.unwrap_or_else(|| at.saturating_add(1))),
            Step::Label(label) => {
                let taken = label.len().saturating_add(1);
                len = len.saturating_add(taken);
                if len > MAX_NAME {
                    return Err(DecodeError::NameTooLong);
                }
                at = at.saturating_add(taken);
            }
            Step::Pointer(target) => {
                if target >= run || target < HEADER || jumps == MAX_JUMPS {
                    return Err(DecodeError::Pointer);
                }
                jumps = jumps.saturating_add(1);
                end = end.or_else(|| at.checked_add(2));
                (at, run) = (target, target);
            }
        }
    }
}

/// Pointers that a name may have.
pub const MAX_JUMPS: u32 = 16;
/// RFC 1035 §3.1: bytes of a name, its lengths and its end included.
const MAX_NAME: usize = 255;
/// RFC 1035 §4.1.1: bytes of a header, in which no name stands.
pub(crate) const HEADER: usize = 12;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow is how a test fails")]
mod tests {
    use super::*;

    fn message(bytes: &[u8]) -> Vec<u8> {
        [&[0; HEADER], bytes].concat()
    }

    fn read(bytes: &[u8], at: usize) -> Result<(String, usize), DecodeError> {
        let message = message(bytes);
        Name::decode(&message, HEADER + at).map(|(name, end)| (name.to_string(), end - HEADER))
    }

    #[test]
    fn the_compressed_names_of_rfc_1035_are_read() {
        // §4.1.4: F.ISI.ARPA, FOO.F.ISI.ARPA, ARPA and the root.
        let bytes = b"\x01F\x03ISI\x04ARPA\x00\x03FOO\xc0\x0c\xc0\x12\x00";
        assert_eq!(read(bytes, 0), Ok(("F.ISI.ARPA".into(), 12)));
        assert_eq!(read(bytes, 12), Ok(("FOO.F.ISI.ARPA".into(), 18)));
        assert_eq!(read(bytes, 18), Ok(("ARPA".into(), 20)));
        assert_eq!(read(bytes, 20), Ok((String::new(), 21)));
    }

    #[test]
    fn every_prefix_is_refused() {
        let bytes = b"\x01F\x03ISI\x04ARPA\x00";
        for len in 0..bytes.len() {
            assert_eq!(read(&bytes[..len], 0), Err(DecodeError::Truncated), "{len}");
        }
    }

    #[test]
    fn a_pointer_that_leads_nowhere_but_back_is_followed_and_no_other() {
        // To itself, forward, into the labels that it stands behind, into the header, past the end.
        for bytes in [
            &b"\xc0\x0c"[..],
            b"\xc0\x0e\x01a\x00",
            b"\x01a\xc0\x0c",
            b"\x01a\xc0\x00",
            b"\x01a\xc0\x0b",
            b"\xff\xff",
        ] {
            assert_eq!(read(bytes, 0), Err(DecodeError::Pointer), "{bytes:02x?}");
        }
        // Two pointers that lead to each other: the second leads forward.
        assert_eq!(read(b"\xc0\x0e\xc0\x0c", 2), Err(DecodeError::Pointer));
    }

    #[test]
    fn sixteen_pointers_are_followed_and_not_one_more() {
        let mut bytes = b"\x00".to_vec();
        for jump in 0..=MAX_JUMPS {
            let target = if jump == 0 { HEADER } else { HEADER + bytes.len() - 2 };
            bytes.extend([0xc0, u8::try_from(target).unwrap()]);
        }
        let last = bytes.len() - 2;
        assert_eq!(read(&bytes, last - 2).map(|(name, _)| name), Ok(String::new()));
        assert_eq!(read(&bytes, last), Err(DecodeError::Pointer));
    }

    #[test]
    fn a_name_has_255_bytes_and_not_one_more() {
        let longest = [&[63; 64][..], &[63; 64], &[63; 64], &[61; 62], b"\0"].concat();
        assert_eq!(longest.len(), 255);
        assert_eq!(read(&longest, 0).map(|(_, end)| end), Ok(255));
        let longer = [&[63; 64][..], &[63; 64], &[63; 64], &[62; 63], b"\0"].concat();
        assert_eq!(read(&longer, 0), Err(DecodeError::NameTooLong));
        // The bytes that a pointer adds count too.
        let joined = [&longest[..], b"\x01a\xc0\x0c"].concat();
        assert_eq!(read(&joined, 255), Err(DecodeError::NameTooLong));
    }

    #[test]
    fn labels_of_reserved_kinds_are_refused() {
        for first in [0x40, 0x7f, 0x80, 0xbf] {
            assert_eq!(read(&[first, 0, 0], 0), Err(DecodeError::Label), "{first:#04x}");
        }
    }

    #[test]
    fn names_are_equal_whatever_the_case_of_their_letters() {
        let bytes = message(b"\x01a\x05LOCAL\x00\x01A\x05local\x00\x01b\x05local\x00\x01a\x00");
        let name = |at| Name::decode(&bytes, HEADER + at).unwrap().0;
        assert_eq!(name(0), name(9));
        assert_ne!(name(0), name(18));
        assert_ne!(name(0), name(27));
    }
}
