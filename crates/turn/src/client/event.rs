use std::fmt;
use std::net::{IpAddr, SocketAddr};

use proto::NoSpace;
use stun::ChallengeError;

use crate::wire::ConnectionId;

/// What became known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// There is an allocation, the first one or a new one after [`Event::Lost`].
    Allocated {
        /// The address that peers send to.
        relayed: SocketAddr,
        /// The one of the other family, if it was asked for.
        additional: Option<SocketAddr>,
        /// How the server sees the client.
        mapped: SocketAddr,
    },
    /// The allocation has come along to the path of [`move_to`](super::Client::move_to) (RFC 8016).
    Moved,
    /// The server takes the credentials no more, as when they have ended. What it has granted is used until it lapses;
    /// [`set_credentials`](super::Client::set_credentials) keeps it from that.
    CredentialsRefused,
    /// The server has forgotten the allocation. Another one is being asked for, with all its permissions; connections to
    /// peers, and what was asked of them, are lost.
    Lost,
    /// The peer may send, and be sent to.
    Permitted(IpAddr),
    /// The server will not relay to the peer; the number says why (403: forbidden), none is no answer.
    Refused(IpAddr, Option<u16>),
    /// What goes to the peer costs four bytes from now on.
    ChannelBound(SocketAddr),
    /// The server binds no channel to the peer; the number says why, none is no answer. What goes to the peer goes in
    /// indications as before, if it is permitted: one to which 403 is said here, and not of its address, is a port that the
    /// server does not reach, as those of its own address.
    ChannelRefused(SocketAddr, Option<u16>),
    /// The server has connected to the peer: a connection of [`bind_connection`](super::Client::bind_connection) goes on in it.
    Connected {
        /// Its number.
        connection: ConnectionId,
        /// To whom.
        peer: SocketAddr,
    },
    /// The server has not connected to the peer; the number says why (403: forbidden, 446: there is one, 447: it does not
    /// answer), none is no answer.
    NotConnected(SocketAddr, Option<u16>),
    /// A peer that is permitted has connected to the relayed address: a connection of
    /// [`bind_connection`](super::Client::bind_connection) goes on in it.
    Attempted {
        /// Its number.
        connection: ConnectionId,
        /// Who.
        peer: SocketAddr,
    },
    /// The allocation is given back, or the server did not care to answer.
    Released,
    /// It is over; nothing is asked any more.
    Failed(Failure),
}

/// Why there is no allocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// The server does not answer.
    TimedOut,
    /// The relayed address is one of ours, or another server's: for the owner of several clients to say.
    Address,
    /// The TCP or TLS connection to the server is over.
    Disconnected,
    /// Answers came, and none was authentic (RFC 8489 §9.2.5).
    Forged,
    /// The credential was not accepted.
    Challenge(ChallengeError),
    /// Another server is to be asked, over the same kind of transport (RFC 8489 §10).
    Redirected(SocketAddr),
    /// The server refused with this error: 486 and 508 say that it is full, 440 that it has no address of
    /// the family.
    Rejected(u16),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the server does not answer"),
            Self::Address => f.write_str("the server names an address that is not its own"),
            Self::Disconnected => f.write_str("the connection to the server is over"),
            Self::Forged => f.write_str("the answers are not the server's"),
            Self::Challenge(error) => error.fmt(f),
            Self::Redirected(server) => write!(f, "the server sends us to {server}"),
            Self::Rejected(code) => {
                // RFC 8656 §19: what the codes mean there.
                let meaning = match code {
                    403 => ": the server does not do this for us",
                    437 => ": it forgets what it has just granted, or keeps something at our address",
                    440 => ": it relays no addresses of this family",
                    442 => ": it relays nothing of this kind",
                    486 => ": this user has as many allocations as he may have",
                    508 => ": it has no room",
                    _ => "",
                };
                write!(f, "the server refused with error {code}{meaning}")
            }
        }
    }
}

/// Why a datagram was ignored. Never fatal: anyone on the path can send these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Discard {
    /// It came from elsewhere than the server.
    WrongPath,
    /// It does not decode.
    Malformed,
    /// It answers no request that is in flight.
    UnknownTransaction,
    /// It is not signed with the key that the request was signed with.
    Forged,
    /// It is an answer without what it must carry, or with what cannot be.
    Incomplete,
    /// Data of a channel that is not bound.
    NoChannel,
    /// Data of a peer that there is no permission for.
    NoPermission,
    /// As many connections as may be wait to be heard of.
    Full,
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongPath => "not from the server",
            Self::Malformed => "the message does not decode",
            Self::UnknownTransaction => "answers no request in flight",
            Self::Forged => "not signed by the server",
            Self::Incomplete => "an answer without what it must carry",
            Self::NoChannel => "the channel is not bound",
            Self::NoPermission => "no permission for the peer",
            Self::Full => "too many connections that nobody has heard of",
        })
    }
}

impl std::error::Error for Discard {}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// There is no allocation of datagrams, or none of the peer's family.
    NoAllocation,
    /// The server has not permitted the peer yet.
    NoPermission,
    /// It does not fit.
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
            Self::NoAllocation => "there is no relayed address",
            Self::NoPermission => "the peer is not permitted yet",
            Self::NoSpace => "no room",
        })
    }
}

impl std::error::Error for SendError {}

/// Why a command was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CommandError {
    /// As many peers as may be have a permission, or a channel.
    Full,
    /// The client is released or has failed.
    Closed,
    /// The allocation is of datagrams, or of connections, where it would have to be of the other kind.
    WrongTransport,
    /// There is no allocation, or not yet.
    NoAllocation,
    /// The peer's address is of a family of which no relayed address is asked for, or was granted.
    OtherFamily,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "too many peers",
            Self::Closed => "the client is closed",
            Self::WrongTransport => "the allocation is of the other kind",
            Self::NoAllocation => "there is no allocation",
            Self::OtherFamily => "no relayed address is of the peer's family",
        })
    }
}

impl std::error::Error for CommandError {}

/// What a client counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests written, retransmissions included.
    pub requests: u64,
    /// Answers taken.
    pub answers: u64,
    /// Datagrams of peers.
    pub received: u64,
    /// Datagrams to peers.
    pub sent: u64,
    /// Datagrams refused with a [`Discard`].
    pub discarded: u64,
}
