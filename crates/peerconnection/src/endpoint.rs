use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use net::{Clock, Transport, UdpSocket};
use proto::Arrival;
use session::uri::{ParseError, Scheme};
use session::{Session, TransportParameters};

use crate::connection::{Connection, Handle};
use crate::ice_server::{Server, Wanted, addresses_of, read_url};
use crate::relay_sockets::{Open, RelaySockets};
use crate::strangers::{Stranger, Strangers, WaitingRoom};
use crate::worker::{Inbox, Worker};
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
    local: Vec<SocketAddr>,
    stun: Vec<SocketAddr>,
    strangers: Arc<WaitingRoom>,
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
        let (session, servers) = self.make_session(&configuration)?;
        self.start(session, servers, &configuration)
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
        let (mut session, servers) = self.make_session(&configuration)?;
        session.open_transport(self.shared.clock.now(), parameters)?;
        self.start(session, servers, &configuration)
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
        let (mut session, servers) = self.make_session(&configuration)?;
        let at = self.shared.clock.now();
        session.open_transport(at, parameters)?;
        let arrival = Arrival { path: stranger.path(), ecn: None, at };
        // Where it is refused, the session counts it, and it will come again.
        let _ = session.handle_datagram(arrival, &mut stranger.datagram().to_vec());
        self.start(session, servers, &configuration)
    }

    fn make_session(&self, configuration: &Configuration) -> Result<(Session, Vec<Server>), Error> {
        let seed =
            net::random_seed().map_err(|source| Error::Io { what: "the system gives no entropy", source })?;
        let Shared { clock, local, stun, .. } = &*self.shared;
        let Wanted { servers, unused } = Wanted::read(
            &configuration.ice_servers,
            configuration.max_server_urls,
            configuration.tls.as_ref(),
        )?;
        let mut config = session::Config::new(configuration.provider);
        config.answer_dtls_role = configuration.answer_dtls_role;
        config.limits = configuration.limits;
        config.identity = configuration.certificate.as_ref().map(|certificate| certificate.identity.clone());
        config.stun_servers.clone_from(stun);
        config.local_addresses.clone_from(local);
        let only = configuration.ice_transport_policy == IceTransportPolicy::Relay;
        if only || !servers.is_empty() || !unused.is_empty() {
            let mut relaying = session::Relaying::default();
            relaying.awaits_servers = !servers.is_empty();
            (relaying.only, relaying.unused) = (only, unused);
            config.relaying = Some(Box::new(relaying));
        }
        let now = clock.now();
        let session =
            Session::new(now, session::WallClock { unix_seconds: Clock::unix_seconds() }, config, seed);
        Ok((session.map_err(|_| Error::Identity)?, servers))
    }

    fn start(
        &self,
        session: Session,
        servers: Vec<Server>,
        configuration: &Configuration,
    ) -> Result<(PeerConnection, Events), Error> {
        let Shared { inbox, clock, .. } = &*self.shared;
        let connection = Arc::new(Connection::new(session, *clock, configuration));
        let key = inbox.add(connection.clone(), servers).ok_or(Error::EndpointClosed)?;
        let handle = Arc::new(Handle::new(connection, inbox.clone(), key));
        let events = Events::new(&handle);
        Ok((PeerConnection::from_handle(handle), events))
    }

    /// The addresses that the sockets are bound to.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.shared.local
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.inbox.no_more();
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("local", &self.shared.local).finish()
    }
}

/// What an [`Endpoint`] is made with.
pub struct EndpointBuilder {
    stun: Vec<String>,
    addresses: Vec<IpAddr>,
    port: u16,
    loopback: bool,
    transports: Vec<Arc<dyn Transport>>,
    open: Option<Arc<Open>>,
    max_strangers: usize,
}

impl Default for EndpointBuilder {
    fn default() -> Self {
        Self {
            stun: Vec::new(),
            addresses: Vec::new(),
            port: 0,
            loopback: false,
            transports: Vec::new(),
            open: None,
            max_strangers: 64,
        }
    }
}

impl EndpointBuilder {
    /// [`Strangers`] at a time: those that wait, and those that the program holds. Of more nothing is kept. Default: 64.
    #[must_use]
    pub const fn max_strangers(mut self, limit: usize) -> Self {
        self.max_strangers = limit;
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
        let open = self.open.clone().or_else(|| is_system.then(|| Arc::new(open_socket) as Arc<Open>));
        let transports = if is_system { self.open()? } else { self.transports };
        let local: Vec<SocketAddr> = transports.iter().map(|transport| transport.local_address()).collect();
        let relays = RelaySockets::new(open, local.iter().map(SocketAddr::ip).collect(), is_system);
        let inbox = Arc::new(Inbox::default());
        let clock = Clock::start();
        let strangers = Arc::new(WaitingRoom::new(self.max_strangers));
        tokio::spawn(Worker::new(inbox.clone(), clock, transports, relays, strangers.clone()));
        let shared = Shared { inbox, clock, local, stun: stun.into_iter().collect(), strangers };
        Ok(Endpoint { shared: Arc::new(shared) })
    }

    fn open(&self) -> Result<Vec<Arc<dyn Transport>>, Error> {
        let addresses = if self.addresses.is_empty() { self.interfaces()? } else { self.addresses.clone() };
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

    fn interfaces(&self) -> Result<Vec<IpAddr>, Error> {
        let found = net::interfaces();
        let found =
            found.map_err(|source| Error::Io { what: "the system does not tell its addresses", source })?;
        let wanted = found.iter().filter(|interface| self.loopback || !interface.is_loopback);
        let addresses: Vec<IpAddr> = wanted.map(|interface| interface.address).collect();
        if addresses.is_empty() { Err(Error::NoAddress) } else { Ok(addresses) }
    }
}

impl fmt::Debug for EndpointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stun, addresses, port, loopback, transports, max_strangers, open: _ } = self;
        f.debug_struct("EndpointBuilder")
            .field("stun", stun)
            .field("addresses", addresses)
            .field("port", port)
            .field("loopback", loopback)
            .field("transports", transports)
            .field("max_strangers", max_strangers)
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
