use core::net::SocketAddr;

use crate::Instant;

/// What carries datagrams between two addresses.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Carrier {
    /// UDP.
    Udp,
    /// TCP with the framing of RFC 4571: a two-byte length before each datagram.
    Framed,
    /// A stream on which STUN and TURN messages delimit themselves (RFC 8489 §6.2.2). TLS below it
    /// is the socket's matter.
    Stream,
}

/// A way between this host and another: a pair of addresses and what carries datagrams between them.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Path {
    /// What carries the datagrams.
    pub carrier: Carrier,
    /// The address of ours.
    pub local: SocketAddr,
    /// The address of the other side.
    pub remote: SocketAddr,
}

/// Explicit congestion notification of a datagram (RFC 3168 §5, RFC 9331 §4.1); its absence is Not-ECT.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Ecn {
    /// ECT(0): the transport understands ECN.
    Ect0,
    /// ECT(1): the transport wants low-latency treatment (L4S).
    Ect1,
    /// A router saw congestion.
    Ce,
}

/// How and when a datagram arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arrival {
    /// Where it came from, and at which address of ours it arrived.
    pub path: Path,
    /// Its congestion mark.
    pub ecn: Option<Ecn>,
    /// When it arrived.
    pub at: Instant,
}
