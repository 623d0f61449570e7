//! Where a session sends, and when it must not.
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
use proto::{Arrival, Instant, Path};
use session::{ChannelInit, ConnectionState, Protocol, protocol_of};
use stun::wire::{Class, Message};
use testkit::Link;

fn logged(two: &mut Two, side: usize) -> &mut Vec<(Instant, Path, Vec<u8>)> {
    let host = two.hosts[side];
    let peer = peer(&mut two.world, host);
    peer.logs = true;
    &mut peer.log
}

fn is_dtls((_, _, datagram): &&(Instant, Path, Vec<u8>)) -> bool {
    datagram.first().is_some_and(|first| protocol_of(*first) == Protocol::Dtls)
}

/// RFC 8261 §5: a handshake of which much was lost, or all that was large, is done with small datagrams. Data are in larger ones as
/// soon as those are known to arrive.
#[test]
fn data_are_in_large_datagrams_as_soon_as_those_arrive() {
    for widens in [true, false] {
        let narrow = Link { mtu: 600, ..near() };
        let mut two = Two::with([config(0), config(1)], narrow);
        let channel = two.connect();
        if widens {
            two.mend();
        }
        two.run(Duration::from_secs(30), |_| false);
        logged(&mut two, 0).clear();
        two.send(0, channel, vec![7; 50_000]);
        let other = two.incoming(1);
        assert!(
            two.run(Duration::from_secs(30), |two| two.messages(1, other).len() == 1),
            "{}",
            two.reports()
        );
        let longest = logged(&mut two, 0).iter().filter(is_dtls).map(|(_, _, datagram)| datagram.len()).max();
        let longest = longest.unwrap();
        assert!(if widens { longest > 1100 } else { longest <= 572 }, "{longest} bytes, {widens}");
    }
}

/// THREATS I8: nothing of a handshake leaves before a check on that very path was answered.
#[test]
fn no_handshake_begins_towards_an_address_that_has_proved_nothing() {
    for seed in 0..20_u64 {
        let mut two = Two::new();
        for side in [0, 1] {
            logged(&mut two, side);
        }
        two.session(0).open_channel(testkit::epoch(), ChannelInit::labelled("chat")).unwrap();
        // Addresses of others among the candidates: they hear checks, and nothing else.
        two.negotiate(0);
        let now = two.now();
        for victim in 1..20_u8 {
            let line =
                format!("candidate:7 1 udp {} 198.51.100.{victim} {} typ host", u32::MAX - 1, 1000 + seed);
            two.session((seed % 2) as usize).add_remote_candidate(now, &line, Some("0"), None, None).unwrap();
        }
        assert!(two.run(Duration::from_secs(10), Two::is_connected), "{}", two.reports());
        two.run(Duration::from_secs(2), |_| false);
        let logs = [0, 1].map(|side| std::mem::take(logged(&mut two, side)));
        for side in [0, 1] {
            let (log, other) = (&logs[side], &logs[1 - side]);
            let dtls: Vec<_> = log.iter().filter(is_dtls).collect();
            assert!(!dtls.is_empty());
            for (at, path, _) in &dtls {
                // The other side has sent its answer along this path a while ago: 10 ms on the way.
                let answered = other.iter().any(|(then, way, datagram)| {
                    let is_answer =
                        Message::decode(datagram).is_ok_and(|message| message.class() == Class::Success);
                    is_answer && way.remote == path.local && *then + Duration::from_millis(10) <= *at
                });
                assert!(answered, "seed {seed}: DTLS to {} at {at:?}", path.remote);
            }
            assert!(dtls.iter().all(|(_, path, _)| path.remote.to_string().starts_with("192.0.2.")));
            // RFC 5764 §4.1: beside checks there is nothing that is not a record, the messages included.
            let known = |datagram: &[u8]| matches!(protocol_of(datagram[0]), Protocol::Stun | Protocol::Dtls);
            assert!(log.iter().all(|(_, _, datagram)| known(datagram)));
            assert!(dtls.iter().any(|(_, _, datagram)| datagram[0] == 23), "data were sent");
        }
    }
}

/// THREATS I8, with nobody who answers.
#[test]
fn without_an_answer_no_handshake_begins_at_all() {
    let mut two = Two::new();
    two.cut(&[1]);
    logged(&mut two, 0);
    two.session(0).open_channel(testkit::epoch(), ChannelInit::labelled("chat")).unwrap();
    two.negotiate(0);
    two.run(Duration::from_secs(60), |_| false);
    assert!(logged(&mut two, 0).len() > 5);
    assert_eq!(logged(&mut two, 0).iter().filter(is_dtls).count(), 0);
    assert!(matches!(two.session(0).connection_state(), ConnectionState::Failed(_)));
}

/// THREATS I9: consent is asked for every 4 to 6 seconds, lasts 30, and then nothing is sent.
#[test]
fn without_consent_nothing_is_sent() {
    for phase in 0..20_u64 {
        let mut two = Two::new();
        let channel = two.connect();
        two.run(Duration::from_millis(3000 + 250 * phase), |_| false);
        logged(&mut two, 0).clear();
        // The peer can be heard, and does not hear: its data alone is no consent.
        let dead = Link { loss: 1.0, ..Link::default() };
        let (hosts, near) = (two.hosts, near());
        two.world.network.set_links(hosts[0], dead, near.clone());
        let cut_at = two.now();
        let mut failed_at = None;
        for _ in 0..400 {
            let now = two.now();
            let _ = two.session(0).send(now, channel, &mut session::Outgoing::binary(vec![7; 500]));
            two.run(Duration::from_millis(100), |_| false);
            if failed_at.is_none() && matches!(two.session(0).connection_state(), ConnectionState::Failed(_))
            {
                failed_at = Some(two.now());
            }
        }
        let failed_at = failed_at.expect("consent ends");
        let log = std::mem::take(logged(&mut two, 0));
        let last = log.iter().map(|(at, ..)| *at).max().unwrap();
        // The last answer came up to 6 s before the cut.
        assert!(last - cut_at <= Duration::from_millis(30_100), "phase {phase}: {:?}", last - cut_at);
        assert!(failed_at - cut_at >= Duration::from_secs(23), "phase {phase}: {:?}", failed_at - cut_at);
        assert!(last <= failed_at);
        let requests = log.iter().filter(|(_, _, datagram)| {
            Message::decode(datagram).is_ok_and(|message| message.class() == Class::Request)
        });
        let times: Vec<Instant> = requests.map(|(at, ..)| *at).collect();
        let steady: Vec<Duration> = times.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(times.len() >= 4, "{steady:?}");
        assert!(steady.iter().all(|gap| *gap <= Duration::from_secs(6)), "{steady:?}");
    }
}

/// THREATS I7: where data goes does not follow where it seems to come from.
#[test]
fn data_from_elsewhere_is_counted_and_never_answered_there() {
    let mut two = Two::new();
    let ours = two.connect();
    let theirs = two.incoming(1);
    two.echo(ours, theirs);
    // The peer's own datagrams, which somebody has seen and sends from everywhere.
    logged(&mut two, 1);
    two.echo(ours, theirs);
    let seen: Vec<Vec<u8>> = logged(&mut two, 1).iter().map(|(_, _, datagram)| datagram.clone()).collect();
    let dtls: Vec<Vec<u8>> =
        seen.into_iter().filter(|datagram| protocol_of(datagram[0]) == Protocol::Dtls).collect();
    assert!(!dtls.is_empty());
    logged(&mut two, 0).clear();
    let selected = {
        let now = two.now();
        two.session(0).stats(now).selected_path
    };
    let (at, count) = (two.now(), testkit::scaled_at_least(100_000, 10_000));
    for number in 0..count {
        let from = format!("198.51.100.{}:{}", number % 200, 1000 + number / 200);
        let path = testkit::path("192.0.2.1:4000", &from);
        let mut datagram = dtls[usize::try_from(number).unwrap() % dtls.len()].clone();
        let taken = two.session(0).handle_datagram(Arrival { path, ecn: None, at }, &mut datagram);
        assert!(taken.is_err(), "from {from}");
    }
    let stats = two.session(0).stats(at);
    assert_eq!((stats.selected_path, stats.ignored.connectivity >= count), (selected, true));
    two.echo(ours, theirs);
    assert!(logged(&mut two, 0).iter().all(|(_, path, _)| path.remote.to_string() == "192.0.2.2:4000"));
}
