//! Handshake messages in pieces, of which some are missing, empty, wrong or somebody else's: D2, D3, D14,
//! D20 of the threats.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a panic is how a test fails; numbers are cut on purpose; `real_` tests need a real clock"
)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use common::bytes::{Message, captured_hello, handshake, messages, record};
use common::{Pair, config};
use crypto::Rng;
use dtls::{Connection, Discard};

fn pair() -> Pair {
    let null = testkit::null_provider();
    Pair::new(config(null, 1), config(null, 2))
}

/// D2: fragments of messages that never end, at both sides, before anything honest came.
#[test]
fn never_completed_messages_cost_64_kib_and_no_handshake() {
    let mut pair = pair();
    let hello = pair.client.datagrams(pair.now).remove(0);
    for is_client in [true, false] {
        let victim = &mut pair.end(is_client).connection;
        let counted = allocation_counter::measure(|| {
            for n in 0..testkit::scaled(1_000_000) {
                let total = [(1 << 24) - 1, 32 << 10, 20_000, 1000][(n / 65_536 + n) as usize % 4];
                let sequence = u16::try_from(n % 65_536).unwrap();
                let kind = [1, 2, 11, 14][n as usize % 4];
                let mut datagram = handshake(kind, total, sequence, (n % 900) as u32, &[n as u8; 3]);
                drop(victim.handle_datagram(testkit::epoch(), &mut datagram));
            }
        });
        assert!(counted.bytes_current <= 64 << 10, "{} bytes are kept", counted.bytes_current);
        assert!(counted.bytes_current > 16 << 10, "the attack is one: {} bytes", counted.bytes_current);
        assert!(counted.bytes_max <= 65 << 10, "{} bytes at a time", counted.bytes_max);
    }
    pair.send(true, hello);
    assert!(pair.connect(Duration::from_secs(10)), "{:?}", pair.server.discards.last());
}

/// The same by a peer whose hello comes in pieces, so that it meets what the attacker has left.
#[test]
fn a_forged_first_piece_does_not_keep_a_hello_in_pieces_out() {
    let mut pair = pair();
    let hello = messages(&pair.client.datagrams(pair.now)).remove(0);
    for (kind, total) in [(1, 20_000), (11, u32::try_from(hello.body.len()).unwrap()), (1, 1)] {
        let null = testkit::null_provider();
        let mut server = common::End::new(Connection::server(pair.now, Arc::new(config(null, 2)), [3; 32]));
        for round in 0..3 {
            server.receive(pair.now, &mut handshake(kind, total, 0, 0, &[9]));
            for mut piece in hello.pieces(60) {
                server.receive(pair.now, &mut piece);
            }
            if !server.datagrams(pair.now).is_empty() {
                assert!(round <= 1, "at the latest, when the hello is sent again");
                break;
            }
            assert!(round < 2, "the hello is kept out: {:?}", server.discards);
        }
    }
}

/// D3: pieces without content, at every offset of the message that is due.
#[test]
fn empty_fragments_are_dropped_and_the_handshake_goes_on() {
    let mut pair = pair();
    let hello = pair.client.datagrams(pair.now).remove(0);
    let total = u32::try_from(hello.len() - 25).unwrap();
    for n in 0..65_535_u32 {
        pair.server.receive(pair.now, &mut handshake(1, total, 0, n % (total + 1), &[]));
        assert_eq!(pair.server.discards.pop(), Some(Discard::EmptyFragment));
        pair.client.receive(pair.now, &mut handshake(2, 90, 0, n % 91, &[]));
        assert_eq!(pair.client.discards.pop(), Some(Discard::EmptyFragment));
    }
    pair.send(true, hello);
    assert!(pair.connect(Duration::from_secs(5)));
}

/// D3: no more than a microsecond each; ten where nothing is optimised.
#[test]
fn real_empty_fragments_cost_next_to_nothing() {
    let mut pair = pair();
    pair.client.datagrams(pair.now);
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Clock::now();
        for n in 0..65_535_u32 {
            let mut datagram = handshake(1, 200, 0, n % 201, &[]);
            drop(pair.server.connection.handle_datagram(testkit::epoch(), &mut datagram));
        }
        best = best.min(start.elapsed().as_secs_f64() / 65_535.0);
    }
    let limit = if cfg!(debug_assertions) { 10e-6 } else { 1e-6 };
    assert!(best <= limit, "{:.0} ns each", best * 1e9);
}

/// D14: each way in which a piece can contradict its message, between honest pieces.
#[test]
fn pieces_that_contradict_their_message_are_dropped() {
    let total = 200;
    let body: Vec<u8> = (0..200).collect();
    let table: [(&str, Vec<u8>, Discard); 8] = [
        ("other bytes over known ones", handshake(11, total, 0, 10, &[0; 30]), Discard::Contradiction),
        ("other bytes at the edge", handshake(11, total, 0, 49, &[0; 2]), Discard::Contradiction),
        ("a longer message", handshake(11, total + 1, 0, 60, &[0; 9]), Discard::Contradiction),
        ("a shorter message", handshake(11, 100, 0, 60, &[0; 9]), Discard::Contradiction),
        ("another type", handshake(12, total, 0, 60, &[0; 9]), Discard::Contradiction),
        (
            "past the end",
            handshake(11, total, 0, 195, &[0; 6]),
            Discard::Malformed(dtls::DecodeError::Illegal),
        ),
        (
            "an offset past the end",
            handshake(11, total, 0, 201, &[]),
            Discard::Malformed(dtls::DecodeError::Illegal),
        ),
        ("more than 64 KiB", handshake(11, 65_537, 1, 0, &[0; 9]), Discard::NoRoom),
    ];
    for (name, wrong, expected) in table {
        let mut pair = pair();
        pair.client.datagrams(pair.now);
        pair.client.receive(pair.now, &mut handshake(11, total, 0, 0, &body[..50]));
        pair.client.receive(pair.now, &mut wrong.clone());
        assert_eq!(pair.client.discards, [expected], "{name}");
        // The message is whole, and judged as a whole: a Certificate does not come first.
        pair.client.receive(pair.now, &mut handshake(11, total, 0, 50, &body[50..]));
        assert_eq!(pair.client.discards, [expected, Discard::Unexpected], "{name}");
    }
}

/// D14: pieces cut, moved, altered, doubled and mixed by a seed; then the peer sends its flight again.
#[test]
fn mutated_pieces_cost_time_and_nothing_else() {
    for seed in 0..testkit::scaled_at_least(10_000, 200) {
        let mut rng = Rng::new(crypto::derive_seed(&[7; 32], &format!("{seed}")));
        let mut pair = pair();
        for end in [&mut pair.client, &mut pair.server] {
            end.connection.set_round_trip(Duration::from_millis(20));
        }
        let hello = messages(&pair.client.datagrams(pair.now)).remove(0);
        for mut piece in hello.pieces(1 + rng.below(80) as usize) {
            if rng.below(3) == 0 {
                let at = 13 + rng.below(u32::try_from(piece.len() - 13).unwrap()) as usize;
                piece[at] ^= 1 << rng.below(8);
            }
            if rng.below(4) > 0 {
                pair.server.receive(pair.now, &mut piece.clone());
            }
            if rng.below(8) == 0 {
                pair.server.receive(pair.now, &mut piece);
            }
        }
        let connected = pair.connect(Duration::from_secs(25));
        // A flip inside the content makes another hello, and the server cannot know whose.
        let fooled = pair.server.connection.poll_timeout().is_some_and(|_| pair.trace.iter().any(|it| !it.1));
        assert!(connected || fooled || pair.server.connection.closed().is_some(), "seed {seed}");
    }
}

/// D14: what is sent again is the same, whatever the size of the path meanwhile.
#[test]
fn every_flight_keeps_its_content_over_changes_of_the_path() {
    let mut pair = pair();
    let mut flights = 0;
    for by_client in [true, false, true] {
        let end = pair.end(by_client);
        let mut contents: Vec<Vec<Message>> = Vec::new();
        let mut datagrams = Vec::new();
        let mut now = testkit::epoch();
        for mtu in [1500, 600, 228, 100, 1500] {
            end.connection.set_max_datagram(mtu);
            datagrams = end.datagrams(now);
            assert!(datagrams.iter().all(|datagram| datagram.len() <= mtu));
            contents.push(messages(&datagrams));
            now = end.connection.poll_timeout().unwrap();
            end.connection.handle_timeout(now);
        }
        assert!(contents.iter().all(|content| *content == contents[0] && !content.is_empty()));
        flights += contents[0].len();
        for mut datagram in datagrams {
            let now = pair.now;
            pair.end(!by_client).receive(now, &mut datagram);
        }
    }
    // ClientHello; the server's five; Certificate, ClientKeyExchange, CertificateVerify, Finished.
    assert_eq!(flights, 10);
    assert!(pair.server.connection.is_connected());
}

/// D20: hellos of other stacks in 1, 2, 3 and 12 pieces, in every order of the few and many of the twelve.
#[test]
fn hellos_of_other_stacks_are_answered_however_they_are_cut() {
    for stack in ["openssl", "gnutls", "chromium"] {
        let captured = captured_hello(stack);
        let hello = messages(&captured).remove(0);
        let provider = crypto::default_provider();
        let config = Arc::new(config(provider, 2));
        let answers = |pieces: Vec<Vec<u8>>| {
            let mut server =
                common::End::new(Connection::server(testkit::epoch(), Arc::clone(&config), [3; 32]));
            let count = pieces.len();
            for (n, mut piece) in pieces.into_iter().enumerate() {
                assert_eq!(server.datagrams(testkit::epoch()).len(), 0, "{stack}: answered {n} of {count}");
                server.receive(testkit::epoch(), &mut piece);
            }
            let flight = messages(&server.datagrams(testkit::epoch()));
            let kinds: Vec<_> = flight.iter().map(|message| message.kind).collect();
            assert_eq!(kinds, [2, 11, 12, 13, 14], "{stack} in {count} pieces: {:?}", server.discards);
        };
        answers(captured.clone());
        answers(captured.into_iter().rev().collect());
        for count in [1_usize, 2, 3, 12] {
            let mut pieces = hello.pieces(hello.body.len().div_ceil(count));
            assert_eq!(pieces.len(), count);
            let mut rng = Rng::new([count as u8; 32]);
            for _ in 0..20 {
                answers(pieces.clone());
                for at in (1..count).rev() {
                    pieces.swap(at, rng.below(u32::try_from(at + 1).unwrap()) as usize);
                }
            }
            pieces.sort();
            pieces.reverse();
            answers(pieces);
        }
        // A piece that comes twice, and an empty record between, change nothing.
        let mut pieces = hello.pieces(100);
        pieces.insert(1, pieces[0].clone());
        pieces.insert(1, record(22, 0, 0, &[]));
        answers(pieces);
    }
}
