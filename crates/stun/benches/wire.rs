//! Cost of the codec alone: what an ICE agent does for each check it answers.
#![allow(missing_docs, reason = "criterion_group! generates undocumented items")]
#![allow(clippy::unwrap_used, reason = "a panic is how a bench fails")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stun::wire::{Attribute, Class, Encoder, Message, Method, TransactionId};
use stun::{IntegrityKey, NoSpace, Writer};

fn wire(c: &mut Criterion) {
    for provider in [Some(crypto::rust_crypto()), crypto::accelerated()].into_iter().flatten() {
        let key = IntegrityKey::short_term(provider, "VOkJxbRl1RmTxUk/WvJxBt");
        let mut memory = [0; 200];
        let mut out = Writer::new(&mut memory);
        request(&mut out, &key).unwrap();
        let datagram = out.written();
        assert_eq!(datagram.len(), 96);

        let mut group = c.benchmark_group("stun/binding");
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("verify_and_answer/96/{}", provider.name()), |b| {
            let mut memory = [0; 200];
            b.iter(|| answer(black_box(datagram), &key, &mut Writer::new(&mut memory)));
        });
        group.bench_function(format!("decode/96/{}", provider.name()), |b| {
            b.iter(|| Message::decode(black_box(datagram)).map(|message| message.attributes().count()));
        });
        group.bench_function(format!("encode/96/{}", provider.name()), |b| {
            let mut memory = [0; 200];
            b.iter(|| request(&mut Writer::new(&mut memory), black_box(&key)));
        });
        group.finish();
    }
}

/// A check as an ICE agent sends it: 96 bytes.
fn request(out: &mut Writer<'_>, key: &IntegrityKey) -> Result<(), NoSpace> {
    let mut encoder = Encoder::new(out, Class::Request, Method::BINDING, TransactionId([7; 12]))?;
    encoder.attribute(Attribute::Username("evtjabcd:h6vYabcd"))?;
    encoder.attribute(Attribute::IceControlling(7))?;
    encoder.attribute(Attribute::Priority(0x6e00_01ff))?;
    encoder.finish(Some(key))
}

fn answer(datagram: &[u8], key: &IntegrityKey, out: &mut Writer<'_>) -> Option<usize> {
    let message = Message::decode(datagram).ok()?;
    message.username()?;
    message.verify(key).ok()?;
    let mut encoder = Encoder::new(out, Class::Success, message.method(), message.transaction()).ok()?;
    encoder.attribute(Attribute::XorMappedAddress(([192, 0, 2, 1], 32853).into())).ok()?;
    encoder.finish(Some(key)).ok()?;
    Some(out.len())
}

criterion_group!(benches, wire);
criterion_main!(benches);
