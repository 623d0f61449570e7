//! Connections that share sockets have their turns, whatever others and other sockets do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;
#[path = "harness/wire.rs"]
mod wire;

use std::sync::Arc;

use harness::{connect_over, endpoint, within};
use peerline::{Configuration, Endpoint};
use wire::Wire;

/// A radio that is out of reach, or an interface that is being reset: its socket has no room for as long as it lasts.
#[tokio::test]
async fn real_a_socket_that_takes_nothing_keeps_no_other_one_waiting() {
    let (stuck, sound) = (Arc::new(Wire::new()), Arc::new(Wire::new()));
    let here = Endpoint::builder().transport(stuck.clone()).transport(sound).bind().await.unwrap();
    let (there, elsewhere, third) = (endpoint().await, endpoint().await, endpoint().await);
    let both = || [Configuration::default(), Configuration::default()];
    let before = connect_over(&here, &there, both()).await;
    stuck.be_stuck(true);
    let pair = connect_over(&here, &elsewhere, both()).await;
    pair.exchange_a_megabyte().await;
    stuck.be_stuck(false);
    // Who has used it has lost nothing.
    before.exchange_a_megabyte().await;
    let after = connect_over(&here, &third, both()).await;
    after.exchange_a_megabyte().await;
    after.close().await;
}

/// A socket that is always full has room for a little at a time: all have their share of that.
#[tokio::test]
async fn real_who_fills_a_socket_leaves_room_for_others() {
    let wire = Arc::new(Wire::single());
    let here = Endpoint::builder().transport(wire.clone()).bind().await.unwrap();
    let (there, elsewhere) = (endpoint().await, endpoint().await);
    let both = || [Configuration::default(), Configuration::default()];
    let greedy = connect_over(&here, &there, both()).await;
    wire.be_narrow(2);
    let (from, to) = (greedy.ours.clone(), greedy.theirs.clone());
    let sending = tokio::spawn(async move { while from.send(vec![7; 60_000]).await.is_ok() {} });
    let reading = tokio::spawn(async move { while to.recv().await.is_some() {} });
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let pair = connect_over(&here, &elsewhere, both()).await;
    for _ in 0..5 {
        pair.ours.send("is there room?").await.unwrap();
        assert!(within(5, "a message", pair.theirs.recv()).await.is_some());
    }
    sending.abort();
    reading.abort();
}
