use std::net::{IpAddr, SocketAddr};

use mdns::LocalName;
use proto::Path;

use crate::{AddressPolicy, TurnServer};

/// An address of a NAT that forwards every port to a host, one to one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExternalAddress {
    /// The host's address; `None` stands for all of the family.
    pub internal: Option<IpAddr>,
    /// The NAT's.
    pub external: IpAddr,
    /// Peers are told it in place of the host's, as a host candidate; else besides, as a server-reflexive one.
    pub replaces: bool,
}

impl ExternalAddress {
    pub(crate) fn is_of(&self, base: IpAddr) -> bool {
        self.external.is_ipv4() == base.is_ipv4() && self.internal.is_none_or(|internal| internal == base)
    }
}

/// Servers, role and limits of a [`Connectivity`](crate::Connectivity).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The agent's role, times and limits.
    pub ice: ice::Config,
    /// The STUN clients' times.
    pub stun: stun::Config,
    /// STUN servers, resolved.
    pub stun_servers: Vec<SocketAddr>,
    /// TURN servers, resolved.
    pub turn_servers: Vec<TurnServer>,
    /// TCP, TLS and DTLS connections to TURN servers, with name and password: see
    /// [`add_relay_stream`](crate::Connectivity::add_relay_stream).
    pub turn_streams: Vec<(Path, stun::Credentials)>,
    /// Whether further servers will be told of, by [`add_stun_server`](crate::Connectivity::add_stun_server) and
    /// [`add_turn_server`](crate::Connectivity::add_turn_server): gathering is not done before
    /// [`end_of_servers`](crate::Connectivity::end_of_servers). Default: no.
    pub awaits_servers: bool,
    /// Whether only relayed addresses are used, so that the peer learns no other one of ours: `iceTransportPolicy`
    /// `relay`.
    pub relay_only: bool,
    /// Whether the owner asks for the `.local` names that the peer gives in place of addresses: see
    /// [`poll_name`](crate::Connectivity::poll_name). Otherwise they are counted and ignored. Default: no.
    pub resolves_names: bool,
    /// Names of the peer's that are asked for while the connection lives: 10.
    pub max_names: u16,
    /// Names that stand for our host addresses. If it is given, even empty, the peer learns no host address: a host
    /// candidate is announced by its name, and not at all without one; `raddr` is 0.0.0.0; reports leave the addresses out.
    /// More names can [come later](crate::Connectivity::name_host). Default: none, addresses are told as they are.
    pub host_names: Option<Vec<(IpAddr, LocalName)>>,
    /// Whether host candidates are not told to the peer, nor where others begin (RFC 8828 §5.2, mode 3), unless a server
    /// sees one as it is. The peer may still see a private address from which it is checked. Default: no.
    pub hides_hosts: bool,
    /// Addresses of NATs that forward every port. Default: none.
    pub external: Vec<ExternalAddress>,
    /// Which addresses of the peer's candidates are used, where not all are.
    pub remote_policy: Option<AddressPolicy>,
    /// TURN clients: a server and a socket each. 8.
    pub max_relays: usize,
    /// Whether allocations over UDP go along to another socket when theirs is gone, where the server lets them (RFC 8016). One
    /// that forbids it has to be asked once more. Default: yes.
    pub mobility: bool,
    /// STUN clients: a server and a local address each. 32.
    pub max_clients: usize,
    /// The largest datagram that is sent: 1,200 bytes, which every path is expected to carry
    /// (RFC 8831 §5).
    pub max_datagram: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ice: ice::Config::default(),
            stun: stun::Config::default(),
            stun_servers: Vec::new(),
            turn_servers: Vec::new(),
            turn_streams: Vec::new(),
            awaits_servers: false,
            relay_only: false,
            resolves_names: false,
            max_names: 10,
            host_names: None,
            hides_hosts: false,
            external: Vec::new(),
            remote_policy: None,
            max_relays: 8,
            mobility: true,
            max_clients: 32,
            max_datagram: 1200,
        }
    }
}
