//! What descriptions say of candidates, and how those travel that are found later.
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

use std::net::SocketAddr;
use std::time::Duration;

use harness::{CLOCK, Two, config};
use session::{ChannelInit, Event, GatheringState, SdpType, Session, SessionDescription, SignalingState};
use testkit::epoch;

/// A session that asks a STUN server which never answers, so that gathering takes a while.
fn slow() -> Session {
    let mut config = config(0);
    config.stun_servers = vec![SocketAddr::from(([198, 51, 100, 1], 3478))];
    let mut session = Session::new(epoch(), CLOCK, config, [1; 32]).unwrap();
    session.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap();
    session
}

fn lines<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(name)).collect()
}

#[test]
fn a_first_offer_has_credentials_and_options_before_any_candidate() {
    let mut session = slow();
    let offer = session.create_offer(epoch()).unwrap().to_string();
    assert_eq!(lines(&offer, "a=candidate"), [""; 0]);
    assert_eq!(lines(&offer, "a=end-of-candidates"), [""; 0]);
    assert_eq!((lines(&offer, "a=ice-ufrag:").len(), lines(&offer, "a=ice-pwd:").len()), (1, 1));
    assert_eq!(lines(&offer, "a=ice-options:"), ["a=ice-options:trickle ice2 renomination"]);
    // RFC 9429 §5.2.1: no default destination.
    assert_eq!(lines(&offer, "c="), ["c=IN IP4 0.0.0.0"]);
    assert!(lines(&offer, "m=")[0].starts_with("m=application 9 "));
}

#[test]
fn a_description_holds_all_candidates_known_so_far_and_the_end_once_it_is_known() {
    let mut session = slow();
    let offer = session.create_offer(epoch()).unwrap();
    session.set_local(epoch(), SdpType::Offer, offer).unwrap();
    let (mut told, mut now, mut done) = (Vec::new(), epoch(), false);
    while let Some(next) = session.poll_timeout() {
        now = now.max(next);
        session.handle_timeout(now);
        let mut memory = [0; 2000];
        while session.poll_transmit(now, &mut proto::Batch::new(&mut memory, 1, 1200)).is_some() {}
        while let Some(event) = session.poll_event() {
            match event {
                Event::Candidate(found) => {
                    assert!(!done, "a candidate behind the end");
                    let ufrag = session.local_description().unwrap().1;
                    let ufrag = ufrag.media().next().unwrap().ice_ufrag().unwrap().to_owned();
                    assert_eq!((found.mid.as_str(), found.section, found.ufrag), ("0", 0, ufrag));
                    told.push(found.candidate);
                }
                Event::GatheringState(GatheringState::Complete) => done = true,
                _ => {}
            }
        }
        let (_, known) = session.local_description().unwrap();
        let known = known.to_string();
        assert_eq!(lines(&known, "a=candidate").len(), told.len());
        assert_eq!(lines(&known, "a=end-of-candidates").len(), usize::from(done));
        if now > epoch() + Duration::from_secs(60) {
            break;
        }
    }
    assert!(done && !told.is_empty());
    let mut unique = told.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), told.len(), "each once");
}

#[test]
fn towards_a_lite_peer_we_control_whoever_offered() {
    for offerer in [0, 1] {
        let mut two = Two::new();
        let now = two.now();
        two.session(offerer).open_channel(now, ChannelInit::labelled("chat")).unwrap();
        // Side 1 claims to be lite.
        let lite = |description: &SessionDescription| {
            let text = description.to_string().replacen("a=ice-options", "a=ice-lite\r\na=ice-options", 1);
            SessionDescription::parse(&text).unwrap()
        };
        let claim = |side: usize, description: SessionDescription| {
            if side == 1 { lite(&description) } else { description }
        };
        let offer = two.session(offerer).create_offer(now).unwrap();
        two.session(offerer).set_local(now, SdpType::Offer, offer.clone()).unwrap();
        two.session(1 - offerer).set_remote(now, SdpType::Offer, claim(offerer, offer)).unwrap();
        let answer = two.session(1 - offerer).create_answer(now).unwrap();
        two.session(1 - offerer).set_local(now, SdpType::Answer, answer.clone()).unwrap();
        two.session(offerer).set_remote(now, SdpType::Answer, claim(1 - offerer, answer)).unwrap();
        assert_eq!(two.session(0).signaling_state(), SignalingState::Stable);
        assert_eq!(two.session(0).stats(now).ice_role, Some(ice::Role::Controlling), "offerer {offerer}");
    }
}
