//! Decoding never panics and takes time in proportion to the records, what decodes re-encodes to a
//! message that decodes alike, and both machines take or refuse it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mdns::wire::{Data, Encoder, Message};
use mdns::{Arrival, Batch, Config, Instant, Link, Path, Querier, Responder, Writer};

fuzz_target!(|datagram: &[u8]| {
    machines(datagram);
    let Ok(message) = Message::decode(datagram) else { return };
    // Pointers are written out, which takes 255 bytes a name at most; NSEC has two.
    let parts = message.questions().count() + message.records().count();
    let mut memory = vec![0; 12 + 600 * parts + datagram.len()];
    let mut out = Writer::new(&mut memory);
    let mut encoder = Encoder::new(&mut out, message.header()).expect("room");
    message.questions().for_each(|question| encoder.question(&question).expect("room"));
    message.records().for_each(|record| encoder.record(&record).expect("room"));
    encoder.finish().expect("room");
    let again = Message::decode(out.written()).expect("own output decodes");
    assert_eq!(again.header(), message.header());
    assert!(again.questions().eq(message.questions()));
    assert!(again.records().eq(message.records()));
    for record in message.records() {
        assert!(record.name.to_string().len() <= 4 * 255);
        assert!(matches!(record.data, Data::Other(_)) == !matches!(record.kind.0, 1 | 28 | 47));
    }
});

/// One that asks for the name of the corpus, and one that has another.
fn machines(datagram: &[u8]) {
    let now = Instant::from_nanos(1);
    let link = Link::new(([192, 0, 2, 1], mdns::PORT).into()).with_network([192, 0, 2, 1].into(), 24);
    let path = Path { remote: ([192, 0, 2, 2], mdns::PORT).into(), ..link.path() };
    let arrival = Arrival { path, ecn: None, at: now };
    let mut memory = [0; 1500];
    let mut batch = Batch::new(&mut memory, 1, 1500);

    let mut querier = Querier::new(now, Config::default());
    querier.add_link(link.clone()).expect("the first");
    querier.resolve(now, "a.local".parse().expect("a name")).expect("the first");
    querier.poll_transmit(now, &mut batch).expect("a question");
    let taken = querier.handle_datagram(arrival, datagram).is_ok();
    assert_eq!(taken, querier.poll_event().is_some());
    assert_eq!(taken, querier.poll_timeout().is_none());

    let mut responder = Responder::new(now, Config::default(), [0; 32]);
    responder.add_link(link).expect("the first");
    responder.announce(now, [192, 0, 2, 1].into()).expect("the first");
    let _ = responder.handle_datagram(arrival, datagram);
    batch.clear();
    responder.poll_transmit(now, &mut batch).expect("the announcement");
    batch.clear();
    assert_eq!(responder.poll_transmit(now, &mut batch), None, "one message a second");
}
