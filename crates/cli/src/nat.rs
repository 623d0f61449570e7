//! `peerline nat`: what the NAT before this machine does, and what that means for connections.

mod words;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use net::Clock;
use stun::discovery::{Config, Discovery, Event, Findings};
use stun::uri::{Host, Uri};
use stun::{Arrival, Batch, Carrier, Failure, Instant, Path};
use tokio::net::UdpSocket;

/// Whom to ask, and for what.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A STUN server with two addresses, as `peerline turn --alternate` or coturn is: its name or address, or its
    /// `stun:` URI.
    #[arg(long, value_name = "HOST[:PORT]")]
    server: String,
    /// Also finds out for how many seconds of silence a mapping lives, up to so many, which takes a few times
    /// as long.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "300")]
    lifetime: Option<u64>,
    /// Says it in JSON.
    #[arg(long)]
    json: bool,
}

/// Asks, and prints what was found.
#[expect(clippy::print_stdout, reason = "that is what it is for")]
pub(crate) async fn run(options: Options) -> Result<(), Problem> {
    let server = find(&options.server).await?;
    let mut config = Config::default();
    config.max_lifetime = options.lifetime.map(Duration::from_secs);
    let (findings, event) = ask(server, config).await?;
    match (options.json, event) {
        (true, event) => println!("{}", words::json(server, &findings, event)),
        (false, Event::Finished) => print!("{}", words::Page { findings }),
        (false, Event::Failed(failure)) => return Err(Problem::Unanswered { server, failure }),
    }
    Ok(())
}

/// The address of a server by what it is called.
async fn find(text: &str) -> Result<SocketAddr, Problem> {
    let unknown = |reason: String| Problem::Server { server: text.to_owned(), reason };
    let uri = if text.contains("stun:") { text.to_owned() } else { format!("stun:{text}") };
    let uri: Uri = uri.parse().map_err(|error: stun::uri::ParseError| unknown(error.to_string()))?;
    match uri.host() {
        Host::Ip(ip) => Ok(SocketAddr::new(*ip, uri.port())),
        Host::Name(name) => {
            let resolver = net::Resolver::default();
            let found = match uri.service() {
                Some(service) => resolver.service(&service, name, uri.port()).await,
                None => resolver.addresses(name, uri.port()).await,
            };
            let mut found = found.map_err(|error| unknown(error.to_string()))?;
            // A NAT is a matter of IPv4, if there is any.
            found.sort_by_key(SocketAddr::is_ipv6);
            found.first().copied().ok_or_else(|| unknown("it has no address".to_owned()))
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
    },
    /// No socket can be had.
    Socket(io::Error),
    /// The system has no entropy.
    Entropy(io::Error),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server { server, reason } => write!(f, "the server {server}: {reason}"),
            Self::Unanswered { server, failure: Failure::TimedOut } => {
                write!(f, "{server}: {}", words::NO_UDP)
            }
            Self::Unanswered { server, failure } => write!(f, "{server} answers, but it has {failure}"),
            Self::Socket(error) => write!(f, "no way to the server: {error}"),
            Self::Entropy(error) => write!(f, "no entropy: {error}"),
        }
    }
}

/// Longer than any answer.
const DATAGRAM: usize = 2048;
