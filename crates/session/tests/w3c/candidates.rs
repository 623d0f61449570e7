//! `addIceCandidate`, and the states of gathering, of ICE and of the connection.

use std::time::Duration;

use session::{
    CandidateError, ChannelInit, ConnectionState, Direction, Event, GatheringState, IceState, MediaKind,
    SdpType, Session, SessionDescription,
};
use testkit::epoch;

use crate::harness::Two;
use crate::harness::exchange::{answer, both, events, fresh, negotiate, offer, only, parse};
use crate::{add, track};

const CANDIDATE: &str = "candidate:1 1 udp 2113929471 203.0.113.100 10100 typ host";

/// Two sections that are bundled, with credentials of their own, as RFC 9429 §7.1 has them.
const OFFER: &str = "v=0\r\n\
o=- 4962303333179871722 1 IN IP4 0.0.0.0\r\n\
s=-\r\n\
t=0 0\r\n\
a=ice-options:trickle\r\n\
a=group:BUNDLE a1 v1\r\n\
m=audio 10100 UDP/TLS/RTP/SAVPF 96\r\n\
c=IN IP4 203.0.113.100\r\n\
a=mid:a1\r\n\
a=sendrecv\r\n\
a=rtpmap:96 opus/48000/2\r\n\
a=ice-ufrag:ETEn\r\n\
a=ice-pwd:OtSK0WpNtpUjkY4+86js7ZQl\r\n\
a=fingerprint:sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2\r\n\
a=setup:actpass\r\n\
a=rtcp-mux\r\n\
m=video 10102 UDP/TLS/RTP/SAVPF 100\r\n\
c=IN IP4 203.0.113.100\r\n\
a=mid:v1\r\n\
a=sendrecv\r\n\
a=rtpmap:100 VP8/90000\r\n\
a=ice-ufrag:BGKk\r\n\
a=ice-pwd:mqyWsAjvtKwTGnvhPztQ9mIf\r\n\
a=fingerprint:sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2\r\n\
a=setup:actpass\r\n\
a=rtcp-mux\r\n";

type Added = Result<(), CandidateError>;

fn candidate(
    session: &mut Session,
    text: &str,
    mid: Option<&str>,
    section: Option<usize>,
    ufrag: Option<&str>,
) -> Added {
    session.add_remote_candidate(epoch(), text, mid, section, ufrag)
}

#[test]
fn candidates_belong_to_a_section_and_its_credentials() {
    let mut session = fresh(0);
    let early = candidate(&mut session, CANDIDATE, Some("a1"), Some(0), Some("ETEn")).unwrap_err();
    assert_eq!((early, early.name()), (CandidateError::NoRemoteDescription, "InvalidStateError"));
    session.set_remote(epoch(), SdpType::Offer, parse(OFFER)).unwrap();
    type Case<'a> = (&'a str, Option<&'a str>, Option<usize>, Option<&'a str>, Option<CandidateError>);
    let (section, ufrag) = (Some(CandidateError::UnknownSection), Some(CandidateError::UnknownUfrag));
    let cases: &[Case<'_>] = &[
        (CANDIDATE, Some("a1"), Some(0), Some("ETEn"), None),
        (CANDIDATE, Some("a1"), None, None, None),
        (CANDIDATE, None, Some(0), None, None),
        (CANDIDATE, Some("v1"), Some(1), Some("BGKk"), None),
        (CANDIDATE, Some("v1"), Some(1), None, None),
        // The name weighs more than the number.
        (CANDIDATE, Some("a1"), Some(2), None, None),
        (CANDIDATE, Some("invalid"), Some(0), None, section),
        (CANDIDATE, None, Some(2), None, section),
        (CANDIDATE, Some("a1"), Some(0), Some("invalid"), ufrag),
        (CANDIDATE, Some("v1"), Some(1), Some("ETEn"), ufrag),
        // The end: of all, of a section, of none.
        ("", None, None, None, None),
        ("", Some("a1"), None, Some("ETEn"), None),
        ("", None, Some(1), Some("BGKk"), None),
        ("", None, None, Some("no such ufrag"), ufrag),
    ];
    for (text, mid, number, named, refused) in cases {
        let added = candidate(&mut session, text, *mid, *number, *named);
        assert_eq!(added.err(), *refused, "{text} {mid:?} {number:?} {named:?}");
        if let Err(refused) = added {
            assert_eq!(refused.name(), "OperationError");
        }
    }
    let broken = candidate(&mut session, "(Invalid) candidate \r\n string", Some("a1"), Some(0), None);
    assert_eq!(broken.unwrap_err().name(), "OperationError");
    session.make_local(epoch()).unwrap();
    candidate(&mut session, "", None, None, None).unwrap();
    session.close(epoch());
    let late = candidate(&mut session, CANDIDATE, Some("a1"), Some(0), Some("ETEn")).unwrap_err();
    assert_eq!((late, late.name()), (CandidateError::Closed, "InvalidStateError"));
}

/// W3C WebRTC 1.0 §4.4.2, `addIceCandidate`: as long as an offer is not answered, what it is to replace is applied, too.
#[test]
fn candidates_of_before_a_restart_are_taken_until_the_restart_is_agreed_upon() {
    let [mut a, mut b] = [fresh(0), fresh(1)];
    a.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap();
    let (_, first) = a.make_local(epoch()).unwrap();
    b.set_remote(epoch(), SdpType::Offer, first.clone()).unwrap();
    let (_, answer) = b.make_local(epoch()).unwrap();
    a.set_remote(epoch(), SdpType::Answer, answer).unwrap();
    let ufrag = |it: &SessionDescription| it.media().next().unwrap().ice_ufrag().unwrap().to_owned();
    let known = |b: &Session| {
        b.statistics(epoch()).iter().filter(|(_, entry)| entry.kind() == "remote-candidate").count()
    };
    a.restart_ice();
    let (_, second) = a.make_local(epoch()).unwrap();
    b.set_remote(epoch(), SdpType::Offer, second.clone()).unwrap();
    let before = known(&b);
    let late = "candidate:7 1 udp 1000 192.0.2.77 77 typ host";
    candidate(&mut b, late, Some("0"), Some(0), Some(&ufrag(&first))).unwrap();
    assert_eq!(known(&b), before + 1);
    candidate(&mut b, late, Some("0"), Some(0), Some(&ufrag(&second))).unwrap();
    assert_eq!(known(&b), before + 1, "it waits for the answer");
    candidate(&mut b, "", Some("0"), None, Some(&ufrag(&first))).unwrap();
    let stranger = candidate(&mut b, late, Some("0"), Some(0), Some("nobody"));
    assert_eq!(stranger, Err(CandidateError::UnknownUfrag));
    b.make_local(epoch()).unwrap();
    let late = candidate(&mut b, late, Some("0"), Some(0), Some(&ufrag(&first)));
    assert_eq!(late, Err(CandidateError::UnknownUfrag));
}

#[test]
fn whether_the_peer_trickles_is_in_its_description() {
    for (text, trickles) in
        [(OFFER.to_owned(), true), (OFFER.replace("a=ice-options:trickle\r\n", ""), false)]
    {
        let mut session = fresh(0);
        assert_eq!(session.can_trickle(), None);
        session.set_remote(epoch(), SdpType::Offer, parse(&text)).unwrap();
        assert_eq!(session.can_trickle(), Some(trickles));
    }
}

fn gathered(session: &mut Session) -> Vec<GatheringState> {
    let told = events(session).into_iter();
    told.filter_map(|event| if let Event::GatheringState(state) = event { Some(state) } else { None })
        .collect()
}

#[test]
fn gathering_follows_the_descriptions_that_are_set() {
    let through = [GatheringState::Gathering, GatheringState::Complete];
    for data in [true, false] {
        let [mut a, mut b] = both();
        // Nothing to gather for.
        offer(&mut a);
        assert!(gathered(&mut a).is_empty() && a.gathering_state() == GatheringState::New);
        if data {
            a.open_channel(epoch(), ChannelInit::labelled("test")).unwrap();
        } else {
            add(&mut a, MediaKind::Audio, Direction::RecvOnly);
        }
        let first = offer(&mut a);
        assert_eq!(gathered(&mut a), through);
        let (_, described) = a.local_description().unwrap();
        assert!(described.media().all(|media| media.has_end_of_candidates()));
        a.rollback(epoch()).unwrap();
        assert_eq!(gathered(&mut a), [GatheringState::New]);
        // What the peer says begins none.
        for _ in 0..2 {
            b.set_remote(epoch(), SdpType::Offer, first.clone()).unwrap();
        }
        b.rollback(epoch()).unwrap();
        b.set_remote(epoch(), SdpType::Offer, first.clone()).unwrap();
        assert!(gathered(&mut b).is_empty());
        b.rollback(epoch()).unwrap();

        negotiate(&mut a, &mut b);
        assert_eq!([gathered(&mut a), gathered(&mut b)], [through; 2]);
        offer(&mut a);
        assert!(gathered(&mut a).is_empty(), "nothing new to gather for");
        a.restart_ice();
        offer(&mut a);
        assert_eq!(gathered(&mut a), through);
        a.rollback(epoch()).unwrap();
        assert!(gathered(&mut a).is_empty() && a.gathering_state() == GatheringState::Complete);
    }
}

#[test]
fn where_nothing_is_left_to_be_carried_nothing_is_gathered() {
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Audio, Direction::RecvOnly);
    negotiate(&mut a, &mut b);
    for session in [&mut a, &mut b] {
        gathered(session);
    }
    let id = only(&a);
    a.stop_transceiver(epoch(), id).unwrap();
    negotiate(&mut a, &mut b);
    for session in [&mut a, &mut b] {
        assert_eq!((session.transceivers().count(), gathered(session)), (0, vec![GatheringState::New]));
    }
}

/// A candidate is told of when its description is set, stands in it then, and comes before the end.
#[test]
fn candidates_come_behind_the_description_and_before_the_end() {
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Audio, Direction::SendRecv);
    let made = a.create_offer(epoch()).unwrap();
    assert!(!made.to_string().contains("a=candidate"));
    let told =
        |session: &mut Session| -> Vec<Event> { std::iter::from_fn(|| session.poll_event()).collect() };
    assert!(!told(&mut a).iter().any(|event| matches!(event, Event::Candidate(_))));
    let offered = offer(&mut a);
    let is_done = |event: &Event| *event == Event::GatheringState(GatheringState::Complete);
    let seen = told(&mut a);
    let place = |what: &dyn Fn(&Event) -> bool| seen.iter().position(what).expect("told");
    assert!(
        place(&|event| matches!(event, Event::SignalingState(_)))
            < place(&|event| matches!(event, Event::Candidate(_)))
    );
    assert!(seen.iter().rposition(|event| matches!(event, Event::Candidate(_))) < Some(place(&is_done)));
    assert!(a.local_description().unwrap().1.to_string().contains("a=candidate"));
    b.set_remote(epoch(), SdpType::Offer, offered).unwrap();
    assert!(!told(&mut b).iter().any(|event| matches!(event, Event::Candidate(_))));
    b.make_local(epoch()).unwrap();
    assert!(told(&mut b).iter().any(|event| matches!(event, Event::Candidate(_))));
}

fn ice(two: &Two, side: usize) -> Vec<IceState> {
    let told = two.seen[side].iter();
    told.filter_map(|event| if let Event::IceState(state) = event { Some(*state) } else { None }).collect()
}

fn connection(two: &Two, side: usize) -> Vec<ConnectionState> {
    let told = two.seen[side].iter();
    told.filter_map(|event| if let Event::ConnectionState(state) = event { Some(*state) } else { None })
        .collect()
}

/// Without candidates nothing begins; with those of one side, or of both, it ends well.
#[test]
fn states_go_from_new_to_connected() {
    for carried in [[true, true], [true, false], [false, true], [false, false]] {
        let mut two = Two::new();
        two.trickles = false;
        let now = two.now();
        let session = two.session(0);
        assert_eq!((session.ice_state(), session.connection_state()), (IceState::New, ConnectionState::New));
        track(session, MediaKind::Audio, &["s"]);
        two.negotiate(0);
        two.run(Duration::from_secs(1), |_| false);
        for side in [0, 1] {
            let session = two.session(side);
            let states = (session.ice_state(), session.connection_state());
            assert_eq!(states, (IceState::New, ConnectionState::New), "side {side}");
        }
        for (from, is_carried) in carried.into_iter().enumerate() {
            let found: Vec<_> = two.seen[from]
                .iter()
                .filter_map(|event| match event {
                    Event::Candidate(found) if is_carried => Some(found.clone()),
                    _ => None,
                })
                .collect();
            for found in found {
                let ufrag = Some(found.ufrag.as_str());
                two.session(1 - from)
                    .add_remote_candidate(now, &found.candidate, Some(&found.mid), Some(found.section), ufrag)
                    .unwrap();
            }
        }
        let is_up = two.run(Duration::from_secs(5), Two::is_connected);
        assert_eq!(is_up, carried.contains(&true), "{carried:?}");
        for side in [0, 1] {
            let (ice, connection) = (ice(&two, side), connection(&two, side));
            if is_up {
                assert!(ice.starts_with(&[IceState::Checking, IceState::Connected]), "{ice:?}");
                assert_eq!(connection, [ConnectionState::Connecting, ConnectionState::Connected]);
            } else {
                assert!(ice.is_empty() && connection.is_empty(), "{ice:?} {connection:?}");
            }
        }
    }
}

#[test]
fn a_session_that_is_closed_is_so_in_all_its_states() {
    let mut session = fresh(0);
    add(&mut session, MediaKind::Audio, Direction::SendRecv);
    let theirs = offer(&mut fresh(1));
    answer(&mut session, theirs);
    session.close(epoch());
    assert_eq!(session.ice_state(), IceState::Closed);
    assert_eq!(session.connection_state(), ConnectionState::Closed);
    assert_eq!(session.signaling_state(), session::SignalingState::Closed);
}
