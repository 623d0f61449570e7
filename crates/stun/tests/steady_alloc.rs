//! Decoding, verifying, answering and asking allocate nothing.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use proto::{Arrival, Batch};
use stun::wire::{Attribute, Class, Encoder, Message, Method, TransactionId};
use stun::{Client, Config, IntegrityKey, Writer};
use testkit::{epoch, path};

#[test]
fn a_check_and_its_answer_allocate_nothing() {
    let key = IntegrityKey::short_term(crypto::default_provider(), "VOkJxbRl1RmTxUk/WvJxBt");
    let info = allocation_counter::measure(|| {
        let mut memory = [0; 200];
        let mut out = Writer::new(&mut memory);
        let mut encoder =
            Encoder::new(&mut out, Class::Request, Method::BINDING, TransactionId([7; 12])).unwrap();
        encoder.attribute(Attribute::Username("a:b")).unwrap();
        encoder.finish(Some(&key)).unwrap();
        let message = Message::decode(out.written()).unwrap();
        message.verify(&key).unwrap();
    });
    assert_eq!(info.count_total, 0);
}

#[test]
fn a_refresh_allocates_nothing() {
    let path = path("10.0.0.1:1", "10.0.0.2:2");
    let mut client = Client::new(Config::default(), path, [1; 32]);
    let info = allocation_counter::measure(|| {
        client.start(epoch());
        let mut memory = [0; 200];
        let mut batch = Batch::new(&mut memory, 1, 200);
        client.poll_transmit(epoch(), &mut batch).unwrap();
        let id = Message::decode(batch.bytes()).unwrap().transaction();
        let mut memory = [0; 200];
        let mut out = Writer::new(&mut memory);
        let mut encoder = Encoder::new(&mut out, Class::Success, Method::BINDING, id).unwrap();
        encoder.attribute(Attribute::XorMappedAddress(path.local)).unwrap();
        encoder.finish(None).unwrap();
        client.handle_datagram(Arrival { path, ecn: None, at: epoch() }, out.written()).unwrap();
        client.poll_event().unwrap();
    });
    assert_eq!(info.count_total, 0);
}
