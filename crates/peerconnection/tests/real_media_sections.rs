//! Offers with audio and video, of which a `PeerConnection` makes nothing yet.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use peerline::{Configuration, Description, Endpoint};

/// What would be received and thrown away is not asked for: the peer sees that it is rejected (RFC 9429 §5.3.1).
#[tokio::test]
async fn real_sections_of_media_are_rejected_and_data_are_not() {
    let text = include_str!("../../sdp/tests/vectors/chromium-bundle-all-0-offer.sdp");
    let endpoint = Endpoint::builder().loopback(true).bind().await.unwrap();
    let (peer, _events) = endpoint.connect(Configuration::default()).unwrap();
    peer.set_remote_description(Description::offer(text).unwrap()).unwrap();
    let answer = peer.create_answer().unwrap().sdp.to_string();
    let sections = |of: &str| -> Vec<(String, bool)> {
        let lines = of.lines().filter_map(|line| line.strip_prefix("m="));
        let kind = |line: &str| line.split(' ').next().unwrap().to_owned();
        lines.map(|line| (kind(line), line.split(' ').nth(1) == Some("0"))).collect()
    };
    let (offered, answered) = (sections(text), sections(&answer));
    assert!(
        offered.iter().any(|(kind, _)| kind == "audio") && offered.iter().any(|(kind, _)| kind == "video")
    );
    assert_eq!(offered.len(), answered.len());
    for ((offered, _), (kind, is_rejected)) in offered.iter().zip(&answered) {
        assert_eq!((offered, *is_rejected), (kind, kind != "application"), "{answer}");
    }
}
