//! What SRTP costs above the bare encryption: whole packets protected and unprotected, beside the same bytes sealed.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "criterion_group! generates undocumented items; a bench may panic"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crypto::{AeadAlgorithm, CipherAlgorithm, HashAlgorithm, Provider};
use srtp::{Config, Inbound, MasterKeys, Outbound, Profile};

const SIZES: [usize; 2] = [160, 1200];

fn keys(profile: Profile) -> MasterKeys {
    MasterKeys::new(profile, &vec![1; profile.key_len()], &vec![2; profile.salt_len()]).expect("lengths")
}

fn packet(size: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 96, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7];
    packet.resize(12 + size, 5);
    packet
}

type Seal = Box<dyn Fn(&mut [u8])>;

/// The encryption alone, of a payload, with a header that is authenticated with it.
fn bare(provider: &dyn Provider, profile: Profile) -> Seal {
    let key = vec![1; profile.key_len()];
    let aes128 = profile.key_len() == 16;
    if profile.salt_len() == 12 {
        let algorithm = if aes128 { AeadAlgorithm::Aes128Gcm } else { AeadAlgorithm::Aes256Gcm };
        let key = provider.aead(algorithm, &key).expect("a length");
        return Box::new(move |packet| {
            let (header, message) = packet.split_at_mut(12);
            black_box(key.seal(&[2; 12], header, message));
        });
    }
    let algorithm = if aes128 { CipherAlgorithm::Aes128 } else { CipherAlgorithm::Aes256 };
    let cipher = provider.cipher(algorithm, &key).expect("a length");
    let hmac = provider.hmac(HashAlgorithm::Sha1, &[1; 20]);
    Box::new(move |packet| {
        cipher.apply_keystream(&[2; 16], &mut packet[12..]);
        black_box(hmac.sign(&[packet, &[0; 4]]));
    })
}

fn protect(c: &mut Criterion) {
    let provider = crypto::default_provider();
    let config = Config::new(provider);
    for profile in Profile::ALL {
        for size in SIZES {
            let mut group = c.benchmark_group(format!("srtp/{}/{size}", profile.name()));
            group.throughput(Throughput::Bytes(size as u64));
            let plain = packet(size);
            let mut memory = plain.clone();
            memory.resize(plain.len() + 16, 0);
            let seal = bare(provider, profile);
            group.bench_function("bare", |b| b.iter(|| seal(black_box(&mut memory[..plain.len()]))));

            let mut outbound = Outbound::new(&config, &keys(profile)).expect("keys");
            let mut sequence = 0_u16;
            group.bench_function("protect", |b| {
                b.iter(|| {
                    sequence = sequence.wrapping_add(1);
                    memory[0] = 0x80;
                    memory[2..4].copy_from_slice(&sequence.to_be_bytes());
                    outbound.protect_rtp(black_box(&mut memory), plain.len()).expect("room")
                });
            });

            // Packets are protected beforehand; each round has a receiver of its own, who has not seen them.
            let mut outbound = Outbound::new(&config, &keys(profile)).expect("keys");
            let protected: Vec<Vec<u8>> = (1..=ROUND)
                .map(|sequence| {
                    let mut packet = plain.clone();
                    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
                    packet.resize(plain.len() + profile.rtp_tag_len(), 0);
                    outbound.protect_rtp(&mut packet, plain.len()).expect("room");
                    packet
                })
                .collect();
            let (mut inbound, mut at) = (Inbound::new(&config, &keys(profile)).expect("keys"), 0);
            let mut copies = protected.clone();
            group.bench_function("unprotect", |b| {
                b.iter_custom(|iterations| {
                    let mut spent = std::time::Duration::ZERO;
                    let mut left = iterations;
                    while left > 0 {
                        if at == copies.len() {
                            at = 0;
                            copies.clone_from(&protected);
                            inbound = Inbound::new(&config, &keys(profile)).expect("keys");
                        }
                        let round = (copies.len() - at).min(usize::try_from(left).unwrap_or(usize::MAX));
                        #[expect(clippy::disallowed_methods, reason = "a bench measures time")]
                        let start = std::time::Instant::now();
                        for packet in &mut copies[at..at + round] {
                            black_box(inbound.unprotect_rtp(packet).expect("not seen"));
                        }
                        spent += start.elapsed();
                        at += round;
                        left -= round as u64;
                    }
                    spent
                });
            });
            group.finish();
        }
    }
}

/// Packets that one receiver takes; few enough to stay in the cache.
const ROUND: u16 = 200;

criterion_group!(benches, protect);
criterion_main!(benches);
