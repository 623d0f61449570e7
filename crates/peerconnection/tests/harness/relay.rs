//! A TURN server beside the connections, ours.
#![allow(dead_code, reason = "every test uses a part of it")]

use std::net::SocketAddr;

use peerline::{Configuration, IceServer, IceTransportPolicy};
use turn_server::{Config, Server};

/// Where it listens: nobody is relayed to the server's own address, so the connections have others.
pub const SERVER: [u8; 4] = [127, 0, 0, 9];

/// A server that knows `alice` by the password `wonderland`, and relays within this machine.
pub async fn server() -> Server {
    server_for(|_| {}).await
}

pub async fn server_for(change: impl FnOnce(&mut Config)) -> Server {
    let at = SocketAddr::from((SERVER, 0));
    let mut config = Config::at(at).user("alice", "wonderland").unwrap();
    config.turn.peers.allow = vec!["127.0.0.0/8".parse().unwrap()];
    config.turn.max_allocations_per_user = 1000;
    config.turn.max_allocations_per_source = 1000;
    config.turn.max_refusals_per_second = 10_000;
    change(&mut config);
    Server::bind(config).await.unwrap()
}

/// With a TURN server at `address`, by this password.
pub fn through(address: SocketAddr, password: &str, policy: IceTransportPolicy) -> Configuration {
    let mut configuration = Configuration::default();
    let server = IceServer::new(format!("turn:{address}?transport=udp")).credentials("alice", password);
    configuration.ice_servers = vec![server];
    configuration.ice_transport_policy = policy;
    configuration
}

/// Two of those that may use nothing but relays.
pub fn relay_only(address: SocketAddr) -> [Configuration; 2] {
    let one = through(address, "wonderland", IceTransportPolicy::Relay);
    [one.clone(), one]
}
