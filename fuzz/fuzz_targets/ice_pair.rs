//! Two agents, whose datagrams are delivered, lost, delayed, doubled and changed, with commands in any
//! order: no panic, limits kept, no timer in the past after draining.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use ice::{Agent, Config, Event, LocalCandidate, Options, Role};
use libfuzzer_sys::fuzz_target;
use proto::{Arrival, Batch, Instant, Path};

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Wait(u16),
    /// Takes one datagram from an agent.
    Send {
        from_b: bool,
    },
    /// Delivers the waiting datagram `which`, changed at one byte if `flip` is not zero.
    Deliver {
        which: u8,
        at: u8,
        flip: u8,
        keep: bool,
    },
    Receive {
        by_b: bool,
        port: u8,
        bytes: &'a [u8],
    },
    Introduce {
        to_b: bool,
    },
    Candidate {
        to_b: bool,
        port: u8,
    },
    Line {
        to_b: bool,
        line: &'a str,
    },
    Host {
        at_b: bool,
        port: u8,
    },
    Restart {
        at_b: bool,
    },
    End {
        at_b: bool,
    },
    Close {
        at_b: bool,
    },
    Drain {
        at_b: bool,
    },
    Listen {
        at_b: bool,
        port: u8,
    },
    Dial {
        at_b: bool,
    },
    Hang {
        at_b: bool,
        port: u8,
    },
    Options {
        at_b: bool,
        renomination: bool,
        ice2: bool,
        lite: bool,
    },
}

fuzz_target!(|input: (bool, Vec<Step<'_>>)| {
    let (is_lite, steps) = input;
    let mut now = Instant::from_nanos(1);
    let mut agents = [Role::Controlling, Role::Controlled].map(|role| {
        let mut config = Config::default();
        (config.role, config.provider) = (role, crypto::rust_crypto());
        config.lite = is_lite && role == Role::Controlled;
        Agent::new(now, config, [u8::from(role == Role::Controlled); 32])
    });
    let mut wire: Vec<(usize, Path, Vec<u8>)> = Vec::new();
    let host = |b: usize, port: u8| {
        std::net::SocketAddr::from(([10, 0, 0, u8::from(b == 1) + 1], u16::from(port % 4) + 1))
    };
    for step in steps.into_iter().take(400) {
        match step {
            Step::Wait(millis) => now += Duration::from_millis(millis.into()),
            Step::Send { from_b } => {
                let from = usize::from(from_b);
                let mut memory = [0; 1500];
                let mut batch = Batch::new(&mut memory, 1, 1200);
                if let Some(transmit) = agents[from].poll_transmit(now, &mut batch) {
                    let Path { carrier, local, remote } = transmit.path;
                    wire.push((
                        1 - from,
                        Path { carrier, local: remote, remote: local },
                        batch.bytes().to_vec(),
                    ));
                    wire.truncate(32);
                }
            }
            Step::Deliver { which, at, flip, keep } => {
                let Some(which) = usize::from(which).checked_rem(wire.len()) else { continue };
                let (to, path, mut bytes) = if keep { wire[which].clone() } else { wire.remove(which) };
                let at = usize::from(at) % bytes.len();
                bytes[at] ^= flip;
                let _ = agents[to].handle_datagram(Arrival { path, ecn: None, at: now }, &bytes);
            }
            Step::Receive { by_b, port, bytes } => {
                let to = usize::from(by_b);
                let path =
                    Path { carrier: proto::Carrier::Udp, local: host(to, port), remote: host(1 - to, port) };
                let _ = agents[to].handle_datagram(Arrival { path, ecn: None, at: now }, bytes);
            }
            Step::Introduce { to_b } => {
                let credentials = agents[1 - usize::from(to_b)].local_credentials().clone();
                agents[usize::from(to_b)].set_remote_credentials(now, credentials);
            }
            Step::Candidate { to_b, port } => {
                let to = usize::from(to_b);
                let line = format!("1 1 udp {port} 10.0.0.{} {} typ host", 2 - to, port % 4 + 1);
                let _ = agents[to].add_remote_candidate(now, line.parse().expect("a candidate"));
            }
            Step::Line { to_b, line } => {
                if let Ok(candidate) = line.parse() {
                    let _ = agents[usize::from(to_b)].add_remote_candidate(now, candidate);
                }
            }
            Step::Host { at_b, port } => {
                let at = usize::from(at_b);
                let _ = agents[at].add_local_candidate(now, LocalCandidate::host(host(at, port)));
            }
            Step::Restart { at_b } => agents[usize::from(at_b)].restart(now),
            Step::End { at_b } => agents[usize::from(at_b)].end_of_remote_candidates(now),
            Step::Close { at_b } => agents[usize::from(at_b)].close(now),
            Step::Drain { at_b } => {
                let at = usize::from(at_b);
                let agent = &mut agents[at];
                while let Some(event) = agent.poll_event() {
                    if let Event::Connect { id, remote, .. } = event {
                        // Some connections come about, and some do not.
                        let local = ([10, 0, 0, u8::from(at_b) + 1], 50_000).into();
                        let path = Path { carrier: proto::Carrier::Framed, local, remote };
                        if remote.port() % 2 == 0 {
                            agent.tcp_opened(now, id, path);
                        } else {
                            agent.tcp_failed(now, id);
                        }
                    }
                }
                while agent.poll_route().is_some() {}
            }
            Step::Listen { at_b, port } => {
                let at = usize::from(at_b);
                let _ = agents[at].add_local_candidate(now, LocalCandidate::tcp_passive(host(at, port)));
                let line = format!(
                    "1 1 tcp {port} {} {} typ host tcptype passive",
                    host(at, port).ip(),
                    host(at, port).port()
                );
                let _ = agents[1 - at].add_remote_candidate(now, line.parse().expect("a candidate"));
            }
            Step::Dial { at_b } => {
                let at = usize::from(at_b);
                let _ = agents[at].add_local_candidate(now, LocalCandidate::tcp_active(host(at, 0).ip()));
            }
            Step::Hang { at_b, port } => {
                let at = usize::from(at_b);
                let local = ([10, 0, 0, u8::from(at_b) + 1], 50_000).into();
                let path = Path { carrier: proto::Carrier::Framed, local, remote: host(1 - at, port) };
                agents[at].tcp_closed(now, path);
            }
            Step::Options { at_b, renomination, ice2, lite } => {
                let agent = &mut agents[usize::from(at_b)];
                agent.set_remote_options(now, Options { ice2, renomination });
                if lite {
                    agent.set_remote_lite(now);
                }
            }
        }
    }
    for agent in &mut agents {
        agent.handle_timeout(now);
        let mut memory = [0; 1500];
        while agent.poll_transmit(now, &mut Batch::new(&mut memory, 1, 1200)).is_some() {}
        assert!(agent.poll_timeout().is_none_or(|due| due > now));
        let stats = agent.stats();
        assert!(stats.pairs.len() <= 100 && stats.local_candidates <= 100 && stats.remote_candidates <= 100);
    }
});
