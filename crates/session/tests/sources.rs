//! The peer's sources: how many are told apart, and which make room for others.
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

use std::time::Duration;

use harness::{Two, config, near, peer};
use proto::Writer;
use rtp::extension::{Form, Kind};
use rtp::{Encoder, Header, RtpTimestamp, SequenceNumber};
use session::{Discard, MediaKind, SdpType, Ssrc, TransceiverId};

/// Two sessions of which the first sends video to the second, with so many sources that are told apart there. Descriptions name
/// those of the first offer.
fn connected(max_sources: usize) -> (Two, TransceiverId) {
    let mut configs = [config(0), config(1)];
    configs[1].limits.max_remote_sources = max_sources;
    let mut two = Two::with(configs, near());
    let now = two.now();
    let id = two.session(0).add_track(now, MediaKind::Video, vec![]).unwrap();
    two.negotiate(0);
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
    (two, id)
}

/// The first side's SSRCs change, of which the second hears nothing: the description that it gets names others.
fn change_sources(two: &mut Two, id: TransceiverId) -> Ssrc {
    let now = two.now();
    let (old, rtx) = {
        let info = two.session(0).transceiver(id).unwrap();
        (info.encodings[0].ssrc, info.encodings[0].rtx)
    };
    // RFC 3550 §8.2: a peer that says that it has them as well has us draw others.
    let offer = two.session(1).create_offer(now).unwrap();
    two.session(1).set_local(now, SdpType::Offer, offer.clone()).unwrap();
    let taken = format!("{offer}a=ssrc:{old} cname:x\r\na=ssrc:{rtx} cname:x\r\n");
    let taken = taken.replace("a=recvonly", "a=sendrecv");
    two.session(0).set_remote(now, SdpType::Offer, taken.parse().unwrap()).unwrap();
    let answer = two.session(0).create_answer(now).unwrap();
    two.session(0).set_local(now, SdpType::Answer, answer.clone()).unwrap();
    let unnamed: String =
        answer.to_string().split_inclusive("\r\n").filter(|line| !line.starts_with("a=ssrc")).collect();
    two.session(1).set_remote(now, SdpType::Answer, unnamed.parse().unwrap()).unwrap();
    let new = two.session(0).transceiver(id).unwrap().encodings[0].ssrc;
    assert_ne!(old, new);
    new
}

fn send(two: &mut Two, id: TransceiverId, number: u16) {
    let now = two.now();
    let info = two.session(0).transceiver(id).unwrap();
    let header = Header {
        payload_type: info.negotiated.unwrap().send[0].payload_type,
        sequence_number: SequenceNumber(number),
        timestamp: RtpTimestamp(u32::from(number) * 960),
        ssrc: info.encodings[0].ssrc,
        ..Header::default()
    };
    let mut memory = [0; 100];
    let mut out = Writer::new(&mut memory);
    let mut encoder = Encoder::new(&mut out, header, &[]).unwrap();
    let (mid, element) = (info.mid.unwrap(), info.negotiated.unwrap().extensions.id(Kind::Mid).unwrap());
    encoder.element(Form::OneByte, element, mid.as_bytes()).unwrap();
    encoder.finish(b"payload", 0).unwrap();
    let packet = out.written().to_vec();
    two.session(0).send_rtp(now, id, &packet).unwrap();
    two.run(Duration::from_millis(100), |_| false);
}

/// How many packets came, and what was refused.
fn came(two: &mut Two) -> (usize, Vec<Discard>) {
    let host = two.hosts[1];
    let peer = peer(&mut two.world, host);
    (std::mem::take(&mut peer.media).len(), std::mem::take(&mut peer.discards))
}

#[test]
fn sources_are_told_apart_up_to_their_number_and_not_one_more() {
    let (mut two, id) = connected(3);
    for number in 1..=3 {
        change_sources(&mut two, id);
        send(&mut two, id, number);
        assert_eq!(came(&mut two), (1, vec![]), "{number}");
    }
    let now = two.now();
    assert_eq!(two.session(1).stats(now).remote_sources, 3);
    // All of them have been heard a moment ago.
    change_sources(&mut two, id);
    send(&mut two, id, 4);
    assert_eq!(came(&mut two), (0, vec![Discard::TooManySources]));
}

/// A long call in which sources change often.
#[test]
fn the_source_that_has_been_silent_longest_makes_room() {
    let (mut two, id) = connected(3);
    for number in 1..=40 {
        change_sources(&mut two, id);
        send(&mut two, id, number);
        assert_eq!(came(&mut two), (1, vec![]), "{number}");
        two.run(Duration::from_secs(5), |_| false);
        let now = two.now();
        assert!(two.session(1).stats(now).remote_sources <= 3);
    }
}

/// Those that a description names stay, heard or not; those that the next one names no more do not.
#[test]
fn a_source_that_descriptions_name_makes_no_room_as_long_as_they_do() {
    let (mut two, id) = connected(2);
    // The media and the retransmissions of the only section, by name.
    let now = two.now();
    assert_eq!(two.session(1).stats(now).remote_sources, 2);
    two.run(Duration::from_secs(60), |_| false);
    let other = two.session(0).add_track(now, MediaKind::Video, vec![]).unwrap();
    two.negotiate(0);
    let now = two.now();
    assert_eq!(two.session(1).stats(now).remote_sources, 2);
    send(&mut two, id, 1);
    assert_eq!(came(&mut two), (1, vec![]));
    two.run(Duration::from_secs(60), |_| false);
    // The other one's have no room, and make none.
    send(&mut two, other, 1);
    assert_eq!(came(&mut two), (0, vec![Discard::TooManySources]));
    two.session(0).stop_transceiver(now, id).unwrap();
    two.negotiate(0);
    send(&mut two, other, 2);
    assert_eq!(came(&mut two), (1, vec![]));
}

/// Our own sources are as many as we have, however few of the peer's are told apart.
#[test]
fn sources_of_ours_are_not_limited_by_those_of_the_peer() {
    let mut configs = [config(0), config(1)];
    configs[0].limits.max_remote_sources = 1;
    let mut two = Two::with(configs, near());
    let now = two.now();
    let ids: Vec<_> =
        (0..6).map(|_| two.session(0).add_track(now, MediaKind::Video, vec![]).unwrap()).collect();
    two.negotiate(0);
    let is_up = |two: &mut Two| two.session(0).max_media_packet().is_some();
    assert!(two.run(Duration::from_secs(5), is_up), "{}", two.reports());
    two.run(Duration::from_millis(500), |_| false);
    for number in 1..4 {
        // The same again while it is remembered: a retransmission that was asked for.
        for id in ids.iter().chain(&ids) {
            send(&mut two, *id, number);
        }
    }
    let now = two.now();
    assert_eq!(two.session(0).stats(now).srtp.unwrap().0.refused, 0);
}
