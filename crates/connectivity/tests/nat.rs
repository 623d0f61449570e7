//! Two sides in a simulated Internet: NATs, a STUN server, gathering, data.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test fails"
)]

use std::net::SocketAddr;
use std::time::Duration;

use connectivity::{
    CandidateError, Config, Connectivity, Discard, Event, Failure, Kind, Received, Role, Route, SendError,
    State,
};
use proto::{Arrival, Batch, Carrier, Instant, Path, Transmit};
use stun::wire::{Attribute, Class, Encoder, Message, Method, TransactionId};
use testkit::{HostId, Lan, Link, Machine, Nat, Network, World, epoch};

#[test]
fn two_sides_behind_nats_meet_by_their_reflexive_addresses() {
    let (mut world, a, b) = world(Nat::cone(), Nat::cone());
    assert!(world.run(Duration::from_secs(10), |world| {
        trickle(world, a, b);
        is_connected(world, a) && is_connected(world, b)
    }));
    assert!(world.elapsed() < Duration::from_millis(900), "{:?}", world.elapsed());
    let path = side(&mut world, a).selected_path().unwrap();
    assert_eq!(path.local, "192.168.1.2:4000".parse().unwrap(), "sent from the base");
    assert_eq!(path.remote.ip(), "203.0.113.2".parse::<std::net::IpAddr>().unwrap());
    for end in [a, b] {
        let reflexive = Kind::ServerReflexive;
        assert_eq!(
            side(&mut world, end).selected_kinds(),
            Some((reflexive, reflexive)),
            "RFC 8445 §7.2.5.3.2"
        );
    }
    let kinds: Vec<Kind> = side(&mut world, a).local_candidates().map(|candidate| candidate.kind).collect();
    assert_eq!(kinds, [Kind::Host, Kind::ServerReflexive]);
    let report = side(&mut world, a).report();
    assert!(
        report
            .to_string()
            .contains("server 198.51.100.1:3478 from 192.168.1.2:4000: sees us at 203.0.113.1:")
    );
    assert_eq!(report.advice(), None);
}

#[test]
fn symmetric_nats_on_both_sides_fail_in_time_and_say_what_to_try() {
    let (mut world, a, b) = world(Nat::symmetric(), Nat::symmetric());
    let failed = State::Failed(Failure::NoAnswer);
    assert!(world.run(Duration::from_secs(46), |world| {
        trickle(world, a, b);
        side(world, a).state() == failed && side(world, b).state() == failed
    }));
    let report = side(&mut world, a).report();
    assert!(report.to_string().contains("try: No check was answered"), "{report}");
}

#[test]
fn a_symmetric_nat_on_one_side_is_no_obstacle_to_an_open_other_side() {
    let open = Nat { filtering: testkit::Dependence::EndpointIndependent, ..Nat::cone() };
    let (mut world, a, b) = world(Nat::symmetric(), open);
    assert!(world.run(Duration::from_secs(10), |world| {
        trickle(world, a, b);
        is_connected(world, a) && is_connected(world, b)
    }));
    let remotes: Vec<Kind> =
        side(&mut world, b).report().remote_candidates.iter().map(|(_, kind)| *kind).collect();
    assert!(remotes.contains(&Kind::PeerReflexive), "{remotes:?}");
    // Only checks could show the address that the symmetric NAT gives; it is known as such on both sides.
    let (mapped, known) = (Kind::PeerReflexive, Kind::ServerReflexive);
    assert_eq!(side(&mut world, a).selected_kinds(), Some((mapped, known)));
    assert_eq!(side(&mut world, b).selected_kinds(), Some((known, mapped)));
}

#[test]
fn data_is_taken_from_the_peer_alone() {
    let (mut a, mut b) = pair();
    let (to_b, to_a) = (path(A, B), path(B, A));
    assert_eq!(refusal(&mut b, to_a, &mut [20, 1, 2]), Some(Discard::NotAuthenticated));
    let mut memory = [0; 1500];
    let sent = a.send_with(epoch(), &mut Batch::new(&mut memory, 1, 1200), |out| Ok(out.put(b"x")?));
    assert_eq!(sent, Err::<_, SendError>(SendError::NoPath));
    assert!(a.poll_route().is_none() && b.poll_route().is_none());

    meet(&mut a, &mut b);
    assert_eq!(
        (a.poll_route(), b.poll_route()),
        (Some(Route::Confirmed(to_b)), Some(Route::Confirmed(to_a)))
    );
    let mut batch = Batch::new(&mut memory, 4, 1200);
    for _ in 0..3 {
        a.send_with(epoch(), &mut batch, |out| Ok::<_, SendError>(out.put(b"abcd")?)).unwrap();
    }
    assert_eq!(a.finish(&batch), Some(Transmit { path: to_b, ecn: None, len: 12, segment_size: Some(4) }));
    let mut data = *b"abcd";
    let arrival = Arrival { path: to_a, ecn: None, at: epoch() };
    assert!(
        matches!(b.handle_datagram(arrival, &mut data), Ok(Received::Data { payload, .. }) if payload == b"abcd")
    );

    // THREATS I7: another source is counted, and never becomes the destination.
    for port in 1..100 {
        let remote = SocketAddr::new("10.0.0.66".parse().unwrap(), port);
        let forged = Path { remote, ..to_a };
        assert_eq!(refusal(&mut b, forged, &mut [20; 40]), Some(Discard::NotAuthenticated));
    }
    assert_eq!(b.report().refused_data, 100);
    assert_eq!(b.selected_path(), Some(to_a));
    b.close(epoch());
    assert_eq!(refusal(&mut b, to_a, &mut data), Some(Discard::NotAuthenticated));
    assert_eq!(b.poll_route(), Some(Route::Removed(to_a)));
}

/// RFC 7675 §5.1, also where time passed and nobody has said so but who sends.
#[test]
fn nothing_is_sent_once_consent_has_run_out() {
    let (mut a, mut b) = pair();
    meet(&mut a, &mut b);
    let mut memory = [0; 1500];
    let mut send = |after| {
        let batch = &mut Batch::new(&mut memory, 1, 1200);
        a.send_with(epoch() + Duration::from_secs(after), batch, |out| Ok::<_, SendError>(out.put(b"x")?))
    };
    assert_eq!((send(29), send(31), send(31)), (Ok(()), Err(SendError::NoPath), Err(SendError::NoPath)));
    assert_eq!(a.state(), State::Failed(Failure::ConsentExpired));
}

#[test]
fn a_datagram_is_no_longer_than_the_limit() {
    let (mut a, mut b) = pair();
    meet(&mut a, &mut b);
    let mut memory = [0; 4000];
    let mut batch = Batch::new(&mut memory, 1, 4000);
    let send = |a: &mut Connectivity, batch: &mut Batch<'_>, len| {
        a.send_with(epoch(), batch, |out| Ok::<_, SendError>(out.put_zeros(len)?))
    };
    assert_eq!(send(&mut a, &mut batch, a_limit() + 1), Err(SendError::NoSpace));
    assert_eq!(send(&mut a, &mut batch, a_limit()), Ok(()));
    assert!(a.finish(&batch).is_some());
}

const fn a_limit() -> usize {
    1200
}

#[test]
fn names_and_nonsense_from_the_peer_are_counted_and_ignored() {
    let (mut a, _) = pair();
    let name = "candidate:1 1 udp 1 c0ffee.local 9 typ host";
    let error = a.add_remote_candidate_text(epoch(), name).unwrap_err();
    assert!(matches!(error, CandidateError::Unusable(_)));
    assert!(a.add_remote_candidate_text(epoch(), "candidate:nonsense").is_err());
    assert!(
        a.add_remote_candidate_text(epoch(), "candidate:1 1 tcp 1 10.0.0.2 9 typ host tcptype so").is_err()
    );
    let report = a.report();
    assert_eq!((report.ignored_hostnames, report.refused_candidates), (1, 2));
    assert!(report.to_string().contains("1 host names, 2 others"));
}

#[test]
fn a_restart_announces_all_again_with_the_new_ufrag() {
    let (mut a, _) = pair();
    let announced = |a: &mut Connectivity| {
        let mut ufrags = Vec::new();
        let mut done = 0;
        while let Some(event) = a.poll_event() {
            match event {
                Event::Candidate(candidate) => ufrags.push(candidate.ufrag().unwrap().to_owned()),
                Event::GatheringDone => done += 1,
                _ => {}
            }
        }
        (ufrags, done)
    };
    let before = a.local_credentials().ufrag().to_owned();
    assert_eq!(announced(&mut a), (vec![before.clone()], 1));
    a.restart(epoch());
    let after = a.local_credentials().ufrag().to_owned();
    assert_ne!(before, after);
    assert_eq!(announced(&mut a), (vec![after], 1));
}

#[test]
fn families_are_never_mixed() {
    let mut a = Connectivity::new(epoch(), config(Role::Controlling), [1; 32]);
    a.add_host(epoch(), "10.0.0.1:1".parse().unwrap()).unwrap();
    a.add_host(epoch(), "[2001:db8::1]:1".parse().unwrap()).unwrap();
    a.gather(epoch());
    for remote in ["10.0.0.2", "2001:db8::2"] {
        a.add_remote_candidate_text(epoch(), &format!("candidate:1 1 udp 1 {remote} 9 typ host")).unwrap();
    }
    let pairs = a.report().stats.pairs;
    assert_eq!(pairs.len(), 2);
    assert!(pairs.iter().all(|pair| pair.path.local.is_ipv4() == pair.path.remote.is_ipv4()));
}

fn pair() -> (Connectivity, Connectivity) {
    let [a, b] = [(A, Role::Controlling, 1), (B, Role::Controlled, 2)].map(|(address, role, seed)| {
        let mut side = Connectivity::new(epoch(), config(role), [seed; 32]);
        side.add_host(epoch(), address.parse().unwrap()).unwrap();
        side.gather(epoch());
        side
    });
    (a, b)
}

fn meet(a: &mut Connectivity, b: &mut Connectivity) {
    a.set_remote_credentials(epoch(), b.local_credentials().clone());
    b.set_remote_credentials(epoch(), a.local_credentials().clone());
    let candidates: Vec<_> = b.local_candidates().collect();
    for candidate in candidates {
        a.add_remote_candidate(epoch(), candidate).unwrap();
    }
    for _ in 0..3 {
        for (from, to) in [(true, false), (false, true)] {
            let (from, to) = if from && !to { (&mut *a, &mut *b) } else { (&mut *b, &mut *a) };
            let mut memory = [0; 1500];
            loop {
                let mut batch = Batch::new(&mut memory, 1, 1200);
                let Some(transmit) = from.poll_transmit(epoch(), &mut batch) else { break };
                let Path { carrier, local, remote } = transmit.path;
                let path = Path { carrier, local: remote, remote: local };
                let mut bytes = batch.bytes().to_vec();
                to.handle_datagram(Arrival { path, ecn: None, at: epoch() }, &mut bytes).unwrap();
            }
        }
    }
    assert_eq!((a.state(), b.state()), (State::Connected, State::Connected));
}

fn refusal(side: &mut Connectivity, path: Path, datagram: &mut [u8]) -> Option<Discard> {
    side.handle_datagram(Arrival { path, ecn: None, at: epoch() }, datagram).err()
}

fn config(role: Role) -> Config {
    let mut config = Config::default();
    config.ice.role = role;
    config.ice.provider = crypto::rust_crypto();
    config
}

fn path(local: &str, remote: &str) -> Path {
    testkit::path(local, remote)
}

const A: &str = "10.0.0.1:1000";
const B: &str = "10.0.0.2:2000";
const SERVER: &str = "198.51.100.1:3478";

/// A connectivity, or a STUN server.
enum Host {
    Side(Box<Connectivity>, Vec<Event>),
    Server(Option<(Path, TransactionId)>),
}

impl Machine for Host {
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool {
        match self {
            Self::Side(side, _) => side.handle_datagram(arrival, datagram).is_ok(),
            Self::Server(slot) => {
                *slot = Some((arrival.path, Message::decode(datagram).unwrap().transaction()));
                true
            }
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        if let Self::Side(side, _) = self {
            side.handle_timeout(now);
        }
    }
    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        match self {
            Self::Side(side, _) => side.poll_transmit(now, batch),
            Self::Server(slot) => {
                let (path, id) = slot.take()?;
                batch
                    .append(|out| {
                        let mut answer = Encoder::new(out, Class::Success, Method::BINDING, id)?;
                        answer.attribute(Attribute::XorMappedAddress(path.remote))?;
                        answer.finish(None)
                    })
                    .unwrap();
                batch.finish(path, None)
            }
        }
    }
    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Side(side, _) => side.poll_timeout(),
            Self::Server(_) => None,
        }
    }
    fn poll_event(&mut self) -> Option<String> {
        let Self::Side(side, events) = self else { return None };
        let event = side.poll_event()?;
        let text = format!("{event:?}");
        events.push(event);
        Some(text)
    }
}

fn world(nat_a: Nat, nat_b: Nat) -> (World<Host>, HostId, HostId) {
    let mut network = Network::new([1; 32]);
    let link = Link { delay: Duration::from_millis(10), ..Link::default() };
    let server: SocketAddr = SERVER.parse().unwrap();
    let s = network.add_host(Lan::Public, &[server.ip()], link.clone());
    let lan_a = network.add_nat(Lan::Public, "203.0.113.1".parse().unwrap(), nat_a);
    let lan_b = network.add_nat(Lan::Public, "203.0.113.2".parse().unwrap(), nat_b);
    let a = network.add_host(lan_a, &["192.168.1.2".parse().unwrap()], link.clone());
    let b = network.add_host(lan_b, &["192.168.2.2".parse().unwrap()], link);
    let mut world = World::new(network);
    world.machines.insert(s, Host::Server(None));
    let mut sides = [("192.168.1.2:4000", Role::Controlling, 1), ("192.168.2.2:4000", Role::Controlled, 2)]
        .map(|(address, role, seed)| {
            let mut config = config(role);
            config.stun_servers = vec![server];
            let mut side = Connectivity::new(epoch(), config, [seed; 32]);
            side.add_host(epoch(), address.parse().unwrap()).unwrap();
            side.gather(epoch());
            side
        });
    let [one, two] = &mut sides;
    one.set_remote_credentials(epoch(), two.local_credentials().clone());
    two.set_remote_credentials(epoch(), one.local_credentials().clone());
    let [one, two] = sides;
    world.machines.insert(a, Host::Side(Box::new(one), Vec::new()));
    world.machines.insert(b, Host::Side(Box::new(two), Vec::new()));
    (world, a, b)
}

/// Carries the candidates that were announced to the other side.
fn trickle(world: &mut World<Host>, a: HostId, b: HostId) {
    let now = world.now();
    for (from, to) in [(a, b), (b, a)] {
        let Some(Host::Side(_, events)) = world.machines.get_mut(&from) else { panic!("a side") };
        for event in std::mem::take(events) {
            match event {
                Event::Candidate(candidate) => {
                    side(world, to).add_remote_candidate_text(now, &candidate.to_string()).unwrap();
                }
                Event::GatheringDone => side(world, to).end_of_remote_candidates(now),
                _ => {}
            }
        }
    }
}

fn side(world: &mut World<Host>, id: HostId) -> &mut Connectivity {
    match world.machines.get_mut(&id) {
        Some(Host::Side(side, _)) => side,
        _ => panic!("a side"),
    }
}

fn is_connected(world: &mut World<Host>, id: HostId) -> bool {
    matches!(side(world, id).state(), State::Connected | State::Completed)
}

#[test]
fn the_carrier_of_every_path_is_udp() {
    let (mut a, mut b) = pair();
    meet(&mut a, &mut b);
    assert_eq!(a.selected_path().unwrap().carrier, Carrier::Udp);
}
