//! A session whose every datagram goes through a TURN server.
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

use std::net::SocketAddr;
use std::time::Duration;

use harness::{Node, Two, config, near, peer};
use session::{
    Config, Credentials, Event, GatheringState, Relaying, SdpType, TurnServer, UnusedReason, UnusedServer,
};
use testkit::Link;

fn server() -> SocketAddr {
    "198.51.100.1:3478".parse().unwrap()
}

fn turn_server() -> TurnServer {
    TurnServer::new(server(), Credentials::new("alice", "wonderland").unwrap())
}

fn relay_socket(side: u8) -> SocketAddr {
    SocketAddr::new(config(side).local_addresses[0].ip(), 5000)
}

fn relay_only(side: u8) -> Config {
    let mut config = config(side);
    let mut relaying = Relaying::default();
    relaying.servers.push(turn_server());
    relaying.sockets.push(relay_socket(side));
    relaying.only = true;
    config.relaying = Some(Box::new(relaying));
    config
}

/// Allocations that live at the server, and those that it ever made.
fn allocations(two: &Two) -> (usize, u64) {
    let servers = two.world.machines.values().filter_map(|node| match node {
        Node::Relay(server, _) => Some(server.stats()),
        _ => None,
    });
    let stats: Vec<_> = servers.collect();
    (stats[0].allocations, stats[0].allocated)
}

#[test]
fn channels_work_through_relays_and_nothing_goes_elsewhere() {
    let server = server();
    let mut two = Two::with_relay([0, 1].map(relay_only), server);
    let hosts = two.hosts;
    for host in hosts {
        peer(&mut two.world, host).logs = true;
    }
    let ours = two.connect();
    let theirs = two.incoming(1);
    // Messages of many packets, trains of them, each way.
    for (side, channel, other, theirs) in [(0, ours, 1, theirs), (1, theirs, 0, ours)] {
        let message = vec![7; 200_000];
        for _ in 0..5 {
            two.send(side, channel, message.clone());
        }
        let mut came = Vec::new();
        two.run(Duration::from_secs(20), |two| {
            came.extend(two.messages(other, theirs));
            came.len() == 5
        });
        assert!(came.len() == 5 && came.iter().all(|message| message.len() == 200_000), "{}", two.reports());
    }
    for host in hosts {
        let log = &peer(&mut two.world, host).log;
        assert!(log.len() > 200 && log.iter().all(|(_, path, _)| path.remote == server));
        // Once the channel is bound each datagram costs four bytes.
        let channel_data = log.iter().filter(|(_, _, datagram)| datagram[0] == 0x40).count();
        assert!(channel_data * 10 > log.len() * 8, "{channel_data} of {}", log.len());
    }
}

/// RFC 8656 §6.2 has one allocation for each socket: who takes an offer back and begins anew must not ask for another.
#[test]
fn an_offer_that_was_taken_back_leaves_its_allocation_to_the_next() {
    for gathered in [Duration::ZERO, Duration::from_millis(50), Duration::from_secs(1)] {
        let mut two = Two::with_relay([0, 1].map(relay_only), server());
        let now = two.now();
        two.session(0).open_channel(now, session::ChannelInit::labelled("chat")).unwrap();
        let offer = two.session(0).create_offer(now).unwrap();
        two.session(0).set_local(now, SdpType::Offer, offer).unwrap();
        two.run(gathered, |_| false);
        let now = two.now();
        two.session(0).rollback(now).unwrap();
        two.forget_candidates(1);
        // While nothing is under way the allocation is kept alive.
        two.run(Duration::from_secs(700), |_| false);
        two.session(1).open_channel(now, session::ChannelInit::labelled("other")).unwrap();
        two.negotiate(1);
        assert!(two.run(Duration::from_secs(10), Two::is_connected), "{gathered:?} {}", two.reports());
        assert_eq!(allocations(&two), (2, 2), "{gathered:?}");
        let now = two.now();
        [0, 1].iter().for_each(|side| two.session(*side).close(now));
        assert!(two.run(Duration::from_secs(1), |two| (0..2).all(|side| two.session(side).is_over())));
        assert_eq!(allocations(&two), (0, 2), "{gathered:?}");
    }
}

/// At the end what a relay holds is given back, connected or not, and whether the other side closes or we do.
#[test]
fn a_session_that_is_closed_gives_its_allocation_back() {
    for connected in [true, false] {
        let mut two = Two::with_relay([0, 1].map(relay_only), server());
        if connected {
            two.connect();
            assert_eq!(allocations(&two).0, 2);
        } else {
            let now = two.now();
            two.session(0).open_channel(now, session::ChannelInit::labelled("chat")).unwrap();
            let offer = two.session(0).create_offer(now).unwrap();
            two.session(0).set_local(now, SdpType::Offer, offer).unwrap();
            two.run(Duration::from_secs(1), |_| false);
            assert_eq!(allocations(&two).0, 1);
        }
        let start = two.now();
        two.session(0).close(start);
        let ends = if connected { 2 } else { 1 };
        assert!(two.run(Duration::from_secs(1), |two| (0..ends).all(|side| two.session(side).is_over())));
        assert!(two.now() - start < Duration::from_millis(500), "{:?}", two.now() - start);
        assert_eq!(allocations(&two).0, 0, "connected: {connected}");
        let now = two.now();
        assert_eq!(two.session(0).poll_timeout(), None, "at {now:?}");
    }
}

/// Also what a rollback has left without a transport.
#[test]
fn a_session_that_is_closed_after_a_rollback_gives_its_allocation_back() {
    for gathered in [Duration::ZERO, Duration::from_secs(1)] {
        let mut two = Two::with_relay([0, 1].map(relay_only), server());
        let now = two.now();
        two.session(0).open_channel(now, session::ChannelInit::labelled("chat")).unwrap();
        let offer = two.session(0).create_offer(now).unwrap();
        two.session(0).set_local(now, SdpType::Offer, offer).unwrap();
        two.run(gathered, |_| false);
        let now = two.now();
        two.session(0).rollback(now).unwrap();
        two.run(gathered, |_| false);
        let start = two.now();
        two.session(0).close(start);
        assert!(two.run(Duration::from_millis(500), |two| two.session(0).is_over()), "{gathered:?}");
        assert_eq!(allocations(&two).0, 0, "{gathered:?}");
        assert_eq!(two.session(0).poll_timeout(), None);
    }
}

#[test]
fn a_server_that_does_not_answer_holds_the_end_up_no_longer_than_the_limit() {
    let configs = [0, 1].map(|side| {
        let mut config = relay_only(side);
        config.limits.close_wait = Duration::from_millis(700);
        config
    });
    let mut two = Two::with_relay(configs, server());
    two.connect();
    let host = two.hosts[0];
    let dead = Link { loss: 1.0, ..Link::default() };
    two.world.network.set_links(host, dead, near());
    let start = two.now();
    peer(&mut two.world, host).logs = true;
    two.session(0).close(start);
    assert!(!two.run(Duration::from_millis(690), |two| two.session(0).is_over()));
    assert!(two.run(Duration::from_millis(30), |two| two.session(0).is_over()));
    // It tried, and then nothing more is sent.
    let sent = peer(&mut two.world, host).log.len();
    assert!(sent >= 2, "{sent}");
    two.run(Duration::from_secs(5), |_| false);
    assert_eq!(peer(&mut two.world, host).log.len(), sent);
}

/// Names take time: what they lead to is used when it is known, and gathering is not over before.
#[test]
fn servers_that_become_known_later_are_used_and_waited_for() {
    let configs = [0, 1].map(|side| {
        let mut config = relay_only(side);
        let relaying = config.relaying.as_mut().unwrap();
        (relaying.servers, relaying.sockets) = (Vec::new(), Vec::new());
        relaying.awaits_servers = true;
        config
    });
    let mut two = Two::with_relay(configs, server());
    let now = two.now();
    two.session(0).open_channel(now, session::ChannelInit::labelled("chat")).unwrap();
    two.negotiate(0);
    let is_complete = |two: &Two, side: usize| {
        two.seen[side].iter().any(|event| matches!(event, Event::GatheringState(GatheringState::Complete)))
    };
    two.run(Duration::from_secs(3), |_| false);
    assert!(!is_complete(&two, 0) && !is_complete(&two, 1));
    let now = two.now();
    for side in 0..2 {
        let session = two.session(usize::from(side));
        let unused = UnusedServer { uri: "turn:a.example".to_owned(), reason: UnusedReason::Name };
        session.note_unused_server(unused);
        session.add_relay_socket(now, relay_socket(side));
        session.add_turn_server(now, turn_server());
        session.end_of_servers(now);
    }
    assert!(two.run(Duration::from_secs(10), Two::is_connected), "{}", two.reports());
    assert!(is_complete(&two, 0) && is_complete(&two, 1));
    assert!(two.reports().contains("server turn:a.example is not used: its name is not known"));
}
