//! Sockets of transports beyond the first, which share none: a datagram on a path that two transports had could be
//! either's, and RFC 9429 §5.2.1 wants candidates of its own for each section that is not bundled.

use std::collections::VecDeque;
use std::net::SocketAddr;

use proto::Instant;

use super::Session;
use crate::GatheringState;
use crate::transports::TransportId;

/// UDP sockets that are to be opened or closed, where sections are not bundled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SocketRequest {
    /// This transport is to have sockets that nothing else has, at best one at each address of the host:
    /// [`Session::add_transport_socket`] tells of each, and [`Session::end_of_transport_sockets`] that there are no more,
    /// without which gathering does not end.
    Open(TransportId),
    /// The socket bound to this address is not needed any more.
    Close(SocketAddr),
}

/// Most sessions never have one, and pay for a pointer.
#[derive(Debug, Default)]
pub(super) struct SocketRequests(VecDeque<SocketRequest>);

impl Session {
    /// The next sockets that are to be opened or closed. There are none unless sections have transports of their own,
    /// which [`Config::bundle_policy`](crate::Config::bundle_policy) allows.
    pub fn poll_sockets(&mut self) -> Option<SocketRequest> {
        let request = self.sockets.as_mut()?.0.pop_front();
        if self.sockets.as_ref().is_some_and(|waiting| waiting.0.is_empty()) {
            self.sockets = None;
        }
        request
    }

    /// A socket is bound to `address` for this transport alone: it becomes a host candidate, and asks the servers, for
    /// relays too. Where the transport is gone meanwhile the socket is to be closed again.
    pub fn add_transport_socket(&mut self, now: Instant, id: TransportId, address: SocketAddr) {
        self.advance(now);
        let transport = self.transports.get_mut(id);
        let Some((transport, own)) = transport.and_then(|it| it.own.take().map(|own| (it, own))) else {
            return self.close_sockets(vec![address]);
        };
        let mut own = own;
        if !own.addresses.contains(&address) {
            own.addresses.push(address);
        }
        transport.own = Some(own);
        // One that cannot be a candidate is left out; the report tells.
        let _ = transport.connectivity.add_host(self.now, address);
        transport.connectivity.add_relay_socket(self.now, address);
        self.settle();
    }

    /// There will be no further sockets for this transport, unless an address comes.
    pub fn end_of_transport_sockets(&mut self, now: Instant, id: TransportId) {
        self.advance(now);
        let Some(place) = self.transports.iter().position(|transport| transport.id == id) else { return };
        let Some(transport) = self.transports.at(place) else { return };
        if let Some(own) = &mut transport.own {
            own.are_complete = true;
        }
        if transport.connectivity.is_gathering_done() && transport.gathering != GatheringState::Complete {
            self.note_gathered(place);
        }
        self.settle();
    }

    /// The socket of a transport's own that was bound to `address` is gone, with the candidates and paths that begin
    /// there.
    pub fn remove_transport_socket(&mut self, now: Instant, address: SocketAddr) {
        self.advance(now);
        for transport in self.transports.iter_mut() {
            let Some(own) = &mut transport.own else { continue };
            if own.addresses.contains(&address) {
                own.addresses.retain(|known| *known != address);
                transport.connectivity.remove_host(self.now, address);
                transport.connectivity.remove_relay_socket(self.now, address);
            }
        }
        self.restart_without_path();
        self.settle();
    }

    /// The transports that have sockets of their own: an address that comes is for each of them, too.
    pub fn transports_with_sockets(&self) -> impl Iterator<Item = TransportId> + '_ {
        self.transports.iter().filter(|transport| transport.own.is_some()).map(|transport| transport.id)
    }

    pub(super) fn open_sockets(&mut self, id: TransportId) {
        self.sockets.get_or_insert_default().0.push_back(SocketRequest::Open(id));
    }

    pub(super) fn close_sockets(&mut self, addresses: Vec<SocketAddr>) {
        if !addresses.is_empty() {
            let requests = &mut self.sockets.get_or_insert_default().0;
            requests.extend(addresses.into_iter().map(SocketRequest::Close));
        }
    }

    /// Sockets of a transport that is gone need not be opened.
    pub(super) fn forget_sockets_of(&mut self, id: TransportId) {
        if let Some(requests) = &mut self.sockets {
            requests.0.retain(|request| *request != SocketRequest::Open(id));
        }
    }
}
