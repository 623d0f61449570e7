use std::fmt;
use std::time::Duration;

use proto::Instant;
use rtp::rtcp::ReportBlock;

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
    congested: u32,
    unusable: u32,
    interval: Duration,
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
        // RFC 8083 §5: reports that come early, as with RTP/AVPF they may, do not count on their own.
        if elapsed < interval / 2 {
            return None;
        }
        self.last = Some((now, block.highest_sequence));
        let (packets, bytes) = self.sent;
        self.sent = (about.packets, about.bytes);
        let (packets, bytes) = (about.packets.saturating_sub(packets), about.bytes.saturating_sub(bytes));
        if packets == 0 {
            (self.stalled, self.congested, self.unusable) = (0, 0, 0);
            return None;
        }
        let count = |condition: bool, counter: u32| if condition { counter.saturating_add(1) } else { 0 };
        self.stalled = count(block.highest_sequence == highest, self.stalled);
        let congested = is_congested(block.fraction_lost, bytes, packets, elapsed, about.round_trip);
        self.congested = count(congested, self.congested);
        self.unusable = count(block.fraction_lost >= UNUSABLE, self.unusable);
        let limit = reports(interval);
        let stop = if self.stalled >= MEDIA_TIMEOUT {
            Stop::MediaTimeout
        } else if self.congested >= limit {
            Stop::Congestion
        } else if self.unusable >= limit.saturating_mul(UNUSABLE_INTERVALS) {
            Stop::Unusable
        } else {
            return None;
        };
        self.open = true;
        Some(stop)
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

/// CB_INTERVAL: for how many reports in a row a condition must hold. RFC 8083's formula is
/// ⌈3 · min(max(10 G, 10 Tf, 3 Td), max(15, 3 Td)) / (3 Td)⌉; frames (Tf) and groups of them (G) here last at most 100 ms.
fn reports(interval: Duration) -> u32 {
    let three = interval * 3;
    let span = (FRAME * 10).max(three).min(Duration::from_secs(15).max(three)) * 3;
    u32::try_from(span.as_nanos().div_ceil(three.as_nanos().max(1))).unwrap_or(u32::MAX)
}

/// Whether more than ten times as much is sent as TCP would: s / (R · √(2p / 3)) bytes a second, RFC 8083 §4.3's simple equation.
/// In whole numbers: with losses p of 1/256, rate² · R² · 2p > 100 · s² · 3 · 256.
fn is_congested(
    fraction_lost: u8,
    bytes: u64,
    packets: u64,
    elapsed: Duration,
    round_trip: Option<Duration>,
) -> bool {
    let Some(round_trip) = round_trip else { return false };
    let millis = elapsed.as_millis().max(1);
    let rate = u128::from(bytes).saturating_mul(1000) / millis;
    let size = u128::from(bytes.checked_div(packets).unwrap_or(0));
    let micros = round_trip.as_micros();
    let left = rate.saturating_mul(micros) / 1_000_000;
    let left = left.saturating_mul(left).saturating_mul(2).saturating_mul(fraction_lost.into());
    left > size.saturating_mul(size).saturating_mul(100 * 3 * 256)
}

const FRAME: Duration = Duration::from_millis(100);
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// RFC 8083 §4.1: three intervals, of at least 5 s each.
const RTCP_TIMEOUT: Duration = Duration::from_secs(15);
/// Nothing is sent for so long: then nobody need report.
const PAUSE: Duration = Duration::from_secs(5);
/// RFC 8083 §4.2 recommends five reports.
const MEDIA_TIMEOUT: u32 = 5;
/// Three quarters of the packets, in 1/256.
const UNUSABLE: u8 = 192;
const UNUSABLE_INTERVALS: u32 = 3;

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
        assert_eq!(run(26, true, 400_000, trip), Some((3, Stop::Congestion)));
        assert_eq!(run(0, true, 100_000_000, trip), None, "without loss there is no limit");
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
    fn who_pauses_need_not_be_reported_on() {
        let mut breaker = Breaker::default();
        breaker.sent(at(1));
        assert_eq!((breaker.handle_timeout(at(16)), breaker.due()), (None, None));
        breaker.sent(at(20));
        assert_eq!(breaker.due(), Some(at(35)));
    }
}
