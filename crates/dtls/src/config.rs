use std::sync::Arc;
use std::time::Duration;

use crypto::Provider;

use crate::Identity;
use crate::wire::{CipherSuite, NamedGroup, SrtpProfile};

/// What a connection offers, accepts, and how much it keeps. One value serves any number of connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where the cryptography comes from.
    pub provider: &'static dyn Provider,
    /// Our certificate and its key; `None` for a client that has none, which shows an empty list where it is asked
    /// (RFC 5246 §7.4.6). A server needs one.
    pub identity: Option<Arc<Identity>>,
    /// Whether a server of this configuration asks its clients who they are. Default: it must know
    /// (RFC 8827 §6.5).
    pub client_certificate: ClientCertificate,
    /// The DNS name that a client asks for (RFC 6066 §3). It is said to everybody on the path. Default: none.
    pub server_name: Option<String>,
    /// Cipher suites, best first. Default: all three, AES-128-GCM first (RFC 8827 §6.5).
    pub cipher_suites: Vec<CipherSuite>,
    /// Groups for key exchange, best first. Default: X25519, P-256 (RFC 8422 §5.1.1).
    pub groups: Vec<NamedGroup>,
    /// SRTP profiles, best first. Default: none, so that `use_srtp` is neither offered nor answered.
    pub srtp_profiles: Vec<SrtpProfile>,
    /// Whether a peer without a common SRTP profile is refused. Default: no.
    pub srtp_required: bool,
    /// Bytes of the largest handshake datagram, until `set_max_datagram` says otherwise. Default: 1,200,
    /// which fits any path that carries IPv6 (RFC 8200 §5) below a relay's framing.
    pub max_datagram: usize,
    /// Bytes of the largest datagram of a flight that was sent twice in vain, since the path may not carry larger ones
    /// (RFC 6347 §4.1.1.1). Default: 548, which fits what every host of IPv4 takes (RFC 791 §3.1).
    pub small_datagram: usize,
    /// Without a measured round trip: the first wait for an answer, doubled each time. Default: 1 s (RFC 6347 §4.2.4.1).
    pub first_wait: Duration,
    /// Without a measured round trip: how long a handshake may take. Default: 60 s, the longest wait of RFC 6347 §4.2.4.1.
    pub give_up: Duration,
    /// With a measured round trip: the shortest first wait, which is otherwise two round trips. Default: 50 ms.
    pub shortest_wait: Duration,
    /// With a measured round trip: the longest wait, unless two round trips are longer. Default: 500 ms, less than
    /// RFC 6347 §4.2.4.1 has, since the path is known to carry datagrams and its consent checks already say when it does
    /// not.
    pub longest_wait: Duration,
    /// With a measured round trip: how long a handshake may take. Default: 30 s (RFC 7675 §5.1: consent ends then).
    pub give_up_on_path: Duration,
    /// How often a flight is sent again, by the clock or since the peer repeats its own. Then it is not, and
    /// the handshake ends when its time is over. Default: 64, more than either clock asks for.
    pub max_retransmissions: u32,
    /// Bytes of the peer's longest certificate. Default: 16 KiB.
    pub max_certificate: usize,
    /// How many certificates are kept of those that the peer sends behind its own, until it is accepted; what
    /// follows them is ignored. Default: 0, since a fingerprint needs none (RFC 8122 §5).
    pub max_issuers: usize,
    /// Bytes of the longest handshake message. Default: 32 KiB: a certificate is at most 16 KiB.
    pub max_message: usize,
    /// Bytes of handshake messages in pieces that are kept. Default: 64 KiB.
    pub max_reassembly: usize,
    /// Records that came before their keys: how many are kept. Default: 8, a flight's worth.
    pub max_future_records: usize,
    /// Records that came before their keys: how many bytes of them are kept. Default: 16 KiB.
    pub max_future_bytes: usize,
    /// Records with a wrong tag after which the keys are given up. Default: 2³⁶ (RFC 9147 §4.5.3 for AES-GCM).
    pub max_forged: u64,
    /// [`Endpoint`](crate::Endpoint): connections at a time. Default: 1,024.
    pub max_connections: usize,
    /// [`Endpoint`](crate::Endpoint): how long a cookie's key is the current one; it is accepted as long
    /// again afterwards. Default: 60 s, in which a client sends its hello again (RFC 6347 §4.2.1 leaves it open).
    pub cookie_lifetime: Duration,
}

impl Config {
    /// The defaults, for this provider and this certificate.
    pub fn new(provider: &'static dyn Provider, identity: Arc<Identity>) -> Self {
        Self { identity: Some(identity), ..Self::without_identity(provider) }
    }

    /// The defaults of a client that has no certificate, and speaks to servers that ask for none.
    pub fn without_identity(provider: &'static dyn Provider) -> Self {
        Self {
            provider,
            identity: None,
            client_certificate: ClientCertificate::Required,
            server_name: None,
            cipher_suites: CipherSuite::ALL.to_vec(),
            groups: vec![NamedGroup::X25519, NamedGroup::Secp256r1],
            srtp_profiles: Vec::new(),
            srtp_required: false,
            max_datagram: 1200,
            small_datagram: 548,
            first_wait: Duration::from_secs(1),
            give_up: Duration::from_secs(60),
            shortest_wait: Duration::from_millis(50),
            longest_wait: Duration::from_millis(500),
            give_up_on_path: Duration::from_secs(30),
            max_retransmissions: 64,
            max_certificate: 16 << 10,
            max_issuers: 0,
            max_message: 32 << 10,
            max_reassembly: 64 << 10,
            max_future_records: 8,
            max_future_bytes: 16 << 10,
            max_forged: 1 << 36,
            max_connections: 1024,
            cookie_lifetime: Duration::from_secs(60),
        }
    }
}

/// Whether a server asks its clients for a certificate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientCertificate {
    /// It does, and a client without one is refused: both ends know each other, as WebRTC has it (RFC 8827 §6.5).
    #[default]
    Required,
    /// It does not: whoever comes is accepted without [`Event::PeerCertificate`](crate::Event::PeerCertificate), as
    /// by most servers of TLS. Who it is is found out later, by a password for instance (RFC 8656 §5).
    NotRequested,
}
