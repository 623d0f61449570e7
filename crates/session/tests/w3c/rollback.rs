//! Rollback, ours and that of an offer which crosses another.

use session::{
    ChannelInit, ChannelState, Direction, Event, GatheringState, MediaKind, SdpType, SignalingState,
};
use testkit::epoch;

use crate::harness::exchange::{both, directions, events, fresh, negotiate, offer, only};
use crate::{add, mids, states, track, tracks};

#[test]
fn an_offer_that_is_taken_back_leaves_nothing() {
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Audio, Direction::RecvOnly);
    let offered = offer(&mut a);
    assert_eq!(a.gathering_state(), GatheringState::Complete);
    a.rollback(epoch()).unwrap();
    assert_eq!((mids(&a), a.local_description().is_none()), (vec![None], true));
    assert_eq!(states(&mut a), [SignalingState::HaveLocalOffer, SignalingState::Stable]);
    b.set_remote(epoch(), SdpType::Offer, offered).unwrap();
    b.rollback(epoch()).unwrap();
    assert!(b.remote_description().is_none() && b.transceivers().next().is_none());
    assert_eq!(states(&mut b), [SignalingState::HaveRemoteOffer, SignalingState::Stable]);
    for session in [&mut a, &mut b] {
        assert_eq!(session.gathering_state(), GatheringState::New);
        assert_eq!(session.rollback(epoch()).unwrap_err().name(), "InvalidStateError");
    }
    negotiate(&mut a, &mut b);
    assert_eq!(b.rollback(epoch()).unwrap_err().name(), "InvalidStateError");
}

#[test]
fn names_of_the_last_exchange_stay() {
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Audio, Direction::SendRecv);
    negotiate(&mut a, &mut b);
    let before = mids(&a);
    add(&mut a, MediaKind::Video, Direction::SendRecv);
    offer(&mut a);
    assert!(mids(&a).iter().all(Option::is_some));
    a.rollback(epoch()).unwrap();
    assert_eq!(mids(&a), [before[0].clone(), None]);
}

/// A transceiver that the peer's offer made goes with it, unless a track was added to it meanwhile.
#[test]
fn transceivers_of_an_offer_go_with_it_unless_they_have_got_a_track() {
    for (adds, removes, left) in [(false, false, 0), (true, false, 1), (true, true, 1)] {
        let [mut a, mut b] = both();
        track(&mut a, MediaKind::Video, &["s"]);
        let offered = offer(&mut a);
        b.set_remote(epoch(), SdpType::Offer, offered).unwrap();
        let made = only(&b);
        if adds {
            assert_eq!(track(&mut b, MediaKind::Video, &[]), made);
        }
        if removes {
            b.remove_track(epoch(), made).unwrap();
        }
        b.rollback(epoch()).unwrap();
        assert_eq!(b.transceivers().count(), left);
        assert!(mids(&b).iter().all(Option::is_none));
        let gone = b.remove_track(epoch(), made);
        assert_eq!(gone.is_ok(), left == 1);
    }
}

#[test]
fn an_offer_that_crosses_ours_takes_what_waits_for_a_track_and_nothing_else() {
    for by_track in [true, false] {
        let [mut a, mut b] = both();
        for session in [&mut a, &mut b] {
            match by_track {
                true => track(session, MediaKind::Audio, &[]),
                false => add(session, MediaKind::Audio, Direction::SendRecv),
            };
        }
        offer(&mut a);
        events(&mut a);
        let theirs = offer(&mut b);
        a.set_remote(epoch(), SdpType::Offer, theirs).unwrap();
        let told = events(&mut a);
        assert!(!told.contains(&Event::NegotiationNeeded), "{told:?}");
        let (_, answer) = a.make_local(epoch()).unwrap();
        b.set_remote(epoch(), SdpType::Answer, answer).unwrap();
        let told = events(&mut a);
        assert_eq!(a.transceivers().count(), if by_track { 1 } else { 2 });
        assert_eq!(told.contains(&Event::NegotiationNeeded), !by_track, "{told:?}");
    }
}

/// Both have offered a section of the same name.
#[test]
fn a_transceiver_whose_name_the_peer_has_taken_gets_another_one() {
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Video, Direction::SendOnly);
    add(&mut b, MediaKind::Video, Direction::SendOnly);
    offer(&mut a);
    let theirs = offer(&mut b);
    let taken = mids(&b)[0].clone();
    assert_eq!(mids(&a)[0], taken);
    a.set_remote(epoch(), SdpType::Offer, theirs).unwrap();
    assert_eq!(mids(&a), [None, taken.clone()]);
    a.make_local(epoch()).unwrap();
    offer(&mut a);
    assert!(mids(&a)[0].is_some() && mids(&a)[0] != taken);
}

#[test]
fn a_channel_outlasts_an_offer_that_was_crossed() {
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Video, Direction::SendRecv);
    let channel = b.open_channel(epoch(), ChannelInit::labelled("dummy")).unwrap();
    offer(&mut b);
    let theirs = offer(&mut a);
    b.set_remote(epoch(), SdpType::Offer, theirs).unwrap();
    b.make_local(epoch()).unwrap();
    let (_, again) = b.make_local(epoch()).unwrap();
    assert!(again.media().any(|media| media.is_data_channels()));
    assert_eq!(b.channel(channel).unwrap().state, ChannelState::Connecting);
}

#[test]
fn a_rollback_in_mid_session_leaves_what_is_agreed_and_a_further_offer_is_fine() {
    for ours in [true, false] {
        let [mut a, mut b] = both();
        track(&mut a, MediaKind::Audio, &["s"]);
        negotiate(&mut a, &mut b);
        track(&mut a, MediaKind::Video, &["s"]);
        let theirs = offer(&mut a);
        // The direction that is wanted stays, whatever is taken back.
        assert_eq!(track(&mut b, MediaKind::Audio, &["t"]), only(&b));
        let wanted = (Direction::SendRecv, Some(Direction::RecvOnly));
        if ours {
            offer(&mut b);
        } else {
            b.set_remote(epoch(), SdpType::Offer, theirs.clone()).unwrap();
        }
        b.rollback(epoch()).unwrap();
        assert_eq!(directions(&b), [wanted]);
        if ours {
            b.set_remote(epoch(), SdpType::Offer, theirs).unwrap();
            assert_eq!(b.transceivers().count(), 2);
        } else {
            offer(&mut b);
        }
    }
}

/// A track comes with an offer, goes with its rollback, and comes with it once more; one that went comes back.
#[test]
fn tracks_follow_offers_that_are_taken_back() {
    for (kind, streams) in [(MediaKind::Audio, &["s"][..]), (MediaKind::Video, &[])] {
        let [mut a, mut b] = both();
        let ours = track(&mut a, kind, streams);
        let id = track(&mut b, kind, streams);
        let offered = offer(&mut a);
        for _ in 0..2 {
            b.set_remote(epoch(), SdpType::Offer, offered.clone()).unwrap();
            assert_eq!((only(&b), tracks(&mut b)), (id, vec![(id, true)]));
            assert_eq!(b.transceiver(id).unwrap().remote_streams, streams);
            b.rollback(epoch()).unwrap();
            assert_eq!((only(&b), tracks(&mut b)), (id, vec![(id, false)]));
        }
        b.set_remote(epoch(), SdpType::Offer, offered).unwrap();
        let (_, answer) = b.make_local(epoch()).unwrap();
        a.set_remote(epoch(), SdpType::Answer, answer).unwrap();
        tracks(&mut b);

        a.set_direction(epoch(), ours, Direction::Inactive).unwrap();
        let (_, silent) = a.make_local(epoch()).unwrap();
        b.set_remote(epoch(), SdpType::Offer, silent).unwrap();
        assert_eq!(tracks(&mut b), [(id, false)]);
        b.rollback(epoch()).unwrap();
        assert_eq!(tracks(&mut b), [(id, true)]);
        assert_eq!(b.transceiver(id).unwrap().remote_streams, streams);
        assert_eq!(b.transceiver(id).unwrap().current_direction, Some(Direction::SendRecv));
    }
}

#[test]
fn streams_follow_offers_that_are_taken_back() {
    let [mut a, mut b] = both();
    let ours = track(&mut a, MediaKind::Audio, &["x"]);
    negotiate(&mut a, &mut b);
    let id = only(&b);
    tracks(&mut b);
    a.set_streams(epoch(), ours, vec!["y".into()]).unwrap();
    let (_, moved) = a.make_local(epoch()).unwrap();
    b.set_remote(epoch(), SdpType::Offer, moved).unwrap();
    assert_eq!(b.transceiver(id).unwrap().remote_streams, ["y"]);
    assert_eq!(tracks(&mut b), [(id, true)]);
    b.rollback(epoch()).unwrap();
    assert_eq!(b.transceiver(id).unwrap().remote_streams, ["x"]);
    assert_eq!(tracks(&mut b), [(id, true)]);
}

#[test]
fn a_closed_session_takes_nothing_back() {
    let mut a = fresh(0);
    offer(&mut a);
    a.close(epoch());
    assert_eq!(a.rollback(epoch()).unwrap_err().name(), "InvalidStateError");
    assert_eq!(a.signaling_state(), SignalingState::Closed);
}
