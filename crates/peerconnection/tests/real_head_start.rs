//! Several URLs of one server: which of them are used, and when.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    dead_code,
    reason = "a panic is how a test fails"
)]

#[path = "../../net/tests/support/dnsmasq.rs"]
mod dnsmasq;
mod harness;
#[path = "harness/relay.rs"]
mod relay;

use std::net::SocketAddr;
use std::time::Duration;

use dnsmasq::Dnsmasq;
use harness::{comes_true, endpoint, negotiate, within};
use peerline::{
    Configuration, DataChannelInit, GatheringState, IceServer, IceTransportPolicy, PeerConnection,
    UnusedReason,
};
use relay::server_for;

/// Relays alone, by these URLs of one server.
fn through(urls: &[String]) -> Configuration {
    let mut server = IceServer::new(&urls[0]).credentials("alice", "wonderland");
    for url in &urls[1..] {
        server = server.url(url);
    }
    let mut configuration = Configuration::default();
    configuration.ice_servers = vec![server];
    configuration.ice_transport_policy = IceTransportPolicy::Relay;
    configuration
}

/// A connection that has gathered all that there is.
async fn gathered(configuration: Configuration) -> PeerConnection {
    let (alice, _events) = endpoint().await.connect(configuration).unwrap();
    let (bob, _from_bob) = endpoint().await.connect(Configuration::default()).unwrap();
    alice.create_data_channel("first", DataChannelInit::default()).unwrap();
    negotiate(&alice, &bob);
    let is_done = || alice.report().gathering == GatheringState::Complete;
    assert!(comes_true(is_done).await, "{}", alice.report());
    alice
}

fn unused(alice: &PeerConnection) -> Vec<(String, UnusedReason)> {
    alice.report().unused_servers.into_iter().map(|unused| (unused.uri, unused.reason)).collect()
}

/// Where the servers are that relay at the moment, over UDP or a connection.
fn relaying(alice: &PeerConnection) -> Vec<SocketAddr> {
    let relays = alice.report().connectivity.map(|report| report.relays).unwrap_or_default();
    let lent = relays.into_iter().filter(|relay| relay.relayed.iter().any(Option::is_some));
    lent.map(|relay| relay.server).collect()
}

async fn close(alice: PeerConnection) {
    alice.close();
    within(5, "to close", alice.closed()).await;
}

/// A socket at which nobody answers.
fn silent() -> std::net::UdpSocket {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap()
}

#[tokio::test]
async fn real_what_udp_reaches_needs_no_connection() {
    let server = server_for(|_| {}).await;
    let (udp, tcp) = (server.udp_addresses()[0], server.tcp_addresses()[0]);
    let urls = [format!("turn:{tcp}?transport=tcp"), format!("turn:{udp}")];
    let mut configuration = through(&urls);
    // No matter how slow this machine is.
    configuration.relay_head_start = Duration::from_secs(60);
    let alice = gathered(configuration).await;
    assert_eq!(relaying(&alice), [udp]);
    assert_eq!(unused(&alice), [(urls[0].clone(), UnusedReason::Slower)]);
    assert_eq!(server.stats().await.unwrap().turn.allocations, 1);
    close(alice).await;
}

#[tokio::test]
async fn real_where_udp_leads_nowhere_a_connection_relays_soon() {
    let server = server_for(|_| {}).await;
    let tcp = server.tcp_addresses()[0];
    let nowhere = silent();
    let urls = [format!("turn:{}", nowhere.local_addr().unwrap()), format!("turn:{tcp}?transport=tcp")];
    let alice = {
        let (alice, _events) = endpoint().await.connect(through(&urls)).unwrap();
        let (bob, _from_bob) = endpoint().await.connect(Configuration::default()).unwrap();
        alice.create_data_channel("first", DataChannelInit::default()).unwrap();
        negotiate(&alice, &bob);
        alice
    };
    assert!(comes_true(|| relaying(&alice) == [tcp]).await, "{}", alice.report());
    assert_eq!(unused(&alice), []);
    close(alice).await;
}

#[tokio::test]
async fn real_without_a_head_start_all_are_used() {
    let server = server_for(|_| {}).await;
    let (udp, tcp) = (server.udp_addresses()[0], server.tcp_addresses()[0]);
    let mut configuration = through(&[format!("turn:{udp}"), format!("turn:{tcp}?transport=tcp")]);
    configuration.relay_head_start = Duration::ZERO;
    let alice = gathered(configuration).await;
    assert_eq!(relaying(&alice).len(), 2, "{}", alice.report());
    assert_eq!(unused(&alice), []);
    close(alice).await;
}

#[tokio::test]
async fn real_what_was_slower_relays_when_the_faster_one_is_lost() {
    let first = server_for(|_| {}).await;
    let second = server_for(|_| {}).await;
    let urls = [&first, &second].map(|server| format!("turn:{}?transport=tcp", server.tcp_addresses()[0]));
    let mut configuration = through(&urls);
    configuration.relay_head_start = Duration::from_secs(60);
    let alice = gathered(configuration).await;
    assert_eq!(relaying(&alice), first.tcp_addresses());
    assert_eq!(unused(&alice), [(urls[1].clone(), UnusedReason::Slower)]);
    drop(first);
    assert!(comes_true(|| relaying(&alice) == second.tcp_addresses()).await, "{}", alice.report());
    let reason = |url: &str| unused(&alice).into_iter().find(|(uri, _)| uri == url).map(|(_, reason)| reason);
    assert_eq!((reason(&urls[0]), reason(&urls[1])), (Some(UnusedReason::Connection), None));
    close(alice).await;
    assert_eq!(second.stats().await.unwrap().turn.allocations, 0, "given back");
}

/// RFC 8489 §8: of two machines the preferred one says nothing, so that the other one is asked, and no third one.
#[tokio::test]
async fn real_the_next_machine_of_a_service_is_asked_when_one_is_silent() {
    let (server, spare) = (server_for(|_| {}).await, server_for(|_| {}).await);
    let nowhere = silent();
    let records: Vec<String> =
        [nowhere.local_addr().unwrap(), server.udp_addresses()[0], spare.udp_addresses()[0]]
            .iter()
            .enumerate()
            .flat_map(|(number, at)| {
                let name = format!("machine{number}.peerline.test");
                let service = format!("_turn._udp.peerline.test,{name},{},{}", at.port(), number + 1);
                [format!("--host-record={name},{}", at.ip()), format!("--srv-host={service}")]
            })
            .chain(["--host-record=up.peerline.test,127.0.0.1".to_owned()])
            .collect();
    let options: Vec<&str> = records.iter().map(String::as_str).collect();
    let Some(names) = Dnsmasq::start("127.0.1.27", &options) else { return };
    names.resolver().await;
    let mut configuration = through(&["turn:peerline.test".to_owned()]);
    configuration.name_servers = vec![names.address];
    let (alice, _events) = endpoint().await.connect(configuration).unwrap();
    let (bob, _from_bob) = endpoint().await.connect(Configuration::default()).unwrap();
    alice.create_data_channel("first", DataChannelInit::default()).unwrap();
    // The time of the first machine begins when it is asked.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    negotiate(&alice, &bob);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(relaying(&alice).is_empty(), "{}", alice.report());
    let at = server.udp_addresses()[0];
    assert!(comes_true(|| relaying(&alice) == [at]).await, "{}", alice.report());
    assert_eq!(unused(&alice), []);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(spare.stats().await.unwrap().turn.allocated, 0, "the second has answered");
    close(alice).await;
}

#[tokio::test]
async fn real_a_server_is_found_by_the_service_of_its_domain() {
    let server = server_for(|_| {}).await;
    let at = server.udp_addresses()[0];
    let options = [
        "--host-record=up.peerline.test,127.0.0.1".to_owned(),
        format!("--host-record=relay.peerline.test,{}", at.ip()),
        format!("--srv-host=_turn._udp.peerline.test,relay.peerline.test,{}", at.port()),
    ];
    let Some(names) = Dnsmasq::start("127.0.1.25", &options.each_ref().map(String::as_str)) else { return };
    names.resolver().await;
    let mut configuration = through(&["turn:peerline.test".to_owned()]);
    configuration.name_servers = vec![names.address];
    let alice = gathered(configuration).await;
    assert_eq!(relaying(&alice), [at], "{}", alice.report());
    close(alice).await;
}
