//! RFC 9260 §6.2.1, §6.3.1, §7.2.4: what acknowledgements say of round trips and losses.

use std::time::Duration;

use sctp::{Config, StreamId, StreamOptions};

use crate::common::victim::{Victim, data};

const MILLISECOND: Duration = Duration::from_millis(1);

fn sending(bytes: usize) -> Victim {
    let mut victim = Victim::new(Config::default());
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    send(&mut victim, bytes);
    victim
}

fn send(victim: &mut Victim, bytes: usize) {
    victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; bytes].into(), true).unwrap();
}

/// Which TSNs it sends now, counted from its first.
fn numbers(victim: &mut Victim) -> Vec<u32> {
    let first = victim.theirs.0;
    data(&victim.sent()).iter().map(|data| data.tsn.0.wrapping_sub(first)).collect()
}

/// RFC 9260 §6.3.1, rule C3: a path that becomes faster is measured like one that becomes slower.
#[test]
fn a_round_trip_that_is_shorter_than_all_before_counts() {
    let mut victim = sending(100);
    for (nth, (takes, smoothed)) in [(80, 80), (160, 90), (10, 80), (80, 80)].into_iter().enumerate() {
        victim.sent();
        victim.now += takes * MILLISECOND;
        victim.acknowledge(nth as u32, 1 << 20, &[]).unwrap();
        assert_eq!(victim.end.stats().round_trip, Some(smoothed * MILLISECOND), "{nth}");
        send(&mut victim, 100);
    }
}

/// RFC 9260 §6.3.1, rule C5: what goes in one packet with something that is sent again measures nothing either, as the
/// answer may be one to the first transmission and late.
#[test]
fn a_packet_with_something_sent_again_measures_no_round_trip() {
    let mut victim = sending(100);
    victim.sent();
    victim.now += 100 * MILLISECOND;
    victim.acknowledge(0, 1 << 20, &[]).unwrap();
    send(&mut victim, 100);
    victim.sent();
    while victim.end.stats().timeouts == 0 {
        victim.now = victim.end.poll_timeout().unwrap();
        victim.end.handle_timeout(victim.now);
    }
    send(&mut victim, 100);
    assert_eq!(numbers(&mut victim), [1, 2], "in one packet");
    victim.now += 180 * MILLISECOND;
    victim.acknowledge(2, 1 << 20, &[]).unwrap();
    assert_eq!(victim.end.stats().round_trip, Some(100 * MILLISECOND), "unchanged");
}

/// RFC 9260 §7.2.4: an answer that follows a retransmission sooner than any round trip took is one to the original. The
/// retransmission has overtaken nothing, so what was sent before it is not lost.
#[test]
fn a_retransmission_that_was_in_vain_makes_nothing_seem_lost() {
    let mut victim = sending(11_600);
    assert_eq!(numbers(&mut victim), (0..10).collect::<Vec<_>>());
    victim.now += 100 * MILLISECOND;
    victim.acknowledge(u32::MAX, 1 << 20, &[(2, 4)]).unwrap();
    assert_eq!(numbers(&mut victim), [0], "overtaken by three");
    // It was late, and not lost.
    victim.now += MILLISECOND;
    victim.acknowledge(3, 1 << 20, &[]).unwrap();
    assert_eq!(numbers(&mut victim), [0u32; 0]);
    assert_eq!(victim.end.stats().retransmissions, 1);
    victim.now += MILLISECOND;
    victim.acknowledge(9, 1 << 20, &[]).unwrap();
    assert_eq!((victim.end.stats().in_flight, victim.end.stats().retransmissions), (0, 1));
}

/// RFC 9260 §6.2.1: what a SACK reports below what was reported before is acknowledged like what lies above it.
#[test]
fn reports_that_grow_in_any_direction_are_counted_once() {
    // Ten messages in one packet, none of which another overtakes.
    let mut victim = sending(40);
    (1..10).for_each(|_| send(&mut victim, 40));
    assert_eq!(victim.sent().len(), 1);
    let chunk = 40 + 16;
    let steps: [(&[(u16, u16)], usize); 6] = [
        (&[(5, 5)], 9),
        (&[(3, 5)], 7),
        (&[(3, 6)], 6),
        (&[(2, 2), (3, 6)], 5),
        (&[(2, 6), (8, 8), (10, 10)], 3),
        (&[(2, 10)], 1),
    ];
    for (gaps, left) in steps {
        victim.acknowledge(u32::MAX, 1 << 20, gaps).unwrap();
        assert_eq!(victim.end.stats().in_flight, left * chunk, "{gaps:?}");
    }
}

/// RFC 9260 §6.1, rule D: chunks that were sent in one packet are sent again in one, if they fill it to its last byte.
#[test]
fn what_was_lost_fills_a_packet_to_its_end() {
    let mut victim = sending(572);
    send(&mut victim, 572);
    let first = victim.sent();
    assert_eq!((first.len(), first[0].len()), (1, 1188));
    while victim.end.stats().timeouts == 0 {
        victim.now = victim.end.poll_timeout().unwrap();
        victim.end.handle_timeout(victim.now);
    }
    let again = victim.sent();
    assert_eq!((again.len(), again[0].len(), data(&again).len()), (1, 1188, 2));
}

/// RFC 9260 §8.1: an acknowledgement of nothing new forgives nothing, so a peer that repeats an old one for ever is given
/// up.
#[test]
fn an_acknowledgement_of_nothing_new_does_not_forgive_what_was_in_vain() {
    let mut config = Config::default();
    config.max_retransmits = 5;
    let mut victim = Victim::new(config);
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    send(&mut victim, 100);
    victim.sent();
    for _ in 0..100 {
        let Some(next) = victim.end.poll_timeout() else { break };
        victim.now = next;
        victim.end.handle_timeout(next);
        victim.sent();
        let _ = victim.acknowledge(u32::MAX, 1 << 20, &[]);
    }
    assert_eq!(victim.events.last(), Some(&sctp::Event::Closed(sctp::CloseReason::TimedOut)));
    assert_eq!(victim.end.stats().timeouts, 6);
}

/// A window that was closed and opens again in time is no reason to end (RFC 9260 §6.1, rule A).
#[test]
fn a_window_that_opens_in_time_is_not_held_against_the_peer() {
    let mut config = Config::default();
    config.zero_window_timeout = Some(Duration::from_secs(60));
    let mut victim = Victim::new(config);
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    send(&mut victim, 100_000);
    let mut count = numbers(&mut victim).len() as u32;
    victim.acknowledge(count - 1, 0, &[]).unwrap();
    count += numbers(&mut victim).len() as u32;
    victim.now += Duration::from_secs(1);
    // It opens, and everything is taken from then on.
    for _ in 0..100 {
        victim.acknowledge(count - 1, 1 << 20, &[]).unwrap();
        count += numbers(&mut victim).len() as u32;
    }
    assert_eq!((victim.end.buffered(StreamId(0)), victim.end.stats().in_flight), (0, 0));
    victim.run(Duration::from_secs(100));
    assert!(victim.end.is_connected(), "{:?}", victim.events);
}

/// RFC 9260 §6.3.2, rule R3: T3 has all its time before it again when the earliest is acknowledged, and not when something
/// behind it is.
#[test]
fn t3_begins_anew_with_the_earliest_alone() {
    for (cumulative, gaps, timeouts) in [(0, &[][..], 0), (u32::MAX, &[(2, 2)][..], 1)] {
        let mut victim = sending(3 * 1160);
        victim.sent();
        victim.now += 900 * MILLISECOND;
        victim.acknowledge(cumulative, 1 << 20, gaps).unwrap();
        victim.run(110 * MILLISECOND);
        assert_eq!(victim.end.stats().timeouts, timeouts, "{gaps:?}");
    }
}

/// RFC 8985 §7.2, §7.3: when nothing is heard for one and a half round trips the last packet of a flight goes again, once
/// and before T3 expires; but not what may not be sent again (RFC 7496 §3.2).
#[test]
fn the_tail_of_a_flight_is_probed_for_before_t3_expires() {
    for most in [None, Some(0), Some(1)] {
        let mut victim = Victim::new(Config::default());
        let reliability = most.map_or(sctp::Reliability::Reliable, sctp::Reliability::MaxRetransmits);
        let options = StreamOptions::new(false, reliability, sctp::Priority::NORMAL);
        victim.end.open(StreamId(0), options).unwrap();
        // A steady path of 100 ms: T3 takes 300 ms.
        for nth in 0..50 {
            send(&mut victim, 1160);
            victim.sent();
            victim.now += 100 * MILLISECOND;
            victim.acknowledge(nth, 1 << 20, &[]).unwrap();
        }
        (0..5).for_each(|_| send(&mut victim, 1160));
        let began = victim.now;
        assert_eq!(numbers(&mut victim), [50, 51, 52, 53, 54]);
        let again = victim.run(299 * MILLISECOND);
        let probes: Vec<(Duration, u32)> = again
            .iter()
            .map(|(at, packet)| (*at - began, data(std::slice::from_ref(packet))[0].tsn.0))
            .collect();
        let expected = (150 * MILLISECOND, victim.theirs.plus(54).0);
        assert_eq!(probes, if most == Some(0) { vec![] } else { vec![expected] }, "{most:?}");
        let stats = victim.end.stats();
        assert_eq!((stats.probes, stats.timeouts), (probes.len() as u64, 0), "{most:?}");
    }
}
