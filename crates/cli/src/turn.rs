//! `peerline turn`: a TURN server.

mod metrics;
mod problem;
mod settings;
mod users;

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};
use tracing_subscriber::filter::LevelFilter;
use turn_server::{Server, Stats, Stopped};

pub(crate) use problem::Problem;
pub(crate) use settings::Settings as Options;
use settings::{LogFormat, LogLevel};

/// Relays until it is told to end.
pub(crate) async fn run(options: Options) -> Result<(), Problem> {
    let settings = options.clone().complete()?;
    log(&settings);
    let mut signals = Signals::new().map_err(Problem::Signals)?;
    let mut config = settings.server()?;
    config.users = users::load(&settings, &config)?;
    if config.turn.realm.len() > LONGEST_QUIET_REALM {
        warn!(
            realm = config.turn.realm,
            "answers to strangers are more than three times as long as requests"
        );
    }
    let realm = config.turn.realm.clone();
    let server = Arc::new(Server::bind(config).await.map_err(Problem::Server)?);
    let (end, ended) = watch::channel(());
    if let Some(address) = settings.metrics {
        let mut ended = ended.clone();
        // Either way it is over.
        let wait = async move { _ = ended.changed().await };
        let address = metrics::serve(address, server.clone(), wait).await?;
        info!(at = %format_args!("http://{address}/metrics"), "metrics");
    }
    for address in server.udp_addresses() {
        info!(at = %address, carrier = "udp", "listening");
    }
    for address in server.tcp_addresses() {
        info!(at = %address, carrier = "tcp", "listening");
    }
    for address in server.tls_addresses() {
        info!(at = %address, carrier = "tls", "listening");
    }
    for address in server.dtls_addresses() {
        info!(at = %address, carrier = "dtls", "listening");
    }
    while signals.next().await == Wanted::Reload {
        reload(&options, &realm, &server).await?;
    }
    drop(end);
    drain(&server, settings.drain(), &mut signals).await
}

/// Takes the users, secrets and certificate of now; those of before where they cannot be read.
async fn reload(options: &Options, realm: &str, server: &Server) -> Result<(), Problem> {
    let read = || {
        let settings = options.clone().complete()?;
        let mut config = settings.server()?;
        // That of the start, by which names are hashed.
        realm.clone_into(&mut config.turn.realm);
        Ok::<_, Problem>((users::load(&settings, &config)?, config.certificate, config.dtls_certificate))
    };
    let (users, certificate, dtls_certificate) = match read() {
        Ok(read) => read,
        Err(problem) => {
            warn!(%problem, "users and certificate stay as they were");
            return Ok(());
        }
    };
    let named = users.len();
    server.set_users(users).await.map_err(|_| Problem::Stopped)?;
    if let Some(certificate) = certificate {
        server.set_certificate(certificate).await.map_err(|_| Problem::Stopped)?;
    }
    if let Some(certificate) = dtls_certificate {
        server.set_dtls_certificate(certificate).await.map_err(|_| Problem::Stopped)?;
    }
    info!(named, "users and certificate are read anew; other settings are those of the start");
    Ok(())
}

/// Makes no more allocations, and waits for those that live.
async fn drain(server: &Server, grace: Duration, signals: &mut Signals) -> Result<(), Problem> {
    let mut ending = pin!(server.drain(grace));
    let mut ended = None;
    let mut counting = pin!(server.stats());
    // The server hears of its end before it is asked: when the line below is read, no more allocations are made.
    let left = poll_fn(|cx| {
        if ended.is_none()
            && let Poll::Ready(stats) = ending.as_mut().poll(cx)
        {
            ended = Some(stats);
        }
        counting.as_mut().poll(cx)
    });
    // Where nobody was left it may have ended before it was asked.
    let left = left.await.map_or(0, |stats| stats.turn.allocations);
    info!(allocations = left, seconds = grace.as_secs(), "ending");
    let told = |stats: Result<Stats, Stopped>| {
        let Stats { turn, .. } = stats.map_err(|_| Problem::Stopped)?;
        info!(cut_off = turn.allocations, made = turn.allocated, bytes = turn.relayed_bytes, "ended");
        Ok(())
    };
    if let Some(stats) = ended {
        return told(stats);
    }
    loop {
        tokio::select! {
            stats = &mut ending => return told(stats),
            wanted = signals.next() => if wanted == Wanted::End {
                info!("ended at once");
                return Ok(());
            }
        }
    }
}

/// What a signal asks for.
#[derive(Debug, Eq, PartialEq)]
enum Wanted {
    #[cfg_attr(not(unix), expect(dead_code, reason = "no signal asks for it"))]
    Reload,
    End,
}

#[cfg(unix)]
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Wanted {
        tokio::select! {
            _ = self.hangup.recv() => Wanted::Reload,
            _ = self.terminate.recv() => Wanted::End,
            _ = self.interrupt.recv() => Wanted::End,
        }
    }
}

/// Elsewhere there is Ctrl-C alone.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    const fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Wanted {
        // Without the signal there is nothing to wait for: the server then ends with its process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Wanted::End
    }
}

fn log(settings: &Options) {
    let level = match settings.log.unwrap_or_default() {
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_target(false);
    match settings.log_format.unwrap_or_default() {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}

/// With a longer one a challenge is more than three times as long as the shortest request that gets one.
const LONGEST_QUIET_REALM: usize = 8;
