//! The client after something went wrong: what a server still has of it, what was refused, what moved, what is full.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test fails"
)]

#[expect(dead_code, reason = "the server's tests use the rest")]
mod support;
#[path = "support/world.rs"]
mod world;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use stun::Credentials;
use stun::wire::{Attribute, Class, Encoder, ErrorCode, Message, Method};
use support::{Bench, PEER, inbound};
use turn::client::{self, CommandError, Event};
use turn::{Arrival, Batch, Carrier, Client, Path, Writer};
use world::{World, client, is_allocated, reversed};

/// Nobody could ask for a while, and the server still has the allocation when it hears of us again: RFC 8656 §7.4 has us go
/// elsewhere, but what is ours may be given back.
#[test]
fn an_allocation_that_outlives_a_silence_is_given_back_for_another_one() {
    let mut world = World::new(client("wonderland"), 0);
    world.client.allocate(world.bench.now);
    world.client.bind_channel(world.bench.now, PEER.parse().unwrap()).unwrap();
    for round in 1..=3 {
        world.run(Duration::from_secs(40));
        world.loss = 100;
        world.client.probe(world.bench.now);
        world.run(Duration::from_secs(50));
        assert_eq!(world.bench.server.stats().allocations, 1, "it lives for ten minutes");
        world.loss = 0;
        world.run(Duration::from_secs(40));
        assert_eq!((world.seen(|event| *event == Event::Lost), world.seen(is_allocated)), (round, round + 1));
        assert_eq!(world.bench.server.stats().allocations, 1);
        assert_eq!(world.send(PEER, b"x"), Ok(5), "in a channel");
    }
}

/// Whoever begins anew at the same port finds what he had before.
#[test]
fn an_allocation_of_a_former_life_is_given_back_for_another_one() {
    for (name, failures) in [("alice", 0), ("bob", 1)] {
        let mut world = World::new(client("wonderland"), 0);
        world.client.allocate(world.bench.now);
        world.run(Duration::from_secs(10));
        let credentials = Credentials::new(name, "wonderland").unwrap();
        let config = client::Config::new(crypto::default_provider());
        world.client = Client::new(config, credentials, world.client.path(), [4; 32]);
        world.client.allocate(world.bench.now);
        world.run(Duration::from_secs(45));
        assert_eq!(world.seen(is_allocated), 2 - failures, "{name}: {:?}", world.events);
        assert_eq!(world.seen(|event| matches!(event, Event::Failed(_))), failures, "{:?}", world.events);
        assert_eq!(world.bench.server.stats().allocations, 1);
    }
}

/// What was asked for in vain under the old credentials is asked for under the new ones.
#[test]
fn peers_of_the_time_between_two_credentials_are_permitted_under_the_new_ones() {
    let mut world = World::new(client("wonderland"), 0);
    let peer: SocketAddr = PEER.parse().unwrap();
    world.client.allocate(world.bench.now);
    world.run(Duration::from_secs(10));
    let mut users = turn::Users::default();
    users.add(crypto::default_provider(), "peerline", "alice", "looking glass").unwrap();
    world.bench.server.set_users(users);
    world.client.permit(world.bench.now, peer.ip()).unwrap();
    world.client.bind_channel(world.bench.now, "8.8.8.8:9".parse().unwrap()).unwrap();
    world.run(Duration::from_secs(10));
    assert_eq!(world.seen(|event| *event == Event::CredentialsRefused), 1);
    let renewed = Credentials::new("alice", "looking glass").unwrap();
    world.client.set_credentials(world.bench.now, renewed).unwrap();
    world.run(Duration::from_secs(10));
    assert_eq!(world.seen(|event| *event == Event::Permitted(peer.ip())), 1, "{:?}", world.events);
    assert_eq!(world.send("8.8.8.8:9", b"x"), Ok(5), "in a channel");
    assert_eq!(world.seen(|event| *event == Event::Lost), 0);
}

/// RFC 8016: at a new address the server knows nothing of us before it has seen the ticket, and what is asked before costs the
/// allocation.
#[test]
fn nothing_is_asked_at_a_new_address_before_the_allocation_is_there() {
    for wait in [1, 260] {
        let mut config = client::Config::new(crypto::default_provider());
        config.mobility = true;
        let credentials = Credentials::new("alice", "wonderland").unwrap();
        let mut world = World::new(Client::new(config, credentials, client("x").path(), [3; 32]), 0);
        world.client.allocate(world.bench.now);
        world.client.bind_channel(world.bench.now, PEER.parse().unwrap()).unwrap();
        world.run(Duration::from_secs(1));
        // As of a host that sleeps: renewals are due.
        let now = world.bench.now + Duration::from_secs(wait);
        world.bench.now = now;
        let new = SocketAddr::new([8, 8, 8, 8].into(), 9);
        world.client.permit(now, new.ip()).unwrap();
        let home = "203.0.113.1:4000".parse().unwrap();
        world.client.move_to(now, Path { local: home, ..world.client.path() }).unwrap();
        world.client.bind_channel(now, new).unwrap();
        // The first one with the ticket is lost on its way.
        let mut memory = [0; 1500];
        loop {
            let mut batch = Batch::new(&mut memory, 1, 1500);
            let Some(transmit) = world.client.poll_transmit(now, &mut batch) else { break };
            let bytes = batch.bytes().to_vec();
            if Message::decode(&bytes).unwrap().method() != Method::REFRESH {
                world.reach_server(reversed(transmit.path), &bytes);
            }
        }
        world.run(Duration::from_secs(20));
        let lost = world.seen(|event| *event == Event::Lost);
        assert_eq!((world.seen(|event| *event == Event::Moved), lost), (1, 0), "{wait}: {:?}", world.events);
        world.peer_sends(PEER, b"y");
        assert_eq!(world.data.len(), 1);
        for peer in [PEER, "8.8.8.8:9"] {
            assert_eq!(world.send(peer, b"x"), Ok(5), "{wait}: {peer} has a channel");
        }
    }
}

/// In a call of hours the peer has many addresses, one after another.
#[test]
fn peers_that_nothing_is_sent_to_make_room_for_others() {
    let mut config = client::Config::new(crypto::default_provider());
    (config.max_permissions, config.max_channels) = (4, 2);
    let credentials = Credentials::new("alice", "wonderland").unwrap();
    let mut world = World::new(Client::new(config, credentials, client("x").path(), [3; 32]), 0);
    world.client.allocate(world.bench.now);
    let peer = |n: u8| SocketAddr::new(IpAddr::from([8, 8, 8, n]), 1);
    world.client.bind_channel(world.bench.now, PEER.parse().unwrap()).unwrap();
    for n in 0..40 {
        world.client.bind_channel(world.bench.now, peer(n)).unwrap();
        world.run(Duration::from_millis(100));
        assert_eq!(world.send(&peer(n).to_string(), b"x"), Ok(5), "{n}");
        for _ in 0..7 {
            world.run(Duration::from_secs(10));
            assert_eq!(world.send(PEER, b"x"), Ok(5), "it is in use");
        }
    }
    let relay = world.client.relayed().next().unwrap();
    assert!(world.bench.receive(inbound(relay, "8.8.8.0:1"), b"y").is_err(), "long given up");
    // Those of the moment stay.
    let full = (50..60).map(|n| world.client.permit(world.bench.now, peer(n).ip()));
    assert!(full.into_iter().any(|permitted| permitted == Err(CommandError::Full)));
    assert_eq!(world.send(PEER, b"x"), Ok(5));
}

/// Our server counts permissions that nobody needs any more until they end: one for which it has no room yet is asked for again.
#[test]
fn a_peer_for_which_a_server_has_no_room_is_asked_for_again() {
    let mut config = client::Config::new(crypto::default_provider());
    config.max_permissions = 1;
    let credentials = Credentials::new("alice", "wonderland").unwrap();
    let mut world = World::new(Client::new(config, credentials, client("x").path(), [3; 32]), 0);
    let mut server = support::config();
    server.max_permissions = 1;
    world.bench = Bench::new(server);
    world.client.allocate(world.bench.now);
    let (one, other): (SocketAddr, IpAddr) = (PEER.parse().unwrap(), [8, 8, 8, 8].into());
    world.client.permit(world.bench.now, one.ip()).unwrap();
    world.run(Duration::from_secs(61));
    world.client.permit(world.bench.now, other).unwrap();
    world.run(Duration::from_secs(61));
    assert_eq!(world.seen(|event| *event == Event::Refused(other, Some(508))), 1, "{:?}", world.events);
    world.run(Duration::from_secs(210));
    assert_eq!(world.seen(|event| *event == Event::Permitted(other)), 1, "{:?}", world.events);
    world.run(Duration::from_secs(900));
    assert!(world.send("8.8.8.8:1", b"x").is_ok());
    assert!(world.client.stats().requests < 30, "{:?}", world.client.stats());
}

/// A NAT that forgets us shows us at another address, which only the server sees: the ticket is for that, too, and no allocations
/// are left behind until there may be no more of them.
#[test]
fn an_allocation_goes_along_with_the_address_that_a_nat_gives() {
    for (mobility, moved, lost) in [(true, 6, 0), (false, 0, 6)] {
        let mut config = client::Config::new(crypto::default_provider());
        config.mobility = mobility;
        let credentials = Credentials::new("alice", "wonderland").unwrap();
        let mut world = World::new(Client::new(config, credentials, client("x").path(), [3; 32]), 0);
        world.outside = Some("203.0.113.1:1000".parse().unwrap());
        world.client.allocate(world.bench.now);
        world.client.bind_channel(world.bench.now, PEER.parse().unwrap()).unwrap();
        world.run(Duration::from_secs(31));
        let before = world.client.relayed().next().unwrap();
        for port in 1001..1007 {
            world.outside = Some(SocketAddr::new([203, 0, 113, 1].into(), port));
            world.client.probe(world.bench.now);
            world.run(Duration::from_secs(31));
            world.data.clear();
            world.peer_sends(PEER, b"y");
            assert_eq!(world.data.len(), 1, "{mobility} {port}");
            assert_eq!(world.send(PEER, b"x"), Ok(5), "{mobility} {port}");
        }
        assert_eq!(world.client.relayed().next() == Some(before), mobility);
        let seen = (world.seen(|event| *event == Event::Moved), world.seen(|event| *event == Event::Lost));
        assert_eq!(seen, (moved, lost), "{:?}", world.events);
        assert_eq!(world.bench.server.stats().allocations, 1 + lost);
    }
}

/// THREATS T12: nor is a server asked for ever that lets an allocation go along, and then knows nothing of it.
#[test]
fn a_server_that_lets_go_along_and_forgets_is_given_up() {
    let mut config = client::Config::new(crypto::default_provider());
    config.mobility = true;
    let credentials = Credentials::new("alice", "wonderland").unwrap();
    let mut client = Client::new(config, credentials, client("x").path(), [3; 32]);
    let now = testkit::epoch();
    client.permit(now, [8, 8, 8, 8].into()).unwrap();
    client.allocate(now);
    let granted = [
        Attribute::XorRelayedAddress("9.9.9.9:50000".parse().unwrap()),
        Attribute::Lifetime(600),
        Attribute::XorMappedAddress("203.0.113.1:1".parse().unwrap()),
        Attribute::MobilityTicket(&[7; 8]),
    ];
    let mismatch = [Attribute::ErrorCode(ErrorCode { code: 437, reason: "" })];
    let mut asked = 0;
    loop {
        let mut memory = [0; 1500];
        let mut batch = Batch::new(&mut memory, 1, 1500);
        if client.poll_transmit(now, &mut batch).is_none() {
            break;
        }
        asked += 1;
        assert!(asked < 50, "for ever");
        let bytes = batch.bytes().to_vec();
        let request = Message::decode(&bytes).unwrap();
        let is_good = request.method() != Method::CREATE_PERMISSION;
        let class = if is_good { Class::Success } else { Class::Error };
        let mut memory = [0; 1500];
        let mut out = Writer::new(&mut memory);
        let mut message = Encoder::new(&mut out, class, request.method(), request.transaction()).unwrap();
        for attribute in if is_good { &granted[..] } else { &mismatch } {
            message.attribute(*attribute).unwrap();
        }
        message.finish_without_fingerprint(None).unwrap();
        let arrival = Arrival { path: client.path(), ecn: None, at: now };
        let _ = client.handle_datagram(arrival, out.written_mut(0)).unwrap();
    }
    let events: Vec<Event> = std::iter::from_fn(|| client.poll_event()).collect();
    assert!(matches!(events.last(), Some(Event::Failed(_))), "{events:?}");
}

/// Who waits for a connection to a peer hears that there will be none, though it be for the credentials.
#[test]
fn what_is_connected_to_in_vain_is_told_where_credentials_are_refused() {
    let mut config = client::Config::new(crypto::default_provider());
    config.tcp = true;
    let credentials = Credentials::new("alice", "wonderland").unwrap();
    let path = Path { carrier: Carrier::Stream, ..client("x").path() };
    let mut client = Client::new(config, credentials, path, [3; 32]);
    let (now, peers) = (testkit::epoch(), ["8.8.8.8:1", "8.8.8.8:2"].map(|peer| peer.parse().unwrap()));
    client.allocate(now);
    let granted = [
        Attribute::XorRelayedAddress("9.9.9.9:50000".parse().unwrap()),
        Attribute::Lifetime(600),
        Attribute::XorMappedAddress("203.0.113.1:1".parse().unwrap()),
    ];
    let refused = ["one", "other"].map(|nonce| {
        let error = Attribute::ErrorCode(ErrorCode { code: 401, reason: "" });
        [error, Attribute::Realm("r"), Attribute::Nonce(nonce)]
    });
    let mut answers = [(Class::Success, granted)].into_iter().chain(refused.map(|all| (Class::Error, all)));
    let mut memory = [0; 1500];
    for (class, attributes) in answers.by_ref() {
        let mut batch = Batch::new(&mut memory, 1, 1500);
        client.poll_transmit(now, &mut batch).unwrap();
        let bytes = batch.bytes().to_vec();
        let request = Message::decode(&bytes).unwrap();
        let mut memory = [0; 1500];
        let mut out = Writer::new(&mut memory);
        let mut message = Encoder::new(&mut out, class, request.method(), request.transaction()).unwrap();
        attributes.iter().for_each(|attribute| message.attribute(*attribute).unwrap());
        message.finish_without_fingerprint(None).unwrap();
        let _ = client.handle_datagram(Arrival { path, ecn: None, at: now }, out.written_mut(0)).unwrap();
        if class == Class::Success {
            client.connect(now, peers[0]).unwrap();
        } else if client.stats().requests == 2 {
            client.connect(now, peers[1]).unwrap();
        }
    }
    let mut events: Vec<Event> = std::iter::from_fn(|| client.poll_event()).collect();
    events.retain(|event| matches!(event, Event::NotConnected(..)));
    events.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(events, peers.map(|peer| Event::NotConnected(peer, Some(401))));
}
