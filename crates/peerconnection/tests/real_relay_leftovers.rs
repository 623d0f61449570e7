//! Relays leave neither tasks, sockets nor allocations. One test, so that no other opens files meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;
#[path = "harness/relay.rs"]
mod relay;

use std::time::Duration;

use harness::{comes_true, connect_over, endpoint, within};
use peerline::{DataChannelInit, IceServer};
use relay::{relay_only, server};
use tokio::runtime::Handle;

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn real_relays_leave_nothing_however_connections_end() {
    // Whatever the runtime keeps for looking names up is there from now on.
    let _ = tokio::net::lookup_host("localhost:1").await;
    let before = (tasks(), files());
    let server = server().await;
    let address = server.local_addr();
    let (here, there) = (endpoint().await, endpoint().await);
    let open = (tasks(), files());
    for number in 0..testkit::scaled_at_least(400, 12) {
        let mut both = relay_only(address);
        both[0].ice_servers.push(IceServer::new("stun:localhost:9"));
        let pair = connect_over(&here, &there, both).await;
        pair.ours.send("hello").await.unwrap();
        assert!(within(5, "hello", pair.theirs.recv()).await.is_some(), "{number}");
        assert_eq!(tasks(), open.0, "connections have no tasks of their own");
        assert!(files() >= open.1 + 2, "and a socket each");
        match number % 4 {
            0 => pair.alice.close(),
            1 => pair.bob.close(),
            2 => drop(pair.ours),
            // Never answered: gathered alone.
            _ => {
                let [mine, _] = relay_only(address);
                let (alone, _) = here.connect(mine).unwrap();
                alone.create_data_channel("first", DataChannelInit::default()).unwrap();
                alone.set_local_description(alone.create_offer().unwrap()).unwrap();
                tokio::time::sleep(Duration::from_millis(number % 8)).await;
                // Begun anew on the same sockets.
                alone.rollback().unwrap();
                alone.set_local_description(alone.create_offer().unwrap()).unwrap();
            }
        }
    }
    assert!(comes_true(|| (tasks(), files()) == open).await, "{:?} {open:?}", (tasks(), files()));
    let stats = server.stats().await.unwrap();
    assert_eq!(stats.turn.allocations, 0, "{stats:?}");
    assert!(stats.turn.allocated >= 24, "{stats:?}");

    // A server that has gone does not keep the sockets open.
    let pair = connect_over(&here, &there, relay_only(address)).await;
    drop(server);
    drop(pair);
    assert!(comes_true(|| tasks() == before.0 + 2 && files() < open.1).await, "{:?}", (tasks(), files()));
    drop((here, there));
    assert!(comes_true(|| (tasks(), files()) == before).await, "{:?} {before:?}", (tasks(), files()));
}
