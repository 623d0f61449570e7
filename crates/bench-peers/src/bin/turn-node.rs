//! Our TURN server in a process of its own, whose CPU time can be told from that of the load.

use std::net::IpAddr;
use std::process::ExitCode;

use turn_server::turn::server::RelayAddress;
use turn_server::{Config, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [ip, port] = &arguments[..] else { return ExitCode::FAILURE };
    let (Ok(ip), Ok(port)) = (ip.parse::<IpAddr>(), port.parse::<u16>()) else { return ExitCode::FAILURE };
    let mut config = Config::at((ip, port).into());
    config.turn.realm = "bench".into();
    config.turn.relays = vec![RelayAddress { local: ip, external: ip }];
    config.turn.max_allocations_per_user = 1000;
    config.turn.max_allocations_per_source = 1000;
    config.turn.max_refusals_per_second = 100_000;
    config.coalesce = std::time::Duration::from_micros(50);
    config.turn.peers.allow = vec!["127.0.0.0/8".parse().expect("a network")];
    let config = config.user("u", "p").expect("a user");
    let _server = Server::bind(config).await.expect("free addresses");
    std::future::pending().await
}
