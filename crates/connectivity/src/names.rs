use std::net::{IpAddr, SocketAddr};

use ice::{Address, Candidate};
use mdns::LocalName;
use proto::Instant;

use crate::Connectivity;

/// The `.local` names that the peer gave in place of addresses: asked for by the owner, who has the network, and turned
/// into candidates when there is an answer.
#[derive(Debug)]
pub(crate) struct Names {
    max_names: usize,
    max_candidates: usize,
    /// Each name once, for as long as the connection lives.
    known: Vec<Named>,
    /// The peer has said that there will be no more candidates.
    is_ended: bool,
}

#[derive(Debug)]
struct Named {
    name: LocalName,
    state: NameState,
    /// Its owner has not been told yet that it is asked for.
    is_fresh: bool,
    /// Candidates that wait for its address.
    waiting: Vec<Candidate>,
    addresses: Vec<IpAddr>,
}

/// How far a name of the peer's is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NameState {
    /// It is being asked for.
    Asked,
    /// Its address is known, and in use.
    Resolved,
    /// It is not known.
    Failed(NameFailure),
}

/// Why a name of the peer's is not known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NameFailure {
    /// Nobody on our networks answers for it.
    NoAnswer,
    /// There is no multicast DNS here.
    Unavailable,
    /// Too many names are being asked for.
    TooMany,
}

impl Names {
    pub(crate) const fn new(max_names: usize, max_candidates: usize) -> Self {
        Self { max_names, max_candidates, known: Vec::new(), is_ended: false }
    }

    /// Keeps a candidate until its name is known; false if there are too many, or it is no name that may be asked for.
    pub(crate) fn take(&mut self, candidate: Candidate) -> bool {
        let Address::Hostname { name, .. } = &candidate.address else { return false };
        let Ok(name) = name.parse::<LocalName>() else { return false };
        let waiting: usize = self.known.iter().map(|named| named.waiting.len()).sum();
        if waiting >= self.max_candidates {
            return false;
        }
        let has_room = self.known.len() < self.max_names;
        match self.known.iter_mut().find(|named| named.name == name) {
            Some(named) => {
                named.is_fresh |= named.state != NameState::Asked;
                named.state = NameState::Asked;
                named.waiting.push(candidate);
            }
            None if has_room => {
                let (waiting, addresses) = (vec![candidate], Vec::new());
                self.known.push(Named { name, state: NameState::Asked, is_fresh: true, waiting, addresses });
            }
            None => return false,
        }
        true
    }

    /// The next name to be asked for.
    pub(crate) fn poll(&mut self) -> Option<LocalName> {
        let named = self.known.iter_mut().find(|named| named.is_fresh)?;
        named.is_fresh = false;
        Some(named.name)
    }

    /// The candidates that have waited for this name, now with its address.
    pub(crate) fn resolved(&mut self, name: &LocalName, address: IpAddr) -> Vec<Candidate> {
        let Some(named) = self.known.iter_mut().find(|named| named.name == *name) else { return Vec::new() };
        named.state = NameState::Resolved;
        if !named.addresses.contains(&address) {
            // Whoever answers more often than once in a connection's life gives a few.
            named.addresses.truncate(MAX_ADDRESSES - 1);
            named.addresses.push(address);
        }
        let mut ready = std::mem::take(&mut named.waiting);
        for candidate in &mut ready {
            candidate.address = SocketAddr::new(address, candidate.address.port()).into();
        }
        ready
    }

    pub(crate) fn failed(&mut self, name: &LocalName, failure: NameFailure) {
        if let Some(named) = self.known.iter_mut().find(|named| named.name == *name) {
            named.state = NameState::Failed(failure);
            named.waiting = Vec::new();
        }
    }

    /// Forgets the candidates of before a restart.
    pub(crate) fn restart(&mut self) {
        self.is_ended = false;
        self.known.iter_mut().for_each(|named| named.waiting = Vec::new());
    }

    /// There will be no more candidates; says whether none waits.
    pub(crate) fn end(&mut self) -> bool {
        self.is_ended = !self.is_settled();
        !self.is_ended
    }

    /// Whether the end was said, and holds only now.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.is_settled() && std::mem::take(&mut self.is_ended)
    }

    fn is_settled(&self) -> bool {
        self.known.iter().all(|named| named.waiting.is_empty())
    }

    /// Whether `address` is known by a name alone.
    pub(crate) fn hides(&self, address: IpAddr) -> bool {
        self.known.iter().any(|named| named.addresses.contains(&address))
    }

    pub(crate) fn report(&self) -> Vec<(String, NameState)> {
        self.known.iter().map(|named| (named.name.to_string(), named.state)).collect()
    }
}

/// What the owner of a [`Connectivity`] has to do with names.
impl Connectivity {
    /// The next name of the peer's to be asked for by multicast DNS. The answer is to be told by
    /// [`name_resolved`](Self::name_resolved) or [`name_failed`](Self::name_failed).
    pub fn poll_name(&mut self) -> Option<LocalName> {
        self.names.as_mut()?.poll()
    }

    /// A name of the peer's stands for `address`: the candidates that it gave by this name are checked now.
    pub fn name_resolved(&mut self, now: Instant, name: &LocalName, address: IpAddr) {
        self.now = self.now.max(now);
        let ready = self.names.as_mut().map(|names| names.resolved(name, address)).unwrap_or_default();
        for candidate in ready {
            let _ = self.take_remote_candidate(candidate); // what cannot be used is counted
        }
        self.end_when_names_are_known();
        self.settle();
    }

    /// A name of the peer's is not known.
    pub fn name_failed(&mut self, now: Instant, name: &LocalName, failure: NameFailure) {
        self.now = self.now.max(now);
        self.names.iter_mut().for_each(|names| names.failed(name, failure));
        self.end_when_names_are_known();
        self.settle();
    }

    /// Keeps a candidate whose address is a name; false if it is ignored.
    pub(crate) fn take_named(&mut self, candidate: Candidate) -> bool {
        // Where only relays are used nothing is asked on networks, and no address on them could be sent to.
        let is_wanted = self.resolves_names && !self.relay_only && candidate.component == 1;
        let (max_names, max_candidates) = (self.max_names, self.max_remotes);
        is_wanted
            && self
                .names
                .get_or_insert_with(|| Box::new(Names::new(max_names.into(), max_candidates.into())))
                .take(candidate)
    }

    fn end_when_names_are_known(&mut self) {
        if self.names.as_mut().is_some_and(|names| names.has_ended()) {
            self.agent.end_of_remote_candidates(self.now);
        }
    }
}

const MAX_ADDRESSES: usize = 4;
