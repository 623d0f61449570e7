use std::collections::VecDeque;
use std::net::SocketAddr;

use ice::ConnectId;
use proto::{Instant, Path};

use super::Session;

/// A TCP connection to the peer that is to be opened or closed (RFC 6544).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TcpRequest {
    /// It is to be opened: [`Session::tcp_opened`] or [`Session::tcp_failed`] say what becomes of it.
    Open {
        /// Its name.
        id: ConnectId,
        /// From this address, at any port.
        local: SocketAddr,
        /// To here.
        remote: SocketAddr,
    },
    /// It is not needed any more.
    Close(Path),
}

/// Most sessions never have one, and pay for a pointer.
#[derive(Debug, Default)]
pub(super) struct TcpRequests(pub(super) VecDeque<TcpRequest>);

impl Session {
    /// The next TCP connection that is to be opened or closed.
    pub fn poll_tcp(&mut self) -> Option<TcpRequest> {
        // They are wanted when their turn comes, which sending may bring about.
        if self.transports.iter().any(|transport| transport.connectivity.wants_connections()) {
            self.settle();
        }
        let request = self.connections.as_mut()?.0.pop_front();
        if self.connections.as_ref().is_some_and(|waiting| waiting.0.is_empty()) {
            self.connections = None;
        }
        request
    }

    /// A connection of [`TcpRequest::Open`] is open, on `path` ([`Carrier::Framed`](proto::Carrier)). Each datagram that
    /// it brings (RFC 4571) is for [`handle_datagram`](Self::handle_datagram), and so are those of connections that come
    /// to a listener of [`TcpAddresses`](crate::TcpAddresses).
    pub fn tcp_opened(&mut self, now: Instant, id: ConnectId, path: Path) {
        self.advance(now);
        match self.transports.main_mut() {
            Some(transport) => transport.connectivity.tcp_opened(self.now, id, path),
            None => self.connections.get_or_insert_default().0.push_back(TcpRequest::Close(path)),
        }
        self.settle();
    }

    /// A connection of [`TcpRequest::Open`] could not be opened.
    pub fn tcp_failed(&mut self, now: Instant, id: ConnectId) {
        self.advance(now);
        if let Some(transport) = self.transports.main_mut() {
            transport.connectivity.tcp_failed(self.now, id);
        }
        self.settle();
    }

    /// The connection on `path` is over, whoever had opened it.
    pub fn tcp_closed(&mut self, now: Instant, path: Path) {
        self.advance(now);
        for transport in self.transports.iter_mut() {
            transport.connectivity.tcp_closed(self.now, path);
        }
        self.settle();
    }
}
