//! C5: whatever the peer sends, an association holds no more than its window, a quarter more, and 64 KiB.

use std::time::Duration;

use sctp::wire::{Chunk, Data, ForwardTsn, Parameter, Parameters};
use sctp::{Association, Config, Event, Ssn, StreamId, StreamOptions};

use crate::common::victim::{Victim, kinds, parameter, raw};
use crate::common::{Link, Pair};

const WINDOW: usize = 256 << 10;
const BOUND: u64 = (WINDOW + WINDOW / 4 + (64 << 10)) as u64;

/// Plays one strategy for a number of steps; `false` when there is no use in going on.
type Strategy = fn(&mut Victim, u32) -> bool;

/// What attackers of other implementations did, and some more.
const STRATEGIES: [(&str, Strategy); 10] = [
    ("fragments of one byte with holes between them", |victim, step| {
        let data = victim.data(step * 2 + 1, false, false, &[1]);
        let _ = victim.give(&Chunk::Data(data));
        true
    }),
    ("beginnings without an end on 65,535 streams", |victim, step| {
        let data = victim.data(step * 2 + 1, true, false, &[1; 900]);
        let _ = victim.give(&Chunk::Data(Data { stream: StreamId(step as u16), ..data }));
        true
    }),
    ("a message that never ends", |victim, step| {
        let _ = victim.give(&Chunk::Data(victim.data(step, step == 0, false, &[1])));
        true
    }),
    ("whole messages of one byte that nobody reads", |victim, step| {
        let data = victim.data(step, true, true, &[1]);
        let _ = victim.give(&Chunk::Data(Data { stream: StreamId(step as u16), ..data }));
        true
    }),
    ("headers without data", |victim, step| {
        // A chunk of interleaved data (RFC 8260), which is unknown here, and a DATA chunk, which ends it.
        let _ = victim.give(&Chunk::Unknown { kind: 64, flags: 3, value: &[0; 16] });
        if step % 1000 == 999 {
            let _ = victim.give(&Chunk::Data(victim.data(0, true, true, &[])));
        }
        !victim.end.is_closed()
    }),
    ("FORWARD TSNs that name every stream, between data", |victim, step| {
        let list: Vec<u8> = (0..500u16)
            .flat_map(|nth| [(step as u16).wrapping_mul(500).wrapping_add(nth), 1])
            .flat_map(u16::to_be_bytes)
            .collect();
        let _ = victim.give(&Chunk::Data(victim.data(step * 3 + 2, true, false, &[1; 100])));
        let cumulative = victim.next.plus(step * 3);
        let _ = victim.give(&Chunk::ForwardTsn(ForwardTsn { cumulative, skipped: &list }));
        true
    }),
    ("resets that wait for data that never comes, and FORWARD TSNs", |victim, step| {
        let streams: Vec<u8> =
            (0..400u16).flat_map(|nth| (step as u16).wrapping_add(nth).to_be_bytes()).collect();
        let last = victim.next.plus(1 << 30);
        let request =
            Parameter::OutgoingReset { request: victim.next.0, response: 0, last, streams: &streams };
        let bytes = parameter(&request);
        let _ = victim.give(&Chunk::Reconfig(Parameters::decode(&bytes).unwrap()));
        let cumulative = victim.next.plus(step);
        let _ = victim.give(&Chunk::ForwardTsn(ForwardTsn { cumulative, skipped: &[] }));
        true
    }),
    ("resets of every stream that was never used", |victim, step| {
        let first = (step as u16).wrapping_mul(400);
        let streams: Vec<u8> = (0..400u16).flat_map(|nth| first.wrapping_add(nth).to_be_bytes()).collect();
        let number = victim.next.0.wrapping_add(step);
        let last = victim.next.plus(u32::MAX);
        let bytes =
            parameter(&Parameter::OutgoingReset { request: number, response: 0, last, streams: &streams });
        let tag = victim.tag;
        let chunk = Chunk::Reconfig(Parameters::decode(&bytes).unwrap());
        // The events are not taken: they are bounded, too.
        let _ = victim.end.handle_packet(victim.now, &crate::common::victim::packet(tag, &[chunk]));
        true
    }),
    ("slivers that are kept, between large messages that are read", |victim, step| {
        let (stream, payload): (u16, &[u8]) = if step % 8 == 0 { (0, &[1]) } else { (1, &[2; 1100]) };
        let data = victim.data(step, true, true, payload);
        let _ = victim.give(&Chunk::Data(Data { stream: StreamId(stream), ..data }));
        victim.read(1);
        true
    }),
    ("ordered messages ahead of their turn, and each of them twice", |victim, step| {
        let payload = [step as u8; 40];
        for _ in 0..2 {
            let data = victim.data(step + 1, true, true, &payload);
            let ssn = Ssn((step as u16).wrapping_add(1));
            let _ = victim.give(&Chunk::Data(Data { unordered: false, ssn, ..data }));
        }
        true
    }),
];

fn config() -> Config {
    let mut config = Config::default();
    config.receive_window = WINDOW;
    config
}

#[test]
fn c5_ten_strategies_against_the_reassembly_stay_within_the_formula() {
    let steps = testkit::scaled_at_least(1_000_000, 20_000) as u32;
    for (name, strategy) in STRATEGIES {
        let info = allocation_counter::measure(|| {
            let mut victim = Victim::new(config());
            for step in 0..steps {
                if !strategy(&mut victim, step) {
                    break;
                }
                if step % 100 == 0 {
                    victim.sent();
                    victim.events = Vec::new();
                }
            }
            std::mem::forget(victim);
        });
        assert!(info.bytes_max < BOUND, "{name}: {} > {BOUND}", info.bytes_max);
    }
}

/// Figure 26: attackers by the thousand beside an honest pair, each within the formula, and nothing is left of them.
#[test]
fn c5_attacked_associations_leave_honest_ones_in_the_process_alone() {
    const STEPS: u32 = 200;
    let attacks = testkit::scaled_at_least(10_000, 100);
    let alone = honest(|_| {});
    let mut left = attacks;
    let info = allocation_counter::measure(|| {
        let beside = honest(|_| {
            for _ in 0..(attacks / 100).max(1).min(left) {
                left -= 1;
                let (name, strategy) = STRATEGIES[left as usize % STRATEGIES.len()];
                let info = allocation_counter::measure(|| {
                    let mut victim = Victim::new(config());
                    let _ = (0..STEPS).all(|step| strategy(&mut victim, step));
                    victim.sent();
                    std::mem::forget(victim);
                });
                assert!(info.bytes_max < BOUND, "{name}: {}", info.bytes_max);
            }
        });
        assert_eq!(beside, alone, "the honest pair takes the same time, and sends the same packets");
    });
    assert_eq!(left, 0);
    assert!(info.count_total > attacks, "the attacks took place");
}

/// How long a transfer takes, and how many packets.
fn honest(mut between: impl FnMut(&Pair)) -> (Duration, [u64; 2]) {
    let mut pair = Pair::connected(Config::default(), Link { rate: 20_000_000, ..Link::default() }, 1);
    pair.ends[0].open(StreamId(0), StreamOptions::default()).unwrap();
    let began = pair.now;
    let mut got = 0;
    for _ in 0..200 {
        pair.send(0, 0, vec![1; 10_000]);
        let more = got + 10_000;
        assert!(pair.run(Duration::from_secs(5), |pair| {
            got += pair.receive(1, 0).iter().map(Vec::len).sum::<usize>();
            got >= more
        }));
        between(&pair);
    }
    (pair.now - began, pair.sent)
}

#[test]
fn c5_an_aborted_attack_gives_its_memory_back_at_once() {
    let mut victim = Victim::new(config());
    let info = allocation_counter::measure(|| {
        for step in 0..1000 {
            let _ = victim.give(&Chunk::Data(victim.data(step * 2 + 2, true, false, &[1; 200])));
        }
        // A fragment that cannot follow the one before it.
        let _ = victim.give(&Chunk::Data(victim.data(0, true, false, b"a")));
        let _ = victim.give(&Chunk::Data(victim.data(1, true, false, b"b")));
        assert!(matches!(victim.events.last(), Some(Event::Closed(_))));
        victim.events = Vec::new();
        assert_eq!(kinds(&victim.sent()), [6]);
    });
    assert!(info.bytes_current < 1024, "{}", info.bytes_current);
    // It stays shut.
    let tag = victim.tag;
    assert!(victim.give_bytes(&raw(tag, &[10, 0, 0, 4])).is_err());
    assert!(victim.end.poll_timeout().is_none() && Association::is_closed(&victim.end));
}

/// What a busy time needed is given back half a second after it: by the sender, too.
#[test]
fn c5_an_association_that_has_fallen_silent_gives_its_memory_back() {
    let mut config = Config::default();
    (config.initial_window, config.max_burst) = (Some(4000), 10_000);
    let mut victim = Victim::with_init(config, |init| init.window = 1 << 30);
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    let info = allocation_counter::measure(|| {
        for _ in 0..3000u32 {
            victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![1; 100].into(), true).unwrap();
        }
        let sent = victim.sent();
        let count = crate::common::victim::data(&sent).len() as u32;
        assert_eq!(count, 3000);
        for ahead in [9, 999, 2000] {
            victim.acknowledge(ahead, 1 << 30, &[(3, 3), (7, 9)]).unwrap();
        }
        victim.acknowledge(count - 1, 1 << 30, &[]).unwrap();
        victim.sent();
        victim.wait(Duration::from_millis(500));
        victim.events = Vec::new();
    });
    assert!(victim.end.is_connected() && victim.end.stats().in_flight == 0);
    assert!(info.bytes_max > 300_000 && info.bytes_current < 1000, "{info:?}");
}
