//! `peerline demo`: web pages and this process, joined by data channels, audio and video.

mod call;
mod destination;
mod pages;
mod peer;
mod recording;
mod relay;
mod room;
mod server;
mod sessions;
mod signalling;
mod terminal;
#[cfg(test)]
mod tests;
mod upload;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use peerline::Endpoint;
use tokio::net::TcpListener;
use tokio::time::timeout;

use destination::Destination;
use relay::Relay;
use server::Demo;
use sessions::Sessions;
use terminal::Terminal;

/// What the demo is run with.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where the page is served. On a loopback address the data goes over loopback too.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// A STUN server that tells how the outside sees us; may be given more than once. None by default.
    #[arg(long, value_name = "stun:HOST[:PORT]")]
    stun: Vec<String>,
    /// Starts a TURN server for the page and this process, at a port that the system chooses or at this one. The page
    /// has a link that lets it use nothing else.
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0")]
    turn: Option<u16>,
    /// Keeps what is uploaded and recorded in this folder. Without it uploads are hashed and forgotten, and calls are not
    /// recorded.
    #[arg(long, value_name = "FOLDER")]
    save: Option<PathBuf>,
}

/// Serves until Ctrl-C.
pub(crate) async fn run(options: Options) -> Result<(), Problem> {
    let Options { listen, stun, turn, save } = options;
    let listener = TcpListener::bind(listen).await.map_err(|source| Problem::Listen { listen, source })?;
    let bound = listener.local_addr().map_err(|source| Problem::Listen { listen, source })?;
    let destination = match save {
        Some(folder) => Destination::folder(folder).map_err(Problem::Folder)?,
        None => Destination::Nowhere,
    };
    let builder = Endpoint::builder().loopback(listen.ip().is_loopback());
    let builder = stun.into_iter().fold(builder, |builder, url| builder.stun(url));
    let endpoint = builder.bind().await.map_err(Problem::Endpoint)?;
    let relay = match turn {
        Some(port) => Some(Relay::start(SocketAddr::new(listen.ip(), port)).await?),
        None => None,
    };
    let demo = Arc::new(Demo::new(endpoint, Sessions::default(), Terminal::default(), destination, relay));

    demo.terminal.say(&format!("Open {} in a browser. Ctrl-C ends the demo.", url(bound)));
    let serving = axum::serve(listener, server::router(demo.clone())).with_graceful_shutdown(interrupted());
    let serving = tokio::spawn(serving.into_future());
    interrupted().await;
    demo.terminal.say("Closing.");
    let closing = async {
        demo.sessions.close_all().await;
        // Requests that are being answered may end; the result says nothing that matters any more.
        let _ = serving.await;
    };
    let _ = timeout(CLOSING_TIME, closing).await;
    Ok(())
}

async fn interrupted() {
    // Without the signal there is nothing to wait for: the demo then ends with its process.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What to type into a browser on this machine.
fn url(bound: SocketAddr) -> String {
    let host = match bound.ip() {
        any if !any.is_unspecified() => any,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    format!("http://{}/", SocketAddr::new(host, bound.port()))
}

/// Why the demo cannot run, and what to do about it.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The page cannot be served there.
    Listen {
        /// Where.
        listen: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// No sockets for the connections.
    Endpoint(peerline::Error),
    /// The folder for uploads cannot be used.
    Folder(String),
    /// The TURN server does not start.
    Relay(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { listen, source } => {
                let (host, port) = (listen.ip(), listen.port());
                let any = SocketAddr::new(host, 0);
                let next = SocketAddr::new(host, port.checked_add(1).unwrap_or(8080));
                let kind = source.kind();
                if kind == io::ErrorKind::AddrInUse {
                    write!(
                        f,
                        "port {port} of {host} is taken by another program.\n\
                         Choose another port, `--listen {next}`, or let the system choose one, `--listen {any}`."
                    )
                } else if kind == io::ErrorKind::PermissionDenied {
                    write!(
                        f,
                        "port {port} may not be used by you: {source}.\n\
                         Choose a port from 1024 on, or let the system choose one, `--listen {any}`."
                    )
                } else if kind == io::ErrorKind::AddrNotAvailable {
                    write!(
                        f,
                        "{host} is no address of this machine.\n\
                         Serve this machine alone, `--listen 127.0.0.1:{port}`, or everyone, `--listen 0.0.0.0:{port}`."
                    )
                } else {
                    write!(f, "cannot listen on {listen}: {source}")
                }
            }
            Self::Endpoint(peerline::Error::NoAddress) => f.write_str(
                "this machine has no network address but loopback.\n\
                 Serve this machine alone: `--listen 127.0.0.1:8080`.",
            ),
            Self::Endpoint(peerline::Error::Url { url, .. }) => {
                write!(f, "`{url}` is no STUN server: write `--stun stun:HOST:PORT`.")
            }
            Self::Endpoint(error) => write!(f, "no connections can be made: {error}"),
            Self::Relay(problem) => {
                write!(f, "no TURN server: {problem}.\nLet the system choose its port: `--turn`.")
            }
            Self::Folder(problem) => write!(f, "uploads cannot be kept: {problem}"),
        }
    }
}

/// How long browsers are told that the demo ends.
const CLOSING_TIME: Duration = Duration::from_secs(3);
