//! The pace of many agents together (RFC 8445 §14.2). THREATS I10.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use ice::{Pacer, Role};
use proto::{Instant, Path};
use support::{Peer, introduce, receive, seconds, send, signal};
use testkit::epoch;

/// When checks leave `count` agents, each of which has ten candidates that never answer; by agent.
fn checks(count: u8, pacer: Option<&Arc<Pacer>>, limit: Duration) -> Vec<(Instant, u8)> {
    let mut peers: Vec<Peer> = (0..count)
        .map(|number| {
            let mut peer = Peer::with(|config| config.pacer = pacer.cloned(), [number; 32])
                .host(&format!("10.0.1.{number}:1"));
            let mut other = Peer::new(Role::Controlled, [number ^ 0x80; 32]);
            introduce(&mut peer, &mut other, epoch());
            for port in 1..=10 {
                let line = format!("{port} 1 udp {port} 198.51.100.1 {port} typ host");
                peer.agent.add_remote_candidate(epoch(), line.parse().unwrap()).unwrap();
            }
            peer
        })
        .collect();
    let mut sent = Vec::new();
    let mut now = epoch();
    loop {
        for (number, peer) in (0..count).zip(&mut peers) {
            if peer.agent.poll_timeout().is_some_and(|due| due <= now) {
                peer.agent.handle_timeout(now);
            }
            while send(peer, now).is_some() {
                sent.push((now, number));
            }
            assert!(peer.agent.poll_timeout().is_none_or(|due| due > now), "no timer in the past");
        }
        match peers.iter().filter_map(|peer| peer.agent.poll_timeout()).min() {
            Some(next) if next <= epoch() + limit => now = next,
            _ => return sent,
        }
    }
}

#[test]
fn the_checks_of_two_hundred_agents_leave_five_milliseconds_apart() {
    let pacer = Arc::new(Pacer::default());
    let sent = checks(200, Some(&pacer), seconds(10));
    assert!(sent.windows(2).all(|two| two[1].0 - two[0].0 >= Duration::from_millis(5)));
    assert!(sent.len() > 1900, "and they are used: {}", sent.len());
    let first = |number: u8| sent.iter().position(|(_, by)| *by == number).expect("each has its turn");
    assert!((0..200).all(|number| first(number) < 400), "in turns");
    // The same agents by themselves: twenty checks a second each.
    let free = checks(200, None, seconds(1));
    assert!(free.len() > 2000);
}

#[test]
fn one_agent_alone_is_as_fast_as_ever() {
    let pacer = Arc::new(Pacer::default());
    assert_eq!(checks(1, Some(&pacer), seconds(3)), checks(1, None, seconds(3)));
}

#[test]
fn nobody_may_be_faster_than_the_rfc_allows() {
    let pacer = Arc::new(Pacer::new(Duration::from_millis(1)));
    let sent = checks(50, Some(&pacer), seconds(1));
    assert!(sent.windows(2).all(|two| two[1].0 - two[0].0 >= Duration::from_millis(5)));
    let slow = Arc::new(Pacer::new(Duration::from_millis(20)));
    let sent = checks(50, Some(&slow), seconds(1));
    assert!(sent.windows(2).all(|two| two[1].0 - two[0].0 >= Duration::from_millis(20)));
}

/// Consent and answers do not wait for anybody.
#[test]
fn consent_is_asked_for_in_time_however_many_check() {
    let pacer = Arc::new(Pacer::default());
    let mut a = Peer::with(|config| config.pacer = Some(pacer.clone()), [1; 32]).host(support::A);
    let mut b = Peer::new(Role::Controlled, [2; 32]).host(support::B);
    introduce(&mut a, &mut b, epoch());
    signal(&a, &mut b, epoch());
    signal(&b, &mut a, epoch());
    let mut now = epoch();
    let mut consent = Vec::new();
    while now < epoch() + seconds(60) {
        // Others take every place there is for ten minutes.
        if now == epoch() + seconds(5) {
            let _ = checks(200, Some(&pacer), seconds(0));
        }
        let before = a.agent.stats().counters.consent_sent;
        for (from, to) in [(0, 1), (1, 0)] {
            let peers = [&mut a, &mut b];
            peers[from].agent.handle_timeout(now);
            while let Some((path, bytes)) = send(peers[from], now) {
                let back = Path { local: path.remote, remote: path.local, ..path };
                let _ = receive(peers[to], back, now, &bytes);
            }
        }
        if a.agent.stats().counters.consent_sent > before {
            consent.push(now);
        }
        now += Duration::from_millis(100);
    }
    assert!(consent.len() >= 9, "{consent:?}");
    assert!(consent.windows(2).all(|two| two[1] - two[0] <= Duration::from_millis(6100)));
}
