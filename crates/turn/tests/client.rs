//! The client: against our own server in virtual time, over links that lose, and against servers that lie.
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

use std::net::SocketAddr;
use std::time::Duration;

use stun::Credentials;
use stun::wire::{Attribute, Class, Encoder, ErrorCode, Message, Method, TransactionId};
use support::{Bench, LISTENER, PEER, config, inbound};
use turn::client::{self, Discard, Event, Failure, SendError};
use turn::{Arrival, Batch, Carrier, Client, Instant, Path, Writer};
use world::{HOME, World, client, is_allocated};

#[test]
fn an_allocation_is_made_and_relays_both_ways() {
    let mut world = World::new(client("wonderland"), 0);
    let peer: SocketAddr = PEER.parse().unwrap();
    world.client.permit(world.bench.now, peer.ip()).unwrap();
    assert_eq!(world.send(PEER, b"x"), Err(SendError::NoAllocation));
    world.client.allocate(world.bench.now);
    world.run(Duration::from_secs(1));
    let relayed = world.client.relayed().next().unwrap();
    let mapped = HOME.parse().unwrap();
    assert_eq!(world.events[0], Event::Allocated { relayed, additional: None, mapped });
    assert_eq!(world.events[1], Event::Permitted(peer.ip()));
    assert_eq!(world.send("8.8.8.8:1", b"x"), Err(SendError::NoPermission));
    assert_eq!(world.send("[2600::1]:1", b"x"), Err(SendError::NoAllocation));
    for (overhead, least, kind) in [(39, 36, "an indication"), (4, 4, "a channel")] {
        assert_eq!(world.client.overhead(peer), overhead, "{kind}");
        for len in 0..9 {
            let payload = vec![len; len.into()];
            let framed = world.send(PEER, &payload).unwrap();
            assert!((least..=overhead).contains(&(framed - payload.len())), "{kind}");
            assert_eq!(world.relayed.pop(), Some((inbound(relayed, PEER), payload.clone())), "{kind}");
            world.peer_sends(PEER, &payload);
            assert_eq!(world.data.pop(), Some((peer, payload)), "{kind}");
        }
        world.client.bind_channel(world.bench.now, peer).unwrap();
        world.run(Duration::from_secs(1));
    }
    assert_eq!(world.seen(|event| *event == Event::ChannelBound(peer)), 1);
    assert!(world.data.is_empty() && world.relayed.is_empty());
}

/// RFC 8656 §5: an allocation over TCP goes with its connection.
#[test]
fn a_lost_connection_ends_everything() {
    for allocated in [false, true] {
        let mut world = World::new(client("wonderland"), 0);
        world.client.allocate(world.bench.now);
        if allocated {
            world.run(Duration::from_secs(1));
        }
        world.client.connection_lost(world.bench.now);
        world.client.connection_lost(world.bench.now);
        world.events.clear();
        world.run(Duration::from_secs(10));
        assert_eq!(world.events, [Event::Failed(Failure::Disconnected)]);
        assert_eq!((world.client.relayed().next(), world.client.poll_timeout()), (None, None));
    }
    let mut world = World::new(client("wonderland"), 0);
    world.client.allocate(world.bench.now);
    world.run(Duration::from_secs(1));
    world.client.release(world.bench.now);
    world.client.connection_lost(world.bench.now);
    world.settle();
    assert_eq!(world.events.last(), Some(&Event::Released), "that is what it was about");
}

/// Hours, through every end of nonce, allocation, permission and channel, over a link that loses a fifth.
#[test]
fn everything_is_kept_alive_for_hours() {
    for loss in [0, 20] {
        let mut world = World::new(client("wonderland"), loss);
        let peer: SocketAddr = PEER.parse().unwrap();
        world.client.allocate(world.bench.now);
        world.client.bind_channel(world.bench.now, peer).unwrap();
        world.client.permit(world.bench.now, "8.8.8.8".parse().unwrap()).unwrap();
        world.run(Duration::from_secs(40));
        for minute in 0..240 {
            world.run(Duration::from_secs(60));
            let before = world.relayed.len();
            for to in [PEER, "8.8.8.8:9"] {
                // Several times, as the link loses.
                for _ in 0..20 {
                    world.send(to, b"x").unwrap_or_else(|error| panic!("{minute}: {error}"));
                }
            }
            let arrived = world.relayed.len() - before;
            assert!(arrived >= 20, "loss {loss}, minute {minute}: {arrived} of 40");
        }
        assert_eq!(world.seen(is_allocated), 1, "never lost");
        assert_eq!(world.seen(|event| matches!(event, Event::Lost | Event::Refused(..))), 0);
    }
}

#[test]
fn a_release_gives_the_allocation_back_and_ends_in_time() {
    for loss in [0, 100] {
        let mut world = World::new(client("wonderland"), 0);
        world.client.allocate(world.bench.now);
        world.run(Duration::from_secs(1));
        world.loss = loss;
        let start = world.bench.now;
        world.client.release(start);
        assert_eq!(world.send(PEER, b"x"), Err(SendError::NoAllocation));
        world.run(Duration::from_secs(2));
        assert_eq!(world.events.last(), Some(&Event::Released));
        assert_eq!(world.bench.server.stats().allocations, usize::from(loss == 100));
        assert_eq!(
            (world.client.poll_timeout(), world.client.permit(start, [8, 8, 8, 8].into()).is_err()),
            (None, true)
        );
    }
    let mut idle = client("wonderland");
    idle.release(testkit::epoch());
    assert_eq!((idle.poll_event(), idle.poll_timeout()), (Some(Event::Released), None));
}

/// The server forgets everything: another allocation, with what belonged to the first.
#[test]
fn a_server_that_restarts_is_asked_anew() {
    let mut world = World::new(client("wonderland"), 0);
    let peer: SocketAddr = PEER.parse().unwrap();
    world.client.allocate(world.bench.now);
    world.client.bind_channel(world.bench.now, peer).unwrap();
    world.run(Duration::from_secs(1));
    let now = world.bench.now;
    world.bench = Bench::new(config());
    world.bench.now = now;
    world.run(Duration::from_secs(600));
    assert_eq!((world.seen(|event| *event == Event::Lost), world.seen(is_allocated)), (1, 2));
    assert_eq!(world.send(PEER, b"x"), Ok(5), "in a channel");
}

#[test]
fn a_wrong_password_and_a_silent_server_are_told() {
    let mut world = World::new(client("wrong"), 0);
    world.client.allocate(world.bench.now);
    world.run(Duration::from_secs(1));
    assert_eq!(world.events, [Event::Failed(Failure::Challenge(stun::ChallengeError::Refused))]);
    assert_eq!(world.client.poll_timeout(), None);
    let mut world = World::new(client("wonderland"), 100);
    world.client.allocate(world.bench.now);
    world.run(Duration::from_secs(60));
    assert_eq!(world.events, [Event::Failed(Failure::TimedOut)]);
    assert_eq!(world.client.stats().requests, 7);
}

#[test]
fn a_forbidden_peer_is_told() {
    let mut world = World::new(client("wonderland"), 0);
    let peer = [10, 0, 0, 1].into();
    world.client.allocate(world.bench.now);
    world.client.permit(world.bench.now, peer).unwrap();
    world.run(Duration::from_secs(1));
    assert_eq!(world.events.last(), Some(&Event::Refused(peer, Some(403))));
    assert_eq!(world.send("10.0.0.1:1", b"x"), Err(SendError::NoPermission));
    // A refusal stands: the peer's signalling must not make us ask again and again.
    let refused = world.bench.server.stats().refused;
    for _ in 0..10 {
        world.client.permit(world.bench.now, peer).unwrap();
        world.run(Duration::from_secs(1));
    }
    assert_eq!(world.bench.server.stats().refused, refused);
}

/// An address of the server's own: it is permitted, but nothing is there that is relayed to.
#[test]
fn a_channel_that_is_refused_is_told() {
    let mut config = config();
    config.peers.allow.push(format!("{}/32", support::RELAY).parse().unwrap());
    let mut world = World::with(client("wonderland"), config, 0);
    let peer: SocketAddr = format!("{}:9", support::RELAY).parse().unwrap();
    world.client.allocate(world.bench.now);
    world.client.bind_channel(world.bench.now, peer).unwrap();
    world.run(Duration::from_secs(1));
    let news = [Event::Permitted(peer.ip()), Event::ChannelRefused(peer, Some(403))];
    assert!(world.events.ends_with(&news), "{:?}", world.events);
    world.run(Duration::from_secs(60));
    assert_eq!(world.seen(|event| matches!(event, Event::ChannelRefused(..))), 1);
}

#[test]
fn a_peer_is_asked_for_again_when_the_server_was_silent() {
    let mut world = World::new(client("wonderland"), 0);
    let peer: SocketAddr = PEER.parse().unwrap();
    world.client.allocate(world.bench.now);
    world.run(Duration::from_secs(1));
    world.loss = 100;
    world.client.permit(world.bench.now, peer.ip()).unwrap();
    world.run(Duration::from_secs(60));
    assert_eq!(world.events.last(), Some(&Event::Refused(peer.ip(), None)));
    world.loss = 0;
    world.client.permit(world.bench.now, peer.ip()).unwrap();
    world.run(Duration::from_secs(1));
    assert_eq!(world.events.last(), Some(&Event::Permitted(peer.ip())));
}

#[test]
fn permissions_and_channels_have_their_limits() {
    let mut config = client::Config::new(crypto::default_provider());
    (config.max_permissions, config.max_channels) = (3, 2);
    let credentials = Credentials::new("alice", "wonderland").unwrap();
    let mut client = Client::new(config, credentials, client("x").path(), [3; 32]);
    let now = testkit::epoch();
    let peer = |n: u8| SocketAddr::new([8, 8, 8, n].into(), 1);
    assert!(
        (0..3).all(|n| client.permit(now, peer(n).ip()).is_ok()) && client.permit(now, peer(2).ip()).is_ok()
    );
    assert_eq!(client.permit(now, peer(3).ip()), Err(client::CommandError::Full));
    assert!(
        (0..2).all(|n| client.bind_channel(now, peer(n)).is_ok())
            && client.bind_channel(now, peer(1)).is_ok()
    );
    assert_eq!(client.bind_channel(now, peer(2)), Err(client::CommandError::Full));
}

/// What a server may answer to the request in flight.
fn answer(
    client: &mut Client,
    now: Instant,
    class: Class,
    attributes: &[Attribute<'_>],
) -> Result<(), Discard> {
    let mut memory = [0; 1500];
    let mut batch = Batch::new(&mut memory, 1, 1500);
    client.poll_transmit(now, &mut batch).unwrap();
    let request = batch.bytes().to_vec();
    let request = Message::decode(&request).unwrap();
    let mut memory = [0; 1500];
    let mut out = Writer::new(&mut memory);
    let mut message = Encoder::new(&mut out, class, request.method(), request.transaction()).unwrap();
    for attribute in attributes {
        message.attribute(*attribute).unwrap();
    }
    message.finish_without_fingerprint(None).unwrap();
    let arrival = Arrival { path: client.path(), ecn: None, at: now };
    client.handle_datagram(arrival, out.written_mut(0)).map(|_| ())
}

fn error(code: u16) -> Attribute<'static> {
    Attribute::ErrorCode(ErrorCode { code, reason: "" })
}

/// THREATS T12.
#[test]
fn a_server_that_lies_is_not_believed() {
    let now = testkit::epoch();
    let start = || {
        let mut client = client("wonderland");
        client.allocate(now);
        client
    };
    let (relayed, mapped) = ("9.9.9.9:50000".parse().unwrap(), HOME.parse().unwrap());
    let (zero, no_port) = ("0.0.0.0:50000".parse().unwrap(), "9.9.9.9:0".parse().unwrap());
    let full = |relayed, lifetime| {
        [
            Attribute::XorRelayedAddress(relayed),
            Attribute::Lifetime(lifetime),
            Attribute::XorMappedAddress(mapped),
        ]
    };
    for bad in [full(zero, 600), full(no_port, 600)] {
        assert_eq!(answer(&mut start(), now, Class::Success, &bad), Err(Discard::Incomplete));
    }
    for left_out in 0..3 {
        let mut part = full(relayed, 600).to_vec();
        part.remove(left_out);
        assert_eq!(answer(&mut start(), now, Class::Success, &part), Err(Discard::Incomplete), "{left_out}");
    }
    // Between a minute and an hour, whatever it says.
    for (said, refreshed) in [(0, 30), (1, 30), (600, 540), (u32::MAX, 3540)] {
        let mut client = start();
        answer(&mut client, now, Class::Success, &full(relayed, said)).unwrap();
        assert_eq!(client.poll_timeout(), Some(now + Duration::from_secs(refreshed)), "{said}");
    }
    // Sent elsewhere, which the caller follows or not.
    let mut client = start();
    let other = "203.0.113.9:3478".parse().unwrap();
    answer(&mut client, now, Class::Error, &[error(300), Attribute::AlternateServer(other)]).unwrap();
    assert_eq!(client.poll_event(), Some(Event::Failed(Failure::Redirected(other))));
    // Challenged for ever.
    let mut client = start();
    let mut rounds = 0;
    loop {
        let nonce = format!("nonce {rounds}");
        let challenge =
            [error(if rounds == 0 { 401 } else { 438 }), Attribute::Realm("r"), Attribute::Nonce(&nonce)];
        answer(&mut client, now, Class::Error, &challenge).unwrap();
        rounds += 1;
        if let Some(event) = client.poll_event() {
            assert_eq!(event, Event::Failed(Failure::Rejected(438)));
            break;
        }
    }
    assert_eq!(rounds, 4);
    // Signed by nobody: as if it had not come, and in the end that is said.
    let mut client = start();
    let challenge = [error(401), Attribute::Realm("r"), Attribute::Nonce("n")];
    answer(&mut client, now, Class::Error, &challenge).unwrap();
    for unsigned in [error(400), error(403), error(437), error(486)] {
        let at = client.poll_timeout().unwrap();
        assert_eq!(answer(&mut client, at, Class::Error, &[unsigned]), Err(Discard::Forged));
    }
    client.handle_timeout(now + Duration::from_secs(3600));
    let mut memory = [0; 1500];
    let mut at = now + Duration::from_secs(3600);
    while let Some(next) = client.poll_timeout() {
        at = at.max(next);
        client.handle_timeout(at);
        while client.poll_transmit(at, &mut Batch::new(&mut memory, 1, 1500)).is_some() {}
    }
    assert_eq!(client.poll_event(), Some(Event::Failed(Failure::Forged)));
}

/// RFC 8016: with a ticket the relayed address stays what it is; without one there is another.
#[test]
fn an_allocation_comes_along_or_is_made_anew() {
    for (wanted, allowed, loss) in [(true, true, 0), (true, true, 20), (true, false, 0), (false, true, 0)] {
        let mut config = client::Config::new(crypto::default_provider());
        config.mobility = wanted;
        let credentials = Credentials::new("alice", "wonderland").unwrap();
        let mut world = World::new(Client::new(config, credentials, client("x").path(), [3; 32]), loss);
        let mut server = support::config();
        server.mobility = allowed;
        world.bench = Bench::new(server);
        let peer: SocketAddr = PEER.parse().unwrap();
        world.client.allocate(world.bench.now);
        world.client.bind_channel(world.bench.now, peer).unwrap();
        world.run(Duration::from_secs(60));
        let relayed = world.client.relayed().next().unwrap();
        for round in 1..=3 {
            let home = format!("203.0.113.{round}:4000").parse().unwrap();
            world.client.move_to(world.bench.now, Path { local: home, ..world.client.path() }).unwrap();
            world.run(Duration::from_secs(60));
            let now = world.client.relayed().next().unwrap();
            let stays = wanted && allowed;
            assert_eq!(now == relayed, stays, "{wanted} {allowed} {loss} {round}");
            let (moved, lost) =
                (world.seen(|event| *event == Event::Moved), world.seen(|event| *event == Event::Lost));
            assert_eq!((moved, lost), if stays { (round, 0) } else { (0, round) });
            world.loss = 0;
            assert_eq!(world.send(PEER, b"x"), Ok(5), "in its channel");
            assert_eq!(world.relayed.pop().unwrap().0, inbound(now, PEER));
            world.data.clear();
            world.peer_sends(PEER, b"y");
            assert_eq!(world.data.len(), 1);
            world.loss = loss;
        }
        let path = world.client.path();
        assert!(world.client.move_to(world.bench.now, path).is_ok() && world.client.poll_timeout().is_some());
        world.client.release(world.bench.now);
        assert!(world.client.move_to(world.bench.now, client("x").path()).is_err());
    }
}

/// THREATS T12: tickets are of a bounded length, and from the server's own answers.
#[test]
fn a_ticket_that_is_too_long_is_none() {
    let now = testkit::epoch();
    for (len, kept) in [(1, true), (512, true), (513, false), (0, false)] {
        let mut config = client::Config::new(crypto::default_provider());
        config.mobility = true;
        let credentials = Credentials::new("alice", "wonderland").unwrap();
        let mut client = Client::new(config, credentials, client("x").path(), [3; 32]);
        client.allocate(now);
        let ticket = vec![7; len];
        let granted = [
            Attribute::XorRelayedAddress("9.9.9.9:50000".parse().unwrap()),
            Attribute::Lifetime(600),
            Attribute::XorMappedAddress(HOME.parse().unwrap()),
            Attribute::MobilityTicket(&ticket),
        ];
        answer(&mut client, now, Class::Success, &granted).unwrap();
        while client.poll_event().is_some() {}
        client.move_to(now, Path { local: "203.0.113.1:1".parse().unwrap(), ..client.path() }).unwrap();
        assert_eq!(client.poll_event() == Some(Event::Lost), !kept, "{len}");
    }
}

/// coturn, where mobility is off: the allocation is to be had without.
#[test]
fn a_server_that_forbids_mobility_is_asked_once_more_without() {
    let now = testkit::epoch();
    for mobility in [true, false] {
        let mut config = client::Config::new(crypto::default_provider());
        config.mobility = mobility;
        let credentials = Credentials::new("alice", "wonderland").unwrap();
        let mut client = Client::new(config, credentials, client("x").path(), [3; 32]);
        client.allocate(now);
        let forbidden = Attribute::ErrorCode(ErrorCode { code: 405, reason: "Mobility Forbidden" });
        answer(&mut client, now, Class::Error, &[forbidden]).unwrap();
        if !mobility {
            assert_eq!(client.poll_event(), Some(Event::Failed(Failure::Rejected(405))));
            continue;
        }
        let mut memory = [0; 200];
        let mut batch = Batch::new(&mut memory, 1, 200);
        client.poll_transmit(now, &mut batch).unwrap();
        let request = Message::decode(batch.bytes()).unwrap();
        assert_eq!(request.method(), Method::ALLOCATE);
        assert!(!request.attributes().any(|attribute| matches!(attribute, Attribute::MobilityTicket(_))));
    }
}

/// RFC 8656 §7.1: each wish with its attributes, and none of the others'.
#[test]
fn an_allocate_says_what_is_wanted_and_no_more() {
    use stun::wire::AddressFamily;
    let transport = Attribute::RequestedTransport(17);
    let asked = |family, additional, lifetime| {
        let mut config = client::Config::new(crypto::default_provider());
        (config.family, config.additional, config.lifetime) = (family, additional, lifetime);
        let credentials = Credentials::new("alice", "wonderland").unwrap();
        let mut client = Client::new(config, credentials, client("x").path(), [3; 32]);
        client.allocate(testkit::epoch());
        let mut memory = [0; 200];
        let mut batch = Batch::new(&mut memory, 1, 200);
        client.poll_transmit(testkit::epoch(), &mut batch).unwrap();
        batch.bytes().to_vec()
    };
    for (family, additional, lifetime, expected) in [
        (AddressFamily::V4, false, None, vec![transport]),
        (
            AddressFamily::V6,
            false,
            None,
            vec![transport, Attribute::RequestedAddressFamily(AddressFamily::V6)],
        ),
        (
            AddressFamily::V6,
            true,
            None,
            vec![transport, Attribute::AdditionalAddressFamily(AddressFamily::V6)],
        ),
        (AddressFamily::V4, false, Some(Duration::from_secs(700)), vec![transport, Attribute::Lifetime(700)]),
    ] {
        let bytes = asked(family, additional, lifetime);
        let attributes: Vec<_> = Message::decode(&bytes).unwrap().attributes().collect();
        assert_eq!(attributes, expected);
    }
}

/// RFC 8656 §7.3.
#[test]
fn an_address_of_another_family_is_not_believed() {
    let now = testkit::epoch();
    let (v4, v6): (SocketAddr, SocketAddr) =
        ("9.9.9.9:50000".parse().unwrap(), "[2600::1]:50000".parse().unwrap());
    for (additional, relayed, taken) in [
        (false, &[v4][..], true),
        (false, &[v6], false),
        (false, &[v4, v6], false),
        (true, &[v4, v6], true),
        (true, &[v4], true),
        (true, &[v6, v4], false),
        (true, &[v4, v4], false),
    ] {
        let mut config = client::Config::new(crypto::default_provider());
        config.additional = additional;
        let credentials = Credentials::new("alice", "wonderland").unwrap();
        let mut client = Client::new(config, credentials, client("x").path(), [3; 32]);
        client.allocate(now);
        let mut attributes: Vec<_> = relayed.iter().copied().map(Attribute::XorRelayedAddress).collect();
        attributes.extend([Attribute::Lifetime(600), Attribute::XorMappedAddress(HOME.parse().unwrap())]);
        let result = answer(&mut client, now, Class::Success, &attributes);
        assert_eq!(result.is_ok(), taken, "{additional} {relayed:?}");
    }
}

/// RFC 8656 §7.4.
#[test]
fn refusals_of_all_kinds_end_the_asking() {
    for code in [400, 403, 420, 437, 440, 442, 486, 500, 508, 699] {
        let (now, mut client) = (testkit::epoch(), client("wonderland"));
        client.allocate(now);
        // What may be ours is given back, once, and then it is asked for once more.
        for _ in 0..if code == 437 { 3 } else { 1 } {
            assert_eq!(client.poll_event(), None);
            answer(&mut client, now, Class::Error, &[error(code)]).unwrap();
        }
        assert_eq!(client.poll_event(), Some(Event::Failed(Failure::Rejected(code))));
        assert_eq!(client.poll_timeout(), None, "{code}");
    }
}

/// THREATS T12: a server that grants and forgets, again and again, is not asked for ever.
#[test]
fn a_server_that_forgets_at_once_is_given_up() {
    let (mut now, mut client) = (testkit::epoch(), client("wonderland"));
    let granted = [
        Attribute::XorRelayedAddress("9.9.9.9:50000".parse().unwrap()),
        Attribute::Lifetime(600),
        Attribute::XorMappedAddress(HOME.parse().unwrap()),
    ];
    client.permit(now, [8, 8, 4, 4].into()).unwrap();
    client.allocate(now);
    for (lived, given_up) in [(1, 4), (60, usize::MAX)] {
        for round in 1..=10 {
            answer(&mut client, now, Class::Success, &granted).unwrap();
            now += Duration::from_secs(lived);
            answer(&mut client, now, Class::Error, &[error(437)]).unwrap();
            if round == given_up {
                assert_eq!(client.poll_event(), Some(Event::Failed(Failure::Rejected(437))));
                assert_eq!(client.poll_timeout(), None);
                client = self::client("wonderland");
                client.permit(now, [8, 8, 4, 4].into()).unwrap();
                client.allocate(now);
                break;
            }
            assert_eq!(client.poll_event(), Some(Event::Lost), "{lived} {round}");
        }
    }
}

/// Data only of peers that were asked for, from the server's address alone.
#[test]
fn data_that_nobody_asked_for_are_dropped() {
    let mut world = World::new(client("wonderland"), 0);
    world.client.allocate(world.bench.now);
    world.client.permit(world.bench.now, [8, 8, 4, 4].into()).unwrap();
    world.run(Duration::from_secs(1));
    let path = world.client.path();
    let indication = |peer: &str, data: bool| {
        let mut memory = [0; 200];
        let mut out = Writer::new(&mut memory);
        let id = TransactionId([1; 12]);
        let mut message = Encoder::new(&mut out, Class::Indication, Method::DATA, id).unwrap();
        message.attribute(Attribute::XorPeerAddress(peer.parse().unwrap())).unwrap();
        if data {
            message.attribute(Attribute::Data(b"x")).unwrap();
        }
        message.finish_without_fingerprint(None).unwrap();
        out.written().to_vec()
    };
    let mut elsewhere = path;
    elsewhere.remote.set_port(1);
    let at = world.bench.now;
    for (path, mut bytes, expected) in [
        (path, indication("8.8.4.5:1", true), Some(Discard::NoPermission)),
        (path, indication(PEER, false), Some(Discard::Incomplete)),
        (path, vec![0x40, 0, 0, 1, 1], Some(Discard::NoChannel)),
        (path, vec![0x40, 0, 0, 9, 1], Some(Discard::Malformed)),
        (elsewhere, indication(PEER, true), Some(Discard::WrongPath)),
        (path, indication(PEER, true), None),
    ] {
        let result = world.client.handle_datagram(Arrival { path, ecn: None, at }, &mut bytes).map(|_| ());
        assert_eq!(result.err(), expected);
    }
    assert_eq!((world.client.stats().received, world.client.stats().discarded), (1, 5));
}

#[test]
fn equal_seeds_give_equal_bytes_and_no_secret_shows() {
    let first = |client: &mut Client| {
        client.allocate(testkit::epoch());
        let mut memory = [0; 200];
        let mut batch = Batch::new(&mut memory, 1, 200);
        client.poll_transmit(testkit::epoch(), &mut batch).unwrap();
        batch.bytes().to_vec()
    };
    let (mut a, mut b) = (client("wonderland"), client("wonderland"));
    assert_eq!(first(&mut a), first(&mut b));
    assert!(!format!("{a:?}").contains("wonderland"));
}

/// Doubts of the owner's find a server that has begun anew within a round trip, and nobody is asked again and again.
#[test]
fn a_probe_finds_out_that_the_server_has_forgotten_us() {
    let mut world = World::new(client("wonderland"), 0);
    world.client.probe(world.bench.now);
    assert_eq!(world.client.poll_timeout(), None, "there is nothing to ask for");
    world.client.allocate(world.bench.now);
    world.client.bind_channel(world.bench.now, PEER.parse().unwrap()).unwrap();
    world.run(Duration::from_secs(10));
    let before = world.client.stats().requests;
    for _ in 0..100 {
        world.client.probe(world.bench.now);
        world.run(Duration::from_millis(49));
    }
    assert_eq!(world.client.stats().requests, before + 1, "one in five seconds");
    assert_eq!(world.seen(|event| *event == Event::Lost), 0);
    let now = world.bench.now + Duration::from_secs(1);
    world.bench = Bench::new(config());
    world.bench.now = now;
    world.client.probe(now);
    world.run(Duration::from_millis(10));
    assert_eq!((world.seen(|event| *event == Event::Lost), world.seen(is_allocated)), (1, 2));
    assert_eq!(world.send(PEER, b"x"), Ok(5), "in a channel");
}

/// The server, which shares the secret `north`, at `unix` seconds when the test begins.
fn rest_bench(unix: u64) -> Bench {
    let mut config = config();
    config.unix_time = unix - testkit::epoch().since_epoch().as_secs();
    Bench::new(config)
}

fn rest(name: &str) -> Credentials {
    use base64::Engine as _;
    let hmac = crypto::default_provider().hmac(crypto::HashAlgorithm::Sha1, b"north");
    let code = hmac.sign(&[name.as_bytes()]);
    Credentials::new(name, &base64::engine::general_purpose::STANDARD.encode(code.as_bytes())).unwrap()
}

/// Credentials that end are renewed while an allocation is in use: before, or when it was refused but still lives.
#[test]
fn credentials_are_renewed_without_losing_anything() {
    const NOW: u64 = 1_790_000_000;
    for (renewed_after, refusals) in [(100, 0), (280, 1)] {
        let credentials = rest(&format!("{}:alice", NOW + 200));
        let config = client::Config::new(crypto::default_provider());
        let mut world = World::new(Client::new(config, credentials, client("x").path(), [3; 32]), 0);
        world.bench = rest_bench(NOW);
        world.client.allocate(world.bench.now);
        world.client.bind_channel(world.bench.now, PEER.parse().unwrap()).unwrap();
        for second in 1..2000 {
            world.run(Duration::from_secs(1));
            if second == renewed_after {
                let now = world.bench.now;
                world.client.set_credentials(now, rest(&format!("{}:alice", NOW + 9000))).unwrap();
            }
            assert_eq!(world.send(PEER, b"x"), Ok(5), "after {second} s");
            world.peer_sends(PEER, b"y");
            assert_eq!(world.data.len(), second, "after {second} s");
        }
        assert_eq!(world.relayed.len(), 1999);
        assert_eq!(world.seen(|event| *event == Event::CredentialsRefused), refusals, "{:?}", world.events);
        assert_eq!(world.seen(|event| *event == Event::Lost), 0);
        assert_eq!(world.bench.server.stats().allocated, 1);
    }
}

/// Nobody renews them: what was granted is used to its end, and then it is over.
#[test]
fn credentials_that_are_not_renewed_end_with_what_they_got() {
    const NOW: u64 = 1_790_000_000;
    let credentials = rest(&format!("{}:alice", NOW + 200));
    let config = client::Config::new(crypto::default_provider());
    let mut world = World::new(Client::new(config, credentials, client("x").path(), [3; 32]), 0);
    world.bench = rest_bench(NOW);
    world.client.allocate(world.bench.now);
    world.client.bind_channel(world.bench.now, PEER.parse().unwrap()).unwrap();
    world.run(Duration::from_secs(295));
    assert!(world.send(PEER, b"x").is_ok(), "the permission lasts for five minutes");
    let asked = world.client.stats().requests;
    world.run(Duration::from_secs(290));
    assert_eq!(world.client.stats().requests, asked, "nobody is asked in vain");
    world.run(Duration::from_secs(20));
    assert_eq!(world.events.last(), Some(&Event::Failed(Failure::Challenge(stun::ChallengeError::Refused))));
    assert_eq!(world.client.poll_timeout(), None);
}

/// Of another user's name a server takes nothing for what the first has: the former name stays in use.
#[test]
fn a_server_that_insists_on_the_former_name_goes_on_being_asked_under_it() {
    for (name, password) in [("bob", "wonderland"), ("bob", "wrong"), ("nobody", "wonderland")] {
        let mut world = World::new(client("wonderland"), 0);
        world.client.allocate(world.bench.now);
        world.client.bind_channel(world.bench.now, PEER.parse().unwrap()).unwrap();
        world.run(Duration::from_secs(10));
        let (now, other) = (world.bench.now, Credentials::new(name, password).unwrap());
        world.client.set_credentials(now, other.clone()).unwrap();
        world.run(Duration::from_secs(4000));
        assert_eq!((world.seen(|event| *event == Event::Lost), world.seen(is_allocated)), (0, 1), "{name}");
        assert_eq!(world.send(PEER, b"x"), Ok(5), "in a channel");
        assert_eq!(world.bench.server.stats().allocated, 1);
        world.client.release(world.bench.now);
        assert!(world.client.set_credentials(now, other).is_err());
    }
}

/// RFC 8656 §10.1, §12.1: who has no relayed address of a family has no business with its peers.
#[test]
fn peers_are_of_the_families_that_were_asked_for() {
    let now = testkit::epoch();
    let six: SocketAddr = "[2600::1]:1".parse().unwrap();
    let mut client = client("wonderland");
    for _ in 0..2 {
        assert_eq!(client.permit(now, six.ip()), Err(client::CommandError::OtherFamily));
        assert_eq!(client.bind_channel(now, six), Err(client::CommandError::OtherFamily));
        assert_eq!(client.permit(now, PEER.parse::<SocketAddr>().unwrap().ip()), Ok(()));
        client.allocate(now);
    }
    let credentials = Credentials::new("alice", "wonderland").unwrap();
    let mut config = client::Config::new(crypto::default_provider());
    config.additional = true;
    let path =
        Path { carrier: Carrier::Udp, local: HOME.parse().unwrap(), remote: LISTENER.parse().unwrap() };
    let mut both = Client::new(config, credentials, path, [3; 32]);
    both.allocate(now);
    assert_eq!(both.bind_channel(now, six), Ok(()));
    // The second one was refused.
    let (relayed, mapped) = ("9.9.9.9:50000".parse().unwrap(), HOME.parse().unwrap());
    let granted = [
        Attribute::XorRelayedAddress(relayed),
        Attribute::Lifetime(600),
        Attribute::XorMappedAddress(mapped),
    ];
    answer(&mut both, now, Class::Success, &granted).unwrap();
    assert_eq!(both.permit(now, "2600::2".parse().unwrap()), Err(client::CommandError::OtherFamily));
}
