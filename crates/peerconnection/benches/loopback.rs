//! Bulk over real sockets: two endpoints of one process on loopback.
#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion_group! generates undocumented items; a bench may panic"
)]

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use peerline::{Configuration, DataChannel, DataChannelInit, Endpoint, Event, Message};

async fn endpoint(workers: usize) -> Endpoint {
    let builder = Endpoint::builder().address([127, 0, 0, 1].into()).workers(workers);
    builder.bind().await.expect("a socket")
}

/// A channel seen from both ends.
async fn channel(here: &Endpoint, there: &Endpoint) -> (DataChannel, DataChannel) {
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
    let (ours, theirs) = runtime.block_on(async { channel(&endpoint(1).await, &endpoint(1).await).await });
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

/// Eight peers send to an endpoint with so many workers, all at once.
fn workers(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut group = c.benchmark_group("peerline/workers");
    group.measurement_time(Duration::from_secs(10)).sample_size(20);
    for count in [1, 2, 4] {
        let channels = runtime.block_on(async {
            let server = endpoint(count).await;
            let mut channels = Vec::new();
            for _ in 0..PEERS {
                channels.push(channel(&endpoint(1).await, &server).await);
            }
            channels
        });
        group.throughput(Throughput::Bytes((PEERS * MESSAGE) as u64));
        group.bench_function(count.to_string(), |bench| {
            bench.iter_custom(|messages| {
                runtime.block_on(async {
                    let start = Instant::now();
                    let mut tasks = Vec::new();
                    for (ours, theirs) in channels.clone() {
                        tasks.push(tokio::spawn(async move {
                            let message = Message::from(vec![7; MESSAGE]);
                            for _ in 0..messages {
                                ours.send(message.clone()).await.expect("it is open");
                            }
                        }));
                        tasks.push(tokio::spawn(async move {
                            for _ in 0..messages {
                                theirs.recv().await.expect("it is open");
                            }
                        }));
                    }
                    for task in tasks {
                        task.await.expect("it does not panic");
                    }
                    start.elapsed()
                })
            });
        });
    }
    group.finish();
}

const PEERS: usize = 8;
const MESSAGE: usize = 16_384;

criterion_group!(benches, loopback, workers);
criterion_main!(benches);
