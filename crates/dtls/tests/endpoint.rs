//! Strangers: cookies, what they cost, and the connections that follow.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::config;
use common::host::{Host, exchange, reverse};
use dtls::{Discard, Endpoint, Event};
use proto::Path;

#[test]
fn a_client_with_a_cookie_is_served_and_forgotten_when_it_closes() {
    let now = testkit::epoch();
    let (mut client, mut server) = (Host::new(1), Host::new(2));
    let path = testkit::path("192.0.2.1:1000", "192.0.2.2:2000");
    let id = client.endpoint.connect(now, path).unwrap();
    assert_eq!(client.endpoint.connect(now, path), Err(dtls::ConnectError::PathInUse));
    exchange(now, &mut client, &mut server);
    assert_eq!(client.events, [(id, Event::PeerCertificate), (id, Event::Connected)]);
    assert_eq!(server.events.len(), 2);

    let mut memory = [0; 100];
    let mut out = proto::Writer::new(&mut memory);
    let mut record = client.endpoint.connection_mut(id).unwrap().begin_record(&mut out).unwrap();
    record.plaintext().put(b"hello").unwrap();
    record.seal();
    let len = out.len();
    server.receive(now, reverse(path), &mut memory[..len]).unwrap();
    assert_eq!(server.received, [b"hello"]);

    client.endpoint.connection_mut(id).unwrap().close(now);
    exchange(now, &mut client, &mut server);
    assert!(client.endpoint.is_empty() && server.endpoint.is_empty());
    assert!(client.endpoint.connection_mut(id).is_none());
    assert_eq!(client.endpoint.poll_timeout(), None);
}

/// D18: strangers cost nothing and get no more than they send; cookies are bound to their address and age.
#[test]
fn strangers_leave_nothing_and_cookies_are_theirs_alone() {
    let mut now = testkit::epoch();
    let mut server = Host::new(2);
    let path = |n: u32| Path {
        remote: (std::net::Ipv4Addr::from(0x0a00_0000 + n), 9).into(),
        ..testkit::path("192.0.2.2:2000", "192.0.2.1:1")
    };
    let mut stranger = Host::new(1);
    stranger.endpoint.connect(now, reverse(path(0))).unwrap();
    let hello = stranger.transmits(now).remove(0).1;
    for n in 0..1000 {
        server.receive(now, path(n), &mut hello.clone()).unwrap();
        let replies = server.transmits(now);
        assert_eq!(replies.len(), 1);
        assert!(replies[0].0 == path(n) && replies[0].1.len() <= hello.len());
        assert!(server.endpoint.is_empty() && server.endpoint.poll_timeout().is_none());
    }
    server.receive(now, path(0), &mut hello.clone()).unwrap();
    let (_, mut demand) = server.transmits(now).remove(0);
    stranger.receive(now, reverse(path(0)), &mut demand).unwrap();
    let answer = stranger.transmits(now).remove(0).1;

    // From another address, and altered, it is a hello without a cookie.
    server.receive(now, path(1), &mut answer.clone()).unwrap();
    let mut altered = answer.clone();
    altered[13 + 12 + 2] ^= 1;
    server.receive(now, path(0), &mut altered).unwrap();
    assert!(server.endpoint.is_empty());
    // It lives through one change of keys, not two.
    now += Duration::from_secs(120);
    server.receive(now, path(0), &mut answer.clone()).unwrap();
    assert!(server.endpoint.is_empty());
    let mut server = Host::new(2);
    now = testkit::epoch() + Duration::from_secs(60);
    server.receive(now, path(0), &mut answer.clone()).unwrap();
    assert_eq!(server.endpoint.len(), 1);
    // What is no hello is nobody's.
    for n in 0..answer.len() {
        let cut = server.receive(now, path(5), &mut answer[..n].to_vec());
        assert!(cut.is_err());
    }
    assert_eq!(server.endpoint.len(), 1);
}

/// D17: hellos from a known path reach only its connection; the table ends.
#[test]
fn the_table_is_bounded_and_live_connections_survive_hellos() {
    let now = testkit::epoch();
    let mut limited = config(crypto::default_provider(), 2);
    limited.max_connections = 2;
    let mut server =
        Host { endpoint: Endpoint::new(Arc::new(limited), [2; 32]), events: vec![], received: vec![] };
    let mut client = Host::new(1);
    let path = |n: u16| testkit::path(&format!("192.0.2.1:{n}"), "192.0.2.2:2000");
    for n in 1..=2 {
        client.endpoint.connect(now, path(n)).unwrap();
    }
    let hello = client.transmits(now);
    for (path, datagram) in &hello {
        server.receive(now, reverse(*path), &mut datagram.clone()).unwrap();
        for (path, mut datagram) in server.transmits(now) {
            client.receive(now, reverse(path), &mut datagram).unwrap();
        }
    }
    exchange(now, &mut client, &mut server);
    assert_eq!(server.events.iter().filter(|(_, event)| *event == Event::Connected).count(), 2);
    for _ in 0..1000 {
        server.receive(now, reverse(hello[0].0), &mut hello[0].1.clone()).unwrap();
    }
    assert!(server.transmits(now).is_empty());
    client.endpoint.connect(now, path(3)).unwrap();
    let (_, mut first) = client.transmits(now).remove(0);
    server.receive(now, reverse(path(3)), &mut first).unwrap();
    let (_, mut demand) = server.transmits(now).remove(0);
    client.receive(now, path(3), &mut demand).unwrap();
    let (_, mut second) = client.transmits(now).remove(0);
    assert_eq!(server.receive(now, reverse(path(3)), &mut second), Err(Discard::TooManyConnections));
    assert_eq!(server.endpoint.len(), 2);
    assert_eq!(client.endpoint.connect(now, path(3)), Err(dtls::ConnectError::PathInUse));
}

#[test]
fn the_endpoint_wakes_for_whichever_connection_is_due_first() {
    let (now, wait) = (testkit::epoch(), Duration::from_secs(1));
    let later = now + Duration::from_millis(300);
    let mut client = Host::new(1);
    assert_eq!(client.endpoint.poll_timeout(), None);
    let paths = ["192.0.2.2:2000", "192.0.2.3:2000"].map(|to| testkit::path("192.0.2.1:1000", to));
    for (at, path) in [now, later].into_iter().zip(paths) {
        client.endpoint.connect(at, path).unwrap();
        assert_eq!(client.transmits(at).len(), 1);
    }
    for (at, path) in [now + wait, later + wait].into_iter().zip(paths) {
        assert_eq!(client.endpoint.poll_timeout(), Some(at));
        client.endpoint.handle_timeout(at);
        let sent: Vec<_> = client.transmits(at).into_iter().map(|(path, _)| path).collect();
        assert_eq!(sent, [path]);
    }
    assert_eq!(client.endpoint.poll_timeout(), Some(now + 3 * wait), "the second wait is twice as long");
}
