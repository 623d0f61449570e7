use super::StatsId;
use super::value::{Member, maybe, some};
use crate::ChannelState;

/// The connection as a whole (`RTCPeerConnectionStats`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PeerConnectionStats {
    /// Data channels that became open.
    pub data_channels_opened: u64,
    /// Those of them that are not open any more.
    pub data_channels_closed: u64,
}

/// A data channel (`RTCDataChannelStats`). It is there until the channel is closed and was read to its end.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct DataChannelStats {
    /// Its label.
    pub label: String,
    /// What is spoken on it.
    pub protocol: String,
    /// Its stream, once it has one.
    pub data_channel_identifier: Option<u16>,
    /// How far it is.
    pub state: ChannelState,
    /// Messages handed over whole.
    pub messages_sent: u64,
    /// Bytes of payload in them, and in those that were handed over in part.
    pub bytes_sent: u64,
    /// Messages taken out whole.
    pub messages_received: u64,
    /// Bytes of payload in them, and in those that were taken out in part.
    pub bytes_received: u64,
}

/// A certificate (`RTCCertificateStats`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CertificateStats {
    /// Its hash, as descriptions have it: `AB:CD:…` (RFC 8122 §5).
    pub fingerprint: String,
    /// By which function: `sha-256`.
    pub fingerprint_algorithm: &'static str,
    /// The certificate, DER, in base64.
    pub base64_certificate: String,
    /// The certificate of whoever has signed it, where that is sent along.
    pub issuer_certificate_id: Option<StatsId>,
}

impl PeerConnectionStats {
    pub(super) fn members(&self) -> Vec<Member<'_>> {
        vec![
            some("dataChannelsOpened", self.data_channels_opened),
            some("dataChannelsClosed", self.data_channels_closed),
        ]
    }
}

impl DataChannelStats {
    pub(super) fn members(&self) -> Vec<Member<'_>> {
        vec![
            some("label", &self.label),
            some("protocol", &self.protocol),
            maybe("dataChannelIdentifier", self.data_channel_identifier.map(u64::from)),
            some("state", self.state.name()),
            some("messagesSent", self.messages_sent),
            some("bytesSent", self.bytes_sent),
            some("messagesReceived", self.messages_received),
            some("bytesReceived", self.bytes_received),
        ]
    }
}

impl CertificateStats {
    pub(super) fn members(&self) -> Vec<Member<'_>> {
        vec![
            some("fingerprint", &self.fingerprint),
            some("fingerprintAlgorithm", self.fingerprint_algorithm),
            some("base64Certificate", &self.base64_certificate),
            maybe("issuerCertificateId", self.issuer_certificate_id.as_ref()),
        ]
    }
}
