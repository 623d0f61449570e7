use std::time::Duration;

use crypto::Provider;
use stun::Schedule;
use stun::wire::AddressFamily;

/// What a [`Client`](super::Client) is made with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where the cryptography comes from.
    pub provider: &'static dyn Provider,
    /// When a request is sent again and given up.
    pub schedule: Schedule,
    /// Whether the relayed address is one of TCP (RFC 6062), for connections instead of datagrams: over TCP and TLS alone.
    /// Default: no.
    pub tcp: bool,
    /// Connections to peers that are asked for, or that nobody has heard of yet. Default: 16.
    pub max_connections: usize,
    /// The family of the relayed address. Default: IPv4 (RFC 8656 §7.1).
    pub family: AddressFamily,
    /// Whether an IPv6 address is wanted besides an IPv4 one. Default: no.
    pub additional: bool,
    /// Whether the allocation is to go along to another address of ours (RFC 8016), if the server can: one that forbids it is
    /// asked once more without. Default: no.
    pub mobility: bool,
    /// How long the allocation shall live without a refresh. Default: what the server likes, mostly ten minutes.
    pub lifetime: Option<Duration>,
    /// Time before the end of an allocation at which it is refreshed. Default: 1 minute.
    pub margin: Duration,
    /// Between two [probes](super::Client::probe). Default: 5 s.
    pub probe_interval: Duration,
    /// How long a release waits for its answer. Default: 2 s.
    pub release_wait: Duration,
    /// Peers with a permission. Default: 128.
    pub max_permissions: usize,
    /// Peers with a channel. Default: 128.
    pub max_channels: usize,
    /// Attributes of a message. Default: 64.
    pub max_attributes: usize,
}

impl Config {
    /// The defaults.
    pub fn new(provider: &'static dyn Provider) -> Self {
        Self {
            provider,
            schedule: Schedule::default(),
            tcp: false,
            max_connections: 16,
            family: AddressFamily::V4,
            additional: false,
            mobility: false,
            lifetime: None,
            margin: Duration::from_secs(60),
            probe_interval: Duration::from_secs(5),
            release_wait: Duration::from_secs(2),
            max_permissions: 128,
            max_channels: 128,
            max_attributes: stun::wire::MAX_ATTRIBUTES,
        }
    }
}
