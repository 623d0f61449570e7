//! What anyone on the path may send, and what a peer may send that is not one of ours.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod common;

use std::time::Duration;

use common::bytes::{record, records};
use common::{Pair, config};
use dtls::{CloseReason, Discard, Event, SrtpProfile};
use proto::Writer;

fn pair() -> Pair {
    let provider = crypto::default_provider();
    Pair::connected(config(provider, 1), config(provider, 2))
}

/// D1, D10, D12: nothing without a right tag is delivered or leaves a trace.
#[test]
fn forged_records_change_nothing() {
    let (mut pair, mut twin) = (pair(), pair());
    let mut forged = 0_u64;
    for content in 0..=255 {
        for epoch in [0, 1, 2, 65_535] {
            for len in (0..41).chain([100, 1000]) {
                for sequence in [0, 5, (1 << 48) - 1] {
                    let mut datagram = record(content, epoch, sequence, &vec![0; len]);
                    pair.server.receive(pair.now, &mut datagram);
                    forged += 1;
                }
            }
        }
    }
    assert!(pair.server.received.is_empty());
    assert_eq!(pair.server.connection.stats().discarded, forged);
    assert_eq!(pair.server.events, [Event::PeerCertificate, Event::Connected]);
    assert!(pair.server.datagrams(pair.now).is_empty());
    for n in 0..100_u8 {
        let mut datagram = pair.client.seal(&[n]);
        pair.server.receive(pair.now, &mut datagram);
        let mut datagram = twin.client.seal(&[n]);
        twin.server.receive(twin.now, &mut datagram);
    }
    assert_eq!(pair.server.received, twin.server.received);
    assert_eq!(pair.server.received.len(), 100);
}

/// D9, and every bit of a record: a flip is refused and leaves no plaintext behind.
#[test]
fn every_flipped_bit_is_refused() {
    for suite in dtls::CipherSuite::ECDSA {
        for provider in [crypto::rust_crypto(), crypto::default_provider()] {
            let (mut client, server) = (config(provider, 1), config(provider, 2));
            client.cipher_suites = vec![suite];
            let mut pair = Pair::connected(client, server);
            let secret = b"attack at dawn, and bring the ladders";
            let honest = pair.client.seal(secret);
            for bit in 0..honest.len() * 8 {
                let mut altered = honest.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                pair.server.receive(pair.now, &mut altered);
                assert!(!altered.windows(8).any(|window| window == &secret[..8]), "bit {bit}");
            }
            let mut empty = pair.client.seal(b"");
            *empty.last_mut().unwrap() ^= 1;
            pair.server.receive(pair.now, &mut empty);
            assert!(pair.server.received.is_empty());
            let mut honest = honest;
            pair.server.receive(pair.now, &mut honest);
            assert_eq!(pair.server.received, [secret]);
        }
    }
}

/// D13: a recorded session, replayed.
#[test]
fn nothing_is_delivered_twice() {
    let mut pair = pair();
    let mut session: Vec<_> =
        pair.trace.iter().filter(|(_, by_client, _)| *by_client).map(|(_, _, it)| it.clone()).collect();
    let data: Vec<_> = (0..150_u8).map(|n| pair.client.seal(&[n])).collect();
    session.extend(data.iter().cloned());
    for datagram in data {
        for _ in 0..2 {
            pair.server.receive(pair.now, &mut datagram.clone());
        }
    }
    let before = pair.server.received.len();
    assert_eq!(before, 150);
    for _ in 0..100 {
        for datagram in &session {
            pair.server.receive(pair.now, &mut datagram.clone());
        }
    }
    assert_eq!(pair.server.received.len(), before);
    assert!(pair.server.connection.stats().replayed >= 100 * 150);
    assert!(pair.server.connection.is_connected());
    assert!(pair.server.datagrams(pair.now).is_empty(), "a replay is not a repetition");
}

/// D2, D3, D11, D16, D19: a third party that reaches the socket during the handshake. The rule that it
/// does not is ICE's; even so it only costs time.
#[test]
fn rubbish_during_the_handshake_is_outlived() {
    let provider = crypto::default_provider();
    let mut pair = Pair::new(config(provider, 1), config(provider, 2));
    for end in [&mut pair.client, &mut pair.server] {
        end.connection.set_round_trip(Duration::from_millis(20));
    }
    let mut rng = crypto::Rng::new([5; 32]);
    let mut round = 0_u32;
    let connected = loop {
        let next = pair.now + Duration::from_millis(1);
        pair.run_until(Duration::from_millis(1), |pair| pair.now > next);
        pair.now = next;
        round += 1;
        let mut rubbish = vec![
            // HelloRequest; a fatal alert; close_notify; application data; ChangeCipherSpec.
            record(22, 0, 9, &[0; 12]),
            record(21, 0, 9, &[2, 40]),
            record(21, 0, 9, &[1, 0]),
            record(23, 0, 9, b"data"),
            record(20, 0, 9, &[1]),
            // An empty fragment, messages that never end, the future.
            record(22, 0, 9, &[11, 0, 1, 0, 0, 5, 0, 0, 3, 0, 0, 0]),
            record(22, 0, 9, &[11, 0, 9, 0, 0, 7, 0, 0, 3, 0, 0, 1, 1]),
            record(22, 0, 9, &[11, 255, 255, 255, 0, 1, 0, 0, 3, 0, 0, 1, 1]),
            record(22, 1, u64::from(round), &[7; 60]),
            record(22, 2, u64::from(round), &[7; 60]),
        ];
        let mut noise = [0; 80];
        rng.fill(&mut noise);
        rubbish.push(noise.to_vec());
        rubbish.push(record(22, 0, 9, &noise));
        for datagram in rubbish {
            pair.client.receive(pair.now, &mut datagram.clone());
            pair.server.receive(pair.now, &mut datagram.clone());
        }
        if pair.client.connection.is_connected() && pair.server.connection.is_connected() {
            break true;
        }
        if round > 2000 {
            break false;
        }
    };
    assert!(connected, "{:?}\n{:?}", pair.client.connection.stats(), pair.server.connection.stats());
    assert!(round <= 500, "{round} ms");
    let stats = pair.server.connection.stats();
    assert!(stats.unauthenticated_alerts > 0 && stats.wrong_epoch > 0);
}

/// D20: a ClientHello in pieces, in any order.
#[test]
fn a_client_hello_in_many_reordered_pieces_is_answered() {
    for size in [1, 7, 11, 60, 100] {
        let null = testkit::null_provider();
        let mut pair = Pair::new(config(null, 1), config(null, 2));
        let hello = pair.client.datagrams(pair.now).remove(0);
        let (header, body) = hello[13..].split_at(12);
        let mut pieces = Vec::new();
        for (n, piece) in body.chunks(size).enumerate() {
            let (at, len) = (u32::try_from(n * size).unwrap(), u32::try_from(piece.len()).unwrap());
            let fragment = [&header[..6], &at.to_be_bytes()[1..], &len.to_be_bytes()[1..], piece].concat();
            pieces.push(record(22, 0, n as u64, &fragment));
        }
        if size > 5 {
            pieces.reverse();
        }
        for mut piece in pieces {
            assert!(pair.server.datagrams(pair.now).is_empty());
            pair.server.receive(pair.now, &mut piece);
        }
        assert!(!pair.server.datagrams(pair.now).is_empty());
    }
}

/// What a client offers, altered on its way or by its maker.
fn offered(alter: impl Fn(&mut Vec<u8>)) -> (Pair, bool) {
    let null = testkit::null_provider();
    let (mut client, mut server) = (config(null, 1), config(null, 2));
    client.srtp_profiles = vec![SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmHmacSha1_80];
    server.srtp_profiles = vec![SrtpProfile::AeadAes128Gcm];
    server.srtp_required = true;
    let mut pair = Pair::new(client, server);
    let mut hello = pair.client.datagrams(pair.now).remove(0);
    alter(&mut hello);
    pair.server.receive(pair.now, &mut hello);
    let answered = pair.server.datagrams(pair.now).iter().any(|datagram| datagram[0] == 22);
    (pair, answered)
}

fn replace(hello: &mut [u8], from: &[u8], to: &[u8]) {
    let at = hello.windows(from.len()).position(|window| window == from).unwrap();
    hello[at..at + to.len()].copy_from_slice(to);
}

/// D21, D22: each thing that cannot work ends with its reason and an alert.
#[test]
fn what_cannot_work_is_closed_with_its_reason() {
    let (mut honest, answered) = offered(|_| {});
    assert!(answered);
    honest.flush();
    assert!(honest.server.events.is_empty());
    type Alter = Box<dyn Fn(&mut Vec<u8>)>;
    let cases: Vec<(CloseReason, Alter)> = vec![
        (
            CloseReason::NoExtendedMasterSecret,
            Box::new(|it| replace(it, &[0, 23, 0, 0], &[0xaa, 0xaa, 0, 0])),
        ),
        (
            CloseReason::NoCommonCipherSuite,
            Box::new(|it| {
                replace(it, &[0, 6, 0xc0, 0x2b, 0xc0, 0x2c, 0xcc, 0xa9], &[0, 6, 0, 0, 0, 1, 0, 2])
            }),
        ),
        (
            CloseReason::NoCommonGroup,
            Box::new(|it| replace(it, &[0, 4, 0, 29, 0, 23], &[0, 4, 0xa, 0xa, 0x11, 0xec])),
        ),
        (CloseReason::NoCommonSignatureAlgorithm, Box::new(|it| replace(it, &[0, 2, 4, 3], &[0, 2, 4, 1]))),
        (
            CloseReason::NoCommonSrtpProfile,
            Box::new(|it| replace(it, &[0, 4, 0, 7, 0, 1, 0], &[0, 4, 0, 2, 0, 1, 0])),
        ),
        (CloseReason::NoCommonVersion, Box::new(|it| replace(it, &[0xfe, 0xfd], &[0xfe, 0xff]))),
    ];
    for (reason, alter) in cases {
        let (mut pair, answered) = offered(alter);
        assert!(!answered, "{reason}");
        pair.server.drain_events(pair.now);
        assert_eq!(pair.server.events, [Event::Closed(reason)]);
    }
    // An unknown suite and group beside the known ones are skipped.
    let (_, answered) = offered(|it| {
        replace(it, &[0, 6, 0xc0, 0x2b], &[0, 6, 0x0a, 0x0a]);
        replace(it, &[0, 4, 0, 29], &[0, 4, 0x1a, 0x1a]);
    });
    assert!(answered);
    // Compression, and hellos that end early, are not answered and end nothing.
    for (mut pair, answered) in [
        offered(|it| replace(it, &[0xcc, 0xa9, 1, 0], &[0xcc, 0xa9, 1, 1])),
        offered(|it| it.truncate(60)),
        offered(|it| it[13 + 12 + 34] = 200),
    ] {
        assert!(!answered);
        pair.server.drain_events(pair.now);
        assert!(pair.server.events.is_empty());
        assert_eq!(pair.server.discards.len(), 1);
    }
}

/// D19: neither side begins anew, whoever asks.
#[test]
fn renegotiation_is_refused() {
    let mut pair = pair();
    let hello = pair.trace[0].2.clone();
    for _ in 0..10 {
        pair.server.receive(pair.now, &mut hello.clone());
        pair.client.receive(pair.now, &mut record(22, 0, 99, &[0; 12]));
    }
    assert!(pair.server.discards.iter().all(|discard| *discard == Discard::OldEpoch));
    assert!(pair.server.datagrams(pair.now).is_empty() && pair.client.datagrams(pair.now).is_empty());
    let mut datagram = pair.client.seal(b"still here");
    pair.server.receive(pair.now, &mut datagram);
    assert_eq!(pair.server.received, [b"still here"]);
}

/// RFC 6347 §4.2.4: a repeated Finished says that the server's last flight was lost. Nothing else calls for it, whatever
/// number it bears.
#[test]
fn only_a_repeated_finished_calls_for_the_last_flight_again() {
    let null = testkit::null_provider();
    for (kind, calls) in [(20, true), (16, false), (11, false), (1, false)] {
        let mut pair = Pair::connected(config(null, 1), config(null, 2));
        let mut sent = pair.trace.iter().filter(|(_, by_client, _)| *by_client);
        let finished = sent.find_map(|(_, _, datagram)| {
            records(datagram).into_iter().find(|(header, _)| header.epoch == 1).map(|(_, body)| body.to_vec())
        });
        // Behind the explicit part of the nonce stands the type of the message.
        let mut body = finished.unwrap();
        assert_eq!(std::mem::replace(&mut body[8], kind), 20);
        pair.now += Duration::from_secs(1);
        pair.server.receive(pair.now, &mut record(22, 1, 50, &body));
        assert_eq!(!pair.server.datagrams(pair.now).is_empty(), calls, "{kind}");
        assert_eq!(pair.server.discards.last(), Some(&Discard::Repeated), "{kind}");
        assert_eq!(pair.server.connection.stats().retransmissions, u64::from(calls), "{kind}");
    }
}

/// Contract, rule 4: no room, or a change of mind, leaves no trace.
#[test]
fn a_record_that_is_not_sealed_was_never_there() {
    let mut pair = pair();
    let overhead = pair.client.connection.overhead();
    let mut memory = [0; 100];
    for room in 0..overhead {
        let mut out = Writer::new(&mut memory[..room]);
        assert_eq!(pair.client.connection.begin_record(&mut out).map(drop), Err(dtls::SealError::NoSpace));
        assert!(out.is_empty() && out.room() == room);
    }
    let mut out = Writer::new(&mut memory);
    out.put_u16(7).unwrap();
    let mut record = pair.client.connection.begin_record(&mut out).unwrap();
    assert_eq!(record.plaintext().room(), 98 - overhead);
    record.plaintext().put(b"never mind").unwrap();
    drop(record);
    assert_eq!((out.len(), out.room()), (2, 98));
    let first = pair.client.seal(b"first");
    // The Finished had the number 0.
    assert_eq!(first[5..11], [0, 0, 0, 0, 0, 1]);
    let mut long = vec![0; 70_000];
    let mut out = Writer::new(&mut long);
    let mut record = pair.client.connection.begin_record(&mut out).unwrap();
    assert_eq!(record.plaintext().room(), 1 << 14);
    record.plaintext().put_zeros(1 << 14).unwrap();
    record.seal();
    assert_eq!(out.len(), (1 << 14) + overhead);
    assert_eq!(pair.client.connection.max_plaintext(1200), 1200 - overhead);
}

/// RFC 5246 §7.4.4: a client without a signature that the server takes cannot answer its request.
#[test]
fn a_certificate_request_that_cannot_be_met_ends_the_handshake() {
    let honest = [1, 64, 0, 2, 4, 3, 0, 0];
    for (altered, reason) in [
        (honest, None),
        ([1, 64, 0, 2, 4, 1, 0, 0], Some(CloseReason::NoCommonSignatureAlgorithm)),
        ([1, 1, 0, 2, 4, 3, 0, 0], Some(CloseReason::NoCommonSignatureAlgorithm)),
    ] {
        let mut pair = unconnected();
        for mut datagram in pair.client.datagrams(pair.now) {
            pair.server.receive(pair.now, &mut datagram);
        }
        let mut found = 0;
        for mut datagram in pair.server.datagrams(pair.now) {
            if datagram.windows(honest.len()).any(|window| window == honest) {
                replace(&mut datagram, &honest, &altered);
                found += 1;
            }
            pair.client.receive(pair.now, &mut datagram);
        }
        assert_eq!(found, 1);
        let closed = pair.client.events.iter().find(|event| matches!(event, Event::Closed(_)));
        assert_eq!(closed, reason.map(Event::Closed).as_ref(), "{altered:?}");
    }
}

/// RFC 5246 §7.4.9: neither side believes a Finished that says something else, or another message that
/// says the same.
#[test]
fn a_wrong_finished_ends_the_handshake() {
    for by_client in [true, false] {
        // Behind the header of the record, the nonce: the type of the message; behind its header: what it says.
        for (at, bit) in [(13 + 8, 2), (13 + 8 + 12, 1), (13 + 8 + 12 + 11, 128)] {
            let mut pair = unconnected();
            let link: common::Link = Box::new(move |_, datagram| {
                let mut start = 0;
                while start < datagram.len() {
                    let header = dtls::wire::RecordHeader::decode(&datagram[start..]).unwrap();
                    if header.epoch == 1 && header.content == dtls::wire::ContentType::Handshake {
                        datagram[start + at] ^= bit;
                    }
                    start += 13 + header.len;
                }
                vec![Duration::from_millis(10)]
            });
            if by_client {
                pair.to_server = link
            } else {
                pair.to_client = link
            }
            assert!(!pair.connect(Duration::from_secs(5)), "{by_client} {at}");
            let closed = Event::Closed(CloseReason::BadFinished);
            let victim = pair.end(!by_client);
            assert!(victim.events.contains(&closed), "{by_client} {at}: {:?}", victim.events);
        }
    }
}

/// Two ends that seal nothing.
fn unconnected() -> Pair {
    let null = testkit::null_provider();
    Pair::new(config(null, 1), config(null, 2))
}
