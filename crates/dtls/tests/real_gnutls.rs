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

use common::real::{Case, Certificate, Peer, cases, with_client, with_server};
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

/// Whether this process may go on. `gnutls-serv` listens on every address that it finds, so the test runs once
/// more where there is none but 127.0.0.1, and what came of it there is reported here.
fn in_a_network_of_its_own(test: &str) -> bool {
    const INSIDE: &str = "PEERLINE_OWN_NETWORK";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "sh", "-c", script]);
        command.arg(std::env::current_exe().unwrap()).arg(test).env(INSIDE, "1");
        command.output().unwrap()
    };
    if !unshare("ip link set lo up").status.success() {
        println!("skipped: no network namespace can be made");
        return false;
    }
    let outcome = unshare("ip link set lo up && exec \"$0\" --exact \"$1\" --nocapture");
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert!(outcome.status.success(), "{text}\n{}", String::from_utf8_lossy(&outcome.stderr));
    assert!(text.contains("1 passed"), "{text}");
    println!("{text}");
    false
}
