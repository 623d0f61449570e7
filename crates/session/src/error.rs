use sdp::Setup;

use crate::SignalingState;

/// Why a step of the exchange of descriptions was refused. The session is as it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The step does not belong to this state (`InvalidStateError` in W3C WebRTC 1.0).
    #[error("not in the signaling state `{}`", .0.name())]
    WrongState(SignalingState),
    /// The description is not the one that was created last (`InvalidModificationError`).
    #[error("the description is not the one that was created last")]
    NotTheCreatedDescription,
    /// It is no session description.
    #[error("no session description: {0}")]
    Sdp(#[from] sdp::ParseError),
    /// Media sections were taken away, or an answer has more than the offer (RFC 9429 §5.3.1).
    #[error("{found} media sections where there should be {expected}")]
    SectionCount {
        /// How many there should be, at least in an offer.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A media section has another name than before.
    #[error("media section {index} has another mid than before")]
    SectionChanged {
        /// Its number, from 0.
        index: usize,
    },
    /// A media section of an answer carries something else than the offer says (RFC 9429 §5.8.3).
    #[error("media section {index} carries something else than was offered")]
    NotAsOffered {
        /// Its number, from 0.
        index: usize,
    },
    /// A BUNDLE group names a section that is not there (RFC 9143 §7.1).
    #[error("a BUNDLE group names a media section that is not there")]
    UnknownBundledMid,
    /// An accepted section lacks an attribute.
    #[error("the section for data channels has no `a={0}`")]
    Missing(&'static str),
    /// The ICE credentials are outside the grammar.
    #[error("the ICE credentials are none")]
    IceCredentials,
    /// All fingerprints are of weak or unknown hash functions.
    #[error("no fingerprint is of SHA-256, SHA-384 or SHA-512")]
    WeakFingerprints,
    /// The role for the DTLS handshake does not fit.
    #[error("`a=setup:{}` does not fit here", .0.name())]
    Setup(Setup),
    /// The answer gives the DTLS transport another role or certificate than it has (RFC 8842 §5.5).
    #[error("the DTLS role or certificate was changed in the middle of a session")]
    DtlsChanged,
    /// The transport exists already.
    #[error("the transport exists already")]
    TransportExists,
    /// The session was begun from parameters, and has no descriptions.
    #[error("the session was begun without descriptions")]
    WithoutSdp,
}

/// Why a candidate of the peer's was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CandidateError {
    /// No remote description was set yet (`InvalidStateError`).
    #[error("no remote description was set yet")]
    NoRemoteDescription,
    /// It belongs to no media section of the remote description.
    #[error("the candidate belongs to no media section")]
    UnknownSection,
    /// It belongs to credentials that are not the peer's present ones.
    #[error("the candidate belongs to other ICE credentials than the peer's")]
    UnknownUfrag,
    /// It is no candidate.
    #[error(transparent)]
    Parse(#[from] ice::ParseError),
}

/// Why a datagram was ignored. The session is as it was; it counts what it ignores.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Discard {
    /// Its first byte belongs to no protocol that was negotiated (RFC 7983 §7).
    #[error("its first byte belongs to no protocol of this session")]
    UnknownProtocol,
    /// There is no DTLS yet: its role is not negotiated.
    #[error("DTLS is not negotiated yet")]
    TooEarly,
    /// DTLS is not up, the peer has answered no check of ours on this path, and no more can wait until it does.
    #[error("too much DTLS waits for its path to be confirmed")]
    Unconfirmed,
    /// The session is closed or has failed.
    #[error("the session is over")]
    Over,
    /// The path has not been validated, or the message was refused.
    #[error("connectivity: {0:?}")]
    Connectivity(connectivity::Discard),
    /// A record in it was refused.
    #[error("DTLS: {0:?}")]
    Dtls(dtls::Discard),
    /// A packet in it was refused.
    #[error("SCTP: {0:?}")]
    Sctp(sctp::Discard),
}
