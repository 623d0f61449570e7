//! Frames are seen and altered whole, at both ends: SFrame (RFC 9605) as an example, which encrypts them for the other end alone.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use media::{Codec, EncodedFrame, EncodedTransform, OutgoingFrame, SendError, StreamId, Tap};
use media::{FrameCipherSuite, FrameDecryptor, FrameDecryptorConfig, FrameEncryptor};
use proto::Instant;
use rtp::PacketMut;
use support::{Call, audio_receiver, audio_sender, video_receiver, video_sender, vp8};
use testkit::Link;

const SUITE: FrameCipherSuite = FrameCipherSuite::Aes128CtrHmacSha256_80;

fn encrypt(key: &[u8]) -> Option<Box<dyn EncodedTransform>> {
    Some(Box::new(FrameEncryptor::with_provider(crypto::rust_crypto(), SUITE, 7, key).unwrap()))
}

fn decrypt(key: &[u8]) -> (FrameDecryptor, Option<Box<dyn EncodedTransform>>) {
    let decryptor =
        FrameDecryptor::with_provider(crypto::rust_crypto(), SUITE, FrameDecryptorConfig::default());
    decryptor.add_key(7, key).unwrap();
    (decryptor.clone(), Some(Box::new(decryptor)))
}

/// What a server on the way would see.
#[derive(Debug, Default)]
struct Watch(Arc<Mutex<Vec<Vec<u8>>>>);

impl Tap for Watch {
    fn rtp_out(&mut self, _now: Instant, packet: &mut PacketMut<'_>) {
        self.0.lock().unwrap().push(packet.as_packet().payload().to_vec());
    }
}

fn link() -> Link {
    Link { delay: Duration::from_millis(20), ..Link::default() }
}

#[test]
fn audio_is_encrypted_from_end_to_end() {
    let mut call = Call::new(&link(), 5);
    let microphone = call.alice.add_sender(audio_sender()).unwrap();
    let loudspeaker = call.bob.add_receiver(audio_receiver()).unwrap();
    call.alice.sender(microphone).unwrap().set_transform(encrypt(b"a key of Alice's"));
    let (receiver, transform) = decrypt(b"a key of Alice's");
    call.bob.receiver(loudspeaker).unwrap().set_transform(transform);
    let watch = Watch::default();
    let seen = Arc::clone(&watch.0);
    call.alice.set_tap(Some(Box::new(watch)));
    call.audio(microphone, 0, 100);

    let numbers: Vec<_> = call.out[0].iter().filter_map(|out| out.number).collect();
    assert!(numbers.len() > 90 && numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
    assert_eq!(receiver.stats().forged, 0);
    let seen = seen.lock().unwrap();
    assert!(seen.len() >= 100);
    for payload in seen.iter() {
        // TOC, header, frame, tag: and nothing of the frame.
        assert_eq!(payload[0], 0xf8);
        assert!(payload.len() >= 80 + 1 + SUITE.tag_len());
        assert!(!payload.windows(8).any(|part| part == [0xf8; 8]));
    }
}

#[test]
fn video_is_encrypted_from_end_to_end() {
    let mut call = Call::new(&link(), 7);
    let camera = call.alice.add_sender(video_sender()).unwrap();
    let screen = call.bob.add_receiver(video_receiver()).unwrap();
    call.alice.sender(camera).unwrap().set_transform(encrypt(b"a key of Alice's"));
    let (_, transform) = decrypt(b"a key of Alice's");
    call.bob.receiver(screen).unwrap().set_transform(transform);
    let watch = Watch::default();
    let seen = Arc::clone(&watch.0);
    call.alice.set_tap(Some(Box::new(watch)));
    call.video(camera, 0, 60, 3000);

    let numbers: Vec<_> = call.out[0].iter().filter_map(|out| out.number).collect();
    assert!(numbers.len() >= 55 && numbers.iter().copied().eq(0..u32::try_from(numbers.len()).unwrap()));
    assert!(call.out[0][0].key);
    assert!(seen.lock().unwrap().iter().all(|payload| !payload.windows(8).any(|part| part == [0x55; 8])));
}

/// A frame that nobody can decrypt is as good as lost: audio is made up, and of video a key frame is asked for.
#[test]
fn what_cannot_be_decrypted_is_treated_as_lost_and_counted() {
    let mut call = Call::new(&link(), 9);
    let (microphone, camera) =
        (call.alice.add_sender(audio_sender()).unwrap(), call.alice.add_sender(video_sender()).unwrap());
    let (loudspeaker, screen) =
        (call.bob.add_receiver(audio_receiver()).unwrap(), call.bob.add_receiver(video_receiver()).unwrap());
    for sender in [microphone, camera] {
        call.alice.sender(sender).unwrap().set_transform(encrypt(b"a key of Alice's"));
    }
    let (audio, transform) = decrypt(b"another key");
    call.bob.receiver(loudspeaker).unwrap().set_transform(transform);
    let (video, transform) = decrypt(b"another key");
    call.bob.receiver(screen).unwrap().set_transform(transform);
    call.audio(microphone, 0, 50);
    call.video(camera, 0, 30, 3000);

    let track = |call: &mut Call, id| call.bob.receiver(id).unwrap().stats(StreamId(0)).unwrap().track;
    let (heard, shown) = (track(&mut call, loudspeaker), track(&mut call, screen));
    assert!(heard.refused > 40 && heard.frames == 0, "{heard:?}");
    assert!(call.out[0].iter().all(|out| out.number.is_none()));
    assert!(call.out[0].iter().filter(|out| out.concealed == 960).count() > 40);
    assert!(shown.refused >= 1 && shown.frames == 0 && call.out[1].is_empty(), "{shown:?}");
    assert!(audio.stats().forged > 40 && video.stats().forged >= 1);

    // With the right key the next key frame is shown, which was asked for long ago.
    video.add_key(7, b"a key of Alice's").unwrap();
    call.video(camera, 30, 60, 3000);
    assert!(call.out[1].len() > 20 && call.out[1][0].key, "{:?}", call.out[1].len());
}

#[derive(Debug)]
struct Refuse(Vec<(u32, Codec)>);

impl EncodedTransform for Refuse {
    fn transform(&mut self, frame: &EncodedFrame, bytes: &mut Vec<u8>) -> bool {
        self.0.push((frame.stream, frame.codec));
        bytes.clear();
        false
    }
}

#[test]
fn a_sender_is_told_what_its_transform_has_left_out() {
    let mut call = Call::new(&link(), 11);
    let camera = call.alice.add_sender(video_sender()).unwrap();
    let now = call.now;
    let sender = call.alice.sender(camera).unwrap();
    sender.set_transform(Some(Box::new(Refuse(Vec::new()))));
    let bytes = vp8(0, true, 3000);
    let frame = OutgoingFrame { bytes: &bytes, ..OutgoingFrame::default() };
    assert_eq!(sender.send_frame(now, 0, &frame), Err(SendError::Refused));
    assert_eq!(sender.send_frame(now, 1, &frame), Err(SendError::UnknownEncoding));
    assert_eq!(sender.stats(0).unwrap().frames, 0);
    sender.set_transform(None);
    assert_eq!(sender.send_frame(now, 0, &frame), Ok(()));
    assert_eq!(sender.stats(0).unwrap().frames, 1);
}
