use ice::{Candidate, Role, State};
use proto::Path;

/// What happened. Candidates come once each; of the others the latest is kept until it is polled.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A candidate of ours, to be signalled.
    Candidate(Candidate),
    /// No further candidates will come, unless one is added or ICE restarts.
    GatheringDone,
    /// The agent's state is now this.
    StateChanged(State),
    /// Data goes this way from now on.
    PathSelected(Path),
    /// A conflict of roles was settled: this is ours now.
    RoleSwitched(Role),
}
