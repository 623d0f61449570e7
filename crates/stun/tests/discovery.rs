//! Behaviour discovery against servers that lie and strangers that guess. What it finds out behind each kind of NAT is
//! in the tests of `turn`, whose server it asks there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::net::SocketAddr;
use std::time::Duration;

use proto::{Arrival, Batch, Instant, Path, Writer};
use stun::discovery::{Config, Dependence, Discovery, Event, Findings, Lifetime};
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
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let now = testkit::epoch();
        let path = testkit::path(LOCAL[0], SERVER);
        let mut discovery = Discovery::new(config, path, at(LOCAL[1]), [1; 32]);
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

/// RFC 5780 §4.4: what comes from another address is kept out, what comes from another port is let in.
#[test]
fn a_filter_by_address_lets_in_the_other_port() {
    let mut bench = Bench::new();
    let mapped = "203.0.113.1:4000";
    let asked = bench.connect(mapped, OTHER);
    let (path, id) = asked[1];
    let answered = Path { remote: at("192.0.2.1:3479"), ..path };
    bench.receive(answered, Class::Success, id, &[Attribute::XorMappedAddress(at(mapped))]).unwrap();
    let (event, found) = bench.rest();
    assert_eq!((event, found.filtering), (Some(Event::Finished), Some(Dependence::Address)));
}

/// RFC 5780 §4.3: beside what the server's first address sees, what its others see.
#[test]
fn mappings_are_told_by_what_each_address_of_the_server_sees() {
    let [first, second, third] = ["203.0.113.1:4000", "203.0.113.1:4001", "203.0.113.1:4002"];
    for (address, both, expected) in [
        (first, first, Dependence::EndpointIndependent),
        (first, second, Dependence::EndpointIndependent),
        (second, second, Dependence::Address),
        (second, third, Dependence::AddressAndPort),
    ] {
        let mut bench = Bench::new();
        let asked = bench.connect(first, OTHER);
        let (there, id) = *asked.iter().find(|(path, _)| path.remote == at(first)).unwrap();
        bench.receive(Path { local: at(LOCAL[1]), ..there }, Class::Request, id, &[]).unwrap();
        let (path, id) = asked[0];
        let mapped = [Attribute::XorMappedAddress(at(first))];
        bench.receive(Path { remote: at(OTHER), ..path }, Class::Success, id, &mapped).unwrap();
        assert_eq!(bench.discovery.findings().filtering, Some(Dependence::EndpointIndependent));

        let asked = bench.sent();
        assert_eq!(
            asked.iter().map(|(path, _)| path.remote).collect::<Vec<_>>(),
            [at("192.0.2.2:3478"), at(OTHER)]
        );
        for ((path, id), mapped) in asked.into_iter().zip([address, both]) {
            assert_eq!((bench.discovery.findings().mapping, bench.discovery.poll_event()), (None, None));
            bench.receive(path, Class::Success, id, &[Attribute::XorMappedAddress(at(mapped))]).unwrap();
        }
        let (event, found) = bench.rest();
        assert_eq!((event, found.mapping), (Some(Event::Finished), Some(expected)), "{address}, {both}");
    }
}

#[test]
fn a_port_is_kept_if_it_is_the_same_outside() {
    for (mapped, is_kept) in [("203.0.113.1:4000", true), ("203.0.113.1:4001", false)] {
        let mut bench = Bench::new();
        bench.connect(mapped, OTHER);
        assert_eq!(bench.discovery.findings().keeps_port(), is_kept, "{mapped}");
    }
}

/// RFC 5780 §4.6: the first socket is silent, and the second asks the server to send to the first one's port.
#[test]
fn the_life_of_a_mapping_is_asked_for_from_the_second_socket() {
    const LIFE: Duration = Duration::from_secs(100);
    let mut config = Config::default();
    config.max_lifetime = Some(Duration::from_secs(300));
    let mut bench = Bench::with(config);
    let mut waiting = bench.connect(LOCAL[0], SERVER);
    let (mut last, mapped) = (bench.now, [Attribute::XorMappedAddress(at(LOCAL[0]))]);
    let mut refreshed = 0;
    while !waiting.is_empty() {
        for (path, id) in waiting {
            if path.local == at(LOCAL[0]) {
                (last, refreshed) = (bench.now, refreshed + 1);
                bench.receive(path, Class::Success, id, &mapped).unwrap();
            } else if bench.now - last < LIFE {
                bench.receive(testkit::path(LOCAL[0], SERVER), Class::Success, id, &mapped).unwrap();
            }
        }
        waiting = bench.sent();
        while waiting.is_empty()
            && let Some(due) = bench.discovery.poll_timeout()
        {
            bench.now = due;
            waiting = bench.sent();
        }
    }
    let seconds = Duration::from_secs_f64;
    let expected = Lifetime { at_least: seconds(97.5), below: Some(seconds(105.0)) };
    assert_eq!(bench.discovery.poll_event(), Some(Event::Finished));
    assert_eq!(bench.discovery.findings().lifetime, Some(expected));
    // After silences of 0, 30, 60, 120, 90, 105 and 97.5 seconds.
    assert_eq!(refreshed, 7);
}

/// What a NAT may rightly keep from us is given up sooner than what every working path answers.
#[test]
fn each_request_is_sent_as_often_as_its_schedule_says() {
    let mut bench = Bench::new();
    let mut sent = bench.sent();
    while let Some(due) = bench.discovery.poll_timeout() {
        bench.now = due;
        sent.extend(bench.sent());
    }
    let count = |local| sent.iter().filter(|(path, _)| path.local == at(local)).count();
    assert_eq!((count(LOCAL[0]), count(LOCAL[1])), (7, 5));
    assert_eq!(bench.discovery.poll_event(), Some(Event::Failed(Failure::TimedOut)));
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
        let mut bench = Bench::with(config);
        let (path, id) = bench.sent()[0];
        // With the fingerprint there are two.
        let mapped = [Attribute::XorMappedAddress(at("203.0.113.1:1"))];
        assert_eq!(bench.receive(path, Class::Success, id, &mapped).is_ok(), taken, "{limit}");
    }
}
