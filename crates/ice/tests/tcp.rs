//! TCP candidates (RFC 6544): who opens, what is checked over a connection, and what becomes of one that breaks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test fails"
)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use ice::{Candidate, CandidateError, ConnectId, Event, Failure, Kind, LocalCandidate, Role, State};
use proto::{Carrier, Instant, Path};
use stun::wire::{Class, Message};
use support::{A, B, Peer, introduce, receive, seconds, send, signal};
use testkit::epoch;

const LISTENER: &str = "10.0.0.2:2000";

fn active(role: Role, seed: [u8; 32]) -> Peer {
    let mut peer = Peer::new(role, seed);
    peer.agent.add_local_candidate(epoch(), LocalCandidate::tcp_active([10, 0, 0, 1].into())).unwrap();
    peer
}

fn passive(role: Role, seed: [u8; 32]) -> Peer {
    let mut peer = Peer::new(role, seed);
    peer.agent.add_local_candidate(epoch(), LocalCandidate::tcp_passive(LISTENER.parse().unwrap())).unwrap();
    peer
}

/// Two agents, the connections between them, and time.
struct Streams {
    /// The active side, and the passive one.
    peers: [Peer; 2],
    now: Instant,
    open: Vec<Path>,
    asked: Vec<(Instant, ConnectId, SocketAddr, SocketAddr)>,
    hung_up: Vec<Path>,
    sent: Vec<(Path, Vec<u8>)>,
    next_port: u16,
    /// Connections come about.
    accepts: bool,
    /// What is sent gets lost, as where the other side has stopped.
    is_dead: bool,
}

impl Streams {
    fn new(peers: [Peer; 2]) -> Self {
        let mut peers = peers;
        let [a, b] = &mut peers;
        introduce(a, b, epoch());
        signal(a, b, epoch());
        signal(b, a, epoch());
        Self {
            peers,
            now: epoch(),
            open: Vec::new(),
            asked: Vec::new(),
            hung_up: Vec::new(),
            sent: Vec::new(),
            next_port: 50_000,
            accepts: true,
            is_dead: false,
        }
    }

    fn run(&mut self, limit: Duration) {
        let end = self.now + limit;
        loop {
            for _ in 0..20 {
                self.exchange();
            }
            let next = self.peers.iter().filter_map(|peer| peer.agent.poll_timeout()).min();
            match next {
                Some(next) if next <= end => {
                    assert!(next > self.now, "no timer in the past");
                    self.now = next;
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
    }

    fn exchange(&mut self) {
        let now = self.now;
        for from in 0..2 {
            self.peers[from].agent.handle_timeout(now);
            while let Some(event) = self.peers[from].agent.poll_event() {
                match event {
                    Event::Connect { id, local, remote } => {
                        assert_eq!((from, local.port()), (0, 0));
                        self.asked.push((now, id, local, remote));
                        if self.accepts {
                            let local = SocketAddr::new(local.ip(), self.next_port);
                            self.next_port += 1;
                            let path = Path { carrier: Carrier::Framed, local, remote };
                            self.open.push(path);
                            self.peers[0].agent.tcp_opened(now, id, path);
                        } else {
                            self.peers[0].agent.tcp_failed(now, id);
                        }
                    }
                    Event::Disconnect(path) => {
                        self.hung_up.push(path);
                        self.close(path, from);
                    }
                    other => self.peers[from].events.push(other),
                }
            }
            while let Some((path, bytes)) = send(&mut self.peers[from], now) {
                self.sent.push((path, bytes.clone()));
                let back = Path { carrier: path.carrier, local: path.remote, remote: path.local };
                let ours = if from == 0 { path } else { back };
                assert!(self.open.contains(&ours), "over a connection that is open");
                if !self.is_dead {
                    let _ = receive(&mut self.peers[1 - from], back, now, &bytes);
                }
            }
        }
    }

    /// A connection ends; both sides but `knows` are told.
    fn close(&mut self, path: Path, knows: usize) {
        let Path { carrier, local, remote } = path;
        let of_active = if knows == 1 { Path { carrier, local: remote, remote: local } } else { path };
        let of_passive = Path { carrier, local: of_active.remote, remote: of_active.local };
        self.open.retain(|open| *open != of_active);
        for (side, path) in [(0, of_active), (1, of_passive)] {
            if side != knows {
                self.peers[side].agent.tcp_closed(self.now, path);
            }
        }
    }

    fn states(&self) -> [State; 2] {
        [0, 1].map(|side| self.peers[side].agent.state())
    }
}

#[test]
fn the_active_side_opens_and_both_check_over_that_connection_whoever_controls() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut streams = Streams::new([active(role, [1; 32]), passive(role.opposite(), [2; 32])]);
        streams.run(seconds(60));
        assert_eq!(streams.states(), [State::Completed; 2]);
        assert_eq!(streams.asked.len(), 1, "one connection");
        let path = streams.open[0];
        assert_eq!(path.remote, LISTENER.parse().unwrap());
        assert_eq!(streams.peers[0].agent.selected_path(), Some(path));
        let theirs = Path { local: path.remote, remote: path.local, ..path };
        assert_eq!(streams.peers[1].agent.selected_path(), Some(theirs));
        assert_eq!(streams.peers[0].agent.selected_kinds(), Some((Kind::Host, Kind::Host)));
        // RFC 8489 §6.2.2: a reliable transport needs no repetition, so each id is asked once.
        let requests: Vec<_> = streams
            .sent
            .iter()
            .filter_map(|(_, bytes)| {
                let message = Message::decode(bytes).unwrap();
                (message.class() == Class::Request).then(|| message.transaction().0)
            })
            .collect();
        let mut ids = requests.clone();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), requests.len());
        assert!(streams.hung_up.is_empty());
    }
}

#[test]
fn nothing_is_repeated_over_a_connection_that_does_not_answer() {
    let mut streams = Streams::new([active(Role::Controlling, [1; 32]), passive(Role::Controlled, [2; 32])]);
    streams.is_dead = true;
    streams.run(seconds(38));
    assert_eq!(streams.sent.len(), 1);
    streams.run(seconds(10));
    assert!(matches!(streams.states()[0], State::Failed(Failure::NoAnswer)));
    assert_eq!(streams.hung_up.len(), 1, "nobody needs it any more");
}

#[test]
fn candidates_say_how_they_are_reached_and_are_worth_less_than_udp() {
    let mut peer = passive(Role::Controlling, [1; 32]).host(A);
    peer.agent.add_local_candidate(epoch(), LocalCandidate::tcp_active([10, 0, 0, 1].into())).unwrap();
    let told: Vec<Candidate> = peer.agent.local_candidates().collect();
    let text: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert!(
        text[0].contains(" 1 tcp ") && text[0].contains("10.0.0.2 2000 typ host tcptype passive"),
        "{text:?}"
    );
    // RFC 6544 §4.5: the port of an active one is the discard port.
    assert!(text[2].contains("10.0.0.1 9 typ host tcptype active"), "{text:?}");
    for (line, candidate) in text.iter().zip(&told) {
        assert_eq!(line.parse::<Candidate>().as_ref(), Ok(candidate));
    }
    let [passive, udp, active] = [0, 1, 2].map(|at| told[at].priority);
    assert!(udp > active && active > passive);
    // RFC 6544 §4.2: 2^13 times the direction's preference, 6 or 4, and the rest.
    let direction = |priority: u32| (priority >> 21) & 7;
    assert_eq!((direction(active), direction(passive)), (6, 4));
    assert_eq!((active >> 24, active & 255), (90, 255));
    let foundations = [0, 1, 2].map(|at| &told[at].foundation);
    assert!(foundations[0] != foundations[1] && foundations[1] != foundations[2]);
}

#[test]
fn simultaneous_open_and_what_has_no_direction_are_read_and_not_used() {
    let mut peer = active(Role::Controlling, [1; 32]);
    for line in ["1 1 tcp 1 10.0.0.2 9 typ host tcptype so", "1 1 tcp 1 10.0.0.2 9 typ host"] {
        let candidate: Candidate = line.parse().unwrap();
        assert_eq!(peer.agent.add_remote_candidate(epoch(), candidate), Err(CandidateError::Transport));
    }
    let mut so = LocalCandidate::tcp_passive(LISTENER.parse().unwrap());
    so.tcp_type = Some(ice::TcpType::SimultaneousOpen);
    assert_eq!(peer.agent.add_local_candidate(epoch(), so), Err(CandidateError::Transport));
    so.tcp_type = None;
    assert_eq!(peer.agent.add_local_candidate(epoch(), so), Err(CandidateError::Transport));
}

#[test]
fn only_an_active_and_a_passive_candidate_make_a_pair() {
    let mut a = active(Role::Controlling, [1; 32]).host(A);
    let mut b = passive(Role::Controlled, [2; 32]).host(B);
    b.agent.add_local_candidate(epoch(), LocalCandidate::tcp_active([10, 0, 0, 2].into())).unwrap();
    a.agent
        .add_local_candidate(epoch(), LocalCandidate::tcp_passive("10.0.0.1:1000".parse().unwrap()))
        .unwrap();
    introduce(&mut a, &mut b, epoch());
    signal(&a, &mut b, epoch());
    signal(&b, &mut a, epoch());
    for peer in [&a, &b] {
        let pairs = peer.agent.stats().pairs;
        let framed = pairs.iter().filter(|pair| pair.path.carrier == Carrier::Framed);
        assert_eq!((pairs.len(), framed.count()), (2, 1), "{pairs:?}");
    }
}

#[test]
fn a_connection_that_breaks_is_opened_again_and_one_that_was_never_any_good_is_not() {
    let mut streams = Streams::new([active(Role::Controlling, [1; 32]), passive(Role::Controlled, [2; 32])]);
    streams.run(seconds(10));
    let first = streams.open[0];
    streams.close(first, 2);
    assert_eq!(streams.peers[0].agent.selected_path(), None);
    streams.run(seconds(2));
    assert_eq!(streams.asked.len(), 2);
    assert_eq!(streams.peers[0].agent.selected_path(), Some(streams.open[0]));
    assert_ne!(streams.open[0], first);
    assert_eq!(streams.states(), [State::Completed; 2]);

    let mut streams = Streams::new([active(Role::Controlling, [1; 32]), passive(Role::Controlled, [2; 32])]);
    streams.accepts = false;
    streams.run(seconds(60));
    assert_eq!(streams.asked.len(), 1);
    assert!(matches!(streams.states()[0], State::Failed(_)));
}

/// RFC 7675 §5.1: a connection that is open says nothing of who is at its other end.
#[test]
fn consent_is_asked_for_over_connections_too() {
    let mut streams = Streams::new([active(Role::Controlling, [1; 32]), passive(Role::Controlled, [2; 32])]);
    streams.run(seconds(10));
    let asked =
        |streams: &Streams| [0, 1].map(|side| streams.peers[side].agent.stats().counters.consent_sent);
    let before = asked(&streams);
    streams.run(seconds(60));
    for (after, before) in asked(&streams).into_iter().zip(before) {
        assert!((10..=15).contains(&(after - before)), "{after} - {before}");
    }
    assert_eq!(streams.states(), [State::Completed; 2]);
    streams.is_dead = true;
    streams.run(seconds(40));
    assert!(matches!(streams.states()[0], State::Failed(_)));
    assert_eq!(streams.peers[0].agent.selected_path(), None);
}

#[test]
fn where_udp_works_connections_are_hung_up_that_have_proved_nothing() {
    let mut a = active(Role::Controlling, [1; 32]).host(A);
    let mut b = passive(Role::Controlled, [2; 32]).host(B);
    introduce(&mut a, &mut b, epoch());
    signal(&b, &mut a, epoch());
    signal(&a, &mut b, epoch());
    let mut now = epoch();
    let mut opened = None;
    for _ in 0..200 {
        for (from, to) in [(0, 1), (1, 0)] {
            let peers = [&mut a, &mut b];
            peers[from].agent.handle_timeout(now);
            while let Some((path, bytes)) = send(peers[from], now) {
                // The connection leads to somebody who does not answer.
                if path.carrier == Carrier::Udp {
                    let back = Path { local: path.remote, remote: path.local, ..path };
                    let _ = receive(peers[to], back, now, &bytes);
                }
            }
        }
        while let Some(event) = a.agent.poll_event() {
            match event {
                Event::Connect { id, remote, .. } => {
                    let path =
                        Path { carrier: Carrier::Framed, local: "10.0.0.1:50000".parse().unwrap(), remote };
                    a.agent.tcp_opened(now, id, path);
                    opened = Some((path, false));
                }
                Event::Disconnect(path) => {
                    assert_eq!(opened.replace((path, true)).map(|it| it.0), Some(path))
                }
                _ => {}
            }
        }
        now += Duration::from_millis(10);
    }
    assert_eq!(a.agent.selected_path().map(|path| path.carrier), Some(Carrier::Udp));
    assert!(opened.is_none_or(|(_, is_over)| is_over), "{opened:?}");
}

/// THREATS I10: signalling cannot have a host open connections without end.
#[test]
fn as_many_connections_are_opened_at_a_time_as_the_limit_and_not_one_more() {
    for limit in [1, 5] {
        let mut a = Peer::with(|config| config.max_connections = limit, [1; 32]);
        a.agent.add_local_candidate(epoch(), LocalCandidate::tcp_active([10, 0, 0, 1].into())).unwrap();
        let mut b = Peer::new(Role::Controlled, [2; 32]);
        introduce(&mut a, &mut b, epoch());
        for port in 1..50 {
            let line = format!("{port} 1 tcp {port} 10.0.0.2 {port} typ host tcptype passive");
            a.agent.add_remote_candidate(epoch(), line.parse().unwrap()).unwrap();
        }
        let mut asked: Vec<(Instant, ConnectId)> = Vec::new();
        let mut now = epoch();
        while now < epoch() + seconds(5) {
            a.agent.handle_timeout(now);
            while let Some(event) = a.agent.poll_event() {
                if let Event::Connect { id, .. } = event {
                    asked.push((now, id));
                }
            }
            let Some(due) = a.agent.poll_timeout() else { break };
            now = due;
        }
        let limit = usize::try_from(limit).unwrap();
        assert_eq!(asked.len(), limit);
        // Each counts as a check.
        assert!(asked.windows(2).all(|two| two[1].0 - two[0].0 >= Duration::from_millis(50)));
        a.agent.tcp_failed(now, asked[0].1);
        while let Some(event) = a.agent.poll_event() {
            if let Event::Connect { id, .. } = event {
                asked.push((now, id));
            }
        }
        a.agent.handle_timeout(now + seconds(1));
        assert!(asked.len() == limit + 1 || matches!(a.agent.poll_event(), Some(Event::Connect { .. })));
    }
}

#[test]
fn a_restart_and_a_close_hang_up_what_they_do_not_need() {
    let mut streams = Streams::new([active(Role::Controlling, [1; 32]), passive(Role::Controlled, [2; 32])]);
    streams.run(seconds(10));
    let first = streams.open[0];
    let now = streams.now;
    for peer in &mut streams.peers {
        peer.agent.restart(now);
    }
    assert_eq!(streams.peers[0].agent.selected_path(), Some(first), "in use until there is another one");
    let [a, b] = &mut streams.peers;
    introduce(a, b, now);
    signal(a, b, now);
    signal(b, a, now);
    streams.run(seconds(10));
    assert_eq!(streams.states(), [State::Completed; 2]);
    assert_eq!(streams.open.len(), 1);
    assert_ne!(streams.open[0], first);
    assert!(streams.hung_up.contains(&first));
    let now = streams.now;
    streams.peers[0].agent.close(now);
    streams.exchange();
    assert!(streams.open.is_empty());
    // A name from before means nothing, and what was opened for it is hung up.
    let (_, id, ..) = streams.asked[0];
    streams.peers[0].agent.tcp_opened(now, id, first);
    assert_eq!(streams.peers[0].agent.poll_event(), Some(Event::Disconnect(first)));
}

/// A connection may take seconds to fail, and ICE begin anew meanwhile.
#[test]
fn what_fails_of_before_a_restart_fails_nothing_of_after_it() {
    let mut a = active(Role::Controlling, [1; 32]);
    let mut b = passive(Role::Controlled, [2; 32]);
    let mut ids = Vec::new();
    for second in 0..3 {
        let now = epoch() + seconds(second);
        if second > 0 {
            a.agent.restart(now);
            b.agent.restart(now);
        }
        introduce(&mut a, &mut b, now);
        signal(&b, &mut a, now);
        a.agent.handle_timeout(now);
        while let Some(event) = a.agent.poll_event() {
            if let Event::Connect { id, .. } = event {
                ids.push(id);
            }
        }
    }
    let now = epoch() + seconds(3);
    let [first, second, third] = ids[..] else { panic!("{ids:?}") };
    a.agent.tcp_failed(now, first);
    a.agent.tcp_failed(now, second);
    let remote = LISTENER.parse().unwrap();
    let path = Path { carrier: Carrier::Framed, local: "10.0.0.1:50000".parse().unwrap(), remote };
    a.agent.tcp_opened(now, third, path);
    assert_eq!(send(&mut a, now + seconds(1)).map(|(path, _)| path), Some(path));
}
