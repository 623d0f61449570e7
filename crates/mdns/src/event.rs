use std::net::IpAddr;

use crate::QueryId;

/// What the querier found out: one for each question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// The name stands for this address.
    Resolved(QueryId, IpAddr),
    /// Nobody has answered. Nothing is asked until the name is asked for again.
    Failed(QueryId),
}

/// What a machine counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages written to the groups of links.
    pub multicast: u64,
    /// Messages written to one asker.
    pub unicast: u64,
    /// Datagrams taken.
    pub received: u64,
    /// Datagrams refused with a [`Discard`](crate::Discard).
    pub discarded: u64,
}
