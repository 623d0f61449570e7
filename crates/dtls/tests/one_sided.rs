//! A server that asks nobody for a certificate, a client that has none, and chains, as TURN over DTLS has them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::bytes::{Message, messages};
use common::{End, Pair, config};
use dtls::wire::{ClientHello, Extension};
use dtls::{ClientCertificate, CloseReason, Config, Connection, Discard, Event, Identity, IdentityError};

const LIMIT: Duration = Duration::from_secs(5);

fn anonymous() -> Config {
    Config::without_identity(testkit::null_provider())
}

fn asks_nobody() -> Config {
    let mut config = config(testkit::null_provider(), 2);
    config.client_certificate = ClientCertificate::NotRequested;
    config
}

#[test]
fn a_server_that_asks_nobody_takes_whoever_comes() {
    for client in [anonymous(), config(testkit::null_provider(), 1)] {
        let mut pair = Pair::connected(client, asks_nobody());
        assert_eq!(pair.client.events, [Event::PeerCertificate, Event::Connected]);
        assert_eq!(pair.server.events, [Event::Connected]);
        assert_eq!(pair.server.connection.peer_certificate(), None);
        let own = asks_nobody().identity.unwrap();
        assert_eq!(pair.client.connection.peer_certificate(), Some(own.certificate()));
        for by_client in [true, false] {
            let data = pair.end(by_client).seal(b"data");
            pair.send(by_client, data);
        }
        pair.run_until(LIMIT, |_| false);
        assert_eq!(
            (&pair.client.received[..], &pair.server.received[..]),
            (&[b"data".to_vec()][..], &[b"data".to_vec()][..])
        );
    }
}

/// RFC 6347 §4.2.4: whichever datagram is lost, the flights of this shape are repeated too.
#[test]
fn every_single_loss_is_mended() {
    for lost in 0..6 {
        for to_server in [true, false] {
            let mut pair = Pair::new(anonymous(), asks_nobody());
            let link = if to_server { &mut pair.to_server } else { &mut pair.to_client };
            *link = Box::new(move |n, _| if n == lost { vec![] } else { vec![Duration::from_millis(10)] });
            assert!(pair.connect(LIMIT), "datagram {lost}, to the server: {to_server}");
        }
    }
}

/// THREATS D3: nothing is gained by having no certificate where one is demanded.
#[test]
fn a_client_without_a_certificate_is_refused_where_one_is_demanded() {
    let mut pair = Pair::new(anonymous(), config(testkit::null_provider(), 2));
    assert!(!pair.connect(LIMIT));
    assert_eq!(pair.server.events, [Event::Closed(CloseReason::NoPeerCertificate)]);
    assert!(!pair.client.events.contains(&Event::Connected));
}

#[test]
fn both_ends_are_asked_unless_it_is_said_otherwise() {
    let config = config(testkit::null_provider(), 1);
    assert_eq!(config.client_certificate, ClientCertificate::Required);
    assert_eq!(Config::without_identity(config.provider).client_certificate, ClientCertificate::Required);
    assert_eq!((config.max_issuers, config.server_name), (0, None));
}

/// The verdict is the owner's: without it there is neither data nor keys.
#[test]
fn a_server_that_is_not_accepted_hears_nothing() {
    let mut pair = Pair::new(anonymous(), asks_nobody());
    pair.client.accepts = false;
    assert!(!pair.connect(LIMIT));
    assert!(pair.server.connection.is_connected(), "its own side is complete");
    let data = pair.server.seal(b"data");
    pair.send(false, data);
    pair.run_until(LIMIT, |_| false);
    assert_eq!(pair.client.events, [Event::PeerCertificate]);
    assert!(pair.client.received.is_empty());
    let mut out = [0; 16];
    assert!(pair.client.connection.export_keying_material(b"label", None, &mut out).is_err());
    pair.client.connection.reject_peer(pair.now);
    assert!(pair.run_until(LIMIT, |pair| pair.server.connection.closed().is_some()));
}

/// RFC 5246 §7.4.6: a client sends a certificate only when it is asked.
#[test]
fn a_certificate_nobody_asked_for_is_ignored() {
    let mut pair = Pair::new(anonymous(), asks_nobody());
    for mut datagram in pair.client.datagrams(pair.now) {
        pair.server.receive(pair.now, &mut datagram);
    }
    let asked: Vec<u8> =
        messages(&pair.server.datagrams(pair.now)).iter().map(|message| message.kind).collect();
    assert_eq!(asked, [2, 11, 12, 14], "no CertificateRequest");
    pair.server.receive(pair.now, &mut Message { sequence: 1, kind: 11, body: vec![0; 3] }.whole());
    pair.server.receive(pair.now, &mut Message { sequence: 1, kind: 15, body: vec![4, 3, 0, 0] }.whole());
    assert_eq!(pair.server.discards, [Discard::Unexpected; 2]);
    assert!(pair.server.events.is_empty());
}

#[test]
fn a_server_without_a_certificate_cannot_work() {
    let mut server = anonymous();
    server.client_certificate = ClientCertificate::NotRequested;
    let mut pair = Pair::new(anonymous(), server);
    assert!(!pair.connect(LIMIT));
    assert_eq!(pair.server.events, [Event::Closed(CloseReason::Internal)]);
}

fn with_issuers(count: u8) -> (Config, Vec<Vec<u8>>) {
    let null = testkit::null_provider();
    let issuer = |seed| Identity::generate(null, 1_790_000_000, [seed; 32]).unwrap().certificate().to_vec();
    let issuers: Vec<_> = (0..count).map(|number| issuer(100 + number)).collect();
    let identity = Identity::generate(null, 1_790_000_000, [2; 32]).unwrap();
    let mut config = asks_nobody();
    config.identity = Some(Arc::new(identity.with_issuers(issuers.clone()).unwrap()));
    (config, issuers)
}

/// Three that are sent, of which as many are kept as the limit says, until the peer is accepted.
#[test]
fn issuers_are_kept_up_to_the_limit() {
    for limit in [0, 2, 3, 4] {
        let ((server, issuers), mut client) = (with_issuers(3), anonymous());
        client.max_issuers = limit;
        let mut pair = Pair::new(client, server);
        pair.client.accepts = false;
        assert!(!pair.connect(LIMIT));
        let kept: Vec<_> = pair.client.connection.peer_issuers().collect();
        assert_eq!(kept, issuers[..limit.min(3)]);
        pair.client.connection.accept_peer(pair.now);
        assert_eq!(pair.client.connection.peer_issuers().count(), 0, "the verdict needs them, nothing else");
        assert!(pair.client.connection.is_connected());
    }
}

#[test]
fn a_chain_that_is_sent_may_have_16_kib_and_no_byte_more() {
    let null = testkit::null_provider();
    let identity = || Identity::generate(null, 1_790_000_000, [2; 32]).unwrap();
    let room = (16 << 10) - identity().certificate().len();
    // One byte more or less of rubbish behind a certificate.
    let mut issuer = identity().certificate().to_vec();
    issuer.resize(room, 0);
    assert!(identity().with_issuers(vec![issuer.clone()]).is_ok());
    issuer.push(0);
    assert!(matches!(identity().with_issuers(vec![issuer]), Err(IdentityError::TooLong)));
    assert!(matches!(identity().with_issuers(vec![vec![1; 100]]), Err(IdentityError::Certificate)));
}

/// RFC 6066 §3.
#[test]
fn a_name_is_asked_for_and_nobody_else_says_one() {
    for name in [None, Some("turn.example")] {
        let mut client = anonymous();
        client.server_name = name.map(str::to_owned);
        let mut end = End::new(Connection::client(testkit::epoch(), Arc::new(client.clone()), [1; 32]));
        let hello = messages(&end.datagrams(testkit::epoch())).remove(0);
        let hello = ClientHello::decode(&hello.body).unwrap();
        let asked = hello.extensions.iter().find_map(|extension| {
            if let Extension::ServerName(asked) = extension { Some(asked) } else { None }
        });
        assert_eq!(asked, name.map(str::as_bytes));
        Pair::connected(client, asks_nobody());
    }
    for (value, read) in [
        (&b""[..], Some(&b""[..])),
        (b"\0\x04\0\0\x01a", Some(b"a")),
        (b"\0\x04\x01\0\x01a", None),
        (b"\0\x05\0\0\x01a", None),
        (b"\0\x03\0\0\0", None),
        (b"\0\x08\0\0\x01a\0\0\x01b", None),
    ] {
        let decoded = Extension::decode(0, value).unwrap();
        let expected = read.map_or(Extension::Unknown { kind: 0, value }, Extension::ServerName);
        assert_eq!(decoded, expected, "{value:?}");
    }
}
