use sdp::Setup;

use crate::SignalingState;

/// Why a step of the exchange of descriptions was refused. The session is as it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The step does not belong to this state (`InvalidStateError` in W3C WebRTC 1.0).
    #[error("not in the signaling state `{}`: {}", .0.name(), what_is_due(*.0))]
    WrongState(SignalingState),
    /// The description is not the one that was created last (`InvalidModificationError`).
    #[error("the description is not the one that was created last, as it was created")]
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
    /// The peer has accepted a media section outside of the bundle (RFC 9429 §4.1.1: our policy is `max-bundle`).
    #[error("media section {index} is not bundled")]
    NotBundled {
        /// Its number, from 0.
        index: usize,
    },
    /// The peer has accepted a media section with RTCP on a port of its own (RFC 9429 §4.1.1: our policy is `require`).
    #[error("media section {index} does not multiplex RTCP")]
    RtcpMux {
        /// Its number, from 0.
        index: usize,
    },
    /// The peer has accepted a media section with no codec that was offered.
    #[error("media section {index} has no codec that was offered")]
    NoCommonCodec {
        /// Its number, from 0.
        index: usize,
    },
    /// In one bundle an identifier stands for two header extensions (RFC 8285 §5).
    #[error("the identifier {id} stands for two header extensions")]
    ExtensionConflict {
        /// The identifier.
        id: u16,
    },
    /// In one bundle a payload type stands for two codecs (RFC 9143 §9.1).
    #[error("the payload type {payload_type} stands for two codecs")]
    PayloadTypeConflict {
        /// The payload type.
        payload_type: u8,
    },
    /// An accepted section lacks an attribute.
    #[error("an accepted section has no `a={0}`")]
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

impl NegotiationError {
    /// The name of the exception that W3C WebRTC 1.0 §4.4.1 has for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::WrongState(_) | Self::TransportExists | Self::WithoutSdp => "InvalidStateError",
            Self::NotTheCreatedDescription => "InvalidModificationError",
            // An `RTCError` whose detail is `sdp-syntax-error`.
            Self::Sdp(_) => "OperationError",
            Self::SectionCount { .. }
            | Self::SectionChanged { .. }
            | Self::NotAsOffered { .. }
            | Self::UnknownBundledMid
            | Self::NotBundled { .. }
            | Self::RtcpMux { .. }
            | Self::NoCommonCodec { .. }
            | Self::ExtensionConflict { .. }
            | Self::PayloadTypeConflict { .. }
            | Self::Missing(_)
            | Self::IceCredentials
            | Self::WeakFingerprints
            | Self::Setup(_)
            | Self::DtlsChanged => "InvalidAccessError",
        }
    }
}

const fn what_is_due(state: SignalingState) -> &'static str {
    match state {
        SignalingState::Stable => "an offer comes first",
        SignalingState::HaveLocalOffer => "our offer waits for its answer",
        SignalingState::HaveRemoteOffer => "the peer's offer is to be answered",
        SignalingState::HaveLocalPranswer => "our final answer is due",
        SignalingState::HaveRemotePranswer => "the peer's final answer is due",
        SignalingState::Closed => "it is over",
    }
}

impl TransceiverError {
    /// The name of the exception that W3C WebRTC 1.0 §5 has for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Stopped | Self::Closed | Self::WithoutSdp => "InvalidStateError",
            Self::NotRead => "InvalidStateError",
            Self::Streams | Self::Encodings => "TypeError",
            Self::UnknownCodec | Self::Modified | Self::HeaderExtensions => "InvalidModificationError",
            Self::Range => "RangeError",
            Self::TooMany | Self::Scalability => "OperationError",
        }
    }
}

/// Why something was not done to a transceiver. It is as it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransceiverError {
    /// There is none of this name any more, or it is being stopped (`InvalidStateError` in W3C WebRTC 1.0).
    #[error("the transceiver is stopped")]
    Stopped,
    /// The session is closed (`InvalidStateError`).
    #[error("the session is closed")]
    Closed,
    /// The session was begun from parameters, and has no descriptions.
    #[error("the session was begun without descriptions")]
    WithoutSdp,
    /// Names of streams are tokens of up to 64 characters, up to 16 of them and each once (`TypeError`).
    #[error("the names of the streams are none")]
    Streams,
    /// Of several encodings each has a name of its own, there are up to 16, and one of audio (`TypeError`).
    #[error("several encodings need a name each, no two the same; there are 16 at most, and one of audio")]
    Encodings,
    /// A picture is not made larger than it is, there are no fewer frames than none, and nothing is held back for longer than
    /// four seconds (`RangeError`).
    #[error("a scale below 1, a negative rate of frames, or a delay of more than 4 s")]
    Range,
    /// No codec that may be sent has layers of this kind (`OperationError`).
    #[error("no codec has these layers")]
    Scalability,
    /// Parameters can be set that were read last, and not set or outdated since (`InvalidStateError`).
    #[error("the parameters were not read last, or were set already")]
    NotRead,
    /// Something was changed that cannot be: the number, order or names of encodings, codecs, header extensions, RTCP
    /// (`InvalidModificationError`).
    #[error("something was changed that cannot be")]
    Modified,
    /// A codec is not among those of the configuration, or all of them are there only to repair others
    /// (`InvalidModificationError`).
    #[error("a codec is none of the configuration's, or there is none but for repair")]
    UnknownCodec,
    /// A header extension is not among those of the configuration, or that which names the section was left out
    /// (`InvalidModificationError`).
    #[error("a header extension is none of the configuration's, or the name of the section is left out")]
    HeaderExtensions,
    /// There are as many transceivers as may be.
    #[error("there are too many transceivers")]
    TooMany,
}

/// Why a packet of RTP or RTCP was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendMediaError {
    /// There is no transceiver of this name any more, or the session is closed.
    #[error("the transceiver is stopped")]
    Stopped,
    /// It was not agreed upon that the transceiver sends.
    #[error("the transceiver does not send")]
    NotSending,
    /// DTLS is not up, or no media are agreed upon.
    #[error("there is no protected transport yet")]
    NotConnected,
    /// It is no packet.
    #[error("not a packet of RTP or RTCP")]
    Malformed,
    /// Its SSRC is none of the transceiver's.
    #[error("the SSRC is none of the transceiver's")]
    UnknownSource,
    /// It does not fit into a datagram on this path.
    #[error("a packet may have {limit} bytes here")]
    TooLarge {
        /// How much fits, in bytes.
        limit: usize,
    },
    /// SRTP cannot protect it: another packet had its sequence number, it is older than what is remembered of its stream,
    /// or the key is used up.
    #[error("the packet cannot be protected")]
    Refused,
    /// There is no stream of this number, frames are not sent by this session, or it sends no such codec.
    #[error("there is no such stream")]
    UnknownEncoding,
    /// The stream is switched off, or its circuit breaker has stopped it (RFC 8083).
    #[error("the stream is not active")]
    Inactive,
    /// The frame cannot be divided into packets.
    #[error("no frame of its codec: {0}")]
    Frame(::media::SendError),
    /// The transform of the transceiver has left the frame out.
    #[error("the transform has left the frame out")]
    LeftOut,
    /// As many bytes wait as may: take them by [`poll_transmit`](crate::Session::poll_transmit).
    #[error("too much waits to be sent")]
    Blocked,
}

/// Why tones were not taken. What waits is played as before.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DtmfError {
    /// The session is not connected, the transceiver sends no audio, or the peer takes no telephone events with the clock
    /// of the codec (`InvalidStateError` in W3C WebRTC 1.0).
    #[error("no tones can be sent now")]
    NotAllowed,
    /// It is no key, and no comma (`InvalidCharacterError`).
    #[error("{0:?} is no key")]
    Unknown(char),
    /// The peer does not take the event of this key (RFC 4733 §2.5.1.1).
    #[error("the peer does not take the event of key {0}")]
    NotTaken(char),
    /// More tones wait than [`FrameConfig::max_tones`](crate::FrameConfig::max_tones).
    #[error("too many tones wait")]
    TooMany,
}

impl DtmfError {
    /// The name of the exception that W3C WebRTC 1.0 §7.2 has for it, or that of the nearest.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotAllowed => "InvalidStateError",
            Self::Unknown(_) | Self::NotTaken(_) => "InvalidCharacterError",
            Self::TooMany => "OperationError",
        }
    }
}

impl From<::media::ToneError> for DtmfError {
    fn from(error: ::media::ToneError) -> Self {
        use ::media::ToneError;
        match error {
            ToneError::Unknown(tone) => Self::Unknown(tone),
            ToneError::NotTaken(tone) => Self::NotTaken(tone),
            ToneError::TooMany => Self::TooMany,
            ToneError::NotAllowed | _ => Self::NotAllowed,
        }
    }
}

/// Why a candidate of the peer's was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CandidateError {
    /// No remote description was set yet (`InvalidStateError`).
    #[error("no remote description was set yet, to which it could belong: keep it until then")]
    NoRemoteDescription,
    /// The session is closed (`InvalidStateError`).
    #[error("the session is closed")]
    Closed,
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

impl CandidateError {
    /// The name of the exception that W3C WebRTC 1.0 §4.4.2 (`addIceCandidate`) has for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoRemoteDescription | Self::Closed => "InvalidStateError",
            Self::UnknownSection | Self::UnknownUfrag | Self::Parse(_) => "OperationError",
        }
    }
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
    /// A packet of SRTP or SRTCP was refused: forged, replayed or malformed.
    #[error("SRTP: {0}")]
    Srtp(::srtp::UnprotectError),
    /// It is authentic, and no packet of RTP.
    #[error("no packet of RTP")]
    Malformed,
    /// It is authentic, and of no transceiver that receives (RFC 9143 §9.2).
    #[error("the packet belongs to no transceiver that receives")]
    UnknownStream,
    /// It is authentic, and its payload type was not agreed upon for its section.
    #[error("the payload type was not agreed upon")]
    UnknownPayloadType,
    /// It is authentic, and of no use: late, a duplicate, or its payload is malformed.
    #[error("media: {0}")]
    Media(::media::Discard),
    /// It is authentic, and as many SSRCs are known as may be.
    #[error("there are too many sources")]
    TooManySources,
    /// A packet in it was refused.
    #[error("SCTP: {0:?}")]
    Sctp(sctp::Discard),
}
