//! Cost of writing a train of datagrams, and of reading fields back.
#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion_group! generates undocumented items; a bench may panic"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proto::{Batch, NoSpace, Reader};

fn batch(c: &mut Criterion) {
    let mut memory = vec![0; 65_000];
    let payload = [7; 1180];
    let mut group = c.benchmark_group("proto/batch");
    group.throughput(Throughput::Bytes(40 * 1200));
    group.bench_function("append/40x1200", |bench| {
        bench.iter(|| {
            let mut batch = Batch::new(&mut memory, 40, 1200);
            for number in 0..40_u64 {
                let write = |out: &mut proto::Writer<'_>| {
                    out.put_u32(1)?;
                    out.put_u64(number)?;
                    out.put_u64(number)?;
                    out.put(black_box(&payload))
                };
                batch.append::<NoSpace>(write).expect("it fits");
            }
            batch.bytes().len()
        });
    });
    group.finish();
    c.bench_function("proto/reader/100 fields", |bench| {
        bench.iter(|| {
            let mut reader = Reader::new(black_box(&payload));
            (0..100).map(|_| reader.u32().expect("there are more")).fold(0, u32::wrapping_add)
        });
    });
}

criterion_group!(benches, batch);
criterion_main!(benches);
