//! How sources find their streams.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use media::{
    Codec, Discard, EncodingConfig, Event, Format, OutgoingFrame, Output, Received, Receiver, ReceiverConfig,
    ReceiverEvent, StreamId,
};
use proto::{Instant, Writer};
use rtp::payload::red;
use rtp::{Encoder, Header, PacketMut, Rid, RtpTimestamp, SequenceNumber, Ssrc, fec};
use support::{Call, pt, video_receiver, video_sender, vp8};
use testkit::Link;

/// A packet of VP8 with a whole frame.
fn packet(ssrc: u32, number: u16, payload_type: u8, payload: &[u8]) -> Vec<u8> {
    named_packet(ssrc, number, payload_type, payload, None)
}

fn named_packet(ssrc: u32, number: u16, payload_type: u8, payload: &[u8], name: Option<Rid>) -> Vec<u8> {
    let mut memory = [0; 1500];
    let mut out = Writer::new(&mut memory);
    let header = Header {
        marker: true,
        payload_type: pt(payload_type),
        sequence_number: SequenceNumber(number),
        timestamp: RtpTimestamp(u32::from(number) * 3000),
        ssrc: Ssrc(ssrc),
    };
    let mut encoder = Encoder::new(&mut out, header, &[]).unwrap();
    if let Some(name) = name {
        support::extensions().encode(&mut encoder, rtp::extension::Form::OneByte, &name).unwrap();
    }
    encoder.finish(payload, 0).unwrap();
    out.written().to_vec()
}

fn frame(number: u16, key: bool) -> Vec<u8> {
    // One octet of descriptor: a frame begins.
    [vec![0x10], vp8(number.into(), key, 100)].concat()
}

fn give(receiver: &mut Receiver, now: Instant, bytes: &[u8]) -> Result<bool, Discard> {
    let mut memory = [bytes, &[0; 60]].concat();
    let packet = PacketMut::decode(&mut memory, bytes.len()).unwrap();
    Ok(matches!(receiver.handle_rtp(now, packet)?, Received::Packet { .. }))
}

/// Four packets of a source, the first of which only proves it.
fn give_all(receiver: &mut Receiver, now: Instant, ssrc: u32, from: u16) {
    for number in from..from + 4 {
        assert_eq!(
            give(receiver, now, &packet(ssrc, number, 96, &frame(number, true))).is_ok(),
            number > from
        );
    }
}

const fn at(millis: u64) -> Instant {
    Instant::from_nanos(1_000_000_000 + millis * 1_000_000)
}

fn config() -> ReceiverConfig {
    let mut config = video_receiver();
    config.formats.extend([(pt(98), Format::Red), (pt(99), Format::Fec(fec::Format::Ulp))]);
    config
}

#[test]
fn simulcast_is_told_apart_by_names_and_repaired_by_names() {
    let rids = [b"h", b"m", b"l"].map(|name| Rid::new(name).unwrap());
    let mut sending = video_sender();
    sending.encodings = rids.iter().copied().map(EncodingConfig::named).collect();
    let mut call = Call::new(&Link { delay: Duration::from_millis(30), loss: 0.05, ..Link::default() }, 7);
    let sender = call.alice.add_sender(sending).unwrap();
    let receiver = call.bob.add_receiver(video_receiver()).unwrap();
    for number in 0..300 {
        let bytes = vp8(number, number % 100 == 0, 2500);
        let now = call.now;
        for encoding in 0..3 {
            let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..OutgoingFrame::default() };
            call.alice.sender(sender).unwrap().send_frame(now, encoding, &frame).unwrap();
        }
        call.run(now + Duration::from_millis(33));
    }
    let receiver = call.bob.receiver(receiver).unwrap();
    let streams: Vec<StreamId> = receiver.streams().collect();
    assert_eq!(streams.len(), 3);
    let mut names = Vec::new();
    for stream in streams {
        let stats = receiver.stats(stream).unwrap();
        names.extend(receiver.source_of(stream).unwrap().1);
        assert!(stats.retransmitted > 10 && stats.nack.abandoned == 0, "{stats:?}");
        assert!(stats.track.frames >= 290, "{stats:?}");
    }
    names.sort();
    assert_eq!(names, [b"h", b"l", b"m"].map(|name| Rid::new(name).unwrap()));
    // The names are gone once reports have come: three streams, two names each, in the first packets alone.
    assert_eq!(call.alice.sender(sender).unwrap().sources().len(), 3);
}

/// Firefox announces the sources of its layers, and names them in packets alone.
#[test]
fn simulcast_whose_sources_were_announced_has_its_names_from_packets() {
    let rids = [b"q", b"h", b"f"].map(|name| Rid::new(name).unwrap());
    let mut sending = video_sender();
    sending.encodings = rids.iter().copied().map(EncodingConfig::named).collect();
    let mut call = Call::new(&Link { delay: Duration::from_millis(30), ..Link::default() }, 7);
    let sender = call.alice.add_sender(sending).unwrap();
    let sources: Vec<_> = call.alice.sender(sender).unwrap().sources().collect();
    let receiver = call.bob.add_receiver(video_receiver()).unwrap();
    let screen = call.bob.receiver(receiver).unwrap();
    let announced =
        sources.iter().map(|(_, media, rtx, _)| screen.announce(*media, Some(*rtx), None).unwrap());
    let announced: Vec<StreamId> = announced.collect();
    for number in 0..3 {
        let bytes = vp8(number, number == 0, 2500);
        let now = call.now;
        for encoding in 0..3 {
            let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..OutgoingFrame::default() };
            call.alice.sender(sender).unwrap().send_frame(now, encoding, &frame).unwrap();
        }
        call.run(now + Duration::from_millis(33));
    }
    let screen = call.bob.receiver(receiver).unwrap();
    for (stream, (rid, media, ..)) in announced.iter().zip(sources) {
        assert!(rid.is_some_and(|rid| rids.contains(&rid)));
        assert_eq!(screen.source_of(*stream), Some((media, rid)));
        assert!(screen.stats(*stream).unwrap().packets > 5);
    }
    assert_eq!(screen.streams().count(), 3);
}

#[test]
fn a_source_by_its_payload_type_alone_has_to_prove_itself() {
    let mut receiver = Receiver::new(config());
    assert_eq!(give(&mut receiver, at(0), &packet(5, 10, 96, &frame(10, true))), Err(Discard::Probation));
    assert_eq!(receiver.poll_event(), None);
    assert_eq!(give(&mut receiver, at(1), &packet(5, 11, 96, &frame(11, true))), Ok(false));
    let started = ReceiverEvent::Started { stream: StreamId(0), ssrc: Ssrc(5), rid: None };
    assert_eq!(receiver.poll_event(), Some(started));
    assert!(receiver.poll_frame(at(1)).is_some());
    assert_eq!(give(&mut receiver, at(1), &packet(5, 12, 100, &[1])), Err(Discard::UnknownPayloadType));
}

#[test]
fn another_source_takes_over_when_the_old_one_is_silent_and_not_before() {
    let mut receiver = Receiver::new(config());
    give_all(&mut receiver, at(0), 5, 10);
    give_all(&mut receiver, at(499), 6, 20);
    assert_eq!(receiver.streams().count(), 2);
    give_all(&mut receiver, at(500), 7, 30);
    assert_eq!(receiver.streams().count(), 2);
    assert_eq!(receiver.source_of(StreamId(0)), Some((Ssrc(7), None)));
    assert!(!receiver.has_source(Ssrc(5)) && receiver.has_source(Ssrc(6)));
}

/// Forwarders know streams and not their sources: numbers that fell would be of packets that come late.
#[test]
fn numbers_rise_when_another_source_takes_over() {
    let mut config = config();
    (config.output, config.probation) = (Output::Packets, 0);
    let mut receiver = Receiver::new(config);
    let mut number_of = |now, ssrc, number| {
        let mut bytes = packet(ssrc, number, 96, &frame(number, true));
        let len = bytes.len();
        match receiver.handle_rtp(now, PacketMut::decode(&mut bytes, len).unwrap()) {
            Ok(Received::Packet { stream: StreamId(0), number, .. }) => number,
            other => panic!("{other:?}"),
        }
    };
    let before = number_of(at(0), 5, 60_000);
    assert_eq!(number_of(at(1), 5, 60_001), before + 1);
    let after = number_of(at(501), 7, 10);
    assert!(after > before + 1, "{after} {before}");
    assert_eq!(number_of(at(502), 7, 12), after + 2);
}

#[test]
fn there_are_as_many_streams_as_the_limit_and_not_one_more() {
    let mut config = config();
    (config.max_streams, config.probation) = (3, 0);
    let mut receiver = Receiver::new(config);
    for ssrc in 1..=3 {
        assert!(give(&mut receiver, at(0), &packet(ssrc, 1, 96, &frame(1, true))).is_ok());
    }
    assert_eq!(give(&mut receiver, at(0), &packet(4, 1, 96, &frame(1, true))), Err(Discard::TooManyStreams));
    assert_eq!(receiver.announce(Ssrc(4), None, None), None);
    assert_eq!(receiver.streams().count(), 3);
}

#[test]
fn streams_that_have_fallen_silent_make_room_and_announced_ones_do_not() {
    let mut config = config();
    (config.max_streams, config.probation) = (2, 1);
    let mut receiver = Receiver::new(config);
    assert!(receiver.announce(Ssrc(1), None, None).is_some());
    // One packet of each of many sources, which prove nothing.
    for ssrc in 10..30 {
        let now = at(u64::from(ssrc) * 500);
        let refused = give(&mut receiver, now, &packet(ssrc, 1, 96, &frame(1, true)));
        assert_eq!(refused, Err(Discard::Probation));
        assert_eq!(receiver.streams().count(), 2);
    }
    assert!(receiver.has_source(Ssrc(1)) && receiver.has_source(Ssrc(29)) && !receiver.has_source(Ssrc(28)));
    let later = at(20_000);
    assert_eq!(give(&mut receiver, later, &packet(1, 1, 96, &frame(1, true))), Ok(false));
}

/// Descriptions may name other sources again and again, before any of them sends.
#[test]
fn announced_streams_that_are_named_no_more_and_have_not_begun_make_room() {
    let mut config = config();
    (config.max_streams, config.probation) = (2, 0);
    let mut receiver = Receiver::new(config);
    for number in 1..10 {
        receiver.forget_unnamed(|ssrc| ssrc == Ssrc(number));
        assert!(receiver.announce(Ssrc(number), Some(Ssrc(100 + number)), None).is_some());
    }
    assert!(receiver.has_source(Ssrc(9)) && receiver.has_source(Ssrc(109)));
    assert!(!receiver.has_source(Ssrc(8)) && !receiver.has_source(Ssrc(108)));
    // One that has begun goes on.
    assert_eq!(give(&mut receiver, at(0), &packet(9, 1, 96, &frame(1, true))), Ok(false));
    receiver.forget_unnamed(|_| false);
    assert!(receiver.has_source(Ssrc(9)));
}

#[test]
fn retransmissions_find_their_stream_by_what_it_misses() {
    let mut config = config();
    config.probation = 0;
    let mut receiver = Receiver::new(config);
    for (ssrc, numbers) in [(5, [1, 2, 4]), (6, [101, 102, 103])] {
        for number in numbers {
            give(&mut receiver, at(0), &packet(ssrc, number, 96, &frame(number, true))).unwrap();
        }
    }
    let wrapped = [&3_u16.to_be_bytes()[..], &frame(3, true)].concat();
    assert_eq!(give(&mut receiver, at(1), &packet(7, 900, 97, &wrapped)), Ok(false));
    let stats = receiver.stats(StreamId(0)).unwrap();
    assert_eq!((stats.retransmitted, stats.packets, stats.lost), (1, 4, 1), "it was lost on the path");
    // One that nobody misses belongs to nobody.
    let wrapped = [&50_u16.to_be_bytes()[..], &frame(3, true)].concat();
    assert_eq!(give(&mut receiver, at(1), &packet(8, 900, 97, &wrapped)), Err(Discard::UnknownStream));
    // Padding is no packet.
    assert_eq!(give(&mut receiver, at(1), &packet(7, 901, 97, &[])), Ok(false));
    assert_eq!(receiver.stats(StreamId(0)).unwrap().retransmitted, 1);
}

#[test]
fn announced_sources_are_believed_at_once() {
    let mut receiver = Receiver::new(config());
    assert_eq!(receiver.announce(Ssrc(5), Some(Ssrc(6)), None), Some(StreamId(0)));
    assert_eq!(receiver.poll_event(), None);
    give(&mut receiver, at(0), &packet(5, 1, 96, &frame(1, true))).unwrap();
    give(&mut receiver, at(0), &packet(5, 3, 96, &frame(3, true))).unwrap();
    let wrapped = [&2_u16.to_be_bytes()[..], &frame(2, true)].concat();
    let mut again = packet(6, 900, 97, &wrapped);
    again[4..8].copy_from_slice(&6000_u32.to_be_bytes());
    give(&mut receiver, at(0), &again).unwrap();
    let frames = std::iter::from_fn(|| receiver.poll_frame(at(0)).map(|frame| frame.timestamp.0));
    assert_eq!(frames.collect::<Vec<_>>(), [3000, 6000, 9000]);
}

#[test]
fn ulpfec_inside_of_red_recovers_what_is_lost() {
    for output in [Output::Frames, Output::Packets, Output::Both] {
        let mut config = config();
        (config.probation, config.output) = (0, output);
        let mut receiver = Receiver::new(config);
        let red = |number: u16, payload_type: u8, data: &[u8]| {
            let mut memory = [0; 1500];
            let mut out = Writer::new(&mut memory);
            red::write_primary(payload_type, data, &mut out).unwrap();
            packet(5, number, 98, out.written())
        };
        let media: Vec<Vec<u8>> =
            (1..=4).map(|number| packet(5, number, 96, &frame(number, number == 1))).collect();
        let mut memory = [0; 1500];
        let mut out = Writer::new(&mut memory);
        fec::protect(fec::Format::Ulp, media.iter().map(Vec::as_slice), &mut out).unwrap();
        for number in [1, 2, 4] {
            let forwarded = give(&mut receiver, at(0), &red(number, 96, &frame(number, number == 1)));
            assert_eq!(forwarded, Ok(output.has_packets()));
        }
        assert_eq!(give(&mut receiver, at(0), &red(5, 99, out.written())), Ok(false));
        let stats = receiver.stats(StreamId(0)).unwrap();
        assert_eq!((stats.recovered, stats.repairs), (1, 1));
        if output.has_frames() {
            let frames = std::iter::from_fn(|| receiver.poll_frame(at(0)).map(|frame| frame.timestamp.0));
            assert_eq!(frames.collect::<Vec<_>>(), [3000, 6000, 9000, 12_000]);
        }
        if output.has_packets() {
            assert_eq!(receiver.poll_recovered().unwrap().2, media[2]);
        }
        // Repair takes no place that is missed: the next packet follows.
        give(&mut receiver, at(1), &red(6, 96, &frame(6, false))).unwrap();
        assert_eq!(receiver.stats(StreamId(0)).unwrap().nack.missing, 1);
    }
}

#[test]
fn a_peer_that_uses_our_source_makes_us_take_another() {
    let mut call = Call::new(&Link::default(), 9);
    let sender = call.alice.add_sender(video_sender()).unwrap();
    call.bob.add_receiver(video_receiver()).unwrap();
    call.alice.add_receiver(video_receiver()).unwrap();
    let ours = call.alice.sender(sender).unwrap().sources().next().unwrap().1;
    let mut bytes = packet(ours.0, 1, 96, &frame(1, true));
    let len = bytes.len();
    let refused = call.alice.handle_rtp(call.now, None, PacketMut::decode(&mut bytes, len).unwrap());
    assert_eq!(refused.unwrap_err(), Discard::Collision);
    assert_ne!(call.alice.sender(sender).unwrap().sources().next().unwrap().1, ours);
    call.exchange();
    assert!(call.alice_events.contains(&Event::Collision(ours)));
    assert!(call.rtcp.iter().any(|(_, is_alice, bytes)| *is_alice && {
        let compound = rtp::rtcp::Compound::decode(bytes).unwrap();
        compound.packets().any(|packet| {
            matches!(packet, Ok(rtp::rtcp::Packet::Goodbye(goodbye)) if goodbye.sources().eq([ours]))
        })
    }));
    assert!(Codec::Vp8.is_video());
}

/// RFC 3550 §8.2: a source that was chosen anew and is heard again from the same place is an echo, for which it is kept.
#[test]
fn who_sends_back_what_we_send_makes_us_take_another_source_once() {
    let mut alice = support::rtp("alice", 9);
    let sender = alice.add_sender(video_sender()).unwrap();
    alice.add_receiver(video_receiver()).unwrap();
    let (mut now, mut memory, mut collisions, mut goodbyes) = (at(0), [0; 1500], 0, 0);
    for number in 0..200 {
        let bytes = vp8(number, number == 0, 500);
        let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..OutgoingFrame::default() };
        alice.sender(sender).unwrap().send_frame(now, 0, &frame).unwrap();
        let mut out = Writer::new(&mut memory);
        assert!(alice.poll_rtp(now, &mut out));
        let len = out.len();
        let refused = alice.handle_rtp(now, None, PacketMut::decode(&mut memory, len).unwrap());
        assert_eq!(refused.unwrap_err(), Discard::Collision);
        now += Duration::from_millis(33);
        alice.handle_timeout(now);
        let mut out = Writer::new(&mut memory);
        if alice.poll_rtcp(now, &mut out) {
            let compound = rtp::rtcp::Compound::decode(out.written()).unwrap();
            goodbyes +=
                compound.packets().filter(|it| matches!(it, Ok(rtp::rtcp::Packet::Goodbye(_)))).count();
        }
        let events = std::iter::from_fn(|| alice.poll_event(now));
        collisions += events.filter(|event| matches!(event, Event::Collision(_))).count();
    }
    assert_eq!((collisions, goodbyes), (1, 1));
}

/// As where a layer of simulcast begins anew under another source: the last packets of the one before are still on their way.
#[test]
fn what_comes_late_of_a_source_that_was_replaced_changes_nothing() {
    let named = |ssrc, number, key| {
        let mut memory = [0; 1500];
        let mut out = Writer::new(&mut memory);
        let (marker, payload_type) = (true, pt(96));
        let (sequence_number, timestamp) = (SequenceNumber(number), RtpTimestamp(u32::from(number) * 3000));
        let header = Header { marker, payload_type, sequence_number, timestamp, ssrc: Ssrc(ssrc) };
        let mut encoder = Encoder::new(&mut out, header, &[]).unwrap();
        support::extensions()
            .encode(&mut encoder, rtp::extension::Form::OneByte, &Rid::new(b"h").unwrap())
            .unwrap();
        encoder.finish(&frame(number, key), 0).unwrap();
        out.written().to_vec()
    };
    let mut receiver = Receiver::new(video_receiver());
    let mut frames = 0;
    let mut hear = |receiver: &mut Receiver, millis, ssrc, number, key| {
        let taken = give(receiver, at(millis), &named(ssrc, number, key));
        while receiver.poll_frame(at(millis)).is_some() {
            frames += 1;
        }
        (taken.is_ok(), frames)
    };
    assert_eq!(hear(&mut receiver, 0, 1, 1, true), (true, 1));
    assert_eq!(hear(&mut receiver, 30, 1, 2, false), (true, 2));
    assert_eq!(hear(&mut receiver, 60, 2, 100, true), (true, 3));
    for number in 3..6 {
        assert!(!hear(&mut receiver, 65, 1, number, false).0);
    }
    assert_eq!(hear(&mut receiver, 90, 2, 101, false), (true, 4), "it needs no key frame");
    assert_eq!(receiver.source_of(StreamId(0)), Some((Ssrc(2), Rid::new(b"h"))));
    // One that comes back later is taken.
    assert_eq!(hear(&mut receiver, 600, 1, 20, true), (true, 5));
    assert_eq!(receiver.streams().count(), 1);
}

/// RFC 3550 §8.2: who gives up a source of media because another has it, too, keeps that of its retransmissions.
#[test]
fn retransmissions_go_on_under_their_source_where_that_of_media_is_replaced() {
    let media = |ssrc, number, key| named_packet(ssrc, number, 96, &frame(number, key), Rid::new(b"h"));
    let again =
        |number: u16| packet(9, number, 97, &[&number.to_be_bytes()[..], &frame(number, false)].concat());
    let mut receiver = Receiver::new(video_receiver());
    let mut hear = |millis, bytes: &[u8]| {
        let _ = give(&mut receiver, at(millis), bytes);
        std::iter::from_fn(|| receiver.poll_frame(at(millis)).map(|_| ())).count()
    };
    assert_eq!(hear(0, &media(1, 1, true)), 1);
    assert_eq!(hear(30, &media(1, 3, false)), 0);
    assert_eq!(hear(60, &again(2)), 2);
    // Another source takes its place, and loses a packet at once.
    assert_eq!(hear(90, &media(2, 100, true)), 1);
    assert_eq!(hear(120, &media(2, 102, false)), 0);
    assert_eq!(hear(150, &again(101)), 2);
}

/// As of several who speak in turns in one section: none is taken for the late rest of another.
#[test]
fn a_source_that_comes_back_while_another_has_its_place_is_another_stream() {
    let mut receiver = Receiver::new(video_receiver());
    give_all(&mut receiver, at(0), 1, 1);
    give_all(&mut receiver, at(1000), 2, 100);
    assert_eq!(receiver.streams().count(), 1);
    assert_eq!(give(&mut receiver, at(1400), &packet(2, 104, 96, &frame(104, true))), Ok(false));
    give_all(&mut receiver, at(1600), 1, 5);
    assert_eq!(receiver.streams().count(), 2);
}

#[test]
fn names_are_in_packets_until_their_stream_is_reported_on() {
    use rtp::rtcp::{Encoder as Rtcp, ReportBlock};
    let rid = Rid::new(b"h").unwrap();
    let mut config = video_sender();
    config.encodings = vec![EncodingConfig::named(rid)];
    let mut alice = support::rtp("alice", 1);
    let sender = alice.add_sender(config).unwrap();
    let (_, media, rtx, _) = alice.sender(sender).unwrap().sources().next().unwrap();
    let map = support::extensions();
    let names = |bytes: &[u8]| {
        let packet = rtp::Packet::decode(bytes).unwrap();
        let mid = map.read::<rtp::Mid>(&packet).is_some();
        let rrid = map.read::<rtp::extension::RepairedRid>(&packet).map(|rid| rid.0);
        (packet.header().sequence_number, mid, map.read::<Rid>(&packet), rrid)
    };
    let mut memory = [0; 1500];
    let (mut first, mut now) = (None, at(0));
    for (known, expected) in [(None, Some(rid)), (Some(media), Some(rid)), (Some(rtx), None)] {
        now += Duration::from_millis(400);
        if let Some(ssrc) = known {
            let mut out = Writer::new(&mut memory);
            let block = ReportBlock { ssrc, ..ReportBlock::default() };
            Rtcp::new(&mut out).receiver_report(Ssrc(9), [block], &[]).unwrap();
            alice.handle_rtcp(now, out.written()).unwrap();
        }
        let mut out = Writer::new(&mut memory);
        // A large one first, of which retransmissions are paid.
        for len in [1000, 100] {
            let frame = OutgoingFrame { bytes: &vp8(1, true, len), ..OutgoingFrame::default() };
            alice.sender(sender).unwrap().send_frame(now, 0, &frame).unwrap();
            out.truncate(0);
            assert!(alice.poll_rtp(now, &mut out));
        }
        let (number, mid, own, repaired) = names(out.written());
        assert_eq!((mid, own, repaired), (known.is_none(), known.is_none().then_some(rid), None));
        let first = *first.get_or_insert(number);
        out.truncate(0);
        Rtcp::new(&mut out).nack(Ssrc(9), media, [first]).unwrap();
        alice.handle_rtcp(now, out.written()).unwrap();
        out.truncate(0);
        assert!(alice.poll_rtp(now, &mut out));
        let (_, mid, own, repaired) = names(out.written());
        assert_eq!(rtp::Packet::decode(out.written()).unwrap().header().ssrc, rtx);
        // The packet that is kept has the section's name, with which it left.
        assert_eq!((mid, own, repaired), (true, None, expected));
    }
}

#[test]
fn a_stream_that_was_announced_is_known_before_it_comes() {
    let mut receiver = Receiver::new(video_receiver());
    let stream = receiver.announce(Ssrc(1), Some(Ssrc(2)), None).unwrap();
    let stats = receiver.stats(stream).unwrap();
    assert_eq!((stats.packets, stats.lost, stats.last_received), (0, 0, None));
    assert_eq!(stats.delay, Duration::from_millis(40), "how long its first frames will wait");
    assert_eq!((receiver.frame_due(), receiver.has_frame(Instant::default())), (None, false));
    assert!(receiver.has_source(Ssrc(1)) && receiver.has_source(Ssrc(2)) && receiver.poll_event().is_none());
    // What is forwarded waits for nothing.
    let mut config = video_receiver();
    config.output = Output::Packets;
    let mut receiver = Receiver::new(config);
    let stream = receiver.announce(Ssrc(1), None, None).unwrap();
    assert_eq!(receiver.stats(stream).unwrap().delay, Duration::ZERO);
}
