//! Cost of the primitives, provider beside provider.
#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion_group! generates undocumented items; a bench may panic"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crypto::{AeadAlgorithm, CipherAlgorithm, Group, HashAlgorithm, Provider, Rng, SignatureAlgorithm};

fn providers() -> impl Iterator<Item = &'static dyn Provider> {
    [Some(crypto::rust_crypto()), crypto::accelerated()].into_iter().flatten()
}

fn aead(c: &mut Criterion) {
    for size in [160_usize, 1200] {
        let mut group = c.benchmark_group(format!("crypto/aes128gcm/{size}"));
        group.throughput(Throughput::Bytes(size as u64));
        for provider in providers() {
            let key = provider.aead(AeadAlgorithm::Aes128Gcm, &[1; 16]).expect("16 bytes");
            let mut message = vec![0; size];
            group.bench_function(provider.name(), |b| {
                b.iter(|| key.seal(&[2; 12], &[3; 13], black_box(&mut message)));
            });
        }
        group.finish();
    }
}

fn cipher(c: &mut Criterion) {
    for size in [160_usize, 1200] {
        let key = crypto::default_provider().cipher(CipherAlgorithm::Aes128, &[1; 16]).expect("16 bytes");
        let mut message = vec![0; size];
        c.bench_function(&format!("crypto/aes128ctr/{size}"), |b| {
            b.iter(|| key.apply_keystream(&[2; 16], black_box(&mut message)));
        });
    }
}

fn asymmetric(c: &mut Criterion) {
    let mut group = c.benchmark_group("crypto/p256");
    for provider in providers() {
        let mut rng = Rng::new([1; 32]);
        let peer = provider.key_exchange(Group::P256, &mut rng).public_key().to_vec();
        group.bench_function(format!("ecdh/{}", provider.name()), |b| {
            b.iter(|| provider.key_exchange(Group::P256, &mut rng).complete(black_box(&peer)));
        });
        let key = provider.signing_key(SignatureAlgorithm::EcdsaP256Sha256, &[1; 32]).expect("a scalar");
        group.bench_function(format!("sign/{}", provider.name()), |b| {
            b.iter(|| key.sign(black_box(b"hello")))
        });
        let signature = key.sign(b"hello");
        group.bench_function(format!("verify/{}", provider.name()), |b| {
            b.iter(|| provider.verify(key.algorithm(), key.public_key(), black_box(b"hello"), &signature));
        });
    }
    group.finish();
}

fn hmac(c: &mut Criterion) {
    let key = crypto::default_provider().hmac(HashAlgorithm::Sha1, &[1; 24]);
    c.bench_function("crypto/hmac_sha1/96", |b| b.iter(|| key.sign(black_box(&[&[0; 96]]))));
}

criterion_group!(benches, aead, cipher, asymmetric, hmac);
criterion_main!(benches);
