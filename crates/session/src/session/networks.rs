use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use connectivity::{LocalName, NameFailure};
use proto::Instant;

use super::Session;

/// Networks that come and go while the session lives, and names on them.
impl Session {
    /// A socket of the caller's is bound to `address`, which has come: it becomes a host candidate, which is told to the
    /// peer, asks the servers, and is checked from.
    pub fn add_local_address(&mut self, now: Instant, address: SocketAddr) {
        self.advance(now);
        if !self.config.local_addresses.contains(&address) {
            self.config.local_addresses.push(address);
        }
        if let Some(transport) = self.transports.main_mut() {
            // One that cannot be a candidate is left out; the report tells.
            let _ = transport.connectivity.add_host(self.now, address);
        }
        self.settle();
    }

    /// The socket bound to `address` is gone, with the candidates and paths that begin there. If the path in use was
    /// one of them, another one takes its place; and if there is none, an offer is called for that begins ICE anew,
    /// though a path that an address to come finds before makes do without.
    pub fn remove_local_address(&mut self, now: Instant, address: SocketAddr) {
        self.advance(now);
        self.config.local_addresses.retain(|known| *known != address);
        if let Some(transport) = self.transports.main_mut() {
            transport.connectivity.remove_host(self.now, address);
        }
        self.restart_without_path();
        self.settle();
    }

    /// A socket for relaying is gone, with the relayed addresses that came by it.
    pub fn remove_relay_socket(&mut self, now: Instant, address: SocketAddr) {
        self.advance(now);
        if let Some(relaying) = &mut self.config.relaying {
            relaying.sockets.retain(|known| *known != address);
        }
        if let Some(relays) = &mut self.relays {
            relays.remove_socket(self.now, address);
        }
        if let Some(transport) = self.transports.main_mut() {
            transport.connectivity.remove_relay_socket(self.now, address);
        }
        self.restart_without_path();
        self.settle();
    }

    /// The next name of the peer's that is to be asked for by multicast DNS, where
    /// [names are resolved](crate::Config::resolves_names). The answer is told by
    /// [`name_resolved`](Self::name_resolved) or [`name_failed`](Self::name_failed).
    pub fn poll_name(&mut self) -> Option<LocalName> {
        self.transports.iter_mut().find_map(|transport| transport.connectivity.poll_name())
    }

    /// A name of the peer's stands for `address`.
    pub fn name_resolved(&mut self, now: Instant, name: &LocalName, address: IpAddr) {
        self.advance(now);
        for transport in self.transports.iter_mut() {
            transport.connectivity.name_resolved(self.now, name, address);
        }
        self.settle();
    }

    /// A name of the peer's is not known.
    pub fn name_failed(&mut self, now: Instant, name: &LocalName, failure: NameFailure) {
        self.advance(now);
        for transport in self.transports.iter_mut() {
            transport.connectivity.name_failed(self.now, name, failure);
        }
        self.settle();
    }

    /// `name` stands for an address of ours, where [host addresses are hidden](crate::Config::host_names). To be called
    /// before the address is [added](Self::add_local_address).
    pub fn name_host(&mut self, now: Instant, address: IpAddr, name: LocalName) {
        self.advance(now);
        if let Some(names) = &mut self.config.host_names {
            let names = Arc::make_mut(names);
            names.retain(|(known, _)| *known != address);
            names.push((address, name));
        }
        for transport in self.transports.iter_mut() {
            transport.connectivity.name_host(self.now, address, name);
        }
    }
}
