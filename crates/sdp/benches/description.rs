//! Cost of reading and writing an offer of a browser.
#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion_group! generates undocumented items; a bench may panic"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sdp::SessionDescription;

fn description(c: &mut Criterion) {
    let text = include_str!("../tests/vectors/chromium-bundle-all-0-offer.sdp");
    let mut group = c.benchmark_group(format!("sdp/offer/{}", text.len()));
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("parse", |b| b.iter(|| SessionDescription::parse(black_box(text))));
    let description = SessionDescription::parse(text).expect("a browser's offer");
    group.bench_function("write", |b| b.iter(|| black_box(&description).to_string()));
    group.finish();
}

criterion_group!(benches, description);
criterion_main!(benches);
