//! Behaviour discovery (RFC 5780): our client and our server, with every NAT of the simulator between them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test fails"
)]

use std::net::SocketAddr;
use std::time::Duration;

use stun::discovery::{self, Discovery, Event, Findings};
use testkit::{Dependence, HostId, Lan, Link, Machine, Nat, Network, Ports, World, epoch};
use turn::server::{self, RelayAddress};
use turn::{Arrival, Batch, Instant, Server, Transmit, Users};

enum End {
    Asking(Box<Discovery>, Option<Event>),
    Serving(Box<Server>),
}

impl Machine for End {
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool {
        match self {
            Self::Asking(discovery, _) => discovery.handle_datagram(arrival, datagram).is_ok(),
            Self::Serving(server) => server.handle_datagram(arrival, datagram).is_ok(),
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Asking(discovery, _) => discovery.handle_timeout(now),
            Self::Serving(server) => server.handle_timeout(now),
        }
    }
    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        match self {
            Self::Asking(discovery, _) => discovery.poll_transmit(now, batch),
            Self::Serving(server) => server.poll_transmit(now, batch),
        }
    }
    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Asking(discovery, _) => discovery.poll_timeout(),
            Self::Serving(server) => server.poll_timeout(),
        }
    }
    fn poll_event(&mut self) -> Option<String> {
        let Self::Asking(discovery, end) = self else { return None };
        let event = discovery.poll_event()?;
        *end = Some(event);
        Some(format!("{event:?}"))
    }
}

const SERVER: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

fn server(takes_part: bool) -> Server {
    let mut config = server::Config::new(crypto::default_provider());
    let addresses = SERVER.map(|ip| {
        let ip = ip.parse().unwrap();
        RelayAddress { local: ip, external: ip }
    });
    if takes_part {
        config.discovery.push(server::Discovery { addresses, ports: [3478, 3479] });
    }
    Server::new(epoch(), config, Users::default(), [1; 32])
}

/// What is found out behind `nat`, at an address of one's own where there is none.
fn find(
    nat: Option<Nat>,
    link: &Link,
    config: discovery::Config,
    takes_part: bool,
) -> (Option<Event>, Findings, Duration) {
    let mut network = Network::new([3; 32]);
    let ips = SERVER.map(|ip| ip.parse().unwrap());
    let serving = network.add_host(Lan::Public, &ips, Link::default());
    let (lan, ip) = match nat {
        Some(nat) => (network.add_nat(Lan::Public, "203.0.113.1".parse().unwrap(), nat), "10.0.0.2"),
        None => (Lan::Public, "198.51.100.7"),
    };
    let asking = network.add_host(lan, &[ip.parse().unwrap()], link.clone());
    let path = testkit::path(&format!("{ip}:4000"), "192.0.2.1:3478");
    let mut discovery = Discovery::new(config, path, SocketAddr::new(ip.parse().unwrap(), 4001), [7; 32]);
    discovery.start(epoch());
    let mut world = World::new(network);
    world.machines.insert(serving, End::Serving(Box::new(server(takes_part))));
    world.machines.insert(asking, End::Asking(Box::new(discovery), None));
    world.run(Duration::from_secs(7200), |world| state(world, asking).0.is_some());
    let elapsed = world.elapsed();
    let (event, findings) = state(&mut world, asking);
    (event, findings, elapsed)
}

fn state(world: &mut World<End>, host: HostId) -> (Option<Event>, Findings) {
    match world.machines.get(&host).unwrap() {
        End::Asking(discovery, event) => (*event, *discovery.findings()),
        End::Serving(_) => panic!("it asks nothing"),
    }
}

fn link() -> Link {
    Link { delay: Duration::from_millis(20), ..Link::default() }
}

const ALL: [Dependence; 3] =
    [Dependence::EndpointIndependent, Dependence::Address, Dependence::AddressAndPort];

fn same(found: Option<discovery::Dependence>, is: Dependence) -> bool {
    found
        == Some(match is {
            Dependence::EndpointIndependent => discovery::Dependence::EndpointIndependent,
            Dependence::Address => discovery::Dependence::Address,
            Dependence::AddressAndPort => discovery::Dependence::AddressAndPort,
        })
}

#[test]
fn every_nat_is_told_for_what_it_is() {
    let mut count = 0;
    for mapping in ALL {
        for filtering in ALL {
            for (hairpin, preserve_port) in [(false, false), (false, true), (true, false), (true, true)] {
                let ports = if preserve_port { Ports::Preserved } else { Ports::Random };
                let nat = Nat { mapping, filtering, hairpin, ports, ..Nat::cone() };
                let (event, found, elapsed) = find(Some(nat), &link(), discovery::Config::default(), true);
                assert_eq!(event, Some(Event::Finished), "{nat:?}");
                assert!(
                    same(found.mapping, mapping) && same(found.filtering, filtering),
                    "{nat:?}: {found:?}"
                );
                // Where each destination has a mapping of its own and strangers are shut out, nobody inside is
                // let in by the address that the server sees, whatever the NAT would do with the rest.
                let reachable = mapping == Dependence::EndpointIndependent
                    || filtering == Dependence::EndpointIndependent;
                assert_eq!(found.hairpin, Some(hairpin && reachable), "{nat:?}");
                assert!(found.is_translated() && !found.is_rewritten);
                assert_eq!(found.keeps_port(), preserve_port, "{nat:?}");
                assert!(elapsed < Duration::from_secs(12), "{elapsed:?}");
                count += 1;
            }
        }
    }
    assert_eq!(count, 36);
}

#[test]
fn without_a_nat_there_is_none() {
    let (event, found, elapsed) = find(None, &link(), discovery::Config::default(), true);
    assert_eq!(event, Some(Event::Finished));
    assert!(!found.is_translated());
    assert!(same(found.mapping, Dependence::EndpointIndependent));
    assert!(same(found.filtering, Dependence::EndpointIndependent));
    assert_eq!(found.hairpin, None);
    assert!(elapsed < Duration::from_millis(200), "{elapsed:?}");
}

#[test]
fn a_lossy_path_makes_no_other_nat() {
    let link = Link { loss: 0.2, ..link() };
    for mapping in ALL {
        for filtering in ALL {
            let nat = Nat { mapping, filtering, hairpin: true, ..Nat::cone() };
            let (event, found, _) = find(Some(nat), &link, discovery::Config::default(), true);
            assert_eq!(event, Some(Event::Finished), "{nat:?}");
            assert!(same(found.mapping, mapping) && same(found.filtering, filtering), "{nat:?}: {found:?}");
        }
    }
}

#[test]
fn the_life_of_a_mapping_is_found() {
    let mut config = discovery::Config::default();
    config.max_lifetime = Some(Duration::from_secs(300));
    for (lives, mapping) in [(40, ALL[0]), (120, ALL[1]), (120, ALL[2]), (200, ALL[0]), (3600, ALL[0])] {
        let nat = Nat { lifetime: Duration::from_secs(lives), mapping, ..Nat::cone() };
        let (event, found, _) = find(Some(nat), &link(), config.clone(), true);
        assert_eq!(event, Some(Event::Finished));
        let found = found.lifetime.unwrap();
        assert!(found.at_least <= Duration::from_secs(lives), "{lives}: {found:?}");
        match found.below {
            None => assert!(lives > 300 && found.at_least == Duration::from_secs(300), "{found:?}"),
            Some(below) => {
                assert!(below + Duration::from_secs(1) > Duration::from_secs(lives), "{lives}: {found:?}");
                assert!(below - found.at_least <= config.resolution, "{lives}: {found:?}");
            }
        }
    }
}

/// Only the address is learnt of a server that has one alone, and of none nothing.
#[test]
fn a_server_that_does_not_take_part_is_no_obstacle() {
    let mut config = discovery::Config::default();
    config.max_lifetime = Some(Duration::from_secs(300));
    let (event, found, _) = find(Some(Nat { hairpin: true, ..Nat::cone() }), &link(), config.clone(), false);
    assert_eq!(event, Some(Event::Finished));
    assert!(found.is_translated());
    assert_eq!((found.mapping, found.filtering, found.other_address), (None, None, None));
    assert_eq!((found.hairpin, found.lifetime), (Some(true), None), "that it needs no server's help for");
    let dead = Link { loss: 1.0, ..link() };
    let (event, found, elapsed) = find(Some(Nat::cone()), &dead, config, true);
    assert_eq!(event, Some(Event::Failed(stun::Failure::TimedOut)));
    assert!(found.mapped.is_none() && elapsed < Duration::from_secs(40), "{elapsed:?}");
}

mod conformance {
    use super::*;

    #[test]
    fn the_rules_of_machines_hold() {
        for loss in [0.0, 0.3, 1.0] {
            testkit::conformance::check(Duration::from_secs(600), |seed| {
                let path = testkit::path("198.51.100.7:4000", "192.0.2.1:3478");
                let mut config = discovery::Config::default();
                config.max_lifetime = Some(Duration::from_secs(120));
                let second = "198.51.100.7:4001".parse().unwrap();
                let mut discovery = Discovery::new(config, path, second, seed);
                discovery.start(epoch());
                let link = Link { loss, ..link() };
                let asking = End::Asking(Box::new(discovery), None);
                testkit::Pair::new(asking, End::Serving(Box::new(server(true))), link, seed)
            });
        }
    }
}
