//! `peerline nat` as a process, against `turn_server` in this one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use turn_server::{Alternate, Config, Server};

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
