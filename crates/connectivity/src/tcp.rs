//! TCP candidates (RFC 6544).

use std::net::{IpAddr, SocketAddr};

use ice::{ConnectId, LocalCandidate};
use proto::{Instant, Path};

use crate::{CandidateError, Connectivity};

impl Connectivity {
    /// A TCP listener of ours is bound to `address`, which is announced once gathering has begun. What connections to it
    /// bring comes by [`handle_datagram`](Self::handle_datagram), on paths of [`Carrier::Framed`](crate::Carrier) that
    /// begin there. Where only relays are used nothing comes of it.
    ///
    /// # Errors
    ///
    /// The address cannot be a candidate, or there are too many.
    pub fn add_tcp_listener(&mut self, now: Instant, address: SocketAddr) -> Result<(), CandidateError> {
        self.advance(now);
        if self.relay_only { Ok(()) } else { self.add_own(LocalCandidate::tcp_passive(address)) }
    }

    /// TCP connections can be opened from `address`: once gathering has begun that is announced, and such connections are
    /// asked for by [`Event::Connect`](crate::Event). Not where only relays are used, nor by a lite agent.
    ///
    /// # Errors
    ///
    /// The address cannot be a candidate, or there are too many.
    pub fn add_tcp_active(&mut self, now: Instant, address: IpAddr) -> Result<(), CandidateError> {
        self.advance(now);
        let is_used = !self.relay_only && !self.hosts_only;
        if is_used { self.add_own(LocalCandidate::tcp_active(address)) } else { Ok(()) }
    }

    /// Whether [`poll_event`](Self::poll_event) has a connection to be opened or closed.
    pub fn wants_connections(&self) -> bool {
        self.agent.wants_connections()
    }

    /// The connection of [`Event::Connect`](crate::Event) is open, on `path`.
    pub fn tcp_opened(&mut self, now: Instant, id: ConnectId, path: Path) {
        let now = self.advance(now);
        self.agent.tcp_opened(now, id, path);
    }

    /// The connection of [`Event::Connect`](crate::Event) could not be opened.
    pub fn tcp_failed(&mut self, now: Instant, id: ConnectId) {
        let now = self.advance(now);
        self.agent.tcp_failed(now, id);
    }

    /// The connection on `path` is over, whoever had opened it.
    pub fn tcp_closed(&mut self, now: Instant, path: Path) {
        let now = self.advance(now);
        self.agent.tcp_closed(now, path);
    }
}
