//! Sockets of multicast DNS on the loopback link, with the machines of `mdns` on them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

mod support;

use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use mdns::{Carrier, Event, Path, Transmit};
use net::{Transport, UdpSocket};
use support::{Station, receive, send};

const GROUP_V4: &str = "224.0.0.251";
const GROUP_V6: &str = "[ff02::fb]";
/// Set in the process that has a network of its own.
const APART: &str = "PEERLINE_NETWORK_APART";

fn pair(group: &str, interface: SocketAddr, port: u16) -> Option<(UdpSocket, UdpSocket)> {
    let group: SocketAddr = format!("{group}:{port}").parse().unwrap();
    let open = || UdpSocket::bind_multicast(group, interface);
    match (open(), open()) {
        (Ok(a), Ok(b)) => Some((a, b)),
        (a, b) => {
            eprintln!("skipped: no multicast on {interface}: {:?} {:?}", a.err(), b.err());
            None
        }
    }
}

/// A port that nobody has.
fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn all_hear_the_group(group: &str, interface: SocketAddr) {
    let port = free_port();
    let Some((a, b)) = pair(group, interface, port) else { return };
    let local = a.local_address();
    assert_eq!(local.port(), port);
    let remote = format!("{group}:{port}").parse().unwrap();
    let transmit = Transmit {
        path: Path { carrier: Carrier::Udp, local, remote },
        ecn: None,
        len: 5,
        segment_size: None,
    };
    send(&a, transmit, b"hello").await;
    for socket in [&a, &b] {
        let (from, bytes) = receive(socket, 2000).await.unwrap();
        assert_eq!((from, bytes.as_slice()), (local, &b"hello"[..]));
    }
    if cfg!(unix) {
        // What is sent to this machine alone is for others.
        let mut any_port = local;
        any_port.set_port(0);
        let stranger = std::net::UdpSocket::bind(any_port).unwrap();
        stranger.send_to(b"psst", local).unwrap();
        assert_eq!(receive(&b, 50).await, None);
    }
}

#[tokio::test]
async fn real_families_that_differ_are_refused() {
    for (group, interface) in [("224.0.0.251:5353", "[::1]:0"), ("[ff02::fb]:5353", "127.0.0.1:0")] {
        let error =
            UdpSocket::bind_multicast(group.parse().unwrap(), interface.parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

async fn a_name_is_resolved(group: &str, interface: SocketAddr, address: IpAddr) {
    let Some((a, b)) = pair(group, interface, mdns::PORT) else { return };
    let (mut here, mut there) = (Station::new(a, address), Station::new(b, address));
    let name = here.responder.announce(here.clock.now(), address).unwrap();
    let query = there.querier.resolve(there.clock.now(), name).unwrap();
    for _ in 0..1000 {
        here.turn().await;
        if let Some(event) = there.turn().await {
            assert_eq!(event, Event::Resolved(query, address), "{group}");
            return;
        }
    }
    panic!("nobody answers on {group}");
}

#[tokio::test]
async fn real_all_sockets_of_a_group_hear_what_is_sent_to_it_and_nothing_else() {
    all_hear_the_group(GROUP_V4, ([127, 0, 0, 1], 0).into()).await;
}

#[tokio::test]
async fn real_a_name_that_one_socket_announces_is_resolved_by_another() {
    a_name_is_resolved(GROUP_V4, ([127, 0, 0, 1], 0).into(), [127, 0, 0, 1].into()).await;
}

/// The loopback link knows no multicast of IPv6: this needs a link of its own, in a network of its own.
#[tokio::test]
async fn real_groups_of_ipv6_are_heard_in_a_network_apart() {
    if std::env::var_os(APART).is_none() {
        return run_apart("real_groups_of_ipv6_are_heard_in_a_network_apart");
    }
    let links = net::links().unwrap();
    let link = links.iter().find(|link| link.name == "left").unwrap();
    let (interface, prefix) = link.networks.iter().copied().find(|(address, _)| address.is_ipv6()).unwrap();
    let SocketAddr::V6(v6) = interface else { panic!("an address of IPv6") };
    assert!(v6.ip().is_unicast_link_local() && v6.scope_id() > 0, "{interface}");
    assert_eq!(prefix, 64);
    all_hear_the_group(GROUP_V6, interface).await;
    a_name_is_resolved(GROUP_V6, interface, "2001:db8::1".parse().unwrap()).await;
}

/// Runs one test of this program again in a network of its own, with a link whose ends are `left` and `right`. The system gives that
/// its address a moment after it is up.
fn run_apart(test: &str) {
    let setup = "ip link set lo up && ip link add left type veth peer name right \
        && echo 0 > /proc/sys/net/ipv6/conf/left/accept_dad && ip link set left up && ip link set right up \
        && for wait in $(seq 100); do ip -6 address show dev left | grep -q 'inet6 fe80' && break; sleep 0.05; done";
    let apart = || {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c"]).env(APART, "1");
        command
    };
    let ready = apart().arg(setup).output();
    if !ready.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no network of its own: {ready:?}");
        return;
    }
    let run = format!("{setup} && exec \"$0\" --exact {test} --nocapture");
    let output = apart().arg(run).arg(std::env::current_exe().unwrap()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert!(!said.contains("skipped:"), "{said}");
}
