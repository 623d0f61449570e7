use std::fmt::Write as _;

use crate::{Attribute, ParseError, SessionDescription};

/// Writes a description from scratch, in the order in which the calls come.
///
/// ```
/// use sdp::{Attribute, Builder, MediaLine};
///
/// let mut builder = Builder::new(4611731400430051336, 2);
/// builder.attribute(Attribute::IceOptions("trickle"));
/// builder.media(MediaLine { kind: "application", port: 9, protocol: "UDP/DTLS/SCTP", formats: "webrtc-datachannel" });
/// builder.attribute(Attribute::Mid("0"));
/// let description = builder.build()?;
/// assert_eq!(description.media().len(), 1);
/// # Ok::<_, sdp::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    text: String,
}

/// An `m=` line.
#[derive(Clone, Copy, Debug)]
pub struct MediaLine<'a> {
    /// `audio`, `video` or `application`.
    pub kind: &'a str,
    /// 9, or 0 for a rejected section.
    pub port: u16,
    /// `UDP/DTLS/SCTP`, for example.
    pub protocol: &'a str,
    /// The formats, between blanks.
    pub formats: &'a str,
}

impl Builder {
    /// Begins a description with the origin that RFC 9429 §5.2.1 wants: no user, an unspecified address,
    /// the identity and the version of the session.
    pub fn new(session_id: u64, version: u64) -> Self {
        let text = format!("v=0\r\no=- {session_id} {version} IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n");
        Self { text }
    }

    /// Adds an attribute to the section that was begun last, or to the session.
    pub fn attribute(&mut self, attribute: Attribute<'_>) -> &mut Self {
        self.line(format_args!("a={attribute}"))
    }

    /// Adds a `group:BUNDLE` attribute with these names; without any it adds nothing.
    pub fn bundle<'m>(&mut self, mids: impl Iterator<Item = &'m str>) -> &mut Self {
        let names: String = mids.flat_map(|mid| [" ", mid]).collect();
        if names.is_empty() { self } else { self.line(format_args!("a=group:BUNDLE{names}")) }
    }

    /// Begins a media section, with the address that says "as the candidates say" (RFC 9429 §5.2.1).
    pub fn media(&mut self, line: MediaLine<'_>) -> &mut Self {
        let MediaLine { kind, port, protocol, formats } = line;
        self.line(format_args!("m={kind} {port} {protocol} {formats}\r\nc=IN IP4 0.0.0.0"))
    }

    /// The description.
    ///
    /// # Errors
    ///
    /// If a value that was given does not belong where it was put: a line end in a name, for example.
    pub fn build(&self) -> Result<SessionDescription, ParseError> {
        SessionDescription::parse(&self.text)
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) -> &mut Self {
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{line}\r\n");
        self
    }
}
