use std::fmt;

use datachannel::ChannelId;

use ::media::{ReceiverEvent, SenderEvent};

use crate::{EncoderLimits, TransceiverId};

/// What happened to a session. Of each kind only the latest is kept until it is polled, but for
/// candidates and channels, of which there are as many as there are.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The exchange of descriptions is now in this state.
    SignalingState(SignalingState),
    /// Gathering is now in this state.
    GatheringState(GatheringState),
    /// ICE is now in this state.
    IceState(IceState),
    /// The connection as a whole is now in this state.
    ConnectionState(ConnectionState),
    /// A local candidate was found, to be told to the peer.
    Candidate(LocalCandidate),
    /// Something was added that the next offer will hold: make one.
    NegotiationNeeded,
    /// The peer opened a channel; it is open.
    ChannelOpened(ChannelId),
    /// A channel of ours is open.
    ChannelOpen(ChannelId),
    /// A channel that had nothing to read has something.
    ChannelReadable(ChannelId),
    /// A channel whose `send` was refused for room has room again.
    ChannelWritable(ChannelId),
    /// The peer sends on this transceiver from now on, or what it sends belongs to a further stream: W3C's `track` event.
    Track(TransceiverId),
    /// The peer does not send on this transceiver any more, or it was stopped.
    TrackRemoved(TransceiverId),
    /// A transceiver that had no frame may have one: [`poll_frame`](crate::Session::poll_frame) until there is none.
    FrameReadable(TransceiverId),
    /// News of what a transceiver receives.
    Receiver(TransceiverId, ReceiverEvent),
    /// What the peer wants of what a transceiver sends.
    Sender(TransceiverId, SenderEvent),
    /// An encoder is to be set to this from now on, in bit/s of packets; 0: its stream is switched off.
    TargetRate {
        /// Whose.
        transceiver: TransceiverId,
        /// Which of its streams.
        encoding: usize,
        /// In bit/s.
        bitrate: u64,
        /// Of video: what else the encoder has to keep to, as [`SendEncoding`](crate::SendEncoding) has it.
        limits: EncoderLimits,
    },
    /// What the path is thought to carry has changed by more than a twentieth, in bit/s.
    Bandwidth(u64),
    /// A channel has ended; what it had received can still be read.
    ChannelClosed(ChannelId),
}

/// A local candidate, with what a peer needs to know where it belongs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalCandidate {
    /// `candidate:…`.
    pub candidate: String,
    /// The name of its media section.
    pub mid: String,
    /// The number of its media section.
    pub section: usize,
    /// The user fragment that it belongs to.
    pub ufrag: String,
}

/// How far an exchange of descriptions is (W3C WebRTC 1.0 §4.3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignalingState {
    /// None is under way.
    Stable,
    /// We offered.
    HaveLocalOffer,
    /// The peer offered.
    HaveRemoteOffer,
    /// The peer offered, and we gave a provisional answer.
    HaveLocalPranswer,
    /// We offered, and the peer gave a provisional answer.
    HaveRemotePranswer,
    /// The session was closed.
    Closed,
}

/// What a description is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SdpType {
    /// An offer.
    Offer,
    /// The answer to one.
    Answer,
    /// An answer that another may follow (RFC 9429 §4.1.10.1).
    Pranswer,
}

/// How far gathering is (W3C WebRTC 1.0 §4.3.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GatheringState {
    /// It has not begun.
    New,
    /// It is under way.
    Gathering,
    /// All candidates are known.
    Complete,
}

/// What ICE is at (W3C WebRTC 1.0 §4.3.4).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum IceState {
    /// The peer's parameters are not known yet, or none of its candidates.
    #[default]
    New,
    /// Looking for a path.
    Checking,
    /// There is a path.
    Connected,
    /// There is a path, and no better one can come.
    Completed,
    /// The path is silent; this may pass.
    Disconnected,
    /// There is no path.
    Failed,
    /// Closed.
    Closed,
}

/// What the connection as a whole is at (W3C WebRTC 1.0 §4.3.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConnectionState {
    /// Nothing has begun.
    New,
    /// ICE or DTLS is under way.
    Connecting,
    /// There is a path, DTLS is up over it, and the peer's certificate is the one that signalling named.
    Connected,
    /// The path is silent; this may pass.
    Disconnected,
    /// It failed, for this reason. After a failure of ICE a restart may bring it back, if DTLS was up before;
    /// any other failure is final: close the session, and begin another.
    Failed(Failure),
    /// Closed: by us, or in good order by the peer.
    Closed,
}

/// Why a connection failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// No path was found, or it was lost.
    Ice(ice::Failure),
    /// The secure transport could not be set up, or broke.
    Dtls(dtls::CloseReason),
    /// The peer's certificate is not the one that signalling named.
    Fingerprint,
    /// The peer has agreed to no way of protecting media (RFC 5764 §4.1).
    NoSrtpProfile,
    /// The association under the data channels ended.
    Sctp(sctp::CloseReason),
    /// The peer rejected everything that was offered.
    Rejected,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ice(failure) => write!(f, "ICE: {failure}"),
            Self::Dtls(reason) => write!(f, "DTLS: {reason}"),
            Self::Fingerprint => {
                f.write_str("DTLS: the peer's certificate is not the one that its description names")
            }
            Self::NoSrtpProfile => f.write_str("DTLS: the peer has agreed to no profile of SRTP"),
            Self::Sctp(reason) => write!(f, "SCTP: {reason}"),
            Self::Rejected => f.write_str("the peer rejected everything that was offered"),
        }
    }
}

impl SignalingState {
    /// The name that W3C WebRTC 1.0 gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::HaveLocalOffer => "have-local-offer",
            Self::HaveRemoteOffer => "have-remote-offer",
            Self::HaveLocalPranswer => "have-local-pranswer",
            Self::HaveRemotePranswer => "have-remote-pranswer",
            Self::Closed => "closed",
        }
    }
}

impl SdpType {
    /// The name that W3C WebRTC 1.0 gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Answer => "answer",
            Self::Pranswer => "pranswer",
        }
    }
}

impl GatheringState {
    /// The name that W3C WebRTC 1.0 gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gathering => "gathering",
            Self::Complete => "complete",
        }
    }
}

impl IceState {
    /// The name that W3C WebRTC 1.0 gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Checking => "checking",
            Self::Connected => "connected",
            Self::Completed => "completed",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }
}

impl ConnectionState {
    /// The name that W3C WebRTC 1.0 gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Failed(_) => "failed",
            Self::Closed => "closed",
        }
    }
}
