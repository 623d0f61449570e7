//! Many strangers at one socket: D17, D18 of the threats.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod common;

use std::net::Ipv4Addr;
use std::time::Duration;

use common::bytes::{Message, captured_hello, handshake, messages, records, written};
use common::config;
use common::host::{Host, exchange, reverse};
use dtls::Discard;
use dtls::wire::ClientHello;
use proto::{Arrival, Batch, Path};

/// The path from the server to the `n`th source.
fn source(n: u32) -> Path {
    Path {
        remote: (Ipv4Addr::from(0x0a00_0000 + n), 9).into(),
        ..testkit::path("192.0.2.2:2000", "192.0.2.1:1")
    }
}

/// Sends a line over each of the client's connections, and says how many arrived.
fn heard(client: &mut Host, server: &mut Host, ids: &[(dtls::ConnectionId, Path)]) -> usize {
    server.received.clear();
    for (id, path) in ids {
        let connection = client.endpoint.connection_mut(*id).unwrap();
        let mut datagram = written(|out| {
            let mut record = connection.begin_record(out)?;
            record.plaintext().put(b"here")?;
            record.seal();
            Ok::<_, dtls::SealError>(())
        });
        server.receive(testkit::epoch(), reverse(*path), &mut datagram).unwrap();
    }
    server.received.len()
}

/// D17: hellos by the ten thousand, from a live path and from everywhere.
#[test]
fn fifty_live_sessions_survive_floods_of_hellos() {
    let now = testkit::epoch();
    let null = testkit::null_provider();
    let (mut client, mut server) = (Host::with(config(null, 1), 1), Host::with(config(null, 2), 2));
    let ids: Vec<_> = (1..=50)
        .map(|port| {
            let path = testkit::path(&format!("192.0.2.1:{port}"), "192.0.2.2:2000");
            (client.endpoint.connect(now, path).unwrap(), path)
        })
        .collect();
    // One demand for a cookie is kept at a time: the others come again with their hellos.
    let mut later = now;
    for _ in 0..60 {
        exchange(later, &mut client, &mut server);
        later += Duration::from_secs(1);
        client.endpoint.handle_timeout(later);
        for (path, mut datagram) in client.transmits(later) {
            server.receive(later, reverse(path), &mut datagram).unwrap();
            for (path, mut datagram) in server.transmits(later) {
                client.receive(later, reverse(path), &mut datagram).unwrap();
            }
        }
    }
    assert_eq!(heard(&mut client, &mut server, &ids), 50);
    let hello = captured_hello("openssl").remove(0);
    let count = u32::try_from(testkit::scaled_at_least(10_000, 1000)).unwrap();
    for n in 0..count {
        server.receive(later, reverse(ids[n as usize % 50].1), &mut hello.clone()).unwrap();
        server.receive(later, reverse(ids[0].1), &mut hello.clone()).unwrap();
        server.receive(later, source(n), &mut hello.clone()).unwrap();
        server.transmits(later);
    }
    assert_eq!(server.endpoint.len(), 50);
    assert_eq!(heard(&mut client, &mut server, &ids), 50);
}

/// D18: nothing is kept for a source that proved nothing, and it gets no more than it sent.
#[test]
fn a_million_strangers_leave_no_byte_behind() {
    let mut server = Host::with(config(crypto::rust_crypto(), 2), 2);
    let hello = captured_hello("openssl").remove(0);
    let mut memory = hello.clone();
    let mut reply = [0; 1500];
    let mut answered = 0_u64;
    let count = testkit::scaled(1_000_000);
    let counted = allocation_counter::measure(|| {
        for n in 0..count {
            let path = source(u32::try_from(n).unwrap());
            let arrival = Arrival { path, ecn: None, at: testkit::epoch() };
            memory.copy_from_slice(&hello);
            server.endpoint.handle_datagram(arrival, &mut memory).unwrap();
            let mut batch = Batch::new(&mut reply, 1, 1500);
            let transmit = server.endpoint.poll_transmit(testkit::epoch(), &mut batch).unwrap();
            assert!(transmit.path == path && transmit.len <= hello.len());
            assert!(server.endpoint.poll_transmit(testkit::epoch(), &mut batch).is_none());
            assert!(server.endpoint.poll_event().is_none());
            answered += 1;
        }
    });
    assert_eq!((answered, counted.bytes_current), (count, 0));
    assert!(server.endpoint.is_empty() && server.endpoint.poll_timeout().is_none());
}

/// D18: no request is so short that its answer is longer, whatever it is.
#[test]
fn no_answer_is_longer_than_its_question() {
    let now = testkit::epoch();
    let mut server = Host::new(2);
    let hello = captured_hello("openssl").remove(0);
    let body = messages(std::slice::from_ref(&hello)).remove(0).body;
    for len in 0..hello.len() {
        let mut cut = hello[..len].to_vec();
        let _ = server.receive(now, source(1), &mut cut);
        assert!(server.transmits(now).iter().all(|(_, answer)| answer.len() <= len));
        // The same as a first fragment, whose record and fragment say so.
        let piece = &body[..len.min(body.len())];
        let mut first = handshake(1, u32::try_from(body.len()).unwrap(), 0, 0, piece);
        let _ = server.receive(now, source(1), &mut first);
        assert!(server.transmits(now).iter().all(|(_, answer)| answer.len() <= first.len()));
    }
    assert!(server.endpoint.is_empty());
}

/// D18: what the cookie covers, each altered: address, port, version, random, session id. Suites are not part
/// of it, as they may stand in a later fragment.
#[test]
fn a_cookie_covers_address_version_random_and_session() {
    let now = testkit::epoch();
    let mut server = Host::new(2);
    for stack in ["openssl", "gnutls", "chromium"] {
        let first = messages(&captured_hello(stack)).remove(0);
        let plain = ClientHello::decode(&first.body).unwrap();
        let demand = |server: &mut Host, path: Path, message: &Message| {
            // Only the first fragment, however many there are.
            let mut fragment = message.pieces(400).remove(0);
            let taken = server.receive(now, path, &mut fragment);
            (taken, server.transmits(now))
        };
        let (_, replies) = demand(&mut server, source(1), &first);
        let verify = messages(&[replies[0].1.clone()]).remove(0);
        assert_eq!(verify.kind, 3);
        let cookie = &verify.body[3..];
        let extensions: Vec<_> = plain.extensions.iter().collect();
        // Altered in one way, or from 5 on as it should be.
        let second = |alteration: usize| {
            let mut hello = ClientHello { cookie, ..plain };
            match alteration {
                0 => hello.version = 0xfeff,
                1 => hello.random[31] ^= 1,
                2 => hello.session_id = &[7; 32],
                3 => hello.cookie = &cookie[..31],
                4 => hello.cookie = &[],
                _ => {}
            }
            Message { sequence: 1, kind: 1, body: written(|out| hello.encode(&extensions, out)) }
        };
        for alteration in 0..5 {
            let (_, replies) = demand(&mut server, source(1), &second(alteration));
            assert_eq!(replies.len(), 1, "{stack}: alteration {alteration} is asked for its cookie again");
            assert!(server.endpoint.is_empty());
        }
        let other_port = Path { remote: (Ipv4Addr::from(0x0a00_0001), 10).into(), ..source(1) };
        for path in [source(2), other_port] {
            assert_eq!(demand(&mut server, path, &second(5)).1.len(), 1);
            assert!(server.endpoint.is_empty());
        }
        // Only a first fragment makes a connection.
        let pieces = second(5).pieces(100);
        let later = server.receive(now, source(1), &mut pieces[1].clone());
        assert_eq!(later, Err(Discard::UnknownPeer));
        assert!(server.endpoint.is_empty());
        let (taken, _) = demand(&mut server, source(1), &second(5));
        assert_eq!(taken, Ok(()));
        assert_eq!(server.endpoint.len(), 1);
        server = Host::new(2);
    }
}

/// RFC 6347 §4.2.1: the HelloVerifyRequest takes over the numbers of the hello that it answers, and says
/// DTLS 1.0; §4.2.2: the server goes on with the next message number.
#[test]
fn a_demand_for_a_cookie_takes_over_the_numbers_of_its_hello() {
    let now = testkit::epoch();
    let (mut client, mut server) = (Host::new(1), Host::new(2));
    let path = testkit::path("192.0.2.1:1000", "192.0.2.2:2000");
    client.endpoint.connect(now, path).unwrap();
    let (_, mut hello) = client.transmits(now).remove(0);
    hello[10] = 99; // the record's number; the message's stays
    server.receive(now, reverse(path), &mut hello).unwrap();
    let (_, mut demand) = server.transmits(now).remove(0);
    assert_eq!(records(&demand)[0].0.sequence, 99);
    assert_eq!(records(&demand)[0].0.version, 0xfeff);
    assert_eq!(messages(&[demand.clone()])[0].sequence, 0);
    assert_eq!(messages(&[demand.clone()])[0].body[..2], [0xfe, 0xff]);
    client.receive(now, path, &mut demand).unwrap();
    let (_, mut second) = client.transmits(now).remove(0);
    let (before, after) = (messages(&[hello]).remove(0), messages(&[second.clone()]).remove(0));
    assert_eq!((before.sequence, after.sequence), (0, 1));
    let (before, after) =
        (ClientHello::decode(&before.body).unwrap(), ClientHello::decode(&after.body).unwrap());
    assert_eq!(after.cookie.len(), 32);
    assert_eq!(ClientHello { cookie: &[], extensions: before.extensions, ..after }, before);
    assert!(before.extensions.iter().eq(after.extensions.iter()));
    second[10] = 77;
    server.receive(now, reverse(path), &mut second).unwrap();
    let flight: Vec<_> = server.transmits(now).into_iter().map(|(_, datagram)| datagram).collect();
    let answers: Vec<_> = records(&flight.concat()).iter().map(|(header, _)| header.sequence).collect();
    assert!(
        answers.iter().copied().eq(77..77 + answers.len() as u64),
        "it goes on from the hello: {answers:?}"
    );
    let flight = messages(&flight);
    let numbers: Vec<_> = flight.iter().map(|message| message.sequence).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}
