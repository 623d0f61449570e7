//! Transceivers in offers and answers (RFC 9429, W3C WebRTC 1.0 §4.4 and §5.4).
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

use harness::exchange::{
    answer, both, directions, events, fresh, init, lines, needs, negotiate, offer, only, parse,
};
use session::{
    ChannelInit, Codec, Direction, Event, MediaConfig, MediaKind, NegotiationError, SdpType, SendEncoding,
    SessionDescription, SignalingState, TransceiverError, TransceiverInit,
};
use testkit::epoch;

#[test]
fn an_offer_has_a_section_for_each_transceiver_and_the_data() {
    let [mut a, mut b] = both();
    a.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap();
    a.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).unwrap();
    a.add_transceiver(epoch(), MediaKind::Video, init(Direction::SendOnly)).unwrap();
    let [offer, answer] = negotiate(&mut a, &mut b);
    let text = offer.to_string();
    let media = lines(&text, "m=");
    assert_eq!(media[0], "m=audio 9 UDP/TLS/RTP/SAVPF 111 9 0 8 110 126");
    assert_eq!(media[1], "m=video 0 UDP/TLS/RTP/SAVPF 96 97 98 99 102 103 45 46 49 50");
    assert_eq!(media[2], "m=application 0 UDP/DTLS/SCTP webrtc-datachannel");
    assert_eq!(lines(&text, "a=group:"), ["a=group:BUNDLE 0 1 2"]);
    assert_eq!(lines(&text, "a=mid:"), ["a=mid:0", "a=mid:1", "a=mid:2"]);
    assert_eq!(lines(&text, "a=bundle-only").len(), 2);
    assert_eq!(lines(&text, "a=rtcp-mux-only").len(), 2);
    for line in [
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtcp-fb:96 nack pli",
        "a=rtcp-fb:102 transport-cc",
        "a=rtpmap:103 rtx/90000",
        "a=fmtp:103 apt=102",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=extmap-allow-mixed",
        "a=sendonly",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert_eq!(lines(&text, "a=ssrc-group:FID").len(), 1);
    assert_eq!(lines(&text, "a=msid:").len(), 2);
    let answered = answer.to_string();
    let media = lines(&answered, "m=");
    assert_eq!(media[1], "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 102 103 45 46 49 50");
    assert_eq!(lines(&answered, "a=group:"), ["a=group:BUNDLE 0 1 2"]);
    assert!(lines(&answered, "a=rtcp-mux-only").is_empty() && lines(&answered, "a=bundle-only").is_empty());
    assert_eq!(
        directions(&a),
        [(Direction::SendRecv, Some(Direction::SendOnly)), (Direction::SendOnly, Some(Direction::SendOnly))]
    );
    let receives = (Direction::RecvOnly, Some(Direction::RecvOnly));
    assert_eq!(directions(&b), [receives, receives]);
    let ids: Vec<_> = b.transceivers().map(|(id, _)| Event::Track(id)).collect();
    let told = events(&mut b);
    assert!(ids.iter().all(|track| told.contains(track)), "{told:?}");
    // Once it is bundled, a section needs no sign of that.
    let again = a.create_offer(epoch()).unwrap().to_string();
    assert!(lines(&again, "a=bundle-only").is_empty());
    assert!(lines(&again, "m=").iter().all(|line| line.contains(" 9 ")), "{again}");
}

#[test]
fn tracks_of_both_sides_share_a_section_and_transceivers_do_not() {
    let [mut a, mut b] = both();
    a.add_track(epoch(), MediaKind::Audio, vec!["s".into()]).unwrap();
    let ours = b.add_track(epoch(), MediaKind::Audio, vec!["t".into(), "u".into()]).unwrap();
    negotiate(&mut a, &mut b);
    assert_eq!(only(&b), ours);
    assert_eq!(directions(&b), [(Direction::SendRecv, Some(Direction::SendRecv))]);
    assert_eq!(b.transceiver(ours).unwrap().remote_streams, ["s"]);
    let theirs = a.transceiver(only(&a)).unwrap();
    assert_eq!(theirs.remote_streams, ["t", "u"]);
    assert_eq!(theirs.remote_track, Some(b.transceiver(ours).unwrap().track));

    let [mut a, mut b] = both();
    a.add_track(epoch(), MediaKind::Audio, vec![]).unwrap();
    b.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).unwrap();
    negotiate(&mut a, &mut b);
    assert_eq!(b.transceivers().count(), 2);
    assert!(needs(&mut b), "the other one is still to be offered");

    // Nor does a track where the peer only sends.
    let [mut a, mut b] = both();
    a.add_transceiver(epoch(), MediaKind::Audio, init(Direction::SendOnly)).unwrap();
    b.add_track(epoch(), MediaKind::Audio, vec![]).unwrap();
    negotiate(&mut a, &mut b);
    assert_eq!(b.transceivers().count(), 2);
}

#[test]
fn a_transceiver_that_never_sent_is_taken_for_a_track() {
    let mut a = fresh(0);
    let mut empty = init(Direction::RecvOnly);
    empty.has_track = false;
    let id = a.add_transceiver(epoch(), MediaKind::Video, empty).unwrap();
    assert_eq!(a.add_track(epoch(), MediaKind::Video, vec![]).unwrap(), id);
    assert_eq!(a.transceiver(id).unwrap().direction, Direction::SendRecv);
    assert_ne!(a.add_track(epoch(), MediaKind::Video, vec![]).unwrap(), id);
    a.remove_track(epoch(), id).unwrap();
    assert_eq!(a.transceiver(id).unwrap().direction, Direction::RecvOnly);
}

#[test]
fn negotiation_is_needed_for_what_no_exchange_has_covered() {
    let [mut a, mut b] = both();
    assert!(!needs(&mut a));
    let id = a.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).unwrap();
    assert!(needs(&mut a));
    a.add_transceiver(epoch(), MediaKind::Video, TransceiverInit::default()).unwrap();
    assert!(!needs(&mut a), "it is told once");
    negotiate(&mut a, &mut b);
    assert!(!needs(&mut a) && !needs(&mut b));

    a.set_direction(epoch(), id, Direction::Inactive).unwrap();
    assert!(needs(&mut a));
    a.set_direction(epoch(), id, Direction::SendRecv).unwrap();
    assert!(!needs(&mut a), "it is as it was");
    a.set_direction(epoch(), id, Direction::SendOnly).unwrap();
    // The answer's direction is that already (W3C WebRTC 1.0 §4.7.3: neither the offer's nor the answer's).
    assert!(!needs(&mut a));
    a.set_streams(epoch(), id, vec!["x".into()]).unwrap();
    assert!(needs(&mut a));
    negotiate(&mut a, &mut b);
    assert!(!needs(&mut a));
    let theirs = b.transceivers().next().unwrap().0;
    b.set_direction(epoch(), theirs, Direction::SendRecv).unwrap();
    // Although the offer does not let it send: the answer names no stream (W3C WebRTC 1.0 §4.7.3).
    assert!(needs(&mut b));

    // One that was not told yet is not told once an offer of the peer's is there.
    let [mut c, mut d] = both();
    c.add_track(epoch(), MediaKind::Audio, vec![]).unwrap();
    d.add_track(epoch(), MediaKind::Audio, vec![]).unwrap();
    let theirs = c.create_offer(epoch()).unwrap();
    d.set_remote(epoch(), SdpType::Offer, theirs).unwrap();
    assert!(!needs(&mut d));
    let answer_of_d = d.create_answer(epoch()).unwrap();
    d.set_local(epoch(), SdpType::Answer, answer_of_d).unwrap();
    assert!(!needs(&mut d), "the exchange has covered it");
    d.add_track(epoch(), MediaKind::Audio, vec![]).unwrap();
    d.close(epoch());
    assert!(!needs(&mut d));

    // While an exchange is under way it waits for the end.
    let offer = a.create_offer(epoch()).unwrap();
    a.set_local(epoch(), SdpType::Offer, offer.clone()).unwrap();
    a.add_track(epoch(), MediaKind::Audio, vec![]).unwrap();
    assert!(!needs(&mut a));
    let answered = answer(&mut b, offer);
    a.set_remote(epoch(), SdpType::Answer, answered).unwrap();
    assert!(needs(&mut a));
}

#[test]
fn a_stopped_transceiver_leaves_a_section_that_is_used_again() {
    let [mut a, mut b] = both();
    let id = a.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).unwrap();
    a.add_transceiver(epoch(), MediaKind::Video, TransceiverInit::default()).unwrap();
    negotiate(&mut a, &mut b);
    let (gone, _) = b.transceivers().next().unwrap();
    events(&mut b);
    a.stop_transceiver(epoch(), id).unwrap();
    assert!(a.transceiver(id).unwrap().is_stopping);
    assert_eq!(a.set_direction(epoch(), id, Direction::SendRecv), Err(TransceiverError::Stopped));
    assert!(needs(&mut a));
    let [offer, answer] = negotiate(&mut a, &mut b);
    for description in [&offer, &answer] {
        let text = description.to_string();
        assert!(lines(&text, "m=audio 0 ").len() == 1, "{text}");
        assert_eq!(lines(&text, "a=group:"), ["a=group:BUNDLE 1"]);
    }
    assert!(a.transceiver(id).is_none() && b.transceiver(gone).is_none());
    assert!(events(&mut b).contains(&Event::TrackRemoved(gone)));
    assert!(!needs(&mut a) && !needs(&mut b));

    // Either side uses the section again, under a new name, and for another kind.
    let new = b.add_transceiver(epoch(), MediaKind::Video, TransceiverInit::default()).unwrap();
    let [offer, _] = negotiate(&mut b, &mut a);
    let media: Vec<_> = offer.media().map(|media| media.mid().unwrap().to_owned()).collect();
    assert_eq!(media, ["2", "1"]);
    assert_eq!(offer.media().next().unwrap().kind_text(), "video");
    assert_eq!(b.transceiver(new).unwrap().mid, Some("2"));
    assert_eq!(a.transceivers().count(), 2);
    // One that nobody has heard of is gone at once.
    let idle = a.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).unwrap();
    a.stop_transceiver(epoch(), idle).unwrap();
    assert!(a.transceiver(idle).is_none());
}

#[test]
fn a_rollback_restores_transceivers() {
    let [mut a, mut b] = both();
    let ours = b.add_track(epoch(), MediaKind::Audio, vec![]).unwrap();
    events(&mut b);
    a.add_track(epoch(), MediaKind::Audio, vec!["s".into()]).unwrap();
    a.add_track(epoch(), MediaKind::Video, vec![]).unwrap();
    let first = offer(&mut a);
    b.set_remote(epoch(), SdpType::Offer, first.clone()).unwrap();
    assert_eq!(b.transceivers().count(), 2);
    let made = b.transceivers().nth(1).unwrap().0;
    assert_eq!(b.transceiver(ours).unwrap().mid, Some("0"));
    let told = events(&mut b);
    assert!(told.contains(&Event::Track(ours)) && told.contains(&Event::Track(made)));
    b.rollback(epoch()).unwrap();
    assert_eq!(only(&b), ours);
    let info = b.transceiver(ours).unwrap();
    assert_eq!((info.mid, info.current_direction, info.remote_streams.len()), (None, None, 0));
    let told = events(&mut b);
    assert!(
        told.contains(&Event::TrackRemoved(ours)) && told.contains(&Event::TrackRemoved(made)),
        "{told:?}"
    );
    assert!(told.contains(&Event::NegotiationNeeded));

    // One that was taken for a track meanwhile stays, without a section (RFC 9429 §5.7).
    b.set_remote(epoch(), SdpType::Offer, first).unwrap();
    let made = b.transceivers().nth(1).unwrap().0;
    assert_eq!(b.add_track(epoch(), MediaKind::Video, vec![]).unwrap(), made);
    b.rollback(epoch()).unwrap();
    assert_eq!(b.transceivers().count(), 2);
    assert_eq!(b.transceiver(made).unwrap().mid, None);

    // An offer of ours is taken back by one of the peer's.
    a.rollback(epoch()).unwrap();
    let ours = offer(&mut b);
    offer(&mut a);
    answer(&mut a, ours);
    assert_eq!(a.signaling_state(), SignalingState::Stable);
    assert_eq!(a.transceivers().count(), 2, "both were waiting for sections");
    assert!(a.transceivers().all(|(_, info)| info.current_direction == Some(Direction::SendRecv)));
}

#[test]
fn provisional_answers_may_be_followed_by_others_and_not_taken_back() {
    let [mut a, mut b] = both();
    a.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).unwrap();
    let first = offer(&mut a);
    b.set_remote(epoch(), SdpType::Offer, first).unwrap();
    for _ in 0..2 {
        let answer = b.create_answer(epoch()).unwrap();
        b.set_local(epoch(), SdpType::Pranswer, answer.clone()).unwrap();
        a.set_remote(epoch(), SdpType::Pranswer, answer).unwrap();
        assert_eq!(b.signaling_state(), SignalingState::HaveLocalPranswer);
        assert_eq!(a.signaling_state(), SignalingState::HaveRemotePranswer);
    }
    assert_eq!(directions(&a), [(Direction::SendRecv, Some(Direction::SendOnly))]);
    for session in [&mut a, &mut b] {
        let state = session.signaling_state();
        assert_eq!(session.rollback(epoch()), Err(NegotiationError::WrongState(state)));
        assert_eq!(session.create_offer(epoch()).err(), Some(NegotiationError::WrongState(state)));
    }
    let ours = only(&b);
    b.set_direction(epoch(), ours, Direction::SendRecv).unwrap();
    let answer = b.create_answer(epoch()).unwrap();
    b.set_local(epoch(), SdpType::Answer, answer.clone()).unwrap();
    a.set_remote(epoch(), SdpType::Answer, answer).unwrap();
    assert_eq!(a.signaling_state(), SignalingState::Stable);
    assert_eq!(directions(&a), [(Direction::SendRecv, Some(Direction::SendRecv))]);
}

#[test]
fn simulcast_is_offered_answered_and_restricted() {
    let [mut a, mut b] = both();
    let mut several = init(Direction::SendOnly);
    several.send_encodings = ["q", "h", "f"].map(|rid| SendEncoding::named(rid).unwrap()).to_vec();
    let id = a.add_transceiver(epoch(), MediaKind::Video, several).unwrap();
    let [offer, answer] = negotiate(&mut a, &mut b);
    let text = offer.to_string();
    assert_eq!(lines(&text, "a=rid:"), ["a=rid:q send", "a=rid:h send", "a=rid:f send"]);
    assert_eq!(lines(&text, "a=simulcast:"), ["a=simulcast:send q;h;f"]);
    assert!(lines(&text, "a=ssrc").is_empty());
    assert_eq!(lines(&answer.to_string(), "a=simulcast:"), ["a=simulcast:recv q;h;f"]);
    let info = b.transceiver(only(&b)).unwrap();
    let rids = &info.negotiated.unwrap().receive_rids;
    assert!(rids.iter().map(|rid| rid.as_str()).eq(["q", "h", "f"]));
    assert_eq!(a.transceiver(id).unwrap().encodings.len(), 3);
    // When the receiver offers, it still wants them.
    let [offer, answer] = negotiate(&mut b, &mut a);
    assert_eq!(lines(&offer.to_string(), "a=simulcast:"), ["a=simulcast:recv q;h;f"]);
    assert_eq!(lines(&answer.to_string(), "a=simulcast:"), ["a=simulcast:send q;h;f"]);

    // A peer that takes less, or nothing of it.
    for (taken, left) in [("a=simulcast:recv q;f", 2), ("", 1)] {
        let [mut a, mut b] = both();
        let mut several = init(Direction::SendOnly);
        several.send_encodings = ["q", "h", "f"].map(|rid| SendEncoding::named(rid).unwrap()).to_vec();
        let id = a.add_transceiver(epoch(), MediaKind::Video, several).unwrap();
        let offer = a.create_offer(epoch()).unwrap();
        a.set_local(epoch(), SdpType::Offer, offer.clone()).unwrap();
        b.set_remote(epoch(), SdpType::Offer, offer).unwrap();
        let answer = b.create_answer(epoch()).unwrap().to_string();
        let answer = answer.replace("a=simulcast:recv q;h;f", taken).replace("\r\n\r\n", "\r\n");
        a.set_remote(epoch(), SdpType::Answer, parse(&answer)).unwrap();
        assert_eq!(a.transceiver(id).unwrap().encodings.len(), left);
    }
    // The receiver names them, and we have named none.
    let [mut a, mut b] = both();
    b.add_track(epoch(), MediaKind::Video, vec![]).unwrap();
    a.add_transceiver(epoch(), MediaKind::Video, init(Direction::RecvOnly)).unwrap();
    let offer = a.create_offer(epoch()).unwrap().to_string();
    let wants = format!("{offer}a=rid:1 recv\r\na=rid:2 recv\r\na=simulcast:recv 1;2\r\n");
    b.set_remote(epoch(), SdpType::Offer, parse(&wants)).unwrap();
    let answer = b.create_answer(epoch()).unwrap().to_string();
    assert_eq!(lines(&answer, "a=simulcast:"), ["a=simulcast:send 1;2"]);
}

#[test]
fn the_offerers_numbers_are_kept() {
    let [mut a, mut b] = both();
    a.add_transceiver(epoch(), MediaKind::Video, TransceiverInit::default()).unwrap();
    let other = a.create_offer(epoch()).unwrap().to_string();
    // Another implementation's numbers: VP8 is 120, the name of the section 7.
    let other = other
        .replace("SAVPF 96 ", "SAVPF 120 ")
        .replace("a=rtpmap:96 ", "a=rtpmap:120 ")
        .replace("a=rtcp-fb:96 ", "a=rtcp-fb:120 ")
        .replace("apt=96", "apt=120")
        .replace("a=extmap:1 ", "a=extmap:27 ")
        .replace("a=extmap:2 ", "a=extmap:20 ");
    b.set_remote(epoch(), SdpType::Offer, parse(&other)).unwrap();
    let answer = b.create_answer(epoch()).unwrap();
    let text = answer.to_string();
    assert!(lines(&text, "m=video 9 UDP/TLS/RTP/SAVPF 120 97 98 99").len() == 1, "{text}");
    assert_eq!(lines(&text, "a=extmap:27 "), ["a=extmap:27 urn:ietf:params:rtp-hdrext:sdes:mid"]);
    assert_eq!(lines(&text, "a=extmap:20 ").len(), 1);
    b.set_local(epoch(), SdpType::Answer, answer).unwrap();
    // And in what we offer from then on, in new sections too.
    b.add_transceiver(epoch(), MediaKind::Video, TransceiverInit::default()).unwrap();
    b.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).unwrap();
    let next = b.create_offer(epoch()).unwrap();
    for media in next.media() {
        let ids: Vec<u16> =
            media.extensions().filter(|it| it.uri.ends_with("sdes:mid")).map(|it| it.id).collect();
        assert_eq!(ids, [27]);
    }
    let text = next.to_string();
    assert_eq!(lines(&text, "a=rtpmap:120 VP8/90000").len(), 2, "{text}");
    assert!(lines(&text, "a=rtpmap:96 ").is_empty());
}

#[test]
fn numbers_with_two_meanings_and_such_as_cannot_be_are_refused_or_left_out() {
    let mut a = fresh(0);
    a.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).unwrap();
    a.add_transceiver(epoch(), MediaKind::Video, TransceiverInit::default()).unwrap();
    let good = a.create_offer(epoch()).unwrap().to_string();
    let set = |text: &str| {
        let mut session = fresh(1);
        let taken = session.set_remote(epoch(), SdpType::Offer, parse(text));
        taken.map(|()| session.create_answer(epoch()).unwrap().to_string())
    };
    let twice = good.replace(
        "a=extmap:5 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    );
    assert_ne!(twice, good);
    assert_eq!(set(&twice).err(), Some(NegotiationError::ExtensionConflict { id: 1 }));
    let twice = good.replace("a=rtpmap:96 VP8", "a=rtpmap:111 VP8").replace("SAVPF 96", "SAVPF 111");
    assert_eq!(set(&twice).err(), Some(NegotiationError::PayloadTypeConflict { payload_type: 111 }));
    // RFC 8285 §5: 15 and what is above 255 have no place in a packet.
    for id in [15, 256, 4095, 4096] {
        let odd = good.replace("a=extmap:3 ", &format!("a=extmap:{id} "));
        let answer = set(&odd).unwrap();
        assert!(lines(&answer, &format!("a=extmap:{id}")).is_empty(), "{id}");
        assert_eq!(lines(&answer, "a=extmap:1 ").len(), 2);
    }
    // RFC 5761 §4: a payload type that RTCP needs is no codec.
    for number in [64, 72, 95] {
        let odd = good.replace("111", &number.to_string());
        let answer = set(&odd).unwrap();
        assert!(lines(&answer, &format!("a=rtpmap:{number} ")).is_empty());
    }
}

/// THREATS S3 and P4.
#[test]
fn sections_without_protection_are_rejected() {
    let mut a = fresh(0);
    a.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).unwrap();
    let good = a.create_offer(epoch()).unwrap().to_string();
    for protocol in ["RTP/AVP", "RTP/AVPF", "RTP/SAVP"] {
        let plain = good.replace("UDP/TLS/RTP/SAVPF", protocol);
        let mut session = fresh(1);
        session.set_remote(epoch(), SdpType::Offer, parse(&plain)).unwrap();
        let answer = session.create_answer(epoch()).unwrap();
        assert!(answer.media().next().unwrap().is_rejected(), "{protocol}");
        session.set_local(epoch(), SdpType::Answer, answer).unwrap();
        assert_eq!(session.transceivers().count(), 0);
    }
    let without = |text: &str, start: &[&str]| -> String {
        text.split_inclusive('\n').filter(|line| !start.iter().any(|start| line.starts_with(start))).collect()
    };
    let mut session = fresh(1);
    session.set_remote(epoch(), SdpType::Offer, parse(&without(&good, &["a=rtcp-mux"]))).unwrap();
    assert!(session.create_answer(epoch()).unwrap().media().next().unwrap().is_rejected());
    let mut session = fresh(1);
    let nameless = session.set_remote(epoch(), SdpType::Offer, parse(&without(&good, &["a=fingerprint"])));
    assert_eq!(nameless, Err(NegotiationError::Missing("fingerprint")));
    // In an answer each is an error, and nothing is changed.
    let mut b = fresh(1);
    let offer = offer(&mut a);
    let answer = answer(&mut b, offer).to_string();
    for (broken, error) in [
        (without(&answer, &["a=rtcp-mux"]), NegotiationError::RtcpMux { index: 0 }),
        (answer.replace("a=setup:active", "a=setup:actpass"), NegotiationError::Setup(sdp::Setup::ActPass)),
        (answer.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), NegotiationError::NotAsOffered { index: 0 }),
        (
            answer
                .replace("opus", "speex")
                .replace("G722", "speex")
                .replace("PCM", "x")
                .replace("telephone", "x"),
            NegotiationError::NoCommonCodec { index: 0 },
        ),
    ] {
        assert_eq!(a.set_remote(epoch(), SdpType::Answer, parse(&broken)), Err(error));
        assert_eq!(a.signaling_state(), SignalingState::HaveLocalOffer);
    }
    a.set_remote(epoch(), SdpType::Answer, parse(&answer)).unwrap();
}

#[test]
fn preferences_decide_what_is_offered_and_in_which_order() {
    let [mut a, mut b] = both();
    let named = |names: &[&str]| -> Vec<Codec> {
        let all = MediaConfig::default().codecs;
        names.iter().map(|name| all.iter().find(|codec| codec.name == *name).unwrap().clone()).collect()
    };
    let id = a.add_transceiver(epoch(), MediaKind::Video, TransceiverInit::default()).unwrap();
    assert_eq!(a.set_codec_preferences(id, named(&["opus"])), Err(TransceiverError::UnknownCodec));
    a.set_codec_preferences(id, named(&["H264", "VP8"])).unwrap();
    let first = offer(&mut a);
    assert_eq!(lines(&first.to_string(), "m="), ["m=video 9 UDP/TLS/RTP/SAVPF 102 103 96 97"]);
    b.set_remote(epoch(), SdpType::Offer, first).unwrap();
    b.set_codec_preferences(only(&b), named(&["VP8", "VP9"])).unwrap();
    let answer = b.create_answer(epoch()).unwrap();
    assert_eq!(lines(&answer.to_string(), "m="), ["m=video 9 UDP/TLS/RTP/SAVPF 96 97"]);
    b.set_local(epoch(), SdpType::Answer, answer.clone()).unwrap();
    a.set_remote(epoch(), SdpType::Answer, answer).unwrap();
    let negotiated = a.transceiver(id).unwrap().negotiated.unwrap().clone();
    assert_eq!(negotiated.send.len(), 1);
    assert_eq!((negotiated.send[0].name.as_ref(), negotiated.send[0].payload_type.get()), ("VP8", 96));
    assert_eq!(negotiated.receive(), negotiated.send);
}

#[test]
fn offers_of_browsers_are_answered_and_their_answers_taken() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdp/tests/vectors");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with("-0-offer.sdp") {
            continue;
        }
        let description = parse(&std::fs::read_to_string(&path).unwrap());
        let mut session = fresh(1);
        session
            .set_remote(epoch(), SdpType::Offer, description.clone())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let answer = session.create_answer(epoch()).unwrap();
        assert_eq!(answer.media().len(), description.media().len(), "{name}");
        for (offered, media) in description.media().zip(answer.media()) {
            assert!(!media.is_rejected(), "{name}: section {}", media.index());
            assert_eq!(media.mid(), offered.mid());
            let ours: Vec<&str> = media.formats().collect();
            assert!(
                !ours.is_empty() && ours.iter().all(|format| offered.formats().any(|it| it == *format)),
                "{name}"
            );
        }
        session.set_local(epoch(), SdpType::Answer, answer.clone()).unwrap();
        assert_eq!(session.signaling_state(), SignalingState::Stable);
        assert!(!needs(&mut session), "{name}");
        let media = answer.media().filter(|media| !media.is_data_channels()).count();
        assert_eq!(session.transceivers().count(), media, "{name}");
        if name.contains("simulcast") || name.contains("firefox") {
            let video = session.transceivers().find(|(_, info)| info.kind == MediaKind::Video).unwrap().1;
            assert!(video.negotiated.unwrap().receive_rids.len() >= 2, "{name}");
        }
        // And our own next offer is one that our answer's sections fit.
        let next = session.create_offer(epoch()).unwrap();
        assert_eq!(next.media().len(), answer.media().len());
        seen += 1;
    }
    assert!(seen >= 15, "{seen}");
}

/// RFC 9143 §9.1: there are too few payload types for each section to have its own.
#[test]
fn very_many_sections_share_their_payload_types() {
    for (kind, count) in [(MediaKind::Audio, 200), (MediaKind::Video, 100)] {
        let mut two = harness::Two::new();
        let now = two.now();
        (0..count).for_each(|_| _ = two.session(0).add_track(now, kind, vec![]).unwrap());
        let formats = |offer: &SessionDescription| -> std::collections::BTreeSet<String> {
            offer.media().map(|media| media.formats().collect::<Vec<_>>().join(" ")).collect()
        };
        let offer = two.session(0).create_offer(now).unwrap();
        assert_eq!((offer.media().len(), formats(&offer).len()), (count, 1));
        two.negotiate(0);
        assert!(two.run(std::time::Duration::from_secs(5), harness::Two::is_connected), "{}", two.reports());
        // Retransmissions that the peer has left out are offered again, for all sections under the same numbers.
        let offer = two.session(1).create_offer(now).unwrap();
        assert_eq!((offer.media().len(), formats(&offer).len()), (count, 1));
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    let mut a = fresh(0);
    let named = |names: &[&str]| {
        let mut init = TransceiverInit::default();
        init.send_encodings =
            names.iter().map(|name| SendEncoding::named(name).unwrap_or_default()).collect();
        init
    };
    let mut add = |kind, init| a.add_transceiver(epoch(), kind, init);
    let wrong = Err(TransceiverError::Encodings);
    assert_eq!(add(MediaKind::Video, named(&["a", "a"])), wrong);
    assert_eq!(add(MediaKind::Video, named(&["a", ""])), wrong);
    assert_eq!(add(MediaKind::Audio, named(&["a", "b"])), wrong);
    let names: Vec<String> = (0..17).map(|number| number.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(add(MediaKind::Video, named(&names)), wrong);
    assert!(add(MediaKind::Video, named(&names[1..])).is_ok());
    for streams in [vec!["a b".to_owned()], vec!["-".to_owned()], vec!["x".repeat(65)], vec![String::new()]] {
        let mut init = TransceiverInit::default();
        init.streams = streams;
        assert_eq!(add(MediaKind::Audio, init), Err(TransceiverError::Streams));
    }
    assert_eq!(TransceiverError::Encodings.name(), "TypeError");
    assert_eq!(NegotiationError::WrongState(SignalingState::Closed).name(), "InvalidStateError");
    a.close(epoch());
    let closed = a.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default());
    assert_eq!(closed, Err(TransceiverError::Closed));
}
