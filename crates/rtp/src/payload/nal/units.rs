use crate::payload::FrameError;

/// How the NAL units of a frame are told apart.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Framing {
    /// A start code stands before each: 00 00 00 01, in what is read also 00 00 01 (annex B of H.264 and H.265).
    #[default]
    AnnexB,
    /// Four bytes of length stand before each, as in AVCC and HVCC files (ISO/IEC 14496-15).
    Length,
}

/// The NAL units of a frame, none of them empty.
#[derive(Clone, Debug)]
pub(crate) struct Units<'a> {
    rest: &'a [u8],
    framing: Framing,
}

impl<'a> Units<'a> {
    pub(crate) const fn new(frame: &'a [u8], framing: Framing) -> Self {
        Self { rest: frame, framing }
    }

    /// Whether the frame consists of units that are told apart as it was said, at least one.
    pub(crate) fn check(mut self) -> Result<(), FrameError> {
        if self.rest.is_empty() {
            return Err(FrameError::Empty);
        }
        let starts_well = match self.framing {
            Framing::AnnexB => {
                start_code(self.rest).is_some_and(|at| self.rest.iter().take(at).all(|byte| *byte == 0))
            }
            Framing::Length => true,
        };
        if !starts_well || !self.by_ref().any(|_| true) {
            return Err(FrameError::NotAFrame);
        }
        self.by_ref().for_each(drop);
        // A length that goes on behind the end is left over.
        if self.framing == Framing::Length && !self.rest.is_empty() {
            return Err(FrameError::NotAFrame);
        }
        Ok(())
    }

    fn next_annex_b(&mut self) -> Option<&'a [u8]> {
        loop {
            let at = start_code(self.rest)?;
            let unit = self.rest.get(at.saturating_add(3)..)?;
            let end = start_code(unit).unwrap_or(unit.len());
            let (unit, rest) = unit.split_at_checked(end)?;
            self.rest = rest;
            // Zeros behind a unit are padding: the last byte of a unit is never zero (H.264 §7.4.1, B.1).
            let len = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
            if let Some(unit) = unit.get(..len).filter(|unit| !unit.is_empty()) {
                return Some(unit);
            }
        }
    }

    fn next_length(&mut self) -> Option<&'a [u8]> {
        loop {
            let (len, rest) = self.rest.split_first_chunk()?;
            let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
            let (unit, rest) = rest.split_at_checked(len)?;
            self.rest = rest;
            if !unit.is_empty() {
                return Some(unit);
            }
        }
    }
}

impl<'a> Iterator for Units<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self.framing {
            Framing::AnnexB => self.next_annex_b(),
            Framing::Length => self.next_length(),
        }
    }
}

/// Where the first 00 00 01 stands.
fn start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 0_usize;
    loop {
        let [a, b, c] = bytes.get(at..)?.first_chunk()?;
        at = match (a, b, c) {
            (0, 0, 1) => return Some(at),
            // Neither of the three can be the first of a start code.
            (.., 2..) => at.saturating_add(3),
            _ => at.saturating_add(1),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(frame: &[u8], framing: Framing) -> Vec<&[u8]> {
        Units::new(frame, framing).collect()
    }

    #[test]
    fn units_stand_between_start_codes_of_either_length() {
        let frame = [0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 7, 1, 0, 0, 2, 0, 0, 0, 1, 8, 2, 0, 0, 0, 0, 1, 5, 0, 0];
        assert_eq!(units(&frame, Framing::AnnexB), [&[9, 0xf0][..], &[7, 1, 0, 0, 2], &[8, 2], &[5]]);
        assert_eq!(Units::new(&frame, Framing::AnnexB).check(), Ok(()));
        for bad in [&[0, 0, 1][..], &[0, 0, 1, 0], &[1, 2, 3, 4], &[7, 0, 0, 1, 9]] {
            assert_eq!(Units::new(bad, Framing::AnnexB).check(), Err(FrameError::NotAFrame), "{bad:?}");
        }
        assert_eq!(Units::new(&[], Framing::AnnexB).check(), Err(FrameError::Empty));
    }

    #[test]
    fn start_codes_are_found_wherever_they_stand() {
        for at in 0..20 {
            for filler in 0..4 {
                let mut bytes = [filler; 30];
                bytes[at..at + 3].copy_from_slice(&[0, 0, 1]);
                let slow = bytes.windows(3).position(|window| window == [0, 0, 1]);
                assert_eq!(start_code(&bytes), slow);
                assert_eq!(start_code(&bytes[..at + 2]), None);
            }
        }
    }

    #[test]
    fn units_have_their_length_before_them() {
        let frame = [0, 0, 0, 2, 9, 0xf0, 0, 0, 0, 0, 0, 0, 0, 1, 5];
        assert_eq!(units(&frame, Framing::Length), [&[9, 0xf0][..], &[5]]);
        assert_eq!(Units::new(&frame, Framing::Length).check(), Ok(()));
        for cut in [1, 5, 7, 11, 14] {
            assert_eq!(Units::new(&frame[..cut], Framing::Length).check(), Err(FrameError::NotAFrame));
        }
    }
}
