//! `RTCRtpSender`: getParameters and setParameters, and the encodings of addTransceiver.

use session::{
    Codec, MediaKind, PayloadType, ScalabilityMode, SendEncoding, SendParameters, TransceiverError,
    TransceiverInit,
};
use testkit::epoch;

use crate::both;
use crate::harness::exchange::{lines, negotiate};

fn with(encodings: Vec<SendEncoding>) -> TransceiverInit {
    let mut init = TransceiverInit::default();
    init.send_encodings = encodings;
    init
}

fn changed(change: impl FnOnce(&mut SendEncoding)) -> SendEncoding {
    let mut encoding = SendEncoding::default();
    change(&mut encoding);
    encoding
}

#[test]
fn without_encodings_there_is_one_that_is_sent_whole() {
    let [mut a, _] = both();
    for (kind, scale) in [(MediaKind::Audio, None), (MediaKind::Video, Some(1.0))] {
        for init in [TransceiverInit::default(), with(vec![SendEncoding::default()])] {
            let id = a.add_transceiver(epoch(), kind, init).unwrap();
            let read = a.sender_parameters(id).unwrap();
            assert_eq!(read.encodings, [changed(|it| it.scale_resolution_down_by = scale)]);
            assert!(!read.encodings[0].is_paused);
            // Nothing is agreed upon yet.
            assert!(read.codecs.is_empty() && read.header_extensions.is_empty());
            assert!(!read.rtcp.cname.is_empty() && !read.rtcp.reduced_size);
            let received = a.receiver_parameters(id).unwrap();
            assert!(received.codecs.is_empty() && received.rtcp.cname.is_empty());
        }
    }
}

#[test]
fn encodings_are_read_as_they_were_given_and_a_lone_one_has_no_name() {
    let [mut a, _] = both();
    let mut given: Vec<SendEncoding> = ["a", "b1", "0"].map(|rid| SendEncoding::named(rid).unwrap()).to_vec();
    given[0].is_paused = true;
    given[1].max_bitrate = Some(8);
    given[2].max_framerate = Some(25.0);
    given.iter_mut().for_each(|it| it.scale_resolution_down_by = Some(2.5));
    let id = a.add_transceiver(epoch(), MediaKind::Video, with(given.clone())).unwrap();
    assert_eq!(a.sender_parameters(id).unwrap().encodings, given);
    let lone = SendEncoding::named("foo").unwrap();
    for kind in [MediaKind::Audio, MediaKind::Video] {
        let [mut a, _] = both();
        let id = a.add_transceiver(epoch(), kind, with(vec![lone.clone()])).unwrap();
        assert_eq!(a.sender_parameters(id).unwrap().encodings[0].rid, None);
        let text = a.create_offer(epoch()).unwrap().to_string();
        assert!(lines(&text, "a=rid").is_empty() && lines(&text, "a=simulcast").is_empty());
    }
    // RFC 8851 §10: letters and digits; RFC 8852 §3: at most 16 of them in a packet.
    for wrong in ["", "a b", "\u{e9}", "a/b", "a;b", "x".repeat(256).as_str()] {
        assert!(SendEncoding::named(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn a_scale_that_is_left_out_is_one() {
    let [mut a, _] = both();
    let id = a.add_transceiver(epoch(), MediaKind::Video, TransceiverInit::default()).unwrap();
    for (wanted, read) in [(Some(1.5), 1.5), (None, 1.0), (Some(4.0), 4.0)] {
        let mut parameters = a.sender_parameters(id).unwrap();
        parameters.encodings[0].scale_resolution_down_by = wanted;
        a.set_sender_parameters(epoch(), id, parameters).unwrap();
        let now = a.sender_parameters(id).unwrap();
        assert_eq!(now.encodings[0].scale_resolution_down_by, Some(read));
    }
}

#[test]
fn what_may_be_changed_is_read_as_it_was_set() {
    let [mut a, _] = both();
    let id = a.add_transceiver(epoch(), MediaKind::Video, TransceiverInit::default()).unwrap();
    let changes: [fn(&mut SendEncoding); 8] = [
        |it| it.is_paused = true,
        |it| it.max_bitrate = Some(0),
        |it| it.max_bitrate = Some(1_000_000),
        |it| it.max_bitrate = None,
        |it| it.max_framerate = Some(0.0),
        |it| it.max_framerate = None,
        |it| it.priority = session::Priority::High,
        |it| it.network_priority = session::Priority::VeryLow,
    ];
    for change in changes {
        let mut parameters = a.sender_parameters(id).unwrap();
        change(&mut parameters.encodings[0]);
        let wanted = parameters.encodings.clone();
        a.set_sender_parameters(epoch(), id, parameters).unwrap();
        assert_eq!(a.sender_parameters(id).unwrap().encodings, wanted);
    }
}

#[test]
fn what_is_read_only_cannot_be_set() {
    let [mut a, mut b] = both();
    let id = a.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).unwrap();
    negotiate(&mut a, &mut b);
    let changes: [fn(&mut SendParameters); 14] = [
        |it| it.codecs[0].payload_type = PayloadType::new(99).unwrap(),
        |it| it.codecs[0].name = "piedpiper".into(),
        |it| it.codecs[0].clock_rate += 1,
        |it| it.codecs[0].channels += 1,
        |it| it.codecs[0].parameters = "foo=1".into(),
        |it| it.codecs.push(it.codecs[0].clone()),
        |it| it.codecs.swap(0, 1),
        |it| drop(it.codecs.pop()),
        |it| it.header_extensions.clear(),
        |it| it.header_extensions[0].0 += 1,
        |it| it.header_extensions.push((14, session::ExtensionKind::Rid)),
        |it| it.rtcp.cname.clear(),
        |it| it.rtcp.reduced_size = !it.rtcp.reduced_size,
        |it| it.encodings.push(SendEncoding::default()),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut parameters = a.sender_parameters(id).unwrap();
        change(&mut parameters);
        let refused = a.set_sender_parameters(epoch(), id, parameters).unwrap_err();
        assert_eq!(
            (refused, refused.name()),
            (TransceiverError::Modified, "InvalidModificationError"),
            "{at}"
        );
    }
}

#[test]
fn scalability_modes_are_those_of_the_codecs_and_no_others() {
    // webrtc-svc §6.
    let mut names: Vec<String> = (1..=3).map(|time| format!("L1T{time}")).collect();
    for (sizes, time) in [2, 3].into_iter().flat_map(|sizes| (1..=3).map(move |time| (sizes, time))) {
        names.extend(["", "h"].map(|half| format!("L{sizes}T{time}{half}")));
        names.extend(["", "h"].map(|half| format!("S{sizes}T{time}{half}")));
        names.push(format!("L{sizes}T{time}_KEY"));
        names.extend((time > 1).then(|| format!("L{sizes}T{time}_KEY_SHIFT")));
    }
    assert_eq!(names.len(), 37);
    for name in names {
        assert_eq!(ScalabilityMode::named(&name).unwrap().to_string(), name);
    }
    for wrong in [
        "",
        "L1",
        "L4T1",
        "L1T4",
        "L0T1",
        "L1T0",
        "l1t1",
        "S1T1",
        "L1T1h",
        "L1T2_KEY",
        "L2T1_KEY_SHIFT",
        "S2T1_KEY",
        "L2T1h_KEY",
        "L1T2 ",
        "TotallyBogus",
        "L2T2_SHIFT",
        "L2T1hh",
    ] {
        assert_eq!(ScalabilityMode::named(wrong), None, "{wrong}");
    }
}

#[test]
fn a_scalability_mode_has_to_be_one_that_some_codec_can() {
    let mode = |name: &str| changed(|it| it.scalability_mode = ScalabilityMode::named(name));
    let [mut a, mut b] = both();
    let video = MediaKind::Video;
    let id = a.add_transceiver(epoch(), video, with(vec![mode("L3T3_KEY")])).unwrap();
    assert_eq!(
        a.sender_parameters(id).unwrap().encodings[0].scalability_mode,
        ScalabilityMode::named("L3T3_KEY")
    );
    // Of audio it is none of the parameters.
    let audio = a.add_transceiver(epoch(), MediaKind::Audio, with(vec![mode("L1T2")])).unwrap();
    assert_eq!(a.sender_parameters(audio).unwrap().encodings[0].scalability_mode, None);
    // VP8 has layers in time alone: where it is all that is agreed upon, no others can be set.
    let only_vp8: Vec<Codec> =
        a.media_config().codecs.iter().filter(|it| it.name == "VP8").cloned().collect();
    a.set_codec_preferences(id, only_vp8).unwrap();
    let mut parameters = a.sender_parameters(id).unwrap();
    parameters.encodings[0] = mode("L1T3");
    a.set_sender_parameters(epoch(), id, parameters).unwrap();
    let mut parameters = a.sender_parameters(id).unwrap();
    parameters.encodings[0] = mode("L2T1");
    let refused = a.set_sender_parameters(epoch(), id, parameters).unwrap_err();
    assert_eq!((refused, refused.name()), (TransceiverError::Scalability, "OperationError"));
    negotiate(&mut a, &mut b);
    let mut parameters = a.sender_parameters(id).unwrap();
    assert_eq!(parameters.encodings[0].scalability_mode, ScalabilityMode::named("L1T3"));
    parameters.encodings[0].scalability_mode = ScalabilityMode::named("S2T1");
    assert_eq!(a.set_sender_parameters(epoch(), id, parameters), Err(TransceiverError::Scalability));
}

#[test]
fn a_scalability_mode_that_no_codec_has_which_was_agreed_upon_is_forgotten() {
    for (agreed, stays) in [("VP9", true), ("VP8", false)] {
        let mode = ScalabilityMode::named("L3T3");
        let [mut a, mut b] = both();
        let wanted = changed(|it| it.scalability_mode = mode);
        let id = a.add_transceiver(epoch(), MediaKind::Video, with(vec![wanted])).unwrap();
        let theirs = b.add_track(epoch(), MediaKind::Video, vec![]).unwrap();
        let only = b.media_config().codecs.iter().filter(|it| it.name == agreed).cloned().collect();
        b.set_codec_preferences(theirs, only).unwrap();
        negotiate(&mut a, &mut b);
        let parameters = a.sender_parameters(id).unwrap();
        assert_eq!(parameters.encodings[0].scalability_mode, mode.filter(|_| stays), "{agreed}");
        a.set_sender_parameters(epoch(), id, parameters).unwrap();
    }
}
