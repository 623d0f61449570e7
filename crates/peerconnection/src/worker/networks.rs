use std::net::{IpAddr, SocketAddr};
use std::sync::PoisonError;
use std::task::Context;

use tracing::debug;

use super::{Socket, Worker};
use crate::Error;

/// Networks of the endpoint, and names on them.
impl Worker {
    /// Asks and answers by multicast DNS, and tells sessions what was found; says whether there may be more.
    pub(super) fn poll_names(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.clock.now();
        let mut more = self.names.poll(cx, now, &mut self.receive_buffer);
        while let Some(found) = self.names.next() {
            let Some(driven) = self.sessions.get(&found.session) else { continue };
            let mut core = driven.connection.lock();
            match found.answer {
                Ok(address) => core.session.name_resolved(now, &found.name, address),
                Err(failure) => core.session.name_failed(now, &found.name, failure),
            }
            drop(core);
            self.dirty.insert(found.session);
            more = true;
        }
        more
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
        let is_gone = |socket: &mut Socket| !wanted.contains(&socket.transport.local_address().ip());
        let gone: Vec<SocketAddr> =
            self.sockets.extract_if(.., is_gone).map(|socket| socket.transport.local_address()).collect();
        let mut opened = Vec::new();
        for address in come {
            match follow.wishes.socket(SocketAddr::new(address, 0)) {
                Ok(transport) => {
                    opened.push(transport.local_address());
                    self.sockets.push(Socket { transport, kept: None });
                }
                // It may have gone again.
                Err(error) => debug!(%error, "no socket at an address that has come"),
            }
        }
        if !opened.is_empty() || !gone.is_empty() {
            debug!(come = opened.len(), gone = gone.len(), "other addresses");
            self.change_networks(&opened, &gone);
        }
    }

    /// Tells all sessions, and those to come, of sockets that have come and gone.
    fn change_networks(&mut self, opened: &[SocketAddr], gone: &[SocketAddr]) {
        let now = self.clock.now();
        let local: Vec<SocketAddr> =
            self.sockets.iter().map(|socket| socket.transport.local_address()).collect();
        let addresses: Vec<IpAddr> = local.iter().map(SocketAddr::ip).collect();
        self.names.set_addresses(now, addresses.clone());
        let names = self.names.host_names(now);
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        (networks.local, networks.names) = (local, names.clone());
        drop(networks);
        // Who was added with the old addresses, and was not looked at yet, is told as well.
        let lost = self.relays.set_addresses(addresses);
        for (key, driven) in &mut self.sessions {
            let mut core = driven.connection.lock();
            for (address, name) in &names {
                core.session.name_host(now, *address, *name);
            }
            opened.iter().for_each(|address| core.session.add_local_address(now, *address));
            let limit = core.max_relay_sockets();
            drop(core);
            driven.relays.retain(|socket| lost.iter().all(|(gone, ..)| gone != socket));
            let mut relaying = Vec::new();
            for server in &driven.turn_servers {
                // What opens them may be the program's, and runs without the lock.
                relaying.extend(self.relays.open(*key, &mut driven.relays, *server, limit).0);
            }
            let mut core = driven.connection.lock();
            relaying.iter().for_each(|address| core.session.add_relay_socket(now, *address));
            gone.iter().for_each(|address| core.session.remove_local_address(now, *address));
            for (_, _, address) in lost.iter().filter(|(_, session, _)| session == key) {
                core.session.remove_relay_socket(now, *address);
            }
            drop(core);
            self.dirty.insert(*key);
        }
    }
}
