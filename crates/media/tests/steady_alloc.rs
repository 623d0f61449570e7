//! Media that flows allocates nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use allocation_counter::measure;
use media::{
    Claim, Claimant, ControlConfig, FecConfig, Format, OutgoingFrame, Output, PacketKind, Received,
    ReceiverConfig, ReceiverId, RedConfig, Rtp, RtpConfig, SenderConfig, TransportFeedback,
};
use proto::Writer;
use rtp::{PacketMut, fec, is_rtcp};
use support::{
    audio_receiver, audio_sender, clock, extensions, opus, pt, rtp, video_receiver, video_sender, vp8,
};
use testkit::epoch;

#[test]
fn frames_are_sent_lost_repaired_received_and_reported_without_allocation() {
    flow_without_allocation(video_sender(), video_receiver());
}

#[test]
fn frames_inside_of_red_are_recovered_by_ulpfec_without_allocation() {
    let (sending, receiving) = with_ulpfec();
    flow_without_allocation(sending, receiving);
}

fn with_ulpfec() -> (SenderConfig, ReceiverConfig) {
    let (mut sending, mut receiving) = (video_sender(), video_receiver());
    sending.fec = Some(FecConfig { format: fec::Format::Ulp, payload_type: pt(99), group: 5 });
    sending.red = Some(RedConfig { payload_type: pt(98), rtx: None });
    receiving.formats.extend([(pt(98), Format::Red), (pt(99), Format::Fec(fec::Format::Ulp))]);
    (sending, receiving)
}

fn flow_without_allocation(sending: SenderConfig, receiving: ReceiverConfig) {
    let (mut alice, mut bob) = (rtp("alice", 1), rtp("bob", 2));
    let video = alice.add_sender(sending).unwrap();
    let audio = alice.add_sender(audio_sender()).unwrap();
    bob.add_receiver(receiving).unwrap();
    bob.add_receiver(audio_receiver()).unwrap();
    let (picture, key, sound) = (vp8(1, false, 5000), vp8(0, true, 5000), opus(1));
    let mut now = epoch();
    let mut memory = [0; 1500];
    let (mut packets, mut frames) = (0_u32, 0_u32);
    let mut run = |from: u32, to: u32| {
        for number in from..to {
            now += Duration::from_millis(20);
            let bytes = if number == 0 { &key } else { &picture };
            let frame = OutgoingFrame { bytes, timestamp: number * 1800, ..OutgoingFrame::default() };
            alice.sender(video).unwrap().send_frame(now, 0, &frame).unwrap();
            let frame = OutgoingFrame { bytes: &sound, timestamp: number * 960, ..OutgoingFrame::default() };
            alice.sender(audio).unwrap().send_frame(now, 0, &frame).unwrap();
            for _ in 0..3 {
                now += Duration::from_millis(6);
                alice.handle_timeout(now);
                bob.handle_timeout(now);
                loop {
                    let mut out = Writer::new(&mut memory);
                    if !alice.poll_rtp(now, &mut out) && !alice.poll_rtcp(now, &mut out) {
                        break;
                    }
                    let len = out.len();
                    packets += 1;
                    if is_rtcp(&memory[..len]) {
                        bob.handle_rtcp(now, &memory[..len]).unwrap();
                    } else if packets % 20 != 7 {
                        let packet = PacketMut::decode(&mut memory, len).unwrap();
                        let _ = bob.handle_rtp(now, None, packet);
                    }
                }
                for at in 0..2 {
                    let receiver = bob.receiver(ReceiverId(at)).unwrap();
                    while receiver.poll_frame(now).is_some() {
                        frames += 1;
                    }
                }
                loop {
                    let mut out = Writer::new(&mut memory);
                    if !bob.poll_rtcp(now, &mut out) {
                        break;
                    }
                    let len = out.len();
                    alice.handle_rtcp(now, &memory[..len]).unwrap();
                }
                while alice.poll_event(now).is_some() || bob.poll_event(now).is_some() {}
            }
        }
    };
    // Once as many packets are remembered as the limit, memory is used again.
    run(0, 1500);
    let info = measure(|| run(1500, 2000));
    assert!(frames > 3500 && packets > 10_000, "{frames} {packets}");
    assert_eq!(info.count_total, 0, "{info:?}");
}

/// The same with the rate controlled, by either feedback: estimate, probes, padding, allocator.
#[test]
fn a_rate_is_controlled_without_allocation() {
    for feedback in [TransportFeedback::TransportWide, TransportFeedback::Streams] {
        let (mut alice, mut bob) = (controlled(feedback), rtp("bob", 2));
        bob.set_feedback(true, feedback);
        let video = alice.add_sender(video_sender()).unwrap();
        bob.add_receiver(video_receiver()).unwrap();
        let claim = Claim { min: 1000, desired: 9_000_000, max: 9_000_000, priority: 1, required: true };
        assert!(alice.set_claim(Claimant::Stream(video, 0), Some(claim)));
        alice.set_padding(100_000);
        let picture = vp8(1, false, 5000);
        let mut now = epoch();
        let mut memory = [0; 1500];
        let mut padded = 0_u32;
        let mut run = |from: u32, to: u32| {
            for number in from..to {
                let frame =
                    OutgoingFrame { bytes: &picture, timestamp: number * 2970, ..OutgoingFrame::default() };
                // What a rate does not allow waits, up to the limit.
                let _ = alice.sender(video).unwrap().send_frame(now, 0, &frame);
                for _ in 0..33 {
                    now += Duration::from_millis(1);
                    alice.handle_timeout(now);
                    bob.handle_timeout(now);
                    loop {
                        let mut out = Writer::new(&mut memory);
                        if !alice.poll_rtp(now, &mut out) && !alice.poll_rtcp(now, &mut out) {
                            break;
                        }
                        let len = out.len();
                        let last = alice.sent().iter().next_back().unwrap();
                        padded += u32::from(last.kind == PacketKind::Padding);
                        if is_rtcp(&memory[..len]) {
                            bob.handle_rtcp(now, &memory[..len]).unwrap();
                        } else {
                            let packet = PacketMut::decode(&mut memory, len).unwrap();
                            let _ = bob.handle_rtp(now, None, packet);
                        }
                    }
                    while bob.receiver(ReceiverId(0)).unwrap().poll_frame(now).is_some() {}
                    let mut out = Writer::new(&mut memory);
                    if bob.poll_rtcp(now, &mut out) {
                        let len = out.len();
                        alice.handle_rtcp(now, &memory[..len]).unwrap();
                    }
                    while alice.poll_event(now).is_some() || bob.poll_event(now).is_some() {}
                }
            }
        };
        run(0, 1800);
        let info = measure(|| run(1800, 2000));
        assert!(padded > 10, "{padded}");
        assert!(alice.target().unwrap() > 1_000_000, "{:?}", alice.target());
        assert_eq!(info.count_total, 0, "{feedback:?} {info:?}");
    }
}

fn controlled(feedback: TransportFeedback) -> Rtp {
    let mut config = RtpConfig::new(clock(), "alice");
    config.reduced_size = true;
    config.feedback = feedback;
    config.control = Some(ControlConfig::default());
    Rtp::new(config, [1; 32])
}

#[test]
fn packets_are_forwarded_without_allocation() {
    forward_without_allocation(video_sender(), video_receiver());
}

#[test]
fn packets_are_forwarded_without_their_repair_and_without_allocation() {
    let (sending, receiving) = with_ulpfec();
    forward_without_allocation(sending, receiving);
}

fn forward_without_allocation(sending: SenderConfig, mut receiving: ReceiverConfig) {
    let (mut alice, mut middle) = (rtp("alice", 1), rtp("middle", 2));
    let has_repair = sending.red.is_some();
    let sending = alice.add_sender(sending).unwrap();
    receiving.output = Output::Packets;
    let incoming = middle.add_receiver(receiving).unwrap();
    let onward = middle.add_sender(video_sender()).unwrap();
    let theirs = extensions();
    let picture = vp8(1, false, 5000);
    let mut now = epoch();
    let mut memory = [0; 1500];
    let (mut forwarded, mut omitted) = (0, 0);
    let mut run = |from: u32, to: u32| {
        for number in from..to {
            now += Duration::from_millis(33);
            let frame =
                OutgoingFrame { bytes: &picture, timestamp: number * 3000, ..OutgoingFrame::default() };
            alice.sender(sending).unwrap().send_frame(now, 0, &frame).unwrap();
            loop {
                let mut out = Writer::new(&mut memory);
                if !alice.poll_rtp(now, &mut out) {
                    break;
                }
                let len = out.len();
                let packet = PacketMut::decode(&mut memory, len).unwrap();
                let (_, received) = middle.handle_rtp(now, None, packet).unwrap();
                while let Some((stream, number)) = middle.receiver(incoming).unwrap().poll_omitted() {
                    middle.sender(onward).unwrap().omit_rtp(now, 0, (stream.0, number));
                    omitted += 1;
                }
                let Received::Packet { stream, number, mut packet } = received else { continue };
                middle.forward(now, onward, 0, (stream.0, number), &mut packet, &theirs).unwrap();
                forwarded += 1;
            }
            let mut out = Writer::new(&mut memory);
            middle.poll_rtcp(now, &mut out);
        }
    };
    run(0, 2000);
    let info = measure(|| run(2000, 2500));
    assert!(forwarded > 5000 && (omitted > 2000) == has_repair);
    assert_eq!(info.count_total, 0, "{info:?}");
}

#[test]
fn a_transport_with_audio_and_video_that_is_idle_has_little_memory() {
    let info = measure(|| {
        let mut transport = rtp("idle", 1);
        transport.add_sender(video_sender()).unwrap();
        transport.add_sender(audio_sender()).unwrap();
        transport.add_receiver(video_receiver()).unwrap();
        transport.add_receiver(audio_receiver()).unwrap();
        std::mem::forget(transport);
    });
    println!("{} bytes", info.bytes_current);
    assert!(info.bytes_current < 8 * 1024, "{info:?}");
}
