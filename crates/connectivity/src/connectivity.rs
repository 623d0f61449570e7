mod servers;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use ice::{Agent, Candidate, CandidateId, Credentials, Kind, LocalCandidate, Route, State};
use proto::{Arrival, Batch, Carrier, Instant, Path, Transmit, Writer, sooner};

use crate::candidates::{Announced, Showing};
use crate::gather::{Gatherer, Mapped};
use crate::names::Names;
use crate::privacy::HostNames;
use crate::relay::{Change, Relays};
use crate::{CandidateError, Config, Discard, Event, SendError};

/// One path to the peer: finds the candidates of ours, checks the ways to the peer's, and carries
/// datagrams on the one that was agreed on.
///
/// Call the inputs whenever something happens, then drain the outputs: `poll_transmit` until `None`,
/// `poll_event` and `poll_route` until `None`, and sleep until `poll_timeout`.
#[derive(Debug)]
pub struct Connectivity {
    max_datagram: usize,
    pub(crate) now: Instant,
    /// Up to here everything that time brings was done.
    passed: Instant,
    pub(crate) agent: Agent,
    pub(crate) gatherer: Gatherer,
    /// None without TURN servers.
    pub(crate) relays: Option<Box<Relays>>,
    pub(crate) relay_only: bool,
    pub(crate) showing: Option<Box<Showing>>,
    /// The agent is lite.
    pub(crate) hosts_only: bool,
    /// Names that the peer gave in place of addresses; none unless it does.
    pub(crate) names: Option<Box<Names>>,
    pub(crate) resolves_names: bool,
    pub(crate) max_names: u16,
    pub(crate) max_remotes: u16,
    /// Where our host addresses are hidden: the names that they are announced by.
    pub(crate) host_names: Option<Box<HostNames>>,
    /// Remote candidates came, or relayed addresses: permissions may be missing.
    lacks_permissions: bool,
    pub(crate) hosts: Vec<SocketAddr>,
    /// Addresses that cannot be candidates.
    pub(crate) refused_hosts: u16,
    pub(crate) locals: Vec<Announced>,
    /// Candidates that are to be announced.
    pub(crate) fresh: VecDeque<CandidateId>,
    pub(crate) is_gathering: bool,
    is_done: bool,
    /// Further servers will be told of.
    awaits_servers: bool,
    /// Of relays: how many, and whether they go along.
    relay_limits: (usize, bool),
    pub(crate) hostnames: u64,
    pub(crate) refused_candidates: u64,
    pub(crate) refused_data: u64,
}

/// What a datagram was.
#[derive(Debug)]
pub enum Received<'b> {
    /// STUN, and taken.
    Consumed,
    /// The peer's data, lent back.
    Data {
        /// From and to where it came: from a relayed address, if it was relayed to us.
        path: Path,
        /// What came.
        payload: &'b mut [u8],
    },
}

impl Connectivity {
    /// No host addresses yet, and nothing gathered. Equal seeds and equal inputs give equal bytes.
    pub fn new(now: Instant, config: Config, seed: [u8; 32]) -> Self {
        let Config {
            mut ice,
            stun,
            stun_servers,
            turn_servers,
            turn_streams,
            awaits_servers,
            relay_only,
            resolves_names,
            max_names,
            host_names,
            hides_hosts,
            external,
            remote_policy,
            max_relays,
            mobility,
            max_clients,
            max_datagram,
        } = config;
        let provider = ice.provider;
        // Who may know the relay alone is asked for nothing else; a lite agent has host candidates alone
        // (RFC 8445 §5.1.1).
        let hosts_only = ice.lite;
        let stun_servers = if relay_only || hosts_only { Vec::new() } else { stun_servers };
        let has_relays =
            !hosts_only && (awaits_servers || !turn_servers.is_empty() || !turn_streams.is_empty());
        let mut relays = has_relays.then(|| {
            let seed = crypto::derive_seed(&seed, "relays");
            Box::new(Relays::new(provider, turn_servers, (max_relays, mobility), seed))
        });
        for (path, credentials) in turn_streams {
            relays.iter_mut().for_each(|relays| relays.add_stream(path, credentials.clone()));
        }
        let max_remotes = u16::try_from(ice.max_candidates).unwrap_or(u16::MAX);
        ice.hides_bases |= hides_hosts;
        let agent = Agent::new(now, ice, crypto::derive_seed(&seed, "ice"));
        let seed = crypto::derive_seed(&seed, "gather");
        Self {
            now,
            passed: now,
            agent,
            gatherer: Gatherer::new(stun_servers, stun, max_clients, seed),
            relays,
            relay_only,
            names: None,
            resolves_names,
            max_names,
            max_remotes,
            host_names: host_names.map(|names| Box::new(HostNames::new(names))),
            showing: Showing::new(hides_hosts, external, remote_policy),
            hosts_only,
            lacks_permissions: false,
            hosts: Vec::new(),
            refused_hosts: 0,
            locals: Vec::new(),
            fresh: VecDeque::new(),
            is_gathering: false,
            is_done: false,
            awaits_servers,
            relay_limits: (max_relays, mobility),
            hostnames: 0,
            refused_candidates: 0,
            refused_data: 0,
            max_datagram,
        }
    }

    /// A UDP socket of ours is bound to `address`. Once gathering has begun it is announced, and asks
    /// the STUN servers. Where only relays are used nothing comes of it.
    ///
    /// # Errors
    ///
    /// The address cannot be a candidate, or there are too many.
    pub fn add_host(&mut self, now: Instant, address: SocketAddr) -> Result<(), CandidateError> {
        self.now = self.now.max(now);
        if self.hosts.contains(&address) || self.relay_only {
            return Ok(());
        }
        if let Err(error) = self.add_own(LocalCandidate::host(address)) {
            self.refused_hosts = self.refused_hosts.saturating_add(1);
            return Err(error);
        }
        // There are few, and each has its connection's lifetime.
        self.hosts.reserve_exact(1);
        self.hosts.push(address);
        if self.is_gathering {
            self.gatherer.ask(self.now, address);
            self.is_done = false;
        }
        self.settle();
        Ok(())
    }

    /// The socket bound to `address` is gone, with the candidates and paths that begin there.
    pub fn remove_host(&mut self, now: Instant, address: SocketAddr) {
        self.now = self.now.max(now);
        self.hosts.retain(|host| *host != address);
        self.gatherer.forget(address);
        let begins_there = |local: &LocalCandidate| local.base == address && local.carrier == Carrier::Udp;
        self.remove_locals(begins_there);
        self.settle();
    }

    /// Begins to gather: announces the host candidates and asks the servers. Again, it asks those that did
    /// not answer.
    pub fn gather(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.is_done = false;
        self.is_gathering = true;
        self.gatherer.retry(self.now);
        for host in &self.hosts {
            self.gatherer.ask(self.now, *host);
        }
        self.relays.iter_mut().for_each(|relays| relays.ask(self.now));
        self.settle();
    }

    /// Our ufrag and password, to be signalled.
    pub const fn local_credentials(&self) -> &Credentials {
        self.agent.local_credentials()
    }

    /// Whether the peer may ask for this ufrag of ours, which may be one from before a restart.
    pub fn is_asked_for(&self, ufrag: &str) -> bool {
        self.agent.is_asked_for(ufrag)
    }

    /// The peer's, if they are known.
    pub fn remote_credentials(&self) -> Option<&Credentials> {
        self.agent.remote_credentials()
    }

    /// Takes the peer's ufrag and password, and begins to check.
    pub fn set_remote_credentials(&mut self, now: Instant, remote: Credentials) {
        let now = self.advance(now);
        if self.agent.remote_credentials().is_some_and(|known| known.ufrag() != remote.ufrag()) {
            self.names.iter_mut().for_each(|names| names.restart());
        }
        self.agent.set_remote_credentials(now, remote);
        self.lacks_permissions = true;
    }

    /// The peer is lite (`a=ice-lite`).
    pub fn set_remote_lite(&mut self, now: Instant) {
        let now = self.advance(now);
        self.agent.set_remote_lite(now);
    }

    /// What the peer says that it can (`a=ice-options`).
    pub fn set_remote_options(&mut self, now: Instant, options: ice::Options) {
        let now = self.advance(now);
        self.agent.set_remote_options(now, options);
    }

    /// Takes a candidate of the peer's. One with a `.local` name in place of an address is kept until the name is
    /// known, where [names are resolved](crate::Config::resolves_names).
    ///
    /// # Errors
    ///
    /// It cannot be used; that is counted and does no harm.
    pub fn add_remote_candidate(&mut self, now: Instant, candidate: Candidate) -> Result<(), CandidateError> {
        self.advance(now);
        if candidate.address.ip().is_none() && self.take_named(candidate.clone()) {
            return Ok(());
        }
        self.take_remote_candidate(candidate)?;
        self.settle();
        Ok(())
    }

    pub(crate) fn take_remote_candidate(&mut self, candidate: Candidate) -> Result<(), CandidateError> {
        if !self.is_permitted(&candidate) {
            self.refused_candidates = self.refused_candidates.wrapping_add(1);
            return Err(CandidateError::Policy);
        }
        self.agent.add_remote_candidate(self.now, candidate).map_err(|error| {
            let is_name = error == ice::CandidateError::Hostname;
            let count = if is_name { &mut self.hostnames } else { &mut self.refused_candidates };
            *count = count.wrapping_add(1);
            CandidateError::Unusable(error)
        })?;
        self.lacks_permissions = true;
        Ok(())
    }

    /// Takes a candidate of the peer's as it was signalled: `candidate:…`.
    ///
    /// # Errors
    ///
    /// It is no candidate, or cannot be used; that is counted and does no harm.
    pub fn add_remote_candidate_text(&mut self, now: Instant, text: &str) -> Result<(), CandidateError> {
        match text.parse() {
            Ok(candidate) => self.add_remote_candidate(now, candidate),
            Err(error) => {
                self.refused_candidates = self.refused_candidates.wrapping_add(1);
                Err(CandidateError::Parse(error))
            }
        }
    }

    /// The peer will send no further candidates.
    pub fn end_of_remote_candidates(&mut self, now: Instant) {
        let now = self.advance(now);
        if self.names.as_mut().is_none_or(|names| names.end()) {
            self.agent.end_of_remote_candidates(now);
        }
    }

    /// Takes a ufrag and password in place of those that were drawn, where the peer knows ours beforehand: before
    /// anything is gathered.
    pub fn set_local_credentials(&mut self, now: Instant, credentials: Credentials) {
        let now = self.advance(now);
        self.agent.set_local_credentials(now, credentials);
    }

    /// New credentials for a [restart](Self::restart_with) that is to come. Nothing else changes.
    pub fn draw_credentials(&mut self) -> Credentials {
        self.agent.draw_credentials()
    }

    /// Restarts ICE: new credentials, and all candidates announced again with them. Data goes on on the
    /// old path until there is a new one.
    pub fn restart(&mut self, now: Instant) {
        let credentials = self.draw_credentials();
        self.restart_with(now, credentials);
    }

    /// Likewise, with credentials that were [drawn](Self::draw_credentials) before and are signalled already.
    pub fn restart_with(&mut self, now: Instant, credentials: Credentials) {
        let now = self.advance(now);
        self.agent.restart_with(now, credentials);
        // Who begins anew may be in another network, or a server may.
        self.relays.iter_mut().for_each(|relays| relays.probe_all(now));
        self.names.iter_mut().for_each(|names| names.restart());
        self.fresh = self.locals.iter().filter(|local| !local.is_hidden).map(|local| local.id).collect();
        if self.is_gathering {
            self.gather(now);
        }
    }

    /// A candidate of the peer's was not kept by whoever has to wait before handing it over: it is counted.
    pub const fn count_refused(&mut self) {
        self.refused_candidates = self.refused_candidates.wrapping_add(1);
    }

    /// Takes a restart back that the peer has not answered: its credentials and ours are those from before, and so is the
    /// path.
    pub fn take_restart_back(&mut self, now: Instant) {
        let now = self.advance(now);
        self.agent.take_restart_back(now);
        self.lacks_permissions = true;
        self.settle();
    }

    /// Ends it all. Nothing is sent any more.
    pub fn close(&mut self, now: Instant) {
        let now = self.advance(now);
        self.agent.close(now);
        self.gatherer.clear();
        self.relays.iter_mut().for_each(|relays| relays.release(now));
        self.fresh.clear();
        self.is_gathering = false;
    }

    /// Whether `datagram`, which arrived on `path`, is for this peer: STUN for our ufrag or in answer to
    /// us, or data on a path that the peer has proved.
    pub fn accepts(&self, path: Path, datagram: &[u8]) -> bool {
        if self.relays.as_ref().is_some_and(|relays| relays.accepts(path, datagram)) {
            true
        } else if stun::wire::is_stun(datagram) {
            self.gatherer.accepts(path, datagram) || self.agent.accepts(datagram)
        } else {
            self.is_proved(path)
        }
    }

    /// Takes a datagram that arrived.
    ///
    /// # Errors
    ///
    /// Why it was ignored; but for counters and at most one error response, the state is unchanged.
    pub fn handle_datagram<'b>(
        &mut self,
        arrival: Arrival,
        datagram: &'b mut [u8],
    ) -> Result<Received<'b>, Discard> {
        let now = self.advance(arrival.at);
        let arrival = Arrival { at: now, ..arrival };
        let relays = self.relays.as_mut().filter(|relays| relays.accepts(arrival.path, datagram));
        let Some(relays) = relays else { return self.handle_direct(arrival, datagram) };
        let relayed = relays.handle_datagram(arrival, datagram).map_err(Discard::Turn)?;
        let Some((path, payload)) = relayed else {
            self.settle();
            return Ok(Received::Consumed);
        };
        self.handle_direct(Arrival { path, ..arrival }, payload)
    }

    /// Takes a datagram as the peer sent it.
    fn handle_direct<'b>(
        &mut self,
        arrival: Arrival,
        datagram: &'b mut [u8],
    ) -> Result<Received<'b>, Discard> {
        let path = arrival.path;
        if !stun::wire::is_stun(datagram) {
            if self.is_proved(path) {
                self.agent.count_received(self.now, path, datagram.len());
                return Ok(Received::Data { path, payload: datagram });
            }
            self.refused_data = self.refused_data.wrapping_add(1);
            return Err(Discard::NotAuthenticated);
        }
        if self.gatherer.accepts(path, datagram) {
            self.gatherer.handle_datagram(arrival, datagram).map_err(Discard::Stun)?;
        } else {
            self.agent.handle_datagram(arrival, datagram).map_err(Discard::Ice)?;
        }
        self.settle();
        Ok(Received::Consumed)
    }

    /// Appends what `payload` writes to `batch` as one datagram: call it again for a train, and hand what
    /// [`finish`](Self::finish) says to the socket.
    ///
    /// # Errors
    ///
    /// No path is selected, or what `payload` says; the batch is then as it was.
    pub fn send_with<E: From<SendError>>(
        &mut self,
        now: Instant,
        batch: &mut Batch<'_>,
        payload: impl FnOnce(&mut Writer<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        // Of a train the first says how late it is.
        if now > self.passed {
            self.handle_timeout(now);
        }
        let path = self.agent.selected_path().ok_or(SendError::NoPath)?;
        self.limit(batch);
        let mut bytes = 0;
        let counted = |out: &mut Writer<'_>| {
            let start = out.len();
            payload(out)?;
            bytes = out.len().saturating_sub(start);
            Ok::<_, E>(())
        };
        match self.relays.as_mut().filter(|relays| relays.carrier_of(path).is_some()) {
            None => batch.append(counted),
            Some(relays) => relays.send_with(path, batch, counted),
        }?;
        self.agent.count_sent(self.now, bytes);
        Ok(())
    }

    /// Lowers the batch's limit to what [`send_with`](Self::send_with) may write: [`max_datagram`](Self::max_datagram)
    /// and what a relay needs besides.
    pub fn limit(&self, batch: &mut Batch<'_>) {
        let relays = self.relays.as_ref().and_then(|relays| Some((relays, self.agent.selected_path()?)));
        let overhead = relays.map_or(0, |(relays, path)| relays.overhead(path));
        batch.limit_datagram(self.max_datagram.saturating_add(overhead));
    }

    /// Says where what [`send_with`](Self::send_with) appended goes: to the peer, or to the relay's server.
    pub fn finish(&self, batch: &Batch<'_>) -> Option<Transmit> {
        let path = self.agent.selected_path()?;
        batch.finish(self.carrier_of(path).unwrap_or(path), None)
    }

    /// Where data goes now. `None` while there is no path, and once consent has expired.
    pub fn selected_path(&self) -> Option<Path> {
        self.agent.selected_path()
    }

    /// What the ends of that path are: ours as the peer sees it, and the peer's as we do.
    pub fn selected_kinds(&self) -> Option<(Kind, Kind)> {
        self.agent.selected_kinds()
    }

    /// Something authenticated arrived above: the path is not silent. Puts off
    /// [`State::Disconnected`](ice::State::Disconnected), and is no consent.
    pub fn note_authenticated(&mut self, now: Instant) {
        let now = self.advance(now);
        self.agent.note_authenticated(now);
    }

    /// Something above speaks against the selected path: what was sent is not acknowledged, or the peer's data come on
    /// another one. It is checked now, and if that has no answer for a while, another valid path is preferred; a relay
    /// that it goes through is asked whether it is still there.
    pub fn doubt_path(&mut self, now: Instant) {
        let now = self.advance(now);
        self.agent.doubt_path(now);
        if let (Some(path), Some(relays)) = (self.agent.selected_path(), &mut self.relays) {
            relays.probe(now, path);
        }
        self.settle();
    }

    /// The largest datagram that is sent, in bytes.
    pub const fn max_datagram(&self) -> usize {
        self.max_datagram
    }

    /// Smoothed round trip on the selected path.
    pub fn round_trip(&self) -> Option<Duration> {
        self.agent.round_trip()
    }

    /// The agent's state.
    pub const fn state(&self) -> State {
        self.agent.state()
    }

    /// Whether no candidate of the peer's is known, and none was before.
    pub const fn awaits_remotes(&self) -> bool {
        self.agent.awaits_remotes()
    }

    /// The agent's role.
    pub const fn role(&self) -> ice::Role {
        self.agent.role()
    }

    /// The candidates of ours found so far, as they are told, with the current ufrag.
    pub fn local_candidates(&self) -> impl Iterator<Item = Candidate> + '_ {
        let told = self.locals.iter().filter(|local| !local.is_hidden);
        told.filter_map(|local| self.told(self.agent.candidate(local.id)?))
    }

    /// Whether every server has answered or failed.
    pub const fn is_gathering_done(&self) -> bool {
        self.is_gathering && self.is_done
    }

    /// Advances to `now`. Early and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        self.passed = now;
        self.agent.handle_timeout(now);
        self.gatherer.handle_timeout(now);
        self.relays.iter_mut().for_each(|relays| relays.handle_timeout(now));
        self.settle();
    }

    /// From and to where the next datagram of [`poll_transmit`](Self::poll_transmit) goes.
    pub fn next_path(&self, now: Instant) -> Option<Path> {
        let now = self.now.max(now);
        let checked = self.agent.next_path(now).map(|path| self.carrier_of(path).unwrap_or(path));
        checked.or_else(|| self.gatherer.next_path(now)).or_else(|| self.relays.as_ref()?.next_path(now))
    }

    /// Appends the next STUN datagram to `batch`, which must be empty. Data goes by
    /// [`send_with`](Self::send_with).
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.handle_timeout(now);
        let now = self.now;
        while let Some(path) = self.agent.next_path(now) {
            if self.carrier_of(path).is_none() {
                let sent = self.agent.poll_transmit(now, batch);
                if sent.is_some() {
                    return sent;
                }
                break;
            }
            match self.relay_check(now, batch) {
                Some(Ok(transmit)) => return Some(transmit),
                // On to the next one.
                Some(Err(Unpermitted)) => {}
                None => break,
            }
        }
        let own = self.gatherer.poll_transmit(now, batch);
        own.or_else(|| self.relays.as_mut()?.poll_transmit(now, batch))
    }

    /// A check or an answer that goes through a relay; none without room. While the server has not permitted the
    /// peer it is lost, as it would be on the way, and sent again as soon as there is the permission.
    fn relay_check(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Result<Transmit, Unpermitted>> {
        if batch.room() < MAX_CHECK + MAX_OVERHEAD {
            return None;
        }
        let mut memory = [0; MAX_CHECK];
        let mut inner = Batch::new(&mut memory, 1, MAX_CHECK);
        let path = self.agent.poll_transmit(now, &mut inner)?.path;
        let relays = self.relays.as_mut()?;
        let sent = relays.send_with(path, batch, |out| Ok::<_, SendError>(out.put(inner.bytes())?));
        let transmit = relays.carrier_of(path).and_then(|carrier| batch.finish(carrier, None));
        Some(sent.ok().and(transmit).ok_or(Unpermitted))
    }

    /// When `handle_timeout` or `poll_transmit` has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let relays = self.relays.as_ref().and_then(|relays| relays.poll_timeout());
        sooner(self.agent.poll_timeout(), sooner(self.gatherer.poll_timeout(), relays))
    }

    /// The next news.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.agent.poll_event() {
            return Some(match event {
                ice::Event::PathSelected(path) => {
                    self.relays.iter_mut().for_each(|relays| relays.bind(self.now, path));
                    Event::PathSelected(path)
                }
                ice::Event::PathRevived => Event::PathRevived,
                ice::Event::RoleSwitched(role) => Event::RoleSwitched(role),
                ice::Event::StateChanged(state) => Event::StateChanged(state),
                ice::Event::Connect { id, local, remote } => Event::Connect { id, local, remote },
                ice::Event::Disconnect(path) => Event::Disconnect(path),
                _ => return None,
            });
        }
        if !self.is_gathering {
            return None;
        }
        while let Some(id) = self.fresh.pop_front() {
            if self.fresh.is_empty() {
                self.fresh = VecDeque::new();
            }
            if let Some(told) = self.agent.candidate(id).and_then(|candidate| self.told(candidate)) {
                return Some(Event::Candidate(told));
            }
        }
        if !self.is_done && self.has_answers() {
            self.is_done = true;
            return Some(Event::GatheringDone);
        }
        None
    }

    /// The next change in the paths that the peer has proved: feeds a demultiplexer.
    pub fn poll_route(&mut self) -> Option<Route> {
        self.agent.poll_route()
    }

    /// Takes what the servers told.
    pub(crate) fn settle(&mut self) {
        while let Some(Mapped { address, base, server }) = self.gatherer.poll_mapped() {
            let candidate = LocalCandidate::server_reflexive(address, base, server.ip());
            // RFC 8445 §5.1.3: what says nothing new is not announced; nor is an old mapping's address.
            let Self { agent, locals, .. } = self;
            let is_same = |known: &&mut Announced| {
                agent.given_candidate(known.id).is_some_and(|known| {
                    (known.address, known.base, known.carrier) == (address, base, Carrier::Udp)
                })
            };
            let is_other_family = address.is_ipv4() != base.is_ipv4();
            if let Some(known) = locals.iter_mut().find(is_same) {
                // What a server sees is no secret.
                if std::mem::take(&mut known.is_hidden) {
                    self.fresh.push_back(known.id);
                }
            } else if !is_other_family {
                let _ = self.add_local(candidate); // too many, or unusable: then it is not announced
            }
        }
        while let Some(change) =
            self.relays.as_mut().and_then(|relays| relays.poll_change(self.now, &self.hosts))
        {
            match change {
                Change::Added(address, server) => {
                    let _ = self.add_local(LocalCandidate::relayed(address, server)); // as above
                    self.lacks_permissions = true;
                }
                Change::Removed(address) => self.remove_relayed(address),
                Change::Opened(own, peer) => self.agent.retry_checks(self.now, own, peer),
            }
        }
        if std::mem::take(&mut self.lacks_permissions) {
            let Some(relays) = &mut self.relays else { return };
            for (peer, _) in self.agent.remote_candidates() {
                relays.permit(self.now, peer.ip());
            }
        }
    }

    /// The path to the relay's server, if `path` begins at a relayed address.
    pub(crate) fn carrier_of(&self, path: Path) -> Option<Path> {
        self.relays.as_ref()?.carrier_of(path)
    }

    /// Whether no server's first answer is waited for.
    pub(crate) fn has_answers(&self) -> bool {
        !self.awaits_servers
            && self.gatherer.is_done()
            && self.relays.as_ref().is_none_or(|relays| relays.is_done())
    }

    /// Whether the peer has answered a check of ours on `path`: it is there, and no other who repeats its checks.
    pub fn is_confirmed(&self, path: Path) -> bool {
        self.agent.selected_path() == Some(path) || self.agent.is_confirmed(path)
    }

    fn is_proved(&self, path: Path) -> bool {
        let is_ended = matches!(self.agent.state(), State::Failed(_) | State::Closed);
        !is_ended && (self.agent.selected_path() == Some(path) || self.agent.is_authenticated(path))
    }

    pub(crate) fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }
}

/// The relay does not take datagrams for the peer yet.
struct Unpermitted;

/// Bytes of a check, and of the answer to one.
const MAX_CHECK: usize = 700;
/// Bytes that a relay needs besides: a Send indication to an IPv6 address.
const MAX_OVERHEAD: usize = 48;
