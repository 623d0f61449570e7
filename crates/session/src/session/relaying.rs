use std::net::SocketAddr;

use connectivity::TurnServer;
use crypto::derive_seed;
use proto::{Instant, Path};
use stun::Credentials;

use super::Session;
use crate::config::{Relaying, UnusedServer};

/// Servers and sockets that become known while the session lives.
impl Session {
    /// There is a STUN server at `address`. It is asked once gathering has begun, unless only relays are used.
    pub fn add_stun_server(&mut self, now: Instant, address: SocketAddr) {
        self.advance(now);
        if !self.config.stun_servers.contains(&address) {
            self.config.stun_servers.push(address);
        }
        for transport in self.transports.iter_mut() {
            transport.connectivity.add_stun_server(self.now, address);
        }
        self.settle();
    }

    /// There is a TURN server. It is asked once gathering has begun, by the sockets for relaying. To be called only
    /// where servers were [announced](Relaying::awaits_servers), or there was one from the beginning.
    pub fn add_turn_server(&mut self, now: Instant, server: TurnServer) {
        self.advance(now);
        let servers = &mut self.relaying().servers;
        if !servers.iter().any(|known| known.address == server.address) {
            servers.push(server.clone());
        }
        for transport in self.transports.iter_mut() {
            transport.connectivity.add_turn_server(self.now, server.clone());
        }
        self.settle();
    }

    /// Name and password for the TURN server at `address` are these from now on: where they are such that end
    /// (draft-uberti-behave-turn-rest), before they do, or at least before what was granted under them lapses. Relayed
    /// addresses stay, and nothing is lost meanwhile; a server that insists on the former name keeps them under that one for
    /// as long as it takes it.
    pub fn set_turn_credentials(&mut self, now: Instant, address: SocketAddr, credentials: &Credentials) {
        self.advance(now);
        let relaying = self.relaying();
        let servers = relaying.servers.iter_mut().filter(|known| known.address == address);
        let streams = relaying.streams.iter_mut().filter(|(path, _)| path.remote == address);
        let known = servers.map(|known| &mut known.credentials).chain(streams.map(|(_, known)| known));
        known.for_each(|known| known.clone_from(credentials));
        let now = self.now;
        if let Some(relays) = &mut self.relays {
            relays.set_credentials(now, address, credentials);
        }
        for transport in self.transports.iter_mut() {
            transport.connectivity.set_turn_credentials(now, address, credentials);
        }
        self.settle();
    }

    /// Further servers will be told of, of any kind, which are for candidates that are yet to be gathered: with `true` they
    /// may be told of at once; otherwise gathering has begun, and they are for the next time, when ICE begins anew, which
    /// [`Route::UfragAdded`](crate::Route) tells. That gathering is not complete before
    /// [`end_of_servers`](Self::end_of_servers).
    pub fn await_servers(&mut self, now: Instant) -> bool {
        self.advance(now);
        if self.gathers() {
            self.awaits_next_servers = true;
            return false;
        }
        self.await_servers_now();
        self.settle();
        true
    }

    pub(super) fn await_servers_now(&mut self) {
        self.relaying().awaits_servers = true;
        for transport in self.transports.iter_mut() {
            let name = match transport.id.0 {
                0 => "later relays".to_owned(),
                number => format!("later relays {number}"),
            };
            let seed = derive_seed(self.seed.expose(), &name);
            transport.connectivity.await_servers(self.now, self.config.provider, seed);
            for address in transport.own.iter().flat_map(|own| &own.addresses) {
                transport.connectivity.add_relay_socket(self.now, *address);
            }
        }
    }

    /// A UDP socket of the caller's is bound to `address` that no other session uses: it asks the TURN servers of
    /// its family.
    pub fn add_relay_socket(&mut self, now: Instant, address: SocketAddr) {
        self.advance(now);
        let sockets = &mut self.relaying().sockets;
        if !sockets.contains(&address) {
            sockets.push(address);
        }
        if let Some(transport) = self.transports.main_mut() {
            transport.connectivity.add_relay_socket(self.now, address);
        }
        self.settle();
    }

    /// There is a TCP or TLS connection to a TURN server ([`Carrier::Stream`](proto::Carrier)), or a DTLS association from
    /// a socket of its own ([`Carrier::Udp`](proto::Carrier)), for this session alone.
    /// To be called where [`add_turn_server`](Self::add_turn_server) may be.
    pub fn add_relay_stream(&mut self, now: Instant, path: Path, credentials: Credentials) {
        self.advance(now);
        let streams = &mut self.relaying().streams;
        if streams.iter().all(|(known, _)| *known != path) {
            streams.push((path, credentials.clone()));
        }
        if let Some(transport) = self.transports.main_mut() {
            transport.connectivity.add_relay_stream(self.now, path, credentials);
        }
        self.settle();
    }

    /// That connection is over.
    pub fn remove_relay_stream(&mut self, now: Instant, path: Path) {
        self.advance(now);
        self.relaying().streams.retain(|(known, _)| *known != path);
        if let Some(relays) = &mut self.relays {
            relays.remove_stream(self.now, path);
        }
        if let Some(transport) = self.transports.main_mut() {
            transport.connectivity.remove_relay_stream(self.now, path);
        }
        self.settle();
    }

    /// A server that was asked for is not used, which the report is to say.
    pub fn note_unused_server(&mut self, server: UnusedServer) {
        let unused = &mut self.relaying().unused;
        unused.retain(|known| known.uri != server.uri);
        unused.push(server);
    }

    /// It is used after all.
    pub fn note_used_server(&mut self, uri: &str) {
        self.relaying().unused.retain(|known| known.uri != uri);
    }

    /// Whether the TURN server at this address relays for us at the moment.
    pub fn is_relayed_by(&self, server: SocketAddr) -> bool {
        self.transports.iter().any(|transport| transport.connectivity.is_relayed_by(server))
    }

    /// Whether the STUN or TURN server at this address has answered anything.
    pub fn has_heard_from(&self, server: SocketAddr) -> bool {
        self.transports.iter().any(|transport| transport.connectivity.has_heard_from(server))
    }

    /// No further servers will be told of: see [`Relaying::awaits_servers`].
    pub fn end_of_servers(&mut self, now: Instant) {
        self.advance(now);
        self.relaying().awaits_servers = false;
        for transport in self.transports.iter_mut() {
            transport.connectivity.end_of_servers(self.now);
        }
        self.settle();
    }

    pub(crate) fn unused_servers(&self) -> &[UnusedServer] {
        self.config.relaying.as_deref().map_or(&[], |relaying| &relaying.unused)
    }

    fn relaying(&mut self) -> &mut Relaying {
        self.config.relaying.get_or_insert_default()
    }
}
