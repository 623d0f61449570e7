//! What we send, as somebody else's dissector sees it.
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

use std::time::Duration;

use harness::{Two, peer};
use testkit::Capture;

#[test]
fn real_tshark_finds_nothing_malformed_in_a_session() {
    let mut two = Two::new();
    for side in [0, 1] {
        let host = two.hosts[side];
        peer(&mut two.world, host).logs = true;
    }
    let ours = two.connect();
    let theirs = two.incoming(1);
    two.send(0, ours, vec![7; 200_000]);
    two.run(Duration::from_secs(8), |_| false);
    two.messages(1, theirs);
    let now = two.now();
    two.session(0).close(now);
    two.run(Duration::from_secs(2), |_| false);
    let mut all = Vec::new();
    for side in [0, 1] {
        let host = two.hosts[side];
        all.append(&mut peer(&mut two.world, host).log);
    }
    all.sort_by_key(|(at, ..)| *at);
    let mut capture = Capture::of_ip();
    for (at, path, datagram) in &all {
        capture.datagram(*at, path.local, path.remote, datagram);
    }
    let Some(seen) = capture.dissect("session") else {
        println!("skipped: tshark is not installed");
        return;
    };
    assert_eq!(seen.len(), all.len());
    let malformed: Vec<_> = seen.iter().filter(|(_, malformed)| !malformed.is_empty()).collect();
    assert!(malformed.is_empty(), "{malformed:?}");
    for (protocol, least) in [("stun", 8), ("dtls", 150)] {
        let count = seen.iter().filter(|(protocols, _)| protocols.contains(protocol)).count();
        assert!(count >= least, "{count} of {} are {protocol}", seen.len());
    }
}
