//! The rules that all machines obey.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::time::Duration;

use connectivity::{Config, Connectivity, Role};
use proto::{Arrival, Batch, Instant, Path, Transmit};
use testkit::{Link, Machine, Pair, epoch};

struct End(Connectivity);

impl Machine for End {
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool {
        self.0.handle_datagram(arrival, datagram).is_ok()
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.0.poll_transmit(now, batch)
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }
    fn poll_event(&mut self) -> Option<String> {
        let route = self.0.poll_route().map(|route| format!("{route:?}"));
        route.or_else(|| self.0.poll_event().map(|event| format!("{event:?}")))
    }
}

#[test]
fn the_rules_of_machines_hold() {
    let addresses = ["192.0.2.1:1000", "192.0.2.2:2000"];
    // The server that both ask is never reached: the pair's link has two ends alone.
    for (loss, server) in [(0.0, None), (0.2, None), (1.0, None), (0.1, Some("192.0.2.9:3478"))] {
        testkit::conformance::check(Duration::from_secs(60), |seed| {
            let roles = [Role::Controlling, Role::Controlled];
            let [mut a, mut b] = [0, 1].map(|which| {
                let mut config = Config::default();
                config.ice.role = roles[which];
                config.ice.provider = crypto::rust_crypto();
                config
                    .stun_servers
                    .extend(server.map(|server| server.parse::<std::net::SocketAddr>().unwrap()));
                let seed = crypto::derive_seed(&seed, addresses[which]);
                let mut side = Connectivity::new(epoch(), config, seed);
                side.add_host(epoch(), addresses[which].parse().unwrap()).unwrap();
                side.gather(epoch());
                side
            });
            introduce(&mut a, &b);
            introduce(&mut b, &a);
            let link = Link { delay: Duration::from_millis(20), loss, ..Link::default() };
            Pair::new(End(a), End(b), link, seed)
        });
    }
}

/// Tells `to` of the other side's credentials and host candidates.
fn introduce(to: &mut Connectivity, of: &Connectivity) {
    to.set_remote_credentials(epoch(), of.local_credentials().clone());
    for candidate in of.local_candidates() {
        to.add_remote_candidate(epoch(), candidate).unwrap();
    }
    to.end_of_remote_candidates(epoch());
}

/// Two sides with equal seeds and inputs, one of which also gets what is refused.
#[test]
fn what_is_refused_leaves_no_trace() {
    let made = |address: &str, role, seed| {
        let mut config = Config::default();
        config.ice.role = role;
        config.ice.provider = crypto::rust_crypto();
        let mut side = Connectivity::new(epoch(), config, [seed; 32]);
        side.add_host(epoch(), address.parse().unwrap()).unwrap();
        side.gather(epoch());
        side
    };
    let mut peer = made("192.0.2.1:1000", Role::Controlling, 1);
    let mut twins = [0, 1].map(|_| made("192.0.2.2:2000", Role::Controlled, 2));
    introduce(&mut peer, &twins[0]);
    twins.iter_mut().for_each(|twin| introduce(twin, &peer));
    let mut rng = crypto::Rng::new([3; 32]);
    let (mut now, mut refused) = (epoch(), 0);
    for round in 0..500 {
        now += Duration::from_millis(23);
        peer.handle_timeout(now);
        for (path, bytes) in written(&mut peer, now) {
            let arrival = Arrival { path, ecn: None, at: now };
            for _ in 0..3 {
                let mut copy = bytes.clone();
                let at = rng.below(u32::try_from(copy.len()).unwrap()) as usize;
                copy.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0x55);
                refused += u32::from(twins[1].handle_datagram(arrival, &mut copy).is_err());
            }
            for twin in &mut twins {
                twin.handle_datagram(arrival, &mut bytes.clone()).unwrap();
            }
        }
        let [a, b] = twins.each_mut().map(|twin| {
            twin.handle_timeout(now);
            let sent = written(twin, now);
            let events: Vec<String> =
                std::iter::from_fn(|| twin.poll_event()).map(|event| format!("{event:?}")).collect();
            (sent, events, twin.poll_timeout(), twin.state())
        });
        assert_eq!(a, b, "round {round}");
        for (path, mut bytes) in a.0 {
            let _ = peer.handle_datagram(Arrival { path, ecn: None, at: now }, &mut bytes);
        }
        while peer.poll_event().is_some() {}
    }
    assert!(refused > 10, "{refused}");
    assert!(twins[0].selected_path().is_some());
}

/// What `side` sends now, with the path as the receiver sees it.
fn written(side: &mut Connectivity, now: Instant) -> Vec<(Path, Vec<u8>)> {
    let mut sent = Vec::new();
    let mut memory = [0; 1500];
    loop {
        let mut batch = Batch::new(&mut memory, 1, 1200);
        let Some(transmit) = side.poll_transmit(now, &mut batch) else { return sent };
        let Path { carrier, local, remote } = transmit.path;
        sent.push((Path { carrier, local: remote, remote: local }, batch.bytes().to_vec()));
    }
}
