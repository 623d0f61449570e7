//! Servers and sockets that become known while a connection lives.

use std::net::SocketAddr;

use crypto::Provider;
use ice::Kind;
use proto::{Instant, Path};

use super::Connectivity;
use crate::TurnServer;
use crate::relay::Relays;

impl Connectivity {
    /// A UDP socket of ours is bound to `address` that no other connection uses: once gathering has begun it asks
    /// the TURN servers. A server knows its clients by their address, so two that share one share an allocation.
    pub fn add_relay_socket(&mut self, now: Instant, address: SocketAddr) {
        self.now = self.now.max(now);
        let Some(relays) = &mut self.relays else { return };
        relays.add_socket(self.now, address);
        if self.is_gathering {
            relays.ask(self.now);
            self.is_done = false;
        }
        self.settle();
    }

    /// There is a STUN server at `address`: asked from every host address once gathering has begun. Where only relays
    /// are used it is not.
    pub fn add_stun_server(&mut self, now: Instant, address: SocketAddr) {
        self.now = self.now.max(now);
        if self.relay_only || self.hosts_only || !self.gatherer.add_server(address) || !self.is_gathering {
            return;
        }
        for host in &self.hosts {
            self.gatherer.ask(self.now, *host);
        }
        self.is_done = false;
    }

    /// There is a TURN server: asked from the sockets for relaying once gathering has begun. To be called only where
    /// servers were [announced](crate::Config::awaits_servers), also [later](Self::await_servers), or there was one from the
    /// beginning.
    pub fn add_turn_server(&mut self, now: Instant, server: TurnServer) {
        self.now = self.now.max(now);
        let Some(relays) = &mut self.relays else { return };
        relays.add_server(server);
        if self.is_gathering {
            relays.ask(self.now);
            self.is_done = false;
        }
        self.settle();
    }

    /// There is a TCP or TLS connection to a TURN server ([`Carrier::Stream`](crate::Carrier)), or a DTLS association
    /// from a socket of its own ([`Carrier::Udp`](crate::Carrier)), which asks it once gathering has begun; each message
    /// of it is a datagram. To be called where
    /// [`add_turn_server`](Self::add_turn_server) may be.
    pub fn add_relay_stream(&mut self, now: Instant, path: Path, credentials: stun::Credentials) {
        self.now = self.now.max(now);
        let Some(relays) = &mut self.relays else { return };
        relays.add_stream(path, credentials);
        if self.is_gathering {
            relays.ask(self.now);
            self.is_done = false;
        }
        self.settle();
    }

    /// Name and password for the TURN server at `address` are these from now on, as where such that end were renewed.
    /// Relayed addresses stay, if the server lets them.
    pub fn set_turn_credentials(
        &mut self,
        now: Instant,
        address: SocketAddr,
        credentials: &stun::Credentials,
    ) {
        let now = self.advance(now);
        self.relays.iter_mut().for_each(|relays| relays.set_credentials(now, address, credentials));
        self.settle();
    }

    /// A socket for relaying is gone. A relayed address that came by it stays if its server has given a ticket (RFC 8016,
    /// [`Config::mobility`](crate::Config::mobility)): it goes along to another such socket, at once or when there is one.
    /// Others are gone, and their server forgets them in time.
    pub fn remove_relay_socket(&mut self, now: Instant, address: SocketAddr) {
        self.now = self.now.max(now);
        self.relays.iter_mut().for_each(|relays| relays.remove_socket(self.now, address));
        self.settle();
        // What goes along is checked at once, so that another path is preferred where it does not arrive.
        if self.agent.selected_path().is_some_and(|path| self.carrier_of(path).is_some()) {
            self.agent.doubt_path(self.now);
        }
    }

    /// That connection is over, with the relayed addresses that came by it.
    pub fn remove_relay_stream(&mut self, now: Instant, path: Path) {
        self.now = self.now.max(now);
        self.relays.iter_mut().for_each(|relays| relays.remove_stream(self.now, path));
        self.settle();
    }

    /// Further servers will be told of, of any kind: gathering is not complete before
    /// [`end_of_servers`](Self::end_of_servers).
    pub fn await_servers(&mut self, now: Instant, provider: &'static dyn Provider, seed: [u8; 32]) {
        self.now = self.now.max(now);
        if self.hosts_only {
            return;
        }
        self.awaits_servers = true;
        self.is_done = false;
        let limits = self.relay_limits;
        self.relays.get_or_insert_with(|| Box::new(Relays::new(provider, Vec::new(), limits, seed)));
    }

    /// No further servers will be told of: see [`awaits_servers`](crate::Config::awaits_servers).
    pub fn end_of_servers(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.awaits_servers = false;
    }

    /// Takes the relays out, with their allocations. They belong to sockets, not to credentials: who begins anew on
    /// the same sockets gives them to the next one by [`adopt_relays`](Self::adopt_relays), because a server has one
    /// allocation for each socket (RFC 8656 §6.2). The relayed candidates are gone.
    pub fn take_relays(&mut self) -> Option<Box<Relays>> {
        let relays = self.relays.take()?;
        let given = self.locals.iter().filter_map(|local| self.agent.given_candidate(local.id));
        let relayed = given.filter(|given| given.kind == Kind::Relayed);
        let relayed: Vec<SocketAddr> = relayed.map(|given| given.address).collect();
        relayed.into_iter().for_each(|address| self.remove_relayed(address));
        Some(relays)
    }

    /// Goes on with relays of another one, in place of its own, which must not have asked yet.
    pub fn adopt_relays(&mut self, now: Instant, relays: Box<Relays>) {
        self.now = self.now.max(now);
        let relays = self.relays.insert(relays);
        relays.forget_told();
        self.is_done = false;
        self.settle();
    }
}
