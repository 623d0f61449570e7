use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use crypto::Provider;

use crate::PeerPolicy;

/// What a [`Server`](super::Server) is made with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where the cryptography comes from.
    pub provider: &'static dyn Provider,
    /// What clients are asked to give their name for. With more than eight characters the answer to the
    /// smallest Allocate is more than three times as long as what it answers. Default: `peerline`.
    pub realm: String,
    /// Addresses at which clients are heard, as clients see them: never a peer of anybody.
    pub listeners: Vec<SocketAddr>,
    /// Where relayed addresses are, at most one of each family. None: no relaying of that family.
    pub relays: Vec<RelayAddress>,
    /// Ports of relayed addresses. Default: 49,152 to 65,535 (RFC 8656 §7.2).
    pub ports: RangeInclusive<u16>,
    /// Seconds since 1970 at the epoch of the caller's [`Instant`](proto::Instant)s, for names that end.
    pub unix_time: u64,
    /// How long a nonce is taken. Default: 10 minutes.
    pub nonce_lifetime: Duration,
    /// Whether clients send the hash of their name instead of the name. Default: no.
    pub anonymity: bool,
    /// Of an allocation whose client asks for less, or nothing. Default: 10 minutes (RFC 8656 §7.2).
    pub default_lifetime: Duration,
    /// Of an allocation whose client asks for more. Default: 1 hour (RFC 8656 §7.2).
    pub max_lifetime: Duration,
    /// Allocations in total. Default: 16,384, as many as there are ports.
    pub max_allocations: usize,
    /// Allocations of a user name. Default: 10.
    pub max_allocations_per_user: usize,
    /// Allocations of a client address, whatever its ports; over IPv6 of its /64. Default: 32.
    pub max_allocations_per_source: usize,
    /// Peers that an allocation has permissions for. Default: 128.
    pub max_permissions: usize,
    /// Channels of an allocation. Default: 128.
    pub max_channels: usize,
    /// Ports that are kept for a second allocation (EVEN-PORT). Default: 64.
    pub max_reservations: usize,
    /// Answers that wait to be sent; a request beyond gets none. Default: 256.
    pub max_replies: usize,
    /// Refusals a second to a network (/24, /56) of clients that have not shown who they are. Default: 20.
    pub max_refusals_per_second: u32,
    /// Attributes of a message. Default: 64.
    pub max_attributes: usize,
    /// Bytes a second that an allocation relays, each way. Default: no bound.
    pub max_bandwidth: Option<u64>,
    /// Bytes a second that all allocations relay together. Default: no bound.
    pub max_total_bandwidth: Option<u64>,
    /// Whether relay sockets set the don't-fragment bit, which clients may ask for. Default: yes.
    pub dont_fragment: bool,
    /// Whether clients may choose channels up to 0x7FFF as in the older RFC 5766 §11, which RFC 8656 §12 ends
    /// at 0x4FFF. Default: no.
    pub rfc5766_channels: bool,
    /// Whether a client may take its allocation along to another address (RFC 8016). Of several servers that are one
    /// only that finds an allocation that has it, so that there it is better not allowed. Default: yes.
    pub mobility: bool,
    /// Whether clients over TCP and TLS may have allocations over TCP (RFC 6062), by which they open connections to peers and
    /// accept those of peers that they have permitted. No browser asks for them. Default: no.
    pub tcp_relays: bool,
    /// Connections of a TCP allocation to peers, those that are being opened or wait for the client included. Default: 16.
    pub max_connections_per_allocation: usize,
    /// Those of a user name. Default: 64.
    pub max_connections_per_user: usize,
    /// Those of all. Default: 1,024.
    pub max_connections: usize,
    /// How long a connection to a peer may take to open. Default: 30 seconds, the least that RFC 6062 §5.2 has.
    pub connect_timeout: Duration,
    /// How long a connection of a peer waits for the client to come for it. Default: 30 seconds (RFC 6062 §5.2, §5.3).
    pub bind_timeout: Duration,
    /// Which peers are relayed to.
    pub peers: PeerPolicy,
    /// Where clients find out what their NAT does (RFC 5780), at most one of each family. None: a Binding
    /// request that asks for that is refused (420).
    pub discovery: Vec<Discovery>,
}

/// Two addresses and two ports at which Binding requests are heard, all four of them: those over which a client
/// finds out what its NAT does (RFC 5780).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Discovery {
    /// What sockets are bound to, and how clients see it.
    pub addresses: [RelayAddress; 2],
    /// The ports at each address.
    pub ports: [u16; 2],
}

/// An address that relays have, and how peers see it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RelayAddress {
    /// What sockets are bound to.
    pub local: IpAddr,
    /// What peers send to: another one than `local` where the server stands behind a 1:1 NAT.
    pub external: IpAddr,
}

impl Config {
    /// The defaults, without any relay address.
    pub fn new(provider: &'static dyn Provider) -> Self {
        Self {
            provider,
            realm: "peerline".into(),
            listeners: Vec::new(),
            relays: Vec::new(),
            ports: 49_152..=65_535,
            unix_time: 0,
            nonce_lifetime: Duration::from_secs(600),
            anonymity: false,
            default_lifetime: Duration::from_secs(600),
            max_lifetime: Duration::from_secs(3600),
            max_allocations: 16_384,
            max_allocations_per_user: 10,
            max_allocations_per_source: 32,
            max_permissions: 128,
            max_channels: 128,
            max_reservations: 64,
            max_replies: 256,
            max_refusals_per_second: 20,
            max_attributes: stun::wire::MAX_ATTRIBUTES,
            max_bandwidth: None,
            max_total_bandwidth: None,
            dont_fragment: true,
            rfc5766_channels: false,
            mobility: true,
            tcp_relays: false,
            max_connections_per_allocation: 16,
            max_connections_per_user: 64,
            max_connections: 1024,
            connect_timeout: Duration::from_secs(30),
            bind_timeout: Duration::from_secs(30),
            peers: PeerPolicy::default(),
            discovery: Vec::new(),
        }
    }
}
