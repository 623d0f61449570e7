use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use crate::attribute::Attribute;
use crate::lines::Lines;
use crate::media::Media;
use crate::{Direction, Limits, ParseError, ParseErrorKind};

/// A session description: lines in the order in which they were read, each known one checked when it
/// was. Written again it is the same to the byte, but for what was changed since.
#[derive(Clone)]
pub struct SessionDescription {
    /// What was read, and behind it the lines that were changed or added since.
    text: String,
    /// The lines in order, as spans of the text; none while the text is the lines one behind the other.
    lines: Vec<Span>,
    /// Where each section begins.
    sections: Vec<Start>,
    /// From this length on the text is written anew, without what is no longer used.
    rewrite_at: u32,
    /// Whether the text is the lines one behind the other.
    is_plain: bool,
}

/// Where a section's `m=` line stands.
#[derive(Clone, Copy, Debug)]
struct Start {
    /// Which line it is.
    line: u32,
    /// Its place in the text, as it was read.
    byte: u32,
}

/// Where one line stands in the text, with its end.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
}

impl SessionDescription {
    /// Reads a description within the default [`Limits`].
    ///
    /// # Errors
    ///
    /// What is wrong with the first line that is wrong, and its number.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_within(text, &Limits::default())
    }

    /// [`parse`](Self::parse) with limits of the caller's.
    pub fn parse_within(text: &str, limits: &Limits) -> Result<Self, ParseError> {
        let lines = Lines::parse_within(text, limits)?;
        Checker::new(limits).check(lines)?;
        // Spans are of 32 bits; nobody allows more.
        if u32::try_from(text.len()).is_err() {
            return Err(ParseError { line: 0, kind: ParseErrorKind::TooMuch("bytes") });
        }
        Ok(Self::of_checked(text.to_owned()))
    }

    /// Of a text that was checked.
    pub(crate) fn of_checked(text: String) -> Self {
        let mut sections = Vec::new();
        let mut start = Start { line: 0, byte: 0 };
        for raw in text.split_inclusive('\n') {
            if raw.starts_with("m=") {
                sections.push(start);
            }
            start.line += 1;
            start.byte += u32::try_from(raw.len()).unwrap_or_default();
        }
        // Kept for as long as the connection: no larger than they are.
        sections.shrink_to_fit();
        Self { lines: Vec::new(), sections, rewrite_at: rewrite_at(text.len()), is_plain: true, text }
    }

    /// The `o=` line.
    pub fn origin(&self) -> Origin<'_> {
        let origin =
            self.lines(None).find(|(kind, _)| *kind == b'o').and_then(|(_, value)| Origin::parse(value));
        origin.unwrap_or_default()
    }

    /// The attributes before the first media section.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'_>> {
        attributes(self.lines(None))
    }

    /// The media sections in order.
    pub fn media(&self) -> impl ExactSizeIterator<Item = Media<'_>> {
        (0..self.sections.len()).map(|index| Media::new(self, index))
    }

    /// The media section called `mid`.
    pub fn media_by_mid(&self, mid: &str) -> Option<Media<'_>> {
        self.media().find(|media| media.mid() == Some(mid))
    }

    /// The names of the sections in each BUNDLE group (RFC 9143 §5).
    pub fn bundle_groups(&self) -> impl Iterator<Item = impl Iterator<Item = &str>> {
        self.attributes().filter_map(|attribute| {
            let Attribute::Group(group) = attribute else { return None };
            (group.semantics() == "BUNDLE").then(|| group.mids())
        })
    }

    /// Appends an attribute to the session part (`None`) or to a media section, by its index.
    pub fn add_attribute(&mut self, section: Option<usize>, attribute: Attribute<'_>) {
        self.spread();
        let (_, end) = self.range(section);
        let line = self.write(attribute);
        self.lines.insert(end, line);
        let moved = section.map_or(0, |section| section + 1);
        self.sections.iter_mut().skip(moved).for_each(|at| at.line += 1);
    }

    /// Replaces the first attribute of the same name, or appends it where there is none. A direction replaces whichever there
    /// is.
    ///
    /// ```
    /// # use sdp::{Attribute, Direction, SessionDescription};
    /// let text = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=sendrecv\r\n";
    /// let mut held = SessionDescription::parse(text)?;
    /// held.set_attribute(Some(0), Attribute::Direction(Direction::SendOnly));
    /// assert_eq!(held.to_string(), text.replace("sendrecv", "sendonly"));
    /// # Ok::<_, sdp::ParseError>(())
    /// ```
    pub fn set_attribute(&mut self, section: Option<usize>, attribute: Attribute<'_>) {
        self.spread();
        let (start, end) = self.range(section);
        let is_direction = matches!(attribute, Attribute::Direction(_));
        let is_it = |name: &str| {
            if is_direction { Direction::parse(name).is_some() } else { name == attribute.name() }
        };
        let place = (start..end).find(|at| self.attribute_name(*at).is_some_and(is_it));
        let Some(at) = place else { return self.add_attribute(section, attribute) };
        let line = self.write(attribute);
        if let Some(old) = self.lines.get_mut(at) {
            *old = line;
        }
    }

    /// Takes away every attribute called `name`; says how many there were.
    pub fn remove_attributes(&mut self, section: Option<usize>, name: &str) -> usize {
        self.spread();
        let (start, end) = self.range(section);
        let found: Vec<usize> =
            (start..end).rev().filter(|at| self.attribute_name(*at) == Some(name)).collect();
        for at in &found {
            self.lines.remove(*at);
        }
        let moved = section.map_or(0, |section| section + 1);
        let gone = u32::try_from(found.len()).unwrap_or_default();
        self.sections.iter_mut().skip(moved).for_each(|at| at.line -= gone);
        found.len()
    }

    /// Kind and value of the lines of the session part or of a section.
    pub(crate) fn lines(&self, section: Option<usize>) -> impl Iterator<Item = (u8, &str)> {
        let (text, spans) = if self.is_plain {
            (self.text_of(section), &[][..])
        } else {
            let (start, end) = self.range(section);
            ("", self.lines.get(start..end).unwrap_or_default())
        };
        let lines = text.split_inclusive('\n').chain(spans.iter().map(|span| self.line(*span)));
        lines.filter_map(|line| {
            let line = line.trim_end_matches(['\r', '\n', ' ', '\t']);
            Some((*line.as_bytes().first()?, line.get(2..).unwrap_or_default()))
        })
    }

    /// The text of the session part or of a section, as it was read.
    fn text_of(&self, section: Option<usize>) -> &str {
        let start_of =
            |section: usize| self.sections.get(section).map_or(self.text.len(), |at| at.byte as usize);
        let range = match section {
            None => 0..start_of(0),
            Some(section) => start_of(section)..start_of(section + 1),
        };
        self.text.get(range).unwrap_or_default()
    }

    /// Finds the lines, which are to be changed.
    fn spread(&mut self) {
        if !std::mem::take(&mut self.is_plain) {
            return;
        }
        let mut start = 0;
        self.lines = Vec::with_capacity(self.text.len() / USUAL_LINE);
        for raw in self.text.split_inclusive('\n') {
            self.lines.push(span(start, raw.len()));
            start += raw.len();
        }
    }

    fn line(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Writes a line behind the text; where that has doubled, it is written anew before, if only to find that all of
    /// it is used.
    fn write(&mut self, attribute: Attribute<'_>) -> Span {
        if self.text.len() > self.rewrite_at as usize {
            let used: usize = self.lines.iter().map(|span| self.line(*span).len()).sum();
            let mut text = String::with_capacity(used);
            for span in &mut self.lines {
                let line = self.text.get(span.start as usize..span.end as usize).unwrap_or_default();
                *span = self::span(text.len(), line.len());
                text.push_str(line);
            }
            self.rewrite_at = rewrite_at(text.len());
            self.text = text;
        }
        let start = self.text.len();
        // A `String` takes everything.
        let _ = write!(self.text, "a={attribute}\r\n");
        span(start, self.text.len() - start)
    }

    fn attribute_name(&self, at: usize) -> Option<&str> {
        let line = self.line(*self.lines.get(at)?).strip_prefix("a=")?.trim_end();
        line.split(':').next()
    }

    /// The lines of the session part or of a section.
    fn range(&self, section: Option<usize>) -> (usize, usize) {
        let start_of =
            |section: usize| self.sections.get(section).map_or(self.lines.len(), |at| at.line as usize);
        match section {
            None => (0, start_of(0)),
            Some(section) => (start_of(section), start_of(section + 1)),
        }
    }
}

/// Of a text that is shorter than 4 GiB; what is beyond is no line.
fn span(start: usize, len: usize) -> Span {
    let bound = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span { start: bound(start), end: bound(start.saturating_add(len)) }
}

/// When a text is written anew whose lines take `used` bytes.
fn rewrite_at(used: usize) -> u32 {
    u32::try_from(used.saturating_mul(2).saturating_add(SLACK)).unwrap_or(u32::MAX)
}

pub(crate) fn attributes<'a>(
    lines: impl Iterator<Item = (u8, &'a str)>,
) -> impl Iterator<Item = Attribute<'a>> {
    // Each was checked when it was read or made, so none is lost here.
    lines.filter(|(kind, _)| *kind == b'a').filter_map(|(_, value)| Attribute::parse(value).ok())
}

impl FromStr for SessionDescription {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Display for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_plain {
            return f.write_str(&self.text);
        }
        for (number, span) in self.lines.iter().enumerate() {
            let line = self.line(*span);
            f.write_str(line)?;
            // What was read last may lack its line end.
            if !line.ends_with('\n') && number + 1 < self.lines.len() {
                f.write_str("\r\n")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for SessionDescription {
    /// Without its text, which holds the ICE password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sections = self.sections.len();
        f.debug_struct("SessionDescription")
            .field("bytes", &self.text.len())
            .field("sections", &sections)
            .finish()
    }
}

/// The `o=` line (RFC 8866 §5.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Origin<'a> {
    /// The user, or `-`.
    pub username: &'a str,
    /// The identity of the session: digits.
    pub session_id: &'a str,
    /// The version of the description: digits.
    pub version: &'a str,
    /// The address of the machine.
    pub address: &'a str,
}

impl<'a> Origin<'a> {
    pub(crate) fn parse(value: &'a str) -> Option<Self> {
        let mut fields = value.trim_end().split(' ');
        let [username, session_id, version, network, family, address] =
            std::array::from_fn(|_| fields.next());
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let known = network? == "IN" && matches!(family?, "IP4" | "IP6") && fields.next().is_none();
        let origin =
            Self { username: username?, session_id: session_id?, version: version?, address: address? };
        let whole = known && !origin.username.is_empty() && !origin.address.is_empty();
        (whole && digits(origin.session_id) && digits(origin.version)).then_some(origin)
    }
}

/// Checks the lines of a description, in one pass.
struct Checker<'l, 'a> {
    limits: &'l Limits,
    /// Of what the lines are at hand.
    part: Part,
    seen_origin: bool,
    sections: usize,
    candidates: usize,
    source_groups: usize,
    mids: BTreeSet<&'a str>,
}

impl<'l, 'a> Checker<'l, 'a> {
    const fn new(limits: &'l Limits) -> Self {
        Self {
            limits,
            part: Part::Session,
            seen_origin: false,
            sections: 0,
            candidates: 0,
            source_groups: 0,
            mids: BTreeSet::new(),
        }
    }

    fn check(mut self, lines: Lines<'a>) -> Result<(), ParseError> {
        for line in lines.iter() {
            let is_beyond =
                |number| usize::try_from(number).is_ok_and(|number| number > self.limits.session_lines);
            let checked = if line.number == 1 {
                let version = line.kind == 'v' && line.value.trim_end() == "0";
                if version { Ok(()) } else { Err(ParseErrorKind::Version) }
            } else if self.part == Part::Session && line.kind != 'm' && is_beyond(line.number) {
                Err(ParseErrorKind::TooMuch("session_lines"))
            } else {
                self.line(line.kind, line.value)
            };
            checked.map_err(|kind| ParseError { line: line.number, kind })?;
        }
        if self.seen_origin {
            Ok(())
        } else {
            Err(ParseError { line: 0, kind: ParseErrorKind::OriginMissing })
        }
    }

    fn line(&mut self, kind: char, value: &'a str) -> Result<(), ParseErrorKind> {
        match kind {
            'v' => return Err(ParseErrorKind::Version),
            'o' => {
                if self.seen_origin || self.sections > 0 {
                    return Err(ParseErrorKind::Origin);
                }
                self.seen_origin = true;
                Origin::parse(value).ok_or(ParseErrorKind::Origin)?;
            }
            'm' => self.media(value)?,
            'a' => match Attribute::parse(value) {
                Ok(attribute) => self.attribute(attribute)?,
                Err(kind) if self.part.reads(kind) => return Err(kind),
                // RFC 8866 §5.13: what is not understood is ignored.
                Err(_) => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn media(&mut self, value: &str) -> Result<(), ParseErrorKind> {
        if !self.seen_origin {
            return Err(ParseErrorKind::OriginMissing);
        }
        self.sections += 1;
        self.candidates = 0;
        self.source_groups = 0;
        if self.sections > self.limits.media {
            return Err(ParseErrorKind::TooMuch("media"));
        }
        let mut fields = value.split_ascii_whitespace();
        let [kind, port, protocol] = std::array::from_fn(|_| fields.next());
        let (Some(_), Some(port), Some(protocol)) = (kind, port, protocol) else {
            return Err(ParseErrorKind::Media);
        };
        self.part = Part::of(protocol);
        let port = port.split('/').next().unwrap_or(port);
        if !port.bytes().all(|byte| byte.is_ascii_digit()) || port.parse::<u16>().is_err() {
            return Err(ParseErrorKind::Port);
        }
        match fields.count() {
            0 => Err(ParseErrorKind::Media),
            formats if formats > self.limits.formats => Err(ParseErrorKind::TooMuch("formats")),
            _ => Ok(()),
        }
    }

    fn attribute(&mut self, attribute: Attribute<'a>) -> Result<(), ParseErrorKind> {
        if let Attribute::Mid(mid) = attribute
            && self.sections > 0
            && !self.mids.insert(mid)
        {
            return Err(ParseErrorKind::DuplicateMid);
        }
        if let Attribute::Candidate(_) = attribute {
            self.candidates += 1;
            if self.candidates > self.limits.candidates {
                return Err(ParseErrorKind::TooMuch("candidates"));
            }
        }
        if let Attribute::SourceGroup(_) = attribute {
            self.source_groups += 1;
            if self.source_groups > self.limits.source_groups {
                return Err(ParseErrorKind::TooMuch("source_groups"));
            }
        }
        Ok(())
    }
}

/// What lines belong to, which says what of them is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Session,
    /// A section with this protocol, whether it is rejected or not.
    Rtp,
    Sctp,
    Other,
}

impl Part {
    fn of(protocol: &str) -> Self {
        let has = |name: &str| protocol.split('/').any(|part| part == name);
        if has("RTP") {
            Self::Rtp
        } else if has("SCTP") {
            Self::Sctp
        } else {
            Self::Other
        }
    }

    /// Whether an attribute that this is wrong with is one that is read here. RFC 9429 §5.8 has a description refused for a line
    /// that cannot be read, also where its value is not used; §5.8.1 and §5.8.2 say which lines are read where.
    fn reads(self, wrong: ParseErrorKind) -> bool {
        let ParseErrorKind::Attribute(name, _) = wrong else { return true };
        match name {
            "ice-ufrag" | "ice-pwd" | "ice-options" | "fingerprint" | "setup" | "tls-id" => true,
            "group" => self == Self::Session,
            "extmap" => matches!(self, Self::Session | Self::Rtp),
            "mid" | "candidate" => self != Self::Session,
            "sctp-port" | "max-message-size" => self == Self::Sctp,
            _ => self == Self::Rtp,
        }
    }
}

/// Bytes of lines no longer in use that a text may hold in any case.
const SLACK: usize = 1024;
/// Bytes that a line has at least on average, for memory that is given back where it is too much.
const USUAL_LINE: usize = 24;
