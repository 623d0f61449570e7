//! Relays leave neither tasks, sockets, memory nor allocations. One test, so that no other opens files meanwhile.
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
#[path = "harness/relay.rs"]
mod relay;

use std::net::SocketAddr;
use std::time::Duration;

use harness::{comes_true, connect_over, endpoint, within};
use peerline::{DataChannelInit, Endpoint, IceServer};
use relay::{relay_only, server};
use tokio::runtime::Handle;

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Two that meet, and end in one of four ways; and now and then one that nobody answers.
async fn connection(number: u64, here: &Endpoint, there: &Endpoint, server: SocketAddr) {
    let mut both = relay_only(server);
    both[0].ice_servers.push(IceServer::new("stun:localhost:9"));
    let before = (tasks(), files());
    let pair = connect_over(here, there, both).await;
    pair.ours.send("hello").await.unwrap();
    assert!(within(5, "hello", pair.theirs.recv()).await.is_some(), "{number}");
    assert!(comes_true(|| tasks() == before.0).await, "connections have no tasks of their own");
    assert!(files() >= before.1 + 2, "and a socket each");
    let mut alone = None;
    match number % 4 {
        0 => pair.alice.close(),
        1 => pair.bob.close(),
        2 => drop(pair.ours),
        _ => {
            let [mine, _] = relay_only(server);
            let (peer, _) = here.connect(mine).unwrap();
            peer.create_data_channel("first", DataChannelInit::default()).unwrap();
            peer.set_local_description(peer.create_offer().unwrap()).unwrap();
            tokio::time::sleep(Duration::from_millis(number % 8)).await;
            // Begun anew on the same sockets.
            peer.rollback().unwrap();
            peer.set_local_description(peer.create_offer().unwrap()).unwrap();
            alone = Some(peer);
        }
    }
    drop((pair.alice, pair.bob, pair.theirs, alone));
    assert!(
        comes_true(|| (tasks(), files()) == before).await,
        "{number}: {:?} {before:?}",
        (tasks(), files())
    );
}

#[test]
fn real_relays_leave_nothing_however_connections_end() {
    let count = testkit::scaled_at_least(1000, 12);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (server, here, there) = runtime.block_on(async {
        // Whatever the runtime keeps for looking names up is there from now on.
        let _ = tokio::net::lookup_host("localhost:1").await;
        (server().await, endpoint().await, endpoint().await)
    });
    let address = server.local_addr();
    let batch = |from: u64, to: u64| {
        runtime.block_on(async {
            for number in from..to {
                connection(number, &here, &there, address).await;
            }
        });
    };
    // Tables are as large as they get.
    batch(0, 12);
    let memory = allocation_counter::measure(|| batch(0, count));
    println!("{count} connections: {} bytes and {} blocks kept", memory.bytes_current, memory.count_current);
    assert!(memory.bytes_current <= 16 << 10, "{memory:?}");
    runtime.block_on(async {
        let stats = server.stats().await.unwrap();
        assert_eq!(stats.turn.allocations, 0, "{stats:?}");
        assert!(stats.turn.allocated >= 2 * count, "{stats:?}");

        // A server that has gone does not keep the sockets open.
        let before = (tasks(), files());
        let pair = connect_over(&here, &there, relay_only(address)).await;
        let with_pair = files();
        drop(server);
        drop(pair);
        let gone = || tasks() == before.0 - 1 && files() < before.1 && files() + 2 < with_pair;
        assert!(comes_true(gone).await, "{:?} {before:?} {with_pair}", (tasks(), files()));
        drop((here, there));
        assert!(comes_true(|| tasks() == 0).await, "{}", tasks());
    });
}
