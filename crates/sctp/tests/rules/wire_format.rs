//! Every packet of many associations, looked at on the wire.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crypto::Rng;
use sctp::wire::{Chunk, Packet};
use sctp::{Config, Event, Priority, Reliability, StreamId, StreamOptions, Tsn};

use crate::common::victim::{
    ABORT, COOKIE_ACK, COOKIE_ECHO, DATA, INIT, INIT_ACK, RECONFIG, SACK, SHUTDOWN_COMPLETE, Victim, init,
    kinds, packet, raw,
};
use crate::common::{Link, Pair};

/// What is known of one end by its packets.
#[derive(Default)]
struct Observed {
    /// Its tag, by its INIT or INIT ACK.
    tag: Option<u32>,
    next: Option<Tsn>,
    /// The next number of each stream, and whether a message is under way.
    streams: BTreeMap<StreamId, u16>,
    under_way: Option<(StreamId, bool, u16)>,
    seen: BTreeMap<u32, Vec<u8>>,
}

/// Checks a packet of `from`.
fn check(ends: &mut [Observed; 2], from: usize, bytes: &[u8], largest: usize) {
    assert!(bytes.len() <= largest && bytes.len().is_multiple_of(4), "{} bytes", bytes.len());
    let packet = Packet::decode(bytes).expect("whole chunks");
    assert!(packet.checksum_is_right() && packet.source != 0 && packet.destination != 0);
    let kinds: Vec<u8> = packet.chunks().map(|chunk| chunk.kind()).collect();
    for alone in [INIT, INIT_ACK, SHUTDOWN_COMPLETE, ABORT] {
        assert!(!kinds.contains(&alone) || kinds.len() == 1, "{kinds:?}");
    }
    for first in [COOKIE_ECHO, COOKIE_ACK] {
        assert!(kinds.iter().skip(1).all(|kind| *kind != first), "{kinds:?}");
    }
    for once in [SACK, RECONFIG, 192] {
        assert!(kinds.iter().filter(|kind| **kind == once).count() <= 1, "{kinds:?}");
    }
    let control = kinds.iter().rposition(|kind| *kind != DATA);
    let data = kinds.iter().position(|kind| *kind == DATA);
    assert!(control.zip(data).is_none_or(|(control, data)| control < data), "{kinds:?}");
    // The chunks end on boundaries of four bytes, with zeros.
    let mut at = 12;
    while at < bytes.len() {
        let len = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        let end = at + len.next_multiple_of(4);
        assert!(bytes[at + len..end].iter().all(|byte| *byte == 0));
        at = end;
    }
    let mut before: Option<Tsn> = None;
    for chunk in packet.chunks() {
        match chunk {
            Chunk::Init(init) => {
                assert_eq!(packet.tag, 0);
                assert!(init.tag != 0 && init.window >= 1500 && init.outbound > 0 && init.inbound > 0);
                (ends[from].tag, ends[from].next) = (Some(init.tag), Some(init.tsn));
            }
            Chunk::InitAck(init) => {
                assert!(init.tag != 0 && init.window >= 1500 && init.outbound > 0 && init.inbound > 0);
                assert_eq!(Some(packet.tag), ends[1 - from].tag);
                ends[from].tag.get_or_insert(init.tag);
                ends[from].next.get_or_insert(init.tsn);
            }
            Chunk::Data(data) => {
                assert!(before.is_none_or(|before| before.precedes(data.tsn)), "in the order of TSNs");
                before = Some(data.tsn);
                note_data(&mut ends[from], &data);
            }
            _ => {}
        }
    }
    if !kinds.contains(&INIT) && !kinds.contains(&SHUTDOWN_COMPLETE) && !kinds.contains(&ABORT) {
        assert_eq!(Some(packet.tag), ends[1 - from].tag, "the tag of the peer, all along: {kinds:?}");
    }
}

fn note_data(end: &mut Observed, data: &sctp::wire::Data<'_>) {
    assert!(!data.payload.is_empty());
    if let Some(payload) = end.seen.get(&data.tsn.0) {
        assert_eq!(payload, data.payload, "sent again as it was");
        return;
    }
    // A TSN that is skipped is one that was given up.
    let next = end.next.unwrap();
    let skipped = data.tsn.0.wrapping_sub(next.0);
    assert!(skipped < 200, "{next:?} {data:?}");
    end.next = Some(data.tsn.plus(1));
    end.seen.insert(data.tsn.0, data.payload.to_vec());
    if skipped > 0 {
        end.under_way = None;
    }
    match end.under_way {
        Some(way) => {
            assert!(!data.begin, "fragments of messages are not mixed");
            assert_eq!(way, (data.stream, data.unordered, data.ssn.0), "one stream, one number, one U bit");
        }
        None => assert!(data.begin || skipped > 0),
    }
    if data.begin && !data.unordered {
        let expected = end.streams.entry(data.stream).or_insert(0);
        assert!(skipped > 0 || *expected == data.ssn.0, "{} for {expected}", data.ssn.0);
        *expected = data.ssn.0.wrapping_add(1);
    }
    end.under_way = (!data.end).then_some((data.stream, data.unordered, data.ssn.0));
}

#[test]
fn every_packet_of_a_hundred_associations_obeys_the_format() {
    let mut packets = 0;
    for seed in 0..100 {
        let link = Link { loss: 80, duplicate: 50, jitter: Duration::from_millis(20), ..Link::default() };
        let mut pair = Pair::new(Config::default(), link, seed);
        let ends = Rc::new(RefCell::new((<[Observed; 2]>::default(), 0)));
        let seen = ends.clone();
        pair.tap = Some(Box::new(move |from, bytes| {
            let (ends, count) = &mut *seen.borrow_mut();
            check(ends, from, bytes, 1188);
            *count += 1;
            true
        }));
        let mut rng = Rng::new([seed; 32]);
        let options = [
            StreamOptions::default(),
            StreamOptions::new(true, Reliability::Reliable, Priority::HIGH),
            StreamOptions::new(false, Reliability::MaxRetransmits(0), Priority::NORMAL),
            StreamOptions::new(true, Reliability::MaxLifetime(Duration::from_millis(50)), Priority::NORMAL),
        ];
        for end in &mut pair.ends {
            for (stream, options) in (0..).zip(options) {
                end.open(StreamId(stream), options).unwrap();
            }
        }
        for _ in 0..60 {
            let (from, stream) = (rng.below(2) as usize, rng.below(4) as u16);
            pair.send(from, stream, vec![7; 1 + rng.below(5000) as usize]);
            pair.run_for(Duration::from_millis(rng.below(40).into()));
            (0..4).for_each(|stream| drop(pair.ends[1 - from].recv(pair.now, StreamId(stream))));
        }
        for end in &mut pair.ends {
            end.reset(pair.now, StreamId(0));
        }
        pair.run_for(Duration::from_secs(5));
        if seed % 2 == 0 {
            pair.ends[0].shutdown(pair.now)
        } else {
            pair.ends[0].abort(pair.now)
        }
        pair.run_for(Duration::from_secs(10));
        assert!(pair.events.iter().any(|events| matches!(events.last(), Some(Event::Closed(_)))), "{seed}");
        packets += ends.borrow().1;
    }
    assert!(packets > 20_000, "{packets}");
}

/// RFC 9260 §3.2: padding is ignored, whatever it holds; and so are flags without meaning.
#[test]
fn padding_and_reserved_bits_are_ignored() {
    let mut victim = Victim::new(Config::default());
    let mut chunk = vec![0, 0xf7, 0, 17];
    chunk.extend(victim.next.0.to_be_bytes());
    chunk.extend([0, 3, 9, 9, 0, 0, 0, 53, b'x', 0xaa, 0xbb, 0xcc]);
    victim.give_bytes(&raw(victim.tag, &chunk)).unwrap();
    assert_eq!(victim.read(3), [b"x"]);
    // Padding of a parameter, within an INIT: an unknown one of five bytes.
    let mut init = vec![1, 0xff, 0, 32, 0, 0, 0, 7, 0, 16, 0, 0, 255, 255, 255, 255, 0, 0, 0, 1];
    init.extend([0xbf, 0xff, 0, 9, 1, 2, 3, 4, 5, 0xaa, 0xbb, 0xcc]);
    let mut victim = Victim::listening(Config::default());
    victim.give_bytes(&raw(0, &init)).unwrap();
    assert_eq!(kinds(&victim.sent()), [INIT_ACK]);
}

/// RFC 9260 §3, §6.10, §12.4: chunks that travel alone are dropped if they do not.
#[test]
fn what_must_travel_alone_is_dropped_with_company() {
    let mut victim = Victim::listening(Config::default());
    for company in [Chunk::CookieAck, Chunk::Init(init(&[]))] {
        assert!(victim.give_under(0, &[Chunk::Init(init(&[])), company]).is_err());
        assert!(victim.give_under(0, &[company, Chunk::Init(init(&[]))]).is_err());
    }
    assert!(victim.give_under(5, &[Chunk::Init(init(&[]))]).is_err(), "under a tag");
    assert_eq!(kinds(&victim.sent()), [0u8; 0]);
    let mut victim = Victim::new(Config::default());
    let tag = victim.tag;
    assert!(victim.give_under(0, &[Chunk::CookieAck]).is_err(), "under none");
    assert!(
        victim.give_under(tag, &[Chunk::ShutdownComplete { reflected: false }, Chunk::CookieAck]).is_err()
    );
    assert!(victim.end.is_connected());
}

/// RFC 9260 §6.10: chunks are taken in their order, and a partial one is dropped; here, its packet with it.
#[test]
fn chunks_are_taken_in_their_order_and_partial_ones_are_not() {
    let mut victim = Victim::new(Config::default());
    let tag = victim.tag;
    let messages = [0u16, 1, 2].map(|nth| victim.message(nth.into(), 0, nth, b"abcd"));
    victim.give_under(tag, &messages).unwrap();
    assert_eq!(victim.read(0).len(), 3);
    let whole = packet(tag, &[victim.message(3, 0, 3, b"abcd"), victim.message(4, 0, 4, b"abcd")]);
    for cut in 1..24 {
        let partial = raw(tag, &whole[12..whole.len() - cut]);
        assert!(victim.give_bytes(&partial).is_err() || cut == 20, "{cut}");
    }
}
