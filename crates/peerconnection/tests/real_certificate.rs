//! Certificates that were made elsewhere, by the command `openssl`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::panic,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::io::Write as _;
use std::process::{Command, Stdio};

use harness::{connect_over, endpoint};
use peerline::{Certificate, Configuration};

/// What the command writes, given `input`; `None` where it is not there.
fn openssl(arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new("openssl");
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    Some(output.stdout)
}

/// A certificate and its key, DER.
fn made(kind: &[&str]) -> Option<(Vec<u8>, Vec<u8>)> {
    let key = openssl(&[&["genpkey", "-outform", "DER"], kind].concat(), &[])?;
    let request = ["req", "-x509", "-new", "-key", "/dev/stdin", "-keyform", "DER", "-outform", "DER"];
    let subject = ["-subj", "/CN=WebRTC", "-days", "30"];
    Some((openssl(&[&request[..], &subject[..]].concat(), &key)?, key))
}

const RSA: [&str; 4] = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const P256: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

#[tokio::test]
async fn real_certificates_made_elsewhere_are_shown_and_proved() {
    for kind in [RSA, P256] {
        let Some((der, key)) = made(&kind) else {
            println!("skipped: openssl is not installed");
            return;
        };
        if kind == RSA && crypto::default_provider().rsa_signing_key(&key).is_err() {
            println!("skipped: no RSA on this processor");
            continue;
        }
        let certificate = Certificate::from_der(der.clone(), &key).unwrap();
        assert_eq!(certificate.der(), der);
        let mut configuration = Configuration::default();
        configuration.certificate = Some(certificate);
        let (here, there) = (endpoint().await, endpoint().await);
        let pair = connect_over(&here, &there, [configuration, Configuration::default()]).await;
        assert_eq!(pair.bob.peer_certificate(), Some(der));
    }
}

#[test]
fn real_what_does_not_belong_together_is_refused() {
    let (Some((rsa, rsa_key)), Some((p256, p256_key))) = (made(&RSA), made(&P256)) else {
        println!("skipped: openssl is not installed");
        return;
    };
    assert!(Certificate::from_der(p256.clone(), &p256_key).is_ok());
    assert!(Certificate::from_der(rsa.clone(), &p256_key).is_err());
    assert!(Certificate::from_der(p256.clone(), &rsa_key).is_err());
    assert!(Certificate::from_der(p256.clone(), &[]).is_err());
    assert!(Certificate::from_der(Vec::new(), &p256_key).is_err());
    assert!(Certificate::from_der(p256[..p256.len() - 1].to_vec(), &p256_key).is_err());
    let (_, other) = made(&P256).unwrap();
    assert!(Certificate::from_der(p256, &other).is_err());
}
