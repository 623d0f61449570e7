//! What holds for every machine holds for whole sessions.
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

use harness::{CLOCK, Node, Peer, config};
use session::{ChannelInit, Event, Outgoing, SdpType, Session};
use testkit::{Link, Pair, epoch};

#[test]
fn a_session_keeps_the_contract() {
    testkit::conformance::check(Duration::from_secs(20), |seed| {
        let link = Link { delay: Duration::from_millis(15), loss: 0.05, ..Link::default() };
        let [a, b] = connecting(seed);
        Pair::new(Node::Peer(Box::new(Peer::new(a))), Node::Peer(Box::new(Peer::new(b))), link, seed)
    });
}

/// Two sessions that know everything of each other, and have something to send.
fn connecting(seed: [u8; 32]) -> [Session; 2] {
    let now = epoch();
    let mut sides = [0, 1].map(|side| {
        Session::new(now, CLOCK, config(side), crypto::derive_seed(&seed, &side.to_string())).unwrap()
    });
    let [a, b] = &mut sides;
    let mut init = ChannelInit::labelled("agreed");
    init.negotiated = Some(7);
    let channels = [a.open_channel(now, init.clone()).unwrap(), b.open_channel(now, init).unwrap()];
    let offer = a.create_offer(now).unwrap();
    a.set_local(now, SdpType::Offer, offer.clone()).unwrap();
    b.set_remote(now, SdpType::Offer, offer).unwrap();
    let answer = b.create_answer(now).unwrap();
    b.set_local(now, SdpType::Answer, answer.clone()).unwrap();
    a.set_remote(now, SdpType::Answer, answer).unwrap();
    trickle(a, b);
    trickle(b, a);
    for (side, channel) in [a, b].into_iter().zip(channels) {
        side.send(now, channel, &mut Outgoing::binary(vec![7; 20_000])).unwrap();
    }
    sides
}

fn trickle(from: &mut Session, to: &mut Session) {
    while let Some(event) = from.poll_event() {
        if let Event::Candidate(found) = event {
            to.add_remote_candidate(epoch(), &found.candidate, Some(&found.mid), None, None).unwrap();
        }
    }
}
