//! The test vectors of RFC 5769.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::net::SocketAddr;

use stun::wire::{Attribute, Class, Encoder, Message, Method, PasswordAlgorithm, TransactionId};
use stun::{Credentials, IntegrityKey, Writer};

#[test]
fn sample_request() {
    let bytes = bytes(&[
        "00010058 2112a442 b7e7a701bc34d686fa87dfae",
        "80220010 5354554e207465737420636c69656e74",
        "00240004 6e0001ff",
        "80290008 932ff9b151263b36",
        "00060009 6576746a3a68367659 202020",
        "00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2",
        "80280004 e57a3bcf",
    ]);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
    assert_eq!(message.verify(&key()), Ok(()));
    let attributes: Vec<_> = message.attributes().take(4).collect();
    assert_eq!(
        attributes,
        [
            Attribute::Software("STUN test client"),
            Attribute::Priority(0x6e00_01ff),
            Attribute::IceControlled(0x932f_f9b1_5126_3b36),
            Attribute::Username("evtj:h6vY"),
        ]
    );
}

#[test]
fn sample_ipv4_response() {
    let bytes = bytes(&[
        "0101003c 2112a442 b7e7a701bc34d686fa87dfae",
        "8022000b 7465737420766563746f72 20",
        "00200008 0001a147e112a643",
        "00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7",
        "80280004 c07d4c96",
    ]);
    check_response(&bytes, "192.0.2.1:32853");
}

#[test]
fn sample_ipv6_response() {
    let bytes = bytes(&[
        "01010048 2112a442 b7e7a701bc34d686fa87dfae",
        "8022000b 7465737420766563746f72 20",
        "00200014 0002a147 0113a9faa5d3f179bc25f4b5bed2b9d9",
        "00080014 a382954e4be67bf11784c97c8292c275bfe3ed41",
        "80280004 c8fb0b4c",
    ]);
    check_response(&bytes, "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
}

#[test]
fn sample_request_with_long_term_authentication() {
    let bytes = bytes(&[
        "00010060 2112a442 78ad3433c6ad72c029da412e",
        "00060012 e3839ee38388e383aae38383e382afe382b9 0000",
        "0015001c 662f2f3439396b39353464364f4c33346f4c394653547679363473 41",
        "0014000b 6578616d706c652e6f7267 00",
        "00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666",
    ]);
    let message = Message::decode(&bytes).unwrap();
    let name = "\u{30de}\u{30c8}\u{30ea}\u{30c3}\u{30af}\u{30b9}";
    assert_eq!(message.username(), Some(name));
    let credentials = Credentials::new(name, "TheMatrIX").unwrap();
    let key = credentials.key(crypto::default_provider(), "example.org", PasswordAlgorithm::Md5).unwrap();
    assert_eq!(message.verify(&key), Ok(()));
    assert!(message.attributes().any(|a| a == Attribute::Realm("example.org")));

    // Nothing in it is beyond our encoder: byte for byte.
    let mut memory = [0; 200];
    let mut out = Writer::new(&mut memory);
    let id = TransactionId([0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e]);
    let mut encoder = Encoder::new(&mut out, Class::Request, Method::BINDING, id).unwrap();
    encoder.attribute(Attribute::Username(name)).unwrap();
    encoder.attribute(Attribute::Nonce("f//499k954d6OL34oL9FSTvy64sA")).unwrap();
    encoder.attribute(Attribute::Realm("example.org")).unwrap();
    encoder.finish_without_fingerprint(Some(&key)).unwrap();
    assert_eq!(out.written(), bytes);
}

fn check_response(bytes: &[u8], address: &str) {
    let address: SocketAddr = address.parse().unwrap();
    let message = Message::decode(bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Success, Method::BINDING));
    assert_eq!(message.verify(&key()), Ok(()));
    assert_eq!(message.mapped_address(), Some(address));

    // What we write carries the same address bytes.
    let mut memory = [0; 200];
    let mut out = Writer::new(&mut memory);
    let mut encoder =
        Encoder::new(&mut out, message.class(), message.method(), message.transaction()).unwrap();
    encoder.attribute(Attribute::Software("test vector")).unwrap();
    encoder.attribute(Attribute::XorMappedAddress(address)).unwrap();
    encoder.finish(Some(&key())).unwrap();
    assert_eq!(out.written().len(), bytes.len());
    assert_eq!(out.written()[36..bytes.len() - 32], bytes[36..bytes.len() - 32]);
}

fn key() -> IntegrityKey {
    IntegrityKey::short_term(crypto::default_provider(), "VOkJxbRl1RmTxUk/WvJxBt")
}

fn bytes(lines: &[&str]) -> Vec<u8> {
    let digits: Vec<u32> =
        lines.iter().flat_map(|line| line.chars()).filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}
