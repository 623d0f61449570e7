//! What a connection costs: the handshake of both ends, and a record.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "criterion_group! generates undocumented items; a panic is how a bench fails"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crypto::Provider;
use dtls::{CipherSuite, Config, Connection, Event, Identity};
use proto::{Instant, Writer};

fn config(provider: &'static dyn Provider, suite: CipherSuite) -> Arc<Config> {
    let identity = Identity::generate(provider, 1_790_000_000, [1; 32]).unwrap();
    let mut config = Config::new(provider, Arc::new(identity));
    config.cipher_suites = vec![suite];
    Arc::new(config)
}

fn carry(from: &mut Connection, to: &mut Connection) {
    let now = Instant::default();
    let mut memory = [0; 1200];
    loop {
        let mut out = Writer::new(&mut memory);
        if !from.poll_packet(now, &mut out) {
            return;
        }
        let len = out.len();
        drop(to.handle_datagram(now, &mut memory[..len]));
        while let Some(event) = to.poll_event() {
            if event == Event::PeerCertificate {
                to.accept_peer(now);
            }
        }
    }
}

fn connect(config: &Arc<Config>) -> (Connection, Connection) {
    let mut client = Connection::client(Instant::default(), Arc::clone(config), [1; 32]);
    let mut server = Connection::server(Instant::default(), Arc::clone(config), [2; 32]);
    for _ in 0..3 {
        carry(&mut client, &mut server);
        carry(&mut server, &mut client);
    }
    assert!(client.is_connected() && server.is_connected());
    (client, server)
}

fn handshake(c: &mut Criterion) {
    let mut group = c.benchmark_group("dtls/handshake_both_ends");
    for provider in [crypto::default_provider(), crypto::rust_crypto()] {
        let config = config(provider, CipherSuite::EcdheEcdsaAes128GcmSha256);
        group.bench_function(provider.name(), |b| b.iter(|| connect(&config)));
    }
    group.finish();
}

fn records(c: &mut Criterion) {
    let mut group = c.benchmark_group("dtls/record");
    group.throughput(Throughput::Bytes(1200));
    let provider = crypto::default_provider();
    for suite in CipherSuite::ECDSA {
        let (mut client, mut server) = connect(&config(provider, suite));
        let mut memory = [0; 1300];
        group.bench_function(format!("seal_and_open/{}/1200", suite.name()), |b| {
            b.iter(|| {
                let mut out = Writer::new(&mut memory);
                let mut record = client.begin_record(&mut out).unwrap();
                record.plaintext().put(black_box(&[7; 1200])).unwrap();
                record.seal();
                let len = out.len();
                let mut records = server.handle_datagram(Instant::default(), &mut memory[..len]);
                records.next_record().unwrap().unwrap().len()
            });
        });
        group.bench_function(format!("seal/{}/1200", suite.name()), |b| {
            b.iter(|| {
                let mut out = Writer::new(&mut memory);
                let mut record = client.begin_record(&mut out).unwrap();
                record.plaintext().put(black_box(&[7; 1200])).unwrap();
                record.seal();
                out.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, handshake, records);
criterion_main!(benches);
