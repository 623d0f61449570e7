//! TCP allocations and their connections (RFC 6062).

use std::net::SocketAddr;
use std::time::Duration;

use stun::wire::{AddressFamily, Attribute, Class, Method};
use turn::server::{Config, Direction, Discard, Event, Shared, Stats};
use turn::wire::ConnectionId;
use turn::{Carrier, Server};

use crate::support::{Answer, Asker, Bench, PEER, config, inbound};

const TCP: Attribute<'_> = Attribute::RequestedTransport(6);

fn with_tcp() -> Config {
    let mut config = config();
    config.tcp_relays = true;
    config
}

/// Somebody who comes over TCP.
fn over_tcp(from: &str, name: &str) -> Asker {
    let mut asker = Asker::new(from, name, "wonderland");
    asker.path.carrier = Carrier::Stream;
    asker
}

fn alice() -> Asker {
    over_tcp("198.51.100.7:4000", "alice")
}

fn peer() -> SocketAddr {
    PEER.parse().unwrap()
}

/// A TCP allocation of alice's; where its relay is.
fn allocated(bench: &mut Bench) -> (Asker, SocketAddr) {
    let mut alice = alice();
    let answer = alice.call(bench, Method::ALLOCATE, &[TCP]);
    assert_eq!(answer.code(), 0);
    (alice, answer.relayed())
}

fn number(answer: &Answer) -> Option<ConnectionId> {
    answer.find(|attribute| match attribute {
        Attribute::ConnectionId(number) => Some(ConnectionId::new(number)),
        _ => None,
    })
}

/// A Connect; an answer only if it is a refusal.
fn connect(bench: &mut Bench, asker: &mut Asker, peer: &str) -> Option<u16> {
    let request = asker.request(Method::CONNECT, &[Attribute::XorPeerAddress(peer.parse().unwrap())]);
    bench.ask(asker.path, &request).map(|answer| answer.code())
}

/// What is to be connected; nothing else is wanted.
fn wanted(bench: &mut Bench) -> (ConnectionId, SocketAddr, SocketAddr) {
    let [Event::Connect { connection, relay, peer }] = bench.wishes[..] else { panic!("{:?}", bench.wishes) };
    bench.wishes.clear();
    (connection, relay, peer)
}

/// A connection to the peer is open, and the client knows its number.
fn connected(bench: &mut Bench, alice: &mut Asker, to: &str) -> ConnectionId {
    assert_eq!(connect(bench, alice, to), None, "it opens first");
    let (id, ..) = wanted(bench);
    bench.server.peer_connected(bench.now, id);
    let answer = bench.poll().expect("an answer");
    alice.long_term.verify(&answer.message()).unwrap();
    assert_eq!((answer.code(), answer.path, number(&answer)), (0, alice.path, Some(id)));
    id
}

/// A ConnectionBind from a port of its own.
fn bind(bench: &mut Bench, port: u16, name: &str, id: ConnectionId) -> (Asker, u16) {
    let mut data = over_tcp(&format!("198.51.100.7:{port}"), name);
    let code = data.call(bench, Method::CONNECTION_BIND, &[Attribute::ConnectionId(id.number())]).code();
    (data, code)
}

fn is_clean(bench: &Bench) {
    let Stats { allocations, connections, free_ports, .. } = bench.server.stats();
    assert_eq!((allocations, connections, free_ports), (0, 0, 2 * 16_384));
    assert!(bench.sockets.is_empty() && bench.listeners.is_empty());
    assert_eq!(bench.server.poll_timeout(), None);
}

/// RFC 6062 §5.1.
#[test]
fn a_tcp_allocation_is_had_over_tcp_alone_and_where_the_server_allows_it() {
    let mut bench = Bench::new(config());
    assert_eq!(alice().call(&mut bench, Method::ALLOCATE, &[TCP]).code(), 442, "not by default");
    let mut alice_there = alice();
    alice_there.meet(&mut bench);
    let request = alice_there.request(Method::CONNECT, &[Attribute::XorPeerAddress(peer())]);
    assert!(matches!(bench.receive(alice_there.path, &request), Err(Discard::Unexpected)));

    let mut bench = Bench::new(with_tcp());
    let mut over_udp = Asker::alice();
    assert_eq!(over_udp.call(&mut bench, Method::ALLOCATE, &[TCP]).code(), 400);
    for (attribute, code) in [
        (Attribute::DontFragment, 400),
        (Attribute::EvenPort { reserve: false }, 400),
        (Attribute::EvenPort { reserve: true }, 400),
        (Attribute::ReservationToken([1; 8]), 400),
        (Attribute::RequestedTransport(17), 0),
    ] {
        let first = if code == 0 { Attribute::Lifetime(600) } else { TCP };
        let mut alice = alice();
        assert_eq!(alice.call(&mut bench, Method::ALLOCATE, &[first, attribute]).code(), code);
        alice.call(&mut bench, Method::REFRESH, &[Attribute::Lifetime(0)]);
    }
    assert!(bench.listeners.is_empty() && bench.sockets.is_empty());
    let mut alice = alice();
    let both = [TCP, Attribute::AdditionalAddressFamily(AddressFamily::V6), Attribute::MobilityTicket(&[])];
    let answer = alice.call(&mut bench, Method::ALLOCATE, &both);
    let has_ticket = answer.find(|a| matches!(a, Attribute::MobilityTicket(_)).then_some(()));
    assert_eq!((answer.code(), has_ticket, bench.listeners.len()), (0, None, 2));
    // Neither datagrams nor channels.
    assert_eq!(alice.bind(&mut bench, 0x4000, PEER), 403);
    assert_eq!(alice.permit(&mut bench, PEER), 0);
    assert!(matches!(alice.send(&mut bench, PEER, b"data"), Err(Discard::NoAllocation)));
    let datagram = bench.receive(inbound(answer.relayed(), PEER), b"data");
    assert!(matches!(datagram, Err(Discard::NoAllocation)));
    bench.server.client_gone(bench.now, alice.path);
    bench.follow();
    is_clean(&bench);
}

/// RFC 6062 §5.2, §5.4.
#[test]
fn a_client_connects_and_comes_for_the_connection() {
    let mut bench = Bench::new(with_tcp());
    let (mut alice, relayed) = allocated(&mut bench);
    assert_eq!(connect(&mut bench, &mut alice, PEER), None);
    let (id, relay, to) = wanted(&mut bench);
    assert_eq!((relay, to), (relayed, peer()), "from the relayed address itself");
    assert_eq!(connect(&mut bench, &mut alice, PEER), Some(446), "on its way");
    // A connection that is not open is nobody's yet.
    assert_eq!(bind(&mut bench, 5000, "alice", id).1, 400);
    bench.server.peer_connected(bench.now, id);
    let answer = bench.poll().unwrap();
    alice.long_term.verify(&answer.message()).unwrap();
    assert_eq!((answer.code(), number(&answer)), (0, Some(id)));
    assert_eq!(connect(&mut bench, &mut alice, PEER), Some(446), "open");
    // Of nobody else, by its right number, along a connection of its own, and over TCP.
    assert_eq!(bind(&mut bench, 5001, "bob", id).1, 441);
    assert_eq!(bind(&mut bench, 5002, "alice", ConnectionId::new(id.number() ^ 1)).1, 400);
    let number = Attribute::ConnectionId(id.number());
    assert_eq!(alice.call(&mut bench, Method::CONNECTION_BIND, &[number]).code(), 400);
    assert_eq!(alice.call(&mut bench, Method::CONNECTION_BIND, &[]).code(), 400);
    let mut over_udp = Asker::new("198.51.100.7:5003", "alice", "wonderland");
    assert_eq!(over_udp.call(&mut bench, Method::CONNECTION_BIND, &[number]).code(), 400);
    assert_eq!(bench.server.stream_room(bench.now, id, Direction::ToPeer, 100), 0, "not joined");
    let (data, code) = bind(&mut bench, 5000, "alice", id);
    assert_eq!(code, 0);
    assert!(
        matches!(bench.wishes[..], [Event::Join { connection, client }] if connection == id && client == data.path)
    );
    assert_eq!(bind(&mut bench, 5004, "alice", id).1, 400, "once");
    assert_eq!(connect(&mut bench, &mut alice, PEER), Some(446), "joined");
    assert_eq!(bench.server.stream_room(bench.now, id, Direction::ToPeer, 100), 100);
    bench.server.stream_relayed(bench.now, id, Direction::ToPeer, 70);
    bench.server.stream_relayed(bench.now, id, Direction::ToClient, 30);
    let stats = bench.server.stats();
    assert_eq!((stats.connections, stats.joined, stats.relayed_bytes), (1, 1, 100));
    // Joined, it has no end but its allocation's.
    bench.wishes.clear();
    bench.sleep(Duration::from_secs(599));
    assert!(bench.wishes.is_empty());
    bench.sleep(Duration::from_secs(1));
    let [Event::Disconnect { connection, client }] = bench.wishes[..] else { panic!() };
    assert_eq!((connection, client), (id, Some(data.path)));
    let (usage, is_over) = bench.usages.last().unwrap();
    assert_eq!((usage.to_peers, usage.to_client, *is_over), (70, 30, true));
    is_clean(&bench);
}

/// What the control connection was challenged with holds for what the client comes for, from the same address, and saves a
/// round trip; from elsewhere, or signed with another password, it does not.
#[test]
fn a_client_that_comes_for_a_connection_is_known_by_its_control_connection() {
    let mut bench = Bench::new(with_tcp());
    let (mut alice, _) = allocated(&mut bench);
    let id = connected(&mut bench, &mut alice, PEER);
    let number = Attribute::ConnectionId(id.number());
    let bind = alice.request(Method::CONNECTION_BIND, &[number]);
    let other = alice.request(Method::CONNECTION_BIND, &[Attribute::ConnectionId(id.number() ^ 1)]);
    let refresh = alice.request(Method::REFRESH, &[]);
    let mut forged = bind.clone();
    *forged.last_mut().unwrap() ^= 1;
    let (here, there) =
        (over_tcp("198.51.100.7:5000", "alice").path, over_tcp("198.51.100.8:5000", "alice").path);
    for (path, request) in [(here, &forged), (here, &other), (here, &refresh), (there, &bind)] {
        let code = bench.ask(path, request).unwrap().code();
        assert!([401, 438].contains(&code), "{code}");
    }
    assert_eq!(bench.ask(here, &bind).unwrap().code(), 0);
    let again = over_tcp("198.51.100.7:5001", "alice").path;
    assert_eq!(bench.ask(again, &bind).unwrap().code(), 438, "once");
}

#[test]
fn either_side_ends_the_other() {
    let mut bench = Bench::new(with_tcp());
    let (mut alice, _) = allocated(&mut bench);
    let id = connected(&mut bench, &mut alice, PEER);
    let (data, _) = bind(&mut bench, 5000, "alice", id);
    bench.wishes.clear();
    bench.server.peer_gone(bench.now, id);
    bench.follow();
    assert!(matches!(bench.wishes[..], [Event::Disconnect { client: Some(path), .. }] if path == data.path));
    bench.server.client_gone(bench.now, data.path);
    bench.server.peer_gone(bench.now, id);
    let id = connected_after_clear(&mut bench, &mut alice);
    let (data, _) = bind(&mut bench, 5000, "alice", id);
    bench.wishes.clear();
    bench.server.client_gone(bench.now, data.path);
    bench.follow();
    assert!(matches!(bench.wishes[..], [Event::Disconnect { connection, client: None }] if connection == id));
    let id = connected_after_clear(&mut bench, &mut alice);
    // It closes before the client has come for it.
    bench.server.peer_gone(bench.now, id);
    assert_eq!(bind(&mut bench, 5000, "alice", id).1, 400);
    // What the control connection had ends with it.
    let id = connected_after_clear(&mut bench, &mut alice);
    let (data, _) = bind(&mut bench, 5000, "alice", id);
    bench.wishes.clear();
    bench.server.client_gone(bench.now, alice.path);
    bench.follow();
    assert!(matches!(bench.wishes[..], [Event::Disconnect { client: Some(path), .. }] if path == data.path));
    is_clean(&bench);
}

fn connected_after_clear(bench: &mut Bench, alice: &mut Asker) -> ConnectionId {
    bench.wishes.clear();
    connected(bench, alice, PEER)
}

/// RFC 6062 §5.2: thirty seconds for a connection to open, and thirty more for the client, to the millisecond.
#[test]
fn what_takes_too_long_ends() {
    let mut bench = Bench::new(with_tcp());
    let (mut alice, _) = allocated(&mut bench);
    let (almost, rest) = (Duration::from_millis(29_999), Duration::from_millis(1));
    assert_eq!(connect(&mut bench, &mut alice, PEER), None);
    let (id, ..) = wanted(&mut bench);
    bench.sleep(almost);
    assert!(bench.poll().is_none() && bench.wishes.is_empty());
    bench.sleep(rest);
    assert_eq!(bench.poll().unwrap().code(), 447);
    assert!(matches!(bench.wishes[..], [Event::Disconnect { connection, client: None }] if connection == id));
    // The caller's word comes too late.
    bench.server.peer_connected(bench.now, id);
    bench.server.peer_failed(bench.now, id);
    assert!(bench.poll().is_none());
    bench.wishes.clear();

    assert_eq!(connect(&mut bench, &mut alice, PEER), None);
    let (id, ..) = wanted(&mut bench);
    bench.server.peer_failed(bench.now, id);
    assert_eq!(bench.poll().unwrap().code(), 447, "refused");
    assert!(bench.wishes.is_empty(), "whoever says so has closed it");

    let id = connected(&mut bench, &mut alice, PEER);
    bench.sleep(almost);
    assert!(bench.wishes.is_empty());
    bench.sleep(rest);
    assert!(matches!(bench.wishes[..], [Event::Disconnect { connection, client: None }] if connection == id));
    assert_eq!((bind(&mut bench, 5000, "alice", id).1, bench.server.stats().connections), (400, 0));
    let id = connected_after_clear(&mut bench, &mut alice);
    bench.sleep(almost);
    assert_eq!(bind(&mut bench, 5000, "alice", id).1, 0, "in time");
}

/// RFC 6062 §5.3.
#[test]
fn a_peer_that_is_permitted_is_announced_and_no_other() {
    let mut bench = Bench::new(with_tcp());
    let (mut alice, relay) = allocated(&mut bench);
    let arrive =
        |bench: &mut Bench, from: &str| bench.server.peer_arrived(bench.now, relay, from.parse().unwrap());
    assert_eq!(arrive(&mut bench, PEER), Err(Discard::NoPermission));
    assert!(bench.poll().is_none());
    assert_eq!(alice.permit(&mut bench, PEER), 0);
    let id = arrive(&mut bench, PEER).unwrap();
    let attempt = bench.poll().unwrap();
    let message = attempt.message();
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::CONNECTION_ATTEMPT));
    let from = attempt.find(|attribute| match attribute {
        Attribute::XorPeerAddress(from) => Some(from),
        _ => None,
    });
    assert_eq!((from, number(&attempt), attempt.path), (Some(peer()), Some(id), alice.path));
    assert_eq!(arrive(&mut bench, PEER), Err(Discard::Full), "one of these addresses and ports is there");
    assert!(arrive(&mut bench, "8.8.4.4:5001").is_ok(), "another port of the peer");
    assert_eq!(arrive(&mut bench, "8.8.4.5:5000"), Err(Discard::NoPermission));
    assert_eq!(
        bench.server.peer_arrived(bench.now, ([8, 8, 8, 8], 1).into(), peer()),
        Err(Discard::NoAllocation)
    );
}

/// The same, in the order in which a client does it.
#[test]
fn a_client_comes_for_what_a_peer_has_opened() {
    let mut bench = Bench::new(with_tcp());
    let (mut alice, relay) = allocated(&mut bench);
    assert_eq!(alice.permit(&mut bench, PEER), 0);
    let id = bench.server.peer_arrived(bench.now, relay, peer()).unwrap();
    assert_eq!(number(&bench.poll().unwrap()), Some(id));
    assert_eq!(bind(&mut bench, 5000, "alice", id).1, 0);
    assert!(matches!(bench.wishes[..], [Event::Join { connection, .. }] if connection == id));
    // After its permission a peer is not heard any more; what is joined goes on.
    bench.sleep(Duration::from_secs(300));
    assert_eq!(
        bench.server.peer_arrived(bench.now, relay, "8.8.4.4:5001".parse().unwrap()),
        Err(Discard::NoPermission)
    );
    assert_eq!(bench.server.stats().connections, 1);
}

/// At each limit, and one past it.
#[test]
fn connections_have_their_limits() {
    let mut config = with_tcp();
    (config.max_connections_per_allocation, config.max_connections_per_user, config.max_connections) =
        (3, 4, 5);
    let mut bench = Bench::new(config);
    let mut askers: Vec<Asker> =
        [("198.51.100.7:1", "alice"), ("198.51.100.7:2", "alice"), ("198.51.100.7:3", "bob")]
            .map(|(from, name)| over_tcp(from, name))
            .into();
    let relays: Vec<SocketAddr> =
        askers.iter_mut().map(|asker| asker.call(&mut bench, Method::ALLOCATE, &[TCP]).relayed()).collect();
    let mut code = |asker: usize, port: u16| {
        connect(&mut bench, &mut askers[asker], &format!("8.8.4.4:{port}")).unwrap_or(0)
    };
    assert_eq!([code(0, 1), code(0, 2), code(0, 3), code(0, 4)], [0, 0, 0, 508], "of an allocation");
    assert_eq!([code(1, 1), code(1, 2)], [0, 486], "of a user");
    assert_eq!([code(2, 1), code(2, 2)], [0, 508], "of all");
    // Those of peers count alike.
    let mut bob = askers.pop().unwrap();
    assert_eq!(bob.permit(&mut bench, PEER), 0);
    assert_eq!(bench.server.peer_arrived(bench.now, relays[2], peer()), Err(Discard::Full));
    let Some(Event::Connect { connection, .. }) = bench.wishes.first().cloned() else { panic!() };
    bench.server.peer_failed(bench.now, connection);
    assert_eq!(bench.poll().unwrap().code(), 447);
    assert!(bench.server.peer_arrived(bench.now, relays[2], peer()).is_ok());
    assert_eq!(bench.server.stats().connections, 5);
    bench.sleep(Duration::from_secs(30));
    assert_eq!(bench.server.stats().connections, 0, "none was come for");
    while bench.poll().is_some() {}
    bench.sleep(Duration::from_secs(600));
    is_clean(&bench);
}

/// A time-limited name that is renewed takes its connections along, and frees those of the name before.
#[test]
fn connections_go_along_with_a_name_that_is_renewed() {
    use base64::Engine as _;
    let mut config = with_tcp();
    config.unix_time = 1_790_000_000 - testkit::epoch().since_epoch().as_secs();
    config.max_connections_per_user = 2;
    let mut bench = Bench::new(config);
    let named = |from: &str, end: u64| {
        let name = format!("{end}:anyone");
        let hmac = crypto::default_provider().hmac(crypto::HashAlgorithm::Sha1, b"north");
        let code = hmac.sign(&[name.as_bytes()]);
        let password = base64::engine::general_purpose::STANDARD.encode(code.as_bytes());
        let mut asker = Asker::new(from, &name, &password);
        asker.path.carrier = Carrier::Stream;
        asker
    };
    let mut first = named("198.51.100.7:1", 1_790_001_000);
    assert_eq!(first.call(&mut bench, Method::ALLOCATE, &[TCP]).code(), 0);
    assert_eq!(
        [connect(&mut bench, &mut first, "8.8.4.4:1"), connect(&mut bench, &mut first, "8.8.4.4:2")],
        [None; 2]
    );
    let mut renewed = named("198.51.100.7:1", 1_790_002_000);
    renewed.meet(&mut bench);
    assert_eq!(renewed.call(&mut bench, Method::REFRESH, &[]).code(), 0);
    assert_eq!(connect(&mut bench, &mut renewed, "8.8.4.4:3"), Some(486), "the two count");
    let mut other = named("198.51.100.7:2", 1_790_001_000);
    assert_eq!(other.call(&mut bench, Method::ALLOCATE, &[TCP]).code(), 0);
    assert_eq!(connect(&mut bench, &mut other, "8.8.4.4:1"), None, "the name before has none left");
    bench.wishes.clear();
    bench.sleep(Duration::from_secs(30));
    while bench.poll().is_some() {}
    assert_eq!(bench.server.stats().connections, 0);
    assert_eq!(connect(&mut bench, &mut renewed, "8.8.4.4:3"), None, "nothing is counted twice");
}

/// What cannot be answered or announced does not come about.
#[test]
fn nothing_is_joined_that_cannot_be_answered() {
    let mut config = with_tcp();
    config.max_replies = 2;
    let mut bench = Bench::new(config);
    let (mut alice, relay) = allocated(&mut bench);
    assert_eq!(alice.permit(&mut bench, PEER), 0);
    let id = connected(&mut bench, &mut alice, "8.8.4.4:1");
    let mut data = over_tcp("198.51.100.7:5000", "alice");
    data.meet(&mut bench);
    let refused = alice.request(Method::REFRESH, &[]);
    for _ in 0..2 {
        bench.receive(alice.path, &refused).unwrap();
    }
    let bind = data.request(Method::CONNECTION_BIND, &[Attribute::ConnectionId(id.number())]);
    assert!(matches!(bench.receive(data.path, &bind), Err(Discard::Unanswered)));
    assert_eq!(bench.server.peer_arrived(bench.now, relay, peer()), Err(Discard::Unanswered));
    assert_eq!((bench.server.stats().connections, bench.wishes.len()), (1, 0));
    while bench.poll().is_some() {}
    assert_eq!(bench.ask(data.path, &bind).unwrap().code(), 0);
}

/// THREATS T1, T10: by this method neither.
#[test]
fn no_special_address_nor_the_server_nor_the_relay_itself_is_connected_to() {
    // What is allowed makes no difference to the server's own.
    let mut config = with_tcp();
    config.peers.allow = vec!["192.0.2.0/24".parse().unwrap()];
    let mut bench = Bench::new(config);
    let (mut alice, relay) = allocated(&mut bench);
    let other = over_tcp("198.51.100.8:1", "bob").call(&mut bench, Method::ALLOCATE, &[TCP]).relayed();
    let of_udp = Asker::new("198.51.100.9:1", "bob", "wonderland").allocate(&mut bench, &[]).relayed();
    let mut count = 0;
    for special in crate::hostile::special() {
        let special = SocketAddr::new(special, 80);
        assert_eq!(connect(&mut bench, &mut alice, &special.to_string()), Some(403), "{special}");
        let arrived = bench.server.peer_arrived(bench.now, relay, special);
        assert_eq!(arrived, Err(Discard::NoPermission), "{special}");
        count += 1;
    }
    assert!(count >= 200, "{count}");
    for own in ["192.0.2.1:3478", "192.0.2.1:80", &relay.to_string(), &of_udp.to_string()] {
        assert_eq!(connect(&mut bench, &mut alice, own), Some(403), "{own}");
    }
    assert_eq!(
        connect(&mut bench, &mut alice, "[2600::1]:80"),
        Some(443),
        "it has no address of that family"
    );
    assert_eq!(connect(&mut bench, &mut alice, "8.8.4.4:0"), Some(400));
    assert!(bench.wishes.is_empty(), "nothing leaves");
    // Another relay of the same kind is a peer like any other.
    assert_eq!(connect(&mut bench, &mut alice, &other.to_string()), None);
    let (id, ..) = wanted(&mut bench);
    assert_eq!(bench.server.peer_arrived(bench.now, other, relay), Err(Discard::NoPermission));
    bench.server.peer_failed(bench.now, id);
    assert_eq!(bench.poll().unwrap().code(), 447);
    // A datagram does not reach the port of a relay of connections, where something else may be.
    let mut udp = Asker::new("198.51.100.10:1", "bob", "wonderland");
    udp.allocate(&mut bench, &[]);
    assert_eq!(udp.permit(&mut bench, &relay.to_string()), 0);
    assert!(matches!(udp.send(&mut bench, &relay.to_string(), b"x"), Err(Discard::NoPermission)));
    assert!(udp.send(&mut bench, &of_udp.to_string(), b"x").is_ok());
}

#[test]
fn bytes_of_connections_share_the_bandwidth_of_their_allocation_and_of_all() {
    let mut config = with_tcp();
    (config.max_bandwidth, config.max_total_bandwidth) = (Some(1000), Some(1250));
    let mut bench = Bench::new(config);
    let (mut alice, _) = allocated(&mut bench);
    let id = connected(&mut bench, &mut alice, PEER);
    bind(&mut bench, 5000, "alice", id);
    let room = |bench: &mut Bench, direction| bench.server.stream_room(bench.now, id, direction, 4096);
    assert_eq!(room(&mut bench, Direction::ToPeer), 1000);
    bench.server.stream_relayed(bench.now, id, Direction::ToPeer, 800);
    assert_eq!((room(&mut bench, Direction::ToPeer), room(&mut bench, Direction::ToClient)), (200, 450));
    bench.server.stream_relayed(bench.now, id, Direction::ToClient, 450);
    assert_eq!((room(&mut bench, Direction::ToPeer), room(&mut bench, Direction::ToClient)), (0, 0));
    bench.sleep(Duration::from_millis(500));
    assert_eq!((room(&mut bench, Direction::ToPeer), room(&mut bench, Direction::ToClient)), (625, 625));
}

/// RFC 6062 §4.3: whoever comes for a connection may be heard by another of several servers, which tells whose it is.
#[test]
fn of_several_servers_the_number_tells_which_one_has_the_connection() {
    let config = with_tcp();
    let shared = Shared::new(&config, [5; 32]);
    let worker = |seed: u8| {
        let mut bench = Bench::new(config.clone());
        let mut users = turn::Users::default();
        users.add(config.provider, &config.realm, "alice", "wonderland").unwrap();
        bench.server = Server::one_of_several(bench.now, config.clone(), users, shared.clone(), [seed; 32]);
        bench
    };
    let mut workers = [worker(1), worker(2), worker(3)];
    for (place, bench) in workers.iter_mut().enumerate() {
        let (mut alice, _) = allocated_from(bench, 4000 + u16::try_from(place).unwrap());
        let id = connected(bench, &mut alice, PEER);
        assert_eq!(shared.owner_of(id), place);
        assert_eq!(bind(bench, 5000, "alice", id).1, 0);
    }
}

fn allocated_from(bench: &mut Bench, port: u16) -> (Asker, SocketAddr) {
    let mut alice = over_tcp(&format!("198.51.100.7:{port}"), "alice");
    let relayed = alice.call(bench, Method::ALLOCATE, &[TCP]).relayed();
    (alice, relayed)
}

/// THREATS T3: whatever becomes of connections, nothing of them is left.
#[test]
fn connections_and_listeners_never_leak() {
    let mut few = with_tcp();
    few.ports = 50_000..=50_003;
    let mut bench = Bench::new(few);
    let free = bench.server.stats().free_ports;
    let mut alice = alice();
    for round in 0..testkit::scaled_at_least(100_000, 1_000) {
        assert_eq!(alice.call(&mut bench, Method::ALLOCATE, &[TCP]).code(), 0, "{round}");
        let relay = *bench.listeners.first().unwrap();
        alice.permit(&mut bench, PEER);
        let id = connected(&mut bench, &mut alice, PEER);
        let arrived = bench.server.peer_arrived(bench.now, relay, "8.8.4.4:1".parse().unwrap()).unwrap();
        bench.poll().unwrap();
        assert_eq!(connect(&mut bench, &mut alice, "8.8.4.4:2"), None);
        let (opening, ..) = wanted(&mut bench);
        let data = over_tcp("198.51.100.7:5000", "alice").path;
        let request = alice.request(Method::CONNECTION_BIND, &[Attribute::ConnectionId(id.number())]);
        assert_eq!(bench.ask(data, &request).unwrap().code(), 0, "{round}");
        match round % 5 {
            0 => bench.server.peer_gone(bench.now, id),
            1 => bench.server.client_gone(bench.now, data),
            2 => bench.server.peer_failed(bench.now, opening),
            3 => bench.server.peer_gone(bench.now, arrived),
            _ => {}
        }
        while bench.poll().is_some() {}
        if round % 2 == 0 {
            bench.sleep(Duration::from_secs(600));
        } else {
            alice.call(&mut bench, Method::REFRESH, &[Attribute::Lifetime(0)]);
        }
        while bench.poll().is_some() {}
        bench.wishes.clear();
        let stats = bench.server.stats();
        assert_eq!((stats.free_ports, stats.connections, stats.allocations), (free, 0, 0), "{round}");
        assert!(bench.listeners.is_empty() && bench.sockets.is_empty(), "{round}");
        assert_eq!(bench.server.poll_timeout(), None, "{round}");
    }
}

/// A listener that cannot be had is another port's.
#[test]
fn another_port_is_tried_where_nobody_can_listen() {
    let mut bench = Bench::new(with_tcp());
    let mut alice = alice();
    alice.meet(&mut bench);
    let request = alice.request(Method::ALLOCATE, &[TCP]);
    let _ =
        bench.server.handle_datagram(turn::Arrival { path: alice.path, ecn: None, at: bench.now }, &request);
    let Some(Event::Listen(first)) = bench.server.poll_event() else { panic!() };
    bench.server.relay_failed(bench.now, first);
    bench.follow();
    let relayed = bench.poll().unwrap().relayed();
    assert!(relayed != first && bench.listeners.contains(&relayed) && bench.listeners.len() == 1);
}
