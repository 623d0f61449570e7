use std::fmt;

use crate::{Limits, ParseError, ParseErrorKind};

/// Any SDP as borrowed lines: checked for their form, not for what they say.
///
/// ```
/// let lines = sdp::Lines::parse("v=0\r\ns=-\r\n")?;
/// assert_eq!(lines.iter().map(|line| (line.kind, line.value)).collect::<Vec<_>>(), [('v', "0"), ('s', "-")]);
/// # Ok::<_, sdp::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    text: &'a str,
}

/// One line: `kind=value`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Line<'a> {
    /// The letter before the equals sign.
    pub kind: char,
    /// What stands behind it, without the line end.
    pub value: &'a str,
    /// The number of the line, from 1.
    pub number: u32,
}

impl<'a> Lines<'a> {
    /// Checks that every line of `text` is one letter, an equals sign and a value without NUL or carriage
    /// return, within the default [`Limits`].
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        Self::parse_within(text, &Limits::default())
    }

    /// [`parse`](Self::parse) with limits of the caller's.
    pub fn parse_within(text: &'a str, limits: &Limits) -> Result<Self, ParseError> {
        let error = |line, kind| Err(ParseError { line, kind });
        if text.is_empty() {
            return error(0, ParseErrorKind::Empty);
        }
        if text.len() > limits.bytes {
            return error(0, ParseErrorKind::TooMuch("bytes"));
        }
        let mut number = 0;
        for raw in split(text) {
            number += 1;
            if number as usize > limits.lines {
                return error(number, ParseErrorKind::TooMuch("lines"));
            }
            if raw.len() > limits.line_bytes {
                return error(number, ParseErrorKind::TooMuch("line_bytes"));
            }
            // Every byte is looked at, many at a time.
            if raw.bytes().fold(false, |found, byte| found | (byte == 0) | (byte == b'\r')) {
                return error(number, ParseErrorKind::ControlCharacter);
            }
            let [kind, b'=', ..] = raw.as_bytes() else {
                return error(number, ParseErrorKind::NotALine);
            };
            if !kind.is_ascii_lowercase() {
                return error(number, ParseErrorKind::NotALine);
            }
        }
        Ok(Self { text })
    }

    /// The lines in order.
    pub fn iter(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        split(self.text).zip(1..).filter_map(|(raw, number)| {
            // `parse_within` has seen that these are a letter and an equals sign.
            let (kind, value) = (raw.as_bytes().first()?, raw.get(2..)?);
            Some(Line { kind: char::from(*kind), value, number })
        })
    }

    /// The text that was parsed.
    pub const fn text(&self) -> &'a str {
        self.text
    }
}

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// The lines of `text` without their ends, CRLF or LF; the last one needs none.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_which_line() {
        for (text, line, kind) in [
            ("", 0, ParseErrorKind::Empty),
            ("v=0\r\n\r\ns=-\r\n", 2, ParseErrorKind::NotALine),
            ("v=0\nhello\n", 2, ParseErrorKind::NotALine),
            ("V=0\n", 1, ParseErrorKind::NotALine),
            ("v =0\n", 1, ParseErrorKind::NotALine),
            ("é=0\n", 1, ParseErrorKind::NotALine),
            ("v=0\ns=a\0b\n", 2, ParseErrorKind::ControlCharacter),
            ("v=0\ns=a\rb\n", 2, ParseErrorKind::ControlCharacter),
            ("v", 1, ParseErrorKind::NotALine),
        ] {
            assert_eq!(Lines::parse(text).unwrap_err(), ParseError { line, kind }, "{text:?}");
        }
    }

    #[test]
    fn limits_hold_at_one_past_them() {
        let limits = Limits { bytes: 12, lines: 2, line_bytes: 6, ..Limits::default() };
        let parse = |text| Lines::parse_within(text, &limits).map(|_| ()).map_err(|error| error.kind);
        assert_eq!(parse("a=1234\nb=12"), Ok(()));
        assert_eq!(parse("a=1234\nb=1234"), Err(ParseErrorKind::TooMuch("bytes")));
        assert_eq!(parse("a=12345\n"), Err(ParseErrorKind::TooMuch("line_bytes")));
        assert_eq!(parse("a=\nb=\nc=\n"), Err(ParseErrorKind::TooMuch("lines")));
    }
}
