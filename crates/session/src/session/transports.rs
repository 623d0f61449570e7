//! How transports come and go.

use connectivity::Connectivity;
use crypto::derive_seed;
use ice::Role;

use super::Session;
use super::leaving::Leaving;
use crate::transport::Transport;
use crate::transports::{OwnSockets, TransportId};
use crate::{Route, TcpRequest};

impl Session {
    /// A name that no transport has had.
    pub(super) const fn next_transport(&mut self) -> TransportId {
        let id = TransportId(self.transports_made);
        self.transports_made = self.transports_made.wrapping_add(1);
        id
    }

    /// With these credentials, or such as are drawn. Those that come later take the role of those there are
    /// (RFC 8445 §6.1.1: it is the session's).
    pub(super) fn make_transport(
        &mut self,
        id: TransportId,
        role: Role,
        credentials: Option<ice::Credentials>,
    ) {
        if self.transports.get(id).is_some() {
            return;
        }
        let role = self.transports.first().map_or(role, |first| first.connectivity.role());
        let is_main = self.transports.main().is_none();
        let seed = derive_seed(self.seed.expose(), &format!("transport {}", id.0.wrapping_add(1)));
        let config = self.connectivity_config(role, is_main);
        let mut connectivity = Connectivity::new(self.now, config, derive_seed(&seed, "connectivity"));
        if let Some(credentials) = credentials {
            connectivity.set_local_credentials(self.now, credentials);
        }
        for address in self.config.local_addresses.iter().filter(|_| is_main) {
            // One that cannot be a candidate is left out; the report tells.
            let _ = connectivity.add_host(self.now, *address);
        }
        // What connections bring says by its ufrag whose it is.
        let gathering = self.config.gathering.as_deref();
        for address in gathering.iter().flat_map(|gathering| &gathering.tcp.listeners) {
            let _ = connectivity.add_tcp_listener(self.now, *address); // as above
        }
        if is_main {
            self.give_shared_sockets(&mut connectivity);
        } else {
            self.open_sockets(id);
        }
        let own = (!is_main).then(|| Box::new(OwnSockets::default()));
        self.transports.push(Transport::new(id, connectivity, own, self.dtls_config.clone(), seed));
        // Its candidates are yet to be gathered, as those are that announced servers are for.
        if std::mem::take(&mut self.awaits_next_servers) {
            self.await_servers_now();
        }
        self.follow_ufrags();
    }

    fn connectivity_config(&self, role: Role, is_main: bool) -> connectivity::Config {
        let mut config = connectivity::Config::default();
        config.max_datagram = crate::transport::MAX_MEDIA_DATAGRAM;
        config.ice.provider = self.config.provider;
        config.ice.role = role;
        config.ice.lite = self.config.ice_lite;
        let late = config.ice.give_up.saturating_sub(config.ice.patience);
        config.ice.patience = self.config.limits.ice_patience;
        config.ice.give_up = config.ice.patience.saturating_add(late);
        config.ice.ufrag_prefix.clone_from(&self.config.ufrag_prefix);
        config.stun_servers.clone_from(&self.config.stun_servers);
        config.resolves_names = self.config.resolves_names;
        config.host_names = self.config.host_names.as_deref().cloned();
        config.ice.pacer.clone_from(&self.config.pacer);
        if let Some(gathering) = self.config.gathering.as_deref() {
            config.hides_hosts = gathering.hides_hosts;
            config.external.clone_from(&gathering.external);
            config.remote_policy.clone_from(&gathering.remote_policy);
        }
        if let Some(relaying) = self.config.relaying.as_deref() {
            config.turn_servers.clone_from(&relaying.servers);
            config.relay_only = relaying.only;
            config.awaits_servers = relaying.awaits_servers;
            if is_main {
                config.turn_streams.clone_from(&relaying.streams);
            }
        }
        config
    }

    /// Where connections are opened from, the sockets of this session for relaying, and relays that were lent by them.
    fn give_shared_sockets(&mut self, connectivity: &mut Connectivity) {
        let gathering = self.config.gathering.as_deref();
        for address in gathering.iter().flat_map(|gathering| &gathering.tcp.active) {
            let _ = connectivity.add_tcp_active(self.now, *address); // too many: the report tells
        }
        let relaying = self.config.relaying.as_deref();
        if let Some(relays) = self.relays.take() {
            connectivity.adopt_relays(self.now, relays);
            for server in relaying.iter().flat_map(|relaying| &relaying.servers) {
                connectivity.add_turn_server(self.now, server.clone());
            }
            for (path, credentials) in relaying.iter().flat_map(|relaying| &relaying.streams) {
                connectivity.add_relay_stream(self.now, *path, credentials.clone());
            }
        }
        for address in relaying.iter().flat_map(|relaying| &relaying.sockets) {
            connectivity.add_relay_socket(self.now, *address);
        }
    }

    /// Forgets the transports that no section has: those that were offered in vain, and those whose sections have been
    /// bundled, rejected or stopped (RFC 9429 §5.11).
    pub(super) fn forget_unused(&mut self) {
        let unused = self.transports.iter().map(|transport| transport.id);
        let unused: Vec<TransportId> = unused.filter(|id| !self.negotiation.uses(*id)).collect();
        if unused.is_empty() {
            return;
        }
        unused.into_iter().for_each(|id| self.forget_transport(id));
        self.follow_gathering();
    }

    fn forget_transport(&mut self, id: TransportId) {
        let Some(transport) = self.transports.get_mut(id) else { return };
        if let Some(engine) = transport.engine_mut() {
            engine.release(&mut self.negotiation.transceivers, None);
        }
        // What waits and the keys of media go with it: they are of no use to others. Counters stay.
        let gone = &mut self.gone;
        gone.media_refused = gone.media_refused.wrapping_add(transport.media_refused());
        if let Some(media) = &mut transport.media {
            while media.queue.first().is_some() {
                media.queue.pop();
                gone.media_refused = gone.media_refused.wrapping_add(1);
            }
            gone.collisions = gone.collisions.wrapping_add(media.collisions);
        }
        let ufrag = transport.ufrag().to_owned();
        let former = transport.former_ufrag.take();
        self.untold.retain(|candidate| candidate.ufrag != ufrag);
        self.routes.extend([Some(ufrag), former].into_iter().flatten().map(Route::UfragRemoved));
        let mut closed = Vec::new();
        match (transport.own.take(), transport.connectivity.take_relays()) {
            // The next transport has the same sockets, and with them the same allocations.
            (None, relays) => self.relays = self.relays.take().or(relays),
            (Some(own), Some(relays)) => {
                let until = self.now + self.config.limits.close_wait;
                let leaving = Leaving::new(self.now, relays, own.addresses, until);
                self.leaving.get_or_insert_default().0.push(leaving);
            }
            (Some(own), None) => closed = own.addresses,
        }
        transport.connectivity.close(self.now);
        while let Some(event) = transport.connectivity.poll_event() {
            if let connectivity::Event::Disconnect(path) = event {
                self.connections.get_or_insert_default().0.push_back(TcpRequest::Close(path));
            }
        }
        while let Some(route) = transport.connectivity.poll_route() {
            if let ice::Route::Removed(path) = route {
                self.routes.push_back(Route::PathRemoved(path));
            }
        }
        self.transports.remove(id);
        self.forget_sockets_of(id);
        self.close_sockets(closed);
    }
}
