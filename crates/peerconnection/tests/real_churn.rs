//! Ten thousand connections, opened and closed in every state, leave no task, no socket and no memory.
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

use harness::{connect_over, endpoint, within};
use peerline::{Configuration, DataChannelInit, Endpoint};
use tokio::runtime::Handle;

/// How far a connection comes before it is closed or dropped.
const STAGES: u64 = 14;

async fn connection(number: u64, here: &Endpoint, there: &Endpoint) {
    let stage = number % STAGES;
    if stage >= 10 {
        let both = [Configuration::default(), Configuration::default()];
        let pair = connect_over(here, there, both).await;
        match stage {
            10 => {}
            11 => pair.alice.close(),
            12 => {
                pair.ours.send(vec![1; 300_000]).await.unwrap_err();
                pair.ours.send(vec![1; 100_000]).await.unwrap();
                pair.bob.close();
            }
            _ => {
                pair.ours.close();
                while within(5, "the end of a channel", pair.theirs.recv()).await.is_some() {}
                pair.alice.restart_ice();
            }
        }
        return;
    }
    let (alice, _from_alice) = here.connect(Configuration::default()).unwrap();
    let (bob, _from_bob) = there.connect(Configuration::default()).unwrap();
    if stage == 0 {
        return;
    }
    let channel = alice.create_data_channel("c", DataChannelInit::default()).unwrap();
    let offer = alice.create_offer().unwrap();
    let steps: [&dyn Fn(); 5] = [
        &|| alice.set_local_description(offer.clone()).unwrap(),
        &|| bob.set_remote_description(offer.clone()).unwrap(),
        &|| bob.set_local_description(bob.create_answer().unwrap()).unwrap(),
        &|| alice.set_remote_description(bob.local_description().unwrap()).unwrap(),
        &|| alice.rollback().unwrap_err().to_string().clear(),
    ];
    for step in steps.iter().take(usize::try_from(stage).unwrap() - 1) {
        step();
    }
    // In the middle of connecting, without candidates of the other side, later and later.
    for _ in 0..stage.saturating_sub(5) * 3 {
        tokio::task::yield_now().await;
    }
    match number / STAGES % 4 {
        0 => alice.close(),
        1 => bob.close(),
        2 => channel.close(),
        _ => {}
    }
}

#[test]
fn real_ten_thousand_connections_leave_nothing() {
    let count = testkit::scaled_at_least(10_000, 560);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let batch = |from: u64, to: u64, here: &Endpoint, there: &Endpoint| {
        runtime.block_on(async {
            for number in from..to {
                connection(number, here, there).await;
            }
            // Farewells are sent for a second.
            tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        });
    };
    let (here, there) = runtime.block_on(async { (endpoint().await, endpoint().await) });
    // Tables are as large as they get.
    batch(0, 280, &here, &there);
    let (tasks, open) = (runtime.block_on(async { Handle::current().metrics().num_alive_tasks() }), files());
    let memory = allocation_counter::measure(|| batch(0, count, &here, &there));
    let now = (runtime.block_on(async { Handle::current().metrics().num_alive_tasks() }), files());
    println!("{count} connections: {} bytes and {} blocks kept", memory.bytes_current, memory.count_current);
    assert_eq!(now, (tasks, open));
    assert!(memory.bytes_current <= 64 << 10, "{memory:?}");
}
