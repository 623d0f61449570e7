//! What comes of one connection goes out by others, without the program.
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
#[path = "harness/wire.rs"]
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use harness::endpoint;
use peerline::{
    Codec, Configuration, Direction, Endpoint, MAX_VIEWERS, MediaConfig, MediaKind, OutgoingFrame,
    SendEncoding, SenderRequest, Transceiver, TransceiverInit,
};
use tracks::{Two, linked, pump, pump_filled, two, two_at, vp8};
use wire::Wire;

/// One that sends and one that shows, at other endpoints than the camera's.
async fn viewer() -> (Two, Transceiver, Transceiver) {
    viewer_of(two().await).await
}

async fn viewer_of(mut viewer: Two) -> (Two, Transceiver, Transceiver) {
    let mut init = TransceiverInit::default();
    init.direction = Direction::SendOnly;
    let outgoing = viewer[0].0.add_transceiver(MediaKind::Video, init).unwrap();
    let shown = linked(&mut viewer).recv().await.unwrap();
    (viewer, outgoing, shown)
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    harness::within(20, what, future).await
}

/// A camera of another endpoint's, whose frames end with this byte, and what comes of it here.
async fn camera(fill: u8) -> (Two, Transceiver, Transceiver) {
    let mut camera = two().await;
    let source = camera[0].0.add_track(MediaKind::Video, &[]).unwrap();
    let incoming = linked(&mut camera).recv().await.unwrap();
    tokio::spawn(pump_filled(source.clone(), fill));
    (camera, source, incoming)
}

#[tokio::test]
async fn real_what_comes_goes_out_by_others_with_no_task_between() {
    let mut camera = two().await;
    let source = camera[0].0.add_track(MediaKind::Video, &[]).unwrap();
    let incoming = linked(&mut camera).recv().await.unwrap();
    let asked = source.clone();
    tokio::spawn(pump(source));
    let (_first, outgoing, shown) = viewer().await;
    let (second, other_outgoing, other_shown) = viewer().await;
    let audio = second[0].0.add_track(MediaKind::Audio, &[]).unwrap();
    assert!(incoming.forward_to(&audio).is_err(), "video is no audio");
    incoming.forward_to(&outgoing).unwrap();
    incoming.forward_to(&other_outgoing).unwrap();
    for shown in [&shown, &other_shown] {
        for _ in 0..45 {
            let frame = within("a frame", shown.recv()).await.unwrap();
            assert_eq!(frame.bytes().unwrap().len(), 3000);
        }
    }
    // Whoever has just begun to watch needs a key frame, and so does one that asks for it.
    let stream = shown.recv().await.unwrap().stream;
    while !matches!(within("the first", asked.next_request()).await, Some(SenderRequest::KeyFrame { .. })) {}
    tokio::time::sleep(Duration::from_millis(600)).await;
    shown.request_key_frame(stream);
    while !matches!(within("another", asked.next_request()).await, Some(SenderRequest::KeyFrame { .. })) {}
    // To one it ends, and to the other it goes on.
    incoming.stop_forwarding_to(&outgoing);
    let rest = async { while shown.recv().await.is_some() {} };
    assert!(tokio::time::timeout(Duration::from_secs(1), rest).await.is_err(), "it is not stopped itself");
    let sent = outgoing.encoding_stats()[0].0.frames;
    for _ in 0..30 {
        within("a frame of the other", other_shown.recv()).await.unwrap();
    }
    assert_eq!(outgoing.encoding_stats()[0].0.frames, sent);
    assert_eq!(incoming.not_forwarded(), 0);
}

/// The lower layer has 1,000 bytes in a frame and 240 kbit/s, the higher 3,000 and 720 kbit/s.
#[tokio::test]
async fn real_of_the_layers_of_simulcast_the_highest_that_the_path_carries_goes_out() {
    let mut camera = two().await;
    let mut init = TransceiverInit::default();
    init.send_encodings = ["l", "h"].map(|rid| SendEncoding::named(rid).unwrap()).to_vec();
    let source = camera[0].0.add_transceiver(MediaKind::Video, init).unwrap();
    let incoming = linked(&mut camera).recv().await.unwrap();
    let (_viewer, outgoing, shown) = viewer().await;
    incoming.forward_to(&outgoing).unwrap();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(33));
        let mut wanted = [true; 2];
        for number in 0_u32.. {
            ticks.tick().await;
            while let Ok(request) = tokio::time::timeout(Duration::ZERO, source.next_request()).await {
                if let Some(SenderRequest::KeyFrame { encoding }) = request {
                    wanted[encoding] = true;
                }
            }
            for (encoding, wanted) in wanted.iter_mut().enumerate() {
                let mut bytes = vp8(if *wanted { 0 } else { 1 });
                bytes.truncate([1000, 3000][encoding]);
                let frame =
                    OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..OutgoingFrame::default() };
                *wanted &= source.write_frame(encoding, &frame).is_err();
            }
        }
    });
    let (mut last, mut changes) = (0, Vec::new());
    while changes.last() != Some(&3000) {
        let frame = within("a frame", shown.recv()).await.unwrap();
        let len = frame.bytes().unwrap().len();
        if len != last {
            assert!(frame.is_key(), "from {last} to {len} bytes");
            changes.push(len);
        }
        last = len;
    }
    assert_eq!(changes, [1000, 3000]);
    let layers = incoming.layers();
    let rids: Vec<_> = layers.iter().map(|layer| layer.rid.unwrap().as_bytes().to_vec()).collect();
    assert_eq!(rids, [b"l", b"h"]);
    assert!(layers[0].bitrate < layers[1].bitrate, "{layers:?}");
    let forwarded = outgoing.forwarded().unwrap();
    assert_eq!(forwarded.stream, Some(layers[1].stream));
    assert!(forwarded.target.unwrap() >= layers[1].bitrate, "{forwarded:?} {layers:?}");
    for _ in 0..60 {
        assert_eq!(within("a frame", shown.recv()).await.unwrap().bytes().unwrap().len(), 3000);
    }
}

#[tokio::test]
async fn real_as_many_others_forward_as_the_limit_and_not_one_more() {
    let endpoint = endpoint().await;
    let track = || {
        let (connection, _) = endpoint.connect(Configuration::default()).unwrap();
        connection.add_track(MediaKind::Video, &[]).unwrap()
    };
    let camera = track();
    let viewers: Vec<_> = (0..MAX_VIEWERS).map(|_| track()).collect();
    viewers.iter().for_each(|viewer| camera.forward_to(viewer).unwrap());
    camera.forward_to(&viewers[0]).expect("it is one of them");
    let late = track();
    assert!(camera.forward_to(&late).is_err());
    // One that is stopped makes room, and so do those that have gone.
    viewers[1].stop().unwrap();
    camera.forward_to(&late).unwrap();
    camera.stop_forwarding_to(&late);
    drop(viewers);
    camera.forward_to(&late).unwrap();
}

/// Streams of two connections have the same numbers: what tells them apart is from where they come.
#[tokio::test]
async fn real_a_source_that_is_replaced_gives_nothing_more_and_the_stream_goes_on() {
    let (_one, _, first) = camera(7).await;
    let (_other, _, second) = camera(9).await;
    let (_viewer, outgoing, shown) = viewer().await;
    let mut last = None;
    for (from, fill) in [(&first, 7), (&second, 9), (&first, 7)] {
        from.forward_to(&outgoing).unwrap();
        let mut count = 0;
        // A second: if both were sent, both would come.
        while count < 90 {
            let packet = within("a packet", shown.recv_rtp()).await.unwrap();
            assert!(last.is_none_or(|last| packet.number == last + 1), "{} after {last:?}", packet.number);
            last = Some(packet.number);
            let is_new = packet.bytes().last() == Some(&fill);
            assert!(is_new || count == 0, "one of the source that was replaced, after {count} of {fill}");
            assert!(count > 0 || !is_new || packet.begins_key_frame(), "it begins in the middle");
            count += u32::from(is_new);
        }
    }
    // Who is not forwarded any more measures nothing, and gives frames again.
    assert!(second.layers().is_empty());
    within("a frame", second.recv()).await.unwrap();
}

#[tokio::test]
async fn real_what_is_stopped_is_not_forwarded_and_its_viewers_hear_of_it() {
    let (cameras, source, incoming) = camera(7).await;
    let (viewers, outgoing, shown) = viewer().await;
    incoming.forward_to(&outgoing).unwrap();
    let stream = within("a frame", shown.recv()).await.unwrap().stream;
    assert!(outgoing.forwarded().unwrap().stream.is_some());
    // One that forwards is stopped: it is as if it had been taken back.
    let late = viewers[0].0.add_track(MediaKind::Video, &[]).unwrap();
    incoming.forward_to(&late).unwrap();
    late.stop().unwrap();
    assert!(late.forwarded().is_none() && incoming.forward_to(&late).is_err());
    // The camera is stopped, as its peer learns: what the viewer wants is the program's again.
    source.stop().unwrap();
    harness::negotiate(&cameras[0].0, &cameras[1].0);
    let ended = async {
        while outgoing.forwarded().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within("the end", ended).await;
    assert!(incoming.forward_to(&outgoing).is_err(), "it is stopped");
    let mut told = [false; 2];
    shown.request_key_frame(stream);
    while told != [true; 2] {
        match within("what is wanted", outgoing.next_request()).await {
            Some(SenderRequest::KeyFrame { .. }) => told[0] = true,
            Some(SenderRequest::TargetRate { .. }) => told[1] = true,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn real_a_viewer_goes_with_its_connection_and_a_source_likewise() {
    let (cameras, _, incoming) = camera(7).await;
    let (viewers, outgoing, shown) = viewer().await;
    let (_second, other_outgoing, other_shown) = viewer().await;
    incoming.forward_to(&outgoing).unwrap();
    incoming.forward_to(&other_outgoing).unwrap();
    within("a frame", shown.recv()).await.unwrap();
    viewers[0].0.close();
    within("the close", viewers[0].0.closed()).await;
    assert!(outgoing.forwarded().is_none());
    within("a frame of the other", other_shown.recv()).await.unwrap();
    assert!(other_outgoing.forwarded().is_some());
    cameras[1].0.close();
    within("the close", cameras[1].0.closed()).await;
    let ended = async {
        while other_outgoing.forwarded().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within("the end", ended).await;
}

#[tokio::test]
async fn real_frames_come_beside_what_is_forwarded_where_they_are_fetched() {
    let (_camera, _, incoming) = camera(7).await;
    let (_viewer, outgoing, shown) = viewer().await;
    incoming.forward_to(&outgoing).unwrap();
    for _ in 0..10 {
        within("a frame that is forwarded", shown.recv()).await.unwrap();
        within("a frame beside it", incoming.recv()).await.unwrap();
    }
    incoming.stop_forwarding_to(&outgoing);
    for _ in 0..10 {
        within("a frame afterwards", incoming.recv()).await.unwrap();
    }
}

/// An endpoint whose wire can lose what is sent.
async fn lossy() -> (Endpoint, Arc<Wire>) {
    let wire = Arc::new(Wire::single());
    (Endpoint::builder().transport(wire.clone()).bind().await.unwrap(), wire)
}

/// VP8, with ULPFEC inside of RED or without.
fn speaking_vp8(has_repair: bool) -> Configuration {
    let mut media = MediaConfig::default();
    media.codecs.retain(|codec| codec.name == "VP8");
    media.codecs.extend(Codec::ulpfec().into_iter().flatten().filter(|_| has_repair));
    let mut configuration = Configuration::default();
    configuration.media = Some(Arc::new(media));
    configuration
}

/// Two viewers: by one the connection forwards, by the other the program does.
#[tokio::test]
async fn real_viewers_do_not_miss_repair_that_is_for_the_forwarder_alone() {
    let (endpoint_of_camera, first_leg) = lossy().await;
    let mut camera = two_at([endpoint_of_camera, endpoint().await], &speaking_vp8(true));
    let source = camera[0].0.add_track(MediaKind::Video, &[]).unwrap();
    let incoming = linked(&mut camera).recv().await.unwrap();
    let (room, second_leg) = lossy().await;
    let plain = speaking_vp8(false);
    let mut viewers = Vec::new();
    for _ in 0..2 {
        viewers.push(viewer_of(two_at([room.clone(), endpoint().await], &plain)).await);
    }
    incoming.forward_to(&viewers[0].1).unwrap();
    let (taken, by_program) = (incoming.clone(), viewers[1].1.clone());
    tokio::spawn(async move {
        let mut has_begun = false;
        while let Some(packet) = taken.recv_rtp().await {
            has_begun |= packet.begins_key_frame();
            if has_begun {
                let _ = by_program.write_rtp(0, &packet);
            }
        }
    });
    tokio::spawn(pump(source));
    for one_in in [None, Some(17)] {
        let mut numbers = [BTreeSet::new(), BTreeSet::new()];
        for (numbers, (_, _, shown)) in numbers.iter_mut().zip(&viewers) {
            // The first ones may have been sent before the viewer was there.
            within("a packet", shown.recv_rtp()).await.unwrap();
            first_leg.lose(one_in);
            second_leg.lose(one_in);
            while numbers.len() < 200 {
                numbers.insert(within("a packet", shown.recv_rtp()).await.unwrap().number);
            }
        }
        first_leg.lose(None);
        second_leg.lose(None);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let repairs = incoming.stream_stats()[0].2.repairs;
        assert!(repairs > 20, "{repairs}");
        for (numbers, (_, outgoing, shown)) in numbers.iter_mut().zip(&viewers) {
            // What was missing at the end comes behind others.
            while let Ok(packet) = tokio::time::timeout(Duration::ZERO, shown.recv_rtp()).await {
                numbers.insert(packet.unwrap().number);
            }
            let (first, last) = (*numbers.first().unwrap(), *numbers.last().unwrap());
            let gaps: Vec<u64> = (first..last).filter(|number| !numbers.contains(number)).collect();
            let nack = shown.stream_stats()[0].2.nack;
            let refused = outgoing.encoding_stats()[0].0.refused;
            println!("{one_in:?}: {} packets, {nack:?}, {refused} refused, gaps {gaps:?}", numbers.len());
            if one_in.is_none() {
                assert_eq!((gaps.len(), nack.missing, refused), (0, 0, 0), "{gaps:?}");
            } else {
                // Of repair that was lost beside media an empty packet takes the place, which is none to be read here.
                assert!(gaps.len() <= 2 && nack.missing > 10, "{gaps:?} {nack:?}");
            }
        }
    }
}
