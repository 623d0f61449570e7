//! What is dropped leaves neither tasks nor sockets. One test, so that no other opens files meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use harness::{Pair, comes_true, connect, connect_over, endpoint, within};
use peerline::Configuration;
use tokio::runtime::Handle;

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn real_what_is_dropped_leaves_nothing() {
    let before = (tasks(), files());
    // An endpoint that never had a connection.
    drop(endpoint().await);
    assert!(comes_true(|| (tasks(), files()) == before).await, "{:?} {before:?}", (tasks(), files()));

    // A connection whose endpoints were dropped before it.
    let pair = connect().await;
    assert_eq!(tasks(), before.0 + 2, "a task for each endpoint");
    drop(pair);
    assert!(comes_true(|| (tasks(), files()) == before).await, "{:?} {before:?}", (tasks(), files()));

    // A hundred over the same socket, closed in every way, to the same far end or, those that stay, to one
    // of their own: two connections between the same two sockets cannot be told apart.
    let (here, there) = (endpoint().await, endpoint().await);
    let open = (tasks(), files());
    let mut kept = Vec::new();
    for number in 0..100 {
        let both = [Configuration::default(), Configuration::default()];
        let stays = number % 4 == 3;
        let far = if stays { endpoint().await } else { there.clone() };
        let pair = connect_over(&here, &far, both).await;
        pair.ours.send("hello").await.unwrap();
        assert!(within(5, "hello", pair.theirs.recv()).await.is_some(), "{number}");
        match number % 4 {
            0 => pair.alice.close(),
            1 => pair.bob.close(),
            2 => {}
            _ => kept.push(pair),
        }
    }
    // The far ends of those that stay are gone but for their connections.
    assert_eq!(tasks(), open.0 + kept.len(), "connections have no tasks of their own");
    assert!(files() > open.1);
    for Pair { ours, theirs, .. } in &kept {
        theirs.send("still there").await.unwrap();
        assert!(within(5, "an old one", ours.recv()).await.is_some());
    }
    drop((kept, here, there));
    assert!(comes_true(|| (tasks(), files()) == before).await, "{:?} {before:?}", (tasks(), files()));
}
