use proto::Path;

use crate::{Agent, Route};

#[derive(Debug)]
pub(crate) struct RouteState {
    path: Path,
    /// What the peer has shown there by now, and what was told of it.
    proof: Option<Proof>,
    told: Option<Proof>,
}

/// How well a peer has proved that a path is its own.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Proof {
    /// By a request.
    Asked,
    /// By the answer to one of ours.
    Answered,
}

impl Agent {
    /// Whether the peer has proved its password on `path`.
    pub fn is_authenticated(&self, path: Path) -> bool {
        self.routes.iter().any(|route| route.path == path && route.proof.is_some())
    }

    /// Whether the peer has answered a check of ours on `path`. A check of its own, repeated by somebody who saw it
    /// go by, authenticates wherever it comes from, and is answered by nobody. A lite agent, which asks nothing, has the
    /// peer's nomination instead, where it came first.
    pub fn is_confirmed(&self, path: Path) -> bool {
        self.routes.iter().any(|route| route.path == path && route.proof == Some(Proof::Answered))
            || self.is_nominated_to_lite(path)
    }

    /// The next change in the paths that are the peer's.
    pub fn poll_route(&mut self) -> Option<Route> {
        let is_news = |route: &RouteState| route.proof.is_none() || route.proof > route.told;
        let at = self.routes.iter().position(is_news)?;
        let route = self.routes.get_mut(at)?;
        let path = route.path;
        route.told = route.proof;
        Some(match route.proof {
            Some(Proof::Asked) => Route::Added(path),
            Some(Proof::Answered) => Route::Confirmed(path),
            None => {
                self.routes.remove(at);
                Route::Removed(path)
            }
        })
    }

    pub(crate) fn sync_routes(&mut self) {
        self.routes.iter_mut().for_each(|route| route.proof = None);
        let previous = self.previous.iter().flat_map(|previous| &previous.pairs);
        for pair in self.generation.pairs.iter().chain(previous).filter(|pair| pair.authenticated) {
            let proof = Some(if pair.responses > 0 { Proof::Answered } else { Proof::Asked });
            match self.routes.iter_mut().find(|route| route.path == pair.path) {
                Some(route) => route.proof = route.proof.max(proof),
                None => self.routes.push(RouteState { path: pair.path, proof, told: None }),
            }
        }
        self.routes.retain(|route| route.proof.is_some() || route.told.is_some());
    }
}
