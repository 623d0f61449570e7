//! Two whole peers on a bad network, many times over: everything that happens is drawn from a seed, and a
//! seed that fails prints the command that runs it again.
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

mod application;
#[path = "../harness/mod.rs"]
mod harness;
mod plan;

use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use application::Applications;
use crypto::{Rng, derive_seed};
use harness::{CLOCK, Node, Peer, peer, session};
use plan::{Plan, seed_bytes};
use session::{Config, ConnectionState, DtlsRole, Failure, Session};
use testkit::{HostId, Lan, Link, Nat, Network, World, null_provider};

/// What came of a seed.
#[derive(Debug, Eq, PartialEq)]
struct Outcome {
    fingerprint: String,
    failure: Option<Failure>,
    virtual_time: Duration,
}

#[test]
fn seeded_sessions_deliver_what_they_promise() {
    let from_environment =
        |name, default| std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"));
    let first: u64 = from_environment("PEERLINE_SIM_SEED", 0);
    let count: u64 = from_environment("PEERLINE_SIM_SEEDS", 20);
    let (mut broken, mut failed) = (Vec::new(), Vec::new());
    for seed in first..first + count {
        match catch_unwind(AssertUnwindSafe(|| run(seed))) {
            Ok(outcome) => {
                if let Some(failure) = outcome.failure {
                    println!("seed {seed}: {failure} after {:?}", outcome.virtual_time);
                    failed.push(seed);
                }
                // The same again, to the letter.
                if seed % 10 == 0 {
                    assert_eq!(outcome, run(seed), "seed {seed} ran differently a second time");
                }
            }
            Err(_) => {
                println!("replay: cargo xtask sim --seeds 1 --seed {seed}");
                broken.push(seed);
            }
        }
    }
    println!(
        "{count} sessions from seed {first}: {} broken, {} lost to their network",
        broken.len(),
        failed.len()
    );
    assert!(
        broken.is_empty(),
        "seeds {broken:?}; replay one: cargo xtask sim --seeds 1 --seed {}",
        broken[0]
    );
    // A network that loses a fifth may lose a session now and then; it must stay rare.
    assert!(failed.len() as u64 <= 1 + count / 30, "too many sessions were lost: {failed:?}");
}

#[test]
fn a_closed_session_gives_all_memory_back() {
    for seed in [1, 2, 3] {
        // Tables that are made once, at first use.
        run(seed);
        let memory = allocation_counter::measure(|| drop(run(seed)));
        assert_eq!((memory.count_current, memory.bytes_current), (0, 0), "seed {seed}");
    }
}

fn run(seed: u64) -> Outcome {
    let plan = Plan::of(seed);
    let (mut world, hosts, clock) = world(&plan);
    let now = world.now();
    let mut both = Applications::new(plan, hosts, clock, now);
    both.begin(&mut world);
    let done = world.run(LIMIT, |world| both.step(world));
    assert!(done, "not done within {LIMIT:?}\n{}", both.describe(&mut world));
    check_set_up(&both, &mut world, now);
    if both.failure.is_none() && !both.was_cut_short(&world) {
        both.check_complete();
    }
    let (virtual_time, failure) = (world.elapsed(), both.failure);
    end(&mut both, &mut world);
    Outcome { fingerprint: world.trace.fingerprint(), failure, virtual_time }
}

/// How long connecting may take, and when it may fail at all.
fn check_set_up(both: &Applications, world: &mut World<Node>, start: proto::Instant) {
    let badness = both.plan.badness();
    if let Some(failure) = both.failure {
        // A bit flipped in a handshake that is not encrypted yet spoils its transcript for good.
        let spoilt = matches!(failure, Failure::Dtls(_) | Failure::Fingerprint)
            && both.plan.links.iter().any(|link| link.corrupt > 0.0);
        assert!(badness > 0.05 || spoilt, "{failure} on a fair network\n{}", both.describe(world));
        return;
    }
    let limit = if badness > 0.02 { Duration::from_secs(45) } else { Duration::from_secs(8) };
    for connected in both.connected_at.into_iter().flatten() {
        assert!(
            connected - start < limit,
            "connected after {:?}\n{}",
            connected - start,
            both.describe(world)
        );
    }
}

/// One side closes; both must come to rest, for good.
fn end(both: &mut Applications, world: &mut World<Node>) {
    let [first, second] = if both.plan.closer == 0 { both.hosts } else { [both.hosts[1], both.hosts[0]] };
    let now = world.now();
    session(world, first).close(now);
    session(world, first).close(now);
    let ended = |world: &mut World<Node>, host: HostId| {
        let state = session(world, host).connection_state();
        matches!(state, ConnectionState::Closed | ConnectionState::Failed(_))
    };
    let hosts = both.hosts;
    // Who never heard of the other cannot notice its end.
    let acquainted = both.are_acquainted(world);
    let told = !acquainted
        || world.run(Duration::from_secs(50), |world| {
            let now = world.now();
            // A good-bye that is lost shows by silence.
            if let Some(Node::Clock(clock)) = world.machines.get_mut(&HostId(2)) {
                *clock = Some(now + Duration::from_secs(1));
            }
            both.drain(world);
            hosts.iter().all(|host| ended(world, *host))
        });
    assert!(told, "the other side does not notice the end\n{}", both.describe(world));
    let now = world.now();
    session(world, second).close(now);
    world.run(Duration::from_secs(2), |_| false);
    if let Some(Node::Clock(clock)) = world.machines.get_mut(&HostId(2)) {
        *clock = None;
    }
    both.drain(world);
    for host in hosts {
        let over = session(world, host).is_over();
        assert!(over, "not over\n{}", both.describe(world));
        assert_eq!(session(world, host).poll_timeout(), None, "a timer is left");
    }
    let before = hosts.map(|host| peer(world, host).sent);
    world.run(Duration::from_secs(120), |_| false);
    assert_eq!(before, hosts.map(|host| peer(world, host).sent), "something is sent after the end");
}

fn world(plan: &Plan) -> (World<Node>, [HostId; 2], HostId) {
    let bytes = seed_bytes(plan.seed);
    let mut network = Network::new(derive_seed(&bytes, "network"));
    let server: SocketAddr = ([198, 51, 100, 1], 3478).into();
    let hosts = [0_u8, 1].map(|side| {
        let (lan, address): (Lan, IpAddr) = if plan.nats[usize::from(side)] {
            let lan = network.add_nat(Lan::Public, [203, 0, 113, side + 1].into(), Nat::cone());
            (lan, [192, 168, side + 1, 2].into())
        } else {
            (Lan::Public, [192, 0, 2, side + 1].into())
        };
        let host = network.add_host(lan, &[address], Link::default());
        network.set_links(host, plan.links[usize::from(side)].clone(), Link::default());
        (host, SocketAddr::new(address, 4000))
    });
    let clock = network.add_host(Lan::Public, &[], Link::default());
    let needs_server = plan.nats != [false, false];
    let server_host = network.add_host(Lan::Public, &[server.ip()], Link::default());
    let mut world = World::new(network);
    world.machines.insert(clock, Node::Clock(None));
    world.machines.insert(server_host, Node::Server(std::collections::VecDeque::new()));
    for (side, (host, address)) in hosts.into_iter().enumerate() {
        let provider = if plan.real_crypto { crypto::rust_crypto() } else { null_provider() };
        let mut config = Config::new(provider);
        config.local_addresses = vec![address];
        config.answer_dtls_role = if plan.answers_as_client { DtlsRole::Client } else { DtlsRole::Server };
        if let Some(bytes) = plan.send_buffer {
            config.limits.send_buffer = bytes;
        }
        if needs_server {
            config.stun_servers = vec![server];
        }
        let seed = derive_seed(&bytes, &format!("session {side}"));
        let session = Session::new(world.now(), CLOCK, config, seed).unwrap();
        let mut peer = Peer::new(session);
        if plan.inner_flips > 0.0 {
            peer.flip = Some((Rng::new(derive_seed(&seed, "flips")), plan.inner_flips));
        }
        world.machines.insert(host, Node::Peer(Box::new(peer)));
    }
    (world, hosts.map(|(host, _)| host), clock)
}

/// Virtual time that a session may take.
const LIMIT: Duration = Duration::from_secs(1200);
