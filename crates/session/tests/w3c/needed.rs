//! `negotiationneeded` and `restartIce`.

use session::{BundlePolicy, ChannelInit, Direction, Event, MediaKind, SdpType, Session, SessionDescription};
use testkit::epoch;

use crate::harness::exchange::{answer, both, events, fresh, lines, needs, negotiate, offer};
use crate::harness::{CLOCK, config};
use crate::{add, track};

fn open(session: &mut Session) {
    session.open_channel(epoch(), ChannelInit::labelled("test")).unwrap();
}

fn named(streams: &[&str]) -> Vec<String> {
    streams.iter().map(|&stream| stream.to_owned()).collect()
}

/// What calls for an exchange does so once until one has covered it.
#[test]
fn the_first_of_what_is_new_calls_for_an_exchange() {
    let calls: [fn(&mut Session); 3] = [
        open,
        |session| _ = add(session, MediaKind::Audio, Direction::SendRecv),
        |session| _ = track(session, MediaKind::Video, &["s"]),
    ];
    for first in calls {
        for second in calls {
            let [mut a, mut b] = both();
            first(&mut a);
            assert!(needs(&mut a));
            second(&mut a);
            assert!(!needs(&mut a), "twice");
            negotiate(&mut a, &mut b);
            assert!(!needs(&mut a) && !needs(&mut b));
        }
    }
}

/// Behind the change of state that ends the exchange, and not before.
#[test]
fn what_comes_up_while_descriptions_are_exchanged_is_told_when_they_are() {
    for offers in [true, false] {
        let [mut a, mut b] = both();
        add(&mut a, MediaKind::Audio, Direction::SendRecv);
        assert!(needs(&mut a));
        if offers {
            let offered = offer(&mut a);
            open(&mut a);
            assert!(!needs(&mut a));
            let answered = answer(&mut b, offered);
            a.set_remote(epoch(), SdpType::Answer, answered).unwrap();
        } else {
            let offered = offer(&mut b);
            a.set_remote(epoch(), SdpType::Offer, offered).unwrap();
            open(&mut a);
            assert!(!needs(&mut a));
            a.make_local(epoch()).unwrap();
        }
        let told = events(&mut a);
        let place = |what: fn(&Event) -> bool| told.iter().position(what).expect("told");
        let stable = place(|event| matches!(event, Event::SignalingState(session::SignalingState::Stable)));
        assert!(stable < place(|event| *event == Event::NegotiationNeeded), "{told:?}");
    }
}

#[test]
fn a_track_that_is_removed_calls_for_an_exchange_on_either_side() {
    let [mut a, mut b] = both();
    let ours = track(&mut a, MediaKind::Audio, &["s"]);
    negotiate(&mut a, &mut b);
    needs(&mut a);
    a.remove_track(epoch(), ours).unwrap();
    assert!(needs(&mut a));

    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Audio, Direction::RecvOnly);
    let offered = offer(&mut a);
    let theirs = track(&mut b, MediaKind::Audio, &["s"]);
    assert!(needs(&mut b));
    answer(&mut b, offered);
    assert!(!needs(&mut b));
    b.remove_track(epoch(), theirs).unwrap();
    assert!(needs(&mut b));
}

/// Streams are a set: neither their order nor how often one is named matters.
#[test]
fn other_streams_or_another_direction_call_for_an_exchange() {
    let cases: &[(&[&str], &[&str], bool)] = &[
        (&[], &["x"], true),
        (&["x"], &["y"], true),
        (&["x"], &["x", "y"], true),
        (&["x", "y"], &["y"], true),
        (&["x", "y"], &[], true),
        (&["x"], &["x"], false),
        (&["x"], &["x", "x"], false),
        (&["x", "y"], &["y", "x"], false),
        (&["x", "y"], &["x", "y", "x"], false),
    ];
    for (before, after, calls) in cases {
        let [mut a, mut b] = both();
        let id = add(&mut a, MediaKind::Audio, Direction::SendRecv);
        a.set_streams(epoch(), id, named(before)).unwrap();
        negotiate(&mut a, &mut b);
        needs(&mut a);
        a.set_streams(epoch(), id, named(after)).unwrap();
        assert_eq!(needs(&mut a), *calls, "{before:?} {after:?}");
    }
    let [mut a, mut b] = both();
    let id = add(&mut a, MediaKind::Audio, Direction::SendRecv);
    negotiate(&mut a, &mut b);
    needs(&mut a);
    a.set_direction(epoch(), id, Direction::RecvOnly).unwrap();
    assert!(needs(&mut a));
}

#[test]
fn each_of_two_transceivers_one_after_the_other_is_asked_for_once() {
    let [mut a, mut b] = both();
    for kind in [MediaKind::Video, MediaKind::Audio] {
        add(&mut a, kind, Direction::SendRecv);
        assert!(needs(&mut a));
        negotiate(&mut a, &mut b);
        assert!(!needs(&mut a));
    }
}

fn ufrags(session: &Session) -> Vec<String> {
    let (_, description) = session.local_description().unwrap();
    lines(&description.to_string(), "a=ice-ufrag:").into_iter().map(str::to_owned).collect()
}

#[test]
fn nothing_is_restarted_that_has_not_begun() {
    let mut a = fresh(0);
    a.restart_ice();
    assert!(!needs(&mut a));
    add(&mut a, MediaKind::Audio, Direction::SendRecv);
    assert!(needs(&mut a) && !needs(&mut a));
    // An offer that is made and not set, and one of the peer's that is not answered, have begun nothing either.
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Audio, Direction::SendRecv);
    a.create_offer(epoch()).unwrap();
    a.restart_ice();
    let [offered, _] = negotiate(&mut a, &mut b);
    assert!(!needs(&mut a) && lines(&offered.to_string(), "a=ice-ufrag:") == ufrags(&a));
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Audio, Direction::SendRecv);
    let offered = offer(&mut a);
    b.set_remote(epoch(), SdpType::Offer, offered).unwrap();
    b.restart_ice();
    b.make_local(epoch()).unwrap();
    assert!(!needs(&mut b));
    b.close(epoch());
    b.restart_ice();
    assert!(!needs(&mut b));
}

#[test]
fn a_restart_calls_for_an_exchange_with_other_credentials() {
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Audio, Direction::SendRecv);
    needs(&mut a);
    negotiate(&mut a, &mut b);
    let old = [ufrags(&a), ufrags(&b)];
    negotiate(&mut a, &mut b);
    assert_eq!([ufrags(&a), ufrags(&b)], old, "without a restart");
    events(&mut a);
    a.restart_ice();
    assert!(needs(&mut a));
    negotiate(&mut a, &mut b);
    let new = [ufrags(&a), ufrags(&b)];
    assert!(new[0] != old[0] && new[1] != old[1] && !needs(&mut a));
    negotiate(&mut a, &mut b);
    assert_eq!([ufrags(&a), ufrags(&b)], new, "once");
}

/// In `have-local-offer`, the first of all or another, and in `have-remote-offer`.
#[test]
fn a_restart_that_comes_too_late_for_an_exchange_calls_for_the_next() {
    for (offers, is_first) in [(true, true), (true, false), (false, false)] {
        let [mut a, mut b] = both();
        add(&mut a, MediaKind::Audio, Direction::SendRecv);
        if !is_first {
            negotiate(&mut a, &mut b);
        }
        if offers {
            let offered = offer(&mut a);
            a.restart_ice();
            let answered = answer(&mut b, offered);
            a.set_remote(epoch(), SdpType::Answer, answered).unwrap();
        } else {
            let offered = offer(&mut b);
            a.set_remote(epoch(), SdpType::Offer, offered).unwrap();
            a.restart_ice();
            let (_, answered) = a.make_local(epoch()).unwrap();
            b.set_remote(epoch(), SdpType::Answer, answered).unwrap();
        }
        let old = ufrags(&a);
        assert!(needs(&mut a));
        negotiate(&mut a, &mut b);
        assert!(ufrags(&a) != old && !needs(&mut a));
    }
}

#[test]
fn a_restart_outlasts_an_offer_of_the_peers_and_a_rollback() {
    for rolls_back in [true, false] {
        let [mut a, mut b] = both();
        add(&mut a, MediaKind::Audio, Direction::SendRecv);
        negotiate(&mut a, &mut b);
        let old = ufrags(&a);
        a.restart_ice();
        assert!(needs(&mut a));
        if rolls_back {
            offer(&mut a);
            a.rollback(epoch()).unwrap();
        } else {
            negotiate(&mut b, &mut a);
        }
        assert_eq!(ufrags(&a), old);
        assert!(needs(&mut a));
        negotiate(&mut a, &mut b);
        assert!(ufrags(&a) != old && !needs(&mut a));
    }
}

/// Whoever begins anew does so for both; whoever leaves a transport out leaves it to the other.
#[test]
fn a_restart_of_the_peers_is_ours_unless_it_leaves_something_out() {
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Audio, Direction::SendRecv);
    negotiate(&mut a, &mut b);
    let old = ufrags(&a);
    a.restart_ice();
    b.restart_ice();
    negotiate(&mut b, &mut a);
    events(&mut a);
    let new = ufrags(&a);
    assert_ne!(new, old);
    negotiate(&mut a, &mut b);
    assert!(ufrags(&a) == new && !needs(&mut a));

    let [mut a, mut b] = [0, 1].map(|side| {
        let mut config = config(side);
        config.bundle_policy = BundlePolicy::MaxCompat;
        Session::new(epoch(), CLOCK, config, [side + 1; 32]).unwrap()
    });
    add(&mut a, MediaKind::Audio, Direction::SendRecv);
    add(&mut a, MediaKind::Video, Direction::SendRecv);
    let apart = |description: &SessionDescription| {
        SessionDescription::parse(&description.to_string().replace("a=group:BUNDLE", "a=group:APART"))
            .unwrap()
    };
    let offered = offer(&mut a);
    let answered = answer(&mut b, apart(&offered));
    a.set_remote(epoch(), SdpType::Answer, answered).unwrap();
    let (old, theirs) = (ufrags(&a), b.local_description().unwrap().1.to_string());
    a.restart_ice();
    assert!(needs(&mut a));
    b.restart_ice();
    let mut partial = apart(&offer(&mut b)).to_string();
    for name in ["a=ice-ufrag:", "a=ice-pwd:"] {
        partial = partial.replacen(lines(&partial.clone(), name)[0], lines(&theirs, name)[0], 1);
    }
    a.set_remote(epoch(), SdpType::Offer, SessionDescription::parse(&partial).unwrap()).unwrap();
    a.make_local(epoch()).unwrap();
    let new = ufrags(&a);
    assert!(new[0] == old[0] && new[1] != old[1]);
    assert!(needs(&mut a));
    offer(&mut a);
    let newest = ufrags(&a);
    assert!(newest[0] != old[0] && newest[1] != old[1]);
}
