//! RFC 9260 §3.3.2, §3.3.3, §5.

use std::time::Duration;

use sctp::wire::{Causes, Chunk, Init, Packet, Parameter, Parameters};
use sctp::{CloseReason, Config, Discard, Event, OpenError, StreamId, StreamOptions, Tsn, Violation};

use crate::common::victim::{
    ABORT, COOKIE_ACK, COOKIE_ECHO, DATA, FORWARD_TSN, HEARTBEAT_ACK, INIT, INIT_ACK, PEER_TAG, SACK, Victim,
    abilities, complaint, cookie, find, init, kinds, parameter,
};

type Change = fn(&mut Init<'_>);

/// What an INIT or INIT ACK must not say, and how much of it is answered.
const FORBIDDEN: [(&str, Change); 4] = [
    ("a tag of zero", |init| init.tag = 0),
    ("no outbound streams", |init| init.outbound = 0),
    ("no inbound streams", |init| init.inbound = 0),
    ("a window of 1,499 bytes", |init| init.window = 1499),
];

#[test]
fn an_init_with_a_forbidden_value_is_dropped_and_changes_nothing() {
    for (what, change) in FORBIDDEN {
        for standing in [false, true] {
            let mut victim =
                if standing { Victim::new(Config::default()) } else { Victim::listening(Config::default()) };
            let mut chunk = init(&[]);
            change(&mut chunk);
            let before = (victim.end.is_connected(), victim.end.poll_timeout());
            assert_eq!(victim.give_under(0, &[Chunk::Init(chunk)]), Err(Discard::UnexpectedChunk), "{what}");
            assert_eq!((victim.end.is_connected(), victim.end.poll_timeout()), before, "{what}");
            // The answer goes under the tag that was offered, or not at all.
            let answer = (chunk.tag != 0).then(|| (PEER_TAG, vec![(7, vec![])]));
            assert_eq!(complaint(&victim.sent(), ABORT), answer, "{what}");
            assert!(victim.events.is_empty() && !victim.end.is_closed(), "{what}");
        }
    }
    // At the least that is allowed it is answered.
    let mut victim = Victim::listening(Config::default());
    let least = Init { window: 1500, outbound: 1, inbound: 1, tag: 1, ..init(&[]) };
    victim.give_under(0, &[Chunk::Init(least)]).unwrap();
    assert_eq!(kinds(&victim.sent()), [INIT_ACK]);
}

#[test]
fn an_init_ack_with_a_forbidden_value_ends_the_attempt_or_is_dropped() {
    for (what, change) in FORBIDDEN {
        let mut victim = Victim::asking(Config::default());
        let taken = victim.answer(change);
        let sent = victim.sent();
        let (tag, _) = complaint(&sent, ABORT).unwrap();
        if what.contains("window") {
            // RFC 9260 §3.3.3: no effect on the state.
            assert_eq!((taken, tag), (Err(Discard::UnexpectedChunk), PEER_TAG));
            victim.answer(|_| {}).unwrap();
            assert_eq!(kinds(&victim.sent()), [COOKIE_ECHO]);
            continue;
        }
        assert_eq!(victim.events, [Event::Closed(CloseReason::Violation(Violation::Handshake))], "{what}");
        // Without a tag of the peer ours goes back, under the T bit.
        let reflected = matches!(find(&sent, ABORT), Some(Chunk::Abort { reflected: true, .. }));
        assert_eq!(
            (tag, reflected),
            if what.contains("zero") { (victim.tag, true) } else { (PEER_TAG, false) }
        );
        // In any other state it is nothing.
        for mut victim in [Victim::echoing(Config::default()), Victim::answered(Config::default())] {
            assert_eq!(victim.answer(change), Err(Discard::UnexpectedChunk), "{what}");
            assert!(victim.sent().is_empty() && !victim.end.is_closed(), "{what}");
        }
    }
    // Without a cookie: the cause names the parameter that is missing.
    let mut victim = Victim::asking(Config::default());
    victim.answer(|init| init.parameters = Parameters::default()).unwrap();
    assert_eq!(complaint(&victim.sent(), ABORT), Some((PEER_TAG, vec![(2, vec![0, 0, 0, 1, 0, 7])])));
}

/// RFC 9260 §5.1, §5.1.4: the cookie goes back at once and as it was, even a long one; until it is acknowledged
/// nothing else is sent, though there is data.
#[test]
fn a_cookie_goes_back_as_it_came_and_alone() {
    for len in [1, 72, 2000] {
        let mut victim = Victim::asking(Config::default());
        victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
        victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; 5000].into(), true).unwrap();
        let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let parameters = [abilities(), parameter(&Parameter::StateCookie(&bytes))].concat();
        victim.give(&Chunk::InitAck(init(&parameters))).unwrap();
        let sent = victim.sent();
        assert_eq!(kinds(&sent), [COOKIE_ECHO]);
        let Some(Chunk::CookieEcho(echoed)) = find(&sent, COOKIE_ECHO) else { panic!() };
        assert_eq!((echoed, Packet::decode(&sent[0]).unwrap().tag), (&bytes[..], PEER_TAG));
        // A HEARTBEAT is answered when the handshake is done, with the rest.
        victim.give(&Chunk::Heartbeat(b"\0\x01\0\x08beat")).unwrap();
        assert_eq!(kinds(&victim.sent()), [0u8; 0]);
        victim.give(&Chunk::CookieAck).unwrap();
        let sent = kinds(&victim.sent());
        assert_eq!((sent[0], sent[1]), (HEARTBEAT_ACK, DATA));
    }
}

/// RFC 9260 §5.1: an INIT takes no memory; its answer has the asker's tag, a tag of its own, and a cookie.
#[test]
fn a_server_keeps_nothing_of_those_that_ask() {
    let mut victim = Victim::listening(Config::default());
    victim.give_under(0, &[Chunk::Init(init(&[]))]).unwrap();
    victim.sent();
    let info = allocation_counter::measure(|| {
        for tag in 1..1000 {
            let chunk = Init { tag, ..init(&[]) };
            victim.give_under(0, &[Chunk::Init(chunk)]).unwrap();
            let sent = victim.sent();
            let Some(Chunk::InitAck(ack)) = find(&sent, INIT_ACK) else { panic!() };
            assert_eq!(Packet::decode(&sent[0]).unwrap().tag, tag);
            assert!(ack.tag != 0 && !cookie(&ack).is_empty());
        }
    });
    assert_eq!((info.bytes_current, victim.end.poll_timeout()), (0, None));
}

/// RFC 9260 §5.1, §5.1.5: DATA behind a COOKIE ECHO is acknowledged at once, behind the COOKIE ACK; and so is the first
/// DATA of any association.
#[test]
fn the_first_data_is_acknowledged_at_once() {
    let mut victim = Victim::listening(Config::default());
    victim.give_under(0, &[Chunk::Init(init(&[]))]).unwrap();
    let sent = victim.sent();
    let Some(Chunk::InitAck(ack)) = find(&sent, INIT_ACK) else { panic!() };
    victim.tag = ack.tag;
    let chunks = [Chunk::CookieEcho(cookie(&ack)), victim.message(0, 0, 0, b"early")];
    victim.give_under(ack.tag, &chunks).unwrap();
    assert_eq!(kinds(&victim.sent()), [COOKIE_ACK, SACK]);
    let mut victim = Victim::new(Config::default());
    victim.give(&victim.message(0, 0, 0, b"first")).unwrap();
    assert_eq!(kinds(&victim.sent()), [SACK]);
    victim.give(&victim.message(1, 0, 1, b"second")).unwrap();
    assert_eq!(kinds(&victim.sent()), [0u8; 0], "the second waits");
}

/// RFC 9260 §3.3.3, §5.1.1: no more streams are asked for or used than the peer takes.
#[test]
fn streams_are_as_many_as_the_peer_takes() {
    let mut victim = Victim::listening(Config::default());
    victim.give_under(0, &[Chunk::Init(Init { inbound: 10, ..init(&[]) })]).unwrap();
    let sent = victim.sent();
    let Some(Chunk::InitAck(ack)) = find(&sent, INIT_ACK) else { panic!() };
    assert_eq!(ack.outbound, 10);
    // Opened before that is known, with something to send: it never is.
    victim.tag = ack.tag;
    for stream in [9, 10] {
        victim.end.open(StreamId(stream), StreamOptions::default()).unwrap();
        victim.end.send(victim.now, StreamId(stream), sctp::Ppid(53), &mut vec![0; 10].into(), true).unwrap();
    }
    victim.give(&Chunk::CookieEcho(cookie(&ack))).unwrap();
    let sent = victim.sent();
    let streams: Vec<u16> = crate::common::victim::data(&sent).iter().map(|data| data.stream.0).collect();
    assert_eq!(streams, [9]);
    assert_eq!(victim.events.len(), 3, "connected, and both directions of stream 10: {:?}", victim.events);
    assert_eq!(victim.end.open(StreamId(10), StreamOptions::default()), Err(OpenError::OutOfRange));
}

/// RFC 9260 §5.2.1: an INIT that crosses ours is answered with what ours said, and T1 goes on.
#[test]
fn an_init_that_crosses_ours_is_answered_with_the_same_numbers() {
    for echoing in [false, true] {
        let mut victim =
            if echoing { Victim::echoing(Config::default()) } else { Victim::asking(Config::default()) };
        let timer = victim.end.poll_timeout();
        assert!(timer.is_some());
        victim.give_under(0, &[Chunk::Init(Init { tag: 99, ..init(&[]) })]).unwrap();
        let sent = victim.sent();
        let Some(Chunk::InitAck(ack)) = find(&sent, INIT_ACK) else { panic!() };
        assert_eq!((ack.tag, ack.tsn, victim.end.poll_timeout()), (victim.tag, victim.theirs, timer));
        // The Tie-Tags name the association only where one is forming.
        assert_eq!(cookie(&ack)[16..24] != [0; 8], echoing);
        let again = victim.run(Duration::from_secs(2));
        assert_eq!(kinds(&[again[0].1.clone()]), [if echoing { COOKIE_ECHO } else { INIT }]);
    }
}

/// RFC 9260 §5.2.4, action A: a restart begins with a window as small as any, and says nothing left over.
#[test]
fn a_restart_begins_like_a_new_association() {
    let mut victim = Victim::new(Config::default());
    let fresh = victim.end.stats().congestion_window;
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; 200_000].into(), true).unwrap();
    let count = kinds(&victim.sent()).len() as u32;
    victim.acknowledge(count - 1, 1 << 20, &[]).unwrap();
    assert!(victim.end.stats().congestion_window > fresh);
    // Answers that are owed to the one who is gone.
    victim.give(&Chunk::Heartbeat(b"\0\x01\0\x08beat")).unwrap();
    victim.give(&Chunk::Unknown { kind: 0xc7, flags: 0, value: b"" }).unwrap();
    victim.give_under(0, &[Chunk::Init(Init { tag: 99, tsn: Tsn(1), ..init(&[]) })]).unwrap();
    let mut memory = [0; 2000];
    let mut out = proto::Writer::new(&mut memory);
    assert!(victim.end.poll_packet(victim.now, &mut out));
    let first = out.written().to_vec();
    let Some(Chunk::InitAck(ack)) = Packet::decode(&first).unwrap().chunks().next() else { panic!() };
    victim.give_under(ack.tag, &[Chunk::CookieEcho(cookie(&ack))]).unwrap();
    assert!(victim.events.contains(&Event::Restarted));
    assert_eq!(kinds(&victim.sent()), [COOKIE_ACK]);
    let stats = victim.end.stats();
    assert_eq!((stats.congestion_window, stats.in_flight), (fresh, 0));
    assert_eq!(victim.end.buffered(StreamId(0)), 0);
    // And as freely: the whole window goes at once.
    victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; 200_000].into(), true).unwrap();
    assert!(kinds(&victim.sent()).len() * 1188 >= fresh);
}

/// RFC 9260 §5.3.1: tags and first TSNs are drawn anew for each association.
#[test]
fn every_association_has_a_tag_of_its_own() {
    let config = std::sync::Arc::new(Config::default());
    let mut tags = std::collections::BTreeSet::new();
    for nth in 0..1000u32 {
        let seed = crypto::derive_seed(&[1; 32], &nth.to_string());
        let mut end = sctp::Association::client(testkit::epoch(), config.clone(), seed);
        let mut memory = [0; 200];
        let mut out = proto::Writer::new(&mut memory);
        assert!(end.poll_packet(testkit::epoch(), &mut out));
        let Some(Chunk::Init(init)) = Packet::decode(out.written()).unwrap().chunks().next() else {
            panic!()
        };
        assert!(init.tag != 0 && tags.insert(init.tag) && tags.insert(init.tsn.0));
    }
}

/// RFC 9260 §5.2.6: each time it asks for a new cookie, but not for ever.
#[test]
fn a_peer_that_finds_every_cookie_stale_is_given_up() {
    let mut config = Config::default();
    config.max_init_retransmits = 5;
    let mut victim = Victim::echoing(config);
    let stale = parameter(&Parameter::Unknown { kind: 3, value: &[0, 0, 0, 1] });
    for round in 0..5 {
        victim.give(&Chunk::Error { causes: Causes::decode(&stale).unwrap() }).unwrap();
        assert_eq!(kinds(&victim.sent()), [INIT], "{round}");
        victim.answer(|_| {}).unwrap();
        assert_eq!(kinds(&victim.sent()), [COOKIE_ECHO], "{round}");
    }
    victim.give(&Chunk::Error { causes: Causes::decode(&stale).unwrap() }).unwrap();
    assert_eq!(kinds(&victim.sent()), [ABORT]);
    assert_eq!(victim.events, [Event::Closed(CloseReason::Violation(Violation::StaleCookie))]);
}

/// RFC 9260 §5.2.4, action B: the peer goes on under the tag of the INIT that crossed ours, and what it has sent meanwhile
/// stands; its numbers begin anew only if there is nothing yet.
#[test]
fn a_cookie_of_a_crossing_init_takes_nothing_back_that_has_come() {
    for came in [&[][..], &[0], &[1], &[0, 2]] {
        let mut victim = Victim::echoing(Config::default());
        let first = if came.is_empty() { Tsn(1000) } else { victim.next };
        victim.give_under(0, &[Chunk::Init(Init { tag: 99, tsn: first, ..init(&[]) })]).unwrap();
        let sent = victim.sent();
        let Some(Chunk::InitAck(ack)) = find(&sent, INIT_ACK) else { panic!() };
        victim.give(&Chunk::CookieAck).unwrap();
        let payloads = [b"0", b"1", b"2"];
        for nth in came {
            victim.give(&victim.message(*nth, 0, *nth as u16, payloads[*nth as usize])).unwrap();
        }
        victim.give(&Chunk::CookieEcho(cookie(&ack))).unwrap();
        let sent = victim.sent();
        assert_eq!((kinds(&sent)[0], Packet::decode(&sent[0]).unwrap().tag), (COOKIE_ACK, 99), "{came:?}");
        victim.next = first;
        for nth in (0..3).filter(|nth| !came.contains(nth)) {
            victim.give(&victim.message(nth, 0, nth as u16, payloads[nth as usize])).unwrap();
        }
        assert_eq!(victim.read(0), payloads, "{came:?}");
    }
}

/// RFC 3758 §3.1, RFC 5061 §4.2.7: FORWARD TSN is understood by whoever says so in either way.
#[test]
fn either_announcement_of_partial_reliability_is_enough() {
    let plain = parameter(&Parameter::ForwardTsnSupported);
    let list = |chunks: &'static [u8]| parameter(&Parameter::SupportedExtensions(chunks));
    for (parameters, known) in [
        (plain.clone(), true),
        (list(&[192]), true),
        ([&plain[..], &list(&[130])].concat(), true),
        ([&list(&[130])[..], &plain].concat(), true),
        (list(&[130]), false),
    ] {
        let change = |init: &mut Init<'_>| init.parameters = Parameters::decode(parameters.leak()).unwrap();
        let mut victim = Victim::with_init(Config::default(), change);
        let options = StreamOptions::new(false, sctp::Reliability::MaxRetransmits(0), sctp::Priority::NORMAL);
        victim.end.open(StreamId(0), options).unwrap();
        victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; 10].into(), true).unwrap();
        let sent: Vec<Vec<u8>> = victim.run(Duration::from_secs(5)).into_iter().map(|(_, it)| it).collect();
        assert_eq!(kinds(&sent).contains(&FORWARD_TSN), known, "{:?}", kinds(&sent));
    }
}
