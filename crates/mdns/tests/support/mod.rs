//! Links, datagrams and messages for the tests of this crate.
#![allow(dead_code, reason = "each test uses a part")]

use std::net::{IpAddr, SocketAddr};

use mdns::wire::{Class, Data, Encoder, Header, Kind, Message, Question, Record, Section};
use mdns::{Arrival, Batch, Config, Instant, Link, LocalName, Path, Querier, Responder, Transmit, Writer};

pub(crate) const NAME: &str = "9b36eaac-bb2e-49bb-bb78-21c41c499900.local";

pub(crate) fn name() -> LocalName {
    NAME.parse().unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The socket of the host with this last byte on 192.0.2.0/24, whose interface is on 2001:db8::/64 too.
pub(crate) fn link(host: u8) -> Link {
    Link::new(SocketAddr::from(([192, 0, 2, host], mdns::PORT)))
        .with_network([192, 0, 2, host].into(), 24)
        .with_network(ip("2001:db8::1"), 64)
}

/// A datagram to host 1, from `remote`.
pub(crate) fn arrival(at: Instant, remote: &str) -> Arrival {
    let path = Path { local: link(1).local(), remote: remote.parse().unwrap(), ..link(1).path() };
    Arrival { path, ecn: None, at }
}

pub(crate) fn querier(config: Config) -> Querier {
    let mut querier = Querier::new(testkit::epoch(), config);
    querier.add_link(link(1)).unwrap();
    querier
}

pub(crate) fn responder(config: Config) -> Responder {
    let mut responder = Responder::new(testkit::epoch(), config, [7; 32]);
    responder.add_link(link(1)).unwrap();
    responder
}

/// All that `poll` sends.
pub(crate) fn sent(mut poll: impl FnMut(&mut Batch<'_>) -> Option<Transmit>) -> Vec<(Path, Vec<u8>)> {
    let mut memory = [0; 1500];
    let mut all = Vec::new();
    loop {
        let mut batch = Batch::new(&mut memory, 1, 1500);
        let Some(transmit) = poll(&mut batch) else { return all };
        all.push((transmit.path, batch.bytes().to_vec()));
        assert!(all.len() < 10_000, "it sends without end");
    }
}

pub(crate) fn queries(querier: &mut Querier, now: Instant) -> Vec<(Path, Vec<u8>)> {
    sent(|batch| querier.poll_transmit(now, batch))
}

pub(crate) fn answers(responder: &mut Responder, now: Instant) -> Vec<(Path, Vec<u8>)> {
    sent(|batch| responder.poll_transmit(now, batch))
}

pub(crate) fn encode(header: Header, questions: &[Question<'_>], records: &[Record<'_>]) -> Vec<u8> {
    let mut memory = [0; 9100];
    let mut out = Writer::new(&mut memory);
    let mut encoder = Encoder::new(&mut out, header).unwrap();
    questions.iter().for_each(|question| encoder.question(question).unwrap());
    records.iter().for_each(|record| encoder.record(record).unwrap());
    encoder.finish().unwrap();
    out.written().to_vec()
}

pub(crate) fn question(name: &LocalName, kind: Kind) -> Question<'_> {
    Question { name: name.as_name(), kind, class: Class::IN, unicast: false }
}

pub(crate) fn query(name: &LocalName, kind: Kind) -> Vec<u8> {
    encode(Header::QUERY, &[question(name, kind)], &[])
}

/// That `name` is at `address`, for two minutes.
pub(crate) fn record(name: &LocalName, address: IpAddr) -> Record<'_> {
    let (kind, data) = match address {
        IpAddr::V4(v4) => (Kind::A, Data::A(v4)),
        IpAddr::V6(v6) => (Kind::AAAA, Data::Aaaa(v6)),
    };
    Record {
        section: Section::Answer,
        name: name.as_name(),
        kind,
        class: Class::IN,
        flush: true,
        ttl: 120,
        data,
    }
}

pub(crate) fn response(name: &LocalName, address: &str) -> Vec<u8> {
    encode(Header::RESPONSE, &[], &[record(name, ip(address))])
}

/// The address records of a message, as text, each with its time to live.
pub(crate) fn told(bytes: &[u8]) -> Vec<(String, IpAddr, u32)> {
    let message = Message::decode(bytes).unwrap();
    let records = message.records().filter_map(|record| {
        let address = match record.data {
            Data::A(v4) => v4.into(),
            Data::Aaaa(v6) => v6.into(),
            Data::Nsec(_) | Data::Other(_) => return None,
        };
        Some((record.name.to_string(), address, record.ttl))
    });
    records.collect()
}
