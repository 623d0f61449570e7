//! Decoding never panics, and what decodes re-encodes to a message that decodes alike.
#![no_main]

use datachannel::wire::Message;
use libfuzzer_sys::fuzz_target;
use proto::Writer;

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::decode(bytes) else { return };
    let mut memory = vec![0; bytes.len()];
    let mut out = Writer::new(&mut memory);
    message.encode(&mut out).expect("same size");
    assert_eq!(Message::decode(out.written()), Ok(message));
});
