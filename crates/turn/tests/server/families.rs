//! Relayed addresses of both families of one allocation: had, refused and given back each for itself.

use std::time::Duration;

use stun::wire::{AddressFamily, Attribute, Method};
use turn::server::{Discard, Event};

use crate::support::{Answer, Asker, Bench, config, inbound};

const BOTH: Attribute<'_> = Attribute::AdditionalAddressFamily(AddressFamily::V6);
const FOUR: &str = "8.8.8.8:9";
const SIX: &str = "[2600::1]:9";

fn relayed(answer: &Answer) -> Vec<std::net::SocketAddr> {
    let pick = |attribute| match attribute {
        Attribute::XorRelayedAddress(address) => Some(address),
        _ => None,
    };
    answer.message().attributes().filter_map(pick).collect()
}

/// RFC 8656 §8.1: a Refresh that ends one family's leaves the other's, with its permissions and channels.
#[test]
fn one_family_is_given_back_and_the_other_stays() {
    for (gone, kept, family) in [(FOUR, SIX, AddressFamily::V4), (SIX, FOUR, AddressFamily::V6)] {
        let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
        let free = bench.server.stats().free_ports;
        let relayed = relayed(&alice.allocate(&mut bench, &[BOTH]));
        assert_eq!((alice.bind(&mut bench, 0x4000, gone), alice.bind(&mut bench, 0x4001, kept)), (0, 0));
        let ended = [Attribute::Lifetime(0), Attribute::RequestedAddressFamily(family)];
        let answer = alice.call(&mut bench, Method::REFRESH, &ended);
        assert_eq!((answer.code(), answer.lifetime()), (0, 0));
        assert_eq!((bench.sockets.len(), bench.server.stats().free_ports), (1, free - 1), "{family:?}");
        assert_eq!(bench.server.stats().allocations, 1);
        let other = relayed.iter().find(|relay| bench.sockets.contains(relay)).unwrap();
        assert_eq!(other.is_ipv4(), family == AddressFamily::V6);
        assert_eq!(alice.send(&mut bench, gone, b"x").err(), Some(Discard::NoPermission));
        assert_eq!(bench.receive(alice.path, &[0x40, 0, 0, 0]).err(), Some(Discard::NoChannel));
        assert!(alice.send(&mut bench, kept, b"x").is_ok());
        assert!(bench.receive(alice.path, &[0x40, 1, 0, 0]).is_ok_and(|relayed| relayed.is_some()));
        assert!(bench.receive(inbound(*other, kept), b"y").is_ok_and(|relayed| relayed.is_some()));
        assert_eq!(alice.permit(&mut bench, gone), 443);
        assert_eq!(alice.call(&mut bench, Method::REFRESH, &ended).code(), 443, "there is none any more");
        assert_eq!(alice.call(&mut bench, Method::REFRESH, &[]).lifetime(), 600);
        bench.sleep(Duration::from_secs(600));
        assert_eq!((bench.sockets.len(), bench.server.stats().free_ports), (0, free));
        assert_eq!((bench.server.stats().allocations, bench.usages.len()), (0, 2));
    }
    // The last one ends the allocation.
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    alice.allocate(&mut bench, &[]);
    let ended = [Attribute::Lifetime(0), Attribute::RequestedAddressFamily(AddressFamily::V4)];
    assert_eq!(alice.call(&mut bench, Method::REFRESH, &ended).code(), 0);
    assert_eq!((bench.server.stats().allocations, bench.sockets.len()), (0, 0));
}

/// RFC 8656 §7.2: a second family that cannot be had costs the first nothing, in whichever order that turns out.
#[test]
fn a_second_family_whose_sockets_cannot_be_had_leaves_the_first() {
    for is_first_opened_before in [true, false] {
        let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
        let free = bench.server.stats().free_ports;
        alice.meet(&mut bench);
        let request = alice.request(Method::ALLOCATE, &[Attribute::RequestedTransport(17), BOTH]);
        let arrival = turn::Arrival { path: alice.path, ecn: None, at: bench.now };
        let _ = bench.server.handle_datagram(arrival, &request).unwrap();
        let (mut first, mut refused) = (None, 0);
        while let Some(event) = bench.server.poll_event() {
            match event {
                Event::Open(four) if four.is_ipv4() && is_first_opened_before => {
                    bench.server.relay_opened(bench.now, four);
                    first = Some(four);
                }
                Event::Open(four) if four.is_ipv4() => first = Some(four),
                Event::Open(six) => {
                    refused += 1;
                    bench.server.relay_failed(bench.now, six);
                }
                Event::Began(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!((2..=8).contains(&refused), "{refused}");
        if !is_first_opened_before {
            assert!(bench.poll().is_none());
            bench.server.relay_opened(bench.now, first.unwrap());
        }
        let answer = bench.poll().unwrap();
        let error = answer.find(|attribute| match attribute {
            Attribute::AddressError(error) => Some((error.family, error.code)),
            _ => None,
        });
        assert_eq!((answer.code(), relayed(&answer)), (0, vec![first.unwrap()]));
        assert_eq!(error, Some((AddressFamily::V6, 508)));
        assert_eq!((bench.server.stats().allocations, bench.server.stats().free_ports), (1, free - 1));
        assert_eq!(bench.server.stats().allocated, 1);
        assert_eq!((alice.permit(&mut bench, FOUR), alice.permit(&mut bench, SIX)), (0, 443));
    }
}

/// Where a socket cannot be had, somebody else's may be: no relay's is there, and nothing is sent to it.
#[test]
fn a_port_that_another_program_has_is_no_peer() {
    let mut open = config();
    open.peers.allow.push("192.0.2.1".parse().unwrap());
    open.ports = 50_000..=50_001;
    let (mut bench, mut alice) = (Bench::new(open), Asker::alice());
    let own = alice.allocate(&mut bench, &[]).relayed();
    assert_eq!(alice.permit(&mut bench, "192.0.2.1:1"), 0);
    let mut bob = Asker::new("198.51.100.8:1", "bob", "wonderland");
    bob.meet(&mut bench);
    let request = bob.request(Method::ALLOCATE, &[Attribute::RequestedTransport(17)]);
    let arrival = turn::Arrival { path: bob.path, ecn: None, at: bench.now };
    let _ = bench.server.handle_datagram(arrival, &request).unwrap();
    let Some(Event::Open(taken)) = bench.server.poll_event() else { panic!("a socket") };
    assert_ne!(own, taken);
    bench.server.relay_failed(bench.now, taken);
    assert_eq!(bench.poll().unwrap().code(), 508);
    let sent = alice.send(&mut bench, &taken.to_string(), b"x");
    assert_eq!(sent.err(), Some(Discard::NoPermission));
}
