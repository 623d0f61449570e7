use std::net::SocketAddr;
use std::time::Duration;

use proto::{Carrier, Instant, Path};
use stun::wire::TransactionId;

use crate::{CandidateId, Kind, Role, Traffic};

/// Where the checks of a pair stand (RFC 8445 §6.1.2.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PairState {
    /// Waits for another pair of its foundation.
    Frozen,
    /// Waits for its turn.
    Waiting,
    /// A check is in flight.
    InProgress,
    /// A check was answered: the pair is valid.
    Succeeded,
    /// No check was answered, or one was refused.
    Failed,
}

/// A way to the peer that is checked.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) id: PairId,
    pub(crate) local: CandidateId,
    pub(crate) path: Path,
    pub(crate) local_priority: u32,
    pub(crate) remote_priority: u32,
    /// PRIORITY in its checks.
    pub(crate) reflexive_priority: u32,
    pub(crate) priority: u64,
    pub(crate) foundation: (u32, Box<str>),
    pub(crate) state: PairState,
    /// What our end is to the peer, by its last answer (RFC 8445 §7.2.5.3.2).
    pub(crate) local_kind: Option<Kind>,
    /// How the peer last saw us.
    pub(crate) mapped: Option<SocketAddr>,
    /// And whether that has changed since we last began to nominate the pair.
    pub(crate) has_moved: bool,
    pub(crate) check: Option<Check>,
    /// Its place in the queue of triggered checks (RFC 8445 §7.3.1.4).
    pub(crate) triggered: Option<u32>,
    /// We are asking for it with USE-CANDIDATE.
    pub(crate) nominating: bool,
    /// The largest number with which the peer has asked for it; 1 stands for USE-CANDIDATE, 0 for nothing.
    pub(crate) peer_nomination: u32,
    /// The peer has proved its password on it, by a request or a response.
    pub(crate) authenticated: bool,
    pub(crate) round_trip: Option<Duration>,
    /// When it was last answered.
    pub(crate) answered: Instant,
    pub(crate) link: Link,
    /// Whoever reads them sees no more than what they hold: they begin anew after four thousand million.
    pub(crate) requests: u32,
    pub(crate) responses: u32,
    pub(crate) heard: u32,
    /// Of the requests: checks, each counted once however often it was sent, and those for consent alone.
    pub(crate) checks: u32,
    pub(crate) consents: u32,
    /// Responses to the peer's checks.
    pub(crate) replies: u32,
    pub(crate) latest_round_trip: Option<Duration>,
    /// In nanoseconds.
    pub(crate) total_round_trip: u64,
    /// Once it may carry anything: what is not authenticated takes no memory.
    pub(crate) traffic: Option<Box<Traffic>>,
    pub(crate) error: Option<u16>,
}

impl Pair {
    /// RFC 8445 §6.1.2.3.
    pub(crate) fn set_priority(&mut self, role: Role) {
        let (controlling, controlled) = match role {
            Role::Controlling => (self.local_priority, self.remote_priority),
            Role::Controlled => (self.remote_priority, self.local_priority),
        };
        let (low, high) = (controlling.min(controlled), controlling.max(controlled));
        self.priority = (u64::from(low) << 32)
            .wrapping_add(u64::from(high) << 1)
            .wrapping_add(u64::from(controlling > controlled));
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.state == PairState::Succeeded
    }

    /// Whether its checks may still succeed.
    pub(crate) const fn is_pending(&self) -> bool {
        matches!(self.state, PairState::Frozen | PairState::Waiting | PairState::InProgress)
    }

    pub(crate) fn fail(&mut self) {
        self.state = PairState::Failed;
        self.check = None;
        self.triggered = None;
        self.nominating = false;
    }

    /// Whether it has, or is to have, a TCP connection of its own.
    pub(crate) fn is_connection(&self) -> bool {
        self.path.carrier == Carrier::Framed && self.link != Link::Closed
    }

    /// Its connection is over, and another one may be opened from `base`.
    pub(crate) fn reopen(&mut self, base: SocketAddr) {
        self.fail();
        self.path.local = base;
        (self.link, self.state, self.authenticated) = (Link::Closed, PairState::Waiting, false);
    }

    /// The peer has proved itself here: from now on what it carries is counted.
    pub(crate) fn succeed(&mut self) {
        self.state = PairState::Succeeded;
        self.traffic.get_or_insert_default();
    }

    /// A request was answered after so long.
    pub(crate) fn note_round_trip(&mut self, sample: Duration) {
        self.latest_round_trip = Some(sample);
        let nanos = u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX);
        self.total_round_trip = self.total_round_trip.saturating_add(nanos);
    }

    /// RFC 6298 §2, with the weights of TCP.
    pub(crate) fn measure(&mut self, sample: Duration) {
        self.round_trip = Some(smooth(self.round_trip, sample));
    }

    /// The same where measurements are rare: each counts half.
    pub(crate) fn measure_rarely(&mut self, sample: Duration) {
        self.round_trip = Some(self.round_trip.map_or(sample, |old| old.saturating_add(sample) / 2));
    }
}

pub(crate) fn smooth(old: Option<Duration>, sample: Duration) -> Duration {
    old.map_or(sample, |old| (old.saturating_mul(7).saturating_add(sample)) / 8)
}

/// How far the connection under a pair is. Over UDP there is none to wait for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Link {
    /// Datagrams can be sent.
    Open,
    /// To be opened when its turn comes.
    Closed,
    /// To be told.
    Wanted,
    /// Told, and not open yet.
    Opening,
}

/// A check in flight.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) id: TransactionId,
    pub(crate) sent: u32,
    pub(crate) first: Instant,
    pub(crate) last: Instant,
    /// When it is sent again, or after the last time given up.
    pub(crate) due: Instant,
    /// It carries USE-CANDIDATE, and in a renomination this number.
    pub(crate) nomination: Option<u32>,
    /// Our role when it was sent.
    pub(crate) role: Role,
}

/// Names a pair of one agent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PairId(pub(crate) u32);
