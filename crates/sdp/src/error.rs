use std::fmt;

/// Why a text is not a session description, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseError {
    /// The line, counted from 1; 0 where no single line is to blame.
    pub line: u32,
    /// What is wrong with it.
    pub kind: ParseErrorKind,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// There is no text.
    Empty,
    /// It is not a letter, an equals sign and a value.
    NotALine,
    /// It holds a NUL or a carriage return.
    ControlCharacter,
    /// The first line is not `v=0`.
    Version,
    /// The `o=` line is missing before the first media section.
    OriginMissing,
    /// The `o=` line does not have its six fields.
    Origin,
    /// The `m=` line does not have a kind, a port, a protocol and a format.
    Media,
    /// The port of an `m=` line is no port.
    Port,
    /// The value of this attribute is none that its specification knows.
    Attribute(&'static str, &'static str),
    /// A `mid` stands in two media sections.
    DuplicateMid,
    /// One of [`Limits`](crate::Limits) is exceeded: its name.
    TooMuch(&'static str),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        match self.kind {
            ParseErrorKind::Empty => f.write_str("there is no text"),
            ParseErrorKind::NotALine => f.write_str("not a letter, an equals sign and a value"),
            ParseErrorKind::ControlCharacter => f.write_str("a NUL or a carriage return inside the line"),
            ParseErrorKind::Version => f.write_str("a description begins with `v=0`"),
            ParseErrorKind::OriginMissing => f.write_str("there is no `o=` line"),
            ParseErrorKind::Origin => f.write_str("`o=` does not have its six fields"),
            ParseErrorKind::Media => {
                f.write_str("`m=` does not have a kind, a port, a protocol and a format")
            }
            ParseErrorKind::Port => f.write_str("the port of `m=` is no port"),
            ParseErrorKind::Attribute(name, source) => {
                write!(f, "`a={name}` has no value that {source} knows")
            }
            ParseErrorKind::DuplicateMid => f.write_str("`a=mid` stands in two media sections"),
            ParseErrorKind::TooMuch(limit) => write!(f, "more than the limit `{limit}` allows"),
        }
    }
}

impl std::error::Error for ParseError {}
