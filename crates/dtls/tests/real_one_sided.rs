//! OpenSSL and GnuTLS on 127.0.0.1 where the server alone has a certificate, with a chain, as TURN over DTLS has it.
//! Says why and returns where a program is missing.
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

use common::real::{Case, Certificate, Ours, Peer, Relay, Talk, cases, config, converse, free_port};
use dtls::{ClientCertificate, Config, Identity, SrtpProfile};

/// OpenSSL has another name for the one that GnuTLS 3.7 knows.
const OPENSSL: SrtpProfile = SrtpProfile::AeadAes128Gcm;
const GNUTLS: SrtpProfile = SrtpProfile::Aes128CmHmacSha1_80;

/// Our client knows nobody's fingerprint: it is given the chain, to be checked by whoever owns it.
fn client_of(case: &Case, profile: SrtpProfile) -> Arc<Config> {
    let mut ours = Config::clone(&config(case, profile));
    ours.identity = None;
    ours.server_name = Some("turn.example".into());
    ours.max_issuers = 4;
    Arc::new(ours)
}

/// Our server shows the chain, and asks nobody.
fn server_of(case: &Case, profile: SrtpProfile, certificate: &Certificate) -> Arc<Config> {
    let der = |name| certificate.der(&["x509", "-in", name, "-outform", "DER"]);
    // SEC 1 §C.4: the private key stands behind the version.
    let key = certificate.der(&["ec", "-in", "key.pem", "-outform", "DER", "-no_public"]);
    let at = key.windows(2).position(|bytes| bytes == [4, 32]).unwrap() + 2;
    let secret = key[at..at + 32].try_into().unwrap();
    let mut ours = Config::clone(&config(case, profile));
    let key = ours.provider.signing_key(crypto::SignatureAlgorithm::EcdsaP256Sha256, &secret).unwrap();
    let identity = Identity::new(der("leaf.pem"), key).unwrap().with_issuers(vec![der("middle.pem")]);
    ours.identity = Some(Arc::new(identity.unwrap()));
    ours.client_certificate = ClientCertificate::NotRequested;
    Arc::new(ours)
}

fn few_cases() -> impl Iterator<Item = Case> {
    cases().into_iter().take(6)
}

fn with_server(case: &Case, profile: SrtpProfile, certificate: &Certificate, spawn: impl Fn(u16) -> Peer) {
    let port = free_port();
    let mut peer = spawn(port);
    std::thread::sleep(Duration::from_millis(300));
    let relay = Relay::new(([127, 0, 0, 1], port).into(), case.loss, 7);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let talk = Talk { socket: &socket, remote: Some(relay.address), peer: &mut peer, profile };
    let issuer = certificate.der(&["x509", "-in", "middle.pem", "-outform", "DER"]);
    let mut ours = Ours::client(client_of(case, profile));
    ours.expect_issuers(vec![issuer]);
    converse(ours, talk, case);
}

fn with_client(case: &Case, profile: SrtpProfile, certificate: &Certificate, spawn: impl Fn(u16) -> Peer) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let relay = Relay::new(socket.local_addr().unwrap(), case.loss, 8);
    let mut peer = spawn(relay.address.port());
    let talk = Talk { socket: &socket, remote: None, peer: &mut peer, profile };
    converse(Ours::server(server_of(case, profile, certificate), case.cookies), talk, case);
}

#[test]
fn real_openssl_server_that_asks_nobody_connects() {
    let Some(certificate) = Certificate::with_chain("openssl-open-server", &[]) else { return };
    for case in few_cases() {
        with_server(&case, OPENSSL, &certificate, |port| {
            let mut command = Command::new("openssl");
            command.args(["s_server", "-dtls1_2", "-accept", &format!("127.0.0.1:{port}")]);
            command.args(["-cert", "leaf.pem", "-key", "key.pem", "-cert_chain", "middle.pem"]);
            if case.cookies && case.loss == 0 {
                command.arg("-listen");
            }
            openssl(&certificate, command, &case)
        });
    }
}

/// It gives up unless chain and name are right.
#[test]
fn real_openssl_client_believes_our_chain() {
    let Some(certificate) = Certificate::with_chain("openssl-open-client", &[]) else { return };
    for case in few_cases() {
        with_client(&case, OPENSSL, &certificate, |port| {
            let mut command = Command::new("openssl");
            command.args(["s_client", "-dtls1_2", "-connect", &format!("127.0.0.1:{port}")]);
            command.args(["-verify_return_error", "-CAfile", "root.pem", "-verify_hostname", "turn.example"]);
            command.args(["-servername", "turn.example"]);
            openssl(&certificate, command, &case)
        });
    }
}

fn openssl(certificate: &Certificate, mut command: Command, case: &Case) -> Peer {
    command.args(["-use_srtp", OPENSSL.name(), "-mtu", &case.mtu.max(256).to_string()]).args([
        "-keymatexport",
        "EXTRACTOR-dtls_srtp",
        "-keymatexportlen",
        "56",
    ]);
    Peer::spawn(command, &certificate.folder, false, true)
}

#[test]
fn real_gnutls_client_believes_our_chain() {
    let Some(certificate) = Certificate::with_chain("gnutls-open-client", &["gnutls-cli"]) else { return };
    // Without loss, which is for `real_gnutls.rs`.
    for case in few_cases().filter(|case| case.loss == 0) {
        with_client(&case, GNUTLS, &certificate, |port| {
            let mut command = Command::new("gnutls-cli");
            command.args(["--udp", "-p", &port.to_string(), "--x509cafile", "root.pem"]);
            command.args(["--verify-hostname", "turn.example", "--sni-hostname", "turn.example"]);
            command.args(["--keymatexport", "EXTRACTOR-dtls_srtp", "--keymatexportsize", "60"]);
            gnutls(&certificate, command, &case, false)
        });
    }
}

#[test]
fn real_gnutls_server_that_asks_nobody_connects() {
    let Some(certificate) = Certificate::with_chain("gnutls-open-server", &["gnutls-serv", "unshare", "ip"])
    else {
        return;
    };
    if common::real::in_a_network_of_its_own("real_gnutls_server_that_asks_nobody_connects") {
        for case in few_cases() {
            with_server(&case, GNUTLS, &certificate, |port| {
                let mut command = Command::new("gnutls-serv");
                command.args(["--udp", "-p", &port.to_string(), "--disable-client-cert", "--echo"]);
                command.args(["--x509certfile", "chain.pem", "--x509keyfile", "key.pem"]);
                if !case.cookies {
                    command.arg("--nocookie");
                }
                gnutls(&certificate, command, &case, true)
            });
        }
    }
}

fn gnutls(certificate: &Certificate, mut command: Command, case: &Case, is_server: bool) -> Peer {
    command.args(["--priority", "NORMAL:-VERS-ALL:+VERS-DTLS1.2", "--srtp-profiles", GNUTLS.name()]);
    command.args(["--mtu", &case.mtu.max(256).to_string()]);
    if !is_server {
        command.arg("127.0.0.1");
    }
    Peer::spawn(command, &certificate.folder, is_server, !is_server)
}
