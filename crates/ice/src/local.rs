use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proto::Carrier;

use crate::{Kind, TcpType};

/// A candidate of ours, as it was gathered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LocalCandidate {
    /// How it was found.
    pub kind: Kind,
    /// Where the peer can reach us.
    pub address: SocketAddr,
    /// Where it is sent from: the address of the socket, or for a relayed candidate itself.
    pub base: SocketAddr,
    /// What carries the datagrams.
    pub carrier: Carrier,
    /// Who opens the connection, where that is TCP ([`Carrier::Framed`]).
    pub tcp_type: Option<TcpType>,
    /// The server that told or gave it.
    pub server: Option<IpAddr>,
}

impl LocalCandidate {
    /// The address of a UDP socket of ours.
    pub const fn host(address: SocketAddr) -> Self {
        let kind = Kind::Host;
        Self { kind, address, base: address, carrier: Carrier::Udp, tcp_type: None, server: None }
    }

    /// The address of a TCP listener of ours: the peer opens the connection (RFC 6544).
    pub const fn tcp_passive(address: SocketAddr) -> Self {
        let tcp_type = Some(TcpType::Passive);
        Self { kind: Kind::Host, address, base: address, carrier: Carrier::Framed, tcp_type, server: None }
    }

    /// An address of ours from which TCP connections can be opened, at ports that only they know: what is signalled
    /// has the discard port (RFC 6544 §4.5).
    pub const fn tcp_active(address: IpAddr) -> Self {
        let (address, tcp_type) = (SocketAddr::new(address, DISCARD_PORT), Some(TcpType::Active));
        Self { kind: Kind::Host, address, base: address, carrier: Carrier::Framed, tcp_type, server: None }
    }

    /// The UDP socket `base` as the STUN server `server` sees it.
    pub const fn server_reflexive(address: SocketAddr, base: SocketAddr, server: IpAddr) -> Self {
        let kind = Kind::ServerReflexive;
        Self { kind, address, base, carrier: Carrier::Udp, tcp_type: None, server: Some(server) }
    }

    /// An address that the TURN server `server` relays for us. The agent uses it as the local address
    /// of its paths: whoever sends puts the relay's framing around.
    pub const fn relayed(address: SocketAddr, server: IpAddr) -> Self {
        let kind = Kind::Relayed;
        Self { kind, address, base: address, carrier: Carrier::Udp, tcp_type: None, server: Some(server) }
    }

    /// What the signalled candidate says of its base. Of a relayed one nothing: it would be the mapped
    /// address, which tells where the client is to peers that are to know the relay alone (RFC 8828 §5.2).
    pub(crate) const fn related(&self, hides_base: bool) -> Option<SocketAddr> {
        match self.kind {
            Kind::Host => None,
            Kind::ServerReflexive | Kind::PeerReflexive if !hides_base => Some(self.base),
            Kind::ServerReflexive | Kind::PeerReflexive | Kind::Relayed => {
                let nowhere = match self.base {
                    SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                    SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                };
                Some(SocketAddr::new(nowhere, DISCARD_PORT))
            }
        }
    }
}

/// Names a local candidate of one agent.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct CandidateId(pub(crate) u32);

impl CandidateId {
    /// Its number, which no other candidate of the agent has or had.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// A local candidate in the agent's list.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) id: CandidateId,
    pub(crate) given: LocalCandidate,
    pub(crate) preference: u16,
    pub(crate) foundation: u32,
}

impl Local {
    /// RFC 8445 §5.1.2.1.
    pub(crate) fn priority(&self) -> u32 {
        self.priority_of(self.given.kind)
    }

    /// The priority of a peer-reflexive candidate that a check from here may find (RFC 8445 §7.1.1).
    pub(crate) fn reflexive_priority(&self) -> u32 {
        self.priority_of(Kind::PeerReflexive)
    }

    /// Whether it opens TCP connections.
    pub(crate) fn is_active(&self) -> bool {
        self.given.tcp_type == Some(TcpType::Active)
    }

    fn priority_of(&self, kind: Kind) -> u32 {
        let kind = if self.given.tcp_type.is_some() { kind.tcp_preference() } else { kind.preference() };
        (kind << 24) | (u32::from(self.preference) << 8) | 255
    }
}

/// RFC 6544 §4.2: in the local preference of a TCP candidate the direction stands first, and of those of the recommended
/// order, for host candidates: active, passive, simultaneous open.
pub(crate) const fn direction_preference(tcp_type: TcpType) -> u16 {
    match tcp_type {
        TcpType::Active => 6 << 13,
        TcpType::Passive => 4 << 13,
        TcpType::SimultaneousOpen => 2 << 13,
    }
}

/// Whether datagrams can go between the two: same family, and link-local or loopback on both sides or
/// on none (RFC 8445 §6.1.2.2).
pub(crate) fn can_pair(local: SocketAddr, remote: SocketAddr) -> bool {
    local.is_ipv4() == remote.is_ipv4()
        && is_link_local(local) == is_link_local(remote)
        && local.ip().is_loopback() == remote.ip().is_loopback()
}

pub(crate) fn is_link_local(address: SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// RFC 863: nobody's.
pub(crate) const DISCARD_PORT: u16 = 9;
