use std::fmt;

use stun::DecodeError;

/// Why a line is not a candidate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ParseError {
    /// It ends too early.
    Truncated,
    /// The foundation is empty, longer than 32 characters, or not of ice-chars.
    Foundation,
    /// The component is not a number from 1 to 256.
    Component,
    /// The transport is not a token.
    Transport,
    /// The priority is not a number from 0 to 2³² − 1.
    Priority,
    /// The address is neither an IP address nor a host name.
    Address,
    /// A port is not a number from 0 to 65,535.
    Port,
    /// `typ` is missing, or the type is unknown.
    Kind,
    /// An extension has a name and no value, or there are more than 32 of them.
    Extension,
    /// The line is longer than 4,096 bytes.
    TooLong,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the candidate ends too early",
            Self::Foundation => "the foundation is not 1 to 32 ice-chars",
            Self::Component => "the component is not between 1 and 256",
            Self::Transport => "the transport is not a token",
            Self::Priority => "the priority is not a 32-bit number",
            Self::Address => "the address is neither an IP address nor a host name",
            Self::Port => "a port is not a 16-bit number",
            Self::Kind => "the type is missing or unknown",
            Self::Extension => "an extension has no value, or there are too many",
            Self::TooLong => "the candidate is too long",
        })
    }
}

impl std::error::Error for ParseError {}

/// Why a candidate is not used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CandidateError {
    /// There are as many as [`Config::max_candidates`](crate::Config::max_candidates) allows.
    TooMany,
    /// Only component 1 is used: RTP and RTCP share it.
    Component,
    /// It is neither UDP nor TCP with an active or a passive side.
    Transport,
    /// Its address is a host name, which somebody else must resolve first.
    Hostname,
    /// The address is unspecified, multicast or broadcast, or the port is zero.
    Address,
    /// Its `ufrag` is not that of the remote credentials.
    OtherGeneration,
    /// The agent is closed.
    Closed,
}

impl fmt::Display for CandidateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooMany => "there are too many candidates",
            Self::Component => "only component 1 is used",
            Self::Transport => "neither UDP nor TCP that is active or passive",
            Self::Hostname => "the address is a host name",
            Self::Address => "the address cannot be sent to",
            Self::OtherGeneration => "the candidate belongs to other credentials",
            Self::Closed => "the agent is closed",
        })
    }
}

impl std::error::Error for CandidateError {}

/// Why text is not an ICE ufrag and password.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The ufrag is not 4 to 256 ice-chars (RFC 8839 §5.4).
    Ufrag,
    /// The password is not 22 to 256 ice-chars (RFC 8839 §5.4).
    Password,
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ufrag => "the ufrag is not 4 to 256 ice-chars",
            Self::Password => "the password is not 22 to 256 ice-chars",
        })
    }
}

impl std::error::Error for CredentialsError {}

/// Why a datagram was ignored. Never fatal: anyone can send these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Discard {
    /// The agent has failed or is closed.
    Inactive,
    /// It does not decode as STUN.
    Malformed(DecodeError),
    /// It is about another method than Binding.
    Method,
    /// A request without USERNAME or integrity code.
    Unsigned,
    /// A request whose USERNAME is not `ours:theirs`.
    WrongUsername,
    /// The integrity code was not made with the password.
    Forged,
    /// An attribute that must be understood and is not.
    UnknownAttribute(u16),
    /// An attribute that must be there and is not.
    Incomplete,
    /// It arrived at an address of ours that is no candidate's base.
    UnknownLocal,
    /// It answers no check in flight.
    UnknownTransaction,
    /// It answers a check from another address than the check went to, or at another of ours.
    Asymmetric,
    /// The peer refused a check for its credentials; such refusals cannot be authenticated.
    Refused(u16),
    /// A role conflict that the peer has to solve.
    RoleConflict,
}

impl From<DecodeError> for Discard {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inactive => f.write_str("the agent has failed or is closed"),
            Self::Malformed(error) => error.fmt(f),
            Self::Method => f.write_str("not a Binding message"),
            Self::Unsigned => f.write_str("a request without credentials"),
            Self::WrongUsername => f.write_str("a request with another username"),
            Self::Forged => f.write_str("the integrity code is wrong"),
            Self::UnknownAttribute(kind) => write!(f, "attribute {kind:#06x} is not understood"),
            Self::Incomplete => f.write_str("an attribute is missing"),
            Self::UnknownLocal => f.write_str("arrived at an address that is no candidate"),
            Self::UnknownTransaction => f.write_str("answers no check in flight"),
            Self::Asymmetric => f.write_str("an answer from another address"),
            Self::Refused(code) => write!(f, "the peer refused a check with error {code}"),
            Self::RoleConflict => f.write_str("a role conflict that the peer has to solve"),
        }
    }
}

impl std::error::Error for Discard {}
