//! GnuTLS on 127.0.0.1, in both roles, in real time. Says why and returns where its programs are missing.
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

use common::real::{Case, Certificate, Peer, cases, in_a_network_of_its_own, with_client, with_server};
use dtls::{CipherSuite, NamedGroup, SrtpProfile};

/// GnuTLS 3.7 knows no AEAD profile.
const PROFILE: SrtpProfile = SrtpProfile::Aes128CmHmacSha1_80;

#[test]
fn real_gnutls_server_with_cookies_connects() {
    let Some(certificate) = Certificate::new("gnutls-server", &["gnutls-serv", "unshare", "ip"]) else {
        return;
    };
    if in_a_network_of_its_own("real_gnutls_server_with_cookies_connects") {
        for case in cases() {
            with_server(&case, PROFILE, |port| server(&certificate, &case, port));
        }
    }
}

/// A hello does not fit into a datagram of 110 bytes.
#[test]
fn real_gnutls_server_takes_a_hello_in_pieces() {
    let Some(certificate) = Certificate::new("gnutls-pieces", &["gnutls-serv", "unshare", "ip"]) else {
        return;
    };
    if in_a_network_of_its_own("real_gnutls_server_takes_a_hello_in_pieces") {
        let case = Case { mtu: 110, cookies: false, ..cases()[0] };
        with_server(&case, PROFILE, |port| server(&certificate, &case, port));
    }
}

#[test]
fn real_gnutls_client_gives_equal_exports() {
    let Some(certificate) = Certificate::new("gnutls-client", &["gnutls-cli"]) else { return };
    for case in cases() {
        with_client(&case, PROFILE, |port| {
            let mut command = Command::new("gnutls-cli");
            command.args(["--udp", "-p", &port.to_string(), "--insecure"]);
            command.args(["--keymatexport", "EXTRACTOR-dtls_srtp", "--keymatexportsize", "60"]);
            start(&certificate, command, &case, false)
        });
    }
}

fn server(certificate: &Certificate, case: &Case, port: u16) -> Peer {
    let mut command = Command::new("gnutls-serv");
    command.args(["--udp", "-p", &port.to_string(), "--require-client-cert", "--echo"]);
    if !case.cookies {
        command.arg("--nocookie");
    }
    start(certificate, command, case, true)
}

fn start(certificate: &Certificate, mut command: Command, case: &Case, is_server: bool) -> Peer {
    let cipher = match case.suite {
        CipherSuite::EcdheEcdsaAes128GcmSha256 => "AES-128-GCM",
        CipherSuite::EcdheEcdsaAes256GcmSha384 => "AES-256-GCM",
        CipherSuite::EcdheEcdsaChaCha20Poly1305Sha256 => "CHACHA20-POLY1305",
        _ => panic!("no name for {}", case.suite.name()),
    };
    let group = if case.group == NamedGroup::X25519 { "X25519:+GROUP-SECP256R1" } else { "SECP256R1" };
    let priority = format!("NORMAL:-VERS-ALL:+VERS-DTLS1.2:-CIPHER-ALL:+{cipher}:-GROUP-ALL:+GROUP-{group}");
    command.args(["--x509certfile", "cert.pem", "--x509keyfile", "key.pem", "--priority", &priority]).args([
        "--srtp-profiles",
        PROFILE.name(),
        "--mtu",
        &case.mtu.max(256).to_string(),
    ]);
    if !is_server {
        command.arg("127.0.0.1");
    }
    // The server prints no keying material over UDP.
    Peer::spawn(command, &certificate.folder, is_server, !is_server)
}
