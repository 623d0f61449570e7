use std::time::Duration;

use proto::{Carrier, Instant};

use crate::consent::Consent;
use crate::generation::Generation;
use crate::pair::{Pair, PairId, PairState};
use crate::{Agent, Failure, Kind, Role, State};

impl Agent {
    /// Advances to `now`. Early and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        // Whatever time alone changes has a timer.
        self.begin(now);
    }

    /// When `handle_timeout` or `poll_transmit` has something to do next.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    /// Every input begins so: time passes first.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.is_active() && self.timeout.is_some_and(|due| due <= self.now) {
            self.expire_checks();
            self.expire_paths();
            if self.generation.consent.as_mut().is_some_and(|consent| consent.is_quiet(self.now)) {
                self.doubt_selected();
            }
            self.finish();
        }
    }

    /// Every input ends so.
    pub(crate) fn finish(&mut self) {
        if self.is_active() {
            self.pair_with_lite();
            self.nominate();
            self.call_for_nomination();
            self.keep_backups();
            self.take_slot();
            self.open_connections();
            self.give_up();
            self.update_state();
        }
        self.selected = self.find_selected();
        self.count_selection();
        self.timeout = self.next_timeout();
    }

    fn expire_checks(&mut self) {
        let now = self.now;
        for at in 0..self.generation.pairs.len() {
            let Some(pair) = self.generation.pairs.get(at) else { break };
            let Some(check) = &pair.check else { continue };
            let is_last = check.sent >= self.requests_allowed(pair) || self.generation.budget(pair.path) == 0;
            let is_selected = self.generation.selected == Some(pair.id);
            if !is_last || check.due > now {
                continue;
            }
            let is_doubted = self.generation.consent.as_ref().is_some_and(Consent::is_doubted);
            let Some(pair) = self.generation.pairs.get_mut(at) else { break };
            if is_selected {
                // Consent decides on the selected path; while it is silent it is asked again and again.
                pair.check = None;
                let asks_on = is_doubted || self.state == State::Disconnected;
                pair.triggered = asks_on.then_some(self.next_trigger);
                pair.nominating = false;
            } else {
                pair.fail();
            }
        }
    }

    /// Rc, and one more for each check of the peer's: it is there. And the last ones for an outage.
    pub(crate) fn requests_allowed(&self, pair: &Pair) -> u32 {
        if pair.path.carrier == Carrier::Framed {
            return 1;
        }
        let late = if pair.authenticated { LATE_REQUESTS } else { 0 };
        self.config.max_requests.saturating_add(pair.heard).saturating_add(late)
    }

    fn expire_paths(&mut self) {
        if self.previous.as_deref().is_some_and(|previous| self.is_over(previous)) {
            self.put_aside();
            self.sync_routes();
        }
        if self.is_over(&self.generation) {
            self.fail(Failure::ConsentExpired);
        }
    }

    fn is_over(&self, generation: &Generation) -> bool {
        generation.consent.as_ref().is_some_and(|consent| consent.expires(&self.config) <= self.now)
    }

    /// The controlling side's choice (RFC 8445 §8.1.1): the best valid pair, once none better is
    /// pending or patience has run out.
    fn nominate(&mut self) {
        let generation = &self.generation;
        let is_settled = generation.pairs.iter().any(|pair| pair.nominating);
        if self.role == Role::Controlled || is_settled || generation.peer.is_none() || self.lite.is_some() {
            return;
        }
        let wanted = match generation.nominated {
            Some(nominated) => self.better_pair().or_else(|| {
                let is_due = self.nominated_again_at().is_some_and(|at| at <= self.now);
                is_due.then_some(nominated)
            }),
            None => self.first_choice(),
        };
        if let Some(id) = wanted {
            self.nominate_pair(id);
        }
    }

    /// When the nominated pair is nominated once more: the peer sees us at another address than before, as when a NAT
    /// has forgotten us, and for it that is another pair, which it uses when it is asked to.
    fn nominated_again_at(&self) -> Option<Instant> {
        let nominated = self.generation.pair(self.generation.nominated)?;
        let is_wanted = nominated.has_moved && self.role == Role::Controlling && self.lite.is_none();
        // Whoever says something else each time is not followed each time.
        is_wanted.then_some(self.nominated_at + LEAST_BETWEEN)
    }

    fn nominate_pair(&mut self, id: PairId) {
        let trigger = self.next_trigger();
        // Each nomination outranks those before (draft-thatcher-ice-renomination).
        self.nomination = self.nomination.saturating_add(1);
        if let Some(pair) = self.generation.pair_mut(id) {
            pair.nominating = true;
            pair.has_moved = false;
            pair.check = None;
            pair.triggered = Some(trigger);
        }
    }

    /// The controlled side knows a way that works, and the other one does not know it yet, though it should: its checks or
    /// our answers are lost. Each check of ours that comes through lets it try again at once.
    fn call_for_nomination(&mut self) {
        if self.call_due().is_some_and(|due| due <= self.now)
            && let Some(selected) = self.generation.selected
        {
            self.trigger(selected);
        }
    }

    /// When the controlled side checks once more a path that the other one should have nominated long ago.
    fn call_due(&self) -> Option<Instant> {
        let generation = &self.generation;
        let is_waiting =
            self.role == Role::Controlled && generation.nominated.is_none() && self.lite.is_none();
        let pair = generation.pair(generation.selected.filter(|_| is_waiting && !self.remote_lite))?;
        let since = generation.first_valid?.max(pair.answered);
        let is_asking = pair.check.is_some() || pair.triggered.is_some();
        let lasts = generation.first_valid? + LONGEST_CALL;
        let due = since + if since > generation.first_valid? { self.config.rto } else { FIRST_CALL };
        (!is_asking && due <= lasts).then_some(due)
    }

    fn first_choice(&self) -> Option<PairId> {
        let generation = &self.generation;
        let best = self.best_valid()?;
        let is_better = |pair: &&Pair| pair.priority > best.priority && generation.is_hopeful(pair);
        let has_better = generation.pairs.iter().any(|pair| is_better(&pair));
        (!has_better || self.patience_ends(best) <= self.now).then_some(best.id)
    }

    /// The place behind all triggered checks there are.
    pub(crate) const fn next_trigger(&mut self) -> u32 {
        let trigger = self.next_trigger;
        self.next_trigger = trigger.wrapping_add(1);
        trigger
    }

    /// Has the pair checked next, behind others that are.
    pub(crate) fn trigger(&mut self, id: PairId) {
        let trigger = self.next_trigger();
        if let Some(pair) = self.generation.pair_mut(id).filter(|pair| pair.check.is_none()) {
            pair.triggered.get_or_insert(trigger);
        }
    }

    /// Three round trips: what is better would have answered by then. A relay is given up later.
    fn patience_ends(&self, best: &Pair) -> Instant {
        let most = self.config.nomination_patience;
        let trips = best.round_trip.unwrap_or(most).saturating_mul(3);
        let wait = if self.is_relayed(best) {
            RELAY_PATIENCE
        } else {
            trips.max(self.config.pace.saturating_mul(2)).min(most)
        };
        self.generation.first_valid.unwrap_or(self.now) + wait
    }

    /// Whether a relay of either side's is on the way.
    fn is_relayed(&self, pair: &Pair) -> bool {
        let local = self.locals.iter().find(|local| local.id == pair.local);
        let mut remotes = self.generation.remotes.iter();
        local.is_some_and(|local| local.given.kind == Kind::Relayed)
            || remotes.any(|it| it.address == pair.path.remote && it.kind == Kind::Relayed)
    }

    /// The controlled side's part (RFC 8445 §7.3.1.5): of the valid pairs that the peer asked for the one with the
    /// largest number, of several the best, and one that is not better only when the selected one is silent.
    pub(crate) fn follow_nomination(&mut self, id: PairId) {
        let generation = &self.generation;
        let Some(pair) = generation.pair(Some(id)) else { return };
        let is_asked = self.role == Role::Controlled && pair.peer_nomination > 0 && pair.is_valid();
        let current = generation.pair(generation.nominated);
        let is_better = current.is_none_or(|current| {
            let (new, old) = (pair.peer_nomination, current.peer_nomination);
            let is_silent = self.state == State::Disconnected && pair.id != current.id;
            // RFC 8445 §8.1.1: who follows it nominates once. Those before it may do so again and again.
            let is_aggressive = !self.remote_options.ice2 && pair.priority > current.priority;
            new > old || (new == old && (is_aggressive || is_silent))
        });
        if is_asked && is_better {
            self.nominated(id);
        }
    }

    pub(crate) fn nominated(&mut self, id: PairId) {
        if self.generation.nominated.is_some_and(|before| before != id) {
            self.counters.renominations = self.counters.renominations.wrapping_add(1);
        }
        self.generation.nominated = Some(id);
        self.nominated_at = self.now;
        self.select(id);
        self.hang_up_unproved();
        // RFC 8445 §8.1.2: the others are checked no further, but for those the peer asks about.
        for pair in &mut self.generation.pairs {
            if pair.state == PairState::InProgress && !pair.authenticated && pair.check.is_some() {
                pair.check = None;
                pair.state = PairState::Frozen;
            }
        }
    }

    /// Selects the best valid pair where none is selected.
    pub(crate) fn select_best(&mut self) {
        if self.generation.selected.is_none()
            && let Some(best) = self.best_valid()
        {
            let id = best.id;
            self.select(id);
        }
    }

    pub(crate) fn select(&mut self, id: PairId) {
        if self.generation.selected == Some(id) {
            return;
        }
        // RFC 7675 §5.1: to use another path is no answer. A lite agent asks for none.
        let before =
            self.generation.consent.as_ref().filter(|_| self.lite.is_none()).map(Consent::last_answer);
        let own = self.generation.pair(Some(id)).map(|pair| pair.answered);
        let answered = before.map_or(self.now, |before| own.map_or(before, |own| own.max(before)));
        self.generation.selected = Some(id);
        self.generation.consent = Some(Consent::new(self.now, answered, &self.config, &mut self.rng));
        let before = self.previous.take().and_then(|previous| previous.selected_path());
        self.sync_routes();
        let path = self.generation.selected_path();
        if let Some(old) = before.filter(|before| path != Some(*before)) {
            self.hang_up(old);
        }
        if let Some(lite) = &mut self.lite {
            lite.sent(self.now);
        }
        if path != before {
            self.events.path = path;
        }
    }

    pub(crate) fn switch_role(&mut self, is_conflict: bool) {
        self.role = self.role.opposite();
        if is_conflict {
            self.counters.role_switches = self.counters.role_switches.wrapping_add(1);
        }
        self.events.role = Some(self.role);
        for pair in &mut self.generation.pairs {
            pair.set_priority(self.role);
            pair.nominating = false;
            pair.peer_nomination = 0;
        }
    }

    fn give_up(&mut self) {
        let generation = &self.generation;
        let Some(started) = generation.started else { return };
        let nothing_yet = generation.selected.is_none() && self.previous.is_none();
        if !nothing_yet || started + self.config.patience > self.now {
            return;
        }
        let is_pending = generation.pairs.iter().any(|pair| generation.is_hopeful(pair));
        if is_pending && started + self.config.give_up > self.now {
            return;
        }
        let failure = if generation.has_refusals {
            Failure::WrongCredentials
        } else if self.locals.is_empty() {
            Failure::NoLocalCandidates
        } else if generation.remotes.is_empty() {
            Failure::NoRemoteCandidates
        } else if generation.pairs.is_empty() {
            Failure::NoPairs
        } else {
            Failure::NoAnswer
        };
        self.fail(failure);
    }

    fn update_state(&mut self) {
        if !self.is_active() {
            return;
        }
        let Self { generation, previous, config, now, .. } = self;
        let is_silent = |generation: &Generation| {
            generation.consent.as_ref().is_some_and(|consent| consent.silent_at(config) <= *now)
        };
        let state = if generation.selected.is_some() || generation.consent.is_some() {
            if generation.selected.is_none() || is_silent(generation) {
                State::Disconnected
            } else if generation.nominated.is_some() && generation.has_all_remotes {
                State::Completed
            } else {
                State::Connected
            }
        } else if generation.peer.is_some() {
            State::Checking
        } else if let Some(previous) = previous {
            if is_silent(previous) { State::Disconnected } else { State::Connected }
        } else {
            State::New
        };
        if state != self.state {
            self.state = state;
            self.events.state = Some(state);
            if state == State::Disconnected {
                let now = self.now;
                self.active_mut()
                    .and_then(|used| used.consent.as_mut())
                    .into_iter()
                    .for_each(|it| it.fall_silent(now));
                self.ask_selected();
            } else if matches!(state, State::Connected | State::Completed) {
                self.give_back();
            }
        }
    }

    /// Something speaks against the selected path: it is checked at once.
    pub(crate) fn doubt_selected(&mut self) {
        let is_used =
            self.is_active() && self.generation.selected.is_some() && self.generation.peer.is_some();
        let now = self.now;
        if is_used && self.generation.consent.as_mut().is_some_and(|consent| consent.doubt(now)) {
            self.ask_selected();
        }
    }

    /// Whether nothing comes on the selected path any more, as far as is known.
    pub(crate) fn is_silent(&self) -> bool {
        self.state == State::Disconnected
            || self.doubtful_at(&self.generation).is_some_and(|at| at <= self.now)
    }

    fn doubtful_at(&self, generation: &Generation) -> Option<Instant> {
        let round_trip = generation.pair(generation.selected).and_then(|pair| pair.round_trip);
        generation.consent.as_ref()?.doubtful_at(round_trip)
    }

    /// Checks the selected path now, without waiting for the next consent check.
    fn ask_selected(&mut self) {
        if self.lite.is_some() {
            return;
        }
        let trigger = self.next_trigger();
        let pair = self.generation.selected.and_then(|id| self.generation.pair_mut(id));
        if let Some(pair) = pair.filter(|pair| pair.check.is_none()) {
            pair.triggered.get_or_insert(trigger);
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        if !self.is_active() {
            return None;
        }
        let reply = self.replies.front().map(|_| self.now);
        let paths = [Some(&self.generation), self.previous.as_deref()].into_iter().flatten();
        let paths = paths.filter_map(|generation| self.path_timeout(generation)).min();
        [
            reply,
            paths,
            self.next_send(),
            self.check_timeout(),
            self.nomination_timeout(),
            self.call_due().filter(|due| *due > self.now),
            self.nominated_again_at().filter(|at| *at > self.now),
            self.patience_timeout(),
            self.backup_timeout(),
            self.renomination_timeout(),
            self.keepalive_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn path_timeout(&self, generation: &Generation) -> Option<Instant> {
        let consent = generation.consent.as_ref()?;
        let silent = Some(consent.silent_at(&self.config)).filter(|at| *at > self.now);
        let is_used = generation.selected.is_some() && generation.peer.is_some();
        let due = (is_used && self.lite.is_none()).then(|| consent.due());
        let doubt = [consent.quiet_at(), self.doubtful_at(generation)].into_iter().flatten();
        let doubt = doubt.filter(|at| *at > self.now).min();
        [Some(consent.expires(&self.config)), silent, due, doubt].into_iter().flatten().min()
    }

    fn check_timeout(&self) -> Option<Instant> {
        let checks = self.generation.pairs.iter().filter_map(|pair| pair.check.as_ref());
        // What is due and waits for its turn is `next_send`'s.
        checks.map(|check| check.due).filter(|due| *due > self.now).min()
    }

    fn nomination_timeout(&self) -> Option<Instant> {
        let generation = &self.generation;
        let is_open = self.role == Role::Controlling && generation.nominated.is_none();
        let best = self.best_valid().filter(|_| is_open)?;
        Some(self.patience_ends(best)).filter(|at| *at > self.now)
    }

    fn patience_timeout(&self) -> Option<Instant> {
        let generation = &self.generation;
        let is_open = generation.selected.is_none() && self.previous.is_none();
        let started = generation.started.filter(|_| is_open)?;
        let ends: [Duration; 2] = [self.config.patience, self.config.give_up];
        ends.into_iter().map(|wait| started + wait).find(|at| *at > self.now)
    }
}

/// When the controlled side begins to call for a nomination, and how long it goes on.
const FIRST_CALL: Duration = Duration::from_secs(1);
const LONGEST_CALL: Duration = Duration::from_secs(30);
/// Between two nominations of one pair.
const LEAST_BETWEEN: Duration = Duration::from_secs(1);
/// How long a better pair is waited for where the best so far goes through a relay: it carries data meanwhile, and a direct
/// path behind a NAT may take a second request, or an address that only checks can show.
const RELAY_PATIENCE: Duration = Duration::from_secs(2);
/// Requests with longer waits before them, to a peer that has shown its password: as many as may go to an address that has never
/// answered ([`Config::max_unanswered`]) beside Rc.
const LATE_REQUESTS: u32 = 2;
