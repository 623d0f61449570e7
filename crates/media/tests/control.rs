//! The rate of a transport is controlled: estimate, pacer, padding, allocator.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use media::{
    Claim, Claimant, ControlConfig, Event, OutgoingFrame, PacketKind, ReceiverId, Rtp, RtpConfig, SenderId,
    TransportFeedback,
};
use proto::{Instant, Writer};
use rtp::extension::{ExtensionMap, Kind};
use rtp::rtcp::{Encoder, ReportBlock};
use rtp::{PacketMut, SequenceNumber, Ssrc};
use support::{Call, audio_receiver, audio_sender, clock, opus, rtp, video_receiver, video_sender, vp8};
use testkit::{Link, epoch};

fn controlled(feedback: TransportFeedback) -> Rtp {
    let mut config = RtpConfig::new(clock(), "alice");
    config.reduced_size = true;
    config.feedback = feedback;
    config.bandwidth = 3_000_000;
    config.control = Some(ControlConfig::default());
    Rtp::new(config, [1; 32])
}

/// A controlled call over 1 Mbit/s; Alice sends as much as she is told to.
fn call(feedback: TransportFeedback) -> (Call, SenderId, SenderId) {
    let link = Link {
        bandwidth: Some(1_000_000),
        delay: Duration::from_millis(30),
        queue: 40_000,
        ..Link::default()
    };
    let mut call = Call::new(&link, 1);
    call.alice = controlled(feedback);
    call.bob.set_feedback(true, feedback);
    let video = call.alice.add_sender(video_sender()).unwrap();
    let audio = call.alice.add_sender(audio_sender()).unwrap();
    call.bob.add_receiver(video_receiver()).unwrap();
    call.bob.add_receiver(audio_receiver()).unwrap();
    (call, video, audio)
}

fn claim(min: u64, max: u64, required: bool) -> Claim {
    Claim { min, desired: max, max, priority: 1, required }
}

/// Runs the call; gives what the video was told last.
fn run(call: &mut Call, video: SenderId, audio: SenderId, seconds: u32) -> u64 {
    let mut rate = 0;
    for number in 0..seconds * 25 {
        let wanted = rate / 8 / 25;
        let bytes = vp8(number, number == 0, usize::try_from(wanted).unwrap().max(100));
        let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 3600, ..OutgoingFrame::default() };
        let now = call.now;
        call.alice.sender(video).unwrap().send_frame(now, 0, &frame).unwrap();
        for part in 0..2 {
            let number = number * 2 + part;
            let bytes = opus(number);
            let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 960, ..OutgoingFrame::default() };
            let now = call.now;
            call.alice.sender(audio).unwrap().send_frame(now, 0, &frame).unwrap();
            call.run(now + Duration::from_millis(20));
        }
        for event in call.alice_events.drain(..) {
            if let Event::TargetRate { claimant: Claimant::Stream(id, 0), bitrate } = event
                && id == video
            {
                rate = bitrate;
            }
        }
    }
    rate
}

#[test]
fn a_call_finds_its_rate_by_either_feedback_and_loses_little() {
    for feedback in [TransportFeedback::TransportWide, TransportFeedback::Streams] {
        let (mut call, video, audio) = call(feedback);
        assert!(call.alice.set_claim(Claimant::Stream(video, 0), Some(claim(50_000, 3_000_000, true))));
        assert!(call.alice.set_claim(Claimant::Stream(audio, 0), Some(claim(40_000, 40_000, true))));
        let rate = run(&mut call, video, audio, 20);
        assert!((600_000..1_000_000).contains(&rate), "{feedback:?} {rate}");
        let stats = call.alice.sender(video).unwrap().stats(0).unwrap();
        assert!(stats.padding_packets > 0, "probes are padded: {stats:?}");
        let lost = call.alice.sender(video).unwrap().remote(0).unwrap().block.cumulative_lost;
        assert!(u64::try_from(lost).unwrap() < stats.packets / 50, "{feedback:?} {lost} {stats:?}");
        // What pads is nothing to the receiver: each frame came once.
        let mut numbers: Vec<_> = call.out[0].iter().filter_map(|out| out.number).collect();
        let all = numbers.len();
        numbers.dedup();
        assert!(numbers.len() == all && all > 480, "{all}");
    }
}

#[test]
fn a_peer_that_cannot_estimate_is_told_what_the_path_carries_and_keeps_to_it() {
    let (mut call, video, audio) = call(TransportFeedback::Remb);
    call.alice.set_claim(Claimant::Stream(video, 0), Some(claim(50_000, 3_000_000, true)));
    call.alice.set_claim(Claimant::Stream(audio, 0), Some(claim(40_000, 40_000, true)));
    run(&mut call, video, audio, 60);
    let target = call.alice.target().unwrap();
    assert!((600_000..1_050_000).contains(&target), "{target}");
    let told = call.bob.stats().rembs_sent;
    assert!((40..90).contains(&told), "told {told} times");
    let before = call.alice.sender(video).unwrap().remote(0).unwrap().block.cumulative_lost;
    run(&mut call, video, audio, 20);
    let lost = call.alice.sender(video).unwrap().remote(0).unwrap().block.cumulative_lost - before;
    assert!(lost < 40, "{lost} of some 2,000");
    // Nothing is told of what does not come, once what is under way is there.
    let now = call.now;
    call.run(now + Duration::from_secs(2));
    let told = call.bob.stats().rembs_sent;
    call.run(now + Duration::from_secs(30));
    assert_eq!(call.bob.stats().rembs_sent, told);
}

#[test]
fn of_a_peer_that_gives_no_feedback_reports_say_what_the_path_carries() {
    let (mut call, video, audio) = call(TransportFeedback::None);
    call.alice.set_claim(Claimant::Stream(video, 0), Some(claim(50_000, 3_000_000, true)));
    call.alice.set_claim(Claimant::Stream(audio, 0), Some(claim(40_000, 40_000, true)));
    let targets: Vec<u64> = (0..12)
        .map(|_| {
            run(&mut call, video, audio, 10);
            call.alice.target().unwrap()
        })
        .collect();
    assert!(targets[0] >= 300_000 && targets.iter().all(|target| *target < 1_500_000), "{targets:?}");
    assert!(targets[6..].iter().all(|target| *target > 600_000), "{targets:?}");
}

#[test]
fn audio_that_could_be_sent_again_is_no_padding_and_nobody_wakes_for_it() {
    let (mut call, ..) = call(TransportFeedback::TransportWide);
    let mut config = audio_sender();
    config.rtx = Some(support::pt(112));
    call.alice = controlled(TransportFeedback::TransportWide);
    let audio = call.alice.add_sender(config).unwrap();
    // Time would stand still while the first probe waits for padding.
    call.audio(audio, 0, 100);
    assert_eq!(call.alice.sender(audio).unwrap().stats(0).unwrap().padding_packets, 0);
}

#[test]
fn data_channels_are_one_more_claimant() {
    let (mut call, video, audio) = call(TransportFeedback::TransportWide);
    call.alice.set_claim(Claimant::Stream(video, 0), Some(claim(50_000, 3_000_000, true)));
    call.alice.set_claim(Claimant::Data, Some(claim(10_000, 3_000_000, false)));
    let mut told = None;
    for _ in 0..5 {
        run(&mut call, video, audio, 2);
        // Events of the run are gone; what is divided anew is told anew.
        call.alice.set_claim(Claimant::Data, None);
        call.alice.set_claim(Claimant::Data, Some(claim(10_000, 3_000_000, false)));
        while let Some(event) = call.alice.poll_event(call.now) {
            if let Event::TargetRate { claimant: Claimant::Data, bitrate } = event {
                told = Some((bitrate, call.alice.target().unwrap()));
            }
        }
    }
    let (data, target) = told.unwrap();
    assert!(data > target / 3 && data < target * 2 / 3, "{data} of {target}");
}

#[test]
fn audio_passes_a_key_frame_and_what_was_asked_for_passes_fresh_video() {
    let mut alice = controlled(TransportFeedback::TransportWide);
    let video = alice.add_sender(video_sender()).unwrap();
    let audio = alice.add_sender(audio_sender()).unwrap();
    let mut now = epoch();
    let mut memory = [0; 1500];
    let mut kinds = Vec::new();
    let key = vp8(0, true, 50_000);
    let frame = OutgoingFrame { bytes: &key, ..OutgoingFrame::default() };
    alice.sender(video).unwrap().send_frame(now, 0, &frame).unwrap();
    let drain = |alice: &mut Rtp, now: Instant, memory: &mut [u8], kinds: &mut Vec<PacketKind>| {
        let mut out = Writer::new(memory);
        while alice.poll_rtp(now, &mut out) {
            kinds.push(alice.sent().iter().last().unwrap().kind);
            out.truncate(0);
        }
    };
    drain(&mut alice, now, &mut memory, &mut kinds);
    assert!(kinds.len() < 10, "a frame of 43 packets is spread: {}", kinds.len());
    let due = alice.poll_timeout().unwrap();
    assert!(due > now && due < now + Duration::from_millis(20), "{:?}", due - now);
    // What is sent again is half of what was sent.
    while kinds.len() < 5 {
        now = alice.poll_timeout().unwrap().max(now);
        drain(&mut alice, now, &mut memory, &mut kinds);
    }
    // A packet of audio and one that was asked for.
    let sound = opus(0);
    let frame = OutgoingFrame { bytes: &sound, ..OutgoingFrame::default() };
    alice.sender(audio).unwrap().send_frame(now, 0, &frame).unwrap();
    let first = *alice.sent().iter().next().unwrap();
    let mut nack = [0; 100];
    let mut out = Writer::new(&mut nack);
    let mut encoder = Encoder::new(&mut out);
    encoder.nack(Ssrc(7), first.ssrc, [first.sequence]).unwrap();
    alice.handle_rtcp(now, out.written()).unwrap();
    let before = kinds.len();
    drain(&mut alice, now, &mut memory, &mut kinds);
    assert_eq!(kinds.get(before..).unwrap(), [PacketKind::Audio], "the rest waits its turn");
    while kinds.len() < before + 3 {
        now = alice.poll_timeout().unwrap().max(now);
        alice.handle_timeout(now);
        drain(&mut alice, now, &mut memory, &mut kinds);
    }
    assert_eq!(kinds[before + 1..before + 3], [PacketKind::Retransmission, PacketKind::Video]);
}

#[test]
fn a_limit_of_an_old_peer_holds_for_the_whole_transport() {
    let mut alice = controlled(TransportFeedback::None);
    let video = alice.add_sender(video_sender()).unwrap();
    let ssrc = alice.sender(video).unwrap().sources().next().unwrap().1;
    let mut memory = [0; 100];
    let mut out = Writer::new(&mut memory);
    Encoder::new(&mut out).remb(Ssrc(7), 90_000, [ssrc]).unwrap();
    assert_eq!(alice.target(), Some(300_000));
    alice.handle_rtcp(epoch(), out.written()).unwrap();
    assert!((89_000..=90_000).contains(&alice.target().unwrap()));
    let told = alice.poll_event(epoch());
    assert!(matches!(told, Some(Event::Bandwidth(_))), "{told:?}");
}

#[test]
fn claims_have_their_limit_and_go_with_their_sender() {
    let mut config = RtpConfig::new(clock(), "alice");
    let mut control = ControlConfig::default();
    control.max_claims = 2;
    config.control = Some(control);
    let mut alice = Rtp::new(config, [1; 32]);
    let video = alice.add_sender(video_sender()).unwrap();
    let some = Some(claim(1, 2, false));
    assert!(alice.set_claim(Claimant::Stream(video, 0), some) && alice.set_claim(Claimant::Data, some));
    assert!(!alice.set_claim(Claimant::Stream(video, 1), some));
    alice.remove_sender(video);
    assert!(alice.set_claim(Claimant::Stream(SenderId(1), 1), some));
    assert!(rtp("bob", 2).receiver(ReceiverId(0)).is_none());
}

#[test]
fn another_kind_of_feedback_begins_anew_and_leaves_nothing_that_wakes() {
    let kinds = [
        TransportFeedback::TransportWide,
        TransportFeedback::Streams,
        TransportFeedback::Remb,
        TransportFeedback::None,
    ];
    for before in kinds {
        for after in kinds {
            let (mut call, _, audio) = call(before);
            // Something has come, and is not told of yet.
            call.audio(audio, 0, 51);
            call.bob.set_feedback(true, after);
            call.audio(audio, 51, 100);
        }
    }
}

#[test]
fn what_cannot_be_sent_again_is_refused_once_pads_nothing_and_wakes_nobody() {
    for mut alice in [rtp("alice", 1), controlled(TransportFeedback::None)] {
        let mut config = video_sender();
        config.extensions = ExtensionMap::default();
        config.extensions.set(3, Kind::AbsSendTime).unwrap();
        // A number that short elements do not have.
        config.extensions.set(20, Kind::Mid).unwrap();
        let id = alice.add_sender(config).unwrap();
        let ssrc = alice.sender(id).unwrap().sources().next().unwrap().1;
        let mut now = epoch();
        let tell = |alice: &mut Rtp, now, write: &dyn Fn(&mut Encoder<'_, '_>)| {
            let mut memory = [0; 500];
            let mut out = Writer::new(&mut memory);
            write(&mut Encoder::new(&mut out));
            alice.handle_rtcp(now, out.written()).unwrap();
        };
        // Whose the stream is need not be said any more; of its retransmissions it has to be.
        let block = ReportBlock { ssrc, ..ReportBlock::default() };
        tell(&mut alice, now, &|out| out.receiver_report(Ssrc(9), [block], &[]).unwrap());
        let mut last = SequenceNumber(0);
        for number in 0..20_u8 {
            let mut packet = vec![0x90, 0x60, 0, number, 0, 0, 0, number, 1, 2, 3, 4];
            packet.extend([0xbe, 0xde, 0, 1, 0x32, 1, 2, 3, 0x10, 1]);
            packet.resize(600, 7);
            let mut packet = PacketMut::decode(&mut packet, 600).unwrap();
            let theirs = alice.sender(id).unwrap().config().extensions.clone();
            alice.forward(now, id, 0, (1, number.into()), &mut packet, &theirs).unwrap();
            last = packet.as_packet().header().sequence_number;
            now += Duration::from_millis(5);
        }
        tell(&mut alice, now, &|out| _ = out.nack(Ssrc(9), ssrc, [last]).unwrap());
        for _ in 0..20 {
            let mut memory = [0; 1500];
            alice.handle_timeout(now);
            while alice.poll_rtp(now, &mut Writer::new(&mut memory)) {}
            while alice.poll_rtcp(now, &mut Writer::new(&mut memory)) {}
            let due = alice.poll_timeout();
            assert!(due.is_none_or(|due| due > now), "{now:?} {due:?}");
            now = due.unwrap_or(now);
        }
        assert_eq!(alice.sender(id).unwrap().stats(0).unwrap().refused, 1);
    }
}
