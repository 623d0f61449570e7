//! Connections through TURN servers over TCP and TLS.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

#[path = "harness/certificate.rs"]
mod certificate;
mod harness;
#[path = "harness/relay.rs"]
mod relay;

use std::time::Duration;

use certificate::Certificate;
use harness::{comes_true, connect_over, endpoint, negotiate, within};
use peerline::{
    CandidateKind, Configuration, ConnectionState, DataChannelInit, GatheringState, IceServer,
    IceTransportPolicy, UnusedReason,
};
use relay::{SERVER, server_for};

/// Relays alone, by this server.
fn through(url: &str) -> Configuration {
    let mut configuration = Configuration::default();
    configuration.ice_servers = vec![IceServer::new(url).credentials("alice", "wonderland")];
    configuration.ice_transport_policy = IceTransportPolicy::Relay;
    configuration
}

#[tokio::test]
async fn real_servers_over_tcp_and_tls_carry_everything_and_get_their_allocations_back() {
    let certificate = Certificate::new("127.0.0.9");
    let server = server_for(|config| {
        if let Some(certificate) = &certificate {
            config.tls = vec![(SERVER, 0).into()];
            config.certificate = Some(certificate.server());
        }
    })
    .await;
    let mut urls = vec![format!("turn:{}?transport=tcp", server.tcp_addresses()[0])];
    urls.extend(server.tls_addresses().first().map(|address| format!("turns:{address}")));
    for url in urls {
        let (here, there) = (endpoint().await, endpoint().await);
        let mut both = [through(&url), through(&url)];
        if let Some(certificate) = &certificate {
            both.iter_mut().for_each(|one| one.tls = Some(certificate.client()));
        }
        let pair = connect_over(&here, &there, both).await;
        for side in [&pair.alice, &pair.bob] {
            assert_eq!(side.stats().local_kind, Some(CandidateKind::Relayed), "{url}");
        }
        pair.exchange_a_megabyte().await;
        let stats = server.stats().await.unwrap();
        assert_eq!((stats.turn.allocations, stats.connections), (2, 2), "{url}");
        assert!(pair.alice.report().to_string().contains(" over TCP from "), "{}", pair.alice.report());
        pair.close().await;
        let stats = server.stats().await.unwrap();
        assert_eq!(stats.turn.allocations, 0, "{url}");
        drop(pair);
        let mut left = stats.connections;
        for _ in 0..500 {
            left = server.stats().await.unwrap().connections;
            if left == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(left, 0, "{url}: the connections are closed");
    }
}

/// A program that takes its time finds the server's connection there.
#[tokio::test]
async fn real_an_offer_long_after_the_connection_to_the_server_has_relayed_addresses() {
    // A server does not wait for ever for the first message.
    let server = server_for(|config| config.first_message_timeout = Duration::from_millis(200)).await;
    let url = format!("turn:{}?transport=tcp", server.tcp_addresses()[0]);
    let (alice, _events) = endpoint().await.connect(through(&url)).unwrap();
    let (bob, _from_bob) = endpoint().await.connect(Configuration::default()).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    alice.create_data_channel("first", DataChannelInit::default()).unwrap();
    negotiate(&alice, &bob);
    let has_address =
        || alice.report().connectivity.is_some_and(|report| !report.local_candidates.is_empty());
    assert!(comes_true(has_address).await, "{}", alice.report());
    assert!(alice.report().unused_servers.is_empty(), "{}", alice.report());
    alice.close();
    within(5, "to close", alice.closed()).await;
}

/// Where the connection to the server breaks, its addresses are gone, and the report says why; when the server is
/// back there are others.
#[tokio::test]
async fn real_a_broken_connection_takes_its_addresses_with_it() {
    let server = server_for(|_| {}).await;
    let at = server.tcp_addresses()[0];
    let url = format!("turn:{at}?transport=tcp");
    let (here, there) = (endpoint().await, endpoint().await);
    let pair = connect_over(&here, &there, [through(&url), through(&url)]).await;
    drop(server);
    let told = || pair.alice.report().to_string().contains("no connection to it comes about");
    assert!(comes_true(told).await, "{}", pair.alice.report());
    assert!(pair.alice.report().connectivity.unwrap().local_candidates.is_empty());
    let _server = server_for(|config| config.tcp = vec![at]).await;
    let is_back = || !pair.alice.report().connectivity.unwrap().local_candidates.is_empty();
    assert!(comes_true(is_back).await, "{}", pair.alice.report());
    assert!(pair.alice.report().unused_servers.is_empty(), "{}", pair.alice.report());
    assert!(pair.ours.send("into the void").await.is_ok(), "ICE alone says when it is over");
    assert_ne!(pair.alice.connection_state(), ConnectionState::Closed);
    pair.alice.close();
    within(5, "to close", pair.alice.closed()).await;
}

/// Each attempt in vain makes the wait for the next one longer, and after some there is none. ICE that begins anew does not wait: it
/// may be in another network.
#[tokio::test]
async fn real_a_restart_connects_at_once_to_servers_that_could_not_be_reached() {
    let at =
        std::net::TcpListener::bind(std::net::SocketAddr::from((SERVER, 0))).unwrap().local_addr().unwrap();
    let (alice, _events) = endpoint().await.connect(through(&format!("turn:{at}?transport=tcp"))).unwrap();
    let (bob, _from_bob) = endpoint().await.connect(Configuration::default()).unwrap();
    alice.create_data_channel("first", DataChannelInit::default()).unwrap();
    negotiate(&alice, &bob);
    // It is tried after one second, after three, and after seven.
    tokio::time::sleep(Duration::from_millis(3400)).await;
    let server = server_for(|config| config.tcp = vec![at]).await;
    alice.restart_ice();
    negotiate(&alice, &bob);
    let is_there = || !alice.report().connectivity.unwrap().local_candidates.is_empty();
    for _ in 0..200 {
        if is_there() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(is_there(), "{}", alice.report());
    // Nobody connects to it a second time.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(server.stats().await.unwrap().connections, 1);
    alice.close();
    within(5, "to close", alice.closed()).await;
}

#[tokio::test]
async fn real_what_cannot_be_connected_to_is_told() {
    let Some(certificate) = Certificate::new("127.0.0.9") else { return };
    let server = server_for(|config| {
        config.tls = vec![(SERVER, 0).into()];
        config.certificate = Some(certificate.server());
    })
    .await;
    let nobody = std::net::TcpListener::bind("127.0.0.9:0").unwrap().local_addr().unwrap();
    for url in [
        format!("turn:{nobody}?transport=tcp"),
        // Not signed by an authority that this machine believes.
        format!("turns:{}", server.tls_addresses()[0]),
        // No TLS there.
        format!("turns:{}", server.tcp_addresses()[0]),
    ] {
        let (alice, _events) = endpoint().await.connect(through(&url)).unwrap();
        let (bob, _from_bob) = endpoint().await.connect(Configuration::default()).unwrap();
        alice.create_data_channel("first", DataChannelInit::default()).unwrap();
        negotiate(&alice, &bob);
        let done = || alice.report().gathering == GatheringState::Complete;
        assert!(comes_true(done).await, "{}", alice.report());
        let report = alice.report();
        let reasons: Vec<_> = report.unused_servers.iter().map(|unused| unused.reason).collect();
        assert_eq!(reasons, [UnusedReason::Connection], "{url}: {report}");
        assert!(report.to_string().contains("no connection to it comes about"), "{report}");
        alice.close();
    }
    assert_eq!(server.stats().await.unwrap().turn.allocations, 0);
}
