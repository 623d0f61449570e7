/// How elements are written (RFC 8285 §4.2, §4.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// Identifiers 1 to 14, values of 1 to 16 bytes, one byte in front of each.
    OneByte,
    /// Identifiers 1 to 255, values of 0 to 255 bytes, two bytes in front of each. Both ends must know
    /// that forms may be mixed (`extmap-allow-mixed`), unless the stream has no other.
    TwoByte,
}

impl Form {
    /// The number in front of extensions of this form (RFC 8285 §4.2, §4.3).
    pub const fn profile(self) -> u16 {
        match self {
            Self::OneByte => ONE_BYTE,
            Self::TwoByte => TWO_BYTE,
        }
    }

    pub(crate) const fn of_profile(profile: u16) -> Option<Self> {
        match profile {
            ONE_BYTE => Some(Self::OneByte),
            // The last four bits are the application's (RFC 8285 §4.3).
            TWO_BYTE..=TWO_BYTE_LAST => Some(Self::TwoByte),
            _ => None,
        }
    }

    /// How many bytes stand in front of each value.
    pub const fn header_len(self) -> usize {
        match self {
            Self::OneByte => 1,
            Self::TwoByte => 2,
        }
    }

    /// How many bytes an element takes with what stands in front of it. `None` if it does not go into
    /// this form.
    pub const fn element_len(self, id: u8, value_len: usize) -> Option<usize> {
        match self {
            Self::OneByte if matches!(id, 1..=14) && matches!(value_len, 1..=16) => {
                Some(value_len.wrapping_add(1))
            }
            Self::TwoByte if id > 0 && value_len < 256 => Some(value_len.wrapping_add(2)),
            Self::OneByte | Self::TwoByte => None,
        }
    }

    /// The first [`header_len`](Self::header_len) bytes of an element that goes into this form.
    pub fn element_header(self, id: u8, value_len: usize) -> [u8; 2] {
        let len = u8::try_from(value_len).unwrap_or_default();
        match self {
            Self::OneByte => [id << 4 | len.saturating_sub(1) & 0x0f, 0],
            Self::TwoByte => [id, len],
        }
    }
}

/// The header extension of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeaderExtension<'a> {
    profile: u16,
    data: &'a [u8],
}

impl<'a> HeaderExtension<'a> {
    pub(crate) const fn new(profile: u16, data: &'a [u8]) -> Self {
        Self { profile, data }
    }

    /// What the profile defines: the first two bytes (RFC 3550 §5.3.1).
    pub const fn profile(&self) -> u16 {
        self.profile
    }

    /// Everything behind the length.
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// How elements are written; `None` if the extension has no elements of RFC 8285.
    pub const fn form(&self) -> Option<Form> {
        Form::of_profile(self.profile)
    }

    /// The elements in their order. They end where one is malformed, or has an identifier that says so
    /// (RFC 8285 §4.2: 15, and 0 with a length).
    pub const fn elements(&self) -> Elements<'a> {
        Elements { form: self.form(), data: self.data, at: 0 }
    }

    /// The value of the first element of this identifier.
    pub fn element(&self, id: u8) -> Option<&'a [u8]> {
        self.elements().find(|element| element.id == id).map(|element| element.value)
    }
}

/// An element of a header extension.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Element<'a> {
    /// What the session's description maps to a kind of extension: 1 to 14 or 1 to 255.
    pub id: u8,
    /// Its value.
    pub value: &'a [u8],
}

/// The elements of a header extension in their order.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    form: Option<Form>,
    data: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let Some(span) = Span::next(self.form?, self.data, self.at) else {
            self.data = &[];
            return None;
        };
        self.at = span.end;
        Some(Element { id: span.id, value: self.data.get(span.value_at..span.end)? })
    }
}

/// Where an element stands in the data of its extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) at: usize,
    pub(crate) value_at: usize,
    pub(crate) end: usize,
    pub(crate) id: u8,
}

impl Span {
    /// The first element at or behind `at`.
    pub(crate) fn next(form: Form, data: &[u8], at: usize) -> Option<Self> {
        let rest = data.get(at..)?;
        let padding = rest.iter().position(|byte| *byte != 0)?;
        let at = at.checked_add(padding)?;
        let first = *data.get(at)?;
        let (id, len) = match form {
            Form::OneByte => (first >> 4, usize::from(first & 0x0f).checked_add(1)?),
            Form::TwoByte => (first, usize::from(*data.get(at.checked_add(1)?)?)),
        };
        // RFC 8285 §4.2: zero with a length, and 15, end the extension.
        if form == Form::OneByte && matches!(id, 0 | 15) {
            return None;
        }
        let value_at = at.checked_add(form.header_len())?;
        let end = value_at.checked_add(len).filter(|end| *end <= data.len())?;
        Some(Self { at, value_at, end, id })
    }

    /// How many bytes it takes.
    pub(crate) const fn len(&self) -> usize {
        self.end.saturating_sub(self.at)
    }
}

const ONE_BYTE: u16 = 0xbede;
const TWO_BYTE: u16 = 0x1000;
const TWO_BYTE_LAST: u16 = 0x100f;
