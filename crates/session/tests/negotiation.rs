//! Offers and answers: with the descriptions of other stacks, broken ones, glare, wrong order.
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
    CandidateError, ChannelInit, ConnectionState, Event, Failure, NegotiationError, SdpType, Session,
    SessionDescription, SignalingState,
};
use testkit::epoch;

macro_rules! vectors {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../sdp/tests/vectors/", $name)))),*]
    };
}

/// Offers that other stacks have made.
const OFFERS: &[(&str, &str)] = vectors![
    "aiortc-bundle-all-0-offer.sdp",
    "aiortc-dc-utf8-0-offer.sdp",
    "aiortc-media-sendonly-0-offer.sdp",
    "aiortc-video-h264-0-offer.sdp",
    "chromium-bundle-all-0-offer.sdp",
    "chromium-bundle-policy-balanced-0-offer.sdp",
    "chromium-certificate-rsa-0-offer.sdp",
    "chromium-dc-utf8-0-offer.sdp",
    "chromium-ice-restart-0-offer.sdp",
    "chromium-mdns-0-offer.sdp",
    "chromium-media-sendonly-0-offer.sdp",
    "chromium-no-trickle-0-offer.sdp",
    "chromium-relay-udp-0-offer.sdp",
    "chromium-renegotiate-stop-0-offer.sdp",
    "chromium-simulcast-0-offer.sdp",
    "chromium-video-h264-0-offer.sdp",
];

fn fresh(side: u8) -> Session {
    Session::new(epoch(), CLOCK, config(side), [side; 32]).unwrap()
}

fn parse(text: &str) -> SessionDescription {
    SessionDescription::parse(text).unwrap()
}

fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim_end().strip_prefix(name))
}

/// The answer to an offer, set on both sides of `session`.
fn answer(session: &mut Session, offer: SessionDescription) -> SessionDescription {
    session.set_remote(epoch(), SdpType::Offer, offer).unwrap();
    let answer = session.create_answer(epoch()).unwrap();
    session.set_local(epoch(), SdpType::Answer, answer.clone()).unwrap();
    assert_eq!(session.signaling_state(), SignalingState::Stable);
    parse(&answer.to_string())
}

#[test]
fn offers_of_other_stacks_get_right_answers() {
    for (name, text) in OFFERS {
        let offer = parse(text);
        let mut session = fresh(0);
        let answer = answer(&mut session, offer.clone());
        assert_eq!(answer.media().len(), offer.media().len(), "{name}");
        let mut accepted = Vec::new();
        for (theirs, ours) in offer.media().zip(answer.media()) {
            assert_eq!((theirs.mid(), theirs.kind_text()), (ours.mid(), ours.kind_text()), "{name}");
            assert_eq!(theirs.protocol(), ours.protocol(), "{name}");
            assert!(!ours.is_rejected(), "{name}: {:?}", theirs.mid());
            accepted.extend(ours.mid());
            // RFC 8842 §5.3: an answer never leaves the role open.
            assert!(matches!(ours.setup(), Some(sdp::Setup::Active | sdp::Setup::Passive)), "{name}");
            assert!(ours.fingerprints().next().is_some() && ours.ice_ufrag().is_some(), "{name}");
        }
        let bundled: Vec<&str> = answer.bundle_groups().flatten().collect();
        assert_eq!(bundled, accepted, "{name}");
    }
}

#[test]
fn a_second_offer_of_the_same_peer_keeps_role_and_fingerprint() {
    let mut session = fresh(0);
    let text = OFFERS.iter().find(|(name, _)| name.contains("chromium-dc-utf8")).unwrap().1;
    let first = answer(&mut session, parse(text)).to_string();
    let second = answer(&mut session, parse(text)).to_string();
    for name in ["a=setup:", "a=fingerprint:", "a=ice-ufrag:", "a=ice-pwd:", "a=tls-id:"] {
        assert_eq!(value(&first, name), value(&second, name), "{name}");
    }
    // An offer of ours keeps the transport, and leaves the role open as RFC 8842 §5.5 asks.
    let offer = session.create_offer(epoch()).unwrap().to_string();
    assert_eq!(value(&offer, "a=fingerprint:"), value(&first, "a=fingerprint:"));
    assert_eq!(value(&offer, "a=ice-ufrag:"), value(&first, "a=ice-ufrag:"));
    assert_eq!(value(&offer, "a=setup:"), Some("actpass"));
}

#[test]
fn a_new_role_or_certificate_in_mid_session_is_refused() {
    let mut two = Two::new();
    let ours = two.connect();
    let theirs = two.incoming(1);
    let now = two.now();
    let offer = two.session(0).create_offer(now).unwrap();
    let text = offer.to_string();
    two.session(0).set_local(now, SdpType::Offer, offer.clone()).unwrap();
    let print = value(&text, "a=fingerprint:sha-256 ").unwrap();
    let other =
        text.replace(print, &format!("{}{}", if print.starts_with("00") { "11" } else { "00" }, &print[2..]));
    let refused = two.session(1).set_remote(now, SdpType::Offer, parse(&other));
    assert_eq!(refused, Err(NegotiationError::DtlsChanged));
    two.session(1).set_remote(now, SdpType::Offer, offer).unwrap();
    let answer = two.session(1).create_answer(now).unwrap();
    two.session(1).set_local(now, SdpType::Answer, answer.clone()).unwrap();
    let text = answer.to_string();
    let turned = if text.contains("setup:active") {
        text.replace("setup:active", "setup:passive")
    } else {
        text.replace("setup:passive", "setup:active")
    };
    let refused = two.session(0).set_remote(now, SdpType::Answer, parse(&turned));
    assert_eq!(refused, Err(NegotiationError::DtlsChanged));
    two.session(0).set_remote(now, SdpType::Answer, answer).unwrap();
    two.echo(ours, theirs);
}

#[test]
fn rollback_leaves_things_as_they_were() {
    let mut two = Two::new();
    let now = two.now();
    assert_eq!(two.session(0).rollback(now), Err(NegotiationError::WrongState(SignalingState::Stable)));
    two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    let offer = two.session(0).create_offer(now).unwrap();
    two.session(0).set_local(now, SdpType::Offer, offer.clone()).unwrap();
    two.session(0).rollback(now).unwrap();
    assert_eq!(two.session(0).signaling_state(), SignalingState::Stable);
    assert!(two.session(0).local_description().is_none());
    two.session(1).set_remote(now, SdpType::Offer, offer).unwrap();
    two.session(1).rollback(now).unwrap();
    assert!(two.session(1).remote_description().is_none());
    // The other way round, with the channel that is still there.
    two.session(1).open_channel(now, ChannelInit::labelled("other")).unwrap();
    two.carry();
    for early in [0, 1] {
        two.forget_candidates(early);
    }
    two.negotiate(1);
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
    assert_eq!([two.incoming(0), two.incoming(1)].len(), 2);
}

/// `description` with every section rejected.
fn without_data(description: &SessionDescription) -> SessionDescription {
    let text = description.to_string();
    assert!(text.contains("m=application 9 "));
    parse(&text.replace("m=application 9 ", "m=application 0 "))
}

#[test]
fn an_offer_without_data_that_is_taken_back_leaves_the_connection() {
    let mut two = Two::new();
    let ours = two.connect();
    let theirs = two.incoming(1);
    let now = two.now();
    let offer = two.session(0).create_offer(now).unwrap();
    two.session(1).set_remote(now, SdpType::Offer, without_data(&offer)).unwrap();
    two.session(1).rollback(now).unwrap();
    two.echo(ours, theirs);
    two.negotiate(1);
    two.echo(ours, theirs);
}

#[test]
fn a_data_section_that_is_given_up_ends_channels_and_transport() {
    let mut two = Two::new();
    two.connect();
    two.incoming(1);
    let now = two.now();
    let offer = two.session(0).create_offer(now).unwrap();
    two.session(0).set_local(now, SdpType::Offer, offer.clone()).unwrap();
    let rest = answer(two.session(1), without_data(&offer));
    two.session(0).set_remote(now, SdpType::Answer, rest).unwrap();
    two.run(Duration::from_secs(1), |_| false);
    for side in [0, 1] {
        let state = two.session(side).connection_state();
        assert_eq!(state, ConnectionState::Failed(Failure::Rejected), "side {side}");
        let ended = two.seen[side].iter().any(|event| matches!(event, Event::ChannelClosed(_)));
        assert!(ended, "side {side}: {:?}", two.seen[side]);
        assert_eq!(two.session(side).poll_timeout(), None, "side {side}");
        assert!(two.session(side).local_description().is_some(), "side {side}");
    }
}

/// Found by fuzzing: the answer would have had two sections of one name.
#[test]
fn a_section_that_leaves_its_name_out_keeps_it_from_others() {
    let mut session = fresh(0);
    let offer = fresh_offer();
    answer(&mut session, parse(&offer));
    assert!(offer.contains("a=mid:0\r\n"));
    let at = offer.find("m=application").unwrap();
    let rejected = "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n";
    let second = format!("{}{rejected}{}", &offer[..at], &offer[at..]);
    let refused = session.set_remote(epoch(), SdpType::Offer, parse(&second));
    assert_eq!(refused, Err(NegotiationError::SectionChanged { index: 1 }));
    // Under another name it is another section, and fine.
    let third = second.replace("a=mid:0", "a=mid:1").replace("BUNDLE 0", "BUNDLE 1");
    let reply = answer(&mut session, parse(&third));
    assert_eq!(reply.media().map(|media| media.is_rejected()).collect::<Vec<_>>(), [true, false]);
}

fn fresh_offer() -> String {
    let mut session = fresh(1);
    session.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap();
    session.create_offer(epoch()).unwrap().to_string()
}

#[test]
fn a_restart_that_could_not_be_offered_is_still_wanted() {
    let mut two = Two::new();
    let ours = two.connect();
    let theirs = two.incoming(1);
    let now = two.now();
    let ufrag = |two: &mut Two| {
        let offer = two.session(0).create_offer(now).unwrap().to_string();
        value(&offer, "a=ice-ufrag:").unwrap().to_owned()
    };
    let before = ufrag(&mut two);
    // While the peer's offer is being answered.
    let offer = two.session(1).create_offer(now).unwrap();
    two.session(1).set_local(now, SdpType::Offer, offer.clone()).unwrap();
    two.session(0).set_remote(now, SdpType::Offer, offer).unwrap();
    two.session(0).restart_ice();
    assert_eq!(needs_negotiation(two.session(0)), 0, "not while another is under way");
    let refused = two.session(0).create_offer(now).map(|_| ());
    assert_eq!(refused, Err(NegotiationError::WrongState(SignalingState::HaveRemoteOffer)));
    let rest = two.session(0).create_answer(now).unwrap();
    assert_eq!(value(&rest.to_string(), "a=ice-ufrag:"), Some(&*before), "nothing was restarted");
    two.session(0).set_local(now, SdpType::Answer, rest.clone()).unwrap();
    two.session(1).set_remote(now, SdpType::Answer, rest).unwrap();
    assert_eq!(needs_negotiation(two.session(0)), 1);
    // In an offer that is taken back.
    let offer = two.session(0).create_offer(now).unwrap();
    two.session(0).set_local(now, SdpType::Offer, offer.clone()).unwrap();
    assert_ne!(value(&offer.to_string(), "a=ice-ufrag:"), Some(&*before));
    two.session(0).rollback(now).unwrap();
    assert_eq!(needs_negotiation(two.session(0)), 1, "after rollback");
    two.echo(ours, theirs);
    two.negotiate(0);
    assert_eq!(needs_negotiation(two.session(0)), 0, "done");
    assert_ne!(ufrag(&mut two), before);
    two.run(Duration::from_secs(60), |_| false);
    assert!(two.is_connected(), "{}", two.reports());
    two.echo(ours, theirs);
}

#[test]
fn a_channel_that_an_exchange_left_out_calls_for_another() {
    // Opened while an offer without data is answered.
    let mut session = fresh(0);
    let media = OFFERS.iter().find(|(name, _)| *name == "chromium-media-sendonly-0-offer.sdp").unwrap();
    session.set_remote(epoch(), SdpType::Offer, parse(media.1)).unwrap();
    session.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap();
    assert_eq!(needs_negotiation(&mut session), 0);
    let rest = session.create_answer(epoch()).unwrap();
    session.set_local(epoch(), SdpType::Answer, rest).unwrap();
    assert_eq!(needs_negotiation(&mut session), 1);
    // Given up for such an offer.
    let mut session = fresh(0);
    session.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap();
    let offer = session.create_offer(epoch()).unwrap();
    session.set_local(epoch(), SdpType::Offer, offer).unwrap();
    needs_negotiation(&mut session);
    answer(&mut session, parse(media.1));
    assert_eq!(needs_negotiation(&mut session), 1);
}

#[test]
fn a_rejected_section_can_be_used_again_under_another_name() {
    let mut session = fresh(1);
    let mut offerer = fresh(0);
    offerer.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap();
    let data = offerer.create_offer(epoch()).unwrap().to_string();
    let at = data.find("m=application").unwrap();
    let audio = |mid: &str| {
        let section = format!("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\n");
        parse(&format!("{}{section}{}", &data[..at], &data[at..]))
    };
    answer(&mut session, audio("a"));
    // RFC 9429 §5.2.2: what both have rejected may carry something else.
    let rest = answer(&mut session, audio("b")).to_string();
    assert!(rest.contains("m=audio 0 ") && rest.contains("a=mid:b"), "{rest}");
    // The section in use keeps its name.
    let renamed =
        parse(&audio("b").to_string().replace("a=mid:0", "a=mid:x").replace("BUNDLE 0", "BUNDLE x"));
    let refused = session.set_remote(epoch(), SdpType::Offer, renamed);
    assert_eq!(refused, Err(NegotiationError::SectionChanged { index: 1 }));
}

/// How often the news says that an offer is needed.
fn needs_negotiation(session: &mut Session) -> usize {
    let mut count = 0;
    while let Some(event) = session.poll_event() {
        count += usize::from(matches!(event, Event::NegotiationNeeded));
    }
    count
}

#[test]
fn a_restart_whose_offer_is_taken_back_is_made_by_the_next() {
    // Taken back by hand; by an offer of the peer's; refused while an offer of the peer's is answered.
    for way in 0..3 {
        let mut two = Two::new();
        let ours = two.connect();
        let theirs = two.incoming(1);
        let ufrag = |two: &mut Two, side: usize| {
            let text = two.session(side).local_description().unwrap().1.to_string();
            value(&text, "a=ice-ufrag:").unwrap().to_owned()
        };
        let before = [0, 1].map(|side| ufrag(&mut two, side));
        let now = two.now();
        two.session(0).restart_ice();
        if way < 2 {
            let offer = two.session(0).create_offer(now).unwrap();
            two.session(0).set_local(now, SdpType::Offer, offer).unwrap();
        }
        let asked = |two: &mut Two| {
            two.run(Duration::from_millis(100), |_| false);
            let asked = two.seen[0].iter().any(|event| matches!(event, Event::NegotiationNeeded));
            two.seen[0].clear();
            asked
        };
        asked(&mut two);
        let now = two.now();
        if way == 0 {
            two.session(0).rollback(now).unwrap();
        } else {
            let offer = two.session(1).create_offer(now).unwrap();
            two.session(1).set_local(now, SdpType::Offer, offer.clone()).unwrap();
            two.session(0).set_remote(now, SdpType::Offer, offer).unwrap();
            let refused = two.session(0).create_offer(now).map(|offer| offer.to_string());
            assert_eq!(refused, Err(NegotiationError::WrongState(SignalingState::HaveRemoteOffer)));
            assert!(!asked(&mut two), "{way}: nothing can be offered while an offer is answered");
            let now = two.now();
            let answer = two.session(0).create_answer(now).unwrap();
            two.session(0).set_local(now, SdpType::Answer, answer.clone()).unwrap();
            two.session(1).set_remote(now, SdpType::Answer, answer).unwrap();
        }
        assert!(asked(&mut two), "{way}");
        assert_eq!(ufrag(&mut two, 1), before[1], "{way}: the peer knows of no restart");
        two.negotiate(0);
        two.run(Duration::from_secs(2), |_| false);
        for side in [0, 1] {
            assert_ne!(ufrag(&mut two, side), before[side], "{way}");
        }
        assert!(!asked(&mut two), "{way}: once is enough");
        assert!(two.run(Duration::from_secs(5), Two::is_connected), "{way}: {}", two.reports());
        two.echo(ours, theirs);
    }
}

#[test]
fn of_two_offers_at_once_one_gives_in() {
    for (polite, impolite) in [(0, 1), (1, 0)] {
        let mut two = Two::new();
        let now = two.now();
        let mut offers = Vec::new();
        for side in [0, 1] {
            two.session(side).open_channel(now, ChannelInit::labelled("chat")).unwrap();
            let offer = two.session(side).create_offer(now).unwrap();
            two.session(side).set_local(now, SdpType::Offer, offer.clone()).unwrap();
            offers.push(offer);
        }
        two.carry();
        two.forget_candidates(impolite);
        let offer = offers.swap_remove(impolite);
        two.session(polite).set_remote(now, SdpType::Offer, offer).unwrap();
        assert_eq!(two.session(polite).signaling_state(), SignalingState::HaveRemoteOffer);
        let answer = two.session(polite).create_answer(now).unwrap();
        two.session(polite).set_local(now, SdpType::Answer, answer.clone()).unwrap();
        two.session(impolite).set_remote(now, SdpType::Answer, answer).unwrap();
        assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
        two.incoming(0);
        two.incoming(1);
    }
}

/// How a description can be broken, by name.
fn broken(good: &str) -> Vec<(&'static str, String)> {
    let without = |start: &[&str]| {
        let kept = good.lines().filter(|line| !start.iter().any(|start| line.starts_with(start)));
        kept.fold(String::new(), |text, line| text + line.trim_end() + "\r\n")
    };
    let changed = |start: &str, to: &str| {
        good.lines().fold(String::new(), |text, line| {
            text + if line.starts_with(start) { to } else { line.trim_end() } + "\r\n"
        })
    };
    let cut = good.find("m=application").unwrap() + 9;
    let candidates: String = (0..1000)
        .map(|number| format!("a=candidate:{number} 1 udp 1 10.77.0.200 {} typ host\r\n", number + 1))
        .collect();
    vec![
        ("empty", String::new()),
        ("garbage", "this is no session description".to_owned()),
        ("no version", good.replacen("v=0\r\n", "", 1)),
        ("binary", "v=0\r\n\0\u{1}\u{fffd}\r\n".to_owned()),
        ("m-line without port", good.replace("m=application 9 ", "m=application ")),
        ("port not a number", good.replace("m=application 9 ", "m=application x ")),
        ("cut in the m-line", good[..cut].to_owned()),
        ("no ICE credentials", without(&["a=ice-ufrag", "a=ice-pwd"])),
        ("no fingerprint", without(&["a=fingerprint"])),
        ("fingerprint not hex", changed("a=fingerprint:", "a=fingerprint:sha-256 zz:zz")),
        ("setup of no known kind", changed("a=setup:", "a=setup:sideways")),
        ("BUNDLE of an unknown mid", changed("a=group:BUNDLE", "a=group:BUNDLE 0 nowhere")),
        ("sctp-port too large", changed("a=sctp-port:", "a=sctp-port:99999")),
        ("a line of 100 kB", format!("{good}a=x-{}\r\n", "y".repeat(100_000))),
        ("1000 candidates", format!("{good}{candidates}")),
    ]
}

#[test]
fn broken_offers_are_refused_or_answered_and_the_good_one_is_still_taken() {
    let mut offerer = fresh(0);
    offerer.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap();
    let good = offerer.create_offer(epoch()).unwrap().to_string();
    for (what, text) in broken(&good) {
        let mut session = fresh(1);
        let taken = SessionDescription::parse(&text)
            .map_err(NegotiationError::from)
            .and_then(|offer| session.set_remote(epoch(), SdpType::Offer, offer));
        let must_fail = !matches!(
            what,
            "a line of 100 kB" | "1000 candidates" | "setup of no known kind" | "sctp-port too large"
        );
        if taken.is_ok() {
            assert!(!must_fail, "{what} is taken");
            let answer = session.create_answer(epoch()).unwrap();
            session.set_local(epoch(), SdpType::Answer, answer).unwrap();
            continue;
        }
        assert_eq!(session.signaling_state(), SignalingState::Stable, "{what}");
        let reply = answer(&mut session, parse(&good));
        assert!(!reply.media().next().unwrap().is_rejected(), "{what}");
    }
}

#[test]
fn candidates_are_refused_where_they_belong_to_nothing() {
    let mut two = Two::new();
    let now = two.now();
    let candidate = "candidate:1 1 udp 2130706431 192.0.2.9 9 typ host";
    let add = |two: &mut Two, text: &str, mid, section, ufrag| {
        two.session(1).add_remote_candidate(now, text, mid, section, ufrag)
    };
    assert_eq!(add(&mut two, candidate, Some("0"), None, None), Err(CandidateError::NoRemoteDescription));
    two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    two.negotiate(0);
    let unknown = Err(CandidateError::UnknownSection);
    assert_eq!(add(&mut two, candidate, Some("nowhere"), None, None), unknown);
    assert_eq!(add(&mut two, candidate, None, Some(7), None), unknown);
    assert_eq!(add(&mut two, candidate, Some("0"), None, Some("other")), Err(CandidateError::UnknownUfrag));
    for garbage in
        ["garbage", "candidate:", "candidate:1 1 udp", "candidate:1 1 udp 1 300.1.1.1 99999 typ host"]
    {
        let refused = add(&mut two, garbage, Some("0"), None, None);
        assert!(matches!(refused, Err(CandidateError::Parse(_))), "{garbage}: {refused:?}");
    }
    assert_eq!(add(&mut two, candidate, Some("0"), None, None), Ok(()));
    let tcp = "candidate:1 1 tcp 1 10.77.0.9 9 typ host tcptype active";
    assert_eq!(add(&mut two, tcp, Some("0"), None, None), Ok(()), "for others");
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
}

#[test]
fn steps_out_of_order_are_refused() {
    let mut two = Two::new();
    let now = two.now();
    let wrong = |state| Err(NegotiationError::WrongState(state));
    assert_eq!(two.session(0).create_answer(now).err(), wrong(SignalingState::Stable).err());
    two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    let offer = two.session(0).create_offer(now).unwrap();
    let refused = two.session(0).set_remote(now, SdpType::Answer, offer.clone());
    assert_eq!(refused, wrong(SignalingState::Stable));
    let refused = two.session(1).set_local(now, SdpType::Offer, offer.clone());
    assert_eq!(refused, Err(NegotiationError::NotTheCreatedDescription));
    two.session(1).set_remote(now, SdpType::Offer, offer.clone()).unwrap();
    assert_eq!(two.session(1).create_offer(now).err(), wrong(SignalingState::HaveRemoteOffer).err());
    two.session(0).set_local(now, SdpType::Offer, offer.clone()).unwrap();
    assert_eq!(two.session(0).create_answer(now).err(), wrong(SignalingState::HaveLocalOffer).err());
    two.session(0).close(now);
    assert_eq!(two.session(0).create_offer(now).err(), wrong(SignalingState::Closed).err());
    assert_eq!(two.session(0).set_remote(now, SdpType::Offer, offer), wrong(SignalingState::Closed));
}
