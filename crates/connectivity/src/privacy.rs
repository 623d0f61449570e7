//! Host addresses that are to stay unknown, to the peer and to whoever reads reports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ice::{Address, Candidate, Kind};
use mdns::LocalName;
use proto::{Instant, Path};

use crate::Connectivity;

/// Which names stand for our host addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostNames(Vec<(IpAddr, LocalName)>);

impl HostNames {
    pub(crate) const fn new(names: Vec<(IpAddr, LocalName)>) -> Self {
        Self(names)
    }

    fn insert(&mut self, address: IpAddr, name: LocalName) {
        match self.0.iter_mut().find(|(known, _)| *known == address) {
            Some(known) => known.1 = name,
            None => self.0.push((address, name)),
        }
    }

    /// The candidate as the peer may know it; `None` if it may not know it at all: it has no name.
    fn disguise(&self, mut candidate: Candidate) -> Option<Candidate> {
        match candidate.kind {
            Kind::Host => {
                let address = candidate.address.ip()?;
                let (_, name) = self.0.iter().find(|(known, _)| *known == address.ip())?;
                candidate.address = Address::Hostname { name: name.to_string(), port: address.port() };
            }
            // draft-ietf-mmusic-mdns-ice-candidates §3.1.2.2.
            Kind::ServerReflexive | Kind::PeerReflexive | Kind::Relayed => {
                let nowhere = candidate.address.ip().map(|address| (unspecified(address.ip()), DISCARD_PORT));
                candidate.related = nowhere.map(|nowhere| SocketAddr::from(nowhere).into());
            }
        }
        Some(candidate)
    }
}

impl Connectivity {
    /// `name` stands for our host address `address` from now on, where host addresses are
    /// [hidden](crate::Config::host_names): it is announced by the name.
    pub fn name_host(&mut self, now: Instant, address: IpAddr, name: LocalName) {
        self.now = self.now.max(now);
        if let Some(names) = &mut self.host_names {
            names.insert(address, name);
        }
    }

    /// A candidate of ours as it is told; `None` if it is not told.
    pub(crate) fn told(&self, candidate: Candidate) -> Option<Candidate> {
        match &self.host_names {
            Some(names) => names.disguise(candidate),
            None => Some(candidate),
        }
    }

    /// A path as it may be shown: an address that is hidden behind a name, ours or the peer's, is left out.
    #[must_use]
    pub fn shown(&self, path: Path) -> Path {
        Path { local: self.shown_local(path.local), remote: self.shown_remote(path.remote), ..path }
    }

    pub(crate) fn shown_local(&self, address: SocketAddr) -> SocketAddr {
        // What a relay gave is no secret.
        let is_relayed =
            self.carrier_of(Path { carrier: proto::Carrier::Udp, local: address, remote: address });
        let is_hidden = self.host_names.is_some() && is_relayed.is_none();
        if is_hidden { hidden(address) } else { address }
    }

    pub(crate) fn shown_remote(&self, address: SocketAddr) -> SocketAddr {
        // Looked for only if the peer gives names: a path may outlive its candidates, and is hidden then.
        let is_signalled = || {
            let mut known = self.agent.remote_candidates();
            known.any(|(known, kind)| known == address && !self.is_hidden_remote(known, kind))
        };
        if self.names.is_none() || is_signalled() { address } else { hidden(address) }
    }

    /// Whether an address of the peer's may not be shown: it is known by a name alone, or was seen in a check of a peer
    /// that gives names in place of addresses, and may be what a name stands for.
    pub(crate) fn is_hidden_remote(&self, address: SocketAddr, kind: Kind) -> bool {
        let names = self.names.as_ref();
        names.is_some_and(|names| kind == Kind::PeerReflexive || names.hides(address.ip()))
    }
}

const fn hidden(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(unspecified(address.ip()), address.port())
}

const fn unspecified(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// RFC 863: nobody's.
const DISCARD_PORT: u16 = 9;
