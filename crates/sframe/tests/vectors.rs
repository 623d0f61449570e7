//! The vectors of RFC 9605, Appendix C, through the public API, with both providers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a panic is how a test fails")]

use serde_json::Value;
use sframe::wire::Header;
use sframe::{CipherSuite, HEADER_ROOM, Receiver, ReceiverConfig, Sender};

fn bytes(value: &Value) -> Vec<u8> {
    let hex = value.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn vectors(part: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("vectors/test-vectors.json")).unwrap();
    all[part].as_array().unwrap().clone()
}

/// §C.1.
#[test]
fn headers_are_written_and_read_as_the_vectors_say() {
    let all = vectors("header");
    assert!(all.len() > 200, "{}", all.len());
    for vector in all {
        let header =
            Header { key_id: vector["kid"].as_u64().unwrap(), counter: vector["ctr"].as_u64().unwrap() };
        let encoded = bytes(&vector["encoded"]);
        assert_eq!(header.encode().as_bytes(), encoded, "{header:?}");
        assert_eq!(header.encoded_len(), encoded.len());
        assert_eq!(Header::decode(&encoded), Ok((header, encoded.len())));
        for cut in 0..encoded.len() {
            assert!(Header::decode(&encoded[..cut]).is_err(), "{header:?} cut to {cut}");
        }
    }
}

/// §C.3: whole frames, encrypted and decrypted.
#[test]
fn frames_are_those_of_the_vectors() {
    let all = vectors("sframe");
    assert_eq!(all.len(), CipherSuite::ALL.len());
    for provider in [Some(crypto::rust_crypto()), crypto::accelerated()].into_iter().flatten() {
        for vector in &all {
            let number = u16::try_from(vector["cipher_suite"].as_u64().unwrap()).unwrap();
            let suite = CipherSuite::from_number(number).unwrap();
            let (key_id, counter) = (vector["kid"].as_u64().unwrap(), vector["ctr"].as_u64().unwrap());
            let (base_key, metadata) = (bytes(&vector["base_key"]), bytes(&vector["metadata"]));
            let plaintext = bytes(&vector["pt"]);

            let mut sender = Sender::new(provider, suite, key_id, &base_key).unwrap();
            sender.skip_to(counter).unwrap();
            let mut memory = [0xee; 128];
            let text = HEADER_ROOM..HEADER_ROOM + plaintext.len();
            memory[text.clone()].copy_from_slice(&plaintext);
            let overhead = sender.overhead();
            let frame = sender.encrypt(&metadata, &mut memory, text).unwrap();
            assert_eq!(frame, bytes(&vector["ct"]), "{suite:?}");
            assert_eq!(frame.len(), plaintext.len() + overhead);

            let mut receiver = Receiver::new(provider, suite, ReceiverConfig::default());
            receiver.add_key(key_id, &base_key).unwrap();
            let decrypted = receiver.decrypt(&metadata, frame).unwrap();
            assert_eq!((decrypted.key_id, decrypted.counter), (key_id, counter));
            assert_eq!(decrypted.plaintext, plaintext);
        }
    }
}
