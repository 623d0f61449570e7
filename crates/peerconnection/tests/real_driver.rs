//! What the driver owes to sessions and to those who wait: over real sockets.
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
#[path = "harness/wire.rs"]
mod wire;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_sink::Sink as _;
use harness::{Pair, connect, connect_over, endpoint, negotiate, pattern, within};
use net::{Train, Transport};
use peerline::{Configuration, DataChannelInit, Endpoint, Event, SendError};
use proto::Transmit;
use wire::Wire;

async fn flushed(channel: &mut peerline::DataChannel) {
    std::future::poll_fn(|cx| Pin::new(&mut *channel).poll_flush(cx)).await.unwrap();
}

/// Two connections of which the first sends through this, after a mebibyte has opened its window.
async fn warm(wire: &Arc<Wire>) -> Pair {
    let here = Endpoint::builder().transport(wire.clone()).bind().await.unwrap();
    let both = [Configuration::default(), Configuration::default()];
    let mut pair = connect_over(&here, &endpoint().await, both).await;
    let theirs = pair.theirs.clone();
    let reading = tokio::spawn(async move {
        for _ in 0..8 {
            theirs.recv().await.unwrap();
        }
    });
    for _ in 0..8 {
        pair.ours.send(pattern(128 << 10)).await.unwrap();
    }
    within(10, "a mebibyte", reading).await.unwrap();
    flushed(&mut pair.ours).await;
    pair
}

/// More batches than a session has a turn for go out all the same, though nothing else happens: no acknowledgement
/// comes, and the probe for one comes after 5 ms at the earliest. A busy machine may need more than one attempt.
#[tokio::test]
async fn real_a_session_with_more_to_send_than_a_turn_holds_is_looked_at_again() {
    let mut seen = Vec::new();
    for _ in 0..20 {
        let wire = Arc::new(Wire::single());
        let pair = warm(&wire).await;
        wire.be_deaf(true);
        pair.ours.send(pattern(100_000)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        let sent = wire.sent();
        let took = sent.get(59).map(|last| *last - sent[0]);
        if took.is_some_and(|took| took < Duration::from_millis(4)) {
            return;
        }
        seen.push((sent.len(), took));
    }
    panic!("a burst has 64 packets, of which 60 left in {seen:?}");
}

#[tokio::test]
async fn real_a_flush_waits_for_what_the_peer_has_not_acknowledged() {
    let wire = Arc::new(Wire::new());
    let mut pair = warm(&wire).await;
    wire.be_deaf(true);
    pair.ours.send("on its way").await.unwrap();
    assert!(within(5, "to arrive", pair.theirs.recv()).await.is_some());
    assert_eq!(pair.ours.buffered_amount(), 0, "it was sent");
    let early = tokio::time::timeout(Duration::from_millis(100), flushed(&mut pair.ours)).await;
    assert!(early.is_err(), "nobody has told that it arrived");
    wire.be_deaf(false);
    within(5, "an acknowledgement", flushed(&mut pair.ours)).await;
    pair.alice.close();
    within(5, "the end", pair.alice.closed()).await;
    let late = std::future::poll_fn(|cx| Pin::new(&mut pair.ours).poll_flush(cx)).await;
    assert_eq!(late, Err(SendError::Closed), "what was on its way then may be lost");
}

/// A socket on which something comes whenever it is asked.
#[derive(Debug)]
struct Flooded(SocketAddr);

impl Transport for Flooded {
    fn local_address(&self) -> SocketAddr {
        self.0
    }

    fn max_segments(&self) -> usize {
        1
    }

    fn poll_send(&self, _: &mut Context<'_>, _: &Transmit, _: &[u8]) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Train>> {
        buffer[0] = 0xff;
        let remote = ([127, 0, 0, 9], 9).into();
        Poll::Ready(Ok(Train { remote, len: 1, stride: 1, ecn: None }))
    }
}

#[tokio::test]
async fn real_a_flooded_socket_does_not_keep_the_others_waiting() {
    let flooded = Arc::new(Flooded(([127, 0, 0, 8], 1).into()));
    let here = Endpoint::builder().transport(flooded).transport(Arc::new(Wire::new())).bind().await.unwrap();
    let both = [Configuration::default(), Configuration::default()];
    let pair = connect_over(&here, &endpoint().await, both).await;
    pair.ours.send("through").await.unwrap();
    assert_eq!(within(5, "a message", pair.theirs.recv()).await, Some("through".into()));
}

#[tokio::test]
async fn real_what_is_sent_before_signalling_waits_and_arrives() {
    let (here, there) = (endpoint().await, endpoint().await);
    let (alice, mut from_alice) = here.connect(Configuration::default()).unwrap();
    let (bob, mut from_bob) = there.connect(Configuration::default()).unwrap();
    let ours = alice.create_data_channel("early", DataChannelInit::default()).unwrap();
    assert_eq!(ours.try_send("at once"), Err(SendError::NotOpen));
    let sending = tokio::spawn({
        let ours = ours.clone();
        async move { ours.send("early").await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!sending.is_finished());
    negotiate(&alice, &bob);
    let arrives = async {
        loop {
            tokio::select! {
                Some(event) = from_alice.next() => if let Event::IceCandidate(Some(found)) = event {
                    bob.add_ice_candidate(&found).unwrap();
                },
                Some(event) = from_bob.next() => match event {
                    Event::IceCandidate(Some(found)) => alice.add_ice_candidate(&found).unwrap(),
                    Event::DataChannel(theirs) => break theirs.recv().await,
                    _ => {}
                },
            }
        }
    };
    assert_eq!(within(10, "the message", arrives).await, Some("early".into()));
    assert_eq!(sending.await.unwrap(), Ok(()));
    // Or learns that it never will be.
    let (carol, _events) = here.connect(Configuration::default()).unwrap();
    let never = carol.create_data_channel("never", DataChannelInit::default()).unwrap();
    let sending = tokio::spawn(async move { never.send("nowhere").await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    carol.close();
    assert_eq!(within(5, "the end", sending).await.unwrap(), Err(SendError::Closed));
}

/// The peer opens and closes channels of which the application takes no notice.
#[test]
fn real_channels_that_come_and_go_unread_leave_nothing() {
    let rounds = testkit::scaled_at_least(10_000, 200);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut pair = runtime.block_on(connect());
    let mut round = async |rounds: u64| {
        for _ in 0..rounds {
            let channel = pair.alice.create_data_channel("passing", DataChannelInit::default()).unwrap();
            channel.opened().await.unwrap();
            while !matches!(pair.from_bob.next().await, Some(Event::DataChannel(_))) {}
            channel.close();
            assert_eq!(channel.recv().await, None);
        }
    };
    runtime.block_on(async { within(10, "to warm up", round(20)).await });
    let memory = allocation_counter::measure(|| {
        runtime.block_on(async { within(600, "to come and go", round(rounds)).await });
    });
    assert!(memory.bytes_current <= 16 << 10, "{rounds} channels left {} bytes", memory.bytes_current);
    runtime.block_on(async move { drop(pair) });
}
