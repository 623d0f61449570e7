//! Parameters of senders: read, changed, set (W3C WebRTC 1.0 §5.2), told to encoders, and heeded where they can be.
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

use std::sync::Arc;
use std::time::Duration;

use harness::{Two, config, near};
use session::{
    EncoderLimits, Event, FrameConfig, MediaKind, OutgoingFrame, Priority, ScalabilityMode, SendEncoding,
    TransceiverError, TransceiverId, TransceiverInit,
};

fn two() -> Two {
    let configs = [0, 1].map(|side| {
        let mut config = config(side);
        config.frames = Some(Arc::new(FrameConfig::default()));
        config
    });
    Two::with(configs, near())
}

fn connected(kinds: &[MediaKind]) -> (Two, Vec<TransceiverId>) {
    let mut two = two();
    let now = two.now();
    let ids = kinds.iter().map(|kind| two.session(0).add_track(now, *kind, vec![]).unwrap()).collect();
    two.negotiate(0);
    assert!(two.run(Duration::from_secs(20), Two::is_connected), "{}", two.reports());
    (two, ids)
}

fn vp8(number: u32, len: usize) -> Vec<u8> {
    let mut frame = vec![u8::from(number != 0), 0, 0];
    if number == 0 {
        frame.extend_from_slice(&[0x9d, 0x01, 0x2a, 64, 1, 180, 0]);
    }
    frame.resize(len, 1);
    frame
}

/// The last target rate of a stream, and what came with it.
fn last_rate(two: &Two, id: TransceiverId) -> Option<(u64, EncoderLimits)> {
    two.seen[0].iter().rev().find_map(|event| match event {
        Event::TargetRate { transceiver, bitrate, limits, .. } if *transceiver == id => {
            Some((*bitrate, *limits))
        }
        _ => None,
    })
}

#[test]
fn parameters_are_set_as_they_were_read_last_and_once() {
    let (mut two, ids) = connected(&[MediaKind::Video]);
    let (id, now) = (ids[0], two.now());
    let session = two.session(0);
    let first = session.sender_parameters(id).unwrap();
    assert_eq!(first.encodings.len(), 1);
    assert!(first.codecs.len() >= 4 && !first.header_extensions.is_empty() && !first.rtcp.cname.is_empty());
    assert!(first.rtcp.reduced_size);
    let second = session.sender_parameters(id).unwrap();
    assert_ne!(first.transaction_id(), second.transaction_id());
    assert_eq!(session.set_sender_parameters(now, id, first), Err(TransceiverError::Modified));
    // What cannot be changed: and nothing is, and it may be tried again.
    type Change = fn(&mut session::SendParameters);
    let wrong: [(Change, TransceiverError); 9] = [
        (|it| it.encodings.clear(), TransceiverError::Modified),
        (|it| it.encodings.push(SendEncoding::default()), TransceiverError::Modified),
        (|it| it.encodings[0] = SendEncoding::named("x").unwrap(), TransceiverError::Modified),
        (|it| it.codecs.swap(0, 1), TransceiverError::Modified),
        (|it| it.header_extensions.clear(), TransceiverError::Modified),
        (|it| it.rtcp.cname.push('x'), TransceiverError::Modified),
        (|it| it.encodings[0].scale_resolution_down_by = Some(0.99), TransceiverError::Range),
        (|it| it.encodings[0].scale_resolution_down_by = Some(f64::NAN), TransceiverError::Range),
        (|it| it.encodings[0].max_framerate = Some(-0.1), TransceiverError::Range),
    ];
    for (at, (change, expected)) in wrong.into_iter().enumerate() {
        let mut changed = second.clone();
        change(&mut changed);
        let refused = session.set_sender_parameters(now, id, changed).unwrap_err();
        assert_eq!(refused, expected, "{at}");
        assert!(["InvalidModificationError", "RangeError"].contains(&refused.name()));
    }
    let mut changed = second;
    changed.encodings[0].max_bitrate = Some(400_000);
    changed.encodings[0].scale_resolution_down_by = Some(1.0);
    session.set_sender_parameters(now, id, changed.clone()).unwrap();
    assert_eq!(session.transceiver(id).unwrap().encodings[0].wanted, changed.encodings[0]);
    let refused = session.set_sender_parameters(now, id, changed).unwrap_err();
    assert_eq!((refused, refused.name()), (TransceiverError::NotRead, "InvalidStateError"));
    // An exchange of descriptions that changes what is agreed upon outdates them.
    let before = session.sender_parameters(id).unwrap();
    let vp8 = session.media_config().codecs.iter().filter(|codec| codec.name == "VP8").cloned().collect();
    session.set_codec_preferences(id, vp8).unwrap();
    two.negotiate(0);
    let now = two.now();
    let session = two.session(0);
    assert_eq!(session.set_sender_parameters(now, id, before), Err(TransceiverError::Modified));
    assert_eq!(session.sender_parameters(id).unwrap().codecs.len(), 1);
    let received = two.session(1).transceivers().next().unwrap().0;
    assert_eq!(two.session(1).receiver_parameters(received).unwrap().codecs.len(), 1);
    // Nor of one that is stopped.
    let parameters = two.session(0).sender_parameters(id).unwrap();
    two.session(0).stop_transceiver(now, id).unwrap();
    let refused = two.session(0).set_sender_parameters(now, id, parameters);
    assert_eq!(refused, Err(TransceiverError::Stopped));
    two.negotiate(0);
    assert_eq!(two.session(0).sender_parameters(id), Err(TransceiverError::Stopped));
}

#[test]
fn layers_are_scaled_by_twos_unless_it_is_said_how() {
    let mut two = two();
    let now = two.now();
    let mut made = |kind: MediaKind, scales: &[Option<f64>]| {
        let mut init = TransceiverInit::default();
        init.send_encodings = scales
            .iter()
            .enumerate()
            .map(|(at, scale)| {
                let mut encoding = SendEncoding::named(&format!("l{at}")).unwrap();
                encoding.scale_resolution_down_by = *scale;
                encoding.max_framerate = scale.map(|_| 30.0);
                encoding
            })
            .collect();
        let id = two.session(0).add_transceiver(now, kind, init)?;
        let info = two.session(0).transceiver(id).unwrap();
        let encodings = info.encodings.iter();
        Ok(encodings.map(|it| it.wanted.scale_resolution_down_by).collect::<Vec<_>>())
    };
    let video = MediaKind::Video;
    assert_eq!(made(video, &[None, None, None]), Ok(vec![Some(4.0), Some(2.0), Some(1.0)]));
    assert_eq!(made(video, &[None, Some(3.0), None]), Ok(vec![Some(1.0), Some(3.0), Some(1.0)]));
    assert_eq!(made(video, &[Some(1.5)]), Ok(vec![Some(1.5)]));
    assert_eq!(made(video, &[None]), Ok(vec![Some(1.0)]));
    assert_eq!(made(video, &[Some(0.5)]), Err(TransceiverError::Range));
    // Audio has neither scale nor frames, even where they are wrong.
    assert_eq!(made(MediaKind::Audio, &[Some(0.5)]), Ok(vec![None]));
}

#[test]
fn encoders_are_told_of_limits_with_their_rate_and_when_they_change() {
    let (mut two, ids) = connected(&[MediaKind::Audio, MediaKind::Video]);
    let [audio, video] = [ids[0], ids[1]];
    let now = two.now();
    let frame = OutgoingFrame { bytes: &vp8(0, 500), ..OutgoingFrame::default() };
    two.session(0).write_frame(now, video, 0, &frame).unwrap();
    two.run(Duration::from_secs(1), |_| false);
    let limits = last_rate(&two, video).unwrap().1;
    assert_eq!((limits.max_framerate, limits.scale_resolution_down_by), (None, Some(1.0)));
    two.seen[0].clear();
    let mut parameters = two.session(0).sender_parameters(video).unwrap();
    parameters.encodings[0].max_framerate = Some(12.5);
    parameters.encodings[0].scale_resolution_down_by = Some(2.0);
    parameters.encodings[0].scalability_mode = ScalabilityMode::named("L1T3");
    let now = two.now();
    two.session(0).set_sender_parameters(now, video, parameters).unwrap();
    two.run(Duration::from_millis(100), |_| false);
    let (bitrate, limits) = last_rate(&two, video).unwrap();
    assert_eq!((limits.max_framerate, limits.scale_resolution_down_by), (Some(12.5), Some(2.0)));
    assert_eq!(limits.scalability_mode, ScalabilityMode::named("L1T3"));
    assert!(bitrate > 0);
    // Once, and nobody else.
    two.seen[0].clear();
    let mut parameters = two.session(0).sender_parameters(audio).unwrap();
    parameters.encodings[0].max_framerate = Some(1.0);
    let now = two.now();
    two.session(0).set_sender_parameters(now, audio, parameters).unwrap();
    two.run(Duration::from_millis(100), |_| false);
    assert!(!two.seen[0].iter().any(|event| matches!(
        event,
        Event::TargetRate { limits, .. } if limits.max_framerate == Some(1.0)
    )));
    assert_eq!(two.session(0).transceiver(audio).unwrap().encodings[0].wanted.max_framerate, None);
}

#[test]
fn priority_divides_what_is_scarce_and_network_priority_says_who_waits() {
    let (mut two, ids) = connected(&[MediaKind::Video, MediaKind::Video]);
    two.run(Duration::from_millis(300), |_| false);
    let rate = |two: &mut Two, id| {
        let now = two.now();
        let report = two.session(0).transceiver_statistics(now, id);
        report.iter().find_map(|(_, dictionary)| match dictionary {
            session::Dictionary::OutboundRtp(outbound) => outbound.target_bitrate,
            _ => None,
        })
    };
    let write = |two: &mut Two, id, number| {
        let now = two.now();
        let bytes = vp8(number, 12_000);
        let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..OutgoingFrame::default() };
        two.session(0).write_frame(now, id, 0, &frame).unwrap();
    };
    for id in [ids[0], ids[1]] {
        write(&mut two, id, 0);
    }
    two.run(Duration::from_millis(200), |_| false);
    let [one, other] = [ids[0], ids[1]].map(|id| rate(&mut two, id).unwrap());
    assert!(one.abs_diff(other) <= one / 10, "{one} {other}");
    let now = two.now();
    for (id, priority) in [(ids[0], Priority::VeryLow), (ids[1], Priority::High)] {
        let mut parameters = two.session(0).sender_parameters(id).unwrap();
        parameters.encodings[0].priority = priority;
        parameters.encodings[0].network_priority = priority;
        two.session(0).set_sender_parameters(now, id, parameters).unwrap();
    }
    // The next figures of the path divide it anew.
    for id in [ids[0], ids[1]] {
        write(&mut two, id, 1);
    }
    two.run(Duration::from_millis(300), |_| false);
    let [one, other] = [ids[0], ids[1]].map(|id| rate(&mut two, id).unwrap());
    assert!(other > one * 2, "eight times as important: {one} {other}");
    // Both have as much to send at once: the second has sent all of it when the first begins.
    let ssrcs = [ids[0], ids[1]].map(|id| two.session(0).transceiver(id).unwrap().encodings[0].ssrc);
    let host = two.hosts[0];
    harness::peer(&mut two.world, host).logs = true;
    for id in [ids[0], ids[1]] {
        write(&mut two, id, 2);
    }
    two.run(Duration::from_millis(500), |_| false);
    let log = std::mem::take(&mut harness::peer(&mut two.world, host).log);
    let order: Vec<usize> = log
        .iter()
        .filter(|(_, _, packet)| packet.len() > 600 && packet[0] >> 6 == 2)
        .filter_map(|(_, _, packet)| {
            let ssrc = u32::from_be_bytes(packet[8..12].try_into().unwrap());
            ssrcs.iter().position(|it| it.0 == ssrc)
        })
        .collect();
    assert!(order.len() >= 20, "{order:?}");
    assert!(order.is_sorted_by(|a, b| a >= b), "{order:?}");
}
