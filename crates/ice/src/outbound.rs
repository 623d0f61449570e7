use proto::{Batch, Instant, NoSpace, Path, Transmit, Writer};
use stun::wire::{Attribute, Class, Encoder, Method, TransactionId};

use crate::generation::Peer;
use crate::pair::{Check, Pair, PairId, PairState};
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
            Action::Check(id) => self.generation.pair(Some(id)).map(|pair| pair.path),
        }
    }

    /// Appends the next datagram to `batch`, which must be empty, straight into the caller's memory.
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.begin(now);
        self.finish();
        let path = match self.next_action(self.now)? {
            Action::Reply => self.send_reply(batch)?,
            Action::Consent { is_previous } => self.send_consent(is_previous, batch)?,
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
        for (generation, is_previous) in [(Some(&self.generation), false), (self.previous.as_deref(), true)] {
            let Some(generation) = generation else { continue };
            let is_used = generation.selected.is_some() && generation.peer.is_some();
            if is_used && generation.consent.as_ref().is_some_and(|consent| consent.due() <= now) {
                return Some(Action::Consent { is_previous });
            }
        }
        if now < self.next_check || self.generation.peer.is_none() {
            return None;
        }
        self.next_pair(now).map(Action::Check)
    }

    /// Whose check goes next: triggered ones in their order, then new ones from the best down, then
    /// those to be sent again (RFC 8445 §6.1.4.2).
    fn next_pair(&self, now: Instant) -> Option<PairId> {
        let generation = &self.generation;
        let can_send = |pair: &&Pair| generation.budget(pair.path.remote) > 0;
        let sendable = || generation.pairs.iter().filter(can_send);
        let triggered = sendable().filter(|pair| pair.triggered.is_some());
        if let Some(pair) = triggered.min_by_key(|pair| pair.triggered) {
            return Some(pair.id);
        }
        if generation.nominated.is_none() {
            let of = |state: PairState| sendable().filter(move |pair| pair.state == state);
            let thawed = || of(PairState::Frozen).filter(|pair| generation.is_thawed(pair));
            let waiting = of(PairState::Waiting).max_by_key(|pair| pair.priority);
            if let Some(pair) = waiting.or_else(|| thawed().max_by_key(|pair| pair.priority)) {
                return Some(pair.id);
            }
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
        let wants = self.next_pair(self.now).is_some();
        // A frozen pair thaws when the one in front of it is sent again: that is a time-out of its own.
        wants.then(|| self.next_check.max(self.now))
    }

    fn send_reply(&mut self, batch: &mut Batch<'_>) -> Option<Path> {
        let reply = self.replies.front()?;
        let previous = self.previous.as_deref().filter(|_| reply.is_previous);
        let key = &previous.unwrap_or(&self.generation).key;
        batch.append(|out| reply.encode(out, key)).ok()?;
        let path = reply.path;
        self.replies.pop();
        self.counters.replies_sent = self.counters.replies_sent.wrapping_add(1);
        Some(path)
    }

    fn send_consent(&mut self, is_previous: bool, batch: &mut Batch<'_>) -> Option<Path> {
        let (id, role, tie_break) = (self.next_id, self.role, self.tie_break);
        let generation = if is_previous { self.previous.as_deref_mut()? } else { &mut self.generation };
        let selected = generation.selected?;
        let pair = generation.pair(Some(selected))?;
        let check = Fields { id, role, tie_break, priority: pair.reflexive_priority, nominate: false };
        let peer = generation.peer.as_ref()?;
        batch.append(|out| check.encode(out, peer)).ok()?;
        let path = pair.path;
        if let Some(pair) = generation.pair_mut(selected) {
            pair.requests = pair.requests.wrapping_add(1);
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
        let nominate = pair.nominating && role == Role::Controlling;
        let priority = pair.reflexive_priority;
        let check = Fields { id: transaction, role, tie_break, priority, nominate };
        let peer = self.generation.peer.as_ref()?;
        batch.append(|out| check.encode(out, peer)).ok()?;

        let path = pair.path;
        let sent = sent.saturating_add(1);
        let due = now + self.wait_after(pair, sent);
        if transaction == self.next_id {
            self.next_id = TransactionId(self.rng.array());
        }
        let check = Check { id: transaction, sent, first, last: now, due, nominate, role };
        let pair = self.generation.pair_mut(id)?;
        pair.check = Some(check);
        pair.triggered = None;
        pair.requests = pair.requests.wrapping_add(1);
        if !pair.is_valid() {
            pair.state = PairState::InProgress;
        }
        if let Some(remote) = self.generation.remote_mut(path.remote) {
            remote.budget = remote.budget.map(|budget| budget.saturating_sub(1));
        }
        self.next_check = now + self.config.pace;
        self.counters.checks_sent = self.counters.checks_sent.wrapping_add(1);
        Some(path)
    }

    /// RFC 8445 §14.3 and RFC 8489 §6.2.1; on a pair that has worked both ways no doubling.
    fn wait_after(&self, pair: &Pair, sent: u32) -> std::time::Duration {
        let busy = self
            .generation
            .pairs
            .iter()
            .filter(|pair| matches!(pair.state, PairState::Waiting | PairState::InProgress));
        let busy = u32::try_from(busy.count()).unwrap_or(u32::MAX);
        let rto = self.config.rto.max(self.config.pace.saturating_mul(busy));
        let rto = rto.max(std::time::Duration::from_millis(1));
        if pair.is_valid() {
            // Twice as slow towards a peer that may be gone.
            rto.saturating_mul(if self.state == State::Disconnected { 2 } else { 1 })
        } else if sent >= self.requests_allowed(pair) {
            self.config.rto.saturating_mul(self.config.last_wait)
        } else {
            rto.saturating_mul(1 << sent.saturating_sub(1).min(16))
        }
    }
}

/// What leaves next.
enum Action {
    Reply,
    Consent { is_previous: bool },
    Check(PairId),
}

/// What a request says (RFC 8445 §7.1).
struct Fields {
    id: TransactionId,
    role: Role,
    tie_break: u64,
    priority: u32,
    nominate: bool,
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
        if self.nominate {
            encoder.attribute(Attribute::UseCandidate)?;
        }
        encoder.finish(Some(&peer.key))
    }
}
