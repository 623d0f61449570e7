//! OpenSSL on 127.0.0.1, in both roles, in real time. Says why and returns where there is no `openssl`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; a real peer lives in real time"
)]

mod common;

use std::process::Command;

use common::real::{Case, Certificate, Peer, cases, with_client, with_server};
use dtls::{CipherSuite, NamedGroup, SrtpProfile};

const PROFILE: SrtpProfile = SrtpProfile::AeadAes128Gcm;

#[test]
fn real_openssl_server_with_cookies_gives_equal_exports() {
    let Some(certificate) = Certificate::new("openssl-server", &[]) else { return };
    for case in cases() {
        with_server(&case, PROFILE, |port| server(&certificate, &case, port));
    }
}

/// A hello and its cookie do not fit into a datagram of 110 bytes. OpenSSL takes pieces where it asks for no
/// cookie.
#[test]
fn real_openssl_server_takes_a_hello_in_pieces() {
    let Some(certificate) = Certificate::new("openssl-pieces", &[]) else { return };
    let case = Case { mtu: 110, cookies: false, ..cases()[0] };
    with_server(&case, PROFILE, |port| server(&certificate, &case, port));
}

#[test]
fn real_openssl_client_gives_equal_exports() {
    let Some(certificate) = Certificate::new("openssl-client", &[]) else { return };
    for case in cases() {
        with_client(&case, PROFILE, |port| {
            let mut command = Command::new("openssl");
            command.args(["s_client", "-dtls1_2", "-connect", &format!("127.0.0.1:{port}")]);
            start(&certificate, command, &case)
        });
    }
}

fn server(certificate: &Certificate, case: &Case, port: u16) -> Peer {
    let mut command = Command::new("openssl");
    command.args(["s_server", "-dtls1_2", "-accept", &format!("127.0.0.1:{port}"), "-Verify", "1"]);
    // `s_server -listen` takes the first wait that ends in vain for an error and begins anew: under loss it asks
    // for no cookie.
    if case.cookies && case.loss == 0 {
        command.arg("-listen");
    }
    start(certificate, command, case)
}

fn start(certificate: &Certificate, mut command: Command, case: &Case) -> Peer {
    let cipher = match case.suite {
        CipherSuite::EcdheEcdsaAes128GcmSha256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::EcdheEcdsaAes256GcmSha384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::EcdheEcdsaChaCha20Poly1305Sha256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        _ => panic!("no name for {}", case.suite.name()),
    };
    // OpenSSL checks that a certificate's curve is among the groups.
    let groups = if case.group == NamedGroup::X25519 { "X25519:P-256" } else { "P-256" };
    command
        .args(["-cert", "cert.pem", "-key", "key.pem", "-cipher", cipher, "-groups", groups])
        .args(["-use_srtp", PROFILE.name(), "-mtu", &case.mtu.max(256).to_string()])
        .args(["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "56"]);
    Peer::spawn(command, &certificate.folder, false, true)
}
