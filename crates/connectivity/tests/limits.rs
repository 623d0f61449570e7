//! Every limit of a configuration, at the limit and one past it. That of datagrams is in nat.rs.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::SocketAddr;

use connectivity::{Config, Connectivity};
use testkit::epoch;

#[test]
fn the_defaults_are_those_that_are_promised() {
    let config = Config::default();
    assert_eq!((config.max_clients, config.max_datagram), (32, 1200));
    assert_eq!((config.ice.max_candidates, config.ice.max_pairs, config.stun.max_attributes), (100, 100, 64));
}

#[test]
fn servers_are_asked_by_as_many_clients_as_the_limit_and_not_one_more() {
    for limit in [0, 5, 32] {
        for hosts in [limit, limit + 1] {
            let mut config = Config::default();
            config.max_clients = limit;
            config.stun_servers = vec![SocketAddr::from(([198, 51, 100, 1], 3478))];
            let mut side = Connectivity::new(epoch(), config, [1; 32]);
            for port in 0..hosts {
                let host = SocketAddr::from(([10, 0, 0, 1], 1000 + u16::try_from(port).unwrap()));
                side.add_host(epoch(), host).unwrap();
            }
            side.gather(epoch());
            // Each is a server and a base; where there is no client there is a host candidate all the same.
            assert_eq!(side.report().servers.len(), limit, "{hosts} hosts");
            assert_eq!(side.local_candidates().count(), hosts);
        }
    }
}
