//! Audio and video between peers who exchange no descriptions.
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
use rtp::Rid;
use session::{
    ChannelInit, Content, Direction, DtlsRole, Event, ExtensionKind, FrameConfig, IceCredentials, IceRole,
    MediaConfig, MediaKind, OutgoingFrame, ParametersError, PayloadType, PeerCertificate, SdpType,
    SectionEncoding, SectionFault, SectionParameters, SendMediaError, Ssrc, TransceiverError, TransceiverId,
    TransceiverInit, TransportParameters,
};

fn credentials(name: &str) -> IceCredentials {
    IceCredentials::new(name, &format!("{name}PasswordOfThisVeryTest")).unwrap()
}

fn parameters(side: usize, sections: Vec<SectionParameters>) -> TransportParameters {
    let (ice, dtls) =
        [(IceRole::Controlling, DtlsRole::Client), (IceRole::Controlled, DtlsRole::Server)][side];
    let [ours, theirs] = [["dial", "wait"], ["wait", "dial"]][side].map(credentials);
    let mut parameters = TransportParameters::new(ice, dtls, theirs, PeerCertificate::Any);
    parameters.local = Some(ours);
    parameters.sections = sections;
    if side == 0 {
        parameters.candidates = vec!["192.0.2.2:4000".parse().unwrap()];
    }
    parameters
}

/// Two sessions that know these sections, as the first sees them.
fn connected(sections: &[SectionParameters]) -> Two {
    let configs = [0, 1].map(|side| {
        let mut config = config(side);
        config.frames = Some(Arc::new(FrameConfig::default()));
        config.limits.max_transceivers = config.limits.max_transceivers.max(sections.len());
        config
    });
    let mut two = Two::with(configs, near());
    two.trickles = false;
    let now = two.now();
    let theirs = sections.iter().map(SectionParameters::for_peer).collect();
    two.session(0).open_transport(now, parameters(0, sections.to_vec())).unwrap();
    two.session(1).open_transport(now, parameters(1, theirs)).unwrap();
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
    two
}

fn section(mid: &str, kind: MediaKind) -> SectionParameters {
    SectionParameters::new(mid, kind, &MediaConfig::default())
}

fn named(two: &mut Two, side: usize, mid: &str) -> TransceiverId {
    two.session(side).transceivers().find(|(_, info)| info.mid == Some(mid)).unwrap().0
}

fn vp8(number: u32) -> Vec<u8> {
    harness::vp8(number, 2500, 1)
}

fn opus(number: u32) -> Vec<u8> {
    [[0xf8].as_slice(), &number.to_be_bytes()].concat()
}

/// Sends 50 frames a section from `side`, and gives what came.
fn send(two: &mut Two, side: usize, mids: &[&str], from: u32) -> Vec<Vec<Vec<u8>>> {
    let mut came = vec![Vec::new(); mids.len()];
    for number in from..from + 50 {
        for mid in mids {
            let (id, now) = (named(two, side, mid), two.now());
            let is_audio = two.session(side).transceiver(id).unwrap().kind == MediaKind::Audio;
            let (bytes, rate) = if is_audio { (opus(number), 48) } else { (vp8(number), 90) };
            let frame =
                OutgoingFrame { bytes: &bytes, timestamp: number * 30 * rate, ..OutgoingFrame::default() };
            two.session(side).write_frame(now, id, 0, &frame).unwrap();
        }
        two.run(Duration::from_millis(30), |_| false);
        for (at, mid) in mids.iter().enumerate() {
            let (id, now) = (named(two, 1 - side, mid), two.now());
            while let Some(frame) = two.session(1 - side).poll_frame(now, id) {
                if let Content::Media { bytes, .. } = frame.content {
                    came[at].push(bytes.to_vec());
                }
            }
        }
    }
    came
}

/// The machines of frames have room for as many sections as the session takes.
#[test]
fn the_last_of_very_many_sections_is_sent_and_received() {
    let mut sections: Vec<_> =
        (0..300).map(|number| section(&number.to_string(), MediaKind::Audio)).collect();
    sections.iter_mut().take(299).for_each(|section| section.direction = Direction::Inactive);
    let mut two = connected(&sections);
    // All at once they would share what the path is thought to carry; of each there are machines.
    assert!(send(&mut two, 0, &["299"], 0)[0].len() >= 40);
    sections.iter_mut().for_each(|section| section.direction = Direction::SendRecv);
    let now = two.now();
    let theirs: Vec<_> = sections.iter().map(SectionParameters::for_peer).collect();
    two.session(0).set_sections(now, &sections).unwrap();
    two.session(1).set_sections(now, &theirs).unwrap();
    let last = named(&mut two, 0, "298");
    let frame = OutgoingFrame { bytes: &opus(1), ..OutgoingFrame::default() };
    assert_ne!(two.session(0).write_frame(now, last, 0, &frame), Err(SendMediaError::UnknownEncoding));
}

#[test]
fn audio_video_and_data_go_both_ways_without_a_description() {
    let mut speech = section("a", MediaKind::Audio);
    speech.streams = [vec!["mine".into()], vec!["yours".into()]];
    let mut two = connected(&[speech, section("v", MediaKind::Video)]);
    for side in [0, 1] {
        let came = send(&mut two, side, &["a", "v"], 0);
        assert!(came[0].len() >= 40, "{} frames of audio", came[0].len());
        assert!(came[1].len() >= 45, "{} frames of video", came[1].len());
        assert!(came[1].iter().zip(0..).all(|(frame, number)| *frame == vp8(number)));
        let tracks: Vec<_> = two.seen[side].iter().filter(|event| matches!(event, Event::Track(_))).collect();
        assert_eq!(tracks.len(), 2);
        let now = two.now();
        let (rtp, target) = two.session(side).rtp_stats().unwrap();
        assert!(rtp.rtcp > 0 && target.is_some_and(|target| target > 100_000), "{rtp:?} {target:?}");
        assert!(!two.session(side).statistics(now).is_empty());
        assert!(two.seen[side].iter().all(|event| *event != Event::NegotiationNeeded));
        assert!(two.session(side).local_description().is_none());
        assert!(two.session(side).create_offer(now).is_err());
    }
    let audio = named(&mut two, 1, "a");
    let info = two.session(1).transceiver(audio).unwrap();
    assert_eq!((info.streams, info.remote_streams), (&["yours".to_owned()][..], &["mine".to_owned()][..]));
    let now = two.now();
    let ours = two.session(0).open_channel(now, ChannelInit::labelled("beside")).unwrap();
    let theirs = two.incoming(1);
    two.echo(ours, theirs);
    // What is not by parameters is refused.
    let now = two.now();
    let session = two.session(0);
    let refused = session.add_transceiver(now, MediaKind::Audio, TransceiverInit::default());
    assert_eq!(refused, Err(TransceiverError::WithoutSdp));
    let audio = named(&mut two, 0, "a");
    let refused = two.session(0).set_direction(now, audio, Direction::RecvOnly);
    assert_eq!(refused, Err(TransceiverError::WithoutSdp));
}

#[test]
fn sections_come_change_and_go_while_others_go_on() {
    let before = section("a", MediaKind::Audio);
    let mut two = connected(std::slice::from_ref(&before));
    assert!(send(&mut two, 0, &["a"], 0)[0].len() >= 40);
    let (audio, now) = (named(&mut two, 0, "a"), two.now());
    let ssrc = two.session(0).transceiver(audio).unwrap().encodings[0].ssrc;
    // The second stops to send, and there is video now.
    let mut one_way = before.clone();
    one_way.direction = Direction::SendOnly;
    let sections = [one_way, section("v", MediaKind::Video)];
    let theirs = sections.each_ref().map(SectionParameters::for_peer);
    two.session(0).set_sections(now, &sections).unwrap();
    two.session(1).set_sections(now, &theirs).unwrap();
    let came = send(&mut two, 0, &["a", "v"], 50);
    assert!(came[0].len() >= 40 && came[1].len() >= 20, "{} {}", came[0].len(), came[1].len());
    assert_eq!(two.session(0).transceiver(audio).unwrap().encodings[0].ssrc, ssrc, "the stream goes on");
    assert_eq!(named(&mut two, 0, "a"), audio);
    let (theirs_audio, now) = (named(&mut two, 1, "a"), two.now());
    let frame = OutgoingFrame { bytes: &opus(1), ..OutgoingFrame::default() };
    let refused = two.session(1).write_frame(now, theirs_audio, 0, &frame);
    assert_eq!(refused, Err(SendMediaError::NotSending));
    assert!(two.seen[0].contains(&Event::TrackRemoved(audio)));
    // The first section ends, and its name may come again as something else.
    let video = [section("v", MediaKind::Video)];
    let now = two.now();
    two.session(0).set_sections(now, &video).unwrap();
    two.session(1).set_sections(now, &video).unwrap();
    assert!(two.session(0).transceiver(audio).is_none());
    let again = [section("v", MediaKind::Video), section("a", MediaKind::Video)];
    two.session(0).set_sections(now, &again).unwrap();
    two.session(1).set_sections(now, &again).unwrap();
    let came = send(&mut two, 1, &["v", "a"], 100);
    assert!(came[0].len() >= 20 && came[1].len() >= 20, "{} {}", came[0].len(), came[1].len());
}

#[test]
fn streams_that_packets_do_not_name_are_known_by_their_ssrcs() {
    let mut config = MediaConfig::default();
    config.extensions.retain(|it| it.kind != ExtensionKind::Mid);
    let mut sections = ["x", "y"].map(|mid| SectionParameters::new(mid, MediaKind::Video, &config));
    for (section, ssrc) in sections.iter_mut().zip([1000, 2000]) {
        section.encodings = vec![SectionEncoding::with_ssrcs(Ssrc(ssrc), Ssrc(ssrc + 1))];
        section.direction = Direction::SendOnly;
    }
    assert_eq!(sections[0].for_peer().remote_sources, [(Ssrc(1000), Some(Ssrc(1001)))]);
    let mut two = connected(&sections);
    let came = send(&mut two, 0, &["x", "y"], 0);
    assert!(came[0].len() >= 45 && came[1].len() >= 45, "{} {}", came[0].len(), came[1].len());
    let id = named(&mut two, 1, "y");
    let stream = two.session(1).stream_stats(id)[0].0;
    assert_eq!(two.session(1).stream_source(id, stream).unwrap().0, Ssrc(2000));
}

#[test]
fn the_peer_sees_the_same_section_the_other_way_round() {
    let mut camera = section("cam", MediaKind::Video);
    camera.direction = Direction::SendOnly;
    camera.encodings = ["h", "l"].map(|rid| SectionEncoding::named(rid).unwrap()).to_vec();
    camera.send.truncate(1);
    let theirs = camera.for_peer();
    assert_eq!(theirs.direction, Direction::RecvOnly);
    assert_eq!((theirs.receive.len(), theirs.send.len()), (1, camera.receive.len()));
    assert_eq!(theirs.receive_rids, [Rid::new(b"h").unwrap(), Rid::new(b"l").unwrap()]);
    let back = theirs.for_peer();
    assert_eq!((back.direction, &back.encodings), (camera.direction, &camera.encodings));
    assert_eq!((&back.send, &back.receive), (&camera.send, &camera.receive));
}

#[test]
fn sections_that_do_not_go_together_are_refused_and_nothing_is_changed() {
    let mut two = Two::new();
    let now = two.now();
    let good = || vec![section("a", MediaKind::Audio), section("v", MediaKind::Video)];
    type Change = fn(&mut Vec<SectionParameters>);
    let wrong: [(Change, SectionFault); 17] = [
        (|it| it[1].mid = "a".into(), SectionFault::Name),
        (|it| it[1].mid = "a b".into(), SectionFault::Name),
        (|it| it[1].mid = String::new(), SectionFault::Name),
        (|it| it[1].mid = "v".repeat(37), SectionFault::Name),
        (|it| it[1].send.clear(), SectionFault::Codecs),
        (|it| it[1].receive.clear(), SectionFault::Codecs),
        (|it| it[1].send[0].payload_type = it[0].send[0].payload_type, SectionFault::Codecs),
        (|it| it[1].send[0].rtx = Some(it[1].send[0].payload_type), SectionFault::Codecs),
        (|it| it[1].send[0].payload_type = PayloadType::new(72).unwrap(), SectionFault::Codecs),
        (|it| it[1].extensions[0].0 = 0, SectionFault::Extensions),
        (|it| it[1].extensions = vec![(1, ExtensionKind::PlayoutDelay)], SectionFault::Extensions),
        (|it| it[1].encodings.clear(), SectionFault::Encodings),
        (|it| it[1].encodings = vec![SectionEncoding::default(); 2], SectionFault::Encodings),
        (|it| it[1].encodings = vec![SectionEncoding::named("x").unwrap(); 2], SectionFault::Encodings),
        (|it| it[1].remote_sources = vec![(Ssrc(1), None), (Ssrc(1), None)], SectionFault::Sources),
        (|it| it[1].encodings = vec![SectionEncoding::with_ssrcs(Ssrc(5), Ssrc(5))], SectionFault::Sources),
        (|it| it[1].streams[0] = vec!["-".into()], SectionFault::Streams),
    ];
    for (at, (change, fault)) in wrong.into_iter().enumerate() {
        let mut sections = good();
        change(&mut sections);
        let refused = two.session(0).open_transport(now, parameters(0, sections)).unwrap_err();
        assert_eq!(refused, ParametersError::Section { number: 1, fault }, "{at}");
    }
    assert_eq!(two.session(0).transceivers().count(), 0);
    assert_eq!(two.session(0).set_sections(now, &good()), Err(ParametersError::WithSdp));
    two.session(0).open_transport(now, parameters(0, good())).unwrap();
    // Another kind under a name that is in use; and as many as may be.
    let mut other = good();
    other.swap(0, 1);
    (other[0].mid, other[1].mid) = ("a".into(), "v".into());
    let refused = ParametersError::Section { number: 0, fault: SectionFault::Kind };
    assert_eq!(two.session(0).set_sections(now, &other), Err(refused));
    let many = |count: usize| -> Vec<_> {
        (0..count).map(|at| section(&format!("s{at}"), MediaKind::Audio)).collect()
    };
    two.session(0).set_sections(now, &many(256)).unwrap();
    let refused = ParametersError::Section { number: 256, fault: SectionFault::TooMany };
    assert_eq!(two.session(0).set_sections(now, &many(257)), Err(refused));
    assert_eq!(two.session(0).transceivers().count(), 256);
    two.session(0).close(now);
    assert_eq!(two.session(0).set_sections(now, &good()), Err(ParametersError::Closed));
    // With descriptions there are no parameters.
    let offer = two.session(1).create_offer(now);
    assert!(offer.is_err() || two.session(1).set_local(now, SdpType::Offer, offer.unwrap()).is_ok());
}

#[test]
fn as_many_sources_of_the_peer_are_named_as_the_limit() {
    let mut two = Two::new();
    let now = two.now();
    let mut section = section("v", MediaKind::Video);
    section.remote_sources = (0..129).map(|at| (Ssrc(at), None)).collect();
    let refused = ParametersError::Section { number: 0, fault: SectionFault::Sources };
    assert_eq!(two.session(0).open_transport(now, parameters(0, vec![section.clone()])), Err(refused));
    section.remote_sources.pop();
    two.session(0).open_transport(now, parameters(0, vec![section])).unwrap();
}
