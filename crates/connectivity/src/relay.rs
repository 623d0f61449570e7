use std::net::{IpAddr, SocketAddr};

use crypto::Provider;
use proto::{Arrival, Batch, Carrier, Instant, Path, Transmit, Writer};
use stun::Credentials;
use turn::Client;
use turn::client::{Event, Failure, Received};

use crate::{RelayReport, SendError};

/// A TURN server, and who we are to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TurnServer {
    /// Where it is, resolved.
    pub address: SocketAddr,
    /// Name and password.
    pub credentials: Credentials,
}

impl TurnServer {
    /// The server at `address`, over UDP.
    pub const fn new(address: SocketAddr, credentials: Credentials) -> Self {
        Self { address, credentials }
    }
}

/// The TURN clients of a [`Connectivity`](crate::Connectivity): one for each server and each socket that was given
/// for relaying. Taken out of it, they are a machine of their own, which keeps the allocations or gives them back.
#[derive(Debug)]
pub struct Relays {
    provider: &'static dyn Provider,
    servers: Vec<TurnServer>,
    max_clients: usize,
    /// Whether allocations are to go along to other sockets.
    mobility: bool,
    sockets: Vec<SocketAddr>,
    /// TCP and TLS connections to servers.
    streams: Vec<(Path, Credentials)>,
    relays: Vec<Relay>,
    seed: crypto::Secret<32>,
    made: u64,
}

/// One allocation, and what is said of it.
#[derive(Debug)]
struct Relay {
    client: Client,
    credentials: Credentials,
    addresses: [Option<SocketAddr>; 2],
    is_pending: bool,
    failure: Option<Failure>,
    redirections: u32,
    /// Its socket is gone, and it waits for another one that it can go along to (RFC 8016).
    is_adrift: bool,
}

/// What the servers have changed.
pub(crate) enum Change {
    /// There is a relayed address on this server.
    Added(SocketAddr, IpAddr),
    /// It is gone.
    Removed(SocketAddr),
    /// The way from the relayed address to this peer is open.
    Opened(SocketAddr, IpAddr),
}

impl Relays {
    pub(crate) const fn new(
        provider: &'static dyn Provider,
        servers: Vec<TurnServer>,
        (max_clients, mobility): (usize, bool),
        seed: [u8; 32],
    ) -> Self {
        let seed = crypto::Secret::new(seed);
        Self {
            provider,
            servers,
            max_clients,
            mobility,
            sockets: Vec::new(),
            streams: Vec::new(),
            relays: Vec::new(),
            seed,
            made: 0,
        }
    }

    /// A socket that asks the servers, once gathering has begun. What has lost its own goes along to it.
    pub(crate) fn add_socket(&mut self, now: Instant, address: SocketAddr) {
        if !self.sockets.contains(&address) {
            self.sockets.push(address);
        }
        while let Some(place) = self.relays.iter().position(|relay| relay.is_adrift && relay.fits(address)) {
            self.go_along(now, place, address);
        }
    }

    /// A connection to a server, which asks it once gathering has begun.
    pub(crate) fn add_stream(&mut self, path: Path, credentials: Credentials) {
        if self.streams.iter().all(|(known, _)| *known != path) && self.streams.len() < self.max_clients {
            self.streams.push((path, credentials));
        }
    }

    /// That connection is over, and what came by it is gone.
    pub fn remove_stream(&mut self, now: Instant, path: Path) {
        self.streams.retain(|(known, _)| *known != path);
        let of_path = self.relays.iter_mut().filter(|relay| relay.client.path() == path);
        of_path.for_each(|relay| relay.client.connection_lost(now));
    }

    /// That socket is gone. An allocation whose server has given a ticket goes along to another one (RFC 8016), or waits
    /// until there is one; what came by it otherwise is gone, too.
    pub fn remove_socket(&mut self, now: Instant, address: SocketAddr) {
        self.sockets.retain(|known| *known != address);
        let of_socket = |relay: &Relay| {
            let path = relay.client.path();
            path.carrier == Carrier::Udp && path.local == address && !relay.is_adrift
        };
        while let Some(place) = self.relays.iter().position(of_socket) {
            let Some(relay) = self.relays.get_mut(place) else { return };
            // Whatever becomes of it, it is looked at once.
            relay.is_adrift = true;
            if !relay.client.is_mobile() {
                relay.client.connection_lost(now);
                relay.is_pending = false;
            } else if let Some(socket) = self.sockets.iter().copied().find(|socket| relay.fits(*socket)) {
                self.go_along(now, place, socket);
            }
        }
    }

    /// Has an allocation go along to another socket. Where that has one of the same server already, which is in use, it is
    /// as if there were no ticket: a server has one for each socket (RFC 8656 §6.2).
    fn go_along(&mut self, now: Instant, place: usize, socket: SocketAddr) {
        let Some(relay) = self.relays.get_mut(place) else { return };
        relay.is_adrift = false;
        let path = Path { local: socket, ..relay.client.path() };
        let other = self.relays.iter().position(|relay| relay.client.path() == path);
        let is_taken = |other| self.relays.get(other).is_some_and(Relay::has_asked);
        if other.is_some_and(is_taken) {
            if let Some(relay) = self.relays.get_mut(place) {
                relay.client.connection_lost(now);
            }
            return;
        }
        if let Some(relay) = self.relays.get_mut(place) {
            let _ = relay.client.move_to(now, path); // closed: there is nothing to be moved
        }
        if let Some(other) = other {
            self.relays.remove(other);
        }
    }

    /// One more server, asked once gathering has begun.
    pub(crate) fn add_server(&mut self, server: TurnServer) {
        let is_known = self.servers.iter().any(|known| known.address == server.address);
        if is_known {
            return;
        }
        // More than there may be clients would never be asked.
        if self.servers.len() >= self.max_clients {
            let Some(place) = self.servers.iter().position(|known| self.has_failed(known.address)) else {
                return;
            };
            self.servers.remove(place);
        }
        self.servers.push(server);
    }

    /// Whether a server was asked, and gives nothing to anybody.
    fn has_failed(&self, server: SocketAddr) -> bool {
        let mut its = self.relays.iter().filter(|relay| relay.client.path().remote == server).peekable();
        its.peek().is_some() && its.all(|relay| relay.failure.is_some())
    }

    /// The credentials for a server are these from now on: for what it has granted, and for what it will be asked.
    pub fn set_credentials(&mut self, now: Instant, server: SocketAddr, credentials: &Credentials) {
        let servers = self.servers.iter_mut().filter(|known| known.address == server);
        let streams = self.streams.iter_mut().filter(|(path, _)| path.remote == server);
        let known = servers.map(|known| &mut known.credentials).chain(streams.map(|(_, known)| known));
        known.for_each(|known| known.clone_from(credentials));
        for relay in self.relays.iter_mut().filter(|relay| relay.client.path().remote == server) {
            relay.credentials.clone_from(credentials);
            let _ = relay.client.set_credentials(now, credentials.clone()); // closed: it is asked anew with them
        }
    }

    /// Has everything that there is be told again, to somebody else.
    pub(crate) fn forget_told(&mut self) {
        self.relays.iter_mut().for_each(|relay| relay.addresses = [None; 2]);
    }

    /// Whom there is to ask: each server from each socket of its family, and each at the other end of a connection.
    fn paths(&self) -> impl Iterator<Item = (Path, &Credentials)> {
        let over_udp = self.sockets.iter().flat_map(move |socket| {
            let servers = self.servers.iter().filter(move |server| fits(*socket, server.address));
            servers.map(|server| {
                let path = Path { carrier: Carrier::Udp, local: *socket, remote: server.address };
                (path, &server.credentials)
            })
        });
        over_udp.chain(self.streams.iter().map(|(path, credentials)| (*path, credentials)))
    }

    /// How many of them are not asked because there may be no more clients.
    pub(crate) fn unasked(&self) -> usize {
        let is_asked = |path: Path| self.relays.iter().any(|relay| relay.client.path() == path);
        self.paths().filter(|(path, _)| !is_asked(*path)).count()
    }

    /// Asks those that were not asked yet, and those again that failed.
    pub(crate) fn ask(&mut self, now: Instant) {
        let all: Vec<_> = self.paths().map(|(path, credentials)| (path, credentials.clone())).collect();
        for (path, credentials) in all {
            self.ask_on(now, path, credentials);
        }
    }

    fn ask_on(&mut self, now: Instant, path: Path, credentials: Credentials) {
        self.relays.retain(|relay| relay.client.path() != path || relay.failure.is_none());
        let is_known = self.relays.iter().any(|relay| relay.client.path() == path);
        if !is_known && self.has_room() {
            self.begin(now, path, credentials, 0);
        }
    }

    /// Whether there may be one more. What has failed and is not asked again, as its socket or its connection is gone, is kept
    /// for reports until then.
    fn has_room(&mut self) -> bool {
        if self.relays.len() >= self.max_clients {
            let is_asked = |path: Path| self.paths().any(|(known, _)| known == path);
            let is_over =
                |relay: &Relay| relay.failure.is_some() && relay.addresses.iter().all(Option::is_none);
            let of_no_use = |relay: &Relay| is_over(relay) && !is_asked(relay.client.path());
            if let Some(place) = self.relays.iter().position(of_no_use) {
                self.relays.remove(place);
            }
        }
        self.relays.len() < self.max_clients
    }

    /// Gives everything back, within [`release_wait`](turn::client::Config::release_wait).
    pub fn release(&mut self, now: Instant) {
        self.relays.iter_mut().for_each(|relay| relay.client.release(now));
    }

    /// Whether everything was given back, or nobody cared to answer.
    pub fn is_released(&self) -> bool {
        self.poll_timeout().is_none()
    }

    /// Whether the server at this address has lent us one of its own.
    pub(crate) fn is_lent_by(&self, server: SocketAddr) -> bool {
        let mut its = self.relays.iter().filter(|relay| relay.client.path().remote == server);
        its.any(|relay| relay.addresses.iter().any(Option::is_some))
    }

    pub(crate) fn has_heard_from(&self, server: SocketAddr) -> bool {
        let mut its = self.relays.iter().filter(|relay| relay.client.path().remote == server);
        its.any(|relay| relay.client.stats().answers > 0)
    }

    /// Whether nobody's first answer is waited for.
    pub(crate) fn is_done(&self) -> bool {
        !self.relays.iter().any(|relay| relay.is_pending)
    }

    /// Whether a datagram on this path is for one of the clients.
    pub fn accepts(&self, path: Path, datagram: &[u8]) -> bool {
        self.relays.iter().any(|relay| relay.client.accepts(path, datagram))
    }

    /// Takes a datagram of a server: a peer's payload comes back with the path on which it came.
    ///
    /// # Errors
    ///
    /// Why it was ignored.
    pub fn handle_datagram<'b>(
        &mut self,
        arrival: Arrival,
        datagram: &'b mut [u8],
    ) -> Result<Option<(Path, &'b mut [u8])>, turn::client::Discard> {
        let mut relays = self.relays.iter_mut();
        let relay = relays.find(|relay| relay.client.path() == arrival.path);
        let relay = relay.ok_or(turn::client::Discard::WrongPath)?;
        match relay.client.handle_datagram(arrival, datagram)? {
            Received::Consumed => Ok(None),
            Received::Data { peer, payload } => {
                let same = |address: &&SocketAddr| address.is_ipv4() == peer.is_ipv4();
                let local = relay.addresses.iter().flatten().find(same);
                let local = *local.ok_or(turn::client::Discard::NoPermission)?;
                Ok(Some((Path { carrier: Carrier::Udp, local, remote: peer }, payload)))
            }
        }
    }

    /// Asks that the peer may be sent to from every relayed address of its family.
    pub(crate) fn permit(&mut self, now: Instant, peer: IpAddr) {
        for relay in &mut self.relays {
            if relay.addresses.iter().flatten().any(|own| own.is_ipv4() == peer.is_ipv4()) {
                let _ = relay.client.permit(now, peer); // too many: those cannot be reached
            }
        }
    }

    /// Has data on this path cost four bytes instead of 36 or 48.
    pub(crate) fn bind(&mut self, now: Instant, path: Path) {
        if let Some(relay) = self.of_mut(path.local) {
            let _ = relay.client.bind_channel(now, path.remote); // too many: indications do too
        }
    }

    /// Asks the server of a relayed path whether it still knows of the allocation.
    pub(crate) fn probe(&mut self, now: Instant, path: Path) {
        if let Some(relay) = self.of_mut(path.local) {
            relay.client.probe(now);
        }
    }

    /// Asks all servers whether they still know of what they have granted.
    pub(crate) fn probe_all(&mut self, now: Instant) {
        self.relays.iter_mut().for_each(|relay| relay.client.probe(now));
    }

    /// The path to the server through which datagrams on `path` go, if it begins at a relayed address.
    pub(crate) fn carrier_of(&self, path: Path) -> Option<Path> {
        self.of(path.local).map(|relay| relay.client.path())
    }

    /// Bytes that are put around each datagram on `path`.
    pub(crate) fn overhead(&self, path: Path) -> usize {
        self.of(path.local).map_or(0, |relay| relay.client.overhead(path.remote))
    }

    /// Appends a datagram on `path`, which begins at a relayed address.
    pub(crate) fn send_with<E: From<SendError>>(
        &mut self,
        path: Path,
        batch: &mut Batch<'_>,
        payload: impl FnOnce(&mut Writer<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let relay = self.of_mut(path.local).ok_or(SendError::NoPath)?;
        let sent = relay.client.send_with(path.remote, batch, |out| payload(out).map_err(Unsent::Payload));
        sent.map_err(|unsent| match unsent {
            Unsent::Payload(error) => error,
            Unsent::NoSpace => SendError::NoSpace.into(),
            Unsent::NoPath => SendError::NoPath.into(),
        })
    }

    /// Advances to `now`. Early and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.relays.iter_mut().for_each(|relay| relay.client.handle_timeout(now));
    }

    pub(crate) fn next_path(&self, now: Instant) -> Option<Path> {
        let due = |relay: &&Relay| relay.client.poll_timeout().is_some_and(|due| due <= now);
        self.relays.iter().find(due).map(|relay| relay.client.path())
    }

    /// Appends the next request that is due to `batch`.
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.relays.iter_mut().find_map(|relay| relay.client.poll_transmit(now, batch))
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`poll_transmit`](Self::poll_transmit) has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.relays.iter().filter_map(|relay| relay.client.poll_timeout()).min()
    }

    /// The next change. `hosts` are our own addresses, which no server relays.
    pub(crate) fn poll_change(&mut self, now: Instant, hosts: &[SocketAddr]) -> Option<Change> {
        for place in 0..self.relays.len() {
            let claimed = self.relays.get(place)?.client.relayed();
            if claimed.into_iter().any(|address| self.is_taken(place, address, hosts)) {
                let relay = self.relays.get_mut(place)?;
                relay.client.release(now);
                (relay.failure, relay.is_pending) = (Some(Failure::Address), false);
            }
            loop {
                let relay = self.relays.get_mut(place)?;
                if let Some(change) = relay.poll_address() {
                    return Some(change);
                }
                match relay.client.poll_event() {
                    None => break,
                    Some(Event::Allocated { .. }) => relay.is_pending = false,
                    Some(Event::Permitted(peer)) => {
                        let same = |own: &&SocketAddr| own.is_ipv4() == peer.is_ipv4();
                        if let Some(own) = relay.addresses.iter().flatten().find(same) {
                            return Some(Change::Opened(*own, peer));
                        }
                    }
                    Some(Event::Failed(failure)) => self.handle_failure(now, place, failure),
                    Some(Event::Lost | Event::Refused(..) | Event::ChannelBound(_) | Event::Released | _) => {
                    }
                }
            }
        }
        None
    }

    pub(crate) fn report(&self) -> Vec<RelayReport> {
        let report = |relay: &Relay| RelayReport {
            server: relay.client.path().remote,
            base: relay.client.path().local,
            carrier: relay.client.path().carrier,
            relayed: relay.addresses,
            is_pending: relay.is_pending,
            failure: relay.failure,
        };
        self.relays.iter().map(report).collect()
    }

    fn begin(&mut self, now: Instant, path: Path, credentials: Credentials, redirections: u32) {
        let seed = crypto::derive_seed(self.seed.expose(), &format!("turn client {}", self.made));
        self.made = self.made.wrapping_add(1);
        let mut config = turn::client::Config::new(self.provider);
        config.mobility = self.mobility && path.carrier == Carrier::Udp;
        let mut client = Client::new(config, credentials.clone(), path, seed);
        client.allocate(now);
        let addresses = [None, None];
        let relay = Relay {
            client,
            credentials,
            addresses,
            is_pending: true,
            failure: None,
            redirections,
            is_adrift: false,
        };
        self.relays.push(relay);
    }

    /// Goes where the server sends us (RFC 8489 §10), not too often and not to where we have been.
    fn handle_failure(&mut self, now: Instant, place: usize, failure: Failure) {
        let Some(relay) = self.relays.get_mut(place) else { return };
        relay.is_pending = false;
        relay.failure = Some(failure);
        let (from, redirections) = (relay.client.path(), relay.redirections.saturating_add(1));
        let credentials = relay.credentials.clone();
        let Failure::Redirected(remote) = failure else { return };
        let path = Path { remote, ..from };
        let is_known = self.relays.iter().any(|relay| relay.client.path() == path);
        // Over a connection nobody else can be asked, nor without DTLS who was asked with it (RFC 8489 §10).
        let is_connection = self.streams.iter().any(|(known, _)| *known == from);
        if redirections <= MAX_REDIRECTIONS
            && from.carrier == Carrier::Udp
            && !is_connection
            && !is_known
            && remote.is_ipv4() == from.remote.is_ipv4()
            && self.has_room()
        {
            self.begin(now, path, credentials, redirections);
        }
    }

    /// Whether an address that a server claims to relay for us is somebody else's: a socket of ours, or another relay's.
    fn is_taken(&self, place: usize, address: SocketAddr, hosts: &[SocketAddr]) -> bool {
        let mut others = self.relays.iter().enumerate().filter(|(other, _)| *other != place);
        hosts.contains(&address)
            || self.sockets.contains(&address)
            || others.any(|(_, relay)| relay.addresses.contains(&Some(address)))
    }

    fn of(&self, local: SocketAddr) -> Option<&Relay> {
        self.relays.iter().find(|relay| relay.addresses.contains(&Some(local)))
    }

    fn of_mut(&mut self, local: SocketAddr) -> Option<&mut Relay> {
        self.relays.iter_mut().find(|relay| relay.addresses.contains(&Some(local)))
    }
}

impl Relay {
    /// Whether its server can be asked from there.
    fn fits(&self, socket: SocketAddr) -> bool {
        fits(socket, self.client.path().remote)
    }

    /// Whether its server may know of it.
    const fn has_asked(&self) -> bool {
        self.client.stats().requests > 0
    }

    /// The next address that came or went since the last call; what was taken away first, one at a time.
    fn poll_address(&mut self) -> Option<Change> {
        let Self { client, addresses, .. } = self;
        let is_gone = |address: &SocketAddr| !client.relayed().any(|relayed| relayed == *address);
        if let Some(gone) = addresses.iter_mut().find_map(|slot| slot.take_if(|address| is_gone(address))) {
            return Some(Change::Removed(gone));
        }
        let fresh = client.relayed().find(|relayed| !addresses.contains(&Some(*relayed)))?;
        *addresses.iter_mut().find(|slot| slot.is_none())? = Some(fresh);
        Some(Change::Added(fresh, client.path().remote.ip()))
    }
}

/// Whether a server can be asked from a socket.
fn fits(socket: SocketAddr, server: SocketAddr) -> bool {
    server.is_ipv4() == socket.is_ipv4() && server.ip().is_loopback() == socket.ip().is_loopback()
}

/// Why a relay took nothing: its own reasons, or the payload's.
enum Unsent<E> {
    NoPath,
    NoSpace,
    Payload(E),
}

impl<E> From<turn::client::SendError> for Unsent<E> {
    fn from(error: turn::client::SendError) -> Self {
        if error == turn::client::SendError::NoSpace { Self::NoSpace } else { Self::NoPath }
    }
}

/// How often servers may send us on.
const MAX_REDIRECTIONS: u32 = 3;
