//! The statistics of W3C's "Identifiers for WebRTC's Statistics API": dictionaries by its names, each under an id that stays
//! the same for as long as the thing exists that it is about.
//!
//! A dictionary has the members that an endpoint can know which neither captures nor plays, encodes nor decodes;
//! `docs/statistics.md` lists all of the specification's with who knows each. What is `None` is not known yet, or does not
//! exist here.

mod collect;
mod collect_rtp;
mod connection;
mod ids;
#[cfg(feature = "serde")]
mod json;
mod report;
mod rtp;
mod transport;
mod value;

pub use connection::{CertificateStats, DataChannelStats, PeerConnectionStats};
pub use ids::StatsId;
pub use report::{Dictionary, StatsReport};
pub use rtp::{
    CodecStats, InboundRtpStats, MediaSourceStats, OutboundRtpStats, RemoteInboundRtpStats,
    RemoteOutboundRtpStats,
};
pub use transport::{
    CandidatePairState, CandidatePairStats, CandidateStats, DtlsTransportState, TransportStats,
};
pub use value::{Timestamp, Value};
