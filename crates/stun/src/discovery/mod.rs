//! What the NAT or firewall before us does with our datagrams ([RFC 5780]), asked of a server with two
//! addresses and two ports.
//!
//! [RFC 5780]: https://www.rfc-editor.org/rfc/rfc5780

mod config;
mod findings;
mod lifetime;
mod probe;

use std::net::SocketAddr;

use crypto::Rng;
use proto::{Arrival, Batch, Carrier, Instant, Path, Transmit};

pub use self::config::Config;
pub use self::findings::{Dependence, Findings, Lifetime};
use self::lifetime::{Search, Step};
use self::probe::{Answer, Outcome, Probe, Test};
use crate::wire::{Class, Message, Method};
use crate::{Discard, Failure, Stats};

/// Finds out how the NAT or firewall between us and a server behaves.
///
/// It needs two sockets of its own, of which nothing else is sent while it asks: what the NAT has seen before
/// would change what it does (RFC 5780 §4.5).
///
/// ```text
///   Connecting ──▶ Filtering, and hairpin ──▶ Mapping ──▶ Aging ──▶ Finished
///       │            before anything goes to                (only if it
///       ▼            the server's other address              is asked for)
///     Failed
/// ```
///
/// ```
/// # use proto::{Batch, Carrier, Instant, Path};
/// # use stun::discovery::{Config, Discovery};
/// let path = Path {
///     carrier: Carrier::Udp,
///     local: ([10, 0, 0, 2], 4000).into(),
///     remote: ([192, 0, 2, 1], 3478).into(),
/// };
/// let mut discovery = Discovery::new(Config::default(), path, ([10, 0, 0, 2], 4001).into(), [7; 32]);
/// let now = Instant::from_nanos(0);
/// discovery.start(now);
/// let mut buf = [0; 1500];
/// // One request from each of the sockets: `transmit.path.local` says which.
/// for port in [4000, 4001] {
///     let transmit = discovery.poll_transmit(now, &mut Batch::new(&mut buf, 1, 1200)).ok_or("a request")?;
///     assert_eq!(transmit.path.local.port(), port);
/// }
/// # Ok::<_, &str>(())
/// ```
#[derive(Debug)]
pub struct Discovery {
    config: Config,
    /// From the first and from the second socket to the server.
    paths: [Path; 2],
    now: Instant,
    phase: Phase,
    /// Those of the phase: four at most.
    probes: Vec<Probe>,
    findings: Findings,
    /// What the second socket is mapped to.
    second_mapped: Option<SocketAddr>,
    event: Option<Event>,
    stats: Stats,
    rng: Rng,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// All that could be found out is in [`Discovery::findings`].
    Finished,
    /// The server does not answer over UDP, or not with an address (RFC 5780 §4.2).
    Failed(Failure),
}

#[derive(Debug)]
enum Phase {
    Stopped,
    Connecting,
    Filtering,
    Mapping,
    Aging(Search),
}

impl Discovery {
    /// Asks the server at `path.remote` over UDP from `path.local`, which has to be the address of the interface
    /// and not the unspecified one, and from `second`, a second socket at the same address. Equal seeds and
    /// equal inputs give equal bytes.
    pub fn new(config: Config, path: Path, second: SocketAddr, seed: [u8; 32]) -> Self {
        let path = Path { carrier: Carrier::Udp, ..path };
        Self {
            config,
            paths: [path, Path { local: second, ..path }],
            now: Instant::default(),
            phase: Phase::Stopped,
            probes: Vec::with_capacity(MAX_PROBES),
            findings: Findings::new(path.local),
            second_mapped: None,
            event: None,
            stats: Stats::default(),
            rng: Rng::new(seed),
        }
    }

    /// Begins at `now`, from the beginning if it ran already.
    pub fn start(&mut self, now: Instant) {
        let now = self.advance(now);
        let [first, second] = self.paths;
        self.findings = Findings::new(first.local);
        self.second_mapped = None;
        self.event = None;
        self.phase = Phase::Connecting;
        self.probes.clear();
        self.ask(now, Test::First, first, first);
        self.ask(now, Test::Second, second, second);
    }

    /// What is known up to now.
    pub const fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Takes a datagram that arrived at one of the two sockets.
    ///
    /// # Errors
    ///
    /// Why it was ignored; but for the count in [`stats`](Self::stats), the state is unchanged.
    pub fn handle_datagram(&mut self, arrival: Arrival, datagram: &[u8]) -> Result<(), Discard> {
        let now = self.advance(arrival.at);
        let (place, outcome) = self.examine(arrival.path, datagram).inspect_err(|_| {
            self.stats.discarded = self.stats.discarded.wrapping_add(1);
        })?;
        self.stats.received = self.stats.received.wrapping_add(1);
        if let Some(probe) = self.probes.get_mut(place) {
            probe.outcome = Some(outcome);
        }
        self.follow(now);
        Ok(())
    }

    /// Advances to `now`. Early and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        for probe in &mut self.probes {
            if probe.outcome.is_none() && probe.transaction.has_failed(now) {
                probe.outcome = Some(Outcome::Silent);
            }
        }
        self.follow(now);
    }

    /// Appends the request that is due to `batch`; it leaves from the socket of the path's local address.
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.handle_timeout(now);
        let now = self.now;
        let due = |probe: &&mut Probe| probe.outcome.is_none() && probe.transaction.is_due(now);
        let probe = self.probes.iter_mut().find(due)?;
        batch.append(|out| probe.write(out)).ok()?;
        let schedule = if probe.test.must_answer() { &self.config.schedule } else { &self.config.probe };
        probe.transaction.sent(now, schedule);
        self.stats.sent = self.stats.sent.wrapping_add(1);
        batch.finish(probe.path, None)
    }

    /// When [`handle_timeout`](Self::handle_timeout) or `poll_transmit` has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let wait = if let Phase::Aging(search) = &self.phase { search.poll_timeout() } else { None };
        let live = self.probes.iter().filter(|probe| probe.outcome.is_none());
        live.filter_map(|probe| probe.transaction.poll_timeout()).chain(wait).min()
    }

    /// The end, once.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    /// What was counted.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// Which probe a datagram decides, and how.
    fn examine(&self, path: Path, datagram: &[u8]) -> Result<(usize, Outcome), Discard> {
        let message = Message::decode_within(datagram, self.config.max_attributes)?;
        let is_asked = |probe: &Probe| {
            probe.outcome.is_none()
                && probe.transaction.attempts() > 0
                && probe.transaction.id() == message.transaction()
        };
        let place = self.probes.iter().position(is_asked).ok_or(Discard::UnknownTransaction)?;
        let probe = self.probes.get(place).ok_or(Discard::UnknownTransaction)?;
        if message.method() != Method::BINDING {
            return Err(Discard::UnknownTransaction);
        }
        if message.class() == Class::Request {
            // Our own, which has come back through the NAT, from whatever address it chose.
            let is_ours = probe.test == Test::Hairpin && path.local == probe.answer.local;
            return if is_ours { Ok((place, Outcome::Hairpin)) } else { Err(Discard::UnknownTransaction) };
        }
        if let Some(kind) = message.unknown_required().next() {
            return Err(Discard::UnknownAttribute(kind));
        }
        // One that comes back along the request's own path says at least that the server does not do it.
        let came_elsewhere = path != probe.answer;
        if came_elsewhere && path != probe.path || probe.test == Test::Hairpin {
            return Err(Discard::WrongPath);
        }
        match message.class() {
            Class::Success if came_elsewhere => Ok((place, Outcome::Unsupported)),
            Class::Success => {
                let answer = Answer::read(&message).ok_or(Discard::Incomplete)?;
                Ok((place, Outcome::Answered(answer)))
            }
            Class::Error => {
                let error = message.error_code().ok_or(Discard::Incomplete)?;
                Ok((place, Outcome::Refused(error.code)))
            }
            Class::Request | Class::Indication => Err(Discard::UnknownTransaction),
        }
    }

    /// Goes on as far as what is known allows.
    fn follow(&mut self, now: Instant) {
        loop {
            let phase = std::mem::replace(&mut self.phase, Phase::Stopped);
            self.phase = match phase {
                Phase::Stopped => return,
                Phase::Connecting => match self.connected(now) {
                    Some(next) => next,
                    None => return,
                },
                Phase::Filtering if self.is_filtering_known() => self.ask_mapping(now),
                Phase::Mapping if self.is_mapping_known() => self.ask_lifetime(),
                Phase::Aging(mut search) => match self.age(now, &mut search) {
                    Some(next) => next,
                    None => {
                        self.phase = Phase::Aging(search);
                        return;
                    }
                },
                phase @ (Phase::Filtering | Phase::Mapping) => {
                    self.phase = phase;
                    return;
                }
            };
            if matches!(self.phase, Phase::Stopped) {
                self.probes.clear();
                self.event = Some(Event::Finished);
                return;
            }
        }
    }

    /// RFC 5780 §4.2. None: it is not known yet, or all is over.
    fn connected(&mut self, now: Instant) -> Option<Phase> {
        let failure = match self.outcome(Test::First) {
            Some(Outcome::Silent) => Some(Failure::TimedOut),
            Some(Outcome::Refused(code)) => Some(Failure::Rejected(code)),
            _ => None,
        };
        if let Some(failure) = failure {
            self.probes.clear();
            self.event = Some(Event::Failed(failure));
            return None;
        }
        let (Some(Outcome::Answered(first)), Some(second)) =
            (self.outcome(Test::First), self.outcome(Test::Second))
        else {
            self.phase = Phase::Connecting;
            return None;
        };
        let [path, second_path] = self.paths;
        self.findings.mapped = Some(first.mapped);
        self.findings.is_rewritten = first.plain.is_some_and(|plain| plain != first.mapped);
        self.second_mapped = if let Outcome::Answered(second) = second { Some(second.mapped) } else { None };
        // One that has only another port shows nothing that depends on addresses.
        let is_other = |other: &SocketAddr| {
            let server = path.remote;
            other.ip() != server.ip()
                && other.port() != server.port()
                && other.is_ipv4() == server.is_ipv4()
                && other.port() != 0
        };
        self.findings.other_address = first.other.filter(is_other);
        self.probes.clear();
        if let Some(other) = self.findings.other_address {
            self.ask(now, Test::ChangeBoth, path, Path { remote: other, ..path });
            let other_port = SocketAddr::new(path.remote.ip(), other.port());
            self.ask(now, Test::ChangePort, path, Path { remote: other_port, ..path });
        }
        if self.findings.is_translated()
            && let Some(second_mapped) = self.second_mapped
        {
            // Each lets the other one in through a NAT that filters.
            let there = Path { remote: second_mapped, ..path };
            let back = Path { remote: first.mapped, ..second_path };
            self.ask(now, Test::Hairpin, there, Path { remote: path.local, ..second_path });
            self.ask(now, Test::Hairpin, back, Path { remote: second_path.local, ..path });
        }
        Some(Phase::Filtering)
    }

    /// RFC 5780 §4.4, and §3.4 for the hairpin.
    fn is_filtering_known(&mut self) -> bool {
        if self.outcomes(Test::Hairpin).any(|outcome| matches!(outcome, Some(Outcome::Hairpin))) {
            self.findings.hairpin = Some(true);
            self.probes.retain(|probe| probe.test != Test::Hairpin);
        }
        let (both, port) = (self.outcome(Test::ChangeBoth), self.outcome(Test::ChangePort));
        let filtering = match (both, port) {
            (Some(Outcome::Answered(_)), _) => Some(Dependence::EndpointIndependent),
            (Some(Outcome::Silent), Some(Outcome::Answered(_))) => Some(Dependence::Address),
            (Some(Outcome::Silent), Some(Outcome::Silent)) => Some(Dependence::AddressAndPort),
            _ => None,
        };
        if filtering.is_some() {
            self.findings.filtering = filtering;
            self.probes.retain(|probe| probe.test == Test::Hairpin);
        }
        if self.probes.iter().any(|probe| probe.outcome.is_none()) {
            return false;
        }
        if self.outcomes(Test::Hairpin).next().is_some() {
            self.findings.hairpin = Some(false);
        }
        true
    }

    /// RFC 5780 §4.3.
    fn ask_mapping(&mut self, now: Instant) -> Phase {
        self.probes.clear();
        let [path, _] = self.paths;
        if let Some(other) = self.findings.other_address {
            let address = Path { remote: SocketAddr::new(other.ip(), path.remote.port()), ..path };
            self.ask(now, Test::OtherAddress, address, address);
            let both = Path { remote: other, ..path };
            self.ask(now, Test::OtherBoth, both, both);
        }
        Phase::Mapping
    }

    fn is_mapping_known(&mut self) -> bool {
        if self.probes.iter().any(|probe| probe.outcome.is_none()) {
            return false;
        }
        let mapped =
            |outcome| if let Some(Outcome::Answered(answer)) = outcome { Some(answer.mapped) } else { None };
        let first = self.findings.mapped;
        let (address, both) =
            (mapped(self.outcome(Test::OtherAddress)), mapped(self.outcome(Test::OtherBoth)));
        self.findings.mapping = match (address, both) {
            (Some(_), _) if address == first => Some(Dependence::EndpointIndependent),
            (Some(_), Some(_)) if address == both => Some(Dependence::Address),
            (Some(_), Some(_)) => Some(Dependence::AddressAndPort),
            _ => None,
        };
        true
    }

    fn ask_lifetime(&mut self) -> Phase {
        self.probes.clear();
        let mapped = |address: Option<SocketAddr>| address.map(|address| address.ip());
        // The answer goes to the port, at the address from which it is asked for.
        let is_one_address = mapped(self.findings.mapped) == mapped(self.second_mapped);
        match self.config.max_lifetime.filter(|_| is_one_address) {
            Some(longest) => Phase::Aging(Search::new(longest, self.config.resolution)),
            None => Phase::Stopped,
        }
    }

    /// RFC 5780 §4.6. None: something is waited for.
    fn age(&mut self, now: Instant, search: &mut Search) -> Option<Phase> {
        let [first, second] = self.paths;
        match search.step {
            Step::Refresh => {
                match self.outcome(Test::Refresh) {
                    None if self.probes.is_empty() => self.ask(now, Test::Refresh, first, first),
                    None => {}
                    Some(Outcome::Answered(answer)) => {
                        self.probes.clear();
                        search.wait(now, answer.mapped.port());
                        return self.age(now, search);
                    }
                    Some(_) => return Some(Phase::Stopped),
                }
                None
            }
            Step::Wait { until, port } => {
                if until <= now {
                    search.step = Step::Ask;
                    self.ask(now, Test::Remote { port }, second, first);
                }
                None
            }
            Step::Ask => {
                let outcome = self.probes.first().and_then(|probe| probe.outcome);
                let is_alive = match outcome? {
                    Outcome::Answered(_) => true,
                    Outcome::Silent => false,
                    // The server does not do it.
                    Outcome::Refused(_) | Outcome::Unsupported | Outcome::Hairpin => {
                        return Some(Phase::Stopped);
                    }
                };
                self.probes.clear();
                let goes_on = search.learn(is_alive);
                self.findings.lifetime = search.found();
                if goes_on { self.age(now, search) } else { Some(Phase::Stopped) }
            }
        }
    }

    fn ask(&mut self, now: Instant, test: Test, path: Path, answer: Path) {
        debug_assert!(self.probes.len() < MAX_PROBES);
        self.probes.push(Probe::new(now, test, path, answer, &mut self.rng));
    }

    fn outcomes(&self, test: Test) -> impl Iterator<Item = Option<Outcome>> {
        self.probes.iter().filter(move |probe| probe.test == test).map(|probe| probe.outcome)
    }

    fn outcome(&self, test: Test) -> Option<Outcome> {
        self.outcomes(test).next().flatten()
    }

    fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }
}

/// At a time.
const MAX_PROBES: usize = 4;
