//! A sender and a receiver over links that lose, delay and reorder.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use media::{Codec, EncodingConfig, Event, FecConfig, Format, ReceiverEvent, SenderEvent, StreamId};
use rtp::{Packet, SequenceNumber, Ssrc, fec};
use support::{Call, audio_receiver, audio_sender, pt, video_receiver, video_sender};
use testkit::Link;

fn link(loss: f64, delay: u64) -> Link {
    Link { delay: Duration::from_millis(delay), loss, ..Link::default() }
}

/// The share of frames from `from` on that came out, and whether they did so in order.
fn share(call: &Call, receiver: usize, from: u32, to: u32) -> f64 {
    let numbers: Vec<u32> = call.out[receiver].iter().filter_map(|out| out.number).collect();
    assert!(numbers.is_sorted(), "frames come out in decoding order");
    let came = numbers.iter().filter(|number| (from..to).contains(number)).count();
    f64::from(u32::try_from(came).unwrap()) / f64::from(to - from)
}

#[test]
fn video_and_audio_come_out_whole_without_loss() {
    let mut call = Call::new(&link(0.0, 50), 1);
    let video = call.alice.add_sender(video_sender()).unwrap();
    let receiver = call.bob.add_receiver(video_receiver()).unwrap();
    call.video(video, 0, 300, 5000);
    assert!(share(&call, receiver.0, 0, 295) > 0.999);
    let stats = call.bob.receiver(receiver).unwrap().stats(StreamId(0)).unwrap();
    assert_eq!((stats.lost, stats.nack.nacks, stats.key_frame_requests), (0, 0, 0));
    // Reports went both ways, so that both know how far they are.
    let trip = call.alice.stats().round_trip.unwrap();
    assert!((100..105).contains(&trip.as_millis()), "{trip:?}");
    let (info, at) = call.bob.receiver(receiver).unwrap().sender_info(StreamId(0)).unwrap();
    assert!(info.packet_count > 1200 && at < call.now, "{info:?}");
    let remote = call.alice.sender(video).unwrap().remote(0).unwrap();
    assert!(remote.count >= 8 && remote.block.fraction_lost == 0);
    assert!(call.out[0].iter().skip(60).all(|out| out.captured.is_some()));
    assert!(matches!(
        call.bob_events[0],
        Event::Receiver(_, ReceiverEvent::Started { stream: StreamId(0), rid: None, .. })
    ));
}

#[test]
fn retransmissions_bring_95_of_100_frames_through_5_percent_loss_and_100_ms() {
    for seed in [10, 20, 30] {
        let mut call = Call::new(&link(0.05, 100), seed);
        let video = call.alice.add_sender(video_sender()).unwrap();
        let receiver = call.bob.add_receiver(video_receiver()).unwrap();
        call.video(video, 0, 1500, 5000);
        // After ten seconds of warm-up, and without what is still under way.
        let share = share(&call, receiver.0, 300, 1470);
        let stats = call.bob.receiver(receiver).unwrap().stats(StreamId(0)).unwrap();
        println!("seed {seed}: {share:.4} of frames, {stats:?}");
        assert!(share >= 0.95, "{share} {stats:?}");
        assert!(stats.nack.repaired > 100 && stats.retransmitted > 100);
    }
}

#[test]
fn repair_alone_recovers_what_is_lost() {
    for (seed, format) in [(40, fec::Format::Flex03), (50, fec::Format::Flex)] {
        let mut config = video_sender();
        (config.rtx, config.nack) = (None, false);
        config.fec = Some(FecConfig { format, payload_type: pt(98), group: 5 });
        let mut receiving = video_receiver();
        receiving.nack = false;
        receiving.formats.push((pt(98), Format::Fec(format)));
        let mut call = Call::new(&link(0.02, 50), seed);
        let video = call.alice.add_sender(config).unwrap();
        let receiver = call.bob.add_receiver(receiving).unwrap();
        call.video(video, 0, 900, 5000);
        let stats = call.bob.receiver(receiver).unwrap().stats(StreamId(0)).unwrap();
        let share = share(&call, receiver.0, 300, 880);
        println!("{format:?}: {share:.4} of frames, {stats:?}");
        // Two of six are lost together once in 200 groups, and then a key frame is waited for.
        assert!(stats.recovered > 50 && stats.nack.nacks == 0);
        assert!(share > 0.85, "{share} {stats:?}");
    }
}

#[test]
fn audio_is_played_in_time_and_what_is_missing_is_told() {
    let mut link = link(0.03, 40);
    link.jitter = Duration::from_millis(30);
    let mut call = Call::new(&link, 60);
    let audio = call.alice.add_sender(audio_sender()).unwrap();
    let receiver = call.bob.add_receiver(audio_receiver()).unwrap();
    call.audio(audio, 0, 1500);
    let out = &call.out[receiver.0];
    let frames = out.iter().filter(|out| out.number.is_some()).count();
    let concealed: u32 = out.iter().map(|out| out.concealed / 960).sum();
    // What was sent came out as itself or as a gap, but for what still waits.
    let all = u32::try_from(frames).unwrap() + concealed;
    assert!((1485..=1500).contains(&all), "{frames} and {concealed}");
    assert!((20..90).contains(&concealed), "{concealed}");
    // Each comes when it is to be played, and playing goes on at one speed: 20 ms a frame but for what the delay adapts.
    assert!(out.iter().all(|out| out.at >= out.playout));
    let late = out.iter().skip(100).filter(|out| out.at - out.playout > Duration::from_millis(1)).count();
    // The target leaves three of a hundred behind.
    assert!(late <= 45, "{late}");
    let stats = call.bob.receiver(receiver).unwrap().stats(StreamId(0)).unwrap();
    assert!((20..=60).contains(&stats.delay.as_millis()), "{stats:?}");
}

#[test]
fn what_is_lost_for_good_is_answered_by_a_key_frame() {
    let mut config = video_sender();
    config.nack = false;
    let mut call = Call::new(&link(0.0, 50), 70);
    let video = call.alice.add_sender(config).unwrap();
    let receiver = call.bob.add_receiver(video_receiver()).unwrap();
    call.video(video, 0, 60, 5000);
    call.there.set_link(link(1.0, 50));
    call.video(video, 60, 3, 5000);
    call.there.set_link(link(0.0, 50));
    call.video(video, 63, 120, 5000);
    let keys: Vec<u32> =
        call.out[receiver.0].iter().filter(|out| out.key).filter_map(|out| out.number).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    let after = keys[1];
    assert!((64..120).contains(&after), "{keys:?}");
    assert!(call.out[receiver.0].iter().all(|out| !(60..after).contains(&out.number.unwrap())));
    assert!(share(&call, receiver.0, after, 180) > 0.999);
}

#[test]
fn a_key_frame_is_asked_for_and_told_once_in_half_a_second() {
    let mut call = Call::new(&link(0.0, 10), 80);
    let video = call.alice.add_sender(video_sender()).unwrap();
    let receiver = call.bob.add_receiver(video_receiver()).unwrap();
    call.video(video, 0, 3, 1000);
    let mut told = 0;
    for step in 0..300 {
        call.bob.receiver(receiver).unwrap().request_key_frame(StreamId(0));
        let end = call.now + Duration::from_millis(10);
        call.run(end);
        let wanted = |event: &Event| matches!(event, Event::Sender(_, SenderEvent::KeyFrameWanted { .. }));
        told += call.alice_events.drain(..).filter(wanted).count();
        assert!(told <= step / 50 + 1);
    }
    assert!((5..=7).contains(&told), "{told}");
}

#[test]
fn a_source_that_says_goodbye_ends_and_another_takes_its_place() {
    let mut call = Call::new(&link(0.0, 10), 90);
    let first = call.alice.add_sender(video_sender()).unwrap();
    let receiver = call.bob.add_receiver(video_receiver()).unwrap();
    call.video(first, 0, 30, 1000);
    call.alice.remove_sender(first);
    let end = call.now + Duration::from_millis(50);
    call.run(end);
    assert!(
        call.bob_events.contains(&Event::Receiver(receiver, ReceiverEvent::Ended { stream: StreamId(0) }))
    );
    let second = call.alice.add_sender(video_sender()).unwrap();
    call.video(second, 0, 30, 1000);
    let started = call.bob_events.iter();
    let started = started.filter(|event| {
        matches!(event, Event::Receiver(_, ReceiverEvent::Started { stream: StreamId(0), .. }))
    });
    assert_eq!(started.count(), 2, "{:?}", call.bob_events);
    assert!(call.out[receiver.0].len() >= 58);
}

#[test]
fn streams_of_one_sender_play_together() {
    let mut call = Call::new(&link(0.0, 30), 100);
    let (audio, video) =
        (call.alice.add_sender(audio_sender()).unwrap(), call.alice.add_sender(video_sender()).unwrap());
    let (mut listening, watching) = (audio_receiver(), video_receiver());
    listening.delay.min = Duration::from_millis(200);
    let hears = call.bob.add_receiver(listening).unwrap();
    let sees = call.bob.add_receiver(watching).unwrap();
    for step in 0..10 {
        // Frames of both at a time: three of audio, two of video.
        for part in 0..15 {
            let number = step * 15 + part;
            call.video(video, number * 2, 2, 2000);
            let now = call.now;
            let bytes = support::opus(number);
            let frame = media::OutgoingFrame {
                bytes: &bytes,
                timestamp: u32::try_from((now - testkit::epoch()).as_nanos() * 48 / 1_000_000).unwrap(),
                ..media::OutgoingFrame::default()
            };
            call.alice.sender(audio).unwrap().send_frame(now, 0, &frame).unwrap();
        }
        call.bob.synchronize(hears, sees);
    }
    let behind = |outs: &[support::Out]| {
        let out = outs.iter().rev().find(|out| out.captured.is_some()).unwrap();
        let captured = (u128::from(out.captured.unwrap()) * 1_000_000_000) >> 32;
        i128::from(out.playout.as_nanos()) - i128::try_from(captured).unwrap()
    };
    let skew = (behind(&call.out[hears.0]) - behind(&call.out[sees.0])).abs();
    assert!(skew < 25_000_000, "{skew} ns apart");
    assert_eq!(Codec::Opus.clock_rate(), 48_000);
}

#[test]
fn repair_is_no_longer_than_what_the_path_carries() {
    for format in [fec::Format::Flex03, fec::Format::Flex] {
        for (made, forwarded) in [(1170, 1212), (1200, 1200)] {
            let mut config = video_sender();
            config.fec = Some(FecConfig { format, payload_type: pt(98), group: 10 });
            (config.max_packet, config.max_forwarded) = (made, forwarded);
            let mut call = Call::new(&link(0.0, 10), 110);
            let video = call.alice.add_sender(config).unwrap();
            let bytes = support::vp8(0, true, 30_000);
            let frame = media::OutgoingFrame { bytes: &bytes, ..media::OutgoingFrame::default() };
            call.alice.sender(video).unwrap().send_frame(call.now, 0, &frame).unwrap();
            let mut longest = 0;
            let mut memory = [0; 1500];
            // With room for no more than the path carries.
            while let mut out = proto::Writer::new(&mut memory[..forwarded])
                && call.alice.poll_rtp(call.now, &mut out)
            {
                longest = longest.max(out.len());
            }
            let stats = call.alice.sender(video).unwrap().stats(0).unwrap();
            assert!(stats.repairs >= 3 && stats.unrepaired == 0, "{format:?} {stats:?}");
            assert!((made - 50..=forwarded).contains(&longest), "{longest} of {forwarded}");
        }
    }
}

#[test]
fn who_takes_the_place_of_a_sender_goes_on_with_its_numbers() {
    let mut numbering = None;
    let mut before: Option<[SequenceNumber; 2]> = None;
    for seed in [1, 2] {
        let mut alice = support::rtp("alice", seed);
        let mut encoding = EncodingConfig::default();
        (encoding.ssrc, encoding.fec_ssrc, encoding.numbering) = (Some(Ssrc(1)), Some(Ssrc(3)), numbering);
        let mut config = video_sender();
        config.fec = Some(FecConfig { format: fec::Format::Flex03, payload_type: pt(98), group: 4 });
        config.encodings = vec![encoding];
        let video = alice.add_sender(config).unwrap();
        let bytes = support::vp8(0, true, 10_000);
        let frame = media::OutgoingFrame { bytes: &bytes, ..media::OutgoingFrame::default() };
        alice.sender(video).unwrap().send_frame(testkit::epoch(), 0, &frame).unwrap();
        let mut sent = [Vec::new(), Vec::new()];
        let mut memory = [0; 1500];
        while let mut out = proto::Writer::new(&mut memory)
            && alice.poll_rtp(testkit::epoch(), &mut out)
        {
            let header = Packet::decode(out.written()).unwrap().header();
            sent[usize::from(header.ssrc == Ssrc(3))].push(header.sequence_number);
        }
        let ends = sent.map(|numbers| [numbers[0], numbers[numbers.len() - 1]]);
        if let Some(before) = before {
            assert_eq!(ends.map(|[first, _]| first), before.map(SequenceNumber::next), "media, repair");
        }
        before = Some(ends.map(|[_, last]| last));
        numbering = alice.sender(video).unwrap().numbering(0);
    }
}
