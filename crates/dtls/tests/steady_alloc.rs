//! Once connected, a record costs no allocation in either direction.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

mod common;

use common::{Pair, config};
use proto::Writer;

#[test]
fn records_are_sealed_and_opened_without_allocation() {
    for suite in dtls::CipherSuite::ECDSA {
        // In debug builds graviola asks the environment, at each call, which CPU features to leave alone.
        let accelerated = crypto::accelerated().filter(|_| !cfg!(debug_assertions));
        for provider in [crypto::rust_crypto()].into_iter().chain(accelerated) {
            let (mut client, server) = (config(provider, 1), config(provider, 2));
            client.cipher_suites = vec![suite];
            let mut pair = Pair::connected(client, server);
            let (sender, receiver, now) =
                (&mut pair.client.connection, &mut pair.server.connection, pair.now);
            let mut memory = [0; 1300];
            let mut delivered = 0;
            let counted = allocation_counter::measure(|| {
                for _ in 0..1000 {
                    let mut out = Writer::new(&mut memory);
                    let mut record = sender.begin_record(&mut out).unwrap();
                    record.plaintext().put(&[7; 1200]).unwrap();
                    record.seal();
                    let len = out.len();
                    let mut records = receiver.handle_datagram(now, &mut memory[..len]);
                    delivered += records.next_record().unwrap().unwrap().len();
                    drop(records);
                    let _ = (receiver.poll_event(), receiver.poll_timeout());
                    assert!(!receiver.poll_packet(now, &mut Writer::new(&mut memory)));
                }
            });
            assert_eq!(
                (counted.count_total, delivered),
                (0, 1_200_000),
                "{} {}",
                suite.name(),
                provider.name()
            );
        }
    }
}

/// What stays of a connection that is idle: a few hundred bytes beside the value itself and its keys.
#[test]
fn the_handshake_is_freed_when_it_is_over() {
    let provider = crypto::default_provider();
    let (client, server) = (config(provider, 1), config(provider, 2));
    let mut pair = None;
    let counted = allocation_counter::measure(|| {
        let mut connected = Pair::connected(client, server);
        connected.trace = Vec::new();
        pair = Some(connected);
    });
    assert!(size_of::<dtls::Connection>() <= 1024, "{}", size_of::<dtls::Connection>());
    assert!(counted.bytes_current <= 12 << 10, "both ends keep {} bytes", counted.bytes_current);
    drop(pair);
}
