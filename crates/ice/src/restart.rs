//! How an agent begins anew, and takes that back.

use proto::Instant;

use crate::generation::{Generation, Remote};
use crate::{Agent, Credentials, Kind, State};

/// What was before a restart that the peer has not answered.
#[derive(Debug)]
pub(crate) struct Former {
    /// None as long as it is [`Agent::previous`].
    generation: Option<Box<Generation>>,
    state: State,
    nomination: u32,
}

impl Agent {
    /// New credentials for a [restart](Self::restart_with) that is to come. Nothing else changes.
    pub fn draw_credentials(&mut self) -> Credentials {
        Credentials::draw(&self.config.ufrag_prefix, &mut self.rng)
    }

    /// Begins anew, with new credentials of ours, which must be signalled, and none of the peer's yet.
    /// The selected path stays in use until another one is found (RFC 8445 §9). The candidates of ours
    /// stay.
    pub fn restart(&mut self, now: Instant) {
        let credentials = self.draw_credentials();
        self.restart_with(now, credentials);
    }

    /// Likewise, with credentials that were [drawn](Self::draw_credentials) before and are signalled already.
    pub fn restart_with(&mut self, now: Instant, credentials: Credentials) {
        self.begin(now);
        if self.state == State::Closed {
            return;
        }
        self.restarts = self.restarts.saturating_add(1);
        let (is_answered, state, nomination) = (self.generation.peer.is_some(), self.state, self.nomination);
        let generation = self.replace_generation(credentials);
        if is_answered {
            self.former = Some(Box::new(Former { generation, state, nomination }));
        }
        if matches!(self.state, State::Failed(_)) {
            self.state = State::New;
            self.events.state = Some(State::New);
        }
        self.finish();
    }

    /// Takes a restart back that the peer has not answered: its credentials and ours are those from before, and so is the
    /// path. Other pairs are checked anew.
    pub fn take_restart_back(&mut self, now: Instant) {
        self.begin(now);
        let Some(Former { generation, state, nomination }) = self.former.take().map(|former| *former) else {
            return;
        };
        let Some(before) = generation.or_else(|| self.previous.take()) else { return };
        let taken_back = std::mem::replace(&mut self.generation, *before);
        self.generation.follow(&taken_back);
        taken_back.pairs.iter().for_each(|pair| self.hang_up(pair.path));
        self.replies.clear();
        (self.nomination, self.holds_slot) = (nomination, false);
        self.generation.has_all_remotes |= taken_back.has_all_remotes;
        self.take_late_candidates(taken_back.remotes);
        let Self { generation, locals, role, config, now, .. } = self;
        for at in 0..generation.remotes.len() {
            generation.pair_remote(at, locals, *role, config);
        }
        if generation.pair(generation.nominated).is_none() {
            generation.nominated = None;
        }
        if generation.pair(generation.selected).is_none() {
            (generation.selected, generation.first_valid) = (None, None);
            generation.started = Some(*now);
        }
        self.selected = self.find_selected();
        self.sync_routes();
        if let State::Failed(failure) = state {
            self.fail(failure);
        }
        self.finish();
    }

    /// Whether the peer may ask for this ufrag of ours: the one that was signalled last, that of the path in use, and that which an
    /// unanswered restart is taken back to.
    pub fn is_asked_for(&self, ufrag: &str) -> bool {
        let former = self.former.as_ref().and_then(|former| former.generation.as_deref());
        let all = [Some(&self.generation), self.previous.as_deref(), former];
        all.into_iter().flatten().any(|generation| generation.credentials.ufrag() == ufrag)
    }

    /// Takes candidates that the peer told while it did not know of the restart.
    fn take_late_candidates(&mut self, candidates: Vec<Remote>) {
        let Self { generation, config, .. } = self;
        for candidate in candidates {
            let theirs = generation.peer.as_ref().map(|peer| peer.credentials.ufrag());
            let is_theirs = candidate.ufrag.is_none() || candidate.ufrag.as_deref() == theirs;
            let is_known = generation
                .remotes
                .iter()
                .any(|known| (known.address, known.carrier) == (candidate.address, candidate.carrier));
            if is_theirs && !is_known && generation.remotes.len() < config.max_candidates {
                generation.add_remote(|number| Remote { number, ufrag: None, ..candidate });
            }
        }
    }

    /// The path from before the restart is gone. What it was found with is kept as long as the restart may be taken back.
    pub(crate) fn put_aside(&mut self) {
        let previous = self.previous.take();
        if let Some(former) = &mut self.former
            && former.generation.is_none()
        {
            former.generation = previous;
        }
    }

    /// Gives back the one from before, unless its path stays in use.
    pub(crate) fn replace_generation(&mut self, credentials: Credentials) -> Option<Box<Generation>> {
        self.generations = self.generations.wrapping_add(1);
        let mut fresh = Generation::new(credentials, &self.config);
        fresh.number = self.generations;
        fresh.follow(&self.generation);
        let mut old = std::mem::replace(&mut self.generation, fresh);
        self.locals.retain(|local| local.given.kind != Kind::PeerReflexive);
        self.replies.clear();
        (self.nomination, self.holds_slot) = (0, false);
        let keeps = old.selected.filter(|_| old.consent.is_some() || self.lite.is_some());
        let dropped = old.pairs.extract_if(.., |pair| Some(pair.id) != keeps).map(|pair| pair.path);
        dropped.for_each(|path| self.hang_up(path));
        old.early.clear();
        for pair in &mut old.pairs {
            pair.check = None;
            pair.triggered = None;
        }
        let mut old = Some(Box::new(old));
        if keeps.is_some() {
            self.previous = old.take();
        }
        self.selected = self.find_selected();
        self.sync_routes();
        old
    }
}
