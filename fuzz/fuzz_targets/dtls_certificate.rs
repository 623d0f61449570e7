//! A peer's certificate that is read gives a key that stands in it, and becomes an identity with that key alone.
#![no_main]

use dtls::{Identity, IdentityError, KeyAlgorithm, LeafError, leaf_key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|der: &[u8]| {
    let Ok(key) = leaf_key(der) else { return };
    if key.algorithm == KeyAlgorithm::P256 {
        assert_eq!((key.bytes.len(), key.bytes[0]), (65, 4));
    }
    assert!(
        key.bytes.is_empty() || der.as_ptr_range().contains(&key.bytes.as_ptr()),
        "lent from the certificate"
    );
    // Bytes behind it belong to nothing.
    let longer = [der, &[0]].concat();
    assert_eq!(leaf_key(&longer), Err(LeafError::Malformed));
    // A key of ours costs more than all the rest: only for a certificate that could hold it.
    let provider = testkit::null_provider();
    let ours = provider
        .signing_key(crypto::SignatureAlgorithm::EcdsaP256Sha256, &[1; 32])
        .expect("a number below the order");
    let own = ours.public_key().to_vec();
    match Identity::new(der.to_vec(), ours) {
        Ok(identity) => assert_eq!((key.bytes, identity.certificate()), (&own[..], der)),
        Err(error) => assert_eq!(error, IdentityError::OtherKey),
    }
});
