//! What statistics are made of: what the agent has, as it may be shown, and which server it came from.

use std::net::SocketAddr;

use ice::{Candidate, Kind, LocalCandidate, PairStats, Traffic};
use proto::Carrier;

use crate::Connectivity;

/// Candidates and pairs, each with a name that stays, and what they have carried.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Census {
    /// Pairs: those that are checked, and the one from before a restart whose path is still in use. The addresses in them
    /// are left out that may not be shown.
    pub pairs: Vec<PairStats>,
    /// Candidates of ours.
    pub locals: Vec<Entry>,
    /// Candidates of the peer's.
    pub remotes: Vec<Entry>,
    /// What all pairs have carried since the beginning.
    pub traffic: Traffic,
    /// How often another pair was selected, or none.
    pub selections: u64,
}

/// A candidate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// How often credentials had been renewed when it was made, and its number since: both together are of no other
    /// candidate of this side.
    pub generation: u32,
    /// See there.
    pub number: u32,
    /// As it is signalled.
    pub candidate: Candidate,
    /// Whether its address may not be shown: it is hidden behind a name, or may be one that is.
    pub is_hidden: bool,
    /// The server that it came from, and what that is spoken to over.
    pub server: Option<(SocketAddr, Carrier)>,
}

impl Connectivity {
    /// What there is, and what it has done.
    pub fn census(&self) -> Census {
        let ice::Census { mut pairs, locals, remotes, traffic, selections, .. } = self.agent.census();
        pairs.iter_mut().for_each(|pair| pair.path = self.shown(pair.path));
        let local = |entry: ice::LocalEntry| {
            let untold = self.locals.iter().any(|known| known.id == entry.id && known.is_hidden);
            let told = self.told(entry.candidate.clone()).filter(|_| !untold);
            Entry {
                generation: entry.generation,
                number: entry.id.number(),
                is_hidden: told.is_none(),
                candidate: told.unwrap_or(entry.candidate),
                server: self.server_of(&entry.given),
            }
        };
        let remote = |entry: ice::RemoteEntry| {
            let (address, kind) = (entry.candidate.address.ip(), entry.candidate.kind);
            let is_hidden = address.is_some_and(|address| self.is_hidden_remote(address, kind));
            Entry {
                generation: entry.generation,
                number: entry.number,
                candidate: entry.candidate,
                is_hidden,
                server: None,
            }
        };
        Census {
            pairs,
            locals: locals.into_iter().map(local).collect(),
            remotes: remotes.into_iter().map(remote).collect(),
            traffic,
            selections,
        }
    }

    /// The server that told or gave a candidate of ours.
    fn server_of(&self, given: &LocalCandidate) -> Option<(SocketAddr, Carrier)> {
        match given.kind {
            Kind::ServerReflexive => {
                let servers = self.gatherer.report();
                let told = servers
                    .into_iter()
                    .find(|known| known.base == given.base && Some(known.server.ip()) == given.server)?;
                Some((told.server, Carrier::Udp))
            }
            Kind::Relayed => {
                let relays = self.relays.as_ref()?.report();
                let gave = relays.into_iter().find(|relay| relay.relayed.contains(&Some(given.address)))?;
                Some((gave.server, gave.carrier))
            }
            Kind::Host | Kind::PeerReflexive => None,
        }
    }
}
