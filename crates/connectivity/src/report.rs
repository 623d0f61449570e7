use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use ice::{Candidate, Failure, Kind, PairStats, State, Stats};
use proto::{Carrier, Path};

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
    /// Candidates of ours.
    pub local_candidates: Vec<Candidate>,
    /// Candidates of the peer's that are used.
    pub remote_candidates: Vec<(SocketAddr, Kind)>,
    /// The STUN servers, from each address of ours.
    pub servers: Vec<ServerReport>,
    /// The TURN servers, from each socket of ours that asks them.
    pub relays: Vec<RelayReport>,
    /// Servers and sockets of ours between which there could be relays, beyond
    /// [`max_relays`](crate::Config::max_relays).
    pub unasked_relays: usize,
    /// Whether the peer's ufrag and password are known.
    pub has_remote_credentials: bool,
    /// Whether a server's answer is waited for.
    pub is_gathering: bool,
    /// Whether only relayed addresses may be used.
    pub relay_only: bool,
    /// Candidates of the peer's with a host name, most of them `.local`, which were ignored.
    pub ignored_hostnames: u64,
    /// Candidates of the peer's that could not be used for another reason.
    pub refused_candidates: u64,
    /// Datagrams from where the peer has not proved itself.
    pub refused_data: u64,
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
            _ if self.local_candidates.is_empty() => "There is no address of ours: bind a socket.",
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
        for candidate in &self.local_candidates {
            match candidate.address.ip() {
                Some(address) => writeln!(f, "  {} {address}", candidate.kind)?,
                None => writeln!(f, "  {}", candidate.kind)?,
            }
        }
        writeln!(f, "remote candidates: {}", self.remote_candidates.len())?;
        for (address, kind) in &self.remote_candidates {
            writeln!(f, "  {kind} {address}")?;
        }
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
        self.advice().map_or(Ok(()), |advice| writeln!(f, "try: {advice}"))
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
    write!(f, "  {} -> {}: {:?}", pair.path.local, pair.path.remote, pair.state)?;
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
