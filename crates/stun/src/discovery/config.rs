use std::time::Duration;

use crate::Schedule;
use crate::wire::MAX_ATTRIBUTES;

/// Times and limits of a [`Discovery`](super::Discovery).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Of the requests that any working path answers.
    pub schedule: Schedule,
    /// Of those that may rightly stay without an answer: five requests within 7.5 s, and 2 s more, so that one
    /// is enough of those that a lossy path lets through.
    pub probe: Schedule,
    /// How long a mapping's life is looked for; none: not at all, which is the default, since it takes longer
    /// than that (RFC 5780 §4.6).
    pub max_lifetime: Option<Duration>,
    /// How exactly: 10 s, and 1 s at least.
    pub resolution: Duration,
    /// Attributes of a message: 64 ([`MAX_ATTRIBUTES`]).
    pub max_attributes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            probe: Schedule { max_requests: 5, last_wait: 4, ..Schedule::default() },
            max_lifetime: None,
            resolution: Duration::from_secs(10),
            max_attributes: MAX_ATTRIBUTES,
        }
    }
}
