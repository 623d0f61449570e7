use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use net::{Clock, TlsServer, Transport, UdpSocket};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use turn::Users;
use turn::server::RelayAddress;

use crate::Config;
use crate::worker::{Bound, Command, Worker};

/// A TURN server that runs until it is dropped or [shut down](Self::shutdown).
#[derive(Debug)]
pub struct Server {
    udp: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
    tls: Vec<SocketAddr>,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

/// What a server has and counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// What the protocol counted.
    pub turn: turn::server::Stats,
    /// UDP sockets that are open, listeners and relays.
    pub udp_sockets: usize,
    /// TCP connections that are open.
    pub connections: usize,
    /// TCP connections that were closed at once, because there were too many.
    pub refused_connections: u64,
    /// Datagrams and messages dropped because a socket, or a client that reads slowly, had no room.
    pub dropped: u64,
    /// Datagrams that the system refused to send: too long for the link, no route.
    pub failed: u64,
}

impl Server {
    /// Binds the sockets of `config` and starts. To be called within a tokio runtime with I/O and time.
    ///
    /// # Errors
    ///
    /// A socket cannot be bound, there is no address to relay from, or the system has no entropy.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        let mut config = config;
        let mut bound = Bound { udp: Vec::new(), tcp: Vec::new(), tls: Vec::new() };
        for address in expand(&config.udp)? {
            let socket = UdpSocket::bind(address).map_err(|source| Error::Bind { address, source })?;
            bound.udp.push(socket);
        }
        for alternate in &config.alternates {
            let discovery = alternate.bind(&mut bound.udp)?;
            config.turn.discovery.push(discovery);
        }
        for mut address in expand(&config.tcp)? {
            let beside = bound.udp.iter().map(UdpSocket::local_address);
            if let (0, Some(udp)) = (address.port(), beside.clone().find(|udp| udp.ip() == address.ip())) {
                address.set_port(udp.port());
            }
            bound.tcp.push(listen(address).await?);
        }
        for address in expand(&config.tls)? {
            if config.certificate.is_none() {
                return Err(Error::NoCertificate);
            }
            bound.tls.push(listen(address).await?);
        }
        let udp: Vec<SocketAddr> = bound.udp.iter().map(UdpSocket::local_address).collect();
        let tcp: Vec<SocketAddr> = bound.tcp.iter().map(|(address, _)| *address).collect();
        let tls: Vec<SocketAddr> = bound.tls.iter().map(|(address, _)| *address).collect();
        complete(&mut config, [udp.as_slice(), &tcp, &tls].concat())?;
        let seed = net::random_seed().map_err(Error::Entropy)?;
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let worker = Worker::new(Clock::start(), config, bound, inbox, seed);
        // It has budgets of its own, finer than those of the runtime.
        let task = tokio::spawn(tokio::task::unconstrained(worker));
        Ok(Self { udp, tcp, tls, commands, task })
    }

    /// Where clients are heard: the first address, over UDP if there is one.
    pub fn local_addr(&self) -> SocketAddr {
        let unbound = SocketAddr::from(([0, 0, 0, 0], 0));
        self.udp.iter().chain(&self.tcp).chain(&self.tls).copied().next().unwrap_or(unbound)
    }

    /// Where clients are heard over UDP.
    pub fn udp_addresses(&self) -> &[SocketAddr] {
        &self.udp
    }

    /// Where clients are heard over TCP.
    pub fn tcp_addresses(&self) -> &[SocketAddr] {
        &self.tcp
    }

    /// Where clients are heard over TLS.
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.tls
    }

    /// What it has and counted up to now.
    ///
    /// # Errors
    ///
    /// The runtime has ended it.
    pub async fn stats(&self) -> Result<Stats, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Stats(reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Who may use it from now on. Who is not among them any more can renew nothing.
    ///
    /// # Errors
    ///
    /// The runtime has ended it.
    pub async fn set_users(&self, users: Users) -> Result<(), Stopped> {
        self.commands.send(Command::Users(Box::new(users))).await.map_err(|_| Stopped)
    }

    /// What clients are shown over TLS from now on. Connections that live go on.
    ///
    /// # Errors
    ///
    /// The runtime has ended it.
    pub async fn set_certificate(&self, certificate: TlsServer) -> Result<(), Stopped> {
        self.commands.send(Command::Tls(certificate)).await.map_err(|_| Stopped)
    }

    /// Makes no more allocations, waits until the last one has ended, `grace` at most, and stops.
    ///
    /// # Errors
    ///
    /// The runtime has ended it before.
    pub async fn shutdown(self, grace: Duration) -> Result<Stats, Stopped> {
        self.drain(grace).await
    }

    /// The same where others still hold the server: what they ask from then on fails once it has stopped.
    ///
    /// # Errors
    ///
    /// The runtime has ended it before.
    pub async fn drain(&self, grace: Duration) -> Result<Stats, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Drain(grace, reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One for each address of this machine where an unspecified one stands for all of them.
fn expand(addresses: &[SocketAddr]) -> Result<Vec<SocketAddr>, Error> {
    let mut expanded = Vec::new();
    for address in addresses {
        if !address.ip().is_unspecified() {
            expanded.push(*address);
            continue;
        }
        for interface in net::interfaces().map_err(Error::Interfaces)? {
            if !interface.is_loopback && interface.address.is_ipv4() == address.is_ipv4() {
                expanded.push(SocketAddr::new(interface.address, address.port()));
            }
        }
    }
    Ok(expanded)
}

async fn listen(address: SocketAddr) -> Result<(SocketAddr, TcpListener), Error> {
    let fail = |source| Error::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    Ok((listener.local_addr().map_err(fail)?, listener))
}

/// Fills in what is known only once sockets are bound.
fn complete(config: &mut Config, bound: Vec<SocketAddr>) -> Result<(), Error> {
    let turn = &mut config.turn;
    if turn.relays.is_empty() {
        let ips = || bound.iter().map(SocketAddr::ip);
        let first = [ips().find(IpAddr::is_ipv4), ips().find(IpAddr::is_ipv6)];
        turn.relays =
            first.into_iter().flatten().map(|ip| RelayAddress { local: ip, external: ip }).collect();
    }
    if bound.is_empty() || turn.relays.is_empty() {
        return Err(Error::NoAddress);
    }
    // Through the NAT before it a listener has the external address: no peer of anybody either.
    for relay in turn.relays.iter().filter(|relay| relay.external != relay.local) {
        let outside = bound.iter().filter(|address| address.is_ipv4() == relay.external.is_ipv4());
        turn.listeners.extend(outside.map(|address| SocketAddr::new(relay.external, address.port())));
    }
    turn.listeners.extend(&bound);
    for address in turn.discovery.iter_mut().flat_map(|discovery| &mut discovery.addresses) {
        // Seen as relays there are.
        if let Some(relay) = turn.relays.iter().find(|relay| relay.local == address.local)
            && address.external == address.local
        {
            address.external = relay.external;
        }
        turn.listeners.extend(
            bound
                .iter()
                .filter(|bound| bound.ip() == address.local && address.external != address.local)
                .map(|bound| SocketAddr::new(address.external, bound.port())),
        );
    }
    turn.unix_time = Clock::unix_seconds();
    Ok(())
}

/// Why a server does not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A socket cannot be bound.
    Bind {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Behaviour discovery needs a second address and a second port beside those of the first listener.
    Alternate(SocketAddr),
    /// There is nowhere to listen, or to relay from.
    NoAddress,
    /// Clients are to be heard over TLS, and there is nothing to show them.
    NoCertificate,
    /// The system does not tell the addresses of this machine.
    Interfaces(io::Error),
    /// The system has no entropy.
    Entropy(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { address, source } => write!(f, "cannot listen at {address}: {source}"),
            Self::Alternate(address) => write!(
                f,
                "{address} is no second address and port beside those of the first UDP listener of its family"
            ),
            Self::NoAddress => f.write_str("no address to listen at or to relay from"),
            Self::NoCertificate => f.write_str("TLS needs a certificate"),
            Self::Interfaces(source) => write!(f, "the addresses of this machine are not known: {source}"),
            Self::Entropy(source) => write!(f, "no entropy: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } | Self::Interfaces(source) | Self::Entropy(source) => Some(source),
            Self::Alternate(_) | Self::NoAddress | Self::NoCertificate => None,
        }
    }
}

/// The server is no more: its runtime has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server has stopped")
    }
}

impl std::error::Error for Stopped {}

/// Commands that wait.
const COMMANDS: usize = 16;
