use std::net::SocketAddr;

use proto::{Carrier, Instant, Path};
use stun::IntegrityKey;

use crate::consent::Consent;
use crate::inbound::Asked;
use crate::local::{DISCARD_PORT, Local, can_pair};
use crate::pair::{Link, Pair, PairId, PairState};
use crate::{CandidateId, Config, Credentials, Kind, LocalCandidate, Role, TcpType};

/// What a restart replaces: credentials, remote candidates, pairs, the selected path and its consent.
#[derive(Debug)]
pub(crate) struct Generation {
    /// How many there were before.
    pub(crate) number: u32,
    pub(crate) credentials: Credentials,
    pub(crate) key: IntegrityKey,
    pub(crate) peer: Option<Peer>,
    pub(crate) remotes: Vec<Remote>,
    pub(crate) has_all_remotes: bool,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) early: Vec<EarlyCheck>,
    pub(crate) selected: Option<PairId>,
    pub(crate) nominated: Option<PairId>,
    pub(crate) consent: Option<Consent>,
    /// When checking began.
    pub(crate) started: Option<Instant>,
    pub(crate) first_valid: Option<Instant>,
    /// Checks were refused for their credentials, here or by the peer.
    pub(crate) has_refusals: bool,
    next_pair: u32,
    next_remote: u32,
}

/// The other side's credentials.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) credentials: Credentials,
    pub(crate) key: IntegrityKey,
    /// USERNAME of our checks: theirs first (RFC 8445 §7.2.2).
    pub(crate) username: String,
}

/// A candidate of the other side's.
#[derive(Debug)]
pub(crate) struct Remote {
    /// Names it among those of its generation.
    pub(crate) number: u32,
    pub(crate) address: SocketAddr,
    pub(crate) carrier: Carrier,
    /// Of a TCP candidate.
    pub(crate) tcp_type: Option<TcpType>,
    pub(crate) kind: Kind,
    pub(crate) priority: u32,
    pub(crate) foundation: Box<str>,
    /// The credentials that it belongs to, as long as none are known.
    pub(crate) ufrag: Option<Box<str>>,
    /// Packets that may still go there before it answers. Once it did, there is no limit.
    pub(crate) budget: Option<u32>,
}

impl Remote {
    /// Whether `path` leads to it.
    pub(crate) fn is_at(&self, path: Path) -> bool {
        self.address == path.remote && self.carrier == path.carrier
    }

    /// Whether checks can go from `local` to it. Of TCP candidates it is the active one that opens the connection, to
    /// a passive one (RFC 6544 §6.2); what comes to a passive one of ours makes its pair then.
    fn is_reached_from(&self, local: &LocalCandidate) -> bool {
        let opens = match (local.tcp_type, self.tcp_type) {
            (None, None) => true,
            (Some(TcpType::Active), Some(other)) => other == TcpType::Passive,
            _ => false,
        };
        opens && local.carrier == self.carrier && can_pair(local.base, self.address)
    }
}

/// An authenticated check that came before the remote credentials.
#[derive(Debug)]
pub(crate) struct EarlyCheck {
    pub(crate) asked: Asked,
    pub(crate) ufrag: String,
}

impl Generation {
    pub(crate) fn new(credentials: Credentials, config: &Config) -> Self {
        let key = IntegrityKey::short_term(config.provider, credentials.password());
        Self {
            number: 0,
            credentials,
            key,
            peer: None,
            remotes: Vec::new(),
            has_all_remotes: false,
            pairs: Vec::new(),
            early: Vec::new(),
            selected: None,
            nominated: None,
            consent: None,
            started: None,
            first_valid: None,
            has_refusals: false,
            next_pair: 0,
            next_remote: 0,
        }
    }

    /// Names its pairs as none of an earlier generation was named.
    pub(crate) const fn follow(&mut self, earlier: &Self) {
        self.next_pair = earlier.next_pair;
    }

    pub(crate) fn pair(&self, id: Option<PairId>) -> Option<&Pair> {
        self.pairs.iter().find(|pair| Some(pair.id) == id)
    }

    pub(crate) fn pair_mut(&mut self, id: PairId) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.id == id)
    }

    pub(crate) fn pair_on(&self, path: Path) -> Option<PairId> {
        self.pairs.iter().find(|pair| pair.path == path).map(|pair| pair.id)
    }

    pub(crate) fn pair_on_mut(&mut self, path: Path) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.path == path)
    }

    pub(crate) fn selected_path(&self) -> Option<Path> {
        self.pair(self.selected).map(|pair| pair.path)
    }

    /// Adds a candidate of the peer's, signalled or learned, by its number. Says where it is.
    pub(crate) fn add_remote(&mut self, remote: impl FnOnce(u32) -> Remote) -> usize {
        let (number, at) = (self.next_remote, self.remotes.len());
        self.next_remote = number.wrapping_add(1);
        self.remotes.push(remote(number));
        at
    }

    pub(crate) fn budget(&self, path: Path) -> u32 {
        self.remote(path).map_or(0, |remote| remote.budget.unwrap_or(u32::MAX))
    }

    pub(crate) fn remote(&self, path: Path) -> Option<&Remote> {
        self.remotes.iter().find(|remote| remote.is_at(path))
    }

    pub(crate) fn remote_mut(&mut self, path: Path) -> Option<&mut Remote> {
        self.remotes.iter_mut().find(|remote| remote.is_at(path))
    }

    /// Forgets where the peer once was, as behind a NAT that has forgotten it since: of the addresses that only checks have
    /// shown, that have answered, and that are not in use, the one that has not for longest.
    pub(crate) fn forget_stalest(&mut self) {
        let Self { remotes, pairs, selected, nominated, .. } = self;
        let is_used = |pair: &Pair| [*selected, *nominated].contains(&Some(pair.id));
        let may_go = |remote: &Remote| {
            let has_answered = remote.kind == Kind::PeerReflexive && remote.budget.is_none();
            let mut own = pairs.iter().filter(|pair| remote.is_at(pair.path));
            has_answered && remote.carrier == Carrier::Udp && !own.any(is_used)
        };
        let answered = |remote: &Remote| {
            pairs.iter().filter(|pair| remote.is_at(pair.path)).map(|pair| pair.answered).max()
        };
        let old = remotes.iter().enumerate().filter(|(_, remote)| may_go(remote));
        if let Some(at) = old.min_by_key(|(_, remote)| answered(remote)).map(|(at, _)| at) {
            let gone = remotes.remove(at);
            pairs.retain(|pair| !gone.is_at(pair.path));
        }
    }

    /// A pair whose checks may still succeed, and can still be sent or have been.
    pub(crate) fn is_hopeful(&self, pair: &Pair) -> bool {
        pair.is_pending() && (pair.check.is_some() || self.budget(pair.path) > 0)
    }

    /// Pairs `local` with every remote candidate that it can reach.
    pub(crate) fn pair_local(&mut self, local: &Local, role: Role, config: &Config) {
        for at in 0..self.remotes.len() {
            self.add_pair(local, at, role, config);
        }
    }

    /// Pairs the remote candidate at `at` with every local one that reaches it.
    pub(crate) fn pair_remote(&mut self, at: usize, locals: &[Local], role: Role, config: &Config) {
        for local in locals {
            self.add_pair(local, at, role, config);
        }
    }

    fn add_pair(&mut self, local: &Local, at: usize, role: Role, config: &Config) {
        let Some(remote) = self.remotes.get(at) else { return };
        if config.lite || local.given.kind == Kind::PeerReflexive || !remote.is_reached_from(&local.given) {
            return;
        }
        let path = Path { carrier: local.given.carrier, local: local.given.base, remote: remote.address };
        let foundation = (local.foundation, remote.foundation.clone());
        let (local_priority, remote_priority) = (local.priority(), remote.priority);
        // RFC 8445 §6.1.2.4: a reflexive candidate is checked from its base; of pairs that send the
        // same the better one stays.
        if let Some(same) = self.pairs.iter_mut().find(|pair| pair.path == path) {
            if local_priority > same.local_priority || remote_priority > same.remote_priority {
                same.local_priority = same.local_priority.max(local_priority);
                same.remote_priority = same.remote_priority.max(remote_priority);
                same.set_priority(role);
            }
            return;
        }
        let reflexive_priority = local.reflexive_priority();
        let id = local.id;
        self.insert(
            id,
            path,
            (local_priority, remote_priority, reflexive_priority),
            foundation,
            role,
            config,
        );
    }

    /// Adds a pair, in place of the worst unused one where there are too many; says which it is.
    pub(crate) fn insert(
        &mut self,
        local: CandidateId,
        path: Path,
        (local_priority, remote_priority, reflexive_priority): (u32, u32, u32),
        foundation: (u32, Box<str>),
        role: Role,
        config: &Config,
    ) -> Option<PairId> {
        let id = PairId(self.next_pair);
        let state = self.initial_state(&foundation);
        let is_open = path.carrier != Carrier::Framed || path.local.port() != DISCARD_PORT;
        let link = if is_open { Link::Open } else { Link::Closed };
        let mut pair = Pair {
            id,
            local,
            path,
            local_priority,
            remote_priority,
            reflexive_priority,
            priority: 0,
            foundation,
            state,
            local_kind: None,
            mapped: None,
            has_moved: false,
            check: None,
            triggered: None,
            nominating: false,
            peer_nomination: 0,
            authenticated: false,
            round_trip: None,
            answered: Instant::default(),
            link,
            requests: 0,
            responses: 0,
            heard: 0,
            checks: 0,
            consents: 0,
            replies: 0,
            latest_round_trip: None,
            total_round_trip: 0,
            traffic: None,
            error: None,
        };
        pair.set_priority(role);
        if self.pairs.len() >= config.max_pairs {
            let unused = |pair: &Pair| pair.check.is_none() && !pair.authenticated && !pair.is_valid();
            let candidates = self.pairs.iter().enumerate().filter(|(_, pair)| unused(pair));
            let (at, worst) = candidates.min_by_key(|(_, pair)| pair.priority)?;
            if worst.priority >= pair.priority {
                return None;
            }
            self.pairs.swap_remove(at);
        }
        self.next_pair = self.next_pair.wrapping_add(1);
        self.pairs.push(pair);
        Some(id)
    }

    /// RFC 8838 §12: a new pair waits, unless one of its foundation is waiting or in progress.
    fn initial_state(&self, foundation: &(u32, Box<str>)) -> PairState {
        let busy = self.pairs.iter().any(|pair| {
            pair.foundation == *foundation && matches!(pair.state, PairState::Waiting | PairState::InProgress)
        });
        if busy { PairState::Frozen } else { PairState::Waiting }
    }

    /// RFC 8445 §7.2.5.3.3: success of one pair sets free the others of its foundation.
    pub(crate) fn unfreeze(&mut self, foundation: &(u32, Box<str>)) {
        for pair in &mut self.pairs {
            if pair.state == PairState::Frozen && pair.foundation == *foundation {
                pair.state = PairState::Waiting;
            }
        }
    }

    /// Whether a frozen pair's turn has come although nothing of its foundation succeeded: RFC 8445
    /// §6.1.4.2, and besides when the one in front of it is not answered at once.
    pub(crate) fn is_thawed(&self, frozen: &Pair) -> bool {
        !self.pairs.iter().any(|pair| {
            let leads = match pair.state {
                PairState::Waiting => self.budget(pair.path) > 0,
                PairState::InProgress => pair.check.as_ref().is_none_or(|check| check.sent < 2),
                PairState::Frozen | PairState::Succeeded | PairState::Failed => false,
            };
            leads && pair.foundation == frozen.foundation
        })
    }
}
