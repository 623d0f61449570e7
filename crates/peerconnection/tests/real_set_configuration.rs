//! Servers of a connection that change while it lives: credentials that end are renewed, and other servers are used when it
//! gathers anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;
#[path = "harness/relay.rs"]
mod relay;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crypto::HashAlgorithm;
use harness::{Pair, comes_true, connect_over, endpoint, negotiate, within};
use peerline::{
    Certificate, Configuration, DataChannelInit, Error, Event, GatheringState, IceCandidate, IceServer,
    IceTransportPolicy,
};
use relay::{server, server_for, through};
use turn_server::Server;

const SECRET: &[u8] = b"shared with the web server";

/// Credentials of the REST API for access to TURN services, which end in so many seconds.
fn ending_in(seconds: u64, server: &Server, policy: IceTransportPolicy) -> Configuration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let name = format!("{}:alice", now + seconds);
    let code = crypto::rust_crypto().hmac(HashAlgorithm::Sha1, SECRET).sign(&[name.as_bytes()]);
    let url = format!("turn:{}?transport=udp", server.local_addr());
    let mut configuration = Configuration::default();
    let password = BASE64_STANDARD.encode(code.as_bytes());
    configuration.ice_servers = vec![IceServer::new(url).credentials(&name, &password)];
    configuration.ice_transport_policy = policy;
    configuration
}

/// Two that reach each other through the server alone, by credentials that end soon.
async fn met_for(seconds: u64, server: &Server) -> Pair {
    let both = [(); 2].map(|()| ending_in(seconds, server, IceTransportPolicy::Relay));
    connect_over(&endpoint().await, &endpoint().await, both).await
}

/// Requests that the server has refused since, for one more permission, which is asked for by a candidate of the peer's.
async fn refused_by(server: &Server, pair: &Pair) -> u64 {
    let before = server.stats().await.unwrap().turn.refused;
    let candidate = "candidate:9 1 udp 16777215 127.0.0.77 9 typ relay raddr 0.0.0.0 rport 9".to_owned();
    let other = IceCandidate { candidate, sdp_mid: Some("0".to_owned()), ..IceCandidate::default() };
    pair.alice.add_ice_candidate(&other).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.stats().await.unwrap().turn.refused - before
}

/// What is granted by credentials goes on when they are renewed in time, and every packet that is sent meanwhile comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_credentials_that_end_are_renewed_and_no_packet_is_lost() {
    let server = server_for(|config| config.users.add_secret(crypto::rust_crypto(), SECRET)).await;
    let pair = met_for(3, &server).await;
    let (ours, theirs) = (pair.ours.clone(), pair.theirs.clone());
    let talk = tokio::spawn(async move {
        for number in 0..250 {
            ours.send(vec![7; 500]).await.unwrap();
            assert_eq!(theirs.recv().await.unwrap().as_bytes(), [7; 500], "{number}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    for side in [&pair.alice, &pair.bob] {
        side.set_configuration(&ending_in(600, &server, IceTransportPolicy::Relay)).unwrap();
    }
    // What the first ones were for is over by now.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(refused_by(&server, &pair).await, 0);
    within(20, "to have said everything", talk).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let [mine, other] = [&pair.alice, &pair.bob].map(|side| side.stats().sctp);
    assert_eq!(
        (mine.packets_sent, other.packets_sent),
        (other.packets_received, mine.packets_received),
        "packets of either side"
    );
    assert_eq!(server.stats().await.unwrap().turn.allocated, 2, "none was made anew");
    pair.close().await;
}

/// Without that, nothing more is granted once they have ended: what the test above stands on.
#[tokio::test]
async fn real_credentials_that_have_ended_are_refused() {
    let server = server_for(|config| config.users.add_secret(crypto::rust_crypto(), SECRET)).await;
    let pair = met_for(2, &server).await;
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert!(refused_by(&server, &pair).await > 0);
    pair.close().await;
}

#[tokio::test]
async fn real_other_servers_are_used_when_candidates_are_gathered_next() {
    let (first, second) = (server().await, server().await);
    let (here, there) = (endpoint().await, endpoint().await);
    let with = |server: &Server| through(server.local_addr(), "wonderland", IceTransportPolicy::All);
    let mut pair = connect_over(&here, &there, [with(&first), Configuration::default()]).await;
    let complete = || pair.alice.report().gathering == GatheringState::Complete;
    assert!(comes_true(complete).await, "{}", pair.alice.report());
    pair.alice.set_configuration(&with(&second)).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(second.stats().await.unwrap().turn.allocations, 0, "it does not gather");

    while tokio::time::timeout(Duration::from_millis(20), pair.from_alice.next()).await.is_ok() {}
    pair.alice.restart_ice();
    negotiate(&pair.alice, &pair.bob);
    // The second server's candidate comes before the end of candidates.
    let mut relayed = 0;
    let told = async {
        loop {
            match pair.from_alice.next().await.expect("an event") {
                Event::IceCandidate(Some(found)) => {
                    relayed += usize::from(found.candidate.contains("typ relay"));
                    pair.bob.add_ice_candidate(&found).unwrap();
                }
                Event::IceCandidate(None) => break,
                _ => {}
            }
        }
    };
    within(10, "to gather", told).await;
    assert_eq!(relayed, 2, "{}", pair.alice.report());
    assert_eq!(second.stats().await.unwrap().turn.allocations, 1);
    pair.exchange_a_megabyte().await;
    pair.close().await;
    for server in [first, second] {
        assert_eq!(server.stats().await.unwrap().turn.allocations, 0, "all is given back");
    }
}

/// Where it had no servers, and nothing was gathered yet; and a stream.
#[tokio::test]
async fn real_servers_that_are_set_before_anything_is_gathered_are_used_at_once() {
    let server = server().await;
    let here = endpoint().await;
    let (alice, mut from_alice) = here.connect(Configuration::default()).unwrap();
    let (bob, _from_bob) = here.connect(Configuration::default()).unwrap();
    alice.create_data_channel("first", DataChannelInit::default()).unwrap();
    let url = format!("turn:{}?transport=tcp", server.tcp_addresses()[0]);
    let mut configuration = Configuration::default();
    configuration.ice_servers = vec![IceServer::new(url).credentials("alice", "wonderland")];
    alice.set_configuration(&configuration).unwrap();
    negotiate(&alice, &bob);
    let told = async {
        let mut relayed = 0;
        loop {
            match from_alice.next().await.expect("an event") {
                Event::IceCandidate(Some(found)) => {
                    relayed += usize::from(found.candidate.contains("typ relay"))
                }
                Event::IceCandidate(None) => break relayed,
                _ => {}
            }
        }
    };
    assert_eq!(within(10, "to gather", told).await, 1, "{}", alice.report());
}

#[tokio::test]
async fn real_what_cannot_be_changed_is_refused_by_type_and_nothing_is_changed() {
    let here = endpoint().await;
    let mut configuration = Configuration::default();
    configuration.certificate = Some(Certificate::generate().unwrap());
    let (alice, _events) = here.connect(configuration.clone()).unwrap();
    alice.set_configuration(&configuration).unwrap();
    alice.set_configuration(&Configuration::default()).unwrap();
    let mut other = configuration.clone();
    other.certificate = Some(Certificate::generate().unwrap());
    assert!(matches!(alice.set_configuration(&other), Err(Error::Modification { .. })));
    let mut other = configuration.clone();
    other.ice_transport_policy = IceTransportPolicy::Relay;
    assert!(matches!(alice.set_configuration(&other), Err(Error::Modification { .. })));
    let mut other = configuration.clone();
    other.ice_servers = vec![IceServer::new("http://a.example")];
    assert!(matches!(alice.set_configuration(&other), Err(Error::Url { .. })));
    other.ice_servers = vec![IceServer::new("turn:a.example")];
    assert!(matches!(alice.set_configuration(&other), Err(Error::Credentials { .. })));
    alice.close();
    assert!(matches!(alice.set_configuration(&configuration), Err(Error::ConnectionClosed)));
}
