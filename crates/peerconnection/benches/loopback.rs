//! Bulk over real sockets: two endpoints of one process on loopback.
#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion_group! generates undocumented items; a bench may panic"
)]

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use peerline::{Configuration, DataChannel, DataChannelInit, Endpoint, Event, Message};

/// A channel seen from both ends.
async fn channel() -> (DataChannel, DataChannel) {
    let bind = || Endpoint::builder().address([127, 0, 0, 1].into()).bind();
    let (here, there) = (bind().await.expect("a socket"), bind().await.expect("a socket"));
    let (a, mut from_a) = here.connect(Configuration::default()).expect("a connection");
    let (b, mut from_b) = there.connect(Configuration::default()).expect("a connection");
    let ours = a.create_data_channel("bench", DataChannelInit::default()).expect("a channel");
    let offer = a.create_offer().expect("an offer");
    a.set_local_description(offer.clone()).expect("as created");
    b.set_remote_description(offer).expect("an offer of ours");
    let answer = b.create_answer().expect("an answer");
    b.set_local_description(answer.clone()).expect("as created");
    a.set_remote_description(answer).expect("an answer of ours");
    loop {
        tokio::select! {
            Some(event) = from_a.next() => if let Event::IceCandidate(Some(found)) = event {
                b.add_ice_candidate(&found).expect("a candidate");
            },
            Some(event) = from_b.next() => if let Event::IceCandidate(Some(found)) = event {
                a.add_ice_candidate(&found).expect("a candidate");
            } else if let Event::DataChannel(theirs) = event {
                return (ours, theirs);
            },
        }
    }
}

fn loopback(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let (ours, theirs) = runtime.block_on(channel());
    let mut group = c.benchmark_group("peerline/loopback");
    group.measurement_time(Duration::from_secs(10));
    for size in [1024, 16_384, 65_536] {
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(size.to_string(), |bench| {
            bench.iter_custom(|messages| {
                let (ours, theirs) = (ours.clone(), theirs.clone());
                runtime.block_on(async move {
                    let start = Instant::now();
                    let sender = tokio::spawn(async move {
                        let message = Message::from(vec![7; size]);
                        for _ in 0..messages {
                            ours.send(message.clone()).await.expect("it is open");
                        }
                    });
                    for _ in 0..messages {
                        theirs.recv().await.expect("it is open");
                    }
                    sender.await.expect("it does not panic");
                    start.elapsed()
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, loopback);
criterion_main!(benches);
