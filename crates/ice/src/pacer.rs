use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proto::Instant;

use crate::Agent;

/// Paces the checks of several agents together (RFC 8445 §14.2): however many there are, no two checks leave in less
/// than an interval. Consent and keep-alives are not checks. It takes no lock, so that the agents may be driven by
/// several threads; driven by one they are as deterministic as ever.
#[derive(Debug)]
pub struct Pacer {
    /// Nanoseconds.
    interval: u64,
    /// The first moment that is nobody's.
    next: AtomicU64,
}

impl Pacer {
    /// One check in each `interval`; never less than 5 ms (RFC 8445 §14.2).
    pub fn new(interval: Duration) -> Self {
        let interval = interval.max(LEAST_INTERVAL).as_nanos();
        Self { interval: u64::try_from(interval).unwrap_or(u64::MAX), next: AtomicU64::new(0) }
    }

    /// The next moment from `now` on that is nobody's, which then is the caller's.
    pub(crate) fn reserve(&self, now: Instant) -> Instant {
        let after = |slot: u64| slot.saturating_add(self.interval);
        let mut next = self.next.load(Ordering::Relaxed);
        loop {
            let slot = next.max(now.as_nanos());
            match self.next.compare_exchange_weak(next, after(slot), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Instant::from_nanos(slot),
                Err(other) => next = other,
            }
        }
    }
}

impl Default for Pacer {
    /// One check in 5 ms.
    fn default() -> Self {
        Self::new(LEAST_INTERVAL)
    }
}

impl Agent {
    /// Takes a place among the checks of all agents, once this one has a check to send and its own pace allows it.
    pub(crate) fn take_slot(&mut self) {
        let Some(pacer) = &self.config.pacer else { return };
        let wants = self.next_pair(self.now).is_some() || self.next_connection().is_some();
        if !wants || self.generation.peer.is_none() {
            // A place that was not used is not kept for another time.
            self.holds_slot = false;
        } else if !self.holds_slot && self.next_check <= self.now {
            self.next_check = pacer.reserve(self.now);
            self.holds_slot = true;
        }
    }

    /// Whether a check may leave, as far as other agents are concerned, at [`next_check`](Self::next_check).
    pub(crate) const fn has_slot(&self) -> bool {
        self.holds_slot || self.config.pacer.is_none()
    }

    /// A check has left, or a connection is being opened.
    pub(crate) fn use_slot(&mut self) {
        self.next_check = self.now + self.config.pace;
        self.holds_slot = false;
    }
}

/// RFC 8445 §14.2.
const LEAST_INTERVAL: Duration = Duration::from_millis(5);
