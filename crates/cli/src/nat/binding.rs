//! One Binding request over a connection: what a server that is not spoken to over bare UDP can tell.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use net::Clock;
use peerline::{ServerCarrier, TlsClient, connect_to_server};
use stun::{Arrival, Batch, Client, Config, Event};

use super::Problem;

/// What the server saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    pub(super) local: SocketAddr,
    pub(super) mapped: SocketAddr,
}

/// Asks `server`, which calls itself `name`, at which address it sees a connection of ours (RFC 8489 §2).
pub(super) async fn ask(
    server: SocketAddr,
    name: &str,
    carrier: ServerCarrier,
    tls: Option<&TlsClient>,
) -> Result<Binding, Problem> {
    let asked = tokio::time::timeout(PATIENCE, converse(server, name, carrier, tls));
    let timed_out = |_| Problem::Unanswered { server, failure: stun::Failure::TimedOut, tcp: None };
    asked.await.map_err(timed_out)?
}

async fn converse(
    server: SocketAddr,
    name: &str,
    carrier: ServerCarrier,
    tls: Option<&TlsClient>,
) -> Result<Binding, Problem> {
    let broken = |error| Problem::Connection { server, error };
    let (path, transport) = connect_to_server(server, name, carrier, tls).await.map_err(broken)?;
    let clock = Clock::start();
    let seed = net::random_seed().map_err(Problem::Entropy)?;
    let mut client = Client::new(Config::default(), path, seed);
    client.start(clock.now());
    let (mut memory, mut buffer) = ([0; super::DATAGRAM], vec![0; peerline::RECEIVE_BUFFER]);
    loop {
        let mut batch = Batch::new(&mut memory, 1, super::DATAGRAM);
        if let Some(transmit) = client.poll_transmit(clock.now(), &mut batch) {
            poll_fn(|cx| transport.poll_send(cx, &transmit, batch.bytes())).await.map_err(broken)?;
        }
        match client.poll_event() {
            Some(Event::Mapped(mapped)) => return Ok(Binding { local: path.local, mapped }),
            Some(Event::Failed(failure)) => return Err(Problem::Unanswered { server, failure, tcp: None }),
            None => {}
        }
        let due = client.poll_timeout().unwrap_or_else(|| clock.now());
        let received = poll_fn(|cx| transport.poll_receive(cx, &mut buffer));
        let due = tokio::time::Instant::from_std(clock.system(due));
        if let Ok(received) = tokio::time::timeout_at(due, received).await {
            let train = received.map_err(broken)?;
            for datagram in buffer.get(..train.len).unwrap_or_default().chunks(train.stride.max(1)) {
                // What is refused is counted there.
                let _ = client.handle_datagram(Arrival { path, ecn: None, at: clock.now() }, datagram);
            }
        } else {
            client.handle_timeout(clock.now());
        }
    }
}

/// The authorities of a file, or none for those of this machine.
pub(super) fn authorities(file: Option<&std::path::Path>) -> Result<Option<TlsClient>, Problem> {
    let read = file.map(TlsClient::from_file).transpose();
    read.map_err(|error| Problem::Authorities(io::Error::other(error)))
}

/// How long a connection and its answer may take together.
const PATIENCE: Duration = Duration::from_secs(10);
