//! A whole WebRTC connection without I/O: offers and answers (RFC 9429), ICE, DTLS, SCTP and data channels,
//! composed. The caller moves datagrams and time.
//!
//! ```
//! use std::time::Duration;
//! use session::{Arrival, Batch, Instant, Path, Transmit};
//! use session::{ChannelInit, Config, ConnectionState, Event, SdpType, Session, WallClock};
//!
//! let mut now = Instant::from_nanos(1);
//! let clock = WallClock { unix_seconds: 1_800_000_000 };
//! let at = |last| ([192, 0, 2, last], 4000).into();
//! let mut config = Config::new(crypto::default_provider());
//! config.local_addresses = vec![at(1)];
//! let mut a = Session::new(now, clock, config.clone(), [1; 32])?;
//! config.local_addresses = vec![at(2)];
//! let mut b = Session::new(now, clock, config, [2; 32])?;
//!
//! a.open_channel(now, ChannelInit::labelled("chat"))?;
//! let offer = a.create_offer(now)?;
//! a.set_local(now, SdpType::Offer, offer.clone())?;
//! b.set_remote(now, SdpType::Offer, offer)?;
//! let answer = b.create_answer(now)?;
//! b.set_local(now, SdpType::Answer, answer.clone())?;
//! a.set_remote(now, SdpType::Answer, answer)?;
//! // Candidates that the descriptions do not hold yet come as events.
//! let trickle = |from: &mut Session, to: &mut Session| {
//!     while let Some(event) = from.poll_event() {
//!         let Event::Candidate(found) = event else { continue };
//!         to.add_remote_candidate(now, &found.candidate, Some(&found.mid), None, Some(&found.ufrag))?;
//!     }
//!     Ok::<_, session::CandidateError>(())
//! };
//! trickle(&mut a, &mut b)?;
//! trickle(&mut b, &mut a)?;
//!
//! // Then datagrams go to and fro: with sockets, what one has to send on a path comes to the other on the same path.
//! let mut memory = [0; 1500];
//! let mut carry = |from: &mut Session, to: &mut Session, now| {
//!     while let Some(Transmit { path, len, .. }) = from.poll_transmit(now, &mut Batch::new(&mut memory, 1, 1500)) {
//!         let path = Path { carrier: path.carrier, local: path.remote, remote: path.local };
//!         // What is refused is counted, and changes nothing.
//!         let _ = to.handle_datagram(Arrival { path, ecn: None, at: now }, &mut memory[..len]);
//!     }
//! };
//! for _ in 0..100 {
//!     // A program sleeps until `poll_timeout` says that something is due, or a datagram comes.
//!     now += Duration::from_millis(20);
//!     a.handle_timeout(now);
//!     b.handle_timeout(now);
//!     for _ in 0..4 {
//!         carry(&mut a, &mut b, now);
//!         carry(&mut b, &mut a, now);
//!     }
//! }
//! assert_eq!(a.connection_state(), ConnectionState::Connected);
//! assert_eq!(b.connection_state(), ConnectionState::Connected);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | `session` | [`Session`]: the machine, and how its parts are joined |
//! | `negotiation`, `fingerprint` | what offers and answers say, and what they make of transceivers |
//! | `media` | codecs, transceivers, what was agreed upon, whose a packet is, and the machines of frames |
//! | `srtp` | the keys of media |
//! | `parameters` | [`TransportParameters`], [`SectionParameters`]: what takes their place where there are none |
//! | `transport`, `transports` | ICE, and DTLS over it; one of them, or one of each bundle and each section alone |
//! | `demux`, `protocol` | [`Demux`]: whose a datagram is; [`protocol_of`]: what it is |
//! | `channel`, `config`, `event`, `error` | what goes in, what comes out, what can go wrong |
//! | `state`, `stats` | news that wait to be told; [`Stats`] and [`Report`] |
//! | `statistics` | the statistics of W3C: [`StatsReport`] |
//!
//! # Scope
//!
//! Data channels, audio and video, agreed on by descriptions (RFC 9429), or known beforehand ([`TransportParameters`],
//! [`SectionParameters`]). Sections are bundled, all, some or none, as [`BundlePolicy`] and the peer have it; RTCP is
//! multiplexed, and a peer that does not do so is refused.
//! What is sent and received of media are packets, with everything else left to the caller; or frames, where
//! [`Config::frames`] has the machines of [`media`](::media) divide, repair, order, report and pace them.
//! Not implemented: several DTLS associations one after the other.

mod channel;
mod config;
mod demux;
mod error;
mod event;
mod fingerprint;
mod media;
mod negotiation;
mod parameters;
mod protocol;
mod session;
mod srtp;
mod state;
mod statistics;
mod stats;
mod transport;
mod transports;

pub use ::media::{
    BandwidthConfig, Content, Contribution, Discard as MediaDiscard, EncodedFrame, EncodedTransform,
    EncodingStats, Frame, FrameCipherSuite, FrameDecryptor, FrameDecryptorConfig, FrameDecryptorStats,
    FrameEncryptor, FrameKeyError, HistoryLimits, Layering, OutgoingFrame, Output, ReceiverEvent,
    RemoteReport, RtpStats, SenderEvent, SharedPacket, SharedPackets, Stop, StreamId, StreamStats, Tap,
};
pub use ::srtp::{AuthenticatedRtcp, AuthenticatedRtp, ProtectError, UnprotectError};
pub use channel::{ChannelInfo, ChannelInit, ChannelState};
pub use config::{
    BundlePolicy, Config, DtlsRole, Gathering, Limits, Relaying, TcpAddresses, UnusedReason, UnusedServer,
    WallClock,
};
pub use connectivity::{
    AddressPolicy, Deframer, ExternalAddress, FrameTooLong, LocalName, NameFailure, NameState, TurnServer,
    frame_header, frame_len,
};
pub use datachannel::{
    ChannelId, Incoming, Kind as MessageKind, OpenError, Outgoing, Reliability, SendError,
};
pub use demux::{Demux, Question, Target};
pub use dtls::{Identity, IdentityError};
pub use error::{CandidateError, Discard, DtmfError, NegotiationError, SendMediaError, TransceiverError};
pub use event::{
    ConnectionState, Event, Failure, GatheringState, IceState, LocalCandidate, SdpType, SignalingState,
};
pub use ice::{
    ConnectId as TcpId, Credentials as IceCredentials, CredentialsError as IceCredentialsError,
    Failure as IceFailure, Kind as CandidateKind, Pacer, Role as IceRole,
};
pub use media::{
    Codec, CodecParameters, EncoderLimits, Encoding, ExtensionUse, Feedback, FrameConfig, MediaConfig,
    MediaKind, Negotiated, Priority, ScalabilityMode, SendEncoding, SendEncodings, TransceiverId,
    TransceiverInfo, TransceiverInit,
};
pub use parameters::{
    ParametersError, PeerCertificate, SectionEncoding, SectionFault, SectionParameters, TransportParameters,
};
pub use proto::{Arrival, Batch, Carrier, Ecn, Instant, Path, Ssrc, Transmit};
pub use protocol::{Protocol, protocol_of};
pub use rtp::extension::{AudioLevel, Kind as ExtensionKind};
pub use rtp::payload::Outline;
pub use rtp::{PayloadType, Rid};
pub use sdp::{Direction, ParseError, SessionDescription};
pub use session::{
    OmittedPacket, ReceiveParameters, Received, RecoveredPacket, RtcpParameters, SendParameters, Session,
    SocketRequest, TcpRequest,
};
pub use state::Route;
pub use statistics::{
    CandidatePairState, CandidatePairStats, CandidateStats, CertificateStats, CodecStats, DataChannelStats,
    Dictionary, DtlsTransportState, InboundRtpStats, MediaSourceStats, OutboundRtpStats, PeerConnectionStats,
    RemoteInboundRtpStats, RemoteOutboundRtpStats, StatsId, StatsReport, Timestamp, TransportStats, Value,
};
pub use stats::{Ignored, InterfaceReport, Report, Stats};
pub use stun::{Credentials, CredentialsError, uri};
pub use transports::TransportId;
