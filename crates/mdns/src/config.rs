use std::time::Duration;

use crate::wire::MAX_RECORDS;

/// Times and limits of a [`Querier`](crate::Querier) and a [`Responder`](crate::Responder).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Bytes of a datagram that is read: 9,000 (RFC 6762 §17).
    pub max_datagram: usize,
    /// Questions and records of a message: 256 ([`MAX_RECORDS`]).
    pub max_records: usize,
    /// Links: 32, as two for each of 16 interfaces.
    pub max_links: usize,
    /// Names asked for, or announced, at a time by all sessions: 64.
    pub max_names: usize,
    /// From the first query to the second; each further wait is twice as long. 1 s, and never less (RFC 6762 §5.2).
    pub interval: Duration,
    /// Queries for a name before it is given up: 4, that is after 15 s.
    pub max_queries: u32,
    /// Whether the first query says that the answer may come by unicast (RFC 6762 §5.4). Not by default:
    /// where the port is shared with another program, unicast may go to that one (RFC 6762 §15.1).
    pub asks_unicast: bool,
    /// For how long an answer is believed at most: 120 s, as long as host names hold (RFC 6762 §10).
    pub max_ttl: Duration,
    /// For how long our own answers hold: 120 s (RFC 6762 §10). In whole seconds, of which there is at least one.
    pub ttl: Duration,
    /// How often a new name is told to all unasked: 2, a second apart (RFC 6762 §8.3).
    pub announcements: u32,
    /// Answers by unicast that wait for the socket: 16.
    pub max_replies: usize,
    /// Answers by unicast in a second: 50.
    pub unicast_rate: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_datagram: 9000,
            max_records: MAX_RECORDS,
            max_links: 32,
            max_names: 64,
            interval: Duration::from_secs(1),
            max_queries: 4,
            asks_unicast: false,
            max_ttl: Duration::from_secs(120),
            ttl: Duration::from_secs(120),
            announcements: 2,
            max_replies: 16,
            unicast_rate: 50,
        }
    }
}
