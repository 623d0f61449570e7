//! A client and a server in virtual time, over a link that loses.

use std::net::SocketAddr;
use std::time::Duration;

use crypto::Rng;
use stun::Credentials;
use turn::client::{self, Event, Received, SendError};
use turn::{Arrival, Batch, Carrier, Client, Path};

use crate::support::{Bench, LISTENER, config, inbound};

pub(crate) const HOME: &str = "198.51.100.7:4000";

pub(crate) fn client(password: &str) -> Client {
    let credentials = Credentials::new("alice", password).unwrap();
    let config = client::Config::new(crypto::default_provider());
    let path =
        Path { carrier: Carrier::Udp, local: HOME.parse().unwrap(), remote: LISTENER.parse().unwrap() };
    Client::new(config, credentials, path, [3; 32])
}

/// The way back.
pub(crate) fn reversed(path: Path) -> Path {
    Path { carrier: path.carrier, local: path.remote, remote: path.local }
}

pub(crate) struct World {
    pub(crate) bench: Bench,
    pub(crate) client: Client,
    pub(crate) rng: Rng,
    pub(crate) loss: u32,
    pub(crate) events: Vec<Event>,
    pub(crate) data: Vec<(SocketAddr, Vec<u8>)>,
    /// What left a relay for a peer.
    pub(crate) relayed: Vec<(Path, Vec<u8>)>,
    /// Where a NAT shows the client, if there is one.
    pub(crate) outside: Option<SocketAddr>,
}

impl World {
    pub(crate) fn new(client: Client, loss: u32) -> Self {
        Self::with(client, config(), loss)
    }

    pub(crate) fn with(client: Client, config: turn::server::Config, loss: u32) -> Self {
        let bench = Bench::new(config);
        let rng = Rng::new([9; 32]);
        Self {
            bench,
            client,
            rng,
            loss,
            events: Vec::new(),
            data: Vec::new(),
            relayed: Vec::new(),
            outside: None,
        }
    }

    pub(crate) fn settle(&mut self) {
        let now = self.bench.now;
        loop {
            let mut memory = [0; 1500];
            let mut batch = Batch::new(&mut memory, 1, 1500);
            let Some(transmit) = self.client.poll_transmit(now, &mut batch) else { break };
            let bytes = batch.bytes().to_vec();
            self.reach_server(reversed(transmit.path), &bytes);
        }
        while let Some(event) = self.client.poll_event() {
            self.events.push(event);
        }
    }

    pub(crate) fn reach_server(&mut self, path: Path, bytes: &[u8]) {
        if self.rng.below(100) < self.loss {
            return;
        }
        let path = Path { remote: self.outside.unwrap_or(path.remote), ..path };
        if let Ok(Some(relayed)) = self.bench.receive(path, bytes) {
            self.relayed.push((relayed.path, relayed.bytes));
        }
        while let Some(answer) = self.bench.poll() {
            self.reach_client(answer.path, answer.bytes);
        }
    }

    pub(crate) fn reach_client(&mut self, path: Path, mut bytes: Vec<u8>) {
        if self.rng.below(100) < self.loss {
            return;
        }
        // What goes to where the NAT no longer has it is lost.
        if self.outside.is_some_and(|outside| outside != path.remote) {
            return;
        }
        let inside = self.outside.map_or(path.remote, |_| self.client.path().local);
        let path = Path { remote: inside, ..path };
        let arrival = Arrival { path: reversed(path), ecn: None, at: self.bench.now };
        if let Ok(Received::Data { peer, payload }) = self.client.handle_datagram(arrival, &mut bytes) {
            self.data.push((peer, payload.to_vec()));
        }
    }

    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.bench.now + duration;
        loop {
            self.settle();
            let next = [self.client.poll_timeout(), self.bench.server.poll_timeout()];
            let next = next.into_iter().flatten().min().filter(|next| *next <= end);
            let Some(next) = next else { break };
            assert!(next >= self.bench.now, "time goes on");
            self.bench.now = next.max(self.bench.now + Duration::from_nanos(1));
            self.client.handle_timeout(self.bench.now);
            self.bench.sleep(Duration::ZERO);
        }
        self.bench.now = end;
    }

    pub(crate) fn send(&mut self, peer: &str, bytes: &[u8]) -> Result<usize, SendError> {
        let mut memory = [0; 1500];
        let mut batch = Batch::new(&mut memory, 1, 1500);
        self.client
            .send_with(peer.parse().unwrap(), &mut batch, |out| out.put(bytes).map_err(SendError::from))?;
        let framed = batch.bytes().to_vec();
        self.reach_server(reversed(self.client.path()), &framed);
        Ok(framed.len())
    }

    pub(crate) fn peer_sends(&mut self, peer: &str, bytes: &[u8]) {
        let Some(relay) = self.client.relayed().next() else { return };
        if let Ok(Some(answer)) = self.bench.receive(inbound(relay, peer), bytes) {
            self.reach_client(answer.path, answer.bytes);
        }
    }

    pub(crate) fn seen(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| wanted(event)).count()
    }
}

pub(crate) fn is_allocated(event: &Event) -> bool {
    matches!(event, Event::Allocated { .. })
}
