//! Frames between two sessions: divided, protected, asked for again, put in order, reported.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use harness::{Two, config, near};
use proto::Batch;
use rtp::extension::AudioLevel;
use rtp::payload::{Payload, telephone_event};
use session::{
    ChannelInit, Codec, Content, Contribution, Direction, DtmfError, Event, Feedback, FrameConfig,
    MediaConfig, MediaKind, OutgoingFrame, Output, PayloadType, SendEncoding, SendMediaError, SenderEvent,
    SharedPackets, TransceiverId, TransceiverInit,
};
use testkit::Link;

fn connected(link: Link) -> (Two, [[TransceiverId; 2]; 2]) {
    let configs = [0, 1].map(|side| {
        let mut config = config(side);
        config.frames = Some(Arc::new(FrameConfig::default()));
        config
    });
    let mut two = Two::with(configs, link);
    // What is forwarded is longer than what is made here.
    two.world.max_datagram = 1300;
    let now = two.now();
    let kinds = [MediaKind::Audio, MediaKind::Video];
    let ids = [0, 1].map(|side| kinds.map(|kind| two.session(side).add_track(now, kind, vec![]).unwrap()));
    two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    two.negotiate(0);
    assert!(two.run(Duration::from_secs(20), Two::is_connected), "{}", two.reports());
    (two, ids)
}

fn vp8(number: u32) -> Vec<u8> {
    let len = if number.is_multiple_of(30) { 9000 } else { 2500 };
    harness::vp8(number, len, u8::try_from(number % 251).unwrap())
}

/// Sends for so many twentieths of a second, reads all the while; gives what came of audio and of video on either side.
fn call(two: &mut Two, ids: [[TransceiverId; 2]; 2], steps: Range<u32>) -> [[Vec<Vec<u8>>; 2]; 2] {
    let mut came: [[Vec<Vec<u8>>; 2]; 2] = Default::default();
    for step in steps {
        let now = two.now();
        for side in [0, 1] {
            let [audio, video] = ids[side];
            let bytes = [0xf8, 1, u8::try_from(step % 256).unwrap(), u8::try_from(step / 256).unwrap()];
            let frame = OutgoingFrame { bytes: &bytes, timestamp: step * 2400, ..OutgoingFrame::default() };
            two.session(side).write_frame(now, audio, 0, &frame).unwrap();
            let bytes = vp8(step);
            let frame = OutgoingFrame { bytes: &bytes, timestamp: step * 4500, ..OutgoingFrame::default() };
            two.session(side).write_frame(now, video, 0, &frame).unwrap();
        }
        for _ in 0..5 {
            two.run(Duration::from_millis(10), |_| false);
            let now = two.now();
            for side in [0, 1] {
                for (at, id) in ids[side].into_iter().enumerate() {
                    while let Some(frame) = two.session(side).poll_frame(now, id) {
                        if let Content::Media { bytes, .. } = frame.content {
                            came[side][at].push(bytes.to_vec());
                        }
                    }
                }
            }
        }
    }
    came
}

#[test]
fn frames_arrive_whole_and_in_order_beside_data() {
    let (mut two, ids) = connected(near());
    let came = call(&mut two, ids, 0..200);
    for (side, [audio, video]) in came.iter().enumerate() {
        assert!(audio.len() >= 195, "{} frames of audio at {side}", audio.len());
        assert!(video.len() >= 195, "{} frames of video at {side}", video.len());
        let first = (0..200).map(vp8).position(|frame| frame == video[0]).unwrap();
        assert!(video.iter().zip((first..).map(|at| vp8(u32::try_from(at).unwrap()))).all(|(a, b)| *a == b));
    }
    let now = two.now();
    for side in [0, 1] {
        let stats = two.session(side).stats(now);
        let (rtp, target) = two.session(side).rtp_stats().unwrap();
        // What pads probes came before.
        let padding = two.session(1 - side).encoding_stats(ids[1 - side][1], 0).unwrap().0.padding_packets;
        assert!(rtp.discarded <= padding, "{rtp:?}, {padding} packets of padding");
        assert!(rtp.rtcp > 3 && rtp.rtcp_sent > 3, "{rtp:?}");
        assert!(rtp.round_trip.is_some());
        assert!(target.unwrap() > 500_000, "the estimate follows what goes through: {target:?}");
        // Each packet that was authenticated was delivered, or its refusal was counted.
        let (_, received) = stats.srtp.unwrap();
        assert_eq!(received.rtp_packets, rtp.packets + rtp.discarded + stats.ignored.stray);
        let (sent, remote) = two.session(side).encoding_stats(ids[side][1], 0).unwrap();
        assert_eq!(sent.frames, 200);
        assert!(remote.count > 3 && remote.round_trip.is_some());
    }
}

#[test]
fn what_the_path_loses_is_asked_for_again() {
    let mut link = near();
    link.loss = 0.05;
    link.delay = Duration::from_millis(40);
    let (mut two, ids) = connected(link);
    // Ten seconds to find out what the path carries.
    call(&mut two, ids, 0..200);
    let came = call(&mut two, ids, 200..600);
    for (side, [audio, video]) in came.iter().enumerate() {
        let (stream, stats) = two.session(side).stream_stats(ids[side][1])[0];
        assert!(audio.len() >= 360, "{} frames of audio at {side}", audio.len());
        assert!(video.len() >= 380, "{} frames of video at {side}: {stream:?} {stats:?}", video.len());
        let (sent, _) = two.session(side).encoding_stats(ids[side][1], 0).unwrap();
        assert!(sent.retransmitted_packets > 20, "{sent:?}");
    }
}

#[test]
fn what_is_handed_over_leaves_with_the_next_call() {
    let (mut two, ids) = connected(near());
    call(&mut two, ids, 0..40);
    for step in 40..60_u32 {
        let now = two.now();
        let frames = [(ids[0][0], 2400, vec![0xf8, 1, 2]), (ids[0][1], 4500, harness::vp8(step, 200, 7))];
        for (id, ticks, bytes) in frames {
            let frame = OutgoingFrame { bytes: &bytes, timestamp: step * ticks, ..OutgoingFrame::default() };
            let session = two.session(0);
            while session.poll_transmit(now, &mut Batch::new(&mut [0; 60_000], 40, 1500)).is_some() {}
            let before = session.encoding_stats(id, 0).unwrap().0.packets;
            session.write_frame(now, id, 0, &frame).unwrap();
            assert!(session.poll_timeout().is_some_and(|due| due <= now), "its turn has come");
            while session.poll_transmit(now, &mut Batch::new(&mut [0; 60_000], 40, 1500)).is_some() {}
            assert_eq!(session.encoding_stats(id, 0).unwrap().0.packets, before + 1, "step {step}");
            assert!(session.poll_timeout().is_some_and(|due| due > now), "nothing is left");
        }
        two.run(Duration::from_millis(50), |_| false);
    }
}

#[test]
fn a_key_frame_is_asked_for_at_once_and_told_to_the_sender() {
    let (mut two, ids) = connected(near());
    call(&mut two, ids, 0..40);
    let [_, video] = ids[1];
    let stream = two.session(1).stream_stats(video)[0].0;
    two.seen[0].clear();
    two.session(1).request_key_frame(video, stream);
    // Nothing but the wish has the session wake.
    two.run(Duration::from_secs(2), |_| false);
    let wished = Event::Sender(ids[0][1], SenderEvent::KeyFrameWanted { encoding: 0 });
    assert!(two.seen[0].contains(&wished), "{:?}", two.seen[0]);
}

#[test]
fn frames_that_nobody_reads_do_not_pile_up_and_do_not_keep_the_session_awake() {
    let (mut two, ids) = connected(near());
    two.seen[1].clear();
    for step in 0..200 {
        let now = two.now();
        let bytes = vp8(step);
        let frame = OutgoingFrame { bytes: &bytes, timestamp: step * 4500, ..OutgoingFrame::default() };
        two.session(0).write_frame(now, ids[0][1], 0, &frame).unwrap();
        two.run(Duration::from_millis(50), |_| false);
    }
    let told = two.seen[1].iter().filter(|event| **event == Event::FrameReadable(ids[1][1])).count();
    assert!((5..=20).contains(&told), "told {told} times of frames that were not fetched");
    two.run(Duration::from_secs(3), |_| false);
    let now = two.now();
    assert!(two.session(1).poll_frame(now, ids[1][1]).is_none(), "what is old is given up");
    let track = two.session(1).stream_stats(ids[1][1])[0].1.track;
    assert!(track.frames > 190 && track.unread == track.frames, "what is given up is counted: {track:?}");
    // And it goes on for whoever reads again.
    let came = call(&mut two, ids, 240..300);
    assert!(came[1][1].len() > 25, "{} frames", came[1][1].len());
}

#[test]
fn packets_come_out_for_whoever_forwards_and_go_on_under_our_own_numbers() {
    let (mut two, ids) = connected(near());
    assert!(two.session(1).set_output(ids[1][1], Output::Packets));
    for step in 0..60 {
        let now = two.now();
        let bytes = vp8(step);
        let frame = OutgoingFrame { bytes: &bytes, timestamp: step * 4500, ..OutgoingFrame::default() };
        two.session(0).write_frame(now, ids[0][1], 0, &frame).unwrap();
        two.run(Duration::from_millis(50), |_| false);
    }
    let packets = std::mem::take(&mut two.peer(1).packets);
    let sent = two.session(0).encoding_stats(ids[0][1], 0).unwrap().0;
    assert!(packets.len() as u64 >= sent.packets - sent.padding_packets - 8, "{} of {sent:?}", packets.len());
    assert!(packets.windows(2).all(|pair| pair[1].1 == pair[0].1 + 1), "numbers go on without a gap");
    // Back to where they came from, as by a room.
    let now = two.now();
    let theirs = two.session(1).transceiver(ids[1][1]).unwrap().negotiated.unwrap().extensions.clone();
    let (_, last, sent_last) = packets.last().unwrap().clone();
    let mut shared = SharedPackets::default();
    for (_, number, packet) in packets {
        let packet = shared.share(&packet, &theirs).unwrap();
        two.session(1).forward_rtp(now, ids[1][1], 0, (1, number), &packet).unwrap();
    }
    // As long as those of browsers is carried; one that no path need carry is refused, and holds nothing up.
    let mut forward = |two: &mut Two, number, len| {
        let mut memory = vec![0; 1300];
        memory[..sent_last.len()].copy_from_slice(&sent_last);
        let packet = shared.share(&memory[..len], &theirs).unwrap();
        two.session(1).forward_rtp(now, ids[1][1], 0, (1, number), &packet)
    };
    forward(&mut two, last + 1, 1200).unwrap();
    let refused = forward(&mut two, last + 2, 1213);
    assert!(matches!(refused, Err(SendMediaError::Frame(_))), "{refused:?}");
    let mut frames = 0;
    for _ in 0..600 {
        two.run(Duration::from_millis(10), |_| false);
        let now = two.now();
        while let Some(frame) = two.session(0).poll_frame(now, ids[0][1]) {
            frames += u32::from(matches!(frame.content, Content::Media { .. }));
        }
    }
    assert_eq!(frames, 60);
}

/// What came of telephone events: the keys that were pressed, and for how long, in ms.
fn pressed(two: &mut Two, side: usize, id: TransceiverId, for_how_long: Duration) -> Vec<(char, u32)> {
    let mut events = telephone_event::Depacketizer::new();
    let mut keys = Vec::new();
    for _ in 0..for_how_long.as_millis() / 10 {
        two.run(Duration::from_millis(10), |_| false);
        let now = two.now();
        while let Some(frame) = two.session(side).poll_frame(now, id) {
            let Content::Media { bytes, marker, .. } = frame.content else { continue };
            if [110, 126].contains(&frame.payload_type.get()) {
                let timestamp = frame.timestamp.0;
                let _ = events.handle_payload(Payload { bytes, marker, timestamp, after_loss: false });
            }
        }
        while let Some(change) = events.poll_change() {
            if let telephone_event::Change::Ended { event, duration, .. } = change {
                keys.push((event.key().unwrap(), duration / 48));
            }
        }
    }
    keys
}

#[test]
fn keys_that_are_pressed_come_as_telephone_events_with_the_clock_of_the_codec() {
    let (mut two, ids) = connected(near());
    let [audio, video] = ids[0];
    let (tone, gap) = (Duration::from_millis(100), Duration::from_millis(70));
    let now = two.now();
    let session = two.session(0);
    assert!(session.can_insert_dtmf(audio) && !session.can_insert_dtmf(video));
    assert_eq!(session.insert_dtmf(now, video, "1", tone, gap), Err(DtmfError::NotAllowed));
    let refused = session.insert_dtmf(now, audio, "1x", tone, gap).unwrap_err();
    assert_eq!((refused, refused.name()), (DtmfError::Unknown('x'), "InvalidCharacterError"));
    let too_many = "1".repeat(257);
    assert_eq!(session.insert_dtmf(now, audio, &too_many, tone, gap), Err(DtmfError::TooMany));
    session.insert_dtmf(now, audio, &too_many[1..], tone, gap).unwrap();
    session.insert_dtmf(now, audio, "12#", tone, gap).unwrap();
    assert_eq!(session.tone_buffer(audio), "12#");
    // Nothing but that has the session wake.
    let keys = pressed(&mut two, 1, ids[1][0], Duration::from_millis(1500));
    assert_eq!(keys, [('1', 100), ('2', 100), ('#', 100)]);
    let tones: Vec<_> = two.seen[0]
        .iter()
        .filter_map(|event| match event {
            Event::Sender(id, SenderEvent::Tone(tone)) if *id == audio => Some(*tone),
            _ => None,
        })
        .collect();
    assert_eq!(tones, [Some('1'), Some('2'), Some('#'), None]);
    // Another codec has another clock, and events of its own.
    let pcmu = PayloadType::new(0).unwrap();
    assert!(two.session(0).set_codec(audio, pcmu) && two.session(0).can_insert_dtmf(audio));
    // Nor while nothing is sent.
    let now = two.now();
    two.session(0).set_direction(now, audio, Direction::RecvOnly).unwrap();
    two.negotiate(0);
    let now = two.now();
    let session = two.session(0);
    assert_eq!(session.insert_dtmf(now, audio, "1", tone, gap), Err(DtmfError::NotAllowed));
    session.close(now);
    assert!(!two.session(0).can_insert_dtmf(audio));
}

#[test]
fn whoever_is_heard_is_told_with_how_loud_he_is() {
    let (mut two, ids) = connected(near());
    let now = two.now();
    assert!(two.session(1).synchronization_sources(now, ids[1][0]).is_empty());
    for step in 0..20 {
        let now = two.now();
        let mut frame =
            OutgoingFrame { bytes: &[0xf8, 1], timestamp: step * 2400, ..OutgoingFrame::default() };
        frame.audio_level = Some(AudioLevel { voice: true, level: 40 });
        two.session(0).write_frame(now, ids[0][0], 0, &frame).unwrap();
        two.run(Duration::from_millis(50), |_| false);
    }
    let now = two.now();
    let ssrc = two.session(0).transceiver(ids[0][0]).unwrap().encodings[0].ssrc;
    let sources = two.session(1).synchronization_sources(now, ids[1][0]);
    assert_eq!(sources.len(), 1);
    let Contribution { source, is_voice, .. } = sources[0];
    assert_eq!((source, is_voice, sources[0].audio_level()), (ssrc, Some(true), Some(0.01)));
    assert!(two.session(1).contributing_sources(now, ids[1][0]).is_empty());
    two.run(Duration::from_secs(11), |_| false);
    let now = two.now();
    assert!(two.session(1).synchronization_sources(now, ids[1][0]).is_empty());
}

#[test]
fn what_is_wanted_of_a_stream_counts_from_then_on() {
    let (mut two, ids) = connected(near());
    call(&mut two, ids, 0..60);
    let video = ids[0][1];
    let set = |two: &mut Two, change: &dyn Fn(&mut SendEncoding)| {
        let now = two.now();
        let mut wanted = two.session(0).transceiver(video).unwrap().encodings[0].wanted.clone();
        change(&mut wanted);
        two.session(0).set_encodings(now, video, vec![wanted]).unwrap();
        two.run(Duration::from_millis(100), |_| false);
    };
    let rates = |two: &Two| {
        two.seen[0]
            .iter()
            .filter_map(|event| match event {
                Event::TargetRate { transceiver, bitrate, .. } if *transceiver == video => Some(*bitrate),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    assert!(*rates(&two).last().unwrap() > 100_000);
    set(&mut two, &|wanted| wanted.max_bitrate = Some(90_000));
    assert_eq!(rates(&two).last(), Some(&90_000), "without another exchange of descriptions");
    set(&mut two, &|wanted| wanted.is_paused = true);
    let (now, bytes) = (two.now(), vp8(0));
    let frame = OutgoingFrame { bytes: &bytes, ..OutgoingFrame::default() };
    assert_eq!(two.session(0).write_frame(now, video, 0, &frame), Err(SendMediaError::Inactive));
}

#[test]
fn what_cannot_be_sent_is_refused_with_the_reason() {
    let (mut two, ids) = connected(near());
    let now = two.now();
    let frame = OutgoingFrame { bytes: &[0xf8, 1], ..OutgoingFrame::default() };
    let [audio, video] = ids[0];
    let session = two.session(0);
    assert_eq!(session.write_frame(now, audio, 1, &frame), Err(SendMediaError::UnknownEncoding));
    assert!(matches!(
        session.write_frame(now, video, 0, &OutgoingFrame::default()),
        Err(SendMediaError::Frame(_))
    ));
    session.set_direction(now, audio, Direction::RecvOnly).unwrap();
    two.negotiate(0);
    let now = two.now();
    assert_eq!(two.session(0).write_frame(now, audio, 0, &frame), Err(SendMediaError::NotSending));
    two.session(0).stop_transceiver(now, video).unwrap();
    two.negotiate(0);
    let now = two.now();
    assert_eq!(two.session(0).write_frame(now, video, 0, &frame), Err(SendMediaError::Stopped));
    // A transceiver that comes later has machines too.
    let late = two.session(0).add_transceiver(now, MediaKind::Video, TransceiverInit::default()).unwrap();
    two.negotiate(0);
    two.run(Duration::from_millis(200), |_| false);
    let now = two.now();
    let bytes = vp8(0);
    let frame = OutgoingFrame { bytes: &bytes, ..OutgoingFrame::default() };
    // The other side only receives it, which is all it takes.
    two.session(0).write_frame(now, late, 0, &frame).unwrap();
}

/// Both speak VP8 with this beside it; nothing is asked for again.
fn repaired(extra: &[(&'static str, u8)], link: Link) -> (Two, [TransceiverId; 2]) {
    speaking_vp8(Feedback::TRANSPORT_CC.with(Feedback::NACK_PLI), extra, link)
}

/// Both speak VP8 with this feedback, and this beside it.
fn speaking_vp8(feedback: Feedback, extra: &[(&'static str, u8)], link: Link) -> (Two, [TransceiverId; 2]) {
    speaking(link, |media| {
        media.codecs.retain(|codec| codec.name == "VP8");
        for codec in &mut media.codecs {
            (codec.rtx, codec.feedback) = (None, feedback);
        }
        let repair = extra.iter().map(|(name, number)| Codec::new(MediaKind::Video, *name, 90_000, *number));
        media.codecs.extend(repair.map(Option::unwrap));
    })
}

/// Both send video, with these formats.
fn speaking(link: Link, formats: impl Fn(&mut MediaConfig)) -> (Two, [TransceiverId; 2]) {
    let configs = [0, 1].map(|side| {
        let mut config = config(side);
        config.frames = Some(Arc::new(FrameConfig::default()));
        let mut media = MediaConfig::default();
        formats(&mut media);
        config.media = Some(Arc::new(media));
        config
    });
    let mut two = Two::with(configs, link);
    two.world.max_datagram = 1300;
    let now = two.now();
    let ids = [0, 1].map(|side| two.session(side).add_track(now, MediaKind::Video, vec![]).unwrap());
    two.negotiate(0);
    assert!(two.run(Duration::from_secs(20), Two::is_connected), "{}", two.reports());
    (two, ids)
}

/// Without retransmissions of their own packets come again as they were, which SRTP must take on either side though many have
/// gone since.
#[test]
fn what_comes_again_under_its_own_number_comes_over_long_paths_too() {
    let link = Link { delay: Duration::from_millis(200), loss: 0.02, ..Link::default() };
    let (mut two, ids) = speaking(link, |media| {
        media.codecs.retain(|codec| codec.name == "VP8");
        media.codecs.iter_mut().for_each(|codec| codec.rtx = None);
    });
    for step in 0..5000 {
        let now = two.now();
        let bytes = harness::vp8(step, 40, 1);
        let frame = OutgoingFrame { bytes: &bytes, timestamp: step * 180, ..OutgoingFrame::default() };
        two.session(0).write_frame(now, ids[0], 0, &frame).unwrap();
        two.run(Duration::from_millis(2), |_| false);
        let now = two.now();
        while two.session(1).poll_frame(now, ids[1]).is_some() {}
    }
    let (_, stream) = two.session(1).stream_stats(ids[1])[0];
    assert!(stream.nack.missing > 60, "{stream:?}");
    assert!(stream.nack.repaired * 10 > stream.nack.missing * 8, "{stream:?}");
}

/// As hardware has it that tells its parameter sets in the description alone.
#[test]
fn key_frames_of_h264_have_the_parameter_sets_that_the_description_told() {
    let (mut two, ids) = speaking(near(), |media| {
        media.codecs.retain(|codec| codec.name == "H264");
        media.codecs.truncate(1);
        let codec = &mut media.codecs[0];
        codec.parameters = format!("{};sprop-parameter-sets=Z0LAH9k=,aMuD", codec.parameters).into();
    });
    let picture = [0, 0, 0, 1, 0x65, 0x88, 1];
    let frame = OutgoingFrame { bytes: &picture, ..OutgoingFrame::default() };
    let now = two.now();
    two.session(0).write_frame(now, ids[0], 0, &frame).unwrap();
    two.run(Duration::from_millis(200), |_| false);
    let now = two.now();
    let came = two.session(1).poll_frame(now, ids[1]).unwrap();
    let Content::Media { bytes, .. } = came.content else { panic!("video is not concealed") };
    let sets = [0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0xd9, 0, 0, 0, 1, 0x68, 0xcb, 0x83];
    assert_eq!(bytes, [&sets[..], &picture].concat());
}

/// Sends so many frames one way, and gives those that came out whole.
fn one_way(two: &mut Two, ids: [TransceiverId; 2], steps: u32) -> Vec<Vec<u8>> {
    let mut came = Vec::new();
    for step in 0..steps {
        let now = two.now();
        let mut bytes = vp8(step);
        // As many packets as have a repair of their own.
        bytes.resize(6000, 1);
        let frame = OutgoingFrame { bytes: &bytes, timestamp: step * 4500, ..OutgoingFrame::default() };
        // What the path does not take counts as not sent.
        let _ = two.session(0).write_frame(now, ids[0], 0, &frame);
        for _ in 0..5 {
            two.run(Duration::from_millis(10), |_| false);
            let now = two.now();
            while let Some(frame) = two.session(1).poll_frame(now, ids[1]) {
                if let Content::Media { bytes, .. } = frame.content {
                    came.push(bytes.to_vec());
                }
            }
        }
    }
    came
}

#[test]
fn what_repair_recovers_comes_out_as_frames_and_as_packets() {
    let mut link = near();
    link.loss = 0.02;
    for extra in REPAIRS {
        let (mut two, ids) = repaired(extra, link.clone());
        let frames = one_way(&mut two, ids, 200);
        let stats = two.session(1).stream_stats(ids[1])[0].1;
        assert!(stats.recovered > 3 && stats.repairs > 20 && stats.retransmitted == 0, "{extra:?} {stats:?}");
        assert!(frames.len() > 150, "{extra:?}: {} frames of 200, {stats:?}", frames.len());

        let (mut two, ids) = repaired(extra, link.clone());
        assert!(two.session(1).set_output(ids[1], Output::Packets));
        one_way(&mut two, ids, 200);
        let stats = two.session(1).stream_stats(ids[1])[0].1;
        let packets = std::mem::take(&mut two.peer(1).packets);
        let [rebuilt, ..] = stats.rebuilt;
        assert!(rebuilt > 3 && stats.unfetched == 0, "{extra:?} {stats:?}");
        let mut numbers: Vec<u64> = packets.iter().map(|packet| packet.1).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), packets.len(), "{extra:?}: each once");
        // Packets of repair, where they have numbers of the stream, are for nobody else.
        let of_repair = if extra.len() > 1 { stats.repairs } else { 0 };
        assert_eq!(packets.len() as u64, stats.packets - of_repair, "{extra:?} {stats:?}");
        for (_, _, packet) in &packets {
            assert_eq!(rtp::Packet::decode(packet).unwrap().header().payload_type.get(), 96);
        }
    }
}

const REPAIRS: [&[(&str, u8)]; 3] =
    [&[("flexfec-03", 118)], &[("flexfec", 119)], &[("red", 116), ("ulpfec", 117)]];

/// Both speak VP8 and H.264, with ULPFEC in RED; what is lost is asked for again.
fn with_ulpfec(red_rtx: bool, link: Link) -> (Two, [TransceiverId; 2]) {
    speaking(link, |media| {
        let [mut red, ulpfec] = Codec::ulpfec().unwrap();
        red.rtx = red.rtx.filter(|_| red_rtx);
        media.codecs.extend([red, ulpfec]);
    })
}

#[test]
fn ulpfec_in_red_and_retransmissions_repair_together() {
    for red_rtx in [false, true] {
        let mut link = near();
        link.loss = 0.05;
        let (mut two, ids) = with_ulpfec(red_rtx, link);
        let frames = one_way(&mut two, ids, 200);
        let stats = two.session(1).stream_stats(ids[1])[0].1;
        assert!(stats.recovered > 10 && stats.retransmitted > 5 && stats.repairs > 100, "{stats:?}");
        // Where the first picture is lost, all wait for the next key frame, 30 later.
        assert!(frames.len() > 165, "{} frames of 200, {stats:?}", frames.len());
        let is_whole = |bytes: &Vec<u8>| {
            (0..200).any(|step| {
                let mut frame = vp8(step);
                frame.resize(6000, 1);
                frame == *bytes
            })
        };
        assert!(frames.iter().all(is_whole), "{red_rtx}");
        let (sent, _) = two.session(0).encoding_stats(ids[0], 0).unwrap();
        assert!(sent.repairs >= stats.repairs && sent.unrepaired == 0 && sent.retransmitted_packets > 5);
    }
}

#[test]
fn ulpfec_costs_nothing_where_nothing_is_lost() {
    let (mut two, ids) = with_ulpfec(false, near());
    let offer = two.session(0).local_description().unwrap().1.to_string();
    assert!(offer.contains("a=rtpmap:116 red/90000") && !offer.contains("a=fmtp:116"), "{offer}");
    assert!(one_way(&mut two, ids, 100).len() >= 98);
    let stats = two.session(1).stream_stats(ids[1])[0].1;
    assert_eq!((stats.lost, stats.nack.nacks, stats.recovered, stats.track.broken), (0, 0, 0, 0));
    assert!(stats.repairs > 90 && stats.payload_type.is_some_and(|it| it.get() == 116), "{stats:?}");
}

/// As libwebrtc has it: without numbers of pictures its packets would be asked for, too.
#[test]
fn ulpfec_beside_nack_is_for_codecs_whose_pictures_have_numbers() {
    let (mut two, ids) = with_ulpfec(false, near());
    one_way(&mut two, ids, 20);
    let info = two.session(0).transceiver(ids[0]).unwrap();
    let codecs = &info.negotiated.unwrap().send;
    let number = |name: &str| codecs.iter().find(|codec| codec.name == name).unwrap().payload_type;
    let (vp8, h264) = (number("VP8"), number("H264"));
    let sent = |two: &mut Two| two.session(0).encoding_stats(ids[0], 0).unwrap().0;
    let before = sent(&mut two);
    assert!(before.repairs > 15, "{before:?}");
    assert!(two.session(0).set_codec(ids[0], h264));
    let picture = [&[0, 0, 0, 1, 0x65][..], &[1; 6000]].concat();
    for step in 0..20 {
        let now = two.now();
        let frame = OutgoingFrame { bytes: &picture, timestamp: step * 4500, ..OutgoingFrame::default() };
        two.session(0).write_frame(now, ids[0], 0, &frame).unwrap();
        two.run(Duration::from_millis(50), |_| false);
    }
    assert_eq!(sent(&mut two).repairs, before.repairs);
    let stats = two.session(1).stream_stats(ids[1])[0].1;
    assert_eq!((stats.payload_type, stats.lost), (Some(h264), 0));
    assert!(two.session(0).set_codec(ids[0], vp8));
    one_way(&mut two, ids, 20);
    assert!(sent(&mut two).repairs > before.repairs + 15);
}

#[test]
fn peers_that_know_remb_alone_are_told_what_the_path_carries() {
    let (mut two, ids) = speaking_vp8(Feedback::GOOG_REMB.with(Feedback::NACK_PLI), &[], near());
    one_way(&mut two, ids, 200);
    let told = two.session(1).rtp_stats().unwrap().0.rembs_sent;
    assert!((3..15).contains(&told), "told {told} times in 10 s");
    // It is what the other side sends by.
    let target = two.session(0).rtp_stats().unwrap().1.unwrap();
    assert!(target > 500_000, "{target}");
    let (mut two, ids) = speaking_vp8(Feedback::GOOG_REMB.with(Feedback::TRANSPORT_CC), &[], near());
    one_way(&mut two, ids, 200);
    assert_eq!(two.session(1).rtp_stats().unwrap().0.rembs_sent, 0, "who knows better is not told");
}
