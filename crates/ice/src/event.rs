use std::fmt;
use std::net::SocketAddr;

use proto::Path;

use crate::ConnectId;

/// What happened. Of each kind but those of connections only the latest is kept until it is polled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The agent's state is now this.
    StateChanged(State),
    /// Data goes this way from now on.
    PathSelected(Path),
    /// That way was silent or doubted, and the peer has been heard on it again.
    PathRevived,
    /// A TCP connection is to be opened (RFC 6544): say what becomes of it by
    /// [`tcp_opened`](crate::Agent::tcp_opened) or [`tcp_failed`](crate::Agent::tcp_failed). There are as many as
    /// [`max_connections`](crate::Config::max_connections) at a time.
    Connect {
        /// Its name.
        id: ConnectId,
        /// From this address, at any port.
        local: SocketAddr,
        /// To here.
        remote: SocketAddr,
    },
    /// The TCP connection on this path is not needed any more.
    Disconnect(Path),
    /// A conflict of roles was settled: this is ours now (RFC 8445 §7.3.1.1).
    RoleSwitched(Role),
}

/// What the agent is at, in the words of W3C's `RTCIceTransportState`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// The remote credentials are not known yet.
    New,
    /// Checking pairs; none is valid yet.
    Checking,
    /// A path is selected.
    Connected,
    /// A path is nominated, and the peer will send no further candidates.
    Completed,
    /// The selected path is silent. Only advice: data may still be sent, and `Connected` comes back
    /// when answers do.
    Disconnected,
    /// Nothing is sent any more, until a restart.
    Failed(Failure),
    /// Closed by the caller.
    Closed,
}

/// Why an agent failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// There was no local candidate.
    NoLocalCandidates,
    /// The peer gave no candidate that can be used, and none of its checks arrived.
    NoRemoteCandidates,
    /// No local candidate is of the family of any remote one.
    NoPairs,
    /// No check was answered in time.
    NoAnswer,
    /// Checks were refused for their credentials, here or by the peer: one side has another
    /// password than the other thinks.
    WrongCredentials,
    /// The selected path gave no valid answer for 30 s (RFC 7675 §5.1).
    ConsentExpired,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLocalCandidates => "there is no local candidate",
            Self::NoRemoteCandidates => "the peer gave no candidate that can be used",
            Self::NoPairs => "no local and remote candidate are of one address family",
            Self::NoAnswer => "no check was answered",
            Self::WrongCredentials => "checks were refused for their credentials",
            Self::ConsentExpired => "the selected path gave no answer for too long",
        })
    }
}

/// Which side decides on the path (RFC 8445 §6.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// It nominates.
    Controlling,
    /// It follows.
    Controlled,
}

impl Role {
    /// The other role.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Controlling => Self::Controlled,
            Self::Controlled => Self::Controlling,
        }
    }
}

/// A change in the paths on which the peer has proved its password. Feeds a demultiplexer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Route {
    /// A request of the peer's came on this path: datagrams there are the peer's, unless they are somebody else's who
    /// has shown more. Whoever knows the password can send a request in the name of any address.
    Added(Path),
    /// The peer has answered a check of ours on this path: it is there.
    Confirmed(Path),
    /// No longer.
    Removed(Path),
}
