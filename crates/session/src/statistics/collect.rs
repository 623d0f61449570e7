//! How the dictionaries of a session are filled.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connectivity::{Carrier, CensusEntry};
use crypto::HashAlgorithm;
use ice::{Address, PairStats};
use proto::Instant;

use super::{
    CandidatePairStats, CandidateStats, CertificateStats, DataChannelStats, Dictionary, DtlsTransportState,
    PeerConnectionStats, StatsId, StatsReport, Timestamp, TransportStats,
};
use crate::channel::ChannelInfo;
use crate::transport::{DtlsState, Transport};
use crate::{CandidateKind, ChannelId, Session, TransceiverId};

impl Session {
    /// The statistics of W3C (`getStats`), as they are at `now`.
    pub fn statistics(&self, now: Instant) -> StatsReport {
        let mut report = StatsReport { timestamp: self.timestamp(now), ..StatsReport::default() };
        let totals = self.channels.totals();
        let connection =
            PeerConnectionStats { data_channels_opened: totals.opened, data_channels_closed: totals.closed };
        report.insert(StatsId::connection(), Dictionary::PeerConnection(connection));
        for id in self.channels.ids() {
            if let Some(stats) = self.data_channel(id) {
                report.insert(StatsId::channel(id.number()), Dictionary::DataChannel(stats));
            }
        }
        if !self.transports.is_empty() {
            self.collect_certificates(&mut report);
        }
        for transport in self.transports.iter() {
            self.collect_transport(transport, &mut report);
        }
        self.collect_media(&mut report);
        report
    }

    /// Those of them that are about a data channel; none once it is closed and was read to its end.
    pub fn channel_statistics(&self, now: Instant, channel: ChannelId) -> StatsReport {
        self.statistics(now).selection(StatsId::channel(channel.number()).as_str())
    }

    /// Those of them that are about what a transceiver sends and receives (`getStats` of its sender and its receiver).
    pub fn transceiver_statistics(&self, now: Instant, transceiver: TransceiverId) -> StatsReport {
        let report = self.statistics(now);
        let streams = report.iter().filter(|(id, _)| id.is_of(transceiver));
        report.select(streams.map(|(id, _)| id.to_string()).collect())
    }

    pub(super) fn timestamp(&self, at: Instant) -> Timestamp {
        Timestamp(self.wall_clock.ntp(at).to_unix())
    }

    fn data_channel(&self, id: ChannelId) -> Option<DataChannelStats> {
        let (info, stats) = (ChannelInfo::of(&self.channels, id)?, self.channels.stats(id)?);
        Some(DataChannelStats {
            label: info.label.to_owned(),
            protocol: info.protocol.to_owned(),
            data_channel_identifier: info.stream,
            state: info.state,
            messages_sent: stats.messages_sent,
            bytes_sent: stats.bytes_sent,
            messages_received: stats.messages_received,
            bytes_received: stats.bytes_received,
        })
    }

    fn collect_certificates(&self, report: &mut StatsReport) {
        let mut chain = std::iter::once(self.identity.certificate()).chain(self.identity.issuers());
        let mut next = chain.next();
        let mut depth = 0;
        while let Some(certificate) = next {
            next = chain.next();
            let issuer = next.map(|_| StatsId::local_certificate(depth + 1));
            let stats = self.certificate(certificate, issuer);
            report.insert(StatsId::local_certificate(depth), Dictionary::Certificate(stats));
            depth += 1;
        }
        for transport in self.transports.iter() {
            if let Some(certificate) = transport.dtls().and_then(dtls::Connection::peer_certificate) {
                let stats = self.certificate(certificate, None);
                let id = StatsId::remote_certificate(transport.id.0);
                report.insert(id, Dictionary::Certificate(stats));
            }
        }
    }

    fn certificate(&self, der: &[u8], issuer_certificate_id: Option<StatsId>) -> CertificateStats {
        let hash = dtls::fingerprint(self.config.provider, HashAlgorithm::Sha256, der);
        CertificateStats {
            fingerprint: sdp::Fingerprint::text_of(hash.as_bytes()),
            fingerprint_algorithm: "sha-256",
            base64_certificate: STANDARD.encode(der),
            issuer_certificate_id,
        }
    }

    fn collect_transport(&self, transport: &Transport, report: &mut StatsReport) {
        let number = transport.id.0;
        let rtp = transport.engine().map(|engine| (engine.rtp.stats(), engine.rtp.target()));
        let census = transport.connectivity.census();
        let selected = selected_pair(transport, &census.pairs);
        for pair in &census.pairs {
            // Without its remote candidate, which has made room for another, it leads nowhere.
            let Some(remote) = pair.remote else { continue };
            let id = StatsId::pair(number, pair.generation, pair.number);
            let mut stats = self.candidate_pair(number, pair, remote);
            if selected.as_ref() == Some(&id) {
                stats.available_outgoing_bitrate = rtp.and_then(|(_, target)| target);
            }
            report.insert(id, Dictionary::CandidatePair(stats));
        }
        for entry in &census.locals {
            let id = StatsId::local(number, entry.generation, entry.number);
            report.insert(id, Dictionary::LocalCandidate(candidate(number, entry)));
        }
        for entry in &census.remotes {
            let id = StatsId::remote(number, entry.generation, entry.number);
            report.insert(id, Dictionary::RemoteCandidate(candidate(number, entry)));
        }
        let dtls = transport.dtls();
        let is_agreed = dtls.is_some_and(dtls::Connection::is_connected);
        let remote_certificate = dtls.and_then(dtls::Connection::peer_certificate);
        let traffic = census.traffic;
        let stats = TransportStats {
            packets_sent: traffic.packets_sent,
            packets_received: traffic.packets_received,
            bytes_sent: traffic.bytes_sent,
            bytes_received: traffic.bytes_received,
            ice_role: Some(transport.connectivity.role()),
            ice_local_username_fragment: transport.connectivity.local_credentials().ufrag().to_owned(),
            dtls_state: dtls_state(transport),
            ice_state: if self.is_ending() { crate::IceState::Closed } else { transport.ice_state() },
            selected_candidate_pair_id: selected,
            local_certificate_id: Some(StatsId::local_certificate(0)),
            remote_certificate_id: remote_certificate.map(|_| StatsId::remote_certificate(number)),
            tls_version: dtls
                .and_then(dtls::Connection::version)
                .filter(|_| is_agreed)
                .map(|version| format!("{:04X}", version.to_u16())),
            dtls_cipher: dtls
                .and_then(dtls::Connection::cipher_suite)
                .filter(|_| is_agreed)
                .map(|suite| suite.name()),
            dtls_role: transport.dtls_role(),
            srtp_cipher: dtls.and_then(dtls::Connection::srtp_profile).and_then(profile_name),
            selected_candidate_pair_changes: census.selections,
            ccfb_messages_sent: rtp.map(|(rtp, _)| rtp.ccfb_sent),
            ccfb_messages_received: rtp.map(|(rtp, _)| rtp.ccfb_received),
        };
        report.insert(StatsId::transport(number), Dictionary::Transport(stats));
    }

    fn candidate_pair(&self, number: u32, pair: &PairStats, remote: u32) -> CandidatePairStats {
        let generation = pair.generation;
        let traffic = pair.traffic;
        CandidatePairStats {
            transport_id: StatsId::transport(number),
            local_candidate_id: StatsId::local(number, generation, pair.local.number()),
            remote_candidate_id: StatsId::remote(number, generation, remote),
            state: pair.state.into(),
            nominated: pair.is_nominated,
            packets_sent: traffic.packets_sent,
            packets_received: traffic.packets_received,
            bytes_sent: traffic.bytes_sent,
            bytes_received: traffic.bytes_received,
            last_packet_sent_timestamp: (traffic.packets_sent > 0).then(|| self.timestamp(traffic.last_sent)),
            last_packet_received_timestamp: (traffic.packets_received > 0)
                .then(|| self.timestamp(traffic.last_received)),
            total_round_trip_time: pair.total_round_trip,
            current_round_trip_time: pair.latest_round_trip,
            available_outgoing_bitrate: None,
            requests_received: pair.requests_received,
            requests_sent: pair.checks_sent,
            responses_received: pair.responses_received,
            responses_sent: pair.responses_sent,
            consent_requests_sent: pair.consents_sent,
        }
    }
}

/// The pair that data goes over: the current generation's, or the one from before a restart.
fn selected_pair(transport: &Transport, pairs: &[PairStats]) -> Option<StatsId> {
    transport.connectivity.selected_path()?;
    let selected = pairs.iter().filter(|pair| pair.is_selected && pair.remote.is_some());
    let newest = selected.max_by_key(|pair| pair.generation)?;
    Some(StatsId::pair(transport.id.0, newest.generation, newest.number))
}

fn candidate(transport: u32, entry: &CensusEntry) -> CandidateStats {
    let CensusEntry { candidate, is_hidden, server, .. } = entry;
    let scheme = if candidate.kind == CandidateKind::Relayed { "turn" } else { "stun" };
    CandidateStats {
        transport_id: StatsId::transport(transport),
        address: Some(host(&candidate.address)).filter(|_| !is_hidden),
        port: candidate.address.port(),
        protocol: if candidate.tcp_type.is_some() { "tcp" } else { "udp" },
        candidate_type: candidate.kind,
        priority: candidate.priority,
        url: server.map(|(server, carrier)| match (candidate.kind, carrier) {
            (CandidateKind::Relayed, Carrier::Udp) => format!("{scheme}:{server}?transport=udp"),
            (CandidateKind::Relayed, _) => format!("{scheme}:{server}?transport=tcp"),
            _ => format!("{scheme}:{server}"),
        }),
        relay_protocol: server
            .filter(|(_, carrier)| candidate.kind == CandidateKind::Relayed && *carrier == Carrier::Udp)
            .map(|_| "udp"),
        foundation: candidate.foundation.clone(),
        related_address: candidate.related.as_ref().map(host),
        related_port: candidate.related.as_ref().map(Address::port),
        username_fragment: candidate.ufrag().map(str::to_owned),
        tcp_type: candidate.tcp_type.map(|kind| match kind {
            ice::TcpType::Active => "active",
            ice::TcpType::Passive => "passive",
            ice::TcpType::SimultaneousOpen => "so",
        }),
    }
}

fn host(address: &Address) -> String {
    match address {
        Address::Ip(address) => address.ip().to_string(),
        Address::Hostname { name, .. } => name.clone(),
    }
}

fn dtls_state(transport: &Transport) -> DtlsTransportState {
    match transport.dtls_state() {
        DtlsState::Handshake if transport.dtls().is_none() => DtlsTransportState::New,
        DtlsState::Handshake => DtlsTransportState::Connecting,
        DtlsState::Connected => DtlsTransportState::Connected,
        DtlsState::Closed => DtlsTransportState::Closed,
        DtlsState::Failed(_) => DtlsTransportState::Failed,
    }
}

/// As RFC 5764 §4.1.2 and RFC 7714 §14.2 register them.
const fn profile_name(profile: dtls::SrtpProfile) -> Option<&'static str> {
    Some(match profile {
        dtls::SrtpProfile::Aes128CmHmacSha1_80 => "SRTP_AES128_CM_HMAC_SHA1_80",
        dtls::SrtpProfile::Aes128CmHmacSha1_32 => "SRTP_AES128_CM_HMAC_SHA1_32",
        dtls::SrtpProfile::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
        dtls::SrtpProfile::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
        _ => return None,
    })
}
