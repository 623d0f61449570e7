use std::fmt;

use proto::NoSpace;

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// No path is selected, or consent has expired.
    NoPath,
    /// The batch has no room for the datagram.
    NoSpace,
}

impl From<NoSpace> for SendError {
    fn from(_: NoSpace) -> Self {
        Self::NoSpace
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPath => "no path to the peer is selected",
            Self::NoSpace => "the batch has no room for the datagram",
        })
    }
}

impl std::error::Error for SendError {}

/// Why a candidate is not used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CandidateError {
    /// The text is no candidate.
    Parse(ice::ParseError),
    /// The agent cannot use it. Host names end here too, and are counted.
    Unusable(ice::CandidateError),
    /// [`remote_policy`](crate::Config::remote_policy) leaves its address out.
    Policy,
}

impl fmt::Display for CandidateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(error) => error.fmt(f),
            Self::Unusable(error) => error.fmt(f),
            Self::Policy => f.write_str("the address is not to be used"),
        }
    }
}

impl std::error::Error for CandidateError {}

/// Why a datagram was ignored. Never fatal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Discard {
    /// The agent refused it.
    Ice(ice::Discard),
    /// The STUN client of its path refused it.
    Stun(stun::Discard),
    /// The TURN client of its path refused it.
    Turn(turn::client::Discard),
    /// Data on a path on which the peer has not proved its password.
    NotAuthenticated,
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ice(error) => error.fmt(f),
            Self::Stun(error) => error.fmt(f),
            Self::Turn(error) => error.fmt(f),
            Self::NotAuthenticated => f.write_str("data on a path where the peer has not proved itself"),
        }
    }
}

impl std::error::Error for Discard {}
