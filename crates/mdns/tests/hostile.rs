//! What neighbours can do with messages that were made to cost.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::time::{Duration, Instant as Clock};

use crypto::Rng;
use mdns::wire::Message;
use mdns::{Config, Event};
use support::{arrival, ip, name, querier, queries, responder, response};
use testkit::epoch;

const NEIGHBOUR: &str = "192.0.2.2:5353";

/// A response of records whose names are a chain of pointers through 240 bytes of labels each.
fn worst(records: u16) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0x84, 0, 0, 0];
    bytes.extend(records.to_be_bytes());
    bytes.extend([0; 4]);
    let mut last = None;
    for number in 0..records {
        let at = bytes.len();
        if number < 15 {
            bytes.extend([15]);
            bytes.extend([b'a'; 15]);
            last = match last {
                None => {
                    bytes.push(0);
                    Some(at)
                }
                Some(before) => {
                    bytes.extend((0xc000 | u16::try_from(before).unwrap()).to_be_bytes());
                    Some(at)
                }
            };
        } else {
            bytes.extend((0xc000 | u16::try_from(last.unwrap()).unwrap()).to_be_bytes());
        }
        bytes.extend([0, 16, 0, 1, 0, 0, 0, 120, 0, 0]);
    }
    bytes
}

#[test]
fn the_work_of_the_worst_message_grows_with_its_size_alone() {
    let message = worst(256);
    assert!(message.len() < 9000);
    assert_eq!(Message::decode(&message).unwrap().records().count(), 256);
    let mut querier = querier(Config::default());
    for number in 0..64 {
        querier.resolve(epoch(), format!("aaaaaaaaaaaaaa{number:02}.local").parse().unwrap()).unwrap();
    }
    assert_eq!(queries(&mut querier, epoch()).len(), 64);
    // A label and a byte at a time this is some 30,000 steps a name; what is quadratic takes minutes.
    #[expect(clippy::disallowed_methods, reason = "this is about real time")]
    let begin = Clock::now();
    for _ in 0..20 {
        assert!(querier.handle_datagram(arrival(epoch(), NEIGHBOUR), &message).is_err());
    }
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[test]
fn a_flood_neither_stops_an_answer_nor_makes_us_shout() {
    let seed = [0x49; 32];
    let mut rng = Rng::new(seed);
    let mut querier = querier(Config::default());
    let mut responder = responder(Config::default());
    let ours = responder.announce(epoch(), ip("192.0.2.1")).unwrap();
    let query = querier.resolve(epoch(), name()).unwrap();
    let question = queries(&mut querier, epoch()).remove(0).1;
    let answer = response(&ours, "192.0.2.9");
    let (mut now, mut sent) = (epoch(), 0);
    for round in 0..testkit::scaled_at_least(1_000_000, 10_000) {
        now += Duration::from_micros(100);
        // Questions for our name, for another, answers that nobody has asked for, each with spoilt bytes.
        let mut bytes = match round % 3 {
            0 => support::query(&ours, mdns::wire::Kind::ANY),
            1 => question.clone(),
            _ => answer.clone(),
        };
        for _ in 0..rng.below(3) {
            let at = rng.below(u32::try_from(bytes.len()).unwrap()) as usize;
            bytes[at] = rng.array::<1>()[0];
        }
        let remote = if round % 2 == 0 { NEIGHBOUR } else { "192.0.2.2:4000" };
        let _ = querier.handle_datagram(arrival(now, remote), &bytes);
        let _ = responder.handle_datagram(arrival(now, remote), &bytes);
        sent += support::answers(&mut responder, now).len() as u64;
        let event = querier.poll_event();
        assert!(!matches!(event, Some(Event::Resolved(..))), "{event:?}, seed {seed:02x?}, round {round}");
        queries(&mut querier, now);
    }
    let seconds = (now - epoch()).as_secs() + 1;
    assert!(sent <= seconds * (50 + 1), "{sent} answers in {seconds} s");
    let query = if seconds > 15 { querier.resolve(now, name()).unwrap() } else { query };
    queries(&mut querier, now);
    querier.handle_datagram(arrival(now, NEIGHBOUR), &response(&name(), "192.0.2.9")).unwrap();
    assert_eq!(querier.poll_event(), Some(Event::Resolved(query, ip("192.0.2.9"))));
}
