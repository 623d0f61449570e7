use serde_json::Value;

use super::*;

fn bytes(value: &Value) -> Vec<u8> {
    let hex = value.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn vectors(part: &str) -> Vec<Value> {
    let text = include_str!("../../tests/vectors/test-vectors.json");
    let all: Value = serde_json::from_str(text).unwrap();
    all[part].as_array().unwrap().clone()
}

fn suite(vector: &Value) -> CipherSuite {
    let number = vector["cipher_suite"].as_u64().unwrap();
    CipherSuite::from_number(u16::try_from(number).unwrap()).unwrap()
}

fn providers() -> impl Iterator<Item = &'static dyn Provider> {
    [Some(crypto::rust_crypto()), crypto::accelerated()].into_iter().flatten()
}

/// The synthetic AEAD alone (§4.5.1, §C.2).
#[test]
fn counter_mode_with_hmac_agrees_with_the_vectors() {
    let all = vectors("aes_ctr_hmac");
    assert_eq!(all.len(), 3);
    for (vector, provider) in
        all.iter().flat_map(|vector| providers().map(move |provider| (vector, provider)))
    {
        // The salt is the nonce of the first frame.
        let salt = SecretBytes::from(bytes(&vector["nonce"]));
        let key = Transform::from_key(provider, suite(vector), &bytes(&vector["key"]), salt).unwrap();
        let (mut text, associated) = (bytes(&vector["pt"]), bytes(&vector["aad"]));
        let mut tag = vec![0; suite(vector).tag_len()];
        key.seal(0, &associated, &mut text, &mut tag);
        assert_eq!([&text[..], &tag].concat(), bytes(&vector["ct"]));
        key.open(0, &associated, &mut text, &tag).unwrap();
        assert_eq!(text, bytes(&vector["pt"]));
    }
}

/// §4.4.2, §C.3.
#[test]
fn keys_salts_and_nonces_agree_with_the_vectors() {
    let all = vectors("sframe");
    assert_eq!(all.len(), CipherSuite::ALL.len());
    for (vector, provider) in
        all.iter().flat_map(|vector| providers().map(move |provider| (vector, provider)))
    {
        let (key_id, counter) = (vector["kid"].as_u64().unwrap(), vector["ctr"].as_u64().unwrap());
        let base_key = bytes(&vector["base_key"]);
        let (key, salt) = key_and_salt(provider, suite(vector), key_id, &base_key);
        assert_eq!(key.expose(), bytes(&vector["sframe_key"]));
        assert_eq!(salt.expose(), bytes(&vector["sframe_salt"]));
        let transform = Transform::new(provider, suite(vector), key_id, &base_key).unwrap();
        assert_eq!(transform.nonce(counter).as_slice(), bytes(&vector["nonce"]));
    }
}

#[test]
fn a_cut_or_longer_tag_is_wrong() {
    for suite in CipherSuite::ALL {
        let key = Transform::new(crypto::rust_crypto(), suite, 1, b"base key").unwrap();
        let (mut text, mut tag) = (b"frame".to_vec(), vec![0; suite.tag_len()]);
        key.seal(9, b"", &mut text, &mut tag);
        for wrong in [&tag[..tag.len() - 1], &[], &[&tag[..], &[0]].concat()] {
            assert!(key.open(9, b"", &mut text.clone(), wrong).is_err(), "{suite:?}");
        }
        assert!(key.open(9, b"", &mut text, &tag).is_ok());
    }
}
