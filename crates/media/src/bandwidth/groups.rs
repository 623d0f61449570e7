use crate::later::Blank;
use proto::Instant;

/// Packets that left together, and how much further apart than they left groups arrive (draft-ietf-rmcat-gcc-02 §5.2).
#[derive(Clone, Debug)]
pub(super) struct Groups {
    current: Option<Group>,
    previous: Option<Group>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent: Instant,
    last_sent: Instant,
    first_arrival: i64,
    last_arrival: i64,
}

/// Between two groups, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Delta {
    pub(super) sent: f64,
    pub(super) arrived: f64,
    /// When the later one arrived, by the peer's clock.
    pub(super) at: i64,
}

impl Blank for Groups {
    fn blank() -> &'static Self {
        static NEW: Groups = Groups::NEW;
        &NEW
    }
}

impl Groups {
    pub(super) const NEW: Self = Self { current: None, previous: None };

    /// A packet arrived. Gives how the group before it stands to the one before that, when it begins one.
    pub(super) fn add(&mut self, sent: Instant, arrival: i64) -> Option<Delta> {
        let Some(current) = &mut self.current else {
            self.current = Some(Group::new(sent, arrival));
            return None;
        };
        if sent < current.first_sent {
            return None;
        }
        if arrival.saturating_sub(current.last_arrival).saturating_abs() > JUMP {
            // The peer's clock was set, or nothing came for long.
            (self.current, self.previous) = (Some(Group::new(sent, arrival)), None);
            return None;
        }
        if current.has(sent, arrival) {
            current.last_sent = current.last_sent.max(sent);
            current.last_arrival = current.last_arrival.max(arrival);
            return None;
        }
        let ended = *current;
        *current = Group::new(sent, arrival);
        let previous = self.previous.replace(ended)?;
        Some(Delta {
            sent: super::millis(ended.last_sent - previous.last_sent),
            arrived: fraction(ended.last_arrival.saturating_sub(previous.last_arrival)),
            at: ended.last_arrival,
        })
    }
}

impl Group {
    const fn new(sent: Instant, arrival: i64) -> Self {
        Self { first_sent: sent, last_sent: sent, first_arrival: arrival, last_arrival: arrival }
    }

    fn has(&self, sent: Instant, arrival: i64) -> bool {
        if (sent - self.first_sent).as_nanos() <= SPAN.unsigned_abs().into() {
            return true;
        }
        // What a link held back and then let go at once says nothing of queues: it is one group.
        let apart = arrival.saturating_sub(self.last_arrival);
        let left = i64::try_from((sent - self.last_sent).as_nanos()).unwrap_or(i64::MAX);
        apart < left && apart <= SPAN && arrival.saturating_sub(self.first_arrival) < MAX_BURST
    }
}

/// Milliseconds of nanoseconds.
pub(super) const fn fraction(nanos: i64) -> f64 {
    nanos as f64 / 1e6
}

const SPAN: i64 = 5_000_000;
const MAX_BURST: i64 = 100_000_000;
const JUMP: i64 = 3_000_000_000;
