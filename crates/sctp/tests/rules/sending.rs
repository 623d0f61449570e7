//! RFC 9260 §3.2.2, §6.9 at the interface: what the sender refuses.

use sctp::{Config, SendError, StreamId, StreamOptions};

use crate::common::victim::{Victim, data};

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
