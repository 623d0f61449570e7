use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crypto::Rng;
use proto::{Carrier, Instant, Path};
use stun::wire::{Class, Message, TransactionId, is_stun};

use crate::census::PairKey;
use crate::consent::Consent;
use crate::generation::{Generation, Peer, Remote};
use crate::inbound::ufrags;
use crate::lite::Lite;
use crate::local::{Local, direction_preference, is_link_local};
use crate::pair::{Link, Pair, PairState};
use crate::reply::Replies;
use crate::restart::Former;
use crate::routes::RouteState;
use crate::stats::Counters;
use crate::tcp::Closing;
use crate::{
    Address, Candidate, CandidateError, CandidateId, Config, Credentials, Event, Failure, Kind,
    LocalCandidate, Options, Role, State, TcpType, Traffic, Transport,
};
use stun::IntegrityKey;

/// One ICE session: checks the ways to a peer, agrees with it on one, and keeps that alive.
///
/// ```text
///        remote credentials       a valid pair         nominated, no more candidates
///   New ───────────────────▶ Checking ────────▶ Connected ───────────────▶ Completed
///    ▲                          │  ▲             │     ▲                     │    ▲
///    │ restart                  │  └─restart─────┤     └────── answers ─┐    │    │
///    │               patience   │                └───── silence ──▶ Disconnected ─┘
///    │               runs out   ▼                                       │
///    └────────────────────── Failed ◀───────────── consent expires ─────┘
/// ```
///
/// Call the inputs whenever something happens, then drain the outputs: `poll_transmit` until `None`,
/// `poll_event` and `poll_route` until `None`, and sleep until `poll_timeout`.
#[derive(Debug)]
pub struct Agent {
    pub(crate) config: Config,
    pub(crate) now: Instant,
    pub(crate) rng: Rng,
    pub(crate) role: Role,
    pub(crate) tie_break: u64,
    pub(crate) state: State,
    pub(crate) locals: Vec<Local>,
    pub(crate) generation: Generation,
    /// What was before the restart, as long as its path is still the selected one.
    pub(crate) previous: Option<Box<Generation>>,
    /// What a restart that the peer has not answered is taken back to.
    pub(crate) former: Option<Box<Former>>,
    /// Where the pair is on whose path data goes, as it was found when the last input ended: asked for with every datagram.
    pub(crate) selected: Option<Selected>,
    pub(crate) replies: Replies,
    /// The id of the next check: drawn ahead, so that a batch without room changes nothing.
    pub(crate) next_id: TransactionId,
    /// The next check leaves no earlier.
    pub(crate) next_check: Instant,
    pub(crate) next_trigger: u32,
    pub(crate) timeout: Option<Instant>,
    /// Ours or the peer's; counts up with each nomination of ours.
    pub(crate) nomination: u32,
    pub(crate) nominated_at: Instant,
    /// If this agent is lite.
    pub(crate) lite: Option<Box<Lite>>,
    pub(crate) remote_lite: bool,
    pub(crate) remote_options: Options,
    /// The next check has its place among those of all agents.
    pub(crate) holds_slot: bool,
    /// Connections whose end is to be told.
    pub(crate) closing: Option<Box<Closing>>,
    pub(crate) counters: Counters,
    /// Of all pairs, those that are gone included.
    pub(crate) traffic: Traffic,
    /// The selected pair that was counted last, by its generation and itself.
    pub(crate) counted_pair: Option<PairKey>,
    pub(crate) selections: u32,
    pub(crate) events: Events,
    /// In no order: few paths are proved, and most peers have one.
    pub(crate) routes: Vec<RouteState>,
    foundations: Vec<(Kind, IpAddr, Option<IpAddr>, Carrier)>,
    next_candidate: u32,
    pub(crate) restarts: u32,
    /// Generations that there were before this one.
    pub(crate) generations: u32,
}

/// The place of a selected pair among those of its generation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Selected {
    /// It is from before a restart.
    pub(crate) is_previous: bool,
    pub(crate) at: usize,
}

/// Of each kind of event the latest.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub(crate) role: Option<Role>,
    pub(crate) path: Option<Path>,
    pub(crate) state: Option<State>,
}

impl Agent {
    /// An agent with credentials of its own and nothing else. Equal seeds and equal inputs give equal
    /// bytes.
    pub fn new(now: Instant, mut config: Config, seed: [u8; 32]) -> Self {
        config.pace = config.pace.max(LEAST_PACE);
        let mut rng = Rng::new(seed);
        let credentials = Credentials::draw(&config.ufrag_prefix, &mut rng);
        let tie_break = config.tie_break.unwrap_or_else(|| rng.u64());
        Self {
            now,
            // RFC 8445 §6.1.1: a lite agent is controlled, until it is known that the peer is lite too.
            role: if config.lite { Role::Controlled } else { config.role },
            tie_break,
            state: State::New,
            locals: Vec::new(),
            generation: Generation::new(credentials, &config),
            previous: None,
            former: None,
            selected: None,
            replies: Replies::new(config.max_replies, config.max_refusals),
            next_id: TransactionId(rng.array()),
            next_check: now,
            next_trigger: 0,
            timeout: None,
            nomination: 0,
            nominated_at: now,
            lite: config.lite.then(|| Box::new(Lite::new(now))),
            remote_lite: false,
            remote_options: Options::default(),
            holds_slot: false,
            closing: None,
            counters: Counters::default(),
            traffic: Traffic::default(),
            counted_pair: None,
            selections: 0,
            events: Events::default(),
            routes: Vec::new(),
            foundations: Vec::new(),
            next_candidate: 0,
            restarts: 0,
            generations: 0,
            rng,
            config,
        }
    }

    /// Our ufrag and password, to be signalled.
    pub const fn local_credentials(&self) -> &Credentials {
        &self.generation.credentials
    }

    /// Takes a ufrag and password in place of those that were drawn, where the peer knows ours beforehand. What was
    /// found with others is dropped, as by a [`restart`](Self::restart), but for the path.
    pub fn set_local_credentials(&mut self, now: Instant, credentials: Credentials) {
        self.begin(now);
        if self.state != State::Closed && !self.generation.credentials.is_same(&credentials) {
            self.replace_generation(credentials);
        }
        self.finish();
    }

    /// The other side's, if they are known.
    pub fn remote_credentials(&self) -> Option<&Credentials> {
        self.generation.peer.as_ref().map(|peer| &peer.credentials)
    }

    /// Takes the peer's ufrag and password, and begins to check. Others than before, without a
    /// [`restart`](Self::restart) of ours, drop what was found with the old ones, but for the path.
    pub fn set_remote_credentials(&mut self, now: Instant, remote: Credentials) {
        self.begin(now);
        if self.state == State::Closed {
            return;
        }
        if let Some(peer) = &self.generation.peer {
            if peer.credentials.is_same(&remote) {
                return;
            }
            let credentials = self.generation.credentials.clone();
            self.replace_generation(credentials);
        }
        self.former = None;
        let Generation { remotes, pairs, peer, started, credentials, .. } = &mut self.generation;
        let is_ours = |given: &Remote| given.ufrag.as_deref().is_none_or(|ufrag| ufrag == remote.ufrag());
        remotes.retain(is_ours);
        remotes.iter_mut().for_each(|remote| remote.ufrag = None);
        pairs.retain(|pair| remotes.iter().any(|remote| remote.address == pair.path.remote));
        *started = Some(self.now);
        *peer = Some(Peer {
            key: IntegrityKey::short_term(self.config.provider, remote.password()),
            username: format!("{}:{}", remote.ufrag(), credentials.ufrag()),
            credentials: remote,
        });
        if matches!(self.state, State::Failed(_)) {
            self.state = State::New;
        }
        for early in std::mem::take(&mut self.generation.early) {
            if self.remote_credentials().is_some_and(|remote| remote.ufrag() == early.ufrag) {
                self.take_check(early.asked);
            }
        }
        self.finish();
    }

    /// The peer is lite (`a=ice-lite`): it sends no checks, so we control (RFC 8445 §6.1.1), or where both sides are lite
    /// whoever offered.
    pub fn set_remote_lite(&mut self, now: Instant) {
        self.begin(now);
        self.remote_lite = true;
        let wanted = if self.lite.is_some() { self.config.role } else { Role::Controlling };
        if self.role != wanted {
            self.switch_role(false);
        }
        self.finish();
    }

    /// What the peer says that it can (`a=ice-options`). Until then it can nothing of this.
    pub fn set_remote_options(&mut self, now: Instant, options: Options) {
        self.begin(now);
        self.remote_options = options;
        self.finish();
    }

    /// What the peer said that it can.
    pub const fn remote_options(&self) -> Options {
        self.remote_options
    }

    /// Adds a candidate of ours, and pairs it with the peer's.
    ///
    /// # Errors
    ///
    /// It cannot be used, or there are too many. One that is known already is named again.
    pub fn add_local_candidate(
        &mut self,
        now: Instant,
        given: LocalCandidate,
    ) -> Result<CandidateId, CandidateError> {
        self.begin(now);
        if self.state == State::Closed {
            return Err(CandidateError::Closed);
        }
        let is_tcp = matches!(given.tcp_type, Some(TcpType::Active | TcpType::Passive));
        if (given.carrier, is_tcp) != (Carrier::Udp, false)
            && (given.carrier, is_tcp) != (Carrier::Framed, true)
        {
            return Err(CandidateError::Transport);
        }
        if !is_usable(given.address) || !is_usable(given.base) {
            return Err(CandidateError::Address);
        }
        let same = |local: &&Local| {
            let known = local.given;
            (known.address, known.base, known.carrier) == (given.address, given.base, given.carrier)
        };
        if let Some(known) = self.locals.iter().find(same)
            && known.given.kind != Kind::PeerReflexive
        {
            return Ok(known.id);
        }
        self.locals.retain(|local| !same(&local));
        let id = self.push_local(given)?;
        if let Some(local) = self.locals.last() {
            self.generation.pair_local(local, self.role, &self.config);
        }
        self.finish();
        Ok(id)
    }

    pub(crate) fn push_local(&mut self, given: LocalCandidate) -> Result<CandidateId, CandidateError> {
        if self.locals.len() >= self.config.max_candidates {
            // What checks have shown is not checked from, and may be where we once were.
            let shown = self.locals.iter().position(|local| local.given.kind == Kind::PeerReflexive);
            self.locals.remove(shown.ok_or(CandidateError::TooMany)?);
        }
        let id = CandidateId(self.next_candidate);
        self.next_candidate = self.next_candidate.wrapping_add(1);
        let key = (given.kind, given.base.ip(), given.server, given.carrier);
        let known = self.foundations.iter().position(|known| *known == key);
        let foundation = known.unwrap_or(self.foundations.len());
        if known.is_none() && foundation < MAX_FOUNDATIONS {
            self.foundations.push(key);
        }
        let preference = self.preference(&given);
        let foundation = u32::try_from(foundation).unwrap_or(u32::MAX).saturating_add(1);
        self.locals.push(Local { id, given, preference, foundation });
        Ok(id)
    }

    /// Local preference (RFC 8445 §5.1.2.1): that of the base, or in the order of addition with the
    /// families in turns (RFC 8421 §4), link-local and loopback addresses last.
    fn preference(&self, given: &LocalCandidate) -> u16 {
        let same_base =
            |local: &&Local| (local.given.base, local.given.tcp_type) == (given.base, given.tcp_type);
        if let Some(base) = self.locals.iter().find(same_base) {
            return base.preference;
        }
        let rank = self.locals.iter().filter(|local| {
            (local.given.kind, local.given.tcp_type) == (given.kind, given.tcp_type)
                && local.given.base.is_ipv4() == given.base.is_ipv4()
        });
        let steps = u16::try_from(rank.count()).unwrap_or(u16::MAX).saturating_mul(2);
        let top = match given.base {
            base if base.ip().is_loopback() => 0x3fff,
            base if is_link_local(base) => 0x7fff,
            _ => 0xffff,
        };
        // RFC 6544 §4.2: three bits of it are the direction's.
        let (direction, bits) = given.tcp_type.map_or((0, 16), |kind| (direction_preference(kind), 13));
        let top = u16::checked_shr(top, 16 - bits).unwrap_or(top);
        direction | u16::saturating_sub(top, steps).saturating_sub(u16::from(given.base.is_ipv4()))
    }

    /// Forgets a candidate of ours, with the paths that begin there.
    pub fn remove_local_candidate(&mut self, now: Instant, id: CandidateId) {
        self.begin(now);
        let Some(at) = self.locals.iter().position(|local| local.id == id) else { return };
        let gone = self.locals.remove(at).given;
        let keeps_base = |local: &Local| (local.given.base, local.given.carrier) == (gone.base, gone.carrier);
        if !self.locals.iter().any(keeps_base) {
            let mut dropped = Vec::new();
            for generation in [Some(&mut self.generation), self.previous.as_deref_mut()].into_iter().flatten()
            {
                let is_gone = |pair: &mut Pair| {
                    let begins_there = pair.path.local == gone.base && pair.path.carrier == gone.carrier;
                    begins_there || (gone.tcp_type.is_some() && pair.local == id)
                };
                dropped.extend(generation.pairs.extract_if(.., is_gone).map(|pair| pair.path));
                if generation.pair(generation.nominated).is_none() {
                    generation.nominated = None;
                }
                if generation.pair(generation.selected).is_none() {
                    generation.selected = None;
                }
            }
            dropped.into_iter().for_each(|path| self.hang_up(path));
            self.sync_routes();
            self.select_best();
        }
        self.finish();
    }

    /// Takes a candidate of the peer's, and pairs it with ours. One without credentials yet is kept.
    ///
    /// # Errors
    ///
    /// It cannot be used, or there are too many.
    pub fn add_remote_candidate(&mut self, now: Instant, given: Candidate) -> Result<(), CandidateError> {
        self.begin(now);
        if self.state == State::Closed {
            return Err(CandidateError::Closed);
        }
        let (address, carrier) = self.usable_remote(&given)?;
        let tcp_type = given.tcp_type.filter(|_| carrier == Carrier::Framed);
        let Candidate { kind, priority, .. } = given;
        // Where credentials are known it is theirs.
        let ufrag = given.ufrag().filter(|_| self.generation.peer.is_none()).map(Box::from);
        let foundation = given.foundation.into_boxed_str();
        let Generation { remotes, pairs, .. } = &mut self.generation;
        let is_same = |remote: &&mut Remote| (remote.address, remote.carrier) == (address, carrier);
        if let Some(known) = remotes.iter_mut().find(is_same) {
            // RFC 8838 §11.4: what a check showed first is now signalled.
            if known.kind == Kind::PeerReflexive {
                (known.kind, known.priority, known.foundation) = (kind, priority, foundation);
                let leads_there =
                    |pair: &&mut Pair| (pair.path.remote, pair.path.carrier) == (address, carrier);
                for pair in pairs.iter_mut().filter(leads_there) {
                    pair.remote_priority = priority;
                    pair.set_priority(self.role);
                }
            }
        } else if remotes.len() >= self.config.max_candidates {
            return Err(CandidateError::TooMany);
        } else {
            let budget = Some(self.config.max_unanswered);
            let at = self.generation.add_remote(|number| Remote {
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
            self.generation.pair_remote(at, &self.locals, self.role, &self.config);
        }
        self.finish();
        Ok(())
    }

    fn usable_remote(&self, given: &Candidate) -> Result<(SocketAddr, Carrier), CandidateError> {
        let address = match &given.address {
            Address::Ip(address) => *address,
            Address::Hostname { .. } => return Err(CandidateError::Hostname),
        };
        let carrier = match (&given.transport, given.tcp_type) {
            (Transport::Udp, _) => Some(Carrier::Udp),
            (Transport::Tcp, Some(TcpType::Active | TcpType::Passive)) => Some(Carrier::Framed),
            // Simultaneous open hardly passes anywhere, and no browser does it.
            (Transport::Tcp | Transport::Other(_), _) => None,
        };
        let peer = self.generation.peer.as_ref();
        let is_other = |ufrag: &str| peer.is_some_and(|peer| peer.credentials.ufrag() != ufrag);
        if given.component != 1 {
            Err(CandidateError::Component)
        } else if !is_usable(address) {
            Err(CandidateError::Address)
        } else if given.ufrag().is_some_and(is_other) {
            Err(CandidateError::OtherGeneration)
        } else {
            carrier.map(|carrier| (address, carrier)).ok_or(CandidateError::Transport)
        }
    }

    /// The peer will send no further candidates (RFC 8838 §13).
    pub fn end_of_remote_candidates(&mut self, now: Instant) {
        self.begin(now);
        self.generation.has_all_remotes = true;
        self.finish();
    }

    /// Ends it all. Nothing is sent any more.
    pub fn close(&mut self, now: Instant) {
        self.begin(now);
        self.stop(State::Closed);
        self.finish();
    }

    /// Whether `datagram` is STUN that belongs to this agent: a request for our ufrag, or the response
    /// to a check in flight. Authenticity is not looked at.
    pub fn accepts(&self, datagram: &[u8]) -> bool {
        if !is_stun(datagram) {
            return false;
        }
        let Ok(message) = Message::decode(datagram) else { return false };
        let generations = [Some(&self.generation), self.previous.as_deref()].into_iter().flatten();
        match message.class() {
            Class::Request | Class::Indication => {
                message.username().and_then(ufrags).is_some_and(|(ours, _)| {
                    let mut generations = generations;
                    generations.any(|generation| generation.credentials.ufrag() == ours)
                })
            }
            Class::Success | Class::Error => self.is_in_flight(message.transaction()),
        }
    }

    /// Where data goes: the nominated pair, or while there is none the first that was valid, or after a
    /// restart the path from before. `None` also once consent has expired.
    pub fn selected_path(&self) -> Option<Path> {
        debug_assert_eq!(self.selected, self.find_selected(), "it was changed and not kept");
        let Selected { is_previous, at } = self.selected?;
        let generation = if is_previous { self.previous.as_deref()? } else { &self.generation };
        generation.pairs.get(at).map(|pair| pair.path)
    }

    pub(crate) fn find_selected(&self) -> Option<Selected> {
        let place = |generation: &Generation| {
            generation.pairs.iter().position(|pair| Some(pair.id) == generation.selected)
        };
        let current = place(&self.generation).map(|at| Selected { is_previous: false, at });
        current.or_else(|| Some(Selected { is_previous: true, at: place(self.previous.as_deref()?)? }))
    }

    /// Smoothed round trip on the selected path.
    pub fn round_trip(&self) -> Option<Duration> {
        let current = self.generation.pair(self.generation.selected);
        let before = || self.previous.as_ref().and_then(|before| before.pair(before.selected));
        current.or_else(before).and_then(|pair| pair.round_trip)
    }

    /// What the ends of the selected path are: ours as the peer sees it, and the peer's as we do.
    pub fn selected_kinds(&self) -> Option<(Kind, Kind)> {
        let current = Some(&self.generation).filter(|current| current.selected.is_some());
        let generation = current.or(self.previous.as_deref())?;
        let pair = generation.pair(generation.selected)?;
        let remote = generation.remotes.iter().find(|remote| remote.is_at(pair.path))?;
        Some((pair.local_kind?, remote.kind))
    }

    /// Something above that is authenticated (DTLS, SRTP) arrived on the selected path: it is not
    /// silent. This puts off [`State::Disconnected`], and is no consent.
    pub fn note_authenticated(&mut self, now: Instant) {
        self.now = self.now.max(now);
        let now = self.now;
        let was_silent = self.state == State::Disconnected;
        if let Some(consent) = self.active_mut().and_then(|generation| generation.consent.as_mut()) {
            let quiet = consent.hear_data(now);
            // Looked at then, and not with each of these.
            self.timeout = self.timeout.map(|timeout| timeout.min(quiet));
        }
        self.note_lite();
        if was_silent {
            self.finish();
        }
    }

    /// Something above speaks against the selected path: what was sent is not acknowledged, or the peer's data come on
    /// another one. It is checked now, and if that has no answer for a while, another valid path is preferred.
    pub fn doubt_path(&mut self, now: Instant) {
        self.begin(now);
        self.doubt_selected();
        self.finish();
    }

    /// The agent's state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether no candidate of the peer's is known, and none was before: there is nothing to check yet.
    pub const fn awaits_remotes(&self) -> bool {
        self.generation.number == 0 && self.generation.remotes.is_empty()
    }

    /// The agent's role.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// How many times credentials were renewed: the `generation` of candidates.
    pub const fn restarts(&self) -> u32 {
        self.restarts
    }

    /// A local candidate as it is signalled, with the ufrag it belongs to.
    pub fn candidate(&self, id: CandidateId) -> Option<Candidate> {
        self.locals.iter().find(|local| local.id == id).map(|local| self.describe(local))
    }

    /// A local candidate as it was given.
    pub fn given_candidate(&self, id: CandidateId) -> Option<&LocalCandidate> {
        self.locals.iter().find(|local| local.id == id).map(|local| &local.given)
    }

    /// The local candidates as they are signalled, without those that checks found.
    pub fn local_candidates(&self) -> impl Iterator<Item = Candidate> + '_ {
        let gathered = self.locals.iter().filter(|local| local.given.kind != Kind::PeerReflexive);
        gathered.map(|local| self.describe(local))
    }

    /// The remote candidates: their addresses and kinds.
    pub fn remote_candidates(&self) -> impl Iterator<Item = (SocketAddr, Kind)> + '_ {
        self.generation.remotes.iter().map(|remote| (remote.address, remote.kind))
    }

    pub(crate) fn describe(&self, local: &Local) -> Candidate {
        let LocalCandidate { kind, address, .. } = local.given;
        let extensions = [
            ("generation", self.restarts.to_string()),
            ("ufrag", self.generation.credentials.ufrag().to_owned()),
        ];
        Candidate {
            foundation: local.foundation.to_string(),
            component: 1,
            transport: if local.given.tcp_type.is_some() { Transport::Tcp } else { Transport::Udp },
            priority: local.priority(),
            address: address.into(),
            kind,
            related: local.given.related(self.config.hides_bases).map(Address::from),
            tcp_type: local.given.tcp_type,
            extensions: extensions.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    /// The way from the local address `local` to all ports of `remote` has just been opened, as by a permission
    /// on a relay: pairs that were checked in vain are checked again at once.
    pub fn retry_checks(&mut self, now: Instant, local: SocketAddr, remote: IpAddr) {
        self.begin(now);
        let trigger = self.next_trigger;
        let in_vain = |pair: &&mut Pair| {
            let is_meant = pair.path.local == local && pair.path.remote.ip() == remote;
            is_meant && pair.state == PairState::InProgress
        };
        for pair in self.generation.pairs.iter_mut().filter(in_vain) {
            pair.triggered.get_or_insert(trigger);
        }
        self.next_trigger = self.next_trigger.wrapping_add(1);
        self.finish();
    }

    /// The latest news, each once.
    pub fn poll_event(&mut self) -> Option<Event> {
        let connection = self.poll_connection();
        if connection.is_some() {
            return connection;
        }
        let Events { role, path, state } = &mut self.events;
        let role = role.take().map(Event::RoleSwitched);
        let path = || path.take().map(Event::PathSelected);
        let news = role.or_else(path).or_else(|| state.take().map(Event::StateChanged));
        let consent = if news.is_none() { self.generation.consent.as_mut() } else { None };
        let has_revived = consent.is_some_and(Consent::take_revival);
        news.or_else(|| has_revived.then_some(Event::PathRevived))
    }

    /// Gives back what the tables have grown by and do not need.
    pub(crate) fn give_back(&mut self) {
        let Self { locals, routes, foundations, generation, .. } = self;
        locals.shrink_to_fit();
        routes.shrink_to_fit();
        foundations.shrink_to_fit();
        generation.remotes.shrink_to_fit();
        generation.pairs.shrink_to_fit();
        generation.early.shrink_to_fit();
    }

    /// The generation whose path is in use.
    pub(crate) fn active_mut(&mut self) -> Option<&mut Generation> {
        if self.generation.selected.is_some() {
            Some(&mut self.generation)
        } else {
            self.previous.as_deref_mut()
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        !matches!(self.state, State::Failed(_) | State::Closed)
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        self.stop(State::Failed(failure));
    }

    fn stop(&mut self, state: State) {
        self.state = state;
        self.events.state = Some(state);
        self.events.path = None;
        (self.previous, self.former) = (None, None);
        self.selected = None;
        self.replies.clear();
        let Generation { selected, nominated, consent, early, pairs, .. } = &mut self.generation;
        (*selected, *nominated, *consent) = (None, None, None);
        early.clear();
        let open: Vec<Path> =
            pairs.iter().filter(|pair| pair.is_connection()).map(|pair| pair.path).collect();
        for pair in pairs {
            pair.authenticated = false;
            if pair.is_pending() {
                pair.fail();
            }
            if pair.path.carrier == Carrier::Framed {
                pair.link = Link::Closed;
            }
        }
        open.into_iter().for_each(|path| self.hang_up(path));
        self.sync_routes();
    }
}

/// Whether an address can be sent to.
fn is_usable(address: SocketAddr) -> bool {
    let ip = address.ip();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}

const MAX_FOUNDATIONS: usize = 1000;
/// RFC 8445 §14.2.
const LEAST_PACE: Duration = Duration::from_millis(5);
