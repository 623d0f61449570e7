//! What is written into datagrams of RTCP, and the extended reports that come.

use proto::Instant;
use rtp::rtcp::{Encoder, ReceiverDelay, ReportBlock, SdesItem, SdesKind, XrBlock};
use rtp::{NtpTime, Ssrc};

use super::{Rtp, TransportFeedback};
use crate::clock;
use crate::receive::Receiver;

/// Where reports go on, of those that have no room in one datagram together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Turns {
    received: usize,
    sent: usize,
}

impl Turns {
    pub(super) const FIRST: Self = Self { received: 0, sent: 0 };
}

impl Rtp {
    #[expect(clippy::wildcard_enum_match_arm, reason = "of many blocks it is about two")]
    pub(super) fn handle_extended(
        &mut self,
        now: Instant,
        ntp: NtpTime,
        report: &rtp::rtcp::ExtendedReport<'_>,
    ) {
        for block in report.blocks() {
            match block {
                XrBlock::ReferenceTime(time) => {
                    let entry = (report.ssrc, time.middle(), now);
                    if let Some(other) =
                        self.asides.references.iter_mut().find(|other| other.0 == report.ssrc)
                    {
                        *other = entry;
                    } else if self.asides.references.len() < self.config.max_peers {
                        self.asides.references.push(entry);
                    }
                }
                XrBlock::Delays(delays) => {
                    let own = delays
                        .entries()
                        .find(|delay| self.reporter() == delay.ssrc || self.own == delay.ssrc);
                    let trip = own.and_then(|it| clock::round_trip(ntp, it.last_rr, it.delay_since_last_rr));
                    if let Some(trip) = trip {
                        let stats = &mut self.stats;
                        stats.reference_round_trip = Some(trip);
                        stats.reference_round_trips = stats.reference_round_trips.saturating_add(1);
                        stats.reference_round_trip_total =
                            stats.reference_round_trip_total.saturating_add(trip);
                        self.set_round_trip(trip);
                    }
                }
                _ => {}
            }
        }
    }

    /// Writes the packets of a datagram. Gives how many sources report in it, if there is anything in it that had to be said.
    pub(super) fn write_datagram(
        &mut self,
        now: Instant,
        regular: bool,
        reports: bool,
        out: &mut Encoder<'_, '_>,
    ) -> Option<usize> {
        let reporter = self.reporter();
        let mut wrote = regular;
        let sources = if reports { self.write_reports(now, reporter, regular, out) } else { 1 };
        wrote |= self.write_feedback(now, reporter, out);
        if !self.asides.goodbyes.is_empty() && out.goodbye(self.asides.goodbyes.iter().copied(), None).is_ok()
        {
            self.asides.goodbyes.clear();
            wrote = true;
        }
        wrote.then_some(sources)
    }

    /// Reports and names (RFC 3550 §6.1: each datagram begins with a report, and has a name). Without `regular` the report says
    /// nothing, so that the intervals that reports are about stay as they are. Gives how many sources report.
    fn write_reports(
        &mut self,
        now: Instant,
        reporter: Ssrc,
        regular: bool,
        out: &mut Encoder<'_, '_>,
    ) -> usize {
        let ntp = self.config.clock.ntp(now);
        let mut sources = [reporter; MAX_CHUNKS];
        let mut count = 0;
        if regular {
            let mut blocks = [ReportBlock::default(); MAX_BLOCKS];
            let blocks_len = self.collect_blocks(now, out.room(), &mut blocks);
            let blocks = blocks.get(..blocks_len).unwrap_or_default();
            count = self.write_sender_reports(now, blocks, &mut sources, out);
            if count == 0 {
                // There is room: `poll_rtcp` has seen to it.
                let _ = out.receiver_report(reporter, blocks.iter().copied(), &[]);
            }
        } else {
            let _ = out.receiver_report(reporter, [], &[]);
        }
        let item = SdesItem { kind: SdesKind::CNAME, text: self.config.cname.as_bytes() };
        let named = sources.get(..count.max(1)).unwrap_or_default();
        let all = out.source_description(named.iter().map(|ssrc| (*ssrc, [item])));
        if all.is_err() {
            let _ = out.source_description([(reporter, [item])]);
        }
        if regular {
            self.write_extended(now, ntp, reporter, out);
        }
        named.len()
    }

    /// What was received since the last reports, of as many sources as there is room for; where it is not for all, the next datagram
    /// goes on with the others (RFC 3550 §6.1). Gives of how many.
    fn collect_blocks(&mut self, now: Instant, room: usize, blocks: &mut [ReportBlock; MAX_BLOCKS]) -> usize {
        let room = room.saturating_sub(REPORT).saturating_sub(self.kept(1));
        let most = (room / BLOCK).min(MAX_BLOCKS);
        let turn = self.asides.turns.received;
        let (mut count, mut next) = (0_usize, 0);
        for (from, places) in [(turn, usize::MAX), (0, turn)] {
            let received = self.receivers.iter_mut().flat_map(Receiver::reported);
            let mut received = received.enumerate().skip(from).take(places);
            while count < most
                && let Some((at, source)) = received.next()
            {
                let Some(block) = source.report(now) else { continue };
                if let Some(place) = blocks.get_mut(count) {
                    *place = block;
                }
                count = count.saturating_add(1);
                next = at.saturating_add(1);
            }
        }
        let next = if count < most { 0 } else { next };
        self.set_turns(Turns { received: next, ..self.asides.turns });
        count
    }

    /// Writes sender reports, the first with what was received, of as many sources as there is room for with their names; where it is
    /// not for all, the next datagram goes on with the others. Gives how many, and puts whose into `sources`.
    fn write_sender_reports(
        &mut self,
        now: Instant,
        blocks: &[ReportBlock],
        sources: &mut [Ssrc; MAX_CHUNKS],
        out: &mut Encoder<'_, '_>,
    ) -> usize {
        let ntp = self.config.clock.ntp(now);
        let turn = self.asides.turns.sent;
        let (mut count, mut next) = (0_usize, None);
        let mut blocks = blocks;
        let (first, other) = (self.kept(0), self.kept(1).saturating_sub(self.kept(0)));
        for (from, places) in [(turn, usize::MAX), (0, turn)] {
            let sent = self.senders.iter_mut().flat_map(|sender| sender.reports(now, ntp));
            for (at, report) in sent.enumerate().skip(from).take(places) {
                let len = REPORT.saturating_add(blocks.len().saturating_mul(BLOCK));
                let names = other.saturating_mul(count.saturating_add(1));
                let has_room = out.room() >= len.saturating_add(names).saturating_add(first);
                let Some(place) = sources.get_mut(count).filter(|_| has_room && next.is_none()) else {
                    next.get_or_insert(at);
                    break;
                };
                let Some((ssrc, info)) = report() else { continue };
                if out.sender_report(ssrc, info, blocks.iter().copied(), &[]).is_ok() {
                    *place = ssrc;
                    count = count.saturating_add(1);
                    blocks = &[];
                }
            }
        }
        self.set_turns(Turns { sent: next.unwrap_or(0), ..self.asides.turns });
        count
    }

    /// What is kept for what follows reports: names of so many sources, and extended reports.
    fn kept(&self, names: usize) -> usize {
        let chunk = self.config.cname.len().saturating_add(CHUNK);
        HEADER.saturating_add(names.saturating_mul(chunk)).saturating_add(EXTENDED)
    }

    fn set_turns(&mut self, turns: Turns) {
        if self.asides.turns != turns {
            self.asides.turns = turns;
        }
    }

    /// Reference times while nothing is sent, and answers to those of peers (RFC 3611 §4.4, §4.5).
    fn write_extended(&mut self, now: Instant, ntp: NtpTime, reporter: Ssrc, out: &mut Encoder<'_, '_>) {
        let receives = self.receivers.iter().any(|(_, receiver)| receiver.any_source().is_some());
        let asks = self.config.receiver_reference_time && receives && self.stats_are_not_told();
        let delays = self.asides.references.iter().map(|(ssrc, middle, at)| ReceiverDelay {
            ssrc: *ssrc,
            last_rr: *middle,
            delay_since_last_rr: clock::short_units(now - *at),
        });
        if !asks && self.asides.references.is_empty() {
            return;
        }
        let written = out.extended_report(reporter, |xr| {
            if asks {
                xr.reference_time(ntp)?;
            }
            if delays.len() > 0 { xr.delays(delays.clone()) } else { Ok(()) }
        });
        if let Some(asides) = self.asides.made().filter(|_| written.is_ok()) {
            asides.references.clear();
        }
    }

    /// Whether no report of a peer tells the round trip: nothing of ours is sent.
    fn stats_are_not_told(&self) -> bool {
        self.senders.iter().all(|(_, sender)| sender.round_trip().is_none())
    }

    fn write_feedback(&mut self, now: Instant, reporter: Ssrc, out: &mut Encoder<'_, '_>) -> bool {
        let mut wrote = false;
        for receiver in self.receivers.iter_mut() {
            wrote |= receiver.write_feedback(now, reporter, out);
        }
        for sender in self.senders.iter_mut() {
            wrote |= sender.write_notification(reporter, out);
        }
        if self.feedback_due.is_some_and(|due| due <= now) {
            let media =
                self.receivers.iter().find_map(|(_, receiver)| receiver.any_source()).unwrap_or_default();
            wrote |= match self.config.feedback {
                TransportFeedback::None | TransportFeedback::Remb => false,
                TransportFeedback::TransportWide => {
                    self.arrivals.as_mut().is_some_and(|arrivals| arrivals.write(reporter, media, out))
                }
                TransportFeedback::Streams => {
                    let ntp = self.config.clock.ntp(now);
                    let arrivals = self.stream_arrivals.as_mut();
                    let written = arrivals.is_some_and(|arrivals| arrivals.write(now, ntp, reporter, out));
                    self.stats.ccfb_sent = self.stats.ccfb_sent.saturating_add(written.into());
                    written
                }
            };
            let rest = self.arrivals.as_ref().is_some_and(|arrivals| !arrivals.is_empty())
                || self.stream_arrivals.as_ref().is_some_and(|arrivals| !arrivals.is_empty());
            // What had no room goes at once, and what comes next begins a new interval.
            self.feedback_due = rest.then_some(now);
        }
        if let Some(rate) =
            self.received_rate.as_mut().filter(|rate| rate.due().is_some_and(|due| due <= now))
        {
            let sources =
                self.receivers.iter().flat_map(|(_, receiver)| receiver.sources()).take(MAX_REMB_SOURCES);
            let written = out.remb(reporter, rate.rate(), sources).is_ok();
            self.stats.rembs_sent = self.stats.rembs_sent.saturating_add(written.into());
            wrote |= written;
            // What had no room is told of in a second.
            rate.told(now);
        }
        wrote
    }
}

const MAX_BLOCKS: usize = 31;
const MAX_CHUNKS: usize = 31;
/// Streams that are named with what the path carries: it is about all of them.
const MAX_REMB_SOURCES: usize = 16;
/// A sender report without blocks, and a block (RFC 3550 §6.4.1).
const REPORT: usize = 28;
const BLOCK: usize = 24;
/// Of the packet of names.
const HEADER: usize = 4;
/// A source, what its item has beside the text, and the zeros behind it.
const CHUNK: usize = 4 + 2 + 4;
/// A reference time, and one delay.
const EXTENDED: usize = 8 + 12 + 16;
