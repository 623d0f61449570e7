//! Two of our ends: all suites, groups, providers; losses, sizes, exporters.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod common;

use std::time::Duration;

use common::{End, Pair, config};
use dtls::{CipherSuite, Event, NamedGroup, Version};

#[test]
fn every_provider_suite_and_group_connects() {
    for provider in [crypto::rust_crypto(), crypto::default_provider(), testkit::null_provider()] {
        for suite in CipherSuite::ECDSA {
            for group in [NamedGroup::X25519, NamedGroup::Secp256r1] {
                let (mut client, server) = (config(provider, 1), config(provider, 2));
                client.cipher_suites = vec![suite];
                client.groups = vec![group];
                let mut pair = Pair::connected(client, server);
                assert_eq!(pair.client.events, [Event::PeerCertificate, Event::Connected]);
                assert_eq!(pair.server.events, [Event::PeerCertificate, Event::Connected]);
                assert_eq!(pair.client.connection.cipher_suite(), Some(suite));
                assert_eq!(pair.server.connection.cipher_suite(), Some(suite));
                assert_eq!(pair.client.connection.version(), Some(Version::Dtls12));
                assert_eq!(pair.server.connection.version(), Some(Version::Dtls12));

                let (mut a, mut b) = ([0; 60], [1; 60]);
                for context in [None, Some(&b""[..]), Some(&b"context"[..])] {
                    pair.client
                        .connection
                        .export_keying_material(b"EXTRACTOR-dtls_srtp", context, &mut a)
                        .unwrap();
                    pair.server
                        .connection
                        .export_keying_material(b"EXTRACTOR-dtls_srtp", context, &mut b)
                        .unwrap();
                    assert_eq!(a, b);
                }
                let mut datagram = pair.client.seal(b"hello");
                assert_eq!(datagram.len(), 5 + pair.client.connection.overhead());
                pair.server.receive(pair.now, &mut datagram);
                let mut datagram = pair.server.seal(b"welcome");
                pair.client.receive(pair.now, &mut datagram);
                assert_eq!(pair.server.received, [b"hello"]);
                assert_eq!(pair.client.received, [b"welcome"]);
                assert_eq!(pair.client.connection.poll_timeout(), None);
                assert!(pair.now - testkit::epoch() <= Duration::from_millis(40), "two round trips");
            }
        }
    }
}

/// What was agreed is known from the hellos on, before anything is proved.
#[test]
fn what_the_hellos_agree_on_is_known_at_once() {
    let null = testkit::null_provider();
    for suite in CipherSuite::ECDSA {
        let (client, mut server) = (config(null, 1), config(null, 2));
        server.cipher_suites = vec![suite];
        let mut pair = Pair::new(client, server);
        let agreed = |end: &End| (end.connection.version(), end.connection.cipher_suite());
        for mut datagram in pair.client.datagrams(pair.now) {
            pair.server.receive(pair.now, &mut datagram);
        }
        let known = (Some(Version::Dtls12), Some(suite));
        assert_eq!((agreed(&pair.client), agreed(&pair.server)), ((None, None), known));
        for mut datagram in pair.server.datagrams(pair.now) {
            pair.client.receive(pair.now, &mut datagram);
        }
        assert_eq!(agreed(&pair.client), known);
    }
}

#[test]
fn nothing_is_agreed_before_the_first_message() {
    let null = testkit::null_provider();
    let pair = Pair::new(config(null, 1), config(null, 2));
    for end in [&pair.client, &pair.server] {
        assert_eq!((end.connection.version(), end.connection.cipher_suite()), (None, None));
    }
}
