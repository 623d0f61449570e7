//! A server for strangers: whatever they and those who speak in their names send, in any order, no more
//! connections exist than may, and each of them ends.
#![no_main]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arbitrary::Arbitrary;
use dtls::{Config, Delivery, Endpoint, Event, Identity};
use libfuzzer_sys::fuzz_target;
use proto::{Arrival, Batch, Carrier, Instant, Path};

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Connect {
        from: u8,
    },
    /// Hands a datagram over; `fate` has a bit for "keep it", one for "change it", and one for "from elsewhere".
    Deliver {
        which: u8,
        fate: u8,
        at: u16,
        with: u8,
    },
    Exchange {
        lose: u16,
    },
    Inject {
        to: u8,
        from: u8,
        bytes: &'a [u8],
    },
    Wait {
        millis: u16,
    },
    Close {
        host: u8,
        which: u8,
    },
}

struct World {
    now: Instant,
    /// The first one serves.
    hosts: Vec<(Endpoint, Vec<dtls::ConnectionId>)>,
    network: Vec<(usize, Path, Vec<u8>)>,
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let config = CONFIG.get_or_init(config);
    let hosts = (0..HOSTS).map(|seed| (Endpoint::new(Arc::clone(config), [seed; 32]), Vec::new())).collect();
    let mut world = World { now: Instant::from_nanos(1_000_000_000), hosts, network: Vec::new() };
    for step in steps.into_iter().take(200) {
        world.take(step);
        (0..world.hosts.len()).for_each(|host| world.drain(host));
    }
    // Whoever is left alone gives up.
    world.network.clear();
    for _ in 0..100 {
        world.now += Duration::from_secs(2);
        (0..world.hosts.len()).for_each(|host| world.drain(host));
        world.network.clear();
    }
    for (endpoint, _) in &world.hosts {
        // What is connected stays so, in silence; nothing else is left, and nothing is tried for ever.
        assert_eq!(endpoint.poll_timeout(), None, "a handshake without end");
    }
});

impl World {
    fn take(&mut self, step: Step<'_>) {
        let now = self.now;
        match step {
            Step::Connect { from } => {
                let from = 1 + from % (HOSTS - 1);
                let path = Path { carrier: Carrier::Udp, local: address(from), remote: address(0) };
                if let Ok(id) = self.hosts[usize::from(from)].0.connect(now, path) {
                    self.hosts[usize::from(from)].1.push(id);
                }
            }
            Step::Deliver { which, fate, at, with } => {
                let Some(which) = usize::from(which).checked_rem(self.network.len()) else { return };
                let keep = fate & 1 != 0;
                let (to, mut path, mut bytes) =
                    if keep { self.network[which].clone() } else { self.network.remove(which) };
                if fate & 2 != 0 {
                    let at = usize::from(at) % bytes.len();
                    bytes[at] ^= with;
                }
                if fate & 4 != 0 {
                    path.remote = address(with % HOSTS);
                }
                self.deliver(to, path, &mut bytes);
            }
            Step::Exchange { lose } => {
                for _ in 0..3 {
                    for (nth, (to, path, mut bytes)) in
                        std::mem::take(&mut self.network).into_iter().enumerate()
                    {
                        if lose >> (nth % 16) & 1 == 0 {
                            self.deliver(to, path, &mut bytes);
                        }
                    }
                    (0..self.hosts.len()).for_each(|host| self.drain(host));
                }
            }
            Step::Inject { to, from, bytes } => {
                let (to, from) = (to % HOSTS, from % HOSTS);
                let path = Path { carrier: Carrier::Udp, local: address(to), remote: address(from) };
                self.deliver(to.into(), path, &mut bytes.to_vec());
            }
            Step::Wait { millis } => self.now += Duration::from_millis(millis.into()),
            Step::Close { host, which } => {
                let (endpoint, ids) = &mut self.hosts[usize::from(host % HOSTS)];
                if let Some(id) = usize::from(which).checked_rem(ids.len()).map(|which| ids[which])
                    && let Some(connection) = endpoint.connection_mut(id)
                {
                    connection.close(now);
                }
            }
        }
    }

    fn deliver(&mut self, to: usize, path: Path, bytes: &mut [u8]) {
        let (endpoint, ids) = &mut self.hosts[to];
        let before = endpoint.len();
        let arrival = Arrival { path, ecn: None, at: self.now };
        let served = if let Ok(Delivery::Records(id, mut records)) = endpoint.handle_datagram(arrival, bytes)
        {
            while records.next_record().is_some() {}
            Some(id)
        } else {
            None
        };
        match served {
            Some(id) if !ids.contains(&id) => ids.push(id),
            Some(_) => {}
            None => assert_eq!(endpoint.len(), before, "a stranger without a cookie costs nothing"),
        }
        assert!(endpoint.len() <= MOST);
    }

    fn drain(&mut self, host: usize) {
        let now = self.now;
        let (endpoint, ids) = &mut self.hosts[host];
        endpoint.handle_timeout(now);
        let mut memory = vec![0; 3000];
        loop {
            while let Some((id, event)) = endpoint.poll_event() {
                match event {
                    Event::PeerCertificate => {
                        if let Some(connection) = endpoint.connection_mut(id) {
                            connection.accept_peer(now);
                        }
                    }
                    Event::Closed(_) => ids.retain(|known| *known != id),
                    _ => {}
                }
            }
            let mut batch = Batch::new(&mut memory, 1, 1200);
            let Some(transmit) = endpoint.poll_transmit(now, &mut batch) else { break };
            let path = Path { local: transmit.path.remote, remote: transmit.path.local, ..transmit.path };
            let to = usize::from(path.local.port() - PORT);
            if self.network.len() < 200 {
                self.network.push((to, path, batch.bytes().to_vec()));
            }
        }
        assert!(endpoint.poll_timeout().is_none_or(|due| due > now), "a timer in the past");
    }
}

fn address(host: u8) -> std::net::SocketAddr {
    ([127, 0, 0, 1], PORT + u16::from(host)).into()
}

const HOSTS: u8 = 4;
const PORT: u16 = 5000;
/// Connections that an endpoint may have.
const MOST: usize = 5;

/// Made once: a key costs more than a run.
static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();

fn config() -> Arc<Config> {
    let null = testkit::null_provider();
    let identity = Identity::generate(null, 1_790_000_000, [1; 32]).expect("a certificate");
    let mut config = Config::new(null, Arc::new(identity));
    config.max_connections = MOST;
    Arc::new(config)
}
