use proto::{Ecn, Instant};
use rtp::rtcp::{CongestionControl, PacketStatus, TICKS_PER_REFERENCE, TransportCc, TransportStatus};

use super::PacketResult;
use crate::later::Blank;
use crate::{SentLog, Told};

/// Joins what peers say of arrivals with what was sent. Memory is used again; of each packet the first word counts, and that it came
/// after one that it was lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct FeedbackReader {
    results: Vec<PacketResult>,
    statuses: Vec<PacketStatus>,
    /// The last reference time of transport-wide feedback, without wrapping.
    reference: Option<i64>,
    /// The last time of feedback on streams, without wrapping, in units of 2⁻¹⁶ s.
    timestamp: Option<i64>,
}

impl Blank for FeedbackReader {
    fn blank() -> &'static Self {
        const { &Self { results: Vec::new(), statuses: Vec::new(), reference: None, timestamp: None } }
    }
}

impl FeedbackReader {
    pub(crate) fn transport_wide(
        &mut self,
        feedback: &TransportCc<'_>,
        log: &mut SentLog,
    ) -> &[PacketResult] {
        self.results.clear();
        let told = i64::from(feedback.reference);
        let reference = self.reference.map_or(told, |last| {
            // 24 bits with a sign: by the shortest way.
            let step = told.wrapping_sub(last).wrapping_shl(40) >> 40;
            last.saturating_add(step)
        });
        self.reference = Some(reference);
        let shift = reference.saturating_sub(told).saturating_mul(TICKS_PER_REFERENCE);
        for run in feedback.statuses() {
            let arrival = match run.status {
                TransportStatus::Lost => None,
                TransportStatus::Received { ticks: Some(ticks) } => {
                    Some(ticks.saturating_add(shift).saturating_mul(TICK_NANOS))
                }
                // It has come, nobody knows when: nothing is learned from that.
                TransportStatus::Received { ticks: None } => continue,
            };
            let results = &mut self.results;
            let told = if arrival.is_some() { Told::Arrived } else { Told::Lost };
            log.tell_transport(run.first, run.count, told, |packet| {
                results.push(PacketResult { packet, arrival, congestion: false });
            });
        }
        self.sorted()
    }

    pub(crate) fn streams(&mut self, feedback: &CongestionControl<'_>, log: &mut SentLog) -> &[PacketResult] {
        self.results.clear();
        let timestamp = self.timestamp.map_or_else(
            || i64::from(feedback.timestamp),
            |last| {
                let step = feedback.timestamp.wrapping_sub(low(last)).cast_signed();
                last.saturating_add(step.into())
            },
        );
        self.timestamp = Some(timestamp);
        let now = timestamp.saturating_mul(1_000_000_000) >> 16;
        let (results, statuses) = (&mut self.results, &mut self.statuses);
        let mut steps = log.steps();
        for stream in feedback.streams().take(MAX_STREAMS) {
            statuses.clear();
            statuses.extend(stream.statuses());
            log.tell_stream(stream.ssrc, stream.begin, statuses, &mut steps, |packet, status| {
                let (arrival, congestion) = match status {
                    PacketStatus::Lost => (None, false),
                    PacketStatus::Received { ecn, offset } => {
                        let offset = i64::from(offset.unwrap_or(0)).saturating_mul(1_000_000_000) / 1024;
                        (Some(now.saturating_sub(offset)), ecn == Some(Ecn::Ce))
                    }
                };
                results.push(PacketResult { packet, arrival, congestion });
            });
        }
        self.sorted()
    }

    fn sorted(&mut self) -> &[PacketResult] {
        self.results.sort_unstable_by_key(|result| result.packet.transport);
        &self.results
    }

    /// The round trip that results tell of: from when the newest that arrived was sent until its feedback came.
    pub(crate) fn round_trip(now: Instant, results: &[PacketResult]) -> Option<std::time::Duration> {
        let is_timely =
            |result: &&PacketResult| result.arrival.is_some() && result.packet.told == Told::Nothing;
        let newest = results.iter().rev().find(is_timely)?;
        Some(now - newest.packet.at)
    }
}

/// The low bits that are on the wire.
#[expect(clippy::cast_possible_truncation, reason = "the rest is what wraps")]
const fn low(timestamp: i64) -> u32 {
    timestamp.cast_unsigned() as u32
}

const TICK_NANOS: i64 = 250_000;
/// Streams that one datagram tells of.
const MAX_STREAMS: usize = 64;
