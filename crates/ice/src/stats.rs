use std::time::Duration;

use proto::Path;

use crate::generation::Generation;
use crate::pair::Pair;
use crate::{Agent, CandidateId, PairState, Role, State, Traffic};

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
    /// How often credentials had been renewed when the pair was made, and its number since: both together are of no other
    /// pair that the agent has or had.
    pub generation: u32,
    /// See there.
    pub number: u32,
    /// The candidate of ours: as the peer saw us last, where it has answered.
    pub local: CandidateId,
    /// The number of the peer's candidate among those of this generation, as long as it is known.
    pub remote: Option<u32>,
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
    /// The last round trip that was measured. Of a check that was sent again it counts from the last time.
    pub latest_round_trip: Option<Duration>,
    /// All of them together: as many as [`responses_received`](Self::responses_received).
    pub total_round_trip: Duration,
    /// Checks sent on it, for consent too, each time counted.
    pub requests_sent: u64,
    /// Checks alone, each counted once however often it was sent.
    pub checks_sent: u64,
    /// Of the requests those that asked for consent (RFC 7675).
    pub consents_sent: u64,
    /// Valid responses to them.
    pub responses_received: u64,
    /// Authenticated checks of the peer's.
    pub requests_received: u64,
    /// Responses sent to those.
    pub responses_sent: u64,
    /// What it has carried besides.
    pub traffic: Traffic,
    /// The last error code that the peer answered, authenticated or not.
    pub error: Option<u16>,
}

impl Agent {
    /// What was counted, and how the pairs stand, best first.
    pub fn stats(&self) -> Stats {
        let Generation { pairs, remotes, .. } = &self.generation;
        let mut pairs: Vec<PairStats> =
            pairs.iter().map(|pair| self.pair_stats(&self.generation, pair)).collect();
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

    /// How a pair of a generation stands.
    pub(crate) fn pair_stats(&self, generation: &Generation, pair: &Pair) -> PairStats {
        PairStats {
            generation: generation.number,
            number: pair.id.0,
            local: self.local_of(pair),
            remote: generation.remote(pair.path).map(|remote| remote.number),
            path: pair.path,
            state: pair.state,
            priority: pair.priority,
            is_selected: generation.selected == Some(pair.id),
            is_nominated: generation.nominated == Some(pair.id),
            round_trip: pair.round_trip,
            latest_round_trip: pair.latest_round_trip,
            total_round_trip: Duration::from_nanos(pair.total_round_trip),
            requests_sent: pair.requests.into(),
            checks_sent: pair.checks.into(),
            consents_sent: pair.consents.into(),
            responses_received: pair.responses.into(),
            requests_received: pair.heard.into(),
            responses_sent: pair.replies.into(),
            traffic: pair.traffic.as_deref().copied().unwrap_or_default(),
            error: pair.error,
        }
    }
}
