//! Several servers that are one for their clients.

use std::net::SocketAddr;
use std::time::Duration;

use stun::wire::{Attribute, Method};
use turn::Server;
use turn::server::{Config, Shared};

use crate::support::{Asker, Bench, config, inbound};

/// Two workers, and what they share.
fn workers(config: Config) -> ([Bench; 2], Shared) {
    let shared = Shared::new(&config, [5; 32]);
    let worker = |seed: u8| {
        let mut bench = Bench::new(config.clone());
        let mut users = turn::Users::default();
        for name in ["alice", "bob"] {
            users.add(config.provider, &config.realm, name, "wonderland").unwrap();
        }
        bench.server = Server::one_of_several(bench.now, config.clone(), users, shared.clone(), [seed; 32]);
        bench
    };
    ([worker(1), worker(2)], shared)
}

/// A client from a port of its own.
fn from(port: u16, name: &str) -> Asker {
    Asker::new(&format!("198.51.100.7:{port}"), name, "wonderland")
}

#[test]
fn quotas_are_those_of_all_workers() {
    let mut config = config();
    (config.max_allocations_per_user, config.max_allocations_per_source, config.max_allocations) = (3, 5, 6);
    let ([mut one, mut other], shared) = workers(config);
    let mut code = |worker: usize, port: u16, name: &str| {
        let bench = if worker == 0 { &mut one } else { &mut other };
        from(port, name).allocate(bench, &[]).code()
    };
    let codes: Vec<u16> = (1..=4).map(|port| code(usize::from(port % 2), port, "alice")).collect();
    assert_eq!(codes, [0, 0, 0, 486], "of a user");
    assert_eq!([code(0, 5, "bob"), code(1, 6, "bob"), code(0, 7, "bob")], [0, 0, 486], "of a source");
    let mut elsewhere = Asker::new("198.51.100.8:1", "bob", "wonderland");
    assert_eq!(elsewhere.allocate(&mut one, &[]).code(), 0);
    let mut elsewhere = Asker::new("198.51.100.9:1", "carol", "wonderland");
    elsewhere.long_term = from(1, "alice").long_term;
    assert_eq!(elsewhere.allocate(&mut other, &[]).code(), 486, "alice has three");
    assert_eq!(shared.allocations(), 6);
    assert_eq!(one.server.stats().allocations + other.server.stats().allocations, 6);
    // What ends at one is free at the other.
    for bench in [&mut one, &mut other] {
        bench.sleep(Duration::from_secs(600));
    }
    assert_eq!((shared.allocations(), shared.free_ports()), (0, 2 * 16_384));
    for port in 1..=3 {
        assert_eq!(from(port, "alice").allocate(&mut other, &[]).code(), 0);
    }
}

#[test]
fn the_total_is_that_of_all_workers() {
    let mut config = config();
    (config.max_allocations_per_user, config.max_allocations) = (100, 4);
    let ([mut one, mut other], _) = workers(config);
    let mut codes = Vec::new();
    for port in 1..=6 {
        let bench = if port % 2 == 0 { &mut one } else { &mut other };
        codes.push(from(port, "alice").allocate(bench, &[]).code());
    }
    assert_eq!(codes, [0, 0, 0, 0, 508, 508]);
}

#[test]
fn no_port_is_given_by_two_workers() {
    let mut config = config();
    config.ports = 50_000..=50_009;
    (config.max_allocations_per_user, config.max_allocations_per_source) = (100, 100);
    let ([mut one, mut other], shared) = workers(config);
    let mut given = std::collections::BTreeSet::new();
    for port in 1..=10 {
        let bench = if port % 3 == 0 { &mut one } else { &mut other };
        assert!(given.insert(from(port, "alice").allocate(bench, &[]).relayed()), "{port}");
    }
    assert_eq!(from(11, "alice").allocate(&mut one, &[]).code(), 508);
    assert_eq!(one.server.stats().free_ports, shared.free_ports());
}

/// RFC 8656 §7.2: a second allocation comes from another port, and so perhaps to another worker.
#[test]
fn a_port_that_one_worker_keeps_is_given_by_another() {
    let ([mut one, mut other], shared) = workers(config());
    let free = shared.free_ports();
    let first = from(1, "alice").allocate(&mut one, &[Attribute::EvenPort { reserve: true }]);
    let token = first
        .find(|attribute| if let Attribute::ReservationToken(token) = attribute { Some(token) } else { None })
        .unwrap();
    let second = from(2, "alice").allocate(&mut other, &[Attribute::ReservationToken(token)]);
    assert_eq!(second.relayed().port(), first.relayed().port() + 1);
    assert_eq!(
        from(3, "alice").allocate(&mut one, &[Attribute::ReservationToken(token)]).code(),
        508,
        "once"
    );
    // What is shown to another does not come back when its time at the first is over, nor is it given twice.
    one.sleep(Duration::from_secs(30));
    assert_eq!(shared.free_ports(), free - 2);
    for bench in [&mut one, &mut other] {
        bench.sleep(Duration::from_secs(600));
    }
    assert_eq!(shared.free_ports(), free);
    // One that nobody shows comes back.
    from(4, "alice").allocate(&mut one, &[Attribute::EvenPort { reserve: true }]);
    one.sleep(Duration::from_secs(30));
    assert_eq!(shared.free_ports(), free - 1);
}

/// What is kept of the ports that are kept does not grow with those that are redeemed elsewhere.
#[test]
fn reservations_have_their_limit_over_all_workers() {
    let mut config = config();
    (config.max_reservations, config.max_refusals_per_second) = (2, 1000);
    (config.max_allocations_per_user, config.max_allocations_per_source) = (1000, 1000);
    let ([mut one, mut other], shared) = workers(config);
    let reserve = [Attribute::EvenPort { reserve: true }];
    for port in 0..50 {
        let first = from(100 + 2 * port, "alice").allocate(&mut one, &reserve);
        let token =
            first.find(
                |attribute| {
                    if let Attribute::ReservationToken(token) = attribute { Some(token) } else { None }
                },
            );
        let token = [Attribute::ReservationToken(token.unwrap())];
        assert_eq!(from(101 + 2 * port, "alice").allocate(&mut other, &token).code(), 0);
    }
    assert_eq!(from(1, "alice").allocate(&mut one, &reserve).code(), 0);
    assert_eq!(from(2, "alice").allocate(&mut other, &reserve).code(), 0);
    assert_eq!(from(3, "alice").allocate(&mut one, &reserve).code(), 508);
    let used = 50 * 2 + 2 * 2;
    assert_eq!(shared.free_ports(), 2 * 16_384 - used);
    one.sleep(Duration::from_secs(30));
    other.sleep(Duration::from_secs(30));
    assert_eq!(from(3, "alice").allocate(&mut one, &reserve).code(), 0);
}

#[test]
fn relays_of_two_workers_reach_each_other_while_they_live() {
    let mut open = config();
    open.peers.allow.push("192.0.2.1".parse().unwrap());
    let ([mut one, mut other], _) = workers(open);
    let (mut alice, mut bob) = (from(1, "alice"), from(2, "bob"));
    let ours = alice.allocate(&mut one, &[]).relayed();
    let theirs = bob.allocate(&mut other, &[]).relayed();
    assert_eq!(alice.permit(&mut one, &theirs.to_string()), 0);
    assert_eq!(bob.bind(&mut other, 0x4000, &ours.to_string()), 0);
    let sent = alice.send(&mut one, &theirs.to_string(), b"hello").unwrap().unwrap();
    let came = other.receive(inbound(theirs, &ours.to_string()), &sent.bytes).unwrap().unwrap();
    assert_eq!((came.path, &came.bytes[4..]), (bob.path, &b"hello"[..]));
    // THREATS T10: no other port of the server's is reached.
    let beside = SocketAddr::new(theirs.ip(), theirs.port() ^ 1).to_string();
    assert!(alice.send(&mut one, &beside, b"x").is_err());
    assert_eq!(bob.call(&mut other, Method::REFRESH, &[Attribute::Lifetime(0)]).code(), 0);
    assert!(alice.send(&mut one, &theirs.to_string(), b"x").is_err(), "it lives no more");
}

/// THREATS T6: a network that asks all workers gets no more answers than one that asks one.
#[test]
fn strangers_are_refused_so_many_times_by_all_workers() {
    let ([mut one, mut other], _) = workers(config());
    let mut answers = 0;
    for port in 1..=100 {
        let bench = if port % 2 == 0 { &mut one } else { &mut other };
        let mut stranger = from(port, "alice");
        let request = stranger.request(Method::ALLOCATE, &[Attribute::RequestedTransport(17)]);
        answers += usize::from(bench.ask(stranger.path, &request).is_some());
    }
    assert_eq!(answers, 20);
}

/// A client that the system gives to another worker needs no new nonce.
#[test]
fn a_nonce_of_one_worker_is_taken_by_another() {
    let ([mut one, mut other], _) = workers(config());
    let mut alice = from(1, "alice");
    alice.meet(&mut one);
    let request = alice.request(Method::ALLOCATE, &[Attribute::RequestedTransport(17)]);
    assert_eq!(other.ask(alice.path, &request).unwrap().code(), 0);
}

#[test]
fn the_bandwidth_is_that_of_all_workers() {
    let mut slow = config();
    slow.max_total_bandwidth = Some(10_000);
    let ([mut one, mut other], _) = workers(slow);
    let (mut alice, mut bob) = (from(1, "alice"), from(2, "bob"));
    alice.allocate(&mut one, &[]);
    bob.allocate(&mut other, &[]);
    assert_eq!([alice.permit(&mut one, "8.8.4.4:1"), bob.permit(&mut other, "8.8.4.4:1")], [0, 0]);
    let mut sent = 0;
    for _ in 0..100 {
        sent += usize::from(alice.send(&mut one, "8.8.4.4:1", &[0; 1000]).is_ok());
        sent += usize::from(bob.send(&mut other, "8.8.4.4:1", &[0; 1000]).is_ok());
    }
    assert_eq!(sent, 10);
    assert_eq!(one.server.stats().relayed_bytes + other.server.stats().relayed_bytes, 10_000);
}
