//! Decoding never panics, and what decodes re-encodes to a message that decodes alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::Writer;
use stun::IntegrityKey;
use stun::wire::{Attribute, Encoder, Message};

fuzz_target!(|datagram: &[u8]| {
    let Ok(message) = Message::decode(datagram) else { return };
    let key = IntegrityKey::short_term(crypto::rust_crypto(), "password");
    let _ = message.verify(&key);
    // The fingerprint covers padding, which is zero in what we write.
    let attributes: Vec<_> =
        message.attributes().filter(|attribute| !matches!(attribute, Attribute::Fingerprint(_))).collect();

    let mut memory = vec![0; datagram.len() + 8];
    let mut out = Writer::new(&mut memory);
    let mut encoder =
        Encoder::new(&mut out, message.class(), message.method(), message.transaction()).expect("room");
    for attribute in &attributes {
        encoder.attribute(*attribute).expect("room");
    }
    if encoder.finish(None).is_err() {
        return; // eight bytes more than the length field can say
    }
    let again = Message::decode(out.written());
    if attributes.len() == stun::wire::MAX_ATTRIBUTES {
        return; // the fingerprint is one too many
    }
    let again = again.expect("own output decodes");
    let again = again.attributes().filter(|attribute| !matches!(attribute, Attribute::Fingerprint(_)));
    assert!(
        again.map(|a| format!("{:?}", a.kind())).eq(attributes.iter().map(|a| format!("{:?}", a.kind())))
    );
});
