//! Behaviour discovery against servers that lie and strangers that guess. What it finds out behind each kind of NAT is
//! in the tests of `turn`, whose server it asks there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::net::SocketAddr;

use proto::{Arrival, Batch, Instant, Path, Writer};
use stun::discovery::{Config, Discovery, Event, Findings};
use stun::wire::{Attribute, Class, Encoder, ErrorCode, Message, Method, TransactionId};
use stun::{Discard, Failure};

const LOCAL: [&str; 2] = ["10.0.0.2:4000", "10.0.0.2:4001"];
const SERVER: &str = "192.0.2.1:3478";
const OTHER: &str = "192.0.2.2:3479";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

struct Bench {
    discovery: Discovery,
    now: Instant,
}

/// What was sent: which way, and which question.
type Sent = (Path, TransactionId);

impl Bench {
    fn new() -> Self {
        let now = testkit::epoch();
        let path = testkit::path(LOCAL[0], SERVER);
        let mut discovery = Discovery::new(Config::default(), path, at(LOCAL[1]), [1; 32]);
        discovery.start(now);
        Self { discovery, now }
    }

    fn sent(&mut self) -> Vec<Sent> {
        let (mut sent, mut memory) = (Vec::new(), [0; 1200]);
        loop {
            let mut batch = Batch::new(&mut memory, 1, 1200);
            let Some(transmit) = self.discovery.poll_transmit(self.now, &mut batch) else { return sent };
            sent.push((transmit.path, Message::decode(batch.bytes()).unwrap().transaction()));
        }
    }

    fn receive(
        &mut self,
        path: Path,
        class: Class,
        id: TransactionId,
        attributes: &[Attribute<'_>],
    ) -> Result<(), Discard> {
        let mut memory = [0; 1200];
        let mut out = Writer::new(&mut memory);
        let mut message = Encoder::new(&mut out, class, Method::BINDING, id).unwrap();
        for attribute in attributes {
            message.attribute(*attribute).unwrap();
        }
        message.finish(None).unwrap();
        self.discovery.handle_datagram(Arrival { path, ecn: None, at: self.now }, out.written())
    }

    /// Up to where the filter is asked about; what was sent for that.
    fn connect(&mut self, mapped: &str, other: &str) -> Vec<Sent> {
        for (path, id) in self.sent() {
            let attributes = [Attribute::XorMappedAddress(at(mapped)), Attribute::OtherAddress(at(other))];
            self.receive(path, Class::Success, id, &attributes).unwrap();
        }
        self.sent()
    }

    /// Until nothing more is asked.
    fn rest(&mut self) -> (Option<Event>, Findings) {
        while let Some(due) = self.discovery.poll_timeout() {
            self.now = due;
            self.sent();
        }
        (self.discovery.poll_event(), *self.discovery.findings())
    }
}

#[test]
fn what_was_not_asked_for_changes_nothing() {
    let mut bench = Bench::new();
    let sent = bench.sent();
    let (path, id) = sent[0];
    let mapped = [Attribute::XorMappedAddress(at("203.0.113.1:1"))];
    let elsewhere = Path { remote: at("192.0.2.9:3478"), ..path };
    let before = bench.discovery.poll_timeout();
    for (path, class, id, attributes, expected) in [
        (elsewhere, Class::Success, id, &mapped[..], Discard::WrongPath),
        (Path { local: at(LOCAL[1]), ..path }, Class::Success, id, &mapped, Discard::WrongPath),
        (path, Class::Success, TransactionId([0; 12]), &mapped, Discard::UnknownTransaction),
        (path, Class::Request, id, &[], Discard::UnknownTransaction),
        (path, Class::Indication, id, &mapped, Discard::UnknownTransaction),
        (path, Class::Success, id, &[], Discard::Incomplete),
        (path, Class::Error, id, &[], Discard::Incomplete),
        (
            path,
            Class::Success,
            id,
            &[Attribute::Unknown { kind: 5, value: b"" }],
            Discard::UnknownAttribute(5),
        ),
    ] {
        assert_eq!(bench.receive(path, class, id, attributes), Err(expected));
    }
    assert_eq!((bench.discovery.poll_timeout(), bench.discovery.findings().mapped), (before, None));
    assert_eq!(bench.discovery.stats().discarded, 8);
    bench.receive(path, Class::Success, id, &mapped).unwrap();
    assert_eq!(bench.receive(path, Class::Success, id, &mapped), Err(Discard::UnknownTransaction), "once");
}

/// A server that ignores CHANGE-REQUEST tells nothing of filters, nor does one that refuses it.
#[test]
fn an_answer_from_where_it_was_asked_says_nothing_of_filters() {
    for refuses in [false, true] {
        let mut bench = Bench::new();
        let mapped = "203.0.113.1:4000";
        for (path, id) in
            bench.connect(mapped, OTHER).into_iter().filter(|(path, _)| path.remote == at(SERVER))
        {
            let (class, attribute) = if refuses {
                (Class::Error, Attribute::ErrorCode(ErrorCode { code: 420, reason: "" }))
            } else {
                (Class::Success, Attribute::XorMappedAddress(at(mapped)))
            };
            bench.receive(path, class, id, &[attribute]).unwrap();
        }
        let (event, found) = bench.rest();
        assert_eq!((event, found.filtering, found.mapping), (Some(Event::Finished), None, None), "{refuses}");
    }
}

/// No server makes us send to ourselves, to its own address by another port, or to the other family.
#[test]
fn another_address_is_another_address_of_the_family() {
    for other in ["192.0.2.1:3479", "192.0.2.2:3478", "[2001:db8::1]:3479", "192.0.2.2:0", SERVER] {
        let mut bench = Bench::new();
        let sent = bench.connect(LOCAL[0], other);
        assert!(sent.is_empty(), "{other}: {sent:?}");
        let (event, found) = bench.rest();
        assert_eq!((event, found.other_address), (Some(Event::Finished), None), "{other}");
    }
}

/// The question of a hairpin is known by its identifier alone, and where it arrives.
#[test]
fn a_hairpin_is_our_own_question() {
    let mut bench = Bench::new();
    let asked = bench.connect("203.0.113.1:4000", OTHER);
    let (there, id) = *asked.iter().find(|(path, _)| path.remote == at("203.0.113.1:4000")).unwrap();
    let second = Path { local: at(LOCAL[1]), remote: at("203.0.113.1:4000"), ..there };
    assert_eq!(there.local, at(LOCAL[0]), "both sockets are mapped alike here");
    for (path, class, id) in [
        (second, Class::Request, TransactionId([3; 12])),
        (there, Class::Request, id),
        (second, Class::Success, id),
    ] {
        let mapped = [Attribute::XorMappedAddress(at("203.0.113.1:1"))];
        assert!(bench.receive(path, class, id, &mapped).is_err());
    }
    bench.receive(second, Class::Request, id, &[]).unwrap();
    assert_eq!(bench.discovery.findings().hairpin, Some(true));
}

#[test]
fn a_refusal_of_all_is_told_and_all_can_begin_anew() {
    let mut bench = Bench::new();
    let (path, id) = bench.sent()[0];
    let refused = [Attribute::ErrorCode(ErrorCode { code: 500, reason: "" })];
    bench.receive(path, Class::Error, id, &refused).unwrap();
    assert_eq!(bench.discovery.poll_event(), Some(Event::Failed(Failure::Rejected(500))));
    assert_eq!((bench.discovery.poll_timeout(), bench.sent().len()), (None, 0));
    bench.discovery.start(bench.now);
    assert_eq!(bench.sent().len(), 2);
}

/// RFC 8489 has none for their number.
#[test]
fn attributes_have_their_limit() {
    for (limit, taken) in [(2, true), (1, false)] {
        let mut config = Config::default();
        config.max_attributes = limit;
        let mut bench = Bench::new();
        bench.discovery = Discovery::new(config, testkit::path(LOCAL[0], SERVER), at(LOCAL[1]), [1; 32]);
        bench.discovery.start(bench.now);
        let (path, id) = bench.sent()[0];
        // With the fingerprint there are two.
        let mapped = [Attribute::XorMappedAddress(at("203.0.113.1:1"))];
        assert_eq!(bench.receive(path, Class::Success, id, &mapped).is_ok(), taken, "{limit}");
    }
}
