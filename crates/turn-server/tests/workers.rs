//! Several workers at one address, between which the system divides the clients.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use net::Clock;
use stun::Credentials;
use turn::client::{Config, Event, Failure, Received, SendError};
use turn::server::RelayAddress;
use turn::{Arrival, Batch, Carrier, Client, Path};
use turn_server::Server;

const WORKERS: usize = 4;

fn config(ip: [u8; 4]) -> turn_server::Config {
    let mut config = turn_server::Config::at((ip, 0).into()).user("alice", "wonderland").unwrap();
    config.workers = WORKERS;
    config.turn.relays = vec![RelayAddress { local: ip.into(), external: ip.into() }];
    config.turn.peers.allow = vec!["127.0.0.0/8".parse().unwrap()];
    config
}

/// A client with a socket of its own, which waits for what it wants.
struct Asker {
    client: Client,
    socket: UdpSocket,
    clock: Clock,
    data: Vec<Vec<u8>>,
}

impl Asker {
    fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let path = Path { carrier: Carrier::Udp, local: socket.local_addr().unwrap(), remote: server };
        let credentials = Credentials::new("alice", "wonderland").unwrap();
        let client = Client::new(Config::new(crypto::default_provider()), credentials, path, [1; 32]);
        Self { client, socket, clock: Clock::start(), data: Vec::new() }
    }

    /// Until there is news, or nothing for `patience`.
    fn run(&mut self, patience: Duration) -> Option<Event> {
        let end = self.clock.now() + patience;
        while self.clock.now() < end {
            let mut memory = [0; 2000];
            loop {
                let mut batch = Batch::new(&mut memory, 1, 2000);
                let Some(_) = self.client.poll_transmit(self.clock.now(), &mut batch) else { break };
                let _ = self.socket.send_to(batch.bytes(), self.client.path().remote).unwrap();
            }
            if let Some(event) = self.client.poll_event() {
                return Some(event);
            }
            let Ok((len, _)) = self.socket.recv_from(&mut memory) else { continue };
            let arrival = Arrival { path: self.client.path(), ecn: None, at: self.clock.now() };
            let datagram = memory.get_mut(..len).unwrap();
            if let Ok(Received::Data { payload, .. }) = self.client.handle_datagram(arrival, datagram) {
                self.data.push(payload.to_vec());
                return None;
            }
        }
        None
    }

    fn allocate(&mut self) -> Result<SocketAddr, Failure> {
        self.client.allocate(self.clock.now());
        match self.run(Duration::from_secs(20)) {
            Some(Event::Allocated { relayed, .. }) => Ok(relayed),
            Some(Event::Failed(failure)) => Err(failure),
            other => unreachable!("{other:?}"),
        }
    }

    fn permit(&mut self, peer: SocketAddr) {
        self.client.permit(self.clock.now(), peer.ip()).unwrap();
        assert_eq!(self.run(Duration::from_secs(20)), Some(Event::Permitted(peer.ip())));
    }

    fn send(&mut self, peer: SocketAddr, bytes: &[u8]) {
        let mut memory = [0; 2000];
        let mut batch = Batch::new(&mut memory, 1, 2000);
        self.client.send_with(peer, &mut batch, |out| out.put(bytes).map_err(SendError::from)).unwrap();
        let _ = self.socket.send_to(batch.bytes(), self.client.path().remote).unwrap();
    }
}

/// Those of sixteen clients: with four workers it is next to impossible that one has them all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_quotas_and_figures_are_exact_and_relays_of_different_workers_reach_each_other() {
    let mut config = config([127, 0, 82, 1]);
    config.turn.max_allocations_per_user = 16;
    let server = Server::bind(config).await.unwrap();
    let at = server.local_addr();
    assert_eq!(server.stats().await.unwrap().udp_sockets, WORKERS);
    let free = server.stats().await.unwrap().turn.free_ports;
    let askers = tokio::task::spawn_blocking(move || {
        let mut askers: Vec<Asker> = (0..16).map(|_| Asker::new(at)).collect();
        let relayed: Vec<SocketAddr> = askers.iter_mut().map(|asker| asker.allocate().unwrap()).collect();
        assert_eq!(Asker::new(at).allocate(), Err(Failure::Rejected(486)), "the user has sixteen");
        // Each sends to the next one's relay, in a ring.
        for (place, asker) in askers.iter_mut().enumerate() {
            let next = *relayed.get((place + 1) % relayed.len()).unwrap();
            asker.permit(next);
        }
        for (place, asker) in askers.iter_mut().enumerate() {
            asker.send(*relayed.get((place + 1) % relayed.len()).unwrap(), &[u8::try_from(place).unwrap()]);
        }
        for (place, asker) in askers.iter_mut().enumerate() {
            assert_eq!(asker.run(Duration::from_secs(20)), None);
            let before = (place + 15) % 16;
            assert_eq!(asker.data, [[u8::try_from(before).unwrap()]]);
        }
        askers
    })
    .await
    .unwrap();
    let stats = server.stats().await.unwrap();
    assert_eq!((stats.turn.allocations, stats.turn.allocated), (16, 16));
    assert_eq!((stats.turn.to_peers, stats.turn.to_clients, stats.turn.relayed_bytes), (16, 16, 32));
    assert_eq!((stats.turn.free_ports, stats.udp_sockets), (free - 16, WORKERS + 16));
    drop(askers);
}

/// Whoever has an allocation keeps it, and is heard, until the last one ends; and somebody else's name is not taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_server_that_ends_waits_for_the_clients_of_all_workers() {
    let server = Arc::new(Server::bind(config([127, 0, 82, 2])).await.unwrap());
    let at = server.local_addr();
    let (some, last) = tokio::task::spawn_blocking(move || {
        let mut askers: Vec<Asker> = (0..8).map(|_| Asker::new(at)).collect();
        for asker in &mut askers {
            asker.allocate().unwrap();
        }
        let last = askers.pop().unwrap();
        (askers, last)
    })
    .await
    .unwrap();
    let ending = tokio::spawn({
        let server = server.clone();
        async move { server.drain(Duration::from_secs(60)).await }
    });
    let mut last = tokio::task::spawn_blocking(move || {
        let (mut some, mut last) = (some, last);
        for asker in &mut some {
            asker.client.release(asker.clock.now());
            assert_eq!(asker.run(Duration::from_secs(20)), Some(Event::Released));
        }
        // The only one, with all workers but one idle.
        last.permit("127.0.0.9:1".parse().unwrap());
        assert_eq!(Asker::new(at).allocate(), Err(Failure::Rejected(508)), "no new ones");
        last
    })
    .await
    .unwrap();
    assert!(!ending.is_finished());
    assert_eq!(server.stats().await.unwrap().turn.allocations, 1);
    tokio::task::spawn_blocking(move || {
        last.client.release(last.clock.now());
        assert_eq!(last.run(Duration::from_secs(20)), Some(Event::Released));
    })
    .await
    .unwrap();
    let stats = tokio::time::timeout(Duration::from_secs(10), ending).await.unwrap().unwrap().unwrap();
    assert_eq!((stats.turn.allocations, stats.turn.allocated), (0, 8));
    assert!(server.stats().await.is_err(), "it has stopped");
    assert!(UdpSocket::bind(at).is_ok(), "and its port is free");
}

/// TCP and TLS connections of one address, wherever they went.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_connections_are_counted_over_all_workers() {
    let mut config = config([127, 0, 82, 3]);
    config.max_connections_per_source = 6;
    let server = Server::bind(config).await.unwrap();
    let at = *server.tcp_addresses().first().unwrap();
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(tokio::net::TcpStream::connect(at).await.unwrap());
    }
    for _ in 0..200 {
        let stats = server.stats().await.unwrap();
        if (stats.connections, stats.refused_connections) == (6, 14) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    unreachable!("{:?}", server.stats().await);
}
