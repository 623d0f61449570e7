//! Senders and receivers: what is refused, and what is bounded.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a panic is how a test fails"
)]

use proptest::prelude::*;
use sframe::wire::Header;
use sframe::{
    CipherSuite, DecryptError, EncryptError, HEADER_ROOM, KeyError, Receiver, ReceiverConfig, Sender, ratchet,
};

const BASE_KEY: &[u8] = b"a base key";

fn sender(suite: CipherSuite, key_id: u64) -> Sender {
    Sender::new(crypto::rust_crypto(), suite, key_id, BASE_KEY).unwrap()
}

fn receiver(suite: CipherSuite, key_ids: &[u64]) -> Receiver {
    let mut receiver = Receiver::new(crypto::rust_crypto(), suite, ReceiverConfig::default());
    key_ids.iter().for_each(|key_id| receiver.add_key(*key_id, BASE_KEY).unwrap());
    receiver
}

fn encrypt(sender: &mut Sender, metadata: &[u8], frame: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; HEADER_ROOM + frame.len() + 16];
    let text = HEADER_ROOM..HEADER_ROOM + frame.len();
    memory[text.clone()].copy_from_slice(frame);
    sender.encrypt(metadata, &mut memory, text).unwrap().to_vec()
}

/// §4.4.3, §9.1: no counter comes twice.
#[test]
fn each_frame_has_a_counter_of_its_own() {
    let mut sender = sender(CipherSuite::Aes128GcmSha256_128, 3);
    let mut receiver = receiver(CipherSuite::Aes128GcmSha256_128, &[3]);
    for counter in 0..300 {
        assert_eq!(sender.next_counter(), Some(counter));
        let mut frame = encrypt(&mut sender, b"", b"the same frame");
        let decrypted = receiver.decrypt(b"", &mut frame).unwrap();
        assert_eq!((decrypted.counter, &*decrypted.plaintext), (counter, b"the same frame".as_slice()));
    }
    assert_eq!(receiver.stats().decrypted, 300);
}

/// §7.4, §9.3: a sender is never made to use a counter again.
#[test]
fn a_counter_that_was_used_is_refused() {
    let mut sender = sender(CipherSuite::Aes128GcmSha256_128, 3);
    encrypt(&mut sender, b"", b"frame");
    assert_eq!(sender.skip_to(0), Err(KeyError::Reused));
    assert_eq!(sender.skip_to(1), Ok(()));
    assert_eq!(sender.skip_to(7), Ok(()));
    assert_eq!(sender.skip_to(6), Err(KeyError::Reused));
    assert_eq!(sender.next_counter(), Some(7));

    // The last one there is, and then none.
    sender.skip_to(u64::MAX).unwrap();
    let frame = encrypt(&mut sender, b"", b"frame");
    assert_eq!(Header::decode(&frame).unwrap().0, Header { key_id: 3, counter: u64::MAX });
    assert_eq!(sender.next_counter(), None);
    let mut memory = [5; 64];
    assert_eq!(sender.encrypt(b"", &mut memory, 20..40), Err(EncryptError::KeyExpired));
    assert_eq!(memory, [5; 64]);
    assert_eq!(sender.skip_to(u64::MAX), Err(KeyError::Reused));
    sender.set_key(crypto::rust_crypto(), 4, b"another").unwrap();
    assert_eq!((sender.key_id(), sender.next_counter()), (4, Some(0)));
}

#[test]
fn what_has_no_room_is_not_encrypted_and_uses_no_counter() {
    for suite in CipherSuite::ALL {
        let mut sender = sender(suite, 9);
        let tag = suite.tag_len();
        let mut memory = vec![5; 2 + 10 + tag];
        let backwards = std::ops::Range { start: 12, end: 2 };
        for text in [0..10, 1..11, 3..13, backwards, usize::MAX - 1..usize::MAX, 2..usize::MAX] {
            assert_eq!(sender.encrypt(b"", &mut memory, text), Err(EncryptError::NoRoom));
        }
        assert!(memory.iter().all(|byte| *byte == 5));
        assert_eq!(sender.next_counter(), Some(0));
        assert_eq!(sender.encrypt(b"", &mut memory, 2..12).unwrap().len(), 2 + 10 + tag);
    }
}

/// §4.4.4, §4.5.1: every byte counts, and so does the metadata.
#[test]
fn what_was_altered_is_refused_and_nothing_decrypted_is_left() {
    let frame = b"a frame that nobody else may read";
    for suite in CipherSuite::ALL {
        let (mut sender, mut receiver) = (sender(suite, 300), receiver(suite, &[300]));
        let sealed = encrypt(&mut sender, b"metadata", frame);
        let header_len = Header::decode(&sealed).unwrap().1;
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 0x10;
            let refused = receiver.decrypt(b"metadata", &mut altered).unwrap_err();
            assert!(at < header_len || refused == DecryptError::Forged, "{suite:?}: byte {at}: {refused:?}");
            assert!(!altered.windows(8).any(|part| frame.windows(8).any(|clear| clear == part)));
        }
        for metadata in [b"".as_slice(), b"metadatb", b"metadata "] {
            assert_eq!(receiver.decrypt(metadata, &mut sealed.clone()).unwrap_err(), DecryptError::Forged);
        }
        let forged = receiver.stats().forged;
        assert!(forged >= 3 + (sealed.len() - header_len) as u64);
        assert_eq!(receiver.decrypt(b"metadata", &mut sealed.clone()).unwrap().plaintext, frame);
    }
}

/// A byte of the metadata must not be taken for one of the frame (§4.5.1: lengths come first).
#[test]
fn metadata_and_frame_do_not_run_into_each_other() {
    let suite = CipherSuite::Aes128CtrHmacSha256_80;
    let (mut sender, mut receiver) = (sender(suite, 1), receiver(suite, &[1]));
    let sealed = encrypt(&mut sender, b"ab", b"cdefgh");
    let mut moved = [&sealed[..1], &sealed[2..]].concat();
    assert_eq!(
        receiver.decrypt(&[b"ab", &sealed[1..2]].concat(), &mut moved).unwrap_err(),
        DecryptError::Forged
    );
}

/// §4.3: numbers have as few bytes as they need.
#[test]
fn headers_that_are_longer_than_need_be_are_refused() {
    for header in
        [&[0x80_u8, 7][..], &[0x08, 7], &[0x09, 0, 255], &[0x90, 0, 255], &[0x0f, 0, 1, 1, 1, 1, 1, 1, 1]]
    {
        assert_eq!(Header::decode(header), Err(DecryptError::Malformed), "{header:?}");
    }
    assert!(Header::decode(&[0x80, 8]).is_ok() && Header::decode(&[0x08, 8]).is_ok());
}

#[test]
fn a_key_that_is_not_there_is_named() {
    let suite = CipherSuite::Aes128GcmSha256_128;
    let mut receiver = receiver(suite, &[1, 3]);
    let sealed = encrypt(&mut sender(suite, 2), b"", b"frame");
    assert_eq!(receiver.decrypt(b"", &mut sealed.clone()).unwrap_err(), DecryptError::UnknownKey(2));
    // The frame is as it was, so that it can wait for its key (§4.4.4).
    let mut waiting = sealed.clone();
    receiver.decrypt(b"", &mut waiting).unwrap_err();
    assert_eq!(waiting, sealed);
    receiver.add_key(2, BASE_KEY).unwrap();
    assert!(receiver.key_ids().eq([1, 2, 3]));
    assert_eq!(receiver.decrypt(b"", &mut waiting).unwrap().plaintext, b"frame");
    assert!(receiver.remove_key(2) && !receiver.remove_key(2));
    assert_eq!(receiver.stats().unknown_key, 2);
}

/// §5.2: an identifier that comes again takes the place of the old one.
#[test]
fn a_key_with_the_same_identifier_takes_its_place() {
    let suite = CipherSuite::Aes256GcmSha512_128;
    let mut receiver = receiver(suite, &[1]);
    let old = encrypt(&mut sender(suite, 1), b"", b"frame");
    receiver.add_key(1, b"another base key").unwrap();
    assert_eq!(receiver.key_ids().len(), 1);
    assert_eq!(receiver.decrypt(b"", &mut old.clone()).unwrap_err(), DecryptError::Forged);
    let mut new = Sender::new(crypto::rust_crypto(), suite, 1, b"another base key").unwrap();
    assert!(receiver.decrypt(b"", &mut encrypt(&mut new, b"", b"frame")).is_ok());
}

#[test]
fn as_many_keys_as_the_limit_are_taken_and_not_one_more() {
    let suite = CipherSuite::Aes128CtrHmacSha256_32;
    let mut receiver = receiver(suite, &[]);
    let max = u64::try_from(ReceiverConfig::default().max_keys).unwrap();
    (0..max).for_each(|key_id| receiver.add_key(key_id, BASE_KEY).unwrap());
    assert_eq!(receiver.add_key(max, BASE_KEY), Err(KeyError::TooMany));
    assert_eq!(receiver.add_key(max - 1, b"replaced"), Ok(()));
    assert!(receiver.remove_key(0));
    assert_eq!(receiver.add_key(max, BASE_KEY), Ok(()));
}

#[test]
fn metadata_may_be_as_long_as_the_limit_and_not_one_byte_longer() {
    let suite = CipherSuite::Aes128GcmSha256_128;
    let (mut sender, mut receiver) = (sender(suite, 1), receiver(suite, &[1]));
    let metadata = vec![7; Sender::MAX_METADATA + 1];
    let most = &metadata[1..];
    let mut sealed = encrypt(&mut sender, most, b"frame");
    let mut memory = [0; 64];
    assert_eq!(sender.encrypt(&metadata, &mut memory, 20..30), Err(EncryptError::MetadataTooLong));
    assert_eq!(sender.next_counter(), Some(1));
    assert_eq!(receiver.decrypt(&metadata, &mut sealed).unwrap_err(), DecryptError::MetadataTooLong);
    assert_eq!(receiver.decrypt(most, &mut sealed).unwrap().plaintext, b"frame");
    assert_eq!(receiver.stats().malformed, 1);
}

/// §5.1: both sides come to the same key, and the one before does not follow from it.
#[test]
fn both_sides_ratchet_to_the_same_key() {
    for suite in CipherSuite::ALL {
        let next = ratchet(crypto::rust_crypto(), suite, BASE_KEY);
        let again = ratchet(crypto::default_provider(), suite, BASE_KEY);
        assert_eq!(next.expose(), again.expose());
        assert_ne!(next.expose(), ratchet(crypto::rust_crypto(), suite, next.expose()).expose());
        let mut sender = Sender::new(crypto::rust_crypto(), suite, 1, next.expose()).unwrap();
        let mut receiver = receiver(suite, &[]);
        receiver.add_key(1, again.expose()).unwrap();
        assert!(receiver.decrypt(b"", &mut encrypt(&mut sender, b"", b"frame")).is_ok());
    }
}

#[test]
fn keys_are_not_printed() {
    let (sender, receiver) =
        (sender(CipherSuite::Aes128GcmSha256_128, 1), receiver(CipherSuite::ALL[0], &[1]));
    let printed = format!("{sender:?} {receiver:?}");
    assert!(printed.contains("salt: [redacted]") && !printed.contains("base"), "{printed}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_a_receiver_panic_or_are_taken(mut bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        for suite in CipherSuite::ALL {
            let mut receiver = receiver(suite, &[0, 1, 2, 3, 4, 5, 6, 7]);
            prop_assert!(receiver.decrypt(b"", &mut bytes).is_err());
        }
    }

    #[test]
    fn frames_of_all_lengths_come_out_as_they_went_in(
        frame in prop::collection::vec(any::<u8>(), 0..2000),
        metadata in prop::collection::vec(any::<u8>(), 0..40),
        key_id: u64,
        counter: u64,
        suite in prop::sample::select(CipherSuite::ALL.to_vec()),
    ) {
        let (mut sender, mut receiver) = (sender(suite, key_id), receiver(suite, &[key_id]));
        sender.skip_to(counter).unwrap();
        let mut sealed = encrypt(&mut sender, &metadata, &frame);
        let decrypted = receiver.decrypt(&metadata, &mut sealed).unwrap();
        prop_assert_eq!((decrypted.key_id, decrypted.counter), (key_id, counter));
        prop_assert_eq!(&*decrypted.plaintext, &frame[..]);
    }

    #[test]
    fn what_is_read_of_a_header_is_written_again(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
        if let Ok((header, len)) = Header::decode(&bytes) {
            let encoded = header.encode();
            prop_assert_eq!(encoded.as_bytes(), &bytes[..len]);
        }
    }
}
