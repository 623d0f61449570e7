use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crypto::Provider;
use net::TlsClient;
use session::{AddressPolicy, BundlePolicy, DtlsRole, FrameConfig, Limits, MediaConfig};

use crate::{Certificate, IceServer, IceTransportPolicy};

/// What a connection is made with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Configuration {
    /// Servers that tell how the outside sees us, and that relay, besides those of the endpoint (`iceServers`).
    /// Default: none.
    pub ice_servers: Vec<IceServer>,
    /// Which addresses of ours the peer may learn and use (`iceTransportPolicy`). Default: all.
    pub ice_transport_policy: IceTransportPolicy,
    /// Which addresses of the peer's candidates are used, where not all are: by its default none of the special-purpose
    /// ones, private ones included, so that signalling cannot have this machine look into the networks around it.
    /// Default: all are.
    pub remote_candidates: Option<AddressPolicy>,
    /// URLs of servers that are used; of more the report tells. Default: 16.
    pub max_server_urls: usize,
    /// Whom to ask where the servers are that have names, in this order. Default: nobody, so that the system is asked.
    pub name_servers: Vec<SocketAddr>,
    /// How much sooner than the next one each URL of an [`IceServer`] that relays is tried: first those over UDP, then
    /// the connections in the order of their URLs. Once one of them relays, no further one is tried. With zero all
    /// are used, at once. Default: 250 ms, as RFC 8305 §5 recommends for connections.
    pub relay_head_start: Duration,
    /// Sockets that a connection opens for relaying, one at each address of the endpoint at the most, besides a
    /// connection to each server over TCP or TLS. Default: 8.
    pub max_relay_sockets: usize,
    /// Whom to believe of TURN servers over TLS. Default: the authorities that this machine believes.
    pub tls: Option<TlsClient>,
    /// Which sections of media get a transport of their own, for peers that do not bundle (`bundlePolicy`). Default:
    /// `max-bundle`, so that a connection uses the endpoint's port alone: each transport beyond the first opens sockets of
    /// its own, one at each address of the endpoint and [`max_relay_sockets`](Self::max_relay_sockets) at the most.
    pub bundle_policy: BundlePolicy,
    /// The role in the DTLS handshake that this side takes when it answers an offer that leaves it open.
    /// Default: client, as RFC 8842 §5.3 recommends.
    pub answer_dtls_role: DtlsRole,
    /// Our certificate (`certificates`). Default: none, so that each connection makes one of its own, and peers cannot
    /// tell by it that they spoke to the same program (RFC 8827 §6.5).
    pub certificate: Option<Certificate>,
    /// Bytes of messages that a channel holds before `send` waits. Default: 1 MiB.
    pub send_buffer: usize,
    /// Events that are kept for a reader who does not read; of more the oldest states are forgotten. Default:
    /// 4,096, more than all candidates and channels there can be.
    pub max_unread_events: usize,
    /// Which codecs and header extensions are spoken. Default: those of [`MediaConfig`].
    pub media: Option<Arc<MediaConfig>>,
    /// How frames are sent and received.
    pub frames: Arc<FrameConfig>,
    /// Where the cryptography comes from. Default: the fastest provider that this machine runs.
    pub provider: &'static dyn Provider,
    /// How much of everything a connection keeps.
    pub limits: Limits,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            ice_servers: Vec::new(),
            ice_transport_policy: IceTransportPolicy::All,
            remote_candidates: None,
            max_server_urls: 16,
            name_servers: Vec::new(),
            relay_head_start: Duration::from_millis(250),
            max_relay_sockets: 8,
            tls: None,
            bundle_policy: BundlePolicy::MaxBundle,
            answer_dtls_role: DtlsRole::Client,
            certificate: None,
            send_buffer: 1024 * 1024,
            max_unread_events: 4096,
            media: None,
            frames: Arc::default(),
            provider: crypto::default_provider(),
            limits: Limits::default(),
        }
    }
}
