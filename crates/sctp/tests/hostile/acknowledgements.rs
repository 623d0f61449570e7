//! C9: tags that are guessed, acknowledgements of what was never sent, windows that stay closed.

use std::time::Duration;

use crypto::Rng;
use sctp::wire::{Chunk, Parameters};
use sctp::{CloseReason, Config, Discard, Event, StreamId, StreamOptions, Violation};

use crate::common::victim::{ABORT, DATA, Victim, complaint, kinds, sack};
use crate::common::{Link, Pair};

/// A victim with so many bytes in flight.
fn sending(config: Config, bytes: usize) -> Victim {
    let mut victim = Victim::new(config);
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; bytes].into(), true).unwrap();
    victim
}

#[test]
fn c9_packets_under_a_guessed_tag_change_and_answer_nothing() {
    let (mut victim, mut twin) = (sending(Config::default(), 5000), sending(Config::default(), 5000));
    assert_eq!(victim.sent(), twin.sent());
    let mut rng = Rng::new([4; 32]);
    let reset = crate::common::victim::parameter(&sctp::wire::Parameter::OutgoingReset {
        request: victim.next.0,
        response: 0,
        last: victim.next,
        streams: &[],
    });
    let everything = |victim: &Victim, nth: u64| {
        let causes = sctp::wire::Causes::decode(&[]).unwrap();
        match nth % 12 {
            0 => Chunk::Data(victim.data(0, true, true, b"forged")),
            1 => Chunk::Abort { reflected: false, causes },
            2 => Chunk::Abort { reflected: true, causes },
            3 => Chunk::Shutdown { cumulative: victim.theirs },
            4 => Chunk::ShutdownAck,
            5 => Chunk::ShutdownComplete { reflected: nth.is_multiple_of(2) },
            6 => Chunk::Heartbeat(b"\0\x01\0\x08beat"),
            7 => Chunk::CookieAck,
            8 => Chunk::Error { causes },
            9 => Chunk::Reconfig(Parameters::decode(&reset).unwrap()),
            10 => Chunk::ForwardTsn(sctp::wire::ForwardTsn { cumulative: victim.next, skipped: &[] }),
            _ => Chunk::Unknown { kind: 0x40, flags: 0, value: b"" },
        }
    };
    let mut refused = 0;
    for nth in 0..testkit::scaled_at_least(100_000, 5_000) {
        // Any tag but its own; for ABORT and SHUTDOWN COMPLETE with the T bit, not the peer's either.
        let tag = if nth % 100 == 0 { victim.tag ^ (1 << (nth / 100 % 32)) } else { rng.u32() };
        if tag == victim.tag || tag == crate::common::victim::PEER_TAG {
            continue;
        }
        let chunk = everything(&victim, nth);
        assert_eq!(victim.give_under(tag, &[chunk]), Err(Discard::Tag), "{chunk:?}");
        refused += 1;
        if nth % 12 == 11 {
            let bytes = sack(tag, victim.theirs.plus(9), 0, &[]);
            assert_eq!(victim.give_bytes(&bytes), Err(Discard::Tag));
        }
    }
    assert!(refused > 4_000);
    assert_eq!(victim.sent(), twin.sent(), "silently");
    assert_eq!((victim.end.poll_timeout(), victim.events.len()), (twin.end.poll_timeout(), 0));
    // RFC 9260 §8.5.1, rule B: the peer's own tag needs the T bit, ours must not have it.
    let causes = sctp::wire::Causes::decode(&[]).unwrap();
    let tag = victim.tag;
    for (tag, reflected) in [(tag, true), (crate::common::victim::PEER_TAG, false)] {
        let taken = victim.give_under(tag, &[Chunk::Abort { reflected, causes }]);
        assert_eq!(taken, Err(Discard::Tag));
    }
    assert!(victim.end.is_connected());
}

#[test]
fn c9_an_acknowledgement_of_what_was_not_sent_ends_it() {
    // Cumulative TSN beyond the last, by runs beyond it, each by one and by many.
    for (ahead, gaps) in [
        (5, &[][..]),
        (6, &[]),
        (70_000, &[]),
        ((1 << 31) - 2, &[]),
        (0, &[(2, 5)]),
        (0, &[(5, 5)]),
        (0, &[(2, 3), (60_000, 65_535)]),
        (4, &[(1, 1)]),
    ] {
        let mut victim = sending(Config::default(), 5000);
        assert_eq!(kinds(&victim.sent()), [DATA; 5]);
        victim.acknowledge(ahead, 1 << 20, gaps).unwrap();
        let reason = CloseReason::Violation(Violation::UnsentAcknowledged);
        assert_eq!(victim.events, [Event::Closed(reason)], "{ahead} {gaps:?}");
        let causes = complaint(&victim.sent(), ABORT).unwrap().1;
        assert_eq!(causes, [(13, vec![])], "{ahead} {gaps:?}: protocol violation");
    }
    // One less is fine, in each case.
    for (ahead, gaps) in [(4, &[][..]), (0, &[(2, 4)]), (0, &[(4, 4)]), (3, &[(1, 1)])] {
        let mut victim = sending(Config::default(), 5000);
        victim.sent();
        victim.acknowledge(ahead, 1 << 20, gaps).unwrap();
        assert!(victim.end.is_connected(), "{ahead} {gaps:?}");
    }
}

/// Runs that are empty, overlap, or come in no order say nothing, and end nothing.
#[test]
fn c9_runs_without_sense_acknowledge_nothing_beyond_the_sensible_ones() {
    for gaps in [&[(3, 2)][..], &[(0, 0)], &[(0, 4)], &[(2, 2), (2, 2)], &[(3, 3), (2, 2)], &[(2, 4), (3, 3)]]
    {
        let mut victim = sending(Config::default(), 5000);
        victim.sent();
        let before = victim.end.stats().in_flight;
        victim.acknowledge(0, 1 << 20, gaps).unwrap();
        assert!(victim.end.is_connected() && victim.end.stats().in_flight < before, "{gaps:?}");
        victim.acknowledge(4, 1 << 20, &[]).unwrap();
        assert_eq!(victim.end.stats().in_flight, 0, "{gaps:?}");
    }
}

/// Optimistic acknowledgements: a peer that acknowledges early gets no more than its own window at a time, and
/// one that splits its acknowledgements no faster growth.
#[test]
fn c9_split_and_repeated_acknowledgements_do_not_open_the_window_further() {
    let grown = |split: bool| {
        let mut victim = sending(Config::default(), 500_000);
        let count = kinds(&victim.sent()).len() as u32;
        for ahead in if split { 0..count } else { count - 1..count } {
            for _ in 0..3 {
                victim.acknowledge(ahead, 1 << 20, &[]).unwrap();
            }
        }
        victim.end.stats().congestion_window
    };
    assert_eq!(grown(true), grown(false));
}

#[test]
fn c9_a_closed_window_is_probed_with_back_off_and_reported_if_asked() {
    let mut config = Config::default();
    config.zero_window_timeout = Some(Duration::from_secs(60));
    let mut small = Config::default();
    small.receive_window = 20_000;
    let mut pair = Pair::with(config, small, Link::default(), 1);
    assert!(pair.run(Duration::from_secs(5), |pair| pair.ends.iter().all(sctp::Association::is_connected)));
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

/// RFC 9260 §6.1, rule A: one chunk at a time, farther and farther apart, for as long as the peer answers.
#[test]
fn c9_a_window_of_zero_is_probed_one_chunk_at_a_time_and_for_ever_if_the_peer_answers() {
    let mut victim = sending(Config::default(), 100_000);
    let count = kinds(&victim.sent()).len() as u32;
    victim.acknowledge(count - 1, 0, &[]).unwrap();
    let mut probes: Vec<(Duration, sctp::Tsn)> = Vec::new();
    for _ in 0..2_000 {
        let (now, sent) = (victim.now - testkit::epoch(), victim.sent());
        let data = crate::common::victim::data(&sent);
        assert!(data.len() <= 1, "one chunk");
        probes.extend(data.iter().map(|data| (now, data.tsn)));
        if !data.is_empty() {
            // It is dropped, and the window is still closed.
            victim.acknowledge(count - 1, 0, &[]).unwrap();
        }
        victim.now = victim.end.poll_timeout().unwrap();
        victim.end.handle_timeout(victim.now);
        if victim.now - testkit::epoch() > Duration::from_secs(600) {
            break;
        }
    }
    assert!(
        victim.end.is_connected() && victim.events.iter().all(|event| !matches!(event, Event::Closed(_)))
    );
    assert!(
        probes.iter().all(|(_, tsn)| *tsn == victim.theirs.plus(count)),
        "the next chunk, again and again"
    );
    assert!((200..1000).contains(&probes.len()), "{} probes in ten minutes", probes.len());
    let pauses: Vec<Duration> = probes.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(pauses[0] < pauses[pauses.len() - 1], "{pauses:?}");
    assert!(pauses[5..].iter().all(|pause| *pause >= Duration::from_secs(1)), "{pauses:?}");
    // It opens: the rest follows.
    victim.acknowledge(count, 1 << 20, &[]).unwrap();
    assert!(kinds(&victim.sent()).len() > 1);
    // A peer that does not even answer is given up.
    victim.run(Duration::from_secs(200));
    assert_eq!(victim.events.last(), Some(&Event::Closed(CloseReason::TimedOut)));
}

/// A SACK in a packet that carries no valid sum, and one under zero, never count.
#[test]
fn c9_a_sack_under_a_tag_of_zero_is_dropped() {
    let mut victim = sending(Config::default(), 5000);
    victim.sent();
    let bytes = sack(0, victim.theirs.plus(4), 1 << 20, &[]);
    assert_eq!(victim.give_bytes(&bytes), Err(Discard::Tag));
    let mut bytes = sack(victim.tag, victim.theirs.plus(4), 1 << 20, &[]);
    bytes[8] ^= 1;
    assert_eq!(victim.give_bytes(&bytes), Err(Discard::Checksum));
    assert!(victim.end.stats().in_flight > 0);
}
