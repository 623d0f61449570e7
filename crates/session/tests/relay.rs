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

use harness::{Two, config, peer};
use session::{Credentials, Relaying, TurnServer};

#[test]
fn channels_work_through_relays_and_nothing_goes_elsewhere() {
    let server: SocketAddr = "198.51.100.1:3478".parse().unwrap();
    let configs = [0, 1].map(|side| {
        let mut config = config(side);
        let mut relaying = Relaying::default();
        relaying.servers.push(TurnServer::new(server, Credentials::new("alice", "wonderland").unwrap()));
        relaying.sockets.push(SocketAddr::new(config.local_addresses[0].ip(), 5000));
        relaying.only = true;
        config.relaying = Some(Box::new(relaying));
        config
    });
    let mut two = Two::with_relay(configs, server);
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
