//! Audio and video between two endpoints, by frames and by packets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    dead_code,
    reason = "a panic is how a test fails, and of the harness a part is used"
)]

mod harness;
#[path = "harness/media.rs"]
mod tracks;

use std::time::Duration;

use harness::{endpoint, negotiate};
use peerline::{
    Configuration, Direction, DtlsRole, Event, IceCredentials, IceRole, MediaConfig, MediaKind, Output,
    PeerCertificate, SectionParameters, SendMediaError, SenderRequest, ToneChange, Transceiver,
    TransceiverInit, TransportParameters,
};
use tracks::{linked, pump, two, vp8};

#[tokio::test]
async fn real_frames_come_out_as_they_went_in_and_key_frames_are_asked_for() {
    let mut two = two().await;
    let sender = two[0].0.add_track(MediaKind::Video, &["camera"]).unwrap();
    let theirs = linked(&mut two).recv().await.unwrap();
    assert_eq!(theirs.kind(), MediaKind::Video);
    assert_eq!(theirs.remote_streams(), ["camera"]);
    let pumping = tokio::spawn(pump(sender.clone()));
    let mut last = None;
    for _ in 0..30 {
        let frame = tokio::time::timeout(Duration::from_secs(10), theirs.recv()).await.unwrap().unwrap();
        let bytes = frame.bytes().unwrap().clone();
        let start = if frame.is_key() { 10 } else { 3 };
        let number = u32::from_be_bytes(bytes[start..start + 4].try_into().unwrap());
        assert_eq!(bytes, vp8(number));
        assert!(last.is_none_or(|last| number == last + 1), "{number} after {last:?}");
        last = Some(number);
    }
    let stream = {
        let frame = theirs.recv().await.unwrap();
        frame.stream
    };
    theirs.request_key_frame(stream);
    let asked = async {
        while !matches!(sender.next_request().await.unwrap(), SenderRequest::KeyFrame { encoding: 0 }) {}
    };
    tokio::time::timeout(Duration::from_secs(5), asked).await.unwrap();
    let sources = theirs.synchronization_sources();
    assert_eq!((sources.len(), sources[0].source), (1, sender.encodings()[0].ssrc));
    assert!(sources[0].age < Duration::from_secs(5) && sources[0].audio_level.is_none());
    assert!(theirs.contributing_sources().is_empty());
    let (stats, _) = sender.encoding_stats()[0];
    assert!(stats.frames >= 30);
    assert!(theirs.stream_stats()[0].2.packets >= 90);
    assert!(two[0].0.rtp_stats().unwrap().1.unwrap() > 0);
    // Stopped: both ends learn of it once they have agreed on that.
    sender.stop().unwrap();
    negotiate(&two[0].0, &two[1].0);
    tokio::time::timeout(Duration::from_secs(5), pumping).await.unwrap().unwrap();
    let rest = async { while theirs.recv().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(5), rest).await.unwrap();
}

#[tokio::test]
async fn real_tones_are_told_one_after_another_and_come_as_events() {
    let mut two = two().await;
    let phone = two[0].0.add_track(MediaKind::Audio, &[]).unwrap();
    assert!(!phone.can_insert_dtmf());
    let theirs = linked(&mut two).recv().await.unwrap();
    let (tone, gap) = (Duration::from_millis(100), Duration::from_millis(50));
    let connected = async {
        while !phone.can_insert_dtmf() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), connected).await.unwrap();
    phone.insert_dtmf("4#", tone, gap).unwrap();
    assert_eq!(phone.tone_buffer(), "4#");
    for expected in [ToneChange::Began('4'), ToneChange::Began('#'), ToneChange::Done] {
        let told = tokio::time::timeout(Duration::from_secs(5), phone.next_tone()).await.unwrap();
        assert_eq!(told, Some(expected));
    }
    let mut keys = Vec::new();
    let ends = async {
        while keys.len() < 2 {
            let frame = theirs.recv().await.unwrap();
            if let Some([key, 0x8a, ..]) = frame.bytes().map(|bytes| &bytes[..]) {
                keys.push(*key);
                keys.dedup();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), ends).await.unwrap();
    assert_eq!(keys, [4, 11]);
    two[0].0.close();
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), phone.next_tone()).await.unwrap(), None);
}

#[tokio::test]
async fn real_video_goes_over_a_connection_without_descriptions() {
    let [here, there] = [endpoint().await, endpoint().await];
    let mut camera = SectionParameters::new("cam", MediaKind::Video, &MediaConfig::default());
    camera.direction = Direction::SendOnly;
    let credentials = |name: &str| IceCredentials::new(name, "aPasswordThatBothHaveAgreedUpon").unwrap();
    let parameters = |side: usize, section: SectionParameters| {
        let (ice, dtls) =
            [(IceRole::Controlling, DtlsRole::Client), (IceRole::Controlled, DtlsRole::Server)][side];
        let [ours, theirs] = [["dial", "wait"], ["wait", "dial"]][side].map(credentials);
        let mut parameters = TransportParameters::new(ice, dtls, theirs, PeerCertificate::Any);
        (parameters.local, parameters.sections) = (Some(ours), vec![section]);
        parameters
    };
    let (bob, mut from_bob) =
        there.connect_without_sdp(Configuration::default(), parameters(1, camera.for_peer())).unwrap();
    let mut dial = parameters(0, camera.clone());
    dial.candidates = there.local_addresses().to_vec();
    let (alice, _from_alice) = here.connect_without_sdp(Configuration::default(), dial).unwrap();
    let track = async {
        loop {
            if let Some(Event::Track(transceiver)) = from_bob.next().await {
                break transceiver;
            }
        }
    };
    let shown = tokio::time::timeout(Duration::from_secs(10), track).await.unwrap();
    let source = alice.transceivers().remove(0);
    assert_eq!((source.mid().as_deref(), shown.mid().as_deref()), (Some("cam"), Some("cam")));
    tokio::spawn(pump(source.clone()));
    for _ in 0..10 {
        let frame = tokio::time::timeout(Duration::from_secs(10), shown.recv()).await.unwrap().unwrap();
        assert_eq!(frame.bytes().unwrap().len(), 3000);
    }
    // Parameters as they were read, changed and set; and set once.
    let mut wanted = source.parameters().unwrap();
    wanted.encodings[0].max_framerate = Some(15.0);
    source.set_parameters(wanted.clone()).unwrap();
    assert!(source.set_parameters(wanted).is_err());
    let told = async {
        loop {
            if let Some(SenderRequest::TargetRate { limits, .. }) = source.next_request().await
                && limits.max_framerate == Some(15.0)
            {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told).await.unwrap();
    assert!(!shown.receive_parameters().unwrap().codecs.is_empty());
    // Both agree that it is over.
    alice.set_sections(&[]).unwrap();
    bob.set_sections(&[]).unwrap();
    assert!(shown.recv().await.is_none() && bob.transceivers().is_empty());
}

#[tokio::test]
async fn real_packets_are_forwarded_from_one_connection_to_another() {
    // A camera, a room that forwards, and a viewer.
    let (mut camera, mut viewer) = (two().await, two().await);
    let source = camera[0].0.add_track(MediaKind::Video, &[]).unwrap();
    let incoming = linked(&mut camera).recv().await.unwrap();
    let mut init = TransceiverInit::default();
    init.direction = Direction::SendOnly;
    let outgoing = viewer[0].0.add_transceiver(MediaKind::Video, init).unwrap();
    let shown = linked(&mut viewer).recv().await.unwrap();
    incoming.set_output(Output::Both);
    let beside = incoming.clone();
    tokio::spawn(async move {
        while let Some(packet) = incoming.recv_rtp().await {
            let sent = outgoing.write_rtp(0, &packet);
            assert!(matches!(sent, Ok(()) | Err(SendMediaError::NotConnected)), "{sent:?}");
        }
    });
    tokio::spawn(pump(source));
    for _ in 0..45 {
        let frame = tokio::time::timeout(Duration::from_secs(10), shown.recv()).await.unwrap().unwrap();
        assert_eq!(frame.bytes().unwrap().len(), 3000);
        // Its frames come out here, too.
        let frame = tokio::time::timeout(Duration::from_secs(10), beside.recv()).await.unwrap().unwrap();
        assert_eq!(frame.bytes().unwrap().len(), 3000);
    }
}

/// What goes out under one payload type comes from a codec that another peer calls by another.
#[tokio::test]
async fn real_packets_are_forwarded_as_the_codec_that_they_are_of_or_not_at_all() {
    let (mut camera, mut viewer) = (two().await, two().await);
    let source = camera[0].0.add_track(MediaKind::Video, &[]).unwrap();
    let of = |track: &Transceiver, name: &str| {
        let mut codecs = track.codecs();
        codecs.retain(|codec| codec.name == name);
        codecs
    };
    source.set_codec_preferences(of(&source, "VP8")).unwrap();
    let incoming = linked(&mut camera).recv().await.unwrap();
    let mut init = TransceiverInit::default();
    init.direction = Direction::SendOnly;
    let [first, second] =
        [0, 1].map(|_| viewer[0].0.add_transceiver(MediaKind::Video, init.clone()).unwrap());
    // VP8 comes last; to the second it cannot go at all.
    let orders = [(&first, ["VP9", "H264", "VP8"].as_slice()), (&second, ["VP9", "H264"].as_slice())];
    for (track, order) in orders {
        track.set_codec_preferences(order.iter().flat_map(|name| of(track, name)).collect()).unwrap();
    }
    let shown = linked(&mut viewer).recv().await.unwrap();
    tokio::spawn(pump(source));
    let mut begins = Vec::new();
    let came = async {
        loop {
            let packet = incoming.recv_rtp().await.unwrap();
            assert_eq!((packet.rid, packet.payload_type().get()), (None, 96));
            begins.push(packet.begins_key_frame());
            assert_eq!(second.write_rtp(0, &packet), Err(SendMediaError::UnknownEncoding));
            match first.write_rtp(0, &packet) {
                Ok(()) if begins.len() > 100 => break,
                sent => assert!(matches!(sent, Ok(()) | Err(SendMediaError::NotConnected)), "{sent:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), came).await.unwrap();
    let keys = begins.iter().filter(|is_key| **is_key).count();
    assert!((1..=5).contains(&keys), "{keys} key frames in 100 packets, of which three are a frame");
    let frame = tokio::time::timeout(Duration::from_secs(10), shown.recv()).await.unwrap().unwrap();
    let negotiated = shown.negotiated().unwrap();
    let codec = negotiated.codec(frame.payload_type).unwrap();
    assert_eq!((codec.name.as_ref(), frame.bytes().unwrap().len()), ("VP8", 3000));
}

/// No description knows of it: nothing has to be agreed upon.
#[tokio::test]
async fn real_whoever_waits_for_one_that_was_never_offered_hears_at_once_that_it_is_stopped() {
    let (connection, _events) = endpoint().await.connect(Configuration::default()).unwrap();
    let track = connection.add_track(MediaKind::Video, &[]).unwrap();
    let waiting = {
        let track = track.clone();
        tokio::spawn(async move { track.next_request().await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    track.stop().unwrap();
    assert_eq!(tokio::time::timeout(Duration::from_secs(2), waiting).await.unwrap().unwrap(), None);
}
