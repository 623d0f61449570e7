//! Offers and answers of connections whose events wait to be read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::time::Duration;

use harness::{endpoint, negotiate};
use peerline::{
    Configuration, DataChannelInit, Event, Events, GatheringState, IceState, MediaKind, PeerConnection,
    SignalingState,
};

/// The events that come until none does for a while.
async fn told(events: &mut Events) -> Vec<Event> {
    let mut told = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(200), events.next()).await {
        told.push(event);
    }
    told
}

/// How often an offer was asked for.
async fn asked(events: &mut Events) -> usize {
    told(events).await.iter().filter(|event| matches!(event, Event::NegotiationNeeded)).count()
}

/// Lets the worker take what a session has to tell, which is not read.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn real_an_offer_is_asked_for_only_while_one_is_called_for_and_once() {
    let endpoint = endpoint().await;
    let (alice, mut from_alice) = endpoint.connect(Configuration::default()).unwrap();
    let (bob, mut from_bob) = endpoint.connect(Configuration::default()).unwrap();
    alice.add_track(MediaKind::Audio, &[]).unwrap();
    bob.add_track(MediaKind::Audio, &[]).unwrap();
    pause().await;
    // What the exchange has covered is asked for no more, and what comes up behind it once.
    negotiate(&alice, &bob);
    pause().await;
    bob.create_data_channel("late", DataChannelInit::default()).unwrap();
    assert_eq!((asked(&mut from_alice).await, asked(&mut from_bob).await), (0, 1));
    bob.add_track(MediaKind::Video, &[]).unwrap();
    pause().await;
    negotiate(&bob, &alice);
    bob.add_track(MediaKind::Video, &[]).unwrap();
    pause().await;
    negotiate(&alice, &bob);
    pause().await;
    assert_eq!(asked(&mut from_bob).await, 1, "it is still called for");
}

/// `setLocalDescription` without an argument, on both sides.
#[tokio::test]
async fn real_descriptions_that_are_due_are_made_and_set_at_once() {
    let endpoint = endpoint().await;
    let (alice, _from_alice) = endpoint.connect(Configuration::default()).unwrap();
    let (bob, _from_bob) = endpoint.connect(Configuration::default()).unwrap();
    alice.add_track(MediaKind::Audio, &[]).unwrap();
    let states = |a: &PeerConnection, b: &PeerConnection| (a.signaling_state(), b.signaling_state());
    assert_eq!(alice.ice_gathering_state(), GatheringState::New);
    let offer = alice.make_local_description().unwrap();
    assert_eq!(alice.ice_gathering_state(), GatheringState::Complete);
    assert_eq!((bob.can_trickle_ice_candidates(), bob.ice_connection_state()), (None, IceState::New));
    bob.set_remote_description(offer).unwrap();
    assert_eq!(states(&alice, &bob), (SignalingState::HaveLocalOffer, SignalingState::HaveRemoteOffer));
    let answer = bob.make_local_description().unwrap();
    alice.set_remote_description(answer).unwrap();
    assert_eq!([&alice, &bob].map(PeerConnection::can_trickle_ice_candidates), [Some(true); 2]);
    assert_eq!(states(&alice, &bob), (SignalingState::Stable, SignalingState::Stable));
}
