//! The path moves to a better pair where both sides know renomination, and otherwise only when it fails
//! (draft-thatcher-ice-renomination; RFC 8445 §8.1.1). THREATS I6.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use ice::{Failure, LocalCandidate, Options, Role, State};
use proto::{Instant, Path};
use stun::IntegrityKey;
use stun::wire::{Attribute, Class, Message, TransactionId};
use support::{A, B, Peer, introduce, message, receive, seconds, send, signal};
use testkit::{epoch, path};

const BOTH: Options = Options { ice2: true, renomination: true };

/// Two agents, and ways between them of which each takes its own time, or leads nowhere.
struct Ways {
    peers: [Peer; 2],
    now: Instant,
    delay: fn(Path, Instant) -> Option<Duration>,
    wire: Vec<(Instant, usize, Path, Vec<u8>)>,
    /// What the first has asked, and when.
    asked: Vec<(Instant, Path, Vec<u8>)>,
    /// Where the first's path was, from when on.
    paths: Vec<(Instant, Path)>,
}

impl Ways {
    fn new(peers: [Peer; 2], delay: fn(Path, Instant) -> Option<Duration>) -> Self {
        Self { peers, now: epoch(), delay, wire: Vec::new(), asked: Vec::new(), paths: Vec::new() }
    }

    fn run(&mut self, limit: Duration) {
        let end = self.now + limit;
        loop {
            let now = self.now;
            self.wire.sort_by_key(|(at, ..)| *at);
            while self.wire.first().is_some_and(|(at, ..)| *at <= now) {
                let (_, to, path, bytes) = self.wire.remove(0);
                let _ = receive(&mut self.peers[to], path, now, &bytes);
            }
            for from in 0..2 {
                self.peers[from].agent.handle_timeout(now);
                while let Some((path, bytes)) = send(&mut self.peers[from], now) {
                    if from == 0 && Message::decode(&bytes).unwrap().class() == Class::Request {
                        self.asked.push((now, path, bytes.clone()));
                    }
                    let Path { carrier, local, remote } = path;
                    if let Some(delay) = (self.delay)(path, now) {
                        self.wire.push((
                            now + delay,
                            1 - from,
                            Path { carrier, local: remote, remote: local },
                            bytes,
                        ));
                    }
                }
            }
            if let Some(path) = self.peers[0].agent.selected_path()
                && self.paths.last().is_none_or(|(_, last)| *last != path)
            {
                self.paths.push((now, path));
            }
            let timers = self.peers.iter().filter_map(|peer| peer.agent.poll_timeout());
            let arrivals = self.wire.iter().map(|(at, ..)| *at);
            let next = timers.chain(arrivals).min().unwrap();
            if next > end {
                self.now = end;
                return;
            }
            assert!(next > now || self.wire.iter().any(|(at, ..)| *at <= now), "no timer in the past");
            self.now = next;
        }
    }

    /// The path as both sides see it, by the first one's ports.
    fn path(&self) -> (u16, u16) {
        let [ours, theirs] = [0, 1].map(|side| self.peers[side].agent.selected_path().unwrap());
        assert_eq!((ours.local, ours.remote), (theirs.remote, theirs.local), "both agree");
        (ours.local.port(), ours.remote.port())
    }

    fn add_host(&mut self, side: usize, address: &str) {
        let now = self.now;
        let candidate = LocalCandidate::host(address.parse().unwrap());
        let id = self.peers[side].agent.add_local_candidate(now, candidate).unwrap();
        let told = self.peers[side].agent.candidate(id).unwrap();
        self.peers[1 - side].agent.add_remote_candidate(now, told).unwrap();
    }
}

fn two(a: Peer, b: Peer, options: Options) -> [Peer; 2] {
    let (mut a, mut b) = (a, b);
    introduce(&mut a, &mut b, epoch());
    signal(&a, &mut b, epoch());
    signal(&b, &mut a, epoch());
    for peer in [&mut a, &mut b] {
        peer.agent.set_remote_options(epoch(), options);
    }
    [a, b]
}

fn relayed(role: Role, seed: [u8; 32]) -> Peer {
    let mut peer = Peer::new(role, seed);
    let relayed =
        LocalCandidate::relayed("198.51.100.1:5000".parse().unwrap(), "198.51.100.1".parse().unwrap());
    peer.agent.add_local_candidate(epoch(), relayed).unwrap();
    peer
}

const fn ten_millis(_: Path, _: Instant) -> Option<Duration> {
    Some(Duration::from_millis(10))
}

#[test]
fn a_direct_way_that_turns_up_later_takes_over_from_a_relay() {
    for options in [BOTH, Options { ice2: true, renomination: false }] {
        let a = relayed(Role::Controlling, [1; 32]);
        let b = Peer::new(Role::Controlled, [2; 32]).host(B);
        let mut ways = Ways::new(two(a, b, options), ten_millis);
        ways.run(seconds(10));
        assert_eq!(ways.path(), (5000, 2000));
        ways.add_host(0, A);
        ways.run(seconds(1));
        let expected = if options.renomination { (1000, 2000) } else { (5000, 2000) };
        assert_eq!(ways.path(), expected, "{options:?}");
        let nominations: Vec<Vec<u32>> =
            ways.asked.iter().filter_map(|(_, _, bytes)| numbers(bytes)).collect();
        let numbers: Vec<&[u32]> = nominations.iter().map(Vec::as_slice).collect();
        if options.renomination {
            assert_eq!(numbers, [&[1][..], &[2]]);
        } else {
            assert_eq!(numbers, [&[0_u32; 0][..]], "USE-CANDIDATE, once, and no number");
        }
        ways.run(seconds(60));
        assert_eq!(ways.path(), expected);
        assert_eq!(ways.peers[0].agent.stats().counters.renominations, u64::from(options.renomination));
    }
}

/// The numbers in a check that nominates.
fn numbers(bytes: &[u8]) -> Option<Vec<u32>> {
    let check = Message::decode(bytes).unwrap();
    check.attributes().any(|it| it == Attribute::UseCandidate).then(|| {
        let number = |it| if let Attribute::Nomination(number) = it { Some(number) } else { None };
        check.attributes().filter_map(number).collect()
    })
}

#[test]
fn of_pairs_of_one_kind_the_much_faster_one_is_chosen_and_moved_to() {
    // The way of highest priority takes 150 ms, later 10 ms; the other one 40 ms throughout.
    fn delay(path: Path, now: Instant) -> Option<Duration> {
        let is_first = [path.local, path.remote].iter().any(|end| end.port() == 1000);
        let early = now < epoch() + seconds(60);
        Some(Duration::from_millis(match (is_first, early) {
            (true, true) => 150,
            (true, false) => 5,
            (false, _) => 40,
        }))
    }
    let a = Peer::new(Role::Controlling, [1; 32]).host(A).host("10.0.0.1:1001");
    let b = Peer::new(Role::Controlled, [2; 32]).host(B);
    let mut ways = Ways::new(two(a, b, BOTH), delay);
    ways.run(seconds(50));
    assert_eq!(ways.path(), (1001, 2000), "although its priority is lower");
    ways.run(seconds(120));
    assert_eq!(ways.path(), (1000, 2000), "measured in reserve, and now the better one");
    // The first that was valid, the one of highest priority, and these two.
    assert!(ways.paths.len() <= 4, "no flapping: {:?}", ways.paths);
}

#[test]
fn jitter_does_not_move_the_path_and_nothing_moves_it_twice_in_five_seconds() {
    // Each way is now and then four times as slow as the other one, for two seconds.
    fn delay(path: Path, now: Instant) -> Option<Duration> {
        let is_first = [path.local, path.remote].iter().any(|end| end.port() == 1000);
        let turn = ((now - epoch()).as_secs() / 2).is_multiple_of(2);
        Some(Duration::from_millis(if is_first == turn { 20 } else { 80 }))
    }
    let change = |config: &mut ice::Config| config.backup_interval = Duration::from_millis(700);
    let mut a = Peer::with(change, [1; 32]).host(A).host("10.0.0.1:1001");
    a.agent.set_remote_options(epoch(), BOTH);
    let b = Peer::new(Role::Controlled, [2; 32]).host(B);
    let mut ways = Ways::new(two(a, b, BOTH), delay);
    ways.run(seconds(300));
    let moves: Vec<Instant> = ways.paths.iter().skip(1).map(|(at, _)| *at).collect();
    for pair in moves.windows(2) {
        assert!(pair[1] - pair[0] >= seconds(5), "{moves:?}");
    }
}

#[test]
fn without_renomination_a_path_that_dies_is_replaced_and_a_sound_one_is_not() {
    // The way between the first ports dies after 20 s.
    fn delay(path: Path, now: Instant) -> Option<Duration> {
        let is_first = [path.local, path.remote].iter().any(|end| end.port() == 1000);
        (!is_first || now < epoch() + seconds(20)).then_some(Duration::from_millis(10))
    }
    for options in [Options { ice2: true, renomination: false }, BOTH] {
        let a = Peer::new(Role::Controlling, [1; 32]).host(A).host("10.0.0.1:1001");
        let b = Peer::new(Role::Controlled, [2; 32]).host(B);
        let mut ways = Ways::new(two(a, b, options), delay);
        ways.run(seconds(19));
        assert_eq!(ways.path(), (1000, 2000));
        ways.run(seconds(25));
        assert_eq!(ways.path(), (1001, 2000));
        assert!(
            ways.peers.iter().all(|peer| matches!(peer.agent.state(), State::Connected | State::Completed))
        );
        let (moved, _) = ways.paths[1];
        // 7 s of silence after the last answer, or 14, and a round trip or two.
        let limit = if options.renomination { 29 } else { 36 };
        assert!(moved - epoch() <= seconds(limit), "{:?}", moved - epoch());
    }
}

/// A controlled agent with two valid pairs, and what signs for its peer.
fn controlled() -> (Peer, [Path; 2], IntegrityKey, String) {
    let mut peer = Peer::new(Role::Controlling, [1; 32]).host(A);
    let mut agent = Peer::new(Role::Controlled, [2; 32]).host(B).host("10.0.0.2:2001");
    introduce(&mut peer, &mut agent, epoch());
    signal(&peer, &mut agent, epoch());
    agent.agent.set_remote_options(epoch(), BOTH);
    let keys = [&peer, &agent]
        .map(|of| IntegrityKey::short_term(crypto::rust_crypto(), of.agent.local_credentials().password()));
    let username =
        format!("{}:{}", agent.agent.local_credentials().ufrag(), peer.agent.local_credentials().ufrag());
    let [theirs, ours] = keys;
    let mut now = epoch();
    let mut answered = 0;
    while answered < 2 {
        agent.agent.handle_timeout(now);
        while let Some((to, bytes)) = send(&mut agent, now) {
            let id = Message::decode(&bytes).unwrap().transaction();
            let mapped = [Attribute::XorMappedAddress(to.local)];
            receive(&mut agent, to, now, &message(Class::Success, id, &mapped, Some(&theirs))).unwrap();
            answered += 1;
        }
        now += Duration::from_millis(50);
    }
    (agent, [path(B, A), path("10.0.0.2:2001", A)], ours, username)
}

#[test]
fn of_numbered_nominations_only_an_authentic_larger_one_moves_the_path() {
    let (mut agent, paths, key, username) = controlled();
    let now = epoch() + seconds(1);
    let mut id = 0;
    let mut nominate = |agent: &mut Peer, path: Path, more: &[Attribute<'_>], key: &IntegrityKey| {
        id += 1;
        let mut attributes =
            vec![Attribute::Username(&username), Attribute::Priority(1), Attribute::IceControlling(7)];
        attributes.extend(more);
        let request = message(Class::Request, TransactionId([id; 12]), &attributes, Some(key));
        let _ = receive(agent, path, now, &request);
        while send(agent, now).is_some() {}
        agent.agent.selected_path()
    };
    let wrong = IntegrityKey::short_term(crypto::rust_crypto(), "of somebody else");
    let [first, second] = paths;
    assert_eq!(
        nominate(&mut agent, first, &[Attribute::UseCandidate, Attribute::Nomination(3)], &key),
        Some(first)
    );
    // Equal or smaller numbers, and USE-CANDIDATE alone, which is a one.
    for more in
        [&[Attribute::Nomination(3)][..], &[Attribute::Nomination(2)], &[Attribute::UseCandidate], &[]]
    {
        assert_eq!(nominate(&mut agent, second, more, &key), Some(first), "{more:?}");
    }
    assert_eq!(nominate(&mut agent, second, &[Attribute::Nomination(9)], &wrong), Some(first));
    assert_eq!(nominate(&mut agent, second, &[Attribute::Nomination(4)], &key), Some(second));
    assert_eq!(nominate(&mut agent, first, &[Attribute::Nomination(3)], &key), Some(second));
    assert_eq!(nominate(&mut agent, first, &[Attribute::Nomination(u32::MAX)], &key), Some(first));
    assert_eq!(agent.agent.stats().counters.renominations, 2);
}

/// RFC 7675 §5.1: only answers are consent, and where nothing is answered nothing goes for longer than 30 s.
#[test]
fn who_answers_nothing_keeps_no_consent_by_nominating_another_path_each_time() {
    let (mut agent, paths, key, username) = controlled();
    let mut number = 1;
    for (second, path) in (1..60).zip(paths.into_iter().cycle()) {
        let now = epoch() + seconds(second);
        number += 1;
        let attributes = [
            Attribute::Username(&username),
            Attribute::Priority(1),
            Attribute::IceControlling(7),
            Attribute::UseCandidate,
            Attribute::Nomination(number),
        ];
        let id = TransactionId([u8::try_from(number).unwrap(); 12]);
        let nomination = message(Class::Request, id, &attributes, Some(&key));
        let taken = receive(&mut agent, path, now, &nomination).is_ok();
        while send(&mut agent, now).is_some() {}
        assert_eq!(taken, second < 31, "{second}: {:?}", agent.agent.state());
    }
    assert_eq!(agent.agent.state(), State::Failed(Failure::ConsentExpired));
}

/// Where numbers were not agreed on they mean nothing.
#[test]
fn an_agent_that_does_not_renominate_takes_a_number_for_nothing() {
    let (mut a, mut b) = (
        Peer::new(Role::Controlling, [1; 32]).host(A),
        Peer::with(|config| (config.role, config.renomination) = (Role::Controlled, false), [2; 32]).host(B),
    );
    introduce(&mut a, &mut b, epoch());
    let key = IntegrityKey::short_term(crypto::rust_crypto(), b.agent.local_credentials().password());
    let username = format!("{}:{}", b.agent.local_credentials().ufrag(), a.agent.local_credentials().ufrag());
    let attributes = [
        Attribute::Username(&username),
        Attribute::Priority(1),
        Attribute::IceControlling(7),
        Attribute::Nomination(5),
    ];
    let request = message(Class::Request, TransactionId([1; 12]), &attributes, Some(&key));
    receive(&mut b, path(B, A), epoch(), &request).unwrap();
    assert!(b.agent.stats().pairs.iter().all(|pair| !pair.is_nominated));
}
