//! Allocations: made, refreshed, ended, and every way to ask wrongly for one.

use std::time::Duration;

use proto::Carrier;
use stun::wire::{AddressFamily, Attribute, Method};
use turn::server::{self, Event};

use crate::support::{Asker, Bench, RELAY, config};

#[test]
fn an_allocation_is_made_refreshed_and_ended() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    let answer = alice.allocate(&mut bench, &[]);
    assert_eq!((answer.code(), answer.lifetime()), (0, 600));
    let relayed = answer.relayed();
    assert!(relayed.ip().to_string() == RELAY && relayed.port() >= 49_152);
    assert_eq!(answer.message().mapped_address(), Some(alice.path.remote));
    assert!(bench.sockets.contains(&relayed));
    for (asked, granted) in [(None, 600), (Some(1), 600), (Some(1200), 1200), (Some(u32::MAX), 3600)] {
        let lifetime: Vec<_> = asked.map(Attribute::Lifetime).into_iter().collect();
        let answer = alice.call(&mut bench, Method::REFRESH, &lifetime);
        assert_eq!((answer.code(), answer.lifetime()), (0, granted));
    }
    bench.sleep(Duration::from_secs(3599));
    assert_eq!(bench.server.stats().allocations, 1);
    bench.sleep(Duration::from_secs(1));
    assert_eq!((bench.server.stats().allocations, bench.sockets.len()), (0, 0));
    assert_eq!(alice.call(&mut bench, Method::REFRESH, &[]).code(), 437);
    alice.allocate(&mut bench, &[]);
    let ended = alice.call(&mut bench, Method::REFRESH, &[Attribute::Lifetime(0)]);
    assert_eq!((ended.code(), ended.lifetime(), bench.sockets.len()), (0, 0, 0));
}

/// RFC 8656 §7.2: in this order, each with its own number.
#[test]
fn what_is_asked_for_wrongly_is_refused() {
    use Attribute::{
        AdditionalAddressFamily, DontFragment, EvenPort, RequestedAddressFamily, RequestedTransport,
        ReservationToken,
    };
    let token = ReservationToken([1; 8]);
    let (v4, v6) = (AddressFamily::V4, AddressFamily::V6);
    let unknown = Attribute::Unknown { kind: 0x7777, value: &[] };
    let table: &[(&[Attribute<'_>], u16)] = &[
        (&[], 400),
        (&[RequestedTransport(6)], 442),
        (&[RequestedTransport(99)], 442),
        (&[RequestedTransport(17), token], 508),
        (&[RequestedTransport(17), token, EvenPort { reserve: false }], 400),
        (&[RequestedTransport(17), token, RequestedAddressFamily(v4)], 400),
        (&[RequestedTransport(17), token, AdditionalAddressFamily(v6)], 400),
        (&[RequestedTransport(17), RequestedAddressFamily(v4), AdditionalAddressFamily(v6)], 400),
        (&[RequestedTransport(17), AdditionalAddressFamily(v4)], 400),
        (&[RequestedTransport(17), AdditionalAddressFamily(v6), EvenPort { reserve: true }], 400),
        (&[RequestedTransport(17), RequestedAddressFamily(AddressFamily::Other(9))], 440),
        (&[RequestedTransport(17), unknown], 420),
        (&[RequestedTransport(17), DontFragment], 420),
    ];
    let mut config = config();
    config.dont_fragment = false;
    let (mut bench, mut alice) = (Bench::new(config), Asker::alice());
    alice.meet(&mut bench);
    for (attributes, code) in table {
        let answer = alice.call(&mut bench, Method::ALLOCATE, attributes);
        assert_eq!(answer.code(), *code, "{attributes:?}");
        assert!(answer.message().is_signed());
        if *code == 420 {
            let types = answer.find(|attribute| match attribute {
                Attribute::UnknownAttributes(list) => Some(list.types().collect::<Vec<_>>()),
                _ => None,
            });
            assert!([vec![0x7777], vec![0x1a]].contains(&types.unwrap()));
        }
    }
    assert_eq!((bench.server.stats().allocations, bench.sockets.len()), (0, 0));
}

#[test]
fn both_families_are_had_together_or_the_reason_is_told() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    let both = [Attribute::AdditionalAddressFamily(AddressFamily::V6)];
    let answer = alice.allocate(&mut bench, &both);
    let relayed: Vec<bool> = answer
        .message()
        .attributes()
        .filter_map(|attribute| match attribute {
            Attribute::XorRelayedAddress(address) => Some(address.is_ipv4()),
            _ => None,
        })
        .collect();
    assert_eq!((relayed, bench.sockets.len()), (vec![true, false], 2));
    assert_eq!(alice.permit(&mut bench, "8.8.8.8:1"), 0);
    assert_eq!(alice.permit(&mut bench, "[2600::1]:1"), 0);

    let mut only_v4 = config();
    only_v4.relays.truncate(1);
    let (mut bench, mut alice) = (Bench::new(only_v4), Asker::alice());
    let answer = alice.allocate(&mut bench, &both);
    let refused = answer.find(|attribute| match attribute {
        Attribute::AddressError(error) => Some((error.family, error.code)),
        _ => None,
    });
    assert_eq!((answer.code(), refused), (0, Some((AddressFamily::V6, 440))));
    assert_eq!(alice.permit(&mut bench, "[2600::1]:1"), 443, "no relay of that family");
    let family = [Attribute::RequestedAddressFamily(AddressFamily::V6)];
    let mut bob = Asker::new("198.51.100.8:1", "bob", "wonderland");
    assert_eq!(bob.allocate(&mut bench, &family).code(), 440);
    assert_eq!(alice.call(&mut bench, Method::REFRESH, &family).code(), 443);
}

#[test]
fn a_port_is_kept_for_the_second_allocation() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    let first = alice.allocate(&mut bench, &[Attribute::EvenPort { reserve: true }]);
    let token = first.find(|attribute| match attribute {
        Attribute::ReservationToken(token) => Some(token),
        _ => None,
    });
    assert_eq!(first.relayed().port() % 2, 0);
    let mut second = Asker::new("198.51.100.7:4001", "alice", "wonderland");
    let answer = second.allocate(&mut bench, &[Attribute::ReservationToken(token.unwrap())]);
    assert_eq!(answer.relayed().port(), first.relayed().port() + 1);
    let mut third = Asker::new("198.51.100.7:4002", "alice", "wonderland");
    assert_eq!(third.allocate(&mut bench, &[Attribute::ReservationToken(token.unwrap())]).code(), 508);
    // One that nobody shows comes back after half a minute.
    let free = bench.server.stats().free_ports;
    third.allocate(&mut bench, &[Attribute::EvenPort { reserve: true }]);
    assert_eq!(bench.server.stats().free_ports, free - 2);
    bench.sleep(Duration::from_secs(30));
    assert_eq!(bench.server.stats().free_ports, free - 1);
}

#[test]
fn a_retransmission_gets_the_same_answer_and_another_request_none() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    alice.meet(&mut bench);
    let request = alice.request(Method::ALLOCATE, &[Attribute::RequestedTransport(17)]);
    let first = bench.ask(alice.path, &request).unwrap();
    bench.sleep(Duration::from_secs(1));
    let second = bench.ask(alice.path, &request).unwrap();
    assert_eq!((first.relayed(), first.lifetime()), (second.relayed(), 600));
    assert_eq!((second.lifetime(), bench.sockets.len()), (599, 1));
    assert_eq!(alice.allocate(&mut bench, &[]).code(), 437);
}

#[test]
fn a_socket_that_cannot_be_had_is_replaced_and_then_refused() {
    let mut small = config();
    small.ports = 50_000..=50_003;
    small.relays.truncate(1);
    let (mut bench, mut alice) = (Bench::new(small), Asker::alice());
    alice.meet(&mut bench);
    let request = alice.request(Method::ALLOCATE, &[Attribute::RequestedTransport(17)]);
    let arrival = turn::Arrival { path: alice.path, ecn: None, at: bench.now };
    let _ = bench.server.handle_datagram(arrival, &request).unwrap();
    let Some(Event::Open(first)) = bench.server.poll_event() else { panic!("a socket") };
    assert!(bench.poll().is_none(), "no answer before there is a socket");
    bench.server.relay_failed(bench.now, first);
    let Some(Event::Open(second)) = bench.server.poll_event() else { panic!("another socket") };
    assert_ne!(first, second);
    bench.server.relay_opened(bench.now, second);
    bench.server.relay_opened(bench.now, second);
    bench.server.relay_failed(bench.now, second);
    assert_eq!(bench.poll().unwrap().relayed(), second);
    assert!(bench.poll().is_none());
    // Without another port the client is told.
    let mut bob = Asker::new("198.51.100.8:1", "bob", "wonderland");
    bob.meet(&mut bench);
    let request = bob.request(Method::ALLOCATE, &[Attribute::RequestedTransport(17)]);
    let arrival = turn::Arrival { path: bob.path, ecn: None, at: bench.now };
    let _ = bench.server.handle_datagram(arrival, &request).unwrap();
    let mut tried = 0;
    while let Some(Event::Open(socket)) = bench.server.poll_event() {
        tried += 1;
        assert!(tried < 100, "for ever");
        if tried == 50 {
            break;
        }
        bench.server.relay_failed(bench.now, socket);
    }
    assert!(tried <= 10, "{tried}");
    assert_eq!(bench.poll().map(|answer| answer.code()), Some(508));
    assert!(bench.server.poll_event().is_none(), "a socket that there never was is not closed");
    assert_eq!(bench.server.stats().free_ports, 3);
}

/// RFC 8656 §7.2: a port in place of another is as even as that one was to be, with another one behind it if one is kept.
#[test]
fn a_port_in_place_of_another_is_what_was_asked_for() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    let free = bench.server.stats().free_ports;
    let mut ask = |bench: &mut Bench, path: turn::Path, attribute: Attribute<'_>| {
        alice.path = path;
        alice.meet(bench);
        let request = alice.request(Method::ALLOCATE, &[Attribute::RequestedTransport(17), attribute]);
        let _ = bench.server.handle_datagram(turn::Arrival { path, ecn: None, at: bench.now }, &request);
    };
    let path = |port| turn::Path { remote: ([198, 51, 100, 7], port).into(), ..Asker::alice().path };
    let fail = |bench: &mut Bench| match bench.server.poll_event() {
        Some(Event::Open(socket)) => {
            bench.server.relay_failed(bench.now, socket);
            Some(socket.port())
        }
        _ => None,
    };
    ask(&mut bench, path(1), Attribute::EvenPort { reserve: false });
    let tried: Vec<u16> = std::iter::from_fn(|| fail(&mut bench)).collect();
    assert!(tried.len() > 2 && tried.iter().all(|port| port % 2 == 0), "{tried:?}");
    assert_eq!(bench.poll().map(|answer| answer.code()), Some(508));
    ask(&mut bench, path(2), Attribute::EvenPort { reserve: true });
    let tried: Vec<u16> = std::iter::from_fn(|| fail(&mut bench)).collect();
    assert!(tried.len() > 2 && tried.iter().all(|port| port % 2 == 0), "{tried:?}");
    assert_eq!(bench.poll().map(|answer| answer.code()), Some(508));
    assert_eq!(
        bench.server.stats().free_ports,
        free,
        "the next port is not kept for a token that nobody has"
    );
    ask(&mut bench, path(3), Attribute::EvenPort { reserve: true });
    bench.follow();
    let token = bench.poll().unwrap().find(|attribute| match attribute {
        Attribute::ReservationToken(token) => Some(token),
        _ => None,
    });
    ask(&mut bench, path(4), Attribute::ReservationToken(token.unwrap()));
    assert!(fail(&mut bench).is_some() && fail(&mut bench).is_none(), "it was the one that was kept");
    assert_eq!(bench.poll().map(|answer| answer.code()), Some(508));
}

#[test]
fn who_is_taken_from_the_users_renews_nothing() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    alice.allocate(&mut bench, &[]);
    let users = |password| {
        let (config, mut users) = (config(), turn::Users::default());
        users.add(config.provider, &config.realm, "bob", "wonderland").unwrap();
        if let Some(password) = password {
            users.add(config.provider, &config.realm, "alice", password).unwrap();
        }
        users
    };
    let mut later = Asker::new("198.51.100.7:4000", "alice", "looking glass");
    later.meet(&mut bench);
    for (password, old, new) in [
        (Some("wonderland"), 0, 401),
        (Some("looking glass"), 401, 0),
        (None, 401, 401),
        (Some("wonderland"), 0, 401),
    ] {
        bench.server.set_users(users(password));
        for (asker, code) in [(&mut alice, old), (&mut later, new)] {
            assert_eq!(asker.call(&mut bench, Method::REFRESH, &[]).code(), code, "{password:?}");
            assert_eq!(asker.permit(&mut bench, crate::support::PEER), code, "{password:?}");
        }
    }
    bench.server.set_users(users(None));
    bench.sleep(Duration::from_secs(600));
    assert_eq!(bench.server.stats().allocations, 0);
}

#[test]
fn a_client_on_tcp_is_served_and_goes_with_its_connection() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    alice.path.carrier = Carrier::Stream;
    let relayed = alice.allocate(&mut bench, &[]).relayed();
    assert_eq!(alice.bind(&mut bench, 0x4000, crate::support::PEER), 0);
    let data =
        bench.receive(crate::support::inbound(relayed, crate::support::PEER), b"12345").unwrap().unwrap();
    assert_eq!(data.bytes, [0x40, 0, 0, 5, b'1', b'2', b'3', b'4', b'5', 0, 0, 0], "padded on streams");
    bench.server.client_gone(bench.now, alice.path);
    bench.follow();
    assert!(bench.sockets.is_empty());
}

/// THREATS T8: a name that ends takes its allocation with it.
#[test]
fn a_name_that_ends_is_not_refreshed_beyond_its_end() {
    use base64::Engine as _;
    let mut timed = config();
    let start = testkit::epoch().since_epoch().as_secs();
    timed.unix_time = 1_790_000_000 - start;
    let mut bench = Bench::new(timed);
    let name = "1790001000:anyone";
    let hmac = crypto::default_provider().hmac(crypto::HashAlgorithm::Sha1, b"north");
    let password = base64::engine::general_purpose::STANDARD.encode(hmac.sign(&[name.as_bytes()]).as_bytes());
    let mut client = Asker::new("198.51.100.7:4000", name, &password);
    assert_eq!(client.allocate(&mut bench, &[]).code(), 0);
    bench.sleep(Duration::from_secs(599));
    assert_eq!(client.call(&mut bench, Method::REFRESH, &[]).code(), 0);
    bench.sleep(Duration::from_secs(402));
    assert_eq!(client.call(&mut bench, Method::REFRESH, &[]).code(), 401);
    bench.sleep(Duration::from_secs(600));
    assert_eq!(bench.server.stats().allocations, 0);
    assert_eq!(client.allocate(&mut bench, &[]).code(), 401);
}

#[test]
fn another_users_request_on_the_same_path_is_told_so() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    alice.allocate(&mut bench, &[]);
    let mut bob = Asker::new("198.51.100.7:4000", "bob", "wonderland");
    bob.meet(&mut bench);
    assert_eq!(bob.call(&mut bench, Method::REFRESH, &[]).code(), 441);
    let mut liar = Asker::new("198.51.100.7:4000", "bob", "wrong");
    assert_eq!(liar.call(&mut bench, Method::REFRESH, &[Attribute::Lifetime(0)]).code(), 401);
    assert_eq!(bench.server.stats().allocations, 1);
}

#[test]
fn a_binding_request_tells_the_address() {
    let (mut bench, mut alice) =
        (Bench::new(server::Config::new(crypto::default_provider())), Asker::alice());
    let request = alice.request(Method::BINDING, &[]);
    let answer = bench.ask(alice.path, &request).unwrap();
    assert_eq!(answer.message().mapped_address(), Some(alice.path.remote));
    assert!(answer.bytes.len() <= 5 * request.len());
    let unknown = Attribute::Unknown { kind: 0x7777, value: &[] };
    let request = alice.request(Method::BINDING, &[unknown]);
    assert_eq!(bench.ask(alice.path, &request).unwrap().code(), 420);
}
