use std::net::SocketAddr;

use proto::{Arrival, Carrier, Path};
use stun::wire::{Attribute, Class, Message, Method, TransactionId};

use crate::generation::{EarlyCheck, Generation, Remote};
use crate::local::Local;
use crate::pair::{Pair, PairState};
use crate::reply::{Answer, Reply};
use crate::{Agent, Discard, Kind, LocalCandidate, Role, State, TcpType};

impl Agent {
    /// Takes a datagram that arrived.
    ///
    /// # Errors
    ///
    /// Why it was ignored; but for counters and at most one error response, the state is unchanged.
    pub fn handle_datagram(&mut self, arrival: Arrival, datagram: &[u8]) -> Result<(), Discard> {
        self.begin(arrival.at);
        let result = self.examine(arrival.path, datagram);
        if result.is_err() {
            self.counters.discarded = self.counters.discarded.wrapping_add(1);
        }
        // What was refused has changed nothing, and may have an answer.
        if result.is_ok() || self.replies.front().is_some() {
            self.finish();
        }
        result
    }

    fn examine(&mut self, path: Path, datagram: &[u8]) -> Result<(), Discard> {
        if !self.is_active() {
            return Err(Discard::Inactive);
        }
        let message = Message::decode_within(datagram, self.config.max_attributes)?;
        if message.method() != Method::BINDING {
            return Err(Discard::Method);
        }
        match message.class() {
            Class::Request => self.handle_request(path, &message),
            // RFC 8445 §11: a keep-alive, which wants nothing and proves nothing.
            Class::Indication => Ok(()),
            Class::Success | Class::Error => self.handle_response(path, &message),
        }
    }

    fn handle_request(&mut self, path: Path, message: &Message<'_>) -> Result<(), Discard> {
        // Where no candidate of ours is nobody answers, not even to refuse: the address may have to stay unknown.
        if !self.is_ours(path) {
            return Err(Discard::UnknownLocal);
        }
        let is_previous = match self.authenticate(message) {
            Ok(is_previous) => is_previous,
            Err(discard) => {
                let code = if discard == Discard::Unsigned { 400 } else { 401 };
                if discard == Discard::Forged {
                    self.counters.unauthorized = self.counters.unauthorized.wrapping_add(1);
                    self.generation.has_refusals = true;
                }
                self.reply(path, message, Answer::Unauthenticated(code), false);
                return Err(discard);
            }
        };
        if let Some(kind) = message.unknown_required().next() {
            self.reply(path, message, Answer::UnknownAttribute(kind), is_previous);
            return Err(Discard::UnknownAttribute(kind));
        }
        let request = Request::read(message);
        let Some(priority) = request.priority else {
            self.reply(path, message, Answer::Incomplete, is_previous);
            return Err(Discard::Incomplete);
        };
        if !is_previous && !self.settle_roles(&request) {
            self.reply(path, message, Answer::RoleConflict, is_previous);
            return Err(Discard::RoleConflict);
        }
        self.counters.requests_received = self.counters.requests_received.wrapping_add(1);
        self.reply(path, message, Answer::Success, is_previous);
        if is_previous {
            let (now, is_lite) = (self.now, self.lite.is_some());
            let previous = self.previous.as_mut().filter(|previous| previous.selected_path() == Some(path));
            if let Some(consent) = previous.and_then(|previous| previous.consent.as_mut()) {
                consent.hear_as(now, is_lite);
            }
            return Ok(());
        }
        let nomination = request.nomination(self.config.renomination);
        let asked = Asked { path, priority, nomination, id: message.transaction() };
        if self.generation.peer.is_some() {
            self.take_check(asked);
        } else {
            self.remember(asked, &request);
        }
        Ok(())
    }

    /// Whether a candidate of ours, or the connection that one has opened, is where `path` begins.
    fn is_ours(&self, path: Path) -> bool {
        let is_base = |local: &Local| local.given.base == path.local && local.given.carrier == path.carrier;
        let pairs = [Some(&self.generation), self.previous.as_deref()].into_iter().flatten();
        let mut opened = pairs.flat_map(|generation| &generation.pairs);
        self.locals.iter().any(is_base)
            || (path.carrier == Carrier::Framed && opened.any(|pair| pair.path == path))
    }

    /// RFC 8445 §7.3, RFC 8489 §9.1.3. Says whether the request is of the generation before.
    fn authenticate(&self, message: &Message<'_>) -> Result<bool, Discard> {
        let username = message.username().filter(|_| message.is_signed()).ok_or(Discard::Unsigned)?;
        let (ours, theirs) = ufrags(username).ok_or(Discard::WrongUsername)?;
        let is_addressed = |generation: &Generation| {
            let peer = generation.peer.as_ref();
            generation.credentials.ufrag() == ours
                && peer.is_none_or(|peer| peer.credentials.ufrag() == theirs)
        };
        let previous = self.previous.as_deref().filter(|previous| is_addressed(previous));
        let (generation, is_previous) = match (is_addressed(&self.generation), previous) {
            (true, _) => (&self.generation, false),
            (false, Some(previous)) => (previous, true),
            (false, None) => return Err(Discard::WrongUsername),
        };
        message.verify(&generation.key).map_err(|_| Discard::Forged)?;
        Ok(is_previous)
    }

    fn reply(&mut self, path: Path, request: &Message<'_>, answer: Answer, is_previous: bool) {
        let (id, is_sha256) = (request.transaction(), request.is_signed_with_sha256());
        if !self.replies.push(self.now, Reply { path, id, is_sha256, answer, is_previous }) {
            self.counters.replies_dropped = self.counters.replies_dropped.wrapping_add(1);
        }
    }

    /// RFC 8445 §7.3.1.1: of two agents in one role the one with the smaller tie-breaker changes. Says
    /// whether the request stands.
    fn settle_roles(&mut self, request: &Request<'_>) -> bool {
        let (theirs, keeps_larger) = match (self.role, request.role) {
            (Role::Controlling, Some((Role::Controlling, theirs))) => (theirs, true),
            (Role::Controlled, Some((Role::Controlled, theirs))) => (theirs, false),
            _ => return true,
        };
        if self.lite.is_some() {
            // It cannot be the other way round (RFC 8445 §6.1.1), so the peer has to see it.
            return false;
        }
        if theirs == self.tie_break {
            self.tie_break = self.rng.u64(); // else both might change together for ever
        }
        if (self.tie_break >= theirs) == keeps_larger {
            return false;
        }
        self.switch_role(true);
        true
    }

    fn remember(&mut self, asked: Asked, request: &Request<'_>) {
        let ufrag = request.username.and_then(ufrags).map_or("", |(_, theirs)| theirs).to_owned();
        let early = &mut self.generation.early;
        if let Some(known) =
            early.iter_mut().find(|known| known.asked.path == asked.path && known.ufrag == ufrag)
        {
            let nomination = known.asked.nomination.max(asked.nomination);
            known.asked = Asked { nomination, ..asked };
        } else if early.len() < self.config.max_early_checks {
            early.push(EarlyCheck { asked, ufrag });
        }
    }

    /// What an authenticated check of the peer's means (RFC 8445 §7.3.1.3 to §7.3.1.5).
    pub(crate) fn take_check(&mut self, asked: Asked) {
        let Asked { path, priority, nomination, .. } = asked;
        if !self.learn_remote(path, priority, nomination > 0) {
            return;
        }
        let Some(id) = self.generation.pair_on(path).or_else(|| self.add_pair_on(path, priority)) else {
            return;
        };
        let (now, pace) = (self.now, self.config.pace);
        let (is_controlled, is_silent) = (self.role == Role::Controlled, self.state == State::Disconnected);
        let is_selected = self.generation.selected == Some(id);
        let (trigger, is_lite) = (self.next_trigger, self.lite.is_some());
        let Some(pair) = self.generation.pair_mut(id) else { return };
        pair.heard = pair.heard.wrapping_add(1);
        let is_new = !std::mem::replace(&mut pair.authenticated, true);
        if is_controlled {
            pair.peer_nomination = pair.peer_nomination.max(nomination);
        }
        if is_lite {
            if is_new {
                self.sync_routes();
            }
            return self.take_lite_check(id, &asked);
        }
        let is_framed = path.carrier == Carrier::Framed;
        match (pair.state, &mut pair.check) {
            (PairState::Succeeded, check) => {
                if is_selected && is_silent && check.is_none() {
                    pair.triggered.get_or_insert(trigger);
                }
            }
            // The same request again at once: our first may have met a closed NAT.
            (_, Some(_)) if is_framed => {}
            (_, Some(check)) => check.due = check.due.min(now.max(check.last + pace.saturating_mul(2))),
            (_, None) => {
                pair.state = PairState::Waiting;
                pair.triggered.get_or_insert(trigger);
            }
        }
        self.next_trigger = self.next_trigger.wrapping_add(1);
        if is_new {
            self.sync_routes();
        }
        if is_selected && let Some(consent) = &mut self.generation.consent {
            consent.hear(now);
        }
        // The peer has another address, as behind a NAT that has forgotten the last one.
        if is_new && !is_selected && self.generation.nominated.is_some() {
            self.doubt_selected();
        }
        self.follow_nomination(id);
    }

    /// Knows the address that a check came from, as peer-reflexive if need be, and lets one packet more
    /// go there. Says whether there was room.
    fn learn_remote(&mut self, path: Path, priority: u32, nominates: bool) -> bool {
        let max_budget = self.config.max_unanswered.saturating_mul(2);
        if let Some(remote) = self.generation.remote_mut(path) {
            remote.budget = remote.budget.map(|budget| budget.saturating_add(1).min(max_budget));
            return true;
        }
        let has_room = self.has_room_to_learn(path.local, nominates);
        if has_room {
            let foundation = format!("prflx{}", self.generation.remotes.len()).into_boxed_str();
            let budget = Some(self.config.max_unanswered);
            let kind = Kind::PeerReflexive;
            let Path { carrier, remote: address, .. } = path;
            // Who came to a listener of ours has opened the connection, and can be reached by no other one.
            let tcp_type = (carrier == Carrier::Framed).then_some(TcpType::Active);
            let ufrag = None;
            self.generation.add_remote(|number| Remote {
                number,
                address,
                carrier,
                tcp_type,
                kind,
                priority,
                foundation,
                ufrag,
                budget,
            });
        }
        has_room
    }

    /// Where both sides are behind NATs that map each destination anew, every check shows another address, and none of
    /// them ever answers: without a limit, checks of those would leave no turn for others, a relay's for example. One
    /// whose checks have failed makes room, and for one that the peer nominates the oldest does.
    fn has_room_to_learn(&mut self, base: SocketAddr, nominates: bool) -> bool {
        let Self { generation, config, .. } = self;
        let Generation { remotes, pairs, .. } = generation;
        let is_learned = |remote: &Remote| {
            let came_here =
                |pair: &Pair| pair.path.local == base && pair.path.remote == remote.address && pair.heard > 0;
            remote.kind == Kind::PeerReflexive && remote.budget.is_some() && pairs.iter().any(came_here)
        };
        let is_hopeless = |remote: &Remote| {
            let mut own = pairs.iter().filter(|pair| pair.path.remote == remote.address);
            is_learned(remote) && own.all(|pair| pair.state == PairState::Failed)
        };
        let learned = remotes.iter().filter(|remote| is_learned(remote)).count();
        let is_full = u32::try_from(learned).is_ok_and(|learned| learned >= config.max_learned);
        if is_full {
            let oldest = || remotes.iter().position(is_learned).filter(|_| nominates);
            let Some(at) = remotes.iter().position(is_hopeless).or_else(oldest) else { return false };
            let gone = remotes.remove(at);
            pairs.retain(|pair| pair.path.remote != gone.address);
        }
        if remotes.len() >= config.max_candidates || pairs.len() >= config.max_pairs {
            generation.forget_stalest();
        }
        generation.remotes.len() < config.max_candidates
    }

    fn add_pair_on(&mut self, path: Path, priority: u32) -> Option<crate::pair::PairId> {
        let local = self.locals.iter().find(|local| {
            let LocalCandidate { base, kind, carrier, .. } = local.given;
            base == path.local && carrier == path.carrier && kind != Kind::PeerReflexive
        })?;
        let remote = self.generation.remote(path);
        let foundation =
            (local.foundation, remote.map(|remote| remote.foundation.clone()).unwrap_or_default());
        let remote_priority = remote.map_or(priority, |remote| remote.priority);
        let priorities = (local.priority(), remote_priority, local.reflexive_priority());
        let id = local.id;
        self.generation.insert(id, path, priorities, foundation, self.role, &self.config)
    }

    fn handle_response(&mut self, path: Path, message: &Message<'_>) -> Result<(), Discard> {
        let id = message.transaction();
        let is_previous = !holds(&self.generation, id);
        let generation = if is_previous { self.previous.as_deref() } else { Some(&self.generation) };
        let generation = generation.filter(|known| holds(known, id)).ok_or(Discard::UnknownTransaction)?;
        let peer = generation.peer.as_ref().ok_or(Discard::UnknownTransaction)?;
        let pair = match generation.pairs.iter().find(|pair| asks(pair, id)) {
            Some(pair) => pair,
            None => generation.pair(generation.selected).ok_or(Discard::UnknownTransaction)?,
        };
        let pair_id = pair.id;
        // RFC 8445 §7.2.5.2.1.
        if pair.path != path {
            return Err(Discard::Asymmetric);
        }
        let error = message.error_code().map(|error| error.code);
        // RFC 8489 §9.1.4: our requests have the shorter code, and so has what answers them.
        if message.is_signed_with_sha256() || message.verify(&peer.key).is_err() {
            self.counters.unauthorized = self.counters.unauthorized.wrapping_add(1);
            self.generation.has_refusals |= !is_previous;
            if let (Class::Error, false, Some(code)) = (message.class(), message.is_signed(), error) {
                self.counters.refused = self.counters.refused.wrapping_add(1);
                if let Some(pair) = self.generation.pair_mut(pair_id).filter(|_| !is_previous) {
                    pair.error = Some(code);
                }
                return Err(Discard::Refused(code));
            }
            return Err(Discard::Forged);
        }
        if let Some(kind) = message.unknown_required().next() {
            return Err(Discard::UnknownAttribute(kind));
        }
        match message.class() {
            Class::Success => {
                let mapped = message.mapped_address().ok_or(Discard::Incomplete)?;
                self.counters.responses_received = self.counters.responses_received.wrapping_add(1);
                self.take_success(is_previous, pair_id, id, mapped);
            }
            Class::Request | Class::Indication | Class::Error => {
                let code = error.ok_or(Discard::Incomplete)?;
                if !is_previous {
                    self.take_refusal(pair_id, id, code);
                }
            }
        }
        Ok(())
    }

    /// RFC 8445 §7.2.5.3.
    fn take_success(
        &mut self,
        is_previous: bool,
        pair_id: crate::pair::PairId,
        id: TransactionId,
        mapped: SocketAddr,
    ) {
        let now = self.now;
        let generation = if is_previous { self.previous.as_deref_mut() } else { Some(&mut self.generation) };
        let Some(generation) = generation else { return };
        if let Some(pair) = generation.pair_mut(pair_id) {
            pair.answered = now;
            let is_same = |local: &&Local| {
                let is_opened = local.is_active() && local.id == pair.local && mapped == pair.path.local;
                is_opened || (local.given.address, local.given.base) == (mapped, pair.path.local)
            };
            let known = self.locals.iter().find(is_same);
            pair.local_kind = Some(known.map_or(Kind::PeerReflexive, |local| local.given.kind));
            let before = pair.mapped.replace(mapped);
            pair.has_moved |= before.is_some_and(|before| before != mapped);
        }
        let is_selected = generation.selected == Some(pair_id);
        if is_selected && let Some(consent) = &mut generation.consent {
            let sample = consent.answered(now, id);
            if sample.is_none() {
                consent.renew(now);
            }
            if let (Some(sample), Some(pair)) = (sample, generation.pair_mut(pair_id)) {
                pair.measure(sample);
                pair.note_round_trip(sample);
                pair.responses = pair.responses.wrapping_add(1);
            }
        }
        let Some(pair) = generation.pair_mut(pair_id) else { return };
        let Some(check) = pair.check.take_if(|check| check.id == id) else { return };
        if check.sent == 1 {
            if is_selected { pair.measure(now - check.first) } else { pair.measure_rarely(now - check.first) }
        }
        // Of a request that was sent again the last is taken for the one that was answered.
        pair.note_round_trip(now - if check.sent == 1 { check.first } else { check.last });
        let is_first = pair.responses == 0;
        pair.responses = pair.responses.wrapping_add(1);
        pair.succeed();
        pair.triggered = None;
        pair.error = None;
        let is_new = !std::mem::replace(&mut pair.authenticated, true);
        let nominated =
            check.nomination.is_some() && check.role == self.role && std::mem::take(&mut pair.nominating);
        let (path, foundation) = (pair.path, pair.foundation.clone());
        if let Some(remote) = generation.remote_mut(path) {
            remote.budget = None;
        }
        generation.unfreeze(&foundation);
        generation.first_valid.get_or_insert(now);
        if is_new || is_first {
            self.sync_routes();
        }
        self.learn_local(path, mapped);
        if nominated {
            self.nominated(pair_id);
        } else {
            self.select_best();
            self.follow_nomination(pair_id);
        }
    }

    /// RFC 8445 §7.2.5.3.1: an address of ours that only the peer could show.
    fn learn_local(&mut self, path: Path, mapped: SocketAddr) {
        // What a connection of ours begins at is nothing that anybody could connect to.
        let is_known = path.carrier == Carrier::Framed
            || self
                .locals
                .iter()
                .any(|local| local.given.address == mapped && local.given.base == path.local);
        if !is_known {
            let given = LocalCandidate {
                kind: Kind::PeerReflexive,
                address: mapped,
                base: path.local,
                carrier: path.carrier,
                tcp_type: None,
                server: Some(path.remote.ip()),
            };
            let _ = self.push_local(given); // too many: then it is not listed
        }
    }

    /// An authenticated error (RFC 8445 §7.2.5.1, §7.2.5.2.4).
    fn take_refusal(&mut self, pair_id: crate::pair::PairId, id: TransactionId, code: u16) {
        let (role, trigger) = (self.role, self.next_trigger);
        let Some(pair) = self.generation.pair_mut(pair_id) else { return };
        let Some(check) = pair.check.take_if(|check| check.id == id) else { return };
        pair.error = Some(code);
        if code != ROLE_CONFLICT {
            let was_nominating = pair.nominating;
            pair.fail();
            if was_nominating && self.generation.selected == Some(pair_id) {
                // RFC 8445 §7.2.5.3.4: it is not valid any more; what it carried goes another way, if there is one.
                let Generation { selected, consent, nominated, .. } = &mut self.generation;
                (*selected, *consent) = (None, None);
                nominated.take_if(|nominated| *nominated == pair_id);
                self.sync_routes();
                self.select_best();
            }
            return;
        }
        if !pair.is_valid() {
            pair.state = PairState::Waiting;
        }
        pair.triggered.get_or_insert(trigger);
        self.next_trigger = self.next_trigger.wrapping_add(1);
        if check.role == role {
            self.switch_role(true);
            // RFC 8445 §7.2.5.1, §16.1.
            self.tie_break = self.rng.u64();
        }
    }

    pub(crate) fn is_in_flight(&self, id: TransactionId) -> bool {
        holds(&self.generation, id) || self.previous.as_deref().is_some_and(|previous| holds(previous, id))
    }
}

fn holds(generation: &Generation, id: TransactionId) -> bool {
    generation.pairs.iter().any(|pair| asks(pair, id))
        || generation.consent.as_ref().is_some_and(|consent| consent.knows(id))
}

fn asks(pair: &Pair, id: TransactionId) -> bool {
    pair.check.as_ref().is_some_and(|check| check.id == id)
}

/// The two parts of a username, the receiver's first.
pub(crate) fn ufrags(username: &str) -> Option<(&str, &str)> {
    username.split_once(':').filter(|(_, theirs)| !theirs.contains(':'))
}

/// What an agent minds in a request.
struct Request<'a> {
    username: Option<&'a str>,
    priority: Option<u32>,
    nominates: bool,
    nomination: u32,
    role: Option<(Role, u64)>,
}

/// What an authenticated check of the peer's says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) path: Path,
    pub(crate) priority: u32,
    /// 1 for USE-CANDIDATE, the number of a renomination, or 0.
    pub(crate) nomination: u32,
    pub(crate) id: TransactionId,
}

impl<'a> Request<'a> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a few attributes among many")]
    fn read(message: &Message<'a>) -> Self {
        let username = message.username();
        let mut request = Self { username, priority: None, nominates: false, nomination: 0, role: None };
        for attribute in message.attributes() {
            match attribute {
                Attribute::Priority(priority) => request.priority = Some(priority),
                Attribute::UseCandidate => request.nominates = true,
                Attribute::Nomination(number) => request.nomination = number,
                Attribute::IceControlling(tie_break) => request.role = Some((Role::Controlling, tie_break)),
                Attribute::IceControlled(tie_break) => request.role = Some((Role::Controlled, tie_break)),
                _ => {}
            }
        }
        request
    }

    /// As in libwebrtc, where both stand the number counts.
    fn nomination(&self, knows_numbers: bool) -> u32 {
        let number = if knows_numbers { self.nomination } else { 0 };
        number.max(u32::from(self.nominates))
    }
}

const ROLE_CONFLICT: u16 = 487;
