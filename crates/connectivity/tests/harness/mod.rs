//! What the tests of connectivity share: hosts of a simulated Internet that are a side each, or our TURN server.
#![allow(dead_code, reason = "every test uses a part of it")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use connectivity::{Connectivity, Event, Received, SendError, State, TurnServer};
use proto::{Arrival, Batch, Instant, Path, Transmit};
use testkit::{HostId, Machine, World, epoch};
use turn::server::{self, RelayAddress};
use turn::{Server, Users, Writer};

/// Where the server is, over UDP; over TCP it is there and at port 443.
pub const SERVER: &str = "198.51.100.1:3478";

/// What a host runs.
pub enum Host {
    Side {
        side: Box<Connectivity>,
        events: Vec<Event>,
        inbox: Vec<Vec<u8>>,
        outbox: VecDeque<(Path, Vec<u8>)>,
        destinations: Vec<SocketAddr>,
    },
    Server {
        server: Box<Server>,
        relayed: VecDeque<(Path, Vec<u8>)>,
    },
}

impl Host {
    pub fn side(side: Connectivity) -> Self {
        let (events, inbox, outbox, destinations) = (Vec::new(), Vec::new(), VecDeque::new(), Vec::new());
        Self::Side { side: Box::new(side), events, inbox, outbox, destinations }
    }

    /// A TURN server, which knows `alice` by the password `wonderland`.
    pub fn server(seed: u8) -> Self {
        Self::server_with(seed, |_| {})
    }

    pub fn server_with(seed: u8, change: impl FnOnce(&mut server::Config)) -> Self {
        let address: SocketAddr = SERVER.parse().unwrap();
        let mut config = server::Config::new(crypto::default_provider());
        config.listeners.push(address);
        config.relays.push(RelayAddress { local: address.ip(), external: address.ip() });
        config.peers.allow.push("0.0.0.0/0".parse().unwrap());
        change(&mut config);
        let mut users = Users::default();
        users.add(config.provider, &config.realm, "alice", "wonderland").unwrap();
        let server = Box::new(Server::new(epoch(), config, users, [seed; 32]));
        Self::Server { server, relayed: VecDeque::new() }
    }
}

/// The server, as a side is told of it.
pub fn turn_server() -> TurnServer {
    TurnServer::new(SERVER.parse().unwrap(), credentials())
}

pub fn credentials() -> stun::Credentials {
    stun::Credentials::new("alice", "wonderland").unwrap()
}

impl Machine for Host {
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool {
        match self {
            Self::Side { side, inbox, .. } => match side.handle_datagram(arrival, datagram) {
                Ok(Received::Data { payload, .. }) => {
                    inbox.push(payload.to_vec());
                    true
                }
                other => other.is_ok(),
            },
            Self::Server { server, relayed } => {
                let received = server.handle_datagram(arrival, datagram);
                if let Ok(server::Received::Relay(relay)) = &received {
                    let mut memory = [0; 2000];
                    let mut out = Writer::new(&mut memory);
                    relay.write(&mut out).unwrap();
                    relayed.push_back((relay.path, out.written().to_vec()));
                }
                let is_taken = received.is_ok();
                while let Some(event) = server.poll_event() {
                    if let server::Event::Open(address) = event {
                        server.relay_opened(arrival.at, address);
                    }
                }
                is_taken
            }
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Side { side, .. } => side.handle_timeout(now),
            Self::Server { server, .. } => server.handle_timeout(now),
        }
    }
    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        match self {
            Self::Side { side, outbox, destinations, .. } => {
                let transmit = match outbox.pop_front() {
                    Some((path, datagram)) => {
                        batch.append(|out| out.put(&datagram)).unwrap();
                        batch.finish(path, None)
                    }
                    None => side.poll_transmit(now, batch),
                };
                destinations.extend(transmit.map(|transmit| transmit.path.remote));
                transmit
            }
            Self::Server { server, relayed } => match relayed.pop_front() {
                Some((path, datagram)) => {
                    batch.append(|out| out.put(&datagram)).unwrap();
                    batch.finish(path, None)
                }
                None => server.poll_transmit(now, batch),
            },
        }
    }
    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Side { side, .. } => side.poll_timeout(),
            Self::Server { server, .. } => server.poll_timeout(),
        }
    }
    fn poll_event(&mut self) -> Option<String> {
        let Self::Side { side, events, .. } = self else { return None };
        let event = side.poll_event()?;
        let text = format!("{event:?}");
        events.push(event);
        Some(text)
    }
}

/// Carries the candidates that were announced to the other side.
pub fn trickle(world: &mut World<Host>, a: HostId, b: HostId) {
    let now = world.now();
    for (from, to) in [(a, b), (b, a)] {
        let Some(Host::Side { events, .. }) = world.machines.get_mut(&from) else { panic!("a side") };
        for event in std::mem::take(events) {
            match event {
                Event::Candidate(candidate) => {
                    let _ = side(world, to).add_remote_candidate(now, candidate);
                }
                Event::GatheringDone => side(world, to).end_of_remote_candidates(now),
                _ => {}
            }
        }
    }
}

pub fn side(world: &mut World<Host>, id: HostId) -> &mut Connectivity {
    match world.machines.get_mut(&id) {
        Some(Host::Side { side, .. }) => side,
        _ => panic!("not a side"),
    }
}

pub fn is_connected(world: &mut World<Host>, id: HostId) -> bool {
    matches!(side(world, id).state(), State::Connected | State::Completed)
}

/// Has a side send a train of datagrams.
pub fn send(world: &mut World<Host>, from: HostId, payloads: &[Vec<u8>]) {
    let now = world.now();
    let Some(Host::Side { side, outbox, .. }) = world.machines.get_mut(&from) else { panic!("a side") };
    let mut memory = [0; 3000];
    let mut batch = Batch::new(&mut memory, payloads.len(), 1500);
    for payload in payloads {
        side.send_with(now, &mut batch, |out| Ok::<_, SendError>(out.put(payload)?)).unwrap();
    }
    let transmit = side.finish(&batch).unwrap();
    let size = transmit.segment_size.unwrap_or(transmit.len);
    outbox.extend(batch.bytes().chunks(size).map(|datagram| (transmit.path, datagram.to_vec())));
}

/// What has come to a side by now.
pub fn received(world: &mut World<Host>, to: HostId) -> Vec<Vec<u8>> {
    let Some(Host::Side { inbox, .. }) = world.machines.get_mut(&to) else { panic!("a side") };
    std::mem::take(inbox)
}

/// A few datagrams of the largest size each way.
pub fn exchange(world: &mut World<Host>, a: HostId, b: HostId) {
    for round in 0..3_u8 {
        for (from, to) in [(a, b), (b, a)] {
            let payload = vec![20 + round; side(world, from).max_datagram()];
            send(world, from, &[payload.clone(), payload.clone()]);
            world.exchange();
            world.run(Duration::from_millis(500), |_| false);
            let came = received(world, to);
            let mut reports = || [from, to].map(|end| side(world, end).report().to_string()).join("\n");
            assert_eq!(came, [payload.clone(), payload], "round {round}\n{}", reports());
        }
    }
}
