//! Every future of the public API, dropped after every number of polls.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use futures_core::Stream as _;
use futures_sink::Sink as _;
use harness::{Pair, comes_true, connect, endpoint, within};
use peerline::{Configuration, Endpoint, Message, PeerConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Handle;

/// Polls `future` so many times, with the worker running in between, and drops it. Says whether it was done before.
async fn polled<T>(polls: u32, future: impl Future<Output = T>) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

fn left() -> (usize, usize) {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
    (Handle::current().metrics().num_alive_tasks(), files)
}

async fn echo(pair: &Pair) {
    // What dropped futures have left unread comes first.
    pair.ours.send("the last one").await.unwrap();
    let last = async { while pair.theirs.recv().await.unwrap().as_bytes() != b"the last one" {} };
    within(10, "the last one", last).await;
}

/// THREATS figure 32.
#[tokio::test]
async fn real_a_future_dropped_at_any_poll_leaves_nothing_and_harms_nothing() {
    let before = left();
    for polls in 0..12 {
        polled(polls, Endpoint::builder().address([127, 0, 0, 1].into()).bind()).await;
        polled(polls, Endpoint::builder().stun("stun:127.0.0.1:9").address([127, 0, 0, 1].into()).bind())
            .await;
        polled(polls, PeerConnection::new(Configuration::default())).await;
    }
    assert!(comes_true(|| left() == before).await, "{:?} {before:?}", left());

    let mut pair = connect().await;
    let held = left();
    for polls in 0..12 {
        polled(polls, pair.ours.opened()).await;
        polled(polls, pair.ours.send(vec![1; 200_000])).await;
        polled(polls, pair.theirs.recv()).await;
        polled(polls, pair.from_alice.next()).await;
        polled(polls, pair.from_bob.next()).await;
        polled(polls, pair.alice.closed()).await;
        let mut ours = pair.ours.clone();
        polled(polls, poll_fn(|cx| pin!(&mut ours).poll_ready(cx))).await;
        polled(polls, poll_fn(|cx| pin!(&mut ours).poll_flush(cx))).await;
        let mut theirs = pair.theirs.clone();
        polled(polls, poll_fn(|cx| pin!(&mut theirs).poll_next(cx))).await;
        let mut bytes = pair.ours.clone().into_io();
        polled(polls, bytes.write_all(&[2; 70_000])).await;
        polled(polls, bytes.flush()).await;
        let mut bytes = pair.theirs.clone().into_io();
        polled(polls, bytes.read_u8()).await;
        drop(bytes);
        echo(&pair).await;
        assert_eq!(left(), held, "after {polls} polls");
    }
    // A connection whose signalling stops anywhere.
    for polls in 0..12 {
        let here = endpoint().await;
        let (peer, mut events) = here.connect(Configuration::default()).unwrap();
        let channel = peer.create_data_channel("never", Default::default()).unwrap();
        let offer = peer.create_offer().unwrap();
        peer.set_local_description(offer).unwrap();
        polled(polls, channel.send(Message::from("into the void"))).await;
        polled(polls, channel.recv()).await;
        polled(polls, events.next()).await;
        polled(polls, peer.closed()).await;
    }
    assert!(comes_true(|| left() == held).await, "{:?} {held:?}", left());
    drop(pair);
    assert!(comes_true(|| left() == before).await, "{:?} {before:?}", left());
}
