//! The candidates of ours: what the peer is told of them, and which of its own are used.

use std::net::SocketAddr;

use ice::{Candidate, CandidateId, Kind, LocalCandidate};

use crate::{AddressPolicy, CandidateError, Connectivity, ExternalAddress};

/// What is shown otherwise than it is, where anything is.
#[derive(Debug)]
pub(crate) struct Showing {
    hides_hosts: bool,
    external: Vec<ExternalAddress>,
    remote_policy: Option<AddressPolicy>,
}

impl Showing {
    pub(crate) fn new(
        hides_hosts: bool,
        external: Vec<ExternalAddress>,
        remote_policy: Option<AddressPolicy>,
    ) -> Option<Box<Self>> {
        let is_any = hides_hosts || !external.is_empty() || remote_policy.is_some();
        is_any.then(|| Box::new(Self { hides_hosts, external, remote_policy }))
    }
}

/// A candidate of ours that the agent has.
#[derive(Debug)]
pub(crate) struct Announced {
    pub(crate) id: CandidateId,
    /// The peer is not told of it.
    pub(crate) is_hidden: bool,
}

impl Connectivity {
    /// Whether a candidate of the peer's is to be used.
    pub(crate) fn is_permitted(&self, candidate: &Candidate) -> bool {
        let policy = self.showing.as_ref().and_then(|showing| showing.remote_policy.as_ref());
        let ip = candidate.address.ip().map(|address| address.ip());
        policy.is_none_or(|policy| ip.is_none_or(|ip| policy.permits(ip)))
    }

    fn hides_hosts(&self) -> bool {
        self.showing.as_ref().is_some_and(|showing| showing.hides_hosts)
    }

    pub(crate) fn remove_relayed(&mut self, address: SocketAddr) {
        self.remove_locals(|local| local.kind == Kind::Relayed && local.address == address);
    }

    pub(crate) fn remove_locals(&mut self, is_gone: impl Fn(&LocalCandidate) -> bool) {
        let agent = &self.agent;
        let is_gone = |local: &mut Announced| agent.given_candidate(local.id).is_some_and(&is_gone);
        let gone: Vec<CandidateId> = self.locals.extract_if(.., is_gone).map(|local| local.id).collect();
        for id in gone {
            self.fresh.retain(|fresh| *fresh != id);
            self.agent.remove_local_candidate(self.now, id);
        }
    }

    /// Adds a candidate at an address of this machine, as a NAT in front of it is known to show it.
    pub(crate) fn add_own(&mut self, own: LocalCandidate) -> Result<(), CandidateError> {
        let known = self.showing.iter().flat_map(|showing| &showing.external);
        let external: Vec<ExternalAddress> =
            known.filter(|known| known.is_of(own.base.ip())).copied().collect();
        if !external.iter().any(|known| known.replaces) {
            self.add_local(own)?;
        }
        for ExternalAddress { external, replaces, .. } in external {
            let kind = if replaces { Kind::Host } else { Kind::ServerReflexive };
            let address = SocketAddr::new(external, own.address.port());
            self.add_local(LocalCandidate { kind, address, ..own })?;
        }
        Ok(())
    }

    pub(crate) fn add_local(&mut self, candidate: LocalCandidate) -> Result<(), CandidateError> {
        let id = self.agent.add_local_candidate(self.now, candidate).map_err(CandidateError::Unusable)?;
        // Few come, and they stay.
        self.locals.reserve_exact(1);
        let is_hidden =
            self.hides_hosts() && candidate.kind == Kind::Host && candidate.address == candidate.base;
        self.locals.push(Announced { id, is_hidden });
        if !is_hidden {
            self.fresh.push_back(id);
        }
        Ok(())
    }
}
