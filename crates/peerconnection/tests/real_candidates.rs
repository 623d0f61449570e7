//! What peers are told of this machine's addresses, and which of theirs are used.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::net::{IpAddr, Ipv4Addr};

use harness::{connect_over, endpoint, within};
use peerline::{
    AddressPolicy, Configuration, DataChannelInit, Endpoint, EndpointBuilder, Event, GatheringState,
    IceTransportPolicy,
};

const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 85, 1));
const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 5));

/// The candidates that an endpoint's connection tells, and what stands in its description.
async fn told(builder: EndpointBuilder, configuration: Configuration) -> (Vec<String>, String) {
    let endpoint = builder.bind().await.unwrap();
    let (peer, mut events) = endpoint.connect(configuration).unwrap();
    peer.create_data_channel("first", DataChannelInit::default()).unwrap();
    peer.set_local_description(peer.create_offer().unwrap()).unwrap();
    let mut candidates = Vec::new();
    let gather = async {
        while let Some(event) = events.next().await {
            match event {
                Event::IceCandidate(Some(found)) => candidates.push(found.candidate),
                Event::IceGatheringState(GatheringState::Complete) => return,
                _ => {}
            }
        }
    };
    within(5, "to gather", gather).await;
    (candidates, peer.local_description().unwrap().sdp.to_string())
}

#[tokio::test]
async fn real_an_external_address_is_told_in_place_of_ours_or_besides() {
    let builder = || Endpoint::builder().address(OWN).tcp_port(0);
    let (plain, _) = told(builder(), Configuration::default()).await;
    assert_eq!(plain.len(), 2);
    assert!(plain.iter().all(|line| line.contains(" 127.0.85.1 ")), "{plain:?}");

    let (replaced, text) = told(builder().external_address(None, OUTSIDE), Configuration::default()).await;
    assert_eq!(replaced.len(), 2);
    assert!(replaced.iter().all(|line| line.contains(" 203.0.113.5 ") && line.contains(" typ host")));
    assert!(!text.contains("127.0.85.1"), "{text}");

    let (added, _) = told(builder().additional_address(Some(OWN), OUTSIDE), Configuration::default()).await;
    assert_eq!(added.len(), 4);
    let reflexive: Vec<&String> = added.iter().filter(|line| line.contains(" typ srflx")).collect();
    assert!(reflexive.len() == 2 && reflexive.iter().all(|line| line.contains(" 203.0.113.5 ")), "{added:?}");

    let other = Some(IpAddr::from([127, 0, 85, 2]));
    let (unmoved, _) = told(builder().external_address(other, OUTSIDE), Configuration::default()).await;
    assert_eq!(unmoved.len(), 2, "it is another host's");
    assert!(unmoved.iter().all(|line| line.contains(" 127.0.85.1 ")));
}

/// THREATS I12: neither candidates nor descriptions have an address of ours.
#[tokio::test]
async fn real_without_host_candidates_no_address_of_ours_is_told() {
    let mut configuration = Configuration::default();
    configuration.ice_transport_policy = IceTransportPolicy::NoHost;
    let builder = Endpoint::builder().address(OWN).tcp_port(0).tcp_active(true);
    let (candidates, text) = told(builder, configuration).await;
    assert!(candidates.is_empty(), "{candidates:?}");
    assert!(!text.contains("127.0.85.1"), "{text}");
    assert!(text.contains("a=end-of-candidates"));
}

/// Who tells nothing of itself still answers: the other side's checks are not needed for that.
#[tokio::test]
async fn real_one_that_hides_meets_one_that_does_not() {
    let mut hidden = Configuration::default();
    hidden.ice_transport_policy = IceTransportPolicy::NoHost;
    let (here, there) = (endpoint().await, endpoint().await);
    let pair = connect_over(&here, &there, [hidden, Configuration::default()]).await;
    pair.ours.send("hello").await.unwrap();
    assert_eq!(within(5, "a message", pair.theirs.recv()).await.unwrap().as_bytes(), b"hello");
}

/// THREATS I12: a filter for the peer's candidates.
#[tokio::test]
async fn real_candidates_that_the_policy_leaves_out_are_not_used() {
    let mut configuration = Configuration::default();
    configuration.remote_candidates = Some(AddressPolicy::default());
    let (here, there) = (endpoint().await, endpoint().await);
    let (alice, _events) = here.connect(configuration.clone()).unwrap();
    let (bob, mut found) = there.connect(Configuration::default()).unwrap();
    alice.create_data_channel("first", DataChannelInit::default()).unwrap();
    harness::negotiate(&alice, &bob);
    let candidate = within(5, "a candidate", async {
        loop {
            if let Some(Event::IceCandidate(Some(found))) = found.next().await {
                return found;
            }
        }
    })
    .await;
    alice.add_ice_candidate(&candidate).unwrap();
    let report = alice.report().connectivity.unwrap();
    assert!(report.remote_candidates.is_empty() && report.stats.pairs.is_empty());
    assert_eq!(report.refused_candidates, 1);

    let policy = configuration.remote_candidates.as_mut().unwrap();
    policy.allow.push("127.0.0.0/8".parse().unwrap());
    let pair = connect_over(&here, &there, [configuration, Configuration::default()]).await;
    pair.ours.send("hello").await.unwrap();
    assert_eq!(within(5, "a message", pair.theirs.recv()).await.unwrap().as_bytes(), b"hello");
}
