//! `createOffer`, `createAnswer` and `setLocalDescription`.

use session::{ChannelInit, Direction, MediaKind, NegotiationError, SdpType, SignalingState};
use testkit::epoch;

use crate::harness::exchange::{answer, both, directions, fresh, lines, negotiate, offer};
use crate::{add, mids, states, track};

#[test]
fn an_offer_of_nothing_can_be_made_set_and_answered() {
    let [mut a, mut b] = both();
    let [offer, answer] = negotiate(&mut a, &mut b);
    assert_eq!((offer.media().len(), answer.media().len()), (0, 0));
    assert_eq!(states(&mut a), [SignalingState::HaveLocalOffer, SignalingState::Stable]);
    assert_eq!(states(&mut b), [SignalingState::HaveRemoteOffer, SignalingState::Stable]);
}

#[test]
fn offers_and_answers_belong_to_their_states() {
    let [mut a, mut b] = both();
    assert_eq!(b.create_answer(epoch()).unwrap_err().name(), "InvalidStateError");
    add(&mut a, MediaKind::Video, Direction::RecvOnly);
    let offered = offer(&mut a);
    assert_eq!(a.create_answer(epoch()).unwrap_err().name(), "InvalidStateError");
    a.create_offer(epoch()).unwrap();
    b.set_remote(epoch(), SdpType::Offer, offered.clone()).unwrap();
    assert_eq!(b.create_offer(epoch()).unwrap_err().name(), "InvalidStateError");
    // Of an answer in a state that has none the kind is wrong, whoever made it.
    let answered = b.create_answer(epoch()).unwrap();
    for kind in [SdpType::Answer, SdpType::Pranswer] {
        let refused = a.set_local(epoch(), kind, answered.clone()).unwrap_err();
        assert_eq!(refused, NegotiationError::WrongState(SignalingState::HaveLocalOffer));
        let refused = fresh(2).set_local(epoch(), kind, answered.clone()).unwrap_err();
        assert_eq!(refused, NegotiationError::WrongState(SignalingState::Stable));
    }
    b.close(epoch());
    for refused in [b.create_offer(epoch()).map(drop), b.create_answer(epoch()).map(drop)] {
        assert_eq!(refused.unwrap_err().name(), "InvalidStateError");
    }
}

#[test]
fn only_what_was_created_last_is_set() {
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Audio, Direction::RecvOnly);
    let first = a.create_offer(epoch()).unwrap();
    add(&mut a, MediaKind::Video, Direction::RecvOnly);
    let last = a.create_offer(epoch()).unwrap();
    for strange in [first, b.create_offer(epoch()).unwrap()] {
        let refused = a.set_local(epoch(), SdpType::Offer, strange).unwrap_err();
        assert_eq!(refused.name(), "InvalidModificationError");
    }
    a.set_local(epoch(), SdpType::Offer, last.clone()).unwrap();
    b.set_remote(epoch(), SdpType::Offer, last.clone()).unwrap();
    let strange = answer(&mut fresh(2), last);
    let refused = b.set_local(epoch(), SdpType::Answer, strange).unwrap_err();
    assert_eq!(refused.name(), "InvalidModificationError");
    assert_eq!(b.signaling_state(), SignalingState::HaveRemoteOffer);
}

#[test]
fn an_offer_may_be_replaced_before_it_is_answered() {
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Audio, Direction::RecvOnly);
    offer(&mut a);
    add(&mut a, MediaKind::Video, Direction::RecvOnly);
    negotiate(&mut a, &mut b);
    assert_eq!(states(&mut a), [SignalingState::HaveLocalOffer, SignalingState::Stable]);
    for session in [&a, &b] {
        let kinds: Vec<MediaKind> = session.transceivers().map(|(_, info)| info.kind).collect();
        assert_eq!(kinds, [MediaKind::Audio, MediaKind::Video]);
    }
}

/// What is created later is in the offer, also beside channels, and names come when it is set.
#[test]
fn a_transceiver_has_its_name_once_the_offer_is_set() {
    let mut a = fresh(0);
    let id = add(&mut a, MediaKind::Audio, Direction::SendRecv);
    a.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap();
    let made = a.create_offer(epoch()).unwrap();
    assert_eq!(mids(&a), [None]);
    assert!(a.local_description().is_none());
    a.set_local(epoch(), SdpType::Offer, made.clone()).unwrap();
    let mid = a.transceiver(id).unwrap().mid.unwrap();
    assert!(lines(&made.to_string(), "a=mid:").contains(&&*format!("a=mid:{mid}")));
    assert!(a.local_description().is_some());
}

#[test]
fn roles_change_from_exchange_to_exchange() {
    let [mut a, mut b] = both();
    a.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap();
    negotiate(&mut a, &mut b);
    assert_eq!(a.local_description().unwrap().0, SdpType::Offer);
    track(&mut b, MediaKind::Audio, &["s"]);
    let [reoffer, reanswer] = negotiate(&mut b, &mut a);
    assert_eq!((reoffer.media().len(), reanswer.media().len()), (2, 2));
    let (kind, description) = a.local_description().unwrap();
    assert_eq!((kind, description.media().len()), (SdpType::Answer, 2));
    assert_eq!(a.remote_description().unwrap().0, SdpType::Offer);
    let expected = [
        SignalingState::HaveLocalOffer,
        SignalingState::Stable,
        SignalingState::HaveRemoteOffer,
        SignalingState::Stable,
    ];
    assert_eq!(states(&mut a), expected);
}

/// One answer may be given for now, again, and for good.
#[test]
fn a_provisional_answer_becomes_the_final_one_as_it_is() {
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Video, Direction::RecvOnly);
    let offered = offer(&mut a);
    b.set_remote(epoch(), SdpType::Offer, offered).unwrap();
    let answer = b.create_answer(epoch()).unwrap();
    for kind in [SdpType::Pranswer, SdpType::Pranswer, SdpType::Answer] {
        b.set_local(epoch(), kind, answer.clone()).unwrap();
        a.set_remote(epoch(), kind, answer.clone()).unwrap();
        assert_eq!(b.local_description().unwrap().0, kind);
        assert_eq!(b.remote_description().unwrap().0, SdpType::Offer);
        assert_eq!(a.remote_description().unwrap().0, kind);
        assert_eq!(a.local_description().unwrap().0, SdpType::Offer);
    }
    let (far, near) = (SignalingState::HaveRemoteOffer, SignalingState::HaveLocalPranswer);
    assert_eq!(states(&mut b), [far, near, SignalingState::Stable]);
    let (near, far) = (SignalingState::HaveLocalOffer, SignalingState::HaveRemotePranswer);
    assert_eq!(states(&mut a), [near, far, SignalingState::Stable]);
    assert_eq!(directions(&a), [(Direction::RecvOnly, Some(Direction::Inactive))]);
    // It is not set another time.
    let refused = b.set_local(epoch(), SdpType::Answer, answer).unwrap_err();
    assert_eq!(refused, NegotiationError::WrongState(SignalingState::Stable));
}

/// `setLocalDescription` without an argument.
#[test]
fn the_description_that_is_due_is_made_and_set_at_once() {
    let [mut a, mut b] = both();
    let id = add(&mut a, MediaKind::Audio, Direction::SendRecv);
    let (kind, offer) = a.make_local(epoch()).unwrap();
    assert_eq!((kind, a.signaling_state()), (SdpType::Offer, SignalingState::HaveLocalOffer));
    assert!(a.transceiver(id).unwrap().mid.is_some());
    // In `have-local-offer` it is another offer.
    add(&mut a, MediaKind::Video, Direction::SendRecv);
    let (kind, second) = a.make_local(epoch()).unwrap();
    assert_eq!((kind, offer.media().len(), second.media().len()), (SdpType::Offer, 1, 2));
    b.set_remote(epoch(), SdpType::Offer, second).unwrap();
    let (kind, answer) = b.make_local(epoch()).unwrap();
    assert_eq!((kind, b.signaling_state()), (SdpType::Answer, SignalingState::Stable));
    let inwards = (Direction::RecvOnly, Some(Direction::RecvOnly));
    assert_eq!(directions(&b), [inwards, inwards]);
    a.set_remote(epoch(), SdpType::Answer, answer).unwrap();
    assert_eq!(a.signaling_state(), SignalingState::Stable);

    // After a provisional answer the final one is due, and whoever has got one owes nothing.
    let (_, offer) = a.make_local(epoch()).unwrap();
    b.set_remote(epoch(), SdpType::Offer, offer).unwrap();
    let answer = b.create_answer(epoch()).unwrap();
    b.set_local(epoch(), SdpType::Pranswer, answer.clone()).unwrap();
    a.set_remote(epoch(), SdpType::Pranswer, answer).unwrap();
    assert_eq!(b.make_local(epoch()).unwrap().0, SdpType::Answer);
    let refused = a.make_local(epoch()).unwrap_err();
    assert_eq!(refused, NegotiationError::WrongState(SignalingState::HaveRemotePranswer));
    a.close(epoch());
    assert_eq!(a.make_local(epoch()).unwrap_err().name(), "InvalidStateError");
}
