//! Secrets are compared in constant time or not at all, and never shown.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::format_push_string,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::time::Duration;

use harness::Two;
use session::ConnectionState;

/// Fails to compile for a type with `PartialEq`: then both implementations fit.
macro_rules! assert_not_comparable {
    ($($secret:ty),+) => {$({
        trait Ambiguous<A> {
            fn chosen() {}
        }
        impl<T: ?Sized> Ambiguous<()> for T {}
        struct Comparable;
        impl<T: ?Sized + PartialEq> Ambiguous<Comparable> for T {}
        <$secret as Ambiguous<_>>::chosen();
    })+};
}

/// THREATS I3: `==` on a secret takes as long as its bytes agree; these types do not have it.
#[test]
fn types_that_hold_secrets_cannot_be_compared_by_chance() {
    assert_not_comparable!(
        crypto::Secret<32>,
        crypto::SharedSecret,
        crypto::Digest,
        crypto::Rng,
        stun::IntegrityKey,
        ice::Credentials,
        dtls::Identity,
        dtls::Connection,
        sctp::Association,
        session::Session
    );
}

/// No secret of a session stands in anything that it prints.
#[test]
fn nothing_that_is_printed_holds_a_secret() {
    let mut two = Two::new();
    two.connect();
    let now = two.now();
    let mut printed = String::new();
    for side in [0, 1] {
        let session = two.session(side);
        assert_eq!(session.connection_state(), ConnectionState::Connected);
        printed.push_str(&format!("{session:?}\n{}\n{:?}", session.report(now), session.stats(now)));
    }
    two.run(Duration::from_secs(1), |_| false);
    for events in &two.seen {
        printed.push_str(&format!("{events:?}"));
    }
    // The passwords are in the descriptions, which are made to be given away; the rest is seeded.
    for side in [0, 1] {
        let (_, description) = two.session(side).local_description().unwrap();
        let media = description.media().next().unwrap();
        let password = media.ice_pwd().unwrap().to_owned();
        assert!(password.len() >= 22 && !printed.contains(&password), "a password is shown");
    }
    for seed in [[1_u8; 32], [2; 32]] {
        for bytes in [&seed[..], &crypto::derive_seed(&seed, "dtls")] {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(!printed.contains(&format!("{bytes:?}")) && !printed.contains(&hex), "a seed is shown");
        }
    }
    assert!(printed.contains("[redacted]"));
}
