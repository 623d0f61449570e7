use std::time::Duration;

use super::value::{Member, maybe, some};
use super::{StatsId, Timestamp};
use crate::{CandidateKind, DtlsRole, IceRole, IceState};

/// A transport: ICE, and DTLS over it (`RTCTransportStats`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TransportStats {
    /// Datagrams written, on any pair, without ICE's own.
    pub packets_sent: u64,
    /// Datagrams that came from where the peer has proved itself, without ICE's own.
    pub packets_received: u64,
    /// Bytes in those written, without what IP, UDP and relays put around them.
    pub bytes_sent: u64,
    /// Bytes in those that came.
    pub bytes_received: u64,
    /// Which side decides on the path.
    pub ice_role: Option<IceRole>,
    /// Our ufrag.
    pub ice_local_username_fragment: String,
    /// How far DTLS is.
    pub dtls_state: DtlsTransportState,
    /// How far ICE is.
    pub ice_state: IceState,
    /// The pair that data goes over.
    pub selected_candidate_pair_id: Option<StatsId>,
    /// What we show the peer.
    pub local_certificate_id: Option<StatsId>,
    /// What the peer has shown.
    pub remote_certificate_id: Option<StatsId>,
    /// The version, in four hexadecimal digits as it is on the wire: `FEFD` is DTLS 1.2.
    pub tls_version: Option<String>,
    /// The cipher suite, by its registered name.
    pub dtls_cipher: Option<&'static str>,
    /// Our role in DTLS.
    pub dtls_role: Option<DtlsRole>,
    /// The protection profile of SRTP, by its registered name.
    pub srtp_cipher: Option<&'static str>,
    /// How often another pair was selected, or none.
    pub selected_candidate_pair_changes: u64,
    /// Packets of feedback by RFC 8888 that were sent, once there are streams.
    pub ccfb_messages_sent: Option<u64>,
    /// Those that came.
    pub ccfb_messages_received: Option<u64>,
}

/// How far DTLS is (`RTCDtlsTransportState`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DtlsTransportState {
    /// Not begun.
    #[default]
    New,
    /// The handshake is under way.
    Connecting,
    /// The peer is who signalling says it is.
    Connected,
    /// Either side has closed it.
    Closed,
    /// It broke, or the peer is somebody else.
    Failed,
}

/// How a pair of candidates stands and what it has carried (`RTCIceCandidatePairStats`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CandidatePairStats {
    /// Its transport.
    pub transport_id: StatsId,
    /// The candidate of ours: once the peer has answered, at the address at which it sees us.
    pub local_candidate_id: StatsId,
    /// The peer's.
    pub remote_candidate_id: StatsId,
    /// How its checks stand.
    pub state: CandidatePairState,
    /// Whether it was agreed upon.
    pub nominated: bool,
    /// Datagrams written on it, without ICE's own.
    pub packets_sent: u64,
    /// Datagrams that came on it after the peer had proved itself there, without ICE's own.
    pub packets_received: u64,
    /// Bytes in those written.
    pub bytes_sent: u64,
    /// Bytes in those that came.
    pub bytes_received: u64,
    /// When the last of those was written.
    pub last_packet_sent_timestamp: Option<Timestamp>,
    /// When the last of those came.
    pub last_packet_received_timestamp: Option<Timestamp>,
    /// All round trips of checks together, [`responses_received`](Self::responses_received) of them. That of a check that was
    /// sent again counts from the last time.
    pub total_round_trip_time: Duration,
    /// The last of them.
    pub current_round_trip_time: Option<Duration>,
    /// Of the selected pair, once there are streams: what it is thought to carry, in bit/s of RTP packets.
    pub available_outgoing_bitrate: Option<u64>,
    /// Checks of the peer's, each time counted, those for consent among them.
    pub requests_received: u64,
    /// Checks of ours, each counted once however often it was sent.
    pub requests_sent: u64,
    /// Answers to all of ours, those for consent too.
    pub responses_received: u64,
    /// Answers to the peer's.
    pub responses_sent: u64,
    /// Requests that only asked whether the peer still wants data (RFC 7675).
    pub consent_requests_sent: u64,
}

/// How the checks of a pair stand (`RTCStatsIceCandidatePairState`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CandidatePairState {
    /// It waits for another pair.
    #[default]
    Frozen,
    /// It waits for its turn.
    Waiting,
    /// A check is in flight.
    InProgress,
    /// No check was answered, or one was refused.
    Failed,
    /// A check was answered.
    Succeeded,
}

/// A candidate (`RTCIceCandidateStats`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CandidateStats {
    /// Its transport.
    pub transport_id: StatsId,
    /// Its address, or the name that stands for it; `None` where that may not be shown.
    pub address: Option<String>,
    /// Its port.
    pub port: u16,
    /// What carries the datagrams: `udp` or `tcp`.
    pub protocol: &'static str,
    /// How it was found.
    pub candidate_type: CandidateKind,
    /// Larger is better.
    pub priority: u32,
    /// Of one of ours: the server that told or gave it, by its address (RFC 7064, RFC 7065).
    pub url: Option<String>,
    /// Of a relayed one of ours: what the server is spoken to over, where that is `udp`. Over TCP it is known above whether
    /// there is TLS.
    pub relay_protocol: Option<&'static str>,
    /// Equal for candidates of the same kind, base and server.
    pub foundation: String,
    /// Of a reflexive or relayed one of ours: the address that it belongs to, as it is told.
    pub related_address: Option<String>,
    /// And its port.
    pub related_port: Option<u16>,
    /// The ufrag that it belongs to.
    pub username_fragment: Option<String>,
    /// Of a TCP candidate: who opens the connection.
    pub tcp_type: Option<&'static str>,
}

impl DtlsTransportState {
    /// The name that W3C WebRTC 1.0 gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Closed => "closed",
            Self::Failed => "failed",
        }
    }
}

impl CandidatePairState {
    /// The specification's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::Waiting => "waiting",
            Self::InProgress => "in-progress",
            Self::Failed => "failed",
            Self::Succeeded => "succeeded",
        }
    }
}

impl From<ice::PairState> for CandidatePairState {
    fn from(state: ice::PairState) -> Self {
        match state {
            ice::PairState::Frozen => Self::Frozen,
            ice::PairState::Waiting => Self::Waiting,
            ice::PairState::InProgress => Self::InProgress,
            ice::PairState::Failed => Self::Failed,
            ice::PairState::Succeeded => Self::Succeeded,
        }
    }
}

impl TransportStats {
    pub(super) fn members(&self) -> Vec<Member<'_>> {
        let ice_role = self.ice_role.map_or("unknown", |role| match role {
            IceRole::Controlling => "controlling",
            IceRole::Controlled => "controlled",
        });
        let dtls_role = self.dtls_role.map_or("unknown", |role| match role {
            DtlsRole::Client => "client",
            DtlsRole::Server => "server",
        });
        vec![
            some("packetsSent", self.packets_sent),
            some("packetsReceived", self.packets_received),
            some("bytesSent", self.bytes_sent),
            some("bytesReceived", self.bytes_received),
            some("iceRole", ice_role),
            some("iceLocalUsernameFragment", &self.ice_local_username_fragment),
            some("dtlsState", self.dtls_state.name()),
            some("iceState", self.ice_state.name()),
            maybe("selectedCandidatePairId", self.selected_candidate_pair_id.as_ref()),
            maybe("localCertificateId", self.local_certificate_id.as_ref()),
            maybe("remoteCertificateId", self.remote_certificate_id.as_ref()),
            maybe("tlsVersion", self.tls_version.as_ref()),
            maybe("dtlsCipher", self.dtls_cipher),
            some("dtlsRole", dtls_role),
            maybe("srtpCipher", self.srtp_cipher),
            some("selectedCandidatePairChanges", self.selected_candidate_pair_changes),
            maybe("ccfbMessagesSent", self.ccfb_messages_sent),
            maybe("ccfbMessagesReceived", self.ccfb_messages_received),
        ]
    }
}

impl CandidatePairStats {
    pub(super) fn members(&self) -> Vec<Member<'_>> {
        vec![
            some("transportId", &self.transport_id),
            some("localCandidateId", &self.local_candidate_id),
            some("remoteCandidateId", &self.remote_candidate_id),
            some("state", self.state.name()),
            some("nominated", self.nominated),
            some("packetsSent", self.packets_sent),
            some("packetsReceived", self.packets_received),
            some("bytesSent", self.bytes_sent),
            some("bytesReceived", self.bytes_received),
            maybe("lastPacketSentTimestamp", self.last_packet_sent_timestamp),
            maybe("lastPacketReceivedTimestamp", self.last_packet_received_timestamp),
            some("totalRoundTripTime", self.total_round_trip_time),
            maybe("currentRoundTripTime", self.current_round_trip_time),
            maybe("availableOutgoingBitrate", self.available_outgoing_bitrate),
            some("requestsReceived", self.requests_received),
            some("requestsSent", self.requests_sent),
            some("responsesReceived", self.responses_received),
            some("responsesSent", self.responses_sent),
            some("consentRequestsSent", self.consent_requests_sent),
        ]
    }
}

impl CandidateStats {
    pub(super) fn members(&self) -> Vec<Member<'_>> {
        let kind = match self.candidate_type {
            CandidateKind::Host => "host",
            CandidateKind::ServerReflexive => "srflx",
            CandidateKind::PeerReflexive => "prflx",
            CandidateKind::Relayed => "relay",
        };
        vec![
            some("transportId", &self.transport_id),
            maybe("address", self.address.as_ref()),
            some("port", u64::from(self.port)),
            some("protocol", self.protocol),
            some("candidateType", kind),
            some("priority", u64::from(self.priority)),
            maybe("url", self.url.as_ref()),
            maybe("relayProtocol", self.relay_protocol),
            some("foundation", &self.foundation),
            maybe("relatedAddress", self.related_address.as_ref()),
            maybe("relatedPort", self.related_port.map(u64::from)),
            maybe("usernameFragment", self.username_fragment.as_ref()),
            maybe("tcpType", self.tcp_type),
        ]
    }
}
