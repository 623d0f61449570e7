//! Allocations that go along with their client (RFC 8016).

use std::time::Duration;

use stun::wire::{Attribute, Method};

use crate::support::{Answer, Asker, Bench, PEER, config, inbound};

fn ticket(answer: &Answer) -> Option<Vec<u8>> {
    answer.find(|attribute| match attribute {
        Attribute::MobilityTicket(ticket) => Some(ticket.to_vec()),
        _ => None,
    })
}

/// Alice at another address: she knows her name, and has no nonce for there yet.
fn elsewhere(port: u16) -> Asker {
    Asker::new(&format!("203.0.113.50:{port}"), "alice", "wonderland")
}

#[test]
fn an_allocation_goes_along_with_all_that_belongs_to_it() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    let answer = alice.allocate(&mut bench, &[Attribute::MobilityTicket(&[])]);
    let (relayed, first) = (answer.relayed(), ticket(&answer).unwrap());
    assert_eq!(alice.bind(&mut bench, 0x4000, PEER), 0);
    let mut moved = elsewhere(1);
    let answer = moved.call(&mut bench, Method::REFRESH, &[Attribute::MobilityTicket(&first)]);
    assert_eq!((answer.code(), answer.lifetime()), (0, 600));
    let second = ticket(&answer).unwrap();
    assert_ne!(first, second);
    assert_eq!(bench.server.stats().moved, 1);
    // Both ways, from there alone.
    let sent = bench.receive(moved.path, &[0x40, 0, 0, 1, 7]).unwrap().unwrap();
    assert_eq!((sent.path, &sent.bytes[..]), (inbound(relayed, PEER), &[7][..]));
    assert_eq!(bench.receive(inbound(relayed, PEER), b"x").unwrap().unwrap().path, moved.path);
    assert!(bench.receive(alice.path, &[0x40, 0, 0, 1, 7]).is_err(), "from here no more");
    assert_eq!(alice.call(&mut bench, Method::REFRESH, &[]).code(), 437);
    // Its answer was lost: the same again is answered alike.
    let again = moved.call(&mut bench, Method::REFRESH, &[Attribute::MobilityTicket(&first)]);
    assert_eq!((again.code(), ticket(&again)), (0, Some(second.clone())));
    // And over TCP, whose connection it does not go with that it left before.
    let mut stream = elsewhere(2);
    stream.path.carrier = turn::Carrier::Stream;
    assert_eq!(stream.call(&mut bench, Method::REFRESH, &[Attribute::MobilityTicket(&second)]).code(), 0);
    bench.server.client_gone(bench.now, moved.path);
    assert_eq!(bench.server.stats().allocations, 1);
    bench.sleep(Duration::from_secs(600));
    let stats = bench.server.stats();
    assert_eq!((stats.allocations, bench.sockets.len(), stats.free_ports), (0, 0, 2 * 16_384));
}

/// RFC 8016: a client on TCP has lost its connection before it has another one. Meanwhile, and to whoever has its port
/// then, nothing is relayed.
#[test]
fn a_connection_that_breaks_leaves_what_there_is_a_ticket_for() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    alice.path.carrier = turn::Carrier::Stream;
    let answer = alice.allocate(&mut bench, &[Attribute::MobilityTicket(&[])]);
    let (relayed, first) = (answer.relayed(), ticket(&answer).unwrap());
    assert_eq!(alice.permit(&mut bench, PEER), 0);
    bench.server.client_gone(bench.now, alice.path);
    assert!(bench.receive(inbound(relayed, PEER), b"x").is_err());
    let mut bob = Asker::new("198.51.100.7:4000", "bob", "wonderland");
    bob.path.carrier = turn::Carrier::Stream;
    assert_eq!(bob.allocate(&mut bench, &[]).code(), 0, "the path is his");
    assert!(bench.receive(inbound(relayed, PEER), b"x").is_err());
    let mut moved = elsewhere(1);
    assert_eq!(moved.call(&mut bench, Method::REFRESH, &[Attribute::MobilityTicket(&first)]).code(), 0);
    assert_eq!(bench.receive(inbound(relayed, PEER), b"x").unwrap().unwrap().path, moved.path);
    assert_eq!(bob.permit(&mut bench, PEER), 0, "nobody took it from him");
    // Without anybody who comes for it, it ends in its time, and the other's does not with it.
    let mut carol = Asker::new("203.0.113.51:1", "alice", "wonderland");
    carol.path.carrier = turn::Carrier::Stream;
    carol.allocate(&mut bench, &[Attribute::MobilityTicket(&[])]);
    bench.server.client_gone(bench.now, carol.path);
    let mut dave = Asker::new("203.0.113.51:1", "bob", "wonderland");
    dave.path.carrier = turn::Carrier::Stream;
    dave.allocate(&mut bench, &[Attribute::Lifetime(3600)]);
    bench.sleep(Duration::from_secs(600));
    assert_eq!(dave.permit(&mut bench, PEER), 0);
    assert_eq!(bench.server.stats().allocations, 1);
}

/// An association of DTLS may end and begin anew between the same two ports.
#[test]
fn an_allocation_comes_back_to_the_path_that_it_was_parted_from() {
    let mut config = config();
    config.max_allocations_per_source = 1;
    let (mut bench, mut alice) = (Bench::new(config), Asker::alice());
    let answer = alice.allocate(&mut bench, &[Attribute::MobilityTicket(&[])]);
    let (relayed, first) = (answer.relayed(), ticket(&answer).unwrap());
    assert_eq!(alice.permit(&mut bench, PEER), 0);
    bench.server.client_gone(bench.now, alice.path);
    assert!(bench.receive(inbound(relayed, PEER), b"x").is_err());
    assert_eq!(alice.call(&mut bench, Method::REFRESH, &[Attribute::MobilityTicket(&first)]).code(), 0);
    assert_eq!(bench.receive(inbound(relayed, PEER), b"x").unwrap().unwrap().path, alice.path);
    assert_eq!(bench.server.stats().allocations, 1);
}

/// A ticket is good once, for its owner, and by every byte.
#[test]
fn nobody_takes_what_is_not_his() {
    let mut config = config();
    config.max_refusals_per_second = 1000;
    let (mut bench, mut alice) = (Bench::new(config), Asker::alice());
    let mut bob = Asker::new("198.51.100.8:1", "bob", "wonderland");
    let first = ticket(&alice.allocate(&mut bench, &[Attribute::MobilityTicket(&[])])).unwrap();
    bob.allocate(&mut bench, &[]);
    let take = |bench: &mut Bench, asker: &mut Asker, ticket: &[u8]| {
        asker.call(bench, Method::REFRESH, &[Attribute::MobilityTicket(ticket)]).code()
    };
    let mut thief = Asker::new("203.0.113.50:9", "bob", "wonderland");
    assert_eq!(take(&mut bench, &mut thief, &first), 441);
    let mut stranger = Asker::new("203.0.113.50:10", "alice", "wrong");
    assert_eq!(take(&mut bench, &mut stranger, &first), 401);
    for place in 0..first.len() {
        let mut changed = first.clone();
        changed[place] ^= 1;
        assert_eq!(take(&mut bench, &mut elsewhere(1), &changed), 400, "{place}");
        assert_eq!(take(&mut bench, &mut elsewhere(1), &first[..place]), 400, "{place}");
    }
    assert_eq!(take(&mut bench, &mut bob, &first), 0, "whoever has one of his own keeps that");
    assert!(bench.receive(alice.path, &[0x40, 0, 0, 0]).is_err());
    assert_eq!(alice.permit(&mut bench, PEER), 0, "nothing has gone");
    // THREATS T4: what somebody on the path has seen is of no use to him elsewhere, nor is it later.
    let mut moved = elsewhere(1);
    moved.meet(&mut bench);
    let request = moved.request(Method::REFRESH, &[Attribute::MobilityTicket(&first)]);
    let there = turn::Path { remote: "192.0.2.200:1".parse().unwrap(), ..moved.path };
    assert_eq!(bench.ask(there, &request).unwrap().code(), 438);
    assert_eq!(bench.ask(moved.path, &request).unwrap().code(), 0);
    assert_eq!(take(&mut bench, &mut elsewhere(2), &first), 400, "once");
}

#[test]
fn a_ticket_is_asked_for_and_may_be_forbidden() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    assert_eq!(alice.allocate(&mut bench, &[Attribute::MobilityTicket(&[1])]).code(), 400);
    assert_eq!(ticket(&alice.allocate(&mut bench, &[])), None);
    assert_eq!(ticket(&alice.call(&mut bench, Method::REFRESH, &[Attribute::MobilityTicket(&[])])), None);
    let mut config = config();
    config.mobility = false;
    let mut bench = Bench::new(config);
    let answer = Asker::alice().allocate(&mut bench, &[Attribute::MobilityTicket(&[])]);
    assert_eq!((answer.code(), ticket(&answer)), (0, None));
    let refused = elsewhere(1).call(&mut bench, Method::REFRESH, &[Attribute::MobilityTicket(&[0; 20])]);
    assert_eq!(refused.code(), 405);
}

/// Quotas follow; and where there is no room it stays.
#[test]
fn a_source_has_no_more_for_being_moved_to() {
    let mut config = config();
    config.max_allocations_per_source = 1;
    let (mut bench, mut alice) = (Bench::new(config), Asker::alice());
    let first = ticket(&alice.allocate(&mut bench, &[Attribute::MobilityTicket(&[])])).unwrap();
    let mut there = Asker::new("203.0.113.50:7", "bob", "wonderland");
    there.allocate(&mut bench, &[]);
    let moved = elsewhere(1).call(&mut bench, Method::REFRESH, &[Attribute::MobilityTicket(&first)]);
    assert_eq!(moved.code(), 486);
    assert_eq!(alice.permit(&mut bench, PEER), 0, "it is where it was");
    there.call(&mut bench, Method::REFRESH, &[Attribute::Lifetime(0)]);
    let moved = elsewhere(1).call(&mut bench, Method::REFRESH, &[Attribute::MobilityTicket(&first)]);
    assert_eq!(moved.code(), 0);
    assert_eq!(Asker::new("198.51.100.7:1", "bob", "wonderland").allocate(&mut bench, &[]).code(), 0);
}
