use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use net::{Clock, Interface, InterfaceWatch, Resolver, Transport};
use proto::Arrival;
use session::uri::{ParseError, Scheme};
use session::{ExternalAddress, Pacer, Session, TcpAddresses, TransportParameters};

use crate::addresses::{self, Wishes};
use crate::connection::{Connection, Handle};
use crate::ice_server::{Server, Wanted, addresses_of, read_url};
use crate::names::{Mdns, Names};
use crate::relay_sockets::{Open, RelaySockets};
use crate::strangers::{Stranger, Strangers, WaitingRoom};
use crate::worker::{Follow, Inbox, MAX_WORKERS, Neighbours, Networks, Parts, Worker, prefix};
use crate::{Configuration, Error, Events, IceTransportPolicy, IpHandling, PeerConnection, TcpLimits};

/// Sockets that any number of connections share, and the task that drives them, or several. Cheap to clone.
///
/// The tasks end, and the sockets close, when the last clone of this is dropped and the last connection
/// is over.
///
/// A connection is known by the addresses of both its ends. Two connections at a time between the same two
/// sockets cannot be told apart, and the later takes the path from the earlier once its peer has answered there:
/// where two programs need more than one connection between them, one side makes an endpoint for each.
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}

struct Shared {
    /// Of each worker.
    inboxes: Vec<Arc<Inbox>>,
    clock: Clock,
    mdns: Mdns,
    networks: Arc<Mutex<Networks>>,
    tcp: TcpAddresses,
    stun: Vec<SocketAddr>,
    strangers: Arc<WaitingRoom>,
    external: Vec<ExternalAddress>,
    hides_hosts: bool,
    is_lite: bool,
    pacer: Arc<Pacer>,
}

impl Endpoint {
    /// An endpoint to be configured.
    pub fn builder() -> EndpointBuilder {
        EndpointBuilder::default()
    }

    /// A new connection over this endpoint's sockets, and its events.
    ///
    /// # Errors
    ///
    /// If the system has no entropy, the endpoint's task has ended, or a server's URL or credentials cannot be.
    pub fn connect(&self, configuration: Configuration) -> Result<(PeerConnection, Events), Error> {
        let worker = self.least_loaded();
        let (session, servers, networks) = self.make_session(&configuration, worker)?;
        self.start(session, servers, &configuration, networks, worker)
    }

    /// A new connection to a peer with whom no descriptions are exchanged: `parameters` say what they would, and none
    /// are taken. Channels, candidates and events are as ever.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect), and if a port is 0.
    pub fn connect_without_sdp(
        &self,
        configuration: Configuration,
        parameters: TransportParameters,
    ) -> Result<(PeerConnection, Events), Error> {
        let worker = self.least_loaded();
        let (mut session, servers, networks) = self.make_session(&configuration, worker)?;
        session.open_transport(self.shared.clock.now(), parameters)?;
        self.start(session, servers, &configuration, networks, worker)
    }

    /// Listens for peers that ask for a ufrag of which no connection knows; `None` if somebody does so already. At most
    /// [`max_strangers`](EndpointBuilder::max_strangers) of them are there at a time.
    pub fn strangers(&self) -> Option<Strangers> {
        Strangers::listen(&self.shared.strangers)
    }

    /// A new connection with a stranger, as [`connect_without_sdp`](Self::connect_without_sdp) makes it. The request
    /// that told of it is answered at once, if `parameters` have the password that goes with it.
    ///
    /// # Errors
    ///
    /// Those of [`connect_without_sdp`](Self::connect_without_sdp).
    pub fn accept(
        &self,
        stranger: &Stranger,
        configuration: Configuration,
        parameters: TransportParameters,
    ) -> Result<(PeerConnection, Events), Error> {
        // To whose socket it comes: nobody has to pass anything on.
        let worker = stranger.worker();
        let (mut session, servers, networks) = self.make_session(&configuration, worker)?;
        let at = self.shared.clock.now();
        session.open_transport(at, parameters)?;
        let arrival = Arrival { path: stranger.path(), ecn: None, at };
        // Where it is refused, the session counts it, and it will come again.
        let _ = session.handle_datagram(arrival, &mut stranger.datagram().to_vec());
        self.start(session, servers, &configuration, networks, worker)
    }

    /// The worker has to hear of the session before it tells others of another network: who holds the addresses holds
    /// them until then.
    fn make_session(&self, configuration: &Configuration, worker: usize) -> Result<Made<'_>, Error> {
        let seed =
            net::random_seed().map_err(|source| Error::Io { what: "the system gives no entropy", source })?;
        let Shared { clock, mdns, tcp, stun, external, hides_hosts, is_lite, pacer, .. } = &*self.shared;
        let Wanted { servers, unused } = Wanted::read(configuration)?;
        // W3C WebRTC 1.0 §4.4.1.1: one that is valid no more is not used.
        let certificate = configuration.certificate.as_ref();
        if certificate.is_some_and(|certificate| certificate.identity.expires() <= Clock::unix_seconds()) {
            return Err(Error::Expired);
        }
        let mut config = session::Config::new(configuration.provider);
        config.media.clone_from(&configuration.media);
        config.frames = Some(configuration.frames.clone());
        config.answer_dtls_role = configuration.answer_dtls_role;
        config.bundle_policy = configuration.bundle_policy;
        config.limits = configuration.limits;
        config.identity = configuration.certificate.as_ref().map(|certificate| certificate.identity.clone());
        config.stun_servers.clone_from(stun);
        config.resolves_names = *mdns != Mdns::Off;
        config.ice_lite = *is_lite;
        config.pacer = Some(pacer.clone());
        if self.shared.inboxes.len() > 1 {
            config.ufrag_prefix = prefix(worker);
        }
        let mut gathering = session::Gathering::default();
        gathering.hides_hosts =
            *hides_hosts || configuration.ice_transport_policy == IceTransportPolicy::NoHost;
        gathering.tcp.clone_from(tcp);
        gathering.external.clone_from(external);
        gathering.remote_policy.clone_from(&configuration.remote_candidates);
        if gathering != session::Gathering::default() {
            config.gathering = Some(Box::new(gathering));
        }
        let only = configuration.ice_transport_policy == IceTransportPolicy::Relay;
        if only || !servers.is_empty() || !unused.is_empty() {
            let mut relaying = session::Relaying::default();
            relaying.awaits_servers = !servers.is_empty();
            (relaying.only, relaying.unused) = (only, unused);
            config.relaying = Some(Box::new(relaying));
        }
        let networks = self.shared.networks();
        config.local_addresses.clone_from(&networks.local);
        if *mdns == Mdns::Hide {
            config.host_names = Some(networks.names.clone().into());
        }
        let now = clock.now();
        let session =
            Session::new(now, session::WallClock { unix_seconds: Clock::unix_seconds() }, config, seed);
        Ok((session.map_err(|_| Error::Identity)?, servers, networks))
    }

    fn start(
        &self,
        session: Session,
        servers: Vec<Server>,
        configuration: &Configuration,
        networks: MutexGuard<'_, Networks>,
        worker: usize,
    ) -> Result<(PeerConnection, Events), Error> {
        let Shared { inboxes, clock, .. } = &*self.shared;
        let inbox = inboxes.get(worker).ok_or(Error::EndpointClosed)?;
        let connection = Arc::new(Connection::new(session, *clock, configuration));
        let key = inbox.add(connection.clone(), servers).ok_or(Error::EndpointClosed)?;
        drop(networks);
        let networks = self.shared.networks.clone();
        let handle = Arc::new(Handle::new(connection, inbox.clone(), key, networks));
        let events = Events::new(&handle);
        Ok((PeerConnection::from_handle(handle), events))
    }

    /// The worker with the fewest connections.
    fn least_loaded(&self) -> usize {
        let loads = self.shared.inboxes.iter().map(|inbox| inbox.connections()).enumerate();
        loads.min_by_key(|(_, load)| *load).map_or(0, |(worker, _)| worker)
    }

    /// What each of the endpoint's [workers](EndpointBuilder::workers) has and has done.
    pub fn worker_stats(&self) -> Vec<WorkerStats> {
        self.shared.inboxes.iter().map(|inbox| inbox.stats()).collect()
    }

    /// The addresses that the UDP sockets are bound to at the moment.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.shared.networks().local.clone()
    }

    /// The addresses that TCP connections come to.
    pub fn tcp_addresses(&self) -> &[SocketAddr] {
        &self.shared.tcp.listeners
    }
}

/// A session that the worker is yet to hear of, its servers, and the addresses that it was made with.
type Made<'a> = (Session, Vec<Server>, MutexGuard<'a, Networks>);

impl Shared {
    fn networks(&self) -> MutexGuard<'_, Networks> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.inboxes.iter().for_each(|inbox| inbox.no_more());
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Addresses may be hidden.
        let sockets = self.shared.networks().local.len();
        f.debug_struct("Endpoint").field("sockets", &sockets).finish_non_exhaustive()
    }
}

/// What a task of an endpoint's has and has done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Connections that it drives.
    pub connections: usize,
    /// Datagrams that were nobody's, and TCP connections.
    pub strays: u64,
    /// Datagrams that came to its socket for a connection of another worker's, and TCP connections.
    pub passed_on: u64,
    /// The same, for which there was [no room](EndpointBuilder::max_passed_on): they are lost.
    pub not_passed_on: u64,
}

/// What an [`Endpoint`] is made with.
#[derive(Default)]
pub struct EndpointBuilder {
    workers: Option<usize>,
    max_passed_on: Option<usize>,
    stun: Vec<String>,
    wishes: Wishes,
    no_udp: bool,
    tcp_port: Option<u16>,
    tcp_active: bool,
    tcp_limits: TcpLimits,
    external: Vec<ExternalAddress>,
    lite: bool,
    mdns: Mdns,
    transports: Vec<Arc<dyn Transport>>,
    open: Option<Arc<Open>>,
    max_strangers: Option<usize>,
}

impl EndpointBuilder {
    /// What is done with `.local` names: by default those of peers are asked for, and our own addresses told as they
    /// are. Where [`transport`](Self::transport) is used nothing is.
    #[must_use]
    pub const fn mdns(mut self, policy: Mdns) -> Self {
        self.mdns = policy;
        self
    }

    /// [`Strangers`] at a time: those that wait, and those that the program holds. Of more nothing is kept. Default: 64.
    #[must_use]
    pub const fn max_strangers(mut self, limit: usize) -> Self {
        self.max_strangers = Some(limit);
        self
    }

    /// Tasks that drive the connections, each on a core if the runtime has as many: 64 at most. Each has its own share
    /// of the connections, and sockets of its own at the same addresses and ports, among which the system divides what
    /// comes by whom it comes from (SO_REUSEPORT); what comes to another one than the connection's is passed on.
    /// Connections to the TCP port are limited for each. Default: 1, as where [`transport`](Self::transport) is used.
    ///
    /// Not on Windows; elsewhere than on Linux the system may give everything to one of them.
    #[must_use]
    pub const fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// Bytes of datagrams that wait at a [worker](Self::workers) for having come to others, which have equal shares of
    /// that, none below 64 KiB; a datagram counts 512 at least. What there is no room for is lost, and
    /// [counted](WorkerStats::not_passed_on). Default: 4 MiB.
    #[must_use]
    pub const fn max_passed_on(mut self, bytes: usize) -> Self {
        self.max_passed_on = Some(bytes);
        self
    }

    /// Adds a STUN server, `stun:host:port`, that tells how the outside sees us, for every connection. Those of one
    /// connection, and its TURN servers, stand in its [`Configuration`].
    #[must_use]
    pub fn stun(mut self, url: impl Into<String>) -> Self {
        self.stun.push(url.into());
        self
    }

    /// Binds to this address only; called again, to that one too. By default every address of the machine
    /// is used but loopback.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.wishes.addresses.push(address);
        self
    }

    /// Binds to this port; by default the system chooses.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.wishes.ports = Some(port..=port);
        self
    }

    /// Binds to the first ports of this range that are free, for firewalls that open it; the sockets for relaying, too.
    #[must_use]
    pub fn ports(mut self, range: RangeInclusive<u16>) -> Self {
        self.wishes.ports = Some(range);
        self
    }

    /// Uses only addresses of which `filter` says so, of those that the machine has.
    #[must_use]
    pub fn interfaces(mut self, filter: impl Fn(&Interface) -> bool + Send + Sync + 'static) -> Self {
        self.wishes.filter = Some(Arc::new(filter));
        self
    }

    /// Which addresses of the machine are used and shown (RFC 8828).
    #[must_use]
    pub const fn ip_handling(mut self, handling: IpHandling) -> Self {
        self.wishes.handling = handling;
        self
    }

    /// A NAT that forwards every port has this address in front of `internal`, or of every address of its family where
    /// that is `None`: peers are told it in place of the address of ours.
    #[must_use]
    pub fn external_address(mut self, internal: Option<IpAddr>, external: IpAddr) -> Self {
        self.external.push(ExternalAddress { internal, external, replaces: true });
        self
    }

    /// The same, and peers are told the address of ours as well.
    #[must_use]
    pub fn additional_address(mut self, internal: Option<IpAddr>, external: IpAddr) -> Self {
        self.external.push(ExternalAddress { internal, external, replaces: false });
        self
    }

    /// Whether there are UDP sockets. Default: yes.
    #[must_use]
    pub const fn udp(mut self, wanted: bool) -> Self {
        self.no_udp = !wanted;
        self
    }

    /// Also listens at this TCP port, on every address: one port for all connections, which peers reach where UDP does
    /// not pass (RFC 6544). The system chooses the port if it is 0, another one on each address.
    #[must_use]
    pub const fn tcp_port(mut self, port: u16) -> Self {
        self.tcp_port = Some(port);
        self
    }

    /// Also opens TCP connections, to peers that listen (RFC 6544). Default: no.
    #[must_use]
    pub const fn tcp_active(mut self, wanted: bool) -> Self {
        self.tcp_active = wanted;
        self
    }

    /// How connections to the TCP port are borne with before it is known whose they are.
    #[must_use]
    pub const fn tcp_limits(mut self, limits: TcpLimits) -> Self {
        self.tcp_limits = limits;
        self
    }

    /// Whether connections are ICE-lite: peers check, and this side only answers (RFC 8445 §2.4). For servers that every
    /// peer reaches under their own addresses. Default: no.
    #[must_use]
    pub const fn ice_lite(mut self, wanted: bool) -> Self {
        self.lite = wanted;
        self
    }

    /// Also uses the loopback addresses: for connections within this machine.
    #[must_use]
    pub const fn loopback(mut self, wanted: bool) -> Self {
        self.wishes.loopback = wanted;
        self
    }

    /// Sends and receives through this instead of sockets: a virtual network, for example.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transports.push(transport);
        self
    }

    /// Opens the sockets for relaying, one for each connection and address, by this instead of the system: where
    /// [`transport`](Self::transport) is used there are none without it, and TURN servers are not used; those over TCP
    /// and TLS are used with sockets of the system only. It is given
    /// an address of which the port may be chosen, runs in the endpoint's task, and must not block.
    #[must_use]
    pub fn open_with(
        mut self,
        open: impl Fn(SocketAddr) -> io::Result<Arc<dyn Transport>> + Send + Sync + 'static,
    ) -> Self {
        self.open = Some(Arc::new(open));
        self
    }

    /// Opens the sockets and starts the endpoint's tasks on the present tokio runtime.
    ///
    /// # Errors
    ///
    /// If a port is taken, the machine has no usable address, or a STUN server's name is not known.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without I/O and time (`enable_all`).
    pub async fn bind(self) -> Result<Endpoint, Error> {
        let stun = find_stun(&self.stun).await?;
        let is_system = self.transports.is_empty();
        let count = if is_system { self.workers.unwrap_or(1).clamp(1, MAX_WORKERS) } else { 1 };
        let wishes = self.wishes;
        let by_system = || {
            let wishes = wishes.clone();
            Arc::new(move |address| wishes.socket(address)) as Arc<Open>
        };
        let open = self.open.or_else(|| is_system.then(by_system));
        let own = if is_system { wishes.addresses()? } else { Vec::new() };
        let transports = match (is_system, self.no_udp) {
            (false, _) => vec![self.transports],
            (true, true) => (0..count).map(|_| Vec::new()).collect(),
            (true, false) => wishes.sockets(&own, count)?,
        };
        let listeners = match self.tcp_port {
            Some(port) if is_system => addresses::listeners(&own, port, count)?,
            Some(_) | None => (0..count).map(|_| Vec::new()).collect(),
        };
        let mut tcp = TcpAddresses::default();
        let of_first = listeners.first().into_iter().flatten();
        tcp.listeners = of_first.map(net::Listener::local_address).collect();
        tcp.active = if self.tcp_active { own.clone() } else { Vec::new() };
        let of_first = transports.first().into_iter().flatten();
        let local: Vec<SocketAddr> = of_first.map(|transport| transport.local_address()).collect();
        let relaying = if is_system { own } else { local.iter().map(SocketAddr::ip).collect() };
        let inboxes: Vec<Arc<Inbox>> = (0..count).map(|number| Arc::new(Inbox::new(number, count))).collect();
        let clock = Clock::start();
        let strangers = Arc::new(WaitingRoom::new(self.max_strangers.unwrap_or(MAX_STRANGERS)));
        let mdns = if is_system { self.mdns } else { Mdns::Off };
        let mut names = Names::new(mdns, local.iter().map(SocketAddr::ip).collect());
        let host_names = names.host_names(clock.now());
        let tells_interfaces =
            is_system && mdns != Mdns::Hide && wishes.handling != IpHandling::DefaultPublic;
        let networks = Arc::new(Mutex::new(Networks { local, names: host_names, tells_interfaces }));
        let hides_hosts = wishes.handling == IpHandling::DefaultPublic;
        let is_follower = is_system && wishes.addresses.is_empty() && !self.no_udp;
        let follow = is_follower.then(|| Follow { watch: InterfaceWatch::start(), wishes });
        // The first worker asks for names and follows the networks, for all.
        let mut of_first = Some((names, follow));
        let max_passed_on = self.max_passed_on.unwrap_or(MAX_PASSED_ON);
        let neighbours = Neighbours::of(&inboxes, max_passed_on);
        let sockets = transports.into_iter().zip(listeners).zip(neighbours);
        for (number, (((transports, listeners), neighbours), inbox)) in sockets.zip(&inboxes).enumerate() {
            let (names, follow) = of_first.take().unwrap_or_else(|| (Names::none(), None));
            tokio::spawn(Worker::new(Parts {
                inbox: inbox.clone(),
                clock,
                transports,
                relays: RelaySockets::new(open.clone(), relaying.clone(), is_system),
                names,
                networks: networks.clone(),
                follow,
                listeners,
                tcp_limits: self.tcp_limits,
                strangers: strangers.clone(),
                number,
                neighbours,
            }));
        }
        let shared = Shared {
            inboxes,
            clock,
            mdns,
            networks,
            tcp,
            stun,
            external: self.external,
            hides_hosts,
            is_lite: self.lite,
            pacer: Arc::new(Pacer::default()),
            strangers,
        };
        Ok(Endpoint { shared: Arc::new(shared) })
    }
}

/// Where the STUN servers of an endpoint are.
async fn find_stun(urls: &[String]) -> Result<Vec<SocketAddr>, Error> {
    let mut stun = BTreeSet::new();
    for url in urls {
        let uri = read_url(url)?;
        if uri.scheme() != Scheme::Stun {
            return Err(Error::Url { url: url.clone(), reason: ParseError::Scheme });
        }
        let found = addresses_of(&uri, &Resolver::default()).await;
        stun.extend(found.map_err(|source| Error::Io {
            what: "the name of a STUN server is not known",
            source: addresses::refused_at(url, source),
        })?);
    }
    Ok(stun.into_iter().collect())
}

impl fmt::Debug for EndpointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stun, wishes, tcp_port, tcp_active, external, lite, mdns, transports, max_strangers, ..
        } = self;
        f.debug_struct("EndpointBuilder")
            .field("stun", stun)
            .field("wishes", wishes)
            .field("tcp_port", tcp_port)
            .field("tcp_active", tcp_active)
            .field("external", external)
            .field("lite", lite)
            .field("mdns", mdns)
            .field("transports", transports)
            .field("max_strangers", max_strangers)
            .finish_non_exhaustive()
    }
}

impl PeerConnection {
    /// A connection with an endpoint of its own, on every address of the machine but loopback.
    ///
    /// # Errors
    ///
    /// Those of [`EndpointBuilder::bind`] and [`Endpoint::connect`].
    pub async fn new(configuration: Configuration) -> Result<(Self, Events), Error> {
        Endpoint::builder().bind().await?.connect(configuration)
    }
}

/// [`Strangers`] at a time.
const MAX_STRANGERS: usize = 64;
/// Bytes that wait at a worker for having come to others: as much as is asked of the system for a socket, for two.
const MAX_PASSED_ON: usize = 4 * 1024 * 1024;
