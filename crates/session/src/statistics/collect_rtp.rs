//! How the dictionaries of media are filled.

use std::time::Duration;

use ::media::{Claimant, Receiver, Sender, SenderId, StreamId, StreamStats};

use super::{
    CodecStats, Dictionary, InboundRtpStats, MediaSourceStats, OutboundRtpStats, RemoteInboundRtpStats,
    RemoteOutboundRtpStats, StatsId, StatsReport, Timestamp,
};
use crate::media::engine::{Engine, Line};
use crate::media::transceiver::Transceiver;
use crate::transport::Transport;
use crate::{CodecParameters, MediaKind, Session};

impl Session {
    /// Streams of all transceivers, their codecs and sources.
    pub(super) fn collect_media(&self, report: &mut StatsReport) {
        for transceiver in self.negotiation.transceivers.iter().filter(|it| it.has_track) {
            let stats =
                MediaSourceStats { track_identifier: transceiver.track.clone(), kind: transceiver.kind };
            report.insert(StatsId::source(transceiver.id), Dictionary::MediaSource(stats));
        }
        for engine in self.transports.iter().filter_map(Transport::engine) {
            self.collect_lines(engine, report);
        }
    }

    fn collect_lines(&self, engine: &Engine, report: &mut StatsReport) {
        for line in engine.lines() {
            let Some(transceiver) = self.negotiation.transceiver(line.id) else { continue };
            if let Some((made, receiver)) = line.receiver(engine) {
                for stream in receiver.streams() {
                    let id = StatsId::inbound(line.id, made, stream);
                    self.collect_inbound(engine, (line, transceiver), receiver, stream, id, report);
                }
            }
            if let Some((made, id, sender)) = line.sender(engine) {
                for encoding in 0..sender.sources().len() {
                    let ids = [StatsId::outbound, StatsId::remote_inbound];
                    let ids = ids.map(|id| id(line.id, made, encoding));
                    self.collect_outbound(engine, (line, transceiver), (id, sender), encoding, ids, report);
                }
            }
        }
    }

    fn collect_inbound(
        &self,
        engine: &Engine,
        (line, transceiver): (&Line, &Transceiver),
        receiver: &Receiver,
        stream: StreamId,
        id: StatsId,
        report: &mut StatsReport,
    ) {
        // One that was announced and has not begun has nothing to tell yet.
        let (Some((ssrc, _)), Some(stats)) = (receiver.source_of(stream), receiver.stats(stream)) else {
            return;
        };
        let Some(payload_type) = stats.payload_type else { return };
        let (transport_id, kind) =
            (StatsId::transport(transceiver.association.transport.0), transceiver.kind);
        let codec = line.negotiated.receive().iter().find(|codec| codec.payload_type == payload_type);
        let codec_id = codec.map(|codec| {
            let id = StatsId::codec_in(transceiver.association.transport.0, payload_type);
            report.insert(id.clone(), codec_dictionary(kind, codec, transport_id.clone()));
            id
        });
        let clock_rate = codec.map_or(1, |codec| codec.clock_rate);
        let remote_id = StatsId::remote_outbound(&id);
        let info = receiver.sender_info(stream);
        let [rtx_ssrc, fec_ssrc] = receiver.repairs_of(stream);
        let inbound = InboundRtpStats {
            ssrc,
            kind,
            transport_id: transport_id.clone(),
            codec_id: codec_id.clone(),
            track_identifier: transceiver.association.remote_track.clone(),
            mid: transceiver.association.mid.clone(),
            remote_id: info.map(|_| remote_id.clone()),
            last_packet_received_timestamp: stats.last_received.map(|at| self.timestamp(at)),
            rtx_ssrc,
            fec_ssrc,
            ..inbound(kind, clock_rate, &stats)
        };
        report.insert(id.clone(), Dictionary::InboundRtp(inbound));
        let Some((info, _)) = info else { return };
        let rtp = engine.rtp.stats();
        let remote = RemoteOutboundRtpStats {
            ssrc,
            kind,
            transport_id,
            codec_id,
            packets_sent: info.packet_count.into(),
            bytes_sent: info.octet_count.into(),
            local_id: id,
            remote_timestamp: Timestamp(info.ntp.to_unix()),
            reports_sent: stats.sender_reports,
            round_trip_time: rtp.reference_round_trip,
            total_round_trip_time: rtp.reference_round_trip_total,
            round_trip_time_measurements: rtp.reference_round_trips,
        };
        report.insert(remote_id, Dictionary::RemoteOutboundRtp(remote));
    }

    fn collect_outbound(
        &self,
        engine: &Engine,
        (line, transceiver): (&Line, &Transceiver),
        (sender_id, sender): (SenderId, &Sender),
        encoding: usize,
        [id, remote_id]: [StatsId; 2],
        report: &mut StatsReport,
    ) {
        let Some((rid, ssrc, rtx, _)) = sender.sources().nth(encoding) else { return };
        let (Some(stats), Some(remote)) = (sender.stats(encoding), sender.remote(encoding)) else { return };
        let (transport_id, kind) =
            (StatsId::transport(transceiver.association.transport.0), transceiver.kind);
        let payload_type = sender.config().payload_type;
        let codec = line.negotiated.send.iter().find(|codec| codec.payload_type == payload_type);
        let codec_id = codec.map(|codec| {
            let id = StatsId::codec_out(transceiver.association.transport.0, payload_type);
            report.insert(id.clone(), codec_dictionary(kind, codec, transport_id.clone()));
            id
        });
        let is_video = kind == MediaKind::Video;
        let outbound = OutboundRtpStats {
            ssrc,
            kind,
            transport_id: transport_id.clone(),
            codec_id: codec_id.clone(),
            packets_sent: stats.packets,
            bytes_sent: stats.bytes,
            mid: transceiver.association.mid.clone(),
            media_source_id: transceiver.has_track.then(|| StatsId::source(transceiver.id)),
            remote_id: (remote.count > 0).then(|| remote_id.clone()),
            rid,
            encoding_index: u64::try_from(encoding).unwrap_or(u64::MAX),
            header_bytes_sent: stats.header_bytes,
            retransmitted_packets_sent: stats.retransmitted_packets,
            retransmitted_bytes_sent: stats.retransmitted_bytes,
            rtx_ssrc: sender.config().rtx.map(|_| rtx),
            target_bitrate: engine.rtp.target_of(Claimant::Stream(sender_id, encoding)),
            frames_sent: is_video.then_some(stats.frames),
            huge_frames_sent: is_video.then_some(stats.huge_frames),
            total_packet_send_delay: stats.waited,
            nack_count: stats.nacks,
            fir_count: is_video.then_some(stats.firs),
            pli_count: is_video.then_some(stats.plis),
            active: sender.is_active(encoding),
        };
        report.insert(id.clone(), Dictionary::OutboundRtp(outbound));
        if remote.count == 0 {
            return;
        }
        let clock_rate = codec.map_or(1, |codec| codec.clock_rate);
        let inbound = RemoteInboundRtpStats {
            ssrc,
            kind,
            transport_id,
            codec_id,
            packets_received: remote.received,
            packets_lost: remote.block.cumulative_lost.into(),
            jitter: ticks(remote.block.jitter.into(), clock_rate),
            local_id: id,
            round_trip_time: remote.round_trip,
            total_round_trip_time: remote.total_round_trip,
            fraction_lost: f64::from(remote.block.fraction_lost) / 256.0,
            round_trip_time_measurements: remote.round_trips,
        };
        report.insert(remote_id, Dictionary::RemoteInboundRtp(inbound));
    }
}

/// What is counted of a stream that comes.
fn inbound(kind: MediaKind, clock_rate: u32, stats: &StreamStats) -> InboundRtpStats {
    let [rebuilt, rebuilt_bytes, rebuilt_headers] = stats.rebuilt;
    let [ect1, ce] = stats.marked;
    let (track, is_video) = (&stats.track, kind == MediaKind::Video);
    let samples = track.emitted.saturating_add(track.concealed_ticks);
    let dropped = track.broken.saturating_add(track.undecodable).saturating_add(track.unread);
    InboundRtpStats {
        packets_received: stats.packets.saturating_sub(rebuilt),
        packets_received_with_ect1: ect1,
        packets_received_with_ce: ce,
        packets_lost: stats.lost,
        jitter: ticks(stats.jitter.into(), clock_rate),
        frames_dropped: is_video.then_some(dropped),
        header_bytes_received: stats.header_bytes.saturating_sub(rebuilt_headers),
        packets_discarded: track.late.saturating_add(track.overflowed),
        fec_bytes_received: stats.repair_bytes,
        fec_packets_received: stats.repairs,
        fec_packets_discarded: stats.repairs_discarded,
        bytes_received: stats.bytes.saturating_sub(rebuilt_bytes),
        nack_count: stats.nack.nacks,
        fir_count: is_video.then_some(stats.firs),
        pli_count: is_video.then(|| stats.key_frame_requests.saturating_sub(stats.firs)),
        jitter_buffer_delay: track.held,
        jitter_buffer_target_delay: track.held_target,
        jitter_buffer_emitted_count: track.emitted,
        jitter_buffer_minimum_delay: track.held_least,
        total_samples_received: (!is_video).then_some(samples),
        concealed_samples: (!is_video).then_some(track.concealed_ticks),
        concealment_events: (!is_video).then_some(track.concealed),
        total_samples_duration: (!is_video).then(|| ticks(samples, clock_rate)),
        frames_received: is_video.then_some(track.complete),
        frames_assembled_from_multiple_packets: is_video.then_some(track.assembled),
        total_assembly_time: is_video.then_some(track.assembly),
        retransmitted_packets_received: stats.retransmitted,
        retransmitted_bytes_received: stats.retransmitted_bytes,
        ..InboundRtpStats::default()
    }
}

fn codec_dictionary(kind: MediaKind, codec: &CodecParameters, transport_id: StatsId) -> Dictionary {
    Dictionary::Codec(CodecStats {
        payload_type: codec.payload_type.get(),
        transport_id,
        mime_type: format!("{}/{}", kind.name(), codec.name),
        clock_rate: codec.clock_rate,
        channels: (kind == MediaKind::Audio).then_some(codec.channels),
        sdp_fmtp_line: Some(codec.parameters.to_string()).filter(|line| !line.is_empty()),
    })
}

/// How long so many ticks of a clock last.
fn ticks(ticks: u64, clock_rate: u32) -> Duration {
    let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(clock_rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
