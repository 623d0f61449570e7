use std::time::Duration;

use crate::wire::MAX_ATTRIBUTES;

/// Times and limits of a [`Client`](crate::Client).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// When a request is sent again and given up.
    pub schedule: Schedule,
    /// Time from an answer to the next request, which keeps the NAT's binding: 15 s (RFC 8445 §11).
    pub refresh: Duration,
    /// Attributes of a message: 64 ([`MAX_ATTRIBUTES`]).
    pub max_attributes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            refresh: Duration::from_secs(15),
            max_attributes: MAX_ATTRIBUTES,
        }
    }
}

/// When a request is sent again and given up (RFC 8489 §6.2).
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// First wait for an answer; each further one is twice as long. 500 ms (RFC 8489 §6.2.1).
    pub rto: Duration,
    /// Requests in a transaction, called Rc: 7 (RFC 8489 §6.2.1).
    pub max_requests: u32,
    /// After the last request one waits this many times `rto`, called Rm: 16 (RFC 8489 §6.2.1).
    pub last_wait: u32,
    /// Over TCP and TLS, where a request is sent once, the wait for its answer, called Ti: 39.5 s (RFC 8489 §6.2.2).
    pub reliable_wait: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            rto: Duration::from_millis(500),
            max_requests: 7,
            last_wait: 16,
            reliable_wait: Duration::from_millis(39_500),
        }
    }
}
