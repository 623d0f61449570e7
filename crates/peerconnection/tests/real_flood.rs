//! Ten thousand forged datagrams a second at a connection that is at work.
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

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::{Pair, connect_over, endpoint, within};
use peerline::{Configuration, Endpoint};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use wire::Wire;

/// Counts the lines of the log.
struct Lines(Arc<AtomicU64>);

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Sends 10 Mbit a second for `time`; says how many bytes arrived.
async fn goodput(pair: &Pair, time: Duration) -> usize {
    let (mut arrived, start) = (0, Instant::now());
    let mut tick = tokio::time::interval(Duration::from_micros(13_107));
    while start.elapsed() < time {
        tokio::select! {
            // 16 KiB each time.
            _ = tick.tick() => pair.ours.send(vec![7; 16_384]).await.unwrap(),
            message = pair.theirs.recv() => arrived += message.unwrap().as_bytes().len(),
        }
    }
    arrived
}

/// THREATS figure 21, for the kinds that there are.
#[test]
fn real_ten_thousand_forged_datagrams_a_second_cost_little_and_leave_nothing() {
    let seconds = testkit::scaled_at_least(60, 10);
    let lines = Arc::new(AtomicU64::new(0));
    let _guard = tracing::subscriber::set_default(Lines(lines.clone()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let wire = {
        let _inside = runtime.enter();
        Arc::new(Wire::new())
    };
    let pair = runtime.block_on(async {
        let there = Endpoint::builder().transport(wire.clone()).bind().await.unwrap();
        let both = [Configuration::default(), Configuration::default()];
        let pair = connect_over(&endpoint().await, &there, both).await;
        // Consent and acknowledgements, for those who imitate them, and queues as long as they get.
        goodput(&pair, Duration::from_secs(6)).await;
        pair
    });
    let before = runtime.block_on(goodput(&pair, Duration::from_secs(3))) as f64 / 3.0;
    lines.store(0, Ordering::Relaxed);
    let mut during = 0.0;
    let memory = allocation_counter::measure(|| {
        wire.flood(10_000);
        let arrived = runtime.block_on(goodput(&pair, Duration::from_secs(seconds)));
        during = arrived as f64 / seconds as f64;
    });
    let forged = wire.forged();
    wire.flood(0);
    let lines = lines.load(Ordering::Relaxed);
    println!(
        "{forged} forged in {seconds} s: {:.2} of {:.2} Mbit/s, {} bytes kept, {lines} lines",
        during * 8e-6,
        before * 8e-6,
        memory.bytes_current
    );
    assert!(forged >= 9_500 * seconds, "{forged} were forged");
    assert!(during >= before * 0.95, "{during} of {before} bytes a second arrive");
    assert!(memory.bytes_current <= 1 << 20, "{memory:?}");
    assert!(lines <= 10 * seconds, "{lines} lines in the log");
    runtime.block_on(async {
        pair.theirs.send("still there?").await.unwrap();
        assert!(within(5, "an answer", pair.ours.recv()).await.is_some());
        assert!(pair.bob.stats().ignored.connectivity + pair.bob.stats().ignored.dtls > forged / 2);
        drop(pair);
    });
}
