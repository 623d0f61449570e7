use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::task::Context;

use net::Transport;
use proto::Instant;
use session::{LocalName, SocketRequest, TransportId};
use tracing::debug;

use super::inbox::{Inbox, Letter, NetworkChange};
use super::{Socket, Worker};
use crate::Error;
use crate::names::Found;

/// Networks of the endpoint, and names on them.
impl Worker {
    /// Asks and answers by multicast DNS, and tells sessions what was found; says whether there may be more.
    pub(super) fn poll_names(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.clock.now();
        let mut more = self.names.poll(cx, now, &mut self.receive_buffer);
        while let Some(found) = self.names.next() {
            let other = self.neighbours.as_ref().and_then(|neighbours| {
                let worker = neighbours.worker_of(found.session);
                neighbours.inbox(worker).filter(|_| worker != self.number)
            });
            if let Some(inbox) = other {
                inbox.post(Letter::Found(found));
            } else {
                self.tell_found(&found);
                more = true;
            }
        }
        more
    }

    /// Tells a session what has become of its question.
    pub(super) fn tell_found(&mut self, found: &Found) {
        let Some(driven) = self.sessions.get(&found.session) else { return };
        let now = self.clock.now();
        let mut core = driven.connection.lock();
        match found.answer {
            Ok(address) => core.session.name_resolved(now, &found.name, address),
            Err(failure) => core.session.name_failed(now, &found.name, failure),
        }
        drop(core);
        self.dirty.insert(found.session);
    }

    /// Asks for a name. The first worker asks for all.
    pub(super) fn resolve(&mut self, now: Instant, session: usize, name: LocalName) {
        match self.first_worker() {
            Some(inbox) => inbox.post(Letter::Name(session, name)),
            None => self.names.resolve(now, session, name),
        }
    }

    /// A session is over.
    pub(super) fn forget_names(&mut self, session: usize) {
        match self.first_worker() {
            Some(inbox) => inbox.post(Letter::Forget(session)),
            None => self.names.forget(session),
        }
    }

    /// The worker that asks for names and follows the networks, unless that is this one.
    fn first_worker(&self) -> Option<&Inbox> {
        self.neighbours
            .as_ref()
            .filter(|_| self.number != FIRST)
            .and_then(|neighbours| neighbours.inbox(FIRST))
    }

    /// Follows the addresses of the machine: what has come gets a socket, and what has gone loses its own.
    pub(super) fn follow_networks(&mut self, cx: &mut Context<'_>) {
        let Some(follow) = &mut self.follow else { return };
        if follow.watch.poll_changed(cx).is_pending() {
            return;
        }
        let wanted = match follow.wishes.addresses() {
            Ok(wanted) => wanted,
            Err(Error::NoAddress) => Vec::new(),
            // If the system does not tell, everything stays as it is.
            Err(_) => return,
        };
        let has = |address: &IpAddr| {
            self.sockets.iter().any(|socket| socket.transport.local_address().ip() == *address)
        };
        let come: Vec<IpAddr> = wanted.iter().copied().filter(|address| !has(address)).collect();
        let gone: Vec<SocketAddr> = self
            .sockets
            .iter()
            .map(|socket| socket.transport.local_address())
            .filter(|local| !wanted.contains(&local.ip()))
            .collect();
        // For each worker one at each address.
        let workers = self.neighbours.as_ref().map_or(1, |neighbours| neighbours.count());
        let mut opened: Vec<Vec<Arc<dyn Transport>>> = (0..workers).map(|_| Vec::new()).collect();
        for address in come {
            match follow.wishes.sockets_at(address, workers) {
                Ok(sockets) => {
                    opened.iter_mut().zip(sockets).for_each(|(opened, socket)| opened.push(socket));
                }
                // It may have gone again.
                Err(error) => debug!(%error, "no socket at an address that has come"),
            }
        }
        let come = opened.first().map_or(0, Vec::len);
        if come > 0 || !gone.is_empty() {
            debug!(come, gone = gone.len(), "other addresses");
            self.change_networks(opened, gone);
        }
    }

    /// Tells all workers, and sessions to come, of sockets that have come and gone.
    fn change_networks(&mut self, opened: Vec<Vec<Arc<dyn Transport>>>, gone: Vec<SocketAddr>) {
        let now = self.clock.now();
        let mut opened = opened.into_iter();
        let own = opened.next().unwrap_or_default();
        let kept = self.sockets.iter().map(|socket| socket.transport.local_address());
        let kept = kept.filter(|local| !gone.contains(local));
        let local: Vec<SocketAddr> = kept.chain(own.iter().map(|socket| socket.local_address())).collect();
        self.names.set_addresses(now, local.iter().map(SocketAddr::ip).collect());
        let names = self.names.host_names(now);
        // Whoever holds the addresses adds a session, with the old ones before the change and with the new ones after it.
        let shared = self.networks.clone();
        let mut networks = shared.lock().unwrap_or_else(PoisonError::into_inner);
        (networks.local, networks.names) = (local, names.clone());
        if let Some(neighbours) = &self.neighbours {
            for (inbox, opened) in neighbours.others().zip(opened) {
                let (gone, names) = (gone.clone(), names.clone());
                inbox.post(Letter::Networks(NetworkChange { opened, gone, names }));
            }
        }
        drop(networks);
        self.change_sockets(NetworkChange { opened: own, gone, names });
    }

    /// Takes sockets that have come in, and gives those up that are gone; the sessions are told.
    pub(super) fn change_sockets(&mut self, change: NetworkChange) {
        let NetworkChange { opened: sockets, gone, names } = change;
        let now = self.clock.now();
        self.sockets.retain(|socket| !gone.contains(&socket.transport.local_address()));
        let opened: Vec<SocketAddr> = sockets.iter().map(|socket| socket.local_address()).collect();
        self.sockets.extend(sockets.into_iter().map(Socket::new));
        let addresses = self.sockets.iter().map(|socket| socket.transport.local_address().ip()).collect();
        // Who was added with the old addresses, and was not looked at yet, is told as well.
        let lost = self.relays.set_addresses(addresses);
        for (key, driven) in &mut self.sessions {
            let mut core = driven.connection.lock();
            for (address, name) in &names {
                core.session.name_host(now, *address, *name);
            }
            opened.iter().for_each(|address| core.session.add_local_address(now, *address));
            let limit = core.max_relay_sockets();
            let owners: Vec<TransportId> = core.session.transports_with_sockets().collect();
            drop(core);
            driven.relays.retain(|socket| lost.iter().all(|(gone, ..)| gone != socket));
            let mut relaying = Vec::new();
            for server in &driven.turn_servers {
                // What opens them may be the program's, and runs without the lock.
                relaying.extend(self.relays.open(*key, &mut driven.relays, *server, limit).0);
            }
            let mut own = Vec::new();
            for owner in owners {
                let opened = self.relays.open_for(*key, &mut driven.relays, owner, limit);
                own.extend(opened.into_iter().map(|address| (owner, address)));
            }
            let mut core = driven.connection.lock();
            for (owner, address) in own {
                core.session.add_transport_socket(now, owner, address);
            }
            relaying.iter().for_each(|address| core.session.add_relay_socket(now, *address));
            gone.iter().for_each(|address| core.session.remove_local_address(now, *address));
            for (_, _, address) in lost.iter().filter(|(_, session, _)| session == key) {
                core.session.remove_relay_socket(now, *address);
                core.session.remove_transport_socket(now, *address);
            }
            drop(core);
            self.dirty.insert(*key);
        }
    }

    /// Opens and closes the sockets of a transport that shares none with others.
    pub(super) fn change_own_sockets(&mut self, key: usize, request: SocketRequest) {
        let Some(driven) = self.sessions.get_mut(&key) else { return };
        match request {
            SocketRequest::Open(owner) => {
                let limit = driven.connection.lock().max_relay_sockets();
                // Where the endpoint has no UDP, connections to its TCP port are for all transports.
                let limit = if self.sockets.is_empty() { 0 } else { limit };
                // What opens them may be the program's, and runs without the lock.
                let opened = self.relays.open_for(key, &mut driven.relays, owner, limit);
                let now = self.clock.now();
                let mut core = driven.connection.lock();
                opened.iter().for_each(|address| core.session.add_transport_socket(now, owner, *address));
                core.session.end_of_transport_sockets(now, owner);
                drop(core);
                self.dirty.insert(key);
            }
            SocketRequest::Close(address) => self.relays.close_at(&mut driven.relays, address),
            _ => {}
        }
    }
}

/// The worker that follows the networks and asks for names, for all.
const FIRST: usize = 0;
