use std::time::Duration;

use proto::Path;

use crate::generation::Generation;
use crate::{Agent, PairState, Role, State};

/// What the agent counted, and how its pairs stand.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// The agent's state.
    pub state: State,
    /// The agent's role.
    pub role: Role,
    /// Candidates of ours, those that checks found included.
    pub local_candidates: usize,
    /// Candidates of the peer, those that its checks came from included.
    pub remote_candidates: usize,
    /// Every pair, best first.
    pub pairs: Vec<PairStats>,
    /// The numbers.
    pub counters: Counters,
}

/// What the agent counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counters {
    /// Checks sent, again ones included.
    pub checks_sent: u64,
    /// Consent checks sent.
    pub consent_sent: u64,
    /// Valid responses received.
    pub responses_received: u64,
    /// Authenticated requests received.
    pub requests_received: u64,
    /// Responses sent.
    pub replies_sent: u64,
    /// Responses not sent, because too many waited.
    pub replies_dropped: u64,
    /// Requests and responses whose integrity code was wrong.
    pub unauthorized: u64,
    /// Checks of ours that the peer refused for their credentials, as far as one may believe it.
    pub refused: u64,
    /// Times that the path moved from one nominated pair to another.
    pub renominations: u64,
    /// Indications that a lite agent sent because it had nothing else to send.
    pub keepalives_sent: u64,
    /// Role conflicts settled by changing ours.
    pub role_switches: u64,
    /// Datagrams refused with a [`Discard`](crate::Discard).
    pub discarded: u64,
}

/// How a pair stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PairStats {
    /// From where to where; the local address is the base.
    pub path: Path,
    /// Where its checks stand.
    pub state: PairState,
    /// RFC 8445 §6.1.2.3.
    pub priority: u64,
    /// Data goes this way.
    pub is_selected: bool,
    /// It was agreed on.
    pub is_nominated: bool,
    /// Smoothed round trip.
    pub round_trip: Option<Duration>,
    /// Checks sent on it.
    pub requests_sent: u64,
    /// Valid responses to them.
    pub responses_received: u64,
    /// Authenticated checks of the peer's.
    pub requests_received: u64,
    /// The last error code that the peer answered, authenticated or not.
    pub error: Option<u16>,
}

impl Agent {
    /// What was counted, and how the pairs stand, best first.
    pub fn stats(&self) -> Stats {
        let Generation { pairs, selected, nominated, remotes, .. } = &self.generation;
        let mut pairs: Vec<PairStats> = pairs
            .iter()
            .map(|pair| PairStats {
                path: pair.path,
                state: pair.state,
                priority: pair.priority,
                is_selected: *selected == Some(pair.id),
                is_nominated: *nominated == Some(pair.id),
                round_trip: pair.round_trip,
                requests_sent: pair.requests.into(),
                responses_received: pair.responses.into(),
                requests_received: pair.heard.into(),
                error: pair.error,
            })
            .collect();
        pairs.sort_by_key(|pair| std::cmp::Reverse(pair.priority));
        Stats {
            state: self.state,
            role: self.role,
            local_candidates: self.locals.len(),
            remote_candidates: remotes.len(),
            pairs,
            counters: self.counters,
        }
    }
}
