use std::fmt;

use crate::wire::AlertDescription;

/// What happened to a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The peer owns the key of [`Connection::peer_certificate`](crate::Connection::peer_certificate).
    /// The caller compares its fingerprint, or checks its name and chain, and calls `accept_peer` or `reject_peer`.
    PeerCertificate,
    /// The handshake is complete and the peer accepted: data can be sent, keys exported.
    Connected,
    /// The connection has ended, and does nothing more.
    Closed(CloseReason),
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CloseReason {
    /// `close` was called.
    Local,
    /// The peer closed.
    Remote,
    /// The peer closed with this fatal alert, under the keys of the connection.
    Alert(AlertDescription),
    /// `reject_peer` was called.
    PeerRejected,
    /// The handshake was not complete in time.
    TimedOut,
    /// The peer speaks no version that we speak.
    NoCommonVersion,
    /// The peer knows no cipher suite that we know.
    NoCommonCipherSuite,
    /// The peer knows no group that we know.
    NoCommonGroup,
    /// The peer knows no signature algorithm that we know.
    NoCommonSignatureAlgorithm,
    /// [`Config::srtp_required`](crate::Config::srtp_required) is set, and the peer knows no profile that we know.
    NoCommonSrtpProfile,
    /// The server's `use_srtp` is illegal: a key identifier, or not one profile out of our offer (RFC 5764 §4.1).
    IllegalSrtp,
    /// The peer does not bind the master secret to the handshake (RFC 7627).
    NoExtendedMasterSecret,
    /// The client was asked for a certificate and sent none.
    NoPeerCertificate,
    /// The peer's certificate is not one of an ECDSA P-256 key, or longer than
    /// [`Config::max_certificate`](crate::Config::max_certificate).
    UnsupportedCertificate,
    /// Too many wrong signatures.
    BadSignature,
    /// A message under the keys of the connection is wrong: the peer saw another handshake.
    BadFinished,
    /// All sequence numbers are used up.
    SequenceExhausted,
    /// More forged records than [`Config::max_forged`](crate::Config::max_forged).
    TooManyForgeries,
    /// Our own configuration cannot work.
    Internal,
}

impl CloseReason {
    /// The alert that tells the peer, and whether it is fatal; `None` if nothing is to be told.
    pub(crate) const fn alert(self) -> Option<(bool, AlertDescription)> {
        Some(match self {
            Self::Local | Self::Remote => (false, AlertDescription::CLOSE_NOTIFY),
            Self::Alert(_) | Self::TimedOut | Self::SequenceExhausted => return None,
            Self::PeerRejected => (true, AlertDescription::BAD_CERTIFICATE),
            Self::NoCommonVersion => (true, AlertDescription::PROTOCOL_VERSION),
            Self::NoCommonCipherSuite
            | Self::NoCommonGroup
            | Self::NoCommonSignatureAlgorithm
            | Self::NoCommonSrtpProfile
            | Self::NoExtendedMasterSecret
            | Self::NoPeerCertificate => (true, AlertDescription::HANDSHAKE_FAILURE),
            Self::IllegalSrtp => (true, AlertDescription::ILLEGAL_PARAMETER),
            Self::UnsupportedCertificate => (true, AlertDescription::UNSUPPORTED_CERTIFICATE),
            Self::BadSignature | Self::BadFinished => (true, AlertDescription::DECRYPT_ERROR),
            Self::TooManyForgeries | Self::Internal => (true, AlertDescription::INTERNAL_ERROR),
        })
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "closed by us",
            Self::Remote => "closed by the peer",
            Self::Alert(description) => return write!(f, "the peer sent {description}"),
            Self::PeerRejected => "the peer's certificate was rejected",
            Self::TimedOut => "the handshake was not complete in time",
            Self::NoCommonVersion => "no common version",
            Self::NoCommonCipherSuite => "no common cipher suite",
            Self::NoCommonGroup => "no common group",
            Self::NoCommonSignatureAlgorithm => "no common signature algorithm",
            Self::NoCommonSrtpProfile => "no common SRTP profile",
            Self::IllegalSrtp => "the peer's use_srtp is illegal",
            Self::NoExtendedMasterSecret => "the peer lacks extended_master_secret",
            Self::NoPeerCertificate => "the client sent no certificate",
            Self::UnsupportedCertificate => "the peer's certificate is not one of an ECDSA P-256 key",
            Self::BadSignature => "too many wrong signatures",
            Self::BadFinished => "the peer saw another handshake",
            Self::SequenceExhausted => "all sequence numbers are used up",
            Self::TooManyForgeries => "too many forged records",
            Self::Internal => "the configuration cannot work",
        })
    }
}
