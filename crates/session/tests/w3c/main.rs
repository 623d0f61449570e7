//! What the public web-platform-tests of WebRTC assert of descriptions, transceivers, candidates and states, file by file
//! (`docs/rfc/w3c-descriptions.toml`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::redundant_pub_crate,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod candidates;
mod glare;
#[path = "../harness/mod.rs"]
mod harness;
mod local;
mod needed;
mod protocol;
mod remote;
mod rollback;
mod tracks;

use harness::exchange::events;
use session::{Direction, Event, MediaKind, Session, SignalingState, TransceiverId, TransceiverInit};
use testkit::epoch;

/// The signalling states that were told since they were asked for last.
fn states(session: &mut Session) -> Vec<SignalingState> {
    let told = events(session).into_iter();
    told.filter_map(|event| if let Event::SignalingState(state) = event { Some(state) } else { None })
        .collect()
}

/// The tracks that came and went since that was asked for last: whose, and whether it came.
fn tracks(session: &mut Session) -> Vec<(TransceiverId, bool)> {
    let told = events(session).into_iter();
    told.filter_map(|event| match event {
        Event::Track(id) => Some((id, true)),
        Event::TrackRemoved(id) => Some((id, false)),
        _ => None,
    })
    .collect()
}

/// W3C's `addTransceiver` with a kind: there is no track.
fn add(session: &mut Session, kind: MediaKind, direction: Direction) -> TransceiverId {
    let mut init = TransceiverInit::default();
    (init.direction, init.has_track) = (direction, false);
    session.add_transceiver(epoch(), kind, init).unwrap()
}

/// W3C's `addTrack`.
fn track(session: &mut Session, kind: MediaKind, streams: &[&str]) -> TransceiverId {
    let streams = streams.iter().map(|&stream| stream.to_owned()).collect();
    session.add_track(epoch(), kind, streams).unwrap()
}

fn mids(session: &Session) -> Vec<Option<String>> {
    session.transceivers().map(|(_, info)| info.mid.map(str::to_owned)).collect()
}
