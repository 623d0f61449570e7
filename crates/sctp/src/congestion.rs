use std::fmt;

use crate::Config;

/// How many bytes may be in flight. The association says what happened and obeys the window; what is lost,
/// and which losses are one event, is decided in `flight`.
pub(crate) trait CongestionControl: fmt::Debug + Send + Sync {
    /// Bytes that may be in flight.
    fn window(&self) -> usize;

    /// Packets hold `bytes` from now on.
    fn set_packet(&mut self, bytes: usize);

    /// `bytes` were newly acknowledged while the window was full.
    fn acknowledged(&mut self, bytes: usize);

    /// Something of a new flight was lost (RFC 9260 §7.2.3, §7.2.4).
    fn lost(&mut self);

    /// T3-rtx expired (RFC 9260 §7.2.3).
    fn timed_out(&mut self);
}

/// The control of a new association, or of one that begins anew.
pub(crate) fn control(config: &Config) -> Box<dyn CongestionControl> {
    Box::new(NewReno::new(config))
}

/// Slow start, congestion avoidance and the answers to loss, as RFC 9260 §7.2 has them. Two departures: slow
/// start grows by all that was acknowledged, as one SACK may answer a whole train (RFC 9002 §7.3.1); and one
/// loss event is what was sent before the answer to the last one, by packets rather than by TSN, so that lost
/// retransmissions are seen too (RFC 9002 §7.3.2).
#[derive(Clone, Copy, Debug)]
struct NewReno {
    window: usize,
    threshold: usize,
    partial: usize,
    packet: usize,
    floor: usize,
}

impl NewReno {
    fn new(config: &Config) -> Self {
        let packet = config.max_packet;
        // RFC 9260 §7.2.1: the initial window.
        let initial = config.initial_window.map_or_else(
            || packet.saturating_mul(4).min(packet.saturating_mul(2).max(4404)),
            |packets| packets.saturating_mul(packet),
        );
        Self { window: initial, threshold: usize::MAX, partial: 0, packet, floor: config.min_window.max(1) }
    }
}

impl CongestionControl for NewReno {
    fn window(&self) -> usize {
        self.window
    }

    fn set_packet(&mut self, bytes: usize) {
        self.packet = bytes;
    }

    fn acknowledged(&mut self, bytes: usize) {
        if self.window < self.threshold {
            self.window = self.window.saturating_add(bytes).min(MAX_WINDOW);
            return;
        }
        // RFC 9260 §7.2.2: one packet for each window that is acknowledged.
        self.partial = self.partial.saturating_add(bytes);
        if self.partial >= self.window {
            self.partial = self.partial.saturating_sub(self.window);
            self.window = self.window.saturating_add(self.packet).min(MAX_WINDOW);
        }
    }

    fn lost(&mut self) {
        self.threshold = (self.window / 2).max(self.floor.saturating_mul(self.packet));
        self.window = self.threshold;
        self.partial = 0;
    }

    fn timed_out(&mut self) {
        self.threshold = (self.window / 2).max(self.floor.saturating_mul(self.packet));
        self.window = self.packet;
        self.partial = 0;
    }
}

const MAX_WINDOW: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config { max_packet: 1000, initial_window: None, ..Config::default() }
    }

    #[test]
    fn the_window_opens_and_closes_by_the_rules() {
        let mut congestion = NewReno::new(&config());
        assert_eq!(congestion.window(), 4000, "min(4 packets, max(2 packets, 4404))");
        congestion.acknowledged(4000);
        assert_eq!(congestion.window(), 8000);
        congestion.acknowledged(12_000);
        congestion.lost();
        assert_eq!(congestion.window(), 10_000);
        congestion.acknowledged(9_999);
        congestion.acknowledged(1);
        congestion.acknowledged(10_000);
        assert!((11_000..=12_000).contains(&congestion.window()), "a packet a round trip");
        congestion.timed_out();
        assert_eq!(congestion.window(), 1000);
        for _ in 0..3 {
            congestion.lost();
        }
        assert_eq!(congestion.window(), 4000, "never below the floor");
    }

    #[test]
    fn slow_start_after_a_time_out_ends_at_half_the_window_there_was() {
        let mut congestion = NewReno::new(&config());
        congestion.acknowledged(16_000);
        congestion.timed_out();
        let mut windows = Vec::new();
        while windows.len() < 12 {
            windows.push(congestion.window());
            congestion.acknowledged(1000);
        }
        let grown: Vec<usize> = (1..=10).map(|packets| packets * 1000).collect();
        assert_eq!((&windows[..10], &windows[10..]), (&grown[..], &[10_000, 10_000][..]), "half of 20,000");
    }
}
