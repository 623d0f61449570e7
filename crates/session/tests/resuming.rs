//! What outlives the machines of a transceiver: it is held and goes on, and another transport takes it over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::sync::Arc;
use std::time::Duration;

use harness::{Two, config, near, peer};
use session::{
    BundlePolicy, Content, Direction, FrameConfig, MediaKind, OutgoingFrame, Output, SdpType,
    SessionDescription, TransceiverId,
};

/// Sections of audio from the first side to the second, with frames, of whom each would have a transport of its own.
fn fresh(sections: usize) -> Two {
    let configs = [0, 1].map(|side| {
        let mut config = config(side);
        config.frames = Some(Arc::new(FrameConfig::default()));
        config.bundle_policy = BundlePolicy::MaxCompat;
        config
    });
    let mut two = Two::with(configs, near());
    let now = two.now();
    (0..sections).for_each(|_| _ = two.session(0).add_track(now, MediaKind::Audio, vec![]).unwrap());
    two
}

/// The transceivers of a side.
fn ids(two: &mut Two, side: usize) -> Vec<TransceiverId> {
    two.session(side).transceivers().map(|(id, _)| id).collect()
}

/// An exchange, of which the offer is changed on its way.
fn negotiate(two: &mut Two, change: impl Fn(&str) -> String) {
    negotiate_from(two, 0, change);
}

fn negotiate_from(two: &mut Two, offerer: usize, change: impl Fn(&str) -> String) {
    offer(two, offerer, change);
    let now = two.now();
    let answer = two.session(1 - offerer).create_answer(now).unwrap();
    two.session(1 - offerer).set_local(now, SdpType::Answer, answer.clone()).unwrap();
    two.session(offerer).set_remote(now, SdpType::Answer, answer).unwrap();
}

fn offer(two: &mut Two, offerer: usize, change: impl Fn(&str) -> String) {
    let now = two.now();
    let offer = two.session(offerer).create_offer(now).unwrap();
    two.session(offerer).set_local(now, SdpType::Offer, offer.clone()).unwrap();
    let seen = SessionDescription::parse(&change(&offer.to_string())).unwrap();
    two.session(1 - offerer).set_remote(now, SdpType::Offer, seen).unwrap();
}

fn unbundled(text: &str) -> String {
    let kept = text.lines().filter(|line| !line.starts_with("a=group:BUNDLE") && *line != "a=bundle-only");
    kept.map(|line| format!("{line}\r\n")).collect()
}

/// Sends ten frames; gives how many came out.
fn send(two: &mut Two, from: TransceiverId, to: TransceiverId, first: u32) -> usize {
    let mut came = 0;
    for number in first..first + 10 {
        let now = two.now();
        let bytes = [0xf8, 1, 2, 3];
        let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 960, ..OutgoingFrame::default() };
        two.session(0).write_frame(now, from, 0, &frame).unwrap();
        two.run(Duration::from_millis(20), |_| false);
        let now = two.now();
        while let Some(frame) = two.session(1).poll_frame(now, to) {
            came += usize::from(matches!(frame.content, Content::Media { .. }));
        }
    }
    came
}

/// RFC 3711 §9.1: with the same SSRC and the same key numbers go on, or the sender's own SRTP refuses them.
#[test]
fn what_was_held_goes_on_where_it_was() {
    let mut two = fresh(1);
    negotiate(&mut two, str::to_owned);
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
    let (from, to) = (ids(&mut two, 0)[0], ids(&mut two, 1)[0]);
    let source = two.session(0).transceiver(from).unwrap().encodings[0].ssrc;
    for round in 0..12 {
        let came = send(&mut two, from, to, round * 100);
        assert!(came >= 5, "{came} of 10 in round {round}");
        for direction in [Direction::Inactive, Direction::SendRecv] {
            let now = two.now();
            two.session(0).set_direction(now, from, direction).unwrap();
            negotiate(&mut two, str::to_owned);
            two.run(Duration::from_millis(500), |_| false);
        }
    }
    let now = two.now();
    assert_eq!(two.session(0).transceiver(from).unwrap().encodings[0].ssrc, source);
    assert_eq!(two.session(0).stats(now).media_refused, 0);
    assert_eq!(two.session(1).stats(now).ignored.srtp, 0);
}

/// What the program has chosen of a section stays chosen when the section is bundled later, and its streams have other names in
/// statistics than those before.
#[test]
fn what_another_transport_takes_over_is_as_it_was() {
    let mut two = fresh(2);
    negotiate(&mut two, unbundled);
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
    two.run(Duration::from_millis(500), |_| false);
    let (from, to) = (ids(&mut two, 0)[1], ids(&mut two, 1)[1]);
    assert!(send(&mut two, from, to, 0) >= 5);
    let streams = |two: &mut Two| {
        let now = two.now();
        let report = two.session(1).statistics(now);
        let ids = report.iter().map(|(id, _)| id.as_str().to_owned());
        ids.filter(|id| id.starts_with(&format!("I{to}."))).collect::<Vec<_>>()
    };
    let before = streams(&mut two);
    assert!(two.session(1).set_output(to, Output::Packets));
    // What waits for the transport that goes is lost with it, and counted.
    let now = two.now();
    let info = two.session(0).transceiver(from).unwrap();
    let mut packet = vec![0x80, info.negotiated.unwrap().send[0].payload_type.get(), 0, 0, 0, 0, 0, 0];
    packet.extend(info.encodings[0].ssrc.0.to_be_bytes());
    for _ in 0..3 {
        two.session(0).send_rtp(now, from, &packet).unwrap();
    }
    let refused = two.session(0).stats(now).media_refused;
    let both = |text: &str| text.replacen("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE 0 1\r\n", 1);
    negotiate(&mut two, |text| both(&unbundled(text)));
    let now = two.now();
    assert_eq!(two.session(0).stats(now).media_refused, refused + 3);
    two.run(Duration::from_secs(1), |_| false);
    assert!(two.is_connected(), "{}", two.reports());
    let host = two.hosts[1];
    peer(&mut two.world, host).packets.clear();
    assert_eq!(send(&mut two, from, to, 100), 0, "packets come out, not frames");
    let packets = std::mem::take(&mut peer(&mut two.world, host).packets);
    assert!(packets.len() >= 9 && packets.iter().all(|(id, ..)| *id == to), "{}", packets.len());
    let after = streams(&mut two);
    assert!(!after.is_empty() && after.iter().all(|id| !before.contains(id)), "{before:?} {after:?}");
}

/// RFC 9429 §4.1.10.2: what is taken back has changed nothing, of several transports neither.
#[test]
fn a_restart_that_is_taken_back_leaves_all_transports_as_good_as_they_were() {
    let mut two = fresh(2);
    negotiate(&mut two, unbundled);
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
    two.run(Duration::from_millis(500), |_| false);
    two.session(0).restart_ice();
    offer(&mut two, 0, unbundled);
    let now = two.now();
    for side in [0, 1] {
        two.session(side).rollback(now).unwrap();
    }
    let (from, to) = (ids(&mut two, 0), ids(&mut two, 1));
    for (from, to) in from.iter().zip(&to) {
        assert!(send(&mut two, *from, *to, 0) >= 5);
    }
    // Longer than consent lasts.
    two.run(Duration::from_secs(60), |_| false);
    assert!(two.is_connected(), "{}", two.reports());
    for (from, to) in from.iter().zip(&to) {
        assert!(send(&mut two, *from, *to, 100) >= 5);
    }
    // The other side offers, which has not asked for a restart.
    negotiate_from(&mut two, 1, unbundled);
    two.run(Duration::from_secs(40), |_| false);
    assert!(two.is_connected(), "{}", two.reports());
    for (from, to) in from.iter().zip(&to) {
        assert!(send(&mut two, *from, *to, 200) >= 5);
    }
}
