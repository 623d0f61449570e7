//! `peerline nat`: what the NAT before this machine does, and what that means for connections.

mod binding;
mod words;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use net::Clock;
use peerline::ServerCarrier;
use stun::discovery::{Config, Discovery, Event, Findings};
use stun::uri::{Host, Uri};
use stun::{Arrival, Batch, Carrier, Failure, Instant, Path};
use tokio::net::UdpSocket;

/// Whom to ask, and for what.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A STUN server with two addresses, as `peerline turn --alternate` or coturn is: its name or address, or its
    /// `stun:` URI; with `stuns:` it is asked over TLS.
    #[arg(long, value_name = "HOST[:PORT]")]
    server: String,
    /// What carries the question. Only over UDP, and without `stuns:`, can more be told than whether the server is
    /// reached, and at which address it sees this machine; `stuns:` over UDP is DTLS.
    #[arg(long)]
    transport: Option<Transport>,
    /// Whom to believe over TLS and DTLS in place of the authorities of this machine: certificates in PEM.
    #[arg(long, value_name = "FILE")]
    authorities: Option<PathBuf>,
    /// Also finds out for how many seconds of silence a mapping lives, up to so many, which takes a few times
    /// as long.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "300")]
    lifetime: Option<u64>,
    /// Says it in JSON.
    #[arg(long)]
    json: bool,
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Transport {
    /// Datagrams.
    Udp,
    /// A connection.
    Tcp,
}

/// Asks, and prints what was found.
#[expect(clippy::print_stdout, reason = "that is what it is for")]
pub(crate) async fn run(options: Options) -> Result<(), Problem> {
    let (uri, server) = find(&options.server).await?;
    let is_tcp = match options.transport {
        Some(transport) => transport == Transport::Tcp,
        None => uri.is_secure(),
    };
    let carrier = match (is_tcp, uri.is_secure()) {
        (false, false) => None,
        (true, false) => Some(ServerCarrier::Tcp),
        (true, true) => Some(ServerCarrier::Tls),
        (false, true) => Some(ServerCarrier::Dtls),
    };
    if let Some(carrier) = carrier {
        let tls = binding::authorities(options.authorities.as_deref())?;
        let found = binding::ask(server, &name_of(&uri), carrier, tls.as_ref()).await?;
        if options.json {
            println!("{}", words::json_of_connection(server, carrier, &found));
        } else {
            print!("{}", words::ConnectionPage { carrier, found });
        }
        return Ok(());
    }
    let mut config = Config::default();
    // Somebody waits: 9.5 s say as much as RFC 8489's 39.5.
    config.schedule = config.probe;
    config.max_lifetime = options.lifetime.map(Duration::from_secs);
    let (findings, event) = ask(server, config).await?;
    match (options.json, event) {
        (true, event) => println!("{}", words::json(server, &findings, event)),
        (false, Event::Finished) => print!("{}", words::Page { findings }),
        (false, Event::Failed(failure)) => {
            let is_silent = failure == Failure::TimedOut;
            let asked = async { binding::ask(server, "", ServerCarrier::Tcp, None).await.is_ok() };
            let tcp = if is_silent { Some(asked.await) } else { None };
            return Err(Problem::Unanswered { server, failure, tcp });
        }
    }
    Ok(())
}

/// The name by which a server has to prove itself.
fn name_of(uri: &Uri) -> String {
    match uri.host() {
        Host::Ip(ip) => ip.to_string(),
        Host::Name(name) => name.clone(),
    }
}

/// A server by what it is called, and its address.
async fn find(text: &str) -> Result<(Uri, SocketAddr), Problem> {
    let unknown = |reason: String| Problem::Server { server: text.to_owned(), reason };
    let is_uri = text.contains("stun:") || text.contains("stuns:");
    let uri = if is_uri { text.to_owned() } else { format!("stun:{text}") };
    let uri: Uri = uri.parse().map_err(|error: stun::uri::ParseError| unknown(error.to_string()))?;
    match uri.host() {
        // RFC 8489 §8.1: what proves itself is a name.
        Host::Ip(_) if uri.is_secure() => Err(unknown("a stuns: URI has a name, and no address".to_owned())),
        Host::Ip(ip) => Ok((uri.clone(), SocketAddr::new(*ip, uri.port()))),
        Host::Name(name) => {
            let resolver = net::Resolver::default();
            let found = match uri.service() {
                Some(service) => resolver.service(&service, name, uri.port()).await,
                None => resolver.addresses(name, uri.port()).await,
            };
            let mut found = found.map_err(|error| unknown(error.to_string()))?;
            // A NAT is a matter of IPv4, if there is any.
            found.sort_by_key(SocketAddr::is_ipv6);
            let first = found.first().copied().ok_or_else(|| unknown("it has no address".to_owned()))?;
            Ok((uri, first))
        }
    }
}

/// Asks the server from two sockets.
async fn ask(server: SocketAddr, config: Config) -> Result<(Findings, Event), Problem> {
    let unspecified: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let scout = UdpSocket::bind((unspecified, 0)).await.map_err(Problem::Socket)?;
    scout.connect(server).await.map_err(Problem::Socket)?;
    let ip = scout.local_addr().map_err(Problem::Socket)?.ip();
    drop(scout);
    let first = UdpSocket::bind((ip, 0)).await.map_err(Problem::Socket)?;
    let second = UdpSocket::bind((ip, 0)).await.map_err(Problem::Socket)?;
    let local = first.local_addr().map_err(Problem::Socket)?;
    let second_local = second.local_addr().map_err(Problem::Socket)?;
    let clock = Clock::start();
    let path = Path { carrier: Carrier::Udp, local, remote: server };
    let seed = net::random_seed().map_err(Problem::Entropy)?;
    let mut discovery = Discovery::new(config, path, second_local, seed);
    discovery.start(clock.now());
    let (mut to_first, mut to_second) = ([0; DATAGRAM], [0; DATAGRAM]);
    loop {
        transmit(&mut discovery, clock.now(), [&first, &second]).await;
        if let Some(event) = discovery.poll_event() {
            return Ok((*discovery.findings(), event));
        }
        let due = discovery.poll_timeout().map(|due| tokio::time::Instant::from_std(clock.system(due)));
        let sleep = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let (local, received, memory) = tokio::select! {
            received = first.recv_from(&mut to_first) => (local, received, &to_first),
            received = second.recv_from(&mut to_second) => (second_local, received, &to_second),
            () = sleep => {
                discovery.handle_timeout(clock.now());
                continue;
            }
        };
        // What the system says of earlier sends shows as silence.
        let Ok((len, remote)) = received else { continue };
        let path = Path { carrier: Carrier::Udp, local, remote };
        let arrival = Arrival { path, ecn: None, at: clock.now() };
        // What is refused is counted there.
        let _ = discovery.handle_datagram(arrival, memory.get(..len).unwrap_or_default());
    }
}

/// Sends all that is due.
async fn transmit(discovery: &mut Discovery, now: Instant, sockets: [&UdpSocket; 2]) {
    let mut memory = [0; DATAGRAM];
    loop {
        let mut batch = Batch::new(&mut memory, 1, DATAGRAM);
        let Some(transmit) = discovery.poll_transmit(now, &mut batch) else { return };
        let from = |socket: &&&UdpSocket| socket.local_addr().is_ok_and(|local| local == transmit.path.local);
        if let Some(socket) = sockets.iter().find(from) {
            // One that cannot be sent is as good as lost.
            let _ = socket.send_to(batch.bytes(), transmit.path.remote).await;
        }
    }
}

/// Why nothing was found out, and what to do about it.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The server cannot be found.
    Server {
        /// What was given.
        server: String,
        /// Why.
        reason: String,
    },
    /// It does not answer.
    Unanswered {
        /// Where.
        server: SocketAddr,
        /// How.
        failure: Failure,
        /// Whether it answers over TCP, if it was asked there when it was silent over UDP.
        tcp: Option<bool>,
    },
    /// There is no connection to it, or none any more.
    Connection {
        /// Where.
        server: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The file of authorities cannot be used.
    Authorities(io::Error),
    /// No socket can be had.
    Socket(io::Error),
    /// The system has no entropy.
    Entropy(io::Error),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server { server, reason } => write!(f, "the server {server}: {reason}"),
            Self::Unanswered { server, failure: Failure::TimedOut, tcp: Some(true) } => {
                write!(f, "{server}: {}", words::TCP_ONLY)
            }
            Self::Unanswered { server, failure: Failure::TimedOut, tcp: Some(false) } => {
                write!(f, "{server}: {}", words::NO_UDP)
            }
            Self::Unanswered { server, failure: Failure::TimedOut, tcp: None } => {
                write!(f, "{server}: connected, but no answer; it is no STUN server")
            }
            Self::Connection { server, error } => write!(f, "no connection to {server}: {error}"),
            Self::Authorities(error) => write!(f, "the authorities: {error}"),
            Self::Unanswered { server, failure, .. } => write!(f, "{server} answers, but it has {failure}"),
            Self::Socket(error) => write!(f, "no way to the server: {error}"),
            Self::Entropy(error) => write!(f, "no entropy: {error}"),
        }
    }
}

/// Longer than any answer.
const DATAGRAM: usize = 2048;
