//! What the tests of media share: made-up frames, and tracks between two connections.

use std::time::Duration;

use peerline::{
    Configuration, Endpoint, Event, Events, OutgoingFrame, PeerConnection, SendMediaError, Transceiver,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::harness::{endpoint, negotiate};

/// A frame of VP8; the first is a key frame.
pub fn vp8(number: u32) -> Vec<u8> {
    let is_key = number.is_multiple_of(30);
    let mut frame = vec![u8::from(!is_key), 0, 0];
    if is_key {
        frame.extend_from_slice(&[0x9d, 0x01, 0x2a, 64, 1, 180, 0]);
    }
    frame.extend_from_slice(&number.to_be_bytes());
    frame.resize(3000, 7);
    frame
}

/// Carries candidates to the other side, and gives tracks out.
pub fn link(mut events: Events, other: PeerConnection) -> UnboundedReceiver<Transceiver> {
    let (tracks, found) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            match event {
                Event::IceCandidate(Some(candidate)) => other.add_ice_candidate(&candidate).unwrap(),
                Event::Track(transceiver) => _ = tracks.send(transceiver),
                _ => {}
            }
        }
    });
    found
}

/// Two that have agreed on what was added to the first; of the second the tracks.
pub fn linked([(alice, from_alice), (bob, from_bob)]: &mut Two) -> UnboundedReceiver<Transceiver> {
    negotiate(alice, bob);
    link(from_alice.take().unwrap(), bob.clone());
    link(from_bob.take().unwrap(), alice.clone())
}

pub async fn pump(transceiver: Transceiver) {
    pump_filled(transceiver, 7).await;
}

/// 30 frames a second, in which whatever tells nothing is this byte.
pub async fn pump_filled(transceiver: Transceiver, fill: u8) {
    let mut ticks = tokio::time::interval(Duration::from_millis(33));
    for number in 0_u32.. {
        ticks.tick().await;
        let mut bytes = vp8(number);
        bytes.iter_mut().skip(14).for_each(|byte| *byte = fill);
        let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..OutgoingFrame::default() };
        match transceiver.write_frame(0, &frame) {
            Ok(())
            | Err(SendMediaError::NotConnected | SendMediaError::NotSending | SendMediaError::Blocked) => {}
            Err(error) => return assert_eq!(error, SendMediaError::Stopped),
        }
    }
}

pub type Two = [(PeerConnection, Option<Events>); 2];

pub async fn two() -> Two {
    two_at([endpoint().await, endpoint().await], &Configuration::default())
}

/// The same over these endpoints.
pub fn two_at(endpoints: [Endpoint; 2], configuration: &Configuration) -> Two {
    endpoints.map(|endpoint| {
        let (connection, events) = endpoint.connect(configuration.clone()).unwrap();
        (connection, Some(events))
    })
}
