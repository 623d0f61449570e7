use std::net::SocketAddr;

use proto::{Arrival, Batch, Carrier, Instant, Path, Transmit};
use stun::{Client, Event, Failure};

use crate::ServerReport;

/// The STUN clients: one for each server and each base of its family.
#[derive(Debug)]
pub(crate) struct Gatherer {
    servers: Vec<SocketAddr>,
    stun: stun::Config,
    max_clients: usize,
    clients: Vec<Asking>,
    seed: crypto::Secret<32>,
    made: u64,
}

#[derive(Debug)]
struct Asking {
    client: Client,
    is_pending: bool,
    failure: Option<Failure>,
}

/// An address that a server told.
pub(crate) struct Mapped {
    pub(crate) address: SocketAddr,
    pub(crate) base: SocketAddr,
    pub(crate) server: SocketAddr,
}

impl Gatherer {
    pub(crate) const fn new(
        servers: Vec<SocketAddr>,
        stun: stun::Config,
        max_clients: usize,
        seed: [u8; 32],
    ) -> Self {
        Self { servers, stun, max_clients, clients: Vec::new(), seed: crypto::Secret::new(seed), made: 0 }
    }

    /// One more server; false if it is known.
    pub(crate) fn add_server(&mut self, address: SocketAddr) -> bool {
        let is_new = !self.servers.contains(&address) && self.servers.len() < self.max_clients;
        if is_new {
            self.servers.push(address);
        }
        is_new
    }

    /// Asks each server of the family of `base`, from there.
    pub(crate) fn ask(&mut self, now: Instant, base: SocketAddr) {
        for server in &self.servers {
            // RFC 8445 §5.1.1.1: a loopback address reaches only servers of this host.
            let fits =
                server.is_ipv4() == base.is_ipv4() && server.ip().is_loopback() == base.ip().is_loopback();
            let path = Path { carrier: Carrier::Udp, local: base, remote: *server };
            let is_known = self.clients.iter().any(|asking| asking.client.path() == path);
            if !fits || is_known || self.clients.len() >= self.max_clients {
                continue;
            }
            let seed = crypto::derive_seed(self.seed.expose(), &format!("stun client {}", self.made));
            self.made = self.made.wrapping_add(1);
            let mut client = Client::new(self.stun.clone(), path, seed);
            client.start(now);
            self.clients.push(Asking { client, is_pending: true, failure: None });
        }
    }

    /// Asks again where nobody answered before.
    pub(crate) fn retry(&mut self, now: Instant) {
        for asking in &mut self.clients {
            if asking.failure.take().is_some() {
                asking.client.start(now);
                asking.is_pending = true;
            }
        }
    }

    pub(crate) fn forget(&mut self, base: SocketAddr) {
        self.clients.retain(|asking| asking.client.path().local != base);
    }

    pub(crate) fn clear(&mut self) {
        self.clients.clear();
    }

    pub(crate) fn has_heard_from(&self, server: SocketAddr) -> bool {
        let mut its = self.clients.iter().filter(|asking| asking.client.path().remote == server);
        its.any(|Asking { client, failure, .. }| {
            client.mapped().is_some() || failure.is_some_and(|failure| failure != Failure::TimedOut)
        })
    }

    /// Whether no server's first answer is waited for.
    pub(crate) fn is_done(&self) -> bool {
        !self.clients.iter().any(|asking| asking.is_pending)
    }

    pub(crate) fn accepts(&self, path: Path, datagram: &[u8]) -> bool {
        self.clients.iter().any(|asking| asking.client.accepts(path, datagram))
    }

    pub(crate) fn handle_datagram(&mut self, arrival: Arrival, datagram: &[u8]) -> Result<(), stun::Discard> {
        let asking = self.clients.iter_mut().find(|asking| asking.client.path() == arrival.path);
        asking.ok_or(stun::Discard::WrongPath)?.client.handle_datagram(arrival, datagram)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.clients.iter_mut().for_each(|asking| asking.client.handle_timeout(now));
    }

    pub(crate) fn next_path(&self, now: Instant) -> Option<Path> {
        let due = |asking: &&Asking| asking.client.poll_timeout().is_some_and(|due| due <= now);
        self.clients.iter().find(due).map(|asking| asking.client.path())
    }

    pub(crate) fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.clients.iter_mut().find_map(|asking| asking.client.poll_transmit(now, batch))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.clients.iter().filter_map(|asking| asking.client.poll_timeout()).min()
    }

    /// The next address that a server told.
    pub(crate) fn poll_mapped(&mut self) -> Option<Mapped> {
        for Asking { client, is_pending, failure } in &mut self.clients {
            match client.poll_event() {
                Some(Event::Mapped(address)) => {
                    let Path { local: base, remote: server, .. } = client.path();
                    *is_pending = false;
                    return Some(Mapped { address, base, server });
                }
                Some(Event::Failed(why)) => {
                    *is_pending = false;
                    *failure = Some(why);
                }
                None => {}
            }
        }
        None
    }

    pub(crate) fn report(&self) -> Vec<ServerReport> {
        let report = |Asking { client, is_pending, failure }: &Asking| ServerReport {
            server: client.path().remote,
            base: client.path().local,
            mapped: client.mapped(),
            is_pending: *is_pending,
            failure: *failure,
            round_trip: client.round_trip(),
        };
        self.clients.iter().map(report).collect()
    }
}
