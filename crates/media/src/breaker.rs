use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use proto::Instant;
use rtp::rtcp::ReportBlock;

use crate::later::Blank;

/// Stops a stream that does harm or no good (RFC 8083): the last resort, far beyond what congestion control should let happen.
///
/// ```text
///          a condition held for as many reports as its number says, or reports have ceased
///   Closed ──────────────────────────────────────────────────────────────────────────────▶ Open
///      ▲                                                                                     │
///      └───────────────────────────── the program resumes ───────────────────────────────────┘
/// ```
#[derive(Clone, Debug, Default)]
pub(crate) struct Breaker {
    open: bool,
    /// Since when something is sent that nobody has reported on, when last, and when there were reports at all.
    unheard: Option<Instant>,
    last_sent: Instant,
    heard: Instant,
    /// When the last report came, and what it said.
    last: Option<(Instant, u32)>,
    sent: (u64, u64),
    stalled: u32,
    /// After how many reports that tell of no arrival the stream is stopped (MEDIA_TIMEOUT).
    media_timeout: u32,
    /// What the last reports told, the newest first.
    told: [Told; MAX_REPORTS],
    count: usize,
    congested: u32,
    unusable: u32,
    interval: Duration,
}

/// What one report told, and what was sent since the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    fraction_lost: u8,
    elapsed: Duration,
    packets: u64,
    bytes: u64,
}

/// Why a stream was stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Stop {
    /// Packets are sent and reported, and none arrives.
    MediaTimeout,
    /// Packets are sent, and no reports come.
    RtcpTimeout,
    /// More than ten times as much is sent as TCP would have sent with these losses.
    Congestion,
    /// So much is lost that what arrives is of no use.
    Unusable,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MediaTimeout => "no packet arrives",
            Self::RtcpTimeout => "no reports come",
            Self::Congestion => "the path is congested",
            Self::Unusable => "too much is lost to be of use",
        })
    }
}

/// What a report is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    /// The deterministic interval of reports, Td.
    pub(crate) interval: Duration,
    pub(crate) round_trip: Option<Duration>,
    /// What was sent so far.
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl Blank for Breaker {
    fn blank() -> &'static Self {
        static CLOSED: LazyLock<Breaker> = LazyLock::new(Breaker::default);
        &CLOSED
    }
}

impl Breaker {
    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }

    pub(crate) fn close(&mut self) {
        *self = Self::default();
    }

    /// A packet was sent.
    pub(crate) fn sent(&mut self, now: Instant) {
        // Who has paused begins anew: of silence there are no reports.
        if self.unheard.is_none() || now - self.last_sent >= PAUSE {
            self.unheard = Some(now);
        }
        self.last_sent = now;
    }

    /// A report came, on whatever stream.
    pub(crate) const fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Feedback came without a report: somebody is there (RFC 8083 §5).
    pub(crate) fn fed(&mut self, now: Instant) {
        self.unheard = self.unheard.map(|since| since.max(now));
    }

    /// A receiver reports on the stream.
    pub(crate) fn handle_report(
        &mut self,
        now: Instant,
        block: &ReportBlock,
        about: &Circumstances,
    ) -> Option<Stop> {
        self.unheard = None;
        let interval = about.interval.max(MIN_INTERVAL);
        self.interval = interval;
        let Some((at, highest)) = self.last else {
            self.last = Some((now, block.highest_sequence));
            self.sent = (about.packets, about.bytes);
            return None;
        };
        let elapsed = now - at;
        // RFC 8083 §5 would have reports that come early (RTP/AVPF) count as any other. Peers without reduced size send one with each
        // feedback, 50 ms apart: five of them are no sign that a path has failed. So of several in half an interval one counts.
        if elapsed < interval / 2 {
            return None;
        }
        self.last = Some((now, block.highest_sequence));
        let (packets, bytes) = self.sent;
        self.sent = (about.packets, about.bytes);
        let (packets, bytes) = (about.packets.saturating_sub(packets), about.bytes.saturating_sub(bytes));
        if packets == 0 {
            (self.stalled, self.count, self.congested, self.unusable) = (0, 0, 0, 0);
            return None;
        }
        let count = |condition: bool, counter: u32| if condition { counter.saturating_add(1) } else { 0 };
        self.stalled = count(block.highest_sequence == highest, self.stalled);
        // §4.2: what arrives sets the number anew; while nothing does, it may only grow.
        let timeout = media_timeout(interval, about.round_trip);
        self.media_timeout = if self.stalled == 0 { timeout } else { self.media_timeout.max(timeout) };
        self.told.rotate_right(1);
        if let Some(newest) = self.told.first_mut() {
            *newest = Told { fraction_lost: block.fraction_lost, elapsed, packets, bytes };
        }
        self.count = self.count.saturating_add(1).min(MAX_REPORTS);
        self.unusable = count(block.fraction_lost >= UNUSABLE, self.unusable);
        let limit = reports(interval, about.round_trip);
        self.congested = count(self.is_congested(limit, about.round_trip), self.congested);
        let stop = if self.stalled >= self.media_timeout {
            Stop::MediaTimeout
        } else if self.congested >= IN_A_ROW {
            Stop::Congestion
        } else if self.unusable >= UNUSABLE_REPORTS {
            Stop::Unusable
        } else {
            return None;
        };
        self.open = true;
        Some(stop)
    }

    /// Whether more than ten times as much was sent before the last report as TCP would have with the losses of the last `reports`: s / (R · √(2p / 3)) bytes a
    /// second, RFC 8083 §4.3's simplified equation with b = 1, p the average of the losses weighted by the intervals they are of.
    /// In whole numbers: with losses p of 1/256, rate² · R² · 2p > 100 · s² · 3 · 256.
    fn is_congested(&self, reports: usize, round_trip: Option<Duration>) -> bool {
        let Some(round_trip) = round_trip.filter(|_| self.count >= reports) else { return false };
        let (mut lost, mut micros, mut packets, mut bytes) = (0_u128, 0_u128, 0_u128, 0_u128);
        for told in self.told.iter().take(reports) {
            let elapsed = told.elapsed.as_micros();
            lost = lost.saturating_add(elapsed.saturating_mul(told.fraction_lost.into()));
            micros = micros.saturating_add(elapsed);
            packets = packets.saturating_add(told.packets.into());
            bytes = bytes.saturating_add(told.bytes.into());
        }
        let micros = micros.max(1);
        // The rate is that of now: who has cut it already need not be stopped.
        let rate = self.told.first().map_or(0, |told| {
            u128::from(told.bytes).saturating_mul(1_000_000) / told.elapsed.as_micros().max(1)
        });
        let size = bytes.checked_div(packets).unwrap_or(0);
        let left = rate.saturating_mul(round_trip.as_micros()) / 1_000_000;
        let left = left.saturating_mul(left).saturating_mul(2).saturating_mul(lost) / micros;
        left > size.saturating_mul(size).saturating_mul(100 * 3 * 256)
    }

    /// Whether reports have ceased.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Stop> {
        let since = self.unheard?;
        self.due().filter(|due| *due <= now)?;
        if now - self.last_sent >= PAUSE {
            self.unheard = None;
            return None;
        }
        self.open = true;
        // Reports that do not know of the stream say that none of it has arrived.
        Some(if self.heard > since { Stop::MediaTimeout } else { Stop::RtcpTimeout })
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        let since = self.unheard.filter(|_| !self.open)?;
        Some(since + (self.interval * 3).max(RTCP_TIMEOUT))
    }
}

/// MEDIA_TIMEOUT = ⌈k · max(Tf, Tr, Tdr) / Tdr⌉ (RFC 8083 §4.2): after how many reports without arrivals a stream is stopped.
fn media_timeout(interval: Duration, round_trip: Option<Duration>) -> u32 {
    let longest = FRAME.max(round_trip.unwrap_or_default()).max(interval);
    let reports =
        longest.as_nanos().saturating_mul(REPORTS_WITHOUT_ARRIVAL).div_ceil(interval.as_nanos().max(1));
    u32::try_from(reports).unwrap_or(u32::MAX)
}

/// CB_INTERVAL (RFC 8083 §4.3): over how many reports losses are averaged,
/// ⌈3 · min(max(10 · G · Tf, 10 · Tr, 3 · Tdr), max(15, 3 · Td)) / (3 · Tdr)⌉. An encoder that is not ours may take a second to follow
/// a new rate (G · Tf); the receiver's interval (Tdr) is taken to be ours (Td).
fn reports(interval: Duration, round_trip: Option<Duration>) -> usize {
    let three = interval * 3;
    let trips = round_trip.unwrap_or_default().saturating_mul(10);
    let span = (GROUP * 10).max(trips).max(three).min(Duration::from_secs(15).max(three)) * 3;
    let reports = span.as_nanos().div_ceil(three.as_nanos().max(1));
    usize::try_from(reports).unwrap_or(MAX_REPORTS).min(MAX_REPORTS)
}

const FRAME: Duration = Duration::from_millis(100);
const GROUP: Duration = Duration::from_secs(1);
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// RFC 8083 §4.1: three intervals, of at least 5 s each.
const RTCP_TIMEOUT: Duration = Duration::from_secs(15);
/// Nothing is sent for so long: then nobody need report.
const PAUSE: Duration = Duration::from_secs(5);
/// k: RFC 8083 §4.2 recommends five reports.
const REPORTS_WITHOUT_ARRIVAL: u128 = 5;
/// A single fall of the path's capacity, which congestion control answers within a second, is no persistent congestion.
const IN_A_ROW: u32 = 3;
/// Of intervals of a second and more CB_INTERVAL is fifteen at most.
const MAX_REPORTS: usize = 15;
/// Three quarters of the packets, in 1/256.
const UNUSABLE: u8 = 192;
/// RFC 8083 §4.4 has it on the order of seconds to tens of seconds.
const UNUSABLE_REPORTS: u32 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    /// Reports once a second: how many came before the breaker opened, and why.
    fn run(lost: u8, moves: bool, rate: u64, round_trip: Duration) -> Option<(u64, Stop)> {
        let mut breaker = Breaker::default();
        (0..60).find_map(|second| {
            breaker.sent(at(second));
            let highest_sequence = if moves { u32::try_from(second).unwrap() * 100 } else { 7 };
            let block = ReportBlock { fraction_lost: lost, highest_sequence, ..ReportBlock::default() };
            let about = Circumstances {
                interval: Duration::from_secs(1),
                round_trip: Some(round_trip),
                packets: second * rate / 1000,
                bytes: second * rate,
            };
            breaker.handle_report(at(second), &block, &about).map(|stop| (second, stop))
        })
    }

    #[test]
    fn a_stream_of_which_nothing_arrives_is_stopped_after_five_reports() {
        let trip = Duration::from_millis(100);
        assert_eq!(run(0, false, 100_000, trip), Some((5, Stop::MediaTimeout)));
        assert_eq!(run(0, true, 100_000, trip), None);
    }

    #[test]
    fn a_stream_is_stopped_that_sends_ten_times_what_tcp_would() {
        // 10 % lost, 100 ms, packets of 1,000 bytes: TCP would send 38,729 bytes a second.
        let trip = Duration::from_millis(100);
        assert_eq!(run(26, true, 380_000, trip), None);
        assert_eq!(run(26, true, 400_000, trip), Some((12, Stop::Congestion)));
        assert_eq!(run(0, true, 100_000_000, trip), None, "without loss there is no limit");
    }

    #[test]
    fn losses_are_averaged_over_as_many_reports_as_the_formula_says() {
        let second = Duration::from_secs(1);
        let trips = [(0, 10), (1000, 10), (1001, 11), (1500, 15), (9000, 15)];
        for (millis, count) in trips {
            assert_eq!(reports(second, Some(Duration::from_millis(millis))), count, "{millis}");
        }
        assert_eq!(reports(second * 10, Some(second * 9)), 3);
        // A third of the time nothing is lost: 30/256 on average all the same.
        let mut breaker = Breaker::default();
        let stopped = (0..30_u64).find_map(|second| {
            breaker.sent(at(second));
            let block = ReportBlock {
                fraction_lost: if second % 3 == 0 { 0 } else { 45 },
                highest_sequence: u32::try_from(second).unwrap(),
                ..ReportBlock::default()
            };
            let about = Circumstances {
                interval: Duration::from_secs(1),
                round_trip: Some(Duration::from_millis(100)),
                packets: second * 400,
                bytes: second * 400_000,
            };
            breaker.handle_report(at(second), &block, &about)
        });
        assert_eq!(stopped, Some(Stop::Congestion));
    }

    #[test]
    fn a_long_round_trip_puts_the_media_timeout_off() {
        let second = Duration::from_secs(1);
        assert_eq!(media_timeout(second, None), 5);
        assert_eq!(media_timeout(second, Some(second * 2)), 10);
        assert_eq!(run(0, false, 100_000, second * 2), Some((10, Stop::MediaTimeout)));
    }

    #[test]
    fn a_stream_that_is_of_no_use_is_stopped() {
        assert_eq!(run(192, true, 10_000, Duration::from_millis(1)), Some((9, Stop::Unusable)));
        assert_eq!(run(191, true, 10_000, Duration::from_millis(1)), None);
    }

    #[test]
    fn a_stream_that_nobody_reports_on_is_stopped() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.due(), None);
        (1..16).for_each(|second| breaker.sent(at(second)));
        assert_eq!(breaker.due(), Some(at(16)));
        assert_eq!(breaker.handle_timeout(at(15)), None);
        assert_eq!(breaker.handle_timeout(at(16)), Some(Stop::RtcpTimeout));
        assert!(breaker.is_open() && breaker.due().is_none());
        breaker.close();
        assert!(!breaker.is_open());
        // Reports come, and do not know of it.
        (30..45).for_each(|second| breaker.sent(at(second)));
        breaker.heard(at(44));
        assert_eq!(breaker.handle_timeout(at(45)), Some(Stop::MediaTimeout));
    }

    #[test]
    fn feedback_without_reports_counts_as_heard() {
        let mut breaker = Breaker::default();
        (1..16).for_each(|second| breaker.sent(at(second)));
        breaker.fed(at(15));
        assert_eq!((breaker.handle_timeout(at(16)), breaker.due()), (None, Some(at(30))));
    }

    #[test]
    fn who_pauses_need_not_be_reported_on() {
        let mut breaker = Breaker::default();
        breaker.sent(at(1));
        assert_eq!((breaker.handle_timeout(at(16)), breaker.due()), (None, None));
        breaker.sent(at(20));
        assert_eq!(breaker.due(), Some(at(35)));
    }
}
