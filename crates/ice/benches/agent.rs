//! Cost of an authenticated check: taken, answered, and the answer written.
#![allow(missing_docs, reason = "criterion_group! generates undocumented items")]
#![allow(clippy::unwrap_used, reason = "a panic is how a bench fails")]

use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ice::{Agent, Config, LocalCandidate, Role};
use proto::{Arrival, Batch};
use testkit::{epoch, path};

fn agent(c: &mut Criterion) {
    let mut config = Config::default();
    let mut a = Agent::new(epoch(), config.clone(), [1; 32]);
    config.role = Role::Controlled;
    let mut b = Agent::new(epoch(), config, [2; 32]);
    a.set_remote_credentials(epoch(), b.local_credentials().clone());
    b.set_remote_credentials(epoch(), a.local_credentials().clone());
    let (to_b, to_a) = (path("10.0.0.1:1", "10.0.0.2:2"), path("10.0.0.2:2", "10.0.0.1:1"));
    a.add_local_candidate(epoch(), LocalCandidate::host(to_b.local)).unwrap();
    let id = b.add_local_candidate(epoch(), LocalCandidate::host(to_a.local)).unwrap();
    a.add_remote_candidate(epoch(), b.candidate(id).unwrap()).unwrap();
    let mut memory = [0; 1500];
    let mut batch = Batch::new(&mut memory, 1, 1200);
    a.poll_transmit(epoch(), &mut batch).unwrap();
    let check = batch.bytes().to_vec();

    let mut group = c.benchmark_group("ice/check");
    group.throughput(Throughput::Elements(1));
    group.bench_function("taken_and_answered", |bench| {
        let mut at = epoch();
        let mut memory = [0; 1500];
        bench.iter_batched(
            || (),
            |()| {
                at += Duration::from_nanos(1);
                b.handle_datagram(Arrival { path: to_a, ecn: None, at }, &check).unwrap();
                b.poll_transmit(at, &mut Batch::new(&mut memory, 1, 1200)).unwrap()
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, agent);
criterion_main!(benches);
