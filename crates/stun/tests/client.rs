//! The client against a server that answers, one that never does, and one that lies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::time::Duration;

use proto::{Arrival, Batch, Instant, Path};
use stun::wire::{Attribute, Class, Encoder, ErrorCode, Message, Method, TransactionId};
use stun::{Client, Config, Discard, Event, Failure, Writer};
use testkit::{epoch, path};

#[test]
fn requests_follow_the_schedule_of_the_rfc() {
    // RFC 8489 §6.2.1: with an RTO of 500 ms the requests leave at these times.
    let mut client = started();
    let mut sent = Vec::new();
    let mut now = epoch();
    loop {
        client.handle_timeout(now);
        while request(&mut client, now).is_some() {
            sent.push((now - epoch()).as_millis());
        }
        let Some(next) = client.poll_timeout() else { break };
        assert!(next > now);
        now = next;
    }
    assert_eq!(sent, [0, 500, 1500, 3500, 7500, 15500, 31500]);
    assert_eq!(now - epoch(), Duration::from_millis(39_500));
    assert_eq!(client.poll_event(), Some(Event::Failed(Failure::TimedOut)));
    assert_eq!(client.poll_event(), None);
}

#[test]
fn learns_the_address_and_refreshes_it() {
    let mut client = started();
    let id = request(&mut client, epoch()).unwrap();
    let later = epoch() + Duration::from_millis(30);
    let mapped = "198.51.100.7:4001".parse().unwrap();
    assert_eq!(answer(&mut client, later, &success(id, mapped)), Ok(()));
    assert_eq!(client.poll_event(), Some(Event::Mapped(mapped)));
    assert_eq!(client.round_trip(), Some(Duration::from_millis(30)));
    assert_eq!(client.poll_timeout(), Some(later + Duration::from_secs(15)));
    assert_eq!(answer(&mut client, later, &success(id, mapped)), Err(Discard::UnknownTransaction));

    let refresh = client.poll_timeout().unwrap();
    let second = request(&mut client, refresh).unwrap();
    assert_ne!(second, id);
    answer(&mut client, refresh, &success(second, mapped)).unwrap();
    assert_eq!(client.poll_event(), None, "the same address is no news");

    let refresh = client.poll_timeout().unwrap();
    let third = request(&mut client, refresh).unwrap();
    let moved = "198.51.100.7:9".parse().unwrap();
    answer(&mut client, refresh, &success(third, moved)).unwrap();
    assert_eq!(client.poll_event(), Some(Event::Mapped(moved)));
}

/// THREATS I5: only the transaction's own path answers it, and what is refused changes nothing.
#[test]
fn what_is_refused_leaves_no_trace() {
    let (mut client, mut twin) = (started(), started());
    let id = request(&mut client, epoch()).unwrap();
    assert_eq!(request(&mut twin, epoch()), Some(id));
    let mapped = "198.51.100.7:4001".parse().unwrap();
    let good = success(id, mapped);
    let elsewhere = Arrival { path: path(CLIENT, "192.0.2.2:3478"), ecn: None, at: epoch() };
    assert_eq!(client.handle_datagram(elsewhere, &good), Err(Discard::WrongPath));
    assert_eq!(
        answer(&mut client, epoch(), &success(TransactionId([0; 12]), mapped)),
        Err(Discard::UnknownTransaction)
    );
    let empty = message(Class::Success, id, &[]);
    assert_eq!(answer(&mut client, epoch(), &empty), Err(Discard::Incomplete));
    let demanding = message(Class::Success, id, &[Attribute::Unknown { kind: 0x0099, value: &[] }]);
    assert_eq!(answer(&mut client, epoch(), &demanding), Err(Discard::UnknownAttribute(0x99)));
    let ask = message(Class::Request, id, &[]);
    assert_eq!(answer(&mut client, epoch(), &ask), Err(Discard::UnknownTransaction));
    for cut in 0..good.len() {
        assert!(matches!(answer(&mut client, epoch(), &good[..cut]), Err(Discard::Malformed(_))));
    }
    assert_eq!(client.poll_timeout(), twin.poll_timeout());
    assert_eq!(client.poll_event(), None);
    let next = client.poll_timeout().unwrap();
    assert_eq!(request(&mut client, next), request(&mut twin, next));
    assert_eq!(answer(&mut client, next, &good), Ok(()));
    assert_eq!(client.stats().discarded, 5 + good.len() as u64);
}

#[test]
fn the_round_trip_begins_when_the_request_leaves() {
    let mut client = started();
    let left = epoch() + Duration::from_millis(50);
    let id = request(&mut client, left).unwrap();
    let mapped = "198.51.100.7:4001".parse().unwrap();
    answer(&mut client, left + Duration::from_millis(30), &success(id, mapped)).unwrap();
    assert_eq!(client.round_trip(), Some(Duration::from_millis(30)));
}

/// RFC 8489 §6.3.3: whoever answers what was never sent has guessed.
#[test]
fn an_answer_before_the_request_is_refused() {
    let (mut client, mut twin) = (started(), started());
    let id = request(&mut twin, epoch()).unwrap();
    let good = success(id, "198.51.100.7:4001".parse().unwrap());
    assert_eq!(answer(&mut client, epoch(), &good), Err(Discard::UnknownTransaction));
    assert_eq!(request(&mut client, epoch()), Some(id));
    assert_eq!(answer(&mut client, epoch(), &good), Ok(()));
}

#[test]
fn the_address_is_known_from_the_answer_to_the_stop() {
    let mut client = started();
    assert_eq!(client.mapped(), None);
    let id = request(&mut client, epoch()).unwrap();
    let mapped = "198.51.100.7:4001".parse().unwrap();
    answer(&mut client, epoch(), &success(id, mapped)).unwrap();
    assert_eq!(client.mapped(), Some(mapped));
    client.stop();
    assert_eq!(client.mapped(), None);
}

#[test]
fn only_the_answer_in_flight_on_its_own_path_is_accepted() {
    let mut client = started();
    let id = request(&mut client, epoch()).unwrap();
    let mapped = "198.51.100.7:4001".parse().unwrap();
    let good = success(id, mapped);
    assert!(client.accepts(path(CLIENT, SERVER), &good));
    assert!(!client.accepts(path(CLIENT, "192.0.2.2:3478"), &good));
    assert!(!client.accepts(path(CLIENT, SERVER), &success(TransactionId([0; 12]), mapped)));
    assert!(!client.accepts(path(CLIENT, SERVER), &good[..19]));
    answer(&mut client, epoch(), &good).unwrap();
    assert!(!client.accepts(path(CLIENT, SERVER), &good), "nothing is in flight");
}

#[test]
fn a_refusal_is_reported_with_its_code() {
    let mut client = started();
    let id = request(&mut client, epoch()).unwrap();
    let error = Attribute::ErrorCode(ErrorCode { code: 500, reason: "no" });
    answer(&mut client, epoch(), &message(Class::Error, id, &[error])).unwrap();
    assert_eq!(client.poll_event(), Some(Event::Failed(Failure::Rejected(500))));
    assert_eq!(client.poll_timeout(), None);
}

#[test]
fn too_little_room_delays_the_request_and_loses_nothing() {
    let mut client = started();
    let mut memory = [0; 27];
    assert!(client.poll_transmit(epoch(), &mut Batch::new(&mut memory, 1, 1200)).is_none());
    assert_eq!(client.stats().sent, 0);
    assert!(request(&mut client, epoch()).is_some());
}

#[test]
fn time_that_runs_backwards_counts_as_the_latest_seen() {
    let (mut client, mut twin) = (started(), started());
    let late = epoch() + Duration::from_millis(700);
    client.handle_timeout(late);
    assert!(request(&mut client, epoch()).is_some());
    assert!(request(&mut twin, late).is_some());
    assert_eq!(client.poll_timeout(), twin.poll_timeout());
}

#[test]
fn equal_seeds_give_equal_bytes() {
    let run = |seed| {
        let mut client = Client::new(Config::default(), path(CLIENT, SERVER), seed);
        client.start(epoch());
        request(&mut client, epoch())
    };
    assert_eq!(run([1; 32]), run([1; 32]));
    assert_ne!(run([1; 32]), run([2; 32]));
}

/// RFC 8489 §5: one identifier for a request however often it is sent, another for each one after it.
#[test]
fn each_transaction_has_an_identifier_of_its_own() {
    let mut seen = std::collections::BTreeSet::new();
    let mut now = epoch();
    let mut client = started();
    for _ in 0..200 {
        let id = request(&mut client, now).unwrap();
        for _ in 0..3 {
            now = client.poll_timeout().unwrap();
            client.handle_timeout(now);
            assert_eq!(request(&mut client, now), Some(id));
        }
        assert!(seen.insert(id), "{id:?} came twice");
        answer(&mut client, now, &success(id, ([192, 0, 2, 9], 9).into())).unwrap();
        now = client.poll_timeout().unwrap();
        client.handle_timeout(now);
    }
    // They are drawn, not counted: every bit is set in about half of them.
    for bit in 0..96 {
        let set = seen.iter().filter(|id| id.0[bit / 8] >> (bit % 8) & 1 == 1).count();
        assert!((60..140).contains(&set), "bit {bit}: {set} of 200");
    }
}

/// One attribute more than is allowed is one too many, whatever it is.
#[test]
fn a_response_may_have_as_many_attributes_as_the_limit() {
    for limit in [1, 5, 64] {
        for extra in [0, 1] {
            let mut config = Config::default();
            assert_eq!(config.max_attributes, 64);
            config.max_attributes = limit;
            let mut client = Client::new(config, path("198.51.100.7:4000", "192.0.2.1:3478"), [7; 32]);
            client.start(epoch());
            let id = request(&mut client, epoch()).unwrap();
            let mut attributes = vec![Attribute::XorMappedAddress(([192, 0, 2, 9], 9).into())];
            // FINGERPRINT is one of them; a lone attribute leaves no room for it.
            attributes.resize((limit + extra).saturating_sub(1).max(1), Attribute::Software("s"));
            let counted = attributes.len() + 1;
            let taken = answer(&mut client, epoch(), &message(Class::Success, id, &attributes));
            let expected = if counted <= limit {
                Ok(())
            } else {
                Err(Discard::Malformed(stun::DecodeError::TooManyAttributes))
            };
            assert_eq!(taken, expected, "{counted} of {limit}");
        }
    }
}

fn started() -> Client {
    let mut client = Client::new(Config::default(), path(CLIENT, SERVER), [1; 32]);
    client.start(epoch());
    client
}

/// The transaction of the request that is due.
fn request(client: &mut Client, now: Instant) -> Option<TransactionId> {
    let mut memory = [0; 1500];
    let mut batch = Batch::new(&mut memory, 1, 1200);
    let transmit = client.poll_transmit(now, &mut batch)?;
    assert_eq!(transmit.path, path(CLIENT, SERVER));
    let message = Message::decode(batch.bytes()).unwrap();
    assert_eq!(message.class(), Class::Request);
    Some(message.transaction())
}

fn answer(client: &mut Client, at: Instant, datagram: &[u8]) -> Result<(), Discard> {
    let path: Path = path(CLIENT, SERVER);
    client.handle_datagram(Arrival { path, ecn: None, at }, datagram)
}

fn success(id: TransactionId, mapped: std::net::SocketAddr) -> Vec<u8> {
    message(Class::Success, id, &[Attribute::XorMappedAddress(mapped)])
}

fn message(class: Class, id: TransactionId, attributes: &[Attribute<'_>]) -> Vec<u8> {
    let mut memory = [0; 1500];
    let mut out = Writer::new(&mut memory);
    let mut encoder = Encoder::new(&mut out, class, Method::BINDING, id).unwrap();
    for attribute in attributes {
        encoder.attribute(*attribute).unwrap();
    }
    encoder.finish(None).unwrap();
    out.written().to_vec()
}

const CLIENT: &str = "198.51.100.7:4000";
const SERVER: &str = "192.0.2.1:3478";
