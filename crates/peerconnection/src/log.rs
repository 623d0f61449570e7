use std::time::Duration;

use proto::Instant;

/// Lines that are written of one cause: [`MAX_LINES`] a second. A cause may come with every datagram, and a log
/// that anyone can fill is one more thing to attack.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    window: Option<Instant>,
    written: u32,
}

impl Lines {
    /// Whether a line may be written now.
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        if self.window.is_none_or(|start| now >= start + SECOND) {
            *self = Self { window: Some(now), written: 0 };
        }
        let allowed = self.written < MAX_LINES;
        self.written = self.written.saturating_add(u32::from(allowed));
        allowed
    }
}

const MAX_LINES: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_cause_ten_lines_a_second_are_written_and_not_one_more() {
        let mut lines = Lines::default();
        for second in [0, 1, 5] {
            let start = testkit::epoch() + Duration::from_secs(second);
            for _ in 0..10 {
                assert!(lines.allow(start + Duration::from_millis(500)));
            }
            assert!(!lines.allow(start + Duration::from_millis(500)));
            assert!(!lines.allow(start + Duration::from_millis(1499)));
        }
    }
}
