//! Frames that are encrypted from end to end, through a session that forwards them (RFC 9605).
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
    Content, Direction, FrameCipherSuite, FrameConfig, FrameDecryptor, FrameEncryptor, MediaKind,
    OutgoingFrame, Output, SendMediaError, SharedPackets, TransceiverError, TransceiverId,
};

const SUITE: FrameCipherSuite = FrameCipherSuite::Aes128GcmSha256_128;

fn connected(kinds: &[MediaKind]) -> (Two, Vec<[TransceiverId; 2]>) {
    let configs = [0, 1].map(|side| {
        let mut config = config(side);
        config.frames = Some(Arc::new(FrameConfig::default()));
        config
    });
    let mut two = Two::with(configs, near());
    let now = two.now();
    let ids: Vec<_> = kinds
        .iter()
        .map(|kind| [0, 1].map(|side| two.session(side).add_track(now, *kind, vec![]).unwrap()))
        .collect();
    two.negotiate(0);
    assert!(two.run(Duration::from_secs(20), Two::is_connected), "{}", two.reports());
    (two, ids)
}

/// A frame of VP8 full of one byte.
fn vp8(number: u32) -> Vec<u8> {
    harness::vp8(number, 2500, SECRET)
}

fn opus(number: u32) -> Vec<u8> {
    let mut frame = vec![SECRET; 40];
    frame[0] = 0xf8;
    frame[1..5].copy_from_slice(&number.to_be_bytes());
    frame
}

const SECRET: u8 = 0xa7;

/// Whether eight bytes in a row are the secret one: in plain frames they are.
fn shows(bytes: &[u8]) -> bool {
    bytes.windows(8).any(|part| part == [SECRET; 8])
}

/// What came of a transceiver, and how many gaps were told.
fn read(two: &mut Two, id: TransceiverId, frames: &mut Vec<Vec<u8>>) {
    let now = two.now();
    while let Some(frame) = two.session(1).poll_frame(now, id) {
        if let Content::Media { bytes, .. } = frame.content {
            frames.push(bytes.to_vec());
        }
    }
}

#[test]
fn frames_come_through_a_server_that_cannot_read_them() {
    let kinds = [MediaKind::Audio, MediaKind::Video];
    // Alice and the room; the room and Bob.
    let (mut up, from) = connected(&kinds);
    let (mut down, to) = connected(&kinds);
    // One key for both streams of Alice's.
    let encryptor = FrameEncryptor::new(SUITE, 5, b"agreed upon by Alice and Bob").unwrap();
    let decryptor = FrameDecryptor::new(SUITE);
    decryptor.add_key(5, b"agreed upon by Alice and Bob").unwrap();
    let mut came = [Vec::new(), Vec::new()];
    let (mut forwarded, mut packets) = (0, SharedPackets::default());
    for at in 0..2 {
        assert!(up.session(1).set_output(from[at][1], Output::Packets));
        up.session(0).set_send_transform(from[at][0], Some(Box::new(encryptor.clone()))).unwrap();
        down.session(1).set_receive_transform(to[at][1], Some(Box::new(decryptor.clone()))).unwrap();
    }
    for step in 0..300 {
        let now = up.now();
        if step % 3 == 0 {
            let number = step / 3;
            for (id, bytes, rate) in [(from[0][0], opus(number), 48), (from[1][0], vp8(number), 90)] {
                let frame = OutgoingFrame {
                    bytes: &bytes,
                    timestamp: number * 30 * rate,
                    ..OutgoingFrame::default()
                };
                up.session(0).write_frame(now, id, 0, &frame).unwrap();
            }
        }
        up.run(Duration::from_millis(10), |_| false);
        for (id, number, packet) in std::mem::take(&mut up.peer(1).packets) {
            assert!(!shows(&packet), "the room sees what is in a frame");
            let at = from.iter().position(|ids| ids[1] == id).unwrap();
            let theirs = up.session(1).transceiver(id).unwrap().negotiated.unwrap().extensions.clone();
            let now = down.now();
            let packet = packets.share(&packet, &theirs).unwrap();
            down.session(0).forward_rtp(now, to[at][0], 0, (1, number), &packet).unwrap();
            forwarded += 1;
        }
        down.run(Duration::from_millis(10), |_| false);
        for at in 0..2 {
            read(&mut down, to[at][1], &mut came[at]);
        }
    }
    let [audio, video] = came;
    assert!(audio.len() >= 90 && video.len() >= 90 && forwarded >= 390, "{} {}", audio.len(), video.len());
    let follow = |frames: &[Vec<u8>], make: fn(u32) -> Vec<u8>| {
        let first = (0..100).position(|number| make(number) == frames[0]).unwrap();
        frames.iter().zip(first..).all(|(frame, number)| *frame == make(u32::try_from(number).unwrap()))
    };
    assert!(follow(&audio, opus) && follow(&video, vp8));
    let stats = decryptor.stats();
    assert_eq!((stats.forged, stats.unknown_key, stats.malformed), (0, 0, 0));
    assert_eq!(stats.decrypted, (audio.len() + video.len()) as u64);
}

#[test]
fn what_cannot_be_decrypted_is_counted_and_not_delivered_and_the_next_key_is_taken() {
    let (mut two, ids) = connected(&[MediaKind::Video]);
    let [ours, theirs] = ids[0];
    let encryptor = FrameEncryptor::new(SUITE, 1, b"the first key").unwrap();
    let decryptor = FrameDecryptor::new(SUITE);
    decryptor.add_key(1, b"the first key").unwrap();
    two.session(0).set_send_transform(ours, Some(Box::new(encryptor.clone()))).unwrap();
    two.session(1).set_receive_transform(theirs, Some(Box::new(decryptor.clone()))).unwrap();
    let mut came = Vec::new();
    let send = |two: &mut Two, numbers: std::ops::Range<u32>, came: &mut Vec<Vec<u8>>| {
        for number in numbers {
            let (now, bytes) = (two.now(), vp8(number));
            let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..OutgoingFrame::default() };
            two.session(0).write_frame(now, ours, 0, &frame).unwrap();
            two.run(Duration::from_millis(33), |_| false);
            read(two, theirs, came);
        }
    };
    send(&mut two, 0..30, &mut came);
    assert!(came.len() >= 28, "{}", came.len());
    encryptor.set_key(2, b"the second key").unwrap();
    came.clear();
    send(&mut two, 30..60, &mut came);
    assert!(came.len() <= 2, "only what was under way is shown");
    let refused = |two: &mut Two| two.session(1).stream_stats(theirs)[0].1.track.refused;
    let before = refused(&mut two);
    assert!(before >= 1 && decryptor.stats().unknown_key == before);
    decryptor.add_key(2, b"the second key").unwrap();
    send(&mut two, 60..90, &mut came);
    assert!(came.len() >= 28 && came.last().unwrap() == &vp8(89) || came.last().unwrap() == &vp8(88));
    // An exchange of descriptions that replaces the machines leaves the transforms where they are.
    let now = two.now();
    two.session(0).add_track(now, MediaKind::Audio, vec![]).unwrap();
    two.negotiate(0);
    assert!(
        two.session(1).set_output(theirs, Output::Packets)
            && two.session(1).set_output(theirs, Output::Frames)
    );
    came.clear();
    send(&mut two, 90..150, &mut came);
    assert!(came.len() >= 28 && came.iter().all(|frame| shows(frame)), "{}", came.len());
    // Without the one at the other end nobody can read it: Opus and VP8 keep their begins, and the rest is noise.
    two.session(1).set_receive_transform(theirs, None).unwrap();
    came.clear();
    send(&mut two, 150..160, &mut came);
    assert!(!came.is_empty() && !came.iter().any(|frame| shows(frame)));
    // A stopped one takes none.
    let now = two.now();
    two.session(0).stop_transceiver(now, ours).unwrap();
    two.negotiate(0);
    assert_eq!(two.session(0).set_send_transform(ours, None), Err(TransceiverError::Stopped));
}

#[test]
fn a_frame_that_the_transform_leaves_out_is_told_to_whoever_wrote_it() {
    let (mut two, _) = connected(&[MediaKind::Audio]);
    let now = two.now();
    let h264 =
        two.session(0).media_config().codecs.iter().find(|codec| codec.name == "H264").unwrap().clone();
    let id = two.session(0).add_track(now, MediaKind::Video, vec![]).unwrap();
    two.session(0).set_codec_preferences(id, vec![h264]).unwrap();
    two.session(0).set_direction(now, id, Direction::SendOnly).unwrap();
    // It is kept until there is something that sends.
    let encryptor = FrameEncryptor::new(SUITE, 1, b"a key").unwrap();
    two.session(0).set_send_transform(id, Some(Box::new(encryptor))).unwrap();
    two.negotiate(0);
    let now = two.now();
    // Parameter sets that go alone.
    let frame = OutgoingFrame { bytes: &[0, 0, 0, 1, 0x67, 1, 2], ..OutgoingFrame::default() };
    assert_eq!(two.session(0).write_frame(now, id, 0, &frame), Err(SendMediaError::LeftOut));
    two.session(0).set_send_transform(id, None).unwrap();
    assert_eq!(two.session(0).write_frame(now, id, 0, &frame), Ok(()));
    two.session(0).close(now);
    let over = two.session(0).write_frame(now, id, 0, &frame);
    assert_eq!(over, Err(SendMediaError::Stopped), "whoever writes until then comes to an end");
}
