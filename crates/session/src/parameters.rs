mod section;

pub(crate) use section::check;
pub use section::{SectionEncoding, SectionFault, SectionParameters};

use std::net::SocketAddr;

use crate::{DtlsRole, IceCredentials, IceRole};

/// What two peers agree on who exchange no descriptions: they know it beforehand, or from elsewhere. For
/// [`Session::open_transport`](crate::Session::open_transport).
///
/// ```
/// use session::{DtlsRole, IceCredentials, IceRole, PeerCertificate, TransportParameters};
///
/// let theirs = IceCredentials::new("them", "theirPasswordIsNoSecretHere")?;
/// let mut parameters = TransportParameters::new(IceRole::Controlling, DtlsRole::Client, theirs, PeerCertificate::Any);
/// parameters.candidates = vec!["192.0.2.1:4000".parse()?];
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransportParameters {
    /// Whether we choose the path; the peer then does not. A conflict resolves itself (RFC 8445 §7.3.1.1).
    pub ice_role: IceRole,
    /// Who begins the DTLS handshake; the peer has the other role.
    pub dtls_role: DtlsRole,
    /// Our ufrag and password; drawn from the seed if there are none, as is good unless the peer knows ours beforehand.
    pub local: Option<IceCredentials>,
    /// The peer's ufrag and password.
    pub remote: IceCredentials,
    /// Whether the peer only answers checks (RFC 8445 §2.5).
    pub is_remote_lite: bool,
    /// Whose certificate is accepted.
    pub certificate: PeerCertificate,
    /// Where the peer can be reached over UDP; further candidates go to
    /// [`add_remote_candidate`](crate::Session::add_remote_candidate). A peer that knows ours needs to name none.
    pub candidates: Vec<SocketAddr>,
    /// The peer's SCTP port. Default: 5000 (RFC 8841 §5).
    pub sctp_port: u16,
    /// The largest message that the peer takes, in bytes; 0 is without limit. Default: 64 KiB (RFC 8841 §6.1).
    pub max_message_size: u64,
    /// The sections of audio and video, the same at both ends ([`SectionParameters::for_peer`]); each has a
    /// [transceiver](crate::Session::transceivers). Default: none.
    pub sections: Vec<SectionParameters>,
}

impl TransportParameters {
    /// What has no default, and the defaults of the rest.
    pub const fn new(
        ice_role: IceRole,
        dtls_role: DtlsRole,
        remote: IceCredentials,
        certificate: PeerCertificate,
    ) -> Self {
        Self {
            ice_role,
            dtls_role,
            local: None,
            remote,
            is_remote_lite: false,
            certificate,
            candidates: Vec::new(),
            sctp_port: 5000,
            max_message_size: 65_536,
            sections: Vec::new(),
        }
    }
}

/// Which certificate a peer must show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PeerCertificate {
    /// The one of which this is the SHA-256 hash (RFC 8122 §5).
    Sha256([u8; 32]),
    /// Any: whoever has the ICE password may be connected. The program finds out who it is, by
    /// [`peer_certificate`](crate::Session::peer_certificate) or a handshake of its own over a channel, before it
    /// believes a word.
    Any,
}

impl ParametersError {
    /// The name of the exception that W3C WebRTC 1.0 has for the like.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::WithSdp | Self::Begun | Self::Closed => "InvalidStateError",
            Self::Section { .. } | Self::Port => "InvalidAccessError",
        }
    }
}

/// Why a transport was not opened from parameters. The session is as it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParametersError {
    /// The session has descriptions.
    #[error("the session was not begun from parameters")]
    WithSdp,
    /// Sections do not go together.
    #[error("section {number}: {fault}")]
    Section {
        /// Which, from 0 on.
        number: usize,
        /// What is wrong with it.
        fault: SectionFault,
    },
    /// The session has a transport, or descriptions were exchanged.
    #[error("the session has a transport already, or descriptions")]
    Begun,
    /// The session is closed.
    #[error("the session is closed")]
    Closed,
    /// A port is zero.
    #[error("no port is 0")]
    Port,
}
