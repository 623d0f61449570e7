use std::time::Duration;

use proto::Instant;

use crate::Probe;

/// When packets may leave: no faster than a multiple of the target rate, so that a frame does not fill a queue on the path.
///
/// Every packet pushes the instant on at which the path is thought to be done with what was sent. One may go as long as that lies no
/// further ahead than a burst.
#[derive(Clone, Debug)]
pub(crate) struct Pacer {
    config: PacerConfig,
    /// When what was sent is through, at the rate of pacing.
    done: Instant,
    /// When padding is due.
    padding_due: Instant,
    probe: Option<Running>,
    /// Hundredths of the target that are the most, and then without bursts.
    most: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    probe: Probe,
    packets: u32,
    bytes: u64,
    begin: Option<Instant>,
}

/// How packets are spread.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PacerConfig {
    /// At how many hundredths of the target rate: 250 by default, so that a key frame of several times the usual length does not
    /// hold up what follows, and a frame takes less than half the time to the next.
    pub percent: u64,
    /// How much may go at once: 5 ms of that rate by default, about what timers and batches of datagrams are good for.
    pub burst: Duration,
    /// What waits goes at no less than the rate at which all of it would be gone in this time: 2 s by default.
    pub max_queue: Duration,
    /// Up to what rate padding fills what the streams leave, in bit/s. 0 by default: probes alone are padded.
    pub padding: u64,
}

impl Default for PacerConfig {
    fn default() -> Self {
        Self { percent: 250, burst: Duration::from_millis(5), max_queue: Duration::from_secs(2), padding: 0 }
    }
}

impl Pacer {
    pub(crate) const fn new(config: PacerConfig) -> Self {
        let begin = Instant::from_nanos(0);
        Self { config, done: begin, padding_due: begin, probe: None, most: None }
    }

    pub(crate) const fn set_padding(&mut self, rate: u64) {
        self.config.padding = rate;
    }

    /// At how many hundredths of the target packets may leave at most, and without bursts. `None`: as it is configured.
    pub(crate) const fn set_most(&mut self, percent: Option<u64>) {
        self.most = percent;
    }

    /// Begins a probe, unless one is being sent.
    pub(crate) fn begin_probe(&mut self, probe: Probe) {
        if self.probe.is_none() {
            self.probe = Some(Running { probe, packets: 0, bytes: 0, begin: None });
        }
    }

    /// Which probe is being sent.
    pub(crate) fn probe(&self) -> Option<u32> {
        self.probe.map(|running| running.probe.id)
    }

    /// Whether a packet may go now.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.opens().is_none_or(|opens| opens <= now)
    }

    /// When a packet may go.
    pub(crate) fn opens(&self) -> Option<Instant> {
        let burst = match self.most {
            _ if self.probe.is_some() => Duration::ZERO,
            Some(_) => self.config.burst.min(SHORT_BURST),
            None => self.config.burst,
        };
        let before = self.done - Instant::default();
        before.checked_sub(burst).map(|since| Instant::default() + since)
    }

    /// When padding is wanted, be it for a probe or to fill.
    pub(crate) fn pads(&self) -> Option<Instant> {
        if self.probe.is_some() {
            return self.opens();
        }
        (self.config.padding > 0).then(|| self.padding_due.max(self.opens().unwrap_or_default()))
    }

    /// A packet was sent; `target` is the rate that is allowed, `waiting` how many bytes still wait.
    pub(crate) fn sent(&mut self, now: Instant, bytes: usize, target: u64, waiting: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(0);
        let rate = match &mut self.probe {
            Some(running) => {
                let rate = running.probe.bitrate;
                let begin = *running.begin.get_or_insert(now);
                running.packets = running.packets.saturating_add(1);
                running.bytes = running.bytes.saturating_add(bytes);
                let probe = running.probe;
                let full = running.packets >= probe.min_packets && running.bytes >= probe.min_bytes;
                if full || now - begin > MAX_PROBE {
                    self.probe = None;
                }
                rate
            }
            None => self.rate(target, waiting),
        };
        let most = now + MAX_AHEAD;
        self.done = (self.done.max(now) + span(bytes, rate)).min(most);
        if self.config.padding > 0 {
            self.padding_due = (self.padding_due.max(now) + span(bytes, self.config.padding)).min(most);
        }
    }

    fn rate(&self, target: u64, waiting: usize) -> u64 {
        let percent = self.most.map_or(self.config.percent, |most| most.min(self.config.percent));
        let usual = scale(target, percent, 100);
        if waiting == 0 {
            return usual;
        }
        let millis = u64::try_from(self.config.max_queue.as_millis()).unwrap_or(u64::MAX);
        let needed = scale(u64::try_from(waiting).unwrap_or(u64::MAX), 8000, millis);
        usual.max(needed)
    }
}

/// How long so many bytes take.
fn span(bytes: u64, rate: u64) -> Duration {
    Duration::from_nanos(scale(bytes, 8_000_000_000, rate.max(1)))
}

/// `value * factor / divisor`; 0 without a divisor.
fn scale(value: u64, factor: u64, divisor: u64) -> u64 {
    // Usual values need no division of 128 bits, which takes several times as long.
    if let Some(product) = value.checked_mul(factor) {
        return product.checked_div(divisor).unwrap_or(0);
    }
    let product = u128::from(value).saturating_mul(factor.into());
    u64::try_from(product.checked_div(divisor.into()).unwrap_or(0)).unwrap_or(u64::MAX)
}

/// What goes at once, as audio and what is forwarded do, keeps the rest waiting no longer than this.
const MAX_AHEAD: Duration = Duration::from_millis(500);
/// What timers are good for, where bursts matter.
const SHORT_BURST: Duration = Duration::from_millis(1);
/// A probe that has not gone in this time is no probe.
const MAX_PROBE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(micros: u64) -> Instant {
        Instant::from_nanos(1_000_000_000 + micros * 1000)
    }

    #[test]
    fn packets_go_at_two_and_a_half_times_the_target_after_a_burst() {
        let mut pacer = Pacer::new(PacerConfig::default());
        let mut sent = 0_u32;
        for micros in 0..100_000 {
            while pacer.is_open(at(micros)) {
                pacer.sent(at(micros), 1000, 1_000_000, 0);
                sent += 1;
            }
        }
        // 2.5 Mbit/s are 31 packets in 100 ms, 5 ms of it and the one that is begun at once.
        assert_eq!(sent, 33);
        assert!(pacer.opens().unwrap() > at(99_999));
    }

    #[test]
    fn what_waits_goes_faster_the_more_it_is() {
        let mut pacer = Pacer::new(PacerConfig::default());
        // A megabyte at 100 kbit/s would take 32 s.
        let (mut waiting, mut millis) = (1_000_000_usize, 0);
        while waiting > 0 && millis < 20_000 {
            while waiting > 0 && pacer.is_open(at(millis * 1000)) {
                waiting -= 1000;
                pacer.sent(at(millis * 1000), 1000, 100_000, waiting);
            }
            millis += 1;
        }
        // The rate falls with what waits, to the usual one.
        assert!((7000..8000).contains(&millis), "{millis}");
        let first = Pacer::new(PacerConfig::default()).rate(100_000, 1_000_000);
        assert_eq!(first, 4_000_000);
    }

    #[test]
    fn a_probe_has_its_rate_and_its_end() {
        let mut pacer = Pacer::new(PacerConfig::default());
        assert_eq!(pacer.pads(), None);
        pacer.begin_probe(Probe { id: 7, bitrate: 8_000_000, min_packets: 5, min_bytes: 8000 });
        let mut sent = Vec::new();
        for micros in 0..20_000 {
            if pacer.probe() == Some(7) && pacer.pads().is_none_or(|due| due <= at(micros)) {
                pacer.sent(at(micros), 1000, 100_000, 0);
                sent.push(micros);
            }
        }
        assert_eq!(sent, (0..8).map(|number| number * 1000).collect::<Vec<_>>());
    }

    #[test]
    fn padding_fills_up_to_its_rate() {
        let mut pacer = Pacer::new(PacerConfig { padding: 800_000, ..PacerConfig::default() });
        let mut padded = 0;
        for millis in 0..1000 {
            if millis % 20 == 0 {
                pacer.sent(at(millis * 1000), 1000, 10_000_000, 0);
            }
            while pacer.pads().is_some_and(|due| due <= at(millis * 1000)) {
                pacer.sent(at(millis * 1000), 1000, 10_000_000, 0);
                padded += 1;
            }
        }
        // Half of it is media.
        assert!((48..=52).contains(&padded), "{padded}");
    }

    #[test]
    fn where_bursts_matter_packets_leave_nearly_at_the_target() {
        let sent = |most: Option<u64>, config: PacerConfig| {
            let mut pacer = Pacer::new(config);
            pacer.set_most(most);
            let mut sent = 0_u32;
            for micros in 0..100_000 {
                while pacer.is_open(at(micros)) {
                    pacer.sent(at(micros), 1000, 1_000_000, 0);
                    sent += 1;
                }
            }
            sent
        };
        let config = PacerConfig::default();
        assert_eq!([None, Some(150), Some(110)].map(|most| sent(most, config)), [33, 19, 14]);
        assert_eq!(sent(Some(110), PacerConfig { percent: 50, ..config }), 7);
    }
}
