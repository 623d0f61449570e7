use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use net::{Clock, Interface, InterfaceWatch, Transport, UdpSocket};
use session::Session;
use session::uri::{ParseError, Scheme};

use crate::connection::{Connection, Handle};
use crate::ice_server::{Wanted, addresses_of, read_url};
use crate::names::{Mdns, Names};
use crate::relay_sockets::{Open, RelaySockets};
use crate::worker::{Inbox, Networks, Worker};
use crate::{Configuration, Error, Events, IceTransportPolicy, PeerConnection};

/// Sockets that any number of connections share, and the one task that drives them. Cheap to clone.
///
/// The task ends, and the sockets close, when the last clone of this is dropped and the last connection
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
    inbox: Arc<Inbox>,
    clock: Clock,
    stun: Vec<SocketAddr>,
    mdns: Mdns,
    networks: Arc<Mutex<Networks>>,
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
        let seed =
            net::random_seed().map_err(|source| Error::Io { what: "the system gives no entropy", source })?;
        let Shared { inbox, clock, stun, mdns, networks } = &*self.shared;
        let Wanted { servers, unused } = Wanted::read(
            &configuration.ice_servers,
            configuration.max_server_urls,
            configuration.tls.as_ref(),
        )?;
        let mut config = session::Config::new(configuration.provider);
        config.answer_dtls_role = configuration.answer_dtls_role;
        config.limits = configuration.limits;
        config.stun_servers.clone_from(stun);
        config.resolves_names = *mdns != Mdns::Off;
        let only = configuration.ice_transport_policy == IceTransportPolicy::Relay;
        if only || !servers.is_empty() || !unused.is_empty() {
            let mut relaying = session::Relaying::default();
            relaying.awaits_servers = !servers.is_empty();
            (relaying.only, relaying.unused) = (only, unused);
            config.relaying = Some(Box::new(relaying));
        }
        let now = clock.now();
        // The worker hears of the connection before it tells others of another network.
        let networks = networks.lock().unwrap_or_else(PoisonError::into_inner);
        config.local_addresses.clone_from(&networks.local);
        if *mdns == Mdns::Hide {
            config.host_names = Some(networks.names.clone().into());
        }
        let session =
            Session::new(now, session::WallClock { unix_seconds: Clock::unix_seconds() }, config, seed);
        let session = session.map_err(|_| Error::Identity)?;
        let connection = Arc::new(Connection::new(session, *clock, &configuration));
        let key = inbox.add(connection.clone(), servers).ok_or(Error::EndpointClosed)?;
        drop(networks);
        let networks = self.shared.networks.clone();
        let handle = Arc::new(Handle::new(connection, inbox.clone(), key, networks));
        let events = Events::new(&handle);
        Ok((PeerConnection::from_handle(handle), events))
    }

    /// The addresses that the sockets are bound to at the moment.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.shared.networks().local.clone()
    }
}

impl Shared {
    fn networks(&self) -> MutexGuard<'_, Networks> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.inbox.no_more();
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Addresses may be hidden.
        f.debug_struct("Endpoint")
            .field("sockets", &self.shared.networks().local.len())
            .finish_non_exhaustive()
    }
}

/// Whether an address of an interface is used.
pub(crate) type Choose = dyn Fn(&Interface) -> bool + Send + Sync;

/// What an [`Endpoint`] is made with.
#[derive(Default)]
pub struct EndpointBuilder {
    stun: Vec<String>,
    addresses: Vec<IpAddr>,
    port: u16,
    loopback: bool,
    interfaces: Option<Arc<Choose>>,
    mdns: Mdns,
    transports: Vec<Arc<dyn Transport>>,
    open: Option<Arc<Open>>,
}

impl EndpointBuilder {
    /// Adds a STUN server, `stun:host:port`, that tells how the outside sees us, for every connection. Those of one
    /// connection, and its TURN servers, stand in its [`Configuration`].
    #[must_use]
    pub fn stun(mut self, url: impl Into<String>) -> Self {
        self.stun.push(url.into());
        self
    }

    /// Binds to this address only; called again, to that one too. By default every address of the machine
    /// is used but loopback, those included that come later: each is told to the peers of all connections then, and what
    /// goes is given up.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// Binds to this port; by default the system chooses.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Also uses the loopback addresses: for connections within this machine.
    #[must_use]
    pub const fn loopback(mut self, wanted: bool) -> Self {
        self.loopback = wanted;
        self
    }

    /// Of the machine's addresses uses only those of which this is true, now and whenever they change.
    #[must_use]
    pub fn interfaces(mut self, choose: impl Fn(&Interface) -> bool + Send + Sync + 'static) -> Self {
        self.interfaces = Some(Arc::new(choose));
        self
    }

    /// What is done with `.local` names: by default those of peers are asked for, and our own addresses told as they
    /// are. Where [`transport`](Self::transport) is used nothing is.
    #[must_use]
    pub const fn mdns(mut self, policy: Mdns) -> Self {
        self.mdns = policy;
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

    /// Opens the sockets and starts the endpoint's task on the present tokio runtime.
    ///
    /// # Errors
    ///
    /// If a port is taken, the machine has no usable address, or a STUN server's name is not known.
    pub async fn bind(self) -> Result<Endpoint, Error> {
        let mut stun = BTreeSet::new();
        for url in &self.stun {
            let uri = read_url(url)?;
            if uri.scheme() != Scheme::Stun {
                return Err(Error::Url { url: url.clone(), reason: ParseError::Scheme });
            }
            let found = addresses_of(&uri).await;
            stun.extend(
                found
                    .map_err(|source| Error::Io { what: "the name of a STUN server is not known", source })?,
            );
        }
        let is_system = self.transports.is_empty();
        let is_follower = is_system && self.addresses.is_empty();
        let (chosen, port) = (self.chosen(), self.port);
        let open = self.open.clone().or_else(|| is_system.then(|| Arc::new(open_socket) as Arc<Open>));
        let transports = if is_system { self.open()? } else { self.transports.clone() };
        let local: Vec<SocketAddr> = transports.iter().map(|transport| transport.local_address()).collect();
        let relays = RelaySockets::new(open, local.iter().map(SocketAddr::ip).collect(), is_system);
        let inbox = Arc::new(Inbox::default());
        let clock = Clock::start();
        let mdns = if is_system { self.mdns } else { Mdns::Off };
        let mut names = Names::new(mdns, local.iter().map(SocketAddr::ip).collect());
        let host_names = names.host_names(clock.now());
        let networks = Arc::new(Mutex::new(Networks {
            local,
            names: host_names,
            tells_interfaces: is_system && mdns != Mdns::Hide,
        }));
        let follow = is_follower.then(|| Follow { watch: InterfaceWatch::start(), chosen, port });
        tokio::spawn(Worker::new(
            inbox.clone(),
            clock,
            transports,
            relays,
            (names, networks.clone(), follow),
        ));
        let stun = stun.into_iter().collect();
        let shared = Shared { inbox, clock, stun, mdns, networks };
        Ok(Endpoint { shared: Arc::new(shared) })
    }

    fn open(&self) -> Result<Vec<Arc<dyn Transport>>, Error> {
        let addresses =
            if self.addresses.is_empty() { self.interface_addresses()? } else { self.addresses.clone() };
        let mut transports: Vec<Arc<dyn Transport>> = Vec::new();
        let mut refused = None;
        for address in addresses {
            match UdpSocket::bind(SocketAddr::new(address, self.port)) {
                Ok(socket) => transports.push(Arc::new(socket)),
                // An interface may have gone meanwhile; the others do.
                Err(source) => refused = Some(source),
            }
        }
        match (transports.is_empty(), refused) {
            (false, _) => Ok(transports),
            (true, Some(source)) => Err(Error::Io { what: "no socket can be bound", source }),
            (true, None) => Err(Error::NoAddress),
        }
    }

    /// Which of the machine's addresses are used.
    fn chosen(&self) -> Arc<Choose> {
        let (loopback, choose) = (self.loopback, self.interfaces.clone());
        Arc::new(move |interface: &Interface| {
            (loopback || !interface.is_loopback) && choose.as_ref().is_none_or(|choose| choose(interface))
        })
    }

    fn interface_addresses(&self) -> Result<Vec<IpAddr>, Error> {
        let found = net::interfaces();
        let found =
            found.map_err(|source| Error::Io { what: "the system does not tell its addresses", source })?;
        let chosen = self.chosen();
        let wanted = found.iter().filter(|interface| chosen(interface));
        let addresses: Vec<IpAddr> = wanted.map(|interface| interface.address).collect();
        if addresses.is_empty() { Err(Error::NoAddress) } else { Ok(addresses) }
    }
}

/// How an endpoint follows the addresses of the machine.
pub(crate) struct Follow {
    pub(crate) watch: InterfaceWatch,
    pub(crate) chosen: Arc<Choose>,
    pub(crate) port: u16,
}

impl fmt::Debug for EndpointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stun, addresses, port, loopback, mdns, transports, interfaces: _, open: _ } = self;
        f.debug_struct("EndpointBuilder")
            .field("stun", stun)
            .field("addresses", addresses)
            .field("port", port)
            .field("loopback", loopback)
            .field("mdns", mdns)
            .field("transports", transports)
            .finish_non_exhaustive()
    }
}

fn open_socket(address: SocketAddr) -> io::Result<Arc<dyn Transport>> {
    Ok(Arc::new(UdpSocket::bind(address)?))
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
