//! RFC 9260 §3.3.4, §6.2, §6.7: what is acknowledged, when, and how often.

use std::time::Duration;

use sctp::Config;
use sctp::wire::Chunk;

use crate::common::victim::{SACK, Victim, find, kinds};

/// RFC 9260 §3.3.4: the example of the RFC, TSNs 10 to 12, 14, 15 and 17.
#[test]
fn a_sack_reports_the_gaps_as_the_rfc_draws_them() {
    let mut victim = Victim::new(Config::default());
    for ahead in [0, 1, 2, 4, 5, 7] {
        victim.give(&Chunk::Data(victim.data(ahead, true, true, b"x"))).unwrap();
    }
    let told = victim.acknowledged().unwrap();
    assert_eq!((told.cumulative, told.gaps), (victim.next.plus(2), vec![(2, 3), (5, 5)]));
}

/// RFC 9260 §6.2: at once for what is doubled, for a gap and its filling, and for the I bit; every second packet
/// otherwise; and never more than one for a packet.
#[test]
fn acknowledgements_come_when_they_must_and_one_for_a_packet() {
    let mut victim = Victim::new(Config::default());
    let give = |victim: &mut Victim, ahead: &[u32], immediate: bool| {
        let chunks: Vec<Chunk<'_>> = ahead
            .iter()
            .map(|ahead| {
                let mut data = victim.data(*ahead, true, true, b"x");
                data.immediate = immediate;
                Chunk::Data(data)
            })
            .collect();
        let tag = victim.tag;
        victim.give_under(tag, &chunks).unwrap();
        kinds(&victim.sent())
    };
    const NONE: [u8; 0] = [];
    assert_eq!(give(&mut victim, &[0, 1, 2], false), [SACK], "the first");
    assert_eq!(give(&mut victim, &[3, 4, 5], false), NONE, "a packet, not a chunk, counts");
    assert_eq!(give(&mut victim, &[6], false), [SACK], "every second packet");
    assert_eq!(give(&mut victim, &[6], false), [SACK], "a duplicate");
    assert_eq!(give(&mut victim, &[7], true), [SACK], "the I bit");
    assert_eq!(give(&mut victim, &[9], false), [SACK], "a gap");
    assert_eq!(give(&mut victim, &[10], false), [SACK], "while there is one");
    assert_eq!(give(&mut victim, &[8], false), [SACK], "and when it closes");
    assert_eq!(give(&mut victim, &[11], false), NONE);
    let began = victim.now;
    let later = victim.run(Duration::from_secs(1));
    assert_eq!((later.len(), later[0].0 - began), (1, Duration::from_millis(50)), "and not too late");
}

/// Duplicates are listed as often as they came, once.
#[test]
fn duplicates_are_reported_once() {
    let mut victim = Victim::new(Config::default());
    for _ in 0..3 {
        victim.give(&Chunk::Data(victim.data(0, true, true, b"x"))).unwrap();
    }
    let told = victim.acknowledged().unwrap();
    assert_eq!(told.duplicates, [victim.next; 2]);
    victim.give(&Chunk::Data(victim.data(0, true, true, b"x"))).unwrap();
    assert_eq!(victim.acknowledged().unwrap().duplicates, [victim.next]);
}

/// RFC 9260 §6.2, against silly windows: the reader's small steps are not told one by one.
#[test]
fn a_window_that_opens_is_told_in_steps_and_not_byte_by_byte() {
    let mut config = Config::default();
    config.receive_window = 50_000;
    let mut victim = Victim::new(config);
    let mut count = 0;
    while victim.give(&victim.message(count, 0, count as u16, &[1; 100])).is_ok() {
        count += 1;
    }
    victim.sent();
    let (mut updates, mut windows) = (0, Vec::new());
    for _ in 0..count {
        assert!(victim.end.recv(victim.now, sctp::StreamId(0)).is_some());
        if let Some(told) = victim.acknowledged() {
            updates += 1;
            windows.push(told.window);
        }
    }
    assert!((1..=20).contains(&updates), "{updates} for {count} messages");
    assert!(windows.windows(2).all(|pair| pair[1] >= pair[0] + 2 * 1188), "{windows:?}");
}

/// RFC 9260 §3.3.4, §6.2: duplicates are told as far as sixteen, and as the runs leave room for them.
#[test]
fn duplicates_are_told_in_the_room_that_runs_leave() {
    let mut victim = Victim::new(Config::default());
    for _ in 0..30 {
        victim.give(&Chunk::Data(victim.data(0, true, true, b"x"))).unwrap();
    }
    assert_eq!(victim.acknowledged().unwrap().duplicates, [victim.next; 16]);
    // A packet of 1,188 bytes holds 290 words behind the head of a SACK.
    for (runs, duplicates) in [(270, 16), (280, 10), (289, 1), (290, 0)] {
        let mut victim = Victim::new(Config::default());
        for nth in 0..runs {
            victim.give(&Chunk::Data(victim.data(nth * 2 + 1, true, true, b"x"))).unwrap();
        }
        victim.sent();
        for _ in 0..16 {
            victim.give(&Chunk::Data(victim.data(1, true, true, b"x"))).unwrap();
        }
        let sent = victim.sent();
        let Some(Chunk::Sack(sack)) = find(&sent, SACK) else { panic!() };
        let told = (sack.gaps().count(), sack.duplicates().count());
        assert_eq!(told, (runs as usize, duplicates), "{runs}");
        assert!(sent.len() == 1 && sent[0].len() <= 1188, "{runs}");
    }
}
