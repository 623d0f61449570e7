//! Multicast DNS of an endpoint: the names of peers are asked for, and names for our own addresses answered for.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use mdns::{Querier, QueryId, Responder};
use net::{Transport, UdpSocket};
use proto::{Arrival, Batch, Carrier, Instant, Path, Transmit};
use session::{LocalName, NameFailure};
use tracing::debug;

/// What an endpoint does with `.local` names, by which browsers hide the addresses of candidates
/// (draft-ietf-mmusic-mdns-ice-candidates).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mdns {
    /// Nothing: candidates with names are ignored.
    Off,
    /// Asks for the names of peers. The sockets are opened with the first of them; where that fails, the report says so.
    #[default]
    Resolve,
    /// And tells the peers names in place of our host addresses, which neither descriptions nor events, figures, reports or
    /// logs have then. All connections of an endpoint have the same names, as they have the same ports; where they must
    /// not be known for one, each takes an endpoint of its own. Where there is no multicast DNS, host candidates are not
    /// told at all.
    Hide,
}

/// The service of one endpoint, without sockets until it is needed.
pub(crate) struct Names {
    policy: Mdns,
    /// Only networks that the endpoint has sockets on are asked.
    addresses: Vec<IpAddr>,
    service: Option<Box<Service>>,
    is_unavailable: bool,
    found: Vec<Found>,
}

/// The answer to a session's question.
pub(crate) struct Found {
    pub(crate) session: usize,
    pub(crate) name: LocalName,
    pub(crate) answer: Result<IpAddr, NameFailure>,
}

struct Service {
    querier: Querier,
    responder: Responder,
    sockets: Vec<UdpSocket>,
    asked: Vec<(QueryId, usize, LocalName)>,
    announced: Vec<(IpAddr, LocalName)>,
}

impl Names {
    pub(crate) const fn new(policy: Mdns, addresses: Vec<IpAddr>) -> Self {
        Self { policy, addresses, service: None, is_unavailable: false, found: Vec::new() }
    }

    /// For a worker that leaves it to another one.
    pub(crate) const fn none() -> Self {
        Self::new(Mdns::Off, Vec::new())
    }

    /// Asks for a name, for a session.
    pub(crate) fn resolve(&mut self, now: Instant, session: usize, name: LocalName) {
        let answer = match self.service(now) {
            None => NameFailure::Unavailable,
            Some(service) => match service.querier.resolve(now, name) {
                Ok(query) => return service.asked.push((query, session, name)),
                Err(mdns::CommandError::TooManyNames) => NameFailure::TooMany,
                Err(_) => NameFailure::Unavailable,
            },
        };
        self.found.push(Found { session, name, answer: Err(answer) });
    }

    /// The names that stand for the endpoint's addresses, where those are hidden; empty where there is no service.
    pub(crate) fn host_names(&mut self, now: Instant) -> Vec<(IpAddr, LocalName)> {
        if self.policy != Mdns::Hide {
            return Vec::new();
        }
        let addresses = self.addresses.clone();
        let Some(service) = self.service(now) else { return Vec::new() };
        service.announce(now, &addresses);
        service.announced.clone()
    }

    /// The endpoint has these addresses from now on.
    pub(crate) fn set_addresses(&mut self, now: Instant, addresses: Vec<IpAddr>) {
        self.addresses = addresses;
        // What was not to be had on one network may be on another.
        self.is_unavailable = false;
        if let Some(service) = &mut self.service {
            service.sync(&self.addresses);
            service.announce(now, &self.addresses);
        }
    }

    /// A session is over: nothing is asked for it any more.
    pub(crate) fn forget(&mut self, session: usize) {
        self.found.retain(|found| found.session != session);
        let Some(service) = &mut self.service else { return };
        let gone: Vec<_> = service.asked.extract_if(.., |(_, asker, _)| *asker == session).collect();
        for (query, ..) in gone {
            if service.asked.iter().all(|(other, ..)| *other != query) {
                service.querier.cancel(query);
            }
        }
    }

    /// Receives, answers and asks; says whether there may be more at once.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, now: Instant, buffer: &mut [u8]) -> bool {
        let Some(service) = &mut self.service else { return false };
        let more = service.receive(cx, now, buffer);
        service.querier.handle_timeout(now);
        service.responder.handle_timeout(now);
        service.send(cx, now);
        service.tell(&mut self.found);
        more
    }

    /// The next answer for a session.
    pub(crate) fn next(&mut self) -> Option<Found> {
        self.found.pop()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let service = self.service.as_ref()?;
        [service.querier.poll_timeout(), service.responder.poll_timeout()].into_iter().flatten().min()
    }

    /// Says goodbye, as far as the sockets have room.
    pub(crate) fn close(&mut self, cx: &mut Context<'_>, now: Instant) {
        if let Some(service) = &mut self.service {
            service.responder.close(now);
            service.send(cx, now);
        }
    }

    fn service(&mut self, now: Instant) -> Option<&mut Service> {
        if self.policy == Mdns::Off || self.is_unavailable {
            return None;
        }
        if self.service.is_none() {
            match Service::open(now, &self.addresses) {
                Ok(service) => self.service = Some(Box::new(service)),
                Err(error) => {
                    debug!(%error, "no multicast DNS");
                    self.is_unavailable = true;
                }
            }
        }
        self.service.as_deref_mut()
    }
}

impl Service {
    fn open(now: Instant, addresses: &[IpAddr]) -> io::Result<Self> {
        let config = mdns::Config::default();
        let responder = Responder::new(now, config.clone(), net::random_seed()?);
        let querier = Querier::new(now, config);
        let (sockets, asked, announced) = (Vec::new(), Vec::new(), Vec::new());
        let mut service = Self { querier, responder, sockets, asked, announced };
        service.sync(addresses);
        if service.sockets.is_empty() { Err(io::ErrorKind::AddrNotAvailable.into()) } else { Ok(service) }
    }

    /// Has a socket on each network, and family, of these addresses, and on no other.
    fn sync(&mut self, addresses: &[IpAddr]) {
        let wanted = links(addresses);
        for socket in &self.sockets {
            let local = socket.local_address();
            if wanted.iter().all(|link| link.local() != local) {
                self.querier.remove_link(local);
                self.responder.remove_link(local);
            }
        }
        self.sockets.retain(|socket| wanted.iter().any(|link| link.local() == socket.local_address()));
        for link in wanted {
            let is_open = self.sockets.iter().any(|socket| socket.local_address() == link.local());
            if !is_open {
                match UdpSocket::bind_multicast(link.path().remote, link.local()) {
                    Ok(socket) => self.sockets.push(socket),
                    // Another network may do.
                    Err(error) => {
                        debug!(%error, "no multicast DNS on a network");
                        continue;
                    }
                }
            }
            let _ = self.querier.add_link(link.clone()); // too many: those are not asked
            let _ = self.responder.add_link(link);
        }
    }

    /// Has a name for each of these addresses, and for no other.
    fn announce(&mut self, now: Instant, addresses: &[IpAddr]) {
        for (_, name) in self.announced.extract_if(.., |(address, _)| !addresses.contains(address)) {
            self.responder.withdraw(now, &name);
        }
        for address in addresses {
            if self.announced.iter().all(|(known, _)| known != address)
                && let Ok(name) = self.responder.announce(now, *address)
            {
                self.announced.push((*address, name));
            }
        }
    }

    fn receive(&mut self, cx: &mut Context<'_>, now: Instant, buffer: &mut [u8]) -> bool {
        let mut more = false;
        for socket in &self.sockets {
            let local = socket.local_address();
            for turn in 0..=TRAINS_PER_TURN {
                if turn == TRAINS_PER_TURN {
                    more = true;
                    break;
                }
                // An error of an earlier send comes back here; the next call goes on.
                let Poll::Ready(received) = socket.poll_receive(cx, buffer) else { break };
                let Ok(train) = received else { continue };
                let path = Path { carrier: Carrier::Udp, local, remote: train.remote };
                let arrival = Arrival { path, ecn: None, at: now };
                for datagram in buffer.get(..train.len).unwrap_or_default().chunks(train.stride) {
                    // What is refused is counted by the machines.
                    let _ = if mdns::wire::is_response(datagram) {
                        self.querier.handle_datagram(arrival, datagram)
                    } else {
                        self.responder.handle_datagram(arrival, datagram)
                    };
                }
            }
        }
        more
    }

    fn send(&mut self, cx: &mut Context<'_>, now: Instant) {
        let mut memory = [0; 1500];
        loop {
            let mut batch = Batch::new(&mut memory, 1, 1500);
            let question = self.querier.poll_transmit(now, &mut batch);
            let Some(transmit) = question.or_else(|| self.responder.poll_transmit(now, &mut batch)) else {
                return;
            };
            self.send_one(cx, &transmit, batch.bytes());
        }
    }

    fn send_one(&self, cx: &mut Context<'_>, transmit: &Transmit, bytes: &[u8]) {
        let socket = self.sockets.iter().find(|socket| socket.local_address() == transmit.path.local);
        let sent = socket.map(|socket| socket.poll_send(cx, transmit, bytes));
        // Lost, where there is no room: it is asked, and answered, again.
        if let Some(Poll::Ready(Err(error))) = sent {
            debug!(%error, "multicast DNS");
        }
    }

    fn tell(&mut self, found: &mut Vec<Found>) {
        while let Some(event) = self.querier.poll_event() {
            let (query, answer) = match event {
                mdns::Event::Resolved(query, address) => (query, Ok(address)),
                mdns::Event::Failed(query) => (query, Err(NameFailure::NoAnswer)),
            };
            let told = self.asked.extract_if(.., |(asked, ..)| *asked == query);
            found.extend(told.map(|(_, session, name)| Found { session, name, answer }));
        }
    }
}

/// The networks of these addresses, by family.
fn links(addresses: &[IpAddr]) -> Vec<mdns::Link> {
    let mut networks = net::links().unwrap_or_default();
    if let Some(loopback) = addresses.iter().find(|address| address.is_ipv4() && address.is_loopback()) {
        let networks_of = vec![(SocketAddr::new(*loopback, 0), 8)];
        networks.push(net::Link { name: String::new(), networks: networks_of });
    }
    let mut found = Vec::new();
    for net::Link { networks, .. } in networks {
        if !networks.iter().any(|(address, _)| addresses.contains(&address.ip())) {
            continue;
        }
        let v4 = networks.iter().find(|(address, _)| address.is_ipv4());
        // RFC 6762 §11: link-local where there is one, whose scope says which interface it is.
        let v6 =
            networks.iter().find(|(address, _)| matches!(address, SocketAddr::V6(v6) if v6.scope_id() > 0));
        for (address, _) in [v4, v6].into_iter().flatten() {
            let mut local = *address;
            local.set_port(mdns::PORT);
            let link = mdns::Link::new(local);
            found.push(networks.iter().fold(link, |link, (own, bits)| link.with_network(own.ip(), *bits)));
        }
    }
    found
}

/// Trains received on a socket in a turn.
const TRAINS_PER_TURN: usize = 32;
