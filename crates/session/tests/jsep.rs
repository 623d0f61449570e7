//! What RFC 9429 asks of descriptions, rule by rule.
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

use harness::{CLOCK, Two, config};
use session::{
    CandidateError, ChannelInit, IceState, NegotiationError, SdpType, Session, SessionDescription,
    SignalingState,
};
use testkit::epoch;

fn offerer() -> Session {
    let mut session = answerer();
    session.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap();
    session
}

fn answerer() -> Session {
    Session::new(epoch(), CLOCK, config(0), [1; 32]).unwrap()
}

fn parse(text: &str) -> SessionDescription {
    SessionDescription::parse(text).unwrap()
}

fn offer() -> String {
    offerer().create_offer(epoch()).unwrap().to_string()
}

/// The answer of a new session to the offer in `text`.
fn answer_to(text: &str) -> String {
    let mut session = answerer();
    session.set_remote(epoch(), SdpType::Offer, parse(text)).unwrap();
    session.create_answer(epoch()).unwrap().to_string()
}

fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(start)).collect()
}

fn without(text: &str, start: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.starts_with(start)).collect()
}

fn version(text: &str) -> u64 {
    lines(text, "o=")[0].split(' ').nth(2).unwrap().parse().unwrap()
}

/// RFC 9429 §5.2.1 and §5.3.1.
#[test]
fn offers_and_answers_have_the_lines_they_must_and_none_that_is_forbidden() {
    let offer = offer();
    let answer = answer_to(&offer);
    for (text, setup) in [(&offer, "a=setup:actpass"), (&answer, "a=setup:active")] {
        let all: Vec<&str> = text.lines().collect();
        assert_eq!(all[0], "v=0");
        let origin: Vec<&str> = all[1].split(' ').collect();
        assert_eq!((origin[0], &origin[3..]), ("o=-", &["IN", "IP4", "0.0.0.0"][..]));
        assert!(origin[1].parse::<i64>().is_ok(), "{}", origin[1]);
        assert_eq!(all[2..4], ["s=-", "t=0 0"]);
        let media = all.iter().position(|line| line.starts_with("m=")).unwrap();
        assert_eq!(all[media], "m=application 9 UDP/DTLS/SCTP webrtc-datachannel");
        assert_eq!(all[media + 1], "c=IN IP4 0.0.0.0");
        assert!(all[..media].contains(&"a=group:BUNDLE 0"), "at session level: {text}");
        assert_eq!(lines(text, "a=ice-options:"), ["a=ice-options:trickle ice2 renomination"]);
        assert_eq!(lines(text, "a=mid:"), ["a=mid:0"]);
        assert_eq!(lines(text, "a=setup:"), [setup]);
        assert_eq!(lines(text, "a=sctp-port:"), ["a=sctp-port:5000"]);
        for once in
            ["a=ice-ufrag:", "a=ice-pwd:", "a=tls-id:", "a=fingerprint:sha-256 ", "a=max-message-size:"]
        {
            assert_eq!(lines(text, once).len(), 1, "{once} in {text}");
        }
        for never in ["k=", "i=", "u=", "e=", "p=", "r=", "z="] {
            assert!(lines(text, never).is_empty(), "{never} in {text}");
        }
        for never in ["a=crypto", "a=key-mgmt", "a=ice-lite", "a=bundle-only"] {
            assert!(lines(text, never).is_empty(), "{never} in {text}");
        }
    }
}

/// RFC 9429 §5.2.2 and §5.3.2.
#[test]
fn every_description_has_the_origin_of_the_first_with_a_greater_version() {
    let mut two = Two::new();
    two.connect();
    let now = two.now();
    for side in [0, 1] {
        let session = two.session(side);
        let first = session.create_offer(now).unwrap();
        let second = session.create_offer(now).unwrap();
        session.set_local(now, SdpType::Offer, second.clone()).unwrap();
        let third = session.create_offer(now).unwrap();
        session.rollback(now).unwrap();
        let fourth = session.create_offer(now).unwrap();
        let texts = [first, second, third, fourth].map(|text| text.to_string());
        for pair in texts.windows(2) {
            assert_eq!(version(&pair[1]), version(&pair[0]) + 1);
            let rest = |text: &str| text.replace(&format!(" {} IN", version(text)), " IN");
            assert_eq!(rest(&pair[0]), rest(&pair[1]), "all else stays");
        }
    }
    let offer = two.session(0).create_offer(now).unwrap();
    two.session(1).set_remote(now, SdpType::Offer, offer).unwrap();
    let answers = [(); 2].map(|()| two.session(1).create_answer(now).unwrap().to_string());
    assert_eq!(version(&answers[1]), version(&answers[0]) + 1);
}

/// RFC 9429 §5.1.3 and §5.3.1.
#[test]
fn an_answer_repeats_profile_and_format_and_the_next_offer_has_the_present_ones() {
    for profile in ["UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP"] {
        for formats in ["webrtc-datachannel", "other webrtc-datachannel"] {
            let line = format!("m=application 9 {profile} {formats}");
            let offer = offer().replace("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", &line);
            let mut session = answerer();
            session.set_remote(epoch(), SdpType::Offer, parse(&offer)).unwrap();
            let answer = session.create_answer(epoch()).unwrap();
            assert_eq!(lines(&answer.to_string(), "m="), [line]);
            session.set_local(epoch(), SdpType::Answer, answer).unwrap();
            let next = session.create_offer(epoch()).unwrap().to_string();
            assert_eq!(lines(&next, "m="), ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel"]);
        }
    }
}

/// RFC 9429 §5.3.1.
#[test]
fn an_answer_names_bundles_and_trickles_only_where_the_offer_does() {
    let offer = offer();
    let nameless = answer_to(&without(&without(&offer, "a=mid:"), "a=group:"));
    assert_eq!((lines(&nameless, "a=mid:").len(), lines(&nameless, "a=group:").len()), (0, 0));
    let alone = answer_to(&without(&offer, "a=group:"));
    assert_eq!((lines(&alone, "a=mid:").len(), lines(&alone, "a=group:").len()), (1, 0));
    let still = answer_to(&offer.replace("a=ice-options:trickle ice2", "a=ice-options:ice2"));
    assert_eq!(lines(&still, "a=ice-options:"), ["a=ice-options:ice2 renomination"]);
}

/// RFC 9429 §5.8.2 and §5.8.3.
#[test]
fn what_a_section_must_have_is_missed_and_nothing_is_changed() {
    for name in ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=sctp-port:"] {
        let mut session = answerer();
        let refused = session.set_remote(epoch(), SdpType::Offer, parse(&without(&offer(), name)));
        let attribute = name.trim_start_matches("a=").trim_end_matches(':');
        assert!(
            matches!(refused, Err(NegotiationError::Missing(missing)) if missing == attribute),
            "{name}: {refused:?}"
        );
        assert_eq!(session.signaling_state(), SignalingState::Stable);
        assert!(session.remote_description().is_none());
    }
    let second = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n";
    assert!(SessionDescription::parse(&format!("{}{second}", offer())).is_err(), "a name twice");
}

/// RFC 9429 §5.8.3.
#[test]
fn an_answer_has_the_sections_of_the_offer() {
    let mut session = offerer();
    let offer = session.create_offer(epoch()).unwrap();
    let answer = answer_to(&offer.to_string());
    session.set_local(epoch(), SdpType::Offer, offer).unwrap();
    let more = format!("{answer}m=audio 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\n");
    let fewer = answer[..answer.find("m=").unwrap()].replace("a=group:BUNDLE 0\r\n", "");
    let count = |found| NegotiationError::SectionCount { expected: 1, found };
    let other = NegotiationError::NotAsOffered { index: 0 };
    for (text, error) in [
        (more, count(2)),
        (fewer, count(0)),
        (answer.replace("m=application", "m=audio"), other),
        (answer.replace("UDP/DTLS/SCTP", "TCP/DTLS/SCTP"), other),
        (answer.replace("setup:active", "setup:actpass"), NegotiationError::Setup(sdp::Setup::ActPass)),
    ] {
        assert_eq!(session.set_remote(epoch(), SdpType::Answer, parse(&text)), Err(error), "{text}");
        assert_eq!(session.signaling_state(), SignalingState::HaveLocalOffer);
    }
    session.set_remote(epoch(), SdpType::Answer, parse(&answer)).unwrap();
}

/// RFC 9429 §5.8.3 and §5.11.
#[test]
fn another_tls_id_in_mid_session_is_refused() {
    let mut two = Two::new();
    let ours = two.connect();
    let theirs = two.incoming(1);
    let now = two.now();
    let offer = two.session(0).create_offer(now).unwrap();
    let known = lines(&offer.to_string(), "a=tls-id:")[0].to_owned();
    let other = offer.to_string().replace(&known, "a=tls-id:abcdefghijklmnopqrstuvwxyz");
    let refused = two.session(1).set_remote(now, SdpType::Offer, parse(&other));
    assert_eq!(refused, Err(NegotiationError::DtlsChanged));
    two.echo(ours, theirs);
    two.negotiate(0);
    two.echo(ours, theirs);
}

/// RFC 9429 §5.11.
#[test]
fn the_sctp_port_of_the_peer_is_the_one_that_is_sent_to() {
    // Each side is told that the other uses 5000, so a port of another's can only be seen from outside: a
    // wrong one makes the packets go astray, which the right one does not.
    for (port, connects) in [(5000, true), (6000, false)] {
        let mut two = Two::new();
        let now = two.now();
        two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
        let offer = two.session(0).create_offer(now).unwrap();
        two.session(0).set_local(now, SdpType::Offer, offer.clone()).unwrap();
        let told = offer.to_string().replace("a=sctp-port:5000", &format!("a=sctp-port:{port}"));
        two.session(1).set_remote(now, SdpType::Offer, parse(&told)).unwrap();
        let answer = two.session(1).create_answer(now).unwrap();
        two.session(1).set_local(now, SdpType::Answer, answer.clone()).unwrap();
        two.session(0).set_remote(now, SdpType::Answer, answer).unwrap();
        let opened = two.run(Duration::from_secs(3), |two| {
            two.seen[1].iter().any(|event| matches!(event, session::Event::ChannelOpened(_)))
        });
        assert_eq!(opened, connects, "port {port}: {}", two.reports());
    }
}

/// RFC 9429 §4.1.10 and §5.6.
#[test]
fn an_offer_of_the_peer_may_be_replaced_before_it_is_answered() {
    let mut two = Two::new();
    let now = two.now();
    two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    let first = two.session(0).create_offer(now).unwrap();
    two.session(0).set_local(now, SdpType::Offer, first.clone()).unwrap();
    two.session(1).set_remote(now, SdpType::Offer, first).unwrap();
    let second = two.session(0).create_offer(now).unwrap();
    two.session(0).set_local(now, SdpType::Offer, second.clone()).unwrap();
    two.session(1).set_remote(now, SdpType::Offer, second.clone()).unwrap();
    assert_eq!(two.session(1).signaling_state(), SignalingState::HaveRemoteOffer);
    let kept = two.session(1).remote_description().unwrap().1.to_string();
    assert_eq!(version(&kept), version(&second.to_string()));
    let answer = two.session(1).create_answer(now).unwrap();
    two.session(1).set_local(now, SdpType::Answer, answer.clone()).unwrap();
    two.session(0).set_remote(now, SdpType::Answer, answer).unwrap();
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
}

/// RFC 9429 §3.5.2.1 and §4.1.19.
#[test]
fn a_candidate_goes_by_its_mid_and_else_by_its_index() {
    let mut session = answerer();
    session.set_remote(epoch(), SdpType::Offer, parse(&with_audio(&offer()))).unwrap();
    // What belongs to the section for data is read, what belongs to a rejected one is not.
    let garbage = "candidate:garbage";
    let mut is_read = |mid, section| match session.add_remote_candidate(epoch(), garbage, mid, section, None)
    {
        Ok(()) => false,
        Err(CandidateError::Parse(_)) => true,
        Err(error) => panic!("{error}"),
    };
    assert!(is_read(Some("0"), Some(0)) && !is_read(Some("a"), Some(1)), "the name decides");
    assert!(is_read(None, Some(1)) && !is_read(None, Some(0)), "the index where there is no name");
}

/// RFC 9429 §4.1.19.
#[test]
fn an_end_of_candidates_without_a_section_is_that_of_all() {
    // Once ICE knows of the end, it is complete, and merely connected before.
    for (mid, expected) in
        [(Some("0"), IceState::Completed), (Some("a"), IceState::Connected), (None, IceState::Completed)]
    {
        let mut two = Two::new();
        let now = two.now();
        two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
        let offer = two.session(0).create_offer(now).unwrap();
        two.session(0).set_local(now, SdpType::Offer, offer.clone()).unwrap();
        // On its way a section is added in front of the one for data, and taken out of the answer.
        two.session(1).set_remote(now, SdpType::Offer, parse(&with_audio(&offer.to_string()))).unwrap();
        let answer = two.session(1).create_answer(now).unwrap();
        two.session(1).set_local(now, SdpType::Answer, answer.clone()).unwrap();
        let text = answer.to_string();
        let [audio, data] = ["m=audio", "m=application"].map(|media| text.find(media).unwrap());
        let answer = parse(&format!("{}{}", &text[..audio], &text[data..]));
        two.session(0).set_remote(now, SdpType::Answer, answer).unwrap();
        assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
        let now = two.now();
        two.session(1).add_remote_candidate(now, "", mid, None, None).unwrap();
        two.run(Duration::from_secs(1), |_| false);
        assert_eq!(two.session(1).ice_state(), expected, "{mid:?}");
    }
}

/// `offer` with a section named `a` in front of the one for data.
fn with_audio(offer: &str) -> String {
    let at = offer.find("m=").unwrap();
    let audio = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:a\r\n";
    format!("{}{audio}{}", &offer[..at], &offer[at..])
}

/// RFC 9429 §5.8.1: credentials, options, fingerprints, setup and tls-id may stand before the first section.
#[test]
fn what_stands_at_the_session_holds_for_its_section() {
    let names = ["a=ice-ufrag:", "a=ice-pwd:", "a=ice-options:", "a=fingerprint:", "a=setup:", "a=tls-id:"];
    let moved = |text: &str| {
        let (head, section) = text.split_at(text.find("m=").unwrap());
        let is_moved = |line: &&str| names.iter().any(|name| line.starts_with(name));
        let (shared, own): (Vec<&str>, Vec<&str>) = section.split_inclusive('\n').partition(is_moved);
        assert!(shared.len() >= 5, "{shared:?}");
        [head, &shared.concat(), &own.concat()].concat()
    };
    let mut two = Two::new();
    let now = two.now();
    two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    let offer = two.session(0).create_offer(now).unwrap();
    two.session(0).set_local(now, SdpType::Offer, offer.clone()).unwrap();
    // The role is decided by the offer, where the answerer would have taken the other one.
    let carried = moved(&offer.to_string().replace("a=setup:actpass", "a=setup:active"));
    two.session(1).set_remote(now, SdpType::Offer, parse(&carried)).unwrap();
    let answer = two.session(1).create_answer(now).unwrap();
    assert_eq!(lines(&answer.to_string(), "a=setup:"), ["a=setup:passive"]);
    two.session(1).set_local(now, SdpType::Answer, answer.clone()).unwrap();
    two.session(0).set_remote(now, SdpType::Answer, parse(&moved(&answer.to_string()))).unwrap();
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
}

/// RFC 9143 §7.1.
#[test]
fn the_names_of_a_bundle_are_those_of_sections() {
    let offer = offer().replace("a=group:BUNDLE 0", "a=group:BUNDLE 0 1");
    let refused = answerer().set_remote(epoch(), SdpType::Offer, parse(&offer));
    assert_eq!(refused, Err(NegotiationError::UnknownBundledMid));
}
