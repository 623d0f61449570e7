use std::fmt;

use proto::Truncated;

/// Why bytes are not a message of DNS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A field runs past the end.
    Truncated,
    /// A label of a kind that is not used (RFC 1035 §4.1.4).
    Label,
    /// A pointer does not lead back, or is one too many: see [`MAX_JUMPS`](crate::wire::MAX_JUMPS).
    Pointer,
    /// A name of more than 255 bytes (RFC 1035 §3.1).
    NameTooLong,
    /// A record of this type has impossible data.
    Record(u16),
    /// More questions and records than are allowed: [`MAX_RECORDS`](crate::wire::MAX_RECORDS), or a configured number.
    TooManyRecords,
}

impl From<Truncated> for DecodeError {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("a field runs past the end"),
            Self::Label => f.write_str("a label of an unknown kind"),
            Self::Pointer => f.write_str("a pointer that does not lead back, or one too many"),
            Self::NameTooLong => f.write_str("a name of more than 255 bytes"),
            Self::Record(kind) => write!(f, "a record of type {kind} has impossible data"),
            Self::TooManyRecords => f.write_str("too many questions and records"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Why a datagram was ignored. Never fatal: anyone on the link can send these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Discard {
    /// It is longer than [`Config::max_datagram`](crate::Config::max_datagram).
    TooLong,
    /// It did not arrive on a link that was added.
    UnknownLink,
    /// It comes from elsewhere than the link (RFC 6762 §11).
    OffLink,
    /// It does not decode.
    Malformed(DecodeError),
    /// It is no query, and so not for a responder.
    NotAQuery,
    /// It is no response, and so not for a querier.
    NotAResponse,
    /// Another operation than a query, or an error (RFC 6762 §18.3, §18.11).
    NotPlain,
    /// A response from another port than 5353 (RFC 6762 §6).
    WrongPort,
    /// It answers nothing that is being asked.
    NotAsked,
    /// What it answers is no address that a peer can have.
    UnusableAddress,
    /// It asks for nothing that was announced here.
    NotOurs,
    /// Who asks knows the answer (RFC 6762 §7.1).
    AlreadyKnown,
    /// It wants an answer by unicast, of which too many wait or were given this second:
    /// [`Config::max_replies`](crate::Config::max_replies), [`Config::unicast_rate`](crate::Config::unicast_rate).
    TooManyReplies,
}

impl From<DecodeError> for Discard {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "too long",
            Self::UnknownLink => "not on a link of ours",
            Self::OffLink => "from elsewhere than the link",
            Self::Malformed(error) => return error.fmt(f),
            Self::NotAQuery => "no query",
            Self::NotAResponse => "no response",
            Self::NotPlain => "another operation than a query, or an error",
            Self::WrongPort => "a response from another port than 5353",
            Self::NotAsked => "answers nothing that is being asked",
            Self::UnusableAddress => "answers with no address that a peer can have",
            Self::NotOurs => "asks for nothing that is announced here",
            Self::AlreadyKnown => "asks for what it knows",
            Self::TooManyReplies => "too many answers by unicast",
        })
    }
}

impl std::error::Error for Discard {}

/// Why a link, a question or an announcement was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CommandError {
    /// There are as many links as [`Config::max_links`](crate::Config::max_links).
    TooManyLinks,
    /// There are as many names as [`Config::max_names`](crate::Config::max_names).
    TooManyNames,
    /// There is no link yet.
    NoLink,
    /// No link has this address: nobody could be told of it.
    NotOnALink,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyLinks => "there are too many links",
            Self::TooManyNames => "there are too many names",
            Self::NoLink => "there is no link",
            Self::NotOnALink => "the address is not on any link",
        })
    }
}

impl std::error::Error for CommandError {}
