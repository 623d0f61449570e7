//! Connections through TURN servers over DTLS.
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

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use certificate::Certificate;
use harness::{comes_true, connect_over, endpoint, negotiate, within};
use peerline::{
    CandidateKind, Configuration, DataChannelInit, GatheringState, IceServer, IceTransportPolicy,
    UnusedReason,
};
use relay::{SERVER, server_for};
use turn_server::Server;

/// One that is heard over DTLS alone.
async fn server(certificate: &Certificate, at: SocketAddr) -> Server {
    server_for(|config| {
        config.dtls = vec![at];
        config.dtls_certificate = Some(certificate.dtls());
        (config.udp, config.tcp) = (Vec::new(), Vec::new());
    })
    .await
}

/// Relays alone, by this server.
fn through(at: SocketAddr, certificate: &Certificate) -> Configuration {
    let mut configuration = Configuration::default();
    let server = IceServer::new(format!("turns:{at}?transport=udp"));
    configuration.ice_servers = vec![server.credentials("alice", "wonderland")];
    configuration.ice_transport_policy = IceTransportPolicy::Relay;
    configuration.tls = Some(certificate.client());
    configuration
}

#[tokio::test]
async fn real_servers_over_dtls_carry_everything_and_get_their_allocations_back() {
    let Some(certificate) = Certificate::new("127.0.0.9") else { return };
    let server = server(&certificate, (SERVER, 0).into()).await;
    let at = server.dtls_addresses()[0];
    let (here, there) = (endpoint().await, endpoint().await);
    let both = [through(at, &certificate), through(at, &certificate)];
    let pair = connect_over(&here, &there, both).await;
    for side in [&pair.alice, &pair.bob] {
        assert_eq!(side.stats().local_kind, Some(CandidateKind::Relayed));
    }
    pair.exchange_a_megabyte().await;
    let stats = server.stats().await.unwrap();
    assert_eq!((stats.turn.allocations, stats.dtls_associations, stats.dtls_handshakes), (2, 2, 2));
    pair.close().await;
    assert_eq!(server.stats().await.unwrap().turn.allocations, 0, "they are given back before the end");
    drop(pair);
    let end = Instant::now() + Duration::from_secs(5);
    while server.stats().await.unwrap().dtls_associations > 0 {
        assert!(Instant::now() < end, "the server is told of the end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn real_a_server_over_dtls_that_is_another_is_not_used() {
    let (Some(certificate), Some(other)) = (Certificate::new("127.0.0.9"), Certificate::new("127.0.0.9"))
    else {
        return;
    };
    let Some(elsewhere) = Certificate::new("127.0.0.10") else { return };
    let server = server(&certificate, (SERVER, 0).into()).await;
    let its = server.dtls_addresses()[0];
    let misplaced = self::server(&elsewhere, (SERVER, 0).into()).await;
    let nobody = std::net::UdpSocket::bind("127.0.0.9:0").unwrap().local_addr().unwrap();
    let mut of_this_machine = through(its, &certificate);
    of_this_machine.tls = None;
    for configuration in [
        // Not signed by who is believed.
        through(its, &other),
        // Of another address.
        through(misplaced.dtls_addresses()[0], &elsewhere),
        // By no authority of this machine.
        of_this_machine,
        // Nobody is there.
        through(nobody, &certificate),
    ] {
        let (alice, _events) = endpoint().await.connect(configuration).unwrap();
        let (bob, _from_bob) = endpoint().await.connect(Configuration::default()).unwrap();
        alice.create_data_channel("first", DataChannelInit::default()).unwrap();
        negotiate(&alice, &bob);
        let done = || alice.report().gathering == GatheringState::Complete;
        let gathered = async {
            while !done() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        within(15, "to give up", gathered).await;
        let report = alice.report();
        let reasons: Vec<_> = report.unused_servers.iter().map(|unused| unused.reason).collect();
        assert_eq!(reasons, [UnusedReason::Connection], "{report}");
        assert!(report.connectivity.as_ref().unwrap().local_candidates.is_empty(), "{report}");
        alice.close();
    }
    for server in [server, misplaced] {
        let stats = server.stats().await.unwrap();
        assert_eq!((stats.turn.allocations, stats.turn.refused), (0, 0), "nobody asked for anything");
    }
}

/// Where the server ends, its addresses are gone, and the report says why; when it is back there are others.
#[tokio::test]
async fn real_a_server_over_dtls_that_ends_takes_its_addresses_with_it() {
    let Some(certificate) = Certificate::new("127.0.0.9") else { return };
    let first = server(&certificate, (SERVER, 0).into()).await;
    let at = first.dtls_addresses()[0];
    let (here, there) = (endpoint().await, endpoint().await);
    let both = [through(at, &certificate), through(at, &certificate)];
    let pair = connect_over(&here, &there, both).await;
    first.shutdown(Duration::ZERO).await.unwrap();
    let told = || pair.alice.report().to_string().contains("no connection to it comes about");
    assert!(comes_true(told).await, "{}", pair.alice.report());
    assert!(pair.alice.report().connectivity.unwrap().local_candidates.is_empty());
    let _server = server(&certificate, at).await;
    let is_back = async {
        while pair.alice.report().connectivity.unwrap().local_candidates.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(15, "to be back", is_back).await;
    assert!(pair.alice.report().unused_servers.is_empty(), "{}", pair.alice.report());
    pair.alice.close();
    within(5, "to close", pair.alice.closed()).await;
}
