//! WebRTC in Rust: peer connections, audio, video and data channels on tokio, in the vocabulary of W3C WebRTC 1.0.
//!
//! Two peers in one program; in real life the descriptions and candidates travel by any means there is:
//!
//! ```
#![doc = include_str!("../examples/two_peers.rs")]
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | `endpoint` | [`Endpoint`]: sockets that many connections share |
//! | `connection`, `description` | [`PeerConnection`]: offers, answers, candidates, reports |
//! | `channel`, `io`, `init` | [`DataChannel`], [`Message`], [`ChannelIo`], [`DataChannelInit`] |
//! | `transceiver` | [`Transceiver`]: audio and video, by frames or by packets |
//! | `forwarding` | what comes by one goes out by others, [`Layer`]s of simulcast as they fit |
//! | `events`, `waiting` | [`Events`]: what happens to a connection, as a stream; the tasks that wait for it |
//! | `configuration`, `fixed`, `certificate`, `ice_server`, `error` | what goes in, what can go wrong |
//! | `names` | [`Mdns`]: names of peers that are asked for, and names in place of our addresses |
//! | `log` | how much is written to the log |
//! | `relay_sockets` | sockets that belong to one connection, for TURN servers |
//! | `relay_stream`, `relay_association` | a TCP, TLS or DTLS connection to a TURN server, as if it were a socket |
//! | `signalled` | descriptions in JSON, with the feature `serde` |
//! | `server_connection` | [`connect_to_server`], for programs that speak to servers themselves |
//! | `strangers` | [`Strangers`]: peers whom no connection expects |
//! | `worker` | the tasks that drive the sessions of an endpoint |
//!
//! # How it behaves
//!
//! * Handles are cheap to clone. A connection closes when its last handle is dropped.
//! * Every `async fn` is cancel safe, and says so.
//! * No lock is held over an `await`, and no code of yours runs inside the endpoint's task.
//! * An endpoint is one task, or as many [workers](EndpointBuilder::workers) as it is made with, however many connections
//!   it has; a server has one besides while its name is looked up,
//!   or it is connected to. A connection with TURN servers has sockets of its own.

mod addresses;
mod certificate;
mod channel;
mod configuration;
mod connection;
mod description;
mod endpoint;
mod error;
mod events;
mod fixed;
mod forwarding;
mod framed_stream;
mod ice_server;
mod init;
mod io;
mod log;
mod names;
mod relay_association;
mod relay_sockets;
mod relay_stream;
mod server_connection;
#[cfg(feature = "serde")]
mod signalled;
mod strangers;
mod transceiver;
mod unsent;
mod waiting;
mod worker;

pub use addresses::{IpHandling, TcpLimits};
pub use certificate::Certificate;
pub use channel::{DataChannel, Message};
pub use configuration::Configuration;
pub use connection::PeerConnection;
pub use description::Description;
pub use endpoint::{Endpoint, EndpointBuilder, WorkerStats};
pub use error::{Error, SendError};
pub use events::{Event, Events, IceCandidate};
pub use forwarding::{Forwarded, Layer, MAX_VIEWERS};
pub use ice_server::{IceServer, IceTransportPolicy};
pub use init::DataChannelInit;
pub use io::ChannelIo;
pub use names::Mdns;
pub use net::{Interface, RECEIVE_BUFFER, TlsClient, TlsError, Train, Transport};
pub use proto::{Carrier, Ecn, Path, Transmit};
pub use server_connection::{ServerCarrier, connect_to_server};
pub use session::uri::ParseError as UrlError;
pub use session::{
    AddressPolicy, AudioLevel, BandwidthConfig, BundlePolicy, CandidateKind, CandidatePairState,
    CandidatePairStats, CandidateStats, CertificateStats, ChannelState, Codec, CodecParameters, CodecStats,
    ConnectionState, CredentialsError, DataChannelStats, Dictionary, Direction, DtlsRole, DtlsTransportState,
    DtmfError, EncodedFrame, EncodedTransform, EncoderLimits, Encoding, EncodingStats, ExtensionKind,
    ExtensionUse, Failure, Feedback, FrameCipherSuite, FrameConfig, FrameDecryptor, FrameDecryptorConfig,
    FrameDecryptorStats, FrameEncryptor, FrameKeyError, GatheringState, IceCredentials, IceCredentialsError,
    IceFailure, IceRole, IceState, InboundRtpStats, InterfaceReport, Layering, Limits, LocalName,
    MediaConfig, MediaKind, MediaSourceStats, NameFailure, NameState, Negotiated, OutboundRtpStats,
    OutgoingFrame, Output, ParametersError, PayloadType, PeerCertificate, PeerConnectionStats, Priority,
    ReceiveParameters, Reliability, RemoteInboundRtpStats, RemoteOutboundRtpStats, RemoteReport, Report, Rid,
    RtcpParameters, RtpStats, ScalabilityMode, SdpType, SectionEncoding, SectionFault, SectionParameters,
    SendEncoding, SendMediaError, SendParameters, SessionDescription, SignalingState, Ssrc, Stats, StatsId,
    StatsReport, Stop, StreamId, StreamStats, Timestamp, TransceiverId, TransceiverInit, TransportParameters,
    TransportStats, UnusedReason, UnusedServer, Value,
};
pub use strangers::{Stranger, Strangers};
pub use transceiver::{
    FrameContent, MAX_PACKETS, ReceivedFrame, RtpPacket, RtpSource, SenderRequest, ToneChange, Transceiver,
};

/// The programs of the README are compiled, and the first of them is run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadmeDoctests;
