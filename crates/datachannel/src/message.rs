use bytes::Bytes;
use sctp::Ppid;

/// What a message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// UTF-8 text. That it is UTF-8 is not checked here.
    Text,
    /// Bytes.
    Binary,
}

/// A message to be sent: given to `send` until it is taken whole.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub(crate) kind: Kind,
    pub(crate) data: Bytes,
    /// A part of it was taken.
    pub(crate) begun: bool,
}

impl Outgoing {
    /// A message.
    pub fn new(kind: Kind, data: impl Into<Bytes>) -> Self {
        Self { kind, data: data.into(), begun: false }
    }

    /// A text message.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Kind::Text, text.into())
    }

    /// A binary message.
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Self::new(Kind::Binary, data)
    }

    /// What it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What was not taken yet.
    pub const fn remaining(&self) -> &Bytes {
        &self.data
    }
}

/// A message that was received, or a part of one; the parts of one come one behind the other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Incoming {
    /// What it is.
    pub kind: Kind,
    /// The bytes.
    pub data: Bytes,
    /// Whether the message ends here.
    pub end: bool,
    /// Whether the sender gave the message up after parts of it were read: those are to be thrown away.
    pub abandoned: bool,
}

/// What a payload protocol identifier says about a message (RFC 8831 §8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Payload {
    Control,
    Message { kind: Kind, partial: bool, empty: bool },
    Unknown,
}

impl Payload {
    pub(crate) const fn of(ppid: Ppid) -> Self {
        let (kind, partial, empty) = match ppid.0 {
            DCEP => return Self::Control,
            STRING => (Kind::Text, false, false),
            STRING_PARTIAL => (Kind::Text, true, false),
            STRING_EMPTY => (Kind::Text, false, true),
            BINARY => (Kind::Binary, false, false),
            BINARY_PARTIAL => (Kind::Binary, true, false),
            BINARY_EMPTY => (Kind::Binary, false, true),
            _ => return Self::Unknown,
        };
        Self::Message { kind, partial, empty }
    }
}

pub(crate) const fn ppid(kind: Kind, empty: bool) -> Ppid {
    Ppid(match (kind, empty) {
        (Kind::Text, false) => STRING,
        (Kind::Text, true) => STRING_EMPTY,
        (Kind::Binary, false) => BINARY,
        (Kind::Binary, true) => BINARY_EMPTY,
    })
}

pub(crate) const DCEP: u32 = 50;
const STRING: u32 = 51;
const BINARY_PARTIAL: u32 = 52;
const BINARY: u32 = 53;
const STRING_PARTIAL: u32 = 54;
const STRING_EMPTY: u32 = 56;
const BINARY_EMPTY: u32 = 57;
