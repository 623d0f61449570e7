use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use connectivity::{AddressPolicy, ExternalAddress, LocalName, TurnServer};
use crypto::Provider;
use ice::Pacer;
use proto::Path;
use stun::Credentials;

use crate::media::{FrameConfig, MediaConfig};

/// What a session is made with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where the cryptography comes from.
    pub provider: &'static dyn Provider,
    /// Our certificate, which many sessions may share; `None` makes one for this session alone, so that peers cannot
    /// tell from it that they spoke to the same one (RFC 8827 §6.5). Default: `None`.
    pub identity: Option<Arc<dtls::Identity>>,
    /// Addresses of sockets that the caller has bound: each becomes a host candidate.
    pub local_addresses: Vec<SocketAddr>,
    /// STUN servers that tell how the outside sees us.
    pub stun_servers: Vec<SocketAddr>,
    /// Whether the caller asks for the `.local` names of the peer's candidates: see
    /// [`poll_name`](crate::Session::poll_name). Default: no, they are ignored.
    pub resolves_names: bool,
    /// Names that stand for the addresses of ours: if it is given, even empty, neither the peer nor any report or figure
    /// learns a host address. An address without a name is no candidate that is told. Default: none.
    pub host_names: Option<Arc<Vec<(IpAddr, LocalName)>>>,
    /// What is announced besides, and what is not. Default: host candidates of UDP as they are.
    pub gathering: Option<Box<Gathering>>,
    /// What paces the checks of several sessions together (RFC 8445 §14.2). Default: nothing.
    pub pacer: Option<Arc<Pacer>>,
    /// What relays for us, if anything does. Default: nothing.
    pub relaying: Option<Box<Relaying>>,
    /// The role in the DTLS handshake that this side takes when it answers an offer that leaves it open.
    /// Default: client (RFC 8842 §5.3).
    pub answer_dtls_role: DtlsRole,
    /// Whether ICE is lite: only the peer checks (RFC 8445 §2.4). For servers whose addresses every peer reaches as
    /// they are; STUN and TURN servers are not asked. Default: no.
    pub ice_lite: bool,
    /// Which sections of media get a transport of their own, for peers that do not bundle. Default: `max-bundle`.
    pub bundle_policy: BundlePolicy,
    /// What the local ufrags begin with, so that a shared port can be told who they belong to. Default: empty.
    pub ufrag_prefix: String,
    /// Which codecs and header extensions are spoken. Default: those of [`MediaConfig`].
    pub media: Option<Arc<MediaConfig>>,
    /// How frames are sent and received, with retransmission, reports and pacing. Default: `None`, media are packets, and
    /// all of that is the caller's: [`send_rtp`](crate::Session::send_rtp), [`Received::Rtp`](crate::Received::Rtp).
    pub frames: Option<Arc<FrameConfig>>,
    /// How much of everything is kept.
    pub limits: Limits,
}

impl Config {
    /// The defaults, with cryptography from `provider`.
    pub fn new(provider: &'static dyn Provider) -> Self {
        Self {
            provider,
            identity: None,
            local_addresses: Vec::new(),
            stun_servers: Vec::new(),
            resolves_names: false,
            host_names: None,
            gathering: None,
            pacer: None,
            relaying: None,
            answer_dtls_role: DtlsRole::Client,
            ice_lite: false,
            bundle_policy: BundlePolicy::MaxBundle,
            ufrag_prefix: String::new(),
            media: None,
            frames: None,
            limits: Limits::default(),
        }
    }
}

/// Which sections of media get a transport of their own (RFC 9429 §4.1.1). Whatever it is, an offer bundles all sections,
/// and with a peer that does everything is on one transport in the end.
///
/// A transport beyond the first has sockets of its own: see [`Session::poll_sockets`](crate::Session::poll_sockets).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BundlePolicy {
    /// The first section of each kind: audio, video, data. The others are offered to those alone who bundle.
    Balanced,
    /// Every section, as many as there may be transports
    /// ([`Limits::max_transports`]); those beyond are offered to those alone who bundle.
    MaxCompat,
    /// The first section. The others are offered to those alone who bundle, and what a peer does not bundle is rejected.
    #[default]
    MaxBundle,
}

impl BundlePolicy {
    /// The name that W3C WebRTC 1.0 gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::MaxCompat => "max-compat",
            Self::MaxBundle => "max-bundle",
        }
    }
}

/// Candidates of TCP, external addresses, and what peers are not told.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Gathering {
    /// Whether the peer is not told of host candidates, unless a server sees one as it is. Default: no.
    pub hides_hosts: bool,
    /// Where TCP connections come and go.
    pub tcp: TcpAddresses,
    /// Addresses of NATs that forward every port.
    pub external: Vec<ExternalAddress>,
    /// Which addresses of the peer's candidates are used, where not all are.
    pub remote_policy: Option<AddressPolicy>,
}

/// Where TCP connections come and go (RFC 6544).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TcpAddresses {
    /// Listeners that the caller has bound.
    pub listeners: Vec<SocketAddr>,
    /// Addresses from which connections can be opened.
    pub active: Vec<IpAddr>,
}

/// TURN servers, and how they are used; and whether more servers of any kind are to come.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Relaying {
    /// The servers.
    pub servers: Vec<TurnServer>,
    /// Whether further servers will be told of by [`add_stun_server`](crate::Session::add_stun_server) and
    /// [`add_turn_server`](crate::Session::add_turn_server): gathering is not complete before
    /// [`end_of_servers`](crate::Session::end_of_servers). Default: no.
    pub awaits_servers: bool,
    /// Servers that were asked for and are not used, for the report.
    pub unused: Vec<UnusedServer>,
    /// Addresses of sockets that the caller has bound for this session alone: servers know their clients by
    /// address. They ask the servers of their family.
    pub sockets: Vec<SocketAddr>,
    /// TCP, TLS and DTLS connections of this session's to TURN servers, with name and password: see
    /// [`add_relay_stream`](crate::Session::add_relay_stream).
    pub streams: Vec<(Path, Credentials)>,
    /// Whether the peer is to learn relayed addresses alone. Default: no.
    pub only: bool,
}

/// A server that was asked for and is not used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnusedServer {
    /// Its URI.
    pub uri: String,
    /// Why it is not used.
    pub reason: UnusedReason,
}

/// Why a server is not used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UnusedReason {
    /// It is a STUN server that is to be asked over TLS.
    Transport,
    /// Another URL of the same server was faster.
    Slower,
    /// No connection over TCP, TLS or DTLS comes about.
    Connection,
    /// Nobody knows its name, or nobody answered in time.
    Name,
    /// No socket could be opened that reaches it: there is no address of its family, there are as many sockets as
    /// may be, or the system refused.
    Socket,
    /// More servers were named than may be.
    TooMany,
}

impl fmt::Display for UnusedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            UnusedReason::Transport => "STUN over TLS says nothing about our UDP ports",
            UnusedReason::Slower => "another of its URLs was faster",
            UnusedReason::Connection => "no connection to it comes about",
            UnusedReason::Name => "its name is not known",
            UnusedReason::Socket => "no socket could be opened for it",
            UnusedReason::TooMany => "there are too many servers",
        };
        write!(f, "server {} is not used: {reason}", self.uri)
    }
}

/// How much of everything a session keeps, and how long it waits.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message that is received, announced to the peer (RFC 8841 §6.1). Default: 256 KiB.
    pub max_message_size: u64,
    /// Data channels at a time. Default: 1,024.
    pub max_channels: usize,
    /// Bytes of messages that the association holds for sending, and 64 KiB more of one that has begun. Default: 16 MiB.
    pub send_buffer: usize,
    /// Local candidates that wait to be told. Default: 100 (RFC 8445 §5.1.3 leaves it to us).
    pub max_untold_candidates: usize,
    /// Bytes of DTLS that wait, before DTLS is up, for the peer to answer a check on the path on which they came;
    /// a datagram counts 100 more than it has. Default: 4 KiB.
    pub max_early_dtls: usize,
    /// Transceivers at a time. Default: 256, as many as a description has sections.
    pub max_transceivers: usize,
    /// Transports at a time: of each section that is not bundled, and of each bundle. Default: 16.
    pub max_transports: usize,
    /// SSRCs of the peer's that are told apart on a transport at a time, and as many that its descriptions name. Where there is one
    /// more, the one that has been silent longest makes room, five seconds at least, if no description names it. Default: 256.
    pub max_remote_sources: usize,
    /// Bytes of RTP and RTCP that wait on a transport for the caller to take them; a packet counts 4 more than it has. Default: 64 KiB.
    pub media_queue: usize,
    /// How long ICE looks for a path at least before it says that there is none; it goes on for 4.5 s at most
    /// while checks are still in flight. Default: 39.5 s, the least that RFC 8863 §4 recommends.
    pub ice_patience: Duration,
    /// How long a session that was closed tries to tell the peer, and to give back what relays hold for it. Default: 1 s.
    pub close_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_size: 256 * 1024,
            max_channels: 1024,
            send_buffer: 16 * 1024 * 1024,
            max_untold_candidates: 100,
            max_early_dtls: 4096,
            max_transceivers: 256,
            max_transports: 16,
            max_remote_sources: 256,
            media_queue: 64 * 1024,
            ice_patience: Duration::from_millis(39_500),
            close_wait: Duration::from_secs(1),
        }
    }
}

/// Who begins the DTLS handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DtlsRole {
    /// This side.
    Client,
    /// The other side.
    Server,
}

/// The wall clock at one moment: for the validity of the certificate, and the dates of statistics.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    /// Seconds since 1970.
    pub unix_seconds: u64,
}
