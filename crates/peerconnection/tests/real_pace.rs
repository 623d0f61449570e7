//! How soon a path is there, and how fast checks leave an endpoint with many connections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use harness::{endpoint, within};
use peerline::{Configuration, DataChannelInit, Description, Endpoint, Event, PeerConnection};

fn is_nominated(peer: &PeerConnection) -> bool {
    peer.report().connectivity.is_some_and(|report| report.stats.pairs.iter().any(|pair| pair.is_nominated))
}

/// From the moment at which both sides have both descriptions, candidates in them, until a pair is nominated.
async fn time_to_nomination(here: &Endpoint, there: &Endpoint) -> Duration {
    let (alice, mut from_alice) = here.connect(Configuration::default()).unwrap();
    let (bob, mut from_bob) = there.connect(Configuration::default()).unwrap();
    alice.create_data_channel("first", DataChannelInit::default()).unwrap();
    let complete = |event: Option<Event>| matches!(event, Some(Event::IceCandidate(None)));
    alice.set_local_description(alice.create_offer().unwrap()).unwrap();
    while !complete(from_alice.next().await) {}
    bob.set_remote_description(alice.local_description().unwrap()).unwrap();
    bob.set_local_description(bob.create_answer().unwrap()).unwrap();
    while !complete(from_bob.next().await) {}
    alice.set_remote_description(bob.local_description().unwrap()).unwrap();
    let start = Instant::now();
    let both = async {
        while !(is_nominated(&alice) && is_nominated(&bob)) {
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    };
    within(5, "to nominate", both).await;
    start.elapsed()
}

#[tokio::test]
async fn real_a_pair_is_nominated_within_60_ms_of_both_descriptions() {
    let (here, there) = (endpoint().await, endpoint().await);
    let mut times = Vec::new();
    for _ in 0..15 {
        times.push(time_to_nomination(&here, &there).await);
    }
    times.sort();
    println!("times to nomination: {times:?}");
    // The machine may be busy with something else once or twice.
    assert!(times[times.len() / 2] < Duration::from_millis(60), "{times:?}");
}

/// RFC 8445 §14.2 and THREATS I10: all connections of an endpoint together begin a check every five milliseconds.
#[tokio::test]
async fn real_the_checks_of_many_connections_leave_five_milliseconds_apart() {
    const CONNECTIONS: usize = 60;
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = silent.local_addr().unwrap();
    let candidate = format!("a=candidate:1 1 udp 2130706431 {} {} typ host\r\n", at.ip(), at.port());
    // Nobody is there but the candidate above: whoever answers the offers has no address.
    let (here, there) = (endpoint().await, endpoint().await);
    let without_candidates = |sdp: &str| -> String {
        sdp.split_inclusive('\n').filter(|line| !line.starts_with("a=candidate:")).collect()
    };
    let mut kept = Vec::new();
    for _ in 0..CONNECTIONS {
        let (alice, from_alice) = here.connect(Configuration::default()).unwrap();
        let (bob, from_bob) = there.connect(Configuration::default()).unwrap();
        alice.create_data_channel("first", DataChannelInit::default()).unwrap();
        let offer = alice.create_offer().unwrap();
        alice.set_local_description(offer.clone()).unwrap();
        let offer = without_candidates(&offer.sdp.to_string());
        bob.set_remote_description(Description::offer(&offer).unwrap()).unwrap();
        let answer = bob.create_answer().unwrap().sdp.to_string();
        let answer = Description::answer(&(without_candidates(&answer) + &candidate)).unwrap();
        bob.close();
        kept.push((alice, answer, from_alice, from_bob));
    }
    let start = Instant::now();
    for (alice, answer, ..) in &kept {
        alice.set_remote_description(answer.clone()).unwrap();
    }
    let (mut begun, mut buffer) = (BTreeMap::new(), [0; 1500]);
    let all = async {
        while begun.len() < CONNECTIONS {
            silent.recv(&mut buffer).await.unwrap();
            // RFC 8489 §5: a Binding request, and its transaction.
            assert_eq!(buffer[..2], [0, 1]);
            begun.entry(buffer[8..20].to_vec()).or_insert_with(|| start.elapsed());
        }
    };
    within(20, "the first check of each connection", all).await;
    let last = *begun.values().max().unwrap();
    println!("{CONNECTIONS} checks within {last:?}");
    // However late the task wakes, the last one cannot be earlier than all pauses together; the first began a moment
    // before the clock.
    let pauses = Duration::from_millis(5) * u32::try_from(CONNECTIONS - 1).unwrap();
    assert!(last >= pauses - Duration::from_millis(5), "{begun:?}");
}
