//! RFC 9260 §6.1, §6.3, §7: how much is sent, and what a loss or a time-out does.

use std::time::Duration;

use sctp::{Config, StreamId, StreamOptions};

use crate::common::victim::{Victim, data};
use crate::common::{Link, Pair};

fn sending(config: Config, bytes: usize) -> Victim {
    let mut victim = Victim::new(config);
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; bytes].into(), true).unwrap();
    victim
}

/// RFC 9260 §6.1, rule B: what is in flight passes the window by less than a packet.
#[test]
fn what_is_in_flight_never_passes_the_window_by_a_packet() {
    for seed in 0..20 {
        let link = Link { loss: 50, jitter: Duration::from_millis(10), ..Link::default() };
        let mut pair = Pair::connected(Config::default(), link, seed);
        pair.ends[0].open(StreamId(0), StreamOptions::default()).unwrap();
        pair.send(0, 0, vec![0; 1 << 20]);
        let mut before = 0;
        let done = pair.run(Duration::from_secs(200), |pair| {
            let stats = pair.ends[0].stats();
            let grew = stats.in_flight > before;
            before = stats.in_flight;
            assert!(!grew || stats.in_flight < stats.congestion_window + 2 * 1188, "{seed}: {stats:?}");
            pair.ends[1].recv(pair.now, StreamId(0));
            pair.ends[0].buffered(StreamId(0)) == 0 && stats.in_flight == 0
        });
        assert!(done, "{seed}: {:?}", pair.ends[0].stats());
    }
}

/// RFC 9260 §6.1, rule A: new data waits for the peer's window, whatever the network would carry; and small windows
/// do not make small chunks.
#[test]
fn new_data_waits_for_room_at_the_peer() {
    let mut victim = sending(Config::default(), 100_000);
    let sent = victim.sent();
    let count = data(&sent).len() as u32;
    victim.acknowledge(count - 1, 3000, &[]).unwrap();
    assert_eq!(victim.end.stats().peer_window, 3000);
    let sent = victim.sent();
    let sizes: Vec<usize> = data(&sent).iter().map(|data| data.payload.len()).collect();
    assert_eq!(sizes, [1160, 1160], "and not the rest of 3,000 bytes");
    assert_eq!(victim.end.stats().peer_window, 3000 - 2 * 1160);
    victim.acknowledge(count + 1, 100, &[]).unwrap();
    // Nothing is in flight: one chunk as a probe, of full size.
    let sent = victim.sent();
    assert_eq!(data(&sent).iter().map(|data| data.payload.len()).collect::<Vec<_>>(), [1160]);
}

/// RFC 9260 §6.1: as many ordered messages of a stream are under way as it has numbers, and not one more.
#[test]
fn a_stream_has_at_most_65_535_messages_under_way() {
    let mut config = Config::default();
    (config.initial_window, config.max_burst) = (Some(5000), 1_000_000);
    let mut victim = Victim::with_init(config, |init| init.window = 1 << 30);
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    for _ in 0..70_000 {
        victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut (&b"x"[..]).into(), true).unwrap();
    }
    assert_eq!(data(&victim.sent()).len(), 65_535);
    for (last, count) in [(0, 1), (9, 9)] {
        victim.acknowledge(last, 1 << 30, &[]).unwrap();
        assert_eq!(data(&victim.sent()).len(), count, "as many as were acknowledged");
    }
    victim.acknowledge(65_544, 1 << 30, &[]).unwrap();
    assert_eq!(data(&victim.sent()).len(), 70_000 - 65_545);
}

/// RFC 9260 §7.2.1, §7.2.3: after a time-out the window is a packet, and one packet is in flight until it is answered.
#[test]
fn after_a_time_out_one_packet_is_in_flight_until_something_is_acknowledged() {
    for size in [100, 5000] {
        let mut victim = Victim::new(Config::default());
        victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
        for _ in 0..20_000 / size {
            let mut message = vec![0; size].into();
            victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut message, true).unwrap();
        }
        victim.sent();
        while victim.end.stats().timeouts == 0 {
            victim.now = victim.end.poll_timeout().unwrap();
            victim.end.handle_timeout(victim.now);
            if victim.end.stats().timeouts == 0 {
                victim.sent();
            }
        }
        let sent = victim.sent();
        assert_eq!((sent.len(), victim.end.stats().congestion_window), (1, 1188), "{size}");
        // The earliest ones, as many as fit.
        assert_eq!(data(&sent)[0].tsn, victim.theirs);
        let until = victim.now + Duration::from_millis(900);
        while victim.end.poll_timeout().is_some_and(|at| at < until) {
            victim.now = victim.end.poll_timeout().unwrap();
            victim.end.handle_timeout(victim.now);
            assert!(data(&victim.sent()).len() <= data(&sent).len() || victim.end.stats().timeouts > 1);
            if victim.end.stats().timeouts > 1 {
                break;
            }
        }
        let count = data(&sent).len() as u32;
        victim.acknowledge(count - 1, 1 << 20, &[]).unwrap();
        assert!(!victim.sent().is_empty());
    }
}

/// RFC 9260 §6.1, §6.3.2: T3 starts with the first chunk, begins anew when the earliest is acknowledged or sent again,
/// and ends with the last.
#[test]
fn t3_runs_while_something_is_in_flight() {
    let mut config = Config::default();
    config.heartbeat = None;
    let mut victim = sending(config, 10_000);
    assert_eq!(victim.end.poll_timeout(), None);
    victim.sent();
    assert!(victim.end.poll_timeout().is_some());
    victim.acknowledge(8, 1 << 20, &[]).unwrap();
    victim.run(Duration::from_secs(10));
    assert_eq!((victim.end.stats().in_flight, victim.end.poll_timeout()), (0, None));
    // Three packets overtake the earliest: it is sent again, and has all of T3 before it.
    let mut victim = sending(Config::default(), 10_000);
    victim.end.set_round_trip(Duration::from_millis(100));
    victim.sent();
    victim.wait(Duration::from_millis(100));
    for last in 2..6 {
        victim.acknowledge(u32::MAX, 1 << 20, &[(2, last)]).unwrap();
    }
    let again = victim.sent();
    assert_eq!(data(&again)[0].tsn, victim.theirs);
    assert_eq!(victim.end.stats().timeouts, 0);
    let resent = victim.now;
    while victim.end.stats().timeouts == 0 {
        victim.now = victim.end.poll_timeout().unwrap();
        victim.end.handle_timeout(victim.now);
        victim.sent();
    }
    assert!(victim.now - resent >= Duration::from_millis(300), "{:?}", victim.now - resent);
}

/// RFC 9260 §6.1, rule C: what was lost goes before what is new.
#[test]
fn what_was_lost_is_sent_before_what_is_new() {
    let mut victim = sending(Config::default(), 100_000);
    let count = data(&victim.sent()).len() as u32;
    for last in 2..6 {
        victim.acknowledge(u32::MAX, 1 << 20, &[(2, last)]).unwrap();
    }
    victim.acknowledge(u32::MAX, 1 << 20, &[(3, count as u16)]).unwrap();
    let sent = victim.sent();
    let sent: Vec<u32> = data(&sent).iter().map(|data| data.tsn.0.wrapping_sub(victim.theirs.0)).collect();
    assert_eq!(sent[0], 0, "{sent:?}");
    assert!(sent.len() > 2 && sent.iter().skip(1).all(|tsn| *tsn >= count), "{sent:?}");
}

/// RFC 9260 §7.2.4: a packet of what was lost goes at once, although the window has just been halved below what is in
/// flight; nothing new goes with it.
#[test]
fn a_packet_of_what_was_lost_does_not_wait_for_the_window() {
    let mut victim = sending(Config::default(), 100_000);
    victim.sent();
    victim.acknowledge(u32::MAX, 1 << 20, &[(2, 4)]).unwrap();
    let stats = victim.end.stats();
    assert!(stats.in_flight >= stats.congestion_window, "{stats:?}");
    let sent = victim.sent();
    assert_eq!(sent.len(), 1, "a packet");
    let tsns = data(&sent).iter().map(|data| data.tsn.0.wrapping_sub(victim.theirs.0)).collect::<Vec<_>>();
    assert_eq!(tsns, [0]);
    assert_eq!((victim.end.stats().loss_events, victim.end.stats().probes), (1, 0));
}

/// A fragment keeps its size, and one that fills a packet leaves no room for a SACK: what was lost does not wait until the
/// delayed acknowledgement is due.
#[test]
fn what_was_lost_does_not_wait_for_a_delayed_acknowledgement() {
    let mut victim = sending(Config::default(), 5000);
    let count = data(&victim.sent()).len() as u16;
    // The first one is acknowledged at once (RFC 9260 §5.1).
    victim.give(&victim.message(0, 1, 0, &[0; 10])).unwrap();
    victim.sent();
    victim.give(&victim.message(1, 1, 1, &[0; 10])).unwrap();
    victim.acknowledge(u32::MAX, 1 << 20, &[(2, count)]).unwrap();
    let sent = victim.sent();
    assert_eq!(data(&sent).iter().map(|data| data.tsn).collect::<Vec<_>>(), [victim.theirs]);
    assert_eq!(data(&sent)[0].payload.len(), 1160, "a full packet");
    assert!(victim.acknowledged().is_none(), "that comes later");
    victim.wait(Duration::from_millis(200));
    assert!(victim.acknowledged().is_some());
}

/// RFC 9260 §6.3.1: every round trip is measured, but not with what was sent twice (rule C5).
#[test]
fn round_trips_are_measured_with_what_was_sent_once() {
    let mut victim = sending(Config::default(), 1000);
    victim.sent();
    victim.now += Duration::from_millis(80);
    victim.acknowledge(0, 1 << 20, &[]).unwrap();
    assert_eq!(victim.end.stats().round_trip, Some(Duration::from_millis(80)));
    victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; 100].into(), true).unwrap();
    victim.sent();
    victim.run(Duration::from_secs(3));
    assert!(victim.end.stats().retransmissions > 0);
    victim.acknowledge(1, 1 << 20, &[]).unwrap();
    assert_eq!(victim.end.stats().round_trip, Some(Duration::from_millis(80)), "unchanged");
    victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; 100].into(), true).unwrap();
    victim.sent();
    victim.now += Duration::from_millis(160);
    victim.acknowledge(2, 1 << 20, &[]).unwrap();
    assert_eq!(victim.end.stats().round_trip, Some(Duration::from_millis(90)), "an eighth");
}

/// RFC 9260 §7.2.1: the window grows only while it is full, and by no more than what was acknowledged; §7.2.4: what a
/// SACK acknowledges counts before the loss that it shows.
#[test]
fn the_window_grows_while_it_is_full_and_shrinks_by_half() {
    // Not full: one message at a time.
    let mut victim = sending(Config::default(), 100);
    victim.sent();
    let window = victim.end.stats().congestion_window;
    victim.acknowledge(0, 1 << 20, &[]).unwrap();
    assert_eq!(victim.end.stats().congestion_window, window);
    // Full.
    let mut victim = sending(Config::default(), 200_000);
    let sent = victim.sent();
    let chunks = data(&sent).len() as u32;
    let bytes = victim.end.stats().in_flight;
    victim.acknowledge(chunks - 1, 1 << 20, &[]).unwrap();
    let window_now = victim.end.stats().congestion_window;
    assert!(window_now > window && window_now <= window + bytes, "{window} {window_now} {bytes}");
    // One SACK with both: half of what has grown before.
    let more = data(&victim.sent()).len() as u32;
    let in_flight = victim.end.stats().in_flight;
    victim.acknowledge(chunks, 1 << 20, &[(2, more as u16 - 1)]).unwrap();
    let halved = victim.end.stats().congestion_window;
    let acknowledged = in_flight - victim.end.stats().in_flight;
    assert!(halved >= window_now / 2 && halved <= (window_now + acknowledged) / 2 + 1188, "{halved}");
    assert!(halved < window_now);
}

/// RFC 9260 §6.7: what is acknowledged cumulatively is gone, and what is only reported is kept.
#[test]
fn only_the_cumulative_acknowledgement_lets_go_of_payload() {
    let mut config = Config::default();
    config.send_buffer = 50_000;
    let mut victim = sending(config, 20_000);
    let count = data(&victim.sent()).len() as u16;
    // All but the first are reported, then taken back: they come again.
    victim.acknowledge(u32::MAX, 1 << 20, &[(2, count)]).unwrap();
    victim.sent();
    victim.acknowledge(u32::MAX, 1 << 20, &[]).unwrap();
    let again: Vec<u32> = victim
        .run(Duration::from_secs(20))
        .iter()
        .flat_map(|(_, packet)| {
            data(std::slice::from_ref(packet)).into_iter().map(|it| it.tsn.0).collect::<Vec<_>>()
        })
        .collect();
    assert!(again.contains(&victim.theirs.0), "{again:?}");
    victim.acknowledge(0, 1 << 20, &[]).unwrap();
    let next = victim.theirs.plus(1).0;
    let more: Vec<Vec<u8>> =
        victim.run(Duration::from_secs(5)).into_iter().map(|(_, packet)| packet).collect();
    assert!(data(&more).iter().any(|data| data.tsn.0 == next), "what was taken back");
    assert!(data(&more).iter().all(|data| data.tsn != victim.theirs), "what was acknowledged");
}

/// RFC 9260 §6.9: a message that was cut stays as it was cut when the path becomes narrow.
#[test]
fn fragments_keep_their_size_when_packets_become_smaller() {
    let mut victim = sending(Config::default(), 3000);
    let first: Vec<usize> = data(&victim.sent()).iter().map(|data| data.payload.len()).collect();
    victim.end.set_max_packet(600);
    let mut later: Vec<usize> = Vec::new();
    while later.len() < first.len() {
        for (_, packet) in victim.run(Duration::from_secs(1)) {
            later.extend(data(std::slice::from_ref(&packet)).iter().map(|data| data.payload.len()));
            let last = first.len().min(later.len()) as u32;
            let _ = victim.acknowledge(last - 1, 1 << 20, &[]);
        }
    }
    assert_eq!(later[..2], first[..2]);
    // What comes after is cut to the new size.
    victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; 3000].into(), true).unwrap();
    let sent = victim.sent();
    assert!(sent.iter().all(|packet| packet.len() <= 600));
}

/// RFC 9260 §6.9: a fragment that no packet holds any more goes in one of its own size, and that size is told before.
#[test]
fn a_packet_that_is_larger_than_the_path_is_announced_with_its_size() {
    for (payload, whole) in [(1000, 1028), (1001, 1032), (1004, 1032)] {
        let mut victim = sending(Config::default(), payload);
        assert_eq!((victim.end.oversized(), victim.sent()[0].len()), (None, whole));
        victim.end.set_max_packet(whole - 4);
        assert_eq!(victim.end.oversized(), None, "it is on its way");
        while victim.end.stats().timeouts == 0 {
            victim.now = victim.end.poll_timeout().unwrap();
            victim.end.handle_timeout(victim.now);
        }
        assert_eq!(victim.end.oversized(), Some(whole), "{payload}");
        victim.end.set_max_packet(whole);
        assert_eq!(victim.end.oversized(), None, "one that fits exactly");
        victim.end.set_max_packet(600);
        let sent = victim.sent();
        assert_eq!((sent.len(), sent[0].len(), victim.end.oversized()), (1, whole, None));
    }
}

/// RFC 9002 §7.7: a window of ten bursts is sent in half a round trip, one burst behind the other in equal steps.
#[test]
fn a_window_is_spread_over_the_round_trip() {
    let mut config = Config::default();
    (config.max_burst, config.initial_window) = (4, Some(40));
    let mut victim = Victim::new(config);
    victim.end.set_round_trip(Duration::from_millis(100));
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; 100_000].into(), true).unwrap();
    let began = victim.now;
    let sent = victim.run(Duration::from_millis(90));
    let times: Vec<u128> = sent.iter().map(|(at, _)| (*at - began).as_millis()).collect();
    let expected: Vec<u128> = (0..41).map(|nth| nth / 4 * 5).collect();
    // What remains of a window that counts no headers of packets is one packet more.
    assert_eq!(times, expected);
}
