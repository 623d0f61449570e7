//! RFC 9260 §3.2.2, §6.9 at the interface: what the sender refuses.

use sctp::{Config, Event, SendError, StreamId, StreamOptions};

use crate::common::victim::{RECONFIG, SHUTDOWN, Victim, data, kinds};

/// RFC 9260 §3.3.1, §6.5, §6.9: nothing empty, nothing on a stream that is not open; a message is cut to packets with
/// its marks, its number and its identifier in every piece.
#[test]
fn a_message_is_cut_with_its_marks_in_every_piece() {
    let mut victim = Victim::new(Config::default());
    let refused = victim.end.send(victim.now, StreamId(1), sctp::Ppid(7), &mut vec![0; 1].into(), true);
    assert_eq!(refused, Err(SendError::UnknownStream));
    for (stream, unordered) in [(1, false), (2, true)] {
        let options = StreamOptions::new(unordered, sctp::Reliability::Reliable, sctp::Priority::NORMAL);
        victim.end.open(StreamId(stream), options).unwrap();
        let refused = victim.end.send(victim.now, StreamId(stream), sctp::Ppid(7), &mut vec![].into(), true);
        assert_eq!(refused, Err(SendError::Empty));
        for size in [3480, 10] {
            let mut message = vec![0; size].into();
            victim.end.send(victim.now, StreamId(stream), sctp::Ppid(7), &mut message, true).unwrap();
        }
        let sent = victim.sent();
        let pieces = data(&sent);
        let marks: Vec<(bool, bool, u16)> = pieces.iter().map(|it| (it.begin, it.end, it.ssn.0)).collect();
        let second = u16::from(!unordered);
        assert_eq!(
            marks,
            [(true, false, 0), (false, false, 0), (false, true, 0), (true, true, second)],
            "{stream}"
        );
        assert!(pieces.iter().all(|it| it.ppid == sctp::Ppid(7) && it.unordered == unordered));
        assert!(pieces.windows(2).all(|pair| pair[1].tsn == pair[0].tsn.plus(1)));
    }
}

/// RFC 8831 §6.4: priorities are weights, by which streams with something to send share what can be sent.
#[test]
fn streams_share_in_proportion_to_their_priority() {
    let mut config = Config::default();
    (config.initial_window, config.max_burst) = (Some(1200), 10_000);
    let mut victim = Victim::with_init(config, |init| init.window = 1 << 24);
    let weights = [128, 256, 512, 1024];
    for (stream, weight) in (0..).zip(weights) {
        let options = StreamOptions::new(false, sctp::Reliability::Reliable, sctp::Priority(weight));
        victim.end.open(StreamId(stream), options).unwrap();
        for _ in 0..2000 {
            victim
                .end
                .send(victim.now, StreamId(stream), sctp::Ppid(53), &mut vec![0; 1000].into(), true)
                .unwrap();
        }
    }
    let sent = victim.sent();
    let mut counts = [0u32; 4];
    data(&sent).iter().for_each(|data| counts[usize::from(data.stream.0)] += 1);
    let whole: u32 = counts.iter().sum();
    assert!(whole > 1000);
    for (count, weight) in counts.into_iter().zip(weights) {
        let share = f64::from(count) / f64::from(whole);
        let fair = f64::from(weight) / 1920.0;
        assert!((share / fair - 1.0).abs() < 0.1, "{counts:?}");
    }
}

/// RFC 7053 §4, RFC 9260 §6.1: the last packet that goes for now asks for an answer without delay, whatever ends the
/// train: no more data, the congestion window, the peer's window, or the length of a train. Those before it do not.
#[test]
fn the_last_packet_of_a_train_asks_to_be_acknowledged_at_once() {
    let full = 1160;
    for (bytes, window, burst, expected) in [
        (5 * full, 1 << 20, 64, 5),
        (20 * full, 1 << 20, 64, 11),
        (20 * full, 3 * full, 64, 3),
        (20 * full, 1 << 20, 4, 4),
    ] {
        let mut config = Config::default();
        config.max_burst = burst;
        let mut victim = Victim::with_init(config, |init| init.window = window as u32);
        victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
        let mut message = vec![0; bytes].into();
        victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut message, true).unwrap();
        let sent = victim.sent();
        let asks: Vec<bool> = data(&sent).iter().map(|data| data.immediate).collect();
        let last: Vec<bool> = (1..=expected).map(|nth| nth == expected).collect();
        assert_eq!(asks, last, "{bytes} {window} {burst}");
    }
}

/// RFC 9260 §6.9: the end of a message may be told when all its bytes have been handed over.
#[test]
fn an_end_without_bytes_ends_the_message_before_it() {
    for size in [1, 100, 1160, 1161, 3000] {
        let mut victim = Victim::new(Config::default());
        victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
        let mut hand = |bytes: usize, end: bool| {
            let mut bytes = vec![7; bytes].into();
            victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut bytes, end).unwrap();
        };
        hand(size, false);
        hand(0, false);
        hand(0, true);
        hand(5, true);
        let sent = victim.sent();
        let (mut messages, mut open) = (Vec::new(), 0);
        for piece in data(&sent) {
            assert!(piece.begin == (open == 0) && !piece.payload.is_empty(), "{size}");
            open += piece.payload.len();
            if piece.end {
                messages.push(std::mem::take(&mut open));
            }
        }
        assert_eq!((messages, open, victim.end.buffered(StreamId(0))), (vec![size, 5], 0, 0), "{size}");
    }
}

fn writable(victim: &mut Victim) -> bool {
    std::mem::take(&mut victim.events).contains(&Event::Writable(StreamId(0)))
}

/// Whoever was refused room hears of it when a quarter of the buffer is free, and not for each byte before; then he is
/// told once.
#[test]
fn a_sender_that_was_blocked_is_told_when_a_quarter_of_the_buffer_is_free() {
    let (full, cost) = (1160, 1160 + 96);
    let mut config = Config::default();
    (config.send_buffer, config.initial_window) = (40 * cost, Some(100));
    let mut victim = Victim::new(config);
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    let send = |victim: &mut Victim| {
        let mut message = vec![0; full].into();
        victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut message, true)
    };
    for _ in 0..40 {
        send(&mut victim).unwrap();
    }
    assert_eq!(send(&mut victim), Err(SendError::Blocked));
    assert_eq!(data(&victim.sent()).len(), 40);
    for ahead in 0..9 {
        victim.acknowledge(ahead, 1 << 20, &[]).unwrap();
        assert!(!writable(&mut victim), "{ahead}");
    }
    victim.acknowledge(9, 1 << 20, &[]).unwrap();
    assert!(writable(&mut victim));
    victim.acknowledge(20, 1 << 20, &[]).unwrap();
    assert!(!writable(&mut victim), "once");
    // Nobody was refused since, so nobody is told.
    for _ in 0..21 {
        send(&mut victim).unwrap();
    }
    victim.acknowledge(39, 1 << 20, &[]).unwrap();
    assert!(!writable(&mut victim));
}

/// Room is kept for a message that holds up all others, and for none whose end is there: that one goes as it is.
#[test]
fn a_stream_whose_whole_message_is_on_its_way_waits_for_room_like_all_others() {
    let mut config = Config::default();
    config.send_buffer = 20_000;
    let mut victim = Victim::new(config);
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    for (bytes, result) in [(18_000, Ok(())), (5_000, Err(SendError::Blocked))] {
        let mut message = vec![0; bytes].into();
        let sent = victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut message, true);
        assert_eq!(sent, result);
    }
    let sent = victim.sent();
    assert!(data(&sent).iter().all(|data| !data.end), "in the middle of the first");
    victim.acknowledge(0, 1 << 20, &[]).unwrap();
    assert!(!writable(&mut victim));
    let count = (data(&sent).len() + data(&victim.sent()).len()) as u32;
    victim.acknowledge(count - 1, 1 << 20, &[]).unwrap();
    assert!(writable(&mut victim));
}

/// RFC 9260 §9.2, RFC 6525 §5.1.2: of a message that has not begun and has no end nothing is sent, so neither a reset nor a
/// shutdown waits for it.
#[test]
fn a_message_that_never_began_is_thrown_away_at_the_end() {
    for shutdown in [false, true] {
        let mut victim = Victim::new(Config::default());
        victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
        let mut part = vec![0; 500].into();
        victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut part, false).unwrap();
        assert!(victim.sent().is_empty(), "too little for a packet");
        if shutdown {
            victim.end.shutdown(victim.now);
        } else {
            victim.end.reset(victim.now, StreamId(0));
        }
        assert_eq!(kinds(&victim.sent()), [if shutdown { SHUTDOWN } else { RECONFIG }]);
        assert_eq!((victim.end.buffered(StreamId(0)), victim.end.stats().abandoned), (0, 0));
    }
}

/// A packet is written into memory that it fills, and nothing is written into less, nor lost by the attempt.
#[test]
fn a_packet_is_written_where_there_is_just_room_for_it() {
    for payload in [1160, 100, 1] {
        let mut victim = Victim::new(Config::default());
        victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
        let mut message = vec![7; payload].into();
        victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut message, true).unwrap();
        let whole = 12 + 16 + payload.next_multiple_of(4);
        let mut memory = vec![0; whole];
        for (room, written) in [(0, false), (27, false), (whole - 1, false), (whole, true)] {
            let mut out = proto::Writer::new(&mut memory[..room]);
            assert_eq!(victim.end.poll_packet(victim.now, &mut out), written, "{payload} {room}");
            assert_eq!(out.len(), if written { whole } else { 0 });
        }
        assert_eq!(data(&[memory])[0].payload, vec![7; payload]);
    }
}
