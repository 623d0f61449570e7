//! C6: stream resets that are abused.

use std::time::Duration;

use bytes::Bytes;
use sctp::wire::{Chunk, Packet, Parameter, Parameters, ReconfigResult};
use sctp::{Config, Event, OpenError, Ppid, StreamId, StreamOptions};

use crate::common::victim::{RECONFIG, Victim, parameter};

/// Gives a RE-CONFIG with one request, and says how it is answered.
fn ask(victim: &mut Victim, request: &Parameter<'_>) -> Vec<(u32, ReconfigResult)> {
    let bytes = parameter(request);
    victim.give(&Chunk::Reconfig(Parameters::decode(&bytes).unwrap())).unwrap();
    answers(&victim.sent())
}

fn answers(sent: &[Vec<u8>]) -> Vec<(u32, ReconfigResult)> {
    parameters(sent, |it| match it {
        Parameter::ReconfigResponse { request, result } => Some((*request, *result)),
        _ => None,
    })
}

/// The streams that its own requests name.
fn requests(sent: &[Vec<u8>]) -> Vec<(u32, Vec<StreamId>)> {
    parameters(sent, |it| match it {
        Parameter::OutgoingReset { request, .. } => Some((*request, it.streams().collect())),
        _ => None,
    })
}

fn parameters<T>(sent: &[Vec<u8>], pick: impl Fn(&Parameter<'_>) -> Option<T>) -> Vec<T> {
    let mut picked = Vec::new();
    for packet in sent {
        for chunk in Packet::decode(packet).unwrap().chunks() {
            if let Chunk::Reconfig(parameters) = chunk {
                picked.extend(parameters.iter().filter_map(|it| pick(&it)));
            }
        }
    }
    picked
}

fn outgoing(victim: &Victim, number: u32, streams: &'static [u8]) -> Parameter<'static> {
    let last = victim.next.plus(u32::MAX);
    Parameter::OutgoingReset { request: victim.next.0.wrapping_add(number), response: 0, last, streams }
}

#[test]
fn c6_requests_are_answered_by_their_number_and_carried_out_once() {
    let mut victim = Victim::new(Config::default());
    let first = victim.next.0;
    let answer = |victim: &mut Victim, number: u32| {
        let request = outgoing(victim, number, &[0, 3]);
        let answers = ask(victim, &request);
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].0, first.wrapping_add(number));
        answers[0].1
    };
    victim.end.open(StreamId(3), StreamOptions::default()).unwrap();
    // RFC 6525 §5.1.1: an answer starts no timer.
    let timer = victim.end.poll_timeout();
    for number in [1, 5, u32::MAX - 1, 1 << 31] {
        assert_eq!(answer(&mut victim, number), ReconfigResult::BadNumber, "{number}");
    }
    assert!(victim.events.is_empty());
    assert_eq!(answer(&mut victim, 0), ReconfigResult::Performed);
    assert_eq!(std::mem::take(&mut victim.events).len(), 1);
    // Sent again, as the answer was lost: the same answer, and nothing is done twice.
    assert_eq!(answer(&mut victim, 0), ReconfigResult::Performed);
    assert!(victim.events.is_empty());
    assert_eq!(answer(&mut victim, 1), ReconfigResult::Performed);
    assert_eq!(answer(&mut victim, 0), ReconfigResult::BadNumber, "too old");
    assert_eq!(victim.end.poll_timeout(), timer);
}

#[test]
fn c6_a_reset_waits_for_the_data_before_it_under_the_same_number() {
    let mut victim = Victim::new(Config::default());
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    let request =
        Parameter::OutgoingReset { request: victim.next.0, response: 0, last: victim.next, streams: &[0, 0] };
    for _ in 0..3 {
        assert_eq!(ask(&mut victim, &request), [(victim.next.0, ReconfigResult::InProgress)]);
    }
    assert!(victim.events.is_empty());
    victim.give(&victim.message(0, 0, 0, b"before")).unwrap();
    assert_eq!(ask(&mut victim, &request), [(victim.next.0, ReconfigResult::Performed)]);
    assert_eq!(victim.read(0), [b"before"]);
    assert_eq!(victim.events.len(), 2, "readable, and reset: {:?}", victim.events);
}

/// Chromium asked again under the next number until 2025 (its `stream_reset_handler.cc` says so), and gave the stream up
/// when that was refused.
#[test]
fn c6_a_request_that_was_in_progress_may_come_again_under_the_next_number() {
    let mut victim = Victim::new(Config::default());
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    let last = victim.next;
    let request = |number: u32| Parameter::OutgoingReset {
        request: victim.next.0.wrapping_add(number),
        response: 0,
        last,
        streams: &[0, 0],
    };
    let requests = [request(0), request(1), request(2), request(3), request(4)];
    let answers = [0, 1, 1, 0, 2, 4].map(|n: usize| ask(&mut victim, &requests[n])[0].1);
    let (wait, bad) = (ReconfigResult::InProgress, ReconfigResult::BadNumber);
    assert_eq!(answers, [wait, wait, wait, wait, wait, bad]);
    assert!(victim.events.is_empty());
    victim.give(&victim.message(0, 0, 0, b"before")).unwrap();
    victim.sent();
    let performed = ReconfigResult::Performed;
    assert_eq!([3, 3, 2].map(|n: usize| ask(&mut victim, &requests[n])[0].1), [performed, performed, bad]);
    assert_eq!(victim.events.len(), 2, "readable, and reset once: {:?}", victim.events);
    assert_eq!(ask(&mut victim, &requests[4])[0].1, performed, "numbers go on from there");
}

/// A peer that has to answer In progress may never answer otherwise (Chromium until 2025).
#[test]
fn c6_a_request_of_ours_waits_until_the_peer_has_all_that_was_sent_before() {
    let mut victim = Victim::new(Config::default());
    for stream in [1, 2] {
        victim.end.open(StreamId(stream), StreamOptions::default()).unwrap();
        let mut bytes = Bytes::from_static(b"x");
        victim.end.send(victim.now, StreamId(stream), Ppid(53), &mut bytes, true).unwrap();
    }
    assert_eq!(victim.sent().len(), 1);
    // Of stream 1 all has arrived; what follows on the other is on its way.
    victim.acknowledge(0, 1 << 20, &[]).unwrap();
    victim.end.reset(victim.now, StreamId(1));
    assert_eq!(requests(&victim.sent()), []);
    assert!(victim.end.poll_timeout().is_some());
    let mut bytes = Bytes::from_static(b"later");
    victim.end.send(victim.now, StreamId(2), Ppid(53), &mut bytes, true).unwrap();
    assert_eq!(requests(&victim.sent()), []);
    victim.acknowledge(1, 1 << 20, &[]).unwrap();
    assert_eq!(requests(&victim.sent()), [(victim.theirs.0, vec![StreamId(1)])], "whatever is sent later");
}

#[test]
fn c6_at_most_one_request_of_ours_is_outstanding() {
    let mut victim = Victim::new(Config::default());
    for stream in 0..100 {
        victim.end.open(StreamId(stream), StreamOptions::default()).unwrap();
    }
    let mut seen: Vec<StreamId> = Vec::new();
    let mut last = None;
    for stream in 0..100 {
        victim.end.reset(victim.now, StreamId(stream));
        for (number, streams) in requests(&victim.sent()) {
            assert_eq!(last, None, "while {last:?} is not answered");
            last = Some(number);
            seen.extend(streams);
        }
    }
    // Not answered: it is the same request that comes again.
    let again: Vec<Vec<u8>> =
        victim.run(Duration::from_secs(5)).into_iter().map(|(_, packet)| packet).collect();
    let again = requests(&again);
    assert!(again.len() >= 2 && again.iter().all(|(number, _)| Some(*number) == last), "{again:?}");
    while let Some(number) = last.take() {
        let answer = Parameter::ReconfigResponse { request: number, result: ReconfigResult::Performed };
        let bytes = parameter(&answer);
        victim.give(&Chunk::Reconfig(Parameters::decode(&bytes).unwrap())).unwrap();
        let next = requests(&victim.sent());
        assert!(next.len() <= 1);
        for (next, streams) in next {
            assert_eq!(next, number.wrapping_add(1));
            last = Some(next);
            seen.extend(streams);
        }
    }
    assert!(seen.into_iter().eq((0..100).map(StreamId)), "each stream once");
    assert_eq!(
        victim.end.open(StreamId(0), StreamOptions::default()),
        Err(OpenError::InUse),
        "one direction"
    );
}

#[test]
fn c6_every_kind_of_request_on_all_streams_a_hundred_thousand_times_stays_bounded() {
    let mut config = Config::default();
    config.max_streams = 100;
    let mut victim = Victim::new(config);
    let all: Vec<u8> = (0..900u16).flat_map(u16::to_be_bytes).collect();
    for stream in 0..10 {
        victim.end.open(StreamId(stream), StreamOptions::default()).unwrap();
        let mut bytes = Bytes::from_static(b"x");
        victim.end.send(victim.now, StreamId(stream), Ppid(53), &mut bytes, true).unwrap();
    }
    victim.sent();
    let mut number = victim.next.0;
    let last = victim.next.plus(u32::MAX);
    let info = allocation_counter::measure(|| {
        for round in 0..testkit::scaled_at_least(100_000, 2_000) as u32 {
            let request = number;
            let parameters = [
                Parameter::OutgoingReset { request, response: 0, last, streams: &all },
                Parameter::OutgoingReset { request, response: 0, last, streams: &[] },
                Parameter::IncomingReset { request, streams: &all },
                Parameter::AssociationReset { request },
                Parameter::AddStreams { request, count: 65_535, incoming: round % 2 == 0 },
                Parameter::OutgoingReset { request: request ^ 0x4000, response: 0, last, streams: &all },
                Parameter::ReconfigResponse { request, result: ReconfigResult::Performed },
            ];
            let nth = round as usize % parameters.len();
            let answers = ask(&mut victim, &parameters[nth]);
            match nth {
                0 | 1 => assert_eq!(answers, [(request, ReconfigResult::Performed)]),
                // RFC 8831 §6.7: WebRTC has no use for these.
                2..=4 => assert_eq!(answers, [(request, ReconfigResult::Denied)]),
                5 => assert_eq!(answers, [(request ^ 0x4000, ReconfigResult::BadNumber)]),
                _ => assert_eq!(answers, []),
            }
            number = number.wrapping_add(u32::from(nth < 5));
            victim.events = Vec::new();
        }
    });
    assert!(victim.end.is_connected());
    assert!(info.bytes_current <= 8 << 10, "{}", info.bytes_current);
}

/// A reset of everything that names no stream resets what is known, and nothing else.
#[test]
fn c6_a_reset_without_a_list_is_of_all_streams_in_use() {
    let mut victim = Victim::new(Config::default());
    for stream in [1, 7] {
        victim.give(&victim.message(u32::from(stream / 7), stream, 0, b"x")).unwrap();
    }
    victim.events.clear();
    let request = Parameter::OutgoingReset {
        request: victim.next.0,
        response: 0,
        last: victim.next.plus(1),
        streams: &[],
    };
    ask(&mut victim, &request);
    let reset: Vec<StreamId> = victim
        .events
        .iter()
        .filter_map(|event| if let Event::Reset { stream, .. } = event { Some(*stream) } else { None })
        .collect();
    assert_eq!(reset, [StreamId(1), StreamId(7)]);
    // Their numbering begins anew.
    victim.read(1);
    victim.give(&victim.message(2, 1, 0, b"again")).unwrap();
    assert_eq!(victim.read(1), [b"again"]);
}

/// Two requests of the same kind in one chunk, and three parameters: RFC 6525 §3.1 allows neither.
#[test]
fn c6_no_more_than_two_parameters_of_a_chunk_are_heard() {
    let mut victim = Victim::new(Config::default());
    let bytes: Vec<u8> = (0..3u32)
        .flat_map(|nth| parameter(&Parameter::AssociationReset { request: victim.next.0.wrapping_add(nth) }))
        .collect();
    victim.give(&Chunk::Reconfig(Parameters::decode(&bytes).unwrap())).unwrap();
    let sent = victim.sent();
    assert_eq!(crate::common::victim::kinds(&sent), [RECONFIG]);
    assert_eq!(answers(&sent).len(), 2);
}
