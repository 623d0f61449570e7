//! OpenSSL on 127.0.0.1 with certificates of RSA keys, its own or ours, in real time. Says why and returns where there is
//! no `openssl`, or no provider with RSA.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; a real peer lives in real time"
)]

mod common;

use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use common::real::{Case, Certificate, Ours, Peer, Talk, config, converse, free_port};
use dtls::{CipherSuite, Config, Identity, KeyAlgorithm, NamedGroup, SrtpProfile};

const PROFILE: SrtpProfile = SrtpProfile::AeadAes128Gcm;

fn certificate(name: &str, bits: u32) -> Option<Certificate> {
    if crypto::accelerated().is_none() {
        println!("skipped: this processor or build has no provider with RSA");
        return None;
    }
    Certificate::of_key(name, &[], &[&format!("rsa:{bits}")])
}

/// A conversation under this suite with a path that takes datagrams of this size.
fn case(suite: CipherSuite, mtu: usize) -> Case {
    Case { suite, group: NamedGroup::X25519, mtu, loss: 0, cookies: false }
}

/// Our side with the certificate and key that OpenSSL made.
fn with_rsa(case: &Case, certificate: &Certificate) -> Config {
    let mut ours = Config::clone(&config(case, PROFILE));
    let key = certificate.der(&["pkey", "-in", "key.pem", "-outform", "DER"]);
    let key = ours.provider.rsa_signing_key(&key).unwrap();
    let leaf = certificate.der(&["x509", "-in", "cert.pem", "-outform", "DER"]);
    let identity = Identity::new(leaf, key).unwrap();
    assert_eq!(identity.key_algorithm(), KeyAlgorithm::Rsa);
    ours.identity = Some(Arc::new(identity));
    ours
}

fn openssl(certificate: &Certificate, program: &[&str], case: &Case) -> Peer {
    let mut command = Command::new("openssl");
    command
        .args(program)
        .args(["-dtls1_2", "-cert", "cert.pem", "-key", "key.pem"])
        .args(["-use_srtp", PROFILE.name(), "-mtu", &case.mtu.to_string()])
        .args(["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "56"]);
    Peer::spawn(command, &certificate.folder, false, true)
}

/// Our client with `ours` and a server of OpenSSL's.
fn with_server(certificate: &Certificate, case: &Case, ours: Config) {
    let port = free_port();
    let to = format!("127.0.0.1:{port}");
    let mut peer = openssl(certificate, &["s_server", "-Verify", "1", "-accept", &to], case);
    std::thread::sleep(Duration::from_millis(300));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let remote = Some(([127, 0, 0, 1], port).into());
    let talk = Talk { socket: &socket, remote, peer: &mut peer, profile: PROFILE };
    converse(Ours::client(Arc::new(ours)), talk, case);
}

/// Our server with `ours` and a client of OpenSSL's.
fn with_client(certificate: &Certificate, case: &Case, ours: Config) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = socket.local_addr().unwrap().to_string();
    let mut peer = openssl(certificate, &["s_client", "-connect", &to], case);
    let talk = Talk { socket: &socket, remote: None, peer: &mut peer, profile: PROFILE };
    converse(Ours::server(Arc::new(ours), case.cookies), talk, case);
}

/// The servers of RFC 8489 §6.2.3 and of the older browsers, with keys up to 4,096 bits.
#[test]
fn real_openssl_server_with_an_rsa_key_connects() {
    for (bits, suite) in [
        (2048, CipherSuite::EcdheRsaAes128GcmSha256),
        (3072, CipherSuite::EcdheRsaAes256GcmSha384),
        (4096, CipherSuite::EcdheRsaChaCha20Poly1305Sha256),
    ] {
        let Some(certificate) = certificate(&format!("rsa-server-{bits}"), bits) else { return };
        let case = case(suite, 1200);
        with_server(&certificate, &case, Config::clone(&config(&case, PROFILE)));
    }
}

/// The suite speaks of the server's key alone.
#[test]
fn real_openssl_client_with_an_rsa_key_connects() {
    let Some(certificate) = certificate("rsa-client", 2048) else { return };
    let case = case(CipherSuite::EcdheEcdsaAes128GcmSha256, 600);
    with_client(&certificate, &case, Config::clone(&config(&case, PROFILE)));
}

#[test]
fn real_openssl_believes_our_rsa_key_in_both_roles() {
    let Some(certificate) = certificate("rsa-ours", 2048) else { return };
    let case = case(CipherSuite::EcdheRsaAes128GcmSha256, 1200);
    with_client(&certificate, &case, with_rsa(&case, &certificate));
    with_server(&certificate, &case, with_rsa(&case, &certificate));
}
