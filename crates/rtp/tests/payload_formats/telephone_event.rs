use proptest::prelude::*;
use proto::Writer;
use rtp::payload::telephone_event::{Change, Depacketizer, Event, Packetizer, Report, Written};
use rtp::payload::{Discard, FrameError};

use crate::support::payload;

fn write(packetizer: &mut Packetizer, timestamp: u32) -> Option<(Vec<u8>, Written)> {
    assert!(packetizer.clone().end_and_write(timestamp));
    let mut memory = [0; 4];
    let mut out = Writer::new(&mut memory);
    let written = packetizer.write(timestamp, &mut out).unwrap()?;
    assert_eq!(written.len, 4);
    Some((out.written().to_vec(), written))
}

/// Without room, nothing is written.
trait EndAndWrite {
    fn end_and_write(self, timestamp: u32) -> bool;
}

impl EndAndWrite for Packetizer {
    fn end_and_write(mut self, timestamp: u32) -> bool {
        let mut memory = [0; 3];
        let mut out = Writer::new(&mut memory);
        let result = self.write(timestamp, &mut out);
        out.is_empty() && (result.is_err() || result == Ok(None))
    }
}

fn changes(depacketizer: &mut Depacketizer) -> Vec<Change> {
    std::iter::from_fn(|| depacketizer.poll_change()).collect()
}

#[test]
fn keys_are_the_events_0_to_15() {
    for (at, key) in "0123456789*#ABCD".chars().enumerate() {
        assert_eq!(Event::from_key(key), Some(Event(at as u8)));
        assert_eq!(Event(at as u8).key(), Some(key));
    }
    assert_eq!(Event::from_key('d'), Some(Event(15)));
    assert_eq!((Event::from_key('E'), Event(16).key()), (None, None));
}

#[test]
fn keys_are_heard_after_times_have_leapt_back() {
    let mut depacketizer = Depacketizer::new();
    let mut press = |event: u8, timestamp: u32| {
        let bytes = [event, 0x8a, 1, 0];
        let results = [0; 3].map(|_| depacketizer.handle_payload(payload(&bytes, timestamp, false, false)));
        let began = changes(&mut depacketizer).into_iter().filter(|it| matches!(it, Change::Began { .. }));
        (results[0], began.count())
    };
    assert_eq!(press(1, 2_000_000_000), (Ok(()), 1));
    assert_eq!(press(1, 2_000_000_000 - 160_000), (Err(Discard::Repeated), 0), "20 s at 8 kHz are late");
    for timestamp in [100_000_000, 3_000_000_000, 7] {
        assert_eq!(press(1, timestamp), (Ok(()), 1), "{timestamp}");
    }
}

#[test]
fn a_key_is_reported_while_it_is_pressed_and_three_times_when_it_is_over() {
    let mut packetizer = Packetizer::new(Event(9), 10, 1000).unwrap();
    let mut depacketizer = Depacketizer::new();
    let mut sent = Vec::new();
    for timestamp in [1000, 1400, 1800] {
        sent.push(write(&mut packetizer, timestamp).unwrap());
    }
    packetizer.end(2200);
    packetizer.end(9999);
    sent.extend(std::iter::from_fn(|| write(&mut packetizer, 2600)));
    let bytes: Vec<&[u8]> = sent.iter().map(|(bytes, _)| &bytes[..]).collect();
    let last: &[u8] = &[9, 0x8a, 0x04, 0xb0];
    assert_eq!(
        bytes,
        [&[9, 0x0a, 0, 1][..], &[9, 0x0a, 0x01, 0x90], &[9, 0x0a, 0x03, 0x20], last, last, last]
    );
    assert!(sent.iter().all(|(_, written)| written.timestamp == 1000));
    let markers: Vec<bool> = sent.iter().map(|(_, written)| written.marker).collect();
    assert_eq!(markers, [true, false, false, false, false, false]);
    for (at, (bytes, written)) in sent.iter().enumerate() {
        let result = depacketizer.handle_payload(payload(bytes, written.timestamp, written.marker, false));
        assert_eq!(result, if at < 4 { Ok(()) } else { Err(Discard::Repeated) });
    }
    let event = Event(9);
    assert_eq!(
        changes(&mut depacketizer),
        [
            Change::Began { event, volume: 10, timestamp: 1000 },
            Change::Ended { event, duration: 1200, told: true },
        ]
    );
    assert_eq!(Packetizer::new(Event(1), 64, 0).unwrap_err(), FrameError::OutOfRange);
}

#[test]
fn an_event_of_which_one_packet_arrives_is_an_event() {
    let mut depacketizer = Depacketizer::new();
    depacketizer.handle_payload(payload(&[5, 0x80, 0, 100], 7, false, true)).unwrap();
    let event = Event(5);
    assert_eq!(
        changes(&mut depacketizer),
        [
            Change::Began { event, volume: 0, timestamp: 7 },
            Change::Ended { event, duration: 100, told: true },
        ]
    );
    // The same key again is another event, and one whose end is lost is over when the next begins, or when it is given up.
    depacketizer.handle_payload(payload(&[5, 0, 0, 50], 200, true, false)).unwrap();
    depacketizer.handle_payload(payload(&[6, 0, 0, 1], 400, true, true)).unwrap();
    // Late.
    assert_eq!(
        depacketizer.handle_payload(payload(&[5, 0x80, 0, 60], 200, false, false)),
        Err(Discard::Repeated)
    );
    depacketizer.give_up();
    depacketizer.give_up();
    assert_eq!(
        changes(&mut depacketizer),
        [
            Change::Began { event, volume: 0, timestamp: 200 },
            Change::Ended { event, duration: 50, told: false },
            Change::Began { event: Event(6), volume: 0, timestamp: 400 },
            Change::Ended { event: Event(6), duration: 1, told: false },
        ]
    );
}

#[test]
fn a_long_event_goes_on_in_segments() {
    let mut packetizer = Packetizer::new(Event(1), 0, 0).unwrap();
    let mut depacketizer = Depacketizer::new();
    let mut begins = Vec::new();
    for timestamp in (0..200_000).step_by(400) {
        let (bytes, written) = write(&mut packetizer, timestamp).unwrap();
        begins.push(written.timestamp);
        depacketizer.handle_payload(payload(&bytes, written.timestamp, written.marker, false)).unwrap();
    }
    packetizer.end(200_000);
    while let Some((bytes, written)) = write(&mut packetizer, 200_400) {
        let _ = depacketizer.handle_payload(payload(&bytes, written.timestamp, written.marker, false));
    }
    begins.dedup();
    assert_eq!(begins, [0, 65_535, 131_070, 196_605]);
    let event = Event(1);
    assert_eq!(
        changes(&mut depacketizer),
        [
            Change::Began { event, volume: 0, timestamp: 0 },
            Change::Ended { event, duration: 200_000, told: true },
        ]
    );
}

#[test]
fn reports_are_read_leniently_and_within_bounds() {
    let report = Report { event: Event(3), end: true, volume: 0x3f, duration: 0x1234 };
    assert_eq!(Report::decode(&[3, 0xff, 0x12, 0x34, 0xaa]), Ok(report));
    assert_eq!(Report::decode(&[]), Err(Discard::Empty));
    for len in 1..4 {
        assert_eq!(Report::decode(&[3, 0xff, 0x12][..len]), Err(Discard::Truncated));
    }
    let mut depacketizer = Depacketizer::new();
    // No duration is one without end, and for states alone.
    assert_eq!(
        depacketizer.handle_payload(payload(&[3, 0x80, 0, 0], 0, true, false)),
        Err(Discard::Malformed)
    );
    let mut taken = 0;
    for at in 0..100 {
        let result = depacketizer.handle_payload(payload(&[3, 0x80, 0, 1], at * 1000, true, false));
        taken += u32::from(result.is_ok());
        assert!(result.is_ok() || result == Err(Discard::Unread));
    }
    assert_eq!((taken, changes(&mut depacketizer).len()), (31, 62));
    depacketizer.handle_payload(payload(&[3, 0x80, 0, 1], 99_000, true, false)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_payloads_keep_begins_and_ends_in_turn(payloads: Vec<(Vec<u8>, u32, bool, bool)>) {
        let mut depacketizer = Depacketizer::new();
        let mut open = false;
        for (bytes, timestamp, marker, after_loss) in payloads {
            let _ = depacketizer.handle_payload(payload(&bytes, timestamp, marker, after_loss));
            while let Some(change) = depacketizer.poll_change() {
                let begins = matches!(change, Change::Began { .. });
                prop_assert_eq!(begins, !open);
                open = begins;
            }
        }
    }
}
