//! What comes of video inside of RED with ULPFEC between its frames.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use media::{Codec, Format, OutgoingFrame, Output, ReceiverConfig, RedConfig, Rtp, SenderConfig, StreamId};
use rtp::extension::Kind;
use support::red::{MEDIA, RED, RED_RTX, drain, is_repair, link, number, receiver, send, sender};
use support::{Call, deliver};
use testkit::epoch;

/// The share of frames from `from` on that came out.
fn share(call: &Call, from: u32, to: u32) -> f64 {
    let came = call.out[0].iter().filter_map(|out| out.number).filter(|number| (from..to).contains(number));
    f64::from(u32::try_from(came.count()).unwrap()) / f64::from(to - from)
}

#[test]
fn on_a_path_without_loss_nothing_is_missed() {
    let mut call = Call::new(&link(0.0, 30), 4);
    let video = call.alice.add_sender(sender(5)).unwrap();
    let id = call.bob.add_receiver(receiver()).unwrap();
    call.video(video, 0, 300, 5000);
    let sent = call.alice.sender(video).unwrap().stats(0).unwrap();
    let stats = call.bob.receiver(id).unwrap().stats(StreamId(0)).unwrap();
    assert!(share(&call, 0, 295) > 0.999);
    assert_eq!((stats.lost, stats.nack.nacks, stats.key_frame_requests, stats.recovered), (0, 0, 0, 0));
    assert_eq!((sent.nacks, sent.retransmitted_packets, sent.refused), (0, 0, 0));
    assert!(stats.repairs > 290 && stats.repairs + 5 > sent.repairs, "{stats:?}");
    // Reports count all packets of the source, repair among them (RFC 3550 §6.4.1).
    let (info, _) = call.bob.receiver(id).unwrap().sender_info(StreamId(0)).unwrap();
    assert!(info.packet_count > 1500, "{info:?}");
    let remote = call.alice.sender(video).unwrap().remote(0).unwrap();
    assert!(remote.count >= 8 && remote.block.fraction_lost == 0);
}

#[test]
fn repair_alone_recovers_what_is_lost() {
    // Two of a group are lost together the more often, and then a key frame is waited for.
    for (seed, loss, frames) in [(40, 0.02, 0.85), (50, 0.05, 0.4)] {
        let mut config = sender(3);
        (config.rtx, config.nack) = (None, false);
        let mut receiving = receiver();
        receiving.nack = false;
        let mut call = Call::new(&link(loss, 50), seed);
        let video = call.alice.add_sender(config).unwrap();
        let id = call.bob.add_receiver(receiving).unwrap();
        call.video(video, 0, 900, 5000);
        let stats = call.bob.receiver(id).unwrap().stats(StreamId(0)).unwrap();
        let share = share(&call, 300, 880);
        println!("{loss}: {share:.4} of frames, {stats:?}");
        let lost = f64::from(i32::try_from(stats.lost).unwrap());
        let recovered = f64::from(i32::try_from(stats.recovered).unwrap());
        assert!(recovered > 60.0 && stats.nack.nacks == 0);
        // Of those that are lost a quarter are repair themselves.
        assert!(recovered > lost * 0.55 && share > frames, "{share} {stats:?}");
    }
}

#[test]
fn repair_and_retransmissions_bring_frames_through_10_percent_loss() {
    for red_rtx in [None, Some(RED_RTX)] {
        let mut config = sender(5);
        config.red = Some(RedConfig { payload_type: RED, rtx: red_rtx });
        let mut call = Call::new(&link(0.1, 50), 60);
        let video = call.alice.add_sender(config).unwrap();
        let id = call.bob.add_receiver(receiver()).unwrap();
        call.video(video, 0, 900, 5000);
        let stats = call.bob.receiver(id).unwrap().stats(StreamId(0)).unwrap();
        let share = share(&call, 300, 870);
        println!("{red_rtx:?}: {share:.4} of frames, {stats:?}");
        assert!(share > 0.95, "{share} {stats:?}");
        assert!(stats.recovered > 100 && stats.retransmitted > 50 && stats.nack.repaired > 50, "{stats:?}");
        // Whole, and none put together of parts that do not belong together.
        for out in &call.out[0] {
            assert!(out.number.is_some_and(|number| number < 900), "{out:?}");
        }
    }
}

#[test]
fn repair_that_is_lost_between_two_pictures_delays_nothing_and_is_no_loss() {
    // Each picture has three of repair; of those any one is lost, and the next comes in its place.
    for lost in 0..3 {
        let mut alice = support::rtp("alice", 23);
        let id = alice.add_sender(sender(4)).unwrap();
        let mut bob = support::rtp("bob", 24);
        let to = bob.add_receiver(receiver()).unwrap();
        for number in 0..20 {
            send(&mut alice, id, number, 11_000);
            let sent = drain(&mut alice, epoch(), 1500);
            let mut repairs = 0;
            for mut bytes in sent {
                if is_repair(&bytes) {
                    repairs += 1;
                    if repairs == lost + 1 {
                        continue;
                    }
                }
                deliver(&mut bob, epoch(), &mut bytes);
            }
            assert_eq!(repairs, 3);
            assert!(bob.receiver(to).unwrap().poll_frame(epoch()).is_some(), "{number} without {lost}");
        }
        let stats = bob.receiver(to).unwrap().stats(StreamId(0)).unwrap();
        assert_eq!((stats.track.undecodable, stats.track.broken, stats.key_frame_requests), (0, 0, 0));
    }
}

/// Both ends with another codec, whose payload does not number its pictures.
fn of(codec: Codec, mut sends: SenderConfig, mut takes: ReceiverConfig) -> (SenderConfig, ReceiverConfig) {
    sends.codec = codec;
    for (payload_type, format) in &mut takes.formats {
        if *payload_type == MEDIA {
            *format = Format::Media(codec);
        }
    }
    for map in [&mut sends.extensions, &mut takes.extensions] {
        map.set(14, Kind::DependencyDescriptor).unwrap();
    }
    (sends, takes)
}

/// Sends twenty frames of so many packets each, with these numbers in dependency descriptors, whose repair is lost. Gives the numbers of
/// what was lost, but for the last one's, behind which nothing comes.
fn without_repair(
    sends: SenderConfig,
    packets: usize,
    bob: &mut Rtp,
    number_of: impl Fn(u16) -> Option<u16>,
    mut came: impl FnMut(&mut Rtp),
) -> Vec<u16> {
    let mut alice = support::rtp("alice", 25);
    let id = alice.add_sender(sends).unwrap();
    let (mut lost, mut of_last) = (Vec::new(), Vec::new());
    for frame in 0..20_u16 {
        lost.append(&mut of_last);
        let descriptor = number_of(frame).map(|number| {
            let [high, low] = number.to_be_bytes();
            [5, high, low]
        });
        let values = descriptor.as_ref().map(|value| (Kind::DependencyDescriptor, value.as_slice()));
        // A slice of a key frame of H.264, or a frame of whatever it is.
        let bytes = [&[0, 0, 0, 1, 0x65][..], &vec![0x88; packets * 1000 - 500]].concat();
        let frame = OutgoingFrame {
            bytes: &bytes,
            timestamp: u32::from(frame) * 3000,
            extensions: values.as_slice(),
            ..OutgoingFrame::default()
        };
        alice.sender(id).unwrap().send_frame(epoch(), 0, &frame).unwrap();
        let sent = drain(&mut alice, epoch(), 1500);
        assert!(sent.len() > packets);
        for mut bytes in sent {
            if is_repair(&bytes) {
                of_last.push(number(&bytes));
            } else {
                deliver(bob, epoch(), &mut bytes);
                came(bob);
            }
        }
    }
    lost
}

/// As libwebrtc leaves pictures unnumbered where the descriptor is agreed upon.
#[test]
fn lost_repair_is_told_from_lost_media_by_dependency_descriptors() {
    let numbered = |frame: u16| Some(frame.wrapping_sub(10));
    for (codec, packets) in
        [(Codec::H264, 1), (Codec::H264, 3), (Codec::OtherVideo { clock_rate: 90_000 }, 1)]
    {
        let frames = |number_of: &dyn Fn(u16) -> Option<u16>| {
            let (sends, takes) = of(codec, sender(1), receiver());
            let mut bob = support::rtp("bob", 26);
            let id = bob.add_receiver(takes).unwrap();
            let mut frames = 0;
            without_repair(sends, packets, &mut bob, number_of, |bob| {
                frames += u32::from(bob.receiver(id).unwrap().poll_frame(epoch()).is_some());
            });
            frames
        };
        assert_eq!(frames(&|frame| numbered(frame)), 20, "{codec:?} {packets}");
        assert!(frames(&|_| None) < 2, "what is missing is waited for");
        assert!(frames(&|frame| numbered(frame * 2)) < 2, "whole frames may be missing");
    }
}

#[test]
fn lost_repair_is_told_to_forwarders_by_dependency_descriptors() {
    let omitted = |packets, number_of: &dyn Fn(u16) -> Option<u16>| {
        let (sends, mut takes) = of(Codec::H264, sender(1), receiver());
        takes.output = Output::Packets;
        let mut bob = support::rtp("bob", 27);
        let id = bob.add_receiver(takes).unwrap();
        let mut omitted = Vec::new();
        let lost = without_repair(sends, packets, &mut bob, number_of, |bob| {
            let receiver = bob.receiver(id).unwrap();
            omitted.extend(std::iter::from_fn(|| receiver.poll_omitted()).map(|(_, number)| number & 0xffff));
        });
        (lost.into_iter().map(u64::from).collect::<Vec<_>>(), omitted)
    };
    for packets in [1, 3] {
        let (lost, told) = omitted(packets, &Some);
        assert_eq!(told, lost);
        assert_eq!(omitted(packets, &|_| None).1, []);
        assert_eq!(omitted(packets, &|frame| Some(frame * 2)).1, [], "whole frames may be missing");
    }
}
