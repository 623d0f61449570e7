//! Everything that an agent has, each with a name that stays: what statistics are made of.

use proto::{Instant, Path};

use crate::agent::Selected;
use crate::generation::{Generation, Remote};
use crate::local::Local;
use crate::pair::{Pair, PairId};
use crate::{Agent, Candidate, CandidateId, LocalCandidate, PairStats, Transport};

/// Datagrams of whoever is above, without checks and answers to them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Traffic {
    /// Datagrams written.
    pub packets_sent: u64,
    /// Bytes in them.
    pub bytes_sent: u64,
    /// Datagrams that came from where the peer has proved itself.
    pub packets_received: u64,
    /// Bytes in them.
    pub bytes_received: u64,
    /// When the last one was written, if any was.
    pub last_sent: Instant,
    /// When the last one came, if any did.
    pub last_received: Instant,
}

impl Traffic {
    fn sent(&mut self, now: Instant, bytes: u64) {
        self.packets_sent = self.packets_sent.wrapping_add(1);
        self.bytes_sent = self.bytes_sent.wrapping_add(bytes);
        self.last_sent = now;
    }

    fn received(&mut self, now: Instant, bytes: u64) {
        self.packets_received = self.packets_received.wrapping_add(1);
        self.bytes_received = self.bytes_received.wrapping_add(bytes);
        self.last_received = now;
    }
}

/// What an agent has at the moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Census {
    /// Pairs: all of the current generation, and the one from before a restart whose path is still in use.
    pub pairs: Vec<PairStats>,
    /// Candidates of ours, those that checks found included; once for each generation that uses them.
    pub locals: Vec<LocalEntry>,
    /// Candidates of the peer's.
    pub remotes: Vec<RemoteEntry>,
    /// What all pairs have carried since the beginning, those that are gone included.
    pub traffic: Traffic,
    /// How often another pair was selected, or none.
    pub selections: u64,
}

/// A candidate of ours.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LocalEntry {
    /// The generation that it belongs to, as in [`PairStats`].
    pub generation: u32,
    /// Its name.
    pub id: CandidateId,
    /// As it is signalled, with the ufrag of the generation.
    pub candidate: Candidate,
    /// As it was given.
    pub given: LocalCandidate,
}

/// A candidate of the peer's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RemoteEntry {
    /// The generation that it belongs to, as in [`PairStats`].
    pub generation: u32,
    /// Its number among those of the generation.
    pub number: u32,
    /// As it was signalled, as far as that was kept: without what its base is.
    pub candidate: Candidate,
}

impl Agent {
    /// A datagram of whoever is above, of so many bytes, goes out on the selected path.
    pub fn count_sent(&mut self, now: Instant, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.traffic.sent(now, bytes);
        let Some(Selected { is_previous, at }) = self.selected else { return };
        let generation = if is_previous { self.previous.as_deref_mut() } else { Some(&mut self.generation) };
        let pair = generation.and_then(|generation| generation.pairs.get_mut(at));
        if let Some(traffic) = pair.and_then(|pair| pair.traffic.as_mut()) {
            traffic.sent(now, bytes);
        }
    }

    /// One came in on a path on which the peer has proved itself.
    pub fn count_received(&mut self, now: Instant, path: Path, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.traffic.received(now, bytes);
        let previous = self.previous.as_deref_mut();
        let pair = self.generation.pair_on_mut(path).or_else(|| previous?.pair_on_mut(path));
        if let Some(traffic) = pair.and_then(|pair| pair.traffic.as_mut()) {
            traffic.received(now, bytes);
        }
    }

    /// What there is, and what it has done.
    pub fn census(&self) -> Census {
        let Generation { pairs, remotes, number, .. } = &self.generation;
        let mut census = Census {
            pairs: pairs.iter().map(|pair| self.pair_stats(&self.generation, pair)).collect(),
            locals: self.locals.iter().map(|local| self.local_entry(&self.generation, local)).collect(),
            remotes: remotes.iter().map(|remote| remote_entry(&self.generation, remote)).collect(),
            traffic: self.traffic,
            selections: self.selections.into(),
        };
        if let Some(before) = self.previous.as_deref()
            && before.number != *number
            && let Some(pair) = before.pair(before.selected)
        {
            let id = self.local_of(pair);
            let local = self.locals.iter().filter(|local| local.id == id);
            census.locals.extend(local.map(|local| self.local_entry(before, local)));
            let remote = before.remote(pair.path).into_iter();
            census.remotes.extend(remote.map(|remote| remote_entry(before, remote)));
            census.pairs.push(self.pair_stats(before, pair));
        }
        census
    }

    /// The candidate of ours at whose address the peer sees a pair; before it has told, the one that it was made of.
    pub(crate) fn local_of(&self, pair: &Pair) -> CandidateId {
        let is_base =
            |local: &&Local| (local.given.base, local.given.carrier) == (pair.path.local, pair.path.carrier);
        let is_seen = |local: &&Local| pair.mapped == Some(local.given.address) && is_base(local);
        let seen = self.locals.iter().find(is_seen);
        let own = || self.locals.iter().find(|local| local.id == pair.local);
        let found = seen.or_else(own).or_else(|| self.locals.iter().find(is_base));
        found.map_or(pair.local, |local| local.id)
    }

    /// Counts that the selection has changed, if it has.
    pub(crate) fn count_selection(&mut self) {
        let current = &self.generation;
        let key = |generation: &Generation| Some((generation.number, generation.selected?));
        let selected = key(current).or_else(|| key(self.previous.as_deref()?));
        if selected != self.counted_pair {
            self.counted_pair = selected;
            self.selections = self.selections.wrapping_add(1);
        }
    }

    fn local_entry(&self, generation: &Generation, local: &Local) -> LocalEntry {
        let mut candidate = self.describe(local);
        let ufrag = candidate.extensions.iter_mut().find(|(name, _)| name == "ufrag");
        if let Some((_, value)) = ufrag {
            generation.credentials.ufrag().clone_into(value);
        }
        LocalEntry { generation: generation.number, id: local.id, candidate, given: local.given }
    }
}

fn remote_entry(generation: &Generation, remote: &Remote) -> RemoteEntry {
    let peer = generation.peer.as_ref().map(|peer| peer.credentials.ufrag());
    let ufrag = peer.or(remote.ufrag.as_deref()).map(|ufrag| ("ufrag".to_owned(), ufrag.to_owned()));
    RemoteEntry {
        generation: generation.number,
        number: remote.number,
        candidate: Candidate {
            foundation: remote.foundation.to_string(),
            component: 1,
            transport: if remote.tcp_type.is_some() { Transport::Tcp } else { Transport::Udp },
            priority: remote.priority,
            address: remote.address.into(),
            kind: remote.kind,
            related: None,
            tcp_type: remote.tcp_type,
            extensions: ufrag.into_iter().collect(),
        },
    }
}

/// A pair, by its generation and itself.
pub(crate) type PairKey = (u32, PairId);
