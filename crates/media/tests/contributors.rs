//! Who was heard lately: W3C WebRTC 1.0 §5.3, by the levels of RFC 6464 and RFC 6465.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::float_cmp,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use media::{Received, Receiver, ReceiverConfig};
use proto::{Instant, Writer};
use rtp::extension::{AudioLevel, ExtensionMap, Form, Kind, MixerLevels};
use rtp::{Encoder, Header, PacketMut, RtpTimestamp, SequenceNumber, Ssrc};
use support::{audio_receiver, opus, pt};
use testkit::epoch;

fn map() -> ExtensionMap {
    let mut map = ExtensionMap::default();
    map.set(1, Kind::AudioLevel).unwrap();
    map.set(2, Kind::MixerLevels).unwrap();
    map
}

fn receiver(change: impl FnOnce(&mut ReceiverConfig)) -> Receiver {
    let mut config = audio_receiver();
    config.extensions = map();
    config.probation = 0;
    change(&mut config);
    Receiver::new(config)
}

/// A packet of Opus with what a mixer says of it.
fn packet(ssrc: u32, number: u16, sources: &[u32], level: Option<u8>, levels: &[u8]) -> Vec<u8> {
    let mut memory = [0; 1500];
    let mut out = Writer::new(&mut memory);
    let header = Header {
        marker: false,
        payload_type: pt(111),
        sequence_number: SequenceNumber(number),
        timestamp: RtpTimestamp(u32::from(number) * 960),
        ssrc: Ssrc(ssrc),
    };
    let sources: Vec<Ssrc> = sources.iter().map(|source| Ssrc(*source)).collect();
    let mut encoder = Encoder::new(&mut out, header, &sources).unwrap();
    if let Some(level) = level {
        map().encode(&mut encoder, Form::OneByte, &AudioLevel { voice: level < 50, level }).unwrap();
    }
    if let Some(levels) = MixerLevels::new(levels) {
        map().encode(&mut encoder, Form::OneByte, &levels).unwrap();
    }
    encoder.finish(&opus(u32::from(number)), 0).unwrap();
    out.written().to_vec()
}

fn give(receiver: &mut Receiver, now: Instant, mut bytes: Vec<u8>) {
    let len = bytes.len();
    let packet = PacketMut::decode(&mut bytes, len).unwrap();
    assert!(matches!(receiver.handle_rtp(now, packet).unwrap(), Received::Consumed));
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn sources_are_told_with_their_levels_and_the_latest_first_for_ten_seconds() {
    let mut receiver = receiver(|_| {});
    let begin = epoch();
    give(&mut receiver, begin, packet(7, 0, &[100, 200], Some(20), &[127, 0x80 | 6]));
    give(&mut receiver, begin + ms(20), packet(7, 1, &[200], Some(127), &[40]));
    give(&mut receiver, begin + ms(40), packet(7, 2, &[], None, &[]));
    let now = begin + ms(1000);
    let own = receiver.synchronization_sources(now);
    assert_eq!(own.len(), 1);
    assert_eq!((own[0].source, own[0].at, own[0].timestamp), (Ssrc(7), begin + ms(40), RtpTimestamp(1920)));
    assert_eq!((own[0].level, own[0].is_voice, own[0].audio_level()), (None, None, None));
    let mixed = receiver.contributing_sources(now);
    let told: Vec<_> = mixed.iter().map(|it| (it.source.0, it.at, it.timestamp.0, it.level)).collect();
    assert_eq!(told, [(200, begin + ms(20), 960, Some(40)), (100, begin, 0, Some(127))]);
    assert_eq!(mixed[0].audio_level(), Some(0.01));
    assert_eq!(mixed[1].audio_level(), Some(0.0), "silence");
    // Ten seconds to the nanosecond.
    let last = begin + ms(10_000);
    assert_eq!(receiver.contributing_sources(last).len(), 2);
    assert_eq!(receiver.contributing_sources(last + Duration::from_nanos(1)).len(), 1);
    assert_eq!(receiver.contributing_sources(last + ms(21)).len(), 0);
    assert_eq!(receiver.synchronization_sources(last + ms(40)).len(), 1);
    assert_eq!(receiver.synchronization_sources(last + ms(41)).len(), 0);
    // A level of its own: the loudest is 1.
    give(&mut receiver, last, packet(7, 3, &[], Some(0), &[]));
    let own = receiver.synchronization_sources(last);
    assert_eq!((own[0].audio_level(), own[0].is_voice), (Some(1.0), Some(true)));
}

#[test]
fn fewer_levels_than_sources_leave_the_rest_without() {
    let mut receiver = receiver(|_| {});
    give(&mut receiver, epoch(), packet(7, 0, &[1, 2, 3], None, &[9]));
    let levels: Vec<_> = receiver.contributing_sources(epoch()).iter().map(|it| it.level).collect();
    assert_eq!(levels, [Some(9), None, None]);
    // More levels than sources name nobody.
    give(&mut receiver, epoch(), packet(7, 1, &[1], None, &[10, 11, 12]));
    assert_eq!(receiver.contributing_sources(epoch()).len(), 3);
}

#[test]
fn as_many_sources_are_remembered_as_the_limit_and_the_oldest_makes_room() {
    let mut receiver = receiver(|config| {
        config.max_contributors = 20;
        config.max_streams = 2;
        config.takeover = ms(5);
    });
    let begin = epoch();
    for number in 0..20_u16 {
        let now = begin + ms(u64::from(number));
        give(&mut receiver, now, packet(7, number, &[u32::from(number)], None, &[]));
    }
    let now = begin + ms(20);
    assert_eq!(receiver.contributing_sources(now).len(), 20);
    give(&mut receiver, now, packet(7, 20, &[1000], None, &[]));
    let known: Vec<u32> = receiver.contributing_sources(now).iter().map(|it| it.source.0).collect();
    assert_eq!((known.len(), known[0]), (20, 1000));
    assert!(!known.contains(&0) && known.contains(&1));
    // A flood of them in one packet after another: no more than that.
    for number in 21..500_u16 {
        let sources: Vec<u32> = (0..15).map(|at| u32::from(number) * 100 + at).collect();
        give(&mut receiver, now + ms(1), packet(7, number, &sources, None, &[]));
    }
    assert_eq!(receiver.contributing_sources(now + ms(1)).len(), 20);
    // Sources of streams that follow one another, likewise.
    for ssrc in 8..40 {
        let now = now + ms(u64::from(ssrc) * 10);
        give(&mut receiver, now, packet(ssrc, 1, &[], None, &[]));
        assert!(receiver.synchronization_sources(now).len() <= 2);
        assert_eq!(receiver.synchronization_sources(now)[0].source, Ssrc(ssrc));
    }
}
