//! Certificates that cost too much, or are none: D24 of the threats.
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

use std::time::{Duration, Instant as Clock};

use common::bytes::{Message, messages};
use common::spy::Spy;
use common::{Pair, config};
use crypto::{Rng, SignatureAlgorithm, SigningKey};
use dtls::{CloseReason, Discard, Event, Identity, IdentityError};

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let head = match len {
        0..0x80 => vec![tag, len as u8],
        0x80..0x100 => vec![tag, 0x81, len as u8],
        _ => vec![tag, 0x82, (len >> 8) as u8, len as u8],
    };
    [head, content.to_vec()].concat()
}

/// The content of the first element of `der`, and what follows it.
fn untlv(der: &[u8]) -> (&[u8], &[u8]) {
    let (head, len) = match der[1] {
        0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
        0x81 => (3, usize::from(der[2])),
        short => (2, usize::from(short)),
    };
    (&der[head..head + len], &der[head + len..])
}

/// A real certificate with an extension of nothing that makes it `len` bytes long.
fn certificate_of(len: usize) -> Vec<u8> {
    let identity = Identity::generate(crypto::rust_crypto(), 1_790_000_000, [1; 32]).unwrap();
    let (content, _) = untlv(identity.certificate());
    let (tbs, rest) = untlv(content);
    let with = |padding: usize| {
        let value = [tlv(6, &[0x2a, 3, 4]), tlv(4, &vec![0; padding])].concat();
        let extensions = tlv(0xa3, &tlv(0x30, &tlv(0x30, &value)));
        tlv(0x30, &[tlv(0x30, &[tbs, &extensions].concat()), rest.to_vec()].concat())
    };
    let long = with(len - 400);
    with(len - 400 + len - long.len())
}

/// A client that was given the server's first two messages, the certificate replaced by `chain`; and what it
/// makes of the key exchange behind it.
fn given(chain: &[&[u8]]) -> Pair {
    let null = testkit::null_provider();
    let mut pair = Pair::new(config(null, 1), config(null, 2));
    for mut datagram in pair.client.datagrams(pair.now) {
        pair.server.receive(pair.now, &mut datagram);
    }
    let flight = messages(&pair.server.datagrams(pair.now));
    let entry = |der: &&[u8]| [&u32::try_from(der.len()).unwrap().to_be_bytes()[1..], der].concat();
    let list: Vec<u8> = chain.iter().flat_map(entry).collect();
    let body = [&u32::try_from(list.len()).unwrap().to_be_bytes()[1..], &list].concat();
    pair.client.connection.set_round_trip(Duration::from_millis(10));
    pair.client.receive(pair.now, &mut flight[0].whole());
    for mut piece in (Message { sequence: 1, kind: 11, body }).pieces(8000) {
        pair.client.receive(pair.now, &mut piece);
    }
    pair.client.receive(pair.now, &mut flight[2].whole());
    pair
}

#[test]
fn a_certificate_may_have_16_kib_and_no_byte_more() {
    let longest = certificate_of(16 << 10);
    assert_eq!(longest.len(), 16 << 10);
    let pair = given(&[&longest]);
    assert!(pair.client.discards.is_empty() && pair.client.events.is_empty(), "{:?}", pair.client.discards);
    let longer = certificate_of((16 << 10) + 1);
    assert_eq!(longer.len(), (16 << 10) + 1);
    let pair = given(&[&longer]);
    assert_eq!(pair.client.events, [Event::Closed(CloseReason::UnsupportedCertificate)]);
}

#[test]
fn the_limit_of_certificates_is_the_configured_one() {
    let null = testkit::null_provider();
    for (missing, fits) in [(0, true), (1, false)] {
        let (mut client, server) = (config(null, 1), config(null, 2));
        client.max_certificate = server.identity.as_ref().unwrap().certificate().len() - missing;
        let mut pair = Pair::new(client, server);
        assert_eq!(pair.connect(Duration::from_secs(5)), fits);
    }
}

#[test]
fn of_a_chain_only_the_first_certificate_is_looked_at() {
    let leaf = certificate_of(700);
    let rubbish = [0xff; 300];
    let pair = given(&[&leaf, &rubbish, &leaf, &rubbish]);
    assert!(pair.client.discards.is_empty() && pair.client.events.is_empty());
    // The first is the peer's own, and nothing else will do.
    assert_eq!(given(&[&rubbish, &leaf]).client.discards, [Discard::IllegalParameter]);
    assert_eq!(given(&[]).client.events, [Event::Closed(CloseReason::NoPeerCertificate)]);
}

/// One check at each end; and a peer that signs wrongly is heard a few times only.
#[test]
fn a_handshake_checks_one_signature_at_each_end() {
    let spy = Spy::on(crypto::default_provider());
    Pair::connected(config(spy, 1), config(spy, 2));
    assert_eq!(spy.verified(), 2);
    assert_eq!(spy.agreed(), 2);

    let spy = Spy::on(crypto::default_provider());
    let mut pair = Pair::new(config(spy, 1), config(crypto::default_provider(), 2));
    for mut datagram in pair.client.datagrams(pair.now) {
        pair.server.receive(pair.now, &mut datagram);
    }
    let mut flight = messages(&pair.server.datagrams(pair.now));
    *flight[2].body.last_mut().unwrap() ^= 1;
    for _ in 0..100 {
        for message in &flight {
            pair.client.receive(pair.now, &mut message.whole());
        }
    }
    assert_eq!(spy.verified(), 4);
    assert_eq!(pair.client.events, [Event::Closed(CloseReason::BadSignature)]);
}

/// Bytes that are shaped to cost a parser time, and thousands that were a certificate once.
fn corpus() -> Vec<Vec<u8>> {
    let honest = certificate_of(700);
    let (content, _) = untlv(&honest);
    let (tbs, rest) = untlv(content);
    let wrap = |tbs: &[u8]| tlv(0x30, &[tlv(0x30, tbs), rest.to_vec()].concat());
    let mut all = vec![Vec::new(), vec![0x30], vec![0x30, 0x80], vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]];
    for depth in [10, 100, 1000, 4000] {
        for tag in [0x30, 0x31, 0xa0, 0xa3, 0x24] {
            // Elements inside of elements, of known and of indefinite length, shut and open.
            let nested = (0..depth).fold(vec![5, 0], |inner, _| tlv(tag, &inner));
            all.push(wrap(&nested));
            all.push(nested);
            all.push([tag, 0x80].repeat(depth));
            all.push(wrap(&[tag, 0x80].repeat(depth)));
        }
    }
    for len in [127, 128, 255, 256, 15_000] {
        for tag in [1, 2, 3, 4, 5, 6, 0x0c, 0x13, 0x17, 0x18, 0x30, 0x31, 0xa0, 0xa3] {
            for fill in [0, 1, 0x7f, 0x80, 0xff] {
                // One field that goes on and on: numbers, names, dates, object identifiers.
                let long = tlv(tag, &vec![fill; len]);
                all.push(wrap(&long));
                all.push(wrap(&[tbs, &long].concat()));
            }
        }
    }
    // Very many small ones: names with thousands of parts, thousands of extensions.
    for part in [vec![5, 0], tlv(0x31, &tlv(0x30, &[6, 1, 1, 5, 0])), tlv(0x30, &[6, 1, 1, 4, 0])] {
        let many = part.repeat(15_000 / part.len());
        all.push(wrap(&[tbs, &tlv(0xa3, &tlv(0x30, &many))].concat()));
        all.push(wrap(&tlv(0x30, &many)));
    }
    all.extend((0..honest.len()).map(|cut| honest[..cut].to_vec()));
    all.extend((0..honest.len() * 8).map(|bit| {
        let mut altered = honest.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        altered
    }));
    let mut rng = Rng::new([24; 32]);
    for _ in 0..testkit::scaled(100_000) {
        let mut altered = honest.clone();
        for _ in 0..=rng.below(8) {
            let at = rng.below(u32::try_from(altered.len()).unwrap()) as usize;
            match rng.below(4) {
                0 => altered[at] = [0, 0x7f, 0x80, 0x82, 0x84, 0xff][rng.below(6) as usize],
                1 => altered[at] = altered[at].wrapping_add(1),
                2 => drop(altered.splice(at..at, [0x30, 0x80, 0x30])),
                _ => drop(altered.splice(at..(at + 3).min(altered.len()), [])),
            }
        }
        all.push(altered);
    }
    all
}

/// A key that belongs to no certificate.
#[derive(Debug)]
struct Nobody;

impl SigningKey for Nobody {
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::EcdsaP256Sha256
    }

    fn public_key(&self) -> &[u8] {
        &[4; 65]
    }

    fn sign(&self, _: &[u8]) -> Vec<u8> {
        Vec::new()
    }
}

/// D24: each within a millisecond, and none is taken for a certificate of another key.
#[test]
fn real_pathological_certificates_are_judged_in_a_millisecond() {
    let corpus = corpus();
    assert!(corpus.len() > 7000, "{}", corpus.len());
    let mut slowest = Duration::ZERO;
    for der in corpus {
        let mut best = Duration::MAX;
        // The best of a few: the machine has other work too.
        for _ in 0..5 {
            let (der, key) = (der.clone(), Box::new(Nobody));
            let start = Clock::now();
            let judged = Identity::new(der, key);
            best = best.min(start.elapsed());
            assert!(matches!(
                judged.err(),
                Some(IdentityError::Certificate | IdentityError::OtherKey | IdentityError::TooLong)
            ));
            if best < Duration::from_micros(200) {
                break;
            }
        }
        assert!(
            best <= Duration::from_millis(1),
            "{best:?} for {} bytes: {:02x?}",
            der.len(),
            &der[..der.len().min(64)]
        );
        slowest = slowest.max(best);
    }
    println!("slowest: {slowest:?}");
}
