//! Whatever comes, a receiver of SFrame refuses it, and what a sender makes of it comes back.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sframe::wire::Header;
use sframe::{CipherSuite, DecryptError, HEADER_ROOM, Receiver, ReceiverConfig, Sender};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    suite: u8,
    /// Encryption that does nothing, so that all that comes behind the tag is reached too.
    null: bool,
    key_id: u64,
    counter: u64,
    metadata: &'a [u8],
    bytes: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let suite = CipherSuite::ALL[usize::from(input.suite) % CipherSuite::ALL.len()];
    let provider = if input.null { testkit::null_provider() } else { crypto::rust_crypto() };
    let mut receiver = Receiver::new(provider, suite, ReceiverConfig::default());
    receiver.add_key(input.key_id, b"base key").expect("room");
    // Whose key is in the header, too, so that it is used.
    let header = Header::decode(input.bytes);
    if let Ok((header, len)) = header {
        assert_eq!(header.encode().as_bytes(), &input.bytes[..len]);
        receiver.add_key(header.key_id, b"base key").expect("room");
    }

    let mut came = input.bytes.to_vec();
    match receiver.decrypt(input.metadata, &mut came) {
        // The null provider takes every tag of AES-GCM; a tag of 32 bits may be guessed.
        Ok(decrypted) => {
            assert!(input.null && suite.tag_len() == 16 || suite.tag_len() == 4);
            assert_eq!(header.expect("a header").0.key_id, decrypted.key_id);
        }
        Err(DecryptError::Forged | DecryptError::Malformed | DecryptError::MetadataTooLong) => {}
        Err(error) => panic!("{error}"),
    }

    let len = input.bytes.len();
    let mut sender = Sender::new(provider, suite, input.key_id, b"base key").expect("a key");
    sender.skip_to(input.counter).expect("new");
    let mut memory = [&[0; HEADER_ROOM], input.bytes, &[0; 16]].concat();
    let overhead = sender.overhead();
    let sealed = sender.encrypt(input.metadata, &mut memory, HEADER_ROOM..HEADER_ROOM + len);
    let fits = input.metadata.len() <= Sender::MAX_METADATA;
    assert_eq!(sealed.is_ok(), fits);
    if let Ok(sealed) = sealed {
        assert_eq!(sealed.len(), len + overhead);
        let decrypted = receiver.decrypt(input.metadata, sealed).expect("its own");
        assert_eq!((decrypted.key_id, decrypted.counter), (input.key_id, input.counter));
        assert_eq!(decrypted.plaintext, input.bytes);
    }
});
