//! RFC 3758 and RFC 6525: what is given up, and what is not sent to a peer that does not know of it.

use std::time::Duration;

use sctp::wire::{Chunk, ForwardTsn, Parameter, Parameters, ReconfigResult};
use sctp::{CloseReason, Config, Direction, Event, Priority, Reliability, Ssn, StreamId, StreamOptions};

use crate::common::victim::{DATA, FORWARD_TSN, RECONFIG, Victim, data, find, kinds, parameter};

fn unreliable(victim: &mut Victim, unordered: bool) {
    let options = StreamOptions::new(unordered, Reliability::MaxRetransmits(0), Priority::NORMAL);
    victim.end.open(StreamId(0), options).unwrap();
}

fn send(victim: &mut Victim, bytes: usize) {
    victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; bytes].into(), true).unwrap();
}

fn packets(victim: &mut Victim, time: Duration) -> Vec<Vec<u8>> {
    victim.run(time).into_iter().map(|(_, packet)| packet).collect()
}

/// RFC 3758 §3.5: all of a message is given up at once, its stream and number are told, and only those of ordered
/// ones; T3 runs until it is acknowledged, and it is said again.
#[test]
fn a_message_is_given_up_whole_and_said_to_be_until_it_is_heard() {
    for unordered in [false, true] {
        let mut victim = Victim::new(Config::default());
        unreliable(&mut victim, unordered);
        send(&mut victim, 3000);
        let count = data(&victim.sent()).len() as u32;
        assert_eq!(count, 3);
        // The second fragment alone is lost.
        for _ in 0..4 {
            victim.acknowledge(0, 1 << 20, &[(2, 2)]).unwrap();
        }
        let sent = packets(&mut victim, Duration::from_secs(20));
        assert!(!kinds(&sent).contains(&DATA), "nothing of it again, and no new TSN");
        let told: Vec<_> =
            sent.iter().filter(|it| kinds(std::slice::from_ref(it)).contains(&FORWARD_TSN)).collect();
        assert!(told.len() >= 3, "again and again: {}", told.len());
        let Some(Chunk::ForwardTsn(forward)) = find(&sent, FORWARD_TSN) else { panic!() };
        assert_eq!(forward.cumulative, victim.theirs.plus(2));
        let skipped: Vec<_> = forward.skipped().collect();
        assert_eq!(skipped, if unordered { vec![] } else { vec![(StreamId(0), Ssn(0))] });
        let window = victim.end.stats().congestion_window;
        victim.acknowledge(2, 1 << 20, &[]).unwrap();
        assert_eq!(victim.end.stats().congestion_window, window, "what was given up earns nothing");
        assert!(!kinds(&packets(&mut victim, Duration::from_secs(5))).contains(&FORWARD_TSN));
        assert_eq!(victim.end.stats().in_flight, 0);
    }
}

/// RFC 3758 §3.5, F5: that it is given up does not hide that it was lost.
#[test]
fn a_loss_that_is_given_up_still_shrinks_the_window() {
    let mut victim = Victim::new(Config::default());
    unreliable(&mut victim, false);
    send(&mut victim, 20_000);
    let count = data(&victim.sent()).len() as u16;
    let window = victim.end.stats().congestion_window;
    victim.acknowledge(u32::MAX, 1 << 20, &[(2, count)]).unwrap();
    victim.run(Duration::from_secs(3));
    assert!(victim.end.stats().congestion_window < window && victim.end.stats().abandoned > 0);
}

/// RFC 3758 §3.3, RFC 6525 §5.1.1: a peer that has announced neither is sent neither.
#[test]
fn a_peer_that_knows_of_no_extension_is_sent_none() {
    let mut victim = Victim::with_init(Config::default(), |init| init.parameters = Parameters::default());
    unreliable(&mut victim, false);
    send(&mut victim, 100);
    victim.sent();
    let sent = packets(&mut victim, Duration::from_secs(5));
    assert!(kinds(&sent).iter().all(|kind| *kind == DATA) && !sent.is_empty(), "it is sent again instead");
    victim.acknowledge(0, 1 << 20, &[]).unwrap();
    victim.end.reset(victim.now, StreamId(0));
    assert!(!kinds(&packets(&mut victim, Duration::from_secs(5))).contains(&RECONFIG));
    // For us the stream has ended.
    let ended = Event::Reset { stream: StreamId(0), direction: Direction::Outgoing };
    assert!(victim.events.contains(&ended), "{:?}", victim.events);
}

/// RFC 3758 §3.6: the point moves on over what has come, gaps below it are forgotten, parts are thrown away, and what
/// waited for what is skipped is handed out.
#[test]
fn a_forward_tsn_frees_what_waited() {
    let mut victim = Victim::new(Config::default());
    // 0 is missing; 1 and 2 have come, 3 is missing, 4 has come; 5 begins a message that never ends.
    for (ahead, ssn) in [(1, 1), (2, 2), (4, 4)] {
        victim.give(&victim.message(ahead, 0, ssn, &[ahead as u8])).unwrap();
    }
    let mut begun = victim.data(5, true, false, b"part");
    begun.unordered = false;
    begun.ssn = Ssn(5);
    victim.give(&Chunk::Data(begun)).unwrap();
    victim.sent();
    assert!(victim.read(0).is_empty());
    let forward = |victim: &mut Victim, ahead: u32, ssn: u8| {
        let cumulative = victim.next.plus(ahead);
        let taken = victim.give(&Chunk::ForwardTsn(ForwardTsn { cumulative, skipped: &[0, 0, 0, ssn] }));
        let told = victim.acknowledged().expect("acknowledged like DATA");
        (taken.is_ok(), told.cumulative.0.wrapping_sub(victim.next.0), told.gaps)
    };
    assert_eq!(forward(&mut victim, 0, 0), (true, 2, vec![(2, 3)]));
    assert_eq!(victim.read(0), [[1], [2]]);
    // Old news: nothing moves, but it is told where we stand.
    assert_eq!(forward(&mut victim, 1, 1), (false, 2, vec![(2, 3)]));
    assert_eq!(forward(&mut victim, 3, 3), (true, 5, vec![]));
    assert_eq!(victim.read(0), [[4]]);
    assert_eq!(forward(&mut victim, 6, 5), (true, 6, vec![]));
    assert!(victim.read(0).is_empty(), "the part is thrown away");
    // What was skipped and comes after all is a duplicate.
    victim.give(&victim.message(3, 0, 3, b"late")).unwrap();
    assert_eq!(victim.acknowledged().unwrap().duplicates, [victim.next.plus(3)]);
    victim.give(&victim.message(7, 0, 6, b"next")).unwrap();
    assert_eq!(victim.read(0), [b"next"]);
}

/// RFC 3758 §3.5, F3: what is given up is said so with the next packet, and that is at once.
#[test]
fn what_is_given_up_is_told_at_once() {
    let mut victim = Victim::new(Config::default());
    unreliable(&mut victim, false);
    send(&mut victim, 100);
    victim.sent();
    loop {
        victim.now = victim.end.poll_timeout().unwrap();
        victim.end.handle_timeout(victim.now);
        let sent = victim.sent();
        if victim.end.stats().abandoned > 0 {
            assert_eq!(kinds(&sent), [FORWARD_TSN]);
            break;
        }
    }
}

/// RFC 6525 §5.1.1, RFC 3758 §3.3.1: INIT and INIT ACK announce both extensions.
#[test]
fn both_extensions_are_announced_by_both_sides() {
    let announced = |parameters: Parameters<'_>| {
        let known: Vec<u8> = parameters
            .iter()
            .flat_map(|it| if let Parameter::SupportedExtensions(list) = it { list.to_vec() } else { vec![] })
            .collect();
        known == [RECONFIG, FORWARD_TSN] && parameters.iter().any(|it| it == Parameter::ForwardTsnSupported)
    };
    let mut victim = Victim::listening(Config::default());
    victim.give_under(0, &[Chunk::Init(crate::common::victim::init(&[]))]).unwrap();
    let sent = victim.sent();
    let Some(Chunk::InitAck(ack)) = find(&sent, 2) else { panic!() };
    assert!(announced(ack.parameters));
    let config = std::sync::Arc::new(Config::default());
    victim.end = sctp::Association::client(victim.now, config, [3; 32]);
    let sent = victim.sent();
    let Some(Chunk::Init(init)) = find(&sent, 1) else { panic!() };
    assert!(announced(init.parameters));
}

fn request(sent: &[Vec<u8>]) -> Option<(u32, sctp::Tsn, Vec<StreamId>, u32)> {
    let Some(Chunk::Reconfig(parameters)) = find(sent, RECONFIG) else { return None };
    parameters.iter().find_map(|it| match it {
        Parameter::OutgoingReset { request, last, response, .. } => {
            Some((request, last, it.streams().collect(), response))
        }
        _ => None,
    })
}

fn respond(victim: &mut Victim, request: u32, result: ReconfigResult) {
    let bytes = parameter(&Parameter::ReconfigResponse { request, result });
    victim.give(&Chunk::Reconfig(Parameters::decode(&bytes).unwrap())).unwrap();
}

/// RFC 6525 §5.1.1, §5.1.2: a request follows the data, names the last TSN and the streams, and is sent again ever more
/// slowly under its number; what is in vain counts.
#[test]
fn a_request_to_reset_follows_the_data_and_backs_off() {
    let mut config = Config::default();
    (config.max_retransmits, config.heartbeat) = (6, None);
    let mut victim = Victim::new(config);
    victim.end.set_round_trip(Duration::from_millis(20));
    victim.end.open(StreamId(4), StreamOptions::default()).unwrap();
    victim.end.send(victim.now, StreamId(4), sctp::Ppid(53), &mut vec![0; 10].into(), true).unwrap();
    victim.end.reset(victim.now, StreamId(4));
    // A1: nothing more is taken for it.
    assert!(victim.end.send(victim.now, StreamId(4), sctp::Ppid(53), &mut vec![0; 1].into(), true).is_err());
    assert_eq!(kinds(&victim.sent()), [DATA]);
    victim.acknowledge(0, 1 << 20, &[]).unwrap();
    let sent = victim.sent();
    let first = request(&sent).unwrap();
    let expected = victim.next.0.wrapping_sub(1);
    assert_eq!(first, (victim.theirs.0, victim.theirs, vec![StreamId(4)], expected));
    let again = victim.run(Duration::from_secs(100));
    let times: Vec<Duration> = again
        .iter()
        .filter(|(_, packet)| request(std::slice::from_ref(packet)).is_some_and(|it| it == first))
        .map(|(at, _)| *at - testkit::epoch())
        .collect();
    let pauses: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.len() >= 3 && pauses[1] >= pauses[0] * 19 / 10, "{pauses:?}");
    assert_eq!(victim.events.last(), Some(&Event::Closed(CloseReason::TimedOut)));
}

/// RFC 6525 §5.2.7: "in progress" is asked again and never counts; an answer to another number is nothing; the right
/// one ends it.
#[test]
fn a_request_in_progress_is_asked_again_without_end() {
    let mut config = Config::default();
    config.max_retransmits = 0;
    let mut victim = Victim::new(config);
    victim.end.open(StreamId(4), StreamOptions::default()).unwrap();
    victim.end.reset(victim.now, StreamId(4));
    let first = request(&victim.sent()).unwrap();
    for round in 0..20 {
        respond(&mut victim, first.0, ReconfigResult::InProgress);
        let mut again = None;
        while again.is_none() {
            victim.now = victim.end.poll_timeout().unwrap();
            victim.end.handle_timeout(victim.now);
            again = request(&victim.sent());
        }
        assert_eq!(again.unwrap(), first, "{round}");
    }
    respond(&mut victim, first.0.wrapping_add(1), ReconfigResult::Performed);
    let ended = Event::Reset { stream: StreamId(4), direction: Direction::Outgoing };
    assert!(!victim.events.contains(&ended));
    respond(&mut victim, first.0, ReconfigResult::Performed);
    assert!(victim.events.contains(&ended));
    assert!(request(&packets(&mut victim, Duration::from_secs(5))).is_none());
}

/// RFC 3758 §3.5, A3: what is under way of a message that has expired is given up with what is not, and is said at once.
#[test]
fn a_message_that_expires_on_its_way_is_given_up_whole() {
    let mut victim = Victim::with_init(Config::default(), |init| init.window = 3000);
    let lifetime = Reliability::MaxLifetime(Duration::from_millis(500));
    victim.end.open(StreamId(0), StreamOptions::new(false, lifetime, Priority::NORMAL)).unwrap();
    send(&mut victim, 10_000);
    assert_eq!(data(&victim.sent()).len(), 2, "as much as the peer has room for");
    victim.wait(Duration::from_millis(499));
    assert!(victim.sent().is_empty());
    victim.wait(Duration::from_millis(1));
    let sent = victim.sent();
    let Some(Chunk::ForwardTsn(forward)) = find(&sent, FORWARD_TSN) else { panic!("{:?}", kinds(&sent)) };
    // The rest has a TSN of its own, which is never sent.
    assert_eq!((forward.cumulative, kinds(&sent)), (victim.theirs.plus(2), vec![FORWARD_TSN]));
    let stats = victim.end.stats();
    assert_eq!((stats.in_flight, stats.abandoned, victim.end.buffered(StreamId(0))), (0, 1, 0));
}

/// RFC 3758 §3.5, A3: with a fragment that is lost all that lie before it in their message are given up, even those that
/// were sent again and may still arrive.
#[test]
fn a_lost_fragment_takes_those_before_it_along() {
    let mut victim = Victim::new(Config::default());
    let lifetime = Reliability::MaxLifetime(Duration::from_millis(200));
    victim.end.open(StreamId(0), StreamOptions::new(false, lifetime, Priority::NORMAL)).unwrap();
    victim.end.open(StreamId(1), StreamOptions::default()).unwrap();
    send(&mut victim, 3 * 1160);
    victim.end.send(victim.now, StreamId(1), sctp::Ppid(53), &mut vec![0; 3 * 1160].into(), true).unwrap();
    assert_eq!(victim.sent().len(), 6);
    victim.now += Duration::from_millis(100);
    victim.acknowledge(u32::MAX, 1 << 20, &[(2, 2), (4, 5)]).unwrap();
    let again = victim.sent();
    assert_eq!(data(&again).iter().map(|data| data.tsn).collect::<Vec<_>>(), [victim.theirs]);
    // The third is lost when the message has expired.
    victim.now += Duration::from_millis(150);
    victim.acknowledge(u32::MAX, 1 << 20, &[(2, 2), (4, 6)]).unwrap();
    let sent = victim.sent();
    let Some(Chunk::ForwardTsn(forward)) = find(&sent, FORWARD_TSN) else { panic!("{:?}", kinds(&sent)) };
    assert_eq!((forward.cumulative, victim.end.stats().in_flight), (victim.theirs.plus(2), 0));
}

/// RFC 3758 §3.5, C2: the forward point stops before what is acknowledged. It may be a part of a message whose other parts still
/// come, which a peer throws away that is told to go beyond it.
#[test]
fn what_is_given_up_is_skipped_and_not_what_is_acknowledged_behind_it() {
    let mut victim = Victim::new(Config::default());
    let once = StreamOptions::new(false, Reliability::MaxRetransmits(0), Priority::NORMAL);
    victim.end.open(StreamId(0), once).unwrap();
    victim.end.open(StreamId(1), StreamOptions::new(false, Reliability::Reliable, Priority::NORMAL)).unwrap();
    send(&mut victim, 1000);
    assert_eq!(victim.sent().len(), 1);
    victim.end.send(victim.now, StreamId(1), sctp::Ppid(53), &mut vec![0; 5 * 1160].into(), true).unwrap();
    assert_eq!(victim.sent().len(), 5);
    // The first of all is lost, and the second part of what is sent until it arrives.
    victim.acknowledge(u32::MAX, 1 << 20, &[(2, 2), (4, 6)]).unwrap();
    let sent = victim.sent();
    let Some(Chunk::ForwardTsn(forward)) = find(&sent, FORWARD_TSN) else { panic!("{:?}", kinds(&sent)) };
    assert_eq!(forward.cumulative, victim.theirs);
    assert_eq!(data(&sent).iter().map(|data| data.tsn).collect::<Vec<_>>(), [victim.theirs.plus(2)]);
}

/// A message that nobody sends again is not made to depend on two packets, where one that has to arrive fills them.
#[test]
fn what_may_be_lost_is_not_divided_where_a_packet_holds_it() {
    for (reliability, whole) in [
        (Reliability::Reliable, false),
        (Reliability::MaxRetransmits(0), true),
        (Reliability::MaxLifetime(Duration::from_secs(1)), true),
    ] {
        let mut victim = Victim::new(Config::default());
        victim.end.open(StreamId(0), StreamOptions::new(true, reliability, Priority::NORMAL)).unwrap();
        (0..3).for_each(|_| send(&mut victim, 800));
        // What a packet does not hold is divided in any case.
        send(&mut victim, 3000);
        let sent = victim.sent();
        let sent = data(&sent);
        let are_whole = sent.iter().take(3).all(|data| data.begin && data.end && data.payload.len() == 800);
        assert_eq!(are_whole, whole, "{reliability:?}");
        assert!(sent.len() > 4 && sent.iter().all(|data| data.payload.len() <= 1160));
    }
}

/// An acknowledgement that can wait does not take the room of a message that is not divided: it would hold it up until it is due,
/// and every other stream behind it.
#[test]
fn what_is_not_divided_does_not_wait_for_an_acknowledgement_to_be_due() {
    let mut victim = Victim::new(Config::default());
    unreliable(&mut victim, true);
    victim.give(&victim.message(0, 0, 0, b"acknowledged at once")).unwrap();
    victim.sent();
    victim.give(&victim.message(1, 0, 1, b"and later")).unwrap();
    assert!(victim.sent().is_empty(), "it is not due");
    send(&mut victim, 1160);
    let sent = victim.sent();
    assert_eq!(data(&sent).iter().map(|data| data.payload.len()).collect::<Vec<_>>(), [1160]);
}

/// Packets whose largest size is no multiple of four hold no more than those of the multiple below.
#[test]
fn what_is_not_divided_leaves_whatever_the_largest_packet_is() {
    for max_packet in 1188..1192 {
        for bytes in 1157..1166 {
            let mut config = Config::default();
            config.max_packet = max_packet;
            let mut victim = Victim::new(config);
            unreliable(&mut victim, true);
            send(&mut victim, bytes);
            let sent: usize = data(&victim.sent()).iter().map(|data| data.payload.len()).sum();
            assert_eq!(sent, bytes, "{max_packet}");
        }
    }
}

/// RFC 3758 §3.4, §4.1: a message that expires before anything of it was sent takes no TSN, and nobody is told.
#[test]
fn a_message_that_expires_before_it_is_sent_leaves_no_trace() {
    let mut victim = Victim::new(Config::default());
    let lifetime = Reliability::MaxLifetime(Duration::from_millis(50));
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    victim.end.open(StreamId(1), StreamOptions::new(false, lifetime, Priority::NORMAL)).unwrap();
    send(&mut victim, 50_000);
    let count = data(&victim.sent()).len() as u32;
    let other = |victim: &mut Victim, bytes: usize| {
        victim.end.send(victim.now, StreamId(1), sctp::Ppid(53), &mut vec![1; bytes].into(), true).unwrap();
    };
    (0..3).for_each(|_| other(&mut victim, 2000));
    victim.wait(Duration::from_millis(50));
    other(&mut victim, 10);
    victim.acknowledge(count - 1, 1 << 20, &[]).unwrap();
    let mut sent = victim.sent();
    let more = data(&sent).len() as u32;
    victim.acknowledge(count + more - 1, 1 << 20, &[]).unwrap();
    sent.extend(victim.sent());
    let sizes: Vec<(usize, u16)> = data(&sent)
        .iter()
        .filter(|data| data.stream == StreamId(1))
        .map(|data| (data.payload.len(), data.ssn.0))
        .collect();
    assert_eq!(sizes, [(10, 0)], "only the one that is in time, as the first of its stream");
    assert!(!kinds(&sent).contains(&FORWARD_TSN));
    assert_eq!(victim.end.buffered(StreamId(1)), 0);
}

/// RFC 3758 §3.6: what is skipped moves the number whose turn it is, never backwards, also where numbers wrap; then the
/// next message is handed out though something before it is missing.
#[test]
fn a_forward_tsn_moves_the_turn_of_a_stream_on_and_never_back() {
    for (before, skipped, turn) in [
        (0, 4, 5u16),
        (4, 4, 5),
        (5, 4, 6),
        (5, 0, 6),
        (0, 32_766, 32_767),
        (65_535, 65_534, 0),
        (65_535, 65_535, 0),
        (65_535, 2, 3),
        (0, 65_535, 1),
    ] {
        let mut victim = Victim::new(Config::default());
        // All that matters of it is its number.
        victim.give(&victim.message(0, 0, before, b"before")).unwrap();
        let [a, b] = u16::to_be_bytes(skipped);
        let forward = ForwardTsn { cumulative: victim.next.plus(1), skipped: &[0, 0, a, b] };
        victim.give(&Chunk::ForwardTsn(forward)).unwrap();
        victim.read(0);
        // 2 is missing.
        victim.give(&victim.message(4, 0, turn.wrapping_add(1), b"later")).unwrap();
        assert!(victim.read(0).is_empty(), "{before} {skipped}");
        victim.give(&victim.message(3, 0, turn, b"turn")).unwrap();
        assert_eq!(victim.read(0), [b"turn"], "{before} {skipped}");
    }
}

/// RFC 6525 §3.1, §5.1.1: an answer goes alone while a request of ours is out, and a request waits while two answers go.
#[test]
fn a_request_goes_once_and_with_one_answer_at_most() {
    let ask = |victim: &mut Victim, count: u32| {
        let number = victim.next.0;
        let requests: Vec<u8> = (0..count)
            .flat_map(|nth| parameter(&Parameter::AssociationReset { request: number.wrapping_add(nth) }))
            .collect();
        victim.next = victim.next.plus(count);
        victim.give(&Chunk::Reconfig(Parameters::decode(&requests).unwrap())).unwrap();
    };
    let said = |sent: &[Vec<u8>]| {
        let Some(Chunk::Reconfig(parameters)) = find(sent, RECONFIG) else { return Vec::new() };
        parameters.iter().map(|it| matches!(it, Parameter::OutgoingReset { .. })).collect()
    };
    let mut victim = Victim::new(Config::default());
    for stream in [3, 4] {
        victim.end.open(StreamId(stream), StreamOptions::default()).unwrap();
    }
    // Two answers, and then the request.
    victim.end.reset(victim.now, StreamId(3));
    ask(&mut victim, 2);
    let sent = victim.sent();
    assert_eq!((sent.len(), said(&sent[..1]), said(&sent[1..])), (2, vec![false, false], vec![true]));
    // It is out: an answer goes alone.
    ask(&mut victim, 1);
    assert_eq!(said(&victim.sent()), [false]);
    // The next goes with an answer.
    let first = victim.theirs.0;
    respond(&mut victim, first, ReconfigResult::Performed);
    victim.end.reset(victim.now, StreamId(4));
    ask(&mut victim, 1);
    assert_eq!(said(&victim.sent()), [false, true]);
}

/// RFC 6525 §5.1.2: nothing new goes on a stream that is to be reset, so a message that was begun and has no end is cut
/// off: the peer is told to skip it if it can be (RFC 3758 §3.5), and drops its part with the reset otherwise.
#[test]
fn a_message_that_was_begun_is_cut_off_by_a_reset() {
    for knows in [false, true] {
        let chunks: &[u8] = if knows { &[130, 192] } else { &[130] };
        let announced = parameter(&Parameter::SupportedExtensions(chunks));
        let announced = Parameters::decode(announced.leak()).unwrap();
        let mut victim = Victim::with_init(Config::default(), |init| init.parameters = announced);
        victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
        let mut part = vec![0; 3000].into();
        victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut part, false).unwrap();
        assert_eq!(data(&victim.sent()).len(), 2, "the rest is less than a packet");
        victim.end.reset(victim.now, StreamId(0));
        assert_eq!((victim.end.buffered(StreamId(0)), victim.end.stats().abandoned), (0, 1));
        let sent = victim.sent();
        let last = if knows {
            let Some(Chunk::ForwardTsn(forward)) = find(&sent, FORWARD_TSN) else { panic!() };
            assert_eq!(victim.end.stats().in_flight, 0);
            forward.cumulative
        } else {
            assert!(sent.is_empty(), "what is on its way arrives");
            victim.theirs.plus(1)
        };
        assert_eq!(last, victim.theirs.plus(1 + u32::from(knows)));
        victim.acknowledge(1 + u32::from(knows), 1 << 20, &[]).unwrap();
        assert_eq!(request(&victim.sent()).unwrap().1, last, "{knows}");
    }
}
