//! What the querier asks, when, and whom it believes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::sync::LazyLock;
use std::time::Duration;

use mdns::wire::{Class, Header, Kind, Message, Record, Section};
use mdns::{CommandError, Config, DecodeError, Discard, Event, Instant, LocalName, Querier};
use support::{arrival, encode, ip, link, name, querier, queries, query, record, response};
use testkit::epoch;

const NEIGHBOUR: &str = "192.0.2.2:5353";
static NAME: LazyLock<LocalName> = LazyLock::new(name);

fn asking() -> Querier {
    let mut querier = querier(Config::default());
    querier.resolve(epoch(), name()).unwrap();
    assert_eq!(queries(&mut querier, epoch()).len(), 1);
    querier
}

/// When queries leave, in milliseconds, until there is nothing to do.
fn schedule(querier: &mut Querier) -> Vec<u128> {
    let mut times = Vec::new();
    while let Some(due) = querier.poll_timeout() {
        let sent = queries(querier, due).len();
        times.extend(std::iter::repeat_n((due - epoch()).as_millis(), sent));
    }
    times
}

#[test]
fn both_families_are_asked_for_in_one_message_to_the_group() {
    let mut querier = querier(Config::default());
    querier.resolve(epoch(), name()).unwrap();
    let sent = queries(&mut querier, epoch());
    let [(path, bytes)] = sent.as_slice() else { panic!("one query: {sent:?}") };
    assert_eq!(*path, link(1).path());
    let message = Message::decode(bytes).unwrap();
    assert_eq!(message.header(), Header::QUERY);
    let asked: Vec<_> =
        message.questions().map(|q| (q.name.to_string(), q.kind, q.class, q.unicast)).collect();
    let name = name().to_string();
    assert_eq!(asked, [(name.clone(), Kind::A, Class::IN, false), (name, Kind::AAAA, Class::IN, false)]);
}

#[test]
fn a_name_is_asked_for_after_one_two_and_four_seconds_and_given_up_after_fifteen() {
    let mut querier = querier(Config::default());
    let query = querier.resolve(epoch(), name()).unwrap();
    assert_eq!(schedule(&mut querier), [0, 1000, 3000, 7000]);
    assert_eq!(querier.poll_event(), Some(Event::Failed(query)));
    assert_eq!(querier.poll_event(), None);
    // Asked again, later, it begins anew.
    let again = querier.resolve(epoch() + Duration::from_secs(15), name()).unwrap();
    assert_eq!(again, query);
    assert_eq!(schedule(&mut querier), [15_000, 16_000, 18_000, 22_000]);
}

#[test]
fn the_second_query_never_comes_sooner_than_a_second_after_the_first() {
    let mut config = Config::default();
    (config.interval, config.max_queries) = (Duration::ZERO, 3);
    let mut querier = querier(config);
    querier.resolve(epoch(), name()).unwrap();
    assert_eq!(schedule(&mut querier), [0, 1000, 3000]);
}

#[test]
fn every_link_is_asked_on() {
    let mut querier = querier(Config::default());
    querier.add_link(link(9)).unwrap();
    querier.resolve(epoch(), name()).unwrap();
    let paths: Vec<_> = queries(&mut querier, epoch()).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, [link(1).path(), link(9).path()]);
    assert_eq!(schedule(&mut querier), [1000, 1000, 3000, 3000, 7000, 7000]);
    // The one that goes away is asked on no more; without any the question runs out.
    let mut querier = asking();
    querier.add_link(link(9)).unwrap();
    querier.remove_link(link(1).local());
    let paths: Vec<_> =
        queries(&mut querier, epoch() + Duration::from_secs(1)).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, [link(9).path()]);
    querier.remove_link(link(9).local());
    assert_eq!(schedule(&mut querier), [0_u128; 0]);
    assert!(matches!(querier.poll_event(), Some(Event::Failed(_))));
}

#[test]
fn an_answer_in_either_family_ends_the_question() {
    for address in ["192.0.2.7", "2001:db8::7", "10.1.1.1", "169.254.7.7"] {
        let mut querier = querier(Config::default());
        let query = querier.resolve(epoch(), name()).unwrap();
        queries(&mut querier, epoch());
        // However the answerer writes the name.
        let loud: LocalName = name().to_string().to_uppercase().parse().unwrap();
        querier.handle_datagram(arrival(epoch(), NEIGHBOUR), &response(&loud, address)).unwrap();
        assert_eq!(querier.poll_event(), Some(Event::Resolved(query, ip(address))));
        assert_eq!((querier.poll_event(), querier.poll_timeout()), (None, None));
    }
}

#[test]
fn an_answer_may_stand_beside_others_and_in_the_additional_section() {
    let (mut querier, other) = (asking(), "other.local".parse().unwrap());
    let answer = Record { section: Section::Additional, ..record(&NAME, ip("192.0.2.7")) };
    let bytes = encode(Header::RESPONSE, &[], &[record(&other, ip("192.0.2.8")), answer]);
    querier.handle_datagram(arrival(epoch(), NEIGHBOUR), &bytes).unwrap();
    assert!(matches!(querier.poll_event(), Some(Event::Resolved(_, address)) if address == ip("192.0.2.7")));
    assert_eq!(querier.poll_event(), None);
}

#[test]
fn what_is_known_is_told_again_while_it_holds_and_asked_for_afterwards() {
    let (mut querier, at) = (asking(), |seconds| epoch() + Duration::from_secs(seconds));
    // It claims to hold for a day; two minutes are believed.
    let bytes = encode(Header::RESPONSE, &[], &[Record { ttl: 86_400, ..record(&NAME, ip("192.0.2.7")) }]);
    querier.handle_datagram(arrival(epoch(), NEIGHBOUR), &bytes).unwrap();
    let Some(Event::Resolved(query, _)) = querier.poll_event() else { panic!("an answer") };
    assert_eq!(querier.resolve(at(119), name()), Ok(query));
    assert_eq!(queries(&mut querier, at(119)), []);
    assert_eq!(querier.poll_event(), Some(Event::Resolved(query, ip("192.0.2.7"))));
    assert_eq!(querier.resolve(at(120), name()), Ok(query));
    assert_eq!((queries(&mut querier, at(120)).len(), querier.poll_event()), (1, None));
}

#[test]
fn who_asks_for_the_same_name_shares_the_question() {
    let mut querier = querier(Config::default());
    let query = querier.resolve(epoch(), name()).unwrap();
    assert_eq!(querier.resolve(epoch(), name()), Ok(query));
    assert_eq!(schedule(&mut querier), [0, 1000, 3000, 7000]);
}

#[test]
fn asking_and_cancelling_in_turns_sends_no_more_than_one_query_a_second() {
    let mut querier = querier(Config::default());
    let mut times: Vec<Instant> = Vec::new();
    for step in 0..1000 {
        let now = epoch() + Duration::from_millis(10 * step);
        let query = querier.resolve(now, name()).unwrap();
        times.extend(queries(&mut querier, now).iter().map(|_| now));
        querier.cancel(query);
        assert_eq!((querier.poll_timeout(), querier.poll_event()), (None, None));
    }
    assert_eq!(times.len(), 10);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(1)));
}

#[test]
fn as_many_names_as_the_limit_are_asked_for_and_not_one_more() {
    let mut config = Config::default();
    config.max_names = 3;
    let mut querier = querier(config);
    let name = |number: u64| -> LocalName { format!("n{number}.local").parse().unwrap() };
    let first = querier.resolve(epoch(), name(0)).unwrap();
    for number in 1..3 {
        querier.resolve(epoch(), name(number)).unwrap();
    }
    assert_eq!(querier.resolve(epoch(), name(3)), Err(CommandError::TooManyNames));
    assert_eq!(queries(&mut querier, epoch()).len(), 3);
    // One that is cancelled gives way, but not before a second has passed: or it could be asked for anew.
    querier.cancel(first);
    assert_eq!(querier.resolve(epoch(), name(3)), Err(CommandError::TooManyNames));
    let later = epoch() + Duration::from_secs(1);
    let fourth = querier.resolve(later, name(3)).unwrap();
    assert_ne!(fourth, first);
    assert_eq!(querier.resolve(later, name(0)), Err(CommandError::TooManyNames));
}

#[test]
fn as_many_links_as_the_limit_are_asked_on_and_not_one_more() {
    let mut config = Config::default();
    config.max_links = 2;
    let mut querier = querier(config);
    querier.add_link(link(2)).unwrap();
    querier.add_link(link(1)).unwrap();
    assert_eq!(querier.add_link(link(3)), Err(CommandError::TooManyLinks));
    let mut bare = Querier::new(epoch(), Config::default());
    assert_eq!(bare.resolve(epoch(), name()), Err(CommandError::NoLink));
}

#[test]
fn what_was_not_asked_for_changes_nothing() {
    let (name, other): (_, LocalName) = (name(), "other.local".parse().unwrap());
    let good = response(&name, "192.0.2.7");
    let with = |header: Header| encode(header, &[], &[record(&name, ip("192.0.2.7"))]);
    let of = |change: &dyn Fn(&mut Record<'_>)| {
        let mut record = record(&name, ip("192.0.2.7"));
        change(&mut record);
        encode(Header::RESPONSE, &[], &[record])
    };
    let too_long = [good.clone(), vec![0; 9001 - good.len()]].concat();
    for (remote, bytes, reason) in [
        (NEIGHBOUR, response(&other, "192.0.2.7"), Discard::NotAsked),
        (NEIGHBOUR, query(&name, Kind::A), Discard::NotAResponse),
        // Every operation and response code but the first (RFC 6762 §18.3, §18.11).
        (NEIGHBOUR, with(Header { id: 0, flags: 0x8c00 }), Discard::NotPlain),
        (NEIGHBOUR, with(Header { id: 0, flags: 0xc000 }), Discard::NotPlain),
        (NEIGHBOUR, with(Header { id: 0, flags: 0x8401 }), Discard::NotPlain),
        // RFC 6762 §6, §11: from another port, from another network.
        ("192.0.2.2:5354", good.clone(), Discard::WrongPort),
        ("192.0.3.2:5353", good.clone(), Discard::OffLink),
        ("8.8.8.8:5353", good.clone(), Discard::OffLink),
        (NEIGHBOUR, of(&|record| record.ttl = 0), Discard::NotAsked),
        (NEIGHBOUR, of(&|record| record.class = Class(3)), Discard::NotAsked),
        (NEIGHBOUR, of(&|record| record.section = Section::Authority), Discard::NotAsked),
        (NEIGHBOUR, of(&|record| record.kind = Kind(16)), Discard::NotAsked),
        (NEIGHBOUR, encode(Header::RESPONSE, &[], &[]), Discard::NotAsked),
        (NEIGHBOUR, good[..30].to_vec(), Discard::Malformed(DecodeError::Truncated)),
        (NEIGHBOUR, too_long, Discard::TooLong),
    ] {
        let mut querier = asking();
        let before = format!("{querier:?}").replace("discarded: 0", "discarded: 1");
        assert_eq!(querier.handle_datagram(arrival(epoch(), remote), &bytes), Err(reason));
        assert_eq!(format!("{querier:?}"), before);
        // The longest datagram that is read, and the answer still counts.
        let longest = [good.clone(), vec![0; 9000 - good.len()]].concat();
        querier.handle_datagram(arrival(epoch(), NEIGHBOUR), &longest).unwrap();
        assert!(querier.poll_event().is_some());
    }
}

#[test]
fn an_answer_before_its_question_and_one_on_an_unknown_link_are_ignored() {
    let mut querier = querier(Config::default());
    let good = response(&name(), "192.0.2.7");
    assert_eq!(querier.handle_datagram(arrival(epoch(), NEIGHBOUR), &good), Err(Discard::NotAsked));
    querier.resolve(epoch(), name()).unwrap();
    assert_eq!(
        querier.handle_datagram(arrival(epoch(), NEIGHBOUR), &good),
        Err(Discard::NotAsked),
        "not sent yet"
    );
    queries(&mut querier, epoch());
    querier.remove_link(link(1).local());
    assert_eq!(querier.handle_datagram(arrival(epoch(), NEIGHBOUR), &good), Err(Discard::UnknownLink));
}

#[test]
fn addresses_that_no_peer_can_have_are_ignored() {
    for address in [
        "0.0.0.0",
        "224.0.0.251",
        "255.255.255.255",
        "127.0.0.1",
        "::",
        "::1",
        "ff02::fb",
        "fe80::1",
        "::ffff:192.0.2.7",
    ] {
        let mut querier = asking();
        let refused = querier.handle_datagram(arrival(epoch(), NEIGHBOUR), &response(&name(), address));
        assert_eq!(refused, Err(Discard::UnusableAddress), "{address}");
        // Beside one that can be used, they do no harm.
        let records = [address, "192.0.2.7"].map(ip);
        let records = records.map(|address| record(&NAME, address));
        querier
            .handle_datagram(arrival(epoch(), NEIGHBOUR), &encode(Header::RESPONSE, &[], &records))
            .unwrap();
        assert!(matches!(querier.poll_event(), Some(Event::Resolved(_, known)) if known == ip("192.0.2.7")));
    }
}

#[test]
fn the_first_query_asks_for_unicast_if_the_program_wants_it() {
    let mut config = Config::default();
    config.asks_unicast = true;
    let mut querier = querier(config);
    querier.resolve(epoch(), name()).unwrap();
    for (seconds, unicast) in [(0, true), (1, false), (3, false)] {
        let sent = queries(&mut querier, epoch() + Duration::from_secs(seconds));
        let message = Message::decode(&sent[0].1).unwrap();
        assert!(message.questions().all(|question| question.unicast == unicast), "after {seconds} s");
    }
}

/// RFC 6762 §10.1, §10.2: who leaves says so, and whose address is another one says that the former is not his any more.
#[test]
fn what_is_known_goes_with_a_goodbye_and_changes_with_a_new_address() {
    let at = |millis| epoch() + Duration::from_millis(millis);
    let told = |querier: &mut Querier, millis, record: Record<'_>| {
        let bytes = encode(Header::RESPONSE, &[], &[record]);
        querier.handle_datagram(arrival(at(millis), NEIGHBOUR), &bytes)
    };
    let known = || {
        let mut querier = asking();
        told(&mut querier, 10, record(&NAME, ip("192.0.2.7"))).unwrap();
        assert!(matches!(querier.poll_event(), Some(Event::Resolved(..))));
        querier
    };
    // Goodbye: a second later it is not known any more.
    let mut querier = known();
    told(&mut querier, 5000, Record { ttl: 0, ..record(&NAME, ip("192.0.2.7")) }).unwrap();
    assert_eq!((querier.poll_event(), querier.poll_timeout()), (None, None));
    querier.resolve(at(6001), name()).unwrap();
    assert_eq!((querier.poll_event(), queries(&mut querier, at(6001)).len()), (None, 1));
    // Of an address that it does not have nobody takes leave.
    let mut querier = known();
    let other = told(&mut querier, 5000, Record { ttl: 0, ..record(&NAME, ip("192.0.2.9")) });
    assert_eq!(other, Err(Discard::NotAsked));
    querier.resolve(at(6001), name()).unwrap();
    assert!(matches!(querier.poll_event(), Some(Event::Resolved(..))));
    // Another address, alone or beside the former one.
    for (flush, expected) in [(true, "192.0.2.8"), (false, "192.0.2.7")] {
        let mut querier = known();
        let _ = told(&mut querier, 5000, Record { flush, ..record(&NAME, ip("192.0.2.8")) });
        let query = querier.resolve(at(6001), name()).unwrap();
        assert_eq!(querier.poll_event(), Some(Event::Resolved(query, ip(expected))));
    }
}
