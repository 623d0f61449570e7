//! Records that are forged, too early or too many: D1, D7, D11, D12 of the threats.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::bytes::{record, records};
use common::spy::Spy;
use common::{Link, Pair, config, state};
use dtls::CipherSuite;

/// D1: plaintext after the handshake, of every content type and ten lengths.
#[test]
fn plaintext_after_the_handshake_leaves_the_state_as_it_was() {
    let provider = crypto::default_provider();
    let mut pair = Pair::connected(config(provider, 1), config(provider, 2));
    let (client, server) = (state(&pair.client.connection), state(&pair.server.connection));
    let mut injected = 0;
    for content in 0..=255 {
        for len in [0, 1, 2, 12, 13, 25, 64, 100, 1000, 16_384] {
            for sequence in [0, 1 << 20] {
                let plain = record(content, 0, sequence, &vec![1; len]);
                pair.client.receive(pair.now, &mut plain.clone());
                pair.server.receive(pair.now, &mut plain.clone());
                injected += 1;
            }
        }
        assert_eq!(state(&pair.client.connection), client, "content {content}");
        assert_eq!(state(&pair.server.connection), server, "content {content}");
    }
    assert!(pair.client.received.is_empty() && pair.server.received.is_empty());
    assert_eq!((pair.client.discards.len(), pair.server.discards.len()), (injected, injected));
}

/// D12: in the current, the next and the previous epoch, with the last number there is.
#[test]
fn forged_records_with_the_last_number_move_no_window() {
    let provider = crypto::default_provider();
    for suite in CipherSuite::ECDSA {
        let (mut client, server) = (config(provider, 1), config(provider, 2));
        client.cipher_suites = vec![suite];
        let mut pair = Pair::connected(client, server);
        let before = state(&pair.server.connection);
        for content in 20..24 {
            for epoch in [0, 1, 2] {
                for sequence in [(1 << 48) - 1, (1 << 48) - 2, 1 << 32, 3] {
                    pair.server.receive(pair.now, &mut record(content, epoch, sequence, &[9; 60]));
                    assert_eq!(state(&pair.server.connection), before, "{content} {epoch} {sequence}");
                }
            }
        }
        let mut honest = pair.client.seal(b"next");
        pair.server.receive(pair.now, &mut honest);
        assert_eq!(pair.server.received, [b"next"]);
    }
}

/// D7: every key and nonce that anything was sealed with, in both directions, with flights sent again.
#[test]
fn no_nonce_is_used_twice_under_one_key() {
    for suite in CipherSuite::ECDSA {
        let spy = Spy::on(testkit::null_provider());
        let (mut client, server) = (config(spy, 1), config(spy, 2));
        client.cipher_suites = vec![suite];
        let mut pair = Pair::new(client, server);
        // What ends in a Finished is lost three times each way, so that both are sealed again.
        let lossy = || -> Link {
            let mut lost = 0;
            Box::new(move |_, datagram| {
                let protected = records(datagram).iter().any(|(header, _)| header.epoch > 0);
                lost += u32::from(protected);
                if protected && lost <= 3 { vec![] } else { vec![Duration::from_millis(10)] }
            })
        };
        (pair.to_client, pair.to_server) = (lossy(), lossy());
        assert!(pair.connect(Duration::from_secs(60)));
        let handshake = spy.sealed().len();
        assert!(handshake >= 8, "{handshake} records: each Finished was sealed four times");
        let count = testkit::scaled(1_000_000) / 2;
        let mut memory = [0; 64];
        for _ in 0..count {
            for end in [&mut pair.client, &mut pair.server] {
                let mut out = proto::Writer::new(&mut memory);
                end.connection.begin_record(&mut out).unwrap().seal();
                // One that is given up takes no number with it.
                out.truncate(0);
                drop(end.connection.begin_record(&mut out).unwrap());
            }
        }
        let sealed = spy.sealed();
        assert_eq!(sealed.len() as u64, handshake as u64 + 2 * count);
        assert_eq!(sealed.iter().map(|(key, _)| key).collect::<BTreeSet<_>>().len(), 2);
        let distinct: BTreeSet<_> = sealed.iter().collect();
        assert_eq!(distinct.len(), sealed.len(), "{}", suite.name());
    }
}

/// D11: what came too early is bounded in number and bytes, and gone when it can be read, by the heap's own
/// account.
#[test]
fn records_of_the_future_are_kept_within_their_limit_and_freed() {
    // In debug builds graviola asks the environment at each call, which allocates.
    let provider = crypto::rust_crypto();
    let (client, server) = (config(provider, 1), config(provider, 2));
    let (most, limit) = (server.max_future_records, i64::try_from(server.max_future_bytes).unwrap());
    let mut pair = Pair::new(client, server);
    let hello = pair.client.datagrams(pair.now).remove(0);
    pair.server.receive(pair.now, &mut hello.clone());
    let attack = |pair: &mut Pair, count: u64| {
        let server = &mut pair.server.connection;
        let mut memory = vec![0; 16_013];
        allocation_counter::measure(|| {
            for n in 0..count {
                for len in [12, 100, 1100, 16_000_u16] {
                    memory[..3].copy_from_slice(&[22, 0xfe, 0xfd]);
                    memory[3..11].copy_from_slice(&(1 << 48 | n).to_be_bytes());
                    memory[11..13].copy_from_slice(&len.to_be_bytes());
                    drop(server.handle_datagram(testkit::epoch(), &mut memory[..13 + usize::from(len)]));
                }
            }
        })
    };
    let counted = attack(&mut pair, testkit::scaled(100_000));
    let slots = i64::try_from(most * size_of::<Vec<u8>>()).unwrap();
    assert!(counted.bytes_current <= limit + slots, "{} bytes are kept", counted.bytes_current);
    assert!(counted.bytes_current > 0, "something is kept, or this shows nothing");

    // They are worthless, and no longer kept once the keys are there; then none is.
    let flight = pair.server.datagrams(pair.now);
    for mut datagram in flight {
        pair.client.receive(pair.now, &mut datagram);
    }
    pair.client.drain_events(pair.now);
    let answer = pair.client.datagrams(pair.now);
    let freed = allocation_counter::measure(|| {
        for mut datagram in answer {
            pair.server.receive(pair.now, &mut datagram);
        }
    });
    assert!(pair.connect(Duration::from_secs(1)));
    assert!(freed.bytes_current < 0, "{} bytes more", freed.bytes_current);
    let counted = attack(&mut pair, testkit::scaled(100_000));
    assert_eq!(counted.count_total, 0, "nothing is kept of a connected peer");
    let mut honest = pair.client.seal(b"after all that");
    pair.server.receive(pair.now, &mut honest);
    assert_eq!(pair.server.received, [b"after all that"]);
}
