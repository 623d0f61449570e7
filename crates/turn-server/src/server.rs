use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use net::{Clock, TlsServer, Transport, UdpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use turn::Users;
use turn::server::{RelayAddress, Shared};

use crate::bound::Bound;
use crate::connections::Connections;
use crate::worker::{Command, Common, Worker};
use crate::{Config, DtlsServer};

/// A TURN server that runs until it is dropped or [shut down](Self::shutdown).
#[derive(Debug)]
pub struct Server {
    udp: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
    tls: Vec<SocketAddr>,
    dtls: Vec<SocketAddr>,
    workers: Vec<Handle>,
}

/// A task that relays.
#[derive(Debug)]
struct Handle {
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
    /// TCP connections that were closed at once, and datagrams of strangers that were not answered over DTLS, because
    /// there were too many.
    pub refused_connections: u64,
    /// DTLS associations that there are, those included whose handshake is not complete.
    pub dtls_associations: usize,
    /// DTLS handshakes that were completed.
    pub dtls_handshakes: u64,
    /// Datagrams and records over DTLS that meant nothing: forged, repeated, or no DTLS at all.
    pub dtls_discarded: u64,
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
        config.workers = config.workers.clamp(1, MAX_WORKERS);
        if config.workers > 1 {
            // From another address a client comes to another worker, which does not have its allocation.
            config.turn.mobility = false;
        }
        let (first, discovery) = Bound::first(&config)?;
        config.turn.discovery.extend(discovery);
        let udp: Vec<SocketAddr> = first.udp.iter().map(UdpSocket::local_address).collect();
        let tcp: Vec<SocketAddr> = first.tcp.iter().map(|(address, _)| *address).collect();
        let tls: Vec<SocketAddr> = first.tls.iter().map(|(address, _)| *address).collect();
        let dtls: Vec<SocketAddr> = first.dtls.iter().map(UdpSocket::local_address).collect();
        complete(&mut config, [udp.as_slice(), &tcp, &tls, &dtls].concat())?;
        let more = (1..config.workers).map(|_| first.another()).collect::<Result<Vec<_>, _>>()?;
        let (handovers, inboxes): (Vec<_>, Vec<_>) =
            (0..config.workers).map(|_| mpsc::channel(HANDOVERS)).unzip();
        let common = Common {
            handovers,
            clock: Clock::start(),
            users: Arc::new(std::mem::take(&mut config.users)),
            shared: Shared::new(&config.turn, net::random_seed().map_err(Error::Entropy)?),
            connections: Arc::new(Connections::new(
                config.max_connections,
                config.max_connections_per_source,
                config.max_dtls_handshakes,
            )),
            config,
        };
        let mut workers = Vec::new();
        for (bound, handed) in std::iter::once(first).chain(more).zip(inboxes.into_iter().enumerate()) {
            let seed = net::random_seed().map_err(Error::Entropy)?;
            let (commands, inbox) = mpsc::channel(COMMANDS);
            let worker = Worker::new(&common, bound, inbox, handed, seed);
            // It has budgets of its own, finer than those of the runtime.
            workers.push(Handle { commands, task: tokio::spawn(tokio::task::unconstrained(worker)) });
        }
        Ok(Self { udp, tcp, tls, dtls, workers })
    }

    /// Where clients are heard: the first address, over UDP if there is one.
    pub fn local_addr(&self) -> SocketAddr {
        let unbound = SocketAddr::from(([0, 0, 0, 0], 0));
        self.udp.iter().chain(&self.tcp).chain(&self.tls).chain(&self.dtls).copied().next().unwrap_or(unbound)
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

    /// Where clients are heard over DTLS.
    pub fn dtls_addresses(&self) -> &[SocketAddr] {
        &self.dtls
    }

    /// What it has and counted up to now.
    ///
    /// # Errors
    ///
    /// The runtime has ended it.
    pub async fn stats(&self) -> Result<Stats, Stopped> {
        self.ask(Command::Stats).await
    }

    /// Who may use it from now on. Who is not among them any more can renew nothing.
    ///
    /// # Errors
    ///
    /// The runtime has ended it.
    pub async fn set_users(&self, users: Users) -> Result<(), Stopped> {
        let users = Arc::new(users);
        self.tell(|| Command::Users(users.clone())).await
    }

    /// What clients are shown over TLS from now on. Connections that live go on.
    ///
    /// # Errors
    ///
    /// The runtime has ended it.
    pub async fn set_certificate(&self, certificate: TlsServer) -> Result<(), Stopped> {
        self.tell(|| Command::Tls(certificate.clone())).await
    }

    /// What clients are shown over DTLS from now on. Associations that live go on.
    ///
    /// # Errors
    ///
    /// The runtime has ended it.
    pub async fn set_dtls_certificate(&self, certificate: DtlsServer) -> Result<(), Stopped> {
        self.tell(|| Command::Dtls(certificate.clone())).await
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
        // All of them listen until the last one has ended: the system would give clients to others when one goes.
        let stats = self.ask(|reply| Command::Drain(grace, reply)).await?;
        for worker in &self.workers {
            let (gone, is_gone) = oneshot::channel();
            worker.commands.send(Command::Stop(gone)).await.map_err(|_| Stopped)?;
            // It says nothing: it goes.
            let _ = is_gone.await;
        }
        Ok(stats)
    }

    /// Tells each worker.
    async fn tell(&self, command: impl Fn() -> Command) -> Result<(), Stopped> {
        for worker in &self.workers {
            worker.commands.send(command()).await.map_err(|_| Stopped)?;
        }
        Ok(())
    }

    /// Asks all workers at once; the sum of what they say.
    async fn ask(&self, command: impl Fn(oneshot::Sender<Stats>) -> Command) -> Result<Stats, Stopped> {
        let mut answers = Vec::new();
        for worker in &self.workers {
            let (reply, answer) = oneshot::channel();
            worker.commands.send(command(reply)).await.map_err(|_| Stopped)?;
            answers.push(answer);
        }
        let mut sum = Stats::default();
        for answer in answers {
            sum.add(&answer.await.map_err(|_| Stopped)?);
        }
        Ok(sum)
    }
}

impl Stats {
    /// With what another worker has and counted.
    fn add(&mut self, other: &Self) {
        let (turn, more) = (&mut self.turn, &other.turn);
        turn.allocations = turn.allocations.saturating_add(more.allocations);
        // Those of all: the latest is what there is.
        turn.free_ports = more.free_ports;
        turn.connections = turn.connections.saturating_add(more.connections);
        self.udp_sockets = self.udp_sockets.saturating_add(other.udp_sockets);
        self.connections = self.connections.saturating_add(other.connections);
        self.dtls_associations = self.dtls_associations.saturating_add(other.dtls_associations);
        for (sum, more) in [
            (&mut turn.allocated, more.allocated),
            (&mut turn.moved, more.moved),
            (&mut turn.to_peers, more.to_peers),
            (&mut turn.to_clients, more.to_clients),
            (&mut turn.relayed_bytes, more.relayed_bytes),
            (&mut turn.joined, more.joined),
            (&mut turn.refused, more.refused),
            (&mut turn.unanswered, more.unanswered),
            (&mut turn.discarded, more.discarded),
            (&mut self.refused_connections, other.refused_connections),
            (&mut self.dtls_handshakes, other.dtls_handshakes),
            (&mut self.dtls_discarded, other.dtls_discarded),
            (&mut self.dropped, other.dropped),
            (&mut self.failed, other.failed),
        ] {
            *sum = sum.wrapping_add(more);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.workers.iter().for_each(|worker| worker.task.abort());
    }
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
    /// Clients are to be heard over TLS or DTLS, and there is nothing to show them.
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
            Self::NoCertificate => f.write_str("TLS and DTLS need a certificate"),
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

/// Connections on their way from one worker to another.
const HANDOVERS: usize = 64;
/// What the numbers of connections tell apart.
const MAX_WORKERS: usize = 1024;
/// Commands that wait.
const COMMANDS: usize = 16;
