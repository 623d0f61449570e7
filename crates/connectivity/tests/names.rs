//! `.local` names in place of addresses: the peer's, and ours (THREATS I12).
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

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use connectivity::{Config, Connectivity, Event, Kind, LocalName, NameFailure, NameState, Role, State};
use harness::{Host, SERVER, exchange, is_connected, side};
use testkit::{HostId, Lan, Link, Nat, Network, World, epoch, null_provider};

const A: [u8; 4] = [192, 168, 1, 2];
const B: [u8; 4] = [192, 168, 1, 3];

fn name(number: usize) -> LocalName {
    format!("{number:08x}-0000-4000-8000-000000000000.local").parse().unwrap()
}

fn line(name: &str) -> String {
    format!("candidate:1 1 udp 2122260223 {name} 4000 typ host")
}

fn config(role: Role) -> Config {
    let mut config = Config::default();
    config.ice.provider = null_provider();
    config.ice.role = role;
    config.resolves_names = true;
    config
}

fn resolver() -> Connectivity {
    let mut side = Connectivity::new(epoch(), config(Role::Controlling), [1; 32]);
    side.add_host(epoch(), (A, 4000).into()).unwrap();
    side.gather(epoch());
    side
}

/// Two hosts on one network, behind a NAT with a STUN server outside, and host addresses that are names for both.
fn world() -> (World<Host>, HostId, HostId) {
    let mut network = Network::new([1; 32]);
    let link = Link { delay: Duration::from_millis(5), ..Link::default() };
    let server: SocketAddr = SERVER.parse().unwrap();
    let server_host = network.add_host(Lan::Public, &[server.ip()], link.clone());
    let lan = network.add_nat(Lan::Public, [203, 0, 113, 1].into(), Nat::cone());
    let hosts = [A, B].map(|address| network.add_host(lan, &[address.into()], link.clone()));
    let mut world = World::new(network);
    world.machines.insert(server_host, Host::server(7));
    let mut sides = [(A, 1, Role::Controlling), (B, 2, Role::Controlled)].map(|(address, number, role)| {
        let mut config = config(role);
        config.stun_servers = vec![server];
        config.host_names = Some(vec![(address.into(), name(number))]);
        let mut side = Connectivity::new(epoch(), config, [u8::try_from(number).unwrap(); 32]);
        side.add_host(epoch(), (address, 4000).into()).unwrap();
        side.gather(epoch());
        side
    });
    let [one, two] = &mut sides;
    one.set_remote_credentials(epoch(), two.local_credentials().clone());
    two.set_remote_credentials(epoch(), one.local_credentials().clone());
    for (host, side) in hosts.into_iter().zip(sides) {
        world.machines.insert(host, Host::side(side));
    }
    (world, hosts[0], hosts[1])
}

/// Carries candidates over as text, and answers for names; gives what was told.
fn step(world: &mut World<Host>, a: HostId, b: HostId) -> Vec<String> {
    let told = carry(world, a, b);
    answer(world, &[a, b]);
    told
}

/// Carries candidates over as text; gives what was told.
fn carry(world: &mut World<Host>, a: HostId, b: HostId) -> Vec<String> {
    let (now, mut told) = (world.now(), Vec::new());
    for (from, to) in [(a, b), (b, a)] {
        let Some(Host::Side { events, .. }) = world.machines.get_mut(&from) else { panic!("a side") };
        for event in std::mem::take(events) {
            match event {
                Event::Candidate(candidate) => {
                    told.push(candidate.to_string());
                    side(world, to).add_remote_candidate_text(now, &candidate.to_string()).unwrap();
                }
                Event::GatheringDone => side(world, to).end_of_remote_candidates(now),
                _ => {}
            }
        }
    }
    told
}

/// Answers what these ask for.
fn answer(world: &mut World<Host>, ends: &[HostId]) {
    let now = world.now();
    for end in ends {
        while let Some(asked) = side(world, *end).poll_name() {
            let address: IpAddr = if asked == name(1) { A.into() } else { B.into() };
            side(world, *end).name_resolved(now, &asked, address);
        }
    }
}

/// THREATS I12: an address that a check shows may be what a name stands for that is still asked for.
#[test]
fn nobody_is_told_what_a_check_shows_of_a_peer_whose_name_is_still_asked_for() {
    let (mut world, a, b) = world();
    let only_one_is_answered = |world: &mut World<Host>| {
        carry(world, a, b);
        answer(world, &[a]);
        false
    };
    world.run(Duration::from_secs(10), only_one_is_answered);
    let waits = side(&mut world, b);
    let path = waits.selected_path().unwrap();
    assert!(path.remote.ip().to_string().starts_with("192.168."), "{path:?}");
    let report = waits.report();
    assert!(report.remote_candidates.iter().any(|(_, kind)| *kind == Kind::PeerReflexive), "{report}");
    assert!(report.names.iter().any(|(_, state)| *state == NameState::Asked), "{report}");
    assert!(!format!("{report} {report:?} {:?}", waits.shown(path)).contains("192.168."), "{report}");
    // What it was told in words is no secret.
    let mut signalled = report.remote_candidates.iter().filter(|(_, kind)| *kind == Kind::ServerReflexive);
    assert!(signalled.any(|(address, _)| !address.ip().is_unspecified()), "{report}");
}

/// THREATS I12: no host address in candidates and reports, of ours or of a peer's that hides them.
#[test]
fn two_sides_that_hide_their_addresses_meet_and_nobody_is_told_of_them() {
    let (mut world, a, b) = world();
    let mut told = Vec::new();
    assert!(world.run(Duration::from_secs(10), |world| {
        told.extend(step(world, a, b));
        [a, b].iter().all(|end| side(world, *end).state() == State::Completed)
    }));
    exchange(&mut world, a, b);
    assert!(told.iter().filter(|line| line.contains(".local 4000 typ host")).count() == 2, "{told:?}");
    let reflexive: Vec<&String> = told.iter().filter(|line| line.contains("typ srflx")).collect();
    assert!(reflexive.len() == 2 && reflexive.iter().all(|line| line.contains("raddr 0.0.0.0 rport 9")));
    assert!(told.iter().all(|line| !line.contains("192.168.")), "{told:?}");
    for end in [a, b] {
        let side = side(&mut world, end);
        // It is the direct path, by what stays unsaid.
        let path = side.selected_path().unwrap();
        assert!(path.local.ip().to_string().starts_with("192.168."), "{path:?}");
        let report = side.report();
        assert!(!format!("{report} {report:?}").contains("192.168."), "{report}");
        assert!(report.names.iter().all(|(_, state)| *state == NameState::Resolved));
        assert_eq!(side.shown(path).to_owned().remote, "0.0.0.0:4000".parse().unwrap());
        let candidates: Vec<String> = side.local_candidates().map(|it| it.to_string()).collect();
        assert!(candidates.iter().all(|line| !line.contains("192.168.")), "{candidates:?}");
    }
}

/// THREATS I12: one label under `.local`, and no other name.
#[test]
fn only_names_of_one_label_under_local_are_asked_for() {
    let mut side = resolver();
    for other in ["example.com", "a.b.local", "local", "printer.local.", "a.local.example.com"] {
        assert!(side.add_remote_candidate_text(epoch(), &line(other)).is_err(), "{other}");
    }
    assert_eq!((side.poll_name(), side.report().ignored_hostnames), (None, 5));
    side.add_remote_candidate_text(epoch(), &line("c0ffee.local")).unwrap();
    assert_eq!(side.poll_name(), Some("c0ffee.local".parse().unwrap()));
    assert_eq!(side.poll_name(), None, "once");
}

/// THREATS I12: ten names in a connection's life.
#[test]
fn as_many_names_as_the_limit_are_asked_for_and_not_one_more() {
    for limit in [1, 10] {
        let mut config = config(Role::Controlling);
        assert_eq!(config.max_names, 10);
        config.max_names = limit;
        let mut side = Connectivity::new(epoch(), config, [1; 32]);
        let limit = usize::from(limit);
        for number in 0..=limit {
            let taken = side.add_remote_candidate_text(epoch(), &line(&name(number).to_string()));
            assert_eq!(taken.is_ok(), number < limit);
            // A name that is known already is no further one.
            assert!(side.add_remote_candidate_text(epoch(), &line(&name(0).to_string())).is_ok());
        }
        assert_eq!(std::iter::from_fn(|| side.poll_name()).count(), limit);
        // Nor does a restart make room.
        side.restart(epoch());
        assert!(side.add_remote_candidate_text(epoch(), &line(&name(99).to_string())).is_err());
        assert_eq!(side.report().ignored_hostnames, 2);
    }
}

/// THREATS I12: where only relays may be used, nothing is asked on networks.
#[test]
fn with_relays_only_no_name_is_asked_for() {
    let mut config = config(Role::Controlling);
    config.relay_only = true;
    let mut side = Connectivity::new(epoch(), config, [1; 32]);
    assert!(side.add_remote_candidate_text(epoch(), &line("c0ffee.local")).is_err());
    assert_eq!(side.poll_name(), None);
}

#[test]
fn answers_for_other_names_and_late_ones_change_nothing() {
    let mut side = resolver();
    side.add_remote_candidate_text(epoch(), &line(&name(1).to_string())).unwrap();
    side.name_resolved(epoch(), &name(2), B.into());
    assert_eq!(side.report().remote_candidates.len(), 0);
    side.name_failed(epoch(), &name(2), NameFailure::NoAnswer);
    side.name_failed(epoch(), &name(1), NameFailure::NoAnswer);
    side.name_resolved(epoch(), &name(1), B.into());
    assert_eq!(side.report().remote_candidates.len(), 0, "it was given up");
    // Given again, it is asked for again.
    assert_eq!(side.poll_name(), Some(name(1)));
    side.add_remote_candidate_text(epoch(), &line(&name(1).to_string())).unwrap();
    assert_eq!(side.poll_name(), Some(name(1)));
    side.name_resolved(epoch(), &name(1), B.into());
    assert_eq!(side.report().remote_candidates.len(), 1);
    // What a name stands for is checked as any address is.
    side.add_remote_candidate_text(epoch(), &line(&name(3).to_string())).unwrap();
    side.name_resolved(epoch(), &name(3), [224, 0, 0, 1].into());
    assert_eq!((side.report().remote_candidates.len(), side.report().refused_candidates), (1, 1));
}

/// The end of the peer's candidates is known, and some still wait for their name.
#[test]
fn the_end_of_candidates_waits_for_names() {
    let (mut world, a, b) = world();
    let now = world.now();
    world.run(Duration::from_secs(5), |world| {
        // All but the answers.
        for (from, to) in [(a, b), (b, a)] {
            let Some(Host::Side { events, .. }) = world.machines.get_mut(&from) else { panic!("a side") };
            for event in std::mem::take(events) {
                if let Event::Candidate(candidate) = event {
                    let candidate = candidate.to_string();
                    side(world, to).add_remote_candidate_text(now, &candidate).unwrap();
                }
            }
        }
        false
    });
    let now = world.now();
    [a, b].iter().for_each(|end| side(&mut world, *end).end_of_remote_candidates(now));
    assert!(!is_connected(&mut world, a), "their NAT does not hairpin");
    for (end, number, address) in [(a, 2, B), (b, 1, A)] {
        assert_eq!(side(&mut world, end).poll_name(), Some(name(number)));
        side(&mut world, end).name_resolved(now, &name(number), address.into());
    }
    assert!(world.run(Duration::from_secs(5), |world| {
        [a, b].iter().all(|end| side(world, *end).state() == State::Completed)
    }));
}

/// A host address without a name stays unsaid, and one that gets its name later is told then.
#[test]
fn an_address_without_a_name_is_not_told() {
    let mut config = config(Role::Controlling);
    config.host_names = Some(Vec::new());
    let mut side = Connectivity::new(epoch(), config, [1; 32]);
    side.add_host(epoch(), (A, 4000).into()).unwrap();
    side.gather(epoch());
    assert_eq!(side.poll_event(), Some(Event::GatheringDone));
    assert_eq!(side.local_candidates().count(), 0);
    side.name_host(epoch(), B.into(), name(2));
    side.add_host(epoch(), (B, 4000).into()).unwrap();
    let Some(Event::Candidate(candidate)) = side.poll_event() else { panic!("a candidate") };
    assert!(candidate.to_string().contains(&format!("{} 4000 typ host", name(2))), "{candidate}");
}
