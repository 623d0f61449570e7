//! Limits: at each of them, and one past it (THREATS T3, §2.5).

use std::time::Duration;

use stun::wire::{Attribute, Method};

use crate::support::{Asker, Bench, PEER, config};

fn asker(n: u32, user: &str) -> Asker {
    Asker::new(&format!("198.{}.{}.{}:4000", 51 + n / 65_536, n / 256 % 256, n % 256), user, "wonderland")
}

#[test]
fn a_user_and_a_source_and_all_together_have_so_many_allocations() {
    let mut few = config();
    (few.max_allocations_per_user, few.max_allocations_per_source, few.max_allocations) = (10, 12, 15);
    let mut bench = Bench::new(few);
    let mut same_source = |port: u32, user: &str| {
        let mut asker = Asker::new(&format!("198.51.100.7:{port}"), user, "wonderland");
        asker.allocate(&mut bench, &[]).code()
    };
    assert!((0..10).all(|n| same_source(1000 + n, "alice") == 0));
    assert_eq!(same_source(2000, "alice"), 486, "the user's");
    assert!((0..2).all(|n| same_source(3000 + n, "bob") == 0));
    assert_eq!(same_source(4000, "bob"), 486, "the source's");
    assert!((0..3).all(|n| asker(n, "bob").allocate(&mut bench, &[]).code() == 0));
    assert_eq!(asker(9, "bob").allocate(&mut bench, &[]).code(), 508, "all together");
    bench.sleep(Duration::from_secs(600));
    assert_eq!((bench.server.stats().allocations, bench.sockets.len()), (0, 0));
    assert_eq!(asker(9, "alice").allocate(&mut bench, &[]).code(), 0);
}

/// Whoever has an IPv6 address has 2^64 of them.
#[test]
fn the_addresses_of_a_network_are_one_source() {
    let mut few = config();
    (few.max_allocations_per_user, few.max_allocations_per_source) = (100, 2);
    let mut bench = Bench::new(few);
    let mut from =
        |address: &str| Asker::new(address, "alice", "wonderland").allocate(&mut bench, &[]).code();
    assert_eq!([from("[2600::1]:1"), from("[2600::2]:1"), from("[2600::ffff:3]:1")], [0, 0, 486]);
    assert_eq!([from("[2600:0:0:1::1]:1"), from("198.51.100.7:1"), from("198.51.100.8:1")], [0, 0, 0]);
}

#[test]
fn ports_end_and_come_back() {
    let mut few = config();
    few.ports = 50_000..=50_004;
    few.relays.truncate(1);
    let mut bench = Bench::new(few);
    assert!((0..5).all(|n| asker(n, "alice").allocate(&mut bench, &[]).code() == 0));
    assert_eq!(asker(5, "alice").allocate(&mut bench, &[]).code(), 508);
    bench.sleep(Duration::from_secs(600));
    assert_eq!(asker(5, "alice").allocate(&mut bench, &[]).code(), 0);
}

#[test]
fn permissions_and_channels_have_their_limits() {
    let mut few = config();
    (few.max_permissions, few.max_channels) = (5, 3);
    let (mut bench, mut alice) = (Bench::new(few), Asker::alice());
    alice.allocate(&mut bench, &[]);
    for n in 0..5 {
        assert_eq!(alice.permit(&mut bench, &format!("8.8.8.{n}:1")), 0);
    }
    assert_eq!(alice.permit(&mut bench, "8.8.8.9:1"), 508);
    assert_eq!(alice.permit(&mut bench, "8.8.8.4:2"), 0, "renewed");
    assert_eq!(alice.bind(&mut bench, 0x4000, "8.8.8.9:1"), 508, "a channel needs a permission");
    for n in 0..3 {
        assert_eq!(alice.bind(&mut bench, 0x4000 + n, &format!("8.8.8.{n}:1")), 0);
    }
    assert_eq!(alice.bind(&mut bench, 0x4003, "8.8.8.3:1"), 508);
    bench.sleep(Duration::from_secs(300));
    assert_eq!(alice.permit(&mut bench, "8.8.8.9:1"), 0, "the old ones have ended");
}

#[test]
fn a_peer_that_is_named_twice_counts_once() {
    let mut few = config();
    few.max_permissions = 2;
    let (mut bench, mut alice) = (Bench::new(few), Asker::alice());
    alice.allocate(&mut bench, &[]);
    let peer = |text: &str| Attribute::XorPeerAddress(text.parse().unwrap());
    let [first, again, second, third] = ["8.8.8.1:1", "8.8.8.1:2", "8.8.8.2:1", "8.8.8.3:1"].map(peer);
    let mut permit =
        |peers: &[Attribute<'_>]| alice.call(&mut bench, Method::CREATE_PERMISSION, peers).code();
    assert_eq!(permit(&[first, again, second]), 0);
    assert_eq!(permit(&[first, third]), 508);
}

#[test]
fn reservations_have_their_limit() {
    let mut few = config();
    few.max_reservations = 1;
    let mut bench = Bench::new(few);
    let pair = [Attribute::EvenPort { reserve: true }];
    assert_eq!(asker(0, "alice").allocate(&mut bench, &pair).code(), 0);
    let free = bench.server.stats().free_ports;
    assert_eq!(asker(1, "alice").allocate(&mut bench, &pair).code(), 508);
    assert_eq!(bench.server.stats().free_ports, free, "nothing was kept");
}

/// Ports that are kept outlive the allocations that they were kept for: nobody has all of them.
#[test]
fn a_user_keeps_no_more_ports_than_he_may_have_allocations() {
    let mut few = config();
    few.max_allocations_per_user = 3;
    let mut bench = Bench::new(few);
    let pair = [Attribute::EvenPort { reserve: true }];
    let codes = (0..64).map(|n| {
        let mut alice = asker(n * 256, "alice");
        let code = alice.allocate(&mut bench, &pair).code();
        alice.call(&mut bench, Method::REFRESH, &[Attribute::Lifetime(0)]);
        code
    });
    let codes: Vec<u16> = codes.collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 3, "{codes:?}");
    assert!(codes.iter().all(|code| [0, 486].contains(code)), "{codes:?}");
    assert_eq!(asker(64 * 256, "bob").allocate(&mut bench, &pair).code(), 0);
    let free = bench.server.stats().free_ports;
    bench.sleep(Duration::from_secs(30));
    assert_eq!(bench.server.stats().free_ports, free + 4);
    assert_eq!(asker(65 * 256, "alice").allocate(&mut bench, &pair).code(), 0);
}

#[test]
fn answers_that_wait_have_their_limit() {
    let mut few = config();
    few.max_replies = 3;
    let mut bench = Bench::new(few);
    for n in 0..5 {
        let mut asker = asker(n, "alice");
        let request = asker.request(Method::BINDING, &[]);
        assert_eq!(bench.receive(asker.path, &request).is_ok(), n < 3);
    }
    assert_eq!((0..9).filter(|_| bench.poll().is_some()).count(), 3);
    assert_eq!(bench.server.stats().unanswered, 2);
}

/// THREATS T3: a hundred thousand times.
#[test]
fn ports_and_sockets_never_leak() {
    let mut few = config();
    few.ports = 50_000..=50_063;
    let (mut bench, mut alice) = (Bench::new(few), Asker::alice());
    let free = bench.server.stats().free_ports;
    for round in 0..testkit::scaled_at_least(100_000, 1_000) {
        let kind: &[Attribute<'_>] = match round % 4 {
            0 => &[],
            1 => &[Attribute::EvenPort { reserve: true }],
            2 => &[Attribute::AdditionalAddressFamily(stun::wire::AddressFamily::V6)],
            _ => &[Attribute::EvenPort { reserve: false }],
        };
        assert_eq!(alice.allocate(&mut bench, kind).code(), 0, "{round}");
        if round % 2 == 0 {
            bench.sleep(Duration::from_secs(600));
        } else {
            alice.call(&mut bench, Method::REFRESH, &[Attribute::Lifetime(0)]);
            bench.sleep(Duration::from_secs(30));
        }
        assert_eq!((bench.server.stats().free_ports, bench.sockets.len()), (free, 0), "{round}");
    }
}

#[test]
fn a_server_that_drains_makes_no_allocations_and_keeps_those_that_live() {
    let mut bench = Bench::new(config());
    let mut alice = Asker::alice();
    let made = alice.allocate(&mut bench, &[]);
    bench.server.drain();
    assert_eq!(asker(5, "bob").allocate(&mut bench, &[]).code(), 508);
    assert_eq!(alice.permit(&mut bench, PEER), 0);
    let refreshed = alice.call(&mut bench, Method::REFRESH, &[Attribute::Lifetime(900)]);
    assert_eq!((made.code(), refreshed.code(), refreshed.lifetime()), (0, 0, 900));
    bench.sleep(Duration::from_secs(900));
    assert_eq!(bench.server.stats().allocations, 0);
}
