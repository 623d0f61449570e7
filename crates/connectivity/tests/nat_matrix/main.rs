//! Two sides behind each pair of NATs and firewalls: whether they find a direct path is what theory says, and where they
//! cannot, our TURN server carries their data.
//!
//! `cargo xtask nat-matrix` runs all of it and writes docs/nat-matrix.md; otherwise a share is run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    clippy::redundant_pub_crate,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

#[path = "../harness/mod.rs"]
mod harness;
mod places;
mod table;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use connectivity::{Config, Connectivity, Failure, Kind, Role, State};
use harness::{Host, SERVER, credentials, exchange, is_connected, side, trickle, turn_server};
use places::{Pair, Place};
use proto::{Carrier, Path};
use testkit::{HostId, Lan, Link, Nat, Network, Passage, World, epoch, null_provider, reach};

/// What was found between two places.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// Both ends are addresses of the sides themselves.
    Direct,
    /// One end at least is the relay's.
    Relay,
    /// Through a relay that one side at least reaches over TCP alone.
    RelayOverTcp,
    /// The same, to port 443.
    RelayOverTcp443,
}

#[test]
fn every_pair_of_nats_is_joined_as_theory_says() {
    let all = places::pairs();
    let path = std::env::var("PEERLINE_NAT_MATRIX").ok();
    // All of them, or each so manieth.
    let step = if path.is_some() {
        1
    } else {
        all.len() / usize::try_from(testkit::scaled_at_least(all.len() as u64, 60)).unwrap()
    };
    let mut chosen: Vec<(usize, &Pair)> = all.iter().enumerate().step_by(step).collect();
    if let Ok(one) = std::env::var("PEERLINE_NAT_PAIR") {
        chosen.retain(|(number, _)| number.to_string() == one);
    }
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let broken = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((number, pair)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match catch_unwind(AssertUnwindSafe(|| try_pair(*number, pair))) {
                        Ok(what) => found.lock().unwrap().push((*number, what)),
                        Err(_) => broken.lock().unwrap().push(format!("{number}: {pair}")),
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().unwrap();
    assert!(
        broken.is_empty(),
        "{} of {} pairs: {:#?}",
        broken.len(),
        chosen.len(),
        &broken[..broken.len().min(20)]
    );
    let mut found = found.into_inner().unwrap();
    found.sort_unstable_by_key(|(number, _)| *number);
    if let Some(path) = path {
        let results: Vec<(&Pair, Found)> =
            found.iter().map(|(number, what)| (&all[*number], *what)).collect();
        std::fs::write(path, table::write(&results)).unwrap();
    }
    println!("{} pairs of {}", chosen.len(), all.len());
}

/// Without a relay there is a path if and only if theory has one; with relays there always is, and it is the direct one
/// where there is one.
fn try_pair(number: usize, pair: &Pair) -> Found {
    let direct = reach::is_direct(&pair.a.nats, &pair.b.nats, pair.shared);
    let (mut world, a, b) = world(number, pair, false);
    let ended = world.run(Duration::from_secs(60), |world| {
        trickle(world, a, b);
        [a, b].iter().all(|end| matches!(side(world, *end).state(), State::Failed(_)))
            || is_connected(world, a) && is_connected(world, b)
    });
    assert!(ended, "neither connected nor failed\n{}", reports(&mut world, a, b));
    let is_joined = is_connected(&mut world, a);
    assert_eq!(is_joined, direct, "without relays\n{}", reports(&mut world, a, b));
    if direct {
        exchange(&mut world, a, b);
    } else {
        assert_eq!(side(&mut world, a).state(), State::Failed(Failure::NoAnswer));
    }

    let (mut world, a, b) = self::world(number, pair, true);
    let connected = world.run(Duration::from_secs(10), |world| {
        trickle(world, a, b);
        is_connected(world, a) && is_connected(world, b)
    });
    assert!(connected, "with relays\n{}", reports(&mut world, a, b));
    world.run(Duration::from_secs(5), |world| {
        trickle(world, a, b);
        false
    });
    exchange(&mut world, a, b);
    let kinds = [a, b].map(|end| side(&mut world, end).selected_kinds().unwrap());
    let is_relayed = kinds.map(|(ours, theirs)| ours == Kind::Relayed || theirs == Kind::Relayed);
    assert_eq!(is_relayed, [!direct; 2], "with relays {kinds:?}\n{}", reports(&mut world, a, b));
    if direct {
        return Found::Direct;
    }
    let ways = [(a, &pair.a), (b, &pair.b)].map(|(end, place)| way_to_relay(&mut world, end, place));
    match ways {
        _ if ways.contains(&Some(443)) => Found::RelayOverTcp443,
        [None, None] => Found::Relay,
        _ => Found::RelayOverTcp,
    }
}

/// The port of the server's that a side behind a firewall got a relay from, over TCP; `None` if over UDP.
fn way_to_relay(world: &mut World<Host>, end: HostId, place: &Place) -> Option<u16> {
    let passage = place.passage();
    let report = side(world, end).report();
    let mut got: Vec<(Carrier, u16)> = report
        .relays
        .iter()
        .filter(|relay| relay.relayed != [None; 2])
        .map(|relay| (relay.carrier, relay.server.port()))
        .collect();
    got.sort_unstable_by_key(|(_, port)| *port);
    let expected: &[(Carrier, u16)] = match passage {
        Passage::Everything => &[(Carrier::Udp, 3478)],
        Passage::NoUdp => &[(Carrier::Stream, 443), (Carrier::Stream, 3478)],
        Passage::Tcp443 => &[(Carrier::Stream, 443)],
    };
    assert_eq!(got, expected, "{report}");
    match passage {
        Passage::Everything => None,
        Passage::NoUdp => Some(3478),
        Passage::Tcp443 => Some(443),
    }
}

fn reports(world: &mut World<Host>, a: HostId, b: HostId) -> String {
    [a, b].map(|end| side(world, end).report().to_string()).join("\n")
}

fn world(number: usize, pair: &Pair, relays: bool) -> (World<Host>, HostId, HostId) {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
    let mut network = Network::new(seed);
    let link = Link { delay: Duration::from_millis(10), ..Link::default() };
    let server: SocketAddr = SERVER.parse().unwrap();
    let server_host = network.add_host(Lan::Public, &[server.ip()], link.clone());
    let outer = pair.shared.map(|nat| network.add_nat(Lan::Public, [203, 0, 113, 200].into(), nat));
    let put = |network: &mut Network, nats: &[Nat], which: u8| {
        let mut lan = outer.unwrap_or(Lan::Public);
        // The outermost stands first.
        for (depth, nat) in nats.iter().rev().enumerate() {
            let outside: IpAddr = match (lan, depth) {
                (Lan::Public, _) => [203, 0, 113, which].into(),
                (Lan::Behind(_), _) => [100, 64, u8::try_from(depth).unwrap(), which].into(),
            };
            lan = network.add_nat(lan, outside, *nat);
        }
        let address: IpAddr = match lan {
            Lan::Public => [192, 0, 2, which].into(),
            Lan::Behind(_) => [10, 0, which, 2].into(),
        };
        (network.add_host(lan, &[address], link.clone()), address)
    };
    let places = [put(&mut network, &pair.a.nats, 1), put(&mut network, &pair.b.nats, 2)];
    let mut world = World::new(network);
    world.max_datagram = 1300;
    world.machines.insert(server_host, Host::server(7));
    let a_controls = number.is_multiple_of(2);
    let mut sides = [(0_u16, &pair.a), (1, &pair.b)].map(|(which, place)| {
        let mut config = Config::default();
        config.ice.provider = null_provider();
        config.ice.role = if a_controls == (which == 0) { Role::Controlling } else { Role::Controlled };
        config.stun_servers = vec![server];
        // Ports of their own, as hosts have.
        let base = 4000 + 100 * which;
        let at = |port| SocketAddr::new(places[usize::from(which)].1, base + port);
        if relays {
            config.turn_servers = vec![turn_server()];
            if place.passage() != Passage::Everything {
                for (local, remote) in [(2, 3478), (3, 443)] {
                    let remote = SocketAddr::new(server.ip(), remote);
                    let path = Path { carrier: Carrier::Stream, local: at(local), remote };
                    config.turn_streams.push((path, credentials()));
                }
            }
        }
        let mut side =
            Connectivity::new(epoch(), config, crypto::derive_seed(&seed, &format!("side {which}")));
        side.add_host(epoch(), at(0)).unwrap();
        if relays {
            side.add_relay_socket(epoch(), at(1));
        }
        side.gather(epoch());
        side
    });
    let [one, two] = &mut sides;
    one.set_remote_credentials(epoch(), two.local_credentials().clone());
    two.set_remote_credentials(epoch(), one.local_credentials().clone());
    let [a, b] = places.map(|(host, _)| host);
    for (host, side) in [a, b].into_iter().zip(sides) {
        world.machines.insert(host, Host::side(side));
    }
    (world, a, b)
}
