//! Whole sessions behind NATs and firewalls: a sample of what `connectivity/tests/nat_matrix` runs in full.
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

use harness::Two;
use proto::{Carrier, Path};
use session::{Config, Credentials, Relaying, TurnServer};
use testkit::{Dependence, Nat, Passage, Ports, reach};

const SERVER: ([u8; 4], u16) = ([198, 51, 100, 1], 3478);

fn server() -> SocketAddr {
    SERVER.into()
}

fn credentials() -> Credentials {
    Credentials::new("alice", "wonderland").unwrap()
}

/// A private host that knows the server, over UDP, TCP, and TCP to port 443.
fn config(side: u8) -> Config {
    let mut config = Config::new(crypto::rust_crypto());
    let at = |port| SocketAddr::from(([192, 168, side + 1, 2], port));
    config.local_addresses = vec![at(4000)];
    config.stun_servers = vec![server()];
    let mut relaying = Relaying::default();
    relaying.servers.push(TurnServer::new(server(), credentials()));
    relaying.sockets.push(at(5000));
    for (local, remote) in [(6000, 3478), (6001, 443)] {
        let path = Path {
            carrier: Carrier::Stream,
            local: at(local),
            remote: SocketAddr::new(server().ip(), remote),
        };
        relaying.streams.push((path, credentials()));
    }
    config.relaying = Some(Box::new(relaying));
    config
}

#[test]
fn channels_work_behind_every_sort_of_nat_and_firewall() {
    let (home, strict) = (Nat::cone(), Nat::symmetric());
    let open = Nat { filtering: Dependence::EndpointIndependent, ..home };
    let linux = Nat { ports: Ports::Overloaded, ..strict };
    let cases: [(&[Nat], &[Nat]); 8] = [
        (&[], &[strict]),
        (&[home], &[home]),
        (&[home], &[strict]),
        (&[strict], &[strict]),
        (&[linux], &[home]),
        (&[home, open], &[home, strict]),
        (&[Nat { passage: Passage::NoUdp, ..home }], &[home]),
        (&[Nat { passage: Passage::Tcp443, ..home }], &[Nat { passage: Passage::Tcp443, ..strict }]),
    ];
    for (a, b) in cases {
        let direct = reach::is_direct(a, b, None);
        let mut two = Two::behind([a, b], [config(0), config(1)], server());
        let ours = two.connect();
        let theirs = two.incoming(1);
        two.echo(ours, theirs);
        // Nominated by now.
        two.run(Duration::from_secs(5), |_| false);
        two.echo(ours, theirs);
        let relay = server().ip();
        for side in 0..2 {
            let now = two.now();
            let path = two.session(side).stats(now).selected_path.unwrap();
            let is_relayed = path.local.ip() == relay || path.remote.ip() == relay;
            assert_eq!(is_relayed, !direct, "{a:?} {b:?}\n{}", two.reports());
        }
    }
}
