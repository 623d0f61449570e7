//! Every error that a socket has, at every send.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;
#[path = "harness/wire.rs"]
mod wire;

use std::io::ErrorKind;
use std::sync::Arc;

use harness::{connect_over, endpoint, told_closed, within};
use peerline::{Configuration, Endpoint};
use wire::Wire;

/// EAGAIN, ENOBUFS, EPERM, EMSGSIZE, ENETUNREACH, ECONNREFUSED; the second and the fourth have no stable name.
const ERRORS: [ErrorKind; 6] = [
    ErrorKind::WouldBlock,
    ErrorKind::OutOfMemory,
    ErrorKind::PermissionDenied,
    ErrorKind::InvalidInput,
    ErrorKind::NetworkUnreachable,
    ErrorKind::ConnectionRefused,
];

/// A connection whose send `at` fails: it connects all the same, carries a message each way, and closes.
async fn connection(at: u64, error: ErrorKind) {
    let wire = Arc::new(Wire::failing(at, error));
    let here = Endpoint::builder().transport(wire.clone()).bind().await.unwrap();
    let there = endpoint().await;
    let both = [Configuration::default(), Configuration::default()];
    let mut pair = connect_over(&here, &there, both).await;
    // Each round has two sends at least, so that the one that fails is among them.
    for number in 0..3 + at / 2 {
        let number = number.to_be_bytes()[7];
        pair.ours.send(vec![number; 5000]).await.unwrap();
        let heard = within(10, "a message", pair.theirs.recv()).await.expect("a message");
        assert_eq!(heard.as_bytes(), vec![number; 5000], "{at} {error}");
        pair.theirs.send("yes").await.unwrap();
        assert!(within(10, "an answer", pair.ours.recv()).await.is_some(), "{at} {error}");
    }
    assert!(wire.sends() > at, "{at} was never reached");
    pair.alice.close();
    assert!(within(60, "to close", told_closed(&mut pair.from_alice)).await);
}

/// THREATS figure 31.
#[tokio::test]
async fn real_no_error_of_a_socket_at_any_send_ends_a_connection() {
    let indices = testkit::scaled_at_least(2000, 40);
    let mut at_once = tokio::task::JoinSet::new();
    for at in 0..indices {
        for error in ERRORS {
            if at_once.len() >= 24 {
                at_once.join_next().await.unwrap().unwrap();
            }
            at_once.spawn(connection(at, error));
        }
    }
    while let Some(done) = at_once.join_next().await {
        done.unwrap();
    }
    println!("{indices} sends, {} errors each", ERRORS.len());
}
