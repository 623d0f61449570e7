//! Cost of what connectivity adds to a datagram of data, out and in.
#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion_group! generates undocumented items; a bench may panic"
)]

use std::hint::black_box;
use std::time::Duration;

use connectivity::{Config, Connectivity, Received, Role, SendError};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proto::{Arrival, Batch, Carrier, Instant, Path};

/// An end at this address, controlling or not.
fn end(now: Instant, last: u8, role: Role) -> Connectivity {
    let mut config = Config::default();
    config.ice.role = role;
    let mut end = Connectivity::new(now, config, [last; 32]);
    end.add_host(now, ([192, 0, 2, last], 4000).into()).expect("an address");
    end.gather(now);
    end
}

fn connected() -> (Connectivity, Connectivity, Instant) {
    let mut now = Instant::from_nanos(1_000_000_000);
    let (mut a, mut b) = (end(now, 1, Role::Controlling), end(now, 2, Role::Controlled));
    a.set_remote_credentials(now, b.local_credentials().clone());
    b.set_remote_credentials(now, a.local_credentials().clone());
    for candidate in b.local_candidates().collect::<Vec<_>>() {
        a.add_remote_candidate(now, candidate).expect("a candidate");
    }
    let mut memory = [0; 1500];
    while a.selected_path().is_none() || b.selected_path().is_none() {
        for round in 0..4 {
            let (from, to) = if round % 2 == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
            let Some(transmit) = from.poll_transmit(now, &mut Batch::new(&mut memory, 1, 1200)) else {
                continue;
            };
            let Path { carrier, local, remote } = transmit.path;
            let arrival =
                Arrival { path: Path { carrier, local: remote, remote: local }, ecn: None, at: now };
            let _ = to.handle_datagram(arrival, memory.get_mut(..transmit.len).unwrap_or_default());
        }
        now += Duration::from_millis(10);
    }
    (a, b, now)
}

fn send(c: &mut Criterion) {
    let (mut a, mut b, now) = connected();
    let payload = [0x17; 1200];
    let mut group = c.benchmark_group("connectivity/data/1200");
    group.throughput(Throughput::Elements(1));
    group.bench_function("send_with", |bench| {
        let mut memory = [0; 1500];
        bench.iter(|| {
            let mut batch = Batch::new(&mut memory, 1, 1200);
            a.send_with(now, &mut batch, |out| Ok::<_, SendError>(out.put(black_box(&payload))?))
                .expect("a path");
            a.finish(&batch)
        });
    });
    group.bench_function("handle_datagram", |bench| {
        let path = Path {
            carrier: Carrier::Udp,
            local: ([192, 0, 2, 2], 4000).into(),
            remote: ([192, 0, 2, 1], 4000).into(),
        };
        let mut datagram = payload;
        bench.iter(|| {
            let received = b.handle_datagram(Arrival { path, ecn: None, at: now }, black_box(&mut datagram));
            assert!(matches!(received, Ok(Received::Data { .. })));
        });
    });
    group.finish();
}

criterion_group!(benches, send);
criterion_main!(benches);
