//! What hours of a connection bring that its first minute does not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use ice::{LocalCandidate, Options, Role};
use proto::{Instant, Path};
use support::{A, B, Peer, introduce, receive, seconds, send, signal};
use testkit::epoch;

/// Two agents, the first behind a NAT that forgets it from time to time.
struct Rebinding {
    peers: [Peer; 2],
    now: Instant,
    /// How often it has forgotten.
    times: u16,
}

impl Rebinding {
    fn new(role: Role, options: Options) -> Self {
        let mut inside = Peer::new(role, [1; 32]).host(A);
        let mut outside = Peer::new(role.opposite(), [2; 32]).host(B);
        introduce(&mut inside, &mut outside, epoch());
        signal(&outside, &mut inside, epoch());
        outside.agent.end_of_remote_candidates(epoch());
        for peer in [&mut inside, &mut outside] {
            peer.agent.set_remote_options(epoch(), options);
        }
        Self { peers: [inside, outside], now: epoch(), times: 0 }
    }

    /// How the first is seen.
    fn mapped(&self) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, 1], 10_000 + self.times))
    }

    fn exchange(&mut self) {
        let (now, mapped) = (self.now, self.mapped());
        for from in 0..2 {
            self.peers[from].agent.handle_timeout(now);
            while let Some((path, bytes)) = send(&mut self.peers[from], now) {
                let arrives = if from == 0 {
                    Some(Path { local: path.remote, remote: mapped, ..path })
                } else {
                    // What goes to where the NAT had it before is lost.
                    (path.remote == mapped).then(|| Path {
                        local: A.parse().unwrap(),
                        remote: path.local,
                        ..path
                    })
                };
                if let Some(path) = arrives {
                    let _ = receive(&mut self.peers[1 - from], path, now, &bytes);
                }
            }
        }
    }

    fn run(&mut self, limit: Duration) {
        let end = self.now + limit;
        loop {
            (0..20).for_each(|_| self.exchange());
            let next = self.peers.iter().filter_map(|peer| peer.agent.poll_timeout()).min();
            self.now = next.filter(|next| *next <= end).unwrap_or(end);
            if self.now == end {
                return;
            }
        }
    }
}

/// RFC 4787 §4.3: a NAT may forget whom it likes, and some do so every few minutes, for days.
#[test]
fn a_nat_that_forgets_again_and_again_loses_nobody() {
    let both = Options { ice2: true, renomination: true };
    for (role, options) in [
        (Role::Controlling, both),
        (Role::Controlling, Options::default()),
        (Role::Controlled, both),
        (Role::Controlled, Options::default()),
    ] {
        let mut two = Rebinding::new(role, options);
        two.run(seconds(10));
        for times in 1..=110 {
            two.times = times;
            two.run(seconds(40));
            for peer in &two.peers {
                assert!(peer.is_connected(), "{role:?} {options:?} {times}: {:?}", peer.agent.state());
            }
            let seen = two.peers[1].agent.selected_path().map(|path| path.remote);
            assert_eq!(seen, Some(two.mapped()), "{role:?} {options:?} {times}");
        }
        // Another network has come.
        let host = LocalCandidate::host("10.0.7.1:1000".parse().unwrap());
        two.peers[0].agent.add_local_candidate(two.now, host).unwrap();
        for peer in &two.peers {
            let stats = peer.agent.stats();
            assert!(stats.pairs.len() <= 100, "{role:?}");
        }
    }
}
