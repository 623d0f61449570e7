use std::sync::Arc;
use std::time::Duration;

use crypto::Provider;

use crate::{Pacer, Role};

/// ICE options (RFC 8839 §5.6) that change what an agent does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// `ice2`: follows RFC 8445 (§10), and so does not nominate one pair after the other.
    pub ice2: bool,
    /// `renomination`: numbers its nominations, and follows those that are numbered
    /// (draft-thatcher-ice-renomination).
    pub renomination: bool,
}

/// Role, times and limits of an [`Agent`](crate::Agent).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where the message codes come from.
    pub provider: &'static dyn Provider,
    /// The role to begin with: the offerer controls, except towards a lite peer (RFC 8445 §6.1.1).
    pub role: Role,
    /// Whether the agent is lite: it sends no checks and answers those of the peer (RFC 8445 §2.4). It is controlled,
    /// unless the peer is lite too; then `role` says which side controls. Only for hosts whose addresses the peer
    /// reaches as they are. Default: no.
    pub lite: bool,
    /// The tie-breaker of role conflicts; `None` draws it from the seed.
    pub tie_break: Option<u64>,
    /// Whether candidates leave out where they begin, so that the peer does not learn it (RFC 8828 §5.2). Default: no.
    pub hides_bases: bool,
    /// What every local ufrag begins with, of ice-chars; others are left out. Empty by default.
    pub ufrag_prefix: String,
    /// Candidates a side: 100.
    pub max_candidates: usize,
    /// Addresses of the peer's that its checks alone have shown, and that have answered none of ours: 10 for each
    /// address of ours that they came to.
    pub max_learned: u32,
    /// Pairs: 100 (RFC 8445 §6.1.2.5).
    pub max_pairs: usize,
    /// Time between checks, called Ta: 50 ms, and never less than 5 ms (RFC 8445 §14.2).
    pub pace: Duration,
    /// The shortest first wait for an answer: 500 ms (RFC 8445 §14.3).
    pub rto: Duration,
    /// Requests in a check, called Rc: 7 (RFC 8489 §6.2.1).
    pub max_requests: u32,
    /// After the last request of a check the agent waits this many times `rto`, called Rm: 16
    /// (RFC 8489 §6.2.1).
    pub last_wait: u32,
    /// Packets to an address that has never answered: 9. Each authenticated check from it allows one more.
    pub max_unanswered: u32,
    /// The agent does not give up before: 39.5 s (RFC 8863 §4).
    pub patience: Duration,
    /// The agent gives up then, even with late checks in flight: 44 s.
    pub give_up: Duration,
    /// How long the controlling side waits, once a pair is valid, for one of higher priority: 300 ms
    /// at most, and less when round trips are short; 2 s where what there is goes through a relay.
    pub nomination_patience: Duration,
    /// Whether the path may move to another pair while it is well, where the peer knows renomination too
    /// (draft-thatcher-ice-renomination). Default: yes.
    pub renomination: bool,
    /// The path moves no sooner than this after it was chosen, unless it has fallen silent: 5 s.
    pub renomination_interval: Duration,
    /// The controlling side checks the three best pairs in reserve this often, so that NATs keep them open
    /// (RFC 4787 §4.3 has them do so for two minutes, and many do for 30 s): 15 s.
    pub backup_interval: Duration,
    /// A lite agent that has sent nothing for this long sends an indication: 15 s (RFC 8445 §11).
    pub keepalive_interval: Duration,
    /// TCP connections that the agent opens, or has open, at a time: 16.
    pub max_connections: u32,
    /// What paces the checks of several agents together, besides `pace`. Default: nothing.
    pub pacer: Option<Arc<Pacer>>,
    /// Time between consent checks, randomised by a fifth, and never less than 4 s: 5 s (RFC 7675 §5.1).
    pub consent_interval: Duration,
    /// Consent lasts this long after an answer: 30 s (RFC 7675 §5.1).
    pub consent_timeout: Duration,
    /// The path counts as silent after: 7 s, which is more than the longest consent interval.
    pub disconnected_after: Duration,
    /// Authenticated checks that are remembered until the remote credentials are known: 4.
    pub max_early_checks: usize,
    /// Responses that wait for the socket: 16.
    pub max_replies: usize,
    /// Attributes of a message: 64.
    pub max_attributes: usize,
    /// Error responses a second to requests that are not authenticated: 5.
    pub max_refusals: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            provider: crypto::default_provider(),
            role: Role::Controlling,
            lite: false,
            tie_break: None,
            hides_bases: false,
            ufrag_prefix: String::new(),
            max_candidates: 100,
            max_learned: 10,
            max_pairs: 100,
            pace: Duration::from_millis(50),
            rto: Duration::from_millis(500),
            max_requests: 7,
            last_wait: 16,
            max_unanswered: 9,
            patience: Duration::from_millis(39_500),
            give_up: Duration::from_secs(44),
            nomination_patience: Duration::from_millis(300),
            renomination: true,
            renomination_interval: Duration::from_secs(5),
            backup_interval: Duration::from_secs(15),
            keepalive_interval: Duration::from_secs(15),
            max_connections: 16,
            pacer: None,
            consent_interval: Duration::from_secs(5),
            consent_timeout: Duration::from_secs(30),
            disconnected_after: Duration::from_secs(7),
            max_early_checks: 4,
            max_replies: 16,
            max_attributes: stun::wire::MAX_ATTRIBUTES,
            max_refusals: 5,
        }
    }
}
