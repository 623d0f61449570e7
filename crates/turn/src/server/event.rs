use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use proto::Path;
use stun::Authenticated;

use crate::wire::ConnectionId;

/// What the caller is to do, and what it may want to write down.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Bind a UDP socket to this address, and say [`relay_opened`](super::Server::relay_opened) or
    /// [`relay_failed`](super::Server::relay_failed). Until then the client has no answer.
    Open(SocketAddr),
    /// Close that socket.
    Close(SocketAddr),
    /// Listen for TCP connections of peers at this address, and say [`relay_opened`](super::Server::relay_opened) or
    /// [`relay_failed`](super::Server::relay_failed); each is told by [`peer_arrived`](super::Server::peer_arrived).
    Listen(SocketAddr),
    /// Listen there no longer.
    Unlisten(SocketAddr),
    /// Open a TCP connection to a peer, from the relayed address, at whose port the listener is too, and say
    /// [`peer_connected`](super::Server::peer_connected) or [`peer_failed`](super::Server::peer_failed).
    Connect {
        /// What it is called from now on.
        connection: ConnectionId,
        /// From where.
        relay: SocketAddr,
        /// To where.
        peer: SocketAddr,
    },
    /// A client has come for a connection. Once the answer that waits for it is sent, what follows its request goes to the
    /// peer as it is, and what comes of the peer goes to it, as fast as both take it and as
    /// [`stream_room`](super::Server::stream_room) says.
    Join {
        /// Which one.
        connection: ConnectionId,
        /// The client's connection, which has no messages any more.
        client: Path,
    },
    /// Close a connection to a peer, and the client's that was joined to it.
    Disconnect {
        /// Which one.
        connection: ConnectionId,
        /// The client's, if it is still there.
        client: Option<Path>,
    },
    /// All sockets of an allocation are open.
    Began(Usage),
    /// That allocation is over.
    Ended(Usage),
}

/// An allocation, whose it is, and what it carried.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Usage {
    /// Where the client is heard, and what it is seen as.
    pub client: Path,
    /// What peers send to.
    pub relayed: [Option<SocketAddr>; 2],
    /// Bytes of payload to peers.
    pub to_peers: u64,
    /// Bytes of payload from them.
    pub to_client: u64,
    pub(super) user: Arc<Authenticated>,
}

impl Usage {
    /// Whose it is.
    pub fn username(&self) -> &str {
        self.user.username()
    }
}

/// What a server counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Allocations that live.
    pub allocations: usize,
    /// Ports of relay addresses that are free.
    pub free_ports: usize,
    /// Allocations that were ever made.
    pub allocated: u64,
    /// Times that one went along with its client to another address (RFC 8016).
    pub moved: u64,
    /// Datagrams relayed from clients to peers.
    pub to_peers: u64,
    /// Datagrams relayed from peers to clients.
    pub to_clients: u64,
    /// Bytes of payload relayed either way.
    pub relayed_bytes: u64,
    /// Connections of TCP allocations to peers, open or on their way.
    pub connections: usize,
    /// Connections of clients that were ever joined to one of a peer's.
    pub joined: u64,
    /// Requests answered with an error.
    pub refused: u64,
    /// Refusals not sent because there were too many.
    pub unanswered: u64,
    /// Datagrams dropped with a [`Discard`].
    pub discarded: u64,
}

/// Why a datagram was dropped. Never fatal: anyone can send these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Discard {
    /// Neither STUN nor ChannelData.
    NotTurn,
    /// It does not decode.
    Malformed,
    /// A STUN message that servers do not get.
    Unexpected,
    /// Too many answers wait, or went to this network in this second.
    Unanswered,
    /// The client has no allocation.
    NoAllocation,
    /// The channel is not bound.
    NoChannel,
    /// There is no permission for the peer, or none for this peer may exist.
    NoPermission,
    /// The indication lacks the peer or the data.
    Incomplete,
    /// More than the allocation, or all together, may relay.
    Bandwidth,
    /// There are as many connections as there may be.
    Full,
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotTurn => "neither STUN nor ChannelData",
            Self::Malformed => "the message does not decode",
            Self::Unexpected => "a message that servers do not get",
            Self::Unanswered => "too many answers already",
            Self::NoAllocation => "the client has no allocation",
            Self::NoChannel => "the channel is not bound",
            Self::NoPermission => "no permission for the peer",
            Self::Incomplete => "the indication lacks the peer or the data",
            Self::Bandwidth => "more than may be relayed",
            Self::Full => "as many connections as there may be",
        })
    }
}

impl std::error::Error for Discard {}
