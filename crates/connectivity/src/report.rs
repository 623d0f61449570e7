use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use ice::{Address, Candidate, Failure, Kind, PairStats, State, Stats};
use proto::{Carrier, Instant, Path};

use crate::Connectivity;
use crate::names::{NameFailure, NameState};

/// Why it is, or is not, connected. Prints itself, with what to try.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// State, role, pairs and counters of the agent.
    pub stats: Stats,
    /// Where data goes.
    pub selected: Option<Path>,
    /// Smoothed round trip there.
    pub round_trip: Option<Duration>,
    /// Candidates of ours, as the peer may know them.
    pub local_candidates: Vec<Candidate>,
    /// How many addresses of ours cannot be candidates.
    pub refused_hosts: u16,
    /// Whether our host addresses are hidden: they are left out of all of this then.
    pub hides_hosts: bool,
    /// Candidates of the peer's that are used. An address that the peer hides behind a name is left out.
    pub remote_candidates: Vec<(SocketAddr, Kind)>,
    /// Names that the peer gave in place of addresses, and what is known of them.
    pub names: Vec<(String, NameState)>,
    /// The STUN servers, from each address of ours.
    pub servers: Vec<ServerReport>,
    /// The TURN servers, from each socket of ours that asks them.
    pub relays: Vec<RelayReport>,
    /// Servers and sockets of ours between which there could be relays, beyond
    /// [`max_relays`](crate::Config::max_relays).
    pub unasked_relays: usize,
    /// Whether the peer's ufrag and password are known.
    pub has_remote_credentials: bool,
    /// What the peer said that it can.
    pub remote_options: ice::Options,
    /// Whether a server's answer is waited for.
    pub is_gathering: bool,
    /// Whether only relayed addresses may be used.
    pub relay_only: bool,
    /// What happens next by itself.
    pub timers: Timers,
    /// Candidates of the peer's with a host name that were ignored.
    pub ignored_hostnames: u64,
    /// Candidates of the peer's that could not be used for another reason.
    pub refused_candidates: u64,
    /// Datagrams from where the peer has not proved itself.
    pub refused_data: u64,
}

/// How long it is, from the moment of the report, until something happens by itself: what is `None` is not under way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Timers {
    /// The next thing of all.
    pub next: Option<Duration>,
    /// It is said that there is no path, if none is found.
    pub gives_up: Option<Duration>,
    /// The peer is asked for its consent on the path.
    pub asks_consent: Option<Duration>,
    /// Its consent lapses, if it does not answer.
    pub consent_expires: Option<Duration>,
    /// A server is asked, for the first time or again.
    pub asks_server: Option<Duration>,
}

/// What a STUN server said, asked from one address of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServerReport {
    /// The server.
    pub server: SocketAddr,
    /// Our address.
    pub base: SocketAddr,
    /// As the server sees it.
    pub mapped: Option<SocketAddr>,
    /// Its first answer is waited for.
    pub is_pending: bool,
    /// Why there is no answer.
    pub failure: Option<stun::Failure>,
    /// Time to its answer.
    pub round_trip: Option<Duration>,
}

/// What a TURN server said, asked from one socket of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RelayReport {
    /// The server.
    pub server: SocketAddr,
    /// Our socket.
    pub base: SocketAddr,
    /// What it is spoken to over; [`Carrier::Stream`] is TCP or TLS.
    pub carrier: Carrier,
    /// The addresses that it relays for us.
    pub relayed: [Option<SocketAddr>; 2],
    /// Its first answer is waited for.
    pub is_pending: bool,
    /// Why there is no address.
    pub failure: Option<turn::client::Failure>,
}

impl Connectivity {
    /// Whether the TURN server at this address relays for us at the moment.
    pub fn is_relayed_by(&self, server: SocketAddr) -> bool {
        self.relays.as_ref().is_some_and(|relays| relays.is_lent_by(server))
    }

    /// Whether the STUN or TURN server at this address has answered anything.
    pub fn has_heard_from(&self, server: SocketAddr) -> bool {
        self.gatherer.has_heard_from(server)
            || self.relays.as_ref().is_some_and(|relays| relays.has_heard_from(server))
    }

    /// Why it is, or is not, connected.
    pub fn report(&self) -> Report {
        let mut stats = self.agent.stats();
        stats.pairs.iter_mut().for_each(|pair| pair.path = self.shown(pair.path));
        let mut servers = self.gatherer.report();
        servers.iter_mut().for_each(|server| server.base = self.shown_local(server.base));
        let mut relays = self.relays.as_ref().map(|relays| relays.report()).unwrap_or_default();
        relays.iter_mut().for_each(|relay| relay.base = self.shown_local(relay.base));
        let remotes = self.agent.remote_candidates();
        let unasked = self.relays.as_ref().filter(|_| self.is_gathering).map(|relays| relays.unasked());
        Report {
            stats,
            selected: self.agent.selected_path().map(|path| self.shown(path)),
            round_trip: self.agent.round_trip(),
            local_candidates: self.local_candidates().collect(),
            refused_hosts: self.refused_hosts,
            hides_hosts: self.host_names.is_some(),
            remote_candidates: remotes.map(|(address, kind)| (self.shown_remote(address), kind)).collect(),
            names: self.names.as_ref().map(|names| names.report()).unwrap_or_default(),
            servers,
            remote_options: self.agent.remote_options(),
            has_remote_credentials: self.agent.remote_credentials().is_some(),
            relays,
            is_gathering: self.is_gathering && !self.has_answers(),
            unasked_relays: unasked.unwrap_or_default(),
            relay_only: self.relay_only,
            timers: self.timers(),
            ignored_hostnames: self.hostnames,
            refused_candidates: self.refused_candidates,
            refused_data: self.refused_data,
        }
    }

    fn timers(&self) -> Timers {
        let until = |at: Option<Instant>| at.map(|at| at - self.now);
        let relays = self.relays.as_ref().and_then(|relays| relays.poll_timeout());
        let ice::Timers { gives_up, asks_consent, consent_expires, .. } = self.agent.timers();
        Timers {
            next: until(self.poll_timeout()),
            gives_up: until(gives_up),
            asks_consent: until(asks_consent),
            consent_expires: until(consent_expires),
            asks_server: until([self.gatherer.poll_timeout(), relays].into_iter().flatten().min()),
        }
    }
}

impl Report {
    /// What to try, in one sentence; `None` when all is well.
    pub fn advice(&self) -> Option<&'static str> {
        let all_failed = !self.servers.is_empty()
            && self.servers.iter().all(|server| server.mapped.is_none() && !server.is_pending);
        let no_relay = !self.relays.is_empty()
            && self.relays.iter().all(|relay| relay.failure.is_some() && relay.relayed == [None; 2]);
        Some(match self.stats.state {
            State::Connected | State::Completed | State::Closed => return None,
            State::New => "Nothing was heard of the peer: pass its answer to us.",
            State::Disconnected => "The path is silent: wait, or restart ICE if the network has changed.",
            State::Failed(Failure::ConsentExpired) => "The path died: restart ICE.",
            State::Failed(Failure::WrongCredentials) => {
                "One side has another ufrag or password than the other thinks: pass the latest description of each to the other."
            }
            _ if no_relay => "No TURN server gave an address: see what each of them said, above.",
            _ if self.relay_only && self.relays.is_empty() => {
                "Only relayed addresses may be used, and no TURN server is asked: name one that can be reached."
            }
            _ if self.local_candidates.is_empty() && self.hides_hosts => {
                "Our addresses are hidden, and there is no name for any: see whether multicast DNS works here, or use a STUN or TURN server."
            }
            _ if self.local_candidates.is_empty() && self.refused_hosts > 0 => {
                "None of our addresses can be used: bind a socket to one that the peer can send to."
            }
            _ if self.local_candidates.is_empty() => "There is no address of ours: bind a socket.",
            _ if self.remote_candidates.is_empty() && !self.names.is_empty() => return self.name_advice(),
            _ if self.remote_candidates.is_empty() && self.ignored_hostnames > 0 => {
                "The peer gave only .local names: let one side be reachable by address, or give the peer's page access to a camera or microphone."
            }
            _ if self.remote_candidates.is_empty() => {
                "The peer gave no candidate: pass its candidates to us, or wait until it has gathered."
            }
            _ if self.stats.pairs.is_empty() => {
                "The addresses of the two sides are of different families: bind sockets of both."
            }
            _ if all_failed => "No STUN server answers: see whether a firewall stops UDP.",
            _ if self.servers.is_empty() => "No check was answered: use a STUN server, or a TURN server.",
            State::Checking | State::Failed(_) if !self.relays.is_empty() => {
                "No check was answered, not through the relay either: see whether the peer got our candidates."
            }
            State::Checking | State::Failed(_) => {
                "No check was answered: both sides may be behind strict NATs; use a TURN server."
            }
        })
    }

    /// The peer gave names alone, and none of them is known.
    fn name_advice(&self) -> Option<&'static str> {
        let is = |wanted: NameState| self.names.iter().any(|(_, state)| *state == wanted);
        Some(if is(NameState::Asked) {
            "The peer gave only .local names, which are being asked for: wait."
        } else if is(NameState::Failed(NameFailure::Unavailable)) {
            "The peer gave only .local names, and multicast DNS does not work here: let one side be reachable by address, or use a STUN or TURN server."
        } else {
            "Nobody on this network answers for the peer's .local names: the peer is elsewhere, or the network stops multicast; use a STUN or TURN server."
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "state: {:?}", self.stats.state)?;
        if let State::Failed(failure) = self.stats.state {
            write!(f, " ({failure})")?;
        }
        writeln!(f, ", role: {:?}", self.stats.role)?;
        if let Some(path) = self.selected {
            write!(f, "path: {} -> {}", path.local, path.remote)?;
            if let Some(round_trip) = self.round_trip {
                write!(f, ", round trip {round_trip:?}")?;
            }
            writeln!(f)?;
        }
        let credentials = if self.has_remote_credentials { "known" } else { "missing" };
        writeln!(f, "remote credentials: {credentials}")?;
        writeln!(f, "local candidates: {}", self.local_candidates.len())?;
        for Candidate { kind, address, .. } in &self.local_candidates {
            match address {
                Address::Ip(address) => writeln!(f, "  {kind} {address}")?,
                Address::Hostname { name, port } => writeln!(f, "  {kind} {name}:{port}")?,
            }
        }
        if self.refused_hosts > 0 {
            writeln!(f, "  addresses that cannot be candidates: {}", self.refused_hosts)?;
        }
        writeln!(f, "remote candidates: {}", self.remote_candidates.len())?;
        for (address, kind) in &self.remote_candidates {
            writeln!(f, "  {kind} {address}")?;
        }
        self.names.iter().try_for_each(|(name, state)| writeln!(f, "  {name}: {state}"))?;
        if self.ignored_hostnames > 0 || self.refused_candidates > 0 {
            let Self { ignored_hostnames, refused_candidates, .. } = self;
            writeln!(f, "  ignored: {ignored_hostnames} host names, {refused_candidates} others")?;
        }
        self.servers.iter().try_for_each(|server| writeln!(f, "{server}"))?;
        self.relays.iter().try_for_each(|relay| writeln!(f, "{relay}"))?;
        if self.unasked_relays > 0 {
            writeln!(f, "relays not asked, as there would be too many: {}", self.unasked_relays)?;
        }
        writeln!(f, "pairs: {}", self.stats.pairs.len())?;
        self.stats.pairs.iter().try_for_each(|pair| write_pair(f, pair))?;
        writeln!(f, "{}", self.timers)?;
        self.advice().map_or(Ok(()), |advice| writeln!(f, "try: {advice}"))
    }
}

impl fmt::Display for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { next, gives_up, asks_consent, consent_expires, asks_server } = *self;
        f.write_str("timers:")?;
        let mut is_first = true;
        for (what, at) in [
            ("next", next),
            ("server asked", asks_server),
            ("given up", gives_up),
            ("consent asked", asks_consent),
            ("consent lapses", consent_expires),
        ] {
            if let Some(at) = at {
                let comma = if std::mem::take(&mut is_first) { "" } else { "," };
                write!(f, "{comma} {what} in {:.3} s", at.as_secs_f64())?;
            }
        }
        if is_first { f.write_str(" none") } else { Ok(()) }
    }
}

impl fmt::Display for NameState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "asked for",
            Self::Resolved => "known",
            Self::Failed(NameFailure::NoAnswer) => "nobody here answers for it",
            Self::Failed(NameFailure::Unavailable) => "not asked for, as there is no multicast DNS here",
            Self::Failed(NameFailure::TooMany) => "not asked for, as there are too many names",
        })
    }
}

impl fmt::Display for ServerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {} from {}: ", self.server, self.base)?;
        match (self.mapped, self.failure) {
            (Some(mapped), _) => write!(f, "sees us at {mapped}"),
            (None, Some(failure)) => write!(f, "{failure}"),
            (None, None) => write!(f, "no answer yet"),
        }
    }
}

impl fmt::Display for RelayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = if self.carrier == Carrier::Udp { "" } else { " over TCP" };
        write!(f, "relay {}{over} from {}: ", self.server, self.base)?;
        match (self.relayed, self.failure) {
            ([Some(relayed), None], _) => write!(f, "gives us {relayed}"),
            ([Some(first), Some(second)], _) => write!(f, "gives us {first} and {second}"),
            (_, Some(failure)) => write!(f, "{failure}"),
            (_, None) => write!(f, "no answer yet"),
        }
    }
}

fn write_pair(f: &mut fmt::Formatter<'_>, pair: &PairStats) -> fmt::Result {
    let over = if pair.path.carrier == Carrier::Framed { " over TCP" } else { "" };
    write!(f, "  {} -> {}{over}: {:?}", pair.path.local, pair.path.remote, pair.state)?;
    write!(f, ", sent {}, answered {}", pair.requests_sent, pair.responses_received)?;
    write!(f, ", asked by the peer {}", pair.requests_received)?;
    if let Some(round_trip) = pair.round_trip {
        write!(f, ", round trip {round_trip:?}")?;
    }
    if let Some(error) = pair.error {
        write!(f, ", error {error}")?;
    }
    writeln!(f, "{}", if pair.is_nominated { ", nominated" } else { "" })
}
