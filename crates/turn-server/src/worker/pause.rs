use std::time::{Duration, Instant};

/// What a worker does under load before it asks its sockets again: nothing, for a moment. What comes meanwhile is
/// received with few calls, and leaves with few.
#[derive(Debug)]
pub(crate) struct Pause {
    length: Duration,
    /// Something was relayed since the last one.
    has_data: bool,
    /// When that was so for the last time.
    last: Option<Instant>,
}

impl Pause {
    pub(crate) const fn new(length: Duration) -> Self {
        Self { length, has_data: false, last: None }
    }

    /// Something is relayed.
    pub(crate) const fn note_data(&mut self) {
        self.has_data = true;
    }

    /// Waits, if data come so densely that there will be more by then.
    pub(crate) fn take(&mut self) {
        if self.length.is_zero() || !std::mem::take(&mut self.has_data) {
            return;
        }
        let now = Instant::now();
        if self.is_busy(now) {
            std::thread::sleep(self.length);
        }
        self.last = Some(now);
    }

    fn is_busy(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now.saturating_duration_since(last) < self.length + DENSE)
    }
}

/// Between what is relayed, under load: a system that is told to wait wakes up as much later.
const DENSE: Duration = Duration::from_micros(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dense_data_are_waited_for() {
        let mut pause = Pause::new(Duration::from_micros(50));
        let now = Instant::now();
        assert!(!pause.is_busy(now), "nothing has come yet");
        pause.last = Some(now);
        assert!(pause.is_busy(now + Duration::from_micros(249)));
        assert!(!pause.is_busy(now + Duration::from_micros(250)));
    }

    /// THREATS T6: who has no permission does not slow the relay down.
    #[test]
    fn what_is_not_relayed_is_not_waited_for() {
        let mut pause = Pause::new(Duration::from_secs(3600));
        pause.last = Some(Instant::now());
        pause.take();
        assert!(!pause.has_data);
    }
}
