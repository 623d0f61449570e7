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

use harness::{CLOCK, config};
use session::{Codec, Event, MediaKind, SdpType, Session, SessionDescription};
use testkit::epoch;

fn both() -> [Session; 2] {
    [0, 1].map(|side| Session::new(epoch(), CLOCK, config(side), [side + 1; 32]).unwrap())
}

fn offer(session: &mut Session) -> SessionDescription {
    let offer = session.create_offer(epoch()).unwrap();
    session.set_local(epoch(), SdpType::Offer, offer.clone()).unwrap();
    offer
}

fn answer(session: &mut Session, offer: SessionDescription) -> SessionDescription {
    session.set_remote(epoch(), SdpType::Offer, offer).unwrap();
    let answer = session.create_answer(epoch()).unwrap();
    session.set_local(epoch(), SdpType::Answer, answer.clone()).unwrap();
    answer
}

fn negotiate(offerer: &mut Session, answerer: &mut Session) -> [SessionDescription; 2] {
    let offer = offer(offerer);
    let answer = answer(answerer, offer.clone());
    offerer.set_remote(epoch(), SdpType::Answer, answer.clone()).unwrap();
    [offer, answer]
}

fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(start)).collect()
}

/// What the sections carry, and their ports.
fn sections(description: &SessionDescription) -> Vec<(String, u16)> {
    description.media().map(|media| (media.kind_text().to_owned(), media.port())).collect()
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event()).collect()
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
