//! Video whose repair is inside of RED (RFC 5109 §14), through a session that forwards it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    dead_code,
    reason = "a panic is how a test fails, and of the harness a part is used"
)]

mod harness;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use harness::{Two, config, near};
use session::{
    Codec, Content, Direction, FrameConfig, MediaConfig, MediaKind, OutgoingFrame, Output, SendMediaError,
    SharedPackets, TransceiverId,
};
use testkit::Link;

/// Two that speak VP8, with ULPFEC inside of RED or without.
fn connected(has_repair: bool, link: Link) -> (Two, [TransceiverId; 2]) {
    let configs = [0, 1].map(|side| {
        let mut config = config(side);
        config.frames = Some(Arc::new(FrameConfig::default()));
        let mut media = MediaConfig::default();
        media.codecs.retain(|codec| codec.name == "VP8");
        media.codecs.extend(Codec::ulpfec().into_iter().flatten().filter(|_| has_repair));
        config.media = Some(Arc::new(media));
        config
    });
    let mut two = Two::with(configs, link);
    two.world.max_datagram = 1300;
    let now = two.now();
    let ids = [0, 1].map(|side| two.session(side).add_track(now, MediaKind::Video, vec![]).unwrap());
    two.negotiate(0);
    assert!(two.run(Duration::from_secs(20), Two::is_connected), "{}", two.reports());
    (two, ids)
}

fn vp8(number: u32) -> Vec<u8> {
    harness::vp8(number, 6000, 1)
}

/// What came of it.
struct Outcome {
    /// Packets of repair that the forwarder got, and numbers that it left out.
    repairs: u64,
    omitted: usize,
    /// Numbers that the viewer got, of packets and of empty ones.
    packets: BTreeSet<u64>,
    empty: BTreeSet<u64>,
    frames: usize,
    missing: u64,
    abandoned: u64,
    nacks: u64,
    key_frame_requests: u64,
    /// Requests of the viewer's that the forwarder could not answer.
    refused: u64,
}

/// Forwards 300 frames.
fn forward(up: Link, down: Link) -> Outcome {
    let (mut up, from) = connected(true, up);
    let (mut down, to) = connected(false, down);
    assert!(up.session(1).set_output(from[1], Output::Packets));
    assert!(down.session(1).set_output(to[1], Output::Both));
    let mut shared = SharedPackets::default();
    let mut outcome = Outcome {
        repairs: 0,
        omitted: 0,
        packets: BTreeSet::new(),
        empty: BTreeSet::new(),
        frames: 0,
        missing: 0,
        abandoned: 0,
        nacks: 0,
        key_frame_requests: 0,
        refused: 0,
    };
    for step in 0..1600 {
        if step % 5 == 0 && step < 1500 {
            let (now, number) = (up.now(), step / 5);
            let bytes = vp8(number);
            let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 4500, ..OutgoingFrame::default() };
            // What the path does not take counts as not sent.
            let _ = up.session(0).write_frame(now, from[0], 0, &frame);
        }
        up.run(Duration::from_millis(10), |_| false);
        let theirs = up.session(1).transceiver(from[1]).unwrap().negotiated.unwrap().extensions.clone();
        let peer = up.peer(1);
        let (packets, mut omitted) =
            (std::mem::take(&mut peer.packets), std::mem::take(&mut peer.omitted).into_iter().peekable());
        let now = down.now();
        for at in 0..=packets.len() {
            while let Some((_, number, _)) = omitted.next_if(|(_, _, before)| *before == at) {
                outcome.omitted += 1;
                down.session(0).omit_rtp(now, to[0], 0, (1, number)).unwrap();
            }
            if let Some((_, number, packet)) = packets.get(at) {
                let packet = shared.share(packet, &theirs).unwrap();
                down.session(0).forward_rtp(now, to[0], 0, (1, *number), &packet).unwrap();
            }
        }
        assert!(omitted.next().is_none());
        down.run(Duration::from_millis(10), |_| false);
        let now = down.now();
        while let Some(frame) = down.session(1).poll_frame(now, to[1]) {
            outcome.frames += usize::from(matches!(frame.content, Content::Media { .. }));
        }
    }
    let peer = down.peer(1);
    outcome.packets.extend(std::mem::take(&mut peer.packets).iter().map(|(_, number, _)| number));
    outcome.empty.extend(std::mem::take(&mut peer.omitted).iter().map(|(_, number, _)| number));
    outcome.repairs = up.session(1).stream_stats(from[1])[0].1.repairs;
    outcome.key_frame_requests = up.session(1).stream_stats(from[1])[0].1.key_frame_requests;
    let nack = down.session(1).stream_stats(to[1])[0].1.nack;
    (outcome.missing, outcome.abandoned, outcome.nacks) = (nack.missing, nack.abandoned, nack.nacks);
    outcome.refused = down.session(0).encoding_stats(to[0], 0).unwrap().0.refused;
    outcome
}

/// Numbers of which the viewer has got nothing.
fn gaps(outcome: &Outcome) -> Vec<u64> {
    let all: BTreeSet<u64> = outcome.packets.union(&outcome.empty).copied().collect();
    (*all.first().unwrap()..*all.last().unwrap()).filter(|number| !all.contains(number)).collect()
}

#[test]
fn who_gets_no_repair_misses_nothing_where_nothing_is_lost() {
    let outcome = forward(near(), near());
    assert!(outcome.repairs > 280 && outcome.omitted as u64 >= outcome.repairs, "{}", outcome.omitted);
    assert_eq!(gaps(&outcome), []);
    assert_eq!((outcome.missing, outcome.nacks, outcome.refused, outcome.empty.len()), (0, 0, 0, 0));
    assert!(outcome.frames > 295, "{} frames", outcome.frames);
}

#[test]
fn whatever_is_lost_on_either_leg_there_is_what_viewers_ask_for() {
    for (first, second) in [(0.05, 0.0), (0.0, 0.05), (0.03, 0.03)] {
        let [up, down] = [first, second].map(|loss| Link { loss, ..near() });
        let outcome = forward(up, down);
        println!(
            "{} of repair, {} left out, {} packets, {} empty, {} frames, {} missing, {} abandoned, {} refused",
            outcome.repairs,
            outcome.omitted,
            outcome.packets.len(),
            outcome.empty.len(),
            outcome.frames,
            outcome.missing,
            outcome.abandoned,
            outcome.refused
        );
        assert!(outcome.repairs > 200 && outcome.frames > 295, "{} frames", outcome.frames);
        assert_eq!(gaps(&outcome), []);
        if first == 0.0 {
            assert_eq!(outcome.refused, 0, "all is there that is asked for");
        } else {
            assert!(outcome.omitted as u64 > outcome.repairs, "of what was lost, too");
        }
    }
}

#[test]
fn who_sends_nothing_leaves_nothing_out() {
    let (mut two, ids) = connected(false, near());
    let now = two.now();
    two.session(0).omit_rtp(now, ids[0], 0, (1, 70_000)).unwrap();
    two.session(0).set_direction(now, ids[0], Direction::RecvOnly).unwrap();
    two.negotiate(0);
    let now = two.now();
    let refused = two.session(0).omit_rtp(now, ids[0], 0, (1, 70_000));
    assert_eq!(refused, Err(SendMediaError::NotSending));
}
