use std::time::Duration;

use proto::{Batch, Carrier, Instant, NoSpace, Path, Transmit, Writer};
use stun::wire::{Attribute, Class, Encoder, Method, TransactionId};

use crate::generation::Peer;
use crate::pair::{Check, Link, Pair, PairId, PairState};
use crate::{Agent, Role, State};

impl Agent {
    /// From and to where the next datagram of [`poll_transmit`](Self::poll_transmit) goes, before it is
    /// encoded: for whoever puts framing around it.
    pub fn next_path(&self, now: Instant) -> Option<Path> {
        let now = self.now.max(now);
        match self.next_action(now)? {
            Action::Reply => self.replies.front().map(|reply| reply.path),
            Action::Consent { is_previous: true } => self.previous.as_ref()?.selected_path(),
            Action::Consent { is_previous: false } => self.generation.selected_path(),
            Action::KeepAlive => self.generation.selected_path(),
            Action::Check(id) => self.generation.pair(Some(id)).map(|pair| pair.path),
        }
    }

    /// Appends the next datagram to `batch`, which must be empty, straight into the caller's memory.
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.begin(now);
        let path = match self.next_action(self.now)? {
            Action::Reply => self.send_reply(batch)?,
            Action::Consent { is_previous } => self.send_consent(is_previous, batch)?,
            Action::KeepAlive => self.send_keepalive(batch)?,
            Action::Check(id) => self.send_check(id, batch)?,
        };
        self.finish();
        batch.finish(path, None)
    }

    fn next_action(&self, now: Instant) -> Option<Action> {
        if !self.is_active() {
            return None;
        }
        if self.replies.front().is_some() {
            return Some(Action::Reply);
        }
        if self.poll_timeout().is_none_or(|due| due > now) {
            return None;
        }
        if self.lite.is_some() {
            return self.keepalive_due().filter(|due| *due <= now).map(|_| Action::KeepAlive);
        }
        for (generation, is_previous) in [(Some(&self.generation), false), (self.previous.as_deref(), true)] {
            let Some(generation) = generation else { continue };
            let is_used = generation.selected.is_some() && generation.peer.is_some();
            if is_used && generation.consent.as_ref().is_some_and(|consent| consent.due() <= now) {
                return Some(Action::Consent { is_previous });
            }
        }
        if now < self.next_check || !self.has_slot() || self.generation.peer.is_none() {
            return None;
        }
        self.next_pair(now).map(Action::Check)
    }

    /// Whose check goes next: triggered ones in their order, then new ones from the best down, then
    /// those to be sent again (RFC 8445 §6.1.4.2).
    pub(crate) fn next_pair(&self, now: Instant) -> Option<PairId> {
        let generation = &self.generation;
        if self.lite.is_some() {
            return None;
        }
        let can_send = |pair: &&Pair| pair.link == Link::Open && generation.budget(pair.path) > 0;
        let sendable = || generation.pairs.iter().filter(can_send);
        let triggered = sendable().filter(|pair| pair.triggered.is_some());
        if let Some(pair) = triggered.min_by_key(|pair| pair.triggered) {
            return Some(pair.id);
        }
        let of = |state: PairState| {
            sendable().filter(move |pair| pair.state == state && self.is_worth_checking(pair))
        };
        let thawed = || of(PairState::Frozen).filter(|pair| generation.is_thawed(pair));
        let waiting = of(PairState::Waiting).max_by_key(|pair| pair.priority);
        if let Some(pair) = waiting.or_else(|| thawed().max_by_key(|pair| pair.priority)) {
            return Some(pair.id);
        }
        let due = |pair: &&Pair| {
            let check = pair.check.as_ref();
            check.is_some_and(|check| check.due <= now && check.sent < self.requests_allowed(pair))
        };
        sendable()
            .filter(due)
            .min_by_key(|pair| pair.check.as_ref().map(|check| check.due))
            .map(|pair| pair.id)
    }

    /// When the next check can leave, if one wants to.
    pub(crate) fn next_send(&self) -> Option<Instant> {
        self.generation.peer.as_ref()?;
        let wants = self.next_pair(self.now).is_some() || self.next_connection().is_some();
        // A frozen pair thaws when the one in front of it is sent again: that is a time-out of its own.
        wants.then(|| self.next_check.max(self.now))
    }

    fn send_reply(&mut self, batch: &mut Batch<'_>) -> Option<Path> {
        let reply = self.replies.front()?;
        let previous = self.previous.as_deref().filter(|_| reply.is_previous);
        let key = &previous.unwrap_or(&self.generation).key;
        batch.append(|out| reply.encode(out, key)).ok()?;
        let (path, is_previous) = (reply.path, reply.is_previous);
        self.replies.pop();
        let previous = self.previous.as_deref_mut().filter(|_| is_previous);
        if let Some(pair) = previous.unwrap_or(&mut self.generation).pair_on_mut(path) {
            pair.replies = pair.replies.wrapping_add(1);
        }
        let (now, selected) = (self.now, self.generation.selected_path());
        if let Some(lite) = self.lite.as_mut().filter(|_| selected == Some(path)) {
            lite.sent(now);
        }
        self.counters.replies_sent = self.counters.replies_sent.wrapping_add(1);
        Some(path)
    }

    /// RFC 8445 §11: it keeps NATs and firewalls of the peer open, and wants no answer.
    fn send_keepalive(&mut self, batch: &mut Batch<'_>) -> Option<Path> {
        let (now, id, path) = (self.now, self.next_id, self.generation.selected_path()?);
        let written =
            batch.append(|out| Encoder::new(out, Class::Indication, Method::BINDING, id)?.finish(None));
        written.ok()?;
        self.next_id = TransactionId(self.rng.array());
        if let Some(lite) = &mut self.lite {
            lite.sent(now);
        }
        self.counters.keepalives_sent = self.counters.keepalives_sent.wrapping_add(1);
        Some(path)
    }

    fn send_consent(&mut self, is_previous: bool, batch: &mut Batch<'_>) -> Option<Path> {
        let (id, role, tie_break) = (self.next_id, self.role, self.tie_break);
        let generation = if is_previous { self.previous.as_deref_mut()? } else { &mut self.generation };
        let selected = generation.selected?;
        let pair = generation.pair(Some(selected))?;
        let check = Fields { id, role, tie_break, priority: pair.reflexive_priority, nomination: None };
        let peer = generation.peer.as_ref()?;
        batch.append(|out| check.encode(out, peer)).ok()?;
        let path = pair.path;
        if let Some(pair) = generation.pair_mut(selected) {
            pair.requests = pair.requests.wrapping_add(1);
            pair.consents = pair.consents.wrapping_add(1);
        }
        generation.consent.as_mut()?.sent(self.now, id, &self.config, &mut self.rng);
        self.next_id = TransactionId(self.rng.array());
        self.counters.consent_sent = self.counters.consent_sent.wrapping_add(1);
        Some(path)
    }

    fn send_check(&mut self, id: PairId, batch: &mut Batch<'_>) -> Option<Path> {
        let (now, role, tie_break) = (self.now, self.role, self.tie_break);
        let pair = self.generation.pair(Some(id))?;
        // RFC 8445 §7.2.2: the same request again has the same bytes; a changed role makes another one.
        let again = pair.check.as_ref().filter(|check| pair.triggered.is_none() && check.role == role);
        let (transaction, sent, first) =
            again.map_or((self.next_id, 0, now), |check| (check.id, check.sent, check.first));
        let is_nominating = pair.nominating && role == Role::Controlling;
        let nomination = is_nominating.then(|| if self.may_renominate() { self.nomination } else { 0 });
        let priority = pair.reflexive_priority;
        let check = Fields { id: transaction, role, tie_break, priority, nomination };
        let peer = self.generation.peer.as_ref()?;
        batch.append(|out| check.encode(out, peer)).ok()?;

        let path = pair.path;
        let sent = sent.saturating_add(1);
        let due = now + self.wait_after(pair, sent);
        if transaction == self.next_id {
            self.next_id = TransactionId(self.rng.array());
        }
        let check = Check { id: transaction, sent, first, last: now, due, nomination, role };
        let pair = self.generation.pair_mut(id)?;
        pair.check = Some(check);
        pair.triggered = None;
        pair.requests = pair.requests.wrapping_add(1);
        pair.checks = pair.checks.wrapping_add(u32::from(sent == 1));
        if !pair.is_valid() {
            pair.state = PairState::InProgress;
        }
        if let Some(remote) = self.generation.remote_mut(path) {
            remote.budget = remote.budget.map(|budget| budget.saturating_sub(1));
        }
        self.use_slot();
        self.counters.checks_sent = self.counters.checks_sent.wrapping_add(1);
        Some(path)
    }

    /// RFC 8445 §14.3 and RFC 8489 §6.2.1; on a pair that has worked both ways no doubling.
    fn wait_after(&self, pair: &Pair, sent: u32) -> Duration {
        let busy = self
            .generation
            .pairs
            .iter()
            .filter(|pair| matches!(pair.state, PairState::Waiting | PairState::InProgress));
        let busy = u32::try_from(busy.count()).unwrap_or(u32::MAX);
        let rto = self.config.rto.max(self.config.pace.saturating_mul(busy));
        let rto = rto.max(Duration::from_millis(1));
        if pair.path.carrier == Carrier::Framed {
            RELIABLE_WAIT
        } else if pair.is_valid() {
            // Twice as slow towards a peer that may be gone.
            rto.saturating_mul(if self.state == State::Disconnected { 2 } else { 1 })
        } else if sent >= self.requests_allowed(pair) {
            self.config.rto.saturating_mul(self.config.last_wait)
        } else {
            let usual = self.config.max_requests.saturating_add(pair.heard);
            let doubled = if !pair.authenticated {
                sent.saturating_sub(1)
            } else if sent < usual {
                // Towards a peer that has shown its password it is loss, and hardly for being too many.
                sent.saturating_sub(1).min(1)
            } else {
                // Or nothing gets through for a while, which the last ones outlast.
                sent.saturating_sub(usual).saturating_add(3)
            };
            rto.saturating_mul(1 << doubled.min(16))
        }
    }
}

/// What leaves next.
enum Action {
    Reply,
    /// Of a lite agent.
    KeepAlive,
    Consent {
        is_previous: bool,
    },
    Check(PairId),
}

/// What a request says (RFC 8445 §7.1).
struct Fields {
    id: TransactionId,
    role: Role,
    tie_break: u64,
    priority: u32,
    /// With USE-CANDIDATE, and with this number unless it is 0.
    nomination: Option<u32>,
}

impl Fields {
    fn encode(&self, out: &mut Writer<'_>, peer: &Peer) -> Result<(), NoSpace> {
        let mut encoder = Encoder::new(out, Class::Request, Method::BINDING, self.id)?;
        encoder.attribute(Attribute::Username(&peer.username))?;
        encoder.attribute(match self.role {
            Role::Controlling => Attribute::IceControlling(self.tie_break),
            Role::Controlled => Attribute::IceControlled(self.tie_break),
        })?;
        encoder.attribute(Attribute::Priority(self.priority))?;
        if let Some(number) = self.nomination {
            encoder.attribute(Attribute::UseCandidate)?;
            if number > 0 {
                encoder.attribute(Attribute::Nomination(number))?;
            }
        }
        encoder.finish(Some(&peer.key))
    }
}

/// RFC 8489 §6.2.2: over a reliable transport nothing is sent again, and this long waited for the answer.
const RELIABLE_WAIT: Duration = Duration::from_millis(39_500);
