//! Every limit of `Config`, met exactly and passed by one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::victim::{ABORT, HEARTBEAT, INIT, SACK, SHUTDOWN, Victim, complaint, data, kinds, sign};
use sctp::wire::{Chunk, Packet};
use sctp::{
    Association, CloseReason, Config, Discard, Event, OpenError, Ppid, SendError, StreamId, StreamOptions,
};

fn with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

fn send(victim: &mut Victim, stream: u16, bytes: usize, end: bool) -> Result<(), SendError> {
    victim.end.send(victim.now, StreamId(stream), Ppid(53), &mut vec![1; bytes].into(), end)
}

/// What a fragment costs beside its payload.
const OVERHEAD: usize = 160;

#[test]
fn the_defaults_are_those_that_are_promised() {
    let config = Config::default();
    assert_eq!((config.receive_window, config.send_buffer, config.max_streams), (1 << 20, 16 << 20, 1024));
    assert_eq!((config.max_gaps, config.partial_delivery), (1024, 512 << 10));
}

/// In TSN order: the window is what payload and overhead fill, and when it is announced as zero nothing new is taken.
#[test]
fn the_receive_window_is_filled_to_its_end_and_not_beyond() {
    for payload in [1, 100, 1000] {
        let mut victim = Victim::new(Config::default());
        let bytes = vec![1; payload];
        let fits = (1 << 20) / (payload + OVERHEAD);
        for nth in 0..fits {
            victim.give(&victim.message(nth as u32, 0, nth as u16, &bytes)).unwrap();
        }
        let rest = (1 << 20) - fits * (payload + OVERHEAD);
        victim.wait(Duration::from_millis(50));
        assert_eq!(victim.acknowledged().unwrap().window as usize, rest);
        // One more is taken, as the window was not announced as zero; the next is not.
        victim.give(&victim.message(fits as u32, 0, 0, &bytes)).unwrap();
        victim.wait(Duration::from_millis(50));
        assert_eq!(victim.acknowledged().unwrap().window, 0);
        let last = victim.next.plus(fits as u32);
        let refused = victim.give(&victim.message(fits as u32 + 1, 0, 0, &bytes));
        assert_eq!(refused, Err(Discard::NoRoom));
        // RFC 9260 §6.2: that is told at once, and the TSN is not in it.
        let told = victim.acknowledged().unwrap();
        assert_eq!((told.cumulative, told.window, told.gaps), (last, 0, vec![]));
        // Reading makes room, and that is told without being asked.
        assert_eq!(victim.read(0).len(), fits + 1);
        assert_eq!(victim.acknowledged().unwrap().window, 1 << 20);
        victim.give(&victim.message(fits as u32 + 1, 0, 0, &bytes)).unwrap();
    }
}

/// Above a gap: fragments are counted with their overhead; what fills the gap has a quarter of the window more.
#[test]
fn fragments_above_a_gap_fill_the_window_with_their_overhead() {
    let window = 1 << 20;
    let mut victim = Victim::new(with(|config| config.receive_window = window));
    let fits = window / (1 + OVERHEAD);
    for nth in 0..fits as u32 {
        victim.give(&Chunk::Data(victim.data(nth + 2, false, false, b"x"))).unwrap();
    }
    let one_more = Chunk::Data(victim.data(fits as u32 + 2, false, false, b"x"));
    assert_eq!(victim.give(&one_more), Err(Discard::NoRoom));
    assert_eq!(victim.acknowledged().unwrap().gaps, [(3, fits as u16 + 2)]);
    // The door is not locked: what is missing is still taken.
    for ahead in [0, 1] {
        victim.give(&Chunk::Data(victim.data(ahead, ahead == 0, false, &[2; 1000]))).unwrap();
    }
    assert_eq!(victim.acknowledged().unwrap().cumulative, victim.next.plus(fits as u32 + 1));
}

#[test]
fn runs_above_a_gap_are_kept_up_to_their_number_and_told_as_far_as_a_packet_holds() {
    for gaps in [10, 1024] {
        let mut victim = Victim::new(with(|config| config.max_gaps = gaps));
        for nth in 0..gaps as u32 {
            victim.give(&Chunk::Data(victim.data(nth * 2 + 1, true, true, b"x"))).unwrap();
        }
        let one_more = Chunk::Data(victim.data(gaps as u32 * 2 + 1, true, true, b"x"));
        assert_eq!(victim.give(&one_more), Err(Discard::NoRoom));
        // What joins runs needs no place.
        victim.give(&Chunk::Data(victim.data(2, true, true, b"x"))).unwrap();
        let sent = victim.sent();
        let told = sent.len();
        let Some(Chunk::Sack(sack)) = common::victim::find(&sent, SACK) else { panic!() };
        // RFC 9260 §6.2, §6.7: all, or as many as the packet has room for, the lowest first, in one SACK.
        let room = (1188 - 12 - 16) / 4;
        let runs: Vec<(u16, u16)> = sack.gaps().collect();
        assert_eq!((told, runs.len()), (1, (gaps - 1).min(room)));
        assert_eq!((runs[0], runs[1]), ((2, 4), (6, 6)));
        assert!(runs.windows(2).all(|pair| pair[1].0 == pair[0].1 + 2));
        assert!(sent[0].len() <= 1188);
    }
}

#[test]
fn a_message_is_handed_out_in_parts_from_the_limit_on() {
    let mut victim = Victim::new(with(|config| config.partial_delivery = 10_000));
    let payload = [1; 1000];
    for nth in 0..9 {
        victim.give(&Chunk::Data(victim.data(nth, nth == 0, false, &payload))).unwrap();
    }
    assert_eq!((victim.read(0).len(), victim.events.len()), (0, 0));
    victim.give(&Chunk::Data(victim.data(9, false, false, &payload))).unwrap();
    assert_eq!((victim.read(0).len(), victim.events.len()), (10, 1));
}

#[test]
fn streams_are_opened_up_to_their_number_and_not_one_more() {
    let mut victim = Victim::new(Config::default());
    for stream in 0..1024 {
        victim.end.open(StreamId(stream), StreamOptions::default()).unwrap();
    }
    assert_eq!(victim.end.open(StreamId(1024), StreamOptions::default()), Err(OpenError::TooMany));
    // 65,535 is none.
    let mut victim = Victim::new(Config::default());
    assert_eq!(victim.end.open(StreamId(65_534), StreamOptions::default()), Ok(()));
    assert_eq!(victim.end.open(StreamId(65_535), StreamOptions::default()), Err(OpenError::OutOfRange));
}

/// The peer's streams: a message on one too many is acknowledged, thrown away, and reported (RFC 9260 §6.5).
#[test]
fn messages_are_taken_on_as_many_streams_as_there_may_be() {
    let mut victim = Victim::new(Config::default());
    for stream in 0..1024 {
        victim.give(&victim.message(stream.into(), stream, 0, b"x")).unwrap();
    }
    victim.sent();
    for (ahead, stream) in [(1024, 1024), (1025, 65_535)] {
        victim.give(&victim.message(ahead, stream, 0, b"x")).unwrap();
        victim.wait(Duration::from_millis(50));
        let sent = victim.sent();
        let [a, b] = stream.to_be_bytes();
        assert_eq!(complaint(&sent, 9).unwrap().1, [(1, vec![a, b, 0, 0])]);
        assert!(victim.read(stream).is_empty());
        let Some(Chunk::Sack(sack)) = common::victim::find(&sent, SACK) else { panic!() };
        assert_eq!(sack.cumulative, victim.next.plus(ahead));
    }
}

#[test]
fn the_send_buffer_takes_up_to_its_limit_and_not_a_byte_more() {
    for limit in [1000, 1 << 20, 16 << 20] {
        // A queued piece costs 96 bytes beside its payload.
        for (bytes, result) in [(limit - 96, Ok(())), (limit - 95, Err(SendError::Blocked))] {
            let mut victim = Victim::new(with(|config| config.send_buffer = limit));
            victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
            assert_eq!(send(&mut victim, 0, bytes, true), result, "{bytes} of {limit}");
            assert_eq!(victim.end.buffered(StreamId(0)), limit - 96);
        }
    }
}

/// Of a message that holds up all others 64 KiB may wait, whatever the limit is.
#[test]
fn a_message_that_has_begun_finds_a_little_room_in_a_full_send_buffer_and_no_more() {
    let mut victim = Victim::new(with(|config| config.send_buffer = 20_000));
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    assert_eq!(send(&mut victim, 0, 15_000, false), Ok(()));
    victim.sent();
    for _ in 0..10 {
        assert_eq!(send(&mut victim, 0, 100_000, false), Err(SendError::Blocked));
        let waiting = victim.end.buffered(StreamId(0));
        assert!(waiting > 60_000 && waiting <= 64 << 10, "{waiting}");
    }
    // One that is there as a whole needs none, nor does what comes behind it.
    let mut victim = Victim::new(with(|config| config.send_buffer = 20_000));
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    assert_eq!(send(&mut victim, 0, 15_000, true), Ok(()));
    victim.sent();
    assert_eq!(send(&mut victim, 0, 100_000, true), Err(SendError::Blocked));
    assert!(victim.end.buffered(StreamId(0)) <= 20_000);
}

#[test]
fn a_message_is_sent_up_to_the_largest_and_not_a_byte_more() {
    let mut victim = Victim::new(with(|config| config.max_message = 1000));
    for stream in 0..2 {
        victim.end.open(StreamId(stream), StreamOptions::default()).unwrap();
    }
    let large = Err(SendError::TooLarge { limit: 1000 });
    assert_eq!(send(&mut victim, 0, 1001, true), large);
    assert_eq!(send(&mut victim, 0, 1000, true), Ok(()));
    // In parts, too.
    assert_eq!(send(&mut victim, 1, 600, false), Ok(()));
    assert_eq!(send(&mut victim, 1, 401, true), large);
    assert_eq!(send(&mut victim, 1, 400, true), Ok(()));
}

#[test]
fn packets_are_never_larger_than_allowed_nor_smaller_than_they_could_be() {
    for size in [128, 129, 576, 1188, 4000] {
        let mut victim = Victim::new(with(|config| config.max_packet = size));
        victim.end.set_max_packet(size);
        victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
        send(&mut victim, 0, 10_000, true).unwrap();
        let mut memory = vec![0; 10_000];
        let mut out = proto::Writer::new(&mut memory);
        while victim.end.poll_packet(victim.now, &mut out) {
            assert!(out.len() <= size, "{} of {size}", out.len());
            assert!(out.len() + 4 > size || victim.end.buffered(StreamId(0)) == 0, "{} of {size}", out.len());
            out.truncate(0);
        }
    }
}

/// As many transmissions in vain as allowed, and one more ends it (RFC 9260 §8.1).
#[test]
fn retransmissions_in_vain_end_an_association_at_their_number() {
    for limit in [0, 1, 10] {
        let mut victim = Victim::new(with(|config| config.max_retransmits = limit));
        victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
        send(&mut victim, 0, 10, true).unwrap();
        let sent = victim.run(Duration::from_secs(300));
        assert_eq!(victim.end.stats().timeouts, u64::from(limit) + 1);
        assert_eq!(victim.events.last(), Some(&Event::Closed(CloseReason::TimedOut)));
        // The last word is an ABORT, and nothing follows it.
        assert_eq!(kinds(&[sent.last().unwrap().1.clone()]), [ABORT]);
        assert_eq!(victim.end.poll_timeout(), None);
    }
}

/// RFC 9260 §4, notes 2 and 3: T1 expires so often, and then the attempt is over.
#[test]
fn the_handshake_is_tried_as_often_as_allowed_and_not_once_more() {
    for limit in [0, 1, 8] {
        let mut asking = Victim::asking(with(|config| config.max_init_retransmits = limit));
        let again = asking.run(Duration::from_secs(300));
        assert_eq!(again.len(), limit as usize, "after the first");
        assert!(again.iter().all(|(_, packet)| kinds(std::slice::from_ref(packet)) == [INIT]));
        assert_eq!(asking.events, [Event::Closed(CloseReason::HandshakeTimedOut)]);
        let mut echoing = Victim::echoing(with(|config| config.max_init_retransmits = limit));
        let again = echoing.run(Duration::from_secs(300));
        assert_eq!(again.len(), limit as usize);
        assert!(again.windows(2).all(|pair| pair[0].1 == pair[1].1), "the same cookie");
        assert_eq!(echoing.events, [Event::Closed(CloseReason::HandshakeTimedOut)]);
    }
}

#[test]
fn a_shutdown_takes_as_long_as_allowed_and_no_longer() {
    let mut victim = Victim::new(with(|config| config.shutdown_limit = Duration::from_secs(7)));
    let began = victim.now;
    victim.end.shutdown(victim.now);
    let sent = victim.run(Duration::from_secs(100));
    let (at, last) = sent.last().unwrap();
    assert_eq!((*at - began, kinds(std::slice::from_ref(last))), (Duration::from_secs(7), vec![ABORT]));
    assert!(sent.iter().filter(|(_, packet)| kinds(std::slice::from_ref(packet)) == [SHUTDOWN]).count() >= 3);
    assert_eq!(victim.events, [Event::Closed(CloseReason::TimedOut)]);
}

#[test]
fn a_train_is_as_long_as_allowed_until_something_comes_in() {
    for burst in [1, 4, 64] {
        let mut victim = Victim::new(with(|config| {
            config.max_burst = burst;
            config.initial_window = Some(400);
        }));
        victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
        send(&mut victim, 0, 500_000, true).unwrap();
        assert_eq!(data(&victim.sent()).len(), burst);
        victim.acknowledge(0, 1 << 20, &[]).unwrap();
        assert_eq!(data(&victim.sent()).len(), burst);
    }
}

/// The time that an acknowledgement waits, and RFC 9260's bound for any configuration (§6.2).
#[test]
fn an_acknowledgement_waits_as_long_as_configured_but_never_more_than_half_a_second() {
    for (asked, waits) in [(0, 0), (50, 50), (200, 200), (500, 500), (501, 500), (60_000, 500)] {
        let mut victim = Victim::new(with(|config| config.ack_delay = Duration::from_millis(asked)));
        victim.give(&victim.message(0, 0, 0, b"first")).unwrap();
        victim.sent();
        victim.give(&victim.message(1, 0, 1, b"second")).unwrap();
        let began = victim.now;
        let sent = victim.run(Duration::from_secs(2));
        assert_eq!((sent.len(), sent[0].0 - began), (1, Duration::from_millis(waits)), "{asked}");
    }
}

#[test]
fn heartbeats_come_at_their_interval_or_not_at_all() {
    for interval in [None, Some(Duration::from_secs(3))] {
        let mut victim = Victim::new(with(|config| config.heartbeat = interval));
        let sent = victim.run(Duration::from_secs(10));
        assert_eq!(sent.len(), if interval.is_some() { 3 } else { 0 });
        for (_, packet) in &sent {
            assert_eq!(kinds(std::slice::from_ref(packet)), [HEARTBEAT]);
        }
        // RFC 9260 §8.3: the answer is what the last of them said.
        if let Some((_, last)) = sent.last() {
            let Some(Chunk::Heartbeat(info)) = Packet::decode(last).unwrap().chunks().next() else {
                panic!()
            };
            assert_eq!(victim.give(&Chunk::HeartbeatAck(info)), Ok(()));
        }
    }
}

#[test]
fn a_cookie_lives_as_long_as_configured() {
    for (age, good) in [(5_000, true), (5_001, false)] {
        let mut victim = Victim::listening(with(|config| config.cookie_life = Duration::from_secs(5)));
        let mut body = vec![0; 40];
        body[..8].copy_from_slice(&victim.now.as_nanos().to_be_bytes());
        // Its own tag is unknown to us before it answers: an INIT tells.
        victim.give_under(0, &[Chunk::Init(common::victim::init(&[]))]).unwrap();
        let sent = victim.sent();
        let Some(Chunk::InitAck(ack)) = Packet::decode(&sent[0]).unwrap().chunks().next() else { panic!() };
        body.copy_from_slice(&common::victim::cookie(&ack)[..40]);
        victim.now += Duration::from_millis(age);
        let taken = victim.give_under(ack.tag, &[Chunk::CookieEcho(&sign(&body))]);
        assert_eq!(taken.is_ok(), good, "{age}");
    }
}

/// What no field of the configuration makes smaller: an a_rwnd of 1,500 (RFC 9260 §3.3.2).
#[test]
fn the_announced_window_is_never_less_than_the_rfc_allows() {
    for (configured, announced) in [(0, 1500), (1499, 1500), (1500, 1500), (1501, 1501)] {
        let config = Arc::new(with(|config| config.receive_window = configured));
        let mut end = Association::client(testkit::epoch(), config, [1; 32]);
        let mut memory = [0; 2000];
        let mut out = proto::Writer::new(&mut memory);
        assert!(end.poll_packet(testkit::epoch(), &mut out));
        let Some(Chunk::Init(init)) = Packet::decode(out.written()).unwrap().chunks().next() else {
            panic!()
        };
        assert_eq!(init.window, announced);
    }
}
