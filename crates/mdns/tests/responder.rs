//! What the responder answers, to whom, and how often.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use mdns::wire::{Class, Data, Header, Kind, Message, Question, Record, Section};
use mdns::{CommandError, Config, DecodeError, Discard, Instant, LocalName, Responder};
use support::{answers, arrival, encode, ip, link, query, question, record, responder, response, told};
use testkit::epoch;

const NEIGHBOUR: &str = "192.0.2.2:5353";
/// One that knows plain DNS alone.
const PLAIN: &str = "192.0.2.2:40000";

fn at(millis: u64) -> Instant {
    epoch() + Duration::from_millis(millis)
}

/// A responder that announces nothing unasked, and its name for 192.0.2.1.
fn silent() -> (Responder, LocalName) {
    let mut config = Config::default();
    config.announcements = 0;
    let mut responder = responder(config);
    let name = responder.announce(epoch(), ip("192.0.2.1")).unwrap();
    (responder, name)
}

fn records(bytes: &[u8]) -> Vec<(Section, Kind, bool, u32)> {
    let message = Message::decode(bytes).unwrap();
    message.records().map(|record| (record.section, record.kind, record.flush, record.ttl)).collect()
}

#[test]
fn a_new_name_is_told_twice_a_second_apart() {
    let mut responder = responder(Config::default());
    let name = responder.announce(epoch(), ip("192.0.2.1")).unwrap();
    for millis in [0, 1000] {
        assert_eq!(responder.poll_timeout(), Some(at(millis)));
        let sent = answers(&mut responder, at(millis));
        let [(path, bytes)] = sent.as_slice() else { panic!("one announcement: {sent:?}") };
        assert_eq!(*path, link(1).path());
        assert_eq!(Message::decode(bytes).unwrap().header(), Header::RESPONSE);
        assert_eq!(told(bytes), [(name.to_string(), ip("192.0.2.1"), 120)]);
    }
    assert_eq!(responder.poll_timeout(), None);
}

#[test]
fn a_question_is_answered_to_all_with_what_there_is_and_what_there_is_not() {
    for (address, has, has_not) in [("192.0.2.1", Kind::A, Kind::AAAA), ("2001:db8::1", Kind::AAAA, Kind::A)]
    {
        let (mut responder, _) = silent();
        let name = responder.announce(epoch(), ip(address)).unwrap();
        let (mut ask, now) = (0, |ask: u64| at(ask * 2000));
        for (kind, sections) in [
            (has, [(Section::Answer, has), (Section::Additional, Kind::NSEC)]),
            (Kind::ANY, [(Section::Answer, has), (Section::Additional, Kind::NSEC)]),
            (has_not, [(Section::Answer, Kind::NSEC), (Section::Additional, has)]),
            // A service of that name, for example: there is none.
            (Kind(33), [(Section::Answer, Kind::NSEC), (Section::Additional, has)]),
        ] {
            ask += 1;
            responder.handle_datagram(arrival(now(ask), NEIGHBOUR), &query(&name, kind)).unwrap();
            // RFC 6762 §6: nobody else has this name, so there is nobody to wait for.
            assert_eq!(responder.poll_timeout(), Some(now(ask)));
            let sent = answers(&mut responder, now(ask));
            assert_eq!((sent.len(), sent[0].0), (1, link(1).path()));
            let message = Message::decode(&sent[0].1).unwrap();
            assert_eq!((message.header(), message.questions().count()), (Header::RESPONSE, 0));
            let expected = sections.map(|(section, kind)| (section, kind, true, 120));
            assert_eq!(records(&sent[0].1), expected, "{address} {kind:?}");
            for record in message.records() {
                assert_eq!((record.name, record.class), (name.as_name(), Class::IN));
                if let Data::Nsec(nsec) = record.data {
                    assert!(nsec.next == name.as_name() && nsec.has(has) && !nsec.has(has_not));
                }
            }
        }
    }
}

#[test]
fn both_families_in_one_query_are_answered_in_one_message() {
    let (mut responder, name) = silent();
    let both = encode(Header::QUERY, &[question(&name, Kind::A), question(&name, Kind::AAAA)], &[]);
    responder.handle_datagram(arrival(epoch(), NEIGHBOUR), &both).unwrap();
    let sent = answers(&mut responder, epoch());
    assert_eq!(sent.len(), 1);
    assert_eq!(
        records(&sent[0].1),
        [(Section::Answer, Kind::A, true, 120), (Section::Answer, Kind::NSEC, true, 120)]
    );
}

#[test]
fn no_record_is_multicast_twice_on_a_link_within_a_second() {
    let (mut responder, name) = silent();
    let mut times = Vec::new();
    for millis in (0..5000).step_by(10) {
        responder.handle_datagram(arrival(at(millis), NEIGHBOUR), &query(&name, Kind::A)).unwrap();
        times.extend(answers(&mut responder, at(millis)).iter().map(|_| millis));
    }
    assert_eq!(times, [0, 1000, 2000, 3000, 4000]);
    // The last question is answered as well, when it may be.
    assert_eq!(responder.poll_timeout(), Some(at(5000)));
    assert_eq!(answers(&mut responder, at(5000)).len(), 1);
}

#[test]
fn each_link_tells_only_the_addresses_that_it_has() {
    let mut responder = responder(Config::default());
    let other = mdns::Link::new("198.51.100.1:5353".parse().unwrap()).with_network(ip("198.51.100.1"), 24);
    responder.add_link(other.clone()).unwrap();
    let here = responder.announce(epoch(), ip("192.0.2.1")).unwrap();
    let there = responder.announce(epoch(), ip("198.51.100.1")).unwrap();
    let sent = answers(&mut responder, epoch());
    let told: Vec<_> = sent.iter().map(|(path, bytes)| (path.local, told(bytes)[0].0.clone())).collect();
    assert_eq!(told, [(link(1).local(), here.to_string()), (other.local(), there.to_string())]);
    let refused = responder.handle_datagram(arrival(epoch(), NEIGHBOUR), &query(&there, Kind::A));
    assert_eq!(refused, Err(Discard::NotOurs));
    assert_eq!(responder.announce(epoch(), ip("203.0.113.1")), Err(CommandError::NotOnALink));
    // A link that is gone tells nothing, and a new one is asked before it does.
    responder.remove_link(link(1).local());
    responder.add_link(link(1)).unwrap();
    let sent = answers(&mut responder, at(1000));
    assert_eq!(sent.iter().map(|(path, _)| path.local).collect::<Vec<_>>(), [other.local()]);
    responder.handle_datagram(arrival(at(1000), NEIGHBOUR), &query(&here, Kind::A)).unwrap();
    assert_eq!(answers(&mut responder, at(1000)).len(), 1);
}

#[test]
fn who_knows_the_answer_for_half_of_its_time_gets_none() {
    let (mut responder, name) = silent();
    for (ttl, address, section, silent) in [
        (60, "192.0.2.1", Section::Answer, true),
        (59, "192.0.2.1", Section::Answer, false),
        (60, "192.0.2.9", Section::Answer, false),
        (60, "192.0.2.1", Section::Additional, false),
    ] {
        let known = Record { ttl, section, ..record(&name, ip(address)) };
        let bytes = encode(Header::QUERY, &[question(&name, Kind::A)], &[known]);
        let outcome = responder.handle_datagram(arrival(epoch(), NEIGHBOUR), &bytes);
        assert_eq!(outcome, if silent { Err(Discard::AlreadyKnown) } else { Ok(()) }, "{ttl} {address}");
    }
}

#[test]
fn unicast_is_given_when_it_is_asked_for_and_all_were_told_lately() {
    let (mut responder, name) = silent();
    let bytes =
        encode(Header { id: 77, flags: 0 }, &[Question { unicast: true, ..question(&name, Kind::A) }], &[]);
    // All have been told nothing yet, and after a quarter of two minutes too little.
    for (millis, unicast) in [(0, false), (29_999, true), (30_000, false)] {
        responder.handle_datagram(arrival(at(millis), NEIGHBOUR), &bytes).unwrap();
        let sent = answers(&mut responder, at(millis));
        assert_eq!(sent.len(), 1);
        let remote = if unicast { NEIGHBOUR.parse().unwrap() } else { link(1).path().remote };
        assert_eq!(sent[0].0.remote, remote, "after {millis} ms");
        let message = Message::decode(&sent[0].1).unwrap();
        assert_eq!((message.header().id, message.questions().count()), (if unicast { 77 } else { 0 }, 0));
        assert_eq!(records(&sent[0].1)[0], (Section::Answer, Kind::A, true, 120));
    }
}

#[test]
fn who_knows_plain_dns_alone_is_answered_as_it_expects() {
    let (mut responder, name) = silent();
    let bytes = encode(Header { id: 0x1234, flags: 0x0100 }, &[question(&name, Kind::A)], &[]);
    responder.handle_datagram(arrival(epoch(), PLAIN), &bytes).unwrap();
    let sent = answers(&mut responder, epoch());
    assert_eq!((sent.len(), sent[0].0.remote), (1, PLAIN.parse().unwrap()));
    let message = Message::decode(&sent[0].1).unwrap();
    assert_eq!(message.header(), Header { id: 0x1234, flags: 0x8400 });
    assert_eq!(message.questions().collect::<Vec<_>>(), [question(&name, Kind::A)]);
    assert_eq!(
        records(&sent[0].1),
        [(Section::Answer, Kind::A, false, 10), (Section::Additional, Kind::NSEC, false, 10)]
    );
}

#[test]
fn answers_by_unicast_wait_and_are_given_up_to_their_numbers_and_not_one_more() {
    let (mut responder, name) = silent();
    let ask = |responder: &mut Responder, now| {
        responder.handle_datagram(arrival(now, PLAIN), &query(&name, Kind::A))
    };
    for _ in 0..16 {
        ask(&mut responder, epoch()).unwrap();
    }
    assert_eq!(ask(&mut responder, epoch()), Err(Discard::TooManyReplies));
    let mut given = answers(&mut responder, epoch()).len();
    assert_eq!(given, 16);
    while ask(&mut responder, at(999)).is_ok() {
        given += answers(&mut responder, at(999)).len();
    }
    assert_eq!(given, 50);
    ask(&mut responder, at(1000)).unwrap();
    // All others are still told.
    responder.handle_datagram(arrival(at(1000), NEIGHBOUR), &query(&name, Kind::A)).unwrap();
    assert_eq!(answers(&mut responder, at(1000)).len(), 2);
}

#[test]
fn as_many_names_as_the_limit_are_made_and_not_one_more() {
    let mut config = Config::default();
    config.max_names = 2;
    let mut responder = responder(config);
    let first = responder.announce(epoch(), ip("192.0.2.1")).unwrap();
    assert_ne!(responder.announce(epoch(), ip("192.0.2.1")), Ok(first), "one for each session");
    assert_eq!(responder.announce(epoch(), ip("192.0.2.1")), Err(CommandError::TooManyNames));
    responder.withdraw(epoch(), &first);
    assert!(responder.announce(epoch(), ip("192.0.2.1")).is_ok());
}

/// Sessions that end all at once are not in the way of those that begin, though their goodbyes wait for a second.
#[test]
fn names_that_leave_make_room_for_others_at_once() {
    let mut config = Config::default();
    config.max_names = 2;
    let mut responder = responder(config);
    for round in 0..10 {
        let names = [(); 2].map(|()| responder.announce(at(round), ip("192.0.2.1")).unwrap());
        assert_eq!(responder.announce(at(round), ip("192.0.2.1")), Err(CommandError::TooManyNames));
        answers(&mut responder, at(round));
        names.iter().for_each(|name| responder.withdraw(at(round), name));
    }
    // Of goodbyes no more are kept than twice as many.
    let goodbyes = answers(&mut responder, at(2000));
    assert_eq!(goodbyes.iter().filter(|(_, bytes)| told(bytes)[0].2 == 0).count(), 4);
    assert!(responder.is_idle());
}

#[test]
fn what_is_withdrawn_is_revoked_where_it_was_told_and_answered_for_no_more() {
    let mut responder = responder(Config::default());
    let name = responder.announce(epoch(), ip("192.0.2.1")).unwrap();
    answers(&mut responder, epoch());
    responder.handle_datagram(arrival(epoch(), PLAIN), &query(&name, Kind::A)).unwrap();
    responder.withdraw(at(10), &name);
    let refused = responder.handle_datagram(arrival(at(10), NEIGHBOUR), &query(&name, Kind::A));
    assert_eq!(refused, Err(Discard::NotOurs));
    assert_eq!(answers(&mut responder, at(10)), [], "the answer that waited is gone too");
    assert_eq!((responder.poll_timeout(), responder.is_idle()), (Some(at(1000)), false));
    let sent = answers(&mut responder, at(1000));
    assert_eq!(told(&sent[0].1), [(name.to_string(), ip("192.0.2.1"), 0)]);
    assert_eq!((sent.len(), responder.poll_timeout(), responder.is_idle()), (1, None, true));
    // Who was told nothing needs no goodbye.
    let (mut responder, _) = silent();
    responder.close(epoch());
    assert_eq!((answers(&mut responder, at(5000)), responder.is_idle()), (vec![], true));
}

#[test]
fn questions_that_are_not_for_us_change_nothing() {
    let (mut responder, name) = silent();
    let good = query(&name, Kind::A);
    let other: LocalName = "other.local".parse().unwrap();
    let with = |flags| encode(Header { id: 0, flags }, &[question(&name, Kind::A)], &[]);
    let chaos = encode(Header::QUERY, &[Question { class: Class(3), ..question(&name, Kind::A) }], &[]);
    let before = format!("{responder:?}");
    let cases = [
        (NEIGHBOUR, query(&other, Kind::A), Discard::NotOurs),
        (NEIGHBOUR, encode(Header::QUERY, &[], &[]), Discard::NotOurs),
        (NEIGHBOUR, chaos, Discard::NotOurs),
        (NEIGHBOUR, response(&name, "192.0.2.66"), Discard::NotAQuery),
        (NEIGHBOUR, with(0x0800), Discard::NotPlain),
        (NEIGHBOUR, with(0x0003), Discard::NotPlain),
        ("8.8.8.8:5353", good.clone(), Discard::OffLink),
        ("8.8.8.8:53", good.clone(), Discard::OffLink),
        (NEIGHBOUR, good[..20].to_vec(), Discard::Malformed(DecodeError::Truncated)),
        (NEIGHBOUR, vec![0; 9001], Discard::TooLong),
    ];
    let count = cases.len();
    for (remote, bytes, reason) in cases {
        assert_eq!(responder.handle_datagram(arrival(epoch(), remote), &bytes), Err(reason), "{reason}");
    }
    assert_eq!(format!("{responder:?}"), before.replace("discarded: 0", &format!("discarded: {count}")));
    responder.remove_link(link(1).local());
    assert_eq!(responder.handle_datagram(arrival(epoch(), NEIGHBOUR), &good), Err(Discard::UnknownLink));
}

#[test]
fn a_batch_without_room_loses_no_answer() {
    let (mut responder, name) = silent();
    responder.handle_datagram(arrival(epoch(), PLAIN), &query(&name, Kind::A)).unwrap();
    responder.handle_datagram(arrival(epoch(), NEIGHBOUR), &query(&name, Kind::A)).unwrap();
    let mut memory = [0; 60];
    assert_eq!(responder.poll_transmit(epoch(), &mut mdns::Batch::new(&mut memory, 1, 1500)), None);
    assert_eq!(answers(&mut responder, epoch()).len(), 2);
}
