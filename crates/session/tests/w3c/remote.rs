//! `setRemoteDescription`.

use session::{ChannelInit, Direction, MediaKind, NegotiationError, SdpType, SignalingState};
use testkit::epoch;

use crate::harness::exchange::{answer, both, directions, fresh, negotiate, offer, only, parse};
use crate::{add, mids, states, track, tracks};

#[test]
fn an_offer_may_come_more_than_once_and_as_another_one() {
    let [mut a, mut b] = both();
    a.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap();
    let first = offer(&mut a);
    add(&mut a, MediaKind::Video, Direction::SendRecv);
    let second = offer(&mut a);
    for (offer, transceivers) in [(&first, 0), (&first, 0), (&second, 1), (&second, 1)] {
        b.set_remote(epoch(), SdpType::Offer, offer.clone()).unwrap();
        let (kind, known) = b.remote_description().unwrap();
        assert_eq!((*kind, known.to_string()), (SdpType::Offer, offer.to_string()));
        assert_eq!(b.transceivers().count(), transceivers);
    }
    assert_eq!(states(&mut b), [SignalingState::HaveRemoteOffer]);
    let (_, answer) = b.make_local(epoch()).unwrap();
    a.set_remote(epoch(), SdpType::Answer, answer).unwrap();
    assert_eq!(b.transceivers().count(), 1);
}

/// What the first offer made is still there, with what was done to it, as far as the second has a section of its name.
#[test]
fn an_offer_that_replaces_another_keeps_its_transceivers() {
    let [mut a, mut b] = both();
    track(&mut a, MediaKind::Audio, &["s"]);
    let first = offer(&mut a);
    b.set_remote(epoch(), SdpType::Offer, first).unwrap();
    let id = only(&b);
    assert_eq!(tracks(&mut b), [(id, true)]);
    b.set_direction(epoch(), id, Direction::SendRecv).unwrap();
    track(&mut a, MediaKind::Video, &[]);
    let second = offer(&mut a);
    b.set_remote(epoch(), SdpType::Offer, second.clone()).unwrap();
    let (other, _) = b.transceivers().nth(1).unwrap();
    assert_eq!(b.transceiver(id).unwrap().direction, Direction::SendRecv);
    assert_eq!((mids(&b), tracks(&mut b)), (mids(&a), vec![(other, true)]));
    b.set_remote(epoch(), SdpType::Offer, second).unwrap();
    assert_eq!((mids(&b), tracks(&mut b)), (mids(&a), vec![]));
    // One whose section is another one goes, and so does all that was made with a rollback.
    let mut c = fresh(2);
    add(&mut c, MediaKind::Video, Direction::RecvOnly);
    let third = offer(&mut c);
    b.set_remote(epoch(), SdpType::Offer, third).unwrap();
    let last = only(&b);
    assert!(![id, other].contains(&last));
    assert_eq!(tracks(&mut b), [(id, false), (other, false)]);
    b.rollback(epoch()).unwrap();
    assert_eq!((b.transceivers().count(), tracks(&mut b)), (0, vec![]));
}

/// A track that is told of already, as one of the same streams, is not told of again, although a rollback lies between.
#[test]
fn an_offer_that_replaces_another_tells_of_no_stream_twice() {
    let [mut a, mut b] = both();
    let ours = track(&mut a, MediaKind::Audio, &["s"]);
    negotiate(&mut a, &mut b);
    let theirs = only(&b);
    assert_eq!(tracks(&mut b), [(theirs, true)]);
    a.set_streams(epoch(), ours, vec!["t".to_owned()]).unwrap();
    let next = offer(&mut a);
    for told in [vec![(theirs, true)], vec![], vec![]] {
        b.set_remote(epoch(), SdpType::Offer, next.clone()).unwrap();
        assert_eq!(tracks(&mut b), told);
    }
    b.rollback(epoch()).unwrap();
    assert_eq!(tracks(&mut b), [(theirs, true)], "it is of the former stream again");
}

#[test]
fn answers_belong_to_offers() {
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Video, Direction::RecvOnly);
    let offered = offer(&mut a);
    let answered = answer(&mut b, offered.clone());
    let mut c = fresh(2);
    for kind in [SdpType::Answer, SdpType::Pranswer] {
        let refused = c.set_remote(epoch(), kind, answered.clone()).unwrap_err();
        assert_eq!(refused, NegotiationError::WrongState(SignalingState::Stable));
    }
    c.set_remote(epoch(), SdpType::Offer, offered).unwrap();
    let refused = c.set_remote(epoch(), SdpType::Answer, answered.clone()).unwrap_err();
    assert_eq!(refused, NegotiationError::WrongState(SignalingState::HaveRemoteOffer));
    a.set_remote(epoch(), SdpType::Answer, answered).unwrap();
    assert_eq!(states(&mut a), [SignalingState::HaveLocalOffer, SignalingState::Stable]);
    assert_eq!(states(&mut c), [SignalingState::HaveRemoteOffer]);
}

#[test]
fn an_offer_that_crosses_ours_passes_through_stable() {
    let [mut a, mut b] = both();
    for is_empty in [true, false] {
        if !is_empty {
            add(&mut a, MediaKind::Audio, Direction::RecvOnly);
            add(&mut b, MediaKind::Audio, Direction::RecvOnly);
        }
        offer(&mut b);
        let theirs = offer(&mut a);
        b.set_remote(epoch(), SdpType::Offer, theirs).unwrap();
        let own = SignalingState::HaveLocalOffer;
        assert_eq!(states(&mut b), [own, SignalingState::Stable, SignalingState::HaveRemoteOffer]);
        let (_, answer) = b.make_local(epoch()).unwrap();
        a.set_remote(epoch(), SdpType::Answer, answer).unwrap();
        states(&mut b);
    }
    // One that replaces an offer of the peer's does not: nothing of ours was taken back.
    let theirs = offer(&mut a);
    b.set_remote(epoch(), SdpType::Offer, theirs.clone()).unwrap();
    b.set_remote(epoch(), SdpType::Offer, theirs).unwrap();
    assert_eq!(states(&mut b), [SignalingState::HaveRemoteOffer]);
}

#[test]
fn an_offer_that_cannot_be_leaves_ours() {
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Audio, Direction::RecvOnly);
    add(&mut b, MediaKind::Audio, Direction::RecvOnly);
    offer(&mut a);
    let bad = b.create_offer(epoch()).unwrap().to_string().replace("a=ice-pwd", "a=no-pwd");
    assert_eq!(
        session::SessionDescription::parse("Invalid SDP")
            .map(drop)
            .map_err(NegotiationError::from)
            .unwrap_err()
            .name(),
        "OperationError"
    );
    let refused = a.set_remote(epoch(), SdpType::Offer, parse(&bad)).unwrap_err();
    assert_eq!(refused.name(), "InvalidAccessError");
    assert_eq!((a.signaling_state(), mids(&a)), (SignalingState::HaveLocalOffer, vec![Some("0".to_owned())]));
    assert_eq!(states(&mut a), [SignalingState::HaveLocalOffer]);
}

#[test]
fn a_section_has_a_transceiver_of_the_same_name_on_both_sides() {
    let [mut a, mut b] = both();
    let ours = track(&mut a, MediaKind::Audio, &["s"]);
    let offered = offer(&mut a);
    b.set_remote(epoch(), SdpType::Offer, offered).unwrap();
    let theirs = only(&b);
    assert_eq!(b.transceiver(theirs).unwrap().mid, a.transceiver(ours).unwrap().mid);
    assert_eq!(directions(&b), [(Direction::RecvOnly, None)]);
    assert_eq!(directions(&a), [(Direction::SendRecv, None)]);
    assert_eq!(tracks(&mut b), [(theirs, true)]);
    let (_, answer) = b.make_local(epoch()).unwrap();
    assert_eq!(directions(&b), [(Direction::RecvOnly, Some(Direction::RecvOnly))]);
    a.set_remote(epoch(), SdpType::Answer, answer).unwrap();
    assert_eq!(directions(&a), [(Direction::SendRecv, Some(Direction::SendOnly))]);
    assert_eq!(tracks(&mut a), []);
}

/// What the answer rejects is over on both sides.
#[test]
fn a_section_that_is_rejected_has_no_transceiver() {
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Audio, Direction::SendRecv);
    let offered = offer(&mut a);
    b.set_remote(epoch(), SdpType::Offer, offered).unwrap();
    let theirs = only(&b);
    b.stop_transceiver(epoch(), theirs).unwrap();
    let (_, answer) = b.make_local(epoch()).unwrap();
    a.set_remote(epoch(), SdpType::Answer, answer).unwrap();
    assert_eq!((a.transceivers().count(), b.transceivers().count()), (0, 0));
}

#[test]
fn tracks_belong_to_the_streams_that_the_peer_names() {
    for streams in [&[][..], &["x"], &["x", "y"]] {
        for by_track in [true, false] {
            let [mut a, mut b] = both();
            if by_track {
                track(&mut a, MediaKind::Audio, streams);
            } else {
                let mut init = session::TransceiverInit::default();
                init.streams = streams.iter().map(|&stream| stream.to_owned()).collect();
                a.add_transceiver(epoch(), MediaKind::Audio, init).unwrap();
            }
            let offered = offer(&mut a);
            b.set_remote(epoch(), SdpType::Offer, offered).unwrap();
            let id = only(&b);
            assert_eq!(b.transceiver(id).unwrap().remote_streams, streams);
            assert_eq!(tracks(&mut b), [(id, true)]);
        }
    }
}

/// A second track of a stream that is known has an event of its own, and the first has none.
#[test]
fn a_stream_gets_a_second_track() {
    let [mut a, mut b] = both();
    track(&mut a, MediaKind::Audio, &["s"]);
    negotiate(&mut a, &mut b);
    let first = only(&b);
    assert_eq!(tracks(&mut b), [(first, true)]);
    track(&mut a, MediaKind::Audio, &["s"]);
    negotiate(&mut a, &mut b);
    let (second, info) = b.transceivers().nth(1).unwrap();
    assert_eq!(info.remote_streams, ["s"]);
    assert_ne!(info.remote_track, b.transceiver(first).unwrap().remote_track);
    assert_eq!(tracks(&mut b), [(second, true)]);
}

/// A track that comes to another stream is told of again (W3C WebRTC 1.0 §4.4.1.5); one that leaves a stream is not.
#[test]
fn a_track_that_joins_a_stream_is_told_of_again() {
    let [mut a, mut b] = both();
    let ours = track(&mut a, MediaKind::Audio, &["x"]);
    negotiate(&mut a, &mut b);
    let id = only(&b);
    assert_eq!(tracks(&mut b), [(id, true)]);
    for (streams, is_told) in [(&["x", "y"][..], true), (&["y"], false), (&["z"], true), (&["z"], false)] {
        let named = streams.iter().map(|&stream| stream.to_owned()).collect();
        a.set_streams(epoch(), ours, named).unwrap();
        negotiate(&mut a, &mut b);
        assert_eq!(b.transceiver(id).unwrap().remote_streams, streams);
        let told: &[_] = if is_told { &[(id, true)] } else { &[] };
        assert_eq!(tracks(&mut b), told, "{streams:?}");
    }
    // From the answerer, too.
    b.set_direction(epoch(), id, Direction::SendRecv).unwrap();
    for streams in [vec!["p".to_owned()], vec!["q".to_owned()]] {
        b.set_streams(epoch(), id, streams.clone()).unwrap();
        negotiate(&mut a, &mut b);
        assert_eq!(a.transceiver(ours).unwrap().remote_streams, streams);
        assert_eq!(tracks(&mut a), [(ours, true)]);
    }
}

#[test]
fn a_track_that_is_removed_goes_and_its_transceiver_stays() {
    let [mut a, mut b] = both();
    let ours = track(&mut a, MediaKind::Audio, &["s"]);
    negotiate(&mut a, &mut b);
    let id = only(&b);
    tracks(&mut b);
    a.remove_track(epoch(), ours).unwrap();
    let offered = offer(&mut a);
    b.set_remote(epoch(), SdpType::Offer, offered).unwrap();
    assert_eq!(only(&b), id);
    assert!(b.transceiver(id).unwrap().remote_streams.is_empty());
    assert_eq!(tracks(&mut b), [(id, false)]);
}
