use std::net::SocketAddr;

use ice::{Candidate, ConnectId, Role, State};
use proto::Path;

/// What happened. Candidates come once each; of the others the latest is kept until it is polled.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A candidate of ours, to be signalled.
    Candidate(Candidate),
    /// No further candidates will come, unless one is added or ICE restarts.
    GatheringDone,
    /// The agent's state is now this.
    StateChanged(State),
    /// Data goes this way from now on.
    PathSelected(Path),
    /// That way was silent or doubted, and the peer has been heard on it again.
    PathRevived,
    /// A TCP connection is to be opened: say what becomes of it by
    /// [`tcp_opened`](crate::Connectivity::tcp_opened) or [`tcp_failed`](crate::Connectivity::tcp_failed).
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
    /// A conflict of roles was settled: this is ours now.
    RoleSwitched(Role),
}
