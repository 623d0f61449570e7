//! `.local` names on the loopback link: both ends hide their addresses, and find each other by multicast DNS.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use harness::{connect_over, within};
use peerline::{
    Configuration, DataChannelInit, Endpoint, Event, Mdns, NameFailure, NameState, PeerConnection,
};

async fn endpoint(policy: Mdns) -> Endpoint {
    Endpoint::builder().address([127, 0, 0, 1].into()).mdns(policy).bind().await.unwrap()
}

/// Whether datagrams to a group come back on loopback here.
fn has_multicast() -> bool {
    let works = || -> std::io::Result<bool> {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
        let group = "224.0.0.251".parse().unwrap();
        socket.join_multicast_v4(&group, &"127.0.0.1".parse().unwrap())?;
        socket.set_read_timeout(Some(std::time::Duration::from_secs(1)))?;
        let sender = std::net::UdpSocket::bind("127.0.0.1:0")?;
        sender.send_to(b"x", (group, socket.local_addr()?.port()))?;
        Ok(socket.recv(&mut [0; 8])? == 1)
    };
    let works = works();
    if !matches!(works, Ok(true)) {
        eprintln!("skipped: no multicast on loopback: {works:?}");
    }
    matches!(works, Ok(true))
}

#[tokio::test]
async fn real_two_endpoints_that_hide_their_addresses_meet() {
    if !has_multicast() {
        return;
    }
    let (here, there) = (endpoint(Mdns::Hide).await, endpoint(Mdns::Hide).await);
    let pair = connect_over(&here, &there, [Configuration::default(), Configuration::default()]).await;
    pair.ours.send("hello").await.unwrap();
    assert_eq!(within(5, "hello", pair.theirs.recv()).await.unwrap().as_bytes(), b"hello");
    for connection in [&pair.alice, &pair.bob] {
        assert_hidden(connection, &here);
        // A check of the peer's may have come before the answer about its name.
        let resolved = async {
            while !connection
                .report()
                .connectivity
                .unwrap()
                .names
                .iter()
                .all(|it| it.1 == NameState::Resolved)
            {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        within(10, "the name to be resolved", resolved).await;
        assert_hidden(connection, &here);
        assert_eq!(connection.report().connectivity.unwrap().names.len(), 1);
    }
}

/// Nothing that is told of the connection has an address in it.
fn assert_hidden(connection: &PeerConnection, endpoint: &Endpoint) {
    let (report, stats) = (connection.report(), connection.stats());
    let all = format!("{report} {stats:?} {endpoint:?} {}", connection.local_description().unwrap().sdp);
    assert!(!all.contains("127.0.0.1"), "{all}");
    assert!(all.contains(".local"), "{all}");
}

#[tokio::test]
async fn real_a_name_that_nobody_has_is_given_up_and_told() {
    if !has_multicast() {
        return;
    }
    let (here, there) = (endpoint(Mdns::Resolve).await, endpoint(Mdns::Off).await);
    let (alice, mut events) = here.connect(Configuration::default()).unwrap();
    let (bob, _from_bob) = there.connect(Configuration::default()).unwrap();
    let _channel = alice.create_data_channel("first", DataChannelInit::default()).unwrap();
    harness::negotiate(&alice, &bob);
    let Some(Event::IceCandidate(Some(mut found))) = within(5, "a candidate", async {
        loop {
            match events.next().await {
                Some(Event::IceCandidate(Some(found))) => break Some(Event::IceCandidate(Some(found))),
                Some(_) => {}
                None => break None,
            }
        }
    })
    .await
    else {
        panic!("a candidate")
    };
    let nobody = "00000000-0000-4000-8000-000000000000.local";
    found.candidate = format!("candidate:1 1 udp 2122260223 {nobody} 4000 typ host");
    found.username_fragment = None;
    alice.add_ice_candidate(&found).unwrap();
    // One that asks for none counts it.
    bob.add_ice_candidate(&found).unwrap();
    assert_eq!(bob.report().connectivity.unwrap().ignored_hostnames, 1);
    let given_up = async {
        loop {
            let names = alice.report().connectivity.unwrap().names;
            if names == [(nobody.to_owned(), NameState::Failed(NameFailure::NoAnswer))] {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    within(20, "to be given up", given_up).await;
}
