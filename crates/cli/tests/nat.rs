//! `peerline nat` as a process, against `turn_server` in this one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is how a test fails"
)]

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use turn_server::{Alternate, Config, DtlsServer, Server, TlsServer};

async fn nat(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerline"));
    command.arg("nat").args(arguments).stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn real_the_program_says_what_it_found() {
    let mut config = Config::at("127.0.80.1:0".parse().unwrap());
    config.alternates.push(Alternate::at("127.0.80.2:0".parse().unwrap()));
    let server = Server::bind(config).await.unwrap();
    let at = server.local_addr().to_string();
    let output = nat(&["--server", &at]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    for part in ["No NAT: 127.0.0.1:", "Filtering: endpoint-independent", "Everybody reaches this machine"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let output = nat(&["--server", &format!("stun:{at}"), "--json", "--lifetime", "0"]).await;
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["nat"], &said["mapping"]), (&false.into(), &"endpoint-independent".into()));
    assert_eq!((&said["lifetime"]["at_least"], &said["failure"]), (&0.into(), &Value::Null));
}

#[tokio::test]
async fn real_a_wrong_server_is_told() {
    let output = nat(&["--server", "turn stun:"]).await;
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the server turn stun:"), "{said}");
    // One that is there, refuses, and has no second address.
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at: SocketAddr = server.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut memory = [0; 100];
        while let Ok((len, from)) = server.recv_from(&mut memory) {
            let mut answer = vec![1, 0x11, 0, 8];
            answer.extend_from_slice(&memory[4..20.min(len)]);
            answer.extend_from_slice(&[0, 9, 0, 4, 0, 0, 5, 0]);
            let _ = server.send_to(&answer, from);
        }
    });
    let output = nat(&["--server", &at.to_string()]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("refused with error 500"), "{said}");
}

/// Over TCP, TLS and DTLS a server tells an address, if it is who it should be.
#[tokio::test]
async fn real_a_server_is_asked_over_connections_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut openssl = Command::new("openssl");
    openssl.current_dir(folder.path()).args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=stun"]);
    openssl.args(["-newkey", "rsa:2048", "-keyout", "key.pem", "-out", "certificate.pem"]);
    openssl.args(["-addext", "subjectAltName=DNS:localhost", "-addext"]);
    openssl.arg("basicConstraints=critical,CA:FALSE").stderr(Stdio::null());
    if !openssl.status().is_ok_and(|status| status.success()) {
        println!("skipped: openssl is not installed (Debian: openssl)");
        return;
    }
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut config = Config::at(any);
    (config.tcp, config.tls) = (vec![any], vec![any]);
    config.certificate = Some(TlsServer::from_files(&certificate, &key).unwrap());
    if crypto::accelerated().is_some() {
        config.dtls = vec![any];
        config.dtls_certificate = Some(DtlsServer::from_files(&certificate, &key).unwrap());
    }
    let server = Server::bind(config).await.unwrap();
    let believed = certificate.to_str().unwrap();

    let tcp = server.tcp_addresses()[0];
    let output = nat(&["--server", &tcp.to_string(), "--transport", "tcp"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("Over TCP the server is reached, and sees 127.0.0.1:"), "{said}");

    let tls = format!("stuns:localhost:{}", server.tls_addresses()[0].port());
    let output = nat(&["--server", &tls, "--authorities", believed, "--json"]).await;
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["carrier"], &said["nat"]), (&"TLS".into(), &false.into()), "{said}");

    if let Some(dtls) = server.dtls_addresses().first() {
        let dtls = format!("stuns:localhost:{}", dtls.port());
        let options = ["--server", &dtls, "--transport", "udp", "--authorities", believed, "--json"];
        let output = nat(&options).await;
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&said["carrier"], &said["mapped"]), (&"DTLS".into(), &said["local"]), "{said}");
    } else {
        println!("skipped: DTLS with an RSA key, which this processor or build has not");
    }

    // This machine's authorities do not know it.
    let output = nat(&["--server", &tls]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("no connection to 127.0.0.1"), "{said}");
    // RFC 8489 §8.1.
    let output = nat(&["--server", "stuns:127.0.0.1"]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("has a name, and no address"), "{said}");
}

/// A firewall that keeps UDP out is told from a server that is not there.
#[tokio::test]
async fn real_udp_that_is_kept_out_is_told() {
    let mut config = Config::at("127.0.82.1:0".parse().unwrap());
    config.tcp = vec!["127.0.82.2:0".parse().unwrap()];
    let server = Server::bind(config).await.unwrap();
    let at = server.tcp_addresses()[0];
    // Nothing answers there over UDP.
    let _silent = UdpSocket::bind(at).unwrap();
    let output = nat(&["--server", &at.to_string()]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("but one over TCP"), "{said}");
}
