//! A peer that holds valid keys and sends what it likes: the rows C1 to C12 of the threat list, scaled.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{Link, Pair};
use proto::Writer;
use sctp::wire::{
    Chunk, Data, ForwardTsn, Init, Packet, Parameter, Parameters, begin_packet, finish_packet, put_sack,
};
use sctp::{
    Association, CloseReason, Config, Event, Ppid, Reliability, SendError, Ssn, StreamId, StreamOptions, Tsn,
    Violation,
};

/// A connected association and what is needed to write to it as its peer.
struct Victim {
    end: Association,
    tag: u32,
    theirs: Tsn,
    next: Tsn,
    events: Vec<Event>,
}

impl Victim {
    fn new(config: Config) -> Self {
        let now = testkit::epoch();
        let mut end = Association::server(now, Arc::new(config), [1; 32]);
        let mut memory = [0; 64];
        let mut parameters = Writer::new(&mut memory);
        Parameter::ForwardTsnSupported.encode(&mut parameters).unwrap();
        Parameter::SupportedExtensions(&[130, 192]).encode(&mut parameters).unwrap();
        let parameters = Parameters::decode(parameters.written()).unwrap();
        let next = Tsn(u32::MAX - 5);
        let init = Init { tag: 7, window: 1 << 20, outbound: 65_535, inbound: 65_535, tsn: next, parameters };
        end.handle_packet(now, &packet(0, &[Chunk::Init(init)])).unwrap();
        let answer = Self::poll(&mut end).remove(0);
        let Some(Chunk::InitAck(ack)) = Packet::decode(&answer).unwrap().chunks().next() else { panic!() };
        let cookie = ack
            .parameters
            .iter()
            .find_map(|p| if let Parameter::StateCookie(c) = p { Some(c) } else { None })
            .unwrap();
        end.handle_packet(now, &packet(ack.tag, &[Chunk::CookieEcho(cookie)])).unwrap();
        assert!(end.is_connected());
        Self::poll(&mut end);
        Self { end, tag: ack.tag, theirs: ack.tsn, next, events: Vec::new() }
    }

    fn poll(end: &mut Association) -> Vec<Vec<u8>> {
        let (mut packets, mut memory) = (Vec::new(), [0; 2000]);
        let mut out = Writer::new(&mut memory);
        while end.poll_packet(testkit::epoch(), &mut out) {
            packets.push(out.written().to_vec());
            out.truncate(0);
        }
        packets
    }

    fn give(&mut self, chunk: &Chunk<'_>) -> bool {
        let taken = self.end.handle_packet(testkit::epoch(), &packet(self.tag, &[*chunk])).is_ok();
        while let Some(event) = self.end.poll_event() {
            self.events.push(event);
        }
        taken
    }

    fn data<'a>(&self, ahead: u32, begin: bool, end: bool, payload: &'a [u8]) -> Data<'a> {
        Data {
            immediate: false,
            unordered: true,
            begin,
            end,
            tsn: self.next.plus(ahead),
            stream: StreamId(0),
            ssn: Ssn(0),
            ppid: Ppid(53),
            payload,
        }
    }
}

fn packet(tag: u32, chunks: &[Chunk<'_>]) -> Vec<u8> {
    let mut memory = [0; 4000];
    let mut out = Writer::new(&mut memory);
    begin_packet(&mut out, 5000, 5000, tag).unwrap();
    for chunk in chunks {
        chunk.encode(&mut out).unwrap();
    }
    finish_packet(&mut out, 0).unwrap();
    out.written().to_vec()
}

#[test]
fn c5_reassembly_is_bounded_with_all_overhead() {
    let window = 256 << 10;
    let bound = window + window / 4 + (64 << 10);
    // One-byte fragments with holes; beginnings without ends; a stream each; whole messages nobody reads.
    for strategy in 0..4u32 {
        let mut config = Config::default();
        config.receive_window = window as usize;
        let mut victim = Victim::new(config);
        let info = allocation_counter::measure(|| {
            for i in 0..60_000u32 {
                let byte = [1];
                let mut data = match strategy {
                    0 => victim.data(i * 2 + 1, false, false, &byte),
                    1 => victim.data(i + 1, true, false, &byte),
                    2 => victim.data(i, true, true, &byte),
                    _ => victim.data(i, i == 0, false, &byte),
                };
                if strategy == 2 {
                    data.stream = StreamId(i as u16);
                }
                victim.give(&Chunk::Data(data));
                if i % 100 == 0 {
                    Victim::poll(&mut victim.end);
                }
            }
        });
        assert!(info.bytes_current < bound, "strategy {strategy}: {} > {bound}", info.bytes_current);
    }
}

#[test]
fn c6_resets_are_bounded_and_answered_by_number() {
    let mut victim = Victim::new(Config::default());
    let all: Vec<u8> = (0..600u16).flat_map(u16::to_be_bytes).collect();
    let next = victim.next;
    let request = |number: u32| Parameter::OutgoingReset {
        request: number,
        response: 0,
        last: next.plus(u32::MAX),
        streams: &all,
    };
    let mut memory = [0; 2000];
    for number in [next.0, next.0, next.0.wrapping_add(5), next.0.wrapping_add(1)] {
        let mut out = Writer::new(&mut memory);
        request(number).encode(&mut out).unwrap();
        assert!(victim.give(&Chunk::Reconfig(Parameters::decode(out.written()).unwrap())));
        let answers = Victim::poll(&mut victim.end);
        assert_eq!(answers.len(), 1);
    }
    let mut out = Writer::new(&mut memory);
    request(next.0.wrapping_add(9)).encode(&mut out).unwrap();
    let bytes = out.written().to_vec();
    let info = allocation_counter::measure(|| {
        for _ in 0..20_000 {
            victim.give(&Chunk::Reconfig(Parameters::decode(&bytes).unwrap()));
        }
    });
    assert!(info.bytes_current <= 4096, "{}", info.bytes_current);
    assert!(!victim.events.iter().any(|event| matches!(event, Event::Reset { .. })), "nothing was open");
}

#[test]
fn c7_unknown_chunks_follow_their_upper_bits() {
    for kind in 0..=255u8 {
        if [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 130, 192].contains(&kind) {
            continue;
        }
        let mut victim = Victim::new(Config::default());
        let tag = victim.tag;
        let unknown = Chunk::Unknown { kind, flags: 0, value: b"abcd" };
        let data = Chunk::Data(victim.data(0, true, true, b"x"));
        let _ = victim.end.handle_packet(testkit::epoch(), &packet(tag, &[unknown, data]));
        assert_eq!(
            victim.end.recv(testkit::epoch(), StreamId(0)).is_some(),
            kind & 0x80 != 0,
            "{kind}: go on"
        );
        let answers = Victim::poll(&mut victim.end);
        let reports = answers.iter().any(|answer| {
            Packet::decode(answer).unwrap().chunks().any(|chunk| matches!(chunk, Chunk::Error { .. }))
        });
        assert_eq!(reports, kind & 0x40 != 0, "{kind}: report");
        assert!(victim.end.is_connected(), "{kind}");
    }
}

#[test]
fn c8_forward_tsn_moves_forward_alone() {
    for (ahead, moves) in [
        (0u32, true),
        (1, true),
        (70_000, true),
        ((1 << 31) - 2, true),
        (u32::MAX, false),
        ((1 << 31) - 1, false),
    ] {
        let mut victim = Victim::new(Config::default());
        let cumulative = victim.next.plus(ahead);
        let skipped = [0, 9, 0, 5, 255, 255, 0, 0];
        victim.give(&Chunk::ForwardTsn(ForwardTsn { cumulative, skipped: &skipped }));
        let answers = Victim::poll(&mut victim.end);
        let sack = answers.iter().find_map(|answer| {
            Packet::decode(answer)
                .unwrap()
                .chunks()
                .find_map(|chunk| if let Chunk::Sack(sack) = chunk { Some(sack.cumulative) } else { None })
        });
        let stayed = victim.next.plus(u32::MAX);
        assert_eq!(sack, Some(if moves { cumulative } else { stayed }), "{ahead}");
        assert!(victim.end.is_connected());
    }
}

#[test]
fn c9_an_acknowledgement_of_what_was_not_sent_ends_it() {
    let mut victim = Victim::new(Config::default());
    let mut memory = [0; 100];
    let mut out = Writer::new(&mut memory);
    begin_packet(&mut out, 5000, 5000, victim.tag).unwrap();
    put_sack(&mut out, victim.theirs, 1000, std::iter::empty(), &[]).unwrap();
    finish_packet(&mut out, 0).unwrap();
    victim.end.handle_packet(testkit::epoch(), out.written()).unwrap();
    assert_eq!(victim.end.poll_event(), Some(Event::Connected));
    assert_eq!(
        victim.end.poll_event(),
        Some(Event::Closed(CloseReason::Violation(Violation::UnsentAcknowledged)))
    );
    let last = Victim::poll(&mut victim.end);
    assert!(matches!(Packet::decode(&last[0]).unwrap().chunks().next(), Some(Chunk::Abort { .. })));
}

#[test]
fn c9_a_closed_window_is_probed_with_back_off_and_reported_if_asked() {
    let mut config = Config::default();
    config.zero_window_timeout = Some(Duration::from_secs(60));
    let mut small = Config::default();
    small.receive_window = 20_000;
    let mut pair = Pair::with(config, small, Link::default(), 1);
    assert!(pair.run(Duration::from_secs(5), |pair| pair.ends.iter().all(Association::is_connected)));
    pair.ends[0].open(StreamId(0), StreamOptions::default()).unwrap();
    pair.send(0, 0, vec![0; 500_000]);
    pair.run_for(Duration::from_secs(10));
    let before = pair.sent[0];
    pair.run_for(Duration::from_secs(40));
    assert!(pair.ends[0].is_connected());
    assert!(pair.sent[0] - before < 60, "{} probes", pair.sent[0] - before);
    pair.run_for(Duration::from_secs(60));
    assert!(
        pair.events[0].contains(&Event::Closed(CloseReason::Violation(Violation::WindowClosed))),
        "{:?}",
        pair.events[0]
    );
}

#[test]
fn a_paused_reader_stops_the_sender_and_goes_on() {
    let mut pair = Pair::connected(Config::default(), Link::default(), 1);
    pair.ends[0].open(StreamId(0), StreamOptions::default()).unwrap();
    pair.send(0, 0, vec![3; 5 << 20]);
    pair.run_for(Duration::from_secs(120));
    let mut got = 0;
    assert!(
        pair.run(Duration::from_secs(30), |pair| {
            while let Some(chunk) = pair.ends[1].recv(pair.now, StreamId(0)) {
                got += chunk.data.len();
            }
            got == 5 << 20
        }),
        "{got}"
    );
}

#[test]
fn c12_the_send_buffer_is_bounded_whatever_the_message_size() {
    for size in [1, 100, 16_384] {
        let mut config = Config::default();
        config.send_buffer = 1 << 20;
        let mut pair = Pair::new(config, Link::default(), 1);
        pair.ends[0].open(StreamId(0), StreamOptions::default()).unwrap();
        let payload = Bytes::from(vec![0; size]);
        let mut count = 0u32;
        let info = allocation_counter::measure(|| {
            while pair.ends[0].send(pair.now, StreamId(0), Ppid(53), &mut payload.clone(), true) == Ok(()) {
                count += 1;
                assert!(count < 100_000);
            }
        });
        assert!(info.bytes_current < 2 << 20, "{size}: {}", info.bytes_current);
        assert!(pair.ends[0].buffered(StreamId(0)) <= 1 << 20);
        assert_eq!(
            pair.ends[0].send(pair.now, StreamId(0), Ppid(53), &mut payload.clone(), true),
            Err(SendError::Blocked)
        );
    }
}

#[test]
fn what_is_not_worth_resending_is_skipped_and_the_rest_arrives_in_order() {
    for (reliability, unordered) in [
        (Reliability::MaxRetransmits(0), false),
        (Reliability::MaxRetransmits(1), true),
        (Reliability::MaxLifetime(Duration::from_millis(30)), false),
    ] {
        let mut pair = Pair::connected(Config::default(), Link { loss: 150, ..Link::default() }, 5);
        pair.ends[0]
            .open(StreamId(0), StreamOptions::new(unordered, reliability, Default::default()))
            .unwrap();
        pair.ends[0].open(StreamId(2), StreamOptions::default()).unwrap();
        let (mut got, mut reliable) = (Vec::new(), 0);
        for i in 0..1000u32 {
            let mut message = i.to_be_bytes().to_vec();
            message.resize(if i % 10 == 0 { 5000 } else { 50 }, 0);
            pair.send(0, 0, message);
            pair.send(0, 2, vec![1; 10]);
            pair.run_for(Duration::from_millis(5));
            assert!(
                pair.ends.iter().all(Association::is_connected),
                "{:?}",
                pair.events.iter().map(|e| e.last()).collect::<Vec<_>>()
            );
            got.extend(pair.receive(1, 0));
            reliable += pair.receive(1, 2).len();
        }
        pair.run_for(Duration::from_secs(20));
        got.extend(pair.receive(1, 0));
        reliable += pair.receive(1, 2).len();
        assert_eq!(reliable, 1000);
        let numbers: Vec<u32> =
            got.iter().map(|message| u32::from_be_bytes(message[..4].try_into().unwrap())).collect();
        assert!(numbers.len() > 500 && numbers.len() < 1000, "{reliability:?}: {}", numbers.len());
        assert!(got.iter().zip(&numbers).all(|(m, n)| m.len() == if n % 10 == 0 { 5000 } else { 50 }));
        if !unordered {
            assert!(numbers.is_sorted(), "{reliability:?}");
        }
        assert!(pair.ends[0].stats().abandoned > 0);
        assert_eq!(pair.ends[0].stats().in_flight, 0);
    }
}

#[test]
fn an_outage_is_survived_and_ends_quickly() {
    for seconds in [5, 20, 30] {
        let mut pair = Pair::connected(Config::default(), Link::default(), 1);
        pair.ends[0].open(StreamId(0), StreamOptions::default()).unwrap();
        pair.run_for(Duration::from_secs(1));
        pair.outage = true;
        pair.send(0, 0, vec![1; 30_000]);
        pair.run_for(Duration::from_secs(seconds));
        pair.outage = false;
        pair.run_for(Duration::from_millis(2500));
        assert_eq!(pair.receive(1, 0).len(), 1, "{seconds}");
    }
}
