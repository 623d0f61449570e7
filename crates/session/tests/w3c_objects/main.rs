//! What the web-platform-tests suite asserts of W3C WebRTC's objects, where a native endpoint has them: see
//! docs/rfc/w3c-objects.toml.
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

mod channels;
#[path = "../harness/mod.rs"]
mod harness;
mod parameters;
mod receivers;
mod statistics;
mod tones;
mod transceivers;
mod transforms;
mod transports;

use std::sync::Arc;
use std::time::Duration;

use harness::{Two, config, near};
use session::{FrameConfig, MediaKind, OutgoingFrame, Session, TransceiverId};
use testkit::epoch;

/// Two that nothing carries anything for.
fn both() -> [Session; 2] {
    [0, 1].map(|side| Session::new(epoch(), harness::CLOCK, config(side), [side + 1; 32]).unwrap())
}

/// Two connected ones, and the transceivers of each side, of these kinds.
fn call(kinds: &[MediaKind]) -> (Two, [Vec<TransceiverId>; 2]) {
    prepared_call(kinds, |_, _| {})
}

/// The same, with something done before there are any descriptions.
fn prepared_call(
    kinds: &[MediaKind],
    prepare: impl FnOnce(&mut Two, &[Vec<TransceiverId>; 2]),
) -> (Two, [Vec<TransceiverId>; 2]) {
    let configs = [0, 1].map(|side| {
        let mut config = config(side);
        config.frames = Some(Arc::new(FrameConfig::default()));
        config
    });
    let mut two = Two::with(configs, near());
    let now = two.now();
    let ids = [0, 1].map(|side| {
        kinds.iter().map(|kind| two.session(side).add_track(now, *kind, vec![]).unwrap()).collect()
    });
    prepare(&mut two, &ids);
    two.negotiate(0);
    assert!(two.run(Duration::from_secs(20), Two::is_connected), "{}", two.reports());
    (two, ids)
}

fn wait(two: &mut Two, millis: u64) {
    two.run(Duration::from_millis(millis), |_| false);
}

/// Sends 20 ms of sound.
fn speak(two: &mut Two, side: usize, id: TransceiverId, number: u32) {
    let now = two.now();
    let frame = OutgoingFrame { bytes: &[0xf8, 1], timestamp: number * 960, ..OutgoingFrame::default() };
    two.session(side).write_frame(now, id, 0, &frame).unwrap();
    wait(two, 20);
}
