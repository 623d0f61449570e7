//! Cost of a datagram over loopback, alone and in a train.
#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion_group! generates undocumented items; a bench may panic"
)]

use std::future::poll_fn;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use net::{RECEIVE_BUFFER, Transport, UdpSocket};
use proto::{Carrier, Path, Transmit};

fn udp(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let _guard = runtime.enter();
    let a = UdpSocket::bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let b = UdpSocket::bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let path = Path { carrier: Carrier::Udp, local: a.local_address(), remote: b.local_address() };
    let bytes = vec![7; 40 * 1200];
    let mut buffer = vec![0; RECEIVE_BUFFER];
    let mut group = c.benchmark_group("net/loopback");
    for count in [1, a.max_segments().min(40)] {
        group.throughput(Throughput::Elements(count as u64));
        let len = count * 1200;
        let transmit = Transmit { path, ecn: None, len, segment_size: (count > 1).then_some(1200) };
        group.bench_function(format!("send_receive/{count}x1200"), |bench| {
            bench.iter(|| {
                runtime.block_on(async {
                    poll_fn(|cx| a.poll_send(cx, &transmit, &bytes)).await.expect("loopback takes it");
                    let mut seen = 0;
                    while seen < len {
                        seen += poll_fn(|cx| b.poll_receive(cx, &mut buffer)).await.expect("it arrives").len;
                    }
                });
            });
        });
    }
    group.finish();
}

criterion_group!(benches, udp);
criterion_main!(benches);
