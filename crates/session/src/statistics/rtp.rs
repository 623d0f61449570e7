use std::time::Duration;

use super::value::{Member, maybe, some};
use super::{StatsId, Timestamp};
use crate::{MediaKind, Rid, Ssrc};

/// A codec that a stream is of (`RTCCodecStats`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CodecStats {
    /// Its payload type.
    pub payload_type: u8,
    /// Its transport.
    pub transport_id: StatsId,
    /// `audio/opus`, for example.
    pub mime_type: String,
    /// Ticks of the RTP clock in a second.
    pub clock_rate: u32,
    /// Of audio: how many channels.
    pub channels: Option<u8>,
    /// Its parameters, as `a=fmtp` has them behind the payload type; `None` if there are none.
    pub sdp_fmtp_line: Option<String>,
}

/// A stream that comes (`RTCInboundRtpStreamStats`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct InboundRtpStats {
    /// Its source.
    pub ssrc: Ssrc,
    /// Audio or video.
    pub kind: MediaKind,
    /// Its transport.
    pub transport_id: StatsId,
    /// What its last packet was of.
    pub codec_id: Option<StatsId>,
    /// Packets that came, retransmissions among them, without those that were recovered.
    pub packets_received: u64,
    /// Those of them that had the mark ECT(1).
    pub packets_received_with_ect1: u64,
    /// Those of them that had the mark CE.
    pub packets_received_with_ce: u64,
    /// Packets lost on the path, less those that came twice (RFC 3550 §6.4.1).
    pub packets_lost: i64,
    /// How arrival times vary (RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// The peer's name of what comes, if it has given one.
    pub track_identifier: Option<String>,
    /// The name of its media section.
    pub mid: Option<String>,
    /// What its sender says of it.
    pub remote_id: Option<StatsId>,
    /// Of video: frames that came in part, or whole and rest on what is lost.
    pub frames_dropped: Option<u64>,
    /// When the last packet came that was no retransmission.
    pub last_packet_received_timestamp: Option<Timestamp>,
    /// Bytes of headers and padding.
    pub header_bytes_received: u64,
    /// Packets that came too late, or were dropped as too many waited.
    pub packets_discarded: u64,
    /// Bytes of payload in packets of repair.
    pub fec_bytes_received: u64,
    /// Packets of repair.
    pub fec_packets_received: u64,
    /// Those of them that were of no use.
    pub fec_packets_discarded: u64,
    /// Bytes of payload in the packets that came.
    pub bytes_received: u64,
    /// NACKs sent.
    pub nack_count: u64,
    /// Of video: FIRs sent.
    pub fir_count: Option<u64>,
    /// Of video: PLIs sent.
    pub pli_count: Option<u64>,
    /// For how long what came out had waited since its first packet, together: each frame of video, each sample of audio.
    pub jitter_buffer_delay: Duration,
    /// For how long it was meant to.
    pub jitter_buffer_target_delay: Duration,
    /// Frames of video, and samples of audio, that came out.
    pub jitter_buffer_emitted_count: u64,
    /// For how long it would have been meant to by what the path does alone.
    pub jitter_buffer_minimum_delay: Duration,
    /// Of audio: samples that came out, and those that are missing and were told to be made up. A sample is a tick of the
    /// stream's clock.
    pub total_samples_received: Option<u64>,
    /// Of audio: those that are missing.
    pub concealed_samples: Option<u64>,
    /// Of audio: gaps of such.
    pub concealment_events: Option<u64>,
    /// Of audio: how long all samples last.
    pub total_samples_duration: Option<Duration>,
    /// Of video: frames that came whole.
    pub frames_received: Option<u64>,
    /// Of video: those of more than one packet.
    pub frames_assembled_from_multiple_packets: Option<u64>,
    /// Of video: how long those took from their first packet to their last, together.
    pub total_assembly_time: Option<Duration>,
    /// Retransmissions.
    pub retransmitted_packets_received: u64,
    /// Bytes of payload in them.
    pub retransmitted_bytes_received: u64,
    /// The source of retransmissions, once it is known.
    pub rtx_ssrc: Option<Ssrc>,
    /// The source of repair, once it is known.
    pub fec_ssrc: Option<Ssrc>,
}

/// What the receiver of a stream says of it (`RTCRemoteInboundRtpStreamStats`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RemoteInboundRtpStats {
    /// The stream's source.
    pub ssrc: Ssrc,
    /// Audio or video.
    pub kind: MediaKind,
    /// Its transport.
    pub transport_id: StatsId,
    /// Its codec.
    pub codec_id: Option<StatsId>,
    /// Packets that came there, by the numbers in the report.
    pub packets_received: u64,
    /// Packets lost on the way there; negative with duplicates.
    pub packets_lost: i64,
    /// How arrival times vary there.
    pub jitter: Duration,
    /// The stream as it is sent here.
    pub local_id: StatsId,
    /// The round trip that the last report told.
    pub round_trip_time: Option<Duration>,
    /// All of these together.
    pub total_round_trip_time: Duration,
    /// The share that was lost of the packets between the last two reports: 0 to 1.
    pub fraction_lost: f64,
    /// Reports that told a round trip.
    pub round_trip_time_measurements: u64,
}

/// A stream that is sent (`RTCOutboundRtpStreamStats`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct OutboundRtpStats {
    /// Its source.
    pub ssrc: Ssrc,
    /// Audio or video.
    pub kind: MediaKind,
    /// Its transport.
    pub transport_id: StatsId,
    /// What it is of.
    pub codec_id: Option<StatsId>,
    /// Packets sent, retransmissions and repair among them, also those with a source of their own.
    pub packets_sent: u64,
    /// Bytes of payload in them.
    pub bytes_sent: u64,
    /// The name of its media section.
    pub mid: Option<String>,
    /// What is sent by it.
    pub media_source_id: Option<StatsId>,
    /// What its receiver says of it, once it does.
    pub remote_id: Option<StatsId>,
    /// Its name, where there are several.
    pub rid: Option<Rid>,
    /// Where it stands among those of its transceiver.
    pub encoding_index: u64,
    /// Bytes of headers and padding.
    pub header_bytes_sent: u64,
    /// Retransmissions.
    pub retransmitted_packets_sent: u64,
    /// Bytes of payload in them.
    pub retransmitted_bytes_sent: u64,
    /// The source of retransmissions, where they have one of their own.
    pub rtx_ssrc: Option<Ssrc>,
    /// What its encoder may use of the bandwidth, in bit/s.
    pub target_bitrate: Option<u64>,
    /// Of video: frames handed over.
    pub frames_sent: Option<u64>,
    /// Of video: those that were at least two and a half times as long as those before on average.
    pub huge_frames_sent: Option<u64>,
    /// For how long packets waited before they were sent for the first time, together.
    pub total_packet_send_delay: Duration,
    /// NACKs that came.
    pub nack_count: u64,
    /// Of video: FIRs that came.
    pub fir_count: Option<u64>,
    /// Of video: PLIs that came.
    pub pli_count: Option<u64>,
    /// Whether it is switched on.
    pub active: bool,
}

/// What the sender of a stream says of it (`RTCRemoteOutboundRtpStreamStats`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RemoteOutboundRtpStats {
    /// The stream's source.
    pub ssrc: Ssrc,
    /// Audio or video.
    pub kind: MediaKind,
    /// Its transport.
    pub transport_id: StatsId,
    /// Its codec.
    pub codec_id: Option<StatsId>,
    /// Packets that it has sent, without retransmissions that have a source of their own; wraps.
    pub packets_sent: u64,
    /// Bytes of payload in them; wraps.
    pub bytes_sent: u64,
    /// The stream as it comes here.
    pub local_id: StatsId,
    /// When the last report was made, by the sender's clock.
    pub remote_timestamp: Timestamp,
    /// Reports that came.
    pub reports_sent: u64,
    /// The round trip that the last answer to a reference time of ours told (RFC 3611 §4.5): the transport's.
    pub round_trip_time: Option<Duration>,
    /// All of these together.
    pub total_round_trip_time: Duration,
    /// How many there were.
    pub round_trip_time_measurements: u64,
}

/// The source of what is sent (`RTCMediaSourceStats`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct MediaSourceStats {
    /// The name of what is sent.
    pub track_identifier: String,
    /// Audio or video.
    pub kind: MediaKind,
}

fn ssrc(ssrc: Ssrc) -> u64 {
    u64::from(ssrc.0)
}

impl CodecStats {
    pub(super) fn members(&self) -> Vec<Member<'_>> {
        vec![
            some("payloadType", u64::from(self.payload_type)),
            some("transportId", &self.transport_id),
            some("mimeType", &self.mime_type),
            some("clockRate", u64::from(self.clock_rate)),
            maybe("channels", self.channels.map(u64::from)),
            maybe("sdpFmtpLine", self.sdp_fmtp_line.as_ref()),
        ]
    }
}

impl InboundRtpStats {
    pub(super) fn members(&self) -> Vec<Member<'_>> {
        vec![
            some("ssrc", ssrc(self.ssrc)),
            some("kind", self.kind.name()),
            some("transportId", &self.transport_id),
            maybe("codecId", self.codec_id.as_ref()),
            some("packetsReceived", self.packets_received),
            some("packetsReceivedWithEct1", self.packets_received_with_ect1),
            some("packetsReceivedWithCe", self.packets_received_with_ce),
            some("packetsLost", self.packets_lost),
            some("jitter", self.jitter),
            maybe("trackIdentifier", self.track_identifier.as_ref()),
            maybe("mid", self.mid.as_ref()),
            maybe("remoteId", self.remote_id.as_ref()),
            maybe("framesDropped", self.frames_dropped),
            maybe("lastPacketReceivedTimestamp", self.last_packet_received_timestamp),
            some("headerBytesReceived", self.header_bytes_received),
            some("packetsDiscarded", self.packets_discarded),
            some("fecBytesReceived", self.fec_bytes_received),
            some("fecPacketsReceived", self.fec_packets_received),
            some("fecPacketsDiscarded", self.fec_packets_discarded),
            some("bytesReceived", self.bytes_received),
            some("nackCount", self.nack_count),
            maybe("firCount", self.fir_count),
            maybe("pliCount", self.pli_count),
            some("jitterBufferDelay", self.jitter_buffer_delay),
            some("jitterBufferTargetDelay", self.jitter_buffer_target_delay),
            some("jitterBufferEmittedCount", self.jitter_buffer_emitted_count),
            some("jitterBufferMinimumDelay", self.jitter_buffer_minimum_delay),
            maybe("totalSamplesReceived", self.total_samples_received),
            maybe("concealedSamples", self.concealed_samples),
            maybe("concealmentEvents", self.concealment_events),
            maybe("totalSamplesDuration", self.total_samples_duration),
            maybe("framesReceived", self.frames_received),
            maybe("framesAssembledFromMultiplePackets", self.frames_assembled_from_multiple_packets),
            maybe("totalAssemblyTime", self.total_assembly_time),
            some("retransmittedPacketsReceived", self.retransmitted_packets_received),
            some("retransmittedBytesReceived", self.retransmitted_bytes_received),
            maybe("rtxSsrc", self.rtx_ssrc.map(ssrc)),
            maybe("fecSsrc", self.fec_ssrc.map(ssrc)),
        ]
    }
}

impl RemoteInboundRtpStats {
    pub(super) fn members(&self) -> Vec<Member<'_>> {
        vec![
            some("ssrc", ssrc(self.ssrc)),
            some("kind", self.kind.name()),
            some("transportId", &self.transport_id),
            maybe("codecId", self.codec_id.as_ref()),
            some("packetsReceived", self.packets_received),
            some("packetsLost", self.packets_lost),
            some("jitter", self.jitter),
            some("localId", &self.local_id),
            maybe("roundTripTime", self.round_trip_time),
            some("totalRoundTripTime", self.total_round_trip_time),
            some("fractionLost", self.fraction_lost),
            some("roundTripTimeMeasurements", self.round_trip_time_measurements),
        ]
    }
}

impl OutboundRtpStats {
    pub(super) fn members(&self) -> Vec<Member<'_>> {
        let rid = self.rid.as_ref().and_then(|rid| std::str::from_utf8(rid.as_bytes()).ok());
        vec![
            some("ssrc", ssrc(self.ssrc)),
            some("kind", self.kind.name()),
            some("transportId", &self.transport_id),
            maybe("codecId", self.codec_id.as_ref()),
            some("packetsSent", self.packets_sent),
            some("bytesSent", self.bytes_sent),
            maybe("mid", self.mid.as_ref()),
            maybe("mediaSourceId", self.media_source_id.as_ref()),
            maybe("remoteId", self.remote_id.as_ref()),
            maybe("rid", rid),
            some("encodingIndex", self.encoding_index),
            some("headerBytesSent", self.header_bytes_sent),
            some("retransmittedPacketsSent", self.retransmitted_packets_sent),
            some("retransmittedBytesSent", self.retransmitted_bytes_sent),
            maybe("rtxSsrc", self.rtx_ssrc.map(ssrc)),
            maybe("targetBitrate", self.target_bitrate),
            maybe("framesSent", self.frames_sent),
            maybe("hugeFramesSent", self.huge_frames_sent),
            some("totalPacketSendDelay", self.total_packet_send_delay),
            some("nackCount", self.nack_count),
            maybe("firCount", self.fir_count),
            maybe("pliCount", self.pli_count),
            some("active", self.active),
        ]
    }
}

impl RemoteOutboundRtpStats {
    pub(super) fn members(&self) -> Vec<Member<'_>> {
        vec![
            some("ssrc", ssrc(self.ssrc)),
            some("kind", self.kind.name()),
            some("transportId", &self.transport_id),
            maybe("codecId", self.codec_id.as_ref()),
            some("packetsSent", self.packets_sent),
            some("bytesSent", self.bytes_sent),
            some("localId", &self.local_id),
            some("remoteTimestamp", self.remote_timestamp),
            some("reportsSent", self.reports_sent),
            maybe("roundTripTime", self.round_trip_time),
            some("totalRoundTripTime", self.total_round_trip_time),
            some("roundTripTimeMeasurements", self.round_trip_time_measurements),
        ]
    }
}

impl MediaSourceStats {
    pub(super) fn members(&self) -> Vec<Member<'_>> {
        vec![some("trackIdentifier", &self.track_identifier), some("kind", self.kind.name())]
    }
}
