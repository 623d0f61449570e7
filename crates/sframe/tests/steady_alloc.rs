//! Once warm, neither side allocates, also not for frames that are refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a panic is how a test fails")]

use sframe::{CipherSuite, HEADER_ROOM, Receiver, ReceiverConfig, Sender};

#[test]
fn frames_cost_no_allocation() {
    // In debug builds graviola asks the environment, at each call, which CPU features to leave alone.
    let accelerated = crypto::accelerated().filter(|_| !cfg!(debug_assertions));
    let providers = [crypto::rust_crypto()].into_iter().chain(accelerated);
    for (provider, suite) in providers.flat_map(|it| CipherSuite::ALL.map(|suite| (it, suite))) {
        let mut sender = Sender::new(provider, suite, 1, b"base key").unwrap();
        let mut receiver = Receiver::new(provider, suite, ReceiverConfig::default());
        receiver.add_key(1, b"base key").unwrap();
        let mut memory = vec![7; 1200];
        let mut round = || {
            let frame = sender.encrypt(b"metadata", &mut memory, HEADER_ROOM..1000).unwrap();
            receiver.decrypt(b"metadata", frame).unwrap();
            memory[0] = 0x77;
            receiver.decrypt(b"metadata", &mut memory).unwrap_err();
        };
        round();
        let counted = allocation_counter::measure(|| (0..100).for_each(|_| round()));
        assert_eq!(counted.count_total, 0, "{suite:?}");
    }
}
