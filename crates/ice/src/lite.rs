//! What a lite agent does in place of checks (RFC 8445 §2.4): it answers, and takes the pair that the peer names.

use std::collections::VecDeque;

use proto::{Instant, Path};
use stun::wire::TransactionId;

use crate::consent::Consent;
use crate::generation::Remote;
use crate::inbound::Asked;
use crate::local::{Local, can_pair};
use crate::pair::PairId;
use crate::{Agent, Kind, Role};

/// What only a lite agent keeps.
#[derive(Debug)]
pub(crate) struct Lite {
    /// The latest nominations and where they came from. A lite agent asks nobody back, so a nomination that somebody
    /// saw go by and repeats from elsewhere would move the path there.
    nominations: VecDeque<(TransactionId, Path)>,
    /// When something last went out on the selected path.
    last_sent: Instant,
}

impl Lite {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { nominations: VecDeque::new(), last_sent: now }
    }

    /// Whether a nomination has not come from elsewhere before.
    fn is_fresh(&mut self, id: TransactionId, path: Path) -> bool {
        if let Some((_, first)) = self.nominations.iter().find(|(known, _)| *known == id) {
            return *first == path;
        }
        if self.nominations.len() >= MAX_NOMINATIONS {
            self.nominations.pop_front();
        }
        self.nominations.push_back((id, path));
        true
    }

    pub(crate) fn sent(&mut self, now: Instant) {
        self.last_sent = self.last_sent.max(now);
    }
}

impl Agent {
    /// Whether both sides are lite: nobody checks (RFC 8445 §8.2.2).
    pub(crate) const fn is_lite_pair(&self) -> bool {
        self.lite.is_some() && self.remote_lite
    }

    /// A check of the peer's (RFC 8445 §7.3.2): a pair that it nominates is valid at once.
    pub(crate) fn take_lite_check(&mut self, id: PairId, asked: &Asked) {
        let now = self.now;
        let is_fresh = self.lite.as_mut().is_some_and(|lite| lite.is_fresh(asked.id, asked.path));
        if self.generation.selected == Some(id)
            && let Some(consent) = &mut self.generation.consent
        {
            // RFC 7675 §5.1 has a lite agent answer alone. Who asks is there, and asks every few seconds.
            consent.renew(now);
        }
        if asked.nomination == 0 || !is_fresh {
            return;
        }
        let current = self.generation.pair(self.generation.nominated).map_or(0, |pair| pair.peer_nomination);
        let Some(pair) = self.generation.pair_mut(id) else { return };
        pair.succeed();
        pair.local_kind = Some(Kind::Host);
        // The peer may choose another one at any time, and names the one that it uses again and again.
        if pair.peer_nomination >= current {
            self.nominated(id);
        }
    }

    /// RFC 8445 §8.2.2: of two lite agents both choose the best pair there is.
    pub(crate) fn pair_with_lite(&mut self) {
        if !self.is_lite_pair() || self.generation.peer.is_none() {
            return;
        }
        let Some((local, remote, path)) = self.best_lite_pair() else { return };
        if self.generation.selected_path() == Some(path) {
            return;
        }
        let foundation = (local.foundation, remote.foundation.clone());
        let priorities = (local.priority(), remote.priority, local.reflexive_priority());
        let (local, role) = (local.id, self.role);
        let known = self.generation.pair_on(path);
        let id =
            known.or_else(|| self.generation.insert(local, path, priorities, foundation, role, &self.config));
        let Some(id) = id else { return };
        if let Some(pair) = self.generation.pair_mut(id) {
            pair.succeed();
            pair.local_kind = Some(Kind::Host);
            pair.authenticated = true;
        }
        self.generation.nominated = Some(id);
        self.select(id);
        // Nobody asks for consent, and nobody gives it.
        self.generation.consent = None;
    }

    fn best_lite_pair(&self) -> Option<(&Local, &Remote, Path)> {
        let pairs = self.locals.iter().flat_map(|local| {
            let reaches = |remote: &&Remote| {
                remote.carrier == local.given.carrier
                    && remote.tcp_type.is_none()
                    && can_pair(local.given.base, remote.address)
            };
            self.generation.remotes.iter().filter(reaches).map(move |remote| (local, remote))
        });
        // The same for both sides, whoever controls.
        let key = |(local, remote): &(&Local, &Remote)| {
            let (ours, theirs) = (local.priority(), remote.priority);
            let controlling = if self.role == Role::Controlling { ours } else { theirs };
            (ours.min(theirs), ours.max(theirs), controlling)
        };
        let (local, remote) = pairs.max_by_key(key)?;
        let path = Path { carrier: local.given.carrier, local: local.given.base, remote: remote.address };
        Some((local, remote, path))
    }

    /// When a lite agent has been silent on the selected path for too long (RFC 8445 §11).
    pub(crate) fn keepalive_due(&self) -> Option<Instant> {
        let lite = self.lite.as_ref().filter(|_| self.generation.selected.is_some())?;
        Some(lite.last_sent + self.config.keepalive_interval)
    }

    /// Whether the pair under way of a lite agent was nominated: it asks nobody, so that is all that it can know.
    pub(crate) fn is_nominated_to_lite(&self, path: Path) -> bool {
        self.lite.is_some() && self.generation.pairs.iter().any(|pair| pair.path == path && pair.is_valid())
    }

    /// Something above that is authenticated came on the selected path of a lite agent: the peer is there.
    pub(crate) fn note_lite(&mut self) {
        let (now, Some(_)) = (self.now, &self.lite) else { return };
        let Some(consent) = &mut self.generation.consent else { return };
        consent.renew(now);
        let selected = self.generation.selected;
        let unproved = self.generation.pairs.iter_mut().find(|pair| Some(pair.id) == selected);
        if let Some(pair) = unproved.filter(|pair| pair.responses == 0) {
            pair.responses = 1;
            self.sync_routes();
        }
    }
}

impl Consent {
    /// Of a lite agent: as long as the peer asks.
    pub(crate) fn hear_as(&mut self, now: Instant, is_lite: bool) {
        if is_lite { self.renew(now) } else { self.hear(now) }
    }
}

/// Nominations whose origin is remembered. Most peers nominate once; Chromium does so in every check, and with that takes
/// back what somebody else has repeated.
const MAX_NOMINATIONS: usize = 32;
