//! Names and services, by dnsmasq, a server of names of somebody else.
#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "a panic is how a test fails")]

#[path = "support/dnsmasq.rs"]
mod dnsmasq;

use std::io;
use std::net::{SocketAddr, UdpSocket};

use dnsmasq::Dnsmasq;
use net::Resolver;

fn addresses(text: &[&str]) -> Vec<SocketAddr> {
    text.iter().map(|address| address.parse().unwrap()).collect()
}

fn kind(result: io::Result<Vec<SocketAddr>>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

#[tokio::test]
async fn real_machines_of_a_service_come_in_the_order_of_their_priority() {
    let options = [
        "--host-record=up.peerline.test,127.0.0.1",
        "--host-record=peerline.test,127.0.0.7,::7",
        "--host-record=a.peerline.test,127.0.0.2,::2",
        "--host-record=b.peerline.test,127.0.0.3",
        "--srv-host=_turn._udp.peerline.test,b.peerline.test,3500,20",
        "--srv-host=_turn._udp.peerline.test,a.peerline.test,3400,10",
        "--srv-host=_turn._tcp.peerline.test,nowhere.peerline.test,3400,10",
        // No machine: decidedly not available.
        "--srv-host=_turns._tcp.peerline.test",
    ];
    let Some(server) = Dnsmasq::start("127.0.1.21", &options) else { return };
    let resolver = server.resolver().await;

    let machines = resolver.service("_turn._udp", "peerline.test", 3478).await.unwrap();
    assert_eq!(machines, addresses(&["[::2]:3400", "127.0.0.2:3400", "127.0.0.3:3500"]));
    // DNS knows nothing of this service: the name's own addresses, with the port of the protocol.
    let mut plain = resolver.service("_stun._udp", "peerline.test", 3478).await.unwrap();
    plain.sort();
    assert_eq!(plain, addresses(&["127.0.0.7:3478", "[::7]:3478"]));
    assert_eq!(resolver.addresses("b.peerline.test", 9).await.unwrap(), addresses(&["127.0.0.3:9"]));
    for refused in [
        resolver.service("_turns._tcp", "peerline.test", 5349).await,
        resolver.service("_turn._tcp", "peerline.test", 3478).await,
        resolver.service("_turn._udp", "nowhere.peerline.test", 3478).await,
        resolver.addresses("nowhere.peerline.test", 3478).await,
    ] {
        assert_eq!(kind(refused), io::ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn real_another_server_is_asked_when_the_first_is_silent_or_refuses() {
    let options = [
        "--host-record=up.peerline.test,127.0.0.1",
        "--srv-host=_stun._udp.peerline.test,up.peerline.test,7",
    ];
    let Some(server) = Dnsmasq::start("127.0.1.22", &options) else { return };
    server.resolver().await;
    let silent = UdpSocket::bind("127.0.1.23:0").unwrap();
    let gone = UdpSocket::bind("127.0.1.24:0").unwrap().local_addr().unwrap();
    let resolver = Resolver::asking(&[gone, silent.local_addr().unwrap(), server.address]);
    assert_eq!(resolver.addresses("up.peerline.test", 9).await.unwrap(), addresses(&["127.0.0.1:9"]));
    let nobody = Resolver::asking(&[gone]);
    assert!(nobody.addresses("up.peerline.test", 9).await.is_err());
    assert!(Resolver::asking(&[]).service("_stun._udp", "peerline.test", 9).await.is_err());
}

/// Those without a domain, and those that never have one (RFC 6761, RFC 6762): their services lead elsewhere here, so that it
/// shows if somebody asks.
#[tokio::test]
async fn real_names_that_have_no_services_are_not_asked_for_them() {
    let mut options = vec!["--host-record=up.peerline.test,127.0.0.1".to_owned()];
    let names = ["router", "printer.local", "a.localhost", "a.invalid"];
    for name in names {
        options.push(format!("--host-record={name},127.0.0.4"));
        options.push(format!("--srv-host=_stun._udp.{name},up.peerline.test,7"));
    }
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let Some(server) = Dnsmasq::start("127.0.1.26", &options) else { return };
    let resolver = server.resolver().await;
    for name in names {
        let found = resolver.service("_stun._udp", name, 3478).await.unwrap();
        assert_eq!(found, addresses(&["127.0.0.4:3478"]), "{name}");
    }
}

#[tokio::test]
async fn real_the_system_knows_this_machine_and_no_name_is_too_long() {
    let found = Resolver::default().service("_stun._udp", "localhost", 3478).await.unwrap();
    assert!(!found.is_empty());
    assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 3478));
    let wrong = Resolver::asking(&[]).addresses(&"a".repeat(64), 1).await;
    assert_eq!(kind(wrong), io::ErrorKind::InvalidInput);
}
