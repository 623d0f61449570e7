//! What exchanges of descriptions make of sections that are refused, given up or stopped meanwhile.
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

use std::time::Duration;

use harness::exchange::{answer, both, events, lines, needs, negotiate, offer, parse};
use harness::{Two, config, near};
use session::{
    CandidateError, ChannelInit, ChannelState, Codec, Direction, Event, MediaKind, SdpType, SendEncoding,
    Session, SessionDescription, TransceiverId, TransceiverInit,
};
use testkit::epoch;

/// What the sections carry, and their ports.
fn sections(description: &SessionDescription) -> Vec<(String, u16)> {
    description.media().map(|media| (media.kind_text().to_owned(), media.port())).collect()
}

fn video(session: &Session, name: &str) -> Vec<Codec> {
    let is_it = |codec: &&Codec| codec.kind == MediaKind::Video && codec.name == name;
    let found: Vec<Codec> = session.media_config().codecs.iter().filter(is_it).cloned().collect();
    assert!(!found.is_empty(), "{name}");
    found
}

#[test]
fn a_section_that_has_none_of_the_preferred_codecs_is_rejected_and_the_others_are_not() {
    for is_late in [false, true] {
        let [mut a, mut b] = both();
        let theirs = b.add_track(epoch(), MediaKind::Video, vec![]).unwrap();
        b.set_codec_preferences(theirs, video(&b, "VP8")).unwrap();
        b.add_track(epoch(), MediaKind::Audio, vec![]).unwrap();
        let ours = a.add_track(epoch(), MediaKind::Video, vec![]).unwrap();
        let preferred = video(&a, "VP9");
        if !is_late {
            a.set_codec_preferences(ours, preferred.clone()).unwrap();
        }
        let offer = offer(&mut b);
        a.set_remote(epoch(), SdpType::Offer, offer.clone()).unwrap();
        if is_late {
            a.set_codec_preferences(ours, preferred).unwrap();
        } else {
            // Before it is answered another may take its place.
            a.set_remote(epoch(), SdpType::Offer, offer).unwrap();
        }
        let answer = a.create_answer(epoch()).unwrap();
        assert_eq!(sections(&answer), [("video".to_owned(), 0), ("audio".to_owned(), 9)], "{is_late}");
        assert_eq!(lines(&answer.to_string(), "a=group:"), ["a=group:BUNDLE 1"]);
        a.set_local(epoch(), SdpType::Answer, answer.clone()).unwrap();
        b.set_remote(epoch(), SdpType::Answer, answer).unwrap();
        assert_eq!(b.transceivers().count(), 1);
        // In its place there may be one of which both speak something.
        negotiate(&mut a, &mut b);
        negotiate(&mut b, &mut a);
    }
}

#[test]
fn candidates_of_a_section_that_is_rejected_late_stand_in_the_next_of_its_transport() {
    let [mut a, mut b] = both();
    for kind in [MediaKind::Video, MediaKind::Audio] {
        b.add_track(epoch(), kind, vec![]).unwrap();
        a.add_track(epoch(), kind, vec![]).unwrap();
    }
    let offer = offer(&mut b);
    a.set_remote(epoch(), SdpType::Offer, offer).unwrap();
    let first = a.create_answer(epoch()).unwrap();
    a.set_local(epoch(), SdpType::Pranswer, first).unwrap();
    events(&mut a);
    let (ours, _) = a.transceivers().find(|(_, info)| info.kind == MediaKind::Video).unwrap();
    a.stop_transceiver(epoch(), ours).unwrap();
    let answer = a.create_answer(epoch()).unwrap();
    let counts: Vec<usize> = answer.media().map(|media| media.candidates().count()).collect();
    assert!(counts[0] == 0 && counts[1] > 0, "{answer}");
}

/// An answer without the data section, which was the last of its bundle.
fn without_data(answer: &SessionDescription) -> SessionDescription {
    let text = answer.to_string();
    assert!(text.contains("m=application 9 "), "{text}");
    let bundle = lines(&text, "a=group:BUNDLE")[0];
    let rest = bundle.rsplit_once(' ').unwrap().0;
    parse(&text.replace(bundle, rest).replace("m=application 9 ", "m=application 0 "))
}

#[test]
fn a_peer_that_takes_no_data_is_asked_again_only_for_another_channel() {
    let [mut a, mut b] = both();
    a.add_track(epoch(), MediaKind::Audio, vec![]).unwrap();
    let refused = a.open_channel(epoch(), ChannelInit::labelled("refused")).unwrap();
    let first = offer(&mut a);
    let rest = without_data(&answer(&mut b, first));
    a.set_remote(epoch(), SdpType::Answer, rest).unwrap();
    let told = events(&mut a);
    assert!(told.contains(&Event::ChannelClosed(refused)), "{told:?}");
    assert!(!told.contains(&Event::NegotiationNeeded), "{told:?}");
    assert_eq!(a.channel(refused).unwrap().state, ChannelState::Closed, "nobody has read it to its end");
    assert_eq!(sections(&a.create_offer(epoch()).unwrap())[1].1, 0);
    // W3C WebRTC 1.0 §6.1: another one calls for an exchange of its own.
    let next = a.open_channel(epoch(), ChannelInit::labelled("next")).unwrap();
    assert_eq!(a.channel(next).unwrap().state, ChannelState::Connecting);
    assert!(needs(&mut a));
    let again = a.create_offer(epoch()).unwrap();
    assert_eq!(again.media().len(), 2, "the rejected section is used again: {again}");
    let data = again.media().nth(1).unwrap();
    assert!(data.is_data_channels() && !data.is_rejected() && data.mid() == Some("2"), "{again}");
}

#[test]
fn data_that_was_refused_can_be_had_later_and_works() {
    let mut two = Two::with([config(0), config(1)], near());
    let now = two.now();
    for side in [0, 1] {
        two.session(side).add_track(now, MediaKind::Audio, vec![]).unwrap();
    }
    // Once before there was an association, once while it was in use.
    for is_in_use in [false, true] {
        let now = two.now();
        if is_in_use {
            two.negotiate(0);
            assert!(two.run(Duration::from_secs(5), Two::is_connected));
        } else {
            two.session(0).open_channel(now, ChannelInit::labelled("refused")).unwrap();
        }
        let now = two.now();
        let offer = two.session(0).create_offer(now).unwrap();
        two.session(0).set_local(now, SdpType::Offer, offer.clone()).unwrap();
        let text = offer.to_string().replace("m=application 9 ", "m=application 0 ");
        let given_up = text.replace("a=bundle-only\r\n", "");
        two.session(1).set_remote(now, SdpType::Offer, parse(&given_up)).unwrap();
        let answer = two.session(1).create_answer(now).unwrap();
        two.session(1).set_local(now, SdpType::Answer, answer.clone()).unwrap();
        two.session(0).set_remote(now, SdpType::Answer, answer).unwrap();
        two.bind();
        two.run(Duration::from_secs(2), |_| false);
        two.seen.iter_mut().for_each(Vec::clear);
        let now = two.now();
        let ours = two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
        two.negotiate(0);
        assert!(two.run(Duration::from_secs(5), Two::is_connected));
        let theirs = two.incoming(1);
        two.echo(ours, theirs);
    }
}

#[test]
fn a_data_section_that_an_offer_gives_up_beside_media_ends_channels_on_both_sides() {
    let mut two = Two::with([config(0), config(1)], near());
    let now = two.now();
    for side in [0, 1] {
        two.session(side).add_track(now, MediaKind::Audio, vec![]).unwrap();
    }
    let ours = two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    two.negotiate(0);
    assert!(two.run(Duration::from_secs(5), Two::is_connected));
    let theirs = two.incoming(1);
    two.echo(ours, theirs);
    let now = two.now();
    let offer = two.session(0).create_offer(now).unwrap();
    two.session(0).set_local(now, SdpType::Offer, offer.clone()).unwrap();
    let given_up = offer.to_string().replace("m=application 9 ", "m=application 0 ");
    two.session(1).set_remote(now, SdpType::Offer, parse(&given_up)).unwrap();
    let answer = two.session(1).create_answer(now).unwrap();
    two.session(1).set_local(now, SdpType::Answer, answer.clone()).unwrap();
    two.session(0).set_remote(now, SdpType::Answer, answer).unwrap();
    for (side, channel) in [(0, ours), (1, theirs)] {
        let told = events(two.session(side));
        assert!(told.contains(&Event::ChannelClosed(channel)), "side {side}: {told:?}");
        assert!(!told.contains(&Event::NegotiationNeeded), "side {side}: {told:?}");
        let state = two.session(side).channel(channel).map(|info| info.state);
        assert!(state.is_none_or(|state| state == ChannelState::Closed), "side {side}: {state:?}");
    }
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "media go on");
}

#[test]
fn layers_that_a_peer_asks_for_are_scaled_as_if_they_were_ours() {
    let [mut a, mut b] = both();
    let id = a.add_track(epoch(), MediaKind::Video, vec![]).unwrap();
    let mut receives = TransceiverInit::default();
    receives.direction = Direction::RecvOnly;
    b.add_transceiver(epoch(), MediaKind::Video, receives).unwrap();
    let offer = b.create_offer(epoch()).unwrap();
    let asks = "a=rid:1 recv\r\na=rid:2 recv\r\na=rid:3 recv\r\na=simulcast:recv 1;2;3\r\n";
    a.set_remote(epoch(), SdpType::Offer, parse(&format!("{offer}{asks}"))).unwrap();
    let encodings = a.transceiver(id).unwrap().encodings.iter();
    let scales = encodings.map(|encoding| encoding.wanted.scale_resolution_down_by);
    assert!(scales.eq([Some(4.0), Some(2.0), Some(1.0)]));
}

#[test]
fn a_transceiver_that_is_stopped_between_offer_and_setting_it_ends_with_the_next_exchange() {
    let [mut a, mut b] = both();
    let id = a.add_transceiver(epoch(), MediaKind::Video, TransceiverInit::default()).unwrap();
    let first = a.create_offer(epoch()).unwrap();
    a.stop_transceiver(epoch(), id).unwrap();
    a.set_local(epoch(), SdpType::Offer, first.clone()).unwrap();
    let rest = answer(&mut b, first);
    a.set_remote(epoch(), SdpType::Answer, rest).unwrap();
    assert_eq!(b.transceivers().count(), 1);
    assert!(needs(&mut a));
    let [next, last] = negotiate(&mut a, &mut b);
    assert_eq!(
        (sections(&next), sections(&last)),
        (vec![("video".to_owned(), 0)], vec![("video".to_owned(), 0)])
    );
    assert_eq!([a.transceivers().count(), b.transceivers().count()], [0, 0]);
    assert!(!needs(&mut a));
}

#[test]
fn a_stopped_transceiver_whose_offer_is_not_set_is_gone_with_the_offer() {
    let drop_offer: [fn(&mut Session, &mut Session); 3] = [
        |a, _| drop(a.create_offer(epoch()).unwrap()),
        |a, b| a.set_remote(epoch(), SdpType::Offer, offer(b)).unwrap(),
        |a, _| drop(offer(a)),
    ];
    for drop_offer in drop_offer {
        let [mut a, mut b] = both();
        b.add_track(epoch(), MediaKind::Audio, vec![]).unwrap();
        let id = a.add_transceiver(epoch(), MediaKind::Video, TransceiverInit::default()).unwrap();
        a.create_offer(epoch()).unwrap();
        a.stop_transceiver(epoch(), id).unwrap();
        assert!(!needs(&mut a));
        drop_offer(&mut a, &mut b);
        assert!(a.transceiver(id).is_none());
    }
}

/// `answer` with what says of the transport left to the first of its two sections.
fn tagged(answer: &SessionDescription) -> SessionDescription {
    let text = answer.to_string();
    let (first, second) = text.split_at(text.find("m=video").unwrap());
    let is_of_transport = |line: &&str| {
        ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup", "a=tls-id"]
            .iter()
            .any(|it| line.starts_with(it))
    };
    let rest: String = second.split_inclusive("\r\n").filter(|line| !is_of_transport(line)).collect();
    parse(&format!("{first}{rest}"))
}

#[test]
fn what_is_stopped_while_it_is_offered_is_still_answered() {
    let [mut a, mut b] = both();
    let id = a.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).unwrap();
    a.add_transceiver(epoch(), MediaKind::Video, TransceiverInit::default()).unwrap();
    let first = offer(&mut a);
    let rest = tagged(&answer(&mut b, first));
    a.stop_transceiver(epoch(), id).unwrap();
    a.set_remote(epoch(), SdpType::Answer, rest).unwrap();
    assert!(needs(&mut a));
    // The peer still gathers for the section that its candidates stand in.
    let read = a.add_remote_candidate(epoch(), "candidate:garbage", Some("0"), Some(0), None);
    assert!(matches!(read, Err(CandidateError::Parse(_))), "{read:?}");
    let [next, last] = negotiate(&mut a, &mut b);
    for description in [next, last] {
        assert_eq!(sections(&description), [("audio".to_owned(), 0), ("video".to_owned(), 9)]);
    }
    assert_eq!([a.transceivers().count(), b.transceivers().count()], [1, 1]);
}

fn simulcasting(session: &mut Session) -> TransceiverId {
    let mut several = TransceiverInit::default();
    several.direction = Direction::SendOnly;
    several.send_encodings = ["q", "h", "f"].map(|rid| SendEncoding::named(rid).unwrap()).to_vec();
    session.add_transceiver(epoch(), MediaKind::Video, several).unwrap()
}

/// RFC 8853 §5.3.2.
#[test]
fn simulcast_that_a_further_offer_takes_no_more_of_is_not_sent() {
    for (asks, left) in [("a=simulcast:recv q;f\r\n", vec![Some("q"), Some("f")]), ("", vec![None])] {
        let [mut a, mut b] = both();
        let id = simulcasting(&mut a);
        negotiate(&mut a, &mut b);
        let first = a.transceiver(id).unwrap().encodings[0].ssrc;
        let text = offer(&mut b).to_string();
        assert!(text.contains("a=simulcast:recv q;h;f\r\n"));
        let rest = answer(&mut a, parse(&text.replace("a=simulcast:recv q;h;f\r\n", asks)));
        let encodings = a.transceiver(id).unwrap().encodings;
        let names: Vec<_> = encodings.iter().map(|it| it.wanted.rid.map(|rid| rid.to_string())).collect();
        assert_eq!(names.iter().map(Option::as_deref).collect::<Vec<_>>(), left);
        assert_eq!(encodings[0].ssrc, first, "it goes on as it was");
        let text = rest.to_string();
        let is_named = text.contains(&format!("a=ssrc:{first} "));
        assert_eq!(
            (lines(&text, "a=simulcast:").len(), is_named),
            (usize::from(left.len() > 1), left.len() == 1)
        );
    }
}

#[test]
fn simulcast_outlasts_a_time_in_which_nothing_is_sent() {
    let [mut a, mut b] = both();
    let id = simulcasting(&mut a);
    negotiate(&mut a, &mut b);
    a.set_direction(epoch(), id, Direction::Inactive).unwrap();
    negotiate(&mut b, &mut a);
    assert_eq!(a.transceiver(id).unwrap().encodings.len(), 3);
}

/// RFC 9429 §4.1.10.1.
#[test]
fn media_flow_upon_a_provisional_answer() {
    let mut two = Two::with([config(0), config(1)], near());
    let now = two.now();
    let ids = [0, 1].map(|side| two.session(side).add_track(now, MediaKind::Audio, vec![]).unwrap());
    let offer = two.session(0).create_offer(now).unwrap();
    two.session(0).set_local(now, SdpType::Offer, offer.clone()).unwrap();
    two.session(1).set_remote(now, SdpType::Offer, offer).unwrap();
    let answer = two.session(1).create_answer(now).unwrap();
    two.session(1).set_local(now, SdpType::Pranswer, answer.clone()).unwrap();
    two.session(0).set_remote(now, SdpType::Pranswer, answer).unwrap();
    assert!(two.run(Duration::from_secs(5), Two::is_connected));
    send_both_ways(&mut two, ids, 1);
    // The final one leaves it as it is.
    let now = two.now();
    let answer = two.session(1).create_answer(now).unwrap();
    two.session(1).set_local(now, SdpType::Answer, answer.clone()).unwrap();
    two.session(0).set_remote(now, SdpType::Answer, answer).unwrap();
    send_both_ways(&mut two, ids, 2);
}

fn send_both_ways(two: &mut Two, ids: [TransceiverId; 2], number: u16) {
    let now = two.now();
    for (side, id) in ids.into_iter().enumerate() {
        two.peer(1 - side).media.clear();
        let info = two.session(side).transceiver(id).unwrap();
        let payload_type = info.negotiated.unwrap().send[0].payload_type;
        let ssrc = info.encodings[0].ssrc;
        let sequence_number = rtp::SequenceNumber(number);
        let header = rtp::Header { payload_type, sequence_number, ssrc, ..rtp::Header::default() };
        let mut memory = [0; 200];
        let mut out = proto::Writer::new(&mut memory);
        rtp::Encoder::new(&mut out, header, &[]).unwrap().finish(b"sound", 0).unwrap();
        two.session(side).send_rtp(now, id, out.written()).unwrap();
    }
    two.run(Duration::from_secs(1), |_| false);
    for side in [0, 1] {
        let came = &two.peer(side).media;
        assert!(matches!(&came[..], [one] if one.transceiver == ids[side]), "side {side}: {came:?}");
    }
}
