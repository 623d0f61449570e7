//! Two sides that only a relay can join, our TURN server between them in a simulated Internet.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::net::SocketAddr;
use std::time::Duration;

use connectivity::{Config, Connectivity, Kind, Role, State, TurnServer};
use harness::{Host, SERVER, exchange, is_connected, side, trickle, turn_server};
use proto::{Arrival, Batch, Carrier, Path};
use stun::wire::{Attribute, Class, Encoder, ErrorCode, Message, Method};
use testkit::{HostId, Lan, Link, Nat, Network, World, epoch};
use turn::Writer;

#[test]
fn symmetric_nats_on_both_sides_are_joined_by_a_relay() {
    for seed in 0..20 {
        let (mut world, a, b) = world(Nat::symmetric(), Nat::symmetric(), seed, |_| {});
        assert!(world.run(Duration::from_secs(10), |world| {
            trickle(world, a, b);
            is_connected(world, a) && is_connected(world, b)
        }));
        assert!(world.elapsed() < Duration::from_secs(2), "seed {seed}: {:?}", world.elapsed());
        exchange(&mut world, a, b);
        // A channel makes it four bytes a datagram.
        let path = side(&mut world, a).selected_path().unwrap();
        let kinds = side(&mut world, a).selected_kinds().unwrap();
        if kinds.0 == Kind::Relayed {
            assert_eq!(path.local.ip(), SERVER.parse::<SocketAddr>().unwrap().ip());
        }
        let report = side(&mut world, a).report();
        assert!(
            report.to_string().contains("relay 198.51.100.1:3478 from 192.168.1.2:5000: gives us"),
            "{report}"
        );
        assert_eq!(report.advice(), None);
    }
}

/// THREATS I12: who may know the relay alone hears of nothing else, and nothing else is sent to.
#[test]
fn with_relays_only_nothing_else_is_told_or_sent_to() {
    let relay_only = |config: &mut Config| config.relay_only = true;
    let (mut world, a, b) = world(Nat::cone(), Nat::cone(), 1, relay_only);
    let mut told = Vec::new();
    assert!(world.run(Duration::from_secs(10), |world| {
        for end in [a, b] {
            told.extend(side(world, end).local_candidates().map(|candidate| candidate.to_string()));
        }
        trickle(world, a, b);
        is_connected(world, a) && is_connected(world, b)
    }));
    assert!(!told.is_empty());
    for candidate in told {
        assert!(candidate.contains("typ relay raddr 0.0.0.0 rport 9"), "{candidate}");
        assert!(!candidate.contains("192.168") && !candidate.contains("203.0.113"), "{candidate}");
    }
    exchange(&mut world, a, b);
    for end in [a, b] {
        assert_eq!(side(&mut world, end).selected_kinds(), Some((Kind::Relayed, Kind::Relayed)));
        let Some(Host::Side { destinations, .. }) = world.machines.get(&end) else { panic!("a side") };
        let server = SERVER.parse().unwrap();
        assert!(destinations.iter().all(|remote| *remote == server), "{destinations:?}");
    }
}

#[test]
fn a_direct_path_is_preferred() {
    let (mut world, a, b) = world(Nat::cone(), Nat::cone(), 1, |_| {});
    assert!(world.run(Duration::from_secs(10), |world| {
        trickle(world, a, b);
        [a, b].iter().all(|end| side(world, *end).state() == State::Completed)
            || world.elapsed() > Duration::from_secs(8)
    }));
    for end in [a, b] {
        let (ours, theirs) = side(&mut world, end).selected_kinds().unwrap();
        assert!(ours != Kind::Relayed && theirs != Kind::Relayed, "{ours:?} {theirs:?}");
        let report = side(&mut world, end).report();
        let has_ours = report.local_candidates.iter().any(|one| one.kind == Kind::Relayed);
        let has_theirs = report.remote_candidates.iter().any(|(_, kind)| *kind == Kind::Relayed);
        assert!(has_ours && has_theirs, "there was a relay to be chosen: {report}");
    }
}

#[test]
fn a_wrong_password_is_in_the_report() {
    let wrong = |config: &mut Config| {
        let credentials = stun::Credentials::new("alice", "wrong").unwrap();
        config.turn_servers = vec![TurnServer::new(SERVER.parse().unwrap(), credentials)];
    };
    let (mut world, a, b) = world(Nat::symmetric(), Nat::symmetric(), 1, wrong);
    assert!(world.run(Duration::from_secs(46), |world| {
        trickle(world, a, b);
        matches!(side(world, a).state(), State::Failed(_))
    }));
    let report = side(&mut world, a).report().to_string();
    assert!(report.contains("the user name or the password is wrong"), "{report}");
    assert!(report.contains("try: No TURN server gave an address"), "{report}");
}

/// Has `side` ask, and each server answer its Allocate at once with the address that `relayed` says.
fn allocate(side: &mut Connectivity, relayed: impl Fn(SocketAddr) -> SocketAddr) {
    let now = epoch();
    for _ in 0..100 {
        let mut memory = [0; 1500];
        let mut batch = Batch::new(&mut memory, 1, 1500);
        let Some(transmit) = side.poll_transmit(now, &mut batch) else { break };
        let request = Message::decode(batch.bytes()).unwrap();
        if request.method() != Method::ALLOCATE {
            continue;
        }
        let mut memory = [0; 200];
        let mut out = Writer::new(&mut memory);
        let mut answer =
            Encoder::new(&mut out, Class::Success, Method::ALLOCATE, request.transaction()).unwrap();
        answer.attribute(Attribute::XorRelayedAddress(relayed(transmit.path.remote))).unwrap();
        answer.attribute(Attribute::XorMappedAddress(transmit.path.local)).unwrap();
        answer.attribute(Attribute::Lifetime(600)).unwrap();
        answer.finish(None).unwrap();
        let len = out.len();
        let arrival = Arrival { path: transmit.path, ecn: None, at: now };
        side.handle_datagram(arrival, &mut memory[..len]).unwrap();
    }
}

/// One with a host address, a socket for relaying, and this many servers.
fn with_servers(count: u8) -> Connectivity {
    let mut config = Config::default();
    config.max_relays = 3;
    config.turn_servers = (1..=count)
        .map(|number| {
            let address = ([198, 51, 100, number], 3478).into();
            TurnServer::new(address, stun::Credentials::new("alice", "wonderland").unwrap())
        })
        .collect();
    let mut side = Connectivity::new(epoch(), config, [1; 32]);
    side.add_host(epoch(), OWN.parse().unwrap()).unwrap();
    side.add_relay_socket(epoch(), SOCKET.parse().unwrap());
    side.gather(epoch());
    side
}

const OWN: &str = "203.0.113.1:5000";
const SOCKET: &str = "203.0.113.1:5001";

/// THREATS T12: a server relays at addresses of its own; one of ours, or another server's, it cannot have.
#[test]
fn a_server_cannot_take_an_address_that_is_not_its_own() {
    for claimed in [OWN, SOCKET] {
        let mut side = with_servers(1);
        allocate(&mut side, |_| claimed.parse().unwrap());
        let report = side.report();
        assert_eq!(report.relays[0].failure, Some(turn::client::Failure::Address), "{claimed}");
        assert!(report.to_string().contains("names an address that is not its own"), "{report}");
        let kinds: Vec<_> = report.local_candidates.iter().map(|candidate| candidate.kind).collect();
        assert_eq!(kinds, [Kind::Host], "{claimed}: ours is still ours");
    }
    // The second to name it does not get it.
    let mut side = with_servers(2);
    allocate(&mut side, |_| "198.51.100.9:50000".parse().unwrap());
    let failures: Vec<_> = side.report().relays.iter().map(|relay| relay.failure).collect();
    assert_eq!(failures, [None, Some(turn::client::Failure::Address)]);
    assert_eq!(side.report().local_candidates.len(), 2);
    let mut side = with_servers(2);
    allocate(&mut side, |server| SocketAddr::new(server.ip(), 50_000));
    assert_eq!(side.report().local_candidates.len(), 3, "each has its own");
}

/// RFC 8489 §10: who sends a client elsewhere is followed over what it was asked over. Here nobody else is reached over
/// DTLS, whose datagrams look as those without it do.
#[test]
fn nobody_is_asked_without_dtls_because_a_server_over_it_says_so() {
    let elsewhere: SocketAddr = "198.51.100.77:3478".parse().unwrap();
    let association = Path {
        carrier: Carrier::Udp,
        local: "203.0.113.1:5002".parse().unwrap(),
        remote: "198.51.100.1:5349".parse().unwrap(),
    };
    for (over_dtls, followed) in [(false, true), (true, false)] {
        let mut side = with_servers(1);
        if over_dtls {
            let mut config = Config::default();
            let credentials = stun::Credentials::new("alice", "wonderland").unwrap();
            config.turn_streams = vec![(association, credentials)];
            side = Connectivity::new(epoch(), config, [1; 32]);
            side.add_host(epoch(), OWN.parse().unwrap()).unwrap();
            side.gather(epoch());
        }
        let mut asked = Vec::new();
        let mut memory = [0; 1500];
        loop {
            let mut batch = Batch::new(&mut memory, 1, 1500);
            let Some(transmit) = side.poll_transmit(epoch(), &mut batch) else { break };
            asked.push(transmit.path.remote);
            let request = Message::decode(batch.bytes()).unwrap();
            let mut answer = [0; 200];
            let mut out = Writer::new(&mut answer);
            let mut encoder =
                Encoder::new(&mut out, Class::Error, Method::ALLOCATE, request.transaction()).unwrap();
            encoder.attribute(Attribute::ErrorCode(ErrorCode { code: 300, reason: "" })).unwrap();
            encoder.attribute(Attribute::AlternateServer(elsewhere)).unwrap();
            encoder.finish(None).unwrap();
            let len = out.len();
            let arrival = Arrival { path: transmit.path, ecn: None, at: epoch() };
            // The second time it is where it was before.
            let _ = side.handle_datagram(arrival, &mut answer[..len]);
        }
        assert_eq!(asked.contains(&elsewhere), followed, "{asked:?}");
        assert_eq!(asked.len(), 1 + usize::from(followed));
    }
}

#[test]
fn relays_have_their_limit_and_the_report_says_how_many_there_would_be_besides() {
    for (servers, asked, unasked) in [(2, 2, 0), (3, 3, 0), (4, 3, 1), (6, 3, 3)] {
        let report = with_servers(servers).report();
        assert_eq!((report.relays.len(), report.unasked_relays), (asked, unasked), "{servers}");
        assert_eq!(report.to_string().contains("relays not asked"), unasked > 0, "{report}");
    }
}

/// Networks come and go for days, and connections to servers: what came by those that are gone is in nobody's way.
#[test]
fn relays_of_sockets_that_are_gone_make_room_for_others() {
    let mut side = with_servers(1);
    let (now, credentials) = (epoch(), stun::Credentials::new("alice", "wonderland").unwrap());
    allocate(&mut side, |_| "198.51.100.1:50000".parse().unwrap());
    side.remove_relay_socket(now, SOCKET.parse().unwrap());
    for port in 6000..6020 {
        let socket = SocketAddr::new([203, 0, 113, 1].into(), port);
        side.add_relay_socket(now, socket);
        allocate(&mut side, |_| SocketAddr::new([198, 51, 100, 1].into(), port));
        let is_there = |side: &Connectivity| {
            side.local_candidates().any(|local| local.kind == Kind::Relayed && local.address.port() == port)
        };
        assert!(is_there(&side), "{port}: {}", side.report());
        side.remove_relay_socket(now, socket);
        assert!(!is_there(&side));
        let path = Path { carrier: Carrier::Stream, local: socket, remote: SERVER.parse().unwrap() };
        side.add_relay_stream(now, path, credentials.clone());
        allocate(&mut side, |_| SocketAddr::new([198, 51, 100, 1].into(), port));
        assert!(is_there(&side), "{port}: {}", side.report());
        side.remove_relay_stream(now, path);
        assert!(!is_there(&side));
        assert!(side.report().relays.len() <= 3 && side.report().unasked_relays == 0);
    }
}

/// The addresses of a service change, of which those come to be known one after another that there are now.
#[test]
fn servers_that_failed_make_room_for_others() {
    let (mut side, mut now) = (with_servers(3), epoch());
    let add = |side: &mut Connectivity, now, last: u8| {
        let address: SocketAddr = ([203, 0, 113, last], 3478).into();
        let credentials = stun::Credentials::new("alice", "wonderland").unwrap();
        side.add_turn_server(now, TurnServer::new(address, credentials));
        side.report().relays.iter().any(|relay| relay.server == address && relay.is_pending)
    };
    assert!(!add(&mut side, now, 9), "those that are asked are in use");
    for last in 10..20 {
        // Nobody answers.
        for _ in 0..60 {
            now += Duration::from_secs(1);
            let mut memory = [0; 1500];
            while side.poll_transmit(now, &mut Batch::new(&mut memory, 1, 1500)).is_some() {}
            side.handle_timeout(now);
        }
        assert!(side.report().relays.iter().all(|relay| relay.failure.is_some()), "{}", side.report());
        assert!(add(&mut side, now, last), "{last}: {}", side.report());
    }
}

#[test]
fn what_is_closed_is_given_back() {
    let (mut world, a, b) = world(Nat::symmetric(), Nat::symmetric(), 1, |_| {});
    assert!(world.run(Duration::from_secs(10), |world| {
        trickle(world, a, b);
        is_connected(world, a) && is_connected(world, b)
    }));
    assert_eq!(allocations(&mut world), 2);
    let now = world.now();
    for end in [a, b] {
        side(&mut world, end).close(now);
    }
    world.run(Duration::from_secs(1), |_| false);
    assert_eq!(allocations(&mut world), 0);
}

/// The server forgets everything: the relayed candidates go, others come, and a restart finds the new way.
#[test]
fn a_relay_that_restarts_is_found_again() {
    let (mut world, a, b) = world(Nat::symmetric(), Nat::symmetric(), 3, |_| {});
    assert!(world.run(Duration::from_secs(10), |world| {
        trickle(world, a, b);
        is_connected(world, a) && is_connected(world, b)
    }));
    let before: Vec<_> = relayed(&mut world, a);
    let (id, _) = world.machines.iter().find(|(_, host)| matches!(host, Host::Server { .. })).unwrap();
    let id = *id;
    world.machines.insert(id, Host::server(9));
    // The next refresh of a permission tells.
    world.run(Duration::from_secs(300), |world| {
        trickle(world, a, b);
        false
    });
    let after = relayed(&mut world, a);
    assert!(!after.is_empty() && after != before, "{before:?} {after:?}");
    restart(&mut world, a, b);
    assert!(world.run(Duration::from_secs(20), |world| {
        trickle(world, a, b);
        is_connected(world, a) && is_connected(world, b)
    }));
    exchange(&mut world, a, b);
}

fn restart(world: &mut World<Host>, a: HostId, b: HostId) {
    let now = world.now();
    for end in [a, b] {
        side(world, end).restart(now);
    }
    let [one, two] = [a, b].map(|end| side(world, end).local_credentials().clone());
    side(world, a).set_remote_credentials(now, two);
    side(world, b).set_remote_credentials(now, one);
}

/// A server that has begun anew, or a laptop that wakes behind another NAT, under the address that it had: nothing says so, and a
/// refresh is minutes away.
#[test]
fn a_restart_finds_out_which_relays_are_still_there() {
    let (mut world, a, b) = world(Nat::symmetric(), Nat::symmetric(), 3, |_| {});
    assert!(world.run(Duration::from_secs(10), |world| {
        trickle(world, a, b);
        is_connected(world, a) && is_connected(world, b)
    }));
    let (id, _) = world.machines.iter().find(|(_, host)| matches!(host, Host::Server { .. })).unwrap();
    let id = *id;
    let before = [a, b].map(|end| relayed(&mut world, end));
    world.machines.insert(id, Host::server(9));
    restart(&mut world, a, b);
    assert!(world.run(Duration::from_secs(3), |world| {
        trickle(world, a, b);
        let after = [a, b].map(|end| relayed(world, end));
        after.iter().zip(&before).all(|(after, before)| !after.is_empty() && after != before)
    }));
    assert!(world.run(Duration::from_secs(5), |world| {
        trickle(world, a, b);
        is_connected(world, a) && is_connected(world, b)
    }));
    exchange(&mut world, a, b);
}

/// What an address change is: in which order, and how long there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    NewFirst,
    OldFirst,
    Gap(Duration),
}

/// The first side, which is reached by a relay alone, changes its address; whether its relayed one stays.
fn change_address(order: Order, mobility: bool, seed: u8) -> bool {
    // The other one reaches nobody but servers, and goes through the relay of the first.
    let relay_only = |config: &mut Config| config.relay_only = true;
    let (mut world, a, b) = world(Nat::cone(), Nat::symmetric(), seed, relay_only);
    let (id, _) = world.machines.iter().find(|(_, host)| matches!(host, Host::Server { .. })).unwrap();
    let id = *id;
    world.machines.insert(id, Host::server_with(7, |config| config.mobility = mobility));
    assert!(world.run(Duration::from_secs(10), |world| {
        trickle(world, a, b);
        [a, b].iter().all(|end| side(world, *end).state() == State::Completed)
    }));
    exchange(&mut world, a, b);
    let before = relayed(&mut world, a);
    let new: SocketAddr = "192.168.1.3:5000".parse().unwrap();
    world.network.set_addresses(a, &[new.ip()]);
    let old = "192.168.1.2:5000".parse().unwrap();
    let now = world.now();
    if order == Order::NewFirst {
        side(&mut world, a).add_relay_socket(now, new);
        side(&mut world, a).remove_relay_socket(now, old);
    } else {
        side(&mut world, a).remove_relay_socket(now, old);
        if let Order::Gap(gap) = order {
            world.run(gap, |_| false);
        }
        let now = world.now();
        side(&mut world, a).add_relay_socket(now, new);
    }
    world.run(Duration::from_secs(1), |_| false);
    let stays = relayed(&mut world, a) == before;
    let Some(Host::Server { server, .. }) = world.machines.get(&id) else { panic!("a server") };
    let (moved, allocated) = (server.stats().moved, server.stats().allocated);
    assert_eq!((moved, allocated), if mobility { (1, 2) } else { (0, 3) }, "{order:?}");
    if stays {
        assert_eq!(side(&mut world, a).report().relays.len(), 1);
        // Without ICE being begun anew.
        exchange(&mut world, a, b);
    }
    stays
}

/// RFC 8016: the relayed address stays, whatever the order in which our own come and go, and data goes on.
#[test]
fn a_relayed_address_goes_along_to_another_socket() {
    for seed in 0..5 {
        for order in [Order::NewFirst, Order::OldFirst, Order::Gap(Duration::from_secs(4))] {
            assert!(change_address(order, true, seed), "{order:?} {seed}");
        }
    }
}

#[test]
fn without_a_ticket_another_relayed_address_is_asked_for() {
    for order in [Order::NewFirst, Order::OldFirst, Order::Gap(Duration::from_secs(4))] {
        assert!(!change_address(order, false, 1), "{order:?}");
    }
}

/// The other socket has an allocation of the same server, which is in use: both cannot be there.
#[test]
fn where_another_socket_has_a_relay_already_the_old_one_is_given_up() {
    let (mut world, a, b) = world(Nat::cone(), Nat::symmetric(), 2, |config| config.relay_only = true);
    let now = world.now();
    world.network.set_addresses(a, &["192.168.1.2".parse().unwrap(), "192.168.1.3".parse().unwrap()]);
    side(&mut world, a).add_relay_socket(now, "192.168.1.3:5000".parse().unwrap());
    assert!(world.run(Duration::from_secs(10), |world| {
        trickle(world, a, b);
        [a, b].iter().all(|end| side(world, *end).state() == State::Completed)
    }));
    let before = relayed(&mut world, a);
    assert_eq!(before.len(), 2);
    let now = world.now();
    side(&mut world, a).remove_relay_socket(now, "192.168.1.2:5000".parse().unwrap());
    world.run(Duration::from_secs(1), |_| false);
    let after = relayed(&mut world, a);
    assert!(after.len() == 1 && before.contains(&after[0]), "{before:?} {after:?}");
}

fn relayed(world: &mut World<Host>, end: HostId) -> Vec<SocketAddr> {
    let candidates = side(world, end).local_candidates().filter(|candidate| candidate.kind == Kind::Relayed);
    candidates.filter_map(|candidate| candidate.address.ip()).collect()
}

fn world(nat_a: Nat, nat_b: Nat, seed: u8, change: impl Fn(&mut Config)) -> (World<Host>, HostId, HostId) {
    let mut network = Network::new([seed; 32]);
    let link = Link { delay: Duration::from_millis(10), ..Link::default() };
    let server: SocketAddr = SERVER.parse().unwrap();
    let s = network.add_host(Lan::Public, &[server.ip()], link.clone());
    let lan_a = network.add_nat(Lan::Public, "203.0.113.1".parse().unwrap(), nat_a);
    let lan_b = network.add_nat(Lan::Public, "203.0.113.2".parse().unwrap(), nat_b);
    let a = network.add_host(lan_a, &["192.168.1.2".parse().unwrap()], link.clone());
    let b = network.add_host(lan_b, &["192.168.2.2".parse().unwrap()], link);
    let mut world = World::new(network);
    world.max_datagram = 1300;
    world.machines.insert(s, Host::server(7));
    let mut sides = [("192.168.1.2", Role::Controlling, 1), ("192.168.2.2", Role::Controlled, 2)].map(
        |(address, role, number)| {
            let mut config = Config::default();
            config.ice.role = role;
            config.stun_servers = vec![server];
            config.turn_servers = vec![turn_server()];
            change(&mut config);
            let mut side = Connectivity::new(epoch(), config, [number + 3 * seed; 32]);
            let at = |port| SocketAddr::new(address.parse().unwrap(), port);
            side.add_host(epoch(), at(4000)).unwrap();
            side.add_relay_socket(epoch(), at(5000));
            side.gather(epoch());
            side
        },
    );
    let [one, two] = &mut sides;
    one.set_remote_credentials(epoch(), two.local_credentials().clone());
    two.set_remote_credentials(epoch(), one.local_credentials().clone());
    for (id, side) in [a, b].into_iter().zip(sides) {
        world.machines.insert(id, Host::side(side));
    }
    (world, a, b)
}

fn allocations(world: &mut World<Host>) -> usize {
    let of =
        |host: &Host| if let Host::Server { server, .. } = host { server.stats().allocations } else { 0 };
    world.machines.values().map(of).sum()
}
