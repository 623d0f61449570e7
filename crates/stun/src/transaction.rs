use std::time::Duration;

use crypto::Rng;
use proto::Instant;

use crate::Schedule;
use crate::wire::TransactionId;

/// One request until it is answered: when it is sent, sent again, and given up (RFC 8489 §6.2).
///
/// ```text
///          poll_transmit          sent max_requests times            answered, by the owner
///   due ─────────────────▶ waits ──────────────────────▶ gives up     ──▶ dropped
///    ▲                       │
///    └───────────────────────┘ retransmit
/// ```
///
/// It knows no bytes: its owner writes the request when [`is_due`](Self::is_due), says
/// [`sent`](Self::sent), and drops it when an answer has come or it [`has_failed`](Self::has_failed).
#[derive(Clone, Copy, Debug)]
pub struct Transaction {
    id: TransactionId,
    reliable: bool,
    sent: u32,
    first: Instant,
    due: Option<Instant>,
    give_up: Option<Instant>,
}

impl Transaction {
    /// A request that is due at `now`; over a reliable carrier (TCP, TLS) it is sent only once.
    pub fn new(now: Instant, reliable: bool, rng: &mut Rng) -> Self {
        let id = TransactionId(rng.array());
        Self { id, reliable, sent: 0, first: now, due: Some(now), give_up: None }
    }

    /// The identifier, of the answer too.
    pub const fn id(&self) -> TransactionId {
        self.id
    }

    /// How often the request was sent.
    pub const fn attempts(&self) -> u32 {
        self.sent
    }

    /// Whether the request is to be written now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Notes that the request was written at `now`.
    pub fn sent(&mut self, now: Instant, schedule: &Schedule) {
        if self.sent == 0 {
            self.first = now;
        }
        self.sent = self.sent.saturating_add(1);
        let Schedule { rto, max_requests, last_wait, reliable_wait } = *schedule;
        (self.due, self.give_up) = if self.reliable {
            (None, Some(now + reliable_wait.max(MIN_WAIT)))
        } else if self.sent < max_requests {
            // RFC 8489 §6.2.1: the first wait is the RTO, each further one twice as long.
            let doublings = self.sent.saturating_sub(1).min(16);
            (Some(now + rto.saturating_mul(1 << doublings).max(MIN_WAIT)), None)
        } else {
            (None, Some(now + rto.saturating_mul(last_wait).max(MIN_WAIT)))
        };
    }

    /// Whether the last wait is over.
    pub fn has_failed(&self, now: Instant) -> bool {
        self.give_up.is_some_and(|due| due <= now)
    }

    /// When it is to be sent again or given up.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.or(self.give_up)
    }

    /// From request to answer, if the request was sent once: of others nobody knows which was answered.
    pub fn round_trip(&self, now: Instant) -> Option<Duration> {
        (self.sent == 1).then(|| now - self.first)
    }
}

/// No configuration makes a machine spin.
pub(crate) const MIN_WAIT: Duration = Duration::from_millis(1);
